"""Rounding behind the prediction: the bound holds, readers find what the writer left, and smooth data become small."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

pytest.importorskip("constriction", reason="the extra 'compression' is not installed")

import isthmus as ist
from isthmus.coding.closed_loop import entropy, fit_loop, foretold, passed
from isthmus.coding.contexts import POINT, ResidualContext
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.grid import GridModel
from isthmus.coding.grid_samples import Source
from isthmus.coding.grid_training import fit_grid
from isthmus.coding.number_kinds import Numbers
from isthmus.coding.numbers import numbers_for
from isthmus.coding.passes import LEVELS, Order, plan_of
from isthmus.coding.predictors import predictor
from isthmus.coding.rounding import OPEN, by_network, closed
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.compressor_arrays import ArrayForm, array_numbers
from isthmus.estimators.compressor_data import Bounds

quick: dict[str, Any] = {"hidden": (8,), "epochs": 1, "max_time": 0.2}
WIDE = Numbers("bounded", "float64", 1.0, step=2 / 31, width=31)
HALVES = Numbers("decimal", "float64", 0.3, multiple=5, digits=2, width=6, grain=2)
WHOLE = Numbers("whole", "int32", 2.0, width=5)


def waves(rows: int, *shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    """Smooth in all directions but that of the rows."""
    draw, found = np.random.default_rng(seed), np.zeros((rows, *shape))
    places = np.stack(np.meshgrid(*(np.arange(size) / 40 for size in shape), indexing="ij"))
    for row in found:
        for _ in range(4):
            ways = draw.normal(0, 1, len(shape))
            row += draw.normal() * np.sin(2 * np.pi * (np.tensordot(ways, places, 1) + draw.random()))
    return (100 * found).astype(dtype)


def keeps(x: np.ndarray, y: np.ndarray, bound: float) -> bool:
    """The promise in fractions: finite elements within the bound, all others to the bit."""
    finite = np.isfinite(x)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    pairs = zip(x[finite].tolist(), y[finite].tolist(), strict=True)
    near = all(abs(Fraction(a) - Fraction(b)) <= Fraction(bound) for a, b in pairs)
    return near and x[~finite].tobytes() == y[~finite].tobytes()


@pytest.mark.parametrize(
    ("order", "shape", "numbers"),
    [
        (Order("interlaced", 2, neighbours=8), (19, 23), (WIDE,)),
        (Order("interlaced", 2, neighbours=8), (19, 23), (HALVES,)),
        (Order("interlaced", 3, neighbours=8), (7, 1, 9), (WHOLE,)),
        (Order("interlaced", 1, neighbours=4), (200,), (WIDE,)),
        (Order("interlaced", 1, channels=3, neighbours=4), (60, 3), (WIDE, OPEN[0], HALVES)),
        (Order("wave", 2, neighbours=4), (9, 11), (WIDE,)),
    ],
)
def test_a_reader_finds_what_the_writer_left(order: Order, shape: tuple[int, ...], numbers: Any) -> None:
    ints = 5 * (waves(12, *shape) * 3).astype(np.int64)
    model = fit_grid(ints, order, numbers=numbers, **quick)
    for given in (ints[:5], np.random.default_rng(1).integers(-(2**61), 2**61, (2, *shape)), np.full((1, *shape), 7)):
        writer = Writer()
        moved = model.write(writer, given, numbers)
        payload = writer.done()
        reader = Reader(payload)
        np.testing.assert_array_equal(model.read(reader, given.shape, numbers), moved)
        reader.end()
        assert abs(writer.ideal_bits - model.bits(given, numbers)) < 1e-6 * (1 + writer.ideal_bits)
        for place in range(shape[-1]) if len(numbers) > 1 else [slice(None)]:
            width = numbers[place].width if len(numbers) > 1 else numbers[0].width
            assert np.abs(moved[..., place] - given[..., place]).max() <= width // 2


def test_an_open_loop_is_one_of_width_1() -> None:
    ints, payloads = waves(10, 9, 14).astype(np.int64), []
    model = fit_grid(ints, Order("interlaced", 2, neighbours=6), **quick)
    for numbers in (OPEN, (Numbers("decimal", "float32", digits=2),)):
        writer = Writer()
        np.testing.assert_array_equal(model.write(writer, ints, numbers), ints)
        payloads.append(writer.done())
    assert payloads[0] == payloads[1]
    assert not closed(OPEN)
    spec = WIDE.spec()
    del spec["width"], spec["grain"]  # as files had it before there was a closed loop
    assert not closed([Numbers.from_spec(spec)])


def test_numbers_of_channels() -> None:
    order = Order("interlaced", 2, channels=2, neighbours=4)
    assert by_network([WIDE, HALVES], order) == (WIDE, HALVES) * 4
    assert by_network([WIDE], order) == by_network([WIDE] * 5, order) == (WIDE,) * 8
    with pytest.raises(InputError, match="numbers: 2 are needed"):
        by_network([WIDE, HALVES, OPEN[0]], order)


def test_what_a_loop_leaves_by_the_formula() -> None:
    order, draw = Order("interlaced", 1, neighbours=3), np.random.default_rng(2)
    ints = draw.integers(-500, 500, (4, 50)).cumsum(1)
    source = Source(ints, plan_of(order, (50,)), False, draw, (WIDE,))
    context = fit_loop(source)
    for row, made in zip(ints, source.known[:, :-1], strict=True):
        known = np.zeros(50)
        for number, step in enumerate(source.plan.steps):
            for place, around in zip(
                step.flat(0, step.elements), source.plan.neighbours(number, 0, step.elements, nearest=True), strict=True
            ):
                here = np.where(around < 50, known[np.minimum(around, 49)], 0)
                weights = context.weights[step.network, step.level, : len(here)] / 2**POINT
                expected = here[0] + np.floor((here - here[0]) @ weights + 0.5)
                known[place] = expected + 31 * np.floor((row[place] - expected + 15) / 31)
        np.testing.assert_array_equal(known, made)


def test_entropy_by_the_formula() -> None:
    pairs = np.array([5, 5, 5, 6, -7, -7]) * 128 + np.array([0, 0, 0, 0, 1, 1])
    assert entropy(pairs) == pytest.approx(-3 * np.log2(3 / 4) - np.log2(1 / 4) + 3 / 2 * np.log2(6))


def test_a_predictor_holds_back_from_noise() -> None:
    draw = np.random.default_rng(3)
    near = draw.normal(0, 40, (5000, 1)) + draw.integers(-15, 16, (5000, 2))  # rounded neighbours of one true value
    around = np.column_stack([np.zeros(5000), near]).astype(np.int64)
    found = predictor(around, near.mean(1).astype(np.int64), 31)[1:] / 2**POINT
    differences = around[:, 1:] / 31
    gram = differences.T @ differences + 0.03 * 5000 * np.eye(2)
    np.testing.assert_allclose(found, np.linalg.solve(gram, differences.T @ near.mean(1) / 31), atol=0.02)
    context = ResidualContext(np.zeros((1, LEVELS, 3), dtype=np.int64), np.array([3]))
    np.testing.assert_array_equal(context.predicted(around, 0, 0)[0], around[:, 0])


def test_predictions_are_those_that_networks_read() -> None:
    draw = np.random.default_rng(4)
    context = ResidualContext(draw.integers(-(2**15), 2**15, (1, LEVELS, 5)), np.array([5]))
    for reach in (3, 2**20, 2**61):
        around = draw.integers(-reach, reach, (200, 5))
        np.testing.assert_array_equal(context.predicted(around, 0, 1)[0], context.read(around, 0, 1)[1])


def test_of_many_elements_the_predictors_are_learnt_from_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.coding.closed_loop.SETTLED", 400)
    ints = (31 * waves(8, 10, 12)).astype(np.int64)
    order = Order("interlaced", 2, neighbours=4)
    source = Source(ints, plan_of(order, (10, 12)), False, np.random.default_rng(0), (WIDE,))
    assert source.part(400).true.shape == (3, 120)
    context = fit_loop(source)
    np.testing.assert_array_equal(source.known[:, :-1], passed(source, context)[0])
    assert np.abs(source.known[:, :-1] - source.true).max() <= 15


def test_a_smooth_field_takes_fewer_bits_in_a_closed_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.coding.grid_training.FEWEST_STEPS", 200)
    x, order = waves(6, 64, 64), Order("interlaced", 2, neighbours=8)
    sizes = []
    for predicted in (False, True):
        numbers = (numbers_for(x, 2.0, predicted=predicted),)
        ints = numbers[0].forward(x)[0]
        model = fit_grid(ints[:4], order, numbers=numbers, context="residuals", hidden=(8,), max_time=60)
        sizes.append(model.bits(ints[4:], numbers))
        told = foretold(ints[:4], ints[4:], order, numbers)[0]
        assert 0.4 < told / sizes[-1] < 1.5
    assert sizes[1] < 0.85 * sizes[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_every_element_is_within_the_bound(dtype: Any) -> None:
    x = waves(1, 60, 50, dtype=dtype)[0]
    model = ist.Compressor(max_error=2, data="array", max_time=0.3, hidden=(4,), random_state=0).fit(x)
    assert closed(model.form_.numbers)
    other = waves(1, 33, 41, seed=5, dtype=dtype)[0]
    if other.dtype.kind == "f":
        other[3, 4:7], other[0, 0], other[-1, -1] = [np.nan, np.inf, -np.inf], -0.0, 1e30
    else:
        other[0, 0], other[-1, -1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    noise = np.random.default_rng(6).normal(0, 1e4, (20, 30)).astype(dtype)
    for given in (x, other, noise, np.full((5, 6), 3, dtype=dtype), x[:1], x[:, :1], x[:0]):
        with np.errstate(all="raise"):
            packed = compressed(model, given)
        assert keeps(given, model.decompress(packed), 2)
        for bound in (0.37, 9) if given is other else ():
            packed = compressed(model, given, max_error=bound)
            assert keeps(given, model.decompress(packed), bound)


def compressed(model: ist.Compressor, x: np.ndarray, **bound: Any) -> bytes:
    """Packed, whatever is said of unlike data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ist.errors.DataWarning)
        return model.compress(x, **bound)


