"""Images brought to one size and one mode."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.checks import is_whole
from isthmus.errors import InputError


def check_size(size: Any) -> tuple[int, int] | None:
    """(height, width) of a size that was asked for."""
    if size is None:
        return None
    sides = (size, size) if is_whole(size) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(is_whole(side) and side >= 1 for side in sides):
        raise InputError(f"size must be a whole number of pixels >= 1, or (height, width); got {size!r}")
    return int(sides[0]), int(sides[1])


def coloured(image: np.ndarray, mode: str | None) -> np.ndarray:
    """The image as grey or as colour; transparency stays.

    >>> coloured(np.array([[[255, 0, 0]]], dtype=np.uint8), "grey")
    array([[76]], dtype=uint8)
    """
    flat = image[:, :, None] if image.ndim == 2 else image
    parts, clear = flat[:, :, : 3 if flat.shape[2] >= 3 else 1], flat[:, :, 3 if flat.shape[2] >= 3 else 1 :]
    if mode is None or parts.shape[2] == (1 if mode == "grey" else 3):
        return image
    if mode == "colour":
        return np.concatenate([np.repeat(parts, 3, axis=2), clear], axis=2)
    # The weights of ITU-R 601, in Pillow's whole numbers.
    grey = (parts.astype(np.int64) @ np.array([19595, 38470, 7471]) + 0x8000 >> 16).astype(image.dtype)
    return grey if not clear.size else np.concatenate([grey[:, :, None], clear], axis=2)


def resized(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """The image scaled to cover (height, width), and cut off evenly at the sides that jut out."""
    if size is None or image.shape[:2] == size:
        return image
    from PIL import Image, ImageOps

    if image.dtype == np.uint8:
        return np.asarray(ImageOps.fit(Image.fromarray(image), size[::-1], Image.Resampling.BICUBIC))
    # Pillow scales 16 bits as floats only, one channel at a time.
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.atleast_3d(image).transpose(2, 0, 1)]
    fitted = [np.asarray(ImageOps.fit(plane, size[::-1], Image.Resampling.BICUBIC)) for plane in planes]
    made = np.clip(np.rint(np.stack(fitted, axis=-1)), 0, 65535).astype(np.uint16)
    return made[:, :, 0] if image.ndim == 2 else made
