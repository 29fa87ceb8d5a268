"""Grids coded element by element: every element once, from what is known by then, back to the bit, in few bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("constriction", reason="the extra 'compression' is not installed")

from isthmus.coding import grid as grid_file
from isthmus.coding.contexts import ResidualContext, ValueContext, differences_of
from isthmus.coding.entropy import Reader, Writer
from isthmus.coding.grid import GridModel, position_features
from isthmus.coding.grid_samples import Source
from isthmus.coding.grid_training import cost, fewer, fit_grid, learnt, made, sample
from isthmus.coding.passes import LEVELS, Order, plan_of
from isthmus.coding.predictors import predictor
from isthmus.coding.whole import UNIT
from isthmus.errors import FileFormatError, InputError

ORDERS = [
    (Order("interlaced", 1, neighbours=4), (17,)),
    (Order("interlaced", 1), (1,)),
    (Order("interlaced", 2), (9, 14)),
    (Order("interlaced", 2, channels=3, neighbours=8), (6, 5, 3)),
    (Order("interlaced", 3, neighbours=10), (5, 1, 6)),
    (Order("wave", 1), (7,)),
    (Order("wave", 2), (9, 11)),
    (Order("wave", 2, channels=3), (6, 5, 3)),
    (Order("wave", 3, reach=2), (4, 5, 3)),
]
quick: dict[str, Any] = {"hidden": (8,), "epochs": 1, "max_time": 0.2}


def there_and_back(model: GridModel, ints: np.ndarray) -> int:
    """The bytes of some grids, after a look whether they come back."""
    writer = Writer()
    model.write(writer, ints)
    payload = writer.done()
    reader = Reader(payload)
    back = model.read(reader, ints.shape)
    reader.end()
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, ints)
    assert abs(writer.ideal_bits - model.bits(ints)) < 1e-6 * (1 + writer.ideal_bits)
    return len(payload)


def walks(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Sums of small steps along each axis."""
    found = np.random.default_rng(seed).integers(-3, 4, (rows, *shape))
    for axis in range(1, found.ndim):
        found = found.cumsum(axis)
    return found


