"""What a report shows, as plain values: computed here, drawn by `plots`, laid out by `page`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg

from isthmus.diagnostics import Diagnosis, FitRecord
from isthmus.metrics import Activity, activity, column_errors, explained_share
from isthmus.records import Layout
from isthmus.report.columns import ROWS, Cells, Table, told
from isthmus.report.sequences import Rows, Runs, cell_errors, rebuilt_share, runs, wrong
from isthmus.verdicts import percent

if TYPE_CHECKING:
    from isthmus.report.latent_page import Latent

POINTS = 5_000
"""The most rows on the code map."""
PICTURES, COLUMNS, ODDEST, WORST_CELLS = 12, 15, 12, 3
"""How many pictures, columns, odd rows, and columns of an odd row are shown."""
CELLS = 8_000_000
"""The most cells that errors per column and per pixel are computed from: what bounds their memory."""
OF_USUAL = "times the usual values' error"
"""What errors over columns of several kinds are told in."""
CATEGORIES = 20
"""The most labels with a colour of their own."""


@dataclass(frozen=True)
class Units:
    """What errors are reported in: ``name``, and how many of them one scaled unit is.

    ``squared`` says that they are root mean squared ones: all but shares of wrong tokens, and of the error of the most
    usual values of mixed tables.
    """

    name: str
    scale: float
    squared: bool = True


@dataclass(frozen=True)
class Pictures:
    """Some rows that are images: ``rows`` (m,) their numbers, ``originals`` and ``rebuilt`` (m, *shape)."""

    rows: tuple[str, ...]
    originals: np.ndarray
    rebuilt: np.ndarray
    lowest: float
    highest: float


@dataclass(frozen=True)
class Column:
    """How well one column is rebuilt: ``error`` and ``spread`` (standard deviation) in its own units.

    ``lost`` is the share of its variance that is lost, NaN for a constant column.
    """

    name: str
    error: float
    spread: float
    lost: float


@dataclass(frozen=True)
class Cell:
    """One cell of an odd row: what was observed, and what the autoencoder expected, in the user's units."""

    column: str
    observed: float
    expected: float


@dataclass(frozen=True)
class OddRow:
    """A row that is rebuilt badly; ``cells`` are its worst, ``label`` is empty where there is none."""

    row: str
    error: float
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class CodeMap:
    """Codes in two dimensions.

    ``groups`` names the categories that ``group`` (m,) numbers; without them ``values`` (m,) are shown on a
    colour scale. ``about`` says what the colour means.
    """

    points: np.ndarray
    axes: tuple[str, str]
    about: str
    groups: tuple[str, ...]
    group: np.ndarray
    values: np.ndarray
    rows: int


