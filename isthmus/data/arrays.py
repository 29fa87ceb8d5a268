"""Lists, tensors and arrays of any type as an array of numbers, or a sentence that says why not."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import torch

from isthmus.checks import counted
from isthmus.errors import InputError

INT64 = np.iinfo(np.int64)
UINT64 = np.iinfo(np.uint64)


class CellTypeError(InputError, TypeError):
    """A cell holds an object that is not a number; also a ``TypeError``, as scikit-learn's users expect."""


def as_array(X: Any, argument: str) -> np.ndarray:
    """``X`` as a NumPy array of truth values, whole numbers or floats, of any number of axes."""
    if isinstance(X, torch.Tensor):
        return from_tensor(X, argument)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        X = unmasked(X)
    if not isinstance(X, np.ndarray):
        X = from_sequence(X, argument)
    if X.dtype.kind in "biuf":
        return X
    if X.dtype.kind == "c":
        raise InputError(
            f"Complex data not supported: {argument} has type {X.dtype}. "
            f"Give real and imaginary parts as columns of their own."
        )
    if X.dtype.kind == "O":
        return from_objects(X, argument)
    raise InputError(
        f"{argument} must hold numbers; got an array of {kind_in_words(X.dtype)} ({X.dtype}), "
        f"for example {first_value(X)}. Encode it as numbers first, or {give_frame(argument)}."
    )


def unmasked(X: np.ma.MaskedArray) -> np.ndarray:
    """A masked array whose masked cells are missing ones: NaN, or None among objects."""
    if X.dtype.kind == "O":
        # To fill with None means to fill with the array's own mark.
        made = np.array(np.ma.getdata(X))
        made[np.ma.getmaskarray(X)] = None
        return made
    return np.ma.filled(X.astype(X.dtype if X.dtype.kind == "f" else np.float64), np.nan)


def give_frame(argument: str) -> str:
    """What to do with cells of several types in an array or a list."""
    return f"give it as a frame, whose columns may hold anything: pandas.DataFrame({argument})"


def from_tensor(X: torch.Tensor, argument: str) -> np.ndarray:
    if X.device.type != "cpu":
        raise InputError(
            f"{argument} lies on {X.device}; give {argument}.cpu(), batches move to the device by themselves"
        )
    if X.layout != torch.strided:
        raise InputError(f"{argument} is a sparse tensor; give {argument}.to_dense() or a scipy sparse matrix")
    X = X.detach().resolve_conj().resolve_neg()
    return as_array((X.float() if X.dtype == torch.bfloat16 else X).numpy(), argument)


def from_sequence(X: Any, argument: str) -> np.ndarray:
    """Lists of lists, or anything that NumPy can make an array of."""
    if X is None or isinstance(X, (bytes, dict, set)):
        hint = f". Of a dictionary of columns, give a frame: pandas.DataFrame({argument})" if type(X) is dict else ""
        raise InputError(
            f"{argument} must be an array, a data frame, a sparse matrix or a path; got {type(X).__name__}{hint}"
        )
    try:
        return np.asarray(X)
    except ValueError as error:
        raise InputError(ragged(X, argument, error)) from error
    except OverflowError as error:
        raise InputError(f"{argument} holds a whole number that is too large: {error}") from error


def ragged(X: Any, argument: str, error: Exception) -> str:
    """Which row of a list of lists breaks the pattern."""
    try:
        lengths = [len(row) for row in X]
    except TypeError:
        return f"{argument} cannot be made an array: {error}"
    for i, length in enumerate(lengths):
        if length != lengths[0]:
            return (
                f"{argument}: row {i} has {counted(length, 'value')}, row 0 has {lengths[0]}; all rows must be alike. "
                f"Of sequences, which may differ in length, give ist.data.sequences({argument})"
            )
    return f"{argument} cannot be made an array: {error}"


