"""Penalties that make codes, or the units of a layer, sparse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.activations import REACH, SHRINK
from isthmus.parts.penalties.common import Remembering, check_weight, units_of
from isthmus.records import NOWHERE, Schedule, Site, Trace, part

EDGE = 1e-6
"""Mean activations are kept this far from 0 and 1, where a float32 sigmoid ends and the divergence is infinite."""


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
        return units_of(self.layer, trace).abs().sum(1)


@part
class KLSparsity:
    """Divergence of every unit's mean activation m from a target: units that are rarely active, yet never dead.

        weight * sum over units of  t log(t / m) + (1 - t) log((1 - t) / (1 - m)),   t the target

    The mean over a small batch says little of a unit that should be active in one row of twenty, so m is a running
    mean over the last ``window`` rows, about. The gradient reaches the batch's own mean at full strength, as if m
    were that mean: smaller batches make it noisier, not weaker.

    Parameters
    ----------
    target : t, in (0, 1).
    weight : nats per row for one nat of divergence, >= 0.
    layer : ``"code"``, or the name of a layer; its units must lie in [0, 1], so give it a sigmoid.
    window : rows >= 1; a batch with as many rows or more is its own mean.

    Raises
    ------
    InputError : a target outside (0, 1), or units that leave [0, 1].

    Notes
    -----
    Let the weight rise, ``Ramp(0, 20, epochs=10)``: states of a fit are compared by their cost without penalties,
    and only from the end of the last schedule on, so that an early state that is not sparse yet is not preferred.

    References
    ----------
    Lee, Ekanadham & Ng 2008, Sparse deep belief net model for visual area V2; Ng 2011, Sparse autoencoder
    (CS294A lecture notes).
    """

    target: float = 0.05
    weight: Schedule = 1.0
    layer: str = "code"
    window: int = 1000

    estimates_gradient = "the value is that of a running mean, the gradient that of the batch's mean"

    def __post_init__(self) -> None:
        check_weight("KLSparsity", self.weight)
        if not (is_real(self.target) and 0 < self.target < 1):
            raise InputError(f"KLSparsity: target must be a mean activation in (0, 1), e.g. 0.05; got {self.target!r}")
        if not self.window >= 1:
            raise InputError(f"KLSparsity: window must be a number of rows >= 1; got {self.window!r}")

    def build(self, site: Site = NOWHERE) -> RunningKL:
        return RunningKL(self)


class RunningKL(Remembering):
    """The module behind `KLSparsity`; ``mean`` (units,) is the running mean, empty before the first step."""

    mean: Tensor
    term = "KLSparsity"  # what it is called in the history

    estimates_gradient = KLSparsity.estimates_gradient

    def __init__(self, sparsity: KLSparsity) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.weight, self.layer = sparsity.weight, sparsity.layer
        self.register_buffer("mean", torch.empty(0))

    def check(self, composition: Any) -> None:
        """Refuse a code that is known to leave [0, 1] before the first step."""
        activation = getattr(composition.bottleneck, "activation", None)
        if self.layer == "code" and activation is not None and REACH.get(activation) != (0.0, 1.0):
            raise InputError(self.advice(f"the code's activation is {activation!r}"))

    def advice(self, found: str) -> str:
        remedy = 'bottleneck=Plain("sigmoid")' if self.layer == "code" else 'activation="sigmoid"'
        return f"KLSparsity: the units of {self.layer!r} must lie in [0, 1], but {found}; use {remedy}, or L1 instead"

    def forward(self, trace: Trace) -> Tensor:
        units = units_of(self.layer, trace)
        low, high = (float(end) for end in units.detach().aminmax())
        if low < 0 or high > 1:
            raise InputError(self.advice(f"they run from {low:.3g} to {high:.3g}"))
        batch_mean, rows = mean_and_rows(units, trace)
        # The value of the running mean with the gradient of the batch's.
        mean = self.updated(batch_mean.detach(), rows).clamp(EDGE, 1 - EDGE) + (batch_mean - batch_mean.detach())
        target = self.sparsity.target
        return (target * torch.log(target / mean) + (1 - target) * torch.log((1 - target) / (1 - mean))).sum()

    def updated(self, batch_mean: Tensor, rows: float) -> Tensor:
        """The running mean after a batch; the first batch is its own."""
        if not len(self.mean):
            return batch_mean
        return torch.lerp(self.mean.to(batch_mean.dtype), batch_mean, min(1.0, rows / self.sparsity.window))

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        self.mean = self.updated(*mean_and_rows(units_of(self.layer, trace), trace)).to(self.mean.dtype)


def mean_and_rows(units: Tensor, trace: Trace) -> tuple[Tensor, float]:
    """(units,) the mean over the batch's rows by their weights, and the rows that they amount to."""
    weight = trace.batch.row_weight
    if weight is None:
        return units.mean(0), len(units)
    return (weight[:, None] * units).sum(0) / weight.sum().clamp(min=EDGE), float(weight.sum())


COMPLEMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "saturated_linear": lambda h: F.relu(1 - h.abs()),
    "shrink": lambda h: F.relu(h.abs() - SHRINK),
}
"""By activation: how far an input is from the nearest one at which the activation is flat."""


@part
class Saturating:
    """Distance of every unit's input from where its activation is flat: insensitive codes, features by activation.

        weight * sum over units of  min over flat h' of |h - h'|,  in nats per row

    which is ``max(h, 0)`` for ``relu`` (an L1 penalty), ``max(1 - |h|, 0)`` for ``saturated_linear`` (codes that are
    nearly binary) and ``max(|h| - 0.5, 0)`` for ``shrink`` (an L1 penalty on a signed code).

    Parameters
    ----------
    weight : nats per row and unit of distance, >= 0.
    activation : the one that the units go through: ``"relu"``, ``"saturated_linear"`` or ``"shrink"``; give it to the
        bottleneck, or to the named layer's network, too.
    layer : ``"code"`` reads what the encoder emits, before the bottleneck's activation; else the name of a layer
        whose output goes through the activation, e.g. ``"encoder.linear.0"``.

    References
    ----------
    Goroshin & LeCun 2013, Saturating auto-encoders.
    """

    weight: Schedule = 0.1
    activation: str = "relu"
    layer: str = "code"

    def __post_init__(self) -> None:
        check_weight("Saturating", self.weight)
        if self.activation not in COMPLEMENTS:
            raise InputError(
                f"Saturating: activation must have a flat region, one of {', '.join(COMPLEMENTS)}; "
                f"got {self.activation!r}"
            )

    def check(self, composition: Any) -> None:
        """Refuse a code whose activation is known to be another one."""
        found = getattr(composition.bottleneck, "activation", self.activation)
        if self.layer == "code" and found != self.activation:
            raise InputError(
                f"Saturating: its activation is {self.activation!r}, the code's is {found!r}; they must be the same, "
                f"e.g. bottleneck=Plain({self.activation!r})"
            )

    def __call__(self, trace: Trace) -> Tensor:
        inputs = trace.hidden if self.layer == "code" else trace.activations[self.layer]
        return COMPLEMENTS[self.activation](inputs).flatten(1).sum(1)
