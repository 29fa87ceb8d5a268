"""The priors: densities that match their draws, fits of any codes, and every law of a kind held to each."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import CODE_SIZE, FEATURES, LAYOUT, Case, descend, generator, same_tensors, some_rows
from sklearn.mixture import GaussianMixture
from test_laws import LAWS
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal
from torch.distributions import Normal as TorchNormal

from isthmus import recipes
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.importance import ImportanceWeighted
from isthmus.parts.distributions.normal import DiagonalNormal, standard_log_prob
from isthmus.parts.priors import fitting
from isthmus.parts.priors.fitting import Placed
from isthmus.parts.priors.flow import Flow
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.priors.normal import Normal
from isthmus.parts.priors.two_level import TwoLevel
from isthmus.parts.priors.vamp import Vamp, every_pair
from isthmus.recipes import Parts
from isthmus.records import Batch, Context, Layout, Pass, Site, from_json, to_json

FITTED: dict[str, Any] = {
    "mixture": Mixture(4),
    "coupling": Flow(3),
    "autoregressive": Flow(2, "autoregressive"),
    "two level": TwoLevel(),
}
"""Priors that can be fitted to codes."""

PRIORS: dict[str, Any] = {**FITTED, "vamp": Vamp(7)}


def normals(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def at(size: int) -> Site:
    return Site(Layout((FEATURES,), ("column",)), size, generator())


def stirred(prior: Placed, scale: float = 0.3) -> Any:
    """In float64, with weights and a place that are no longer those it starts with."""
    with torch.no_grad():
        for number, weights in enumerate(prior.double().parameters()):
            weights += scale * normals(*weights.shape, seed=number)
        prior.middle.copy_(normals(prior.size, seed=50))
        prior.spread.copy_(normals(prior.size, seed=51).abs() + 0.5)
    return prior


def ring(rows: int = 600, seed: int = 0) -> Tensor:
    """(rows, 2): codes that no single normal distribution fits."""
    angle = 2 * math.pi * torch.rand(rows, generator=generator(seed))
    return torch.stack((angle.cos(), angle.sin()), 1) + 0.1 * normals(rows, 2, seed=seed + 1, dtype=torch.float32)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not the quality of a fit that matters."""
    monkeypatch.setattr(fitting, "STEPS", 60)
    monkeypatch.setattr(fitting, "LOOK", 20)


# A mixture.


def test_one_component_begins_as_the_normal_prior() -> None:
    z = normals(3, 5, 4)
    prior = Mixture(1).build(at(4)).double()
    assert torch.equal(prior.log_prob(z), Normal().log_prob(z))
    assert prior.log_prob(z).shape == (3, 5)
    batch = Batch(some_rows(20), LAYOUT)
    costs = []
    for one in (Normal(), Mixture(1)):
        weighted = replace(
            recipes.iwae(draws=3).parts(), bottleneck=ImportanceWeighted(3, gaussian=Gaussian(prior=one))
        )
        model = weighted.build(LAYOUT, CODE_SIZE, generator()).double()
        costs.append(model.cost(model.trace(batch, Pass(generator(1)))))
    assert torch.equal(costs[0], costs[1])


def test_the_first_of_many_components_begins_as_the_normal_prior() -> None:
    prior = Mixture(5).build(at(4)).double()
    assert torch.equal(prior.means[0], torch.zeros(4).double())
    assert len(prior.means.unique(dim=0)) == 5
    with torch.no_grad():
        prior.log_shares[1:] = -torch.inf
    z = normals(6, 4)
    assert torch.equal(prior.log_prob(z), standard_log_prob(z))
    gradient = torch.autograd.grad(prior.log_prob(z).sum(), list(prior.parameters()))
    assert all(value.isfinite().all() for value in gradient)


