"""Columns of a table side by side, real and drawn: bars of levels and steps of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from isthmus.report import plots
from isthmus.report.elements import paragraph, section
from isthmus.report.figures import shown


@dataclass(frozen=True)
class Marginal:
    """One column, real and drawn: shares of rows ``real`` and ``drawn`` (k,) in levels with ``names``, or between
    ``edges`` (k + 1,); how far they are apart, in words."""

    column: str
    said: str
    real: np.ndarray
    drawn: np.ndarray
    names: tuple[str, ...] = ()
    edges: np.ndarray | None = None


def percents(axis: Any) -> None:
    """Shares as percentages, at a few round ones."""
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{100 * value:.4g} %"))


def marginals(found: tuple[Marginal, ...], columns_of: int) -> str:
    """Columns of a table, real and drawn, the worst first."""
    if not found:
        return ""
    items = [
        f"<li><h3>{escape(one.column)}<small>{escape(one.said)}</small></h3>"
        f"{levels(one) if one.names else spread(one)}</li>"
        for one in found
    ]
    count = len(items)
    which = f"The {count} of {columns_of:,} columns that differ most" if count < columns_of else "All columns"
    lead = (
        f"{which}, those that differ most first: in grey the share of real rows, in colour that of drawn ones. Beside "
        "the name, the total variation: half of what the shares differ by in all."
    )
    return section("columns", "Columns", paragraph(lead), f'<ul class="columns">{"".join(items)}</ul>')


def levels(one: Marginal) -> str:
    """Bars of the most frequent levels."""
    with plots.drawing(0.55 + 0.3 * len(one.names), 3.9) as sheet:
        axes, place = sheet.axes, np.arange(len(one.names))
        axes.barh(place - 0.19, one.real, height=0.36, color=plots.GROUPS[7], alpha=0.6)
        axes.barh(place + 0.19, one.drawn, height=0.36, color=plots.FIRST)
        axes.set_yticks(place, [sheet.text(name, 22) for name in one.names])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        percents(axes.xaxis)
        return sheet.svg(f"Shares of the levels of {one.column}, real and drawn; {one.said}")


def spread(one: Marginal) -> str:
    """Steps of a column of numbers."""
    edges = np.zeros(0) if one.edges is None else one.edges
    with plots.drawing(2.1, 3.9) as sheet:
        axes = sheet.axes
        axes.stairs(one.real, edges, fill=True, color=plots.GROUPS[7], alpha=0.45)
        axes.stairs(one.drawn, edges, color=plots.FIRST, linewidth=1.8)
        percents(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: shown(value)))
        axes.grid(False, axis="x")
        return sheet.svg(f"Shares of the values of {one.column}, real and drawn; {one.said}")
