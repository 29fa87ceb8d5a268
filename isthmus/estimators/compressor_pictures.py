"""Pictures that may lose something: what they are, and blocks of them, each coded with loss and decoded exactly."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from isthmus.checks import is_whole
from isthmus.coding.container import Block
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.lossy import QUALITIES, LossyModel
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_data import is_frame

USUAL_QUALITY = 25

SIZE = struct.Struct("<II")
"""Height and width, in front of the code of each block."""

MOST_PIXELS = 2**28
"""Values of a block's pixels at most, so that no file makes a reader take more memory than these need."""


@dataclass(frozen=True)
class PictureForm:
    """Pictures of 8 bits, all grey or all of three colours, which may be of any size.

    Parameters
    ----------
    colours : 1, or 3 along a last axis; 0 = grey without such an axis.
    size : (height, width) of all of them; None = each has its own, and they are a list.
    quality : 0..50, at which they are coded.
    """

    colours: int
    size: tuple[int, int] | None = None
    quality: int = USUAL_QUALITY
    kind: ClassVar[str] = "pictures"
    dtype: ClassVar[str] = "|u1"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture; (1,) where each has its own."""
        return self.shape_of(*self.size) if self.size else (1,)

    def shape_of(self, height: int, width: int) -> tuple[int, ...]:
        """Of a picture of such a size."""
        return (height, width, self.colours) if self.colours else (height, width)

    def matched(self, X: Any) -> PictureForm:
        """The form of other pictures, (n, height, width[, colours]) or a list, or the error about what they are."""
        form = form_of(X)
        if form.colours != self.colours:
            check_not_single(X, self.colours)
            raise InputError(
                f"X: its pictures must have {in_words(self.colours)}, as in the fit; they have "
                f"{in_words(form.colours)}. Fit again with such pictures"
            )
        return replace(self, size=form.size)

    def joined(self, blocks: list[np.ndarray]) -> Any:
        """All pictures together: an array, or a list where each has its own size."""
        if self.size is None:
            return [picture for block in blocks for picture in block]
        return np.concatenate([np.empty((0, *self.shape), dtype=np.uint8), *blocks])

    def spec(self) -> dict[str, Any]:
        size = None if self.size is None else list(self.size)
        return {"kind": self.kind, "colours": self.colours, "size": size, "quality": self.quality}

    def texts(self) -> list[str]:
        """What grows with the data: nothing."""
        return []

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> PictureForm:
        size = None if spec["size"] is None else tuple(spec["size"])
        sound = size is None or (len(size) == 2 and all(type(side) is int and 0 <= side < 2**32 for side in size))
        if not sound or spec["colours"] not in (0, 1, 3) or not is_whole(spec["quality"]):
            raise FileFormatError("the description of pictures contradicts itself")
        if not 0 <= spec["quality"] < QUALITIES:
            raise FileFormatError(f"pictures claim the quality {spec['quality']}")
        return cls(spec["colours"], size, spec["quality"])

    def changes(self, fitted: PictureForm) -> dict[str, Any]:
        """What is not as in the fit, as JSON."""
        then = fitted.spec()
        return {name: value for name, value in self.spec().items() if value != then[name]}

    def changed(self, changes: dict[str, Any]) -> PictureForm:
        """The inverse of `changes`."""
        return type(self).from_spec({**self.spec(), **changes})


def in_words(colours: int) -> str:
    """
    >>> in_words(3), in_words(0)
    ('3 colours along a last axis', 'no axis of colours (grey)')
    """
    return {0: "no axis of colours (grey)", 1: "1 channel along a last axis"}.get(
        colours, f"{colours} colours along a last axis"
    )


def form_of(X: Any) -> PictureForm:
    """What pictures are.

    Raises
    ------
    InputError : they are none, or not of 8 bits, or of other channels than 1 or 3.
    """
    if is_frame(X):
        raise InputError("X is a table, and lossy=True takes pictures; use max_error= for tables")
    pictures = list(X) if isinstance(X, list) else [X]
    forms = [checked_form(picture, None if isinstance(X, list) else X.ndim - 1) for picture in pictures]
    if len({form.colours for form in forms}) > 1:
        odd = next(place for place, form in enumerate(forms) if form.colours != forms[0].colours)
        raise InputError(
            f"X: pictures must be all grey or all of 3 colours; the first has {in_words(forms[0].colours)}, number "
            f"{odd} {in_words(forms[odd].colours)}. ist.data.image_folder(folder, mode='colour') makes them alike"
        )
    return forms[0] if len(set(forms)) == 1 else replace(forms[0], size=None)


def check_not_single(X: Any, colours: int) -> None:
    """Refuse one picture of so many colours, which would be taken for many grey ones, as narrow as that."""
    if colours and isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] == colours:
        raise InputError(
            f"X must be of the shape (n, height, width) or (n, height, width, {colours}) where lossy=True; got "
            f"{X.shape}, a single picture. Give X[None], or [X]; if they are grey and {colours} wide, X[..., None]"
        )


def checked_form(X: np.ndarray, axes: int | None) -> PictureForm:
    """The form of one picture, or of an array of them of so many ``axes`` each."""
    if X.dtype != np.uint8:
        advice = {
            "f": "floats from 0 to 1: (X * 255).round()",
            "u": "16 bits: (X >> 8)",
            "b": "truth values: (X * 255)",
        }
        raise InputError(
            f"X: lossy=True takes pictures of 8 bits, uint8 from 0 to 255; got {X.dtype}. Convert "
            f"{advice.get(X.dtype.kind, 'numbers from 0 to 255: X')}.astype('uint8'), or use max_error= in place of "
            "lossy=True"
        )
    shape = X.shape if axes is None else X.shape[1:]
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
        what = "a picture" if axes is None else "X"
        rows = "" if axes is None else "n, "
        raise InputError(
            f"{what} must be of the shape ({rows}height, width) or ({rows}height, width, 3) where lossy=True; got "
            f"{X.shape}" + (". Leave transparency out" if shape and shape[-1] in (2, 4) else "")
        )
    return PictureForm(shape[2] if len(shape) == 3 else 0, (int(shape[0]), int(shape[1])))


def coded_pictures(form: PictureForm, model: LossyModel, pictures: np.ndarray) -> Block:
    """Pictures (n, height, width[, colours]) as a block. Its check is of the pictures that will come back."""
    if pictures.size > MOST_PIXELS:
        raise InputError(f"X: a picture may have {MOST_PIXELS:,} values at most; got {pictures.size:,}. Cut it up")
    writer = Writer()
    model.write(writer, pictures, form.quality)
    payload = writer.done()
    back = model.read(Reader(payload), pictures.shape)
    return Block(SIZE.pack(*pictures.shape[1:3]) + payload, len(pictures), crc32(back.tobytes()))


def decoded_pictures(form: PictureForm, model: LossyModel, block: Block) -> np.ndarray:
    """The pictures of a block.

    Raises
    ------
    FileFormatError : it is not one of this model and these pictures.
    """
    if len(block.payload) < SIZE.size:
        raise FileFormatError("a block of pictures ends before their size")
    size = SIZE.unpack_from(block.payload)
    shape = (block.rows, *form.shape_of(*size))
    if math.prod(shape) > MOST_PIXELS or form.size not in (None, size):
        raise FileFormatError(f"a block claims {block.rows:,} pictures of {size[0]:,} x {size[1]:,} pixels")
    reader = Reader(block.payload[SIZE.size :])
    found = model.read(reader, shape)
    reader.end()
    if crc32(found.tobytes()) != block.check:
        raise FileFormatError("a block was decoded to other pictures than were coded; its model must be another")
    return found
