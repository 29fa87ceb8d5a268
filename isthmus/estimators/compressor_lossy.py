"""Pictures of any sizes as a lossy `Compressor` takes them, what it learns from them, and how good they shall be."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.checks import is_real
from isthmus.coding.lossy import CLOSEST, QUALITIES, LossyModel, check_quality, first_quality
from isthmus.coding.lossy_training import fit_lossy
from isthmus.data.pictures import FORMATS
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.compressor_folders import pictures_of_any_size
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_models import digest_of
from isthmus.estimators.compressor_pictures import PictureForm, check_not_single, form_of
from isthmus.estimators.compressor_stream import InMemory, Rows, opened_rows
from isthmus.estimators.settings import seed_of

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

NETWORK = (48, 48)
"""Hidden units of the network that foretells the code."""

SECONDS = 600.0
"""That a fit may take if nothing is said."""

CODES, CODES_A_SECOND = 300, 8
"""Pictures whose code is learnt from, at most, and in a short fit."""

HELD_OUT, FEWEST = 10, 20
"""One picture in so many is held out, where there are enough."""

JUDGED = 2**19, 10
"""Values of pixels that the rate of the fit is measured on, about, and pictures at most."""

SEARCHED = 2**20
"""Values of pixels, at most, on which the quality for asked bits or an asked error is found."""


class OwnSizes:
    """A list of pictures, each of its own size; each is a block."""

    def __init__(self, pictures: list[np.ndarray], files: Sequence[str] = ()) -> None:
        self.pictures, self.files = pictures, tuple(files)

    def sample(self) -> Any:
        return self.pictures

    def head(self, form: Form) -> Any:
        return self.pictures

    def blocks(self, rows: int, form: Form) -> Iterator[Any]:
        for picture in self.pictures:
            yield picture[None]


def opened_pictures(X: Any) -> Rows:
    """Pictures in a list, in a folder or in one file, of any sizes; or whatever else holds data."""
    files: list[str] = []
    if isinstance(X, (str, os.PathLike)):
        path = Path(X).expanduser()
        if not path.is_dir() and path.suffix.lower() not in FORMATS:
            return opened_rows(path)
        if not path.exists():
            raise InputError(f"there is no picture {str(path)!r}")
        X, files = pictures_of_any_size(path)
    if not isinstance(X, (list, tuple)):
        return opened_rows(X)
    if not X:
        raise InputError("X has no pictures")
    pictures = [np.asarray(picture) for picture in X]
    form = form_of(pictures)
    return InMemory(np.stack(pictures), files) if form.size else OwnSizes(pictures, files)


@dataclass(frozen=True)
class Target:
    """How good or how small pictures shall be: one of the three, or none for what is usual.

    Parameters
    ----------
    quality : 0..50.
    bits : of a pixel, at most.
    psnr : in dB, at least.
    """

    quality: int | None = None
    bits: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        if sum(asked is not None for asked in (self.quality, self.bits, self.psnr)) > 1:
            raise InputError("give quality, bits or psnr, not two of them")
        if self.quality is not None:
            check_quality(self.quality)
        for name, asked in (("bits", self.bits), ("psnr", self.psnr)):
            if asked is not None and (not is_real(asked) or not 0 < asked < np.inf):
                raise InputError(f"{name} must be a number > 0; got {asked!r}")

    def __bool__(self) -> bool:
        return self != Target()

    def form(self, form: PictureForm, model: LossyModel, rows: Rows) -> PictureForm:
        """The form with the quality that keeps it.

        Warns
        -----
        DataWarning : no quality does.
        """
        if self.bits is None and self.psnr is None:
            return form if self.quality is None else replace(form, quality=int(self.quality))
        groups = some_of(rows.sample(), SEARCHED)
        if not groups:
            return form
        if self.psnr is not None:
            least = self.psnr
            quality = first_quality(lambda quality: psnr_of(model, groups, quality) >= least)
            if quality == QUALITIES:
                self._warn(f"psnr={least:g} dB", f"{psnr_of(model, groups, quality - 1):.1f} dB at most")
            return replace(form, quality=min(quality, QUALITIES - 1))
        most = self.bits or 0.0
        quality = first_quality(lambda quality: bits_of(model, groups, quality) > most) - 1
        if quality < 0:
            self._warn(f"bits={most:g}", f"{bits_of(model, groups, 0):.3g} bits a pixel at least")
        return replace(form, quality=max(quality, 0))

    @staticmethod
    def _warn(asked: str, can: str) -> None:
        advice = "fit with more time (max_time) or more pictures"
        warnings.warn(f"{asked} cannot be reached: these pictures take {can}; {advice}", DataWarning, stacklevel=6)


def some_of(sample: Any, most: int, count: int = 2**31) -> list[np.ndarray]:
    """Pictures from all over a sample, as they are coded: together (n, height, width[, colours]), or each by itself."""
    size = sum(picture.size for picture in sample)
    step = max(1, -(-len(sample) // count), -(-size // most))
    some = [middle(picture, most) for picture in sample[::step] if picture.size]
    return [np.stack(some)] if len({picture.shape for picture in some}) == 1 else [picture[None] for picture in some]


def middle(picture: np.ndarray, most: int) -> np.ndarray:
    """A picture, or its middle if it has more values than so many.

    >>> middle(np.zeros((3000, 2000, 3)), 2**20).shape
    (724, 482, 3)
    """
    share = min(1.0, (most / picture.size) ** 0.5)
    height, width = (max(1, int(size * share)) for size in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def pixels(groups: Sequence[np.ndarray]) -> int:
    """How many there are."""
    return sum(math.prod(group.shape[:3]) for group in groups)


def bits_of(model: LossyModel, groups: Sequence[np.ndarray], quality: int) -> float:
    """Bits of a pixel."""
    return sum(model.bits(group, quality) for group in groups) / pixels(groups)


def psnr_of(model: LossyModel, groups: Sequence[np.ndarray], quality: int) -> float:
    """PSNR in dB of the mean squared error over all pictures."""
    errors = [group.size * 10 ** (-model.psnr(group, quality) / 10) for group in groups]
    return min(CLOSEST, -10 * float(np.log10(sum(errors) / sum(group.size for group in groups))))


def fit_pictures(compressor: Compressor, X: Any) -> None:
    """Learn to code pictures with loss: the fit of a `Compressor` where ``lossy=True``."""
    settings = compressor.get_params()
    check_lossy(settings)
    check_not_single(X, 3)
    sample = opened_pictures(X).sample()
    form = form_of(sample)
    pictures = [picture for picture in sample if picture.size]
    if not pictures:
        raise InputError("X has no pictures to learn from")
    held = pictures[HELD_OUT - 1 :: HELD_OUT] if len(pictures) >= FEWEST else []
    learnt = [picture for place, picture in enumerate(pictures) if not held or place % HELD_OUT != HELD_OUT - 1]
    seconds = float(settings["max_time"] or SECONDS)
    model = fit_lossy(
        learnt,
        seconds=seconds,
        hidden=NETWORK if settings["hidden"] is None else tuple(settings["hidden"]),
        codes=int(min(CODES, max(1, CODES_A_SECOND * seconds))),
        random_state=seed_of(settings["random_state"]),
    )
    # As it will be when it was saved, so that it packs to the same bytes then.
    model = LossyModel.from_spec(model.spec(), model.tensors())
    compressor.model_, compressor.form_, compressor.digest_ = model, form, digest_of(form, model)
    judged = some_of(held or learnt, *JUDGED)
    bits, psnr = (measure(model, judged, form.quality) for measure in (bits_of, psnr_of))
    compressor.bits_per_element_ = bits / max(1, form.colours)
    kind = "colour" if form.colours == 3 else "grey"
    compressor.said_ = (
        f"{kind} pictures of any size, with loss",
        f"at the quality {form.quality}, {bits:.3f} bits a pixel and {psnr:.1f} dB",
    )


def check_lossy(settings: dict[str, Any]) -> None:
    """Refuse parameters that a lossy fit cannot use."""
    if settings["data"] not in ("auto", "images"):
        raise InputError(f"lossy=True takes pictures, data='images' or 'auto'; got data={settings['data']!r}")
    if settings["max_error"] is not None or settings["relative"]:
        raise InputError(
            "max_error: a bound for every element is kept where lossy=False; lossy=True takes quality, bits or psnr "
            "when it compresses. Use one of the two"
        )
    if settings["epochs"] is not None:
        raise InputError("epochs: a lossy fit takes the time that max_time gives; leave epochs out")
