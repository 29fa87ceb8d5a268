"""Iterative quantisation: numbers turned so that rounding them to bits loses little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Rotation:
    """Iterative quantisation: centre rows and turn them so that their signs lose as little as can be.

        bits = (z - mean) matrix > 0,    |sign((z - mean) matrix) - (z - mean) matrix|^2 least

    Attributes
    ----------
    mean : (d,) float32. matrix : (d, bits) float32. Of more dimensions than bits, the principal components are turned;
        of fewer, the rows of the matrix are orthonormal, so that lengths are kept.

    References
    ----------
    Gong & Lazebnik 2011, Iterative quantization: a procrustean approach to learning binary codes.

    Examples
    --------
    >>> corners = np.random.default_rng(0).choice([-1.0, 1.0], (200, 4)) + 5
    >>> turned = Rotation.fit(corners, 4, np.random.default_rng(1))(corners)
    >>> turned.shape, bool(np.allclose(turned.std(0), 1, atol=0.2))
    ((200, 4), True)
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, Z: np.ndarray, bits: int, generator: np.random.Generator, rounds: int = 50) -> Rotation:
        """Learn from rows (n, d)."""
        mean = Z.mean(0, dtype=np.float64)
        centred = Z - mean
        basis = np.eye(Z.shape[1])
        if Z.shape[1] > bits:
            basis = np.linalg.eigh(centred.T @ centred)[1][:, : -bits - 1 : -1]
            centred = centred @ basis
        width = centred.shape[1]
        matrix = np.linalg.qr(generator.standard_normal((bits, width)))[0].T
        for _ in range(rounds):
            signs = np.where(centred @ matrix > 0, 1.0, -1.0)
            left, _, right = np.linalg.svd(centred.T @ signs, full_matrices=False)
            matrix = left @ right
        return cls(mean.astype(np.float32), (basis @ matrix).astype(np.float32))

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """(n, bits) float32: what is rounded to bits, 1 where it is above 0."""
        return (Z - self.mean) @ self.matrix
