"""The vector field that an autoencoder has learned: where it moves each point, r(x) - x."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.settings import number


def vector_field(model: Autoencoder, X: Any, *, level: float | None = None, given: Any = None) -> np.ndarray:
    """The move that the model makes of every row: its reconstruction minus the row.

    Of a denoising autoencoder trained with small Gaussian noise it points towards where the data are denser: divided
    by the noise's variance it tends to the gradient of their log density.

    Parameters
    ----------
    model : a fitted `Autoencoder`.
    X : (n, columns) or images, as `Autoencoder.transform` takes them.
    level : how strong the noise in ``X`` is said to be, in scaled units, for a model that was fitted with a
        corruption of ``tell=True``; None = the least that it was told in training.
    given : as in `Autoencoder.transform`.

    Returns
    -------
    array
        (n, *shape) float64, in the data's units.

    References
    ----------
    Alain & Bengio 2014, What regularized auto-encoders learn from the data-generating distribution.

    Examples
    --------
    >>> import isthmus as ist
    >>> X = ist.data.digits()[0][:100].reshape(100, 64) / 16.0
    >>> ae = ist.Autoencoder("denoising", epochs=2, random_state=0).fit(X)
    >>> vector_field(ae, X).shape
    (100, 64)
    """
    check_is_fitted(model, "composition_")
    composition = model.composition_
    if level is not None:
        level = number("level", level, 0)
        if not getattr(composition.corruption, "tell", False):
            raise InputError(
                "level: this model is not told how strong the noise is; leave level out, or fit with a corruption such "
                "as GaussianNoise(Between(0.05, 2.0, log=True), tell=True)"
            )
    source = model._source(X)
    moves = []
    with torch.no_grad():
        for _, _, batch in model._batches(source, given):
            told = None if level is None else batch.x.new_full((len(batch),), level)
            context = composition.context(batch, level=told)
            point = composition.encode(batch, context)[1].point
            move = composition.rebuild(point, context) - batch.x
            # A move has no origin: it is brought back to the data's units by the scale alone.
            moves.append(move.double().cpu().numpy() * model.scaling_.scale.reshape(source.layout.shape))
    return np.concatenate(moves)
