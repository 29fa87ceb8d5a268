"""Drawings of a report: matplotlib figures as SVG text that follows the page's colours, pictures as PNG.

A drawing holds stand-in colours, which are replaced by CSS variables: the page chooses the real ones, for light
and dark, after the drawing is made. Text stays text, so that it can be read aloud, searched and printed.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from PIL import Image

from isthmus.report.figures import CodeMap, Column, Pictures, SizeCurve, shown

INK, FAINT, GRID, PAPER = "#010101", "#010102", "#010103", "#010104"
FIRST, SECOND = "#010105", "#010106"
GROUPS = tuple(f"#0102{number:02x}" for number in range(10))
STEPS = tuple(f"#0103{number:02x}" for number in range(8))
VARIABLES = {
    INK: "ink",
    FAINT: "faint",
    GRID: "grid",
    PAPER: "paper",
    FIRST: "first",
    SECOND: "second",
    **{colour: f"group-{number}" for number, colour in enumerate(GROUPS)},
    **{colour: f"step-{number}" for number, colour in enumerate(STEPS)},
}
"""Stand-in colours, and the CSS variables that take their places."""
OWN = ("axes", "figure", "font", "grid", "legend", "lines", "patch", "savefig", "svg", "text", "xtick", "ytick", "hist")
"""The groups of matplotlib's settings that are taken from its defaults, whatever the user has set."""
MARKERS = ("o", "^", "s")
SIDE = 112
"""The longest side of a picture, in pixels: what bounds the size of the file."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2,
    "legend.frameon": False,
}


class Drawing:
    """A matplotlib figure with one pair of axes, or several that share their horizontal one, on its way to an SVG
    element."""

    def __init__(self, height: float, width: float, panels: int) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.axes = self.figure.add_subplot(panels, 1, 1)
        under = [self.figure.add_subplot(panels, 1, place, sharex=self.axes) for place in range(2, panels + 1)]
        self.panels = [self.axes, *under]
        self.stand_ins: dict[str, str] = {}

    def text(self, text: str, length: int) -> str:
        """A user's text as it may be drawn: on one line, clipped to ``length``.

        The font that measures the drawing lacks many scripts' letters and would warn of each; the page's
        own fonts have them. Such a text is drawn as a stand-in of its length, and put in its place later.
        """
        text = clipped(" ".join(text.split()), length)
        if all(" " <= letter <= "~" or letter in "…" or "\u00a0" <= letter <= "\u024f" for letter in text):
            return text
        stand_in = f"qz{len(self.stand_ins)}q".ljust(len(text), "n")
        self.stand_ins[stand_in] = text
        return stand_in

    def svg(self, label: str) -> str:
        """The figure as an SVG element for an HTML page; ``label`` is read aloud in its place."""
        file = io.StringIO()
        # Names inside the drawing depend on the label, so that two drawings on one page do not share any.
        with matplotlib.rc_context({"svg.hashsalt": ascii(label)}):
            self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        drawn = file.getvalue()
        viewbox = re.search(r'viewBox="([^"]*)"', drawn)
        drawn = drawn[drawn.index("<g id=") : drawn.rindex("</svg>")]
        drawn = re.sub(r"<[^>]*>", tidy, " ".join(drawn.split()))
        for stand_in, text in self.stand_ins.items():
            drawn = drawn.replace(stand_in, escape(text))
        box = viewbox.group(1) if viewbox else "0 0 400 300"
        return f'<svg viewBox="{box}" role="img" aria-label="{escape(label)}">{drawn}</svg>'


def tidy(found: re.Match[str]) -> str:
    """One tag of a drawing without what is not needed, its colours as CSS variables. Texts are no tags."""
    tag = re.sub(r' id="[a-zA-Z.]+\w*_\d+"', "", found.group())  # figure_1: the same in every drawing
    tag = re.sub(r"font-family: [^;\"]*; ?", "", tag)  # the page's font serves
    tag = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", tag)
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    return re.sub("|".join(VARIABLES), lambda colour: f"var(--{VARIABLES[colour.group()]})", tag)


@contextmanager
def drawing(height: float = 3.7, width: float = 5.6, panels: int = 1) -> Iterator[Drawing]:
    """A drawing of ``width`` by ``height`` inches, in the report's style; no global setting is changed."""
    ours: dict[Any, Any] = {
        name: value for name, value in matplotlib.rcParamsDefault.items() if name.split(".")[0] in OWN
    }
    ours.update(STYLE)
    with matplotlib.rc_context(ours):
        yield Drawing(height, width, panels)


