"""What ``isthmus features`` does: features without labels, models that start from them, columns worth keeping."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.assignments import kind_of
from isthmus.checks import counted
from isthmus.commands_data import column_of, labels_for, labels_of, matching, model_at
from isthmus.commands_info import all_of
from isthmus.commands_learnt import Tuned, say_learner, say_selector, say_tuned
from isthmus.commands_lines import line, say_next, say_written, size_of
from isthmus.commands_tables import opened, say_read_as, say_table
from isthmus.data import Source, write_table
from isthmus.data.images import image_files
from isthmus.data.table_form import TableForm
from isthmus.errors import InputError
from isthmus.estimators.features import FeatureLearner
from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
from isthmus.estimators.selecting import Selector, selected

NAMED = ("task", "mode", "layer", "code_size", "epochs", "batch_size", "learning_rate", "max_time", "unlabelled")
"""Arguments whose options have their names."""

OPTIONS = {
    "y ": "--labels: it ",
    "y: ": "--labels: ",
    "k ": "-k ",
    "k: ": "-k: ",
    "mode='semi_supervised' ": "--mode semi_supervised ",
    **{f"{name}{end}": f"--{name.replace('_', '-')}{end}" for name in NAMED for end in (":", " must")},
}
"""How errors about arguments begin, and how they begin where the argument is an option."""

PLAIN = (".csv", ".tsv", ".parquet", ".npy")
"""Endings under which what is computed of a file may be written, too."""


@contextmanager
def by_option() -> Iterator[None]:
    """Let errors about an argument name the option."""
    try:
        yield
    except InputError as error:
        sentence = str(error).replace("as unlabelled=, or in X,", "as --unlabelled, or in DATA,")
        for argument, option in OPTIONS.items():
            if sentence.startswith(argument):
                raise InputError(option + sentence.removeprefix(argument)) from error
        raise


def opened_without(
    data: str, columns: dict[str | int, str], labels: str | None, loud: bool
) -> tuple[Source, dict[str | int, str]]:
    """The rows of a fit without the column of labels, and what its columns are; says what they are taken for."""
    asked = columns
    if labels is not None:
        values, columns = labels_of(data, labels, columns)
        if values is None:
            raise InputError(
                f"--labels: {labels!r} is a file: it is no part of {data!r}, so there is nothing to leave out"
            )
    try:
        source = opened(data, columns, lists=loud)
    except InputError as error:
        raise InputError(str(error).replace(", or leave such out with skip=True", "")) from error
    if loud:
        say_read_as(data, source)
        if isinstance(source.form, TableForm):
            say_table(source.form, all_of(data, asked), source)
            print(flush=True)
    return source, columns


# ------------------------------------------------------------------ features


def fit(
    data: str,
    output: str,
    method: str | None,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    labels: str | None,
) -> None:
    """Learn features, save them, and say what they are."""
    kind, loud = None if method is None else kind_of(method, (), "auto")["method"], bool(settings["verbose"])
    source, columns = opened_without(data, columns, labels, loud)
    replaced = Path(output).exists()
    learner = FeatureLearner(autoencoder=kind, columns=columns or None, **settings)
    with by_option():
        learner.fit(source)
    learner.save(output)
    if loud:
        record = learner.autoencoder_.record_
        if record is not None:
            line("training", record.stopped)
        say_learner(learner)
        line("written", f"{output} ({size_of(output, replaced)})")
        told = labels or "LABELS.csv"
        say_next(
            ["features", "tune", output, data, "--labels", told, "-o", "classifier.safetensors"],
            ["features", "transform", output, data, "-o", "codes.parquet"],
        )


def transform(path: str, data: str, output: str, layer: str | None, columns: dict[str | int, str], quiet: bool) -> None:
    """The features of all rows as a file; of a selector, the columns that it keeps."""
    model = model_at(path, (FeatureLearner, Selector), "isthmus features fit makes a FeatureLearner")
    if isinstance(model, Selector) and layer is not None:
        raise InputError(f"--layer: {path!r} holds a Selector, which has no layers: it keeps columns as they are")
    source, replaced = matching(model.autoencoder_, data, columns), Path(output).exists()
    if isinstance(model, Selector):
        made: Any = model.transform(source)
        names, each = [str(name) for name in model.names_], "column"
    else:
        with by_option():
            made = model.transform(source, layer)
        what = "code" if (model.layer if layer is None else layer) == "code" else "unit"
        names, each = [f"{what}_{unit}" for unit in range(made.shape[1])], "number"
    if not hasattr(made, "columns") and not output.lower().endswith(".npy"):
        made = framed(dict(zip(names, made.T, strict=True)), data, source)
    write_table(output, made, names)
    if not quiet:
        say_written(output, replaced, source.rows, counted(len(names), each))


def framed(values: dict[str, np.ndarray], data: str, source: Source) -> Any:
    """A frame of columns by name: of a folder's images behind their files' names, of a table with its index."""
    import pandas as pd

    folder = Path(data).expanduser()
    files = {"file": [file.relative_to(folder).as_posix() for file in image_files(folder)]} if folder.is_dir() else {}
    return pd.DataFrame({**files, **values}, index=source.index if source.container == "pandas" else None)


# ------------------------------------------------------------------ models that start from features


def tune(
    path: str,
    data: str,
    output: str,
    labels: str,
    unlabelled: str | None,
    settings: dict[str, Any],
    columns: dict[str | int, str],
    quiet: bool,
) -> None:
    """Teach a classifier or a regressor, save it, and say how good it is."""
    learner = model_at(path, (FeatureLearner,), "isthmus features fit makes a FeatureLearner")
    values, columns = labels_of(data, labels, columns)
    source = matching(learner.autoencoder_, data, columns, {labels: f"--labels {shlex.quote(labels)}"})
    y, replaced = labels_for(source, labels, values), Path(output).exists()
    others = None
    if unlabelled is not None:
        # Its column of labels, if it has one, is left out as that of DATA is.
        same = values is not None and column_of(unlabelled, labels)[0] is not None
        others = matching(learner.autoencoder_, unlabelled, {labels: "ignore"} if same else {})
    with by_option():
        model = learner.fine_tune(source, y, unlabelled=others, **settings)
    model.save(output)
    if not quiet:
        say_tuned(model)
        line("written", f"{output} ({size_of(output, replaced)})")
        ending = Path(data).suffix.lower()
        say_next(["features", "predict", output, "new/" if Path(data).is_dir() else f"new{ending}", "-o", "told.csv"])


def predict(path: str, data: str, output: str, probabilities: bool, columns: dict[str | int, str], quiet: bool) -> None:
    """What a model says of all rows, as a file."""
    makes = "isthmus features tune makes a TunedClassifier or TunedRegressor"
    model = model_at(path, (TunedClassifier, TunedRegressor), makes)
    if probabilities and isinstance(model, TunedRegressor):
        raise InputError(f"--probabilities: {path!r} tells numbers, which have none; leave it out")
    source, replaced = matching(model.learner_.autoencoder_, data, columns), Path(output).exists()
    made = predictions(model, source, probabilities)
    write_table(output, framed(made, data, source))
    if not quiet:
        say_written(output, replaced, source.rows, ", ".join(made) if len(made) <= 4 else counted(len(made), "column"))


def predictions(model: Tuned, source: Source, probabilities: bool) -> dict[str, np.ndarray]:
    """The columns to write, by name: one prediction, or one for each label or output; and probabilities."""
    told = np.asarray(model.predict(source))
    names = ["prediction"] if told.ndim == 1 else [f"prediction_{place}" for place in range(told.shape[1])]
    made = dict(zip(names, told.reshape(len(told), -1).T, strict=True))
    if probabilities and isinstance(model, TunedClassifier):
        shares = model.predict_proba(source)
        made |= {f"probability_{name}": share for name, share in zip(model.classes_, shares.T, strict=True)}
    return made


# ------------------------------------------------------------------ columns


def select(data: str, output: str, settings: dict[str, Any], columns: dict[str | int, str], labels: str | None) -> None:
    """Find the columns that tell the rest, save the selector, and print them."""
    loud = bool(settings["verbose"])
    source, columns = opened_without(data, columns, labels, loud)
    replaced = Path(output).exists()
    seed, k = settings.pop("random_state"), settings.pop("k")
    with by_option():
        selector = selected(source, k, columns or None, seed, **settings)
    selector.save(output)
    if loud:
        say_selector(selector)
        line("written", f"{output} ({size_of(output, replaced)})")
        ending = Path(data).suffix.lower()
        say_next(["features", "transform", output, data, "-o", f"few{ending if ending in PLAIN else '.csv'}"])
