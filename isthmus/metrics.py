"""Figures about arrays: how far reconstructions are from their rows, what codes keep of them, and how far two sets of
rows are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.errors import InputError, MissingExtraError


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


def ssim(x: np.ndarray, out: np.ndarray, peak: float, channels: bool = False) -> float:
    """Structural similarity of two pictures, by scikit-image: 1 where they are equal.

    Parameters
    ----------
    x, out : (height, width[, channels]), at least 3 pixels a side, in the same units.
    peak : the largest value less the smallest that a cell can have.
    channels : the last axis holds channels, each of which is compared by itself.

    Notes
    -----
    Windows are Gaussian of standard deviation 1.5, as in the paper; smaller pictures are compared in squares.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    side = min(x.shape[:2])
    if side < 3:
        raise InputError(f"ssim needs pictures of at least 3 x 3 pixels; got {' x '.join(map(str, x.shape[:2]))}")
    windows = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    if side < 11:  # the width of those windows
        windows = {"win_size": min(7, side - 1 + side % 2)}
    axis = -1 if channels else None
    whole = (np.asarray(picture, dtype=np.float64) for picture in (x, out))
    measured = scikit_image("SSIM").metrics.structural_similarity
    return float(measured(*whole, data_range=peak, channel_axis=axis, **windows))


