"""`Selector`: the few columns from which all others can be rebuilt, found without labels."""

from __future__ import annotations

import copy
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted

from isthmus import storage
from isthmus.data import Source, open_source
from isthmus.data.arrays import as_array
from isthmus.data.sources import spread_rows
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.column_choices import (
    BENDS,
    Candidate,
    check_choice,
    chosen_columns,
    cooling_epochs,
    error_of,
    filled,
    one_by_one,
    ways_for,
    worths,
)
from isthmus.estimators.settings import name_features, names_of, seed_of
from isthmus.parts.bottlenecks.concrete import Concrete, Cooling, Picked
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import Parts

SHUFFLED = 2_000
"""Rows on which it is measured how much each column is worth."""


class Selector(SelectorMixin, BaseEstimator):
    """Select the ``k`` columns from which all columns are rebuilt best, without labels.

    Columns are chosen one after the other, by what they foretell of all others linearly (``"linear"``) or by a sum of
    curves (``"bent"``), and all together by a concrete autoencoder (``"concrete"``), whose decoder may be anything. For
    each choice a decoder is trained, and the one is kept whose decoder rebuilds the held-out rows best.

    Parameters
    ----------
    k : columns to select, from 1 to as many as there are; of images, pixels.
    method : ``"auto"``, or one of the ways alone. Mixed columns, and more than 3,000, are left to ``"concrete"``, which
        then begins a second time, with random columns; more than 1,000 are too many for ``"bent"``.
    network : whose decoder rebuilds the rows.
    columns, scale, epochs, batch_size, learning_rate, device, verbose : as for `Autoencoder`.
    max_time : seconds for all fits together, None = no limit.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.

    Attributes
    ----------
    columns_ : (k,) int64, the positions of the selected columns, rising.
    names_ : (k,) their names; x0, x1 .. where they have none.
    importances_ : (k,) how much the error of what is rebuilt rises when a column is shuffled, in order of
        ``columns_``: the mean over cells of scaled squared errors. A column that tells nothing is worth about 0, and
        may by chance be worth less.
    order_ : (k,) the selected columns' positions, the most important first.
    autoencoder_ : the fitted `Autoencoder` that rebuilds all columns from the selected ones.
    errors_ : the held-out error of each choice that was made, by its name.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Notes
    -----
    Columns that repeat one another are told from a single one of them, and which it is, is then arbitrary.

    References
    ----------
    Balin, Abid & Zou 2019, Concrete autoencoders: differentiable feature selection and reconstruction; Farahat, Ghodsi
    & Kamel 2011, An efficient greedy method for unsupervised feature selection.

    Examples
    --------
    >>> import isthmus as ist
    >>> X = ist.data.digits()[0].reshape(-1, 64)
    >>> selector = Selector(8, epochs=2, random_state=0).fit(X)
    >>> Z = selector.transform(X)
    >>> Z.shape, selector.inverse_transform(Z).shape, selector.get_support().sum()
    ((1797, 8), (1797, 64), np.int64(8))
    """

    def __init__(
        self,
        k: int = 10,
        *,
        method: str = "auto",
        network: Any = None,
        columns: dict[Any, str] | None = None,
        scale: str = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.k = k
        self.method = method
        self.network = network
        self.columns = columns
        self.scale = scale
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Selector:
        """Select from the columns of ``X``, which `Autoencoder` takes; ``y`` is not read. Returns self.

        Raises
        ------
        InputError : the data or a parameter cannot be used; the estimator then stays as it was.
        """
        source = open_source(X, columns=self.columns, estimator_name="Selector")
        k = check_choice(self.k, self.method, source.layout)
        seed = seed_of(self.random_state)
        candidates = self._candidates(source, k, seed)
        # Of equals the first: the ways are in order, the simplest before the others.
        best = min(candidates, key=lambda candidate: candidate.error)
        model = best.autoencoder
        rows = spread_rows(source.rows, SHUFFLED)
        worth = worths(model.composition_, model._batch(source, rows), seed)
        self.autoencoder_ = model
        self.columns_: np.ndarray = best.columns
        self.importances_: np.ndarray = worth
        self.errors_ = {candidate.name: candidate.error for candidate in candidates}
        self.kept_ = source.kept
        self.n_features_in_ = source.layout.features
        name_features(self, names_of(source))
        return self

    def _candidates(self, source: Source, k: int, seed: int) -> list[Candidate]:
        """The choices, each with a decoder of its own."""
        began, most = time.monotonic(), math.inf if self.max_time is None else self.max_time
        quiet = copy.copy(source)
        quiet.derived = True  # of constant columns, say, one fit of all warns: the first of a decoder
        chosen = {"all": np.arange(k)} if k == source.layout.features else self._chosen(quiet, k, seed, most)
        made: list[Candidate] = []
        for name, columns in chosen.items():
            if made and np.array_equal(made[0].columns, columns):
                made.append(Candidate(name, columns, made[0].autoencoder, made[0].error))
                continue
            left = max((most - (time.monotonic() - began)) / (len(chosen) - len(made)), 1e-3)
            model = self._model(Picked(tuple(columns.tolist())), k, seed, left).fit(quiet if made else source)
            made.append(Candidate(name, columns, model, error_of(model)))
        return made

    def _chosen(self, source: Source, k: int, seed: int, max_time: float) -> dict[str, np.ndarray]:
        """(k,) rising positions by every way that goes with these rows."""
        ways = ways_for(source.layout) if self.method == "auto" else (self.method,)
        chosen = one_by_one(source, k, self.scale, [way for way in ways if way in BENDS])
        if "concrete" not in ways:
            return chosen
        epochs = cooling_epochs(source.rows, self.epochs, self.batch_size)
        starts = {"concrete": Concrete(Cooling(epochs=epochs))}
        if not chosen and self.method == "auto":
            starts["concrete from random"] = Concrete(Cooling(10.0, 0.01, epochs), start="random")
        for name, concrete in starts.items():
            fit = self._model(concrete, k, seed, max_time / (len(starts) + 2)).fit(source)
            chosen[name] = np.sort(chosen_columns(fit))
        return chosen

    def _model(self, bottleneck: Any, k: int, seed: int, max_time: float) -> Autoencoder:
        network = Dense(hidden=(0.5,)) if self.network is None else self.network
        return Autoencoder(
            Parts(network=network, bottleneck=bottleneck),
            code_size=k,
            columns=self.columns,
            scale=self.scale,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            max_time=None if math.isinf(max_time) else max_time,
            device=self.device,
            random_state=seed,
            verbose=self.verbose,
        )

    # ------------------------------------------------------------------ using

    @property
    def names_(self) -> np.ndarray:
        """(k,) names of the selected columns."""
        return self.get_feature_names_out()

    @property
    def order_(self) -> np.ndarray:
        """(k,) positions of the selected columns, the most important first."""
        check_is_fitted(self, "columns_")
        return self.columns_[np.argsort(-self.importances_, kind="stable")]

    def transform(self, X: Any) -> Any:
        """The selected columns of ``X``, as they are: (n, k), a frame where ``X`` is one; of images, pixels.

        Raises
        ------
        InputError : ``X`` is not like the rows of the fit.
        """
        check_is_fitted(self, "columns_")
        source = self.autoencoder_._source(X)
        if hasattr(X, "columns") and self.autoencoder_.form_.names is not None:
            labels = list(self._labels())
            return X[labels] if hasattr(X, "iloc") else X.select(labels)
        if hasattr(X, "iloc"):
            return X.iloc[:, self._places()]
        if isinstance(X, (str, os.PathLike, Source)):
            values = source.wrapped(source.read(0, source.rows))
            return self._of(values) if hasattr(values, "columns") else values.reshape(len(values), -1)[:, self.columns_]
        if scipy.sparse.issparse(X):
            return X.tocsc()[:, self._places()].tocsr()
        values = np.asarray(X)
        return values.reshape(len(values), -1)[:, self._places()]

    def inverse_transform(self, X: Any) -> Any:
        """All columns, rebuilt from the selected ones as `transform` gives them; these are returned as they came.

        Parameters
        ----------
        X : (n, k) array or frame, the columns in the order of ``columns_``.
        """
        check_is_fitted(self, "columns_")
        model, k = self.autoencoder_, len(self.columns_)
        if len(np.shape(X)) != 2 or np.shape(X)[1] != k:
            raise InputError(f"X must hold the {k} selected columns, shape (n, {k}); got the shape {np.shape(X)}")
        if model.form_.layout.columns is not None:
            return filled(model, X, list(self._labels()), self.columns_)
        values = as_array(X, "X").astype(np.float64)
        if not np.isfinite(values).all():
            raise InputError("X holds NaN or infinity; the selected columns must be finite numbers")
        # What stands in the other columns is not read.
        rows = np.tile(np.asarray(model.scaling_.centre, dtype=np.float64).reshape(-1), (len(values), 1))
        rows[:, self.columns_] = values
        scaled = model.scaling_.forward(rows.reshape(-1, *model.form_.layout.shape)).flatten(1)
        rebuilt = np.asarray(model.inverse_transform(scaled[:, torch.from_numpy(self.columns_)].numpy()))
        whole_rows = rebuilt.reshape(len(values), -1).astype(np.result_type(rebuilt, np.float64))
        whole_rows[:, self.columns_] = values
        index = X.index if hasattr(X, "iloc") else None
        return model.form_.wrap(whole_rows.reshape(-1, *model.form_.layout.shape), index=index)

    def _places(self) -> np.ndarray:
        """Where the selected columns stand in the user's data, ignored ones included."""
        return self.columns_ if self.kept_ is None else np.asarray(self.kept_)[self.columns_]

    def _labels(self) -> Any:
        labels = self.autoencoder_.form_.labels
        return self.columns_.tolist() if labels is None else [labels[column] for column in self.columns_]

    def _of(self, frame: Any) -> Any:
        return frame.iloc[:, self.columns_] if hasattr(frame, "iloc") else frame[:, self.columns_.tolist()]

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "columns_")
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.columns_] = True
        return mask

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted selector as one ``.safetensors`` file: tensors and JSON, never code."""
        from isthmus.estimators.selecting_files import state_of

        check_is_fitted(self, "columns_")
        storage.write(path, *state_of(self))
        return Path(path)


def selected(X: Any, k: int, columns: dict[Any, str] | None = None, seed: Any = 0, **knobs: Any) -> Selector:
    """A `Selector` of the ``k`` columns from which those of ``X`` are rebuilt best, fitted; ``knobs`` are its own."""
    return Selector(k, columns=columns, random_state=seed, **knobs).fit(X)
