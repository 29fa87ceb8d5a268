"""A page about what a `Compressor` makes of some data, beside other coders."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.checks import counted
from isthmus.estimators.compressor_blocks import bits_of, elements
from isthmus.estimators.compressor_data import Bounds, is_frame
from isthmus.estimators.compressor_errors import Piece, pieces
from isthmus.estimators.compressor_judging import (
    OWN,
    Judged,
    JudgedRow,
    bounded_pieces,
    in_memory,
    judged,
    speeds,
    within_bounds,
)
from isthmus.estimators.compressor_packing import times
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_tables import TableForm
from isthmus.estimators.compressor_verdicts import (
    Beside,
    alike_verdict,
    kept_verdict,
    model_verdict,
    size_verdict,
    speed_verdict,
)
from isthmus.report import compression, frame
from isthmus.report.compression_plots import Bar, Curves, in_bytes
from isthmus.report.figures import shown
from isthmus.verdicts import Verdict

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor
    from isthmus.estimators.compressor_judging_pictures import JudgedPictures

FACTORS = (0.25, 1.0, 4.0)
"""Of the bound, at which the rate is told."""

CURVE = 2**20
"""Elements, about, that the rates at other bounds are taken from."""

COLUMNS = 20
"""Columns whose bounds are listed."""

HEADS = ("coder", "bytes", "ratio", "with the model", "MB/s in", "MB/s out", "largest error")


def write_report(compressor: Compressor, path: str | os.PathLike[str], X: Any) -> Judged | JudgedPictures:
    """Write the page that `Compressor.report` promises; the figures of `Compressor.judge`, which it is made of."""
    found: list[Judged | JudgedPictures] = []

    def page() -> str:
        if isinstance(compressor.form_, PictureForm):
            from isthmus.estimators.compressor_report_pictures import page_of_pictures

            pair: tuple[Judged | JudgedPictures, compression.Compression] = page_of_pictures(compressor, X)
        else:
            pair = page_of(compressor, X)
        found.append(pair[0])
        return compression.render(pair[1])

    frame.write(path, page)
    return found[0]


def page_of(compressor: Compressor, X: Any) -> tuple[Judged, compression.Compression]:
    """The figures, and what the page tells, where nothing is lost, or no more than a bound."""
    X = in_memory(compressor, X)
    result = judged(compressor, X)
    own, form = result.own, compressor.form_
    bounded = any(not one.numbers.exact for one in pieces(form, X))  # type: ignore[arg-type]
    unit = "a cell" if form.kind == "table" else "an element"
    return result, compression.Compression(
        title="Compression",
        about=f"A model of {compressor.said_[0]}, judged on {size_in_words(form, X)}",
        key=[
            ("packed", f"{in_bytes(own.bytes)} of {in_bytes(result.raw_bytes)}, {times(result.raw_bytes, own.bytes)}"),
            ("with the model", in_bytes(own.bytes + result.model_bytes)),
            ("takes", f"{shown(8 * own.bytes / max(result.elements, 1))} bits {unit}"),
            ("may be lost", may_be_lost(form)),
        ],
        verdicts=verdicts_of(compressor, result),
        heads=HEADS if any(row.error for row in result.rows) else HEADS[:-1],
        lines=[line_of(row, result) for row in result.rows],
        said=result.said,
        sizes=tuple(bar_of(row, result) for row in result.rows if row.sound),
        sizes_said=(
            "Bytes of the packed data, the smallest on top. The model is stored once, however many data it packs."
        ),
        speeds=tuple(bar_of(row, result) for row in result.rows),
        curves=rates(compressor, X, unit) if bounded else None,
        curves_title="Rate against the bound",
        curves_said=(
            f"Bits {unit} at a quarter of the model's bound, at the bound itself and at four times it, without the "
            "model's own. The model was learnt with its bound, and does best there."
        ),
        looks=(),
        bounds=bounds_of(form),
        details=details_of(compressor, result.model_bytes),
    )


def verdicts_of(compressor: Compressor, result: Judged) -> tuple[Verdict, ...]:
    """What is to be said of it."""
    own, best = result.own, result.best
    # Coders that lose nothing cannot be as small where something may be lost: said, or it would look like a merit.
    name = f"{best.name} (which loses nothing)" if own.error and not best.error else best.name
    found = Beside(result.raw_bytes, own.bytes, best.bytes, name, result.model_bytes)
    unit = "a cell" if compressor.form_.kind == "table" else "an element"
    return (
        size_verdict(found),
        model_verdict(found),
        kept_verdict(result.kept, own.of_bound),
        speed_verdict(speeds(own, result.raw_bytes), speeds(best, result.raw_bytes), best.name),
        alike_verdict(8.0 * own.bytes, result.elements, compressor.bits_per_element_, unit),
    )


def line_of(row: JudgedRow, result: Judged) -> tuple[str, ...]:
    """One coder in the table of the page."""
    whole = f"{row.bytes + result.model_bytes:,}" if row.name == OWN else ""
    figures = (row.name, f"{row.bytes:,}", f"{row.ratio:.2f}", whole, *map(shown, speeds(row, result.raw_bytes)))
    if not any(one.error for one in result.rows):
        return figures
    if np.isinf(row.error):
        return (*figures, "NaN lost")
    part = "" if np.isnan(row.of_bound) else f" ({shown(100 * row.of_bound)} % of the bound)"
    return (*figures, f"{shown(row.error)}{part}" if row.error else "none")


def bar_of(row: JudgedRow, result: Judged) -> Bar:
    own = row.name == OWN
    return Bar(row.name, row.bytes, speeds(row, result.raw_bytes), result.model_bytes if own else 0, own)


def size_in_words(form: Any, X: Any) -> str:
    """How many data there are."""
    if form.kind in ("table", "images"):
        return counted(len(X), "row" if form.kind == "table" else "image")
    return f"{' x '.join(f'{size:,}' for size in X.shape)} {'steps' if X.ndim == 1 else 'elements'}"


# ---------------------------------------------------------------------- what may be lost


def may_be_lost(form: Any) -> str:
    """
    >>> from isthmus.estimators.compressor_arrays import ArrayForm
    >>> from isthmus.coding.numbers import Numbers
    >>> may_be_lost(ArrayForm("series", "<f8", (), (Numbers("bounded", "float64", 0.25, step=0.5),)))
    'up to 0.25 of an element'
    """
    found = bounds_of(form)
    if found:
        return f"up to a bound, in {len(found):,} of {counted(parts_of(form), 'column')}"
    if isinstance(form, TableForm) or form.numbers[0].exact:
        return "nothing"
    bound = form.numbers[0].max_error
    return f"up to {shown(100 * bound)} % of a value" if relative(form) else f"up to {shown(bound)} of an element"


def bounds_of(form: Any) -> list[tuple[str, str]]:
    """Columns or channels with bounds of their own, and these; none where there is one for all."""
    if isinstance(form, TableForm):
        named = [(column.name, column.numbers) for column in form.columns if column.numbers is not None]
    else:
        named = list(enumerate(form.numbers)) if len(form.numbers) > 1 else []
    lossy = [(str(name), numbers) for name, numbers in named if not numbers.exact]
    how = " of each value" if relative(form) else ""
    return [(name, f"{shown(numbers.max_error)}{how}") for name, numbers in lossy]


def parts_of(form: Any) -> int:
    return len(form.columns) if isinstance(form, TableForm) else len(form.numbers)


def relative(form: Any) -> bool:
    """Whether bounds are parts of each value."""
    every = [column.numbers for column in form.columns] if isinstance(form, TableForm) else form.numbers
    return any(numbers is not None and numbers.kind == "relative" for numbers in every)


def rates(compressor: Compressor, X: Any, unit: str) -> Curves:
    """Bits of an element at some multiples of the bound, of this model and of those that know bounds."""
    form = compressor.form_.matched(X)
    assert not isinstance(form, PictureForm)
    part = X[: max(1, CURVE // max(1, elements(form, 1)))] if not is_frame(X) else X.iloc[: CURVE // X.shape[1]]
    found = pieces(form, part)
    size = elements(form, len(part))
    lines: dict[str, list[tuple[float, float]]] = {OWN: []}
    for factor in FACTORS:
        scaled = [replace(one, numbers=replace(one.numbers, max_error=factor * one.numbers.max_error)) for one in found]
        if relative(form) and max(one.numbers.max_error for one in scaled) >= 1:
            continue
        bounds = Bounds(max_error_of(scaled), "value" if relative(form) else False)
        other = form if factor == 1 else form.bounded(part, bounds)
        lines[OWN].append((factor, bits_of(other, compressor.model_, part) / size))
        for row in within_bounds(scaled if bounded_pieces(form, part) else [], 1)[0]:
            if row.sound:
                lines.setdefault(row.name, []).append((factor, 8 * row.bytes / size))
    arrays = {name: (np.array(points)[:, 0], np.array(points)[:, 1]) for name, points in lines.items()}
    told = "; ".join(f"{name} {', '.join(f'{bits:.3g}' for _, bits in points)}" for name, points in lines.items())
    return Curves(
        arrays,
        "the bound, beside the model's",
        f"bits {unit}",
        f"Bits {unit} at {', '.join(f'{factor:g}' for factor in FACTORS)} times the bound: {told}",
        factors=True,
    )


def max_error_of(found: list[Piece]) -> Any:
    """The bounds as `Compressor.compress` takes them."""
    if found[0].name is None:
        return found[0].numbers.max_error
    return {one.name: one.numbers.max_error for one in found if one.numbers.max_error}


def details_of(compressor: Compressor, model_bytes: int) -> list[tuple[str, str]]:
    """How the model was made."""
    chosen = {name: value for name, value in compressor.get_params(deep=False).items() if value is not None}
    return [
        *((name, repr(value)) for name, value in chosen.items()),
        ("model inside a packed file", f"{in_bytes(model_bytes)}, squeezed; its own file is larger"),
        ("model digest", compressor.digest_),
    ]
