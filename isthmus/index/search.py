"""Exact search among binary codes, by hash tables or by a scan of all of them, whichever costs less."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from isthmus.checks import check_whole, counted, is_real, is_whole
from isthmus.errors import InputError
from isthmus.index import faiss_scan, flat, widening
from isthmus.index.answers import Nearest, Within
from isthmus.index.bits import check_bits, word_of, words_of
from isthmus.index.plan import QUERIES, Plan, planned
from isthmus.index.substrings import sample_of
from isthmus.index.tables import Tables

ENGINES = ("auto", "faiss", "numpy")
ORDINARY = 10
"""Neighbours that a query is expected to ask for."""

SCANS = 300
"""Queries that can be answered by scans in the time that making the tables takes."""

AT_ONCE = 1024
"""Queries that are answered together."""

TAIL = 1 / 8
"""Share of the rows that may be in no table: they are scanned."""

PER_ROW, PER_WORD = {"faiss": 0.5, "numpy": 0.3}, {"faiss": 0.6, "numpy": 1.1}
"""Nanoseconds that a scan takes on an ordinary core: for each row, and more for each of its words."""


@dataclass(frozen=True)
class Made:
    """The tables of the first ``rows`` rows, None where they would not pay, and how to search in them."""

    plan: Plan
    tables: Tables | None
    rows: int


class Search:
    """Exact search among codes in memory.

    Hash tables are made when queries have cost about as much as making them does, so that few queries never wait for
    it. A query whose candidates would cost more than a scan of all rows is answered by a scan; all ways give the same
    answer.

    Parameters
    ----------
    codes : (rows, words), as `isthmus.index.bits.packed` gives them; they are not copied, and may be a mapped file.
    bits : of a code, 8 to 1,024.
    engine : what scans: ``"faiss"``, ``"numpy"``, or ``"auto"``: Faiss where it is installed.

    Raises
    ------
    InputError : the arguments cannot be used. MissingExtraError : engine is ``"faiss"``, which is not installed.

    Examples
    --------
    >>> codes = np.array([[7], [0], [3], [1]], np.uint16)
    >>> found = Search(codes, 8, engine="numpy").nearest(np.array([[1]], np.uint16), k=3)
    >>> found.rows, found.distances, found.exact
    (array([[3, 1, 2]]), array([[0, 1, 1]], dtype=int32), array([ True]))
    """

    def __init__(self, codes: np.ndarray, bits: int, engine: str = "auto") -> None:
        check_bits(bits)
        if engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(map(repr, ENGINES))}; got {engine!r}")
        if engine == "faiss":
            faiss_scan.library()
        self.codes, self.bits = checked(codes, bits, "codes"), bits
        self.engine = engine if engine != "auto" else "faiss" if faiss_scan.is_installed() else "numpy"
        self.made: Made | None = None
        self._asked = 0

    @property
    def rows(self) -> int:
        """How many codes are searched."""
        return len(self.codes)

    @property
    def bytes(self) -> int:
        """Memory that the hash tables hold; that of the codes is beside."""
        return 0 if self.made is None or self.made.tables is None else self.made.tables.bytes

    def grown(self, codes: np.ndarray) -> Search:
        """The same search among more rows, of which the first are those that there were; this one stays as it is."""
        more = Search(codes, self.bits, self.engine)
        if self.made is None:
            more._asked = self._asked
        elif len(codes) - self.made.rows <= TAIL * len(codes):
            more.made = self.made
        else:
            more._asked = SCANS  # they had paid: they are made anew for the next query
        return more

    def prepare(self) -> Search:
        """Make the hash tables now, unless they are made, or cannot pay as a scan of so few rows takes no time."""
        if self.made is None and self._scan_cost() > widening.STAGE:
            asked = sample_of(self.codes, QUERIES)
            k = min(ORDINARY + 1, len(self.codes))  # the row itself is the nearest
            kth = self._scanner().nearest(asked, self.codes, k)[1][:, -1]
            plan = planned(self.codes, self.bits, asked, kth, self._scan_cost())
            tables = Tables.made(self.codes, plan.groups) if plan.groups else None
            self.made = Made(plan, tables, len(self.codes))
        return self

    def nearest(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None, time_budget: float | None = None
    ) -> Nearest:
        """The k nearest rows of every query.

        Parameters
        ----------
        queries : (queries, words) codes.
        k : 1 up to the number of rows that may be found.
        allowed : (rows,) bool, the rows that may be found; all with None.
        time_budget : seconds. What is found by then is returned, with the share that is proven. A step that was begun
            is finished, and making the tables, where it is their turn, comes on top: `prepare` makes them before.

        Raises
        ------
        InputError : there are no rows, k is greater than their number, or the queries are no codes of these bits.
        """
        queries = self._checked(queries, allowed)
        check_whole("nearest", k=k)
        k = int(k)  # Faiss takes no number of NumPy's
        check_enough(k, len(self.codes))
        if time_budget is not None and not (is_real(time_budget) and time_budget > 0):
            raise InputError(f"time_budget must be a number of seconds above 0; got {time_budget!r}")
        self._count(len(queries))
        deadline = np.inf if time_budget is None else time.perf_counter() + time_budget
        return Nearest.joined([self._nearest(some, k, allowed, deadline) for some in blocks(queries)])

    def within(self, queries: np.ndarray, r: int, allowed: np.ndarray | None = None) -> Within:
        """All rows that differ from a query in at most r bits.

        Parameters
        ----------
        queries : (queries, words) codes.
        r : 0 up to the bits of a code.
        allowed : (rows,) bool, the rows that may be found; all with None.

        Raises
        ------
        InputError : there are no rows, r is beyond the bits, or the queries are no codes of these bits.
        """
        queries = self._checked(queries, allowed)
        if not is_whole(r) or not 0 <= r <= self.bits:
            raise InputError(f"the radius must be a whole number of bits from 0 to {self.bits:,}; got {r!r}")
        self._count(len(queries))
        return Within.joined([self._within(some, int(r), allowed) for some in blocks(queries)])

    def _nearest(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, deadline: float) -> Nearest:
        """`nearest`, of a block of queries."""
        found = Nearest.nothing(len(queries), k)
        made = self.made
        if made is not None and made.tables is not None and len(queries):
            hurried = deadline < time.perf_counter() + self._scan_seconds() * len(queries)
            budget = np.inf if hurried else made.plan.budget(len(queries))
            if budget:
                field = widening.Field(made.tables, self.codes, self.bits, allowed)
                self._look_up(made, field, queries, k, budget, deadline, found)
        left = np.flatnonzero(~found.exact)
        if allowed is not None and len(left):  # counting them takes time; where the tables found k of them, there are k
            check_enough(k, int(np.count_nonzero(allowed)))
        while len(left):
            fit = len(left)
            if deadline < np.inf:
                time_left = deadline - time.perf_counter()
                fit = min(int(time_left / 2 / self._scan_seconds()), fit)
                if fit < 1 and (found.scanned.any() or time_left < 0):
                    break
            some, left = np.split(left, [max(fit, 1)])
            found.rows[some], found.distances[some] = flat.nearest_allowed(
                self._scanner(), queries[some], self.codes, k, allowed
            )
            found.exact[some], found.recall[some] = True, 1.0
            found.scanned[some] += len(self.codes)
        return found

    def _look_up(
        self, made: Made, field: widening.Field, queries: np.ndarray, k: int, budget: float, deadline: float,
        found: Nearest,
    ) -> None:  # fmt: skip
        """Write into ``found`` what the tables find, and which of it is proven."""
        kept, tail = np.empty(0, np.int64), self.codes[made.rows :]
        of_tail = None if field.allowed is None else field.allowed[made.rows :]
        in_tail = min(k, len(tail) if of_tail is None else int(np.count_nonzero(of_tail)))
        if in_tail:
            rows, distances = flat.nearest_allowed(self._scanner(), queries, tail, in_tail, of_tail)
            kept = field.number(np.arange(len(queries))[:, None], distances, rows + made.rows).ravel()
        reached = widening.nearest(field, queries, k, budget, made.plan.first, kept, deadline)
        owners, distances, rows = field.parts(reached.kept)
        ranks = np.arange(len(owners)) - field.firsts(reached.kept, len(queries))[owners]
        found.rows[owners, ranks], found.distances[owners, ranks] = rows, distances
        proven = np.bincount(owners[distances <= reached.covers[owners]], minlength=len(queries))
        found.recall[...] = proven / k
        found.exact[...] = found.by_tables[...] = reached.done
        found.scanned[...] = reached.scanned + len(tail)

    def _within(self, queries: np.ndarray, r: int, allowed: np.ndarray | None) -> Within:
        """`within`, of a block of queries."""
        many, scanner, made = len(queries), self._scanner(), self.made
        by_tables, scanned = np.zeros(many, bool), np.full(many, len(self.codes))
        found = []
        if made is not None and made.tables is not None and many:
            field, tail = widening.Field(made.tables, self.codes, self.bits, allowed), self.codes[made.rows :]
            reached = widening.within(field, queries, r, self._scan_cost() / 2)
            by_tables, (owners, distances, rows) = reached.done, field.parts(reached.kept)
            scanned[by_tables] = reached.scanned[by_tables] + len(tail)
            if by_tables.all() and not len(tail):
                starts = field.firsts(reached.kept, many)
                return Within(starts, rows, distances.astype(np.int32), by_tables, scanned)
            found.append((owners, rows, distances))
            some, of_tail = np.flatnonzero(by_tables), None if allowed is None else allowed[made.rows :]
            starts, rows, distances = flat.within_allowed(scanner, queries[some], tail, r, of_tail)
            found.append((np.repeat(some, np.diff(starts)), rows + made.rows, distances))
        some = np.flatnonzero(~by_tables)
        starts, rows, distances = flat.within_allowed(scanner, queries[some], self.codes, r, allowed)
        found.append((np.repeat(some, np.diff(starts)), rows, distances))
        return Within(*flat.by_query(many, *map(np.concatenate, zip(*found, strict=True))), by_tables, scanned)

    def _checked(self, queries: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
        """The queries, refused in words where they cannot be compared with the codes."""
        if not len(self.codes):
            raise InputError("the index is empty: add rows before searching")
        if allowed is not None and (allowed.shape != (len(self.codes),) or allowed.dtype != np.bool_):
            raise InputError(
                f"allowed must be a truth value for each of the {counted(len(self.codes), 'row')}; "
                f"got shape {allowed.shape} of {allowed.dtype}"
            )
        queries = checked(queries, self.bits, "queries")
        beyond = self.bits - 8 * queries.itemsize * (queries.shape[1] - 1)
        if beyond < 8 * queries.itemsize and (queries[:, -1] >> beyond).any():
            raise InputError(f"queries must be codes of {self.bits:,} bits; some have bits set beyond these")
        return queries

    def _count(self, queries: int) -> None:
        """Make the tables as soon as they would have paid."""
        self._asked += queries
        if self._asked > SCANS:
            self.prepare()

    def _scanner(self) -> ModuleType:
        return faiss_scan if self.engine == "faiss" else flat

    def _scan_cost(self) -> float:
        """Nanoseconds that scanning all rows for one query takes on an ordinary core."""
        each = PER_ROW[self.engine] + PER_WORD[self.engine] * words_of(self.bits)
        return len(self.codes) * each

    def _scan_seconds(self) -> float:
        return self._scan_cost() * 1e-9


def blocks(queries: np.ndarray) -> list[np.ndarray]:
    """As many queries each as are answered together; one block, at least."""
    return [queries[start : start + AT_ONCE] for start in range(0, max(len(queries), 1), AT_ONCE)]


def check_enough(k: int, rows: int) -> None:
    """Refuse to look for more rows than may be found."""
    if k > rows:
        raise InputError(f"k must be at most the number of rows that may be found, {rows:,}; got {k:,}")


def checked(codes: np.ndarray, bits: int, name: str) -> np.ndarray:
    """The codes in one piece of memory, refused in words where they are no codes of so many bits."""
    word, words = word_of(bits), words_of(bits)
    if not isinstance(codes, np.ndarray) or codes.ndim != 2 or codes.shape[1] != words or codes.dtype != word:
        came = f"shape {codes.shape} of {codes.dtype}" if isinstance(codes, np.ndarray) else type(codes).__name__
        raise InputError(
            f"{name} must be codes of {bits:,} bits, ({name}, {words}) {word}, as the model that made the index gives "
            f"them; got {came}"
        )
    return np.ascontiguousarray(codes)
