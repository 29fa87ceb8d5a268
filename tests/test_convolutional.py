"""The convolutional network: the brief's denoiser layer by layer, sizes, maps, what is read beside, refusals."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import isthmus as ist
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.parts.jacobian import jacobian
from isthmus.parts.networks.convolutional import Convolutional, ConvolutionalDecoder, ConvolutionalEncoder
from isthmus.parts.networks.grid import GroupNorm, Residual, enlarged, fitted, norm_of
from isthmus.parts.penalties.sparsity import L1
from isthmus.recipes import RECIPES, Kind, Parts
from isthmus.records import Batch, Context, Layout, Pass, from_json, to_json

AXES = {1: ("step",), 2: ("height", "width"), 3: ("frame", "height", "width")}
BRIEF = Convolutional((64, 32, 16), down="max", activation="relu", code="map")


def layout_of(*shape: int, channels: int = 0) -> Layout:
    return Layout((*shape, channels), (*AXES[len(shape)], "channel")) if channels else Layout(shape, AXES[len(shape)])


def pair(
    network: Convolutional, layout: Layout, code: int = 5, maps: int = 1, numbers: int = 1, **more: Any
) -> tuple[ConvolutionalEncoder, ConvolutionalDecoder]:
    """Encoder and decoder in float64."""
    code = network.code_size(layout) or code
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = network.build(layout, maps * code, code, numbers * layout.features, generator, **more)
    return encoder.double(), decoder.double()


def some(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def maps_between(module: nn.Module, *inputs: Any) -> list[tuple[int, ...]]:
    """The sizes of what goes into every convolution but residual ones, and of what the last gives."""
    seen: list[tuple[int, ...]] = []
    layers = [layer for name, layer in module.named_modules() if hasattr(layer, "kernel_size") and "resid" not in name]

    def note(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(tuple(given[0].shape[2:]))

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    module(*inputs)
    for handle in handles:
        handle.remove()
    return seen


# ---------------------------------------------------------------------- the brief's denoiser


def briefs_layers() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 64), (64, 32), (32, 16)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    for inputs, outputs, padding in ((16, 16, 1), (16, 32, 1), (32, 64, 0)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=padding), nn.ReLU(), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1)).double()


def test_the_briefs_denoiser_is_one_call() -> None:
    encoder, decoder = pair(BRIEF, layout_of(28, 28))
    bare = briefs_layers()
    ours = [*encoder.convolution, *decoder.convolution, decoder.last]
    theirs = [layer for layer in bare if isinstance(layer, nn.Conv2d)]
    for mine, layer in zip(ours, theirs, strict=True):
        layer.load_state_dict(mine.state_dict())
    count = sum(weights.numel() for part in (encoder, decoder) for weights in part.parameters())
    assert count == sum(weights.numel() for weights in bare.parameters()) == 49_761
    x = some(3, 28, 28)
    context = Context((28, 28))
    hidden = encoder(x, context)
    code = bare[:9](x[:, None])
    assert code.shape == (3, 16, 4, 4)
    torch.testing.assert_close(hidden, code.movedim(1, -1).flatten(1))  # position by position
    torch.testing.assert_close(decoder(hidden, context), bare(x[:, None])[:, 0])


def test_the_briefs_sizes_layer_by_layer() -> None:
    encoder, decoder = pair(BRIEF, layout_of(28, 28))
    assert maps_between(encoder, some(1, 28, 28), Context((28, 28))) == [(28, 28), (14, 14), (7, 7)]
    assert maps_between(decoder, some(1, 256), Context((28, 28))) == [(4, 4), (8, 8), (16, 16), (28, 28)]
    assert [layer.padding for layer in decoder.convolution] == [(1, 1), (1, 1), (0, 0)]
    assert BRIEF.code_size(layout_of(28, 28)) == BRIEF.code_size(layout_of(28, 28, channels=1)) == 4 * 4 * 16


def test_gradients_are_those_of_the_bare_layers() -> None:
    """Pooled before the activation: the gradient must not notice."""
    encoder, _ = pair(BRIEF, layout_of(9, 10))
    bare = briefs_layers()[:9]
    for mine, layer in zip(encoder.convolution, bare[::3], strict=True):
        layer.load_state_dict(mine.state_dict())
    x = some(2, 9, 10)
    encoder(x, Context((9, 10))).square().sum().backward()
    bare(x[:, None]).square().sum().backward()
    torch.testing.assert_close(encoder.convolution[0].weight.grad, bare[0].weight.grad)


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize("code", ["vector", "map"])
@pytest.mark.parametrize("down", ["stride", "max", "average"])
@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (21,), (1, 1), (6, 7), (2, 33), (1, 5, 6), (5, 1, 2), (4, 5, 9)], ids=str
)
def test_rows_of_any_size_come_back(sizes: tuple[int, ...], down: str, code: str) -> None:
    network = Convolutional((4, 6, 3), down=down, code=code, dense=(7,) if code == "vector" else ())
    for channels, numbers in ((0, 1), (1, 2), (3, 1), (3, 2)):
        layout = layout_of(*sizes, channels=channels)
        encoder, decoder = pair(network, layout, numbers=numbers)
        hidden = encoder(some(2, *layout.shape), Context(layout.shape))
        smallest = [math.ceil(size / 8) for size in sizes]
        assert hidden.shape == (2, math.prod(smallest) * 3 if code == "map" else 5)
        out = decoder(hidden, Context(layout.shape))
        assert out.shape == ((2, *layout.shape) if numbers == 1 else (2, numbers, *layout.shape))
        (out.square().sum()).backward()
        assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in encoder.parameters())


@pytest.mark.parametrize(
    ("size", "kernel", "levels", "sizes", "padding"),
    [
        (28, 3, 3, [4, 8, 16, 28], 0),  # a surplus of 2: no padding
        (28, 5, 3, [4, 8, 14, 28], 2),  # a surplus of 2 is not 4: cut
        (33, 3, 3, [5, 10, 17, 33], 1),  # a surplus of 3: cut; then 34 become 33
        (32, 3, 3, [4, 8, 16, 32], 1),  # nothing is cut
        (7, 3, 1, [4, 7], 1),
        (1, 3, 3, [1, 1, 1, 1], 1),  # never enlarged
        (2, 3, 3, [1, 2, 1, 2], 1),
        (28, 1, 3, [4, 8, 14, 28], 0),
    ],
)
def test_where_surplus_is_cut(size: int, kernel: int, levels: int, sizes: list[int], padding: int) -> None:
    network = Convolutional((4,) * levels, kernel=kernel, code="map")
    _, decoder = pair(network, layout_of(size))
    code = some(1, network.code_size(layout_of(size)) or 0)
    assert maps_between(decoder, code, Context((size,))) == [(there,) for there in sizes]
    assert decoder.convolution[-1].padding == (padding,)


def test_every_axis_is_cut_by_itself() -> None:
    _, decoder = pair(Convolutional((4, 4, 4), code="map"), layout_of(28, 33))
    assert decoder.convolution[-1].padding == (0, 1)
    assert maps_between(decoder, some(1, 4 * 5 * 4), Context((28, 33)))[2:] == [(16, 17), (28, 33)]


def test_enlarged_and_fitted() -> None:
    x = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert enlarged(x, (5,)).tolist() == [[[1, 1, 2, 2, 3, 3]]]
    assert enlarged(x, (1,)).tolist() == x.tolist()
    assert fitted(x, (2,)).tolist() == [[[1, 2]]]
    assert fitted(x, (5,)).tolist() == [[[1, 2, 3, 0, 0]]]
    assert fitted(x, (3,)) is x
    plane = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert fitted(plane, (3, 2)).tolist() == [[[[0, 1], [3, 4], [0, 0]]]]


@pytest.mark.parametrize("built_for", [16, 28])
def test_a_map_takes_rows_of_any_size(built_for: int) -> None:
    """Far from the ends, a larger picture is rebuilt as a part of it is, whatever size the network was built for."""
    network = Convolutional((5, 4, 3), down="max", code="map")
    encoder, decoder = pair(network, layout_of(built_for, built_for))
    x = some(2, 101, 120)
    whole = decoder(encoder(x, Context((101, 120))), Context((101, 120)))
    assert whole.shape == x.shape
    part = x[:, :80, :88]
    torch.testing.assert_close(
        decoder(encoder(part, Context((80, 88))), Context((80, 88)))[:, :40, :48], whole[:, :40, :48]
    )


def test_a_vector_code_belongs_to_one_size() -> None:
    encoder, decoder = pair(Convolutional((4, 4)), layout_of(6, 7))
    with pytest.raises(InputError, match=r"rows of one size, 6 x 7; got 6 x 8\. For rows of any size use .*code='map'"):
        encoder(some(1, 6, 8), Context((6, 8)))
    with pytest.raises(InputError, match=r"6 x 7; got 12 x 7"):
        decoder(some(1, 5), Context((12, 7)))


# ---------------------------------------------------------------------- codes


def test_a_vector_code_by_hand() -> None:
    """Two strided convolutions along one axis, a layer of 9, a code of 5, and the mirror image of it all."""
    network = Convolutional((4, 6), dense=(9,), activation="tanh")
    encoder, decoder = pair(network, layout_of(10, channels=2))
    x = some(3, 10, 2)
    first, second = encoder.convolution
    y = torch.tanh(F.conv1d(x.transpose(1, 2), first.weight, first.bias, stride=2, padding=1))
    y = torch.tanh(F.conv1d(y, second.weight, second.bias, stride=2, padding=1))
    assert y.shape == (3, 6, 3)
    inner, outer = encoder.dense.linear
    hidden = outer(torch.tanh(inner(y.transpose(1, 2).flatten(1))))
    torch.testing.assert_close(encoder(x, Context((10, 2))), hidden)
    inner, outer = decoder.dense.linear
    assert (inner.in_features, inner.out_features, outer.out_features) == (5, 9, 18)
    y = torch.tanh(outer(torch.tanh(inner(hidden)))).reshape(3, 3, 6).transpose(1, 2)
    y = torch.tanh(decoder.convolution[0](y)).repeat_interleave(2, dim=2)  # 3 -> 6, and 5 are wanted
    y = torch.tanh(decoder.convolution[1](y[..., :5])).repeat_interleave(2, dim=2)
    torch.testing.assert_close(decoder(hidden, Context((10, 2))), decoder.last(y).transpose(1, 2))


def test_several_maps_lie_one_after_the_other() -> None:
    """A bottleneck that wants means and scales can cut hidden in two: each half is a map, position by position."""
    encoder, _ = pair(Convolutional((4, 6), code="map"), layout_of(6, 7), maps=2)
    last: list[Tensor] = []
    encoder.maps.register_forward_hook(lambda _m, _i, out: last.append(out))
    mean, scale = encoder(some(3, 6, 7), Context((6, 7))).chunk(2, dim=1)
    assert last[0].shape == (3, 12, 2, 2)
    torch.testing.assert_close(mean.reshape(3, 2, 2, 6), last[0][:, :6].movedim(1, -1))
    torch.testing.assert_close(scale.reshape(3, 2, 2, 6), last[0][:, 6:].movedim(1, -1))


def test_a_decoder_reads_what_an_encoder_writes() -> None:
    """A change of one position's numbers moves the output around that position alone."""
    network = Convolutional((3, 2), code="map")
    _, decoder = pair(network, layout_of(32, 32))
    z = some(1, network.code_size(layout_of(32, 32)) or 0).reshape(1, 8, 8, 2)
    other = z.clone()
    other[0, 2, 6] += 1
    context = Context((32, 32))
    moved = (decoder(other.flatten(1), context) - decoder(z.flatten(1), context))[0].abs() > 1e-12
    rows, columns = (moved.any(axis).nonzero()[:, 0] for axis in (1, 0))
    assert (int(rows.min()), int(rows.max())) == (4 * 2 - 7, 4 * 3 - 1 + 7)
    assert (int(columns.min()), int(columns.max())) == (4 * 6 - 7, 31)


