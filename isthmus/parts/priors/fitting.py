"""What priors that are fitted to codes share: their place, the check of codes, and the climb of the likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.records import Context, Pass, Site

THINNEST = 1e-3
"""The least spread of a unit, as a share of the widest one's: what keeps the density of a constant unit finite."""

FEW_ROWS = 20
"""Below it codes say where they lie and how wide they spread, and no more."""

BATCH_SIZE = 256

LEARNING_RATE = 5e-3

STEPS, LOOK, PATIENCE = 1000, 50, 8
"""Steps at most, steps between two looks at the held-out codes, and looks without a gain after which the climb ends."""

LONGEST = 10.0
"""The longest gradient of a step."""


@dataclass(frozen=True)
class Given:
    """What the rows of a fit are given: ``values`` (n, conditions), as a network reads them, and ``labelled``
    (conditions,) bool, which of the columns stand for a label's value; the others are quantities."""

    values: Tensor
    labelled: Tensor


def check_size(found: int, size: int) -> None:
    """Refuse codes of another size than the prior's."""
    if found != size:
        raise InputError(f"a prior of the wrong size: it is one of codes of {size} numbers; these have {found}")


def told(given: Tensor | None, rows: Tensor) -> Tensor | None:
    """(rows, conditions): what codes (..., size) are given, one row of it after the other, also for many draws."""
    if given is None:
        return None
    return given.expand(*rows.shape[:-1], given.shape[-1]).reshape(-1, given.shape[-1])


def checked(codes: Tensor, size: int) -> Tensor:
    """Codes (n, size) that a prior can be fitted to, or an error."""
    if codes.ndim != 2 or not len(codes):
        raise InputError(f"codes: must be (n, size) with at least one row; got the shape {tuple(codes.shape)}")
    check_size(codes.shape[1], size)
    wrong = int((~codes.isfinite()).any(1).sum())
    if wrong:
        raise InputError(f"codes: {wrong} of {len(codes)} rows hold NaN or infinity; fit the prior without them")
    return codes.detach()


