"""The arguments and options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from isthmus.errors import InputError

TABLES = (".csv", ".tsv", ".parquet", ".xlsx", ".npy")
"""What results may be written as."""

WORDED_TABLES = tuple(ending for ending in TABLES if ending != ".npy")
"""What results that hold words may be written as."""

TEXT_TABLE = re.compile(r"[^\[{<\n]*\d[^\n]*[,;\t ][^\n]*\d")
"""How the text of a table begins: with numbers and something between them, and no bracket of JSON or HTML."""

ENDINGS = (".csv", ".tsv", ".gz", ".xlsx", ".xlsm", ".parquet", ".npy", ".npz", ".idx", ".safetensors")


def check_data(path: str) -> str:
    """Refuse what only looks like data on a command line: a pipe, and a table under another name."""
    given = Path(path)
    try:
        if path == "-" or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/self/fd/")) or given.is_fifo():
            raise InputError(
                f"{path!r}: reading from a pipe is not supported, because data are read more than once; write them to "
                "a file first, such as data.csv, and give that"
            )
        if given.suffix.lower() in ENDINGS or "ubyte" in given.name or not given.is_file():
            return path
        with open(given, "rb") as file:
            text = file.read(4096).decode(errors="replace")
    except OSError:
        return path  # whoever reads it says what is wrong
    # With its first line a row of names, the second one tells.
    if "\0" not in text and "\ufffd" not in text and any(map(TEXT_TABLE.match, text.split("\n")[:2])):
        ending = f"the ending {given.suffix!r}" if given.suffix else "a name without an ending"
        raise InputError(
            f"{path!r}: {ending} does not say what kind of file it is, but it looks like a table in text: rename it "
            f"to {given.stem + '.csv'!r}"
        )
    return path


def check_data_if_any(path: str | None) -> str | None:
    """`check_data` where data may be left out."""
    return path if path is None else check_data(path)


DataFile = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=check_data,
        help="A .csv, .tsv, .xlsx, .parquet, .npy, .npz or idx file, or a folder of images.",
    ),
]
ModelFile = Annotated[
    str, typer.Argument(metavar="MODEL", show_default=False, help="The .safetensors file that fit wrote.")
]
ModelOut = Annotated[
    str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="The .safetensors file to write.")
]
TableFile = Annotated[
    str,
    typer.Option(
        "-o", "--output", metavar="FILE", show_default=False, help="A .csv, .tsv, .xlsx, .parquet or .npy file."
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|FILE",
        help="A column of DATA, or a file with one label per row: left out of the fit, used to colour the "
        "report; the kind semi-supervised learns from them, where a row has one.",
    ),
]
GivenNames = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="COLUMN|FILE",
        help="What each row is given, so that its code need not hold it: a column of DATA, which is then left out, or "
        "a file with one value per row. Can be repeated; a model fitted with it needs it always.",
        rich_help_panel="Data",
    ),
]
Scale = Annotated[
    str,
    typer.Option(help="How columns are scaled: auto, standard, common, unit or none.", rich_help_panel="Data"),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=TYPE",
        help="What a column is: ignore (left out), numeric, heavy (with heavy tails), count, binary, category, "
        "ordinal, circular (such as hours of the day) or date; or how its numbers are scaled: log, quantile, standard, "
        "common, unit or none. Can be repeated.",
        rich_help_panel="Data",
    ),
]
TRAINING = "Training (what is left open is chosen from the size of the data)"
Epochs = Annotated[int | None, typer.Option(help="Most passes over the rows.", rich_help_panel=TRAINING)]
BatchSize = Annotated[int | None, typer.Option(help="Rows in one step.", rich_help_panel=TRAINING)]
LearningRate = Annotated[float | None, typer.Option(help="Size of the first steps.", rich_help_panel=TRAINING)]
ValidationFraction = Annotated[
    float | None, typer.Option(help="Share of the rows held out to judge by.", rich_help_panel=TRAINING)
]
MaxTime = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Stop a fit after so long.", rich_help_panel=TRAINING)
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=TRAINING)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same model on one machine.", rich_help_panel=TRAINING)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and notes.")]
