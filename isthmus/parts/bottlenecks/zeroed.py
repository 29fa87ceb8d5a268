"""Any bottleneck with chosen units of its code forced to 0."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.records import NOWHERE, Code, Context, Site, built, part, replace


@part
class Zeroed:
    """Force chosen units of a code to 0: what the others carry without them, in training and afterwards.

    Parameters
    ----------
    units : their numbers, each once, from 0 to code_size - 1.
    bottleneck : makes the code; what it charges for the units that are then zeroed is still paid.

    Raises
    ------
    InputError : a unit is negative, named twice, or beyond the code.

    Examples
    --------
    >>> Zeroed((1,)).build()(torch.ones(1, 3), Context(shape=(4,))).z
    tensor([[1., 0., 1.]])
    """

    units: tuple[int, ...] = ()
    bottleneck: Any = Plain()

    def __post_init__(self) -> None:
        if not isinstance(self.units, Iterable) or isinstance(self.units, str):
            raise InputError(f"Zeroed: units must be whole numbers such as (0, 3); got {self.units!r}")
        try:
            units = tuple(operator.index(unit) for unit in self.units)
        except TypeError as error:
            raise InputError(f"Zeroed: units must be whole numbers such as (0, 3); got {self.units!r}") from error
        for unit in units:
            if unit < 0:
                raise InputError(f"Zeroed: units are counted from 0; got {unit}")
            if units.count(unit) > 1:
                raise InputError(f"Zeroed: unit {unit} is named {units.count(unit)} times; name each once")
        object.__setattr__(self, "units", units)

    def build(self, site: Site = NOWHERE) -> ZeroedUnits:
        return ZeroedUnits(self.units, built(self.bottleneck, site))


class ZeroedUnits(nn.Module):
    """The module behind `Zeroed`; what it does not do itself, the bottleneck in it does."""

    FORWARDED = ("start", "after_step", "combine", "joined", "prior", "couples_rows", "estimates_gradient")

    def __init__(self, units: tuple[int, ...], bottleneck: Any) -> None:
        super().__init__()
        self.units = units
        self.bottleneck = bottleneck

    def __getattr__(self, name: str) -> Any:
        # By asking the bottleneck, so that a method it lacks is lacking here too: the composition looks for them.
        if name in ZeroedUnits.FORWARDED:
            return getattr(self.bottleneck, name)
        return super().__getattr__(name)

    def width(self, code_size: int) -> int:
        """Numbers the encoder must emit for a code of ``code_size``."""
        self.check(code_size)
        return self.bottleneck.width(code_size)

    def check(self, code_size: int) -> None:
        if len(self.units) >= code_size:
            raise InputError(f"Zeroed: some of the {code_size} units must be left; got {len(self.units)} to zero")
        for unit in self.units:
            if unit >= code_size:
                raise InputError(
                    f"Zeroed: there is no unit {unit} in a code of {code_size}; units are 0 to {code_size - 1}"
                )

    def forward(self, hidden: Tensor, context: Context) -> Code:
        code = self.bottleneck(hidden, context)
        size = code.point.shape[1]
        self.check(size)
        lead = 2 if code.draws else 1
        if code.z.shape[lead:].numel() != size:
            raise InputError(
                f"Zeroed: {type(self.bottleneck).__name__} hands the decoder {code.z.shape[lead:].numel()} numbers for "
                f"{size} units of code; only codes that the decoder reads unit by unit can be zeroed"
            )
        return replace(code, z=self.without(code.z, lead), point=self.without(code.point, 1))

    def without(self, values: Tensor, lead: int) -> Tensor:
        """``values`` with the units set to 0, behind the first ``lead`` axes."""
        flat = values.flatten(lead)
        places = torch.tensor(self.units, dtype=torch.long, device=values.device)
        return flat.index_fill(-1, places, 0.0).reshape(values.shape)

    def z_of(self, point: Tensor) -> Tensor:
        """What the decoder reads for a code: the bottleneck's, of the code without the units."""
        point = self.without(point, 1)
        return self.bottleneck.z_of(point) if hasattr(self.bottleneck, "z_of") else point
