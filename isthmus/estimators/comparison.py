"""`compare`: several kinds and code sizes on the same held-out rows, with PCA, or the most usual values, first."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted, did_you_mean
from isthmus.data import Scaling, Source, open_source, split
from isthmus.data.decisions import MODES
from isthmus.diagnostics.probe import Probe
from isthmus.errors import InputError
from isthmus.estimators import reductions
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.code_figures import CodeFigures, Jury
from isthmus.estimators.comparison_table import PCA, USUAL, Comparison, ComparisonRow
from isthmus.estimators.searching import Part, Shares, check_budget
from isthmus.estimators.settings import held_out_share, seed_of, whole
from isthmus.pca import principal_components
from isthmus.recipes import RECIPES, Kind
from isthmus.records import Batch
from isthmus.threads import load_optimisers
from isthmus.training import Feed

RIVALS = ("pca", *reductions.RIVALS)
"""What can be asked for that is no kind."""

TIMED_ROWS = 2048
"""Rows encoded at once while the speed is measured."""

NO_PCA = "PCA is not here: it needs a number in every cell, and this table has levels, dates or missing cells."

__all__ = ["Comparison", "ComparisonRow", "compare"]


def compare(
    X: Any,
    methods: Sequence[Any] = ("undercomplete", "linear"),
    code_sizes: Sequence[int] | None = None,
    y: Any = None,
    *,
    random_state: Any = 0,
    max_time: float | None = None,
    search_time: float | None = None,
    search_trials: int | None = None,
    verbose: int = 0,
    **knobs: Any,
) -> Comparison:
    """Fit every method with every code size, and judge all of them and PCA on the same held-out rows.

    Judged are the error of what is rebuilt, the time, and what the codes of held-out rows keep: neighbours, the order
    of distances and, with ``y``, labels. No method sees ``y``.

    Mixed tables (levels, dates, missing cells) get a row "most usual values" in PCA's place, which rebuilds every cell
    as its column's mean or most frequent level.

    Parameters
    ----------
    X : data as `Autoencoder.fit` takes it.
    methods : kinds, by name or with their knobs, as `Autoencoder` takes them, and of other ways ``"kernel_pca"``,
        ``"umap"`` (needs the extra ``isthmus[umap]``) and ``"tsne"``, with their usual settings. ``"pca"`` is
        always there, but for mixed tables.
    code_sizes : whole numbers >= 1; None = three sizes up to a quarter of the columns, at most 32.
    y : (n,) labels, None, NaN or -1 where they are not known; quantities only colour pictures. None = no labels.
    random_state : as for `Autoencoder`; it also draws the held-out rows, so that they are the same for all.
    max_time : seconds for each single fit of an autoencoder; None = no limit.
    search_time : seconds for each method, all its code sizes together, in which Optuna searches the settings that were
        left open; see `search_settings`. They are judged by rows held out of the training rows, never by those that
        the table is about. Where fits have to be shortened for it, two more, of full length, decide on top of it.
        None = no search, unless ``search_trials`` asks for one. Needs the extra ``isthmus[tune]``.
    search_trials : fits of a search at most, >= 2, for each method and code size; None = as many as there is time for.
    verbose : 0 = silent; 1 = tell how every fit goes.
    **knobs : further parameters of `Autoencoder`, the same for every fit, e.g. ``epochs=20``.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        The data, a method or a knob cannot be used, or two methods need the data scaled differently.
    MissingExtraError
        umap-learn, or for a search Optuna, is not installed.

    Notes
    -----
    t-SNE encodes no new rows: it is fitted to the very rows whose neighbours are judged, and has neither error nor
    accuracy. Neither UMAP nor t-SNE rebuilds rows. The first fit of UMAP in a process compiles it, for a minute or so
    of its time. The memory that fits take is not told: within one process it cannot be told apart from what was there.

    Examples
    --------
    >>> import isthmus as ist
    >>> X, y = ist.data.digits()
    >>> table = ist.compare(X, ["linear"], [2, 4], y, epochs=1)
    >>> [(row.method, row.code_size) for row in table.rows]
    [('PCA', 2), ('PCA', 4), ('linear', 2), ('linear', 4)]
    >>> table.recommended.code_size  # four numbers tell the digits better than two
    4
    """
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    if not methods:
        raise InputError("methods must name at least one kind, e.g. methods=('undercomplete',)")
    check_names(methods)
    columns, mode = knobs.pop("columns", None), knobs.get("scale", "auto")
    seed = seed_of(random_state)
    searches = search_time is not None or search_trials is not None
    if searches:
        check_budget(search_time, search_trials, "search_time", "search_trials")
    source = open_source(X, columns=columns)
    sizes = sizes_for(source.layout.numbers) if code_sizes is None else checked_sizes(code_sizes)
    others = [method for method in methods if isinstance(method, str) and method in RIVALS]

    def model(method: Any, size: int) -> Autoencoder:
        return Autoencoder(method, code_size=size, random_state=seed, max_time=max_time, verbose=verbose, **knobs)

    fits = [(method, size) for method in methods if method != "pca" for size in sizes]
    fits = [(method, size) for method, size in fits if method != "tsne" or size <= reductions.WIDEST_TSNE]
    models = [model(method, size) for method, size in fits if method not in others]
    support = common_support(models or [model("linear", 1)])
    share = held_out_share((models or [model("linear", 1)])[0].validation_fraction, source.rows)
    train, held_out = split(source.rows, share, seed)
    jury = Jury.drawn(train, held_out, y, source.rows, source.layout.features, seed)
    mixed = source.layout.columns is not None  # levels have no principal components
    reductions.check_rivals(others, sizes, min(len(train), len(jury.judged)), mixed)
    rows: list[ComparisonRow] = []
    if mixed:
        feed, one_unit, unit = None, 1.0, "where 1 is a column's standard deviation, or a wrong level"
    else:
        classes = getattr(models[0]._parts().loss, "classes", None) if models else None
        scaling = Scaling.fit(source, train, mode=mode, support=support, per_column=source.per_column, classes=classes)
        feed = Feed(source, scaling, train, held_out)
        one_unit, unit = error_unit(scaling)
        rows = pca_rows(feed, jury, sizes, one_unit)
    pca = {row.code_size: row.error for row in rows}
    load_optimisers()
    shares = Shares(Part(source, train), search_time, search_trials, len(sizes)) if searches else None
    kinds = iter(models)
    for done, (method, size) in enumerate(fits):
        if verbose:
            where = f"fit {done + 1} of {len(fits)}"
            print(f"{where}: {named(method)}, code size {size}", file=sys.stderr, flush=True)
        if method in others and feed is not None:
            rows.append(rival_row(method, size, feed, jury, pca, one_unit, seed))
        else:
            rows.append(fitted_row(next(kinds), source, jury, pca, one_unit, shares))
    if mixed:
        rows.insert(0, usual_row(models[0]))
    words = f"{counted(len(held_out), 'held-out row')}" if len(held_out) else "the training rows (none were held out)"
    notes = reductions.notes_on(others, sizes, len(train), source.layout.features)
    notes = (NO_PCA, *notes) if mixed else notes
    return Comparison(tuple(rows), words, f"root mean squared per cell, {unit}", notes, jury)


def check_names(methods: Sequence[Any]) -> None:
    """Refuse a name that is neither a kind's nor another method's."""
    for method in methods:
        if isinstance(method, str) and method not in (*RIVALS, *RECIPES):
            raise InputError(f"methods: no kind is called {method!r}.{did_you_mean(method, (*RIVALS, *RECIPES))}")


def named(method: Any) -> str:
    return method if isinstance(method, str) else repr(method) if isinstance(method, Kind) else "your own"


def sizes_for(features: int) -> list[int]:
    """Three code sizes worth trying.

    >>> sizes_for(784), sizes_for(30), sizes_for(4)
    ([8, 16, 32], [2, 4, 8], [1])
    """
    largest = min(32, max(1, round(features / 4)))
    return sorted({max(1, largest // 4), max(1, largest // 2), largest})


def checked_sizes(code_sizes: Sequence[int]) -> list[int]:
    given = [code_sizes] if isinstance(code_sizes, (int, np.integer)) else list(code_sizes)
    if not given:
        raise InputError("code_sizes must hold at least one whole number, e.g. code_sizes=(2, 8)")
    return sorted({whole("code_sizes", size, 1) for size in given})


def common_support(fits: list[Autoencoder]) -> str:
    """The range of data that the methods' losses need, which has to be the same for all."""
    needs = {}
    for model in fits:
        loss = model._parts().loss
        needs[named(model.method)] = getattr(loss, "support", "real")
    if len(set(needs.values())) > 1:
        said = ", ".join(f"{name} {'values in [0, 1]' if need == 'unit' else 'any'}" for name, need in needs.items())
        raise InputError(
            f"compare: these kinds need the data scaled differently ({said}), so that their errors cannot be put "
            "side by side; compare them in two calls"
        )
    return next(iter(needs.values()))


