"""Sparse bottlenecks: what they keep, the identities they must meet, their gradients, and forced zeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import Case, descend, gradients, training_pass
from torch import Tensor, nn

from isthmus.composition import compose
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.bottlenecks.sparse import BatchTopK, JumpReLU, TopK
from isthmus.parts.bottlenecks.zeroed import Zeroed
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.records import Code, Context, Pass, Site, from_json, part, to_json

TRAINING = Context(shape=(4,), pass_=Pass(training=True))
OUTSIDE = Context(shape=(4,))
PARTS = [TopK(2), BatchTopK(2), JumpReLU(), Zeroed((1,)), Zeroed((0, 2), TopK(1))]


def hidden(rows: int = 7, units: int = 10, seed: int = 0) -> Tensor:
    return torch.randn(rows, units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sparse_model(bottleneck: Any, **changes: Any) -> nn.Module:
    network = Dense(hidden=(7,), activation="tanh")
    return Case("overcomplete").build(network=network, bottleneck=bottleneck, **changes).double()


# ------------------------------------------------------------------ top-k


@pytest.mark.parametrize("activation", ["relu", "identity", "sigmoid"])
def test_top_k_keeps_the_k_largest_of_every_row(activation: str) -> None:
    h = hidden()
    z = TopK(3, activation)(h, OUTSIDE).z
    squashed = Plain(activation)(h, OUTSIDE).z
    for row, whole in zip(z.numpy(), squashed.numpy(), strict=True):
        kept = np.sort(np.argsort(whole)[-3:])
        expected = np.zeros(10)
        expected[kept] = whole[kept]
        np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("context", [TRAINING, OUTSIDE])
def test_top_k_of_all_is_a_plain_rectifier(context: Context) -> None:
    h = hidden()
    code, plain = TopK(10)(h, context), Plain("relu")(h, context)
    assert torch.equal(code.z, plain.z)
    assert torch.equal(code.point, plain.point)
    assert code.cost is None


def test_top_k_of_all_trains_as_a_plain_rectifier() -> None:
    batch = Case("overcomplete").batch()
    first, second = (sparse_model(bottleneck) for bottleneck in (TopK(12), Plain("relu")))
    assert descend(first, batch, 10) == descend(second, batch, 10)


def test_a_share_counts_units_of_the_code() -> None:
    h = hidden(units=40).abs()
    assert ((TopK(0.1)(h, OUTSIDE).point != 0).sum(1) == 4).all()
    assert ((TopK(0.001)(h, OUTSIDE).point != 0).sum(1) == 1).all()


@pytest.mark.parametrize("bottleneck", [TopK(2, "identity"), TopK(3, "sigmoid"), TopK(2), Zeroed((0, 5), TopK(3))])
def test_the_gradient_is_that_of_finite_differences(bottleneck: Any) -> None:
    model = sparse_model(bottleneck, loss=Squared(0.3))
    batch = Case("overcomplete").batch()
    for parameter, found in zip(model.parameters(), gradients(model, batch, training_pass()), strict=True):
        flat, place = parameter.data.view(-1), parameter.numel() // 2
        before, costs = float(flat[place]), []
        for move in (1e-6, -1e-6):
            flat[place] = before + move
            with torch.no_grad():
                costs.append(float(model.objective(model.trace(batch, training_pass()))[0]))
        flat[place] = before
        assert (costs[0] - costs[1]) / 2e-6 == pytest.approx(float(found.view(-1)[place]), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("kind", [TopK, BatchTopK])
def test_k_must_fit(kind: type) -> None:
    name = kind.__name__
    for k in (0, -3, 0.0, 1.0, 2.5, True, "3", math.nan):
        with pytest.raises(InputError, match=rf"{name}: k must be a whole number >= 1, or a share .* got {k!r}"):
            kind(k)
    made = kind(40)
    made = made.build() if hasattr(made, "build") else made
    assert made.width(40) == 40
    message = rf"{name}: k=40 is larger than the code of 32 units; use k <= 32 or a wider code_size"
    with pytest.raises(InputError, match=message):
        made.width(32)
    with pytest.raises(InputError, match=rf"{name}: activation must be one of identity, relu.* got 'rellu'"):
        kind(2, "rellu")


# ------------------------------------------------------------------ batch top-k


def test_batch_top_k_of_one_row_is_top_k() -> None:
    for row in hidden():
        first, second = BatchTopK(3).build()(row[None], TRAINING), TopK(3)(row[None], TRAINING)
        assert torch.equal(first.z, second.z)


def test_batch_top_k_keeps_the_largest_of_the_batch() -> None:
    h = torch.tensor([[5.0, 4.0, 3.0], [2.0, 1.0, -1.0]])
    code = BatchTopK(2).build()(h, TRAINING)
    assert code.z.tolist() == [[5, 4, 3], [2, 0, 0]]
    assert torch.equal(code.point, code.z)


def test_batch_top_k_learns_its_threshold() -> None:
    model = sparse_model(BatchTopK(3))
    batch = Case("overcomplete").batch()
    assert float(model.bottleneck.threshold) == 0
    model.start(batch)
    smallest = []
    for step in range(3):
        trace = model.trace(batch, training_pass())
        point = trace.code.point.detach()
        if step == 0:
            assert float(model.bottleneck.threshold) == float(point[point > 0].min())
        smallest.append(float(point[point > 0].min()))
        descend(model, batch, 1)
        assert float(model.bottleneck.threshold) == pytest.approx(np.mean(smallest), rel=1e-12)
    outside = model.trace(batch).code.point
    h = model.trace(batch).hidden
    assert torch.equal(outside != 0, h > model.bottleneck.threshold)


def test_a_batch_without_activity_moves_no_threshold() -> None:
    bottleneck = BatchTopK(3).build()
    bottleneck.threshold.fill_(0.25)
    bottleneck.start(-hidden().abs(), None)
    assert float(bottleneck.threshold) == 0.25


def test_rows_are_alone_outside_training() -> None:
    bottleneck = BatchTopK(2).build().double()
    h = hidden()
    bottleneck.start(h, None)
    together = bottleneck(h, OUTSIDE).z
    assert torch.equal(together, torch.cat([bottleneck(row[None], OUTSIDE).z for row in h]))
    assert not torch.equal(bottleneck(h, TRAINING).z, torch.cat([bottleneck(r[None], TRAINING).z for r in h]))


# ------------------------------------------------------------------ jump-ReLU


def jump(**knobs: float) -> Any:
    return JumpReLU(**knobs).build(Site(code_size=10)).double()


def test_jump_relu_without_a_threshold_is_a_rectifier() -> None:
    h = hidden()
    code = jump(threshold=0.0, price=0.5)(h, OUTSIDE)
    assert torch.equal(code.z, torch.relu(h))
    assert torch.equal(code.cost, 0.5 * (h > 0).sum(1))


def test_jump_relu_jumps_and_charges() -> None:
    h, bottleneck = hidden(), jump(threshold=0.8, price=2.0)
    code = bottleneck(h, TRAINING)
    assert torch.equal(code.z, torch.where(h > 0.8, h, 0.0))
    assert torch.equal(code.point, code.z)
    assert torch.equal(code.cost, 2.0 * (h > 0.8).sum(1))


def test_the_threshold_follows_the_rectangle() -> None:
    """d z / d theta = -theta/e K, d cost / d theta = -price/e K, times d theta / d log theta = theta."""
    h, theta, width, price = hidden(50).requires_grad_(), 0.8, 0.4, 2.0
    bottleneck = jump(threshold=theta, bandwidth=width, price=price)
    seen = torch.randn(50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    code = bottleneck(h, TRAINING)
    theta = float(bottleneck.log_threshold.detach().exp()[0])  # the logarithm was rounded to float32
    of_h, of_log = torch.autograd.grad((code.z * seen).sum() + code.cost.sum(), (h, bottleneck.log_threshold))
    near = ((h.detach() - theta).abs() < width / 2).double() / width
    torch.testing.assert_close(of_log, theta * (-theta * near * seen - price * near).sum(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(of_h, seen * (h > theta), rtol=0, atol=0)


def test_the_pseudo_derivative_is_right_in_the_mean() -> None:
    """Where h has a smooth density, the mean cost's slope in theta is that of finite differences."""
    h = hidden(400_000, 1)
    bottleneck = JumpReLU(price=1.0, threshold=0.7, bandwidth=0.05).build(Site(code_size=1)).double()
    code = bottleneck(h, TRAINING)
    (slope,) = torch.autograd.grad(0.5 * (code.z - 1).square().mean() + code.cost.mean(), bottleneck.log_threshold)

    def cost(theta: float) -> float:
        return float(0.5 * (torch.where(h > theta, h, 0.0) - 1).square().mean() + (h > theta).double().mean())

    numeric = 0.7 * (cost(0.75) - cost(0.65)) / 0.1
    assert float(slope) == pytest.approx(numeric, rel=0.02)


