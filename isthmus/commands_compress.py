"""What ``isthmus compress`` does: data become a model and small files, and small files data again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from isthmus.coding.container import written
from isthmus.commands_data import model_at
from isthmus.commands_info import say_compressor
from isthmus.commands_lines import line, say_next, size_in_words, size_of
from isthmus.errors import InputError
from isthmus.estimators.compressor import Compressor
from isthmus.estimators.compressor_lossy import Target
from isthmus.estimators.compressor_packing import Loss, Summary, add_blocks, begun, opened_for, times, with_psnr
from isthmus.report.figures import duration

IN_THE_SHELL = {
    r"for a Compressor with lossy=False; give quality, bits or psnr": (
        "for models that were fitted without --lossy; give --quality, --bits or --psnr"
    ),
    r"^quality, bits and psnr are for Compressor\(lossy=True\); give max_error, or fit such a one": (
        "--quality, --bits and --psnr are for models that were fitted with --lossy; give --max-error, or fit with it"
    ),
    r"^give quality, bits or psnr,": "give --quality, --bits or --psnr,",
    r"is kept where lossy=False; lossy=True takes quality, bits or psnr when it compresses": (
        "is kept without --lossy; --lossy takes quality, bits or psnr when it packs"
    ),
    r"does not hold its model: load that, .*": "does not hold its model: isthmus compress unpack MODEL FILE -o OUT",
    r"Resize or convert them first: ist\.data\.image_folder .*": (
        "--lossy takes pictures of any sizes; or make them alike with another program"
    ),
    r" ist\.data\.image_folder\(folder, mode='colour'\) makes them alike": " Make them alike with another program",
    r" Convert .* in place of lossy=True": " Save them so, or leave --lossy out",
    r"takes pictures; use max_error= for tables": "takes pictures; use --max-error for tables",
}
"""What the library says to those who write Python, and what it means here."""


@contextmanager
def by_option(data: str) -> Iterator[None]:
    """Let errors about arguments name the options and the file."""
    try:
        yield
    except InputError as error:
        sentence = str(error)
        for pattern, shell in IN_THE_SHELL.items():
            sentence = re.sub(pattern, shell, sentence)
        sentence = re.sub(r"\bmax_error\b", "--max-error", sentence)
        sentence = re.sub(r"\blossy=True", "--lossy", sentence)
        sentence = re.sub(r"^(quality|bits|psnr|lossy)\b", r"--\1", sentence)
        sentence = re.sub(r"^rows must", "--rows must", sentence)
        sentence = re.sub(r"^(hidden|epochs|max_time|data)\b", lambda m: f"--{m[1].replace('_', '-')}", sentence)
        sentence = sentence.replace("relative=True", "--relative").replace("block_rows", "--block-rows")
        raise InputError(re.sub(r"^X\b", repr(data), sentence)) from error


def compressor_at(path: str) -> Compressor:
    """The compressor of a file."""
    return cast(Compressor, model_at(path, (Compressor,), "isthmus compress fit makes a Compressor"))


def fit(data: str, output: str, settings: dict[str, Any], quiet: bool) -> None:
    """Learn, save, and say what was learnt."""
    existed, start = Path(output).exists(), time.perf_counter()
    with by_option(data):
        compressor = Compressor(**settings).fit(data)
    compressor.save(output)
    if quiet:
        return
    say_compressor(compressor, Path(output).stat().st_size)
    line("learnt in", duration(time.perf_counter() - start))
    line("written", f"{output} ({size_of(output, existed)}; kept once, for all files of such data)")
    again = written_as(compressor, data)
    say_next(
        ["compress", "pack", output, data, "-o", "data.isz"],
        ["compress", "unpack", output, "data.isz", "-o", again],
        ["compress", "judge", output, data, "--report", "compression.html"],
    )


def written_as(compressor: Compressor, data: str) -> str:
    """What data of such a name may be unpacked as."""
    if Path(data).is_dir():
        return "unpacked/"
    if compressor.form_.kind != "table":
        return "unpacked.npy"
    ending = Path(data.removesuffix(".gz")).suffix.lower()
    return f"unpacked{ending if ending in ('.tsv', '.parquet', '.xlsx') else '.csv'}"


def pack(model_path: str, data: str, output: str, loss: dict[str, Any], include_model: bool, quiet: bool) -> None:
    """Write the small file, and say how small."""
    compressor, existed, start = compressor_at(model_path), Path(output).exists(), time.perf_counter()
    with by_option(data):
        summary = packed(compressor, data, output, loss, include_model, not quiet)
    if quiet:
        return
    inside, again = " (the model included)" if include_model else "", ", replaced" if existed else ""
    seconds = duration(time.perf_counter() - start)
    size = size_in_words(Path(output).stat().st_size)
    print(f"{output}: {size}{inside}{beside(data, summary, output)}, in {seconds}{again}")
    print(f"{summary}{told_of(compressor, summary)}")


def packed(
    compressor: Compressor, data: str, output: str, loss: dict[str, Any], include_model: bool, measured: bool
) -> Summary:
    """Write the file, and find how good pictures are, where they may lose something and it is asked for."""
    rows = opened_for(compressor, data)
    target = Target(loss["quality"], loss["bits"], loss["psnr"])
    about, form = begun(compressor, rows, Loss(loss["max_error"], loss["relative"], target), include_model)
    with written(output, about) as writer:
        summary = add_blocks(compressor, writer, rows, form, include_model)
    return with_psnr(compressor, rows, form, summary) if measured else summary


def beside(data: str, summary: Summary, output: str) -> str:
    """How large the data were: arrays in memory, tables in their file."""
    before = summary.raw or (0 if Path(data).is_dir() else Path(data).stat().st_size)
    if not before:
        return ""
    what = " of pixels" if Path(data).is_dir() else ""
    return f" of {size_in_words(before)}{what}, {times(before, Path(output).stat().st_size)}"


def told_of(compressor: Compressor, summary: Summary) -> str:
    """What data like those of the fit take; with loss, how to change what these took."""
    if summary.quality is not None:
        return "; --quality, --bits or --psnr ask for more or less"
    return f"; data like those of the fit take {compressor.bits_per_element_:.3f}"


def unpack(model_path: str | None, packed: str, output: str, rows: slice | None, quiet: bool) -> None:
    """Write the data again."""
    compressor = Compressor() if model_path is None else compressor_at(model_path)
    existed, start = Path(output).exists(), time.perf_counter()
    with by_option(packed):
        compressor.unpack(packed, output, rows=rows)
    if not quiet:
        size = "a folder" if Path(output).is_dir() else size_of(output, existed)
        print(f"{output}: {size}, in {duration(time.perf_counter() - start)}")


def judge(model_path: str, data: str, report: str | None) -> None:
    """How small and how fast, beside others."""
    compressor = compressor_at(model_path)
    if report is None:
        with by_option(data):
            print(compressor.judge(data))
        return
    # Drawing takes a second to be imported.
    from isthmus.estimators.compressor_report import write_report

    existed = Path(report).exists()
    with by_option(data):
        print(write_report(compressor, report, data))
    print(f"\n{report}: {size_of(report, existed)}")
