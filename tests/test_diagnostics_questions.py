"""What is measured for the verdicts, on maps whose answers are known, and the thresholds at which levels change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from isthmus.composition import Composition, compose
from isthmus.diagnostics import FitRecord, diagnose
from isthmus.diagnostics.attractors import Attraction, apart, attraction, attractors_verdict
from isthmus.diagnostics.balance import Sensitivity, balance_verdict, principal_directions, sensitivity
from isthmus.diagnostics.copying import copying_verdict
from isthmus.diagnostics.lone import Lone, lone_rows, lone_verdict
from isthmus.diagnostics.neighbours import (
    Neighbours,
    are_categories,
    lost_of_near,
    neighbours,
    neighbours_verdict,
    numbering_verdict,
)
from isthmus.diagnostics.probe import Probe, structureless
from isthmus.diagnostics.restraint import Restraint, either, restraint
from isthmus.diagnostics.usage import Unused, activity_verdict, dead_verdict, influence, unused_units
from isthmus.metrics import activity
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.bottlenecks.sparse import BatchTopK, JumpReLU, TopK
from isthmus.parts.bottlenecks.zeroed import Zeroed
from isthmus.parts.corruptions import Mask
from isthmus.parts.losses.cosine import Cosine
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.penalties.weights import WeightDecay
from isthmus.records import Column, Context, Layout, Site, part

RECORD = FitRecord(1, 10, 900, 100, 0.18, 0.2, 1.0, np.array([1.0, 0.6]), 30, "no more gain")


class Nearest(nn.Module):
    """A memory: gives the nearest of its rows, whatever comes."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.rows[torch.cdist(z, self.rows).argmin(1)]


class Shifted(nn.Module):
    """Adds the conditions to what it is handed."""

    takes_context = True

    def forward(self, z: torch.Tensor, context: Context) -> torch.Tensor:
        assert context.given is not None
        return z + context.given


