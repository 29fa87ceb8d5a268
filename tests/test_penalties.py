"""Penalties: their values, and that weight and layer mean what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from checks_for_kinds import Case, descend, gradients, training_pass
from torch import nn

from isthmus.composition import compose
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS, IN_PLACE
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.sparsity import L1, KLSparsity, Saturating
from isthmus.parts.penalties.weights import WeightDecay
from isthmus.parts.schedules import Ramp
from isthmus.records import Batch, Layout, Pass, Trace


def a_model(*penalties: object, bottleneck: object = Plain(), **network: object) -> nn.Module:
    case = Case("undercomplete")
    return case.build(network=Dense(hidden=(7, 5), **network), bottleneck=bottleneck, penalties=penalties).double()


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
        InputError, match=r"penalties: no layer is called 'encoder.nowhere'. .*'code' and encoder.linea"
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


@pytest.mark.parametrize("part", [L1, WeightDecay, KLSparsity, Saturating])
def test_the_gradient_is_linear_in_the_weight(part: type) -> None:
    batch = Case("undercomplete").batch()
    code = Plain({KLSparsity: "sigmoid", Saturating: "relu"}.get(part, "identity"))
    models = [a_model(part(weight=weight), bottleneck=code) for weight in (0.0, 1.0, 2.0)]
    none, one, two = (gradients(model, batch, Pass(training=True)) for model in models)
    without = gradients(a_model(bottleneck=code), batch, Pass(training=True))
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


@pytest.mark.parametrize("part", [L1, WeightDecay, KLSparsity, Saturating])
@pytest.mark.parametrize("weight", [-0.1, math.nan])
def test_a_weight_must_not_be_negative(part: type, weight: float) -> None:
    with pytest.raises(InputError, match=rf"{part.__name__}: weight must be >= 0 and finite; got {weight!r}"):
        part(weight=weight)


# ------------------------------------------------------------------ KL to a target activation


def sigmoid_model(*penalties: object, **changes: object) -> nn.Module:
    return a_model(*penalties, bottleneck=Plain("sigmoid"), **changes)


def divergence(target: float, mean: torch.Tensor) -> torch.Tensor:
    return (target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()).sum()


def kl_trace(model: nn.Module, rows: int = 24, seed: int = 0) -> Trace:
    return model.trace(Case("undercomplete").batch(rows, seed))


@torch.no_grad()
def test_kl_is_zero_at_the_target_and_nowhere_else() -> None:
    model = sigmoid_model(KLSparsity(0.25))
    model.encoder.linear[-1].weight.zero_()
    model.encoder.linear[-1].bias.fill_(math.log(0.25 / 0.75))
    (penalty,) = model.penalties
    assert float(penalty(kl_trace(model))) == pytest.approx(0, abs=1e-12)
    for bias in (-2.0, 0.0):
        model.encoder.linear[-1].bias.fill_(bias)
        mean = torch.sigmoid(torch.full((3,), bias, dtype=torch.float64))
        assert float(penalty(kl_trace(model))) == pytest.approx(float(divergence(0.25, mean)), rel=1e-12)
        assert float(penalty(kl_trace(model))) > 0.05


@torch.no_grad()
def test_the_first_batch_is_its_own_mean_and_later_ones_join_a_running_one() -> None:
    model = sigmoid_model(KLSparsity(0.1, weight=2.0, window=96))
    (penalty,) = model.penalties
    traces = [kl_trace(model, 24, seed) for seed in (0, 1, 2)]
    means = [trace.code.point.mean(0) for trace in traces]
    assert float(penalty(traces[0])) == pytest.approx(float(divergence(0.1, means[0])), rel=1e-12)
    assert penalty.mean.shape == (0,)
    running = means[0]
    for trace, mean in zip(traces, means, strict=True):
        running = running + 24 / 96 * (mean - running)
        assert float(penalty(trace)) == pytest.approx(float(divergence(0.1, running)), rel=1e-12)
        assert float(model.objective(trace)[1]["KLSparsity"]) == pytest.approx(2 * float(divergence(0.1, running)))
        model.after_step(trace, {"loss": torch.tensor(1.0)})
        torch.testing.assert_close(penalty.mean, running, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("rows", "window"), [(24, 96), (24, 24), (24, 5), (1, 1000)])
def test_kl_pulls_at_the_batch_mean_as_if_it_were_the_running_one(rows: int, window: int) -> None:
    """d KL(r) / d m = (r - t) / (r (1 - r)), r the running mean and m the batch's, whatever the rows and window."""
    model = sigmoid_model(KLSparsity(0.1, window=window))
    (penalty,) = model.penalties
    for seed in (0, 1):
        trace = kl_trace(model, rows, seed)
        (found,) = torch.autograd.grad(penalty(trace), trace.code.point)
        share = 1.0 if seed == 0 else min(1.0, rows / window)
        mean = torch.lerp(penalty.mean if seed else trace.code.point.mean(0), trace.code.point.mean(0), share).detach()
        expected = (mean - 0.1) / (mean * (1 - mean)) / rows
        torch.testing.assert_close(found, expected.expand_as(found), rtol=1e-10, atol=1e-14)
        with torch.no_grad():
            model.after_step(trace, {"loss": torch.tensor(1.0)})


