"""The sections of a report about rows that run in time: series, clips of video, and texts."""

from __future__ import annotations

from html import escape
from itertools import groupby

import numpy as np

from isthmus.checks import counted
from isthmus.report import plots, sequence_plots
from isthmus.report.elements import figure, honest, paragraph, picture, section
from isthmus.report.figures import ReportData, shown
from isthmus.report.sequences import TOKENS, Run, Runs

KEY = '<p class="lines"><span>original</span><span class="dashed">reconstruction</span></p>'
SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥"}
"""Tokens that would not be seen, and what is shown in their places."""


def some_runs(data: ReportData) -> str:
    """Some rows as they are and as rebuilt."""
    if data.runs is None:
        return ""
    title = f"{data.runs.kind.capitalize()}, as they are and as rebuilt"
    return section("rebuilt", title, *shown_runs(data, data.runs, data.runs.some))


def oddest_runs(data: ReportData) -> str:
    """The rows that are rebuilt worst."""
    if data.runs is None:
        return ""
    return section("odd", f"The oddest {data.runs.kind}", *shown_runs(data, data.runs, data.runs.oddest))


def steps(data: ReportData) -> str:
    """The error along the steps."""
    if data.runs is None or not np.isfinite(data.runs.step_errors).any():
        return ""
    of = {"clips": "frame", "texts": "token"}.get(data.runs.kind, "step")
    caption = f"Root mean squared error of every {of}, over the rows that reach it and what was measured of them."
    if data.runs.kind == "texts":
        caption = "Share of the tokens that are rebuilt wrongly at every place, over the texts that reach it."
    place = "place" if of == "token" else of
    drawn = figure(sequence_plots.step_errors(data.runs.step_errors, data.units, place), caption)
    return section("steps", f"Error by {place}", drawn)


def shown_runs(data: ReportData, runs: Runs, chosen: tuple[Run, ...]) -> tuple[str, ...]:
    """What is said of some rows, and the rows."""
    cut = f" Of long texts the first {TOKENS} tokens are shown." if any(run.length > TOKENS for run in chosen) else ""
    lead, item = {
        "series": (series_lead(runs), series_item),
        "clips": ("Some frames of each: original above, reconstruction below, then the frame's number.", clip_item),
        "texts": ("What is rebuilt wrongly is underlined." + cut, text_item),
    }[runs.kind]
    lead = f"{lead} Beside each its error ({'RMSE, ' * data.units.squared}{data.units.name}). {honest(data)}"
    items = "\n".join(f"<li>{heading(run, runs)}{item(run, runs)}</li>" for run in chosen)
    kind = "" if runs.kind == "series" else f" {runs.kind}"
    return paragraph(lead), KEY if runs.kind == "series" else "", f'<ul class="runs{kind}">\n{items}\n</ul>'


def series_lead(runs: Runs) -> str:
    said = "Each is cut at its own length; gaps, which were not measured, are left out of the original."
    if len(runs.channels) < runs.of_channels:
        said += f" Shown are the {len(runs.channels)} of {runs.of_channels} channels that are rebuilt worst."
    return said


def heading(run: Run, runs: Runs) -> str:
    """The row, its label, its length and its error."""
    label = f" ({run.label})" if run.label else ""
    long = counted(run.length, {"clips": "frame", "texts": "token"}.get(runs.kind, "step"))
    return f"<b>{escape(f'row {run.row}{label}')}</b><small>{long}, error {shown(run.error, padded=True)}</small>"


def series_item(run: Run, runs: Runs) -> str:
    label = f"Row {run.row}, {counted(run.length, 'step')}, original and reconstruction"
    return sequence_plots.series(run, runs.channels, runs.of_channels, label)


def clip_item(run: Run, runs: Runs) -> str:
    ends = (runs.lowest, runs.highest)
    frames = "".join(
        picture(plots.picture(observed, *ends), f"row {run.row}, frame {step}, original")
        + picture(plots.picture(rebuilt, *ends), f"row {run.row}, frame {step}, reconstruction")
        + f"<span>{step}</span>"
        for step, observed, rebuilt in zip(run.steps, run.observed, run.rebuilt, strict=True)
    )
    return f'<div class="frames">{frames}</div>'


def text_item(run: Run, runs: Runs) -> str:
    right = (run.observed == run.rebuilt).tolist()
    cut = "…" if run.length > len(run.steps) else ""
    original = escape(runs.between.join(map(visible, run.observed))) + cut
    return (
        f"<dl><dt>original</dt><dd>{original}</dd>"
        f"<dt>rebuilt</dt><dd>{marked(run.rebuilt.tolist(), right, runs.between)}{cut}</dd></dl>"
    )


def marked(tokens: list[str], right: list[bool], between: str) -> str:
    """Tokens as HTML, stretches of wrong ones marked.

    >>> marked(["a", "<", "c"], [True, False, False], "")
    'a<mark>&lt;c</mark>'
    """
    pieces = []
    for is_right, stretch in groupby(zip(tokens, right, strict=True), key=lambda pair: pair[1]):
        words = escape(between.join(visible(token) for token, _ in stretch))
        pieces.append(words if is_right else f"<mark>{words}</mark>")
    return between.join(pieces)


def visible(token: str) -> str:
    """
    >>> visible("a"), visible("\\n")
    ('a', '↵')
    """
    return SIGNS.get(token, token)
