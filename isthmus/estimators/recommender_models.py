"""The models of a `Recommender`: each makes scores of histories, each row on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.estimators.recommender_deep import DeepWeights, inherit
from isthmus.estimators.recommender_kinds import IN_WORDS, DeepKnobs, composition_of
from isthmus.estimators.recommender_training import plan_of, trained
from isthmus.recommending.gram import gram
from isthmus.recommending.linear import check_exact, edlae, item_scores, reasons
from isthmus.recommending.popularity import popular_scores, popularity
from isthmus.recommending.sparse_linear import sparse_ease

AGAIN = 0.25
"""The share of its epochs for which a network is trained again when more interactions come."""

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
    """A method and what it was fitted with: lambda, the dropout, and weights for each item of the sparse method; of a
    deep method these are of its linear path, and ``deep`` holds its own. ``given`` and ``item_given`` are the weights
    of what is known of users and of items."""

    method: str
    strength: float = 1.0
    dropout: float = 0.0
    neighbours: int = 100
    deep: DeepKnobs | None = None
    given: float = 0.0
    item_given: float = 0.0

    @property
    def linear(self) -> Knobs | None:
        """What is linear of it: itself, the linear path of a deep method, or None."""
        if self.deep is None:
            return None if self.method == POPULARITY else self
        return Knobs(self.deep.linear, self.strength, self.dropout, self.neighbours) if self.deep.gain else None

    @property
    def exact(self) -> bool:
        """Whether it needs the Gram matrix."""
        return self.linear is not None and self.linear.method in EXACT

    def in_words(self) -> str:
        """
        >>> Knobs("edlae", 300.0, 0.25).in_words(), Knobs("ease", 0.5).in_words(), Knobs("popularity").in_words()
        ('EDLAE, strength 300, dropout 0.25', 'EASE, strength 0.5', 'popularity')
        >>> Knobs("mult_vae", 20.0, deep=DeepKnobs(epochs=40, gain=12.0, linear="ease")).in_words()
        'Mult-VAE, code of 200, 40 epochs, with 12 times EASE, strength 20, as its linear path'
        >>> Knobs("ease", 0.5, given=3.0).in_words()
        'EASE, strength 0.5; given weighs 3'
        """
        if self.method == POPULARITY:
            return "popularity"
        known = {"given": self.given, "item_given": self.item_given}
        told = ", ".join(f"{name} weighs {weight:g}" for name, weight in known.items() if weight)
        return f"{self.model_in_words()}; {told}" if told else self.model_in_words()

    def model_in_words(self) -> str:
        """The same without what is known beside the histories."""
        if self.deep is not None:
            path = ""
            if self.linear is not None:
                path = f", with {self.deep.gain:g} times {self.linear.in_words()}, as its linear path"
            trained = f"code of {self.deep.code_size}, {counted(self.deep.epochs, 'epoch')}"
            return f"{IN_WORDS[self.method]}, {trained}{path}"
        name = f"sparse EASE, {self.neighbours} neighbours" if self.method == SPARSE else self.method.upper()
        return f"{name}, strength {self.strength:g}" + (f", dropout {self.dropout:g}" if self.dropout else "")


def knobs_from(kept: dict[str, Any]) -> Knobs:
    """The inverse of ``dataclasses.asdict``, by way of JSON."""
    deep = kept.get("deep")  # files of linear models may have no such entry
    made = None if deep is None else DeepKnobs(**{**deep, "hidden": tuple(deep["hidden"])})
    return Knobs(**{**kept, "deep": made})


def fitted(
    x: scipy.sparse.csr_array,
    knobs: Knobs,
    g: np.ndarray | None = None,
    max_time: float | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Model:
    """The model of (users, items) ``x``.

    Parameters
    ----------
    g : its Gram matrix, where it is known.
    max_time : seconds after which the training of a network stops, perhaps before its epochs are over.
    """
    if knobs.method == POPULARITY:
        return Popular(popularity(x))
    if knobs.deep is not None:
        composition = composition_of(knobs.method, x.shape[1], knobs.deep)
        plan = plan_of(knobs.deep.epochs, knobs.deep.seed, x.shape[0], max_time)
        found = trained(composition, x, plan, say=say)
        return DeepWeights(composition, path_of(x, knobs, g), knobs.deep.gain, found.epoch)
    return ItemWeights(item_weights(x, knobs, g))


def continued(
    model: DeepWeights,
    places: np.ndarray,
    x: scipy.sparse.csr_array,
    knobs: Knobs,
    g: np.ndarray | None = None,
    max_time: float | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> DeepWeights:
    """A network that goes on from its weights for `AGAIN` of its epochs; its linear path is made anew.

    Parameters
    ----------
    places : (old items,) the columns of ``x`` that the items of ``model`` have now; the others are new.
    """
    assert knobs.deep is not None
    composition = composition_of(knobs.method, x.shape[1], knobs.deep)
    inherit(composition, model.composition, places)
    plan = plan_of(max(1, round(AGAIN * knobs.deep.epochs)), knobs.deep.seed, x.shape[0], max_time)
    found = trained(composition, x, plan, say=say, from_epoch=model.epochs)
    return DeepWeights(composition, path_of(x, knobs, g), knobs.deep.gain, model.epochs + found.epoch)


def path_of(
    x: scipy.sparse.csr_array, knobs: Knobs, g: np.ndarray | None
) -> np.ndarray | scipy.sparse.csr_array | None:
    """The weights of the linear path of a deep method."""
    return None if knobs.linear is None else item_weights(x, knobs.linear, g)


def item_weights(x: scipy.sparse.csr_array, knobs: Knobs, g: np.ndarray | None) -> np.ndarray | scipy.sparse.csr_array:
    """(items, items) of a linear method."""
    if knobs.method == SPARSE:
        return sparse_ease(
            x,
            knobs.strength,
            neighbours=knobs.neighbours,
            kept=max(1000, knobs.neighbours),
            dropout=knobs.dropout,
        )
    return edlae(exact_gram(x) if g is None else g, knobs.dropout, knobs.strength)


def exact_gram(x: scipy.sparse.csr_array) -> np.ndarray:
    """G, refused before it is made where it and the weights would not fit."""
    check_exact(x.shape[1], INSTEAD)
    return gram(x)
