"""Streams: peak memory and speed of packing and unpacking .npy files of several sizes, beside lzma and zstd.

Two kinds of data are made on the fly, a part at a time: a smooth float32 field that drifts from row to row, packed
within 0.1 % of its range, and a uint8 table whose columns tell of each other, exactly. A model is learnt from
the first rows; then each size is packed and unpacked file to file, each in a process of its own, whose peak memory is
that above its own imports and the model. The rivals read the same file in parts of 8 MB, at levels that people
use (lzma 1, zstd 3; zstd where pyarrow has it). What comes back is compared with what went in. The bar: flat memory.

    python benchmarks/bench_compress_memory.py [--gigabytes 0.1 0.3 1] [--kinds field table] [--max-time 60]

``--gigabytes 10`` is the run for larger than memory: hours. It needs twice the largest size on the disk, under
``--folder`` (the system's folder for such files if nothing is said), and leaves nothing there.
"""

from __future__ import annotations

import argparse
import importlib.util
import lzma
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from common import row

PART = 2**23
"""Bytes that are made, compared and given to the rivals at a time, about."""

WIDTH = {"field": 1024, "table": 16}

PROGRAM = """
import os, resource, sys, time
import isthmus as ist
model = ist.load(sys.argv[2])
if sys.argv[1] == "base":
    work = lambda: None
elif sys.argv[1] == "pack":
    work = lambda: model.pack(sys.argv[3], sys.argv[4])
else:
    work = lambda: model.unpack(sys.argv[3], sys.argv[4])
start = time.process_time()
work()
used = time.process_time() - start
if os.path.exists("/proc/self/status"):
    # Not getrusage, whose peak on Linux includes that of the process that started this one.
    peak = 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(peak, used)
"""


def field(rows: int, first: int) -> np.ndarray:
    """(rows, 1024) float32 from row ``first`` on: waves of several lengths, and a little noise."""
    y = (first + np.arange(rows))[:, None]
    x = np.arange(WIDTH["field"])[None]
    found = np.sin(x / 37 + y / 91) + 0.5 * np.sin(x / 11 - y / 23) + 0.25 * np.cos(x / 5 + y / 401)
    found += 0.002 * np.random.default_rng(first).normal(size=found.shape)
    return found.astype(np.float32)


def table(rows: int, first: int) -> np.ndarray:
    """(rows, 16) uint8 from row ``first`` on: each column a noisy sum of two before it."""
    draw = np.random.default_rng(first)
    found = np.empty((rows, WIDTH["table"]), dtype=np.uint8)
    found[:, :2] = draw.binomial(20, 0.3, size=(rows, 2))
    for column in range(2, WIDTH["table"]):
        both = found[:, column - 1] // 2 + found[:, column - 2] // 2
        found[:, column] = both + draw.integers(0, 3, rows) * (draw.random(rows) < 0.3)
    return found


MAKERS: dict[str, Callable[[int, int], np.ndarray]] = {"field": field, "table": table}


def parts(kind: str, size: float) -> Iterator[np.ndarray]:
    """So many bytes of a kind, part by part; the last is as long as the others."""
    rows = PART // MAKERS[kind](1, 0).nbytes
    for first in range(0, max(1, round(size / PART)) * rows, rows):
        yield MAKERS[kind](rows, first)


def written(path: Path, kind: str, size: float) -> int:
    """A .npy file of about so many bytes; how many they are."""
    count = max(1, round(size / PART))
    made = parts(kind, size)
    one = next(made)
    with open(path, "wb") as file:
        about = {"descr": one.dtype.str, "fortran_order": False, "shape": (count * len(one), *one.shape[1:])}
        np.lib.format.write_array_header_1_0(file, about)
        file.write(one.data)
        for part in made:
            file.write(part.data)
    return count * one.nbytes


def in_a_process(work: str, *files: Path) -> tuple[float, float, float]:
    """Peak bytes, seconds by the clock and seconds of the processor of one step; the process ends with it."""
    start = time.perf_counter()
    words = [sys.executable, "-c", PROGRAM, work, *map(str, files)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    peak, used = done.stdout.split()
    return float(peak), time.perf_counter() - start, float(used)


def rival(
    path: Path, pack: Callable[[bytes], bytes], unpack: Callable[[bytes, int], bytes]
) -> tuple[int, float, float]:
    """Bytes, and seconds of the processor both ways, of a file that is read in parts."""
    size, there, back = 0, 0.0, 0.0
    with open(path, "rb") as file:
        while piece := file.read(PART):
            start = time.process_time()
            packed = pack(piece)
            middle = time.process_time()
            unpack(packed, len(piece))
            size, there, back = size + len(packed), there + middle - start, back + time.process_time() - middle
    return size, there, back


def rivals() -> dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes, int], bytes]]]:
    """lzma, and zstd where there is one."""
    import pyarrow

    found = {"lzma 1": (lambda data: lzma.compress(data, preset=1), lambda data, size: lzma.decompress(data))}
    if pyarrow.Codec.is_available("zstd"):
        codec = pyarrow.Codec("zstd", compression_level=3)
        found["zstd 3"] = (
            lambda data: codec.compress(data, asbytes=True),
            lambda data, size: codec.decompress(data, size, asbytes=True),
        )  # fmt: skip
    return found


