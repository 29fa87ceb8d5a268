"""The questions put to codes as something to generate from: do they say anything, where do they lie, what lies between?

Only those that apply are asked: of random codes, of discrete ones, where there is a prior, where factors are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from isthmus.diagnostics.aggregate import aggregate, aggregate_verdict
from isthmus.diagnostics.codebooks import books_used, codebook_verdict
from isthmus.diagnostics.collapse import collapse_verdict, random_code
from isthmus.diagnostics.factors import disentanglement_verdict, factors_told
from isthmus.diagnostics.latent import completeness, completeness_verdict, decoding_step, decoding_verdict
from isthmus.diagnostics.probe import Probe
from isthmus.diagnostics.restraint import Restraint
from isthmus.verdicts import FitRecord, Verdict


@dataclass
class Answers:
    """Verdicts, figures by name, and numbers for every unit by name."""

    verdicts: list[Verdict] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    units: dict[str, tuple[float, ...]] = field(default_factory=dict)


def about_codes(
    probe: Probe,
    codes: Tensor,
    record: FitRecord,
    *,
    living: list[int],
    lost: float,
    held: Restraint,
    symbols: Tensor | None = None,
    prior: Any = None,
    factors: np.ndarray | None = None,
) -> Answers:
    """``codes`` (n, code_size) are those of the probe's rows, ``living`` the units that are not zeroed, ``lost`` the
    share of the rows' variance that the model loses, ``symbols`` (n, symbols) discrete codes, and ``prior`` one that
    was fitted afterwards."""
    found, step = Answers(), decoding_step(probe, codes, discrete=symbols is not None)
    found.verdicts.append(decoding_verdict(step, lost, held=held))
    found.figures["decoding_step"] = step.moved
    about_random_codes(found, probe, record, living)
    if symbols is not None:
        bottleneck = probe.composition.bottleneck
        books = books_used(bottleneck, symbols, codes.shape[1])
        found.verdicts.append(codebook_verdict(books, bottleneck))
        found.figures["entries_used"] = float(np.mean([book.used / book.entries for book in books]))
        found.figures["perplexity"] = float(np.mean([book.perplexity for book in books]))
        found.units["perplexity"] = tuple(book.perplexity for book in books)
    own = probe.composition.prior
    if prior is not None or own is not None:
        about_prior(found, probe, codes, own if prior is None else prior, living, lost, fitted=prior is not None)
    if factors is not None:
        told = factors_told(codes[:, living].cpu().numpy(), factors)
        found.verdicts.append(disentanglement_verdict(told))
        found.figures.update(told.figures)
    return found


def about_random_codes(found: Answers, probe: Probe, record: FitRecord, living: list[int]) -> None:
    random = random_code(probe, living)
    if random is None:
        return
    found.verdicts.append(collapse_verdict(random, record, probe.composition, len(probe.x), squared=probe.squared))
    found.figures.update(active_units=float(random.alive), rate=random.rate, distortion=random.distortion)
    found.units["variance"] = tuple(random.variances.tolist())
    if random.divergences is not None:
        found.units["divergence"] = tuple(random.divergences.tolist())


def about_prior(
    found: Answers, probe: Probe, codes: Tensor, prior: Any, living: list[int], lost: float, *, fitted: bool
) -> None:
    together = aggregate(probe, codes, prior, living, fitted=fitted)
    samples = completeness(probe, codes, prior)
    found.verdicts += [
        aggregate_verdict(together, fitted=fitted),
        completeness_verdict(samples, lost, fitted=fitted),
    ]
    found.figures.update(
        aggregate_apart=together.apart,
        aggregate_moments=together.moments,
        completeness=samples.share,
        sample_distance=samples.distance,
    )
