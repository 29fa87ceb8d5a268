"""How blocks of an array become whole numbers, and come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.coding.closed_loop import foretold
from isthmus.coding.exceptions import Exceptions
from isthmus.coding.grid_training import means_values
from isthmus.coding.numbers import Numbers, numbers_for
from isthmus.coding.passes import Order
from isthmus.coding.rounding import can_round, closed
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_data import KINDS, WIDEST, Bounds, is_frame
from isthmus.estimators.compressor_levels import joined_parts, parted

WAVE = 4096
"""Pictures of at most so many elements are gone through line by line, larger ones from coarse to fine."""

CHANNELS, COLOURS = 8, 4
"""So many elements at most along a last axis are channels, of series and of what has more axes."""

MOST_AXES = 4

FAR, CLOSE = 24, 12
"""Neighbours that foretell an element, and so many where a closed loop rounds, as their errors add up."""

JUDGED = 2**17
"""Elements, at most, by which it is told where to round; half of them teach."""

BETTER = 0.98
"""A closed loop must take at most so much of the bits of an open one."""


@dataclass(frozen=True)
class ArrayForm:
    """Arrays of one dtype that are coded as a grid.

    Parameters
    ----------
    kind : ``"images"`` (rows tell nothing of one another), ``"series"`` or ``"array"`` (they do).
    dtype : as NumPy writes it, with its byte order.
    shape : of a row.
    numbers : of all elements, or of each channel of a series.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    numbers: tuple[Numbers, ...]

    def matched(self, X: Any) -> ArrayForm:
        """The form of other data, or the error about a dtype or shape that is not that of the fit."""
        if is_frame(X):
            raise InputError("X is a frame, and the fit was on an array: give X.to_numpy()")
        if np.dtype(self.dtype) != X.dtype:
            raise InputError(f"X must be of the dtype {np.dtype(self.dtype)}, as in the fit; got {X.dtype}")
        free = self.kind == "array"
        if len(self.shape) != X.ndim - 1 or (not free and self.shape != X.shape[1:]):
            one, many = "with 1 axis", f"with {len(self.shape) + 1} axes"
            rows = many if free else f"of the shape (n, {', '.join(map(str, self.shape))})"
            expected = rows if self.shape else one
            raise InputError(f"X must be an array {expected}, as in the fit; got {X.shape}")
        return replace(self, shape=tuple(X.shape[1:]))

    def bounded(self, X: Any, bounds: Bounds) -> ArrayForm:
        """The same data with another bound."""
        return replace(self, numbers=array_numbers(X, self.kind, bounds, closed(self.numbers)))

    def forward(self, block: np.ndarray) -> tuple[np.ndarray, bytes]:
        """(n, *shape) int64, and what they cannot stand for."""
        if len(self.numbers) == 1:
            ints, exceptions = self.numbers[0].forward(block)
            return ints, exceptions.packed(block.dtype.itemsize)
        pairs = [numbers.forward(block[:, place]) for place, numbers in enumerate(self.numbers)]
        return np.stack([ints for ints, _ in pairs], axis=1), joined_parts(
            [exceptions.packed(block.dtype.itemsize) for _, exceptions in pairs]
        )

    def missed(self, block: np.ndarray, ints: np.ndarray) -> bytes:
        """What whole numbers of `forward` cannot stand for, after a coder has rounded them."""
        width = block.dtype.itemsize
        if len(self.numbers) == 1:
            return self.numbers[0].missed(block, ints).packed(width)
        every = enumerate(self.numbers)
        return joined_parts([one.missed(block[:, place], ints[:, place]).packed(width) for place, one in every])

    def backward(self, ints: np.ndarray, beside: bytes, rows: int) -> np.ndarray:
        """The block again."""
        width = np.dtype(self.dtype).itemsize
        if len(self.numbers) == 1:
            found = self.numbers[0].backward(ints, Exceptions.unpacked(beside, ints.size, width))
        else:
            parts = parted(beside, len(self.numbers))
            found = np.empty(ints.shape, dtype=self.numbers[0].type)
            for place, (numbers, part) in enumerate(zip(self.numbers, parts, strict=True)):
                found[:, place] = numbers.backward(ints[:, place], Exceptions.unpacked(part, rows, width))
        return found.astype(np.dtype(self.dtype), copy=False)

    def joined(self, blocks: list[np.ndarray]) -> np.ndarray:
        """All blocks together."""
        return np.concatenate([np.empty((0, *self.shape), dtype=self.dtype), *blocks]).astype(self.dtype, copy=False)

    def spec(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "dtype": self.dtype, "shape": list(self.shape),
            "numbers": [numbers.spec() for numbers in self.numbers],
        }  # fmt: skip

    def texts(self) -> list[str]:
        """What grows with the data: nothing."""
        return []

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> ArrayForm:
        numbers = tuple(Numbers.from_spec(one) for one in spec["numbers"])
        form = cls(spec["kind"], str(np.dtype(spec["dtype"]).str), tuple(spec["shape"]), numbers)
        sound = all(type(size) is int and 0 <= size < 2**40 for size in form.shape) and form.kind in KINDS
        if not sound or any(one.type != np.dtype(form.dtype).newbyteorder("=") for one in numbers):
            raise FileFormatError("the description of an array contradicts itself")
        if len(numbers) != 1 and (len(form.shape) != 1 or len(numbers) != form.shape[0]):
            raise FileFormatError("the description of an array contradicts itself")
        return form

    def changes(self, fitted: ArrayForm) -> dict[str, Any]:
        """What is not as in the fit, as JSON."""
        shape = {} if self.shape == fitted.shape else {"shape": list(self.shape)}
        bounds = {} if self.numbers == fitted.numbers else {"numbers": [one.spec() for one in self.numbers]}
        return shape | bounds

    def changed(self, changes: dict[str, Any]) -> ArrayForm:
        """The inverse of `changes`."""
        return type(self).from_spec({**self.spec(), **changes})


