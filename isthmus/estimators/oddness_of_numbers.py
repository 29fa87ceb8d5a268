"""How odd rows of complete tables of numbers are: by autoencoders that take away noise, and by their nearest row."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.alarms import Surprise
from isthmus.checks import counted
from isthmus.data import ArraySource, Form, Source
from isthmus.data.doubled import Doubled
from isthmus.errors import DataWarning
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness import (
    LEAST_ROWS,
    REFERENCE,
    ROWS,
    Making,
    after_pass,
    fitted_surprises,
    folds,
    logs,
    newest,
    others,
    states,
    summed,
    surprises_from,
)
from isthmus.neighbours import nearest, nearest_other
from isthmus.reasons import Conditional
from isthmus.records import Batch, Layout

ODD = 0.05
"""The share of the rows of the fit, those farthest off, that do not tell what is expected of a column given others."""

OUTERMOST = 0.05
"""The share of the rows of the fit, those whose columns' ranks are farthest out together, that the autoencoder is not
taught by: where anomalies are among them, many of these are there. The distance keeps them: without, rows of a rare
ordinary kind look odd, and in clean tables more is lost than is gained in others."""

LEAST_AT_ONCE = 16
"""Fewer are filled up: products of few rows are summed in another order, and a row's score would depend on others."""

TWINS = 0.05
"""The share of rows with an equal twin above which a fit warns."""

MOST_NUMBERS = 2**27
"""Numbers of the view, at most, that a fit holds: of wide tables it looks at fewer rows."""