@dataclass(frozen=True)
class SizeCurve:
    """Root mean squared error against code size: PCA's at sizes 0, 1, ... and the autoencoder's own."""

    pca: np.ndarray
    size: int
    error: float
    judged_on: str


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows; made by `collect`.

    ``units`` are those of errors, ``value_unit`` of pixels; ``kept`` is the place in the history of the epoch
    whose weights were kept, None where no held-out rows chose it. ``activity`` is None where the code is not sparse;
    ``neighbours`` are figures of the codes and of PCA, by name. ``samples`` are images drawn from the prior, as
    ``originals`` and ``rebuilt`` alike, None where there are none. ``runs`` are rows that run in time, which take the
    places of pictures and columns, as ``table`` does of mixed tables. ``latent`` is what is drawn of the
    space of codes.
    """

    title: str
    kind: str
    data: str
    units: Units
    value_unit: str
    key_figures: tuple[tuple[str, str], ...]
    diagnosis: Diagnosis
    history: dict[str, np.ndarray]
    kept: int | None
    held_out: bool
    pictures: Pictures | None
    error_map: np.ndarray | None
    columns: tuple[Column, ...]
    features: int
    code_map: CodeMap
    activity: Activity | None
    neighbours: tuple[tuple[str, float, float], ...]
    sizes: SizeCurve | None
    row_errors: np.ndarray
    oddest: tuple[OddRow, ...]
    odd_pictures: Pictures | None
    samples: Pictures | None
    details: dict[str, Any]
    runs: Runs | None = None
    table: Table | None = None
    latent: Latent | None = None


def collect(
    *,
    title: str,
    kind: str,
    data: str,
    layout: Layout,
    originals: np.ndarray,
    reconstructions: np.ndarray,
    codes: np.ndarray,
    diagnosis: Diagnosis,
    record: FitRecord,
    history: Mapping[str, Sequence[float] | np.ndarray],
    costs: np.ndarray | None = None,
    y: Sequence[Any] | np.ndarray | None = None,
    y_name: str = "label",
    names: Sequence[str] | None = None,
    row_names: Sequence[Any] | np.ndarray | None = None,
    unit: np.ndarray | None = None,
    unit_label: str = "",
    scaled_label: str = "scaled units",
    details: Mapping[str, Any] | None = None,
    samples: np.ndarray | None = None,
    warm_epochs: float = 0.0,
    chosen: str = "",
    lengths: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    vocabulary: Sequence[str] | None = None,
    between: str = "",
    table: Cells | None = None,
    latent: Latent | None = None,
) -> ReportData:
    """Compute what a report shows.

    Parameters
    ----------
    title : the report's name, e.g. the model file's.
    kind : what was fitted, in words, e.g. ``"undercomplete, 64-128-10-128-64"``.
    data : on what, in words, e.g. ``"1,797 images of 8 x 8 pixels"``.
    layout : of the rows; axes ``("height", "width")`` and perhaps ``"channel"`` make them images.
    originals, reconstructions : (n, *layout.shape), n >= 1, in the user's units, any number type.
    codes : (n, code_size).
    diagnosis, record : as `isthmus.diagnostics` gives them.
    history : values per epoch by name; shown are ``epoch``, ``cost``, ``loss``, ``valid_cost``,
        ``valid_rmse`` (in scaled units), ``learning_rate``, ``seconds`` (since training began), and every
        other name as a penalty.
    costs : (n,) nats per row, by which the oddest rows are found; None = by their error.
    y : (n,) labels that colour the code map, ``y_name`` says what they are: text, whole numbers of which there
        are few, or any numbers; None = coloured by error.
    names : (features,) the columns' names; row_names : (n,) the rows'. None = numbers from 0.
    unit : (features,) what one scaled unit of each column is in the user's units; None = 1.
    unit_label : the user's unit where all columns share one, e.g. ``"grey levels"``. Where columns have units
        of their own, errors over many columns are in ``scaled_label``, e.g. ``"standard deviations"``.
    samples : (m, *layout.shape) images drawn from the model's prior.
    details : versions, spec, settings; shown as a table, nested values as JSON.
    warm_epochs : the epoch from which on the best weights are kept: earlier ones count for nothing.
    chosen : how the rows were chosen, in words, e.g. ``"a sample of 5,000 of 10,000"``; empty = their number.
    lengths : (n,) valid steps of rows that run in time; None = all.
    weight : (n, *layout.shape) 0 in cells that were not measured or lie beyond the end, which count in no error and
        are not shown; None = all count.
    vocabulary : the tokens that cells number, where rows are texts: their errors are shares of tokens. ``between`` is
        what stands between two tokens.
    table : of a mixed table, its rows cell by cell, whose errors take the places of squared differences; ``originals``
        and ``reconstructions`` are then raw numbers, and are not shown.
    latent : what is drawn of the space of codes; None = nothing beside the map of the codes.

    Returns
    -------
    ReportData
        Plain values, of bounded size whatever n is, but for ``row_errors`` (n,).
    """
    n, features = len(originals), layout.features
    per_unit = np.ones(features) if unit is None else np.asarray(unit, dtype=np.float64).reshape(-1)
    per_unit = np.where(per_unit > 0, per_unit, 1.0)
    past = {name: np.asarray(values, dtype=np.float64).reshape(-1) for name, values in history.items()}
    if table is not None:
        units, past = Units(OF_USUAL, 1.0, squared=False), in_shares(past, record.mean_error)
        row_errors = np.nan_to_num(table.row_errors) / usual_error(record)
    elif vocabulary is None:
        units = common_units(per_unit, unit_label, scaled_label)
        row_errors = scaled_row_errors(originals, reconstructions, per_unit, weight) * units.scale
    else:
        units, past = Units("share of wrong tokens", 1.0, squared=False), without_error(past)
        per_unit = np.ones(features)
        row_errors = scaled_row_errors(*wrong(originals, reconstructions), per_unit, weight) ** 2
    called = "columns" if not layout.sequence else "tokens" if vocabulary is not None else "numbers"
    key, of_table = key_figures(record, past, diagnosis, units, chosen or f"{n:,}", called), None
    labels = None if y is None else np.asarray(y).reshape(n)
    ids = tuple(str(i) for i in range(n)) if row_names is None else tuple(str(name) for name in row_names)
    odd = np.argsort(-(row_errors if costs is None else np.asarray(costs)), kind="stable")[:ODDEST]
    images, in_time = is_image(layout), None
    cells = 0 if images or layout.sequence or table is not None else WORST_CELLS
    columns = () if not cells else cell_names(layout) if names is None else tuple(str(name) for name in names)
    if layout.sequence:
        texts = tuple("" if labels is None else as_text(labels[i]) for i in range(n))
        rows = Rows(layout, originals, reconstructions, lengths, weight, ids, texts, row_errors)
        errors = cell_errors(rows, per_unit, CELLS, vocabulary is not None)
        in_time = runs(rows, odd, errors, units.scale, vocabulary, between)
        key = key if vocabulary is None else (rebuilt_share(rows), *key)
    if table is not None:
        named = tuple("" if labels is None else as_text(labels[i]) for i in range(n))
        above = row_errors if costs is None else np.asarray(costs)
        of_table = told(table, spaced(n, ROWS), odd, above - above.mean(), ids, named)
        key = (held_out_share(record), *key)
    return ReportData(
        title=title,
        kind=kind,
        data=data,
        units=units,
        value_unit=unit_label or "units of the data",
        key_figures=key,
        diagnosis=diagnosis,
        history=past,
        kept=kept_place(past, warm_epochs),
        held_out=record.has_held_out,
        pictures=pictures(originals, reconstructions, spaced(n, PICTURES), ids) if images else None,
        error_map=pixel_errors(originals, reconstructions, layout) if images else None,
        columns=worst_columns(originals, reconstructions, columns) if cells else (),
        features=features,
        code_map=code_map(np.asarray(codes, dtype=np.float64), labels, y_name, row_errors, units),
        activity=used if (used := activity(codes)).sparse else None,
        neighbours=kept_neighbours(diagnosis.figures),
        sizes=size_curve(record, units) if vocabulary is None else None,
        row_errors=row_errors,
        oddest=()
        if table is not None
        else tuple(
            odd_row(i, originals, reconstructions, per_unit, columns, row_errors, ids, labels, cells) for i in odd
        ),
        odd_pictures=pictures(originals, reconstructions, odd, ids) if images else None,
        samples=None if samples is None else drawn_pictures(samples, originals),
        details=dict(details or {}),
        runs=in_time,
        table=of_table,
        latent=latent,
    )


def without_error(history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A history without its squared errors, which mean nothing where numbers stand for tokens."""
    return {name: values for name, values in history.items() if name not in ("rmse", "valid_rmse")}