class Placed(nn.Module):
    """A density around its own middle and with its own spread per unit: 0 and 1, until it is fitted to codes.

        log p(z) = density((z - middle) / spread) - sum log spread

    A prior that derives from it gives ``density(x, context)``, ``draw(n, generator, context)`` and ``learn(x,
    generator, given)``, and says by ``reads_given`` whether it hangs on what rows are given.
    """

    middle: Tensor
    spread: Tensor

    reads_given = False

    def __init__(self, kind: str, site: Site) -> None:
        super().__init__()
        if site.code_size < 1:
            raise InputError(f"{kind}: build it where the size of the code is known: build(Site(code_size=...))")
        self.size = site.code_size
        self.register_buffer("middle", torch.zeros(self.size))
        self.register_buffer("spread", torch.ones(self.size))

    def density(self, x: Tensor, context: Context | None) -> Tensor:
        """(..., size) -> (...,) nats, of codes in their place."""
        raise NotImplementedError

    def draw(self, n: int, generator: torch.Generator, context: Context | None) -> Tensor:
        """(n, size) codes in their place, on the generator's device."""
        raise NotImplementedError

    def learn(self, x: Tensor, generator: torch.Generator, given: Given | None) -> None:
        """Fit to codes (n, size) in their place."""
        raise NotImplementedError

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        check_size(z.shape[-1], self.size)
        return self.density((z - self.middle) / self.spread, context) - self.spread.log().sum()

    def sample(self, n: int, code_size: int, generator: torch.Generator, context: Context | None = None) -> Tensor:
        """(n, code_size); ``context.given`` (n, conditions) is read by priors that hang on it."""
        check_size(code_size, self.size)
        with torch.no_grad():
            return self.middle + self.spread * self.draw(n, generator, context)

    def fit(self, codes: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        """Fit, in place, to codes (n, size) of any kind of autoencoder, of any spread.

        Raises
        ------
        InputError : no rows, NaN, or a size that is not the prior's.
        """
        codes = checked(codes, self.size).to(self.middle.device, torch.float64)
        spread = codes.std(0, correction=0)
        widest = float(spread.max())
        spread = spread.clamp(min=THINNEST * widest) if widest > 0 else torch.ones_like(spread)
        self.middle.copy_(codes.mean(0))
        self.spread.copy_(spread)
        self.learn(((codes - codes.mean(0)) / spread).to(self.middle.dtype), generator, given)


@dataclass(frozen=True)
class Pace:
    """How a likelihood is climbed: ``steps`` at most, of ``batch_size`` rows, with a ``look`` at no more than so many
    ``held_out`` rows now and then; the ``rate`` of Adam, and the ``longest`` gradient."""

    steps: int
    look: int
    batch_size: int = BATCH_SIZE
    rate: float = LEARNING_RATE
    longest: float = LONGEST
    held_out: int = 2**30


def climb(prior: Placed, x: Tensor, generator: torch.Generator, times: int = 1) -> None:
    """Raise the mean log density of codes ``x`` (n, size) by Adam, until codes that are held out gain no more, in at
    most so many ``times`` the usual steps."""

    def density(rows: Tensor, source: torch.Generator) -> Tensor:
        return prior.density(x[rows], drawing(source, prior.size))

    climbed(list(prior.parameters()), density, len(x), generator, Pace(times * STEPS, LOOK))


def climbed(
    weights: list[nn.Parameter],
    density: Callable[[Tensor, torch.Generator], Tensor],
    rows: int,
    generator: torch.Generator,
    pace: Pace,
) -> None:
    """Raise the mean of ``density(numbers of rows, generator)`` -> (m,) nats over ``rows`` rows by moving ``weights``,
    a tenth of the rows held out; the weights that served those best are kept. Too few rows: nothing is moved."""
    if rows < FEW_ROWS:
        return
    device = weights[0].device
    order, (dice, score_seed) = shuffled(rows, generator).to(device), seeds(generator)
    held_out, kept = order[: min(rows // 10, pace.held_out)], order[rows // 10 :]
    source = torch.Generator(device).manual_seed(dice)
    optimiser = torch.optim.Adam(weights, lr=pace.rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, pace.steps)
    best, best_weights, waited = -float("inf"), [value.detach().clone() for value in weights], 0
    for step in range(pace.steps + 1):
        if step % pace.look == 0 or step == pace.steps:
            with torch.no_grad():
                found = float(density(held_out, torch.Generator(device).manual_seed(score_seed)).mean())
            waited = 0 if found > best else waited + 1
            if found > best:
                best, best_weights = found, [value.detach().clone() for value in weights]
            if waited == PATIENCE or step == pace.steps:
                break
        some = kept[torch.randint(len(kept), (min(pace.batch_size, len(kept)),), generator=source, device=device)]
        with torch.enable_grad():
            slopes = torch.autograd.grad(-density(some, source).mean(), weights, allow_unused=True)
        for value, slope in zip(weights, slopes, strict=True):
            value.grad = slope
        torch.nn.utils.clip_grad_norm_(weights, pace.longest)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        for value, kept_value in zip(weights, best_weights, strict=True):
            value.copy_(kept_value)
            value.grad = None


class Grown(nn.Module):
    """A module some of whose tensors have the shapes that a fit gave them: those that ``grows`` names, and those that
    there are ``at_times``, else None. They take the shapes of what is loaded."""

    grows: tuple[str, ...] = ()
    at_times: tuple[str, ...] = ()

    def shape_as(self, state: Mapping[str, Any], prefix: str) -> None:
        """Make room for the tensors of a state whose names begin with ``prefix``."""
        for name in (*self.grows, *self.at_times):
            found, own = state.get(prefix + name), getattr(self, name)
            if found is None and name in self.at_times:
                setattr(self, name, None)
            elif found is not None and (own is None or own.shape != found.shape):
                fresh = torch.empty_like(found) if own is None else own.new_empty(found.shape)
                setattr(self, name, nn.Parameter(fresh) if name in self._parameters else fresh)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self.shape_as(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def drawing(generator: torch.Generator, size: int) -> Context:
    """The context of a pass that draws, for priors that draw something themselves."""
    return Context(shape=(size,), pass_=Pass(generator, training=True))


def shuffled(rows: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(rows, generator=generator, device=generator.device)


def seeds(generator: torch.Generator) -> list[int]:
    """Two seeds for generators of a device of their own."""
    return torch.randint(2**62, (2,), generator=generator, device=generator.device).tolist()


def one_seed(generator: torch.Generator) -> int:
    """A seed for what takes numbers below 2^31."""
    return int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
