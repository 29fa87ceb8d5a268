"""Bent scales for skewed columns: a signed logarithm, and a map through quantiles to normal scores.

Both are strictly increasing on all of the real line, so that every number has one scaled value and comes back from it,
and both end in mean 0 and standard deviation 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from isthmus.errors import FileFormatError

WARPED = ("log", "quantile")
"""The scalings that bend a column's scale."""

MOST_KNOTS = 256
"""Straight pieces of a map through quantiles, and one more; a power of two, for the search that halves."""

MOST_LEVELS = 176
"""Evenly spread quantiles among the knots; the tails and the neighbours of atoms take up to 80 more."""

ATOM = 0.05
"""A value that fills this share of the cells has knots at the values next to it, so that it bends nothing else."""

STEEPEST = 1e8
"""Knots closer than 1 / STEEPEST of the spread of the values are one: no piece of the map is nearly upright."""

FARTHEST = 1e15
"""Numbers further than this from the centre of a logarithm, in its spreads, are nothing to calculate with."""

STATE = ("log_maps", "knots_at", "knots_to", "knots_begin", "knots_end", "knots_unit")
"""The names of the arrays that the maps are kept as."""

WORTH = 0.02
"""Nats per cell that an end of the range must gain as the centre of a logarithm."""

FIT_CELLS = 5_000
"""Cells that choose the centre and spread of a logarithm."""


@dataclass(frozen=True)
class Logarithms:
    """Signed logarithms, one per column: ``(sign(u) log1p(|u|) - mean) / deviation``, ``u = (x - centre) / spread``.

    Straight within about one spread of the centre, and the logarithm beyond.

    Parameters
    ----------
    maps : (columns, 4) float64: centre, spread, mean and deviation.

    Examples
    --------
    >>> column = Logarithms(np.array([[0.0, 1.0, 0.0, 1.0]]))
    >>> column.forward(torch.tensor([[0.0], [1.0], [-1.0]], dtype=torch.float64)).flatten().tolist()
    [0.0, 0.6931471805599453, -0.6931471805599453]
    """

    maps: np.ndarray

    def forward(self, raw: Tensor) -> Tensor:
        """(n, columns) of raw numbers, scaled; what is absurdly far away becomes infinite, and NaN stays NaN."""
        _, _, mean, deviation = self._maps
        away = self.away(raw)
        bent = away.sign() * away.abs().log1p()
        bent = torch.where(away.abs() > FARTHEST, away.sign() * torch.inf, bent)
        return (bent - mean) / deviation

    def inverse(self, scaled: Tensor) -> Tensor:
        """(n, columns) of scaled numbers, raw; never further away than what `forward` takes."""
        centre, spread, mean, deviation = self._maps
        bent = (scaled * deviation + mean).clamp(-np.log(FARTHEST), np.log(FARTHEST))
        return centre + spread * bent.sign() * bent.abs().expm1()

    def log_slope(self, scaled: Tensor) -> Tensor:
        """(n, columns) log(d raw / d scaled), from d raw / d bent = spread exp(|bent|)."""
        _, spread, mean, deviation = self._maps
        return (spread * deviation).log() + (scaled * deviation + mean).abs()

    def away(self, raw: Tensor) -> Tensor:
        """(n, columns) distances from the centre, in spreads."""
        return (raw - self._maps[0]) / self._maps[1]

    @cached_property
    def _maps(self) -> tuple[Tensor, ...]:
        return torch.from_numpy(self.maps.copy()).unbind(1)


