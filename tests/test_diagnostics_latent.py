"""The questions put to codes: on maps whose answers are known, and on ill fits beside their healthy twins."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import isthmus as ist
from isthmus.composition import Composition, compose
from isthmus.diagnostics import Diagnosis, FitRecord, diagnose
from isthmus.diagnostics.aggregate import Aggregate, aggregate, aggregate_verdict
from isthmus.diagnostics.codebooks import Use, books_used, codebook_verdict
from isthmus.diagnostics.collapse import RandomCode, collapse_verdict, raising, random_code
from isthmus.diagnostics.factors import Factors, disentanglement_verdict
from isthmus.diagnostics.latent import (
    Completeness,
    Step,
    completeness,
    completeness_verdict,
    decoding_step,
    decoding_verdict,
)
from isthmus.diagnostics.probe import Probe
from isthmus.diagnostics.restraint import restraint
from isthmus.disentanglement import Dci
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.binary import Binary
from isthmus.parts.bottlenecks.categorical import GumbelSoftmax
from isthmus.parts.bottlenecks.codebook import Codebook
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.importance import ImportanceWeighted
from isthmus.parts.bottlenecks.labelled import Labelled
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.bottlenecks.residual import ResidualCodebook
from isthmus.parts.bottlenecks.spherical import Spherical
from isthmus.parts.bottlenecks.zeroed import Zeroed
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.dense import Dense
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.priors.normal import Normal
from isthmus.parts.schedules import Ramp
from isthmus.recipes import beta_vae, iwae, vae
from isthmus.records import Layout, Site

DIGITS = ist.data.digits()[0].reshape(-1, 64) / 16.0
FEATURES, SIZE, CAUSES = 20, 16, 3
LAYOUT = Layout((FEATURES,), ("column",))
DISCRETE = (Binary, Codebook, FiniteScalar, GumbelSoftmax, ResidualCodebook)
NARROW = 0.1
"""Standard deviation of a unit that is told; one that is not has the prior's, 1."""


def rows(n: int = 400, seed: int = 0, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    """Rows of three causes, each with variance 1 and one of the columns' first directions, and the causes."""
    generator = np.random.default_rng(seed)
    causes = generator.normal(size=(n, CAUSES))
    causes = (causes - causes.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(causes.T, bias=True))).T
    x = 3 * causes @ directions()[:CAUSES].numpy() + noise * generator.normal(size=(n, FEATURES))
    return torch.from_numpy(x).float(), torch.from_numpy(causes).float()


def directions() -> Tensor:
    return torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(7)))[0]


def variational(told: int, bottleneck: Any = Gaussian(), *, loss: Any = Squared(), rate: Any = 1.0) -> Composition:
    """A linear variational model whose first ``told`` units are the causes, and whose others are the prior's noise."""
    encoder, decoder = nn.Linear(FEATURES, 2 * SIZE), nn.Linear(SIZE, FEATURES)
    with torch.no_grad():
        for weights in (*encoder.parameters(), *decoder.parameters()):
            weights.zero_()
        encoder.weight[:told] = directions()[:told] / 3
        encoder.bias[SIZE : SIZE + told] = math.log(NARROW)
        decoder.weight[:, :told] = 3 * directions()[:told].T
    made = bottleneck.build(Site(LAYOUT, SIZE)) if hasattr(bottleneck, "build") else bottleneck
    return compose(encoder, made, decoder, loss, rate=rate)


def record(model_lost: float, pca_lost: float, size: int = SIZE) -> FitRecord:
    errors = np.array([1.0] * size + [pca_lost])
    return FitRecord(size, FEATURES, 900, 100, model_lost, model_lost, 1.0, errors, 30, "finished 30 epochs")


def probe_of(model: Composition, x: Tensor) -> Probe:
    return Probe(model, LAYOUT, x)


def judged(model: Composition, told: FitRecord, **more: Any) -> Diagnosis:
    return diagnose(model, LAYOUT, rows()[0], told, **more)


def bad(found: Diagnosis) -> set[str]:
    return {verdict.name for verdict in found if verdict.level == "bad"}


# Random codes


