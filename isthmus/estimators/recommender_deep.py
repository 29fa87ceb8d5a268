"""A trained composition as a model of a `Recommender`, with a linear path beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import nn
from torch.nn import functional as F

from isthmus.composition import Composition
from isthmus.recommending.linear import item_scores
from isthmus.records import Batch, Layout

ROWS_AT_ONCE = 64
"""Rows of every block that a network is shown, the last filled with empty ones: matrix products of one shape round
alike, so that what a history scores does not depend on its company."""


@dataclass(frozen=True, eq=False, repr=False)
class DeepWeights:
    """A deep model with a linear path.

    A history's logits are those of the decoder, and what its items say for others besides::

        score = decoder(code) + gain * x B

    Attributes
    ----------
    composition : of (n, items) histories; the decoder ends in one linear map with a row for each item.
    weights : B, (items, items), dense or sparse; None where the gain is 0.
    gain : >= 0.
    epochs : how often the histories were gone through.
    """

    composition: Composition
    weights: np.ndarray | scipy.sparse.csr_array | None = None
    gain: float = 0.0
    epochs: int = 0

    def scores(self, histories: scipy.sparse.csr_array) -> np.ndarray:
        """(users, items) float32; all 0 where a history says nothing."""
        made = network_scores(self.composition, histories)
        if self.weights is not None:
            made += np.float32(self.gain) * item_scores(histories, self.weights)
        made[np.diff(histories.indptr) == 0] = 0.0
        return made

    def alike(self, item: int) -> np.ndarray:
        """The cosine of the items' rows of the decoder's last map, whose mean is taken out of all."""
        rows = item_weights_of(self.composition)[1].detach()
        rows = F.normalize(rows - rows.mean(0), dim=1)
        return np.clip((rows @ rows[item]).numpy().astype(np.float64), -1.0, 1.0)

    def reasons(self, history: scipy.sparse.csr_array, item: int) -> tuple[np.ndarray, np.ndarray]:
        """The items of a (1, items) history, and by how much the score of ``item`` falls without each alone."""
        taken = history.indices.astype(np.int64)
        if not len(taken):
            return taken, np.zeros(0)
        whole = np.repeat(history.toarray(), len(taken) + 1, axis=0)
        whole[np.arange(len(taken)) + 1, taken] = 0
        found = self.scores(scipy.sparse.csr_array(whole))[:, item].astype(np.float64)
        shares = found[0] - found[1:]
        order = np.lexsort((taken, -shares))
        return taken[order], shares[order]


def network_scores(composition: Composition, histories: scipy.sparse.csr_array) -> np.ndarray:
    """(users, items) float32: what the decoder makes of each history's code, the logits of the items' shares."""
    users, items = histories.shape
    made = np.empty((users, items), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, users, ROWS_AT_ONCE):
            some = histories[start : start + ROWS_AT_ONCE]
            block = np.zeros((ROWS_AT_ONCE, items), dtype=np.float32)
            block[: some.shape[0]] = some.toarray()
            batch = batch_of(block)
            out = composition.decode_point(composition.represent(batch), composition.context(batch))
            made[start : start + ROWS_AT_ONCE] = out[: some.shape[0]].numpy()
    return made


def batch_of(rows: np.ndarray) -> Batch:
    """A batch of dense (n, items) float32 histories."""
    return Batch(torch.from_numpy(rows), Layout((rows.shape[1],), ("column",)))


def inherit(composition: Composition, before: Composition, places: np.ndarray) -> None:
    """Give a composition the weights of one for fewer items.

    ``places``: (old items,) where they are now; the weights of the other items stay as they are.
    """
    of_items, rows = {id(weights) for weights in item_weights_of(composition)}, torch.from_numpy(places)
    old = weights_of(before)
    with torch.no_grad():
        for name, now in weights_of(composition).items():
            if id(now) in of_items:
                now[rows] = old[name]
            else:
                now.copy_(old[name])


def weights_of(composition: Composition) -> dict[str, nn.Parameter]:
    """What a composition has learnt, by name; not the encoder of a while ago, which a penalty may hold."""
    return {
        name: weights for name, weights in composition.named_parameters() if not name.startswith("learning_penalties.")
    }


def item_weights_of(composition: Composition) -> tuple[nn.Parameter, ...]:
    """Those with a row for each item: the encoder's first map, and the decoder's last with its biases."""
    encoder: Any = composition.encoder
    decoder: Any = composition.decoder
    last: nn.Module = decoder.linear[-1]
    return (encoder.linear[0].weight, last.get_parameter("weight"), last.get_parameter("bias"))
