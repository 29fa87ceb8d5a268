"""How far a batch's codes are from draws of a prior, by the means of kernels: the discrepancy that is 0 for equals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.penalties.common import check_weight, units_of
from isthmus.parts.priors.normal import Normal
from isthmus.records import NOWHERE, Schedule, Site, Trace, built, part

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Squared widths of the kernels that are added up, as multiples of 2 size, the mean squared distance of two draws
from N(0, I): near and far differences both count."""

KERNELS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "imq": lambda squares, width: width / (width + squares),
    "rbf": lambda squares, width: (-squares / width).exp(),
}
"""By name, of squared distances and a squared width; each is 1 at distance 0."""


@part
class MMD:
    """Maximum mean discrepancy between the batch's codes and as many draws of a prior.

        weight * ( E k(z, z') + E k(p, p') - 2 E k(z, p) ),   z, z' codes, p, p' draws of the prior

    The means leave out pairs of a code with itself, so that the penalty is right in the mean whatever the batch size,
    and may be a little below 0. It sees the cloud of all codes and not the row's own, so that a code may be as exact
    as it likes while the codes together lie as the prior does.

    Parameters
    ----------
    weight : nats per row for a discrepancy of 1, >= 0. With kernels that are 1 at distance 0, added up over `SCALES`,
        the discrepancy is at most 14, and about 0.5 for codes of half or double the prior's spread.
    kernel : ``"imq"``, inverse multiquadratic, w / (w + d^2), whose long tails bring back codes that are far off, or
        ``"rbf"``, exp(-d^2 / w), each at seven widths w.
    prior : anything that can be sampled; None = the bottleneck's own where it has one, else `Normal`.
    layer : ``"code"``, or the name of a layer, as for `L1`; for a layer None means `Normal`.

    Notes
    -----
    A batch of one row has no pairs: its penalty is 0. Without a generator the prior's draws are the same every time.

    References
    ----------
    Gretton, Borgwardt, Rasch, Scholkopf & Smola 2012, A kernel two-sample test; Tolstikhin, Bousquet, Gelly &
    Scholkopf 2018, Wasserstein auto-encoders; Zhao, Song & Ermon 2019, InfoVAE.
    """

    weight: Schedule = 30.0
    kernel: str = "imq"
    prior: Any = None
    layer: str = "code"

    couples_rows = "codes are compared with one another and with draws of the prior, two by two"
    draws_noise = "codes are compared with draws of the prior, made anew for each batch"

    def __post_init__(self) -> None:
        check_weight("MMD", self.weight)
        check_kernel("MMD", self.kernel)

    def build(self, site: Site = NOWHERE) -> Discrepancy:
        return Discrepancy(self, site)


class TowardsPrior(nn.Module):
    """Base of penalties that hold the codes of a batch together to a prior; ``prior`` is the one they hold them to."""

    def __init__(self, penalty: Any, site: Site) -> None:
        super().__init__()
        self.weight, self.layer = penalty.weight, getattr(penalty, "layer", "code")
        self.term = type(penalty).__name__
        self.couples_rows, self.draws_noise = penalty.couples_rows, penalty.draws_noise
        self.own = built(penalty.prior, site)
        # In a tuple, or a prior that learns would be registered here as well as in the bottleneck.
        self.known: tuple[Any, ...] = (Normal(),)
        if self.own is not None and not hasattr(self.own, "sample"):
            raise InputError(f"{self.term}: prior must be None or a prior such as Normal(); got {penalty.prior!r}")

    @property
    def prior(self) -> Any:
        return self.known[0] if self.own is None else self.own

    def joined(self, composition: Any) -> None:
        if self.own is None and self.layer == "code":
            self.known = (getattr(composition.bottleneck, "prior", Normal()),)
        elif hasattr(self.own, "joined"):
            self.own.joined(composition)

    def draws_like(self, codes: Tensor, source: torch.Generator) -> Tensor:
        """As many draws of the prior as there are codes, through which no gradient flows."""
        with torch.no_grad():
            draws = self.prior.sample(len(codes), codes.shape[1], source)
        if draws.shape != codes.shape:
            raise InputError(
                f"{self.term}: the prior draws codes of {draws.shape[-1]} units, but {self.layer!r} has "
                f"{codes.shape[1]}; use a prior of that size, or Normal(), which fits any"
            )
        return draws.to(codes)


class Discrepancy(TowardsPrior):
    """The module behind `MMD`."""

    def __init__(self, penalty: MMD, site: Site) -> None:
        super().__init__(penalty, site)
        self.kernel = penalty.kernel

    def forward(self, trace: Trace) -> Tensor:
        codes = drawn(self.layer, trace)
        draws = self.draws_like(codes, source_of(trace))
        if len(codes) < 2:
            return codes.new_zeros(())
        return mmd(codes, draws, self.kernel, biased=False, weight=trace.batch.row_weight)


def mmd(x: Tensor, y: Tensor, kernel: str = "imq", biased: bool = True, weight: Tensor | None = None) -> Tensor:
    """The squared maximum mean discrepancy of two samples: a scalar between 0 and 14 if biased.

    Parameters
    ----------
    x, y : (n, size) and (m, size) numbers on the scale of N(0, I).
    kernel : ``"imq"`` or ``"rbf"``, see `MMD`.
    biased : count pairs of a row with itself, which makes it 0 for equal samples, never negative, and
        14 / n too large in the mean, at most; False leaves them out, which needs two rows in each.
    weight : (n,) weight of each row of x; None = all alike.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> mmd(x, x).item(), mmd(x, x + 2.0).item() > 0.1
    (0.0, True)
    """
    check_kernel("mmd", kernel)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise InputError(f"mmd: x and y must be (n, size) and (m, size); got {tuple(x.shape)} and {tuple(y.shape)}")
    if not biased and min(len(x), len(y)) < 2:
        raise InputError(f"mmd: biased=False needs two rows in each sample; got {len(x)} and {len(y)}")
    raw = torch.ones_like(x[:, 0]) if weight is None else weight.to(x)
    first, second = (shares / shares.sum().clamp(min=1e-12) for shares in (raw, torch.ones_like(y[:, 0])))

    def within(sample: Tensor, shares: Tensor) -> Tensor:
        matrix = kernels(sample, sample, kernel)
        total = shares @ matrix @ shares
        if biased:
            return total
        own = shares.square()
        return (total - own @ matrix.diagonal()) / (1 - own.sum()).clamp(min=1e-12)

    return within(x, first) + within(y, second) - 2 * (first @ kernels(x, y, kernel) @ second)


def kernels(x: Tensor, y: Tensor, kernel: str) -> Tensor:
    """(n, m): the kernel between every two rows, added up over the widths."""
    # Clamped: the rounding of squared distances near 0 may leave them below it.
    squares = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
    return torch.stack([KERNELS[kernel](squares, 2 * x.shape[1] * scale) for scale in SCALES]).sum(0)


def drawn(layer: str, trace: Trace) -> Tensor:
    """(n, units): what the decoder reads, of several draws the first; or the output of a named layer."""
    if layer != "code":
        return units_of(layer, trace)
    return (trace.code.z[0] if trace.code.draws else trace.code.z).flatten(1)


def source_of(trace: Trace) -> torch.Generator:
    """The pass's source of noise; one that asks for nothing random gets the same numbers every time."""
    source = trace.pass_.generator
    return torch.Generator(trace.code.z.device).manual_seed(0) if source is None else source


def check_kernel(name: str, kernel: str) -> None:
    if kernel not in KERNELS:
        raise InputError(f"{name}: kernel must be one of {', '.join(KERNELS)}; got {kernel!r}")
