"""The list of verdicts on a report's page, each with its sign, its level and its advice."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from isthmus.report.elements import paragraph, section
from isthmus.verdicts import Verdict

WORDS = {"good": "good", "note": "note", "bad": "problem", "none": "n/a"}
SIGNS = {"good": "M4 10.5 8 14.5 16 5.5", "note": "M10 9v6M10 5v.5", "bad": "M10 4v8M10 15v.5", "none": "M6 10h8"}
"""What stands at a verdict of each level; "none" is that of what does not apply, which is no praise."""


def verdict_section(lead: str, verdicts: Iterable[Verdict]) -> str:
    """The section of all verdicts, in their order, under a sentence that sums them up."""
    items = "\n".join(map(verdict, verdicts))
    return section("verdicts", "Verdicts", paragraph(lead), f'<ul class="verdicts">\n{items}\n</ul>')


def wrong_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts, what is wrong before what is worth knowing, and what is good last."""
    return sorted(verdicts, key=lambda one: ("bad", "note", "good").index(one.level))


def verdict(item: Verdict) -> str:
    level = item.level if item.applies else "none"
    icon = (
        f'<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="9.2"/>'
        f'<path d="{SIGNS[level]}"/></svg>'
    )
    advice = f'<span class="advice">Try: {escape(item.advice)}</span>' if item.advice else ""
    return (
        f'<li class="{level}">{icon}<div><b>{escape(item.name[:1].upper() + item.name[1:])}</b> '
        f'<span class="level">{WORDS[level]}</span><br>{escape(item.sentence)}{advice}</div></li>'
    )
