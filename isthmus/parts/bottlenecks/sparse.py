"""Bottlenecks that let only few units of a code be active in each row; the others are exactly 0.

In all of them ``point`` is what the decoder reads, so that what counts as active can be seen: ``point != 0``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.activations import ACTIVATIONS
from isthmus.records import NOWHERE, Batch, Code, Context, Site, Trace, part

SLOWEST = 0.01
"""The least share that one batch has in a running mean: about the last hundred batches count."""


@part
class TopK:
    """Keep the k largest activations of every row and set the others to 0.

    Parameters
    ----------
    k : a whole number >= 1, or a share of the code in (0, 1).
    activation : applied before the choice, a name that `Plain` knows; ``"relu"`` keeps fewer than k where fewer
        are above 0, ``"identity"`` keeps the k largest whatever their sign.

    Raises
    ------
    InputError : k is neither, or larger than the code.

    Notes
    -----
    Tie the decoder to the encoder, ``Dense(hidden=(), tied=True)``, as the paper does: units that start apart
    from their decoder often die, that is, are never among the k largest.

    References
    ----------
    Makhzani & Frey 2013, k-Sparse autoencoders.

    Examples
    --------
    >>> TopK(2)(torch.tensor([[3.0, -1.0, 2.0, 1.0]]), Context(shape=(4,))).z
    tensor([[3., 0., 2., 0.]])
    """

    k: int | float = 0.1
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_choice(type(self).__name__, self.k, self.activation)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        return wide_enough(type(self).__name__, self.k, code_size)

    def __call__(self, hidden: Tensor, context: Context) -> Code:
        activity = ACTIVATIONS[self.activation](hidden).flatten(1)
        point = largest(activity, units_kept(self.k, activity.shape[1]))
        return Code(z=point.reshape(hidden.shape), point=point)


@part
class BatchTopK:
    """Keep the n k largest activations of a batch of n rows, so that rich rows may use more units than poor ones.

    Outside training a row is alone: what is above a threshold is kept, the running mean of the smallest activation
    that was kept in training.

    Parameters
    ----------
    k : units per row in the mean: a whole number >= 1, or a share of the code in (0, 1).
    activation : applied before the choice; what it gives at or below 0 is never kept.

    References
    ----------
    Bussmann, Leask & Nanda 2024, BatchTopK sparse autoencoders.

    Examples
    --------
    >>> from isthmus.records import Pass
    >>> training = Context(shape=(2,), pass_=Pass(training=True))
    >>> BatchTopK(1).build()(torch.tensor([[3.0, 2.0], [1.0, 0.5]]), training).z
    tensor([[3., 2.],
            [0., 0.]])
    """

    k: int | float = 0.1
    activation: str = "relu"

    couples_rows = "in training the rows of a batch compete for its n k places"

    def __post_init__(self) -> None:
        check_choice(type(self).__name__, self.k, self.activation)

    def build(self, site: Site = NOWHERE) -> BatchChoice:
        return BatchChoice(self)


class BatchChoice(nn.Module):
    """The module behind `BatchTopK`; ``threshold`` is what an activation must exceed outside training."""

    threshold: Tensor
    steps: Tensor

    couples_rows = BatchTopK.couples_rows

    def __init__(self, choice: BatchTopK) -> None:
        super().__init__()
        self.choice = choice
        self.register_buffer("threshold", torch.tensor(0.0))
        self.register_buffer("steps", torch.tensor(0.0))

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        return wide_enough(type(self.choice).__name__, self.choice.k, code_size)

    def kept(self, hidden: Tensor) -> Tensor:
        """(n, units): the activations that a batch in training keeps."""
        activity = ACTIVATIONS[self.choice.activation](hidden).flatten(1)
        places = len(activity) * units_kept(self.choice.k, activity.shape[1])
        return largest(activity.clamp(min=0).reshape(1, -1), places).reshape(activity.shape)

    def forward(self, hidden: Tensor, context: Context) -> Code:
        if context.pass_.training:
            point = self.kept(hidden)
        else:
            activity = ACTIVATIONS[self.choice.activation](hidden).flatten(1)
            point = activity.where(activity > self.threshold, 0)
        return Code(z=point.reshape(hidden.shape), point=point)

    def start(self, hidden: Tensor, batch: Batch) -> None:
        """The first batch's threshold, so that the cost before the first step is that of a sparse code."""
        self.follow(self.kept(hidden), rate=torch.tensor(1.0))

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Follow the running mean of the smallest activation kept; the first step jumps to it."""
        self.steps += 1
        self.follow(trace.code.point, rate=(1.0 / self.steps).clamp(min=SLOWEST))

    def follow(self, point: Tensor, rate: Tensor) -> None:
        smallest = point.where(point > 0, math.inf).amin()
        if smallest.isfinite():
            self.threshold.lerp_(smallest.to(self.threshold.dtype), rate.to(self.threshold.dtype))


@part
class JumpReLU:
    """Keep the activations above a threshold that every unit learns for itself; each active unit is paid for.

        z = h * (h > theta),    cost = price * number of active units, in nats

    A step has no gradient in theta, so a pseudo-derivative takes its place: the step's height times a rectangle of
    width ``bandwidth`` around theta, which is right in the mean over rows whose h lie densely there.

    Parameters
    ----------
    price : nats that an active unit must save in the loss to be worth its while, >= 0; what decides how many
        are active. Where the loss learns its variance, a price that is too low lets data of little noise be learnt
        exactly, by a dense code.
    threshold : theta before training, >= 0; 0 stays 0 (plain rectifiers). bandwidth : > 0, in units of h, whose
        standard deviation over rows is about 1 at the start.

    References
    ----------
    Rajamanoharan et al. 2024, Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders.

    Examples
    --------
    >>> jump = JumpReLU(price=2.0, threshold=1.5).build(Site(code_size=3))
    >>> code = jump(torch.tensor([[3.0, -2.0, 1.0]]), Context(shape=(4,)))
    >>> code.z.detach(), code.cost.detach()
    (tensor([[3., 0., 0.]]), tensor([2.]))
    """

    price: float = 3.0
    threshold: float = 0.3
    bandwidth: float = 0.3

    estimates_gradient = "a step has no gradient in its threshold: a rectangle around it stands in"

    def __post_init__(self) -> None:
        for name, open_end in (("price", False), ("threshold", False), ("bandwidth", True)):
            value = getattr(self, name)
            fits = is_real(value) and (0 < value < math.inf or (value == 0 and not open_end))
            if not fits:
                raise InputError(f"JumpReLU: {name} must be {'>' if open_end else '>='} 0; got {value!r}")

    def build(self, site: Site = NOWHERE) -> Jump:
        """The code's size is needed where nobody asks for the `width`: in `compose`, by hand."""
        jump = Jump(self)
        if site.code_size:
            jump.width(site.code_size)
        return jump


