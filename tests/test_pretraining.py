"""Layer-wise pretraining: what it must be equal to, what it refuses, and the formulas of Boltzmann machines."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checks_for_kinds import same_tensors
from checks_for_training import FEATURES, PLAN, Recorder, a_feed, own_modules
from torch import Tensor, nn

import isthmus as ist
from isthmus import pretraining, recipes, training
from isthmus.checkpoints import Plan
from isthmus.composition import Composition
from isthmus.data import ArraySource, Scaling
from isthmus.errors import ForeignCheckpointError, InputError
from isthmus.parts.boltzmann import BoltzmannMachine, Downwards
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.corruptions import GaussianNoise, Mask, MaskPatches
from isthmus.parts.losses.categories import Bernoulli, Categorical
from isthmus.parts.losses.counts import Poisson
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.convolutional import Convolutional, ConvolutionalEncoder
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.parts.penalties.sparsity import L1
from isthmus.parts.pretraining import Boltzmann, Greedy
from isthmus.pretraining import Encoded, pretrain
from isthmus.recipes import Parts
from isthmus.records import Batch, Context, Layout, from_json, to_json
from isthmus.training import Feed, evaluate, train

GREEDY = Greedy(Mask(0.3), epochs=2)
WAYS = {"denoising": GREEDY, "sparse": Greedy(penalties=(L1(0.1),), epochs=2), "machines": Boltzmann(epochs=2)}


def a_stack(seed: int = 0, hidden: tuple[int, ...] = (8, 6), size: int = 4, **more: Any) -> Composition:
    """784-like: sigmoid layers all the way."""
    network = Dense(**{"hidden": hidden, "activation": "sigmoid", **more.pop("network", {})})
    parts = Parts(**{"network": network, "bottleneck": Plain("sigmoid"), **more})
    return parts.build(a_feed().source.layout, size, torch.Generator().manual_seed(seed))


def unit_feed(rows: int = 60) -> Feed:
    """Rows in [0, 1]."""
    draw = np.random.default_rng(0)
    mixed = draw.random((rows, 2)) @ draw.random((2, FEATURES))
    source = ArraySource((mixed / mixed.max()).astype(np.float32))
    return Feed(source, Scaling.fit(source, mode="unit"), np.arange(10, rows), np.arange(10))


# ---------------------------------------------------------------------- what it is equal to


def test_the_lowest_layer_is_a_one_layer_autoencoder() -> None:
    """Same seed, same rows: bit for bit what fitting that autoencoder alone gives."""
    feed, stack = a_feed(), a_stack()
    pretrain(stack, feed, PLAN, GREEDY)
    alone = Parts(network=Dense(activation="sigmoid"), bottleneck=Plain("sigmoid"), corruption=Mask(0.3))
    fitted = alone.build(feed.source.layout, 8, torch.Generator().manual_seed(PLAN.seed))
    train(fitted, feed, replace(PLAN, epochs=2))
    assert same_tensors(stack.encoder.linear[0].state_dict(), fitted.encoder.linear[0].state_dict())
    assert same_tensors(stack.decoder.linear[-1].state_dict(), fitted.decoder.linear[0].state_dict())


@pytest.mark.parametrize(
    ("activation", "loss", "ends"), [("sigmoid", Bernoulli(), "identity"), ("tanh", Squared(), "tanh")]
)
def test_an_upper_layer_is_one_on_the_outputs_of_the_layer_below(activation: str, loss: Any, ends: str) -> None:
    """It rebuilds them by a map that ends where they lie: the one that stands at that place in the whole decoder."""
    feed = a_feed()
    network = Dense(hidden=(8,), activation=activation)
    stack = Parts(network=network).build(feed.source.layout, 3, torch.Generator().manual_seed(0))
    pretrain(stack, feed, PLAN, GREEDY)
    with torch.no_grad():
        below = torch.tanh if activation == "tanh" else torch.sigmoid
        rows = below(stack.encoder.linear[0](feed.cached))
    source = ArraySource(rows.numpy())
    inputs = Feed(source, Scaling.fit(source, mode="none"), feed.train, feed.held_out)
    parts = Parts(
        network=Dense(activation=activation, output_activation=ends), loss=loss, corruption=Mask(0.3)
    )  # the code of this stack is a plain one
    fitted = parts.build(source.layout, 3, torch.Generator().manual_seed(PLAN.seed))
    train(fitted, inputs, replace(PLAN, epochs=2))
    assert same_tensors(stack.encoder.linear[1].state_dict(), fitted.encoder.linear[0].state_dict())
    assert same_tensors(stack.decoder.linear[0].state_dict(), fitted.decoder.linear[0].state_dict())


def test_tied_layers_stay_tied() -> None:
    for way in WAYS.values():
        stack = a_stack(network={"tied": True})
        pretrain(stack, a_feed(), PLAN, way)
        assert not any(name.startswith("decoder") and "weight" in name for name in stack.state_dict())
        assert all(linear.bias.abs().max() > 0 for linear in stack.decoder.linear)
        code, context = torch.rand(2, 4), Context((FEATURES,))
        hidden = code
        for place in (2, 1, 0):
            hidden = hidden @ stack.encoder.weight(place) + stack.decoder.linear[2 - place].bias
            hidden = torch.sigmoid(hidden) if place else hidden
        torch.testing.assert_close(stack.decoder(code, context), hidden)


def test_machines_are_unrolled() -> None:
    """W above, its transpose below; what the whole network then rebuilds is what the machines pass up and down."""
    stack, feed = a_stack(hidden=(), size=7), a_feed()
    pretrain(stack, feed, PLAN, Boltzmann(epochs=2))
    up, down = stack.encoder.linear[0], stack.decoder.linear[0]
    assert torch.equal(up.weight, down.weight.T)
    machine = BoltzmannMachine(FEATURES, 7, "gaussian", torch.Generator().manual_seed(PLAN.seed))
    layer = pretraining.BoltzmannLayer(machine, 1)
    train(layer, feed, replace(PLAN, epochs=2, learning_rate=5e-3))
    assert torch.equal(machine.weight, down.weight)
    assert torch.equal(machine.hidden_bias, up.bias)
    assert torch.equal(machine.visible_bias, down.bias)
    batch = next(feed.batches(feed.train, 9))
    torch.testing.assert_close(stack.trace(batch).out, layer.trace(batch).out)


def test_a_machine_below_a_bounded_output_sees_its_range_as_0_to_1() -> None:
    """The stretch is folded into the weights, so that network and machine agree on the user's rows."""
    feed = a_feed()
    low, high = feed.cached.amin(0), feed.cached.amax(0)
    stack = a_stack(hidden=(), size=7, network={"output_activation": "bounded"})
    stack.decoder.set_range(low.numpy(), high.numpy())
    pretrain(stack, feed, PLAN, Boltzmann(epochs=2))
    source = ArraySource(((feed.cached - low) / (high - low)).numpy())
    inputs = Feed(source, Scaling.fit(source, mode="none"), feed.train, feed.held_out)
    machine = BoltzmannMachine(FEATURES, 7, "bernoulli", torch.Generator().manual_seed(PLAN.seed))
    train(pretraining.BoltzmannLayer(machine, 1), inputs, replace(PLAN, epochs=2, learning_rate=5e-3))
    batch = next(feed.batches(feed.train, 9))
    x = (batch.x - low) / (high - low)
    rebuilt = torch.sigmoid(machine.told(torch.sigmoid(machine.heard(x))))
    torch.testing.assert_close(stack.trace(batch).out, low + (high - low) * rebuilt, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- blocks of convolutions


def grid_feed(shape: tuple[int, ...] = (8, 8), rows: int = 60, **more: Any) -> Feed:
    """Rows with three hidden factors, along as many axes."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, 3)) @ draw.standard_normal((3, math.prod(shape)))
    source = ArraySource(np.tanh(x).astype(np.float32).reshape(rows, *shape))
    return Feed(source, Scaling.fit(source, mode="none"), np.arange(12, rows), np.arange(12), **more)


def blocks(shape: tuple[int, ...] = (8, 8), size: int = 4, given: int = 0, **more: Any) -> Composition:
    network = Convolutional(**{"channels": (6, 5), "activation": "tanh", **more.pop("network", {})})
    layout = grid_feed(shape, 13).source.layout
    size = network.code_size(layout) or size
    return Parts(**{"network": network, **more}).build(layout, size, torch.Generator().manual_seed(0), given)


def recurrent() -> Composition:
    parts = Parts(network=Recurrent(4, layers=2))
    return parts.build(Layout((8, 2), ("step", "channel")), 3, torch.Generator().manual_seed(0))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[Composition]:
    """The layers that were trained, from the data to the code."""
    layers: list[Composition] = []

    def placed(*inputs: Any) -> Any:
        made = place(*inputs)
        layers.append(made[0])
        return made

    place = pretraining.autoencoder_at
    monkeypatch.setattr(pretraining, "autoencoder_at", placed)
    return layers


@pytest.mark.parametrize("down", ["stride", "max", "average"])
def test_a_network_of_one_block_is_itself_that_block(down: str) -> None:
    """Same seed, same rows: bit for bit what fitting it as a denoising autoencoder gives."""
    feed, network = grid_feed(), {"channels": (6,), "down": down, "code": "map"}
    stack, layout = blocks(network=network), feed.source.layout
    pretrain(stack, feed, PLAN, GREEDY)
    parts = Parts(network=stack.encoder.network, corruption=Mask(0.3))
    fitted = parts.build(layout, stack.encoder.network.code_size(layout), torch.Generator().manual_seed(PLAN.seed))
    train(fitted, feed, replace(PLAN, epochs=2))
    for name in ("encoder", "decoder"):
        assert same_tensors(getattr(stack, name).state_dict(), getattr(fitted, name).state_dict())


@pytest.mark.parametrize("network", [{}, {"dense": (7,)}, {"code": "map"}], ids=["vector", "dense", "map"])
@pytest.mark.parametrize("down", ["stride", "max"])
def test_blocks_become_the_network(network: dict[str, Any], down: str, alone: list[Composition]) -> None:
    """What the layers say one after the other is what the whole network says, up to the code and down again."""
    feed = grid_feed()
    fresh, stack = (blocks(network={"channels": (6, 5, 4), "down": down, **network}) for _ in range(2))
    pretrain(stack, feed, PLAN, GREEDY)
    assert len(alone) == {"vector": 4, "map": 3}[stack.encoder.network.code] + ("dense" in network)
    batch = next(feed.batches(feed.train, 9))
    layouts, rows = [batch.layout], [batch]
    with torch.no_grad():
        for layer in alone:
            point = layer.represent(rows[-1])
            grid = [-(-size // 2) for size in rows[-1].layout.grid]
            if isinstance(layer.encoder, ConvolutionalEncoder):
                layouts.append(Layout((*grid, layer.encoder.network.channels[0]), ("height", "width", "channel")))
            else:
                layouts.append(Layout((point.shape[1],), ("column",)))
            rows.append(replace(batch, x=point.reshape(len(batch), *layouts[-1].shape), layout=layouts[-1]))
        assert torch.equal(stack.represent(batch), rows[-1].x.flatten(1))
        out = rows[-1].x
        for layer, layout in zip(reversed(alone), reversed(layouts[:-1]), strict=True):
            out = layer.decoder(out, Context(layout.shape))
        torch.testing.assert_close(stack.decoder(rows[-1].x, Context((8, 8))), out)
    moved = [name for name, value in stack.named_parameters() if not torch.equal(value, fresh.get_parameter(name))]
    assert moved == [name for name, _ in stack.named_parameters() if not name.startswith("loss")]


def test_a_convolution_without_padding_is_learnt_as_one(alone: list[Composition]) -> None:
    """From 28 cells by three blocks, the decoder goes 4-8-16, and on from there to 14 without padding: what it rebuilds
    lies where the rows have it. Beyond cell 19 it sees what lies behind the 7th cell, which the layers cut off."""
    stack, feed = blocks((28,), network={"channels": (6, 5, 4), "code": "map"}), grid_feed((28,))
    assert stack.decoder.unpadded == (True,)
    pretrain(stack, feed, PLAN, GREEDY)
    with torch.no_grad():
        code = torch.rand(3, 16)
        out = code
        for layer, shape in zip(reversed(alone), ((7, 5), (14, 6), (28,)), strict=True):
            out = layer.decoder(out, Context(shape))
        whole = stack.decoder(code, Context((28,)))
    torch.testing.assert_close(whole[:, :19], out[:, :19])
    assert not torch.allclose(whole[:, 19:], out[:, 19:])


def test_pretrained_blocks_rebuild_rows_where_they_lie() -> None:
    """Before any step of the whole network it is nearer to the rows than to rows that are moved."""
    draw = np.random.default_rng(1)
    starts, cells = draw.integers(0, 25, 400), np.arange(28)
    x = ((cells >= starts[:, None]) & (cells < starts[:, None] + 4)).astype(np.float32)
    source = ArraySource(x)
    feed = Feed(source, Scaling.fit(source, mode="none"), np.arange(50, 400), np.arange(50))
    stack = blocks((28,), network={"channels": (8, 8, 16), "code": "map", "activation": "relu"})
    assert stack.decoder.unpadded == (True,)
    pretrain(stack, feed, replace(PLAN, epochs=0), Greedy(epochs=8))
    batch = next(feed.watched_batches())
    with torch.no_grad():
        out = stack.trace(batch).out
    errors = {move: float((out - batch.x.roll(move, 1)).square().mean()) for move in range(-4, 5)}
    assert min(errors, key=errors.__getitem__) == 0
    assert errors[0] < 0.3 * float(batch.x.var())


@pytest.mark.parametrize("code", ["vector", "map"])
def test_blocks_make_a_better_start(code: str) -> None:
    """The cost before any step of the whole network, and after as many, against that from fresh weights."""
    feed = digits()
    parts = Parts(network=Convolutional((8, 8), code=code))
    size = {"vector": 24, "map": 32}[code]
    fresh, stack = (parts.build(feed.source.layout, size, torch.Generator().manual_seed(0)) for _ in range(2))
    plan = Plan(epochs=1, batch_size=32, learning_rate=2e-3, seed=0)
    assert pretrain(stack, feed, plan, Greedy(Mask(0.1), epochs=4)) == plan
    before = [evaluate(model, feed, 0) for model in (stack, fresh)]
    assert before[0].cost < before[1].cost - 5
    assert before[0].error < 0.9 * before[1].error
    costs = [train(model, feed, plan).best_cost for model in (stack, fresh)]
    assert costs[0] < costs[1] - 2


def test_a_bounded_output_keeps_its_range(alone: list[Composition]) -> None:
    """The lowest block rebuilds the rows within the range of each channel; the others know of none."""
    feed = grid_feed((6, 6, 2))
    rows = feed.cached.reshape(-1, 2)
    stack = blocks((6, 6, 2), network={"output_activation": "bounded"})
    stack.decoder.set_range(feed.cached.amin(0).flatten().numpy(), feed.cached.amax(0).flatten().numpy())
    pretrain(stack, feed, PLAN, GREEDY)
    assert torch.equal(alone[0].decoder.low, rows.amin(0))
    assert torch.equal(alone[0].decoder.width, rows.amax(0) - rows.amin(0))
    assert torch.equal(stack.decoder.low, rows.amin(0))
    assert [layer.decoder.bounded for layer in alone] == [True, False, False]


@pytest.mark.parametrize("code", ["vector", "map"])
@pytest.mark.parametrize("tell", [False, True])
def test_blocks_alone_read_nothing_that_is_given(code: str, tell: bool) -> None:
    """Their weights are those of a fit without; the channels of what is read beside keep their fresh weights."""
    network = {"code": code, "dense": (7,) if code == "vector" else ()}
    corruption = GaussianNoise(0.3, tell=tell)
    without, stack, fresh = (blocks(network=network, given=given, corruption=c) for given, c in
                             ((0, None), (3, corruption), (3, corruption)))  # fmt: skip
    pretrain(without, grid_feed(), PLAN, GREEDY)
    pretrain(stack, grid_feed(given=np.eye(3, dtype=np.float32)[np.arange(60) % 3]), PLAN, GREEDY)
    wider = {}
    for name, value in without.state_dict().items():
        found = stack.state_dict()[name]
        leading = found[:, : value.shape[1]] if value.ndim > 1 else found
        assert torch.equal(leading, value), name
        if found.shape != value.shape:
            wider[name] = found.shape[1] - value.shape[1]
            assert torch.equal(found[:, value.shape[1] :], fresh.state_dict()[name][:, value.shape[1] :])
    first = "decoder.convolution.0.weight" if code == "map" else "decoder.dense.linear.0.weight"
    assert wider == {"encoder.convolution.0.weight": 3 + tell, first: 3}


def test_maps_of_a_bottleneck_and_embeddings_are_learnt_with_their_block(alone: list[Composition]) -> None:
    """A Gaussian code that is a map has two numbers to a unit; categories are embedded by the lowest block."""
    stack = blocks(network={"code": "map"}, bottleneck=Gaussian())
    pretrain(stack, grid_feed(), PLAN, GREEDY)
    assert same_tensors(stack.encoder.maps.state_dict(), alone[-1].encoder.maps.state_dict())
    source = ArraySource(np.random.default_rng(0).integers(0, 5, (40, 8)).astype(np.float32))
    feed = Feed(source, Scaling.fit(source, mode="none"), np.arange(10, 40), np.arange(10))
    parts = Parts(network=Convolutional((6, 5)), loss=Categorical(5, ordered=False))
    fresh, stack = (parts.build(source.layout, 3, torch.Generator().manual_seed(0)) for _ in range(2))
    pretrain(stack, feed, PLAN, Greedy(epochs=2))
    assert torch.equal(stack.encoder.embedding.weight, alone[2].encoder.embedding.weight)
    assert not torch.equal(stack.encoder.embedding.weight, fresh.encoder.embedding.weight)
    assert alone[2].decoder.numbers == 5
    assert torch.equal(stack.decoder.last.weight, alone[2].decoder.last.weight)


def test_blocks_see_maps(capsys: pytest.CaptureFixture[str]) -> None:
    """Layer by layer, the layouts of what is seen; patches are hidden in maps too, but not in what is no map."""
    titles: list[str] = []

    class Titles(Recorder):
        def start(self, title: str, epochs: int) -> None:
            titles.append(title)

    hidden = Greedy(MaskPatches(0.5, size=2), epochs=1)
    pretrain(blocks((7, 8)), grid_feed((7, 8)), PLAN, hidden, progress=Titles())
    assert titles == [
        "layer 1 of 3: 7 x 8 -> 4 x 4 x 6",
        "layer 2 of 3: 4 x 4 x 6 -> 2 x 2 x 5",
        "layer 3 of 3: 2 x 2 x 5 -> 4",
    ]
    with pytest.raises(InputError, match=r"^corruption: .* or a network with no dense layers, Convolutional\(dense="):
        pretrain(blocks(network={"dense": (7,)}), grid_feed(), PLAN, hidden)


@pytest.mark.parametrize(
    "layout",
    [
        Layout((9,), ("column",)),
        Layout((9, 2), ("step", "channel")),
        Layout((5, 6, 2), ("height", "width", "channel")),
        Layout((3, 5, 4, 2), ("frame", "height", "width", "channel")),
    ],
    ids=lambda layout: layout.axes[0],
)
def test_blocks_of_every_layout(layout: Layout) -> None:
    """Tables, series, images and video, with sigmoid units."""
    flat = grid_feed((layout.features,))
    feed = Encoded(flat, lambda batch: batch.x, layout)
    parts = Parts(network=Convolutional((6, 5), activation="sigmoid"))
    stack = parts.build(layout, 4, torch.Generator().manual_seed(0))
    before = evaluate(stack, feed, 0).cost
    pretrain(stack, feed, PLAN, Greedy(epochs=15))
    assert evaluate(stack, feed, 0).cost < before


def test_maps_in_memory_or_made_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = [blocks() for _ in range(2)]
    pretrain(stacks[0], grid_feed(), PLAN, GREEDY)
    monkeypatch.setattr(training, "CACHE_BYTES", 100)
    pretrain(stacks[1], grid_feed(), PLAN, GREEDY)
    for name, value in stacks[0].state_dict().items():
        torch.testing.assert_close(value, stacks[1].state_dict()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "streamed"])
@pytest.mark.parametrize("make", [blocks, lambda: blocks(network={"code": "map"})], ids=["vector", "map"])
def test_upper_layers_see_what_the_lower_ones_made_of_the_noisy_twins(
    make: Any, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that come with noisy twins: these are what the lowest layer is shown, and gone after it."""
    if streamed:
        monkeypatch.setattr(training, "CACHE_BYTES", 100)
    noisy = grid_feed()
    twins = ArraySource(noisy.source.array[::-1].copy())
    noisy = grid_feed(shown=twins)
    stack = make()
    below = Encoded(noisy, lambda batch: batch.shown.flatten(1)[:, :6], Layout((3, 2), ("column", "channel")))
    batch = next(below.batches(below.train, 5, seed=0))
    assert batch.shown is None
    assert torch.equal(batch.x, torch.from_numpy(twins.array)[batch.rows].flatten(1)[:, :6].reshape(5, 3, 2))
    pretrain(stack, noisy, PLAN, Greedy(epochs=1))


@pytest.mark.parametrize("stop_at", [4, 8, 23], ids=["layer 1", "layer 2", "all as one"])
def test_an_interrupted_fit_of_blocks_goes_on(stop_at: int, tmp_path: Path) -> None:
    """48 rows make 3 batches: 6 steps for each of three layers, then the network as one. Checkpoints know nothing of
    how filters lie in memory, channels last, but the optimiser's figures must lie as they do."""

    def fitted(plan: Plan, progress: Recorder, resume: bool = False) -> Composition:
        stack = blocks()
        left = pretrain(stack, grid_feed(), plan, GREEDY, progress=progress, resume=resume)
        train(stack, grid_feed(), left, progress=progress, resume=resume)
        return stack

    plan = replace(PLAN, checkpoint=str(tmp_path), checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        fitted(plan, Recorder(stop_at))
    whole, resumed = fitted(PLAN, Recorder()), fitted(plan, Recorder(), resume=True)
    assert same_tensors(whole.state_dict(), resumed.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "layer-1", "layer-2", "layer-3"]


@pytest.mark.parametrize("more", [{}, {"code": "map"}], ids=["vector", "map"])
def test_a_stacked_convolutional_autoencoder(more: dict[str, Any], tmp_path: Path) -> None:
    """From rows to a file and back, within the time asked for."""
    x = digits().source.array[:300]
    model = ist.Autoencoder(
        recipes.stacked(layer_epochs=2), network=ist.Convolutional((8, 8), **more), epochs=2, random_state=0
    ).fit(x)
    assert model.history_["epoch"][-1] == 2
    model.save(tmp_path / "digits.safetensors")
    again = ist.load(tmp_path / "digits.safetensors")
    np.testing.assert_array_equal(again.transform(x), model.transform(x))
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    began = time.monotonic()
    short = ist.Autoencoder("stacked", network=ist.Convolutional((8, 8), **more), epochs=2, max_time=1.5).fit(x)
    assert time.monotonic() - began < 20
    assert short.reconstruct(x).shape == x.shape


# ---------------------------------------------------------------------- what is read beside the input


def given_feed() -> Feed:
    """The same rows, each given three numbers."""
    feed = a_feed()
    return Feed(feed.source, feed.scaling, feed.train, feed.held_out, given=np.eye(3, dtype=np.float32)[GROUPS])


GROUPS = np.arange(100) % 3


def fresh_stack(given: int, tied: bool, corruption: Any = None) -> Composition:
    parts = Parts(Dense((8, 6), activation="sigmoid", tied=tied), Plain("sigmoid"), corruption=corruption)
    return parts.build(a_feed().source.layout, 4, torch.Generator().manual_seed(0), given)


@pytest.mark.parametrize("tied", [False, True], ids=["free", "tied"])
@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "streamed"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_layers_alone_read_nothing_that_is_given(
    way: Any, streamed: bool, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their weights are those of a fit without, bit for bit; the weights of what is given are left as they were."""
    if streamed:
        monkeypatch.setattr(training, "CACHE_BYTES", 100)
    without, stack, fresh = fresh_stack(0, tied), fresh_stack(3, tied), fresh_stack(3, tied)
    feed = given_feed()
    pretrain(without, a_feed(), PLAN, way)
    assert pretrain(stack, feed, PLAN, way) == PLAN
    for name, value in without.state_dict().items():
        leading = stack.state_dict()[name][..., : value.shape[-1]] if value.ndim else stack.state_dict()[name]
        assert torch.equal(leading, value), name
    beside = {"encoder.linear.0.weight": 5}
    beside["decoder.linear.0.beside" if tied else "decoder.linear.0.weight"] = 0 if tied else 4
    for name, inputs in beside.items():
        kept = stack.state_dict()[name][:, inputs:]
        assert kept.shape[1] == 3
        assert torch.equal(kept, fresh.state_dict()[name][:, inputs:])
    assert feed.given is not None
    assert next(feed.batches(feed.train, 7)).given is not None
    feed.held_out, feed.watched = feed.held_out[:0], feed.train  # so that the last epoch is kept
    train(stack, feed, replace(PLAN, epochs=1))
    for name, inputs in beside.items():
        assert (stack.state_dict()[name] != fresh.state_dict()[name])[:, inputs:].all(), name


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_encoder_that_is_told_the_noise_is_trained_layer_by_layer(way: Any) -> None:
    """The strength of the joint training's noise is read beside the rows, first; layers alone know nothing of it."""
    without, stack = fresh_stack(0, False), fresh_stack(2, False, GaussianNoise(0.3, tell=True))
    before = stack.encoder.weight(0)[:, FEATURES:].clone()
    pretrain(without, a_feed(), PLAN, way)
    pretrain(stack, a_feed(), PLAN, way)
    assert torch.equal(stack.encoder.weight(0)[:, :FEATURES], without.encoder.weight(0))
    assert torch.equal(stack.encoder.weight(0)[:, FEATURES:], before)
    assert before.shape == (8, 1 + 2)


def test_a_layer_alone_is_not_told_how_strong_its_noise_is() -> None:
    """A corruption that tells is, layer by layer, the same as one that does not."""
    told, untold = a_stack(), a_stack()
    pretrain(told, a_feed(), PLAN, Greedy(GaussianNoise(0.3, tell=True), epochs=2))
    pretrain(untold, a_feed(), PLAN, Greedy(GaussianNoise(0.3), epochs=2))
    assert same_tensors(told.state_dict(), untold.state_dict())


@pytest.mark.parametrize("method", ["stacked", "deep_belief"])
@pytest.mark.parametrize("more", [{}, {"tied": True}], ids=["free", "tied"])
def test_kinds_with_pretraining_take_what_rows_are_given(method: str, more: dict[str, Any]) -> None:
    x = a_feed().cached.numpy()
    kind = getattr(recipes, method)(layer_epochs=1, **more)
    model = ist.Autoencoder(kind, code_size=2, epochs=1, random_state=0).fit(x, given=GROUPS)
    moved = model.reconstruct(x, given=(GROUPS + 1) % 3) - model.reconstruct(x, given=GROUPS)
    assert np.abs(moved).max() > 0


# ---------------------------------------------------------------------- what it does


def images() -> Feed:
    source = ArraySource(np.random.default_rng(0).random((40, 4, 4)).astype(np.float32))
    return Feed(source, Scaling.fit(source, mode="none"), np.arange(10, 40), np.arange(10))


def digits() -> Feed:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    source = ArraySource((load_digits().images / 16).astype(np.float32))
    return Feed(source, Scaling.fit(source, mode="unit"), np.arange(200, 1000), np.arange(200))


@pytest.mark.parametrize("way", [Greedy(epochs=20), Greedy(Mask(0.2), epochs=20), Boltzmann(epochs=20)], ids=str)
def test_the_weights_land_in_the_network(way: Any) -> None:
    """Rebuilding, before any step of the whole network, is far better than the mean row, and a fit from there on
    better than as long a fit from random weights."""
    feed = digits()
    parts = Parts(network=Dense((48,), activation="sigmoid"), bottleneck=Plain("sigmoid"), loss=Bernoulli())
    fresh, stack = (parts.build(feed.source.layout, 24, torch.Generator().manual_seed(0)) for _ in range(2))
    plan = Plan(epochs=3, batch_size=32, learning_rate=0.02, seed=0)
    left = pretrain(stack, feed, plan, replace(way, learning_rate=0.02))
    assert left == plan
    rows = feed.cached[feed.held_out]
    mean_error = (rows - feed.cached[feed.train].mean(0)).square().mean().sqrt()
    before = evaluate(stack, feed, 0)
    assert before.error < 0.95 * mean_error
    assert evaluate(fresh, feed, 0).error > mean_error
    costs = [train(model, feed, plan).best_cost for model in (stack, fresh)]
    assert costs[0] < before.cost
    assert costs[0] < costs[1] - 0.5


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_same_seed_gives_the_same_weights(way: Any) -> None:
    stacks = [a_stack() for _ in range(3)]
    before = torch.random.get_rng_state()
    for stack, seed in zip(stacks, (3, 3, 4), strict=True):
        pretrain(stack, a_feed(), replace(PLAN, seed=seed), way)
    assert torch.equal(before, torch.random.get_rng_state())
    assert same_tensors(stacks[0].state_dict(), stacks[1].state_dict())
    assert not same_tensors(stacks[0].state_dict(), stacks[2].state_dict())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_feed_is_left_as_it_was(way: Any) -> None:
    feed = a_feed()
    rows, features = feed.cached.clone(), feed.source.layout
    pretrain(a_stack(), feed, PLAN, way)
    assert torch.equal(feed.cached, rows)
    assert feed.source.layout is features


def test_rows_in_memory_or_made_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into memory is made anew for every batch: the same rows, but for rounding."""
    stacks = [a_stack() for _ in range(2)]
    pretrain(stacks[0], a_feed(), PLAN, GREEDY)
    monkeypatch.setattr(training, "CACHE_BYTES", 100)
    streamed = a_feed()
    assert streamed.cached is None
    pretrain(stacks[1], streamed, PLAN, GREEDY)
    for name, value in stacks[0].state_dict().items():
        torch.testing.assert_close(value, stacks[1].state_dict()[name], rtol=1e-4, atol=1e-5)


def test_encoded_rows_are_those_of_the_layer_below() -> None:
    weight = np.linspace(0, 2, 100)
    feed = a_feed(weight=weight)
    turned = Encoded(feed, lambda batch: 2 * batch.x[:, :3], Layout((3,), ("column",)))
    batch = next(turned.batches(turned.train, 7, seed=1, epoch=2))
    plain = next(feed.batches(feed.train, 7, seed=1, epoch=2))
    assert torch.equal(batch.x, 2 * plain.x[:, :3])
    assert torch.equal(batch.rows, plain.rows)
    assert torch.equal(batch.row_weight, plain.row_weight)
    assert batch.layout == turned.source.layout == Layout((3,), ("column",))
    watched = torch.cat([batch.x for batch in turned.watched_batches()])
    assert torch.equal(watched, 2 * feed.cached[feed.held_out][:, :3])


def test_the_pace_is_chosen_from_the_rows() -> None:
    plan = pretraining.plan_of_layers(replace(PLAN, target=0.5), Greedy(), 80)
    assert (plan.epochs, plan.learning_rate, plan.target) == (300, PLAN.learning_rate, 0.0)
    plan = pretraining.plan_of_layers(replace(PLAN, batch_size=100), Boltzmann(learning_rate=0.1), 5000)
    assert (plan.epochs, plan.learning_rate) == (60, 0.1)
    assert pretraining.plan_of_layers(PLAN, Greedy(), 10**6).epochs == 10


def test_no_epochs_afterwards_means_features_alone() -> None:
    """A plan without epochs looks at the rows once and leaves the weights as the layers were trained."""
    stack, feed = a_stack(), a_feed()
    plan = replace(PLAN, epochs=0)
    left = pretrain(stack, feed, plan, GREEDY)
    weights = {name: value.clone() for name, value in stack.state_dict().items() if not name.startswith("loss")}
    state = train(stack, feed, left)
    assert state.stopped == "finished 0 epochs"
    assert state.history["epoch"] == [0]
    assert same_tensors(weights, {name: stack.state_dict()[name] for name in weights})


# ---------------------------------------------------------------------- stopping and going on


def a_whole_fit(way: Any, plan: Plan, resume: bool = False, stop_at: int = 0) -> tuple[Composition, list[str]]:
    stack, feed, told = a_stack(), a_feed(), Recorder(stop_at)
    left = pretrain(stack, feed, plan, way, progress=told, resume=resume, identity={"data": "these"})
    train(stack, feed, left, progress=told, resume=resume and left.checkpoint is not None)
    return stack, [told.title]


@pytest.mark.parametrize("way", [GREEDY, Boltzmann(epochs=2)], ids=["denoising", "machines"])
@pytest.mark.parametrize("stop_at", [3, 13, 27, 33], ids=["layer 1", "layer 2", "layer 3", "all as one"])
def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(way: Any, stop_at: int, tmp_path: Path) -> None:
    """80 rows make 5 batches: 10 steps for each of three layers, then the network as one."""
    whole, _ = a_whole_fit(way, PLAN)
    plan = replace(PLAN, checkpoint=str(tmp_path), checkpoint_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        a_whole_fit(way, plan, stop_at=stop_at)
    resumed, _ = a_whole_fit(way, plan, resume=True)
    assert same_tensors(whole.state_dict(), resumed.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "layer-1", "layer-2", "layer-3"]


def test_out_of_time_in_a_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is to look at what there is; a resumed fit goes on in that layer."""
    whole, _ = a_whole_fit(GREEDY, PLAN)
    plan = replace(PLAN, checkpoint=str(tmp_path))
    stack = a_stack()
    left = pretrain(stack, a_feed(), replace(plan, max_time=1e-9), GREEDY, identity={"data": "these"})
    assert (left.epochs, left.checkpoint) == (0, None)
    assert [path.name for path in tmp_path.iterdir()] == ["layer-1"]
    resumed, _ = a_whole_fit(GREEDY, plan, resume=True)
    assert same_tensors(whole.state_dict(), resumed.state_dict())


class Clock(Recorder):
    """Time as it is told of steps: each takes a second, and some take longer."""

    def __init__(self, stop_at: int = 0, slow: dict[int, float] | None = None) -> None:
        super().__init__(stop_at)
        self.now, self.slow = 0.0, slow or {}
        self.taken: list[tuple[str, int]] = []

    def monotonic(self) -> float:
        return self.now

    def step(self, epoch: float) -> None:
        super().step(epoch)
        self.now += self.slow.get(len(self.steps), 1.0)

    def close(self, sentence: str) -> None:
        self.taken.append((self.title.split(":")[0], len(self.steps) - sum(steps for _, steps in self.taken)))


def a_timed_fit(
    plan: Plan, way: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock, resume: bool = False
) -> tuple[Composition, Plan]:
    """Layer by layer, and then as one, if there is time."""
    for module in (pretraining, training):
        monkeypatch.setattr(module, "time", clock)
    stack, feed = a_stack(), a_feed()
    left = pretrain(stack, feed, plan, way, progress=clock, resume=resume)
    if left.epochs:
        train(stack, feed, left, progress=clock, title="all", resume=resume)
    return stack, left


LONG = Greedy(Mask(0.3), epochs=100)


@pytest.mark.parametrize("way", [LONG, Boltzmann(epochs=100)], ids=["denoising", "machines"])
def test_time_is_shared_by_the_layers_and_the_training_as_one(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 s for four: 15, and the step that crosses the line; a third of 44, half of 29, and the 14 that are left."""
    clock = Clock()
    _, left = a_timed_fit(replace(PLAN, epochs=100, max_time=60.0), way, monkeypatch, clock)
    assert left == replace(PLAN, epochs=100, max_time=14.0)
    assert clock.taken == [("layer 1 of 3", 16), ("layer 2 of 3", 15), ("layer 3 of 3", 15), ("all 100", 15)]


def test_what_a_layer_does_not_need_is_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 steps each, in 60 s: nobody is cut short."""
    clock = Clock()
    _, left = a_timed_fit(replace(PLAN, max_time=60.0), GREEDY, monkeypatch, clock)
    assert left.max_time == 30.0
    assert [steps for _, steps in clock.taken] == [10, 10, 10, 25]


def test_without_joint_training_the_layers_have_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    _, left = a_timed_fit(replace(PLAN, epochs=0, max_time=60.0), LONG, monkeypatch, clock)
    assert (left.epochs, left.checkpoint) == (0, None)
    assert [steps for _, steps in clock.taken] == [21, 20, 20]


def test_time_that_ends_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layer 1 has had its share; the second step of layer 2 takes all the rest. A resumed fit goes on in layer 2,
    with the layer 1 that it was begun on."""
    plan = replace(PLAN, epochs=100, max_time=60.0, checkpoint=str(tmp_path))
    clock = Clock(slow={18: 100.0})
    stack, left = a_timed_fit(plan, LONG, monkeypatch, clock)
    assert (left.epochs, left.checkpoint) == (0, None)
    assert [steps for _, steps in clock.taken] == [16, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer-1", "layer-2"]
    again = Clock()
    resumed, left = a_timed_fit(plan, LONG, monkeypatch, again, resume=True)
    # Layer 1 took nothing: a third of 60, half of 39, and the rest.
    assert again.taken == [("layer 1 of 3", 0), ("layer 2 of 3", 21), ("layer 3 of 3", 20), ("all 100", 20)]
    assert left.checkpoint == plan.checkpoint
    kept = torch.rand(3, FEATURES)
    assert not torch.equal(resumed.encoder(kept, Context((FEATURES,))), stack.encoder(kept, Context((FEATURES,))))


def test_killed_in_a_later_layer_than_one_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer cut short is kept as it was then, so that the fit goes on as if it had not been killed."""
    plan = replace(PLAN, epochs=0, max_time=60.0)
    whole, _ = a_timed_fit(replace(plan, max_time=32.0), replace(LONG, epochs=4), monkeypatch, Clock())
    plan = replace(plan, max_time=32.0, checkpoint=str(tmp_path), checkpoint_every=-1.0)
    with pytest.raises(KeyboardInterrupt):
        a_timed_fit(plan, replace(LONG, epochs=4), monkeypatch, Clock(stop_at=13))
    again = Clock()
    resumed, _ = a_timed_fit(replace(plan, max_time=1e9), replace(LONG, epochs=4), monkeypatch, again, resume=True)
    assert [steps for _, steps in again.taken] == [0, 20 - 1, 20]
    assert torch.equal(whole.encoder.weight(0), resumed.encoder.weight(0))
    assert torch.equal(whole.decoder.weight(-1), resumed.decoder.weight(-1))


def test_a_new_fit_forgets_what_lies_in_the_folders(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path), checkpoint_every=0.0)
    a_whole_fit(GREEDY, plan)
    with pytest.raises(KeyboardInterrupt):
        a_whole_fit(GREEDY, plan, stop_at=3)
    assert [path.parent.name for path in tmp_path.rglob("*.safetensors")] == ["layer-1"]


def test_a_checkpoint_of_another_layer_is_refused(tmp_path: Path) -> None:
    plan = replace(PLAN, checkpoint=str(tmp_path))
    a_whole_fit(GREEDY, plan)
    (tmp_path / "layer-1" / "last.safetensors").rename(tmp_path / "layer-2" / "last.safetensors")
    with pytest.raises(ForeignCheckpointError, match="layer: 1 there, 2 now"):
        a_whole_fit(GREEDY, plan, resume=True)


def test_the_layers_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    titles: list[str] = []

    class Titles(Recorder):
        def start(self, title: str, epochs: int) -> None:
            titles.append(f"{title}, {epochs} epochs")

    pretrain(a_stack(), a_feed(), PLAN, GREEDY, progress=Titles())
    assert titles == [
        "layer 1 of 3: 5 -> 8, 2 epochs",
        "layer 2 of 3: 8 -> 6, 2 epochs",
        "layer 3 of 3: 6 -> 4, 2 epochs",
    ]
    pretrain(a_stack(), a_feed(), PLAN, GREEDY)
    told = capsys.readouterr()
    assert told.out + told.err == ""


# ---------------------------------------------------------------------- Boltzmann machines


def a_machine(visible: str, features: int = 3, units: int = 4) -> BoltzmannMachine:
    machine = BoltzmannMachine(features, units, visible, torch.Generator().manual_seed(0)).double()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in machine.parameters():
            weights.normal_(0, 0.9, generator=draw)
    return machine


def corners(size: int) -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=size)), dtype=torch.float64)


