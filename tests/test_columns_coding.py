"""Tables of whole numbers: exact whatever they hold, smaller where columns tell of each other, never much larger."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("constriction")

import contextlib

from isthmus.coding.column_network import CONSTANT
from isthmus.coding.column_tokens import ColumnTokens
from isthmus.coding.columns import ROWS, ColumnsModel
from isthmus.coding.columns_training import fit_columns, model_bits
from isthmus.coding.entropy import TOTAL, Reader, Tally, Writer
from isthmus.coding.small_arrays import packed, roots_of, square_table, unpacked
from isthmus.coding.whole import UNIT
from isthmus.errors import FileFormatError, InputError

LIMITS = np.iinfo(np.int64)


def mixed(rows: int, seed: int = 0) -> np.ndarray:
    """Age, its decade, a category that leans on it, a weight of many values, a constant, row numbers."""
    generator = np.random.default_rng(seed)
    age = generator.integers(20, 50, rows)
    kind = np.where(generator.random(rows) < 0.9, age // 10, generator.integers(2, 5, rows))
    weight = generator.lognormal(12, 0.5, rows).astype(np.int64)
    return np.stack([age, age // 10, kind, weight, np.full(rows, 7), np.arange(rows) * 3], axis=1)


def coded(model: ColumnsModel, table: np.ndarray) -> bytes:
    writer = Writer()
    model.write(writer, table)
    return writer.done()


def read(model: ColumnsModel, payload: bytes, rows: int) -> np.ndarray:
    reader = Reader(payload)
    table = model.read(reader, rows)
    reader.end()
    return table


@pytest.fixture(scope="module")
def model() -> ColumnsModel:
    return fit_columns(mixed(3000), sizes=(8,), epochs=40, random_state=0)


@pytest.mark.parametrize("rows", [0, 1, 2, 500, ROWS, ROWS + 1])
def test_every_table_comes_back(model: ColumnsModel, rows: int) -> None:
    table = mixed(rows, seed=1)
    back = read(model, coded(model, table), rows)
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, table)


def test_numbers_that_training_did_not_have_come_back(model: ColumnsModel) -> None:
    generator = np.random.default_rng(2)
    table = generator.integers(LIMITS.min, LIMITS.max, (300, 6), dtype=np.int64, endpoint=True)
    table[:6] = [[LIMITS.min] * 6, [LIMITS.max] * 6, [0] * 6, [LIMITS.min] * 6, [-1] * 6, [5] * 6]
    payload = coded(model, table)
    np.testing.assert_array_equal(read(model, payload, 300), table)
    # An escape costs its symbol and 64 bits.
    assert 8 * len(payload) < table.size * (64 + 42)


def test_what_other_columns_tell_is_not_paid_for(model: ColumnsModel) -> None:
    table = mixed(4000, seed=3)
    costs = model.bits_of_columns(table) / len(table)
    alone = ColumnsModel(model.columns).bits_of_columns(table) / len(table)
    assert model.network is not None
    assert alone[1] > 1.5
    assert costs[1] < 0.15
    # The entropy of a category given the age: one of three by 28 in 30, either of the others by 1 in 30.
    given = -(28 / 30 * np.log2(28 / 30) + 2 / 30 * np.log2(1 / 30))
    assert given < costs[2] < given + 0.1
    # A constant, and numbers that rise by the same step.
    assert costs[4] < 0.01
    assert costs[5] < 0.1


def test_the_payload_is_as_long_as_its_bits_say(model: ColumnsModel) -> None:
    table = mixed(2000, seed=4)
    tally = Tally()
    model.write(tally, table)
    assert tally.ideal_bits == pytest.approx(model.bits(table))
    assert 0 <= 8 * len(coded(model, table)) - model.bits(table) < 160


def test_tables_are_those_of_the_formula(model: ColumnsModel) -> None:
    network = model.network
    assert network is not None
    symbols = np.stack([c.cut(mixed(40, seed=5)[:, j])[0] for j, c in enumerate(model.columns)], axis=1)
    sums = np.zeros((40, network.hidden))
    for place in range(len(model.columns)):
        if network.heads[place]:
            found = network.tables(place, model.foretold[place], sums) / TOTAL
            for row in range(40):
                units = [max(0.0, float(v)) for v in sums[row] + network.bias[place]]
                logits = [
                    UNIT * (network.scale * sum(u * w for u, w in zip(units, own, strict=True)) + CONSTANT * c)
                    for own, c in zip(
                        network.weights[model.foretold[place]], network.constants[model.foretold[place]], strict=True
                    )
                ]
                plain = np.exp(np.array(logits) - max(logits))
                np.testing.assert_allclose(found[row], plain / plain.sum(), atol=40 / TOTAL)
        sums += network.embeddings[model.before[place] + symbols[:, place]]


def test_a_small_table_gets_no_network_that_does_not_pay() -> None:
    noise = np.random.default_rng(0).integers(0, 9, (400, 6))
    model = fit_columns(noise, sizes=(8, 16), epochs=100, random_state=0)
    assert model.network is None
    assert model.bits(noise) + model_bits(model) < 400 * 6 * np.log2(9) + 8 * 400


def test_the_network_pays_for_itself(model: ColumnsModel) -> None:
    table, tables = mixed(3000), ColumnsModel(model.columns)
    assert model.bits(table) + model_bits(model) < model_bits(tables) + tables.bits(table)


def test_a_column_without_use_of_a_head_has_none(model: ColumnsModel) -> None:
    assert model.network is not None
    assert not model.network.heads[[3, 4]].any()
    assert model.network.heads[[1, 2]].all()


def test_the_model_comes_back_from_its_tensors(model: ColumnsModel) -> None:
    again = ColumnsModel.from_tensors(model.tensors(), model.spec())
    table = mixed(700, seed=6)
    assert coded(again, table) == coded(model, table)
    assert again.tensors()["columns"].tobytes() == model.tensors()["columns"].tobytes()


def test_altered_tensors_are_refused_or_a_model(model: ColumnsModel) -> None:
    blob, spec = model.tensors()["columns"], model.spec()
    for place in range(0, len(blob), 7):
        altered = blob.copy()
        altered[place] ^= 1 << place % 8
        with contextlib.suppress(FileFormatError):
            ColumnsModel.from_tensors({"columns": altered}, spec)
    for length in (0, 3, 10, len(blob) // 2, len(blob) - 1):
        with pytest.raises(FileFormatError):
            ColumnsModel.from_tensors({"columns": blob[:length]}, spec)
    for tensors, said in (({}, spec), ({"columns": blob.astype(np.int64)}, spec), ({"columns": blob}, {})):
        with pytest.raises(FileFormatError):
            ColumnsModel.from_tensors(tensors, said)


def test_a_network_whose_sums_may_not_be_exact_is_refused(model: ColumnsModel) -> None:
    network = model.network
    assert network is not None
    for part in (
        {"weights": network.weights * 2**40},
        {"embeddings": network.embeddings * 2**47},
        {"constants": network.constants * 2**46},
        {"scale": 3},
        {"heads": network.heads[:-1]},
        {"bias": network.bias[:, :-1]},
    ):
        with pytest.raises(InputError):
            ColumnsModel(model.columns, replace(network, **part))


def test_the_same_seed_gives_the_same_model_and_nothing_global_moves() -> None:
    table = mixed(600)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (fit_columns(table, sizes=(8,), epochs=30, random_state=3) for _ in range(2))
    assert first.tensors()["columns"].tobytes() == second.tensors()["columns"].tobytes()
    assert torch.equal(state, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    np.testing.assert_array_equal(legacy, np.random.get_state()[1])  # noqa: NPY002


def test_another_process_with_other_threads_and_another_kernel_reads_the_same(
    model: ColumnsModel, tmp_path: Path
) -> None:
    table = mixed(3000, seed=8)
    np.save(tmp_path / "model.npy", model.tensors()["columns"])
    (tmp_path / "payload").write_bytes(coded(model, table))
    script = (
        "import sys, hashlib, numpy as np\n"
        "from isthmus.coding.columns import ColumnsModel\n"
        "from isthmus.coding.entropy import Reader\n"
        "spec = {'columns': 6, 'network': True}\n"
        "model = ColumnsModel.from_tensors({'columns': np.load(sys.argv[1] + '/model.npy')}, spec)\n"
        "back = model.read(Reader(open(sys.argv[1] + '/payload', 'rb').read()), 3000)\n"
        "assert 'torch' not in sys.modules\n"
        "print(hashlib.sha256(np.ascontiguousarray(back).tobytes()).hexdigest())\n"
    )
    settings = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(np.ascontiguousarray(table).tobytes()).hexdigest()


def test_no_time_gives_tables_and_little_time_a_model() -> None:
    table = mixed(2000)
    assert fit_columns(table, sizes=(), random_state=0).network is None
    hurried = fit_columns(table, max_time=0.3, random_state=0)
    np.testing.assert_array_equal(read(hurried, coded(hurried, table), 2000), table)


@pytest.mark.parametrize("shape", [(0, 3), (1, 2), (5, 0), (300, 1)])
def test_tables_of_few_rows_or_columns(shape: tuple[int, int]) -> None:
    table = np.random.default_rng(0).integers(0, 4, shape)
    model = fit_columns(table, sizes=(8,), epochs=20, random_state=0)
    again = ColumnsModel.from_tensors(model.tensors(), model.spec())
    np.testing.assert_array_equal(read(again, coded(model, table), shape[0]), table)
    other = np.full((3, shape[1]), -9)
    np.testing.assert_array_equal(read(again, coded(model, other), 3), other)


def test_bad_arguments(model: ColumnsModel) -> None:
    for call in (
        lambda: model.bits(np.zeros((3, 6))),
        lambda: model.bits(np.zeros((3, 5), dtype=np.int64)),
        lambda: model.bits(np.full((3, 6), 2**63, dtype=np.uint64)),
        lambda: fit_columns(np.zeros((3, 6))),
        lambda: fit_columns(np.zeros(3, dtype=np.int64)),
        lambda: fit_columns(np.zeros((3, 6), dtype=np.int64), sizes=(0,)),
        lambda: fit_columns(np.zeros((3, 6), dtype=np.int64), epochs=-1),
        lambda: fit_columns(np.zeros((3, 6), dtype=np.int64), max_time=0),
        lambda: fit_columns(np.zeros((3, 6), dtype=np.int64), random_state=-1),
    ):
        with pytest.raises(InputError):
            call()


def test_a_payload_of_another_table_is_refused_or_read_as_some_table(model: ColumnsModel) -> None:
    payload = coded(model, mixed(200))
    with pytest.raises(FileFormatError):
        read(model, payload, 100)
    with pytest.raises(FileFormatError):
        read(model, payload, 5000)


def test_buckets_of_many_values_are_about_as_good_as_their_density() -> None:
    weights = mixed(20_000)[:, 3]
    tokens = ColumnTokens.fit(weights[:10_000])
    tally = Tally()
    symbols, buckets, remainders, _ = tokens.cut(weights[10_000:])
    tally.put(symbols, tokens.table)
    tokens.put_rest(tally, symbols, buckets, remainders)
    # The differential entropy of exp(N(12, 0.5)), in bits.
    entropy = (12 + np.log(0.5 * np.sqrt(2 * np.pi * np.e))) / np.log(2)
    assert entropy < tally.ideal_bits / 10_000 + 0.02 < entropy + 0.12


def test_new_values_are_expected_where_many_came_once() -> None:
    generator = np.random.default_rng(0)
    rare = np.where(generator.random(3000) < 0.1, generator.integers(0, 10**6, 3000) * 1000, 0)
    tokens = ColumnTokens.fit(rare)
    fresh = np.where(generator.random(3000) < 0.1, generator.integers(0, 10**6, 3000) * 1000, 0)
    tally = Tally()
    symbols, buckets, remainders, _ = tokens.cut(fresh)
    tally.put(symbols, tokens.table)
    tokens.put_rest(tally, symbols, buckets, remainders)
    assert tally.ideal_bits / 3000 < 0.47 + 0.1 * 35


def test_frequencies_by_squares() -> None:
    counts = np.array([40_000, 9, 1, 0, 100])
    roots = roots_of(counts)
    np.testing.assert_array_equal(roots, [200, 3, 1, 0, 10])
    found = square_table(roots)
    assert found.sum() == TOTAL
    assert found.min() == 1
    np.testing.assert_allclose(found / TOTAL, counts / counts.sum(), atol=6 / TOTAL)
    assert square_table(np.zeros(3, dtype=np.int64)).sum() == TOTAL
    assert roots_of(np.array([10**12, 1])).tolist() == [4095, 1]


def test_small_arrays_come_back() -> None:
    generator = np.random.default_rng(0)
    arrays = [
        np.array([LIMITS.min, LIMITS.max, 0, -1]),
        np.zeros((0, 5), dtype=np.int64),
        np.array(3),
        generator.integers(-5, 5, (4, 3, 2)),
        generator.integers(-(10**6), 10**6, 50),
        np.zeros(1000, dtype=bool),
    ]
    again = unpacked(packed(arrays))
    assert [array.shape for array in again] == [array.shape for array in arrays]
    for array, back in zip(arrays, again, strict=True):
        np.testing.assert_array_equal(array, back)
    with pytest.raises(InputError):
        packed([np.zeros((1, 1, 1, 1))])