def test_a_code_of_another_size_is_refused() -> None:
    layout = layout_of(6, 7)
    network = Convolutional((4, 8), code="map")
    with pytest.raises(
        InputError, match=r"code_size: the code of .* is a map of 2 x 2 x 8 = 32 numbers; got 10\. Leave"
    ):
        network.build(layout, 10, 10, 42, torch.Generator())
    with pytest.raises(InputError, match=r"bottleneck: the code is a map of 32 numbers, .* needs 33\. Use Plain"):
        network.build(layout, 33, 32, 42, torch.Generator())
    with pytest.raises(InputError, match=r"a loss that wants 43 numbers per row of 42"):
        network.build(layout, 32, 32, 43, torch.Generator())
    assert Convolutional((4, 8)).code_size(layout) is None


# ---------------------------------------------------------------------- what is read beside, and categories


@pytest.mark.parametrize("code", ["vector", "map"])
def test_what_is_given_and_told_are_channels(code: str) -> None:
    network = Convolutional((4,), activation="identity", code=code)
    encoder, decoder = pair(network, layout_of(6, 7), given_size=2, told=True)
    x, given, level = some(3, 6, 7), some(3, 2), some(3).abs()
    context = Context((6, 7), given=given, level=level)
    planes = [x, *(value[:, None, None].expand(3, 6, 7) for value in (*given.T, torch.log(level + 0.01)))]
    expected = encoder.convolution[0](torch.stack(planes, dim=1)).movedim(1, -1).flatten(1)
    seen = encoder(x, context) if code == "map" else expected
    torch.testing.assert_close(seen, expected)
    hidden = encoder(x, context)
    out = decoder(hidden, context)
    changed = decoder(hidden, replace(context, given=given + 1))
    assert not torch.allclose(out, changed)
    if code == "vector":
        assert decoder.dense.linear[0].in_features == 5 + 2
    else:
        assert decoder.convolution[0].in_channels == 4 + 2
    with pytest.raises(InputError, match="given: this network reads 2 given numbers per row; none came"):
        decoder(hidden, Context((6, 7)))
    with pytest.raises(InputError, match="level: this encoder is told how strong the noise is; none came"):
        encoder(x, Context((6, 7), given=given))