def energies(machine: BoltzmannMachine, x: Tensor, h: Tensor) -> Tensor:
    """(rows of x, rows of h), written out from the formula."""
    joint = -(x @ machine.weight @ h.T) - (h @ machine.hidden_bias)[None]
    if machine.gaussian:
        return joint + 0.5 * (x - machine.visible_bias).square().sum(1)[:, None]
    return joint - (x @ machine.visible_bias)[:, None]


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_the_free_energy_sums_over_all_hidden_states(visible: str) -> None:
    machine = a_machine(visible)
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = (x > 0).double() if visible == "bernoulli" else x
    brute = -torch.logsumexp(-energies(machine, x, corners(4)), dim=1)
    torch.testing.assert_close(machine.free_energy(x), brute, rtol=1e-12, atol=1e-12)


def test_linear_hidden_units() -> None:
    """Free energy, conditional mean and partition function, by a fine grid over the only hidden unit."""
    machine = BoltzmannMachine(3, 1, "bernoulli", torch.Generator().manual_seed(0), linear=True).double()
    machine.requires_grad_(False)
    for weights in machine.parameters():
        weights.normal_(0, 0.9, generator=torch.Generator().manual_seed(weights.numel()))
    x, h = corners(3), torch.linspace(-12, 12, 4801, dtype=torch.float64)[:, None]
    energy = energies(machine, x, h) + 0.5 * h.square()[:, 0]
    step, normal = float(h[1] - h[0]), 0.5 * math.log(2 * math.pi)
    brute = -(torch.logsumexp(-energy, dim=1) + math.log(step) - normal)
    torch.testing.assert_close(machine.free_energy(x), brute, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(machine.heard(x), torch.softmax(-energy, dim=1) @ h, rtol=1e-10, atol=1e-10)
    drawn = machine.gibbs(torch.zeros(20_000, 3, dtype=torch.float64), 30, torch.Generator().manual_seed(0))
    number = (drawn @ torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)).long()
    shares = torch.bincount(number, minlength=8) / len(drawn)
    torch.testing.assert_close(shares.double(), torch.softmax(-machine.free_energy(x), 0), rtol=0, atol=0.015)


