"""The noises that a denoiser is trained against, as corruptions of scaled data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import chi2

from isthmus.checks import did_you_mean, is_real
from isthmus.data.sources import Source, spread_rows
from isthmus.errors import InputError
from isthmus.estimators.signals import Range
from isthmus.parts.corruptions import BlindSpot, GaussianNoise, Mask, MaskPatches, SaltPepper
from isthmus.parts.schedules import Between
from isthmus.records import Batch, Layout, Pass

MADE = ("gaussian", "salt_and_pepper", "mask", "blocks")
"""Noises that are made in training, from clean data."""

FOUND = ("pairs", "blind")
"""Noise that the data bring along."""

UNKNOWN = {"gaussian": (0.02, 0.6), "salt_and_pepper": (0.02, 0.6), "mask": (0.05, 0.75), "blocks": (0.05, 0.6)}
"""The strengths from which each row draws its own where none is named: for Gaussian noise in ranges of the data."""

BLIND = 0.15
"""Share of the cells that are hidden in blind training: with fewer, small pictures teach little in an epoch."""

LOOKED_AT = 2**17
"""Numbers by which it is found how much of a noisy cell to keep."""

DRAWS = 8
"""How often cells are hidden for that, others each time."""

QUIET = 0.1
"""Share of the groups of cells that count as quiet."""

SHARE = {"salt_and_pepper": 1.0, "mask": 0.95, "blocks": 0.95}
"""The largest share of the cells that a noise may hit."""


def check_noise(noise: Any, level: Any, second: bool) -> None:
    """Refuse a noise that there is not, a strength that it cannot have, and a second argument that it has no use for.

    ``second``: whether `fit` was given two sets of data.
    """
    if not isinstance(noise, str):
        if not callable(noise) or isinstance(noise, type):
            raise InputError(
                f"noise must be the name of a noise, or a corruption such as MaskPatches(0.3); got {noise!r}"
            )
    elif noise not in (*MADE, *FOUND):
        raise InputError(f"noise must be one of {', '.join((*MADE, *FOUND))}; got {noise!r}."
                         f"{did_you_mean(noise, (*MADE, *FOUND))}")  # fmt: skip
    if noise == "pairs" and not second:
        raise InputError("noise='pairs' learns from noisy data and their clean twins: fit(noisy, clean)")
    if noise != "pairs" and second:
        what = "noisy data alone" if noise == "blind" else "clean data, and makes the noise itself"
        raise InputError(
            f"noise={noise!r} learns from {what}: fit(X). For noisy data and their clean twins: "
            "Denoiser(noise='pairs').fit(noisy, clean)"
        )
    if level is not None and (noise in FOUND or not isinstance(noise, str)):
        raise InputError(f"level: with noise={noise!r} the noise is as it comes; leave level out; got {level!r}")
    if level is not None:
        check_level(str(noise), level)


def check_level(noise: str, level: Any) -> tuple[float, float]:
    """The least and the greatest strength."""
    ends = tuple(level) if isinstance(level, (tuple, list)) else (level, level)
    top = SHARE.get(noise, float("inf"))
    if not (len(ends) == 2 and all(map(is_real, ends)) and 0 < ends[0] <= ends[1] <= top and ends[1] < float("inf")):
        unit = "the noise's standard deviation in the data's units" if noise == "gaussian" else "a share of the cells"
        limit = "" if noise == "gaussian" else f" and <= {top:g}"
        raise InputError(f"level must be {unit}, > 0{limit}, or (low, high) of these, or None; got {level!r}")
    return float(ends[0]), float(ends[1])


def corruption_of(noise: Any, level: Any, scale: Range, clipped: bool) -> Any:
    """The corruption, in scaled units; None where the noise comes in pairs.

    ``level`` is in the data's own units, but for series of several channels and tables, where it is in standard
    deviations of each.
    """
    if not isinstance(noise, str):
        return noise
    if noise in FOUND:
        return BlindSpot(BLIND) if noise == "blind" else None
    low, high = UNKNOWN[noise] if level is None else check_level(noise, level)
    if noise == "gaussian" and level is not None and scale.span.ndim == 0:
        low, high = low / float(scale.span), high / float(scale.span)
    strength = low if low == high else Between(low, high, log=True)
    if noise == "gaussian":
        return GaussianNoise(strength, clip=(0.0, 1.0) if clipped else None)
    if noise == "salt_and_pepper":
        return SaltPepper(strength, ends=(0.0, 1.0) if scale.bounded else None)
    return Mask(strength) if noise == "mask" else MaskPatches(strength)


def corrupted(corruption: Any, x: np.ndarray, axes: tuple[str, ...], seed: Any) -> np.ndarray:
    """(n, *shape) float32, scaled -> the same with noise that follows from ``seed`` alone."""
    number = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
    batch = Batch(torch.from_numpy(np.ascontiguousarray(x)), Layout(tuple(x.shape[1:]), axes))
    pass_ = Pass(torch.Generator().manual_seed(number), training=True)
    return corruption(batch, pass_).x.numpy()


def kept_share(rebuilt: Callable[[torch.Tensor], torch.Tensor], source: Source, seed: int) -> float:
    """How much of a noisy cell to keep beside what a blind network makes of those around it.

    The network's error has the variance ``e``, a cell's own noise ``s``, and the two are independent: their best mean
    gives the cell the weight ``e / (e + s)``. Where a cell is hidden, what it differs by from what was foretold has the
    variance ``e + s``. There ``s`` is seen by itself where ``e`` is next to nothing, as in flat stretches, or
    where all rows are alike: so it is taken from the quietest groups of cells.

    Parameters
    ----------
    rebuilt : the network, (n, *shape) -> (n, *shape).
    source : the noisy rows, scaled.
    """
    layout = source.layout
    rows = source.take(spread_rows(source.rows, max(2, LOOKED_AT // layout.features)))
    x, grid = torch.from_numpy(rows), layout.grid
    pass_ = Pass(torch.Generator().manual_seed(seed), training=True)
    error, seen = np.zeros((len(x), *grid)), np.zeros((len(x), *grid))
    for _ in range(DRAWS):
        hidden = BlindSpot(BLIND)(Batch(x, layout), pass_)
        wrong = (rebuilt(hidden.x) - x).square().numpy().reshape(*error.shape, -1).mean(-1)
        changed = np.asarray(hidden.changed).reshape(*error.shape, -1)[..., 0]
        error += np.where(changed, wrong, 0.0)
        seen += changed
    known = seen > 0
    error = np.where(known, error / np.maximum(seen, 1), 0.0)
    whole = float(error.sum() / known.sum())
    # What neighbours differ by in flat stretches tells of the noise too, however little the network has learnt.
    steps = (np.diff(x.numpy(), axis=len(grid)) ** 2 / 2).reshape(*error.shape[:-1], -1, layout.channels).mean(-1)
    noise = min(quietest(part, mask, layout.channels) for part, mask in ((error, known), (steps, steps >= 0)))
    return 1.0 - min(1.0, noise / whole) if whole > 0 else 0.0


def quietest(error: np.ndarray, known: np.ndarray, channels: int) -> float:
    """The mean squared error of the quietest groups of cells: cells side by side, or at one place in all rows.

    ``error``, ``known``: (n, *grid).
    """
    found = []
    for sides in ((1, *[64 if error.ndim == 2 else 8] * (error.ndim - 1)), (len(error), *[1] * (error.ndim - 1))):
        total, number = error, known.astype(np.float64)
        for axis, side in enumerate(sides):
            spots = np.arange(0, error.shape[axis], side)
            total, number = (np.add.reduceat(part, spots, axis=axis) for part in (total, number))
        held = number >= 24
        if held.any():
            few = float(np.median(number[held])) * channels
            # The quietest of many groups are so by chance too: of equal groups this gives what all have.
            found.append(float(np.quantile(total[held] / number[held], QUIET)) * few / float(chi2.ppf(QUIET, few)))
    return min(found, default=float("inf"))


class Noisy(Source):
    """Another source with noise, the same at every reading: what a fit is judged by while it goes on."""

    def __init__(self, source: Source, corruption: Any, seed: int) -> None:
        self.source, self.corruption, self.seed = source, corruption, seed
        self.rows, self.layout, self.dtypes = source.rows, source.layout, source.dtypes
        self.blocks, self.random_access, self.argument = source.blocks, source.random_access, source.argument

    def take(self, rows: np.ndarray) -> np.ndarray:
        x = self.source.take(rows)
        if not len(rows):
            return x
        return corrupted(self.corruption, x, self.layout.axes, [self.seed, int(rows[0]), len(rows)])