def test_a_dearer_code_uses_fewer_units() -> None:
    batch = Case("overcomplete").batch(64)
    active = []
    for price in (0.0, 3.0):
        model = sparse_model(JumpReLU(price=price), loss=Squared(0.1))
        descend(model, batch, 300)
        active.append(float((model.represent(batch) != 0).double().sum(1).mean()))
    assert active[1] < 0.7 * active[0]


def test_jump_relu_refuses_what_it_cannot_use() -> None:
    for name, value in (("price", -1.0), ("threshold", -0.1), ("threshold", math.nan), ("price", math.inf)):
        with pytest.raises(InputError, match=f"JumpReLU: {name} must be >= 0; got {value!r}"):
            JumpReLU(**{name: value})
    with pytest.raises(InputError, match=r"JumpReLU: bandwidth must be > 0; got 0.0"):
        JumpReLU(bandwidth=0.0)
    model = compose(nn.Linear(6, 4), JumpReLU(), nn.Linear(4, 6), Squared())
    with pytest.raises(InputError, match=r"JumpReLU: the code's size is not known; .*build\(ist.Site\(code_size=32"):
        model.represent(Case("overcomplete").batch(dtype=torch.float32))


# ------------------------------------------------------------------ forced zeros


@pytest.mark.parametrize("inner", [Plain("sigmoid"), TopK(3), BatchTopK(2), JumpReLU()])
def test_zeroing_nothing_changes_nothing(inner: Any) -> None:
    batch = Case("overcomplete").batch()
    plain, wrapped = sparse_model(inner), sparse_model(Zeroed((), inner))
    for model in (plain, wrapped):
        model.start(batch)
    assert descend(plain, batch, 10) == descend(wrapped, batch, 10)
    assert torch.equal(plain.represent(batch), wrapped.represent(batch))
    assert torch.equal(plain.point_cost(batch), wrapped.point_cost(batch))


