"""The composition: draws folded into rows, users' own modules, schedules, and what each part is handed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from isthmus.composition import Composition, compose, mean_over_rows
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise, Mask
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.modules import Unaware
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.schedules import Ramp
from isthmus.records import Batch, Code, Context, Layout, Pass, Trace

LAYOUT = Layout((4,), ("column",))


def some_batch(n: int = 5, **more: Any) -> Batch:
    x = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Batch(x, LAYOUT, **more)


class Gaussian(nn.Module):
    """The variational bottleneck in a few lines, with k draws: here only to try the composition's contract."""

    def __init__(self, importance: bool = False) -> None:
        super().__init__()
        if importance:
            self.combine = self.bound

    def width(self, code_size: int) -> int:
        return 2 * code_size

    def forward(self, hidden: Tensor, context: Context) -> Code:
        pass_ = context.pass_
        mean, log_spread = hidden.chunk(2, dim=-1)
        noise = torch.empty(pass_.draws, *mean.shape, dtype=mean.dtype).normal_(generator=pass_.generator)
        z = mean + noise * log_spread.exp()
        # log q(z|x) - log p(z), the same constants on both sides
        cost = (0.5 * z.square() - 0.5 * noise.square() - log_spread).sum(-1)
        return Code(z=z, point=mean, cost=cost, draws=pass_.draws)

    def bound(self, losses: Tensor, paid: Tensor, code: Code) -> Tensor:
        return -(torch.logsumexp(-(losses + paid), dim=0) - math.log(len(losses)))


class OneDraw(Gaussian):
    """The same with a single draw and no axis for it: an ordinary variational autoencoder."""

    def forward(self, hidden: Tensor, context: Context) -> Code:
        code = super().forward(hidden, replace(context, pass_=replace(context.pass_, draws=1)))
        return Code(z=code.z[0], point=code.point, cost=code.cost[0])


def variational(bottleneck: nn.Module, **more: Any) -> Composition:
    generator = torch.Generator().manual_seed(3)
    encoder, decoder = nn.utils.skip_init(nn.Linear, 4, 4), nn.utils.skip_init(nn.Linear, 2, 4)
    model = compose(encoder, bottleneck, decoder, Squared(0.5), **more).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return model


def drawing(draws: int = 1) -> Pass:
    return Pass(torch.Generator().manual_seed(7), training=True, draws=draws)


@torch.no_grad()
def test_draws_are_folded_into_rows_and_back() -> None:
    seen: list[tuple[int, ...]] = []
    model = variational(Gaussian(importance=True))
    model.decoder.module.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape)))
    batch = some_batch(5)
    trace = model.trace(batch, drawing(3))
    assert seen == [(15, 2)]  # no decoder ever sees the axis of draws
    assert trace.out.shape == (3, 5, 4)
    assert trace.code.point.shape == (5, 2)
    for draw in range(3):
        torch.testing.assert_close(trace.out[draw], model.decoder.module(trace.code.z[draw]), rtol=0, atol=1e-14)
    losses = model.losses(trace)
    expected = (trace.out - batch.x).square().sum(-1) / (2 * 0.5) + 2 * math.log(2 * math.pi * 0.5)
    torch.testing.assert_close(losses, expected)
    bound = -torch.log(torch.exp(-(losses + trace.code.cost)).mean(0))
    torch.testing.assert_close(model.cost(trace), bound)


@torch.no_grad()
def test_one_importance_draw_is_the_variational_bound() -> None:
    """IWAE(1) = VAE, value and gradient."""
    batch = some_batch(6)
    first, second = variational(Gaussian(importance=True)), variational(OneDraw())
    torch.testing.assert_close(
        first.cost(first.trace(batch, drawing())), second.cost(second.trace(batch, drawing())), rtol=1e-13, atol=0
    )
    with torch.enable_grad():
        slopes = []
        for model in (first, second):
            objective, terms = model.objective(model.trace(batch, drawing()))
            slopes.append(torch.autograd.grad(objective, list(model.parameters())))
            assert terms.keys() == {"cost", "loss"}
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


@torch.no_grad()
def test_more_importance_draws_tighten_the_bound() -> None:
    model = variational(Gaussian(importance=True))
    batch = some_batch(400)
    costs = [float(model.cost(model.trace(batch, drawing(draws))).mean()) for draws in (1, 5, 50)]
    assert costs[0] > costs[1] > costs[2]


@torch.no_grad()
def test_the_loss_term_is_the_mean_over_draws() -> None:
    model = variational(Gaussian(importance=True))
    batch = some_batch(5, row_weight=torch.tensor([2.0, 1, 1, 1, 0], dtype=torch.float64))
    trace = model.trace(batch, drawing(3))
    _, terms = model.objective(trace)
    expected = (model.losses(trace).mean(0) * batch.row_weight).mean()
    assert float(terms["loss"]) == pytest.approx(float(expected), rel=1e-12)


