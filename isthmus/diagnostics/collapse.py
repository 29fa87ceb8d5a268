"""Do random codes say anything? A unit that has collapsed is drawn from the prior for every row alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.composition import Composition, over_draws
from isthmus.diagnostics.probe import Probe
from isthmus.diagnostics.restraint import either, nested
from isthmus.parts.bottlenecks.gaussian import GaussianCode
from isthmus.parts.priors.normal import Normal
from isthmus.parts.schedules import at, ends
from isthmus.verdicts import LEARNABLE_SHARE, NOTHING_LEARNT, FitRecord, Verdict, percent

ACTIVE = 0.01
"""A unit is alive where the mean of its distribution varies over rows by more than 1 % of the prior's variance (Burda,
Grosse & Salakhutdinov 2016, Importance weighted autoencoders): published counts lie far on either side of it."""
ALIVE_SHARE = 0.5
"""Fewer than half of the units alive is worth telling, as of dead units of any other code."""
ENOUGH = 0.8
"""A code of which half is not alive is wider than needed, rather than collapsed, where the model explains 80 % of the
variance that PCA with as many components as units explains: noise is rightly left out of a code that is paid for, and
PCA, which pays nothing, keeps it."""
FAINT, FEW_NATS = 0.5, 0.2
"""Units alive by the letter, but with less than 0.2 nats each, say too little where the model explains less than half
of the variance that PCA of the same size explains."""
SAMPLES = 4_096
"""Draws that tell the variance of a prior that learns."""
ANNEALED = 10
"""Epochs over which to raise beta where it was not raised slowly, and by which to lengthen it where it was."""


@dataclass(frozen=True)
class RandomCode:
    """What the codes that are drawn for rows say.

    Attributes
    ----------
    variances : (units,) variance over rows of the mean of each unit's distribution, in units of the prior's variance.
    divergences : (units,) nats in the mean over rows; None where they do not fall apart into units'.
    rate : nats per row, the divergence of the whole code from its prior.
    distortion : nats per row, the reconstruction loss of drawn codes.
    """

    variances: np.ndarray
    divergences: np.ndarray | None
    rate: float
    distortion: float

    @property
    def alive(self) -> int:
        return int((self.variances > ACTIVE).sum())


@torch.no_grad()
def random_code(probe: Probe, living: list[int]) -> RandomCode | None:
    """Figures of the units ``living``; None where codes are not drawn."""
    means, units, rates, distortions = [], [], [], []
    prior = probe.composition.prior
    for trace in probe.drawn():
        code, posterior = trace.code, trace.code.posterior
        if posterior is None or code.cost is None:
            return None
        means.append(posterior.mean)
        divergence = prior.divergence(posterior) if hasattr(prior, "divergence") else None
        if divergence is not None:
            units.append(divergence)
        rates.append(over_draws(code.cost, code) if code.draws else code.cost)
        losses = probe.composition.losses(trace)
        distortions.append(over_draws(losses, code) if code.draws else losses)
    mean = torch.cat(means).double()
    kept = living if max(living) < mean.shape[1] else list(range(mean.shape[1]))
    variances = mean.var(0, correction=0) / spread_of(prior, mean.shape[1]).to(mean)
    divergences = torch.cat(units).double().mean(0).cpu().numpy() if units else None
    # The closed form where there is one, as the cost may charge more than that (free bits).
    rate = float(torch.cat(rates).double().mean()) if divergences is None else float(divergences.sum())
    if divergences is not None and len(divergences) != mean.shape[1]:
        divergences = None
    return RandomCode(
        variances[kept].cpu().numpy(),
        None if divergences is None else divergences[kept],
        rate,
        float(torch.cat(distortions).double().mean()),
    )


@torch.no_grad()
def spread_of(prior: Any, size: int) -> Tensor:
    """(size,) the variance of every unit under a prior."""
    if prior is None or isinstance(prior, Normal):
        return torch.ones(size)
    variance = draws_of(prior, SAMPLES, size).double().var(0)
    return torch.where(variance > 0, variance, 1.0)


@torch.no_grad()
def draws_of(prior: Any, n: int, size: int) -> Tensor:
    """(n, size) codes drawn from a prior, the same ones each time."""
    held = [*prior.parameters(), *prior.buffers()] if isinstance(prior, nn.Module) else []
    device = held[0].device if held else torch.device("cpu")
    return prior.sample(n, size, torch.Generator(device).manual_seed(0))


def collapse_verdict(
    found: RandomCode, record: FitRecord, composition: Composition, rows: int, *, squared: bool = True
) -> Verdict:
    """Posterior collapse: units that are noise for every row, though there is something that they could say.

    ``squared`` says that squared errors are what the loss makes small, so that PCA can be compared with.
    """
    name, alive, size = "posterior collapse", found.alive, len(found.variances)
    if rows < 2:
        return Verdict(name, "note", "Cannot be judged from one row.", float("nan"), "to diagnose with more rows.")
    count = f"{alive} of {size} unit{'' if size == 1 else 's'} alive"
    costs = f"(rate {found.rate:.3g} nats, distortion {found.distortion:.4g} nats per row)"
    if not record.mean_error > 0:
        return Verdict(name, "note", "Cannot be judged: the rows do not vary.", float(alive), "to fit other rows.")
    lost, pca_lost = record.error / record.mean_error, record.pca_error / record.mean_error
    explained, linear = max(0.0, 1 - lost), 1 - pca_lost
    beside = f"it explains {percent(explained)} of the variance of {record.judged_on}"
    if not math.isnan(linear):
        beside = f"{beside}, PCA of the same size {percent(linear)}"
    advice = either(*raising(composition))
    learnable = squared and not pca_lost > LEARNABLE_SHARE
    if alive and alive >= ALIVE_SHARE * size:
        if not (learnable and explained < FAINT * linear and found.rate < FEW_NATS * size):
            return Verdict(name, "good", f"{count} {costs}.", float(alive))
        sentence = f"{count}, but hardly {costs}: {beside}."
        level = "bad" if held_down(composition) else "note"
        return Verdict(name, level, sentence, float(alive), advice)
    if squared and alive and explained >= ENOUGH * (1.0 if math.isnan(linear) else linear):
        sentence = f"{count} {costs}: the code is wider than these data need, as {beside}."
        return Verdict(name, "note", sentence, float(alive), f"code_size={max(1, alive)}, which costs less.")
    if squared and not learnable and lost > NOTHING_LEARNT:
        sentence = f"{count} {costs}; there may be little to say: {beside}."
        return Verdict(name, "note", sentence, float(alive), advice)
    others = "a row's code is noise that says nothing of it" if not alive else "the others are noise for every row"
    sentence = f"{count} {costs}: {others}, and {beside}."
    # Where squared errors are no measure, there is no telling a collapse of some units from a code that is too wide.
    # And where a class is part of the code, the rest is dear on purpose.
    classes = any(getattr(part, "reads_labels", False) for part in nested(composition.bottleneck))
    level = "bad" if not alive or (squared and not classes) else "note"
    return Verdict(name, level, sentence, float(alive), advice)


def held_down(composition: Composition) -> bool:
    """Whether codes cost more than the likelihood of the data asks for: by beta, or by a variance that is fixed."""
    return at(composition.rate, float("inf")) > 1 or not getattr(composition.loss, "learned", True)


def raising(composition: Composition) -> list[str]:
    """What makes the units of a composition say more, of the things that it has."""
    beta, over = at(composition.rate, float("inf")), ends(composition.rate)
    loss, found = composition.loss, []
    if not getattr(loss, "learned", True):
        found.append(f"a loss that learns its variance, Squared() (it is {float(loss.variance):g} for all cells)")
    anneal = f"anneal {'it' if beta > 1 else 'beta'} over {over + ANNEALED:g} epochs"
    if beta > 1:
        found.append(f"lower beta (it is {beta:g})")
    found.append(f"{anneal} (beta=Ramp(0.0, {min(beta, 1.0)!r}, epochs={over + ANNEALED:g}))")
    for part in nested(composition.bottleneck):
        if isinstance(part, GaussianCode) and part.gaussian.posterior == "diagonal" and not part.gaussian.free_bits:
            found += ["free_bits=0.1"] if isinstance(part.prior, Normal) else []
    return found
