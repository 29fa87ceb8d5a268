"""Classifiers and regressors that start from features: modes, marks of what is not known, files, bad labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score

import isthmus as ist
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.modes import splits_of
from isthmus.estimators.probing import probe
from isthmus.estimators.targets import are_numbers, class_targets, number_targets

MODES = ("probe", "frozen", "full", "semi_supervised")
QUICK = {"epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(240, 6)) @ np.random.default_rng(1).normal(size=(6, 12))


@pytest.fixture(scope="module")
def y(rows: np.ndarray) -> np.ndarray:
    """Three classes, of which the last is rare."""
    return np.digitize(rows[:, 0], np.quantile(rows[:, 0], [0.5, 0.9]))


@pytest.fixture(scope="module")
def learner(rows: np.ndarray) -> ist.FeatureLearner:
    return ist.FeatureLearner(6, autoencoder="undercomplete", epochs=3, random_state=0).fit(rows)


# ---------------------------------------------------------------------- modes


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_scikit_learns_manners(learner, rows, y, mode, tmp_path) -> None:
    before = {name: values.clone() for name, values in learner.autoencoder_.composition_.state_dict().items()}
    model = learner.fine_tune(rows[:90], y[:90], mode=mode, unlabelled=rows, **QUICK)
    assert isinstance(model, TunedClassifier)
    assert model.mode_ == mode
    assert list(model.scores_) == [mode]
    shares = model.predict_proba(rows)
    assert shares.shape == (240, 3)
    assert np.allclose(shares.sum(1), 1)
    np.testing.assert_array_equal(model.predict(rows), model.classes_[shares.argmax(1)])
    np.testing.assert_allclose(model.predict_log_proba(rows), np.log(shares), atol=1e-9)
    assert model.decision_function(rows).shape == (240, 3)
    assert model.n_features_in_ == 12
    assert model.score(rows[:90], y[:90]) > 0.6
    model.save(tmp_path / "model.safetensors")
    again = ist.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(rows), shares)
    assert (again.mode_, again.scores_, type(again)) == (model.mode_, model.scores_, TunedClassifier)
    after = learner.autoencoder_.composition_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_only_full_modes_move_the_encoder(learner, rows, y) -> None:
    def weights(model) -> torch.Tensor:
        return torch.cat([w.flatten() for w in model.network_.reader.composition.encoder.parameters()])

    own = torch.cat([w.flatten() for w in learner.autoencoder_.composition_.encoder.parameters()])
    found = {mode: learner.fine_tune(rows, y, mode=mode, **QUICK) for mode in ("probe", "frozen")}
    assert all(torch.equal(weights(model), own) for model in found.values())
    # Few steps may be judged no better than none: here it is certain that some help.
    taught = learner.fine_tune(rows, rows[:, 1] ** 2, mode="full", epochs=10, random_state=0)
    assert not torch.equal(weights(taught), own)


def test_the_probe_is_scikit_learns_regression(learner, rows, y) -> None:
    model = learner.fine_tune(rows, y, mode="probe", random_state=0)
    z = learner.transform(rows).astype(np.float64) - learner.centre_
    z /= np.sqrt(np.square(learner.spread_).sum())
    found = [
        LogisticRegression(C=strength, class_weight="balanced", tol=1e-6, max_iter=1000).fit(z, y).predict_proba(z)
        for strength in (0.03, 0.3, 3.0, 30.0, 300.0)
    ]
    assert min(np.abs(model.predict_proba(rows) - shares).max() for shares in found) < 1e-3


def test_few_rows_in_many_features_are_solved_in_their_span() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 40)), np.arange(12) % 3
    targets = class_targets(y, 12, None)
    found = probe(x, targets, 3.0)
    direct = LogisticRegression(C=3.0, max_iter=1000, tol=1e-8).fit(x, y)
    np.testing.assert_allclose(found(x), direct.decision_function(x), atol=2e-3)
    numbers = probe(x, number_targets(y.astype(float), 12), 2.0)
    standard = (y - y.mean()) / y.std()
    np.testing.assert_allclose(numbers(x)[:, 0], Ridge(alpha=0.5).fit(x, standard).predict(x), atol=1e-8)


def test_two_classes_have_one_decision(learner, rows) -> None:
    y = np.where(rows[:, 0] > 0, "yes", "no")
    model = learner.fine_tune(rows, y, mode="probe", random_state=0)
    found = model.decision_function(rows)
    assert found.shape == (240,)
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(model.predict(rows), np.where(found > 0, "yes", "no"))
    np.testing.assert_allclose(model.predict_proba(rows)[:, 1], 1 / (1 + np.exp(-found)), atol=1e-9)


def test_auto_takes_the_best_on_held_out_labels_and_the_simplest_of_equals(learner, rows, y) -> None:
    model = learner.fine_tune(rows, y, **QUICK)
    assert list(model.scores_) == ["probe", "frozen", "full"]
    best = max(model.scores_.values())
    assert model.mode_ == next(mode for mode, score in model.scores_.items() if score == best)
    with_others = learner.fine_tune(rows, np.where(np.arange(240) < 60, y, -1), **QUICK)
    assert list(with_others.scores_) == list(MODES)


def test_the_encoder_learns_what_a_linear_head_cannot_tell(learner, rows) -> None:
    y = np.square(rows[:, 0])  # in which a linear map of the code has no share
    probed = learner.fine_tune(rows, y, mode="probe", random_state=0)
    full = learner.fine_tune(rows, y, mode="full", epochs=15, learning_rate=2e-2, random_state=0)
    assert full.scores_["full"] > probed.scores_["probe"] + 0.1
    assert full.score(rows, y) > probed.score(rows, y) + 0.1


def test_the_same_seed_gives_the_same_model(learner, rows, y) -> None:
    one, other = (learner.fine_tune(rows[:60], y[:60], mode="full", **QUICK) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_no_global_random_state_is_moved(learner, rows, y) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    learner.fine_tune(rows[:60], y[:60], mode="semi_supervised", unlabelled=rows, **QUICK)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


# ---------------------------------------------------------------------- what y may be


@pytest.mark.parametrize("unknown", [-1, np.nan, None])
def test_rows_without_a_label_are_left_out(learner, rows, y, unknown) -> None:
    marked = y.astype(object)
    marked[100:] = unknown
    few = learner.fine_tune(rows[:100], y[:100], mode="probe", random_state=0)
    found = learner.fine_tune(rows, marked, mode="probe", random_state=0)
    np.testing.assert_allclose(found.predict_proba(rows), few.predict_proba(rows), atol=1e-6)
    assert found.classes_.tolist() == [0, 1, 2]


def test_balanced_classes_weigh_alike(y) -> None:
    targets = class_targets(y, 240, "balanced")
    sums = [targets.weight[y == one].sum() for one in range(3)]
    np.testing.assert_allclose(sums, 80.0)
    assert targets.weight[y == 2][0] == pytest.approx(240 / (3 * (y == 2).sum()))
    assert (class_targets(y, 240, None).weight == 1).all()


def test_balance_finds_the_rare_class(learner, rows, y) -> None:
    def recall(weight: str | None) -> float:
        model = learner.fine_tune(rows, y, mode="probe", class_weight=weight, random_state=0)
        return float((model.predict(rows)[y == 2] == 2).mean())

    assert recall("balanced") >= recall(None)


def test_several_labels_at_once_with_gaps(learner, rows, tmp_path) -> None:
    y = (rows[:, :3] > [[0.0, 1.0, -1.0]]).astype(float)
    y[::7, 1] = np.nan
    for mode in ("probe", "semi_supervised"):
        model = learner.fine_tune(rows, y, mode=mode, unlabelled=rows, **QUICK)
        shares = model.predict_proba(rows)
        assert shares.shape == (240, 3)
        assert model.classes_.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(model.predict(rows), (shares > 0.5).astype(int))
        assert (model.predict(rows)[:, 0] == y[:, 0]).mean() > 0.8
        assert not hasattr(model, "predict_log_proba")
    model.save(tmp_path / "labels.safetensors")
    np.testing.assert_array_equal(ist.load(tmp_path / "labels.safetensors").predict_proba(rows), shares)


@pytest.mark.parametrize("mode", ["probe", "semi_supervised"])
def test_numbers_are_told_in_their_own_units(learner, rows, mode, tmp_path) -> None:
    y = 1000 + 50 * rows[:, :2]
    y[::5, 1] = np.nan
    model = learner.fine_tune(rows, y, mode=mode, unlabelled=rows, **QUICK)
    assert isinstance(model, TunedRegressor)
    assert model.predict(rows).shape == (240, 2)
    assert np.corrcoef(model.predict(rows)[:, 0], y[:, 0])[0, 1] > 0.8
    model.save(tmp_path / "numbers.safetensors")
    np.testing.assert_array_equal(ist.load(tmp_path / "numbers.safetensors").predict(rows), model.predict(rows))
    one = TunedRegressor(learner, mode="probe", random_state=0).fit(rows, np.arange(240) % 3)
    assert one.predict(rows).shape == (240,)  # whole numbers, where numbers are asked for


def test_whether_y_is_classes_or_numbers() -> None:
    assert not are_numbers(np.array([0.0, 1.0, np.nan]))
    assert are_numbers(np.array([0.5, np.nan]))
    assert not are_numbers(np.arange(10))
    assert are_numbers(np.arange(15))
    assert not are_numbers(np.arange(30.0) % 15)
    assert are_numbers(np.arange(60) % 30)
    assert not are_numbers(np.r_[np.arange(40) % 20, np.full(9, -1)])  # which is not one class more
    assert not are_numbers(pd.Series(["a", None]))
    assert not are_numbers(np.array([[0, 1], [1, 1]]))
    assert are_numbers(np.array([[0.0, 2.0], [1.0, 1.0]]))
    assert not are_numbers([True, False])
    assert are_numbers(np.array([0.5, None], dtype=object))


def test_held_out_rows_are_of_every_class_that_can_spare_one() -> None:
    y = np.array([0] * 30 + [1] * 12 + [2])
    for share in (None, 0.3):
        splits = splits_of(class_targets(y, 43, None), share, seed=0)
        assert len(splits) == (3 if share is None else 1)
        for train, held in splits:
            assert len(np.intersect1d(train, held)) == 0
            assert len(train) + len(held) == 43
            assert set(y[train]) == {0, 1, 2}
            assert set(y[held]) == {0, 1}
    every = np.concatenate([held for _, held in splits_of(class_targets(y, 43, None), None, seed=0)])
    np.testing.assert_array_equal(np.sort(every), np.arange(42))
    many = splits_of(class_targets(np.arange(2000) % 4, 2000, None), None, seed=0)
    assert len(many) == 1
    assert len(many[0][1]) == 400


def test_one_row_of_each_class_is_enough_for_a_model_but_not_for_a_figure(learner, rows, y) -> None:
    firsts = [int(np.flatnonzero(y == one)[0]) for one in range(3)]
    with pytest.warns(ist.DataWarning, match="of 3 labelled rows none can be held out"):
        model = learner.fine_tune(rows[firsts], y[firsts], random_state=0)
    assert model.mode_ == "probe"
    assert np.isnan(model.scores_["probe"])
    np.testing.assert_array_equal(model.predict(rows[firsts]), y[firsts])


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(240, int), "at least two classes; of 240 rows, 240 are labelled: all are 0"),
        (np.full(240, -1), "at least two classes; of 240 rows, 0 are labelled: none is labelled"),
        (np.r_[np.ones(120, int), -np.ones(120, int)], "-1 stands for 'not known'"),
        (np.full(240, np.nan), "none is labelled"),
        (np.arange(100) % 2, "y must have one value for each of the 240 rows; got 100"),
        (np.c_[np.zeros(240), np.ones(240)], "label 0 is known in 240 rows: 0 in all of them"),
        (np.full((240, 2), np.nan), "label 0 is known in 0 rows: not known in any row"),
        (np.r_[np.inf, np.linspace(0, 1, 239)], "row 0 is infinite"),
    ],
)
def test_labels_that_cannot_be_used(learner, rows, labels, said) -> None:
    with pytest.raises(ist.InputError, match=said):
        learner.fine_tune(rows, labels, mode="probe")


def test_knobs_that_cannot_be_used(learner, rows, y) -> None:
    with pytest.raises(ist.InputError, match=r"mode: there is no 'ful'. Did you mean 'full'"):
        learner.fine_tune(rows, y, mode="ful")
    with pytest.raises(ist.InputError, match="mode='semi_supervised' learns from rows without labels too"):
        learner.fine_tune(rows, y, mode="semi_supervised")
    with pytest.raises(ist.InputError, match="class_weight must be 'balanced' or None; got 'even'"):
        learner.fine_tune(rows, y, class_weight="even")
    with pytest.raises(ist.InputError, match=r"validation_fraction must be a number > 0 and <= 0.9; got 0"):
        learner.fine_tune(rows, y, validation_fraction=0)
    with pytest.raises(ist.InputError, match="learner must be a FeatureLearner; got NoneType"):
        TunedClassifier().fit(rows, y)
    with pytest.raises(NotFittedError):
        ist.FeatureLearner().fine_tune(rows, y)
    with pytest.raises(NotFittedError):
        TunedClassifier(learner).predict(rows)
    with pytest.raises(ist.InputError, match="each must be 0, 1 or NaN"):
        TunedClassifier(learner).fit(rows, np.c_[y, y])


# ---------------------------------------------------------------------- the estimator


def test_a_clone_starts_from_the_same_features(learner, rows, y) -> None:
    model = TunedClassifier(learner, mode="probe", random_state=0)
    assert clone(model).learner is learner
    assert not hasattr(clone(model), "network_")
    assert cross_val_score(model, rows, y, cv=3).mean() > 0.7
    fresh = TunedClassifier(ist.FeatureLearner(4, autoencoder="undercomplete", epochs=1, random_state=0), mode="probe")
    assert clone(fresh).learner is not fresh.learner
    assert fresh.fit(rows, y).learner_ is not fresh.learner
    assert not hasattr(fresh.learner, "autoencoder_")
