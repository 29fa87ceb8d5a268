"""Folders of pictures as a `Compressor` takes them: at every depth, and nothing is passed over without a word."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from isthmus.checks import counted, listed
from isthmus.data.images import check_any, names_below, stacked
from isthmus.data.pictures import FORMATS, read_image
from isthmus.errors import DataWarning, InputError

OF_THE_SYSTEM = ("thumbs.db", "desktop.ini")
"""Files that some systems put beside pictures; nobody misses them. Hidden ones begin with a dot."""


def pictures_of_one_size(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Every picture below a folder, with its transparency, as nothing may be lost.

    Returns
    -------
    pictures : (n, height, width[, channels]) uint8 or uint16; 2 or 4 channels where they have transparency.
    files : (n,) their names below the folder.

    Raises
    ------
    InputError : there is none, or one cannot be read, or is unlike the first.

    Warns
    -----
    DataWarning : other files lie there.
    """
    files = pictures_below(folder)
    return stacked(files, lambda file: read_image(file, "keep")), names_below(folder, files)


def pictures_of_any_size(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """Every picture below a folder, or the one at a path, without transparency.

    Returns
    -------
    pictures : uint8 or uint16 arrays (height, width) or (height, width, 3), each of its own size.
    files : their names below the folder.

    Warns
    -----
    DataWarning : some have transparency, or other files lie there.
    """
    folder = path if path.is_dir() else path.parent
    files = pictures_below(path) if path.is_dir() else [path]
    names = names_below(folder, files)
    pictures, clear = [], []
    for file, name in zip(files, names, strict=True):
        picture = read_image(file, "keep")
        if picture.ndim == 3 and picture.shape[2] in (2, 4):
            clear.append(name)
            picture = np.ascontiguousarray(picture[:, :, :3] if picture.shape[2] == 4 else picture[:, :, 0])
        pictures.append(picture)
    if clear:
        warnings.warn(
            f"{str(path)!r}: the transparency of {counted(len(clear), 'picture')} is left out: {listed(clear, 3)}",
            DataWarning,
            stacklevel=5,
        )
    return pictures, names


def pictures_below(folder: Path) -> list[Path]:
    """The pictures in a folder, then those in each folder of it, all sorted by name; hidden ones are none.

    Raises
    ------
    InputError : there is none.

    Warns
    -----
    DataWarning : there are other files.
    """
    files, others = everything_below(folder)
    check_any(files, folder)
    if others:
        warnings.warn(
            f"{str(folder)!r}: {counted(len(others), 'file')} left out, being neither PNG, JPEG, TIFF, BMP nor WebP: "
            f"{listed(names_below(folder, others), 3)}",
            DataWarning,
            stacklevel=5,
        )
    return files


def everything_below(folder: Path, above: frozenset[Path] = frozenset()) -> tuple[list[Path], list[Path]]:
    """Pictures and other files at every depth, but for hidden ones and the system's.

    Parameters
    ----------
    above : the folders that it lies in, as links may lead in a circle.
    """
    above |= {folder.resolve()}
    try:
        inside = sorted((one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        raise InputError(f"the folder {str(folder)!r} cannot be read: {error}") from error
    here = [one for one in inside if one.is_file() and one.name.lower() not in OF_THE_SYSTEM]
    files = [file for file in here if file.suffix.lower() in FORMATS]
    others = [file for file in here if file.suffix.lower() not in FORMATS]
    for below in inside:
        if below.is_dir() and below.resolve() not in above:
            more, rest = everything_below(below, above)
            files, others = files + more, others + rest
    return files, others
