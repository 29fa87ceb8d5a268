"""``isthmus generate``: what its commands are called and take; the work is in `commands_generate.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from isthmus.cli_options import (
    TABLES,
    BatchSize,
    Columns,
    DataFile,
    Device,
    Epochs,
    GivenNames,
    LearningRate,
    MaxTime,
    ModelFile,
    ModelOut,
    Quiet,
    Seed,
    check_data,
)
from isthmus.errors import InputError
from isthmus.outputs import check_output

generate = typer.Typer(
    name="generate",
    help="Draw new rows or pictures like yours: from scratch, near an example, or on the way from one to another.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

PATHS = ("straight", "spherical", "density")

Drawn = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FOLDER|FILE",
        show_default=False,
        help="Of pictures a folder, for PNG files and sheet.png, which shows them side by side; of tables a .csv, "
        ".tsv, .xlsx or .parquet file; of any arrays a .npy file.",
    ),
]
Example = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=check_data,
        help="A picture, a folder of them, or rows in a file as fit takes it.",
    ),
]
End = "One picture, or one row in a file as fit takes it."
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="VALUE",
        help="For a fit with --given, what they all are given, such as 3; of several columns NAME=VALUE, repeated.",
    ),
]
DrawSeed = Annotated[
    int | None,
    typer.Option("--seed", show_default=False, help="The same seed draws the same. Default: others every time."),
]


@generate.command("fit")
def fit(
    data: DataFile,
    output: ModelOut,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="The kind of autoencoder to draw through; 'isthmus methods' lists them. Default: tables are drawn "
            "cell by cell, all else through one that suits it.",
            rich_help_panel="Model",
        ),
    ] = None,
    prior: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What tells which codes are frequent: mixture, normal, flow, two_level, vamp or autoregressive; auto "
            "keeps the kind's own, if it has one.",
            rich_help_panel="Model",
        ),
    ] = "auto",
    code_size: Annotated[
        int | None,
        typer.Option(help="Numbers per row in the code. Default: a share of the columns.", rich_help_panel="Model"),
    ] = None,
    autoencoder: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            show_default=False,
            help="Draw through this one, which 'isthmus fit' wrote, instead of fitting another.",
            rich_help_panel="Model",
        ),
    ] = None,
    column: Columns = None,
    given: GivenNames = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn what DATA look like, to draw others, and write the generator to a file.

    \b
    isthmus generate fit photos/ -o generator.safetensors
    isthmus generate fit digits/ -o generator.safetensors --given labels.txt
    isthmus generate fit people.csv -o generator.safetensors
    isthmus generate fit photos/ -o g.safetensors --method vae --prior flow
    """
    check_output("-o", output, (".safetensors",), data)
    settings: dict[str, Any] = {
        "code_size": code_size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_time": max_time,
    }
    chosen = [name for name, value in {"method": method, **settings}.items() if value is not None]
    if autoencoder is not None and chosen:
        option = f"--{chosen[0].replace('_', '-')}"
        raise InputError(f"--autoencoder brings a model that is fitted already: leave out {option}")
    if autoencoder is not None:
        check_output("-o", output, (".safetensors",), autoencoder)
    from isthmus import commands_generate
    from isthmus.commands_data import Given
    from isthmus.commands_tables import columns_asked

    settings |= {"device": device, "random_state": seed, "verbose": int(not quiet)}
    drawn = commands_generate.Through(method, prior, autoencoder)
    commands_generate.fit(data, output, drawn, settings, columns_asked(column), Given(data, tuple(given or ())))


