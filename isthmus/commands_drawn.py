"""What was drawn as files: a table, an array, or a folder of PNGs with a contact sheet, whole or not at all."""

from __future__ import annotations

import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.commands_lines import size_of
from isthmus.commands_tables import UNTYPED, whole_rounded
from isthmus.data import Form, write_image, write_table
from isthmus.data.images import image_files
from isthmus.data.pictures import FORMATS, HELD
from isthmus.data.table_form import TableForm
from isthmus.data.writers import WRITTEN, as_numbers
from isthmus.errors import InputError
from isthmus.estimators.reporting import row_in_words
from isthmus.files import cannot_write

SHEET = "sheet.png"
"""The picture that shows all others of its folder."""

LEGIBLE = 56
"""Pixels that the shorter side of a picture has at least on the sheet: smaller ones are enlarged by a whole factor."""

LARGEST = 6000
"""Pixels of a side of the sheet, at most: it shows as many pictures as fit."""

GAP, PAPER = 4, 128
"""Pixels between the pictures of a sheet, and their brightness: grey, so that black and white ones end somewhere."""


@dataclass(frozen=True)
class Order:
    """Where what is drawn goes: the file or folder, the names of pictures without ending, the files that are read, how
    many pictures stand in a line of the sheet, and whether nothing is said."""

    output: str
    names: list[str]
    inputs: tuple[str, ...]
    columns: int
    quiet: bool


def pictures_of(form: Form) -> bool:
    """Whether rows are pictures that PNG files hold."""
    if form.layout.axes[0] != "height" or form.dtypes[0] not in ("uint8", "uint16"):
        return False
    return form.layout.channels in HELD["PNG"][form.dtypes[0] == "uint16"]


def check_form(output: str, form: Form) -> None:
    """Refuse to draw what could not be written as it was asked for."""
    what, ending = f"-o: this model draws {row_in_words(form.layout, most=True)}", Path(output).suffix.lower()
    if is_folder(output) and len(form.layout.shape) == 1 and not form.layout.sequence:
        raise InputError(f"{what}, a table: name a file that ends in {', '.join(WRITTEN)}; got {output!r}")
    if is_folder(output) and not pictures_of(form):
        raise InputError(f"{what} of {form.dtypes[0]}, which no PNG holds: name a .npy file; got {output!r}")
    if ending in FORMATS and not Path(output).is_dir():
        raise InputError(
            f"-o: give a folder for the pictures, such as {str(Path(output).with_suffix(''))!r}: besides each of them "
            f"it gets a {SHEET}, which shows them side by side; got {output!r}"
        )
    if not is_folder(output) and ending != ".npy" and len(form.layout.shape) > 1:
        way = "a folder, for PNG files, or a .npy file" if pictures_of(form) else "a .npy file"
        raise InputError(f"{what}, which fit no table: name {way}; got {output!r}")
    if ending == ".npy" and isinstance(form, TableForm):
        as_numbers(form.wrap(np.zeros((1, form.layout.features))), Path(output))


def is_folder(output: str) -> bool:
    """Whether what is drawn goes to a folder, for pictures: all that is no file of rows."""
    return Path(output).is_dir() or Path(output).suffix.lower() not in WRITTEN