def scikit_image(purpose: str) -> Any:
    """The package scikit-image, which only this function imports.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        import skimage.metrics
        import skimage.restoration
    except ImportError as error:
        raise MissingExtraError("scikit-image", "images", purpose) from error
    return skimage


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


def perplexity(counts: np.ndarray) -> float:
    """How many symbols, evenly used, would say as much as those used so often: the exponential of their entropy.

    Examples
    --------
    >>> round(perplexity(np.array([5, 5, 0, 5, 5])), 9), perplexity(np.array([9, 0]))
    (4.0, 1.0)
    """
    used = np.asarray(counts, dtype=np.float64)
    shares = used[used > 0] / used.sum()
    return float(np.prod(shares**-shares))


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
    return kept_orders(nearest_first(far), nearest_first(near), [neighbours])[0]


def kept_orders(far: np.ndarray, near: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """(sizes, n): the same for several k at once, of the orders that `nearest_first` gives."""
    n = len(far)
    for k in sizes:
        if not 1 <= k < n / 2:
            raise ValueError(f"neighbours must be at least 1 and below half of the {n} rows; got {k}")
    ranks = np.empty((n, n), dtype=np.int32)
    np.put_along_axis(ranks, far, np.arange(1, n + 1, dtype=np.int32)[None], axis=1)
    found = np.take_along_axis(ranks, near[:, : max(sizes)], axis=1).astype(np.int64)
    excess = (np.maximum(0, found[:, :k] - k).sum(axis=1) / (k * (2 * n - 3 * k - 1)) for k in sizes)
    return 1 - 2 * np.stack(list(excess))


def nearest_first(far: np.ndarray) -> np.ndarray:
    """(n, n): the numbers of all rows by their distance from each, of `distances`; the row itself is the last."""
    return far.argsort(axis=1, kind="stable")


def neighbours_kept(x: np.ndarray, codes: np.ndarray, sizes: Sequence[int] | None = None) -> tuple[float, float]:
    """`trustworthiness` and `continuity` in the mean over several numbers of neighbours, near and wide.

    Parameters
    ----------
    x, codes : (n, *) rows and their codes, n >= 3.
    sizes : k, each 1 <= k < n / 2; None = 10, 20, ... 200, as far as the rows go.

    Examples
    --------
    >>> x = np.arange(30.0)[:, None]
    >>> neighbours_kept(x, -3 * x)
    (1.0, 1.0)
    """
    by_data, by_code = (nearest_first(distances(points)) for points in (x, codes))
    sizes = neighbourhoods(len(by_data)) if sizes is None else sizes
    return float(kept_orders(by_data, by_code, sizes).mean()), float(kept_orders(by_code, by_data, sizes).mean())


def neighbourhoods(rows: int) -> list[int]:
    """The numbers of neighbours by which so many rows are judged, each below half of them.

    >>> neighbourhoods(2000)[-1], neighbourhoods(60), neighbourhoods(15)
    (200, [10, 20], [7])
    """
    most = (rows - 1) // 2
    return list(range(10, min(200, most) + 1, 10)) or [most]


def distance_order(x: np.ndarray, codes: np.ndarray) -> float:
    """Whether rows that are farther apart have codes that are: Spearman's correlation of all pairwise distances.

    By ranks, since a code has no unit, and distances that are bent but keep their order are as good. 1 = the same
    order, 0 = none; NaN where either has one distance only, as collapsed codes do. (n, *) twice, n >= 3.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 3.0, 7.0])[:, None]
    >>> round(distance_order(x, 5 - 2 * x), 9), distance_order(x, 0 * x)
    (1.0, nan)
    """
    rows, columns = np.triu_indices(len(x), k=1)
    apart = (distances(points)[rows, columns] for points in (x, codes))
    # Distances that differ by rounding alone are equal, as many are between rows of few values.
    first, second = (centred_ranks(np.round(far / max(far.max(), 1e-300), 12)) for far in apart)
    size = float(np.sqrt(first @ first) * np.sqrt(second @ second))
    return float(first @ second) / size if size > 0 else float("nan")


def nearest_accuracy(codes: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose nearest other row, by the codes (n, *), has the same label: leave-one-out 1-NN.

    Examples
    --------
    >>> nearest_accuracy(np.array([0.0, 1.0, 5.0, 6.5])[:, None], np.array(["a", "a", "b", "c"]))
    0.5
    """
    labels = np.asarray(labels)
    return float((labels[distances(codes).argmin(axis=1)] == labels).mean())


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """The places of values (n,) in their order, about 0; equal values share the middle of theirs.

    >>> centred_ranks(np.array([5.0, 7.0, 5.0, 1.0]))
    array([ 0. ,  1.5,  0. , -1.5])
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - counts / 2 - len(values) / 2)[place]


def neighbour_accuracy(
    codes: np.ndarray, labels: np.ndarray, new_codes: np.ndarray, new_labels: np.ndarray, neighbours: int = 5
) -> float:
    """The share of new rows whose label most of the nearest known rows have: k-NN from known rows to new ones.

    Of labels that equally many have, that of the nearest row counts.

    Parameters
    ----------
    codes, labels : (n, *) and (n,) known rows; fewer than ``neighbours`` all count.
    new_codes, new_labels : (m, *) and (m,), m >= 1.
    neighbours : k >= 1.

    Examples
    --------
    >>> known = np.array([0.0, 1.0, 2.0, 9.0])[:, None]
    >>> neighbour_accuracy(known, np.array(["a", "b", "b", "c"]), np.array([[0.2], [8.0]]), np.array(["b", "c"]), 3)
    0.5
    """
    classes, number = np.unique(labels, return_inverse=True)
    known, new = (np.asarray(each, dtype=np.float64).reshape(len(each), -1) for each in (codes, new_codes))
    centre = known.mean(axis=0)  # as in `distances`
    known, new = known - centre, new - centre
    k = min(neighbours, len(known))
    votes = 1 + 0.5 ** np.arange(1, k + 1)  # all that is beside the ones is less than a vote, and most is the nearest's
    half, right = np.square(known).sum(axis=1) / 2, 0
    for start in range(0, len(new), 128):
        far = half - new[start : start + 128] @ known.T  # half the squared distance, but for the new row's length
        near = np.argpartition(far, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(near, np.take_along_axis(far, near, axis=1).argsort(axis=1, kind="stable"), axis=1)
        counts = np.zeros((len(far), len(classes)))
        np.add.at(counts, (np.arange(len(far))[:, None], number[near]), votes)
        right += int((classes[counts.argmax(axis=1)] == new_labels[start : start + 128]).sum())
    return right / len(new)


def distances(x: np.ndarray) -> np.ndarray:
    """(n, n) squared distances between rows (n, *), in float64; infinite from a row to itself."""
    flat = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    flat = flat - flat.mean(axis=0)  # |a - b|^2 as |a|^2 - 2 a.b + |b|^2 cancels less where rows lie about 0
    squares = np.square(flat).sum(axis=1)
    found = np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0.0)
    np.fill_diagonal(found, np.inf)
    return found


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """How far two sets of rows are apart, each taken as a normal distribution: the squared Fréchet distance.

        |m1 - m2|^2 + trace(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2)

    With the features of a network for rows, it judges generated samples by the data (the FID is this figure, in the
    features of one fixed network: figures by other features cannot be compared with it).

    Parameters
    ----------
    x, y : (n, d) and (m, d), at least two rows each; with fewer rows than some times d, the figure is too large.

    Returns
    -------
    float
        >= 0, in squared units of the rows; 0 where means and covariances are equal.

    Raises
    ------
    InputError : a set has one row, holds NaN or infinity, or the widths differ.

    References
    ----------
    Dowson & Landau 1982, The Fréchet distance between multivariate normal distributions; Heusel et al. 2017, GANs
    trained by a two time-scale update rule converge to a local Nash equilibrium.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_distance(x, x + [3.0, 4.0, 0.0]), 9)
    25.0
    """
    x, y = two_sets(x, y, least=2)
    means = [rows.mean(axis=0) for rows in (x, y)]
    first, second = (np.cov(rows, rowvar=False).reshape(x.shape[1], -1) for rows in (x, y))
    # The symmetric form has the same eigenvalues as S1 S2, and they are real and >= 0 but for rounding.
    squares, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(squares.clip(min=0))) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    apart = np.square(means[0] - means[1]).sum() + np.trace(first) + np.trace(second) - 2 * shared
    return max(0.0, float(apart))


def energy_coefficient(x: np.ndarray, y: np.ndarray, shuffles: int = 200) -> tuple[float, float]:
    """How far two sets of rows are apart, whatever their shape: 0 where they are alike, 1 where each is one point.

        H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|)

    Two normal distributions, one of which is twice as wide, have 0.05; whose means are one standard deviation apart
    in every column, 0.18.

    Parameters
    ----------
    x, y : (n, d) and (m, d); memory grows with (n + m) squared, 64 MB for 1,000 rows each.
    shuffles : how often the rows are dealt into two sets anew, to tell what comes by chance.

    Returns
    -------
    (float, float)
        H, and the value that 99 % of the sets that were dealt anew stay below.

    References
    ----------
    Székely & Rizzo 2013, Energy statistics: a class of statistics based on distances.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> apart, chance = energy_coefficient(rows[:150], rows[150:])
    >>> apart < chance < 0.03, energy_coefficient(rows[:9] * 0, rows[:9] * 0 + 1)[0]
    (True, 1.0)
    """
    x, y = two_sets(x, y, least=1)
    far = np.sqrt(np.where(np.isinf(found := distances(np.concatenate([x, y]))), 0.0, found))
    n, m = len(x), len(y)
    generator = np.random.default_rng(0)
    signs = np.repeat([1 / n, -1 / m], [n, m])[:, None]
    dealt = np.concatenate([signs, *(generator.permutation(signs) for _ in range(shuffles))], axis=1)
    # With 1/n for rows of x and -1/m for rows of y, s^T D s = E|X - X'| + E|Y - Y'| - 2 E|X - Y|.
    energies = -(dealt * (far @ dealt)).sum(axis=0)
    between = 2 * float(far[:n, n:].mean())
    if between == 0:
        return 0.0, 0.0
    return max(0.0, float(energies[0]) / between), float(np.quantile(energies[1:], 0.99)) / between


def two_sets(x: np.ndarray, y: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of rows in float64, refused in words where they cannot be compared."""
    x, y = (np.asarray(rows, dtype=np.float64) for rows in (x, y))
    for name, rows in (("x", x), ("y", y)):
        if rows.ndim != 2 or len(rows) < least or not rows.shape[1]:
            raise InputError(f"{name} must be (rows, features) with at least {least} rows; got shape {rows.shape}")
        if unusable := int((~np.isfinite(rows)).any(axis=1).sum()):
            raise InputError(f"{name} must be finite numbers; {unusable} of its {len(rows)} rows are not")
    if x.shape[1] != y.shape[1]:
        raise InputError(f"x and y must have the same features; got {x.shape[1]} and {y.shape[1]}")
    return x, y
