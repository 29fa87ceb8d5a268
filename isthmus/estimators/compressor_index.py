"""The names of a frame's rows: evenly spaced numbers as two of them, others in each block, whatever the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import is_whole
from isthmus.coding.columns import ColumnsModel
from isthmus.coding.columns_training import fit_columns
from isthmus.coding.entropy import Reader, Writer
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_columns import Column, array_of_cells, kind_of, learnt_column
from isthmus.estimators.compressor_levels import joined_parts, marked, packed_texts, parted, unmarked, unpacked_texts

PARTS = 4
"""Of the names of a block's rows: what their levels are, their model, their whole numbers, and what is beside."""


@dataclass(frozen=True)
class RowNames:
    """What a frame calls its rows, where it does not merely count them from 0.

    Parameters
    ----------
    names : of the index, or of each of its levels, as `marked` writes them.
    start, step : of evenly spaced numbers, the first and the distance to the next.
    kinds : of the levels of any other index, as `kind_of` writes a dtype; none = evenly spaced numbers.
    freq : of evenly spaced dates, as pandas writes it.
    """

    names: tuple[str, ...]
    start: int = 0
    step: int = 1
    kinds: tuple[dict[str, Any], ...] = ()
    freq: str | None = None

    @classmethod
    def of(cls, index: Any) -> RowNames | None:
        """Those of a pandas index; None = rows counted from 0.

        Raises
        ------
        InputError : it holds what no column can.
        """
        import pandas as pd

        try:
            names = tuple(marked(name, "index") for name in index.names)
            if isinstance(index, pd.RangeIndex):
                found = cls(names, int(index.start), int(index.step))
                return None if found == cls(("n",)) else found
            kinds = tuple(kind_of_level(level) for level in levels_of(index))
        except InputError as error:
            raise without_index(error) from error
        freq = getattr(index, "freqstr", None) if not is_period(index) else None
        return cls(names, 0, 1, kinds, freq)

    @property
    def counted(self) -> bool:
        """Whether they are evenly spaced numbers, of which blocks hold nothing."""
        return not self.kinds

    def forward(self, index: Any) -> bytes:
        """The index of a block."""
        if self.counted:
            return b""
        levels = [without_periods(level) for level in levels_of(index)]
        try:
            columns = [learnt_column("index", level, None, False) for level in levels]
        except InputError as error:
            raise without_index(error) from error
        pairs = [column.forward(level) for column, level in zip(columns, levels, strict=True)]
        ints = [each for some, _ in pairs for each in some]
        model, payload = b"", b""
        if ints and len(index):
            table, writer = np.stack(ints, axis=1), Writer()
            coder = fit_columns(table, sizes=(), random_state=0)
            coder.write(writer, table)
            model, payload = coder.tensors()["columns"].tobytes(), writer.done()
        about = [text for column in columns for text in
                 (json.dumps(column.spec()), str(len(column.levels)), *column.levels)]  # fmt: skip
        return joined_parts([packed_texts(about), model, payload, joined_parts([beside for _, beside in pairs])])

    def backward(self, packed: bytes, rows: int) -> Any:
        """The index of a block again."""
        about, model, payload, beside = parted(packed, PARTS)
        columns = described(unpacked_texts(about), len(self.kinds))
        widths = [column.width for column in columns]
        ints = [np.zeros(0, dtype=np.int64)] * sum(widths)
        if sum(widths) and rows:
            spec = {"columns": sum(widths), "network": False}
            coder = ColumnsModel.from_tensors({"columns": np.frombuffer(model, dtype=np.uint8)}, spec)
            reader = Reader(payload)
            ints = list(coder.read(reader, rows).T)
            reader.end()
        found, place = [], 0
        for column, part in zip(columns, parted(beside, len(columns)), strict=True):
            found.append(column.backward(ints[place : place + column.width], part, rows))
            place += column.width
        kinds = [own if own["is"] == "period" else column.kind
                 for own, column in zip(self.kinds, columns, strict=True)]  # fmt: skip
        return self._joined([level_of(cells, kind) for cells, kind in zip(found, kinds, strict=True)])

    def empty(self) -> Any:
        """The index of no rows."""
        import pandas as pd

        if self.counted:
            return self.at(0, 0)
        none: list[Any] = []
        return self._joined([
            level_of(array_of_cells(none, kind), kind) if kind["is"] in ("string", "category", "cells")
            else pd.Index(none, dtype=kind["dtype"]) for kind in self.kinds
        ])  # fmt: skip

    def at(self, first: int, rows: int) -> Any:
        """Evenly spaced numbers of the rows from a row on."""
        import pandas as pd

        start = self.start + first * self.step
        return pd.RangeIndex(start, start + rows * self.step, self.step, name=unmarked(self.names[0]))

    def joined(self, indices: list[Any]) -> Any:
        """The index of several blocks."""
        if self.counted:
            return indices[0].append(indices[1:])
        return self._joined([appended(list(parts)) for parts in zip(*map(levels_of, indices), strict=True)])

    def whole(self, frame: Any) -> Any:
        """The frame of all blocks, whose dates know again how they are spaced."""
        if self.freq is not None and len(frame):
            # Not of a part of the rows that is too short to tell.
            with suppress(ValueError, AttributeError):
                frame.index.freq = self.freq
        return frame

    def _joined(self, levels: list[Any]) -> Any:
        import pandas as pd

        names = [unmarked(name) for name in self.names]
        return levels[0].rename(names[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=names)

    def spec(self) -> dict[str, Any]:
        return {"names": list(self.names), "start": self.start, "step": self.step, "kinds": list(self.kinds),
                "freq": self.freq}  # fmt: skip

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> RowNames:
        """The inverse of `spec`.

        Raises
        ------
        FileFormatError : it is none.
        """
        found = cls(**{**spec, "names": tuple(spec["names"]), "kinds": tuple(spec["kinds"])})
        sound = len(found.names) == max(1, len(found.kinds)) and found.step != 0
        sound = sound and all(is_whole(number) and abs(number) < 2**62 for number in (found.start, found.step))
        if not sound or not (found.freq is None or isinstance(found.freq, str)):
            raise FileFormatError("the description of a frame's index contradicts itself")
        found.empty()
        return found


def without_index(error: InputError) -> InputError:
    """The error about an index, with a way round it."""
    return InputError(f"{error}; or leave the index out: X.reset_index(drop=True)")


def levels_of(index: Any) -> list[Any]:
    """The levels of an index, each with as many cells as there are rows."""
    return [index.get_level_values(place) for place in range(index.nlevels)]


def is_period(level: Any) -> bool:
    import pandas as pd

    return isinstance(level.dtype, pd.PeriodDtype)


def appended(parts: list[Any]) -> Any:
    """Parts of a level one after the other, of their own type also where pandas would find another."""
    import pandas as pd

    if parts[0].dtype != object:
        return parts[0].append(parts[1:])
    return pd.Index(np.concatenate([part.to_numpy() for part in parts]), dtype=object)


def kind_of_level(level: Any) -> dict[str, Any]:
    """A level's dtype as JSON; of months and the like, pandas' own name."""
    return {"is": "period", "dtype": str(level.dtype)} if is_period(level) else kind_of(level, "index")


def without_periods(level: Any) -> Any:
    """Months and the like as whole numbers; other levels as they are."""
    import pandas as pd

    return pd.Index(level.asi8) if is_period(level) else level


def level_of(cells: Any, kind: dict[str, Any]) -> Any:
    """A level from the array of its cells."""
    import pandas as pd

    if kind["is"] == "period":
        return pd.PeriodIndex.from_ordinals(cells, freq=pd.api.types.pandas_dtype(kind["dtype"]).freq)
    return pd.Index(cells, dtype=object) if kind["is"] == "cells" else pd.Index(cells)


def described(texts: Sequence[str], count: int) -> list[Column]:
    """The columns that a block's index is coded as."""
    columns, place = [], 0
    try:
        for _ in range(count):
            many = int(texts[place + 1])
            columns.append(Column.from_spec(json.loads(texts[place]), tuple(texts[place + 2 : place + 2 + many])))
            place += 2 + many
        if place != len(texts):
            raise ValueError("they are more than its levels")
    except (InputError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(f"the index of a block cannot be read: {error}") from error
    return columns
