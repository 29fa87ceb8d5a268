"""Corruptions: what they change, how much of it, and what they must leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from isthmus.errors import InputError
from isthmus.parts.corruptions import BlindSpot, GaussianNoise, Mask, MaskPatches, RowSwap, SaltPepper
from isthmus.parts.schedules import Between, Ramp
from isthmus.records import Batch, Column, Layout, Pass, Seen

LAYOUT = Layout((4,), ("column",))
FRACTIONS = {"mask": Mask, "salt and pepper": SaltPepper, "row swap": RowSwap}


def a_batch(n: int = 2000, columns: tuple[Column, ...] | None = None, weight: torch.Tensor | None = None) -> Batch:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((n, 4)))
    return Batch(x + torch.tensor([0.0, 10.0, 20.0, 30.0]), Layout((4,), ("column",), columns), weight)


def corrupt(corruption: object, batch: Batch, seed: int = 0, epoch: float = math.inf) -> Seen:
    return corruption(batch, Pass(torch.Generator().manual_seed(seed), epoch=epoch, training=True))


@pytest.mark.parametrize("corruption", [Mask(0), GaussianNoise(0), SaltPepper(0), RowSwap(0)], ids=repr)
def test_strength_zero_is_none(corruption: object) -> None:
    batch = a_batch()
    assert torch.equal(corrupt(corruption, batch).x, batch.x)


@pytest.mark.parametrize("name", FRACTIONS)
def test_the_fraction_is_that_of_the_cells(name: str) -> None:
    batch = a_batch()
    seen = corrupt(FRACTIONS[name](0.3), batch)
    assert seen.changed.double().mean() == pytest.approx(0.3, abs=0.015)
    assert torch.equal(seen.x[~seen.changed], batch.x[~seen.changed])


@pytest.mark.parametrize("corruption", [Mask(0.3), GaussianNoise(0.3), SaltPepper(0.3), RowSwap(0.3)], ids=repr)
def test_the_generator_decides(corruption: object) -> None:
    batch = a_batch(50)
    before = batch.x.clone()
    first, again, other = (corrupt(corruption, batch, seed).x for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(batch.x, before)
    assert first.dtype == batch.x.dtype


@pytest.mark.parametrize("corruption", [GaussianNoise(1.0), SaltPepper(1.0)], ids=repr)
def test_only_numeric_columns_are_touched(corruption: object) -> None:
    batch = a_batch(50, columns=(Column(), Column("binary"), Column("heavy"), Column("category", 4)))
    seen = corrupt(corruption, batch)
    assert torch.equal(seen.x[:, [1, 3]], batch.x[:, [1, 3]])
    assert seen.changed.any(0).tolist() == [True, False, True, False]
    assert not torch.equal(seen.x[:, 0], batch.x[:, 0])


EVERY_KIND = (Column(), Column("count"), Column("binary"), Column("category", 4))


def mixed_rows(n: int = 300, gaps: bool = False) -> Batch:
    """Rows of a number, a count, a binary cell and a category, one cell in three missing with ``gaps``."""
    draw = torch.Generator().manual_seed(3)
    number = torch.randn(n, 1, generator=draw, dtype=torch.float64)
    whole = [torch.randint(1, most, (n, 1), generator=draw).double() for most in (9, 3, 5)]
    weight = (torch.rand(n, 4, generator=draw) > 1 / 3).double() if gaps else None
    x = torch.cat((number, *whole), dim=1)
    x = x if weight is None else torch.where(weight > 0, x, math.nan)
    return Batch(x, Layout((4,), ("column",), EVERY_KIND), weight)


@pytest.mark.parametrize("gaps", [False, True])
def test_a_mask_hides_cells_of_every_column_of_a_mixed_table(gaps: bool) -> None:
    batch = mixed_rows(2000, gaps)
    seen = corrupt(Mask(0.3), batch)
    assert torch.equal(seen.hidden, seen.changed)
    assert (seen.x[seen.hidden] == 0).all()
    assert torch.equal(seen.x[~seen.hidden].nan_to_num(nan=-9), batch.x[~seen.hidden].nan_to_num(nan=-9))
    assert seen.hidden.double().mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.04)


def test_only_a_mask_hides_and_only_in_mixed_tables() -> None:
    assert corrupt(Mask(0.3), a_batch(9)).hidden is None
    assert all(corrupt(part(0.3), mixed_rows()).hidden is None for part in (GaussianNoise, SaltPepper, RowSwap))


def test_noise_leaves_columns_that_hold_no_numbers() -> None:
    batch = mixed_rows()
    for corruption in (GaussianNoise(1.0), GaussianNoise(1.0, clip=(-1, 1)), SaltPepper(1.0)):
        seen = corrupt(corruption, batch)
        assert seen.changed.all(0).tolist() == [True, False, False, False]
        assert torch.equal(seen.x[:, 1:], batch.x[:, 1:])
        assert not torch.equal(seen.x[:, 0], batch.x[:, 0])


@pytest.mark.parametrize("gaps", [False, True])
def test_row_swap_takes_values_of_every_column_of_a_mixed_table(gaps: bool) -> None:
    batch = mixed_rows(300, gaps)
    seen = corrupt(RowSwap(0.6), batch)
    there = torch.ones_like(batch.x, dtype=torch.bool) if batch.weight is None else batch.weight > 0
    assert (seen.changed & there).any(0).all()
    for column in range(4):
        known = batch.x[there[:, column], column]
        swapped = seen.x[seen.changed[:, column], column]
        assert torch.isin(swapped, known).all()
    assert seen.x[there].isfinite().all()


@pytest.mark.parametrize("part", [Mask, RowSwap])
def test_what_is_told_and_weighed_covers_every_column(part: type) -> None:
    batch = mixed_rows()
    seen = corrupt(part(Between(0.2, 0.6), tell=True, kept_weight=0.25), batch)
    assert seen.level.shape == (300,)
    assert torch.equal(seen.weight, torch.where(seen.changed, 1.0, 0.25).double())
    assert seen.changed.any(0).all()


def test_mask_sets_cells_to_zero() -> None:
    seen = corrupt(Mask(0.5), a_batch())
    assert (seen.x[seen.changed] == 0).all()


def test_gaussian_noise_has_the_standard_deviation() -> None:
    batch = a_batch()
    noise = (corrupt(GaussianNoise(0.7), batch).x - batch.x).flatten().numpy()
    assert noise.std() == pytest.approx(0.7, rel=0.03)
    assert scipy.stats.kstest(noise, scipy.stats.norm(scale=0.7).cdf).pvalue > 1e-3


def test_salt_and_pepper_are_the_columns_extremes_in_equal_shares() -> None:
    batch = a_batch()
    seen = corrupt(SaltPepper(0.4), batch)
    low, high = batch.x.min(0).values, batch.x.max(0).values
    is_low, is_high = (seen.x == low) & seen.changed, (seen.x == high) & seen.changed
    assert torch.equal(is_low | is_high, seen.changed)
    assert is_low.double().mean() == pytest.approx(0.2, abs=0.015)
    assert is_high.double().mean() == pytest.approx(0.2, abs=0.015)


def test_row_swap_takes_another_rows_value_of_the_same_column() -> None:
    batch = a_batch(40)
    seen = corrupt(RowSwap(0.5), batch)
    for row, column in seen.changed.nonzero().tolist():
        others = torch.cat([batch.x[:row, column], batch.x[row + 1 :, column]])
        assert (others == seen.x[row, column]).any()


def test_row_swap_of_everything_keeps_every_column_its_distribution() -> None:
    batch = a_batch(40)
    swapped = corrupt(RowSwap(1.0), batch).x
    assert torch.equal(swapped.sort(0).values, batch.x.sort(0).values)
    assert not (swapped == batch.x).any()


def test_row_swap_of_a_single_row_changes_nothing() -> None:
    batch = a_batch(1)
    assert torch.equal(corrupt(RowSwap(1.0), batch).x, batch.x)


@pytest.mark.parametrize("corruption", [Mask(0.3), GaussianNoise(0.3), SaltPepper(0.3), RowSwap(0.3)], ids=repr)
def test_missing_cells_lend_nothing_to_others(corruption: object) -> None:
    """What a missing cell holds never shows up in a cell that is not missing."""
    weight = (torch.rand(200, 4, generator=torch.Generator().manual_seed(1)) > 0.3).double()
    batch = a_batch(200, weight=weight)
    batch.x[weight == 0] = math.nan
    assert corrupt(corruption, batch).x[weight > 0].isfinite().all()


@pytest.mark.parametrize("corruption", [SaltPepper(1.0), RowSwap(1.0)], ids=repr)
def test_cells_get_values_that_the_column_really_holds(corruption: object) -> None:
    """A gap is not a value of 0: columns far from 0 must not be given zeros because some rows miss them."""
    weight = (torch.rand(60, 4, generator=torch.Generator().manual_seed(1)) > 0.3).double()
    batch = a_batch(60, weight=weight)
    for seed in range(5):
        seen = corrupt(corruption, batch, seed)
        assert (seen.x[weight[:, 3] > 0, 3] > 20).all()


@pytest.mark.parametrize("corruption", [Mask(0.5), GaussianNoise(0.5), SaltPepper(0.5), RowSwap(0.5)], ids=repr)
def test_images_are_corrupted_cell_by_cell(corruption: object) -> None:
    x = torch.randn(30, 5, 6, 3, generator=torch.Generator().manual_seed(0))
    seen = corrupt(corruption, Batch(x, Layout((5, 6, 3), ("height", "width", "channel"))))
    assert seen.x.shape == x.shape
    assert not torch.equal(seen.x, x)


def test_a_schedule_moves_the_strength() -> None:
    batch = a_batch()
    ramp = Mask(Ramp(0.0, 0.8, epochs=10))
    shares = [corrupt(ramp, batch, epoch=epoch).changed.double().mean().item() for epoch in (0, 5, 10, math.inf)]
    assert shares == pytest.approx([0.0, 0.4, 0.8, 0.8], abs=0.02)
    louder = GaussianNoise(Ramp(1.0, 3.0, epochs=1))
    spread = [(corrupt(louder, batch, epoch=epoch).x - batch.x).std().item() for epoch in (0, 1)]
    assert spread == pytest.approx([1.0, 3.0], rel=0.03)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
@pytest.mark.parametrize("part", FRACTIONS.values(), ids=FRACTIONS)
def test_a_fraction_must_be_one(part: type, value: float) -> None:
    with pytest.raises(InputError, match=rf"{part.__name__}: fraction must be in \[0, 1\]; got {value!r}"):
        part(value)


@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_a_standard_deviation_must_not_be_negative(value: float) -> None:
    with pytest.raises(InputError, match=rf"GaussianNoise: std must be >= 0 and finite; got {value!r}"):
        GaussianNoise(value)


@pytest.mark.parametrize("fraction", [1, 1.0, Between(0.5, 1.0), Ramp(0.0, 1.0, epochs=3)], ids=repr)
@pytest.mark.parametrize("part", [Mask, MaskPatches])
def test_a_mask_of_everything_is_refused(part: type, fraction: object) -> None:
    with pytest.raises(InputError, match=rf"{part.__name__}: fraction must be below 1: a mask of everything leaves"):
        part(fraction)


def test_each_row_draws_its_strength_from_a_range() -> None:
    x = torch.zeros(3000, 40, dtype=torch.float64)
    batch = Batch(x, Layout((40,), ("column",)))
    even = corrupt(GaussianNoise(Between(0.5, 1.5), tell=True), batch)
    assert scipy.stats.kstest(even.level.numpy(), scipy.stats.uniform(0.5, 1.0).cdf).pvalue > 1e-3
    ratio = even.x.std(1) / even.level
    assert ratio.mean().item() == pytest.approx(1, abs=0.02)
    factors = corrupt(GaussianNoise(Between(0.05, 2.0, log=True), tell=True), batch).level.log().numpy()
    low, width = math.log(0.05), math.log(40)
    assert scipy.stats.kstest(factors, scipy.stats.uniform(low, width).cdf).pvalue > 1e-3
    shares = corrupt(Mask(Between(0.2, 0.6), tell=True), batch)
    assert torch.corrcoef(torch.stack([shares.changed.double().mean(1), shares.level]))[0, 1] > 0.8


def test_the_level_is_told_only_where_it_is_wanted() -> None:
    assert corrupt(Mask(0.3), a_batch(5)).level is None
    assert corrupt(Mask(0.3, tell=True), a_batch(5)).level.tolist() == [0.3] * 5
    assert GaussianNoise(Ramp(1.0, 0.25, epochs=4)).least == 0.25


def test_kept_cells_may_weigh_less_in_the_loss() -> None:
    assert corrupt(Mask(0.3), a_batch(5)).weight is None
    seen = corrupt(Mask(0.3, kept_weight=0.1), a_batch(50))
    assert torch.equal(seen.weight, torch.where(seen.changed, 1.0, 0.1).double())
    with pytest.raises(InputError, match=r"Mask: kept_weight must be in \[0, 1\]; got 2"):
        Mask(0.3, kept_weight=2)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_patches_are_hidden_whole(shape: tuple[int, ...]) -> None:
    x = torch.rand(400, *shape, generator=torch.Generator().manual_seed(0)) + 1
    batch = Batch(x, Layout(shape, ("height", "width", "channel")[: len(shape)]))
    seen = corrupt(MaskPatches(0.4, size=4), batch)
    assert (seen.x[seen.changed] == 0).all()
    assert torch.equal(seen.x[~seen.changed], x[~seen.changed])
    for rows, columns in ((slice(0, 4), slice(0, 4)), (slice(8, 9), slice(4, 7))):
        patch = seen.changed[:, rows, columns].flatten(1)
        assert torch.equal(patch.any(1), patch.all(1))
        assert patch.all(1).double().mean() == pytest.approx(0.4, abs=0.08)


def test_patches_need_images() -> None:
    with pytest.raises(InputError, match=r"MaskPatches: rows must be images; .* Use Mask for tables"):
        corrupt(MaskPatches(0.4), a_batch(5))
    with pytest.raises(InputError, match=r"MaskPatches: rows must be images; .* Use Mask for tables"):
        corrupt(MaskPatches(0.4), mixed_rows())
    with pytest.raises(InputError, match="BlindSpot: rows must be images, series or clips"):
        corrupt(BlindSpot(0.4), mixed_rows())
    with pytest.raises(InputError, match="MaskPatches: size must be a whole number"):
        MaskPatches(0.4, size=0)


@pytest.mark.parametrize("low_and_high", [(-1, 1), (0.5, 0.2), (0.1, math.inf), (math.nan, 1)])
def test_a_range_runs_upwards(low_and_high: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="Between: low and high must be 0 <= low <= high"):
        Between(*low_and_high)


def test_a_range_of_logarithms_starts_above_zero() -> None:
    with pytest.raises(InputError, match="Between: low must be > 0 where log=True"):
        Between(0.0, 1.0, log=True)
