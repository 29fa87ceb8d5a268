"""The models of a `Recommender`: each makes scores of histories, each row on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse

from isthmus.errors import InputError
from isthmus.recommending.gram import gram
from isthmus.recommending.linear import check_exact, edlae, item_scores, reasons
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.sparse_linear import sparse_ease

INSTEAD = "method='sparse', which keeps only the nearest neighbours of each item, needs far less."

EXACT, SPARSE, POPULARITY = ("ease", "edlae"), "sparse", "popularity"


class Model(Protocol):
    """What a recommender asks of a fitted model."""

    def scores(self, histories: scipy.sparse.csr_array) -> np.ndarray:
        """(users, items) of (users, items) histories; all 0 where a history says nothing."""

    def alike(self, item: int) -> np.ndarray:
        """(items,) float64 in [-1, 1], how like each item is to this one."""

    def reasons(self, history: scipy.sparse.csr_array, item: int) -> tuple[np.ndarray, np.ndarray]:
        """The items of a (1, items) history, what says most for ``item`` first, and what each adds to its score."""


@dataclass(frozen=True, eq=False, repr=False)
class ItemWeights:
    """A linear model. ``weights``: (items, items) float32, dense or sparse; (i, j) is what item i says for item j."""

    weights: np.ndarray | scipy.sparse.csr_array

    def scores(self, histories: scipy.sparse.csr_array) -> np.ndarray:
        return item_scores(histories, self.weights)

    def alike(self, item: int) -> np.ndarray:
        """The partial correlation: with B_ij = -P_ij / P_jj it is -P_ij / sqrt(P_ii P_jj), which has no favourites."""
        if isinstance(self.weights, scipy.sparse.csr_array):
            there, back = self.weights[[item]].toarray()[0], self.weights[:, [item]].toarray()[:, 0]
        else:
            there, back = self.weights[item], self.weights[:, item]
        # The two have one sign in exact models; local ones need not agree, and say nothing then.
        product = np.maximum(there.astype(np.float64) * back, 0.0)
        return np.asarray(np.sign(there) * np.minimum(np.sqrt(product), 1.0))

    def reasons(self, history: scipy.sparse.csr_array, item: int) -> tuple[np.ndarray, np.ndarray]:
        return reasons(history, item, self.weights)


@dataclass(frozen=True, eq=False, repr=False)
class Popular:
    """The same for everyone. ``popular``: (items,) how often each was taken."""

    popular: np.ndarray

    def scores(self, histories: scipy.sparse.csr_array) -> np.ndarray:
        return popular_scores(histories, self.popular)

    def alike(self, item: int) -> np.ndarray:
        raise InputError("popularity knows nothing of what items are like; method='ease' does")

    def reasons(self, history: scipy.sparse.csr_array, item: int) -> tuple[np.ndarray, np.ndarray]:
        raise InputError("popularity recommends the same to everyone, whatever they did; method='ease' has reasons")


@dataclass(frozen=True)
class Knobs:
    """A method and what it was fitted with: lambda, the dropout, and weights for each item of the sparse method."""

    method: str
    strength: float = 1.0
    dropout: float = 0.0
    neighbours: int = 100

    def in_words(self) -> str:
        """
        >>> Knobs("edlae", 300.0, 0.25).in_words(), Knobs("ease", 0.5).in_words(), Knobs("popularity").in_words()
        ('EDLAE, strength 300, dropout 0.25', 'EASE, strength 0.5', 'popularity')
        """
        if self.method == POPULARITY:
            return "popularity"
        name = f"sparse EASE, {self.neighbours} neighbours" if self.method == SPARSE else self.method.upper()
        return f"{name}, strength {self.strength:g}" + (f", dropout {self.dropout:g}" if self.dropout else "")


def fitted(x: scipy.sparse.csr_array, knobs: Knobs, g: np.ndarray | None = None) -> Model:
    """The model of (users, items) ``x``; ``g`` is its Gram matrix, where it is known."""
    if knobs.method == POPULARITY:
        return Popular(popularity(x))
    if knobs.method == SPARSE:
        made = sparse_ease(
            x,
            knobs.strength,
            neighbours=knobs.neighbours,
            kept=max(1000, knobs.neighbours),
            dropout=knobs.dropout,
        )
        return ItemWeights(made)
    return ItemWeights(edlae(exact_gram(x) if g is None else g, knobs.dropout, knobs.strength))


def exact_gram(x: scipy.sparse.csr_array) -> np.ndarray:
    """G, refused before it is made where it and the weights would not fit."""
    check_exact(x.shape[1], INSTEAD)
    return gram(x)
