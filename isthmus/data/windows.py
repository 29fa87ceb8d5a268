"""Long series cut into windows, which may overlap, and stitched together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.checks import check_whole
from isthmus.data.form import cast, plain_dtype
from isthmus.data.sequences import SequenceSource, filled, measured_steps
from isthmus.data.sources import ArraySource, stretches
from isthmus.errors import InputError
from isthmus.records import Layout


class Windows(SequenceSource):
    """Windows of long series: every row is one window. Nothing is held twice, however much they overlap.

    Windows in which nothing was measured are left out; what no window covers comes back as NaN.

    Parameters
    ----------
    pieces : the series, each (steps, ...) numbers, alike but for their steps; NaN marks a gap.
    window : steps in a window; None = every series is one row.
    overlap : steps that a window shares with the one before, less than ``window``. The last window of a series ends
        where the series does, and shares as many as it takes.
    axes : of one row, e.g. ``("step", "channel")``.
    labels : (index, column names) of every series, for results as frames; None = arrays.
    many : results come back as a list, one for each series.

    Attributes
    ----------
    starts : (rows,) where each window begins in all series laid end to end.
    series : (rows,) the number of the series that each window is of.
    """

    def __init__(
        self,
        pieces: Sequence[np.ndarray],
        window: int | None = None,
        overlap: int = 0,
        *,
        axes: tuple[str, ...] | None = None,
        labels: Sequence[tuple[Any, Any]] | None = None,
        many: bool = False,
        argument: str = "X",
    ) -> None:
        counts = np.array([len(piece) for piece in pieces])
        window = int(counts.max()) if window is None else window
        self.ends, self.labels, self.many, self.argument = np.cumsum(counts), labels, many, argument
        self.starts, self.series, lengths = cut(counts, window, overlap)
        flat = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        self.axes = axes or (("step",) if flat.ndim == 1 else ("step", "channel"))
        self.layout = Layout((window, *(int(size) for size in flat.shape[1:])), self.axes)
        self.dtypes = (flat.dtype.newbyteorder("=").name,)
        self.present = ~np.isnan(flat) if flat.dtype.kind == "f" else None
        if self.present is None or self.present.all():
            self.present, self.values = None, flat
        else:
            self.values = filled(flat[None], self.present[None], argument)[0]
            # Of a window without a value nothing can be learnt, and nothing rebuilt.
            seen = np.concatenate(([0], np.cumsum(self.present.reshape(len(flat), -1).any(axis=1))))
            some = seen[self.starts + lengths] > seen[self.starts]
            self.starts, self.series, lengths = self.starts[some], self.series[some], lengths[some]
        self.rows, self.lengths = len(self.starts), None if (lengths == window).all() else lengths
        self.blocks = stretches(self.rows, self.rows)

    def _places(self, rows: np.ndarray) -> np.ndarray:
        """(m, window): where the steps of some windows lie; those beyond a series' end do not matter."""
        return np.minimum(self.starts[rows][:, None] + np.arange(self.layout.shape[0]), len(self.values) - 1)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.take(self.values, self._places(np.asarray(rows)), axis=0)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.take(np.arange(start, stop))

    def _present(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.present is None else self.present[self._places(rows)]

    def steps(self, rows: np.ndarray | None = None) -> ArraySource:
        """The steps of some windows as rows, each step once."""
        if rows is None:
            return measured_steps(self.values, self.present, self.argument)
        covered = np.zeros(len(self.values) + 1, dtype=np.int64)
        lengths = self.layout.shape[0] if self.lengths is None else self.lengths[rows]
        np.add.at(covered, self.starts[rows], 1)
        np.add.at(covered, self.starts[rows] + lengths, -1)
        inside = np.cumsum(covered[:-1]) > 0
        kept = None if self.present is None else self.present[inside]
        return measured_steps(self.values[inside], kept, self.argument)

    def wrapped(self, values: np.ndarray) -> Any:
        """The series that results for all windows make: where windows overlap, their mean, in which a window counts
        the less the nearer the step is to its end."""
        dtype = plain_dtype(self.dtypes[0])
        long = cast(stitched(values, self.starts, self.lengths, len(self.values)), dtype)
        pieces = np.split(long, self.ends[:-1])
        if self.labels is not None:
            import pandas as pd

            pieces = [
                pd.DataFrame(piece.reshape(len(piece), -1), index=index, columns=names)
                for piece, (index, names) in zip(pieces, self.labels, strict=True)
            ]
        return pieces if self.many else pieces[0]


def check_window(window: int | None, overlap: int) -> None:
    if window is not None:
        check_whole("windows", window=window)
    check_whole("windows", 0, overlap=overlap)
    if window is not None and overlap >= window:
        raise InputError(f"windows: overlap must be less than window={window}; got {overlap!r}. Try {window // 2}")


def cut(counts: np.ndarray, window: int, overlap: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where windows of series of so many steps begin, laid end to end, the number of each one's series, and how many
    steps of each are there: fewer than ``window`` only where the series is shorter.

    >>> cut(np.array([7, 2]), window=3, overlap=1)
    (array([0, 2, 4, 7]), array([0, 0, 0, 1]), array([3, 3, 3, 2]))
    """
    starts, series = [], []
    first = 0
    for number, count in enumerate(counts.tolist()):
        here = list(range(0, max(count - window, 0) + 1, window - overlap))
        if here[-1] + window < count:
            here.append(count - window)
        starts += [first + start for start in here]
        series += [number] * len(here)
        first += count
    owner = np.array(series, dtype=np.int64)
    return np.array(starts, dtype=np.int64), owner, np.minimum(window, counts[owner])


def stitched(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray | None, total: int) -> np.ndarray:
    """(total, ...): windows (n, window, ...) laid where they begin, and averaged where they overlap.

    Windows that agree come back to the last digit: what is averaged is how far each is from one of them.

    >>> stitched(np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]]), np.array([0, 1]), None, 4)
    array([0., 1., 2., 3.])
    """
    rows, window = values.shape[:2]
    base = np.full((total, *values.shape[2:]), np.nan, dtype=np.result_type(values, np.float32))
    off, weight = np.zeros_like(base), np.zeros((total, *[1] * (values.ndim - 2)), dtype=base.dtype)
    taper = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1)).astype(base.dtype)
    valid = np.full(rows, window) if lengths is None else lengths
    # One slice per window, or one per step of the windows: whichever are fewer.
    if rows <= window:
        parts: list[tuple[Any, Any, Any]] = [
            (slice(start, start + n), (row, slice(n)), taper[:n].reshape(-1, *[1] * (values.ndim - 2)))
            for row, (start, n) in enumerate(zip(starts.tolist(), valid.tolist(), strict=True))
        ]
    else:
        whole = [np.flatnonzero(valid > step) for step in range(window)]
        parts = [(starts[here] + step, (here, step), taper[step]) for step, here in enumerate(whole)]
    for place, source, _ in parts:
        base[place] = values[source]
    for place, source, share in parts:
        off[place] += share * (values[source] - base[place])
        weight[place] += share
    return base + np.divide(off, weight, out=off, where=weight > 0)
