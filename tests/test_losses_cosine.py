"""Cosine similarity as a likelihood of directions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus.errors import InputError
from isthmus.parts.losses.cosine import Cosine, log_bessel
from isthmus.records import EVALUATION, Batch, Code, Context, Layout, Seen, Site, Trace


def pair(n: int = 20, features: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    return torch.from_numpy(draw.normal(size=(n, features))), torch.from_numpy(3 * draw.normal(size=(n, features)))


def unit(x: torch.Tensor) -> np.ndarray:
    return (x / x.norm(dim=1, keepdim=True)).numpy()


def step(loss: object, out: torch.Tensor, x: torch.Tensor, **more: torch.Tensor) -> None:
    batch = Batch(x, Layout((x.shape[1],), ("column",)), **more)
    trace = Trace(batch, Seen(x), x, Code(x, x), out, Context((x.shape[1],)), EVALUATION, loss)
    loss.after_step(trace, {})


@pytest.mark.parametrize("features", [2, 3, 10, 50])
@pytest.mark.parametrize("kappa", [0.25, 4.0, 500.0])
def test_it_is_scipys_von_mises_fisher(features: int, kappa: float) -> None:
    out, x = pair(8, features)
    found = Cosine(kappa).build().double().cost(out, x)
    expected = [-scipy.stats.vonmises_fisher(mu, kappa).logpdf(to) for mu, to in zip(unit(out), unit(x), strict=True)]
    np.testing.assert_allclose(found, np.squeeze(expected), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("order", "x"), [(391.0, 1.0), (391.0, 784.0), (2000.0, 30.0), (5e4, 9000.0), (150.0, 1e-3)])
def test_bessel_functions_too_small_for_floats(order: float, x: float) -> None:
    """Against Debye's expansion for high orders, whose first terms left out are of order 1 / order^4."""
    t = 1 / math.sqrt(1 + (x / order) ** 2)
    eta = math.sqrt(1 + (x / order) ** 2) + math.log((x / order) / (1 + math.sqrt(1 + (x / order) ** 2)))
    first = (3 * t - 5 * t**3) / 24
    second = (81 * t**2 - 462 * t**4 + 385 * t**6) / 1152
    third = (30375 * t**3 - 369603 * t**5 + 765765 * t**7 - 425425 * t**9) / 414720
    series = math.log(1 + first / order + second / order**2 + third / order**3)
    expected = order * eta + 0.5 * math.log(t / (2 * math.pi * order)) + series
    assert log_bessel(np.array([order]), x)[0] == pytest.approx(expected, rel=1e-11, abs=2e-9)


def test_bessel_functions_join_where_floats_end() -> None:
    x = 60.0
    orders = np.arange(100.0, 400.0)
    logs = log_bessel(orders, x)
    scaled = scipy.special.ive(orders, x)
    assert (scaled > 1e-290).any()
    assert (scaled <= 1e-290).any()
    # I_(v-1) - I_(v+1) = 2 v / x I_v, across the change of method
    left = 1 - np.exp(logs[2:] - logs[:-2])
    np.testing.assert_allclose(np.log(2 * orders[1:-1] / x) + logs[1:-1] - logs[:-2], np.log(left), atol=1e-10)


def test_it_integrates_to_1_over_the_circle() -> None:
    angle = torch.arange(5000, dtype=torch.float64) * (2 * math.pi / 5000)
    x = 7 * torch.stack([angle.cos(), angle.sin()], 1)
    out = torch.tensor([[0.3, -2.0]]).double().expand_as(x)
    density = torch.exp(-Cosine(3.0).build().double().cost(out, x))
    assert float(density.mean() * 2 * math.pi) == pytest.approx(1.0, rel=1e-10)


def test_lengths_do_not_matter() -> None:
    out, x = pair()
    loss = Cosine(3.0).build().double()
    np.testing.assert_allclose(loss.cost(9 * out, 5 * x), loss.cost(out, x), rtol=1e-10)


