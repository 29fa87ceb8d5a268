"""Sequences: rows of steps in time, of one length or of several, perhaps with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.data.arrays import as_array
from isthmus.data.sources import ArraySource, Source, stretches
from isthmus.errors import InputError
from isthmus.records import Layout


class SequenceSource(Source):
    """Sequences in memory, padded to the length of the longest.

    Parameters
    ----------
    values : (n, steps[, ...]) numbers; what stands beyond a sequence's end does not matter.
    lengths : (n,) valid steps of each, >= 1; None = all are of full length.
    present : same shape as values, bool: False in gaps, cells that were not measured; None = none is missing.
    axes : of one row, e.g. ``("step", "channel")``.
    """

    def __init__(
        self,
        values: np.ndarray,
        lengths: np.ndarray | None = None,
        present: np.ndarray | None = None,
        *,
        axes: tuple[str, ...] | None = None,
        argument: str = "X",
    ) -> None:
        self.rows, self.argument = len(values), argument
        named = axes or {2: ("step",), 3: ("step", "channel")}.get(values.ndim)
        if named is None:
            raise InputError(f"{argument} must hold (n, steps) or (n, steps, channels); got the shape {values.shape}")
        self.layout = Layout(tuple(int(length) for length in values.shape[1:]), named)
        self.lengths = None if lengths is None else np.asarray(lengths, dtype=np.int64)
        self.dtypes = (values.dtype.newbyteorder("=").name,)
        self.present = present
        valid = self._valid(np.arange(self.rows))
        self.values = values if valid is None else filled(values, valid, argument)
        self.blocks = stretches(self.rows, self.rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return np.take(self.values, rows, axis=0)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]

    def weight(self, rows: np.ndarray) -> np.ndarray | None:
        valid = self._valid(rows)
        return None if valid is None else valid.astype(np.float32)

    def _present(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self.present is None else self.present[rows]

    def _valid(self, rows: np.ndarray) -> np.ndarray | None:
        """(m, *shape) bool: cells within their sequence that were measured; None where all are."""
        present = self._present(rows)
        if self.lengths is None:
            return present
        within = np.arange(self.layout.shape[0]) < self.lengths[rows][:, None]
        shape = (len(rows), *self.layout.shape)
        within = np.broadcast_to(within.reshape(*within.shape, *[1] * (len(shape) - 2)), shape)
        return within if present is None else within & present

    def steps(self, rows: np.ndarray | None = None) -> ArraySource:
        """Every step of some rows as a row of its own: what the scaling of the channels follows from.

        A gap is filled with the same channel's values at other steps, so that it moves none of their figures.
        """
        rows = np.arange(self.rows) if rows is None else rows
        shape, valid = self.layout.shape[1:], self._valid(rows)
        kept = None if valid is None else valid.reshape(-1, *shape)
        return measured_steps(self.take(rows).reshape(-1, *shape), kept, self.argument)

    def padded(self, steps: int) -> SequenceSource:
        """The same sequences, padded to more steps: for networks that take rows of one length."""
        more = [(0, 0), (0, steps - self.layout.shape[0]), *[(0, 0)] * (len(self.layout.shape) - 1)]
        lengths = np.full(self.rows, self.layout.shape[0]) if self.lengths is None else self.lengths
        present = None if self.present is None else np.pad(self.present, more)
        return SequenceSource(
            np.pad(self.values, more), lengths, present, axes=self.layout.axes, argument=self.argument
        )

    def wrapped(self, values: np.ndarray) -> Any:
        whole = super().wrapped(values)
        if self.lengths is None:
            return whole
        if (self.lengths == self.lengths[0]).all():
            return whole[:, : self.lengths[0]]
        return [row[:length] for row, length in zip(whole, self.lengths.tolist(), strict=True)]


def filled(values: np.ndarray, valid: np.ndarray, argument: str) -> np.ndarray:
    """``values`` (n, steps, ...) with one that was seen in the same channel in every cell that is missing, so that no
    figure about the data is moved by it; 0 where there is none."""
    shape = values.shape[2:]
    size = int(np.prod(shape))
    flat, kept = values.reshape(-1, size), valid.reshape(-1, size)
    if not kept.any():
        raise InputError(f"{argument}: not one value was measured: all are missing")
    found = flat[kept.argmax(axis=0), np.arange(size)]
    return np.where(valid, values, np.where(kept.any(axis=0), found, 0).astype(values.dtype).reshape(shape))


def measured_steps(flat: np.ndarray, kept: np.ndarray | None, argument: str) -> ArraySource:
    """Steps (m, ...) as rows: those of which something was measured (``kept``), their gaps filled with the same
    channel's values at other steps."""
    rows = flat.reshape(len(flat), -1)
    if kept is not None:
        kept = kept.reshape(rows.shape)
        whole = kept.any(axis=1)
        rows, kept = rows[whole], kept[whole]
        for channel in np.flatnonzero(~kept.all(axis=0)):
            there = rows[kept[:, channel], channel]
            rows[:, channel] = np.resize(there, len(rows)) if len(there) else rows[:, channel]
    return ArraySource(rows.reshape(len(rows), *(flat.shape[1:] or (1,))), argument=argument)


