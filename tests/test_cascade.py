"""`AnomalyDetector(cascade=2)`: rows that one autoencoder rebuilds badly go to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import average_precision_score, roc_auc_score

import isthmus as ist
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.cascade import Cascade, parted
from isthmus.estimators.oddness_of_wholes import Wholes, worst
from isthmus.recipes import Parts

RARE = 0.15
SMALL = Parts(network=ist.Dense((32,)), code_share=3 / 20)  # a code of 3 numbers: room for one kind of rows


def plane(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 20))


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 4 x 5 pixels near one of two planes of 3 dimensions; and which are near the rare one."""
    draw = np.random.default_rng(seed)
    rare = draw.random(count) < RARE
    at = draw.normal(size=(count, 3))
    x = np.where(rare[:, None], at @ plane(2), at @ plane(1)) + 0.1 * draw.normal(size=(count, 20))
    return x.reshape(count, 4, 5), rare


def anomalies(count: int, seed: int) -> np.ndarray:
    """As large, each near a plane of its own."""
    draw = np.random.default_rng(seed)
    x = np.concatenate([draw.normal(size=(1, 3)) @ draw.normal(size=(3, 20)) for _ in range(count)])
    return (x + 0.1 * draw.normal(size=(count, 20))).reshape(count, 4, 5)


def small(cascade: Any = 2, **more: Any) -> ist.AnomalyDetector:
    knobs = {"autoencoder": SMALL, "epochs": 40, "batch_size": 64, "learning_rate": 3e-3}
    return ist.AnomalyDetector(0.05, cascade=cascade, random_state=0, **{**knobs, **more})


@pytest.fixture(scope="module")
def two() -> ist.AnomalyDetector:
    return small().fit(pictures(2000, 0)[0])


def test_the_second_stage_learns_the_rare_kind(two: ist.AnomalyDetector) -> None:
    ordinary, rare = pictures(3000, 1)
    X, odd = np.concatenate([ordinary, anomalies(300, 2)]), np.repeat([0, 1], [3000, 300])
    one = small(1).fit(pictures(2000, 0)[0])
    found = {}
    for detector in (one, two):
        scores = -detector.score_samples(X)
        found[detector] = roc_auc_score(odd, scores), average_precision_score(odd, scores)
    # 0.93 and 0.61 by one autoencoder, which takes the rare kind for anomalies; 0.99 and 0.90 by two.
    assert found[one][0] < 0.95
    assert found[two][0] > 0.975
    assert found[two][1] > found[one][1] + 0.2
    alarms = {detector: detector.predict(X) < 0 for detector in (one, two)}
    assert alarms[one][:3000][rare].mean() > alarms[two][:3000][rare].mean() + 0.08  # five times the rate asked for
    assert alarms[two][3000:].mean() > alarms[one][3000:].mean() + 0.15
    stages = two.oddness_.keepers(two._source(ordinary))
    assert stages[rare].mean() > 0.6
    assert stages[~rare].mean() < 0.15


def test_the_share_of_alarms_is_the_rate_asked_for(two: ist.AnomalyDetector) -> None:
    fresh, held_out = pictures(6000, 3)[0], len(two.held_out_)
    assert held_out == 400
    spread = np.sqrt(0.05 * 0.95 * (1 / 6000 + 1 / held_out))
    assert abs((two.predict(fresh) < 0).mean() - 0.05) < 2.5 * spread


def test_a_row_is_as_odd_as_the_stage_that_finds_it_least_odd(two: ist.AnomalyDetector) -> None:
    odd = two.oddness_
    assert isinstance(odd, Cascade)
    source = two._source(pictures(50, 4)[0])
    first, second = (stage(source) for stage in odd.stages)
    np.testing.assert_array_equal(odd(source), np.minimum(first, second))
    np.testing.assert_array_equal(odd.keepers(source), first > second)
    assert two.autoencoders_ == [odd.stages[0].models[0], odd.stages[1].models[0]]


def test_heat_maps_are_those_of_the_stage_that_keeps_the_row(two: ist.AnomalyDetector) -> None:
    X = pictures(400, 5)[0]
    heat = two.explain(X)
    assert heat.shape == X.shape
    assert 0.5 < heat.mean() < 2  # an ordinary cell has a heat of about 1; by the first stage rare rows are far above
    X[:, 1, 2] += 12.0
    broken = two.explain(X).reshape(len(X), -1)
    assert (broken.argmax(1) == 7).mean() > 0.7


def test_it_comes_back_from_a_file(two: ist.AnomalyDetector, tmp_path: Path) -> None:
    again = ist.load(two.save(tmp_path / "two.safetensors"))
    X = np.concatenate([pictures(40, 6)[0], anomalies(10, 7)])
    assert again.cascade == 2
    for question in ("score_samples", "p_values", "explain"):
        np.testing.assert_array_equal(getattr(again, question)(X), getattr(two, question)(X))


