"""The sections of a report about the space of codes: a map with pictures, what lies between, and walks along units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.diagnostics.plane import Holes
from isthmus.report.elements import figure, paragraph, section
from isthmus.report.figures import CodeMap, spaced
from isthmus.report.latent_holes import PANELS, box_of_grid, paint_holes
from isthmus.report.latent_map import (
    Look,
    PictureGrid,
    Thumbnails,
    Walk,
    box_shape,
    paint_grid,
    paint_map,
    paint_picture_walks,
    paint_table_walk,
)
from isthmus.report.plots import FAINT, GROUPS, INK, STEPS, Drawing, drawing

PAGE = Look(INK, FAINT, GROUPS, STEPS)
"""Stand-ins for the page's colours."""
DOTS = 1_000
"""The most rows that are dots beside pictures: each makes the page longer."""
SMALL_WALKS = 6
"""Units of a table that are walked along on a page."""


@dataclass(frozen=True)
class Latent:
    """What is drawn of a space of codes; None or empty where a drawing means nothing.

    ``codes`` on a map of ``box`` with ``thumbnails`` on it, pictures decoded on a ``grid``, ``holes`` on a plane whose
    directions are ``axes``, and ``walks`` from the row ``start``; ``given`` says that decoded codes are given what that
    row is given.
    """

    codes: CodeMap | None
    box: tuple[float, float, float, float] | None
    thumbnails: Thumbnails | None
    grid: PictureGrid | None
    holes: Holes
    axes: tuple[str, str]
    walks: tuple[Walk, ...]
    pictures: bool
    start: str
    given: bool


def latent(found: Latent | None) -> str:
    """All that is said of the space of codes."""
    if found is None:
        return ""
    pair = "".join(part for part in (pictures_on_map(found), decoded_pictures(found)) if part)
    return (f'<div class="pair">{pair}</div>' if pair else "") + between(found) + walks(found)


def svg(sheet: Drawing, label: str) -> str:
    """A drawing with a picture in it, whose address matplotlib breaks after its first words."""
    return sheet.svg(label).replace("base64, ", "base64,")


def pictures_on_map(found: Latent) -> str:
    if found.codes is None or found.box is None or found.thumbnails is None:
        return ""
    codes = found.codes
    with drawing(min(7.0, 5.0 * box_shape(found.box) + 0.9)) as sheet:
        sheet.axes.grid(False)
        some = codes.points[spaced(len(codes.points), DOTS)]  # which show beside the pictures, if at all
        bare = CodeMap(some, codes.axes, "", (), np.zeros(0), np.zeros(0), codes.rows)
        paint_map(sheet.axes, bare, found.box, PAGE, sheet.text, found.thumbnails)
        drawn = svg(sheet, f"Map of the codes with pictures of {len(found.thumbnails.rows)} rows")
    frames = f" Frames: {codes.about}, in the colours of the map of the codes." if codes.groups else ""
    caption = f"In each cell the row whose code is nearest to its middle, where there is one.{frames}"
    return section("pictures-on-map", "Rows on the map", figure(drawn, caption))


def decoded_pictures(found: Latent) -> str:
    if found.grid is None:
        return ""
    lines, across, height, width = found.grid.shades.shape[:4]
    with drawing(min(7.0, 5.0 * lines * height / (across * width) + 0.5)) as sheet:
        paint_grid(sheet.axes, found.grid)
        drawn = svg(sheet, f"{lines} by {across} pictures decoded on a regular grid of codes")
    caption = f"What codes on a regular grid are decoded to: images of no row.{as_given(found)}"
    return section("decoded", "What lies between", figure(drawn, caption))


def as_given(found: Latent) -> str:
    return f" Codes are given what row {found.start} is given." if found.given else ""


def between(found: Latent) -> str:
    """Three maps of the holes; their sentence where there is nothing to draw."""
    if found.holes.why:
        return ""
    items = []
    for place, (name, attribute, title, words) in enumerate(PANELS):
        with drawing(min(6.0, 3.4 * box_shape(box_of_grid(found.holes)) + 1.4), 4.0) as sheet:
            paint_holes(sheet.axes, found.holes, place, found.axes, PAGE, scale="")
            share = found.holes.share(getattr(found.holes, attribute))
            drawn = svg(sheet, f"{title} {name}: at {share:.0%} of the places among codes")
        items.append(f"<li>{figure(drawn, f'{words[:1].upper()}{words[1:]}.')}</li>")
    lead = (
        "A grid over the map, decoded. Dots are rows, and a line is drawn where an answer turns from yes to no. First: "
        "does what a place decodes to lie as near to a row as 95 % of the rebuilt rows do? Second: encoded again, does "
        "it come back to where it was, as 95 % of the rows do? The more orange, the worse: places where it does not "
        "are holes, from which samples and walks had better stay away. Third: does a step as long as that between "
        "nearest codes change it by no more than nearest rows differ? Blue is where it changes fastest."
        f"{as_given(found)}"
    )
    if "component" in found.axes[0]:
        lead += " Of a code of more than two units this is the plane of its main directions through its mean."
    return section("holes", "Holes between codes", paragraph(lead), f'<ul class="runs">{"".join(items)}</ul>')


def walks(found: Latent) -> str:
    """What each unit of the code changes, those that say most first."""
    if not found.walks:
        return ""
    start = f"From the code of row {found.start}, one unit at a time is moved over the range of 95 % of the rows"
    if found.pictures:
        height, width = found.walks[0].decoded.shape[1:3]
        shape = len(found.walks) * height / (len(found.walks[0].values) * width)
        with drawing(min(9.0, 4.6 * shape + 0.9), 7.4) as sheet:
            paint_picture_walks(sheet.axes, found.walks)
            drawn = figure(svg(sheet, f"Walks along {len(found.walks)} units of the code"), f"{start}.")
        return section("walks", "Walks along units", drawn)
    panels = []
    for walk in found.walks[:SMALL_WALKS]:
        with drawing(2.7) as sheet:
            paint_table_walk(sheet.axes, walk, PAGE, sheet.text)
            panels.append(figure(sheet.svg(f"Unit {walk.unit}: {', '.join(walk.columns)}"), ""))
    lead = f"{start}; drawn are the columns that move most, in standard deviations from their means."
    return section("walks", "Walks along units", paragraph(lead), f'<div class="plots">{"".join(panels)}</div>')
