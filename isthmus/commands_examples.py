"""What a generator is told on the command line: examples to draw by, labels, and cells that new rows are to have."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.commands_data import matching
from isthmus.commands_drawn import pictures_of
from isthmus.data import Form, Source, open_source, read_image
from isthmus.data.given import Conditions
from isthmus.data.images import bits, image_files, in_words
from isthmus.data.paths import nearby, path_source
from isthmus.data.pictures import FORMATS
from isthmus.data.table_form import TableForm
from isthmus.errors import InputError
from isthmus.estimators.generator import Generator
from isthmus.estimators.known_cells import one_or_more
from isthmus.estimators.reporting import row_in_words


def examples(
    generator: Generator, data: str, columns: dict[str | int, str], options: dict[str, str]
) -> tuple[Source, list[str]]:
    """The rows of a picture, a folder of them, or a file, and what to call what is drawn by each."""
    path, form = Path(data).expanduser(), generator.form_
    if not path.exists():
        raise InputError(f"there is no file or folder {data!r}.{nearby(path)}")
    if path.is_dir() or path.suffix.lower() in FORMATS:
        files = image_files(path) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{data!r} has no images")
        found = open_source(np.stack([picture(file, form) for file in files]), argument=data, form=form)
        below = [file.relative_to(path) if path.is_dir() else Path(file.name) for file in files]
        stems = ["-".join(name.with_suffix("").parts) for name in below]
        if len(set(stems)) < len(stems):
            raise InputError(f"{data!r} has pictures that differ in their ending alone; rename one of them")
        return found, stems
    if len(form.layout.shape) == 1 and path.suffix.lower() not in (".npy", ".npz"):
        found = matching(generator, data, columns, options)
    else:
        rows = path_source(path, data, None)
        if len(form.layout.shape) > 1 and isinstance(rows, Source) and len(rows.layout.shape) == 1:
            raise InputError(
                f"{data!r} is a table, but the model was fitted on {row_in_words(form.layout)}; give those"
            )
        found = open_source(one_or_more(rows, form), argument=data, columns=generator.columns, form=form)
    width = len(str(found.rows))
    return found, [path.stem] if found.rows == 1 else [f"{path.stem}-{row:0{width}d}" for row in range(found.rows)]


def picture(file: Path, form: Form) -> np.ndarray:
    """A picture as those of the fit were, or an error."""
    shape = form.layout.shape
    if not pictures_of(form):
        of = "" if len(shape) == 1 else f" of {form.dtypes[0]}, as arrays hold them"
        what = row_in_words(form.layout, most=True)
        raise InputError(f"{str(file)!r} is a picture, but the model was fitted on {what}{of}; give a file of such")
    clear = len(shape) == 3 and shape[2] in (2, 4)
    found = read_image(file, "keep" if clear else "drop")
    found = found[..., None] if shape == (*found.shape, 1) else found
    if found.shape != shape or found.dtype != form.dtypes[0]:
        wanted = np.empty(shape, dtype=form.dtypes[0])
        own, fits = (f"{in_words(one)}, of {bits(one)} bits" for one in (found, wanted))
        raise InputError(f"{str(file)!r} is {own}; the pictures of the fit were {fits}. Resize or convert it first")
    return found


def told(conditions: Conditions | None, texts: Sequence[str], rows: int) -> np.ndarray | None:
    """(rows, columns) what all rows are given; None where the fit was given nothing."""
    if conditions is None:
        if texts:
            raise InputError("--given: this model was fitted without; isthmus generate fit has --given COLUMN|FILE")
        return None
    columns = conditions.columns
    names = names_in(conditions)
    if len(columns) == 1:
        values = dict.fromkeys(names, texts[0]) if len(texts) == 1 else {}
    else:
        values = {name: text.partition("=")[2] for text in texts for name in names if text.startswith(f"{name}=")}
    if len(values) < len(columns) or len(texts) != len(columns):
        way = shlex.join(example_of(conditions))
        raise InputError(f"--given: this model was fitted on rows with {conditions.in_words()}; say which, as in {way}")
    for column, name in zip(columns, names, strict=True):
        if column.labels and values[name] not in column.labels:
            hint = did_you_mean(values[name], column.labels)
            raise InputError(f"--given: {values[name]!r} was given to no row of the fit.{hint}")
    return np.array([[values[name] for name in names]] * rows, dtype=object)


def names_in(conditions: Conditions) -> list[str]:
    """What the columns that rows are given were called by the user."""
    return [column.name.removeprefix("given column ").strip("'\"") for column in conditions.columns]


def example_of(conditions: Conditions) -> list[str]:
    """What ``--given`` may be, as words to copy."""
    values = [column.labels[0] if column.labels else f"{column.centre:.4g}" for column in conditions.columns]
    if len(values) > 1:
        values = [f"{name}={value}" for name, value in zip(names_in(conditions), values, strict=True)]
    return [word for value in values for word in ("--given", value)]


def known_values(form: Form, texts: Sequence[str]) -> dict[str, Any]:
    """Every ``--known NAME=VALUE``, the values of the types of their columns."""
    names = form.names or tuple(map(str, range(form.layout.features)))
    made = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (sign and name and value):
            raise InputError(f"--known: write NAME=VALUE, such as town=Ulm; got {text!r}")
        if name not in names:
            raise InputError(f"--known: there is no column {name!r}.{did_you_mean(name, names)}")
        family = form.codings[names.index(name)].family if isinstance(form, TableForm) else "number"
        made[name] = value_of(name, value, family)
    return made


WRITTEN_AS = {
    "number": "a number",
    "truth": "True or False",
    "date": "a date such as 2024-05-31",
    "time": "a time of day such as 12:30",
    "span": "a time span such as 3h",
}
"""How cells of a family are written on the command line."""


def value_of(name: str, text: str, family: str) -> Any:
    """A cell of a column of this family, from its text.

    >>> value_of("age", "39", "number"), value_of("member", "no", "truth"), value_of("town", "Ulm", "text")
    (39, False, 'Ulm')
    """
    import pandas as pd

    truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        if family == "number":
            number = float(text)
            return int(text) if text.lstrip("+-").isdecimal() else number
        if family == "truth":
            return truths[text.lower()]
        if family == "time":
            return pd.Timestamp(f"1970-01-01 {text}").time()
        return {"date": pd.Timestamp, "span": pd.Timedelta}.get(family, str)(text)
    except (KeyError, ValueError) as error:
        what = WRITTEN_AS.get(family, "text")
        raise InputError(f"--known: column {name!r} must be {what}; got {text!r}") from error