def test_categories_are_embedded() -> None:
    encoder, decoder = pair(Convolutional((4,), code="map"), layout_of(9), numbers=5, categories=5)
    x = torch.randint(0, 5, (3, 9), generator=torch.Generator().manual_seed(0))
    seen = encoder.embedding.weight[x].transpose(1, 2)
    assert seen.shape == (3, 5, 9)
    expected = F.silu(encoder.convolution[0](seen)).transpose(1, 2).flatten(1)
    hidden = encoder(x.double(), Context((9,)))
    torch.testing.assert_close(hidden, expected)
    assert decoder(hidden, Context((9,))).shape == (3, 5, 9)
    many, _ = pair(Convolutional((4,)), layout_of(9, channels=2), categories=100)
    assert many.embedding.weight.shape == (100, 16)
    assert many.convolution[0].in_channels == 32
    assert many(torch.full((2, 9, 2), 99.0), Context((9, 2))).shape == (2, 5)


# ---------------------------------------------------------------------- options


def test_batch_norm_learns_in_training_passes_only() -> None:
    encoder, _ = pair(Convolutional((4, 8), norm="batch"), layout_of(6, 7))
    x, context = some(5, 6, 7), Context((6, 7))
    first = encoder(x, context)
    assert all(float(norm.running_mean.abs().max()) == 0 for norm in encoder.norm)
    torch.testing.assert_close(encoder(x[:2], context), first[:2])
    encoder(x, Context((6, 7), pass_=Pass(training=True)))
    expected = 0.1 * encoder.convolution[0](x[:, None]).mean((0, 2, 3))
    torch.testing.assert_close(encoder.norm[0].running_mean, expected)


