"""Drawings of a fitted autoencoder's space of codes, as matplotlib axes: a map, what lies between, walks along units;
and the codes of several methods side by side.

Each function draws on the axes it is given, or on those of a new figure, and returns them: ``axes.figure`` is what to
save or show. Nothing is shown, and no setting of matplotlib is changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.utils.validation import check_is_fitted

from isthmus.checks import check_whole, counted, is_whole
from isthmus.diagnostics.plane import box_of
from isthmus.errors import InputError
from isthmus.estimators import latent
from isthmus.report import latent_holes
from isthmus.report import latent_map as drawings
from isthmus.report.figures import CodeMap, coloured, two_dimensions

if TYPE_CHECKING:
    from isthmus.estimators.autoencoder import Autoencoder
    from isthmus.estimators.comparison_table import Comparison

SIDE = 64
"""The longest side of a small picture, in pixels."""
MOST, UNITS = 1e8, 20
"""The most pixels of a drawing's pictures; the most units that are walked along unless they are asked for."""

__all__ = ["decoded_grid", "holes", "latent_map", "reductions", "traversals"]


def latent_map(
    ae: Autoencoder,
    X: Any,
    y: Any = None,
    *,
    way: str = "auto",
    thumbnails: int = 16,
    given: Any = None,
    axes: Axes | None = None,
) -> Axes:
    """The rows' codes in two dimensions, with pictures of some rows where rows are images.

    Parameters
    ----------
    ae : a fitted `Autoencoder`.
    X : (n, *shape) rows; at most 5,000 of them, spread evenly, are drawn.
    y : (n,) labels or numbers that colour the points, and the frames of pictures; None = one colour.
    way : ``"own"`` (the code itself, of one or two units), ``"pca"`` (the two directions in which codes vary most),
        ``"umap"`` (keeps neighbours, not distances; needs the extra ``isthmus[umap]``), ``"auto"`` = own where the code
        is that small, else PCA.
    thumbnails : pictures side by side across the map, 0 to 156; 0 = none. Each is that of the row whose code is
        nearest to the middle of its cell of a grid, so that none overlap.
    given : what the rows are given, as in `Autoencoder.transform`.
    axes : to draw on; None = those of a new figure.

    Returns
    -------
    Axes
        Both directions have one scale, but where codes lie within a strip narrower than one to two.

    Raises
    ------
    InputError : an argument cannot be used. MissingExtraError : umap-learn is not installed.

    Examples
    --------
    >>> import isthmus as ist
    >>> X, y = ist.data.digits()
    >>> ae = ist.Autoencoder(code_size=2, epochs=2, random_state=0).fit(X)
    >>> axes = latent_map(ae, X, y)
    >>> axes.get_xlabel(), len(axes.lines), len(axes.images)
    ('code unit 0', 10, 1)
    """
    check_whole("latent_map", 0, thumbnails=thumbnails)
    if (thumbnails * SIDE) ** 2 > MOST:
        raise InputError(f"thumbnails={thumbnails} makes too many pixels; at most {int(MOST**0.5 / SIDE)} side by side")
    latent.chosen_way(way, seen(ae))
    view = view_of(ae, X, given)
    labels = None if y is None else np.asarray(y)
    if labels is not None and labels.shape != (view.source.rows,):
        raise InputError(f"y must have one label per row, shape ({view.source.rows},); got {labels.shape}")
    codes = latent.map_of(view, labels, str(getattr(y, "name", None) or "label"), way)
    pictures = latent.thumbnails_of(view, codes, thumbnails, SIDE) if view.pictures and thumbnails else None
    axes = one(axes, 9.0, 7.5)
    drawings.paint_map(axes, codes, box_of(codes.points), thumbnails=pictures)
    few = f"{len(view.rows):,} of {view.source.rows:,}" if len(view.rows) < view.source.rows else f"{len(view.rows):,}"
    axes.set_title(f"Codes of {few} rows", loc="left")
    return axes


def decoded_grid(ae: Autoencoder, X: Any, *, size: int = 15, given: Any = None, axes: Axes | None = None) -> Axes:
    """Pictures decoded on a regular grid of codes.

    Of a code of two units the grid goes from the 1st to the 99th percentile of each; of a larger one it lies on the
    plane of the two directions in which codes vary most, through their mean, two standard deviations to either side.

    Parameters
    ----------
    ae : a fitted `Autoencoder` of images, with a code of two units or more that are no symbols.
    X : rows that tell where codes lie.
    size : pictures along each side, >= 2.
    given : what the rows are given; what is decoded is given what the row in the middle of the codes is given.
    axes : to draw on; None = those of a new figure.

    Returns
    -------
    Axes
        Its ticks are the codes' values.

    Raises
    ------
    InputError : rows are no images, the code has one unit, or codes are symbols.
    """
    check_whole("decoded_grid", 2, size=size)
    seen(ae)
    view = view_of(ae, X, given)
    if not view.pictures:
        raise InputError("decoded_grid draws images; this model's rows are none. traversals shows tables")
    if view.codes.shape[1] < 2:
        raise InputError("decoded_grid needs a code of two units or more; this model's has one. Use traversals")
    refuse_symbols("decoded_grid", view)
    if size * size * view.source.layout.features > MOST:
        raise InputError(f"size={size} makes too many pixels; give a smaller size")
    grid = latent.grid_of(view, size, SIDE)
    height, width = grid.shades.shape[2:4]
    axes = one(axes, 8.0, float(np.clip(8.0 * height / width, 3.0, 14.0)))
    drawings.paint_grid(axes, grid)
    axes.set_title("Decoded codes", loc="left")
    return axes


