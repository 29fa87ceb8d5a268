"""The coders that everyone has, each as a pair of functions: to bytes, and back.

References
----------
Liang et al., "SZ3: a modular framework for composing prediction-based error-bounded lossy compressors", IEEE
Transactions on Big Data 2023. Lindstrom, "Fixed-rate compressed floating-point arrays", TVCG 2014 (ZFP).
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Coder = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""To bytes, or the bytes of several files, and back."""

MOSAIC = 8192
"""Pixels at most of a side of a sheet that small pictures are laid out on, so that each needs no header of its own."""

ALONE = 64 * 64
"""Pixels of a picture that is a file of its own, as people keep them."""

MOST_AXES = 4
"""That SZ3 and ZFP know."""


# ---------------------------------------------------------------------- of bytes and tables


def zstd(size: int) -> Coder | None:
    """zstd at its strongest, of ``size`` bytes; None where pyarrow, or its zstd, is missing."""
    try:
        import pyarrow
    except ImportError:
        return None
    if not pyarrow.Codec.is_available("zstd"):
        return None
    codec = pyarrow.Codec("zstd", compression_level=22)
    return (
        lambda raw: codec.compress(raw, asbytes=True),
        lambda packed: codec.decompress(packed, decompressed_size=size, asbytes=True),
    )


def of_bytes(size: int) -> dict[str, Coder | None]:
    """Coders of any ``size`` bytes, as strong as they go; None = missing."""
    return {
        "lzma": (lambda raw: lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
        "bz2": (lambda raw: bz2.compress(raw, 9), bz2.decompress),
        "zlib": (lambda raw: zlib.compress(raw, 9), zlib.decompress),
        "zstd": zstd(size),
    }


def as_parquet(frame: Any) -> bytes:
    """A frame as Parquet, squeezed as far as it goes."""
    file = io.BytesIO()
    frame.set_axis([str(name) for name in frame.columns], axis=1).to_parquet(
        file, compression="zstd", compression_level=19, index=False
    )
    return file.getvalue()


def from_parquet(packed: bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(packed))


# ---------------------------------------------------------------------- of pictures


def is_picture(X: np.ndarray) -> bool:
    """Whether Pillow can write such pictures."""
    grey = X.ndim == 3 and X.dtype in (np.uint8, np.uint16)
    return X.size > 0 and (grey or (X.ndim == 4 and X.shape[3] in (3, 4) and X.dtype == np.uint8))


def of_pictures(X: np.ndarray) -> dict[str, Coder]:
    """Coders of pictures that lose nothing."""
    coders: dict[str, Coder] = {"PNG": (lambda X: as_sheets(X, "PNG", optimize=True), from_sheets)}
    if X.dtype == np.uint8:
        how: dict[str, Any] = {"lossless": True, "exact": True, "quality": 100, "method": 4}
        coders["WebP, lossless"] = (lambda X: as_sheets(X, "WEBP", **how), from_sheets)
    return coders


def alone(picture: np.ndarray) -> bool:
    """Whether a picture (height, width, ...) is a file of its own.

    >>> alone(np.zeros((64, 64))), alone(np.zeros((28, 28, 3)))
    (True, False)
    """
    return picture.shape[0] * picture.shape[1] >= ALONE


def told_of_files(names: Iterable[str], pictures: Iterable[np.ndarray]) -> str:
    """How other coders get such pictures.

    >>> told_of_files(["JPEG", "WebP"], [np.zeros((64, 64)), np.zeros((500, 300))])
    'JPEG, WebP: each picture is a file of its own'
    """
    kinds = {alone(picture) for picture in pictures}
    own = ["each picture is a file of its own"] if True in kinds else []
    sheets = ["small pictures on sheets, so that each needs no header of its own"] if False in kinds else []
    return f"{', '.join(names)}: {'; '.join(own + sheets)}"


def size_of(packed: bytes | Sequence[bytes]) -> int:
    """The bytes of one file, or of several."""
    return len(packed) if isinstance(packed, bytes) else sum(map(len, packed))


def as_sheets(X: np.ndarray, kind: str, **options: Any) -> list[bytes]:
    """Pictures that are files of their own; small ones side by side on as few sheets as there must be."""
    from PIL import Image

    height, width = X.shape[1:3]
    across, down = (1, 1) if alone(X[0]) else (max(1, MOSAIC // width), max(1, MOSAIC // height))
    files = []
    for start in range(0, len(X), across * down):
        part = X[start : start + across * down]
        lines = -(-len(part) // across)
        sheet = np.zeros((lines * across, *X.shape[1:]), dtype=X.dtype)
        sheet[: len(part)] = part
        rows = np.moveaxis(sheet.reshape(lines, across, *X.shape[1:]), 2, 1)
        one = io.BytesIO()
        Image.fromarray(rows.reshape(lines * height, across * width, *X.shape[3:])).save(one, format=kind, **options)
        files.append(one.getvalue())
    return files


def from_sheets(packed: Sequence[bytes]) -> list[np.ndarray]:
    """The sheets of `as_sheets`."""
    from PIL import Image

    sheets = []
    for one in packed:
        with Image.open(io.BytesIO(one)) as sheet:
            sheets.append(np.asarray(sheet))
    return sheets


# ---------------------------------------------------------------------- of floats within a bound


def sz3(max_error: float, like: np.ndarray) -> tuple[Coder, ...]:
    """SZ3 within a bound, once for each of its predictors; none where pysz is missing."""
    try:
        from pysz import sz, szAlgorithm, szConfig, szErrorBoundMode
    except ImportError:
        return ()

    def by(predictor: Any) -> Coder:
        config = szConfig()
        config.errorBoundMode, config.absErrorBound, config.cmprAlgo = szErrorBoundMode.ABS, max_error, predictor

        def unpack(packed: bytes) -> np.ndarray:
            shape = few_axes(like).shape
            found = sz.decompress(np.frombuffer(packed, dtype=np.uint8), like.dtype.type, shape)[0]
            return found.reshape(like.shape)

        return lambda x: np.asarray(sz.compress(few_axes(x), config)[0]).tobytes(), unpack

    ways = (szAlgorithm.INTERP_LORENZO, szAlgorithm.INTERP, szAlgorithm.LORENZO_REG, szAlgorithm.NOPRED)
    return tuple(map(by, ways))


def zfp(max_error: float, like: np.ndarray) -> tuple[Coder, ...]:
    """ZFP within a bound; none where zfpy is missing."""
    try:
        import zfpy
    except ImportError:
        return ()
    return (
        (
            lambda x: zfpy.compress_numpy(few_axes(x), tolerance=max_error),
            lambda packed: zfpy.decompress_numpy(packed).reshape(like.shape),
        ),
    )


def few_axes(x: np.ndarray) -> np.ndarray:
    """The array in the machine's byte order, with the first axes as one where there are too many.

    >>> few_axes(np.zeros((2, 3, 4, 5, 6))).shape
    (6, 4, 5, 6)
    """
    x = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("="))
    return x if x.ndim <= MOST_AXES else x.reshape(-1, *x.shape[1 - MOST_AXES :])


BOUNDED: dict[str, tuple[str, Callable[[float, np.ndarray], tuple[Coder, ...]]]] = {
    "SZ3": ("pysz", sz3),
    "ZFP": ("zfpy", zfp),
}
"""The package of each, and what makes its coders."""
