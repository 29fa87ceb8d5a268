"""The deep kinds of a `Recommender`, each a composition of the house's parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from isthmus.composition import Composition
from isthmus.parts.bottlenecks.gaussian import Gaussian
from isthmus.parts.corruptions import Mask
from isthmus.parts.losses.counts import Multinomial
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.histories import HideItems, Histories
from isthmus.parts.penalties.remembered import Remembered
from isthmus.parts.schedules import Ramp
from isthmus.recipes import Parts
from isthmus.records import Layout

CAP, RAMP = 1.0, 40.0
"""The rate of "mult_vae" rises to this cap over so many epochs; the best epoch may come before, at a lower rate."""


@dataclass(frozen=True)
class DeepKnobs:
    """What a deep kind was trained with.

    Attributes
    ----------
    code_size : numbers in a code.
    hidden : widths of the encoder's hidden layers.
    epochs : times through the histories.
    gain : the weight of the linear path in a score, >= 0; see `DeepWeights`.
    linear : the method of the linear path.
    seed : what first weights, noise and the order of the rows follow from.
    """

    code_size: int = 200
    hidden: tuple[int, ...] = (600,)
    epochs: int = 60
    gain: float = 0.0
    linear: str = "edlae"
    seed: int = 0


def layers_of(knobs: DeepKnobs) -> Histories:
    return Histories(Dense(knobs.hidden, "silu", norm="layer"))


def mult_dae(knobs: DeepKnobs) -> Parts:
    """Half of a history is hidden, and all of it is rebuilt (Liang et al. 2018)."""
    return Parts(layers_of(knobs), loss=Multinomial(), corruption=Mask(0.5))


def mult_vae(knobs: DeepKnobs) -> Parts:
    """The same with a code that is drawn and pays for what it says (Liang et al. 2018)."""
    return replace(mult_dae(knobs), bottleneck=Gaussian(), rate=Ramp(0.0, CAP, RAMP))


def rec_vae(knobs: DeepKnobs) -> Parts:
    """The same, but a code pays for what the encoder of the round before did not know (Shenbin et al. 2020)."""
    return replace(mult_dae(knobs), bottleneck=Gaussian(), penalties=(Remembered(),), rate=0.0)


def masked(knobs: DeepKnobs) -> Parts:
    """A part of each history, from few items to most of them, is hidden, and only that is rebuilt."""
    return replace(mult_dae(knobs), corruption=HideItems())


DEEP: dict[str, Callable[[DeepKnobs], Parts]] = {kind.__name__: kind for kind in (mult_dae, mult_vae, rec_vae, masked)}
"""The deep kinds by their names."""

IN_WORDS = {"mult_dae": "Mult-DAE", "mult_vae": "Mult-VAE", "rec_vae": "RecVAE", "masked": "masked autoencoder"}


def composition_of(kind: str, items: int, knobs: DeepKnobs) -> Composition:
    """The composition of a kind for so many items, with fresh weights.

    Examples
    --------
    >>> made = composition_of("mult_vae", 30, DeepKnobs(code_size=8, hidden=(16,)))
    >>> [tuple(weights.shape) for weights in made.decoder.parameters()]
    [(30, 8), (30,)]
    """
    generator = torch.Generator().manual_seed(knobs.seed)
    return DEEP[kind](knobs).build(Layout((items,), ("column",)), knobs.code_size, generator)
