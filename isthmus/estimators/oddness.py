"""What makes a row odd: figures of it by fitted autoencoders and by its nearest neighbour, each as a surprise in nats.

There are three ways, one for each sort of data; all learn from some rows and are judged on others.

    Numbers   complete tables of numbers: every column by its size and by its rank (`oddness_of_numbers`)
    Cells     mixed tables and such with gaps: what each cell costs, given cells of other columns
    Wholes    pictures, series, and whatever a fitted `Autoencoder` of the user's own takes: a row as a whole
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.checks import counted, listed
from isthmus.data import Source
from isthmus.errors import DataWarning
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.neighbours import nearest, nearest_other
from isthmus.recipes import Parts
from isthmus.records import EVALUATION, Batch, Seen

CROSS_FITTED = 1000
"""Tables of fewer rows have no rows to spare: each fifth is judged by a model that was fitted to the others."""

FOLDS = 5

HELD_OUT = 0.2
"""The share of the rows of larger tables that is held out of the fit, to say how odd ordinary rows are."""

MOST_HELD_OUT = 10_000

LEAST_ROWS = 2048
"""Of fewer rows, copies are made: each meets noise of its own, and large batches take hardly longer than small ones."""

REFERENCE = 20_000
"""Rows at most among which a row's nearest neighbour is sought."""

ROWS = 8192
"""Rows that are judged at once."""

SLOWER = 0.1
"""Of the learning rate of the fit, the share that passes over later rows have."""

GROUPS = 6
"""Of a mixed table, columns are hidden in so many groups, one after the other."""

SMALLEST = 1e-12
"""Squared errors and distances below this are one."""


def summed(surprises: list[Surprise], figures: np.ndarray) -> np.ndarray:
    """(n,) nats of (n, figures)."""
    return np.sum([surprise(figure) for surprise, figure in zip(surprises, figures.T, strict=True)], axis=0)


Making = Callable[[int], Autoencoder]
"""Makes the autoencoder of a fold, by its number, not yet fitted."""


def warn_of_empty(empty: list[int], source: Source) -> None:
    """Say so where rows have no known cell."""
    if empty:
        warnings.warn(
            f"{source.argument}: {counted(len(empty), 'row')} without any known cell (row {listed(empty, 5)}): nothing "
            "tells whether they are odd, so they are scored 0, as ordinary as a row can be",
            DataWarning,
            stacklevel=4,
        )


def folds(rows: int) -> list[slice]:
    """Which of so many rows, in random order, are held out together; all of a small table's are, in turns.

    >>> folds(10)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None), slice(6, 8, None), slice(8, 10, None)]
    >>> folds(100_000)
    [slice(0, 10000, None)]
    """
    if rows >= CROSS_FITTED:
        return [slice(0, min(MOST_HELD_OUT, int(HELD_OUT * rows)))]
    edges = np.linspace(0, rows, min(FOLDS, rows) + 1).round().astype(int)
    return [slice(int(start), int(stop)) for start, stop in itertools.pairwise(edges)]


