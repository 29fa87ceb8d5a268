"""What ONNX has no words for, said in those that it has: functions, and the costs of mixed tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from isthmus.parts.losses.columns import AllNumbers, PerColumnLoss
from isthmus.parts.losses.common import known, row_sums, stirling_rest
from isthmus.parts.losses.wide import SampledSoftmax, WideCategories
from isthmus.records import Context

AT_ONCE = 10_000
"""Levels whose logits a graph forms at a time: 40 MB for a thousand rows."""

SHIFT = 8
"""Steps that a small argument of the Gamma function is moved up by, to where Stirling's series is exact to 1e-11."""

FAR = 10.0
"""From here on the Bessel function is its asymptotic series, exact to 1e-8."""


def log_gamma(x: Tensor) -> Tensor:
    """log Gamma(x) for x > 0, by Gamma(x) = Gamma(x + 8) / (x (x + 1) ... (x + 7)) and Stirling's series.

    >>> log_gamma(torch.tensor([0.5, 1.0, 5.0])).exp()  # sqrt(pi), 0!, 4!
    tensor([ 1.7725,  1.0000, 24.0000])
    """
    z = x.double()
    steps = (z.clamp(max=20.0)[..., None] + torch.arange(SHIFT)).log().sum(-1)
    z, moved = torch.where(z < 20, z + SHIFT, z), torch.where(z < 20, steps, torch.zeros_like(z))
    series = (z - 0.5) * z.log() - z + 0.5 * math.log(2 * math.pi) + stirling_rest(z)
    return (series - moved).to(x.dtype)


def bessel(x: Tensor) -> Tensor:
    """exp(-x) I_0(x) for x >= 0: a power series below `FAR`, an asymptotic one above.

        I_0(x) = sum of (x / 2)^(2k) / k!^2,   sqrt(2 pi x) exp(-x) I_0(x) = sum of (2k - 1)!!^2 / (k! (8 x)^k)

    >>> bessel(torch.tensor([0.0, 1.0, 100.0]))
    tensor([1.0000, 0.4658, 0.0399])
    """
    near, far = x.double().clamp(max=FAR), x.double().clamp(min=FAR)
    series = powers((near / 2).square(), [math.factorial(k) ** -2 for k in range(27)])
    odd = [math.prod(range(1, 2 * k, 2)) for k in range(13)]
    asymptotic = powers(1 / (8 * far), [odd[k] ** 2 / math.factorial(k) for k in range(13)])
    return torch.where(x < FAR, series * (-near).exp(), asymptotic / (2 * math.pi * far).sqrt()).to(x.dtype)


def powers(x: Tensor, factors: list[float]) -> Tensor:
    """The sum of factors[k] x^k; all powers at once, as writing a graph takes time for every operation."""
    return (x[..., None] ** torch.arange(len(factors)) * torch.tensor(factors, dtype=x.dtype)).sum(-1)


def cross_entropy(out: Tensor, x: Tensor, **settings: Any) -> Tensor:
    """-log softmax(out)[x] along axis 1: the exporter takes the mean of PyTorch's own, whatever it is asked for."""
    if settings["reduction"] != "none" or settings["weight"] is not None or settings["label_smoothing"]:
        return F.cross_entropy(out, x, **settings)
    return out.logsumexp(1) - out.gather(1, x[:, None])[:, 0]


SPELLED: dict[Any, Callable[..., Tensor]] = {
    torch.lgamma: log_gamma,
    torch.special.i0e: bessel,
    F.cross_entropy: cross_entropy,
}


class Spelled(TorchFunctionMode):
    """While it lasts, the functions that ONNX lacks are formed from those that it has."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return SPELLED.get(function, function)(*args, **(kwargs or {}))


class ColumnCosts(nn.Module):
    """The loss of a mixed table for any number of rows, which `PerColumnLoss` looks at to check shapes and to cut the
    logits of wide categories to the memory that there is."""

    support = "mixed"

    def __init__(self, loss: PerColumnLoss) -> None:
        super().__init__()
        self.loss = loss

    def cost(self, out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """(n,) nats."""
        outs = out.to(x.dtype).split(self.loss.outputs, 1)
        cells, weights = (
            values.index_select(1, self.loss.order).split(self.loss.counts, 1) for values in (known(x, weight), weight)
        )
        return sum(
            (block_costs(*one) for one in zip(self.loss.blocks, outs, cells, weights, strict=True)), torch.zeros(())
        )

    def mean(self, out: Tensor, context: Context | None = None) -> Tensor:
        """(n, columns) what every cell is rebuilt as."""
        outs = out.split(self.loss.outputs, 1)
        made = [
            wide_mean(*one) if is_wide(one[0]) else one[0].mean(one[1])
            for one in zip(self.loss.blocks, outs, strict=True)
        ]
        return torch.cat(made, 1).index_select(1, self.loss.place)


def is_wide(block: nn.Module) -> bool:
    return isinstance(block, WideCategories)


def block_costs(block: Any, out: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """(n,) what the cells of a block cost together."""
    if isinstance(block, AllNumbers):
        return block.cost(out, x, weight)
    return row_sums(wide_nats(block, out, x) if is_wide(block) else block.nats(out, x), weight)


def some_scores(head: SampledSoftmax, out: Tensor, levels: int) -> list[Tensor]:
    """The logits of the first ``levels`` levels, `AT_ONCE` at a time."""
    return [head.scores(out, slice(start, min(start + AT_ONCE, levels))) for start in range(0, levels, AT_ONCE)]


def wide_nats(block: WideCategories, out: Tensor, x: Tensor) -> Tensor:
    """(n, count) as `WideCategories.nats`, exact."""
    found = []
    for (head, own), level in zip(block.pairs(out), x.long().unbind(1), strict=True):
        total = reduce(torch.logaddexp, (scores.logsumexp(1) for scores in some_scores(head, own, head.levels)))
        found.append(total - (own * head.vectors[level]).sum(1) - head.bias[level])
    return torch.stack(found, 1)


def wide_mean(block: WideCategories, out: Tensor) -> Tensor:
    """(n, count) the most probable levels, as `WideCategories.mean`."""
    found = []
    for head, own in block.pairs(out):
        tops = [scores.max(1) for scores in some_scores(head, own, max(1, head.levels - 1))]
        values = torch.stack([value for value, _ in tops], 1)
        levels = torch.stack([place + i * AT_ONCE for i, (_, place) in enumerate(tops)], 1)
        found.append(levels.gather(1, values.argmax(1, keepdim=True)))
    return torch.cat(found, 1).to(out.dtype)
