"""What a report shows of rows that run in time, as plain values: series, clips and texts, beside what is rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.sources import spread_rows
from isthmus.records import Layout

SOME, CHANNELS = 6, 4
"""How many series or texts are shown, beside the oddest, and how many channels of each."""
CLIPS, FRAMES = 3, 6
"""How many clips, and how many oddest ones, and how many frames of each."""
TOKENS = 400
"""How many tokens of a text are shown."""


@dataclass(frozen=True)
class Run:
    """One row that runs in time, cut at its length.

    Attributes
    ----------
    row, label, error : its name, its label (empty where there is none) and its error.
    length : its steps.
    steps : (m,) the numbers of those that are held here, all or some.
    observed, rebuilt : of a series (m, channels), the first NaN in gaps; of a clip (m, height, width[, channel]); of a
        text (m,), its tokens as text.
    """

    row: str
    label: str
    error: float
    length: int
    steps: np.ndarray
    observed: np.ndarray
    rebuilt: np.ndarray


@dataclass(frozen=True)
class Runs:
    """Rows that run in time.

    Attributes
    ----------
    kind : ``"series"``, ``"clips"`` or ``"texts"``.
    some, oddest : rows spread over the data, and those that are rebuilt worst.
    channels : the numbers of the channels that series are shown by, of ``of_channels`` in all.
    step_errors : (steps,) root mean squared error of each step over the rows that reach it, of texts the share of
        wrong tokens; NaN where nothing was measured.
    lowest, highest : the ends of the scale of pixels.
    between : what stands between two tokens of a text: nothing, where each is a character.
    """

    kind: str
    some: tuple[Run, ...]
    oddest: tuple[Run, ...]
    channels: tuple[int, ...]
    of_channels: int
    step_errors: np.ndarray
    lowest: float
    highest: float
    between: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows beside their reconstructions: ``weight`` is 0 in gaps and beyond the end, None where all cells count."""

    layout: Layout
    x: np.ndarray
    out: np.ndarray
    lengths: np.ndarray | None
    weight: np.ndarray | None
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    errors: np.ndarray

    def length(self, i: int) -> int:
        return self.layout.shape[0] if self.lengths is None else int(self.lengths[i])

    def run(self, i: int, steps: np.ndarray, observed: np.ndarray, rebuilt: np.ndarray) -> Run:
        return Run(self.ids[i], self.labels[i], float(self.errors[i]), self.length(i), steps, observed, rebuilt)


def runs(
    rows: Rows,
    odd: np.ndarray,
    errors: np.ndarray,
    scale: float,
    vocabulary: Sequence[str] | None,
    between: str,
) -> Runs:
    """What is shown of ``rows``.

    Parameters
    ----------
    odd : the numbers of the oddest, oddest first.
    errors : as `cell_errors` gives them.
    scale : what one scaled unit is in the units that errors are told in.
    vocabulary : the tokens of texts, by their number; None = the rows are no texts. ``between`` stands between two.
    """
    kind = "texts" if vocabulary is not None else {"frame": "clips"}.get(rows.layout.axes[0], "series")
    some = spread_rows(len(rows.x), CLIPS if kind == "clips" else SOME)
    odd = odd[:CLIPS] if kind == "clips" else odd
    channels = worst_channels(errors, rows.layout)

    def shown(i: int) -> Run:
        if vocabulary is not None:
            return text(rows, i, vocabulary)
        return clip(rows, i) if kind == "clips" else series(rows, i, channels)

    lowest, highest = scale_of(rows.x, rows.weight) if kind == "clips" else (0.0, 1.0)
    return Runs(
        kind,
        tuple(shown(int(i)) for i in some),
        tuple(shown(int(i)) for i in odd),
        channels,
        rows.layout.channels,
        step_errors(errors) * scale if vocabulary is None else errors[:, 0],
        lowest,
        highest,
        between,
    )


