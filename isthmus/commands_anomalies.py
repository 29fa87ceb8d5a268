"""What ``isthmus anomalies`` does: rows in, the same rows with a score, a p-value, an alarm and reasons out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.commands_bad_cells import check_channels, readable
from isthmus.commands_data import is_text_table
from isthmus.commands_impute import TEXT, frame_of, whole_again
from isthmus.commands_info import all_of
from isthmus.commands_lines import line, say_next, size_of
from isthmus.commands_tables import UNTYPED, opened, say_read_as, say_table
from isthmus.data import Source, write_table
from isthmus.data.images import image_files
from isthmus.data.table_form import TableForm
from isthmus.data.text_cells import text_cells
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.anomaly_drift import Moved, moved_columns, percent
from isthmus.estimators.anomaly_report import ODDEST as ON_THE_PAGE
from isthmus.estimators.anomaly_report import drawn, row_names, told_of, write_page
from isthmus.estimators.anomaly_verdicts import verdicts_of
from isthmus.estimators.anomaly_words import SEARCHED, Scored, Told
from isthmus.estimators.files import load
from isthmus.estimators.oddness_of_steps import series_source
from isthmus.report.anomalies import p_in_words
from isthmus.report.figures import shown

ODDEST = 5
"""Rows that are named on the terminal."""

OWN = re.compile("anomaly_score|p_value|alarm|reason_[0-9]+")
"""The columns that are added to a table."""

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
    detector = AnomalyDetector(**settings)
    if settings["data"] == "series":
        check_channels(data, columns)
        detector.columns = with_own_left_out(data, columns, series_source(data, columns=columns)) or None
        source = detector.fit(data)._source(data)
    else:
        source, columns = say_opened(data, columns, quiet)
        detector.columns = columns or None
        with said_once():
            detector.fit(source)
    written = {path: Path(path).exists() for path in (output, report) if path is not None}
    detector.save(output)
    if report is not None:
        scored = Scored.by(detector, source)
        told = told_of(detector, source, scored, frame_of(data, detector.form_))
        write_page(detector, report, source, scored, moved_columns(detector, source, scored), told, files_of(data))
    if not quiet:
        say_fitted(detector, source)
        say_written(written)
        ending = Path(data).suffix.lower()
        later = "new/" if Path(data).is_dir() else f"new{ending}"
        made = f"scored{ending if ending in PLAIN else '.csv'}"
        say_next(["anomalies", "score", output, later, "-o", made, "--explain", "3"])


@contextmanager
def said_once() -> Iterator[None]:
    """Show warnings once that differ in numbers alone, as those of five autoencoders do, each fitted to other rows."""
    with warnings.catch_warnings():
        show, said = warnings.showwarning, set[str]()

        def once(message: Warning | str, *where: Any, **more: Any) -> None:
            text = re.sub(r"\d[\d.,]*", "0", str(message))
            if text not in said:
                said.add(text)
                show(message, *where, **more)

        warnings.showwarning = once
        yield


def with_own_left_out(data: str, columns: dict[str | int, str], source: Source) -> dict[str | int, str]:
    """What columns are, those left out that `score` wrote into a table: nobody wants to learn what alarmed before.

    Warns
    -----
    DataWarning : there are such columns.
    """
    form = source.form
    names = [*(form.names or ()), *(one.name for one in getattr(form, "left_out", ()))]
    own = [name for name in names if OWN.fullmatch(name) and name not in columns]
    if not {"anomaly_score", "p_value"} <= {*own}:
        return columns  # another's column, that only is called so
    warnings.warn(
        f"{data!r}: {listed(own)} were written by 'isthmus anomalies score', and are left out of the fit",
        DataWarning,
        stacklevel=2,
    )
    return {**columns, **dict.fromkeys(own, "ignore")}


def say_opened(data: str, columns: dict[str | int, str], quiet: bool) -> tuple[Source, dict[str | int, str]]:
    """The rows of a fit, and what its columns are; of mixed tables, say what each column is taken for."""
    with said_once():
        source = opened(data, columns, lists=not quiet)
        given, columns = columns, with_own_left_out(data, columns, source)
        source = source if columns is given else opened(data, columns, lists=not quiet)
    if not quiet:
        say_read_as(data, source)
        if isinstance(source.form, TableForm):
            say_table(source.form, all_of(data, columns), source)
            print(flush=True)
    return source, columns


def say_fitted(detector: AnomalyDetector, source: Source) -> None:
    """What was fitted, and what the level of alarms rests on."""
    count, held_out = len(detector.autoencoders_), len(detector.held_out_)
    judges = f"{count} autoencoders, each fitted to other rows" if count > 1 else "one autoencoder"
    if detector.cascade > 1:
        judges = f"{count} autoencoders in {detector.cascade} stages, each fitted to what the one before rebuilds badly"
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
    skip_bad: bool,
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
    source, unread = readable(detector, data, columns, skip_bad)
    frame = frame_of(data, detector.form_)
    if frame is not None:
        check_room(output, data, frame, explain)
    written = {path: Path(path).exists() for path in (output, report) if path is not None}
    scored = Scored.by(detector, source, unread)
    rows = scored.to_explain(None if explain else ON_THE_PAGE, explain or SEARCHED)
    pictured = drawn(source, scored) if report is not None else rows[:0]
    silent = quiet and report is None and not explain
    told = Told.of(detector, source, rows[:0] if silent else rows, max(explain, SEARCHED), pictured, frame)
    write(output, data, frame, new_columns(scored, told, explain))
    if silent or (quiet and report is None):
        return
    moved, files = moved_columns(detector, source, scored), files_of(data)
    if report is not None:
        write_page(detector, report, source, scored, moved, told, files)
    if not quiet:
        say_scored(detector, source, scored, moved, told, files)
        say_written(written)


def check_room(output: str, data: str, frame: Any, explain: int) -> None:
    """Refuse now what could not be written beside the columns of a table after the work."""
    if taken := [name for name in frame.columns if str(name) in new_names(explain)]:
        raise InputError(
            f"{data!r} has a column {listed(map(str, taken))} already, which would be written; rename or drop it"
        )
    words = [str(name) for name in frame.columns if frame[name].to_numpy().dtype.kind not in "biuf"]
    if output.lower().endswith(".npy") and words:
        raise InputError(
            f"-o {output!r}: a .npy file holds numbers alone, and {data!r} holds something else in {listed(words, 3)}; "
            "write .csv, .tsv, .xlsx or .parquet"
        )


def new_names(explain: int) -> list[str]:
    """What is added.

    >>> new_names(2)
    ['anomaly_score', 'p_value', 'alarm', 'reason_1', 'reason_2']
    """
    return ["anomaly_score", "p_value", "alarm", *(f"reason_{i}" for i in range(1, explain + 1))]


def new_columns(scored: Scored, told: Told, explain: int) -> dict[str, np.ndarray]:
    """The columns that are added, by name. Rows without a score have empty cells, and reasons those rows alone that
    alarm, or are among the oddest where hardly any does, which is then said in them."""
    known = scored.known
    alarms = scored.alarms if known.all() else scored.alarms.astype(object)
    alarms[~known] = None
    values: list[np.ndarray] = [scored.odd, scored.p_values, alarms]
    for place in range(explain):
        words = np.full(len(known), None, dtype=object)
        for row, reasons in told.reasons.items():
            quiet = "" if scored.alarms[row] else "no alarm; "
            words[row] = f"{quiet}{reasons[place]}" if place < len(reasons) else None
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
        write_table(output, pd.DataFrame(beside | typed(made, output)))
    elif is_text_table(data) and Path(output).suffix.lower() in TEXT:
        write_text(output, Path(data), made)
    else:
        table = (
            frame if data.lower().endswith(".parquet") or not output.lower().endswith(UNTYPED) else whole_again(frame)
        )
        write_table(output, table.assign(**typed(made, output)))


def typed(made: dict[str, np.ndarray], output: str) -> dict[str, Any]:
    """The columns as they are written; reasons are text also where there is none: a file with types would take such a
    column for one of nothing."""
    import pandas as pd

    found: dict[str, Any] = {name: pd.array(v, dtype="string") if v.dtype == object else v for name, v in made.items()}
    if made["alarm"].dtype == object:  # rows without a score have no alarm; numbers alone know only NaN for that
        array = output.lower().endswith(".npy")
        found["alarm"] = made["alarm"].astype(np.float64) if array else pd.array(made["alarm"], dtype="boolean")
    return found


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
    """Values as they stand in a text table: numbers with six digits, nothing where there is no score or reason.

    >>> texts_of(np.array([0.25, 1 / 3]), True).tolist(), texts_of(np.array([True, False]), True).tolist()
    (['0,25', '0,333333'], ['True', 'False'])
    """
    if values.dtype.kind == "b":
        return np.where(values, "True", "False")
    if values.dtype.kind != "f":
        return values
    text = np.where(np.isnan(values), "", np.char.mod("%.6g", values))
    return np.char.replace(text, ".", ",") if comma else text


def say_written(written: dict[str, bool]) -> None:
    line("written", ", ".join(f"{path} ({size_of(path, replaced)})" for path, replaced in written.items()))


def say_scored(
    detector: AnomalyDetector,
    source: Source,
    scored: Scored,
    moved: list[Moved],
    told: Told,
    files: list[str] | None,
) -> None:
    """How many rows alarm beside what was asked for, the oddest ones with reasons, and what has drifted."""
    rate, count, known = float(detector.alarm_rate), int(scored.alarms.sum()), int(scored.known.sum())
    lost = f", {source.rows - known:,} without a score" if known < source.rows else ""
    line("rows", f"{source.rows:,}{lost}")
    if not known:
        return
    line("alarms", f"{count:,}, {percent(count / known)} of the rows; {percent(rate)} was asked for")
    for verdict in verdicts_of(detector, scored, moved):
        if verdict.name in SAID and verdict.level != "good":
            line("verdict", verdict.sentence + (f" Try: {verdict.advice}" if verdict.advice else ""))
    rows = scored.oddest(ODDEST)
    names = row_names(source, files)
    print(f"The oddest {counted(len(rows), 'row')}:")
    for row in rows.tolist():
        why = "; ".join(map(str, told.reasons.get(row, ())[:SEARCHED]))
        if scored.alarms[row]:
            said = f": {why or 'odd as a whole'}"
        else:
            said = f", no alarm; oddest in it: {why}" if why else ", no alarm"
        line(
            f"  {names[row]}",
            f"{shown(scored.odd[row], padded=True)} nats, p {p_in_words(float(scored.p_values[row]))}{said}",
        )