def test_a_linear_code_is_pretrained_too() -> None:
    stack, feed = a_stack(bottleneck=Plain()), a_feed()
    pretrain(stack, feed, PLAN, Boltzmann(epochs=2))
    machine = BoltzmannMachine(6, 4, "bernoulli", torch.Generator().manual_seed(PLAN.seed), linear=True)
    assert torch.equal(stack.encoder.linear[-1].weight, stack.decoder.linear[0].weight.T)
    assert not torch.allclose(machine.weight, stack.decoder.linear[0].weight)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_conditional_probabilities(visible: str) -> None:
    """p(h = 1 | x) and E[x | h] by counting, against what the units hear and are told."""
    machine = a_machine(visible)
    h = corners(4)
    x = corners(3) if visible == "bernoulli" else torch.randn(5, 3, dtype=torch.float64)
    posterior = torch.softmax(-energies(machine, x, h), dim=1)
    torch.testing.assert_close(torch.sigmoid(machine.heard(x)), posterior @ h, rtol=1e-12, atol=1e-12)
    if visible == "bernoulli":
        given_h = torch.softmax(-energies(machine, x, h), dim=0)
        torch.testing.assert_close(torch.sigmoid(machine.told(h)), given_h.T @ x, rtol=1e-12, atol=1e-12)
    else:  # a parabola in x for every h: its top is the mean
        axis = machine.told(h).detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(energies(machine, axis, h).diagonal().sum(), axis)
        assert slope.abs().max() < 1e-12