def holes(ae: Autoencoder, X: Any, *, given: Any = None, axes: Iterable[Axes] | None = None) -> np.ndarray:
    """Where holes lie between codes: completeness and continuity, drawn over a grid on the map.

    Three questions are put to each point of the grid. Does what it decodes to lie on the data, as near to a row as 95 %
    of the rebuilt rows? Does it come back, so that what it decodes to has its code? And does a step as long as that
    between nearest codes change what is decoded by no more than nearest rows differ? The more orange, the worse;
    blue is where it changes fastest. A line is drawn where the answer turns from yes to no.

    Parameters
    ----------
    ae : a fitted `Autoencoder` whose codes have two units or more and are no symbols.
    X : at least 30 rows that tell where codes lie.
    given : as in `decoded_grid`.
    axes : three to draw on; None = those of a new figure.

    Returns
    -------
    array
        (3,) axes. Of a code of more than two units it is the plane of its two main directions through its mean.

    Raises
    ------
    InputError : there is nothing between these codes; the message says why.
    """
    seen(ae)
    view = view_of(ae, X, given)
    found, plane = latent.holes_of(view)
    if plane is None or found.why:
        raise InputError(f"holes: there is nothing to draw, as {found.why}")
    shape = drawings.box_shape(latent_holes.box_of_grid(found))
    panels = several(axes, len(latent_holes.PANELS), 15.0, 5.2 * shape + 2.3)
    if axes is None:  # the scales hang below the axes, where the layout does not see them
        panels[0].figure.get_layout_engine().set(rect=(0.0, 0.04, 1.0, 0.94))
    for place, panel in enumerate(panels):
        latent_holes.paint_holes(panel, found, place, plane.axes)
    return panels


def traversals(
    ae: Autoencoder,
    X: Any,
    x: Any = None,
    *,
    units: int | Iterable[int] | None = None,
    steps: int = 9,
    given: Any = None,
    axes: Any = None,
) -> Any:
    """What each unit of the code changes: one at a time is moved over the range of 95 % of the rows, and decoded.

    Parameters
    ----------
    ae : a fitted `Autoencoder` of images or a table.
    X : (n, *shape) rows that tell which units say most, and over what ranges.
    x : where to start: the number of a row of ``X``, or a row (*shape,) itself; None = the row in the middle.
    units : numbers of code units, in the order in which to draw them; None = at most 20 of those in use,
        those first that say most: by the divergence from the prior (nats) where codes are drawn, else by the share of
        the variance that they change.
    steps : values of each unit, >= 2.
    given : what the rows of ``X`` are given; decoded codes are given what the row ``x`` is given.
    axes : to draw on; None = those of a new figure.

    Returns
    -------
    Axes or array
        Of images, axes with a line of pictures for each unit. Of tables, (units,) axes, each with the columns that
        the unit moves most, in standard deviations from their means.

    Raises
    ------
    InputError : rows are neither, codes are symbols, no unit is in use, or an argument cannot be used.
    """
    check_whole("traversals", 2, steps=steps)
    chosen = latent.units_asked(units, seen(ae))
    also = int(x) if is_whole(x) else None
    view = view_of(ae, X, given, also)
    why = latent.can_walk(view)
    if why:
        raise InputError(f"traversals: {why}")
    if also is not None:
        view = latent.started_at(view, also)
    start = None if x is None or also is not None else code_of(ae, view, x)
    walks = latent.walks_of(view, units=chosen, most=UNITS, steps=steps, side=SIDE, start=start)
    if not walks:
        raise InputError("traversals: no unit of this code is in use; units=... draws some all the same")
    if not view.pictures:
        panels = several(axes, len(walks), 7.0, 2.4 * len(walks) + 0.4, down=True)
        for panel, walk in zip(panels, walks, strict=True):
            drawings.paint_table_walk(panel, walk)
        return panels
    height, width = walks[0].decoded.shape[1:3]
    shape = len(walks) * height / (steps * width)
    axes = one(axes, 9.0, float(np.clip(6.0 * shape + 1.0, 2.0, 16.0)))
    drawings.paint_picture_walks(axes, walks)
    axes.set_title("Walks along units of the code", loc="left")
    return axes


