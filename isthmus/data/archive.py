"""The series of the UCR archive: a label, then the values, separated by tabs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from isthmus.data.delimited import read_csv
from isthmus.data.paths import nearby
from isthmus.data.sequences import SequenceSource, sequences
from isthmus.data.tables import pandas_source
from isthmus.errors import InputError


def ucr(path: str | os.PathLike[str], argument: str = "X") -> tuple[SequenceSource, np.ndarray]:
    """The series of a ``.tsv`` file of the UCR archive, and their labels.

    Parameters
    ----------
    path : a line per series: label, then values. NaN at its end means that a series is shorter, elsewhere a gap.

    Returns
    -------
    X : what `Autoencoder.fit` and all others take.
    y : (n,) the labels, whole numbers where they are.

    Raises
    ------
    InputError : the file is none such; a series has no values.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", 2019.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Few_TRAIN.tsv"
    >>> _ = path.write_text("1\\t0.5\\t0.7\\t0.9\\n2\\t0.1\\t0.2\\tNaN\\n")
    >>> X, y = ucr(path)
    >>> X.lengths, y
    (array([3, 2]), array([1, 2]))
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.{nearby(path)}")
    frame, named = read_csv(path, "\t")
    if named:
        raise InputError(f"{str(path)!r}: its first line is not a label and values separated by tabs")
    table = pandas_source(frame, argument, None, True).array
    if table.shape[1] < 2:
        raise InputError(f"{str(path)!r}: a line must hold a label and values, separated by tabs")
    labels, values = table[:, 0], table[:, 1:]
    if np.isnan(labels).any():
        raise InputError(f"{str(path)!r}: line {int(np.argmax(np.isnan(labels))) + 1} has no label")
    y = labels.astype(np.int64) if (labels == np.rint(labels)).all() else labels
    measured = ~np.isnan(values)
    lengths = np.where(measured.any(axis=1), values.shape[1] - measured[:, ::-1].argmax(axis=1), 0)
    if (lengths == values.shape[1]).all():
        return sequences(values, argument), y
    return sequences([row[:length] for row, length in zip(values, lengths.tolist(), strict=True)], argument), y