def order_of(form: ArrayForm) -> Order:
    """In which order the elements of an array are coded."""
    axes, last = len(form.shape) + (form.kind != "images"), form.shape[-1] if form.shape else 0
    most = CHANNELS if form.kind == "series" else COLOURS
    fewest = 1 if form.kind == "series" else 2
    channels = last if axes > fewest and last <= most else 0
    axes -= bool(channels)
    if axes > MOST_AXES:
        raise InputError(
            f"X: neighbours along {axes} axes are too many, {MOST_AXES} can be used; reshape X to fewer axes"
        )
    small = form.kind == "images" and math.prod(form.shape) <= WAVE
    kind = "wave" if small else "interlaced"
    return Order(kind, axes=axes, channels=channels, neighbours=CLOSE if closed(form.numbers) else FAR)


def array_numbers(X: np.ndarray, kind: str, bounds: Bounds, predicted: bool | None = None) -> tuple[Numbers, ...]:
    """How the elements of an array become whole numbers; those of each channel of a series in their own way.

    Parameters
    ----------
    predicted : whether the coder rounds what its predictions leave, where it can; None = where that takes fewer bits.
    """
    plain = _numbers(X, kind, bounds, False)
    if predicted is False or not any(one.max_error for one in plain):
        return plain
    form = ArrayForm(kind, X.dtype.str, tuple(X.shape[1:]), _numbers(X, kind, bounds, True))
    order = order_of(form)
    if not closed(form.numbers) or order.kind != "interlaced" or not can_round(form.numbers, order):
        return plain
    if predicted is None:
        some = _some(X, order)
        bits, rounded = (_bits(some, replace(form, numbers=numbers)) for numbers in (plain, form.numbers))
        if not rounded < BETTER * bits:
            return plain
    return form.numbers


def _numbers(X: np.ndarray, kind: str, bounds: Bounds, predicted: bool) -> tuple[Numbers, ...]:
    if kind == "series" and X.ndim == 2 and 0 < X.shape[1] <= WIDEST:
        bounds.check_names(list(range(X.shape[1])))
        every = range(X.shape[1])
        return tuple(numbers_for(X[:, place], **bounds.of(place), predicted=predicted) for place in every)
    if isinstance(bounds.max_error, Mapping):
        what = {"array": "a field", "images": "images"}.get(kind, f"a {kind} without columns, of the shape {X.shape}")
        raise InputError(
            f"max_error: a dict holds bounds of the columns of tables and series; X is {what}: give one number"
        )
    return (numbers_for(X, **bounds.of(), predicted=predicted),)


def _some(X: np.ndarray, order: Order) -> np.ndarray:
    """A stretch of many rows, and of long ones a part."""
    axes = X.ndim - bool(order.channels)
    while X.size > JUDGED:
        axis = int(np.argmax(X.shape[:axes]))
        start = X.shape[axis] // 4
        X = X.take(range(start, start + (X.shape[axis] + 1) // 2), axis)
    return X


def _bits(X: np.ndarray, form: ArrayForm) -> float:
    """About what the second half of some rows takes when the first teaches it; infinite where values must stay."""
    half = len(X) // 2
    learnt, judged = (form.forward(rows)[0] for rows in (X[:half], X[half:]))
    if form.kind != "images":
        learnt, judged = learnt[None], judged[None]
    if closed(form.numbers) and means_values(judged):
        return np.inf
    bits, moved = foretold(learnt if half else judged, judged, order_of(form), form.numbers)
    return bits + 8.0 * len(form.missed(X[half:], moved if form.kind == "images" else moved[0]))
