"""`AnomalyDetector` as its user meets it: manners, rates that hold, reasons, streams, files, bad input."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from checks_for_kinds import same_tensors
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import isthmus as ist
from isthmus.alarms import discoveries
from isthmus.errors import DataWarning, InputError
from isthmus.estimators import anomalies, oddness_of_numbers
from isthmus.estimators.oddness_of_cells import MOST_NATS, Cells
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_wholes import Wholes

NAMES = ["a", "b", "c", "d", "e"]
QUICK = {"epochs": 1, "batch_size": 512, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def _few_copies() -> Iterator[None]:
    """Small tables are learnt from fewer copies of their rows than usual, which changes nothing but the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(oddness_of_numbers, "LEAST_ROWS", 256)
        patched.setattr(anomalies, "LEAST_ROWS", 256)
        yield


def quick(alarm_rate: float = 0.1, **more: Any) -> ist.AnomalyDetector:
    return ist.AnomalyDetector(alarm_rate, **{**QUICK, **more})


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Rows near a plane, in units of their own."""
    draw = np.random.default_rng(seed)
    plane = np.random.default_rng(7).normal(size=(2, 5))
    return (draw.normal(size=(count, 2)) @ plane + 0.3 * draw.normal(size=(count, 5))) * [1, 10, 1, 0.1, 1] + 5


def mixed(count: int, seed: int = 0, gaps: float = 0.05) -> pd.DataFrame:
    """A city tells its country, a size its price; some cells are missing."""
    draw = np.random.default_rng(seed)
    city = draw.integers(0, 6, count)
    size = draw.normal(100, 20, count)
    frame = pd.DataFrame(
        {
            "city": np.array(["Ulm", "Bonn", "Nice", "Lyon", "Rome", "Bari"])[city],
            "country": np.array(["DE", "FR", "IT"])[city // 2],
            "size": size,
            "price": 3 * size + draw.normal(0, 5, count),
        }
    )
    return frame.mask(draw.random(frame.shape) < gaps)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Smooth blobs of 8 x 8 pixels."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8] / 7
    at = draw.random((count, 2, 1, 1))
    return np.exp(-4 * ((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2)) + 0.02 * draw.random((count, 8, 8))


def share_of_alarms(detector: ist.AnomalyDetector, X: Any) -> float:
    return float((detector.predict(X) < 0).mean())


@pytest.fixture(scope="module")
def of_numbers() -> ist.AnomalyDetector:
    return quick(0.05).fit(pd.DataFrame(rows(1200), columns=NAMES))


@pytest.fixture(scope="module")
def of_few() -> ist.AnomalyDetector:
    return quick(0.05).fit(rows(120))


@pytest.fixture(scope="module")
def of_cells() -> ist.AnomalyDetector:
    return ist.AnomalyDetector(0.05, epochs=40, batch_size=64, learning_rate=3e-3, random_state=0).fit(mixed(1500))


@pytest.fixture(scope="module")
def of_pictures() -> ist.AnomalyDetector:
    return ist.AnomalyDetector(0.05, epochs=30, batch_size=64, random_state=0).fit(pictures(1200))


# ---------------------------------------------------------------------- scikit-learn's manners


@pytest.mark.filterwarnings("ignore::isthmus.errors.DataWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([quick(0.05)])
def test_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_it_only_stores_what_it_is_given() -> None:
    kind = ist.recipes.denoising(corruption=ist.Mask(0.2))
    detector = ist.AnomalyDetector("nonsense", autoencoder=kind, epochs=-3)  # refused by fit, not here
    assert detector.get_params(deep=False)["alarm_rate"] == "nonsense"
    assert detector.autoencoder is kind
    copied = clone(quick(0.2, autoencoder=kind, distance=False, columns={"a": "ignore"}))
    assert repr(copied) == repr(quick(0.2, autoencoder=kind, distance=False, columns={"a": "ignore"}))
    assert not hasattr(copied, "oddness_")


def test_two_fits_are_identical() -> None:
    first, second, other = (quick(random_state=seed).fit(rows(80)) for seed in (3, 3, 4))
    fresh = rows(30, 1)
    np.testing.assert_array_equal(first.score_samples(fresh), second.score_samples(fresh))
    assert (first.score_samples(fresh) != other.score_samples(fresh)).any()


def test_a_generator_as_random_state_is_drawn_from_once_a_fit() -> None:
    fits = [quick(random_state=np.random.default_rng(5)).fit(rows(60)) for _ in range(2)]
    np.testing.assert_array_equal(*(fit.score_samples(rows(9, 1)) for fit in fits))


def test_no_global_state_is_moved() -> None:
    import torch

    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone(), torch.get_num_threads()  # noqa: NPY002
    quick(random_state=None).fit(rows(40)).predict(rows(5, 1))
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == before[2]


def test_what_is_asked_of_it_agrees(of_numbers: ist.AnomalyDetector) -> None:
    X = pd.DataFrame(np.concatenate([rows(300, 1), 3 * rows(30, 2)]), columns=NAMES)
    scores, decision, p_values = of_numbers.score_samples(X), of_numbers.decision_function(X), of_numbers.p_values(X)
    np.testing.assert_array_equal(decision, scores - of_numbers.offset_)
    np.testing.assert_array_equal(of_numbers.predict(X) < 0, decision < 0)
    np.testing.assert_array_equal(of_numbers.predict(X) < 0, p_values <= 0.05)
    counted = [(1 + (of_numbers.held_out_.scores >= -score).sum()) / 241 for score in scores]
    np.testing.assert_allclose(p_values, counted, rtol=1e-12)
    assert len(of_numbers.held_out_) == 240
    assert (scores <= 0).all()
    assert of_numbers.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("which", ["of_numbers", "of_cells", "of_pictures"])
def test_a_rows_score_is_its_own(which: str, request: pytest.FixtureRequest) -> None:
    detector = request.getfixturevalue(which)
    X = {
        "of_numbers": pd.DataFrame(rows(40, 1), columns=NAMES),
        "of_cells": mixed(40, 1),
        "of_pictures": pictures(40, 1),
    }
    every, cut = detector.score_samples(X[which]), slice(0, 1)
    np.testing.assert_allclose(detector.score_samples(X[which][cut]), every[cut], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(detector.score_samples(X[which][:7]), every[:7], rtol=1e-4, atol=1e-4)


def test_scores_of_threads_are_those_of_one(of_numbers: ist.AnomalyDetector) -> None:
    parts = [pd.DataFrame(rows(200, seed), columns=NAMES) for seed in range(8)]
    alone = [of_numbers.score_samples(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(of_numbers.score_samples, parts), alone, strict=True):
            np.testing.assert_array_equal(one, other)


def test_which_way_suits_the_data(
    of_numbers: ist.AnomalyDetector, of_few: ist.AnomalyDetector, of_cells: ist.AnomalyDetector,
    of_pictures: ist.AnomalyDetector,
) -> None:  # fmt: skip
    ways = [type(one.oddness_) for one in (of_numbers, of_few, of_cells, of_pictures)]
    assert ways == [Numbers, Numbers, Cells, Wholes]
    assert [len(one.autoencoders_) for one in (of_numbers, of_few, of_cells, of_pictures)] == [1, 5, 1, 1]
    assert [len(one.held_out_) for one in (of_numbers, of_few, of_cells, of_pictures)] == [240, 120, 300, 240]


def test_numpy_pandas_polars_and_files_are_one(of_numbers: ist.AnomalyDetector, tmp_path: Path) -> None:
    X = rows(50, 1)
    frame = pd.DataFrame(X, columns=NAMES)
    frame.to_parquet(tmp_path / "rows.parquet")
    expected = of_numbers.score_samples(frame)
    for same in (pl.DataFrame(X, schema=NAMES), str(tmp_path / "rows.parquet"), tmp_path / "rows.parquet"):
        np.testing.assert_array_equal(of_numbers.score_samples(same), expected)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        np.testing.assert_array_equal(of_numbers.score_samples(X), expected)
    plain = quick().fit(rows(60))
    np.testing.assert_array_equal(plain.score_samples(X.tolist()), plain.score_samples(X))


# ---------------------------------------------------------------------- rates


def test_the_share_of_alarms_is_the_rate_asked_for() -> None:
    """Of 600 held-out rows, so the probability of an alarm is Beta distributed about the rate, and the share seen
    spreads as both samples do; the mean over ten fits is held to three and a half of its standard errors."""
    fresh, fits = rows(3000, 99), [quick(0.05, random_state=seed).fit(rows(3000, seed)) for seed in range(10)]
    p_values = np.concatenate([fit.p_values(fresh) for fit in fits])
    assert [len(fit.held_out_) for fit in fits] == [600] * 10
    for rate in (0.01, 0.05):
        spread = np.sqrt(rate * (1 - rate) * (1 / 6000 + 1 / 3000))  # the fresh rows are the same for all fits
        assert (p_values <= rate).mean() == pytest.approx(rate, abs=3.5 * spread)
        alarms = [share_of_alarms(fit.set_alarm_rate(rate), fresh) for fit in fits[:2]]
        assert np.mean(alarms) == pytest.approx((p_values[:6000] <= rate).mean(), abs=1e-12)


def test_five_fits_of_few_rows_keep_the_rate_too() -> None:
    shares = [share_of_alarms(quick(0.05, random_state=seed).fit(rows(400, seed)), rows(2000, 99)) for seed in range(4)]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.025)


def test_rows_of_the_fit_alarm_as_often_as_others() -> None:
    """They are neighbours of themselves, which must not make them ordinary: anomalies among them are to be found."""
    X = rows(3000)
    X[:20] += np.random.default_rng(1).normal(size=(20, 5)) * [10, 100, 10, 1, 10]
    detector = quick(0.05).fit(X)
    assert share_of_alarms(detector, X[20:]) == pytest.approx(0.05, abs=0.03)
    assert share_of_alarms(detector, X[:20]) == 1.0
    assert (quick(0.05).fit_predict(X) == detector.predict(X)).all()


def test_the_rate_can_be_set_anew(of_few: ist.AnomalyDetector) -> None:
    detector, X = copy.copy(of_few), rows(500, 1)
    p_values = detector.p_values(X)
    for rate in (0.02, 0.2, 0.5):
        assert detector.set_alarm_rate(rate) is detector
        assert detector.alarm_rate == rate
        np.testing.assert_array_equal(detector.predict(X) < 0, p_values <= rate)
    np.testing.assert_array_equal(detector.p_values(X), p_values)
    with pytest.raises(InputError, match="alarm_rate must be a number above 0 and below 1, a share of the rows; got 2"):
        detector.set_alarm_rate(2)
    assert detector.alarm_rate == 0.5


def test_a_rate_that_rows_cannot_resolve_is_told_of(of_few: ist.AnomalyDetector) -> None:
    words = "alarm_rate=0.001 cannot be resolved by 60 held-out rows: it takes 2,000.*which may be as often as 0.016"
    with pytest.warns(DataWarning, match=words) as told:
        detector = quick(0.001).fit(rows(60))
    assert told[0].filename == __file__
    assert detector.predict(1000 * rows(1, 1)) == [-1]  # odder than all of them
    with pytest.warns(DataWarning, match="cannot be resolved by 120 held-out rows: it takes 200"):
        copy.copy(of_few).set_alarm_rate(0.01)


def test_discoveries_are_those_of_the_p_values(of_numbers: ist.AnomalyDetector) -> None:
    X = pd.DataFrame(np.concatenate([rows(80, 1), rows(20, 2) + 30]), columns=NAMES)
    found = of_numbers.discoveries(X, 0.2)
    np.testing.assert_array_equal(found, discoveries(of_numbers.p_values(X), 0.2))
    assert found[80:].all()
    assert found[:80].mean() < 0.2
    with pytest.raises(InputError, match="rate must be a number above 0 and below 1, a share of the rows; got 0"):
        of_numbers.discoveries(X, 0)


def test_a_batch_of_which_no_row_could_be_called_is_told_of(of_few: ist.AnomalyDetector) -> None:
    fresh = rows(300, 1)
    ordinary = fresh[of_few.p_values(fresh) > 0.3][:59]
    X = np.concatenate([ordinary, rows(1, 2) * 1000])  # 120 held-out rows: a p-value of 1 / 121 at least
    with pytest.warns(DataWarning, match=r"nothing is called.*of 60 rows at rate=0.1 it must be 0.0017") as told:
        assert not of_few.discoveries(X, 0.1).any()
    assert "That takes 599 held-out rows; or judge 12 rows at once at most" in str(told[0].message)
    assert told[0].filename == __file__
    assert of_few.discoveries(X[-12:], 0.1).tolist() == [False] * 11 + [True]
    assert not of_few.discoveries(X[:12], 0.1).any()  # it could have been: no word
    with pytest.warns(DataWarning, match=r"That takes 999 held-out rows; or give a higher rate"):
        of_few.discoveries(X[-1:], 0.001)


# ---------------------------------------------------------------------- reasons


def test_a_broken_number_is_named_with_what_was_expected(of_numbers: ist.AnomalyDetector) -> None:
    X = pd.DataFrame(rows(40, 1), columns=NAMES, index=[f"row {i}" for i in range(40)])
    broken = X.copy()
    broken["b"] += 80.0
    found = of_numbers.explain(broken)
    assert list(found) == ["row", "rank", "column", "value", "expected", "drop"]
    first = found[found["rank"] == 1]
    assert first["row"].tolist() == list(X.index)
    assert (first["column"] == "b").all()
    np.testing.assert_array_equal(first["value"], broken["b"])
    # What is expected of b given the others, which spreads less than b itself does.
    off = np.asarray(first["expected"], dtype=float) - X["b"]
    assert off.std() < 0.8 * X["b"].std()
    assert abs(off.mean()) < 3
    put_back = broken.assign(b=np.asarray(first["expected"], dtype=float))
    assert of_numbers.score_samples(put_back).mean() > of_numbers.score_samples(broken).mean() + 10


def test_drop_is_a_squared_distance_in_conditional_standard_deviations(of_numbers: ist.AnomalyDetector) -> None:
    found = of_numbers.explain(pd.DataFrame(rows(40, 1), columns=NAMES).assign(b=lambda X: X["b"] + 80.0), most=1)
    found = found[found["column"] == "b"]
    off = (found["value"] - found["expected"]).astype(float).to_numpy()
    covariance = of_numbers.oddness_.conditional.covariance.numpy()
    spread = of_numbers.oddness_.view.scaling.scale[1] / np.sqrt(np.linalg.inv(covariance)[1, 1])
    np.testing.assert_allclose(found["drop"], (off / spread) ** 2, rtol=1e-4)
    assert len(found) > 30


def test_a_swapped_category_is_named(of_cells: ist.AnomalyDetector) -> None:
    X = mixed(60, 1, gaps=0.0)
    broken = X.assign(country=X["country"].map({"DE": "FR", "FR": "IT", "IT": "DE"}))
    assert np.median(of_cells.p_values(broken)) < 0.03 < np.median(of_cells.p_values(X))
    found = of_cells.explain(broken, most=1)
    named = found.set_index("row")
    right = (named["column"] == "country") & (named["expected"] == X.loc[named.index, "country"])
    other = (named["column"] == "city") & (named["value"] == X.loc[named.index, "city"])  # the other way to make it fit
    assert len(found) == 60
    assert right.mean() > 0.3
    assert (right | other).mean() > 0.9
    assert (named["value"][right] == broken.loc[named.index, "country"][right]).all()


def test_a_broken_number_of_a_mixed_table_is_named(of_cells: ist.AnomalyDetector) -> None:
    X = mixed(60, 2, gaps=0.0)
    broken = pl.from_pandas(X.assign(price=X["price"] + 400))
    found = of_cells.explain(broken, most=1)
    assert found["row"].tolist() == list(range(60))
    assert (found["column"] == "price").mean() > 0.9
    price = (found["column"] == "price").to_numpy()
    off = found["expected"][price].astype(float) - X["price"][price]
    assert np.median(np.abs(off)) < 30


def test_missing_cells_are_never_named(of_cells: ist.AnomalyDetector) -> None:
    X = mixed(200, 3, gaps=0.4).dropna(how="all")
    found = of_cells.explain(X, most=4)
    assert not found["value"].isna().any()
    assert not found["expected"].isna().any()
    assert (found.groupby("row").size() <= X.notna().sum(axis=1).loc[found["row"].unique()]).all()


def test_the_broken_square_is_the_hottest(of_pictures: ist.AnomalyDetector) -> None:
    X = pictures(30, 1)
    broken = X.copy()
    broken[:, 2:5, 4:7] = 1.5 - broken[:, 2:5, 4:7]
    heat = of_pictures.explain(broken)
    assert heat.shape == X.shape
    assert heat.dtype == np.float32
    assert (heat >= 0).all()
    windows = np.lib.stride_tricks.sliding_window_view(heat, (3, 3), axis=(1, 2)).sum((3, 4)).reshape(30, -1)
    hottest = np.stack(np.unravel_index(windows.argmax(1), (6, 6)), 1)
    assert (hottest == (2, 4)).all(1).mean() > 0.7
    assert (np.abs(hottest - (2, 4)) <= 1).all(1).mean() > 0.9
    assert share_of_alarms(of_pictures, broken) > 0.9
    ordinary = of_pictures.explain(pictures(200, 5)).mean(0)
    assert 0.5 < ordinary.mean() < 2  # an ordinary cell has a heat of 1


def test_sequences_of_any_length_have_heat_maps() -> None:
    draw = np.random.default_rng(0)
    sequences = [
        np.sin(np.arange(n) / 2 + phase) for n, phase in zip(draw.integers(4, 13, 80), draw.random(80), strict=True)
    ]
    detector = quick().fit(ist.data.sequences(sequences))
    assert isinstance(detector.oddness_, Wholes)  # what pads a short one is no number
    short = ist.data.sequences([row[:3] for row in sequences[:6]])
    heat = detector.explain(short)
    assert heat.shape[0] == 6
    assert (heat[:, 3:] == 0).all()
    gappy = [np.where(draw.random(len(row)) < 0.2, np.nan, row) for row in sequences]
    gappy = [row for row in gappy if not np.isnan(row).all()]
    assert np.isfinite(quick().fit(ist.data.sequences(gappy)).score_samples(ist.data.sequences(gappy))).all()


# ---------------------------------------------------------------------- streams


def test_the_first_call_of_partial_fit_is_a_fit() -> None:
    first, second = quick().partial_fit(rows(60)), quick().fit(rows(60))
    np.testing.assert_array_equal(first.score_samples(rows(9, 1)), second.score_samples(rows(9, 1)))


@pytest.mark.parametrize("make", [rows, mixed, pictures], ids=["numbers", "mixed", "pictures"])
def test_rows_are_judged_before_they_are_learnt_from(make: Any) -> None:
    detector = quick(0.2).fit(make(100))
    before, kept, offset = detector.score_samples(make(30, 1)), detector.recent_.copy(), detector.offset_
    weights = [copy.deepcopy(model.composition_.state_dict()) for model in detector.autoencoders_]
    assert detector.partial_fit(make(30, 1)) is detector
    np.testing.assert_array_equal(detector.recent_, np.concatenate([kept[30:], -before]))
    assert len(detector.held_out_) == 100
    assert not any(
        same_tensors(old, model.composition_.state_dict())
        for old, model in zip(weights, detector.autoencoders_, strict=True)
    )
    if make is rows:  # what alarmed is not learnt
        for member in detector.oddness_.members:
            learnt = member.view.forward(make(30, 1)[before >= offset])
            np.testing.assert_array_equal(member.reference[-len(learnt) :], learnt)
            assert len(member.reference) == 80 + len(learnt)
        assert 0 < len(learnt) < 30


def test_a_pass_over_rows_like_those_of_the_fit_leaves_the_rate_as_it_was() -> None:
    """A pass must not throw the models off their optimum, so that all rows look odd for a while."""
    detector, fresh = ist.AnomalyDetector(0.1, epochs=10, random_state=0).fit(rows(1200)), rows(2000, 1)
    scores, shares = detector.score_samples(fresh), []
    for seed in range(2, 8):
        detector.partial_fit(rows(300, seed))
        shares.append(share_of_alarms(detector, fresh))
    # Of 240 rows that the level rests on: the standard error is 0.02.
    assert max(shares) < 0.17
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)
    # Of later rows the outermost are learnt from too, which makes such rows a little less odd.
    assert detector.score_samples(fresh).mean() == pytest.approx(scores.mean() + 0.2, abs=0.4)


def test_the_level_follows_a_drift() -> None:
    detector = ist.AnomalyDetector(0.1, epochs=10, random_state=0).fit(rows(1200))
    drift = np.array([0.4, 4, 0.4, 0.04, 0.4])
    end = rows(2000, 1) + drift
    assert share_of_alarms(detector, end) > 0.4
    for step in range(1, 9):
        detector.partial_fit(rows(300, step + 1) + drift * min(step / 6, 1))
    assert share_of_alarms(detector, end) == pytest.approx(0.1, abs=0.06)


def test_a_partial_fit_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, fresh = quick().fit(rows(60)), rows(20, 1)
    scores, level, recent = detector.score_samples(fresh), detector.offset_, detector.recent_.copy()
    bad = rows(20, 2)
    bad[3, 1] = np.inf
    calls: list[int] = []
    learn = ist.Autoencoder.partial_fit

    def fails(model: ist.Autoencoder, *given: Any, **more: Any) -> ist.Autoencoder:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no memory")
        return learn(model, *given, **more)

    for wrong, words in ((rows(20)[:, :3], "3 features"), (bad, "infinity"), (rows(20, 3), "no memory")):
        with monkeypatch.context() as patched:
            if words == "no memory":
                patched.setattr(ist.Autoencoder, "partial_fit", fails)
            with pytest.raises((InputError, RuntimeError), match=words):
                detector.partial_fit(wrong)
        np.testing.assert_array_equal(detector.score_samples(fresh), scores)
        np.testing.assert_array_equal(detector.recent_, recent)
        assert detector.offset_ == level
    assert len(calls) == 3


def test_a_fit_that_fails_changes_nothing() -> None:
    detector, fresh = quick().fit(pd.DataFrame(rows(60), columns=NAMES)), pd.DataFrame(rows(9, 1), columns=NAMES)
    scores = detector.score_samples(fresh)
    bad = rows(60)
    bad[0, 0] = np.inf
    with pytest.raises(InputError, match="infinity"):
        detector.fit(bad)
    np.testing.assert_array_equal(detector.score_samples(fresh), scores)
    detector.fit(rows(60))
    assert not hasattr(detector, "feature_names_in_")


# ---------------------------------------------------------------------- an autoencoder of one's own


def test_a_fitted_autoencoder_is_used_and_never_changed() -> None:
    own = ist.Autoencoder(code_size=2, epochs=3, random_state=0).fit(rows(200))
    weights, fresh = copy.deepcopy(own.composition_.state_dict()), rows(30, 2)
    before = own.score_samples(fresh)
    detector = quick(autoencoder=own).fit(rows(300, 1))
    assert isinstance(detector.oddness_, Wholes)
    scores = detector.score_samples(fresh)
    detector.partial_fit(rows(100, 3))
    assert (detector.score_samples(fresh) != scores).any()
    assert same_tensors(own.composition_.state_dict(), weights)
    np.testing.assert_array_equal(own.score_samples(fresh), before)
    detector = quick(autoencoder=own).fit(rows(300, 1))
    np.testing.assert_array_equal(detector.score_samples(fresh), scores)
    own.fit(rows(200, 9))  # what its owner does later is no concern of the detector's
    np.testing.assert_array_equal(detector.score_samples(fresh), scores)
    errors = np.square(detector.autoencoders_[0].reconstruct(fresh) - fresh)
    assert detector.explain(fresh).shape == errors.shape


def test_a_fitted_autoencoder_that_left_a_column_out() -> None:
    own = ist.Autoencoder(columns={0: "ignore"}, epochs=1, random_state=0).fit(rows(60))
    detector = quick(autoencoder=own).fit(rows(60, 1))
    assert np.isfinite(detector.score_samples(rows(9, 2))).all()


def test_autoencoders_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(NotFittedError):
        quick(autoencoder=ist.Autoencoder()).fit(rows(60))
    conditional = ist.Autoencoder(epochs=1, random_state=0).fit(rows(60), given=np.arange(60) % 2)
    with pytest.raises(InputError, match="autoencoder: this one was fitted with given="):
        quick(autoencoder=conditional).fit(rows(60))
    with pytest.raises(InputError, match="no kind is called 'denoise'"):
        quick(autoencoder="denoise").fit(rows(60))
    with pytest.raises(
        InputError, match="autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got 3"
    ):
        quick(autoencoder=3).fit(rows(60))


@pytest.mark.parametrize("kind", ["undercomplete", "vae", ist.recipes.denoising(corruption=ist.Mask(0.2))], ids=str)
def test_another_kind_takes_the_place_of_the_usual_one(kind: Any) -> None:
    detector = quick(autoencoder=kind).fit(rows(60))
    assert getattr(kind, "name", kind) in repr(detector.autoencoders_[0].method)
    assert np.isfinite(detector.score_samples(rows(9, 1))).all()


def test_without_the_distance() -> None:
    for make in (rows, pictures):
        near, far = (quick(distance=choice).fit(make(60)) for choice in (True, False))
        assert len(near.oddness_.surprises) == len(far.oddness_.surprises) + (2 if make is rows else 1)
        assert np.isfinite(far.score_samples(make(9, 1))).all()


# ---------------------------------------------------------------------- files


def kept(detector: ist.AnomalyDetector, X: Any, folder: Path) -> ist.AnomalyDetector:
    """The detector after a file, which must judge rows alike."""
    again = ist.load(detector.save(folder / "detector.safetensors"))
    for question in ("score_samples", "decision_function", "predict", "p_values"):
        np.testing.assert_array_equal(getattr(again, question)(X), getattr(detector, question)(X))
    first, second = detector.explain(X), again.explain(X)
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second)
    else:
        np.testing.assert_array_equal(first, second)
    assert again.offset_ == detector.offset_
    assert again.n_features_in_ == detector.n_features_in_
    assert hasattr(again, "feature_names_in_") == hasattr(detector, "feature_names_in_")
    return again


def test_numbers_come_back_from_a_file(of_numbers: ist.AnomalyDetector, tmp_path: Path) -> None:
    again = kept(of_numbers, pd.DataFrame(2 * rows(40, 1), columns=NAMES), tmp_path)
    assert repr(again) == repr(of_numbers)
    assert again.feature_names_in_.tolist() == NAMES


def test_five_models_come_back_from_a_file(of_few: ist.AnomalyDetector, tmp_path: Path) -> None:
    assert len(kept(of_few, 2 * rows(40, 1), tmp_path).autoencoders_) == 5


def test_mixed_tables_come_back_from_a_file(of_cells: ist.AnomalyDetector, tmp_path: Path) -> None:
    kept(of_cells, mixed(40, 1), tmp_path)


def test_pictures_come_back_from_a_file(of_pictures: ist.AnomalyDetector, tmp_path: Path) -> None:
    kept(of_pictures, pictures(40, 1), tmp_path)


def test_a_fitted_autoencoder_comes_back_from_a_file(tmp_path: Path) -> None:
    own = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(rows(60))
    again = kept(quick(autoencoder=own).fit(rows(80, 1)), rows(20, 2), tmp_path)
    assert isinstance(again.autoencoder, ist.Autoencoder)
    refitted = clone(again).set_params(autoencoder=again.autoencoder).fit(rows(80, 1))
    np.testing.assert_array_equal(refitted.score_samples(rows(20, 2)), again.score_samples(rows(20, 2)))


@pytest.mark.parametrize(
    "knobs",
    [
        {"alarm_rate": np.float32(0.25), "random_state": np.int64(4)},
        {"random_state": np.random.default_rng(0), "columns": {0: "ignore", 2: "standard"}},
        {"autoencoder": ist.recipes.denoising(corruption=ist.Mask(0.2)), "distance": False},
        {"autoencoder": "vae", "max_time": 50, "learning_rate": 1e-3},
    ],
    ids=["numpy's numbers", "a generator, columns", "a kind with knobs", "the name of a kind"],
)
def test_knobs_come_back_from_a_file(knobs: dict[str, Any], tmp_path: Path) -> None:
    detector = quick(**knobs).fit(rows(60))
    again = kept(detector, rows(20, 1), tmp_path)
    for name, value in detector.get_params(deep=False).items():
        if name != "random_state" or isinstance(value, (int, np.integer)):
            assert repr(getattr(again, name)) == repr(value) or getattr(again, name) == value


def test_a_stream_goes_on_after_a_file(tmp_path: Path) -> None:
    detector = quick(0.2).fit(rows(80)).partial_fit(rows(30, 1))
    again = kept(detector, rows(20, 2), tmp_path)
    for one in (detector, again):
        one.partial_fit(rows(30, 3))
        assert len(one.held_out_) == 80
    # A file holds no state of the optimiser, so the models differ a little after it; the rows judged before do not.
    np.testing.assert_array_equal(again.recent_[-30:], detector.recent_[-30:])


def test_others_may_pickle_it(of_few: ist.AnomalyDetector) -> None:
    again = pickle.loads(pickle.dumps(of_few))
    np.testing.assert_array_equal(again.score_samples(rows(9, 1)), of_few.score_samples(rows(9, 1)))


# ---------------------------------------------------------------------- bad input


def test_a_constant_column_that_moves_alarms_and_no_more() -> None:
    X = np.insert(rows(1200), 2, 7.0, axis=1)
    detector = quick(0.05).fit(X)  # no warning: it is watched
    fresh = np.insert(rows(60, 1), 2, 7.0, axis=1)
    usual = detector.score_samples(fresh)
    for value in (7.001, 8.0, -1e6, 1e300):
        moved = fresh.copy()
        moved[:, 2] = value
        assert (detector.predict(moved) == -1).all()
        np.testing.assert_allclose(usual - detector.score_samples(moved), detector.oddness_.moved)
    assert detector.oddness_.moved < 100
    found = detector.explain(moved[:3])
    first = found[found["rank"] == 1]
    assert first["column"].tolist() == [2, 2, 2]
    assert first["value"].tolist() == [1e300] * 3
    assert first["expected"].tolist() == [7.0] * 3
    fresh[:, 2] = np.float32(7.0)
    np.testing.assert_array_equal(detector.score_samples(fresh), usual)


def test_a_constant_column_of_a_mixed_table_that_moves_has_a_bounded_score() -> None:
    X = mixed(1100).assign(zone=3.0)
    with pytest.warns(DataWarning, match="constant, so nothing can be learnt from it: column 'zone'"):
        detector = quick(0.05).fit(X)
    fresh = mixed(40, 1, gaps=0.0).assign(zone=9e13)
    assert (detector.predict(fresh) == -1).all()
    assert -detector.score_samples(fresh).min() <= MOST_NATS * 5
    assert (detector.explain(fresh, most=1)["column"] == "zone").all()


def test_columns_that_are_all_constant() -> None:
    with pytest.warns(DataWarning, match="equal twin"):
        detector = quick().fit(np.tile([1.0, 2.0], (40, 1)))
    assert detector.predict([[1.0, 2.0], [1.0, 2.5], [0.0, 0.0]]).tolist() == [1, -1, -1]


def test_huge_cells_are_odd_and_finite(of_numbers: ist.AnomalyDetector) -> None:
    huge = pd.DataFrame(rows(6, 1), columns=NAMES)
    for place, value in enumerate((1e300, -1e300, 1e30, 1e15, 1e6)):
        huge.iloc[place, place] = value
    scores = of_numbers.score_samples(huge)
    assert np.isfinite(scores).all()
    assert (scores[:5] > -1000).all()
    assert of_numbers.predict(huge)[:5].tolist() == [-1] * 5
    first = of_numbers.explain(huge).query("rank == 1").set_index("row")["column"]
    assert first[:5].tolist() == NAMES
    with pytest.raises(InputError, match=r"column 1 holds values as large as .*e\+301, whose square is beyond"):
        quick().fit(rows(60) * 1e300)


def test_rows_without_any_known_cell_are_told_of(of_cells: ist.AnomalyDetector) -> None:
    X = mixed(12, 1)
    X.iloc[[3, 8]] = None
    words = r"X: 2 rows without any known cell \(row 3, 8\): nothing tells whether they are odd, so that their score is"
    with pytest.warns(DataWarning, match=words) as told:
        scores = of_cells.score_samples(X)
    assert len(told) == 1
    assert np.isnan(scores[[3, 8]]).all()
    assert (np.delete(scores, [3, 8]) < 0).all()
    with pytest.warns(DataWarning, match="any known cell"):
        assert of_cells.predict(X)[[3, 8]].tolist() == [1, 1]


def test_gaps_where_none_were_learnt_are_refused_by_column(of_numbers: ist.AnomalyDetector) -> None:
    X = pd.DataFrame(rows(6, 1), columns=NAMES)
    X.loc[2, "c"] = np.nan
    with pytest.raises(
        InputError, match=r"Input X contains NaN. Missing cells: column 'c' \(1\); 1 cell in 1 of 6 rows"
    ):
        of_numbers.predict(X)
    with pytest.raises(InputError, match="sequence without any value, nothing but gaps, the first of them number 1"):
        quick().fit(ist.data.sequences([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]]))


def test_with_the_gaps_of_the_fit_the_rate_holds(of_cells: ist.AnomalyDetector) -> None:
    # Of 300 held-out rows: the standard error is 0.015.
    assert share_of_alarms(of_cells, mixed(1500, 4)) == pytest.approx(0.05, abs=0.045)


@pytest.mark.parametrize("copies", [0.04, 0.2, 1.0])
def test_rows_that_are_there_twice_are_told_of(copies: float) -> None:
    X = rows(1000)
    again = np.concatenate([X, X[: round(1000 * copies / (2 - copies))]]) if copies < 1 else np.repeat(X, 2, axis=0)
    if copies == 0.04:
        quick(0.05).fit(again)  # without a word
        return
    twins, total = 2 * (len(again) - 1000), len(again)
    words = rf"X: {twins:,} of {total:,} rows \({twins / total:.0%}\) have an equal twin.*drop the copies"
    with pytest.warns(DataWarning, match=words) as told:
        quick(0.05).fit(again)
    assert told[0].filename == __file__


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, "a", None, True, np.nan, [0.1]], ids=repr)
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(InputError, match="alarm_rate must be a number above 0 and below 1, a share of the rows; got"):
        quick(rate).fit(rows(60))


NOT_ROWS: dict[str, tuple[Any, str]] = {
    "one row": (rows(1), "X has 1 row, one sample at most: give at least 2, better 1,000"),
    "no rows": (rows(0), r"X: Found array with 0 sample\(s\) \(shape=\(0, 5\)\) while a minimum of 1 is required"),
    "an empty frame": (pd.DataFrame(), r"0 sample\(s\)"),
    "one axis": (rows(9)[:, 0], "Expected 2D array, got 1D array instead"),
    "five axes": (np.zeros((9, 2, 2, 2, 2)), "X has 5 axes"),
    "nothing": (None, "X must be an array, a data frame, a sparse matrix or a path; got NoneType"),
    "text": (np.array([["a", "b"]] * 9), "X must hold numbers; got an array of text"),
    "a column of text": (
        pd.DataFrame({"note": [f"note number {i}" for i in range(60)]}),
        r"X has no column to learn from. Left out: note \(every value is different",
    ),
    "no file": ("nowhere.csv", "there is no file or folder 'nowhere.csv'"),
    "infinity": (np.where(np.arange(300).reshape(60, 5) == 7, np.inf, rows(60)), r"contains infinity: column 2 \(1\)"),
    "gaps in pictures": (
        np.where(pictures(20) > 0.9, np.nan, pictures(20)),
        "Input X contains NaN. Missing cells: pixel",
    ),
    "complex": (rows(9) + 1j, "Complex data not supported"),
}


@pytest.mark.parametrize("name", NOT_ROWS)
def test_what_cannot_be_learnt_from(name: str) -> None:
    X, words = NOT_ROWS[name]
    with pytest.raises(InputError, match=words):
        quick().fit(X)


def test_what_cannot_be_judged(of_numbers: ist.AnomalyDetector, of_pictures: ist.AnomalyDetector) -> None:
    frame = pd.DataFrame(rows(6, 1), columns=NAMES)
    for ask in (of_numbers.score_samples, of_numbers.predict, of_numbers.explain, of_numbers.p_values):
        with pytest.raises(InputError, match="a"):
            ask(frame[["a", "b"]])
    with pytest.raises(InputError, match=r"0 sample\(s\)"):
        of_numbers.predict(frame[:0])
    with pytest.raises(InputError, match=r"X has rows of shape \(4, 8\), but \w+ is expecting \(8, 8\)"):
        of_pictures.predict(pictures(3)[:, :4])
    with pytest.raises(InputError, match="most must be a whole number >= 1; got 0"):
        of_numbers.explain(frame, most=0)
    for ask in ("predict", "score_samples", "p_values", "explain", "discoveries", "set_alarm_rate", "save"):
        with pytest.raises(NotFittedError):
            getattr(quick(), ask)(0.1)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_handful_of_rows(count: int) -> None:
    with pytest.warns(DataWarning, match=f"cannot be resolved by {count} held-out rows: it takes 20"):
        detector = quick().fit(rows(count))
    assert len(detector.autoencoders_) == min(count, 5)
    assert len(detector.held_out_) == count
    assert np.isfinite(detector.score_samples(rows(9, 1))).all()
    if count > 2:  # of two rows, each is as far from the other as any third
        assert detector.predict(rows(3, 1) + 1e6).tolist() == [-1] * 3


@pytest.mark.parametrize("kind", ["float16", "float32", "int16", "uint8", "bool"])
def test_types_of_numbers(kind: str) -> None:
    draw = np.random.default_rng(0)
    X = (draw.random((60, 12)) > 0.5) if kind == "bool" else (20 * draw.random((60, 6)) + 30).astype(kind)
    detector = quick(0.2).fit(X)
    assert np.isfinite(detector.score_samples(X)).all()
    found = detector.explain(X[:9], most=2)
    assert all(value in X for value in found["value"])


def test_one_column() -> None:
    detector = quick().fit(pd.DataFrame({"only": rows(200)[:, 0]}))
    X = pd.DataFrame({"only": [5.0, 500.0]})
    assert detector.predict(X).tolist() == [1, -1]
    found = detector.explain(X)
    assert found["column"].tolist() == ["only", "only"]  # the first reason is named of ordinary rows, too
    assert found["row"].tolist() == [0, 1]
    assert found["drop"][0] < 3 < 100 < found["drop"][1]
    assert found["expected"].astype(float).between(4, 6).all()


def test_a_sparse_matrix_is_its_array() -> None:
    draw = np.random.default_rng(0)
    X = np.where(draw.random((80, 6)) < 0.5, draw.normal(size=(80, 6)), 0.0)
    dense, sparse = (quick().fit(one) for one in (X, scipy.sparse.csr_matrix(X)))
    fresh = np.where(draw.random((9, 6)) < 0.5, 3 * draw.normal(size=(9, 6)), 0.0)
    np.testing.assert_array_equal(sparse.score_samples(scipy.sparse.csr_array(fresh)), dense.score_samples(fresh))
    pd.testing.assert_frame_equal(sparse.explain(scipy.sparse.csc_matrix(fresh)), dense.explain(fresh))


def test_columns_are_ignored_as_asked() -> None:
    X = rows(60)
    detector = quick(columns={0: "ignore"}).fit(X)
    fresh, other = rows(9, 1), rows(9, 1)
    other[:, 0] = 1e9
    np.testing.assert_array_equal(detector.score_samples(fresh), detector.score_samples(other))
    fresh[:, 3] += 100
    assert (detector.explain(fresh, most=1)["column"] == 3).all()


def test_a_drifted_column_alarms_and_is_named(of_numbers: ist.AnomalyDetector) -> None:
    X = pd.DataFrame(rows(100, 1), columns=NAMES)
    X["d"] += 1.0  # ten times its own spread given the others
    assert share_of_alarms(of_numbers, X) > 0.9
    assert (of_numbers.explain(X, most=1)["column"] == "d").mean() > 0.95


def test_values_that_were_never_seen(of_cells: ist.AnomalyDetector) -> None:
    X = mixed(20, 5, gaps=0.0).assign(country="Atlantis")
    with pytest.warns(DataWarning, match=r"country: 'Atlantis' \(20 cells\) were not there in the fit"):
        scores = of_cells.score_samples(X)
    assert scores.mean() < of_cells.score_samples(mixed(20, 5, gaps=0.0)).mean() - 3
