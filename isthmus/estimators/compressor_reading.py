"""Packed data that are read again, block by block."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.checks import counted, is_whole
from isthmus.coding.container import Block, BlockReader
from isthmus.coding.container import opened as opened_file
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.compressor_blocks import MOST_ELEMENTS, decoded, elements
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_models import check_digest
from isthmus.estimators.compressor_named import unpacked_files
from isthmus.estimators.compressor_tables import TableForm

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

FIELDS = {"model": str, "included": bool, "block_rows": int, "changes": dict}
"""What a header holds; beside it ``files``, the names of pictures, where they have some."""


@dataclass
class Packed:
    """An open .isz file, its header and the model that decodes it.

    Attributes
    ----------
    blocks : those of rows.
    compressor, form : what decodes them.
    name : of the file, for messages.
    block_rows : rows of a block at most.
    files : names of pictures, as many as there are; or none.
    """

    blocks: Iterator[Block]
    compressor: Compressor
    form: Form
    name: str
    block_rows: int
    files: tuple[str, ...] = ()

    @classmethod
    @contextmanager
    def opened(cls, data: Any, compressor: Compressor) -> Iterator[Packed]:
        """Bytes, or the file at a path."""
        if isinstance(data, (bytes, bytearray, memoryview)):
            yield cls.of(BlockReader(io.BytesIO(bytes(data))), compressor, "the data")
        elif isinstance(data, (str, os.PathLike)):
            with opened_file(Path(data).expanduser()) as reader:
                yield cls.of(reader, compressor, repr(str(data)))
        else:
            raise InputError(f"data must be bytes or the path of an .isz file; got {type(data).__name__}")

    @classmethod
    def of(cls, reader: BlockReader, compressor: Compressor, name: str) -> Packed:
        """Check the header, and that the model is the right one."""
        about = reader.about
        if set(about) - {"files"} != set(FIELDS) or any(
            type(about[field]) is not kind for field, kind in FIELDS.items()
        ):
            raise FileFormatError(f"{name} was not packed by a Compressor, or by a newer one")
        blocks = iter(reader)
        if about["included"]:
            compressor = included(blocks, name)
        elif not hasattr(compressor, "model_"):
            raise InputError(f"{name} does not hold its model: load that, ist.load(path), and decompress with it")
        check_digest(about, compressor.digest_, name)
        try:
            form = compressor.form_.changed(about["changes"]) if about["changes"] else compressor.form_
        except (InputError, KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
            raise FileFormatError(f"{name} describes data that cannot be: {error}") from error
        if not about["block_rows"] >= 1 or elements(form, about["block_rows"]) > MOST_ELEMENTS:
            raise FileFormatError(f"{name} claims blocks of {about['block_rows']:,} rows, more than there can be")
        files = unpacked_files(about["files"], name) if "files" in about else ()
        return cls(blocks, compressor, form, name, about["block_rows"], files)

    def names(self, wanted: slice | None = None) -> tuple[str, ...]:
        """Those of the pictures that `rows` gives."""
        first, last = bounds_of(wanted)
        return self.files[first:last]

    def rows(self, wanted: slice | None = None) -> Iterator[Any]:
        """The blocks' data, or the part of them that is wanted; other blocks are read but not decoded.

        Warns
        -----
        DataWarning : nothing is wanted of what there is.
        """
        first, last = bounds_of(wanted)
        start = 0
        for block in self.blocks:
            if block.rows > self.block_rows:
                raise FileFormatError(f"{self.name} has a block of more rows than it says")
            stop = start + block.rows
            if stop > first and (last is None or start < last):
                found = decoded(self.form, self.compressor.model_, block)
                part = slice(max(first - start, 0), None if last is None else last - start)
                if isinstance(self.form, TableForm) and self.form.frame:
                    found = self.form.numbered(found, start).iloc[part]
                else:
                    found = found[part]
                yield found
            start = stop
        if wanted is not None and start and (start if last is None else min(last, start)) <= first:
            said = f"rows {first}:{'' if last is None else last} hold none of the {counted(start, 'row')} there are"
            warnings.warn(said, DataWarning, stacklevel=3)
        if self.files and start != len(self.files):
            raise FileFormatError(f"{self.name} has {start:,} pictures, and {len(self.files):,} names of them")


def included(blocks: Iterator[Block], name: str) -> Compressor:
    """The model in a file, which is its first block."""
    from isthmus.estimators.compressor_files import from_one_piece

    block = next(blocks, None)
    if block is None or block.rows:
        raise FileFormatError(f"{name} should hold its model, and does not")
    return from_one_piece(block.payload)


def bounds_of(wanted: slice | None) -> tuple[int, int | None]:
    """First and last row of a slice that goes forward."""
    if wanted is None:
        return 0, None
    if not isinstance(wanted, slice):
        raise InputError(f"rows must be a slice, such as slice(100, 200); got {wanted!r}")
    first, last = wanted.start or 0, wanted.stop
    sound = wanted.step in (None, 1)
    if not sound or not is_whole(first) or first < 0 or not (last is None or (is_whole(last) and last >= 0)):
        raise InputError(
            f"rows must be a slice of whole numbers >= 0 without a step, such as slice(100, 200); got {wanted}"
        )
    return int(first), None if last is None else int(last)