@pytest.mark.parametrize(("channels", "groups"), [(32, 8), (8, 2), (6, 1), (12, 3), (20, 5), (3, 1), (1, 1)])
def test_group_norm(channels: int, groups: int) -> None:
    norm = norm_of("group", channels)
    assert isinstance(norm, GroupNorm)
    assert norm.num_groups == groups
    norm = norm.double()
    with torch.no_grad():
        norm.weight.copy_(some(channels))
        norm.bias.copy_(some(channels, seed=2))
    for sizes in ((5,), (3, 4), (2, 3, 2)):
        x = some(2, channels, *sizes)
        torch.testing.assert_close(norm(x), F.group_norm(x, groups, norm.weight, norm.bias))


def test_group_norm_keeps_rows_apart() -> None:
    encoder, decoder = pair(Convolutional((8, 8), norm="group", residual=1, dense=(7,)), layout_of(6, 7))
    x, context = some(5, 6, 7), Context((6, 7), pass_=Pass(training=True))
    torch.testing.assert_close(encoder(x, context)[:2], encoder(x[:2], context))
    z = some(5, 5)
    torch.testing.assert_close(decoder(z, context)[3:], decoder(z[3:], context))


def test_residual_blocks_first_do_nothing() -> None:
    plain, with_blocks = (pair(Convolutional((4, 6), code="map", residual=n), layout_of(6, 7)) for n in (0, 2))
    x, context = some(2, 6, 7), Context((6, 7))
    for bare, built in zip(plain, with_blocks, strict=True):
        assert [len(blocks) for blocks in built.residual] == [2, 2]
        missing, _ = built.load_state_dict(bare.state_dict(), strict=False)
        assert {name.split(".")[0] for name in missing} == {"residual"}
    torch.testing.assert_close(with_blocks[0](x, context), plain[0](x, context))
    z = plain[0](x, context)
    torch.testing.assert_close(with_blocks[1](z, context), plain[1](z, context))
    # The blocks work at the smaller size of their level.
    assert [blocks[0].first.in_channels for blocks in with_blocks[0].residual] == [4, 6]
    assert [blocks[0].first.in_channels for blocks in with_blocks[1].residual] == [6, 6]


