"""What priors that are fitted to codes share: their place, the check of codes, and the climb of the likelihood."""

from __future__ import annotations

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


def check_size(found: int, size: int) -> None:
    """Refuse codes of another size than the prior's."""
    if found != size:
        raise InputError(f"a prior of the wrong size: it is one of codes of {size} numbers; these have {found}")


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

    A prior that derives from it gives ``density(x, context)``, ``draw(n, generator)`` and ``learn(x, generator)``.
    """

    middle: Tensor
    spread: Tensor

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

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """(n, size) codes in their place, on the generator's device."""
        raise NotImplementedError

    def learn(self, x: Tensor, generator: torch.Generator) -> None:
        """Fit to codes (n, size) in their place."""
        raise NotImplementedError

    def log_prob(self, z: Tensor, context: Context | None = None) -> Tensor:
        """(..., size) -> (...,) nats."""
        check_size(z.shape[-1], self.size)
        return self.density((z - self.middle) / self.spread, context) - self.spread.log().sum()

    def sample(self, n: int, code_size: int, generator: torch.Generator) -> Tensor:
        """(n, code_size)."""
        check_size(code_size, self.size)
        with torch.no_grad():
            return self.middle + self.spread * self.draw(n, generator)

    def fit(self, codes: Tensor, generator: torch.Generator) -> None:
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
        self.learn(((codes - codes.mean(0)) / spread).to(self.middle.dtype), generator)


def climb(prior: Placed, x: Tensor, generator: torch.Generator, times: int = 1) -> None:
    """Raise the mean log density of codes ``x`` (n, size) by Adam, until codes that are held out gain no more, in at
    most so many ``times`` the usual steps."""
    if len(x) < FEW_ROWS:
        return
    steps = times * STEPS
    order, (dice, score_seed) = shuffled(len(x), generator), seeds(generator)
    held_out, kept = x[order[: len(x) // 10]], x[order[len(x) // 10 :]]
    source = torch.Generator(x.device).manual_seed(dice)
    weights = list(prior.parameters())
    optimiser = torch.optim.Adam(weights, lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    best, best_weights, waited = -float("inf"), [value.detach().clone() for value in weights], 0
    for step in range(steps + 1):
        if step % LOOK == 0:
            found = mean_density(prior, held_out, torch.Generator(x.device).manual_seed(score_seed))
            waited = 0 if found > best else waited + 1
            if found > best:
                best, best_weights = found, [value.detach().clone() for value in weights]
            if waited == PATIENCE or step == steps:
                break
        some = kept[torch.randint(len(kept), (min(BATCH_SIZE, len(kept)),), generator=source, device=x.device)]
        with torch.enable_grad():
            loss = -prior.density(some, drawing(source, prior.size)).mean()
            optimiser.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, LONGEST)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        for value, kept_value in zip(weights, best_weights, strict=True):
            value.copy_(kept_value)
            value.grad = None


def drawing(generator: torch.Generator, size: int) -> Context:
    """The context of a pass that draws, for priors that draw something themselves."""
    return Context(shape=(size,), pass_=Pass(generator, training=True))


def shuffled(rows: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(rows, generator=generator, device=generator.device)


def seeds(generator: torch.Generator) -> list[int]:
    """Two seeds for generators of a device of their own."""
    return torch.randint(2**62, (2,), generator=generator, device=generator.device).tolist()


def mean_density(prior: Placed, x: Tensor, generator: torch.Generator) -> float:
    """Of the codes ``x``, in nats."""
    with torch.no_grad():
        return float(prior.density(x, drawing(generator, prior.size)).mean())
