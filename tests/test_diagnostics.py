"""Every verdict both ways: on compositions trained for the purpose, and at its threshold."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from isthmus import verdicts
from isthmus.composition import Composition, compose
from isthmus.diagnostics import Diagnosis, FitRecord, diagnose
from isthmus.diagnostics.copying import copying_verdict
from isthmus.diagnostics.probe import Probe
from isthmus.diagnostics.reach import range_verdict
from isthmus.diagnostics.restraint import Restraint
from isthmus.diagnostics.usage import Unused, dead_units, dead_verdict
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import Mask
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.records import Batch, Layout, Pass

DIGITS = torch.tensor(load_digits().data / 16, dtype=torch.float32)


def fit(
    x: torch.Tensor, code_size: int, hidden: tuple[int, ...], *, epochs: int = 25, held_out: int = 150, **parts: str
) -> tuple[Composition, Layout, FitRecord]:
    """A plain training loop, and the record that an estimator would make of it."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x), generator=generator)
    held, train = x[order[:held_out]], x[order[held_out:]]
    layout = Layout((x.shape[1],), ("column",))
    network = Dense(hidden=hidden, output_activation=parts.get("output", "identity"))
    encoder, decoder = network.build(layout, code_size, code_size, x.shape[1], generator)
    corruption = Mask(0.4) if parts.get("corruption") else None
    model = compose(encoder, Plain(parts.get("code", "identity")), decoder, Squared(1.0), corruption=corruption)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        for rows in torch.randperm(len(train), generator=generator).split(64):
            objective, _ = model.objective(model.trace(Batch(train[rows], layout), Pass(generator, epoch, True)))
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
    pca = PCA(min(code_size + 5, x.shape[1], len(train) - 1)).fit(train.numpy())
    judged = held.numpy() if held_out else train.numpy()
    codes = pca.transform(judged)
    errors = [
        np.square(judged - pca.mean_ - codes[:, :k] @ pca.components_[:k]).mean() for k in range(codes.shape[1] + 1)
    ]
    errors_of = [
        float(Probe(model, layout, rows).evaluate()[1].mean()) if len(rows) else math.nan for rows in (train, held)
    ]
    sizes = (code_size, x.shape[1], len(train), held_out)
    record = FitRecord(*sizes, *errors_of, float(errors[0]), np.array(errors), epochs, f"finished {epochs} epochs")
    return model, layout, record


@pytest.fixture(scope="module")
def digits() -> tuple[Composition, Layout, FitRecord]:
    return fit(DIGITS, 10, (96,), epochs=50)


def copying(*figures: float, size: int = 2, features: int = 10) -> verdicts.Verdict:
    return copying_verdict(*figures, size=size, features=features)


def record(**changes: object) -> FitRecord:
    """A good fit: held-out error 0.2, PCA 0.4, the mean 1."""
    good = FitRecord(2, 10, 900, 100, 0.18, 0.2, 1.0, np.array([1.0, 0.6, 0.4, 0.3]), 30, "no more gain")
    return replace(good, **changes)