def test_both_sums_give_the_same_partition_function() -> None:
    """log Z over all visible states of exp(-F), over all pairs of states, and, with the roles changed, over all hidden
    ones."""
    machine = a_machine("bernoulli")
    x, h = corners(3), corners(4)
    machine.requires_grad_(False)
    by_rows = torch.logsumexp(-machine.free_energy(x), 0)
    by_pairs = torch.logsumexp(-energies(machine, x, h).flatten(), 0)
    by_hidden = torch.logsumexp(h @ machine.hidden_bias + torch.nn.functional.softplus(machine.told(h)).sum(1), 0)
    assert float(by_rows) == pytest.approx(float(by_pairs), abs=1e-12)
    assert float(by_rows) == pytest.approx(float(by_hidden), abs=1e-12)


def exact_gradient(machine: BoltzmannMachine, data: Tensor) -> Tensor:
    """Of minus the mean log-likelihood, log Z by summing over all states (Gaussian: over all hidden ones)."""
    h = corners(4)
    if machine.gaussian:  # the integral of exp(-|x - b|^2/2 + x.Wh) is that of a normal: exp(b.Wh + |Wh|^2/2)
        pulled = h @ machine.weight.T
        log_z = torch.logsumexp(
            h @ machine.hidden_bias + pulled @ machine.visible_bias + 0.5 * pulled.square().sum(1), 0
        )
    else:
        log_z = torch.logsumexp(-machine.free_energy(corners(3)), 0)
    cost = machine.free_energy(data).mean() + log_z
    return torch.cat([g.flatten() for g in torch.autograd.grad(cost, list(machine.parameters()))])


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_long_chains_approach_the_gradient_of_the_likelihood(visible: str) -> None:
    """The expected contrastive gradient nears the exact one as the chain grows longer; one step is biased."""
    machine = a_machine(visible)
    generator = torch.Generator().manual_seed(3)
    few = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    exact = exact_gradient(machine, few)
    data = few.repeat(20_000, 1)

    def distance(steps: int) -> float:
        cost = machine.contrast(data, steps, generator).mean()
        found = torch.cat([g.flatten() for g in torch.autograd.grad(cost, list(machine.parameters()))])
        return float((found - exact).norm() / exact.norm())

    short, long = distance(1), distance(30)
    assert short > 0.04
    assert long < 0.02


