"""What keeps a composition from copying, beside the width of its code, and what to turn to have more or less of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isthmus.composition import Composition
from isthmus.parts.bottlenecks.sparse import BatchChoice, Jump, TopK
from isthmus.parts.bottlenecks.zeroed import ZeroedUnits
from isthmus.parts.penalties.weights import WeightDecay


@dataclass(frozen=True)
class Restraint:
    """Advice for one composition, which names only what it has.

    Attributes
    ----------
    less, more : what to turn for less or more restraint, e.g. ``("a lower penalty weight", "less corruption")``;
        empty where nothing restrains it.
    zeroed : the code units that the bottleneck forces to 0.
    """

    less: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    zeroed: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.less)


def restraint(composition: Composition) -> Restraint:
    """What the penalties, the bottleneck and the corruption of a composition can be asked for.

    Decay of the weights is no restraint of the code: a copy with small weights is a copy.
    """
    less, more, zeroed = [], [], set()
    if any(not isinstance(penalty, WeightDecay) for penalty in composition.penalties):
        less.append("a lower penalty weight")
        more.append("a larger penalty weight")
    for bottleneck in nested(composition.bottleneck):
        if isinstance(bottleneck, (TopK, BatchChoice)):
            less.append("a larger k")
            more.append("a smaller k")
        elif isinstance(bottleneck, Jump):
            less.append("a lower price")
            more.append("a higher price")
        elif isinstance(bottleneck, ZeroedUnits):
            zeroed |= set(bottleneck.units)
        elif hasattr(bottleneck, "prior"):
            less.append("a lower beta")
            more.append("a higher beta")
    if composition.corruption is not None:
        less.append("less corruption")
        more.append("more corruption")
    return Restraint(tuple(less), tuple(more), tuple(sorted(zeroed)))


def nested(bottleneck: Any) -> Iterator[Any]:
    """A bottleneck, and those that it is wrapped around."""
    while bottleneck is not None:
        yield bottleneck
        bottleneck = bottleneck.bottleneck if isinstance(bottleneck, ZeroedUnits) else None


def either(*choices: str) -> str:
    """Advice as a list in words, a sentence's end.

    >>> either("a"), either("a", "b"), either("a", "b", "c")
    ('a.', 'a, or b.', 'a, b, or c.')
    """
    return (", ".join([*choices[:-1], f"or {choices[-1]}"]) if len(choices) > 1 else "".join(choices)) + "."