def test_kl_of_large_batches_is_the_plain_formula_with_its_true_gradient() -> None:
    model = sigmoid_model(KLSparsity(0.1, window=24), norm=None)
    batch, others = Case("undercomplete").batch(24), Case("undercomplete").batch(24, seed=1)
    descend(model, others, 3)
    (penalty,) = model.penalties
    assert len(penalty.mean)
    bias = model.encoder.linear[-1].bias
    (found,) = torch.autograd.grad(penalty(model.trace(batch)), bias)

    def value(move: float) -> float:
        with torch.no_grad():
            bias[1] += move
            result = float(divergence(0.1, model.trace(batch).code.point.mean(0)))
            assert float(penalty(model.trace(batch))) == pytest.approx(result, rel=1e-10)
            bias[1] -= move
        return result

    assert (value(1e-6) - value(-1e-6)) / 2e-6 == pytest.approx(float(found[1]), rel=1e-6)


@torch.no_grad()
def test_row_weights_count_in_the_mean_activation() -> None:
    model = sigmoid_model(KLSparsity(0.1))
    (penalty,) = model.penalties
    batch = Case("undercomplete").batch(4)
    weighted = replace(batch, row_weight=torch.tensor([2.0, 1.0, 1.0, 0.0], dtype=torch.float64))
    listed = replace(batch, x=batch.x[[0, 0, 1, 2]])
    first, second = (float(penalty(model.trace(one))) for one in (weighted, listed))
    assert first == pytest.approx(second, rel=1e-12)


def test_kl_brings_a_layer_to_the_target() -> None:
    model = a_model(KLSparsity(0.2, weight=20.0, layer="encoder.hidden.0", window=60), activation="sigmoid")
    batch = Case("undercomplete").batch()
    descend(model, batch, 400)
    (penalty,) = model.penalties
    assert penalty.mean.shape == (7,)
    torch.testing.assert_close(penalty.mean, torch.full_like(penalty.mean, 0.2), rtol=0, atol=0.03)


def test_a_saturated_unit_is_not_lost() -> None:
    """Where the sigmoid is exactly 0 or 1 in float32, the divergence stays finite."""
    model = sigmoid_model(KLSparsity(0.1)).float()
    with torch.no_grad():
        model.encoder.linear[-1].weight.zero_()
        model.encoder.linear[-1].bias.copy_(torch.tensor([200.0, -200.0, 0.0]))
    trace = model.trace(Case("undercomplete").batch(dtype=torch.float32))
    assert trace.code.point[0].tolist() == [1, 0, 0.5]
    value = model.penalties[0](trace)
    (found,) = torch.autograd.grad(value, trace.code.point)
    assert value.isfinite()
    assert found.isfinite().all()
    assert found[0, 0] > 0 > found[0, 1]


def test_the_running_mean_is_saved_and_loaded() -> None:
    batch = Case("undercomplete").batch()
    first, second = (sigmoid_model(KLSparsity(0.1)) for _ in range(2))
    empty = {name: value.clone() for name, value in first.state_dict().items()}
    descend(first, batch, 3)
    saved = first.state_dict()
    assert saved["learning_penalties.0.mean"].shape == (3,)
    second.load_state_dict(saved)
    assert torch.equal(second.penalties[0].mean, first.penalties[0].mean)
    assert descend(first, batch, 3) == descend(second, batch, 3)
    second.load_state_dict(empty)
    assert second.penalties[0].mean.shape == (0,)


