"""How small and how fast a `Compressor` is, beside the coders that everyone has."""

from __future__ import annotations

import bz2
import io
import lzma
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.estimators.compressor_data import columns_of, is_frame
from isthmus.estimators.compressor_files import in_one_piece
from isthmus.estimators.compressor_stream import opened_rows

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

MOSAIC = 8192
"""Pixels at most of a side of the sheet that pictures are laid out on, so that each needs no header of its own."""


@dataclass(frozen=True)
class JudgedRow:
    """One coder.

    Attributes
    ----------
    name : such as ``"lzma"``, ``"this model"``.
    bytes : of the packed data.
    ratio : the bytes of the data over these.
    pack_seconds, unpack_seconds : of both ways.
    error : the largest change of a number; 0 where nothing is lost.
    """

    name: str
    bytes: int
    ratio: float
    pack_seconds: float
    unpack_seconds: float
    error: float = 0.0


@dataclass(frozen=True)
class Judged:
    """Coders of the same data, the smallest first.

    Attributes
    ----------
    rows : one for each coder.
    raw_bytes : of the data: an array's memory, or a table as CSV.
    model_bytes : what the model takes beside the packed data.
    said : which rivals are missing, and why.
    """

    rows: tuple[JudgedRow, ...]
    raw_bytes: int
    model_bytes: int
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{'':22}{'bytes':>12}{'ratio':>8}{'MB/s in':>10}{'MB/s out':>10}"]
        for row in self.rows:
            speeds = "".join(
                f"{self.raw_bytes / 1e6 / max(seconds, 1e-9):>10.2f}"
                for seconds in (row.pack_seconds, row.unpack_seconds)
            )
            error = f"  largest error {row.error:.3g}" if row.error else ""
            lines.append(f"{row.name:22}{row.bytes:>12,}{row.ratio:>8.2f}{speeds}{error}")
        lines.append(
            f"The data have {self.raw_bytes:,} bytes; the model takes {self.model_bytes:,} beside what it packs."
        )
        return "\n".join([*lines, *self.said])


def judged(compressor: Compressor, X: Any) -> Judged:
    """The table of `Compressor.judge`."""
    X = opened_rows(X).sample()
    X = X.reset_index(drop=True) if is_frame(X) else np.ascontiguousarray(X)
    raw = X.to_csv(index=False).encode() if is_frame(X) else X.tobytes()
    coders: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Any]]] = {
        "lzma": (lambda: lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
        "bz2": (lambda: bz2.compress(raw, 9), bz2.decompress),
        "zlib": (lambda: zlib.compress(raw, 9), zlib.decompress),
    }
    if is_frame(X):
        coders["Parquet with zstd"] = (lambda: as_parquet(X), from_parquet)
    elif compressor.form_.kind == "images" and is_picture(X):
        coders["PNG"] = (lambda: as_sheets(X, "PNG", optimize=True), from_sheets)
        if X.dtype == np.uint8:
            coders["WebP, lossless"] = (
                lambda: as_sheets(X, "WEBP", lossless=True, exact=True, quality=100, method=4), from_sheets
            )  # fmt: skip
    rows, said = [], []
    for name, (pack, unpack) in coders.items():
        try:
            packed, there, _, back = timed(pack, unpack)
        except (TypeError, ValueError, OSError) as error:  # of columns that Parquet has no type for
            said.append(f"{name} cannot hold these data: {error}")
            continue
        rows.append(JudgedRow(name, len(packed), len(raw) / max(len(packed), 1), there, back))
    packed, there, again, back = timed(lambda: compressor.compress(X), compressor.decompress)
    ratio = len(raw) / max(len(packed), 1)
    rows.append(JudgedRow("this model", len(packed), ratio, there, back, largest_error(X, again)))
    by_size = tuple(sorted(rows, key=lambda row: row.bytes))
    return Judged(by_size, len(raw), len(in_one_piece(compressor)), tuple(said))


def timed(pack: Callable[[], bytes], unpack: Callable[[bytes], Any]) -> tuple[bytes, float, Any, float]:
    """The packed data and what came of them again, each with its seconds."""
    start = time.perf_counter()
    packed = pack()
    middle = time.perf_counter()
    again = unpack(packed)
    return packed, middle - start, again, time.perf_counter() - middle


def largest_error(X: Any, again: Any) -> float:
    """The most that a number differs by."""
    if not is_frame(X):
        return apart(X, again)
    numeric = [place for place, column in enumerate(columns_of(X)) if getattr(column.dtype, "kind", "O") in "biuf"]
    pairs = [(X.iloc[:, place], again.iloc[:, place]) for place in numeric]
    return max((apart(*(one.to_numpy(dtype=float, na_value=np.nan) for one in pair)) for pair in pairs), default=0.0)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two arrays' finite elements.

    >>> apart(np.array([1.0, np.nan]), np.array([1.5, np.nan]))
    0.5
    """
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return 0.0
    with np.errstate(all="ignore"):
        distances = np.abs(a.astype(np.float64) - b.astype(np.float64))
    finite = distances[np.isfinite(distances)]
    return float(finite.max()) if len(finite) else 0.0


def is_picture(X: np.ndarray) -> bool:
    """Whether Pillow can write such pictures."""
    grey = X.ndim == 3 and X.dtype in (np.uint8, np.uint16)
    return X.size > 0 and (grey or (X.ndim == 4 and X.shape[3] in (3, 4) and X.dtype == np.uint8))


def as_sheets(X: np.ndarray, kind: str, **options: Any) -> bytes:
    """Pictures side by side on as few sheets as there must be, each behind its length."""
    from PIL import Image

    height, width = X.shape[1:3]
    across, down = max(1, MOSAIC // width), max(1, MOSAIC // height)
    file = io.BytesIO()
    for start in range(0, len(X), across * down):
        part = X[start : start + across * down]
        lines = -(-len(part) // across)
        sheet = np.zeros((lines * across, *X.shape[1:]), dtype=X.dtype)
        sheet[: len(part)] = part
        rows = np.moveaxis(sheet.reshape(lines, across, *X.shape[1:]), 2, 1)
        one = io.BytesIO()
        Image.fromarray(rows.reshape(lines * height, across * width, *X.shape[3:])).save(one, format=kind, **options)
        file.write(len(one.getvalue()).to_bytes(4, "little") + one.getvalue())
    return file.getvalue()


def from_sheets(packed: bytes) -> list[np.ndarray]:
    """The sheets of `as_sheets`."""
    from PIL import Image

    sheets, start = [], 0
    while start < len(packed):
        length = int.from_bytes(packed[start : start + 4], "little")
        with Image.open(io.BytesIO(packed[start + 4 : start + 4 + length])) as sheet:
            sheets.append(np.asarray(sheet))
        start += 4 + length
    return sheets


def as_parquet(frame: Any) -> bytes:
    """A frame as Parquet, squeezed as far as it goes."""
    file = io.BytesIO()
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(
        file, compression="zstd", compression_level=19, index=False
    )
    return file.getvalue()


def from_parquet(packed: bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(packed))
