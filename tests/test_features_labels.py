"""`fine_tune` with labels that are few, of one class, not known, or of another shape or length; and what is learnt."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.estimators import features
from isthmus.estimators.features import pace
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.settings import batch_size_for, epochs_for
from isthmus.estimators.targets import are_numbers, number_targets

X, Y = ist.data.digits()
X, Y = X[:200], Y[:200]
SOME = np.arange(200) < 100


@pytest.fixture(scope="module")
def learner() -> ist.FeatureLearner:
    return ist.FeatureLearner(8, epochs=1, random_state=0).fit(X)


@pytest.mark.parametrize(
    "y",
    [
        np.where(SOME, Y, -1),
        np.where(SOME, Y, np.nan),
        [int(label) if known else None for label, known in zip(Y, SOME, strict=True)],
        pd.Series([int(label) if known else pd.NA for label, known in zip(Y, SOME, strict=True)], dtype="Int64"),
    ],
)
def test_marks_of_what_is_not_known_are_all_the_same(learner, y) -> None:
    model, alone = (learner.fine_tune(*given, mode="probe", random_state=0) for given in ((X, y), (X[:100], Y[:100])))
    np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-5)
    assert model.classes_.tolist() == list(range(10))


@pytest.mark.parametrize("mode", ["probe", "auto"])
def test_one_label_of_each_class_is_taught_and_warned_of(learner, mode) -> None:
    first = [int(np.flatnonzero(label == Y)[0]) for label in range(10)]
    y = np.full(200, -1)
    y[first] = Y[first]
    with pytest.warns(ist.DataWarning, match="of 10 labelled rows none can be held out"):
        model = learner.fine_tune(X, y, mode=mode, epochs=1)
    assert model.mode_ == "probe"
    assert model.score(X[first], Y[first]) > 0.5


def test_fewer_labels_than_classes_teach_those_that_there_are(learner) -> None:
    y = np.where(np.arange(200) < 5, Y, -1)
    with pytest.warns(ist.DataWarning):
        model = learner.fine_tune(X, y, mode="probe")
    assert model.classes_.tolist() == sorted(set(Y[:5].tolist()))
    assert set(model.predict(X).tolist()) <= set(Y[:5].tolist())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y must have one label for each of the 200 rows, .*; got none at all"),
        (3, "y must have one label for each of the 200 rows, .*; got 3"),
        ("abc", "y must have one label for each of the 200 rows, .*; got 'abc'"),
        (Y[:50], "y must have one value for each of the 200 rows; got 50"),
        (np.zeros(200, int), "200 are labelled: all are 0$"),
        (np.where(SOME, 1.0, np.nan), "100 are labelled: all are 1$"),
        (np.where(SOME, 1, -1), "all are 1 .-1 stands for 'not known'"),
        (np.stack([Y % 2, np.where(Y > 4, 1, -1)], 1), "each must be 0, 1 or NaN .not known.; row 0 of label 1 is -1"),
        (np.where(Y == 0, np.inf, Y + 0.5), "row 0 is infinite"),
    ],
)
def test_labels_that_are_refused(learner, y, message) -> None:
    with pytest.raises(ist.InputError, match=message):
        learner.fine_tune(X, y, mode="probe")


def test_minus_one_among_several_labels_makes_no_quantities_of_them() -> None:
    assert not are_numbers([[0, 1], [1, -1]])
    assert are_numbers([[0, 1], [1, 2]])


HOURS = np.random.default_rng(0).integers(1, 99, 200)


def test_many_whole_numbers_are_numbers_of_which_minus_one_is_one(learner) -> None:
    hours = np.where(np.arange(200) < 20, -1, HOURS % 46)
    model = learner.fine_tune(X, hours, mode="probe", random_state=0)
    assert isinstance(model, TunedRegressor)
    assert model.centre_ == pytest.approx(hours.mean())


@pytest.mark.parametrize(
    ("y", "told", "other"), [(HOURS % 15, "classes", "numbers"), (HOURS % 25, "numbers", "classes")]
)
def test_what_could_be_either_is_said_and_can_be_chosen(learner, y, told, other) -> None:
    kinds = {"classes": TunedClassifier, "numbers": TunedRegressor}
    said = f"{len(set(y.tolist()))} different whole numbers are taken for {told}; choose with task='{other}'"
    with pytest.warns(ist.DataWarning, match=said):
        assert isinstance(learner.fine_tune(X, y, mode="probe"), kinds[told])
    for task, kind in kinds.items():  # silent: a warning is an error here
        assert isinstance(learner.fine_tune(X, y, mode="probe", task=task), kind)
    with pytest.raises(ist.InputError, match=r"task: there is no 'number'\. Did you mean 'numbers'"):
        learner.fine_tune(X, y, task="number")


@pytest.mark.parametrize("size", [1e200, 1.7e308, 1e-200])
def test_numbers_of_any_size_are_told(learner, size) -> None:
    ink = X.mean((1, 2)) / X.mean((1, 2)).max()
    found, plain = (learner.fine_tune(X, y, mode="probe", random_state=0).predict(X) for y in (ink * size, ink))
    np.testing.assert_allclose(found / size, plain, rtol=1e-9)


def test_numbers_are_standardised_as_plain_float64_does() -> None:
    y = np.array([[3.0, 7.0], [1.0, 7.0], [np.nan, 7.0], [-4.5, np.nan]])
    found = number_targets(y, 4)
    np.testing.assert_array_equal(found.spread, [np.nanstd(y[:, 0]), 1.0])
    np.testing.assert_array_equal(found.centre, [np.nanmean(y[:, 0]), 7.0])
    np.testing.assert_array_equal(found.values, (y - found.centre) / found.spread)


def test_few_held_out_labels_choose_no_mode(learner) -> None:
    with pytest.warns(ist.DataWarning, match="of 6 labelled rows 6 can be held out, too few .* simplest, 'probe'"):
        model = learner.fine_tune(X[:6], np.arange(6) % 2)
    assert list(model.scores_) == ["probe"]


def test_time_is_kept_and_told(learner, capsys) -> None:
    model = learner.fine_tune(X, np.where(SOME, Y, -1), max_time=1e-9, verbose=1, random_state=0)
    assert list(model.scores_) == ["probe"]  # which takes no time to speak of; no other's turn came
    assert "fine_tune: probe: 0." in capsys.readouterr().err
    one = learner.fine_tune(X, np.where(SOME, Y, -1), mode="full", epochs=10**6, max_time=0.5)
    assert one.mode_ == "full"
    with pytest.raises(ist.InputError, match="max_time must be a number > 0; got 0"):
        learner.fine_tune(X, Y, max_time=0)


def test_pictures_of_another_scale_are_warned_of(learner) -> None:
    for rows in (X / 255, X * 255.0):
        with pytest.warns(ist.DataWarning, match="X: its pictures reach from 0 to .*, those of the fit from 0 to 16"):
            learner.transform(rows)
    learner.transform(X[:3] / 3)
    learner.transform(np.zeros_like(X[:3]))  # black, on any scale


def test_what_is_wrong_with_unlabelled_rows_is_said_of_them(learner) -> None:
    with pytest.raises(ist.InputError, match=r"unlabelled has rows of shape \(3, 8\)"):
        learner.fine_tune(X, Y, unlabelled=X[:, :3])


@pytest.mark.parametrize("layer", ["encoder.hidden.9", "cod", "", 3, ["code"], "decoder.linear.0"])
def test_a_layer_that_does_not_exist(learner, layer) -> None:
    for ask in (lambda rows: learner.transform(rows, layer=layer), ist.FeatureLearner(layer=layer, epochs=1).fit):
        with pytest.raises(ist.InputError, match=r"layer: the encoder has no layer .* It has 'encoder"):
            ask(X[:20])


# ---------------------------------------------------------------------- how long is learnt


def test_a_wide_code_learns_in_larger_batches_and_fewer_steps() -> None:
    assert pace(500) == {"batch_size": 64, "epochs": 100}
    assert pace(2000) == {"batch_size": 128, "epochs": 47}
    assert pace(60_000) == {"batch_size": 256, "epochs": 20}
    for rows in (10, 100, 1000, 10_000, 100_000):
        chosen = pace(rows)
        usual = batch_size_for(rows)
        assert chosen["batch_size"] >= usual
        assert chosen["epochs"] <= epochs_for(rows, usual)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"batch_size": 64, "epochs": 234}),
        ({"epochs": 2}, {"batch_size": 64, "epochs": 2}),
        ({"batch_size": 16}, {"batch_size": 16, "epochs": None}),
        ({"code_size": 8}, {"batch_size": None, "epochs": None}),
        ({"autoencoder": "vae"}, {"batch_size": None, "epochs": None}),
    ],
)
def test_what_the_user_names_is_kept(more, expected) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = ist.FeatureLearner(random_state=0, **more)._made(features.open_source(X))
    assert {name: getattr(made, name) for name in expected} == expected
