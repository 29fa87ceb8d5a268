"""The classes of rows of which only some are labelled: y as users write it, and as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.checks import counted, did_you_mean, listed
from isthmus.data.given import checked, is_missing
from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import InputError

UNKNOWN = -1
"""The number of a row whose class is not known."""


def known_values(y: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The values of the rows that are labelled, and a truth value per row (rows,).

    Missing are None, NaN, pandas' NA and empty text, and among whole numbers -1, as in scikit-learn.
    """
    values = checked(y, rows, "y")
    if values.ndim != 1:
        raise InputError(f"y must have one label per row, shape ({rows},); got {values.shape}")
    if values.dtype.kind in "iuOfUTb":
        if values.dtype.kind in "OUT":
            labelled = np.array([not (is_missing(value) or value == "") for value in values.tolist()], dtype=bool)
        else:
            labelled = values == values  # NaN is not equal to itself
        kept = values[labelled]
        if kept.dtype.kind == "O":  # only because None or NA stood among them, or of several types: then as text
            kinds = {type(value) for value in kept.tolist()}
            kept = np.array(kept.tolist() if len(kinds) == 1 else [str(value) for value in kept.tolist()])
        if kept.dtype.kind == "f" and len(kept) and (kept == np.round(kept)).all():
            kept = kept.astype(np.int64)  # whole numbers, floats only because NaN stood among them
        if kept.dtype.kind == "i":
            known = kept != UNKNOWN
            labelled[labelled] = known
            kept = kept[known]
        return kept, labelled
    raise InputError(f"y must hold labels (text, whole numbers, truth values); got {values.dtype}")


def classes_of(y: Any, rows: int) -> np.ndarray:
    """(classes,) the different labels, sorted.

    Raises
    ------
    InputError : none of the rows is labelled, or all labels are the same.
    """
    if y is None:
        raise InputError(
            "y: this kind learns from labels of some rows: fit(X, y) with a label per row, None, NaN or -1 where it "
            "is not known"
        )
    values, labelled = known_values(y, rows)
    found = np.unique(values)
    if len(found) < 2:
        what = f"all are {found[0].item()!r}" if len(found) else "none is labelled"
        if len(found) and found[0].item() == 1 and len(values) < rows:
            what += " (-1 stands for 'not known': if it is meant as a class, write the classes as 0 and 1)"
        raise InputError(
            f"y must label rows of at least two classes; of {counted(rows, 'row')}, {int(labelled.sum())} are "
            f"labelled: {what}. Without labels, fit 'vae'"
        )
    if len(found) > max(20, len(values) / 2):
        raise InputError(
            f"y has {len(found):,} different labels in {counted(len(values), 'labelled row')}: quantities are no "
            "classes"
        )
    return found


def numbered(classes: np.ndarray, y: Any, rows: int) -> np.ndarray:
    """(rows,) int64: the number of every row's class, -1 where it is not known.

    Raises
    ------
    InputError : a label that the fit did not see.

    Examples
    --------
    >>> numbered(np.array(["a", "b"]), ["b", None, "a"], rows=3)
    array([ 1, -1,  0])
    """
    values, labelled = known_values(y, rows)
    strange = np.flatnonzero(~np.isin(values, classes))
    if len(strange):
        value, row = values[strange[0]].item(), int(np.flatnonzero(labelled)[strange[0]])
        raise InputError(
            f"y: row {row} is {value!r}, a class that the fit did not see; it saw {listed(classes.tolist())}."
            f"{did_you_mean(value, classes.tolist()) if isinstance(value, str) else ''}"
        )
    numbers = np.full(rows, UNKNOWN, dtype=np.int64)
    numbers[labelled] = np.searchsorted(classes, values)
    return numbers


def class_tensors(classes: np.ndarray) -> dict[str, np.ndarray]:
    """The classes as arrays that a model file holds; text as its letters."""
    if classes.dtype.kind in "biu":
        return {"values": classes}
    letters, offsets = pack_text(classes.tolist())
    return {"letters": letters, "offsets": offsets}


def classes_from(tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The inverse of `class_tensors`."""
    if "values" in tensors:
        return tensors["values"]
    return np.array(unpack_text(tensors["letters"], tensors["offsets"]))
