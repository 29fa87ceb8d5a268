"""Modules of the user's own, a pretrained backbone among them, in the place of a network's encoder or decoder."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.parts.networks.dense import Dense, linear_layer
from isthmus.records import Context, Layout


class Unaware(nn.Module):
    """A plain module as encoder or decoder: it is handed x or z and ignores the context."""

    takes_context = True

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self.module(x)


def aware(module: nn.Module) -> nn.Module:
    return module if getattr(module, "takes_context", False) else Unaware(module)


class Modules:
    """A module of one's own as encoder, or decoder, or both, with any kind's bottleneck and loss.

    Parameters
    ----------
    encoder : an ``nn.Module`` that turns rows (n, *shape) into (n, ...) numbers, e.g. a pretrained residual network
        without its last layer. A linear map brings these to what the bottleneck wants, where their number differs.
        None = that of ``other``.
    decoder : an ``nn.Module`` that turns codes (n, code_size) into rows, flat or of their own shape; None = that of
        ``other``.
    frozen : the encoder's weights stay as they are, and it is never put into training mode, so that running figures
        (batch norm) and dropout rest too.
    channels_first : the encoder reads images as (n, channels, height, width), as most pretrained ones do.
    other : the network whose encoder or decoder stands in for what is not given.

    Notes
    -----
    The modules are copied: yours are never changed. A file holds their weights but no code, so that
    ``ist.load(path, network=Modules(...))`` must be given them again.

    Examples
    --------
    >>> backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU())
    >>> network = Modules(backbone, frozen=True)
    >>> encoder, decoder = network.build(Layout((8, 8), ("height", "width")), 4, 4, 64, torch.Generator())
    >>> encoder(torch.zeros(2, 8, 8), Context((8, 8))).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        *,
        frozen: bool = False,
        channels_first: bool = False,
        other: Any = Dense((2.0, 1.0)),
    ) -> None:
        for name, module in (("encoder", encoder), ("decoder", decoder)):
            if module is not None and not isinstance(module, nn.Module):
                raise InputError(f"Modules: {name} must be an nn.Module, or None; got {module!r}")
        if encoder is None and decoder is None:
            raise InputError("Modules: give an encoder, or a decoder, or both")
        if not (hasattr(other, "build") and hasattr(other, "resolve")):
            raise InputError(f"Modules: other must be a network such as ist.Dense((64, 32)); got {other!r}")
        self.encoder, self.decoder, self.other = encoder, decoder, other
        self.frozen, self.channels_first = frozen, channels_first

    def __repr__(self) -> str:
        said = [f"{name}={in_words(module)}" for name in ("encoder", "decoder") if (module := getattr(self, name))]
        said += [f"{name}=True" for name in ("frozen", "channels_first") if getattr(self, name)]
        return f"Modules({', '.join([*said, f'other={self.other!r}'])})"

    def resolve(self, features: int, code_size: int) -> Modules:
        """The same, with the other network's widths known."""
        made = copy.copy(self)
        made.other = self.other.resolve(features, code_size)
        return made

    def build(
        self, layout: Layout, hidden_size: int, code_size: int, out_size: int, generator: torch.Generator, **more: Any
    ) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder: copies of the user's modules where there are any."""
        if more.get("given_size") and self.encoder is not None and self.decoder is not None:
            raise InputError("given: neither of your modules reads what rows are given; leave it out")
        encoder, decoder = self.other.build(layout, hidden_size, code_size, out_size, generator, **more)
        if self.encoder is not None:
            encoder = Backbone(self, layout, hidden_size, generator)
        if self.decoder is not None:
            decoder = Rebuilder(self.decoder, out_size)
        return encoder, decoder


def in_words(module: nn.Module) -> str:
    return f"{type(module).__name__} of {counted(sum(p.numel() for p in module.parameters()), 'weight')}"


class Backbone(nn.Module):
    """A copy of the user's encoder, and a linear map from what it emits to what the bottleneck wants."""

    takes_context = True

    def __init__(self, network: Modules, layout: Layout, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen, self.channels_first = network.frozen, network.channels_first
        self.grey = layout.axes[-1] != "channel"
        self.module = aware(copy.deepcopy(network.encoder or nn.Identity()))
        if self.frozen:
            self.module.requires_grad_(False).eval()
        size = self.size(layout)
        self.head: nn.Linear | None = None
        if size != hidden_size:
            self.head = linear_layer(size, hidden_size, "identity", generator)

    def size(self, layout: Layout) -> int:
        """Numbers per row that the module emits."""
        training = self.module.training
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                found = self.module.eval()(self.arranged(torch.zeros(2, *layout.shape)), Context(layout.shape))
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(f"Modules: the encoder cannot take rows of the shape {layout.shape}: {error}") from error
        self.module.train(training)
        if not isinstance(found, Tensor) or len(found) != 2:
            raise InputError(f"Modules: the encoder must give one tensor with a row for each row; it gave {found!r}")
        return found[0].numel()

    def train(self, mode: bool = True) -> Backbone:
        super().train(mode)
        if self.frozen:
            self.module.eval()
        return self

    def arranged(self, x: Tensor) -> Tensor:
        if not self.channels_first:
            return x
        return x[:, None] if self.grey else x.movedim(-1, 1)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        hidden = self.module(self.arranged(x), context).flatten(1)
        return hidden if self.head is None else self.head(hidden)


class Rebuilder(nn.Module):
    """A copy of the user's decoder, its output in the shape of a row."""

    takes_context = True

    def __init__(self, decoder: nn.Module, out_size: int) -> None:
        super().__init__()
        self.module = aware(copy.deepcopy(decoder))
        self.out_size = out_size

    def forward(self, z: Tensor, context: Context) -> Tensor:
        out = self.module(z, context)
        if out[0].numel() != self.out_size:
            raise InputError(
                f"Modules: the decoder must give {self.out_size:,} numbers per row; it gave {out[0].numel():,}"
            )
        numbers = self.out_size // math.prod(context.shape)
        return out.reshape(len(out), *([numbers] if numbers > 1 else []), *context.shape)
