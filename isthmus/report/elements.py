"""The elements that a report's page is made of; every text that goes in is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from isthmus.report.figures import ReportData


class Markup(str):
    """Text that is HTML already, made by whoever has escaped what is in it."""


def section(name: str, title: str, *parts: str) -> str:
    body = "\n".join(part for part in parts if part)
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(title)}</h2>\n{body}\n</section>'


def paragraph(text: str) -> str:
    return f'<p class="lead">{escape(text)}</p>'


def figure(content: str, caption: str, kind: str = "") -> str:
    return f"<figure{f' class={kind!r}' if kind else ''}>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def picture(address: str, words: str, kind: str = "") -> str:
    return f'<img class="pixels {kind}" src="{address}" alt="{escape(words)}">'


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], caption: str, words: tuple[int, ...] = (0,)) -> str:
    """Rows of texts, or of `Markup`; the first of each is its heading, and columns not in ``words`` are numbers."""

    def cell(place: int, text: str, tag: str, scope: str = "") -> str:
        kind = "" if place in words else ' class="number"'
        return f"<{tag}{scope}{kind}>{text if isinstance(text, Markup) else escape(text)}</{tag}>"

    head = "".join(cell(place, text, "th", ' scope="col"') for place, text in enumerate(heads))
    body = "\n".join(
        "<tr>"
        + cell(0, row[0], "th", ' scope="row"')
        + "".join(cell(place, text, "td") for place, text in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>\n'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def settings(details: Sequence[tuple[str, str]]) -> str:
    """The section, folded, of how something was made."""
    listed = table(("name", "value"), details, "Details", words=(0, 1))
    return section("details", "How it was made", f"<details><summary>Settings</summary>\n{listed}</details>")


def honest(data: ReportData) -> str:
    """Which rows are shown, and which figure to trust about rows that were never seen."""
    said = "The rows shown are those passed to this report"
    if not data.held_out:
        return f"{said}. No row was held out of the fit, so that no figure tells of rows it has not seen."
    if not data.units.squared and data.table is None:
        return f"{said}: where these include training rows, it does better on them than on rows that it has not seen."
    return f"{said}: where these include training rows, the held-out error at the top is the honest figure."
