"""A prior over a fitted model's codes: fitted afterwards, drawn from, and kept in its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import did_you_mean
from isthmus.composition import Composition
from isthmus.data.given import Conditions
from isthmus.errors import InputError
from isthmus.parts.priors.alphabet import Alphabet
from isthmus.parts.priors.autoregressive import Autoregressive
from isthmus.parts.priors.fitting import Given
from isthmus.parts.priors.flow import Flow
from isthmus.parts.priors.mixture import Mixture
from isthmus.parts.priors.normal import Normal
from isthmus.parts.priors.two_level import TwoLevel
from isthmus.parts.priors.vamp import Vamp
from isthmus.parts.priors.vamp_afterwards import Posteriors, fit_vamp
from isthmus.records import Batch, Code, Context, Layout, Pass, Site, built

PRIORS: dict[str, Any] = {
    "normal": Mixture(1),
    "mixture": Mixture(None),
    "flow": Flow(),
    "two_level": TwoLevel(),
    "vamp": Vamp(),
    "autoregressive": Autoregressive(),
}
"""What `fit_prior` knows by name; "normal" is the one with the codes' own mean and covariance."""

MOST_DRAWN = 2**16
"""Codes drawn together at most: what they are given is held against every component of a mixture."""


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


def alphabet_of(composition: Composition, code_size: int) -> Alphabet | None:
    """What the symbols of a composition's codes stand for; None where codes are no symbols."""
    found = getattr(composition.bottleneck, "alphabet", None)
    return None if found is None else found(code_size)


def usual_prior(composition: Composition, code_size: int) -> str:
    """The name of the prior that suits a composition's codes: of symbols, or of numbers."""
    return "mixture" if alphabet_of(composition, code_size) is None else "autoregressive"


def fitted_prior(
    part: Any, composition: Composition, codes: Codes, layout: Layout, seed: int, given: Given | None = None
) -> tuple[nn.Module, Any]:
    """The prior, fitted to the codes of rows that are ``given`` something, and what describes it in a file."""
    size = codes.points.shape[1]
    generator, alphabet = torch.Generator().manual_seed(seed), alphabet_of(composition, size)
    if isinstance(part, Vamp):
        return fit_vamp(part, composition, codes.points, codes.some, generator).eval(), Posteriors(part.components)
    prior = built(part, Site(layout, size, generator))
    if not hasattr(prior, "fit"):
        raise InputError(
            f"prior: {part!r} cannot be fitted to codes; use one of {', '.join(PRIORS)}, or a prior such as "
            "ist.Mixture(20)"
        )
    if hasattr(prior, "fit_symbols"):
        if alphabet is None:
            raise InputError(f"prior: {part!r} is for codes that are symbols; this kind's are not: use 'mixture'")
        prior.read(alphabet.cpu())
        prior.fit_symbols(codes.index, generator, given)
    elif alphabet is not None:
        raise InputError(
            f"prior: the codes of this kind are symbols, and {part!r} is of numbers without gaps; use "
            "fit_prior('autoregressive', X)"
        )
    elif given is not None and getattr(prior, "reads_given", False):
        prior.fit(codes.points, generator, given)
    else:
        prior.fit(codes.points, generator)
    return prior.eval(), part


@dataclass(frozen=True)
class Codes:
    """What a prior is fitted to: ``points`` (n, code_size), a draw of every row's code where it is drawn, else the
    code; its symbols ``index`` (n, symbols) where it has some; and ``some`` rows, for priors that begin at rows."""

    points: Tensor
    index: Tensor | None
    some: Batch


def codes_of(composition: Composition, batches: Iterable[Batch], wanted: Tensor, generator: torch.Generator) -> Codes:
    """The codes of all rows of the ``batches``, on the CPU, and the rows whose numbers are ``wanted``."""
    points, index, some, start = [], [], [], 0
    for batch in batches:
        code = composition.encode(batch, composition.context(batch, Pass(generator)))[1]
        points.append(point_of(code).cpu())
        if code.index is not None:
            index.append(code.index.cpu())
        inside = wanted[(wanted >= start) & (wanted < start + len(batch))] - start
        if len(inside):
            some.append(rows_of(batch, inside))
        start += len(batch)
    return Codes(torch.cat(points), torch.cat(index) if index else None, joined(some))


def point_of(code: Code) -> Tensor:
    """(n, code_size): a draw of every row's code where it is drawn, else the code."""
    if not code.smooth:
        return code.point
    return code.z[0] if code.draws else code.z


def rows_of(batch: Batch, numbers: Tensor) -> Batch:
    """Some rows of a batch."""
    kept: dict[str, Any] = {name: value[numbers] for name, value in tensors_of(batch).items()}
    return replace(batch, **kept)


def joined(batches: list[Batch]) -> Batch:
    """The rows of all batches of one layout."""
    held = [tensors_of(batch) for batch in batches]
    whole: dict[str, Any] = {name: torch.cat([one[name] for one in held]) for name in held[0]}
    return replace(batches[0], **whole)


def tensors_of(batch: Batch) -> dict[str, Any]:
    """What a batch holds of every row."""
    every = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value for name, value in every.items() if isinstance(value, Tensor)}


def given_of(conditions: Conditions | None, given: Tensor | None) -> Given | None:
    """What the rows of a fit are given, and which of these numbers are labels'."""
    if conditions is None or given is None:
        return None
    labelled = [bool(column.labels) for column in conditions.columns for _ in range(column.size)]
    return Given(given, torch.tensor(labelled))


def drawn(
    composition: Composition, prior: Any, n: int, code_size: int, shape: tuple[int, ...], given: Tensor | None,
    generator: torch.Generator, noise: bool,
) -> Tensor:  # fmt: skip
    """(n, *shape) scaled rows: codes drawn from the prior, decoded; with ``noise`` drawn from the loss's
    distribution, else its mean."""
    rows, at_once = [], max(1, min(MOST_DRAWN, 2**22 // max(1, int(np.prod(shape)))))
    weights = next(composition.parameters())
    for start in range(0, n, at_once):
        count = min(at_once, n - start)
        beside = None if given is None else given[start : start + count].to(weights.device)
        context = Context(shape, given=beside)
        told = (context,) if getattr(prior, "reads_given", False) else ()
        point = prior.sample(count, code_size, generator, *told).to(weights)
        if noise:
            rows.append(composition.loss.sample(composition.decode_point(point, context), generator))
        else:
            rows.append(composition.rebuild(point, context))
    return torch.cat([row.cpu() for row in rows]) if rows else torch.zeros(0, *shape)
