"""Single pictures in files, in and out: 8 and 16 bits, grey and colour, with or without transparency."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.errors import InputError
from isthmus.files import written_whole

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
           ".webp": "WEBP"}  # fmt: skip
"""The endings of files that hold pictures, and the format of each."""

SAVED: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
"""How a format is written where its default loses more than it must."""

HELD: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "PNG": ((1, 2, 3, 4), (1, 3, 4)),
    "TIFF": ((1, 2, 3, 4), (1,)),
    "WEBP": ((1, 3, 4), ()),
    "JPEG": ((1, 3), ()),
    "BMP": ((1, 3), ()),
}
"""The numbers of channels that can be written to a format, of 8 bits and of 16."""

GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")

ALPHA = ("drop", "keep")

ORIENTATION = 274
"""The EXIF tag that says how the camera was held."""


def check_alpha(alpha: str) -> None:
    if alpha not in ALPHA:
        raise InputError(f"alpha must be 'drop' or 'keep' (as the last channel); got {alpha!r}")


def read_image(path: str | os.PathLike[str], alpha: str = "drop") -> np.ndarray:
    """One picture: uint8, or uint16 where the file holds 16 bits; turned as its file (EXIF) says.

    Parameters
    ----------
    path : a PNG, JPEG, TIFF, BMP or WebP file.
    alpha : transparency is left out (``"drop"``) or kept as the last channel of pictures that have it (``"keep"``).

    Returns
    -------
    array
        Grey (height, width), or colour (height, width, 3); with transparency kept, (height, width, 2) or (..., 4).

    Raises
    ------
    InputError
        The file is cut off, damaged or no picture, has no pixels, or is of another kind (floats, 32 bits).
    """
    from PIL import Image

    path = Path(path)
    try:
        with Image.open(path) as image:
            mode = stored_mode(image)
            # Pillow maps plain TIFF files by their name into memory, and takes height for width where they lie.
            image.filename = ""
            pixels = pixels_of(image, path, alpha == "keep")
            pixels = None if pixels is None else upright(pixels, orientation(image))
    except (OSError, SyntaxError, ValueError, zlib.error, struct.error, Image.DecompressionBombError) as error:
        # Pillow tells damage by many types of error; all of them mean that this file is not a whole image.
        raise InputError(f"{str(path)!r} cannot be read as an image: {error}. Is it cut off or damaged?") from error
    if pixels is None:
        raise InputError(
            f"{str(path)!r} has mode {mode!r}; only grey and colour images of 8 or 16 bits can be read. "
            "Convert it first."
        )
    if not pixels.size:
        raise InputError(f"{str(path)!r} has no pixels: it is {pixels.shape[1]} x {pixels.shape[0]} (width x height)")
    return pixels


def pixels_of(image: Any, path: Path, keep: bool) -> np.ndarray | None:
    """The numbers of an opened picture; None where it is of a kind that is not read."""
    if image.mode in DEEP_MODES:
        deep = np.asarray(image)
        return deep.astype(np.uint16) if deep.size and deep.min() >= 0 and deep.max() <= 65535 else None
    if image.mode not in GREY_MODES + COLOUR_MODES or stored_mode(image).startswith("LA;16"):
        return None
    clear = keep and ("A" in image.mode or "transparency" in image.info)
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("LA" if clear else "L"))
    low = low_bytes(image, path)
    # By way of RGBA, because Pillow warns of palettes whose transparency would be lost.
    image = image.convert("RGBA") if clear or "transparency" in image.info else image
    high = np.asarray(image.convert("RGBA" if clear else "RGB"))
    return high if low is None else high.astype(np.uint16) << 8 | low[:, :, : high.shape[2]]


def orientation(image: Any) -> int:
    """How the camera was held, 1..8, of a picture that was read whole; 1 = upright, or not said."""
    try:
        # Pillow itself turns TIFF files, and then says nothing of it here.
        return int(image.getexif().get(ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1  # damaged notes beside sound pixels


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """A picture (height, width[, channels]) turned and mirrored so that it stands upright.

    References
    ----------
    "Exchangeable image file format for digital still cameras: Exif 2.32", CIPA DC-008, section 4.6.4, tag 274.

    Examples
    --------
    >>> upright(np.array([[1, 2, 3], [4, 5, 6]]), 6)
    array([[4, 1],
           [5, 2],
           [6, 3]])
    """
    if not 2 <= orientation <= 8:
        return pixels
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(turned[::rows, ::columns])


def stored_mode(image: Any) -> str:
    """How the pixels lie in the file, such as ``"RGB;16B"``; the picture's mode where the two are the same."""
    told = image.tile[0].args if image.tile else None
    name = told[0] if isinstance(told, tuple) and told else told
    return name if isinstance(name, str) and ";16" in name else image.mode


