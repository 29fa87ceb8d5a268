"""A network in whole numbers that foretells a table's columns, one after the other.

A row's symbols go into a sum of embeddings, and every column has a head of its own on it (Larochelle & Murray's neural
autoregressive estimator, with symbols in place of bits):

    hidden_j = max(0, bias_j + sum of embeddings of the columns before j)
    logits_j = hidden_j @ head_j + constants_j

Its sums stay far below 2**53, so a float64 holds them exactly on every machine, in whatever order they are added.

References
----------
Larochelle & Murray, *The neural autoregressive distribution estimator*, AISTATS 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.checks import listed
from isthmus.coding.whole import LIMIT, frequencies
from isthmus.errors import InputError

CONSTANT = 16
"""Units of `isthmus.coding.whole.UNIT` in one of the constants: they are counted in 1/16 nat."""

SCALES = tuple(2**power for power in range(9))


@dataclass(frozen=True, eq=False)
class ColumnNetwork:
    """The network over the symbols of C columns, G in all, with H hidden units.

    Parameters
    ----------
    heads : shape (C,), bool: which columns are foretold; the others have neither weights nor constants.
    embeddings : shape (G, H), whole, the columns one below the other in the table's order.
    bias : shape (C, H), whole, in the units of the embeddings.
    weights : shape (F, H), whole: of every symbol of the columns with a head.
    constants : shape (F,), whole, in 1/16 nat.
    scale : logits are products of hidden units and weights, times this: 1, 2, ... 256 units.
    """

    heads: np.ndarray
    embeddings: np.ndarray
    bias: np.ndarray
    weights: np.ndarray
    constants: np.ndarray
    scale: int

    @property
    def hidden(self) -> int:
        """How many hidden units there are: H."""
        return self.bias.shape[1]

    @cached_property
    def floats(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Embeddings, bias and weights as float64."""
        return self.embeddings.astype(np.float64), self.bias.astype(np.float64), self.weights.astype(np.float64)

    def embedded(self, first: int, symbols: np.ndarray) -> np.ndarray:
        """(n, H): the embeddings of a column's symbols; ``first`` is the number of symbols before that column."""
        return self.floats[0][first + symbols]

    def tables(self, place: int, symbols: slice, sums: np.ndarray) -> np.ndarray:
        """(n, K) frequencies of a column with a head.

        Parameters
        ----------
        place : the column's.
        symbols : which of the F it has.
        sums : shape (n, H), of the embeddings of the columns before it.
        """
        _, bias, weights = self.floats
        units = np.maximum(sums + bias[place], 0)
        logits = (units @ weights[symbols].T).astype(np.int64)
        return frequencies(logits * self.scale + self.constants[symbols] * CONSTANT)

    def check(self, sizes: np.ndarray) -> None:
        """Refuse shapes that do not fit columns of so many symbols, and sums that may not be exact.

        Raises
        ------
        InputError
        """
        columns = len(sizes)
        symbols = (int(sizes.sum()), int((sizes * self.heads).sum())) if self.heads.shape == (columns,) else (-1, -1)
        found = (self.bias.shape, self.embeddings.shape, self.weights.shape, self.constants.shape)
        wide = self.bias.shape[-1:]
        if found != ((columns, *wide), (symbols[0], *wide), (symbols[1], *wide), (symbols[1],)):
            raise InputError(f"the network does not fit {columns} columns of {int(sizes.sum())} symbols")
        if self.scale not in SCALES:
            raise InputError(f"scale must be one of {listed(SCALES, len(SCALES))}; got {self.scale}")
        bias, embedding, weight, constant = (
            float(np.abs(part.astype(np.float64)).max(initial=0))
            for part in (self.bias, self.embeddings, self.weights, self.constants)
        )
        units = bias + columns * embedding
        most = self.scale * self.hidden * units * weight + CONSTANT * constant
        if not max(units, most) < LIMIT:
            raise InputError(f"the network's sums could reach {LIMIT:,}, beyond which they are not exact")
