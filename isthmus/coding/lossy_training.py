"""Learning a `LossyModel`: the transform, then what foretells its rounded code, then a decoder of such codes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import check_whole, is_real
from isthmus.coding.decoder_training import ROUNDED, USUAL, Decoder, fit_decoder, kernel, nominal_steps
from isthmus.coding.lossy import LossyModel, encoded
from isthmus.coding.lossy_transform import crops, fit_transform
from isthmus.coding.map_training import FEWEST, Coded, fit_maps
from isthmus.coding.whole_convolution import CODE_POINT
from isthmus.errors import InputError
from isthmus.threads import load_optimisers, one_thread

SIDE, CROPS = 96, 8

WHOLE = 384
"""Pixels along an axis up to which pictures are coded whole to learn from; of larger ones parts."""

SIMULATED = 0.1
"""Of the time, at most, for codes to learn from."""


def fit_lossy(
    pictures: Sequence[np.ndarray] | np.ndarray,
    *,
    seconds: float = 600.0,
    transform_steps: int = 0,
    hidden: Sequence[int] = (48, 48),
    filters: Sequence[int] = (16, 16),
    codes: int = 300,
    steps: int = 10**9,
    random_state: int = 0,
    device: str = "cpu",
) -> LossyModel:
    """Learn to code pictures that are like these, at all qualities.

    Parameters
    ----------
    pictures : (height, width[, colours]) uint8, of any sizes, all with 1 or all with 3 colours.
    seconds : that training may take, > 0.
    transform_steps : by which the encoder is trained, >= 0; it takes thousands before it is better than what it
        starts as, a lapped cosine transform.
    hidden : units of the layers that foretell the code.
    filters : maps of the decoder's hidden layers; () = it is linear.
    codes : pictures whose code is learnt from, each at a quality of its own.
    steps : of the optimiser, at most, for what foretells the code and for the decoder.
    random_state : seed.
    device : of PyTorch, on which the transform and the decoder are trained, and the network for all channels but the
        first; a GPU pays for wide ``filters`` and many ``transform_steps``.

    Returns
    -------
    LossyModel

    Raises
    ------
    InputError : an argument cannot be used.

    Examples
    --------
    >>> from isthmus.coding.entropy import Reader, Writer
    >>> picture = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    >>> model = fit_lossy([picture], seconds=0.5, hidden=(8,), filters=(), codes=2)
    >>> writer = Writer()
    >>> model.write(writer, picture[None], quality=35)
    >>> model.read(Reader(writer.done()), (1, 48, 64)).shape
    (1, 48, 64)
    """
    pictures = checked(pictures, seconds, transform_steps, codes, steps, hidden, filters)
    load_optimisers()
    colours, generator = pictures[0].shape[2], np.random.default_rng(random_state)
    begin = monotonic()
    drawn = crops(pictures, SIDE, CROPS, generator)

    def draw() -> Tensor:
        return drawn().to(device)

    transform = fit_transform(
        draw, colours, steps=transform_steps, seconds=seconds / 2, seed=random_state, device=device
    )
    analysis = kernel(transform.analysis)
    nominal = nominal_steps()
    with torch.no_grad():
        widths = transform.steps(torch.from_numpy(nominal).float().to(device)).double().cpu().numpy()
    whole_steps = np.clip(np.rint(widths * 2**CODE_POINT), 1, 2**16).astype(np.int64)
    coded = simulated(pictures, analysis, widths, codes, generator, seconds * SIMULATED)
    left, stop = max(seconds - (monotonic() - begin), seconds / 4), Event()
    decoder = Decoder(transform, tuple(filters), torch.Generator().manual_seed(random_state)).to(device)
    with one_thread(), ThreadPoolExecutor(1) as other:
        # Side by side, on a core each: neither learns from the other.
        decoding = other.submit(fit_decoder, decoder, transform, draw, left, steps, random_state, stop)
        try:
            how: dict[str, Any] = {"steps": steps, "random_state": random_state, "device": device}
            maps = fit_maps(coded, colours, hidden=hidden, seconds=left, **how)
            decoding.result()
        finally:
            stop.set()
    whole_nominal = np.rint(nominal * 2**CODE_POINT).astype(np.int64)
    return LossyModel(analysis, whole_nominal, whole_steps, maps, decoder.whole())


def checked(
    pictures: Sequence[np.ndarray] | np.ndarray,
    seconds: float,
    transform_steps: int,
    codes: int,
    steps: int,
    hidden: Sequence[int],
    filters: Sequence[int],
) -> list[np.ndarray]:
    """The pictures with an axis for colours, after a look at all arguments."""
    if not is_real(seconds) or not seconds > 0:
        raise InputError(f"seconds must be a number > 0; got {seconds!r}")
    check_whole("fit_lossy", least=0, transform_steps=transform_steps)
    check_whole("fit_lossy", codes=codes, steps=steps)
    for width in (*hidden, *filters):
        check_whole("fit_lossy", hidden_or_filters=width)
    found = []
    for number, picture in enumerate(pictures):
        picture = np.asarray(picture)
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.size == 0:
            raise InputError(
                f"pictures: number {number} must be uint8 of shape (height, width[, colours]); got {picture.dtype} of "
                f"shape {picture.shape}"
            )
        found.append(picture[:, :, None] if picture.ndim == 2 else picture)
    if not found or {picture.shape[2] for picture in found} not in ({1}, {3}):
        raise InputError("pictures: there must be at least one, and all must have 1 colour or all 3")
    return found


def simulated(
    pictures: Sequence[np.ndarray],
    analysis: np.ndarray,
    steps: np.ndarray,
    codes: int,
    generator: np.random.Generator,
    seconds: float,
) -> list[Coded]:
    """Codes of parts of pictures, rounded much as `isthmus.coding.map_model.MapModel.chosen` will."""
    found: list[Coded] = []
    firsts, begin = pictures[0].shape[2], monotonic()
    for number in generator.permutation(max(len(pictures), codes))[:codes]:
        if len(found) >= FEWEST and monotonic() - begin > seconds:
            break
        picture, quality = pictures[number % len(pictures)], int(generator.integers(*USUAL))
        top, left = (int(generator.integers(max(1, size - WHOLE + 1))) for size in picture.shape[:2])
        code = encoded(picture[top : top + WHOLE, left : left + WHOLE], analysis) / steps[quality]
        ints = np.sign(code) * np.floor(np.abs(code) + ROUNDED)
        ints[:, :, :firsts] = np.rint(code[:, :, :firsts])
        found.append(Coded(ints.astype(np.int64), quality))
    return found
