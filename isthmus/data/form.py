"""What the user's data looked like, so that everything comes back looking the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import FileFormatError
from isthmus.records import COLUMN_KINDS, Column, Layout

CONTAINERS = ("numpy", "pandas", "polars")

UNKNOWN = "\ufffd"
"""Token number 0 of every vocabulary: whatever is not in it."""


@dataclass(frozen=True)
class Form:
    """Container, column names and types of the user's data.

    Parameters
    ----------
    container : ``"numpy"``, ``"pandas"`` or ``"polars"``: what `wrap` returns.
    names : column names, or None for nameless arrays.
    dtypes : a type name per column (``"float32"``, ``"bool"``, pandas' nullable ``"Int64"``, ...), or one
        entry where all columns share it.
    layout : what one row is.
    numbered : the names were whole numbers in the user's frame, and become so again.
    words : of texts, the token that each number stands for; None = the data is no text.
    level : of texts, what a token is: ``"character"`` or ``"word"``.

    Examples
    --------
    >>> form = Form("pandas", ("age", "weight"), ("uint8", "float32"), Layout((2,), ("column",)))
    >>> form.wrap(np.array([[300.0, 61.5]]))
       age  weight
    0  255    61.5
    """

    container: str
    names: tuple[str, ...] | None
    dtypes: tuple[str, ...]
    layout: Layout
    numbered: bool = False
    words: tuple[str, ...] | None = None
    level: str = "character"

    @property
    def labels(self) -> list[str] | list[int] | None:
        """The column labels as they stood in the user's frame."""
        if self.names is None:
            return None
        return [int(name) for name in self.names] if self.numbered else list(self.names)

    @property
    def wide(self) -> bool:
        """Whether some column needs more than float32 to hold its values exactly."""
        return np.result_type(np.float32, *map(plain_dtype, set(self.dtypes))) != np.float32

    @property
    def floats(self) -> Form:
        """The same columns holding float64 numbers: of what is no value of a column, such as an error."""
        return Form(self.container, self.names, ("float64",), self.layout, self.numbered)

    def described(self) -> list[str]:
        """A sentence per column of a mixed table; nothing of others."""
        return []

    def wrap(self, values: np.ndarray, index: Any = None, container: str | None = None) -> Any:
        """Numbers in the user's units as the user's kind of object.

        Whole-number columns are rounded and clipped to their type's range, truth values are ``>= 0.5``.

        Parameters
        ----------
        values : (n, *layout.shape) floats.
        index : the pandas index of the rows, if any.
        container : another container than the user's.
        """
        if self.words is not None and container is None:
            return self.texts(values)
        container = self.container if container is None else container
        if container == "numpy":
            return cast(values, np.result_type(*map(plain_dtype, set(self.dtypes))))
        values = values.reshape(len(values), -1)
        return self._pandas(values, index) if container == "pandas" else self._polars(values)

    def texts(self, values: np.ndarray, lengths: np.ndarray | None = None) -> list[str]:
        """What token numbers (n, steps) say; what is no number of a token is the unknown one."""
        words = self.words or (UNKNOWN,)
        numbers = cast(values, np.dtype(np.int64))
        numbers = np.where((numbers >= 0) & (numbers < len(words)), numbers, 0).tolist()
        ends = [len(row) for row in numbers] if lengths is None else lengths.tolist()
        between = " " if self.level == "word" else ""
        return [between.join(words[i] for i in row[:end]) for row, end in zip(numbers, ends, strict=True)]

    def _pandas(self, values: np.ndarray, index: Any) -> Any:
        import pandas as pd

        if len(self.dtypes) == 1 and self.dtypes[0] == plain_dtype(self.dtypes[0]).name:
            return pd.DataFrame(cast(values, plain_dtype(self.dtypes[0])), columns=self.labels, index=index)
        columns = {
            i: pd.Series(cast(values[:, i], plain_dtype(name)), index=index, dtype=name)
            for i, name in enumerate(self._dtype_per_column())
        }
        frame = pd.DataFrame(columns, index=index)
        if self.names is not None:
            frame.columns = pd.Index(self.labels)
        return frame

    def _polars(self, values: np.ndarray) -> Any:
        import polars

        names = self.names or tuple(f"column_{i}" for i in range(values.shape[1]))
        dtypes = self._dtype_per_column()
        return polars.DataFrame({name: cast(values[:, i], plain_dtype(dtypes[i])) for i, name in enumerate(names)})

    def _dtype_per_column(self) -> tuple[str, ...]:
        return self.dtypes if len(self.dtypes) > 1 else self.dtypes * self.layout.features

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays; whatever grows with the columns is in the arrays."""
        kinds = sorted(set(self.dtypes))
        tensors = {"dtypes": np.array([kinds.index(name) for name in self.dtypes], dtype=np.int32)}
        if self.names is not None:
            tensors["names"], tensors["names_offsets"] = pack_text(self.names)
        if self.layout.columns is not None:
            about = [(COLUMN_KINDS.index(one.kind), one.levels, one.rare) for one in self.layout.columns]
            tensors["columns"] = np.array(about, dtype=np.int64)
        body: dict[str, Any] = {
            "container": self.container,
            "shape": list(self.layout.shape),
            "axes": list(self.layout.axes),
            "dtypes": kinds,
            "numbered": self.numbered,
        }
        if self.words is not None:
            tensors["words"], tensors["words_offsets"] = pack_text(self.words)
            body["level"] = self.level
        return body, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, np.ndarray]) -> Form:
        """The form that `state` described; `FileFormatError` where its parts contradict each other."""
        if body.get("mixed"):
            from isthmus.data.table_form import TableForm  # made of this class, so it is not known above

            return TableForm.restore(body, tensors)
        form = cls.told(body, tensors)
        try:
            for name in form.dtypes:
                plain_dtype(name)
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"the description of the columns is damaged ({error})") from error
        return form

    @staticmethod
    def told(body: dict[str, Any], tensors: dict[str, np.ndarray]) -> Form:
        """What is told of every table, mixed or not; types may be any."""
        try:
            shape, kinds = tuple(int(n) for n in body["shape"]), [str(kind) for kind in body["dtypes"]]
            dtypes = tuple(kinds[i] for i in np.asarray(tensors["dtypes"]).tolist())
            names = unpack_text(tensors["names"], tensors["names_offsets"]) if "names" in tensors else None
            about = np.asarray(tensors["columns"]).tolist() if "columns" in tensors else None
            columns = None if about is None else tuple(Column(COLUMN_KINDS[i], n, rare) for i, n, rare in about)
            layout = Layout(shape, tuple(str(axis) for axis in body["axes"]), columns)
            words = unpack_text(tensors["words"], tensors["words_offsets"]) if "words" in tensors else None
            level = str(body.get("level", "character"))
            form = Form(str(body["container"]), names, dtypes, layout, bool(body["numbered"]), words, level)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(f"the description of the columns is damaged ({error})") from error
        features = math.prod(shape)
        if form.container not in CONTAINERS or len(dtypes) not in (1, features) or min(shape, default=0) < 1:
            raise FileFormatError("the description of the columns is damaged")
        if names is not None and len(names) != features:
            raise FileFormatError(f"the file names {len(names)} columns, but a row has {features} numbers")
        return form


def plain_dtype(name: str) -> np.dtype:
    """The NumPy type behind a column's type name, pandas' nullable and Arrow types included.

    >>> plain_dtype("Int16"), plain_dtype("boolean"), plain_dtype("double[pyarrow]")
    (dtype('int16'), dtype('bool'), dtype('float64'))
    """
    plain = name.removesuffix("[pyarrow]").lower()
    plain = {"boolean": "bool", "double": "float64", "float": "float32", "halffloat": "float16"}.get(plain, plain)
    dtype = np.dtype(plain)
    if dtype.kind not in "biuf":
        raise ValueError(f"{name!r} is not a type of numbers")
    return dtype


def is_plain(dtype: str) -> bool:
    """Whether a type name is one of numbers.

    >>> is_plain("Int8"), is_plain("category"), is_plain("datetime64[us]")
    (True, False, False)
    """
    try:
        plain_dtype(dtype)
    except (TypeError, ValueError):
        return False
    return True


def cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as ``dtype``: truth values are ``>= 0.5``, whole numbers rounded, and nothing ever overflows.

    >>> cast(np.array([-3.2, 1.6, 1e30]), np.dtype("uint8"))
    array([  0,   2, 255], dtype=uint8)
    """
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind == "f":
        if dtype.itemsize >= values.dtype.itemsize:
            return values.astype(dtype, copy=False)
        limits = np.finfo(dtype)
        return np.clip(values, float(limits.min), float(limits.max)).astype(dtype)
    whole = np.rint(values.astype(np.float64))
    lowest, highest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    # The largest 64-bit number is not a float64: the float beside it is one too many, so it is set apart.
    at_top = whole >= float(highest)
    made = np.where(at_top | np.isnan(whole), 0.0, np.maximum(whole, float(lowest))).astype(dtype)
    made[at_top] = highest
    return made
