"""Hidden cells of rows filled by what the known ones say of the code: each time by another code that fits them."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.composition import Composition, repeated
from isthmus.estimators.walks import at_home
from isthmus.likelihood import tiled
from isthmus.parts.priors.mixture import MixtureOfNormals
from isthmus.records import Batch, Context

STARTS = 64
"""Codes that are tried for each row, of which the one begins that tells its known cells best."""

STEPS, RATE = 200, 0.05
"""Steps of the climb from there, and Adam's rate at its beginning, in standard deviations of the component."""


def painted(composition: Composition, prior: MixtureOfNormals, batch: Batch, generator: torch.Generator) -> Tensor:
    """(n, *shape) scaled rows, each rebuilt from a code drawn given its known cells, where ``batch.weight`` is not 0.

    A code drawn from the prior, of component k, is z0 = m_k + L_k e. What is returned is decoded from m_k + L_k u with

        u = argmin of  -log p(known cells | z) + |u - e|^2 / 2

    so that the known cells decide what they know of, and the draw decides the rest. Were the decoder linear, the noise
    of the known cells drawn too, and the component known, the codes would be draws of p(z | known cells).

    References
    ----------
    Papandreou & Yuille 2010, Gaussian sampling by local perturbations; Bardsley, Solonen, Haario & Laine 2014,
    Randomize-then-optimize.
    """
    context = composition.context(batch)
    with torch.no_grad():
        start = best_start(composition, prior, batch, context, generator)
        home = at_home(prior, (start - prior.middle) / prior.spread, batch.given, generator)
    noise = home.noise.clone().requires_grad_()
    optimiser = torch.optim.Adam([noise], lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        with torch.enable_grad():
            z = prior.middle + prior.spread * home.moved(noise)
            away = (noise - home.noise).square().sum(1) / 2
            cost = known_cost(composition, z, batch, context) + away
            (slope,) = torch.autograd.grad(cost.sum(), [noise])
        noise.grad = slope
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return composition.rebuild(prior.middle + prior.spread * home.moved(noise), context)


def best_start(
    composition: Composition, prior: MixtureOfNormals, batch: Batch, context: Context, generator: torch.Generator
) -> Tensor:
    """(n, size) for each row, of `STARTS` codes drawn from the prior, the one that tells its known cells best."""
    n, many = len(batch), repeated(context, STARTS)
    drawn = prior.sample(STARTS * n, prior.size, generator, many).to(batch.x)
    again = Batch(batch.x.repeat(STARTS, *[1] * (batch.x.ndim - 1)), batch.layout, tiled(batch.weight, STARTS))
    best = known_cost(composition, drawn, again, many).reshape(STARTS, n).argmin(0)
    return drawn.reshape(STARTS, n, -1)[best, torch.arange(n, device=best.device)]


def known_cost(composition: Composition, z: Tensor, batch: Batch, context: Context) -> Tensor:
    """(n,) minus log p(known cells | z), nats."""
    return composition.loss.cost(composition.decode_point(z, context), batch.visible(), batch.weight)
