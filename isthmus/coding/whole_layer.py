"""One dense layer in whole numbers, and the bound below which its sums are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.coding.checked import whole
from isthmus.errors import InputError

LIMIT = 2**50
"""No partial sum may reach it. Below 2**53 by 3 bits, so that a product that adds blocks first is exact too."""


@dataclass(frozen=True, eq=False)
class WholeLayer:
    """``floor((x @ (weights * 2**exponents) + bias) / 2**shift)``, clipped to [0, cap] unless cap is 0.

    Attributes
    ----------
    weights : shape (inputs, outputs), whole.
    exponents : shape (inputs,), in 0..62: small inputs have finer weights than large ones.
    bias : shape (outputs,), whole.
    shift : in 0..62.
    cap : the largest unit; 0 in the last layer, which is not rectified.
    """

    weights: np.ndarray
    exponents: np.ndarray
    bias: np.ndarray
    shift: int
    cap: int

    @cached_property
    def floats(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias with the shift in them, float64; a power of two changes no digit."""
        scaled = np.ldexp(self.weights.astype(np.float64), (self.exponents - self.shift)[:, None])
        return scaled, np.ldexp(self.bias.astype(np.float64), -self.shift)

    def largest_sums(self, largest: np.ndarray) -> np.ndarray:
        """A bound of every partial sum, per output, for inputs whose absolute values are at most ``largest``."""
        scaled = np.ldexp(np.abs(self.weights.astype(np.float64)), self.exponents[:, None])
        return largest @ scaled + np.abs(self.bias.astype(np.float64))

    def largest_units(self, largest: np.ndarray) -> np.ndarray:
        """A bound of the units."""
        return np.minimum(np.ldexp(self.largest_sums(largest), -self.shift), self.cap)


def layer_of(tensors: Mapping[str, np.ndarray], index: int) -> WholeLayer:
    """Layer ``index`` of the named arrays."""
    names = ("weights", "exponents", "bias", "after")
    weights, exponents, bias, after = (widest(tensors[f"{index}.{name}"]) for name in names)
    if after.shape != (2,):
        raise InputError(f"layer {index}: it needs a shift and a cap")
    return WholeLayer(weights, exponents, bias, int(after[0]), int(after[1]))


def check_limits(limits: np.ndarray) -> None:
    """Refuse limits that are no whole numbers in [0, `LIMIT`)."""
    limits = whole("limits", limits, 1)
    if limits.size and not 0 <= limits.min() <= limits.max() < LIMIT:
        raise InputError(f"limits must be at least 0 and below {LIMIT:,}; got {limits.min()} to {limits.max()}")


def check_layer(number: int, layer: WholeLayer, inputs: int, *, last: bool) -> None:
    """Refuse a layer whose parts do not fit each other or the layer before."""
    weights = whole(f"layer {number}: weights", layer.weights, 2)
    exponents = whole(f"layer {number}: exponents", layer.exponents, 1)
    bias = whole(f"layer {number}: bias", layer.bias, 1)
    if weights.shape != (inputs, len(bias)) or len(exponents) != inputs or len(bias) == 0:
        raise InputError(
            f"layer {number}: {inputs} inputs and {len(bias)} outputs do not fit weights of shape {weights.shape} "
            f"and {len(exponents)} exponents"
        )
    if not 0 <= layer.shift <= 62 or (inputs and not 0 <= exponents.min() <= exponents.max() <= 62):
        raise InputError(f"layer {number}: its shift and exponents must be in 0..62")
    if (layer.cap != 0) == last or not 0 <= layer.cap < LIMIT:
        raise InputError(f"layer {number}: its cap is {layer.cap}; all but the last layer have one")


def narrowest(values: np.ndarray) -> np.ndarray:
    """The same whole numbers in the smallest signed type."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values.astype(np.int64)


def widest(values: np.ndarray) -> np.ndarray:
    """Whole numbers of any signed type as int64."""
    values = np.asarray(values)
    if values.dtype.kind != "i":
        raise InputError(f"whole numbers belong where there are {values.dtype}")
    return values.astype(np.int64)
