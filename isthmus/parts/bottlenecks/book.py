"""A book of entries that stand for the vectors next to them: what vector quantisation learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LLOYD_STEPS, START_VECTORS = 10, 2**14
"""Steps of k-means with which a book starts, and the most vectors that they look at."""


class Book(nn.Module):
    """Entries (size, width) that stand for the vectors next to them, and ``usage`` (size,), the share of the vectors
    that each is next to, both as running means; no gradient teaches them.

    References
    ----------
    van den Oord, Vinyals & Kavukcuoglu 2017, Neural discrete representation learning (appendix: moving averages);
    Lancucki et al. 2020, Robust training of vector quantized bottleneck models (k-means); Dhariwal et al. 2020,
    Jukebox: a generative model for music (revival).
    """

    entries: Tensor
    usage: Tensor

    def __init__(self, size: int, width: int, source: torch.Generator) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("entries", torch.randn(size, width, generator=source, device=source.device))
        self.register_buffer("usage", torch.full((size,), 1 / size))

    def nearest(self, vectors: Tensor) -> Tensor:
        """(m, width) -> (m,) int64: the number of the nearest entry, the first of equals."""
        # |v - e|^2 without |v|^2, the same for every entry: one product instead of an (m, size, width) difference. In
        # full precision: with the few digits of half of it, entries that lie close together are taken for each other.
        with torch.autocast(vectors.device.type, enabled=False):
            return torch.addmm(self.entries.square().sum(1), vectors, self.entries.T, alpha=-2).argmin(1)

    def begin(self, vectors: Tensor) -> None:
        """Start at vectors (m, width) drawn from the data, moved by a few steps of k-means."""
        source = torch.Generator().manual_seed(0)
        vectors = vectors[torch.randperm(vectors.shape[0], generator=source)[:START_VECTORS].to(vectors.device)]
        # Too few vectors are used again: the first of equals is chosen, the others are revived later.
        self.entries.copy_(vectors[torch.arange(self.size, device=vectors.device) % vectors.shape[0]])
        for _ in range(LLOYD_STEPS):
            self.follow(vectors, self.nearest(vectors), torch.ones_like(vectors[:, 0]), decay=0.0)

    def follow(self, vectors: Tensor, index: Tensor, weight: Tensor, decay: float) -> None:
        """Move every entry towards the mean of the vectors it was chosen for, each with its ``weight`` (m,).

        With u the usage and c the share chosen now,  u' = decay u + (1 - decay) c  and
        e' = (decay u e + (1 - decay) c mean) / u',  which is  e + (1 - decay) c / u' (mean - e).
        """
        tiny = torch.finfo(weight.dtype).tiny
        chosen = weight.new_zeros(index.shape[0], self.size).scatter_(1, index[:, None], weight[:, None])
        total = chosen.sum(0)
        fresh = (1 - decay) * total / weight.sum().clamp(min=tiny)
        self.usage.mul_(decay).add_(fresh)
        means = (chosen.T @ vectors) / total.clamp(min=tiny)[:, None]
        step = fresh / self.usage.clamp(min=tiny)
        self.entries.copy_(self.entries.lerp(means, step[:, None]))

    def revive(self, vectors: Tensor, weight: Tensor, least: float, source: torch.Generator) -> None:
        """Put entries used less than ``least`` times the fair share, 1 / size, onto vectors drawn at random."""
        dead = self.usage < least / self.size
        if dead.any() and weight.any():
            drawn = torch.multinomial(weight, int(dead.sum()), replacement=True, generator=source)
            self.entries[dead] = vectors[drawn]
            self.usage[dead] = 1 / self.size
