"""Plain coders within a bound: our whole numbers, an old way of predicting, lzma. What a learnt model has to beat."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from compress_rivals import Pack, Result, Unpack, from_planes, hardest, measured, planes

from isthmus.coding.numbers import Exceptions, Numbers


def holds(x: np.ndarray, y: np.ndarray, max_error: float) -> bool:
    """Every finite element within the bound as fractions have it, all others to the bit."""
    finite = np.isfinite(x)
    if x.dtype != y.dtype or x.shape != y.shape or x[~finite].tobytes() != y[~finite].tobytes():
        return False
    pairs = zip(x[finite].tolist(), y[finite].tolist(), strict=True)
    return all(abs(Fraction(a) - Fraction(b)) <= Fraction(max_error) for a, b in pairs)


def narrowed(ints: np.ndarray) -> np.ndarray:
    return ints.astype(np.result_type(*(np.min_scalar_type(int(edge)) for edge in (ints.min(), ints.max(), -1))))


def differences(ints: np.ndarray) -> np.ndarray:
    for axis in range(ints.ndim):
        ints = np.diff(ints, axis=axis, prepend=np.zeros_like(ints.take([0], axis=axis)))
    return ints


def summed(ints: np.ndarray) -> np.ndarray:
    for axis in reversed(range(ints.ndim)):
        ints = np.cumsum(ints, axis=axis)
    return ints


def halvings(shape: tuple[int, ...]) -> Iterator[tuple[int, int, list[np.ndarray]]]:
    """(axis, spacing, coordinates) of the points half-way, from coarse to fine as SZ3 goes, but the first."""
    spacing = 1 << max(1, (max(shape) - 1).bit_length())
    while spacing > 1:
        spacing //= 2
        for axis, size in enumerate(shape):
            steps = [spacing if other < axis else 2 * spacing for other in range(len(shape))]
            lines = [np.arange(0, end, step) for end, step in zip(shape, steps, strict=True)]
            lines[axis] = np.arange(spacing, size, 2 * spacing)
            yield axis, spacing, lines


def halfway(known: np.ndarray, axis: int, spacing: int, lines: list[np.ndarray]) -> np.ndarray:
    """Cubic interpolation in whole numbers along an axis, linear near its ends, the last value beyond them."""
    here, last = lines[axis], (known.shape[axis] - 1) // (2 * spacing) * (2 * spacing)

    def at(steps: int) -> np.ndarray:
        around = list(lines)
        around[axis] = np.clip(here + steps * spacing, 0, last)
        return known[np.ix_(*around)]

    inner = (here >= 3 * spacing) & (here + 3 * spacing <= last)
    inner = inner.reshape([-1 if other == axis else 1 for other in range(known.ndim)])
    cubic = (9 * (at(-1) + at(1)) - at(-3) - at(3) + 8) >> 4
    return np.where(inner, cubic, (at(-1) + at(1) + 1) >> 1)


def trivial(x: np.ndarray, numbers: Numbers) -> Result:
    """Whole numbers, differences, lzma of the planes of their bytes, and the exceptions."""
    like = narrowed(differences(numbers.forward(x)[0]))
    aside = numbers.forward(x)[1].packed(x.itemsize)

    def pack(a: np.ndarray) -> bytes:
        return hardest(planes(differences(numbers.forward(a)[0]).astype(like.dtype)))

    def unpack(payload: bytes) -> np.ndarray:
        told = summed(from_planes(lzma.decompress(payload), like).astype(np.int64))
        return numbers.backward(told, Exceptions.unpacked(aside, x.size, x.itemsize))

    return checked(x, numbers, pack, unpack, len(aside))


def cubic(x: np.ndarray, numbers: Numbers) -> Result:
    """Cubic interpolation of what is already decoded, lzma of what is left in steps of the whole bound."""
    ints, _ = numbers.forward(x)

    def through(rest: list[np.ndarray], ints: np.ndarray | None) -> np.ndarray:
        """Pack where there are ints (``rest`` grows), else unpack (``rest`` shrinks)."""
        known, first = np.zeros(x.shape, dtype=np.int64), (0,) * x.ndim
        known[first] = ints[first] if ints is not None else rest.pop(0)[0]
        rest += [known[first].reshape(1)] if ints is not None else []
        for axis, spacing, lines in halvings(x.shape):
            predicted, here = halfway(known, axis, spacing, lines), np.ix_(*lines)
            if ints is not None:
                left, known[here] = numbers.rounded(ints[here], predicted)
                rest.append(left.reshape(-1))
            else:
                known[here] = numbers.restored(rest.pop(0).reshape(predicted.shape), predicted)
        return known

    parts: list[np.ndarray] = []
    moved = through(parts, ints)
    like, aside = narrowed(np.concatenate(parts)), numbers.missed(x, moved).packed(x.itemsize)
    ends = np.cumsum([len(part) for part in parts])[:-1]

    def pack(a: np.ndarray) -> bytes:
        rest: list[np.ndarray] = []
        through(rest, numbers.forward(a)[0])
        return hardest(planes(np.concatenate(rest).astype(like.dtype)))

    def unpack(payload: bytes) -> np.ndarray:
        rest = np.split(from_planes(lzma.decompress(payload), like).astype(np.int64), ends)
        return numbers.backward(through(rest, None), Exceptions.unpacked(aside, x.size, x.itemsize))

    return checked(x, numbers, pack, unpack, len(aside))


def checked(x: np.ndarray, numbers: Numbers, pack: Pack, unpack: Unpack, aside: int) -> Result:
    result = measured(x, pack, unpack)
    if not holds(x, unpack(pack(x)), numbers.max_error):
        raise SystemExit("the bound does not hold")
    return replace(result, size=result.size + aside)