def blots(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Pictures of 0 and 200..203, mostly 0."""
    rng = np.random.default_rng(seed)
    soft = rng.normal(size=(rows, *shape))
    for axis in (1, 2):
        soft = soft + np.roll(soft, 1, axis) + np.roll(soft, 2, axis)
    return np.where(soft > 3, rng.integers(200, 204, soft.shape), 0)


@pytest.mark.parametrize(("order", "shape"), ORDERS)
@pytest.mark.parametrize("nearest", [False, True])
def test_every_element_comes_once_and_after_its_neighbours(order: Order, shape: tuple[int, ...], nearest: bool) -> None:
    plan = plan_of(order, shape)
    known = np.zeros(plan.size + 1, dtype=bool)
    known[-1] = True
    for number, step in enumerate(plan.steps):
        flat = step.flat(0, step.elements)
        assert not known[flat].any()
        neighbours = plan.neighbours(number, 0, step.elements, nearest=nearest)
        assert known[neighbours].all()
        assert neighbours.shape == (len(flat), len(order.offsets[step.network]))
        known[flat] = True
    assert known.all()


def test_neighbours_are_at_their_offsets_and_the_nearest_stands_in_at_the_edge() -> None:
    order = Order("interlaced", 2, neighbours=8)
    plan = plan_of(order, (9, 14))
    places = np.arange(9 * 14).reshape(9, 14)
    for number, step in enumerate(plan.steps):
        offsets = [o for o, _ in order.offsets[step.network]]
        for found, near, (row, column) in zip(
            plan.neighbours(number, 0, step.elements),
            plan.neighbours(number, 0, step.elements, nearest=True),
            step.places(0, step.elements).T,
            strict=True,
        ):
            at = [(row + step.spacing * r, column + step.spacing * c) for r, c in offsets]
            expected = [places[r, c] if 0 <= r < 9 and 0 <= c < 14 else plan.size for r, c in at]
            assert found.tolist() == expected
            first = next((place for place in expected if place != plan.size), plan.size)
            assert near.tolist() == [first if place == plan.size else place for place in expected]


def test_large_grids_find_neighbours_block_by_block_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    order, shape = ORDERS[3]
    kept = plan_of(order, shape)
    monkeypatch.setattr("isthmus.coding.passes.KEPT", 0)
    for number, step in enumerate(kept.steps):
        for start in range(step.elements):
            found = kept._found(step, start, start + 1, True)
            np.testing.assert_array_equal(found, kept.neighbours(number, start, start + 1, nearest=True))


def test_interlaced_neighbours_lie_on_both_sides() -> None:
    for around in Order("interlaced", 2, neighbours=4).offsets:
        assert np.array([o for o, _ in around]).sum(0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "spiral"),
        ("axes", 0),
        ("axes", 5),
        ("channels", -1),
        ("neighbours", 0),
        ("neighbours", 200),
        ("reach", 9),
    ],
)
def test_orders_that_are_none_are_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        Order(**{"kind": "wave", "axes": 2, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("order", "shape"), ORDERS)
def test_grids_come_back(order: Order, shape: tuple[int, ...]) -> None:
    model = fit_grid(walks(40, *shape), order, **quick)
    there_and_back(model, walks(7, *shape, seed=1))
    there_and_back(model, np.empty((0, *shape), dtype=np.int64))
    if model.shape is None:
        there_and_back(model, np.empty((2, 0, *shape[1:]), dtype=np.int64))


@pytest.mark.parametrize(("order", "shape"), [ORDERS[2], ORDERS[6]])
def test_pictures_of_few_values_come_back(order: Order, shape: tuple[int, ...]) -> None:
    model = fit_grid(blots(60, *shape), order, **quick)
    assert isinstance(model.context, ValueContext)
    there_and_back(model, blots(30, *shape, seed=1))


@pytest.mark.parametrize("context", ["values", "residuals"])
def test_data_unlike_those_learnt_come_back(context: str) -> None:
    order = Order("interlaced", 2, neighbours=8)
    model = fit_grid(walks(20, 8, 8), order, context=context, **quick)
    rng = np.random.default_rng(3)
    every = np.iinfo(np.int64)
    there_and_back(model, rng.integers(every.min, every.max, (3, 7, 13), endpoint=True))
    there_and_back(model, rng.choice([every.min, every.max, 0, -1, 2**53], (2, 11, 5)))
    there_and_back(model, np.zeros((2, 33, 1), dtype=np.int64))
    there_and_back(model, np.arange(40).reshape(1, 1, 40) * 2**55)


def test_blocks_of_rows_and_elements_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit_grid(blots(60, 6, 6), Order("wave", 2, neighbours=6), **quick)
    for name, value in {"ROWS": 5, "BLOCK": 7}.items():
        monkeypatch.setattr(grid_file, name, value)
    there_and_back(model, blots(12, 6, 6, seed=1))
    monkeypatch.setattr(grid_file, "KNOWN", 80)
    there_and_back(model, blots(12, 6, 6, seed=1))


def test_of_very_many_elements_some_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.coding.grid_samples.LEARNT", 100)
    generator = np.random.default_rng(0)
    assert fewer(walks(30, 5, 4), generator, fixed=True).shape == (5, 5, 4)
    assert fewer(walks(1, 50, 4), generator, fixed=False).shape == (1, 25, 4)
    assert fewer(walks(1, 50, 4), generator, fixed=True).shape == (1, 50, 4)
    assert fewer(walks(5, 5, 4), generator, fixed=True).shape == (5, 5, 4)
    there_and_back(fit_grid(walks(3, 500), Order("interlaced", 1), **quick), walks(3, 500, seed=1))


def test_many_values_are_sampled_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.coding.grid_training.SAMPLED", 100)
    generator = np.random.default_rng(0)
    rare = np.append(np.zeros(5000, dtype=np.int64), [-3, 50])
    assert set(sample(rare, generator)) == {0, -3, 50}
    assert {-(10**9), 10**9} <= set(sample(np.append(rare, [-(10**9), 10**9]), generator))


def test_alike_neighbours_have_the_table_that_the_network_gives_them() -> None:
    """The short cut for blank surroundings changes no bit."""
    for ints, order in [(blots(40, 8, 8), Order("wave", 2, neighbours=6)), (walks(9, 70), Order("interlaced", 1))]:
        ints[:4] = ints[0, 0].ravel()[0]
        model = fit_grid(ints, order, **quick)
        object.__setattr__(model.context, "blank", lambda around: np.zeros(len(around), dtype=bool))
        slow = model.bits(ints)
        object.__delattr__(model.context, "blank")
        assert model.bits(ints) == pytest.approx(slow, rel=1e-12)


def test_the_prediction_is_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    around = rng.integers(-(10**6), 10**6, (500, 5))
    weights = rng.integers(-(2**15), 2**15, (1, LEVELS, 5))
    context = ResidualContext(weights, np.array([5]))
    _, expected = context.read(around, 0, 2)
    for row, found in zip(around.tolist(), expected.tolist(), strict=True):
        total = sum(int(w) * (value - row[0]) for w, value in zip(weights[0, 2], row, strict=True))
        assert found == row[0] + (total + 2**15 >> 16)


def test_features_stay_within_their_limits_and_follow_the_scale() -> None:
    rng = np.random.default_rng(0)
    context = ResidualContext(rng.integers(-(2**14), 2**14, (1, LEVELS, 6)), np.array([6]))
    limits, _ = context.limits(0)
    for size in (1, 100, 2**20, 2**40, 2**62):
        features, _ = context.read(rng.integers(-size, size, (300, 6)), 0, 0)
        assert np.all(np.abs(features) <= limits)
    around = rng.integers(-1000, 1000, (300, 6))
    small, large = context.read(around * 2**10, 0, 0)[0], context.read(around * 2**14, 0, 0)[0]
    np.testing.assert_array_equal(small[:, :6], large[:, :6])


def test_differences_of_huge_numbers_are_floored() -> None:
    around = np.array([[0, 2**40 + 3, -(2**40) - 3]])
    differences, shift = differences_of(around)
    assert shift.tolist() == [11]
    assert differences.tolist() == [[0.0, 2.0**29, -(2.0**29) - 1]]


def test_the_predictor_of_a_cubic_is_the_cubic_interpolation() -> None:
    """Of points at -1, 1, 3 and -3 the only exact weights for a polynomial of degree 3 are 9, 9, -1 and -1, over 16."""
    rng = np.random.default_rng(0)
    terms = rng.integers(-40, 40, (4000, 4)) * np.array([1000, 100, 10, 5])
    at = lambda x: terms @ np.array([1, x, x**2, x**3])  # noqa: E731
    around = np.stack([at(-1), at(1), at(-3), at(3)], 1)
    weights = predictor(around, at(0))
    np.testing.assert_allclose(weights[1:] / 2**16, [9 / 16, -1 / 16, -1 / 16], atol=2e-3)


def test_position_tells_every_place() -> None:
    assert len(np.unique(position_features((13, 9)), axis=0)) == 13 * 9


def test_noise_costs_its_entropy() -> None:
    """Nothing can be learnt from independent numbers: about log2(7) bits each, whatever is tried."""
    noise = np.random.default_rng(0).integers(0, 7, (200, 40))
    for order in (Order("interlaced", 1, neighbours=4), Order("wave", 1, neighbours=4)):
        model = fit_grid(noise, order, hidden=(8,), epochs=2, max_time=1)
        bits = model.bits(np.random.default_rng(1).integers(0, 7, (200, 40))) / noise.size
        assert np.log2(7) - 0.02 < bits < np.log2(7) + 0.05


def test_steps_of_a_walk_cost_little_more_than_their_entropy() -> None:
    """In reading order a walk's steps are independent: log2(7) bits each."""
    model = fit_grid(
        walks(60, 200), Order("wave", 1, neighbours=3), position=False, context="residuals", hidden=(16,), max_time=3
    )
    there = walks(20, 500, seed=5)
    assert np.log2(7) < there_and_back(model, there) * 8 / there.size < np.log2(7) + 0.12


def test_a_channel_is_predicted_from_the_one_before() -> None:
    first = walks(30, 150)
    ints = np.stack([first, 3 * first + 1], -1)
    orders = Order("interlaced", 1, channels=2, neighbours=4), Order("interlaced", 1, neighbours=4)
    both, one = (fit_grid(x, order, hidden=(8,), max_time=1.5) for x, order in zip([ints, first], orders, strict=True))
    unseen = walks(10, 150, seed=1)
    assert both.bits(np.stack([unseen, 3 * unseen + 1], -1)) < 1.5 * one.bits(unseen)


def test_a_model_of_series_codes_longer_and_shorter_ones() -> None:
    model = fit_grid(walks(20, 300), Order("interlaced", 1, neighbours=6), **quick)
    for length in (1, 2, 3, 1000, 4097):
        assert there_and_back(model, walks(2, length, seed=1)) < 2 * length + 60


def test_whole_numbers_cost_little_more_than_floats() -> None:
    for ints, order in [(blots(300, 8, 8), Order("wave", 2, neighbours=8)), (walks(60, 90), Order("interlaced", 1))]:
        model = fit_grid(ints, order, hidden=(16,), max_time=0.1)
        source = Source(ints, plan_of(order, ints.shape[1:]), model.shape is not None, np.random.default_rng(0))
        layers, largest, scale = learnt(source, model.context, model.buckets, 0, (16, 16), 2, 1, 0)
        found = source.examples(model.context, model.buckets, 0, ints.size)
        whole = torch.from_numpy(made(layers, largest, scale)(found.features.astype(np.int64)) * UNIT)
        buckets, weights = torch.from_numpy(found.buckets), torch.from_numpy(found.weights)
        plain = float(cost(layers, (torch.from_numpy(found.features * scale.astype(np.float32)), buckets, weights)))
        each = torch.nn.functional.cross_entropy(whole, buckets, reduction="none")
        assert abs(float((each * weights).sum() / weights.sum()) / plain - 1) < 0.005


def test_spec_and_tensors_make_the_model_again() -> None:
    for context in ("values", "residuals"):
        model = fit_grid(blots(40, 8, 8), Order("wave", 2, neighbours=6), context=context, **quick)
        spec, tensors = json.loads(json.dumps(model.spec())), model.tensors()
        again = GridModel.from_spec(spec, tensors)
        writers = Writer(), Writer()
        for each, writer in zip((model, again), writers, strict=True):
            each.write(writer, blots(5, 8, 8, seed=2))
        assert writers[0].done() == writers[1].done()
        for name in tensors:
            with pytest.raises(FileFormatError):
                GridModel.from_spec(spec, {key: value for key, value in tensors.items() if key != name})
        for wrong in ({"order": {}}, {"order": {"kind": "wave", "axes": 3}}, {"shape": [8, "8"]}, {"context": "none"}):
            with pytest.raises(FileFormatError):
                GridModel.from_spec({**spec, **wrong}, tensors)
        with pytest.raises(FileFormatError):
            GridModel.from_spec(spec, {**tensors, "buckets.lower": tensors["buckets.lower"][:-1]})


def test_predictors_whose_sums_were_not_exact_are_refused() -> None:
    with pytest.raises(InputError, match="weights"):
        ResidualContext(np.full((1, LEVELS, 3), 2**19), np.array([3]))
    with pytest.raises(InputError, match="weights"):
        ResidualContext(np.full((1, LEVELS, 3), np.iinfo(np.int64).min), np.array([3]))


def test_a_payload_of_another_grid_is_told() -> None:
    model = fit_grid(walks(20, 40), Order("interlaced", 1, neighbours=4), **quick)
    writer = Writer()
    model.write(writer, walks(20, 40))
    reader = Reader(writer.done())
    model.read(reader, (1, 40))
    with pytest.raises(FileFormatError):
        reader.end()


def test_shapes_that_do_not_fit_are_refused() -> None:
    model = fit_grid(blots(20, 6, 6), Order("wave", 2, neighbours=6), **quick)
    with pytest.raises(InputError, match="shape"):
        model.bits(blots(2, 6, 7))
    with pytest.raises(InputError, match="axes"):
        model.bits(np.zeros((2, 6), dtype=np.int64))
    with pytest.raises(InputError, match="whole"):
        model.bits(np.zeros((2, 6, 6)))
    with pytest.raises(InputError, match="axes, the last of 3"):
        fit_grid(walks(4, 6, 6, 2), Order("wave", 2, channels=3))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("ints", np.zeros((0, 5), dtype=np.int64)), ("context", "both"), ("hidden", (0,)), ("epochs", 0),
     ("epochs", np.nan), ("max_time", -1), ("buckets", 1)],
)  # fmt: skip
def test_bad_arguments_are_refused(name: str, wrong: object) -> None:
    with pytest.raises(InputError, match=name):
        fit_grid(**{"ints": walks(4, 5), "order": Order("interlaced", 1), name: wrong})  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_model_and_no_global_state_moves() -> None:
    before = torch.get_rng_state(), torch.get_num_threads()
    models = [
        fit_grid(walks(10, 40), Order("interlaced", 1, neighbours=4), hidden=(8,), epochs=1, max_time=60)
        for _ in range(2)
    ]
    after = torch.get_rng_state(), torch.get_num_threads()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    first, second = (model.tensors() for model in models)
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, second[name])


