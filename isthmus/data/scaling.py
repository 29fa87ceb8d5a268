"""How each column is brought to a size that a network can learn from, decided from the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.checks import counted, infinite_cells, listed, missing_cells, place
from isthmus.data.decisions import (
    FOR_TABLES,
    MODES,
    centre_and_scale,
    constant_columns,
    decided,
    fitted_warps,
    modes_of,
    share_a_range,
    used_as_given,
    warn_of_columns,
)
from isthmus.data.sources import Source
from isthmus.data.statistics import gathered
from isthmus.data.warps import WARPED, Warps
from isthmus.data.whole import check_whole, strange_cell, strange_sentence
from isthmus.errors import FileFormatError, InputError

LARGEST = 1e15
"""A scaled value beyond this has a square that float32 sums can no longer hold."""

LARGEST_OFFSET = 1000.0
"""Columns further than this from 0, in scales, are scaled in float64: float32 would lose their digits."""


@dataclass(frozen=True)
class Scaling:
    """A scale and a centre for every column: ``scaled = (x - centre) / scale``; or a bent scale, for skewed columns.

    Make one with `fit`; it is never refitted. In mixed tables only columns of numbers are scaled, and a missing cell
    (NaN) is 0 once scaled.

    Attributes
    ----------
    mode : ``"standard"`` (each column to mean 0 and variance 1), ``"common"`` (mean 0, one scale for all),
        ``"unit"`` (to [0, 1]), ``"none"``, ``"log"`` (a signed logarithm, then as standard) or ``"quantile"`` (through
        the observed quantiles to normal scores, then as standard); ``modes`` says it for each column.
    centre, scale, low, high : (features,) float64; the last two are the observed range. Of columns of ``"log"`` and
        ``"quantile"`` centre and scale are 0 and 1 and say nothing: ask `bent` which they are.
    constant : (features,) bool, columns that always hold the same value.
    rows : rows seen.
    shape : the shape of one row.
    reason : why this mode, in words.
    names : column names for error messages, None for nameless arrays.
    wide : the data's type needs more than float32, so results come back as float64.
    support : what the loss takes: ``"real"``, ``"unit"``, ``"count"`` or ``"category"``; later rows are held to it.
    classes : number of categories that a loss of categories knows; 0 for others.
    as_given : (features,) bool, the columns of a mixed table that are no numbers to scale (levels, counts, shares of a
        turn); None = the table is not mixed.
    warps : the maps of the columns of ``"log"`` and ``"quantile"``; None = there are none.
    """

    mode: str
    centre: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    constant: np.ndarray
    rows: int
    shape: tuple[int, ...]
    modes: np.ndarray
    reason: str = ""
    names: tuple[str, ...] | None = None
    wide: bool = True
    support: str = "real"
    classes: int = 0
    as_given: np.ndarray | None = None
    warps: Warps | None = None

    @classmethod
    def fit(
        cls,
        source: Source,
        rows: np.ndarray | None = None,
        mode: str = "auto",
        support: str = "real",
        per_column: Mapping[str | int, str] | None = None,
        classes: int | None = None,
    ) -> Scaling:
        """Decide the scaling from the data, in one pass over it.

        Parameters
        ----------
        source : the data.
        rows : sorted numbers of the rows to look at; None = all.
        mode : one of the modes, or ``"auto"``: ``"unit"`` where the loss needs values in [0, 1], ``"common"``
            for images and for columns that share one range, otherwise ``"standard"``, as in mixed tables, of which a
            mode concerns the columns of numbers.
        support : ``"unit"`` where the loss needs values in [0, 1], ``"count"`` or ``"category"`` where it needs whole
            numbers, which are never scaled, otherwise ``"real"``.
        per_column : a mode for single columns, by name or position; ``"numeric"`` means the general one. None =
            what `open_source` was told. Of mixed tables it goes before what was found best for a column.
        classes : number of categories, where the loss is of categories.

        Raises
        ------
        InputError
            Missing, infinite or huge cells, an unknown mode or column; cells that are no counts or categories where
            the loss needs them (in any row of the source), or a mode that would scale those.

        Warns
        -----
        DataWarning
            Constant columns; columns that repeat another.
        """
        if mode not in ("auto", *MODES):
            raise InputError(f"scale must be 'auto' or one of {listed(MODES)}; got {mode!r}")
        if source.layout.sequence:
            return cls.fit(source.steps(rows), None, mode, support, per_column, classes).along(source.layout.shape)
        found = gathered(source, rows)
        check_whole(source, support, classes or 0)
        as_given = used_as_given(source)
        constant = constant_columns(found, source.dtype if as_given is None else np.dtype(np.float64))
        shared = share_a_range(source, found, constant)
        mode, reason = decided(mode, support, source, shared)
        modes = modes_of(source, mode, support, per_column, constant)
        centre, scale = centre_and_scale(found, modes, constant, shared, source)
        made = cls(
            mode, centre, scale, found.low, found.high, constant, found.rows, source.layout.shape, modes, reason,
            source.names, source.form.wide, support, classes or 0, as_given, fitted_warps(source, rows, modes, found),
        )  # fmt: skip
        warn_of_columns(source, rows, found, constant, mode)
        return made

    def along(self, shape: tuple[int, ...]) -> Scaling:
        """The same for rows of ``shape``, (steps, ...), whose steps are all scaled alike: as the first steps of this
        one, or as this one where it is of a single step.

        >>> from isthmus.data.sources import ArraySource
        >>> Scaling.fit(ArraySource(np.array([[0.0], [2.0]]))).along((3,)).centre
        array([1., 1., 1.])
        """
        if shape == self.shape:
            return self
        if self.warps is not None:
            raise InputError(FOR_TABLES)
        period = int(np.prod(shape[1:]))
        arrays: dict[str, Any] = {name: np.tile(getattr(self, name)[:period], shape[0]) for name in ARRAYS}
        return replace(self, shape=shape, **arrays)

    @property
    def features(self) -> int:
        """Numbers in one row."""
        return len(self.centre)

    @property
    def log_volume(self) -> float:
        """Sum of log(scale) over the columns that vary: a log density of scaled rows minus this is one in the
        user's units.

        Raises
        ------
        ValueError
            Some columns have a bent scale, whose slope differs from cell to cell: there `log_slope` says it.
        """
        if self.warps is not None:
            raise ValueError("a scaling with columns of 'log' or 'quantile' has no one volume: use log_slope(x)")
        return float(self.log_scale.sum())

    @cached_property
    def log_scale(self) -> np.ndarray:
        """(features,) log(scale), 0 for columns that are constant, used as given or bent: see `log_slope`."""
        return np.where(self.constant, 0.0, np.log(self.scale))

    def log_slope(self, x: Tensor) -> Tensor:
        """log |d raw / d scaled| of every cell: a log density of scaled rows minus this is one in the user's units.

        Parameters
        ----------
        x : (n, *shape) scaled rows.

        Returns
        -------
        Tensor
            (n, features) of the type and device of x: `log_scale` in every row but for bent columns, whose slope
            follows from the cell. That of a missing cell means nothing, and is to be weighted 0.
        """
        slope = torch.from_numpy(self.log_scale).to(x).repeat(len(x), 1)
        if self.warps is not None:
            slope[:, self.warps.columns] = self.warps.log_slope(x.reshape(len(x), self.features)).to(slope)
        return slope

    @property
    def bent(self) -> np.ndarray:
        """(features,) bool: columns of ``"log"`` and ``"quantile"``, of which centre and scale say nothing."""
        return np.isin(self.modes, [MODES.index(name) for name in WARPED])

    @property
    def looseness(self) -> np.ndarray:
        """(features,) by how much noise in scaled units is widened before it is brought back: 1, but in columns scaled
        through their quantiles, where cells of one value are all at one place while noise is not."""
        wider = np.ones(self.features)
        if self.warps is not None:
            wider[self.warps.quantile] = self.warps.quantiles.unit
        return wider

    @property
    def unit(self) -> np.ndarray:
        """(features,) what a scaled error is multiplied by for people: standard and bent columns report in standard
        deviations of what is scaled, all others in the user's units."""
        return np.where(self.modes == MODES.index("standard"), 1.0, self.scale)

    def forward(self, raw: np.ndarray, argument: str = "X", first_row: int = 0) -> Tensor:
        """Scale some rows.

        Parameters
        ----------
        raw : (n, *shape) numbers; read only.
        argument : what an error calls the data.
        first_row : the number of the first of these rows in the user's data, for errors.

        Returns
        -------
        Tensor
            (n, *shape) float32, new memory.

        Raises
        ------
        InputError
            A cell is missing (but in mixed tables), infinite, or huge once scaled; or no count or category, where the
            loss needs them.
        """
        flat = raw.reshape(len(raw), self.features)
        small = flat.dtype.kind in "biuf" and np.can_cast(flat.dtype, np.float32)
        if small and self._fits_float32:
            x = torch.addcmul(self._shift32, as_tensor(flat, np.dtype(np.float32)), self._factor32)
        else:
            x = as_tensor(flat, np.dtype(np.float64)).sub(self._centre64).mul_(self._factor64).float()
        x = x.contiguous()
        if self.warps is not None:
            x[:, self.warps.columns] = self.warps.forward(flat).float()
        if self.as_given is not None:
            x.nan_to_num_(0.0, torch.inf, -torch.inf)
        if not (small and flat.dtype.kind in "biu") and not usable(x):
            raise InputError(self._what_is_wrong(flat, argument))
        strange = strange_cell(flat, self.support, self.classes)
        if strange is not None:
            where = place(strange[1], self.shape, self.names)
            row, value = first_row + strange[0], float(flat[strange])
            raise InputError(strange_sentence(argument, where, row, value, self.support, self.classes))
        return x.reshape(raw.shape)

    def inverse(self, x: Tensor, wide: bool | None = None) -> np.ndarray:
        """Scaled rows in the user's units: (n, *shape), float64 where the data needs it, else float32.

        Columns of ``"quantile"`` stay within the observed range: beyond it their map only goes on so that `forward`
        loses no number, and says nothing of what may be there. The price is that of a later row further out than any
        that was seen only the end of the range comes back.

        Parameters
        ----------
        x : (n, *shape) float32.
        wide : float64 (True) or float32 (False); None = as the data was when the scaling was fitted.
        """
        wide = self.wide if wide is None else wide
        flat = x.detach().cpu().reshape(len(x), self.features)
        if wide or not self._fits_float32 or self.warps is not None:
            values = flat.double().mul_(self._scale64).add_(self._centre64)
            if self.warps is not None:
                values[:, self.warps.columns] = self.warps.inverse(flat)
                here = self.warps.quantile
                values[:, here] = torch.clamp(values[:, here], self._low64[here], self._high64[here])
            return values.to(torch.float64 if wide else torch.float32).reshape(x.shape).numpy()
        return torch.addcmul(self._centre32, flat.float(), self._scale32).reshape(x.shape).numpy()

    def describe(self, names: tuple[str, ...] | None = None) -> list[str]:
        """What was decided and why, a plain sentence per line."""
        names = self.names if names is None else names
        scaled = np.ones(self.features, dtype=bool) if self.as_given is None else ~self.as_given
        words = f"{WORDS[self.mode]}, because {self.reason}"
        said = [f"scaling {self.mode!r}: {words} ({counted(self.rows, 'row')} seen)"]
        for number in np.unique(self.modes[scaled]):
            here = np.flatnonzero((self.modes == number) & scaled)
            if MODES[number] != self.mode:
                why = ", as asked for"
                if self.as_given is not None and MODES[number] in WARPED:
                    why = f" ({WORDS[MODES[number]]}), where held-out values are likelier so or it was asked for"
                where = [place(int(i), self.shape, names) for i in here[:8]]
                more = f" and {len(here) - 8} more" if len(here) > 8 else ""
                said.append(f"scaling {MODES[number]!r}{why}: {', '.join(where)}{more}")
            if MODES[number] in ("common", "unit") and len(np.unique(self.scale[here])) == 1:
                said.append(f"one unit of the network is {self.scale[here[0]]:.6g} of the data's")
        if self.as_given is None:
            said.append(f"observed values lie between {self.low.min():.6g} and {self.high.max():.6g}")
        elif self.as_given.any():
            said.append(
                f"{counted(int(self.as_given.sum()), 'column')} of levels, counts or times of day used as given"
            )
        count = int(self.constant.sum())
        if count:
            where = [place(int(i), self.shape, names) for i in np.flatnonzero(self.constant)[:8]]
            more = f" and {count - 8} more" if count > 8 else ""
            said.append(f"{counted(count, 'column')} constant: {', '.join(where)}{more}")
        return said

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON data and named arrays; names are kept by the `Form` beside it."""
        body = {
            "mode": self.mode, "reason": self.reason, "rows": self.rows, "shape": list(self.shape), "wide": self.wide,
            "support": self.support, "classes": self.classes,
        }  # fmt: skip
        tensors = {name: getattr(self, name) for name in ARRAYS}
        if self.as_given is not None:
            tensors["as_given"] = self.as_given
        return body, tensors | ({} if self.warps is None else self.warps.state())

    @classmethod
    def restore(
        cls, body: dict[str, Any], tensors: dict[str, np.ndarray], names: tuple[str, ...] | None = None
    ) -> Scaling:
        """The scaling that `state` described."""
        try:
            arrays: dict[str, Any] = {name: np.asarray(tensors[name]).astype(dtype) for name, dtype in ARRAYS.items()}
            shape = tuple(int(n) for n in body["shape"])
            made = cls(
                mode=str(body["mode"]), rows=int(body["rows"]), shape=shape, reason=str(body["reason"]), names=names,
                wide=bool(body["wide"]), support=str(body.get("support", "real")),
                classes=int(body.get("classes", 0)), **arrays,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"the description of the scaling is damaged ({error})") from error
        whole = all(array.shape == (int(np.prod(shape)),) for array in arrays.values()) and made.mode in MODES
        if not whole or (made.modes >= len(MODES)).any() or not (made.scale > 0).all():
            raise FileFormatError("the description of the scaling is damaged")
        as_given = np.asarray(tensors["as_given"]).astype(bool) if "as_given" in tensors else None
        if as_given is not None and as_given.shape != made.centre.shape:
            raise FileFormatError("the description of the scaling is damaged")
        if not made.bent.any():
            return made if as_given is None else replace(made, as_given=as_given)
        log, quantile = (np.flatnonzero(made.modes == MODES.index(mode)) for mode in WARPED)
        return replace(made, as_given=as_given, warps=Warps.restore(log, quantile, tensors))

    # The same numbers as tensors, made once: a batch of a small table takes less time than making them.

    @cached_property
    def _fits_float32(self) -> bool:
        sane = (self.scale > 1e-30) & (self.scale < 1e30)
        return bool((sane & (np.abs(self.centre) <= LARGEST_OFFSET * self.scale)).all())

    @cached_property
    def _centre64(self) -> Tensor:
        return torch.from_numpy(self.centre.copy())

    @cached_property
    def _scale64(self) -> Tensor:
        return torch.from_numpy(self.scale.copy())

    @cached_property
    def _low64(self) -> Tensor:
        return torch.from_numpy(self.low.copy())

    @cached_property
    def _high64(self) -> Tensor:
        return torch.from_numpy(self.high.copy())

    @cached_property
    def _factor64(self) -> Tensor:
        return 1.0 / self._scale64

    @cached_property
    def _factor32(self) -> Tensor:
        return self._factor64.float()

    @cached_property
    def _shift32(self) -> Tensor:
        return (-self._centre64 * self._factor64).float()

    @cached_property
    def _centre32(self) -> Tensor:
        return self._centre64.float()

    @cached_property
    def _scale32(self) -> Tensor:
        return self._scale64.float()

    def _what_is_wrong(self, flat: np.ndarray, argument: str) -> str:
        flat = flat.astype(np.float64)
        gaps = np.isnan(flat)
        if gaps.any() and self.as_given is None:
            hit = int(gaps.any(axis=1).sum())
            return missing_cells(argument, gaps.sum(axis=0), hit, len(flat), self.shape, self.names)
        infinite = np.isinf(flat)
        if infinite.any():
            return infinite_cells(argument, infinite.sum(axis=0), len(flat), self.shape, self.names)
        with np.errstate(over="ignore"):
            scaled = np.abs((flat - self.centre) / self.scale)
        if self.warps is not None:
            scaled[:, self.warps.columns] = self.warps.away(flat).abs().numpy()
        scaled[gaps] = 0.0
        row, index = np.unravel_index(int(np.argmax(scaled)), scaled.shape)
        return (
            f"{argument}: {place(int(index), self.shape, self.names)} holds {flat[row, index]:.6g}, which is "
            f"{scaled[row, index]:.3g} of its scale away from what was seen in training "
            f"({self.low[index]:.6g} to {self.high[index]:.6g}): too large to calculate with. "
            f"Is it a fill value such as 1e20, or in another unit?"
        )


ARRAYS = {
    "centre": np.float64, "scale": np.float64, "low": np.float64, "high": np.float64, "constant": np.bool_,
    "modes": np.uint8,
}  # fmt: skip

WORDS = {
    "standard": "each column is brought to mean 0 and standard deviation 1",
    "common": "each column's mean is taken away, and one scale serves all columns",
    "unit": "values are brought to [0, 1]",
    "none": "values are used as they are",
    "log": "a signed logarithm, then mean 0 and standard deviation 1",
    "quantile": "through the observed quantiles to normal scores, then mean 0 and standard deviation 1",
}


def as_tensor(flat: np.ndarray, dtype: np.dtype) -> Tensor:
    """The array as a tensor of ``dtype``, sharing memory where that is allowed."""
    if not flat.dtype.isnative or flat.dtype.name not in TORCH_KNOWS:
        flat = flat.astype(dtype)
    elif not flat.flags.writeable or any(step < 0 for step in flat.strides):
        # PyTorch has no read-only tensors and warns; a batch is small, so it is copied, changing type if it must.
        flat = flat.astype(dtype)
    return torch.from_numpy(flat).to(torch.float32 if dtype == np.float32 else torch.float64)


def usable(x: Tensor) -> bool:
    """Whether every number of (n, features) is finite and at most `LARGEST` in size."""
    every = x.view(-1)
    # A sum of squares within the limit proves it, at a sixth of the time that finding the extremes takes.
    if torch.dot(every, every).item() <= LARGEST**2 or not len(every):
        return True
    least, most = torch.aminmax(every)
    return least.item() >= -LARGEST and most.item() <= LARGEST


TORCH_KNOWS = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
