"""What a `Recommender` gives back: items for people, items like items, and how good the lists are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Recommended:
    """The k items that suit each of n users best, the best first.

    Attributes
    ----------
    users : (n,) ids, in the order in which the histories came; histories without names are numbered from 0.
    items : (n, k) ids; None where a user has seen so much that fewer than k are left.
    scores : (n, k) float64, what the history says for each item; NaN where there is none. Scores of one user can be
        compared, and mean nothing by themselves.
    reasons : for each user and each item a list of (id, share): the items of the history that say most for it, and what
        each adds to its score; None where nobody asked.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    reasons: list[list[list[tuple[Any, float]]]] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        users, k = self.items.shape
        return f"Recommended(users={users}, k={k})"

    def frame(self) -> Any:
        """A pandas frame, a row for each user and item: ``user``, ``rank``, ``item``, ``score``, and, where they were
        asked for, the reasons in columns of their own, ``because 1`` and so on."""
        import pandas as pd

        users, k = self.items.shape
        filled = ~np.isnan(self.scores.ravel())
        columns: dict[str, Any] = {
            "user": np.repeat(self.users, k)[filled],
            "rank": np.tile(np.arange(1, k + 1), users)[filled],
            "item": self.items.ravel()[filled].tolist(),
            "score": self.scores.ravel()[filled],
        }
        if self.reasons is not None:
            every = [reasons for one in self.reasons for reasons in one]
            kept = [reasons for reasons, there in zip(every, filled, strict=True) if there]
            for place in range(max(map(len, kept), default=0)):
                columns[f"because {place + 1}"] = [str(one[place][0]) if len(one) > place else None for one in kept]
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False, repr=False)
class Similar:
    """The k items most like each of n items, the most alike first.

    Attributes
    ----------
    of : (n,) ids of the items that were asked about.
    items : (n, k) ids.
    similarities : (n, k) float64 in [-1, 1]: how far two items are taken together, beyond what all other items explain.
    """

    of: np.ndarray
    items: np.ndarray
    similarities: np.ndarray

    def __len__(self) -> int:
        return len(self.of)

    def __repr__(self) -> str:
        items, k = self.items.shape
        return f"Similar(of={items}, k={k})"