def test_units_alive_and_their_divergence_are_the_closed_form() -> None:
    found = random_code(probe_of(variational(3), rows()[0]), list(range(SIZE)))
    assert found is not None
    assert found.alive == 3
    np.testing.assert_allclose(found.variances, [1.0] * 3 + [0.0] * 13, atol=0.01)
    nats = 0.5 * (1 + NARROW**2 - 1) - math.log(NARROW)
    np.testing.assert_allclose(found.divergences, [nats] * 3 + [0.0] * 13, atol=0.01)
    assert found.rate == pytest.approx(3 * nats, abs=0.02)
    # Every draw is off by 3 * 0.1 in three directions: with the variance fixed, the loss is known.
    fixed = random_code(probe_of(variational(3, loss=Squared(1.0)), rows(noise=0.0)[0]), list(range(SIZE)))
    assert fixed is not None
    assert fixed.distortion == pytest.approx(FEATURES / 2 * math.log(2 * math.pi) + 3 * 0.3**2 / 2, abs=0.02)


def test_the_rate_leaves_out_what_free_bits_add_and_agrees_with_draws() -> None:
    x, living = rows()[0], list(range(SIZE))
    exact = random_code(probe_of(variational(3), x), living)
    free = random_code(probe_of(variational(3, Gaussian(free_bits=2.0)), x), living)
    drawn = random_code(probe_of(variational(3, ImportanceWeighted(20)), x), living)
    full = random_code(probe_of(variational(3, Spread(1.0)), x), living)
    assert exact is not None
    assert free is not None
    assert drawn is not None
    assert full is not None
    assert free.rate == pytest.approx(exact.rate, rel=1e-5)
    assert drawn.alive == 3
    assert full.rate == pytest.approx(exact.rate, rel=0.02)  # by draws: this prior has no closed form
    assert full.divergences is None


class Spread(nn.Module):
    """A prior of another spread, which has no closed form; as a bottleneck it is `Gaussian` with that prior."""

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.inner = Gaussian().build(Site(LAYOUT, SIZE))
        self.inner.prior = Wide(spread)
        self.prior = self.inner.prior

    def forward(self, hidden: Tensor, context: Any) -> Any:
        return self.inner(hidden, context)


class Wide:
    def __init__(self, spread: float) -> None:
        self.spread = spread

    def log_prob(self, z: Tensor, context: Any = None) -> Tensor:
        return Normal().log_prob(z / self.spread) - z.shape[-1] * math.log(self.spread)

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return self.spread * torch.randn(n, code_size, generator=generator)


def test_units_are_alive_in_units_of_the_prior() -> None:
    wide = random_code(probe_of(variational(3, Spread(20.0)), rows()[0]), list(range(SIZE)))
    assert wide is not None
    assert wide.alive == 0  # a variance of 1 is a quarter of a percent of 400
    assert wide.variances[:3] == pytest.approx(1 / 400, rel=0.1)


@pytest.mark.parametrize(
    ("told", "model_lost", "pca_lost", "level", "words"),
    [
        (16, 0.01, 0.01, "good", "16 of 16 units alive (rate"),
        (8, 0.40, 0.01, "good", "8 of 16 units alive (rate"),
        (3, 0.05, 0.01, "note", "the code is wider than these data need, as it explains 95 % of the variance"),
        (3, 0.60, 0.01, "bad", "the others are noise for every row, and it explains 40 % of the variance of held-out"),
        (0, 1.02, 0.30, "bad", "a row's code is noise that says nothing of it, and it explains 0 % of the variance"),
        (0, 1.00, 0.90, "note", "there may be little to say"),
        (3, 0.05, math.nan, "note", "the code is wider than these data need"),
        (3, 0.60, math.nan, "bad", "the others are noise for every row, and it explains 40 % of the variance of held"),
    ],
)
def test_collapse_thresholds(told: int, model_lost: float, pca_lost: float, level: str, words: str) -> None:
    code = RandomCode(np.array([0.5] * told + [0.009] * (SIZE - told)), None, 3.0 * told, 20.0)
    found = collapse_verdict(code, record(model_lost, pca_lost), variational(told, rate=50.0), 400)
    assert (found.name, found.level, found.figure) == ("posterior collapse", level, told)
    assert found.sentence.startswith(
        f"{told} of 16 units alive (rate {3.0 * told:.3g} nats, distortion 20 nats per row)"
    )
    assert words in found.sentence
    if level == "bad":
        assert found.advice.startswith(
            "lower beta (it is 50), anneal it over 10 epochs (beta=Ramp(0.0, 1.0, epochs=10)), or free_bits"
        )
    assert (found.advice == "code_size=3, which costs less.") == (told == 3 and level == "note")


