"""Do codes lie where the prior says they do? What is sampled from the prior is decoded as codes of rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isthmus.diagnostics.collapse import draws_of
from isthmus.diagnostics.probe import DRAWN_ROWS, Probe, spaced
from isthmus.metrics import energy_coefficient, frechet_distance
from isthmus.records import Trace
from isthmus.verdicts import Verdict

FEWEST, UNITS = 30, 256
"""Fewer rows cannot tell; and the most units that are compared, evenly spaced, as the moments of more take long."""
APART, FAR_APART = 0.02, 0.10
"""The energy coefficient above which it is worth a note, and bad: about what it takes for all codes to be spread 1.5
times, and 3 times, as wide as the prior, or to be shifted by 0.3 and 0.7 of its standard deviation."""

REFIT = (
    'ae.fit_prior("mixture", X), or "autoregressive" where codes are symbols, before sampling; or a prior that learns '
    "with the model."
)


@dataclass(frozen=True)
class Aggregate:
    """All codes taken together beside as many draws from the prior, in units of the prior's spread.

    ``apart`` is the energy coefficient, ``chance`` what 99 % of equal sets stay below, ``moments`` the squared Fréchet
    distance per unit. NaN where there are too few rows.
    """

    rows: int
    apart: float = float("nan")
    chance: float = float("nan")
    moments: float = float("nan")


@torch.no_grad()
def aggregate(probe: Probe, codes: Tensor, prior: Any, living: list[int], *, fitted: bool = False) -> Aggregate:
    """Compare a draw from every row's distribution, or its code where nothing is drawn, with draws from the prior.

    ``fitted`` says that the prior was fitted afterwards, on codes of rows.
    """
    rows = spaced(len(codes), DRAWN_ROWS)
    if len(rows) < FEWEST:
        return Aggregate(len(rows))
    drawn = torch.cat([one_draw(trace, fitted=fitted) for trace in probe.drawn()])
    units = torch.tensor(living)[spaced(len(living), UNITS)].tolist()
    own = drawn[:, units].double().cpu()
    beside = draws_of(prior, len(rows), codes.shape[1])[:, units].double().cpu()
    spread = beside.std(0)
    spread = torch.where(spread > 0, spread, 1.0)
    x, y = (own / spread).numpy(), (beside / spread).numpy()
    return Aggregate(len(rows), *energy_coefficient(x, y), frechet_distance(x, y) / len(units))


def one_draw(trace: Trace, *, fitted: bool) -> Tensor:
    """(n, code_size): a draw from each row's distribution, or its point where there is none, or where a prior was
    fitted to points."""
    code = trace.code
    if code.posterior is None or (fitted and not code.smooth):
        return code.point
    return code.posterior.sample(1, trace.pass_.generator)[0].flatten(1)


def aggregate_verdict(found: Aggregate, *, fitted: bool) -> Verdict:
    """``fitted`` says that the prior was fitted afterwards, on codes of rows."""
    name = "aggregate posterior"
    if found.rows < FEWEST:
        sentence = f"Cannot be judged from {found.rows} row{'' if found.rows == 1 else 's'}."
        return Verdict(name, "note", sentence, float("nan"), "to diagnose with more rows.")
    figures = f"(energy coefficient {found.apart:.3f}, by chance up to {found.chance:.3f}; 0 is alike, 1 is apart)"
    if found.apart <= max(APART, found.chance):
        return Verdict(name, "good", f"All codes together lie where the prior has its mass {figures}.", found.apart)
    far = found.apart > FAR_APART
    sentence = (
        f"All codes together lie {'far from where' if far else 'not quite where'} the prior has its mass {figures}"
    )
    if fitted:
        advice = 'to fit it to more rows, or another, ae.fit_prior("flow", X) where codes are numbers.'
    else:
        sentence = f"{sentence}, so that samples are decoded from codes unlike those of rows"
        advice = REFIT
    return Verdict(name, "bad" if far else "note", f"{sentence}.", found.apart, advice)
