"""``isthmus features``: what its commands are called and take; the work is in `commands_features.py`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from isthmus.cli_options import (
    TABLES,
    TRAINING,
    WORDED_TABLES,
    BatchSize,
    Columns,
    DataFile,
    Device,
    Epochs,
    LearningRate,
    MaxTime,
    ModelFile,
    ModelOut,
    Quiet,
    Scale,
    Seed,
    TableFile,
)
from isthmus.errors import InputError
from isthmus.outputs import check_output

features = typer.Typer(
    name="features",
    help="Learn features from rows without labels, and models that start from them and need few labels; pick columns.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

TASKS = ("auto", "classes", "numbers")
MODES = ("auto", "probe", "frozen", "full", "semi_supervised")
WEIGHTS = {"balanced": "balanced", "none": None}
WAYS = ("auto", "linear", "bent", "concrete")

LeftOut = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="COLUMN",
        show_default=False,
        help="A column of DATA to leave out: nothing is learnt from it.",
        rich_help_panel="Data",
    ),
]


@features.command("fit")
def fit(
    data: DataFile,
    output: ModelOut,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="The kind of autoencoder; 'isthmus methods' lists them. Default: what suits the data.",
            rich_help_panel="Model",
        ),
    ] = None,
    code_size: Annotated[
        int | None,
        typer.Option(
            show_default=False, help="Numbers per row in the code. Default: up to 1,000.", rich_help_panel="Model"
        ),
    ] = None,
    layer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the features are: code, or a layer of the encoder; 'isthmus info MODEL' lists them.",
            rich_help_panel="Model",
        ),
    ] = "code",
    labels: LeftOut = None,
    scale: Scale = "auto",
    column: Columns = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn features from DATA without any label, and write what was learnt to a file.

    \b
    isthmus features fit photos/ -o features.safetensors --max-time 600
    isthmus features fit cells.csv -o features.safetensors --labels diagnosis
    """
    check_output("-o", output, (".safetensors",), data)
    from isthmus import commands_features
    from isthmus.commands_tables import columns_asked

    settings: dict[str, Any] = {
        "code_size": code_size,
        "layer": layer,
        "scale": scale,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        **training(epochs, max_time, device, seed, quiet),
    }
    commands_features.fit(data, output, method, settings, columns_asked(column), labels)


@features.command("transform")
def transform(
    model: ModelFile,
    data: DataFile,
    output: TableFile,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Another layer than that of fit; 'isthmus info MODEL' lists them."
        ),
    ] = None,
    column: Columns = None,
    quiet: Quiet = False,
) -> None:
    """Write the features of every row, for any other program to learn from; of a selector, the columns it keeps.

    \b
    isthmus features transform features.safetensors cells.csv -o codes.parquet
    isthmus features transform selector.safetensors cells.csv -o few.csv
    """
    check_output("-o", output, TABLES, data, model)
    from isthmus import commands_features
    from isthmus.commands_tables import columns_asked

    commands_features.transform(model, data, output, layer, columns_asked(column), quiet)


@features.command("tune")
def tune(
    model: ModelFile,
    data: DataFile,
    output: ModelOut,
    labels: Annotated[
        str,
        typer.Option(
            metavar="COLUMN|FILE",
            show_default=False,
            help="What to tell: a column of DATA, or a file with one label per row. Rows whose label is empty, or -1 "
            "among classes, count as unlabelled.",
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            metavar="auto|classes|numbers",
            help="What labels are; auto takes whole numbers of which few differ for classes.",
        ),
    ] = "auto",
    mode: Annotated[
        str,
        typer.Option(
            help="probe, a linear model of the features; frozen, one with a hidden layer; full, the encoder goes on "
            "learning; semi_supervised, and from unlabelled rows too; or auto, the best by held-out labels."
        ),
    ] = "auto",
    unlabelled: Annotated[
        str | None,
        typer.Option(metavar="DATA", show_default=False, help="More rows like those of DATA, without labels."),
    ] = None,
    class_weight: Annotated[
        str, typer.Option(metavar="balanced|none", help="Whether rare classes count as much as frequent ones.")
    ] = "balanced",
    column: Columns = None,
    epochs: Annotated[
        int | None, typer.Option(help="Most passes over the labelled rows.", rich_help_panel=TRAINING)
    ] = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Teach a classifier, or of numbers a regressor, that starts from the features; few labels are enough.

    \b
    isthmus features tune features.safetensors few.csv --labels diagnosis -o classifier.safetensors
    isthmus features tune features.safetensors photos/ --labels labels.csv -o classifier.safetensors
    """
    check_output("-o", output, (".safetensors",), data, model, labels)
    check_word("--task", task, TASKS)
    check_word("--mode", mode, MODES)
    check_word("--class-weight", class_weight, tuple(WEIGHTS))
    from isthmus import commands_features
    from isthmus.commands_tables import columns_asked

    settings: dict[str, Any] = {
        "task": task,
        "mode": mode,
        "class_weight": WEIGHTS[class_weight],
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_time": max_time,
        "random_state": seed,
        "verbose": int(not quiet),
    }
    commands_features.tune(model, data, output, labels, unlabelled, settings, columns_asked(column), quiet)


@features.command("predict")
def predict(
    model: Annotated[
        str, typer.Argument(metavar="CLASSIFIER", show_default=False, help="The .safetensors file that tune wrote.")
    ],
    data: DataFile,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", show_default=False, help="A .csv, .tsv, .xlsx or .parquet file."
        ),
    ],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write how probable each class is, a column for each.")
    ] = False,
    column: Columns = None,
    quiet: Quiet = False,
) -> None:
    """Write what the model says of every row.

    \b
    isthmus features predict classifier.safetensors new.csv -o predictions.csv --probabilities
    """
    check_output("-o", output, WORDED_TABLES, data, model)
    from isthmus import commands_features
    from isthmus.commands_tables import columns_asked

    commands_features.predict(model, data, output, probabilities, columns_asked(column), quiet)


@features.command("select")
def select(
    data: DataFile,
    output: ModelOut,
    k: Annotated[int, typer.Option("-k", help="How many columns to keep; of images, pixels.")] = 10,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="How they are found: linear, bent, concrete, or auto, the best of these."),
    ] = "auto",
    labels: LeftOut = None,
    scale: Scale = "auto",
    column: Columns = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Find the few columns from which all others are rebuilt best, without labels; print them and what they are worth.

    \b
    isthmus features select cells.csv -k 5 -o selector.safetensors --labels diagnosis
    """
    check_output("-o", output, (".safetensors",), data)
    check_word("--method", method, WAYS)
    from isthmus import commands_features
    from isthmus.commands_tables import columns_asked

    settings: dict[str, Any] = {
        "k": k,
        "method": method,
        "scale": scale,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        **training(epochs, max_time, device, seed, quiet),
    }
    commands_features.select(data, output, settings, columns_asked(column), labels)


def training(epochs: int | None, max_time: float | None, device: str, seed: int, quiet: bool) -> dict[str, Any]:
    """What both fits without labels take."""
    how_long = {"epochs": epochs, "max_time": max_time}
    return {**how_long, "device": device, "random_state": seed, "verbose": int(not quiet)}


def check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of a few, before anything is read."""
    if word not in known:
        raise InputError(f"{option} must be {', '.join(known[:-1])} or {known[-1]}; got {word!r}")
