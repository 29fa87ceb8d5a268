"""Schedules: numbers that change with the epoch."""

from __future__ import annotations

import math

import pytest

from isthmus.errors import InputError
from isthmus.parts.schedules import Ramp, at, ends


def test_a_linear_ramp() -> None:
    ramp = Ramp(2.0, 6.0, epochs=4)
    assert [ramp(epoch) for epoch in (-1, 0, 1, 2, 4, 9, math.inf)] == [2.0, 2.0, 3.0, 4.0, 6.0, 6.0, 6.0]


def test_a_cosine_ramp_is_flat_at_both_ends() -> None:
    ramp = Ramp(1.0, 0.0, epochs=10, shape="cosine")
    assert [ramp(epoch) for epoch in (0, 5, 10, math.inf)] == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=1e-15)
    assert ramp(0.01) == pytest.approx(1.0, abs=1e-5)
    assert ramp(2.5) == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 4))


def test_at_reads_numbers_and_schedules() -> None:
    assert at(3, 7.0) == 3.0
    assert at(Ramp(0.0, 1.0, epochs=10), 2.5) == 0.25
    assert at(Ramp(0.0, 1.0, epochs=10), math.inf) == 1.0
    assert at(lambda epoch: epoch + 1, 2.0) == 3.0


def test_ends() -> None:
    assert ends(0.5) == 0.0
    assert ends(None) == 0.0
    assert ends(Ramp(0.0, 1.0, epochs=10)) == 10.0


@pytest.mark.parametrize("epochs", [0, -1, math.nan])
def test_a_ramp_takes_some_time(epochs: float) -> None:
    with pytest.raises(InputError, match=rf"Ramp: epochs must be > 0, got {epochs!r}"):
        Ramp(0.0, 1.0, epochs=epochs)


def test_a_ramp_has_one_of_two_shapes() -> None:
    with pytest.raises(InputError, match=r"Ramp: shape must be 'linear' or 'cosine', got 'sine'"):
        Ramp(0.0, 1.0, epochs=1, shape="sine")


def test_ramps_are_values() -> None:
    assert Ramp(0.0, 1.0, 2) == Ramp(0.0, 1.0, 2)
    assert repr(Ramp(0.0, 1.0, 2)) == "Ramp(start=0.0, stop=1.0, epochs=2)"
    with pytest.raises(AttributeError):
        Ramp(0.0, 1.0, 2).start = 3.0
