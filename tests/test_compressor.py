"""`Compressor`: what goes in comes out, to the bit or within the bound, and what was altered is told."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import isthmus as ist
from isthmus.estimators import compressor_reading, compressor_stream
from isthmus.estimators.compressor_data import kind_of_data
from isthmus.estimators.compressor_files import in_one_piece

pytest.importorskip("constriction")

QUICK = {"max_time": 0.2, "hidden": (4,), "random_state": 0}
"""For what must be exact, however little was learnt."""

LEARNT = {"max_time": 60, "hidden": (8,), "random_state": 0}
"""For what must be small, or the same again."""


def blobs(count: int, seed: int = 0) -> np.ndarray:
    """(count, 9, 7) uint8: a bright spot on black."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:9, :7]
    centres = draw.uniform(2, 5, size=(2, count, 1, 1))
    far = (y - centres[0]) ** 2 + (x - centres[1]) ** 2
    return (255 * np.exp(-far / 2)).astype(np.uint8) // 16 * 16


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table with every type of column, and gaps."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": draw.integers(17, 90, rows),
            "height": draw.normal(170, 10, rows).round(1),
            "town": draw.choice(["Ulm", "Köln", "Bern"], rows),
            "size": pd.Categorical(draw.choice(["small", "large"], rows), ["small", "medium", "large"], ordered=True),
            "since": pd.date_range("2020-02-28", periods=rows, freq="D"),
            "zoned": pd.date_range("2020-02-28", periods=rows, freq="h", tz="Europe/Berlin"),
            "count": pd.array(draw.integers(0, 9, rows), dtype="Int16"),
            "flag": draw.random(rows) < 0.5,
            "maybe": pd.array(draw.random(rows) < 0.5, dtype="boolean"),
            "mixed": [(None, "one", 1, 1.0, True, -0.0)[place] for place in draw.integers(0, 6, rows)],
            "name": [f"{place:x}-{draw.integers(2**40):x}" for place in range(rows)],
            7: draw.normal(size=rows).astype(np.float32),
        }
    )
    for column, gap in {"height": np.nan, "town": None, "size": None, "since": pd.NaT, "count": pd.NA}.items():
        frame.loc[draw.random(rows) < 0.1, column] = gap
    return frame


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def pictures() -> ist.Compressor:
    return ist.Compressor(**LEARNT).fit(blobs(200))


@pytest.fixture(scope="module")
def table() -> ist.Compressor:
    return ist.Compressor(**LEARNT).fit(people(300))


# ---------------------------------------------------------------------- exact


def test_pictures_come_back_and_are_small(pictures):
    new = blobs(100, seed=1)
    packed = pictures.compress(new)
    same_bits(pictures.decompress(packed), new)
    assert len(packed) < new.nbytes / 4
    assert packed == pictures.compress(new)


def test_every_type_of_column_comes_back(table):
    for frame in (people(300), people(100, seed=1), people(300).iloc[:1]):
        back = table.decompress(table.compress(frame))
        pd.testing.assert_frame_equal(back, frame, check_exact=True)
        assert [str(value) for value in back["mixed"]] == [str(value) for value in frame["mixed"]]


def test_what_training_did_not_have_comes_back_and_is_told(table):
    odd = people(64, seed=2)
    odd["town"] = [f"new {place}" for place in range(64)]
    odd["age"] = 10**15 + 7919 * np.arange(64) ** 3
    odd["height"] = np.random.default_rng(0).normal(size=64)
    odd["size"] = pd.Categorical(["vast"] * 64)
    with pytest.warns(ist.DataWarning, match=r"X is unlike the data of the fit: it took \d+\.\d+ bits an element"):
        packed = table.compress(odd)
    pd.testing.assert_frame_equal(table.decompress(packed), odd, check_exact=True)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "uint64", "float16", "float32", "float64", ">f4", ">i2"]
)
def test_every_dtype_comes_back_to_the_bit(dtype):
    draw = np.random.default_rng(0)
    x = np.frombuffer(draw.bytes(8 * 300), dtype="u1" if dtype == "bool" else dtype)[:300].copy()
    x = (x % 2).astype(bool) if dtype == "bool" else x
    x[100:200] = x[100] * 0
    compressor = ist.Compressor("series", **QUICK).fit(x)
    same_bits(compressor.decompress(compressor.compress(x)), x)