@pytest.mark.parametrize("features", [4, 784])
def test_a_row_of_zeros_has_a_finite_cost_and_gradient(features: int) -> None:
    loss = Cosine(20.0).build()
    zeros, ones = torch.zeros(1, features), torch.ones(1, features)
    uniform = loss.cost(ones, ones) + 20.0
    for out, x in ((ones, zeros), (zeros, ones), (zeros, zeros)):
        leaf = out.clone().requires_grad_()
        cost = loss.cost(leaf, x)
        (slope,) = torch.autograd.grad(cost.sum(), leaf)
        torch.testing.assert_close(cost.detach(), uniform)
        assert slope.isfinite().all()
        assert loss.mean(out).isfinite().all()
    step(Cosine().build(), zeros, zeros)


def test_the_mean_is_the_direction_times_the_rows_length() -> None:
    out, x = pair()
    loss = Cosine().build()
    np.testing.assert_allclose(loss.mean(out), unit(out), rtol=1e-11)
    total = loss.total(x)
    np.testing.assert_allclose(total, x.square().sum(1).sqrt(), rtol=1e-12)
    found = loss.mean(out, Context((5,), total=total))
    np.testing.assert_allclose(found, unit(out) * total[:, None].numpy(), rtol=1e-11)


@pytest.mark.parametrize("features", [3, 20, 300])
@pytest.mark.parametrize("kappa", [2.0, 60.0, 3000.0])
def test_the_learned_concentration_is_near_the_cheapest(features: int, kappa: float) -> None:
    """kappa of drawn rows is found again, and no other kappa is cheaper by more than a hundredth of a nat."""
    out = torch.ones(4_000, features)
    x = Cosine(kappa).build().sample(out, torch.Generator().manual_seed(0))
    loss = Cosine().build().double()
    step(loss, out.double(), x.double())
    found = float(loss.concentration(features))
    chance = math.sqrt(features) * (1 - 1 / features**2) / (1 - 1 / features)
    if kappa > 1.2 * chance:
        assert found == pytest.approx(kappa, rel=0.1)
    else:
        assert found >= 0.99 * chance  # never below what cosines by chance would give
        return
    cost = float(loss.cost(out.double(), x.double()).mean())
    for other in np.exp(np.linspace(-0.5, 0.5, 11)) * found:
        assert cost < float(Cosine(float(other)).build().double().cost(out.double(), x.double()).mean()) + 0.01


def test_the_running_cosine_goes_by_weights_and_leaves_out_rows_without_direction() -> None:
    out, x = pair()
    x[3] = 0
    rows = torch.rand(20, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.ones_like(x)
    weight[:, 2] = 0
    loss = Cosine().build().double()
    step(loss, out, x, weight=weight, row_weight=rows)
    keep, there = [0, 1, 3, 4], torch.arange(20) != 3
    cosines = torch.nn.functional.cosine_similarity(out[:, keep], x[:, keep])
    assert float(loss.cosine) == pytest.approx(float((cosines * rows)[there].sum() / rows[there].sum()), rel=1e-10)
    step(fixed := Cosine(3.0).build(), out, x)
    assert float(fixed.steps) == 0
    step(loss, out, x, weight=torch.zeros_like(x))
    assert float(loss.steps) == 1


@pytest.mark.parametrize("features", [2, 3, 40])
@pytest.mark.parametrize("kappa", [0.5, 30.0])
def test_draws_are_unit_vectors_around_the_output(features: int, kappa: float) -> None:
    loss = Cosine(kappa).build()
    out = torch.linspace(-1, 2, features).expand(20_000, features)
    drawn = loss.sample(out, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(drawn.norm(dim=1), 1.0, rtol=1e-5)
    order = features / 2 - 1
    resultant = scipy.special.ive(order + 1, kappa) / scipy.special.ive(order, kappa)
    expected = resultant * loss.mean(out)[0]
    np.testing.assert_allclose(drawn.mean(0), expected, atol=4 * math.sqrt(1 / features / 20_000) + 1e-4)


def test_knobs_and_sizes_are_checked() -> None:
    with pytest.raises(InputError, match="Cosine: concentration must be > 0, or None to learn it; got 0"):
        Cosine(0)
    with pytest.raises(InputError, match="Cosine: rows must have at least 2 columns to have a direction"):
        Cosine().build(Site(Layout((1,), ("column",))))
