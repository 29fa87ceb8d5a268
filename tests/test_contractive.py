"""Jacobians and the penalties on them, against finite differences and against one another, in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from checks_for_kinds import CODE_SIZE, FEATURES, LAYOUT, generator, some_rows, training_pass, with_random_weights
from torch import Tensor, nn

from isthmus.composition import Composition, compose
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.jacobian import CodeMap, frobenius, jacobian, norms, rebuilding
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.contractive import Contractive, HigherOrderContractive, relative_error
from isthmus.recipes import Parts
from isthmus.records import Batch, Column, Pass, Seen

DEEP: dict[str, dict[str, Any]] = {
    **{name: {"activation": name} for name in ACTIVATIONS},
    "layer norm": {"norm": "layer"},
    "linear path": {"linear_path": True},
    "tied": {"tied": True},
    "dropout": {"dropout": 0.5},
}
PENALTIES = [Contractive(0.7), HigherOrderContractive(0.7, noise=0.5)]
METHODS = ["closed", "exact", "projection"]


def a_model(*penalties: Any, squash: str = "sigmoid", corruption: Any = None, **network: Any) -> Composition:
    """A composition with every weight random, those that start at 0 included."""
    dense = Dense(**{"hidden": (8, 5), **network})
    parts = Parts(dense, Plain(squash), Squared(1.0), corruption=corruption, penalties=penalties)
    return with_random_weights(parts)


def a_batch(rows: int = 5, **more: Any) -> Batch:
    return Batch(some_rows(rows), LAYOUT, **more)


def finite_differences(function: Any, x: Tensor, step: float = 1e-5) -> Tensor:
    """(n, outputs, features) by central differences."""
    columns = []
    with torch.no_grad():
        for shift in torch.eye(x.shape[1], dtype=x.dtype) * step:
            columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return torch.stack(columns, dim=2)


def coded(model: Composition, batch: Batch) -> Any:
    """x -> the deterministic code, by the composition's own public method."""
    return lambda x: model.represent(replace(batch, x=x))


def differences(model: Composition, batch: Batch) -> Tensor:
    return finite_differences(coded(model, batch), batch.x)


def squares(found: Tensor) -> Tensor:
    return found.square().flatten(1).sum(1)


