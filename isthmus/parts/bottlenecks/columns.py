"""Choosing columns: without repetition, by what each place wants; and by what they foretell of all others."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def distinct(wishes: Tensor) -> Tensor:
    """A column for every place, no two the same: where several want one, the surest has it.

    Parameters
    ----------
    wishes : (places, columns) logits, places <= columns.

    Returns
    -------
    Tensor
        (places,) int64: every place's most wanted column, or the best that surer places have left it.

    Examples
    --------
    >>> distinct(torch.tensor([[3.0, 1.0, 0.0], [9.0, 0.0, 1.0], [0.0, 1.0, 2.0]])).tolist()
    [1, 0, 2]
    """
    shares = wishes.detach().log_softmax(1)
    chosen = shares.argmax(1)
    if len(torch.unique(chosen)) == len(chosen):
        return chosen
    left, found = shares.double().cpu().numpy(), np.full(len(chosen), -1)
    waiting = np.arange(len(chosen))
    while len(waiting):
        wanted = left[waiting].argmax(1)
        surest = np.argsort(-left[waiting, wanted], kind="stable")
        # The first of every column in this order is the surest of those that want it.
        _, first = np.unique(wanted[surest], return_index=True)
        served = surest[first]
        found[waiting[served]] = wanted[served]
        left[:, wanted[served]] = -np.inf
        waiting = np.delete(waiting, served)
    return torch.from_numpy(found).to(wishes.device)


def foretelling(x: np.ndarray, k: int, bends: int = 0, least: float = 1e-9) -> np.ndarray:
    """The numbers of ``k`` columns from which all columns are foretold best, found one after the other.

    All columns are foretold by least squares from functions of the chosen ones: the columns themselves and, with
    ``bends``, as many broken lines of each. Every column is the one that, joined to those before it, leaves the least
    squared error over all columns. With C the covariance of what is left of all functions, J those of one column and T
    the columns, joining it lowers the sum of squared errors by  tr(C_TJ C_JJ^-1 C_JT),  and leaves
    C - C_.J C_JJ^-1 C_J. .

    Parameters
    ----------
    x : (rows, columns) float64.
    k : 1 <= k <= columns.
    bends : >= 0. With 0 the map is linear; otherwise it is a sum of curves, one of each chosen column.
    least : a column of whose variance less than this share is left is foretold already; such columns come last, as
        they stand.

    References
    ----------
    Farahat, Ghodsi & Kamel 2011, An efficient greedy method for unsupervised feature selection (the linear one).

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> a, b = draw.standard_normal((2, 500))
    >>> foretelling(np.stack([0.1 * a, a, a + 3 * b], axis=1), 2).tolist()  # the first is foretold by the second
    [2, 1]
    >>> x = np.stack([a, a**2, abs(a)], axis=1)
    >>> foretelling(x, 1).tolist(), foretelling(x, 1, bends=3).tolist()  # no square tells the sign
    ([1], [0])
    """
    columns = x.shape[1]
    functions = broken_lines(x, bends)
    spread = functions.std(0)
    functions = (functions - functions.mean(0)) / np.where(spread > 0, spread, 1.0)
    kinds = functions.shape[2]
    flat = functions.reshape(len(x), columns * kinds)
    left, every, variance = flat.T @ flat / len(x), np.arange(columns), np.square(spread[:, 0])
    found: list[int] = []
    while len(found) < k:
        blocks = left.reshape(columns, kinds, columns, kinds)
        there = blocks[every, 0, every, 0] > least
        there[found] = False
        if not there.any():
            break
        # Broken lines of a column of two values are that column again: hence no plain inverse.
        inverse = np.linalg.pinv(blocks[every, :, every, :], rcond=1e-9 if kinds == 1 else 1e-6, hermitian=True)
        told = blocks[:, :, :, 0]
        gain = (np.einsum("jpt,jpt->jt", told, inverse @ told) * variance).sum(1)
        best = int(np.where(there, gain, -1.0).argmax())
        found.append(best)
        own = slice(best * kinds, (best + 1) * kinds)
        left = left - left[:, own] @ inverse[best] @ left[own]
    return np.concatenate([np.array(found, dtype=np.int64), np.setdiff1d(every, found)[: k - len(found)]])


def broken_lines(x: np.ndarray, bends: int) -> np.ndarray:
    """(rows, columns, 1 + bends): every column, and what of it is above each of its quantiles, each value counted once.

    >>> broken_lines(np.array([[0.0], [1.0], [2.0], [2.0]]), 1)[:, 0].tolist()
    [[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [2.0, 1.0]]
    """
    shares = np.arange(1, bends + 1) / (bends + 1)
    knots = np.array([np.quantile(np.unique(column), shares) for column in x.T]).reshape(x.shape[1], bends)
    return np.concatenate((x[:, :, None], np.maximum(x[:, :, None] - knots, 0)), axis=2)