def logs(squares: np.ndarray | Tensor) -> np.ndarray:
    """Logarithms of squared errors or distances, of 0 too, as float64."""
    return np.log(np.maximum(np.asarray(squares, dtype=np.float64), SMALLEST))


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
            made.models.append(making(place).fit(source, sample_weight=without(source.rows, rows, held_out)))
            found.append(costs_of(made.models[place], source, rows[held_out]))
        costs, x = (np.concatenate(parts) for parts in zip(*found, strict=True))
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
        return np.where(self._layout_says[0], np.abs(x), np.where(np.isnan(x), np.nan, 0.0))

    def surprised(self, costs: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(n, columns) nats of cells."""
        _, unseen, constant, tolerance = self._layout_says
        given = np.stack([surprise(cost) for surprise, cost in zip(self.surprises, costs.T, strict=True)], 1)
        alone = np.stack([surprise(far) for surprise, far in zip(self.far, self.distances(x).T, strict=True)], 1)
        # The smaller of two probabilities is below p with a probability of up to 2 p.
        found = np.where(alone > given + np.log(2), alone - np.log(2), given)
        found = np.where((unseen >= 0) & (x == unseen), np.maximum(found, self.new), found)
        return np.where(constant, np.where(np.abs(x) > tolerance, MOVED, np.where(np.isnan(x), np.nan, 0.0)), found)

    @property
    def _layout_says(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(columns,) each: whether a column holds numbers; the number of its level that stands for values which the fit
        never met, -1 = none; whether it was constant; and how far from its value rounding leads, in scaled units."""
        columns, scaling = self.models[0].form_.layout.columns or (), self.models[0].scaling_
        numeric = np.array([column.numeric for column in columns])
        unseen = [one.levels - 1 if one.kind == "category" and not one.rare else -1 for one in columns]
        constant = numeric & scaling.constant
        return numeric & ~constant, np.array(unseen), constant, 2e-7 * np.abs(scaling.low / scaling.scale)

    @property
    def constant(self) -> np.ndarray:
        """(columns,) bool, of numbers that are always the same."""
        return self._layout_says[2]

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats."""
        found, empty = np.empty(source.rows), list[int]()
        for start in range(0, source.rows, ROWS):
            rows = np.arange(start, min(start + ROWS, source.rows))
            each = [costs_of(model, source, rows) for model in self.models]
            found[rows] = np.mean([self.added(*one) for one in each], axis=0)
            empty += rows[np.isnan(each[0][0]).all(1)].tolist()
        found[empty] = 0.0
        warn_of_empty(empty, source)
        return found


def newest(reference: Tensor, x: Tensor) -> Tensor:
    """Rows to be near to: the old ones and new ones, the newest `REFERENCE` of them."""
    return torch.cat([reference, x])[-REFERENCE:]


def taught(models: list[Autoencoder], source: Source, rows: np.ndarray) -> list[Autoencoder]:
    """The same models after a pass over some more rows."""
    weight = np.zeros(source.rows)
    weight[rows] = 1.0
    return [after_pass(model, source, weight) for model in models]


def after_pass(model: Autoencoder, source: Source, weight: np.ndarray | None = None) -> Autoencoder:
    """A copy of a model after a pass over some rows, slowly: at the rate of its fit, which ended at a rate of 0, a pass
    would throw it far off its optimum, and every row would look odd until it had come back."""
    learner, asked = copy.deepcopy(model), model.learning_rate
    usual = getattr(model.parts_, "learning_rate", Parts.learning_rate) if asked is None else asked
    learner.learning_rate = SLOWER * usual
    learner.partial_fit(source, sample_weight=weight)
    learner.learning_rate = asked
    return learner


def without(total: int, rows: np.ndarray, held_out: slice) -> np.ndarray:
    """(total,) weights: 1 for those of ``rows`` that are not held out, 0 for all others."""
    weight = np.zeros(total)
    weight[rows] = 1.0
    weight[rows[held_out]] = 0.0
    return weight


def surprise_of_known(costs: np.ndarray) -> Surprise:
    """Of a column's cells, NaN = missing; of a column without known cells none is ever odd."""
    known = costs[~np.isnan(costs)]
    return Surprise.fit(known if len(known) else np.zeros(1), least_spread=LEAST_NATS)


LEAST_NATS = 0.5
"""The least spread of a column's costs: cells that cost nearly nothing, all alike, are no reason to shout at one that
costs a little."""


MOVED = 1e30
"""Nats of a cell that holds another value than its column always did: no other cell is ever odder because of it."""

MOST_NATS = 100.0
"""No cell counts for more: nothing that was held out tells of probabilities below exp(-100)."""


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
        seen = Seen(batch.x, hidden=hidden)
        context = composition.context(batch, EVALUATION, seen)
        point = composition.encode(batch, context, seen)[1].point
        out = composition.decode_point(point, context)
        costs[:, group::GROUPS] = composition.loss.cell_costs(out, batch.x)[:, group::GROUPS].double()
    if batch.weight is not None:
        costs.masked_fill_(batch.weight == 0, torch.nan)
    return costs.cpu().numpy()


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
        made = cls([], [], np.zeros(source.layout.features), [])
        figures = made.judged(model, source, rows, slice(0, len(rows)), distance)
        made.usual /= len(rows)
        made.surprises = [Surprise.fit(figure) for figure in figures.T]
        return made, summed(made.surprises, figures)

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, making: Making, distance: bool) -> tuple[Wholes, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        made = cls([], [], np.zeros(source.layout.features), [])
        figures, seen = [], 0
        for place, held_out in enumerate(folds(len(rows))):
            model = making(place).fit(source, sample_weight=without(source.rows, rows, held_out))
            figures.append(made.judged(model, source, rows, held_out, distance))
            seen += held_out.stop - held_out.start
        made.usual /= seen
        together = np.concatenate(figures)
        made.surprises = [Surprise.fit(figure) for figure in together.T]
        return made, summed(made.surprises, together)

    def taught(self, source: Source, rows: np.ndarray) -> Wholes:
        """The same after a pass over some more rows, whose codes take the place of the oldest ones to be near to."""
        if not len(rows):
            return self
        models = taught(self.models, source, rows)
        pairs = zip(self.references, models, strict=False)
        references = [newest(codes, rebuilt_wholes(model, source, rows)[1]) for codes, model in pairs]
        return replace(self, models=models, references=references)

    def judged(
        self, model: Autoencoder, source: Source, rows: np.ndarray, held_out: slice, distance: bool
    ) -> np.ndarray:
        """Take in a fitted model; and the figures of its held-out rows."""
        self.models.append(model)
        errors, codes = rebuilt_wholes(model, source, rows[held_out])
        self.usual += errors.sum(0)
        found = [logs(errors.sum(1))]
        if distance:
            reference = codes[:REFERENCE]
            others = np.delete(rows, np.arange(held_out.start, held_out.stop))[: REFERENCE - len(reference)]
            if len(others):
                reference = torch.cat([reference, rebuilt_wholes(model, source, others)[1]])
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
