"""A linear head on features that stay as they are, for several strengths of its penalty at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from isthmus.estimators.targets import Targets

STRENGTHS = (0.03, 0.3, 3.0, 30.0, 300.0)
"""What the error counts beside half the squared length of the weights, as scikit-learn's C, for features whose squared
length is 1 in the mean."""

USUAL = 3.0
"""The strength where no labels can be held out to choose it by."""


@dataclass(frozen=True)
class Linear:
    """out = x @ weights.T + bias: weights (outputs, width), bias (outputs,)."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weights.T + self.bias


def probe(x: np.ndarray, targets: Targets, strength: float) -> Linear:
    """Logistic regression for classes and labels, ridge regression for numbers.

    Parameters
    ----------
    x : (n, width) features, standardised, their squared length 1 in the mean.
    targets : of the same rows, all of them known.
    strength : C of a logistic regression, 1 / alpha of a ridge regression.
    """
    x = x.astype(np.float64)
    # Of penalised linear models the weights lie in the span of the rows: of few rows, as few numbers are to be found.
    basis = np.linalg.svd(x, full_matrices=False)[2] if len(x) < x.shape[1] else None
    found = solved(x if basis is None else x @ basis.T, targets, strength)
    return found if basis is None else Linear(found.weights @ basis, found.bias)


def solved(x: np.ndarray, targets: Targets, strength: float) -> Linear:
    if targets.kind == "classes":
        model = LogisticRegression(C=strength, tol=1e-6, max_iter=1000)
        model.fit(x, targets.values, sample_weight=targets.weight)
        if targets.outputs > 2:
            return Linear(model.coef_, model.intercept_)
        # A number for each of two classes, as there is for each of many.
        return Linear(np.concatenate([-model.coef_, model.coef_]) / 2, np.outer((-0.5, 0.5), model.intercept_)[:, 0])
    each = [one_output(x, targets, output, strength) for output in range(targets.outputs)]
    return Linear(np.stack([weights for weights, _ in each]), np.array([bias for _, bias in each]))


def one_output(x: np.ndarray, targets: Targets, output: int, strength: float) -> tuple[np.ndarray, float]:
    """Weights and bias of one label or number, from the rows where it is known."""
    known = np.flatnonzero(~np.isnan(targets.values[:, output]))
    values, weight = targets.values[known, output], targets.weight[known, output]
    if targets.kind == "numbers":
        if not len(known):
            return np.zeros(x.shape[1]), 0.0
        ridge = Ridge(alpha=1 / strength).fit(x[known], values)
        return ridge.coef_, float(ridge.intercept_)
    if len(np.unique(values)) < 2:  # in a part of the rows: all that can be said is how frequent the label is
        share = (values.sum() + 0.5) / (len(values) + 1)
        return np.zeros(x.shape[1]), float(np.log(share / (1 - share)))
    model = LogisticRegression(C=strength, tol=1e-6, max_iter=1000).fit(x[known], values, sample_weight=weight)
    return model.coef_[0], float(model.intercept_[0])
