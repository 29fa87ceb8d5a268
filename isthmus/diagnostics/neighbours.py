"""Do codes keep the neighbours of rows? Beside PCA of the same size; a code that numbers its rows does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.diagnostics.probe import Probe, spaced
from isthmus.diagnostics.restraint import either
from isthmus.metrics import distances, kept_order, nearest_accuracy
from isthmus.pca import principal_components
from isthmus.verdicts import NOTHING_LEARNT, SURE, FitRecord, Verdict, percent

ROWS, NEIGHBOURS, FEWEST = 1_000, 10, 12
"""The most rows whose neighbours are compared, how many neighbours each has, and the fewest rows that will do."""
WORSE = 0.02
"""The mean of trustworthiness and continuity this much below PCA's, and by 2 standard errors, is worth a note."""
NUMBERED, EXACTLY, PCA_LOSES = 0.75, 0.05, 0.5
"""A code numbers its rows where it loses less than 5 % of a variance of which PCA of its size loses half, and its
trustworthiness is below 0.75 (chance is 0.5) or PCA's, or rows that were held out fare worse than with PCA."""
BELOW_PCA, AROUND = 0.6, (1, 2, 3, 5, 10)
"""Without held-out rows it numbers them, too, where it loses less than 0.6 times what PCA loses, but no mean of 1, 2,
... 10 rows with the nearest codes loses less than PCA: its decoder knows every row, and none by what it is near to."""


@dataclass(frozen=True)
class Neighbours:
    """Trustworthiness, continuity and leave-one-out 1-NN accuracy of codes, and of PCA of the same rows and size.

    NaN where they could not be measured; the accuracies also where there are no labels that are categories.
    ``pca_lost`` is the share of the rows' variance that this PCA loses, ``near_lost`` that which the mean of the rows
    with the nearest codes loses; ``behind`` is by how much the mean of trustworthiness and continuity is below PCA's,
    and ``spread`` the standard error of that.
    """

    rows: int
    trustworthiness: float = float("nan")
    continuity: float = float("nan")
    accuracy: float = float("nan")
    pca_trustworthiness: float = float("nan")
    pca_continuity: float = float("nan")
    pca_accuracy: float = float("nan")
    pca_lost: float = float("nan")
    near_lost: float = float("nan")
    behind: float = float("nan")
    spread: float = float("nan")

    @property
    def figures(self) -> dict[str, float]:
        inner = ("rows", "pca_lost", "near_lost", "behind", "spread")
        return {name: value for name, value in vars(self).items() if name not in inner}


def neighbours(probe: Probe, codes: np.ndarray, labels: np.ndarray | None = None) -> Neighbours:
    """Compare the neighbours of at most `ROWS` rows with those of their ``codes`` (n, size)."""
    rows = spaced(len(codes), ROWS)
    n = len(rows)
    if n < FEWEST:
        return Neighbours(n)
    x, codes = probe.points[rows.to(probe.x.device)].cpu(), codes[rows.numpy()]
    pca = principal_components([x])
    linear = (x.double().numpy() - pca.mean) @ pca.components[: codes.shape[1]].T
    data, k = distances(x.numpy()), min(NEIGHBOURS, (n - 1) // 2)
    named = labels is not None and are_categories(labels := labels[rows.numpy()])

    def accuracy(code: np.ndarray) -> float:
        return nearest_accuracy(code, labels) if named and labels is not None else float("nan")

    own, beside = ((kept_order(data, far, k), kept_order(far, data, k)) for far in map(distances, (codes, linear)))
    behind = (beside[0] + beside[1] - own[0] - own[1]) / 2
    errors = pca.errors([x])
    lost = errors[min(codes.shape[1], len(errors) - 1)] / errors[0] if errors[0] > 0 else float("nan")
    return Neighbours(
        n, float(own[0].mean()), float(own[1].mean()), accuracy(codes),
        float(beside[0].mean()), float(beside[1].mean()), accuracy(linear),
        pca_lost=float(lost), near_lost=lost_of_near(x.double().numpy(), codes),
        behind=float(behind.mean()), spread=float(behind.std() / np.sqrt(n)),
    )  # fmt: skip


def lost_of_near(x: np.ndarray, codes: np.ndarray) -> float:
    """The share of the variance of ``x`` (n, features) that is lost where a row is told by those with the nearest
    codes, the mean of 1, 2, ... of them, whichever is best."""
    order, variance = distances(codes).argsort(axis=1, kind="stable"), x.var(axis=0).mean()
    if not variance > 0:
        return float("nan")
    totals = np.zeros_like(x)
    best = np.inf
    for count in range(1, min(max(AROUND), len(x) - 1) + 1):
        totals += x[order[:, count - 1]]
        if count in AROUND:
            best = min(best, np.square(totals / count - x).mean() / variance)
    return float(best)


def are_categories(labels: np.ndarray) -> bool:
    """Whether labels name groups: no fractions, more than one group, and several rows to a group."""
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and np.all(labels == np.round(labels))):
        return False
    groups = len({str(label) for label in labels})
    return 1 < groups <= len(labels) // 4


def neighbours_verdict(
    found: Neighbours, size: int, features: int, lost: float = 0.0, *, loosen: tuple[str, ...] = ()
) -> Verdict:
    """Whether rows that are alike have codes that are alike, and the other way round.

    ``lost`` is the share of the rows' variance that the model loses, ``loosen`` what can be asked of what holds its
    code back.
    """
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
    if found.behind > max(WORSE, SURE * found.spread):
        words = f"The codes keep fewer of the rows' neighbours than PCA does: n{sentence[1:]}."
        choices = ("the kind 'linear'", *loosen, "a larger code_size") if size < features else loosen
        return Verdict(name, "note", words, found.trustworthiness, either(*choices) if choices else "")
    if lost > NOTHING_LEARNT:
        words = f"Of a model that rebuilds hardly anything, neighbours prove little: n{sentence[1:]}."
        return Verdict(name, "note", words, found.trustworthiness)
    return Verdict(name, "good", f"{sentence}.", found.trustworthiness)


def numbering_verdict(record: FitRecord, found: Neighbours, lost: float, *, told: bool = False) -> Verdict:
    """A narrow code that numbers its rows, for a decoder that knows them all by heart.

    ``lost`` is the share of the variance of the rows given that the model loses; ``told`` says that the decoder reads
    conditions beside the code, so that the code alone need not tell rows apart.
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
    if lost < EXACTLY and found.pca_lost > PCA_LOSES and no_order and not told:
        sentence = (
            f"The code ({units}) numbers the rows given rather than describe them: it loses {percent(lost)} of their "
            f"variance, PCA of the same size {percent(found.pca_lost)}, yet near codes belong to rows that are not "
            f"alike (trustworthiness {found.trustworthiness:.2f}, where 0.5 is chance)."
        )
        return Verdict(name, "bad", sentence, found.trustworthiness, advice)
    unlike = lost < BELOW_PCA * found.pca_lost and found.near_lost > found.pca_lost > PCA_LOSES
    if unlike and not told and not (record.has_held_out and not record.fits_closer):
        sentence = (
            f"The code ({units}) numbers the rows given rather than describe them: it loses {percent(lost)} of their "
            f"variance, PCA of the same size {percent(found.pca_lost)}, yet rows with near codes have so little in "
            f"common that their mean would lose {percent(found.near_lost)}."
        )
        return Verdict(name, "bad", sentence, found.near_lost, advice)
    return Verdict(name, "good", f"The code ({units}) does not number its rows.", lost)
