"""Drawings of what lies between codes, on given axes: where what is decoded is off the data, or does not come back."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from isthmus.diagnostics.plane import Holes
from isthmus.report.figures import shown
from isthmus.report.latent_map import Look, bare, frame_map

WORST = 4.0
"""Holes are in full colour where they are four times what is usual, and without any at half of it: see `shade_bar`."""
HOLE = LinearSegmentedColormap.from_list("hole", [(0.89, 0.42, 0.07, 0.0), (0.89, 0.42, 0.07, 1.0)])
PACE = LinearSegmentedColormap.from_list("pace", [(0.18, 0.45, 0.82, 0.0), (0.18, 0.45, 0.82, 1.0)])
"""From clear to orange, for what is bad, and to blue, for what is only more: on paper of any colour."""
PANELS = (
    ("completeness", "away", "Does it lie on the data?", "distance to the nearest row, over that of rebuilt rows"),
    ("return", "back", "Does it come back?", "from a point to the code of what it decodes to, over that of rows"),
    ("continuity", "jump", "Does it change in small steps?", "change per step between codes, over that between rows"),
)
"""What is asked of each point of the grid: its name, where `Holes` holds the answer, and words."""


def paint_holes(
    axes: Axes, found: Holes, panel: int, names: tuple[str, str], look: Look = Look(), scale: str | None = None
) -> None:
    """One answer over the grid, shaded where it is bad; a line is drawn at 1, and rows are dots; ``scale`` names
    the scale of the shading, None = in the panel's own words."""
    _, attribute, title, words = PANELS[panel]
    values = getattr(found, attribute)
    box = box_of_grid(found)
    half = ((box[1] - box[0]) / (2 * (len(found.across) - 1)), (box[3] - box[2]) / (2 * (len(found.up) - 1)))
    ends, shade = (shade_ends(values[found.among]), PACE) if attribute == "jump" else ((1 / 2, WORST), HOLE)
    axes.imshow(
        np.nan_to_num(values, nan=ends[0]).clip(1e-9, 1e9), origin="lower", aspect="auto", interpolation="none",
        cmap=shade, norm=LogNorm(*ends, clip=True),
        extent=(box[0] - half[0], box[1] + half[0], box[2] - half[1], box[3] + half[1]),
    )  # fmt: skip
    axes.plot(
        *found.points.T, linestyle="none", marker="o", markersize=1.3, markeredgewidth=0, color=look.ink, alpha=0.45
    )
    if np.nanmin(values) < 1 < np.nanmax(values):
        axes.contour(found.across, found.up, values, levels=[1.0], colors=[look.ink], linewidths=1.1)
    frame_map(axes, box, names)
    axes.grid(False)
    share = found.share(values)
    axes.set_title(
        f"{title}\nyes at {share:.0%} of the places among codes" if np.isfinite(share) else title, loc="left"
    )
    shade_bar(axes, ends, shade, words if scale is None else scale, look)


def shade_ends(values: np.ndarray) -> tuple[float, float]:
    """Where the shading of steps begins and ends: few reach the limit, and where they are longest is worth seeing.

    >>> shade_ends(np.array([0.1, 0.1, 0.1]))
    (0.05, 0.2)
    """
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (float(end) for end in np.percentile(values, [5, 99])) if len(values) else (0.5, 2.0)
    return (low, high) if high > 2 * low else (low / 2, 2 * low)


def shade_bar(axes: Axes, ends: tuple[float, float], shade: LinearSegmentedColormap, words: str, look: Look) -> None:
    """The logarithmic scale of the shading under the axes, with a line at 1."""
    inset = axes.inset_axes((0.0, -0.25, 1.0, 0.03))
    low, high = np.log(ends[0]), np.log(ends[1])
    inset.imshow(
        np.linspace(0, 1, 256)[None], aspect="auto", cmap=shade, extent=(low, high, 0, 1), interpolation="none"
    )
    ticks = np.linspace(low, high, 4)
    inset.set(xlim=(low, high), yticks=[])
    inset.set_xticks(ticks, [shown(float(tick), 2) for tick in np.exp(ticks)])
    inset.set_xlabel(words, fontsize="small")
    if low < 0 < high:
        inset.axvline(0, color=look.ink, linewidth=1.1)
    bare(inset)


def box_of_grid(found: Holes) -> tuple[float, float, float, float]:
    return float(found.across[0]), float(found.across[-1]), float(found.up[0]), float(found.up[-1])
