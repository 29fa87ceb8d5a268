"""The convolutional network: maps that become smaller towards the code, and larger again from it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import check_whole, is_whole
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.parts.networks.common import Output, given_to, numbers_per_cell, told_level
from isthmus.parts.networks.dense import Activation, Dense, Layers
from isthmus.parts.networks.grid import (
    LARGEST,
    MEANS,
    Blocks,
    Sizes,
    checked_grid,
    enlarged,
    filters,
    fitted,
    halved,
    times,
    window,
    with_channels,
)
from isthmus.records import Context, Layout, part

NORMS = {None: None, "batch": "batch", "group": "layer"}
"""The norms of maps, and what dense layers have in their place."""

EMBEDDED = 16
"""Channels that stand for a category in the network's input, at most."""


@part
class Convolutional:
    """Convolutions along one, two or three axes, and a decoder that mirrors them: series, images, video.

    Every block is a convolution, an activation, and halves each axis, rounded up; the decoder's blocks are a
    convolution, an activation, and repeat each cell along each axis, and one more convolution ends it. The axis
    "channel", where there is one, holds the channels; a convolution runs along all the others, a table's "column" too.

    Parameters
    ----------
    channels : filters of each block, from the data towards the code; the decoder has them in reverse order.
    kernel : cells that a filter reads along each axis, an odd number.
    down : how a block halves its axes: ``"stride"`` (the convolution skips every other cell), ``"max"`` or
        ``"average"`` (of 2 cells along each axis).
    activation : after every convolution but the last: one of those of `Dense`. With ``down="max"`` the maximum is taken
        first: the same for activations that never fall, such as relu, at a fraction of the work.
    norm : before every activation: ``"batch"``, ``"group"`` (over a row's own channels, in up to 8 groups) or None.
        With ``"batch"`` a row's cost depends on the other rows of its batch while training.
    residual : pairs of convolutions at the smaller size of each level whose output is added to their input, >= 0.
    dense : widths of the fully connected layers between the last map and a vector code.
    code : ``"vector"``, of any size, or ``"map"``: the last block's output is the code, ``channels[-1]`` numbers for
        each of its cells. A bottleneck that needs m times the code's size gets m maps from a 1x1 convolution.
    output_activation : applied to the output, in scaled units. ``"bounded"`` is a sigmoid stretched over the range
        of each channel.

    Notes
    -----
    Sizes are those of the rows at hand, so that with ``code="map"`` the network itself takes rows of any size; fully
    connected layers, and so vector codes, belong to one. The decoder enlarges without a cut until its last level, whose
    map then has a surplus over half the row's size, rounded up. It is cut there: by a convolution without padding along
    axes with a surplus of just kernel - 1 in the rows that the network was built for, else at the end of the axis.
    After the last enlargement, an odd size loses its last cell. From 28 x 28 by three blocks: 28-14-7-4 and
    4-8-16-14-28. A convolution built without padding stays so for rows of other sizes, where what it lacks at the end
    of an axis is 0. An axis of length 1 is neither halved nor enlarged.

    The lengths of sequences are not read: padding is seen as the 0 that it holds, and takes part in the code.

    What rows are given, and how strong the noise is where the encoder is told, are channels more beside x; the decoder
    reads what is given beside the code.

    References
    ----------
    Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction". Odena, Dumoulin &
    Olah 2016, "Deconvolution and checkerboard artifacts" (why cells are repeated, and no convolution is transposed).

    Examples
    --------
    >>> network = Convolutional((64, 32, 16), down="max", activation="relu", code="map")
    >>> layout = Layout((28, 28), ("height", "width"))
    >>> network.code_size(layout)
    256
    >>> encoder, decoder = network.build(layout, hidden_size=256, code_size=256, out_size=784,
    ...                                  generator=torch.Generator().manual_seed(0))
    >>> encoder(torch.zeros(2, 28, 28), Context((28, 28))).shape
    torch.Size([2, 256])
    >>> decoder(torch.zeros(2, 256), Context((28, 28))).shape
    torch.Size([2, 28, 28])
    """

    channels: tuple[int, ...] = (32, 64)
    kernel: int = 3
    down: str = "stride"
    activation: str = "silu"
    norm: str | None = None
    residual: int = 0
    dense: tuple[int, ...] = ()
    code: str = "vector"
    output_activation: str = "identity"

    slides = True

    def __post_init__(self) -> None:
        for name, example, least in (("channels", "(32, 64)", 1), ("dense", "(512,)", 0)):
            value = getattr(self, name)
            widths = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            if len(widths) < least or not all(is_whole(width) and width >= 1 for width in widths):
                raise InputError(f"Convolutional: {name} must be whole numbers > 0, e.g. {example}; got {value!r}")
            object.__setattr__(self, name, tuple(map(int, widths)))
        check_whole("Convolutional", kernel=self.kernel)
        check_whole("Convolutional", least=0, residual=self.residual)
        if self.kernel % 2 == 0:
            raise InputError(f"Convolutional: kernel must be odd, so that a filter has a middle; got {self.kernel!r}")
        choices: dict[str, tuple[object, ...]] = {
            "down": ("stride", "max", "average"),
            "activation": tuple(ACTIVATIONS),
            "norm": tuple(NORMS),
            "code": ("vector", "map"),
            "output_activation": (*ACTIVATIONS, "bounded"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                one_of = ", ".join(repr(choice) for choice in known)
                raise InputError(f"Convolutional: {name} must be one of {one_of}; got {getattr(self, name)!r}")
        if self.dense and self.code == "map":
            raise InputError(
                f"Convolutional: dense={self.dense} leads from the last map to a vector: with code='map', leave it out"
            )

    def resolve(self, features: int, code_size: int) -> Convolutional:
        """The same network: its sizes do not follow from the number of features."""
        return self

    def code_size(self, layout: Layout) -> int | None:
        """The size that the code must have, for rows of this layout; None = any."""
        if self.code == "vector":
            return None
        return math.prod(self.smallest(checked_grid(layout))) * self.channels[-1]

    def smallest(self, sizes: Sizes) -> Sizes:
        """The sizes of the last block's maps."""
        return halved(sizes, len(self.channels))

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
    ) -> tuple[ConvolutionalEncoder, ConvolutionalDecoder]:
        """Make encoder and decoder, with fresh weights drawn from ``generator``; the arguments are those of `Dense`.

        ``categories`` > 0: cells are whole numbers below it, which are embedded instead of read as quantities.
        """
        sizes, wanted = checked_grid(layout), self.code_size(layout)
        numbers = numbers_per_cell("Convolutional", out_size, layout)
        if wanted is not None and code_size != wanted:
            shape = times((*self.smallest(sizes), self.channels[-1]))
            raise InputError(
                f"code_size: the code of {self!r} is a map of {shape} = {wanted} numbers; got {code_size}. Leave "
                "code_size out, or use code='vector'"
            )
        if wanted is not None and hidden_size % wanted:
            raise InputError(
                f"bottleneck: the code is a map of {wanted} numbers, of which an encoder can make a multiple; this "
                f"bottleneck needs {hidden_size}. Use Plain() or Gaussian(), or Convolutional(code='vector')"
            )
        encoder = ConvolutionalEncoder(self, layout, hidden_size, generator, given_size, told, categories)
        decoder = ConvolutionalDecoder(self, layout, code_size, numbers, generator, given_size)
        return encoder, decoder

    def layers(self, sizes: list[int], generator: torch.Generator, more: int = 0) -> Layers:
        """The fully connected layers beside a vector code."""
        hidden = tuple(sizes[1:-1])
        network = Dense(hidden=hidden, activation=self.activation, norm=NORMS[self.norm])
        return Layers(network, sizes, generator, more)


class ConvolutionalEncoder(Blocks):
    """``encoder(x, context) -> hidden``: (n, *shape) -> (n, hidden_size).

    Where the code is a map, hidden is (n, m, cells, channels), flattened: m maps one after the other.
    """

    shrinks = True

    def __init__(
        self,
        network: Convolutional,
        layout: Layout,
        hidden_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
        categories: int = 0,
    ) -> None:
        super().__init__(network, layout, given_size)
        self.told = told
        self.embedding = None
        if categories:
            self.embedding = nn.utils.skip_init(nn.Embedding, categories, min(EMBEDDED, categories))
            nn.init.normal_(self.embedding.weight, generator=generator)
        seen = self.channels * (1 if self.embedding is None else self.embedding.embedding_dim) + given_size + told
        for inputs, outputs in itertools.pairwise((seen, *network.channels)):
            self.add(inputs, outputs, generator, stride=2 if network.down == "stride" else 1)
        last, cells = network.channels[-1], math.prod(network.smallest(self.sizes))
        self.maps: nn.Module | None = None
        self.dense: Layers | None = None
        if network.code == "vector":
            self.dense = network.layers([cells * last, *network.dense, hidden_size], generator)
        elif hidden_size != cells * last:
            self.maps = filters(self.axes, last, hidden_size // cells, 1, "identity", generator)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        self.sizes_of(tuple(x.shape[1:]))
        x = self.read(x, context)
        for place, activation in enumerate(self.hidden):
            x = self.convolved(place, x, context.pass_)
            if self.network.down == "max":
                x = LARGEST[self.axes](x, window(x), ceil_mode=True)
            x = activation(x)
            if self.network.down == "average":
                x = MEANS[self.axes](x, window(x), ceil_mode=True, count_include_pad=False)
            x = self.refined(place, x, context.pass_)
        if self.dense is not None:
            return self.dense(x.movedim(1, -1).flatten(1), context)
        if self.maps is not None:
            x = self.maps(x)
        return x.unflatten(1, (-1, self.network.channels[-1])).movedim(2, -1).flatten(1)

    def read(self, x: Tensor, context: Context) -> Tensor:
        """The rows as maps, with a constant channel for each number that is read beside them."""
        if self.embedding is not None:
            x = self.embedding(x.long())
            x = x.flatten(self.axes + 1)
        elif x.ndim == self.axes + 1:
            x = x.unsqueeze(-1)
        # Rows hold their channels last, which is how convolutions in the plane are fastest: nothing is moved in memory.
        x = x.movedim(-1, 1)
        beside = given_to(self, context)
        return with_channels(x, (*beside, told_level(context)) if self.told else beside)


class ConvolutionalDecoder(Blocks, Output):
    """``decoder(z, context) -> out``: (n, code_size) -> (n, *shape), or (n, k, *shape) for k numbers per feature."""

    low: Tensor
    width: Tensor

    def __init__(
        self,
        network: Convolutional,
        layout: Layout,
        code_size: int,
        numbers: int,
        generator: torch.Generator,
        given_size: int = 0,
    ) -> None:
        super().__init__(network, layout, given_size)
        self.numbers = numbers
        mirrored, smallest = network.channels[::-1], network.smallest(self.sizes)
        self.dense: Layers | None = None
        if network.code == "vector":
            sizes = [code_size, *reversed(network.dense), math.prod(smallest) * mirrored[0]]
            self.dense = network.layers(sizes, generator, given_size)
            self.unfolded = Activation(network.activation)
        # The surplus of the last level's map; see the notes of `Convolutional`.
        surplus = [
            there - wanted for there, wanted in zip(self.sizes_before_last(self.sizes), halved(self.sizes), strict=True)
        ]
        self.unpadded = tuple(network.kernel > 1 and cells == network.kernel - 1 for cells in surplus)
        around = tuple(0 if bare else network.kernel // 2 for bare in self.unpadded)
        first = mirrored[0] + (given_size if network.code == "map" else 0)
        for place, (inputs, outputs) in enumerate(itertools.pairwise((first, *mirrored))):
            self.add(inputs, outputs, generator, padding=around if place == len(mirrored) - 1 else None)
        outputs = numbers * self.channels
        self.last = filters(self.axes, mirrored[-1], outputs, network.kernel, "identity", generator)
        self.begin_output(network.output_activation, self.channels)

    def start_at(self, mean: np.ndarray) -> None:
        """Let the output begin around the mean of the rows, (features,), in scaled units.

        Otherwise the first steps push every weight of the last filters the same way, and an output that ends in a
        sigmoid may be driven so far that it never comes back.
        """
        if self.numbers > 1 or self.network.output_activation not in ("identity", "bounded"):
            return
        middle = torch.from_numpy(mean.reshape(-1, self.channels).mean(0)).float()
        if self.bounded:
            middle = torch.logit((middle - self.low) / self.width.clamp(min=1e-12), eps=0.01)
        with torch.no_grad():
            self.last.get_parameter("weight").mul_(0.1)
            self.last.get_parameter("bias").copy_(middle)

    def sizes_before_last(self, sizes: Sizes) -> Sizes:
        """How large the map of the last level is, if nothing is cut."""
        doubled = 2 ** (len(self.network.channels) - 1)
        return tuple(
            small * (1 if size == 1 else doubled)
            for small, size in zip(self.network.smallest(sizes), sizes, strict=True)
        )

    def forward(self, z: Tensor, context: Context) -> Tensor:
        sizes = self.sizes_of(context.shape)
        x = self.unfold(z, sizes, context)
        for place, activation in enumerate(self.hidden):
            x = self.refined(place, x, context.pass_)
            if place == len(self.hidden) - 1:
                x = fitted(x, self.last_sizes(sizes))
            x = activation(self.convolved(place, x, context.pass_))
            x = enlarged(x, sizes)
        return self.shaped(self.last(fitted(x, sizes)), context.shape)

    def last_sizes(self, sizes: Sizes) -> Sizes:
        """How large the last level's map must be, for its convolution to give half the row's size, rounded up."""
        more = self.network.kernel - 1
        return tuple(half + more * bare for half, bare in zip(halved(sizes), self.unpadded, strict=True))

    def unfold(self, z: Tensor, sizes: Sizes, context: Context) -> Tensor:
        """The code as a map, with what is given beside it."""
        z, given = z.flatten(1), given_to(self, context)
        if self.dense is not None:
            z, given = self.unfolded(self.dense(z, context, given)), ()
        x = z.unflatten(1, (*self.network.smallest(sizes), self.network.channels[-1])).movedim(-1, 1)
        return with_channels(x, given)

    def shaped(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(n, numbers * channels, *sizes) -> (n, *shape), or (n, numbers, *shape) for several numbers per feature."""
        out = self.ended(x.unflatten(1, (self.numbers, self.channels)).movedim(2, -1))
        if len(shape) == self.axes:
            out = out.squeeze(-1)
        return out.squeeze(1) if self.numbers == 1 else out
