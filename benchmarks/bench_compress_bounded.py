"""Arrays within a bound of every element: a smooth field, series of NAB and Adult's columns, beside SZ3 and ZFP.

The bound is a part of the training data's range: 0.001 and 0.01, of each series and column its own. Models learn from
other fields (other seeds), the first half of every series, and Adult's training rows; what is coded is unseen.
"ints+lzma" is what everyone could do: our whole numbers, differences of neighbours, lzma; "cubic+lzma" predicts from
what is decoded and rounds the rest. The error is in parts of the bound, as floats have it; our own coders are checked
in exact arithmetic.

    ISTHMUS_DATA=... ISTHMUS_PEERS=... python benchmarks/bench_compress_bounded.py [--bounds 1e-3 1e-2] [--seconds 120]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import nab
import numpy as np
import tables
from compress_plain import checked, cubic, holds, trivial
from compress_rivals import Result, Results, bounded, lossless, measured, show, total

from isthmus.coding.columns_training import fit_columns
from isthmus.coding.entropy import Reader, Tally, Writer
from isthmus.coding.grid import GridModel
from isthmus.coding.grid_training import fit_grid
from isthmus.coding.numbers import Exceptions, Numbers, numbers_for
from isthmus.coding.passes import Order
from isthmus.coding.rounding import OPEN

Compared = tuple[np.ndarray, float, Results]
"""An array, its bound and what became of it."""

FRESH = (100, 101, 102, 103)
"""Seeds of fields by which nothing was chosen."""

SHOWN = ("machine_temperature", "nyc_taxi", "cpu_utilization_asg", "art_daily_small_noise", "Twitter_volume_AAPL")


def field(seed: int, side: int = 512) -> np.ndarray:
    """(side, side) float32: 30 bumps and 6 waves."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    made = np.zeros((side, side))
    for _ in range(30):
        (down, right), width, height = draw.random(2), draw.uniform(0.02, 0.2), draw.normal()
        made += height * np.exp(-((y - down) ** 2 + (x - right) ** 2) / (2 * width**2))
    for _ in range(6):
        along, across, phase = *draw.normal(0, 12, 2), draw.uniform(0, 2 * np.pi)
        made += 0.2 * draw.normal() * np.sin(2 * np.pi * (along * y + across * x) + phase)
    return made.astype(np.float32)


def coded(x: np.ndarray, numbers: Numbers, model: GridModel) -> Result:
    """By a model of grids: its own bytes are not in it."""
    moved = model.write(Tally(), numbers.forward(x)[0][None], (numbers,))[0]
    aside = numbers.missed(x, moved).packed(x.itemsize)

    def pack(a: np.ndarray) -> bytes:
        writer = Writer()
        model.write(writer, numbers.forward(a)[0][None], (numbers,))
        return writer.done()

    def unpack(payload: bytes) -> np.ndarray:
        ints = model.read(Reader(payload), (1, *x.shape), (numbers,))[0]
        return numbers.backward(ints, Exceptions.unpacked(aside, x.size, x.itemsize))

    return checked(x, numbers, pack, unpack, len(aside))


def of_table(known: np.ndarray, x: np.ndarray, part: float, seconds: float) -> Result:
    """All columns (n, C) by a model of tables; the error is in parts of each column's bound."""
    every = [numbers_for(column, part, "range") for column in known.T]
    forward = [numbers.forward(column)[0] for numbers, column in zip(every, known.T, strict=True)]
    start = time.perf_counter()
    model = fit_columns(np.stack(forward, axis=1), max_time=seconds, random_state=0)
    told(model.tensors(), start)
    aside = [numbers.forward(column)[1].packed(x.itemsize) for numbers, column in zip(every, x.T, strict=True)]

    def pack(a: np.ndarray) -> bytes:
        writer = Writer()
        ints = [numbers.forward(column)[0] for numbers, column in zip(every, a.T, strict=True)]
        model.write(writer, np.stack(ints, axis=1))
        return writer.done()

    def unpack(payload: bytes) -> np.ndarray:
        ints = model.read(Reader(payload), len(x)).T
        kept = [Exceptions.unpacked(some, len(x), x.itemsize) for some in aside]
        return np.stack([n.backward(i, k) for n, i, k in zip(every, ints, kept, strict=True)], axis=1)

    result, y = measured(x, pack, unpack), unpack(pack(x))
    if not all(holds(a, b, numbers.max_error) for a, b, numbers in zip(x.T, y.T, every, strict=True)):
        raise SystemExit("the bound does not hold")
    bounds = part * np.ptp(known.astype(np.float64), axis=0)
    worst = float((np.abs(y.astype(np.float64) - x).max(0) / bounds).max())
    return Result(result.size + sum(map(len, aside)), result.packing, result.unpacking, worst)


