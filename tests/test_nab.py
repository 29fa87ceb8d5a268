"""The port of NAB's scorer gives what its published formula gives by hand."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "nab.py"
SPEC = importlib.util.spec_from_file_location("benchmarks_nab", PATH)
assert SPEC is not None
assert SPEC.loader is not None
nab = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = nab  # dataclasses look their module up
SPEC.loader.exec_module(nab)

STANDARD = nab.PROFILES["standard"]
CORPUS = [
    nab.Labelled("a", np.zeros(200), ((100, 109), (150, 154))),
    nab.Labelled("b", np.zeros(100), ()),
]


def scores(*hits: tuple[int, int, float]) -> list[np.ndarray]:
    out = [np.zeros(200), np.zeros(100)]
    for series, step, score in hits:
        out[series][step] = score
    return out


def at(threshold: float, *hits: tuple[int, int, float], profile: nab.Profile = STANDARD) -> float:
    return nab.Scorer(CORPUS).at(scores(*hits), profile, threshold)


def test_the_scaled_sigmoid_has_its_published_values() -> None:
    assert nab.scaled_sigmoid(np.array([-1.0, -0.5, 0.0, 1.0])) == pytest.approx(
        [0.98661, 0.84828, 0.0, -0.98661], abs=1e-5
    )
    assert nab.scaled_sigmoid(np.array([3.0, 3.0001, np.inf])) == pytest.approx([2 / (1 + np.exp(15)) - 1, -1.0, -1.0])


def test_the_probation_is_15_percent_and_at_most_750_steps() -> None:
    assert [nab.probation(steps) for steps in (100, 199, 4032, 5000, 22695)] == [15, 29, 604, 750, 750]


def test_no_detection_is_0_and_the_first_steps_of_all_windows_are_100() -> None:
    for profile in nab.PROFILES.values():
        assert nab.Scorer(CORPUS).best(scores(), profile)[0] == 0.0
        best, threshold = nab.Scorer(CORPUS).best(scores((0, 100, 0.9), (0, 150, 0.8)), profile)
        assert best == pytest.approx(100.0)
        assert threshold == 0.8


def test_a_window_counts_by_its_earliest_detection() -> None:
    late = nab.scaled_sigmoid(np.array(-0.5)) / nab.scaled_sigmoid(np.array(-1.0))
    # Two windows: the null scores -2, a perfect detector 2, and a missed window -1.
    assert at(0.5, (0, 105, 0.9)) == pytest.approx(100 * (late - 1 + 2) / 4)
    assert at(0.5, (0, 105, 0.9), (0, 107, 0.9)) == pytest.approx(100 * (late + 1) / 4)
    assert at(0.5, (0, 105, 0.6), (0, 100, 0.9)) == pytest.approx(50.0)
    low_miss = nab.PROFILES["reward low FN"]
    assert at(0.5, (0, 105, 0.9), profile=low_miss) == pytest.approx(100 * (late - 2 + 4) / 6)


def test_a_false_alarm_costs_by_its_distance_behind_the_last_window() -> None:
    assert at(0.5, (1, 50, 0.9)) == pytest.approx(-100 * 0.11 / 4)  # no window before it
    assert at(0.5, (0, 50, 0.9), (1, 50, 0.9)) == pytest.approx(-100 * 0.22 / 4)
    near = nab.scaled_sigmoid(np.array(3 / 9))  # 3 steps behind a window of 10 steps, whose width less one is 9
    assert at(0.5, (0, 112, 0.9)) == pytest.approx(100 * 0.11 * near / 4)
    assert at(0.5, (0, 112, 0.9), profile=nab.PROFILES["reward low FP"]) == pytest.approx(100 * 0.22 * near / 4)
    assert at(0.5, (0, 199, 0.9)) == pytest.approx(-100 * 0.11 / 4)  # more than three widths behind


def test_the_probation_counts_neither_way() -> None:
    assert at(0.5, (0, 29, 0.9)) == 0.0
    assert at(0.5, (0, 30, 0.9)) == pytest.approx(-100 * 0.11 / 4)
    early = [nab.Labelled("c", np.zeros(100), ((2, 5),))]
    assert nab.Scorer(early).windows == 1
    assert nab.Scorer(early).at([np.arange(100.0)[::-1]], STANDARD, 90.0) == 0.0


def test_the_sweep_is_that_of_every_threshold_by_itself() -> None:
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, 30, 200) / 30, generator.integers(0, 30, 100) / 30]
    scorer = nab.Scorer(CORPUS)
    for profile in nab.PROFILES.values():
        thresholds, values = scorer.sweep(drawn, profile)
        assert len(thresholds) == 31
        for threshold, value in zip(thresholds, values, strict=True):
            assert value == pytest.approx(by_hand(drawn, profile, threshold), abs=1e-9)


def by_hand(drawn: list[np.ndarray], profile: nab.Profile, threshold: float) -> float:
    total, null = 0.0, 0.0
    for one, score in zip(CORPUS, drawn, strict=True):
        steps = [step for step in np.flatnonzero(score >= threshold) if step >= nab.probation(len(score))]
        for first, last in one.windows:
            inside = [step for step in steps if first <= step <= last]
            found = [nab.scaled_sigmoid(-(last - step + 1) / (last - first + 1)) for step in inside]
            total += profile.tp * max(found) / nab.scaled_sigmoid(-1.0) if found else -profile.miss
            null -= profile.miss
            steps = [step for step in steps if step not in inside]
        for step in steps:
            behind = [(step - last) / (last - first) for first, last in one.windows if last < step]
            total += profile.fp * float(nab.scaled_sigmoid(behind[-1] if behind else np.inf))
    return 100 * (total - null) / (2 * profile.tp - null)


def test_the_threshold_asked_for_takes_scores_at_least_as_high() -> None:
    assert at(0.9, (0, 100, 0.9)) == at(0.85, (0, 100, 0.9)) == pytest.approx(50.0)
    assert at(0.91, (0, 100, 0.9)) == 0.0


def test_bad_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="one array per series"):
        nab.Scorer(CORPUS).sweep([np.zeros(200)], STANDARD)
    with pytest.raises(ValueError, match="NaN"):
        nab.Scorer(CORPUS).sweep([np.zeros(200), np.full(100, np.nan)], STANDARD)


def test_a_corpus_is_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "data" / "part").mkdir(parents=True)
    windows = {"part/one.csv": [["2014-01-01 00:05:00.000000", "2014-01-01 00:15:00.000000"]]}
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    lines = ["timestamp,value"] + [f"2014-01-01 00:{minute:02d}:00,{minute}.5" for minute in (0, 5, 10, 15, 15, 20)]
    (tmp_path / "data" / "part" / "one.csv").write_text("\n".join(lines))
    (one,) = nab.load(tmp_path)
    assert (one.name, one.windows) == ("part/one.csv", ((1, 3),))
    assert one.values.tolist() == [0.5, 5.5, 10.5, 15.5, 15.5, 20.5]
