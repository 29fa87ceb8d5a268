"""Lossy coding of pictures by an autoencoder: its code is rounded, coded without loss, and decoded in whole numbers.

The encoder may round as its machine does: whatever it chose is in the file, and from there on everything is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.checks import is_real, is_whole
from isthmus.coding.entropy import Reader, Tally
from isthmus.coding.grid import named
from isthmus.coding.map_model import MapModel
from isthmus.coding.whole_convolution import BLOCK, Level, WholeDecoder, convolved, gathered
from isthmus.coding.whole_layer import narrowest, widest
from isthmus.errors import FileFormatError, InputError

QUALITIES = 51
"""0..50: seven more halve the step, from 128 pixel values down to about 0.9."""

LEVEL_BITS = 6

TOGETHER = 2**14
"""Cells that are coded together, if they are of several pictures. Files depend on it."""

PRICE = 0.15
"""Squared steps that a bit is worth when the code is chosen: fine quantisation has 0.12, and zeros help others."""

CLOSEST = 100.0
"""PSNR, in dB, that nothing lossy needs to reach."""


@dataclass(frozen=True, eq=False)
class LossyModel:
    """An autoencoder of pictures, learnt by `isthmus.coding.lossy_training.fit_lossy`.

    Parameters
    ----------
    analysis : shape (9 * 64 * colours, size), the encoder; it is not needed for reading.
    nominal : shape (`QUALITIES`,), whole: the step that the decoder is told, in 1/64 pixel value.
    steps : shape (`QUALITIES`, size), whole: those of the channels.
    maps : codes the code.
    decoder : of pictures.

    Raises
    ------
    InputError : the parts do not fit each other.
    """

    analysis: np.ndarray
    nominal: np.ndarray
    steps: np.ndarray
    maps: MapModel
    decoder: WholeDecoder

    def __post_init__(self) -> None:
        size, inputs = self.decoder.size, 9 * BLOCK**2 * self.colours
        for name, value, shape in (("nominal", self.nominal, ()), ("steps", self.steps, (size,))):
            if value.shape != (QUALITIES, *shape) or not 1 <= value.min() <= value.max() <= 2**16:
                raise InputError(f"{name} must be whole numbers in 1..{2**16}, of shape {(QUALITIES, *shape)}")
        if self.maps.context.size != size or self.analysis.shape != (inputs, size):
            raise InputError(f"maps and analysis must be for a code of {size} channels")
        if not np.isfinite(self.analysis).all():
            raise InputError("analysis must be finite")

    @property
    def colours(self) -> int:
        """Channels of a pixel."""
        return self.decoder.colours

    def write(self, writer: Tally, pictures: np.ndarray, quality: int) -> None:
        """Code pictures.

        Parameters
        ----------
        writer : a `isthmus.coding.entropy.Writer`, or a `Tally` that only counts.
        pictures : shape (n, height, width[, colours]), uint8, of any size.
        quality : 0..50, or what `quality_for` finds.

        Raises
        ------
        InputError : they are not that.
        """
        check_quality(quality)
        pictures = self._checked(pictures)
        for some in together(pictures.shape):
            writer.bits(np.array([quality]), LEVEL_BITS)
            self.code(pictures[some], quality, writer)

    def read(self, reader: Reader, shape: tuple[int, ...]) -> np.ndarray:
        """The pictures (n, height, width[, colours]) uint8 that `write` coded, with what was lost.

        Raises
        ------
        InputError : a shape that the model is not for.
        FileFormatError : they are not in what is read.
        """
        count, height, width, _ = self._shape(shape)
        pictures = np.zeros((count, height, width, self.colours), dtype=np.uint8)
        for some in together(pictures.shape):
            quality = int(reader.bits(1, LEVEL_BITS)[0])
            if quality >= QUALITIES:
                raise FileFormatError(f"a picture claims the quality {quality}")
            room = pictures[some]
            cells = len(room), -(-height // BLOCK), -(-width // BLOCK)
            room[...] = self.decoded(self.maps.read(reader, cells, quality), quality)[:, :height, :width]
        return pictures.reshape(shape)

    def code(self, pictures: np.ndarray, quality: int, writer: Tally | None = None) -> np.ndarray:
        """The whole numbers that are chosen for pictures (n, height, width, colours), and coded if there is a writer.

        Returns
        -------
        ndarray of shape (n, h, w, size), int64
        """
        codes = np.stack([encoded(picture, self.analysis) for picture in pictures])
        return self.maps.chosen(codes / (self.steps[quality] / 64), quality, PRICE, writer)

    def decoded(self, ints: np.ndarray, quality: int) -> np.ndarray:
        """The pictures of codes: (n, 8 h, 8 w, colours) uint8."""
        # Far beyond what any picture needs, so that no product leaves int64; the decoder clips much closer.
        codes = np.clip(ints, -(2**32), 2**32) * self.steps[quality]
        level = Level(int(self.nominal[quality]), quality)
        return np.stack([self.decoder(code, level) for code in codes])

    def quality_for(
        self, pictures: np.ndarray, *, bits_per_pixel: float | None = None, psnr: float | None = None
    ) -> int:
        """The best quality with at most so many bits, or the lowest with at least so small an error.

        Parameters
        ----------
        pictures : as for `write`.
        bits_per_pixel : > 0, mean over the pictures. Where even the quality 0 takes more, that is given.
        psnr : > 0, in dB, of the mean squared error over the pictures. Where even 50 is worse, that is given.

        Raises
        ------
        InputError : not just one of the two is given.
        """
        if bits_per_pixel is not None and psnr is not None:
            raise InputError("give bits_per_pixel or psnr, not both")
        for name, asked in {"bits_per_pixel": bits_per_pixel, "psnr": psnr}.items():
            if asked is not None and (not is_real(asked) or not asked > 0):
                raise InputError(f"{name} must be a number > 0; got {asked!r}")
        if psnr is not None:
            return min(QUALITIES - 1, first_quality(lambda quality: self.psnr(pictures, quality) >= psnr))
        if bits_per_pixel is None:
            raise InputError("give bits_per_pixel or psnr, a number > 0")
        count, height, width, _ = self._checked(pictures).shape
        most = bits_per_pixel * count * height * width
        return max(0, first_quality(lambda quality: self.bits(pictures, quality) > most) - 1)

    def bits(self, pictures: np.ndarray, quality: int) -> float:
        """What coding them takes, without doing it."""
        tally = Tally()
        self.write(tally, pictures, quality)
        return tally.ideal_bits

    def psnr(self, pictures: np.ndarray, quality: int) -> float:
        """Peak signal-to-noise ratio of what comes back, in dB, at most `CLOSEST`."""
        check_quality(quality)
        total, checked = 0.0, self._checked(pictures)
        _, height, width, _ = checked.shape
        for some in together(checked.shape):
            out = self.decoded(self.code(checked[some], quality), quality)[:, :height, :width]
            total += float(np.square(out.astype(np.float64) - checked[some]).sum())
        mean = total / max(checked.size, 1)
        return CLOSEST if mean <= 0 else min(CLOSEST, 10 * float(np.log10(255**2 / mean)))

    def _checked(self, pictures: np.ndarray) -> np.ndarray:
        """The pictures with an axis for colours."""
        pictures = np.asarray(pictures)
        if pictures.dtype != np.uint8:
            raise InputError(f"pictures must be uint8, 0..255; got {pictures.dtype}")
        return pictures.reshape(self._shape(pictures.shape))

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        plain = len(shape) == 3 and self.colours == 1
        if not plain and (len(shape) != 4 or shape[3] != self.colours):
            raise InputError(
                f"pictures must be of shape (n, height, width, {self.colours}), as those learnt; got {tuple(shape)}"
            )
        return shape[0], shape[1], shape[2], self.colours

    def spec(self) -> dict[str, Any]:
        """What JSON can hold of it; `tensors` is the rest."""
        return {"colours": self.colours, "maps": self.maps.spec()}

    def tensors(self) -> dict[str, np.ndarray]:
        """Named arrays, for a model file."""
        parts = {"maps": self.maps.tensors(), "decoder": self.decoder.tensors()}
        found = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
        plain = {"nominal": narrowest(self.nominal), "steps": narrowest(self.steps)}
        return {"analysis": self.analysis.astype(np.float16), **plain, **found}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> LossyModel:
        """The model of `spec` and `tensors`.

        Raises
        ------
        FileFormatError : they are none.
        """
        try:
            if not is_whole(spec["colours"]):
                raise InputError("its colours are no number")
            return cls(
                np.asarray(tensors["analysis"]).astype(np.float64),
                widest(tensors["nominal"]),
                widest(tensors["steps"]),
                MapModel.from_spec(spec["maps"], named(tensors, "maps")),
                WholeDecoder.from_tensors(named(tensors, "decoder"), spec["colours"]),
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"this is no lossy model of pictures: {error}") from error


def together(shape: tuple[int, ...]) -> list[slice]:
    """Pictures (n, height, width, colours) that are coded together: one that is large, or several; none without pixels.

    >>> together((5, 800, 600, 1)), together((5, 0, 600, 1))
    ([slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)], [])
    """
    count, height, width, _ = shape
    cells = -(-height // BLOCK) * -(-width // BLOCK)
    step = max(1, TOGETHER // max(cells, 1))
    return [slice(start, start + step) for start in range(0, count if cells else 0, step)]


def encoded(picture: np.ndarray, analysis: np.ndarray) -> np.ndarray:
    """The code of a picture (height, width, colours), not yet rounded: (h, w, size); it is mirrored to whole cells."""
    short = [-size % BLOCK for size in picture.shape[:2]]
    whole = np.pad(picture.astype(np.float64) - 128, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
    # A ring of mirrored cells, so that the outermost of `convolved` are not asked for.
    ringed = np.pad(whole, ((BLOCK, BLOCK), (BLOCK, BLOCK), (0, 0)), mode="symmetric")
    return convolved(gathered(ringed, BLOCK), analysis)[1:-1, 1:-1]


def first_quality(reached: Callable[[int], bool]) -> int:
    """The first quality for which it is so, by bisection; `QUALITIES` if it is so for none."""
    low, high = 0, QUALITIES
    while low < high:
        middle = (low + high) // 2
        if reached(middle):
            high = middle
        else:
            low = middle + 1
    return low


def check_quality(quality: int) -> None:
    """Refuse what is no quality."""
    if not is_whole(quality) or not 0 <= quality < QUALITIES:
        raise InputError(f"quality must be a whole number in 0..{QUALITIES - 1}; got {quality!r}")
