"""The vector field that an autoencoder has learned: where it moves each point, r(x) - x."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from isthmus.data.sources import spread_rows
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.settings import number
from isthmus.records import Seen
from isthmus.report import field

GRID, SHOWN, NOISY = 24, 3000, 60
"""Arrows along each side of the picture; the most rows of the data, and the noisy points, that are drawn."""


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
            context = composition.context(batch, seen=None if told is None else Seen(batch.x, level=told))
            point = composition.encode(batch, context)[1].point
            move = composition.rebuild(point, context) - batch.x
            # A move has no origin: it is brought back to the data's units by the scale alone.
            moves.append(move.double().cpu().numpy() * model.scaling_.scale.reshape(source.layout.shape))
    return np.concatenate(moves)


def draw_vector_field(
    model: Autoencoder,
    X: Any,
    path: str | os.PathLike[str],
    *,
    noise: float = 0.3,
    level: float | None = None,
    random_state: int = 0,
) -> Path:
    """Draw the field of a model of two columns: the data, arrows on a grid, and noisy rows pulled back.

    Parameters
    ----------
    model : fitted on two columns, without `given`.
    X : (n, 2) rows of data.
    path : where the picture goes; it must end in .png, .svg or .pdf.
    noise : standard deviation, in scaled units, of the noise that is put on some rows to see them pulled back.
    level : as in `vector_field`.
    random_state : seed of the noise.

    Returns
    -------
    Path

    Raises
    ------
    InputError : the model has other than two columns, or the ending is another.
    """
    check_is_fitted(model, "composition_")
    if model.form_.layout.shape != (2,):
        raise InputError(
            f"draw_vector_field: rows must have 2 columns to lie in a plane; the model's have the shape "
            f"{model.form_.layout.shape}. vector_field gives the moves themselves"
        )
    if Path(path).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"path must end in .png, .svg or .pdf; got {os.fspath(path)!r}")
    noise = number("noise", noise, 0)
    source, draw = model._source(X), np.random.default_rng(random_state)
    points = np.asarray(source.take(spread_rows(source.rows, SHOWN)), dtype=np.float64)
    spread = noise * model.scaling_.scale
    low, high = points.min(0) - 2 * spread, points.max(0) + 2 * spread
    sides = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    some = points[draw.choice(len(points), min(NOISY, len(points)), replace=False)]
    noisy = some + spread * draw.standard_normal(some.shape)
    names = model.form_.names or ("column 0", "column 1")
    found = field.Field(
        points,
        grid,
        vector_field(model, model.form_.wrap(grid), level=level),
        noisy,
        noisy + vector_field(model, model.form_.wrap(noisy), level=level),
        (names[0], names[1]),
    )
    return field.save(found, Path(path), "arrows: r(x) - x, long ones cut; circles: noisy rows, and where they are put")
