"""A map of where codes lie: a normal distribution for every small cluster of them, by which walks keep to the codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from isthmus.parts.priors.expectation import lone_normal, spread_within, together
from isthmus.parts.priors.fitting import Given, one_seed
from isthmus.parts.priors.mixture import MixtureOfNormals, kinds_of
from isthmus.records import Site

MOST_ROWS = 50_000
"""Rows at most, drawn at random, whose codes are mapped."""

MOST_CLUSTERS, MOST_NUMBERS = 1024, 2**24
"""Clusters at most, of all classes together, and numbers in their covariances. Each has size + 1 rows in the mean."""

ROUNDS = 20
"""Rounds of k-means at most."""


class CodeMap(MixtureOfNormals):
    """A mixture of normal distributions, one around every cluster of codes, with a share of its rows.

    A prior has as few components as tell the density, and each may span several classes. The map has many, so that
    what lies in one component is alike. Clusters are found by k-means, of every class of labels by itself; the
    covariance of each is drawn to what all have in common, which counts as size + 1 rows.

    Examples
    --------
    >>> codes = torch.randn(90, 2, generator=torch.Generator().manual_seed(0))
    >>> found = CodeMap.of(codes, torch.Generator().manual_seed(0))
    >>> found.means.shape, found.density(torch.zeros(3, 2)).shape
    (torch.Size([30, 2]), torch.Size([3]))
    """

    @classmethod
    def of(cls, codes: Tensor, generator: torch.Generator, given: Given | None = None) -> CodeMap:
        """The map of codes (n, size) of rows that are ``given`` something."""
        made = cls(None, Site(code_size=codes.shape[1]))
        some = torch.randperm(len(codes), generator=generator)[:MOST_ROWS]
        told = None if given is None else Given(given.values.cpu()[some], given.labelled)
        made.fit(codes.cpu()[some], generator, told)
        return made.eval()

    def learn(self, x: Tensor, generator: torch.Generator, given: Given | None = None) -> None:
        """Fit to codes (n, size) in their place; quantities stand before them, as in `MixtureOfNormals`."""
        codes, seed = x.double().cpu().numpy(), one_seed(generator)
        rows, number, classes = codes, np.zeros(len(codes), dtype=np.int64), 1
        if given is not None:
            self.labelled, values = given.labelled.cpu(), given.values.double().cpu()
            self.classes, found = kinds_of(values[:, self.labelled])
            self.classes, number, classes = self.classes.to(self.means), found.numpy(), len(self.classes)
            rows = np.concatenate((values[:, ~self.labelled].numpy(), codes), axis=1)
        groups, owner, most = [], list[int](), min(MOST_CLUSTERS, MOST_NUMBERS // self.size**2)
        for one in range(classes):
            place = np.flatnonzero(number == one)
            own = clusters(codes[place], max(1, most // classes), seed)
            groups += [place[own == cluster] for cluster in np.unique(own)]
            owner += [one] * (len(groups) - len(owner))
        within = spread_within(rows, groups)
        shares = [len(group) / len(rows) for group in groups]
        self.keep(together([lone_normal(rows[group], within) for group in groups], shares))
        self.owner = None if given is None else torch.tensor(owner)


def clusters(codes: np.ndarray, most: int, seed: int) -> np.ndarray:
    """(n,) the number of every code's cluster."""
    # Imported here: it takes as long as the rest together.
    from sklearn.cluster import KMeans

    count = min(most, len(codes) // (codes.shape[1] + 1))
    if count > 1:
        count = min(count, len(np.unique(codes.round(6), axis=0)))
    if count < 2:
        return np.zeros(len(codes), dtype=np.int64)
    return KMeans(count, n_init=1, max_iter=ROUNDS, random_state=seed).fit(codes.astype(np.float32)).labels_