def estimates(model: Composition, x: Tensor, penalty: Any, times: int) -> Tensor:
    """(times, n) values of a penalty at the same rows, with directions and noise of their own each time."""
    batch = Batch(x.repeat(times, 1), LAYOUT)
    with torch.no_grad():
        return penalty(model.trace(batch, training_pass(5))).reshape(times, -1)


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("network", DEEP)
def test_the_exact_norm_of_a_deep_encoder_is_that_of_finite_differences(network: str) -> None:
    model, batch = a_model(**DEEP[network]), a_batch()
    expected = differences(model, batch)
    found = Contractive(method="exact")(model.trace(batch, training_pass()))
    torch.testing.assert_close(found, squares(expected), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(frobenius(model, batch), squares(expected).sqrt(), rtol=1e-6, atol=1e-9)
    code = CodeMap.of(model, batch)
    torch.testing.assert_close(jacobian(code, code.shown), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("squash", ACTIVATIONS)
@pytest.mark.parametrize("network", [{}, {"tied": True}, {"linear_path": True}])
def test_the_closed_form_is_that_of_finite_differences(network: dict[str, Any], squash: str) -> None:
    model, batch = a_model(hidden=(), squash=squash, **network), a_batch()
    trace, expected = model.trace(batch, training_pass()), differences(model, batch)
    torch.testing.assert_close(Contractive(method="closed")(trace), squares(expected), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(frobenius(model, batch), squares(expected).sqrt(), rtol=1e-6, atol=1e-9)
    exact = Contractive(method="exact")(trace)
    torch.testing.assert_close(Contractive(method="auto")(trace), exact, rtol=1e-12, atol=1e-12)


def test_the_closed_form_for_a_sigmoid_is_the_one_in_the_paper() -> None:
    model = compose(nn.Linear(6, 4), Plain("sigmoid"), nn.Linear(4, 6), Squared(1.0)).double()
    batch = a_batch()
    trace = model.trace(batch)
    h, weight = trace.code.point, model.encoder.module.weight
    expected = ((h * (1 - h)).square() * weight.square().sum(1)).sum(1)
    torch.testing.assert_close(Contractive(method="closed")(trace), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("hidden", [(), (8, 5)])
@pytest.mark.parametrize("projections", [1, 3])
def test_the_estimate_is_unbiased_and_as_spread_as_it_says(hidden: tuple[int, ...], projections: int) -> None:
    model, batch = a_model(hidden=hidden), a_batch(rows=8)
    true, times = differences(model, batch), 4000
    penalty = Contractive(method="projection", projections=projections)
    found = estimates(model, batch.x, penalty, times)
    stated = relative_error(true, projections) * squares(true)
    errors = (found.mean(0) - squares(true)) / (stated / math.sqrt(times))
    assert errors.abs().max() < 4, "the mean is off by more than four of its standard errors"
    # The mean square of many standardised errors is 1, if the stated error is right.
    ratio = ((found - squares(true)) / stated).square().mean(0)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.15, atol=0)
    bound = math.sqrt(2 * (1 - 1 / CODE_SIZE) / projections)
    assert (relative_error(true, projections) <= bound).all()
    assert bound < penalty.error_bound == math.sqrt(2 / projections)


def test_the_chosen_method_follows_the_size_of_the_code() -> None:
    model, batch = a_model(), a_batch()

    def value(projections: int, method: str) -> Tensor:
        return Contractive(method=method, projections=projections)(model.trace(batch, training_pass()))

    assert torch.equal(value(2, "auto"), value(2, "exact"))
    assert torch.equal(value(1, "auto"), value(1, "projection"))
    assert not torch.equal(value(1, "projection"), value(1, "exact"))


# ------------------------------------------------------------------ what counts as input


@pytest.mark.parametrize(("hidden", "method"), [((), "closed"), ((), "exact"), ((8, 5), "exact")])
def test_missing_cells_and_columns_without_numbers_do_not_count(hidden: tuple[int, ...], method: str) -> None:
    model, layout = a_model(hidden=hidden), replace(LAYOUT, columns=(Column(),) * (FEATURES - 1) + (Column("binary"),))
    weight = torch.ones(5, FEATURES, dtype=torch.float64)
    weight[0, 1] = weight[3] = 0
    x = some_rows(5)
    full = differences(model, Batch(torch.where(weight > 0, x, 0.0), LAYOUT))
    x[0, 1] = math.nan
    batch = Batch(x, layout, weight)
    counted = full * (weight * torch.tensor(layout.numeric))[:, None]
    trace = model.trace(batch, training_pass())
    found = Contractive(method=method)(trace)
    torch.testing.assert_close(found, squares(counted), rtol=1e-6, atol=1e-9)
    assert found[3] == 0
    for penalty in (Contractive(method=method), HigherOrderContractive(method=method)):
        for gradient in torch.autograd.grad(penalty(trace).sum(), list(model.encoder.parameters()), retain_graph=True):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("hidden", [(), (8, 5)])
def test_the_norm_is_taken_at_the_corrupted_row(hidden: tuple[int, ...]) -> None:
    model, batch = a_model(hidden=hidden, corruption=GaussianNoise(1.0)), a_batch()
    trace = model.trace(batch, training_pass())
    expected = squares(finite_differences(coded(model, batch), trace.seen.x))
    torch.testing.assert_close(Contractive()(trace), expected, rtol=1e-6, atol=1e-9)
    assert not torch.allclose(expected, squares(differences(model, batch)), rtol=0.01)


def test_what_the_loss_shows_the_encoder_is_what_is_differentiated() -> None:
    model, batch = a_model(), a_batch()
    object.__setattr__(model.loss, "view", torch.sinh)
    expected = finite_differences(lambda v: model.represent(replace(batch, x=torch.asinh(v))), torch.sinh(batch.x))
    torch.testing.assert_close(Contractive()(model.trace(batch)), squares(expected), rtol=1e-6, atol=1e-9)


def test_dropout_of_others_is_at_rest_and_set_going_again() -> None:
    encoder = nn.Sequential(nn.Linear(6, 9), nn.Dropout(0.9), nn.Tanh(), nn.Linear(9, 3))
    model = compose(encoder, Plain("tanh"), nn.Linear(3, 6), Squared(1.0)).double().train()
    batch = a_batch()
    trace = model.trace(batch, training_pass())
    found = Contractive(method="exact")(trace)
    assert encoder[1].training
    torch.testing.assert_close(found, squares(differences(model.eval(), batch)), rtol=1e-6, atol=1e-9)
    assert not encoder[1].training


def test_no_global_random_numbers_are_drawn() -> None:
    model, batch = a_model(), a_batch()
    before = torch.get_rng_state()
    for penalty in (Contractive(method="projection"), HigherOrderContractive(method="projection")):
        first, second = (penalty(model.trace(batch)) for _ in range(2))
        assert torch.equal(first, second)
        one, other = (penalty(model.trace(batch, training_pass(seed))) for seed in (0, 1))
        assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------ the higher order


@pytest.mark.parametrize(("hidden", "method"), [((), "closed"), ((), "exact"), ((8, 5), "exact")])
def test_the_change_of_the_jacobian_is_that_of_finite_differences(hidden: tuple[int, ...], method: str) -> None:
    model, batch = a_model(hidden=hidden), a_batch()
    penalty = HigherOrderContractive(noise=0.3, draws=2, method=method)
    found, source = penalty(model.trace(batch, Pass(generator(3), training=True))), generator(3)
    here, expected = differences(model, batch), torch.zeros(5, dtype=torch.float64)
    for _ in range(2):
        there = batch.x + 0.3 * torch.empty_like(batch.x).normal_(generator=source)
        expected += squares(here - finite_differences(coded(model, batch), there)) / 2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)


def test_the_change_is_estimated_with_the_same_directions_here_and_there() -> None:
    model, batch = a_model(), a_batch()
    exact, found = (
        estimates(model, batch.x, HigherOrderContractive(method=method, projections=2), 4000)
        for method in ("exact", "projection")
    )
    error = ((exact.var(0) + found.var(0)) / 4000).sqrt()
    assert ((exact.mean(0) - found.mean(0)).abs() < 4 * error).all()
    # With directions of their own the estimate would be about as large as the norm itself.
    assert (found.mean(0) < 0.5 * Contractive(method="exact")(model.trace(batch))).all()


def test_a_linear_code_does_not_bend() -> None:
    for hidden in ((), (8, 5)):
        model = a_model(hidden=hidden, activation="identity", squash="identity")
        trace = model.trace(a_batch(), training_pass())
        assert HigherOrderContractive()(trace).abs().max() < 1e-20
        assert Contractive()(trace).min() > 0.01


# ------------------------------------------------------------------ gradients


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(
    ("network", "method"),
    [
        *(
            ({"hidden": (), **more}, method)
            for more in ({}, {"tied": True}, {"linear_path": True})
            for method in METHODS
        ),
        *((DEEP[name], method) for name in DEEP for method in ("exact", "projection")),
    ],
    ids=str,
)
def test_the_gradient_in_the_weights_is_that_of_finite_differences(
    penalty: Any, network: dict[str, Any], method: str
) -> None:
    penalty = replace(penalty, method=method)
    model, batch = a_model(**network), a_batch(3)

    def value() -> Tensor:
        return penalty(model.trace(batch, training_pass())).mean()

    weights = list(model.encoder.parameters())
    found = torch.autograd.grad(value(), weights, materialize_grads=True, allow_unused=True)
    source, step = generator(2), 1e-5
    shifts = [torch.empty_like(w).normal_(generator=source) for w in weights]
    ends = []
    for sign in (1, -2):
        with torch.no_grad():
            for w, shift in zip(weights, shifts, strict=True):
                w.add_(shift, alpha=sign * step)
        ends.append(float(value().detach()))
    slope = sum(float((g * shift).sum()) for g, shift in zip(found, shifts, strict=True))
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-8)


def test_training_makes_the_norm_small() -> None:
    batch, found = a_batch(64), []
    for penalties in ((), (Contractive(20.0), HigherOrderContractive(1.0))):
        model = a_model(*penalties)
        optimiser, source = torch.optim.Adam(model.parameters(), lr=0.01), generator()
        for _ in range(60):
            objective, _ = model.objective(model.trace(batch, Pass(source, training=True)))
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
        found.append(float(frobenius(model, batch).mean()))
    assert found[1] < found[0] / 3


# ------------------------------------------------------------------ plain functions


def test_norms_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = a_model(), a_batch()
    code = CodeMap.of(model, batch)
    whole = norms(code, code.shown)
    monkeypatch.setattr("isthmus.parts.jacobian.CHUNK", 1)
    torch.testing.assert_close(norms(code, code.shown), whole, rtol=1e-12, atol=0)


def test_the_whole_map_is_differentiated_too() -> None:
    model, batch = a_model(), a_batch()
    rebuilt = rebuilding(model, batch)
    expected = finite_differences(rebuilt, batch.x)
    with torch.no_grad():
        found = jacobian(rebuilt, batch.x)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(norms(rebuilt, batch.x), squares(expected).sqrt(), rtol=1e-6, atol=1e-8)


def test_the_point_of_a_seen_row() -> None:
    model, batch = a_model(), a_batch()
    code = CodeMap.of(model, batch, Seen(2 * batch.x))
    torch.testing.assert_close(code(code.shown), model.represent(replace(batch, x=2 * batch.x)), rtol=0, atol=0)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: type(p).__name__)