def reductions(table: Comparison, *, axes: Iterable[Axes] | None = None) -> np.ndarray:
    """The codes of held-out rows, a picture for each method, coloured by the labels that were given.

    Of each method the smallest code of two numbers and more is drawn: two as they are, more on the plane of the two
    directions in which they vary most; one is spread out to its sides. Rows whose quantity is not known are left out.

    Parameters
    ----------
    table : made by `isthmus.compare`; with ``code_sizes=2`` the pictures are the codes themselves.
    axes : to draw on, one for each method, in the order of the table; None = those of a new figure.

    Returns
    -------
    array
        (methods,) axes.

    Raises
    ------
    InputError : the table holds no codes, or there are not as many axes.

    Examples
    --------
    >>> import isthmus as ist
    >>> X, y = ist.data.digits()
    >>> [panel.get_title(loc="left") for panel in reductions(ist.compare(X, ["linear"], 2, y, epochs=1))]
    ['PCA, 2 numbers', 'linear, 2 numbers']
    """
    rows = [row for row in table.rows if row.figures.codes is not None]
    if table.jury is None or not rows:
        raise InputError("reductions: this table holds no codes; make it with isthmus.compare")
    drawn: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: (row.code_size < 2, row.code_size)):
        drawn.setdefault(row.method, row)
    methods = list(dict.fromkeys(row.method for row in rows))
    y = table.jury.labels
    shown = np.arange(len(table.jury.judged)) if y is None or y.dtype.kind != "f" else np.flatnonzero(np.isfinite(y))
    groups, group, values = ((), np.zeros(0), np.zeros(0)) if y is None else coloured(y[shown])
    panels = across(axes, len(methods))
    for panel, method in zip(panels, methods, strict=True):
        points, names = two_dimensions(drawn[method].figures.codes.astype(np.float64)[shown])
        marked = CodeMap(points, names, "label", groups, group, values, len(points))
        drawings.paint_map(panel, marked, box_of(points))
        panel.set_title(f"{method}, {counted(drawn[method].code_size, 'number')}", loc="left", parse_math=False)
        if panel is not panels[-1] and panel.get_legend() is not None:  # one says it for all
            panel.get_legend().remove()
    return panels


def seen(ae: Any) -> int:
    """The size of a fitted model's code."""
    if not hasattr(ae, "inverse_transform"):
        raise InputError(f"ae must be a fitted Autoencoder; got {type(ae).__name__}{instead_of(ae)}")
    check_is_fitted(ae, "composition_")
    return int(ae.code_size_)


def instead_of(model: Any) -> str:
    """What to give instead of a generator, which has a way of drawing once it is fitted."""
    words = {"codes": "; give its autoencoder_", "cells": ", which draws its table cell by cell, without codes"}
    return words.get(getattr(model, "way_", ""), "")


def view_of(ae: Any, X: Any, given: Any, also: int | None = None) -> latent.View:
    source = ae._source(X)
    if also is not None and not 0 <= also < source.rows:
        raise InputError(f"x must be the number of a row, 0 to {source.rows - 1}, or a row; got {also}")
    return latent.view_of(ae, source, ae._given(given, source.rows), also=also)


def code_of(ae: Any, view: latent.View, x: Any) -> np.ndarray:
    """(size,) the code of one row that need not be among those of the view."""
    if view.probe.given is not None:
        raise InputError("x must be the number of a row of X where rows are given something, which decoding needs")
    shape = view.source.layout.shape
    if not hasattr(x, "iloc"):
        x = np.asarray(x)
        x = x[None] if x.shape == shape else x
        if x.shape != (1, *shape):
            raise InputError(f"x must be one row, of shape {shape}, or the number of a row of X; got {x.shape}")
    code: torch.Tensor = torch.from_numpy(ae.transform(x))
    if len(code) != 1:
        raise InputError(f"x must be one row; got {len(code)}")
    return code[0].double().numpy()


def refuse_symbols(owner: str, view: latent.View) -> None:
    if latent.is_discrete(view):
        raise InputError(f"{owner}: this model's codes are symbols, between which there is nothing to decode")


def one(axes: Any, width: float, height: float) -> Axes:
    """The axes given, or those of a new figure of ``width`` by ``height`` inches."""
    if axes is None:
        return Figure(figsize=(width, height), layout="constrained").add_subplot()
    if not isinstance(axes, Axes):
        raise InputError(f"axes must be matplotlib axes; got {type(axes).__name__}")
    return axes


def across(axes: Any, count: int) -> np.ndarray:
    """(count,) axes: those given, or at most three in a line on a new figure."""
    if axes is not None:
        return several(axes, count, 0.0, 0.0)
    wide, high = min(3, count), -(-count // 3)
    figure = Figure(figsize=(4.8 * wide + 0.8, 4.4 * high), layout="constrained")
    panels = figure.subplots(high, wide, squeeze=False).reshape(-1)
    for panel in panels[count:]:
        panel.remove()
    return panels[:count]


def several(axes: Any, count: int, width: float, height: float, *, down: bool = False) -> np.ndarray:
    """(count,) axes: those given, or side by side (or one below the other) on a new figure."""
    if axes is None:
        figure = Figure(figsize=(width, height), layout="constrained")
        shape = (count, 1) if down else (1, count)
        return figure.subplots(*shape, squeeze=False).reshape(-1)
    panels = np.array(list(np.ravel(np.asarray(axes, dtype=object))), dtype=object)
    if len(panels) != count or not all(isinstance(panel, Axes) for panel in panels):
        raise InputError(f"axes must be {count} matplotlib axes; got {len(panels)}")
    return panels