def in_shares(history: dict[str, np.ndarray], usual: float) -> dict[str, np.ndarray]:
    """A history whose errors are shares of that of the most usual values, ``usual``."""
    errors = history.get("valid_rmse")
    if errors is None or not usual > 0:
        return without_error(history)
    return {**history, "valid_rmse": np.square(errors) / usual}


def usual_error(record: FitRecord) -> float:
    """The error of the most usual values, 1 where they have none."""
    return record.mean_error if record.mean_error > 0 else 1.0


def held_out_share(record: FitRecord) -> tuple[str, str]:
    """The error of a mixed table as a figure under the title."""
    where = "held-out" if record.has_held_out else "training"
    return f"{where} error", f"{percent(record.error / usual_error(record))} of the usual values' (numbers squared)"


def kept_place(history: Mapping[str, np.ndarray], warm_epochs: float) -> int | None:
    """The place in the history of the least held-out cost from ``warm_epochs`` on: whose weights were kept."""
    costs = history.get("valid_cost", np.zeros(0))
    epochs = history.get("epoch", np.arange(1, len(costs) + 1))[: len(costs)]
    costs = costs[: len(epochs)]
    counts = np.isfinite(costs) & (epochs >= warm_epochs)
    return int(np.where(counts, costs, np.inf).argmin()) if counts.any() else None


