"""Rows in the user's units and scaled ones, as graphs of tables of numbers, images and series turn one to the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import place
from isthmus.data.form import Form, is_plain, plain_dtype
from isthmus.errors import DataWarning, InputError
from isthmus.records import Batch

ROUNDING = 2.0**-24
"""How much of a number is lost at most when it becomes float32."""

FELT = 1e-3
"""A loss of more than this, in units of a column's scale, is told."""


class Scaling(Protocol):
    """What is read of the scaling: scaled = (x - centre) / scale, per feature."""

    @property
    def centre(self) -> np.ndarray: ...

    @property
    def scale(self) -> np.ndarray: ...

    @property
    def low(self) -> np.ndarray: ...

    @property
    def high(self) -> np.ndarray: ...

    @property
    def log_volume(self) -> float: ...


class Units(nn.Module):
    """The way between rows in the user's units and scaled ones, where one number scales a whole column.

    The centre is kept as a float32 number and the rest that it leaves, because the rounding of a centre
    of 1e6 alone is 0.03: ``(x - centre) - rest`` loses nothing but what float32 rows have lost already.
    """

    dtype = torch.float32
    centre: Tensor
    rest: Tensor
    scale: Tensor
    inverse: Tensor
    log_volume: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, scaling: Scaling, form: Form, support: str) -> None:
        super().__init__()
        self.layout, self.support = form.layout, support
        self.bounded = any(plain_dtype(name).kind in "iu" for name in form.dtypes)
        for name, end in zip(("lowest", "highest"), ends(form), strict=True):
            self.register_buffer(name, torch.from_numpy(end))
        exact, spread = (torch.tensor(values, dtype=torch.float64) for values in (scaling.centre, scaling.scale))
        numbers = {"centre": exact.float(), "rest": exact - exact.float(), "scale": spread, "inverse": 1 / spread}
        for name, values in numbers.items():
            as_float32 = values.float()
            if not as_float32.isfinite().all():
                feature = int((~as_float32.isfinite()).nonzero()[0])
                raise InputError(
                    f"ONNX export: feature {feature} has the centre {exact[feature]:g} and the spread "
                    f"{spread[feature]:g}, too large or too small for float32; rescale it before the fit"
                )
            self.register_buffer(name, as_float32.reshape(form.layout.shape).clone())
        self.register_buffer("log_volume", torch.tensor(float(scaling.log_volume)))

    def batch(self, x: Tensor, given: Tensor | None) -> Batch:
        """Scaled rows."""
        return Batch(((x - self.centre) - self.rest) * self.inverse, self.layout, given=given)

    def rebuilt(self, x: Tensor) -> Tensor:
        """Scaled rows in the user's units, within what their types hold."""
        x = x * self.scale + self.centre
        return torch.minimum(torch.maximum(x, self.lowest), self.highest) if self.bounded else x

    def volume(self, batch: Batch) -> Tensor:
        """What is taken from a log density of scaled rows to make it one in the user's units."""
        return self.log_volume

    def compared(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Rows in the user's units as they are compared, and one unit of each feature."""
        return values, self.scale

    def rows(self, n: int) -> Tensor:
        """(n, *shape) random rows in the user's units, spread as the scaling says that rows are."""
        draw = np.random.default_rng(0)
        drawn: dict[str, Callable[..., Any]] = {
            "unit": draw.uniform,
            "count": partial(draw.poisson, 3.0),
            "category": partial(draw.integers, 2),
        }
        scaled = drawn.get(self.support, draw.standard_normal)(size=(n, *self.layout.shape))
        return torch.from_numpy(scaled) * self.scale.double() + self.centre.double()


def ends(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest float32 number that each column's type holds: whole numbers have ends, others none.

    Returns
    -------
    tuple of arrays
        Both of a row's shape, or (1,) where all columns share one type.
    """
    found = []
    for name in form.dtypes:
        dtype = plain_dtype(name) if is_plain(name) else np.dtype(np.float64)
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (-np.inf, np.inf)
        top = np.float32(high)
        # The largest 32-bit number is no float32: the nearest one is one too many.
        found.append((np.float32(low), np.nextafter(top, np.float32(0)) if float(top) > high else top))
    lowest, highest = np.array(found, dtype=np.float32).T.copy()
    if len(found) > 1:
        lowest, highest = lowest.reshape(form.layout.shape), highest.reshape(form.layout.shape)
    return lowest, highest


def warn_of_rounding(scaling: Scaling, form: Form) -> None:
    """Warn of columns whose values float32 cannot hold to a thousandth of their spread."""
    largest = np.maximum(np.abs(scaling.low), np.abs(scaling.high))
    lost = largest / scaling.scale * ROUNDING
    lost[(scaling.low == scaling.high) & (scaling.low.astype(np.float32) == scaling.low)] = 0
    dtypes = [plain_dtype(name) for name in form.dtypes]
    exact = np.array([np.can_cast(dtype, np.float32) for dtype in dtypes])
    whole = np.array([dtype.kind in "iu" for dtype in dtypes])
    lost[exact | (whole & (largest * ROUNDING <= 1))] = 0
    worst = [int(i) for i in np.argsort(-lost, kind="stable") if lost[i] > FELT]
    if worst:
        names = listed_places(worst, form)
        warnings.warn(
            f"ONNX graphs take and give float32 numbers, which cannot hold {names} well enough: up to "
            f"{lost[worst[0]]:.2g} of the column's spread is lost, so codes and reconstructions will differ from the "
            "library's. Subtract the offset, such as the column's mean, before fitting and exporting",
            DataWarning,
            stacklevel=5,
        )


def listed_places(features: list[int], form: Form) -> str:
    """The first few of these features, in the user's words."""
    more = f" and {len(features) - 5} more" if len(features) > 5 else ""
    return ", ".join(place(i, form.layout.shape, form.names) for i in features[:5]) + more
