"""The command line: what the commands are called, what they take, and what is said when something goes wrong.

The work is in `commands.py` and `demo.py`, which are imported only when a command runs, so that help is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from isthmus.cli_anomalies import anomalies
from isthmus.cli_compress import compress
from isthmus.cli_denoise import denoise
from isthmus.cli_features import features
from isthmus.cli_generate import generate
from isthmus.cli_messages import explained, notes, say
from isthmus.cli_options import (
    TABLES,
    TRAINING,
    BatchSize,
    Columns,
    DataFile,
    Device,
    Epochs,
    GivenNames,
    Labels,
    LearningRate,
    MaxTime,
    ModelFile,
    ModelOut,
    Quiet,
    Scale,
    Seed,
    TableFile,
    ValidationFraction,
    check_data,
)
from isthmus.cli_recommend import recommend
from isthmus.cli_search import search
from isthmus.cli_tables import impute
from isthmus.errors import InputError
from isthmus.outputs import check_folder, check_output
from isthmus.version import VERSION

OVERVIEW = """\
isthmus fits autoencoders: networks that squeeze each row of a table, or each
image, into a few numbers (its code) and rebuild it from them.

Three commands to try:

  isthmus demo
      see it work on handwritten digits (about a minute, nothing is downloaded)

  isthmus info DATA
      what would be decided about your CSV, Parquet, .npy or folder of images

  isthmus fit DATA -o model.safetensors --report report.html
      fit an autoencoder to it, and see how good it really is

isthmus --help lists every command, isthmus COMMAND --help explains one.
"""


class Commands(TyperGroup):
    """The group of all commands; turns what a user did wrong into one line and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = [str(word) for word in (sys.argv[1:] if args is None else args)]
        debug = "--debug" in words or os.environ.get("ISTHMUS_DEBUG", "0") not in ("", "0")
        words = [word for word in words if word != "--debug"]
        with notes(debug):
            try:
                code = super().main(words, prog_name, complete_var, False, windows_expand_args, obj=words, **extra)
                sys.stdout.flush()
            except BrokenPipeError:
                # Whoever read our output has seen enough (`| head`); Python must not complain when it flushes.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(1)
            except Exception as error:
                said = explained(error)
                if said is None or debug:
                    raise
                if said[0]:
                    say(said[0])
                sys.exit(said[1])
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            say(f"interrupted{'. ' if interrupt.args else ''}{' '.join(map(str, interrupt.args))}")
            raise typer.Exit(130) from interrupt


