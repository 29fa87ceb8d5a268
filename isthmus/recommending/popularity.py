"""What is popular: the rival of every model, and the answer to an empty history."""

from __future__ import annotations

import numpy as np
import scipy.sparse


def popularity(x: scipy.sparse.csr_array) -> np.ndarray:
    """(items,) float64: the weight of each item, summed over the users.

    >>> popularity(scipy.sparse.csr_array(np.array([[1.0, 0.0], [2.0, 0.5]]))).tolist()
    [3.0, 0.5]
    """
    return np.bincount(x.indices, weights=x.data, minlength=x.shape[1]).astype(np.float64)


def popular_scores(histories: scipy.sparse.csr_array, popular: np.ndarray) -> np.ndarray:
    """(users, items): the same scores for everyone, whatever their history; a view that cannot be written to."""
    return np.broadcast_to(popular, histories.shape)