# Curves.


def curves(
    epochs: np.ndarray,
    lines: dict[str, np.ndarray],
    ylabel: str,
    label: str,
    *,
    errors: bool = False,
    mark: tuple[int, str] | None = None,
) -> str:
    """Lines over epochs: at most two, or as many as there are group colours.

    ``errors`` says that the values cannot be below 0; ``mark`` is a place on the first line, and what to write there.
    """
    colours = (FIRST, SECOND) if len(lines) <= 2 else GROUPS
    with drawing() as sheet:
        axes = sheet.axes
        for number, (name, values) in enumerate(lines.items()):
            marker = MARKERS[number % len(MARKERS)] if len(values) < 3 else None
            axes.plot(
                epochs[: len(values)],
                values,
                color=colours[number % len(colours)],
                label=sheet.text(name, 16),
                marker=marker,
                linestyle=("-", (0, (5, 1.5)))[number % 2],
            )
        axes.set(xlabel="epoch", ylabel=sheet.text(ylabel, 40))
        everything = np.concatenate(list(lines.values()))
        if errors and np.nanmin(everything) > 0 and np.nanmax(everything) > 20 * np.nanmin(everything):
            axes.set_yscale("log")
            plain_logarithms(axes.yaxis)
        else:
            zoom(axes, list(lines.values()))
            if errors:
                axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
        axes.xaxis.set_major_locator(whole_numbers())
        if mark is not None:
            mark_place(sheet, float(epochs[mark[0]]), float(next(iter(lines.values()))[mark[0]]), mark[1])
        if len(lines) > 1:  # above the axes, where it hides no line
            sheet.figure.legend(loc="outside upper right", ncols=min(3, len(lines)))
        return sheet.svg(label)


def mark_place(sheet: Drawing, x: float, y: float, text: str) -> None:
    """A point and a thin line up to its text, which stands above the axes, where it hides no line."""
    axes = sheet.axes
    left, right = axes.get_xlim()
    axes.plot([x], [y], marker="o", markersize=8, color=SECOND, linestyle="none", clip_on=False, zorder=3)
    axes.axvline(x, color=SECOND, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_xlim(left, right)
    share = (x - left) / (right - left)
    axes.annotate(
        sheet.text(text, 60),
        (x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="left" if share < 0.3 else "right" if share > 0.7 else "center",
        va="bottom",
        color=SECOND,
        fontweight="bold",
    )


def whole_numbers() -> MaxNLocator:
    return MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])


