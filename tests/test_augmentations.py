"""Augmentations: what moves, how far, and that everything about a row moves with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import isthmus as ist
from isthmus.parts.augmentations import Crop, Flip, Shift, Together
from isthmus.records import Batch, Layout, Pass, from_json, to_json

IMAGES = Layout((5, 6), ("height", "width"))
COLOUR = Layout((5, 6, 3), ("height", "width", "channel"))
SERIES = Layout((7, 2), ("step", "channel"))


def a_pass(seed: int = 0) -> Pass:
    return Pass(torch.Generator().manual_seed(seed), training=True)


def batch_of(layout: Layout, n: int = 64, **more: Any) -> Batch:
    """Rows whose every number tells its place; what is shown and weighed tells it too."""
    x = torch.arange(n * layout.features, dtype=torch.float32).reshape(n, *layout.shape)
    return Batch(x, layout, weight=x + 0.25, shown=x + 0.5, **more)


def check_moved_alike(batch: Batch) -> None:
    assert torch.equal(batch.weight, batch.x + 0.25)
    assert torch.equal(batch.shown, batch.x + 0.5)
    assert batch.x.shape[1:] == batch.layout.shape


@pytest.mark.parametrize("layout", [IMAGES, COLOUR])
def test_flip_turns_about_half_of_the_rows(layout: Layout) -> None:
    batch = batch_of(layout, 400)
    made = Flip()(batch, a_pass())
    check_moved_alike(made)
    turned = (made.x == batch.x.flip(2)).flatten(1).all(1)
    kept = (made.x == batch.x).flatten(1).all(1)
    assert (turned ^ kept).all()
    assert abs(float(turned.float().mean()) - 0.5) < 4 * 0.5 / 20
    both = Flip(("height", "width"))(batch, a_pass())
    kinds = [batch.x, batch.x.flip(1), batch.x.flip(2), batch.x.flip(1, 2)]
    counts = [int((both.x == kind).flatten(1).all(1).sum()) for kind in kinds]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_flip_turns_a_sequence_within_its_length() -> None:
    lengths = torch.tensor([7, 4, 1, 7] * 8)
    batch = batch_of(SERIES, 32, lengths=lengths)
    made = Flip("step")(batch, a_pass())
    check_moved_alike(made)
    assert torch.equal(made.lengths, lengths)
    turned = 0
    for row, before, length in zip(made.x, batch.x, lengths.tolist(), strict=True):
        assert torch.equal(row[length:], before[length:])
        back = torch.equal(row[:length], before[:length].flip(0))
        assert back or torch.equal(row, before)
        turned += back and length > 1
    assert 4 < turned < 24


def test_shift_moves_rows_and_repeats_the_edge() -> None:
    batch = batch_of(COLOUR, 300)
    made = Shift(2)(batch, a_pass())
    check_moved_alike(made)
    seen = set()
    for row, before in zip(made.x.numpy(), batch.x.numpy(), strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        found = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if np.array_equal(padded[down : down + 5, right : right + 6], row)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 25


def test_shift_stays_within_a_sequence() -> None:
    lengths = torch.tensor([7, 3, 1] * 20)
    batch = batch_of(SERIES, 60, lengths=lengths)
    made = Shift(9)(batch, a_pass())
    check_moved_alike(made)
    for row, before, length in zip(made.x, batch.x, lengths.tolist(), strict=True):
        assert torch.equal(row[length:], before[length:])
        assert set(row[:length, 0].tolist()) <= set(before[:length, 0].tolist())


def test_crop_cuts_every_window() -> None:
    batch = batch_of(COLOUR, 300)
    made = Crop((3, 4))(batch, a_pass())
    check_moved_alike(made)
    assert made.layout == Layout((3, 4, 3), COLOUR.axes)
    origins = made.x[:, 0, 0, 0] - batch.x[:, 0, 0, 0]
    assert sorted(set(origins.tolist())) == [3 * (6 * down + right) for down in range(3) for right in range(3)]
    first = int(origins[0]) // 3
    down, right = divmod(first, 6)
    assert torch.equal(made.x[0], batch.x[0, down : down + 3, right : right + 4])
    assert torch.equal(Crop((5, 6))(batch, a_pass()).x, batch.x)


def test_crop_keeps_short_sequences() -> None:
    batch = batch_of(SERIES, 60, lengths=torch.tensor([7, 5, 2] * 20))
    made = Crop(4)(batch, a_pass())
    assert made.lengths.tolist() == [4, 4, 2] * 20
    starts = ((made.x[:, 0, 0] - batch.x[:, 0, 0]) / 2).reshape(20, 3)
    assert [set(column.tolist()) for column in starts.T] == [{0, 1, 2, 3}, {0, 1}, {0}]


def test_together_one_after_the_other() -> None:
    batch = batch_of(IMAGES)
    pass_ = a_pass(3)
    step_by_step = Crop(4)(Shift(1)(Flip()(batch, pass_), pass_), pass_)
    assert torch.equal(Together([Flip(), Shift(1), Crop(4)])(batch, a_pass(3)).x, step_by_step.x)


def test_bare_batches_stay_bare_and_the_global_generator_still() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    made = Together((Flip(), Shift(), Crop(3)))(Batch(torch.zeros(2, 5, 6), IMAGES), a_pass())
    assert made.weight is None
    assert made.shown is None
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "part", [Flip(("height", "step")), Shift(3), Crop((3, 4)), Crop(5), Together((Flip(), Crop(2)))]
)
def test_parts_are_values(part: Any) -> None:
    assert from_json(to_json(part)) == part
    assert eval(repr(part), {"Flip": Flip, "Shift": Shift, "Crop": Crop, "Together": Together}) == part


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Flip(3), ["Flip: axes must be names"]),
        (lambda: Shift(0), ["Shift: most must be a whole number of places >= 1; got 0"]),
        (lambda: Crop(()), ["Crop: size must be whole numbers >= 1"]),
        (lambda: Crop(2.5), ["Crop: size", "2.5"]),
        (lambda: Together(()), ["[Flip(), Shift(2)]"]),
        (lambda: Together((Flip,)), ["[Flip(), Shift(2)]"]),
        (lambda: Flip("step")(batch_of(IMAGES), a_pass()), ["no axis 'step'; they have height, width"]),
        (lambda: Crop(6)(batch_of(IMAGES), a_pass()), ["size=6 does not lie within", "(5, 6)"]),
        (lambda: Crop((2, 2, 2))(batch_of(COLOUR), a_pass()), ["does not lie within"]),
        (lambda: Shift()(batch_of(Layout((4,), ("column",))), a_pass()), ["a table's columns"]),
    ],
)
def test_augmentations_that_mean_nothing(call: Any, words: list[str]) -> None:
    with pytest.raises(ist.InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_they_act_in_training_only() -> None:
    encoder, decoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 2)), torch.nn.Linear(2, 30)
    parts = (encoder, ist.Plain(), torch.nn.Sequential(decoder, torch.nn.Unflatten(1, (5, 6))), ist.Squared())
    composition = ist.compose(*parts, augmentation=Flip())
    batch = Batch(batch_of(IMAGES).x, IMAGES)
    assert torch.equal(composition.trace(batch).batch.x, batch.x)
    assert not torch.equal(composition.trace(batch, a_pass()).batch.x, batch.x)