def test_a_mixture_is_that_of_torch() -> None:
    prior = stirred(Mixture(4).build(at(3)))
    z = normals(2, 6, 3, seed=9)
    components = Independent(TorchNormal(prior.means, prior.log_scale.exp()), 1)
    theirs = MixtureSameFamily(Categorical(logits=prior.log_shares), components)
    expected = theirs.log_prob((z - prior.middle) / prior.spread) - prior.spread.log().sum()
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-12, atol=1e-12)
    prior.below.copy_(normals(4, 3, 3, seed=3).tril(-1))
    triangles = prior.below + torch.diag_embed(prior.log_scale.exp())
    theirs = MixtureSameFamily(
        Categorical(logits=prior.log_shares), MultivariateNormal(prior.means, scale_tril=triangles)
    )
    expected = theirs.log_prob((z - prior.middle) / prior.spread) - prior.spread.log().sum()
    torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-11, atol=1e-11)


def test_a_fitted_mixture_is_that_of_scikit_learn() -> None:
    codes = torch.cat((ring(400).double() * 3, normals(200, 2, seed=4) + 9))
    prior = Mixture(3).build(at(2)).double()
    prior.fit(codes, generator(1))
    even = ((codes - codes.mean(0)) / codes.std(0, correction=0)).numpy()
    # The best of several starts of theirs is hardly better than our only one, and the densities are of one scale.
    theirs = GaussianMixture(3, n_init=5, random_state=0, max_iter=500, reg_covar=1e-4).fit(even)
    best = theirs.score(even) - float(codes.std(0, correction=0).log().sum())
    found = prior.log_prob(codes).mean().item()
    assert best - 0.1 < found < best + 0.1
    single = Mixture(1).build(at(2)).double()
    single.fit(codes, generator(1))
    middle, spread = codes.mean(0), torch.cov(codes.T, correction=0)
    spread = spread + 1e-4 * torch.diag(codes.var(0, correction=0))
    expected = MultivariateNormal(middle, spread).log_prob(codes)
    torch.testing.assert_close(single.log_prob(codes), expected, rtol=1e-9, atol=1e-9)
    assert found > float(expected.mean()) + 0.3


def test_draws_of_known_mixtures_have_their_entropy() -> None:
    """Two components far apart: the entropy is that of the shares, and the mean of the components'."""
    prior = Mixture(3).build(at(2)).double()
    shares = torch.tensor([0.3, 0.7, 0.0]).double()
    with torch.no_grad():
        prior.log_shares.copy_(shares.log())
        prior.means.copy_(torch.tensor([[-40.0, 0], [40, 5], [0, 0]]))
        prior.log_scale.copy_(torch.tensor([[-1.0, 0.5], [0.0, -0.3], [0, 0]]))
        prior.below[0, 1, 0] = 0.8
        prior.spread.copy_(torch.tensor([2.0, 0.1]))
    z = prior.sample(20_000, 2, generator(2))
    assert z.shape == (20_000, 2)
    each = prior.log_scale.detach().sum(1) + 1 + math.log(2 * math.pi)
    entropy = float(-(shares[:2] * shares[:2].log()).sum() + (shares * each).sum() + math.log(0.2))
    log_prob = prior.log_prob(z).detach()
    assert float(log_prob.mean()) == pytest.approx(-entropy, abs=4 * float(log_prob.std()) / math.sqrt(20_000))
    left = z[z[:, 0] < 0] / prior.spread
    assert len(left) / 20_000 == pytest.approx(0.3, abs=0.015)
    expected = prior.triangles()[0][0] @ prior.triangles()[0][0].T
    torch.testing.assert_close(torch.cov(left.T), expected.detach(), rtol=0.06, atol=0.03)


# Flows and two levels.


@pytest.mark.parametrize("prior", [Flow(3), Flow(3, "autoregressive"), Mixture(3)], ids=repr)
def test_a_density_sums_to_one_and_matches_its_draws(prior: Any) -> None:
    module = stirred(prior.build(at(2)))
    with torch.no_grad():
        drawn = module.sample(20_000, 2, generator(3))
        low, high = drawn.amin(0) - 2, drawn.amax(0) + 2
        axes = [torch.linspace(float(a), float(b), 400).double() for a, b in zip(low, high, strict=True)]
        cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
        grid = torch.cartesian_prod(*axes)
        density = module.log_prob(grid)
        assert float(density.exp().sum() * cell) == pytest.approx(1, abs=5e-3)
        entropy = -float((density.exp() * density).sum() * cell)
        found = -module.log_prob(drawn)
    assert float(found.mean()) == pytest.approx(entropy, abs=4 * float(found.std()) / math.sqrt(20_000) + 5e-3)


