"""``isthmus compress``: what its commands are called and take; the work is in `commands_compress.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli_options import TRAINING, MaxTime, ModelFile, ModelOut, Quiet, Seed, check_data
from isthmus.errors import InputError
from isthmus.outputs import check_output

compress = typer.Typer(
    name="compress",
    help="Pack data into few bytes, after learning what such data are like: to the bit, or within a bound.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

PAGES = (".html", ".htm")

WRITTEN = (".npy", ".csv", ".tsv", ".parquet", ".xlsx")

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        callback=check_data,
        help="A .csv, .tsv, .xlsx, .parquet, .npy, .npz or idx file, or a folder of images of one size (of any sizes "
        "with --lossy).",
    ),
]
MaxError = Annotated[
    list[str] | None,
    typer.Option(
        "--max-error",
        metavar="NUMBER|COLUMN=NUMBER",
        help="The most that a number may change; default: nothing is lost. With COLUMN= of that column alone; can then "
        "be repeated.",
    ),
]
Relative = Annotated[
    bool, typer.Option("--relative", help="--max-error is a part of the range of the data, or of the column.")
]

Quality = Annotated[
    int | None, typer.Option("--quality", help="0 to 50 of lossy pictures; seven more halve the error. Default: 25.")
]
Bits = Annotated[float | None, typer.Option("--bits", help="Bits of a lossy picture's pixel, at most.")]
Psnr = Annotated[
    float | None, typer.Option("--psnr", help="Peak signal-to-noise ratio of lossy pictures in dB, at least.")
]


@compress.command("fit")
def fit(
    data: Data,
    output: ModelOut,
    max_error: MaxError = None,
    relative: Relative = False,
    kind: Annotated[
        str, typer.Option("--data", help="What the data are: auto, images, table, series or array.")
    ] = "auto",
    lossy: Annotated[
        bool,
        typer.Option("--lossy", help="Pictures of 8 bits, of any sizes, lose what is seen least; pack says how much."),
    ] = False,
    hidden: Annotated[
        str | None,
        typer.Option(metavar="WIDTHS", help="Hidden units of the network, such as 64,64.", rich_help_panel=TRAINING),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data.", rich_help_panel=TRAINING)] = None,
    max_time: MaxTime = None,
    block_rows: Annotated[
        int | None,
        typer.Option(help="Rows that are packed together, and can be unpacked alone. Default: by their size."),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Learn what DATA are like, and write the model to a file.

    \b
    isthmus compress fit photos/ -o model.safetensors
    isthmus compress fit people.csv -o model.safetensors
    isthmus compress fit field.npy -o model.safetensors --max-error 0.001
    isthmus compress fit photos/ -o model.safetensors --lossy
    """
    check_output("-o", output, (".safetensors",), data)
    settings = {
        "data": kind,
        "max_error": bounds(max_error),
        "relative": relative,
        "lossy": lossy,
        "hidden": widths(hidden),
        "epochs": epochs,
        "max_time": max_time,
        "block_rows": block_rows,
        "random_state": seed,
    }
    from isthmus import commands_compress

    commands_compress.fit(data, output, settings, quiet)


@compress.command("pack")
def pack(
    model: ModelFile,
    data: Data,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="The .isz file to write.")
    ],
    max_error: MaxError = None,
    relative: Relative = False,
    quality: Quality = None,
    bits: Bits = None,
    psnr: Psnr = None,
    include_model: Annotated[
        bool, typer.Option("--include-model", help="The file holds the model, too, and is unpacked without it.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Pack data like those of the fit. Files of .npy, .csv and .parquet may be larger than memory.

    \b
    isthmus compress pack model.safetensors photos/ -o photos.isz
    isthmus compress pack model.safetensors data.npy -o data.isz
    isthmus compress pack model.safetensors data.npy -o data.isz --include-model
    isthmus compress pack model.safetensors photos/ -o photos.isz --psnr 34
    """
    check_output("-o", output, (".isz",), data, model)
    from isthmus import commands_compress

    loss = {"max_error": bounds(max_error), "relative": relative, "quality": quality, "bits": bits, "psnr": psnr}
    commands_compress.pack(model, data, output, loss, include_model, quiet)


@compress.command("unpack")
def unpack(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] FILE",
            show_default=False,
            help="The model that packed the data, unless the .isz file holds it; and that file.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|FOLDER",
            show_default=False,
            help="Of arrays a .npy file, of tables a .csv, .tsv, .parquet or .xlsx file, of pictures also a folder.",
        ),
    ],
    rows: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Only these rows, counted from 0, the last left out: 100:200 are a hundred."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the data of an .isz file again.

    \b
    isthmus compress unpack model.safetensors data.isz -o data.npy
    isthmus compress unpack model.safetensors data.isz -o some.npy --rows 0:100
    """
    if len(files) > 2:
        raise InputError(f"unpack takes the model and one .isz file; got {len(files)} files")
    if Path(output).suffix:
        check_output("-o", output, WRITTEN, *files)
    from isthmus import commands_compress

    commands_compress.unpack(files[0] if len(files) == 2 else None, files[-1], output, part(rows), quiet)


@compress.command("judge")
def judge(
    model: ModelFile,
    data: Data,
    report: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write a report, an .html file: verdicts, sizes, speeds, and curves."),
    ] = None,
) -> None:
    """How small and how fast, beside lzma, bz2, zlib and zstd, and PNG and WebP, Parquet, or SZ3 and ZFP;
    of lossy pictures beside JPEG, WebP and AVIF.

    \b
    isthmus compress judge model.safetensors new.csv
    isthmus compress judge model.safetensors photos/ --report compression.html
    """
    if report is not None:
        check_output("--report", report, PAGES, data, model)
    from isthmus import commands_compress

    commands_compress.judge(model, data, report)


def bounds(texts: list[str] | None) -> float | dict[str, float] | None:
    """The bounds as they are written.

    >>> bounds(None), bounds(["0.5"]), bounds(["age=1", "a=b=0.5"])
    (None, 0.5, {'age': 1.0, 'a=b': 0.5})
    """
    if not texts:
        return None
    pairs = [text.rpartition("=") for text in texts]
    try:
        numbers = [float(number) for _, _, number in pairs]
    except ValueError:
        numbers = []
    named = all(mark and name for name, mark, _ in pairs)
    if not numbers or not (named or (len(texts) == 1 and not pairs[0][1])):
        raise InputError(f"--max-error must be a number such as 0.001, or COLUMN=NUMBER; got {', '.join(texts)}")
    return {name: number for (name, _, _), number in zip(pairs, numbers, strict=True)} if named else numbers[0]


def widths(text: str | None) -> tuple[int, ...] | None:
    """
    >>> widths("64,32"), widths(None)
    ((64, 32), None)
    """
    if text is None:
        return None
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise InputError(f"--hidden must be whole numbers such as 64,64; got {text!r}") from error


def part(text: str | None) -> slice | None:
    """
    >>> part("100:200"), part(":5"), part(None)
    (slice(100, 200, None), slice(None, 5, None), None)
    """
    if text is None:
        return None
    first, mark, last = text.partition(":")
    if not mark or not all(end.isdecimal() for end in (first, last) if end):
        raise InputError(f"--rows must be A:B, such as 100:200; got {text!r}")
    return slice(int(first) if first else None, int(last) if last else None)
