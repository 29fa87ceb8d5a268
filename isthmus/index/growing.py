"""An array that rows are appended to."""

from __future__ import annotations

import numpy as np


class Growing:
    """Rows in memory, appended at a cost in proportion to the rows that come, not to those there are.

    Parameters
    ----------
    shape : of one row; ``()`` for a number a row.
    dtype : of the numbers, or ``object``.

    Examples
    --------
    >>> flags = Growing((), bool)
    >>> flags.extend(np.ones(3, dtype=bool))
    >>> flags.put(np.array([1]), False)
    >>> flags.now.tolist()
    [True, False, True]
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> None:
        self._room = np.empty((0, *shape), dtype=dtype)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def now(self) -> np.ndarray:
        """The rows, (rows, *shape), to be read only. It stays valid, and as long as it is, when more rows come."""
        view = self._room[: self._rows]
        view.flags.writeable = False
        return view

    def extend(self, rows: np.ndarray) -> None:
        """Append (n, *shape)."""
        needed = self._rows + len(rows)
        if needed > len(self._room):
            # By half as much again, so that each row is moved about twice in its life however small the adds are.
            larger = np.empty((max(needed, self._rows * 3 // 2), *self._room.shape[1:]), dtype=self._room.dtype)
            larger[: self._rows] = self._room[: self._rows]
            self._room = larger
        self._room[self._rows : needed] = rows
        self._rows = needed

    def put(self, rows: np.ndarray, value: object) -> None:
        """Write ``value`` over the rows with these numbers."""
        self._room[: self._rows][rows] = value