def told(tensors: Mapping[str, np.ndarray], start: float) -> None:
    size = sum(array.nbytes for array in tensors.values())
    print(f"\nmodel of {size:,} bytes, beside, learnt in {time.perf_counter() - start:.0f} s", flush=True)


def grid_model(ints: np.ndarray, seconds: float, numbers: Sequence[Numbers] = OPEN) -> GridModel:
    start = time.perf_counter()
    axes = ints.ndim - 1
    order = Order("interlaced", axes=axes, neighbours=12 if axes == 2 else 16)
    model = fit_grid(ints, order, context="residuals", numbers=numbers, hidden=(32, 32), max_time=seconds)
    told(model.tensors(), start)
    return model


def compared(
    known: np.ndarray, x: np.ndarray, part: float, model: GridModel | None = None, predicted: bool = False
) -> Compared:
    """Numbers are learnt from ``known``; ``predicted``: elements are rounded once they are foretold."""
    bound = part * float(np.ptp(known.astype(np.float64)))
    results = {f"exact {name}": one for name, one in lossless(x).items() if name in ("lzma -9e", "planes+lzma")}
    results |= bounded(x, bound)
    results["ints+lzma"] = trivial(x, numbers_for(known, bound))
    results["cubic+lzma"] = cubic(x, numbers_for(known, bound, predicted=True))
    if model is not None:
        results["isthmus"] = coded(x, numbers_for(known, bound, predicted=predicted), model)
    return x, bound, results


def windows(every: Sequence[np.ndarray], part: float, steps: int = 256) -> np.ndarray:
    """(n, steps): the whole numbers of series, each with its own bound, cut to pieces."""
    found = []
    for known in every:
        ints = numbers_for(known, part, "range").forward(known)[0]
        found.append(ints[: len(ints) // steps * steps].reshape(-1, steps))
    return np.concatenate(found)


def together(parts: Sequence[Compared]) -> Results:
    """Sums of many arrays' results; the error in parts of each one's own bound."""
    whole: Results = {}
    for name in parts[0][2]:
        scaled = []
        for _, bound, results in parts:
            one = results[name]
            if isinstance(one, Result) and bound:
                one = Result(one.size, one.packing, one.unpacking, one.error / bound)
            scaled.append(one)
        whole[name] = total(scaled)
    return whole


def show_all(title: str, parts: Sequence[Compared], **more: Result) -> None:
    print(f"\n{title}")
    show(together(parts) | more, sum(x.size for x, _, _ in parts), sum(x.nbytes for x, _, _ in parts))


def of_fields(part: float, seconds: float) -> None:
    learnt = np.stack([field(seed) for seed in range(1, 5)])
    numbers = numbers_for(learnt, part, "range", predicted=True)
    model = grid_model(numbers.forward(learnt)[0], seconds, (numbers,))
    for seeds in ((0,), FRESH):
        parts = [compared(learnt, field(seed), part, model, predicted=True) for seed in seeds]
        show_all(f"{len(seeds)} field(s) 512 x 512 float32, bound {part:g} of the range of those learnt", parts)


def of_series(part: float, seconds: float, most: int) -> None:
    every = nab.load(Path(os.environ["ISTHMUS_DATA"]) / "nab")[:most]
    halves = {series.name: np.split(series.values, [len(series.values) // 2]) for series in every}
    halves = {name: (known, x) for name, (known, x) in halves.items() if np.ptp(known)}
    model = grid_model(windows([known for known, _ in halves.values()], part), seconds)
    parts = []
    for name, (known, x) in halves.items():
        parts.append(compared(known, x, part, model))
        if any(shown in name for shown in SHOWN):
            show_all(f"{name}, {len(x):,} float64, bound {part:g} of the range", parts[-1:])
    show_all(f"NAB, second halves of {len(parts)} series, bound {part:g} of each range", parts)


def of_columns(part: float, seconds: float) -> None:
    known, x = (frame[list(tables.NUMERIC)].to_numpy(dtype=np.float32) for frame in tables.adult())
    ours = of_table(known, x, part, seconds)
    parts = [compared(known[:, place].copy(), x[:, place].copy(), part) for place in range(x.shape[1])]
    show_all(f"Adult, 6 columns of {len(x):,} float32, bound {part:g} of each range", parts, isthmus=ours)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--bounds", nargs="+", type=float, default=[1e-3, 1e-2], help="parts of the range")
    arguments.add_argument("--series", type=int, default=58, help="of NAB, from the first on")
    arguments.add_argument("--seconds", type=float, default=120, help="for each model to learn")
    chosen = arguments.parse_args()
    for part in chosen.bounds:
        of_fields(part, chosen.seconds)
        if not os.environ.get("ISTHMUS_DATA"):
            print("skipped: set ISTHMUS_DATA to a folder that holds nab and adult")
            sys.exit(0)
        of_series(part, chosen.seconds, chosen.series)
        of_columns(part, chosen.seconds)


if __name__ == "__main__":
    main()