def scaled_rows(feed: Feed, rows: np.ndarray) -> np.ndarray:
    """(n, features) float32."""
    return torch.cat([batch.x.flatten(1) for batch in feed.batches(rows, feed.at_once)]).numpy()


def pca_rows(feed: Feed, jury: Jury, sizes: list[int], one_unit: float) -> list[ComparisonRow]:
    """PCA with every code size, fitted on the same training rows and judged on the same held-out rows."""
    began = time.perf_counter()
    pca = principal_components(batch.x for batch in feed.batches(feed.train, feed.at_once))
    seconds = time.perf_counter() - began
    judged = feed.held_out if len(feed.held_out) else feed.train
    errors = pca.errors(batch.x for batch in feed.batches(judged, feed.at_once))
    raw = feed.source.take(feed.train[:TIMED_ROWS])
    mean = torch.from_numpy(pca.mean.astype(np.float32))
    x = scaled_rows(feed, jury.judged)
    rows = []
    for size in sizes:
        used = min(size, len(pca.components))
        basis = torch.from_numpy(pca.components[:used].T.astype(np.float32)).contiguous()

        def encode(x: Tensor, basis: Tensor = basis) -> Tensor:
            return (x.flatten(1) - mean) @ basis

        error = float(np.sqrt(errors[min(size, len(errors) - 1)]) * one_unit)
        ratio = 1.0 if error > 0 else float("nan")
        parameters = (used + 1) * feed.source.layout.features
        known = [encode(batch.x) for batch in feed.batches(jury.known, feed.at_once)] if len(jury.known) else []
        figures = jury.figures(x, encode(torch.from_numpy(x)).numpy(), torch.cat([basis[:0], *known]).numpy())
        rate = speed(encode, feed.scaling, raw)
        rows.append(ComparisonRow(PCA, size, error, ratio, seconds, rate, parameters, figures))
    return rows


