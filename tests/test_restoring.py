"""The restoring network: any size, the start at the identity, and the tiles it can be cut into."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus.composition import compose
from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.scaled import Squared
from isthmus.parts.networks.restoring import Restoring
from isthmus.records import Batch, Context, Layout, Pass, from_json, to_json

AXES = {1: ("step",), 2: ("height", "width"), 3: ("frame", "height", "width")}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layout_of(*shape: int, deep: bool = False) -> Layout:
    return Layout(shape, (*AXES[len(shape) - deep], *["channel"] * deep))


def built(network: Restoring, layout: Layout, seed: int = 0, **more: Any) -> tuple[Any, Any]:
    size = network.code_size(layout)
    return network.build(layout, size, size, layout.features, generator(seed), **more)


def awake(network: Restoring, layout: Layout, **more: Any) -> tuple[Any, Any]:
    """Encoder and decoder in float64 whose every weight is random, those of the last layer included."""
    encoder, decoder = built(network, layout, **more)
    source = generator(1)
    for weights in (*encoder.double().parameters(), *decoder.double().parameters()):
        weights.data.add_(torch.empty_like(weights).normal_(0, 0.1, generator=source))
    return encoder, decoder


def restored(pair: tuple[Any, Any], x: Tensor, **more: Any) -> Tensor:
    encoder, decoder = pair
    context = Context(tuple(x.shape[1:]), **more)
    return decoder(encoder(x, context), context)


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


SMALL = Restoring(channels=4, levels=2, blocks=1)


@torch.no_grad()
@pytest.mark.parametrize(
    ("shape", "deep"),
    [
        ((1,), False),
        ((13,), False),
        ((13, 3), True),
        ((1, 2), False),
        ((28, 28), False),
        ((5, 7, 3), True),
        ((3, 5, 6), False),
        ((2, 9, 4, 3), True),
    ],
)
def test_any_shape_and_a_code_of_the_size_that_it_says(shape: tuple[int, ...], deep: bool) -> None:
    layout = layout_of(*shape, deep=deep)
    encoder, decoder = awake(SMALL, layout)
    code = encoder(noise(2, *shape), Context(shape))
    assert code.shape == (2, SMALL.code_size(layout))
    assert decoder(code, Context(shape)).shape == (2, *shape)


def test_the_size_of_the_code_by_hand() -> None:
    assert Restoring(channels=8, levels=3).code_size(layout_of(28, 28)) == 784 + 16**2 * 8 + 8**2 * 16 + 4**2 * 32
    assert Restoring(channels=8, levels=1, residual=False).code_size(layout_of(5, 3, deep=True)) == 3 * 8


@torch.no_grad()
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_untrained_it_changes_nothing(dimensions: int) -> None:
    shape = (9, 6, 5)[:dimensions]
    x = noise(2, *shape).float()
    assert torch.equal(restored(built(SMALL, layout_of(*shape)), x), x)


@torch.no_grad()
def test_without_the_residual_output_the_picture_is_not_in_the_code() -> None:
    network = Restoring(channels=4, levels=2, residual=False)
    out = restored(built(network, layout_of(8, 8)), torch.zeros(1, 8, 8))
    assert float(out.abs().max()) < 1e-6  # weights start without biases: nothing in, nothing out
    x = noise(1, 8, 8).float()
    assert 0 < float(restored(built(network, layout_of(8, 8)), x).std()) < 10


@torch.no_grad()
def test_one_network_serves_every_size() -> None:
    pair = awake(SMALL, layout_of(8, 8))
    assert restored(pair, noise(1, 21, 6)).shape == (1, 21, 6)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_inside_of_a_tile_is_that_of_the_whole(dimensions: int, dtype: torch.dtype, tolerance: float) -> None:
    """A tile that begins at a multiple of the stride, and another picture's pixels beyond it, change nothing."""
    network = Restoring(channels=3, levels=1, blocks=1) if dimensions == 3 else SMALL
    stride, reach = network.stride, network.reach
    start, side = 2 * stride, 2 * reach + 2 * stride + 1  # odd: the last block is made up
    shape = (start + side,) * dimensions
    pair = awake(network, layout_of(*shape))
    for part in pair:
        part.to(dtype)
    x = noise(1, *shape).to(dtype)
    tile = x[(slice(None), *[slice(start, None)] * dimensions)]
    whole = restored(pair, x)[(slice(None), *[slice(start + reach, None)] * dimensions)]
    inside = restored(pair, tile)[(slice(None), *[slice(reach, None)] * dimensions)]
    assert whole.numel() > 0
    assert float((whole - inside).abs().max()) < tolerance


@pytest.mark.parametrize(
    "network",
    [
        SMALL,
        Restoring(channels=2, levels=1),
        Restoring(channels=2, levels=3),
        Restoring(channels=2, levels=2, blocks=3),
    ],
)
def test_the_reach_is_the_receptive_field(network: Restoring) -> None:
    """What the output of one block reads, by gradients: no pixel beyond the reach, and some in its last stride."""
    pair = awake(network, layout_of(8))
    stride, reach = network.stride, network.reach
    x = noise(1, 4 * reach).requires_grad_()
    block = slice(2 * reach, 2 * reach + stride)
    weights = noise(stride, seed=3)
    (gradient,) = torch.autograd.grad((restored(pair, x)[0, block] * weights).sum(), x)
    read = gradient[0].nonzero().flatten()
    low, high = block.start - int(read.min()), int(read.max()) - block.stop + 1
    assert reach - stride < max(low, high) <= reach


