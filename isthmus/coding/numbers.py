"""Which whole numbers an array's elements are: digits, common divisors and steps, learnt from the training data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from isthmus.checks import is_real, listed
from isthmus.coding.exceptions import Exceptions
from isthmus.coding.float_bits import MANTISSA, ordered
from isthmus.coding.number_kinds import DTYPES, EXACT, MOST_DIGITS, REACH, Numbers
from isthmus.errors import InputError

__all__ = ["Exceptions", "Numbers", "numbers_for"]

EXCEPTION_BITS = 80
"""About what an exception costs."""

SAMPLE, RUNS = 2**15, 16
"""Elements that a choice is judged by, in runs of neighbours spread over the array."""

FEWEST_DISTINCT = 64
"""So many distinct values are needed to believe in a common divisor."""

MOST_DECIMALS = 3
BELIEVED = 0.9
"""The part of the elements that must have so few digits."""

PARTS = 31
"""Whole numbers in a step, where predictions may lie anywhere; more make nothing smaller."""

WORTH = 0.2
"""With more exceptions than this, a bound is finer than the floats, which are kept as they are."""

PHASES = 8
"""Into so many parts a step is cut, to lay it where the fewest neighbours are parted."""


def numbers_for(
    x: Any,
    max_error: float | None = None,
    relative: Literal[False, "range", "value"] = False,
    *,
    predicted: bool = False,
) -> Numbers:
    """Learn how the elements of arrays like ``x`` become the smallest whole numbers.

    Floats that are whole multiples of a power of ten are found and stay exact; where a bound is given, as many of
    them share one number as it allows. Of the ways there are, the one is taken whose numbers vary least, by their
    entropy and by the differences between neighbours, exceptions counted.

    Parameters
    ----------
    x : array of any shape; truth values, whole numbers or floats of up to 64 bits. It may hold NaN and infinity.
    max_error : None or 0 (to the bit), or the most that an element may change.
    relative : False (the bound is in the data's unit), "range" (a part of the range of x's finite elements, fixed here
        for later arrays, too), or "value" (a part of each value; only of floats).
    predicted : whether the coder predicts elements from those already decoded, and rounds only what is left
        (`Numbers.rounded`, then `Numbers.missed`). Smooth data become several times smaller so, since rounding does
        not spoil what they are predicted from. Without a bound, and for "value", nothing changes.

    Returns
    -------
    Numbers
        Its ``max_error`` is in the data's unit, but for "value" it stays relative.

    Raises
    ------
    InputError
        The dtype is none of those, the bound is negative or not finite.

    Examples
    --------
    >>> ages = np.array([17.0, 38.0, 90.0, 41.0])
    >>> numbers_for(ages).kind, numbers_for(ages + 0.25).digits
    ('decimal', 2)
    >>> ints, exceptions = numbers_for(ages, max_error=1).forward(ages)
    >>> ints, numbers_for(ages, max_error=1).backward(ints, exceptions)
    (array([ 6, 13, 30, 14]), array([18., 39., 90., 42.]))
    """
    x = _array(x)
    bound = _bound(x, max_error, relative)
    sample = _sample(x)
    if predicted and bound and relative != "value":
        fine = min(_fine(sample, bound), key=lambda numbers: _fine_cost(numbers, sample), default=None)
        if fine is not None and _missed_share(fine, sample) < WORTH:
            return fine
        bound = 0.0
    choices = list(_floats(sample, bound, relative == "value") if x.dtype.kind == "f" else _wholes(sample, bound))
    return min(choices, key=lambda numbers: _cost(numbers, sample))


def _array(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.name not in DTYPES:
        advice = "try x.view('int64')" if x.dtype.kind in "mM" else "try x.astype('float64')"
        raise InputError(f"x must be of one of the dtypes {listed(DTYPES, len(DTYPES))}; got {x.dtype}; {advice}")
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def _bound(x: np.ndarray, max_error: Any, relative: Any) -> float:
    """The bound in the data's unit, or as it is where it is a part of each value."""
    if relative is not False and relative not in ("range", "value"):
        raise InputError(f"relative must be False, 'range' or 'value'; got {relative!r}")
    if max_error is None:
        if relative:
            raise InputError(f"relative={relative!r} needs a max_error, such as 0.001; got None")
        return 0.0
    if not is_real(max_error) or not 0 <= max_error < np.inf:
        raise InputError(f"max_error must be None or a finite number >= 0 (0 is exact); got {max_error!r}")
    bound = float(max_error)
    if relative == "value" and bound:
        if x.dtype.kind != "f":
            raise InputError(f"relative='value' needs floats; got {x.dtype}; try x.astype('float64') or 'range'")
        if bound >= 1:
            raise InputError(f"max_error must be below 1 where it is a part of each value; got {max_error!r}")
    if relative == "range" and bound:
        finite = x[np.isfinite(x)]
        span = float(finite.max()) - float(finite.min()) if len(finite) else 0.0
        bound *= span
        if not np.isfinite(bound):
            raise InputError("max_error cannot be a part of the range: x spans more than a float64; scale x")
    return bound


