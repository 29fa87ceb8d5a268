"""The report as one HTML file that needs nothing else: no network, no script, every text escaped."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from isthmus.report import frame, plots
from isthmus.report.elements import Markup, figure, honest, paragraph, picture, section, table
from isthmus.report.figures import ReportData, shown
from isthmus.report.latent_page import latent
from isthmus.report.sequence_page import oddest_runs, some_runs, steps
from isthmus.report.table_page import odd_rows, table_columns
from isthmus.report.verdict_list import verdict_section

KNOWN = ("epoch", "cost", "loss", "valid_cost", "valid_loss", "valid_rmse", "learning_rate", "seconds")
"""The names in a history that are not penalties."""


def write(path: str | os.PathLike[str], data: ReportData) -> None:
    """Write the report to ``path``, whole or not at all; see `frame.write`."""
    frame.write(path, render(data))


def render(data: ReportData) -> str:
    """The whole page as text."""
    sections = [
        verdicts(data),
        rebuilt(data),
        samples(data),
        *middle(data),
        latent(data.latent),
        oddest(data),
        f'<div class="pair">{sizes(data)}{learning(data)}</div>',
        details(data),
    ]
    about = Markup(f"<b>{escape(data.kind)}</b> on {escape(data.data)}")
    return frame.page(data.title, "autoencoder report", about, sections, data.key_figures)


def middle(data: ReportData) -> list[str]:
    """What is said of all rows, two by two."""
    units = activity(data) or unit_nats(data)
    if data.runs is None:
        return [beside(spread(data), code_map(data)), beside(neighbours(data), units)]
    return [beside(steps(data), spread(data)), beside(code_map(data), neighbours(data)), beside(units)]


def rebuilt(data: ReportData) -> str:
    """Some rows as they are and as rebuilt; of tables, the columns."""
    if data.runs is not None:
        return some_runs(data)
    if data.table is not None:
        return table_columns(data, data.table)
    return pictures(data) if data.pictures is not None else columns(data)


def verdicts(data: ReportData) -> str:
    bad = sum(item.level == "bad" for item in data.diagnosis.verdicts)
    notes = sum(item.level == "note" for item in data.diagnosis.verdicts)
    lead = "Nothing speaks against this model."
    if bad:
        lead = f"{bad} problem{'s' if bad > 1 else ''} found."
    elif notes:
        lead = f"No problem found, and {'one thing' if notes == 1 else f'{notes} things'} worth knowing."
    return verdict_section(lead, data.diagnosis.verdicts)


def learning(data: ReportData) -> str:
    """Cost by term, training and held-out rows."""
    history = {name: values for name, values in data.history.items() if len(values) and np.isfinite(values).any()}
    length = max((len(values) for values in history.values()), default=0)
    epochs = history.get("epoch", np.arange(1, length + 1))
    costs = {"training": history.get("cost", history.get("loss")), "held out": history.get("valid_cost")}
    kept = {name: values for name, values in costs.items() if values is not None}
    if not kept:
        return section("learning", "Learning", paragraph("No history was kept of this fit."))
    label = "Cost per row over the epochs, " + " and ".join(kept)
    caption = "Mean cost of a row: minus the log-likelihood, in nats; only its fall means anything, not its sign."
    drawn = section("cost", "Cost", figure(plots.curves(epochs, kept, "cost (nats per row)", label), caption))
    terms = {name: values for name, values in history.items() if name not in KNOWN}
    if "cost" in history and "loss" in history and not np.allclose(history["cost"], history["loss"], equal_nan=True):
        terms = {"loss": history["loss"], "cost of the code": history["cost"] - history["loss"], **terms}
    if terms:
        label = "Terms of the objective over the epochs: " + ", ".join(terms)
        caption = f"{', '.join(terms)}, each with its weight (nats per row)."
        drawn += section("terms", "Terms", figure(plots.curves(epochs, terms, "nats per row", label), caption))
    if "valid_rmse" in history:
        drawn += held_out_error(data, epochs, history["valid_rmse"] * data.units.scale)
    if "learning_rate" in history and np.ptp(history["learning_rate"]) > 0:
        rates = {"learning rate": history["learning_rate"]}
        content = plots.curves(epochs, rates, "learning rate", "Learning rate over the epochs")
        drawn += section("rate", "Learning rate", figure(content, "The length of the optimiser's steps."))
    return drawn


def held_out_error(data: ReportData, epochs: np.ndarray, rmse: np.ndarray) -> str:
    """The error on held-out rows over the epochs, with the epoch whose weights were kept."""
    unit = data.units.name
    caption = f"Error on held-out rows; at the end {shown(float(rmse[-1]))} {unit}."
    mark = None
    if data.kept is not None and data.kept < min(len(rmse), len(epochs)):
        error, epoch = shown(float(rmse[data.kept])), f"{epochs[data.kept]:g}"
        mark = (data.kept, f"kept: epoch {epoch}, {error}")
        caption = (
            f"Error on held-out rows. The weights of epoch {epoch} were kept, where the held-out cost was least and "
            f"this error {error} {unit}"
        )
        last = data.kept == len(rmse) - 1
        caption += ", the last epoch." if last else f"; at the end it was {shown(float(rmse[-1]))}."
    label = f"Held-out error over the epochs. {caption}"
    axis = f"RMSE ({unit})" if data.units.squared else unit
    content = plots.curves(epochs, {"held out": rmse}, axis, label, errors=True, mark=mark)
    return section("error", "Held-out error", figure(content, caption))


def pictures(data: ReportData) -> str:
    """Originals, reconstructions and differences, and where in the picture the error is."""
    shown_pictures = data.pictures
    if shown_pictures is None:
        return ""
    largest = plots.largest_difference(shown_pictures)
    items = []
    for row, original, rebuilt in zip(
        shown_pictures.rows, shown_pictures.originals, shown_pictures.rebuilt, strict=True
    ):
        ends = (shown_pictures.lowest, shown_pictures.highest)
        images = (
            picture(plots.picture(original, *ends), f"row {row}, original")
            + picture(plots.picture(rebuilt, *ends), f"row {row}, reconstruction")
            + picture(plots.difference(original, rebuilt, largest), f"row {row}, difference", "gap")
        )
        items.append(f"<li>{images}<span>{escape(row)}</span></li>")
    lead = (
        "From top to bottom: original, reconstruction, and their difference (blue: rebuilt too dark, orange: too "
        f"bright, clear: right; full colour is {shown(largest)} {data.value_unit}). {honest(data)}"
    )
    where = ""
    if data.error_map is not None:
        low, high = (shown(float(value)) for value in (np.nanmin(data.error_map), np.nanmax(data.error_map)))
        span = f"{low} to {high} {data.value_unit}"
        caption = f"Where the error is: RMSE per pixel, {span}; the fuller the colour, the larger."
        where = figure(picture(plots.heat(data.error_map), f"error per pixel, {span}", "gap"), caption, "beside")
    return section("rebuilt", "Reconstructions", paragraph(lead), f'<ul class="strip">{"".join(items)}</ul>', where)


def samples(data: ReportData) -> str:
    """What codes drawn from the prior are decoded to."""
    if data.samples is None:
        return ""
    ends = (data.samples.lowest, data.samples.highest)
    items = "".join(
        f"<li>{picture(plots.picture(image, *ends), f'sample {number}', 'gap')}</li>"
        for number, image in zip(data.samples.rows, data.samples.originals, strict=True)
    )
    lead = (
        "Images of no row: codes drawn from the model's prior, decoded. What they have to do with the data is said by "
        "the verdict on completeness."
    )
    return section("samples", "Drawn from the prior", paragraph(lead), f'<ul class="strip">{items}</ul>')


def unit_nats(data: ReportData) -> str:
    """What each unit of a code that is drawn says."""
    nats = data.diagnosis.units.get("divergence", ())
    if not nats:
        return ""
    caption = (
        "Divergence of each unit from the prior, in the mean over rows; a unit without any is noise for every row."
    )
    return section("units", "What units say", figure(plots.unit_bars(np.asarray(nats)), caption))


def columns(data: ReportData) -> str:
    """How well each column is rebuilt, worst first."""
    rows = [
        (
            column.name,
            shown(column.error, padded=True),
            shown(column.spread, padded=True),
            "constant" if math.isnan(column.lost) else f"{1 - column.lost:.1%}",
        )
        for column in data.columns
    ]
    count = len(rows)
    which = f"The {count} of {data.features:,} columns" if count < data.features else f"All {count} columns"
    lead = (
        f"{which}, worst first. The error is the root mean squared error in the column's own units, beside its "
        "standard deviation, which is the error of always saying its mean."
    )
    if count == 1:
        lead = "The error is the root mean squared error in the column's own units."
    lead += f" {honest(data)}"
    heads = ("column", "error", "standard deviation", "variance explained")
    drawn = ""
    if any(not math.isnan(column.lost) for column in data.columns):
        drawn = figure(plots.column_bars(data.columns), "Share of each column's variance that is lost.")
    return section(
        "rebuilt",
        "Columns",
        paragraph(lead),
        f'<div class="plots">{drawn}{table(heads, rows, "Error by column")}</div>',
    )


def spread(data: ReportData) -> str:
    """How the rows' errors are spread."""
    caption = f"Errors of {len(data.row_errors):,} rows; the odd ones are on the right."
    drawn = plots.histogram(data.row_errors, data.units.name, "RMSE, " if data.units.squared else "")
    return section("spread", "Errors of the rows", figure(drawn, caption))


