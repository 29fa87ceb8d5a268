"""Penalties: their values, and that weight and layer mean what they say."""

from __future__ import annotations

import math

import pytest
import torch
from checks_for_kinds import Case, gradients, training_pass
from torch import nn

from isthmus.composition import compose
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.penalties.weights import WeightDecay
from isthmus.parts.schedules import Ramp
from isthmus.records import Batch, Layout, Pass


def a_model(*penalties: object, **network: object) -> nn.Module:
    case = Case("undercomplete")
    return case.build(network=Dense(hidden=(7, 5), **network), penalties=penalties).double()


@torch.no_grad()
def test_l1_of_the_code_is_its_absolute_sum() -> None:
    model = a_model(L1(0.5))
    trace = model.trace(Case("undercomplete").batch())
    total, terms = model.objective(trace)
    expected = 0.5 * trace.code.z.abs().sum(1).mean()
    assert float(terms["L1"]) == pytest.approx(float(expected), rel=1e-12)
    assert float(total) == pytest.approx(float(model.cost(trace).mean() + expected), rel=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_every_layer_that_is_listed_can_be_penalised(norm: str, tied: bool) -> None:
    batch = Case("undercomplete").batch()
    names = a_model(tied=tied, norm=norm).layer_names()
    assert {"encoder.linear.0", "encoder.norm.1", "encoder.hidden.0", "decoder.linear.2"} <= set(names)
    for name in names:
        model = a_model(L1(2.0, layer=name), tied=tied, norm=norm)
        outputs = []
        model.get_submodule(name).register_forward_hook(lambda _m, _i, output, kept=outputs: kept.append(output))
        _, terms = model.objective(model.trace(batch))
        assert float(terms[f"L1 {name}"]) == pytest.approx(2 * float(outputs[0].abs().sum(1).mean()), rel=1e-12)


def test_hooks_are_taken_away_after_the_pass() -> None:
    model = a_model(L1(2.0, layer="encoder.linear.0"))
    model.trace(Case("undercomplete").batch())
    assert not model.get_submodule("encoder.linear.0")._forward_hooks


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(
        InputError, match=r"penalties: no layer is called 'encoder.nowhere'; .*'code' and encoder.linea"
    ):
        a_model(L1(layer="encoder.nowhere"))


def test_weight_decay_is_half_the_squared_weights_without_biases() -> None:
    model = a_model(WeightDecay(0.25))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    weights = 6 * 7 + 7 * 5 + 5 * 3 + 3 * 5 + 5 * 7 + 7 * 6
    _, terms = model.objective(model.trace(Case("undercomplete").batch()))
    assert float(terms["WeightDecay"]) == 0.25 * 0.5 * weights


@torch.no_grad()
def test_weight_decay_counts_tied_weights_once() -> None:
    model = a_model(WeightDecay(1.0), tied=True)
    trace = model.trace(Case("undercomplete").batch())
    encoder = sum(layer.weight.square().sum() for layer in model.encoder.linear)
    assert float(WeightDecay(1.0)(trace)) == pytest.approx(0.5 * float(encoder), rel=1e-12)


@pytest.mark.parametrize("part", [L1, WeightDecay])
def test_the_gradient_is_linear_in_the_weight(part: type) -> None:
    batch = Case("undercomplete").batch()
    none, one, two = (gradients(a_model(part(weight)), batch, Pass(training=True)) for weight in (0.0, 1.0, 2.0))
    without = gradients(a_model(), batch, Pass(training=True))
    for free, zero, single, double in zip(without, none, one, two, strict=True):
        torch.testing.assert_close(zero, free, rtol=0, atol=0)
        torch.testing.assert_close(double - zero, 2 * (single - zero), rtol=1e-9, atol=1e-12)
    assert any((single - zero).abs().max() > 1e-3 for single, zero in zip(one, none, strict=True))


@torch.no_grad()
def test_a_schedule_moves_the_weight() -> None:
    model = a_model(L1(Ramp(0.0, 1.0, epochs=10)))
    batch = Case("undercomplete").batch()
    terms = [
        float(model.objective(model.trace(batch, training_pass(epoch=epoch)))[1]["L1"]) for epoch in (0, 5, 10, 99)
    ]
    assert terms[0] == 0
    assert terms[1] == pytest.approx(terms[2] / 2, rel=1e-12)
    assert terms[2] == terms[3] > 0


@torch.no_grad()
def test_two_penalties_add() -> None:
    batch = Case("undercomplete").batch()
    model = a_model(L1(0.1), WeightDecay(0.2), L1(0.3, layer="decoder.linear.0"))
    trace = model.trace(batch)
    total, terms = model.objective(trace)
    assert list(terms) == ["cost", "loss", "L1", "WeightDecay", "L1 decoder.linear.0"]
    assert float(total) == pytest.approx(sum(float(v) for k, v in terms.items() if k != "loss"), rel=1e-12)


@torch.no_grad()
def test_row_weights_reach_a_penalty_of_rows() -> None:
    model = compose(nn.Linear(2, 2), Plain(), nn.Linear(2, 2), Squared(1.0), penalties=[L1(1.0)]).double()
    x = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, Layout((2,), ("column",)), row_weight=torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64))
    trace = model.trace(batch)
    _, terms = model.objective(trace)
    assert float(terms["L1"]) == pytest.approx(float(trace.code.z[2].abs().sum()), rel=1e-12)


@pytest.mark.parametrize("part", [L1, WeightDecay])
@pytest.mark.parametrize("weight", [-0.1, math.nan])
def test_a_weight_must_not_be_negative(part: type, weight: float) -> None:
    with pytest.raises(InputError, match=rf"{part.__name__}: weight must be >= 0; got {weight!r}"):
        part(weight)
