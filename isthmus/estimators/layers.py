"""The activations of any layer of a fitted encoder, as features of rows."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.checks import did_you_mean, listed
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.records import EVALUATION, Batch, Pass, Seen

CODE = "code"
"""The name of what comes out of the encoder and its bottleneck."""


def encoder_layers(composition: Composition) -> list[str]:
    """The layers that features can be taken from, in the encoder's order, the code last."""
    return [*(name for name in composition.layer_names() if name.startswith("encoder.")), CODE]


def check_layer(composition: Composition, layer: Any) -> str:
    """The layer, if there is one of that name."""
    names = encoder_layers(composition)
    if not isinstance(layer, str) or layer not in names:
        near = did_you_mean(layer, names) if isinstance(layer, str) else ""
        near = "" if near.startswith(" There are") else near
        raise InputError(f"layer: the encoder has no layer {layer!r}.{near} It has {listed(names, limit=20)}")
    return layer


class Reader(nn.Module):
    """One layer of an encoder as a function of scaled rows: batch -> (n, width).

    Parameters
    ----------
    composition : its weights are shared; its structure is copied where a layer within is watched, so that threads that
        read different layers do not meet.
    layer : one of `encoder_layers`.
    """

    def __init__(self, composition: Composition, layer: str) -> None:
        super().__init__()
        self.layer = check_layer(composition, layer)
        self.seen: Tensor | None = None
        if layer != CODE:
            shared = {id(values): values for values in (*composition.parameters(), *composition.buffers())}
            composition = copy.deepcopy(composition, shared)
            composition.get_submodule(layer).register_forward_hook(self.keep)
        self.composition = composition

    @property
    def loss(self) -> Any:
        """Which the export as a graph asks for what rows look like."""
        return self.composition.loss

    def keep(self, _module: nn.Module, _inputs: Any, out: Any) -> None:
        out = out[0] if isinstance(out, tuple) else out  # a recurrent layer's outputs, without its last state
        self.seen = out.clone()  # an activation that follows may overwrite it

    def forward(self, batch: Batch, pass_: Pass = EVALUATION) -> Tensor:
        """What the layer says of rows; in training, of rows that are varied and corrupted as those of the fit were."""
        composition, seen = self.composition, None
        if pass_.training and composition.augmentation is not None:
            batch = composition.augmentation(batch, pass_)
        if pass_.training and composition.corruption is not None:
            seen = composition.corruption(batch, pass_)
        return self.of_seen(batch, pass_, seen)

    def of_seen(self, batch: Batch, pass_: Pass, seen: Seen | None) -> Tensor:
        """The same of rows of which the encoder is shown ``seen``."""
        point = self.composition.encode(batch, self.composition.context(batch, pass_, seen), seen)[1].point
        if self.layer == CODE:
            return point
        out, self.seen = self.seen, None
        if out is None:
            raise InputError(f"layer: {self.layer!r} is not run when rows are encoded, so it says nothing of them")
        return flattened(out, batch)

    def represent(self, batch: Batch) -> Tensor:
        return self(batch)


def flattened(out: Tensor, batch: Batch) -> Tensor:
    """(n, width): maps are laid out flat; what is said of every step of a sequence is averaged over its valid steps."""
    if not (batch.layout.sequence and out.ndim == 3 and out.shape[1] == batch.x.shape[1]):
        return out.flatten(1)
    if batch.lengths is None:
        return out.mean(1)
    valid = torch.arange(out.shape[1], device=out.device) < batch.lengths[:, None]
    return (out * valid[:, :, None]).sum(1) / batch.lengths[:, None]