def test_a_bound_that_is_a_part_of_values_and_none_at_all() -> None:
    x = waves(1, 60, 50)[0]
    model = ist.Compressor(max_error=1e-2, relative=True, data="array", max_time=0.3, hidden=(4,)).fit(x)
    assert closed(model.form_.numbers)
    back = model.decompress(compressed(model, x, max_error=0.01, relative="value"))
    assert np.all(np.abs(back - x) <= 0.01 * np.abs(x))
    for how in ({}, {"max_error": 0.01, "relative": "value"}):
        plain = ist.Compressor(data="array", max_time=0.2, hidden=(4,), **how).fit(x)
        assert not closed(plain.form_.numbers)
        assert keeps(x, plain.decompress(compressed(plain, x, max_error=1.5)), 1.5)
    assert ist.Compressor(data="array", max_time=0.2, hidden=(4,)).fit(x).form_.numbers[0].exact


def test_blocks_are_decoded_alone_and_a_saved_model_reads_them(tmp_path: Any) -> None:
    x = waves(1, 90, 50, dtype=np.float32)[0]
    model = ist.Compressor(max_error=1, data="array", max_time=0.3, hidden=(4,), block_rows=40).fit(x)
    packed = model.compress(x)
    again = ist.load(model.save(tmp_path / "model.safetensors"))
    whole = again.decompress(packed)
    assert keeps(x, whole, 1)
    np.testing.assert_array_equal(again.decompress(packed, rows=slice(40, 80)), whole[40:80])
    held = model.compress(x, include_model=True)
    np.testing.assert_array_equal(ist.Compressor().decompress(held), whole)
    with pytest.raises(FileFormatError):
        again.decompress(packed[:-20] + bytes([packed[-20] ^ 1]) + packed[-19:])


