"""Buckets of whole numbers: every int64 comes back, at the bits that are said, whatever the runs were learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.coding.tokens import ESCAPES, Buckets, Residuals, Values
from isthmus.errors import FileFormatError, InputError

EDGES = np.array(
    [number for k in (0, 1, 7, 8, 15, 16, 17, 31, 53, 62) for number in (2**k, -(2**k), 2**k - 1, 1 - 2**k)]
    + [2**63 - 1, 2**63 - 2, -(2**63), 1 - 2**63]
)


def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "pixels": rng.integers(0, 256, 5000),
        "counts": rng.poisson(3, 5000),
        "heavy tails": np.rint(rng.standard_cauchy(5000) * 1000).astype(np.int64),
        "even": rng.integers(-(2**63), 2**63 - 1, 5000),
        "far apart": np.repeat([0, 10**15, -5], 100),
        "top": np.arange(1000) + (2**63 - 1000),
        "bottom": np.arange(-(2**63), 1000 - 2**63),
        "both ends": np.concatenate([np.arange(-(2**63), 1000 - 2**63), 2**63 - 1 - np.arange(1000)]),
        "one": np.array([42]),
        "none": np.array([], dtype=np.int64),
    }


def made(name: str) -> list[Buckets]:
    ints = data()[name]
    return [
        *(Values.fit(ints, most) for most in (2, 16, 256)),
        *(Residuals.fit(ints, exact, halvings) for exact, halvings in ((0, 0), (8, 0), (3, 2))),
    ]


@pytest.mark.parametrize("name", data())
def test_every_whole_number_comes_back(name: str) -> None:
    ints = np.concatenate([data()[name], EDGES, data()["heavy tails"]])
    for buckets in made(name):
        found, remainders, widths = buckets.split(ints)
        assert (found.dtype, remainders.dtype, widths.dtype) == (np.int64, np.uint64, np.int64)
        assert 0 <= found.min() <= found.max() < buckets.size
        np.testing.assert_array_equal(widths, buckets.widths_of(found))
        assert all(r < 2**w for r, w in zip(remainders.tolist(), widths.tolist(), strict=True))
        np.testing.assert_array_equal(buckets.joined(found, remainders), ints)


@pytest.mark.parametrize("name", data())
def test_what_was_learnt_from_does_not_escape(name: str) -> None:
    for buckets in made(name):
        found, _, _ = buckets.split(data()[name])
        escaped = int((found >= buckets.size - len(ESCAPES)).sum())
        # Residuals reach 2**62 at most.
        assert escaped == 0 or (isinstance(buckets, Residuals) and np.abs(data()[name].astype(float)).max() > 2**62)


def test_runs_are_where_plain_search_finds_them() -> None:
    buckets = Buckets(np.array([-10, -3, 0, 5, 70_000]), np.array([2, 0, 1, 3, 5]), centre=7)
    near = np.arange(-20, 80)
    for ints in (near, np.concatenate([near, near + 70_000])):
        found, remainders, _ = buckets.split(ints)
        for number, bucket, remainder in zip(ints.tolist(), found.tolist(), remainders.tolist(), strict=True):
            runs = zip(buckets.lower.tolist(), buckets.widths.tolist(), strict=True)
            within = [(k, number - low) for k, (low, width) in enumerate(runs) if low <= number < low + 2**width]
            offset = number - 7
            folded = 2 * offset if offset >= 0 else -2 * offset - 1
            escape = (5, folded) if folded < 2**16 else (6, folded)
            assert (bucket, remainder) == (within or [escape])[0]


def test_the_searched_and_the_looked_up_runs_are_the_same() -> None:
    ints = np.arange(-300, 300)
    near = Buckets(np.array([-100, -8, 0, 2, 90]), np.array([3, 3, 1, 2, 0]))
    far = Buckets(np.append(near.lower, 10**9), np.append(near.widths, 0))
    assert near._table is not None
    assert far._table is None
    for one, other in zip(near.split(ints)[1:], far.split(ints)[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_few_values_have_a_bucket_each_and_many_have_even_runs() -> None:
    few = Values.fit(np.array([[5, -2], [900, 5]]))
    assert (few.lower.tolist(), few.widths.tolist(), few.centre) == ([-2, 5, 900], [0, 0, 0], 5)
    rng = np.random.default_rng(1)
    ints = np.rint(rng.normal(size=20_000) * 10_000).astype(np.int64)
    for most in (8, 32, 128):
        buckets = Values.fit(ints, most)
        found, _, _ = buckets.split(ints)
        counts = np.bincount(found, minlength=buckets.size)
        assert most // 2 <= buckets.size - len(ESCAPES) <= most
        assert counts.max() <= 6 * len(ints) / most
        # New numbers of the same kind are in the runs too.
        fresh, _, _ = buckets.split(np.rint(rng.normal(size=20_000) * 10_000).astype(np.int64))
        assert (fresh >= buckets.size - len(ESCAPES)).mean() < 0.001


def test_more_runs_cost_fewer_bits() -> None:
    ints = data()["heavy tails"]

    def bits(buckets: Buckets) -> float:
        found, _, widths = buckets.split(ints)
        shares = np.bincount(found) / len(ints)
        return float(-(shares[shares > 0] * np.log2(shares[shares > 0])).sum() + widths.mean())

    costs = [bits(Values.fit(ints, most)) for most in (2, 8, 32, 128)]
    assert costs == sorted(costs, reverse=True)
    assert bits(Residuals.fit(ints, halvings=2)) < bits(Residuals.fit(ints))
    assert bits(Residuals.fit(ints)) < costs[1]


def test_residuals_lie_the_same_on_both_sides_of_zero() -> None:
    for exact, reach, halvings in [(0, 0, 0), (0, 100, 0), (4, 1000, 1), (2**10, 2**62, 8), (0, 2**62, 0)]:
        buckets = Residuals.of(exact, reach, halvings)
        middle = (buckets.size - len(ESCAPES)) // 2
        assert (buckets.lower[middle], buckets.widths[middle]) == (0, 0)
        np.testing.assert_array_equal(buckets.widths, buckets.widths[::-1])
        for number in {0, 1, exact, exact + 1, reach // 3, reach}:
            if number <= reach:
                plus, minus = buckets.split(np.array([number, -number]))[0].tolist()
                assert plus - middle == middle - minus
                assert (plus - middle == number) == (number <= exact + 2**halvings)
        # They follow each other without gaps.
        ends = buckets.lower + (np.int64(1) << buckets.widths)
        np.testing.assert_array_equal(ends[:-1], buckets.lower[1:])


def test_arrays_make_them_again() -> None:
    for buckets in made("heavy tails"):
        again = Buckets.from_tensors(buckets.tensors())
        for one, other in zip(again.split(EDGES), buckets.split(EDGES), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lower", None),
        ("lower", np.array([3, 2, 9])),
        ("lower", np.array([0, 1, 2**63 - 2])),
        ("lower", np.array([0, 1])),
        ("lower", np.array([0.0, 1.0, 2.0])),
        ("lower", np.array([0, 1, 2], dtype=np.int32)),
        ("lower", np.zeros((3, 1), dtype=np.int64)),
        ("widths", np.array([0, 0, 64], dtype=np.uint8)),
        ("widths", np.array([1, 0, 0], dtype=np.uint8)),
        ("widths", np.array([0, 0, 0])),
        ("centre", np.array([0.5])),
        ("centre", np.array([1, 2])),
        ("more", np.array([1])),
    ],
)
def test_arrays_that_are_no_buckets_are_refused(name: str, value: Any) -> None:
    tensors = Buckets(np.array([0, 1, 2]), np.array([0, 0, 2])).tensors()
    Buckets.from_tensors(tensors)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    with pytest.raises(FileFormatError, match="no buckets"):
        Buckets.from_tensors(tensors)
    many = {"lower": np.arange(2**16), "widths": np.zeros(2**16, dtype=np.uint8), "centre": np.array([0])}
    with pytest.raises(FileFormatError, match="65,534"):
        Buckets.from_tensors(many)


def test_bad_arguments_are_named() -> None:
    for call, words in [
        (lambda: Values.fit(np.array([0.5])), "ints must be whole"),
        (lambda: Values.fit(np.array([2**63], dtype=np.uint64)), "fit an int64"),
        (lambda: Values.fit(np.array([1]), most=1), "most must be"),
        (lambda: Residuals.of(reach=2**62 + 1), "reach must be at most"),
        (lambda: Residuals.of(halvings=9), "halvings at most 8"),
        (lambda: Residuals.of(exact=-1), "exact must be"),
        (lambda: Residuals.of().split(np.array([[1]])), "ints must be whole numbers with 1 axes"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
