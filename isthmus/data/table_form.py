"""What a mixed table looked like: its results come back with the user's types, levels and time zones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.arrow import family
from isthmus.data.coding import Coding
from isthmus.data.columns import LeftOut
from isthmus.data.form import Form, cast, is_plain, plain_dtype
from isthmus.data.packing import pack_text, unpack_text
from isthmus.data.raw_cells import number_cells
from isthmus.errors import FileFormatError


@dataclass(frozen=True)
class TableForm(Form):
    """Container, names and types of a mixed table, and how each of its columns is coded.

    Parameters
    ----------
    container, names, dtypes, layout, numbered, words, level : as in `Form`; there is a type name for every column.
    codings : per column, what its raw numbers mean.
    left_out : the columns that are not used, and why; later tables may hold them or not.
    """

    codings: tuple[Coding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether some column needs more than float32 to hold its values exactly."""
        return any(needs_float64(coding) for coding in self.codings)

    def described(self) -> list[str]:
        """A sentence per column: what it is taken for and why, those that are left out included."""
        left = [f"{one.name}: left out ({one.reason})" for one in self.left_out]
        return [coding.sentence for coding in self.codings] + left

    def wrap(self, values: np.ndarray, index: Any = None, container: str | None = None) -> Any:
        """Raw numbers as the user's kind of table; a cell that is NaN is a missing one.

        Parameters
        ----------
        values : (n, columns) floats, coded as the columns of the fit were.
        index : the pandas index of the rows, if any.
        container : another container than the user's; ``"numpy"`` = raw numbers where a column holds no numbers.
        """
        values = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
        container = self.container if container is None else container
        if container == "numpy":
            return self._numpy(values)
        arrays = [coding.decode(values[:, i]) for i, coding in enumerate(self.codings)]
        return self._frame(arrays, index) if container == "pandas" else self._table(arrays)

    def _numpy(self, values: np.ndarray) -> np.ndarray:
        made = values.copy()
        for i, coding in enumerate(self.codings):
            if coding.type != "numeric" and is_plain(coding.dtype):
                made[:, i] = coding.decode(values[:, i]).to_numpy(zero_copy_only=False).astype(np.float64)
        plain = [plain_dtype(name) for name in set(self.dtypes) if is_plain(name)]
        dtype = np.result_type(*plain) if len(plain) == len(set(self.dtypes)) else np.dtype(np.float64)
        # Whole numbers have no way to say that a cell is missing.
        return made if dtype.kind != "f" and np.isnan(made).any() else cast(made, dtype)

    def _frame(self, arrays: list[Any], index: Any) -> Any:
        import pandas as pd

        columns = {i: pandas_column(array, self.dtypes[i]) for i, array in enumerate(arrays)}
        frame = pd.DataFrame({i: pd.Series(column, index=index) for i, column in columns.items()}, index=index)
        if self.names is not None:
            frame.columns = pd.Index(self.labels)
        return frame

    def _table(self, arrays: list[Any]) -> Any:
        import polars

        names = self.names or tuple(f"column_{i}" for i in range(len(arrays)))
        return polars.DataFrame(
            [polars_column(array, dtype, name) for array, dtype, name in zip(arrays, self.dtypes, names, strict=True)]
        )

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays; whatever grows with the columns or their levels is in the arrays."""
        body, tensors = super().state()
        about = []
        for i, coding in enumerate(self.codings):
            one, arrays = coding.state()
            about.append(json.dumps(one))
            tensors |= {f"coding.{i}.{name}": array for name, array in arrays.items()}
        tensors["codings"], tensors["codings_offsets"] = pack_text(about)
        left = [word for one in self.left_out for word in (one.name, one.reason)]
        tensors["left_out"], tensors["left_out_offsets"] = pack_text(left)
        return {**body, "mixed": True}, tensors

    @classmethod
    def restore(cls, body: dict[str, Any], tensors: dict[str, np.ndarray]) -> TableForm:
        """The form that `state` described; `FileFormatError` where its parts contradict each other."""
        plain = cls.told(body, tensors)
        try:
            groups: dict[int, dict[str, np.ndarray]] = {}
            for name, array in tensors.items():
                if name.startswith("coding."):
                    _, place, rest = name.split(".", 2)
                    groups.setdefault(int(place), {})[rest] = array
            texts = unpack_text(tensors["codings"], tensors["codings_offsets"])
            codings = tuple(Coding.restore(json.loads(text), groups.get(i, {})) for i, text in enumerate(texts))
            left = unpack_text(tensors["left_out"], tensors["left_out_offsets"])
            left_out = tuple(LeftOut(left[i], left[i + 1]) for i in range(0, len(left), 2))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(f"the description of the columns is damaged ({error})") from error
        if plain.layout.columns != tuple(one.column for one in codings) or len(plain.dtypes) != len(codings):
            raise FileFormatError("the description of the columns is damaged")
        return cls(plain.container, plain.names, plain.dtypes, plain.layout, plain.numbered,
                   codings=codings, left_out=left_out)  # fmt: skip


def needs_float64(coding: Coding) -> bool:
    """Whether float32 cannot hold the column's raw numbers."""
    if coding.column.levels or coding.type in ("binary", "circular"):
        return False
    return not is_plain(coding.dtype) or np.result_type(np.float32, plain_dtype(coding.dtype)) != np.float32


