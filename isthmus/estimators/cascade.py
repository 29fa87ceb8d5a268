"""How odd rows are to autoencoders in a row: what one rebuilds badly goes to the next, what none rebuilds is odd."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from isthmus.checks import counted
from isthmus.data import Form, Source
from isthmus.data.doubled import moved_cells
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness import FOLDS, ROWS, Making, folds, logs, others, warn_of_empty
from isthmus.estimators.oddness_of_wholes import Fold, Wholes, of_all, rebuilt_wholes, worst

LEAST, MOST = 0.1, 0.5
"""Shares of the rows of a stage that go to the next: with fewer, it would be fitted to a handful of anomalies."""

FEWEST = 20
"""Rows at least that a stage is fitted to."""


@dataclass
class Cascade:
    """How odd rows are to the stage that finds them least odd.

    One autoencoder learns the main kinds of rows, and takes a rare kind for anomalies. So the rows that it rebuilds
    badly are what the next stage is fitted to, where the rare kind is frequent; and so on. Which those are, is told by
    where the errors of its rows part into two groups (see `parted`).

    Each stage is judged by rows that no stage was fitted to, and what is usual to it is told by those of them that it
    rebuilds well; beyond those its nats rise steeply. So rows that no stage rebuilds well are odd to all of them, and
    the least over the stages are the row's. Were the last stage told what is usual by all that reach it, rows that the
    first rebuilds nearly well would make its errors look usual, and those of anomalies with them.

    Attributes
    ----------
    stages : the first one first; each has as many autoencoders as there are folds.
    moved : nats that a cell of a table is odd by which differs from what its column has always held: more than any row
        that was held out, so that it alarms. Of pictures and sequences it is 0, as their borders may be constant.
    """

    stages: list[Wholes]
    moved: float = 0.0

    @classmethod
    def fit(
        cls, source: Source, rows: np.ndarray, making: Making, distance: bool, stages: int
    ) -> tuple[Cascade, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        slices = folds(len(rows))
        held_out, learnt = [rows[some] for some in slices], [others(rows, some) for some in slices]
        check_rows(stages, min(map(len, learnt)), source.argument)
        made, judged = cls([]), held_out
        for stage in range(stages):
            pairs = enumerate(zip(judged, learnt, strict=True))
            some = [
                Fold.fit(making(stage * FOLDS + place), said_once(source, stage + place), *pair)
                for place, pair in pairs
            ]
            errors = [log_errors(fold.model, source, fold.learnt) for fold in some]
            share = parted(np.concatenate(errors))
            whole, figures = Wholes.of(some, source, distance, share)
            made.stages.append(whole)
            judged = [rows[worst(its[:, 0], share)] for rows, its in zip(judged, figures, strict=True)]
            learnt = [rows[worst(its, share)] for rows, its in zip(learnt, errors, strict=True)]
        odd = np.concatenate([made.by(place, source, some) for place, some in enumerate(held_out)])
        if len(source.layout.shape) > 1 or source.layout.sequence:
            return made, odd
        made.moved = float(odd.max()) + 1.0
        return made, odd + np.concatenate([made.of_moved(place, source, some) for place, some in enumerate(held_out)])

    @property
    def models(self) -> list[Autoencoder]:
        """The fitted autoencoders, those of the first stage first."""
        return [model for stage in self.stages for model in stage.models]

    def taught(self, source: Source, rows: np.ndarray) -> Cascade:
        """The same after a pass over some more rows, each by the stage that finds it least odd."""
        keepers = self.keepers(source)[rows]
        return replace(self, stages=[one.taught(source, rows[keepers == i]) for i, one in enumerate(self.stages)])

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats; NaN where no cell is known."""
        places = range(len(self.stages[0].models))
        found, empty = of_all(source, lambda rows: np.mean([self.by(place, source, rows) for place in places], axis=0))
        warn_of_empty(empty, source)
        return found

    def by(self, place: int, source: Source, rows: np.ndarray) -> np.ndarray:
        """(n,) how odd some rows are to the stages of one fold, the least of them, and for what was constant."""
        odd: np.ndarray = np.min([stage.by(place, source, rows) for stage in self.stages], axis=0)
        return odd + self.of_moved(place, source, rows) if self.moved else odd

    def of_moved(self, place: int, source: Source, rows: np.ndarray) -> np.ndarray:
        """(n,) nats of cells that differ from what their column always held where the first stage learnt."""
        scaling = self.stages[0].models[place].scaling_
        if not scaling.constant.any():
            return np.zeros(len(rows))
        return self.moved * moved_cells(scaling, np.asarray(source.take(rows))).sum(1)

    def keepers(self, source: Source) -> np.ndarray:
        """(rows,) int64, the number of the stage that finds each row least odd; 0 where no cell is known."""
        found, _ = of_all(source, lambda rows: np.argmin([one.together(source, rows) for one in self.stages], axis=0))
        return np.nan_to_num(found).astype(np.int64)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the models."""
        tensors = {f"stage{i}.{k}": v for i, stage in enumerate(self.stages) for k, v in stage.state()[1].items()}
        return {"stages": len(self.stages), "moved": self.moved}, tensors

    @classmethod
    def restore(
        cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form
    ) -> Cascade:
        """The inverse of `state`."""
        stages, each = [], len(models) // body["stages"]
        for i in range(body["stages"]):
            own = {k.removeprefix(f"stage{i}."): v for k, v in tensors.items() if k.startswith(f"stage{i}.")}
            stages.append(Wholes.restore({}, own, models[i * each : (i + 1) * each], form))
        return cls(stages, body.get("moved", 0.0))


def said_once(source: Source, before: int) -> Source:
    """The same rows to fit another autoencoder to, after some: what is said of their columns was said by the first."""
    made = copy.copy(source)
    made.derived = source.derived or before > 0
    return made


def log_errors(model: Autoencoder, source: Source, rows: np.ndarray) -> np.ndarray:
    """(n,) logs of the squared errors of some rows, by their numbers."""
    stretches = np.array_split(rows, -(-len(rows) // ROWS))  # the errors of all cells of all rows may not fit
    return logs(np.concatenate([rebuilt_wholes(model, source, some)[0].sum(1) for some in stretches]))


def parted(figures: np.ndarray) -> float:
    """The share of rows in the upper of two groups, which are as far apart as can be.

    Of all places to cut the sorted figures at, it is the one with the greatest variance between the means of both
    sides (Otsu 1979). Figures of one group are halved. The share is at least `LEAST` and at most `MOST`.

    >>> draw = np.random.default_rng(0)
    >>> round(parted(np.concatenate([draw.normal(0, 1, 800), draw.normal(6, 1, 200)])), 2)
    0.2
    """
    ordered, rows = np.sort(figures), len(figures)
    below = np.arange(1, rows)
    lacking = np.cumsum(ordered - ordered.mean())[:-1]
    between = lacking**2 / (below * (rows - below))
    return float(np.clip(1.0 - below[between.argmax()] / rows, LEAST, MOST))


def check_rows(stages: int, learnt: int, argument: str) -> None:
    """Refuse more stages than there are rows for."""
    left = int(learnt * LEAST ** (stages - 1))
    if left < FEWEST:
        raise InputError(
            f"cascade={stages} may leave {counted(left, 'row')} of {argument} to its last stage, which needs {FEWEST} "
            f"at least: each stage is fitted to those that the one before rebuilds badly, a tenth at least. Give fewer "
            "stages, or more rows"
        )