def kept(a: Path, b: Path, bound: float | None) -> bool:
    """Whether the file that came back is the one that went in: to the byte, or every element within the bound."""
    with open(a, "rb") as one, open(b, "rb") as other:
        while piece := one.read(PART):
            again = other.read(len(piece))
            if bound is None and again != piece:
                return False
        if other.read(1):
            return False
    if bound is None:
        return True
    x, y = np.load(a, mmap_mode="r"), np.load(b, mmap_mode="r")
    step = max(1, PART // x[:1].nbytes)
    apart = (np.abs(x[i : i + step].astype(float) - y[i : i + step].astype(float)).max()
             for i in range(0, len(x), step))  # fmt: skip
    return max(apart) <= bound


def check_room(folder: Path, size: float) -> None:
    """Refuse a size for which the disk has no room: the data, what comes back, and what is packed."""
    free, needed = shutil.disk_usage(folder).free, 2.7 * size
    if needed > free:
        raise SystemExit(
            f"{size / 1e9:g} GB need {needed / 1e9:.1f} GB on the disk of {str(folder)!r}, which has "
            f"{free / 1e9:.1f} GB: give another with --folder, or a smaller --gigabytes"
        )


def learnt(kind: str, model: Path, max_time: float) -> float | None:
    """Learn a model from some MB; the bound it keeps, None = none."""
    import isthmus as ist

    some = np.concatenate(list(parts(kind, 2 * PART)))
    bound = 0.001 * float(np.ptp(some)) if kind == "field" else None
    fitted = ist.Compressor("array" if kind == "field" else "table", max_error=bound, max_time=max_time, random_state=0)
    fitted.fit(some).save(model)
    return bound


def show(kind: str, size: float, model: Path, bound: float | None, folder: Path) -> float:
    """One size: rows of the model and the rivals; the larger of the peaks above the base, in bytes."""
    check_room(folder, size)
    source, packed, again = (folder / name for name in ("a.npy", "a.isz", "b.npy"))
    try:
        nbytes = written(source, kind, size)
        base = in_a_process("base", model)[0]
        there = in_a_process("pack", model, source, packed)
        back = in_a_process("unpack", model, packed, again)
        if not kept(source, again, bound):
            raise SystemExit(f"{kind}, {size / 1e9:g} GB: what came back is not what went in")
        megabytes, peaks = nbytes / 1e6, [max(0.0, one[0] - base) / 1e6 for one in (there, back)]
        said = f"{kind} {size / 1e9:g} GB"
        row(said, "this model", nbytes / packed.stat().st_size, megabytes / there[2], megabytes / back[2], *peaks)
        for name, (pack, unpack) in rivals().items():
            taken, in_, out = rival(source, pack, unpack)
            row(said, name, nbytes / taken, megabytes / in_, megabytes / out, "-", "-")
        return max(peaks)
    finally:
        for file in (source, packed, again):
            file.unlink(missing_ok=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--gigabytes", type=float, nargs="*", default=[0.1, 0.3, 1.0])
    arguments.add_argument("--kinds", nargs="*", choices=sorted(MAKERS), default=sorted(MAKERS))
    arguments.add_argument("--max-time", type=float, default=60.0)
    arguments.add_argument("--folder", type=Path, default=None)
    chosen = arguments.parse_args()
    if importlib.util.find_spec("constriction") is None:
        raise SystemExit("skipped: pip install 'isthmus[compression]'")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        for size in chosen.gigabytes:
            check_room(folder, size * 1e9)
        row("data", "coder", "ratio", "MB/s in", "MB/s out", "MB peak in", "MB peak out")
        for kind in chosen.kinds:
            bound = learnt(kind, folder / "model.safetensors", chosen.max_time)
            peaks = [show(kind, size * 1e9, folder / "model.safetensors", bound, folder) for size in chosen.gigabytes]
            if len(peaks) > 1:
                print(
                    f"{kind}: the largest peak is {max(peaks) / max(peaks[0], 1e-9):.2f} times that of the first size"
                )


if __name__ == "__main__":
    main()