def test_zeroed_units_are_zero_everywhere_and_learn_nothing() -> None:
    model = sparse_model(Zeroed((0, 5), Plain("sigmoid")))
    batch = Case("overcomplete").batch()
    trace = model.trace(batch, training_pass())
    for values in (trace.code.z, trace.code.point, model.represent(batch)):
        assert (values[:, [0, 5]] == 0).all()
        assert (values[:, [1, 2, 3, 4]] > 0).all()
    last = model.encoder.linear[-1].weight
    (found,) = torch.autograd.grad(model.objective(trace)[0], last)
    assert (found[[0, 5]] == 0).all()
    assert (found[[1, 2]] != 0).any(1).all()
    point = torch.ones(2, 12, dtype=torch.float64)
    assert model.z_of(point)[0].tolist() == [0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


@part
class Maps:
    """A bottleneck of several draws, a map as code, and a say in how loss and cost are joined."""

    def width(self, code_size: int) -> int:
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        z = hidden.reshape(len(hidden), 2, -1)
        return Code(z=torch.stack([z, z + 1, z + 2]), point=hidden, cost=hidden.sum(1), draws=3)

    def combine(self, losses: Tensor, cost: Tensor, code: Code) -> Tensor:
        return losses.amin(0) + cost


@part
class Wider:
    """A bottleneck whose decoder reads more numbers than the code has."""

    def width(self, code_size: int) -> int:
        return code_size

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        return Code(z=torch.cat([hidden, hidden], dim=1), point=hidden)


def test_zeroing_reaches_draws_and_maps() -> None:
    h = hidden(5, 6).abs() + 1
    code = Zeroed((0, 4), Maps()).build()(h, OUTSIDE)
    assert code.z.shape == (3, 5, 2, 3)
    zero = code.z.flatten(2) == 0
    assert zero[..., [0, 4]].all()
    assert not zero[..., [1, 2, 3, 5]].any()
    assert torch.equal(code.cost, h.sum(1))


def test_zeroed_has_the_methods_that_its_bottleneck_has() -> None:
    plain, several, state = (Zeroed((), inner).build() for inner in (Plain(), Maps(), BatchTopK(2)))
    names = ("start", "after_step", "combine", "couples_rows")
    assert [hasattr(plain, name) for name in names] == [False, False, False, False]
    assert [hasattr(several, name) for name in names] == [False, False, True, False]
    assert [hasattr(state, name) for name in names] == [True, True, False, True]
    assert several.combine(torch.ones(3, 2), torch.ones(2), None).tolist() == [2, 2]


def test_units_must_be_there_and_named_once() -> None:
    with pytest.raises(InputError, match=r"Zeroed: units are counted from 0; got -1"):
        Zeroed((0, -1))
    with pytest.raises(InputError, match=r"Zeroed: unit 3 is named 2 times; name each once"):
        Zeroed((3, 1, 3))
    for units in (0.5, "01", (0.5,), (None,)):
        with pytest.raises(InputError, match=r"Zeroed: units must be whole numbers such as \(0, 3\); got"):
            Zeroed(units)
    zeroed = Zeroed([np.int64(2), 12])
    assert zeroed == Zeroed((2, 12))
    with pytest.raises(InputError, match=r"Zeroed: there is no unit 12 in a code of 12; units are 0 to 11"):
        sparse_model(zeroed)
    with pytest.raises(InputError, match=r"Zeroed: there is no unit 12 in a code of 10"):
        zeroed.build()(hidden(), OUTSIDE)
    with pytest.raises(InputError, match=r"Zeroed: Wider hands the decoder 20 numbers for 10 units of code"):
        Zeroed((1,), Wider()).build()(hidden(), OUTSIDE)


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("bottleneck", PARTS, ids=str)
def test_sparse_bottlenecks_are_data(bottleneck: Any) -> None:
    assert from_json(to_json(bottleneck)) == bottleneck


@pytest.mark.parametrize("bottleneck", PARTS, ids=str)
def test_their_state_is_saved(bottleneck: Any) -> None:
    batch = Case("overcomplete").batch()
    first, second = (sparse_model(bottleneck) for _ in range(2))
    descend(first, batch, 5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.represent(batch), second.represent(batch))


@pytest.mark.parametrize("bottleneck", PARTS, ids=str)
def test_silent_units_are_exactly_zero(bottleneck: Any) -> None:
    model = sparse_model(bottleneck)
    batch = Case("overcomplete").batch()
    descend(model, batch, 5)
    share = float((model.represent(batch) == 0).double().mean())
    assert 0.08 < share < 1
