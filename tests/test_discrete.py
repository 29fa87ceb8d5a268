"""Discrete codes: books, levels, bits and classes."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import test_laws
import torch
from checks_for_kinds import FEATURES, LAYOUT, Case, descend, generator, same_tensors, training_pass
from torch import Tensor

import isthmus as ist
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.likelihood import log_likelihood
from isthmus.parts.bottlenecks.binary import Binary
from isthmus.parts.bottlenecks.book import Book
from isthmus.parts.bottlenecks.categorical import GumbelSoftmax
from isthmus.parts.bottlenecks.codebook import Codebook
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.bottlenecks.quantised import Quantised
from isthmus.parts.bottlenecks.residual import ResidualCodebook
from isthmus.parts.distributions.discrete import Bits, OneOfEach, classes_in
from isthmus.parts.networks.dense import Dense
from isthmus.parts.priors.discrete import FairBits, UniformCategories
from isthmus.parts.schedules import Ramp
from isthmus.recipes import Parts
from isthmus.records import Batch, Context, Pass, Site, from_json, to_json

NETWORK = Dense(hidden=(16,))
PLAIN = Context(shape=(FEATURES,))

BOTTLENECKS: dict[str, Any] = {
    "codebook": Codebook(entries=16),
    "residual": ResidualCodebook(2, Codebook(entries=8)),
    "finite scalar": FiniteScalar((8, 5)),
    "binary": Binary(),
    "categorical": GumbelSoftmax(),
}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def built(description: Any, code_size: int = 6) -> Any:
    """The part, ready for float64 codes."""
    return description.build(Site(code_size=code_size)).double() if hasattr(description, "build") else description


def a_composition(description: Any, seed: int = 0) -> Composition:
    return Parts(network=NETWORK, bottleneck=description).build(LAYOUT, 6, generator(seed)).double().train()


def a_batch(rows: int = 24) -> Batch:
    return Case("undercomplete").batch(rows)


def one_step(module: Quantised, hidden: Tensor, row_weight: Tensor | None = None, source: Any = None) -> None:
    """What `after_step` makes of a batch whose encoder emitted ``hidden``."""
    code = module(hidden, PLAIN)
    batch = Batch(torch.zeros(len(hidden), FEATURES), LAYOUT, row_weight=row_weight)

    @dataclass
    class Step:
        batch: Batch
        hidden: Tensor
        code: Any
        pass_: Pass

    with torch.no_grad():
        module.after_step(Step(batch, hidden, code, Pass(source, training=True)), {})  # type: ignore[arg-type]


# Laws


@dataclass(frozen=True)
class TriedCase(Case):
    """A case of parts that need have no name among the recipes."""

    @property
    def parts(self) -> Parts:
        return Parts(network=NETWORK, bottleneck=BOTTLENECKS[self.kind])


@pytest.mark.parametrize("law", [law for law in test_laws.LAWS if law not in ("cloning", "json_round_trip")])
@pytest.mark.parametrize("name", BOTTLENECKS)
def test_law(name: str, law: str) -> None:
    test_laws.LAWS[law](TriedCase(name))


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_parts_are_json_and_copies_compute_the_same(name: str) -> None:
    part = BOTTLENECKS[name]
    assert from_json(json.loads(json.dumps(to_json(part)))) == part
    composition, batch = a_composition(part), a_batch()
    composition.start(batch)
    descend(composition, batch, 3)
    twin = copy.deepcopy(composition)
    first, second = descend(composition, batch, 3), descend(twin, batch, 3)
    assert first == second
    assert same_tensors(composition.state_dict(), twin.state_dict())


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_what_the_decoder_reads_is_the_point_where_nothing_is_drawn(name: str) -> None:
    composition, batch = a_composition(BOTTLENECKS[name]), a_batch()
    descend(composition, batch, 2)
    code = composition.eval().trace(batch).code
    assert torch.equal(code.z, code.point)
    assert torch.equal(composition.z_of(code.point), code.point)
    assert code.index.dtype == torch.int64
    assert code.index.shape[0] == len(batch)
    snapped = composition.z_of(drawn(24, 6))
    assert torch.equal(composition.z_of(snapped), snapped)


# Books


def test_the_nearest_entry_is_chosen() -> None:
    module = built(Codebook(entries=32, width=3))
    hidden = drawn(50, 6)
    code = module(hidden, PLAIN)
    entries = module.books[0].entries
    distance = (hidden.reshape(50, 2, 1, 3) - entries).square().sum(-1)
    assert torch.equal(code.index, distance.argmin(-1))
    assert torch.equal(code.point, entries[distance.argmin(-1)].reshape(50, 6))
    expected = 2 * math.log(32) + 0.7 * distance.amin(-1).sum(1) / entries.square().mean()
    priced = built(Codebook(entries=32, width=3, commitment=0.7))
    torch.testing.assert_close(priced(hidden, PLAIN).cost, expected)


def test_the_decoders_gradient_reaches_the_encoder_as_it_is() -> None:
    module, slope = built(Codebook(entries=4, width=2, commitment=3.0)), drawn(5, 6, seed=1)
    hidden = drawn(5, 6).requires_grad_()
    code = module(hidden, PLAIN)
    assert torch.equal(torch.autograd.grad((code.z * slope).sum(), hidden)[0], slope)
    (pull,) = torch.autograd.grad(module(hidden, PLAIN).cost.sum(), hidden)
    torch.testing.assert_close(pull, 6 * (hidden.detach() - code.point) / module.books[0].entries.square().mean())


def test_entries_are_running_means() -> None:
    """The paper's two sums, counted and added up by hand: e = m / N with m and N moved alike."""
    module = built(Codebook(entries=8, width=3, decay=0.9, revive=0.0))
    book = module.books[0]
    counts, sums = book.usage.clone(), book.usage[:, None] * book.entries
    for seed in range(4):
        hidden = drawn(20, 6, seed=seed)
        index, vectors = module(hidden, PLAIN).index.flatten(), hidden.reshape(40, 3)
        one_step(module, hidden)
        for entry in range(8):
            mine = vectors[index == entry]
            counts[entry] = 0.9 * counts[entry] + 0.1 * len(mine) / 40
            sums[entry] = 0.9 * sums[entry] + 0.1 * mine.sum(0) / 40
        torch.testing.assert_close(book.usage, counts, rtol=1e-12, atol=0)
        torch.testing.assert_close(book.entries, sums / counts[:, None], rtol=1e-11, atol=1e-13)
    assert float(module.usage.sum()) == pytest.approx(1)


