"""What rows are given, labels or covariates, as numbers that conditional networks read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import counted, did_you_mean
from isthmus.data.arrays import kind_in_words, short
from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import InputError

MOST_CATEGORIES = 20
"""Whole numbers of at most so many different values are labels; of more, quantities."""
MOST_LABELS = 1000
"""Different labels above which they are more probably identifiers."""


@dataclass(frozen=True)
class Condition:
    """One given column: a quantity with its ``centre`` and ``scale``, or a label, one of ``labels`` (as text)."""

    name: str
    labels: tuple[str, ...] = ()
    centre: float = 0.0
    scale: float = 1.0

    @property
    def size(self) -> int:
        """Numbers per row that stand for it."""
        return len(self.labels) or 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n,) values -> (n, size) float32: one-hot labels, or standardised quantities."""
        if not self.labels:
            return ((quantities(self.name, values) - self.centre) / self.scale).astype(np.float32)[:, None]
        known = {label: place for place, label in enumerate(self.labels)}
        texts = as_labels(self.name, values)
        for row, text in enumerate(texts):
            if text not in known:
                hint = " If these are quantities, fit with floats." if text.lstrip("-").isdigit() else ""
                raise InputError(
                    f"{self.name}: row {row} is {text!r}, which no row of the fit was given."
                    f"{did_you_mean(text, known)}{hint}"
                )
        return np.eye(len(self.labels), dtype=np.float32)[[known[text] for text in texts]]


@dataclass(frozen=True)
class Conditions:
    """How what rows are given becomes numbers; made from the rows of a fit.

    Text, truth values, and whole numbers of at most 20 different values are labels (one-hot); other numbers are
    quantities (standardised).

    Examples
    --------
    >>> conditions = Conditions.fit(np.array(["b", "a", "b"]), rows=3)
    >>> conditions.encode(["a", "b"], rows=2)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    columns: tuple[Condition, ...]
    framed: bool = False

    @property
    def size(self) -> int:
        """Numbers per row that the network reads."""
        return sum(column.size for column in self.columns)

    @classmethod
    def fit(cls, given: Any, rows: int) -> Conditions:
        """Decide from the rows of a fit: (rows,) or (rows, columns) array, list, series or frame."""
        if np.ndim(given) == 0 and not hasattr(given, "columns"):
            raise InputError(f"given must have one value, or one row of values, per row; got {short(given)}")
        made = [condition(name, values) for name, values in columns_of(given, rows)]
        if not made:
            raise InputError("given has no columns; leave it out, or give one value per row")
        return cls(tuple(made), framed=hasattr(given, "columns"))

    def encode(self, given: Any, rows: int) -> np.ndarray:
        """(rows, size) float32. A single label or number stands for all rows.

        Raises
        ------
        InputError : none came, another number of rows or columns, or a label that no row of the fit had.
        """
        if given is None:
            raise InputError(
                f"given: this model was fitted on rows with {self.in_words()}; give the same for these rows, given=..."
            )
        named = dict(columns_of(given, rows))
        if len(named) != len(self.columns):
            raise InputError(f"given: the model was fitted on {self.in_words()}; got {counted(len(named), 'column')}")
        if self.framed and hasattr(given, "columns"):  # by name, in whatever order
            for column in self.columns:
                if column.name not in named:
                    raise InputError(f"{column.name} is missing.{did_you_mean(column.name, named)}")
            values = [named[column.name] for column in self.columns]
        else:
            values = list(named.values())
        return np.concatenate([c.encode(v) for c, v in zip(self.columns, values, strict=True)], axis=1)

    def in_words(self) -> str:
        """What the rows were given.

        >>> Conditions((Condition("given", ("0", "1")),)).in_words()
        'given (a label, one of 2)'
        """
        kinds = (f"a label, one of {len(c.labels)}" if c.labels else "a number" for c in self.columns)
        return ", ".join(f"{column.name} ({kind})" for column, kind in zip(self.columns, kinds, strict=True))

    def state(self) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """JSON data and named arrays; labels are in the arrays."""
        body, tensors = [], {}
        for place, column in enumerate(self.columns):
            body.append({"name": column.name, "centre": column.centre, "scale": column.scale, "framed": self.framed})
            tensors[f"{place}.letters"], tensors[f"{place}.offsets"] = pack_text(column.labels)
        return body, tensors

    @classmethod
    def restore(cls, body: list[dict[str, Any]], tensors: dict[str, np.ndarray]) -> Conditions:
        """The inverse of `state`."""
        columns = []
        for place, one in enumerate(body):
            labels = unpack_text(tensors[f"{place}.letters"], tensors[f"{place}.offsets"])
            columns.append(Condition(str(one["name"]), labels, float(one["centre"]), float(one["scale"])))
        return cls(tuple(columns), framed=bool(body[0]["framed"]))


def condition(name: str, values: np.ndarray) -> Condition:
    """Label or quantity, decided from the values."""
    if values.dtype.kind in "cMmV":
        raise InputError(f"{name} must hold labels or numbers; got {kind_in_words(values.dtype)} ({values.dtype})")
    few = values.dtype.kind in "biu" and len(np.unique(values)) <= MOST_CATEGORIES
    if few or values.dtype.kind not in "biuf":
        labels = sorted(set(as_labels(name, values)))
        if len(labels) > MOST_LABELS or len(labels) > max(MOST_CATEGORIES, len(values) / 2):
            raise InputError(
                f"{name} has {len(labels):,} different labels in {counted(len(values), 'row')}, too many to learn "
                "from: leave identifiers out, or group rare labels"
            )
        return Condition(name, tuple(labels))
    numbers = quantities(name, values)
    return Condition(name, (), float(numbers.mean()), float(numbers.std()) or 1.0)


def columns_of(given: Any, rows: int) -> Iterator[tuple[str, np.ndarray]]:
    """The columns of whatever was given, each with what to call it in a sentence."""
    if hasattr(given, "columns"):
        for name in given.columns:
            yield f"given column {name!r}", checked(given[name], rows, f"given column {name!r}")
        return
    values = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given)
    if values.ndim == 0:
        values = np.full(rows, values[()])
    if values.ndim == 2:
        for place in range(values.shape[1]):
            yield f"given column {place}", checked(values[:, place], rows, "given")
        return
    if values.ndim != 1:
        raise InputError(f"given must have one value, or one row of values, per row; got the shape {values.shape}")
    yield "given", checked(values, rows, "given")


def checked(values: Any, rows: int, name: str) -> np.ndarray:
    """One column, as long as there are rows."""
    values = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if len(values) != rows:
        raise InputError(f"{name} must have one value for each of the {counted(rows, 'row')}; got {len(values):,}")
    return values


def is_missing(value: Any) -> bool:
    """None, NaN, or pandas' NA and NaT (which refuse to be compared)."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def as_labels(name: str, values: np.ndarray) -> list[str]:
    """Labels as text, so that 3, 3.0 and "3" are one label; a missing one is refused."""
    texts = []
    for row, value in enumerate(values.tolist()):
        if is_missing(value):
            raise InputError(f"{name}: row {row} is missing; every row must be given a label")
        texts.append(str(int(value)) if isinstance(value, float) and value.is_integer() else str(value))
    return texts


def quantities(name: str, values: np.ndarray) -> np.ndarray:
    """Numbers as float64, all finite."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} was numbers in the fit; got {short(values.tolist()[0])}") from error
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise InputError(f"{name}: row {bad[0]} is {numbers[bad[0]]}; every row must be given a finite number")
    return numbers