def sequences(X: Any, argument: str = "X") -> SequenceSource:
    """Sequences as rows: an array (n, steps[, channels]), or a list of (steps,) or (steps, channels) arrays.

    Parameters
    ----------
    X : numbers; an object array of arrays is a list of them. NaN marks a gap, a cell that was not measured: it reaches
        neither loss nor encoder, and is filled in by `Autoencoder.reconstruct`. Sequences of a list may differ in
        length; each needs at least one step.

    Returns
    -------
    SequenceSource
        What `Autoencoder.fit` and all others take. Results come back as a list where lengths differ.

    Examples
    --------
    >>> sequences([[1.0, 2.0, 3.0], [4.0]])
    SequenceSource(rows=2, shape=(3,), dtype=float64)
    >>> sequences([[1.0, 2.0, 3.0], [4.0]]).lengths
    array([3, 1])
    """
    if isinstance(X, SequenceSource):
        return X
    if isinstance(X, (str, bytes, dict)) or not (hasattr(X, "__array__") or isinstance(X, Sequence)):
        raise InputError(f"{argument} must be an array or a list of arrays, one per sequence; got {type(X).__name__}")
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = X.tolist()  # arrays of several lengths, as NumPy keeps them
    if hasattr(X, "__array__"):
        values = as_array(X, argument)
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise InputError(
                f"{argument} must be (n, steps) or (n, steps, channels), none of them 0; got the shape {values.shape}"
            )
        return with_gaps(values, None, argument)
    rows = [as_array(row, f"{argument}[{i}]") for i, row in enumerate(X)]
    check_alike(rows, argument)
    values, lengths = laid_out(rows)
    return with_gaps(values, lengths, argument)


WANTED = "sequences must be (steps,) or (steps, channels) with as many channels each"


def check_alike(
    rows: Sequence[np.ndarray], argument: str, axes: tuple[int, ...] = (1, 2), wanted: str = WANTED
) -> None:
    """Every sequence has steps, and the channels of the first."""
    if not rows:
        raise InputError(f"{argument}: there is no sequence in it")
    for i, row in enumerate(rows):
        if row.ndim not in axes or row.shape[1:] != rows[0].shape[1:] or 0 in row.shape[1:]:
            raise InputError(
                f"{argument}: {wanted}; sequence 0 has the shape {rows[0].shape}, sequence {i} {row.shape}"
            )
    empty = [i for i, row in enumerate(rows) if not len(row)]
    if empty:
        said = ", ".join(map(str, empty[:8])) + (" ..." if len(empty) > 8 else "")
        raise InputError(
            f"{argument}: {counted(len(empty), 'sequence')} of length 0 (number {said}); leave them out: "
            f"[row for row in {argument} if len(row)]"
        )


def laid_out(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Sequences padded with 0 to the longest, (n, steps, ...), and how many steps of each are its own; None = all.

    >>> laid_out([np.array([1, 2]), np.array([3])])
    (array([[1, 2],
           [3, 0]]), array([2, 1]))
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    dtype = np.result_type(*{row.dtype for row in rows})
    values = np.zeros((len(rows), int(lengths.max()), *rows[0].shape[1:]), dtype=dtype)
    for row, place in zip(rows, values, strict=True):
        place[: len(row)] = row
    return values, None if (lengths == lengths[0]).all() else lengths


def with_gaps(
    values: np.ndarray, lengths: np.ndarray | None, argument: str, axes: tuple[str, ...] | None = None
) -> SequenceSource:
    """The source, with NaN cells as gaps."""
    present = ~np.isnan(values) if values.dtype.kind == "f" else None
    if present is None or present.all():
        present = None
    else:
        within = np.arange(values.shape[1]) < (values.shape[1] if lengths is None else lengths[:, None])
        within = np.broadcast_to(within, values.shape[:2])
        measured = present.reshape(*values.shape[:2], -1).any(2) & within
        blank = np.flatnonzero(~measured.any(axis=1))
        if len(blank):
            raise InputError(
                f"{argument}: {counted(len(blank), 'sequence')} without any value, nothing but gaps, the first of them "
                f"number {blank[0]}; leave such out"
            )
    return SequenceSource(values, lengths, present, axes=axes, argument=argument)