def test_nan_payloads_infinities_and_negative_zeros_are_kept():
    x = np.sin(np.arange(400.0))
    x[::7], x[3], x[5] = -0.0, np.inf, -np.inf
    x.view(np.uint64)[[9, 10]] = 0x7FF8_0000_0000_0123, 0xFFF0_0000_0000_0001
    for bound in (None, 0, 0.01):
        compressor = ist.Compressor(max_error=bound, **QUICK).fit(x)
        back = compressor.decompress(compressor.compress(x))
        odd = ~np.isfinite(x)
        assert (back.view(np.uint64)[odd] == x.view(np.uint64)[odd]).all()
        if not bound:
            same_bits(back, x)


@pytest.mark.parametrize("shape", [(40,), (40, 3), (12, 9), (6, 7, 8), (5, 4, 6, 3)])
@pytest.mark.parametrize("kind", ["array", "series", "images", "table"])
def test_every_shape_comes_back(shape, kind):
    allowed = {"array": (1, 4), "series": (1, 2), "images": (2, 4), "table": (2, 2)}[kind]
    x = np.random.default_rng(0).integers(0, 9, shape)
    if not allowed[0] <= len(shape) <= allowed[1]:
        with pytest.raises(ist.InputError, match=f"data='{kind}'"):
            ist.Compressor(kind, **QUICK).fit(x)
        return
    compressor = ist.Compressor(kind, **QUICK).fit(x)
    for some in (x, x[:0], x[:1]):
        same_bits(compressor.decompress(compressor.compress(some)), some)


def test_fields_of_another_size_come_back():
    y, x = np.mgrid[:30, :20] / 5
    field = np.round(np.sin(y) * np.cos(x), 3)
    compressor = ist.Compressor(**QUICK).fit(field)
    assert compressor.form_.kind == "array"
    other = field[3:20, 1:18]
    same_bits(compressor.decompress(compressor.compress(other)), other)


# ---------------------------------------------------------------------- within a bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bound", [1e-3, 0.1])
def test_no_element_changes_by_more_than_the_bound(dtype, bound):
    x = np.cumsum(np.random.default_rng(0).normal(size=2000)).astype(dtype)
    compressor = ist.Compressor(max_error=bound, **QUICK).fit(x)
    packed = compressor.compress(x)
    back = compressor.decompress(packed)
    assert back.dtype == dtype
    most = max(abs(Fraction(float(a)) - Fraction(float(b))) for a, b in zip(x, back, strict=True))
    assert 0 < most <= Fraction(bound)
    assert len(packed) < x.nbytes


def test_bounds_by_column_and_by_range():
    frame = people(200)
    compressor = ist.Compressor(max_error={"height": 0.01, 7: 0.1}, relative=True, **QUICK).fit(frame)
    back = compressor.decompress(compressor.compress(frame))
    exact = [name for name in frame if name not in ("height", 7)]
    pd.testing.assert_frame_equal(back[exact], frame[exact], check_exact=True)
    for name, part in {"height": 0.01, 7: 0.1}.items():
        span = float(frame[name].max()) - float(frame[name].min())
        apart = (back[name].astype(float) - frame[name].astype(float)).abs()
        assert 0 < apart.max() <= part * span
        assert (back[name].isna() == frame[name].isna()).all()


def test_another_bound_at_packing():
    x = np.cumsum(np.random.default_rng(0).normal(size=3000))
    compressor = ist.Compressor(max_error=0.01, **LEARNT).fit(x)
    packed = compressor.compress(x, max_error=0.5)
    apart = np.abs(compressor.decompress(packed) - x).max()
    assert 0.01 < apart <= 0.5
    assert len(packed) < len(compressor.compress(x))


# ---------------------------------------------------------------------- what it is taken for


@pytest.mark.parametrize("kind", ["series", "table", "images"])
@pytest.mark.parametrize("bound", [None, 3, 1e19])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_least_and_the_largest_whole_numbers_keep_the_bound(dtype, bound, kind):
    limits = np.iinfo(dtype)
    X = np.array([[limits.min, limits.max], [limits.max, limits.min + 1]] * 20, dtype=dtype)
    model = ist.Compressor(data=kind, max_error=bound, **QUICK | {"max_time": 0.05, "hidden": ()}).fit(X)
    back = model.decompress(model.compress(X))
    assert back.dtype == dtype
    assert max(abs(int(a) - int(b)) for a, b in zip(X.flat, back.flat, strict=True)) <= int(bound or 0)


