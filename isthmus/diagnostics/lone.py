"""Are rows rebuilt that resemble no other? Then they are known by heart, and planted noise would be, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isthmus.diagnostics.probe import Probe, spaced
from isthmus.metrics import distances
from isthmus.pca import principal_components
from isthmus.verdicts import Verdict, percent

ROWS, FOLDS, FEWEST = 1_000, 2, 30
"""The most and fewest rows that are compared, and the parts in which PCA of the other rows rebuilds them."""
UNEXPLAINED, FAR, COUNT = 4.0, 2.0, 3
"""A row stands alone where PCA of other rows has 4 times the median squared error on it, and its nearest row is twice
as far away as the median. Fewer than 3 such rows are not judged."""
KNOWN = 0.1
"""Rows that stand alone and have a tenth of the squared error that PCA of the other rows leaves are known by heart."""
LEARNT = 0.5
"""A model that loses more than this share of the variance knows nothing by heart."""


@dataclass(frozen=True)
class Lone:
    """How many ``rows`` stand alone, and the median over these of their squared error over that of PCA fitted on other
    rows, ``quotient``, NaN where there are too few."""

    rows: int = 0
    quotient: float = float("nan")


def lone_rows(probe: Probe, errors: torch.Tensor, size: int) -> Lone:
    """Compare ``errors`` (n,), means over cells, of rows that stand alone with those of PCA of the other rows.

    On a trained model nothing can be planted any more, but rows can be found that no model of the other rows could
    rebuild: noise that was planted among the training rows is among these.
    """
    rows = spaced(len(probe.x), ROWS)
    if len(rows) < FEWEST:
        return Lone()
    x = probe.points[rows.to(probe.x.device)].cpu()
    fold = torch.arange(len(x)) % FOLDS
    unexplained = np.empty(len(x))
    for part in range(FOLDS):
        pca = principal_components([x[fold != part]])
        unexplained[(fold == part).numpy()] = probe.dimensions * pca.row_errors(x[fold == part], size)
    apart = np.sqrt(distances(x.numpy()).min(axis=1))
    alone = (unexplained > UNEXPLAINED * np.median(unexplained)) & (apart > FAR * np.median(apart))
    own = errors.cpu().double().numpy()[rows.numpy()]
    if alone.sum() < COUNT:
        return Lone(int(alone.sum()))
    return Lone(int(alone.sum()), float(np.median(own[alone] / unexplained[alone])))


def lone_verdict(found: Lone, lost: float, *, copies: bool, memorises: str) -> Verdict:
    """Memorised noise (van den Burg & Williams 2021, On memorization in probabilistic deep generative models).

    ``lost`` is the share of the variance that the model loses, ``copies`` says that it rebuilds whatever comes, and
    ``memorises`` is the level of `memorising_verdict`: a model that fares as well on held-out rows has learnt even
    what lone rows have in common.
    """
    name = "lone rows"
    if np.isnan(found.quotient):
        return Verdict(name, "good", "Hardly any of the rows given is unlike all others.", found.quotient)
    sentence = (
        f"{found.rows} of the rows looked at are unlike all others, as noise is; their squared error is "
        f"{percent(found.quotient)} of what PCA of the other rows leaves of them"
    )
    if found.quotient > KNOWN or copies or lost > LEARNT or memorises == "good":
        return Verdict(name, "good", f"{sentence}.", found.quotient)
    words = f"{sentence}: it seems to know them by heart."
    return Verdict(name, memorises, words, found.quotient, "a smaller network or code, fewer epochs, or 'denoising'.")
