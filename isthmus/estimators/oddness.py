"""What makes a row odd: figures of it, each compared with those of held-out rows as a surprise in nats.

There are four ways, one for each sort of data; all learn from some rows and are judged on others. A fifth, `cascade`,
puts several autoencoders of whole rows behind one another.

    Numbers   complete tables of numbers: every column by its size and by its rank (`oddness_of_numbers`)
    Cells     mixed tables and such with gaps: what each cell costs, given cells of other columns (`oddness_of_cells`)
    Wholes    pictures, sequences, and whatever a fitted `Autoencoder` of the user's own takes (`oddness_of_wholes`)
    Steps     the steps of one series, each by those before it (`oddness_of_steps`)

What `AnomalyDetector` asks of each: ``odd(source) -> (rows,)`` nats, ``odd.models``, ``odd.taught(source, rows)``, the
same after a pass over some more rows, and ``odd.state()`` with its inverse ``restore(body, tensors, models, form)``.
Here is what they share.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.checks import counted, listed
from isthmus.data import Source
from isthmus.errors import DataWarning
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.recipes import Parts

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

ROWS = 2048
"""Rows that are judged at once: as many as a core keeps at hand."""

SLOWER = 0.1
"""Of the learning rate of the fit, the share that passes over later rows have."""

SMALLEST = 1e-12
"""Squared errors and distances below this are one."""


Making = Callable[[int], Autoencoder]
"""Makes the autoencoder of a fold, by its number, not yet fitted."""


def summed(surprises: list[Surprise], figures: np.ndarray) -> np.ndarray:
    """(n,) nats of (n, figures)."""
    return np.sum([surprise(figure) for surprise, figure in zip(surprises, figures.T, strict=True)], axis=0)


def fitted_surprises(figures: np.ndarray) -> list[Surprise]:
    """The surprise of each of (m, figures) of held-out rows."""
    return [Surprise.fit(figure) for figure in figures.T]


def logs(squares: np.ndarray | Tensor) -> np.ndarray:
    """Logarithms of squared errors or distances, of 0 too, as float64."""
    return np.log(np.maximum(np.asarray(squares, dtype=np.float64), SMALLEST))


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


def others(rows: np.ndarray, held_out: slice) -> np.ndarray:
    """The rows that are not held out."""
    return np.concatenate([rows[: held_out.start], rows[held_out.stop :]])


def weight_of(total: int, rows: np.ndarray) -> np.ndarray:
    """(total,) weights: 1 for these rows, 0 for all others."""
    weight = np.zeros(total)
    weight[rows] = 1.0
    return weight


def newest(reference: Tensor, x: Tensor) -> Tensor:
    """Rows to be near to: the old ones and new ones, the newest `REFERENCE` of them."""
    return torch.cat([reference, x])[-REFERENCE:]


def taught(models: list[Autoencoder], source: Source, rows: np.ndarray) -> list[Autoencoder]:
    """The same models after a pass over some more rows."""
    return [after_pass(model, source, weight_of(source.rows, rows)) for model in models]


def after_pass(model: Autoencoder, source: Source, weight: np.ndarray | None = None) -> Autoencoder:
    """A copy of a model after a pass over some rows, slowly: at the rate of its fit, which ended at a rate of 0, a pass
    would throw it far off its optimum, and every row would look odd until it had come back."""
    learner, asked = copy.deepcopy(model), model.learning_rate
    usual = getattr(model.parts_, "learning_rate", Parts.learning_rate) if asked is None else asked
    learner.learning_rate = SLOWER * usual
    learner.partial_fit(source, sample_weight=weight)
    learner.learning_rate = asked
    return learner


def states(name: str, surprises: list[Surprise]) -> dict[str, np.ndarray]:
    """Surprises as named arrays, for a file."""
    return {f"{name}{i}": one.state() for i, one in enumerate(surprises)}


def surprises_from(name: str, tensors: Mapping[str, Tensor]) -> list[Surprise]:
    """The inverse of `states`."""
    found = itertools.takewhile(tensors.__contains__, (f"{name}{i}" for i in itertools.count()))
    return [Surprise.restore(tensors[key].numpy()) for key in found]


def warn_of_empty(empty: list[int], source: Source) -> None:
    """Say so where rows have no known cell."""
    if empty:
        warnings.warn(
            f"{source.argument}: {counted(len(empty), 'row')} without any known cell (row {listed(empty, 5)}): nothing "
            "tells whether they are odd, so that their score is NaN, and they raise no alarm",
            DataWarning,
            stacklevel=4,
        )
