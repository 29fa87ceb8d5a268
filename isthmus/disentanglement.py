"""Do single units of a code stand for single causes of the data? Asked where the true causes (factors) are known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from isthmus.errors import InputError

BINS = 20
"""Equal stretches that a unit's range is cut into to count; a factor with more values than this is cut likewise, and is
taken for a quantity rather than a category."""
TREES, LEAF, SPLIT = 20, 2, 0.75
"""Of the forests behind `dci`: trees, the fewest rows in a leaf, and the share of the rows that they are grown on."""


class Dci(NamedTuple):
    """Each between 0 and 1, more is better; see `dci`."""

    disentanglement: float
    completeness: float
    informativeness: float


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """Mutual information gap: by how much the best unit tells more of a factor than the next best.

        mean over factors v of  (I(z_best; v) - I(z_next; v)) / H(v)

    Parameters
    ----------
    codes : (n, units); each unit is cut into 20 equal stretches.
    factors : (n, k) numbers or categories; those with more than 20 values are cut likewise, and those with one value
        are left out.

    Returns
    -------
    float
        0 (no unit stands for one factor alone) to 1 (each factor is told by one unit, and by no other).

    References
    ----------
    Chen, Li, Grosse & Duvenaud 2018, Isolating sources of disentanglement in variational autoencoders.

    Examples
    --------
    >>> factors = np.stack(np.meshgrid(range(4), range(5)), -1).reshape(-1, 2)
    >>> round(mig(factors, factors), 9), round(mig(factors[:, [0, 0, 1]], factors), 9)
    (1.0, 0.5)
    """
    codes, factors = checked(codes, factors)
    units = [cut(unit) for unit in codes.T]
    gaps = []
    for factor in factors.T:
        shared = sorted(mutual_information(unit, factor) for unit in units)
        gaps.append((shared[-1] - (shared[-2] if len(shared) > 1 else 0.0)) / entropy(factor))
    return float(np.mean(gaps))


def sap(codes: np.ndarray, factors: np.ndarray) -> float:
    """Separated attribute predictability: by how much the best unit alone predicts a factor better than the next best.

    A prediction is judged by its squared correlation for quantities (more than 20 values), and for categories by the
    mean share of each that the best thresholds on the unit tell right: where codes are factors of two values, the best
    unit has 1 and the next 1/2, so that 1/2 is the most there is.

    Parameters and range are those of `mig`.

    References
    ----------
    Kumar, Sattigeri & Balakrishnan 2018, Variational inference of disentangled latent concepts from unlabeled
    observations.

    Examples
    --------
    >>> factors = np.stack(np.meshgrid([0, 1], [0, 1]), -1).reshape(-1, 2)
    >>> sap(factors, factors)
    0.5
    """
    codes, factors = checked(codes, factors, whole=False)
    gaps = []
    for factor in factors.T:
        predicted = sorted(alone(unit, factor) for unit in codes.T)
        gaps.append(predicted[-1] - (predicted[-2] if len(predicted) > 1 else 0.0))
    return float(np.mean(gaps))


def dci(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> Dci:
    """Disentanglement, completeness and informativeness, by how much forests rely on each unit to tell each factor.

    With R (units, factors) the forests' importances: disentanglement is 1 - the entropy (in units of its most) of a
    unit's row, weighted by what the unit is relied on in all; completeness is 1 - that of a factor's column;
    informativeness is the accuracy, or for quantities R^2, on a quarter of the rows that was held out.

    Parameters
    ----------
    codes, factors : as for `mig`.
    seed : of the forests and of the rows held out.

    References
    ----------
    Eastwood & Williams 2018, A framework for the quantitative evaluation of disentangled representations.

    Examples
    --------
    >>> factors = np.stack(np.meshgrid(range(9), range(9)), -1).reshape(-1, 2).repeat(3, axis=0)
    >>> dci(factors, factors)
    Dci(disentanglement=1.0, completeness=1.0, informativeness=1.0)
    """
    codes, factors = checked(codes, factors, whole=False)
    order = np.random.default_rng(seed).permutation(len(codes))
    grown, held = np.split(order, [max(1, int(SPLIT * len(order)))])
    relied, told = [], []
    for factor in factors.T:
        quantity = is_quantity(factor)
        forest: Any = (RandomForestRegressor if quantity else RandomForestClassifier)(
            # Every unit at every split: with fewer, forests spread what one unit tells over the others.
            n_estimators=TREES, max_features=None, min_samples_leaf=LEAF, random_state=seed,
        ).fit(codes[grown], factor[grown])  # fmt: skip
        relied.append(forest.feature_importances_)
        told.append(max(0.0, float(forest.score(codes[held], factor[held]))) if len(held) > 1 else float("nan"))
    relied_on = np.stack(relied, axis=1)
    weights = relied_on.sum(axis=1) / max(relied_on.sum(), np.finfo(float).tiny)
    return Dci(
        float((weights * concentration(relied_on)).sum()),
        float(concentration(relied_on.T).mean()),
        float(np.mean(told)),
    )


def concentration(amounts: np.ndarray) -> np.ndarray:
    """(m, k) amounts >= 0 -> (m,): 1 where a row has one amount only, 0 where all are equal (or 0)."""
    most = amounts.shape[1]
    if most == 1:
        return np.ones(len(amounts))
    total = amounts.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, amounts / np.where(total > 0, total, 1.0), 1 / most)
    return 1 + (shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1) / np.log(most)


def alone(unit: np.ndarray, factor: np.ndarray) -> float:
    """How well one unit predicts a factor: a quantity's squared correlation, a category's balanced accuracy."""
    if is_quantity(factor):
        varies = unit.std() > 0
        return float(np.corrcoef(unit, factor)[0, 1] ** 2) if varies else 0.0
    kinds, numbers = np.unique(factor, return_inverse=True)
    # A tree of as many leaves as there are categories is the best thresholds on the unit.
    tree = DecisionTreeClassifier(max_leaf_nodes=len(kinds), class_weight="balanced", random_state=0)
    right = tree.fit(unit[:, None], numbers).predict(unit[:, None]) == numbers
    return float(np.mean([right[numbers == kind].mean() for kind in range(len(kinds))]))


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Nats that two arrays (n,) of whole numbers >= 0 tell of each other: H(first) + H(second) - H(both).

    >>> mutual_information(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])) == entropy(np.array([0, 1]))
    True
    """
    both = first.astype(np.int64) * (int(second.max()) + 1) + second
    return max(0.0, entropy(first) + entropy(second) - entropy(both))


