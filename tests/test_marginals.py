"""Which likelihood and scale a column of numbers gets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from isthmus.data.marginals import (
    FEWEST,
    NORMAL,
    Cells,
    best_marginal,
    counts_score,
    log_negative_binomial,
    log_normal_between,
    log_student_density,
    normal,
    quantiles,
    student_score,
)

SIZE = 4000


def source(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chosen(values: np.ndarray, whole: bool = False) -> tuple[str, str]:
    found = best_marginal(values, whole)
    return found.kind, found.scaling


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [100, 1000, 20_000])
def test_normal_values_stay_plain(seed: int, size: int) -> None:
    assert chosen(source(seed).normal(5, 2, size)) == ("number", "standard")
    assert chosen(np.round(source(seed).normal(500, 20, size)), whole=True) == ("number", "standard")


@pytest.mark.parametrize(
    "values",
    [source().random(SIZE), np.concatenate([source().normal(-4, 1, SIZE), source().normal(4, 1, SIZE)])],
    ids=["uniform", "two humps"],
)
def test_what_has_no_tails_is_not_bent_whatever_its_form(values: np.ndarray) -> None:
    found = best_marginal(values, whole=False)
    assert (found.scaling, found.reason) == ("standard", "neither skewed nor heavy-tailed")


@pytest.mark.parametrize("seed", range(3))
def test_log_normal_values_get_a_logarithm_and_the_gain_is_the_exact_one(seed: int) -> None:
    values = np.exp(source(seed).normal(3, 1, 10_000))
    found = best_marginal(values, whole=False)
    assert (found.kind, found.scaling) == ("number", "log")
    exact = stats.lognorm(1, scale=np.exp(3)).logpdf(values) - stats.norm(values.mean(), values.std()).logpdf(values)
    gain = float(found.reason.split(": ")[1].split(" nats")[0])
    assert gain == pytest.approx(exact.mean(), abs=0.12)
    assert found.reason.startswith("skewed (skewness ")
    assert found.reason.endswith("nats per cell more likely after a logarithm")


def test_values_that_lean_to_the_left_or_away_from_0_get_a_logarithm_too() -> None:
    values = np.exp(source().normal(0, 1, SIZE))
    assert chosen(-values) == ("number", "log")
    assert chosen(values + 1e4) == ("number", "log")


def test_forms_that_no_logarithm_straightens_get_quantiles() -> None:
    values = np.where(source().random(SIZE) < 0.9, source().normal(0, 1, SIZE), source().normal(20, 0.5, SIZE))
    assert chosen(values) == ("number", "quantile")
    hours = np.where(source().random(SIZE) < 0.5, 40, np.round(source().normal(40, 14, SIZE)).clip(1, 99))
    assert chosen(hours, whole=True) == ("number", "quantile")


@pytest.mark.parametrize("values", [source().poisson(3, SIZE), source().negative_binomial(1, 0.1, SIZE)])
def test_counts_are_found_and_only_among_whole_numbers(values: np.ndarray) -> None:
    found = best_marginal(values, whole=True)
    assert (found.kind, found.scaling) == ("count", "standard")
    assert found.reason.endswith("as counts (negative binomial)")
    assert chosen(values.astype(float), whole=False)[0] != "count"
    assert chosen(values + 30, whole=True)[0] != "count"


def test_tails_heavier_than_normal_are_told() -> None:
    found = best_marginal(stats.t(4).rvs(SIZE, random_state=1), whole=False)
    assert (found.kind, found.scaling) != ("number", "standard")
    assert found.reason.startswith("tails heavier than normal: 0.")


@pytest.mark.parametrize("whole", [True, False])
def test_a_value_that_most_cells_hold_wins_for_nobody(whole: bool) -> None:
    values = np.where(source().random(SIZE) < 0.9, 0.0, np.ceil(np.exp(source(1).normal(5, 1, SIZE))))
    found = best_marginal(values if whole else values / 7, whole)
    assert found.kind != "heavy"
    assert found.reason.startswith("91% of the values are 0: ")
    assert float(found.reason.split(": ")[1].split(" nats")[0]) < 12


@pytest.mark.parametrize("outliers", [1, 4, 40])
@pytest.mark.parametrize("seed", range(3))
def test_outliers_that_would_flatten_all_others_are_bent_and_told_without_absurd_figures(
    seed: int, outliers: int
) -> None:
    values = source(seed).normal(size=SIZE)
    values[:outliers] = 1e15
    found = best_marginal(values, whole=False)
    assert found.scaling in ("log", "quantile")
    assert "nats per cell more likely" in found.reason
    assert len(found.reason) < 100


def test_few_missing_or_equal_values() -> None:
    plain = ("number", "standard")
    assert chosen(np.exp(source().normal(size=FEWEST - 1))) == plain
    assert chosen(np.array([])) == plain
    assert chosen(np.full(1000, 3.0)) == plain
    assert chosen(np.full(1000, np.nan)) == plain
    values = np.exp(source().normal(size=SIZE))
    gaps = np.where(source(1).random(SIZE) < 0.5, np.nan, values)
    assert chosen(gaps) == ("number", "log")
    assert best_marginal(gaps, False) == best_marginal(gaps[~np.isnan(gaps)], False)


def test_the_choice_is_the_same_each_time_and_in_any_unit() -> None:
    values = np.exp(source().normal(size=30_000))
    assert best_marginal(values, False) == best_marginal(values, False)
    for factor in (1e-6, 1e6):
        assert best_marginal(values * factor, False) == best_marginal(values, False)


# The candidates against their formulas.


def test_shares_of_the_normal_distribution_are_exact_in_both_tails() -> None:
    low = np.array([-1.0, -9.0, 8.0, -0.1, 30.0])
    high = np.array([1.0, -8.0, 9.0, 0.3, 31.0])
    tail = np.log(stats.norm.sf(8) - stats.norm.sf(9))
    expected = [
        np.log(stats.norm.cdf(1) - stats.norm.cdf(-1)),
        tail,
        tail,
        np.log(stats.norm.cdf(0.3) - stats.norm.cdf(-0.1)),
    ]
    np.testing.assert_allclose(log_normal_between(low, high)[:4], expected, rtol=1e-12)
    assert log_normal_between(low, high)[4] == pytest.approx(stats.norm.logsf(30), abs=1e-6)


def test_students_t_and_the_negative_binomial_are_those_of_scipy() -> None:
    z = np.linspace(-9, 9, 7)
    np.testing.assert_allclose(log_student_density(z, 3.0), stats.t(3).logpdf(z), rtol=1e-12)
    counts, mean, size = np.arange(9.0), 2.5, 1.5
    expected = stats.nbinom(size, size / (size + mean)).logpmf(np.arange(9))
    np.testing.assert_allclose(log_negative_binomial(counts, mean, size), expected, rtol=1e-12)


def test_a_score_is_the_mean_log_density_in_spreads() -> None:
    learnt, held = source().normal(3, 2, SIZE), source(1).normal(3, 2, SIZE)
    cells = Cells.of(held, np.concatenate([learnt, held]), whole=False)
    exact = stats.norm(learnt.mean(), learnt.std()).logpdf(held).mean() + np.log(cells.spread)
    assert cells.score(normal(learnt), *NORMAL) == pytest.approx(exact, abs=1e-3)
    assert cells.score(quantiles(learnt), *NORMAL) == pytest.approx(exact, abs=0.03)
    assert student_score(learnt, cells) == pytest.approx(exact, abs=0.01)


def test_a_score_of_whole_numbers_is_their_mean_log_probability() -> None:
    learnt, held = source().poisson(4, SIZE), source(1).poisson(4, SIZE)
    cells = Cells.of(held, np.concatenate([learnt, held]), whole=True)
    exact = stats.poisson(learnt.mean()).logpmf(held).mean() + np.log(cells.spread)
    assert counts_score(learnt, cells) == pytest.approx(exact, abs=2e-3)
    mean, deviation = learnt.mean(), learnt.std()
    share = stats.norm.cdf((held + 0.5 - mean) / deviation) - stats.norm.cdf((held - 0.5 - mean) / deviation)
    expected = np.log(share).mean() + np.log(cells.spread)
    assert cells.score(normal(learnt), *NORMAL) == pytest.approx(expected, rel=1e-10)


def test_students_t_finds_location_scale_and_freedom() -> None:
    learnt, held = stats.t(3, 10, 0.2).rvs(SIZE, random_state=1), stats.t(3, 10, 0.2).rvs(SIZE, random_state=2)
    cells = Cells.of(held, np.concatenate([learnt, held]), whole=False)
    exact = stats.t(3, 10, 0.2).logpdf(held).mean() + np.log(cells.spread)
    assert student_score(learnt, cells) == pytest.approx(exact, abs=0.01)
