"""How odd rows are as wholes: pictures, sequences, and whatever a fitted `Autoencoder` of the user's own takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.data import Form, Source
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness import (
    REFERENCE,
    ROWS,
    Making,
    fitted_surprises,
    folds,
    logs,
    newest,
    others,
    states,
    summed,
    surprises_from,
    taught,
    warn_of_empty,
    weight_of,
)
from isthmus.neighbours import nearest, nearest_other


@dataclass
class Fold:
    """A fitted autoencoder, by their numbers the rows that it was not fitted to and is judged on, and those that it
    was fitted to."""

    model: Autoencoder
    held_out: np.ndarray
    learnt: np.ndarray

    @classmethod
    def fit(cls, model: Autoencoder, source: Source, held_out: np.ndarray, learnt: np.ndarray) -> Fold:
        return cls(model.fit(source, sample_weight=weight_of(source.rows, learnt)), held_out, learnt)


@dataclass
class Wholes:
    """How odd rows are as wholes: how badly they are rebuilt, and how far their codes are from all others.

    Attributes
    ----------
    models : a fitted autoencoder for each fold.
    references : of each, codes among which the nearest is sought; empty = the distance is left out.
    usual : (features,) the mean squared error of each cell of rows that were held out.
    surprises : of each of the figures.
    """

    models: list[Autoencoder]
    references: list[Tensor]
    usual: np.ndarray
    surprises: list[Surprise]

    @classmethod
    def judging(cls, model: Autoencoder, source: Source, rows: np.ndarray, distance: bool) -> tuple[Wholes, np.ndarray]:
        """By an autoencoder that was fitted before, to other rows than these; and how odd they are."""
        made, figures = cls.of([Fold(model, rows, rows[:0])], source, distance)
        return made, summed(made.surprises, figures[0])

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, making: Making, distance: bool) -> tuple[Wholes, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        pairs = [(rows[held_out], others(rows, held_out)) for held_out in folds(len(rows))]
        made, figures = cls.of([Fold.fit(making(i), source, *pair) for i, pair in enumerate(pairs)], source, distance)
        return made, summed(made.surprises, np.concatenate(figures))

    @classmethod
    def of(
        cls, fitted: list[Fold], source: Source, distance: bool, passed: float = 0.0
    ) -> tuple[Wholes, list[np.ndarray]]:
        """By fitted autoencoders; and of each the (m, figures) of the rows that were held out from it.

        ``passed`` is the share of these rows, those that are rebuilt worst, that do not say what is usual.
        """
        made, figures, usual = cls([], [], np.zeros(source.layout.features), []), [], []
        for fold in fitted:
            errors, found = made.judged(fold, source, distance)
            kept = ~worst(found[:, 0], passed)
            made.usual += errors.sum(0, where=kept[:, None])
            figures.append(found)
            usual.append(found[kept])
        made.usual /= sum(map(len, usual))
        made.surprises = fitted_surprises(np.concatenate(usual))
        return made, figures

    def taught(self, source: Source, rows: np.ndarray) -> Wholes:
        """The same after a pass over some more rows, whose codes take the place of the oldest ones to be near to."""
        if not len(rows):
            return self
        models = taught(self.models, source, rows)
        pairs = zip(self.references, models, strict=False)
        references = [newest(codes, rebuilt_wholes(model, source, rows)[1]) for codes, model in pairs]
        return replace(self, models=models, references=references)

    def judged(self, fold: Fold, source: Source, distance: bool) -> tuple[np.ndarray, np.ndarray]:
        """Take in a fitted model; of its held-out rows, the squared errors of their cells, and the figures."""
        self.models.append(fold.model)
        errors, codes = rebuilt_wholes(fold.model, source, fold.held_out)
        found = [logs(errors.sum(1))]
        if distance:
            reference = codes[:REFERENCE]
            learnt = fold.learnt[: REFERENCE - len(reference)]
            if len(learnt):
                reference = torch.cat([reference, rebuilt_wholes(fold.model, source, learnt)[1]])
            self.references.append(reference)
            found.append(logs(nearest(codes, reference, own=0).square()))
        return errors, np.stack(found, 1)

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats; NaN where no cell is known."""
        found, empty = of_all(source, lambda rows: self.together(source, rows))
        warn_of_empty(empty, source)
        return found

    def together(self, source: Source, rows: np.ndarray) -> np.ndarray:
        """(n,) how odd some rows are, in the mean over the autoencoders."""
        return np.mean([self.by(place, source, rows) for place in range(len(self.models))], axis=0)

    def by(self, place: int, source: Source, rows: np.ndarray) -> np.ndarray:
        """(n,) how odd some rows are to one of the autoencoders."""
        errors, codes = rebuilt_wholes(self.models[place], source, rows)
        figures = [logs(errors.sum(1))]
        figures += [logs(nearest_other(codes, one).square()) for one in self.references[place : place + 1]]
        return summed(self.surprises, np.stack(figures, 1))

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the models."""
        codes = {f"reference{i}": one for i, one in enumerate(self.references)}
        return {}, states("surprise", self.surprises) | codes | {"usual": self.usual}

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Wholes:
        """The inverse of `state`."""
        references = [tensors[f"reference{i}"] for i in range(len(models)) if f"reference{i}" in tensors]
        return cls(models, references, tensors["usual"].numpy(), surprises_from("surprise", tensors))


def worst(figures: np.ndarray, share: float) -> np.ndarray:
    """(n,) bool: the share of rows whose figures are highest.

    >>> worst(np.array([0.3, 0.1, 0.9]), 1 / 3)
    array([False, False,  True])
    """
    found = np.zeros(len(figures), dtype=bool)
    found[np.argsort(figures, kind="stable")[len(figures) - round(share * len(figures)) :]] = True
    return found


def of_all(source: Source, odd: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """(rows,) how odd the rows of a source are, by what tells it of some rows at a time; and which are without any
    known cell, and so NaN."""
    found, empty = np.zeros(source.rows), list[int]()
    for start in range(0, source.rows, ROWS):
        rows = np.arange(start, min(start + ROWS, source.rows))
        weight = source.weight(rows)
        empty += [] if weight is None else rows[~weight.reshape(len(rows), -1).any(1)].tolist()
        found[rows] = odd(rows)
    found[empty] = np.nan
    return found, empty


def rebuilt_wholes(model: Autoencoder, source: Source, rows: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """(n, features) squared errors of every cell, 0 where it is missing, and (n, code_size) the codes."""
    errors, codes = [], []
    composition = model.composition_
    with torch.no_grad():
        for some in np.array_split(rows, max(1, -(-len(rows) // ROWS))):
            batch = model._batch(source, some)
            point = composition.represent(batch)
            off = composition.cell_errors(composition.rebuild(point, composition.context(batch)), batch.x)
            off = off if batch.weight is None else torch.where(batch.weight > 0, off, 0.0)
            errors.append(off.flatten(1).double().cpu().numpy())
            codes.append(point.float().cpu())
    return np.concatenate(errors), torch.cat(codes)