def test_units_that_are_alive_by_the_letter() -> None:
    faint = RandomCode(np.full(SIZE, 0.1), None, 0.1 * SIZE, 80.0)
    for rate, level in ((4.0, "bad"), (1.0, "note")):
        found = collapse_verdict(faint, record(0.6, 0.1), variational(3, rate=rate), 400)
        assert (found.level, found.sentence[:34]) == (level, "16 of 16 units alive, but hardly (")
    fixed = variational(3, loss=Squared(1.0))
    assert collapse_verdict(faint, record(0.6, 0.1), fixed, 400).level == "bad"
    assert collapse_verdict(replace(faint, rate=0.3 * SIZE), record(0.6, 0.1), fixed, 400).level == "good"
    assert collapse_verdict(faint, record(0.5, 0.1), fixed, 400).level == "good"


def test_collapse_where_nothing_can_be_told() -> None:
    dead = RandomCode(np.zeros(2), np.zeros(2), 0.0, 1.0)
    assert "from one row" in collapse_verdict(dead, record(1, 0.1), variational(0), 1).sentence
    constant = replace(record(0.0, 0.0), mean_error=0.0)
    assert "do not vary" in collapse_verdict(dead, constant, variational(0), 400).sentence
    for code, level in ((dead, "bad"), (replace(dead, variances=np.array([1.0, 0, 0])), "note")):
        assert collapse_verdict(code, record(1, 0.1), variational(0), 400, squared=False).level == level


def test_the_remedy_names_what_the_model_has() -> None:
    assert raising(variational(0)) == ["anneal beta over 10 epochs (beta=Ramp(0.0, 1.0, epochs=10))", "free_bits=0.1"]
    annealed = variational(0, Gaussian(free_bits=0.5), rate=Ramp(0.0, 4.0, epochs=10))
    assert raising(annealed) == ["lower beta (it is 4)", "anneal it over 20 epochs (beta=Ramp(0.0, 1.0, epochs=20))"]
    fixed = raising(variational(0, Gaussian("full"), loss=Squared(1.0)))
    assert fixed[0] == "a loss that learns its variance, Squared() (it is 1 for all cells)"
    assert len(fixed) == 2


def test_random_codes_in_a_whole_diagnosis() -> None:
    found = judged(variational(3, rate=50.0), record(0.6, 0.01))
    assert found["posterior collapse"].level == "bad"
    assert found["dead units"].level == "good"
    assert "judged by 'posterior collapse'" in found["dead units"].sentence
    assert (found.figures["active_units"], len(found.units["variance"])) == (3, SIZE)
    assert sum(found.units["divergence"]) == pytest.approx(found.figures["rate"])
    assert found.to_dict()["units"]["variance"][3] == pytest.approx(0, abs=0.01)
    # What is paid for a code makes the comparison with PCA a hint, unless nothing was learnt.
    assert [found[name].level for name in ("PCA", "underfitting")] == ["note", "note"]
    assert found["underfitting"].sentence.endswith("so that this is no more than a hint.")
    assert "underfitting" in bad(judged(variational(0), record(1.0, 0.01)))
    assert "a lower beta" in found["underfitting"].advice
    assert judged(variational(3), record(0.01, 0.01))["posterior collapse"].level == "note"
    assert restraint(variational(3)).more == ("a higher beta",)


def test_zeroed_units_are_left_out_and_plain_codes_are_not_asked() -> None:
    found = judged(variational(3, Zeroed(tuple(range(4, 16)), Gaussian())), record(0.01, 0.01))
    assert found["posterior collapse"].sentence.startswith("3 of 4 units alive")
    assert found["posterior collapse"].level == "good"
    plain = compose(nn.Linear(FEATURES, SIZE), Plain(), nn.Linear(SIZE, FEATURES), Squared())
    names = {verdict.name for verdict in judged(plain, record(0.01, 0.01))}
    assert not names & {"posterior collapse", "codebook use", "aggregate posterior", "completeness", "disentanglement"}
    assert "continuity of decoding" in names


