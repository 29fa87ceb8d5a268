"""The recurrent network: what a step by hand gives, padding, teachers, categories, gradients and export."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.composition import Composition
from isthmus.data.hailstone import hailstone
from isthmus.errors import InputError
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.losses.categories import Categorical
from isthmus.parts.networks.recurrent import Recurrent, RecurrentDecoder, RecurrentEncoder
from isthmus.parts.networks.steps import by_steps, recurrent_layers, turned
from isthmus.parts.penalties.contractive import Contractive
from isthmus.parts.schedules import Between
from isthmus.recipes import Kind, Parts
from isthmus.records import Batch, Context, Layout, Pass, Seen, from_json, to_json

SERIES = Layout((7, 2), ("step", "channel"))
SETTINGS = [
    Recurrent(hidden=5),
    Recurrent(hidden=5, cell="gru"),
    Recurrent(hidden=5, layers=2, bidirectional=True),
    Recurrent(hidden=5, layers=2, cell="gru", bidirectional=True, reverse_output=True),
    Recurrent(hidden=5, layers=2, teacher_forcing=True),
    Recurrent(hidden=5, cell="gru", teacher_forcing=True, reverse_output=True),
    Recurrent(hidden=5, layers=2, bidirectional=True, reverse_output=True, steps_at_once=3),
    Recurrent(hidden=5, teacher_forcing=True, steps_at_once=2),
]


def pair(network: Recurrent, layout: Layout = SERIES, numbers: int = 1, **more: int) -> tuple:
    source = torch.Generator().manual_seed(0)
    return network.build(layout, 3, 3, numbers * layout.features, source, **more)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@torch.no_grad()
def lstm_by_hand(x: Tensor, layer: torch.nn.Module, h: Tensor, c: Tensor) -> list[Tensor]:
    """The hidden states of one LSTM layer, by the formulas of Hochreiter & Schmidhuber with a forget gate."""
    states = []
    for step in x.unbind(1):
        gates = F.linear(step, layer.weight_ih_l0, layer.bias_ih_l0) + F.linear(h, layer.weight_hh_l0, layer.bias_hh_l0)
        entry, forget, cell, leave = gates.chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(entry) * torch.tanh(cell)
        h = torch.sigmoid(leave) * torch.tanh(c)
        states.append(h)
    return states


@torch.no_grad()
def test_a_pass_by_hand() -> None:
    encoder, decoder = pair(Recurrent(hidden=5, bidirectional=True))
    x, zero = noise(4, 7, 2), torch.zeros(4, 5)
    last = [lstm_by_hand(x, encoder.ahead[0], zero, zero)[-1], lstm_by_hand(x.flip(1), encoder.back[0], zero, zero)[-1]]
    z = encoder.head(torch.cat(last, 1))
    torch.testing.assert_close(encoder(x, Context((7, 2))), z)
    h, c = decoder.first(z).chunk(2, 1)
    states = lstm_by_hand(z[:, None].expand(-1, 7, -1), decoder.steps, h, c)
    torch.testing.assert_close(decoder(z, Context((7, 2))), decoder.head(torch.stack(states, 1)))


@torch.no_grad()
def test_the_same_with_two_layers_as_one_torch_module() -> None:
    """Layers one by one are PyTorch's own stack of bidirectional layers."""
    encoder, _ = pair(Recurrent(hidden=5, layers=2, bidirectional=True, cell="gru"))
    whole = torch.nn.GRU(2, 5, num_layers=2, bidirectional=True, batch_first=True)
    for place in range(2):
        for ours, end in ((encoder.ahead[place], ""), (encoder.back[place], "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(whole, f"{name}_l{place}{end}").copy_(getattr(ours, f"{name}_l0"))
    x, lengths = noise(4, 7, 2), torch.tensor([7, 1, 4, 6])
    plain = whole(x)[1][-2:].transpose(0, 1).flatten(1)
    torch.testing.assert_close(encoder(x, Context((7, 2))), encoder.head(plain))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    ragged = whole(packed)[1][-2:].transpose(0, 1).flatten(1)
    torch.testing.assert_close(encoder(x, Context((7, 2), lengths=lengths)), encoder.head(ragged))


def padded(x: Tensor, steps: int, filling: float = 0.0) -> Tensor:
    return torch.cat((x, torch.full((x.shape[0], steps - x.shape[1], *x.shape[2:]), filling)), 1)


@torch.no_grad()
@pytest.mark.parametrize("network", SETTINGS, ids=str)
def test_padding_enters_neither_code_nor_cost(network: Recurrent) -> None:
    """A row's code and cost are those it has alone, without padding, whatever the padding holds and however long."""
    model = Parts(network=network).build(SERIES, 3, torch.Generator().manual_seed(0)).eval()
    sizes = [7, 1, 4, 6]
    rows = [noise(1, size, 2, seed=size) for size in sizes]
    layouts = [Layout((size, 2), SERIES.axes) for size in sizes]
    alone = [Batch(x, layout) for x, layout in zip(rows, layouts, strict=True)]
    codes = torch.cat([model.represent(batch) for batch in alone])
    costs = torch.cat([model.point_cost(batch) for batch in alone])
    lengths = torch.tensor(sizes)
    for steps, filling in ((7, 0.0), (12, 0.0), (12, 1e30), (9, math.nan), (9, -math.inf)):
        x = torch.cat([padded(row, steps, filling) for row in rows])
        weight = (torch.arange(steps)[None, :, None] < lengths[:, None, None]).float().expand(4, steps, 2)
        batch = Batch(x, Layout((steps, 2), SERIES.axes), weight=weight, lengths=lengths)
        torch.testing.assert_close(model.encoder(x, model.context(batch)), codes, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(model.represent(batch), codes, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(model.point_cost(batch), costs, rtol=1e-6, atol=1e-6)
        rebuilt = model.rebuild(codes, model.context(batch))
        assert rebuilt.shape == x.shape
        for place, size in enumerate(sizes):
            own = model.rebuild(codes[place : place + 1], Context((size, 2)))[0]
            torch.testing.assert_close(rebuilt[place, :size], own, rtol=1e-6, atol=1e-6)


def test_garbage_in_the_padding_reaches_no_gradient() -> None:
    encoder, _ = pair(Recurrent(hidden=5, layers=2, bidirectional=True))
    context = Context((7, 2), lengths=torch.tensor([3, 6]))
    found = []
    for filling in (0.0, math.nan):
        x = noise(2, 7, 2)
        x[0, 3:], x[1, 6:] = filling, filling
        found.append(torch.autograd.grad(encoder(x, context).square().sum(), list(encoder.parameters())))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_turning_turns_valid_steps_and_turned_twice_is_as_before() -> None:
    x, lengths = noise(3, 5, 2), torch.tensor([5, 1, 3])
    assert torch.equal(turned(x, None), x.flip(1))
    back = turned(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(back[row, :length], x[row, :length].flip(0))
        assert torch.equal(back[row, length:], x[row, length:])
    assert torch.equal(turned(back, lengths), x)


@torch.no_grad()
def test_a_reversed_output_comes_in_the_right_order() -> None:
    _, ahead = pair(Recurrent(hidden=5))
    _, back = pair(Recurrent(hidden=5, reverse_output=True))
    z, lengths = noise(3, 3), torch.tensor([7, 1, 4])
    context = Context((7, 2), lengths=lengths)
    torch.testing.assert_close(back(z, context), turned(ahead(z, context), lengths))
    torch.testing.assert_close(back(z, Context((7, 2))), ahead(z, Context((7, 2))).flip(1))


@torch.no_grad()
@pytest.mark.parametrize("network", [*SETTINGS[4:6], SETTINGS[7]], ids=str)
def test_a_decoder_taught_its_own_output_gives_it_again(network: Recurrent) -> None:
    """Feeding on itself is being taught what it wrote, which ties the loop to the pass over all steps at once."""
    _, decoder = pair(network)
    assert decoder.wants_teacher
    z, lengths = noise(3, 3), torch.tensor([7, 1, 4])
    for context in (Context((7, 2)), Context((7, 2), lengths=lengths)):
        alone = decoder(z, context)
        torch.testing.assert_close(decoder(z, replace(context, teacher=alone)), alone)
        other = decoder(z, replace(context, teacher=alone + 1))
        first = 6 if network.reverse_output else 0
        torch.testing.assert_close(other[0, first], alone[0, first])  # it has seen nothing yet
        assert (other[0, 3] - alone[0, 3]).abs().max() > 1e-3


@torch.no_grad()
def test_without_teacher_forcing_a_teacher_is_not_heeded() -> None:
    _, decoder = pair(Recurrent(hidden=5))
    assert not decoder.wants_teacher
    z = noise(3, 3)
    assert torch.equal(decoder(z, Context((7, 2), teacher=noise(3, 7, 2))), decoder(z, Context((7, 2))))


@torch.no_grad()
def test_several_steps_at_once_are_steps_of_more_channels() -> None:
    """Six steps of two channels, three at once, are two steps of six; a group that is not full is filled with 0."""
    grouped = pair(Recurrent(hidden=5, steps_at_once=3, teacher_forcing=True), Layout((6, 2), SERIES.axes))
    wide = pair(Recurrent(hidden=5, teacher_forcing=True), Layout((2, 6), SERIES.axes))
    x = noise(4, 6, 2)
    x[:, 5:] = 0
    z = wide[0](x.reshape(4, 2, 6), Context((2, 6)))
    assert torch.equal(grouped[0](x, Context((6, 2))), z)
    torch.testing.assert_close(grouped[0](x[:, :5], Context((5, 2))), z)
    for teacher in (None, x):
        theirs = Context((2, 6), teacher=None if teacher is None else teacher.reshape(4, 2, 6))
        out = wide[1](z, theirs).reshape(4, 6, 2)
        torch.testing.assert_close(grouped[1](z, Context((6, 2), teacher=teacher)), out)
        short = Context((5, 2), teacher=None if teacher is None else teacher[:, :5])
        torch.testing.assert_close(grouped[1](z, short), out[:, :5])


@torch.no_grad()
def test_it_feeds_on_the_most_probable_category() -> None:
    words = Layout((6,), ("step",))
    _, decoder = pair(Recurrent(hidden=5, teacher_forcing=True), words, numbers=9, categories=9)
    z = noise(4, 3)
    alone = decoder(z, Context((6,)))
    assert alone.shape == (4, 9, 6)
    torch.testing.assert_close(decoder(z, Context((6,), teacher=alone.argmax(1).float())), alone)


@torch.no_grad()
def test_categories_are_names_and_many_of_them_work() -> None:
    """30,000 words: embedded, never one-hot, and their order means nothing."""
    words = Layout((12,), ("step",))
    encoder, decoder = pair(Recurrent(hidden=5, teacher_forcing=True), words, numbers=30_000, categories=30_000)
    assert encoder.reader.embedding.weight.shape == (30_000, 64)
    ids = torch.randint(30_000, (3, 12), generator=torch.Generator().manual_seed(0)).float()
    z = encoder(ids, Context((12,)))
    order = torch.randperm(30_000, generator=torch.Generator().manual_seed(1))
    encoder.reader.embedding.weight[order] = encoder.reader.embedding.weight.clone()
    torch.testing.assert_close(encoder(order[ids.long()].float(), Context((12,))), z)
    assert decoder(z, Context((12,), teacher=ids)).shape == (3, 30_000, 12)
    assert pair(Recurrent(), words, categories=5)[0].reader.embedding.weight.shape == (5, 5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        (Layout((6,), ("column",)), 1),
        (Layout((9,), ("step",)), 2),
        (Layout((5, 4), ("height", "width")), 1),
        (Layout((4, 3, 2, 2), ("frame", "height", "width", "channel")), 3),
        (Layout((1, 2), ("step", "channel")), 1),
    ],
    ids=str,
)
def test_shapes(layout: Layout, numbers: int) -> None:
    """Everything beyond the first axis is a step's channels; the number of steps is not part of the network."""
    encoder, decoder = pair(Recurrent(hidden=5), layout, numbers)
    for steps in (layout.shape[0], layout.shape[0] + 3):
        shape = (steps, *layout.shape[1:])
        code = encoder(noise(2, *shape), Context(shape))
        assert code.shape == (2, 3)
        assert decoder(code, Context(shape)).shape == ((2, *shape) if numbers == 1 else (2, numbers, *shape))


@torch.no_grad()
def test_several_numbers_per_cell_are_told_apart() -> None:
    _, decoder = pair(Recurrent(hidden=5), numbers=2)
    decoder.head.weight.zero_()
    decoder.head.bias.copy_(torch.arange(4.0))  # (numbers, channels) of every step
    out = decoder(noise(1, 3), Context((7, 2)))
    assert torch.equal(out, torch.tensor([[0.0, 1.0], [2.0, 3.0]])[None, :, None].expand(1, 2, 7, 2))


@torch.no_grad()
def test_a_bounded_output_stays_within_its_channels_range() -> None:
    _, decoder = pair(Recurrent(hidden=5, output_activation="bounded"))
    low = np.tile([-1.0, 3.0], 7)
    high = np.tile([1.0, 10.0], 7)
    low[4], high[5] = -2.0, 11.0  # the widest step counts for all
    decoder.set_range(low, high)
    decoder.head.weight.mul_(1000)
    out = decoder(noise(200, 3), Context((20, 2))).flatten(0, 1)
    torch.testing.assert_close(out.amin(0), torch.tensor([-2.0, 3.0]), rtol=0, atol=0.1)
    torch.testing.assert_close(out.amax(0), torch.tensor([1.0, 11.0]), rtol=0, atol=0.1)
    assert {"low", "width"} <= set(decoder.state_dict())
    _, sigmoid = pair(Recurrent(hidden=5, output_activation="sigmoid"))
    _, plain = pair(Recurrent(hidden=5))
    z = noise(2, 3)
    torch.testing.assert_close(sigmoid(z, Context((7, 2))), torch.sigmoid(plain(z, Context((7, 2)))))


@torch.no_grad()
def test_first_weights_are_the_generators_alone_and_as_wide_as_pytorchs() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = pair(Recurrent(hidden=50)), pair(Recurrent(hidden=50))
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(first, second, strict=True):
        for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(ours, theirs)
            assert 0 < float(ours.abs().max() if ours.ndim > 1 else ours.abs().max() + 1) < math.inf
    assert first[0].ahead[0].weight_hh_l0.abs().max() == pytest.approx(1 / math.sqrt(50), rel=0.01)


@pytest.mark.parametrize("network", SETTINGS, ids=str)
def test_gradients_are_those_of_finite_differences(network: Recurrent) -> None:
    model = Parts(network=network).build(SERIES, 3, torch.Generator().manual_seed(0)).double()
    x, lengths = noise(3, 7, 2, dtype=torch.float64), torch.tensor([7, 1, 4])
    teacher = x if network.teacher_forcing else None
    context = Context((7, 2), lengths=lengths, teacher=teacher, pass_=Pass(training=True))

    def cost() -> Tensor:
        out = model.decoder(model.encoder(x, context), context)
        return (out - x).square().sum() + out[..., 0].sum()

    parameters = list(model.parameters())
    directions = [noise(*weights.shape, seed=1, dtype=torch.float64) for weights in parameters]
    slope = sum(float((g * d).sum()) for g, d in zip(torch.autograd.grad(cost(), parameters), directions, strict=True))
    ends = []
    with torch.no_grad():
        for step in (1e-6, -2e-6):
            torch._foreach_add_(parameters, directions, alpha=step)
            ends.append(float(cost()))
    assert abs(slope) > 1e-2
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_contractive_penalty_reads_a_recurrent_encoder(cell: str, dtype: torch.dtype) -> None:
    """Its value is that of the Jacobian by torch.func, and its gradient, a second derivative, that of differences."""
    parts = Parts(network=Recurrent(hidden=5, cell=cell, bidirectional=True), penalties=(Contractive(method="exact"),))
    model = parts.build(SERIES, 3, torch.Generator().manual_seed(0)).to(dtype)
    batch = Batch(noise(4, 7, 2, dtype=dtype), SERIES, lengths=torch.tensor([7, 7, 5, 1]))
    penalty = model.penalties[0](model.trace(batch))

    def code(x: Tensor) -> Tensor:
        return model.encoder(x, model.context(batch))

    whole = torch.func.jacrev(code)(batch.x).detach()
    rows = torch.stack([whole[row, :, row] for row in range(4)])
    torch.testing.assert_close(penalty.detach(), rows.square().sum((1, 2, 3)))
    assert not rows[3, :, 1:].any()  # padding
    weights = model.encoder.ahead[0].weight_hh_l0
    (found,) = torch.autograd.grad(penalty.sum(), weights)
    if dtype == torch.float64:
        direction, ends = noise(*weights.shape, dtype=dtype), []
        for step in (1e-6, -2e-6):
            with torch.no_grad():
                weights.add_(direction, alpha=step)
            ends.append(float(model.penalties[0](model.trace(batch)).sum().detach()))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(float((found * direction).sum()), rel=1e-5)
    else:
        again = copy.deepcopy(model).double()
        precise = again.penalties[0](again.trace(replace(batch, x=batch.x.double()))).sum()
        (expected,) = torch.autograd.grad(precise, again.encoder.ahead[0].weight_hh_l0)
        torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["vae", "iwae", "sparse", "contractive", "higher_order_contractive", "denoising", "vq_vae", "rae", "masked"]
)
def test_kinds_on_a_recurrent_network(kind: str) -> None:
    """The objective falls, and a row's cost does not depend on those beside it."""
    knobs = {"smooth": 1.0} if kind == "rae" else {}
    parts = replace(Kind(kind, **knobs).parts(), network=Recurrent(hidden=8, cell="gru"))
    model = parts.build(SERIES, 4, torch.Generator().manual_seed(0)).train()
    phase = 3 * noise(32, 1, 1, seed=3)
    batch = Batch(torch.sin(torch.arange(7.0)[:, None] + phase + torch.tensor([0.0, 1.0])), SERIES)
    model.start(batch)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    source, costs = torch.Generator().manual_seed(0), []
    for _ in range(40):
        trace = model.trace(batch, Pass(source, training=True))
        objective, terms = model.objective(trace)
        optimiser.zero_grad()
        objective.backward()
        optimiser.step()
        with torch.no_grad():
            model.after_step(trace, terms)
        costs.append(float(objective.detach()))
    assert np.isfinite(costs).all()
    assert np.mean(costs[-5:]) < np.mean(costs[:5]) - 0.5
    model.eval()
    whole, alone = model.point_cost(batch).detach(), model.point_cost(replace(batch, x=batch.x[3:4])).detach()
    torch.testing.assert_close(whole[3:4], alone, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_what_is_given_and_told_reaches_both_ends() -> None:
    parts = Parts(network=Recurrent(hidden=5), corruption=GaussianNoise(Between(0.1, 1.0), tell=True))
    model = parts.build(SERIES, 3, torch.Generator().manual_seed(0), given_size=2)
    x, given = noise(2, 7, 2), torch.eye(2)
    batch = Batch(x, SERIES, given=given)
    context = model.context(batch)
    code = model.encoder(x, context)
    other = model.context(replace(batch, given=given.flip(1)))
    assert (model.encoder(x, other) - code).abs().min() > 1e-5
    assert (model.decoder(code, other) - model.decoder(code, context)).abs().max() > 1e-4
    loud = model.context(batch, seen=Seen(batch.x, level=torch.ones(2)))
    assert (model.encoder(x, loud) - code).abs().max() > 1e-4
    with pytest.raises(InputError, match="given: this network reads 2 given numbers per row; none came"):
        model.encoder(x, replace(context, given=None))
    with pytest.raises(InputError, match="level: this encoder is told how strong the noise is; none came"):
        model.encoder(x, replace(context, level=None))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_by_themselves_are_the_fused_layers(cell: str) -> None:
    """What stands in for the fused kernels where those cannot be differentiated gives the same, state and all."""
    layers = recurrent_layers(cell, 3, 5, 2, torch.Generator().manual_seed(0)).double()
    x = noise(4, 6, 3, dtype=torch.float64)
    first = noise(2, 4, 5, seed=1, dtype=torch.float64)
    states = (None, (first, 2 * first) if cell == "lstm" else first)
    for state in states:
        (ours, mine), (theirs, its) = by_steps(layers, x, state), layers(x, state)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        for one, other in zip(mine, its, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.gpu
def test_jacobians_and_codes_on_a_gpu_are_those_on_the_cpu() -> None:
    parts = Parts(network=Recurrent(hidden=5, bidirectional=True), penalties=(Contractive(method="exact"),))
    model = parts.build(SERIES, 3, torch.Generator().manual_seed(0)).double()
    batch = Batch(noise(4, 7, 2, dtype=torch.float64), SERIES, lengths=torch.tensor([7, 7, 5, 1]))
    here = [*model.represent(batch), *gradient_of(model, batch)]
    moved = replace(batch, x=batch.x.cuda(), lengths=batch.lengths.cuda())
    model.cuda()
    for one, other in zip(here, [*model.represent(moved), *gradient_of(model, moved)], strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-9, atol=1e-9)


def gradient_of(model: Composition, batch: Batch) -> tuple[Tensor, ...]:
    objective, _ = model.objective(model.trace(batch, Pass(training=True)))
    return torch.autograd.grad(objective, list(model.parameters()))


def test_words_are_learnt_by_heart() -> None:
    """A categorical loss with a teacher: a few words, spelt right from their codes alone."""
    words = torch.tensor([[0, 1, 2, 3, 4], [4, 4, 1, 0, 0], [2, 3, 2, 0, 1], [1, 1, 1, 2, 4]]).float()
    layout = Layout((5,), ("step",))
    network = Recurrent(hidden=16, teacher_forcing=True)
    encoder, decoder = network.build(layout, 4, 4, 25, torch.Generator().manual_seed(0), categories=5)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
    context = Context((5,), teacher=words, pass_=Pass(training=True))
    for _ in range(150):
        loss = Categorical(5).cost(decoder(encoder(words, context), context), words).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        alone = decoder(encoder(words, Context((5,))), Context((5,)))
    assert torch.equal(Categorical(5).mean(alone, Context((5,))), words)


@pytest.mark.parametrize(
    "network",
    [
        Recurrent(hidden=5, bidirectional=True, teacher_forcing=True, reverse_output=True),
        pytest.param(Recurrent(hidden=5, layers=2, cell="gru", bidirectional=True), marks=pytest.mark.slow),
        pytest.param(Recurrent(hidden=5, steps_at_once=2), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_onnx_gives_the_same(network: Recurrent, tmp_path: Path) -> None:
    """Any number of rows, the number of steps fixed, no lengths."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from isthmus.onnx import quiet

    short = Layout((3, 2), SERIES.axes)
    model = Parts(network=network).build(short, 3, torch.Generator().manual_seed(0)).eval()

    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = model.encoder, model.decoder

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            code = self.encoder(x, Context((3, 2)))
            return code, self.decoder(code, Context((3, 2)))

    both = Both().eval()
    with quiet(), torch.no_grad():
        rows = torch.export.Dim("n")
        program = torch.onnx.export(both, (noise(3, 3, 2),), dynamo=True, dynamic_shapes=({0: rows},), verbose=False)
    program.save(tmp_path / "both.onnx", external_data=False)
    session = onnxruntime.InferenceSession(tmp_path / "both.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 5):
        x = noise(count, 3, 2, seed=count)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            expected = both(x)
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": 0}, "hidden must be a whole number >= 1; got 0"),
        ({"hidden": (64,)}, r"hidden must be a whole number >= 1; got \(64,\)"),
        ({"layers": 1.5}, "layers must be a whole number >= 1; got 1.5"),
        ({"layers": True}, "layers must be a whole number >= 1; got True"),
        ({"steps_at_once": 0}, "steps_at_once must be a whole number >= 1; got 0"),
        ({"cell": "rnn"}, "cell must be one of lstm, gru; got 'rnn'"),
        ({"output_activation": "square"}, "output_activation must be one of identity, .*, bounded; got 'square'"),
        ({"bidirectional": "yes"}, "bidirectional must be True or False; got 'yes'"),
        ({"teacher_forcing": 0.5}, "teacher_forcing must be True or False; got 0.5"),
        ({"reverse_output": None}, "reverse_output must be True or False; got None"),
    ],
    ids=str,
)
def test_what_a_network_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match="Recurrent: " + message):
        Recurrent(**wrong)


def test_a_loss_must_want_as_many_numbers_of_every_cell() -> None:
    with pytest.raises(InputError, match="a loss that wants 15 numbers per row of 14 does not want as many of every"):
        Recurrent().build(SERIES, 3, 3, 15, torch.Generator())


def test_it_is_plain_data() -> None:
    network = Recurrent(hidden=32, bidirectional=True, cell="gru")
    assert from_json(to_json(network)) == network
    assert repr(network) == "Recurrent(hidden=32, cell='gru', bidirectional=True)"
    assert network.resolve(100, 8) is network


def test_the_briefs_network_is_one_call() -> None:
    """A bidirectional LSTM that reads, and an LSTM that writes."""
    encoder, decoder = pair(Recurrent(hidden=64, bidirectional=True))
    assert isinstance(encoder, RecurrentEncoder)
    assert isinstance(decoder, RecurrentDecoder)
    assert [type(layer) for layer in (*encoder.ahead, *encoder.back, decoder.steps)] == [torch.nn.LSTM] * 3
    assert encoder.head.in_features == 128


def test_hailstones_are_those_of_the_rule() -> None:
    numbers = [*range(1, 200), 837799, 2**40 + 1]
    for number, logs in zip(numbers, hailstone(numbers), strict=True):
        expected = [number]
        while number != 1:
            number = 3 * number + 1 if number % 2 else number // 2
            expected.append(number)
        np.testing.assert_array_equal(logs, np.log2(np.array(expected)))
    assert hailstone([]) == []
    assert len(hailstone([27])[0]) == 112
    assert len(hailstone(np.array([837799]))[0]) == 525


@pytest.mark.parametrize("wrong", [[0, 5], [-1], [2.5], ["7"], [[1, 2]]], ids=str)
def test_what_hailstones_cannot_begin_at(wrong: list) -> None:
    with pytest.raises(InputError, match=r"hailstone: numbers must be whole numbers >= 1, e\.g\. range\(2, 1000\)"):
        hailstone(wrong)


def test_hailstones_that_leave_64_bits_are_refused() -> None:
    with pytest.raises(InputError, match="hailstone: the sequence of 4611686018427387905 leaves what 64 bits hold"):
        hailstone([3, 2**62 + 1])