@part
class Counts:
    """A loss of counts, as far as diagnoses need to know."""

    support = "count"

    def width(self, features: int) -> int:
        return features

    def cost(self, out: torch.Tensor, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        return (out - x).abs().sum(1)

    def mean(self, out: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        return out


def linear(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight)
    return layer


def model(encoder: nn.Module, decoder: nn.Module, loss: object = Squared(1.0)) -> Composition:
    return compose(encoder, Plain(), decoder, loss)


def plane(features: int, size: int, n: int = 400, noise: float = 0.0) -> tuple[Probe, torch.Tensor]:
    """Rows in a plane of ``size`` dimensions, and the model that projects on it."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(features, size, generator=generator)).Q
    x = torch.randn(n, size, generator=generator) @ basis.T + noise * torch.randn(n, features, generator=generator)
    return Probe(model(linear(basis.T), linear(basis)), Layout((features,), ("column",)), x), basis


def test_a_projection_answers_along_its_plane_only() -> None:
    probe, _ = plane(20, 3)
    found = sensitivity(probe, 3)
    assert found.along == pytest.approx(1.0, abs=1e-4)
    assert found.across == pytest.approx(0.0, abs=1e-4)
    assert found.encoder == pytest.approx(math.sqrt(3), rel=0.25)  # the Frobenius norm of 3 orthonormal rows
    assert balance_verdict(found).level == "good"


def test_principal_directions_are_those_of_a_singular_value_decomposition() -> None:
    towards = torch.randn(4, 9, 30, generator=torch.Generator().manual_seed(0))
    expected = torch.linalg.svd(towards, full_matrices=False).Vh[:, :3]
    found = principal_directions(towards, 3)
    torch.testing.assert_close(found.mT @ found, expected.mT @ expected, atol=1e-4, rtol=0)
    flat = principal_directions(towards[:, :1].expand(-1, 9, -1), 3)  # all in one direction: there is no second
    assert flat.norm(dim=-1).round().sum(1).tolist() == [1.0] * 4


def test_the_identity_answers_every_step_and_is_bad_where_it_copies() -> None:
    probe, _ = plane(20, 3)
    same = replace(probe, composition=model(nn.Identity(), nn.Identity()))
    found = sensitivity(same, 20)
    assert (found.along, found.across) == (pytest.approx(1.0, rel=1e-3), pytest.approx(1.0, rel=1e-3))
    assert found.encoder == pytest.approx(math.sqrt(20), rel=1e-3)
    assert balance_verdict(found).level == "note"
    assert balance_verdict(found, copies=True).level == "bad"


def test_balance_thresholds() -> None:
    assert balance_verdict(Sensitivity(1.0, 0.89, 1.0)).level == "good"
    assert balance_verdict(Sensitivity(1.0, 0.91, 1.0)).level == "note"
    assert balance_verdict(Sensitivity(0.89, 0.89, 1.0), copies=True).level == "note"
    little = balance_verdict(Sensitivity(0.19, 0.01, 1.0))
    assert (little.level, "answers little" in little.sentence) == ("note", True)
    assert balance_verdict(Sensitivity(why="there is one column")).sentence == "Does not apply: there is one column."


def test_a_memory_of_rows_attracts_whatever_comes() -> None:
    probe, _ = plane(8, 5, n=40)
    found = attraction(replace(probe, composition=model(nn.Identity(), Nearest(probe.x[:20]))))
    assert (found.at_rest, found.at_rows) == (1.0, 1.0)
    assert found.ends == found.rows <= 20
    assert attractors_verdict(found, 40).level == "bad"
    projection = attraction(probe)
    assert projection.at_rest == 1.0  # of a projection, at once: but at no row
    assert projection.at_rows < 0.1
    assert attractors_verdict(projection, 40).level == "good"


def test_what_attractors_cannot_tell() -> None:
    probe, _ = plane(8, 5, n=40)
    cases = {
        "the rows given do not vary": probe.x[:1].expand(5, -1),
        "many rows are equal, so that ending at one of them proves nothing": probe.x[:20].repeat(2, 1),
    }
    for why, x in cases.items():
        found = attraction(replace(probe, x=x))
        assert found.why == why
        assert attractors_verdict(found, len(x)).level == "good"
    mixed = replace(probe, layout=Layout((8,), ("column",), (Column("category", 8), *[Column()] * 7)))
    assert "levels" in attraction(mixed).why
    assert "levels" in sensitivity(mixed, 2).why


def test_attractor_thresholds() -> None:
    some = Attraction(128, 1.0, 0.49, 9, 5)
    assert attractors_verdict(some, 100).level == "note"
    assert attractors_verdict(replace(some, at_rows=0.51), 100).level == "bad"
    assert attractors_verdict(replace(some, at_rows=0.09), 100).level == "good"
    assert (
        attractors_verdict(replace(some, at_rows=1.0, rows=2), 100).level == "good"
    )  # one place, near a row by chance
    assert attractors_verdict(replace(some, at_rows=1.0, rows=2), 2).level == "bad"
    assert apart(torch.tensor([[0.0], [0.1], [1.0], [1.05], [3.0]]), 0.2) == 3


def test_rows_that_stand_alone_are_found_and_judged() -> None:
    probe, _ = plane(20, 3, noise=0.05)
    noise = 2 * torch.randn(10, 20, generator=torch.Generator().manual_seed(1))
    probe = replace(probe, x=torch.cat([probe.x, noise]))
    errors = probe.evaluate()[1].mean(1)
    honest = lone_rows(probe, errors, 3)
    assert honest.rows >= 10
    assert honest.quotient == pytest.approx(1.0, abs=0.25)  # as PCA of the others
    known = lone_rows(probe, torch.full_like(errors, 1e-4), 3)
    assert known.quotient < 0.01
    assert lone_verdict(honest, 0.1, copies=False, memorises="bad").level == "good"
    levels = [lone_verdict(known, 0.1, copies=False, memorises=level).level for level in ("good", "note", "bad")]
    assert levels == ["good", "note", "bad"]
    assert lone_verdict(known, 0.1, copies=True, memorises="bad").level == "good"
    assert lone_verdict(known, 0.6, copies=False, memorises="bad").level == "good"
    assert lone_verdict(Lone(2), 0.1, copies=False, memorises="bad").level == "good"


def test_codes_of_a_linear_model_have_the_neighbours_of_pca() -> None:
    probe, _ = plane(12, 2, n=100, noise=0.01)
    codes = probe.codes(probe.x).numpy()
    labels = (codes[:, 0] > 0).astype(int)
    found = neighbours(probe, codes, labels)
    assert found.trustworthiness == pytest.approx(found.pca_trustworthiness, abs=0.01)
    assert found.accuracy > 0.9
    assert math.isnan(neighbours(probe, codes).accuracy)
    assert math.isnan(neighbours(replace(probe, x=probe.x[:11]), codes[:11]).trustworthiness)
    assert neighbours_verdict(found, 2, 12).level == "good"
    drawn = np.random.default_rng(0).normal(size=codes.shape)
    assert neighbours_verdict(neighbours(probe, drawn), 2, 12).level == "note"


def test_labels_that_name_groups() -> None:
    assert are_categories(np.array(["a", "b"] * 4))
    assert are_categories(np.array([1.0, 2.0] * 4))
    assert not are_categories(np.array([1.5, 2.0] * 4))
    assert not are_categories(np.array(["a"] * 8))
    assert not are_categories(np.arange(8))


def test_numbering_thresholds() -> None:
    kept = Neighbours(100, 0.74, 0.7, math.nan, 0.6, 0.6, math.nan, pca_lost=0.51)
    assert numbering_verdict(RECORD, kept, 0.049).level == "bad"
    assert numbering_verdict(RECORD, kept, 0.051).level == "good"
    assert numbering_verdict(RECORD, replace(kept, pca_lost=0.49), 0.049).level == "good"
    assert numbering_verdict(RECORD, replace(kept, trustworthiness=0.76), 0.049).level == "good"
    assert numbering_verdict(RECORD, replace(kept, trustworthiness=0.76, pca_trustworthiness=0.77), 0.04).level == "bad"
    learnt = replace(RECORD, train_error=0.049, held_out_error=0.61)
    found = numbering_verdict(learnt, replace(kept, pca_lost=math.nan), math.nan)
    assert (found.level, found.figure) == ("bad", pytest.approx(0.049))
    assert found.sentence.startswith("The code (1 unit) numbers its 900 training rows rather than describe them")
    assert numbering_verdict(replace(learnt, held_out_error=0.59), kept, 1.0).level == "good"


def test_activity_of_sparse_codes() -> None:
    generator = np.random.default_rng(0)
    codes = np.where(generator.random((500, 40)) < 0.1, generator.random((500, 40)), 0)
    assert activity_verdict(activity(codes), 500).level == "good"
    assert activity_verdict(activity(generator.normal(size=(500, 40))), 500).sentence.startswith(
        "The code is not sparse"
    )
    codes[:, :9] = 0
    assert activity_verdict(activity(codes), 500).level == "note"
    codes[:, :10] = 0
    dead = activity_verdict(activity(codes), 500)
    assert dead.level == "bad"
    assert "10 of 40 units are active in no row, 0 are active in every row" in dead.sentence
    codes[:, :10] = np.where(np.arange(10) < 4, 1, codes[:, 10:20])
    always = activity_verdict(activity(codes), 500)
    assert (always.level, "4 are active in every row" in always.sentence) == ("bad", True)
    few = activity(codes[:50])
    assert activity_verdict(few, 50).sentence.endswith("which 50 rows cannot prove.")
    assert dead_verdict(Unused(tuple(range(30))), 40, 50, few).level == "note"


def test_copying_says_what_to_do() -> None:
    found = copying_verdict(0.0, 1.0, 0.0, 0.0, 1.0, size=64, features=30)
    assert found.sentence.startswith("The code copies its input (64 units for 30 columns)")
    assert found.advice == "code_size <= 10, or the kind 'sparse' or 'denoising'."
    more = ("a larger penalty weight",)
    penalised = copying_verdict(0.0, 1.0, 0.0, 0.0, 1.0, size=64, features=30, restrain=more)
    assert penalised.advice == "a larger penalty weight, code_size <= 10, or the kind 'denoising'."


def test_conditions_go_with_their_rows() -> None:
    layout = Layout((3,), ("column",))
    x, given = torch.zeros(600, 3), torch.arange(600.0)[:, None].expand(-1, 3)
    probe = Probe(model(nn.Identity(), Shifted()), layout, x, given)
    assert torch.equal(probe.rebuilt(x), given)
    assert torch.equal(probe.rebuilt(x[:2], torch.tensor([7, 9])), given[[7, 9]])
    found = diagnose(probe.composition, layout, x + torch.randn(600, 3), RECORD, given=given)
    assert found.figures["scaled_rmse"] == pytest.approx(math.sqrt(float((torch.arange(600.0) ** 2).mean())), rel=1e-4)


def test_losses_of_counts_are_only_compared_with_pca_in_words() -> None:
    probe, basis = plane(10, 1)
    worse = replace(RECORD, train_error=0.9, held_out_error=0.95)
    levels = []
    for loss in (Squared(1.0), Counts(), Cosine()):
        found = diagnose(model(linear(basis.T), linear(basis), loss), probe.layout, probe.x, worse)
        levels.append([found[name].level for name in ("PCA", "underfitting")])
    assert levels == [["bad", "bad"], ["note", "note"], ["note", "note"]]
    assert found["PCA"].sentence.endswith("Its loss makes another figure small, so that this is no more than a hint.")


def test_noise_never_invents_a_category() -> None:
    x = torch.tensor([[0.0, 0.5], [2.0, 1.5], [5.0, 2.5]])
    shuffled, noise = structureless(x, Layout((2,), ("column",), (Column("category", 8), Column())))
    assert sorted(noise[:, 0].tolist()) == sorted(shuffled[:, 0].tolist()) == [0.0, 2.0, 5.0]
    assert not set(noise[:, 1].tolist()) & {0.5, 1.5, 2.5}


def test_counts_take_no_small_steps() -> None:
    probe, basis = plane(10, 3)
    found = sensitivity(replace(probe, composition=model(linear(basis.T), linear(basis), Counts())), 3)
    assert balance_verdict(found).sentence == "Does not apply: counts take no small steps."
    assert balance_verdict(found).level == "good"


def test_balance_says_what_is_good_and_advises_what_there_is() -> None:
    good = balance_verdict(Sensitivity(0.86, 0.58, 1.0))
    assert good.sentence == (
        "Sensitive to what sets rows apart, less so to the rest: it passes on 86 % of a small step along the data, "
        "towards near rows, and 58 % of one across them; the further apart the better."
    )
    alike, held = Sensitivity(0.7, 0.7, 1.0), Restraint(("less corruption",), ("more corruption",))
    last = "a smaller code_size, unless columns have nothing in common."
    assert balance_verdict(alike).advice == f"the kind 'denoising', or {last}"
    assert balance_verdict(alike, held=held).advice == f"more corruption, or {last}"
    assert balance_verdict(alike, learnt=False, held=held).advice == ""
    # Nothing is passed on: not that too much is, whichever direction fares better.
    collapsed = balance_verdict(Sensitivity(0.01, 0.02, 1.0), held=held)
    assert collapsed.advice == "less corruption, or a larger code_size, if such differences matter."


def test_a_unit_is_idle_where_moving_it_changes_nothing() -> None:
    probe, basis = plane(20, 4)
    decoder = basis * torch.tensor([1.0, 0.5, 0.01, 0.0])
    probe = replace(probe, composition=model(linear(basis.T), linear(decoder)))
    codes = probe.codes(probe.x)
    # Of a linear decoder: the variance of the unit times the mean squared weight.
    expected = codes.var(0, correction=0) * decoder.square().mean(0)
    moved = influence(probe, codes, [0, 1, 2, 3])
    assert list(moved.values()) == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-12)
    found = unused_units(probe, codes, [0, 1, 2, 3])
    assert (found.dead, found.idle) == ((), (2, 3))
    assert found.moved == pytest.approx(float(expected[2]) / probe.variance, rel=1e-3)
    assert dead_verdict(found, 4, 400).level == "bad"
    assert dead_verdict(found, 4, 400).advice == "a smaller code_size."
    codes[:, 1] = 3.0
    assert unused_units(probe, codes, [0, 1, 3]) == Unused((1,), (3,), 0.0)


def test_units_zeroed_on_purpose_are_not_dead() -> None:
    probe, basis = plane(20, 4)
    zeroed = compose(linear(basis.T), Zeroed((0, 2)), linear(basis), Squared(1.0))
    found = diagnose(zeroed, probe.layout, probe.x, RECORD)
    assert found["dead units"].level == "good"
    assert found["dead units"].sentence == "All 2 code units are in use, beside 2 zeroed on purpose."
    assert found.figures["dead_units"] == found.figures["never_active"] == 0
    with torch.no_grad():
        zeroed.encoder.module.weight[1] = 0
    half = diagnose(zeroed, probe.layout, probe.x, RECORD)["dead units"]
    assert (half.level, half.advice) == ("bad", "a smaller code_size.")
    assert half.sentence == "1 of 2 code units are the same for every row (counted from 0: 1)."


def test_what_restrains_a_composition() -> None:
    def of(bottleneck: object = Plain(), **parts: object) -> Restraint:
        return restraint(compose(nn.Linear(4, 3), bottleneck, nn.Linear(3, 4), Squared(1.0), **parts))

    assert of() == of(penalties=(WeightDecay(),)) == Restraint()
    assert not of()
    both = of(penalties=(L1(0.1),), corruption=Mask(0.4))
    assert both.less == ("a lower penalty weight", "less corruption")
    assert both.more == ("a larger penalty weight", "more corruption")
    assert of(TopK(2)).less == of(BatchTopK(2)).less == ("a larger k",)
    assert of(JumpReLU().build(Site(code_size=3))).more == ("a higher price",)
    nested = of(Zeroed((2,), Zeroed((0,), TopK(1))))
    assert (nested.more, nested.zeroed) == (("a smaller k",), (0, 2))
    assert either("a", "b", "c") == "a, b, or c."


def test_a_difference_in_neighbours_must_matter_and_be_certain() -> None:
    kept = Neighbours(100, 0.74, 0.7, math.nan, 0.76, 0.72, math.nan, behind=0.021, spread=0.005)
    found = neighbours_verdict(kept, 2, 10)
    assert (found.level, found.advice) == ("note", "the kind 'linear', or a larger code_size.")
    less = neighbours_verdict(kept, 2, 10, loosen=("less corruption",))
    assert less.advice == "the kind 'linear', less corruption, or a larger code_size."
    assert neighbours_verdict(kept, 10, 10).advice == ""
    assert neighbours_verdict(replace(kept, behind=0.019), 2, 10).level == "good"
    assert neighbours_verdict(replace(kept, spread=0.011), 2, 10).level == "good"
    idle = neighbours_verdict(replace(kept, behind=0.0), 2, 10, lost=0.96)
    assert (idle.level, "rebuilds hardly anything" in idle.sentence) == ("note", True)
    assert neighbours_verdict(replace(kept, behind=0.0), 2, 10, lost=0.94).level == "good"


def test_what_rows_with_near_codes_tell() -> None:
    generator = np.random.default_rng(0)
    place = np.sort(generator.random(200))[:, None]
    curve = np.concatenate([np.cos(6 * place), np.sin(6 * place)], axis=1)
    assert lost_of_near(curve, place) < 0.01
    noise = generator.normal(size=(200, 5))
    assert lost_of_near(noise, place) == pytest.approx(1.1, abs=0.07)  # the mean of 10 others: 1 + 1/10
    assert lost_of_near(np.array([[0.0], [1.0], [4.0]]), np.array([[0.0], [1.0], [3.0]])) == pytest.approx(
        min(1 + 1 + 9, 2.5**2 + 1 + 3.5**2) / 3 / np.var([0, 1, 4])
    )


def test_a_code_of_noise_is_numbered_without_held_out_rows() -> None:
    alone = replace(RECORD, held_out_rows=0, held_out_error=math.nan)
    kept = Neighbours(30, 0.74, 0.72, math.nan, 0.7, 0.75, math.nan, pca_lost=0.8, near_lost=0.85)
    found = numbering_verdict(alone, kept, 0.47)
    assert (found.level, found.figure) == ("bad", 0.85)
    assert "rows with near codes have so little in common that their mean would lose 85 %" in found.sentence
    assert numbering_verdict(alone, kept, 0.49).level == "good"  # not so much better than PCA
    assert numbering_verdict(alone, replace(kept, near_lost=0.79), 0.47).level == "good"  # near codes, near rows
    assert numbering_verdict(alone, replace(kept, pca_lost=0.49), 0.2).level == "good"  # not so narrow a code
    assert numbering_verdict(alone, kept, 0.47, told=True).level == "good"
    assert numbering_verdict(RECORD, kept, 0.47).level == "good"  # held-out rows fare as well
