"""What ``isthmus search`` is given, as items: documents, pictures or rows, with their ids and what is shown of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.commands_data import labels_for, labels_of, matching
from isthmus.commands_examples import picture
from isthmus.commands_folders import PICTURES, TEXTS, holds_text, kind_of
from isthmus.commands_info import form_of
from isthmus.commands_tables import opened
from isthmus.data import Form, Source, image_folder, open_source
from isthmus.data.document_tables import TABLES as TABLES_OF_TEXTS
from isthmus.data.document_tables import ending_of
from isthmus.data.documents import TARS, documents
from isthmus.data.images import check_any, image_files, names_below, readable, warn_of_skipped
from isthmus.data.paths import nearby, path_source
from isthmus.data.pictures import FORMATS
from isthmus.errors import InputError
from isthmus.estimators.reporting import row_in_words
from isthmus.estimators.retriever import Retriever
from isthmus.index.incoming import STRINGS, WHOLE

LINES = (".txt", ".jsonl", ".ndjson")
"""Files that hold nothing but texts."""

ROWS = (".csv", ".tsv", ".xlsx", ".xlsm", ".parquet", ".npy", ".npz", ".idx")
"""Files that hold rows."""

OPTIONS = {
    r"skip=True": "--skip",
    r"(?:^|(?<= ))text_column(?:=|: )?": "--text ",
    r"(?:^|(?<= ))id_column(?:=|: )?": "--id ",
    r"^(bits|method|where) ": r"--\1 ",
    r"^k ": "-k ",
    r"^X: ": "",
}
"""Arguments in the sentences of the library, and the options that stand for them."""


@dataclass(frozen=True)
class Asked:
    """What the options say of the data: the column of texts, what gives ids, types of columns, whether what cannot be
    used is left out, and which files of a folder are meant, its texts or its pictures."""

    text: str | None = None
    ids: str | None = None
    columns: dict[str | int, str] | None = None
    skip: bool = False
    kind: str | None = None


@dataclass(frozen=True)
class Items:
    """Items to learn from, to add, or to search by.

    Attributes
    ----------
    rows : what a `Retriever` takes: a list of texts, or a source.
    names : what each is called.
    ids : the same as whole numbers or texts; None where they are to be numbered.
    kept : what is shown of each, its title and a snippet with a line feed between; None of what is no text.
    columns : what single columns are to be in a fit.
    said : what was found out about the file.
    """

    rows: Any
    names: Sequence[Any]
    ids: Any = None
    kept: list[str] | None = None
    columns: dict[str | int, str] | None = None
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def in_words(self) -> str:
        """How many of what."""
        if isinstance(self.rows, Source):
            noun, _, rest = row_in_words(self.rows.layout).partition(" ")
            return f"{counted(len(self), noun.removesuffix('s'))} {rest}"
        return counted(len(self), "document")


@contextmanager
def by_option() -> Iterator[None]:
    """Let errors about arguments name the options."""
    try:
        yield
    except InputError as error:
        sentence = str(error)
        for argument, option in OPTIONS.items():
            sentence = re.sub(argument, option, sentence)
        raise InputError(sentence) from error


# ------------------------------------------------------------------ to learn from


def items_to_learn(data: str, asked: Asked, loud: bool) -> Items:
    """The items of a fit.

    A folder is of pictures or of documents, see `kind_of`; archives, .txt and .jsonl files are documents; all else is
    rows, unless ``--text`` says which column of a table holds texts.
    """
    path = place_of(data, asked)
    if asked.text is None and path.is_dir() and kind_of(path, asked.kind) == PICTURES:
        check_options(data, "pictures", asked)
        found = image_folder(path, skip=asked.skip)
        return Items(found, found.files, list(found.files))
    if asked.text is not None or of_texts(path):
        return documents_at(data, asked)
    if ending_of(path) not in ROWS and holds_text(path):
        raise InputError(
            f"{data!r} is a single document; give the folder that holds the documents, a .txt with a text on each "
            "line, or a table whose name ends in .csv or .tsv"
        )
    values, columns = ids_asked(data, asked.ids, asked.columns or {})
    source = opened(data, columns, lists=loud)
    ids = ids_for(source, data, asked, values, None)
    return Items(source, range(source.rows) if ids is None else ids, ids, columns=columns, said=tuple(source.said))


def place_of(data: str, asked: Asked) -> Path:
    """Where the data lie; refused where nothing does, or where ``--as`` has no meaning."""
    path = Path(data).expanduser()
    if not path.exists():
        raise InputError(f"there is no file or folder {data!r}.{nearby(path)}")
    if asked.kind is not None and not path.is_dir():
        raise InputError(f"--as says which files of a folder are meant; {data!r} is none: leave it out")
    return path


def of_texts(path: Path) -> bool:
    """Whether nothing but texts can lie there."""
    return path.is_dir() or ending_of(path) in LINES or path.name.lower().endswith((*TARS, ".zip"))


def documents_at(data: str, asked: Asked, kind: str | None = None) -> Items:
    """Documents, for an index whose ids are of this kind."""
    path = Path(data).expanduser()
    table = path.is_file() and ending_of(path) in TABLES_OF_TEXTS
    if asked.text is not None and not table:
        known = ", ".join(TABLES_OF_TEXTS)
        raise InputError(f"--text names the column of a table that holds texts, a {known} file; {data!r} is none")
    check_options(data, "documents", asked, table)
    with by_option():
        without = tuple(FORMATS) if asked.kind == TEXTS else ()
        found = documents(path, text_column=asked.text, id_column=asked.ids, skip=asked.skip, without=without)
    kept = [f"{title}\n{snippet}" for title, snippet in zip(found.titles, found.snippets, strict=True)]
    ids: list[Any] | None = list(found.ids)
    if kind == WHOLE:
        ids = None if asked.ids is None else whole_numbers(found.ids)
    return Items(list(found.texts), found.ids, ids, kept, said=found.said)


def check_options(data: str, what: str, asked: Asked, table: bool = False) -> None:
    """Refuse options that have no meaning for what is no table of rows."""
    if asked.ids is not None and not table:
        raise InputError(f"--id: {data!r} holds {what}, whose ids are their paths; leave it out")
    if asked.columns:
        raise InputError(f"--column is for tables whose columns are learnt from; {data!r} holds {what}")


# ------------------------------------------------------------------ for what was fitted


def items_like(retriever: Retriever, data: str, asked: Asked, adding: bool = True) -> Items:
    """Items like those of the fit, to add or only to search by."""
    path, kind = place_of(data, asked), retriever.store_.kind
    if path.is_dir():
        check_kind(retriever, path, asked)
    if retriever.words_ is not None:
        return documents_at(data, asked, kind)
    form = form_of(retriever)
    if asked.text is not None:
        raise InputError(f"--text: the fit was to {row_in_words(form.layout)}, not to texts; leave it out")
    if path.is_dir() or path.suffix.lower() in FORMATS:
        check_options(data, "pictures", asked)
        found = pictures(path, form, asked.skip)
        names = names_below(path, list(found)) if path.is_dir() else [path.name]
        source = open_source(np.stack(list(found.values())), argument=data, form=form)
        return Items(source, names, None if kind == WHOLE else names)
    values, columns = ids_asked(data, asked.ids, asked.columns or {})
    source = rows_like(retriever, data, columns, {} if asked.ids is None else {asked.ids: f"--id {asked.ids}"})
    ids = ids_for(source, data, asked, values, kind) if adding else None
    return Items(source, range(source.rows) if ids is None else ids, ids)


def check_kind(retriever: Retriever, folder: Path, asked: Asked) -> None:
    """Refuse a folder of pictures where texts were learnt, and one of texts where pictures were."""
    takes, fitted = TEXTS, "texts"
    if retriever.words_ is None:
        takes, fitted = PICTURES, row_in_words(form_of(retriever).layout)
    if asked.kind not in (None, takes):
        raise InputError(f"--as {asked.kind}: the fit was to {fitted}; leave it out")
    if retriever.words_ is None:
        check_any(image_files(folder), folder)
    held = kind_of(folder, asked.kind, (takes,))
    if held != takes:
        raise InputError(f"{str(folder)!r} holds {held}, but the fit was to {fitted}")


def rows_like(retriever: Retriever, data: str, columns: dict[str | int, str], options: dict[str, str]) -> Source:
    """The rows of a table or an array; of an array perhaps a single one."""
    form = form_of(retriever)
    path, flat = Path(data).expanduser(), len(form.layout.shape) == 1
    if flat and path.suffix.lower() not in (".npy", ".npz"):
        like: Any = SimpleNamespace(form_=form, columns=retriever.columns)
        return matching(like, data, columns, options)
    rows = path_source(path, data, None)
    if isinstance(rows, Source) and not flat:
        raise InputError(f"{data!r} is a table, but the fit was to {row_in_words(form.layout)}; give those")
    rows = rows[None] if isinstance(rows, np.ndarray) and rows.ndim == len(form.layout.shape) else rows
    columns = {**(retriever.columns or {}), **columns}
    return open_source(rows, argument=data, columns=columns, form=form, estimator_name="Retriever")


def pictures(path: Path, form: Form, skip: bool) -> dict[Path, np.ndarray]:
    """The pictures of a folder, or the one in a file, as those of the fit were."""
    files = image_files(path) if path.is_dir() else [path]
    if not skip:
        return {file: picture(file, form) for file in files}
    found, skipped = readable(files, lambda file: picture(file, form))
    if not found:
        raise InputError(f"{str(path)!r}: not one of its images can be used: {skipped[0][1]}")
    warn_of_skipped(path, skipped)
    return found


# ------------------------------------------------------------------ ids


def ids_asked(
    data: str, name: str | None, columns: dict[str | int, str]
) -> tuple[np.ndarray | None, dict[str | int, str]]:
    """The cells of the column that holds the ids, and ``columns`` with it left out; none where a file holds them."""
    path = Path(data).expanduser()
    if name is not None and name.isdecimal() and path.suffix.lower() in (".npy", ".npz") and path.is_file():
        array = path_source(path, data, None)
        if isinstance(array, np.ndarray) and array.ndim == 2 and int(name) < array.shape[1]:
            return np.array(array[:, int(name)]), {**columns, int(name): "ignore"}
    return labels_of(data, name, columns, "--id")


def ids_for(source: Source, data: str, asked: Asked, values: np.ndarray | None, kind: str | None) -> Any:
    """An id for each row, whole numbers or texts as the index has them; None where rows are to be numbered."""
    if asked.ids is None:
        if kind == STRINGS:
            raise InputError(
                "--id: the ids of this index are texts; say which column, or file, of these rows holds such"
            )
        return None
    import pandas as pd

    cells = labels_for(source, asked.ids, values, "--id")
    missing = np.flatnonzero(pd.isna(cells))
    if len(missing):
        raise InputError(f"--id: {asked.ids!r} has no id for {counted(len(missing), 'row')}, such as {missing[0]}")
    given = pd.Series(cells)
    twice = given[given.duplicated()].unique().tolist()
    if twice:
        raise InputError(f"--id: {asked.ids!r} must call every row by another id; it holds {listed(twice, 5)} twice")
    numbers = pd.api.types.is_numeric_dtype(given) and not pd.api.types.is_bool_dtype(given)
    if numbers and bool((given == given.round()).all()):
        whole = given.astype(np.int64)
        return whole.astype(str).tolist() if kind == STRINGS else whole.to_numpy()
    texts = given.astype(str).tolist()
    return whole_numbers(texts) if kind == WHOLE else texts


def whole_numbers(texts: Sequence[str], option: str = "--id") -> list[int]:
    """Texts as the whole numbers that the ids of an index are.

    >>> whole_numbers(["7", "-1"])
    [7, -1]
    """
    strange = [text for text in texts if not text.removeprefix("-").isdecimal()]
    if strange:
        raise InputError(f"{option}: the ids of this index are whole numbers; got {listed(strange, 3)}")
    return [int(text) for text in texts]
