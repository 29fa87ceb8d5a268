"""How a `Compressor` packs: the header, then all blocks."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from isthmus.coding.container import Block, BlockWriter
from isthmus.coding.lossy import LossyModel
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.compressor_blocks import coded, elements, usual_rows
from isthmus.estimators.compressor_data import Bounds
from isthmus.estimators.compressor_forms import Form
from isthmus.estimators.compressor_lossy import Target, opened_pictures, psnr_of, some_of
from isthmus.estimators.compressor_named import packed_files
from isthmus.estimators.compressor_pictures import USUAL_QUALITY, PictureForm
from isthmus.estimators.compressor_stream import Rows, opened_rows
from isthmus.estimators.compressor_tables import TableForm

if TYPE_CHECKING:
    from isthmus.estimators.compressor import Compressor

WORSE = 1.25
"""So many times the bits of the fit are unlike data."""

UNLIKE = 2.5
"""So many times the bits of the fit are unlike pictures with loss, each of which takes more or fewer of them."""

SLACK = 2048.0
"""Bits that a block may take beside."""

MEASURED = 2**20
"""Values of pixels, at most, that the PSNR of what was packed is measured on."""


@dataclass(frozen=True)
class Summary:
    """What came of packing.

    Parameters
    ----------
    bytes : of the blocks, without the head of the file and the model.
    elements : cells of a table, pixels of pictures with loss, elements of all else.
    raw : bytes of an array in memory; 0 of a table.
    unit : what an element is called.
    quality, psnr : of pictures with loss, in dB; else None.
    """

    bytes: int
    elements: int
    raw: int
    unit: str
    quality: int | None = None
    psnr: float | None = None

    def __str__(self) -> str:
        """
        >>> str(Summary(300, 1200, 2400, "element")), str(Summary(300, 1200, 1200, "pixel", 25, 31.36))
        ('2.000 bits an element', 'quality 25: 2.000 bits a pixel, PSNR 31.4 dB')
        """
        article = "an" if self.unit[0] in "aeiou" else "a"
        bits = f"{8 * self.bytes / max(self.elements, 1):.3f} bits {article} {self.unit}"
        if self.quality is None:
            return bits
        return f"quality {self.quality}: {bits}" + ("" if self.psnr is None else f", PSNR {self.psnr:.1f} dB")


def times(before: float, after: float) -> str:
    """
    >>> times(300, 100), times(100, 150), times(0, 10)
    ('3.0 times smaller', '1.5 times larger', 'of nothing')
    """
    if before <= 0:
        return "of nothing"
    return f"{before / after:.1f} times smaller" if after <= before else f"{after / before:.1f} times larger"


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
    about: dict[str, Any] = {
        "model": compressor.digest_,
        "included": bool(include_model),
        "block_rows": usual_rows(form, compressor.block_rows),
        "changes": form.changes(compressor.form_),  # type: ignore[arg-type]
    }
    files = packed_files(rows.files) if rows.files else None
    return about if files is None else about | {"files": files}, form


def opened_for(compressor: Compressor, X: Any) -> Rows:
    """The data as blocks of rows; where pictures may lose something, also a list of any sizes."""
    return opened_pictures(X) if isinstance(compressor.form_, PictureForm) else opened_rows(X)


def with_psnr(compressor: Compressor, rows: Rows, form: Form, summary: Summary) -> Summary:
    """The same with the PSNR of pictures, or of some from all over them where they are many."""
    groups = some_of(rows.sample(), MEASURED) if isinstance(form, PictureForm) else []
    if not groups:
        return summary
    return replace(summary, psnr=psnr_of(compressor.model_, groups, form.quality))  # type: ignore[arg-type, union-attr]


def tell(compressor: Compressor, rows: Rows, form: Form, summary: Summary) -> None:
    """Print what was packed, where that is asked for: the PSNR takes time."""
    if compressor.verbose:
        print(with_psnr(compressor, rows, form, summary), flush=True)


def add_blocks(compressor: Compressor, writer: BlockWriter, rows: Rows, form: Form, include_model: bool) -> Summary:
    """Write all blocks, and tell of data unlike those of the fit."""
    if include_model:
        from isthmus.estimators.compressor_files import in_one_piece

        writer.add(Block(in_one_piece(compressor), 0))
    step = usual_rows(form, compressor.block_rows)
    allowed = 0.0
    packed = size = raw = named = 0
    for block in rows.blocks(step, form):
        if not isinstance(form, PictureForm) and form.matched(block) != form:
            raise InputError("X: the categories of its columns differ from part to part; read it as one frame")
        done = coded(form, compressor.model_, block)
        writer.add(done)
        packed, here = packed + len(done.payload), elements_of(form, block)
        size, raw = size + here, raw + (0 if isinstance(form, TableForm) else block.nbytes)
        named += form.named_bytes(done.payload) if isinstance(form, TableForm) else 0
        allowed += bits_allowed(compressor, form) * here + SLACK
    bits = 8.0 * (packed - named)
    if bits > allowed:
        warnings.warn(f"X is unlike the data of the fit: {unlike(compressor, form, bits / size)}", DataWarning, 3)
    if isinstance(form, PictureForm):
        return Summary(packed, size, raw, "pixel", form.quality)
    return Summary(packed, size, raw, "cell" if form.kind == "table" else "element")


def bits_allowed(compressor: Compressor, form: Form) -> float:
    """Bits of an element, or of a pixel, of data like those of the fit, at most."""
    if not isinstance(form, PictureForm):
        return WORSE * compressor.bits_per_element_
    # The bits of the fit are of the usual quality, and tell nothing of a finer one.
    if form.quality > USUAL_QUALITY:
        return math.inf
    return UNLIKE * compressor.bits_per_element_ * max(1, form.colours)


def unlike(compressor: Compressor, form: Form, bits: float) -> str:
    """What unlike data take, and what to do."""
    if isinstance(form, PictureForm):
        fitted = compressor.bits_per_element_ * max(1, form.colours)
        return (
            f"it took {bits:.2f} bits a pixel at the quality {form.quality}, and those of the fit {fitted:.2f} at the "
            f"quality {USUAL_QUALITY}. Fit again with such pictures for smaller files"
        )
    return (
        f"it took {bits:.2f} bits an element, and those of the fit {compressor.bits_per_element_:.2f}. Nothing is lost "
        "by that; fit again with such data for smaller files"
    )


def elements_of(form: Form, block: Any) -> int:
    """Pixels of pictures with loss, which may be of any size; of other data what `elements` counts."""
    return math.prod(block.shape[:3]) if isinstance(form, PictureForm) else elements(form, len(block))
