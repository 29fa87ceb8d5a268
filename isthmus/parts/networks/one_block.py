"""One block of a convolutional network as a network of its own: what is trained where blocks are trained one by one.

As in Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from isthmus.parts.networks.convolutional import Convolutional, ConvolutionalDecoder, ConvolutionalEncoder
from isthmus.parts.networks.grid import enlarged, filters, fitted, halved
from isthmus.records import Context, Layout


@dataclass(frozen=True)
class OneBlock:
    """The block at ``place`` of an encoder, and what undoes it in the decoder, with weights of their own.

    A decoder has one convolution more than its encoder: on the smallest map, before anything is enlarged. It belongs to
    the highest block; every other block is undone by an enlargement and the one convolution after it. So the decoders
    of the blocks, one after the other, are the whole decoder, but for the ends of axes of odd size, where that cuts
    nothing off before its last level.

    Parameters
    ----------
    encoder, decoder : the whole network's, without norm and residual blocks.
    place : of the block, 0 next to the data.
    output_activation : what the values to be rebuilt are the output of, as in `Convolutional`.

    Examples
    --------
    >>> whole = Convolutional((16, 32))
    >>> layout = Layout((28, 28), ("height", "width"))
    >>> block = OneBlock(*whole.build(layout, 10, 10, 784, torch.Generator().manual_seed(0)), 0, "identity")
    >>> block.gives(layout)
    Layout(shape=(14, 14, 16), axes=('height', 'width', 'channel'))
    >>> encoder, decoder = block.build(layout, 14 * 14 * 16, 14 * 14 * 16, 784, torch.Generator().manual_seed(1))
    >>> decoder(encoder(torch.zeros(2, 28, 28), Context((28, 28))), Context((28, 28))).shape
    torch.Size([2, 28, 28])
    """

    encoder: ConvolutionalEncoder
    decoder: ConvolutionalDecoder
    place: int
    output_activation: str

    @property
    def network(self) -> Convolutional:
        """The block as a network."""
        whole = self.encoder.network
        channels = (whole.channels[self.place],)
        return replace(whole, channels=channels, dense=(), code="map", output_activation=self.output_activation)

    @property
    def highest(self) -> bool:
        return self.place == len(self.encoder.network.channels) - 1

    @property
    def bare(self) -> tuple[bool, ...]:
        """The axes along which what undoes the block is a convolution without padding.

        It then sees a map that is kernel - 1 cells larger than its output, and what it rebuilds lies at the start of
        what it reads, not in the middle. The block alone must learn just that, or images would come out moved.
        """
        return self.decoder.unpadded if self.place == 1 else (False,) * self.encoder.axes

    def gives(self, layout: Layout) -> Layout:
        """What the block makes of rows of this layout."""
        axes = layout.axes[: len(layout.grid)]
        return Layout((*halved(layout.grid), *self.network.channels), (*axes, "channel"))

    def resolve(self, features: int, code_size: int) -> OneBlock:
        """The same: its sizes follow from the rows."""
        return self

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        categories: int = 0,
    ) -> tuple[ConvolutionalEncoder, BlockDecoder]:
        """As `Convolutional.build`; a block alone reads nothing beside its rows."""
        network = self.network
        encoder = ConvolutionalEncoder(network, layout, hidden_size, generator, categories=categories)
        return encoder, BlockDecoder(self, layout, code_size, out_size // layout.features, generator)

    def pairs(self, encoder: nn.Module, decoder: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Every layer of the whole network, with the one that was learnt in its stead."""
        up, down, place = self.encoder, self.decoder, self.place
        yield up.convolution[place], encoder.get_submodule("convolution.0")
        yield (down.convolution[-place] if place else down.last), decoder.get_submodule("last")
        if self.highest:
            yield down.convolution[0], decoder.get_submodule("convolution.0")
        if self.highest and up.maps is not None:
            yield up.maps, encoder.get_submodule("maps")
        if place == 0 and up.embedding is not None:
            yield up.embedding, encoder.get_submodule("embedding")


class BlockDecoder(ConvolutionalDecoder):
    """What undoes one block: ``convolution`` is empty for all but the highest."""

    def __init__(
        self, block: OneBlock, layout: Layout, code_size: int, numbers: int, generator: torch.Generator
    ) -> None:
        super().__init__(block.network, layout, code_size, numbers, generator)
        if not block.highest:
            self.convolution, self.hidden = nn.ModuleList(), nn.ModuleList()
        self.bare, kernel = block.bare, self.network.kernel
        if any(self.bare):
            around = tuple(0 if bare else kernel // 2 for bare in self.bare)
            inputs, outputs = self.network.channels[0], numbers * self.channels
            self.last = filters(self.axes, inputs, outputs, kernel, "identity", generator, padding=around)

    def forward(self, z: Tensor, context: Context) -> Tensor:
        sizes, more = self.sizes_of(context.shape), self.network.kernel - 1
        x = self.unfold(z, sizes, context)
        for place, activation in enumerate(self.hidden):
            x = activation(self.convolved(place, x, context.pass_))
        x = fitted(enlarged(x, sizes), tuple(size + more * bare for size, bare in zip(sizes, self.bare, strict=True)))
        return self.shaped(self.last(x), context.shape)
