"""Losses of counts and categories: SciPy's distributions, their limits, and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus.errors import InputError
from isthmus.parts.losses.categories import Categorical
from isthmus.parts.losses.common import log_rising
from isthmus.parts.losses.counts import (
    LARGEST_LOG_MEAN,
    Multinomial,
    NegativeBinomial,
    Poisson,
    ZeroInflatedNegativeBinomial,
    log_mean,
)
from isthmus.records import Context, Layout, Site

R = np.array([0.05, 0.9, 7.0, 30.0, 4e5])
"""Inverse dispersions, on both sides of where the series takes over."""


def pair(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Log means from about e^-4 to e^8, and counts around them."""
    draw = np.random.default_rng(seed)
    out = draw.uniform(-4, 8, (n, 5))
    return torch.from_numpy(out), torch.from_numpy(draw.poisson(np.exp(out)).astype(float))


def with_r(part: NegativeBinomial | ZeroInflatedNegativeBinomial, r: np.ndarray = R) -> torch.nn.Module:
    loss = part.build(Site(Layout((len(r),), ("column",)))).double()
    loss.log_inverse_dispersion.data.copy_(torch.from_numpy(np.log(r)))
    return loss.requires_grad_(False)


def binomial(out: torch.Tensor, r: np.ndarray = R) -> scipy.stats.rv_discrete:
    return scipy.stats.nbinom(r, r / (r + np.exp(out.numpy())))


def test_poisson_is_scipys() -> None:
    out, x = pair()
    expected = -scipy.stats.poisson.logpmf(x.numpy(), np.exp(out.numpy())).sum(1)
    np.testing.assert_allclose(Poisson().cost(out, x), expected, rtol=1e-10)


def test_the_negative_binomial_is_scipys() -> None:
    out, x = pair()
    np.testing.assert_allclose(
        with_r(NegativeBinomial()).cost(out, x), -binomial(out).logpmf(x.numpy()).sum(1), rtol=1e-10
    )


def test_the_zero_inflated_one_is_scipys_with_zeros_added() -> None:
    out, x = pair()
    x[::2] = 0
    logit = torch.from_numpy(np.random.default_rng(1).normal(size=out.shape))
    p = scipy.special.expit(logit.numpy())
    expected = -np.log((x.numpy() == 0) * p + (1 - p) * binomial(out).pmf(x.numpy())).sum(1)
    found = with_r(ZeroInflatedNegativeBinomial()).cost(torch.stack([out, logit], 1), x)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_multinomial_is_scipys() -> None:
    out, x = pair()
    share = scipy.special.softmax(out.numpy(), axis=1)
    expected = -scipy.stats.multinomial.logpmf(x.numpy(), x.numpy().sum(1), share)
    np.testing.assert_allclose(Multinomial().cost(out, x), expected, rtol=1e-10)


