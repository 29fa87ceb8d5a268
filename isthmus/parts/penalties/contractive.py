"""Penalties on the Jacobian of the code: codes that move little when the row does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import is_real
from isthmus.errors import InputError
from isthmus.parts.jacobian import CodeMap, RowMap, closed_weight, pulled
from isthmus.parts.penalties.common import check_weight
from isthmus.parts.schedules import at
from isthmus.records import Schedule, Trace, part

METHODS = ("auto", "closed", "exact", "projection")


@part
class Contractive:
    """Squared Frobenius norm of the Jacobian of the code in what the encoder is shown (scaled units).

        weight * sum_ji (d code_j / d x_i)^2,  in nats per row

    Small Gaussian noise of variance v on every cell moves the code by v times this, in mean squared distance.

    Parameters
    ----------
    weight : nats per unit of squared norm, >= 0, or a schedule.
    method : ``"closed"``: sum_j f'(a_j)^2 |W_j|^2, for one dense layer and an elementwise bottleneck (`Plain`).
        ``"exact"``: any encoder, by one backward pass per code. ``"projection"``: an unbiased estimate from
        random directions. ``"auto"``: closed where it applies; else exact for codes of at most twice
        ``projections``, which then costs at most twice the estimate; else projection.
    projections : random directions per row for the estimate, >= 1; each costs a backward pass.

    Raises
    ------
    InputError : the encoder has batch norm, or ``method="closed"`` does not apply.

    Notes
    -----
    The estimate is the mean of |J^T v|^2 over directions v of random signs, drawn anew for every row. With
    G = J J^T its standard error, relative to |J|^2 = tr G, is

        sqrt(2 (|G|^2 - sum_j G_jj^2) / projections) / tr G  <=  sqrt(2 (1 - 1/code_size) / projections),

    see `relative_error` and `error_bound`; in the mean over n rows alike it is sqrt(n) times smaller.

    The code's own size is not fixed by this penalty: where code and decoder are linear, it can be made small by
    shrinking the code and enlarging the decoder's weights. A squashed code (``Plain("sigmoid")``) and tied weights,
    as in the paper, leave no such way out.

    References
    ----------
    Rifai, Vincent, Muller, Glorot & Bengio 2011, "Contractive auto-encoders: explicit invariance during feature
    extraction".
    """

    weight: Schedule = 1.0
    method: str = "auto"
    projections: int = 4

    draws_noise = "wide codes of deep encoders are probed along random directions, drawn for each row"

    def __post_init__(self) -> None:
        check_knobs(self)

    @property
    def error_bound(self) -> float:
        """The most that the estimate's relative standard error for one row can be: sqrt(2 / projections)."""
        return math.sqrt(2 / self.projections)

    def check(self, composition: Any) -> None:
        """Refuse encoders whose rows have no Jacobian of their own while training."""
        check_encoder(self, composition)

    def __call__(self, trace: Trace) -> Tensor:
        sketch = sketch_of(self, trace)
        return sketch.squares(sketch.here)


@part
class HigherOrderContractive:
    """How much the code's Jacobian changes nearby: a penalty on the curvature of the code, used beside `Contractive`.

        weight * E |J(x) - J(x + e)|^2,  e ~ N(0, noise^2),  in nats per row

    For small noise this is weight * noise^2 times the squared norm of all second derivatives.

    Parameters
    ----------
    weight : nats per unit of squared norm, >= 0, or a schedule.
    noise : standard deviation of e in scaled units, > 0, or a schedule.
    draws : noisy copies of each row, >= 1; each costs as much as `Contractive`.
    method, projections : as for `Contractive`; the estimate uses the same directions at x and at x + e.

    References
    ----------
    Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin & Glorot 2011, "Higher order contractive auto-encoder".
    """

    weight: Schedule = 1.0
    noise: Schedule = 0.1
    draws: int = 2
    method: str = "auto"
    projections: int = 4

    draws_noise = "every row is compared with noisy copies of its own"

    def __post_init__(self) -> None:
        check_knobs(self)
        if not callable(self.noise) and not (is_real(self.noise) and 0 < self.noise < math.inf):
            raise InputError(f"HigherOrderContractive: noise must be a number > 0; got {self.noise!r}")
        check_count(self, "draws")

    def check(self, composition: Any) -> None:
        """Refuse encoders whose rows have no Jacobian of their own while training."""
        check_encoder(self, composition)

    def __call__(self, trace: Trace) -> Tensor:
        sketch = sketch_of(self, trace)
        noise = at(self.noise, trace.pass_.epoch)
        changes = []
        for _ in range(self.draws):
            draw = torch.empty_like(sketch.x).normal_(generator=sketch.generator)
            changes.append(sketch.squares(sketch.here - sketch.values(sketch.x + noise * draw)))
        return torch.stack(changes).mean(0)


