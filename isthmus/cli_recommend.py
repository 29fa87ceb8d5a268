"""``isthmus recommend``: what its commands are called and take; the work is in `commands_recommend.py`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from isthmus.cli_options import WORDED_TABLES, ModelFile, ModelOut, Quiet, Seed, check_data, check_data_if_any
from isthmus.errors import InputError
from isthmus.outputs import check_output

recommend = typer.Typer(
    name="recommend",
    help="Recommend items to anyone by a list of who did what: films, books, songs, articles, whatever has an id.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

PANEL = "Columns (default: those with a usual name, such as user_id, movieId, rating, timestamp)"

Interactions = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=check_data,
        help="A .csv, .tsv, .jsonl or .parquet file with a row for every interaction: who, what, and, where there "
        "are such, a weight or rating and a time.",
    ),
]
User = Annotated[str | None, typer.Option("--user", metavar="COLUMN", show_default=False, rich_help_panel=PANEL)]
Item = Annotated[str | None, typer.Option("--item", metavar="COLUMN", show_default=False, rich_help_panel=PANEL)]
Weight = Annotated[
    str | None,
    typer.Option(
        "--weight", metavar="COLUMN|none", show_default=False, rich_help_panel=PANEL, help="none: each row counts 1."
    ),
]
Time = Annotated[str | None, typer.Option("--time", metavar="COLUMN|none", show_default=False, rich_help_panel=PANEL)]
Given = Annotated[
    str | None,
    typer.Option(
        "--given",
        metavar="FILE",
        show_default=False,
        callback=check_data_if_any,
        help="A table with a row for each user: what is known of them beside, such as a town or an age.",
    ),
]
HowMany = Annotated[
    int | None,
    typer.Option(
        "-k",
        metavar="N",
        show_default=False,
        help="The length of the lists. Default: 10, or all where there are fewer.",
    ),
]
ListOut = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="TABLE",
        show_default=False,
        help="Write the lists as a .csv, .tsv, .xlsx or .parquet file instead of showing them.",
    ),
]


@recommend.command("fit")
def fit(
    data: Interactions,
    output: ModelOut,
    given: Given = None,
    item_given: Annotated[
        str | None,
        typer.Option(
            "--item-given",
            metavar="FILE",
            show_default=False,
            callback=check_data_if_any,
            help="A table with a row for each item, such as its kinds (Comedy|Crime); items that nobody took yet join.",
        ),
    ] = None,
    user: User = None,
    item: Item = None,
    weight: Weight = None,
    time: Time = None,
    at_least: Annotated[
        float | None,
        typer.Option(
            "--at-least",
            metavar="RATING",
            show_default=False,
            help="Learn only from ratings of at least so much, each as 1; others are not recommended again either.",
        ),
    ] = None,
    duplicates: Annotated[
        str | None,
        typer.Option(
            metavar="sum|last",
            show_default=False,
            help="Of a pair that comes more than once: add the weights up, or let the last count, 0 too. Default: sum; "
            "with --at-least, last.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Linear: ease, edlae, sparse (for tens of thousands of items). Deep, with a linear path: masked, "
            "mult_vae, mult_dae, rec_vae. Or popularity; auto: the best for users that are held out.",
            rich_help_panel="Model",
        ),
    ] = "auto",
    strength: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|auto",
            help="How far weights are held back; auto: the best for users that are held out.",
            rich_help_panel="Model",
        ),
    ] = "auto",
    dropout: Annotated[
        str,
        typer.Option(metavar="SHARE|auto", help="Of edlae and sparse, 0 to below 1.", rich_help_panel="Model"),
    ] = "auto",
    neighbours: Annotated[
        int, typer.Option(metavar="N", help="Of sparse: weights for each item, at most.", rich_help_panel="Model")
    ] = 100,
    code_size: Annotated[
        int, typer.Option("--code-size", metavar="N", help="Of deep methods.", rich_help_panel="Model")
    ] = 200,
    hidden: Annotated[
        str,
        typer.Option(
            metavar="N[,N...]", help="Of deep methods: widths of the encoder's hidden layers.", rich_help_panel="Model"
        ),
    ] = "600",
    epochs: Annotated[int, typer.Option(metavar="N", help="Of deep methods, at most.", rich_help_panel="Model")] = 100,
    gain: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|auto", help="Of deep methods: weight of the linear path.", rich_help_panel="Model"
        ),
    ] = "auto",
    given_weight: Annotated[
        str,
        typer.Option(
            "--given-weight", metavar="NUMBER|auto", help="Of what is known of users.", rich_help_panel="Model"
        ),
    ] = "auto",
    item_given_weight: Annotated[
        str,
        typer.Option(
            "--item-given-weight", metavar="NUMBER|auto", help="Of what is known of items.", rich_help_panel="Model"
        ),
    ] = "auto",
    max_time: Annotated[
        float | None,
        typer.Option(
            "--max-time",
            metavar="SECONDS",
            show_default=False,
            help="For training networks, half of it for the search.",
            rich_help_panel="Model",
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn from who did what, and write the model, which holds the interactions too.

    \b
    isthmus recommend fit ratings.csv -o films.safetensors
    isthmus recommend fit ratings.csv -o films.safetensors --at-least 4
    isthmus recommend fit loans.csv -o books.safetensors --user reader --item title
    isthmus recommend fit loans.csv -o books.safetensors --given readers.csv --item-given books.csv
    """
    check_output("-o", output, (".safetensors",), data, *(path for path in (given, item_given) if path))
    settings: dict[str, Any] = {
        "method": method,
        "strength": number_of("--strength", strength),
        "dropout": number_of("--dropout", dropout),
        "neighbours": neighbours,
        "at_least": at_least,
        "code_size": code_size,
        "hidden": widths_of(hidden),
        "epochs": epochs,
        "gain": number_of("--gain", gain),
        "given_weight": number_of("--given-weight", given_weight),
        "item_given_weight": number_of("--item-given-weight", item_given_weight),
        "max_time": max_time,
        "random_state": seed,
        "verbose": int(not quiet),
    }
    from isthmus import commands_recommend

    told = {"given": given, "item_given": item_given}
    columns = columns_of(user, item, weight, time) | {"duplicates": duplicates}
    commands_recommend.fit(data, output, settings, columns, told)