def test_an_undercomplete_fit_of_digits_is_good(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    found = diagnose(model, layout, DIGITS, fitted)
    assert [(verdict.name, verdict.level) for verdict in found.verdicts] == [
        ("PCA", "good"),
        ("memorising", "good"),
        ("underfitting", "good"),
        ("these rows", "good"),
        ("copying", "good"),
        ("balance", "good"),
        ("attractors", "good"),
        ("lone rows", "good"),
        ("numbering", "good"),
        ("dead units", "good"),
        ("activity", "good"),
        ("neighbours", "good"),
        ("output range", "good"),
        ("continuity of decoding", "good"),
    ]
    assert found.good
    assert found.figures["shuffled_share"] > 0.5
    assert found.figures["pca_ratio"] == pytest.approx(fitted.held_out_error / fitted.pca_errors[10])
    assert found.figures["parameters"] == sum(p.numel() for p in model.parameters())
    assert "smaller than that of PCA with 10 components" in found["PCA"].sentence


def test_figures_are_the_errors_of_the_rows_in_reported_units(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    x = DIGITS[:300]
    with torch.no_grad():
        batch = Batch(x, layout)
        out = model.rebuild(model.represent(batch), model.context(batch))
    error = float((out - x).square().mean())
    found = diagnose(model, layout, x, fitted, unit=np.full(64, 16.0))
    assert found.figures["scaled_rmse"] == pytest.approx(math.sqrt(error), rel=1e-5)
    assert found.figures["rmse"] == pytest.approx(16 * math.sqrt(error), rel=1e-5)
    assert found.figures["explained_share"] == pytest.approx(1 - error / float(x.var(0, correction=0).mean()), rel=1e-4)


def test_a_diagnosis_changes_nothing_and_is_the_same_twice(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    first, second = (diagnose(model, layout, DIGITS, fitted) for _ in range(2))
    assert str(first) == str(second)
    np.testing.assert_equal(first.figures, second.figures)
    assert model.training
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_more_rows_than_are_looked_at(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    whole = diagnose(model, layout, DIGITS, fitted)
    many = diagnose(model, layout, DIGITS.repeat(4, 1), fitted)
    assert many.figures["rmse"] == pytest.approx(whole.figures["rmse"], rel=0.03)


@pytest.mark.parametrize("hidden", [(), (192,)], ids=["linear", "deep"])
def test_a_wide_code_that_copies_is_found_out(hidden: tuple[int, ...]) -> None:
    model, layout, fitted = fit(DIGITS, 96, hidden, epochs=50)
    found = diagnose(model, layout, DIGITS, fitted)
    assert found["copying"].level == "bad"
    assert not found.good
    assert found["PCA"].level == "note"
    assert "as wide as the data (64 columns)" in found["PCA"].sentence
    assert math.isnan(found.figures["pca_ratio"])


def test_a_wide_code_that_removes_noise_does_not_copy() -> None:
    model, layout, fitted = fit(DIGITS, 96, (192,), epochs=15, corruption="mask")
    assert diagnose(model, layout, DIGITS, fitted)["copying"].level == "good"


def test_columns_without_structure_are_no_copying_and_little_to_learn() -> None:
    x = torch.randn(1000, 20, generator=torch.Generator().manual_seed(3))
    model, layout, fitted = fit(x, 1, (16,))
    found = diagnose(model, layout, x, fitted)
    assert found["copying"].level == "good"
    assert found["underfitting"].level == "note"
    assert "little to learn" in found["underfitting"].sentence


def test_one_column_of_large_variance_is_no_copying() -> None:
    # A fifth of the columns holds 99 % of the variance, and it is all that is kept.
    assert copying(0.02, 1.0, 0.02, 0.02, 0.2).level == "good"
    assert copying(0.02, 1.0, 0.02, 0.02, 0.8).level == "bad"


def test_copying_thresholds() -> None:
    assert copying(0.04, 1.0, 0.099, 0.1, 1.0).level == "bad"  # less than 3 times the real error
    assert copying(0.03, 1.0, 0.099, 0.1, 1.0).level == "good"  # more than 3 times
    assert copying(0.09, 1.0, 0.101, 0.1, 1.0).level == "good"  # more than a tenth lost
    assert copying(0.0001, 1.0, 0.049, 0.1, 1.0).level == "bad"


def test_twenty_images_learnt_by_heart() -> None:
    model, layout, fitted = fit(DIGITS[:30], 10, (256,), epochs=300, held_out=10)
    assert fitted.train_error < 1e-3
    found = diagnose(model, layout, DIGITS[:30], fitted)
    assert found["memorising"].level == "bad"
    assert "its 20 training rows by heart" in found["memorising"].sentence
    assert found["underfitting"].level == "good"  # what it did is the opposite


@pytest.mark.parametrize(
    ("train", "held_out", "level", "sentence"),
    [
        (0.25, 0.2, "good", "Held-out rows (100) fare no worse than training rows: their squared error is 0.80 times"),
        (0.2, 0.26, "good", "Held-out rows (100) fare nearly as well as training rows: their squared error is 1.30 "),
        (0.2, 0.28, "good", "Held-out rows have 1.40 times the squared error of training rows."),
        (0.2, 0.3, "good", "Held-out rows have 1.50 times the squared error of training rows."),
        (0.2, 0.32, "note", "It fits its 900 training rows closer than others: on held-out rows its squared error is "),
        (0.25, 0.61, "note", "It has learnt some of its 900 training rows by heart: on held-out rows its squared "),
        (0.2, 0.61, "bad", "It has learnt its 900 training rows by heart: on held-out rows its squared error is 3.0"),
        (0.021, 0.2, "note", "It has learnt some of its 900 training rows by heart: on held-out rows its squared "),
        (0.019, 0.2, "bad", "It has learnt its 900 training rows by heart: on held-out rows its squared error is 10."),
        (0.0001, 0.2, "bad", "It has learnt its 900 training rows by heart: on held-out rows its squared error is mor"),
        (0.0, 0.61, "bad", "It has learnt its 900 training rows by heart: training rows are rebuilt exactly, held-ou"),
        (0.005, 0.014, "good", "Of held-out rows it loses only 1.4 % of the variance, though 2.8 times as much as of "),
        (0.0, 0.009, "good", "Of held-out rows it loses only 0.90 % of the variance, though training rows are "),
        (0.0, 0.0, "good", "It rebuilds training rows and held-out rows without any error."),
    ],
)  # fmt: skip
def test_memorising_thresholds(train: float, held_out: float, level: str, sentence: str) -> None:
    found = verdicts.memorising_verdict(record(train_error=train, held_out_error=held_out))
    assert (found.level, found.sentence[: len(sentence)]) == (level, sentence)
    assert "infinit" not in found.sentence


def test_a_factor_is_not_absurdly_precise() -> None:
    assert verdicts.times(1000.0) == "1,000 times"
    assert verdicts.times(1e9) == verdicts.times(math.inf) == "more than 1,000 times"
    assert verdicts.percent(1e9) == verdicts.percent(math.inf) == "more than 100,000 %"
    assert verdicts.times(1.999) == "2.0 times"


def test_advice_does_not_contradict_itself() -> None:
    """Both fit the training rows too closely and are behind PCA: no larger network, and no longer training."""
    both = record(train_error=0.3, held_out_error=0.5)
    found = [verdicts.pca_verdict(both), verdicts.memorising_verdict(both), verdicts.underfitting_verdict(both)]
    assert [verdict.level for verdict in found] == ["bad", "note", "bad"]
    assert [verdict.advice for verdict in found] == [
        "more rows, a smaller network, or the kind 'linear'.",
        "more rows, or the kind 'linear'.",
        "more rows, another learning_rate, or the kind 'linear'.",
    ]


def test_a_code_of_one_unit_is_not_to_be_smaller() -> None:
    one = {"code_size": 1, "pca_errors": np.array([1.0, 0.5])}
    found = [
        verdicts.pca_verdict(record(features=1, **one)),
        verdicts.pca_verdict(record(**{**one, "pca_errors": np.zeros(2), "held_out_error": 0.0})),
        verdicts.memorising_verdict(record(train_error=0.019, **one)),
        copying(0.04, 1.0, 0.03, 0.1, 1.0, size=1),
        dead_verdict(Unused((0,)), 1, 100),
        dead_verdict(Unused((0,)), 1, 100, held=Restraint(("a lower penalty weight",))),
    ]
    assert [verdict.level for verdict in found] == ["note", "note", "bad", "bad", "bad", "bad"]
    assert [verdict.advice for verdict in found] == [
        "",
        "",
        "more rows, a smaller network, or the kind 'denoising'.",
        "the kind 'sparse' or 'denoising'.",
        "another learning_rate.",
        "a lower penalty weight, or another learning_rate.",
    ]
    assert found[0].sentence.startswith("The code (1 unit) is as wide as the data (1 column), ")
    assert copying(0.0, 1.0, 0.0, 0.0, 1.0, size=1, features=1).level == "note"


def test_rows_unlike_those_of_the_fit() -> None:
    assert verdicts.rows_verdict(record(), 0.3, 100).level == "good"
    assert verdicts.rows_verdict(record(), 0.31, 100).level == "note"
    assert verdicts.rows_verdict(record(), 0.61, 100).level == "bad"
    assert verdicts.rows_verdict(record(), 0.61, 29).level == "note"
    near = verdicts.rows_verdict(record(held_out_error=0.001), 0.009, 100)
    assert (near.level, near.figure) == ("note", pytest.approx(9.0))  # much worse, but little is lost
    told = verdicts.rows_verdict(record(held_out_error=0.22, mean_error=2.0), 1.04, 100)
    assert told.sentence == (
        "The rows given lose 52 % of the variance that the fit's data have; the fit's held-out rows lost 11 %: "
        "they differ from the training rows."
    )
    assert told.advice.startswith("to look for what has changed")
    alone = verdicts.rows_verdict(record(held_out_rows=0, held_out_error=math.nan), 0.18, 100)
    assert alone.sentence.endswith("the fit's training rows lost 18 %.")


def test_other_rows_are_told_from_those_of_the_fit(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    other = 2 * DIGITS.flip(0)[:200] - 1
    found = diagnose(model, layout, other, fitted)
    assert found["these rows"].level == "bad"
    assert found["these rows"].figure == pytest.approx(found.figures["scaled_rmse"] ** 2 / fitted.held_out_error)
    assert [found[name].level for name in ("PCA", "memorising", "underfitting")] == ["good"] * 3  # they judge the fit


def test_without_held_out_rows_those_given_may_show_what_was_learnt_by_heart() -> None:
    alone = record(held_out_rows=0, held_out_error=math.nan, train_error=0.1)
    assert verdicts.memorising_verdict(alone, 0.29).level == "note"
    found = verdicts.memorising_verdict(alone, 0.31)
    assert (found.level, found.figure) == ("bad", pytest.approx(3.1))
    assert found.sentence.startswith("It has learnt its 900 training rows by heart, or the rows given are of another ")
    assert verdicts.memorising_verdict(replace(alone, train_error=0.0), 0.009).level == "note"  # little is lost
    exact = replace(alone, train_error=9e-5, train_rows=9)
    assert verdicts.memorising_verdict(exact, 9e-5).level == "bad"
    assert "9 training rows all but exactly, of which PCA" in verdicts.memorising_verdict(exact, 9e-5).sentence
    assert verdicts.memorising_verdict(replace(exact, train_rows=10), 9e-5).level == "note"  # as many as columns
    assert verdicts.memorising_verdict(replace(exact, train_error=2e-4), 2e-4).level == "note"
    assert verdicts.memorising_verdict(replace(exact, pca_errors=np.array([1.0, 0.1, 0.009])), 9e-5).level == "note"


def test_no_held_out_rows_are_said_to_be_missing() -> None:
    alone = record(held_out_rows=0, held_out_error=math.nan)
    assert verdicts.memorising_verdict(alone).sentence == "Cannot be judged: no rows were held out."
    pca = verdicts.pca_verdict(alone)
    assert pca.level == "note"
    assert pca.sentence == (
        "On training rows (none were held out) its squared error is 2.2 times smaller than that of PCA with 2 "
        "components, but rows that were trained on cannot tell which is better on others."
    )
    assert pca.figure == pytest.approx(0.18 / 0.4)


def test_pca_thresholds() -> None:
    assert verdicts.pca_verdict(record(held_out_error=0.39)).level == "good"
    equal = verdicts.pca_verdict(record(held_out_error=0.4))
    assert (equal.level, equal.figure) == ("note", 1.0)
    assert verdicts.pca_verdict(record(held_out_error=0.439)).level == "note"
    assert verdicts.pca_verdict(record(held_out_error=0.441)).level == "bad"
    assert "25 % smaller" in verdicts.pca_verdict(record(held_out_error=0.3)).sentence
    assert verdicts.pca_verdict(record(pca_errors=np.zeros(0))).level == "note"
    exact = verdicts.pca_verdict(record(held_out_error=1e-8, pca_errors=np.array([1.0, 0.0, 0.0])))
    assert (exact.level, "exactly" in exact.sentence) == ("note", True)
    fewer = verdicts.pca_verdict(record(code_size=5, pca_errors=np.array([0.1, 0.1])))
    assert fewer.sentence == (
        "On held-out rows it is worse than PCA with 1 component: its squared error is 2.0 times as large."
    )
    perfect = verdicts.pca_verdict(record(pca_errors=np.array([1.0, 0.0, 0.0])))
    assert perfect.sentence.endswith("PCA rebuilds them exactly, and this model loses 20 % of their variance.")
    assert "more than 1,000 times smaller" in verdicts.pca_verdict(record(held_out_error=0.0)).sentence


@pytest.mark.parametrize("error", [0.393, 0.4, 0.407])
def test_about_the_same_as_pca(error: float) -> None:
    found = verdicts.pca_verdict(record(held_out_error=error))
    assert found.level == "note"
    assert "its squared error is about the same as that of PCA with 2 components" in found.sentence
    assert "no better" in verdicts.pca_verdict(record(held_out_error=0.409)).sentence


@pytest.mark.parametrize(
    ("rows", "error", "spread", "level", "sentence"),
    [
        (30, 0.32, 0.039, "good", "On held-out rows its squared error is 20 % smaller than that of {}."),
        (30, 0.32, 0.041, "note", "On held-out rows its squared error is 20 % smaller than that of {}, but these rows "
                                  "cannot tell them apart (difference -0.08 ± 0.082)."),
        (17, 0.32, 0.06, "note", "On 17 held-out rows its squared error is 20 % smaller than that of {}, but so few "
                                 "rows cannot tell them apart (difference -0.08 ± 0.12)."),
        (17, 0.32, 0.01, "note", "On 17 held-out rows its squared error is 20 % smaller than that of {}, but so few "
                                 "rows are no proof (difference -0.08 ± 0.02)."),
        (29, 0.32, math.nan, "note", "On 29 held-out rows its squared error is 20 % smaller than that of {}, but so "
                                     "few rows cannot tell them apart."),
        (30, 0.32, math.nan, "good", "On held-out rows its squared error is 20 % smaller than that of {}."),
        (30, 0.5, 0.04, "bad", "On held-out rows it is worse than {}: its squared error is 1.25 times as large."),
        (30, 0.5, 0.06, "note", "On held-out rows its squared error is 25 % larger than that of {}, but these rows "
                                "cannot tell them apart (difference 0.1 ± 0.12)."),
        (1, 1.2, math.nan, "note", "On 1 held-out row its squared error is 3.0 times as large as that of {}, but so "
                                   "few rows cannot tell them apart."),
    ],
)  # fmt: skip
def test_rows_too_few_to_tell_from_pca(rows: int, error: float, spread: float, level: str, sentence: str) -> None:
    found = verdicts.pca_verdict(record(held_out_rows=rows, held_out_error=error, pca_margin_spread=spread))
    assert (found.level, found.sentence) == (level, sentence.format("PCA with 2 components"))
    assert found.figure == pytest.approx(error / 0.4)


def test_an_untrained_network_underfits() -> None:
    model, layout, fitted = fit(DIGITS, 10, (96,), epochs=0)
    found = diagnose(model, layout, DIGITS, fitted)
    assert found["underfitting"].level == "bad"
    assert found["underfitting"].advice.startswith("more epochs (it finished 0 epochs)")
    assert found["PCA"].level == "bad"
    assert "less corruption" not in found["underfitting"].advice
    held_back = replace_corruption(model)
    assert (
        "(it finished 0 epochs), less corruption, another"
        in diagnose(held_back, layout, DIGITS, fitted)["underfitting"].advice
    )


def replace_corruption(model: Composition) -> Composition:
    return compose(model.encoder, model.bottleneck, model.decoder, model.loss, corruption=Mask(0.4))


def test_training_that_ran_out_of_time_asks_for_more() -> None:
    late = record(train_error=0.45, held_out_error=0.45, stopped="stopped after 3 s (max_time), in epoch 2")
    for verdict in (verdicts.underfitting_verdict(late), verdicts.pca_verdict(late)):
        assert verdict.advice.startswith("a larger max_time")
        assert "more epochs" not in verdict.advice
    both = replace(late, train_error=0.3, held_out_error=0.5)
    found = [verdicts.pca_verdict(both), verdicts.memorising_verdict(both), verdicts.underfitting_verdict(both)]
    assert [verdict.advice for verdict in found] == [
        "a larger max_time, or the kind 'linear'.",
        "more rows, or the kind 'linear'.",
        "a larger max_time (it stopped after 3 s, in epoch 2), or the kind 'linear'.",
    ]


def test_underfitting_thresholds() -> None:
    assert verdicts.underfitting_verdict(record()).level == "good"
    behind = record(train_error=0.45, held_out_error=0.45)
    assert verdicts.underfitting_verdict(behind).level == "bad"
    assert verdicts.underfitting_verdict(replace(behind, train_error=0.1)).level == "good"  # memorising instead
    close = record(train_error=0.005, held_out_error=0.005, pca_errors=np.array([1.0, 0.5, 0.004]))
    assert verdicts.underfitting_verdict(close).level == "note"
    nothing = record(train_error=0.95, held_out_error=0.95)
    assert "hardly learnt anything" in verdicts.underfitting_verdict(nothing).sentence
    assert verdicts.underfitting_verdict(record(mean_error=0.0)).sentence == "Cannot be judged: the rows do not vary."


def test_dead_units_are_counted_and_named() -> None:
    model, layout, fitted = fit(DIGITS, 8, (32,), epochs=3, code="relu")
    with torch.no_grad():
        last = model.encoder.linear[-1]
        last.bias.fill_(1.0)
        for unit in (2, 5):
            last.weight[unit] = 0
            last.bias[unit] = -1
    found = diagnose(model, layout, DIGITS, fitted)
    assert found["dead units"].level == "note"
    assert found["dead units"].sentence == "2 of 8 code units are the same for every row (counted from 0: 2, 5)."
    assert found.figures["dead_units"] == 2.0
    assert dead_verdict(Unused((0, 1, 2, 3)), 8, 100).level == "bad"
    assert dead_verdict(Unused((0, 1, 2)), 8, 100).level == "note"
    assert dead_verdict(Unused((0, 1), (5, 7), 2e-5), 8, 100).sentence == (
        "4 of 8 code units hardly change what is rebuilt (counted from 0: 0, 1, 5, 7): moved over its own spread, the "
        "best of them changes it by less than 0.01 % of the variance. 2 of them are the same for every row."
    )


def test_a_unit_that_is_constant_but_large_is_dead() -> None:
    codes = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * 1e-3
    codes[:, 1] = 1e4 + 1e-3 * codes[:, 0]
    assert dead_units(codes) == [1]


def test_an_output_that_cannot_reach_the_data() -> None:
    x = (DIGITS - DIGITS.mean(0)) / DIGITS.std(0).clamp(min=1e-3)
    model, layout, fitted = fit(x, 10, (32,), epochs=3, output="sigmoid")
    names = tuple(f"pixel {i}" for i in range(64))
    found = diagnose(model, layout, x, fitted, names=names, output_reach=(0.0, 1.0))
    outside = ((x < 0) | (x > 1)).double()
    assert found["output range"].level == "bad"
    assert found.figures["unreachable_share"] == pytest.approx(float(outside.mean()), abs=1e-3)
    assert repr(names[int(outside.mean(0).argmax())]) in found["output range"].sentence
    assert diagnose(model, layout, x, fitted)["output range"].level == "good"
    assert diagnose(model, layout, DIGITS, fitted, output_reach=(0.0, 1.0))["output range"].level == "good"
    rare = np.zeros(10)
    rare[3] = 0.05
    assert range_verdict(rare, (0.0, 1.0), None).level == "note"
    assert "column number 3 (5.0 %)" in range_verdict(rare, (0.0, 1.0), None).sentence


def test_one_row_and_constant_rows_are_not_judged(digits: tuple[Composition, Layout, FitRecord]) -> None:
    model, layout, fitted = digits
    one = diagnose(model, layout, DIGITS[:1], fitted)
    assert one["copying"].level == one["dead units"].level == "note"
    same = diagnose(model, layout, DIGITS[:1].expand(20, -1), fitted)
    assert same["copying"].sentence == "Cannot be judged: the rows given do not vary."
    json.dumps(same.to_dict(), allow_nan=False)


def test_how_it_prints_and_is_written_as_json() -> None:
    found = Diagnosis(
        (
            verdicts.Verdict("PCA", "good", "Better.", 0.5),
            verdicts.Verdict("dead units", "bad", "Many.", math.nan, "fewer."),
        ),
        {"rmse": 1.5, "pca_ratio": math.inf},
    )
    assert str(found) == "  ok  PCA         Better.\n BAD  dead units  Many.\n                  Try: fewer."
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["good"] is False
    assert written["figures"] == {"rmse": 1.5, "pca_ratio": None}
    assert written["verdicts"][1] == {
        "name": "dead units", "level": "bad", "sentence": "Many.", "figure": None, "advice": "fewer.",
    }  # fmt: skip
    with pytest.raises(KeyError, match=r"no verdict is called 'dead unit'\. Did you mean 'dead units'\?"):
        found["dead unit"]


def test_a_code_as_wide_as_the_data_needs_no_advice_where_something_else_restrains_it() -> None:
    wide = record(code_size=12)
    plain, meant = verdicts.pca_verdict(wide), verdicts.pca_verdict(wide, wide=True)
    assert (plain.level, plain.advice) == ("note", "a smaller code_size, unless a wide code is the purpose.")
    assert (meant.level, meant.advice, meant.sentence) == ("good", "", plain.sentence)
    assert verdicts.pca_verdict(record(), wide=True) == verdicts.pca_verdict(record())


def test_a_model_that_rebuilds_hardly_anything_cannot_be_judged_for_copying() -> None:
    assert copying(0.94, 1.0, 1.01, 1.66, 0.0).level == "good"
    found = copying(0.96, 1.0, 1.01, 1.66, 0.0)
    assert (found.level, found.advice) == ("note", "")
    assert found.sentence == (
        "Cannot be judged of a model that rebuilds hardly anything: of real rows it loses 96 % of the variance, of "
        "rows with their columns shuffled 101 %, of noise 166 %."
    )