app = typer.Typer(
    name="isthmus",
    cls=Commands,
    help="Autoencoders for data without labels: fit one, see how good it really is, use it.",
    epilog="Begin with: isthmus demo",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(denoise)
app.add_typer(anomalies)
app.add_typer(generate)
app.add_typer(search)
app.add_typer(recommend)
app.add_typer(compress)
app.add_typer(features)


def main() -> None:
    """What the command ``isthmus`` calls."""
    app(prog_name="isthmus")


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"isthmus {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(OVERVIEW, nl=False)


@app.command()
def fit(
    context: typer.Context,
    data: DataFile,
    output: ModelOut,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="The kind; 'isthmus methods' lists them.", rich_help_panel="Model")
    ] = "undercomplete",
    code_size: Annotated[
        int | None,
        typer.Option(help="Numbers per row in the code. Default: a share of the columns.", rich_help_panel="Model"),
    ] = None,
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KNOB=VALUE",
            help="A knob of the kind, such as weight=0.5 or 'corruption=Mask(0.2)'; also loss, bottleneck, corruption "
            "and penalties, which every kind has. Can be repeated.",
            rich_help_panel="Model",
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            metavar="WIDTHS|NETWORK",
            help="Widths of the hidden layers, such as 500,100; or dense, convolutional, recurrent, or one with its "
            "knobs, such as 'Recurrent(hidden=32)'; or auto.",
            rich_help_panel="Model",
        ),
    ] = "auto",
    scale: Scale = "auto",
    column: Columns = None,
    labels: Labels = None,
    given: GivenNames = None,
    report: Annotated[
        str | None, typer.Option(metavar="FILE", help="Also write a report, an .html file, about these rows.")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    validation_fraction: ValidationFraction = None,
    max_time: MaxTime = None,
    target: Annotated[
        float | None, typer.Option(help="Stop as soon as the held-out error is this small.", rich_help_panel=TRAINING)
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Keep the state of the fit there, so that it can go on.", rich_help_panel=TRAINING
        ),
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time between checkpoints.", rich_help_panel=TRAINING)
    ] = 30.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.", rich_help_panel=TRAINING)
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Fit an autoencoder to data, judge it beside PCA, and write it to a file.

    \b
    isthmus fit cells.csv -o cells.safetensors --report report.html
    isthmus fit photos/ -o photos.safetensors --method deep --max-time 600
    isthmus fit cells.csv -o m.safetensors --method sparse --set weight=0.5
    """
    check_output("-o", output, (".safetensors",), data)
    if report is not None:
        check_output("--report", report, (".html", ".htm"), data)
    if resume and checkpoint is None:
        raise InputError("--resume: say which state to go on from: --checkpoint FOLDER, as in the interrupted fit")
    if checkpoint is not None:
        check_folder("--checkpoint", checkpoint)
    from isthmus import commands
    from isthmus.assignments import kind_of
    from isthmus.commands_data import Given
    from isthmus.commands_tables import columns_asked

    settings = {
        "code_size": code_size,
        "scale": scale,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation_fraction": validation_fraction,
        "max_time": max_time,
        "target": target,
        "device": device,
        "random_state": seed,
        "verbose": int(not quiet),
        "checkpoint": checkpoint,
        "checkpoint_every": checkpoint_every,
    }
    kind = kind_of(method, knobs or [], network)
    columns = columns_asked(column)
    commands.fit(
        data,
        output,
        {**kind, **settings},
        columns,
        labels=labels,
        given=Given(data, tuple(given or ())),
        report=report,
        resume=resume,
        words=context.obj,
    )


@app.command()
def encode(
    model: ModelFile, data: DataFile, output: TableFile, column: Columns = None, given: GivenNames = None
) -> None:
    """Write the code of every row: a few numbers that stand for it, to plot, cluster or search by.

    \b
    isthmus encode cells.safetensors cells.csv -o codes.csv
    isthmus encode photos.safetensors photos/ -o codes.npy
    """
    check_output("-o", output, TABLES, data, model)
    from isthmus import commands
    from isthmus.commands_data import Given
    from isthmus.commands_tables import columns_asked

    commands.encode(model, data, output, columns_asked(column), Given(data, tuple(given or ())))


@app.command()
def reconstruct(
    model: ModelFile, data: DataFile, output: TableFile, column: Columns = None, given: GivenNames = None
) -> None:
    """Write every row as the model rebuilds it, in the units and columns of DATA: repaired, or smoothed.

    \b
    isthmus reconstruct cells.safetensors cells.csv -o rebuilt.csv
    isthmus reconstruct photos.safetensors photos/ -o rebuilt.npy
    """
    check_output("-o", output, TABLES, data, model)
    from isthmus import commands
    from isthmus.commands_data import Given
    from isthmus.commands_tables import columns_asked

    commands.reconstruct(model, data, output, columns_asked(column), Given(data, tuple(given or ())))


app.command()(impute)


@app.command()
def report(
    model: ModelFile,
    data: DataFile,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="The .html file to write.")
    ],
    column: Columns = None,
    labels: Labels = None,
    given: GivenNames = None,
) -> None:
    """Write one HTML page that says how good a model is: curves, rebuilt rows, odd rows, verdicts in plain words.

    \b
    isthmus report cells.safetensors cells.csv -o report.html --labels diagnosis
    """
    check_output("-o", output, (".html", ".htm"), data, model)
    from isthmus import commands
    from isthmus.commands_data import Given
    from isthmus.commands_tables import columns_asked

    beside = Given(data, tuple(given or ()))
    commands.report(model, data, output, columns_asked(column), labels, beside)


@app.command()
def export(
    model: ModelFile,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="The .onnx file to write.")
    ],
    part: Annotated[str, typer.Option(help="encoder, decoder, reconstruct or score.")] = "encoder",
) -> None:
    """Write a part of a model as ONNX, scaling included, for programs that know neither Python nor isthmus.

    Reconstructions of whole numbers, such as pixels, are clipped to the range of
    their type but not rounded: that is left to you. Rows go in and come out as
    float32, in the units of the data.

    \b
    isthmus export cells.safetensors -o encoder.onnx --part encoder
    """
    check_output("-o", output, (".onnx",), model)
    from isthmus import commands

    commands.export(model, output, part)


@app.command()
def compare(
    data: DataFile,
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME", help="Kinds to fit, and kernel_pca, umap, tsne. PCA is there unless columns are mixed."
        ),
    ] = "undercomplete,linear",
    code_sizes: Annotated[
        str | None, typer.Option(metavar="N,N", help="The code sizes. Default: three, up to a quarter of the columns.")
    ] = None,
    scale: Scale = "auto",
    column: Columns = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="A column of DATA, or a file with one label per row: left out of the fits; do near codes share it?",
            rich_help_panel="Data",
        ),
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    validation_fraction: ValidationFraction = None,
    max_time: MaxTime = None,
    search_time: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Search learning rate, layers and the like, so long for each method; needs isthmus\\[tune].",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    search_trials: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Fits of a search, at most, for each method and code size.", rich_help_panel=TRAINING
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Fit several kinds and code sizes and judge them beside PCA: what is lost, how fast, and what the codes keep.

    Labels are not learnt from: they tell whether rows with near codes are alike.

    \b
    isthmus compare cells.csv
    isthmus compare cells.csv --methods undercomplete,deep --code-sizes 2,4,8
    isthmus compare cells.csv --methods vae,kernel_pca,umap --code-sizes 2 --labels group
    isthmus compare cells.csv --methods deep,vae --code-sizes 8 --search-time 120
    """
    from isthmus import commands
    from isthmus.commands_tables import columns_asked

    settings = {
        "scale": scale,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "validation_fraction": validation_fraction,
        "max_time": max_time,
        "search_time": search_time,
        "search_trials": search_trials,
        "device": device,
        "random_state": seed,
        "verbose": int(not quiet),
    }
    commands.compare(data, methods, code_sizes, settings, columns_asked(column), labels)