@pytest.mark.parametrize("prior", [Flow(), Flow(kind="autoregressive"), TwoLevel()], ids=repr)
def test_they_begin_as_the_normal_prior(prior: Any) -> None:
    module, z = prior.build(at(4)).double(), normals(3, 5, 4)
    torch.testing.assert_close(module.log_prob(z), standard_log_prob(z), rtol=1e-13, atol=1e-13)


def test_two_levels_are_a_bound() -> None:
    """Below the log density that many draws of the upper code show, by the divergence of its posterior."""
    module: Any = stirred(TwoLevel(2, hidden=8).build(at(3)))
    z = normals(4, 3, seed=8)
    with torch.no_grad():
        x = (z - module.middle) / module.spread
        above = module.above(x)
        t = above.sample(40_000, generator(5))
        joint = torch.stack([module.below(t[:, row]).log_prob(x[row]) for row in range(4)], 1) + standard_log_prob(t)
        weights = joint - above.log_prob(t)
        exact = torch.logsumexp(weights, 0) - math.log(40_000) - module.spread.log().sum()
        bounds = torch.stack([module.log_prob(z, Context((3,), pass_=Pass(generator(seed)))) for seed in range(500)])
    assert bool((bounds.mean(0) < exact + 0.01).all())
    expected = weights.mean(0) - module.spread.log().sum()
    error = bounds.std(0) / math.sqrt(500)
    assert bool(((bounds.mean(0) - expected).abs() < 5 * error).all())


