"""`Generator`: draw new rows like the user's, from scratch, near an example, between two, or around what is known."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from isthmus import storage
from isthmus.checks import counted, did_you_mean, is_whole
from isthmus.composition import Composition
from isthmus.data import Source, open_source
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.generation_of_cells import CellsDrawn
from isthmus.estimators.generation_of_codes import CodesDrawn, has_symbols, lacks_prior
from isthmus.estimators.known_cells import (
    beside_known,
    kept_beside,
    known_cells,
    mask_of,
    one_or_more,
    refuse_gaps,
    warn_of_unseen,
    with_gaps_filled,
    without_gaps,
)
from isthmus.estimators.priors import prior_part
from isthmus.estimators.settings import name_features, names_of, number, seed_of, warn_of_names, whole
from isthmus.likelihood import Likelihood
from isthmus.recipes import Kind, Parts
from isthmus.records import Layout

if TYPE_CHECKING:
    from isthmus.estimators.generator_figures import Judged

MOST_COLUMNS = 100
"""Tables of numbers with more columns than this are drawn through codes: cell by cell it would take long."""

PATHS = ("straight", "spherical", "density")

ORDERS, DRAWS = 4, 200
"""Orders of columns, or codes, that `log_likelihood` is the mean over where their number is left open."""


class Generator(BaseEstimator):
    """Learns what rows look like, and draws others: from scratch, near one, between two, or around known cells.

    - Tables are drawn cell by cell, each given those that the row has so far, so that numbers keep their range, their
      roundness and their most frequent values, and gaps come as often as they did: complete ones of numbers with at
      most 100 columns, and all with columns of other types or with gaps.
    - Pictures, sequences, wider tables, and whatever an ``autoencoder`` is named for, are drawn through codes: a prior
      says which codes are frequent, and the autoencoder decodes them.

    Parameters
    ----------
    autoencoder : a kind, by name or with its knobs, or a composition, that is fitted and drawn through; or a fitted
        `Autoencoder`, which is then not trained. None = what suits the data.
    prior : over codes, as for `Autoencoder.fit_prior`: ``"mixture"``, ``"normal"``, ``"flow"``, ``"two_level"``,
        ``"vamp"``, ``"autoregressive"``, or one such as ``ist.Mixture(30)``. ``"auto"`` keeps the autoencoder's own, if
        it has one, else fits a mixture, or, where codes are symbols, an autoregressive prior.
    code_size, columns, epochs, batch_size, learning_rate, max_time, device, verbose : as for `Autoencoder`.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.

    Attributes
    ----------
    autoencoder_ : the fitted `Autoencoder`, with the prior; of tables drawn cell by cell, that of their levels.
    way_ : ``"codes"`` or ``"cells"``, how rows are drawn.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    References
    ----------
    Ghosh et al. 2020, From variational to deterministic autoencoders (a mixture of the codes); Uria, Murray &
    Larochelle 2014, A deep and tractable density estimator (cell by cell, in any order).

    Examples
    --------
    >>> import isthmus as ist
    >>> X, y = ist.data.digits()
    >>> generator = ist.Generator(epochs=2, random_state=0).fit(X, given=y)
    >>> generator.sample(10, given=3).shape, generator.vary(X[0], 9, spread=0.5, given=0).shape
    ((10, 8, 8), (9, 8, 8))
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        prior: Any = "auto",
        code_size: int | None = None,
        columns: dict[Any, str] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.autoencoder = autoencoder
        self.prior = prior
        self.code_size = code_size
        self.columns = columns
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None, *, given: Any = None) -> Generator:
        """Learn from rows.

        Parameters
        ----------
        X : as for `Autoencoder`: table, array of pictures, sequences, path or source. At least 2 rows.
        y : (n,) labels, for kinds that learn from those of some rows; ignored by all others.
        given : (n,) or (n, k) what each row is given, labels or numbers, to be drawn by: ``sample(10, given=3)``. Of a
            table that is drawn cell by cell, put them into a column: ``sample(10, known={"label": 3})``.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used; the estimator then stays as it was.

        Warns
        -----
        DataWarning : a fitted autoencoder had no prior, so that one was fitted to the codes of these rows.
        """
        kind, seed = self._kind(), seed_of(self.random_state)
        if not isinstance(self.prior, str) or self.prior != "auto":
            prior_part(self.prior)
        brought = isinstance(kind, Autoencoder)
        source = kind._source(X) if brought else self._opened(X)
        if source.rows < 2:
            raise InputError(f"X has {counted(source.rows, 'row')}: give at least 2, better 1,000")
        if kind is None and cell_by_cell(source):
            self._check_cells(given)
            drawing: Any = CellsDrawn.fit(source, self._making(seed))
        else:
            model = kind if brought else self._making(seed)(method=kind or "undercomplete", columns=self.columns)
            if not brought:
                model.fit(source, y, given=given)
            elif self.prior == "auto" and lacks_prior(model):
                warn_of_prior(model)
            drawing = CodesDrawn.fit(model, source, self.prior, given, seed)
        self.drawing_, self.form_ = drawing, drawing.model.form_ if isinstance(drawing, CodesDrawn) else source.form
        self.n_features_in_ = source.layout.features
        name_features(self, names_of(source))
        return self

    def _kind(self) -> Any:
        """What the user brought, or an error."""
        kind = self.autoencoder
        if isinstance(kind, Autoencoder):
            check_is_fitted(kind, "composition_")
            return kind
        if isinstance(kind, torch.nn.Module) and not isinstance(kind, Composition):
            raise InputError(
                f"autoencoder: a {type(kind).__name__} alone has no decoder to draw rows with; join encoder and "
                "decoder by ist.compose(encoder, bottleneck, decoder, loss)"
            )
        if isinstance(kind, str):
            return Kind(kind)
        if kind is not None and not isinstance(kind, (Kind, Parts, Composition)):
            raise InputError(
                f"autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got {type(kind).__name__}"
            )
        return kind

    def _making(self, seed: int) -> Any:
        chosen = {name: getattr(self, name) for name in PASSED_ON if getattr(self, name) is not None}

        def made(**usual: Any) -> Autoencoder:
            return Autoencoder(**{**usual, "random_state": seed, **chosen})

        return made

    def _opened(self, X: Any) -> Source:
        source = open_source(X, columns=self.columns, estimator_name="Generator")
        if not isinstance(X, (str, os.PathLike, Source)):
            _get_feature_names(X)  # refuses names of which only some are text
        return source

    def _check_cells(self, given: Any) -> None:
        """Refuse what a table that is drawn cell by cell has no place for."""
        if given is not None:
            raise InputError(
                "given: this table is drawn cell by cell, so that what rows are given can stand in a column of its "
                "own: put it into X, and draw by it with sample(n, known={column: value}). Or name an autoencoder=, "
                "such as 'undercomplete', which is given it"
            )
        if not isinstance(self.prior, str) or self.prior != "auto":
            raise InputError(
                "prior: this table is drawn cell by cell, without codes to have a prior; leave it out, or name an "
                "autoencoder=, such as 'undercomplete', to draw it through codes"
            )

    # ------------------------------------------------------------------ drawing

    def sample(self, n: int = 1, *, given: Any = None, known: Any = None, random_state: Any = None) -> Any:
        """``n`` new rows, in the data's units, columns and types.

        Parameters
        ----------
        n : rows >= 1.
        given : what each is given, for a fit with it; one label or number stands for all.
        known : of tables drawn cell by cell, what the new rows are to have: a dict of columns and values, or a frame of
            one row or of ``n``.
        random_state : the same gives the same rows; None = others every time.
        """
        check_is_fitted(self, "drawing_")
        n = whole("n", n, 1)
        if isinstance(self.drawing_, CodesDrawn):
            if known is not None:
                raise InputError(
                    "known: these rows are drawn through codes; inpaint fills the cells of a row around known ones, "
                    "and sample(n, given=...) draws by what fit was given"
                )
            drawn = self.autoencoder_.sample(n, given=given, random_state=random_state)
            return self.drawing_.in_range(drawn)
        self._check_cells(given)
        raw = None if known is None else known_cells(known, n, self.form_)
        if raw is not None:
            warn_of_unseen(raw, self.drawing_, self.form_)
        return self.form_.wrap(self.drawing_.draw(n, self._generator(random_state), raw), index=None)

    def vary(self, x: Any, n: int = 9, spread: float = 0.5, *, given: Any = None, random_state: Any = None) -> Any:
        """Others like an example: the same five, written anew.

        Parameters
        ----------
        x : one row, or several.
        n : how many of each, >= 1.
        spread : how far, in (0, 1]. The code is moved within a cluster of the fit's codes that it may be of, so that
            it stays as probable as it was: at nearly 0 the example is rebuilt, at 1 it is another draw from the
            cluster. Of tables drawn cell by cell, the share of the cells that are drawn anew.
        given : for a fit with it, what each row of ``x`` is given.
        random_state : as for `sample`.

        Returns
        -------
        rows in the form of ``x``
            ``n`` of its first row, then ``n`` of the second, ...
        """
        check_is_fitted(self, "drawing_")
        n, spread = whole("n", n, 1), number("spread", spread, 0.0, 1.0, open_low=True)
        source, generator = self._source(x, "x"), self._generator(random_state)
        if isinstance(self.drawing_, CodesDrawn):
            return self.drawing_.vary(source, n, spread, given, generator)
        self._check_cells(given)
        rows = np.repeat(np.arange(source.rows), n)
        raw, hidden = self.drawing_.vary(source.take(rows), spread, generator)
        return kept_beside(one_or_more(x, self.form_), rows, source.form.wrap(raw, index=None), hidden)

    def interpolate(self, a: Any, b: Any, steps: int = 10, path: str = "straight", *, given: Any = None) -> Any:
        """Rows from ``a`` to ``b``, one row each, both ends included as they are rebuilt.

        Parameters
        ----------
        steps : rows >= 2.
        path : ``"straight"`` through the codes; ``"spherical"``, at their distance from the middle of all; or
            ``"density"``, a path that keeps to where codes are frequent.
        given : for a fit with it, what both are given.
        """
        drawing, steps = self._walking("interpolate"), whole("steps", steps, 2)
        if path not in PATHS:
            raise InputError(
                f"path must be one of {', '.join(map(repr, PATHS))}; got {path!r}.{did_you_mean(path, PATHS)}"
            )
        return drawing.interpolate(self._one("a", a), self._one("b", b), steps, path, given)

    def traverse(self, x: Any, unit: int, steps: int = 9, *, given: Any = None) -> Any:
        """One row with one unit of its code, from 0 on, moved through the range that 95 % of the fit's codes lie in.

        Returns ``steps`` rows, >= 2, from the low end to the high one; the other units stay as they are.
        """
        drawing, steps = self._walking("traverse"), whole("steps", steps, 2)
        size = drawing.model.code_size_
        if not is_whole(unit) or not 0 <= unit < size:
            raise InputError(f"unit must be a whole number from 0 to {size - 1}, the code has {size}; got {unit!r}")
        return drawing.traverse(self._one("x", x), int(unit), steps, given)

    def prototype(self, X: Any, *, given: Any = None) -> Any:
        """One row: what the mean of the codes of the rows of ``X`` stands for.

        ``given``, for a fit with it, is one value for all rows.
        """
        return self._walking("prototype").prototype(self._source(X, "X"), given)

    def arithmetic(self, x: Any, minus: Any, plus: Any, strength: float = 1.0, *, given: Any = None) -> Any:
        """The rows of ``x`` with what the group ``minus`` has taken for what the group ``plus`` has:

            z + strength (mean code of plus - mean code of minus),    decoded

        ``given``, for a fit with it, is one value for all rows of the three.

        References
        ----------
        Larsen et al. 2016, Autoencoding beyond pixels using a learned similarity metric.
        """
        drawing, strength = self._walking("arithmetic"), number("strength", strength, -1e6, 1e6)
        groups = self._source(minus, "minus"), self._source(plus, "plus")
        return drawing.arithmetic(self._source(x, "x"), *groups, strength, given)

    def inpaint(self, x: Any, mask: Any = None, draws: int = 1, *, given: Any = None, random_state: Any = None) -> Any:
        """Rows with some cells filled by what the others say of them; these stay exactly as they are.

        Parameters
        ----------
        x : one row, or several.
        mask : truth values, True = to be filled: of the shape of ``x``, or of one row for all. None = missing cells.
        draws : how many of each row, >= 1: they differ by as much as is not known.
        given : for a fit with it, what each row is given.
        random_state : as for `sample`.

        Returns
        -------
        rows in the form of ``x``
            The draws of its first row, then those of the second, ...

        Raises
        ------
        InputError : nothing is to be filled, or everything of a row; that is `sample`.
        """
        check_is_fitted(self, "drawing_")
        draws, X, gaps = whole("draws", draws, 1), one_or_more(x, self.form_), None
        if isinstance(self.drawing_, CodesDrawn):
            X, gaps = without_gaps(X, self.form_)
        source = self._source(X, "x")
        generator, rows = self._generator(random_state), np.repeat(np.arange(source.rows), draws)
        hidden = mask_of(gaps if mask is None else mask, source)
        if gaps is not None:
            refuse_gaps(gaps, hidden, source)
        if isinstance(self.drawing_, CodesDrawn):
            values = self.drawing_.inpaint(source, hidden, draws, given, generator)
        else:
            self._check_cells(given)
            values = with_gaps_filled(self.drawing_, source.take(rows), hidden[rows], generator)
        table = source.form.wrap(values, index=None if source.index is None else source.index[rows])
        return beside_known(X, rows, table, hidden[rows]) if source.layout.axes == ("column",) else table

    def log_likelihood(
        self, X: Any, draws: int | None = None, *, given: Any = None, random_state: Any = 0
    ) -> Likelihood:
        """How probable the rows of ``X`` are, in nats: a `Likelihood`, with ``mean`` and ``rows``.

        Through codes as `Autoencoder.log_likelihood` has it, for kinds that draw codes, by so many ``draws`` (200).
        Cell by cell as the mean over so many orders of the columns (4), numbers by the bins that they fall in; such
        figures compare rows, and fits to one table.
        """
        check_is_fitted(self, "drawing_")
        source = self._source(X, "X")
        if isinstance(self.drawing_, CodesDrawn):
            draws = DRAWS if draws is None else draws
            return self.autoencoder_.log_likelihood(source, draws, given=given, random_state=random_state)
        self._check_cells(given)
        orders = ORDERS if draws is None else whole("draws", draws, 1)
        return self.drawing_.log_likelihood(source, self._generator(random_state), orders)

    # ------------------------------------------------------------------ judging

    def judge(
        self, train: Any, held_out: Any, *, labels: Any = None, target: Any = None, random_state: Any = 0
    ) -> Judged:
        """How good drawn rows are, beside real rows and a trivial generator, and whether they are copies.

        Parameters
        ----------
        train : the rows of the fit.
        held_out : rows from where those come from, a random part of them, that were kept from the fit.
        labels : (n,) of the rows of ``train``, for pictures and other arrays: rows are then compared by the features of
            a classifier that is trained to tell them, else by 50 principal components, by which the trivial generator
            looks better than to the eye. For a fit with ``given``, what each row was given.
        target : a column of a table that a model is to learn from drawn rows.
        random_state : the rows judged are those of ``sample(n, random_state=...)``.

        Returns
        -------
        Judged
            A record with figures and verdicts; ``print`` shows a table. At most 5,000 rows of each sort are compared,
            fewer of more than 4,000 cells each; copies are sought among 50,000 training rows. It takes about a minute.
        """
        from isthmus.estimators.generator_judging import judge

        check_is_fitted(self, "drawing_")
        return judge(self, train, held_out, labels, target, random_state)

    def report(
        self, path: str | os.PathLike[str], train: Any, held_out: Any = None, labels: Any = None, target: Any = None
    ) -> Path:
        """Write one self-contained HTML page: verdicts, drawn rows beside real ones, the figures of `judge`, columns,
        copies and the space of codes. Without ``held_out`` nothing is said of copies, or of what real rows would have.
        """
        from isthmus.estimators.generator_report import write_report

        check_is_fitted(self, "drawing_")
        return write_report(self, path, train, held_out, labels, target)

    # ------------------------------------------------------------------ what they share

    def _walking(self, verb: str) -> CodesDrawn:
        """What draws through codes, or a word on what does not."""
        check_is_fitted(self, "drawing_")
        if not isinstance(self.drawing_, CodesDrawn):
            raise InputError(
                f"{verb}: this table is drawn cell by cell, without codes to walk among; vary, inpaint and sample do "
                "without. Or fit with an autoencoder=, such as 'undercomplete', to draw it through codes"
            )
        return self.drawing_

    def _source(self, X: Any, argument: str) -> Source:
        """Later data, which must look like those of the fit; one row may come without its axis."""
        X = one_or_more(X, self.form_)
        source = open_source(X, argument=argument, columns=self.columns, form=self.form_, estimator_name="Generator")
        warn_of_names(self, X, source)
        return self.autoencoder_._source(source) if isinstance(self.drawing_, CodesDrawn) else source

    def _one(self, argument: str, X: Any) -> Source:
        source = self._source(X, argument)
        if source.rows != 1:
            raise InputError(f"{argument} must be one row; got {source.rows:,}")
        return source

    def _generator(self, random_state: Any) -> torch.Generator:
        return torch.Generator(self.autoencoder_._device).manual_seed(seed_of(random_state))

    @property
    def autoencoder_(self) -> Autoencoder:
        check_is_fitted(self, "drawing_")
        return self.drawing_.model

    @property
    def way_(self) -> str:
        check_is_fitted(self, "drawing_")
        return "codes" if isinstance(self.drawing_, CodesDrawn) else "cells"

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted generator as one ``.safetensors`` file: tensors and JSON, never code; `load` reads it."""
        from isthmus.estimators.generator_files import state_of

        check_is_fitted(self, "drawing_")
        storage.write(path, *state_of(self))
        return Path(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags


PASSED_ON = ("code_size", "epochs", "batch_size", "learning_rate", "max_time", "device", "verbose")
"""Parameters of the generator that are its autoencoder's."""


def cell_by_cell(source: Source) -> bool:
    """Whether rows are drawn so where the user names no kind: tables, but wide ones of numbers."""
    row: Layout = source.layout
    if len(row.shape) > 1 or row.sequence:
        return False
    return row.columns is not None or row.features <= MOST_COLUMNS


def warn_of_prior(model: Autoencoder) -> None:
    what = "autoregressive prior" if has_symbols(model) else "mixture of normal distributions"
    warnings.warn(
        f"autoencoder: it has no prior over its codes, so a {what} is fitted to those of X. Name the prior, as in "
        "Generator(autoencoder, prior='mixture'), to have it without a word",
        DataWarning,
        stacklevel=3,
    )
