"""Figures about arrays: how far reconstructions are from their rows, and what codes keep of them."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Activity:
    """How much the units of a code are used; a unit is active in a row where it is not exactly zero.

    Attributes
    ----------
    shares : (units,) the share of the rows in which each unit is active.
    mean : the mean absolute value over all rows and units.
    active_units : active units per row, in the mean.
    """

    shares: np.ndarray
    mean: float
    active_units: float

    @property
    def sparse(self) -> bool:
        """Whether some unit is zero in some rows and not in others: what a plain code never is."""
        return bool(((self.shares > 0) & (self.shares < 1)).any())

    @property
    def never(self) -> np.ndarray:
        """The numbers of the units that are active in no row."""
        return np.flatnonzero(self.shares == 0)

    @property
    def always(self) -> np.ndarray:
        """The numbers of the units that are active in every row."""
        return np.flatnonzero(self.shares == 1)


def activity(codes: np.ndarray) -> Activity:
    """How often each unit of the codes (n, units) is not exactly zero.

    Examples
    --------
    >>> found = activity(np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 3.0]]))
    >>> found.shares, found.never, found.always, found.mean, found.active_units
    (array([0. , 1. , 0.5]), array([0]), array([1]), 1.0, 1.5)
    """
    codes = np.asarray(codes)
    shares = (codes != 0).mean(axis=0)
    return Activity(shares, float(np.abs(codes).mean(dtype=np.float64)), float(shares.sum()))


def trustworthiness(x: np.ndarray, codes: np.ndarray, neighbours: int = 10) -> float:
    """Whether rows that are near in the codes are near in the data: 1 where all are, about 0.5 by chance.

        T(k) = 1 - 2 / (n k (2n - 3k - 1)) * sum over rows i, and over j among the k nearest of i in the codes,
               of max(0, rank of j by its distance from i in the data - k)

    Parameters
    ----------
    x, codes : (n, *) rows and their codes. Memory grows with n squared: about 100 MB for 2,000 rows.
    neighbours : k, 1 <= k < n / 2.

    References
    ----------
    Venna & Kaski 2001, Neighborhood preservation in nonlinear projection methods.

    Examples
    --------
    >>> x = np.arange(8.0)[:, None]
    >>> trustworthiness(x, -3 * x, 2)
    1.0
    """
    return float(kept_order(distances(x), distances(codes), neighbours).mean())


def continuity(x: np.ndarray, codes: np.ndarray, neighbours: int = 10) -> float:
    """Whether rows that are near in the data stay near in the codes: `trustworthiness` the other way round.

    Examples
    --------
    >>> x = np.arange(8.0)[:, None]
    >>> continuity(x, np.abs(x - 3.5), 2) > trustworthiness(x, np.abs(x - 3.5), 2)  # folded, not torn
    True
    """
    return float(kept_order(distances(codes), distances(x), neighbours).mean())


def kept_order(far: np.ndarray, near: np.ndarray, neighbours: int) -> np.ndarray:
    """The formula of `trustworthiness`, (n,) row by row: the ranks by the distances ``far`` of the nearest by
    ``near``."""
    n, k = len(far), neighbours
    if not 1 <= k < n / 2:
        raise ValueError(f"neighbours must be at least 1 and below half of the {n} rows; got {k}")
    ranks = np.empty((n, n), dtype=np.int32)
    np.put_along_axis(ranks, far.argsort(axis=1, kind="stable"), np.arange(1, n + 1, dtype=np.int32)[None], axis=1)
    nearest = near.argsort(axis=1, kind="stable")[:, :k]
    excess = np.maximum(0, np.take_along_axis(ranks, nearest, axis=1).astype(np.int64) - k).sum(axis=1)
    return 1 - 2 / (k * (2 * n - 3 * k - 1)) * excess


def nearest_accuracy(codes: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose nearest other row, by the codes (n, *), has the same label: leave-one-out 1-NN.

    Examples
    --------
    >>> nearest_accuracy(np.array([0.0, 1.0, 5.0, 6.5])[:, None], np.array(["a", "a", "b", "c"]))
    0.5
    """
    labels = np.asarray(labels)
    return float((labels[distances(codes).argmin(axis=1)] == labels).mean())


def distances(x: np.ndarray) -> np.ndarray:
    """(n, n) squared distances between rows (n, *), in float64; infinite from a row to itself."""
    flat = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    flat = flat - flat.mean(axis=0)  # |a - b|^2 as |a|^2 - 2 a.b + |b|^2 cancels less where rows lie about 0
    squares = np.square(flat).sum(axis=1)
    found = np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0.0)
    np.fill_diagonal(found, np.inf)
    return found
