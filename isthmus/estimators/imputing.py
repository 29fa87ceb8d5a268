"""`impute`: the missing cells of a table, filled with what the known ones say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from isthmus.data import Scaling, Source
from isthmus.data.arrays import unmasked
from isthmus.data.tables import library_of
from isthmus.errors import InputError
from isthmus.estimators.settings import seed_of, whole
from isthmus.records import Batch, Pass

EDGES = np.concatenate([[0.0, 1e-4, 1e-3, 1e-2], np.linspace(0.03, 0.97, 33), [0.99, 0.999, 0.9999, 1.0]])
"""A normal distribution cut into shares, small ones in the tails, whose values may be far from all others."""
NODES, NODE_WEIGHTS = ndtri((EDGES[1:] + EDGES[:-1]) / 2), np.diff(EDGES)
"""Where it is looked at for the mean of a curved function of it, and with which weight."""


class ImputingMixin:
    """What an `Autoencoder` of tables fills gaps with."""

    def impute(self: Any, X: Any, *, draws: int | None = None, given: Any = None, random_state: Any = None) -> Any:
        """``X`` with its missing cells filled; every known cell stays exactly as it is.

        Parameters
        ----------
        X : a table like that of the fit, with missing cells (None, NaN, NaT, NA).
        draws : None fills numbers with their expected value given the row's known cells, and levels with the most
            probable one. A number >= 1 gives so many tables, in each of which the cells are drawn from their
            distribution: their differences show how sure the model is (multiple imputation, Rubin 1987).
        given : as in `transform`.
        random_state : where draws come from; the same gives the same tables.

        Returns
        -------
        a table as ``X``, or a list of ``draws`` of them
            Frames keep columns that were left out of the fit, and their index.

        Raises
        ------
        InputError
            The model was fitted on a table without missing cells or columns of several kinds, so that its network
            cannot be told which cells are missing.

        Notes
        -----
        Kinds that learn to rebuild hidden cells fill gaps best: ``Autoencoder("masked")``. A model whose training rows
        had few gaps, of a kind that hides none, rebuilds what it sees and knows little of what it does not.

        Examples
        --------
        >>> import isthmus as ist, pandas as pd
        >>> frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, None] * 20, "kind": ["a", "b", "c", "c"] * 20})
        >>> ae = ist.Autoencoder("masked", code_size=2, epochs=1, random_state=0).fit(frame)
        >>> int(frame["size"].isna().sum()), int(ae.impute(frame)["size"].isna().sum())
        (20, 0)
        """
        check_is_fitted(self, "composition_")
        count = 0 if draws is None else whole("draws", draws, 1)
        if self.form_.layout.columns is None:
            raise InputError(
                "impute: this model was fitted on complete rows of numbers, so its network cannot be told what is "
                "missing. Fit it on a table with missing cells, or name a column's type, such as columns={NAME: 'log'}"
            )
        source = self._source(X)
        if not count:
            return filled(X, source, self._filled_values(source, given, expected))
        generator = torch.Generator(self._device).manual_seed(seed_of(random_state))

        def drawn(model: Any, batch: Batch) -> np.ndarray:
            return one_draw(model, batch, generator)

        return [filled(X, source, self._filled_values(source, given, drawn)) for _ in range(count)]

    def _filled_values(self: Any, source: Source, given: Any, fill: Callable[[Any, Batch], np.ndarray]) -> np.ndarray:
        """(rows, columns) raw numbers: what is known as it is, and ``fill`` for the rest, as the cells of the fit were:
        whole where these were, and constant where these were."""
        values = np.empty((source.rows, source.layout.features))
        constant = self.scaling_.constant & ~self.scaling_.as_given
        whole_ones = [one.whole and one.column.kind != "circular" for one in self.form_.codings]
        for start, stop, batch in self._batches(source, given):
            here = values[start:stop]
            here[:] = source.read(start, stop)
            gaps = np.isnan(here)
            if gaps.any():
                with torch.no_grad():
                    found = fill(self, batch)
                found = np.where(constant, self.scaling_.low, found)
                here[gaps] = np.where(whole_ones, np.rint(found), found)[gaps]
        return values


def expected(model: Any, batch: Batch) -> np.ndarray:
    """(n, columns) raw numbers: the expected value of numbers and counts, the most probable of levels.

    The mean of a scaled number is not that of the number where its scale is curved: there it is the mean of

        raw(location + spread * node)  over the nodes of a normal distribution,

    which are many, as the scale may have steps (a column of which nine cells in ten are 0). Of such columns only cells
    that are missing mean anything here.
    """
    composition, scaling = model.composition_, model.scaling_
    context = composition.context(batch)
    scaled = composition.rebuild(composition.represent(batch), context)
    raw = unscaled(scaling, scaled)
    curved = torch.from_numpy(scaling.bent).to(scaled.device)
    if batch.weight is None or not curved.any():
        return raw
    here = ((batch.weight == 0) & curved).any(1)
    scaled, curved, rows = scaled[here], scaling.bent, here.cpu().numpy()
    spread = composition.loss.spread(unseen=True).to(scaled) * torch.from_numpy(scaling.looseness).to(scaled)
    means = np.zeros((len(scaled), scaling.features))
    for node, weight in zip(NODES.tolist(), NODE_WEIGHTS.tolist(), strict=True):
        means += weight * unscaled(scaling, scaled + node * spread)
    raw[np.ix_(rows, curved)] = means[:, curved]
    return raw


def one_draw(model: Any, batch: Batch, generator: torch.Generator) -> np.ndarray:
    """(n, columns) raw numbers drawn around what a code of each row, drawn if the kind draws codes, is decoded to."""
    composition = model.composition_
    context = composition.context(batch, Pass(generator))
    code = composition.encode(batch, context)[1]
    out = composition.decode(code, context)
    loss, out = composition.loss, out[0] if code.draws else out
    drawn, spread = loss.sample(out, generator), loss.spread().to(batch.x)
    # The loss draws as far around the output as all cells are in the mean, seen or not.
    wider = loss.spread(unseen=True).to(drawn) / spread.clamp(min=1e-12) * torch.from_numpy(model.scaling_.looseness)
    middle = loss.mean(out, context)
    return unscaled(model.scaling_, torch.where(spread > 0, middle + (drawn - middle) * wider.to(drawn), drawn))


def unscaled(scaling: Scaling, x: Tensor) -> np.ndarray:
    return scaling.inverse(x.cpu(), wide=True)


def filled(X: Any, source: Source, values: np.ndarray) -> Any:
    """The user's own table with its gaps filled from (rows, columns) raw numbers."""
    X = unmasked(X) if isinstance(X, np.ma.MaskedArray) else X
    library, whole_table = library_of(X), source.wrapped(values)
    if library == "polars":
        return filled_polars(X, whole_table)
    if library == "pandas":
        return filled_pandas(X, whole_table)
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.shape == values.shape:
        return np.where(np.isnan(X), values, X).astype(X.dtype)
    return whole_table


def filled_pandas(frame: Any, table: Any) -> Any:
    """A copy of a pandas frame whose gaps come from a table with the same index and types."""
    made = frame.copy()
    for name in table.columns:
        gaps = np.flatnonzero(frame[name].isna().to_numpy())
        if len(gaps) == len(frame):  # nothing says of what type such a column is but the fit
            made[name] = table[name]
        elif len(gaps):
            column = frame[name].copy()
            column.iloc[gaps] = table[name].iloc[gaps].array
            made[name] = column
    return made


def filled_polars(frame: Any, table: Any) -> Any:
    """The same of a polars frame."""
    import polars

    made = []
    for name in table.columns:
        column = frame[name]
        gaps = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        if gaps.any():
            made.append(column.set(gaps, None).fill_null(polars.Series(name, table[name])).alias(name))
    return frame.with_columns(made)
