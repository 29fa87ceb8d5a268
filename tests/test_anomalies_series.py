"""`AnomalyDetector(data="series")`: steps of a series, each judged by those before it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.errors import DataWarning, InputError


def series(steps: int = 1500, seed: int = 0) -> pd.DataFrame:
    draw, t = np.random.default_rng(seed), np.arange(steps)
    return pd.DataFrame(
        {
            "load": 50 + 10 * np.sin(2 * np.pi * t / 24) + draw.normal(size=steps),
            "heat": 3 * np.cos(2 * np.pi * t / 24) + 0.3 * draw.normal(size=steps),
        }
    )


@pytest.fixture(scope="module")
def detector() -> Any:
    return ist.AnomalyDetector(0.02, data="series").fit(series()[:1000])


def test_a_step_that_breaks_the_rhythm_alarms_where_its_value_alone_would_not(detector: Any) -> None:
    later = series()[1000:].reset_index(drop=True)
    trough = int(later["load"][100:124].idxmin())
    later.loc[trough, "load"] = 60.0  # an ordinary value at the wrong hour
    assert detector.predict(later)[trough] == -1
    reason = detector.explain(later, most=1).iloc[trough]
    assert (reason["column"], reason["value"]) == ("load", 60.0)
    assert reason["expected"] == pytest.approx(40.0, abs=4.0)


def test_steps_are_judged_by_earlier_ones_alone(detector: Any) -> None:
    later = series()[1000:]
    whole = detector.score_samples(later)
    np.testing.assert_array_equal(detector.score_samples(later[:200]), whole[:200])


def test_alarms_come_about_as_often_as_was_asked_for() -> None:
    shares = []
    for seed in range(6):  # 500 held-out steps each, that say what 2 % is to within 0.6 %
        fitted = ist.AnomalyDetector(0.02, data="series").fit(series(1000, 10 + seed))
        shares.append((fitted.predict(series(2000, 20 + seed)) < 0).mean())
    assert 0.01 < np.mean(shares) < 0.035


def test_gaps_are_no_anomalies_and_never_make_a_score_nan(detector: Any) -> None:
    later = series()[1000:].copy()
    later.iloc[200:260] = np.nan
    scores = detector.score_samples(later)
    assert np.isfinite(scores).all()
    assert (scores[200:260] >= detector.offset_).all()


def test_a_channel_alone_and_arrays_are_series_too() -> None:
    x = series()["load"]
    by = [ist.AnomalyDetector(data="series").fit(X).score_samples(X) for X in (x, x.to_numpy(), x.to_numpy()[:, None])]
    np.testing.assert_array_equal(by[0], by[1])
    np.testing.assert_array_equal(by[0], by[2])


def test_a_file_gives_the_same_scores(detector: Any, tmp_path: Path) -> None:
    later = series()[1000:]
    loaded = ist.load(detector.save(tmp_path / "series.safetensors"))
    np.testing.assert_array_equal(loaded.score_samples(later), detector.score_samples(later))
    pd.testing.assert_frame_equal(loaded.explain(later), detector.explain(later))
    np.testing.assert_array_equal(loaded.held_out_.scores, detector.held_out_.scores)


def test_partial_fit_learns_a_new_rhythm() -> None:
    t = np.arange(3000)
    old, new = np.sin(2 * np.pi * t / 24), np.sin(2 * np.pi * t / 37)
    noise = 0.05 * np.random.default_rng(0).normal(size=(2, 3000))
    learner = ist.AnomalyDetector(0.05, data="series").fit(old[:1000] + noise[0, :1000])
    before = learner.oddness_(source_of(new + noise[1])).mean()
    for start in range(0, 2000, 500):
        learner.partial_fit((new + noise[1])[start : start + 500])
    assert learner.oddness_(source_of((new + noise[1])[2000:])).mean() < before


def source_of(x: np.ndarray) -> Any:
    from isthmus.estimators.oddness_of_steps import series_source

    return series_source(x)


def test_columns_without_numbers_are_left_out_with_a_word() -> None:
    frame = series().assign(time=pd.date_range("2024-01-01", periods=1500, freq="h"))
    with pytest.warns(DataWarning, match="no channels: time"):
        fitted = ist.AnomalyDetector(data="series").fit(frame)
    assert len(fitted.score_samples(frame)) == 1500


def test_a_column_that_always_rises_is_named_and_may_be_left_out() -> None:
    frame = series().assign(second=np.arange(1500.0))
    with pytest.warns(DataWarning, match=r"always rising.*second.*'ignore'"):
        ist.AnomalyDetector(data="series").fit(frame)
    fitted = ist.AnomalyDetector(data="series", columns={"second": "ignore"}).fit(frame)
    plain = ist.AnomalyDetector(data="series").fit(series())
    np.testing.assert_array_equal(fitted.score_samples(frame), plain.score_samples(series()))
    with pytest.raises(InputError, match="can only be left out"):
        ist.AnomalyDetector(data="series", columns={"load": "log"}).fit(frame)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.arange(50.0), "at least 128"),
        (np.array([np.inf, *np.arange(300.0)]), "infinity at step 0, channel 0"),
        (np.zeros((300, 2, 2)), r"\(300, 2, 2\)"),
        (["a", "b"], "series of numbers"),
    ],
)
def test_what_is_no_series_is_refused_in_words(X: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ist.AnomalyDetector(data="series").fit(X)


def test_other_channels_are_refused_in_words(detector: Any) -> None:
    with pytest.raises(InputError, match="missing: heat"):
        detector.predict(series()[["load"]])
    with pytest.raises(InputError, match="leave it out"):
        ist.AnomalyDetector(data="series", autoencoder="vae").fit(series())
    with pytest.raises(InputError, match="'auto' or 'series'"):
        ist.AnomalyDetector(data="film").fit(series())