@pytest.mark.parametrize("count", [400, 1200], ids=["few", "many"])
def test_without_distances_few_rows_and_a_file(count: int, tmp_path: Path) -> None:
    detector = small(distance=False, epochs=4).fit(pictures(count, 0)[0])
    assert len(detector.autoencoders_) == (10 if count < 1000 else 2)
    assert len(detector.held_out_) == (count if count < 1000 else count // 5)
    X = pictures(30, 1)[0]
    again = ist.load(detector.save(tmp_path / "it.safetensors"))
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    assert np.abs((detector.predict(pictures(2000, 2)[0]) < 0).mean() - 0.05) < 0.035


def test_rows_are_learnt_from_by_the_stage_that_keeps_them(two: ist.AnomalyDetector, tmp_path: Path) -> None:
    learner = ist.load(two.save(tmp_path / "two.safetensors"))
    X, rare = pictures(200, 8)
    X = X[~rare][:100]
    keepers = learner.oddness_.keepers(learner._source(X))
    X = X[keepers == 0]
    before = learner.oddness_
    learner.partial_fit(X)
    assert learner.oddness_.stages[1] is before.stages[1]
    assert learner.oddness_.stages[0].models[0] is not before.stages[0].models[0]
    assert len(learner.held_out_) == len(two.held_out_)


def test_tables_of_numbers_are_judged_as_wholes(tmp_path: Path) -> None:
    X, _ = pictures(600, 0)
    X = pd.DataFrame(X.reshape(600, 20), columns=[f"c{i}" for i in range(20)]).assign(always=3.0)
    with pytest.warns(DataWarning, match="nothing can be learnt from it: column 'always'"):
        detector = small(epochs=3).fit(X)
    assert isinstance(detector.oddness_, Cascade)
    assert detector.feature_names_in_.tolist() == list(X.columns)
    assert detector.explain(X[:5]).shape == (5, 21)
    assert np.isfinite(detector.score_samples(X[:5].assign(always=4.0))).all()
    page = detector.report(tmp_path / "page.html", X[:50])
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("count", [600, 1200], ids=["few", "many"])
def test_a_constant_column_is_watched_and_told_of_once(count: int, tmp_path: Path) -> None:
    X = pd.DataFrame(pictures(count, 0)[0].reshape(count, 20), columns=[f"c{i}" for i in range(20)]).assign(always=5.0)
    with pytest.warns(DataWarning) as told:
        detector = small(epochs=3).fit(X)
    assert ["constant, so nothing" in str(one.message) for one in told] == [True]
    fresh = pd.DataFrame(pictures(60, 1)[0].reshape(60, 20), columns=X.columns[:20]).assign(always=5.0)
    usual = detector.score_samples(fresh)
    assert (detector.predict(fresh) > 0).any()
    again = ist.load(detector.save(tmp_path / "it.safetensors"))
    for value in (5.0001, 6.0, 4.9999):
        moved = fresh.assign(always=value)
        assert (detector.predict(moved) == -1).all()
        assert (usual - detector.score_samples(moved) > 0.9 * detector.oddness_.moved).all()
        np.testing.assert_array_equal(again.score_samples(moved), detector.score_samples(moved))
    np.testing.assert_array_equal(detector.score_samples(fresh.assign(always=np.float32(5.0))), usual)
    assert 0 < detector.oddness_.moved < 100
    detector.partial_fit(fresh)
    assert (detector.predict(fresh.assign(always=6.0)) == -1).all()


def test_one_stage_is_none() -> None:
    assert isinstance(small(1, epochs=1).fit(pictures(100, 0)[0]).oddness_, Wholes)
    assert ist.AnomalyDetector().cascade == 1
    assert clone(small(3)).cascade == 3
    assert "cascade=2" in repr(small())


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "two", None])
def test_what_is_no_number_of_stages(value: Any) -> None:
    with pytest.raises(InputError, match=rf"cascade must be a whole number >= 1; got {value!r}"):
        small(value).fit(pictures(100, 0)[0])


def test_data_that_it_makes_no_sense_for() -> None:
    mixed = pd.DataFrame({"city": ["Ulm", "Bonn"] * 200, "size": np.random.default_rng(0).normal(size=400)})
    with pytest.raises(InputError, match=r"cascade=2 is for pictures, sequences and complete tables of numbers"):
        small().fit(mixed)
    gappy = np.random.default_rng(0).normal(size=(400, 4))
    gappy[3, 2] = np.nan
    with pytest.raises(InputError, match=r"each cell is judged given others of its row. Leave cascade out"):
        small().fit(gappy)
    with pytest.raises(InputError, match=r"cascade=2 trains autoencoders one after the other, but a series"):
        ist.AnomalyDetector(data="series", cascade=2).fit(np.arange(400.0))
    fitted = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(pictures(100, 0)[0])
    with pytest.raises(InputError, match=r"but the autoencoder is fitted already: leave it out"):
        small(autoencoder=fitted).fit(pictures(400, 1)[0])
    with pytest.raises(InputError, match=r"cascade=3 may leave 3 rows of X to its last stage, which needs 20"):
        small(3).fit(pictures(400, 0)[0])


def test_where_errors_part_in_two_groups() -> None:
    assert parted(np.array([0.0, 0.1, 0.2, 5.0, 5.1])) == pytest.approx(0.4)
    assert parted(np.array([0.0] * 99 + [9.0])) == 0.1  # so that a handful of anomalies is no stage of its own
    assert parted(np.array([0.0] + [9.0] * 99)) == 0.5
    draw = np.random.default_rng(0).normal(size=20_000)
    assert parted(draw) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(worst(np.array([3.0, 1.0, 2.0, 2.0]), 0.5), [True, False, False, True])
    assert not worst(np.arange(5.0), 0.0).any()