@torch.no_grad()
def test_draws_carry_the_condition_of_their_row() -> None:
    class Conditional(nn.Module):
        takes_context = True

        def forward(self, z: Tensor, context: Context) -> Tensor:
            return torch.cat([context.given, context.given], 1) + 0 * z.sum()

    model = compose(nn.Linear(4, 4), Gaussian(importance=True), Conditional(), Squared(1.0)).double()
    given = torch.arange(10, dtype=torch.float64).reshape(5, 2)
    out = model.trace(some_batch(5, given=given), drawing(3)).out
    for draw in range(3):
        assert torch.equal(out[draw], torch.cat([given, given], 1))


@torch.no_grad()
def test_the_rate_weighs_what_the_code_costs() -> None:
    batch = some_batch(6)
    costs = {}
    for rate in (0.0, 1.0, 2.0, Ramp(0.0, 2.0, epochs=4)):
        model = variational(OneDraw(), rate=rate)
        pass_ = Pass(torch.Generator().manual_seed(7), training=True, epoch=2.0)
        costs[str(rate)] = model.cost(model.trace(batch, pass_))
    ramp = str(Ramp(0.0, 2.0, epochs=4))
    torch.testing.assert_close(costs["2.0"] - costs["1.0"], costs["1.0"] - costs["0.0"])
    torch.testing.assert_close(costs[ramp], costs["1.0"])
    assert float((costs["2.0"] - costs["0.0"]).abs().max()) > 0


@torch.no_grad()
def test_plain_modules_are_wrapped_and_aware_ones_are_not() -> None:
    class Aware(nn.Module):
        takes_context = True

        def forward(self, x: Tensor, context: Context) -> Tensor:
            assert context.shape == (4,)
            assert context.lengths is not None
            return x[:, :2] + context.lengths[:, None]

    model = compose(Aware(), Plain(), nn.Linear(2, 4), Squared(1.0)).double()
    assert isinstance(model.decoder, Unaware)
    assert isinstance(model.encoder, Aware)
    batch = some_batch(5, lengths=torch.arange(5, dtype=torch.float64))
    torch.testing.assert_close(model.represent(batch), batch.x[:, :2] + torch.arange(5.0)[:, None].double())


@torch.no_grad()
def test_any_module_will_do() -> None:
    """Images through the user's own convolution, with hidden activations of any shape."""
    encoder = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(8, 3))
    decoder = nn.Sequential(nn.Linear(3, 36), nn.Unflatten(1, (6, 6)))
    model = compose(encoder, Plain("tanh"), decoder, Bernoulli(), corruption=Mask(0.2), penalties=[L1(0.1)])
    x = torch.rand(7, 6, 6, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, Layout((6, 6), ("height", "width")))
    assert model.represent(batch).shape == (7, 3)
    assert model.rebuild(model.represent(batch), model.context(batch)).shape == (7, 6, 6)
    total, terms = model.objective(model.trace(batch, drawing()))
    assert total.isfinite()
    assert list(terms) == ["cost", "loss", "L1"]


@pytest.mark.parametrize("size", [3, 5])
@torch.no_grad()
def test_the_textbook_example(size: int) -> None:
    """Input (1, -1, 2, 3) rebuilt as (1, 1, 2, 3) has mean squared error 1, through a code of 3 units or of 5."""
    encoder, decoder = nn.Linear(4, size), nn.Linear(size, 4)
    encoder.weight.zero_(), decoder.weight.zero_(), encoder.bias.zero_(), decoder.bias.zero_()
    kept = [0, 2, 3]  # each of three units carries one cell; the second cell is given up, and set to 1
    for unit, cell in enumerate(kept):
        encoder.weight[unit, cell] = decoder.weight[cell, unit] = 1.0
    decoder.bias[1] = 1.0
    model = compose(encoder, Plain(), decoder, Squared(variance=1.0))
    batch = Batch(torch.tensor([[1.0, -1.0, 2.0, 3.0]]), LAYOUT)
    assert model.represent(batch).shape == (1, size)
    out = model.rebuild(model.represent(batch), model.context(batch))
    assert out.tolist() == [[1.0, 1.0, 2.0, 3.0]]
    assert float((out - batch.x).square().mean()) == 1.0
    # SSE / 2 + d / 2 log(2 pi)
    assert float(model.point_cost(batch)) == pytest.approx(4 / 2 + 4 / 2 * math.log(2 * math.pi), rel=1e-6)


