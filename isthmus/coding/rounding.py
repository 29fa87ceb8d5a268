"""Where a grid's coder rounds: before it predicts (open loop), or only what a prediction leaves (closed loop).

An open loop predicts whole numbers that are as coarse as the bound allows, from neighbours that are as coarse. A closed
loop has finer numbers, and rounds their distance from the prediction: no more is lost, and what is predicted from is
smoother. Both are `Numbers.rounded`; where its ``width`` is 1, nothing is rounded, and the loop is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.coding.number_kinds import Numbers
from isthmus.coding.passes import Order
from isthmus.errors import InputError

OPEN = (Numbers("whole", "int64"),)
"""Whole numbers that are kept as they are."""


def closed(numbers: Sequence[Numbers]) -> bool:
    """Whether anything is rounded behind its prediction."""
    return any(one.width > 1 for one in numbers)


def can_round(numbers: Sequence[Numbers], order: Order) -> bool:
    """Whether an order tells which of the numbers are for which elements: they are alike, or each has a channel."""
    return len({(one.width, one.grain) for one in numbers}) == 1 or len(numbers) == max(1, order.channels)


def by_network(numbers: Sequence[Numbers], order: Order) -> tuple[Numbers, ...]:
    """The numbers of the elements of each of the order's networks.

    Parameters
    ----------
    numbers : of all elements, or of each channel; or any that are rounded alike.

    Raises
    ------
    InputError : there are others than the grid has channels.
    """
    channels = max(1, order.channels)
    if not can_round(numbers, order):
        raise InputError(f"numbers: {channels} are needed, one for each channel; got {len(numbers)} of several widths")
    return tuple(numbers[network % channels % len(numbers)] for network in range(len(order.offsets)))
