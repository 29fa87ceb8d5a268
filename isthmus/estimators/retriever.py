"""`Retriever`: find what is alike by short binary codes, exactly, or with its recall stated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from isthmus.checks import check_whole, counted
from isthmus.data import open_source
from isthmus.data.arrays import short
from isthmus.data.words import Words
from isthmus.errors import InputError
from isthmus.estimators.hashing import Hasher
from isthmus.estimators.retrieved import Found, Within
from isthmus.estimators.retriever_rows import check_learning, texts_in, warn_of_same_codes
from isthmus.estimators.settings import number, seed_of
from isthmus.index.bits import unpacked, word_of
from isthmus.index.collection import Collection
from isthmus.index.folder import Folder
from isthmus.index.search import Search
from isthmus.index.store import Store

USUAL = 10
"""Items that are looked for where nothing is said."""

RERANKED = 10
"""Of float codes, so many times k items are compared, those nearest by bits."""


class Retriever(BaseEstimator):
    """Learns binary codes in which like items have like bits, and finds the nearest among millions of them.

    An autoencoder squeezes every item into a few bits; items are compared by the number of bits that differ. A search
    goes through hash tables of parts of the codes and stops when it is proven that nothing nearer was missed, or
    compares all codes where that is faster: either way the answer is exact for the codes.

    Parameters
    ----------
    bits : the length of the codes, 8 to 1024; or ``"auto"``: the fewest of 16, 32, 64 and 128 that find nearly as many
        of the items that are near by real numbers as twice as many bits do.
    method : how codes are learnt, see `isthmus.estimators.hashing.Hasher`; ``"auto"`` suits it to the data.
    autoencoder : a fitted `Autoencoder` or a kind whose codes are rotated and rounded to bits.
    rerank : whether the codes as real numbers are kept too, in 2 bytes for every bit, and the items that are nearest
        by bits are ordered by their cosine.
    columns, epochs, batch_size, learning_rate, max_time, device, verbose : as for `Autoencoder`.
    random_state : int, NumPy generator or None. With an int, two fits on one machine are identical.

    Attributes
    ----------
    bits_ : bits of every code.
    hasher_ : the fitted `Hasher`.
    words_ : the `Words` of texts that were given as strings; else None.
    ids_ : (items,) the ids, in the order in which items were added.

    Notes
    -----
    Items are texts (a list of strings), word counts or TF-IDF (a sparse matrix, never made dense as a whole), pictures,
    tables, or embeddings: what an `Autoencoder` takes. Memory is bits / 8 bytes for an item, its id, and, once there
    are tables, 4 bytes for each of them.

    References
    ----------
    Salakhutdinov & Hinton 2009, Semantic hashing; Gong & Lazebnik 2011, Iterative quantization; Norouzi, Punjani &
    Fleet 2012, Fast search in Hamming space with multi-index hashing.

    Examples
    --------
    >>> import isthmus as ist
    >>> digits = ist.data.digits()[0]
    >>> retriever = ist.Retriever(32, epochs=2, random_state=0).fit(digits)
    >>> found = retriever.query(digits[:3], k=5)
    >>> found.ids.shape, found.exact.all()
    ((3, 5), np.True_)
    """

    def __init__(
        self,
        bits: int | str = "auto",
        *,
        method: str = "auto",
        autoencoder: Any = None,
        rerank: bool = False,
        columns: dict[Any, str] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        max_time: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.bits = bits
        self.method = method
        self.autoencoder = autoencoder
        self.rerank = rerank
        self.columns = columns
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None, *, ids: Any = None, items: Any = None, add: bool = True) -> Retriever:
        """Learn codes from ``X``, and make its rows the first items of the index.

        Parameters
        ----------
        X : texts (a list, an array or a column of strings), a sparse matrix, a table, pictures, an array, a path to
            one, or a source. At least 2 rows; a sample of some ten thousand is enough where there are millions.
        y : ignored.
        ids, items : as for `add`.
        add : False to learn only, so that the index begins empty.

        The index is in memory until `save`, also of a retriever that was loaded: the folder keeps what it holds.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used.

        Warns
        -----
        DataWarning : most rows have the same code.
        """
        check_learning(self.bits, self.method, self.autoencoder)
        if not add and (ids is not None or items is not None):
            raise InputError("add=False learns only: ids= and items= are for rows that come into the index")
        words: Words | None = None
        if not isinstance(X, str) and (texts := texts_in(X)) is not None:  # a string is a path here
            words, X = Words.fit_rows(texts, names=ids)
        shown = open_source(X, columns=self.columns)
        if shown.rows < 2:
            raise InputError(f"X has {counted(shown.rows, 'row')}: codes are learnt from at least 2, better 1,000")
        if add:  # ids and items that cannot be used are refused before the learning
            Store(8).add(np.zeros((shown.rows, 1), word_of(8)), ids, None, items)
        chosen = {name: getattr(self, name) for name in PASSED_ON}
        hasher = Hasher.learn(
            shown, self.bits, self.method, autoencoder=self.autoencoder, seed=seed_of(self.random_state), **chosen
        )
        store = Store(hasher.bits, hasher.width if self.rerank else 0)
        if add:
            codes, floats = hasher(shown)
            warn_of_same_codes(codes)
            store.add(codes, ids, floats if self.rerank else None, items)
        self.hasher_, self.words_, self.bits_ = hasher, words, hasher.bits
        self.store_: Collection = store
        self.n_features_in_ = shown.layout.features
        self._searched: Search | None = None
        return self

    # ------------------------------------------------------------------ the index

    @property
    def ids_(self) -> np.ndarray:
        check_is_fitted(self, "hasher_")
        return self.store_.ids

    def __len__(self) -> int:
        """Items in the index."""
        return len(self.store_) if hasattr(self, "store_") else 0

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "hasher_")

    def __bool__(self) -> bool:
        return True  # an empty index is a retriever too

    def add(self, X: Any, ids: Any = None, items: Any = None) -> Retriever:
        """Put the rows of ``X`` in the index. Of one that was saved or loaded they are on the disk when this returns.

        Parameters
        ----------
        X : rows like those of the fit.
        ids : one for each, whole numbers or texts, none of them there yet; None = the next whole numbers.
        items : a text for each that is given back with results, such as a title; or None.

        Returns
        -------
        self

        Raises
        ------
        InputError : an id is there already or twice; ``X`` is not like the rows of the fit; the index cannot be
            written. Then nothing was added.
        """
        codes, floats = self._hashed(X, ids)
        self.store_.add(codes, ids, floats if self.rerank else None, items)
        return self

    def remove(self, ids: Any) -> Retriever:
        """Take items out of the index. Returns self.

        Raises
        ------
        InputError : there is no such id: the message says which, and none is removed.
        """
        check_is_fitted(self, "hasher_")
        self.store_.remove(ids)
        return self

    def refresh(self) -> Retriever:
        """See what other processes have added and removed since the index was opened, or last written to. Returns
        self. Those who write see it by themselves; an index in memory is as it is."""
        check_is_fitted(self, "hasher_")
        if isinstance(self.store_, Folder):
            self.store_.refresh()
        return self

    # ------------------------------------------------------------------ searching

    def query(self, X: Any, k: int | None = None, *, where: Any = None, time_budget: float | None = None) -> Found:
        """The ``k`` items nearest to each row of ``X``; of equal distances those come first that were added first.

        Parameters
        ----------
        X : rows like those of the fit; a single text may stand alone.
        k : whole number from 1 to the items that may be found; None = 10, or all where there are fewer.
        where : which items may be found: ids, or a truth value for each of ``ids_``; None = all.
        time_budget : seconds after which a search in tables stops with what it has, and `Found.recall` says how much
            of that is proven; None = exact.

        Raises
        ------
        InputError : an argument cannot be used; the index is empty.
        """
        if k is not None:
            check_whole("query", k=k)
        if time_budget is not None:
            number("time_budget", time_budget, 0.0, open_low=True)
        codes, floats = self._hashed(X)
        search, allowed = self._search(), self._allowed(where)
        room = self.store_.rows if allowed is None else int(allowed.sum())
        k = min(USUAL, room) if k is None else int(k)
        if not self.rerank:
            near = search.nearest(codes, k, allowed, time_budget)
            rows, distances, likeness = near.rows, near.distances, None
        else:
            near = search.nearest(codes, max(k, min(RERANKED * k, room)), allowed, time_budget)
            rows, distances, likeness = self._reranked(near.rows, near.distances, floats, k)
        return Found(
            self._ids(rows),
            distances.astype(np.int64),
            near.exact,
            near.recall,
            near.by_tables,
            near.scanned,
            likeness,
            self._items(rows),
        )

    def radius(self, X: Any, r: int, *, where: Any = None) -> Within:
        """All items whose codes differ from those of ``X`` in at most ``r`` bits, 0 to the bits of a code.

        ``X`` and ``where`` are as for `query`; distances of 0 to 3 bits are what hash tables are best at.
        """
        codes, _ = self._hashed(X)
        found = self._search().within(codes, r, self._allowed(where))
        rows = np.split(found.rows, found.starts[1:-1])
        kept = [self._items(some) for some in rows]
        return Within(
            [self.store_.ids_of(some) for some in rows],
            [some.astype(np.int64) for some in np.split(found.distances, found.starts[1:-1])],
            found.by_tables,
            found.scanned,
            None if all(some is None for some in kept) else kept,
        )

    def transform(self, X: Any) -> np.ndarray:
        """(n, bits_) uint8, 0 or 1: the codes of the rows of ``X``."""
        return unpacked(self._hashed(X)[0], self.bits_).astype(np.uint8)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one ``.safetensors`` file and its index as a folder beside it, ``NAME.index``.

        From then on the folder is the index: what is added or removed is on the disk when the call returns.
        """
        from isthmus.estimators.retriever_files import save

        check_is_fitted(self, "hasher_")
        self.store_ = save(self, Path(path))
        self._searched = None
        return Path(path)

    # ------------------------------------------------------------------ within

    def _hashed(self, X: Any, ids: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Codes (n, words) and float codes (n, width) of rows like those of the fit."""
        check_is_fitted(self, "hasher_")
        if self.words_ is None:
            if isinstance(X, (list, tuple)) and texts_in(X) is not None:
                raise InputError("X holds texts, but the fit was to numbers; give rows like those of the fit")
            return self.hasher_(X)
        if (texts := texts_in(X)) is None:
            raise InputError(f"X must be texts, a list of strings, as in the fit; got {short(X)}")
        return self.hasher_(self.words_(texts, names=ids))

    def _search(self) -> Search:
        """The search over what is in the index now."""
        if not len(self.store_):
            raise InputError("the index is empty: add items first, retriever.add(X)")
        searched = getattr(self, "_searched", None)
        if searched is None:
            searched = Search(self.store_.codes, self.bits_)
        elif searched.rows != self.store_.rows:
            searched = searched.grown(self.store_.codes)
        self._searched = searched
        return searched

    def _allowed(self, where: Any) -> np.ndarray | None:
        """(rows,) bool of the rows that may be found; None = all."""
        alive = self.store_.alive
        if where is None:
            return None if len(self.store_) == self.store_.rows else alive
        given = np.asarray(where)
        if given.dtype == bool:
            if given.shape != (len(self),):
                raise InputError(
                    f"where must hold a truth value for each of the {counted(len(self), 'item')}, in the order of "
                    f"ids_; got the shape {given.shape}"
                )
            allowed = np.zeros(self.store_.rows, dtype=bool)
            allowed[np.flatnonzero(alive)] = given
        else:
            allowed = np.zeros(self.store_.rows, dtype=bool)
            allowed[self.store_.rows_of(where)] = True
        if not allowed.any():
            raise InputError("where allows no item to be found")
        return allowed

    def _reranked(
        self, rows: np.ndarray, distances: np.ndarray, floats: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the rows (q, m) found by bits the k that are most alike by their float codes."""
        theirs = unit(self.store_.floats_of(np.maximum(rows.ravel(), 0))).reshape(*rows.shape, -1)
        likeness = np.where(rows < 0, -np.inf, np.einsum("qmd,qd->qm", theirs, unit(floats)).clip(-1, 1))
        first = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
        rows, distances, likeness = (np.take_along_axis(some, first, axis=1) for some in (rows, distances, likeness))
        return rows, distances, likeness

    def _ids(self, rows: np.ndarray) -> np.ndarray:
        """The ids of rows of any shape; None for -1, which a search gives that ran out of time."""
        ids = self.store_.ids_of(np.maximum(rows.ravel(), 0)).reshape(rows.shape)
        if (rows < 0).any():
            ids = ids.astype(object)
            ids[rows < 0] = None
        return ids

    def _items(self, rows: np.ndarray) -> np.ndarray | None:
        """What was kept with rows of any shape; None where nothing was."""
        kept = self.store_.items_of(np.maximum(rows.ravel(), 0))
        if all(item is None for item in kept):
            return None
        made = np.empty(len(kept), dtype=object)
        made[:] = kept
        made[rows.ravel() < 0] = None
        return made.reshape(rows.shape)


PASSED_ON = ("epochs", "batch_size", "learning_rate", "max_time", "device", "verbose")
"""The knobs that go to the autoencoder as they are."""


def unit(codes: np.ndarray) -> np.ndarray:
    """Rows (n, d) of length 1; those of length 0 as they are."""
    return codes / np.maximum(np.linalg.norm(codes, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