def test_a_residual_block_by_hand() -> None:
    block = Residual(2, 4, 3, "relu", None, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        block.second.weight.copy_(some(4, 4, 3, 3))
    x = some(2, 4, 5, 5)
    expected = x + block.second(F.relu(block.first(x)))
    torch.testing.assert_close(block(x, Pass()), expected)
    with torch.no_grad():  # where activations overwrite their input, the block's own must live on
        torch.testing.assert_close(block(x, Pass()), expected)


def test_output_within_bounds_of_each_channel() -> None:
    layout = layout_of(6, 7, channels=2)
    network = Convolutional((4,), output_activation="bounded", code="map")
    _, decoder = pair(network, layout)
    low, high = np.tile([-1.0, 5.0], 42), np.tile([0.0, 7.0], 42)
    decoder.set_range(low, high)
    z = 100 * some(4, network.code_size(layout) or 0)
    out = decoder(z, Context((6, 7, 2))).detach()
    assert -1 <= float(out[..., 0].min()) < -0.9 < -0.1 < float(out[..., 0].max()) <= 0
    assert 5 <= float(out[..., 1].min()) < 5.2 < 6.8 < float(out[..., 1].max()) <= 7
    _, plain = pair(replace(network, output_activation="sigmoid"), layout)
    plain.load_state_dict(decoder.state_dict(), strict=False)
    expected = plain(z, Context((6, 7, 2))) * torch.tensor([1.0, 2.0]) + torch.tensor([-1.0, 5.0])
    torch.testing.assert_close(out, expected.double())


def test_average_pooling_counts_the_cells_there_are() -> None:
    encoder, _ = pair(Convolutional((2,), kernel=1, down="average", activation="identity", code="map"), layout_of(3))
    x = torch.tensor([[1.0, 3.0, 10.0]], dtype=torch.float64)
    weight, bias = encoder.convolution[0].weight.flatten(), encoder.convolution[0].bias
    expected = torch.tensor([2.0, 10.0], dtype=torch.float64)[:, None] * weight + bias
    torch.testing.assert_close(encoder(x, Context((3,)))[0], expected.flatten())


def test_rows_are_read_where_they_lie() -> None:
    """Channels come last in rows, as fast convolutions want them: nothing is copied on the way in or out."""
    encoder, decoder = pair(Convolutional((4, 8), code="map"), layout_of(8, 8, channels=3))
    x = some(2, 8, 8, 3)
    assert encoder.read(x, Context((8, 8, 3))).data_ptr() == x.data_ptr()
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in encoder.convolution)
    assert encoder(x, Context((8, 8, 3))).is_contiguous()
    assert decoder(some(2, 32), Context((8, 8, 3))).is_contiguous()


