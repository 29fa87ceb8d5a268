"""Which cells made a row odd: those which, taken out, leave the rest of the row ordinary.

A broken cell spoils what a model says of its neighbours, so that residuals smear: the largest ones need not be those of
the broken cells. Here cells are taken out together. Of a normal model with precision matrix P, a row that lies r from
the mean pays the squared Mahalanobis distance

    E(A) = r' P r - (P r)_A' (P_AA)^-1 (P r)_A

for the cells that are left when the cells A are taken out, whatever those hold; the reasons are the few cells A that
bring it down most. They are chosen one by one, and each is chosen anew given the others until none changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from scipy.stats import chi2
from torch import Tensor

from isthmus.checks import check_whole, counted, is_real
from isthmus.errors import InputError

LEAST_VARIANCE = 1e-3
"""Of a column, in scaled units, also where all others are known: a copy or a constant has no variance of its own, and a
cell that is off by a hair must not cost a million."""
NUMBERS = 4_000_000
"""So many float64 numbers are held at once: rows are taken in blocks."""
FILLING = 2_000_000_000
"""Multiplications in a step that fills gaps: of longer tables every second, third, ... row is taken for it."""
FILLED = 10
"""Such steps; each takes the gaps' share of what is still wrong."""
ROUNDS = 5
"""So often every named cell of a row is chosen anew, given the others; most rows stand still after one."""


class Reasons(NamedTuple):
    """What made rows odd, the most important cell of each row first.

    Attributes
    ----------
    columns : (n, most) int64, the named columns, -1 = none.
    expected : (n, most) float64, what is expected of each named cell given the cells that are not named; NaN = none.
    drop : (n, most) float64, what the row's squared distance (or cost) rises by when the cell is put back, 0 = none;
        of a `Conditional` the squared difference of the cell and its expected value over its conditional variance where
        only the cells not named are known.
    """

    columns: Tensor
    expected: Tensor
    drop: Tensor


class Model(Protocol):
    """What the search asks of a model, of k rows by their numbers (k,), of which the cells ``named`` (k, s; -1 = none)
    are taken out."""

    def gains(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, d) what each other cell would save if it were taken out too; what is said of named ones is not read."""

    def costs(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, s) what each named cell would cost if it were put back; what is said of -1 is not read."""


Enough = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``enough(rest, cells, best) -> (k,) bool``: whether a row is ordinary of which ``cells`` cells are left that pay
``rest`` together, and the next to be named would save ``best``."""
Saves = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``saves(rows, hidden, column) -> (k,)``: what the cell ``column`` (k,) of each of k rows costs, given the cells that
are known and not ``hidden`` (k, d), itself apart: in nats or squared distance above that of its likeliest value."""


