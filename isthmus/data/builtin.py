"""Data sets to try things on: scikit-learn's digits, and MNIST files that the user already has."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.data.idx import read_idx
from isthmus.errors import InputError

NAMED = ("mnist", "fashion-mnist")

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits that come with scikit-learn; nothing is downloaded.

    Returns
    -------
    images : (1797, 8, 8) uint8, 0 to 16.
    labels : (1797,) int64, 0 to 9.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)


def named(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """MNIST or Fashion-MNIST from the folder that the environment variable ISTHMUS_DATA names.

    Parameters
    ----------
    name : ``"mnist"`` or ``"fashion-mnist"``; the files lie in ``$ISTHMUS_DATA/NAME``, packed or not.

    Returns
    -------
    train images, train labels, test images, test labels : (n, 28, 28) uint8 and (n,) uint8.
    """
    if name not in NAMED:
        raise InputError(f"there is no data set {name!r}.{did_you_mean(name, NAMED)}")
    root = os.environ.get("ISTHMUS_DATA")
    if not root:
        raise InputError(
            f"the environment variable ISTHMUS_DATA is not set: it must name the folder that holds {name!r}, "
            f"with the files {PARTS[0]}.gz and so on. Nothing is downloaded."
        )
    folder = Path(root).expanduser() / name
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}: ISTHMUS_DATA is {root!r}, and must hold {name!r}")
    return tuple(read_idx(part_of(folder, part)) for part in PARTS)  # type: ignore[return-value]


def part_of(folder: Path, part: str) -> Path:
    """The file of this name, packed or not."""
    for file in (folder / part, folder / f"{part}.gz"):
        if file.is_file():
            return file
    raise InputError(f"{str(folder)!r} lacks the file {part} or {part}.gz")