# ---------------------------------------------------------------------- weights, derivatives


def test_weights_are_drawn_by_the_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again = (
        pair(Convolutional((4, 8), residual=1, dense=(7,)), layout_of(6, 7), categories=3) for _ in range(2)
    )
    assert torch.equal(before, torch.get_rng_state())
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(("activation", "bound"), [("relu", math.sqrt(6 / 144)), ("tanh", math.sqrt(6 / 432))])
def test_how_far_weights_reach(activation: str, bound: float) -> None:
    encoder, _ = pair(Convolutional((16, 32), activation=activation), layout_of(6, 7))
    weight = encoder.convolution[1].weight
    assert 0.98 * bound < float(weight.detach().abs().max()) <= bound
    assert not any(layer.bias.any() for layer in encoder.convolution)


@pytest.mark.parametrize("sizes", [(9,), (5, 6), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(("down", "norm"), [("stride", None), ("max", "group"), ("average", "group")])
def test_jacobians_of_all_rows_at_once(sizes: tuple[int, ...], down: str, norm: str | None) -> None:
    """As the contractive penalty takes them, and differentiated once more."""
    network = Convolutional((2, 4), down=down, norm=norm, residual=1, code="map")
    encoder, decoder = pair(network, layout_of(*sizes))
    context = Context(sizes)
    x = some(2, *sizes)
    for function, rows in ((lambda x: encoder(x, context), x), (lambda z: decoder(z, context), encoder(x, context))):
        found = jacobian(function, rows)
        singly = [
            torch.autograd.functional.jacobian(lambda row, f=function: f(row[None])[0].flatten(), row).flatten(1)
            for row in rows.detach()
        ]
        torch.testing.assert_close(found, torch.stack(singly))
        found.square().sum().backward()
    assert float(encoder.convolution[0].weight.grad.abs().max()) > 0


def test_gradient_against_finite_differences() -> None:
    encoder, decoder = pair(Convolutional((2, 3), activation="tanh", dense=(4,)), layout_of(5, 4), code=3)
    context = Context((5, 4))
    x = some(1, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: decoder(encoder(x, context), context), x)


# ---------------------------------------------------------------------- among the other parts


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"channels": ()}, r"channels must be whole numbers > 0, e\.g\. \(32, 64\); got \(\)"),
        ({"channels": (4, 0.5)}, r"channels must be whole numbers > 0.*got \(4, 0\.5\)"),
        ({"channels": (0,)}, r"channels must be whole numbers > 0.*got \(0,\)"),
        ({"dense": ("a",)}, r"dense must be whole numbers > 0, e\.g\. \(512,\); got \('a',\)"),
        ({"kernel": 4}, r"kernel must be odd, so that a filter has a middle; got 4"),
        ({"kernel": 0}, r"kernel must be a whole number >= 1; got 0"),
        ({"residual": -1}, r"residual must be a whole number >= 0; got -1"),
        ({"down": "pool"}, r"down must be one of 'stride', 'max', 'average'; got 'pool'"),
        ({"activation": "rely"}, r"activation must be one of 'identity', .*; got 'rely'"),
        ({"norm": "layer"}, r"norm must be one of None, 'batch', 'group'; got 'layer'"),
        ({"code": "flat"}, r"code must be one of 'vector', 'map'; got 'flat'"),
        ({"output_activation": "clip"}, r"output_activation must be one of .*'bounded'; got 'clip'"),
        (
            {"dense": (5,), "code": "map"},
            r"dense=\(5,\) leads from the last map to a vector: with code='map', leave it",
        ),
    ],
)
def test_what_is_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"Convolutional: {message}"):
        Convolutional(**knobs)


