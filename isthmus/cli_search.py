"""``isthmus search``: what its commands are called and take; the work is in `commands_search.py`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from isthmus.cli_options import (
    WORDED_TABLES,
    BatchSize,
    Columns,
    Device,
    Epochs,
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

search = typer.Typer(
    name="search",
    help="Find what is alike among texts, pictures or rows: each becomes a few bits, and searches are exact for them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def check_items(path: str) -> str:
    """Refuse pipes; any file may be a document, whatever it is called, and its text may look like a table."""
    return path if os.path.isfile(path) else check_data(path)


def check_asked(words: list[str]) -> list[str]:
    """Refuse pipes among what may be a path or a text."""
    return list(map(check_items, words))


def check_kind(word: str | None) -> str | None:
    """Refuse what is no kind of files."""
    if word not in (None, "texts", "pictures"):
        raise InputError(f"--as must be texts or pictures; got {word!r}")
    return word


Items = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=check_items,
        help="Texts: a folder of text files, a .tar.gz or .zip archive of them, a .txt with a text on each line, a "
        ".jsonl file, or a table with --text. Pictures: a folder of images. Rows: a .csv, .tsv, .xlsx, .parquet, "
        ".npy, .npz or idx file.",
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="COLUMN",
        show_default=False,
        help="The column of a table that holds the texts; what else it holds is then not read.",
    ),
]
Ids = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="COLUMN|FILE",
        show_default=False,
        help="What the rows of a table or an array are called: a column (of an array its number), which is not learnt "
        "from, or a file with one id per row. Default: numbers from 0. Documents and pictures are called by their "
        "paths.",
    ),
]
Skip = Annotated[bool, typer.Option("--skip", help="Leave out texts and pictures that cannot be used, naming them.")]
Kind = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="texts|pictures",
        show_default=False,
        callback=check_kind,
        help="Which files are meant of a folder that holds both; the others are passed over.",
    ),
]


@search.command("fit")
def fit(
    data: Items,
    output: ModelOut,
    bits: Annotated[
        str,
        typer.Option(
            metavar="N|auto", help="Bits of a code, 8 to 1024; auto: few that find well.", rich_help_panel="Model"
        ),
    ] = "auto",
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="How codes are learnt: variational, balanced, itq or auto.", rich_help_panel="Model"
        ),
    ] = "auto",
    rerank: Annotated[
        bool,
        typer.Option(
            "--rerank",
            help="Also keep codes as real numbers, 2 bytes for each bit, and order the nearest by their cosine.",
            rich_help_panel="Model",
        ),
    ] = False,
    ids: Ids = None,
    text: TextColumn = None,
    column: Columns = None,
    kind: Kind = None,
    skip: Skip = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an index that holds items, which are then gone.")
    ] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn codes from DATA, and write the model and beside it its index, a folder NAME.index with all items of DATA.

    \b
    isthmus search fit articles/ -o articles.safetensors
    isthmus search fit photos/ -o photos.safetensors --bits 64
    isthmus search fit reviews.csv -o reviews.safetensors --text review --id number
    isthmus search fit cells.csv -o cells.safetensors --id name
    """
    check_output("-o", output, (".safetensors",), data)
    settings: dict[str, Any] = {
        "bits": bits_of(bits),
        "method": method,
        "rerank": rerank,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_time": max_time,
        "device": device,
        "random_state": seed,
        "verbose": int(not quiet),
    }
    from isthmus import commands_search
    from isthmus.commands_items import Asked
    from isthmus.commands_tables import columns_asked

    commands_search.fit(data, output, settings, Asked(text, ids, columns_asked(column), skip, kind), replace)


@search.command("add")
def add(
    model: ModelFile,
    data: Items,
    ids: Ids = None,
    text: TextColumn = None,
    column: Columns = None,
    kind: Kind = None,
    skip: Skip = False,
    quiet: Quiet = False,
) -> None:
    """Put more items in the index: like those of the fit, and with ids that are not there yet. They are found at once.

    What was said to be added is on the disk, even if the machine stops in the next moment.

    \b
    isthmus search add articles.safetensors more_articles/
    isthmus search add cells.safetensors new.csv --id name
    """
    from isthmus import commands_search
    from isthmus.commands_items import Asked
    from isthmus.commands_tables import columns_asked

    commands_search.add(model, data, Asked(text, ids, columns_asked(column), skip, kind), quiet)


@search.command("remove")
def remove(
    model: ModelFile,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", show_default=False, help="The items to take out.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--from", metavar="FILE", show_default=False, help="A file with an id on each line.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Take items out of the index; if one of them is not there, it is named, and none is removed.

    Before ids that begin with a minus, write --.

    \b
    isthmus search remove articles.safetensors sport/17.txt sport/18.txt
    isthmus search remove cells.safetensors -- -1 -2
    isthmus search remove articles.safetensors --from outdated.txt
    """
    if not ids and file is None:
        raise InputError("say what to remove: ID..., or --from FILE with an id on each line")
    from isthmus import commands_search

    commands_search.remove(model, ids or [], file, quiet)


@search.command("query")
def query(
    model: ModelFile,
    asked: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA|TEXT",
            show_default=False,
            callback=check_asked,
            help="A text, if no file is called so; or what fit takes: documents, a picture or a folder of them, rows.",
        ),
    ],
    k: Annotated[
        int | None, typer.Option("-k", show_default=False, help="How many to find. Default: 10, or all if fewer.")
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(
            metavar="BITS", show_default=False, help="Find all that differ in so few bits; with -k at most so many."
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="FILE", show_default=False, help="Find only these items: a file with an id on each line."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="BUDGET",
            show_default=False,
            help="End a search through hash tables after so long, and say how much of the answer is proven.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="TABLE",
            show_default=False,
            help="Write the answers as a .csv, .tsv, .xlsx or .parquet file instead of showing them.",
        ),
    ] = None,
    text: TextColumn = None,
    kind: Kind = None,
    skip: Skip = False,
) -> None:
    """Find the items that are most alike: those whose codes differ from that of the query in the fewest bits.

    \b
    isthmus search query articles.safetensors "the price of used cars"
    isthmus search query photos.safetensors cat.png -k 5
    isthmus search query cells.safetensors new.csv --radius 2 -o found.csv
    """
    if len(asked) > 1:
        raise InputError(f"give one query: of several files their folder; a text in quotes, {' '.join(asked)!r}")
    if radius is not None and seconds is not None:
        raise InputError("--radius finds all that are so near, exactly: leave out --seconds")
    if k is not None and k < 1:
        raise InputError(f"-k must be a whole number >= 1; got {k}")
    if seconds is not None and not seconds > 0:
        raise InputError(f"--seconds must be a number above 0; got {seconds:g}")
    if output is not None:
        check_output("-o", output, WORDED_TABLES, model, *filter(os.path.exists, asked))
    from isthmus import commands_search
    from isthmus.commands_items import Asked
    from isthmus.commands_search import Search

    wish = Search(k, radius, where, seconds)
    commands_search.query(model, asked[0], Asked(text, skip=skip, kind=kind), wish, output)


def bits_of(text: str) -> int | str:
    """The number of bits, or ``"auto"``.

    >>> bits_of("64"), bits_of("auto")
    (64, 'auto')
    """
    if text == "auto":
        return text
    if not text.isdecimal() or not 8 <= int(text) <= 1024:
        raise InputError(f"--bits must be auto or a whole number from 8 to 1024; got {text!r}")
    return int(text)
