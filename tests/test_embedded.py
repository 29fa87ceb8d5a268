"""Networks on mixed tables: what the entry makes of columns, and which kinds can be built on it."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import CODE_SIZE, MIXED, descend, generator, mixed_batch, same_tensors, training_pass

from isthmus.checkpoints import Plan
from isthmus.data import Scaling
from isthmus.data.sources import ArraySource
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.corruptions import BlindSpot, GaussianNoise, Mask, MaskPatches
from isthmus.parts.jacobian import closed_weight, frobenius, jacobian, rebuilding
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.columns import PerColumn
from isthmus.parts.losses.cosine import Cosine
from isthmus.parts.losses.counts import Multinomial, Poisson
from isthmus.parts.losses.robust import Huber
from isthmus.parts.losses.scaled import Absolute, Squared
from isthmus.parts.networks.convolutional import Convolutional
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.embedded import Embedded
from isthmus.parts.networks.entry import Entry, vector_size
from isthmus.parts.networks.modules import Modules
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.parts.penalties.contractive import Contractive
from isthmus.parts.penalties.smooth_decoder import SmoothDecoder
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.pretraining import Boltzmann, Greedy
from isthmus.parts.priors.vamp import Vamp
from isthmus.pretraining import autoencoder_at, pretrain, stack_of
from isthmus.recipes import RECIPES, Kind, Parts
from isthmus.records import Batch, Column, Context, Layout, Trace, from_json, to_json
from isthmus.training import Feed

PLAIN_NUMBER, HEAVY, COUNT, BINARY = Column(), Column("heavy"), Column("count"), Column("binary")


def an_entry(*columns: Column, dtype: torch.dtype = torch.float64) -> Entry:
    return Entry(columns, generator()).to(dtype)


def cells(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def build(kind: str | Parts = "undercomplete", layout: Layout = MIXED, **changes: Any) -> Any:
    parts = Kind(kind).parts() if isinstance(kind, str) else kind
    parts = replace(parts, **changes)
    size = CODE_SIZE if parts.code_share < 1 else 2 * layout.features
    return parts.build(layout, size, generator()).double().train()


# ---------------------------------------------------------------------- the entry


def test_every_kind_of_column_is_read_as_numbers_of_about_one_size() -> None:
    columns = (BINARY, Column("circular"), COUNT, PLAIN_NUMBER, Column("ordinal", 5), HEAVY, Column("category", 3))
    entry = an_entry(*columns)
    found = entry(cells(1, 0.25, math.e - 1, 0.7, 3, 100, 2))[0]
    # Columns of one number in the order of their kinds, then sine and cosine, the vector, and what is missing.
    expected = [1, 0.7, 0.5, math.asinh(100), 1, 1, 0]
    assert found[:7].tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(found[7:11], entry.vectors[0].weight[2])
    assert found[11:].tolist() == [0] * 7
    assert entry.width == len(found) == 18


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        (BINARY, 0.0, [-1.0]),
        (Column("ordinal", 4), 0.0, [-1.0]),
        (Column("ordinal", 4), 1.0, [-1 / 3]),
        (Column("ordinal", 1), 0.0, [0.0]),
        (COUNT, 0.0, [0.0]),
        (COUNT, -0.5, [0.0]),
        (HEAVY, 0.001, [0.001]),
        (Column("circular"), 0.5, [0.0, -1.0]),
        (Column("circular"), 0.0, [0.0, 1.0]),
    ],
    ids=repr,
)
def test_what_one_cell_is_read_as(column: Column, cell: float, expected: list[float]) -> None:
    assert an_entry(column)(cells(cell))[0, :-1].tolist() == pytest.approx(expected, abs=1e-6)


def test_categories_are_looked_up_by_level_and_column() -> None:
    """Columns whose vectors have one length share a table; each has its own part of it, and never another's."""
    columns = tuple(Column("category", levels) for levels in (3, 40, 5, 4))
    entry = an_entry(*columns)
    assert [(one.weight.shape, one.columns.tolist()) for one in entry.vectors] == [
        ((12, 4), [0, 2, 3]),
        ((40, 16), [1]),
    ]
    small, large = (one.weight for one in entry.vectors)
    for levels in ((0, 0, 0, 0), (2, 39, 4, 3), (1, 7, 2, 0)):
        found = entry(cells(*levels))[0]
        rows = [small[levels[0]], small[3 + levels[2]], small[8 + levels[3]], large[levels[1]]]
        assert torch.equal(found[:28], torch.cat(rows))
    # What no level has is that of other values, the last.
    assert torch.equal(entry(cells(99, 99, 99, 99)), entry(cells(2, 39, 4, 3)))
    assert torch.equal(entry(cells(-1, 0, 0, 0)), entry(cells(0, 0, 0, 0)))


