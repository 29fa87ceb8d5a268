"""Robust losses: their distributions, the outliers they explain away, and the scales they learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from isthmus.errors import InputError
from isthmus.parts.losses.common import FLOOR
from isthmus.parts.losses.grouped import GroupedHuber, lengths, log_normaliser
from isthmus.parts.losses.robust import Huber, StudentT
from isthmus.parts.losses.scaled import Squared
from isthmus.records import EVALUATION, Batch, Code, Context, Layout, Seen, Trace


def pair(n: int = 30, features: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    return torch.from_numpy(draw.normal(size=(n, features))), torch.from_numpy(3 * draw.normal(size=(n, features)))


def made(part: object, variance: float | None = None) -> torch.nn.Module:
    """Built with every digit of float64."""
    loss = part.build().double().requires_grad_(False)
    if variance is not None:
        loss.variance.fill_(variance)
    return loss


def step(
    loss: object, out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None = None, **more: torch.Tensor
) -> None:
    """What the loop does after a step that gave this output."""
    batch = Batch(x, Layout((x.shape[1],), ("column",)), weight, row_weight=more.get("row_weight"))
    draws = out.shape[0] if out.ndim > x.ndim else 0
    seen = Seen(x, weight=more.get("seen_weight"))
    trace = Trace(batch, seen, x, Code(x, x, draws=draws), out, Context((x.shape[1],)), EVALUATION, loss)
    with torch.no_grad():
        loss.after_step(trace, {})


@pytest.mark.parametrize("df", [0.7, 3.0, 39.9, 40.1, 5e4])
def test_student_is_scipys(df: float) -> None:
    out, x = pair()
    expected = -scipy.stats.t.logpdf(x.numpy(), df, out.numpy(), 0.6).sum(1)
    np.testing.assert_allclose(made(StudentT(df, 0.6), 0.36).cost(out, x), expected, rtol=1e-10)


def test_a_learned_df_is_above_1_and_has_a_gradient() -> None:
    out, x = pair()
    loss = StudentT(scale=0.6).build().double()
    assert float(loss.df.detach()) == pytest.approx(5.0, rel=1e-6)
    expected = -scipy.stats.t.logpdf(x.numpy(), float(loss.df.detach()), out.numpy(), 0.6).sum(1)
    np.testing.assert_allclose(loss.cost(out, x).detach(), expected, rtol=1e-6)
    loss.log_df.data.fill_(-1e9)
    assert 1.0 < float(loss.df.detach()) < 1.001
    heavy = torch.from_numpy(scipy.stats.t(2.5).rvs((20_000, 1), random_state=0))
    loss = StudentT().build().double()
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        loss.cost(torch.zeros_like(heavy), heavy).mean().backward()
        optimiser.step()
        step(loss, torch.zeros_like(heavy), heavy)
    assert float(loss.df.detach()) == pytest.approx(2.5, abs=0.2)
    assert float(loss.variance) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("k", [0.3, 1.345, 4.0])
def test_huber_is_the_least_cost_over_outliers_and_integrates_to_1(k: float) -> None:
    scale = 0.7
    loss = made(Huber(k, scale), scale**2)

    def density(e: float) -> float:
        return math.exp(-float(loss.cost(torch.zeros(1, 1).double(), torch.tensor([[e]]).double())))

    whole = sum(scipy.integrate.quad(density, a, b)[0] for a, b in [(-150, -k * scale), (-k * scale, 0)])
    assert 2 * whole == pytest.approx(1.0, rel=1e-8)
    out, x = pair()
    grid = np.linspace(-15, 15, 30001)
    error = (x - out).numpy()[:3, :, None]
    prices = (error - grid) ** 2 / (2 * scale**2) + k * np.abs(grid) / scale
    log_z = math.log(math.sqrt(2 * math.pi) * math.erf(k / math.sqrt(2)) + 2 / k * math.exp(-k * k / 2))
    np.testing.assert_allclose(loss.cost(out, x)[:3], prices.min(2).sum(1) + 5 * (math.log(scale) + log_z), rtol=1e-5)
    np.testing.assert_allclose(loss.outliers(out, x)[:3], grid[prices.argmin(2)], atol=1e-3)


@pytest.mark.parametrize("features", [2, 3, 10])
@pytest.mark.parametrize("k", [0.5, None])
def test_grouped_huber_is_the_least_cost_over_a_rows_outlier(features: int, k: float | None) -> None:
    scale = 0.7
    out, x = pair(12, features)
    loss = made(GroupedHuber(k, scale), scale**2)
    threshold = math.sqrt(features) + math.sqrt(2) if k is None else k
    outliers = loss.outliers(out, x)

    def price(e: torch.Tensor) -> torch.Tensor:
        return (x - out - e).square().sum(1) / (2 * scale**2) + threshold * e.norm(dim=1) / scale

    constant = features * math.log(scale) + log_normaliser(features, k)
    np.testing.assert_allclose(loss.cost(out, x), price(outliers) + constant, rtol=1e-12)
    source = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(20):
            beside = outliers + size * torch.empty_like(x).normal_(generator=source)
            assert (price(beside) >= price(outliers) - 1e-12).all()
    assert (outliers.norm(dim=1) > 0).any()


@pytest.mark.parametrize("d", [1, 2, 5, 30, 784])
@pytest.mark.parametrize("k", [1.0, 6.0, None, 45.0])
def test_the_normaliser_in_d_dimensions(d: int, k: float | None) -> None:
    """The area of the sphere of radius r times exp(-rho(r)), integrated over r, in logarithms."""
    threshold = math.sqrt(d) + math.sqrt(2) if k is None else k
    # Beyond the threshold r k follows Gamma's distribution: the grid covers it.
    far = max(threshold, (d + 40 * math.sqrt(d)) / threshold) + 60 / threshold
    total = []
    for low, high in ((0.0, threshold), (threshold, far)):
        r, width = np.linspace(low, high, 400_001, retstep=True)
        near = np.minimum(r, threshold)
        with np.errstate(divide="ignore"):
            log = (d - 1) * np.log(r) - near * (r - near / 2) if d > 1 else -near * (r - near / 2)
        simpson = np.array([1.0, *[4.0, 2.0] * 199_999, 4.0, 1.0]) * width / 3
        total.append(scipy.special.logsumexp(log, b=simpson))
    area = math.log(2) + d / 2 * math.log(math.pi) - scipy.special.gammaln(d / 2)
    assert log_normaliser(float(d), k) == pytest.approx(area + np.logaddexp(*total), rel=1e-9, abs=1e-9)


def test_grouped_huber_of_one_column_is_huber() -> None:
    out, x = pair(20, 1)
    grouped, single = made(GroupedHuber(1.345, 0.7), 0.49), made(Huber(1.345, 0.7), 0.49)
    np.testing.assert_allclose(grouped.cost(out, x), single.cost(out, x), rtol=1e-12)
    np.testing.assert_allclose(grouped.outliers(out, x), single.outliers(out, x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("part", [StudentT(1e12, 0.6), Huber(60.0, 0.6), GroupedHuber(60.0, 0.6)])
def test_the_limit_of_every_robust_loss_is_the_squared_error(part: object) -> None:
    out, x = pair()
    expected = made(Squared(0.36), 0.36).cost(out, x)
    np.testing.assert_allclose(made(part, 0.36).cost(out, x), expected, rtol=1e-9)


def test_wide_rows_are_finite_and_exact_in_float32() -> None:
    out, x = pair(6, 784)
    x[0] = 1e4
    loss = GroupedHuber(scale=1.0).build()
    np.testing.assert_allclose(loss.cost(out.float(), x.float()), loss.double().cost(out, x), rtol=1e-5)


@pytest.mark.parametrize("part", [Huber(scale=0.5), GroupedHuber(scale=0.5)])
def test_outliers_are_0_at_missing_cells_and_go_by_what_is_visible(part: object) -> None:
    out, x = pair(20, 5)
    weight = torch.ones_like(x)
    weight[:, 3] = 0
    x[:, 3] = math.nan
    loss = made(part, 0.25)
    found = loss.outliers(out, x, weight)
    keep = [0, 1, 2, 4]
    assert (found[:, 3] == 0).all()
    assert (found != 0).any()
    np.testing.assert_allclose(found[:, keep], loss.outliers(out[:, keep], x[:, keep]), rtol=1e-12)


def test_a_perfect_row_has_no_outlier_and_no_gradient() -> None:
    x = torch.ones(2, 3)
    for part in (Huber(), GroupedHuber(), StudentT(3.0)):
        loss, leaf = part.build(), x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss.cost(leaf, x).sum(), leaf)
        assert (slope == 0).all()
    assert (GroupedHuber().build().outliers(x, x) == 0).all()


def test_outliers_leave_the_clean_rows_alone() -> None:
    """Normal errors of scale 1, one row in ten hit by an outlier of length 40: all found, no clean
    row with them, and the variance stays far below the 9 of a squared error."""
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(size=(2000, 20)))
    hit = torch.arange(2000) % 10 == 0
    x[hit] += 40 / math.sqrt(20)
    loss = made(GroupedHuber())
    for _ in range(60):
        step(loss, torch.zeros_like(x), x)
    assert float(x.square().mean()) == pytest.approx(9.0, abs=0.2)
    assert 1.0 < float(loss.variance) < 3.5
    sizes = loss.outliers(torch.zeros_like(x), x).norm(dim=1)
    assert (sizes[hit] > 0).all()
    assert (sizes[~hit] == 0).all()


# The learned scale.

PARTS = {"student": StudentT(3.0), "huber": Huber(), "grouped": GroupedHuber()}
learned = pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))


def converged(
    part: object, out: torch.Tensor, x: torch.Tensor, *arguments: torch.Tensor, **more: torch.Tensor
) -> float:
    loss = made(part)
    for _ in range(600):
        step(loss, out, x, *arguments, **more)
    return float(loss.variance)


def least(part: object, out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None, rows: torch.Tensor) -> float:
    """The variance at which the mean cost is least, by search."""
    loss = made(part)

    def cost(log: float) -> float:
        loss.variance.fill_(math.exp(log))
        return float((loss.cost(out, x, weight) * rows).sum())

    return math.exp(scipy.optimize.minimize_scalar(cost, bounds=(-8, 8), options={"xatol": 1e-9}, method="bounded").x)


@learned
def test_the_fixed_point_is_where_the_cost_is_least(part: object) -> None:
    out, x = pair(60)
    assert converged(part, out, x) == pytest.approx(least(part, out, x, None, torch.ones(60)), rel=1e-4)
    assert converged(part, out, 1000 * x) == pytest.approx(1e6 * converged(part, out / 1000, x), rel=1e-3)


@learned
def test_the_fixed_point_goes_by_the_weights_of_cells_and_rows(part: object) -> None:
    out, x = pair(60)
    source = torch.Generator().manual_seed(0)
    there = (torch.rand(x.shape, generator=source) > 0.3).double()
    chosen = (torch.rand(x.shape, generator=source) > 0.5).double()
    rows = torch.rand(60, generator=source).double() * 2
    gaps = torch.where(there > 0, x, torch.full_like(x, math.nan))
    found = converged(part, out, gaps, there, row_weight=rows, seen_weight=chosen)
    assert found == pytest.approx(least(part, out, x, there * chosen, rows), rel=1e-4)
    assert found != pytest.approx(least(part, out, x, there, rows), rel=1e-2)


@learned
def test_several_draws_of_a_code_count_alike(part: object) -> None:
    out, x = pair(60)
    both = converged(part, torch.stack([out, 2 * out]), x)
    assert both == pytest.approx(converged(part, torch.cat([out, 2 * out]), torch.cat([x, x])), rel=1e-6)


@learned
def test_a_scale_stays_where_nothing_moves_it(part: object) -> None:
    out, x = pair()
    loss = made(part)
    step(loss, out, x, torch.zeros_like(x))
    assert (float(loss.variance), float(loss.steps)) == (1.0, 0.0)
    step(loss, x, x)
    assert float(loss.variance) == pytest.approx(FLOOR)
    fixed = made(type(part)(scale=0.5))
    step(fixed, out, x)
    assert float(fixed.variance) == 0.25
    assert not hasattr(loss, "best")


# Draws.


@pytest.mark.parametrize("k", [0.5, 1.345, 40.0])
def test_huber_draws_have_its_distribution(k: float) -> None:
    loss = made(Huber(k, 0.7), 0.49)
    drawn = loss.float().sample(torch.full((100_000, 1), 2.0), torch.Generator().manual_seed(0)).numpy() - 2.0
    e = np.linspace(-40, 40, 400_001)
    density = np.exp(-loss.double().cost(torch.zeros(len(e), 1).double(), torch.from_numpy(e)[:, None]).numpy())
    below = scipy.integrate.cumulative_simpson(density, x=e, initial=0)
    assert scipy.stats.kstest(drawn[:, 0], lambda at: np.interp(at, e, below)).pvalue > 1e-3


@pytest.mark.parametrize("features", [3, 30])
@pytest.mark.parametrize("k", [1.0, None, 60.0])
def test_grouped_draws_have_its_lengths(features: int, k: float | None) -> None:
    loss = GroupedHuber(k, 0.7).build()
    drawn = loss.sample(torch.full((20_000, features), 2.0), torch.Generator().manual_seed(0)) - 2.0
    assert drawn.mean(0).abs().max() < 0.05 * float(drawn.std())
    threshold = math.sqrt(features) + math.sqrt(2) if k is None else k
    far = max(threshold, (features + 20 * math.sqrt(features)) / threshold) + 40 / threshold
    r = np.linspace(1e-9, far, 400_001)
    near = np.minimum(r, threshold)
    density = np.exp((features - 1) * np.log(r) - near * (r - near / 2) + 30)
    below = scipy.integrate.cumulative_simpson(density, x=r, initial=0)
    sizes = drawn.norm(dim=1).numpy() / 0.7
    assert scipy.stats.kstest(sizes, lambda at: np.interp(at, r, below / below[-1])).pvalue > 1e-3


def test_lengths_grow_with_the_number_drawn() -> None:
    even = np.linspace(0, 1 - 1e-9, 1001)
    for d, k in ((1.0, 0.2), (10.0, None), (784.0, 1.0), (784.0, 200.0)):
        found = lengths(even, d, k)
        assert np.isfinite(found).all()
        assert (np.diff(found) >= 0).all()


def test_student_draws_are_scipys() -> None:
    drawn = StudentT(3.0, 0.7).build().sample(torch.full((50_000, 1), 2.0), torch.Generator().manual_seed(0))
    assert scipy.stats.kstest(drawn.numpy()[:, 0], scipy.stats.t(3.0, 2.0, 0.7).cdf).pvalue > 1e-3


@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_knobs_must_be_positive(value: float) -> None:
    for part, knob in [(StudentT, "df"), (StudentT, "scale"), (Huber, "threshold"), (GroupedHuber, "threshold")]:
        with pytest.raises(InputError, match=f"{part.__name__}: {knob} must be > 0, or None for its default; got"):
            part(**{knob: value})
