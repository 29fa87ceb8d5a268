"""Are the code's units in use? Dead ones say nothing; in a sparse code those always on say as little."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.diagnostics.probe import Probe, spaced
from isthmus.diagnostics.restraint import Restraint, either
from isthmus.metrics import Activity
from isthmus.verdicts import Verdict, percent

DEAD_SHARE, DEAD_MOST = 1e-4, 0.5
"""A code unit is dead below this share of the units' mean variance; bad where half of them are."""
IDLE_SHARE, MOVED_ROWS, MOVED_CELLS = 1e-3, 32, 16_000_000
"""A unit is idle where moving it over its own spread changes the rebuilt rows by less than a thousandth of its fair
share, variance / units: found by moving each in 32 rows, or fewer where that makes too many cells."""
NEVER_NOTE, NEVER_BAD = 0.10, 0.25
"""A sparse code with a tenth of its units active in no row is worth a note, with a quarter bad."""
SPARSE, ALWAYS_SHARE = 0.5, 0.5
"""A code is sparse where its living units are active in less than half of the rows; units that are on in every row
are bad where they are half of those that a row uses."""
CHANCES = 10
"""Rows are too few to call a unit dead where a unit of average activity would be active in fewer of them."""


@dataclass(frozen=True)
class Unused:
    """Code units by their numbers: ``dead`` ones are the same for every row, ``idle`` ones vary, but what is rebuilt
    hardly does. ``moved`` is the largest share of the rows' variance by which an idle unit changes it."""

    dead: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    moved: float = 0.0

    @property
    def units(self) -> list[int]:
        return sorted({*self.dead, *self.idle})


def unused_units(probe: Probe, codes: Tensor, living: list[int], *, discrete: bool = False) -> Unused:
    """The units among ``living`` of the ``codes`` (n, size) of the probe's rows that say nothing; those of symbols
    cannot be moved."""
    dead = tuple(living[unit] for unit in dead_units(codes[:, living]))
    variance = probe.variance
    if not variance > 0 or len(codes) < 2 or discrete:
        return Unused(dead)
    moved = influence(probe, codes, [unit for unit in living if unit not in dead])
    share = {unit: squares / variance for unit, squares in moved.items()}
    idle = {unit: part for unit, part in share.items() if part * len(living) < IDLE_SHARE}
    return Unused(dead, tuple(idle), max(idle.values(), default=0.0))


def dead_units(codes: Tensor) -> list[int]:
    """The code units that are the same for every row, or nearly so."""
    codes = codes.double()
    variance = codes.var(0, correction=0)
    # Beside the share of the mean, the rounding of a large constant, which has a tiny variance of its own.
    least = torch.maximum(DEAD_SHARE * variance.mean(), (1e-6 * codes.abs().amax(0)).square())
    return torch.nonzero(variance <= least).flatten().tolist()


def influence(probe: Probe, codes: Tensor, units: list[int]) -> dict[int, float]:
    """By how much the rebuilt cells change, squared and in the mean, where a unit is moved by its standard deviation.

    For a linear decoder this is exactly what the unit adds to their variance, were it alone.
    """
    many = max(1, MOVED_CELLS // (max(1, len(units)) * probe.layout.features))
    rows = spaced(len(codes), min(MOVED_ROWS, many)).to(codes.device)
    step, few = codes.double().std(0, correction=0).to(codes), codes[rows]
    start = probe.decoded(few, rows)
    moved = {}
    for unit in units:
        ahead = few.clone()
        ahead[:, unit] += step[unit]
        moved[unit] = float(probe.errors_of(probe.decoded(ahead, rows), start).double().mean())
    return moved


def dead_verdict(
    found: Unused,
    size: int,
    rows: int,
    used: Activity | None = None,
    *,
    held: Restraint = Restraint(),
    drawn: bool = False,
) -> Verdict:
    """Code units that say nothing: ``size`` and ``found`` leave out zeroed ones, ``used`` tells how sparse it is.

    Of codes that are ``drawn`` the verdict on posterior collapse speaks, by the noise that their units have."""
    name, units = "dead units", found.units
    if drawn:
        sentence = "Units of codes that are drawn are judged by 'posterior collapse'."
        return Verdict(name, "good", sentence, float(len(units)))
    if rows < 2:
        return Verdict(name, "note", "Cannot be judged from one row.", float("nan"), "to diagnose with more rows.")
    if not units:
        sentence = f"All {size} code units are in use." if size > 1 else "The code's one unit is in use."
        if held.zeroed:
            sentence = f"{sentence[:-1]}, beside {len(held.zeroed)} zeroed on purpose."
        return Verdict(name, "good", sentence, 0.0)
    shown = ", ".join(str(unit) for unit in units[:8]) + (", ..." if len(units) > 8 else "")
    count = f"{len(units)} of {size} code units"
    sentence = f"{count} are the same for every row (counted from 0: {shown})."
    if found.idle:
        same = f" {len(found.dead)} of them are the same for every row." if found.dead else ""
        sentence = (
            f"{count} hardly change what is rebuilt (counted from 0: {shown}): moved over its own spread, the best "
            f"of them changes it by {percent(found.moved)} of the variance.{same}"
        )
    if used is not None and not found.idle and too_few(used, size, rows):
        sentence = f"{sentence[:-1]}, which {rows:,} rows cannot prove of a code that is so sparse."
        return Verdict(name, "note", sentence, float(len(units)), "to diagnose with more rows.")
    # A code of which nothing is left is no code that is too wide.
    collapsed = len(units) == size
    advice = either(*held.less, "another learning_rate" if collapsed else "a smaller code_size")
    level = "bad" if len(units) >= DEAD_MOST * size else "note"
    return Verdict(name, level, sentence, float(len(units)), advice)


def too_few(found: Activity, size: int, rows: int) -> bool:
    """Whether so few rows leave a healthy unit of a sparse code idle by chance."""
    return found.sparse and rows * found.active_units < CHANCES * size


def activity_verdict(found: Activity, rows: int, *, held: Restraint = Restraint()) -> Verdict:
    """How many units a row uses, and which are never or always on; asked only of codes with exact zeros."""
    name, size = "activity", len(found.shares)
    never, always = len(found.never), len(found.always)
    average = f"average activity {found.mean:.3g}"
    if not found.sparse:
        sentence = f"The code is not sparse: no unit is exactly zero in some rows only ({average})."
        return Verdict(name, "good", sentence, 1.0)
    density = found.active_units / size
    used = f"A row uses {found.active_units:.3g} of {size:,} units in the mean ({percent(density)}; {average})"
    idle = f"{never:,} of {size:,} units {'is' if never == 1 else 'are'} active in no row"
    on = f"{always:,} {'is' if always == 1 else 'are'} active in every row"
    sentence = f"{used}; {idle}, {on}."
    if too_few(found, size, rows):
        sentence = f"{sentence[:-1]}, which {rows:,} rows cannot prove."
        return Verdict(name, "note", sentence, density, "to diagnose with more rows.")
    living = max(1, size - never)
    if never >= NEVER_NOTE * size:
        level = "bad" if never >= NEVER_BAD * size else "note"
        advice = either("a smaller code_size", "a lower learning_rate", *held.less)
        return Verdict(name, level, sentence, density, advice)
    # A code that is half full anyway, as a narrow one with relu is, may well have units that are always on.
    if found.active_units < SPARSE * living and always >= ALWAYS_SHARE * found.active_units:
        sentence = f"{sentence[:-1]}: these tell rows apart no better than a bias."
        return Verdict(name, "bad", sentence, density, either(*(held.more or ("the kind 'sparse'",))))
    return Verdict(name, "good", sentence, density)
