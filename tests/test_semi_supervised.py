"""Classes learnt from labels of some rows: the bottleneck, y as users write it, and the estimator."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from checks_for_kinds import Case

import isthmus as ist
from isthmus.data.classes import classes_of, numbered
from isthmus.errors import InputError
from isthmus.parts.priors.labelled import some_classes
from isthmus.records import Context, Pass, Site


def clusters(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three well-parted clusters of 6 columns, and the cluster of every row."""
    draw = np.random.default_rng(seed)
    middles = 3 * np.random.default_rng(9).standard_normal((3, 6))
    kind = draw.integers(3, size=rows)
    return middles[kind] + draw.standard_normal((rows, 6)), kind


def test_the_cost_is_the_papers() -> None:
    """Labelled and unlabelled rows, term by term in float64."""
    composition = Case("semi_supervised").build(corruption=None, rate=1.0).double()
    labels = torch.tensor([0, 1, -1, -1])
    batch = Case("semi_supervised").batch(4, labels=labels)
    trace = composition.trace(batch, Pass(torch.Generator().manual_seed(0), training=True))
    code, log_q = trace.code, torch.log_softmax(trace.hidden[:, :2], 1)
    # The classes stand in the order of their shares: back to that of their numbers.
    order = code.z[..., :2].argmax(-1).argsort(0)
    losses = composition.losses(trace).gather(0, order)
    divergence = code.posterior.rest.divergence().sum(1)
    expected = []
    for row, label in enumerate(labels.tolist()):
        if label >= 0:
            told = losses[label, row] + divergence[row] + math.log(2) - 10.0 * log_q[row, label]
        else:
            told = sum(
                log_q[row, y].exp() * (losses[y, row] + divergence[row] + math.log(2) + log_q[row, y]) for y in (0, 1)
            )
        expected.append(told)
    torch.testing.assert_close(composition.cost(trace), torch.stack(expected))
    assert torch.equal(code.shares[:, :2], torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("tries", [2, 3, 4, 5])
def test_a_few_classes_stand_for_all_without_bias(tries: int) -> None:
    """Sum of shares f(class): its mean is that of sum q f, and its slope that of sum q f; f is far from 0."""
    logits = torch.tensor([0.3, 1.2, -0.5, 0.1, -2.0], dtype=torch.float64, requires_grad=True)
    values = torch.tensor([101.0, 103.0, 98.0, 100.0, 110.0], dtype=torch.float64)
    log_q, rows = torch.log_softmax(logits, 0).expand(100_000, 5), torch.Generator().manual_seed(0)
    tried, shares = some_classes(log_q, torch.full((100_000,), -1), tries, rows)
    assert tried.shape == shares.shape == (tries, 100_000)
    assert tried.sort(0).values.diff(dim=0).min() > 0  # no class twice
    torch.testing.assert_close(shares.sum(0), torch.ones(100_000, dtype=torch.float64))
    estimate, exact = (shares * values[tried]).sum(0).mean(), (log_q[0].exp() * values).sum()
    slopes = [torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (estimate, exact)]
    torch.testing.assert_close(estimate, exact, rtol=0, atol=0.02 if tries < 5 else 1e-9)
    torch.testing.assert_close(*slopes, rtol=0, atol=0.02 if tries < 5 else 1e-9)


def test_a_known_class_comes_first_and_alone_counts() -> None:
    log_q = torch.log_softmax(torch.tensor([[2000.0, 0.0, -1.0, -2000.0]]), 1).repeat(2, 1)
    tried, shares = some_classes(log_q, torch.tensor([3, -1]), 2, torch.Generator().manual_seed(0))
    assert tried[0].tolist() == [3, 0]
    assert tried[1].tolist()[0] == 0  # the most probable of the others
    assert shares.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_training_tries_some_classes_and_evaluation_all() -> None:
    bottleneck = ist.Labelled(classes=6, tries=3).build(Site(code_size=8))
    hidden = torch.randn(5, bottleneck.width(8), generator=torch.Generator().manual_seed(0))
    passes = [Pass(torch.Generator().manual_seed(0), training=training) for training in (True, False)]
    some, every = (bottleneck(hidden, Context((4,), pass_=one)) for one in passes)
    assert (some.draws, every.draws) == (3, 6)
    assert (some.z.shape, every.z.shape) == ((3, 5, 8), (6, 5, 8))
    torch.testing.assert_close(every.shares.sort(0).values, torch.softmax(hidden[:, :6], 1).T.sort(0).values)
    with pytest.raises(InputError, match="tries must be a whole number >= 2; got 1"):
        ist.Labelled(tries=1)


def test_labels_of_some_rows_teach_the_others(tmp_path: Path) -> None:
    X, kind = clusters()
    names = np.array(["ant", "bee", "cat"])[kind]
    y = [name if row % 15 == 0 else None for row, name in enumerate(names)]
    ae = ist.Autoencoder("semi_supervised", epochs=60, random_state=0).fit(X, y)
    fresh, truth = clusters(seed=1)
    assert (ae.predict(fresh) == np.array(["ant", "bee", "cat"])[truth]).mean() > 0.95
    shares = ae.predict_proba(fresh)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert ae.transform(fresh).shape == (300, ae.code_size_)
    assert ae.code_size_ == 3 + 2
    again = ist.load(ae.save(tmp_path / "model.safetensors"))
    assert again.classes_.tolist() == ["ant", "bee", "cat"]
    assert (again.predict(fresh) == ae.predict(fresh)).all()
    assert np.isfinite(ae.log_likelihood(fresh[:20], 50).rows).all()
    assert ae.sample(4, random_state=0).shape == (4, 6)
    ae.partial_fit(X, y)
    with pytest.raises(InputError, match="y: row 2 is 'dog', a class that the fit did not see; it saw 'ant', 'bee'"):
        ae.partial_fit(X[:3], ["ant", None, "dog"])


def test_kinds_that_read_no_labels_cannot_predict() -> None:
    X, kind = clusters(60)
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X, kind)
    assert not hasattr(ae, "predict")
    assert not hasattr(ae, "predict_proba")