def test_rows_that_no_convolution_takes() -> None:
    four = Layout((2, 2, 2, 2), ("a", "frame", "height", "width"))
    with pytest.raises(InputError, match=r"one, two or three axes .*; the rows have 4: a, frame, height, width"):
        pair(Convolutional(), four)
    with pytest.raises(InputError, match=r"the rows have 0: channel\. Use network=ist\.Dense"):
        Convolutional(code="map").code_size(Layout((3,), ("channel",)))
    with pytest.raises(InputError, match=r"their shape is \(5, 0\), no width"):
        Convolutional(code="map").code_size(layout_of(5, 0))


def test_it_is_written_as_json_and_as_python() -> None:
    assert from_json(to_json(BRIEF)) == BRIEF
    assert repr(Convolutional([8, 4], down="max")) == "Convolutional(channels=(8, 4), down='max')"
    assert Convolutional(16).channels == (16,)  # type: ignore[arg-type]
    assert BRIEF.resolve(784, 10) is BRIEF


def test_penalties_name_layers() -> None:
    parts = Parts(network=Convolutional((4, 8)), penalties=(L1(1.0, layer="encoder.hidden.0"),))
    model = parts.build(layout_of(6, 7), 5, torch.Generator().manual_seed(0))
    batch = Batch(some(3, 6, 7).float(), layout_of(6, 7))
    assert model.trace(batch).activations["encoder.hidden.0"].shape == (3, 4, 3, 4)
    assert {"encoder.hidden.1", "encoder.convolution.1", "decoder.hidden.0", "decoder.last"} <= set(model.layer_names())


def one_step(model: Composition, batch: Batch, seed: int = 0) -> float:
    trace = model.trace(batch, Pass(torch.Generator().manual_seed(seed), epoch=20.0, training=True))
    objective, terms = model.objective(trace)
    model.zero_grad()
    objective.backward()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.grad is not None:
                weights -= 1e-4 * weights.grad / (1 + weights.grad.norm())
        model.after_step(trace, terms)
    return float(objective.detach())


MAPLESS = {"semi_supervised", "hyperspherical"}
"""Kinds whose bottleneck needs another number than a multiple of the code's size."""


