"""Rates of alarms: p-values against plain counts, their promise over many draws, and surprises against exact tails."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from isthmus.alarms import FEWEST, KNOTS, LEAST_SPREAD, TAIL, HeldOut, Surprise, discoveries
from isthmus.errors import FileFormatError

RATES = [1e-9, 0.001, 0.01, 0.02, 0.05, 0.07, 0.1, 0.2, 1 / 3, 0.5, 0.9, 0.999, 1 - 1e-9]


def scores_of(name: str) -> np.ndarray:
    random = np.random.default_rng(0)
    return {
        "all different": random.normal(size=99),
        "ties": random.integers(0, 5, size=60).astype(float),
        "all equal": np.full(20, 2.0),
        "two": np.array([1.0, 3.0]),
        "one": np.array([1.0]),
    }[name]


NAMES = ["all different", "ties", "all equal", "two", "one"]


# ---------------------------------------------------------------------- p-values and levels


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_plain_counts(name: str) -> None:
    scores = scores_of(name)
    asked = np.concatenate([scores, scores - 0.1, scores + 0.1, [-np.inf, np.inf]])
    counted = [(1 + sum(float(score) >= one for score in scores)) / (len(scores) + 1) for one in asked]
    assert HeldOut.of(scores[::-1]).p_values(asked).tolist() == counted


def test_scores_are_copied_and_sorted() -> None:
    given = np.array([3, 1, 2])
    held_out = HeldOut.of(given)
    given[:] = 0
    assert held_out.scores.tolist() == [1.0, 2.0, 3.0]
    assert held_out.scores.dtype == np.float64
    assert len(held_out) == 3


@pytest.mark.parametrize("rows", [1, 4, 19, 50])
def test_of_continuous_scores_every_p_value_is_as_probable(rows: int) -> None:
    draws = 20_000
    every = np.random.default_rng(rows).exponential(size=(draws, rows + 1))
    p_values = np.array([HeldOut.of(one[1:]).p_values(one[:1])[0] for one in every[: draws // 10]])
    ranks = 1 + (every[:, 1:] >= every[:, :1]).sum(1)
    np.testing.assert_array_equal(np.round(p_values * (rows + 1)), ranks[: draws // 10])
    for rank in range(1, rows + 2):  # P(p <= k / (m + 1)) is k / (m + 1) exactly
        seen = int((ranks <= rank).sum())
        assert binomtest(seen, draws, rank / (rows + 1)).pvalue > 1e-4 if rank <= rows else seen == draws


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_of_tied_scores_low_p_values_are_at_most_as_probable(levels: int) -> None:
    draws, rows = 4000, 39
    every = np.random.default_rng(levels).integers(0, levels, size=(draws, rows + 1)).astype(float)
    p_values = np.array([HeldOut.of(one[1:]).p_values(one[:1])[0] for one in every])
    for rate in (0.05, 0.1, 0.25, 0.5, 0.9):
        assert binomtest(int((p_values <= rate).sum()), draws, rate, alternative="greater").pvalue > 1e-4


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", NAMES)
def test_rows_above_the_level_are_those_of_low_p_values(name: str, rate: float) -> None:
    held_out = HeldOut.of(scores_of(name))
    level = held_out.threshold(rate)
    asked = np.unique(np.concatenate([held_out.scores, held_out.scores - 1e-6, held_out.scores + 1e-6, [-99.0, 99.0]]))
    if rate * (len(held_out) + 1) >= 1 - 1e-9:
        np.testing.assert_array_equal(asked > level, held_out.p_values(asked) <= rate * (1 + 1e-12))
    else:  # no p-value is so low: what is odder than every row that was held out
        assert level == held_out.scores[-1]
        assert not (held_out.p_values(asked) <= rate).any()


def test_levels_at_the_very_rates_that_p_values_take() -> None:
    for rows in (3, 9, 48, 99, 999, 1234):
        held_out = HeldOut.of(np.arange(rows, dtype=float))
        asked = np.arange(-1, rows) + 0.5
        for k in {1, 2, rows // 3 + 1, rows}:  # k / (m + 1), where a rounding error would cost a row
            rate = float(Fraction(k, rows + 1))
            assert (asked > held_out.threshold(rate)).sum() == (held_out.p_values(asked) <= rate).sum() == k


def test_levels_fall_as_the_rate_rises() -> None:
    held_out = HeldOut.of(scores_of("all different"))
    levels = [held_out.threshold(rate) for rate in RATES]
    assert levels == sorted(levels, reverse=True)


def test_two_alarms_in_the_mean_resolve_a_rate() -> None:
    held_out = HeldOut.of(np.arange(200.0))
    assert held_out.resolves(0.01)
    assert not held_out.resolves(0.0099)
    assert not HeldOut.of(np.zeros(1)).resolves(0.99)


# ---------------------------------------------------------------------- discoveries


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3, 0.9])
def test_discoveries_are_those_of_benjamini_and_hochberg(rate: float) -> None:
    random = np.random.default_rng(0)
    for rows in (1, 2, 7, 100, 1000):
        for anomalies in (0, rows // 5, rows):
            p_values = random.random(rows)
            p_values[:anomalies] **= 8
            if rows == 100:
                p_values = np.ceil(p_values * 20) / 20  # ties
            adjusted = false_discovery_control(p_values, method="bh")
            clear = np.abs(adjusted - rate) > 1e-12
            np.testing.assert_array_equal(discoveries(p_values, rate)[clear], (adjusted <= rate)[clear])


def test_discoveries_of_nothing_and_in_any_order() -> None:
    assert discoveries(np.zeros(0), 0.1).shape == (0,)
    assert discoveries(np.zeros(0), 0.1).dtype == bool
    assert not discoveries(np.ones(5), 0.9).any()
    p_values = np.array([0.9, 0.01, 0.5, 0.02])
    assert discoveries(p_values, 0.05).tolist() == [False, True, False, True]
    assert p_values.tolist() == [0.9, 0.01, 0.5, 0.02]


def test_of_those_called_few_are_ordinary() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        held_out = HeldOut.of(random.normal(size=500))
        rows = np.concatenate([random.normal(size=90), random.normal(5.0, size=10)])
        called = discoveries(held_out.p_values(rows), 0.1)
        shares.append(called[:90].sum() / max(1, called.sum()))
    # At most rate x share of ordinary rows, 0.09, in the mean; its standard error over the draws is about 0.006.
    assert 0.05 < np.mean(shares) < 0.09 + 3 * np.std(shares) / np.sqrt(len(shares))


# ---------------------------------------------------------------------- surprises


def figures_of(name: str) -> np.ndarray:
    random = np.random.default_rng(3)
    return {
        "normal": random.normal(size=5000),
        "heavy": np.exp(random.normal(size=300) * 3),
        "ties": random.integers(0, 4, size=500).astype(float),
        "few": random.normal(size=7),
        "constant": np.full(50, 4.0),
        "one": np.array([2.5]),
        "all but one equal": np.append(np.zeros(99), 1.0),
    }[name]


SHAPES = ["normal", "heavy", "ties", "few", "constant", "one", "all but one equal"]


@pytest.mark.parametrize("name", SHAPES)
def test_a_surprise_rises_without_a_leap(name: str) -> None:
    figures = figures_of(name)
    surprise = Surprise.fit(figures)
    low, high = float(figures.min()), float(figures.max())
    at = np.linspace(low - 1, high + 1, 200_001)
    nats = surprise(at)
    assert nats[0] == 0.0
    assert (np.diff(nats) >= 0).all()
    steepest = max(surprise.slope, (np.diff(surprise.nats) / np.diff(surprise.at)).max(initial=0.0))
    assert np.diff(nats).max() <= steepest * (at[1] - at[0]) * (1 + 1e-6)
    assert surprise(np.array([high + 1]))[0] - surprise(np.array([high]))[0] == pytest.approx(surprise.slope)
    assert len(surprise.at) <= KNOTS


@pytest.mark.parametrize("name", SHAPES)
def test_within_the_rows_a_surprise_is_the_log_of_their_share(name: str) -> None:
    figures = figures_of(name)
    surprise = Surprise.fit(figures)
    shares = np.array([(figures >= at).mean() for at in surprise.at])
    np.testing.assert_allclose(surprise(surprise.at), -np.log(shares), rtol=1e-12, atol=1e-12)
    tail = max(min(FEWEST, len(figures)), round(TAIL * len(figures)))
    assert shares[-1] * len(figures) >= tail  # the tail is not told from fewer


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_a_surprise_is_the_exact_tail_of_an_exponential(scale: float) -> None:
    figures = np.random.default_rng(0).exponential(scale, 200_000)
    surprise = Surprise.fit(figures)
    at = scale * np.array([0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
    # The slope of the tail is the inverse of a mean of 20,000 excesses, to within 0.7 %.
    np.testing.assert_allclose(surprise(at), at / scale, rtol=0.02, atol=0.02)
    assert surprise.slope == pytest.approx(1 / scale, rel=0.02)


def test_the_slope_is_the_inverse_of_the_mean_excess() -> None:
    figures = np.arange(100.0)  # the oddest ten: 90 .. 99, in the mean 4.5 above the least of them
    surprise = Surprise.fit(figures)
    assert surprise.slope == pytest.approx(1 / 4.5)
    assert surprise(np.array([90.0, 99.0])) == pytest.approx([-np.log(0.1), -np.log(0.1) + 2.0])


def test_figures_that_are_all_alike_do_not_shout() -> None:
    surprise = Surprise.fit(np.full(50, 4.0))
    assert surprise(np.array([-9.0, 4.0, 5.0])) == pytest.approx([0.0, 0.0, 1 / LEAST_SPREAD])
    gentle = Surprise.fit(np.full(50, 4.0), least_spread=0.5)
    assert gentle(np.array([4.0, 5.0])) == pytest.approx([0.0, 2.0])


def test_one_row_says_what_is_beyond_it() -> None:
    surprise = Surprise.fit(np.array([2.5]))
    assert surprise(np.array([0.0, 2.5, 3.5])) == pytest.approx([0.0, 0.0, 1 / LEAST_SPREAD])


def test_infinitely_odd_is_infinitely_surprising_and_nothing_is_less_than_none() -> None:
    surprise = Surprise.fit(figures_of("normal"))
    assert surprise(np.array([np.inf, -np.inf])).tolist() == [np.inf, 0.0]


@pytest.mark.parametrize("name", SHAPES)
def test_a_restored_surprise_is_the_same(name: str) -> None:
    surprise = Surprise.fit(figures_of(name))
    state = surprise.state()
    again = Surprise.restore(state)
    assert state.shape == (2 * len(surprise.at) + 1,)
    at = np.linspace(-5, 50, 999)
    np.testing.assert_array_equal(again(at), surprise(at))
    np.testing.assert_array_equal(again.state(), state)


@pytest.mark.parametrize(
    "state",
    [
        [],
        [1.0],
        [0.0, 0.0],
        [0.0, 1.0, 0.0, 1.0],
        [0.0, 0.0, 0.0],
        [0.0, 0.0, -1.0],
        [0.0, 0.0, np.nan],
        [0.0, np.inf, 1.0],
        [1.0, 0.0, 0.0, 1.0, 1.0],
        [0.0, 0.0, 0.0, 1.0, 1.0],
        [0.0, 1.0, 1.0, 0.0, 1.0],
    ],
    ids=["empty", "one", "two", "even", "flat", "falls", "nan", "inf", "figures fall", "figures tie", "nats fall"],
)
def test_a_damaged_surprise_is_refused(state: list[float]) -> None:
    with pytest.raises(FileFormatError, match="the description of the held-out rows is damaged"):
        Surprise.restore(np.array(state))
