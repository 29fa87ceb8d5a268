"""Sequences, series, text: padding and gaps, windows and stitching, times, vocabularies; and bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.data import Form, Scaling, Windows, open_source, sequences, series, text, ucr
from isthmus.data.timeline import timeline
from isthmus.data.windows import stitched

RANDOM = np.random.default_rng(0)
NAN = np.nan


def refused(call: Any, *words: str) -> None:
    with pytest.raises(ist.InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def back(windows: Windows) -> Any:
    """The windows themselves, stitched together, NaN in their gaps."""
    rows, values = np.arange(windows.rows), windows.read(0, windows.rows)
    weight = windows.weight(rows)
    return windows.wrapped(values if weight is None or values.dtype.kind != "f" else np.where(weight > 0, values, NAN))


# Sequences of several lengths.


def test_sequences_are_padded_and_come_back_as_they_were() -> None:
    rows = [RANDOM.normal(size=(n, 2)) for n in (3, 1, 5)]
    source = sequences(rows)
    assert source.layout.shape == (5, 2)
    assert source.layout.axes == ("step", "channel")
    assert source.lengths.tolist() == [3, 1, 5]
    weight = source.weight(np.array([1, 0]))
    assert weight[:, :, 0].tolist() == [[1, 0, 0, 0, 0], [1, 1, 1, 0, 0]]
    for one, other in zip(source.wrapped(source.read(0, 3)), rows, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_of_one_length_come_back_as_an_array() -> None:
    X = RANDOM.normal(size=(4, 6)).astype(np.float32)
    source = sequences(X)
    assert source.lengths is None
    assert source.weight(np.arange(4)) is None
    assert source.wrapped(source.read(0, 4)).dtype == np.float32
    np.testing.assert_array_equal(source.wrapped(source.read(0, 4)), X)
    assert sequences(list(X)).lengths is None


def test_gaps_are_masked_and_move_no_figure() -> None:
    X = np.array([[1.0, NAN, 3.0], [5.0, 7.0, NAN]])
    source = sequences(X)
    assert source.weight(np.array([0, 1])).tolist() == [[1, 0, 1], [1, 1, 0]]
    assert np.isfinite(source.read(0, 2)).all()
    scaling = Scaling.fit(source, mode="standard")
    measured = np.array([1.0, 3.0, 5.0, 7.0])
    np.testing.assert_allclose(scaling.centre, measured.mean())
    np.testing.assert_allclose(scaling.scale, measured.std())
    assert scaling.shape == (3,)


def test_a_gap_of_one_channel_leaves_the_others() -> None:
    source = sequences(np.array([[[1.0, 10.0], [2.0, NAN], [3.0, 30.0]]]))
    steps = source.steps()
    assert steps.array[:, 0].tolist() == [1, 2, 3]
    assert set(steps.array[:, 1]) == {10, 30}
    assert source.weight(np.array([0]))[0].tolist() == [[1, 1], [1, 0], [1, 1]]


def test_object_arrays_and_lists_of_arrays_are_sequences() -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.arange(3.0), np.arange(2.0)]
    for X in (ragged, list(ragged), tuple(ragged)):
        assert sequences(X).lengths.tolist() == [3, 2]
        assert open_source(X).lengths.tolist() == [3, 2]
    assert open_source([np.zeros((3, 3)), np.zeros((3, 3))]).layout.axes == ("height", "width")


def test_sequences_that_are_none() -> None:
    refused(lambda: sequences([[1.0], [], [2.0], []]), "2 sequences of length 0 (number 1, 3)", "if len(row)]")
    refused(lambda: sequences([]), "no sequence")
    refused(lambda: sequences("abc"), "list of arrays", "str")
    refused(lambda: sequences([[1.0], [NAN, NAN]]), "1 sequence without any value", "number 1")
    refused(lambda: sequences([np.zeros((2, 2)), np.zeros((2, 3))]), "as many channels", "sequence 1 (2, 3)")
    refused(lambda: sequences(np.zeros((2, 0))), "none of them 0")
    refused(lambda: open_source([[1, 2], [3]]), "row 1 has 1 value, row 0 has 2", "ist.data.sequences(X)")
    refused(lambda: Scaling.fit(sequences([[1.0, np.inf], [2.0]])), "contains infinity")


def test_a_fitted_model_takes_sequences_of_any_length() -> None:
    rows = [np.sin(np.arange(n) / 2 + i) for i, n in enumerate((4, 6, 5, 1) * 6)]
    model = ist.Autoencoder(code_size=2, network=ist.Recurrent(hidden=4), epochs=1, random_state=0).fit(rows)
    rebuilt = model.reconstruct(rows[:4])
    assert [len(row) for row in rebuilt] == [4, 6, 5, 1]
    assert model.transform([[1.0, 2.0], [3.0]]).shape == (2, 2)
    assert model.transform(np.zeros((3, 6))).shape == (3, 2)  # an array, which would be a table to a first fit
    refused(lambda: model.transform([*rows[:2], np.zeros(0)]), "length 0")


# Windows.


@pytest.mark.parametrize(("steps", "window", "overlap"), [(20, 5, 0), (23, 5, 2), (23, 5, 4), (9, 9, 0), (4, 9, 3)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_windows_stitched_are_the_series(steps: int, window: int, overlap: int, channels: tuple[int, ...]) -> None:
    X = RANDOM.normal(size=(steps, *channels))
    windows = series(X, window=window, overlap=overlap)
    np.testing.assert_array_equal(back(windows), X)
    covered = np.unique(windows._places(np.arange(windows.rows)))
    assert covered.tolist() == list(range(steps))
    for row in range(windows.rows):
        start = windows.starts[row]
        np.testing.assert_array_equal(windows.take(np.array([row]))[0][: steps - start], X[start : start + window])


def test_many_windows_and_few_are_stitched_alike() -> None:
    values = RANDOM.normal(size=(40, 8, 2))
    starts = np.arange(40) * 3
    total = 39 * 3 + 8
    shares = np.array([1, 2, 3, 4, 4, 3, 2, 1.0])[:, None]
    up, down = np.zeros((total, 2)), np.zeros((total, 1))
    for start, value in zip(starts, values, strict=True):
        up[start : start + 8] += shares * value
        down[start : start + 8] += shares
    np.testing.assert_allclose(stitched(values, starts, None, total), up / down, atol=1e-12)
    np.testing.assert_allclose(stitched(values[:5], starts[:5], None, 20)[:12], (up / down)[:12], atol=1e-12)


def test_overlapping_windows_hold_nothing_twice() -> None:
    X = np.zeros(10_000, dtype=np.float32)
    windows = series(X, window=100, overlap=99)
    assert windows.rows == 9_901
    assert windows.values is X


def test_each_covered_step_counts_once_in_the_scaling() -> None:
    X = np.arange(12.0)
    windows = series(X, window=4, overlap=3)
    assert windows.steps(np.array([0, 1, 6])).array[:, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert Scaling.fit(windows, mode="standard").centre.tolist() == [5.5] * 4


def test_windows_without_a_value_are_left_out_and_stay_unknown() -> None:
    X = np.arange(12.0)
    X[3:9] = NAN
    windows = series(X, window=3)
    assert windows.starts.tolist() == [0, 9]
    np.testing.assert_array_equal(back(windows), X)
    X[4] = 5
    windows = series(X, window=3)
    assert windows.weight(np.array([1])).tolist() == [[0, 1, 0]]
    refused(lambda: series(np.full(5, NAN), window=2), "all are missing")


def test_series_of_several_lengths() -> None:
    rows = [np.arange(7.0), np.arange(3.0), np.arange(5.0)]
    windows = series(rows, window=4, overlap=1)
    assert windows.series.tolist() == [0, 0, 1, 2, 2]
    assert windows.lengths.tolist() == [4, 4, 3, 4, 4]
    assert windows.weight(np.array([2])).tolist() == [[1, 1, 1, 0]]
    for one, other in zip(back(windows), rows, strict=True):
        np.testing.assert_array_equal(one, other)
    whole = series(rows)
    assert (whole.rows, whole.layout.shape) == (3, (7,))
    assert [len(row) for row in back(whole)] == [7, 3, 5]


def test_a_series_through_an_autoencoder() -> None:
    times = pd.date_range("2024-01-01", periods=200, freq="h")
    frame = pd.DataFrame({"at": times, "a": np.sin(np.arange(200) / 5), "b": np.arange(200) % 7})
    frame.loc[50:52, "a"] = NAN
    windows = series(frame.drop(index=[60, 61]), window=16, overlap=8)
    model = ist.Autoencoder(code_size=4, epochs=2, random_state=0).fit(windows)
    rebuilt = model.reconstruct(windows)
    assert rebuilt.columns.tolist() == ["a", "b"]
    assert rebuilt.index.equals(pd.DatetimeIndex(times, name="at"))
    assert np.isfinite(rebuilt.to_numpy()).all()  # gaps are filled in
    assert np.isfinite(model.score_samples(windows)).all()


def test_windows_that_mean_nothing() -> None:
    refused(lambda: series(np.zeros(9), window=0), "window", ">= 1")
    refused(lambda: series(np.zeros(9), window=4, overlap=4), "overlap must be less than window=4", "Try 2")
    refused(lambda: series(np.zeros(9), window=4, overlap=-1), "overlap")
    refused(lambda: series(np.zeros((2, 3, 4)), window=2), "(steps, channels)", "(2, 3, 4)")
    refused(lambda: series(np.zeros(0), window=2), "neither 0")
    refused(lambda: series([np.zeros(5), np.zeros((5, 2))]), "X[1]", "channels must agree")
    refused(lambda: series([]), "X")


# Times.


def test_regular_times_with_jitter_and_missing_stamps() -> None:
    line = timeline([0.0, 1.004, 2.0, 5.0])
    assert line.places.tolist() == [0, 1, 2, 5]
    np.testing.assert_allclose(line.index, [0, 1.004, 2, 3, 4, 5])
    assert line.laid(np.array([[1], [2], [3], [4]]))[:, 0].tolist()[:3] == [1, 2, 3]
    assert np.isnan(line.laid(np.ones((4, 1)))[3:5]).all()


def test_months_and_working_days_are_regular() -> None:
    months = pd.DatetimeIndex(["2024-01-31", "2024-02-29", "2024-04-30"])
    line = timeline(months)
    assert line.places.tolist() == [0, 1, 3]
    assert line.index[2] == pd.Timestamp("2024-03-31")
    assert timeline(pd.date_range("2020-01-01", periods=9, freq="MS")).places.tolist() == list(range(9))
    assert timeline(pd.bdate_range("2024-01-01", periods=10)).places.tolist() == [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]


def test_irregular_times_are_told_and_brought_onto_a_grid() -> None:
    frame = pd.DataFrame({"t": [0.0, 1.0, 2.3, 3.0, 7.1, 7.3], "x": [1.0, 2, 3, 4, 5, 7]})
    refused(lambda: series(frame, time="t"), "steps of t are irregular: shortest 0.2, median 1, longest 4.1", "every=1")
    made = back(series(frame, time="t", every=1))
    assert made.index.tolist() == list(range(8))
    assert made["x"].tolist()[:4] == [1, 2, 3, 4]
    assert made["x"].isna().tolist() == [False] * 4 + [True] * 3 + [False]
    assert made["x"].iloc[7] == 6  # the mean of the two that lie nearest


def test_every_in_words() -> None:
    stamps = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 00:04", "2024-01-01 00:11", "2024-01-01 00:30"])
    frame = pd.DataFrame({"x": [1.0, 2, 3, 4]}, index=stamps)
    refused(lambda: series(frame), "shortest '4min', median '7min', longest '19min'", "every='7min'")
    assert back(series(frame, every="10min"))["x"].tolist()[:2] == [1.5, 3]
    refused(lambda: series(frame, every="often"), "every must be a time span such as '10min'", "'often'")
    refused(lambda: series(frame, every=10), "every must be a time span")
    refused(lambda: series(np.zeros(3), every=10), "every needs the times")
    refused(lambda: timeline([0.0, 1.0], every=-1), "a number > 0")


def test_times_out_of_order_or_twice_there() -> None:
    refused(
        lambda: timeline([0.0, 2.0, 1.0], name="t"), "t goes back at row 2", "1.0 comes after 2.0", "sort_values('t')"
    )
    refused(lambda: timeline([0.0, 1.0, 1.0, 2.0]), "1.0 stands in rows 1 and 2", "every=1")
    refused(lambda: timeline(["2024-01-01", None]), "missing in 1 row", "row 1")
    refused(lambda: timeline(["2024-01-01", "soon"]), "no date or number", "soon")
    refused(lambda: timeline([0.0, 1, 2, 3, 500]), "only 5 were measured", "larger every=")
    refused(lambda: series(np.zeros(3), time=[0.0, 1.0]), "one entry per step, 3; got 2")


def test_wide_and_long_tables_say_the_same(tmp_path: Path) -> None:
    wide = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=6), "b": np.arange(6.0), "a": np.arange(6.0) ** 2})
    wide.loc[2, "a"] = NAN
    long = wide.melt("day", var_name="sensor", value_name="reading").dropna().sort_values("day")
    wide.to_csv(tmp_path / "wide.csv", index=False)
    long.to_csv(tmp_path / "long.csv", index=False)
    one = series(tmp_path / "wide.csv", columns=["a", "b"], window=3)
    other = series(tmp_path / "long.csv", time="day", channel="sensor", value="reading", window=3)
    assert one.layout.axes == ("step", "channel")
    np.testing.assert_array_equal(one.weight(np.arange(2)), other.weight(np.arange(2)))
    np.testing.assert_array_equal(one.read(0, 2), other.read(0, 2))
    assert back(one).index.equals(pd.DatetimeIndex(wide["day"]))
    assert back(other).columns.tolist() == ["a", "b"]
    assert series(tmp_path / "wide.csv", columns="b", window=3).layout.axes == ("step",)
    refused(lambda: series(tmp_path / "wide.csv", columns=["c"]), "there is no column 'c'", "'a'")
    refused(lambda: series(long, time="day", channel="sensor"), "channel and value are given together")
    refused(lambda: series(long, channel="sensor", value="reading"), "needs time=")
    refused(
        lambda: series(pd.concat([long, long.tail(1)]), time="day", channel="sensor", value="reading"),
        "row 11 repeats", "2024-01-06", "'a'",
    )  # fmt: skip
    refused(lambda: series(wide.assign(note="x")), "column 'note'", "text")
    refused(lambda: series(tmp_path / "wdie.csv"), "Did you mean 'wide.csv'")
    refused(lambda: series([wide, wide.rename(columns={"a": "c"})]), "X[1] has channels 'b', 'c', X[0] 'b', 'a'")


def test_frames_of_other_kinds() -> None:
    polars = pytest.importorskip("polars")
    made = back(series(polars.DataFrame({"t": ["2024-01-01", "2024-01-02", "2024-01-04"], "x": [1, 2, 3]}), window=2))
    assert made.index.tolist() == list(pd.date_range("2024-01-01", periods=4))
    np.testing.assert_array_equal(made["x"], [1, 2, NAN, 3])
    quarters = pd.Series([1.0, 2.0, 3.0], pd.PeriodIndex(["2023Q4", "2024Q1", "2024Q3"], freq="Q"), name="q")
    made = back(series(quarters, window=4))
    assert made.index.tolist() == list(pd.date_range("2023-10-01", periods=4, freq="QS"))
    np.testing.assert_array_equal(made["q"], [1, 2, NAN, 3])


def test_arrays_with_times_come_back_as_frames() -> None:
    made = back(series(np.array([1.0, 2.0, 4.0]), time=[10, 20, 40], window=2))
    assert made.index.tolist() == [10, 20, 30, 40]
    np.testing.assert_array_equal(made[0], [1, 2, NAN, 4])


# The UCR archive.


def test_ucr_files(tmp_path: Path) -> None:
    path = tmp_path / "Some_TRAIN.tsv"
    path.write_text("1\t0.5\t0.7\t0.9\n-1\t0.1\tNaN\t0.4\n1\t2.5\tNaN\tNaN\n")
    X, y = ucr(path)
    assert y.tolist() == [1, -1, 1]
    assert X.lengths.tolist() == [3, 3, 1]
    assert X.weight(np.arange(3)).tolist() == [[1, 1, 1], [1, 0, 1], [1, 0, 0]]
    path.write_text("1\t0.5\t0.7\n2\tNaN\tNaN\n")
    refused(lambda: ucr(path), "length 0 (number 1)")
    path.write_text("label\ta\n1\t2\n")
    refused(lambda: ucr(path), "first line is not a label and values")
    refused(lambda: ucr(tmp_path / "Some_TEST.tsv"), "there is no file", "Did you mean 'Some_TRAIN.tsv'")


@pytest.mark.skipif("ISTHMUS_DATA" not in os.environ, reason="ISTHMUS_DATA names no folder with the UCR archive")
def test_real_series() -> None:
    folder = Path(os.environ["ISTHMUS_DATA"])
    X, y = ucr(folder / "ucr/GunPoint/GunPoint_TRAIN.tsv")
    assert (X.rows, X.layout.shape, sorted(set(y.tolist()))) == (50, (150,), [1, 2])
    assert X.read(0, 1)[0, 0] == pytest.approx(-0.6478854)
    taxi = series(folder / "nab/data/realKnownCause/nyc_taxi.csv", window=48, overlap=24)
    frame = pd.read_csv(folder / "nab/data/realKnownCause/nyc_taxi.csv")
    assert back(taxi)["value"].tolist() == frame["value"].tolist()
    assert back(taxi).index[1] == pd.Timestamp("2014-07-01 00:30")
    heat = folder / "nab/data/realKnownCause/ambient_temperature_system_failure.csv"
    assert (~series(heat, window=24).present).sum() == 621
    refused(
        lambda: series(folder / "nab/data/realTraffic/speed_7578.csv"), "irregular", "median '5min'", "every='5min'"
    )
    refused(lambda: series(heat.with_name("machine_temperature_system_failure.csv")), "goes back at row 10149")


# Text.


def test_text_is_numbered_and_said_again() -> None:
    source = text(["abc", "b", "ca"])
    assert source.vocabulary == ("�", "a", "b", "c")
    assert source.classes == 4
    assert [row.tolist() for row in np.split(source.read(0, 3)[[0, 2], :2], 2)] == [[[1, 2]], [[3, 1]]]
    assert source.lengths.tolist() == [3, 1, 2]
    assert source.wrapped(source.read(0, 3)) == ["abc", "b", "ca"]
    assert source.wrapped(np.full((3, 3), 99)) == ["���", "�", "��"]
    cut = text(["abc"], longest=2, vocabulary=("b",))
    assert cut.wrapped(cut.read(0, 1)) == ["�b"]


def test_words_and_the_most_frequent_of_them() -> None:
    source = text(["to be or  not to be", "to do"], level="word", vocabulary=2)
    assert source.vocabulary == ("�", "to", "be")
    assert source.wrapped(source.read(0, 2)) == ["to be � � to be", "to �"]
    assert text([source.vocabulary[1]], level="word", vocabulary=source.vocabulary).vocabulary == source.vocabulary


def test_text_that_is_none() -> None:
    refused(lambda: text(["a", "", "b"]), "1 text without any character (number 1)")
    refused(lambda: text([" "], level="word"), "without any word")
    refused(lambda: text("abc"), "a list of strings", "[text]")
    refused(lambda: text(["a", 1]), "number 1 is no string but int")
    refused(lambda: text(["a"], level="letter"), "'character' or 'word'")
    refused(lambda: text(["a"], longest=0), "longest")
    refused(lambda: text(["a"], vocabulary="abc"), "vocabulary must be tokens")
    refused(lambda: text(["a"], vocabulary=("a", "a")), "twice")
    refused(lambda: text([]), "no sequence")


def test_a_vocabulary_is_kept_with_the_form() -> None:
    form = text(["häh", "o"], level="character").form
    body, tensors = form.state()
    assert len(json.dumps(body)) < 300
    assert Form.restore(json.loads(json.dumps(body)), tensors) == form
    del tensors["words"], tensors["words_offsets"]
    assert Form.restore(body, tensors).words is None  # a file of an earlier version
    again = open_source(["ohx"], form=form)
    assert again.vocabulary == form.words
    assert again.wrapped(again.read(0, 1)) == ["oh�"]
    numbers = open_source(np.zeros((2, 3))).form
    refused(lambda: open_source(["ohx"], form=numbers), "must hold numbers")


def test_a_model_of_text_knows_its_vocabulary(tmp_path: Path) -> None:
    words = ["abba", "cab", "baca", "b"] * 12
    source = text(words)
    loss = ist.Categorical(source.classes, ordered=False)
    network = ist.Recurrent(hidden=8)
    model = ist.Autoencoder(code_size=4, loss=loss, network=network, epochs=2, random_state=0).fit(source)
    loaded = ist.load(model.save(tmp_path / "text.safetensors"))
    assert loaded.reconstruct(["abz", "c"]) == model.reconstruct(["abz", "c"])
    assert [len(one) for one in loaded.reconstruct(["abz", "c"])] == [3, 1]
    np.testing.assert_array_equal(loaded.transform(words[:4]), model.transform(source)[:4])
    assert all(isinstance(one, str) for one in loaded.inverse_transform(loaded.transform(["cab"])))
    refused(lambda: loaded.transform(["ab", ""]), "without any character")
