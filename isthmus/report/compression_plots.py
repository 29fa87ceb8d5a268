"""Drawings of the page about a compressor: bars of sizes, speeds of both ways, and curves of rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from isthmus.report import plots
from isthmus.report.figures import shown

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Bar:
    """A coder: its ``name``, ``bytes``, MB/s of packing and unpacking, the bytes of the model ``beside``; ``own`` marks
    the one that the page is about."""

    name: str
    bytes: float
    speeds: tuple[float, float]
    beside: float = 0.0
    own: bool = False


@dataclass(frozen=True)
class Curves:
    """Lines (x, y) by name, the one of this model first; what the axes are; ``factors``: x are multiples of a bound."""

    lines: dict[str, tuple[np.ndarray, np.ndarray]]
    xlabel: str
    ylabel: str
    label: str
    factors: bool = False


def in_bytes(size: float) -> str:
    """
    >>> in_bytes(900), in_bytes(45_600), in_bytes(3_249_999)
    ('900 bytes', '45.6 kB', '3.25 MB')
    """
    for unit, name in UNITS:
        if size >= 0.9995 * unit:
            return f"{shown(size / unit)} {name}"
    return f"{size:,.0f} bytes"


def sizes(bars: tuple[Bar, ...]) -> str:
    """Horizontal bars, the smallest on top; the model's bytes are stacked on those of what it packed."""
    ranked = sorted(bars, key=lambda bar: bar.bytes + bar.beside)
    longest = max(bar.bytes + bar.beside for bar in ranked)
    with plots.drawing(1.0 + 0.34 * len(ranked)) as sheet:
        axes = sheet.axes
        for place, bar in enumerate(ranked):
            axes.barh(place, bar.bytes, color=plots.FIRST if bar.own else plots.GROUPS[7], height=0.66)
            said = in_bytes(bar.bytes)
            if bar.beside:
                axes.barh(place, bar.beside, left=bar.bytes, color=plots.SECOND, height=0.66)
                said += f" + {in_bytes(bar.beside)}"
            label(axes, said, bar.bytes + bar.beside, place)
        name_bars(sheet, ranked)
        # Room for the figures at the ends of the bars.
        axes.set(xlim=(0, 1.34 * max(longest, 1)), xlabel="bytes")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: in_bytes(value) if value else "0"))
        words = {"packed by this model": plots.FIRST, "the model": plots.SECOND, "other coders": plots.GROUPS[7]}
        for name, colour in words.items():
            axes.barh(0, 0, color=colour, label=name)
        sheet.figure.legend(loc="outside upper right", ncols=3, fontsize=9.5, handlelength=1.2, columnspacing=1.0)
        best = ", ".join(f"{bar.name} {in_bytes(bar.bytes + bar.beside)}" for bar in ranked)
        return sheet.svg(f"Sizes: {best}")


def speeds(bars: tuple[Bar, ...]) -> str:
    """Two points for each coder on a logarithmic scale, the fastest to unpack on top."""
    ranked = sorted(bars, key=lambda bar: -bar.speeds[1])
    with plots.drawing(1.0 + 0.34 * len(ranked)) as sheet:
        axes = sheet.axes
        for place, bar in enumerate(ranked):
            axes.plot(bar.speeds, [place] * 2, color=plots.GRID, linewidth=3, zorder=1)
        places = np.arange(len(ranked))
        dots: dict[str, Any] = {"linestyle": "none", "markersize": 8, "markeredgewidth": 0, "zorder": 2}
        axes.plot([bar.speeds[0] for bar in ranked], places, marker="o", color=plots.FIRST, label="packing", **dots)
        axes.plot([bar.speeds[1] for bar in ranked], places, marker="D", color=plots.SECOND, label="unpacking", **dots)
        name_bars(sheet, ranked)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator([10.0**power for power in range(-4, 6)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,g}"))
        every = [value for bar in ranked for value in bar.speeds]
        low, high = (float(np.floor(np.log10(min(every)) - 0.1)), float(np.ceil(np.log10(max(every)) + 0.1)))
        axes.set(xlim=(10**low, 10**high), xlabel="MB a second")
        sheet.figure.legend(loc="outside upper right", ncols=2, handletextpad=0.2, columnspacing=1.0)
        told = ", ".join(f"{bar.name} {shown(bar.speeds[0])} and {shown(bar.speeds[1])}" for bar in ranked)
        return sheet.svg(f"MB a second of packing and unpacking: {told}")


def name_bars(sheet: plots.Drawing, bars: list[Bar]) -> None:
    """Names at the left, the first on top; that of this model in bold."""
    axes = sheet.axes
    axes.set_yticks(np.arange(len(bars)), [sheet.text(bar.name, 24) for bar in bars])
    for tick, bar in zip(axes.get_yticklabels(), bars, strict=True):
        tick.set_fontweight("bold" if bar.own else "normal")
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def label(axes: Any, text: str, x: float, y: float) -> None:
    """A figure at the end of a bar."""
    axes.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5)


def curves(data: Curves) -> str:
    """Lines with a marker at each point; that of this model is thick."""
    with plots.drawing() as sheet:
        axes = sheet.axes
        for number, (name, (x, y)) in enumerate(data.lines.items()):
            colour = plots.FIRST if number == 0 else plots.GROUPS[number % len(plots.GROUPS)]
            axes.plot(
                x, y, color=colour, label=sheet.text(name, 24), marker=("o", "s", "^", "D")[number % 4],
                markersize=6 if number == 0 else 4.5, linewidth=2.6 if number == 0 else 1.6,
                linestyle="-" if number == 0 else (0, (5, 1.5)),
            )  # fmt: skip
        axes.set(xlabel=data.xlabel, ylabel=data.ylabel)
        if data.factors:
            every = sorted({float(value) for x, _ in data.lines.values() for value in x})
            axes.set_xscale("log")
            axes.set_xticks(every, [f"{value:g} x" for value in every])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(bottom=0)
        else:
            axes.set_xlim(left=0)
        sheet.figure.legend(loc="outside upper right", ncols=4, fontsize=9.5, handlelength=1.8, columnspacing=1.0)
        return sheet.svg(data.label)