def rival_row(
    name: str, size: int, feed: Feed, jury: Jury, pca: dict[int, float], one_unit: float, seed: int
) -> ComparisonRow:
    """Fit a method that is no autoencoder, and judge it."""
    x, nan = scaled_rows(feed, jury.judged), float("nan")
    rows = reductions.rows_of(name, feed.train, jury.judged, feed.source.layout.features, seed)
    own = scaled_rows(feed, rows)
    began = time.perf_counter()
    found = reductions.fitted(name, own, size, seed)
    seconds, called = time.perf_counter() - began, reductions.RIVALS[name]
    if found.encode is None:
        figures = jury.figures(x, found.codes, None)
        return ComparisonRow(called, size, nan, nan, seconds, nan, found.parameters, figures)
    encode, decode, error = found.encode, found.decode, nan
    # Rows of the fit have their codes already, and UMAP is slow to encode.
    fresh = not np.isin(jury.known, rows).all()
    known = encode(scaled_rows(feed, jury.known)) if fresh else found.codes[np.searchsorted(rows, jury.known)]
    figures = jury.figures(x, encode(x), known)
    if decode is not None:
        judged, squares = feed.held_out if len(feed.held_out) else feed.train, 0.0
        for batch in feed.batches(judged, feed.at_once):
            some = batch.x.flatten(1).numpy()
            squares += float(np.square(decode(encode(some)) - some).sum(dtype=np.float64))
        error = math.sqrt(squares / (len(judged) * x.shape[1])) * one_unit
    ratio = error / pca[size] if pca[size] > 0 else nan

    def encoded(x: Tensor) -> Tensor:
        return torch.from_numpy(encode(x.flatten(1).numpy()))

    # UMAP only looks up the codes of the very rows that it was fitted to: its speed is that of others.
    rate = speed(encoded, feed.scaling, feed.source.take(jury.judged[:TIMED_ROWS]))
    return ComparisonRow(called, size, error, ratio, seconds, rate, found.parameters, figures)


