"""Figures about arrays: how far a reconstruction is from the rows it rebuilds."""

from __future__ import annotations

import numpy as np


def row_errors(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The mean squared error of every row: (n, *shape) twice -> (n,) float64.

    Examples
    --------
    >>> row_errors(np.array([[1, -1, 2, 3]]), np.array([[1, 1, 2, 3]]))
    array([1.])
    """
    return squared_differences(x, out).reshape(len(x), -1).mean(axis=1)


def column_errors(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The mean squared error of every column: (n, *shape) twice -> shape, float64.

    Examples
    --------
    >>> column_errors(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 4.0], [1.0, 5.0]]))
    array([2. , 0.5])
    """
    return squared_differences(x, out).mean(axis=0)


def explained_share(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The share of every column's variance that the reconstruction explains: 1 - error / variance.

    1 is perfect, 0 is what predicting the column's mean gives, below 0 is worse than that; NaN for a column
    that is constant (to float64's rounding), which has no variance to explain. (n, *shape) twice -> shape.

    Examples
    --------
    >>> explained_share(np.array([[0.0, 7.0], [2.0, 7.0]]), np.array([[0.5, 7.0], [1.5, 7.0]]))
    array([0.75,  nan])
    """
    x = np.asarray(x, dtype=np.float64)
    variance = x.var(axis=0)
    # Rounding leaves a constant column of size s a variance of about (1e-16 s)^2.
    constant = variance <= (1e-14 * np.abs(x).max(axis=0, initial=0.0)) ** 2
    share = 1.0 - column_errors(x, out) / np.where(constant, 1.0, variance)
    return np.where(constant, np.nan, share)


def psnr(x: np.ndarray, out: np.ndarray, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels: 10 log10(peak^2 / mean squared error).

    Parameters
    ----------
    x, out : arrays of one shape, in the same units.
    peak : the largest value a cell can have, e.g. 255 for 8-bit images or 1 for images in [0, 1].

    Returns
    -------
    float
        ``inf`` where the two are equal.

    Examples
    --------
    >>> psnr(np.zeros(4), np.full(4, 25.5), peak=255)
    20.0
    """
    error = float(squared_differences(x, out).mean())
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def squared_differences(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(x - out)^2 in float64, so that whole numbers such as uint8 pixels neither wrap around nor overflow."""
    return np.square(np.asarray(x, dtype=np.float64) - np.asarray(out, dtype=np.float64))