def fitted(x: np.ndarray, method: Any = vae(), **knobs: Any) -> Diagnosis:
    model = ist.Autoencoder(**{"method": method, "code_size": 16, "epochs": 12, "random_state": 0, **knobs}).fit(x)
    return diagnose(model.composition_, model.form_.layout, model.scaling_.forward(x), model.record_)


@pytest.mark.parametrize(
    ("method", "knobs", "remedy"),
    [
        (beta_vae(beta=50.0), {}, "lower beta (it is 50)"),
        (vae(), {"loss": Squared(1.0), "scale": "none"}, "a loss that learns its variance, Squared()"),
    ],
)
def test_collapsed_variational_fits_are_called_out(method: Any, knobs: dict[str, Any], remedy: str) -> None:
    found = fitted(DIGITS[:1000].reshape(-1, 8, 8), method, **knobs)
    assert "posterior collapse" in bad(found)
    assert found.figures["rate"] < 1
    assert found["posterior collapse"].advice.startswith(remedy)


@pytest.mark.parametrize("method", [vae(), iwae()])
def test_their_healthy_twins_are_not(method: Any) -> None:
    found = fitted(DIGITS[:1000], method)
    assert not bad(found)
    assert found["posterior collapse"].sentence.startswith("16 of 16 units alive")
    assert found["aggregate posterior"].level == "good"
    assert 4 < found.figures["rate"] < 40


# Priors


def test_codes_that_lie_where_the_prior_has_its_mass() -> None:
    x = rows()[0]
    living = list(range(SIZE))
    for told, spread, level in ((3, 1.0, "good"), (3, 4.0, "bad"), (3, 0.25, "bad"), (3, 1.6, "note")):
        probe = probe_of(variational(told, Spread(spread)), x)
        found = aggregate(probe, probe.codes(x), probe.composition.prior, living)
        assert aggregate_verdict(found, fitted=False).level == level
    assert found.moments == pytest.approx((1 / 1.6 - 1) ** 2, rel=0.25)


def test_prior_thresholds_and_advice() -> None:
    for apart, chance, level in ((0.019, 0.0, "good"), (0.03, 0.04, "good"), (0.03, 0.0, "note"), (0.11, 0.0, "bad")):
        found = aggregate_verdict(Aggregate(400, apart, chance), fitted=False)
        assert (found.level, found.figure) == (level, apart)
    assert found.advice.startswith('ae.fit_prior("mixture", X)')
    assert aggregate_verdict(Aggregate(400, 0.11, 0.0), fitted=True).advice.startswith("to fit it to more rows")
    few = aggregate_verdict(Aggregate(3), fitted=False)
    assert (few.level, few.sentence) == ("note", "Cannot be judged from 3 rows.")


class Away(Wide):
    """A prior far from every code."""

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        return super().sample(n, code_size, generator) + 6


def test_samples_that_lie_on_the_data_and_away_from_them() -> None:
    x = rows()[0]
    probe = probe_of(variational(3), x)
    codes = probe.codes(x)
    here, away = (completeness(probe, codes, prior) for prior in (Normal(), Away(1.0)))
    assert here.share > 0.9  # a linear decoder, and codes that are normal
    assert here.distance == pytest.approx(1, abs=0.3)
    assert away.share < 0.05
    assert [completeness_verdict(found, 0.1, fitted=False).level for found in (here, away)] == ["good", "bad"]
    swapped = judged(variational(3), record(0.01, 0.01), prior=Away(1.0))
    assert {"aggregate posterior", "completeness"} <= bad(swapped)
    assert swapped["completeness"].advice.startswith('another prior, such as ae.fit_prior("flow", X)')


def test_completeness_thresholds_and_what_it_cannot_tell() -> None:
    for share, level in ((0.81, "good"), (0.79, "note"), (0.11, "note"), (0.09, "bad")):
        assert completeness_verdict(Completeness(share, 1.0), 0.1, fitted=False).level == level
    assert completeness_verdict(Completeness(0.1, 1.0), 0.97, fitted=False).level == "note"
    few = probe_of(variational(3), rows(20)[0])
    found = completeness(few, few.codes(few.x), Normal())
    assert completeness_verdict(found, 0.1, fitted=False).sentence == "Does not apply: 20 rows are too few."


# Continuity