def test_a_machine_learns_the_density_of_its_rows() -> None:
    """The exact log-likelihood of two patterns rises from that of coins to near that of knowing both."""
    rows = np.tile([[1, 1, 0, 0, 1], [0, 0, 1, 1, 0]], (40, 1)).astype(np.float32)
    source = ArraySource(rows[:, None])
    feed = Feed(source, Scaling.fit(source, mode="none"), np.arange(80), np.arange(0))
    machine = BoltzmannMachine(5, 4, "bernoulli", torch.Generator().manual_seed(0))
    train(pretraining.BoltzmannLayer(machine, 1), feed, Plan(epochs=60, batch_size=16, learning_rate=0.05, seed=0))
    machine.double().requires_grad_(False)
    log_z = torch.logsumexp(-machine.free_energy(corners(5)), 0)
    likelihood = float((-machine.free_energy(torch.from_numpy(rows).double()) - log_z).mean())
    assert likelihood > -1.0  # coins: 5 log(1/2) = -3.47; the best there is: log(1/2) = -0.69


def test_the_last_state_of_a_machine_is_kept() -> None:
    """However the reconstruction of held-out rows fared."""
    feed = a_feed()
    layers = [pretraining.BoltzmannLayer(BoltzmannMachine(5, 6, "gaussian", torch.Generator().manual_seed(0)), 1)
              for _ in range(2)]  # fmt: skip
    states = [train(layers[0], feed, replace(PLAN, patience=1, epochs=30))]
    feed.held_out, feed.watched = feed.held_out[:0], feed.train
    states.append(train(layers[1], feed, replace(PLAN, epochs=30)))
    assert [state.best_epoch for state in states] == [30, 30]
    assert same_tensors(layers[0].state_dict(), layers[1].state_dict())