@pytest.mark.parametrize(
    ("y", "classes", "numbers"),
    [
        (np.array([3, -1, 5, 3]), [3, 5], [0, -1, 1, 0]),
        (np.array([0.0, np.nan, 1.0, np.nan]), [0, 1], [0, -1, 1, -1]),
        (["b", None, "a", float("nan")], ["a", "b"], [1, -1, 0, -1]),
        (["b", "", "a", "b"], ["a", "b"], [1, -1, 0, 1]),
        (np.array([0.0, -1.0, 1.0, np.nan]), [0, 1], [0, -1, 1, -1]),
        (pd.Series([True, False, None, True], dtype="boolean"), [False, True], [1, 0, -1, 1]),
        (pd.Series([4, None, 2, 4], dtype="Int64"), [2, 4], [1, -1, 0, 1]),
        (pd.Categorical(["x", None, "y", "x"]), ["x", "y"], [0, -1, 1, 0]),
    ],
)
def test_missing_labels_as_users_write_them(y: object, classes: list[object], numbers: list[int]) -> None:
    found = classes_of(y, 4)
    assert found.tolist() == classes
    assert numbered(found, y, 4).tolist() == numbers


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "this kind learns from labels of some rows"),
        ([None] * 4, "none is labelled"),
        (
            [1, 1, -1, 1],
            "all are 1 .-1 stands for 'not known': if it is meant as a class, write the classes as 0 and 1",
        ),
        ([2, 2, -1, 2], "all are 2[.]"),
        ([1, 2, 3], "y must have one value for each of the 4 rows; got 3"),
        (np.zeros((4, 2)), r"shape \(4,\)"),
    ],
)
def test_bad_labels_are_put_into_words(y: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classes_of(y, 4)


def test_quantities_are_no_classes() -> None:
    with pytest.raises(InputError, match="quantities are no classes"):
        classes_of(np.random.default_rng(0).standard_normal(100), 100)


def test_a_code_too_small_for_its_classes_is_refused() -> None:
    X, kind = clusters(60)
    with pytest.raises(InputError, match=r"code_size must be > 3"):
        ist.Autoencoder("semi_supervised", code_size=3, epochs=1).fit(X, kind)


def test_held_out_error_is_of_the_most_probable_class() -> None:
    X, kind = clusters()
    y = np.where(np.arange(len(X)) % 3, -1, kind)
    ae = ist.Autoencoder("semi_supervised", epochs=30, random_state=0).fit(X, y)
    rebuilt = ae.reconstruct(X)
    assert np.sqrt(np.square((rebuilt - X) / X.std(0)).mean()) == pytest.approx(ae.history_["valid_rmse"][-1], rel=0.3)


def test_labelled_rows_are_learnt_from_and_the_last_state_is_kept() -> None:
    X, kind = clusters()
    y = np.where(np.arange(len(X)) % 3, -1, kind)
    ae = ist.Autoencoder("semi_supervised", epochs=12, validation_fraction=0.3, random_state=0).fit(X, y)
    assert ae.record_.epochs == 12
    assert 0 < ae.record_.held_out_rows < 0.3 * 300
    assert ae.record_.train_rows + ae.record_.held_out_rows == 300
    everything = ist.Autoencoder("semi_supervised", epochs=2, random_state=0).fit(X, kind)
    assert everything.record_.held_out_rows == 0


def test_a_later_batch_may_hold_labels_of_one_class() -> None:
    X, kind = clusters(60)
    ae = ist.Autoencoder("semi_supervised", random_state=0).partial_fit(X, kind)
    ae.partial_fit(X[:4], [1, -1, 1, 1])
