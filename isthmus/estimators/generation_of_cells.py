"""Rows of tables drawn cell by cell: each by what a masked autoencoder makes of the cells that the row has so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted
from isthmus.data import Form, Source
from isthmus.data.binned import Binned
from isthmus.errors import InputError
from isthmus.estimators.autoencoder import Autoencoder
from isthmus.estimators.oddness_of_cells import out_of
from isthmus.likelihood import Likelihood
from isthmus.parts.corruptions import Mask
from isthmus.parts.networks.dense import Dense
from isthmus.parts.schedules import Between
from isthmus.recipes import Parts
from isthmus.records import Batch, Layout

ROWS = 1024
"""Rows that are drawn together, in one order of the columns."""

HIDDEN = Between(0.0, 0.999)
"""The share of a row's cells that is hidden in training: with all shares equally often, any number of cells is hidden
as often as any other, and so a cell is learnt given as many others as it will be drawn given."""

BATCH = 256

STEPS = 5000
"""Steps of a fit; of a very large table it sees all rows `PASSES` times, whatever that takes."""

PASSES, MOST_PASSES = 5, 60

FEW_ROWS, FEW_PASSES = 10_000, 240
"""Tables of fewer rows would be learnt by heart: how long to learn is told by rows held out, up to so many passes."""

HELD_OUT = 5
"""Every fifth row of these is held out, until that is known."""

LOOKS = 60
"""How often they are looked at, in so many passes."""

LONGER = 2
"""Rates that fall to 0 learn about half as much in a pass as the constant one by which it was found how long to go."""

WIDTHS = ((1000, 64), (5000, 128))
"""Tables of fewer rows get narrower layers than the `WIDEST`: as good on held-out rows, and faster."""
WIDEST = 256

Maker = Callable[..., Autoencoder]
"""Makes an autoencoder, not yet fitted, of parameters that suit this use; those that the user names replace them."""


def knobs(rows: int) -> dict[str, Any]:
    """Parameters of the `Autoencoder` that learns what cells are made of, for so many rows.

    The code is as wide as the layers: nothing is read off it. What holds the network back from copying is that hidden
    cells alone count (``kept_weight=0``); so the loop, which judges by rows of which nothing is hidden, holds none out.
    """
    width = next((width for limit, width in WIDTHS if rows < limit), WIDEST)
    batch = int(np.clip(2 ** np.round(np.log2(rows / 16)), 32, BATCH))
    epochs = FEW_PASSES if rows < FEW_ROWS else int(np.clip(STEPS * batch // rows, PASSES, MOST_PASSES))
    return {
        "method": Parts(
            network=Dense((width,), activation="gelu", norm="layer"),
            corruption=Mask(HIDDEN, kept_weight=0.0),
            weight_decay=0.01,
        ),
        "code_size": width,
        "epochs": epochs,
        "batch_size": batch,
        "validation_fraction": 0.0,
    }


@dataclass
class CellsDrawn:
    """Draws rows of a table, or some cells of rows given the others.

    Every column is told by levels (`Binned`). An autoencoder has learnt to tell the levels of hidden cells from those
    that are not hidden, whichever these are. So a row's cells are drawn one after the other, in random order,

        level of cell i  ~  softmax of the outputs of column i, given the cells drawn or known so far,

    and within its level, a number evenly between the quantiles that the fit saw there. A gap is a level like others.

    Attributes
    ----------
    model : the fitted autoencoder of tables of levels.
    binned : what the levels stand for.

    Notes
    -----
    Numbers never leave the range of the fit. Levels of a category that are too rare to have a name (`Coding`) are not
    drawn: others take their share. Two numbers of a row fit together as far as their bins tell (50 to a column, of
    small tables fewer), so what follows exactly from others, such as a sum of two, does so within a bin only.

    References
    ----------
    Uria, Murray & Larochelle 2014, "A deep and tractable density estimator": one network for all orders.
    Gulati & Roysdon 2023, "TabMT: generating tabular data with masked transformers": the same of mixed tables.

    Examples
    --------
    >>> from isthmus.data.sources import ArraySource
    >>> source = ArraySource(np.repeat([[0, 5], [1, 7]], 50, axis=0))
    >>> own = {"epochs": 20, "learning_rate": 0.01, "random_state": 0}
    >>> drawer = CellsDrawn.fit(source, lambda **knobs: Autoencoder(**(knobs | own)))
    >>> known = np.array([[1, np.nan], [np.nan, 5]])
    >>> drawer.draw(2, torch.Generator().manual_seed(0), known)
    array([[1., 7.],
           [0., 5.]])
    """

    model: Autoencoder
    binned: Binned

    @classmethod
    def fit(cls, source: Source, making: Maker, sample_weight: np.ndarray | None = None) -> CellsDrawn:
        """From a table.

        Parameters
        ----------
        source : of rows of columns, at least 2; missing cells and columns of any type are welcome.
        making : gets the parameters of the autoencoder by name (`knobs`) and makes it. ``epochs`` are the most that a
            small table is gone over.
        sample_weight : (rows,) how much each row counts, >= 0.

        Raises
        ------
        InputError : one row.
        """
        if source.rows < 2:
            raise InputError(
                f"{source.argument}: rows are drawn from what many have in common; got {counted(source.rows, 'row')}, "
                "give at least 2"
            )
        binned, start = Binned.fit(source), time.monotonic()
        table, usual = binned.source(source), knobs(source.rows)
        model = making(**usual)
        if source.rows < FEW_ROWS:
            chosen = cls(making(**usual), binned).passes(table, sample_weight)
            model.set_params(epochs=chosen)
            if model.max_time is not None:
                model.set_params(max_time=max(1e-3, model.max_time - (time.monotonic() - start)))
        return cls(model.fit(table, sample_weight=sample_weight), binned)

    def passes(self, table: Source, sample_weight: np.ndarray | None = None) -> int:
        """How often to go over a small table, at most as often as the model is to: found by rows that are held out, of
        which the fit itself then knows."""
        longest, limit = int(self.model.epochs or FEW_PASSES), self.model.max_time
        train = np.ones(table.rows) if sample_weight is None else np.array(sample_weight, dtype=np.float64)
        held_out = np.flatnonzero(train > 0)[::HELD_OUT]
        if len(held_out) < 2:
            return longest
        train[held_out] = 0.0
        x = torch.from_numpy(table.take(held_out))
        best, chosen, every = -np.inf, longest, max(1, longest // LOOKS)
        end = time.monotonic() + (np.inf if limit is None else limit / 2)
        for epoch in range(1, longest + 1):
            self.model.partial_fit(table, sample_weight=train)
            if epoch % every:
                continue
            device = self.model._device
            found = float(self.log_shares(x.to(device), torch.Generator(device).manual_seed(0)).mean())
            if found > best:
                best, chosen = found, epoch
            if 2 * epoch > 3 * chosen + 10 * every or time.monotonic() > end:
                break
        return min(LONGER * chosen, longest)

    # ------------------------------------------------------------------ rows

    def draw(self, rows: int, generator: torch.Generator, known: np.ndarray | None = None) -> np.ndarray:
        """New rows, as raw numbers.

        Parameters
        ----------
        rows : how many.
        generator : on the model's device.
        known : (rows, columns) raw numbers that rows are to have; NaN = to be drawn. None = all are.

        Returns
        -------
        array
            (rows, columns) float64; NaN = a missing cell. `Form.wrap` makes the user's table of it.
        """
        raw = np.full((rows, len(self.binned.columns)), np.nan) if known is None else known
        return self.redrawn(raw, np.isnan(raw), generator)

    def vary(self, raw: np.ndarray, share: float, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows (n, columns) with a ``share`` of the cells of each, in (0, 1], at least one, drawn anew; and which."""
        count = max(1, round(share * raw.shape[1]))
        places = torch.rand(raw.shape, generator=generator, device=generator.device).argsort(1)
        hidden = (places < count).cpu().numpy()
        return self.redrawn(raw, hidden, generator), hidden

    def redrawn(self, raw: np.ndarray, hidden: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Raw numbers (n, columns) with the ``hidden`` cells, (n, columns) bool, drawn given the others; these stay
        exactly what they are, and a missing one stays missing."""
        made = np.array(raw, dtype=np.float64)
        shares = torch.rand(hidden.shape, generator=generator, device=generator.device, dtype=torch.float64)
        for start in range(0, len(made), ROWS):
            here = slice(start, start + ROWS)
            batch, gone = self.batch(made[here]), torch.from_numpy(hidden[here])
            levels = self.filled(batch.x, gone.to(batch.x.device), generator).cpu().numpy()
            drawn = self.binned.values(levels, shares[here].cpu().numpy())
            made[here] = np.where(hidden[here], drawn, made[here])
        return made

    @torch.no_grad()
    def filled(self, x: Tensor, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """(n, columns) levels with the ``hidden`` ones drawn, column by column, in random order."""
        x, hidden = x.clone(), hidden.clone()
        for column in self.order(generator):
            rows = hidden[:, column].nonzero()[:, 0]
            if len(rows):
                # The last level is that of what is not known, which is nothing to be drawn.
                shares = self.shares(x[rows], hidden[rows], column)[:, :-1]
                x[rows, column] = torch.multinomial(shares, 1, generator=generator)[:, 0].to(x.dtype)
                hidden[rows, column] = False
        return x

    def shares(self, x: Tensor, hidden: Tensor, column: int) -> Tensor:
        """(n, levels + 1) the probabilities of a column's levels, given the cells that are not hidden."""
        composition = self.model.composition_
        out, _ = out_of(composition, Batch(x, self.layout), hidden)
        return composition.loss.probabilities(out, column)

    def order(self, generator: torch.Generator) -> list[int]:
        """The columns in random order."""
        return torch.randperm(len(self.binned.columns), generator=generator, device=generator.device).tolist()

    def batch(self, raw: np.ndarray) -> Batch:
        """Raw numbers as the network reads them."""
        return Batch(torch.from_numpy(self.binned.levels(raw)).to(self.model._device), self.layout)

    @property
    def layout(self) -> Layout:
        return self.binned.form.layout

    # ------------------------------------------------------------------ figures

    def log_likelihood(self, source: Source, generator: torch.Generator, orders: int = 4) -> Likelihood:
        """How probable the levels of rows are: log of the mean, over some orders, of the product of their cells'.

        Rows are drawn in any order, so what is estimated is the very probability with which they are. A number counts
        by its bin, so that figures compare rows, and fits to one table, and not with densities.
        """
        found = np.empty((orders, source.rows))
        for start in range(0, source.rows, ROWS):
            stop = min(start + ROWS, source.rows)
            batch = self.batch(source.read(start, stop))
            for place in range(orders):
                found[place, start:stop] = self.log_shares(batch.x, generator).cpu().numpy()
        peak = found.max(0)
        weights = np.exp(found - peak)
        mean = weights.mean(0)
        spread = np.full(source.rows, np.nan) if orders == 1 else weights.std(0, ddof=1) / mean / np.sqrt(orders)
        return Likelihood(np.log(mean) + peak, spread, orders)

    @torch.no_grad()
    def log_shares(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(n,) float64 log-probabilities of rows of levels in one order of the columns."""
        hidden, total = torch.ones_like(x, dtype=torch.bool), torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for column in self.order(generator):
            shares = self.shares(x, hidden, column)
            total += shares.gather(1, x[:, [column]].long())[:, 0].double().log()
            hidden[:, column] = False
        return total

    # ------------------------------------------------------------------ files

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON data and named tensors, without the model."""
        return {}, {f"binned.{name}": values for name, values in self.binned.state().items()}

    @classmethod
    def restore(
        cls, body: dict[str, Any], tensors: dict[str, Tensor], models: list[Autoencoder], form: Form
    ) -> CellsDrawn:
        """The inverse of `state`."""
        prefix = "binned."
        own = {name.removeprefix(prefix): v.numpy() for name, v in tensors.items() if name.startswith(prefix)}
        return cls(models[0], Binned.restore(own))
