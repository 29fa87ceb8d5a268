"""A plane through the codes: how they look in two dimensions, which units say most, and where there is nothing between
codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.diagnostics.attractors import nearest
from isthmus.diagnostics.collapse import ACTIVE, random_code
from isthmus.diagnostics.latent import FEWEST, POOL, WITHIN, at_once
from isthmus.diagnostics.probe import Probe, spaced
from isthmus.diagnostics.restraint import restraint
from isthmus.diagnostics.usage import influence, unused_units
from isthmus.errors import InputError, MissingExtraError

FINEST, COARSEST = 31, 5
"""The most and the fewest points along each side of the grid on which holes are looked for."""
MARGIN = 0.05
"""How far beyond the rows' codes the map goes, as a share of their range."""
DOTS = 600
"""Rows that are shown on the grid."""
NEAR = 1.5
"""A point of the grid lies among the codes where one is within 1.5 of the grid's steps."""


@dataclass(frozen=True)
class Plane:
    """A plane in the space of codes: ``middle`` (size,), and ``directions`` (2, size), orthonormal. ``own`` says that
    the code itself has two units; ``shares`` (2,) are the directions' of the codes' variance.

    >>> plane = plane_of(np.array([[0.0, 0, 0], [4, 0, 0], [0, 2, 0], [4, 2, 0]]))
    >>> plane.flat(np.array([[3.0, 1, 5]])), plane.lift(np.array([[1.0, 0]])), plane.shares
    (array([[1., 0.]]), array([[3., 1., 0.]]), array([0.8, 0.2]))
    """

    middle: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    own: bool = False

    def flat(self, codes: np.ndarray) -> np.ndarray:
        """(n, 2): where codes (n, size) lie on the plane, in the codes' own units."""
        return (codes - self.middle) @ self.directions.T

    def lift(self, points: np.ndarray) -> np.ndarray:
        """(m, size): the codes that points (m, 2) of the plane are."""
        return self.middle + points @ self.directions

    @property
    def axes(self) -> tuple[str, str]:
        """What the plane's directions are, in words."""
        if self.own:
            return "code unit 0", "code unit 1"
        first, second = self.shares
        return f"component 1 ({first:.0%} of the codes' variance)", f"component 2 ({second:.0%})"


def plane_of(codes: np.ndarray, *, own: bool | None = None) -> Plane:
    """The plane of the two directions in which codes (n, size >= 2) vary most; of two units the plane that they are.

    ``own`` False is for principal components of a code of two units, too.
    """
    size = codes.shape[1]
    centred = codes - codes.mean(axis=0)
    total = max(float(np.square(centred).sum()), np.finfo(np.float64).tiny)
    if own or (own is None and size == 2):
        return Plane(np.zeros(2), np.eye(2), np.square(centred).sum(axis=0) / total, own=True)
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, [-1, -2]].T
    # A sign that does not depend on the linear algebra library: the largest entry of each is positive.
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.where(directions[[0, 1], largest] < 0, -1, 1)[:, None]
    return Plane(codes.mean(axis=0), directions, variances[[-1, -2]].clip(min=0) / total)


def umap_points(codes: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2): codes laid out by UMAP, which keeps neighbours and no distances, and knows no way back.

    Raises
    ------
    MissingExtraError : the package umap-learn is not installed. InputError : there are fewer than 5 codes.

    References
    ----------
    McInnes, Healy & Melville 2018, UMAP: uniform manifold approximation and projection for dimension reduction.
    """
    if len(codes) < 5:
        raise InputError(f"way='umap' needs at least 5 rows; got {len(codes)}. Use way='pca'")
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("umap-learn", "umap", "A map by UMAP") from error
    # One job, as a fixed seed allows no more: asked for so, UMAP does not warn of it.
    made = UMAP(n_components=2, n_neighbors=min(15, len(codes) - 1), random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(codes), dtype=np.float64)


def box_of(points: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of the map of points (n, 2), with a margin; never without width.

    >>> box_of(np.array([[0.0, 5.0], [10.0, 5.0]]))
    (-0.5, 10.5, 4.5, 5.5)
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 0)
    margin = np.where(span > 0, MARGIN * span, max(MARGIN * float(span.max()), 1e-6))
    left, bottom, right, top = (float(end) for end in (*(low - margin), *(high + margin)))
    return left, right, bottom, top


@dataclass(frozen=True)
class Holes:
    """What lies between codes, on a grid over their plane; or the reason ``why`` there is nothing to tell.

    Attributes
    ----------
    across, up : (size,) the places of the grid's points along the map's two axes.
    points : (n, 2) some rows' codes on the plane.
    away : (size, size) completeness: the distance from what a point decodes to, to the nearest row, over that within
        which 95 % of the rebuilt rows have one. Above 1 the decoder makes what the data do not hold.
    back : (size, size) the distance from a point to the code of what it decodes to, over that within which 95 % of the
        rows' codes come back (at least that between nearest codes). Above 1, encoder and decoder disagree.
    jump : (size, size) continuity: how much what is decoded changes for a step as long as that between nearest codes,
        over the distance between nearest rows.
    among : (size, size) whether a code is near.
    """

    across: np.ndarray
    up: np.ndarray
    points: np.ndarray
    away: np.ndarray
    back: np.ndarray
    jump: np.ndarray
    among: np.ndarray
    why: str = ""

    def share(self, values: np.ndarray) -> float:
        """The share of the grid's points among codes whose value is at most 1."""
        return float((values[self.among] <= 1).mean()) if self.among.any() else float("nan")