def is_image(layout: Layout) -> bool:
    return layout.axes[:2] == ("height", "width") and (len(layout.shape) == 2 or layout.shape[2:] in [(1,), (3,), (4,)])


def cell_names(layout: Layout) -> tuple[str, ...]:
    """Numbers for columns without names: ``"7"``, or ``"2, 5"`` where a row has two axes."""
    return tuple(", ".join(str(place) for place in places) for places in np.ndindex(*layout.shape))


def common_units(per_unit: np.ndarray, unit_label: str, scaled_label: str) -> Units:
    """The user's units where all columns share one, else the scaled units."""
    if unit_label and np.ptp(per_unit) <= 1e-6 * per_unit.max():
        return Units(unit_label, float(per_unit[0]))
    return Units(scaled_label, 1.0)


def scaled_row_errors(
    x: np.ndarray, out: np.ndarray, per_unit: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """(n,) root mean squared error of every row, in scaled units, over its cells of weight > 0; in pieces, so that
    memory stays small."""
    size = max(1, CELLS // len(per_unit))
    errors = np.empty(len(x))
    for start in range(0, len(x), size):
        piece = slice(start, start + size)
        difference = np.asarray(x[piece], dtype=np.float64) - np.asarray(out[piece], dtype=np.float64)
        squares = np.square(difference.reshape(len(difference), -1) / per_unit)
        if weight is None:
            errors[piece] = np.sqrt(squares.mean(axis=1))
        else:
            counted = np.asarray(weight[piece]).reshape(squares.shape) > 0
            total = np.where(counted, squares, 0.0).sum(axis=1)
            errors[piece] = np.sqrt(total / np.maximum(counted.sum(axis=1), 1))
    return errors


def spaced(n: int, count: int) -> np.ndarray:
    """At most ``count`` row numbers (at least one), evenly spaced over ``n`` rows."""
    return np.unique(np.linspace(0, n - 1, max(1, min(n, count))).round().astype(int))


def shown(value: float, digits: int = 3, *, padded: bool = False) -> str:
    """A number as a person reads it: three digits, thousands apart, no exponent where none is needed.

    ``padded`` keeps zeros at the end, as figures that stand beside others should.

    >>> shown(0.012345), shown(12345.6), shown(1e-9), shown(float("nan")), shown(2.0)
    ('0.0123', '12,346', '1e-09', '-', '2')
    >>> shown(0.46, padded=True), shown(100.0, padded=True)
    ('0.460', '100')
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    if 10**digits <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if padded and value else f"{value:.{digits}g}"


def key_figures(
    record: FitRecord, history: Mapping[str, Any], diagnosis: Diagnosis, units: Units, chosen: str, cells: str
) -> tuple[tuple[str, str], ...]:
    """The figures under the title, as label and text."""

    def rmse(error: float) -> str:
        return f"{shown(math.sqrt(error) * units.scale, padded=True)} {units.name}"

    where = "held-out" if record.has_held_out else "training"
    pairs = [(f"{where} error (RMSE)", rmse(record.error))] if units.squared else []
    if units.squared and not math.isnan(record.pca_error):
        wide = record.code_size >= record.features
        pairs.append(("PCA of the same size", "exact" if wide else rmse(record.pca_error)))
    rows = f"{record.train_rows:,} + {record.held_out_rows:,} held out" if record.has_held_out else None
    pairs += [
        ("code size", f"{record.code_size:,} for {record.features:,} {cells}"),
        ("fitted on", f"{rows or f'{record.train_rows:,}'} rows"),
        ("epochs", f"{record.epochs:,}" + (f" ({record.stopped})" if record.stopped else "")),
    ]
    seconds = np.asarray(history.get("seconds", ()), dtype=np.float64)
    if len(seconds):
        pairs.append(("training time", duration(float(seconds[-1]))))
    if "parameters" in diagnosis.figures:
        pairs.append(("parameters", f"{diagnosis.figures['parameters']:,.0f}"))
    pairs.append(("rows in this report", chosen))
    return tuple(pairs)


def duration(seconds: float) -> str:
    """
    >>> duration(4.21), duration(75), duration(7300)
    ('4.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def pictures(x: np.ndarray, out: np.ndarray, rows: np.ndarray, ids: tuple[str, ...]) -> Pictures:
    originals, rebuilt = np.asarray(x)[rows], np.asarray(out)[rows]
    lowest, highest = float(np.nanmin(originals)), float(np.nanmax(originals))
    # 8-bit pictures keep their scale, but for those that use little of it, which would be all but black.
    if originals.dtype == np.uint8 and highest > 100:
        lowest, highest = 0.0, 255.0
    return Pictures(tuple(ids[i] for i in rows), originals, rebuilt, lowest, highest)


def drawn_pictures(samples: np.ndarray, originals: np.ndarray) -> Pictures:
    """Samples on the scale on which the originals are shown."""
    scale = pictures(originals, originals, np.arange(len(originals)), ("",) * len(originals))
    ids = tuple(str(number) for number in range(len(samples)))
    return Pictures(ids, samples, samples, scale.lowest, scale.highest)


def pixel_errors(x: np.ndarray, out: np.ndarray, layout: Layout) -> np.ndarray:
    """(height, width): the root mean squared error of every pixel, over some rows and all channels."""
    rows = spaced(len(x), min(POINTS, CELLS // layout.features))
    errors = column_errors(np.asarray(x)[rows], np.asarray(out)[rows])
    return np.sqrt(errors.reshape(*layout.shape[:2], -1).mean(axis=2))


def worst_columns(x: np.ndarray, out: np.ndarray, names: tuple[str, ...]) -> tuple[Column, ...]:
    """The columns of which the largest share of the variance is lost, worst first, constant ones last."""
    rows = spaced(len(x), CELLS // len(names))
    x, out = (np.asarray(array)[rows].reshape(len(rows), -1) for array in (x, out))
    errors = np.sqrt(column_errors(x, out))
    lost = 1 - explained_share(x, out)
    spreads = np.asarray(x, dtype=np.float64).std(axis=0)
    order = np.argsort(-np.where(np.isnan(lost), -np.inf, lost), kind="stable")[:COLUMNS]
    return tuple(Column(names[j], float(errors[j]), float(spreads[j]), float(lost[j])) for j in order)


def code_map(
    codes: np.ndarray, labels: np.ndarray | None, y_name: str, row_errors: np.ndarray, units: Units
) -> CodeMap:
    rows = spaced(len(codes), POINTS)
    points, axes = two_dimensions(codes[rows])
    if labels is None:
        about = f"error of the row ({units.name})"
        return CodeMap(points, axes, about, (), np.zeros(0), row_errors[rows], len(codes))
    return CodeMap(points, axes, y_name, *coloured(labels[rows]), len(codes))


def coloured(labels: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """What a `CodeMap` shows of labels: the names of groups and the group of each row, or else values.

    >>> coloured(np.array(["b", "a", "b"]))[:2]
    (('a', 'b'), array([1, 0, 1]))
    """
    groups = categories(labels)
    if groups is None:
        return (), np.zeros(0), labels.astype(np.float64)
    numbers = {group: number for number, group in enumerate(groups)}
    # What has no name of its own is in the last group, "others".
    return groups, np.array([numbers.get(as_text(label), len(groups) - 1) for label in labels]), np.zeros(0)


def two_dimensions(codes: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """The codes themselves if there are one or two, else their first two principal components."""
    size = codes.shape[1]
    if size == 1:
        # The second axis only keeps points apart: a fixed spread by row, no draw.
        return np.column_stack([codes[:, 0], (np.arange(len(codes)) * 0.618034) % 1]), ("code unit 0", "")
    if size == 2:
        return codes, ("code unit 0", "code unit 1")
    centred = codes - codes.mean(axis=0)
    last = (size - 2, size - 1)
    axes = linalg.eigh(centred.T @ centred, subset_by_index=last)[1][:, ::-1]
    # A sign that does not depend on the linear algebra library: the largest entry of each is positive.
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    points = centred @ axes
    total = np.square(centred).sum()
    share = np.square(points).sum(axis=0) / (total if total > 0 else 1.0)
    return points, (f"component 1 ({share[0]:.0%} of the codes' variance)", f"component 2 ({share[1]:.0%})")


def as_text(label: Any) -> str:
    """
    >>> as_text(3.0), as_text(np.int64(3)), as_text("a"), as_text(2.5)
    ('3', '3', 'a', '2.5')
    """
    number = isinstance(label, (float, np.floating))
    return str(int(label)) if number and float(label).is_integer() else str(label)


def categories(labels: np.ndarray) -> tuple[str, ...] | None:
    """The names of the labels' groups, in order; None if the labels are numbers to be shown on a scale.

    Text is always a category, whole numbers are where there are at most `CATEGORIES` of them. Of more texts
    than that the most frequent are kept, and ``"others"`` stands for the rest.
    """
    if labels.dtype.kind in "fiu":
        distinct = np.unique(labels)
        whole = bool(np.all(np.isfinite(distinct)) and np.all(distinct == np.round(distinct)))
        return tuple(as_text(label) for label in distinct) if whole and len(distinct) <= CATEGORIES else None
    texts, counts = np.unique([as_text(label) for label in labels], return_counts=True)
    if len(texts) <= CATEGORIES:
        return tuple(str(text) for text in texts)
    kept = np.sort(np.argsort(-counts, kind="stable")[: CATEGORIES - 1])
    return (*(str(text) for text in texts[kept]), "others")


def kept_neighbours(measured: Mapping[str, float]) -> tuple[tuple[str, float, float], ...]:
    """What codes keep of the rows' neighbours, and what PCA of the same size keeps, where it was measured."""
    words = {
        "trustworthiness": "near codes are near rows (trustworthiness)",
        "continuity": "near rows have near codes (continuity)",
        "accuracy": "the nearest code has the same label",
    }
    pairs = (
        (said, measured.get(name, math.nan), measured.get(f"pca_{name}", math.nan)) for name, said in words.items()
    )
    return tuple(pair for pair in pairs if math.isfinite(pair[1]))


def size_curve(record: FitRecord, units: Units) -> SizeCurve | None:
    if not len(record.pca_errors):
        return None
    pca = np.sqrt(np.maximum(np.asarray(record.pca_errors, dtype=np.float64), 0)) * units.scale
    return SizeCurve(pca, record.code_size, math.sqrt(record.error) * units.scale, record.judged_on)


def odd_row(
    i: int,
    x: np.ndarray,
    out: np.ndarray,
    per_unit: np.ndarray,
    columns: tuple[str, ...],
    row_errors: np.ndarray,
    ids: tuple[str, ...],
    labels: np.ndarray | None,
    cells: int,
) -> OddRow:
    observed = np.asarray(x[i], dtype=np.float64).reshape(-1)
    expected = np.asarray(out[i], dtype=np.float64).reshape(-1)
    worst = np.argsort(-np.abs(observed - expected) / per_unit, kind="stable")[:cells]
    label = "" if labels is None else as_text(labels[i])
    found = tuple(Cell(columns[j], float(observed[j]), float(expected[j])) for j in worst)
    return OddRow(ids[i], float(row_errors[i]), label, found)