def test_categories_are_scipys_multinomial_of_one() -> None:
    draw = np.random.default_rng(0)
    out, x = draw.normal(size=(20, 4, 3)), draw.integers(0, 4, (20, 3))
    share = scipy.special.softmax(out, axis=1)
    one_hot = np.eye(4)[x]
    expected = -scipy.stats.multinomial.logpmf(one_hot, 1, np.moveaxis(share, 1, -1)).sum(1)
    found = Categorical(4).cost(torch.from_numpy(out), torch.from_numpy(x.astype(float)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("log", [-3.0, 0.0, 2.0])
def test_probabilities_sum_to_1(log: float) -> None:
    x = torch.arange(3000.0, dtype=torch.float64)[:, None]
    out = torch.full_like(x, log)
    assert float(torch.exp(-Poisson().cost(out, x)).sum()) == pytest.approx(1.0, rel=1e-12)
    for r in (0.3, 5.0, 50.0):
        loss = with_r(NegativeBinomial(), np.array([r]))
        assert float(torch.exp(-loss.cost(out, x)).sum()) == pytest.approx(1.0, rel=1e-12)
        both = torch.stack([out, torch.full_like(out, 0.4)], 1)
        loss = with_r(ZeroInflatedNegativeBinomial(), np.array([r]))
        assert float(torch.exp(-loss.cost(both, x)).sum()) == pytest.approx(1.0, rel=1e-12)
    rows = torch.tensor([(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)], dtype=torch.float64)
    out = torch.tensor([log, 0.3, -1.0], dtype=torch.float64).expand_as(rows)
    assert float(torch.exp(-Multinomial().cost(out, rows)).sum()) == pytest.approx(1.0, rel=1e-12)


def test_without_dispersion_the_negative_binomial_is_poisson() -> None:
    out, x = pair()
    loss = with_r(NegativeBinomial(), np.full(5, math.inf))
    np.testing.assert_allclose(loss.cost(out, x), Poisson().cost(out, x), rtol=1e-6)  # r is held at e^30
    out, x = out[:, :2].clamp(max=2), x[:, :2].clamp(max=9)
    loss = with_r(NegativeBinomial(), np.full(2, math.inf))
    np.testing.assert_allclose(loss.cost(out, x), Poisson().cost(out, x), rtol=1e-10)


def test_without_dropout_the_zero_inflated_one_is_the_plain_one() -> None:
    out, x = pair()
    both = torch.stack([out, torch.full_like(out, -math.inf)], 1)
    found, plain = with_r(ZeroInflatedNegativeBinomial()), with_r(NegativeBinomial())
    np.testing.assert_allclose(found.cost(both, x), plain.cost(out, x), rtol=1e-12)
    np.testing.assert_array_equal(found.mean(both), plain.mean(out))


def test_a_multinomial_of_total_one_is_categorical() -> None:
    out = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 6)))
    chosen = torch.arange(9) % 6
    one_hot = torch.nn.functional.one_hot(chosen, 6).double()
    expected = Categorical(6).cost(out[:, :, None], chosen[:, None].double())
    np.testing.assert_allclose(Multinomial().cost(out, one_hot), expected, rtol=1e-13)


@pytest.mark.parametrize("start", [1e-6, 0.5, 19.999, 20.001, 1e3, 1e12])
def test_the_logarithm_of_a_rising_product(start: float) -> None:
    x = np.array([0.0, 1.0, 2.0, 7.0, 40.0])
    expected = [sum(math.log(start + i) for i in range(int(steps))) for steps in x]
    found = log_rising(torch.full((5,), start, dtype=torch.float64), torch.from_numpy(x))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    coarse = log_rising(torch.full((5,), start), torch.from_numpy(x).float())
    np.testing.assert_allclose(coarse, expected, rtol=2e-6, atol=1e-5)


def test_large_counts_and_dispersions_are_exact_enough_in_float32() -> None:
    """By differences of log Gamma the error would be whole nats here."""
    x, out = torch.tensor([[1000.0]]), torch.tensor([[math.log(1000.0)]])
    loss = with_r(NegativeBinomial(), np.array([1e6])).float()
    expected = -scipy.stats.nbinom.logpmf(1000, 1e6, 1e6 / (1e6 + 1000))
    assert float(loss.cost(out, x)) == pytest.approx(expected, abs=5e-3)


