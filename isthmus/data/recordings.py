"""Sound from WAV files, as windows of samples."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import listed
from isthmus.data.paths import nearby
from isthmus.data.windows import Windows, check_window
from isthmus.errors import InputError


class Sound(Windows):
    """Recordings cut into windows of samples in [-1, 1].

    Attributes
    ----------
    rate : samples per second.
    files : the names of the recordings.
    """

    def __init__(self, waves: Sequence[np.ndarray], rate: int, files: Sequence[str], **more: Any) -> None:
        super().__init__(waves, **more)
        self.rate, self.files = rate, tuple(files)


def sound(path: str | os.PathLike[str], *, window: int | None = 1024, overlap: int = 0, argument: str = "X") -> Sound:
    """The WAV file at a path, or all those of a folder, sorted by name.

    Parameters
    ----------
    path : whole numbers of 8, 16, 24 or 32 bits or floats; one channel or several, alike in all files.
    window : samples per row; None = every recording is a row.
    overlap : samples that neighbouring windows share, less than ``window``.

    Returns
    -------
    Sound
        Rows (window,), or (window, channels), float32 in [-1, 1]; ``.rate`` in samples per second, ``.files``.
        `Autoencoder.reconstruct` gives back the whole wave, (samples,) or (samples, channels); of a folder a list.

    Raises
    ------
    InputError
        There is no such file, it is cut off, damaged or compressed; or rates or channels differ. The file is named.

    Examples
    --------
    >>> import tempfile
    >>> from scipy.io import wavfile
    >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
    >>> wavfile.write(path, 8000, np.array([0, 16384, 0, -16384, 0], dtype=np.int16))
    >>> tone = sound(path, window=4)
    >>> tone, tone.rate
    (Sound(rows=2, shape=(4,), dtype=float32), 8000)
    >>> tone.wrapped(tone.read(0, 2))
    array([ 0. ,  0.5,  0. , -0.5,  0. ], dtype=float32)
    """
    check_window(window, overlap)
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"there is no file or folder {str(place)!r}.{nearby(place)}")
    files = [place]
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if file.suffix.lower() in (".wav", ".wave"))
    if not files:
        found = sorted({file.suffix.lower() or file.name for file in place.iterdir()})
        raise InputError(f"{str(place)!r} has no WAV files: it holds {listed(found, 5) if found else 'nothing'}")
    waves, rates = zip(*(read_wave(file) for file in files), strict=True)
    for file, wave, rate in zip(files, waves, rates, strict=True):
        if (rate, wave.shape[1:]) != (rates[0], waves[0].shape[1:]):
            raise InputError(
                f"{argument}: recordings must be alike: {files[0].name!r} has {rates[0]} samples per second and "
                f"{channels_of(waves[0])} channels, {file.name!r} {rate} and {channels_of(wave)}"
            )
    names = [file.name for file in files]
    return Sound(waves, rates[0], names, window=window, overlap=overlap, many=place.is_dir(), argument=argument)


def channels_of(wave: np.ndarray) -> int:
    return 1 if wave.ndim == 1 else int(wave.shape[1])


def read_wave(file: Path) -> tuple[np.ndarray, int]:
    """The samples of a WAV file, (samples,) or (samples, channels) float32 in [-1, 1], and how many make a second."""
    from scipy.io import wavfile

    try:
        rate, wave = wavfile.read(io.BytesIO(essence(file)))
    except (OSError, ValueError, EOFError, struct.error, TypeError, ZeroDivisionError) as error:
        raise InputError(f"{str(file)!r} cannot be read as WAV: {error}. Is it damaged or compressed?") from error
    if not wave.size:
        raise InputError(f"{str(file)!r} holds no samples")
    if wave.dtype == np.uint8:
        return (wave.astype(np.float32) - 128) / 128, rate
    if wave.dtype.kind == "f":
        return wave.astype(np.float32, copy=False), rate
    # SciPy lays 24 bits into the upper bytes of 32, so that full scale is that of the type.
    return (wave * (1.0 / 2 ** (8 * wave.dtype.itemsize - 1))).astype(np.float32), rate


def essence(file: Path) -> bytes:
    """The file with its format and its samples alone: SciPy warns of every other chunk, and of files cut short."""
    content = file.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError(f"it begins with {content[:12]!r}, not as a WAV file does")
    kept: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content) and b"data" not in kept:
        name, size = content[at : at + 4], struct.unpack("<I", content[at + 4 : at + 8])[0]
        if name in (b"fmt ", b"data"):
            kept[name] = content[at + 8 : at + 8 + size]
            if len(kept[name]) < size:
                raise ValueError(f"it ends after {len(kept[name]):,} of {size:,} bytes of {name.decode().strip()}")
        at += 8 + size + size % 2
    if len(kept) < 2:
        raise ValueError("it has no samples, or does not say what they are")
    body = b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for name, part in kept.items())
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body