def low_bytes(image: Any, path: Path) -> np.ndarray | None:
    """The lower halves of 16-bit colours, of which Pillow gives the upper; None where colours have 8 bits.

    Pillow takes one byte of each two, the first or the last as their order tells it: told the other order, it takes
    the other byte.
    """
    from PIL import Image

    name = stored_mode(image)
    if ";16" not in name or image.mode not in ("RGB", "RGBA"):
        return None
    first_is_high = name.endswith("B") or (name.endswith("N") and sys.byteorder == "big")
    other = name[:-1] + ("L" if first_is_high else "B")
    with Image.open(path) as again:
        again.tile = [
            tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other)
            for tile in again.tile
        ]
        return np.asarray(again)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> Path:
    """Write one picture with the bits and channels that it has; a failure leaves no half-written file.

    Parameters
    ----------
    path : its ending says the format: .png, .tif, .jpg, .bmp or .webp.
    image : uint8 or uint16 (height, width), or (height, width, channels): 1 or 3, and 2 or 4 with transparency. Of
        uint16, TIFF holds grey and PNG both grey and colour. WebP has no grey: it comes back as colour.

    Raises
    ------
    InputError : such an array is no picture, or the format cannot hold it.

    Examples
    --------
    >>> import tempfile
    >>> deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 9999
    >>> path = write_image(Path(tempfile.mkdtemp()) / "deep.png", deep)
    >>> bool((read_image(path) == deep).all()), read_image(path).dtype
    (True, dtype('uint16'))
    """
    from PIL import Image

    path, image = Path(path), np.asarray(image)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{str(path)!r}: a picture's name must end in one of {', '.join(FORMATS)}")
    if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3) or not image.size:
        raise InputError(
            f"image must be uint8 or uint16 numbers (height, width[, channels]); got {image.dtype} of the shape "
            f"{image.shape}. Of floats from 0 to 1: (image * 255).round().astype('uint8')"
        )
    channels = 1 if image.ndim == 2 else image.shape[2]
    image = image[:, :, 0] if image.ndim == 3 and channels == 1 else image
    deep = image.dtype == np.uint16
    if channels not in HELD[kind][deep]:
        raise InputError(
            f"{str(path)!r}: {kind} holds no picture of {counted(channels, 'channel')} of {16 if deep else 8} bits"
            + (". Write a .png" if channels in HELD["PNG"][deep] else "")
        )
    with written_whole(path) as beside:
        if deep and channels > 1:
            beside.write_bytes(deep_png(image))
        else:
            Image.fromarray(np.ascontiguousarray(image)).save(beside, format=kind, **SAVED.get(kind, {}))
    return path


def deep_png(image: np.ndarray) -> bytes:
    """A PNG file of 16-bit pixels (height, width, channels), which Pillow cannot write.

    References
    ----------
    "Portable Network Graphics (PNG) Specification", W3C, sections 5 and 11.
    """
    height, width, channels = image.shape

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    lines = np.zeros((height, 1 + 2 * width * channels), dtype=np.uint8)  # each begins with its filter, 0 = none
    lines[:, 1:] = image.astype(">u2").reshape(height, -1).view(np.uint8)
    body = zlib.compress(lines.tobytes())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