def test_two_levels_draw_from_the_pass_alone() -> None:
    module: Any = stirred(TwoLevel(2).build(at(3)))
    z = normals(2, 4, 3)
    first, again, other = (module.log_prob(z, Context((3,), pass_=Pass(generator(seed)))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(module.log_prob(z), module.log_prob(z, Context((3,))))
    assert TwoLevel(top=9).build(at(3)).sample(5, 3, generator()).shape == (5, 3)


# Fitting.


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_finds_the_shape_of_the_codes(name: str) -> None:
    """On codes it has not seen, a ring is likelier by far than under one normal distribution."""
    module, plain = FITTED[name].build(at(2)), Mixture(1).build(at(2))
    codes, fresh = ring(1500), ring(500, seed=7)
    for prior in (module, plain):
        prior.fit(codes, generator(2))
    context = Context((2,), pass_=Pass(generator(3)))
    with torch.no_grad():
        gain = float((module.log_prob(fresh, context) - plain.log_prob(fresh)).mean())
        radius = module.sample(2000, 2, generator(4)).norm(dim=1)
    assert gain > 0.25
    assert float(((radius > 0.6) & (radius < 1.4)).float().mean()) > 0.75


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_knows_no_units(name: str, few_steps: None) -> None:
    """Codes of any place and spread: the density changes by the spread alone."""
    codes = ring(200).double()
    stretch, shift = torch.tensor([2.0**20, 2.0**-20]).double(), torch.tensor([3.0, -5.0]).double()
    first, second = (FITTED[name].build(at(2)).double() for _ in range(2))
    first.fit(codes, generator(1))
    second.spread.fill_(7.0)  # what was there before a fit leaves no trace
    # The thinnest unit is fitted as wide as a thousandth of the widest, so both are stretched alike here.
    second.fit(codes * stretch[0] + shift, generator(1))
    z = normals(9, 2, seed=3)
    expected = first.log_prob(z) - 2 * math.log(float(stretch[0]))
    torch.testing.assert_close(second.log_prob(z * stretch[0] + shift), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_hangs_on_its_generator_alone(name: str, few_steps: None) -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    states = []
    for seed in (0, 0, 1):
        module = FITTED[name].build(at(2))
        module.fit(ring(100), generator(seed))
        states.append(module.state_dict())
    assert same_tensors(states[0], states[1])
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == np.random.get_state()[1].tobytes()  # noqa: NPY002
    if name != "mixture":  # whose few components may well be found from any start
        assert not same_tensors(states[0], states[2])
    assert all(weights.grad is None for weights in module.parameters())


ODD: dict[str, Callable[[], Tensor]] = {
    "one row": lambda: torch.tensor([[1.0, 2, 3]]),
    "two rows": lambda: torch.tensor([[1.0, 2, 3], [2, 2, 2]]),
    "all the same": lambda: torch.ones(40, 3),
    "duplicates": lambda: normals(3, 3).float().repeat(30, 1),
    "constant unit": lambda: normals(60, 3).float() * torch.tensor([1.0, 0.0, 1.0]) + 4,
    "dead units": lambda: normals(60, 3).float() * torch.tensor([1.0, 1e-6, 1e-4]),
    "a line": lambda: normals(60, 1).float().expand(60, 3),
    "far off": lambda: normals(60, 3).float() * 1e-2 + 1e3,
    "an outlier": lambda: torch.cat((normals(60, 3).float(), torch.full((1, 3), 1e5))),
}


@pytest.mark.parametrize("rows", ODD)
@pytest.mark.parametrize("name", FITTED)
def test_odd_codes_can_be_fitted(name: str, rows: str, few_steps: None) -> None:
    codes, module = ODD[rows](), FITTED[name].build(at(3))
    module.fit(codes, generator())
    assert module.log_prob(codes).isfinite().all()
    drawn = module.sample(200, 3, generator(1))
    assert drawn.isfinite().all()
    reach = (codes - codes.mean(0)).abs().amax(0) + 1e-2 * float(codes.std(0, correction=0).max()) + 1
    assert bool(((drawn - codes.mean(0)).abs() < 20 * reach).all())


def test_few_codes_are_fitted_by_few_components() -> None:
    for rows, expected in ((3, 1), (11, 2), (60, 10)):
        prior = Mixture(10).build(at(4))
        prior.fit(normals(rows, 4).float(), generator())
        assert int(prior.log_shares.isfinite().sum()) == expected
        assert float(prior.log_shares.detach().exp().sum()) == pytest.approx(1, abs=1e-6)
    prior = Mixture(10).build(at(1))
    prior.fit(torch.tensor([[1.0], [5.0]]).repeat(50, 1), generator())
    assert int(prior.log_shares.isfinite().sum()) == 2


@pytest.mark.parametrize("name", FITTED)
def test_states_are_carried_over(name: str, few_steps: None) -> None:
    """Into a fresh build, whose shapes the fit has not changed."""
    first, second = FITTED[name].build(at(2)), FITTED[name].build(Site(code_size=2, generator=generator(9)))
    shapes = {key: value.shape for key, value in first.state_dict().items()}
    first.fit(ring(9 if name == "mixture" else 60), generator())
    assert {key: value.shape for key, value in first.state_dict().items()} == shapes
    second.load_state_dict(first.state_dict())
    z = ring(20, seed=3)
    assert torch.equal(second.log_prob(z), first.log_prob(z))
    assert torch.equal(second.sample(7, 2, generator(1)), first.sample(7, 2, generator(1)))
    assert torch.equal(copy.deepcopy(first).log_prob(z), first.log_prob(z))


@pytest.mark.parametrize("name", FITTED)
def test_wrong_codes_are_refused(name: str) -> None:
    module = FITTED[name].build(at(3))
    wrong = "a prior of the wrong size: it is one of codes of 3 numbers; these have 2"
    for use in (
        lambda: module.log_prob(torch.zeros(4, 2)),
        lambda: module.fit(torch.zeros(4, 2), generator()),
        lambda: module.sample(4, 2, generator()),
    ):
        with pytest.raises(InputError, match=wrong):
            use()
    broken = torch.zeros(5, 3)
    broken[1, 2], broken[3, 0] = math.nan, math.inf
    with pytest.raises(InputError, match="codes: 2 of 5 rows hold NaN or infinity"):
        module.fit(broken, generator())
    for shape in ((0, 3), (3,)):
        with pytest.raises(InputError, match="must be \\(n, size\\) with at least one row"):
            module.fit(torch.zeros(shape), generator())
    with pytest.raises(InputError, match="where the size of the code is known"):
        FITTED[name].build()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture(0), "Mixture: components must be a whole number >= 1; got 0"),
        (lambda: Mixture(2.5), "Mixture: components must be a whole number"),
        (lambda: Vamp(0), "Vamp: components must be a whole number >= 1; got 0"),
        (lambda: Flow(0), "Flow: layers must be a whole number >= 1; got 0"),
        (lambda: Flow(kind="spline"), "Flow: kind must be one of coupling, autoregressive; got 'spline'"),
        (lambda: TwoLevel(top=0), "TwoLevel: top must be a whole number >= 1; got 0"),
        (lambda: TwoLevel(hidden=True), "TwoLevel: hidden must be a whole number >= 1; got True"),
        (lambda: Vamp().build(), "built with a composition"),
    ],
)
def test_bad_knobs_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("name", PRIORS)
def test_priors_are_json_data(name: str) -> None:
    part = Gaussian(prior=PRIORS[name])
    assert from_json(json.loads(json.dumps(to_json(part)))) == part


