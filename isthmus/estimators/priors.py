"""A prior over a fitted model's codes: fitted afterwards, drawn from, and kept in its file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import did_you_mean
from isthmus.composition import Composition
from isthmus.errors import InputError
from isthmus.parts.priors.flow import Flow
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.priors.normal import Normal
from isthmus.parts.priors.two_level import TwoLevel
from isthmus.records import Batch, Context, Layout, Pass, Site, built

PRIORS: dict[str, Any] = {"normal": Mixture(1), "mixture": Mixture(), "flow": Flow(), "two_level": TwoLevel()}
"""What `fit_prior` knows by name; "normal" is the one with the codes' own mean and covariance."""


def prior_part(prior: Any) -> Any:
    """The description of a prior, from its name or itself."""
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise InputError(
                f"prior: none is called {prior!r}.{did_you_mean(prior, PRIORS)} Or give one such as ist.Mixture(20)"
            )
        return PRIORS[prior]
    if isinstance(prior, type) or not (hasattr(prior, "build") or hasattr(prior, "log_prob")):
        raise InputError(
            f"prior must be one of {', '.join(PRIORS)}, or a prior such as ist.Mixture(20); got "
            f"{prior if isinstance(prior, type) else type(prior).__name__}. Rows come second: fit_prior('mixture', X)"
        )
    return PRIORS["normal"] if prior == Normal() else prior


def fitted_prior(part: Any, codes: Tensor, layout: Layout, seed: int) -> nn.Module:
    """The prior, fitted to codes (n, code_size)."""
    generator = torch.Generator().manual_seed(seed)
    prior = built(part, Site(layout, codes.shape[1], generator))
    if not hasattr(prior, "fit"):
        raise InputError(
            f"prior: {part!r} cannot be fitted to codes; use one of {', '.join(PRIORS)}, or a prior such as "
            "ist.Mixture(20)"
        )
    prior.fit(codes.cpu(), generator)
    return prior.eval()


def codes_to_fit(composition: Composition, batch: Batch, generator: torch.Generator) -> Tensor:
    """(n, code_size): a draw of every row's code where it is drawn, else the code."""
    code = composition.encode(batch, composition.context(batch, Pass(generator)))[1]
    if not code.smooth:
        return code.point
    return code.z[0] if code.draws else code.z


def drawn(
    composition: Composition, prior: Any, n: int, code_size: int, shape: tuple[int, ...], given: Tensor | None,
    generator: torch.Generator, noise: bool,
) -> Tensor:  # fmt: skip
    """(n, *shape) scaled rows: codes drawn from the prior, decoded; with ``noise`` drawn from the loss's
    distribution, else its mean."""
    rows, at_once = [], max(1, 2**22 // max(1, int(np.prod(shape))))
    weights = next(composition.parameters())
    for start in range(0, n, at_once):
        count = min(at_once, n - start)
        point = prior.sample(count, code_size, generator).to(weights)
        beside = None if given is None else given[start : start + count].to(weights.device)
        context = Context(shape, given=beside)
        if noise:
            rows.append(composition.loss.sample(composition.decode_point(point, context), generator))
        else:
            rows.append(composition.rebuild(point, context))
    return torch.cat([row.cpu() for row in rows]) if rows else torch.zeros(0, *shape)
