"""How small and how fast a `Compressor` is, beside the coders that everyone has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.estimators.compressor_blocks import elements
from isthmus.estimators.compressor_data import is_frame
from isthmus.estimators.compressor_errors import Lost, Piece, lost, lost_of, pieces
from isthmus.estimators.compressor_files import in_one_piece
from isthmus.estimators.compressor_rivals import (
    BOUNDED,
    as_parquet,
    from_parquet,
    is_picture,
    of_bytes,
    of_pictures,
    size_of,
    told_of_files,
)
from isthmus.estimators.compressor_stream import opened_rows
from isthmus.estimators.compressor_tables import TableForm

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

OWN = "this model"

CANNOT = (TypeError, ValueError, OSError, RuntimeError, KeyError)
"""What rivals say of data that they have no type for."""

BROKEN = 1 + 1e-6
"""A rival whose largest error is above so much of the bound has not kept it."""


@dataclass(frozen=True)
class JudgedRow:
    """One coder.

    Attributes
    ----------
    name : such as ``"lzma"``, ``"this model"``.
    bytes : of the packed data.
    ratio : the bytes of the data over these.
    pack_seconds, unpack_seconds : of both ways.
    error : the largest change of a number; 0 where nothing is lost, infinity where NaN or infinity were not kept.
    of_bound : the largest change as a part of its bound; NaN where there is no bound.
    """

    name: str
    bytes: int
    ratio: float
    pack_seconds: float
    unpack_seconds: float
    error: float = 0.0
    of_bound: float = float("nan")

    @property
    def sound(self) -> bool:
        """Whether it kept the bound, or everything."""
        return bool(np.isfinite(self.error)) and not self.of_bound > BROKEN


@dataclass(frozen=True)
class Judged:
    """Coders of the same data, the smallest first.

    Attributes
    ----------
    rows : one for each coder.
    raw_bytes : of the data: an array's memory, or a table as CSV.
    model_bytes : what the model takes inside a packed file, where it is squeezed; its own file is larger.
    said : which rivals are missing, and why.
    elements : of the data; cells, where they are a table.
    kept : whether all that this model packed came back as promised.
    """

    rows: tuple[JudgedRow, ...]
    raw_bytes: int
    model_bytes: int
    said: tuple[str, ...] = ()
    elements: int = 0
    kept: bool = True

    @property
    def own(self) -> JudgedRow:
        """The row of this model."""
        return next(row for row in self.rows if row.name == OWN)

    @property
    def best(self) -> JudgedRow:
        """The smallest of the rivals that kept what they had to."""
        return next(row for row in self.rows if row.name != OWN and row.sound)

    def __str__(self) -> str:
        lossy = any(row.error for row in self.rows)
        heads = f"{'':22}{'bytes':>12}{'ratio':>8}{'MB/s in':>10}{'MB/s out':>10}"
        lines = [(row.bytes, line_of(row, self.raw_bytes)) for row in self.rows]
        whole = self.own.bytes + self.model_bytes
        lines.append((whole, f"{'  with the model':22}{whole:>12,}{self.raw_bytes / max(whole, 1):>8.2f}"))
        told = [
            f"The data have {self.raw_bytes:,} bytes; the model takes {self.model_bytes:,} inside a packed file, once.",
            *self.said,
        ]
        ranked = [line for _, line in sorted(lines, key=lambda pair: pair[0])]
        return "\n".join([heads + ("  largest error" if lossy else ""), *ranked, *told])


def line_of(row: JudgedRow, raw_bytes: int) -> str:
    """One coder in figures."""
    there, back = speeds(row, raw_bytes)
    return f"{row.name:22}{row.bytes:>12,}{row.ratio:>8.2f}{there:>10.2f}{back:>10.2f}{error_in_words(row)}"


def error_in_words(row: JudgedRow) -> str:
    """
    >>> error_in_words(JudgedRow("SZ3", 9, 2.0, 0.1, 0.1, 0.125, 0.5)), error_in_words(JudgedRow("lzma", 9, 2.0, 0, 0))
    ('  0.125, 50 % of the bound', '')
    """
    if np.isinf(row.error):
        return "  NaN or infinity lost"
    if not row.error:
        return ""
    return f"  {row.error:.3g}" + ("" if np.isnan(row.of_bound) else f", {100 * row.of_bound:.3g} % of the bound")


def speeds(row: Any, raw_bytes: int) -> tuple[float, float]:
    """MB a second of packing and of unpacking."""
    return raw_bytes / 1e6 / max(row.pack_seconds, 1e-9), raw_bytes / 1e6 / max(row.unpack_seconds, 1e-9)


def judged(compressor: Compressor, X: Any) -> Judged:
    """The table of `Compressor.judge`, of data as `in_memory` gives them."""
    raw = X.to_csv(index=False).encode() if is_frame(X) else X.tobytes()
    form = compressor.form_.matched(X)
    rows, said = rivals(compressor, X, raw)
    packed, there, again, back = timed(lambda: compressor.compress(X), compressor.decompress)
    change = lost(form, X, again)  # type: ignore[arg-type]
    rows.append(row_of(OWN, len(packed), len(raw), there, back, change))
    by_size = tuple(sorted(rows, key=lambda row: row.bytes))
    size = elements(form, len(X))
    return Judged(by_size, len(raw), len(in_one_piece(compressor)), tuple(said), size, change.kept)


def in_memory(compressor: Compressor, X: Any) -> Any:
    """An array in one piece or a frame with numbered rows; of data larger than that some from all over them."""
    rows = opened_rows(X)
    rows.head(compressor.form_)  # a file is then read in the types of the fit
    X = rows.sample()
    return X.reset_index(drop=True) if is_frame(X) else np.ascontiguousarray(X)


def rivals(compressor: Compressor, X: Any, raw: bytes) -> tuple[list[JudgedRow], list[str]]:
    """What others make of the data, and why some do not."""
    form = compressor.form_
    rows: list[JudgedRow] = []
    said: list[str] = []
    coders = {name: (coder, raw) for name, coder in of_bytes(len(raw)).items()}
    if is_frame(X):
        coders["Parquet with zstd"] = ((as_parquet, from_parquet), X)
    elif form.kind == "images" and is_picture(X):
        drawn = of_pictures(X)
        coders |= {name: (coder, X) for name, coder in drawn.items()}
        said.append(told_of_files(drawn, X[:1]))
    for name, (coder, data) in coders.items():
        if coder is None:
            said.append(f"{name} is missing: pip install pyarrow")
            continue
        pack, unpack = coder
        try:
            packed, there, _, back = timed(lambda pack=pack, data=data: pack(data), unpack)  # type: ignore[misc]
        except CANNOT as error:  # of columns that Parquet has no type for
            said.append(f"{name} cannot hold these data: {error}")
            continue
        rows.append(row_of(name, size_of(packed), len(raw), there, back))
    bounded, missing = within_bounds(bounded_pieces(form, X), len(raw))
    return rows + bounded, said + missing


def bounded_pieces(form: Any, X: Any) -> list[Piece]:
    """Floats that all have a bound of their own, for coders that know nothing else; none where others are among them.

    A bound that is a part of each value is none that they have.
    """
    found = pieces(form, X)
    whole = not isinstance(form, TableForm) or all(column.numbers and not column.gaps for column in form.columns)
    fitting = all(one.numbers.floating and one.numbers.max_error and one.numbers.kind != "relative" for one in found)
    return found if whole and fitting and all(one.x.size for one in found) else []


def within_bounds(every: list[Piece], raw_bytes: int) -> tuple[list[JudgedRow], list[str]]:
    """SZ3 and ZFP, asked to keep the bounds, and which of them are missing."""
    rows, missing, said = [], {}, []
    for name, (package, _) in BOUNDED.items() if every else ():
        try:
            row = bounded_row(name, every, raw_bytes)
        except CANNOT as error:
            said.append(f"{name} cannot hold these data: {error}")
            continue
        if row is None:
            missing[name] = package
        else:
            rows.append(row)
    if missing:
        said.append(f"{' and '.join(missing)}: not compared; pip install {' '.join(missing.values())}")
    return rows, said


def bounded_row(name: str, every: list[Piece], raw_bytes: int) -> JudgedRow | None:
    """SZ3 or ZFP of all pieces, each by whatever of its ways is the smallest; None if it is missing."""
    size, there, back, losses = 0, 0.0, 0.0, []
    for one in every:
        x = np.ascontiguousarray(one.x)
        tries = []
        for pack, unpack in BOUNDED[name][1](one.numbers.max_error, x):
            packed, in_seconds, again, out_seconds = timed(lambda pack=pack, x=x: pack(x), unpack)  # type: ignore[misc]
            tries.append((len(packed), in_seconds, out_seconds, again))
        if not tries:
            return None
        small = min(tries, key=lambda found: found[0])
        size, there, back = size + small[0], there + small[1], back + small[2]
        losses.append(lost_of(one, np.asarray(small[3]).astype(x.dtype, copy=False)))
    change = Lost(max(one.error for one in losses), max(one.of_bound for one in losses))
    return row_of(name, size, raw_bytes, there, back, change)


def row_of(name: str, size: int, raw_bytes: int, there: float, back: float, change: Lost | None = None) -> JudgedRow:
    """One row of the table."""
    change = change or Lost()
    return JudgedRow(name, size, raw_bytes / max(size, 1), there, back, change.error, change.of_bound)


def timed(pack: Callable[[], Any], unpack: Callable[[Any], Any]) -> tuple[Any, float, Any, float]:
    """The packed data and what came of them again, each with its seconds."""
    start = time.perf_counter()
    packed = pack()
    middle = time.perf_counter()
    again = unpack(packed)
    return packed, middle - start, again, time.perf_counter() - middle
