"""Arrays as whole numbers: equal to the bit, or within the bound as fractions have it, whatever they hold."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from isthmus.coding.exceptions import HEADER
from isthmus.coding.float_bits import Levels, ordered, unordered, within
from isthmus.coding.numbers import Exceptions, Numbers, numbers_for
from isthmus.errors import FileFormatError, InputError

FLOATS = ("float16", "float32", "float64")
WHOLES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def edges(dtype: str) -> np.ndarray:
    limits = np.finfo(dtype)
    some = [0, 1, 2, 0.1, 0.3, 0.7, limits.eps, limits.max, limits.tiny, limits.smallest_subnormal]
    return np.array([*some, *(-np.array(some, dtype=dtype)), np.inf, -np.inf, np.nan], dtype=dtype)


def arrays() -> Iterator[np.ndarray]:
    draw = np.random.default_rng(0)
    for dtype in FLOATS:
        width = np.dtype(dtype).itemsize
        yield edges(dtype)
        yield draw.integers(0, 256, (200, width), dtype=np.uint8).view(dtype)[:, 0]
        yield draw.normal(size=200).astype(dtype)
        yield (1e4 + draw.normal(size=200)).astype(dtype)
        yield np.exp(3 * draw.normal(size=200)).astype(dtype)
        yield (draw.integers(-500, 500, 200) / 10).astype(dtype)
        yield np.where(draw.random(200) < 0.1, draw.choice(edges(dtype), 200), draw.normal(size=200)).astype(dtype)
    for dtype in WHOLES:
        limits = np.iinfo(dtype)
        yield np.array([limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max], dtype=dtype)
        yield draw.integers(limits.min, limits.max, 200, dtype=dtype, endpoint=True)
        yield draw.integers(0, 100, 200).astype(dtype)
    yield draw.random(50) < 0.3


def again(x: np.ndarray, numbers: Numbers) -> np.ndarray:
    """There and back, as a file does it."""
    ints, exceptions = numbers.forward(x)
    assert ints.dtype == np.int64
    assert ints.shape == x.shape
    width = x.itemsize
    told = Exceptions.unpacked(exceptions.packed(width), x.size, width)
    return Numbers.from_spec(json.loads(json.dumps(numbers.spec()))).backward(ints, told)


def holds(x: np.ndarray, y: np.ndarray, numbers: Numbers) -> bool:
    """The promise, element by element, in fractions."""
    if y.dtype != x.dtype or y.shape != x.shape:
        return False
    if numbers.exact:
        return x.tobytes() == y.tobytes()
    finite = np.isfinite(x)
    if x[~finite].tobytes() != y[~finite].tobytes():
        return False
    for a, b in zip(x[finite].tolist(), y[finite].tolist(), strict=True):
        bound = Fraction(numbers.max_error) * (abs(Fraction(a)) if numbers.kind == "relative" else 1)
        if not abs(Fraction(a) - Fraction(b)) <= bound:
            return False
    return True


def test_every_array_comes_back_to_the_bit() -> None:
    for x in arrays():
        for bound in (None, 0, 0.0):
            numbers = numbers_for(x, bound)
            assert numbers.exact
            assert again(x, numbers).tobytes() == x.tobytes(), (x.dtype, numbers)


@pytest.mark.parametrize("bound", [5e-324, 1e-9, 1e-3, 0.1, 0.5, 3, 1e5, 1e18, 6e18, 1e300])
def test_every_element_keeps_the_bound_in_exact_arithmetic(bound: float) -> None:
    for x in arrays():
        numbers = numbers_for(x, bound)
        assert numbers.max_error <= bound
        assert holds(x, again(x, numbers), numbers), (x.dtype, numbers)


@pytest.mark.parametrize("bound", [5e-324, 1e-3, 0.1, 0.73, 3, 1e5, 6e18, 1e300])
def test_the_bound_is_kept_when_coders_round_what_they_predict(bound: float) -> None:
    draw = np.random.default_rng(8)
    for x in arrays():
        numbers = numbers_for(x, bound, predicted=True)
        ints, _ = numbers.forward(x)
        for predicted in (np.zeros_like(ints), np.roll(ints, 1) // 2 + draw.integers(-50, 50, len(ints))):
            left, moved = numbers.rounded(ints, predicted)
            np.testing.assert_array_equal(numbers.restored(left, predicted), moved)
            if numbers.width == 1:
                np.testing.assert_array_equal(ints, moved)
            y = numbers.backward(moved, numbers.missed(x, moved))
            assert holds(x, y, numbers), (x.dtype, numbers)


def test_rounding_after_the_prediction_uses_the_whole_bound() -> None:
    draw = np.random.default_rng(9)
    grid = draw.integers(0, 1000, 3000)
    cases = ((draw.normal(size=3000), 1e-3, 2e-3), (grid / 10, 0.31, 0.7), (grid / 10, 0.26, 0.6), (grid, 2.9, 5))
    for x, bound, reach in cases:
        numbers = numbers_for(x, bound, predicted=True)
        ints, exceptions = numbers.forward(x)
        for shift in range(7):
            predicted = np.roll(ints, 1) + shift
            left, moved = numbers.rounded(ints, predicted)
            assert len(numbers.missed(x, moved)) == len(exceptions) == 0
            one = numbers.backward(moved[left == 0] + numbers.width, Exceptions())
            np.testing.assert_allclose(one - numbers.backward(moved[left == 0], Exceptions()), reach, rtol=1e-9)


@pytest.mark.parametrize("bound", [1e-12, 1e-3, 0.02, 0.3, 0.9])
def test_every_element_keeps_a_bound_relative_to_itself(bound: float) -> None:
    for x in arrays():
        if x.dtype.kind == "f":
            numbers = numbers_for(x, bound, "value")
            assert holds(x, again(x, numbers), numbers), (x.dtype, numbers)
            forced = Numbers("relative", x.dtype.name, bound)
            assert holds(x, again(x, forced), forced), forced


def test_other_data_than_the_training_data_keep_the_promise() -> None:
    for dtype in FLOATS:
        learnt = (np.random.default_rng(1).integers(0, 50, 300) / 4).astype(dtype)
        for bound, relative in ((None, False), (0.3, False), (0.01, "value"), (0.01, "range")):
            numbers = numbers_for(learnt, bound, relative)  # type: ignore[arg-type]
            for x in arrays():
                if x.dtype.name == dtype:
                    assert holds(x, again(x, numbers), numbers), (x, numbers)


def test_few_digits_are_found_and_stay_exact() -> None:
    draw = np.random.default_rng(2)
    for dtype in ("float32", "float64"):
        for digits in (0, 1, 3):
            whole = draw.integers(-9999, 9999, 500)
            numbers = numbers_for((whole / 10**digits).astype(dtype))
            assert (numbers.kind, numbers.digits) == ("decimal", digits)
            np.testing.assert_array_equal(numbers.forward((whole / 10**digits).astype(dtype))[0], whole)
        assert numbers_for(draw.normal(size=500).astype(dtype)).kind == "floats"
    assert numbers_for(draw.integers(0, 500, 500) / 8).multiple == 125  # thousandths
    assert numbers_for(draw.integers(0, 500, 500) * 100 + 7).forward(np.array([7, 107, 8]))[0].tolist() == [0, 1, 1]
    some = draw.integers(0, 999, 500) / 100
    some[::50] = np.pi
    numbers = numbers_for(some)
    assert (numbers.kind, len(numbers.forward(some)[1])) == ("decimal", 10)


def test_single_floats_in_wide_ones_lose_their_empty_bits() -> None:
    x = np.random.default_rng(3).normal(size=500).astype(np.float32).astype(np.float64)
    numbers = numbers_for(x)
    assert (numbers.kind, numbers.multiple) == ("floats", 2**29)
    assert again(x, numbers).tobytes() == x.tobytes()


def test_a_bound_takes_in_as_many_points_as_fit() -> None:
    draw = np.random.default_rng(4)
    ages = draw.integers(17, 91, 2000)
    for dtype in ("float64", "int64"):
        # Of floats two points share their middle; whole numbers must come back whole.
        taken = {bound: np.ptp(numbers_for(ages.astype(dtype), bound).forward(ages.astype(dtype))[0]) + 1
                 for bound in (0.4, 0.73, 1, 2)}  # fmt: skip
        most = {0.4: 1, 0.73: 2 if dtype == "float64" else 1, 1: 3, 2: 5}
        assert all(taken[bound] <= 74 // most[bound] + 2 for bound in taken), (dtype, taken)
        assert all(taken[bound] >= 74 // most[bound] for bound in taken), (dtype, taken)
    x = draw.normal(size=2000)
    assert numbers_for(x, 1e-3).multiple * numbers_for(x, 1e-3).step == pytest.approx(2e-3)


def test_a_step_is_laid_where_few_neighbours_are_parted() -> None:
    x = 0.1 + 0.01 * np.random.default_rng(5).normal(size=2000)
    numbers = numbers_for(x, 0.1)  # steps of 0.2 from 0 would part the data at 0.1
    assert len(np.unique(numbers.forward(x)[0])) == 1


def test_a_bound_of_the_range_is_fixed_by_the_training_data() -> None:
    x = np.array([np.nan, -5.0, 0.123456789, 15.0, np.inf])
    assert numbers_for(x, 0.01, "range").max_error == 0.01 * 20
    assert numbers_for(np.array([3.5, 3.5]), 0.01, "range").exact


def test_exceptions_repeat_their_neighbour() -> None:
    x = np.array([np.nan, 1.5, np.nan, np.inf, 2.5, -0.0])
    ints, exceptions = Numbers("decimal", "float64", digits=1).forward(x)
    assert ints.tolist() == [15, 15, 15, 15, 25, 25]
    assert exceptions.positions.tolist() == [0, 2, 3, 5]
    assert Numbers("decimal", "float64").forward(np.full(3, np.nan))[0].tolist() == [0, 0, 0]


def test_shapes_orders_and_layouts() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    numbers = numbers_for(x)
    swapped = x.astype(">f4")
    for given in (x, x.transpose(2, 0, 1), x[:, ::2], swapped, x[:0], np.float32(3), x[0, 0, 0:1].reshape(())):
        given = np.asarray(given)
        back = numbers.backward(*numbers.forward(given))
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back, given)
    for empty in (np.zeros(0), np.zeros((0, 3), dtype=np.int8), np.zeros(0, dtype=np.float16)):
        for bound in (None, 0.1):
            assert numbers_for(empty, bound).forward(empty)[0].shape == empty.shape


def test_many_missing_cells_cost_about_their_entropy() -> None:
    draw = np.random.default_rng(6)
    x = np.where(draw.random(20_000) < 0.2, np.nan, 1.0)
    _, exceptions = Numbers("decimal", "float64").forward(x)
    assert len(exceptions.packed(8)) * 8 / len(x) < 0.722 * 1.35
    run = np.ones(20_000)
    run[500:9_000] = np.nan
    assert len(Numbers("decimal", "float64").forward(run)[1].packed(8)) < 100


def test_floats_and_their_whole_numbers_rise_together() -> None:
    for dtype in FLOATS:
        x = np.sort(np.concatenate([a for a in arrays() if a.dtype == dtype]))
        x = x[~np.isnan(x)]
        assert (np.diff(ordered(x)) >= 0).all()
        np.testing.assert_array_equal(unordered(ordered(x), x.dtype), x)


def test_within_knows_what_rounding_hides() -> None:
    x = np.array([1.0, 1.0, 1.0, np.nan, 1e308])
    y = np.array([2.0**-60, -(2.0**-60), 0.0, 0.0, -1e308])
    np.testing.assert_array_equal(within(x, y, 1.0), [True, False, True, False, False])
    draw = np.random.default_rng(7)
    a, b = draw.normal(size=(2, 3000)) * 2.0 ** draw.integers(-40, 40, (2, 3000))
    bound = np.abs(a - b)  # rounded: below, at or above the distance
    exact = [abs(Fraction(p) - Fraction(q)) <= Fraction(r) for p, q, r in zip(a, b, bound, strict=True)]
    assert 0.2 < np.mean(exact) < 0.95
    np.testing.assert_array_equal(within(a, b, bound), exact)
    np.testing.assert_array_equal(within(b, a, bound), exact)


def test_relative_levels_are_few() -> None:
    for error in (1e-6, 1e-4, 1e-3):
        levels = Levels(np.dtype("float64"), error)
        octave = int(np.diff(levels.ints(np.array([1.0, 2.0])))[0])
        assert octave < 2**0.07 * np.log(2) / (2 * error)
        x = np.linspace(1, 2, 1001)
        assert (np.diff(levels.ints(x)) >= 0).all()


def test_bad_arguments_are_refused_in_words() -> None:
    x = np.array([1.5, 2.0])
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (x, {"max_error": -1}, "max_error must be None or a finite number >= 0"),
        (x, {"max_error": np.nan}, "max_error"),
        (x, {"max_error": np.inf}, "max_error"),
        (x, {"max_error": "small"}, "max_error"),
        (x, {"max_error": 1.5, "relative": "value"}, "below 1"),
        (x, {"max_error": 0.1, "relative": True}, "'range' or 'value'"),
        (x, {"relative": "range"}, "needs a max_error"),
        (np.array([1, 2]), {"max_error": 0.1, "relative": "value"}, r"astype\('float64'\)"),
        (np.array([-1e308, 1e308]), {"max_error": 1.0, "relative": "range"}, "spans more"),
        (np.array([1j]), {}, "complex128"),
        (np.array(["a"]), {}, "dtype"),
        (np.array(["2026-01-01"], dtype="M8[s]"), {}, r"view\('int64'\)"),
    ]
    for given, how, words in refused:
        with pytest.raises(InputError, match=words):
            numbers_for(given, **how)
    with pytest.raises(InputError, match="must have the dtype float64; got float32"):
        numbers_for(x).forward(x.astype(np.float32))


def test_foreign_descriptions_are_refused() -> None:
    good = numbers_for(np.array([1.5, 2.0])).spec()
    bad: list[Any] = [
        {**good, "kind": "magic"}, {**good, "dtype": "object"}, {**good, "multiple": 0}, {**good, "multiple": 1.5},
        {**good, "digits": 400}, {**good, "offset": 2**70}, {**good, "max_error": float("nan")}, {**good, "more": 1},
        {**good, "width": 2}, {**good, "grain": 3},
        {**good, "kind": "whole"}, {**good, "kind": "bounded"}, {**good, "kind": "relative"}, None, [], {},
    ]  # fmt: skip
    for spec in bad:
        with pytest.raises(FileFormatError):
            Numbers.from_spec(spec)


def test_damaged_exceptions_are_refused() -> None:
    some = Exceptions(np.array([1, 5, 9]), np.array([7, 7, 8], dtype=np.uint64))
    payload = some.packed(4)
    told = Exceptions.unpacked(payload, 10, 4)
    np.testing.assert_array_equal(told.positions, some.positions)
    np.testing.assert_array_equal(told.bits, some.bits)
    bombs = [HEADER.pack(count, patterns, 8, 8) + zlib.compress(b"\0" * 10_000)
             for count, patterns in ((2**60, 1), (10, 2**31), (0, 0), (10, 10))]  # fmt: skip
    for damaged in (payload[:5], payload[:-1], payload + b"x", payload[:20] + b"\xff" + payload[21:], *bombs):
        with pytest.raises(FileFormatError):
            Exceptions.unpacked(damaged, 10, 4)
    with pytest.raises(FileFormatError):
        Exceptions.unpacked(payload, 9, 4)  # the last one lies outside
