"""Codes on the sphere: densities, divergences and gradients against quadrature, SciPy and Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from checks_for_kinds import generator
from scipy import special
from torch import Tensor

from isthmus.errors import InputError
from isthmus.parts.bottlenecks.spherical import Spherical
from isthmus.parts.distributions.normal import DiagonalNormal
from isthmus.parts.distributions.spherical import PowerSpherical, log_area, log_gamma_growth, on_sphere, reflected
from isthmus.parts.priors.sphere import UniformSphere
from isthmus.records import Context, Pass

SIZES = (2, 3, 4, 10, 64)


def directions(n: int, size: int, seed: int = 0) -> Tensor:
    return on_sphere(torch.randn(n, size, generator=generator(seed), dtype=torch.float64))


def around(size: int, concentration: float, n: int = 1, seed: int = 0) -> PowerSpherical:
    return PowerSpherical(directions(n, size, seed), torch.full((n,), concentration, dtype=torch.float64))


# --- the sphere ---


def test_areas_of_spheres() -> None:
    assert [math.exp(log_area(size)) for size in (1, 2, 3, 4)] == pytest.approx(
        [2, 2 * math.pi, 4 * math.pi, 2 * math.pi**2], rel=1e-12
    )


def test_directions_have_length_one_and_a_finite_gradient_everywhere() -> None:
    raw = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-9, -1e-9], [1e18, 0.0]], requires_grad=True)
    found = on_sphere(raw)
    expected = torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad((found * torch.tensor([0.3, 0.7])).sum(), raw)
    assert slope.isfinite().all()
    assert slope[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("b", [0.5, 1.0, 4.5, 31.5])
def test_growth_of_log_gamma_is_scipys(b: float) -> None:
    a = torch.logspace(math.log10(0.5), 3, 40, dtype=torch.float64)
    growth, slope, a = (values.numpy() for values in (*log_gamma_growth(a, b), a))
    np.testing.assert_allclose(growth, special.gammaln(a + b) - special.gammaln(a), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(slope, special.digamma(a + b) - special.digamma(a), rtol=1e-10, atol=1e-11)


def test_growth_of_log_gamma_keeps_its_digits_in_single_precision() -> None:
    a, b = torch.tensor([1e2, 1e4, 1e6]), 7.5
    exact = log_gamma_growth(a.double(), b)[0]
    torch.testing.assert_close(log_gamma_growth(a, b)[0].double(), exact, rtol=1e-6, atol=1e-5)
    plain = torch.lgamma(a + b) - torch.lgamma(a)
    assert (plain.double() - exact).abs().max() > 0.1  # what it is for


@pytest.mark.parametrize("size", SIZES)
def test_reflection_takes_the_first_axis_to_the_mean_and_keeps_angles(size: int) -> None:
    mean = torch.cat((directions(6, size), torch.eye(size, dtype=torch.float64)[:1], -torch.eye(size).double()[:1]))
    first = torch.eye(size, dtype=torch.float64)[0].expand_as(mean)
    torch.testing.assert_close(reflected(first, mean), mean, rtol=0, atol=1e-14)
    x, y = directions(len(mean), size, 1), directions(len(mean), size, 2)
    angles = (reflected(x, mean) * reflected(y, mean)).sum(1)
    torch.testing.assert_close(angles, (x * y).sum(1), rtol=0, atol=1e-14)


# --- the power spherical distribution ---


@pytest.mark.parametrize("concentration", [0.0, 0.7, 12.0, 900.0])
def test_density_integrates_to_one_on_the_circle(concentration: float) -> None:
    posterior = around(2, concentration)
    # Equal steps all the way round: for a function that is smooth and periodic no rule is better.
    angle = torch.arange(4096, dtype=torch.float64) * (2 * math.pi / 4096)
    density = posterior.log_prob(torch.stack((angle.cos(), angle.sin()), 1)[:, None]).exp()
    assert float(density.mean()) * 2 * math.pi == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("concentration", [0.0, 0.7, 12.0, 900.0])
@pytest.mark.parametrize("size", SIZES)
def test_density_integrates_to_one_and_gives_the_entropy_on_spheres(size: int, concentration: float) -> None:
    """Over the angle to the mean: a ring at that angle is a sphere of one dimension less, sin(angle) wide."""
    posterior = around(size, concentration)
    mean = posterior.mean[0]
    aside = torch.linalg.qr(torch.stack((mean, directions(1, size, 5)[0]), 1))[0][:, 1]
    nodes, weights = (torch.from_numpy(found) for found in np.polynomial.legendre.leggauss(300))
    angle = (nodes + 1) * math.pi / 2
    log_density = posterior.log_prob((angle.cos()[:, None] * mean + angle.sin()[:, None] * aside)[:, None])[:, 0]
    ring = math.exp(log_area(size - 1)) * log_density.exp() * angle.sin() ** (size - 2) * weights * math.pi / 2
    surprise = -float(ring @ log_density)
    assert float(ring.sum()) == pytest.approx(1, abs=1e-9)
    assert surprise == pytest.approx(float(posterior.entropy()), abs=1e-8)
    assert float(posterior.divergence()) == pytest.approx(log_area(size) - surprise, abs=1e-8)


@pytest.mark.parametrize("size", SIZES)
def test_without_concentration_it_is_the_uniform_distribution(size: int) -> None:
    posterior = around(size, 0.0, n=3)
    z = directions(3, size, 1)
    torch.testing.assert_close(posterior.log_prob(z[None])[0], UniformSphere().log_prob(z), rtol=0, atol=1e-10)
    torch.testing.assert_close(posterior.divergence(), torch.zeros(3, 1).double(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("concentration", [0.5, 8.0, 300.0])
@pytest.mark.parametrize("size", [2, 3, 10])
def test_draws_follow_the_density(size: int, concentration: float) -> None:
    """Length one, the cosine's exact mean, and the divergence within 4 standard errors."""
    posterior = around(size, concentration)
    z = posterior.sample(20_000, generator(1))
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(20_000, 1, dtype=torch.float64), rtol=0, atol=1e-12)
    alpha, beta = (size - 1) / 2 + concentration, (size - 1) / 2
    cosine = (z * posterior.mean).sum(-1)[:, 0]
    within(cosine, (alpha - beta) / (alpha + beta))
    gain = posterior.log_prob(z) - UniformSphere().log_prob(z)
    within(gain[:, 0], float(posterior.divergence()))
    # Around the mean no direction is preferred: what is left of z beside it has mean 0.
    beside = z[:, 0] - cosine[:, None] * posterior.mean
    within(beside @ directions(1, size, 7)[0], 0.0)


