"""Rows of any width as a few hundred numbers, sparse ones without ever being made dense: what hashing begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.utils.extmath import randomized_svd

from isthmus.data import Form, Scaling, Source, SparseSource, open_source
from isthmus.errors import InputError
from isthmus.pca import principal_components

WIDEST = 500
"""Numbers that a row is projected to, at most."""

LEAST = 1e-9
"""Components with less of the first one's variance are none: there is nothing but rounding in them."""

SOME = 4096
"""Rows that are projected at once."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The principal components of rows, all brought to a mean square of about 1.

    Dense rows are scaled as an `Autoencoder` scales them. Sparse rows get length 1 before (counts after
    ``log(1 + x)`` times the log of how rare the column is) and once more after the projection: of texts it is the
    direction that matters, not the length.

    Attributes
    ----------
    form : what the rows looked like: later ones must look the same.
    scaling : of dense rows; None = they are sparse.
    weights : (features,) float32, what columns of sparse counts are multiplied by; None = they hold no counts.
    mean : (size,) float32, in components. matrix : (features, size) float32.
    """

    form: Form
    scaling: Scaling | None
    weights: np.ndarray | None
    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, seed: int) -> Projection:
        """Learn from some rows, given by their sorted numbers."""
        if not isinstance(source, SparseSource):
            scaling = Scaling.fit(source, rows)
            blocks = (scaling.forward(source.take(some)) for some in np.array_split(rows, -(-len(rows) // SOME)))
            found = principal_components(blocks)
            some = max(1, min(WIDEST, int((found.variances > LEAST * found.variances[0]).sum())))
            matrix = found.components[:some].T
            size = np.sqrt(max(found.variances[:some].mean(), np.finfo(np.float32).tiny))
            matrix = np.ascontiguousarray(matrix / size, dtype=np.float32)
            return cls(source.form, scaling, None, (found.mean @ matrix).astype(np.float32), matrix)
        matrix = checked(source.matrix[rows])
        weights = rarity(matrix) if are_counts(matrix) else None
        known = of_length_one(matrix, weights)
        size = min(WIDEST, len(rows) - 1, source.layout.features)
        _, _, components = randomized_svd(known, size, n_iter=4, random_state=seed)
        basis = np.ascontiguousarray(components.T, dtype=np.float32)
        return cls(source.form, None, weights, (known @ basis).mean(0, dtype=np.float64).astype(np.float32), basis)

    @property
    def size(self) -> int:
        return self.matrix.shape[1]

    def __call__(self, X: Any, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, size) float32 of rows like those of the fit, or of some of them by their numbers."""
        source = open_source(X, form=self.form, estimator_name="Retriever")
        rows = np.arange(source.rows) if rows is None else rows
        made = np.empty((len(rows), self.size), dtype=np.float32)
        for start in range(0, len(rows), SOME):
            some = rows[start : start + SOME]
            made[start : start + SOME] = self.projected(source, some, start)
        return made

    def projected(self, source: Source, rows: np.ndarray, first: int) -> np.ndarray:
        if self.scaling is not None:
            x = self.scaling.forward(source.take(rows), source.argument, first)
            return x.flatten(1).numpy() @ self.matrix - self.mean
        if not isinstance(source, SparseSource):
            source = SparseSource(scipy.sparse.csr_array(source.take(rows)), argument=source.argument)
            rows = np.arange(len(rows))
        made = of_length_one(checked(source.matrix[rows]), self.weights) @ self.matrix - self.mean
        length = np.linalg.norm(made, axis=1, keepdims=True)
        return made * (np.sqrt(self.size) / np.maximum(length, np.finfo(np.float32).tiny))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays."""
        form, arrays = self.form.state()
        tensors = {"mean": self.mean, "matrix": self.matrix, **{f"form.{k}": v for k, v in arrays.items()}}
        spec: dict[str, Any] = {"form": form, "scaling": None}
        if self.weights is not None:
            tensors["weights"] = self.weights
        if self.scaling is not None:
            spec["scaling"], arrays = self.scaling.state()
            tensors |= {f"scaling.{k}": v for k, v in arrays.items()}
        return spec, tensors

    @classmethod
    def restore(cls, spec: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Projection:
        """The inverse of `state`."""

        def group(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        form, scaling = Form.restore(spec["form"], group("form.")), None
        if spec["scaling"] is not None:
            scaling = Scaling.restore(spec["scaling"], group("scaling."), names=form.names)
        return cls(form, scaling, tensors.get("weights"), tensors["mean"], tensors["matrix"])


def checked(matrix: Any) -> Any:
    """The sparse rows, if all of their numbers are finite."""
    if not np.isfinite(matrix.data).all():
        raise InputError("X holds NaN or infinity; sparse rows must be finite numbers: leave such cells out")
    return matrix


def are_counts(matrix: Any) -> bool:
    return bool(len(matrix.data)) and bool((matrix.data >= 0).all() and (matrix.data == np.rint(matrix.data)).all())


def rarity(matrix: Any) -> np.ndarray:
    """(features,) log of the share of the rows in which a column is not 0, turned round; 1 is added to numerator and
    denominator, and to the logarithm, as scikit-learn does."""
    found = np.bincount(matrix.indices[matrix.data != 0], minlength=matrix.shape[1])
    return (1 + np.log((1 + matrix.shape[0]) / (1 + found))).astype(np.float32)


def of_length_one(matrix: Any, weights: np.ndarray | None) -> Any:
    """Sparse rows of length 1, float32; a row of zeros stays so."""
    data = matrix.data.astype(np.float32)
    if weights is not None:
        data = np.log1p(data.clip(min=0)) * weights[matrix.indices]
    made = scipy.sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    length = np.sqrt(made.multiply(made).sum(1)).ravel()
    each = np.repeat(1 / np.maximum(length, np.finfo(np.float32).tiny), np.diff(matrix.indptr))
    made.data = (data * each).astype(np.float32)
    return made


def nearest_rows(rows: torch.Tensor, among: torch.Tensor, k: int, *, own: bool = False) -> torch.Tensor:
    """(n, k) int64, the numbers of the k nearest by Euclidean distance, nearest first; with ``own``, ``rows`` are
    those ``among`` which is sought, and none is its own neighbour."""
    half, found = among.square().sum(1) / 2, []
    for start in range(0, len(rows), 512):
        likeness = torch.addmm(half, rows[start : start + 512], among.T, beta=-1.0)
        if own:
            at = torch.arange(len(likeness))
            likeness[at, start + at] = -torch.inf
        found.append(likeness.topk(k, dim=1).indices)
    return torch.cat(found)