def fitted_row(
    model: Autoencoder, source: Source, jury: Jury, pca: dict[int, float], one_unit: float, shares: Shares | None
) -> ComparisonRow:
    """Fit one autoencoder, with settings that are searched first if ``shares`` of a time are given, and judge it."""
    called = named(model.method)
    search = None if shares is None else shares.search(model, called)
    began = time.perf_counter()
    model.fit(source)
    seconds = time.perf_counter() - began
    composition, device = model.composition_, model._device
    raw = source.take(np.arange(min(TIMED_ROWS, source.rows)))

    def encode(x: Tensor) -> Tensor:
        return composition.represent(Batch(x.to(device), source.layout)).cpu()

    size = int(model.code_size or 0)
    record = model.record_
    assert record is not None  # fit leaves one
    error = math.sqrt(record.error) * one_unit
    ratio = error / pca[size] if pca.get(size, 0.0) > 0 else float("nan")
    parameters = sum(weights.numel() for weights in composition.parameters())
    rate = speed(encode, model.scaling_, raw)
    figures = figures_of(model, source, jury)
    return ComparisonRow(called, size, error, ratio, seconds, rate, parameters, figures, search)


def figures_of(model: Autoencoder, source: Source, jury: Jury) -> CodeFigures:
    """What the codes of a fitted model keep; of mixed tables distances are those that errors of cells add up to."""
    composition = model.composition_

    def codes(rows: np.ndarray) -> np.ndarray:
        found = []
        at_once = max(16, 2**22 // source.layout.features)
        with torch.no_grad():
            for start in range(0, len(rows), at_once):
                found.append(composition.represent(model._batch(source, rows[start : start + at_once])).cpu())
        return torch.cat(found).flatten(1).numpy() if found else np.zeros((0, 1), dtype=np.float32)

    batch = model._batch(source, jury.judged)
    probe = Probe(composition, source.layout, batch.x, weight=batch.weight)
    return jury.figures(probe.points.cpu().numpy(), codes(jury.judged), codes(jury.known))


def usual_row(model: Autoencoder) -> ComparisonRow:
    """Every cell of a mixed table as the most usual value of its column, without a code."""
    record = model.record_
    assert record is not None  # fit leaves one
    return ComparisonRow(USUAL, 0, math.sqrt(record.mean_error), float("nan"), 0.0, math.inf, 0)


def speed(encode: Callable[[Tensor], Tensor], scaling: Scaling, raw: np.ndarray) -> float:
    """Rows per second through scaling and ``encode``: the fastest of several goes, since others slow some down."""
    fastest, began = math.inf, time.perf_counter()
    with torch.no_grad():
        while fastest == math.inf or time.perf_counter() - began < 0.05:
            start = time.perf_counter()
            encode(scaling.forward(raw))
            fastest = min(fastest, time.perf_counter() - start)
    return len(raw) / max(fastest, 1e-9)


def error_unit(scaling: Scaling) -> tuple[float, str]:
    """What errors are told in: a factor for the root of a mean squared error per scaled cell, and the unit in words.

    Where one scale serves all columns this is the data's own unit. Columns with scales of their own have no unit in
    common but their standard deviation.
    """
    if (scaling.modes == MODES.index("standard")).all():
        return 1.0, "where 1 is each column's standard deviation"
    if np.ptp(scaling.unit) == 0:
        return float(scaling.unit[0]), "in the data's own units"
    return 1.0, "in scaled units"