def test_gradients_in_float64() -> None:
    layout = layout_of(3, 5, deep=False)
    encoder, decoder = awake(Restoring(channels=2, levels=1, blocks=1, activation="tanh"), layout)
    context = Context(layout.shape)
    parameters = [*encoder.parameters(), *decoder.parameters()]

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return decoder(encoder(x, context), context)

    assert torch.autograd.gradcheck(run, (noise(1, 3, 5).requires_grad_(), *parameters))


@torch.no_grad()
def test_a_longer_padding_changes_no_step_of_a_row() -> None:
    pair = awake(SMALL, layout_of(40, 2, deep=True))
    x = noise(3, 40, 2)
    lengths = torch.tensor([40, 13, 1])
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    together = restored(pair, x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = restored(pair, x[row : row + 1, :length])
        assert float((together[row, :length] - alone[0]).abs().max()) < 1e-12


@torch.no_grad()
def test_what_is_given_and_told_is_read() -> None:
    layout = layout_of(6, 6)
    pair = awake(SMALL, layout, given_size=2, told=True)
    x, given, level = noise(2, 6, 6), noise(2, 2), torch.tensor([0.1, 0.5]).double()
    base = restored(pair, x, given=given, level=level)
    assert float((restored(pair, x, given=given, level=2 * level) - base).abs().max()) > 1e-6
    assert float((restored(pair, x, given=given + 1, level=level) - base).abs().max()) > 1e-6
    with pytest.raises(InputError, match="told how strong the noise is"):
        restored(pair, x, given=given)
    with pytest.raises(InputError, match="reads 2 given numbers per row"):
        restored(pair, x, level=level)


@torch.no_grad()
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    pair = awake(SMALL, layout_of(9, 9))
    x = noise(4, 9, 9)
    assert torch.allclose(restored(pair, x)[2:3], restored(pair, x[2:3]), atol=1e-12)


@torch.no_grad()
def test_the_same_generator_gives_the_same_weights() -> None:
    state = torch.get_rng_state()
    first, second, other = (built(SMALL, layout_of(8, 8), seed)[0].state_dict() for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["entry.weight"], other["entry.weight"])


def test_several_numbers_per_feature_without_the_residual_output() -> None:
    layout, network = layout_of(6, 6, 2, deep=True), Restoring(channels=4, levels=2, residual=False)
    size = network.code_size(layout)
    encoder, decoder = network.build(layout, size, size, 3 * layout.features, generator())
    context = Context(layout.shape)
    assert decoder(encoder(torch.zeros(5, 6, 6, 2), context), context).shape == (5, 3, 6, 6, 2)


def test_it_learns_to_take_noise_away() -> None:
    """Straight edges under noise of standard deviation .3: the error falls below a third in a few seconds."""
    network, layout = Restoring(channels=8, levels=2, blocks=1), layout_of(16, 16)
    encoder, decoder = built(network, layout)
    model = compose(encoder, Plain(), decoder, Squared())
    optimiser, source = torch.optim.Adam(model.parameters(), lr=5e-3), generator(5)

    def pictures(rows: int) -> Tensor:
        place = torch.arange(16.0)
        edges = torch.rand(rows, 2, generator=source) * 16
        return ((place[:, None] > edges[:, :1, None]) != (place > edges[:, 1:, None])).float()

    def error(rows: int) -> Tensor:
        clean = pictures(rows)
        noisy = clean + 0.3 * torch.randn(clean.shape, generator=source)
        trace = model.trace(Batch(noisy, layout), Pass(source, training=True))
        return (trace.out - clean).square().mean()

    for _ in range(120):
        optimiser.zero_grad()
        error(16).backward()
        optimiser.step()
    with torch.no_grad():
        assert float(error(200)) < 0.03  # the noise has .09


def test_what_it_refuses() -> None:
    for knob, value in {"channels": 0, "levels": 1.5, "blocks": True}.items():
        with pytest.raises(InputError, match=f"Restoring: {knob} must be a whole number >= 1"):
            Restoring(**{knob: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="activation must be one of"):
        Restoring(activation="swoosh")
    with pytest.raises(InputError, match="residual must be True or False"):
        Restoring(residual=1)  # type: ignore[arg-type]
    layout = layout_of(8, 8)
    size = SMALL.code_size(layout)
    for wrong in ((10, 10), (2 * size, size)):
        with pytest.raises(InputError, match=f"code holds every map, {size} numbers .* such as Plain"):
            SMALL.build(layout, *wrong, layout.features, generator())
    with pytest.raises(InputError, match="residual output is one number per feature; this loss wants 2"):
        SMALL.build(layout, size, size, 2 * layout.features, generator())
    with pytest.raises(InputError, match="corrects numbers"):
        SMALL.build(layout, size, size, layout.features, generator(), categories=5)
    with pytest.raises(InputError, match="one, two or three axes"):
        SMALL.code_size(Layout((2, 2, 2, 2), ("a", "frame", "height", "width")))


def test_it_is_written_as_data_and_read_back() -> None:
    network = Restoring(channels=7, activation="relu")
    assert from_json(to_json(network)) == network
    assert network.resolve(784, 3) is network
