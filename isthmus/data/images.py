"""Folders of images, perhaps one for each class."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.data.pictures import FORMATS, check_alpha, read_image
from isthmus.data.resizing import check_size, coloured, resized
from isthmus.data.sources import ArraySource
from isthmus.errors import DataWarning, InputError


class Images(ArraySource):
    """The images of a folder, as rows to fit to.

    Attributes
    ----------
    images : (n, height, width[, channels]) uint8 or uint16.
    files : (n,) their names below the folder.
    labels : (n,) the folder that each lies in, for folders of classes; None where all lie in the folder itself.
    classes : the different labels, sorted.
    skipped : the files that were left out, each with the reason.
    """

    def __init__(self, images: np.ndarray, files: Sequence[str], skipped: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(images)
        self.files, self.skipped = tuple(files), tuple(skipped)
        folders = np.array([file.rpartition("/")[0] for file in files])
        self.labels = folders if (folders != "").any() else None
        self.classes = tuple(np.unique(folders).tolist()) if self.labels is not None else ()

    @property
    def images(self) -> np.ndarray:
        return self.array


def image_folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    mode: str | None = None,
    alpha: str = "drop",
    skip: bool = False,
) -> Images:
    """Every image of a folder, and of the folders in it, whose names are then the labels (as ImageNet lies on disk).

    Parameters
    ----------
    path : the folder, with PNG, JPEG, TIFF, BMP or WebP files.
    size : pixels of a side, or (height, width): images are scaled to cover it, and what juts out is cut off evenly.
        None = as they are; then all must have one size.
    mode : ``"grey"`` or ``"colour"`` makes all images so; None = as they are; then all must be alike.
    alpha : transparency is left out (``"drop"``) or kept as the last channel (``"keep"``).
    skip : files that cannot be read, or are unlike most others, are left out with a warning instead of refused.

    Returns
    -------
    Images
        What `Autoencoder.fit` and all others take; ``.images``, ``.files``, ``.labels``, ``.classes``, ``.skipped``.

    Raises
    ------
    InputError
        No image, or one that cannot be read or is unlike the others: the files are named.

    Warns
    -----
    DataWarning : files were left out (``skip=True``).

    Examples
    --------
    >>> import tempfile
    >>> from isthmus.data.pictures import write_image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (folder / name).mkdir()
    ...     _ = write_image(folder / name / "1.png", np.full((20, 30, 3), 7, dtype=np.uint8))
    >>> pets = image_folder(folder, size=16, mode="grey")
    >>> pets.images.shape, pets.files, pets.classes
    ((2, 16, 16), ('cat/1.png', 'dog/1.png'), ('cat', 'dog'))
    """
    folder, sides = Path(path).expanduser(), check_size(size)
    check_alpha(alpha)
    if mode not in (None, "grey", "colour"):
        raise InputError(f"mode must be 'grey', 'colour' or None (as the images are); got {mode!r}")
    files = image_files(folder)
    check_any(files, folder)

    def prepared(file: Path) -> np.ndarray:
        return resized(coloured(read_image(file, alpha), mode), sides)

    if skip:
        return without_odd_ones(folder, files, prepared)
    return Images(stacked(files, prepared), names_below(folder, files))


def stacked(files: Sequence[Path], read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """All images as one array, or the error about the first that is unlike the others."""
    first = read(files[0])
    images = np.empty((len(files), *first.shape), dtype=first.dtype)
    images[0] = first
    for i, file in enumerate(files[1:], start=1):
        image = read(file)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise InputError(unlike(files[0], first, file, image))
        images[i] = image
    return images


def read_images(folder: Path) -> np.ndarray:
    """(n, height, width) or (n, height, width, 3) uint8 or uint16: every image of a folder, sorted by name.

    Raises
    ------
    InputError
        No image, one that cannot be read, or images of different sizes or modes: the files are named.
    """
    return image_folder(folder).images


def read_images_of_any_size(
    path: str | os.PathLike[str], *, alpha: str = "drop", skip: bool = False
) -> tuple[list[np.ndarray], list[str]]:
    """The images of a folder, or the one at a path, each of its own size and depth.

    Parameters
    ----------
    path : a folder as for `image_folder`, or one image.
    alpha, skip : as for `image_folder`; images need not be alike.

    Returns
    -------
    images : uint8 or uint16 arrays (height, width) or (height, width, channels).
    files : their names below the folder.
    """
    folder = Path(path).expanduser()
    check_alpha(alpha)
    if folder.is_file():
        return [read_image(folder, alpha)], [folder.name]
    files = image_files(folder)
    check_any(files, folder)
    if not skip:
        return [read_image(file, alpha) for file in files], names_below(folder, files)
    read, skipped = readable(files, lambda file: read_image(file, alpha))
    if not read:
        raise InputError(f"{str(folder)!r}: not one of its {counted(len(files), 'image')} can be read: {skipped[0][1]}")
    warn_of_skipped(folder, skipped)
    return list(read.values()), names_below(folder, list(read))


def frames(folder: str | os.PathLike[str], *, mode: str | None = None) -> np.ndarray:
    """The images of a folder as one clip (frames, height, width[, channels]), in the order of the numbers in their
    names: frame 2 comes before frame 10.

    Parameters
    ----------
    folder, mode : as for `image_folder`.

    Examples
    --------
    >>> import tempfile
    >>> from isthmus.data.pictures import write_image
    >>> folder = tempfile.mkdtemp()
    >>> for n in (2, 10):
    ...     _ = write_image(f"{folder}/frame{n}.png", np.full((4, 5), n, dtype=np.uint8))
    >>> frames(folder)[:, 0, 0]
    array([ 2, 10], dtype=uint8)
    """
    read = image_folder(folder, mode=mode)
    if read.labels is not None:
        raise InputError(f"{str(folder)!r} holds images in folders of their own: give the folder of one clip")
    order = sorted(range(len(read)), key=lambda i: natural(read.files[i]))
    return read.images if order == list(range(len(read))) else read.images[order]


def natural(name: str) -> list[tuple[int, int | str]]:
    """What sorts names by the numbers in them.

    >>> sorted(["b10", "b9", "a"], key=natural)
    ['a', 'b9', 'b10']
    """
    pieces = re.split(r"([0-9]+)", name)
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and in its immediate sub-folders, sorted by name."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {str(folder)!r}")

    def pictures(where: Path) -> list[Path]:
        inside = [file for file in where.iterdir() if file.suffix.lower() in FORMATS and not file.name.startswith(".")]
        return sorted((file for file in inside if file.is_file()), key=lambda file: file.name)

    here = pictures(folder)
    for below in sorted(part for part in folder.iterdir() if part.is_dir() and not part.name.startswith(".")):
        here += pictures(below)
    return here


def check_any(files: list[Path], folder: Path) -> None:
    if not files:
        found = sorted({file.suffix.lower() or file.name for file in folder.iterdir()})
        held = f"it holds {listed(found, 5)}" if found else "it is empty"
        raise InputError(f"{str(folder)!r} has no PNG or JPEG images, nor TIFF, BMP or WebP: {held}")


def names_below(folder: Path, files: list[Path]) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in files]


def unlike(first_file: Path, first: np.ndarray, file: Path, image: np.ndarray) -> str:
    """How two images differ that must be alike."""
    if image.dtype != first.dtype:
        from PIL import Image

        with Image.open(file) as opened:
            mode = opened.mode
        differ = f"{str(first_file)!r} is {bits(first)}-bit, {str(file)!r} has mode {mode!r} and is {bits(image)}-bit"
        return f"images must all have one depth: {differ}. Convert them first, or leave such out with skip=True."
    if image.shape[:2] == first.shape[:2] and abs(image[0, 0].size - first[0, 0].size) == 1:
        return (
            f"images must all have transparency, or none: {str(first_file)!r} is {in_words(first)}, {str(file)!r} is "
            f"{in_words(image)}. Convert them first; ist.data.image_folder leaves it out where alpha='drop'."
        )
    return (
        f"images must all have one size and be all grey or all colour: {str(first_file)!r} is {in_words(first)}, "
        f"{str(file)!r} is {in_words(image)}. Resize or convert them first: ist.data.image_folder has size=, mode= "
        "and skip=."
    )


def bits(image: np.ndarray) -> int:
    return 8 * image.dtype.itemsize


def in_words(image: np.ndarray) -> str:
    """Size and mode of an image.

    >>> in_words(np.zeros((2, 3), dtype=np.uint8))
    '3 x 2 (width x height), grey'
    """
    channels = 1 if image.ndim == 2 else image.shape[2]
    clear = "" if channels % 2 else " with transparency"
    return f"{image.shape[1]} x {image.shape[0]} (width x height), {'grey' if channels < 3 else 'colour'}{clear}"


def readable(files: Sequence[Path], read: Any) -> tuple[dict[Path, np.ndarray], list[tuple[Path, str]]]:
    """The images that can be read, and the files that cannot, each with the reason."""
    images, skipped = {}, []
    for file in files:
        try:
            images[file] = read(file)
        except InputError as error:
            skipped.append((file, str(error).removeprefix(f"{str(file)!r} ")))
    return images, skipped


def without_odd_ones(folder: Path, files: list[Path], prepared: Any) -> Images:
    """The images that can be read and are like most of the others."""
    read, skipped = readable(files, prepared)
    kinds = Counter((image.shape, image.dtype) for image in read.values())
    if not kinds:
        raise InputError(f"{str(folder)!r}: not one of its {counted(len(files), 'image')} can be read: {skipped[0][1]}")
    kind = kinds.most_common(1)[0][0]
    alike = [file for file, image in read.items() if (image.shape, image.dtype) == kind]
    model = read[alike[0]]
    for file, image in read.items():
        if (image.shape, image.dtype) != kind:
            own, most = (f"{in_words(one)}, {bits(one)}-bit" for one in (image, model))
            skipped.append((file, f"it is {own}; most are {most}"))
    images = np.empty((len(alike), *kind[0]), dtype=kind[1])
    for i, file in enumerate(alike):
        images[i] = read.pop(file)  # let go one by one, so that not all are held twice
    warn_of_skipped(folder, skipped, stacklevel=4)
    named = sorted((file.relative_to(folder).as_posix(), reason) for file, reason in skipped)
    return Images(images, names_below(folder, alike), named)


def warn_of_skipped(folder: Path, skipped: list[tuple[Path, str]], stacklevel: int = 3) -> None:
    if skipped:
        named = ", ".join(f"{file.relative_to(folder).as_posix()!r} ({reason})" for file, reason in skipped[:3])
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        warnings.warn(
            f"{str(folder)!r}: {counted(len(skipped), 'image')} left out: {named}{more}",
            DataWarning,
            stacklevel=stacklevel,
        )