class Jump(nn.Module):
    """The module behind `JumpReLU`: ``log_threshold`` (units,) is learned, its logarithm so that theta stays > 0."""

    log_threshold: nn.Parameter | None

    estimates_gradient = JumpReLU.estimates_gradient

    def __init__(self, jump: JumpReLU) -> None:
        super().__init__()
        self.jump = jump
        self.register_parameter("log_threshold", None)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``; from here on there is a threshold for each."""
        start = math.log(self.jump.threshold) if self.jump.threshold else -math.inf
        self.log_threshold = nn.Parameter(torch.full((code_size,), start))
        return code_size

    def forward(self, hidden: Tensor, context: Context) -> Code:
        if self.log_threshold is None:
            raise InputError(
                "JumpReLU: the code's size is not known; in compose, write JumpReLU().build(ist.Site(code_size=32))"
            )
        activity, threshold = hidden.flatten(1), self.log_threshold.exp()
        active = activity > threshold
        # Adds 0 to the values; to the gradients, what the rectangle says of the step.
        fixed = threshold.detach()
        near = (activity.detach() - fixed).abs() < self.jump.bandwidth / 2
        moved = (threshold - fixed) * near / self.jump.bandwidth
        point = activity.where(active, 0) - fixed * moved
        count = (active.to(moved.dtype) - moved).sum(1)
        return Code(z=point.reshape(hidden.shape), point=point, cost=self.jump.price * count)


def check_choice(name: str, k: int | float, activation: str) -> None:
    share = isinstance(k, float) and 0 < k < 1
    if not share and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise InputError(f"{name}: k must be a whole number >= 1, or a share of the code in (0, 1); got {k!r}")
    if activation not in ACTIVATIONS:
        raise InputError(f"{name}: activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")


def wide_enough(name: str, k: int | float, code_size: int) -> int:
    if k > code_size:
        raise InputError(
            f"{name}: k={k} is larger than the code of {code_size} units; use k <= {code_size} or a wider code_size"
        )
    return code_size


def units_kept(k: int | float, units: int) -> int:
    """How many of ``units`` a number or a share says."""
    return k if isinstance(k, int) else max(1, round(k * units))


def largest(activity: Tensor, count: int) -> Tensor:
    """``activity`` with all but the ``count`` largest of every row set to 0."""
    values, places = activity.topk(count, dim=1)
    return torch.zeros_like(activity).scatter(1, places, values)