@dataclass(frozen=True)
class Sketch:
    """A linear image of the Jacobian whose weighted squares sum to its squared norm, exactly or in the mean.

    Because it is linear, the difference of two images tells the norm of the difference of two Jacobians.

    Attributes
    ----------
    x : (n, *shape) what the encoder was shown.
    here : (n, ...) the image of the Jacobian at x.
    values : the same at any other place.
    scale : weight of each square.
    generator : the source of noise.
    """

    x: Tensor
    here: Tensor
    values: RowMap
    scale: Tensor | float
    generator: torch.Generator

    def squares(self, values: Tensor) -> Tensor:
        """(n,)"""
        return (values.square() * self.scale).flatten(1).sum(1)


def sketch_of(penalty: Contractive | HigherOrderContractive, trace: Trace) -> Sketch:
    """The image of the Jacobian that the penalty's method asks for."""
    penalty.check(trace.composition)
    code = CodeMap.of(trace.composition, trace.batch, trace.seen, trace.context)
    size, source = trace.code.point.shape[1], trace.pass_.generator
    if source is None:  # a pass that asks for nothing random gets the same numbers every time
        source = torch.Generator(code.shown.device).manual_seed(0)
    weight = closed_weight(trace.composition) if penalty.method in ("auto", "closed") else None
    if weight is not None:
        # A single layer has no dropout, so what the pass made of the rows serves once more.
        here, scale = code.slopes(trace.hidden), code.squared_weights(weight)
        return Sketch(code.shown, here, lambda x: code.slopes(code.hidden(x)), scale, source)
    directions = None
    if penalty.method == "projection" or (penalty.method == "auto" and size > 2 * penalty.projections):
        shape = (penalty.projections, len(code.shown), size)
        directions = 2.0 * torch.randint(2, shape, generator=source, device=code.shown.device) - 1.0

    def values(x: Tensor) -> Tensor:
        return pulled(code, x, directions)

    share = 1.0 if directions is None else 1 / len(directions)
    return Sketch(code.shown, values(code.shown), values, share, source)


def relative_error(found: Tensor, projections: int) -> Tensor:
    """(n,) standard error of the projection estimate over the squared norm it estimates, of Jacobians
    ``found``, (n, code, features).

    Examples
    --------
    With orthogonal rows every direction gives the same, so nothing is left to chance:

    >>> relative_error(torch.eye(3)[None], projections=1)
    tensor([0.])
    >>> relative_error(torch.ones(1, 2, 5), projections=4)
    tensor([0.5000])
    """
    products = found @ found.transpose(1, 2)
    own = products.diagonal(dim1=1, dim2=2)
    between = products.square().sum((1, 2)) - own.square().sum(1)
    return (2 * between.clamp(min=0) / projections).sqrt() / own.sum(1)


def check_knobs(penalty: Contractive | HigherOrderContractive) -> None:
    name = type(penalty).__name__
    check_weight(name, penalty.weight)
    if penalty.method not in METHODS:
        raise InputError(f"{name}: method must be one of {', '.join(METHODS)}; got {penalty.method!r}")
    check_count(penalty, "projections")


def check_count(penalty: Any, knob: str) -> None:
    value = getattr(penalty, knob)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{type(penalty).__name__}: {knob} must be a whole number >= 1; got {value!r}")


def check_encoder(penalty: Contractive | HigherOrderContractive, composition: Any) -> None:
    name = type(penalty).__name__
    for place in ("encoder", "bottleneck"):
        module = getattr(composition, place)
        for layer, found in module.named_modules() if isinstance(module, nn.Module) else ():
            if isinstance(found, nn.modules.batchnorm._BatchNorm):
                raise InputError(
                    f"{name}: the {place} has batch norm ({place}.{layer}). In training it makes a row's code depend "
                    "on the other rows of the batch, so that no row has a Jacobian of its own. Use norm='layer' or None"
                )
    if penalty.method == "closed" and closed_weight(composition) is None:
        raise InputError(
            f"{name}: method='closed' needs an encoder of one dense layer (Dense(hidden=())) on rows of plain numbers, "
            "and the bottleneck Plain; use method='exact', 'projection' or 'auto'"
        )
