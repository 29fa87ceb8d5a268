"""What a code that is not drawn needs in order to be sampled from: small codes, and a decoder that is smooth there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.jacobian import at_rest, pulled
from isthmus.parts.penalties.common import check_weight, units_of
from isthmus.parts.penalties.discrepancy import drawn, source_of
from isthmus.records import Pass, Schedule, Trace, part, replace

METHODS = ("projection", "exact")


@part
class CodeNorm:
    """Half the squared length of the code: what a normal prior charges for it.

        weight / 2 * |code|^2,  in nats per row

    It keeps codes near the origin, where a distribution fitted on them afterwards can find them.

    Parameters
    ----------
    weight : >= 0; 1 is -log of N(0, I), but for a constant.
    layer : ``"code"``, or the name of a layer, as for `L1`.

    References
    ----------
    Ghosh, Sajjadi, Vergari, Black & Scholkopf 2020, From variational to deterministic autoencoders.
    """

    weight: Schedule = 1.0
    layer: str = "code"

    def __post_init__(self) -> None:
        check_weight("CodeNorm", self.weight)

    def __call__(self, trace: Trace) -> Tensor:
        return 0.5 * units_of(self.layer, trace).square().sum(1)


@part
class SmoothDecoder:
    """Squared Frobenius norm of the Jacobian of what is rebuilt in the code, at the codes of the batch.

        weight * sum_ij (d rebuilt_i / d z_j)^2,  in nats per row

    Codes near those of the data are decoded to nearly the same, so that samples near them are like data. Of mixed
    tables, whose levels change in leaps, it is the Jacobian of all that the decoder gives, odds of levels too. The
    gradient moves the decoder alone: the code is where it is. Used beside `CodeNorm`, or the decoder gets flat by codes
    that spread out.

    Parameters
    ----------
    weight : nats per unit of squared norm (scaled units of the data per unit of code), >= 0, or a schedule.
    method : ``"projection"``: |J^T v|^2 for one direction v of random signs per row, right in the mean, at the price
        of one backward pass; its standard error is at most sqrt(2) times the value for one row, and sqrt(n) times
        smaller in the mean over n. ``"exact"``: a backward pass per feature, for narrow rows.

    Raises
    ------
    InputError : the decoder has batch norm.

    References
    ----------
    As for `CodeNorm` (RAE-GP).
    """

    weight: Schedule = 0.1
    method: str = "projection"

    estimates_gradient = "the codes are held where they are: it is the decoder that is to be smooth there"
    draws_noise = "every row's Jacobian is probed along a direction drawn for it"

    def __post_init__(self) -> None:
        check_weight("SmoothDecoder", self.weight)
        if self.method not in METHODS:
            raise InputError(f"SmoothDecoder: method must be one of {', '.join(METHODS)}; got {self.method!r}")

    def check(self, composition: Any) -> None:
        """Refuse decoders whose rows have no Jacobian of their own while training."""
        for layer, found in composition.decoder.named_modules():
            if isinstance(found, nn.modules.batchnorm._BatchNorm):
                raise InputError(
                    f"SmoothDecoder: the decoder has batch norm (decoder.{layer}), which in training makes what is "
                    "rebuilt of a code depend on the other rows of the batch. Use norm='layer' or None"
                )

    def __call__(self, trace: Trace) -> Tensor:
        composition: Any = trace.composition
        z = drawn("code", trace).detach()
        context = replace(trace.context, pass_=Pass(epoch=trace.pass_.epoch, rows=trace.pass_.rows))
        mixed = trace.batch.layout.columns is not None

        def rebuilt(z: Tensor) -> Tensor:
            with at_rest(composition.decoder):
                out = composition.decoder(z, context)
            return out.flatten(1) if mixed else composition.loss.mean(out, context).flatten(1)

        directions = None
        if self.method == "projection":
            shape = (1, len(z), trace.out.shape[-1] if mixed else trace.batch.layout.features)
            directions = 2.0 * torch.randint(2, shape, generator=source_of(trace), device=z.device) - 1.0
        return pulled(rebuilt, z, directions).square().sum((1, 2))
