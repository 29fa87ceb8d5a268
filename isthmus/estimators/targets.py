"""What rows are labelled with: classes, several labels at once, or numbers; and how an answer is judged by them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from isthmus.checks import counted
from isthmus.data.arrays import short
from isthmus.data.classes import UNKNOWN, known_values, numbered
from isthmus.data.given import checked, is_missing
from isthmus.errors import DataWarning, InputError

FEW_CLASSES, MOST_CLASSES = 10, 20
"""Whole numbers of which no more differ are classes; those of which more than the second number do are quantities.
Between the two they are classes where each comes twice and more in the mean."""


@dataclass(frozen=True)
class Targets:
    """The labels of rows as numbers, each with its weight.

    Attributes
    ----------
    kind : ``"classes"`` (one of several), ``"labels"`` (several at once, each 0 or 1) or ``"numbers"``.
    values : (n,) int64 the number of the class, -1 = not known; else (n, outputs) float64, NaN = not known.
    weight : of the shape of ``values``, float64, 0 = not known; 1 in the mean over what is known.
    classes : (classes,) the classes, sorted; of labels their numbers; of numbers empty.
    centre, spread : (outputs,) mean and standard deviation of numbers, which models are taught in units of.
    flat : whether y had one axis.
    """

    kind: str
    values: np.ndarray
    weight: np.ndarray
    classes: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    flat: bool

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.kind != "numbers" else self.values.shape[1]

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: rows with a label, or with one of several."""
        known = self.values != UNKNOWN if self.kind == "classes" else ~np.isnan(self.values)
        return known if known.ndim == 1 else known.any(1)

    def take(self, rows: np.ndarray) -> Targets:
        return replace(self, values=self.values[rows], weight=self.weight[rows])

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Values (0 where not known) and weights, as `cost` takes them."""
        values = torch.from_numpy(np.maximum(self.values, 0) if self.kind == "classes" else np.nan_to_num(self.values))
        values = values if self.kind == "classes" else values.float()
        return values.to(device), torch.from_numpy(self.weight).float().to(device)

    def cost(self, out: Tensor, values: Tensor, weight: Tensor) -> Tensor:
        """The mean weighted cost of answers (n, outputs): nats, or half the squared error in standard deviations."""
        if self.kind == "classes":
            losses = F.cross_entropy(out, values, reduction="none")
        elif self.kind == "labels":
            losses = F.binary_cross_entropy_with_logits(out, values, reduction="none")
        else:
            losses = 0.5 * (out - values).square()
        return (losses * weight).sum() / weight.sum().clamp(min=1e-12)

    def score(self, out: np.ndarray) -> float:
        """How good answers (n, outputs) are, the higher the better: the weighted share of right classes or labels; of
        numbers the share of the variance that is explained."""
        total = max(float(self.weight.sum()), 1e-12)
        if self.kind == "numbers":
            return 1.0 - float((self.weight * np.nan_to_num(out - self.values) ** 2).sum()) / total
        right = out.argmax(1) == self.values if self.kind == "classes" else (out > 0) == (self.values > 0.5)
        return float((self.weight * right).sum()) / total


def class_targets(y: Any, rows: int, class_weight: str | None) -> Targets:
    """Read y as classes (n,), or as several labels of 0 and 1 (n, labels).

    Raises
    ------
    InputError : one class alone, no label at all, of another length than ``rows``, or labels other than 0 and 1.
    """
    if class_weight not in ("balanced", None):
        raise InputError(f"class_weight must be 'balanced' or None; got {class_weight!r}")
    values = one_each(y, rows)
    if values.ndim == 2 and values.shape[1] > 1:
        return label_targets(values, class_weight)
    values = values.reshape(rows) if values.ndim == 2 else values
    found, labelled = known_values(values, rows)
    classes = np.unique(found)
    if len(classes) < 2:
        what = f"all are {classes[0].item()!r}" if len(classes) else "none is labelled"
        hint = " (-1 stands for 'not known': if it is meant as a class, write the classes as 0 and 1)"
        hint = hint if len(classes) and values.dtype.kind in "if" and (values == UNKNOWN).any() else ""
        raise InputError(
            f"y must label rows of at least two classes; of {counted(rows, 'row')}, {int(labelled.sum())} are "
            f"labelled: {what}{hint}"
        )
    numbers = numbered(classes, values, rows)
    counts = np.bincount(numbers[numbers >= 0], minlength=len(classes))
    each = counts.sum() / (len(classes) * counts) if class_weight else np.ones(len(classes))
    weight = np.where(numbers >= 0, each[np.maximum(numbers, 0)], 0.0)
    return Targets("classes", numbers, weight, classes, np.zeros(0), np.ones(0), True)


def label_targets(y: np.ndarray, class_weight: str | None) -> Targets:
    """Several labels at once."""
    values = as_floats(y)
    known = ~np.isnan(values)
    bad = np.argwhere(known & (values != 0) & (values != 1))
    if len(bad):
        row, label = bad[0]
        raise InputError(
            f"y: with one column per label, each must be 0, 1 or NaN (not known); row {row} of label {label} is "
            f"{values[row, label]:g}"
        )
    ones, counts = np.nansum(values, axis=0), known.sum(0)
    for label in np.flatnonzero((ones == 0) | (ones == counts)):
        what = f"{int(values[known[:, label], label][0])} in all of them" if counts[label] else "not known in any row"
        where = counted(int(counts[label]), "row")
        raise InputError(
            f"y must have rows with and without each label; label {label} is known in {where}: {what}. Leave its "
            "column out"
        )
    share = np.stack([counts / (2 * (counts - ones)), counts / (2 * ones)])
    each = np.where(values == 1, share[1], share[0]) if class_weight else np.ones(values.shape)
    weight = np.where(known, each, 0.0)
    labels = values.shape[1]
    return Targets("labels", values, weight, np.arange(labels), np.zeros(0), np.ones(0), False)


def number_targets(y: Any, rows: int) -> Targets:
    """Read y as numbers, (n,) or (n, outputs); NaN and None are not known."""
    y = one_each(y, rows)
    values = as_floats(y.reshape(rows, -1))
    known = ~np.isnan(values)
    if np.isinf(values).any():
        row = int(np.argwhere(np.isinf(values))[0][0])
        raise InputError(f"y: row {row} is infinite; every number must be finite, or NaN where it is not known")
    if y.ndim > 2 or (known.sum(0) < 2).any():
        raise InputError(
            f"y must hold numbers, (n,) or (n, outputs), at least two of them known for each output; got {y.shape}, of "
            f"which {int(known.any(1).sum()):,} rows are known"
        )
    # Squares of numbers beyond 1e154, or below its inverse, leave float64; a power of two moves no digit.
    size = np.ldexp(1.0, np.frexp(np.nanmax(np.abs(values), axis=0))[1] - 1)
    values = values / size
    centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    varies = spread > 0
    values = (values - centre) / np.where(varies, spread, 1.0)
    spread = np.where(varies, spread * size, 1.0)
    weight = known.astype(np.float64)
    return Targets("numbers", values, weight, np.zeros(0), centre * size, spread, y.ndim == 1)


def one_each(y: Any, rows: int) -> np.ndarray:
    """Labels as an array, as long as there are rows."""
    if y is None or np.ndim(y) == 0:
        got = "none at all" if y is None else short(y)
        raise InputError(
            f"y must have one label for each of the {counted(rows, 'row')}, None, NaN or -1 where it is not known; got "
            f"{got}"
        )
    return checked(y, rows, "y")


def as_floats(y: np.ndarray) -> np.ndarray:
    """float64, NaN where a value is missing."""
    try:
        if y.dtype.kind == "O":
            y = np.array([[np.nan if is_missing(value) else value for value in row] for row in y.tolist()])
        return y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("y: with several columns, or as numbers to tell, it must hold numbers or NaN") from error


def are_numbers(y: Any, otherwise: str | None = None, most: float = MOST_CLASSES) -> bool:
    """Whether y holds numbers to tell rather than classes: fractions, or whole numbers of which many differ (see
    `FEW_CLASSES`; -1 is not counted); with a column per output, anything but labels of 0 and 1.

    Parameters
    ----------
    y : labels as users write them.
    otherwise : how to have it otherwise, in words with a place for ``"numbers"`` or ``"classes"``: a `DataWarning` then
        says so where it is in doubt. None = silent.
    most : different whole numbers that can be classes, where each comes twice and more in the mean.

    >>> are_numbers([0.5, 1.2]), are_numbers([0, 1, 1]), are_numbers(["a", "b"]), are_numbers(np.arange(50) % 25)
    (True, False, False, True)
    """
    values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if values.dtype.kind == "O":
        known = [value for value in values.ravel().tolist() if not is_missing(value)]
        values = np.array(known) if len({isinstance(value, str) for value in known}) == 1 else np.array(["text"])
    if values.dtype.kind not in "iuf":
        return False
    known = values[values == values]
    if values.ndim == 2 and values.shape[1] > 1:
        return not np.isin(known, (UNKNOWN, 0, 1)).all()  # a -1 is refused where labels are read: here it says nothing
    if (known != np.round(known)).any():
        return True
    known = known[known != UNKNOWN]
    found = np.unique(known)
    numbers = len(found) > (most if len(known) >= 2 * len(found) else FEW_CLASSES)
    if otherwise is not None and len(found) > FEW_CLASSES and (not numbers or are_counted_on(found, len(known))):
        told, other = ("numbers", "classes") if numbers else ("classes", "numbers")
        warnings.warn(
            f"y: {len(found):,} different whole numbers are taken for {told}; {otherwise.format(other)}",
            DataWarning,
            stacklevel=3,
        )
    return numbers


def are_counted_on(found: np.ndarray, rows: int) -> bool:
    """Whether different whole numbers look like numbers of classes: none is left out, and each comes often."""
    return found[0] in (0, 1) and int(found[-1]) - int(found[0]) < len(found) <= rows / 2
