"""A network of two sorts: an encoder with layers, and a decoder that is one linear map."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from isthmus.parts.networks.dense import Dense
from isthmus.records import Layout, part


@part
class LinearDecoder:
    """The encoder of a dense network, and one linear map as the decoder.

    With a linear decoder each unit of the code adds its own vector to what is rebuilt, so that codes that differ in
    few units stand for rows that differ little: Hamming distance means something. A decoder with layers may give any
    meaning to any pattern of bits.

    Parameters
    ----------
    encoder : the dense network whose encoder is taken; ``Dense()`` is a linear map too.

    Examples
    --------
    >>> network = LinearDecoder(Dense((64,)))
    >>> layout = Layout((30,), ("column",))
    >>> encoder, decoder = network.build(layout, 8, 8, 30, torch.Generator().manual_seed(0))
    >>> len(encoder.linear), len(decoder.linear)
    (2, 1)
    """

    encoder: Dense = Dense()

    def resolve(self, features: int, code_size: int) -> LinearDecoder:
        """The same network with every width a number of units."""
        return replace(self, encoder=self.encoder.resolve(features, code_size))

    def build(
        self,
        layout: Layout,
        hidden_size: int,
        code_size: int,
        out_size: int,
        generator: torch.Generator,
        given_size: int = 0,
        told: bool = False,
    ) -> tuple[nn.Module, nn.Module]:
        """Make encoder and decoder, as `Dense.build` does."""
        sizes = (layout, hidden_size, code_size, out_size, generator, given_size)
        encoder, _ = self.encoder.build(*sizes, told)
        _, decoder = replace(self.encoder, hidden=(), linear_path=False, tied=False).build(*sizes)
        return encoder, decoder
