"""`Autoencoder`: fit any kind on any data, and use it, with scikit-learn's manners."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _get_feature_names, check_is_fitted

from isthmus import diagnostics, onnx, storage, training
from isthmus.checkpoints import kept_seed
from isthmus.composition import Composition
from isthmus.data import Scaling, Source, digest, open_source, split
from isthmus.data.arrays import as_array
from isthmus.data.classes import numbered
from isthmus.data.column_words import columns_for_python
from isthmus.data.given import Conditions
from isthmus.data.sequences import SequenceSource
from isthmus.data.sources import spread_rows
from isthmus.data.table_form import TableForm
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.classes import ClassesMixin, reads_labels, with_classes
from isthmus.estimators.fitting import (
    Job,
    any_length,
    build,
    check_learnable,
    chosen_code_size,
    chosen_parts,
    code_size_of,
    fitting_network,
    given_size_of,
    rows_at_once,
    slides,
    suited,
)
from isthmus.estimators.generative import GenerativeMixin
from isthmus.estimators.imputing import ImputingMixin
from isthmus.estimators.settings import (
    check_folder,
    held_out_share,
    name_features,
    names_of,
    plan_for,
    row_weights,
    seed_of,
    warn_of_names,
)
from isthmus.parts.activations import REACH
from isthmus.parts.corruptions import Mask
from isthmus.parts.losses.categories import Categorical
from isthmus.recipes import Kind, Parts
from isthmus.records import Batch, Context, Layout
from isthmus.training import Feed


class Autoencoder(
    GenerativeMixin, ImputingMixin, ClassesMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """An autoencoder of any kind, as a scikit-learn transformer.

    An encoder squeezes rows through a narrow code, a decoder rebuilds them, and the reconstruction loss
    teaches both. What is left open (``None`` or ``"auto"``) is chosen from the data.

    Parameters
    ----------
    method : the kind: a name (``isthmus methods`` lists them), a kind with its knobs such as
        ``recipes.denoising(corruption=Mask(0.3))``, or a composition of your own made by `compose`.
    code_size : numbers per row in the code, >= 1; None = a share of the columns that the kind names (a
        quarter, at most 32, for those that narrow the data).
    network, bottleneck, loss, corruption : parts that replace the kind's own, e.g.
        ``network=Dense(hidden=(500, 100))``, ``bottleneck=Plain("sigmoid")``, ``corruption=Mask(0.2)``.
        With ``network="auto"`` a plain kind gets a linear path that starts at PCA; for pixels, the output stays
        within their ends instead, and only where PCA of the same code size turns out better on the held-out
        rows is the kind fitted once more from PCA.
    penalties : penalties beside the kind's own, e.g. ``[Contractive(1e-2)]``; one of the same class on the same
        layer takes the place of the kind's own.
    augmentation : how training rows are varied before anything else, e.g. ``[Flip(), Shift(2)]``: the varied rows are
        what is rebuilt.
    scale : ``"auto"``, or how columns are scaled: ``"standard"`` (each to mean 0 and standard deviation 1),
        ``"common"`` (each to mean 0, one scale for all: pixels), ``"unit"`` (to 0..1), ``"none"``. Counts and
        categories are never scaled.
    columns : what single columns are, by name or position: ``"ignore"`` leaves one out, a scaling mode
        scales it so.
    epochs, batch_size : None = chosen from the number of rows. For kinds with pretraining, ``epochs=0`` leaves out
        the training of all layers as one.
    learning_rate, weight_decay : of the optimiser, AdamW with a short warm-up and half a cosine down to 0;
        None = what suits the kind and the number of rows (`linear` has no decay).
    validation_fraction : share of the rows held out to judge the fit by, in [0, 0.9]; None = a tenth, or 100 rows where
        these are at most a quarter. Never more than 20,000 rows are held out, and none of fewer than 10.
    early_stopping : True (stop when the held-out cost has not fallen for a fifth of the epochs), False, or a
        number of epochs. The best state is restored in any case.
    max_time : seconds after which training stops, anew for each call of ``fit``; None = no limit.
    target : stop as soon as the held-out error (see ``valid_rmse`` in ``history_``) is this small.
    device : ``"auto"``, ``"cpu"`` or ``"cuda"``.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.
    verbose : 0 = silent; 1 = a progress bar on a terminal, lines elsewhere.
    checkpoint : a folder in which the state of the fit is kept; ``fit(X, resume=True)`` goes on from there.
    checkpoint_every : seconds between checkpoints.

    Attributes
    ----------
    composition_ : the fitted `Composition` (an ``nn.Module``).
    code_size_ : numbers in the code.
    history_ : dict of lists, a value before training and after every epoch: ``cost`` and its terms on the
        training rows (nats per row), ``valid_cost`` and ``valid_rmse`` on the held-out rows, ``learning_rate``,
        ``seconds``. ``valid_rmse`` is the root of the mean squared error per cell: in the data's own units where
        all columns share one scale, in standard deviations where each has its own.
    scaling_ : how the columns are scaled, and why.
    record_ : what the fit knows of itself (held-out error beside PCA's, rows, epochs, why it stopped).
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Notes
    -----
    ``transform`` and the scores are deterministic and thread-safe. A fit with your own modules runs inside a
    forked global generator, so such fits must not run side by side in threads.

    Examples
    --------
    >>> import isthmus as ist
    >>> X = ist.data.digits()[0]
    >>> ae = ist.Autoencoder(code_size=8, epochs=2, random_state=0).fit(X)
    >>> ae.transform(X).shape, ae.reconstruct(X).shape, ae.score_samples(X).shape
    ((1797, 8), (1797, 8, 8), (1797,))
    """

    def __init__(
        self,
        method: Any = "undercomplete",
        *,
        code_size: int | None = None,
        network: Any = "auto",
        bottleneck: Any = None,
        loss: Any = None,
        corruption: Any = None,
        penalties: Any = None,
        augmentation: Any = None,
        scale: str = "auto",
        columns: dict[Any, str] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        validation_fraction: float | None = None,
        early_stopping: bool | int = True,
        max_time: float | None = None,
        target: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
    ) -> None:
        self.method = method
        self.code_size = code_size
        self.network = network
        self.bottleneck = bottleneck
        self.loss = loss
        self.corruption = corruption
        self.penalties = penalties
        self.augmentation = augmentation
        self.scale = scale
        self.columns = columns
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.max_time = max_time
        self.target = target
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        given: Any = None,
        shown: Any = None,
        sample_weight: Any = None,
        resume: bool = False,
    ) -> Autoencoder:
        """Fit to the rows of ``X``.

        Parameters
        ----------
        X : (n, columns) or (n, height, width[, channel]) array, pandas or polars frame, scipy sparse matrix,
            path to ``.csv .parquet .npy .npz`` or idx files or to a folder of images, or a source from
            ``ist.data``.
        y : (n,) labels, for kinds that learn from those of some rows ('semi_supervised'): None, NaN, or among whole
            numbers -1, where a row's is not known. Ignored by all others.
        given : what each row is given, which encoder and decoder then read beside it, so that the code need not
            hold it: (n,) labels or numbers, or (n, k) of them, array or frame. Text, truth values and whole
            numbers of at most 20 different values are labels; other numbers are quantities. The same must
            be given to `transform` and all others.
        shown : what the encoder is shown in place of the rows, of the shape of ``X``: their noisy twins, say, from
            which ``X`` is rebuilt. `transform` and all others then take rows like these. With a corruption they are
            shown outside training alone: in training it makes noisy twins anew, of ``X``.
        sample_weight : (n,) weights >= 0 of the rows in the mean cost.
        resume : go on from the state in the folder ``checkpoint``, if there is one.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used. TrainingError : the cost is no longer a number.
        The estimator then stays as it was, unfitted or with its earlier fit.
        """
        source = self._opened(X)
        if self.verbose and isinstance(source.form, TableForm) and not isinstance(X, Source):
            print(columns_for_python(source.form), file=sys.stderr)
        conditions = None if given is None else Conditions.fit(given, source.rows)
        seed = None
        if resume and self.random_state is None and self.checkpoint is not None:
            seed = kept_seed(os.fspath(self.checkpoint))
        seed = seed_of(self.random_state) if seed is None else seed
        share = held_out_share(self.validation_fraction, source.rows)
        train, held_out = split(source.rows, share, seed)
        weight = None if sample_weight is None else row_weights(sample_weight, source.rows)
        if weight is not None:
            train = train[weight[train] > 0]
            held_out = held_out[weight[held_out] > 0]
            if not len(train):
                raise InputError("sample_weight: every training row has weight zero; at least one must be > 0")
            weight = weight / weight[train].mean()
        parts, classes, labels = self._parts(source), None, None
        if reads_labels(parts):
            parts, classes, labels = with_classes(parts, y, source.rows)
            known = labels[held_out] >= 0  # labels are few: those of rows held out would be lost
            train, held_out = np.union1d(train, held_out[known]), held_out[~known]
        if source.layout.columns is not None and isinstance(parts, Parts):
            parts.mixed()  # which refuses, in words, what mixed tables do not go with
        if isinstance(self.network, str):
            parts = fitting_network(parts, source)
        plan = plan_for(self.get_params(deep=False), len(train), len(held_out), seed, parts)
        scaling = self._scaling(source, train, parts)
        if isinstance(self.network, str) and source.layout.columns is None:
            parts = suited(parts, scaling, source.dtype)
        twins = None if shown is None else twins_of(shown, source)
        data_digest = digest(source)
        if plan.checkpoint is not None:
            check_folder(plan.checkpoint)
        fitted = Job(
            name=title(self.method),
            parts=parts,
            code_size=chosen_code_size(self.code_size, parts, source.layout),
            feed=Feed(
                source,
                scaling,
                train,
                held_out,
                weight,
                plan.device,
                encoded(conditions, given, source.rows),
                labels,
                twins,
                trims=any_length(parts),
                cells_at_once=2**18 if slides(parts) else 2**22,
            ),
            plan=plan,
            may_fall_back=isinstance(self.network, str),
            resume=resume,
            verbose=self.verbose,
            data_digest=data_digest,
        ).run()
        # Only now, so that a fit that fails leaves the estimator as it was.
        self._remember(source, scaling, conditions, classes)
        self.data_digest_: str | None = data_digest
        self.composition_, self.parts_ = fitted.composition, fitted.parts
        self.history_ = fitted.history
        self.record_: diagnostics.FitRecord | None = fitted.record
        self.code_size_: int = fitted.record.code_size
        self.partial_: dict[str, Any] | None = None
        return self

    def fit_transform(self, X: Any, y: Any = None, *, given: Any = None, **fit_params: Any) -> np.ndarray:
        """`fit`, then `transform` of the same rows with what they are given."""
        return self.fit(X, y, given=given, **fit_params).transform(X, given=given)

    def set_params(self, **params: Any) -> Autoencoder:
        """Set parameters; ``method__k=3`` sets a knob of the kind, also where ``method`` is its name."""
        if isinstance(self.method, str) and any(name.startswith("method__") for name in params):
            self.method = Kind(params.pop("method", self.method))
        super().set_params(**params)
        return self

    def partial_fit(self, X: Any, y: Any = None, *, given: Any = None, sample_weight: Any = None) -> Autoencoder:
        """One pass over the rows of ``X``, without held-out part or early stopping.

        The first call (or an earlier ``fit``) fixes the sizes and the scaling; later calls keep them. The
        learning rate is constant, and no layers are trained one by one. A call that fails leaves the estimator as it
        was. Returns self.
        """
        first = not hasattr(self, "composition_")
        source = self._opened(X) if first else self._source(X)
        fresh = first and given is not None
        conditions = Conditions.fit(given, source.rows) if fresh else getattr(self, "conditions_", None)
        rows = np.arange(source.rows)
        weight = None if sample_weight is None else row_weights(sample_weight, source.rows)
        if weight is not None:
            rows = rows[weight > 0]
            if not len(rows):
                raise InputError("sample_weight: every row has weight zero; at least one must be > 0")
            weight = weight / weight[rows].mean()
        seed = seed_of(self.random_state)
        parts, classes, labels = self._parts(source) if first else self.parts_, getattr(self, "classes_", None), None
        if first and reads_labels(parts):
            parts, classes, labels = with_classes(parts, y, source.rows)
        elif classes is not None and y is not None:
            labels = numbered(classes, y, source.rows)
        knobs = {**self.get_params(deep=False), "epochs": 1, "checkpoint": None}
        plan = plan_for(knobs, len(rows), 0, seed, parts)
        scaling = self._scaling(source, rows, parts) if first else self.scaling_
        beside = encoded(conditions, given, source.rows)
        feed = Feed(source, scaling, rows, rows[:0], weight, plan.device, beside, labels)
        if first:
            size = chosen_code_size(self.code_size, parts, source.layout)
            composition = build(parts, source.layout, size, seed, given_size_of(feed))
            history: dict[str, list[float]] = {"epoch": [], "cost": []}
        else:
            composition, history = copy.deepcopy(self.composition_), self.history_
        check_learnable(composition)
        state = training.begin(composition.train(), plan, feed)
        partial = None if first else self.partial_
        if partial is not None:
            state.optimiser.load_state_dict(partial["optimiser"])
            state.generator.set_state(partial["generator"])
            state.steps, state.usual_norm = partial["steps"], partial["usual_norm"]
        passes = int(history["epoch"][-1]) if history["epoch"] else 0
        means = training.one_pass(state, feed, plan, passes)
        if first:
            self._remember(source, scaling, conditions, classes)
            self.parts_, self.record_, self.data_digest_ = parts, None, None
        self.composition_ = composition.eval()
        self.prior_, self.prior_part_ = None, None  # one fitted to the codes as they were
        self.code_size_ = code_size_of(composition, feed)
        line = {"epoch": passes + 1.0, **means}
        self.history_ = {name: [*values, line.get(name, float("nan"))] for name, values in history.items()}
        self.partial_ = {
            "optimiser": state.optimiser.state_dict(),
            "generator": state.generator.get_state(),
            "steps": state.steps,
            "usual_norm": state.usual_norm,
        }
        return self

    def _parts(self, source: Source | None = None) -> Parts | Composition:
        """The kind's parts, with those that the user, or data of tokens, put in their place."""
        names = ("bottleneck", "loss", "corruption", "penalties", "augmentation")
        replaced = {name: getattr(self, name) for name in names}
        form = getattr(self, "form_", None) if source is None else source.form
        words = None if form is None else form.words
        if words is not None and self.loss is None and not isinstance(self.method, torch.nn.Module):
            replaced["loss"] = Categorical(len(words), ordered=False)
        return chosen_parts(self.method, self.network, replaced)

    def _scaling(self, source: Source, rows: np.ndarray, parts: Parts | Composition) -> Scaling:
        if len(rows) == 1:
            warnings.warn(
                f"{source.argument}: there is one row to learn from, so every column is constant and the model will "
                "rebuild that row whatever it is given. Give more rows",
                DataWarning,
                stacklevel=3,
            )
        support = getattr(parts.loss, "support", "real").replace("mixed", "real")
        classes = getattr(parts.loss, "classes", None)
        one_centre = self.scale == "auto" and support == "real" and "height" in source.layout.axes and slides(parts)
        mode = "unit" if one_centre else self.scale
        # What columns of a mixed table are, and how they are scaled, was settled when it was opened.
        wishes = self.columns if source.layout.columns is None else None
        scaling = Scaling.fit(source, rows, mode=mode, support=support, per_column=wishes, classes=classes)
        return replace(scaling, reason="the same filters go over all pixels") if one_centre else scaling

    def _opened(self, X: Any) -> Source:
        """The data of a first fit."""
        source = open_source(X, columns=self.columns, estimator_name="Autoencoder")
        if not isinstance(X, (str, os.PathLike, Source)):
            _get_feature_names(X)  # refuses names of which only some are text
        return source

    def _remember(
        self, source: Source, scaling: Scaling, conditions: Conditions | None, classes: np.ndarray | None
    ) -> None:
        """What the data was; a prior fitted to the codes of an earlier fit is no longer one of these."""
        self.form_, self.scaling_, self.conditions_ = source.form, scaling, conditions
        self.classes_, self.prior_, self.prior_part_ = classes, None, None
        self.n_features_in_ = source.layout.features
        name_features(self, names_of(source))

    # ------------------------------------------------------------------ using

    def transform(self, X: Any, *, given: Any = None) -> np.ndarray:
        """The codes of the rows of ``X``: (n, code_size) float32, deterministic."""
        check_is_fitted(self, "composition_")
        return self._map(X, lambda batch: self.composition_.represent(batch), (self.code_size_,), given)

    def reconstruct(self, X: Any, *, given: Any = None) -> Any:
        """``X`` as the autoencoder rebuilds it: same shape, units, columns, index and dtype family."""
        check_is_fitted(self, "composition_")
        source = self._source(X)
        return source.wrapped(self._rebuilt(source, given))

    def inverse_transform(self, X: Any, *, given: Any = None) -> Any:
        """The rows that codes (n, code_size) stand for, in the user's units, columns and dtype family."""
        check_is_fitted(self, "composition_")
        with np.errstate(over="ignore"):
            codes = as_array(X, "codes").astype(np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.code_size_:
            raise InputError(f"codes must have the shape (n, {self.code_size_}); got {codes.shape}")
        if not np.isfinite(codes).all():
            raise InputError("codes hold NaN or infinity; they must be finite numbers")
        conditions, blocks = self._given(given, len(codes)), []
        with torch.no_grad():
            for start in range(0, len(codes), 1024):
                some = slice(start, start + 1024)
                point = torch.tensor(codes[some], device=self._device)
                beside = None if conditions is None else conditions[some].to(self._device)
                context = Context(self.form_.layout.shape, given=beside)
                blocks.append(self.scaling_.inverse(self.composition_.rebuild(point, context).cpu()))
        values = np.concatenate(blocks) if blocks else np.zeros((0, *self.form_.layout.shape))
        return self.form_.wrap(values, index=X.index if hasattr(X, "iloc") else None)

    def outliers(self, X: Any, *, given: Any = None) -> Any:
        """The part of every row that a robust loss (`Huber`, `GroupedHuber`) puts down to outliers.

        Rows are taken to be ``clean + outliers + noise``: what is returned is the outliers that make the cost least,
        in closed form; 0 in every cell (or row) that is rebuilt about as well as the others.

        Returns
        -------
        array or frame
            Shape and columns of ``X``, floats in the data's units. ``X`` minus these is a cleaned ``X``.

        Raises
        ------
        InputError : the model's loss knows no outliers.

        References
        ----------
        Zhou & Paffenroth 2017, Anomaly detection with robust deep autoencoders.
        """
        check_is_fitted(self, "composition_")
        composition = self.composition_
        if self.form_.layout.columns is not None:
            raise InputError(
                "outliers: of a table with columns of several kinds, or with gaps, no outliers are set apart; "
                "score_samples says how unlikely each row is"
            )
        if not hasattr(composition.loss, "outliers"):
            raise InputError(
                "outliers: this model's loss has no part for outliers; fit Autoencoder('robust'), or another kind with "
                "loss=ist.Huber() (single cells) or loss=ist.GroupedHuber() (whole rows)"
            )
        source, blocks = self._source(X), []
        scale = self._scaling_of(source.layout).scale.reshape(source.layout.shape)
        with torch.no_grad():
            for _, _, batch in self._batches(source, given):
                out = composition.decode_point(composition.represent(batch), composition.context(batch))
                part = composition.loss.outliers(out, batch.visible(), batch.weight)
                blocks.append(part.double().cpu().numpy() * scale)
        floats = replace(source.form, dtypes=("float64",))  # what is subtracted from whole numbers may be negative
        return floats.wrap(np.concatenate(blocks), index=source.index)

    def score_samples(self, X: Any, *, given: Any = None) -> np.ndarray:
        """(n,) float32: minus each row's cost at ``code.point``, as a log density in the user's units (nats)."""
        check_is_fitted(self, "composition_")
        return self._map(X, lambda batch: -self.composition_.point_cost(batch) - self._volume(batch), (), given)

    def score(self, X: Any, y: Any = None, *, given: Any = None) -> float:
        """The mean of `score_samples`: ranks sizes and knobs of one loss, not kinds with different losses."""
        return float(self.score_samples(X, given=given).mean(dtype=np.float64))

    def diagnose(self, X: Any, y: Any = None, *, given: Any = None, factors: Any = None) -> diagnostics.Diagnosis:
        """Verdicts in plain words, each with its figure and a remedy, on the fit and on the rows of ``X``.

        Is it the right balance: sensitive enough to rebuild, insensitive enough not to copy? Asked are, among others,
        whether it beats PCA (of a mixed table: the most usual value of every column), learnt rows by heart, copies its
        input, has dead units, and keeps neighbours.

        Parameters
        ----------
        X : rows to judge it by, best some that it was not fitted on.
        y : (n,) labels; with them, how well the nearest neighbour in the codes tells them, beside PCA.
        given : as in `transform`.
        factors : (n, k) the true causes of the rows, numbers or categories, where they are known: how far units of
            the code stand for single ones.

        Examples
        --------
        >>> import isthmus as ist
        >>> X, y = ist.data.digits()
        >>> found = ist.Autoencoder(code_size=8, epochs=2, random_state=0).fit(X).diagnose(X, y)
        >>> found["copying"].level, found.figures["pca_ratio"] > 0
        ('good', True)
        """
        check_is_fitted(self, "composition_")
        if self.record_ is None:
            raise InputError("diagnose needs a model made by fit: partial_fit keeps no held-out rows to judge by")
        source = self._source(X)
        labels = None if y is None else np.asarray(y)
        if labels is not None and labels.shape != (source.rows,):
            raise InputError(f"y must have one label per row, shape ({source.rows},); got {labels.shape}")
        causes = None if factors is None else np.atleast_1d(factors)
        if causes is not None and len(causes) != source.rows:
            raise InputError(f"factors must have one row for each of the {source.rows:,} rows; got {len(causes):,}")
        conditions = self._given(given, source.rows)
        rows = spread_rows(source.rows, 5000)
        batch = self._batch(source, rows, conditions)
        return diagnostics.diagnose(
            self.composition_, batch.layout, batch.x, self.record_,
            given=batch.given, lengths=batch.lengths, weight=batch.weight,
            labels=None if labels is None else labels[rows],
            unit=self._scaling_of(source.layout).unit, names=self.form_.names, output_reach=self._reach(),
            factors=None if causes is None else causes.reshape(len(causes), -1)[rows], prior=self.prior_,
        )  # fmt: skip

    def report(self, path: str | os.PathLike[str], X: Any, y: Any = None, *, given: Any = None) -> Path:
        """Write one self-contained HTML page about the model and the rows of ``X``."""
        from isthmus.estimators.reporting import write_report

        check_is_fitted(self, "composition_")
        return write_report(self, path, X, y, given)

    def _reach(self) -> tuple[float, float] | None:
        network = getattr(self.parts_, "network", None)
        return REACH.get(getattr(network, "output_activation", "identity"))

    @property
    def _device(self) -> torch.device:
        return next((weights.device for weights in self.composition_.parameters()), torch.device("cpu"))

    def _given(self, given: Any, rows: int) -> torch.Tensor | None:
        """(rows, conditions) what the rows are given, as the network reads it."""
        numbers = encoded(self.conditions_, given, rows)
        return None if numbers is None else torch.from_numpy(numbers)

    def _source(self, X: Any) -> Source:
        source = open_source(X, columns=self.columns, form=self.form_, estimator_name="Autoencoder")
        warn_of_names(self, X, source)
        own = isinstance(self.parts_, Parts) and not any_length(self.parts_)
        return of_one_length(source, self.form_.layout.shape[0]) if own and source.layout.sequence else source

    def _batches(self, source: Source, given: Any = None, most: int = 2**30) -> Iterator[tuple[int, int, Batch]]:
        """Large stretches of rows, ``most`` at once, scaled, in order."""
        size = min(most, rows_at_once(source.layout.features, slides(self.parts_)))
        conditions = self._given(given, source.rows)
        for start in range(0, source.rows, size):
            stop = min(start + size, source.rows)
            yield start, stop, self._batch(source, range(start, stop), conditions)

    def _batch(self, source: Source, rows: Any, conditions: torch.Tensor | None = None) -> Batch:
        """Some rows of a source, a range of them or an array of their numbers, scaled."""
        device, stretch = self._device, isinstance(rows, range)
        raw = source.read(rows.start, rows.stop) if stretch else source.take(rows)
        numbers = np.asarray(rows)
        x = self._scaling_of(source.layout).forward(raw, first_row=int(numbers[0]) if stretch else 0)
        weight = source.weight_of(raw, numbers)
        given = None if conditions is None else conditions[numbers].to(device)
        lengths = None if source.lengths is None else torch.from_numpy(source.lengths[numbers]).to(device)
        cells = None if weight is None else torch.from_numpy(weight).to(device)
        x = x.to(device)
        return Batch(x if cells is None else x * cells, source.layout, cells, given=given, lengths=lengths)

    def _scaling_of(self, layout: Layout) -> Scaling:
        """How rows of a layout are scaled: sequences may be longer or shorter than those of the fit."""
        return self.scaling_.along(layout.shape) if layout.sequence else self.scaling_

    def _map(self, X: Any, function: Any, shape: tuple[int, ...], given: Any) -> np.ndarray:
        source = self._source(X)
        result = np.empty((source.rows, *shape), dtype=np.float32)
        filled = torch.from_numpy(result)
        with torch.no_grad():
            for start, stop, batch in self._batches(source, given):
                filled[start:stop] = function(batch)
        return result

    def _rebuilt(self, source: Source, given: Any) -> np.ndarray:
        blocks, scaling = [], self._scaling_of(source.layout)
        with torch.no_grad():
            for _, _, batch in self._batches(source, given):
                out = self.composition_.rebuild(self.composition_.represent(batch), self.composition_.context(batch))
                blocks.append(scaling.inverse(out.cpu()))
        return np.concatenate(blocks)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted model as one ``.safetensors`` file: tensors and JSON, never code."""
        from isthmus.estimators.files import state_of

        check_is_fitted(self, "composition_")
        storage.write(path, *state_of(self))
        return Path(path)

    def export_onnx(self, path: str | os.PathLike[str], part: str = "encoder") -> Path:
        """Write ``"encoder"``, ``"decoder"``, ``"reconstruct"`` or ``"score"`` as ONNX, scaling included.

        The outputs are compared with PyTorch's before the file is kept. Reconstructions of whole numbers are
        clipped to their type's range, as here, but not rounded. A mixed table goes in as numbers, NaN = missing; how
        its columns are coded is JSON in the metadata, under ``isthmus.columns``. Needs the extra ``isthmus[onnx]``.
        """
        check_is_fitted(self, "composition_")
        size = 0 if self.conditions_ is None else self.conditions_.size
        return onnx.export(path, self.composition_, self.scaling_, self.form_, part, self.code_size_, size)

    @property
    def _n_features_out(self) -> int:
        return self.code_size_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.non_deterministic = self.random_state is None
        return tags


def encoded(conditions: Conditions | None, given: Any, rows: int) -> np.ndarray | None:
    """(rows, conditions) float32, for a model that was fitted on rows that are given something."""
    if conditions is not None:
        return conditions.encode(given, rows)
    if given is not None:
        raise InputError("given: this model was fitted without it, so nothing in it could read it; leave it out")
    return None


def of_one_length(source: Source, steps: int) -> Source:
    """Sequences as a network takes them that was built for rows of so many steps."""
    found = source.layout.shape[0]
    if found > steps:
        raise InputError(
            f"{source.argument}: this model's network takes sequences of at most {steps} steps; there is one of "
            f"{found}. Cut them, or fit with network=ist.Recurrent(), which takes any length"
        )
    return source.padded(steps) if found < steps and isinstance(source, SequenceSource) else source


def twins_of(shown: Any, source: Source) -> Source:
    """What the encoder is shown in place of the rows, as a source like theirs."""
    twins = open_source(shown, argument="shown", form=None if source.layout.columns is None else source.form)
    if (twins.rows, twins.layout.shape) != (source.rows, source.layout.shape):
        raise InputError(
            f"shown must have a row of the same shape for each of the {source.rows:,} rows of {source.layout.shape}; "
            f"got {twins.rows:,} of {twins.layout.shape}"
        )
    return twins


def title(method: Any) -> str:
    """The kind's name for people."""
    if isinstance(method, Parts) and method.corruption is not None:
        return "masked autoencoder" if isinstance(method.corruption, Mask) else "denoiser"
    if isinstance(method, Parts):
        return "autoencoder"
    return method if isinstance(method, str) else repr(method) if isinstance(method, Kind) else "your composition"
