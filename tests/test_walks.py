"""Walks among codes: steps that keep the density, lines, arcs, and paths along it."""

import math

import pytest
import torch
from torch import Tensor

from isthmus.estimators.walks import (
    PULL,
    WAVES,
    Ground,
    along_density,
    at_home,
    evenly,
    spherical,
    straight,
    toil,
    varied,
    waves,
)
from isthmus.parts.priors.fitting import Given
from isthmus.parts.priors.mixture import Mixture, MixtureOfNormals
from isthmus.records import Context, Site


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lone(size: int = 2) -> tuple[MixtureOfNormals, Tensor]:
    """A mixture of one component fitted to codes that vary together, and these."""
    codes = torch.randn(4000, size, generator=source()) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]) * 3 + 5
    prior = Mixture(1).build(Site(code_size=size))
    prior.fit(codes, source())
    return prior, codes


def islands(*places: tuple[float, float], spread: float = 0.5) -> MixtureOfNormals:
    """A mixture of round components, in its own units."""
    prior = Mixture(len(places)).build(Site(code_size=2))
    with torch.no_grad():
        prior.means.copy_(torch.tensor(places))
        prior.log_scale.fill_(math.log(spread))
    return prior


def test_a_step_is_the_formula() -> None:
    prior, codes = lone()
    z, s = codes[:5], 0.6
    moved = varied(prior, z, s, source(3))
    dice = source(3)
    torch.multinomial(torch.ones(5, 1), 1, generator=dice)  # the component, of which there is one
    fresh = torch.randn(5, 2, generator=dice)
    triangle = torch.linalg.cholesky(torch.cov(codes.double().T, correction=0))
    mean = codes.double().mean(0)
    wanted = mean + math.sqrt(1 - s**2) * (z.double() - mean) + s * fresh.double() @ triangle.T
    torch.testing.assert_close(moved.double(), wanted, rtol=2e-4, atol=2e-3)


def test_a_small_step_leaves_a_code_where_it_is() -> None:
    prior, codes = lone()
    torch.testing.assert_close(varied(prior, codes[:50], 1e-6, source()), codes[:50], rtol=1e-4, atol=1e-3)


def test_the_whole_step_forgets_the_code() -> None:
    prior, _ = lone()
    near, far = torch.zeros(3, 2), torch.full((3, 2), 50.0)
    torch.testing.assert_close(varied(prior, near, 1.0, source()), varied(prior, far, 1.0, source()))


@pytest.mark.parametrize("spread", [0.3, 0.8, 1.0])
def test_steps_keep_the_distribution(spread: float) -> None:
    prior, _ = lone()
    with torch.no_grad():
        codes = prior.sample(20_000, 2, source(1))
        moved = varied(prior, codes, spread, source(2))
    torch.testing.assert_close(moved.mean(0), codes.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(moved.T), torch.cov(codes.T), atol=0.35, rtol=0)
    correlation = torch.corrcoef(torch.stack((codes[:, 0], moved[:, 0])))[0, 1]
    assert abs(float(correlation) - math.sqrt(1 - spread**2)) < 0.03


def test_a_code_stays_in_its_component() -> None:
    prior = islands((-5.0, 0.0), (5.0, 0.0))
    codes = torch.tensor([[-5.0, 0.3]] * 300 + [[5.2, 0.0]] * 300)
    moved = varied(prior, codes, 1.0, source())
    assert (moved[:300, 0] < 0).all()
    assert (moved[300:, 0] > 0).all()
    assert 0.4 < float(moved[300:, 0].std()) < 0.6


def test_a_code_between_components_goes_with_either() -> None:
    prior = islands((-1.0, 0.0), (1.0, 0.0))
    moved = varied(prior, torch.zeros(2000, 2), 1.0, source())
    assert 0.45 < float((moved[:, 0] > 0).float().mean()) < 0.55


def test_many_codes_are_taken_home_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.estimators.walks.NUMBERS", 40)
    prior = islands((-5.0, 0.0), (5.0, 0.0))
    codes = torch.tensor([[-5.0, 0.3], [5.0, 0.1]] * 20)
    torch.testing.assert_close(varied(prior, codes, 1e-6, source()), codes, atol=1e-4, rtol=0)


def test_what_rows_are_given_says_which_components_there_are() -> None:
    labels = torch.arange(600) % 2
    values = torch.stack((labels == 0, labels == 1, torch.linspace(-1, 1, 600)), 1).float()
    noise = torch.randn(600, 2, generator=source())
    codes = noise + 20.0 * labels[:, None] + 4.0 * values[:, 2:]
    prior = Mixture(1).build(Site(code_size=2))
    prior.fit(codes, source(), Given(values, torch.tensor([True, True, False])))
    x = (codes - prior.middle) / prior.spread
    with torch.no_grad():
        home = at_home(prior, x, values, source())
    torch.testing.assert_close(home.moved(home.noise), x, atol=1e-4, rtol=0)
    # The quantity is taken out of the noise: what is left is that of the codes.
    assert float(home.noise.std()) == pytest.approx(1.0, abs=0.1)
    assert abs(float(torch.corrcoef(torch.stack((home.noise[:, 0], values[:, 2])))[0, 1])) < 0.1
    # A code of class 0 that is said to be of class 1 goes there.
    said = torch.tensor([[0.0, 1.0, 0.0]]).expand(50, -1)
    assert float(varied(prior, torch.zeros(50, 2), 1.0, source(), said).mean()) == pytest.approx(20.0, abs=1.0)


