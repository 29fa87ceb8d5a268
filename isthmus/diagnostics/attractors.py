"""Does the model keep its training rows as memories? Its map, iterated, then flows from anywhere to single rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.diagnostics.probe import Probe, spaced, structureless
from isthmus.verdicts import INAPPLICABLE, Verdict, percent

STARTS, TIMES, COMPARED = 32, 100, 500
"""Starting points of each of two sorts; how often the map is applied at most; rows whose neighbours are measured."""
AT_REST, AT_A_ROW = 1e-3, 0.1
"""Shares of the median distance between nearest rows: a point that moves less is at rest, one that ends nearer to a
row has fallen into it."""
ATTRACTED_NOTE, ATTRACTED_BAD, DIFFERENT = 0.1, 0.5, 3
"""The share of starting points that end at a row: worth a note, and bad; by chance a flow ends near one row or two,
not at so many different ones."""


@dataclass(frozen=True)
class Attraction:
    """Where ``starts`` points end: the shares of them ``at_rest`` and ``at_rows``, and how many different ``ends``
    and ``rows`` these are. Each is NaN or 0 where nothing could be measured; ``why`` then says the reason."""

    starts: int = 0
    at_rest: float = float("nan")
    at_rows: float = float("nan")
    ends: int = 0
    rows: int = 0
    why: str = ""


def attraction(probe: Probe) -> Attraction:
    """Iterate r(r(r(x))) from noise and from halfway points between rows, and see where it ends."""
    if probe.unlike_numbers:
        return Attraction(why=f"{probe.unlike_numbers}, between which there is nothing")
    probe = probe.complete
    flat = probe.flat
    if not len(flat):
        return Attraction(why="every row has a missing cell")
    distinct = different(flat)
    if len(distinct) < 2 or flat.shape[1] < 2:
        return Attraction(why="the rows given do not vary" if len(distinct) < 2 else "there is one column")
    if len(distinct) < 0.9 * len(flat):
        return Attraction(why="many rows are equal, so that ending at one of them proves nothing")
    near = nearest(distinct[spaced(len(distinct), COMPARED)], distinct, skip_itself=True)[0].median()
    points, origin = starting_points(probe)
    moved = torch.full((len(points),), float("inf"))
    for _ in range(TIMES):
        following = probe.rebuilt(points, origin).to(flat)
        moved = (following - points).norm(dim=1)
        points = following
        if bool((moved < AT_REST * near).all()):
            break
    rests = moved < AT_REST * near
    distance, row = nearest(points, flat)
    fallen = distance < AT_A_ROW * near
    return Attraction(
        len(points),
        float(rests.double().mean()),
        float(fallen.double().mean()),
        apart(points[rests], float(AT_A_ROW * near)),
        len(row[fallen].unique()),
    )


def different(flat: Tensor) -> Tensor:
    """The rows without those that equal an earlier one, found by a random sum of their cells, as sorting is slow."""
    weights = torch.randn(flat.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, same = (flat.double().cpu() @ weights).unique(return_inverse=True)
    first = torch.full((int(same.max()) + 1,), len(flat)).scatter_reduce(0, same, torch.arange(len(flat)), "amin")
    return flat[first.sort().values.to(flat.device)]


def starting_points(probe: Probe) -> tuple[Tensor, Tensor]:
    """Noise in the columns' ranges, and middles of pairs of rows; and the rows whose conditions they get."""
    flat = probe.flat
    rows = spaced(len(flat), STARTS).to(flat.device)
    noise = structureless(flat, probe.layout)[1][rows]
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randint(len(flat), (STARTS,), generator=generator).to(flat.device) for _ in range(2))
    second = torch.where(first == second, (second + 1) % len(flat), second)
    return torch.cat([noise, (flat[first] + flat[second]) / 2]), torch.cat([rows, first])


def nearest(points: Tensor, rows: Tensor, *, skip_itself: bool = False) -> tuple[Tensor, Tensor]:
    """The distance (m,) of every point to its nearest row, or its nearest but one, and that row's number."""
    found = torch.cdist(points.float(), rows.float()).topk(2 if skip_itself else 1, largest=False)
    return found.values[:, -1], found.indices[:, -1]


def apart(points: Tensor, distance: float) -> int:
    """How many of the points are further than ``distance`` from every earlier one that was counted."""
    counted: list[Tensor] = []
    for point in points:
        if all(float((point - other).norm()) > distance for other in counted):
            counted.append(point)
    return len(counted)


def attractors_verdict(found: Attraction, rows: int) -> Verdict:
    """Rows that the iterated map flows to are memories (Radhakrishnan et al. 2018, Memorization in overparameterized
    autoencoders)."""
    name = "attractors"
    if found.why:
        return Verdict(name, "good", f"{INAPPLICABLE}: {found.why}.", float("nan"))
    sentence = (
        f"Applied again and again to noise and to middles of two rows ({found.starts} starts), the model ends at one "
        f"of the {rows:,} rows given in {percent(found.at_rows)} of the cases"
    )
    ends = f"{found.ends} different place{'' if found.ends == 1 else 's'}"
    rest = f"{percent(found.at_rest)} come to rest, at {ends}" if found.ends else "none comes to rest"
    if found.at_rows < ATTRACTED_NOTE or found.rows < min(DIFFERENT, rows):
        return Verdict(name, "good", f"{sentence} ({rest}).", found.at_rows)
    sentence = f"{sentence}, {found.rows} different ones: it holds them as memories, to which whatever is near flows."
    level = "bad" if found.at_rows >= ATTRACTED_BAD else "note"
    return Verdict(
        name, level, sentence, found.at_rows, "more rows, a smaller network or code, fewer epochs, or 'denoising'."
    )
