"""Why rows are odd: which cells, were they what the others make expected, would leave the row ordinary."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted
from isthmus.data import Source
from isthmus.data.tables import library_of
from isthmus.errors import DataWarning
from isthmus.estimators.cascade import Cascade
from isthmus.estimators.imputing import unscaled
from isthmus.estimators.oddness_of_cells import MOST_NATS, Cells, cells_of, out_of
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps, on_grid
from isthmus.estimators.oddness_of_wholes import Wholes, rebuilt_wholes
from isthmus.reasons import Conditional, OneByOne, Reasons, blocks, hidden_cells, prune, search
from isthmus.records import Batch, replace

if TYPE_CHECKING:
    import pandas as pd

    from isthmus.estimators.anomalies import AnomalyDetector

ORDINARY = 3.0
"""Nats: a row needs no more reasons where no cell that is left is odder, as one in twenty of a column's cells is."""

NEGLIGIBLE = 3.84
"""Of a squared distance in standard deviations, or of a squared error over the usual one, the same: one ordinary normal
cell in twenty is beyond it. What is below, is no reason."""

THINNEST = 0.25
"""Of the window before most steps of a series, this share at least must be there."""

SHORTLIST = 4
"""Cells that are tried for every reason asked for."""


def explained(detector: AnomalyDetector, source: Source, most: int, X: Any = None) -> pd.DataFrame | np.ndarray:
    """What `AnomalyDetector.explain` gives; of a pandas frame ``X`` cells are shown as they stand there, those too that
    the detector has no words for."""
    odd = detector.oddness_
    if isinstance(odd, (Wholes, Cascade)):
        return heat(odd, source)
    if isinstance(odd, Steps):
        if X is not None:
            warn_of_steps_left_out(odd, source)
        return of_steps(odd, source, most)
    raw = np.array(source.read(0, source.rows), dtype=np.float64)
    found = of_numbers(odd, raw, most, source.argument) if isinstance(odd, Numbers) else of_cells(odd, source, most)
    expected = raw.copy()
    rows, slots = np.nonzero(found.columns.numpy() >= 0)
    columns = found.columns.numpy()[rows, slots]
    expected[rows, columns] = found.expected.numpy()[rows, slots]
    told = listed(source, rows, columns, slots, expected, found.drop.numpy()[rows, slots])
    other = unlike(told["value"].to_numpy(), told["expected"].to_numpy())
    told, rows = told[other].reset_index(drop=True), rows[other]
    told["rank"] = 1 + np.arange(len(rows)) - np.searchsorted(rows, rows)
    if library_of(X) == "pandas" and hasattr(X, "columns"):
        places = X.columns.get_indexer(told["column"]) if len(told) else np.zeros(0, dtype=np.int64)
        if (places >= 0).all():
            told["value"] = picked(X, rows, places)
    return told


def listed(
    source: Source, rows: np.ndarray, columns: np.ndarray, slots: np.ndarray, expected: np.ndarray, drop: np.ndarray
) -> pd.DataFrame:
    """A line for every reason, in the user's own values."""
    import pandas as pd

    own, wished = source.wrapped(np.asarray(source.read(0, source.rows))), source.wrapped(expected)
    names: Any = source.names if source.names is not None else source.kept or range(source.layout.features)
    label = np.arange(source.rows) if source.index is None else source.index
    return pd.DataFrame(
        {
            "row": pd.Index(label)[rows],
            "rank": slots + 1,
            "column": [names[i] for i in columns.tolist()],
            "value": picked(own, rows, columns),
            "expected": picked(wished, rows, columns),
            "drop": drop,
        }
    )


