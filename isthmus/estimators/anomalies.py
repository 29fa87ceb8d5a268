"""`AnomalyDetector`: learn what is ordinary, tell what is not, how sure, and why."""

from __future__ import annotations

import copy
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from isthmus import storage
from isthmus.alarms import RESOLVED, HeldOut, discoveries
from isthmus.checks import check_whole, counted, is_real
from isthmus.data import Source, open_source
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.cascade import Cascade
from isthmus.estimators.oddness import CROSS_FITTED, FOLDS, LEAST_ROWS, Making
from isthmus.estimators.oddness_of_cells import Cells
from isthmus.estimators.oddness_of_numbers import Numbers
from isthmus.estimators.oddness_of_steps import Steps, series_source
from isthmus.estimators.oddness_of_wholes import Wholes
from isthmus.estimators.settings import name_features, names_of, seed_of, warn_of_names, whole
from isthmus.parts.corruptions import GaussianNoise
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import Kind, Parts

MOST_ROWS = 200_000
"""Rows at most that a fit looks at; of more, so many are drawn at random."""

BATCH, FEW_BATCH = 256, 128
STEPS, FOLD_STEPS = 2000, 600
"""Steps of training, of the one autoencoder of a large table of numbers and of each of a small one's."""


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Learns from mostly ordinary rows, without labels, which rows are odd; alarms as often as it is told to, and why.

    A row is odd where autoencoders rebuild it badly and where it is far from all others. How odd is ordinary, is learnt
    from rows that are held out of the fit; so the share of ordinary rows that raise an alarm is what was asked for.

    - Complete tables of numbers: a denoising autoencoder of every column's size and rank, and the distance to the
      nearest row.
    - Mixed tables, and such with missing cells: a masked autoencoder that guesses each cell from other columns.
    - Series (``data="series"``): a linear autoencoder of the window before each step, channel by channel.
    - Pictures and all else: a denoising autoencoder of whole rows, and the distance to the nearest code.

    Parameters
    ----------
    alarm_rate : share of ordinary rows that may raise an alarm, in (0, 1); see also `set_alarm_rate`.
    autoencoder : a kind that is fitted in place of the usual one, by name or with its knobs; or a fitted `Autoencoder`,
        which is then not trained: give `fit` ordinary rows that it was not fitted on.
    distance : whether the distance to the nearest row counts (of mixed tables and series it never does).
    cascade : whole number >= 1, how many autoencoders stand in a row. Each further one is fitted to the rows that the
        one before rebuilds badly, and a row is as odd as the one says that finds it least odd: for ordinary rows of
        several kinds, of which one autoencoder learns only the frequent ones. Tables of numbers are then judged as
        pictures are; mixed tables and series are refused.
    data : ``"auto"``, or ``"series"``: rows are the steps of one series, and each is judged by those before it alone.
    columns : what single columns are, as for `Autoencoder`.
    epochs, batch_size, learning_rate, max_time, device, verbose : as for `Autoencoder`.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.

    Attributes
    ----------
    autoencoders_ : the fitted `Autoencoder` objects: one, or five where rows are few; of a cascade, so many a stage.
    held_out_ : `HeldOut`, how odd the rows are that were held out, or judged since.
    window_ : of a series, the steps before each that it is judged by.
    offset_ : minus the oddness above which a row alarms; ``decision_function`` is ``score_samples - offset_``.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Notes
    -----
    Fewer than 1,000 rows are cross-fitted: each fifth is judged by an autoencoder that was fitted to the others, and
    new rows by all five. Otherwise a fifth of the rows, at most 10,000, is held out of the fit. The rates hold for rows
    that come from where those of the fit came from; if these hold anomalies, the detector alarms the more rarely.

    References
    ----------
    Alain & Bengio 2014, "What regularized auto-encoders learn from the data-generating distribution"; Bates et al.
    2023, "Testing for outliers with conformal p-values".

    Examples
    --------
    >>> import isthmus as ist, numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> detector = ist.AnomalyDetector(alarm_rate=0.05, epochs=2, random_state=0).fit(X)
    >>> detector.predict([[0.1, 0.2, -0.3, 0.1], [9.0, -9.0, 9.0, -9.0]])  # ordinary, odd
    array([ 1, -1])
    """

    def __init__(
        self,
        alarm_rate: float = 0.01,
        *,
        autoencoder: Any = None,
        distance: bool = True,
        cascade: int = 1,
        data: str = "auto",
        columns: dict[Any, str] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.alarm_rate = alarm_rate
        self.autoencoder = autoencoder
        self.distance = distance
        self.cascade = cascade
        self.data = data
        self.columns = columns
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> AnomalyDetector:
        """Learn what is ordinary.

        Parameters
        ----------
        X : rows that are ordinary, but for a few: (n, columns) table, array or frame, a path to one, an array of
            pictures (n, height, width[, channel]), or a source from ``ist.data``. At least 2; an alarm rate is
            resolved by 2 / alarm_rate held-out rows.
        y : ignored.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used.

        Warns
        -----
        DataWarning : too few rows for this alarm rate; rows that are there twice.
        """
        check_alarm_rate(self.alarm_rate)
        check_whole("AnomalyDetector", cascade=self.cascade)
        given = self.autoencoder if isinstance(self.autoencoder, Autoencoder) else None
        source = self._opened(X, given)
        if source.rows < 2:
            raise InputError(f"X has {counted(source.rows, 'row')}, one sample at most: give at least 2, better 1,000")
        random = np.random.default_rng(seed_of(self.random_state))
        rows = random.permutation(source.rows)[:MOST_ROWS]
        oddness: Numbers | Cells | Wholes | Cascade | Steps
        if given is not None:
            oddness, held_out = Wholes.judging(copy.copy(given), source, rows, self.distance)
        elif self.data == "series":
            oddness, held_out = Steps.fit(source)
        elif self.cascade > 1:
            making = self._making(Wholes, source, int(random.integers(2**31)))
            oddness, held_out = Cascade.fit(source, rows, making, self.distance, self.cascade)
        else:
            row = source.layout
            way = Wholes if len(row.shape) > 1 or row.sequence else Numbers if row.columns is None else Cells
            making = self._making(way, source, int(random.integers(2**31)))
            oddness, held_out = way.fit(source, rows, making, self.distance)
        known = held_out[~np.isnan(held_out)]
        if not len(known):
            raise InputError("X: of the rows that were held out none has a known cell; give rows that have some")
        self.oddness_ = oddness
        self.recent_ = known
        self.form_ = source.form
        self.n_features_in_ = source.layout.features
        name_features(self, names_of(source))
        self._level()
        self._warn_of_rate()
        return self

    def set_alarm_rate(self, alarm_rate: float) -> AnomalyDetector:
        """Alarm at another rate from now on, without a new fit. Returns self."""
        check_is_fitted(self, "oddness_")
        self.alarm_rate = check_alarm_rate(alarm_rate)
        self._level()
        self._warn_of_rate()
        return self

    def partial_fit(self, X: Any, y: Any = None) -> AnomalyDetector:
        """Learn from new rows, as they come; the level of alarms follows them.

        The rows are judged first, as they are: their scores take the place of the oldest ones that the level rests on,
        so that it drifts with the data and the share of alarms stays what was asked for. Then the autoencoders are
        trained on those that did not alarm, in one pass. The first call is a `fit`. A call that fails leaves the
        detector as it was. Returns self.
        """
        if not hasattr(self, "oddness_"):
            return self.fit(X)
        source = self._source(X)
        odd = self.oddness_.going_on(source) if isinstance(self.oddness_, Steps) else self.oddness_(source)
        oddness = self.oddness_.taught(source, np.flatnonzero(odd <= -self.offset_))
        self.oddness_ = oddness
        self.recent_ = np.concatenate([self.recent_, odd[~np.isnan(odd)]])[-len(self.recent_) :]
        self._level()
        return self

    def _level(self) -> None:
        """Set the level of alarms by the rows that were held out, or judged since."""
        self.held_out_ = HeldOut.of(self.recent_)
        self.offset_ = -self.held_out_.threshold(check_alarm_rate(self.alarm_rate))

    def _making(self, way: type, source: Source, seed: int) -> Making:
        """Makes the autoencoder of a fold."""
        chosen = {name: getattr(self, name) for name in PASSED_ON if getattr(self, name) is not None}
        kind = self.autoencoder
        if isinstance(kind, str):
            kind = Kind(kind)
        if kind is not None and not isinstance(kind, (Kind, Parts)):
            raise InputError(f"autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got {kind!r}")
        usual: dict[str, Any] = {"columns": self.columns}
        if way is Numbers:
            usual = {"scale": "none", **shown_often(source.rows)}
            if kind is None:
                width = 128 if source.rows < CROSS_FITTED else 256
                kind = Parts(network=Dense((width, width)), corruption=GaussianNoise(1.0))
                usual["code_size"] = width // 2

        def made(fold: int) -> Autoencoder:
            return Autoencoder(kind or KINDS[way], random_state=seed + fold, **{**usual, **chosen})

        return made

    def _warn_of_rate(self) -> None:
        rate = float(self.alarm_rate)
        if not self.held_out_.resolves(rate):
            rows = len(self.held_out_)
            warnings.warn(
                f"alarm_rate={rate:g} cannot be resolved by {counted(rows, 'held-out row')}: it takes "
                f"{int(np.ceil(RESOLVED / rate)):,}. A row alarms that is odder than all of them, which may be as "
                f"often as {1 / (rows + 1):.2g}. Give more rows, or a higher rate",
                DataWarning,
                stacklevel=3,
            )

    # ------------------------------------------------------------------ using

    def score_samples(self, X: Any) -> np.ndarray:
        """(n,) float64: minus how odd each row is, in nats, as in scikit-learn: the lower, the odder. NaN where no cell
        of a row is known: nothing tells whether it is odd."""
        check_is_fitted(self, "oddness_")
        return -self.oddness_(self._source(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """(n,) float64: `score_samples` from the level of alarms on; rows below 0 alarm. NaN as there."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(n,) int64: -1 for rows that alarm, 1 for all others, those of which no cell is known among them."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """(n,) in (0, 1]: how probable it is that an ordinary row is as odd; of ordinary rows, a share of at most r
        has a p-value of at most r. The least there is, is 1 / (held-out rows + 1). NaN where no cell is known."""
        scores = self.score_samples(X)
        return self.held_out_.p_values(-scores)

    def discoveries(self, X: Any, rate: float = 0.1) -> np.ndarray:
        """(n,) bool: which rows of a batch to call anomalies, so that of those called a share of at most ``rate`` is
        ordinary, in the mean; see `isthmus.alarms.discoveries`. Warns where so few rows were held out that one odd row
        alone could not be called."""
        check_alarm_rate(rate, "rate")
        p_values = self.p_values(X)
        called, held_out = discoveries(p_values, rate), len(self.held_out_)
        batch = int((~np.isnan(p_values)).sum())
        most = int(rate * (held_out + 1) + 1e-9)  # rows at once of which one alone could be called
        if not called.any() and batch > max(most, rate * (held_out + 1)):
            fewer = f"judge {counted(most, 'row')} at once at most, or " if most else ""
            warnings.warn(
                f"nothing is called, and one odd row alone could not be: the least p-value that "
                f"{counted(held_out, 'held-out row')} can give is {1 / (held_out + 1):.2g}, and of "
                f"{counted(batch, 'row')} at rate={rate:g} it must be {rate / batch:.2g}. That takes "
                f"{int(np.ceil(batch / rate - 1e-9)) - 1:,} held-out rows; or {fewer}give a higher rate",
                DataWarning,
                stacklevel=2,
            )
        return called

    def explain(self, X: Any, most: int = 3) -> Any:
        """Why rows are odd: the cells that, were they what the others make expected, would leave the row ordinary.

        A broken cell makes what is expected of others wrong too; here cells are taken out together, so that what is
        named is what broke, not what it smeared (`isthmus.reasons`).

        Parameters
        ----------
        X : rows like those of the fit, best those that alarm; of a series the whole stretch, as reasons lie in the
            steps before.
        most : the most cells named of a row, >= 1.

        Returns
        -------
        pandas.DataFrame
            Of tables, a line for every reason: ``row`` (its label in the index, or its number), ``rank`` (1 = the most
            important), ``column``, ``value`` and the ``expected`` one in the table's own units, and ``drop``, how far
            the cell is from what is expected, which the reasons of a row are ordered by. It is no difference of
            scores: of tables of numbers it is a squared distance, in standard deviations of the column given the cells
            that are not named (of a column that never varied a number above all held-out scores); of mixed tables how
            odd the cell is given those, in nats, 100 at most; of a series the channel's nats.
        array of the shape of ``X``
            Of all else, a heat map: the squared error of every cell over the usual one of its place, or over the mean
            of all places where that is larger.
        """
        from isthmus.estimators.explaining import explained

        check_is_fitted(self, "oddness_")
        return explained(self, self._source(X), whole("most", most, 1), X)

    def _opened(self, X: Any, given: Autoencoder | None) -> Source:
        """The data of a fit."""
        if self.data not in ("auto", "series"):
            raise InputError(f"data must be 'auto' or 'series'; got {self.data!r}")
        if self.data == "series" and self.autoencoder is not None:
            raise InputError(
                "autoencoder: a series is judged by a linear autoencoder of its own; leave it out, or cut windows of "
                "the series and give them as rows, without data='series'"
            )
        if self.cascade > 1 and (self.data == "series" or given is not None):
            what = (
                "a series is judged by a linear autoencoder" if given is None else "the autoencoder is fitted already"
            )
            raise InputError(
                f"cascade={self.cascade} trains autoencoders one after the other, but {what}: leave it out"
            )
        if given is not None:
            check_is_fitted(given, "composition_")
            if given.conditions_ is not None:
                raise InputError(
                    "autoencoder: this one was fitted with given=, which an AnomalyDetector has no way to take; bring "
                    "one that was fitted without"
                )
            return given._source(X)
        if self.data == "series":
            return series_source(X, columns=self.columns)
        source = open_source(X, columns=self.columns, estimator_name="AnomalyDetector")
        if not isinstance(X, (str, os.PathLike, Source)):
            _get_feature_names(X)  # refuses names of which only some are text
        if self.cascade > 1 and source.layout.columns is not None:
            raise InputError(
                f"cascade={self.cascade} is for pictures, sequences and complete tables of numbers: of mixed tables, "
                "and such with missing cells, each cell is judged given others of its row. Leave cascade out, or fill "
                "the gaps and turn categories into numbers first"
            )
        return source

    def _source(self, X: Any) -> Source:
        """Later data, which must look like those of the fit."""
        if isinstance(self.oddness_, Steps):
            return series_source(X, self.form_.names, self.columns, self.oddness_.pace)
        if isinstance(self.oddness_, (Wholes, Cascade)):
            return self.autoencoders_[0]._source(X)  # which knows what it left out, and what lengths it takes
        source = open_source(X, columns=self.columns, form=self.form_, estimator_name="AnomalyDetector")
        warn_of_names(self, X, source)
        return source

    @property
    def window_(self) -> int:
        """Of a series, the steps before each that it is judged by; the first ones are judged by the fewer there are."""
        check_is_fitted(self, "oddness_")
        if not isinstance(self.oddness_, Steps):
            raise AttributeError("window_: only a detector that was fitted with data='series' has one")
        return self.oddness_.window

    @property
    def autoencoders_(self) -> list[Autoencoder]:
        check_is_fitted(self, "oddness_")
        return self.oddness_.models

    def report(self, path: str | os.PathLike[str], X: Any) -> Path:
        """Write one self-contained HTML page: verdicts on alarms and drift, the oddest rows of ``X`` with their
        reasons, calibration, and how columns have moved since the fit."""
        from isthmus.estimators.anomaly_report import write_report

        check_is_fitted(self, "oddness_")
        return write_report(self, path, X)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted detector as one ``.safetensors`` file: tensors and JSON, never code; `load` reads it."""
        from isthmus.estimators.anomaly_files import state_of

        check_is_fitted(self, "oddness_")
        storage.write(path, *state_of(self))
        return Path(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags


PASSED_ON = ("epochs", "batch_size", "learning_rate", "max_time", "device", "verbose")
"""Parameters of the detector that are its autoencoders'."""

KINDS: dict[type, Any] = {Cells: "masked", Wholes: "denoising"}
"""What learns where the user names no kind."""


def shown_often(rows: int) -> dict[str, Any]:
    """How long an autoencoder of so many rows of numbers is trained, and that none of them is held out from it.

    Against noise as large as the data's own spread it cannot learn rows by heart, and short fits tell anomalies worse.
    """
    few = rows < CROSS_FITTED
    batch, steps = (FEW_BATCH, FOLD_STEPS) if few else (BATCH, STEPS)
    learnt = max(LEAST_ROWS, min(rows, MOST_ROWS) * (FOLDS - 1) // FOLDS)
    return {"validation_fraction": 0.0, "epochs": max(15, steps * batch // learnt), "batch_size": batch}


def check_alarm_rate(rate: Any, name: str = "alarm_rate") -> float:
    if not is_real(rate) or not 0 < rate < 1:
        raise InputError(f"{name} must be a number above 0 and below 1, a share of the rows; got {rate!r}")
    return float(rate)
