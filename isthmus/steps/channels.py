"""A series as (steps, channels), and figures of its channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus.errors import InputError

ROUNDING = 1e-12
"""The least error that means anything, in standard deviations."""


def columns_of(series: np.ndarray) -> np.ndarray:
    x = np.asarray(series, dtype=np.float64)
    if x.ndim not in (1, 2):
        raise InputError(f"series: must be (steps,) or (steps, channels); got the shape {x.shape}")
    return x.reshape(len(x), -1)


def figure_of(x: np.ndarray, how: Callable[..., np.ndarray]) -> np.ndarray:
    """A figure of each channel without its gaps; 0 of a channel that has nothing else."""
    out = np.zeros(x.shape[1])
    some = ~np.isnan(x).all(axis=0)
    if some.any():
        out[some] = how(x[:, some], axis=0)
    return out
