"""How odd rows of mixed tables, and of such with gaps, are: cell by cell, given cells of other columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.composition import Composition
from isthmus.data import Form, Source
from isthmus.data.doubled import ROUNDING
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness import (
    ROWS,
    Making,
    folds,
    others,
    states,
    summed,
    surprises_from,
    taught,
    warn_of_empty,
    weight_of,
)
from isthmus.records import EVALUATION, Batch, Context, Seen

GROUPS = 6
"""Of a mixed table, columns are hidden in so many groups, one after the other."""

LEAST_NATS = 0.5
"""The least spread of a column's costs: cells that cost nearly nothing, all alike, are no reason to shout at one that
costs a little."""


MOVED = 1e30
"""Nats of a cell that holds another value than its column always did: no other cell is ever odder because of it."""

MOST_NATS = 100.0
"""No cell counts for more: nothing that was held out tells of probabilities below exp(-100)."""


class Columns(NamedTuple):
    """What the columns of a mixed table are, (columns,) each.

    Attributes
    ----------
    number : whether a column holds numbers that vary.
    unseen : the number of its level that stands for values which the fit never met, -1 = none.
    constant : whether it holds numbers that were always the same.
    rounding : how far from that number rounding leads, in scaled units.
    """

    number: np.ndarray
    unseen: np.ndarray
    constant: np.ndarray
    rounding: np.ndarray


@dataclass
class Cells:
    """How odd rows of a mixed table are: by the sum of how odd each known cell is, and by the oddest of them.

    An autoencoder that has learnt to fill hidden cells is shown each row `GROUPS` times, each time with other columns
    hidden: what the true cells cost then, in nats, is compared with what held-out rows' cells of that column cost. A
    number is as odd as that, or as its distance from the middle, whichever is odder: what no row comes near is odd
    whatever the others say. So is a level that the fit never met, and another value in a column that was constant.

    Attributes
    ----------
    models : a fitted autoencoder for each fold.
    surprises : of the costs of the cells of each column.
    far : of the distances from the middle, of each column; of those that hold no numbers, of nothing.
    totals : of a row's sum, and of its oddest cell.
    new : nats that a cell of a level which the fit never met is odd at least.
    """

    models: list[Autoencoder]
    surprises: list[Surprise]
    far: list[Surprise]
    totals: list[Surprise]
    new: float

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, making: Making, distance: bool) -> tuple[Cells, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        made, found = cls([], [], [], [], float(np.log(len(rows) + 1))), []
        for place, held_out in enumerate(folds(len(rows))):
            made.models.append(making(place).fit(source, sample_weight=weight_of(source.rows, others(rows, held_out))))
            found.append(costs_of(made.models[place], source, rows[held_out]))
        costs, x = (np.concatenate(parts) for parts in zip(*found, strict=True))
        known = ~np.isnan(costs).all(1)
        costs, x = costs[known], x[known]  # rows of which nothing is known tell nothing of what is ordinary
        made.surprises = [surprise_of_known(column) for column in costs.T]
        made.far = [surprise_of_known(column) for column in made.distances(x).T]
        made.totals = [Surprise.fit(figure, least_spread=LEAST_NATS) for figure in made.figures(costs, x).T]
        return made, made.added(costs, x)

    def taught(self, source: Source, rows: np.ndarray) -> Cells:
        """The same after a pass over some more rows."""
        return replace(self, models=taught(self.models, source, rows)) if len(rows) else self

    def added(self, costs: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(n,) nats of rows by the costs of their cells and by the cells, both (n, columns), NaN = missing."""
        return summed(self.totals, self.figures(costs, x))

    def figures(self, costs: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(n, 2) the sum over a row's cells, of each `MOST_NATS` at most, and the oddest of them; 0 where all are
        missing."""
        each = np.nan_to_num(np.minimum(self.surprised(costs, x), MOST_NATS))
        return np.stack([each.sum(1), each.max(1)], 1)

    def distances(self, x: np.ndarray) -> np.ndarray:
        """(n, columns) distances of numbers from the middle, in scaled units; NaN = missing, and 0 for all else."""
        return np.where(self.layout.number, np.abs(x), np.where(np.isnan(x), np.nan, 0.0))

    def surprised(self, costs: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(n, columns) nats of cells."""
        of = self.layout
        given = np.stack([surprise(cost) for surprise, cost in zip(self.surprises, costs.T, strict=True)], 1)
        alone = np.stack([surprise(far) for surprise, far in zip(self.far, self.distances(x).T, strict=True)], 1)
        # The smaller of two probabilities is below p with a probability of up to 2 p.
        found = np.where(alone > given + np.log(2), alone - np.log(2), given)
        found = np.where((of.unseen >= 0) & (x == of.unseen), np.maximum(found, self.new), found)
        still = np.where(np.isnan(x), np.nan, 0.0)
        return np.where(of.constant, np.where(np.abs(x) > of.rounding, MOVED, still), found)

    @cached_property
    def layout(self) -> Columns:
        """What the columns are."""
        columns, scaling = self.models[0].form_.layout.columns or (), self.models[0].scaling_
        numeric = np.array([column.numeric for column in columns])
        unseen = [one.levels - 1 if one.kind == "category" and not one.rare else -1 for one in columns]
        constant = numeric & scaling.constant
        return Columns(numeric & ~constant, np.array(unseen), constant, ROUNDING * np.abs(scaling.low / scaling.scale))

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats; NaN where no cell is known."""
        found, empty = np.empty(source.rows), list[int]()
        for start in range(0, source.rows, ROWS):
            rows = np.arange(start, min(start + ROWS, source.rows))
            each = [costs_of(model, source, rows) for model in self.models]
            found[rows] = np.mean([self.added(*one) for one in each], axis=0)
            empty += rows[np.isnan(each[0][0]).all(1)].tolist()
        found[empty] = np.nan
        warn_of_empty(empty, source)
        return found

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the models."""
        tensors = states("surprise", self.surprises) | states("far", self.far) | states("total", self.totals)
        return {"new": self.new}, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form) -> Cells:
        """The inverse of `state`."""
        surprises, far, totals = (surprises_from(name, tensors) for name in ("surprise", "far", "total"))
        return cls(models, surprises, far, totals, body["new"])