def test_gibbs_steps_draw_from_the_machine() -> None:
    """After many steps, states come as often as their free energies say."""
    machine = a_machine("bernoulli")
    drawn = machine.gibbs(torch.zeros(40_000, 3, dtype=torch.float64), 30, torch.Generator().manual_seed(0))
    number = (drawn @ torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)).long()
    shares = torch.bincount(number, minlength=8) / len(drawn)
    torch.testing.assert_close(shares.double(), torch.softmax(-machine.free_energy(corners(3)), 0), rtol=0, atol=0.01)


def test_a_machine_starts_at_the_means() -> None:
    x = torch.tensor([[0.0, 0.2], [0.0, 0.6]])
    machine = BoltzmannMachine(2, 3, "bernoulli", torch.Generator())
    machine.start_from(x)
    torch.testing.assert_close(torch.sigmoid(machine.visible_bias), torch.tensor([0.01, 0.4]))
    machine = BoltzmannMachine(2, 3, "gaussian", torch.Generator())
    machine.start_from(x)
    torch.testing.assert_close(machine.visible_bias, torch.tensor([0.0, 0.4]))


def test_a_machine_as_decoder_keeps_the_shape_of_rows() -> None:
    machine = BoltzmannMachine(6, 3, "bernoulli", torch.Generator())
    down = Downwards(machine)
    assert down(torch.zeros(2, 3), Context((3, 2))).shape == (2, 3, 2)
    assert not list(down.parameters())


