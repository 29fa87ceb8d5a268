"""Tables whose rows are documents: which column is the text, which the title, and what the rows are called."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from isthmus.checks import counted, did_you_mean, is_whole, listed
from isthmus.data.delimited import chunks, read_text
from isthmus.data.messages import decoded
from isthmus.errors import InputError

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
TEXTS = ("text", "body", "content", "message")
TITLES = ("title", "subject", "headline")
IDS = "id"


class Cells(NamedTuple):
    """The columns of a table that matter, a string for every row; empty ones where a cell is."""

    ids: list[str]
    texts: list[str]
    titles: list[str]
    said: tuple[str, ...]


def ending_of(path: Path) -> str:
    """The ending in lower case, the one before it where that is .gz.

    >>> ending_of(Path("a/Reviews.CSV.gz"))
    '.csv'
    """
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def table_cells(path: Path, text_column: str | None, id_column: str | None) -> Cells:
    """What `isthmus.data.documents.documents` needs of a table; the columns are named in ``said``."""
    frame, said = read_table(path)
    frame.columns = [str(name) for name in frame.columns]
    for argument, name in (("text_column", text_column), ("id_column", id_column)):
        if name is not None and name not in frame.columns:
            raise InputError(f"{argument}: {str(path)!r} has no column {name!r}.{did_you_mean(name, frame.columns)}")
    if not len(frame):
        raise InputError(f"{str(path)!r} has no rows")
    if id_column is None:
        id_column, about_ids = own_ids(path, frame, text_column)
        said += about_ids
    texts = [name for name in frame.columns if is_text(frame[name])]
    chosen = chosen_text(path, texts, text_column, id_column, list(frame.columns))
    title = next((name for name in texts if name.lower() in TITLES and name not in (chosen, id_column)), None)
    empty = [""] * len(frame)
    with_title = "" if title is None else f", their titles from column {title!r}"
    return Cells(
        [f"{path.name}:{row}" for row in range(1, len(frame) + 1)]
        if id_column is None
        else ids(path, frame[id_column]),
        frame[chosen].fillna("").tolist(),
        empty if title is None else frame[title].fillna("").tolist(),
        (f"the texts are from column {chosen!r}{with_title}", *said),
    )


def read_table(path: Path) -> tuple[Any, tuple[str, ...]]:
    """A pandas frame, and what was found out about its file."""
    ending = ending_of(path)
    if ending == ".parquet":
        return read_parquet(path), ()
    if ending in (".csv", ".tsv"):
        read = read_text(path, "\t" if ending == ".tsv" else None)
        return read.frame, read.said
    return read_json_lines(path), ()


def read_parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path, use_threads=False).to_pandas()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        # Damage is found by Arrow, or by pandas in its notes.
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error}. Is it cut off or damaged?") from error


def read_json_lines(path: Path) -> Any:
    """A line is an object with a value per column, or a string: then there is one column, ``text``."""
    import pandas as pd

    rows = []
    for number, line in enumerate(decoded(b"".join(chunks(path)))[0].split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{str(path)!r}: line {number} is not JSON: {error}") from error
        if not isinstance(row, (dict, str)):
            raise InputError(f"{str(path)!r}: line {number} is no JSON object such as {{'text': '...'}}, nor a string")
        cells = {"text": row} if isinstance(row, str) else row
        rows.append({writable(name): writable(cell) for name, cell in cells.items()})
    return pd.DataFrame(rows, dtype=object)


def writable(cell: Any) -> Any:
    """A cell of JSON, a text with halves of surrogate pairs, which no file can hold, as ``?``.

    >>> writable("a\\ud800é")
    'a?é'
    """
    return cell.encode("utf-8", "replace").decode("utf-8") if isinstance(cell, str) else cell


def is_text(column: Any) -> bool:
    """Whether all of a pandas column's known cells are strings, and there is one at least."""
    import pandas as pd

    return pd.api.types.infer_dtype(column, skipna=True) == "string" and bool(column.notna().any())


def chosen_text(path: Path, texts: list[str], text_column: str | None, id_column: str | None, every: list[str]) -> str:
    """The name of the column that is meant."""
    if text_column is not None:
        if text_column not in texts:
            raise InputError(f"text_column: column {text_column!r} of {str(path)!r} holds no text")
        return text_column
    possible = [name for name in texts if name != id_column]
    if len(possible) == 1:
        return possible[0]
    for wanted in TEXTS:
        found = [name for name in possible if name.lower() == wanted]
        if found:
            return found[0]
    if not possible:
        raise InputError(f"{str(path)!r} has no column of text; it has {listed(every)}")
    raise InputError(
        f"{str(path)!r} has several columns of text, and none is called 'text': {listed(possible)}. "
        f"Say which is meant: text_column={possible[0]!r}"
    )


def own_ids(path: Path, frame: Any, text_column: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The column that is called id, if it tells all rows apart, and what is said of it."""
    found = [name for name in frame.columns if name.lower() == IDS and name != text_column]
    if len(found) != 1:
        return None, ()
    try:
        ids(path, frame[found[0]])
    except InputError as error:
        reason = str(error).removeprefix("id_column: ")
        return None, (f"the rows are numbered, as column {found[0]!r} cannot name them: {reason}",)
    return found[0], (f"the ids are from column {found[0]!r}",)


def ids(path: Path, column: Any) -> list[str]:
    """The cells of an id column as strings, refused where one is missing or comes twice."""
    missing = [row for row, gone in enumerate(column.isna(), 1) if gone]
    if missing:
        rows = f"{counted(len(missing), 'row')} (number {listed(missing, 5)})"
        raise InputError(f"id_column: {rows} of {str(path)!r} without an id in column {column.name!r}")
    cells = column.tolist()
    odd = next((cell for cell in cells if not isinstance(cell, str) and not is_whole(cell)), None)
    if odd is not None:
        raise InputError(f"id_column: column {column.name!r} must hold texts or whole numbers; it holds {odd!r}")
    named = list(map(str, cells))
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise InputError(f"id_column: column {column.name!r} of {str(path)!r} holds ids twice: {listed(twice, 5)}")
    return named
