"""The variational core: distributions and flows against formulas, the Gaussian bottleneck, importance weighting."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from checks_for_kinds import CODE_SIZE, LAYOUT, descend, generator, gradients, some_rows
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence
from torch.nn.utils import parameters_to_vector

from isthmus import recipes
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.importance import ImportanceWeighted
from isthmus.parts.distributions.normal import DiagonalNormal, FullNormal, log_scale_of, precise, standard_log_prob
from isthmus.parts.flows import Autoregressive, Autoregressives, Chain, Coupling, Couplings, FlowNormal
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.schedules import Ramp
from isthmus.records import Batch, Context, Pass, Site, from_json, to_json

ROWS, SIZE = 4, 3


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def diagonal(seed: int = 0) -> DiagonalNormal:
    return DiagonalNormal(normals(ROWS, SIZE, seed=seed), 0.5 * normals(ROWS, SIZE, seed=seed + 1))


def full(seed: int = 0) -> FullNormal:
    scales = 0.3 + normals(ROWS, SIZE, seed=seed + 1).abs()
    return FullNormal(normals(ROWS, SIZE, seed=seed), normals(ROWS, SIZE, SIZE).tril(-1) + torch.diag_embed(scales))


def stirred(module: torch.nn.Module, seed: int = 5) -> Any:
    """The module in float64 with weights that are no longer those it starts with."""
    with torch.no_grad():
        for weights in module.double().parameters():
            weights += 0.4 * torch.randn(weights.shape, generator=generator(seed), dtype=torch.float64)
    return module


def drawing(seed: int = 0, training: bool = True) -> Pass:
    return Pass(generator(seed), training=training)


def within_errors(differences: Tensor, errors: float = 4.0) -> bool:
    """Whether a mean over the first axis is 0 but for its standard error."""
    error = differences.std(0) / math.sqrt(len(differences))
    return bool((differences.mean(0).abs() <= errors * error + 1e-12).all())


# Distributions.


def test_diagonal_normal_is_that_of_torch() -> None:
    ours = diagonal()
    theirs = Independent(Normal(ours.mean, ours.log_scale.exp()), 1)
    z = normals(5, ROWS, SIZE, seed=9)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), rtol=1e-12, atol=1e-12)
    expected = kl_divergence(Normal(ours.mean, ours.log_scale.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(ours.divergence(), expected, rtol=1e-12, atol=1e-12)


def test_full_normal_is_that_of_torch() -> None:
    ours = full()
    theirs = MultivariateNormal(ours.mean, scale_tril=ours.triangle)
    z = normals(5, ROWS, SIZE, seed=9)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(ours.log_prob(z[0]), theirs.log_prob(z[0]), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), rtol=1e-12, atol=1e-12)
    standard = MultivariateNormal(torch.zeros(SIZE).double(), torch.eye(SIZE).double())
    torch.testing.assert_close(ours.divergence()[:, 0], kl_divergence(theirs, standard), rtol=1e-11, atol=1e-11)


def test_full_normal_with_a_diagonal_triangle_is_diagonal() -> None:
    narrow = diagonal()
    wide = FullNormal(narrow.mean, torch.diag_embed(narrow.log_scale.exp()))
    z = narrow.sample(6, generator(3))
    torch.testing.assert_close(wide.sample(6, generator(3)), z, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(wide.log_prob(z), narrow.log_prob(z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(wide.entropy(), narrow.entropy(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(wide.divergence()[:, 0], narrow.divergence().sum(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("posterior", [diagonal(), full()], ids=["diagonal", "full"])
def test_divergence_is_the_mean_over_draws(posterior: Any) -> None:
    z = posterior.sample(20_000, generator(1))
    assert z.shape == (20_000, ROWS, SIZE)
    sampled = posterior.log_prob(z) - standard_log_prob(z)
    assert within_errors(sampled - posterior.divergence().sum(1))
    assert not within_errors(sampled - posterior.divergence().sum(1) - 0.2)
    assert within_errors(posterior.log_prob(z) + posterior.entropy())


def test_detached_lets_no_gradient_through_but_that_of_z() -> None:
    mean = normals(ROWS, SIZE).requires_grad_()
    for posterior in (DiagonalNormal(mean, mean), FullNormal(mean, torch.diag_embed(mean.exp()))):
        z = posterior.sample(2, generator())
        assert not posterior.detached().log_prob(z.detach()).requires_grad
        assert torch.equal(posterior.detached().log_prob(z), posterior.log_prob(z))


# Flows.

CHAINS = {
    "coupling": lambda size: Couplings(size, 3, 0, generator()),
    "autoregressive": lambda size: Autoregressives(size, 3, generator()),
}


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("kind", CHAINS)
def test_layers_lead_back_and_grow_as_their_jacobian_says(kind: str, size: int) -> None:
    chain: Chain = stirred(CHAINS[kind](size))
    x = normals(7, size, seed=2)
    y, growth = chain(x)
    back, shrink = chain.inverse(y)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(shrink, -growth, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(y, x)
    for row in range(len(x)):
        matrix = torch.autograd.functional.jacobian(lambda one: chain(one)[0], x[row])
        torch.testing.assert_close(torch.linalg.slogdet(matrix)[1], growth[row].detach(), rtol=1e-9, atol=1e-9)
    assert torch.equal(chain(x.reshape(7, 1, size))[0][:, 0], y)


@pytest.mark.parametrize("kind", CHAINS)
def test_layers_start_as_the_identity(kind: str) -> None:
    x = normals(6, 4)
    y, growth = CHAINS[kind](4).double()(x)
    assert torch.equal(y, x)
    assert torch.equal(growth, torch.zeros(6).double())


def test_an_autoregressive_layer_reads_only_what_is_before() -> None:
    order = torch.tensor([2, 0, 3, 1])
    layer: Autoregressive = stirred(Autoregressive(order, generator()))
    matrix = torch.autograd.functional.jacobian(lambda one: layer.inverse(one)[0], normals(4))
    read = order[:, None] > order[None]
    own = torch.eye(4, dtype=torch.bool)
    assert (matrix[read] != 0).all()
    assert (matrix[own] != 0).all()
    assert (matrix[~read & ~own] == 0).all()


def test_wide_codes_are_read_to_their_last_unit() -> None:
    layer: Autoregressive = stirred(Autoregressive(torch.arange(100), generator()))
    y = normals(1, 100).requires_grad_()
    (slope,) = torch.autograd.grad(layer.parameters_of(y)[1][0, -1], y)
    assert int((slope != 0).sum()) == 99


def test_still_units_stay() -> None:
    layer: Coupling = stirred(Coupling(torch.tensor([1.0, 0.0, 1.0]), 0, generator()))
    x = normals(5, 3)
    moved = layer(x)[0] != x
    assert moved.tolist() == [[False, True, False]] * 5


def test_flow_normal_of_no_bending_is_its_base() -> None:
    base = diagonal()
    flow = FlowNormal(base, Couplings(SIZE, 4, 2, generator()).double(), normals(ROWS, 2))
    z = normals(5, ROWS, SIZE, seed=7)
    assert torch.equal(flow.mean, base.mean)
    assert torch.equal(flow.log_prob(z), base.log_prob(z))
    assert torch.equal(flow.sample(3, generator(2)), base.sample(3, generator(2)))
    assert torch.equal(flow.entropy() + flow.log_volume(z[0]), base.entropy())


def test_flow_normal_is_a_density_of_its_draws() -> None:
    """Summed over a grid it is 1, and the mean of minus its logarithm over draws is its entropy."""
    base = DiagonalNormal(torch.zeros(1, 2).double(), torch.full((1, 2), -0.5).double())
    flow = FlowNormal(base, stirred(Couplings(2, 4, 2, generator())), normals(1, 2))
    with torch.no_grad():
        drawn = flow.sample(5_000, generator(3))
        low, high = drawn.amin((0, 1)) - 1, drawn.amax((0, 1)) + 1
        axes = [torch.linspace(float(a), float(b), 250).double() for a, b in zip(low, high, strict=True)]
        grid = torch.cartesian_prod(*axes)
        cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
        density = flow.log_prob(grid[:, None])[:, 0]
        assert float(density.exp().sum() * cell) == pytest.approx(1, abs=5e-3)
        entropy = -float((density.exp() * density).sum() * cell)
        assert within_errors((-flow.log_prob(drawn) - entropy)[:, 0])
        # The same through the base's entropy and the growth on the way.
        assert within_errors(torch.stack([flow.entropy()[0] + flow.log_volume(z)[0] for z in drawn[:500]]) - entropy)


# The Gaussian bottleneck.


def variational(bottleneck: Any, seed: int = 0, **changes: Any) -> Composition:
    parts = replace(recipes.vae().parts(), bottleneck=bottleneck, **changes)
    return parts.build(LAYOUT, CODE_SIZE, generator(seed)).double().train()


def trained(bottleneck: Any, steps: int = 150, rows: int = 64) -> tuple[Composition, Batch]:
    composition, batch = variational(bottleneck), Batch(some_rows(rows), LAYOUT)
    descend(composition, batch, steps)
    return composition, batch


def twin(composition: Composition, bottleneck: Any) -> Composition:
    """The same weights around another bottleneck."""
    other = variational(bottleneck)
    other.load_state_dict(composition.state_dict())
    return other


def test_full_reads_means_scales_and_what_is_below_the_diagonal() -> None:
    code = Gaussian("full").build(Site(code_size=3))
    assert code.width(3) == 3 * (3 + 3) // 2
    hidden = torch.tensor([[1.0, 2, 3, math.log(4), math.log(5), math.log(6), 7, 8, 9]] * 2, dtype=torch.float64)
    posterior = code.posterior(hidden)
    assert posterior.mean.tolist() == [[1, 2, 3]] * 2
    expected = torch.tensor([[4.0, 0, 0], [7, 5, 0], [8, 9, 6]], dtype=torch.float64).expand(2, 3, 3)
    torch.testing.assert_close(posterior.triangle, expected, rtol=1e-14, atol=1e-14)
    for size in (1, 2, 7, 31):
        width = Gaussian("full").build(Site(code_size=size)).width(size)
        assert width == size * (size + 3) // 2
        assert code.posterior(torch.zeros(1, width)).triangle.shape == (1, size, size)


def test_widths_of_the_other_posteriors() -> None:
    assert Gaussian().build().width(5) == 10
    assert Gaussian("flow").build(Site(code_size=5)).width(5) == 15


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_without_a_generator_nothing_is_random(posterior: str) -> None:
    composition = variational(Gaussian(posterior))
    batch = Batch(some_rows(9), LAYOUT)
    descend(composition, batch, 5)
    still = [composition.trace(batch, Pass(training=training)).code for training in (False, True)]
    assert torch.equal(still[0].z, still[0].point)
    assert torch.equal(still[0].z, still[1].z)
    for training in (False, True):
        first, again, other = (composition.trace(batch, drawing(seed, training)).code for seed in (0, 0, 1))
        assert torch.equal(first.z, again.z)
        assert not torch.equal(first.z, other.z)
        assert not torch.equal(first.z, first.point)
        assert torch.equal(first.point, still[0].point)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_the_cost_is_the_divergence(posterior: str) -> None:
    """Over many draws the cost has the mean of log q - log p; the closed forms have no other value at all."""
    composition = variational(Gaussian(posterior))
    batch = Batch(some_rows(3), LAYOUT)
    descend(composition, Batch(some_rows(40), LAYOUT), 30)
    with torch.no_grad():
        code = composition.trace(batch).code
        z = code.posterior.sample(10_000, generator(4))
        sampled = code.posterior.log_prob(z) - standard_log_prob(z)
        costs = torch.stack([composition.trace(batch, drawing(seed)).code.cost for seed in range(200)])
    if posterior == "flow":
        assert float(costs.std(0).min()) > 0
        assert within_errors(costs - sampled.mean(0))
    else:
        assert torch.equal(costs, code.cost.expand(200, 3))
        assert within_errors(sampled - code.cost)


def test_beta_of_one_is_the_plain_kind() -> None:
    assert recipes.beta_vae(beta=1.0).parts() == recipes.vae(beta=1.0).parts()
    composition, batch = trained(Gaussian(), 20)
    dear = replace(recipes.beta_vae(beta=4.0).parts()).build(LAYOUT, CODE_SIZE, generator()).double()
    dear.load_state_dict(composition.state_dict())
    trace = composition.trace(batch, drawing())
    plain, costly = composition.cost(trace), dear.cost(dear.trace(batch, drawing()))
    torch.testing.assert_close(costly - plain, 3 * trace.code.cost, rtol=1e-12, atol=1e-12)


def test_beta_may_be_annealed() -> None:
    composition, batch = trained(Gaussian(), 5)
    composition.rate = Ramp(0.0, 1.0, epochs=4)
    early, later = (composition.trace(batch, Pass(generator(), epoch=epoch)) for epoch in (0.0, 2.0))
    torch.testing.assert_close(composition.cost(early), composition.losses(early), rtol=1e-13, atol=1e-13)
    expected = composition.losses(later) + 0.5 * later.code.cost
    torch.testing.assert_close(composition.cost(later), expected, rtol=1e-13, atol=1e-13)


def test_free_bits_are_charged_anyway() -> None:
    code = Gaussian(free_bits=0.3).build(Site(code_size=2))
    # One unit at the prior, one that says 2 nats: mean 2, standard deviation 1.
    hidden = torch.tensor([[0.0, 2.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    cost = code(hidden, Context((4,))).cost
    assert cost.tolist() == [2.3]
    (slope,) = torch.autograd.grad(cost.sum(), hidden)
    assert slope.tolist() == [[0, 2, 0, 0]]
    free, plain = trained(Gaussian(free_bits=1.0), 30)[0], variational(Gaussian())
    batch = Batch(some_rows(20), LAYOUT)
    assert bool((free.trace(batch).code.cost >= CODE_SIZE).all())
    plain.load_state_dict(free.state_dict())
    expected = plain.trace(batch).code.posterior.divergence().clamp(min=1.0).sum(1)
    assert torch.equal(free.trace(batch).code.cost, expected)


def test_coarse_numbers_are_made_fine_before_they_are_summed() -> None:
    hidden = torch.randn(5, 12, generator=generator()).bfloat16()
    for posterior in ("diagonal", "full", "flow"):
        code = Gaussian(posterior).build(Site(code_size=3))
        found = code(hidden[:, : code.width(3)], Context((4,), pass_=drawing()))
        expected = code(hidden[:, : code.width(3)].float(), Context((4,), pass_=drawing()))
        assert found.cost.dtype == torch.float32
        assert torch.equal(found.cost, expected.cost)
    assert precise(torch.zeros(2, 3, 4)).shape == (2, 12)
    assert precise(torch.zeros(2, 3).double()).dtype == torch.float64


def test_scales_have_ends() -> None:
    assert log_scale_of(torch.tensor([-1e9, -3.0, 0.0, 1e9])).tolist() == [-9, -3, 0, 6]
    code = Gaussian().build(Site(code_size=1))
    assert code(torch.tensor([[0.0, 1e9]]), Context((1,), pass_=drawing())).cost.isfinite().all()


# Importance weighting.


def test_one_draw_is_the_plain_kind() -> None:
    """With the divergence at the draw it is the same number, in the mean over draws the closed form's."""
    plain, batch = trained(Gaussian())
    weighted = twin(plain, ImportanceWeighted(1))
    differences = []
    for seed in range(200):
        with torch.no_grad():
            trace, other = plain.trace(batch, drawing(seed)), weighted.trace(batch, drawing(seed))
            assert torch.equal(other.code.z[0], trace.code.z)
            found, z = weighted.cost(other), trace.code.z
            sampled = trace.code.posterior.log_prob(z) - standard_log_prob(z)
            torch.testing.assert_close(found, plain.losses(trace) + sampled, rtol=1e-12, atol=1e-12)
            differences.append((found - plain.cost(trace)).mean())
    assert float(torch.stack(differences).std()) > 0
    assert within_errors(torch.stack(differences))