def test_bounds_that_are_for_no_column():
    with pytest.raises(ist.InputError, match=r"X is a series without columns, of the shape \(40,\): give one number"):
        ist.Compressor(max_error={0: 0.1}, **QUICK).fit(np.arange(40.0))
    frame = people(60)
    for name, what in {"town": "texts", "flag": "truth values", "since": "dates", "size": "categories"}.items():
        with pytest.raises(ist.InputError, match=f"max_error: column '{name}' holds {what}"):
            ist.Compressor(max_error={name: 0.1}, **QUICK).fit(frame)
    model = ist.Compressor(**QUICK).fit(frame)
    for name, what in {"town": "texts", "flag": "truth values"}.items():
        with pytest.raises(ist.InputError, match=f"max_error: column '{name}' holds {what}"):
            model.compress(frame, max_error={name: 0.1})


def test_what_neighbours_tell():
    draw = np.random.default_rng(0)
    walks = np.cumsum(draw.normal(size=(500, 5)), axis=0)
    assert kind_of_data(walks, "auto") == "series"
    assert kind_of_data(draw.normal(size=(500, 5)), "auto") == "table"
    assert kind_of_data(blobs(50), "auto") == "images"
    assert kind_of_data(walks[:, 0], "auto") == "series"
    assert kind_of_data(np.cumsum(np.cumsum(draw.normal(size=(60, 60)), 0), 1), "auto") == "array"
    assert kind_of_data(np.cumsum(draw.normal(size=(60, 60)), 1), "auto") == "images"
    assert kind_of_data(people(20), "auto") == "table"


# ---------------------------------------------------------------------- models and files


def test_save_and_load(table, tmp_path):
    frame = people(80, seed=3)
    again = ist.load(table.save(tmp_path / "model.safetensors"))
    assert again.digest_ == table.digest_
    assert again.get_params() == table.get_params()
    pd.testing.assert_frame_equal(again.decompress(table.compress(frame)), frame)
    assert again.compress(frame) == table.compress(frame)


def test_bounds_by_column_are_saved(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 2))
    compressor = ist.Compressor("table", max_error={1: 0.1}, **QUICK).fit(x)
    again = ist.load(compressor.save(tmp_path / "model.safetensors"))
    assert again.max_error == {1: 0.1}
    assert again.compress(x) == compressor.compress(x)


def test_another_model_is_refused_by_both_names(pictures):
    other = ist.Compressor(**QUICK).fit(blobs(200, seed=5))
    with pytest.raises(ist.FileFormatError, match=f"{other.digest_[:12]}, and this one is {pictures.digest_[:12]}"):
        pictures.decompress(other.compress(blobs(3)))


def test_a_file_that_holds_its_model_needs_no_other(pictures, table):
    for model, data in ((pictures, blobs(20)), (table, people(20))):
        packed = model.compress(data, include_model=True)
        assert len(packed) > len(in_one_piece(model))
        back = ist.Compressor().decompress(packed)
        assert np.array_equal(back, data) if isinstance(data, np.ndarray) else back.equals(data)
    with pytest.raises(ist.InputError, match="does not hold its model"):
        ist.Compressor().decompress(pictures.compress(blobs(2)))


FRESH = """
import sys
import numpy as np
import torch
import isthmus as ist
torch.set_default_dtype(torch.float64)
np.save(sys.argv[3], ist.load(sys.argv[1]).decompress(sys.argv[2]))
"""


def test_a_fresh_process_with_other_threads_and_kernels_decodes_alike(pictures, tmp_path):
    new = blobs(60, seed=4)
    pictures.save(tmp_path / "m.safetensors")
    pictures.pack(new, tmp_path / "x.isz")
    set_up = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott"}
    words = [sys.executable, "-c", FRESH, tmp_path / "m.safetensors", tmp_path / "x.isz", tmp_path / "x.npy"]
    subprocess.run([str(word) for word in words], check=True, env=set_up, timeout=120)
    same_bits(np.load(tmp_path / "x.npy"), new)