@dataclass(frozen=True)
class Conditional:
    """A normal model of scaled columns: what is expected of any cells given any others.

    Attributes
    ----------
    mean : (d,) float64.
    covariance : (d, d) float64, positive definite.
    precision : (d, d) float64, its inverse.
    """

    mean: Tensor
    covariance: Tensor
    precision: Tensor

    @staticmethod
    def of(mean: Tensor, covariance: Tensor) -> Conditional:
        """The model with this mean (d,) and covariance (d, d)."""
        covariance = torch.as_tensor(covariance, dtype=torch.float64)
        return Conditional(torch.as_tensor(mean, dtype=torch.float64), covariance, inverse(covariance))

    @staticmethod
    def fitted(x: Tensor, weight: Tensor | None = None, trim: float = 0.0, steps: int = 5) -> Conditional:
        """The model of rows, their correlations shrunk as far as their number asks for.

        Columns are brought to variance 1, their correlations are drawn towards none by the share that Ledoit and Wolf's
        estimate asks for, and a thousandth of every variance is made the column's own. So there may be fewer rows than
        columns, copies of a column, and columns without variance.

        Parameters
        ----------
        x : (n, d) scaled rows; NaN = missing.
        weight : (n, d), 0 = missing; None = all are known.
        trim : share of rows, in [0, 0.5), that may be odd: those that lie farthest are left out of the fit.
        steps : how often the rows that lie farthest are chosen anew.

        Raises
        ------
        InputError
            Where there are no two rows.

        References
        ----------
        O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
        Multivariate Analysis 88, 2004. P. J. Rousseeuw and K. van Driessen, "A fast algorithm for the minimum
        covariance determinant estimator", Technometrics 41, 1999.

        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> x[:, 2] = x[:, 0] + x[:, 1]
        >>> Conditional.fitted(x).reasons(torch.tensor([[0.5, 0.5, 5.0]]), most=2).columns
        tensor([[ 2, -1]])
        """
        known = known_cells(x, weight)
        x = x.double()
        if len(x) < 2:
            raise InputError(f"x: a covariance takes two rows or more; got {counted(len(x), 'row')}")
        if not (is_real(trim) and 0 <= trim < 0.5):
            raise InputError(f"trim: the share of rows that may be odd must be in [0, 0.5); got {trim!r}")
        if not trim:
            return Conditional.of(*moments(x, known))
        kept = len(x) - int(trim * len(x))
        # The first choice is by each row's largest cell, in robust units: whole covariances are bent by what is odd.
        filled = torch.where(known, x, torch.nan)
        centre = filled.nanmedian(0).values
        spread = (filled - centre).abs().nanmedian(0).values.clamp(min=LEAST_VARIANCE**0.5)
        distance = ((filled - centre) / spread).abs().nan_to_num(0).amax(1)
        for _ in range(steps):
            near = distance.topk(kept, largest=False).indices
            mean, covariance = moments(x[near], known[near])
            model = Conditional.of(mean, covariance)
            distance = model.distances(x, known)
        # The rows that are left have less variance than all the ordinary ones: of normal rows, by this factor.
        size, share = x.shape[1], kept / len(x)
        return Conditional.of(mean, covariance * (share / chi2.cdf(chi2.ppf(share, size), size + 2)))

    def distances(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(n,) squared Mahalanobis distance of the known cells of each row of x (n, d)."""
        known = known_cells(x, weight, len(self.mean))
        found = torch.zeros(len(x), dtype=torch.float64)
        for rows in blocks(known, 1):
            found[rows] = self.marginal(x[rows], known[rows]).energy
        return found

    def reasons(self, x: Tensor, most: int = 3, weight: Tensor | None = None, rate: float = 0.05) -> Reasons:
        """The cells that made each row odd, each beside what is expected of it.

        At least one cell is named of every row that has any. More are named while the cells that are left are odd
        together, or any one of them is odd given the others, as fewer than ``rate`` of ordinary rows are.

        Parameters
        ----------
        x : (n, d) scaled rows; NaN = missing: never a reason, and not used to expect others.
        most : the most cells named of a row, >= 1.
        weight : (n, d), 0 = missing; None = all are known.
        rate : in [0, 1]; 0 names one cell, 1 always as many as ``most``.

        >>> model = Conditional.of(torch.zeros(3), torch.tensor([[1.0, 0.9, 0.9], [0.9, 1.0, 0.9], [0.9, 0.9, 1.0]]))
        >>> found = model.reasons(torch.tensor([[2.0, 2.0, -1.0]]), most=2)
        >>> found.columns, found.expected.round(decimals=2)
        (tensor([[ 2, -1]]), tensor([[1.8900,    nan]], dtype=torch.float64))
        """
        check_whole("reasons", most=most)
        if not (is_real(rate) and 0 <= rate <= 1):
            raise InputError(f"reasons: rate is a share of ordinary rows, in [0, 1]; got {rate!r}")
        known = known_cells(x, weight, len(self.mean))
        found = nothing_named(len(x), most)
        for rows in blocks(known, min(most, x.shape[1])):
            for whole, part in zip(found, self.reasons_of_block(x[rows], known[rows], most, rate), strict=True):
                whole[rows] = part
        return found

    def reasons_of_block(self, x: Tensor, known: Tensor, most: int, rate: float) -> Reasons:
        """The same of rows that are few enough, all complete or none."""
        model = self.marginal(x, known)

        def enough(rest: Tensor, cells: Tensor, best: Tensor) -> Tensor:
            return (tail(rest, cells) >= rate) & (cells * tail(best, torch.ones_like(cells)) >= rate)

        named, drop = search(model, known, most, model.energy, enough if rate < 1 else never)
        expected = x.double().gather(1, named.clamp(min=0)) - model.apart(torch.arange(len(x)), named)[0]
        return Reasons(named, expected.where(named >= 0, torch.nan), drop)

    def marginal(self, x: Tensor, known: Tensor) -> Marginal:
        """The same model of the known cells alone, of rows that are all complete, or none."""
        apart = torch.where(known, x.double() - self.mean, 0.0)
        if bool(known.all()):
            pull = apart @ self.precision
            return Marginal(self.precision.expand(len(x), -1, -1), pull, (apart * pull).sum(1))
        both = known[:, :, None] & known[:, None, :]
        alone = torch.diag_embed((~known).double())
        precision = torch.where(both, inverse(self.covariance.where(both, 0.0) + alone), 0.0)
        pull = (precision @ apart[:, :, None])[:, :, 0]
        return Marginal(precision, pull, (apart * pull).sum(1))


@dataclass(frozen=True)
class Marginal:
    """A normal model of some rows' known cells; with A the named cells of a row, P its precision and g = P r,

        the cells that are left have the precision  Q = P - P_:A (P_AA)^-1 P_A:
        and the pull                                h = g - P_:A (P_AA)^-1 g_A,  so that one more saves h_j^2 / Q_jj;
        a named one lies ((P_AA)^-1 g_A)_a from what they make expected, and has the variance ((P_AA)^-1)_aa given them.

    Attributes
    ----------
    precision : (n, d, d), 0 where a cell is missing.
    pull : (n, d) P r, where r is how far the row lies from the mean.
    energy : (n,) r' P r, the squared Mahalanobis distance.
    """

    precision: Tensor
    pull: Tensor
    energy: Tensor

    def gains(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, d) what each other cell would save."""
        chosen, solved = self.among(rows, named)
        off = self.off(rows, named, solved)
        left = self.pull[rows] - (chosen * off[:, :, None]).sum(1)
        own = self.precision.diagonal(dim1=1, dim2=2)[rows] - (chosen * (solved @ chosen)).sum(1)
        # Of a missing cell nothing is left, 0 of 0; of a named one rounding, which nobody reads.
        return left.square() / own.clamp(min=1e-12)

    def costs(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, s) what each named cell would cost if it were put back."""
        off, variance = self.apart(rows, named)
        return off.square() / variance

    def apart(self, rows: Tensor, named: Tensor) -> tuple[Tensor, Tensor]:
        """(k, s) how far each named cell lies from what is expected of it given the cells left, and its variance."""
        solved = self.among(rows, named)[1]
        return self.off(rows, named, solved), solved.diagonal(dim1=1, dim2=2)

    def off(self, rows: Tensor, named: Tensor, solved: Tensor) -> Tensor:
        """(k, s) (P_AA)^-1 g_A."""
        pull = self.pull[rows].gather(1, named.clamp(min=0)) * (named >= 0)
        return (solved @ pull[:, :, None])[:, :, 0]

    def among(self, rows: Tensor, named: Tensor) -> tuple[Tensor, Tensor]:
        """P_A: (k, s, d) and (P_AA)^-1 (k, s, s); none is a cell for itself, unrelated to all."""
        at, real = named.clamp(min=0), named >= 0
        chosen = self.precision[rows[:, None], at] * real[:, :, None]  # never [rows]: one matrix stands for all rows
        square = chosen.gather(2, at[:, None, :].expand(-1, named.shape[1], -1)) * real[:, None, :]
        return chosen, inverse(square + torch.diag_embed((~real).double()))


def search(model: Model, known: Tensor, most: int, energy: Tensor, enough: Enough) -> tuple[Tensor, Tensor]:
    """Name the cells of each row that explain it: the best next one, then each anew given the others, until enough.

    Parameters
    ----------
    model : what says what cells would save or cost.
    known : (n, d) bool, the cells that may be named.
    most : the most cells named of a row.
    energy : (n,) what all the known cells of a row pay.
    enough : when a row needs no more names. Every row with a known cell gets one.

    Returns
    -------
    The named columns (n, most), -1 = none, and what each would cost if put back, falling.
    """
    named, _, drop = nothing_named(len(known), most)
    cells, rest = known.sum(1), energy.to(torch.float64, copy=True)
    rows = torch.nonzero(cells > 0)[:, 0]
    for slot in range(min(most, known.shape[1])):
        best, column = free(model.gains(rows, named[rows]), named[rows], known[rows]).max(1)
        more = best > -torch.inf
        if slot:
            more &= ~enough(rest[rows], cells[rows], best)
        rows, best, column = rows[more], best[more], column[more]
        named[rows, slot] = column
        rest[rows], cells[rows] = rest[rows] - best, cells[rows] - 1
        if slot and len(rows):
            exchange(model, known, named, rest, rows, slot + 1)
    prune(model, named, rest, cells, enough)
    one = torch.nonzero((named >= 0).any(1))[:, 0]
    drop[one] = model.costs(one, named[one]).where(named[one] >= 0, 0.0)
    order = drop.where(named >= 0, -torch.inf).argsort(dim=1, descending=True, stable=True)
    return named.gather(1, order), drop.gather(1, order)


def exchange(model: Model, known: Tensor, named: Tensor, rest: Tensor, rows: Tensor, slots: int) -> None:
    """Choose each of the named cells of ``rows`` anew, given the others, until none changes; in place."""
    for _ in range(ROUNDS):
        moved = torch.zeros(len(rows), dtype=torch.bool)
        for slot in range(slots):
            without = named[rows]
            without[:, slot] = -1
            found = free(model.gains(rows, without), without, known[rows])
            held = found.gather(1, named[rows, slot, None])[:, 0]
            best, column = found.max(1)
            better = best > held + 1e-9 * held.abs()  # ties stay as they are, or they would swap for ever
            at = rows[better]
            named[at, slot] = column[better]
            rest[at] -= (best - held)[better]
            moved |= better
        rows = rows[moved]
        if not len(rows):
            return


def prune(model: Model, named: Tensor, rest: Tensor, cells: Tensor, enough: Enough) -> None:
    """Put back the cells without which a row is ordinary all the same: those that came first may be needless by now."""
    rows = torch.nonzero((named >= 0).sum(1) > 1)[:, 0]
    while len(rows):
        cost, slot = model.costs(rows, named[rows]).where(named[rows] >= 0, torch.inf).min(1)
        needless = enough(rest[rows] + cost, cells[rows] + 1, cost)
        rows, cost, slot = rows[needless], cost[needless], slot[needless]
        named[rows, slot] = -1
        rest[rows], cells[rows] = rest[rows] + cost, cells[rows] + 1
        more = (named[rows] >= 0).sum(1) > 1
        rows = rows[more]


class OneByOne:
    """Gains by any model that says what a cell costs given others: a pass for each cell that might be named.

    Since -log p(x) = -log p(rest) - log p(cell | rest), what a cell saves when it is taken out is what it costs given
    the cells that are left. Only those that are dearest given all others are tried.

    Parameters
    ----------
    saves : what one cell of each row costs.
    known : (n, d) bool, the cells that may be named; to ``saves``, cells that are missing are never known.
    shortlist : how many cells of each row are tried; of m broken ones, 2 m to 3 m find nearly what all find.
    """

    def __init__(self, saves: Saves, known: Tensor, shortlist: int) -> None:
        self.saves = saves
        rows, hidden = torch.arange(len(known)), torch.zeros_like(known)
        every = [self.asked(rows, hidden, torch.full_like(rows, column)) for column in range(known.shape[1])]
        self.alone = torch.stack(every, 1).where(known, -torch.inf)
        self.tried = self.alone.topk(min(shortlist, known.shape[1])).indices

    def gains(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, d) what each cell of the shortlist would save, minus infinity of all others."""
        hidden = hidden_cells(named, self.alone.shape[1])
        if not hidden.any():
            return self.alone[rows]
        found = torch.full(hidden.shape, -torch.inf, dtype=torch.float64)
        for column in self.tried[rows].unbind(1):
            some = torch.nonzero(~hidden.gather(1, column[:, None]))[:, 0]
            found[some, column[some]] = self.asked(rows[some], hidden[some], column[some])
        return found

    def costs(self, rows: Tensor, named: Tensor) -> Tensor:
        """(k, s) what each named cell would cost if it were put back."""
        found = torch.zeros(named.shape, dtype=torch.float64)
        for slot in range(named.shape[1]):
            some = torch.nonzero(named[:, slot] >= 0)[:, 0]
            others = named[some].clone()
            others[:, slot] = -1
            hidden = hidden_cells(others, self.alone.shape[1])
            found[some, slot] = self.asked(rows[some], hidden, named[some, slot])
        return found

    def asked(self, rows: Tensor, hidden: Tensor, column: Tensor) -> Tensor:
        """(k,) ``saves`` in float64; a model is never asked about no rows."""
        return self.saves(rows, hidden, column).double() if len(rows) else torch.zeros(0, dtype=torch.float64)


def of_energy(energy: Callable[[Tensor, Tensor], Tensor]) -> Saves:
    """What cells save, by ``energy(rows, hidden) -> (k,)``: what all cells of k rows but the hidden ones pay."""

    def saves(rows: Tensor, hidden: Tensor, column: Tensor) -> Tensor:
        return energy(rows, hidden) - energy(rows, hidden.scatter(1, column[:, None], True))

    return saves


def hidden_cells(named: Tensor, features: int) -> Tensor:
    """(k, d) bool, the named cells."""
    # The -1 that stands for none is sent to a column that is cut off again.
    wide = torch.zeros(len(named), features + 1, dtype=torch.bool)
    return wide.scatter(1, named.where(named >= 0, features), True)[:, :features]


def free(found: Tensor, named: Tensor, known: Tensor) -> Tensor:
    """``found`` (k, d) where a cell may be named, minus infinity where it is missing or named already."""
    return found.where(known & ~hidden_cells(named, known.shape[1]), -torch.inf)


def never(rest: Tensor, cells: Tensor, best: Tensor) -> Tensor:
    """No row is ever ordinary: as many cells are named as may be."""
    return torch.zeros_like(best, dtype=torch.bool)


def nothing_named(rows: int, most: int) -> Reasons:
    """Reasons to be filled in."""
    return Reasons(
        torch.full((rows, most), -1),
        torch.full((rows, most), torch.nan, dtype=torch.float64),
        torch.zeros(rows, most, dtype=torch.float64),
    )


def tail(distance: Tensor, cells: Tensor) -> Tensor:
    """How often a squared distance of so many independent normal cells is larger: the tail of chi-squared."""
    return torch.special.gammaincc(cells.double() / 2, distance.clamp(min=0) / 2).where(cells > 0, 1.0)


def moments(x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of rows (n, d), correlations shrunk; where there are gaps, by steps of EM."""
    counts = known.sum(0).clamp(min=1)
    mean = torch.where(known, x, 0.0).sum(0) / counts
    apart = torch.where(known, x - mean, 0.0)
    spread = (apart.square().sum(0) / counts).clamp(min=LEAST_VARIANCE).sqrt()
    whitened = apart / spread
    centre, covariance = torch.zeros_like(mean), shrunk(whitened, whitened.T @ whitened / len(x))
    if not known.all():
        every = -(-len(x) * x.shape[1] ** 3 // FILLING)
        whitened, known = whitened[::every], known[::every]
        for _ in range(FILLED):
            centre, covariance = completed(Conditional.of(centre, covariance), whitened, known)
    return mean + centre * spread, covariance * spread[:, None] * spread


def completed(model: Conditional, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of rows whose gaps are filled with what a model expects there: one step of EM.

    With P the precision of the known cells, 0 elsewhere, and S the covariance, the row expected is mean + S P r, and
    its missing cells have the covariance S - S P S about it.
    """
    filled, own = torch.empty_like(x), torch.zeros_like(model.covariance)
    for rows in blocks(known, 1):
        some = model.marginal(x[rows], known[rows])
        filled[rows] = model.mean + some.pull @ model.covariance
        own += some.precision.sum(0)
    mean = filled.mean(0)
    apart = filled - mean
    unsure = model.covariance - model.covariance @ (own / len(x)) @ model.covariance
    return mean, shrunk(apart, apart.T @ apart / len(x) + unsure)


def shrunk(apart: Tensor, covariance: Tensor) -> Tensor:
    """The covariance (d, d) of centred rows of whitened columns, what lies off its diagonal drawn towards 0."""
    size = covariance.diagonal().mean()
    far = (covariance - size * torch.eye(len(covariance), dtype=torch.float64)).square().sum()
    # Ledoit and Wolf: how far one row's own matrix lies from the mean one, against how far that lies from the target.
    noise = (apart.square().sum(1).square().mean() - covariance.square().sum()) / len(apart)
    share = max(float((noise / far.clamp(min=1e-12)).clamp(0, 1)), LEAST_VARIANCE)
    return (1 - share) * covariance + torch.diag(
        # The variance stays as it is, and is 1 of columns that have none.
        covariance.diagonal().clamp(min=1.0) - (1 - share) * covariance.diagonal()
    )


def known_cells(x: Tensor, weight: Tensor | None, features: int | None = None) -> Tensor:
    """(n, d) bool, the cells that are neither NaN nor without weight."""
    if x.ndim != 2 or (features is not None and x.shape[1] != features):
        wanted = "columns" if features is None else counted(features, "column")
        raise InputError(f"x: must be rows of {wanted}, a tensor (n, {features or 'd'}); got shape {tuple(x.shape)}")
    if weight is not None and weight.shape != x.shape:
        raise InputError(f"weight: must have the shape of x, {tuple(x.shape)}; got {tuple(weight.shape)}")
    return ~x.isnan() if weight is None else ~x.isnan() & (weight > 0)


def blocks(known: Tensor, most: int) -> list[Tensor]:
    """The numbers of the rows in blocks: complete rows share a matrix, each other row brings its own."""
    features, complete = known.shape[1], known.all(1)
    sizes = {True: NUMBERS // max(features * (most + 1), 1), False: NUMBERS // max(features**2, 1)}
    parts = ((rows, sizes[whole]) for whole, rows in ((True, complete), (False, ~complete)))
    return [block for rows, size in parts for block in torch.nonzero(rows)[:, 0].split(max(size, 1)) if len(block)]


def inverse(matrix: Tensor) -> Tensor:
    """The inverse of positive definite matrices (..., d, d)."""
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix))