@pytest.mark.parametrize("network", [Convolutional((4, 8)), Convolutional((4, 8), down="max", code="map")], ids=str)
@pytest.mark.parametrize("kind", RECIPES)
def test_every_kind_takes_the_network(kind: str, network: Convolutional) -> None:
    layout = layout_of(6, 7)
    parts = replace(Kind(kind).parts(), network=network)
    size = network.code_size(layout) or 10
    if network.code == "map" and kind in MAPLESS:
        with pytest.raises(InputError, match="bottleneck: the code is a map"):
            parts.build(layout, size, torch.Generator())
        return
    model = parts.build(layout, size, torch.Generator().manual_seed(0)).double().train()
    x = torch.rand(8, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = (3 * x).round() if parts.loss.__class__.__name__ in ("Multinomial", "Poisson") else x
    batch = Batch(x, layout, labels=torch.arange(8) % 2 if kind == "semi_supervised" else None)
    model.start(batch)
    assert all(math.isfinite(one_step(model, batch, seed)) for seed in range(2))
    with torch.no_grad():
        model.eval()
        assert model.represent(batch).shape == (8, size)
        assert model.rebuild(model.represent(batch), model.context(batch)).shape == x.shape


def test_a_denoiser_learns() -> None:
    """A square somewhere, in noise: rebuilt far better than it is seen."""
    source = torch.Generator().manual_seed(0)
    x = torch.zeros(64, 8, 8)
    for row, (top, left) in zip(x, torch.randint(0, 5, (64, 2), generator=source).tolist(), strict=True):
        row[top : top + 4, left : left + 4] = 1
    layout, network = layout_of(8, 8), Convolutional((8, 8), down="max", activation="relu", code="map")
    encoder, decoder = network.build(layout, 32, 32, 64, source)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    errors = []
    for _ in range(150):
        seen = x + 0.5 * torch.randn(x.shape, generator=source)
        error = F.mse_loss(decoder(encoder(seen, Context((8, 8))), Context((8, 8))), x)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert sum(errors[-10:]) / 10 < 0.3 * 0.5**2


@pytest.mark.parametrize(
    ("sizes", "network", "code_size"),
    [
        pytest.param((9, 10), Convolutional((4, 4), down="max", code="map"), 36, id="image"),
        pytest.param((9, 10), Convolutional((4, 8), norm="group"), 4, id="norm", marks=pytest.mark.slow),
        pytest.param((21,), Convolutional((4, 8), down="average"), 4, id="series", marks=pytest.mark.slow),
    ],
)
def test_onnx(sizes: tuple[int, ...], network: Convolutional, code_size: int, tmp_path: Any) -> None:
    """The export compares its outputs on batches of 1 and 7 rows with the library's."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = np.random.default_rng(0).random((64, *sizes), dtype=np.float32)
    ae = ist.Autoencoder(network=network, code_size=code_size, epochs=1, random_state=0).fit(x)
    ae.export_onnx(tmp_path / "model.onnx", part="reconstruct")
    ae.save(tmp_path / "model.safetensors")
    assert np.array_equal(ist.load(tmp_path / "model.safetensors").transform(x), ae.transform(x))


def test_the_names_of_layers_say_where_they_are() -> None:
    encoder, decoder = pair(Convolutional((4, 8), norm="batch", residual=1, dense=(5,)), layout_of(6, 7))
    names = {name for part in (encoder, decoder) for name, _ in part.named_children()}
    assert names == {"convolution", "norm", "hidden", "residual", "dense", "unfolded", "last"}
    assert len(list(itertools.chain(encoder.hidden, decoder.hidden))) == 4


def test_a_bounded_output_begins_at_the_mean_and_is_not_lost_in_the_first_steps() -> None:
    """Pictures that are mostly black: driven all the way to black in a few steps, a sigmoid would never come back."""
    draw = np.random.default_rng(0)
    X = np.zeros((400, 12, 12), dtype=np.uint8)
    for picture, (i, j) in zip(X, draw.integers(0, 8, (400, 2)), strict=True):
        picture[i : i + 4, j : j + 4] = 255
    network = Convolutional((16, 16), output_activation="bounded")
    ae = ist.Autoencoder(code_size=8, network=network, epochs=6, learning_rate=3e-3, random_state=0).fit(X)
    first, last = ae.history_["valid_rmse"][0], ae.history_["valid_rmse"][-1]
    assert first == pytest.approx(X.std(), rel=0.1)  # as far off as the mean is
    assert last < 0.9 * first
