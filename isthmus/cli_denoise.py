"""``isthmus denoise``: what its commands are called and take; the work is in `commands_denoise.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli_options import TRAINING, ModelOut, Quiet
from isthmus.errors import InputError
from isthmus.outputs import check_output

denoise = typer.Typer(
    name="denoise",
    help="Take the noise out of pictures, series and video: learn how from clean data, from pairs, or from noisy data.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

DATA = "A folder of images, one image, or a .npy, .csv or other file of an array."
Skip = Annotated[bool, typer.Option("--skip", help="Leave out files that cannot be read, naming them.")]


@denoise.command("fit")
def fit(
    data: Annotated[str, typer.Argument(metavar="DATA", show_default=False, help=f"What to learn from. {DATA}")],
    output: ModelOut,
    noise: Annotated[
        str,
        typer.Option(help="gaussian, salt_and_pepper, mask or blocks, for clean DATA; blind, for noisy DATA alone."),
    ] = "gaussian",
    level: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|LOW,HIGH",
            help="Its strength: of gaussian its standard deviation in the data's units, else the share of the cells. "
            "Default: unknown.",
        ),
    ] = None,
    noisy: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="The noisy twins of DATA, of the same names or in the same order."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--data", help="What the data are: auto, images, series, video or table.")
    ] = "auto",
    neighbours: Annotated[int, typer.Option(help="Of video: frames on either side to clean a frame with.")] = 0,
    patch: Annotated[int, typer.Option(help="Side of the squares that larger pictures are cut into.")] = 64,
    skip: Skip = False,
    epochs: Annotated[int | None, typer.Option(help="Most passes over the data.", rich_help_panel=TRAINING)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Patches in one step.", rich_help_panel=TRAINING)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Size of the first steps.", rich_help_panel=TRAINING)
    ] = None,
    max_time: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop after so long.", rich_help_panel=TRAINING)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=TRAINING)] = "auto",
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.", rich_help_panel=TRAINING)] = 0,
    quiet: Quiet = False,
) -> None:
    """Learn to take noise away, and write the denoiser to a file.

    \b
    isthmus denoise fit clean/ -o denoiser.safetensors
    isthmus denoise fit clean/ -o denoiser.safetensors --level 10,50
    isthmus denoise fit clean/ --noisy noisy/ -o denoiser.safetensors
    isthmus denoise fit noisy/ --noise blind -o denoiser.safetensors
    """
    check_output("-o", output, (".safetensors",), data)
    if noisy is not None and (noise != "gaussian" or level is not None):
        raise InputError("--noisy brings the noise along: leave out --noise and --level")
    from isthmus import commands_denoise

    settings = {
        "noise": noise if noisy is None else "pairs",
        "level": strength(level),
        "data": kind,
        "neighbours": neighbours,
        "patch": patch,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_time": max_time,
        "device": device,
        "random_state": seed,
        "verbose": int(not quiet),
    }
    commands_denoise.fit(data, noisy, output, settings, skip)


@denoise.command("apply")
def apply(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help="The file that fit wrote.")],
    data: Annotated[str, typer.Argument(metavar="DATA", show_default=False, help=f"What to clean. {DATA}")],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER|FILE",
            show_default=False,
            help="A folder for a folder, else a file with the ending of DATA.",
        ),
    ],
    skip: Skip = False,
    quiet: Quiet = False,
) -> None:
    """Take the noise out of data. Images keep their names, formats and bit depth; what is read is never written over.

    Of one bit, of a palette or of CMYK they come back as grey or RGB. Earlier results of the same names are replaced.

    \b
    isthmus denoise apply denoiser.safetensors noisy/ -o cleaned/
    isthmus denoise apply denoiser.safetensors photo.png -o cleaned.png
    """
    if not Path(data).is_dir():
        check_output("-o", output, (Path(data).suffix.lower(),), data, model)
    from isthmus import commands_denoise

    commands_denoise.apply(model, data, output, skip, quiet)


def strength(text: str | None) -> float | tuple[float, float] | None:
    """A level as it is written: a number, or two with a comma.

    >>> strength("25"), strength("10,50"), strength(None)
    (25.0, (10.0, 50.0), None)
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise InputError(f"--level must be a number, or LOW,HIGH such as 10,50; got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])