def surprise_of_known(costs: np.ndarray) -> Surprise:
    """Of a column's cells, NaN = missing; of a column without known cells none is ever odd."""
    known = costs[~np.isnan(costs)]
    return Surprise.fit(known if len(known) else np.zeros(1), least_spread=LEAST_NATS)


def costs_of(model: Autoencoder, source: Source, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, columns) nats that each cell costs while it is hidden, with others of its group; and (n, columns) the scaled
    cells; NaN = missing in both."""
    costs, cells = [], []
    with torch.no_grad():
        for some in np.array_split(rows, max(1, -(-len(rows) // ROWS))):
            batch = model._batch(source, some)
            costs.append(hidden_costs(model, batch))
            cells.append(cells_of(batch))
    return np.concatenate(costs), np.concatenate(cells)


def cells_of(batch: Batch) -> np.ndarray:
    """(n, columns) float64, scaled, NaN = missing."""
    x = batch.x.double()
    return (x if batch.weight is None else x.masked_fill(batch.weight == 0, torch.nan)).cpu().numpy()


def hidden_costs(model: Autoencoder, batch: Batch) -> np.ndarray:
    """The same of a batch."""
    composition, columns = model.composition_, batch.x.shape[1]
    costs = torch.empty(batch.x.shape, dtype=torch.float64, device=batch.x.device)
    for group in range(min(GROUPS, columns)):
        hidden = torch.zeros_like(batch.x, dtype=torch.bool)
        hidden[:, group::GROUPS] = True
        out, _ = out_of(composition, batch, hidden)
        costs[:, group::GROUPS] = composition.loss.cell_costs(out, batch.x)[:, group::GROUPS].double()
    if batch.weight is not None:
        costs.masked_fill_(batch.weight == 0, torch.nan)
    return costs.cpu().numpy()


def out_of(composition: Composition, batch: Batch, hidden: Tensor) -> tuple[Tensor, Context]:
    """What the loss takes of rows of which the ``hidden`` cells, (n, columns) bool, are not shown to the encoder."""
    seen = Seen(batch.x, hidden=hidden)
    context = composition.context(batch, EVALUATION, seen)
    return composition.decode_point(composition.encode(batch, context, seen)[1].point, context), context
