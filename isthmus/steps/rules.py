"""Linear rules that tell a step of each channel from the window of steps before it."""

from __future__ import annotations

import numpy as np

RIDGE = 0.01
"""Added to the windows' second moments, as a share of their mean variance."""


def rule_of(x: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """(window, channels) weights and (channels,) offsets: the ridge regression of each step on the window before it."""
    mean = np.nan_to_num(x).mean(axis=0)
    weights = np.zeros((window, x.shape[1]))
    views = windows_of(x - mean, window + 1)
    for channel in range(x.shape[1]):
        moments = np.zeros((window + 1, window + 1))
        for start in range(0, len(views), 4096):
            block = np.ascontiguousarray(views[start : start + 4096, channel])
            moments += block.T @ block
        spread = np.trace(moments[:-1, :-1]) / window
        if spread > 0:
            ridge = RIDGE * spread * np.eye(window)
            weights[:, channel] = np.linalg.solve(moments[:-1, :-1] + ridge, moments[:-1, -1])
    return weights, mean * (1 - weights.sum(axis=0))


def told_of(x: np.ndarray, weights: np.ndarray, offset: np.ndarray, start: int) -> np.ndarray:
    """(steps - start, channels): what the window before each step tells of it, NaN where there is no whole window."""
    window = len(weights)
    out = np.full((len(x) - start, x.shape[1]), np.nan)
    begin = max(start, window)
    if begin < len(x):
        out[begin - start :] = np.einsum("scw,wc->sc", windows_of(x[begin - window : -1], window), weights) + offset
    return out


def errors_of(x: np.ndarray, weights: np.ndarray, offset: np.ndarray, start: int) -> np.ndarray:
    """(2, steps - start, channels) of scaled values, as `StepModel.errors` says."""
    return np.abs(np.stack((x[start:] - told_of(x, weights, offset, start), x[start:])))


def windows_of(x: np.ndarray, window: int) -> np.ndarray:
    """(steps - window + 1, channels, window) views, without a copy; gaps count as the middle."""
    return np.lib.stride_tricks.sliding_window_view(np.nan_to_num(x), window, axis=0)


def products_of(x: np.ndarray, window: int) -> np.ndarray:
    """(window + 1, channels) mean products of values so many steps apart, gaps as 0; of steps beyond the ends too, so
    that `shorter_rules` always leaves something untold."""
    x = np.nan_to_num(x)
    return np.stack([np.einsum("sc,sc->c", x[lag:], x[: len(x) - lag]) for lag in range(window + 1)]) / len(x)
