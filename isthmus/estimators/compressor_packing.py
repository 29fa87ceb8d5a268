"""How a `Compressor` packs: the header, then all blocks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus.coding.container import Block, BlockWriter
from isthmus.coding.lossy import LossyModel
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.compressor_blocks import coded, elements, usual_rows
from isthmus.estimators.compressor_data import Bounds
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_lossy import Target
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_stream import Rows

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

WORSE = 1.25
"""So many times the bits of the fit are unlike data."""

SLACK = 2048.0
"""Bits that a block may take beside."""


@dataclass(frozen=True)
class Loss:
    """What may be lost of the data of one file, where it is not as in the fit."""

    max_error: Any
    relative: Any
    target: Target

    def form(self, compressor: Compressor, rows: Rows) -> Form:
        """The form of these data."""
        form = compressor.form_.matched(rows.head(compressor.form_))
        bounded = self.max_error is not None or self.relative
        if isinstance(form, PictureForm):
            assert isinstance(compressor.model_, LossyModel)
            if bounded:
                raise InputError("max_error is for a Compressor with lossy=False; give quality, bits or psnr")
            return self.target.form(form, compressor.model_, rows)
        if self.target:
            raise InputError("quality, bits and psnr are for Compressor(lossy=True); give max_error, or fit such a one")
        return form.bounded(rows.sample(), Bounds(self.max_error, self.relative)) if bounded else form


def begun(compressor: Compressor, rows: Rows, loss: Loss, include_model: bool) -> tuple[dict[str, Any], Form]:
    """The header of a packed file, and the form of its data."""
    form = loss.form(compressor, rows)
    about = {
        "model": compressor.digest_,
        "included": bool(include_model),
        "block_rows": usual_rows(form, compressor.block_rows),
        "changes": form.changes(compressor.form_),  # type: ignore[arg-type]
    }
    return about, form


def add_blocks(compressor: Compressor, writer: BlockWriter, rows: Rows, form: Form, include_model: bool) -> None:
    """Write all blocks, and tell of data unlike those of the fit."""
    if include_model:
        from isthmus.estimators.compressor_files import in_one_piece

        writer.add(Block(in_one_piece(compressor), 0))
    step = usual_rows(form, compressor.block_rows)
    bits = allowed = size = 0.0
    for block in rows.blocks(step, form):
        if not isinstance(form, PictureForm) and form.matched(block) != form:
            raise InputError("X: the categories of its columns differ from part to part; read it as one frame")
        done = coded(form, compressor.model_, block)
        writer.add(done)
        here = elements(form, len(block))
        bits, size = bits + 8.0 * len(done.payload), size + here
        allowed += WORSE * compressor.bits_per_element_ * here + SLACK
    # With loss, unlike pictures are no surprise: their bits follow from the quality.
    if bits > allowed and not isinstance(form, PictureForm):
        warnings.warn(
            f"X is unlike the data of the fit: it took {bits / size:.2f} bits an element, and those of the fit "
            f"{compressor.bits_per_element_:.2f}. Nothing is lost by that; fit again with such data for smaller files",
            DataWarning,
            stacklevel=3,
        )