def _sample(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(-1)
    if len(flat) <= SAMPLE:
        return flat
    starts = np.linspace(0, len(flat) - SAMPLE // RUNS, RUNS).astype(np.int64)
    return np.concatenate([flat[start : start + SAMPLE // RUNS] for start in starts])


def _cost(numbers: Numbers, sample: np.ndarray) -> float:
    """About the bits of an element: half foretold by the one before it, half by how often its number comes."""
    ints, exceptions = numbers.forward(sample)
    if not len(ints):
        return 0.0
    apart = np.log2(1 + np.abs(np.diff(ints.astype(np.float64)))).sum() / len(ints)
    share = np.unique(ints, return_counts=True)[1] / len(ints)
    return float(apart - share @ np.log2(share)) / 2 + EXCEPTION_BITS * len(exceptions) / len(ints)


def _lattice(whole: np.ndarray) -> tuple[int, int]:
    """(multiple, offset) of whole numbers that share a divisor."""
    distinct = np.unique(whole)
    if len(distinct) < FEWEST_DISTINCT:
        return 1, 0
    multiple = int(np.gcd.reduce(np.diff(distinct)))
    return (multiple, int(distinct[0]) % multiple) if multiple > 1 else (1, 0)


def _wholes(sample: np.ndarray, bound: float) -> Iterator[Numbers]:
    plain = Numbers("whole", sample.dtype.name)
    multiple, offset = _lattice(np.clip(sample.astype(np.int64), -REACH // 2, REACH // 2))
    exact = replace(plain, multiple=multiple, offset=offset)
    half = min(int(Fraction(bound) / multiple), REACH // (4 * multiple))
    if half:
        yield from _shifted(exact, replace(exact, max_error=bound), 2 * half + 1, sample)
    elif multiple > 1:
        yield exact
    yield plain


def _floats(sample: np.ndarray, bound: float, by_value: bool) -> Iterator[Numbers]:
    finite = sample[np.isfinite(sample)]
    decimals, every = _decimals(finite)
    if bound and not by_value:
        for exact in decimals[:1]:
            yield from _wide(exact, bound, finite)
        yield from _steps(finite, bound)
    yield from decimals
    if bound and by_value:
        yield Numbers("relative", sample.dtype.name, max_error=bound)
    # Bits of a round decimal lie closer together, but on a scale that no neighbour foretells.
    if not every:
        bits = int(np.bitwise_or.reduce(np.abs(ordered(finite))))
        yield Numbers("floats", sample.dtype.name, multiple=bits & -bits or 1)


def _decimals(finite: np.ndarray) -> tuple[list[Numbers], bool]:
    """Exact numbers of few digits, where most elements are so, and whether the last of them hold every element.

    A number that takes up the whole mantissa proves nothing: with so many digits any float is a multiple.
    """
    found: list[Numbers] = []
    believed = 2 ** MANTISSA[finite.dtype.itemsize]
    for digits in range(MOST_DIGITS + 1):
        numbers = Numbers("decimal", finite.dtype.name, digits=digits)
        ints, exceptions = numbers.forward(finite)
        kept = np.delete(ints, exceptions.positions)
        if (np.abs(kept) <= believed).sum() >= BELIEVED * len(finite):
            multiple, offset = _lattice(kept)
            found.append(replace(numbers, multiple=multiple, offset=offset))
            if not len(exceptions):
                return found, True
            if len(found) == MOST_DECIMALS:
                break
    return found, False


def _wide(exact: Numbers, bound: float, finite: np.ndarray) -> Iterator[Numbers]:
    """As many of the lattice's points in one number as the bound allows, and one fewer for where rounding forbids it.

    A number stands for w points and comes back as their middle, which of an even w lies between two points and has
    a digit more.
    """
    most = int(2 * Fraction(bound) * 10**exact.digits / exact.multiple) + 1
    for width in (most, most - 1):
        if width > 0 and width * exact.multiple * 10 <= EXACT:
            if width % 2:
                wide = replace(exact, max_error=bound)
            else:
                middle = 10 * exact.offset + 5 * exact.multiple
                wide = Numbers("decimal", exact.dtype, bound, 10 * exact.multiple, middle, exact.digits + 1)
            yield from _shifted(exact, wide, width, finite)


def _shifted(exact: Numbers, wide: Numbers, width: int, sample: np.ndarray) -> Iterator[Numbers]:
    """Numbers of ``width`` points of the lattice each, that begin here or there, or have the commonest point inside."""
    points, counts = np.unique(exact.forward(sample)[0], return_counts=True)
    commonest = int(points[np.argmax(counts)]) if len(points) else 0
    starts = [width * part // PHASES for part in range(PHASES)] + [commonest % width]
    for start in dict.fromkeys(starts):
        multiple = width * wide.multiple
        yield replace(wide, multiple=multiple, offset=(wide.offset + start * wide.multiple) % multiple)


def _steps(finite: np.ndarray, bound: float) -> Iterator[Numbers]:
    """Steps of twice the bound, and a little less for where floats are so coarse that rounding uses a part of it up."""
    with np.errstate(all="ignore"):
        unit = float(np.spacing(np.abs(finite).max())) if len(finite) else 0.0
    for step in dict.fromkeys((2 * bound, 2 * bound - unit, bound)):
        part = step / PHASES
        if 0 < part < np.inf:
            for phase in range(PHASES):
                yield Numbers("bounded", finite.dtype.name, bound, PHASES, phase, 0, part)


def _fine(sample: np.ndarray, bound: float) -> Iterator[Numbers]:
    """Numbers finer than the bound, whose ``width`` uses it up once the prediction is known."""
    if sample.dtype.kind != "f":
        multiple, offset = _lattice(np.clip(sample.astype(np.int64), -REACH // 2, REACH // 2))
        half = min(int(Fraction(bound) / multiple), REACH // (4 * multiple))
        yield Numbers("whole", sample.dtype.name, bound, multiple, offset, width=2 * half + 1)
        return
    finite = sample[np.isfinite(sample)]
    for exact in _decimals(finite)[0][:1]:
        # In halves of the distance between points, that their middle may be one of them or not.
        most = int(2 * Fraction(bound) * 10**exact.digits / exact.multiple)
        for half in (most, most - 1):
            if half >= 0 and 20 * (half + 1) * exact.multiple <= EXACT:
                shape = (5 * exact.multiple, 10 * exact.offset, exact.digits + 1)
                yield Numbers("decimal", exact.dtype, bound, *shape, width=2 * (half + 1), grain=2)
    for numbers in _steps(finite, bound):
        if not numbers.offset:
            step = numbers.step * PHASES / PARTS
            yield replace(numbers, multiple=1, step=step, width=PARTS)


def _fine_cost(numbers: Numbers, sample: np.ndarray) -> float:
    unit = numbers.step if numbers.kind == "bounded" else numbers.multiple / 10**numbers.digits
    return EXCEPTION_BITS * _missed_share(numbers, sample) - float(np.log2(unit) + np.log2(float(numbers.width)))


def _missed_share(numbers: Numbers, sample: np.ndarray) -> float:
    """Of finite elements, with the one before as the prediction."""
    finite = sample[np.isfinite(sample)]
    ints, _ = numbers.forward(finite)
    _, moved = numbers.rounded(ints, np.concatenate((ints[:1] // 2, ints[:-1])))
    return len(numbers.missed(finite, moved)) / max(len(finite), 1)