# VAMP.


def with_prior(prior: Any, given_size: int = 0, dtype: torch.dtype = torch.float64, **knobs: Any) -> Composition:
    parts = recipes.vae(prior=prior, **knobs).parts()
    return parts.build(LAYOUT, CODE_SIZE, generator(), given_size).to(dtype)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_vamp_of_all_rows_is_the_mean_of_their_posteriors(posterior: str) -> None:
    composition, batch = with_prior(Vamp(9), posterior=posterior), Batch(some_rows(9), LAYOUT)
    composition.start(batch)
    descend(composition, batch, 5)
    prior = composition.bottleneck.prior
    with torch.no_grad():
        prior.inputs.copy_(batch.x)
        rows = composition.trace(batch).code.posterior
        z = normals(4, 6, CODE_SIZE, seed=2)
        each = torch.stack([rows.log_prob(one.expand(9, CODE_SIZE)) for one in z.reshape(-1, CODE_SIZE)])
        expected = (torch.logsumexp(each, 1) - math.log(9)).reshape(4, 6)
        torch.testing.assert_close(prior.log_prob(z), expected, rtol=1e-10, atol=1e-10)
        drawn = prior.sample(20_000, CODE_SIZE, generator(4))
        means = rows.sample(5_000, generator(5)).mean((0, 1))
    torch.testing.assert_close(drawn.mean(0), means, rtol=0.1, atol=0.06)


def test_vamp_begins_at_training_rows() -> None:
    batch = Batch(some_rows(5), LAYOUT)
    few, many = with_prior(Vamp(3)), with_prior(Vamp(12))
    few.start(batch)
    many.start(batch)
    assert torch.equal(few.bottleneck.prior.inputs, batch.x[:3])
    inputs = many.bottleneck.prior.inputs.detach()
    assert torch.equal(inputs[:5], batch.x)
    away = inputs[5:] - batch.x[torch.arange(5, 12) % 5]
    assert 0 < float(away.abs().min()) < float(away.abs().max()) < 0.1


def test_vamp_follows_a_copy_of_its_composition() -> None:
    composition, z = with_prior(Vamp(4)), normals(3, CODE_SIZE)
    copied = copy.deepcopy(composition)
    assert copied.bottleneck.prior.owner[0] is copied
    assert composition.bottleneck.prior.owner[0] is composition
    before = composition.bottleneck.prior.log_prob(z)
    assert torch.equal(copied.bottleneck.prior.log_prob(z), before)
    with torch.no_grad():
        for weights in copied.encoder.parameters():
            weights.zero_()
    assert torch.equal(composition.bottleneck.prior.log_prob(z), before)
    # An encoder of zeros puts every pseudo-input at N(0, I).
    torch.testing.assert_close(copied.bottleneck.prior.log_prob(z), standard_log_prob(z), rtol=1e-12, atol=1e-12)
    assert sum("inputs" in name for name, _ in composition.named_parameters()) == 1


