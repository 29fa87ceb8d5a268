"""The page about a generator: verdicts, drawn rows beside real ones, figures, columns and copies, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from isthmus.report import frame, latent_page, plots
from isthmus.report.elements import Markup, figure, paragraph, picture, section, settings, table
from isthmus.report.figures import shown
from isthmus.report.generation_columns import Marginal, marginals, percents
from isthmus.report.latent_page import Latent
from isthmus.report.verdict_list import verdict_section, wrong_first
from isthmus.verdicts import Verdict

BINS = 40

LOOK = """
.sheets { display: grid; gap: 1.4rem 2.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.sheet { list-style: none; display: grid; gap: .3rem; margin: 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(3rem, 1fr)); }
.sheet.wide { grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); }
.sheet li { font-size: .75rem; color: var(--faint); text-align: center; }
.sheet svg, .twins svg { display: block; width: 100%; height: auto; }
.rows td, .rows th { white-space: nowrap; }
.rows .scroll { margin-bottom: 1.4rem; }
.rows em { color: var(--faint); }
.rows b { color: var(--second); }
.columns { list-style: none; display: grid; gap: 1.4rem 1.8rem; margin: 0; padding: 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.columns h3 { overflow-wrap: anywhere; }
.columns small { color: var(--faint); font-weight: 400; font-size: .82rem; margin-left: .4rem; }
.columns svg { display: block; width: 100%; height: auto; }
.twins { list-style: none; display: grid; gap: 1rem 1.4rem; margin: 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
.twins li { font-size: .82rem; }
.twins .beside { gap: .5rem; }
.twins .beside .pixels { width: 5rem; }
.twins small, .copy { color: var(--faint); display: block; }
.copy.found { color: var(--bad); font-weight: 600; }
.quality .scroll { max-width: 46rem; }
"""


@dataclass(frozen=True)
class Sheet:
    """Some rows under a title, each with a few ``words`` below it: pictures (n, height, width[, channels]), lines
    (n, channels, steps), or the ``cells`` of tables as texts."""

    title: str
    words: tuple[str, ...]
    values: np.ndarray | None = None
    cells: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Twins:
    """A drawn row and the training row nearest to it: their numbers, the distance, whether it is a copy, and both as
    pictures, lines or cells."""

    drawn: str
    train: str
    distance: float
    copy: bool
    rows: tuple[Any, Any]


@dataclass(frozen=True)
class Generation:
    """What is shown.

    Attributes
    ----------
    title, about : what it is, and what it was judged by.
    key : names and figures under the title.
    verdicts : judgements.
    form : what rows are drawn as: ``"pictures"``, ``"lines"`` or ``"cells"``.
    sheets : drawn rows and real ones.
    ends : of pictures, black and white.
    heads : of tables, the names of the columns shown; columns_of : how many there are.
    quality : heads and lines of the table of figures; trivially : what the trivial generator is, in words.
    marginals : columns, worst first.
    distances : (n,) of drawn rows to their nearest training rows, and of held-out rows, None where there are none.
    reach : distances below which a drawn row is as good as equal to a training row; NaN where it is not known.
    twins : the drawn rows nearest to training rows.
    latent : the space of codes; None where there is none.
    details : names and values.
    """

    title: str
    about: str
    key: list[tuple[str, str]]
    verdicts: tuple[Verdict, ...]
    form: str
    sheets: tuple[Sheet, ...]
    ends: tuple[float, float]
    heads: tuple[str, ...]
    columns_of: int
    quality: tuple[tuple[str, ...], list[tuple[str, ...]]]
    trivially: str
    marginals: tuple[Marginal, ...]
    distances: tuple[np.ndarray, np.ndarray | None]
    reach: float
    twins: tuple[Twins, ...]
    latent: Latent | None
    details: list[tuple[str, str]]


def render(data: Generation) -> str:
    """The whole page as text."""
    parts = [
        judged(data),
        sheets(data),
        f'<div class="pair">{quality(data)}{privacy(data)}</div>',
        marginals(data.marginals, data.columns_of),
        twins(data),
        latent_page.latent(data.latent),
        settings(data.details),
    ]
    return frame.page(data.title, "generator report", data.about, parts, data.key, LOOK)


def judged(data: Generation) -> str:
    """The verdicts, what is wrong first."""
    ranked = wrong_first(data.verdicts)
    wrong = sum(one.level == "bad" for one in ranked)
    lead = "Nothing speaks against this generator."
    if wrong:
        lead = f"{wrong} problem{'s' if wrong > 1 else ''} found."
    elif ranked[0].level == "note":
        lead = "No problem found, and something is worth knowing."
    return verdict_section(lead, ranked)


# ---------------------------------------------------------------------- rows


def sheets(data: Generation) -> str:
    """Drawn rows beside real ones, as they come: none was chosen."""
    if data.form == "cells":
        return tables(data)
    drawn = []
    for sheet in data.sheets:
        items = [
            f"<li>{one_row(row, data, f'{sheet.title}, {place}')}{escape(words)}</li>"
            for place, (row, words) in enumerate(
                zip(sheet.values if sheet.values is not None else (), sheet.words, strict=True)
            )
        ]
        kind = "sheet wide" if data.form == "lines" else "sheet"
        drawn.append(f'<div><h3>{escape(sheet.title)}</h3><ul class="{kind}">{"".join(items)}</ul></div>')
    lead = "The first rows that were drawn, none of them chosen, and real rows on the same scale."
    return section("drawn", "Drawn rows", paragraph(lead), f'<div class="sheets">{"".join(drawn)}</div>')


def one_row(row: np.ndarray, data: Generation, words: str) -> str:
    """A picture, or lines."""
    if data.form == "pictures":
        return picture(plots.picture(row, *data.ends), words)
    return lines([row], words, data.ends)


def lines(rows: list[np.ndarray], words: str, ends: tuple[float, float]) -> str:
    """Rows (channels, steps) over each other, the second one dashed."""
    with plots.drawing(1.0, 2.4) as sheet:
        for number, row in enumerate(rows):
            for place, channel in enumerate(row):
                colour = plots.SECOND if number else plots.FIRST if len(row) == 1 else plots.GROUPS[place % 10]
                dashes = (0, (3, 2)) if number else "-"
                sheet.axes.plot(channel, color=colour, linewidth=1.3, linestyle=dashes)
        margin = 0.04 * (ends[1] - ends[0])
        sheet.axes.set(ylim=(ends[0] - margin, ends[1] + margin), xticks=[], yticks=[])
        return sheet.svg(words)


def tables(data: Generation) -> str:
    """Some rows of a table, drawn and real."""
    heads, every = ("row", *data.heads), tuple(range(len(data.heads) + 1))
    drawn = [
        table(
            heads, [(name, *map(cell, row)) for name, row in zip(one.words, one.cells, strict=True)], one.title, every
        )
        for one in data.sheets
    ]
    first = f" The first {len(data.heads)} of {data.columns_of:,} columns." if len(data.heads) < data.columns_of else ""
    lead = f"The first rows that were drawn, none of them chosen, and some real ones.{first}"
    return section("drawn", "Drawn rows", paragraph(lead), f'<div class="rows">{"".join(drawn)}</div>')


def cell(text: str) -> str:
    return text if text else Markup("<em>missing</em>")


# ---------------------------------------------------------------------- figures


def quality(data: Generation) -> str:
    """All figures beside their references."""
    heads, found = data.quality
    real = len(heads) > 3
    lead = (
        "Each figure is of rows beside the same held-out rows. Real rows are training rows: what a perfect generator "
        f"would have. The last column is what takes no network: {data.trivially}."
        if real
        else "No rows were held out, so that figures are beside the training rows, and there is nothing to say what "
        "real rows would have: keep some rows from fit, and give them as held_out=. The last column is what takes no "
        f"network: {data.trivially}."
    )
    caption = (
        "Fréchet distance, errors and total variation: the less, the better. Precision and density: whether drawn rows "
        "lie among real ones; recall and coverage: whether all of these are reached. Told apart: by a classifier, 0.5 "
        "= not at all."
    )
    drawn = table(heads, found, "Figures beside references")
    return section("quality", "Quality", paragraph(lead), f'<div class="quality">{drawn}</div>', small(caption))


def small(text: str) -> str:
    return f'<p class="copy">{escape(text)}</p>'


def privacy(data: Generation) -> str:
    """How near drawn rows are to training rows, and how near held-out rows are."""
    mine, others = data.distances
    both = mine if others is None else np.concatenate([mine, others])
    edges = np.linspace(0.0, max(float(np.quantile(both, 0.999)), 1e-9), BINS + 1)
    with plots.drawing() as sheet:
        axes = sheet.axes
        named = [(others, plots.GROUPS[7], "held-out rows", True), (mine, plots.FIRST, "drawn rows", False)]
        for values, colour, name, filled in named:
            if values is not None:
                share = np.histogram(np.clip(values, 0, edges[-1]), bins=edges)[0] / len(values)
                style: dict[str, Any] = {"alpha": 0.45 if filled else 1.0, "linewidth": 1.8}
                axes.stairs(share, edges, color=colour, fill=filled, label=name, **style)
        if data.reach > 0:
            axes.axvline(data.reach, color=plots.SECOND, linewidth=1.4, linestyle=(0, (5, 2)), label="copies")
        axes.set(xlabel="distance to the nearest training row", ylabel="share of the rows", xlim=(0, edges[-1]))
        percents(axes.yaxis)
        axes.grid(False, axis="x")
        sheet.figure.legend(loc="outside upper right", ncols=3)
        median = shown(float(np.median(mine)))
        beside = "" if others is None else f", of held-out rows {shown(float(np.median(others)))}"
        drawn = sheet.svg(f"Distances to the nearest training rows: median of drawn rows {median}{beside}")
    caption = (
        "A generator that knows its training rows by heart draws rows nearer to them than held-out rows are: its line "
        "stands to the left of the grey ones. Drawn rows left of the dashed line are as good as equal to one of these."
    )
    if others is None:
        caption = (
            "How near is too near only rows tell that the generator did not meet: keep some from fit, and give them as "
            "held_out=."
        )
    return section("privacy", "Distance to training rows", figure(drawn, caption))


# ---------------------------------------------------------------------- copies


def twins(data: Generation) -> str:
    """The drawn rows that are nearest to training rows, beside these."""
    if not data.twins:
        return ""
    lead = (
        "The drawn rows that are nearest to a training row, and that row. Some are always near: copies are those that "
        "are nearer than held-out rows are."
    )
    if any(one.copy for one in data.twins):
        lead = "Drawn rows that are as good as equal to a training row, or nearest to one, and that row."
    if data.form == "cells":
        return section("twins", "Nearest to training rows", paragraph(lead), table_of_twins(data))
    items = "".join(
        f"<li>{pair_of_rows(one, data)}drawn {escape(one.drawn)}, training {escape(one.train)}<small>distance "
        f"{shown(one.distance)}</small>{mark(one)}</li>"
        for one in data.twins
    )
    return section("twins", "Nearest to training rows", paragraph(lead), f'<ul class="twins">{items}</ul>')


def mark(one: Twins) -> str:
    return '<span class="copy found">a copy</span>' if one.copy else ""


def pair_of_rows(one: Twins, data: Generation) -> str:
    words = f"drawn row {one.drawn} and training row {one.train}"
    if data.form == "lines":
        return lines(list(one.rows), words, data.ends)
    images = "".join(picture(plots.picture(row, *data.ends), words) for row in one.rows)
    return f'<div class="beside">{images}</div>'


def table_of_twins(data: Generation) -> str:
    """Two lines for each pair: cells that differ are marked."""
    found: list[tuple[str, ...]] = []
    for one in data.twins:
        drawn, train = one.rows
        said = Markup(f"drawn {escape(one.drawn)}<small>distance {shown(one.distance)}</small>{mark(one)}")
        apart = (
            Markup(f"<b>{escape(mine) or 'missing'}</b>") if mine != other else cell(mine)
            for mine, other in zip(drawn, train, strict=True)
        )
        found += [(said, *apart), (f"training {one.train}", *map(cell, train))]
    every = tuple(range(len(data.heads) + 1))
    drawn_table = table(("row", *data.heads), found, "In colour: cells in which the two rows differ", words=every)
    return f'<div class="rows">{drawn_table}</div>'
