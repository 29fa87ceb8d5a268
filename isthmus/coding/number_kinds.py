"""The ways in which an array's elements become whole numbers, exactly or within a bound, and come back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from isthmus.checks import is_real, is_whole, listed
from isthmus.coding.exceptions import Exceptions
from isthmus.coding.float_bits import Levels, ordered, unordered, within
from isthmus.errors import FileFormatError, InputError

KINDS = ("whole", "decimal", "floats", "bounded", "relative")
DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip

EXACT = 2**53
"""Whole numbers up to here are floats, too."""

REACH = 2**62
"""Whole numbers up to here may be added and multiplied by little without overflow."""

MOST_DIGITS = 15


@dataclass(frozen=True)
class Numbers:
    """How the elements of an array become whole numbers; any array of the dtype will do.

    =========  ===============================================================================
    whole      ints * multiple + offset, clipped to the dtype's range
    decimal    (ints * multiple + offset) / 10**digits, one division in float64, then the dtype
    floats     the float whose bits, as a signed magnitude, are ints * multiple
    bounded    (ints * multiple + offset) * step, one product in float64, then the dtype
    relative   level ``ints`` of a grid whose distances grow with the value (`Levels`)
    =========  ===============================================================================

    What an array holds beyond that (NaN, infinity, a value off the lattice or beyond the bound) is an exception and is
    kept to the bit, so the promise holds for every array of the dtype, however unlike the training data.

    Parameters
    ----------
    kind : one of the above.
    dtype : its name, in the machine's byte order.
    max_error : the most that |x - y| may be, in the data's unit; 0 is equal to the bit, the sign of zero included.
        For "relative" the most that it may be as a part of |x|.
    multiple, offset, digits, step : of the formulae.
    width, grain : where a coder predicts an element before it rounds, `rounded` may move an int by up to half of
        ``width``; all ints are multiples of ``grain``. A width of 1 moves none.

    Examples
    --------
    >>> x = np.array([3.25, np.nan, 3.5, -1.75])
    >>> numbers = Numbers("decimal", "float64", digits=2)
    >>> ints, exceptions = numbers.forward(x)
    >>> ints, exceptions.positions
    (array([ 325,  325,  350, -175]), array([1]))
    >>> numbers.backward(ints, exceptions)
    array([ 3.25,   nan,  3.5 , -1.75])
    """

    kind: Literal["whole", "decimal", "floats", "bounded", "relative"]
    dtype: str
    max_error: float = 0.0
    multiple: int = 1
    offset: int = 0
    digits: int = 0
    step: float = 0.0
    width: int = 1
    grain: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {listed(KINDS)}; got {self.kind!r}")
        if self.dtype not in DTYPES:
            raise InputError(f"dtype must be one of {listed(DTYPES, len(DTYPES))}; got {self.dtype!r}")
        whole = (self.multiple, self.offset, self.digits, self.width, self.grain)
        if not all(map(is_whole, whole)) or not all(map(is_real, (self.max_error, self.step))):
            raise InputError("multiple, offset, digits, width, grain must be whole numbers, max_error and step numbers")
        if not 1 <= self.multiple <= REACH or abs(self.offset) > REACH or not 0 <= self.digits <= MOST_DIGITS + 1:
            raise InputError("multiple must be in 1..2**62, offset within 2**62 of 0, digits in 0..16")
        if not 1 <= self.width <= REACH or self.grain not in (1, 2) or (self.width - self.grain) % 2:
            raise InputError("width must be in 1..2**62, odd for a grain of 1 and even for one of 2")
        if not 0 <= self.max_error < np.inf or not 0 <= self.step < np.inf:
            raise InputError("max_error and step must be finite and >= 0")
        if (self.kind == "bounded" and not self.step) or (self.kind == "relative" and not 0 < self.max_error < 1):
            raise InputError("bounded numbers need a step > 0, relative ones a max_error in (0, 1)")
        if self.floating != (self.kind != "whole"):
            raise InputError(f"{self.kind} numbers cannot be of the dtype {self.dtype}")

    @cached_property
    def type(self) -> np.dtype:
        return np.dtype(self.dtype)

    @property
    def floating(self) -> bool:
        return self.dtype.startswith("float")

    @property
    def exact(self) -> bool:
        return self.max_error == 0

    @cached_property
    def levels(self) -> Levels:
        return Levels(self.type, self.max_error)

    def spec(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_spec(cls, spec: Any) -> Numbers:
        try:
            return cls(**spec)
        except (TypeError, InputError) as error:
            raise FileFormatError(f"the file's description of its numbers cannot be used: {error}") from error

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Exceptions]:
        """Int64 of x's shape, and what they cannot stand for; in its place they repeat the element before it."""
        x = np.asarray(x)
        if x.dtype.newbyteorder("=") != self.type:
            raise InputError(f"x must have the dtype {self.dtype}; got {x.dtype}; try x.astype({self.dtype!r})")
        flat = np.ascontiguousarray(x, dtype=self.type).reshape(-1)
        with np.errstate(all="ignore"):
            ints = self._ints(flat)
        met = self._met(flat, ints)
        return _filled(ints, met).reshape(x.shape), _exceptions(flat, met)

    def missed(self, x: np.ndarray, ints: np.ndarray) -> Exceptions:
        """The exceptions of the ints that a coder hands back, if it moved them by `rounded`; x is that of `forward`."""
        flat = np.ascontiguousarray(x, dtype=self.type).reshape(-1)
        return _exceptions(flat, self._met(flat, np.ascontiguousarray(ints, dtype=np.int64).reshape(-1)))

    def rounded(self, ints: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is left of ``ints`` behind a prediction (any int64 near them), in steps of ``width``, and what
        `restored` makes of it, which differs from ``ints`` by less than half the width.

        With a grain of 2, for lattices: a number stands for ``width / 2`` points, and comes back as their middle,
        whether it is a point or half-way between two.

        >>> numbers = Numbers("decimal", "float64", 1.0, width=3)
        >>> numbers.rounded(np.array([10, 11, 12, 13]), np.array([10, 10, 10, 10]))
        (array([0, 0, 1, 1]), array([10, 10, 13, 13]))
        """
        if self.width == 1:
            return ints - predicted, ints
        centre = self._centre(predicted)
        left = (ints - centre + (self.width - self.grain) // 2) // self.width
        return left, centre + left * self.width

    def restored(self, left: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The ints of what is left and of the same prediction."""
        return self._centre(predicted) + left * self.width

    def _centre(self, predicted: np.ndarray) -> np.ndarray:
        if self.grain == 1:
            return predicted
        # As far from the points as the middle of so many of them is.
        return predicted + ((predicted + self.width // 2 - 1) & 1)

    def backward(self, ints: np.ndarray, exceptions: Exceptions) -> np.ndarray:
        """The array: its shape is that of ``ints``, its dtype the one learnt."""
        with np.errstate(all="ignore"):
            flat = self._values(np.ascontiguousarray(ints, dtype=np.int64).reshape(-1))
        flat[exceptions.positions] = exceptions.bits.astype(f"u{self.type.itemsize}").view(self.type)
        return flat.reshape(np.shape(ints))

    def _ints(self, flat: np.ndarray) -> np.ndarray:
        if self.kind == "floats":
            return ordered(flat) // self.multiple
        if self.kind == "bounded":
            parts = flat.astype(np.float64) / self.step - self.offset
            return _to_ints(parts / self.multiple, EXACT // self.multiple)
        if self.kind == "relative":
            return self.levels.ints(flat)
        if self.kind == "decimal":
            whole = _to_ints(flat.astype(np.float64) * 10.0**self.digits, EXACT)
        else:
            whole = flat.astype(np.uint64).view(np.int64) if self.dtype == "uint64" else flat.astype(np.int64)
        if self.multiple == 1 and self.offset == 0:
            return whole
        return (np.clip(whole, -REACH, REACH) - self.offset + self.multiple // 2) // self.multiple

    def _values(self, ints: np.ndarray) -> np.ndarray:
        """(n,) of the dtype, for any int64."""
        if self.kind == "floats":
            return unordered(ints * self.multiple, self.type)
        if self.kind == "bounded":
            return self._float((ints * self.multiple + self.offset).astype(np.float64) * self.step)
        if self.kind == "relative":
            return self.levels.floats(ints)
        whole = ints * self.multiple + self.offset
        if self.kind == "decimal":
            return self._float(whole.astype(np.float64) / 10.0**self.digits)
        if self.multiple == 1 and self.offset == 0 and self.exact:
            return whole.astype(self.type)
        least, most = (0, 1) if self.dtype == "bool" else (np.iinfo(self.type).min, np.iinfo(self.type).max)
        return np.clip(whole, max(least, -(2**63)), min(most, 2**63 - 1)).astype(self.type)

    def _float(self, values: np.ndarray) -> np.ndarray:
        """Of the dtype; beyond its range its largest, which is nearer to what is meant than infinity."""
        largest = float(np.finfo(self.type).max)
        return np.clip(values, -largest, largest).astype(self.type)

    def _met(self, flat: np.ndarray, ints: np.ndarray) -> np.ndarray:
        """(n,) bool: where the value keeps the promise, in exact arithmetic."""
        with np.errstate(all="ignore"):
            return self._kept(flat, self._values(ints))

    def _kept(self, flat: np.ndarray, values: np.ndarray) -> np.ndarray:
        if self.exact:
            unsigned = f"u{self.type.itemsize}"
            same = values.view(unsigned) == flat.view(unsigned)
            return same & np.isfinite(flat) if self.floating else same
        if self.kind == "relative":
            # A rounded product may lie above the true one, the float below it never does.
            bound = np.nextafter(np.abs(flat).astype(np.float64) * self.max_error, 0.0)
            return within(flat, values, bound)
        if self.floating:
            return within(flat, values, self.max_error)
        near = _near(flat) & _near(values)
        distance = np.abs(np.where(near, flat, 0).astype(np.int64) - np.where(near, values, 0).astype(np.int64))
        return near & (distance <= int(min(self.max_error, REACH)))


def _to_ints(values: np.ndarray, reach: int) -> np.ndarray:
    """The nearest whole numbers, those of NaN 0."""
    return np.clip(np.nan_to_num(np.rint(values), nan=0.0), -reach, reach).astype(np.int64)


def _near(whole: np.ndarray) -> np.ndarray:
    """(n,) bool: whose differences cannot overflow."""
    if whole.dtype == bool:
        return np.ones(whole.shape, dtype=bool)
    limits = np.iinfo(whole.dtype)
    return (whole >= max(-REACH, limits.min)) & (whole <= min(REACH, limits.max))


def _exceptions(flat: np.ndarray, met: np.ndarray) -> Exceptions:
    positions = np.flatnonzero(~met)
    return Exceptions(positions, flat[positions].view(f"u{flat.itemsize}").astype(np.uint64))


def _filled(ints: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Each exception as the element before it, so that it costs little; the first ones as the first that is none."""
    if met.all():
        return ints
    if not met.any():
        return np.zeros_like(ints)
    last = np.maximum.accumulate(np.where(met, np.arange(len(ints)), 0))
    return ints[np.maximum(last, np.argmax(met))]
