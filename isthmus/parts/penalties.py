"""Penalties: terms of the objective that need the batch, a layer's activations, or the weights.

A penalty is called with the `Trace` and returns a scalar or (n,); its ``weight`` is a number or a schedule.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.errors import InputError
from isthmus.records import Schedule, Trace, part


def check_weight(name: str, weight: Schedule) -> None:
    if not callable(weight) and not weight >= 0:
        raise InputError(f"{name}: weight must be >= 0; got {weight!r}")


@part
class L1:
    """Mean absolute activation of the code, or of a named layer: the simplest way to sparse codes.

        weight * sum over units of |activation|,  in nats per row

    Parameters
    ----------
    weight : nats per unit of activation, >= 0.
    layer : ``"code"``, or the name of a layer as `Composition.layer_names` lists them, e.g. ``"encoder.hidden.0"``, the
        first hidden layer after its activation.
    """

    weight: Schedule = 0.1
    layer: str = "code"

    def __post_init__(self) -> None:
        check_weight("L1", self.weight)

    def __call__(self, trace: Trace) -> Tensor:
        units = trace.code.point if self.layer == "code" else trace.activations[self.layer]
        return units.abs().flatten(1).sum(1)


@part
class WeightDecay:
    """Half the sum of the squared weights (not biases): ``weight / 2 * |W|^2``, Kunin et al. 2019 for linear kinds."""

    weight: Schedule = 1e-4

    def __post_init__(self) -> None:
        check_weight("WeightDecay", self.weight)

    def __call__(self, trace: Trace) -> Tensor:
        squares = [p.square().sum() for p in trace.composition.parameters() if p.ndim > 1]
        return 0.5 * torch.stack(squares).sum()