@app.command()
def info(
    path: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATA",
            show_default=False,
            callback=check_data,
            help="A model file, an .isz file, or data as fit takes it.",
        ),
    ],
    column: Columns = None,
    every: Annotated[bool, typer.Option("--all", help="Show every column, however many there are.")] = False,
) -> None:
    """Say what a model is and how good; what an .isz file holds; or, for data, what would be decided about it.

    \b
    isthmus info cells.safetensors
    isthmus info cells.csv
    """
    from isthmus import commands_info
    from isthmus.commands_tables import columns_asked

    commands_info.info(path, columns_asked(column), every)


@app.command()
def methods() -> None:
    """List the kinds of autoencoder: what each is, its knobs with their defaults, and its paper.

    \b
    isthmus methods
    """
    from isthmus import commands

    commands.methods()


@app.command()
def demo(
    folder: Annotated[str, typer.Option(metavar="FOLDER", help="Where the model and the report go.")] = "isthmus-demo",
) -> None:
    """Fit, judge and use an autoencoder on handwritten digits that come with scikit-learn.

    It takes about a minute, less on a quiet machine; nothing is downloaded.

    \b
    isthmus demo
    """
    check_folder("--folder", folder)
    from isthmus.demo import run

    run(folder)


if __name__ == "__main__":
    main()