def test_the_bound_is_that_of_the_paper() -> None:
    weighted, batch = trained(ImportanceWeighted(7), 20)
    trace = weighted.trace(batch, drawing())
    z, code = trace.code.z, trace.code
    log_weights = -weighted.losses(trace) + standard_log_prob(z) - code.posterior.log_prob(z)
    expected = -torch.log(log_weights.exp().mean(0))
    torch.testing.assert_close(weighted.cost(trace), expected, rtol=1e-10, atol=1e-10)
    still, plain = weighted.trace(batch), twin(weighted, Gaussian())
    assert torch.equal(weighted.cost(still), plain.cost(plain.trace(batch)))


@pytest.mark.parametrize("posterior", ["diagonal", "full", pytest.param("flow", marks=pytest.mark.slow)])
def test_more_draws_make_no_looser_bound(posterior: str) -> None:
    single, batch = trained(ImportanceWeighted(1, gaussian=Gaussian(posterior)), 100)
    means = []
    for draws in (1, 5, 50):
        weighted = twin(single, ImportanceWeighted(draws, gaussian=Gaussian(posterior)))
        with torch.no_grad():
            costs = [weighted.cost(weighted.trace(batch, drawing(seed))).mean() for seed in range(20)]
        means.append(float(torch.stack(costs).mean()))
    assert means[0] > means[1] > means[2]


