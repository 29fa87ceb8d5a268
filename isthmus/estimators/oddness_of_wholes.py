"""How odd rows are as wholes: pictures, sequences, and whatever a fitted `Autoencoder` of the user's own takes."""

from __future__ import annotations

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
    without,
)
from isthmus.neighbours import nearest, nearest_other


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
        return cls.of([(model, slice(0, len(rows)))], source, rows, distance)

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, making: Making, distance: bool) -> tuple[Wholes, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        pairs = [
            (making(place).fit(source, sample_weight=without(source.rows, rows, held_out)), held_out)
            for place, held_out in enumerate(folds(len(rows)))
        ]
        return cls.of(pairs, source, rows, distance)

    @classmethod
    def of(
        cls, pairs: list[tuple[Autoencoder, slice]], source: Source, rows: np.ndarray, distance: bool
    ) -> tuple[Wholes, np.ndarray]:
        """By fitted autoencoders, each with which of the rows it was not fitted to."""
        made = cls([], [], np.zeros(source.layout.features), [])
        figures = np.concatenate([made.judged(*pair, source, rows, distance) for pair in pairs])
        made.usual /= len(figures)
        made.surprises = fitted_surprises(figures)
        return made, summed(made.surprises, figures)

    def taught(self, source: Source, rows: np.ndarray) -> Wholes:
        """The same after a pass over some more rows, whose codes take the place of the oldest ones to be near to."""
        if not len(rows):
            return self
        models = taught(self.models, source, rows)
        pairs = zip(self.references, models, strict=False)
        references = [newest(codes, rebuilt_wholes(model, source, rows)[1]) for codes, model in pairs]
        return replace(self, models=models, references=references)

    def judged(
        self, model: Autoencoder, held_out: slice, source: Source, rows: np.ndarray, distance: bool
    ) -> np.ndarray:
        """Take in a fitted model; and the figures of its held-out rows."""
        self.models.append(model)
        errors, codes = rebuilt_wholes(model, source, rows[held_out])
        self.usual += errors.sum(0)
        found = [logs(errors.sum(1))]
        if distance:
            reference = codes[:REFERENCE]
            learnt = others(rows, held_out)[: REFERENCE - len(reference)]
            if len(learnt):
                reference = torch.cat([reference, rebuilt_wholes(model, source, learnt)[1]])
            self.references.append(reference)
            found.append(logs(nearest(codes, reference, own=0).square()))
        return np.stack(found, 1)

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats."""
        found, empty = np.zeros(source.rows), list[int]()
        for start in range(0, source.rows, ROWS):
            rows = np.arange(start, min(start + ROWS, source.rows))
            weight = source.weight(rows)
            empty += [] if weight is None else rows[~weight.reshape(len(rows), -1).any(1)].tolist()
            for place, model in enumerate(self.models):
                errors, codes = rebuilt_wholes(model, source, rows)
                figures = [logs(errors.sum(1))]
                figures += [logs(nearest_other(codes, one).square()) for one in self.references[place : place + 1]]
                found[rows] += summed(self.surprises, np.stack(figures, 1)) / len(self.models)
        found[empty] = 0.0
        warn_of_empty(empty, source)
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the models."""
        codes = {f"reference{i}": one for i, one in enumerate(self.references)}
        return {}, states("surprise", self.surprises) | codes | {"usual": self.usual}

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Wholes:
        """The inverse of `state`."""
        references = [tensors[f"reference{i}"] for i in range(len(models)) if f"reference{i}" in tensors]
        return cls(models, references, tensors["usual"].numpy(), surprises_from("surprise", tensors))


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