def test_an_axis_of_one_element_and_a_single_element_can_be_learnt_from() -> None:
    for shape in ((1, 1), (1, 9), (9, 1)):
        model = fit_grid(walks(1, *shape), Order("interlaced", 2, neighbours=4), **quick)
        there_and_back(model, walks(1, 5, 6, seed=1))


OTHER = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott"}
READ = """
import json, sys
import numpy as np
from isthmus.coding.entropy import Reader
from isthmus.coding.grid import GridModel
folder = sys.argv[1]
with np.load(folder + "/model.npz") as tensors:
    model = GridModel.from_spec(json.load(open(folder + "/spec.json")), dict(tensors))
found = model.read(Reader(open(folder + "/payload", "rb").read()), (20, 9, 14))
assert "torch" not in sys.modules
np.testing.assert_array_equal(found, np.load(folder + "/ints.npy"))
"""


def test_another_process_with_other_threads_and_kernels_reads_the_same(tmp_path: Path) -> None:
    """And without PyTorch."""
    model, ints = fit_grid(walks(40, 9, 14), ORDERS[2][0], **quick), walks(20, 9, 14, seed=1)
    writer = Writer()
    model.write(writer, ints)
    (tmp_path / "payload").write_bytes(writer.done())
    (tmp_path / "spec.json").write_text(json.dumps(model.spec()))
    np.savez(tmp_path / "model.npz", **model.tensors())
    np.save(tmp_path / "ints.npy", ints)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], env={**os.environ, **OTHER}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
