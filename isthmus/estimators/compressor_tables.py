"""How blocks of a table become whole numbers, and come back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.checks import listed
from isthmus.errors import InputError
from isthmus.estimators.compressor_casts import in_words
from isthmus.estimators.compressor_columns import Column, kind_of, learnt_column, like
from isthmus.estimators.compressor_data import Bounds, columns_of, is_frame, plain_names
from isthmus.estimators.compressor_frames import MADE, as_made, schema_of
from isthmus.estimators.compressor_index import RowNames
from isthmus.estimators.compressor_levels import first_part, joined_parts, parted
from isthmus.estimators.compressor_plain import start_of


@dataclass(frozen=True)
class TableForm:
    """Tables, coded column by column.

    Parameters
    ----------
    columns : of the table.
    frame : whether it is a frame; else an array (n, columns) of one dtype.
    objects : the names are held as Python objects, as pandas does where some are numbers.
    index : what one file's frame calls its rows; None = they are counted from 0.
    made : of which library one file's frame was, and its types there; None = pandas.
    """

    columns: tuple[Column, ...]
    frame: bool
    objects: bool = False
    kind: str = "table"
    # Of a file, not of the data that a model is for: parts of one frame differ in where their rows begin.
    index: RowNames | None = field(default=None, compare=False)
    made: dict[str, str] | None = field(default=None, compare=False)

    @property
    def names(self) -> list[Any]:
        return [column.name for column in self.columns]

    @property
    def widths(self) -> list[int]:
        return [column.width for column in self.columns]

    def matched(self, X: Any) -> TableForm:
        """The form of another table, or the error about columns that are not those of the fit."""
        if is_frame(X) != self.frame:
            raise InputError(f"X must be {'a pandas frame' if self.frame else 'an array'}, as in the fit")
        if not self.frame and (X.ndim != 2 or X.shape[1] != len(self.columns)):
            raise InputError(f"X must be an array of the shape (n, {len(self.columns)}), as in the fit; got {X.shape}")
        names = plain_names(X) if self.frame else self.names
        if names != self.names:
            new, gone = ([name for name in a if name not in b] for a, b in ((names, self.names), (self.names, names)))
            what = (
                f"new ones: {listed(new)}"
                if new
                else f"missing: {listed(gone)}"
                if gone
                else "they are in another order"
            )
            raise InputError(f"X must have the columns of the fit; {what}. They are: {listed(self.names)}")
        found = replace(self, columns=tuple(map(self._alike, self.columns, columns_of(X))))
        if not self.frame:
            return found
        return replace(found, index=RowNames.of(X.index), made=X.attrs.get(MADE))

    def _alike(self, column: Column, cells: Any) -> Column:
        now = kind_of(cells, column.name)
        alike = like(column, now)
        if alike is None:
            then, new = in_words(column.kind), in_words(now)
            if then == new:
                then, new = (f"{in_words(kind)} ({kind.get('dtype', kind['is'])})" for kind in (column.kind, now))
            raise InputError(
                f"X: column {column.name!r} must hold {then}, as in the fit; got {new}. Change its type, or fit again "
                "with such data"
            )
        return alike

    def bounded(self, X: Any, bounds: Bounds) -> TableForm:
        """The same columns with other bounds."""
        bounds.check_names(self.names)
        columns = zip(self.columns, columns_of(X), strict=True)
        return replace(self, columns=tuple(column_bounded(column, cells, bounds) for column, cells in columns))

    def forward(self, block: Any) -> tuple[list[np.ndarray], bytes]:
        """The columns' whole numbers, one after the other, and what they cannot stand for."""
        pairs = [column.forward(cells) for column, cells in zip(self.columns, columns_of(block), strict=True)]
        names = [self.index.forward(block.index)] if self.index is not None else []
        return [ints for some, _ in pairs for ints in some], joined_parts([*(beside for _, beside in pairs), *names])

    def backward(self, ints: list[np.ndarray], beside: bytes, rows: int) -> Any:
        """The block again, a frame of pandas with its index, or rows counted from 0."""
        import pandas as pd

        kept = self.index is not None and not self.index.counted
        *parts, names = parted(beside, len(self.columns) + 1) if kept else [*parted(beside, len(self.columns)), b""]
        found, place = [], 0
        for column, part in zip(self.columns, parts, strict=True):
            found.append(column.backward(ints[place : place + column.width], part, rows))
            place += column.width
        if not self.frame:
            return np.stack(found, axis=1) if found else np.empty((rows, 0))
        index = self.index.backward(names, rows) if kept and self.index is not None else pd.RangeIndex(rows)
        return self._table(found, index)

    def _table(self, found: list[Any], index: Any) -> Any:
        import pandas as pd

        # Of an array of objects that are all texts, pandas would make a column of texts, which holds less.
        whole = [
            pd.Series(one, dtype=object) if one.dtype.kind == "O" and isinstance(one, np.ndarray) else one
            for one in found
        ]
        made = pd.DataFrame(dict(enumerate(whole)), index=pd.RangeIndex(len(index)), copy=False)
        made.index = index
        if found:
            made.columns = pd.Index(self.names, dtype=object) if self.objects else pd.Index(self.names)
        return made

    def named_bytes(self, payload: bytes) -> int:
        """How many of a block's bytes are its rows' names, of which the fit knew nothing."""
        if self.index is None or self.index.counted:
            return 0
        return len(parted(first_part(payload, start_of(payload))[0], len(self.columns) + 1)[-1])

    def numbered(self, block: Any, first: int) -> Any:
        """The block whose first row is number ``first`` of the table, its rows called so where they are counted."""
        if self.frame and (self.index is None or self.index.counted):
            block.index = (self.index or RowNames(("n",))).at(first, len(block))
        return block

    def empty(self) -> Any:
        """The table without rows, as blocks are."""
        nothing = replace(self, index=None).backward([np.zeros(0, dtype=np.int64)] * sum(self.widths), b"", 0)
        return nothing if not self.frame or self.index is None else nothing.set_axis(self.index.empty(), axis=0)

    def joined(self, blocks: list[Any]) -> Any:
        """All blocks together, of the library they were of; none are a table without rows."""
        import pandas as pd

        blocks = blocks or [self.empty()]
        if not self.frame:
            return np.concatenate(blocks)
        found = blocks[0]
        if len(blocks) > 1:
            found = pd.concat(blocks, ignore_index=True)
            found.index = (self.index or RowNames(("n",))).joined([block.index for block in blocks])
        if self.made is not None:
            return as_made(found, self.made)
        return found if self.index is None else self.index.whole(found)

    def spec(self) -> dict[str, Any]:
        columns = [column.spec() for column in self.columns]
        return {"kind": "table", "frame": self.frame, "objects": self.objects, "columns": columns}

    def texts(self) -> list[str]:
        """The levels of all columns, each column's behind their number."""
        return [text for column in self.columns for text in (str(len(column.levels)), *column.levels)]

    @classmethod
    def from_spec(cls, spec: dict[str, Any], texts: list[str]) -> TableForm:
        columns, place = [], 0
        for one in spec["columns"]:
            count = int(texts[place])
            columns.append(Column.from_spec(one, tuple(texts[place + 1 : place + 1 + count])))
            place += 1 + count
        return cls(tuple(columns), bool(spec["frame"]), bool(spec["objects"]))

    def changes(self, fitted: TableForm) -> dict[str, Any]:
        """What is not as in the fit, as JSON."""
        pairs = enumerate(zip(self.columns, fitted.columns, strict=True))
        found: dict[str, Any] = {str(place): now.spec() for place, (now, then) in pairs if now != then}
        if self.index is not None:
            found["index"] = self.index.spec()
        return found if self.made is None else found | {"made": self.made}

    def changed(self, changes: dict[str, Any]) -> TableForm:
        """The inverse of `changes`."""
        columns, index, made = list(self.columns), changes.get("index"), changes.get("made")
        for place, spec in changes.items():
            if place not in ("index", "made"):
                columns[int(place)] = Column.from_spec(spec, columns[int(place)].levels)
        if made is not None:
            schema_of(made)
        names = None if index is None else RowNames.from_spec(index)
        return replace(self, columns=tuple(columns), index=names, made=made)


def column_bounded(column: Column, cells: Any, bounds: Bounds) -> Column:
    """A column with another bound."""
    if column.family != "numbers" and not (bounds.by_name and bounds.of(column.name)["max_error"]):
        return column
    learnt = learnt_column(column.name, cells, **bounds.of(column.name), named=bounds.by_name)
    return replace(column, numbers=learnt.numbers)