# ---------------------------------------------------------------------- descriptions and refusals


@pytest.mark.parametrize("way", [*WAYS.values(), Greedy(), Boltzmann(steps=3)], ids=str)
def test_json_round_trip(way: Any) -> None:
    assert from_json(to_json(way)) == way


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Greedy(epochs=0), "Greedy: epochs must be a whole number >= 1, or None .*; got 0"),
        (lambda: Greedy(epochs=True), "got True"),
        (lambda: Greedy(learning_rate=0.0), "Greedy: learning_rate must be > 0, or None .*; got 0.0"),
        (lambda: Greedy(corruption=0.3), r"Greedy: corruption must be a part such as Mask\(0.25\), or None; got 0.3"),
        (lambda: Greedy(corruption=Mask), "Greedy: corruption must be a part"),
        (lambda: Greedy(penalties=(0.1,)), r"Greedy: penalties must be parts such as L1\(0.1\); got \(0.1,\)"),
        (
            lambda: Greedy(penalties=[L1(0.2), L1(0.3, layer="encoder.hidden.0")]),
            r"Greedy: penalties must have layer='code': .*; got L1\(weight=0.3, layer='encoder.hidden.0'\). Leave",
        ),
        (
            lambda: recipes.stacked(penalties=L1(0.1, layer="encoder.linear.0")).parts(),
            "penalties must have layer='code'",
        ),
        (lambda: Boltzmann(steps=0), "Boltzmann: steps must be a whole number >= 1; got 0"),
        (lambda: Boltzmann(epochs=-1), "Boltzmann: epochs must be"),
    ],
)
def test_bad_descriptions(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_one_penalty_needs_no_tuple() -> None:
    assert Greedy(penalties=L1(0.2)) == Greedy(penalties=(L1(0.2),))


@pytest.mark.parametrize(
    ("make", "way", "words"),
    [
        (
            lambda: own_modules(nn.Linear(FEATURES, 2)),
            GREEDY,
            r"^network: only the layers of a Dense network .* \(pretraining\); got Linear. Use network=Dense",
        ),
        (
            lambda: a_stack(network={"norm": "layer"}),
            GREEDY,
            r"^network: layers trained one by one \(pretraining\) have no norm .*; got Dense\(norm='layer'\). "
            "Use norm=None, or another kind",
        ),
        (lambda: a_stack(network={"norm": "batch"}), GREEDY, r"got Dense\(norm='batch'\)"),
        (
            lambda: a_stack(network={"linear_path": True}),
            GREEDY,
            r"got Dense\(linear_path=True\). Use linear_path=False, or another kind",
        ),
        (
            lambda: blocks(network={"norm": "group"}),
            GREEDY,
            r"^network: layers trained one by one \(pretraining\) have no norm and no residual blocks; got "
            r"Convolutional\(norm='group'\). Use norm=None, or another kind",
        ),
        (lambda: blocks(network={"residual": 1}), GREEDY, r"got Convolutional\(residual=1\). Use residual=0, or"),
        (
            blocks,
            Boltzmann(),
            r"^network: Boltzmann machines \(pretraining\) are fully connected layers; got Convolutional. Use "
            r"network=Dense\(\(500, 200\)\), or layers that are autoencoders: method='stacked'",
        ),
        (recurrent, Boltzmann(), r"layers; got Recurrent. Use network=Dense\(\(500, 200\)\), or another kind"),
        (
            recurrent,
            GREEDY,
            r"^network: only .* \(pretraining\); got Recurrent. Use network=Dense\(\(500, 200\)\) or Convolutional\(\)",
        ),
        (a_stack, Mask(0.2), r"pretraining must be Greedy\(\), Boltzmann\(\) or None; got Mask"),
        (
            lambda: a_stack(hidden=(), bottleneck=Plain()),
            Boltzmann(),
            r"^bottleneck: the units of Boltzmann machines .*; got Plain\(\). Use Plain\('sigmoid'\) or layers that",
        ),
        (
            lambda: a_stack(bottleneck=Plain("tanh")),
            Boltzmann(),
            r"^bottleneck: .* sigmoid ones, .*; got Plain\(activation='tanh'\). Use Plain\('sigmoid'\), Plain\(\) or",
        ),
        (
            lambda: a_stack(network={"activation": "relu"}),
            Boltzmann(),
            r"^network: the units of Boltzmann machines .*; got Dense\(activation='relu'\). Use activation='sigmoid'",
        ),
        (
            lambda: a_stack(network={"output_activation": "relu"}),
            Boltzmann(),
            r"^network: .* with SquaredLoss output_activation must be one of sigmoid, bounded, identity; "
            "got 'relu'",
        ),
        (
            lambda: a_stack(network={"output_activation": "sigmoid"}, loss=Bernoulli()),
            Boltzmann(),
            "^network: .* with Bernoulli output_activation must be one of identity; got 'sigmoid'",
        ),
        (
            lambda: a_stack(loss=Poisson()),
            Boltzmann(),
            r"^loss: the visible units .*; got Poisson. Use loss=Bernoulli\(\) or loss=Squared\(\)",
        ),
        (
            lambda: a_stack(network={"output_activation": "bounded", "tied": True}),
            Boltzmann(),
            "^tied: machines .* cannot share weights. Use tied=False",
        ),
        (lambda: a_stack(loss=Bernoulli()), Boltzmann(), r"^network: .* units need values in \[0, 1\], but there are"),
    ],
)
def test_refusals(make: Any, way: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pretrain(make(), a_feed(), PLAN, way)


@pytest.mark.parametrize("corruption", [MaskPatches(0.5, size=2), MaskPatches(0.3, tell=True)], ids=str)
def test_patches_are_of_images_and_upper_layers_see_none(corruption: Any) -> None:
    """Refused before the first step; a single layer, which sees the images, takes them."""
    feed, way = images(), Greedy(corruption, epochs=1)
    deep, flat = (Parts(network=Dense(hidden, activation="sigmoid")) for hidden in ((8,), ()))
    told = Recorder()
    with pytest.raises(InputError, match=r"^corruption: .* a corruption of single cells such as Mask\(0.[53]\), or"):
        pretrain(deep.build(feed.source.layout, 3, torch.Generator()), feed, PLAN, way, progress=told)
    assert told.title == ""
    pretrain(flat.build(feed.source.layout, 3, torch.Generator()), feed, PLAN, way)


def test_missing_cells_are_refused_by_machines() -> None:
    layer = pretraining.BoltzmannLayer(BoltzmannMachine(2, 3, "gaussian", torch.Generator()), 1)
    batch = Batch(torch.zeros(4, 2), Layout((2,), ("column",)), weight=torch.ones(4, 2))
    with pytest.raises(InputError, match="needs rows without missing cells"):
        layer.start(batch)


def test_the_visible_units_follow_from_the_output() -> None:
    def units(**more: Any) -> str:
        return pretraining.visible_units(pretraining.stack_of(a_stack(**more), Boltzmann()))

    assert units() == "gaussian"
    assert units(loss=Bernoulli()) == "bernoulli"
    assert units(network={"output_activation": "sigmoid"}) == "bernoulli"
    assert units(network={"output_activation": "bounded"}) == "bernoulli"


def test_unit_rows_meet_bernoulli_units() -> None:
    feed, stack = unit_feed(), a_stack(loss=Bernoulli())
    before = evaluate(stack, feed, 0).cost
    pretrain(stack, feed, PLAN, Boltzmann(epochs=5))
    assert evaluate(stack, feed, 0).cost < before