def unlike(value: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(k,) bool: which cells are not what was expected; what is, is no reason, however rare it is.

    >>> unlike(np.array(["ok", "dry", None], dtype=object), np.array(["ok", "ok", "ok"], dtype=object))
    array([False,  True,  True])
    """
    import pandas as pd

    other = np.ones(len(value), dtype=bool)
    known = np.flatnonzero(pd.notna(value) & pd.notna(expected))  # pd.NA cannot be compared
    other[known] = [bool(a != b) for a, b in zip(value[known], expected[known], strict=True)]
    return other


def of_steps(odd: Steps, source: Source, most: int) -> pd.DataFrame:
    """The channels that surprise most at each step, one of them at least and no others that are as ordinary as can be,
    beside what the steps before made expected: the source must hold the whole stretch, not the odd steps alone."""
    surprise, expected = odd.judged(source)
    order = np.argsort(-surprise, axis=1, kind="stable")[:, :most]
    ranked = np.take_along_axis(surprise, order, axis=1)
    ranked[:, 1:][ranked[:, 1:] <= ORDINARY] = np.nan
    rows, slots = np.nonzero(~np.isnan(ranked))
    columns = order[rows, slots]
    return listed(source, rows, columns, slots, expected, surprise[rows, columns])


def warn_of_steps_left_out(odd: Steps, source: Source) -> None:
    """Of a series whose steps are judged by others than those that came before them, say so."""
    places, before = placed_in_time(odd, source)
    if not before and source.rows < odd.window:
        why = f"{counted(source.rows, 'step')}, fewer than the window of {odd.window} that each is judged by"
    else:
        known = np.concatenate([np.arange(-before, 0), places])
        seen = np.arange(before, len(known)) - np.searchsorted(known, places - odd.window)
        if np.median(seen) >= THINNEST * odd.window:
            return
        why = f"of most rows, less than a quarter of the window of {odd.window} steps before is there"
    warnings.warn(
        f"{source.argument}: {why}. explain needs the steps before: give the whole stretch, and keep the rows that "
        "alarm from its result",
        DataWarning,
        stacklevel=4,
    )


def placed_in_time(odd: Steps, source: Source) -> tuple[np.ndarray, int]:
    """(rows,) where steps lie, by their times or the row numbers in the index, and how many are known just before."""
    _, places = on_grid(source)
    before = len(odd._before(source))
    index = source.index
    if source.rows and getattr(source, "ends", None) is None and getattr(index, "dtype", None) == np.int64:
        labels = np.asarray(index)
        # Row numbers of a frame rise by one; what is 1e9 and more are seconds since 1970.
        if (np.diff(labels) > 0).all() and labels[-1] < 1e9:
            places = labels - labels[0]
    return places, before


def picked(table: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(k,) the cells at these places of a table, each of its own type."""
    found = np.empty(len(rows), dtype=object)
    for column in np.unique(columns):
        here = np.flatnonzero(columns == column)
        if isinstance(table, np.ndarray):
            values = table[:, column]
        else:
            values = table.iloc[:, column] if hasattr(table, "iloc") else table.to_series(int(column))
            values = np.asarray(values, dtype=object)
        found[here] = values[rows[here]]
    return found


def of_numbers(odd: Numbers, raw: np.ndarray, most: int, argument: str) -> Reasons:
    """By the normal model of the columns' sizes; what is expected in the user's units. Cells of constant columns that
    hold another value come first."""
    scaling, in_view = odd.view.scaling, torch.from_numpy(odd.view.columns)
    sizes = odd.view.forward(raw, argument)[:, : len(in_view)]
    found = telling(odd.conditional, sizes, odd.conditional.reasons(sizes, most))
    at = in_view[found.columns.clamp(min=0)]
    centre, scale = torch.from_numpy(scaling.centre), torch.from_numpy(scaling.scale)
    found = Reasons(at.where(found.columns >= 0, -1), centre[at] + scale[at] * found.expected, found.drop)
    moved = torch.from_numpy(odd.view.moved(raw))
    if not moved.any():
        return found
    most_moved, first = moved.double().sort(dim=1, descending=True, stable=True)
    first = first.where(most_moved > 0, -1)[:, :most]
    always = torch.from_numpy(scaling.low)[first.clamp(min=0)]
    both = Reasons(
        torch.cat([first, found.columns], 1),
        torch.cat([always, found.expected], 1),
        torch.cat([torch.full_like(always, 2 * odd.moved), found.drop], 1),
    )
    order = (both.columns < 0).int().argsort(dim=1, stable=True)[:, :most]
    return Reasons(*(values.gather(1, order) for values in both))


def telling(model: Conditional, x: Tensor, found: Reasons) -> Reasons:
    """The reasons of rows x (n, d) without those that are negligible given the others, one left at least.

    While many cells that are left are a little odd together, one after the other is named, though none of them is odd
    given the rest; such names fill up the list and tell nothing.
    """
    made = Reasons(*(values.clone() for values in found))
    known, filled = ~x.isnan(), (found.columns >= 0).sum(1) > 1
    for block in blocks(known, found.columns.shape[1]):
        rows = block[filled[block]]
        some, every = model.marginal(x[rows], known[rows]), torch.arange(len(rows))
        named, unread = found.columns[rows], torch.zeros(len(rows), dtype=torch.float64)
        prune(some, named, unread.clone(), unread.clone(), lambda rest, cells, best: best < NEGLIGIBLE)
        off, variance = some.apart(every, named)
        drop = (off.square() / variance).where(named >= 0, 0.0)
        order = drop.where(named >= 0, -torch.inf).argsort(dim=1, descending=True, stable=True)
        expected = (x[rows].double().gather(1, named.clamp(min=0)) - off).where(named >= 0, torch.nan)
        for whole, part in zip(made, (named, expected, drop), strict=True):
            whole[rows] = part.gather(1, order)
    return made


def of_cells(odd: Cells, source: Source, most: int) -> Reasons:
    """By what each cell costs while it is hidden, given those that are not named; what is expected as raw numbers."""
    found = [of_batch(odd, odd.models[0]._batch(source, rows), most) for rows in stretches(source.rows)]
    return Reasons(*(torch.cat(values) for values in zip(*found, strict=True)))


def stretches(rows: int) -> list[np.ndarray]:
    """So many rows, in pieces that are explained at once."""
    return np.array_split(np.arange(rows), max(1, -(-rows // 2048)))


def of_batch(odd: Cells, batch: Batch, most: int) -> Reasons:
    """The same of some rows."""
    model = odd.models[0]
    composition = model.composition_
    known = torch.ones_like(batch.x, dtype=torch.bool) if batch.weight is None else batch.weight > 0

    def saves(rows: Tensor, hidden: Tensor, column: Tensor) -> Tensor:
        """How odd a cell is, given those that are not hidden."""
        some = replace(batch, x=batch.x[rows], weight=None if batch.weight is None else batch.weight[rows])
        out, _ = out_of(composition, some, hidden.scatter(1, column[:, None], True))
        costs = composition.loss.cell_costs(out, some.x).double().cpu().numpy()
        return torch.from_numpy(odd.surprised(costs, cells_of(some))).gather(1, column[:, None])[:, 0]

    def enough(rest: Tensor, cells: Tensor, best: Tensor) -> Tensor:
        return best < ORDINARY

    with torch.no_grad():
        judging = OneByOne(saves, known, SHORTLIST * most)
        energy = judging.alone.where(known, 0.0).sum(1)
        named, drop = search(judging, known, most, energy, enough)
        out, context = out_of(composition, batch, hidden_cells(named, known.shape[1]))
        expected = unscaled(model.scaling_, composition.loss.mean(out, context))
    constant = odd.layout.constant
    expected[:, constant] = model.scaling_.low[constant]
    at = torch.from_numpy(expected).gather(1, named.clamp(min=0))
    return Reasons(named, at.where(named >= 0, torch.nan), drop.clamp(max=MOST_NATS))


def heat(odd: Wholes | Cascade, source: Source) -> np.ndarray:
    """(n, *shape) float32: the squared error of every cell over the usual one of its place, or over the mean usual one
    of all places where that is larger: a border that is always black is rebuilt almost exactly, and would be hot in
    every picture. Of a cascade, the errors of the stage that finds a row least odd."""
    if isinstance(odd, Cascade):
        stages, keepers = odd.stages, odd.keepers(source)
    else:
        stages, keepers = [odd], np.zeros(source.rows, dtype=np.int64)
    found = np.zeros((source.rows, source.layout.features), dtype=np.float32)
    for number, stage in enumerate(stages):
        usual = usual_errors(stage, source)
        for some in stretches(source.rows):
            rows = some[keepers[some] == number]
            for model in stage.models if len(rows) else ():
                found[rows] += rebuilt_wholes(model, source, rows)[0] / usual / len(stage.models)
    return found.reshape(source.rows, *source.layout.shape)


def usual_errors(odd: Wholes, source: Source) -> np.ndarray:
    """(features,) what errors are divided by."""
    shape, usual = source.layout.shape, odd.usual
    if source.layout.sequence:  # of any length; late steps, which few rows have, are as usual as others
        usual = np.tile(usual.reshape(-1, int(np.prod(shape[1:]))).mean(0), shape[0])
    return np.maximum(usual, usual.mean() + 1e-12)