@dataclass
class Member:
    """What rows are judged by that it was not made from.

    A denoising autoencoder is taught to take away noise as large as the columns' own spread, and shown clean rows:
    those that lie where training rows were stay where they are, others are moved there (Alain & Bengio 2014). How far,
    is measured in the columns' sizes and in their ranks. Beside it stands the distance to the nearest training row.
    The outermost training rows do not teach the autoencoder, as anomalies may be among them.

    Attributes
    ----------
    view : the columns as the autoencoder sees them.
    model : the fitted autoencoder.
    reference : (m, view.width) rows among which the nearest is sought; None = the distance is left out.
    """

    view: Doubled
    model: Autoencoder
    reference: Tensor | None

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, model: Autoencoder, distance: bool) -> Member:
        """From some rows, in random order, and a model that is not fitted yet."""
        view = Doubled.fit(source, np.sort(rows))
        x = torch.cat([view.forward(source.take(some), source.argument) for some in np.array_split(rows, pieces(rows))])
        inner = without_outermost(x)
        model.fit(of_view(inner.repeat(-(-LEAST_ROWS // len(inner)), 1)))
        return cls(view, model, x[:REFERENCE].clone() if distance else None)

    def figures(self, raw: np.ndarray, argument: str, new: bool = False) -> np.ndarray:
        """(n, 4) of rows in the user's units, logs of squares: how far the autoencoder moves them, by size and by rank,
        and how far the nearest row is, by size and by rank (where the distance is left out, two columns less).

        ``new`` = none of them is a reference row. Others may be: they are judged without themselves.
        """
        x = self.view.forward(raw, argument)
        found = [self.moves(x)]
        if self.reference is not None:
            half, to = self.view.width // 2, nearest if new else nearest_other
            pairs = zip(x.split(half, 1), self.reference.split(half, 1), strict=True)
            found += [logs(to(*pair).square())[:, None] for pair in pairs]
        return np.concatenate(found, 1)

    def moves(self, x: Tensor) -> np.ndarray:
        """(n, 2) how far rows of the view are moved."""
        rows = len(x)
        if rows < LEAST_AT_ONCE:
            x = torch.cat([x, x.new_zeros(LEAST_AT_ONCE - rows, x.shape[1])])
        composition, found = self.model.composition_, np.empty((len(x), 2))
        layout = Layout((self.view.width,), ("column",))
        with torch.no_grad():
            for start in range(0, len(x), ROWS):
                batch = Batch(x[start : start + ROWS].to(self.model._device), layout)
                rebuilt = composition.rebuild(composition.represent(batch), composition.context(batch))
                moved = (rebuilt - batch.x).square_().reshape(len(rebuilt), 2, -1).sum(2)
                found[start : start + ROWS] = logs(moved.cpu())
        return found[:rows]

    def taught(self, source: Source, rows: np.ndarray) -> Member:
        """The same after a pass over some more rows, which take the place of the oldest ones to be near to."""
        x = self.view.forward(source.take(rows), source.argument)
        reference = None if self.reference is None else newest(self.reference, x)
        return replace(self, model=after_pass(self.model, of_view(x)), reference=reference)


@dataclass
class Numbers:
    """How odd rows are: the surprises of all figures added up, in the mean over members.

    Nothing that judges a held-out row was made from it, its columns' ranges neither: where rows are few, a new row
    often lies beyond the range of a column, which no row does that the range was taken from.

    Attributes
    ----------
    members : one, or where rows are few one for each fold.
    surprises : of each of the figures.
    conditional : what is expected of a column's size given others, in the first member's view, for reasons.
    moved : nats that a cell is odd by which differs from what its column has always held: more than any row that was
        held out, so that it alarms, and yet no more than that.
    """

    members: list[Member]
    surprises: list[Surprise]
    conditional: Conditional
    moved: float = 0.0

    @classmethod
    def fit(cls, source: Source, rows: np.ndarray, making: Making, distance: bool) -> tuple[Numbers, np.ndarray]:
        """From rows in random order; and how odd those are that were held out."""
        rows = rows[: max(LEAST_ROWS, MOST_NUMBERS // (2 * source.layout.features))]
        members, figures, moved = [], [], []
        for place, held_out in enumerate(folds(len(rows))):
            members.append(Member.fit(source, others(rows, held_out), making(place), distance))
            raw = source.take(rows[held_out])
            figures.append(members[-1].figures(raw, source.argument, new=True))
            moved.append(members[-1].view.moved(raw).sum(1))
        together = np.concatenate(figures)
        surprises = fitted_surprises(together)
        odd = summed(surprises, together)
        view = members[0].view
        raw = source.take(rows[:REFERENCE])
        warn_of_twins(raw, source.argument)
        sizes = view.forward(raw, source.argument)[:, : view.width // 2]
        conditional = Conditional.fitted(sizes, trim=ODD)
        made = cls(members, surprises, conditional, float(odd.max()) + 1.0)
        return made, odd + made.moved * np.concatenate(moved)

    @property
    def view(self) -> Doubled:
        """The columns as the first member sees them."""
        return self.members[0].view

    @property
    def models(self) -> list[Autoencoder]:
        """The fitted autoencoders."""
        return [member.model for member in self.members]

    def taught(self, source: Source, rows: np.ndarray) -> Numbers:
        """The same after a pass over some more rows."""
        return replace(self, members=[member.taught(source, rows) for member in self.members]) if len(rows) else self

    def without_distance(self) -> Numbers:
        """The same by the autoencoders alone."""
        members = [replace(member, reference=None) for member in self.members]
        return replace(self, members=members, surprises=self.surprises[:2])

    def __call__(self, source: Source) -> np.ndarray:
        """(rows,) how odd the rows of a source are, in nats."""
        found = np.empty(source.rows)
        for start in range(0, source.rows, ROWS):
            raw = source.read(start, min(start + ROWS, source.rows))
            found[start : start + len(raw)] = self.of_raw(raw, source.argument)
        return found

    def of_raw(self, raw: np.ndarray, argument: str = "X") -> np.ndarray:
        """(n,) how odd rows in the user's units are, in nats."""
        return np.mean([self.by(member, raw, argument) for member in self.members], axis=0)

    def by(self, member: Member, raw: np.ndarray, argument: str) -> np.ndarray:
        """(n,) how odd they are to one member."""
        odd = summed(self.surprises, member.figures(raw, argument))
        return odd + self.moved * member.view.moved(raw).sum(1) if member.view.scaling.constant.any() else odd

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the models."""
        tensors: dict[str, Any] = dict(states("surprise", self.surprises))
        tensors |= {"reasons.mean": self.conditional.mean, "reasons.covariance": self.conditional.covariance}
        views = []
        for i, member in enumerate(self.members):
            view, own = member.view.state()
            views.append(view)
            tensors |= {f"view{i}.{k}": v for k, v in own.items()}
            tensors |= {} if member.reference is None else {f"reference{i}": member.reference}
        return {"moved": self.moved, "views": views}, tensors

    @classmethod
    def restore(
        cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form
    ) -> Numbers:
        """The inverse of `state`."""
        members = []
        for i, (view, model) in enumerate(zip(body["views"], models, strict=True)):
            own = {k.removeprefix(f"view{i}."): v.numpy() for k, v in tensors.items() if k.startswith(f"view{i}.")}
            members.append(Member(Doubled.restore(view, own, form.names), model, tensors.get(f"reference{i}")))
        conditional = Conditional.of(tensors["reasons.mean"], tensors["reasons.covariance"])
        return cls(members, surprises_from("surprise", tensors), conditional, body["moved"])


def without_outermost(x: Tensor) -> Tensor:
    """Rows of a view without those of the longest ranks, `OUTERMOST` of them."""
    far = x[:, x.shape[1] // 2 :].norm(dim=1)
    kept = len(x) - int(OUTERMOST * len(x))
    return x[far <= far.kthvalue(kept)[0]]


def pieces(rows: np.ndarray) -> int:
    """In how many stretches rows are taken, to be brought to a view."""
    return max(1, len(rows) // ROWS)


def warn_of_twins(raw: np.ndarray, argument: str) -> None:
    """Say so where many rows have an equal twin; rows are told apart by a hash of their bytes."""
    words = (raw.astype(np.float64) + 0.0).view(np.uint64)  # + 0.0: there is one zero only
    odd = np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64) * 2 + 1
    _, counts = np.unique((words * odd).sum(1, dtype=np.uint64), return_counts=True)
    twins = int(counts[counts > 1].sum())
    if twins > TWINS * len(raw):
        warnings.warn(
            f"{argument}: {twins:,} of {counted(len(raw), 'row')} ({twins / len(raw):.0%}) have an equal twin. Where "
            "one is held out, the other makes it look ordinary, so new rows may alarm more often than asked for. "
            "Unless rows may be equal by chance, drop the copies (pandas: drop_duplicates)",
            DataWarning,
            stacklevel=4,
        )


def of_view(x: Tensor) -> ArraySource:
    """Rows of a view as data to be fitted to."""
    source = ArraySource(x.numpy())
    source.derived = True
    return source
