"""The one sentence that the whole library implements.

batch -> corruption -> encoder -> bottleneck -> decoder -> reconstruction loss

cost(row)  = loss(out, x) + rate * code.cost          nats per row, summed over features
objective  = mean over rows of cost + sum of weight * penalty
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import InputError
from isthmus.parts.networks.modules import aware
from isthmus.parts.schedules import at, bounds, ends
from isthmus.records import EVALUATION, Batch, Code, Context, Pass, Schedule, Seen, Trace, built


def mean_over_rows(values: Tensor, row_weight: Tensor | None) -> Tensor:
    """The one line in the library that averages over rows; row weights have mean 1 over the whole data."""
    return values.mean() if row_weight is None else (values * row_weight).mean()


class Composition(nn.Module):
    """Encoder, bottleneck, decoder and loss, joined; corruption, penalties and rate are optional.

    Use `compose` to make one by hand. A part that is a frozen dataclass is kept as it is; one that is
    an ``nn.Module`` is registered, moved and saved with the composition.
    """

    def __init__(
        self,
        encoder: nn.Module,
        bottleneck: Any,
        decoder: nn.Module,
        loss: Any,
        corruption: Any = None,
        penalties: tuple[Any, ...] = (),
        rate: Schedule = 1.0,
        augmentation: Any = None,
    ) -> None:
        super().__init__()
        self.encoder = aware(encoder)
        self.bottleneck = bottleneck
        self.decoder = aware(decoder)
        self.loss = loss
        self.corruption = corruption
        self.augmentation = augmentation
        self.penalties = tuple(penalties)
        # Those that keep state, registered so that they are moved and saved with the rest.
        self.learning_penalties = nn.ModuleList(p for p in self.penalties if isinstance(p, nn.Module))
        self.rate = rate
        low, high = bounds(rate)
        if not 0 <= low <= high < math.inf:
            raise InputError(
                f"rate (beta): what a code costs is weighed by a number >= 0, or a Ramp of such; got {rate!r}"
            )
        self.watched = self.layers_of_penalties()
        for penalty in self.penalties:
            if hasattr(penalty, "check"):
                penalty.check(self)
        for part in (bottleneck, *self.penalties):
            if hasattr(part, "joined"):
                part.joined(self)

    def layers_of_penalties(self) -> tuple[str, ...]:
        """The layers whose activations the penalties read, all of which must exist."""
        wanted = sorted({getattr(penalty, "layer", "code") for penalty in self.penalties} - {"code"}, key=str)
        known = self.layer_names()
        for name in wanted:
            if not isinstance(name, str):
                raise InputError(f"penalties: layer must be the name of a layer, or 'code'; got {name!r}")
            if name not in known:
                near = difflib.get_close_matches(name, ["code", *known], n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise InputError(
                    f"penalties: no layer is called {name!r}.{hint} This composition has 'code' and {', '.join(known)}"
                )
        return tuple(wanted)

    def layer_names(self) -> list[str]:
        """The layers whose activations a penalty may ask for by name."""
        leaves = [
            name
            for name, module in self.named_modules()
            if not list(module.children()) and not isinstance(module, nn.ModuleList)
        ]
        return [name for name in leaves if name.split(".")[0] in ("encoder", "decoder")]

    @property
    def warm_epochs(self) -> float:
        """The epoch after which every schedule of the parts has ended."""
        parts = (self.corruption, self.bottleneck, self.loss, *self.penalties)
        knobs = [value for part in parts if part is not None for value in vars(part).values()]
        return max(ends(value) for value in (self.rate, 0.0, *knobs))

    @property
    def penalty_terms(self) -> dict[str, Any]:
        """The penalties by their names in the history."""
        named: dict[str, Any] = {}
        for penalty in self.penalties:
            named[term_name(penalty, named)] = penalty
        return named

    @property
    def prior(self) -> Any:
        """What codes are held to: the bottleneck's prior, or that of a penalty; None where there is none."""
        of_codes = (penalty for penalty in self.penalties if getattr(penalty, "layer", "code") == "code")
        priors = (getattr(part, "prior", None) for part in (self.bottleneck, *of_codes))
        return next((prior for prior in priors if prior is not None), None)

    def context(self, batch: Batch, pass_: Pass = EVALUATION, seen: Seen | None = None) -> Context:
        """What the parts may read beside the rows; where no noise was made, the encoder is told the least that there
        is."""
        level = None if seen is None else seen.level
        if level is None and getattr(self.corruption, "tell", False):
            level = batch.x.new_full((batch.x.shape[0],), self.corruption.least)  # len() would fix ONNX graphs' rows
        total = self.loss.total(batch.visible()) if hasattr(self.loss, "total") else None
        shape, labels = tuple(batch.x.shape[1:]), batch.labels
        teacher = batch.visible() if pass_.training and getattr(self.decoder, "wants_teacher", False) else None
        known = known_cells(batch, seen)
        return Context(shape, batch.given, batch.lengths, teacher, level, total, labels, known, pass_)

    def view(self, batch: Batch, seen: Seen | None = None) -> Tensor:
        """What the encoder is shown: the visible cells, as the loss wants them seen (counts: their logarithm)."""
        x = batch.visible(batch.shown if seen is None else seen.x)
        # Hidden once more: a missing cell is 0 to the encoder, whatever a value of 0 looks like.
        return batch.visible(self.loss.view(x)) if hasattr(self.loss, "view") else x

    def encode(self, batch: Batch, context: Context | None = None, seen: Seen | None = None) -> tuple[Tensor, Code]:
        """What the encoder emits, and the code that the bottleneck makes of it."""
        context = self.context(batch) if context is None else context
        hidden = self.encoder(self.view(batch, seen), context)
        return hidden, self.bottleneck(hidden, context)

    def decode(self, code: Code, context: Context) -> Tensor:
        """The loss's parameters for every row, with a leading axis for draws where there are several."""
        if not code.draws:
            return self.decoder(code.z, context)
        # Draws are folded into rows, so that no decoder ever sees them.
        out = self.decoder(code.z.flatten(0, 1), repeated(context, code.draws))
        return out.reshape(code.draws, -1, *out.shape[1:])

    def trace(self, batch: Batch, pass_: Pass = EVALUATION) -> Trace:
        """One whole pass."""
        if self.augmentation is not None and pass_.training:
            batch = self.augmentation(batch, pass_)
        seen = Seen(batch.x if batch.shown is None else batch.shown)
        if self.corruption is not None and pass_.training:
            seen = self.corruption(batch, pass_)
        context = self.context(batch, pass_, seen)
        with self.watching() as activations:
            hidden, code = self.encode(batch, context, seen)
            out = self.decode(code, context)
        return Trace(batch, seen, hidden, code, out, context, pass_, self, activations)

    def cost(self, trace: Trace) -> Tensor:
        """(n,) nats per row: the loss plus what the code costs."""
        return self.combined(self.losses(trace), trace)

    def losses(self, trace: Trace) -> Tensor:
        """The reconstruction loss alone: (n,), or (draws, n) where the bottleneck drew several codes."""
        # visible: a missing cell may hold NaN, and the gradient of 0 * NaN is NaN whatever `where` picks.
        x, weight = trace.batch.visible(), trace.weight
        if trace.code.draws:
            return torch.stack([self.loss.cost(out, x, weight) for out in trace.out])
        return self.loss.cost(trace.out, x, weight)

    def combined(self, losses: Tensor, trace: Trace) -> Tensor:
        """Loss and the code's cost at its rate, joined per row: their sum, in the mean over draws, unless the
        bottleneck knows better (importance weighting puts minus the log of a mean here)."""
        paid = self.paid(trace)
        if hasattr(self.bottleneck, "combine"):
            return self.bottleneck.combine(losses, paid, trace.code)
        total = losses if paid is None else losses + paid
        return over_draws(total, trace.code) if trace.code.draws else total

    def paid(self, trace: Trace) -> Tensor | None:
        """What the codes cost at their rate, (n,) or (draws, n); None where nothing is paid."""
        return None if trace.code.cost is None else at(self.rate, trace.pass_.epoch) * trace.code.cost

    def over_draws(self, losses: Tensor, trace: Trace) -> Tensor:
        """(n,) the reconstruction loss, in the mean over a row's draws, each as much as it counts in the cost."""
        code = trace.code
        if not code.draws:
            return losses
        if hasattr(self.bottleneck, "shares"):
            return over_draws(losses, replace(code, shares=self.bottleneck.shares(losses, self.paid(trace))))
        return over_draws(losses, code)

    def objective(self, trace: Trace) -> tuple[Tensor, dict[str, Tensor]]:
        """The number that training makes small, and its terms by name, detached.

        ``loss`` is the reconstruction loss, ``cost`` adds what the code costs, then one entry per penalty.
        """
        weight = trace.batch.row_weight
        losses = self.losses(trace)
        total = mean_over_rows(self.combined(losses, trace), weight)
        terms = {"cost": total.detach()}
        losses = self.over_draws(losses, trace).detach()
        terms["loss"] = terms["cost"] if trace.code.cost is None else mean_over_rows(losses, weight)
        for name, penalty in self.penalty_terms.items():
            value = penalty(trace)
            if value.ndim:
                value = mean_over_rows(value, weight)
            value = at(penalty.weight, trace.pass_.epoch) * value
            total = total + value
            terms[name] = value.detach()
        return total, terms

    def start(self, batch: Batch) -> None:
        """Let the bottleneck set itself up from the first batch (codebooks need it)."""
        if hasattr(self.bottleneck, "start"):
            with torch.no_grad():
                context = self.context(batch)
                self.bottleneck.start(self.encoder(self.view(batch), context), batch)

    def after_step(self, trace: Trace, terms: dict[str, Tensor]) -> None:
        """Let parts that keep running figures follow the step just made."""
        for part in (self.loss, self.bottleneck, *self.penalties):
            if hasattr(part, "after_step"):
                part.after_step(trace, terms)

    # What a fitted composition is asked for: deterministic, through code.point.

    def represent(self, batch: Batch) -> Tensor:
        """(n, code_size): the deterministic code."""
        return self.encode(batch)[1].point

    def rebuild(self, point: Tensor, context: Context) -> Tensor:
        """(n, *shape): the expected x of a code."""
        return self.loss.mean(self.decode_point(point, context), context)

    def decode_point(self, point: Tensor, context: Context) -> Tensor:
        """The loss's parameters for a code as `represent` gives it."""
        return self.decoder(self.z_of(point), context)

    def z_of(self, point: Tensor) -> Tensor:
        """What the decoder reads for a code as `represent` gives it; the bottleneck says so where they differ
        (codes that are maps, or rows of a codebook)."""
        return self.bottleneck.z_of(point) if hasattr(self.bottleneck, "z_of") else point

    def cell_errors(self, rebuilt: Tensor, x: Tensor) -> Tensor:
        """Same shape as x: the squared error of every cell in scaled units; of a mixed table's columns that hold no
        numbers, what their loss counts in its place."""
        return self.loss.cell_errors(rebuilt, x) if hasattr(self.loss, "cell_errors") else (rebuilt - x).square()

    def point_cost(self, batch: Batch) -> Tensor:
        """(n,) the row's cost, decoded from ``code.point`` instead of a draw."""
        context = self.context(batch)
        code = self.encode(batch, context)[1]
        cost = self.loss.cost(self.decode_point(code.point, context), batch.visible(), batch.weight)
        if code.cost is None:
            return cost
        return cost + at(self.rate, float("inf")) * (over_draws(code.cost, code) if code.draws else code.cost)

    @contextmanager
    def watching(self) -> Iterator[dict[str, Tensor]]:
        """Collect the outputs of the watched layers while the block runs."""
        activations: dict[str, Tensor] = {}
        handles = []
        for name in self.watched:

            def keep(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                activations[name] = output[0] if isinstance(output, tuple) else output  # a recurrent layer's states

            handles.append(self.get_submodule(name).register_forward_hook(keep))
        try:
            yield activations
        finally:
            for handle in handles:
                handle.remove()


def known_cells(batch: Batch, seen: Seen | None) -> Tensor | None:
    """(n, columns) bool: of a mixed table, the cells that are neither missing nor hidden; None = all, or no table."""
    if batch.layout.columns is None:
        return None
    known = None if batch.weight is None else batch.weight > 0
    if seen is None or seen.hidden is None:
        return known
    return ~seen.hidden if known is None else known & ~seen.hidden


def over_draws(values: Tensor, code: Code) -> Tensor:
    """(draws, n) -> (n,): the mean over a row's draws, each with its share."""
    if code.shares is None:
        return values.mean(0)
    return (values * code.shares).sum(0)


def term_name(penalty: Any, taken: dict[str, Any]) -> str:
    """The penalty's name in the history: its class and layer, numbered where two share both."""
    layer = getattr(penalty, "layer", "code")
    name = getattr(penalty, "term", type(penalty).__name__) + ("" if layer == "code" else f" {layer}")
    same = sum(other == name or other.startswith(f"{name} #") for other in taken)
    return name if not same else f"{name} #{same + 1}"


def repeated(context: Context, draws: int) -> Context:
    """The context of ``draws`` copies of the rows, one copy after the other."""

    def tile(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.repeat(draws, *[1] * (value.ndim - 1))

    tiled: dict[str, Any] = {n: tile(getattr(context, n)) for n in ("given", "lengths", "teacher", "level", "total")}
    return replace(context, **tiled)


def compose(
    encoder: nn.Module,
    bottleneck: Any,
    decoder: nn.Module,
    loss: Any,
    *,
    corruption: Any = None,
    penalties: tuple[Any, ...] | list[Any] = (),
    rate: Schedule = 1.0,
    augmentation: Any = None,
) -> Composition:
    """Join four parts of your own into a composition that `Autoencoder` can fit.

    Parameters
    ----------
    encoder, decoder : any ``nn.Module``; with an attribute ``takes_context = True`` it is called as
        ``encoder(x, context)``.
    bottleneck : e.g. ``Plain()``.
    loss : e.g. ``Squared()``.
    corruption, penalties, rate, augmentation : optional, as for `Autoencoder`.

    Examples
    --------
    >>> from isthmus.parts.bottlenecks.plain import Plain
    >>> from isthmus.parts.losses.scaled import Squared
    >>> model = compose(nn.Linear(4, 2), Plain(), nn.Linear(2, 4), Squared())
    >>> from isthmus.records import Layout
    >>> batch = Batch(torch.zeros(3, 4), Layout((4,), ("column",)))
    >>> model.cost(model.trace(batch)).shape
    torch.Size([3])
    """
    ready = tuple(built(penalty) for penalty in penalties)
    corruption = built(corruption)
    return Composition(encoder, built(bottleneck), decoder, built(loss), corruption, ready, rate, augmentation)