def encoder_and_decoder(composition: Composition, batch: Batch, seed: int) -> tuple[Tensor, Tensor]:
    names = [name for name, _ in composition.named_parameters()]
    found = zip(names, gradients(composition, batch, drawing(seed)), strict=True)
    flat: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
    for name, value in found:
        flat[name.split(".")[0]].append(value)
    return parameters_to_vector(flat["encoder"]), parameters_to_vector(flat["decoder"])


@pytest.mark.parametrize("posterior", ["diagonal", pytest.param("full", marks=pytest.mark.slow)])
def test_the_doubly_reparameterised_gradient_is_the_same_with_less_noise(posterior: str) -> None:
    gaussian = Gaussian(posterior)
    plain, _ = trained(ImportanceWeighted(20, gaussian=gaussian), 60)
    doubly = twin(plain, ImportanceWeighted(20, doubly=True, gaussian=gaussian))
    batch = Batch(some_rows(4, seed=3), LAYOUT)
    found: dict[str, list[Tensor]] = {"plain": [], "doubly": []}
    for seed in range(200):
        first, second = encoder_and_decoder(plain, batch, seed), encoder_and_decoder(doubly, batch, seed)
        torch.testing.assert_close(second[1], first[1], rtol=1e-12, atol=1e-14)  # the decoder's
        found["plain"].append(first[0])
        found["doubly"].append(second[0])
    noisy, quiet = torch.stack(found["plain"]), torch.stack(found["doubly"])
    assert not torch.allclose(noisy[0], quiet[0])
    directions = torch.randn(noisy.shape[1], 12, generator=generator(8), dtype=torch.float64)
    assert within_errors((noisy - quiet) @ directions)
    assert float(quiet.var(0).sum()) < 0.7 * float(noisy.var(0).sum())
    # The mean itself is no mere noise, so that a gradient of 0 would not pass.
    assert float(quiet.mean(0).norm()) > 4 * float((quiet.var(0).sum() / len(quiet)).sqrt())


