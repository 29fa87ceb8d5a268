"""What ``isthmus anomalies`` does: rows in, the same rows with a score, a p-value, an alarm and reasons out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.commands_data import is_text_table, matching
from isthmus.commands_impute import TEXT, frame_of, whole_again
from isthmus.commands_info import all_of
from isthmus.commands_lines import line, say_next, size_of
from isthmus.commands_tables import UNTYPED, opened, say_read_as, say_table
from isthmus.data import Source, write_table
from isthmus.data.images import image_files
from isthmus.data.table_form import TableForm
from isthmus.data.text_cells import text_cells
from isthmus.errors import InputError
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.anomaly_drift import Moved, moved_columns, percent
from isthmus.estimators.anomaly_report import row_names, write_page
from isthmus.estimators.anomaly_verdicts import verdicts_of
from isthmus.estimators.anomaly_words import Scored, reasons_of
from isthmus.estimators.files import load
from isthmus.report.anomalies import p_in_words
from isthmus.report.figures import shown

ODDEST = 5
"""Rows that are named on the terminal."""

PLAIN = (".csv", ".tsv", ".parquet", ".xlsx")
"""Formats of tables that hold words too."""

SAID = ("alarms", "drift", "columns")
"""Verdicts that are told on the terminal where they are not good; the level's resolution is warned of anyway."""


def fit(
    data: str,
    output: str,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    report: str | None,
    quiet: bool,
) -> None:
    """Fit, save, report, and say how sure the level of alarms is."""
    if settings["data"] == "series":
        detector = AnomalyDetector(columns=columns or None, **settings).fit(data)
        source = detector._source(data)
    else:
        source = say_opened(data, columns, quiet)
        detector = AnomalyDetector(columns=columns or None, **settings).fit(source)
    written = {path: Path(path).exists() for path in (output, report) if path is not None}
    detector.save(output)
    if report is not None:
        scored = Scored.by(detector, source)
        write_page(detector, report, source, scored, moved_columns(detector, source, scored), files_of(data))
    if not quiet:
        say_fitted(detector, source)
        say_written(written)
        ending = Path(data).suffix.lower()
        later = "new/" if Path(data).is_dir() else f"new{ending}"
        made = f"scored{ending if ending in PLAIN else '.csv'}"
        say_next(["anomalies", "score", output, later, "-o", made, "--explain", "3"])


def say_opened(data: str, columns: dict[str | int, str], quiet: bool) -> Source:
    """The rows of a fit; of mixed tables, say what each column is taken for."""
    source = opened(data, columns, lists=not quiet)
    if not quiet:
        say_read_as(data, source)
        if isinstance(source.form, TableForm):
            say_table(source.form, all_of(data, columns), source)
            print(flush=True)
    return source


def say_fitted(detector: AnomalyDetector, source: Source) -> None:
    """What was fitted, and what the level of alarms rests on."""
    count, held_out = len(detector.autoencoders_), len(detector.held_out_)
    judges = f"{count} autoencoders, each fitted to other rows" if count > 1 else "one autoencoder"
    line("fitted", f"{judges}, to {counted(source.rows, 'row')}")
    line(
        "alarms",
        f"above {shown(-detector.offset_)} nats, for {percent(float(detector.alarm_rate))} of ordinary rows; the level "
        f"rests on {counted(held_out, 'row')} that {'was' if held_out == 1 else 'were'} held out",
    )


def score(
    model_path: str,
    data: str,
    output: str,
    explain: int,
    alarm_rate: float | None,
    columns: dict[str | int, str],
    report: str | None,
    quiet: bool,
) -> None:
    """Score, write, report, and say what alarms."""
    detector = load(model_path)
    if not isinstance(detector, AnomalyDetector):
        kind = type(detector).__name__
        raise InputError(
            f"{model_path!r} holds a model of another kind, {kind}; isthmus anomalies fit makes a detector"
        )
    if alarm_rate is not None:
        detector.set_alarm_rate(alarm_rate)
    series = detector.data == "series"
    source = detector._source(data) if series else matching(detector, data, columns)
    frame = frame_of(data, detector.form_)
    if frame is not None and (taken := [name for name in frame.columns if str(name) in new_names(explain)]):
        raise InputError(
            f"{data!r} has a column {listed(map(str, taken))} already, which would be written; rename or drop it"
        )
    written = {path: Path(path).exists() for path in (output, report) if path is not None}
    scored = Scored.by(detector, source)
    made = new_columns(detector, source, scored, explain)
    write(output, data, frame, made)
    if report is None and quiet:
        return
    moved, files = moved_columns(detector, source, scored), files_of(data)
    if report is not None:
        write_page(detector, report, source, scored, moved, files)
    if not quiet:
        say_scored(detector, source, scored, moved, files)
        say_written(written)


