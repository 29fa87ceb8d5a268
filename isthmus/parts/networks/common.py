"""What the networks have in common at their ends: what is read beside x or z, and what the output may be."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.records import Context, Layout


class ReadsGiven(Protocol):
    """Layers that read so many numbers per row beside their input."""

    given_size: int


def given_to(layers: ReadsGiven, context: Context) -> tuple[Tensor, ...]:
    """What the rows are given, for layers that read it."""
    if not layers.given_size:
        return ()
    if context.given is None:
        raise InputError(f"given: this network reads {layers.given_size} given numbers per row; none came")
    return (context.given,)


def told_level(context: Context) -> Tensor:
    """(n, 1) how strong the noise of every row is, as an encoder that is told reads it."""
    if context.level is None:
        raise InputError("level: this encoder is told how strong the noise is; none came")
    # Noise levels differ by factors: their logarithm has about the size of scaled data.
    return torch.log(context.level + 0.01)[:, None]


def numbers_per_cell(owner: str, out_size: int, layout: Layout) -> int:
    """How many numbers a loss wants of every cell, for networks that give as many of each."""
    if out_size % layout.features:
        raise InputError(
            f"{owner}: a loss that wants {out_size} numbers per row of {layout.features} does not want as many of "
            "every cell. Use a loss that does, or network=ist.Dense()"
        )
    return out_size // layout.features


class Output(nn.Module):
    """A decoder's end: an activation, or a sigmoid stretched over a range for each feature, or for each channel."""

    low: Tensor
    width: Tensor

    def begin_output(self, activation: str, size: int) -> None:
        """``size``: features, or channels, of which each has a range of its own."""
        self.output_activation, self.bounded = activation, activation == "bounded"
        if self.bounded:
            self.register_buffer("low", torch.zeros(size))
            self.register_buffer("width", torch.ones(size))

    def set_range(self, low: np.ndarray, high: np.ndarray) -> None:
        """What a bounded output may be: (features,) each, in scaled units; where a channel has one range for all
        places, the widest of theirs."""
        size = len(self.low)
        lowest, highest = low.reshape(-1, size).min(0), high.reshape(-1, size).max(0)
        self.low.copy_(torch.from_numpy(lowest))
        self.width.copy_(torch.from_numpy(highest - lowest))

    def ended(self, out: Tensor) -> Tensor:
        """The output, from what the last layer gives (..., size)."""
        if self.bounded:
            return torch.addcmul(self.low, torch.sigmoid(out), self.width)
        return ACTIVATIONS[self.output_activation](out)
