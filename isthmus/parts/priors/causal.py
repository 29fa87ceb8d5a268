"""A small transformer over the symbols of a code, which at every place sees those before it alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.parts.distributions.discrete import largest_divisor
from isthmus.parts.flows import fresh_linear
from isthmus.parts.priors.alphabet import Alphabet

HEAD = 32
"""Numbers that one head of attention compares, at least where the width has them."""

SMALL = 0.3
"""Standard deviation of the first numbers that stand for symbols and places."""

Past = tuple[Tensor, Tensor] | None
"""(n, heads, places, width / heads) keys and values of the places before; None = there are none."""


class Causal(nn.Module):
    """The logits of every symbol as those before it say, and as what the row is given does, which is read first."""

    table: Tensor
    absent: Tensor

    def __init__(
        self, width: int, layers: int, alphabet: Alphabet, size: int, conditions: int, source: torch.Generator
    ) -> None:
        super().__init__()
        self.symbols, self.most = alphabet.symbols(size), alphabet.most
        table, sizes = alphabet.tables(self.symbols), alphabet.sizes.flatten()

        def small(*shape: int) -> nn.Parameter:
            return nn.Parameter(SMALL * torch.randn(*shape, generator=source, device=source.device))

        self.entries, self.places = small(len(sizes) * self.most, width), small(self.symbols, width)
        # What a symbol says may hang on its place, where all places share their entries: gains, begun at 1.
        self.gains = nn.Parameter(torch.ones(self.symbols, width))
        self.given = nn.Parameter(torch.zeros(width, conditions)) if conditions else None
        self.layers = nn.ModuleList(Attending(width, source) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # Of 0: at first the symbols are independent of each other, and as frequent as `begin` finds them.
        self.heads = nn.Parameter(torch.zeros(len(sizes), self.most, width))
        self.frequencies = nn.Parameter(torch.zeros(self.symbols, self.most))
        self.register_buffer("table", table, persistent=False)
        absent = torch.arange(self.most, device=sizes.device) >= sizes[table][:, None]
        self.register_buffer("absent", absent, persistent=False)

    def begin(self, index: Tensor) -> None:
        """Start from how frequent the symbols (n, symbols) are at their places, each counted half a time more."""
        counts = torch.stack([torch.bincount(column, minlength=self.most) for column in index.unbind(1)])
        with torch.no_grad():
            self.frequencies.copy_(((counts + 0.5) / (len(index) + 0.5 * self.most)).log())

    def first(self, n: int, given: Tensor | None, untold: Tensor | None = None) -> Tensor:
        """(n, 1, width): what is read before the first symbol; rows that are ``untold`` (n,) do without."""
        x = self.places[0].expand(n, -1)
        if self.given is not None and given is not None:
            told = given.to(x.dtype) @ self.given.T
            x = x + (told if untold is None else told.masked_fill(untold[:, None], 0.0))
        return x[:, None]

    def seen(self, index: Tensor, start: int = 0) -> Tensor:
        """(n, m) symbols from place ``start`` on -> (n, m, width): what the places after them read."""
        stop = start + index.shape[1]
        x = F.embedding(self.table[start:stop] * self.most + index, self.entries)
        return x * self.gains[start:stop] + self.places[start + 1 : stop + 1]

    def logits(self, x: Tensor, start: int = 0) -> Tensor:
        """(n, m, width) -> (n, m, most), of the places from ``start`` on."""
        stop = start + x.shape[1]
        heads = self.heads[self.table[start:stop]]
        raw = torch.einsum("npw,pmw->npm", self.norm(x), heads) + self.frequencies[start:stop]
        return raw.masked_fill(self.absent[start:stop], -torch.inf)

    def forward(self, index: Tensor, given: Tensor | None = None, untold: Tensor | None = None) -> Tensor:
        """(n, symbols) int64 -> (n, symbols, most) logits."""
        x = torch.cat((self.first(len(index), given, untold), self.seen(index[:, :-1])), dim=1)
        for layer in self.layers:
            x = layer(x)[0]
        return self.logits(x)

    def log_prob(self, index: Tensor, given: Tensor | None = None, untold: Tensor | None = None) -> Tensor:
        """(n, symbols) nats, of every symbol after those before it."""
        logits = self(index, given, untold)
        return -F.cross_entropy(logits.flatten(0, 1), index.flatten(), reduction="none").reshape(index.shape)

    def drawn(self, n: int, given: Tensor | None, generator: torch.Generator) -> Tensor:
        """(n, symbols) int64, one place after the other."""
        x, pasts, found = self.first(n, given), [None] * len(self.layers), []
        for place in range(self.symbols):
            for number, layer in enumerate(self.layers):
                x, pasts[number] = layer(x, pasts[number])
            shares = self.logits(x, place)[:, 0].softmax(1).to(generator.device)
            found.append(torch.multinomial(shares, 1, generator=generator).to(x.device))
            x = self.seen(found[-1], place) if place + 1 < self.symbols else x
        return torch.cat(found, dim=1)


class Attending(nn.Module):
    """One layer: every place takes from itself and those before it what it asks for, then thinks it over. It begins as
    the identity.

    References: Vaswani et al. 2017, Attention is all you need; Xiong et al. 2020, On layer normalization in the
    transformer architecture (norms first).
    """

    def __init__(self, width: int, source: torch.Generator) -> None:
        super().__init__()
        self.heads = largest_divisor(width, max(1, width // HEAD))
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = fresh_linear(width, 3 * width, source, gain=0.5)
        self.taken = fresh_linear(width, width, source, gain=0.0)
        self.wide = fresh_linear(width, 4 * width, source)
        self.narrow = fresh_linear(4 * width, width, source, gain=0.0)

    def forward(self, x: Tensor, past: Past = None) -> tuple[Tensor, Any]:
        """(n, m, width), and the keys and values of all places so far; after a ``past`` one place at a time."""
        asks, keys, values = self.asked(self.norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if past is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        taken = F.scaled_dot_product_attention(asks, keys, values, is_causal=past is None)
        x = x + self.taken(taken.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.second_norm(x)))), (keys, values)
