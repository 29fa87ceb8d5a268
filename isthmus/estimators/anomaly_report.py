"""A page about what an `AnomalyDetector` makes of some rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.checks import counted
from isthmus.data import Source
from isthmus.data.tables import library_of
from isthmus.errors import InputError
from isthmus.estimators.anomaly_drift import Moved, moved_columns, percent
from isthmus.estimators.anomaly_verdicts import verdicts_of
from isthmus.estimators.anomaly_words import Reason, Scored, Told
from isthmus.estimators.cascade import Cascade
from isthmus.estimators.oddness import CROSS_FITTED
from isthmus.estimators.oddness_of_cells import Cells
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps
from isthmus.estimators.oddness_of_wholes import Wholes
from isthmus.report import anomalies
from isthmus.report.figures import shown

if TYPE_CHECKING:
    from isthmus.estimators.anomalies import AnomalyDetector

ODDEST, REASONS = 20, 3
"""Rows that are named, and the reasons for each of those that are explained."""

COLUMNS = 30
"""Columns that are told of, the most moved ones."""

WAYS: dict[type, str] = {
    Numbers: "a table of numbers",
    Cells: "a mixed table",
    Wholes: "whole rows",
    Cascade: "whole rows, by a cascade",
    Steps: "steps of a series",
}


def write_report(detector: AnomalyDetector, path: str | os.PathLike[str], X: Any) -> Path:
    """Write what the detector makes of rows as one HTML file: verdicts, the oddest rows with reasons, calibration and
    drift.

    Parameters
    ----------
    path : the .html file.
    X : (n, ...) rows as `AnomalyDetector.score_samples` takes them; best new ones, as those of the fit may
        look more ordinary than others.

    Raises
    ------
    InputError : the rows cannot be used, none has a score, or the file cannot be written.
    """
    source = detector._source(X)
    scored = Scored.by(detector, source)
    table = X if library_of(X) == "pandas" and hasattr(X, "columns") else None
    told = told_of(detector, source, scored, table)
    return write_page(detector, path, source, scored, moved_columns(detector, source, scored), told)


def told_of(detector: AnomalyDetector, source: Source, scored: Scored, table: Any = None) -> Told:
    """What the page tells of the oddest rows."""
    return Told.of(detector, source, scored.to_explain(ODDEST), REASONS, drawn(source, scored), table)


def drawn(source: Source, scored: Scored) -> np.ndarray:
    """The numbers of the rows that the page draws: the oddest pictures."""
    return scored.oddest(ODDEST if source.layout.axes[0] == "height" else 0)


def write_page(
    detector: AnomalyDetector,
    path: str | os.PathLike[str],
    source: Source,
    scored: Scored,
    moved: list[Moved],
    told: Told,
    names: list[str] | None = None,
) -> Path:
    """The same of rows that are scored and explained already, and whose columns are compared with those of the fit;
    ``names`` are what the rows are called, such as the files of pictures, None = by their labels in the index, or their
    numbers."""
    known = scored.of_known()
    if not len(known.odd):
        raise InputError(f"{source.argument}: no row has a score, so there is nothing to report")
    anomalies.write(
        path,
        anomalies.Anomalies(
            title="Anomalies",
            about=about(detector, source, scored),
            key=key_figures(detector, scored),
            verdicts=verdicts_of(detector, scored, moved),
            oddest=odd_rows(source, scored, told, names),
            rows=np.flatnonzero(scored.known),
            rows_of=source.rows,
            scores=known.odd,
            p_values=known.p_values,
            alarms=known.alarms,
            held_out=detector.held_out_.scores,
            level=-detector.offset_,
            rate=float(detector.alarm_rate),
            columns=[in_cells(one) for one in moved[:COLUMNS]],
            columns_of=len(moved),
            ends=ends_of(source),
            details=details(detector),
        ),
    )
    return Path(path)


def about(detector: AnomalyDetector, source: Source, scored: Scored) -> str:
    """What was scored, by what."""
    lost = int((~scored.known).sum())
    without = f"; {counted(lost, 'row')} without a score" if lost else ""
    shape = source.layout.shape
    each = counted(shape[0], "column") if len(shape) == 1 else " x ".join(map(str, shape))
    count = len(detector.autoencoders_)
    if isinstance(detector.oddness_, Steps):
        steps = f"{counted(source.rows, 'step')} of {counted(shape[0], 'channel')}"
        return f"{steps}, each judged by the steps before it{without}"
    judges = f"{count} autoencoders, each fitted to other rows" if count > 1 else "one autoencoder"
    return f"{counted(source.rows, 'row')} of {each}, scored by {judges}{without}"


def key_figures(detector: AnomalyDetector, scored: Scored) -> list[tuple[str, str]]:
    """What stands under the title."""
    known = scored.of_known()
    rate, share = percent(float(detector.alarm_rate)), percent(float(known.alarms.mean()))
    lost = len(scored.odd) - len(known.odd)
    return [
        ("rows", f"{len(scored.odd):,}" + (f", {lost:,} without a score" if lost else "")),
        ("alarms", f"{int(scored.alarms.sum()):,}: {share}, {rate} asked for"),
        ("level of alarms", f"{shown(-detector.offset_)} nats"),
        ("held-out rows", f"{len(detector.held_out_):,}"),
    ]


def row_names(source: Source, names: list[str] | None) -> list[str]:
    """What each row is called."""
    if names is not None:
        return names
    return [str(label) for label in (range(source.rows) if source.index is None else source.index)]


def odd_rows(source: Source, scored: Scored, told: Told, names: list[str] | None) -> list[anomalies.OddRow]:
    """The oddest rows, those that are explained with reasons; of pictures with heat maps."""
    rows = scored.oddest(ODDEST)
    called = row_names(source, names)
    images = pictures(source, rows, told)
    return [
        anomalies.OddRow(
            called[row],
            float(scored.odd[row]),
            float(scored.p_values[row]),
            bool(scored.alarms[row]),
            tuple(triple(one) for one in told.reasons.get(row, ())[:REASONS]),
            None if images is None else images[place],
        )
        for place, row in enumerate(rows.tolist())
    ]


def triple(reason: Reason) -> tuple[str, str, str]:
    return reason.column, reason.value, reason.expected


def pictures(source: Source, rows: np.ndarray, told: Told) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Of pictures, each with its heat map; None of all else."""
    if source.layout.axes[0] != "height":
        return None
    heat = np.stack([told.heat[row] for row in rows.tolist()])
    heat = heat.mean(axis=-1) if source.layout.axes[-1] == "channel" else heat
    return list(zip(source.take(rows), np.maximum(heat - 1.0, 0.0), strict=True))


def ends_of(source: Source) -> tuple[float, float]:
    """Black and white of pictures."""
    if source.layout.axes[0] != "height":
        return 0.0, 1.0
    if source.dtype.kind in "ui":
        return 0.0, float(np.iinfo(source.dtype).max if source.dtype.itemsize < 4 else 255)
    some = source.read(0, min(source.rows, 1000))
    return float(np.nanmin(some)), float(np.nanmax(some))


def in_cells(one: Moved) -> tuple[str, str, str, str, bool]:
    return one.column, one.then, one.now, one.how, one.drifted


def details(detector: AnomalyDetector) -> list[tuple[str, str]]:
    """How the detector was made."""
    chosen = {name: value for name, value in detector.get_params(deep=False).items() if value is not None}
    facts = {"taken for": WAYS[type(detector.oddness_)]}
    if models := detector.autoencoders_:
        few = f"{len(models)}: fewer than {CROSS_FITTED:,} rows are cross-fitted"
        facts["autoencoders"] = few if len(models) > 1 else "1"
        facts["network"] = repr(getattr(models[0].parts_, "network", "modules of your own"))
    return [*facts.items(), *((name, repr(value)) for name, value in chosen.items())]