def within(values: Tensor, expected: float) -> None:
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - expected) < 4 * error


@pytest.mark.parametrize("size", [2, 3, 8])
def test_gradient_of_draws_is_that_of_the_expectation(size: int) -> None:
    """d/d concentration of E (mean . z) and E (mean . z)^2, against the Beta distribution's own."""
    mean, start = directions(1, size), 5.0
    concentration = torch.full((1,), start, dtype=torch.float64, requires_grad=True)

    def moments(value: float) -> np.ndarray:
        alpha, beta = (size - 1) / 2 + value, (size - 1) / 2
        first = alpha / (alpha + beta)
        second = first * (alpha + 1) / (alpha + beta + 1)
        return np.array([2 * first - 1, 4 * second - 4 * first + 1])

    numeric = (moments(start + 1e-5) - moments(start - 1e-5)) / 2e-5
    many = concentration.expand(40_000)
    cosine = (PowerSpherical(mean.expand(40_000, -1), many).sample(1, generator(2))[0] * mean).sum(1)
    for power, slope in ((1, numeric[0]), (2, numeric[1])):
        (each,) = torch.autograd.grad((cosine**power).sum(), many, retain_graph=True)
        within(each, float(slope))


def test_gradient_of_draws_in_the_direction() -> None:
    """E (a . z) = E cosine * (a . mean), so its gradient in the mean's angle is known."""
    angle = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    angles = angle.expand(40_000)
    mean = torch.stack((angles.cos(), angles.sin()), 1)
    z = PowerSpherical(mean, torch.full((40_000,), 3.0, dtype=torch.float64)).sample(1, generator(4))[0]
    (each,) = torch.autograd.grad(z[:, 0].sum(), angles)
    within(each, -(3.0 / 4.0) * math.sin(0.8))  # E cosine = concentration / (concentration + size - 1)


def test_detached_parameters_carry_no_gradient() -> None:
    mean = directions(2, 3).requires_grad_()
    posterior = PowerSpherical(mean, torch.ones(2, dtype=torch.float64))
    assert posterior.log_prob(mean[None]).requires_grad
    assert not posterior.detached().log_prob(mean.detach()[None]).requires_grad


# --- the prior and the bottleneck ---


def test_prior_draws_cover_the_sphere_evenly() -> None:
    draws = UniformSphere().sample(20_000, 3, generator())
    torch.testing.assert_close(draws.norm(dim=1), torch.ones(20_000))
    for axis in range(3):
        within(draws[:, axis].double(), 0.0)
        within(draws[:, axis].double().square(), 1 / 3)


def test_prior_refuses_codes_off_the_sphere() -> None:
    with pytest.raises(InputError, match=r"UniformSphere\(\) is for codes on the sphere, not for DiagonalNormal"):
        UniformSphere().divergence(DiagonalNormal(torch.zeros(1, 2), torch.zeros(1, 2)))


def test_code_is_a_direction_and_is_drawn_where_draws_are_asked_for() -> None:
    hidden = torch.randn(5, 4, generator=generator())
    bottleneck = Spherical()
    assert bottleneck.width(3) == 4
    still = bottleneck(hidden, Context((6,)))
    assert torch.equal(still.z, still.point)
    assert torch.equal(still.point, on_sphere(hidden[:, :3]))
    first, again, other = (bottleneck(hidden, Context((6,), pass_=Pass(generator(seed)))) for seed in (0, 0, 1))
    assert torch.equal(first.z, again.z)
    assert not torch.equal(first.z, other.z)
    assert torch.equal(first.point, still.point)
    assert torch.equal(first.cost, still.cost)  # in closed form
    torch.testing.assert_close(first.z.norm(dim=1), torch.ones(5))
    expected = PowerSpherical(still.point, 6 * torch.nn.functional.softplus(hidden[:, 3] + 2)).divergence()[:, 0]
    torch.testing.assert_close(still.cost, expected)


def test_decoder_reads_the_direction_of_a_code() -> None:
    torch.testing.assert_close(Spherical().z_of(torch.tensor([[0.0, 5.0]])), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("size", [0, 1])
def test_a_code_of_one_unit_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"Spherical: code_size must be >= 2, for a sphere to exist; got {size}"):
        Spherical().width(size)
