"""Categories whose logits are outputs of the decoder, up to 1,000 levels: a softmax over each column's slice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from isthmus.parts.losses.blocks import Block
from isthmus.records import Column

FEW = 32
"""Categories of at most this many levels are costed together, whatever their counts: each alone is too little work."""


class Categories(Block):
    """One of several levels: the outputs are the logits of each column's levels, side by side.

    The last level stands for all values that have no level of their own, which nobody can be told: it is costed, but
    neither rebuilt nor drawn, unless there is no other.
    """

    first: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.levels = [column.levels for column in columns]
        super().__init__(columns, sum(self.levels))
        levels = torch.tensor(self.levels)
        self.register_buffer("first", levels.cumsum(0) - levels, persistent=False)

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        return CrossEntropies.apply(out, x.long() + self.first, self.levels)

    def named(self, out: Tensor) -> list[Tensor]:
        """Every column's logits, without those of the level of other values."""
        return [logits[:, : max(1, logits.shape[1] - 1)] for logits in out.split(self.levels, 1)]

    def mean(self, out: Tensor) -> Tensor:
        """The most probable level."""
        return torch.stack([logits.argmax(1) for logits in self.named(out)], 1).to(out.dtype)

    def sample(self, out: Tensor, generator: torch.Generator) -> Tensor:
        shares = [torch.softmax(logits, 1) for logits in self.named(out)]
        return torch.cat([torch.multinomial(share, 1, generator=generator) for share in shares], 1).to(out.dtype)

    def shares(self, out: Tensor, place: int) -> Tensor:
        return torch.softmax(out.split(self.levels, 1)[place], 1)

    def errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        return (rebuilt != x).to(x.dtype)


class CrossEntropies(torch.autograd.Function):
    """Minus the log of the softmax of the true level, of columns whose logits lie side by side.

        nats = log sum exp(out - peak) + peak - out[true],   its gradient  exp(out - peak) / sum - [level = true]

    A category of a thousand levels has few operations and many bytes: each pass over its logits tells. Here there are
    five, of which one takes exponentials, of all columns at once; `torch.nn.functional.cross_entropy` of each column
    makes nine, and takes them twice.
    """

    @staticmethod
    def forward(ctx: Any, out: Tensor, true: Tensor, levels: list[int]) -> Tensor:
        """Parameters: out (n, outputs); true (n, columns), where in ``out`` each true level stands; how many ``levels``
        every column has. Returns (n, columns)."""
        raised = torch.empty_like(out, memory_format=torch.contiguous_format)
        logits, own = out.split(levels, 1), raised.split(levels, 1)
        peak = torch.stack([each.amax(1) for each in logits], 1)
        for each, top, place in zip(logits, peak.split(1, 1), own, strict=True):
            torch.sub(each, top, out=place)
        raised.exp_()
        total = torch.stack([each.sum(1) for each in own], 1)
        ctx.save_for_backward(raised, total, true)
        ctx.levels = levels
        return total.log() + peak - out.gather(1, true)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, paid: Tensor) -> tuple[Tensor, None, None]:
        raised, total, true = ctx.saved_tensors
        slopes = torch.empty_like(raised)
        shares, parts = (paid / total).split(1, 1), (values.split(ctx.levels, 1) for values in (raised, slopes))
        for share, each, place in zip(shares, *parts, strict=True):
            torch.mul(each, share, out=place)
        return slopes.scatter_add_(1, true, -paid), None, None


class FewCategories(Categories):
    """Categories of few levels, in a number of operations that does not grow with that of the columns.

        nats = log sum exp(out - peak) + peak - out[x],   peak = the greatest of the column's outputs

    All columns' sums at once are a product with ``members`` (outputs, count), 1 where an output is of a column.
    """

    members: Tensor
    owner: Tensor

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(columns)
        owner = torch.repeat_interleave(torch.arange(self.count), torch.tensor(self.levels))
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("members", F.one_hot(owner, self.count).float(), persistent=False)

    def nats(self, out: Tensor, x: Tensor) -> Tensor:
        # The peak moves nothing, so that it needs no gradient.
        peak = torch.stack([logits.amax(1) for logits in out.detach().split(self.levels, 1)], 1)
        with torch.autocast(out.device.type, enabled=False):  # in bfloat16 sums of probabilities are too coarse
            total = torch.exp(out - peak[:, self.owner]) @ self.members.to(out.dtype)
        return torch.log(total) + peak - out.gather(1, x.long() + self.first)
