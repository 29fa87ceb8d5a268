"""``isthmus impute``: the table as it was read, its missing cells filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted
from isthmus.commands_data import EXCEL, Given, autoencoder_at, is_text_table, matching, read_table
from isthmus.commands_lines import line, size_of
from isthmus.data import Source, write_table
from isthmus.data.column_words import NAME, SHOWN, percent, short, table
from isthmus.data.form import Form
from isthmus.data.table_form import TableForm
from isthmus.data.text_cells import TextCells, decimals_of, text_cells
from isthmus.estimators.imputing import filled_pandas

TEXT = (".csv", ".tsv")


def outputs_of(output: str, draws: int | None) -> list[str]:
    """The files to write: one, or one for each draw.

    >>> outputs_of("a/full.csv", None), outputs_of("a/full.csv", 2)
    (['a/full.csv'], ['a/full-1.csv', 'a/full-2.csv'])
    """
    if draws is None:
        return [output]
    path = Path(output)
    return [str(path.with_name(f"{path.stem}-{number}{path.suffix}")) for number in range(1, draws + 1)]


def impute(
    model_path: str, data: str, output: str, draws: int | None, seed: int, columns: dict[str | int, str], given: Given
) -> None:
    """Write the table of ``data`` with its missing cells filled, once or for each draw."""
    model = autoencoder_at(model_path)
    source = matching(model, data, given.left_out(columns), given.options)
    beside = given.values(source)
    made = model.impute(source, draws=draws, given=beside, random_state=seed)
    frame = frame_of(data, model.form_)
    as_text = is_text_table(data) and Path(output).suffix.lower() in TEXT
    cells = text_cells(Path(data)) if as_text and frame is not None else None
    sizes = []
    for path, table_made in zip(outputs_of(output, draws), [made] if draws is None else made, strict=True):
        replaced = Path(path).exists()
        if frame is None:
            write_table(path, table_made, source.names)
        else:
            written(path, data, frame, filled(frame, source, table_made), cells)
        sizes.append(f"{path} ({size_of(path, replaced)})")
    say_filled(source, frame)
    for number, said in enumerate(sizes):
        line("written" if number == 0 else "", said)


def frame_of(data: str, form: Form) -> Any:
    """The whole table as it is read, columns included that the model does not use; None of a file of an array."""
    if is_text_table(data) or data.lower().endswith(EXCEL):
        return read_table(Path(data), form)[0]
    if data.lower().endswith(".parquet"):
        import pandas as pd

        return pd.read_parquet(data)
    return None


def places_of(source: Source, frame: Any) -> list[int]:
    """Where in the frame the columns of the source are."""
    return list(range(frame.shape[1]) if source.kept is None else source.kept)


def filled(frame: Any, source: Source, values: Any) -> Any:
    """The frame with its gaps filled; columns of whole numbers, which gaps make floats, stay whole."""
    places = places_of(source, frame)
    values = values.set_axis(frame.columns[places], axis=1)
    for place in places:
        name, known = frame.columns[place], frame.iloc[:, place].dropna()
        if known.dtype.kind == "f" and known.dtype.name.startswith("float") and len(known) < len(frame):
            places_after = decimals_of(known.to_numpy())
            if places_after is not None:
                values[name] = np.round(values[name].to_numpy(dtype=np.float64), places_after)
    return filled_pandas(frame, values)


def written(path: str, data: str, frame: Any, made: Any, cells: TextCells | None) -> None:
    """A filled table as a file: of text to text, every known cell as it stands in the file that was read."""
    if cells is not None:
        cells.filled(frame, made).write(path)
    elif data.lower().endswith(".parquet"):
        write_table(path, made)
    else:
        write_table(path, whole_again(made))


def whole_again(frame: Any) -> Any:
    """A frame of a file without types: columns of floats that are all whole as nullable whole numbers."""
    frame = frame.copy()
    for place, dtype in enumerate(frame.dtypes):
        values = frame.iloc[:, place].dropna()
        if dtype.kind == "f" and len(values) and decimals_of(values.to_numpy()) == 0:
            frame.isetitem(place, frame.iloc[:, place].astype("Int64"))
    return frame


def say_filled(source: Source, frame: Any) -> None:
    """How many cells were filled in which columns, and which gaps remain."""
    counts = np.zeros(source.layout.features, dtype=np.int64)
    for start, stop in source.blocks:
        counts += np.isnan(source.read(start, stop)).sum(axis=0)
    form = source.form
    names = [one.name for one in form.codings] if isinstance(form, TableForm) else list(map(str, range(len(counts))))
    hit = np.flatnonzero(counts)
    line(
        "filled", f"{counted(int(counts.sum()), 'cell')} in {counted(len(hit), 'column')}; the others are as they were"
    )
    rows = [[short(names[i], NAME), f"{counts[i]:,}", f"{percent(counts[i] / source.rows)} of its cells"] for i in hit]
    if rows:
        width = max(len(row[1]) for row in rows[:SHOWN])
        print("\n".join(table([[row[0], row[1].rjust(width), row[2]] for row in rows[:SHOWN]], 100)))
    if len(rows) > SHOWN:
        print(f"  and {len(rows) - SHOWN:,} more columns")
    if frame is not None:
        used = set(places_of(source, frame))
        left = {
            str(frame.columns[i]): int(frame.iloc[:, i].isna().sum()) for i in range(frame.shape[1]) if i not in used
        }
        gaps = [f"{short(name, NAME)} ({count:,})" for name, count in left.items() if count]
        if gaps:
            more = f" and {len(gaps) - 8} more" if len(gaps) > 8 else ""
            line("still missing", f"in columns that the model does not read: {', '.join(gaps[:8])}{more}")