def test_the_mean_grows_linearly_beyond_its_limit() -> None:
    limit = torch.tensor(LARGEST_LOG_MEAN, dtype=torch.float64)
    assert float(log_mean(limit)) == LARGEST_LOG_MEAN
    mean = torch.exp(log_mean(limit + 4))
    assert float(mean) == pytest.approx(5 * math.exp(LARGEST_LOG_MEAN), rel=1e-12)
    wild = torch.tensor([[500.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(Poisson().cost(wild, torch.tensor([[3.0]])), wild)
    assert float(slope) == pytest.approx(math.exp(LARGEST_LOG_MEAN), rel=1e-5)  # led back, not left where it is


def test_draws_have_mean_and_variance() -> None:
    source = torch.Generator().manual_seed(0)
    out = torch.tensor([-1.0, 0.5, 2.0]).expand(200_000, 3)
    mean = np.exp(out[0].numpy())
    drawn = Poisson().sample(out, source)
    np.testing.assert_allclose(drawn.mean(0), mean, rtol=0.02)
    np.testing.assert_allclose(drawn.var(0), mean, rtol=0.02)
    r = np.array([0.5, 2.0, 50.0])
    drawn = with_r(NegativeBinomial(), r).float().sample(out, source)
    np.testing.assert_allclose(drawn.mean(0), mean, rtol=0.03)
    np.testing.assert_allclose(drawn.var(0), mean + mean**2 / r, rtol=0.05)
    loss = with_r(ZeroInflatedNegativeBinomial(), r).float()
    both = torch.stack([out, torch.full_like(out, -0.5)], 1)
    drawn = loss.sample(both, source)
    np.testing.assert_allclose(drawn.mean(0), loss.mean(both)[0], rtol=0.03)
    np.testing.assert_allclose(loss.mean(both)[0], mean * scipy.special.expit(0.5), rtol=1e-6)


def test_multinomial_draws_have_the_rows_totals() -> None:
    total = torch.tensor([0.0, 1.0, 50.0]).repeat(20_000)
    context = Context((2, 2), total=total)
    out = torch.tensor([[0.0, 1.0], [-1.0, 2.0]]).expand(len(total), 2, 2)
    loss = Multinomial()
    drawn = loss.sample(out, torch.Generator().manual_seed(0), context)
    assert torch.equal(loss.total(drawn), total)
    share = torch.softmax(out[0].flatten(), 0).reshape(2, 2)
    np.testing.assert_allclose(drawn[2::3].mean(0), 50 * share, rtol=0.02)
    np.testing.assert_allclose(loss.mean(out, context)[2], 50 * share, rtol=1e-6)
    np.testing.assert_allclose(loss.mean(out)[2], share, rtol=1e-6)
    assert (loss.total(loss.sample(out, torch.Generator().manual_seed(0))) == 1).all()


def test_categorical_draws_and_the_most_probable() -> None:
    out = torch.tensor([[0.0, 2.0], [1.0, 0.0], [-1.0, 1.0]]).expand(60_000, 3, 2)
    drawn = Categorical(3).sample(out, torch.Generator().manual_seed(0))
    for column in range(2):
        found = torch.bincount(drawn[:, column].long(), minlength=3) / len(drawn)
        np.testing.assert_allclose(found, torch.softmax(out[0, :, column], 0), atol=0.01)
    assert Categorical(3).mean(out)[0].tolist() == [1.0, 0.0]


def test_what_the_encoder_is_shown() -> None:
    assert Poisson().view(torch.tensor([0.0, math.e - 1, -3.0])).tolist() == pytest.approx([0.0, 1.0, 0.0])
    assert NegativeBinomial(2).build().view(torch.zeros(1)).tolist() == [0.0]
    assert Categorical(5).view(torch.tensor([0.0, 2.0, 4.0])).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("part", [NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_dispersions_are_learned_for_the_columns_of_the_data(part: type) -> None:
    name = part.__name__
    assert part().build(Site(Layout((4, 4), ("height", "width")))).log_inverse_dispersion.shape == (16,)
    assert part(features=3).build().log_inverse_dispersion.shape == (3,)
    with pytest.raises(InputError, match=f"{name}: features must say how many columns there are"):
        part().build()
    with pytest.raises(InputError, match=f"{name}: features must be the 5 of the data, or None; got 3"):
        part(features=3).build(Site(Layout((5,), ("column",))))


def test_the_learned_dispersion_finds_that_of_the_data() -> None:
    r = np.array([0.5, 5.0])
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.negative_binomial(r, r / (r + 10.0), (5_000, 2)).astype(float))
    loss = NegativeBinomial(features=2).build().double()
    out = torch.full((1, 2), math.log(10.0), dtype=torch.float64).expand_as(x)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(80):
        optimiser.zero_grad()
        loss.cost(out, x).mean().backward()
        optimiser.step()
    np.testing.assert_allclose(loss.log_inverse_dispersion.exp().detach(), r, rtol=0.1)


@pytest.mark.parametrize("classes", [1, 0, 2.0, True, "3"])
def test_classes_must_be_two_or_more(classes: object) -> None:
    with pytest.raises(InputError, match="Categorical: classes must be a whole number >= 2; got"):
        Categorical(classes)
