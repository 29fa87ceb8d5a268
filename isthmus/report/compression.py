"""The page about a compressor: verdicts, sizes and speeds beside other coders, and what loss buys, as plain values."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from isthmus.report import compression_plots, frame
from isthmus.report.compression_plots import Bar, Curves
from isthmus.report.elements import figure, paragraph, section, settings, table
from isthmus.report.verdict_list import verdict_section, wrong_first
from isthmus.verdicts import Verdict

LOOK = """
.coders tbody th, .coders td, .coders th { white-space: nowrap; }
.coders .scroll td:last-child { min-width: 0; }
.coders .scroll td:last-child:not(.number) { min-width: 8rem; }
.coders td.number, .coders th.number { padding-left: .9rem; }
.looks { list-style: none; display: grid; gap: 1rem 1.2rem; margin: 0 0 1.6rem; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 14rem), 1fr)); }
.looks li { font-size: .85rem; max-width: 24rem; }
.looks small { display: block; color: var(--faint); font-size: .82rem; }
.looks img { display: block; width: 100%; border-radius: .2rem; margin-bottom: .3rem; image-rendering: pixelated; }
.said { color: var(--faint); font-size: .88rem; margin: .5rem 0 0; padding-left: 1.2rem; }
.bounds { max-width: 30rem; }
"""


@dataclass(frozen=True)
class Look:
    """A picture (height, width[, 3]) uint8, what it is called, and what is said below."""

    name: str
    said: str
    picture: np.ndarray


@dataclass(frozen=True)
class Compression:
    """What is shown.

    Attributes
    ----------
    title, about : what it is, and what it was judged by.
    key : names and figures under the title.
    verdicts : judgements.
    heads, lines : the table of all coders; said : how these got the data, and which are
        missing.
    sizes, speeds : bars of coders, with a sentence about each of the two drawings.
    curves : what loss buys; None where nothing may be lost. curves_title, curves_said : about it.
    looks : pictures, each with what coders make of it.
    bounds : names of columns and what each may lose, where they differ.
    details : names and values.
    """

    title: str
    about: str
    key: list[tuple[str, str]]
    verdicts: tuple[Verdict, ...]
    heads: tuple[str, ...]
    lines: list[tuple[str, ...]]
    said: tuple[str, ...]
    sizes: tuple[Bar, ...]
    sizes_said: str
    speeds: tuple[Bar, ...]
    curves: Curves | None
    curves_title: str
    curves_said: str
    looks: tuple[tuple[Look, ...], ...]
    bounds: list[tuple[str, str]]
    details: list[tuple[str, str]]


def render(data: Compression) -> str:
    """The whole page as text."""
    parts = [
        judged(data),
        f'<div class="pair">{sizes(data)}{curves(data)}</div>' if data.curves is not None else "",
        looks(data),
        coders(data),
        f'<div class="pair">{sizes(data) if data.curves is None else ""}{speeds(data)}{bounds(data)}</div>',
        settings(data.details),
    ]
    return frame.page(data.title, "compression report", data.about, parts, data.key, LOOK)


def judged(data: Compression) -> str:
    """The verdicts, what is wrong first."""
    ranked = wrong_first(data.verdicts)
    lead = "It is worth it: the packed data and the model together are smaller than what other coders make of them."
    if any(one.level == "bad" for one in ranked):
        lead = "Something speaks against it: see below."
    elif ranked and ranked[0].level == "note":
        lead = "It can be used, and something is worth knowing."
    return verdict_section(lead, ranked)


def sizes(data: Compression) -> str:
    """Bars of bytes, the model's stacked on what it packed."""
    if not data.sizes:
        return ""
    return section("sizes", "Sizes", figure(compression_plots.sizes(data.sizes), data.sizes_said))


def speeds(data: Compression) -> str:
    """Both ways of each coder."""
    caption = (
        "MB of the data as they are, a second, on this machine and at this moment, one coder after the other; the "
        "scale is logarithmic."
    )
    return section("speeds", "Speeds", figure(compression_plots.speeds(data.speeds), caption))


def curves(data: Compression) -> str:
    """Rate against distortion, or against the bound."""
    if data.curves is None:
        return ""
    return section("curves", data.curves_title, figure(compression_plots.curves(data.curves), data.curves_said))


def looks(data: Compression) -> str:
    """Pictures as they were and as coders make them."""
    if not data.looks:
        return ""
    lead = (
        "Parts of pictures, pixel by pixel: as they were, as this model gives them back, and JPEG at no more "
        "bytes, each as a file of its own."
    )
    rows = ['<ul class="looks">' + "".join(map(look, row)) + "</ul>" for row in data.looks]
    return section("looks", "Beside one another", paragraph(lead), *rows)


def look(one: Look) -> str:
    words = f"{one.name}: {one.said}" if one.said else one.name
    return (
        f'<li><img src="{address(one.picture)}" alt="{escape(words)}">{escape(one.name)}'
        f"<small>{escape(one.said)}</small></li>"
    )


def address(pixels: np.ndarray) -> str:
    """A picture as a data address, every pixel as it is."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(
        file, format="png", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def coders(data: Compression) -> str:
    """All figures of all coders."""
    drawn = table(data.heads, data.lines, "Coders of the same data", words=(0,))
    missing = "".join(f"<li>{escape(one)}</li>" for one in data.said)
    below = f'<ul class="said">{missing}</ul>' if missing else ""
    return section("coders", "Beside other coders", f'<div class="coders">{drawn}</div>', below)


def bounds(data: Compression) -> str:
    """What each column may lose."""
    if not data.bounds:
        return ""
    drawn = table(("column", "may change by"), data.bounds, "Bounds of the columns", words=(0,))
    return section("bounds", "What may be lost", f'<div class="bounds">{drawn}</div>')