def wrong(x: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zeros, and ones where tokens differ: the mean square of their difference is the share that is wrong."""
    differ = np.rint(np.asarray(x, dtype=np.float64)) != np.rint(np.asarray(out, dtype=np.float64))
    return np.zeros(differ.shape, dtype=np.uint8), differ.astype(np.uint8)


def rebuilt_share(rows: Rows) -> tuple[str, str]:
    """A figure: the share of all tokens that are rebuilt. It is no mean over rows: long texts have more of them."""
    whole = np.full(len(rows.x), rows.layout.features, dtype=np.float64)
    counts = whole if rows.weight is None else rows.weight.reshape(len(whole), -1).sum(axis=1, dtype=np.float64)
    return "tokens rebuilt", f"{1 - float(rows.errors @ counts) / counts.sum():.1%} of {counts.sum():,.0f}"


def cell_errors(rows: Rows, per_unit: np.ndarray, most: int, texts: bool) -> np.ndarray:
    """(steps, the rest of a row): the mean squared error of every cell in scaled units (``per_unit`` is what one of
    each is in the user's), over rows of at most ``most`` cells; NaN where nothing was measured. Of ``texts`` it is the
    share of wrong tokens."""
    some = spread_rows(len(rows.x), max(1, most // rows.layout.features))
    x, out = np.asarray(rows.x)[some], np.asarray(rows.out)[some]
    x, out = wrong(x, out) if texts else (x, out)
    squares = np.square((x.astype(np.float64) - out).reshape(len(some), -1) / per_unit)
    kept = np.ones(squares.shape, dtype=bool)
    if rows.weight is not None:
        kept = np.asarray(rows.weight)[some].reshape(squares.shape) > 0
    total = np.where(kept, squares, 0.0).sum(axis=0)
    means = np.where(kept.any(axis=0), total / np.maximum(kept.sum(axis=0), 1), np.nan)
    return means.reshape(rows.layout.shape[0], -1)


def step_errors(errors: np.ndarray) -> np.ndarray:
    """(steps,) the root of the mean of (steps, channels) over the channels of which something was measured."""
    measured = ~np.isnan(errors)
    total = np.where(measured, errors, 0.0).sum(axis=1)
    return np.where(measured.any(axis=1), np.sqrt(total / np.maximum(measured.sum(axis=1), 1)), np.nan)


def worst_channels(errors: np.ndarray, layout: Layout) -> tuple[int, ...]:
    """The channels with the largest error in scaled units, in their order; all where they are few."""
    if layout.channels <= CHANNELS:
        return tuple(range(layout.channels))
    by_channel = np.where(np.isnan(errors), 0.0, errors).reshape(-1, layout.channels).sum(axis=0)
    return tuple(int(channel) for channel in np.sort(np.argsort(-by_channel, kind="stable")[:CHANNELS]))


def series(rows: Rows, i: int, channels: tuple[int, ...]) -> Run:
    """A row as (steps, channels); what was not measured is NaN."""
    length = rows.length(i)
    observed, rebuilt = (
        np.asarray(values[i], dtype=np.float64).reshape(rows.layout.shape[0], -1)[:length, list(channels)]
        for values in (rows.x, rows.out)
    )
    if rows.weight is not None:
        kept = np.asarray(rows.weight[i]).reshape(rows.layout.shape[0], -1)[:length, list(channels)]
        observed = np.where(kept > 0, observed, np.nan)
    return rows.run(i, np.arange(length), observed, rebuilt)


def clip(rows: Rows, i: int) -> Run:
    """Some frames of a row, as pictures have them: channels that are no colours are averaged."""
    frames = spread_rows(rows.length(i), FRAMES)
    observed, rebuilt = (np.asarray(values[i])[frames] for values in (rows.x, rows.out))
    if observed.ndim == 4 and observed.shape[-1] not in (1, 3, 4):
        observed, rebuilt = observed.mean(axis=-1), rebuilt.mean(axis=-1)
    return rows.run(i, frames, observed, rebuilt)


def text(rows: Rows, i: int, vocabulary: Sequence[str]) -> Run:
    """The tokens of a row, as text."""
    steps = np.arange(min(rows.length(i), TOKENS))

    def tokens(values: Any) -> np.ndarray:
        numbers = np.rint(np.asarray(values[i], dtype=np.float64).reshape(-1)[: len(steps)]).astype(int)
        return np.array([str(vocabulary[n]) if 0 <= n < len(vocabulary) else f"<{n}>" for n in numbers], dtype=object)

    return rows.run(i, steps, tokens(rows.x), tokens(rows.out))


def scale_of(x: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
    """What is black and what is white: the ends of what was measured; 8-bit pixels that use their scale keep it."""
    values = np.asarray(x) if weight is None else np.asarray(x)[np.asarray(weight) > 0]
    lowest, highest = float(values.min()), float(values.max())
    return (0.0, 255.0) if values.dtype == np.uint8 and highest > 100 else (lowest, highest)