def test_channels_of_a_series_each_with_its_bound() -> None:
    x = np.concatenate([waves(1, 4000, seed=7), waves(1, 4000, seed=8) / 1e3]).T
    x[5, 1] = np.nan
    model = ist.Compressor(max_error={0: 2, 1: 0.003}, data="series", max_time=0.3, hidden=(4,)).fit(x)
    assert closed(model.form_.numbers)
    back = model.decompress(model.compress(x))
    assert keeps(x[:, 0], back[:, 0], 2)
    assert keeps(x[:, 1], back[:, 1], 0.003)


def test_where_to_round_follows_the_bits() -> None:
    draw, bounds = np.random.default_rng(9), Bounds(1.0)
    smooth, labels = waves(1, 60, 60)[0], draw.integers(0, 5, (6, 6)).repeat(10, 0).repeat(10, 1) * 9
    assert closed(array_numbers(smooth, "array", bounds))
    assert not closed(array_numbers(labels, "array", bounds))
    assert not closed(array_numbers(draw.normal(0, 30, (60, 60)), "array", bounds))
    assert not closed(array_numbers(smooth, "array", bounds, predicted=False))
    assert not closed(array_numbers(smooth[None, :20, :20], "images", bounds))
    many = np.column_stack([smooth[:, :9], np.arange(60) % 7])  # 10 columns in one grid, of different widths
    assert not closed(array_numbers(many, "series", bounds))
    form = ArrayForm("array", "<f8", (60,), array_numbers(smooth, "array", bounds))
    assert ArrayForm.from_spec(json.loads(json.dumps(form.spec()))) == form
    assert closed(form.bounded(smooth, Bounds(0.1)).numbers)


def test_a_model_says_nothing_of_the_loop() -> None:
    ints = (31 * waves(6, 20, 20)).astype(np.int64)
    model = fit_grid(ints, Order("interlaced", 2, neighbours=4), numbers=(WIDE,), **quick)
    again = GridModel.from_spec(json.loads(json.dumps(model.spec())), model.tensors())
    assert set(model.spec()) == {"order", "shape", "context"}
    assert again.bits(ints, (WIDE,)) == model.bits(ints, (WIDE,))
