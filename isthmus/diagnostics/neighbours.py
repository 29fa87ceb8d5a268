"""Do codes keep the neighbours of rows? Beside PCA of the same size; a code that numbers its rows does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.diagnostics.probe import Probe, spaced
from isthmus.metrics import continuity, nearest_accuracy, trustworthiness
from isthmus.pca import principal_components
from isthmus.verdicts import FitRecord, Verdict, percent

ROWS, NEIGHBOURS, FEWEST = 1_000, 10, 12
"""The most rows whose neighbours are compared, how many neighbours each has, and the fewest rows that will do."""
WORSE = 0.02
"""Trustworthiness and continuity this much below PCA's are worth a note."""
NUMBERED, EXACTLY, PCA_LOSES = 0.75, 0.05, 0.5
"""A code numbers its rows where it loses less than 5 % of a variance of which PCA of its size loses half, and its
trustworthiness is below 0.75 (chance is 0.5) or PCA's, or rows that were held out fare worse than with PCA."""


@dataclass(frozen=True)
class Neighbours:
    """Trustworthiness, continuity and leave-one-out 1-NN accuracy of codes, and of PCA of the same rows and size.

    NaN where they could not be measured; the accuracies also where there are no labels that are categories.
    ``pca_lost`` is the share of the rows' variance that this PCA loses.
    """

    rows: int
    trustworthiness: float = float("nan")
    continuity: float = float("nan")
    accuracy: float = float("nan")
    pca_trustworthiness: float = float("nan")
    pca_continuity: float = float("nan")
    pca_accuracy: float = float("nan")
    pca_lost: float = float("nan")

    @property
    def figures(self) -> dict[str, float]:
        return {name: value for name, value in vars(self).items() if name not in ("rows", "pca_lost")}


def neighbours(probe: Probe, codes: np.ndarray, labels: np.ndarray | None = None) -> Neighbours:
    """Compare the neighbours of at most `ROWS` rows with those of their ``codes`` (n, size)."""
    rows = spaced(len(codes), ROWS)
    n = len(rows)
    if n < FEWEST:
        return Neighbours(n)
    x, codes = probe.flat[rows.to(probe.x.device)].cpu(), codes[rows.numpy()]
    pca = principal_components([x])
    linear = (x.double().numpy() - pca.mean) @ pca.components[: codes.shape[1]].T
    data, k = x.numpy(), min(NEIGHBOURS, (n - 1) // 2)
    named = labels is not None and are_categories(labels := labels[rows.numpy()])

    def measured(code: np.ndarray) -> tuple[float, float, float]:
        accuracy = nearest_accuracy(code, labels) if named and labels is not None else float("nan")
        return trustworthiness(data, code, k), continuity(data, code, k), accuracy

    errors = pca.errors([x])
    lost = errors[min(codes.shape[1], len(errors) - 1)] / errors[0] if errors[0] > 0 else float("nan")
    return Neighbours(n, *measured(codes), *measured(linear), float(lost))


def are_categories(labels: np.ndarray) -> bool:
    """Whether labels name groups: no fractions, more than one group, and several rows to a group."""
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and np.all(labels == np.round(labels))):
        return False
    groups = len({str(label) for label in labels})
    return 1 < groups <= len(labels) // 4


def neighbours_verdict(found: Neighbours, size: int, features: int) -> Verdict:
    """Whether rows that are alike have codes that are alike, and the other way round."""
    name = "neighbours"
    if np.isnan(found.trustworthiness):
        advice = "to diagnose with more rows."
        return Verdict(name, "note", f"Cannot be judged from {found.rows} rows.", found.trustworthiness, advice)
    sentence = (
        f"Near codes belong to near rows (trustworthiness {found.trustworthiness:.3f}, PCA of the same rows and size "
        f"{found.pca_trustworthiness:.3f}), near rows have near codes (continuity {found.continuity:.3f}, PCA "
        f"{found.pca_continuity:.3f})"
    )
    if not np.isnan(found.accuracy):
        sentence += (
            f"; the nearest other code has the same label for {percent(found.accuracy)} of the rows, PCA "
            f"{percent(found.pca_accuracy)}"
        )
    behind = max(found.pca_trustworthiness - found.trustworthiness, found.pca_continuity - found.continuity)
    if behind > WORSE:
        words = f"The codes keep fewer of the rows' neighbours than PCA does: n{sentence[1:]}."
        advice = "the kind 'linear', less penalty, or a larger code_size." if size < features else ""
        return Verdict(name, "note", words, found.trustworthiness, advice)
    return Verdict(name, "good", f"{sentence}.", found.trustworthiness)


def numbering_verdict(record: FitRecord, found: Neighbours, lost: float) -> Verdict:
    """A narrow code that numbers its rows, for a decoder that knows them all by heart.

    ``lost`` is the share of the variance of the rows given that the model loses.
    """
    name, size = "numbering", record.code_size
    units = f"{size} unit{'' if size == 1 else 's'}"
    trained, linear = (
        value / record.mean_error if record.mean_error > 0 else float("nan")
        for value in (record.train_error, record.pca_error)
    )
    advice = "a larger code_size, a smaller network, or more rows."
    if record.fits_closer and trained < EXACTLY and linear > PCA_LOSES and record.held_out_error > record.pca_error:
        sentence = (
            f"The code ({units}) numbers its {record.train_rows:,} training rows rather than describe them: of these "
            f"{percent(trained)} of the variance is lost, of held-out rows "
            f"{percent(record.held_out_error / record.mean_error)}; PCA of the same size loses {percent(linear)}."
        )
        return Verdict(name, "bad", sentence, trained, advice)
    no_order = found.trustworthiness < max(NUMBERED, found.pca_trustworthiness)
    if lost < EXACTLY and found.pca_lost > PCA_LOSES and no_order:
        sentence = (
            f"The code ({units}) numbers the rows given rather than describe them: it loses {percent(lost)} of their "
            f"variance, PCA of the same size {percent(found.pca_lost)}, yet near codes belong to rows that are not "
            f"alike (trustworthiness {found.trustworthiness:.2f}, where 0.5 is chance)."
        )
        return Verdict(name, "bad", sentence, found.trustworthiness, advice)
    return Verdict(name, "good", f"The code ({units}) describes rows, it does not number them.", lost)