@dataclass(frozen=True)
class Quantiles:
    """Piecewise linear maps, one per column, through points (quantile, normal score).

    Beyond the outermost points the outermost pieces go on, so that no number is lost. An atom, a value that many cells
    hold, takes up a whole stretch of scores: it is scaled to its own score, near the middle, and every score of the
    stretch is brought back to it. So scores drawn from a normal distribution give the atom as often as it was seen.

    Parameters
    ----------
    at, to : (columns, knots) float64, ascending: the points; where a column has fewer, infinity fills both up.
    begin, end : (columns, knots), begin <= to <= end: the stretch of scores that each knot takes up.
    unit : (columns,) what a standard deviation of the normal scores is in scaled units: more than 1 with atoms, whose
        cells are all at one place.

    Examples
    --------
    >>> at, to = np.array([[0.0, 1.0, 10.0]]), np.array([[-1.0, 0.0, 1.0]])
    >>> column = Quantiles(at, to, to, to, np.ones(1))
    >>> column.forward(torch.tensor([[0.5], [1.0], [19.0]], dtype=torch.float64)).flatten().tolist()
    [-0.5, 0.0, 2.0]
    """

    at: np.ndarray
    to: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    unit: np.ndarray

    def forward(self, raw: Tensor) -> Tensor:
        """(n, columns) of raw numbers, scaled; NaN stays NaN, and infinity infinity."""
        at, to, slope = self._points
        values = raw.T.contiguous()
        piece = self._piece(values, at)
        left, low, high, share = self._between(values, piece, at, at)
        inner = low + share * (high - low)
        outer = to.gather(1, piece) + (values - left) * slope.gather(1, piece)
        # On a knot, and beyond the outermost, the points count; between two, what their stretches leave.
        return torch.where((share > 0) & (share < 1), inner, outer).T

    def inverse(self, scaled: Tensor) -> Tensor:
        """(n, columns) of scaled numbers, raw, however far from what was seen."""
        at, to, slope = self._points
        values = scaled.T.contiguous()
        piece = self._piece(values, to)
        left, low, high, share = self._between(values, piece, to, at)
        across = at.gather(1, piece + 1) - left
        inner = left + ((values - low) / (high - low)).clamp(0, 1) * across
        outer = left + (values - to.gather(1, piece)) / slope.gather(1, piece)
        return torch.where((share > 0) & (share < 1), inner, outer).T

    def _between(
        self, values: Tensor, piece: Tensor, along: Tensor, at: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of the piece that each value lies on: its first knot, where the stretch of that ends and that of the next
        begins, and how far along the piece the value is."""
        begin, end = self._stretches
        first = along.gather(1, piece)
        share = (values - first) / (along.gather(1, piece + 1) - first)
        return at.gather(1, piece), end.gather(1, piece), begin.gather(1, piece + 1), share

    def away(self, raw: Tensor) -> Tensor:
        """(n, columns) distances from the middle: the normal scores."""
        return self.forward(raw)

    def log_slope(self, scaled: Tensor) -> Tensor:
        """(n, columns) log(d raw / d scaled) of the piece that a number lies on; of a knot and its stretch, of the line
        from it to the one above, as if it were no atom."""
        at, to, slope = self._points
        values = scaled.T.contiguous()
        piece = self._piece(values, to)
        left, low, high, share = self._between(values, piece, to, at)
        rise = (high - low) / (at.gather(1, piece + 1) - left)
        inside = (values > low) & (values < high) & (share > 0) & (share < 1)
        return -torch.where(inside, rise, slope.gather(1, piece)).log().T

    def _piece(self, values: Tensor, at: Tensor) -> Tensor:
        """(columns, n) which piece each of (columns, n) values lies on, by halving without a branch: three times as
        fast as a search that the processor must guess the turns of."""
        sought, knots = values.numpy(), np.full((len(at), MOST_KNOTS), np.inf)
        knots[:, : at.shape[1]] = at.numpy()
        flat, first = knots.ravel(), np.arange(0, knots.size, MOST_KNOTS)[:, None]
        place = np.broadcast_to(first, sought.shape).copy()
        step = MOST_KNOTS // 2
        while step:
            place += (flat[place + step] <= sought) * step
            step //= 2
        return torch.from_numpy(np.minimum(place - first, self._last))

    @cached_property
    def _points(self) -> tuple[Tensor, Tensor, Tensor]:
        """The points, and d scaled / d raw of the pieces between them."""
        at, to = torch.from_numpy(self.at.copy()), torch.from_numpy(self.to.copy())
        return at, to, to.diff() / at.diff()

    @cached_property
    def _stretches(self) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self.begin.copy()), torch.from_numpy(self.end.copy())

    @cached_property
    def _last(self) -> np.ndarray:
        """(columns, 1) the number of each column's last piece."""
        return np.isfinite(self.at).sum(axis=1, keepdims=True) - 2


@dataclass(frozen=True)
class Warps:
    """The bent columns of a table, and their maps.

    Parameters
    ----------
    log, quantile : where in a row those columns are, ascending.
    logarithms, quantiles : their maps, in the same order.
    """

    log: np.ndarray
    quantile: np.ndarray
    logarithms: Logarithms
    quantiles: Quantiles

    @classmethod
    def fit(cls, columns: Mapping[int, tuple[str, np.ndarray]]) -> Warps:
        """The maps that fit some columns: for each its ``"log"`` or ``"quantile"`` and its known values, not all equal.

        >>> values = np.array([0.0, 0.0, 1.0, 2.0, 40.0])
        >>> warps = Warps.fit({3: ("log", values), 5: ("quantile", values)})
        >>> warps.log, warps.quantile, warps.quantiles.at
        (array([3]), array([5]), array([[ 0.,  1.,  2., 40.]]))
        """
        log, quantile = (
            np.array(sorted(i for i, (mode, _) in columns.items() if mode == kind), dtype=np.int64) for kind in WARPED
        )
        maps = np.array([fit_logarithm(columns[i][1]) for i in log]).reshape(-1, 4)
        points = [fit_quantiles(columns[i][1]) for i in quantile]
        knots = np.full((4, len(points), max((len(own[0]) for own in points), default=0)), np.inf)
        for i, own in enumerate(points):
            for array, values in zip(knots, own[:4], strict=True):
                array[i, : len(values)] = values
        at, to, begin, end = knots
        unit = np.array([own[4] for own in points])
        return cls(log, quantile, Logarithms(maps), Quantiles(at, to, begin, end, unit))

    @property
    def columns(self) -> np.ndarray:
        """Where in a row the bent columns are."""
        return np.concatenate([self.log, self.quantile])

    def forward(self, raw: np.ndarray) -> Tensor:
        """(n, bent columns) float64 of rows (n, features) in the user's units, ordered as `columns`."""
        # Chosen before they become a tensor: PyTorch knows neither read-only arrays nor other byte orders.
        log, quantile = (torch.from_numpy(raw[:, here].astype(np.float64)) for here in (self.log, self.quantile))
        return self._joined(log, quantile, "forward")

    def away(self, raw: np.ndarray) -> Tensor:
        """(n, bent columns) float64: how far rows (n, features) are from the middle, in what is called their scale."""
        return self._joined(*self._own(torch.from_numpy(raw)), "away")

    def inverse(self, x: Tensor) -> Tensor:
        """(n, bent columns) float64 in the user's units, of scaled rows (n, features)."""
        return self._joined(*self._own(x), "inverse")

    def log_slope(self, x: Tensor) -> Tensor:
        """(n, bent columns) float64 log(d raw / d scaled), of scaled rows (n, features)."""
        return self._joined(*self._own(x), "log_slope")

    def state(self) -> dict[str, np.ndarray]:
        """The maps as named arrays; which columns they are of, the modes of the scaling say."""
        knots = self.quantiles
        arrays = (self.logarithms.maps, knots.at, knots.to, knots.begin, knots.end, knots.unit)
        return dict(zip(STATE, arrays, strict=True))

    @classmethod
    def restore(cls, log: np.ndarray, quantile: np.ndarray, tensors: Mapping[str, np.ndarray]) -> Warps:
        """The maps that `state` described, of columns at these places."""
        try:
            maps, at, to, begin, end, unit = (np.asarray(tensors[name], dtype=np.float64) for name in STATE)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"the description of the scaling is damaged ({error})") from error
        fits = maps.shape == (len(log), 4) and at.ndim == 2 and at.shape == to.shape and len(at) == len(quantile)
        if not (fits and np.isfinite(maps).all() and (maps[:, [1, 3]] > 0).all() and climbs(at) and climbs(to)):
            raise FileFormatError("the description of the scaling is damaged")
        alike = begin.shape == end.shape == at.shape and unit.shape == at.shape[:1]
        if not alike or not ((begin <= to) & (to <= end)).all() or not (unit > 0).all():
            raise FileFormatError("the description of the scaling is damaged")
        return cls(log, quantile, Logarithms(maps), Quantiles(at, to, begin, end, unit))

    def _own(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().cpu().double()
        return x[:, self.log], x[:, self.quantile]

    def _joined(self, log: Tensor, quantile: Tensor, what: str) -> Tensor:
        made = [getattr(self.logarithms, what)(log)] if len(self.log) else []
        made += [getattr(self.quantiles, what)(quantile)] if len(self.quantile) else []
        return torch.cat(made, 1)


def climbs(knots: np.ndarray) -> bool:
    """Whether every row holds two numbers and more that ascend, then infinity alone, and no more than agreed."""
    finite = np.isfinite(knots)
    strange = np.isnan(knots) | (knots == -np.inf)
    if knots.shape[1] > MOST_KNOTS or strange.any() or (finite.sum(axis=1) < 2).any():
        return False
    return bool(((knots[:, 1:] > knots[:, :-1]) | ~finite[:, 1:]).all() and (finite[:, :-1] >= finite[:, 1:]).all())


def fit_logarithm(values: np.ndarray) -> np.ndarray:
    """Centre, spread, mean and deviation of the signed logarithm after which known values are most nearly normal.

    The centre is 0 (the median, where values lie on both sides of 0), or, if clearly better, an end of the range; the
    spread is a quantile of the distances from it. Of these the pair with the greatest normal likelihood is taken,

        -log(deviation) - mean of log(spread + |x - centre|),

    in which atoms, and cells at the centre itself, have no say: a column of many zeros would ask for a spread of 0.

    Parameters
    ----------
    values : (n,) finite, not all equal.

    References
    ----------
    Box and Cox, "An analysis of transformations", 1964: the likelihood of a transformation with its slope.
    """
    some = without_atoms(values[:: -(-len(values) // FIT_CELLS)])
    low, high = float(values.min()), float(values.max())
    middle = 0.0 if low >= 0 or high <= 0 else float(np.median(some))
    best, likeliest = (middle, (high - low) / 2), -np.inf
    for centre in dict.fromkeys((middle, low, high)):
        away = some - centre
        far = np.abs(away[away != 0])
        if len(far) < 2:
            continue
        # No observed value may be as far away as what is refused.
        least = (high - low) * 100 / FARTHEST
        for spread in np.unique(np.maximum(np.quantile(far, (0.001, 0.01, 0.05, 0.2, 0.5, 0.9)), least)):
            deviation = bent(away[away != 0] / spread).std()
            likely = -np.log(deviation) - np.log(spread + far).mean() if deviation > 0 else -np.inf
            if likely > likeliest + (WORTH if centre != best[0] else 0.0):
                best, likeliest = (centre, float(spread)), likely
    straight = bent((values - best[0]) / best[1])
    return np.array([*best, straight.mean(), straight.std()])


def without_atoms(values: np.ndarray) -> np.ndarray:
    """The cells whose value is no atom; all of them where fewer than three would be left.

    >>> without_atoms(np.array([0.0] * 90 + [float(i) for i in range(10)]))[:3]
    array([1., 2., 3.])
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    free = values[(counts < ATOM * len(values))[place]]
    return free if len(np.unique(free)) > 2 else values


def bent(away: np.ndarray) -> np.ndarray:
    """sign(u) log1p(|u|)."""
    return np.sign(away) * np.log1p(np.abs(away))


def fit_quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """The points (quantile, normal score) of a map through the quantiles of known values, at most `MOST_KNOTS`,
    where the stretches of scores begin and end that they take up, and the unit (see `Quantiles`).

    The score of a value is the mean of a standard normal variable between the quantiles of the share of cells that are
    lower, and of those that are lower or equal: an atom (a value that many cells hold) has one score, the mean of those
    that it takes up. So scores have mean 0, and a variance that is less than 1 by what varies within atoms. Pieces are
    about as many as the square root of the number of values outside atoms, so that each rests on as many of them.

    Parameters
    ----------
    values : (n,) finite, not all equal.
    """
    distinct, counts = np.unique(values, return_counts=True)
    upto, share = np.cumsum(counts) / len(values), counts / len(values)
    knots = thinned(distinct, counts, chosen_knots(counts))
    density = np.exp(-0.5 * ndtri(np.concatenate([[0.0], upto[:-1], [1.0]])) ** 2) / math.sqrt(2 * math.pi)
    at, to = distinct[knots], ((density[:-1] - density[1:]) / share)[knots]
    # Nearly all of an atom's stretch: a little is left to what may lie between it and its neighbours.
    middle, reach = (upto - share / 2)[knots], 0.495 * share[knots]
    begin, end = (np.where(share[knots] >= ATOM, ndtri(middle + side * reach), to) for side in (-1, 1))
    # Beyond the outermost knots their pieces go on, as if they were no atoms.
    begin[0], end[-1] = to[0], to[-1]
    reached = np.interp(values, at, to)
    mean, spread = reached.mean(), reached.std()
    scaled, begins, ends = ((scores - mean) / spread for scores in (to, begin, end))
    return at, scaled, begins, ends, float(1 / spread)


def chosen_knots(counts: np.ndarray) -> np.ndarray:
    """Which of the distinct values are knots: evenly spread quantiles, tails by halves, both ends, and atoms with their
    neighbours."""
    is_atom = counts >= ATOM * counts.sum()
    # Atoms are knots already: were they counted, a column of nine zeros in ten would have one knot in ten for the rest.
    upto = np.cumsum(np.where(is_atom, 0, counts))
    cells = int(upto[-1])
    levels = int(np.clip(np.sqrt(cells), 8, MOST_LEVELS))
    if len(counts) <= levels:
        return np.arange(len(counts))
    tail = 0.5 / levels / 2.0 ** np.arange(1, 12)
    tail = tail[tail * cells >= 8]
    shares = np.concatenate([tail, (np.arange(levels) + 0.5) / levels, 1 - tail])
    atoms, last = np.flatnonzero(is_atom), len(counts) - 1
    every = np.concatenate([np.searchsorted(upto, shares * cells), atoms - 1, atoms, atoms + 1, [0, last]])
    return np.unique(np.clip(every, 0, last))


def thinned(distinct: np.ndarray, counts: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The knots without those that are almost where another is; of two, the one that more cells hold stays."""
    lower, upper = np.quantile(distinct, (0.25, 0.75))
    least = (upper - lower) / STEEPEST
    kept = [int(knots[0])]
    for knot in knots[1:].tolist():
        if distinct[knot] - distinct[kept[-1]] > least:
            kept.append(knot)
        elif counts[knot] > counts[kept[-1]]:
            kept[-1] = knot
    return np.array(kept)
