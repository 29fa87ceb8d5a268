"""`Compressor`: data like those it was fitted to become small, and come back to the bit or within a bound."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from isthmus import storage
from isthmus.coding.container import BlockWriter, written
from isthmus.coding.entropy import library
from isthmus.estimators.compressor_blocks import bits_of, elements, for_model, usual_rows
from isthmus.estimators.compressor_forms import Form, checked_settings, held_apart, in_words, learnt_form
from isthmus.estimators.compressor_lossy import Target, fit_pictures
from isthmus.estimators.compressor_models import digest_of, fitted_model
from isthmus.estimators.compressor_packing import Loss, add_blocks, begun, opened_for, tell
from isthmus.estimators.compressor_pictures import PictureForm
from isthmus.estimators.compressor_reading import Packed
from isthmus.estimators.compressor_stream import opened_rows
from isthmus.estimators.compressor_written import writer_of
from isthmus.estimators.settings import seed_of

if TYPE_CHECKING:
    from isthmus.estimators.compressor_judging import Judged
    from isthmus.estimators.compressor_judging_pictures import JudgedPictures


class Compressor(BaseEstimator):
    """Learns what data are like, and packs others like them into few bytes, from which they come back exactly.

    Data become whole numbers; a small network foretells each from those that are known by then, and an entropy coder
    spends few bits on what was foretold well. On the way back everything is whole numbers or exact, so that a file
    decodes to the same on any machine.

    Parameters
    ----------
    data : ``"images"`` (n, height, width[, channels]), or rows of anything that tell nothing of one another;
        ``"table"``; ``"series"`` (steps,) or (steps, channels); ``"array"``, a field whose neighbours are
        alike along all axes; ``"auto"``: what neighbours tell.
    max_error : None or 0 = nothing is lost: every bit comes back, missing cells, negative zeros and the payloads of NaN
        included. A number > 0 = no element changes by more; NaN and infinity are kept. Of tables and series a dict by
        column (of series: its number), the others exact. Truth values, dates and texts are always exact.
    relative : ``False``, the bound is in the data's units; True or ``"range"``, it is a part of the range of the fit's
        elements, or of each column's; ``"value"``, a part of each value.
    lossy : True = pictures of 8 bits, grey or of 3 colours and of any size, lose what is seen least; how much, is said
        when they are packed.
    hidden : units of the network's hidden layers, such as (32, 32); of tables, how many are tried. None = as usual.
    epochs : passes over the data; None = as the data need.
    max_time : seconds that fitting may take; None = two minutes for what is no table, ten for lossy pictures.
    block_rows : rows that are coded together, and can be decoded alone. None = about two million elements, or 65,536
        rows of a table.
    random_state : int, NumPy generator or None.
    verbose : 0 = silent; 1 = tell what was found, and how small it was packed; with loss, the quality and the PSNR.

    Attributes
    ----------
    form_ : what the data looked like, and how they become whole numbers.
    model_ : what foretells them.
    bits_per_element_ : of rows that were held out; of series and arrays, of the data of the fit.
    digest_ : the SHA-256 of all that decoding depends on; a packed file names it.
    said_ : sentences about the data.

    Notes
    -----
    Data unlike those of the fit come back as well, but their files are larger, and a warning says so. Needs the package
    constriction: ``pip install 'isthmus[compression]'``.

    Examples
    --------
    >>> import isthmus as ist
    >>> X = ist.data.digits()[0]
    >>> compressor = ist.Compressor(max_time=5, random_state=0).fit(X[:1000])
    >>> packed = compressor.compress(X[1000:])
    >>> bool((compressor.decompress(packed) == X[1000:]).all()), len(packed) < X[1000:].nbytes / 2
    (True, True)
    """

    def __init__(
        self,
        data: str = "auto",
        *,
        max_error: Any = None,
        relative: Any = False,
        lossy: bool = False,
        hidden: Any = None,
        epochs: float | None = None,
        max_time: float | None = None,
        block_rows: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.data = data
        self.max_error = max_error
        self.relative = relative
        self.lossy = lossy
        self.hidden = hidden
        self.epochs = epochs
        self.max_time = max_time
        self.block_rows = block_rows
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Compressor:
        """Learn what data are like.

        Parameters
        ----------
        X : an array of numbers of up to 64 bits, a frame of pandas or polars, an Arrow table, or the path of a .npy,
            .csv, .parquet or other file or of a folder of pictures at any depth, with their transparency where nothing
            is lost; where ``lossy=True`` also a list of pictures of any sizes. Of large data, stretches all over them
            are learnt from.
        y : ignored.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used. MissingExtraError : constriction is not installed.
        """
        library()
        bounds = checked_settings(self.get_params())
        self.said_: tuple[str, ...]
        if self.lossy:
            fit_pictures(self, X)
            self._say("; ".join(self.said_))
            return self
        sample = opened_rows(X).sample()
        form = learnt_form(sample, self.data, bounds)
        usual_rows(form, self.block_rows)
        seed = seed_of(self.random_state)
        learnt, judged = held_apart(sample, form, seed)
        ints = for_model(form, form.forward(learnt)[0])
        self._say(in_words(form))
        self.model_ = fitted_model(form, ints, self.hidden, self.epochs, self.max_time, seed)
        self.form_: Form = form
        self.digest_ = digest_of(form, self.model_)
        self.bits_per_element_ = bits_of(form, self.model_, judged) / elements(form, len(judged))
        self.said_ = (in_words(form),)
        self._say(f"{self.bits_per_element_:.3f} bits {'a cell' if form.kind == 'table' else 'an element'}")
        return self

    # ------------------------------------------------------------------ packing

    def compress(
        self, X: Any, *, max_error: Any = None, relative: Any = False, quality: int | None = None,
        bits: float | None = None, psnr: float | None = None, include_model: bool = False,
    ) -> bytes:  # fmt: skip
        """The data in few bytes.

        Parameters
        ----------
        X : as in the fit, of the same dtypes, columns and shape of a row; any number of rows, none included.
        max_error, relative : a bound for these data other than that of the fit; ranges are then those of ``X``. The
            model was learnt with that of the fit, and foretells best with that.
        quality, bits, psnr : one of them, where ``lossy=True``: 0..50, seven more halve the error; or the bits of a
            pixel, at most, without the head of the file; or the peak signal-to-noise ratio in dB, at least. It is one
            quality for all pictures of a file, so that bits are met to about a tenth. None = the quality 25.
        include_model : the bytes hold the model as well, and any `Compressor` can decompress them.

        Returns
        -------
        bytes of a whole .isz file.

        Raises
        ------
        InputError : another dtype or shape than in the fit, or a bound that cannot be used.

        Warns
        -----
        DataWarning : the data are unlike those of the fit, and took more bits.
        """
        check_is_fitted(self, "model_")
        file = io.BytesIO()
        rows = opened_for(self, X)
        about, form = begun(self, rows, Loss(max_error, relative, Target(quality, bits, psnr)), include_model)
        writer = BlockWriter(file, about)
        summary = add_blocks(self, writer, rows, form, include_model)
        writer.end()
        tell(self, rows, form, summary)
        return file.getvalue()

    def pack(
        self, X: Any, path: str | os.PathLike[str], *, max_error: Any = None, relative: Any = False,
        quality: int | None = None, bits: float | None = None, psnr: float | None = None, include_model: bool = False,
    ) -> Path:  # fmt: skip
        """Write the data as an .isz file, block by block: files may be larger than memory.

        Parameters
        ----------
        X : data as for `compress`, or the path of a .npy, .csv, .tsv or .parquet file, which is read block by block, or
            of another file or a folder of pictures, which is read whole.
        path : the file to write; it is there whole at the end, or not at all.
        max_error, relative, quality, bits, psnr, include_model : as for `compress`.
        """
        check_is_fitted(self, "model_")
        rows = opened_for(self, X)
        about, form = begun(self, rows, Loss(max_error, relative, Target(quality, bits, psnr)), include_model)
        with written(path, about) as writer:
            summary = add_blocks(self, writer, rows, form, include_model)
        tell(self, rows, form, summary)
        return Path(path)

    # ------------------------------------------------------------------ unpacking

    def decompress(self, data: bytes, *, rows: slice | None = None) -> Any:
        """The data again: same shape, dtypes and columns, to the bit or within the bound.

        Frames are of the library that was packed, with their index; a part keeps the names of its rows.

        Parameters
        ----------
        data : what `compress` gave, or the path of an .isz file.
        rows : decode only the blocks that hold these, such as ``slice(1000, 1100)``.

        Raises
        ------
        FileFormatError
            The data are truncated, altered or foreign, or were packed with another model.
        """
        with Packed.opened(data, self) as packed:
            return packed.form.joined(list(packed.rows(rows)))

    def unpack(
        self, path: str | os.PathLike[str], output: str | os.PathLike[str], *, rows: slice | None = None
    ) -> Path:
        """Write the data of an .isz file again, block by block.

        Parameters
        ----------
        path : the .isz file.
        output : of arrays a .npy file, of tables a .csv, .tsv, .parquet or .xlsx file, of pictures also a folder, where
            they get the names of their files again, those of JPEG as .png, and replace pictures of these names with a
            warning.
        rows : as for `decompress`.
        """
        with Packed.opened(path, self) as packed, writer_of(Path(output), packed.form, packed.names(rows)) as add:
            for block in packed.rows(rows):
                add(block)
        return Path(output)

    # ------------------------------------------------------------------ judging

    def judge(self, X: Any) -> Judged | JudgedPictures:
        """How small and how fast, beside the coders that everyone has.

        Parameters
        ----------
        X : an array or a frame as in the fit, best one that was not in it.

        Returns
        -------
        Judged
            A row for this model and each rival: lzma, bz2, zlib and zstd; of pictures PNG and lossless WebP; of tables
            Parquet with zstd; of floats within a bound SZ3 and ZFP, if pysz and zfpy are installed. With bytes, seconds
            of both ways, and the largest error. Where ``lossy=True``, this model at three qualities, and JPEG, WebP
            and AVIF at no more bytes, with their PSNR.
        """
        check_is_fitted(self, "model_")
        if isinstance(self.form_, PictureForm):
            from isthmus.estimators.compressor_judging_pictures import judged_pictures

            return judged_pictures(self, X)
        from isthmus.estimators.compressor_judging import in_memory, judged

        return judged(self, in_memory(self, X))

    def report(self, X: Any, path: str | os.PathLike[str] = "compression.html") -> Path:
        """Write one self-contained HTML page: the figures of `judge` with bars of sizes and speeds, verdicts (whether
        it is worth its model, and what was kept), and what loss buys: rates against the bound, or against the PSNR.

        Parameters
        ----------
        X : as for `judge`, of which it takes the time several times over.
        path : the .html file.
        """
        from isthmus.estimators.compressor_report import write_report

        check_is_fitted(self, "model_")
        write_report(self, path, X)
        return Path(path)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one ``.safetensors`` file, which ``isthmus.load`` reads."""
        from isthmus.estimators.compressor_files import state_of

        check_is_fitted(self, "model_")
        storage.write(path, *state_of(self))
        return Path(path)

    # ------------------------------------------------------------------ within

    def _say(self, sentence: str) -> None:
        if self.verbose:
            print(sentence, flush=True)