def test_a_row_weight_counts_in_the_means() -> None:
    hidden = drawn(3, 6)
    weighted, listed = built(Codebook(entries=2, revive=0.0)), built(Codebook(entries=2, revive=0.0))
    one_step(weighted, hidden, torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
    one_step(listed, hidden[[0, 0, 1]])
    torch.testing.assert_close(weighted.books[0].entries, listed.books[0].entries)
    before = copy.deepcopy(weighted.state_dict())
    one_step(weighted, hidden, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(weighted.books[0].entries, before["books.0.entries"])


def test_a_start_from_the_data_has_less_error() -> None:
    hidden = 5 + 3 * drawn(300, 6)

    def error(start: str) -> float:
        module = built(Codebook(entries=16, width=3, start=start))
        module.start(hidden, a_batch())
        return float((module(hidden, PLAIN).point - hidden).square().mean())

    assert error("data") < 0.2 * error("random")
    # And less than entries that are just rows: the steps of k-means count.
    rows = Book(16, 3, generator()).double()
    rows.entries.copy_(hidden.reshape(-1, 3)[:16])
    vectors = hidden.reshape(-1, 3)
    assert error("data") < 0.9 * float((rows.entries[rows.nearest(vectors)] - vectors).square().mean())


def test_a_start_from_fewer_vectors_than_entries() -> None:
    module, hidden = built(Codebook(entries=16, width=3)), drawn(2, 6)
    module.start(hidden, a_batch())
    torch.testing.assert_close(module(hidden, PLAIN).point, hidden)
    assert module.books[0].entries.isfinite().all()


def test_dead_entries_are_revived() -> None:
    """Entries far from every vector are put onto vectors, the same for the same seed, and none without one."""
    hidden = drawn(40, 6)

    def after(seed: int | None, revive: float = 0.1) -> Book:
        module = built(Codebook(entries=8, width=3, decay=0.5, revive=revive))
        module.books[0].entries[4:] += 100.0
        for _ in range(4):
            one_step(module, hidden, source=None if seed is None else generator(seed))
        return module.books[0]

    assert (after(None).entries[4:] > 50).all()
    assert (after(0, revive=0.0).entries[4:] > 50).all()
    revived = after(0)
    assert (revived.entries < 50).all()
    assert torch.equal(revived.entries, after(0).entries)
    assert not torch.equal(revived.entries, after(1).entries)
    vectors = hidden.reshape(-1, 3)
    assert all((vectors == entry).all(1).any() for entry in revived.entries[4:])
    torch.testing.assert_close(revived.usage[4:], torch.full((4,), 1 / 8, dtype=torch.float64))


def test_looking_changes_no_book() -> None:
    composition, batch = a_composition(Codebook(entries=16)), a_batch()
    before = copy.deepcopy(composition.state_dict())
    composition.trace(batch, training_pass())
    composition.eval().point_cost(batch)
    assert same_tensors(before, composition.state_dict())


def test_a_residual_codebook_of_one_level_is_a_codebook() -> None:
    one = a_composition(Codebook(entries=12, width=2))
    other = a_composition(ResidualCodebook(1, Codebook(entries=12, width=2)))
    for composition in (one, other):
        composition.start(a_batch(60))
    assert descend(one, a_batch(), 20) == descend(other, a_batch(), 20)
    assert same_tensors(one.state_dict(), other.state_dict())
    assert torch.equal(one.z_of(drawn(4, 6)), other.z_of(drawn(4, 6)))


def test_every_level_quantises_what_is_left() -> None:
    module, hidden = built(ResidualCodebook(3, Codebook(entries=16, width=3))), drawn(200, 6)
    module.start(hidden, a_batch())
    code = module(hidden, PLAIN)
    assert code.index.shape == (200, 6)
    numbers, rest = code.index.reshape(-1, 3), hidden.reshape(-1, 3)
    errors = [float(rest.square().mean())]
    for level, book in enumerate(module.books):
        assert torch.equal(numbers[:, level], book.nearest(rest))
        rest = rest - book.entries[numbers[:, level]]
        errors.append(float(rest.square().mean()))
    torch.testing.assert_close(hidden - code.point, rest.reshape(200, 6))
    assert all(after < 0.5 * before for before, after in itertools.pairwise(errors))
    before = copy.deepcopy(module)
    one_step(module, hidden)
    second = Book(16, 3, generator()).double()
    second.load_state_dict(before.books[1].state_dict())
    left = (hidden.reshape(-1, 3) - before.books[0].entries[numbers[:, 0]]).detach()
    second.follow(left, numbers[:, 1], torch.ones(400, dtype=torch.float64), decay=0.95)
    torch.testing.assert_close(module.books[1].entries, second.entries)


def test_the_width_of_a_symbol_follows_from_the_code() -> None:
    def symbols(part: Any, code_size: int) -> int:
        return part.build(Site(code_size=code_size)).symbol

    assert [symbols(Codebook(), size) for size in (32, 30, 10, 7, 1)] == [4, 3, 2, 1, 1]
    assert [symbols(ResidualCodebook(2), size) for size in (32, 30, 10, 7, 1)] == [8, 6, 5, 7, 1]
    assert symbols(ResidualCodebook(1), 32) == 4


# Levels


def test_units_are_rounded_to_their_levels() -> None:
    part, hidden = FiniteScalar((2, 5)), 3 * drawn(500, 4)
    code = part(hidden, PLAIN)
    for unit, levels in enumerate((2, 5, 2, 5)):
        places = torch.linspace(-1, 1, levels, dtype=torch.float64)
        assert torch.equal(code.index[:, unit].unique(), torch.arange(levels))
        nearest = (torch.tanh(hidden[:, unit, None]) - places).abs().argmin(1)
        assert torch.equal(code.index[:, unit], nearest)
        torch.testing.assert_close(code.z[:, unit], places[nearest])
    assert code.cost.tolist() == pytest.approx([2 * math.log(2) + 2 * math.log(5)] * 500)


def test_rounding_hands_the_gradient_on() -> None:
    hidden, slope = drawn(5, 4).requires_grad_(), drawn(5, 4, seed=1)
    z = FiniteScalar(4)(hidden, PLAIN).z
    found = torch.autograd.grad((z * slope).sum(), hidden)[0]
    torch.testing.assert_close(found, slope * (1 - torch.tanh(hidden.detach()).square()))


# Bits and classes


def test_bits_are_what_torch_says() -> None:
    logits, z = 3 * drawn(7, 4), (drawn(2, 7, 4, seed=1) > 0).double()
    posterior, theirs = Bits(logits), torch.distributions.Bernoulli(logits=logits)
    fair = torch.distributions.Bernoulli(torch.full_like(logits, 0.5))
    torch.testing.assert_close(posterior.divergence(), torch.distributions.kl_divergence(theirs, fair))
    torch.testing.assert_close(Binary()(logits, PLAIN).cost, torch.distributions.kl_divergence(theirs, fair).sum(1))
    torch.testing.assert_close(posterior.entropy(), theirs.entropy().sum(1))
    torch.testing.assert_close(posterior.log_prob(z), theirs.log_prob(z).sum(-1))
    torch.testing.assert_close(FairBits().log_prob(z), fair.log_prob(z).sum(-1))
    assert Bits(torch.tensor([[60.0, -60.0]])).divergence()[0].tolist() == pytest.approx([math.log(2)] * 2)


def test_classes_are_what_torch_says() -> None:
    logits, chosen = 3 * drawn(7, 6), torch.nn.functional.one_hot(torch.randint(3, (2, 7, 2), generator=generator()), 3)
    groups, z = logits.reshape(7, 2, 3), chosen.double()
    posterior, theirs = OneOfEach(groups), torch.distributions.OneHotCategorical(logits=groups)
    even = torch.distributions.OneHotCategorical(logits=torch.zeros_like(groups))
    divergence = torch.distributions.kl_divergence(theirs, even)
    torch.testing.assert_close(posterior.divergence(), divergence)
    torch.testing.assert_close(GumbelSoftmax(3)(logits, PLAIN).cost, divergence.sum(1))
    torch.testing.assert_close(posterior.entropy(), theirs.entropy().sum(1))
    torch.testing.assert_close(posterior.log_prob(z.flatten(2)), theirs.log_prob(z).sum(-1))
    torch.testing.assert_close(UniformCategories(3).log_prob(z.flatten(2)), even.log_prob(z).sum(-1))


def frequencies() -> Iterator[Any]:
    logits = torch.tensor([[1.0, -0.5, 0.0, 2.0]])
    yield Bits(logits), Bits(logits).mean
    yield OneOfEach(logits.reshape(1, 2, 2)), OneOfEach(logits.reshape(1, 2, 2)).mean


@pytest.mark.parametrize(("posterior", "mean"), list(frequencies()), ids=("bits", "classes"))
def test_draws_have_the_right_frequencies(posterior: Any, mean: Tensor) -> None:
    drawn = posterior.sample(20_000, generator())
    assert torch.equal(drawn, drawn.round())
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.012, rtol=0)  # 3.4 standard errors
    assert torch.equal(drawn[:9], posterior.sample(20_000, generator())[:9])


def test_a_relaxed_draw_tends_to_the_draw_of_the_same_noise() -> None:
    posterior = OneOfEach(drawn(50, 2, 3))
    hard = posterior.sample(1, generator(4))[0]
    torch.testing.assert_close(posterior.relaxed(1e-3, generator(4)), hard, atol=1e-3, rtol=0)
    soft = posterior.relaxed(5.0, generator(4))
    assert float(soft.max()) < 0.95
    assert torch.equal(soft.reshape(50, 2, 3).argmax(-1), hard.reshape(50, 2, 3).argmax(-1))


def test_classes_are_relaxed_in_training_only() -> None:
    part, hidden = GumbelSoftmax(3, Ramp(2.0, 0.1, epochs=5)), drawn(20, 6)
    context = {epoch: replace(PLAIN, pass_=training_pass(1, epoch)) for epoch in (0.0, 5.0)}
    warm, cold = (part(hidden, context[epoch]).z for epoch in (0.0, 5.0))
    torch.testing.assert_close(warm, OneOfEach(hidden.reshape(20, 2, 3)).relaxed(2.0, generator(1)))
    torch.testing.assert_close(cold, OneOfEach(hidden.reshape(20, 2, 3)).relaxed(0.1, generator(1)))
    hard = part(hidden, replace(PLAIN, pass_=Pass(generator(1)))).z
    assert set(hard.flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(part(hidden, replace(PLAIN, pass_=Pass(training=True))).z, part(hidden, PLAIN).point)


def test_drawn_bits_hand_the_gradient_to_their_probabilities() -> None:
    hidden, slope = drawn(9, 4).requires_grad_(), drawn(9, 4, seed=1)
    code = Binary()(hidden, replace(PLAIN, pass_=training_pass()))
    assert torch.equal(code.z.detach(), Bits(hidden.detach()).sample(1, generator())[0])
    p = torch.sigmoid(hidden.detach())
    found = torch.autograd.grad((code.z * slope).sum(), hidden)[0]
    torch.testing.assert_close(found, slope * p * (1 - p))
    assert torch.equal(code.point, (p > 0.5).double())


@pytest.mark.parametrize(("prior", "ones"), [(FairBits(), None), (UniformCategories(4), 3.0)])
def test_priors_can_be_drawn_from(prior: Any, ones: float | None) -> None:
    drawn = prior.sample(4000, 12, generator())
    assert drawn.shape == (4000, 12)
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}
    assert torch.allclose(drawn.mean(0), torch.full((12,), 0.5 if ones is None else 0.25), atol=0.03)
    assert ones is None or (drawn.sum(1) == ones).all()


@pytest.mark.parametrize("part", [Binary(), GumbelSoftmax(2)], ids=("bits", "classes"))
def test_importance_weights_find_the_likelihood(part: Any) -> None:
    """Of so few codes that all can be added up: p(x) = sum over codes of p(x | code) / codes."""
    composition, batch = a_composition(part), a_batch(5)
    descend(composition, batch, 30)
    composition.eval()
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 6)
    codes = bits[composition.z_of(bits).eq(bits).all(1)]
    context = composition.context(batch)
    losses = [composition.loss.cost(composition.decoder(code.expand(5, 6), context), batch.x) for code in codes]
    exact = torch.logsumexp(-torch.stack(losses), 0).detach() - math.log(len(codes))
    assert len(codes) == (64 if part == Binary() else 8)
    found, spread = log_likelihood(composition, batch, 4000, generator(), composition.prior)
    assert float(spread.max()) < 0.05
    torch.testing.assert_close(found, exact, atol=0.1, rtol=0)


