"""Losses are minus log-likelihoods: compared with SciPy's, and with their own definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus.errors import InputError
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.scaled import FLOOR, Absolute, Squared
from isthmus.records import EVALUATION, Batch, Code, Context, Layout, Seen, Trace

LEARNED = {"squared": Squared, "absolute": Absolute}


def rows(n: int = 7, features: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    return tuple(torch.from_numpy(draw.standard_normal((n, features))) for _ in range(2))


def step(loss: Any, out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None = None) -> None:
    """What the loop does after a step that gave this output."""
    batch = Batch(x, Layout((x.shape[1],), ("column",)), weight)
    trace = Trace(batch, Seen(x), x, Code(x, x), out, Context((x.shape[1],)), EVALUATION, loss)
    loss.after_step(trace, {"loss": loss.cost(out, x, weight).mean()})


@pytest.mark.parametrize("variance", [0.01, 1.0, 37.5])
def test_squared_is_the_normal_distribution(variance: float) -> None:
    out, x = rows()
    expected = -scipy.stats.norm.logpdf(x.numpy(), out.numpy(), math.sqrt(variance)).sum(1)
    np.testing.assert_allclose(Squared(variance).build().double().cost(out, x), expected, rtol=1e-6)
    loss = Squared(variance).build().double()
    loss.variance.fill_(variance)  # built as float32: now with every digit
    np.testing.assert_allclose(loss.cost(out, x), expected, rtol=1e-13)


@pytest.mark.parametrize("scale", [0.01, 1.0, 37.5])
def test_absolute_is_the_laplace_distribution(scale: float) -> None:
    out, x = rows()
    loss = Absolute(scale).build().double()
    loss.variance.fill_(scale)
    expected = -scipy.stats.laplace.logpdf(x.numpy(), out.numpy(), scale).sum(1)
    np.testing.assert_allclose(loss.cost(out, x), expected, rtol=1e-13)


def test_bernoulli_is_the_bernoulli_distribution() -> None:
    out, x = rows()
    x = (x > 0).double()
    expected = -scipy.stats.bernoulli.logpmf(x.numpy(), scipy.special.expit(out.numpy())).sum(1)
    np.testing.assert_allclose(Bernoulli().cost(out, x), expected, rtol=1e-12)


def test_bernoulli_stays_finite_at_extreme_logits() -> None:
    out = torch.tensor([[1e4, -1e4, 1e4, -1e4]])
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    assert Bernoulli().cost(out, x).tolist() == [2e4]


def test_squared_with_variance_one_is_half_the_squared_error_and_a_constant() -> None:
    out, x = rows()
    expected = (out - x).square().sum(1) / 2 + 5 / 2 * math.log(2 * math.pi)
    np.testing.assert_allclose(Squared(1.0).build().double().cost(out, x), expected, rtol=1e-14)


def test_the_textbook_example() -> None:
    """Input (1, -1, 2, 3), output (1, 1, 2, 3): one cell is wrong by 2, so the mean squared error is 1."""
    x, out = torch.tensor([[1.0, -1.0, 2.0, 3.0]]), torch.tensor([[1.0, 1.0, 2.0, 3.0]])
    loss = Squared(1.0).build()
    assert (loss.errors(out, x, None) / 4).tolist() == [1.0]
    assert loss.cost(out, x).item() == pytest.approx(2.0 + 2.0 * math.log(2 * math.pi), rel=1e-6)
    assert (Absolute(1.0).build().errors(out, x, None) / 4).tolist() == [0.5]


@pytest.mark.parametrize("loss", [Squared(0.3), Absolute(0.3), Bernoulli()], ids=lambda part: type(part).__name__)
def test_weight_zero_is_the_cell_taken_away(loss: object) -> None:
    out, x = rows()
    x = torch.sigmoid(x)
    made = loss if isinstance(loss, Bernoulli) else loss.build().double()
    weight = torch.ones_like(x)
    weight[:, [1, 4]] = 0
    np.testing.assert_allclose(made.cost(out, x, weight), made.cost(out[:, [0, 2, 3]], x[:, [0, 2, 3]]), rtol=1e-13)
    np.testing.assert_allclose(made.cost(out, x, torch.ones_like(x)), made.cost(out, x), rtol=1e-13)
    x[:, [1, 4]] = math.nan
    assert made.cost(out, x, weight).isfinite().all()


@pytest.mark.parametrize("name", LEARNED)
def test_the_best_scale_is_the_minimum_of_a_grid(name: str) -> None:
    out, x = rows(50)
    loss = LEARNED[name]().build().double()
    loss.variance.fill_(0.37)  # any scale: the best one follows from the mean cost alone
    best, cost = loss.best(loss.cost(out, x).mean(), 5.0)

    def cost_at(scale: float) -> float:
        loss.variance.fill_(scale)
        return float(loss.cost(out, x).mean())

    assert float(cost) == pytest.approx(cost_at(float(best)), rel=1e-12)
    grid = np.exp(np.linspace(math.log(0.02), math.log(50.0), 4001))
    costs = [cost_at(scale) for scale in grid]
    assert grid[int(np.argmin(costs))] == pytest.approx(float(best), rel=2e-3)
    assert float(cost) <= min(costs) + 1e-12
    errors = (out - x).square() if name == "squared" else (out - x).abs()
    assert float(best) == pytest.approx(float(errors.mean()), rel=1e-12)


@pytest.mark.parametrize("name", LEARNED)
def test_the_best_scale_counts_only_cells_that_are_there(name: str) -> None:
    out, x = rows(50)
    weight = (torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) > 0.4).double()
    loss = LEARNED[name]().build().double()
    best, _ = loss.best(loss.cost(out, x, weight).mean(), float(weight.sum()) / len(x))
    errors = (out - x).square() if name == "squared" else (out - x).abs()
    assert float(best) == pytest.approx(float(errors[weight > 0].mean()), rel=1e-12)


@pytest.mark.parametrize("name", LEARNED)
def test_a_fixed_scale_is_left_alone(name: str) -> None:
    loss = LEARNED[name](0.25).build()
    cost = torch.tensor(3.0)
    assert loss.best(cost, 5.0) == (torch.tensor(0.25), cost)
    step(loss, *rows())
    assert loss.variance.item() == 0.25


@pytest.mark.parametrize("name", LEARNED)
def test_the_learned_scale_jumps_to_the_first_error_and_then_follows(name: str) -> None:
    out, x = rows(50)
    loss = LEARNED[name]().build().double()
    errors = (out - x).square() if name == "squared" else (out - x).abs()
    for _ in range(3):
        step(loss, out, x)
        assert loss.variance.item() == pytest.approx(float(errors.mean()), rel=1e-6)
    grown = {"squared": 4.0, "absolute": 2.0}[name]
    for _ in range(400):
        step(loss, 2 * out, 2 * x)
    assert loss.variance.item() == pytest.approx(grown * float(errors.mean()), rel=1e-3)


@pytest.mark.parametrize("name", LEARNED)
def test_rows_without_any_cell_leave_the_scale_alone(name: str) -> None:
    out, x = rows()
    loss = LEARNED[name]().build().double()
    step(loss, out, x, torch.zeros_like(x))
    assert loss.variance.item() == 1.0
    step(loss, out, x)
    assert loss.variance.item() != 1.0


@pytest.mark.parametrize("name", LEARNED)
def test_the_scale_of_a_perfect_output_stops_at_the_floor(name: str) -> None:
    _, x = rows()
    loss = LEARNED[name]().build().double()
    step(loss, x, x)
    assert loss.variance.item() == pytest.approx(FLOOR)
    best, cost = loss.best(loss.cost(x, x).mean(), 5.0)
    assert best.item() == pytest.approx(FLOOR)
    assert cost.isfinite()


@pytest.mark.parametrize(
    ("loss", "distribution"),
    [(Squared(0.49), scipy.stats.norm(scale=0.7)), (Absolute(0.7), scipy.stats.laplace(scale=0.7))],
    ids=["squared", "absolute"],
)
def test_samples_have_the_distribution(loss: object, distribution: object) -> None:
    made = loss.build()
    draws = made.sample(torch.full((40_000, 5), 2.0), torch.Generator().manual_seed(0)).flatten().numpy() - 2.0
    assert draws.mean() == pytest.approx(0.0, abs=0.01)
    assert draws.var() == pytest.approx(distribution.var(), rel=0.03)
    assert np.abs(draws).mean() == pytest.approx(distribution.expect(np.abs), rel=0.01)
    assert scipy.stats.kstest(draws, distribution.cdf).pvalue > 1e-3
    again = made.sample(torch.full((40_000, 5), 2.0), torch.Generator().manual_seed(0)).flatten().numpy() - 2.0
    np.testing.assert_array_equal(draws, again)


def test_laplace_samples_are_always_finite() -> None:
    """The inverse of the distribution function, fed with uniform numbers, gives infinity once in 2**24: with
    this seed among the first four million."""
    draws = Absolute(1.0).build().sample(torch.zeros(2**20, 4), torch.Generator().manual_seed(1))
    assert draws.isfinite().all()


def test_bernoulli_samples_have_the_mean() -> None:
    out = torch.tensor([-2.0, 0.0, 3.0]).expand(50_000, 3)
    draws = Bernoulli().sample(out, torch.Generator().manual_seed(0))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(draws.mean(0), torch.sigmoid(out[0]), atol=0.01)


def test_means_and_widths() -> None:
    out = torch.tensor([[0.0, -800.0, 800.0]])
    assert Bernoulli().mean(out).tolist() == [[0.5, 0.0, 1.0]]
    assert Squared().build().mean(out) is out
    assert [Squared().build().width(7), Absolute().build().width(7), Bernoulli().width(7)] == [7, 7, 7]
    assert [Squared().build().support, Bernoulli().support] == ["real", "unit"]


@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_a_scale_must_be_positive(value: float) -> None:
    with pytest.raises(InputError, match=r"Squared: variance must be > 0, or None to learn it; got"):
        Squared(value)
    with pytest.raises(InputError, match=r"Absolute: scale must be > 0, or None to learn it; got"):
        Absolute(value)


def test_images_keep_their_shape() -> None:
    """Costs are summed over all axes of a row but the first."""
    out, x = torch.zeros(3, 4, 5), torch.ones(3, 4, 5)
    np.testing.assert_allclose(Squared(1.0).build().cost(out, x), 10 + 10 * math.log(2 * math.pi), rtol=1e-6)
    assert Bernoulli().cost(out, x).shape == (3,)