def from_objects(X: np.ndarray, argument: str, name: str | None = None) -> np.ndarray:
    """An array of Python objects that are all numbers (or None), as int64 or float64."""
    flat = X.ravel()
    made = np.empty(flat.shape, dtype=np.float64)
    whole = True
    for i, value in enumerate(flat.tolist()):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            made[i], whole = np.nan, False
            continue
        if not isinstance(value, (numbers.Real, np.number, np.bool_)):
            raise not_a_number(value, where(i, X.shape, name), argument, name is None and X.ndim < 3)
        whole = whole and isinstance(value, (int, np.integer, np.bool_))
        if isinstance(value, int) and not INT64.min <= value <= UINT64.max:
            raise InputError(too_large(value, where(i, X.shape, name), argument))
        made[i] = float(value)
    if whole and flat.size and all(INT64.min <= int(value) <= INT64.max for value in flat.tolist()):
        return np.array([int(value) for value in flat.tolist()], dtype=np.int64).reshape(X.shape)
    return made.reshape(X.shape)


def where(i: int, shape: tuple[int, ...], name: str | None) -> str:
    """The position of a cell in words."""
    if name is not None:
        return f"column {name!r}, row {i}"
    spot = [int(n) for n in np.unravel_index(i, shape)]
    if len(spot) == 2:
        return f"row {spot[0]}, column {spot[1]}"
    return f"position {tuple(spot)}"


def not_a_number(value: Any, spot: str, argument: str, table: bool = False) -> InputError:
    """The error for a cell that holds no number; ``table`` = it lies in an array or list that a frame can replace."""
    if isinstance(value, complex):
        return InputError(f"Complex data not supported: {argument} holds {value!r} at {spot}")
    if isinstance(value, (str, bytes)):
        way = give_frame(argument) if table else "leave its column out with columns={NAME: 'ignore'}"
        return InputError(
            f"{argument} holds text at {spot}: {value!r}. Every cell must be a number: encode text as numbers, "
            f"or {way}.{numeric_text(str(value))}"
        )
    return CellTypeError(
        f"every cell of {argument} must be a number, but {spot} holds {short(value)}: "
        f"float() argument must be a string or a real number, not {type(value).__name__!r}"
        + (f". If it is one of a table, {give_frame(argument)}" if table else "")
    )


def too_large(value: int, spot: str, argument: str) -> str:
    """The sentence about a whole number that no 64-bit type holds."""
    return (
        f"{argument}: {spot} holds the whole number {short(value)}, beyond the range of 64 bits. "
        f"Give it as a float if it may be rounded; if it is an identifier, leave its column out."
    )


def numeric_text(value: str) -> str:
    """A hint where text looks like a number that was written for people."""
    bare = value.strip().lstrip("$€£¥").rstrip("%$€£¥ ").strip()
    plain = bare.replace("_", "").replace(" ", "").replace("'", "")
    if is_number(plain):
        return " It looks like a number kept as text: convert it (pandas.to_numeric does)."
    for mark, said in ((",", "thousands separators or decimal commas"), (".", "dots as thousands separators")):
        if mark in plain and is_number(plain.replace(mark, "")):
            return f" It looks like a number with {said}: remove them (pandas.read_csv has thousands= and decimal=)."
    return ""


def is_number(value: str) -> bool:
    """Whether the text is a number as Python writes one."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def kind_in_words(dtype: np.dtype) -> str:
    """What an array of this type holds, for people."""
    kinds = {
        "U": "text",
        "S": "bytes",
        "T": "text",
        "M": "dates",
        "m": "time spans",
        "V": "records",
        "c": "complex numbers",
    }
    return kinds.get(dtype.kind, "something that is not numbers")


def first_value(X: np.ndarray) -> str:
    return short(X.ravel()[0].item()) if X.size else "nothing"


def short(value: Any) -> str:
    """A value as it would be written, at most 60 characters."""
    said = str(value) if isinstance(value, int) else repr(value)
    return said if len(said) <= 60 else said[:57] + "..."
