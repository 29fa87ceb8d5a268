"""``isthmus anomalies``: what its commands are called and take; the work is in `commands_anomalies.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli_options import (
    TABLES,
    TRAINING,
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
    TableFile,
)
from isthmus.errors import InputError
from isthmus.outputs import check_output

anomalies = typer.Typer(
    name="anomalies",
    help="Find rows that are odd, say why, and alarm as often as you ask: learn from rows that are mostly ordinary.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

PAGES = (".html", ".htm")


@anomalies.command("fit")
def fit(
    data: DataFile,
    output: ModelOut,
    alarm_rate: Annotated[float, typer.Option(help="Share of ordinary rows that may raise an alarm.")] = 0.01,
    distance: Annotated[
        bool, typer.Option("--distance/--no-distance", help="Whether the distance to the nearest row counts too.")
    ] = True,
    kind: Annotated[
        str,
        typer.Option("--data", help="What the data are: auto; or series, whose rows are the steps of one, in order."),
    ] = "auto",
    cascade: Annotated[
        int,
        typer.Option(
            metavar="STAGES",
            help="More than 1: rows that one autoencoder rebuilds badly go to the next. For pictures, and for tables "
            "of numbers, with several kinds of ordinary rows.",
        ),
    ] = 1,
    column: Columns = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write a report, an .html file, about the rows of the fit."),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_time: MaxTime = None,
    device: Device = "auto",
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            "--random-state",
            help="The same seed gives the same detector on one machine.",
            rich_help_panel=TRAINING,
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Learn what is ordinary from DATA, whose rows are ordinary but for a few, and write the detector to a file.

    \b
    isthmus anomalies fit normal.csv -o detector.safetensors
    isthmus anomalies fit photos/ -o detector.safetensors --alarm-rate 0.05
    isthmus anomalies fit pump.csv -o detector.safetensors --data series
    """
    check_rate(alarm_rate)
    if kind not in ("auto", "series"):
        raise InputError(f"--data must be auto or series; got {kind!r}")
    check_output("-o", output, (".safetensors",), data)
    if report is not None:
        check_output("--report", report, PAGES, data)
    from isthmus import commands_anomalies
    from isthmus.commands_tables import columns_asked

    settings = {
        "alarm_rate": alarm_rate,
        "distance": distance,
        "data": kind,
        "cascade": cascade,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_time": max_time,
        "device": device,
        "random_state": seed,
    }
    commands_anomalies.fit(data, output, settings, columns_asked(column), report, quiet)


@anomalies.command("score")
def score(
    model: ModelFile,
    data: DataFile,
    output: TableFile,
    explain: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="Also write up to K reasons for rows that alarm: which columns, and what was expected there. Where "
            "fewer than K rows alarm, the K oddest have some too, marked as no alarm; all other rows have none.",
        ),
    ] = 0,
    alarm_rate: Annotated[
        float | None,
        typer.Option(show_default=False, help="Share of ordinary rows that may raise an alarm. Default: that of fit."),
    ] = None,
    column: Columns = None,
    report: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write a report, an .html file, about these rows.")
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Leave rows without a score that hold a cell which cannot be read, such as text among numbers; "
            "otherwise the first such cell is an error.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write the table with a score, a p-value and an alarm for every row; arrays and images have these columns alone.

    The higher anomaly_score, the odder the row; p_value is how probable it is that an ordinary row is as odd.

    \b
    isthmus anomalies score detector.safetensors new.csv -o scored.csv
    isthmus anomalies score detector.safetensors new.parquet -o scored.parquet --explain 3 --report report.html
    """  # fmt: skip
    if alarm_rate is not None:
        check_rate(alarm_rate)
    if explain < 0:
        raise InputError(f"--explain must be a whole number >= 0; got {explain}")
    if explain and output.lower().endswith(".npy"):
        raise InputError(
            f"--explain: reasons are words, which a .npy file cannot hold; write .csv or .parquet, not {output!r}"
        )
    check_output("-o", output, TABLES, data, model)
    if report is not None:
        check_output("--report", report, PAGES, data, model, output)
    from isthmus import commands_anomalies
    from isthmus.commands_tables import columns_asked

    commands_anomalies.score(model, data, output, explain, alarm_rate, columns_asked(column), report, skip_bad, quiet)


def check_rate(rate: float) -> None:
    """Refuse a rate that is none."""
    if not 0.0 < rate < 1.0:
        raise InputError(f"--alarm-rate must be above 0 and below 1, such as 0.01; got {rate:g}")
