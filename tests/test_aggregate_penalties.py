"""Penalties on all codes of a batch together, and on codes that are not drawn: against formulas in plain loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from checks_for_kinds import (
    CODE_SIZE,
    FEATURES,
    LAYOUT,
    Case,
    descend,
    generator,
    some_rows,
    training_pass,
    with_random_weights,
)
from test_laws import LAWS
from torch import Tensor, nn

from isthmus import recipes
from isthmus.composition import Composition, compose
from isthmus.errors import InputError
from isthmus.papers import Paper
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.importance import ImportanceWeighted
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.bottlenecks.spherical import Spherical
from isthmus.parts.distributions.normal import DiagonalNormal
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.penalties.adversarial import AdversarialPrior, FactorTC, Judge, shuffled
from isthmus.parts.penalties.correlation import TotalCorrelation, shares, total_correlation
from isthmus.parts.penalties.discrepancy import KERNELS, MMD, SCALES, mmd
from isthmus.parts.penalties.smooth_decoder import CodeNorm, SmoothDecoder
from isthmus.parts.priors.normal import Normal
from isthmus.parts.priors.sphere import UniformSphere
from isthmus.recipes import RECIPES, Parts
from isthmus.records import Batch, Pass, Site

KINDS: dict[str, Callable[[], Parts]] = {
    "wae_here": lambda: Parts(penalties=(MMD(),)),
    "info_vae_here": lambda: Parts(bottleneck=Gaussian(), rate=0.5, penalties=(MMD(kernel="rbf"),)),
    "beta_tc_here": lambda: Parts(bottleneck=Gaussian(), penalties=(TotalCorrelation(),)),
    "factor_here": lambda: Parts(bottleneck=Gaussian(), penalties=(FactorTC(),)),
    "aae_here": lambda: Parts(penalties=(AdversarialPrior(),)),
    "rae_here": lambda: Parts(penalties=(CodeNorm(), SmoothDecoder())),
    "hyperspherical_here": lambda: Parts(bottleneck=Spherical()),
}


@pytest.fixture(scope="module")
def kinds() -> Iterator[None]:
    """The kinds, registered for as long as this file's tests run."""
    for name, function in KINDS.items():

        def make(function: Callable[[], Parts] = function) -> Parts:
            """A kind that only this file knows."""
            return function()

        make.__name__ = name
        recipes.recipe(Paper("No Body", 2000, "A test", "nowhere"))(make)
    yield
    for name in KINDS:
        RECIPES.pop(name)


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_laws(kind: str, law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The one knob of these kinds is there for the loop above.
    monkeypatch.setattr(type(RECIPES[kind]), "knobs", {})
    LAWS[law](Case(kind))


def a_model(*penalties: Any, bottleneck: Any = Plain(), **network: Any) -> Composition:
    """A composition in float64 with every weight random, those that start at 0 included."""
    parts = Parts(Dense(**{"hidden": (8, 5), **network}), bottleneck, Squared(1.0), penalties=penalties)
    return with_random_weights(parts)


def a_batch(rows: int = 5, **more: Any) -> Batch:
    return Batch(some_rows(rows), LAYOUT, **more)


def normals(n: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(n, size, generator=generator(seed), dtype=torch.float64)


def within(values: Tensor, expected: float) -> None:
    assert abs(float(values.mean()) - expected) < 4 * float(values.std()) / math.sqrt(len(values))


# --- maximum mean discrepancy ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", KERNELS)
def test_discrepancy_of_equals_is_zero(kernel: str, dtype: torch.dtype) -> None:
    for n, size in ((1, 1), (2, 3), (37, 16)):
        sample = normals(n, size).to(dtype)
        assert float(mmd(sample, sample, kernel)) == 0.0


def one_kernel(kernel: str, a: Tensor, b: Tensor) -> float:
    distance = float((a - b).square().sum())
    widths = [2 * len(a) * scale for scale in SCALES]
    if kernel == "imq":
        return sum(width / (width + distance) for width in widths)
    return sum(math.exp(-distance / width) for width in widths)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_discrepancy_is_its_formula(kernel: str, biased: bool) -> None:
    x, y = normals(5, 3), 0.5 + 2 * normals(4, 3, 1)

    def mean(first: Tensor, second: Tensor, same: bool) -> float:
        pairs = [
            one_kernel(kernel, a, b)
            for (i, a), (j, b) in itertools.product(enumerate(first), enumerate(second))
            if biased or not same or i != j
        ]
        return sum(pairs) / len(pairs)

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert float(mmd(x, y, kernel, biased)) == pytest.approx(expected, rel=1e-12)


def test_discrepancy_counts_a_row_by_its_weight() -> None:
    x, y = normals(3, 2), normals(4, 2, 1)
    weight = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(mmd(x, y, weight=weight), mmd(x[[0, 0, 1]], y), rtol=1e-12, atol=1e-14)
    assert mmd(x, y, biased=False, weight=torch.tensor([1.0, 0.0, 0.0])).isfinite()
    assert mmd(x, y, biased=False, weight=torch.zeros(3)).isfinite()


@pytest.mark.parametrize("kernel", KERNELS)
def test_unbiased_discrepancy_is_zero_in_the_mean_and_grows_with_the_difference(kernel: str) -> None:
    tries = [(normals(12, 2, 2 * seed), normals(12, 2, 2 * seed + 1)) for seed in range(300)]
    within(torch.stack([mmd(x, y, kernel, biased=False) for x, y in tries]), 0.0)
    shifts = [float(mmd(x := normals(300, 2), normals(300, 2, 1) + shift, kernel, False)) for shift in (0, 0.5, 1, 3)]
    assert x.shape == (300, 2)
    assert shifts == sorted(shifts)
    assert shifts[1] > 10 * abs(shifts[0])


def test_discrepancy_refuses_in_words() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(InputError, match=r"mmd: kernel must be one of imq, rbf; got 'cosine'"):
        mmd(x, x, "cosine")
    with pytest.raises(InputError, match=r"mmd: x and y must be .*; got \(2, 3\) and \(2, 4\)"):
        mmd(x, torch.zeros(2, 4))
    with pytest.raises(InputError, match="mmd: biased=False needs two rows in each sample; got 1 and 2"):
        mmd(x[:1], x, biased=False)


def test_the_prior_is_the_bottlenecks_own_where_it_has_one() -> None:
    assert a_model(MMD()).penalties[0].prior == Normal()
    assert a_model(MMD(), bottleneck=Spherical()).penalties[0].prior == UniformSphere()
    assert a_model(MMD(prior=UniformSphere())).penalties[0].prior == UniformSphere()
    assert a_model(AdversarialPrior(), bottleneck=Spherical()).penalties[0].prior == UniformSphere()
    assert a_model(MMD(layer="encoder.hidden.0"), bottleneck=Spherical()).penalties[0].prior == Normal()


class Learning(nn.Module):
    """A prior that learns and has a size of its own."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full((size,), 3.0))

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return self.mean + torch.randn(n, len(self.mean), generator=generator)

    def log_prob(self, z: Tensor, context: Any = None) -> Tensor:
        return -0.5 * (z - self.mean).square().sum(-1)


def by_hand(penalty: Any, bottleneck: Any, width: int = CODE_SIZE) -> Composition:
    return compose(
        nn.Linear(FEATURES, width), bottleneck, nn.Linear(CODE_SIZE, FEATURES), Squared(), penalties=[penalty]
    )


def test_a_prior_that_learns_is_kept_once_and_gets_no_gradient_from_the_penalty() -> None:
    prior = Learning(CODE_SIZE)
    bottleneck = Gaussian().build(Site(code_size=CODE_SIZE))
    bottleneck.prior = prior
    model = by_hand(MMD(), bottleneck, 2 * CODE_SIZE)
    assert model.penalties[0].prior is prior
    assert [name for name in model.state_dict() if "mean" in name] == ["bottleneck.prior.mean"]
    value = model.penalties[0](model.trace(Batch(some_rows(6, dtype=torch.float32), LAYOUT)))
    assert value.requires_grad
    assert torch.autograd.grad(value, prior.mean, allow_unused=True) == (None,)


@pytest.mark.parametrize("penalty", [MMD(prior=Learning(2)), AdversarialPrior(prior=Learning(2))], ids=str)
def test_a_prior_of_the_wrong_size_is_refused(penalty: Any) -> None:
    model = by_hand(penalty.build(Site(code_size=CODE_SIZE)), Plain())
    with pytest.raises(InputError, match=r"the prior draws codes of 2 units, but 'code' has 3; use .* Normal\(\)"):
        model.objective(model.trace(Batch(some_rows(4, dtype=torch.float32), LAYOUT)))


def test_a_prior_that_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(InputError, match=r"MMD: prior must be None or a prior such as Normal\(\); got 'normal'"):
        MMD(prior="normal").build()


def test_discrepancy_of_a_pass_is_that_of_its_codes_and_draws() -> None:
    model = a_model(MMD(layer="code", kernel="rbf"))
    trace = model.trace(a_batch(8), Pass(generator(3), training=True))
    draws = Normal().sample(8, CODE_SIZE, generator(3)).double()
    torch.testing.assert_close(model.penalties[0](trace), mmd(trace.code.z, draws, "rbf", biased=False))
    still = [model.penalties[0](model.trace(a_batch(8))) for _ in range(2)]
    assert torch.equal(*still)
    assert not torch.equal(still[0], model.penalties[0](model.trace(a_batch(8), training_pass(4))))


def test_discrepancy_of_a_layer() -> None:
    model = a_model(MMD(layer="encoder.hidden.0"))
    trace = model.trace(a_batch(8), Pass(generator(3)))
    units = trace.activations["encoder.hidden.0"]
    assert units.shape == (8, 8)
    expected = mmd(units, Normal().sample(8, 8, generator(3)).double(), biased=False)
    torch.testing.assert_close(model.penalties[0](trace), expected)


# --- total correlation ---


def a_posterior(n: int, size: int = 2, seed: int = 0) -> DiagonalNormal:
    return DiagonalNormal(normals(n, size, seed), 0.3 * normals(n, size, seed + 1) - 0.5)


def density(posterior: DiagonalNormal, row: int, z: Tensor, unit: int | None = None) -> float:
    units = range(len(z)) if unit is None else [unit]
    product = 1.0
    for j in units:
        mean, scale = float(posterior.mean[row, j]), math.exp(float(posterior.log_scale[row, j]))
        product *= math.exp(-0.5 * ((float(z[j]) - mean) / scale) ** 2) / (scale * math.sqrt(2 * math.pi))
    return product


@pytest.mark.parametrize("rows", [0, 6])
def test_total_correlation_of_the_whole_data_is_its_formula(rows: int) -> None:
    posterior = a_posterior(6, 3)
    z = posterior.sample(1, generator(2))[0]
    for row, found in enumerate(total_correlation(z, posterior, rows)):
        together = sum(density(posterior, other, z[row]) for other in range(6)) / 6
        alone = [sum(density(posterior, other, z[row], unit) for other in range(6)) / 6 for unit in range(3)]
        assert float(found) == pytest.approx(math.log(together) - sum(map(math.log, alone)), rel=1e-12)


def test_the_estimate_of_q_is_right_in_the_mean_over_batches() -> None:
    """Over all batches that hold row 0, every row of the data set has a share of exactly 1 / rows in q at its code."""
    rows, taken = 6, torch.zeros(6, dtype=torch.float64)
    batches = [(0, *others) for others in itertools.combinations(range(1, rows), 2)]
    for batch in batches:
        found = shares(3, rows, None, taken)
        torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64))
        taken[list(batch)] += found[0] / len(batches)
    torch.testing.assert_close(taken, torch.full_like(taken, 1 / rows), rtol=1e-12, atol=0)


def test_one_unit_has_no_total_correlation() -> None:
    posterior = a_posterior(6, 1)
    for rows in (0, 6, 100):
        found = total_correlation(posterior.sample(1, generator())[0], posterior, rows)
        assert torch.equal(found, torch.zeros(6, dtype=torch.float64))


def test_total_correlation_weighs_rows_as_if_they_were_listed() -> None:
    posterior = a_posterior(4, 3)
    z = posterior.sample(1, generator(2))[0]
    weight = torch.tensor([2.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    listed = torch.tensor([0, 0, 1, 2])
    repeated = DiagonalNormal(posterior.mean[listed], posterior.log_scale[listed])
    found = (total_correlation(z, posterior, row_weight=weight) * weight).mean()
    torch.testing.assert_close(found, total_correlation(z[listed], repeated).mean(), rtol=1e-12, atol=1e-12)


def test_total_correlation_is_zero_for_units_apart_and_the_known_figure_for_units_alike() -> None:
    """Narrow codes on a grid of k places: units that vary freely share nothing, equal ones share log k."""
    places = 10.0 * torch.arange(4, dtype=torch.float64)
    grid = torch.cartesian_prod(places, places)
    free = DiagonalNormal(grid, torch.zeros_like(grid))
    torch.testing.assert_close(total_correlation(grid, free), torch.zeros(16).double(), rtol=0, atol=1e-9)
    alike = torch.stack((places, places), 1)
    found = total_correlation(alike, DiagonalNormal(alike, torch.zeros_like(alike)))
    torch.testing.assert_close(found, torch.full((4,), math.log(4), dtype=torch.float64), rtol=0, atol=1e-9)


def test_total_correlation_reads_the_pass_and_the_first_of_several_draws() -> None:
    penalty = TotalCorrelation()
    model = a_model(penalty, bottleneck=ImportanceWeighted(3))
    trace = model.trace(a_batch(6), Pass(generator(), rows=40))
    expected = total_correlation(trace.code.z[0], trace.code.posterior, 40)
    assert torch.equal(penalty(trace), expected)
    assert not torch.equal(expected, total_correlation(trace.code.z[0], trace.code.posterior, 0))


def test_total_correlation_refuses_other_codes() -> None:
    with pytest.raises(
        InputError, match=r"TotalCorrelation: needs .* but Plain draws nothing; use bottleneck=Gaussian"
    ):
        a_model(TotalCorrelation())
    for posterior in ("full", "flow"):
        for bottleneck in (Gaussian(posterior), ImportanceWeighted(2, gaussian=Gaussian(posterior))):
            with pytest.raises(InputError, match=f"but its posterior is '{posterior}'.*or FactorTC"):
                a_model(TotalCorrelation(), bottleneck=bottleneck)
    model = a_model(TotalCorrelation(), bottleneck=Spherical())
    with pytest.raises(InputError, match="but this bottleneck draws from PowerSpherical"):
        model.objective(model.trace(a_batch()))


# --- adversaries ---


def sides(penalty: Any, **parts: Any) -> tuple[Composition, Any, Tensor, dict[str, Tensor]]:
    """A model, its penalty's module, the value at a batch, and the gradient by parameter."""
    model = a_model(penalty, **parts)
    value = model.penalties[0](model.trace(a_batch(8), training_pass(2))).mean()
    names, weights = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(value, weights, allow_unused=True)
    return model, model.penalties[0], value, {n: g for n, g in zip(names, found, strict=True) if g is not None}


def test_adversarial_prior_trains_both_sides() -> None:
    model, module, value, found = sides(AdversarialPrior(hidden=(4,)))
    z = model.trace(a_batch(8)).code.z
    draws = Normal().sample(8, CODE_SIZE, generator(2)).double()
    encoders = -torch.sigmoid(module.judge(z)).log().mean()
    judges = (
        -0.5 * (torch.sigmoid(module.judge(draws)).log() + (1 - torch.sigmoid(module.judge(z.detach()))).log()).mean()
    )
    torch.testing.assert_close(value, encoders)
    compare(model, found, encoders, judges)


def test_factor_tc_trains_both_sides() -> None:
    model, module, value, found = sides(FactorTC(hidden=(4,)), bottleneck=Plain())
    z = model.trace(a_batch(8)).code.z
    mixed = shuffled(z, generator(2)).detach()
    encoders = module.judge(z).mean()
    judges = (
        -0.5 * (torch.sigmoid(module.judge(z.detach())).log() + (1 - torch.sigmoid(module.judge(mixed))).log()).mean()
    )
    torch.testing.assert_close(value, encoders)
    compare(model, found, encoders, judges)


def compare(model: Composition, found: dict[str, Tensor], encoders: Tensor, judges: Tensor) -> None:
    """The encoder's gradient is that of its own term, the judge's that of its own."""
    moved = {name for name in found if name.startswith("encoder")}
    judged = {name for name in found if "judge" in name}
    assert moved
    assert judged
    assert moved | judged == set(found)  # the decoder has no part in it
    weights = dict(model.named_parameters())
    for names, term in ((moved, encoders), (judged, judges)):
        expected = torch.autograd.grad(term, [weights[name] for name in names], retain_graph=True)
        for name, value in zip(names, expected, strict=True):
            torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("penalty", [AdversarialPrior(), FactorTC()], ids=str)
def test_a_judge_is_drawn_at_its_site_and_saved_with_the_model(penalty: Any) -> None:
    first, again, other = (penalty.build(Site(code_size=3, generator=generator(seed))) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    assert any("judge" in name for name in a_model(penalty).state_dict())
    assert "valid_cost" in penalty.adversary
    assert first.adversary == penalty.adversary
    name = type(penalty).__name__
    with pytest.raises(InputError, match=rf"{name}: the code's size is not known; in compose, write {name}\(\).build"):
        penalty.build()


def test_shuffled_units_keep_their_values_and_lose_their_company() -> None:
    first = torch.arange(200.0)
    codes = torch.stack((first, first), 1)
    found = shuffled(codes, generator())
    assert torch.equal(found.sort(0).values, codes)
    assert abs(float(torch.corrcoef(found.T)[0, 1])) < 0.25


def test_a_judge_learns_the_total_correlation() -> None:
    """Of two normal units with correlation 0.9: -1/2 log(1 - 0.81) = 0.83 nats."""
    judge = Judge("FactorTC", Site(code_size=2), (32, 32))
    optimiser, source = torch.optim.Adam(judge.parameters(), lr=5e-3), generator()

    def pairs(n: int) -> Tensor:
        free = torch.randn(n, 2, generator=source)
        return torch.stack((free[:, 0], 0.9 * free[:, 0] + math.sqrt(0.19) * free[:, 1]), 1)

    for _ in range(300):
        codes = pairs(512)
        lesson = judge.lesson(codes, shuffled(codes, source)).mean()
        assert float(lesson.detach()) == 0.0
        optimiser.zero_grad()
        lesson.backward()
        optimiser.step()
    with torch.no_grad():
        assert float(judge(pairs(20_000)).mean()) == pytest.approx(-0.5 * math.log(1 - 0.81), abs=0.12)


# --- codes that are not drawn ---


def test_code_norm_is_the_price_of_a_normal_prior_but_for_a_constant() -> None:
    penalty = CodeNorm()
    model = a_model(penalty)
    trace = model.trace(a_batch())
    constant = 0.5 * CODE_SIZE * math.log(2 * math.pi)
    torch.testing.assert_close(penalty(trace), -Normal().log_prob(trace.code.z) - constant)


def decoder_jacobian(model: Composition, batch: Batch, step: float = 1e-5) -> Tensor:
    """(n, features, code) of what is rebuilt, by central differences."""
    context, point = model.context(batch), model.represent(batch).detach()
    shifts = torch.eye(point.shape[1], dtype=point.dtype) * step
    with torch.no_grad():
        return torch.stack(
            [(model.rebuild(point + s, context) - model.rebuild(point - s, context)) / (2 * step) for s in shifts], 2
        )


@pytest.mark.parametrize("network", [{}, {"norm": "layer"}, {"dropout": 0.5}, {"linear_path": True}], ids=str)
def test_exact_smoothness_is_the_norm_of_the_jacobian(network: dict[str, Any]) -> None:
    penalty = SmoothDecoder(method="exact")
    model = a_model(penalty, **network).eval()
    expected = decoder_jacobian(model, a_batch()).square().sum((1, 2))
    torch.testing.assert_close(penalty(model.trace(a_batch(), Pass())), expected, rtol=1e-6, atol=1e-8)


def test_projected_smoothness_is_right_in_the_mean() -> None:
    exact, projected = SmoothDecoder(method="exact"), SmoothDecoder()
    model = a_model(projected)
    batch = Batch(some_rows(1).expand(4000, -1), LAYOUT)
    with torch.no_grad():
        estimates = projected(model.trace(batch, training_pass()))
        found = float(exact(model.trace(a_batch(1), Pass())))
    within(estimates, found)
    assert float(estimates.std()) < math.sqrt(2) * found
    still = [projected(model.trace(a_batch())) for _ in range(2)]
    assert torch.equal(*still)


def test_smoothness_of_a_linear_decoder_is_its_weights() -> None:
    penalty = SmoothDecoder(method="exact")
    model = by_hand(penalty, Plain())
    found = penalty(model.trace(Batch(some_rows(3, dtype=torch.float32), LAYOUT)))
    expected = next(model.decoder.parameters()).square().sum()
    torch.testing.assert_close(found, expected.expand(3))


def test_smoothness_moves_the_decoder_alone() -> None:
    model = a_model(SmoothDecoder())

    def value() -> Tensor:
        return model.penalties[0](model.trace(a_batch(), training_pass())).mean()

    names, weights = zip(*model.named_parameters(), strict=True)
    found = dict(zip(names, torch.autograd.grad(value(), weights, allow_unused=True), strict=True))
    assert all(slope is None for name, slope in found.items() if name.startswith("encoder"))
    moved = next(name for name in names if name.startswith("decoder") and found[name] is not None)
    weight, step = dict(model.named_parameters())[moved], 1e-6
    with torch.no_grad():
        weight += step
        above = value()
        weight -= 2 * step
        below = value()
    assert float((above - below) / (2 * step)) == pytest.approx(float(found[moved].sum()), rel=1e-6)


def test_smoothness_refuses_batch_norm() -> None:
    with pytest.raises(
        InputError, match=r"SmoothDecoder: the decoder has batch norm \(decoder\..*norm='layer' or None"
    ):
        a_model(SmoothDecoder(), norm="batch")


# --- all of them ---

EVERY: list[Any] = [MMD(), TotalCorrelation(), AdversarialPrior(), FactorTC(), CodeNorm(), SmoothDecoder()]


@pytest.mark.parametrize("penalty", EVERY, ids=str)
def test_bad_weights_are_refused(penalty: Any) -> None:
    kind = type(penalty)
    for weight in (-1.0, math.inf, math.nan, "much", None):
        with pytest.raises(InputError, match=f"{kind.__name__}: weight must be >= 0 and finite; got {weight!r}"):
            kind(weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMD(kernel="cosine"), "MMD: kernel must be one of imq, rbf; got 'cosine'"),
        (
            lambda: SmoothDecoder(method="closed"),
            "method must be one of projection, exact; got 'closed'",
        ),
        (lambda: FactorTC(hidden=(8, 0)), r"FactorTC: hidden must be whole numbers >= 1, .*; got \(8, 0\)"),
        (lambda: AdversarialPrior(hidden=8), r"AdversarialPrior: hidden must be whole numbers >= 1, .*; got 8"),
    ],
)
def test_bad_knobs_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("penalty", EVERY, ids=str)
def test_a_lone_row_is_no_trouble(penalty: Any) -> None:
    model = a_model(penalty, bottleneck=Gaussian())
    for pass_ in (Pass(), Pass(generator(), rows=50, training=True)):
        value = model.penalties[0](model.trace(a_batch(1), pass_))
        assert value.isfinite().all()
        if isinstance(penalty, (MMD, TotalCorrelation)):
            assert float(value.sum()) == 0.0


@pytest.mark.parametrize(("penalty", "allowed"), [(MMD(100.0), 0.2), (AdversarialPrior(2.0), 1.0)], ids=str)
def test_codes_come_to_lie_as_the_prior_does(penalty: Any, allowed: float) -> None:
    """From codes far off and of unlike spread to mean 0 and standard deviation 1."""
    parts = Parts(Dense(hidden=(16,)), loss=Squared(0.1), penalties=(penalty,))
    model = parts.build(LAYOUT, CODE_SIZE, generator())
    with torch.no_grad():
        for weights in model.encoder.parameters():
            if weights.shape[0] == CODE_SIZE:
                weights += 1.0
    batch = Batch(some_rows(128, dtype=torch.float32), LAYOUT)

    def strangeness() -> float:
        """The largest distance of a unit's mean from 0, or of its standard deviation from 1."""
        code = model.represent(batch).detach()
        return max(float(code.mean(0).abs().max()), float((code.std(0) - 1).abs().max()))

    assert strangeness() > 5
    descend(model, batch, 600)
    assert strangeness() < allowed  # an adversary's codes swing around where they should be
