"""A block of rows as coded bytes, and back: what the whole numbers cannot stand for, then the model's symbols."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from isthmus.coding.columns import ColumnsModel
from isthmus.coding.container import Block
from isthmus.coding.entropy import Reader, Tally, Writer
from isthmus.coding.grid import GridModel
from isthmus.coding.lossy import LossyModel
from isthmus.coding.rounding import closed
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_arrays import ArrayForm
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_levels import first_part, length_of
from isthmus.estimators.compressor_pictures import PictureForm, coded_pictures, decoded_pictures
from isthmus.estimators.compressor_plain import PLAIN, ints_of, smaller, start_of
from isthmus.estimators.compressor_tables import TableForm

ELEMENTS = 2**21
"""Elements of a block of an array, about."""

TABLE_ROWS = 2**16
"""Rows of a block of a table."""

MOST_ELEMENTS = 2**28
"""Of a block, so that no file makes a reader take more memory than such a block needs."""

Model = GridModel | ColumnsModel | LossyModel


def usual_rows(form: Form, block_rows: int | None) -> int:
    """How many rows a block has."""
    size = elements(form, 1)
    rows = block_rows or (TABLE_ROWS if form.kind == "table" else max(1, ELEMENTS // max(size, 1)))
    if rows * size > MOST_ELEMENTS:
        raise InputError(
            f"block_rows: a block may have {MOST_ELEMENTS:,} elements, {MOST_ELEMENTS // size:,} rows of such data; "
            f"got {rows:,} rows"
        )
    return rows


def elements(form: Form, rows: int) -> int:
    """Cells of a table, elements of an array."""
    return rows * (len(form.columns) if isinstance(form, TableForm) else int(np.prod(form.shape, dtype=object)))


def for_model(form: Form, ints: Any) -> np.ndarray:
    """Whole numbers as the model takes them: a table (n, columns); grids (n, *shape), of which a field is one."""
    if isinstance(form, TableForm):
        return np.stack(ints, axis=1) if ints else np.empty((0, 0), dtype=np.int64)
    return ints if form.kind == "images" else ints[None]


def coded(form: Form, model: Model, rows: Any) -> Block:
    """Rows of the data as a block.

    What the model does not pay for, as in data unlike those of the fit, is coded by lzma. The check is of the whole
    numbers and what is beside them, from which the rows are made again; of pictures with loss, of those that come back.
    """
    if isinstance(form, PictureForm):
        assert isinstance(model, LossyModel)
        return coded_pictures(form, model, rows)
    assert not isinstance(model, LossyModel)
    writer = Writer()
    given, beside = _written(form, model, rows, writer)
    payload = writer.done() if given.size else b""
    head, plain = length_of(beside) + beside, smaller(given, len(payload), isinstance(form, TableForm))
    found = head + payload if plain is None else PLAIN + head + plain
    return Block(found, len(rows), check_of(given, beside))


def _written(
    form: ArrayForm | TableForm, model: GridModel | ColumnsModel, rows: Any, writer: Tally
) -> tuple[np.ndarray, bytes]:
    """The whole numbers that a reader will have of rows, and what is beside them."""
    ints, beside = form.forward(rows)
    given = for_model(form, ints)
    if not given.size:
        return given, beside
    if not isinstance(form, ArrayForm):
        model.write(writer, given)
        return given, beside
    assert isinstance(model, GridModel)
    given = model.write(writer, given, form.numbers)
    if closed(form.numbers):
        beside = form.missed(rows, given if form.kind == "images" else given[0])
    return given, beside


def decoded(form: Form, model: Model, block: Block) -> Any:
    """The rows of a block.

    Raises
    ------
    FileFormatError : it is not one of this model and these data.
    """
    if elements(form, block.rows) > MOST_ELEMENTS:
        raise FileFormatError(f"a block claims {block.rows:,} rows, more than there can be")
    try:
        if isinstance(form, PictureForm):
            assert isinstance(model, LossyModel)
            return decoded_pictures(form, model, block)
        beside, start = first_part(block.payload, start_of(block.payload))
        plain = block.payload.startswith(PLAIN)
        given = _read(form, model, block.payload[start:], block.rows, plain)
        if check_of(given, beside) != block.check:
            raise FileFormatError("a block was decoded to other rows than were coded; its model must be another")
        if isinstance(form, ArrayForm):
            return form.backward(given if form.kind == "images" else given[0], beside, block.rows)
        return form.backward([given[:, place] for place in range(given.shape[1])], beside, block.rows)
    except (InputError, ValueError, IndexError, KeyError, OverflowError, TypeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"a block cannot be decoded: {error}") from error


def _read(form: ArrayForm | TableForm, model: Model, payload: bytes, rows: int, plain: bool) -> np.ndarray:
    """The whole numbers as `for_model` gave them, by the model, or ``plain``: by lzma."""
    if isinstance(form, TableForm):
        shape: tuple[int, ...] = (rows, sum(form.widths)) if sum(form.widths) else (0, 0)
    else:
        shape = (rows, *form.shape) if form.kind == "images" else (1, rows, *form.shape)
    if not np.prod(shape):
        if payload:
            raise FileFormatError("a block without elements holds some")
        return np.zeros(shape, dtype=np.int64)
    if plain:
        return ints_of(payload, shape, isinstance(form, TableForm))
    reader = Reader(payload)
    if isinstance(form, TableForm):
        assert isinstance(model, ColumnsModel)
        found = model.read(reader, rows)
    else:
        assert isinstance(model, GridModel)
        found = model.read(reader, shape, form.numbers)
    reader.end()
    return found


def check_of(given: np.ndarray, beside: bytes) -> int:
    """CRC-32 of whole numbers and of what is beside them."""
    return zlib.crc32(beside, zlib.crc32(np.ascontiguousarray(given, dtype="<i8").tobytes()))


def bits_of(form: ArrayForm | TableForm, model: Model, rows: Any) -> float:
    """What rows take, in bits, without coding them."""
    assert not isinstance(model, LossyModel)
    tally = Tally()
    beside = _written(form, model, rows, tally)[1]
    return tally.ideal_bits + 8.0 * len(beside)
