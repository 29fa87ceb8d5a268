"""Penalties on the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.parts.penalties.common import check_weight
from isthmus.records import Schedule, Trace, part


@part
class WeightDecay:
    """Half the sum of the squared weights (not biases): ``weight / 2 * |W|^2``, Kunin et al. 2019 for linear kinds."""

    weight: Schedule = 1e-4

    def __post_init__(self) -> None:
        check_weight("WeightDecay", self.weight)

    def __call__(self, trace: Trace) -> Tensor:
        squares = [p.square().sum() for p in trace.composition.parameters() if p.ndim > 1]
        return 0.5 * torch.stack(squares).sum()
