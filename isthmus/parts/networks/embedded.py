"""Any network on a mixed table: its columns are turned into numbers before the first layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.entry import Entry
from isthmus.parts.networks.modules import aware
from isthmus.records import Context, Layout, part


@part
class Embedded:
    """A network whose encoder begins with an `Entry`, and whose decoder gives what the loss of each column wants.

    `Parts.build` puts it around the network of a kind where rows are mixed. Widths that are multiples of the number of
    features are multiples of the entry's width.

    Parameters
    ----------
    network : what reads the entry, e.g. ``Dense((2.0, 1.0))``.

    Notes
    -----
    What goes in and what comes out differ, level numbers against odds of levels, so the two have no weights to share,
    and a network with ``tied=True`` has weights of its own in its decoder. Where it is a single linear map, as in
    sparse kinds, it keeps what ties are there for: what the decoder adds to the row for a unit is as long as the
    weights by which the encoder finds the unit. So codes cannot become small, and cheap, while the decoder grows.

    Examples
    --------
    >>> from isthmus.records import Column
    >>> layout = Layout((3,), ("column",), (Column(), Column("binary"), Column("category", 40)))
    >>> encoder, decoder = Embedded(Dense((64,))).build(layout, 2, 2, 42, torch.Generator().manual_seed(0))
    >>> encoder.entry.width  # 1 + 1 + a vector of 16, and 3 that say which cells are missing
    21
    >>> encoder(torch.tensor([[0.3, 1.0, 39.0]]), Context((3,))).shape
    torch.Size([1, 2])
    >>> decoder(torch.zeros(1, 2), Context((3,))).shape
    torch.Size([1, 42])
    """

    network: Any = Dense((2.0, 1.0))

    def resolve(self, features: int, code_size: int) -> Embedded:
        """Itself: widths follow from the entry's, which only `build` knows."""
        return self

    def weights(self, features: int, code_size: int) -> int:
        """About how many numbers are learned behind an entry of so many ``features``."""
        return self.network.weights(features, code_size)

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        **more: Any,
    ) -> tuple[EmbeddedEncoder, EmbeddedDecoder]:
        """Make encoder and decoder, with fresh weights drawn from ``generator``; ``more`` is handed on."""
        if layout.columns is None:
            raise InputError("Embedded: it reads mixed tables; this layout says nothing of columns")
        check_inner(self.network)
        entry = Entry(layout.columns, generator)
        network = self.network.resolve(entry.width, code_size)
        tied = getattr(network, "tied", False)
        network = replace(network, tied=False) if tied else network
        inside = Layout((entry.width,), ("column",))
        encoder, decoder = network.build(inside, hidden_size, code_size, out_size, generator, **more)
        if tied and not network.hidden:
            decoder.linear[0] = Atoms(encoder, decoder)
        return EmbeddedEncoder(self, entry, encoder), EmbeddedDecoder(decoder, out_size)


def check_inner(network: Any) -> None:
    """Refuse networks that read neighbours or steps, and outputs that are no rows of plain numbers."""
    name = type(network).__name__
    if getattr(network, "slides", False) or getattr(network, "any_length", False):
        raise InputError(
            f"network: {name} reads neighbouring pixels or steps, and the columns of a mixed table are no neighbours. "
            "Use network=ist.Dense((2.0, 1.0))"
        )
    ends = getattr(network, "output_activation", "identity")
    if ends != "identity":
        raise InputError(
            f"{name}: output_activation must be 'identity' on a mixed table, where every column has a likelihood of "
            f"its own; got {ends!r}"
        )


class EmbeddedEncoder(nn.Module):
    """``encoder(x, context) -> hidden``: (n, columns) -> (n, hidden_size)."""

    takes_context = True

    def __init__(self, network: Embedded, entry: Entry, inner: nn.Module) -> None:
        super().__init__()
        self.network, self.entry, self.inner = network, entry, aware(inner)
        self.given_size = getattr(inner, "given_size", 0)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self.entered(self.entry(x, context.known), context)

    def entered(self, y: Tensor, context: Context) -> Tensor:
        """What is made of rows that the entry has turned into numbers, (n, entry.width)."""
        return self.inner(y, replace(context, shape=(self.entry.width,), known=None))


class EmbeddedDecoder(nn.Module):
    """``decoder(z, context) -> out``: (n, code_size) -> (n, out_size), flat."""

    takes_context = True

    def __init__(self, inner: nn.Module, out_size: int) -> None:
        super().__init__()
        self.inner, self.out_size = aware(inner), out_size

    def forward(self, z: Tensor, context: Context) -> Tensor:
        return self.inner(z, replace(context, shape=(self.out_size,), known=None)).flatten(1)


class Atoms(nn.Linear):
    """A decoder's only map, in which a unit's weights are as long as those by which the encoder finds the unit."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        own = decoder.linear[0]
        super().__init__(own.in_features, own.out_features, device="meta")
        self.weight, self.bias, self.units = own.weight, own.bias, decoder.inputs
        # In a tuple, so that the encoder is not registered (and saved) a second time.
        self.mirror = (encoder,)

    def forward(self, x: Tensor) -> Tensor:
        (encoder,) = self.mirror
        lengths = encoder.weight(-1)[: self.units, : encoder.inputs].norm(dim=1)
        weight = F.normalize(self.weight[:, : self.units], dim=0) * lengths
        return F.linear(x, torch.cat((weight, self.weight[:, self.units :]), dim=1), self.bias)
