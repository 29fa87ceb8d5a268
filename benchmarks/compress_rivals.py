"""General and scientific coders beside ours: each gives its bytes, its speed and, read back, its largest error.

lzma and bz2 come with Python, zstd and Parquet with pyarrow, PNG and WebP with Pillow. SZ3 and ZFP are
optional: `pip install --target FOLDER --no-deps pysz zfpy`, and set ISTHMUS_PEERS to that folder; without them
their rows say "not run".

References: Liang et al., "SZ3: a modular framework for composing prediction-based error-bounded lossy compressors",
IEEE Transactions on Big Data 2023; Lindstrom, "Fixed-rate compressed floating-point arrays", TVCG 2014.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.estimators.compressor_rivals import BOUNDED

Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], Any]


@dataclass(frozen=True)
class Result:
    """What a coder made of an array: ``error`` is the largest |x - y| of finite elements."""

    size: int
    packing: float
    unpacking: float
    error: float = 0.0

    def __add__(self, other: Result) -> Result:
        times = (self.packing + other.packing, self.unpacking + other.unpacking)
        return Result(self.size + other.size, *times, max(self.error, other.error))


Results = dict[str, Result | str]
"""By the coder's name; a text says why it was not run."""


def largest_error(x: np.ndarray, y: np.ndarray) -> float:
    """Infinity where shapes, or NaN and infinity, were not kept."""
    if x.shape != y.shape:
        return math.inf
    finite = np.isfinite(x)
    if not np.array_equal(x[~finite], y[~finite], equal_nan=x.dtype.kind == "f"):
        return math.inf
    wide = np.float64 if x.dtype.kind == "f" else np.int64
    return float(np.abs(x[finite].astype(wide) - y[finite].astype(wide)).max(initial=0))


def measured(x: np.ndarray, pack: Pack, unpack: Unpack) -> Result:
    start = time.perf_counter()
    payload = pack(x)
    packed = time.perf_counter()
    y = unpack(payload)
    return Result(len(payload), packed - start, time.perf_counter() - packed, largest_error(x, np.asarray(y)))


def planes(x: np.ndarray) -> bytes:
    """All lowest bytes, then the next: alike bytes beside one another, as Blosc and HDF5 shuffle them."""
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8).reshape(x.size, x.itemsize).T.tobytes()


def from_planes(payload: bytes, like: np.ndarray) -> np.ndarray:
    octets = np.frombuffer(payload, dtype=np.uint8).reshape(like.itemsize, like.size).T
    return np.ascontiguousarray(octets).view(like.dtype).reshape(like.shape)


def hardest(payload: bytes) -> bytes:
    return lzma.compress(payload, preset=9 | lzma.PRESET_EXTREME)


def lossless(x: np.ndarray) -> Results:
    """Coders of any bytes: as they lie, and by planes of bytes where an element has several."""
    import pyarrow

    zstd = pyarrow.Codec("zstd", compression_level=22)
    plain: dict[str, tuple[Pack, Unpack]] = {
        "lzma -9e": (hardest, lzma.decompress),
        "bz2 -9": (bz2.compress, bz2.decompress),
        "zstd -22": (
            lambda payload: zstd.compress(payload, asbytes=True),
            lambda payload: zstd.decompress(payload, decompressed_size=x.nbytes, asbytes=True),
        ),
    }
    results: Results = {}
    for name, (pack, unpack) in plain.items():
        results[name] = measured(
            x,
            lambda a, pack=pack: pack(a.tobytes()),
            lambda payload, unpack=unpack: np.frombuffer(unpack(payload), dtype=x.dtype).reshape(x.shape),
        )
    if x.itemsize > 1:
        results["planes+lzma"] = measured(
            x, lambda a: hardest(planes(a)), lambda payload: from_planes(lzma.decompress(payload), x)
        )
    return results