def test_batch_norm_is_refused_in_words(penalty: Any) -> None:
    name = type(penalty).__name__
    with pytest.raises(InputError, match=rf"{name}: the encoder has batch norm \(encoder.norm.0\).*norm='layer'"):
        a_model(penalty, norm="batch")
    foreign = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    with pytest.raises(InputError, match=rf"{name}: the encoder has batch norm \(encoder.module.1\)"):
        compose(foreign, Plain(), nn.Linear(3, 6), Squared(), penalties=[penalty])
    with pytest.raises(InputError, match="has batch norm"):
        penalty(a_model(norm="batch").trace(a_batch(), training_pass()))


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: type(p).__name__)
def test_a_closed_form_that_does_not_apply_is_refused(penalty: Any) -> None:
    with pytest.raises(InputError, match=r"method='closed' needs an encoder of one dense layer .* use method='exact'"):
        a_model(replace(penalty, method="closed"))


@pytest.mark.parametrize("part", [Contractive, HigherOrderContractive])
def test_bad_knobs(part: type) -> None:
    name = part.__name__
    with pytest.raises(InputError, match=rf"{name}: weight must be >= 0 and finite; got -1"):
        part(-1)
    with pytest.raises(InputError, match=rf"{name}: method must be one of auto, closed, exact, projection; got 'best'"):
        part(method="best")
    for bad in (0, 1.5, True):
        with pytest.raises(InputError, match=rf"{name}: projections must be a whole number >= 1; got {bad!r}"):
            part(projections=bad)
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=rf"HigherOrderContractive: noise must be a number > 0; got {bad!r}"):
            HigherOrderContractive(noise=bad)
    with pytest.raises(InputError, match=r"HigherOrderContractive: draws must be a whole number >= 1; got 0"):
        HigherOrderContractive(draws=0)