def test_lines_and_arcs() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(straight(a, b, 5)[1], torch.tensor([1.5, 0.5]))
    arc = spherical(a, b, 5)
    torch.testing.assert_close(arc.norm(dim=1), torch.full((5,), 2.0))
    angles = torch.atan2(arc[:, 1], arc[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 5))


@pytest.mark.parametrize("b", [(-2.0, 0.0), (4.0, 0.0), (0.0, 0.0)])
def test_where_there_is_no_arc_there_is_the_line(b: tuple[float, float]) -> None:
    a, end = torch.tensor([2.0, 0.0]), torch.tensor(b)
    assert torch.equal(spherical(a, end, 7), straight(a, end, 7))


def test_even_steps() -> None:
    corner = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    torch.testing.assert_close(evenly(corner, 5)[:, 0], torch.tensor([0.0, 1.0, 2.0, 3.0, 3.0]))
    assert torch.equal(evenly(torch.ones(4, 2), 3), torch.ones(3, 2))


def test_the_path_goes_round_where_no_codes_are() -> None:
    prior = islands((-3.0, 0.0), (-2.0, 2.0), (0.0, 3.0), (2.0, 2.0), (3.0, 0.0), spread=0.6)
    a, b = torch.tensor([-3.0, 0.0]), torch.tensor([3.0, 0.1])
    path, line = along_density(prior, a, b, 9), straight(a, b, 9)
    assert torch.equal(path[0], a)
    assert torch.equal(path[-1], b)
    assert float(path[4, 1]) > 1.0
    with torch.no_grad():
        assert float(prior.density(path).min()) > float(prior.density(line).min()) + 3
    steps = path.diff(dim=0).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.1


def test_the_path_hardly_leaves_a_line_through_the_middle() -> None:
    prior = islands((0.0, 0.0))
    path = along_density(prior, torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0]), 9)
    assert float(path[:, 1].abs().max()) < 1e-3


def test_toil_is_length_and_rarity() -> None:
    prior, m = islands((0.0, 0.0), spread=1.0), 4001
    line = straight(torch.tensor([0.0, 0.0]), torch.tensor([2.0, 0.0]), m)
    bends = 0.3 * torch.randn(WAVES, 2, generator=source())
    path = (line + waves(line) @ bends).double()
    length = (path.diff(dim=0).square().sum() * (m - 1)).item()
    rarity = (math.log(2 * math.pi) + path.square().sum(1) / 2).mean().item()
    assert toil(Ground.of(prior, None), line, bends).item() == pytest.approx(length + PULL * rarity, rel=1e-4)


def test_the_ground_is_the_mixture() -> None:
    labels = torch.arange(200) % 2
    values = torch.stack((labels == 0, labels == 1, torch.linspace(-1, 1, 200)), 1).float()
    codes = torch.randn(200, 2, generator=source()) + 2.0 * labels[:, None] + values[:, 2:]
    prior = Mixture(2).build(Site(code_size=2))
    prior.fit(codes, source(), Given(values, torch.tensor([True, True, False])))
    x = torch.randn(7, 2, generator=source())
    for given in (None, torch.tensor([[0.0, 1.0, 0.3]])):
        ground = Ground.of(prior, given)
        with torch.no_grad():
            wanted = prior.density(x, Context((2,), given=given))
        torch.testing.assert_close(ground.odds(x).logsumexp(0), wanted, rtol=1e-4, atol=1e-4)


def test_a_path_is_told_of_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.estimators.walks.NEAR", 2)
    ground = Ground.of(islands((-3.0, 0.0), (0.0, 30.0), (3.0, 0.0)), None)
    near = ground.around(straight(torch.tensor([-3.0, 0.0]), torch.tensor([3.0, 0.0]), 5))
    assert sorted(near.centres[:, 0].tolist()) == [-3.0, 3.0]


def test_walks_leave_the_mixture_and_the_global_generator_alone() -> None:
    prior = islands((0.0, 0.0), (2.0, 0.0))
    before, state = [value.detach().clone() for value in prior.parameters()], torch.get_rng_state()
    along_density(prior, torch.zeros(2), torch.ones(2), 4)
    varied(prior, torch.zeros(3, 2), 0.5, source())
    assert all(torch.equal(a, b) for a, b in zip(before, prior.parameters(), strict=True))
    assert all(value.grad is None for value in prior.parameters())
    assert torch.equal(state, torch.get_rng_state())