def test_units_outside_zero_to_one_are_refused() -> None:
    advice = r"KLSparsity: the units of 'code' must lie in \[0, 1\], but .*; use bottleneck=Plain\(\"sigmoid\"\), or L1"
    with pytest.raises(InputError, match=advice):
        a_model(KLSparsity(0.1))
    with pytest.raises(InputError, match=r"the code's activation is 'tanh'"):
        a_model(KLSparsity(0.1), bottleneck=Plain("tanh"))
    model = a_model(KLSparsity(0.1, layer="encoder.hidden.0"), activation="relu")
    with pytest.raises(
        InputError, match=r"'encoder.hidden.0' must lie in \[0, 1\], but they run from 0 to [\d.]+; use"
    ):
        model.objective(kl_trace(model))


def test_kl_refuses_what_it_cannot_aim_at() -> None:
    for target in (0.0, 1.0, -0.1, 1.5, math.nan):
        with pytest.raises(
            InputError, match=rf"KLSparsity: target must be a mean activation in \(0, 1\).* got {target}"
        ):
            KLSparsity(target)
    with pytest.raises(InputError, match=r"KLSparsity: window must be a number of rows >= 1; got 0"):
        KLSparsity(window=0)


# ------------------------------------------------------------------ saturation


def test_saturation_is_the_distance_to_the_nearest_flat_place() -> None:
    h = torch.tensor([[-3.0, -1.0, -0.6, -0.25, 0.0, 0.5, 0.75, 1.0, 2.5]], dtype=torch.float64)
    distances = {
        "relu": [0, 0, 0, 0, 0, 0.5, 0.75, 1, 2.5],
        "saturated_linear": [0, 0, 0.4, 0.75, 1, 0.5, 0.25, 0, 0],
        "shrink": [2.5, 0.5, 0.1, 0, 0, 0, 0.25, 0.5, 2],
    }
    for name, expected in distances.items():
        bottleneck = Plain(name)
        model = compose(nn.Identity(), bottleneck, nn.Identity(), Squared(1.0), penalties=[Saturating(1.0, name)])
        trace = model.trace(Batch(h, Layout((9,), ("column",))))
        assert float(Saturating(1.0, name)(trace)) == pytest.approx(sum(expected), rel=1e-12)
        # Where the distance is 0 the activation is flat, and elsewhere it is not.
        inputs = h.clone().requires_grad_()
        (slope,) = torch.autograd.grad(ACTIVATIONS[name](inputs).sum(), inputs)
        assert [float(s) == 0 for s in slope[0]] == [d == 0 for d in expected]


def test_saturation_of_rectifiers_is_l1() -> None:
    model = a_model(Saturating(0.3, "relu"), L1(0.3), bottleneck=Plain("relu"))
    _, terms = model.objective(kl_trace(model))
    assert float(terms["Saturating"]) == pytest.approx(float(terms["L1"]), rel=1e-12)


def test_saturation_reads_a_layer_before_its_activation() -> None:
    model = a_model(Saturating(1.0, "relu", layer="encoder.linear.0"), activation="relu", norm=None)
    batch = Case("undercomplete").batch()
    with torch.no_grad():
        _, terms = model.objective(model.trace(batch))
        expected = torch.relu(model.encoder.linear[0](batch.x)).sum(1).mean()
    assert float(terms["Saturating encoder.linear.0"]) == pytest.approx(float(expected), rel=1e-12)


def test_saturation_refuses_activations_that_are_flat_nowhere_or_others() -> None:
    with pytest.raises(InputError, match=r"Saturating: activation must have a flat region, one of relu, .* got 'silu'"):
        Saturating(0.1, "silu")
    with pytest.raises(
        InputError, match=r"Saturating: its activation is 'shrink', the code's is 'identity'; .*Plain\("
    ):
        a_model(Saturating(0.1, "shrink"))


def test_saturated_linear_and_shrink() -> None:
    x = torch.tensor([-3.0, -0.75, -0.5, 0.25, 0.5, 0.75, 3.0])
    assert ACTIVATIONS["saturated_linear"](x).tolist() == [-1, -0.75, -0.5, 0.25, 0.5, 0.75, 1]
    assert ACTIVATIONS["shrink"](x).tolist() == [-2.5, -0.25, 0, 0, 0, 0.25, 2.5]
    assert IN_PLACE["saturated_linear"](x.clone()).tolist() == ACTIVATIONS["saturated_linear"](x).tolist()
