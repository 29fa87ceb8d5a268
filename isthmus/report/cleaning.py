"""The page about a denoiser: a table of rivals, and pictures or series before and after. It takes plain values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.report import frame, plots
from isthmus.report.page import figure, paragraph, picture, section, table

LOOK = """
.triples { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); }
.triples.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.triples li { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .5rem; }
.triples figure { max-width: none; }
.triples .pixels { max-width: none; }
"""


@dataclass(frozen=True)
class Cleaned:
    """What is shown.

    Attributes
    ----------
    title, about : what it is, and what it was judged on.
    heads, rows : the table; the first row is the denoiser.
    best, fitted : sentences: how far ahead, and how the rivals came about.
    kind : ``"images"``, ``"video"``, ``"series"`` or ``"table"``.
    names : of what is shown.
    noisy, cleaned, clean : arrays (*axes, channels), scaled; pictures from black 0 to white 1.
    details : names and values.
    """

    title: str
    about: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    best: str
    fitted: str
    kind: str
    names: list[str]
    noisy: Sequence[np.ndarray]
    cleaned: Sequence[np.ndarray]
    clean: Sequence[np.ndarray]
    details: list[tuple[str, str]]


def write(path: str | os.PathLike[str], data: Cleaned) -> None:
    """Write the page to ``path``, whole or not at all."""
    frame.write(path, render(data))


def render(data: Cleaned) -> str:
    """The whole page as text."""
    parts = [
        section("beside", "Beside what needs no learning", paragraph(f"{data.best} {data.fitted}"),
                table(data.heads, data.rows, "The higher the better, but for flicker.")),
        {"images": pictures, "video": frames, "series": lines}.get(data.kind, lambda _: "")(data),
        section("details", "How it was made", "<details><summary>Network and settings</summary>\n"
                f"{table(('name', 'value'), data.details, 'Details', words=(0, 1))}</details>"),
    ]  # fmt: skip
    return frame.page(data.title, "denoiser report", data.about, parts, look=LOOK)


def pictures(data: Cleaned) -> str:
    """Every picture three times: noisy, cleaned, clean."""
    return strip(data, data.noisy, data.cleaned, data.clean)


def frames(data: Cleaned) -> str:
    """Of every clip the frame in its middle."""
    return strip(data, *([clip[len(clip) // 2] for clip in part] for part in (data.noisy, data.cleaned, data.clean)))


def strip(data: Cleaned, *parts: Sequence[np.ndarray]) -> str:
    items = []
    for name, *three in zip(data.names, *parts, strict=True):
        words = [f"{name}, {state}" for state in ("noisy", "cleaned", "clean")]
        shown = (
            figure(picture(plots.picture(seen(image), 0.0, 1.0), said), said)
            for image, said in zip(three, words, strict=True)
        )
        items.append(f"<li>{''.join(shown)}</li>")
    small = " small" if max(parts[0][0].shape[:2]) < plots.SIDE // 2 else ""
    return section("pictures", "Before and after", f'<ul class="triples{small}">{"".join(items)}</ul>')


def seen(image: np.ndarray) -> np.ndarray:
    """The middle of a picture, no larger than is shown pixel by pixel, or the noise would be averaged away; and of its
    channels those that can be shown, one or three."""
    height, width = image.shape[:2]
    top, left = (max(0, (side - plots.SIDE) // 2) for side in (height, width))
    middle = image[top : top + plots.SIDE, left : left + plots.SIDE]
    return middle[..., :3] if image.shape[-1] >= 3 else middle[..., 0]


def lines(data: Cleaned) -> str:
    """The first channel of every series; of long ones the first steps."""
    drawn = []
    for name, noisy, cleaned, clean in zip(data.names, data.noisy, data.cleaned, data.clean, strict=True):
        steps = min(len(clean), 400)
        drawn.append(figure(curve({"noisy": noisy[:steps], "clean": clean[:steps], "cleaned": cleaned[:steps]}), name))
    return section("series", "Before and after", f'<div class="plots">{"".join(drawn)}</div>')


def curve(parts: dict[str, np.ndarray]) -> str:
    """One series over its steps: the noisy one faint, the cleaned one on top."""
    with plots.drawing() as sheet:
        colours, widths = (plots.GROUPS[7], plots.FIRST, plots.SECOND), (0.8, 1.6, 1.6)
        for (name, values), colour, width in zip(parts.items(), colours, widths, strict=True):
            sheet.axes.plot(values[:, 0], color=colour, linewidth=width, label=sheet.text(name, 16))
        sheet.axes.set(xlabel="step", ylabel="standard deviations")
        sheet.figure.legend(loc="outside upper right", ncols=3)
        return sheet.svg("noisy, clean and cleaned over the steps")