def plain_logarithms(axis: Axis) -> None:
    """Ticks at 1, 2 and 5 times powers of ten (fewer where that is too many), as numbers without exponents."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: shown(value)))
    axis.set_minor_formatter(NullFormatter())


def zoom(axes: Axes, lines: list[np.ndarray]) -> None:
    """Cut off the first steep epochs where they would flatten all that follows."""
    later = np.concatenate([values[len(values) // 20 + 1 :] for values in lines])
    later, everything = later[np.isfinite(later)], np.concatenate(lines)
    everything = everything[np.isfinite(everything)]
    if len(later) < 5 or np.ptp(everything) <= 4 * np.ptp(later) or not np.ptp(later) > 0:
        return
    axes.set_ylim(later.min() - 0.05 * np.ptp(later), later.max() + 0.05 * np.ptp(later))


def size_curve(curve: SizeCurve, unit: str) -> str:
    """The error of PCA at every code size, and the autoencoder's point."""
    most = max(2, min(len(curve.pca) - 1, max(3 * curve.size, 10)))
    pca = curve.pca[: most + 1]
    with drawing() as sheet:
        axes = sheet.axes
        axes.plot(np.arange(len(pca)), pca, color=SECOND, marker="o" if len(pca) < 25 else None, markersize=3.5)
        axes.plot([curve.size], [curve.error], color=FIRST, marker="D", markersize=9, linestyle="none", clip_on=False)
        middle = min(len(pca) - 1, max(1, len(pca) // 2))
        # Each name on its own side of the curve: the better of the two below.
        above = curve.error > pca[min(curve.size, len(pca) - 1)]
        words: dict[str, Any] = {"textcoords": "offset points", "fontweight": "bold"}
        under: dict[str, Any] = {"xytext": (-6, -8), "ha": "right", "va": "top"}
        axes.annotate("PCA", (middle, pca[middle]), color=SECOND, **words, **(under if above else {"xytext": (6, 8)}))
        axes.set_ylim(bottom=0)
        # The point's name is above it where there is no room below: an axis of errors does not go below 0.
        raised = above or curve.error < 0.14 * axes.get_ylim()[1]
        right = curve.size > (0.6 if raised else 0.3) * max(len(pca) - 1, curve.size)
        place: dict[str, Any] = {
            "xytext": (-9 if right else 9, 9 if raised else -16),
            "ha": "right" if right else "left",
        }
        axes.annotate("this autoencoder", (curve.size, curve.error), color=FIRST, **words, **place)
        axes.set(xlabel="code size", ylabel=f"RMSE ({sheet.text(unit, 30)})")
        axes.xaxis.set_major_locator(whole_numbers())
        label = f"Error against code size: the autoencoder has {shown(curve.error)} {unit} at {curve.size}"
        if curve.size < len(curve.pca):
            label += f", PCA {shown(curve.pca[curve.size])}"
        return sheet.svg(label)


def code_map(codes: CodeMap) -> str:
    """The codes as points, coloured by group or value."""
    label = f"Codes of {len(codes.points):,} rows in two dimensions, coloured by {codes.about}"
    size = float(np.clip(60 / max(1, len(codes.points)) ** 0.42, 2.0, 6.0))
    with drawing(4.4) as sheet:
        axes = sheet.axes
        dots(axes, codes, size, sheet.text)
        if codes.groups:
            name_groups(sheet, codes)
            legend = sheet.figure.legend(
                loc="outside lower center",
                ncols=min(5, len(codes.groups)),
                fontsize=9.5,
                handletextpad=0.1,
                columnspacing=1.0,
                title=sheet.text(codes.about, 40),
                markerscale=6 / size,
            )
            legend.get_title().set_fontsize(9.5)
        else:
            colour_bar(axes, value_edges(codes.values), sheet.text(codes.about, 50))
        axes.set(xlabel=codes.axes[0], ylabel=codes.axes[1])
        if not codes.axes[1]:
            axes.set_yticks([])
        return sheet.svg(label)


def dots(
    axes: Axes,
    codes: CodeMap,
    size: float,
    words: Callable[[str, int], str],
    groups: tuple[str, ...] = GROUPS,
    steps: tuple[str, ...] = STEPS,
) -> None:
    """The codes as points of ``size``, in the colours of their groups or values; ``words`` makes names drawable."""
    kinds = [(place // len(groups) % len(MARKERS), groups[place % len(groups)]) for place in range(len(codes.groups))]
    colours = kinds or [(0, colour) for colour in steps]
    place = codes.group if codes.groups else colour_steps(codes.values)
    for number, (marker, colour) in enumerate(colours):
        axes.plot(
            *codes.points[place == number].T,
            linestyle="none",
            markersize=size,
            label=words(codes.groups[number], 16) if codes.groups else None,
            marker=MARKERS[marker],
            markeredgewidth=0,
            color=colour,
        )


def name_groups(sheet: Drawing, codes: CodeMap) -> None:
    """Write each group's name over its middle, so that colour is not needed to tell them apart."""
    if len(codes.groups) > 12:
        return
    held = [number for number in range(len(codes.groups)) if np.any(codes.group == number)]
    middles = np.array([np.median(codes.points[codes.group == number], axis=0) for number in held])
    for number, place in zip(held, apart(middles, sheet.axes), strict=True):
        sheet.axes.text(
            place[0],
            place[1],
            sheet.text(codes.groups[number], 14),
            transform=sheet.axes.transAxes,
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.18", "facecolor": PAPER, "edgecolor": GROUPS[number % 10], "alpha": 0.88},
        )


def apart(points: np.ndarray, axes: Axes) -> np.ndarray:
    """The points as shares of the axes, those whose names would overlap moved apart, up and down."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    places = (points - (left, bottom)) / (right - left, top - bottom)
    for _ in range(40):
        gap = places[:, None] - places[None]
        # Rows in their order break ties, so that equal points part too.
        up = np.where(gap[..., 1] != 0, np.sign(gap[..., 1]), np.sign(np.subtract.outer(*[np.arange(len(places))] * 2)))
        near = (np.abs(gap[..., 0]) < 0.07) & (np.abs(gap[..., 1]) < 0.075)
        places[:, 1] += (0.01 * up * near).sum(axis=1)
    return places.clip(0.02, 0.98)


def value_edges(values: np.ndarray) -> np.ndarray:
    """The edges of eight colour steps: from the 1st to the 99th percentile, so that one odd row does not take all."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.linspace(0, 1, len(STEPS) + 1)
    low, high = np.percentile(finite, [1, 99])
    return np.linspace(low, high if high > low else low + max(abs(low), 1.0) * 1e-3, len(STEPS) + 1)


def colour_steps(values: np.ndarray) -> np.ndarray:
    """(n,) the number of the colour step of each value; 0 where it is no number."""
    place = np.clip(np.searchsorted(value_edges(values)[1:-1], values, side="right"), 0, len(STEPS) - 1)
    return np.where(np.isfinite(values), place, 0)


def colour_bar(axes: Axes, edges: np.ndarray, about: str, steps: tuple[str, ...] = STEPS, below: float = 0.29) -> None:
    """Eight steps of colour ``below`` the axes, with the values at both ends and in the middle."""
    inset = axes.inset_axes((0.0, -below, 1.0, 0.12 * below))
    inset.bar(np.arange(len(steps)), 1, width=1, align="edge", color=steps)
    inset.set(xlim=(0, len(steps)), ylim=(0, 1), yticks=[])
    inset.set_xticks([0, 4, 8], [shown(edges[0]), shown(edges[4]), shown(edges[8])])
    inset.set_xlabel(about)
    inset.grid(False)
    inset.spines[:].set_visible(False)


def histogram(errors: np.ndarray, unit: str, measure: str = "RMSE, ") -> str:
    """How the rows' errors are spread; on a logarithmic scale where they cover more than a factor of 30."""
    finite = errors[np.isfinite(errors)]
    positive = finite[finite > 0]
    wide = len(positive) == len(finite) > 0 and positive.max() > 30 * np.median(positive)
    bins: Any = int(np.clip(np.sqrt(len(finite)), 5, 40))
    if wide:
        bins = np.geomspace(positive.min(), positive.max(), bins + 1)
    with drawing() as sheet:
        axes = sheet.axes
        axes.hist(finite, bins=bins, color=FIRST)
        if wide:
            axes.set_xscale("log")
            plain_logarithms(axes.xaxis)
        else:
            axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
        axes.set(xlabel=f"error of the row ({measure}{sheet.text(unit, 30)})", ylabel="rows")
        axes.yaxis.set_major_locator(whole_numbers())
        axes.grid(False, axis="x")
        middle = f", median {shown(float(np.median(finite)))} {unit}" if len(finite) else ""
        return sheet.svg(f"Spread of the errors of {len(errors):,} rows{middle}")


def activity_histogram(shares: np.ndarray) -> str:
    """How many units of a sparse code are active in which share of the rows."""
    with drawing() as sheet:
        axes = sheet.axes
        axes.hist(shares, bins=list(np.linspace(0, 1, 21)), color=FIRST)
        axes.set(xlabel="share of the rows in which a unit is active", ylabel="units of the code", xlim=(0, 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_locator(whole_numbers())
        axes.grid(False, axis="x")
        return sheet.svg(f"In how many rows the {len(shares):,} units of the code are active, median "
                         f"{float(np.median(shares)):.1%}")  # fmt: skip


def unit_bars(nats: np.ndarray) -> str:
    """What each unit of a code says, the most first."""
    with drawing() as sheet:
        axes = sheet.axes
        axes.bar(np.arange(len(nats)), np.sort(nats)[::-1], color=FIRST, width=0.8)
        axes.set(xlabel="units of the code, by what they say", ylabel="nats per row", xlim=(-0.6, len(nats) - 0.4))
        axes.xaxis.set_major_locator(whole_numbers())
        axes.grid(False, axis="x")
        return sheet.svg(f"What the {len(nats):,} units of the code say: {nats.sum():.3g} nats per row in all")


def column_bars(columns: tuple[Column, ...]) -> str:
    """The share of each column's variance that is lost, worst on top."""
    varying = [column for column in columns if np.isfinite(column.lost)]
    with drawing(0.9 + 0.27 * max(2, len(varying))) as sheet:
        axes = sheet.axes
        shares = np.array([column.lost for column in varying])
        axes.barh(np.arange(len(varying)), np.minimum(shares, 1.5), color=FIRST, height=0.66)
        for number, share in enumerate(shares):
            axes.annotate(
                f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}",
                (max(0.0, min(share, 1.5)), number),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9.5,
            )
        axes.set_yticks(np.arange(len(varying)), [sheet.text(column.name, 24) for column in varying])
        axes.set(
            xlabel="share of the column's variance that is lost",
            xlim=(0, 1.15 * max(0.01, min(1.5, shares.max(initial=0)))),
        )
        axes.set_ylim(max(2, len(varying)) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if shares.max(initial=0) > 0.1 else None))
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        worst = f": most of {varying[0].name}, {varying[0].lost:.0%}" if varying else ""
        return sheet.svg(f"Share of the variance lost per column{worst}")


def clipped(text: str, length: int) -> str:
    """
    >>> clipped("a name that is long", 10), clipped("short", 10)
    ('a name th…', 'short')
    """
    return text if len(text) <= length else text[: length - 1] + "…"


# Pictures.


def png(pixels: np.ndarray) -> str:
    """(height, width[, 3 or 4]) uint8 as a data address; made smaller where a side is longer than `SIDE`."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def picture(values: np.ndarray, lowest: float, highest: float) -> str:
    """An image row: (height, width), or with 1, 3 or 4 channels last; ``lowest`` is black, ``highest`` white."""
    shades = pixels(values, lowest, highest)
    return png(shades[..., 0] if shades.ndim == 3 and shades.shape[2] == 1 else shades)


def pixels(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """Pictures as uint8: 0 at ``lowest``, 255 at ``highest``."""
    span = highest - lowest
    scaled = (np.asarray(values, dtype=np.float64) - lowest) / (span if span > 0 else 1.0)
    return (255 * np.nan_to_num(scaled).clip(0, 1)).round().astype(np.uint8)


def difference(original: np.ndarray, rebuilt: np.ndarray, largest: float) -> str:
    """Where the reconstruction is too dark (blue) or too bright (orange); clear where it is right."""
    gap = np.asarray(rebuilt, dtype=np.float64) - np.asarray(original, dtype=np.float64)
    gap = gap.reshape(*gap.shape[:2], -1).mean(axis=2)
    strength = np.nan_to_num(np.abs(gap) / largest).clip(0, 1) if largest > 0 else np.zeros_like(gap)
    pixels = np.empty((*gap.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where(gap[..., None] < 0, (38, 118, 214), (226, 106, 18))
    pixels[..., 3] = (255 * strength).round()
    return png(pixels)


def largest_difference(pictures: Pictures) -> float:
    """The scale of the differences: all of a strip's pictures share it."""
    gaps = np.abs(pictures.rebuilt.astype(np.float64) - pictures.originals.astype(np.float64))
    return float(np.nanmax(gaps)) if gaps.size else 0.0


def heat(errors: np.ndarray) -> str:
    """The error per pixel, clear where there is none."""
    top = float(np.nanmax(errors))
    pixels = np.empty((*errors.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (226, 106, 18)
    pixels[..., 3] = (255 * np.nan_to_num(errors / top if top > 0 else errors).clip(0, 1)).round()
    return png(pixels)