def entropy(values: np.ndarray) -> float:
    """Nats of the values' frequencies."""
    counts = np.unique(values, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def is_quantity(factor: np.ndarray) -> bool:
    return len(np.unique(factor)) > BINS


def cut(values: np.ndarray) -> np.ndarray:
    """(n,) numbers as the number of their stretch, 0 to 19."""
    low, high = values.min(), values.max()
    if high == low:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum((BINS * ((values - low) / (high - low))).astype(np.int64), BINS - 1)


def checked(codes: Any, factors: Any, *, whole: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, units) and the factors (n, k) that vary, as numbers; as whole numbers of their values if asked for."""
    codes, factors = np.asarray(codes, dtype=np.float64), np.asarray(factors)
    factors = factors[:, None] if factors.ndim == 1 else factors
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or not codes.size:
        raise InputError(
            f"factors must have one row per code, (n, k) beside (n, units); got {factors.shape} beside {codes.shape}"
        )
    if factors.dtype.kind in "fiub":
        if not np.isfinite(factors.astype(np.float64)).all() or not np.isfinite(codes).all():
            raise InputError("codes and factors must be finite; got NaN or infinity")
        numbers = factors.astype(np.float64)
    else:  # names
        numbers = np.stack([np.unique(factor.astype(str), return_inverse=True)[1] for factor in factors.T], axis=1)
    kept = [factor for factor in numbers.T if len(np.unique(factor)) > 1]
    if not kept:
        raise InputError("factors must vary: every one of them is the same for all rows")
    if whole:
        kept = [cut(factor) if is_quantity(factor) else np.unique(factor, return_inverse=True)[1] for factor in kept]
    return codes, np.stack(kept, axis=1)
