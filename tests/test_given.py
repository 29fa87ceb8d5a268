"""What rows are given: how it becomes numbers, and that a model fitted with it needs it, uses it and keeps it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import isthmus as ist
from isthmus.data.given import Conditions

DRAW = np.random.default_rng(0)
GROUP = DRAW.integers(0, 3, 300)
SHIFT = np.array([[4.0, 0, 0, -4], [0, 4, -4, 0], [-4, -4, 4, 4]])
X = DRAW.standard_normal((300, 1)) * np.array([1.0, -1.0, 0.5, 2.0]) + SHIFT[GROUP]


def fitted(**more: object) -> ist.Autoencoder:
    settings = {"code_size": 1, "epochs": 60, "random_state": 0, "learning_rate": 1e-2, **more}
    return ist.Autoencoder(**settings).fit(X, given=GROUP)


def test_labels_become_one_hot_and_quantities_standardised() -> None:
    frame = pd.DataFrame({"site": ["b", "a", "b", "c"], "age": [10.0, 20.0, 30.0, 40.0], "sick": [True, False] * 2})
    conditions = Conditions.fit(frame, rows=4)
    assert conditions.size == 3 + 1 + 2
    made = conditions.encode(frame, rows=4)
    assert made.dtype == np.float32
    assert made[:, :3].tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(made[:, 3], (np.arange(4) - 1.5) / np.std(np.arange(4)), rtol=1e-6)
    assert made[:, 4:].tolist() == [[0, 1], [1, 0]] * 2
    shuffled = frame[["sick", "site", "age"]]
    assert np.array_equal(conditions.encode(shuffled, rows=4), made)


def test_whole_numbers_of_few_values_are_labels_and_of_many_quantities() -> None:
    assert Conditions.fit(np.arange(20), rows=20).size == 20
    assert Conditions.fit(np.arange(21), rows=21).size == 1
    assert Conditions.fit(np.array([0.0, 1.0]), rows=2).size == 1
    # The same label, however it is written.
    conditions = Conditions.fit(np.array([3, 5]), rows=2)
    for same in ([5, 3], [5.0, 3.0], ["5", "3"]):
        assert conditions.encode(same, rows=2).tolist() == [[0, 1], [1, 0]]
    assert conditions.encode(5, rows=3).tolist() == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a"], "given must have one value for each of the 2 rows; got 1"),
        (["a", "z"], r"given: row 1 is 'z', which no row of the fit was given"),
        (["a", None], "given: row 1 is missing; every row must be given a label"),
        (None, r"given: this model was fitted on rows with given \(a label, one of 2\)"),
        (np.ones((2, 3)), r"fitted on given \(a label, one of 2\); got 3 columns"),
        (np.ones((2, 3, 1)), r"given must have one value, or one row of values, per row; got the shape \(2, 3, 1\)"),
    ],
)
def test_what_does_not_fit_is_said(given: object, said: str) -> None:
    with pytest.raises(ist.InputError, match=said):
        Conditions.fit(["a", "b"], rows=2).encode(given, rows=2)


def test_quantities_must_be_finite_and_numbers() -> None:
    conditions = Conditions.fit([0.5, 1.5], rows=2)
    with pytest.raises(ist.InputError, match="given: row 1 is nan; every row must be given a finite number"):
        conditions.encode([1.0, np.nan], rows=2)
    with pytest.raises(ist.InputError, match="given was numbers in the fit; got 'a'"):
        conditions.encode(["a", "b"], rows=2)


def test_identifiers_are_no_labels() -> None:
    with pytest.raises(ist.InputError, match="given has 1,001 different labels in 1,001 rows"):
        Conditions.fit([f"id{i}" for i in range(1001)], rows=1001)


def test_a_missing_column_of_a_frame_is_named() -> None:
    conditions = Conditions.fit(pd.DataFrame({"age": [1.0, 2.0]}), rows=2)
    with pytest.raises(ist.InputError, match=r"given column 'age' is missing"):
        conditions.encode(pd.DataFrame({"ages": [1.0, 2.0]}), rows=2)


def test_the_code_need_not_hold_what_is_given() -> None:
    """With the group given, one number per row is enough for data that need three without it."""
    with_it, without = fitted(), ist.Autoencoder(code_size=1, epochs=60, random_state=0, learning_rate=1e-2).fit(X)
    error = np.square(with_it.reconstruct(X, given=GROUP) - X).mean()
    assert error < 0.2 * np.square(without.reconstruct(X) - X).mean()
    moved = with_it.reconstruct(X, given=(GROUP + 1) % 3)
    assert np.square(moved - X).mean() > 10 * error
    # The same code with another label: the same row of another group.
    swapped = with_it.inverse_transform(with_it.transform(X, given=GROUP), given=0)
    assert swapped[GROUP == 1].mean(0) == pytest.approx(X[GROUP == 0].mean(0), abs=1.0)


@pytest.mark.parametrize("use", ["transform", "reconstruct", "score_samples", "score", "diagnose"])
def test_it_is_needed_everywhere(use: str) -> None:
    model = fitted(epochs=1)
    with pytest.raises(ist.InputError, match="given: this model was fitted on rows with given"):
        getattr(model, use)(X)
    assert getattr(model, use)(X, given=GROUP) is not None


def test_a_model_without_it_refuses_it() -> None:
    model = ist.Autoencoder(epochs=1, random_state=0).fit(X)
    with pytest.raises(ist.InputError, match="given: this model was fitted without it"):
        model.transform(X, given=GROUP)


def test_it_is_kept_in_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"group": GROUP.astype(str), "age": DRAW.random(300)})
    model = ist.Autoencoder(code_size=1, epochs=2, random_state=0).fit(X, given=frame)
    again = ist.load(model.save(tmp_path / "model.safetensors"))
    assert again.conditions_ == model.conditions_
    assert np.array_equal(again.transform(X, given=frame), model.transform(X, given=frame))


def test_it_is_learnt_in_passes() -> None:
    model = ist.Autoencoder(code_size=1, random_state=0)
    model.partial_fit(X, given=GROUP).partial_fit(X, given=GROUP)
    assert model.transform(X, given=GROUP).shape == (300, 1)
    with pytest.raises(ist.InputError, match="given: this model was fitted on rows"):
        model.partial_fit(X)


def test_a_resumed_fit_was_given_the_same(tmp_path: Path) -> None:
    settings = {"code_size": 1, "epochs": 4, "random_state": 0, "checkpoint": tmp_path / "state"}
    ist.Autoencoder(**{**settings, "epochs": 4}).fit(X, given=GROUP)
    with pytest.raises(ist.TrainingError, match="given"):
        ist.Autoencoder(**settings).fit(X, given=(GROUP + 1) % 3, resume=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": [1, 2]}, "given must have one value, or one row of values, per row"),
        (3, "given must have one value, or one row of values, per row; got 3"),
        (np.zeros((2, 0)), "given has no columns"),
        (np.array([1j, 2j]), "given must hold labels or numbers; got complex numbers"),
        (np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"), "given must hold labels or numbers; got dates"),
        (None, "given"),
    ],
)
def test_what_nothing_can_be_learnt_from(given: object, said: str) -> None:
    with pytest.raises(ist.InputError, match=said):
        Conditions.fit(given, rows=2)


def test_unique_labels_are_identifiers() -> None:
    with pytest.raises(ist.InputError, match="given has 50 different labels in 50 rows, too many to learn from"):
        Conditions.fit([f"id{i}" for i in range(50)], rows=50)


def test_an_unseen_whole_number_may_have_been_meant_as_a_quantity() -> None:
    with pytest.raises(ist.InputError, match=r"row 1 is '7'.* If these are quantities, fit with floats"):
        Conditions.fit([1, 2, 1], rows=3).encode([1, 7], rows=2)


def test_fit_transform_hands_it_on() -> None:
    model = ist.Autoencoder(code_size=1, epochs=1, random_state=0)
    assert np.array_equal(model.fit_transform(X, given=GROUP), model.transform(X, given=GROUP))


def test_it_is_the_second_input_of_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    noise = ist.GaussianNoise(0.3, tell=True)
    model = ist.Autoencoder("denoising", corruption=noise, code_size=1, epochs=1, random_state=0).fit(X, given=GROUP)
    uses = {"encoder": model.transform, "reconstruct": model.reconstruct, "score": model.score_samples}
    for part, use in uses.items():
        session = onnxruntime.InferenceSession(model.export_onnx(tmp_path / f"{part}.onnx", part))
        inputs = {"x": X.astype(np.float32), "given": np.eye(3, dtype=np.float32)[GROUP]}
        (got,) = session.run(None, inputs)
        np.testing.assert_allclose(got, use(X, given=GROUP), rtol=1e-4, atol=1e-4)
