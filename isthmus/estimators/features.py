"""`FeatureLearner`: features from rows without labels, for models that are taught with the few labels there are."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from isthmus import onnx, storage
from isthmus.checks import did_you_mean
from isthmus.composition import Composition
from isthmus.data import Source, open_source
from isthmus.data.sources import spread_rows
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.fitting import build, chosen_code_size, fitting_network
from isthmus.estimators.importances import importances
from isthmus.estimators.layers import CODE, Reader, check_layer, encoder_layers
from isthmus.estimators.settings import batch_size_for, name_features, names_of, seed_of, warn_of_names
from isthmus.parts.corruptions import Mask
from isthmus.recipes import Kind, Parts, top_k
from isthmus.records import Batch, Layout

if TYPE_CHECKING:
    from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
    from isthmus.estimators.selecting import Selector

TASKS = ("auto", "classes", "numbers")
"""What labels can be said to be."""

SPREAD_ROWS = 10_000
"""Rows that the mean and the spread of the features are taken from."""


class FeatureLearner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learns features from rows without labels; a classifier or regressor then starts from them.

    Parameters
    ----------
    code_size : numbers in the code, >= 1; None = up to 1,000 where the code is wide, else what suits the data.
    autoencoder : a kind, by name or with its knobs, that is fitted; or a fitted `Autoencoder`, which is then not
        trained. None = of pictures and of 50 columns and more a wide code of which few units are active, learnt from
        rows of which some cells are hidden; else a denoising one, or of mixed tables a masked one.
    layer : what the features are: ``"code"``, or the activations of a layer of the encoder, by its name in
        `layer_names`.
    columns, scale, epochs, batch_size, learning_rate, max_time, device, verbose : as for `Autoencoder`.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.

    Attributes
    ----------
    autoencoder_ : the fitted `Autoencoder`.
    feature_importances_ : (n_features_in_,) >= 0, sum 1: the share of each column in the variance of the features, to
        first order; see `isthmus.estimators.importances.importances` for the formula.
    centre_, spread_ : (width,) mean and standard deviation of every feature over rows of the fit.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    References
    ----------
    Vincent et al. 2010, Stacked denoising autoencoders: learning useful representations in a deep network.

    Examples
    --------
    >>> import numpy as np
    >>> import isthmus as ist
    >>> X, y = ist.data.digits()
    >>> learner = ist.FeatureLearner(code_size=16, epochs=2, random_state=0).fit(X)
    >>> learner.transform(X).shape, learner.feature_importances_.shape
    ((1797, 16), (64,))
    >>> classifier = learner.fine_tune(X[:100], y[:100], mode="probe")
    >>> classifier.predict(X[100:]).shape
    (1697,)
    """

    def __init__(
        self,
        code_size: int | None = None,
        *,
        autoencoder: Any = None,
        layer: str = CODE,
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
        self.code_size = code_size
        self.autoencoder = autoencoder
        self.layer = layer
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

    def fit(self, X: Any, y: Any = None) -> FeatureLearner:
        """Learn from the rows of ``X``, as an `Autoencoder` takes them; ``y`` is not read. Returns self.

        Raises
        ------
        InputError : the data or a parameter cannot be used; the estimator then stays as it was.
        """
        brought = self.autoencoder if isinstance(self.autoencoder, Autoencoder) else None
        if brought is not None:
            check_brought(brought, self.layer)
            source, model = brought._source(X), brought
        else:
            source = open_source(X, columns=self.columns, estimator_name="FeatureLearner")
            if not isinstance(X, (str, os.PathLike, Source)):
                _get_feature_names(X)  # refuses names of which only some are text
            model = self._made(source)
            if self.layer != CODE:
                check_layer(sketch(model, source), self.layer)  # before the work rather than after it
            model.fit(source)
        rows = spread_rows(source.rows, SPREAD_ROWS)
        self.centre_, self.spread_ = moments(model, self.layer, source, rows)
        self.feature_importances_ = importances(model, self.layer, source)
        self.autoencoder_ = model
        self.n_features_in_ = source.layout.features
        name_features(self, names_of(source))
        return self

    def _made(self, source: Source) -> Autoencoder:
        """The autoencoder to fit."""
        kind = self.autoencoder
        if kind is not None and not isinstance(kind, (str, Kind, Parts, Composition)):
            raise InputError(
                f"autoencoder must be a fitted Autoencoder, the name of a kind, or a kind; got {type(kind).__name__}"
            )
        usual = {} if kind is not None else suited(source.layout, self.code_size)
        if "corruption" in usual and self.batch_size is None:
            usual |= pace(source.rows)
        chosen = {name: getattr(self, name) for name in PASSED_ON if getattr(self, name) is not None}
        beside = {"columns": self.columns, "scale": self.scale, "random_state": seed_of(self.random_state)}
        return Autoencoder(**{"method": kind, **usual, **beside, **chosen})

    # ------------------------------------------------------------------ using

    def transform(self, X: Any, layer: str | None = None) -> np.ndarray:
        """The features of the rows of ``X``: (n, width) float32, deterministic.

        Parameters
        ----------
        X : rows like those of the fit.
        layer : another one than that of the estimator, by its name in `layer_names`. Maps are laid out flat; of
            layers that run along the steps of a sequence it is the mean over its steps.

        Raises
        ------
        InputError : there is no such layer, or ``X`` is not like the rows of the fit.
        """
        check_is_fitted(self, "autoencoder_")
        reader = Reader(self.autoencoder_.composition_, self.layer if layer is None else layer)
        return read(self.autoencoder_, reader, self._source(X))

    def layer_names(self) -> list[str]:
        """The layers that `transform` can take features from, in the encoder's order, and ``"code"``."""
        check_is_fitted(self, "autoencoder_")
        return encoder_layers(self.autoencoder_.composition_)

    def fine_tune(
        self,
        X: Any,
        y: Any,
        *,
        task: str = "auto",
        mode: str = "auto",
        unlabelled: Any = None,
        class_weight: str | None = "balanced",
        validation_fraction: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> TunedClassifier | TunedRegressor:
        """A classifier, or a regressor, that starts from these features and is taught with labels.

        Parameters
        ----------
        X : (n, ...) rows like those of the fit.
        y : (n,) classes, or numbers; (n, labels) of 0 and 1, where a row can have several labels; or (n, outputs)
            numbers. Not known are None and NaN, and -1 among classes: such rows count as unlabelled ones.
        task : ``"classes"``, ``"numbers"``, or ``"auto"``: text and truth values are classes, fractions are numbers,
            and whole numbers are classes where at most 10 differ, or at most 20 of which each comes twice in the mean.
        mode, unlabelled, class_weight, validation_fraction, epochs, batch_size, learning_rate, max_time, verbose : see
            `TunedClassifier`.
        random_state : None = that of this estimator.

        Returns
        -------
        TunedClassifier or TunedRegressor
            Fitted; its ``mode_`` is the mode that was chosen.

        Raises
        ------
        InputError : the labels cannot be used.

        Warns
        -----
        DataWarning : whole numbers that could be either; too few labels to choose a mode by.
        """
        from isthmus.estimators.fine_tuning import TunedClassifier, TunedRegressor
        from isthmus.estimators.targets import are_numbers

        check_is_fitted(self, "autoencoder_")
        knobs: dict[str, Any] = {
            "mode": mode,
            "validation_fraction": validation_fraction,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "max_time": max_time,
            "verbose": verbose,
            "random_state": self.random_state if random_state is None else random_state,
        }
        if task not in TASKS:
            raise InputError(f"task: there is no {task!r}.{did_you_mean(task, TASKS)}")
        told = are_numbers(y, "choose with task='{}'") if task == "auto" else task == "numbers"
        if told:
            return TunedRegressor(self, **knobs).fit(X, y, unlabelled=unlabelled)
        return TunedClassifier(self, class_weight=class_weight, **knobs).fit(X, y, unlabelled=unlabelled)

    def select(self, k: int, X: Any) -> Selector:
        """The ``k`` columns from which all others are rebuilt best, as a fitted `Selector`.

        Parameters
        ----------
        k : columns to keep, from 1 to n_features_in_.
        X : rows like those of the fit, which the choice is learnt from.
        """
        from isthmus.estimators.selecting import selected

        check_is_fitted(self, "autoencoder_")
        self._source(X)  # refuses what does not look like the rows of the fit
        model = self.autoencoder_
        chosen = {name: getattr(self, name) for name in ("epochs", "max_time", "device", "verbose")}
        return selected(X, k, model.columns, seed_of(self.random_state), scale=model.scale, **chosen)

    def _source(self, X: Any, argument: str = "X") -> Source:
        """Later data, which must look like those of the fit."""
        model = self.autoencoder_
        source = open_source(
            X, argument=argument, columns=model.columns, form=model.form_, estimator_name="FeatureLearner"
        )
        warn_of_names(self, X, source)
        warn_of_scale(source, model.scaling_)
        return model._source(source)

    @property
    def _n_features_out(self) -> int:
        return len(self.spread_)

    # ------------------------------------------------------------------ files

    def export_onnx(self, path: str | os.PathLike[str], layer: str | None = None) -> Path:
        """Write the encoder up to a layer as one ONNX file, scaling included: rows in the data's units -> features.

        Needs the extra ``isthmus[onnx]``. The output, named "code", is compared with PyTorch's before the file is kept.
        """
        check_is_fitted(self, "autoencoder_")
        model = self.autoencoder_
        reader: Any = Reader(model.composition_, self.layer if layer is None else layer)
        if reader.layer == CODE:
            return model.export_onnx(path)
        layout = model.form_.layout
        with torch.no_grad():
            width = reader(Batch(torch.zeros(1, *layout.shape, device=model._device), layout)).shape[1]
        return onnx.export(path, reader, model.scaling_, model.form_, "encoder", width)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator as one ``.safetensors`` file: tensors and JSON, never code; `load` reads it."""
        from isthmus.estimators.features_files import state_of

        check_is_fitted(self, "autoencoder_")
        storage.write(path, *state_of(self))
        return Path(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.non_deterministic = self.random_state is None
        return tags


MANY, WIDEST, ACTIVE = 50, 1000, 50
"""Columns from which on a wide code is learnt; its units at most; and how many of them are active."""

WIDE_BATCHES, MANY_ROWS = (64, 128), 1500
"""Rows in a batch of a wide code, at least: of fewer rows than these in all, and of more."""

WIDE_STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 700, 20, 300
"""Steps for a wide code, unless that makes too few epochs or too many."""

LOOKED_AT = 64
"""Later pictures whose range is looked at."""

PASSED_ON = ("code_size", "epochs", "batch_size", "learning_rate", "max_time", "device", "verbose")
"""Parameters of the estimator that are its autoencoder's."""


def suited(layout: Layout, code_size: int | None) -> dict[str, Any]:
    """What is fitted where the user names no kind.

    Of many columns, and of pictures, a wide code of which few units are active: from few labels it told the classes of
    MNIST best of six kinds of autoencoder, on held-out labels. Of few columns, a code as wide as they are.
    """
    if layout.columns is not None:
        return {"method": "masked"}
    if layout.sequence:
        return {"method": "denoising"}
    if layout.features < MANY or (code_size is not None and code_size < layout.features):
        return {"method": "denoising", "code_size": min(layout.features, MANY)}
    units = min(8 * layout.features, WIDEST) if code_size is None else code_size
    return {"method": top_k(k=0.1 if units < 10 * ACTIVE else ACTIVE), "corruption": Mask(0.3), "code_size": units}


def pace(rows: int) -> dict[str, int]:
    """Batches and epochs of a wide code: it learns faster, and rebuilds better, from larger batches than others take.

    Of 2,000 digits of MNIST 700 such steps left an error 5 % below that of 4,000 steps with 32 rows, in half the time;
    from 100 labels the classes were told as well. So it was of 500 digits with 64 rows, and worse with 128.
    """
    size = max(WIDE_BATCHES[rows >= MANY_ROWS], batch_size_for(rows))
    steps = max(1, rows // size)
    return {"batch_size": size, "epochs": min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(WIDE_STEPS / steps)))}


def check_brought(model: Autoencoder, layer: str) -> None:
    """Refuse an autoencoder that features cannot be read from."""
    check_is_fitted(model, "composition_")
    if model.conditions_ is not None:
        raise InputError(
            "autoencoder: this one was fitted with given=, which a FeatureLearner has no way to take; bring one that "
            "was fitted without"
        )
    check_layer(model.composition_, layer)


def warn_of_scale(source: Source, scaling: Any) -> None:
    """Warn of pictures whose cells all lie within a hundredth of the range of the fit, or reach a hundred times beyond
    it: those in 0 .. 1 for a fit of 0 .. 255, and the reverse."""
    if source.layout.columns is not None or source.layout.sequence or len(source.layout.shape) < 2 or not source.rows:
        return
    some = source.take(spread_rows(source.rows, LOOKED_AT))
    largest, fitted = float(np.abs(some).max()), float(np.abs([scaling.low, scaling.high]).max())
    if np.ptp(some) > 0 and not fitted / 100 < largest < fitted * 100:
        warnings.warn(
            f"{source.argument}: its pictures reach from {some.min():.4g} to {some.max():.4g}, those of the fit from "
            f"{scaling.low.min():.4g} to {scaling.high.max():.4g}. Bring them to the range of the fit",
            DataWarning,
            stacklevel=4,
        )


def sketch(model: Autoencoder, source: Source) -> Composition:
    """The composition that a fit begins with, for the names of its layers."""
    parts = model._parts(source)
    if isinstance(model.network, str):
        parts = fitting_network(parts, source)
    if not isinstance(parts, Parts):
        return parts
    return build(parts, source.layout, chosen_code_size(model.code_size, parts, source.layout), seed=0)


def read(model: Autoencoder, reader: Reader, source: Source, rows: np.ndarray | None = None) -> np.ndarray:
    """(n, width) float32: a layer's activations for all rows of a source, or some."""
    with torch.no_grad():
        if rows is not None:
            stretches = (rows[start : start + 1024] for start in range(0, len(rows), 1024))
            return np.concatenate([reader(model._batch(source, some)).float().cpu().numpy() for some in stretches])
        blocks = [reader(batch).float().cpu() for _, _, batch in model._batches(source, most=4096)]
    return torch.cat(blocks).numpy()


def moments(model: Autoencoder, layer: str, source: Source, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(width,) float64 mean and standard deviation of the features."""
    values = read(model, Reader(model.composition_, layer), source, rows).astype(np.float64)
    return values.mean(0), values.std(0)