def mosaic(stack: np.ndarray) -> np.ndarray:
    """Images (n, height, width[, 3]) side by side in one nearly square image, black where there are too few."""
    across = math.ceil(math.sqrt(len(stack)))
    down = -(-len(stack) // across)
    room = np.zeros((across * down, *stack.shape[1:]), dtype=stack.dtype)
    room[: len(stack)] = stack
    grid = room.reshape(down, across, *stack.shape[1:]).swapaxes(1, 2)
    return grid.reshape(down * stack.shape[1], across * stack.shape[2], *stack.shape[3:])


def from_mosaic(image: np.ndarray, like: np.ndarray) -> np.ndarray:
    height, width = like.shape[1:3]
    grid = image.reshape(image.shape[0] // height, height, image.shape[1] // width, width, *like.shape[3:])
    return grid.swapaxes(1, 2).reshape(-1, *like.shape[1:])[: len(like)]


IMAGES: dict[str, dict[str, Any]] = {
    "PNG": {"format": "png", "optimize": True},
    "WebP": {"format": "webp", "lossless": True, "quality": 100, "method": 6},
}


def picture(array: np.ndarray, how: dict[str, Any]) -> bytes:
    """An image file of (height, width[, 3]) uint8."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, **how)
    return file.getvalue()


def pixels(payload: bytes, like: np.ndarray) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(payload)) as image:
        return np.asarray(image.convert("L" if like.ndim == 2 else "RGB"))


def lossless_images(stack: np.ndarray, singly: bool = False) -> Results:
    """PNG and WebP of uint8 images (n, height, width[, 3]) in one mosaic, or in a file for each image."""
    from PIL import features

    results: Results = {}
    for name in ("PNG", "WebP"):
        if name == "WebP" and not features.check("webp"):
            results[name] = "not run: this Pillow has no WebP"
            continue
        many = [image[None] for image in stack] if singly else [stack]
        results[name] = total(
            measured(
                one,
                lambda a, name=name: picture(mosaic(a), IMAGES[name]),
                lambda payload, one=one: from_mosaic(pixels(payload, mosaic(one)), one),
            )
            for one in many
        )
    return results


def bounded(x: np.ndarray, max_error: float) -> Results:
    """SZ3 (the best of its predictors) and ZFP of float32 or float64, asked to keep every element within the bound."""
    peers = os.environ.get("ISTHMUS_PEERS")
    if peers and peers not in sys.path:
        # Last, so that its NumPy does not stand before ours.
        sys.path.append(peers)
    return {name: within(name, x, max_error) for name in BOUNDED}


def within(name: str, x: np.ndarray, max_error: float) -> Result | str:
    """The smallest that a coder makes in any of its ways."""
    package, coders = BOUNDED[name]
    tries = [measured(x, pack, unpack) for pack, unpack in coders(max_error, x)]
    return min(tries, key=lambda result: result.size) if tries else f"not run: pip install {package}"


def of_frame(frame: Any) -> Results:
    """Parquet with zstd at its strongest, and lzma of the table as text, of a pandas frame; errors are not taken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def parquet(frame: Any) -> bytes:
        file = io.BytesIO()
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, file, compression="zstd", compression_level=22, store_schema=False)
        return file.getvalue()

    def text(frame: Any) -> bytes:
        return hardest(frame.to_csv(index=False).encode())

    results: Results = {}
    readers: dict[str, tuple[Pack, Unpack]] = {
        "parquet+zstd": (parquet, lambda payload: pq.read_table(io.BytesIO(payload))),
        "csv+lzma": (text, lzma.decompress),
    }
    for name, (pack, unpack) in readers.items():
        start = time.perf_counter()
        payload = pack(frame)
        packed = time.perf_counter()
        unpack(payload)
        results[name] = Result(len(payload), packed - start, time.perf_counter() - packed)
    return results


def total(results: Iterable[Result | str]) -> Result | str:
    """The sum, or the first reason why there is none."""
    every = list(results)
    reasons = [result for result in every if isinstance(result, str)]
    if reasons or not every:
        return reasons[0] if reasons else "not run: nothing to code"
    whole = every[0]
    for result in every[1:]:
        whole = whole + result  # type: ignore[operator]
    return whole


def show(results: Results, elements: int, size: int, max_error: float | None = None) -> None:
    """A row for each coder, the smallest first; speeds by the array's own bytes, the error in parts of the bound."""
    print(f"{'':>14} {'bytes':>10} {'bits':>8} {'ratio':>8} {'MB/s in':>8} {'MB/s out':>8} {'error':>8}", flush=True)
    done = {name: result for name, result in results.items() if isinstance(result, Result)}
    for name, one in sorted(done.items(), key=lambda item: item[1].size):
        speeds = [size / 1e6 / max(seconds, 1e-9) for seconds in (one.packing, one.unpacking)]
        error = one.error / max_error if max_error else one.error
        line = f"{one.size:>10,} {8 * one.size / elements:>8.4f} {size / one.size:>8.2f}"
        print(f"{name:>14} {line} {speeds[0]:>8.2f} {speeds[1]:>8.2f} {error:>8.3g}", flush=True)
    for name, result in results.items():
        if isinstance(result, str):
            print(f"{name:>14} {result}", flush=True)
