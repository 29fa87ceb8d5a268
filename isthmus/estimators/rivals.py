"""What takes noise away without a network: the yardsticks beside a denoiser. All of them see scaled data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.lib.stride_tricks import sliding_window_view

from isthmus.metrics import scikit_image

WHOLE = 1024
"""Cells of a row up to which the best affine map of whole rows is found."""

PLACES = 400_000
"""Places that a filter is fitted to."""


@dataclass(frozen=True)
class Affine:
    """The affine map of whole rows with the least squared error on its pairs: the Wiener filter of small pictures.

    Attributes
    ----------
    weights : (1 + cells, cells), the constant first.
    """

    weights: np.ndarray

    @classmethod
    def fit(cls, noisy: np.ndarray, clean: np.ndarray) -> Affine:
        """Of pairs (n, *shape) twice.

        Examples
        --------
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> np.allclose(Affine.fit(x, 2 * x - 1)(x), 2 * x - 1)
        True
        """
        x, y = with_constant(noisy), clean.reshape(len(clean), -1).astype(np.float64)
        moments = x.T @ x
        # Cells that never vary make the moments singular; this little leaves every other weight as it is.
        moments[np.diag_indices_from(moments)] += 1e-9 * max(float(np.trace(moments)) / len(moments), 1e-12)
        return cls(np.linalg.solve(moments, x.T @ y))

    def __call__(self, noisy: np.ndarray) -> np.ndarray:
        return (with_constant(noisy) @ self.weights).reshape(noisy.shape)


def with_constant(rows: np.ndarray) -> np.ndarray:
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    return np.concatenate([np.ones((len(flat), 1)), flat], axis=1)


def affine_by_halves(noisy: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Each half of the rows by the map that is fitted to the other."""
    even, result = np.arange(len(noisy)) % 2 == 0, np.empty(clean.shape)
    for half in (even, ~even):
        result[half] = Affine.fit(noisy[~half], clean[~half])(noisy[half])
    return result


@dataclass(frozen=True)
class Filter:
    """The linear filter with the least squared error on its pairs, the same at every place and for every channel.

    Attributes
    ----------
    kernel : (side,) * axes.
    constant : added everywhere.
    """

    kernel: np.ndarray
    constant: float

    @classmethod
    def fit(cls, noisy: Sequence[np.ndarray], clean: Sequence[np.ndarray], axes: int, side: int) -> Filter:
        """Of pairs (*axes, channels); places are drawn where there are more than `PLACES`."""
        draw, size = np.random.default_rng(0), side**axes + 1
        moments, goal = np.zeros((size, size)), np.zeros(size)
        cells = sum(whole.size for whole in clean)
        for x, y in zip(noisy, clean, strict=True):
            half = side // 2
            padded = np.pad(
                x, [(half, half)] * axes + [(0, 0)], mode="reflect" if min(x.shape[:axes]) > half else "edge"
            )
            around = sliding_window_view(padded, (side,) * axes, axis=tuple(range(axes)))
            chosen = np.flatnonzero(draw.random(y.size) < PLACES / cells) if cells > PLACES else np.arange(y.size)
            if not len(chosen):
                continue
            spots = np.unravel_index(chosen, y.shape)
            seen = with_constant(around[spots])
            moments += seen.T @ seen
            goal += seen.T @ y[spots].astype(np.float64)
        moments[np.diag_indices_from(moments)] += 1e-9 * max(float(np.trace(moments)) / size, 1e-12)
        weights = np.linalg.solve(moments, goal)
        return cls(weights[1:].reshape((side,) * axes), float(weights[0]))

    def __call__(self, noisy: np.ndarray) -> np.ndarray:
        result = scipy.ndimage.correlate(noisy.astype(np.float64), self.kernel[..., None], mode="mirror")
        return result + self.constant


def medians(noisy: Sequence[np.ndarray], axes: int, side: int) -> list[np.ndarray]:
    """Every place by the median of those around it, channel by channel."""
    return [scipy.ndimage.median_filter(whole, size=(side,) * axes + (1,), mode="reflect") for whole in noisy]


def non_local_means(noisy: Sequence[np.ndarray], error: float) -> list[np.ndarray]:
    """Pictures (height, width, channels) by patches that look alike, told the true standard deviation of the noise.

    References
    ----------
    Buades, Coll & Morel 2005, "A non-local algorithm for image denoising".
    """
    clean = scikit_image("non-local means").restoration.denoise_nl_means
    knobs: dict[str, Any] = {"patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    cleaned = (clean(whole.astype(np.float64), h=0.8 * error, sigma=error, **knobs) for whole in noisy)
    # The axis of a single channel does not come back.
    return [result.reshape(whole.shape) for result, whole in zip(cleaned, noisy, strict=True)]


def best_of(
    tries: Sequence[list[np.ndarray]], clean: Sequence[np.ndarray], error: Callable[[Any, Any], float]
) -> list[np.ndarray]:
    """The try with the least error, which is more than a rival could know of itself."""
    return min(tries, key=lambda results: error(results, clean))
