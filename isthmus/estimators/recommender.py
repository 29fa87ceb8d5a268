"""`Recommender`: what anyone may like next, new people included, learnt from who did what."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from isthmus import storage
from isthmus.checks import check_whole, counted
from isthmus.data.interaction_pairs import Columns
from isthmus.data.interactions import Interactions, interactions
from isthmus.data.side_information import described
from isthmus.errors import InputError
from isthmus.estimators.recommended import Recommended, Similar
from isthmus.estimators.recommender_choice import check_settings, learnt_knobs
from isthmus.estimators.recommender_data import (
    alike,
    gram_with,
    liked,
    merged,
    new_types,
    places_of,
    ratings_hint,
    read_histories,
    read_more,
    warn_known,
)
from isthmus.estimators.recommender_deep import DeepWeights
from isthmus.estimators.recommender_given import Beside, ranked_in, widened
from isthmus.estimators.recommender_judging import Judged, judged, known_group
from isthmus.estimators.recommender_lists import best_items, one_row, reasons_of, warn_short
from isthmus.estimators.recommender_models import Knobs, Model, continued, exact_gram, fitted
from isthmus.estimators.recommender_told import (
    Asked,
    Told,
    asked,
    beside_of,
    told_more,
    told_of_items,
    told_of_users,
    with_items,
)
from isthmus.estimators.settings import seed_of
from isthmus.ranking import top
from isthmus.recommending.linear import check_exact
from isthmus.recommending.popularity import popularity
from isthmus.recommending.splits import Group

USUAL_LENGTH = 10
"""Of lists, where there are so many items."""


class Recommender(BaseEstimator):
    """Recommends items to anyone with a history, by what items say of one another.

    An autoencoder rebuilds each user's row of items from the row itself, but no item from itself; what it rebuilds of
    items that are not in the row is recommended. It is linear, in closed form, or a network with such a linear path
    beside it. Nothing is stored of a person to recommend to: any history will do, of users that the fit never saw as
    well.

    Parameters
    ----------
    method : ``"ease"`` and its kin ``"edlae"``, which is trained with dropout, are exact; ``"sparse"`` keeps only the
        nearest neighbours of each item, for catalogues of tens of thousands; ``"popularity"`` is the rival of all.
        ``"masked"``, ``"mult_vae"``, ``"mult_dae"`` and ``"rec_vae"`` are deep, with a linear path.
        ``"auto"``: EDLAE, of which EASE is the case without dropout, or sparse where that does not fit the memory; of
        500 users and more the deep ``"masked"`` or ``"rec_vae"``, where that is better for users held out.
    strength : lambda > 0, which holds weights back; ``"auto"``: the best for users that are held out.
    dropout : from 0 to below 1, of EDLAE and the sparse method; ``"auto"``: as the strength, and none for the sparse.
    neighbours : weights for each item of the sparse method, at most.
    at_least : with ratings: only those of at least so much are learnt from, and count 1 each. Others, 0 too, are not
        recommended again either. What comes without weights counts wholly. None = all count, with their weights.
    code_size, hidden : of a deep method, numbers in the code, and widths of the encoder's hidden layers.
    epochs : of a deep method, times through the histories, at most; how many are best is found by users that are held
        out.
    gain : >= 0, of a deep method: the weight of the linear path, whose strength and dropout are those above; 0 = none;
        ``"auto"``: the best for users that are held out.
    given_weight, item_given_weight : >= 0, of what is known of users, and of items, where an item of a history has the
        weight 1; 0 = none; ``"auto"``: the best for users that are held out, some of them without a history.
    max_time : seconds that the training of networks may take, half of them for the search; None = no limit.
    random_state : int, NumPy generator or None: who is held out to choose by, and all that is drawn in training.
    verbose : 0 = silent; 1 = tell what was found and chosen.

    Attributes
    ----------
    interactions_ : the `Interactions` of the fit; its ``users`` and ``items`` are the ids.
    knobs_ : method, strength and dropout that were used, and what a deep method was trained with.
    choice_ : the `Choice` of them, with what was tried; None where nothing was open.
    popular_ : (items,) how often each was taken.
    given_, item_given_ : what the fit was told of users and of items; None = nothing.
    said_ : sentences about the data and the method.

    Notes
    -----
    The exact methods take memory and time that grow with the square and the cube of the items, but hardly with the
    users; training a network, with items and users alike. The model and its file hold the interactions, so that
    `partial_fit` can go on.

    References
    ----------
    Steck (2019), "Embarrassingly shallow autoencoders for sparse data"; Steck (2020), "Autoencoders that don't overfit
    towards the identity"; Jeunen, Van Balen & Goethals (2020), "Closed-form models for collaborative filtering with
    side-information"; Liang et al. (2018), "Variational autoencoders for collaborative filtering"; Shenbin et al.
    (2020), "RecVAE".

    Examples
    --------
    >>> import isthmus as ist
    >>> taken = {"ann": ["sun", "moon"], "bob": ["sun", "moon", "sky"], "eve": ["sea", "sky"], "dan": ["sea", "sky"]}
    >>> recommender = ist.Recommender(strength=1.0).fit(taken)
    >>> recommender.recommend([["moon"]], k=1).items.tolist()
    [['sun']]
    """

    _gram: np.ndarray | None

    def __init__(
        self,
        method: str = "auto",
        *,
        strength: float | str = "auto",
        dropout: float | str = "auto",
        neighbours: int = 100,
        at_least: float | None = None,
        code_size: int = 200,
        hidden: tuple[int, ...] = (600,),
        epochs: int = 100,
        gain: float | str = "auto",
        given_weight: float | str = "auto",
        item_given_weight: float | str = "auto",
        max_time: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.method = method
        self.strength = strength
        self.dropout = dropout
        self.neighbours = neighbours
        self.at_least = at_least
        self.code_size = code_size
        self.hidden = hidden
        self.epochs = epochs
        self.gain = gain
        self.given_weight = given_weight
        self.item_given_weight = item_given_weight
        self.max_time = max_time
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X: Any,
        given: Any = None,
        item_given: Any = None,
        *,
        user: str | None = None,
        item: str | None = None,
        weight: str | bool | None = None,
        time: str | bool | None = None,
        duplicates: str | None = None,
    ) -> Recommender:
        """Learn from who did what.

        Parameters
        ----------
        X : a long table with a row per interaction (a frame, or the path of a .csv, .tsv, .jsonl or .parquet file);
            histories, lists of item ids in a list or a dict by user; or a sparse matrix, users by items.
        given, item_given : what is known of users, and of items: tables with a row for each (frames or paths), ids in
            the column that is called as in ``X`` or has a usual name, or in the index of a frame. Texts are values, one
            or several (``Comedy|Crime``), and so are few different numbers; of more numbers ranges are made. Missing
            cells and missing rows say nothing. Items that nobody took yet join.
        user, item, weight, time : of a table, the columns; None = those with a usual name; False = no weights or times.
        duplicates : of a pair that comes more than once, ``"sum"``: weights are added up; ``"last"``: the last counts,
            also where it is 0. None = the sum, but with ``at_least`` the last: ratings are not added up.

        Returns
        -------
        self

        Raises
        ------
        InputError : the data or a parameter cannot be used; an exact method does not fit the memory.
        """
        check_settings(**self.get_params())
        duplicates = duplicates or ("sum" if self.at_least is None else "last")
        columns = Columns(user, item, weight, time)
        zeros = self.at_least is not None
        found = interactions(X, **columns._asdict(), duplicates=duplicates, zeros=zeros, argument="X")
        of_users, said = told_of_users(given, found.users, columns)
        of_items, found, more = told_of_items(item_given, found, columns)
        said = (*found.said, *(() if zeros else ratings_hint(found, X)), *said, *more)
        for sentence in said:
            self._say(sentence)
        x, _ = self._liked(found)
        beside = beside_of(of_users, of_items)
        knobs, choice, told = learnt_knobs(self.get_params(), x, seed_of(self.random_state), self._say, beside)
        wide = widened(x, beside or Beside(), knobs)
        g = exact_gram(wide) if knobs.exact else None
        left = None if self.max_time is None else self.max_time / (1 if choice is None else 2)
        model = fitted(wide, knobs, g, left, self._say)
        self._set(found, x, knobs, g, model, of_users, of_items)
        self.choice_, self.said_ = choice, (*said, *told, *self._unfinished())
        self.duplicates_, self.columns_ = duplicates, columns
        return self

    def partial_fit(
        self,
        X: Any,
        given: Any = None,
        item_given: Any = None,
        *,
        user: str | None = None,
        item: str | None = None,
        weight: str | bool | None = None,
        time: str | bool | None = None,
    ) -> Recommender:
        """Go on with more interactions: the model is that of a fit to all of them with the same strength and dropout.

        Users and items are told by their ids, and new ones join; of lists and matrices, whose users have no names,
        every user is new. What is known to be the same of the Gram matrix is not counted again, but its inverse is
        made anew. A network is not trained anew: it goes on from its weights, for a quarter of its epochs over all
        interactions, and new items get weights of their own, so that it is near a refit, but not equal to it.

        Where the last of a pair counts, a weight of 0 takes it back. Interactions without times join those with times
        as if they came at the latest moment of the fit; that is said.

        Parameters
        ----------
        X, user, item, weight, time : as for `fit`; columns that the fit was told of need not be named again.
        given, item_given : what is known of users and items, new ones or others: of the properties of the fit, what is
            told of one now takes the place of what was.

        Returns
        -------
        self

        Warns
        -----
        DataWarning : ids that were whole numbers are texts from now on; the fit had times, and ``X`` has none.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, given, item_given, user=user, item=item, weight=weight, time=time)
        old, named = self.interactions_, (user or self.columns_.user, item or self.columns_.item)
        new = read_more(X, old, Columns(user, item, weight, time), self.columns_, self.duplicates_, self.at_least)
        for sentence in new.said:
            self._say(sentence)
        told = new_types(old, new)
        for sentence in told:
            self._say(sentence)
        found = merged(old, new, self.duplicates_, self.at_least is not None)
        if item_given is not None:
            found, _ = with_items(found, described(item_given, "item", named[1], "item_given"))
        of_users = told_more(self.given_, given, old.users, found.users, "user", named[0], "given")
        of_items = told_more(self.item_given_, item_given, old.items, found.items, "item", named[1], "item_given")
        x, _ = self._liked(found)
        beside, g = beside_of(of_users, of_items), None
        wide = widened(x, beside or Beside(), self.knobs_)
        if self.knobs_.exact:
            check_exact(wide.shape[1], "method='sparse' needs far less.")
            known, self._gram = self._gram, None  # it may be overwritten: if anything fails, it is made anew next time
            g = exact_gram(wide) if beside else gram_with(known, old, self._liked_rows(old), found, x, new.users)
        if isinstance(self.model_, DeepWeights):
            places = np.searchsorted(*alike(found.items, old.items))
            places = np.concatenate([places, x.shape[1] + np.arange(wide.shape[1] - x.shape[1])])
            model: Model = continued(self.model_, places, wide, self.knobs_, g, self.max_time, self._say)
        else:
            model = fitted(wide, self.knobs_, g)
        self._set(found, x, self.knobs_, g, model, of_users, of_items)
        self.said_ = (*self.said_, *new.said, *told)
        return self

    # ------------------------------------------------------------------ recommending

    def recommend(
        self,
        histories: Any,
        k: int | None = None,
        given: Any = None,
        *,
        exclude_seen: bool = True,
        reasons: int = 0,
        user: str | None = None,
        item: str | None = None,
        weight: str | bool | None = None,
        time: str | bool | None = None,
    ) -> Recommended:
        """The ``k`` items that suit each history best.

        Of equal scores the more popular item comes first, so that a history that says nothing, such as an empty one,
        gets what is popular.

        Parameters
        ----------
        histories : of anyone: as ``X`` of `fit`. For one person: ``[["item", "another"]]``. None: of nobody who is in
            ``given`` anything is known beside.
        k : 1 to the number of items; None = 10, or all where there are fewer.
        given : what is known of these people, as of `fit`; histories without names are numbered from 0. Of others, and
            of all where it is left out, nothing is known: not even of users that the fit was told of.
        exclude_seen : False: items of the history may be recommended again.
        reasons : say because of what, with so many items of the history at most: as `explain` does.
        user, item, weight, time : columns of a table; those that the fit was told of need not be named again.

        Raises
        ------
        InputError : there are fewer than ``k`` items; the histories cannot be read; the fit knew no properties.

        Warns
        -----
        DataWarning : items are unknown and passed over; histories are empty; fewer than ``k`` items are left; ``given``
            has values that the fit did not learn.
        """
        check_is_fitted(self, "model_")
        open_k, k = k is None, self._checked_k(k)
        check_whole("recommend", 0, reasons=reasons)
        told, columns = self._asked(given, user), Columns(user, item, weight, time)
        if histories is None and told.table is not None:
            histories, columns = {one: [] for one in told.table.ids.tolist()}, Columns()
        found = self._read(histories, columns, told)
        wide = widened(self._liked_rows(found), told.beside(found.users), self.knobs_, further=False)
        seen = found.matrix if exclude_seen else None
        numbers, scores = best_items(self.model_, wide, len(self.popular_), seen, self._by_popularity(), k)
        short = np.isneginf(scores)
        items = self.interactions_.items[numbers]
        if short.any():
            if not open_k or k == USUAL_LENGTH:
                warn_short(found.users[short.any(axis=1)], k, len(self.popular_))
            items = np.where(short, None, items.astype(object))
        why = None
        if reasons:
            why = [
                [[] if item < 0 else self._reasons(wide[[row]], item, reasons) for item in some]
                for row, some in enumerate(np.where(short, -1, numbers).tolist())
            ]
        return Recommended(found.users, items, np.where(short, np.nan, scores), why)

    def similar_items(self, items: Any, k: int | None = None) -> Similar:
        """The ``k`` items most like each of these.

        Two items are alike as far as they are taken together beyond what all other items explain: their partial
        correlation. Items that are merely popular are like nothing. Of a network it is the cosine of the vectors by
        which its decoder tells the two items.

        Parameters
        ----------
        items : an id, or several.
        k : 1 to the number of items less 1; None = 10, or all others where there are fewer.

        Raises
        ------
        InputError : an item was not in the fit; the method is popularity.
        """
        check_is_fitted(self, "model_")
        places = places_of(items, self.interactions_.items, "items")
        k = self._checked_k(k, 1)
        likeness = np.stack([self.model_.alike(int(item)) for item in places])[:, : len(self.popular_)]
        likeness[np.arange(len(places)), places] = -np.inf
        order = self._by_popularity()
        near = order[top(likeness[:, order], k)]
        known = self.interactions_.items
        return Similar(known[places], known[near], np.take_along_axis(likeness, near, axis=1))

    def explain(
        self, history: Any, item: Any, most: int = 3, *, given: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, float]]:
        """Because of what: the items of a history that say most for an item, and what each adds to its score; of a
        network, by how much the score falls without it. Properties are reasons too, such as ``"town = Ulm"``.

        Parameters
        ----------
        history : a list of item ids.
        item : the id of the item that was recommended, or might have been.
        most : reasons, at most.
        given : what is known of the person: the columns of `fit`, each with its value.

        Returns
        -------
        list of (id, share)
            The strongest first; none that speaks against the item, none below a millionth of the strongest, and of
            linear models none for an item whose score is not above 0.

        Raises
        ------
        InputError : the item was not in the fit; the method is popularity, which has no reasons.
        """
        check_is_fitted(self, "model_")
        check_whole("explain", most=most)
        number_of_item = int(places_of([item], self.interactions_.items, "item")[0])
        columns = () if self.given_ is None else tuple(one.name for one in self.given_.properties.columns)
        told = self._asked(one_row(given, columns), None)
        found = self._read([history] if isinstance(history, (list, tuple, set, np.ndarray)) else history, beside=told)
        if len(found.users) != 1:
            raise InputError(f"history must be of one person, a list of item ids; got {len(found.users):,} histories")
        person = told.beside(np.arange(1))
        return self._reasons(widened(self._liked_rows(found), person, self.knobs_, further=False), number_of_item, most)

    # ------------------------------------------------------------------ judging

    def score(self, histories: Any, given: Any = None) -> float:
        """The mean NDCG@100 over histories: a fifth of each is hidden, drawn at random but always the same, and is
        looked for among all items that the rest does not hold. 1 = all of it comes first.

        Histories should be of users that were not in the fit, which else knows what is hidden. Those with fewer than 5
        items do not count. ``given``: what is known of them, as of `recommend`.

        Raises
        ------
        InputError : no history has 5 items that are known.

        Warns
        -----
        DataWarning : users were in the fit, by their ids.
        """
        check_is_fitted(self, "model_")
        return ranked_in(self.model_.scores, self._group(histories, given), at=[100]).mean("ndcg@100")

    def judge(
        self,
        X: Any = None,
        given: Any = None,
        *,
        protocol: str = "users",
        at: Sequence[int] | int = (20, 100),
        seed: int = 0,
    ) -> Judged:
        """How good the lists are, beside those of popularity and of EASE.

        Parameters
        ----------
        X : histories of users that were not in the fit, of each of which a fifth is hidden and looked for. None: the
            interactions of the fit are parted as ``protocol`` says, and all models are fitted anew to one part.
        given : with ``X``, what is known of its users, as of `recommend`; without, what the fit was told is used.
        protocol : without ``X``. ``"users"``: of a fifth of the users, at most 1,000, that nothing is learnt from, a
            fifth of the items is looked for (strong generalisation); ``"items"``: a fifth of everyone's items (weak);
            ``"time"``: the latest fifth of all, from what came before one moment.
        at : lengths of the lists, or one.
        seed : who or what is held out.

        Returns
        -------
        Judged
            A row for popularity, EASE (its strength chosen by other held-out users) and this model. Where EASE does
            not fit the memory its row is missing, and that is said.

        Raises
        ------
        InputError : nobody has anything to be found; ``protocol`` comes with ``X``; by time, the fit had no times.

        Warns
        -----
        DataWarning : users of ``X`` were in the fit, by their ids.
        """
        check_is_fitted(self, "model_")
        return judged(self, X, given, protocol, at, seed)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one ``.safetensors`` file, which ``isthmus.load`` reads. It holds the interactions of the
        fit, with the ids of users."""
        from isthmus.estimators.recommender_files import state_of

        check_is_fitted(self, "model_")
        storage.write(path, *state_of(self))
        return Path(path)

    # ------------------------------------------------------------------ within

    def _set(
        self,
        found: Interactions,
        x: scipy.sparse.csr_array,
        knobs: Knobs,
        g: np.ndarray | None,
        model: Model,
        of_users: Told | None,
        of_items: Told | None,
    ) -> None:
        """Become what was fitted."""
        self.model_: Model = model
        self.given_, self.item_given_ = of_users, of_items
        self.interactions_, self.knobs_, self.popular_ = found, knobs, popularity(x)
        self._gram = g

    def _unfinished(self) -> tuple[str, ...]:
        """What there is to say where a network was not trained to the end."""
        deep = self.knobs_.deep
        if deep is None or not isinstance(self.model_, DeepWeights) or self.model_.epochs >= deep.epochs:
            return ()
        told = f"max_time: training stopped after {self.model_.epochs} of {counted(deep.epochs, 'epoch')}"
        self._say(told)
        return (told,)

    def _liked(self, found: Interactions) -> tuple[scipy.sparse.csr_array, np.ndarray]:
        x, kept = liked(found, self.at_least)
        if not x.nnz and self.at_least is None:
            raise InputError("X leaves no interactions: no pair of a user and an item has a weight above 0")
        if not x.nnz:
            raise InputError(f"at_least={self.at_least:g} leaves no interaction: the largest is {found.matrix.max():g}")
        return x, kept

    def _liked_rows(self, found: Interactions) -> scipy.sparse.csr_array:
        return liked(found, self.at_least)[0]

    def _asked(self, given: Any, user: str | None) -> Asked:
        """What is told of people to recommend to."""
        return asked(given, self.given_, user or self.columns_.user, self.knobs_.given)

    def _read(self, X: Any, told: Columns = Columns(), beside: Asked | None = None) -> Interactions:
        known = None if beside is None else beside.known
        return read_histories(X, self.interactions_.items, told, self.columns_, self.duplicates_, self.at_least, known)

    def _group(self, X: Any, given: Any) -> Group:
        """Histories with a fifth of each hidden, and what is known of their users beside what is left."""
        told = self._asked(given, None)
        found = self._read(X, beside=told)
        warn_known(found, X, self.interactions_)
        group = known_group(self._liked_rows(found))
        wide = widened(group.given, told.beside(found.users), self.knobs_, further=False)
        return Group(group.users, wide, group.wanted)

    def _by_popularity(self) -> np.ndarray:
        return np.argsort(-self.popular_, kind="stable")

    def _properties(self) -> int:
        """Columns beyond the items that the model has."""
        return len(self.given_.properties.names) if self.given_ is not None and self.knobs_.given else 0

    def _reasons(self, history: scipy.sparse.csr_array, item: int, most: int) -> list[tuple[Any, float]]:
        names = () if self.given_ is None else self.given_.properties.names
        return reasons_of(self.model_, history, item, most, self.interactions_.items, names)

    def _checked_k(self, k: int | None, less: int = 0) -> int:
        """A length of lists that so many items less ``less`` fill."""
        items = len(self.popular_)
        most = items - less
        if most < 1:
            raise InputError(f"items: there is but {counted(items, 'item')}, so that no other is like it")
        if k is None:
            return min(USUAL_LENGTH, most)
        check_whole(type(self).__name__, k=k)
        if k > most:
            are = "is" if items == 1 else "are"
            raise InputError(f"k must be at most {most:,}: there {are} {counted(items, 'item')}; got {k:,}")
        return k

    def _say(self, sentence: str) -> None:
        if self.verbose:
            print(sentence, flush=True)
