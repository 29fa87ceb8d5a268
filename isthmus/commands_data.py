"""The models and data that commands are given, and the columns or files that ``--labels`` and ``--given`` name."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import did_you_mean
from isthmus.data import Source, open_source, read_idx
from isthmus.data.delimited import read_text
from isthmus.data.excel import read_excel
from isthmus.data.form import Form
from isthmus.data.paths import known_texts
from isthmus.errors import InputError
from isthmus.estimators.anomalies import AnomalyDetector
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.files import load

EXCEL = (".xlsx", ".xlsm")


OWN = {
    "Denoiser": "its own command: isthmus denoise apply",
    "AnomalyDetector": "its own command: isthmus anomalies score",
    "Generator": "its own commands: isthmus generate sample, vary and walk",
    "Retriever": "its own commands: isthmus search query, add and remove",
    "Recommender": "its own commands: isthmus recommend for, similar and judge",
    "Compressor": "its own commands: isthmus compress pack, unpack and judge",
    "FeatureLearner": "its own commands: isthmus features transform and tune",
    "TunedClassifier": "its own command: isthmus features predict",
    "TunedRegressor": "its own command: isthmus features predict",
    "Selector": "its own command: isthmus features transform",
}
"""The commands that use a task's model."""


def model_at(path: str, known: tuple[type, ...], makes: str) -> Any:
    """The model of a file, if it is of a known sort."""
    model = load(path)
    if not isinstance(model, known):
        raise InputError(f"{path!r} holds {with_article(type(model).__name__)}; {makes}")
    return model


def with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def autoencoder_at(path: str) -> Autoencoder:
    """The model of a file that is no task's."""
    model = load(path)
    if not isinstance(model, Autoencoder):
        name = type(model).__name__
        raise InputError(f"{path!r} holds {with_article(name)}, which has {OWN[name]}")
    return model


def matching(
    model: Autoencoder | AnomalyDetector,
    data: str,
    columns: dict[str | int, str],
    options: Mapping[str, str] | None = None,
) -> Source:
    """The data as the model expects it.

    Parameters
    ----------
    columns : may leave out columns that came since.
    options : by name, the option that leaves a column out; of others it is ``--column``.
    """
    for name, wanted in columns.items():
        if wanted == "ignore" and str(name) in (model.form_.names or ()):
            option = (options or {}).get(str(name), f"--column {shlex.quote(str(name))}=ignore")
            raise InputError(
                f"{option} leaves out the column {str(name)!r}, but the model reads it, as it was one of the fit's. "
                f"Leave out that option, or fit again with {option}, so that the model does without that column"
            )
    if model.form_.words is not None:
        raise InputError(
            f"{data!r}: this model reads texts, which commands cannot; in Python, give isthmus.load('MODEL') a list of "
            "strings"
        )
    return open_source(data, argument=data, columns={**(model.columns or {}), **columns}, form=model.form_)


def labels_of(
    data: str, labels: str | None, columns: dict[str | int, str], option: str = "--labels"
) -> tuple[np.ndarray | None, dict[str | int, str]]:
    """The labels that are a column of the data, and ``columns`` with that column left out."""
    if labels is None:
        return None, columns
    values, names = column_of(data, labels)
    if values is not None:
        return values, {**columns, labels: "ignore"}
    if not Path(labels).is_file():
        hint = did_you_mean(labels, names) if names else ""
        raise InputError(f"{option}: {labels!r} is neither a column of {data!r} nor a file.{hint}")
    return None, columns


def labels_for(
    source: Source, labels: str | None, values: np.ndarray | None, option: str = "--labels"
) -> np.ndarray | None:
    """One label per row: those of a column, or those in a file."""
    if labels is None:
        return None
    y = labels_in(Path(labels), source.rows, option) if values is None else values
    if y.shape != (source.rows,):
        got = f"{len(y):,}" if y.ndim == 1 else f"an array of shape {y.shape}"
        raise InputError(f"{option}: {labels!r} must hold one value per row, {source.rows:,}; it holds {got}")
    return y


