"""Is the model sensitive enough to rebuild, and insensitive enough not to copy? How it answers small steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from isthmus.diagnostics.probe import Probe, spaced
from isthmus.diagnostics.restraint import Restraint, either
from isthmus.verdicts import INAPPLICABLE, Verdict, percent

ROWS, POOL, NEIGHBOURS, SHARE, DIRECTIONS = 128, 2_000, 50, 0.1, 4
"""Rows that steps are made from, rows among which their neighbours are sought, the most neighbours that tell how
the data lie there and the share of the rows that may be neighbours, and steps of a sort."""
STEP = 0.05
"""The length of a step as a share of the distance to the nearest row: short enough for a slope, long enough for
float32."""
ALIKE, PASSES, INSENSITIVE = 0.9, 0.9, 0.2
"""Across the data as sensitive as along, by 0.9, is not balanced; where both answers are 0.9 of a step, it copies.
Below 0.2 along the data, steps between neighbours are mostly lost."""


@dataclass(frozen=True)
class Sensitivity:
    """Lengths of the answers to steps of length 1, the median over rows, and the encoder's Frobenius norm.

    NaN where they could not be measured, for the reason ``why``.
    """

    along: float = float("nan")
    across: float = float("nan")
    encoder: float = float("nan")
    why: str = ""


def sensitivity(probe: Probe, size: int) -> Sensitivity:
    """Answers to steps along the data, as its rows lie around each, and across, orthogonal to its main directions.

    Near a row the data are taken to have ``size`` main directions, the code's, or half as many as columns.
    """
    if probe.unlike_numbers:
        return Sensitivity(why=f"{probe.unlike_numbers}, between which there are no small steps")
    features, probe = probe.layout.features, probe.complete
    if not len(probe.x):
        return Sensitivity(why="every row has a missing cell")
    pool = probe.flat[spaced(len(probe.x), POOL).to(probe.x.device)].float()
    if probe.composition.loss.support == "count":
        return Sensitivity(why="counts take no small steps")
    count = min(NEIGHBOURS, max(2, int(SHARE * len(pool))))
    if features < 2 or len(pool) <= count:
        return Sensitivity(why="there is one column" if features < 2 else f"{len(pool)} rows are too few")
    rows = spaced(len(pool), ROWS).to(pool.device)
    distance, near = torch.cdist(pool[rows], pool).topk(count + 1, largest=False)
    # The nearest row of all is the row itself, or its double.
    usable = distance[:, 1] > 1e-6 * distance[:, -1].median()
    if not bool(usable.any()):
        return Sensitivity(why="the rows given do not vary, or each has a double")
    rows, near, step = rows[usable], near[usable, 1:], STEP * distance[usable, 1].median()
    towards = pool[near] - pool[rows][:, None]
    along, across = steps_of(towards, max(1, min(size, features // 2, count // 2)))
    any_way = torch.nn.functional.normalize(drawn(len(rows), DIRECTIONS, features).to(pool), dim=-1)
    origin = spaced(len(probe.x), POOL).to(pool.device)[rows]
    code, passed_along = answers(probe, pool[rows], origin, along, step)
    _, passed_across = answers(probe, pool[rows], origin, across, step)
    code, _ = answers(probe, pool[rows], origin, any_way, step)
    # |J|^2 = features * the mean of |J u|^2 over random directions u of length 1.
    result = Sensitivity(passed_along, passed_across, math.sqrt(features) * code)
    if result.along == 0 or result.across == 0:
        return replace(result, why="small steps change nothing: the code, or the data, have steps of their own")
    return result


def steps_of(towards: Tensor, main: int) -> tuple[Tensor, Tensor]:
    """Directions of length 1, (n, `DIRECTIONS`, features): along and across the data around each of n rows.

    ``towards`` (n, k, features) leads to the near rows. A random sum of these has their covariance, so that main
    directions prevail; what is orthogonal to the first ``main`` principal directions is across.
    """
    n, k, features = towards.shape
    along = drawn(n, DIRECTIONS, k).to(towards) @ towards
    basis = principal_directions(towards, main)
    across = drawn(n, DIRECTIONS, features).to(towards)
    across = across - (across @ basis.mT) @ basis
    return torch.nn.functional.normalize(along, dim=-1), torch.nn.functional.normalize(across, dim=-1)


def principal_directions(towards: Tensor, main: int) -> Tensor:
    """(n, main, features): the first right singular vectors of (n, k, features), zero where there are fewer.

    By way of the small k x k products, which is many times faster than the singular values of wide matrices; NumPy
    takes a twentieth of the time of torch for so many small ones.
    """
    products = (towards @ towards.mT).cpu().numpy()
    squares, vectors = (torch.from_numpy(found).to(towards) for found in np.linalg.eigh(products))
    found = vectors[..., -main:].mT @ towards
    real = squares[:, -main:] > 1e-5 * squares[:, -1:]
    return torch.where(real[..., None], torch.nn.functional.normalize(found, dim=-1), 0.0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def answers(probe: Probe, x: Tensor, origin: Tensor, directions: Tensor, step: Tensor) -> tuple[float, float]:
    """Lengths of the derivatives of the code and of the reconstruction along ``directions``, the median over rows.

    The median, because where a narrow code folds, a few rows' slopes have no bound.
    """
    ahead, behind = ((x[:, None] + sign * step * directions).flatten(0, 1) for sign in (1, -1))
    origin = origin.repeat_interleave(directions.shape[1])
    pairs = zip(probe.pass_through(ahead, origin), probe.pass_through(behind, origin), strict=True)
    slopes = [((a - b) / (2 * step.to(a))).square().sum(1).reshape(len(x), -1).mean(1).median() for a, b in pairs]
    return math.sqrt(float(slopes[0])), math.sqrt(float(slopes[1]))


def balance_verdict(
    found: Sensitivity, *, copies: bool = False, learnt: bool = True, held: Restraint = Restraint()
) -> Verdict:
    """Sensitive along the data and less so across them is what an autoencoder should be.

    ``copies`` says that `copying_verdict` is bad: so is this one then, if both answers are as long as the step.
    ``learnt`` says that `underfitting_verdict` is good, and ``held`` is what can be asked of the composition.
    """
    name = "balance"
    if found.why:
        return Verdict(name, "good", f"{INAPPLICABLE}: {found.why}.", found.along)
    figure = found.across / found.along if found.along > 0 else float("inf")
    sentence = (
        f"it passes on {percent(found.along)} of a small step along the data, towards near rows, and "
        f"{percent(found.across)} of one across them; the further apart the better"
    )
    if min(found.across, found.along) > PASSES and figure > ALIKE and copies:
        words = f"It lets through whatever comes: {sentence}."
        return Verdict(
            name, "bad", words, figure, either(*(held.more or ("the kind 'denoising'",)), "a smaller code_size")
        )
    if found.along < INSENSITIVE:
        words = f"It answers little to the differences between near rows: {sentence}."
        advice = either(*held.less, "a larger code_size")
        return Verdict(name, "note", words, figure, f"{advice[:-1]}, if such differences matter.")
    if figure >= ALIKE:
        words = f"No direction stands out: {sentence}."
        advice = either(*(held.more or ("the kind 'denoising'",)), "a smaller code_size")
        # Who has learnt too little is asked for the opposite elsewhere.
        advice = f"{advice[:-1]}, unless columns have nothing in common." if learnt else ""
        return Verdict(name, "note", words, figure, advice)
    return Verdict(name, "good", f"Sensitive to what sets rows apart, less so to the rest: {sentence}.", figure)
