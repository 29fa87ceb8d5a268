"""Surprises of a series' steps: causal, without units, calibrated, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.errors import InputError
from isthmus.steps import (
    Reach,
    StepModel,
    Tail,
    dominant_period,
    fit_steps,
    newest,
    recent,
    surprises,
    window_length,
)


def noise(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


def wave(steps: int, period: float = 24, seed: int = 0) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(steps) / period) + 0.1 * noise(steps, seed=seed)


def test_the_period_is_found_under_trend_noise_spikes_and_gaps() -> None:
    x = wave(400, 25)
    assert dominant_period(x) == 25
    assert dominant_period(1e6 + 1e-3 * x) == 25
    assert dominant_period(x + 0.01 * np.arange(400)) == 25
    spiked, gaps = x.copy(), x.copy()
    spiked[[50, 51, 333]] = 1000
    gaps[100:110] = np.nan
    assert dominant_period(spiked) == dominant_period(gaps) == 25
    assert dominant_period(np.column_stack((x, np.zeros(400), wave(400, 25, seed=1)))) == 25
    assert dominant_period(np.tile(np.repeat([0.0, 1.0], 50), 4)) == 100


def test_the_shortest_of_equal_periods_is_taken() -> None:
    assert dominant_period(np.tile([0.0, 1.0, 5.0, 2.0, 3.0, 0.0], 40)) == 6


def test_what_does_not_repeat_has_no_period() -> None:
    assert [dominant_period(noise(300, seed=seed)) for seed in range(20)] == [None] * 20
    assert [dominant_period(noise(60, seed=seed)) for seed in range(20)] == [None] * 20  # chance likeness is larger
    assert dominant_period(np.full(300, 0.1)) is None
    assert dominant_period(np.arange(300.0)) is None
    assert dominant_period(np.full(300, np.nan)) is None
    assert dominant_period(np.arange(5.0)) is None
    assert dominant_period(wave(40, 30)) is None  # not seen twice


def test_windows_are_whole_periods_of_at_least_16_steps() -> None:
    assert [window_length(wave(600, period)) for period in (6, 16, 24, 50)] == [18, 16, 24, 50]
    assert window_length(noise(600)) == 16
    assert window_length(noise(20)) == 10
    assert window_length(wave(6000, 1500)) == 16


def test_a_tail_ranks_what_was_seen_and_extends_it_exponentially() -> None:
    errors = np.arange(100.0)
    tail = Tail.of(errors)
    assert (tail.level, tail.excess) == (95.0, 0.2 * 95)
    below = tail.surprise(errors[:96])
    assert below == pytest.approx(np.log(101 / (101 - np.arange(96))))
    assert tail.surprise(np.array([95 + 19.0])) - below[-1] == pytest.approx(1.0)
    heavy = Tail.of(np.concatenate((np.zeros(95), [1.0, 2, 3, 4, 5])))
    assert (heavy.level, heavy.excess) == (1.0, 2.0)


def test_a_surprise_is_the_log_of_its_probability() -> None:
    tail = Tail.of(np.random.default_rng(0).exponential(3.0, 50_000))
    at = np.array([1.0, 3.0, 9.0, 30.0, 50.0])
    assert tail.surprise(at) == pytest.approx(at / 3, rel=0.05)


def test_far_surprises_grow_slowly_and_keep_their_order() -> None:
    tail = Tail.of(np.random.default_rng(0).exponential(1.0, 1000))
    far = tail.surprise(np.array([10.0, 20.0, 100.0, 1e6, 1e12]))
    assert (np.diff(far) > 0).all()
    assert far[-1] < 600
    still = Tail.of(np.zeros(100)).surprise(np.array([0.0, 1.0, 1e6]))
    assert still[0] == 0
    assert 500 < still[1] < still[2] < 1000


def test_gaps_do_not_surprise() -> None:
    tail = Tail.of(np.array([1.0, 2.0, np.nan, 3.0]))
    assert tail.rungs.tolist() == [1.0, 2.0, 3.0]
    assert tail.surprise(np.array([np.nan, 1.0])).tolist() == [0.0, 0.0]
    assert Tail.of(np.full(3, np.nan)).surprise(np.array([np.nan])).tolist() == [0.0]


def test_the_rungs_of_many_errors_are_thinned_by_rank() -> None:
    tail = Tail.of(np.random.default_rng(0).permutation(np.arange(100_000.0)))
    assert len(tail.rungs) == 2048
    assert (tail.rungs[0], tail.rungs[-1], tail.level) == (0.0, 99_999.0, 95_000.0)
    assert tail.surprise(np.array([50_000.0])) == pytest.approx(np.log(2), abs=1e-3)


def test_the_model_is_the_ridge_regression_of_a_step_on_its_window() -> None:
    x = wave(500)
    model = fit_steps(x, window=5)
    scaled = (x - np.median(x)) / x.std()
    mean = scaled.mean()
    rows = np.stack([scaled[start : start + 6] for start in range(495)]) - mean
    past, last = rows[:, :-1], rows[:, -1]
    moments = past.T @ past
    weights = np.linalg.solve(moments + 0.01 * np.trace(moments) / 5 * np.eye(5), past.T @ last)
    assert model.weights[:, 0] == pytest.approx(weights, abs=1e-12)
    told = (past + 0) @ weights + mean
    expected = model.expected(x)[:, 0]
    assert np.isnan(expected[:5]).all()
    assert expected[5:] == pytest.approx(told * x.std() + np.median(x), abs=1e-12)
    errors = model.errors(x)
    assert errors[0, 5:, 0] == pytest.approx(np.abs(scaled[5:] - told), abs=1e-12)
    assert errors[1, :, 0] == pytest.approx(np.abs(scaled), abs=1e-12)


def test_channels_do_not_touch_each_other() -> None:
    x = np.column_stack((wave(500), wave(500, seed=1) * 5, noise(500)))
    both = fit_steps(x, window=24).surprise(x)
    for channel in range(3):
        alone = fit_steps(x[:, channel], window=24).surprise(x[:, channel])
        assert both[:, [channel]] == pytest.approx(alone, abs=1e-9)


def test_units_do_not_matter() -> None:
    x = wave(600)
    assert fit_steps(1e4 * x - 3e5).surprise(1e4 * x - 3e5) == pytest.approx(fit_steps(x).surprise(x), abs=1e-6)


def test_a_start_leaves_the_rest_as_it_is() -> None:
    x = wave(600)
    model = fit_steps(x[:300])
    for start in (0, 10, 24, 300, 599):
        assert model.surprise(x, start) == pytest.approx(model.surprise(x)[start:], abs=1e-12)
    assert model.surprise(x, 600).shape == (0, 1)


def test_no_step_is_judged_by_a_later_one() -> None:
    x = wave(700)
    whole = surprises(x, 200)
    assert (whole[:200] == 0).all()
    changed = x.copy()
    changed[500:] = 1e3
    assert (surprises(changed, 200)[:500] == whole[:500]).all()
    assert surprises(x[:555], 200) == pytest.approx(whole[:555], abs=1e-12)
    first = fit_steps(x[:200]).surprise(x, 200)[:20]
    assert whole[200:220] == pytest.approx(first, abs=1e-12)


def test_learning_on_gets_used_to_what_stays() -> None:
    x = noise(4000)
    x[1000:] += 6
    learning, fixed = surprises(x, 500)[3000:], fit_steps(x[:500]).surprise(x)[3000:]
    assert np.median(fixed) > 5
    assert np.median(learning) < 1


def test_surprises_keep_their_promise_about_ordinary_steps() -> None:
    shocks = noise(30_000)
    x = np.zeros(30_000)
    for step in range(1, 30_000):
        x[step] = 0.8 * x[step - 1] + shocks[step]
    found = fit_steps(x[:5000]).surprise(x, 5000)[:, 0]
    for rate in (0.1, 0.01, 0.001):
        # On the safe side: the smaller of two probabilities is doubled, and a normal tail is lighter than exponential.
        assert 0.25 * rate < (found >= -np.log(rate)).mean() < 1.3 * rate


def test_the_tails_know_only_steps_that_were_not_learnt_from() -> None:
    x = noise(4000)
    model = fit_steps(x[:400], window=150)
    assert [len(tail.rungs) for tail in model.tails[0]] == [200, 400]
    # So many weights rebuild their own steps better than others.
    assert (model.surprise(x, 400) >= -np.log(0.05)).mean() < 0.05


def test_an_odd_step_of_an_ordinary_value_is_found() -> None:
    x = wave(1000)
    x[806] = -x[806]
    found = surprises(x, 200)[:, 0]
    assert found.argmax() == 806
    assert found[806] > 10


def test_a_constant_channel_that_moves_is_found_within_bounds() -> None:
    for level in (0.0, 0.1, 1e9):
        x = np.column_stack((np.full(300, level), noise(300)))
        x[250:, 0] += 1e-3 * max(level, 1)
        found = fit_steps(x[:200]).surprise(x)
        assert (found[:250, 0] == 0).all()
        assert 100 < found[250, 0] < 1000


def test_gaps_and_empty_channels_pass() -> None:
    x = np.column_stack((wave(600), np.full(600, np.nan)))
    x[[100, 101, 102, 450], 0] = np.nan
    model = fit_steps(x[:400])
    found = model.surprise(x)
    assert np.isfinite(found).all()
    assert (found[[100, 101, 102, 450]] == 0).all()
    assert (found[:, 1] == 0).all()
    assert (surprises(x, 400)[:, 1] == 0).all()


def test_news_is_what_exceeds_all_of_a_while_before() -> None:
    x = np.random.default_rng(0).integers(0, 9, 300).astype(float)
    for hold in (1, 7, 400):
        before = [x[max(step - hold, 0) : step].max(initial=-1) for step in range(300)]
        assert newest(x, hold).tolist() == np.where(x > before, x, 0).tolist()


def test_recent_is_the_mean_of_the_last_steps() -> None:
    x = noise(50, 2)
    expected = [x[max(step - 4, 0) : step + 1].mean(axis=0) for step in range(50)]
    assert recent(x, 5) == pytest.approx(np.array(expected))
    assert recent(x[:, 0], 1) == pytest.approx(x[:, 0])


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="at least 64 steps to learn from; got 50"):
        fit_steps(noise(50))
    with pytest.raises(InputError, match="at least 64 steps to learn from; got 20"):
        surprises(noise(500), 20)
    with pytest.raises(InputError, match="infinite"):
        fit_steps(np.append(noise(99), np.inf))
    with pytest.raises(InputError, match=r"window: must be 1 to half of the 100 steps to learn from; got 51"):
        fit_steps(noise(100), window=51)
    with pytest.raises(InputError, match=r"\(steps,\) or \(steps, channels\); got the shape \(2, 3, 4\)"):
        fit_steps(np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match="the model knows 2"):
        fit_steps(noise(100, 2)).surprise(noise(100, 3))
    with pytest.raises(InputError, match="growth: must be above 1"):
        surprises(noise(500), 100, growth=1.0)
    assert isinstance(fit_steps(noise(64)), StepModel)


def test_a_spike_and_a_gap_do_not_make_the_steps_behind_them_odd() -> None:
    t = np.arange(2000)
    wave = np.sin(2 * np.pi * t / 25) + 0.1 * np.random.default_rng(0).normal(size=2000)
    x = wave.copy()
    x[1306], x[1700], x[1500:1520] = 50.0, 5.0, np.nan
    model = fit_steps(wave[:1000])
    mended = model.mended(x)
    same = ~np.isin(t, [1306, 1700, *range(1500, 1520)])
    np.testing.assert_array_equal(mended[same, 0], x[same])
    np.testing.assert_allclose(mended[~same, 0], np.sin(2 * np.pi * t[~same] / 25), atol=0.3)
    assert np.flatnonzero(model.surprise(x, seen=mended)[:, 0] > 10).tolist() == [1306, 1700]
    assert (model.surprise(x)[:, 0] > 10).sum() > 20


def test_mending_looks_at_earlier_steps_alone_and_leaves_a_new_level_as_it_is() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 2))
    x[900, 0], x[1200:] = 60.0, x[1200:] + 40.0
    model = fit_steps(x[:800])
    whole = model.mended(x)
    np.testing.assert_array_equal(model.mended(x[:1000]), whole[:1000])
    np.testing.assert_array_equal(whole[1300:], x[1300:])


def autoregressive(steps: int, weights: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """Of unit noise; ``weights`` of the step before, the one before that, .."""
    x = noise(steps, seed=seed)
    for step in range(len(weights), steps):
        x[step] += sum(weight * x[step - 1 - lag] for lag, weight in enumerate(weights))
    return x


def judged(model: StepModel, x: np.ndarray) -> np.ndarray:
    return model.judged(x)[0][:, 0]


def products_of(weights: np.ndarray, noise_variance: float, window: int) -> np.ndarray:
    """The autocovariances of an autoregressive series, by its moving averages."""
    response = np.zeros(4000)
    response[0] = 1.0
    for step in range(1, 4000):
        past = response[max(step - len(weights), 0) : step][::-1]
        response[step] = past @ weights[: len(past)]
    return noise_variance * np.array([response[: 4000 - lag] @ response[lag:] for lag in range(window + 1)])


def test_what_a_window_with_gaps_tells_and_how_much_less_is_exact() -> None:
    weights = np.array([0.9, -0.5, 0.3])  # of the step before, the one before that, ..
    products = products_of(weights, 1.0, 3)
    gaps = np.zeros(40, dtype=bool)
    gaps[[20, 21, 23, 30]] = True
    reach = Reach.of(gaps, weights[::-1], 0.0, products, 1.0)
    # By hand: how much of each step's noise is in what is told, if gaps are filled with what was told there.
    for step in range(10, 40):
        held = np.zeros((40, 40))  # held[t]: the error of what windows show at t, in the noises of the steps
        told = np.zeros((40, 40))
        for t in range(10, step + 1):
            told[t, t] = 1.0
            told[t] += sum(weights[lag] * held[t - 1 - lag] for lag in range(3))
            held[t] = told[t] if gaps[t] else 0.0
        assert reach.spread[step] == pytest.approx(np.sqrt(told[step] @ told[step]), rel=1e-9)
    assert (reach.spread[10:20] == 1.0).all()  # untouched where nothing is missing


def test_the_first_steps_are_told_by_those_there_are_as_well_as_can_be() -> None:
    weights = np.array([0.9, -0.5, 0.3])
    products = products_of(weights, 1.0, 3)
    own = noise(12)
    reach = Reach.of(np.zeros(12, dtype=bool), weights[::-1], 0.0, products, 1.0)
    told = reach.told(own)
    for step in range(3):
        joint = products[np.abs(np.subtract.outer(np.arange(step + 1), np.arange(step + 1)))]
        ridge = 0.01 * products[0] * np.eye(step)
        best = np.linalg.solve(joint[:step, :step] + ridge, joint[:step, step])
        left = np.append(-best, 1.0) @ joint @ np.append(-best, 1.0)
        assert told[step] == pytest.approx(own[:step] @ best, abs=1e-12)
        assert reach.spread[step] == pytest.approx(np.sqrt(left), rel=1e-9)
    assert told[3:] == pytest.approx([own[step - 3 : step] @ weights[::-1] for step in range(3, 12)])
    assert (reach.spread[3:] == 1.0).all()


def of_kind(kind: str, steps: int, seed: int) -> np.ndarray:
    if kind == "autoregressive":
        return autoregressive(steps, (1.6, -0.8), seed)
    t = np.arange(steps)
    return np.sin(2 * np.pi * t / 24) + 0.5 * np.sin(2 * np.pi * t / 168) + 0.2 * noise(steps, seed=seed)


def alarms(old: np.ndarray, rate: float = 0.05) -> tuple[StepModel, float]:
    """A model, and the surprise that this share of ordinary steps exceeds."""
    half = len(old) // 2
    found = surprises(old, half)[half:, 0]
    return fit_steps(old), float(np.quantile(found[~np.isnan(old[half:])], 1 - rate))


@pytest.mark.parametrize(
    ("kind", "where"),
    [("two rhythms", "behind"), ("autoregressive", "behind"), ("autoregressive", "at random")],
)
def test_ordinary_steps_surprise_as_often_as_ever_where_steps_are_missing(kind: str, where: str) -> None:
    step = np.arange(4000)
    shares = []
    for seed in range(4):
        x = of_kind(kind, 4000, seed)
        model, level = alarms(of_kind(kind, 3000, 100 + seed))
        if where == "behind":
            gaps = (step % 200 >= 140) & (step >= 200)
            looked_at = (step >= 400) & (step % 200 < 30)
        else:
            gaps = np.random.default_rng(seed).random(4000) < 0.1
            looked_at = ~gaps
        odd = judged(model, np.where(gaps, np.nan, x))
        shares.append([(odd > level)[looked_at].mean(), (judged(model, x) > level)[looked_at].mean()])
    with_gaps, complete = np.mean(shares, axis=0)
    assert abs(with_gaps - complete) < 0.01


@pytest.mark.parametrize("kind", ["two rhythms", "autoregressive"])
def test_the_first_steps_surprise_as_often_as_later_ones(kind: str) -> None:
    shares = []
    for seed in range(4):
        x = of_kind(kind, 5000, seed)
        model, level = alarms(of_kind(kind, 3000, 100 + seed))
        starts = range(400, 4900, 60)
        early = np.concatenate([judged(model, x[at : at + 20])[:16] for at in starts])
        late = judged(model, x)[(np.array(starts)[:, None] + np.arange(16)).ravel()]
        shares.append([(early > level).mean(), (late > level).mean()])
    at_the_start, later = np.mean(shares, axis=0)
    assert abs(at_the_start - later) < 0.01


def test_levels_learnt_with_gaps_hold_as_well_as_those_learnt_without() -> None:
    shares = []
    for seed in range(4):
        old, x = of_kind("autoregressive", 2000, 100 + seed), of_kind("autoregressive", 2000, seed)
        draw = np.random.default_rng(seed)
        model, level = alarms(old)
        complete = (judged(model, x) > level).mean()
        model, level = alarms(np.where(draw.random(2000) < 0.1, np.nan, old))
        gaps = draw.random(2000) < 0.1
        shares.append([(judged(model, np.where(gaps, np.nan, x)) > level)[~gaps].mean(), complete])
    with_gaps, without = np.mean(shares, axis=0)
    assert abs(with_gaps - without) < 0.01


def test_gaps_do_not_hide_what_is_odd_behind_them() -> None:
    x = wave(3000)
    x[2000:2012], x[2015] = np.nan, x[2015] + 1.5
    x[2500:2700], x[2712] = np.nan, x[2712] + 1.5
    x[5] += 1.5
    model = fit_steps(wave(1500, seed=1))
    found = judged(model, x)
    assert found[[5, 2015, 2712]].min() > 8
    assert np.delete(found, [5, 2015, 2712]).max() < 8


def test_a_gap_of_a_whole_window_begins_the_series_anew() -> None:
    x, model = wave(800), fit_steps(wave(1500, seed=1))
    window = len(model.weights)
    x[300 : 300 + window] = np.nan
    assert judged(model, x)[300 + window :] == pytest.approx(judged(model, x[300 + window :]), abs=1e-12)
    x[300] = 0.0  # the gap is a step shorter: what was before it still tells
    assert np.abs(judged(model, x)[300 + window :] - judged(model, x[300 + window :])).max() > 0.1


def test_a_spike_among_the_first_steps_is_mended_too() -> None:
    x, model = wave(400), fit_steps(wave(1500, seed=1))
    x[6] = 60.0
    found = judged(model, x)
    assert found.argmax() == 6
    assert np.delete(found, 6).max() < 10


def test_without_noise_or_variance_no_step_is_odd_at_the_start() -> None:
    t = np.arange(800)
    x = np.column_stack((np.sin(2 * np.pi * t / 24), np.full(800, 7.0)))
    model = fit_steps(x[:500])
    found = model.surprise(x[500:], seen=model.mended(x[500:]))
    assert np.isfinite(found).all()
    assert found[:24].max() < 5


def test_judging_is_surprise_seen_from_the_mended_series() -> None:
    x = np.column_stack((wave(700), 5 + 3 * autoregressive(700, (0.9,))))
    model = fit_steps(x[:400])
    x[[450, 451, 600], [0, 0, 1]], x[500, 1] = np.nan, 900.0
    odd, expected = model.judged(x)
    np.testing.assert_array_equal(odd, model.surprise(x, seen=model.mended(x)))
    window = len(model.weights)
    np.testing.assert_allclose(expected[window:], model.expected(model.mended(x))[window:], rtol=1e-12)
    assert np.isfinite(expected).all()


def test_gaps_are_judged_by_earlier_steps_alone() -> None:
    x, model = wave(600), fit_steps(wave(1500, seed=1))
    x[np.random.default_rng(0).random(600) < 0.2] = np.nan
    x[100:140] = np.nan
    whole = judged(model, x)
    for stop in (60, 120, 139, 150, 400):
        assert judged(model, x[:stop]) == pytest.approx(whole[:stop], abs=1e-12)
