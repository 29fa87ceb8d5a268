"""Folders of images, and the idx files in which MNIST is handed round."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import listed
from isthmus.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg")

GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and in its immediate sub-folders, sorted by name."""

    def pictures(where: Path) -> list[Path]:
        inside = [file for file in where.iterdir() if file.suffix.lower() in PICTURES and not file.name.startswith(".")]
        return sorted((file for file in inside if file.is_file()), key=lambda file: file.name)

    here = pictures(folder)
    for below in sorted(part for part in folder.iterdir() if part.is_dir() and not part.name.startswith(".")):
        here += pictures(below)
    return here


def read_images(folder: Path) -> np.ndarray:
    """(n, height, width) or (n, height, width, 3) uint8: every PNG and JPEG of a folder, sorted by name.

    Raises
    ------
    InputError
        No image, one that cannot be read, or images of different sizes or modes: the files are named.
    """
    files = image_files(folder)
    if not files:
        found = sorted({file.suffix.lower() or file.name for file in folder.iterdir()})
        held = f"it holds {listed(found, 5)}" if found else "it is empty"
        raise InputError(f"{str(folder)!r} has no PNG or JPEG images: {held}")
    first = read_image(files[0])
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    images[0] = first
    for i, file in enumerate(files[1:], start=1):
        image = read_image(file)
        if image.shape != first.shape:
            raise InputError(
                f"images must all have one size and be all grey or all colour: {str(files[0])!r} is "
                f"{in_words(first)}, {str(file)!r} is {in_words(image)}. Resize or convert them first."
            )
        images[i] = image
    return images


def in_words(image: np.ndarray) -> str:
    """Size and mode of an image.

    >>> in_words(np.zeros((2, 3), dtype=np.uint8))
    '3 x 2 (width x height), grey'
    """
    return f"{image.shape[1]} x {image.shape[0]} (width x height), {'grey' if image.ndim == 2 else 'colour'}"


def read_image(file: Path) -> np.ndarray:
    """One image as uint8, grey (height, width) or colour (height, width, 3); transparency is dropped."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if image.mode in GREY_MODES:
                return np.asarray(image.convert("L"))
            if image.mode in COLOUR_MODES:
                return np.asarray(image.convert("RGB"))
            mode = image.mode
    except (OSError, SyntaxError, ValueError, zlib.error, struct.error, Image.DecompressionBombError) as error:
        # Pillow tells damage by many types of error; all of them mean that this file is not a whole image.
        raise InputError(f"{str(file)!r} cannot be read as an image: {error}. Is it cut off or damaged?") from error
    raise InputError(
        f"{str(file)!r} has mode {mode!r}; only 8-bit grey and colour images can be read. Convert it first."
    )


def is_idx(path: Path) -> bool:
    """Whether the content begins as an idx file does, gzip or not."""
    try:
        with open_maybe_gzip(path) as file:
            start = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in IDX_TYPES and 1 <= start[3] <= 4


def open_maybe_gzip(path: Path) -> Any:
    """The file opened for reading bytes, unpacked if its first bytes are gzip's."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an idx file (``.gz`` or not), the format of MNIST.

    Raises
    ------
    InputError
        The file is not idx, or its length is not what its head says.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", the file format.
    """
    path = Path(path)
    try:
        with open_maybe_gzip(path) as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES:
                raise InputError(f"{str(path)!r} is not an idx file: it begins with the bytes {head!r}")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise InputError(f"{str(path)!r} ends within its head: it is cut off")
            shape = struct.unpack(f">{head[3]}I", sizes)
            body = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    dtype = np.dtype(IDX_TYPES[head[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(body) != expected:
        raise InputError(
            f"{str(path)!r} should hold {expected:,} bytes of numbers for its shape {shape}, but holds {len(body):,}: "
            f"it is cut off or damaged"
        )
    # A copy: arrays made from bytes are read-only.
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