MEMORY = """
import os, sys
from pathlib import Path
import isthmus as ist
os.chdir(sys.argv[1])
model = ist.load("m.safetensors")
model.pack("x.npy", "x.isz")
model.unpack("x.isz", "y.npy")
# Not getrusage, whose peak includes that of the process that started this one.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by /proc")
def test_memory_is_flat_over_100_and_300_megabytes(tmp_path):
    part = np.zeros((1000, 25, 25))
    part[:, 10:14, 10:14] = np.random.default_rng(0).integers(0, 3, (1000, 4, 4))
    model = ist.Compressor("images", hidden=(2,), max_time=3, random_state=0, block_rows=1000).fit(part)
    model.save(tmp_path / "m.safetensors")
    peaks = []
    for rows in (20_000, 60_000):
        np.save(tmp_path / "x.npy", np.tile(part, (rows // 1000, 1, 1)))
        words = [sys.executable, "-c", MEMORY, str(tmp_path)]
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=3600)
        peaks.append(int(done.stdout))
        assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()
    assert peaks[1] < peaks[0] + 30_000  # kB


def test_sklearn_manners():
    compressor = ist.Compressor(max_error=0.5, **QUICK)
    assert clone(compressor).get_params() == compressor.get_params()
    with pytest.raises(NotFittedError):
        compressor.compress(blobs(2))
    x = blobs(60)
    fitted = compressor.fit(x)
    assert fitted is compressor
    again = pickle.loads(pickle.dumps(fitted))
    assert again.compress(x) == fitted.compress(x)
    assert ist.Compressor(**LEARNT).fit(x).digest_ == ist.Compressor(**LEARNT).fit(x).digest_


# ---------------------------------------------------------------------- blocks and streams


def test_blocks_are_decoded_alone(monkeypatch):
    x = blobs(103)
    compressor = ist.Compressor(block_rows=10, **QUICK).fit(x)
    packed = compressor.compress(x)
    decoded = []
    whole = compressor_reading.decoded

    def counting(*arguments):
        decoded.append(1)
        return whole(*arguments)

    monkeypatch.setattr(compressor_reading, "decoded", counting)
    for rows, blocks in ((slice(25, 35), 2), (slice(0, 10), 1), (slice(100, 900), 1), (slice(None, 5), 1)):
        decoded.clear()
        same_bits(compressor.decompress(packed, rows=rows), x[rows])
        assert len(decoded) == blocks
    with pytest.warns(ist.DataWarning, match="hold none of the 103 rows"):
        assert compressor.decompress(packed, rows=slice(200, 300)).shape == (0, 9, 7)
    for wrong in (slice(-3, None), slice(0, 5, 2), 3):
        with pytest.raises(ist.InputError, match="rows must be a slice"):
            compressor.decompress(packed, rows=wrong)


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".csv"])
def test_files_block_by_block(ending, tmp_path, monkeypatch):
    monkeypatch.setattr(compressor_stream, "TEXT_AT_ONCE", 2000)
    source, packed, again = (tmp_path / f"{name}{end}" for name, end in (("a", ending), ("b", ".isz"), ("c", ending)))
    frame = people(300)[["age", "height", "town", "since", "flag"]]
    x = blobs(300)
    if ending == ".npy":
        np.save(source, x)
    elif ending == ".csv":
        frame.to_csv(source, index=False)
    else:
        frame.to_parquet(source, row_group_size=70)
    compressor = ist.Compressor(block_rows=37, **QUICK).fit(source)
    assert compressor.unpack(compressor.pack(source, packed), again) == again
    if ending == ".npy":
        same_bits(np.load(again), x)
        assert again.read_bytes() == source.read_bytes()
    elif ending == ".csv":
        assert again.read_text() == source.read_text()
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(again), pd.read_parquet(source))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".xlsx", ".npy"])
def test_a_table_without_rows_and_a_file_of_another_kind(ending, table, tmp_path):
    packed = table.pack(people(3).iloc[:0], tmp_path / "x.isz")
    if ending == ".npy":
        with pytest.raises(ist.InputError, match="the data are a table"):
            table.unpack(packed, tmp_path / "x.npy")
    else:
        table.unpack(packed, tmp_path / f"x{ending}")
        assert (tmp_path / f"x{ending}").exists()


def test_a_folder_of_pictures(pictures, tmp_path):
    from isthmus.data import image_folder, write_image

    (tmp_path / "in").mkdir()
    x = blobs(12)
    for place, picture in enumerate(x):
        write_image(tmp_path / "in" / f"{place:02}.png", picture)
    pictures.unpack(pictures.pack(tmp_path / "in", tmp_path / "x.isz"), tmp_path / "out")
    same_bits(image_folder(tmp_path / "out").images, x)


# ---------------------------------------------------------------------- altered files


def test_every_byte_that_is_altered_is_told():
    compressor = ist.Compressor("series", hidden=(2,), max_time=0.2, random_state=0, block_rows=20).fit(
        np.arange(40) % 5
    )
    for options in ({}, {"include_model": True}):
        packed = bytearray(compressor.compress(np.arange(40) % 5, **options))
        step = 1 if not options else max(1, len(packed) // 300)
        for place in range(0, len(packed), step):
            packed[place] ^= 1 + place % 255
            with pytest.raises(ist.FileFormatError):
                compressor.decompress(bytes(packed))
            packed[place] ^= 1 + place % 255
        for length in range(0, len(packed), step):
            with pytest.raises(ist.FileFormatError):
                compressor.decompress(bytes(packed[:length]))
        with pytest.raises(ist.FileFormatError):
            compressor.decompress(bytes(packed) + b"\0")


def test_foreign_files_are_told(pictures, tmp_path):
    np.save(tmp_path / "x.npy", blobs(3))
    (tmp_path / "x.isz").write_bytes(b"")
    for path, said in (("x.npy", "NumPy array, which has not been compressed"), ("x.isz", "is empty")):
        with pytest.raises(ist.FileFormatError, match=said):
            pictures.decompress(tmp_path / path)
    with pytest.raises(ist.InputError, match="cannot read"):
        pictures.decompress(tmp_path / "none.isz")
    with pytest.raises(ist.InputError, match="bytes or the path"):
        pictures.decompress(blobs(2))


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_running_out_of_room_leaves_nothing(tmp_path):
    program = (
        "import resource, signal, sys, numpy as np, isthmus as ist\n"
        "from test_compressor import QUICK\n"
        "x = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)\n"
        "c = ist.Compressor('images', block_rows=50, **QUICK).fit(x)\n"
        "c.pack(x, sys.argv[1] + '/whole.isz')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "for work in (lambda: c.pack(x, sys.argv[1] + '/a.isz'),\n"
        "             lambda: c.unpack(sys.argv[1] + '/whole.isz', sys.argv[1] + '/a.npy')):\n"
        "    try: work()\n"
        "    except ist.InputError as error: print(error)\n"
    )
    set_up = {**os.environ, "PYTHONPATH": f"{Path(ist.__file__).parents[1]}:{Path(__file__).parent}"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, env=set_up
    )
    assert done.stdout.count("Nothing was written") == 2, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["whole.isz"]


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"max_error": -1}, "max_error must be None or 0"),
        ({"max_error": np.nan}, "max_error must be None or 0"),
        ({"max_error": "much"}, "max_error must be None or 0"),
        ({"max_error": {"agee": 1}}, "there is no column 'agee'. Did you mean 'age'"),
        ({"relative": True}, "relative=True needs a max_error"),
        ({"relative": "often", "max_error": 1}, "relative must be"),
        ({"data": "tabel"}, "Did you mean 'table'"),
        ({"data": "array"}, "X is a frame"),
        ({"block_rows": 0}, "block_rows must be a whole number >= 1"),
        ({"block_rows": 2**40}, "block_rows: a block may have"),
        ({"max_time": 0}, "max_time must be a number > 0"),
        ({"hidden": 3}, "hidden must be whole numbers"),
    ],
)
def test_knobs_that_cannot_be_used(knobs, said):
    with pytest.raises(ist.InputError, match=said):
        ist.Compressor(**{**QUICK, **knobs}).fit(people(30))


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (blobs(0), "nothing to learn from"),
        (np.array(3.0), "must have 1 to 6 axes"),
        (np.array(["a"]), "must hold numbers or truth values"),
        (np.ones(3, dtype=complex), "must hold numbers or truth values"),
        (pd.DataFrame({"a": [(1, 2)]}), "column 'a' holds tuple objects"),
        (pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="D")}), "column 'a' is of the type period"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns of the same name"),
        ("none.npy", "there is no file or folder"),
        (None, "must be an array, a frame or the path of a file; got None"),
        ([[1, 2], [3]], "rows are not of one length"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "dates and spans of time belong in a pandas frame"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), r"its mask would be lost: give X.filled\(np.nan\)"),
    ],
)
def test_data_that_cannot_be_used(X, said):
    with pytest.raises(ist.InputError, match=said):
        ist.Compressor(**QUICK).fit(X)


def test_other_dtypes_and_shapes_than_in_the_fit(pictures, table):
    for wrong, said in (
        (blobs(3).astype(np.int16), "must be of the dtype uint8"),
        (blobs(3)[:, :5], r"of the shape \(n, 9, 7\)"),
        (people(3), "X is a frame"),
    ):
        with pytest.raises(ist.InputError, match=said):
            pictures.compress(wrong)
    frame = people(3)
    for odd, said in (
        (frame.astype({"age": str}), "column 'age' must hold whole numbers, as in the fit; got texts"),
        (frame.astype({7: float}), r"column 7 must hold real numbers \(<f4\), as in the fit; got .* \(<f8\)"),
        (frame.drop(columns="age"), "missing: 'age'"),
        (frame.assign(new=1), "new ones: 'new'"),
        (frame[list(frame)[::-1]], "another order"),
        (np.ones((3, 12)), "must be a pandas frame"),
    ):
        with pytest.raises(ist.InputError, match=said):
            table.compress(odd)


# ---------------------------------------------------------------------- judging


def test_judge_beside_the_usual_coders(pictures, table):
    found = pictures.judge(blobs(50, seed=1))
    assert {row.name for row in found.rows} == {"lzma", "bz2", "zlib", "zstd", "PNG", "WebP, lossless", "this model"}
    assert [row.bytes for row in found.rows] == sorted(row.bytes for row in found.rows)
    assert found.raw_bytes == 50 * 63
    assert found.model_bytes == len(in_one_piece(pictures))
    assert all(row.error == 0 for row in found.rows)
    assert "this model" in str(found)
    said = str(table.judge(people(100)[list(people(1))]))
    assert "Parquet with zstd cannot hold these data" in said  # for its column of mixed objects


def test_judge_tells_the_largest_error():
    x = np.cumsum(np.random.default_rng(0).normal(size=500))
    compressor = ist.Compressor(max_error=0.25, **QUICK).fit(x)
    mine = next(row for row in compressor.judge(x).rows if row.name == "this model")
    assert 0.1 < mine.error <= 0.25


# ---------------------------------------------------------------------- for ever


DATA = Path(__file__).parent / "data"


def test_files_of_the_first_version_open_for_ever():
    same_bits(ist.Compressor().decompress(DATA / "compressed_v1.isz"), blobs(20, seed=9))
    frame = ist.Compressor().decompress(DATA / "compressed_table_v1.isz")
    pd.testing.assert_frame_equal(frame, pd.read_csv(DATA / "compressed_table_v1.csv"))


def test_a_frame_of_the_first_version_with_an_index_opens_for_ever():
    frame = pd.DataFrame(
        {
            "town": ["Ulm", "Köln", None] * 40,
            "people": pd.array([1, None, 3] * 40, dtype="Int64"),
            "height": [0.25, 1.5, -3.0] * 40,
        },
        index=pd.Index([f"r{n * n}" for n in range(120)], name="row"),
    )
    pd.testing.assert_frame_equal(ist.Compressor().decompress(DATA / "compressed_frame_v1.isz"), frame)


def test_a_field_of_the_first_version_rounded_behind_its_predictions_opens_for_ever():
    found = ist.Compressor().decompress(DATA / "compressed_field_v1.isz")
    y, x = np.mgrid[:96, :80]
    field = np.sin(x / 9.0 + 2.5) + np.cos(y / 7.0 * 1.25) + 0.02 * x
    assert np.abs(found - field).max() < 0.00101
    digest = "60ef2395a01cc88ac4a2021baa3e17173aab4c823da464ff8db3bffa3b754dd4"
    assert hashlib.sha256(found.tobytes()).hexdigest() == digest


def test_pictures_of_the_first_version_open_for_ever(tmp_path):
    found = ist.Compressor().decompress(DATA / "compressed_pictures_v1.isz")
    assert [picture.shape for picture in found] == [(24, 17), (24, 18), (24, 19)]
    digest = "92d5b3355ec8891ff7421a68016b2b2f11c850a5ece974f46da0684c4d298a70"
    assert hashlib.sha256(b"".join(picture.tobytes() for picture in found)).hexdigest() == digest
    ist.Compressor().unpack(DATA / "compressed_pictures_v1.isz", tmp_path / "out")
    assert sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*.png")) == [
        "0.png",
        "a/1.png",
        "a/2.png",
    ]