class Wave(nn.Module):
    """A decoder that is told the causes, and shakes its output as fast as ``speed`` says."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed, self.linear = speed, nn.Linear(SIZE, FEATURES)
        with torch.no_grad():
            self.linear.weight.copy_(3 * directions()[:SIZE].T)
            self.linear.bias.zero_()

    def forward(self, z: Tensor) -> Tensor:
        turned = z[:, :CAUSES] @ torch.randn(CAUSES, FEATURES, generator=torch.Generator().manual_seed(1))
        return self.linear(z) + 3 * torch.sin(self.speed * turned)


@pytest.mark.parametrize(("speed", "level"), [(0.0, "good"), (0.1, "good"), (3.0, "note"), (30.0, "bad")])
def test_a_decoder_that_is_torn_between_near_codes(speed: float, level: str) -> None:
    encoder = nn.Linear(FEATURES, SIZE, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(directions()[:SIZE] / 3)
    probe = probe_of(compose(encoder, Plain(), Wave(speed), Squared()), rows(1000)[0])
    found = decoding_step(probe, probe.codes(probe.x))
    assert decoding_verdict(found, 0.1).level == level
    if not speed:  # isometric: a step is as long in the rows as in the codes
        assert found.moved == pytest.approx(1, abs=0.2)


def test_continuity_thresholds_and_what_it_does_not_apply_to() -> None:
    for moved, any_two, level in (
        (1.9, 3.0, "good"), (2.1, 3.0, "note"), (3.1, 3.0, "bad"), (5.0, 1.1, "good"),
    ):  # fmt: skip
        assert decoding_verdict(Step(moved, any_two), 0.1).level == level
    assert decoding_verdict(Step(0.1, 3.0), 0.99).level == "note"
    probe = probe_of(variational(3), rows()[0])
    codes = probe.codes(probe.x)
    assert "codes are symbols" in decoding_verdict(decoding_step(probe, codes, discrete=True), 0.1).sentence
    few = probe_of(variational(3), rows(20)[0])
    assert decoding_step(few, few.codes(few.x)).why == "20 rows are too few"
    same = probe_of(variational(3), rows()[0][:1].repeat(50, 1))
    assert "has a double" in decoding_step(same, same.codes(same.x)).why


# Discrete codes


def test_symbols_are_counted_by_book() -> None:
    index = torch.tensor([[0, 1, 0, 3], [0, 1, 1, 3]])
    residual = ResidualCodebook(2, Codebook(entries=4, width=3)).build(Site(code_size=6))
    first, second = books_used(residual, index, 6)  # two places, two levels: first level, second level, first, second
    assert (first.symbols, first.used, second.used) == (4, 2, 2)
    assert first.perplexity == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    one = books_used(Codebook(entries=5, width=2).build(Site(code_size=8)), index, 8)
    assert [(use.entries, use.symbols, use.used) for use in one] == [(5, 8, 3)]
    levels = books_used(FiniteScalar((3, 5)), index, 4)
    assert [(use.entries, use.used) for use in levels] == [(3, 1), (5, 1), (3, 2), (5, 1)]
    assert [use.entries for use in books_used(Plain(), index, 4)] == [2, 2, 2, 2]
    assert [use.entries for use in books_used(Plain(), index, 40)] == [10, 10, 10, 10]


@pytest.mark.parametrize(
    ("use", "wasted"),
    [
        (Use(512, 5000, 260, 200.0), False),
        (Use(512, 5000, 250, 200.0), True),  # less than half are used
        (Use(512, 5000, 500, 45.0), True),  # a tenth of the book would say as much
        (Use(512, 200, 90, 80.0), False),  # 200 symbols, drawn evenly, would use 166 entries
        (Use(512, 200, 20, 15.0), True),
        (Use(2, 400, 2, 1.9), False),
        (Use(2, 400, 1, 1.0), True),
    ],
)
def test_a_book_is_wasted(use: Use, wasted: bool) -> None:
    assert use.wasted == wasted
    found = codebook_verdict([use], Codebook(start="random", revive=0.0).build(Site(code_size=8)))
    assert found.level == ("bad" if wasted else "good")
    assert found.advice == ('start="data", revive=0.1, or a smaller book, entries=128.' if wasted else "")


def test_some_books_wasted_and_too_few_symbols() -> None:
    well, ill = Use(8, 400, 8, 7.5), Use(8, 400, 1, 1.0)
    books = FiniteScalar(8)
    assert [codebook_verdict([well] * 3 + [ill] * n, books).level for n in (0, 1, 3)] == ["good", "note", "bad"]
    assert "1 are hardly used (counted from 0: 3)" in codebook_verdict([well] * 3 + [ill], books).sentence
    assert codebook_verdict([ill], books).advice == "fewer levels, or a smaller code_size."
    few = codebook_verdict([Use(8, 20, 1, 1.0)], books)
    assert (few.level, few.advice) == ("note", "to diagnose with more rows.")
    assert "which 20 symbols cannot prove" in few.sentence


def test_a_collapsed_codebook_is_called_out_and_its_healthy_twin_is_not() -> None:
    ill = fitted(DIGITS, "undercomplete", bottleneck=Codebook(256, width=16, start="random", revive=0.0))
    assert "codebook use" in bad(ill)
    assert ill["codebook use"].advice.startswith('start="data", revive=0.1')
    well = fitted(DIGITS, "undercomplete", bottleneck=Codebook(256, width=16))
    assert not bad(well)
    assert well.figures["entries_used"] > 0.9 > 0.5 > ill.figures["entries_used"]
    assert well.figures["perplexity"] > 100
    assert len(well.units["perplexity"]) == 1


# Factors


def test_factors_that_units_stand_for() -> None:
    x, causes = rows()
    found = diagnose(variational(3), LAYOUT, x, record(0.01, 0.01), factors=causes.numpy())
    assert found["disentanglement"].level == "good"
    assert found.figures["mig"] > 0.5
    assert found.figures["sap"] > 0.9
    assert found.figures["dci_disentanglement"] > 0.8
    chance = np.random.default_rng(5).normal(size=(400, 2))
    other = diagnose(variational(3), LAYOUT, x, record(0.01, 0.01), factors=chance)
    assert other["disentanglement"].level == "bad"
    with pytest.raises(InputError, match="factors must have one row per row of the data, 400; got 2"):
        diagnose(variational(3), LAYOUT, x, record(0.01, 0.01), factors=chance[:2])


def test_disentanglement_thresholds() -> None:
    for mig, told, level in ((0.06, 0.9, "good"), (0.04, 0.9, "note"), (0.0, 0.04, "bad")):
        found = disentanglement_verdict(Factors(400, mig, Dci(0.1, 0.1, told), 0.1))
        assert (found.level, found.figure) == (level, mig)
    assert disentanglement_verdict(Factors(9)).sentence == "Cannot be judged from 9 rows."


def test_a_diagnosis_of_random_codes_is_the_same_twice_and_moves_no_global_state() -> None:
    model = variational(3)
    state = torch.random.get_rng_state()
    first, second = (judged(model, record(0.05, 0.01), factors=rows()[1].numpy()) for _ in range(2))
    assert str(first) == str(second)
    np.testing.assert_equal(first.figures, second.figures)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "bottleneck",
    [
        Gaussian("full"), Gaussian("flow"), ImportanceWeighted(3), Spherical(), Binary(), GumbelSoftmax(4), Labelled(5),
        FiniteScalar(), Codebook(8), ResidualCodebook(2, Codebook(8)), Gaussian(prior=Mixture(3)), Plain(),
    ],
    ids=repr,
)  # fmt: skip
def test_every_sort_of_code_can_be_asked(bottleneck: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    made = bottleneck.build(Site(LAYOUT, SIZE, generator)) if hasattr(bottleneck, "build") else bottleneck
    encoder, decoder = Dense(hidden=()).build(LAYOUT, made.width(SIZE), SIZE, FEATURES, generator)
    found = judged(compose(encoder, made, decoder, Squared()), record(0.5, 0.1), factors=rows()[1].numpy())
    names = {verdict.name for verdict in found}
    drawn, discrete = hasattr(made, "prior"), isinstance(bottleneck, DISCRETE)
    assert ("posterior collapse" in names) == ("completeness" in names) == ("aggregate posterior" in names) == drawn
    assert ("codebook use" in names) == discrete
    asked = ["decoding_step"] * (not discrete) + ["rate", "distortion", "completeness", "aggregate_apart"] * drawn
    asked += ["entries_used", "perplexity"] * discrete + ["mig", "sap", "dci_informativeness"]
    assert all(math.isfinite(found.figures[name]) for name in asked)