def no_holes(why: str) -> Holes:
    none = np.zeros((0, 0))
    return Holes(np.zeros(0), np.zeros(0), np.zeros((0, 2)), none, none, none, none.astype(bool), why)


@torch.no_grad()
def holes(probe: Probe, codes: Tensor, plane: Plane, *, origin: int = 0, finest: int = FINEST) -> Holes:
    """Decode a grid over the plane of the ``codes`` (n, size) of the probe's rows, and see what comes.

    Points are decoded with what the row ``origin`` is given. Distances are those between rows as `Probe.points`.
    """
    if probe.composition.loss.support == "category":
        return no_holes("some columns are categories, between which there are no distances")
    if len(codes) < FEWEST:
        return no_holes(f"{len(codes)} rows are too few")
    size = int(np.clip(np.sqrt(at_once(probe)), COARSEST, finest))
    points = plane.flat(codes.double().cpu().numpy())
    left, right, bottom, top = box_of(points)
    across, up = np.linspace(left, right, size), np.linspace(bottom, top, size)
    places = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    grid = torch.from_numpy(plane.lift(places)).to(codes)
    own = torch.full((len(grid),), origin)
    made = probe.decoded(grid, own)
    rebuilt = probe.placed(made).float()
    # As in `completeness`: every other row is a place to be near to, the rest are those whose reconstructions compare.
    others = torch.arange(1, len(codes), 2)
    others = others[spaced(len(others), size * size)]
    back_from = probe.decoded(codes[others.to(codes.device)], others)
    rows = probe.points[::2].to(rebuilt)
    usual = nearest(probe.placed(back_from).to(rows), rows)[0]
    away = nearest(rebuilt, rows)[0] / torch.quantile(usual, WITHIN).clamp(min=1e-12)
    gap, apart = nearest_apart(codes), nearest_apart(probe.points)
    if not (gap > 0 and apart > 0):
        return no_holes("each row, or its code, has a double")
    astray = (probe.codes(back_from, others) - codes[others.to(codes.device)]).norm(dim=1)
    back = (probe.codes(made, own) - grid).norm(dim=1)
    back = back / torch.quantile(astray, WITHIN).clamp(min=gap)
    return Holes(
        across,
        up,
        points[spaced(len(points), DOTS).numpy()],
        away.double().cpu().numpy().reshape(size, size),
        back.double().cpu().numpy().reshape(size, size),
        jumps(rebuilt.reshape(size, size, -1), across, up, gap, apart),
        among(places, points, (across[1] - across[0], up[1] - up[0])).reshape(size, size),
    )


def nearest_apart(points: Tensor) -> float:
    """The median distance between nearest points, of those that have no double; NaN where all have."""
    found = nearest(points[spaced(len(points), POOL).to(points.device)], points, skip_itself=True)[0]
    found = found[found > 0]
    return float(found.median()) if len(found) else float("nan")


def jumps(made: Tensor, across: np.ndarray, up: np.ndarray, gap: float, apart: float) -> np.ndarray:
    """(size, size): the slope of what is decoded, ``made`` (size, size, dimensions), root mean square over the plane's
    directions, times ``gap`` over ``apart``."""
    along = torch.gradient(made, spacing=float(across[1] - across[0]), dim=1)[0].norm(dim=2)
    aloft = torch.gradient(made, spacing=float(up[1] - up[0]), dim=0)[0].norm(dim=2)
    slope = ((along.square() + aloft.square()) / 2).sqrt().double().cpu().numpy()
    return slope * gap / apart


def among(places: np.ndarray, points: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """(m,) whether one of the points (n, 2) is within `NEAR` steps of the grid of each place (m, 2)."""
    scaled = (torch.from_numpy(some / np.asarray(step)) for some in (places, points))
    return (nearest(*scaled)[0] <= NEAR).cpu().numpy()


@dataclass(frozen=True)
class Said:
    """What units of a code say, the most first: ``units`` (k,) their numbers, ``amount`` (k,) in ``measure``."""

    units: tuple[int, ...]
    amount: tuple[float, ...]
    measure: str


def said_by_units(probe: Probe, codes: Tensor) -> Said:
    """The units in use, by what they say: nats of divergence from the prior where the code is drawn, else the share of
    the rows' variance that moving the unit by its standard deviation changes."""
    zeroed = restraint(probe.composition).zeroed
    living = [unit for unit in range(codes.shape[1]) if unit not in zeroed]
    drawn = random_code(probe, living)
    if drawn is not None and drawn.divergences is not None and len(drawn.divergences) == len(living):
        found = {unit: float(nats) for unit, nats in zip(living, drawn.divergences, strict=True)}
        used = [unit for unit, spread in zip(living, drawn.variances, strict=True) if spread > ACTIVE]
        measure = "nats"
    else:
        unused = set(unused_units(probe, codes, living).units)
        used = [unit for unit in living if unit not in unused]
        variance = probe.variance if probe.variance > 0 else 1.0
        found = {unit: squares / variance for unit, squares in influence(probe, codes, used).items()}
        measure = "of the variance"
    order = sorted(used, key=lambda unit: -found[unit])
    return Said(tuple(order), tuple(found[unit] for unit in order), measure)
