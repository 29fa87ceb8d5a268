"""Video: clips of frames, or one long clip in windows of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.checks import listed
from isthmus.data.arrays import as_array
from isthmus.data.sequences import SequenceSource, check_alike, laid_out, with_gaps
from isthmus.data.windows import Windows, check_window
from isthmus.errors import InputError

AXES = ("frame", "height", "width", "channel")

ONE_CLIP = "(frames, height, width) or (frames, height, width, channels)"


def video(X: Any, *, window: int | None = None, overlap: int = 0, argument: str = "X") -> SequenceSource:
    """Clips as rows, whose frames are all scaled alike; or windows of frames of one long clip.

    Parameters
    ----------
    X : (n, frames, height, width[, channels]), or a list of clips, whose number of frames may differ. With
        ``window``: one clip (frames, height, width[, channels]), as `frames` reads it from a folder.
    window : frames per row of one long clip.
    overlap : frames that neighbouring windows share, less than ``window``.

    Returns
    -------
    SequenceSource
        What `Autoencoder.fit` and all others take; results come back in the shape of ``X``.

    Examples
    --------
    >>> import numpy as np
    >>> video(np.zeros((3, 10, 8, 8), dtype=np.uint8)).layout.axes
    ('frame', 'height', 'width')
    >>> video(np.zeros((10, 8, 8), dtype=np.uint8), window=4, overlap=2)
    Windows(rows=4, shape=(4, 8, 8), dtype=uint8)
    """
    if window is not None:
        check_window(window, overlap)
        clip = as_array(X, argument)
        check_frames(clip.shape, clip.ndim, ONE_CLIP, argument)
        return Windows([clip], window, overlap, axes=AXES[: clip.ndim], argument=argument)
    if overlap:
        raise InputError("video: overlap is between windows of one clip: give window= too")
    if isinstance(X, Sequence):
        clips = [as_array(clip, f"{argument}[{i}]") for i, clip in enumerate(X)]
        check_alike(clips, argument, (3, 4), f"clips must be {ONE_CLIP}")
        values, lengths = laid_out(clips)
    else:
        values, lengths = as_array(X, argument), None
    wanted = "(n, frames, height, width) or (n, frames, height, width, channels)"
    check_frames(values.shape, values.ndim - 1, f"{wanted}, or one clip with window=", argument)
    return with_gaps(values, lengths, argument, AXES[: values.ndim - 1])


def check_frames(shape: tuple[int, ...], axes: int, wanted: str, argument: str) -> None:
    if axes not in (3, 4) or 0 in shape:
        raise InputError(f"{argument} must be {wanted}, none of them 0; got the shape ({listed(shape)})")
