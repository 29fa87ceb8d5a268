"""A small dense network in whole numbers, and its logits as frequencies: the same to the bit on every machine.

A float64 holds every whole number below 2**53, so products and sums of whole numbers that stay below that are
exact, whatever the order in which they are added: neither the BLAS, nor its threads, nor fused multiplication
can change them. A right shift is a product with a power of two, rounded down; both are exact too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from isthmus.checks import is_whole
from isthmus.coding.checked import whole
from isthmus.coding.entropy import TOTAL
from isthmus.coding.whole_layer import LIMIT, WholeLayer, check_layer, check_limits, layer_of, narrowest, widest
from isthmus.errors import FileFormatError, InputError

UNIT = 1 / 256
"""What a logit is counted in, in nats."""

CAP = 2**24 - 1
"""Where the rectified units of a hidden layer end."""

FEWEST_BITS, MOST_BITS = 8, 16
"""After the point, in the units of a hidden layer."""

MOST_LOGITS = 2**12
"""Up to here the quotients of `frequencies` are floored exactly, not only alike everywhere."""

FULL = 20
"""Bits of the largest weight in the table of exponentials."""

ROWS = 1024
"""Rows that go through the network together, so that their units stay in the cache."""


@dataclass(frozen=True, eq=False)
class WholeNetwork:
    """A dense network with rectified units between its layers, in whole numbers; made by `whole_network`.

    Parameters
    ----------
    limits : shape (F,), whole; features are clipped to [-limit, limit].
    layers : one or more.

    Raises
    ------
    InputError : shapes do not fit, or a sum could reach `LIMIT`.
    """

    limits: np.ndarray
    layers: tuple[WholeLayer, ...]

    def __post_init__(self) -> None:
        check_limits(self.limits)
        if not self.layers:
            raise InputError("layers: there must be at least one")
        largest = self.limits.astype(np.float64)
        for number, layer in enumerate(self.layers):
            check_layer(number, layer, len(largest), last=number == len(self.layers) - 1)
            if not np.all(layer.largest_sums(largest) < LIMIT):
                raise InputError(f"layer {number}: its sums could reach {LIMIT:,}, beyond which they are not exact")
            largest = layer.largest_units(largest)

    @property
    def size(self) -> int:
        """How many logits there are."""
        return len(self.layers[-1].bias)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits of rows.

        Parameters
        ----------
        features : shape (n, F), whole numbers; beyond the limits they are clipped.

        Returns
        -------
        ndarray of shape (n, K), int64
            In units of `UNIT` nat, at least -`LIMIT` and at most `LIMIT`.

        Raises
        ------
        InputError : not whole numbers, or not F of them.
        """
        features = whole("features", features, 2)
        if features.shape[1] != len(self.limits):
            raise InputError(f"features must have {len(self.limits)} columns; got {features.shape[1]}")
        logits = np.empty((len(features), self.size), dtype=np.int64)
        limits = self.limits.astype(np.float64)
        for start in range(0, len(features), ROWS):
            x = features[start : start + ROWS].astype(np.float64)
            np.clip(x, -limits, limits, out=x)
            for layer in self.layers:
                weights, bias = layer.floats
                x = x @ weights
                np.floor(np.add(x, bias, out=x), out=x)
                if layer.cap:
                    np.clip(x, 0, layer.cap, out=x)
            logits[start : start + ROWS] = x
        return logits

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays of the narrowest whole types that hold them."""
        found = {"limits": self.limits}
        for number, layer in enumerate(self.layers):
            after = np.array([layer.shift, layer.cap])
            parts = {"weights": layer.weights, "exponents": layer.exponents, "bias": layer.bias, "after": after}
            found.update({f"{number}.{name}": part for name, part in parts.items()})
        return {name: narrowest(value) for name, value in found.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> WholeNetwork:
        """The network of `tensors`.

        Raises
        ------
        FileFormatError : they are not those of a network whose sums are exact.
        """
        try:
            number = sum(name.endswith(".after") for name in tensors)
            layers = tuple(layer_of(tensors, index) for index in range(number))
            network = cls(widest(tensors["limits"]), layers)
            if len(tensors) != 1 + 4 * number:
                raise InputError("there are tensors of other names")
        except (InputError, KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"this is no network in whole numbers: {error}") from error
        return network


def whole_network(
    layers: Sequence[tuple[np.ndarray, np.ndarray]],
    largest: int | np.ndarray,
    scale: float | np.ndarray = 1.0,
    bits: int = 15,
) -> WholeNetwork:
    """A trained dense network with rectified units, in whole numbers.

    Parameters
    ----------
    layers : weights (inputs, outputs) and bias (outputs,) of each, in nats at the end.
    largest : absolute value of the features, of all or of each (F,); beyond it they are clipped.
    scale : what the features were multiplied with in training, of all or of each (F,).
    bits : of the weights beside the sign, 4..31. With 15 and 7 a file holds two bytes and one a weight.

    Returns
    -------
    WholeNetwork
        Its logits are those of the float network in units of `UNIT`, to a few thousandths of a nat.

    Raises
    ------
    InputError
        Shapes do not fit, a weight is not finite, or the weights are so large that no sum is exact.

    Examples
    --------
    >>> weights, bias = np.array([[0.5, -0.5], [0.25, 0.0]]), np.array([0.0, 1.0])
    >>> whole_network([(weights, bias)], largest=10)(np.array([[2, 4]])) * UNIT
    array([[2., 0.]])
    """
    if not is_whole(bits) or not 4 <= bits <= 31:
        raise InputError(f"bits must be a whole number in 4..31; got {bits!r}")
    if not layers:
        raise InputError("layers: there must be at least one")
    count = len(np.asarray(layers[0][0]))
    limits = of_each("largest", whole("largest", np.asarray(largest), 0, 1), count).astype(np.int64)
    check_limits(limits)
    most, point = limits.astype(np.float64), 0
    made: list[WholeLayer] = []
    for number, (weights, bias) in enumerate(layers):
        weights, bias = np.asarray(weights, dtype=np.float64), np.asarray(bias, dtype=np.float64)
        if number == 0:
            weights = weights * of_each("scale", np.asarray(scale, dtype=np.float64), count)[:, None]
        if weights.shape != (len(most), len(bias)) or not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise InputError(f"layer {number}: weights must be finite, of shape {(len(most), len(bias))}")
        layer, point = made_whole(weights, bias, most, point, bits, last=number == len(layers) - 1)
        most = layer.largest_units(most)
        made.append(layer)
    return WholeNetwork(limits, tuple(made))


def of_each(name: str, values: np.ndarray, count: int) -> np.ndarray:
    """One value for each of ``count`` features."""
    if values.ndim and values.shape != (count,):
        raise InputError(f"{name} must be one number or one for each of {count} features; got shape {values.shape}")
    return np.broadcast_to(values, count)


def made_whole(
    weights: np.ndarray, bias: np.ndarray, most: np.ndarray, point: int, bits: int, *, last: bool
) -> tuple[WholeLayer, int]:
    """One layer in whole numbers, and the bits after the point in its units.

    Parameters
    ----------
    weights, bias : of the float layer.
    most : a bound of its whole inputs.
    point : bits after the point in those inputs.
    """
    rows = np.abs(weights).max(1, initial=0)
    # The finest step at which a row's largest weight still fits its bits.
    fine = np.where(rows > 0, bits - np.frexp(rows)[1], -1000)
    bound = most @ np.abs(weights) + np.abs(bias) * 2.0**point
    room = int(np.floor(np.log2(LIMIT / max(bound.max(initial=0), 2.0**-60)))) - 1
    step = int(min(max(fine.max(initial=0), 8 - point), room))
    fine = np.clip(fine, step - 62, step)
    whole_weights = np.clip(np.rint(np.ldexp(weights, fine[:, None])), 1 - 2**bits, 2**bits - 1).astype(np.int64)
    whole_bias = np.rint(np.ldexp(bias, step + point)).astype(np.int64)
    if last:
        after, cap = 8, 0
    else:
        largest = max(float(bound.max(initial=0)) / 2.0**point, 1e-9)
        after = int(np.clip(24 - np.ceil(np.log2(largest)), FEWEST_BITS, MOST_BITS))
        after, cap = min(after, step + point), CAP
    shift = step + point - after
    if not 0 <= shift <= 62:
        raise InputError(
            f"the weights or features are so large that sums of them are not exact below {LIMIT:,}; scale the "
            f"features down or train with weight decay"
        )
    return WholeLayer(whole_weights, step - fine, whole_bias, shift, cap), after


def frequencies(logits: np.ndarray) -> np.ndarray:
    """Tables for the coder: exp(logits) in whole numbers, each at least 1, each row with the sum `TOTAL`.

    Parameters
    ----------
    logits : shape (n, K), whole numbers in units of `UNIT` nat, below 2**62; K in 1..`MOST_LOGITS`.

    Returns
    -------
    ndarray of shape (n, K), int64
        1 + the floor of each one's share of `TOTAL` - K; what rounding leaves goes to the first largest.

    Raises
    ------
    InputError : not whole numbers, or too many.

    Examples
    --------
    >>> frequencies(np.array([[0, 0], [256, 0]])) / TOTAL
    array([[0.5       , 0.5       ],
           [0.73105907, 0.26894093]])
    """
    logits = whole("logits", logits, 2)
    count = logits.shape[1]
    if not 1 <= count <= MOST_LOGITS:
        raise InputError(f"logits: there must be 1 to {MOST_LOGITS:,} of them; got {count:,}")
    found = np.empty(logits.shape, dtype=np.int64)
    table = exponentials()
    step = max(1, 2**17 // count)
    for start in range(0, len(logits), step):
        part = logits[start : start + step]
        rows, first = np.arange(len(part)), part.argmax(1)
        below = part[rows, first][:, None] - part
        shares = table[np.minimum(below, len(table) - 1, out=below)]
        sums = np.einsum("nk->n", shares)[:, None]
        # Numerators stay below 2**40 and quotients below 2**20, so the division errs by less than 2**-33, and a
        # quotient that is not whole lies at least 1 / sum >= 2**-32 below the next whole number: floors are exact.
        shares *= TOTAL - count
        shares /= sums
        np.floor(shares, out=shares)
        shares += 1
        shares[rows, first] += TOTAL - np.einsum("nk->n", shares)
        found[start : start + step] = shares
    return found


@lru_cache(maxsize=1)
def exponentials() -> np.ndarray:
    """``floor(2**FULL * exp(-d * UNIT))`` for d = 0, 1, ... up to the first 0, float64, by whole numbers alone.

    A library's exp may differ in the last bit between machines.
    """
    one = 1 << 96
    ratio, term, k = 0, one, 0
    while term:
        ratio += term if k % 2 == 0 else -term
        k += 1
        term = term // (256 * k)
    table: list[int] = []
    value = one
    while not table or table[-1]:
        table.append(value >> (96 - FULL))
        value = value * ratio >> 96
    found = np.array(table, dtype=np.float64)
    found.setflags(write=False)
    return found