@dataclass(frozen=True)
class Given:
    """What ``--given`` names: columns of the data, which are then left out of it, or files."""

    data: str
    names: tuple[str, ...]

    @cached_property
    def found(self) -> dict[str, tuple[np.ndarray | None, dict[str | int, str]]]:
        """What `labels_of` says of each name; read once, since the data may be large."""
        return {name: labels_of(self.data, name, {}, "--given") for name in self.names}

    def left_out(self, columns: dict[str | int, str]) -> dict[str | int, str]:
        """``columns`` with those of the data left out that are given."""
        for _, ignored in self.found.values():
            columns = {**columns, **ignored}
        return columns

    def values(self, source: Source) -> Any:
        """One value per row, or a frame of them where several are named; None where none is."""
        found = {name: labels_for(source, name, values, "--given") for name, (values, _) in self.found.items()}
        if len(found) < 2:
            return next(iter(found.values()), None)
        import pandas as pd

        return pd.DataFrame(found)

    @property
    def options(self) -> dict[str, str]:
        """By name, the option that leaves a column of the data out."""
        return {name: f"--given {shlex.quote(name)}" for name in self.names}

    @property
    def words(self) -> list[str]:
        """The options again, for a command to copy."""
        return [word for name in self.names for word in ("--given", name)]


def separator_of(path: str) -> str | None:
    """A text table's separator if its name tells it; None = a comma, or what the first line shows."""
    return "\t" if path.lower().removesuffix(".gz").endswith(".tsv") else None


def is_text_table(path: str) -> bool:
    return path.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def read_table(path: Path, form: Form | None = None) -> tuple[Any, bool]:
    """The frame of a text table or a workbook, and whether its columns have names; codes that were text in the fit of
    ``form`` are text."""
    texts = known_texts(None, form)
    if path.name.lower().endswith(EXCEL):
        return read_excel(path, texts)[:2]
    return read_text(path, separator_of(path.name), texts)[:2]


def column_of(data: str, name: str) -> tuple[np.ndarray | None, list[str]]:
    """A table's column, whatever it holds (None if there is none of that name), and the names there are."""
    if (is_text_table(data) or data.lower().endswith(EXCEL)) and Path(data).is_file():
        frame, named = read_table(Path(data))
        names = [str(column) for column in frame.columns] if named else []
        return (frame[name].to_numpy() if name in names else None), names
    if data.lower().endswith(".parquet") and Path(data).is_file():
        import pyarrow
        import pyarrow.parquet

        try:
            names = list(pyarrow.parquet.read_schema(data).names)
            table = pyarrow.parquet.read_table(data, columns=[name]) if name in names else None
        except pyarrow.ArrowException as error:
            raise InputError(f"{data!r} cannot be read as Parquet: {error}. Is it cut off or damaged?") from error
        return (None if table is None else table.column(name).to_pandas().to_numpy()), names
    return None, []


def labels_in(path: Path, rows: int, option: str) -> np.ndarray:
    """The labels in a file: one column of text or numbers, with or without a name, a .npy array, or an idx file."""
    name = path.name.lower()
    if name.endswith(".npy"):
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{option}: {str(path)!r} is not a whole .npy file of labels: {error}") from error
    if "ubyte" in name or name.endswith((".idx", ".idx.gz")):
        return read_idx(path)
    if is_text_table(name) or name.endswith((".txt", *EXCEL)):
        frame, named = read_table(path)
        if frame.shape[1] != 1:
            raise InputError(f"{option}: {str(path)!r} must hold one column; it holds {frame.shape[1]}")
        values = frame.iloc[:, 0].to_numpy()
        # Labels that are words begin like a file whose column has a name: their number tells the two apart.
        first = [frame.columns[0]] if named and len(values) == rows - 1 else []
        return np.array([*first, *values], dtype=object) if first else values
    raise InputError(
        f"{option}: {str(path)!r} must be a .csv, .tsv, .txt, .xlsx, .npy or idx file with one label per row"
    )