def deliver(
    order: Order,
    form: Form,
    draw: Callable[[], Any],
    said: str,
    shown: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Draw, write, and say what and where.

    Parameters
    ----------
    shown : what the sheet of the drawn pictures shows; None = these.
    """
    output = order.output
    if is_folder(output):
        files = [f"{name}.png" for name in order.names]
        replaced = sum((Path(output) / name).exists() for name in files)
        with folder_whole(output, [*files, SHEET], order.inputs) as folder:
            made = draw()
            every = made if shown is None else shown(made)
            fits = write_pictures(folder, files, made, every, order.columns)
        size = f" ({replaced:,} of the same name replaced)" if replaced else ""
    else:
        existed = Path(output).exists()
        made = draw()
        if output.lower().endswith(UNTYPED) and isinstance(form, TableForm) and form.container == "pandas":
            made = whole_rounded(made, form)
        write_table(output, made, form.names)
        size = f" ({size_of(output, existed)})"
    if order.quiet:
        return
    print(f"{output}: {number_of(len(made), form)} {said}{size}")
    if is_folder(output):
        some = "" if fits == len(every) else f" the first {fits:,} of"
        print(f"{Path(output) / SHEET}: shows{some} them side by side")


def number_of(rows: int, form: Form) -> str:
    """How many rows of what.

    >>> from isthmus.records import Layout
    >>> number_of(1, Form("numpy", None, ("uint8",), Layout((28, 28), ("height", "width"))))
    '1 image of 28 x 28 pixels'
    """
    noun, _, rest = row_in_words(form.layout, most=True).partition(" ")
    return f"{counted(rows, noun.removesuffix('s'))} {rest}"


@contextmanager
def folder_whole(path: str, names: Sequence[str], inputs: Sequence[str] = ()) -> Iterator[Path]:
    """Yield an empty folder; what was written there, and no part of it, is then in the folder ``path``.

    Parameters
    ----------
    path : may exist; pictures of the same names are replaced, other pictures are not there.
    names : of the files that are going to be written.
    inputs : files that are read, and may not be among those.

    Raises
    ------
    InputError : the folder cannot be written to, or holds other pictures, which would be mixed up with these.
    """
    final = Path(os.path.realpath(path))
    check_others(path, final, set(names), inputs)
    made = [folder for folder in (final.parent, *final.parent.parents) if not folder.exists()]
    beside = (final if final.is_dir() else final.parent) / f".{final.name[:100]}.{secrets.token_hex(6)}"
    try:
        try:
            beside.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"-o: {cannot_write(Path(path), error)}") from error
        yield beside
        if final.is_dir():
            for file in sorted(beside.iterdir()):
                os.replace(file, final / file.name)
        else:
            beside.rename(final)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # it holds what was drawn
                folder.rmdir()


def check_others(path: str, final: Path, names: set[str], inputs: Sequence[str]) -> None:
    """Refuse a folder whose own pictures would be lost, or stand among those that are drawn."""
    for file in map(Path, inputs):
        if file.is_dir() and final.is_relative_to(file.resolve()):
            raise InputError(f"-o: {path!r} lies in the folder that is read, {str(file)!r}; choose a folder beside it")
    if not final.is_dir():
        return
    if any((final / name).exists() and (final / name).samefile(file) for name in names for file in inputs):
        raise InputError(f"-o: in {path!r} lies what is read, and would be written over; choose another folder")
    found = {file.relative_to(final).as_posix() for file in image_files(final)}
    others = sorted(found - names)
    if others:
        raise InputError(
            f"-o: {path!r} holds {counted(len(others), 'other picture')}, such as {listed(others[:1])}, among which "
            "the drawn ones would not be told apart; choose an empty folder, or a new one"
        )


def write_pictures(folder: Path, names: Sequence[str], pictures: np.ndarray, shown: np.ndarray, columns: int) -> int:
    """Write pictures (n, height, width[, channels]) under their names, and a sheet of those to be ``shown``, so many
    to a line; how many it shows."""
    for name, picture in zip(names, pictures, strict=True):
        write_image(folder / name, picture)
    sheet, fits = contact_sheet(shown, columns)
    write_image(folder / SHEET, sheet)
    return fits


def contact_sheet(pictures: np.ndarray, columns: int) -> tuple[np.ndarray, int]:
    """Pictures (n, height, width[, channels]) of 8 or 16 bits side by side, as one of 8 bits, and how many it shows.

    Examples
    --------
    >>> sheet, shown = contact_sheet(np.full((5, 28, 28), 255, dtype=np.uint8), columns=3)
    >>> sheet.shape, sheet.dtype, shown, sheet[4:60, 4:60].min(), sheet[0].max()
    ((124, 184), dtype('uint8'), 5, np.uint8(255), np.uint8(128))
    """
    deep = pictures.dtype == np.uint16
    factor = max(1, math.ceil(LEGIBLE / min(pictures.shape[1:3])))
    height, width = (factor * side + GAP for side in pictures.shape[1:3])
    columns = max(1, min(columns, len(pictures), (LARGEST - GAP) // width))
    lines = max(1, min(-(-len(pictures) // columns), (LARGEST - GAP) // height))
    shown = pictures[: lines * columns]
    sheet = np.full((lines * height + GAP, columns * width + GAP, *pictures.shape[3:]), PAPER, dtype=np.uint8)
    if pictures.ndim == 4 and pictures.shape[3] % 2 == 0:
        sheet[..., -1] = 255  # the last of 2 or 4 is transparency
    for place, picture in enumerate(shown):
        top, left = (GAP + side * number for side, number in zip((height, width), divmod(place, columns), strict=True))
        large = ((picture >> 8) if deep else picture).astype(np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)
        sheet[top : top + height - GAP, left : left + width - GAP] = large
    return sheet, len(shown)
