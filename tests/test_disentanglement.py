"""Figures of how units stand for factors, against their known values and sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.disentanglement import cut, dci, entropy, mig, mutual_information, sap
from isthmus.errors import InputError

GRID = np.stack(np.meshgrid(range(4), range(6), range(3), range(8), indexing="ij"), -1).reshape(-1, 4)
"""Every combination of four factors, once: they are independent exactly."""
TURN = np.array([[1.0, -1.0], [1.0, 1.0]]) / math.sqrt(2)


def test_mutual_information_by_hand() -> None:
    first, second = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    # p(0,0) = 1/2, p(0,1) = p(1,1) = 1/4; p(first) = 3/4, 1/4; p(second) = 1/2, 1/2.
    by_hand = 0.5 * math.log(0.5 / (0.75 * 0.5)) + 0.25 * math.log(0.25 / 0.375) + 0.25 * math.log(0.25 / 0.125)
    assert mutual_information(first, second) == pytest.approx(by_hand, abs=1e-12)
    assert mutual_information(second, first) == pytest.approx(by_hand, abs=1e-12)
    assert mutual_information(GRID[:, 0], GRID[:, 1]) == pytest.approx(0, abs=1e-12)
    assert mutual_information(GRID[:, 1], GRID[:, 1]) == pytest.approx(math.log(6))
    assert entropy(np.array([7, 7, 9, 9])) == pytest.approx(math.log(2))


def test_units_are_cut_into_twenty_equal_stretches() -> None:
    assert cut(np.linspace(0, 1, 21)).tolist() == [*range(20), 19]
    assert cut(np.full(3, 2.5)).tolist() == [0, 0, 0]


def test_codes_that_are_the_factors_have_the_most_there_is() -> None:
    order = [2, 0, 3, 1]
    codes = -3.0 * GRID[:, order] + 7
    assert mig(codes, GRID) == pytest.approx(1)
    found = dci(codes, GRID)
    assert found == pytest.approx((1, 1, 1), abs=0.02)
    # The next best unit does no better than chance, 1 / categories.
    assert sap(codes, GRID) == pytest.approx(1 - np.mean([1 / 4, 1 / 6, 1 / 3, 1 / 8]))


def test_two_units_for_one_factor_have_no_gap() -> None:
    codes = GRID[:, [0, 0, 1, 1, 2, 2, 3, 3]].astype(float)
    assert mig(codes, GRID) == pytest.approx(0, abs=1e-12)
    assert sap(codes, GRID) == pytest.approx(0, abs=1e-12)


def test_codes_that_have_nothing_to_do_with_the_factors() -> None:
    generator = np.random.default_rng(0)
    factors = generator.integers(0, 4, (2000, 3))
    codes = generator.normal(size=(2000, 5))
    assert mig(codes, factors) < 0.01
    assert sap(codes, factors) < 0.03
    found = dci(codes, factors)
    assert found.disentanglement < 0.02
    assert found.completeness < 0.02
    assert found.informativeness == pytest.approx(0.25, abs=0.05)  # chance


def test_a_turned_code_lies_between() -> None:
    factors = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    straight, turned = factors, factors @ TURN
    assert mig(straight, factors) > 0.9 > 0.1 > mig(turned, factors) >= 0
    assert sap(straight, factors) == pytest.approx(1, abs=0.01)
    assert sap(turned, factors) < 0.05  # both units correlate with both factors: 1/2 each
    half = np.concatenate([factors[:, :1], factors @ TURN[:, :1]], axis=1)  # one factor alone, and one mixture
    assert mig(turned, factors) < mig(half, factors) < mig(straight, factors)
    assert dci(turned, factors).disentanglement < 0.1 < 0.2 < dci(half, factors).disentanglement
    assert dci(straight, factors).disentanglement > 0.95
    assert dci(turned, factors).informativeness > 0.9  # all is there, in no unit alone


def test_one_unit_one_factor_names_and_constants() -> None:
    names = np.array(["a", "b", "c"])[GRID[:, 2]]
    assert mig(GRID[:, [2]], names) == pytest.approx(1)
    assert mig(GRID[:, [2, 0]], np.stack([names, np.full(len(names), "same")], 1)) == pytest.approx(1)
    assert dci(GRID[:, [2]], names) == (1, 1, 1)
    assert sap(np.ones((len(GRID), 1)), np.random.default_rng(0).normal(size=len(GRID))) == 0


def test_the_same_seed_the_same_figures() -> None:
    generator = np.random.default_rng(3)
    codes, factors = generator.normal(size=(200, 3)), generator.integers(0, 3, (200, 2))
    assert dci(codes, factors, seed=4) == dci(codes, factors, seed=4)


@pytest.mark.parametrize(
    ("codes", "factors", "words"),
    [
        (np.zeros((3, 2)), np.zeros((4, 1)), r"one row per code, .* got \(4, 1\) beside \(3, 2\)"),
        (np.zeros((3, 2)), np.zeros((3, 1)), "factors must vary"),
        (np.zeros((3, 2)), np.array([[0.0], [1.0], [np.nan]]), "must be finite; got NaN or infinity"),
        (np.full((3, 2), np.inf), np.array([0, 1, 2]), "must be finite; got NaN or infinity"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(codes: np.ndarray, factors: np.ndarray, words: str) -> None:
    for figure in (mig, sap, dci):
        with pytest.raises(InputError, match=words):
            figure(codes, factors)
