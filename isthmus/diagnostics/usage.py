"""Are the code's units in use? Dead ones say nothing; in a sparse code those always on say as little."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.metrics import Activity
from isthmus.verdicts import Verdict, percent

DEAD_SHARE, DEAD_MOST = 1e-4, 0.5
"""A code unit is dead below this share of the units' mean variance; bad where half of them are."""
NEVER_NOTE, NEVER_BAD = 0.10, 0.25
"""A sparse code with a tenth of its units active in no row is worth a note, with a quarter bad."""
SPARSE, ALWAYS_SHARE = 0.5, 0.5
"""A code is sparse where its living units are active in less than half of the rows; units that are on in every row
are bad where they are half of those that a row uses."""
CHANCES = 10
"""Rows are too few to call a unit dead where a unit of average activity would be active in fewer of them."""


def dead_units(codes: Tensor) -> list[int]:
    """The code units that are the same for every row, or nearly so."""
    codes = codes.double()
    variance = codes.var(0, correction=0)
    # Beside the share of the mean, the rounding of a large constant, which has a tiny variance of its own.
    least = torch.maximum(DEAD_SHARE * variance.mean(), (1e-6 * codes.abs().amax(0)).square())
    return torch.nonzero(variance <= least).flatten().tolist()


def dead_verdict(dead: list[int], size: int, rows: int, found: Activity | None = None) -> Verdict:
    """Code units that say nothing: ``dead`` holds their numbers; ``found`` tells whether the code is sparse."""
    name = "dead units"
    if rows < 2:
        return Verdict(name, "note", "Cannot be judged from one row.", float("nan"), "to diagnose with more rows.")
    if not dead:
        sentence = f"All {size} code units are in use." if size > 1 else "The code's one unit is in use."
        return Verdict(name, "good", sentence, 0.0)
    shown = ", ".join(str(unit) for unit in dead[:8]) + (", ..." if len(dead) > 8 else "")
    sentence = f"{len(dead)} of {size} code units are the same for every row (counted from 0: {shown})."
    if found is not None and too_few(found, size, rows):
        sentence = f"{sentence[:-1]}, which {rows:,} rows cannot prove of a code that is so sparse."
        return Verdict(name, "note", sentence, float(len(dead)), "to diagnose with more rows.")
    advice = "a smaller code_size, or less penalty." if size > 1 else "less penalty, or another learning_rate."
    level = "bad" if len(dead) >= DEAD_MOST * size else "note"
    return Verdict(name, level, sentence, float(len(dead)), advice)


def too_few(found: Activity, size: int, rows: int) -> bool:
    """Whether so few rows leave a healthy unit of a sparse code idle by chance."""
    return found.sparse and rows * found.active_units < CHANCES * size


def activity_verdict(found: Activity, rows: int) -> Verdict:
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
        return Verdict(name, level, sentence, density, "a smaller code_size, a lower learning_rate, or less penalty.")
    # A code that is half full anyway, as a narrow one with relu is, may well have units that are always on.
    if found.active_units < SPARSE * living and always >= ALWAYS_SHARE * found.active_units:
        sentence = f"{sentence[:-1]}: these tell rows apart no better than a bias."
        return Verdict(name, "bad", sentence, density, "more penalty, or fewer active units per row.")
    return Verdict(name, "good", sentence, density)