def new_names(explain: int) -> list[str]:
    """What is added.

    >>> new_names(2)
    ['anomaly_score', 'p_value', 'alarm', 'reason_1', 'reason_2']
    """
    return ["anomaly_score", "p_value", "alarm", *(f"reason_{i}" for i in range(1, explain + 1))]


def new_columns(detector: AnomalyDetector, source: Source, scored: Scored, explain: int) -> dict[str, np.ndarray]:
    """The columns that are added, by name; reasons are empty but for rows that alarm."""
    values: list[np.ndarray] = [scored.odd, scored.p_values, scored.alarms]
    loud = np.flatnonzero(scored.alarms)
    why = reasons_of(detector, source, loud, explain) if explain else []
    for place in range(explain):
        words = np.full(source.rows, None, dtype=object)
        for row, reasons in zip(loud.tolist(), why, strict=True):
            words[row] = str(reasons[place]) if place < len(reasons) else None
        values.append(words)
    return dict(zip(new_names(explain), values, strict=True))


def files_of(data: str) -> list[str] | None:
    """The names of a folder's images, in the order in which they are read; None of all else."""
    folder = Path(data).expanduser()
    return [file.relative_to(folder).as_posix() for file in image_files(folder)] if folder.is_dir() else None


def write(output: str, data: str, frame: Any, made: dict[str, np.ndarray]) -> None:
    """The user's table with the new columns; of a folder of images their names, of arrays the new columns alone."""
    import pandas as pd

    if frame is None:
        files = files_of(data)
        beside = {} if files is None or output.lower().endswith(".npy") else {"file": files}
        write_table(output, pd.DataFrame(beside | typed(made)))
    elif is_text_table(data) and Path(output).suffix.lower() in TEXT:
        write_text(output, Path(data), made)
    else:
        table = (
            frame if data.lower().endswith(".parquet") or not output.lower().endswith(UNTYPED) else whole_again(frame)
        )
        write_table(output, table.assign(**typed(made)))


def typed(made: dict[str, np.ndarray]) -> dict[str, Any]:
    """Reasons as text also where there is none: a file with types would take such a column for one of nothing."""
    import pandas as pd

    return {name: pd.array(v, dtype="string") if v.dtype == object else v for name, v in made.items()}


def write_text(output: str, data: Path, made: dict[str, np.ndarray]) -> None:
    """A text table, its cells letter by letter as they stand in its file, with the new columns behind them."""
    cells = text_cells(data)
    comma = cells.dialect.decimal == "," and cells.dialect.separator != ","
    frame = cells.frame.copy(deep=False)
    header = cells.dialect.header if cells.dialect.named else tuple(map(str, range(frame.shape[1])))
    for name, values in made.items():
        frame[f"\0{name}"] = texts_of(values, comma)
    dialect = replace(cells.dialect, header=(*header, *made), named=True)
    replace(cells, frame=frame, dialect=dialect).write(output)


def texts_of(values: np.ndarray, comma: bool) -> np.ndarray:
    """Values as they stand in a text table: numbers with six digits, nothing where there is no reason.

    >>> texts_of(np.array([0.25, 1 / 3]), True).tolist(), texts_of(np.array([True, False]), True).tolist()
    (['0,25', '0,333333'], ['True', 'False'])
    """
    if values.dtype.kind == "b":
        return np.where(values, "True", "False")
    if values.dtype.kind != "f":
        return values
    text = np.char.mod("%.6g", values)
    return np.char.replace(text, ".", ",") if comma else text


def say_written(written: dict[str, bool]) -> None:
    line("written", ", ".join(f"{path} ({size_of(path, replaced)})" for path, replaced in written.items()))


def say_scored(
    detector: AnomalyDetector, source: Source, scored: Scored, moved: list[Moved], files: list[str] | None
) -> None:
    """How many rows alarm beside what was asked for, the oddest ones with reasons, and what has drifted."""
    rate, count = float(detector.alarm_rate), int(scored.alarms.sum())
    line("rows", f"{source.rows:,}")
    line("alarms", f"{count:,}, {percent(count / source.rows)} of the rows; {percent(rate)} was asked for")
    for verdict in verdicts_of(detector, scored, moved):
        if verdict.name in SAID and verdict.level != "good":
            line("verdict", verdict.sentence + (f" Try: {verdict.advice}" if verdict.advice else ""))
    rows = scored.oddest(ODDEST)
    names = row_names(source, files)
    print(f"The oddest {counted(len(rows), 'row')}:")
    for row, reasons in zip(rows.tolist(), reasons_of(detector, source, rows, 3), strict=True):
        quiet = "" if scored.alarms[row] else ", no alarm"
        why = "; ".join(map(str, reasons)) or "odd as a whole"
        figures = f"{shown(scored.odd[row], padded=True)} nats, p {p_in_words(float(scored.p_values[row]))}{quiet}"
        line(f"  {names[row]}", f"{figures}: {why}")
