"""Tables of numbers as the search for anomalies sees them: every column twice, by its size and by its rank."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.data.scaling import Scaling
from isthmus.data.sources import Source
from isthmus.data.warps import Warps
from isthmus.errors import DataWarning

FARTHEST = 1000.0
"""Standard deviations beyond which a cell is only said to be far away."""

REACH = 3.0
"""Normal scores beyond which a cell is only said to be beyond nearly all that were seen."""

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
    warps : maps to normal scores of the columns that vary, the only ones that are in the view; where none does, the
        first is, and is always 0.

    Examples
    --------
    >>> from isthmus.data.sources import ArraySource
    >>> view = Doubled.fit(ArraySource(np.arange(9.0)[:, None]), np.arange(9))
    >>> view.width, view.forward(np.array([[4.0], [1e30]]))[:, 1]
    (2, tensor([0., 3.]))
    """

    scaling: Scaling
    warps: Warps

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray) -> Doubled:
        """From some rows of a table of numbers; names it by the errors that `Scaling.fit` raises."""
        most = max(1, CELLS // source.layout.features)
        rows = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # of constant columns, which here are watched, not wasted
            scaling = Scaling.fit(source, rows, "standard", per_column={})
        raw = source.take(rows)
        varying = np.flatnonzero(~scaling.constant)
        if not len(varying):
            return cls(scaling, Warps.fit({}))
        return cls(scaling, Warps.fit({int(i): ("quantile", raw[:, i].astype(np.float64)) for i in varying}))

    @property
    def columns(self) -> np.ndarray:
        """(k,) which columns are in the view."""
        return self.warps.quantile if len(self.warps.quantile) else np.zeros(1, dtype=np.int64)

    @property
    def width(self) -> int:
        """Numbers that a row becomes: k sizes, then k ranks."""
        return 2 * len(self.columns)

    def forward(self, raw: np.ndarray, argument: str = "X") -> Tensor:
        """(n, all columns) finite numbers -> (n, width) float32."""
        if not np.isfinite(raw).all():
            self.scaling.forward(raw, argument)  # which says what is wrong, and where
        if not len(self.warps.quantile):
            return torch.zeros(len(raw), 2)
        here = self.columns
        sizes = (raw[:, here].astype(np.float64) - self.scaling.centre[here]) / self.scaling.scale[here]
        ranks = self.warps.forward(raw).clamp_(-REACH, REACH)
        return torch.cat([torch.from_numpy(sizes).clamp_(-FARTHEST, FARTHEST), ranks], 1).float()

    def moved(self, raw: np.ndarray) -> np.ndarray:
        """(n, columns) bool: cells of constant columns that hold another value."""
        tolerance = 1e-6 * np.maximum(np.abs(self.scaling.low), 1e-30)  # of float32 and float64 of one number
        return self.scaling.constant & (np.abs(raw - self.scaling.low) > tolerance)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays."""
        body, tensors = self.scaling.state()
        return body, tensors | self.warps.state() | {"varying": self.warps.quantile}

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, np.ndarray], names: tuple[str, ...] | None) -> Doubled:
        """The inverse of `state`."""
        scaling = Scaling.restore(body, tensors, names)
        none = np.zeros(0, dtype=np.int64)
        return cls(scaling, Warps.restore(none, np.asarray(tensors["varying"], dtype=np.int64), tensors))
