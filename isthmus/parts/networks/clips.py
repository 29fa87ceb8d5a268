"""The frames of a short clip read together: a network for pictures that sees its neighbours in time as channels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.networks.restoring import Restoring
from isthmus.records import Context, Layout, part


@part
class FramesTogether:
    """A network for pictures, for clips of as many frames as it was built for: frames are channels.

    Beside convolutions along time it sees all frames at every place from its first layer on, at the price of a picture
    of more channels.

    Parameters
    ----------
    network : for pictures, such as ``Restoring(16)``.

    References
    ----------
    Tassano, Delon & Veit 2020, "FastDVDnet: towards real-time deep video denoising without flow estimation".

    Examples
    --------
    >>> layout = Layout((3, 8, 8), ("frame", "height", "width"))
    >>> network = FramesTogether(Restoring(4, levels=1))
    >>> size = network.code_size(layout)
    >>> encoder, decoder = network.build(layout, size, size, layout.features, torch.Generator().manual_seed(0))
    >>> x, context = torch.ones(2, 3, 8, 8), Context((3, 8, 8))
    >>> decoder(encoder(x, context), context).shape
    torch.Size([2, 3, 8, 8])
    """

    network: Any = Restoring(16)

    slides = True

    def __post_init__(self) -> None:
        if not (hasattr(self.network, "build") and hasattr(self.network, "resolve")):
            raise InputError(f"FramesTogether: network must be a network such as Restoring(16); got {self.network!r}")

    def __getattr__(self, name: str) -> Any:
        """How far it looks, and in what steps, where the network says so."""
        if name in ("stride", "reach"):
            return getattr(self.network, name)
        raise AttributeError(name)

    def resolve(self, features: int, code_size: int) -> FramesTogether:
        return replace(self, network=self.network.resolve(features, code_size))

    def code_size(self, layout: Layout) -> int | None:
        return self.network.code_size(as_picture(layout)) if hasattr(self.network, "code_size") else None

    def build(
        self, layout: Layout, hidden_size: int, code_size: int, out_size: int, generator: torch.Generator, **more: Any
    ) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder of the network, between which clips are turned into pictures and back."""
        built = self.network.build(as_picture(layout), hidden_size, code_size, out_size, generator, **more)
        return ClipEncoder(built[0], layout), ClipDecoder(built[1], layout)


def as_picture(layout: Layout) -> Layout:
    """The layout of a clip whose frames are channels."""
    if layout.axes[0] != "frame":
        raise InputError(f"FramesTogether is for clips (frame, height, width); these rows have the axes {layout.axes}")
    channels = layout.shape[0] * layout.channels
    return Layout((*layout.grid[1:], channels), (*layout.axes[1 : len(layout.grid)], "channel"))


class ClipEncoder(nn.Module):
    """Clips (n, frames, ...) to whatever the network makes of them as pictures."""

    takes_context = True

    def __init__(self, inner: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.inner, self.frames, self.deep = inner, layout.shape[0], layout.axes[-1] == "channel"

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if x.shape[1] != self.frames:
            raise InputError(f"this network reads clips of {self.frames} frames; there came {x.shape[1]}")
        x = x.movedim(1, -1)
        x = x.flatten(-2) if self.deep else x
        return self.inner(x, replace(context, shape=tuple(x.shape[1:])))


class ClipDecoder(nn.Module):
    """And back: (n, frames, ...), or (n, k, frames, ...) for k numbers per cell."""

    takes_context = True

    def __init__(self, inner: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.inner, self.frames, self.deep = inner, layout.shape[0], layout.axes[-1] == "channel"

    def forward(self, z: Tensor, context: Context) -> Tensor:
        beside = context.shape[1:-1] if self.deep else context.shape[1:]
        channels = (context.shape[-1] if self.deep else 1) * self.frames
        out = self.inner(z, replace(context, shape=(*beside, channels)))
        out = out.unflatten(-1, (-1, self.frames)) if self.deep else out
        return out.movedim(-1, out.ndim - len(context.shape))