@recommend.command("for")
def for_(
    model: ModelFile,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            show_default=False,
            callback=check_data_if_any,
            help="Histories: a table with a row for every interaction. Default: nobody in --given has one.",
        ),
    ] = None,
    given: Given = None,
    k: HowMany = None,
    output: ListOut = None,
    explain: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default=False, help="Say because of what: at most so many items of the history."
        ),
    ] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Also recommend what is in the history.")] = False,
    user: User = None,
    item: Item = None,
    weight: Weight = None,
    time: Time = None,
) -> None:
    """Recommend items to every user of DATA, by what DATA holds of each: users of the fit or others.

    \b
    isthmus recommend for films.safetensors histories.csv -k 20
    isthmus recommend for films.safetensors histories.csv -k 20 --explain 2 -o lists.csv
    isthmus recommend for films.safetensors --given newcomers.csv
    """
    if data is None and given is None:
        raise InputError("DATA: give a table of histories, or --given what is known of people without any")
    if explain is not None and explain < 1:
        raise InputError(f"--explain must be a whole number >= 1; got {explain}")
    if output is not None:
        check_output("-o", output, WORDED_TABLES, model, *(path for path in (data, given) if path))
    from isthmus import commands_recommend
    from isthmus.commands_recommend import Lists

    wish = Lists(k, explain or 0, exclude_seen=not seen)
    commands_recommend.for_each(model, data, given, columns_of(user, item, weight, time), wish, output)


@recommend.command("similar")
def similar(
    model: ModelFile,
    items: Annotated[list[str], typer.Argument(metavar="ITEM...", show_default=False, help="Ids of items.")],
    k: HowMany = None,
    output: ListOut = None,
) -> None:
    """List the items that are most like others: taken together beyond what all other items explain.

    \b
    isthmus recommend similar films.safetensors "Toy Story (1995)" -k 5
    """
    if output is not None:
        check_output("-o", output, WORDED_TABLES, model)
    from isthmus import commands_recommend

    commands_recommend.similar(model, items, k, output)


@recommend.command("judge")
def judge(
    model: ModelFile,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            show_default=False,
            callback=check_data_if_any,
            help="Histories of users that were not in the fit. Default: a part of the fit's own interactions is held "
            "out, and all models are fitted anew to the rest.",
        ),
    ] = None,
    given: Given = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="PROTOCOL", help="Without DATA: users, items or time; what is held out of the interactions."
        ),
    ] = "users",
    seed: Seed = 0,
) -> None:
    """Judge the lists beside those of popularity and of EASE: a fifth of what users took is hidden and looked for.

    \b
    isthmus recommend judge films.safetensors
    isthmus recommend judge films.safetensors others.csv
    isthmus recommend judge films.safetensors --by time
    """
    if data is not None and by != "users":
        raise InputError("--by parts the fit's own interactions: leave it out, or DATA")
    if data is None and given is not None:
        raise InputError("--given tells of the users of DATA; what the fit was told of its own is in the model")
    from isthmus import commands_recommend

    commands_recommend.judge(model, data, given, by, seed)


def number_of(option: str, text: str) -> float | str:
    """A number, or ``"auto"``.

    >>> number_of("--strength", "0.5"), number_of("--strength", "auto")
    (0.5, 'auto')
    """
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{option} must be auto or a number; got {text!r}") from error


def widths_of(text: str) -> tuple[int, ...]:
    """
    >>> widths_of("600, 400"), widths_of("")
    ((600, 400), ())
    """
    try:
        return tuple(int(width) for width in text.split(",") if width.strip())
    except ValueError as error:
        raise InputError(f"--hidden must be whole numbers and commas, such as 600,400; got {text!r}") from error


def columns_of(user: str | None, item: str | None, weight: str | None, time: str | None) -> dict[str, Any]:
    """The columns that were named; ``none`` stands for no weights and no times.

    >>> columns_of("who", None, "none", None)
    {'user': 'who', 'item': None, 'weight': False, 'time': None}
    """
    without = {name: False if text == "none" else text for name, text in (("weight", weight), ("time", time))}
    return {"user": user, "item": item, **without}
