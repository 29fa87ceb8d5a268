"""What a search may vary of an autoencoder: how it is optimised, its layers, and the knob that its kind is known by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.checks import is_real
from isthmus.data import Source, split
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.fitting import chosen_code_size, fitting_network
from isthmus.estimators.settings import batch_size_for, held_out_share, plan_for
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import RECIPES, Kind, Parts

RATE_REACH, KNOB_REACH = 5.0, 4.0
"""How many times larger or smaller than usual a learning rate, and a kind's own knob, may become."""

LARGEST_SHARE = 0.9
"""What a share, such as that of hidden cells, may become."""

WIDTHS = (0.5, 1.0, 2.0)
"""Multiples of the usual widths of hidden layers."""

MOST_UNITS = 2000
"""Units of a hidden layer."""

ACTIVATIONS = ("silu", "relu", "gelu", "tanh")

OWN = ("corruption", "fraction", "beta", "weight", "dropped")
"""Knobs that recipes are known by, of which the first that is a number, or a corruption that has one, is searched. How
many units are active (``k``), or how many symbols a book has, is what a code may say, as its size is: not searched."""

HIDING = ("corruption", "fraction", "dropped")
"""Those of a corruption."""

STRENGTHS = ("std", "fraction")
"""The number of a corruption."""


@dataclass(frozen=True)
class Knob:
    """One thing to vary: its usual value, and either its ends, between which it is searched by size, or its choices."""

    name: str
    usual: Any
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Space:
    """What may be varied of one autoencoder; the usual values are those that it has without a search.

    Attributes
    ----------
    model : unfitted, with all that the user settled.
    knobs : what the user left open.
    widths : the usual hidden layers; empty where they are not varied.
    """

    model: Autoencoder
    knobs: tuple[Knob, ...]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, model: Autoencoder, source: Source) -> Space:
        """What is open of a model that is to be fitted to these rows."""
        parts = model._parts(source)
        share = held_out_share(model.validation_fraction, source.rows)
        rows = len(split(source.rows, share, 0)[0])
        plan = plan_for(model.get_params(deep=False), rows, source.rows - rows, 0, parts)
        knobs = []
        if model.learning_rate is None:
            knobs.append(numeric("learning_rate", plan.learning_rate, RATE_REACH))
        if model.batch_size is None:
            usual = batch_size_for(rows)
            knobs.append(Knob("batch_size", usual, choices=(usual // 2, usual, 2 * usual)))
        widths = widths_of(model, parts, source)
        if widths:
            activation = parts.network.activation  # type: ignore[union-attr]
            knobs.append(Knob("width", 1.0, choices=WIDTHS))
            knobs.append(Knob("layers", len(widths), choices=tuple(range(1, len(widths) + 2))))
            knobs.append(Knob("activation", activation, choices=tuple(dict.fromkeys((activation, *ACTIVATIONS)))))
        own = own_knob(model)
        return cls(model, (*knobs, *([own] if own else [])), widths)

    @property
    def usual(self) -> dict[str, Any]:
        return {knob.name: knob.usual for knob in self.knobs}

    def settings(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """What was drawn as a user would write it: three digits of a number, and layers as their widths."""
        found: dict[str, Any] = {}
        for knob in self.knobs:
            value = drawn[knob.name]
            if knob.name == "width":
                found["hidden"] = hidden_of(self.widths, value, drawn["layers"])
            elif knob.name != "layers":
                found[knob.name] = value if knob.choices else float(f"{value:.3g}")
        return found

    def model_with(self, settings: Mapping[str, Any], **more: Any) -> Autoencoder:
        """The model with these settings in place of what was open, and with other parameters."""
        params = {**self.model.get_params(deep=False), **more}
        params |= {name: settings[name] for name in ("learning_rate", "batch_size") if name in settings}
        kind = kind_with(params["method"], settings)
        changed = {name: settings[name] for name in ("hidden", "activation") if name in settings}
        if changed and changed != {"hidden": self.widths, "activation": self.usual["activation"]}:
            # As parts, not as network=: what suits the ends of the data is still chosen then.
            parts = kind.parts() if isinstance(kind, Kind) else kind
            kind = replace(parts, network=replace(parts.network, **changed))
        return Autoencoder(**{**params, "method": kind})


def numeric(name: str, usual: float, reach: float, share: bool = False) -> Knob:
    """A number > 0, by size; a share stays one."""
    most = max(usual, LARGEST_SHARE) if share else np.inf
    return Knob(name, usual, usual / reach, float(min(usual * reach, most)))


def widths_of(model: Autoencoder, parts: Any, source: Source) -> tuple[int, ...]:
    """The usual hidden layers of a dense network that was left open; none where there are none, or layers are tied or
    trained one by one."""
    if not isinstance(parts, Parts) or model.network != "auto" or parts.pretraining is not None:
        return ()
    network = fitting_network(parts, source).network
    if not isinstance(network, Dense) or not network.hidden or network.tied:
        return ()
    layout = source.layout
    return network.resolve(layout.numbers, chosen_code_size(model.code_size, parts, layout)).hidden  # type: ignore[return-value]


def hidden_of(usual: tuple[int, ...], width: float, layers: int) -> tuple[int, ...]:
    """Some layers, times a width: those at the data's end, the last once more where there are more than usual.

    >>> hidden_of((128, 64), 2.0, 1), hidden_of((128, 64), 0.5, 3)
    ((256,), (64, 32, 32))
    """
    some = [*usual, *[usual[-1]] * layers][:layers]
    return tuple(units if width == 1.0 else min(max(round(units * width), 8), MOST_UNITS) for units in some)


def own_knob(model: Autoencoder) -> Knob | None:
    """The knob that the model's kind is known by, unless the user settled it."""
    if not isinstance(model.method, (str, Kind)):
        return None
    kind = Kind(model.method) if isinstance(model.method, str) else model.method
    # Judges that learn beside a model play a game of their own: what one says is no measure for another.
    rivals = any(getattr(penalty, "adversary", None) for penalty in kind.parts().penalties)
    settled = {*kind.chosen, *(HIDING if model.corruption is not None else ()), *(("weight",) if rivals else ())}
    for name, value in RECIPES[kind.name].knobs.items():
        strength = strength_of(value) if name in OWN and name not in settled else None
        if strength is not None:
            return numeric(name, strength, KNOB_REACH, share=name in HIDING and not hasattr(value, "std"))
    return None


def strength_of(value: Any) -> float | None:
    """A number > 0, or that of a corruption; None of all else.

    >>> from isthmus.parts.corruptions import Mask
    >>> strength_of(4), strength_of(Mask(0.2)), strength_of("relu"), strength_of(0.0)
    (4.0, 0.2, None, None)
    """
    value = next((getattr(value, name) for name in STRENGTHS if hasattr(value, name)), value)
    return float(value) if is_real(value) and value > 0 else None


def kind_with(method: Any, settings: Mapping[str, Any]) -> Any:
    """The kind with its own knob set, if that was searched."""
    found = [name for name in settings if name in OWN]
    if not found:
        return Kind(method) if isinstance(method, str) else method
    name, kind = found[0], Kind(method) if isinstance(method, str) else method
    value, usual = settings[name], RECIPES[kind.name].knobs[name]
    if value == strength_of(usual):
        return kind
    for strength in STRENGTHS:
        if hasattr(usual, strength):
            value = replace(usual, **{strength: value})
            break
    return Kind(kind.name, **{**kind.chosen, name: value})