@torch.no_grad()
def test_hooks_for_a_data_dependent_start_and_for_after_a_step() -> None:
    class Counting(nn.Module):
        calls: list[str]

        def __init__(self) -> None:
            super().__init__()
            self.calls = []

        def start(self, hidden: Tensor, batch: Batch) -> None:
            self.calls.append(f"start {tuple(hidden.shape)}")

        def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
            self.calls.append(f"after_step {tuple(trace.out.shape)} {list(terms)}")

        def forward(self, hidden: Tensor, context: Context) -> Code:
            return Code(z=hidden, point=hidden)

    model = compose(nn.Linear(4, 2), Counting(), nn.Linear(2, 4), Squared()).double()
    batch = some_batch(5)
    model.start(batch)
    trace = model.trace(batch)
    model.after_step(trace, model.objective(trace)[1])
    assert model.bottleneck.calls == ["start (5, 2)", "after_step (5, 4) ['cost', 'loss']"]
    assert float(model.loss.steps) == 1


def test_warm_epochs_is_when_the_last_schedule_ends() -> None:
    def warm(**more: Any) -> float:
        return compose(nn.Linear(4, 2), Plain(), nn.Linear(2, 4), Squared(), **more).warm_epochs

    assert warm() == 0
    assert warm(rate=Ramp(0.0, 1.0, epochs=3)) == 3
    more = [L1(Ramp(0.0, 1.0, epochs=5)), L1(0.1)]
    assert warm(rate=Ramp(0.0, 1.0, epochs=3), penalties=more) == 5
    assert warm(corruption=GaussianNoise(Ramp(0.0, 1.0, epochs=7)), penalties=more) == 7


@torch.no_grad()
def test_parts_that_learn_are_registered_and_moved() -> None:
    model = compose(nn.Linear(4, 2), Gaussian(), nn.Linear(2, 4), Squared())
    assert {"loss.variance", "loss.steps", "encoder.module.weight"} <= set(model.state_dict())
    assert model.double().loss.variance.dtype == torch.float64


@torch.no_grad()
def test_the_caller_may_share_modules_between_parts() -> None:
    shared = nn.Linear(4, 4)
    model = compose(shared, Plain(), shared, Squared(1.0)).double()
    assert len(list(model.parameters())) == 2
    assert model.trace(some_batch()).out.shape == (5, 4)


def test_a_layer_name_that_is_not_there_says_which_are() -> None:
    def build(layer: str) -> None:
        compose(nn.Linear(4, 2), Plain(), nn.Linear(2, 4), Squared(), penalties=[L1(0.1, layer=layer)])

    with pytest.raises(
        InputError, match=r"no layer is called 'loss'\. This composition has 'code' and encoder.module, de"
    ):
        build("loss")
    with pytest.raises(
        InputError, match=r"no layer is called 'encoder.modul'\. Did you mean 'encoder.module'\? This comp"
    ):
        build("encoder.modul")


def test_mean_over_rows() -> None:
    values = torch.tensor([1.0, 2.0, 6.0])
    assert mean_over_rows(values, None) == 3.0
    assert mean_over_rows(values, torch.tensor([3.0, 0.0, 0.0])) == 1.0


@torch.no_grad()
def test_the_learned_variance_follows_weighted_rows() -> None:
    """Rows of weight 0 leave no trace in the learned scale, whatever the other weights' mean in the batch."""
    batch = some_batch(4)
    batch.x[3] = 100.0
    weighted = Batch(batch.x, LAYOUT, row_weight=torch.tensor([4.0, 4.0, 4.0, 0.0], dtype=torch.float64))
    model = compose(nn.Linear(4, 2), Plain(), nn.Linear(2, 4), Squared()).double()
    trace = model.trace(weighted)
    model.after_step(trace, model.objective(trace)[1])
    errors = (trace.out - weighted.x).square()[:3]
    assert float(model.loss.variance) == pytest.approx(float(errors.mean()), rel=1e-9)


@torch.no_grad()
def test_the_learned_variance_follows_missing_cells() -> None:
    batch = some_batch(4)
    weight = torch.ones(4, 4, dtype=torch.float64)
    weight[0, 1] = weight[2, 3] = weight[2, 0] = 0
    gaps = Batch(torch.where(weight > 0, batch.x, math.nan), LAYOUT, weight=weight)
    model = compose(nn.Linear(4, 2), Plain(), nn.Linear(2, 4), Squared()).double()
    trace = model.trace(gaps)
    model.after_step(trace, model.objective(trace)[1])
    errors = (trace.out - batch.x).square()[weight > 0]
    assert float(model.loss.variance) == pytest.approx(float(errors.mean()), rel=1e-9)


@torch.no_grad()
def test_scores_at_the_point_are_deterministic() -> None:
    model = variational(OneDraw(), rate=Ramp(0.0, 2.0, epochs=4))
    np.testing.assert_array_equal(model.represent(some_batch()), model.represent(some_batch()))