def test_the_bottleneck_names_its_prior() -> None:
    assert Binary().prior == FairBits()
    assert GumbelSoftmax(4).prior == UniformCategories(4)
    assert [classes_in(size, None) for size in (2, 3, 11, 12, 20)] == [2, 3, 11, 6, 10]


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Codebook(entries=1), "entries must be a whole number >= 2; got 1"),
        (lambda: Codebook(width=0), "width must be a whole number >= 1; got 0"),
        (lambda: Codebook(commitment=-1.0), "commitment must be >= 0 and below inf; got -1.0"),
        (lambda: Codebook(decay=1.0), "decay must be >= 0 and below 1; got 1.0"),
        (lambda: Codebook(revive=2), "revive must be >= 0 and below 1; got 2"),
        (lambda: Codebook(start="zeros"), "start must be one of data, random; got 'zeros'"),
        (lambda: Codebook().build(), r"the code's size is not known here; name the width of a symbol: Codebook\(width"),
        (
            lambda: Codebook(width=4).build().width(6),
            "width=4 does not divide the code of 6 numbers; .* such as 3",
        ),
        (lambda: ResidualCodebook(0), "ResidualCodebook: levels must be a whole number >= 1; got 0"),
        (lambda: FiniteScalar(1), "FiniteScalar: levels must be whole numbers >= 2, .* got 1"),
        (lambda: FiniteScalar(()), r"FiniteScalar: levels must be whole numbers >= 2, .* got \(\)"),
        (lambda: GumbelSoftmax(1), "classes must be a whole number >= 2, or None; got 1"),
        (lambda: GumbelSoftmax(temperature=0.0), "temperature must be > 0, or a schedule; got 0.0"),
        (lambda: GumbelSoftmax(temperature=Ramp(1.0, 0.0, 5)), "temperature must be > 0, or a schedule; got Ramp"),
        (lambda: GumbelSoftmax(4).width(6), "a code of 6 numbers cannot be cut into groups of 4 classes; .*such as 8"),
        (lambda: GumbelSoftmax().width(1), "a code of 1 numbers cannot be cut into groups of 2 classes; .*such as 2"),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_the_book_is_used_and_worth_its_start() -> None:
    """On digits, one symbol of 16 numbers: the default uses nearly every entry, at a lower cost than a random book."""
    X = ist.data.digits()[0][:1000]

    def fitted(book: Codebook) -> tuple[int, float]:
        network = Dense(hidden=(64,))
        ae = ist.Autoencoder("undercomplete", code_size=16, bottleneck=book, network=network, epochs=40, random_state=0)
        ae.fit(X)
        return len(np.unique(ae.transform(X), axis=0)), -float(ae.score(X))

    used, cost = fitted(Codebook(64, width=16))
    neglected, dearer = fitted(Codebook(64, width=16, start="random", revive=0.0))
    assert used >= 58
    assert neglected < 40
    assert cost < dearer - 4
