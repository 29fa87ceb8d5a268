"""Can one walk about among the codes? Near codes should decode to near outputs, and draws of the prior to likely rows.

These are the two things asked of a code to generate from: continuity and completeness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isthmus.diagnostics.aggregate import REFIT
from isthmus.diagnostics.attractors import nearest
from isthmus.diagnostics.collapse import draws_of
from isthmus.diagnostics.probe import Probe, spaced
from isthmus.diagnostics.restraint import Restraint, either
from isthmus.verdicts import NOTHING_LEARNT, Verdict, percent, times

STEPPED, POOL, DIRECTIONS, FEWEST, CELLS = 256, 2_000, 4, 30, 4_000_000
"""Rows whose codes are moved, rows among which their neighbours are sought, steps from each, the fewest rows, and the
most cells that are decoded at once."""
ROUGH, APART = 0.5, 1.2
"""A step to as far as the nearest other code should change what is rebuilt as much as nearest rows differ. Half of the
way from there to how much any two rows differ is worth a note, and all of it bad: near codes then have nothing in
common. Not where any two rows differ by less than 1.2 times what nearest ones do, as noise in many columns does."""
SAMPLES, WITHIN = 1_000, 0.95
"""Draws from the prior; they lie on the data where they are as near to a row as 95 % of the rebuilt rows are."""
INCOMPLETE, EMPTY = 0.8, 0.1
"""Of a prior that has its mass where the data's codes lie, 95 % of the draws would: below 80 % is a note, below 10 %
bad. Well trained variational kinds have a third to two thirds, a mixture fitted to codes about 90 %."""


@dataclass(frozen=True)
class Step:
    """How far what is rebuilt moves for a small step of the code, ``moved``, and how far apart two rows drawn by chance
    are, ``any_two``, both over the distance between nearest rows, the median; NaN for the reason ``why``."""

    moved: float = float("nan")
    any_two: float = float("nan")
    why: str = ""


def decoding_step(probe: Probe, codes: Tensor, *, discrete: bool = False) -> Step:
    """Steps as long as that from a code to its nearest other one, in directions in which codes differ: those of
    differences between two codes drawn by chance."""
    if probe.composition.loss.support == "category":
        return Step(why="some columns are categories, between which there are no small steps")
    if discrete:
        return Step(why="codes are symbols, between which there are no small steps")
    pool = spaced(len(codes), POOL)
    if len(pool) < FEWEST:
        return Step(why=f"{len(pool)} rows are too few")
    places = pool.to(codes.device)
    code, x = codes[places], probe.points[pool.to(probe.x.device)].to(codes)
    rows = spaced(len(code), min(STEPPED, at_once(probe))).to(code.device)
    length, apart = (nearest(every[rows], every, skip_itself=True)[0].to(code) for every in (code, x))
    usable = (length > 0) & (apart > 0)
    if not bool(usable.any()):
        return Step(why="each row, or its code, has a double")
    rows, length, apart = rows[usable], length[usable], apart[usable]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(code), (DIRECTIONS, 2, len(rows)), generator=generator).to(code.device)
    start = probe.placed(probe.decoded(code[rows], places[rows]))
    moved, any_two = [], []
    for first, second in drawn:
        way = torch.nn.functional.normalize(code[first] - code[second], dim=1)
        ahead = probe.placed(probe.decoded(code[rows] + length[:, None] * way, places[rows]))
        moved.append((ahead - start).norm(dim=1))
        any_two.append((x[first] - x[second]).norm(dim=1))
    moved_by, far = (torch.stack(found).square().mean(0).sqrt() / apart for found in (moved, any_two))
    return Step(float(moved_by.median()), float(far.median()))


def decoding_verdict(found: Step, lost: float, *, held: Restraint = Restraint()) -> Verdict:
    """Continuity: near codes decode to near outputs. ``lost`` is the share of the variance that the model loses."""
    name, step = "continuity of decoding", found.moved
    if found.why:
        return Verdict(name, "good", f"Does not apply: {found.why}.", step)
    sentence = (
        f"a step from a code as long as that to the nearest other one changes what is rebuilt by {times(step)} what "
        f"nearest rows differ by, any two rows differ by {times(found.any_two)} that"
    )
    if lost > NOTHING_LEARNT:
        words = f"Of a model that rebuilds hardly anything, it proves little that {sentence}."
        return Verdict(name, "note", words, step)
    if found.any_two < APART or step <= 1 + ROUGH * (found.any_two - 1):
        return Verdict(name, "good", f"Near codes decode to near outputs: {sentence}.", step)
    advice = either(*(held.more or ("the kind 'vae' or 'denoising'",)), "a smaller network", "more rows")
    level = "bad" if step >= found.any_two else "note"
    return Verdict(name, level, f"Near codes decode to outputs far apart: {sentence}.", step, advice)


@dataclass(frozen=True)
class Completeness:
    """The ``share`` of the prior's draws that decode to where the data are, and the median of their distance to the
    nearest row over that of rebuilt rows, ``distance``; NaN for the reason ``why``."""

    share: float = float("nan")
    distance: float = float("nan")
    why: str = ""


@torch.no_grad()
def completeness(probe: Probe, codes: Tensor, prior: Any) -> Completeness:
    """Decode draws of the prior and see how far they are from the nearest row, beside rows that are rebuilt.

    Beside rebuilt ones, as what is decoded is smoother than rows are, and so nearer to them than they are to each
    other; every other row is a place to be near to, and the rest are those whose reconstructions are compared.
    """
    if probe.composition.loss.support == "category":
        return Completeness(why="some columns are categories, between which there are no distances")
    if len(codes) < FEWEST:
        return Completeness(why=f"{len(codes)} rows are too few")
    count = min(SAMPLES, at_once(probe))
    drawn = draws_of(prior, count, codes.shape[1]).to(codes)
    others = torch.arange(1, len(codes), 2)
    others = others[spaced(len(others), count)]
    places = probe.points[::2].float()
    rebuilt = probe.decoded(codes[others.to(codes.device)], others)
    sampled = probe.decoded(drawn, torch.arange(count) % len(codes))
    own, away = (nearest(probe.placed(rows).to(places), places)[0] for rows in (rebuilt, sampled))
    within = float((away <= torch.quantile(own, WITHIN)).double().mean())
    return Completeness(within, float(away.median() / own.median()) if float(own.median()) > 0 else float("nan"))


def at_once(probe: Probe) -> int:
    """Rows that are decoded in one go."""
    return max(FEWEST, CELLS // probe.layout.features)


def completeness_verdict(found: Completeness, lost: float, *, fitted: bool) -> Verdict:
    """``fitted`` says that the prior was fitted afterwards; ``lost`` is the share of the variance that is lost."""
    name = "completeness"
    if found.why:
        return Verdict(name, "good", f"Does not apply: {found.why}.", found.share)
    sentence = (
        f"{percent(found.share)} of the samples decoded from the prior are as near to a row as {percent(WITHIN)} of "
        f"the rebuilt rows are (in the median {times(found.distance)} as far)"
    )
    if lost > NOTHING_LEARNT:
        words = f"Of a model that rebuilds hardly anything, samples prove little: {sentence}."
        return Verdict(name, "note", words, found.share)
    if found.share >= INCOMPLETE:
        return Verdict(name, "good", f"Samples lie on the data: {sentence}.", found.share)
    advice = REFIT
    if fitted:
        advice = 'another prior, such as ae.fit_prior("flow", X) for numbers, a smaller code_size, or more rows.'
    level = "bad" if found.share < EMPTY else "note"
    return Verdict(name, level, f"Many samples lie away from the data: {sentence}.", found.share, advice)