def oddest(data: ReportData) -> str:
    """The rows that are rebuilt worst."""
    if data.runs is not None:
        return oddest_runs(data)
    if data.table is not None:
        return odd_rows(data, data.table)
    if data.odd_pictures is None:
        return section("odd", "The oddest rows", paragraph(honest(data)), odd_table(data))
    ends = (data.odd_pictures.lowest, data.odd_pictures.highest)
    items = "".join(
        "<li>"
        + picture(plots.picture(original, *ends), f"row {odd.row}, original")
        + picture(plots.picture(rebuilt, *ends), f"row {odd.row}, reconstruction")
        + f"<span>{escape(odd.row)}{escape(f' ({odd.label})' if odd.label else '')}</span>"
        + f"<small>{shown(odd.error, padded=True)}</small></li>"
        for odd, original, rebuilt in zip(
            data.oddest, data.odd_pictures.originals, data.odd_pictures.rebuilt, strict=True
        )
    )
    label = f"its {data.code_map.about if data.code_map.groups else 'label'}, " if data.oddest[0].label else ""
    lead = (
        f"Original above, reconstruction below; then the row, {label}and its error ({data.units.name}). {honest(data)}"
    )
    return section("odd", "The oddest rows", paragraph(lead), f'<ul class="strip">{items}</ul>')