def as_numbers_of(array: Any, dtype: str) -> Any:
    """Cells of one type of numbers as those of another that is named: a later table need not have that of the fit.

    pandas, polars and NumPy each refuse, cut or wrap around what the other type cannot hold; here it is rounded and
    clipped, as where the types are alike. Other cells, and other names, stay as they are.

    >>> import pyarrow as pa
    >>> as_numbers_of(pa.array([1.7, None, 300.0]), "UInt8").to_pylist()
    [2, None, 255]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_plain(dtype) or family(array.type) not in ("number", "truth") or pa.types.is_dictionary(array.type):
        return array
    wanted = plain_dtype(dtype)
    if wanted.itemsize > 8 or array.type == pa.from_numpy_dtype(wanted):  # Arrow has no longer numbers
        return array
    values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return number_cells(np.asarray(values, dtype=np.float64), pa.from_numpy_dtype(wanted))


def pandas_column(array: Any, dtype: str) -> Any:
    """Decoded cells as a pandas array of a type of this name."""
    import pandas as pd
    import pyarrow

    array = as_numbers_of(array, dtype)
    if dtype.endswith("[pyarrow]"):
        return pd.arrays.ArrowExtensionArray(pyarrow.chunked_array([array]))
    if dtype == "category":
        return (array if pyarrow.types.is_dictionary(array.type) else array.dictionary_encode()).to_pandas().array
    if pyarrow.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if dtype.startswith("object"):
        return objects(array, np.nan if dtype == "object[nan]" else None)
    if dtype.startswith(("string", "str")):
        storage = "python" if dtype.endswith("[python]") else "pyarrow"
        kind = pd.StringDtype(storage, na_value=pd.NA if dtype.startswith("string") else np.nan)
        return pd.array(objects(array), dtype=kind)
    if dtype.startswith(("datetime64", "timedelta64")):
        return array.to_pandas().astype(dtype).array
    if is_plain(dtype) and dtype != plain_dtype(dtype).name:
        return pd.Series(pd.arrays.ArrowExtensionArray(pyarrow.chunked_array([array]))).astype(dtype).array
    # A NumPy type of whole numbers holds no gaps: where there are some, the cells are floats.
    values = array.to_numpy(zero_copy_only=False)
    return values if array.null_count else values.astype(dtype)


def objects(array: Any, missing: float | None = None) -> np.ndarray:
    """Cells as Python objects; ``missing`` stands for one without a value."""
    made = np.empty(len(array), dtype=object)
    made[:] = array.to_pylist()
    if missing is not None and array.null_count:
        made[array.is_null().to_numpy(zero_copy_only=False)] = missing
    return made


def polars_column(array: Any, dtype: str, name: str) -> Any:
    """Decoded cells as a polars series of a type of this name."""
    import polars

    array = as_numbers_of(array, dtype)
    series = polars.Series(name, array)
    known = getattr(polars, dtype, None)
    if series.dtype == known or known is None:
        return series
    if dtype == "Enum":
        return series.cast(
            polars.Enum(array.dictionary.to_pylist() if hasattr(array, "dictionary") else series.drop_nulls().unique())
        )
    return series if dtype in ("Datetime", "Duration", "Decimal") else series.cast(known)
