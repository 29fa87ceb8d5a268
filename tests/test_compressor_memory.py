"""`benchmarks/bench_compress_memory.py`: its data, its checks, and that memory stays flat over streams."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("constriction")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("bench_compress_memory", BENCHMARKS / "bench_compress_memory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["field", "table"])
def test_a_file_is_made_part_by_part_and_told_from_another(kind, bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "PART", 2**15)
    size = bench.written(tmp_path / "a.npy", kind, 1e5)
    made = np.load(tmp_path / "a.npy")
    assert made.nbytes == size == 3 * 2**15
    assert np.array_equal(made, np.concatenate(list(bench.parts(kind, 1e5))))
    other = made.copy()
    other[-1, -1] += 1
    np.save(tmp_path / "b.npy", other)
    assert bench.kept(tmp_path / "a.npy", tmp_path / "a.npy", None)
    assert not bench.kept(tmp_path / "a.npy", tmp_path / "b.npy", None)
    assert bench.kept(tmp_path / "a.npy", tmp_path / "b.npy", 1.001)
    assert not bench.kept(tmp_path / "a.npy", tmp_path / "b.npy", 0.5)
    for pack, unpack in bench.rivals().values():
        taken, *_ = bench.rival(tmp_path / "a.npy", pack, unpack)
        assert 0 < taken < 1.1 * size


def test_a_disk_without_room_is_told_first(bench, tmp_path):
    with pytest.raises(SystemExit, match="GB on the disk"):
        bench.check_room(tmp_path, 1e18)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by /proc")
@pytest.mark.parametrize("kind", ["field", "table"])
def test_memory_is_flat_over_50_and_200_megabytes(kind, bench, tmp_path):
    bound = bench.learnt(kind, tmp_path / "model.safetensors", 5)
    peaks = [bench.show(kind, size, tmp_path / "model.safetensors", bound, tmp_path) for size in (5e7, 2e8)]
    assert peaks[1] < 1.3 * peaks[0]
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