def test_vamp_keeps_the_conditions_of_its_rows() -> None:
    composition = with_prior(Vamp(4), given_size=2)
    batch = Batch(some_rows(6), LAYOUT, given=torch.eye(2).double()[[0, 1, 1, 0, 1, 0]])
    composition.start(batch)
    prior = composition.bottleneck.prior
    assert torch.equal(prior.given, batch.given[:4])
    four = replace(batch, x=batch.x[:4], given=batch.given[:4])
    torch.testing.assert_close(prior.posteriors().mean, composition.represent(four), rtol=1e-12, atol=1e-12)
    assert "bottleneck.prior.given" in composition.state_dict()


def test_vamp_learns_inputs_and_encoder_by_its_gradient() -> None:
    composition = with_prior(Vamp(4))
    wanted = [composition.bottleneck.prior.inputs, *composition.encoder.parameters()]
    found = torch.autograd.grad(composition.bottleneck.prior.log_prob(normals(5, CODE_SIZE)).sum(), wanted)
    assert all(float(value.abs().max()) > 0 for value in found)


def test_vamp_is_learned_in_a_composition_or_not_at_all() -> None:
    alone = Vamp(3).build(at(2))
    with pytest.raises(InputError, match="belongs to a composition"):
        alone.log_prob(torch.zeros(1, 2))
    with pytest.raises(InputError, match="to codes fit Mixture\\(\\) or Flow\\(\\)"):
        alone.fit(torch.zeros(5, 2), generator())
    with pytest.raises(InputError, match="wrong size"):
        with_prior(Vamp(3)).bottleneck.prior.log_prob(torch.zeros(1, 2))
    with pytest.raises(InputError, match="needs a bottleneck with a posterior"):
        alone.joined(recipes.undercomplete().parts().build(LAYOUT, 2, generator()))


def test_narrow_posteriors_lose_no_digits() -> None:
    """Squares expanded in float32 would be wrong by dozens of nats here."""
    narrow = DiagonalNormal(normals(6, 5).float(), torch.full((6, 5), -8.0))
    z = narrow.mean[:3] + narrow.log_scale[:3].exp() * normals(3, 5, seed=3).float()
    exact = replace(narrow, mean=narrow.mean.double(), log_scale=narrow.log_scale.double())
    expected = exact.log_prob(z.double()[:, None])
    torch.testing.assert_close(every_pair(z, narrow), expected, rtol=1e-6, atol=1e-3)


# Every law, of a kind held to each prior.


@dataclass(frozen=True)
class Held(Case):
    """The variational kind with another prior."""

    prior: str = "mixture"
    draws: int = 0

    @property
    def parts(self) -> Parts:
        parts = recipes.vae(prior=PRIORS[self.prior]).parts()
        return (
            replace(parts, bottleneck=ImportanceWeighted(self.draws, gaussian=parts.bottleneck))
            if self.draws
            else parts
        )


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("prior", PRIORS)
def test_law(prior: str, law: str) -> None:
    LAWS[law](Held("vae", prior=prior))


@pytest.mark.parametrize("law", ["shapes", "gradient", "batch_mates"])
@pytest.mark.parametrize("prior", PRIORS)
def test_law_of_several_draws(prior: str, law: str) -> None:
    LAWS[law](Held("iwae", prior=prior, draws=3))


@pytest.mark.parametrize("prior", PRIORS)
def test_coarse_products_of_a_gpu_do_no_harm(prior: str) -> None:
    """Under bfloat16 matrix products the cost is that of float32, but for what bfloat16 itself loses."""
    composition = with_prior(PRIORS[prior], dtype=torch.float32)
    batch = Batch(some_rows(64, dtype=torch.float32), LAYOUT)
    descend(composition, batch, 30)
    fine = composition.cost(composition.trace(batch)).detach()
    with torch.autocast("cpu", torch.bfloat16):
        objective, _ = composition.objective(composition.trace(batch, Pass(generator(), training=True)))
        coarse = composition.cost(composition.trace(batch)).detach()
    objective.backward()
    assert all(p.grad.isfinite().all() for p in composition.parameters() if p.grad is not None)
    assert float((coarse - fine).abs().mean()) < 0.3