@generate.command("sample")
def sample(
    model: ModelFile,
    output: Drawn,
    number: Annotated[int, typer.Option("-n", "--number", help="How many to draw.")] = 100,
    given: Values = None,
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            metavar="NAME=VALUE",
            help="Of tables drawn cell by cell, what every new row is to have, such as town=Ulm. Can be repeated.",
        ),
    ] = None,
    seed: DrawSeed = None,
    quiet: Quiet = False,
) -> None:
    """Draw new pictures or rows from scratch.

    \b
    isthmus generate sample generator.safetensors -n 100 -o samples/
    isthmus generate sample generator.safetensors -n 10 -o threes/ --given 3
    isthmus generate sample people.safetensors -n 1000 -o people.csv
    isthmus generate sample people.safetensors -o in_ulm.csv --known town=Ulm
    """
    check_number(number)
    check_drawn(output, model)
    from isthmus import commands_generate

    commands_generate.sample(model, output, number, given or (), known or (), seed, quiet)


@generate.command("vary")
def vary(
    model: ModelFile,
    data: Example,
    output: Drawn,
    spread: Annotated[
        float,
        typer.Option(
            help="How far from it, above 0 and up to 1: nearly 0 rebuilds a picture, and at 1 it is another one of its "
            "kind. Of tables drawn cell by cell, the share of each row's cells that are drawn anew, at least one cell."
        ),
    ] = 0.5,
    number: Annotated[int, typer.Option("-n", "--number", help="How many of each.")] = 9,
    column: Columns = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="VALUE|COLUMN|FILE",
            help="For a fit with --given, what the rows of DATA are given: one value for all, or as fit takes it.",
        ),
    ] = None,
    seed: DrawSeed = None,
    quiet: Quiet = False,
) -> None:
    """Draw others like an example: the same five, written anew.

    \b
    isthmus generate vary generator.safetensors five.png -n 9 -o fives/
    isthmus generate vary generator.safetensors five.png --spread 0.2 -o near/
    isthmus generate vary people.safetensors rows.csv -n 3 -o like_them.csv
    """
    check_number(number)
    if not 0.0 < spread <= 1.0:
        raise InputError(f"--spread must be above 0 and at most 1, such as 0.5; got {spread:g}")
    check_drawn(output, model, data)
    from isthmus import commands_generate
    from isthmus.commands_tables import columns_asked

    wishes = (spread, number, seed)
    commands_generate.vary(model, data, output, wishes, columns_asked(column), given or (), quiet)


@generate.command("walk")
def walk(
    model: ModelFile,
    start: Annotated[str, typer.Argument(metavar="A", show_default=False, callback=check_data, help=End)],
    end: Annotated[str, typer.Argument(metavar="B", show_default=False, callback=check_data, help=End)],
    output: Drawn,
    steps: Annotated[int, typer.Option(help="How many to draw, the rebuilt ends included.")] = 10,
    path: Annotated[
        str,
        typer.Option(
            help="straight; spherical, at the codes' distance from their middle; or density, where codes are frequent."
        ),
    ] = "straight",
    given: Values = None,
    quiet: Quiet = False,
) -> None:
    """Draw what lies between two examples, step by step.

    \b
    isthmus generate walk generator.safetensors a.png b.png -o walk/
    isthmus generate walk generator.safetensors a.png b.png --steps 20 \\
        --path density -o walk/
    """
    if steps < 2:
        raise InputError(f"--steps must be a whole number >= 2, both ends included; got {steps}")
    if path not in PATHS:
        raise InputError(f"--path must be one of {', '.join(PATHS)}; got {path!r}")
    check_drawn(output, model, start, end)
    from isthmus import commands_generate

    commands_generate.walk(model, start, end, output, steps, path, given or (), quiet)


def check_number(number: int) -> None:
    """Refuse to draw nothing."""
    if number < 1:
        raise InputError(f"-n must be a whole number >= 1; got {number}")


def check_drawn(output: str, *inputs: str) -> None:
    """Refuse what is neither the name of a folder nor that of a file of rows."""
    ending = Path(output).suffix.lower()
    if ending in TABLES and not Path(output).is_dir():
        check_output("-o", output, TABLES, *inputs)
    elif Path(output).is_file():
        known = ", ".join(TABLES)
        raise InputError(f"-o: {output!r} is a file; give another name for a folder, or a file that ends in {known}")