def test_vectors_grow_slowly_with_the_levels() -> None:
    sizes = [vector_size(levels) for levels in range(1, 2000)]
    assert sizes == sorted(sizes)
    assert set(sizes) == {2, 4, 8, 16, 32}
    assert all(size >= min(32, 1.6 * levels**0.56) for levels, size in zip(range(1, 2000), sizes, strict=True))


@pytest.mark.parametrize("garbage", [0.0, 3.0, -7.5, math.inf, -math.inf, math.nan, 1e30])
def test_unknown_cells_are_zeros_whatever_they_hold(garbage: float) -> None:
    columns = (*MIXED.columns, Column("circular"))
    entry = an_entry(*columns)
    with torch.no_grad():
        entry.gain.copy_(torch.arange(1.0, 8.0))
    x = torch.full((7, 7), garbage, dtype=torch.float64, requires_grad=True)
    known = torch.zeros(7, 7, dtype=torch.bool)
    found = entry(x, known)
    assert torch.equal(found[:, :-7], torch.zeros_like(found[:, :-7]))
    assert torch.equal(found[:, -7:], torch.arange(1.0, 8.0).double().expand(7, 7))
    gradients = torch.autograd.grad(found.sum(), [x, *entry.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[0].any()
    assert not any(one.any() for name, one in zip(dict(entry.named_parameters()), gradients[1:], strict=True)
                   if name != "gain")  # fmt: skip


def test_missing_inputs_start_at_nothing_and_are_learned() -> None:
    entry = an_entry(PLAIN_NUMBER, BINARY)
    known = torch.tensor([[True, False]])
    found = entry(cells(0.5, 1.0), known)
    assert found.tolist() == [[0.5, 0.0, 0.0, 0.0]]
    (gradient,) = torch.autograd.grad((found * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum(), entry.gain)
    assert gradient.tolist() == [0.0, 4.0]


def test_all_known_is_as_none_hidden() -> None:
    batch = mixed_batch(9)
    entry = an_entry(*MIXED.columns)
    assert torch.equal(entry(batch.x), entry(batch.x, torch.ones_like(batch.x, dtype=torch.bool)))


def test_the_generator_draws_the_vectors() -> None:
    entries = [Entry((Column("category", 900),), generator(seed)) for seed in (0, 0, 1)]
    first, again, other = (entry.vectors[0].weight for entry in entries)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.square().sum(1).mean().item() == pytest.approx(1, rel=0.02)


def test_large_levels_are_exact_in_float32() -> None:
    """100,000 levels, each a whole number that float32 holds."""
    entry = an_entry(Column("category", 100_000), dtype=torch.float32)
    level = torch.tensor([[0.0], [65_537.0], [99_999.0]])
    assert torch.equal(entry(level)[:, :32], entry.vectors[0].weight[[0, 65_537, 99_999]])


def test_a_table_of_one_kind_alone() -> None:
    for column in (*MIXED.columns, Column("circular")):
        entry = an_entry(column, column)
        assert entry(torch.ones(3, 2, dtype=torch.float64)).shape == (3, entry.width)


# ---------------------------------------------------------------------- the network


def test_widths_follow_from_the_entry_and_outputs_from_the_loss() -> None:
    composition = build(Parts(network=Dense((2.0, 3))))
    width = composition.encoder.entry.width
    assert width == 5 + 4 + 6
    assert composition.encoder.inner.network.hidden == (64, 3)  # widths that are multiples are 64 at least
    assert composition.encoder.inner.inputs == width
    assert composition.decoder.out_size == composition.loss.width(6)
    wide = Layout((40,), ("column",), (Column("category", 50),) * 40)
    hidden = build(Parts(network=Dense((1.0,))), wide).encoder.inner.network.hidden
    assert hidden == (40 * 16 + 40,)


def test_the_decoder_gives_a_flat_output() -> None:
    composition = build()
    out = composition.trace(mixed_batch(5)).out
    assert out.shape == (5, composition.loss.width(6))


def test_state_dict_holds_what_is_learned_and_nothing_of_the_layout() -> None:
    composition = build()
    names = [name for name in composition.state_dict() if name.startswith("encoder.entry")]
    assert names == ["encoder.entry.gain", "encoder.entry.vectors.0.weight"]


def test_a_description_is_json_data() -> None:
    network = Embedded(Dense((8,), norm="layer"))
    assert from_json(json.loads(json.dumps(to_json(network)))) == network
    assert repr(network) == "Embedded(network=Dense(hidden=(8,), norm='layer'))"


@pytest.mark.parametrize("network", [Convolutional((4, 5)), Recurrent(8)], ids=lambda network: type(network).__name__)
def test_networks_of_neighbours_are_refused(network: Any) -> None:
    with pytest.raises(InputError, match=r"network: \w+ reads neighbouring pixels or steps, .* Use network=ist.Dense"):
        build(Parts(network=network))


def test_outputs_of_another_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"Dense: output_activation must be 'identity' on a mixed table.*'bounded'"):
        build(Parts(network=Dense((8,), output_activation="bounded")))
    with pytest.raises(InputError, match="Embedded: it reads mixed tables"):
        Embedded(Dense()).build(Layout((3,), ("column",)), 2, 2, 3, generator())


def test_a_module_of_ones_own_reads_the_entry() -> None:
    width = an_entry(*MIXED.columns).width
    composition = build(Parts(network=Modules(torch.nn.Linear(width, 7))))
    assert composition.represent(mixed_batch(4)).shape == (4, CODE_SIZE)


def test_tied_networks_keep_the_length_of_their_weights() -> None:
    """Where codes get smaller by a smaller filter, what the decoder adds for them gets smaller as well."""
    composition = build(Parts(network=Dense((), tied=True)))
    encoder, atoms = composition.encoder.inner, composition.decoder.inner.linear[0]
    z = torch.eye(CODE_SIZE, dtype=torch.float64)
    lengths = encoder.weight(0).norm(dim=1)
    torch.testing.assert_close((atoms(z) - atoms.bias).norm(dim=1), lengths)
    before = atoms(z) - atoms.bias
    with torch.no_grad():
        encoder.weight(0).mul_(0.5)
        atoms.weight.mul_(7.0)
    torch.testing.assert_close(atoms(z) - atoms.bias, before / 2)
    # A copy reads the copied encoder.
    other = copy.deepcopy(composition)
    assert other.decoder.inner.linear[0].mirror[0] is other.encoder.inner
    # With several layers, the decoder has weights of its own.
    deep = build(Parts(network=Dense((9,), tied=True)))
    assert type(deep.decoder.inner.linear[-1]) is torch.nn.Linear


def test_sparse_codes_cannot_shrink_their_way_out_of_the_penalty() -> None:
    """An L1 penalty makes codes sparse, and the numbers of a row are rebuilt all the same."""
    composition = Kind("sparse").parts().build(MIXED, 12, generator()).train()
    batch = mixed_batch(200, dtype=torch.float32)
    descend(composition, batch, 200)
    composition.eval()
    code = composition.represent(batch)
    assert (code == 0).float().mean() > 0.3
    rebuilt = composition.rebuild(code, composition.context(batch))
    error = ((rebuilt - batch.x).square() * batch.weight)[:, 0].sum() / batch.weight[:, 0].sum()
    assert error < 0.5 * batch.x[:, 0].var()


# ---------------------------------------------------------------------- the loss


def test_the_default_loss_is_that_of_each_column() -> None:
    assert Parts().mixed().loss == PerColumn()
    assert Parts(loss=Squared(variance=0.5)).mixed().loss == PerColumn(numbers=Squared(variance=0.5))
    assert Parts(loss=Huber()).mixed().loss == PerColumn(numbers=Huber())
    own = Parts(loss=PerColumn(numbers=Absolute()), network=Embedded(Dense((5,))))
    assert own.mixed() == own


@pytest.mark.parametrize(
    "loss", [Multinomial(), Poisson(), Bernoulli(), Cosine()], ids=lambda loss: type(loss).__name__
)
def test_losses_that_are_not_of_real_numbers_are_refused(loss: Any) -> None:
    with pytest.raises(InputError, match=r"loss: \w+ takes every cell of a row for one sort"):
        build(Parts(loss=loss))


REFUSED = {
    "convolutional": "network: Convolutional",
    "recurrent": "network: Recurrent",
    "multinomial_vae": "loss: Mult",
}


@pytest.mark.parametrize("kind", RECIPES)
def test_every_kind_takes_mixed_tables_or_says_why_not(kind: str) -> None:
    if kind in REFUSED:
        with pytest.raises(InputError, match=REFUSED[kind]):
            build(kind)
        return
    batch = mixed_batch(20)
    batch.weight[0] = 0  # a row of which nothing is known
    composition = build(kind)
    first = float(composition.objective(composition.trace(batch, training_pass()))[0].detach())
    assert np.isfinite([first, *descend(composition, batch, 3)]).all()
    composition.eval()
    rebuilt = composition.rebuild(composition.represent(batch), composition.context(batch))
    assert rebuilt.shape == batch.x.shape
    assert rebuilt.isfinite().all()
    for column, levels in ((3, 2), (4, 4), (5, 5)):
        assert set(rebuilt[:, column].tolist()) <= set(range(levels))


@pytest.mark.parametrize("corruption", [MaskPatches(0.3), BlindSpot(0.1)], ids=repr)
def test_corruptions_of_neighbours_are_refused(corruption: Any) -> None:
    with pytest.raises(InputError, match="must be images"):
        build(corruption=corruption).trace(mixed_batch(4), training_pass())


def test_hidden_cells_are_learned_from_the_others() -> None:
    """Two categories that tell one another: a mask teaches each to be foretold by the other."""
    layout = Layout((2,), ("column",), (Column("category", 5), Column("category", 5)))
    level = torch.randint(4, (400, 1), generator=generator(2)).float()
    batch = Batch(torch.cat((level, (level + 1) % 4), dim=1), layout)
    composition = Parts(corruption=Mask(0.4)).build(layout, 4, generator()).train()
    descend(composition, batch, 150)
    composition.eval()
    half = replace(batch, weight=torch.tensor([1.0, 0.0]).expand(400, 2))
    rebuilt = composition.rebuild(composition.represent(half), composition.context(half))
    assert (rebuilt == batch.x).float().mean() > 0.95


# ---------------------------------------------------------------------- parts that differentiate, or learn inputs


def test_the_jacobian_is_that_of_numeric_columns() -> None:
    """The closed form of one dense layer would take level numbers for numbers: it is not taken."""
    composition = build("contractive").eval()
    assert closed_weight(composition) is None
    batch = mixed_batch(6)
    with pytest.raises(InputError, match=r"method='closed' needs .* rows of plain numbers"):
        Contractive(method="closed").check(composition)
    squares = Contractive(method="exact")(composition.trace(batch)).detach()
    encoder, context = composition.encoder, composition.context(batch)
    hidden = encoder(batch.visible(), context)
    slope = torch.sigmoid(hidden) * (1 - torch.sigmoid(hidden))
    # code = f(W e(x)): of the entry only the number and asinh(heavy) move with numbers.
    number, heavy = encoder.inner.weight(0)[:, [0, 3]].T
    inner = (1 + batch.x[:, 1].square()).rsqrt()
    known = batch.weight[:, :2]
    exact = (slope * number).square().sum(1) * known[:, 0] + (slope * heavy).square().sum(1) * inner**2 * known[:, 1]
    torch.testing.assert_close(squares, exact)
    torch.testing.assert_close(frobenius(composition, batch), exact.sqrt().detach())


def test_a_table_without_numbers_has_no_jacobian() -> None:
    layout = Layout((2,), ("column",), (BINARY, Column("category", 4)))
    composition = build("contractive", layout)
    batch = Batch(torch.tensor([[1.0, 3.0], [0.0, 2.0]]).double(), layout)
    trace = composition.trace(batch, training_pass())
    assert composition.penalties[0](trace).tolist() == [0.0, 0.0]
    assert np.isfinite(descend(composition, batch, 3)).all()
    assert not jacobian(rebuilding(composition, batch), batch.x).any()


def test_a_smooth_decoder_is_smooth_in_all_that_it_gives() -> None:
    composition = build("rae", penalties=(SmoothDecoder(method="exact"),))
    trace = composition.trace(mixed_batch(5))
    found = composition.penalties[0](trace)
    inner = composition.decoder.inner
    exact = jacobian(lambda z: inner(z, Context((composition.decoder.out_size,))), trace.code.z.detach())
    torch.testing.assert_close(found, exact.square().sum((1, 2)))
    # Projections are right in the mean.
    probe = SmoothDecoder(method="projection")
    several = torch.stack([probe(replace(trace, pass_=training_pass(seed))).detach() for seed in range(400)])
    torch.testing.assert_close(several.mean(0), found.detach(), rtol=0.15, atol=0)


def test_a_layer_is_named_behind_the_entry() -> None:
    composition = build(penalties=(L1(1.0, layer="encoder.inner.hidden.0"),))
    trace = composition.trace(mixed_batch(3))
    assert composition.penalties[0](trace).shape == (3,)
    with pytest.raises(InputError, match=r"no layer is called 'encoder.hidden.0'. Did you mean 'encoder.inner.hidden"):
        build(penalties=(L1(1.0, layer="encoder.hidden.0"),))


def with_vamp(components: int = 4) -> Any:
    return build("vae", bottleneck=Gaussian(prior=Vamp(components)))


def test_pseudo_inputs_are_what_the_entry_makes_of_rows() -> None:
    composition, batch = with_vamp(4), mixed_batch(9)
    inputs = composition.bottleneck.prior.inputs
    assert inputs.shape == (4, composition.encoder.entry.width)
    composition.start(batch)
    expected = composition.encoder.entry(batch.visible(), batch.weight > 0)[:4]
    assert torch.equal(inputs, expected)
    # Then the prior is the mean of the posteriors of these rows.
    z = torch.randn(5, CODE_SIZE, generator=generator(3)).double()
    hidden = composition.encode(batch)[0][:4]
    posterior = composition.bottleneck.posterior(hidden)
    each = torch.distributions.Normal(posterior.mean, posterior.log_scale.exp()).log_prob(z[:, None]).sum(-1)
    exact = each.logsumexp(1) - math.log(4)
    torch.testing.assert_close(composition.bottleneck.prior.log_prob(z), exact)
    assert same_tensors(with_vamp().state_dict(), with_vamp().state_dict())


# ---------------------------------------------------------------------- layer by layer


class MixedSource(ArraySource):
    """A batch as a source."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.x.numpy())
        self.layout, self.cells = batch.layout, batch.weight.numpy()

    def weight(self, rows: np.ndarray) -> np.ndarray:
        return self.cells[rows]


def mixed_feed(rows: int = 120, layout: Layout = MIXED) -> Feed:
    batch = mixed_batch(rows, dtype=torch.float32)
    batch = replace(batch, x=batch.visible(), layout=layout)
    scaling = Scaling.fit(ArraySource(batch.x.numpy()), np.arange(rows), mode="none")
    return Feed(MixedSource(batch), scaling, np.arange(rows - 20), np.arange(rows - 20, rows))


def test_layers_are_trained_one_by_one_with_the_entry_in_the_lowest() -> None:
    parts = Kind("stacked", layer_epochs=4).parts()
    composition = parts.build(MIXED, CODE_SIZE, generator()).train()
    before = copy.deepcopy(composition.state_dict())
    feed = mixed_feed()
    batch = next(feed.batches(feed.train, 100))
    first = float(composition.point_cost(batch).detach().mean())
    stack = stack_of(composition, parts.pretraining)
    assert stack.count == 3
    assert stack.encoder is composition.encoder.inner
    left = pretrain(composition, feed, Plan(3, 20, 0.01, seed=0), parts.pretraining)
    assert left.epochs == 3
    after = composition.state_dict()
    moved = [
        name
        for name in before
        if name.startswith(("encoder", "decoder")) and not torch.equal(before[name], after[name])
    ]
    assert "encoder.entry.vectors.0.weight" in moved
    assert sum(name.endswith("weight") and ".linear." in name for name in moved) == 6
    assert float(composition.point_cost(batch).detach().mean()) < first


def test_the_lowest_layer_is_put_back_whole() -> None:
    """One layer alone is the network: after its training the composition is what was trained."""
    parts = Parts(Dense(()), pretraining=Greedy(GaussianNoise(0.2), epochs=3))
    layout = Layout((6,), ("column",), (*MIXED.columns[:5], Column("category", 1500)))  # its loss learns vectors
    composition = parts.build(layout, CODE_SIZE, generator()).train()
    feed = mixed_feed(layout=layout)
    stack = stack_of(composition, parts.pretraining)
    layer, _, unfold = autoencoder_at(stack, 0, parts.pretraining, feed, generator(7))
    assert layer.encoder.entry.width == composition.encoder.entry.width
    descend(layer, next(feed.batches(feed.train, 50)), 5)
    with torch.no_grad():
        unfold()
    batch = next(feed.batches(feed.held_out, 20))
    layer.eval(), composition.eval()
    assert torch.equal(layer.represent(batch), composition.represent(batch))
    assert torch.equal(layer.trace(batch).out, composition.trace(batch).out)
    vectors = dict(composition.loss.named_parameters())
    assert vectors
    for name, learnt in layer.loss.named_parameters():
        assert torch.equal(vectors[name], learnt)


def test_boltzmann_machines_refuse_mixed_tables() -> None:
    composition = build("deep_belief")
    with pytest.raises(InputError, match=r"X: the units of Boltzmann machines .* Use layers that are autoencoders"):
        stack_of(composition, Boltzmann())


def test_a_trace_knows_what_the_encoder_may_read() -> None:
    composition, batch = build(corruption=Mask(0.5)), mixed_batch(30)
    trace: Trace = composition.trace(batch, training_pass())
    hidden = trace.seen.hidden
    assert torch.equal(trace.context.known, (batch.weight > 0) & ~hidden)
    elsewhere = torch.where(trace.context.known, trace.seen.x, torch.full_like(batch.x, 2.0))
    assert torch.equal(composition.encoder(elsewhere, trace.context), trace.hidden)