def test_doubly_says_that_it_estimates() -> None:
    assert "0 in the mean" in ImportanceWeighted(doubly=True).build(Site(code_size=2)).estimates_gradient
    assert not hasattr(ImportanceWeighted().build(Site(code_size=2)), "estimates_gradient")


# What is refused, and what is stored.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian("round"), "posterior must be one of diagonal, full, flow; got 'round'"),
        (lambda: Gaussian(free_bits=-1.0), "free_bits must be >= 0 and finite; got -1.0"),
        (lambda: Gaussian(free_bits=math.nan), "free_bits must be >= 0"),
        (lambda: Gaussian("full", free_bits=0.1), "counted by unit"),
        (lambda: Gaussian(prior=Mixture(2), free_bits=0.1), "counted by unit"),
        (lambda: Gaussian(prior="mixture"), "prior must be one such as Normal\\(\\) or Mixture\\(10\\); got 'mixture'"),
        (lambda: ImportanceWeighted(0), "draws must be a whole number >= 1; got 0"),
        (lambda: ImportanceWeighted(2.5), "draws must be a whole number"),
        (lambda: ImportanceWeighted(gaussian=Gaussian(free_bits=1.0)), "free_bits have no place"),
        (lambda: ImportanceWeighted(doubly=True, gaussian=Gaussian("flow")), "doubly=True needs"),
        (lambda: ImportanceWeighted(gaussian="full"), "gaussian must be a Gaussian"),
    ],
)
def test_bad_knobs_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_parts_are_json_data() -> None:
    for part in (Gaussian("full"), ImportanceWeighted(3, True, Gaussian(prior=Mixture(4))), Gaussian(free_bits=0.5)):
        assert from_json(to_json(part)) == part
