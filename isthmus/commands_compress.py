"""What ``isthmus compress`` does: data become a model and small files, and small files data again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from isthmus.commands_data import model_at
from isthmus.commands_info import say_compressor
from isthmus.commands_lines import line, say_next, size_in_words, size_of
from isthmus.errors import InputError
from isthmus.estimators.compressor import Compressor


@contextmanager
def by_option(data: str) -> Iterator[None]:
    """Let errors about arguments name the options and the file."""
    try:
        yield
    except InputError as error:
        sentence = re.sub(r"\bmax_error\b", "--max-error", str(error))
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
    existed = Path(output).exists()
    with by_option(data):
        compressor = Compressor(**settings).fit(data)
    compressor.save(output)
    if quiet:
        return
    say_compressor(compressor)
    line("written", f"{output} ({size_of(output, existed)})")
    say_next(
        ["compress", "pack", output, data, "-o", "data.isz"], ["compress", "unpack", output, "data.isz", "-o", "DATA"]
    )


def pack(model_path: str, data: str, output: str, loss: dict[str, Any], include_model: bool, quiet: bool) -> None:
    """Write the small file, and say how small."""
    compressor, existed, start = compressor_at(model_path), Path(output).exists(), time.perf_counter()
    with by_option(data):
        compressor.pack(data, output, **loss, include_model=include_model)
    if quiet:
        return
    seconds, inside = time.perf_counter() - start, " the model included," if include_model else ""
    before = 0 if Path(data).is_dir() else Path(data).stat().st_size
    of = f" of {size_in_words(before)}" if before else ""
    print(f"{output}: {size_of(output, existed)}{of},{inside} in {seconds:.1f} seconds")


def unpack(model_path: str | None, packed: str, output: str, rows: slice | None, quiet: bool) -> None:
    """Write the data again."""
    compressor = Compressor() if model_path is None else compressor_at(model_path)
    existed, start = Path(output).exists(), time.perf_counter()
    with by_option(packed):
        compressor.unpack(packed, output, rows=rows)
    if not quiet:
        size = "a folder" if Path(output).is_dir() else size_of(output, existed)
        print(f"{output}: {size}, in {time.perf_counter() - start:.1f} seconds")


def judge(model_path: str, data: str) -> None:
    """How small and how fast, beside others."""
    compressor = compressor_at(model_path)
    with by_option(data):
        print(compressor.judge(data))
