"""Penalties that make codes, or the units of a layer, sparse."""

from __future__ import annotations

from torch import Tensor

from isthmus.parts.penalties.common import check_weight
from isthmus.records import Schedule, Trace, part


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