def odd_table(data: ReportData) -> str:
    """One line per odd row, with its worst columns: what was observed, what was expected."""
    labelled = bool(data.oddest[0].label)
    heads = ("row", *(["label"] if labelled else []), "error", "worst columns")
    rows = [
        (
            odd.row,
            *([odd.label] if labelled else []),
            shown(odd.error, padded=True),
            "; ".join(
                f"{cell.column} is {shown(cell.observed, 4)}, expected {shown(cell.expected, 4)}" for cell in odd.cells
            ),
        )
        for odd in data.oddest
    ]
    caption = f"Error in {data.units.name}; values in the columns' own units."
    return table(heads, rows, caption, words=(0, 1, 3) if labelled else (0, 2))


def code_map(data: ReportData) -> str:
    codes = data.code_map
    how = "Each point is a row"
    if codes.axes[0].startswith("component"):
        how += "; of the code's units the two directions of largest variance are shown"
    elif not codes.axes[1]:
        how += "; the code has one unit, and the height only keeps points apart"
    if len(codes.points) < codes.rows:
        how += f" ({len(codes.points):,} of {codes.rows:,} rows)"
    caption = f"{how}. Colour: {codes.about}."
    return section("codes", "Map of the codes", figure(plots.code_map(codes), caption))


def beside(*parts: str) -> str:
    """Sections side by side, those that are there."""
    return f'<div class="pair">{"".join(parts)}</div>' if any(parts) else ""


def neighbours(data: ReportData) -> str:
    """What the codes keep of the rows' neighbours, beside PCA."""
    if not data.neighbours:
        return ""
    rows = [(name, f"{own:.3f}", f"{linear:.3f}") for name, own, linear in data.neighbours]
    caption = "1 is perfect; PCA is of the same rows and code size."
    if data.table is not None:
        caption = (
            f"{caption} What it sees are scaled numbers, a column of 0 and 1 for each level of a category, and the "
            "column's mean where a cell is missing."
        )
    lead = "Whether rows that are alike have codes that are alike, and the other way round, by ten nearest neighbours."
    drawn = table(("neighbours", "these codes", "PCA"), rows, caption)
    return section("neighbours", "Neighbours", paragraph(lead), drawn)


def activity(data: ReportData) -> str:
    """How often the units of a sparse code are active."""
    found = data.activity
    if found is None:
        return ""
    caption = (
        f"A row uses {found.active_units:.3g} of {len(found.shares):,} units in the mean. Units active in no row: "
        f"{len(found.never):,}, in every row: {len(found.always):,}."
    )
    drawn = figure(plots.activity_histogram(found.shares), caption)
    return section("activity", "Activity of the code's units", drawn)


def sizes(data: ReportData) -> str:
    if data.sizes is None:
        return ""
    caption = (
        f"Error on {data.sizes.judged_on} of PCA at every code size, fitted on the same training rows, and of this "
        "autoencoder. Below the curve it does better than PCA of its size."
    )
    drawn = figure(plots.size_curve(data.sizes, data.units.name), caption)
    return section("sizes", "Error against code size", drawn)


def details(data: ReportData) -> str:
    """Versions, spec and settings, folded."""
    rows = [(name, as_words(value)) for name, value in flattened(data.details)]
    rows += [(f"figure {name}", shown(value, 6)) for name, value in data.diagnosis.figures.items()]
    if not rows:
        return ""
    return section(
        "details",
        "How it was made",
        f"<details><summary>Versions, settings and all figures</summary>\n"
        f"{table(('name', 'value'), rows, 'Details', words=(0, 1))}</details>",
    )


def flattened(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Two levels of names become one: ``{"a": {"b": 1}}`` -> ``[("a b", 1)]``."""
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value and not above:
            pairs += flattened(value, f"{name} ")
        else:
            pairs.append((f"{above}{name}", value))
    return pairs


def as_words(value: Any) -> str:
    """A setting as text: JSON where it is nested, shortened where it is very long."""
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (Mapping, list, tuple)) else str(value)
    )
    return text if len(text) <= 2_000 else text[:2_000] + "…"
