"""Tables of numbers as the search for anomalies sees them: every column twice, by its size and by its rank."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data.scaling import Scaling
from isthmus.data.sources import Source
from isthmus.data.warps import fit_quantiles
from isthmus.errors import FileFormatError

FARTHEST = 1000.0
"""Standard deviations beyond which a cell is only said to be far away."""

REACH = 6.0
"""Normal scores beyond which a cell is only said to be beyond nearly all that were seen."""

ROUNDING = 2e-7
"""No further apart, as a share of their size, are one number in float32 and in float64."""

STEPS = 2048
"""Even steps of the table that ranks are looked up in."""

CELLS = 2**24
"""Cells of the fit that tell the scales."""


@dataclass(frozen=True)
class Doubled:
    """Columns in standard deviations, and beside them the same columns in normal scores.

    By its size, a cell that is off in a column with a heavy tail looks ordinary beside the tail; by its rank, a cell
    far beyond all others looks like one just beyond. Together neither is lost. Both are bounded, so that no cell,
    however absurd, makes numbers that cannot be calculated with.

    Parameters
    ----------
    scaling : of all columns, `Scaling` of mode "standard".
    columns : (k,) the columns that vary, the only ones that are in the view; where none does, the first is, always 0.
    at, to : (k, knots) float64, ascending: points between which each column's map to normal scores is straight;
        where a column has fewer, the last is repeated.

    Examples
    --------
    >>> from isthmus.data.sources import ArraySource
    >>> view = Doubled.fit(ArraySource(np.arange(9.0)[:, None]), np.arange(9))
    >>> view.width, view.forward(np.array([[4.0], [1e30]]))[:, 1]
    (2, tensor([0., 6.]))
    """

    scaling: Scaling
    columns: np.ndarray
    at: np.ndarray
    to: np.ndarray

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray) -> Doubled:
        """From some rows of a table of numbers; names it by the errors that `Scaling.fit` raises."""
        most = max(1, CELLS // source.layout.features)
        rows = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        watched = copy.copy(source)
        watched.derived = True  # constant columns, which Scaling.fit warns of, are watched here, not wasted
        scaling = Scaling.fit(watched, rows, "standard", per_column={})
        raw = source.take(rows)
        varying = np.flatnonzero(~scaling.constant)
        if not len(varying):
            return cls(scaling, np.zeros(1, dtype=np.int64), np.zeros((1, 1)), np.zeros((1, 1)))
        points = [ends_added(*fit_quantiles(raw[:, i].astype(np.float64))[:2]) for i in varying]
        knots = max(len(at) for at, _ in points)
        at, to = np.stack([np.pad(own, ((0, 0), (0, knots - len(own[0]))), "edge") for own in points], axis=1)
        return cls(scaling, varying, at, to)

    @property
    def width(self) -> int:
        """Numbers that a row becomes: k sizes, then k ranks."""
        return 2 * len(self.columns)

    def forward(self, raw: np.ndarray, argument: str = "X") -> Tensor:
        """(n, all columns) finite numbers -> (n, width) float32."""
        if not np.isfinite(raw).all():
            self.scaling.forward(raw, argument)  # which says what is wrong, and where
        if self.scaling.constant.all():
            return torch.zeros(len(raw), self.width)
        columns, every = self.columns, len(self.columns) == raw.shape[1]
        cells = torch.from_numpy(np.array(raw if every else raw[:, columns], dtype=np.float64))
        view = torch.empty(len(raw), self.width)
        centre, scale = (torch.from_numpy(values[columns]) for values in (self.scaling.centre, self.scaling.scale))
        sizes = (cells - centre).mul_(1 / scale).clamp_(-FARTHEST, FARTHEST)
        view[:, : len(columns)], view[:, len(columns) :] = sizes, self.ranks(cells)
        return view

    def ranks(self, cells: Tensor) -> Tensor:
        """(n, k) normal scores of cells (n, k) float64.

        By a table: a search for the piece that each cell lies on would take longer than the autoencoder does. Its
        entries are even steps of u = z / (1 + |z|), where z is the distance from a middle point of the column's map,
        in the usual distance of its points: near the middle they are 1/1000 of it apart, and none is beyond the last.
        """
        table, middle, spread, first = self._table
        # In float64 until it is a distance: a cell at the middle must be there; what is beyond float32 is at the end.
        z = (cells - middle).mul_(1 / spread).clamp_(-1e30, 1e30).float()
        place = z.div_(z.abs().add_(1.0)).add_(1.0).mul_(STEPS / 2)
        step = place.floor().clamp_(max=STEPS - 1)
        share, at = place.sub_(step), step.to(torch.int32).add_(first).flatten()
        low, high = (table.index_select(0, index).view_as(share) for index in (at, at + 1))  # faster than `take`
        return low.add_(high.sub_(low).mul_(share))

    @cached_property
    def _table(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(k * (STEPS + 1),) scores, (k,) middle and spread, and where in the table each column begins."""
        # The middle is a point of the map, so that an atom there keeps its own score.
        middle = np.take_along_axis(self.at, np.abs(self.to).argmin(1)[:, None], 1)
        away = [np.unique(own[own > 0]) for own in np.abs(self.at - middle)]  # each once: the last point is repeated
        spread = np.array([np.median(own) if len(own) else 1.0 for own in away])
        middle = middle[:, 0]
        u = np.linspace(-1, 1, STEPS + 1)[1:-1]
        z = np.concatenate([[-1e30], u / (1 - np.abs(u)), [1e30]])
        table = [np.interp(m + s * z, *own) for m, s, *own in zip(middle, spread, self.at, self.to, strict=True)]
        first = torch.arange(len(self.at), dtype=torch.int32) * (STEPS + 1)
        flat = torch.from_numpy(np.stack(table)).float().flatten()
        return flat, torch.from_numpy(middle), torch.from_numpy(spread), first

    def moved(self, raw: np.ndarray) -> np.ndarray:
        """(n, columns) bool: cells of constant columns that hold another value."""
        return moved_cells(self.scaling, raw)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays."""
        body, tensors = self.scaling.state()
        return body, tensors | {"columns": self.columns, "at": self.at, "to": self.to}

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, np.ndarray], names: tuple[str, ...] | None) -> Doubled:
        """The inverse of `state`."""
        scaling = Scaling.restore(body, tensors, names)
        columns, at, to = (np.asarray(tensors[name]) for name in ("columns", "at", "to"))
        fits = at.ndim == 2 and at.shape == to.shape and columns.shape == (len(at),) and len(at)
        if not (fits and np.isfinite(at).all() and np.isfinite(to).all() and columns.max() < scaling.features):
            raise FileFormatError("the description of the columns is damaged")
        return cls(scaling, columns, at, to)


def moved_cells(scaling: Scaling, raw: np.ndarray) -> np.ndarray:
    """(n, columns) bool: cells of (n, columns) numbers that hold another value than their column always held."""
    tolerance = ROUNDING * np.maximum(np.abs(scaling.low), 1e-30)
    return scaling.constant & (np.abs(raw - scaling.low) > tolerance)


def ends_added(at: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of a map, and where its outermost pieces reach `REACH` if they go on.

    >>> ends_added(np.array([0.0, 1.0]), np.array([-1.0, 1.0]))
    (array([-2.5,  0. ,  1. ,  3.5]), array([-6., -1.,  1.,  6.]))
    """
    rise = np.diff(to) / np.diff(at)
    beyond = at[0] - (to[0] + REACH) / rise[0], at[-1] + (REACH - to[-1]) / rise[-1]
    return np.concatenate([beyond[:1], at, beyond[1:]]), np.concatenate([[-REACH], to, [REACH]])
