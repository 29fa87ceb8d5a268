"""Categories of very many levels, whose logits exist for some levels at a time, or for all in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InputError
from isthmus.parts.losses.blocks import Block
from isthmus.records import Column

WIDE = 1000
"""Beyond so many levels a category's logits are no outputs of the decoder, but products with learned vectors."""

SIZE = 32
"""Numbers that the decoder emits for a wide category, and in each level's vector."""

SAMPLED = 1000
"""Levels that a training step compares the true ones with."""

BYTES = 64 * 2**20
"""The most that the logits of one piece take."""


def pieces(rows: int, levels: int, itemsize: int) -> Iterator[slice]:
    """The levels in runs, so long that the logits of these rows take at most `BYTES`.

    >>> [(piece.start, piece.stop) for piece in pieces(rows=2**20, levels=40, itemsize=4)]
    [(0, 16), (16, 32), (32, 40)]
    """
    most = max(1, BYTES // (max(rows, 1) * itemsize))
    for start in range(0, levels, most):
        yield slice(start, min(start + most, levels))


class WideCategories(Block):
    """Categories of more than `WIDE` levels, one `SampledSoftmax` for each."""

    heads: Any  # modules of type SampledSoftmax

    def __init__(self, columns: tuple[Column, ...], generator: torch.Generator) -> None:
        super().__init__(columns, SIZE * len(columns))
        self.heads = nn.ModuleList(SampledSoftmax(column.levels, generator) for column in columns)

    def pairs(self, out: Tensor) -> Iterator[tuple[SampledSoftmax, Tensor]]:
        """Every column's softmax with its outputs."""
        yield from zip(self.heads, out.split(SIZE, 1), strict=True)

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        with torch.autocast(out.device.type, enabled=False):  # the true level's logit must fit the sum: no bfloat16
            found = [head.nats(own, level) for (head, own), level in zip(self.pairs(out), x.long().T, strict=True)]
        return torch.stack(found, 1)

    @torch.no_grad()
    def mean(self, out: Tensor) -> Tensor:
        """The most probable level, which is never that of other values."""
        return torch.stack([head.best(own) for head, own in self.pairs(out)], 1).to(out.dtype)

    @torch.no_grad()
    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        return torch.stack([head.best(own, generator) for head, own in self.pairs(out)], 1).to(out.dtype)

    def shares(self, out: Tensor, place: int) -> Tensor:
        head, own = list(self.pairs(out))[place]
        if len(out) * head.levels * out.element_size() > 4 * BYTES:
            raise InputError(
                f"probabilities: {len(out):,} rows of {head.levels:,} levels do not fit; ask for at most "
                f"{4 * BYTES // (head.levels * out.element_size()):,} rows at a time"
            )
        return torch.softmax(head.scores(own, slice(None)), 1)

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        return (rebuilt != x).to(x.dtype)

    def follow(self, out: Tensor, x: Tensor, mass: Tensor) -> None:
        for head in self.heads:
            head.steps += 1


class SampledSoftmax(nn.Module):
    """A softmax over ``levels`` levels: the logit of level j is out . ``vectors``[j] + ``bias``[j].

        nats = log Z - logit[x],   Z = exp(logit[x]) + sum over all other levels j of exp(logit[j])

    While it trains, ``samples`` levels stand for all, the same ones for all rows:

        Z' = exp(logit[x]) + levels/samples (sum over the levels of the sample, without x, of exp(logit[j]))

    Z' is Z in the mean over ``levels`` steps, and log Z' is below log Z in the mean, the less so the better one level
    is told from the others. The sample is a random pattern of levels, drawn once, that moves on with every step by a
    number that shares no factor with ``levels``: each level is met equally often, no generator is asked, and a fit that
    is resumed goes on with the samples that it would have met.

    References
    ----------
    Bengio & Senecal 2008, "Adaptive importance sampling to accelerate training of a neural probabilistic language
    model"; Jean et al. 2015, "On using very large target vocabulary for neural machine translation".
    """

    pattern: Tensor
    steps: Tensor

    def __init__(self, levels: int, generator: torch.Generator, *, size: int = SIZE, samples: int = SAMPLED) -> None:
        super().__init__()
        self.levels, samples = levels, min(samples, levels)
        self.stride = coprime(levels)
        # So that logits are of the size of an output.
        self.vectors = nn.Parameter(torch.empty(levels, size).normal_(generator=generator) / math.sqrt(size))
        self.bias = nn.Parameter(torch.zeros(levels))
        self.register_buffer("pattern", torch.randperm(levels, generator=generator)[:samples])
        self.register_buffer("steps", torch.tensor(0))

    def sampled(self) -> Tensor:
        """The levels of this step's sample, all different."""
        return (self.pattern + self.steps * self.stride) % self.levels

    def scores(self, out: Tensor, which: slice) -> Tensor:
        """(n, levels) logits of some levels."""
        return F.linear(out, self.vectors[which], self.bias[which]).to(out.dtype)

    def nats(self, out: Tensor, level: Tensor) -> Tensor:
        """(n,) for the levels (n,) that are true: sampled while it trains, else exact."""
        if self.training and torch.is_grad_enabled():
            return self.sampled_nats(out, level)
        true = (out * self.vectors[level]).sum(1) + self.bias[level]
        # Piece by piece: what stays of each is a number per row.
        found = (self.scores(out, piece).logsumexp(1) for piece in pieces(len(out), self.levels, out.element_size()))
        return reduce(torch.logaddexp, found) - true

    def sampled_nats(self, out: Tensor, level: Tensor) -> Tensor:
        """(n,) log Z' - logit[x]."""
        sampled = self.sampled()
        # Looked up together: a look-up's gradient is as large as the table.
        both, count = torch.cat([sampled, level]), len(sampled)
        vectors, bias = F.embedding(both, self.vectors).to(out.dtype), self.bias[both].to(out.dtype)
        true = (out * vectors[count:]).sum(1) + bias[count:]
        others = F.linear(out, vectors[:count], bias[:count]).to(out.dtype) + math.log(self.levels / count)
        others = others.masked_fill(level[:, None] == sampled, -math.inf)
        return torch.cat([true[:, None], others], 1).logsumexp(1) - true

    def best(self, out: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(n,) the most probable level, never the last, which stands for other values; with a generator a drawn one.

        A level is drawn as the greatest of all logits, each with noise of Gumbel's distribution added.
        """
        greatest = out.new_full((len(out),), -math.inf)
        level = torch.zeros(len(out), dtype=torch.long, device=out.device)
        for piece in pieces(len(out), max(1, self.levels - 1), out.element_size()):
            scores = self.scores(out, piece)
            if generator is not None:
                scores = scores - torch.empty_like(scores).exponential_(generator=generator).log_()
            value, place = scores.max(1)
            level = torch.where(value > greatest, place + piece.start, level)
            greatest = torch.maximum(greatest, value)
        return level


def coprime(levels: int) -> int:
    """A step that visits every level before any twice, near the golden share of them: steps in a row lie far apart.

    >>> coprime(10), coprime(20_000)
    (7, 12361)
    """
    step = max(1, round(0.618034 * levels))
    while math.gcd(step, levels) != 1:
        step += 1
    return step
