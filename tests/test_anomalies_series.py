"""`AnomalyDetector(data="series")`: steps of a series, each judged by those before it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.anomaly_words import reasons_of


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


def test_of_steps_of_which_nothing_is_known_nothing_is_said(detector: Any) -> None:
    later = series()[1000:].copy()
    later.iloc[200:260] = np.nan
    later.iloc[300, 0] = np.nan  # one channel of two
    later.iloc[310, 0] = 500.0
    lost = np.isin(np.arange(500), np.arange(200, 260))
    for told in (detector.score_samples(later), detector.decision_function(later), detector.p_values(later)):
        np.testing.assert_array_equal(np.isnan(told), lost)
    assert (detector.predict(later)[lost] == 1).all()
    called = detector.discoveries(later, rate=0.9)
    assert called[310]
    assert not called[lost].any()


def test_a_rate_rests_on_known_steps_alone() -> None:
    old = series(1000)
    old.iloc[600:800] = np.nan
    fitted = ist.AnomalyDetector(0.05, data="series").fit(old)
    assert len(fitted.held_out_) == 300
    assert np.isfinite(fitted.held_out_.scores).all()
    more = series()[1000:1200].copy()
    more.iloc[50:150] = np.nan
    judged = fitted.oddness_.going_on(source_of(more.to_numpy()))
    fitted.partial_fit(more)
    assert len(fitted.held_out_) == 300
    expected = np.sort(np.concatenate([fitted.recent_[:200], judged[~np.isnan(judged)]]))
    np.testing.assert_array_equal(fitted.held_out_.scores, expected)
    old.iloc[500:] = np.nan
    with pytest.raises(InputError, match="of the rows that were held out none has a known cell"):
        ist.AnomalyDetector(data="series").fit(old)


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
    with pytest.warns(DataWarning, match="no channels: note"):
        fitted = ist.AnomalyDetector(data="series").fit(series().assign(note="dry"))
    np.testing.assert_array_equal(
        fitted.score_samples(series()), ist.AnomalyDetector(data="series").fit(series()).score_samples(series())
    )


def hourly(steps: int = 1500, seed: int = 0) -> pd.DataFrame:
    return series(steps, seed).assign(time=pd.date_range("2024-01-01", periods=steps, freq="h"))


@pytest.fixture(scope="module")
def timed() -> Any:
    return ist.AnomalyDetector(0.02, data="series").fit(hourly()[:1000])


def test_rows_that_are_missing_are_gaps_by_their_times(timed: Any) -> None:
    later = hourly()[1000:]
    with_gaps = later.copy()
    with_gaps.iloc[100:130, :2] = np.nan
    with_gaps.iloc[300:303, :2] = np.nan
    cut = with_gaps[with_gaps["load"].notna()]
    kept = with_gaps["load"].notna().to_numpy()
    np.testing.assert_array_equal(timed.score_samples(cut), timed.score_samples(with_gaps)[kept])
    assert (timed.predict(cut) < 0).mean() < 0.06  # out of step, nearly every hour behind a gap would look odd
    halved = later.iloc[::2]  # a step of two hours: that of the fit is what counts
    assert (timed.predict(halved) < 0).mean() < 0.06
    np.testing.assert_array_equal(timed.score_samples(later.iloc[[7]]), timed.score_samples(later[7:8]))


def test_a_fit_to_rows_with_holes_is_one_to_a_series_with_gaps() -> None:
    frame = hourly(1000)
    frame.iloc[[40, *range(300, 320), 700, 701], :2] = np.nan
    known = frame["load"].notna()
    of_rows = ist.AnomalyDetector(data="series").fit(frame[known])
    of_gaps = ist.AnomalyDetector(data="series").fit(frame)
    np.testing.assert_array_equal(of_rows.oddness_.model.weights, of_gaps.oddness_.model.weights)
    np.testing.assert_array_equal(of_rows.held_out_.scores, of_gaps.held_out_.scores)


def test_times_out_of_order_and_repeated_are_refused_by_row(timed: Any) -> None:
    later = hourly()[1000:]
    swapped = later.iloc[[*range(50), 51, 50, *range(52, 500)]]
    words = r"time goes back at row 51: 2024-02-13 18:00:00 comes after 2024-02-13 19:00:00.*sort_values\('time'\)"
    with pytest.raises(InputError, match=words):
        timed.score_samples(swapped)
    with pytest.raises(InputError, match=r"the index goes back at row 51: .*sort_index\(\)"):
        timed.predict(swapped.set_index("time"))
    with pytest.raises(InputError, match=r"time 2024-02-11 20:00:00 stands in rows 4 and 5: keep one of them$"):
        timed.score_samples(pd.concat([later[:5], later[4:]]))
    with pytest.raises(InputError, match="time goes back at row 1:"):
        ist.AnomalyDetector(data="series").fit(hourly()[::-1])
    with pytest.raises(InputError, match="time is missing in 1 row, the first of them row 9"):
        timed.score_samples(later.assign(time=later["time"].where(np.arange(500) != 9)))
    plain = ist.AnomalyDetector(data="series", columns={"time": "ignore"}).fit(hourly()[:1000])
    assert len(plain.score_samples(swapped)) == 500  # rows are steps, whatever their times


def test_irregular_times_are_told_of_and_rows_counted(timed: Any) -> None:
    later = hourly()[1000:]
    shaken = later.assign(time=later["time"] + pd.to_timedelta(np.arange(500) % 7 * 120, "s"))
    plain = ist.AnomalyDetector(0.02, data="series").fit(series()[:1000])
    words = r"time are no whole multiples of the step of the fit: shortest '48min', .*columns=\{'time': 'ignore'\}"
    with pytest.warns(DataWarning, match=words):
        scores = timed.score_samples(shaken)
    np.testing.assert_array_equal(scores, plain.score_samples(series()[1000:]))
    with pytest.warns(DataWarning, match=r"the index are no whole multiples of their median.*reset_index"):
        loose = ist.AnomalyDetector(0.02, data="series").fit(shaken.set_index("time"))
    assert len(loose.score_samples(shaken.set_index("time"))) == 500  # the fit has said so


@pytest.mark.parametrize("ending", ["iso.csv", "german.csv", "column.parquet", "index.parquet"])
def test_files_tell_times_too(timed: Any, tmp_path: Path, ending: str) -> None:
    later = hourly()[1000:].drop(index=range(1100, 1130))
    path = tmp_path / ending
    if ending == "iso.csv":
        later.to_csv(path, index=False)
    elif ending == "german.csv":
        later.assign(time=later["time"].dt.strftime("%d.%m.%Y %H:%M")).to_csv(path, index=False)
    else:
        (later.set_index("time") if ending == "index.parquet" else later).to_parquet(path)
    assert timed._source(str(path)).places[[99, 100]].tolist() == [99, 130]
    np.testing.assert_allclose(timed.score_samples(str(path)), timed.score_samples(later), atol=1e-9)


def test_months_are_steps_though_their_lengths_differ() -> None:
    frame = series(500).assign(time=pd.date_range("1980-01-01", periods=500, freq="MS"))
    fitted = ist.AnomalyDetector(0.05, data="series").fit(frame[:400])
    assert fitted.oddness_.pace == (1.0, "months")
    assert fitted._source(frame[400:].drop(index=[410])).places[8:12].tolist() == [8, 9, 11, 12]


def test_where_times_go_on_from_those_of_the_fit_the_steps_before_are_known(timed: Any, tmp_path: Path) -> None:
    whole, later = hourly(), hourly()[1000:]
    joined = timed.oddness_.model
    both = whole[["load", "heat"]].to_numpy()
    expected = -joined.surprise(both, seen=joined.mended(both)).max(1)[1000:]
    np.testing.assert_allclose(timed.score_samples(later), expected, atol=1e-9)
    loaded = ist.load(timed.save(tmp_path / "d.safetensors"))
    np.testing.assert_array_equal(loaded.score_samples(later), timed.score_samples(later))
    apart = later.assign(time=later["time"] + pd.Timedelta("90D"))
    plain = ist.AnomalyDetector(0.02, data="series").fit(series()[:1000])
    np.testing.assert_array_equal(timed.score_samples(apart), plain.score_samples(series()[1000:]))


def test_partial_fit_takes_rows_from_after_the_last_alone() -> None:
    fitted = ist.AnomalyDetector(0.05, data="series").fit(hourly()[:1000])
    with pytest.raises(InputError, match=r"begins at 2024-02-11T15:00:00, but .* went on until 2024-02-11T15:00:00"):
        fitted.partial_fit(hourly()[999:1100])
    fitted.partial_fit(hourly()[1000:1100]).partial_fit(hourly()[1110:1200])
    past = fitted.oddness_.past
    assert len(past) == 1200
    assert np.isnan(past[1100:1110]).all()
    np.testing.assert_array_equal(past[1110:1120], series()[1110:1120].where(~np.isnan(past[1110:1120])).to_numpy())


def test_the_window_is_told_and_shorter_series_are_warned_of(detector: Any) -> None:
    assert detector.window_ == 24
    later = series()[1000:]
    with pytest.warns(DataWarning, match="X: 10 steps, fewer than the window of 24 that each is judged by"):
        detector.score_samples(later[:10])
    detector.score_samples(later[:24])  # no word
    fitted = ist.AnomalyDetector(0.05, data="series").fit(series()[:1000])
    fitted.partial_fit(later[:3])  # the steps before are known
    other = ist.AnomalyDetector()
    other.oddness_ = None
    with pytest.raises(AttributeError, match="only a detector that was fitted with data='series'"):
        _ = other.window_


def test_what_breaks_the_rhythm_among_the_first_steps_alarms(detector: Any) -> None:
    found = []
    for start in range(1000, 1300, 24):
        later = series()[start:].reset_index(drop=True)
        trough = int(later["load"][8:24].idxmin())
        later.loc[trough, "load"] = 60.0  # an ordinary value at the wrong hour
        found.append(detector.predict(later)[trough])
    assert np.mean(np.array(found) < 0) > 0.9


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


def test_explaining_some_steps_without_those_before_is_warned_of(detector: Any, timed: Any) -> None:
    later = series()[1000:].reset_index(drop=True)
    some = np.arange(5, 500, 13)
    words = "explain needs the steps before: give the whole stretch, and keep the rows that alarm from its result"
    with pytest.warns(DataWarning, match=f"X: 10 steps, fewer than the window of 24 .*{words}") as caught:
        detector.explain(later[:10])
    assert caught[0].filename == __file__
    sparse = f"X: of most rows, less than a quarter of the window of 24 steps before is there.*{words}"
    with pytest.warns(DataWarning, match=sparse):
        detector.explain(later.iloc[some])  # its row numbers tell
    with pytest.warns(DataWarning, match=sparse):
        timed.explain(hourly()[1000:].iloc[some].reset_index(drop=True))  # its times tell
    for whole in (later, later[24:48], later.to_numpy(), later.iloc[::2], later.drop(index=range(40, 400))):
        detector.explain(whole)  # no word
    timed.explain(hourly()[1000:1010])  # the steps of the fit come before
    seconds = later.iloc[some].set_index(1_700_000_000 + 60 * some)
    detector.explain(seconds)  # no row numbers


def test_reasons_in_words_know_the_times_of_steps(timed: Any) -> None:
    later = hourly()[1000:].drop(index=range(1100, 1107))
    source = timed._source(later)
    told = reasons_of(timed, source, np.arange(len(later)), 1)
    found = timed.explain(later, most=1)
    loud = np.flatnonzero(found["drop"] > 3.0)
    assert len(loud) > 5
    for row in loud.tolist():
        assert float(told[row][0].expected) == pytest.approx(found["expected"][row], abs=0.06)
    assert sum(map(bool, told)) == len(loud)


def test_offsets_from_utc_that_change_with_the_clocks_are_one_time() -> None:
    shifted = series().drop(index=[1005])
    spring = pd.date_range("2024-03-20", periods=1500, freq="h", tz="Europe/Berlin")
    shifted["zeit"] = [time.strftime("%Y-%m-%dT%H:%M:%S%z") for time in spring.delete(1005)]
    assert {value[-5:] for value in shifted["zeit"]} == {"+0100", "+0200"}
    fitted = ist.AnomalyDetector(0.05, data="series").fit(shifted)  # no word of a column without numbers
    assert fitted.oddness_.pace == (3600.0, "seconds")
    assert fitted.oddness_.end == spring[-1].tz_convert("UTC").isoformat()
    assert fitted._source(shifted).places[[0, 1004, 1005, -1]].tolist() == [0, 1004, 1006, 1499]
    windows = ist.data.series(shifted[["load"]], window=24, time=shifted["zeit"])
    assert len(windows) == 63
    shifted.loc[3, "zeit"] = "2024-03-20T03:00:00"
    with pytest.raises(InputError, match="X: zeit holds what is no date or number"):
        ist.data.series(shifted[["load"]], window=24, time=shifted["zeit"])
