"""A fully convolutional network whose code is as wide as the picture: it restores, it does not compress."""

from __future__ import annotations

import itertools
import math
from typing import overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.checks import check_whole
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.parts.networks.common import given_to, told_level
from isthmus.parts.networks.dense import Activation
from isthmus.parts.networks.grid import FORMATS, Sizes, checked_grid, filters, with_channels
from isthmus.records import Context, Layout, part

TRANSPOSED: dict[int, type[nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d]] = {
    1: nn.ConvTranspose1d,
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}


@part
class Restoring:
    """An encoder that gives every place of a picture, a series or a clip a code, and a decoder that corrects by it.

    The encoder halves the picture ``levels`` times and keeps the maps of every level: together, with the picture
    itself, they are the code, which is wider than the picture. The decoder joins them again from the coarsest to the
    finest and adds what it found to the picture that the code brings along (residual output). Its last layer starts
    at 0, so that a network that has learnt nothing changes nothing.

    Nothing in it depends on the size of a picture, which may be another at every call, and a number of the output
    depends on no more than ``reach`` pixels on each side of its block of ``stride`` pixels: tiles that begin at
    multiples of ``stride``, and read ``reach`` pixels more on each side than are kept of them, rebuild what the whole
    picture gives.

    Parameters
    ----------
    channels : width of the finest maps, >= 1; every coarser level has twice as many.
    levels : how often the picture is halved, >= 1.
    blocks : residual blocks at every level, on the way down and again on the way up, >= 1.
    activation : one of those that `Dense` knows.
    residual : if False the decoder must find the whole picture from the maps, and the code is only these.

    Notes
    -----
    One network serves 1, 2 and 3 axes to run along, with a last axis ``"channel"`` where there are several channels.
    Sizes that are no multiple of ``stride`` are made up by repeating the last pixel, and cut again in the end. The
    norm is over the channels of one place (layer norm): batch norm would couple rows, group norm distant pixels.

    References
    ----------
    Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation";
    Zhang et al. 2017, "Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising";
    Zhang et al. 2018, "FFDNet: toward a fast and flexible solution for CNN-based image denoising".

    Examples
    --------
    >>> network, layout = Restoring(channels=8, levels=2), Layout((5, 7), ("height", "width"))
    >>> size = network.code_size(layout)
    >>> encoder, decoder = network.build(layout, size, size, layout.features, torch.Generator().manual_seed(0))
    >>> x = torch.linspace(0, 1, 105).reshape(3, 5, 7)
    >>> code = encoder(x, Context((5, 7)))
    >>> code.shape  # 5 * 7 pixels, 4 * 4 places of 8 numbers, 2 * 2 of 16
    torch.Size([3, 227])
    >>> bool((decoder(code, Context((5, 7))) == x).all())
    True
    >>> network.stride, network.reach
    (4, 32)
    """

    channels: int = 32
    levels: int = 3
    blocks: int = 2
    activation: str = "silu"
    residual: bool = True

    slides = True

    def __post_init__(self) -> None:
        check_whole("Restoring", channels=self.channels, levels=self.levels, blocks=self.blocks)
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise InputError(f"Restoring: activation must be one of {known}; got {self.activation!r}")
        if not isinstance(self.residual, bool):
            raise InputError(f"Restoring: residual must be True or False; got {self.residual!r}")

    def resolve(self, features: int, code_size: int) -> Restoring:
        """The same network: nothing in it follows from the size of the data."""
        return self

    @property
    def stride(self) -> int:
        """Tiles must begin at multiples of so many pixels."""
        return 2**self.levels

    @property
    def reach(self) -> int:
        """Pixels beyond a block of ``stride`` pixels, on each side, on which its output may depend; a multiple of
        ``stride``."""
        # The first and the last place that the output of pixels 0 .. stride - 1 reads, followed back to the input.
        # The decoder: its last layer, then every level from the finest to the coarsest.
        low, high = -1, self.stride // 2
        wanted = []
        for level in range(self.levels):
            if level:
                low, high = low // 2, high // 2
            low, high = low - self.blocks, high + self.blocks
            wanted.append((low, high))
        # The encoder: from the coarsest to the finest, whose maps the decoder reads too.
        for level in reversed(range(self.levels)):
            low, high = min(low, wanted[level][0]), max(high, wanted[level][1])
            low, high = low - self.blocks, high + self.blocks
            low, high = (2 * low, 2 * high + 1) if level else (2 * low - 1, 2 * high + 2)
        return self.whole(max(-low, high - self.stride + 1))

    @overload
    def whole(self, size: int) -> int: ...
    @overload
    def whole(self, size: Tensor) -> Tensor: ...
    def whole(self, size: int | Tensor) -> int | Tensor:
        """The least multiple of the stride that holds so many pixels."""
        return (size + self.stride - 1) // self.stride * self.stride

    def widths(self) -> list[int]:
        """The channels of every level, the finest first."""
        return [self.channels * 2**level for level in range(self.levels)]

    def grids(self, sizes: Sizes) -> list[Sizes]:
        """The sizes of every level's map for a picture of these sizes."""
        return [tuple(self.whole(size) // 2 ** (level + 1) for size in sizes) for level in range(self.levels)]

    def code_size(self, layout: Layout) -> int:
        """Numbers in the code: those of every level's map and, for the residual output, of the picture itself."""
        maps = zip(self.grids(checked_grid(layout)), self.widths(), strict=True)
        return layout.features * self.residual + sum(math.prod(grid) * width for grid, width in maps)

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
        categories: int = 0,
    ) -> tuple[RestoringEncoder, RestoringDecoder]:
        """Make encoder and decoder, with fresh weights drawn from ``generator``.

        The sizes must be those that the network dictates: ``code_size(layout)`` for the code, and as many numbers
        from the encoder. What is given, and the strength of the noise, reach the encoder as channels more.
        """
        if categories:
            raise InputError("network: Restoring corrects numbers; for categories or tokens take ist.Convolutional()")
        size = self.code_size(layout)
        if code_size != size or hidden_size != size:
            raise InputError(
                f"Restoring: the code holds every map, {size:,} numbers for rows of shape {layout.shape}, and passes "
                f"through a bottleneck that keeps it as it is, such as Plain(); got code_size={code_size:,} and a "
                f"bottleneck that wants {hidden_size:,} numbers"
            )
        numbers = out_size // layout.features
        if self.residual and numbers != 1:
            raise InputError(
                f"Restoring: a residual output is one number per feature; this loss wants {numbers}. Take the loss "
                "Squared(), or network=ist.Restoring(residual=False)"
            )
        encoder = RestoringEncoder(self, layout, generator, given_size, told)
        return encoder, RestoringDecoder(self, layout, numbers, generator)


def transposed(axes: int, inputs: int, outputs: int, kernel: int, generator: torch.Generator) -> nn.Module:
    """A convolution that doubles every axis, with fresh weights that keep the size of what they read; biases 0."""
    padding = (kernel - 2) // 2
    layer = nn.utils.skip_init(TRANSPOSED[axes], inputs, outputs, kernel, stride=2, padding=padding)
    with torch.no_grad():
        # Of the kernel's cells, one in two along each axis reaches a given output.
        layer.weight.normal_(0, 1 / math.sqrt(inputs * (kernel / 2) ** axes), generator=generator)
        layer.bias.zero_()
    return layer.to(memory_format=FORMATS[axes]) if axes in FORMATS else layer


def held(x: Tensor, valid: Tensor | None) -> Tensor:
    """0 beyond the end of each sequence, which is what a convolution reads beyond the end of the longest."""
    return x if valid is None else x * valid


class Block(nn.Module):
    """``x + convolution(activation(norm(x)))``; it starts as the identity."""

    def __init__(self, axes: int, channels: int, activation: str, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.hidden = Activation(activation)
        self.convolution = filters(axes, channels, channels, 3, activation, generator)
        nn.init.zeros_(self.convolution.get_parameter("weight"))

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        # Rows hold their channels last, so that nothing is moved in memory.
        y = self.hidden(self.norm(x.movedim(1, -1)).movedim(-1, 1))
        return x + self.convolution(held(y, valid))


class Levels(nn.Module):
    """What encoder and decoder have in common: blocks at every level."""

    takes_context = True

    def __init__(self, network: Restoring, layout: Layout, generator: torch.Generator) -> None:
        super().__init__()
        self.network = network
        self.axes, self.channels = len(layout.grid), layout.channels
        self.blocks = nn.ModuleList(
            nn.ModuleList(Block(self.axes, width, network.activation, generator) for _ in range(network.blocks))
            for width in network.widths()
        )

    def through(self, level: int, x: Tensor, valid: Tensor | None) -> Tensor:
        """A map after the blocks of its level."""
        for block in self.blocks[level]:  # type: ignore[attr-defined]  # a list of blocks
            x = block(x, valid)
        return x

    def valid(self, context: Context, device: torch.device) -> list[Tensor | None]:
        """(n, 1, places) which places of every level hold steps of the row; None for all."""
        if context.lengths is None or self.axes > 1:
            return [None] * self.network.levels
        ends = self.network.whole(context.lengths.to(device))[:, None]
        grids = self.network.grids(context.shape[:1])
        places = [torch.arange(size, device=device) for (size,) in grids]
        return [(place < ends // 2 ** (level + 1))[:, None] for level, place in enumerate(places)]


class RestoringEncoder(Levels):
    """``encoder(x, context) -> hidden``: (n, *shape) -> (n, code_size), the picture and the maps of every level."""

    def __init__(
        self, network: Restoring, layout: Layout, generator: torch.Generator, given_size: int = 0, told: bool = False
    ) -> None:
        super().__init__(network, layout, generator)
        self.given_size, self.told = given_size, told
        widths, around = network.widths(), (1,) * self.axes
        inputs = self.channels + given_size + told
        self.entry = filters(self.axes, inputs, widths[0], 4, network.activation, generator, stride=2, padding=around)
        self.down = nn.ModuleList(
            filters(self.axes, fine, coarse, 2, "identity", generator, stride=2, padding=(0,) * self.axes)
            for fine, coarse in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor, context: Context) -> Tensor:
        valid = self.valid(context, x.device)
        y = self.entry(self.filled(x, context))
        codes = [x.flatten(1)] if self.network.residual else []
        for level in range(self.network.levels):
            if level:
                y = self.down[level - 1](y)
            y = self.through(level, y, valid[level])
            codes.append(held(y, valid[level]).movedim(1, -1).flatten(1))
        return torch.cat(codes, dim=1)

    def filled(self, x: Tensor, context: Context) -> Tensor:
        """The picture with its channels first, made up to whole blocks; what is given and told as channels more."""
        sizes = context.shape[: self.axes]
        x = x.reshape(len(x), *sizes, self.channels).movedim(-1, 1)
        x = with_channels(x, self.beside(context))
        lacking = [self.network.whole(size) - size for size in reversed(sizes)]
        x = F.pad(x, [cells for more in lacking for cells in (0, more)], mode="replicate")
        if context.lengths is None or self.axes > 1:
            return x
        # A shorter row among longer ones is made up as it would be alone, and 0 beyond.
        lengths, step = context.lengths.to(x.device)[:, None], torch.arange(x.shape[-1], device=x.device)
        x = x.gather(2, torch.minimum(step, lengths - 1)[:, None].expand_as(x))
        return x * (step < self.network.whole(lengths))[:, None]

    def beside(self, context: Context) -> tuple[Tensor, ...]:
        """What the rows are given, and how strong their noise is, for an encoder that reads it."""
        given = given_to(self, context)
        return (*given, told_level(context)) if self.told else given


class RestoringDecoder(Levels):
    """``decoder(z, context) -> out``: (n, code_size) -> (n, *shape), or (n, k, *shape) for k numbers per feature."""

    def __init__(self, network: Restoring, layout: Layout, numbers: int, generator: torch.Generator) -> None:
        super().__init__(network, layout, generator)
        self.numbers = numbers
        widths = network.widths()
        self.up = nn.ModuleList(
            transposed(self.axes, coarse, fine, 2, generator) for fine, coarse in itertools.pairwise(widths)
        )
        self.last = transposed(self.axes, widths[0], numbers * self.channels, 4, generator)
        if network.residual:
            nn.init.zeros_(self.last.get_parameter("weight"))

    def forward(self, z: Tensor, context: Context) -> Tensor:
        x, maps = self.parted(z, context)
        valid = self.valid(context, z.device)
        y = maps[-1]
        for level in reversed(range(self.network.levels)):
            if level < self.network.levels - 1:
                y = self.up[level](y) + maps[level]
            y = self.through(level, y, valid[level])
        y = self.last(held(y, valid[0]))
        for axis, size in enumerate(context.shape[: self.axes], start=2):
            y = y.narrow(axis, 0, size)
        y = y.unflatten(1, (self.numbers, self.channels)).movedim(2, -1).reshape(len(z), self.numbers, *context.shape)
        return y if self.numbers > 1 else y.squeeze(1) if x is None else y.squeeze(1) + x

    def parted(self, z: Tensor, context: Context) -> tuple[Tensor | None, list[Tensor]]:
        """The picture, where the code brings it along, and the map of every level, channels first."""
        grids, widths = self.network.grids(context.shape[: self.axes]), self.network.widths()
        shapes = [(*grid, width) for grid, width in zip(grids, widths, strict=True)]
        if self.network.residual:
            shapes = [context.shape, *shapes]
        parts = z.flatten(1).split([math.prod(shape) for shape in shapes], dim=1)
        shaped = [flat.unflatten(1, shape) for flat, shape in zip(parts, shapes, strict=True)]
        x = shaped.pop(0) if self.network.residual else None
        return x, [y.movedim(-1, 1) for y in shaped]
