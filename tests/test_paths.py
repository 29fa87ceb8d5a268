"""Files and folders as sources: every format, every kind of damage."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from isthmus.data import ParquetSource, Scaling, digest, open_source, read_idx
from isthmus.errors import InputError

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "flag": [True, False, True]})


def everything(source: object) -> np.ndarray:
    return source.read(0, source.rows)  # type: ignore[attr-defined]


def raises(X: object, *words: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        open_source(X, **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


# Text tables.


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV", "t.tsv", "t.tsv.gz"])
def test_text_tables(tmp_path: Path, name: str) -> None:
    FRAME.to_csv(tmp_path / name, index=False, sep="\t" if "tsv" in name else ",")
    source = open_source(tmp_path / name)
    assert (source.names, source.dtypes, source.container) == (
        ("a", "b", "flag"),
        ("int64", "float64", "bool"),
        "pandas",
    )
    pd.testing.assert_frame_equal(source.form.wrap(everything(source), source.index), FRAME)
    assert open_source(str(tmp_path / name)).rows == 3


def test_semicolons_are_understood(tmp_path: Path) -> None:
    assert open_source(text(tmp_path / "t.csv", "a;b\n1;2\n")).names == ("a", "b")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert open_source(tmp_path / "t.csv").names == ("a", "b")


def test_a_table_without_names_loses_no_row(tmp_path: Path) -> None:
    source = open_source(text(tmp_path / "t.csv", "1.5,2\n3.5,4\n"))
    assert source.names is None
    np.testing.assert_array_equal(everything(source), [[1.5, 2], [3.5, 4]])
    assert open_source(text(tmp_path / "t.csv", "2019,2020\n3.5,4\n")).names == ("2019", "2020")


def test_the_index_that_pandas_wrote_is_the_index_again(tmp_path: Path) -> None:
    FRAME.set_axis(["x", "y", "z"]).to_csv(tmp_path / "t.csv")
    source = open_source(tmp_path / "t.csv")
    assert source.names == ("a", "b", "flag")
    assert list(source.index) == ["x", "y", "z"]


def test_one_column(tmp_path: Path) -> None:
    assert open_source(text(tmp_path / "t.csv", "a\n1\n2\n")).layout.shape == (1,)


def test_files_give_columns_by_name_in_any_order(tmp_path: Path) -> None:
    form = open_source(FRAME).form
    FRAME[["flag", "b", "a"]].to_csv(tmp_path / "t.csv", index=False)
    source = open_source(tmp_path / "t.csv", form=form)
    np.testing.assert_array_equal(everything(source), FRAME.to_numpy(float))
    np.testing.assert_array_equal(source.take(np.array([2, 0])), FRAME.to_numpy(float)[[2, 0]])
    assert source.form == form
    FRAME.rename(columns={"b": "c"}).to_csv(tmp_path / "t.csv", index=False)
    raises(tmp_path / "t.csv", "unseen at fit time:\n- c\n", "now missing:\n- b\n", form=form)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        ("a,b\n", ["has a line of 2 column names, but no rows"]),
        ("a,b\n1,2\n3,4,5\n6,7\n", ["line 3 has 3 values where 2 are expected"]),
        ("a,b\n1,2,3\n", ["line 2 has 3 values where 2 are expected"]),
        ("a,b\n1,2\n3,4\n5\n", ["line 4 has 1 value where 2 are expected"]),
        ('a,b\n1,2\n3,"4\n5,6\n', ["a quotation mark", "never closed"]),
        ("a,b,a\n1,2,3\n", ["several columns of the same name: 'a'"]),
        ("id,b\n123456789012345678901234,1\n", ["column 'id'", "beyond the range of 64 bits"]),
    ],
)
def test_broken_text_tables(tmp_path: Path, content: str, words: list[str]) -> None:
    raises(text(tmp_path / "t.csv", content), *words)


def test_text_that_is_not_utf8_or_not_gzip(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("größe\n1\n".encode("latin-1"))
    assert open_source(tmp_path / "t.csv").names == ("größe",)
    (tmp_path / "t.csv").write_bytes("ö\n".encode() + b"1\n" * 300_000 + "ä\n".encode() + b"\xff\n")
    raises(tmp_path / "t.csv", "is UTF-8 text in which bytes are damaged (line 300003)", "Save it again as UTF-8")
    (tmp_path / "t.csv.gz").write_bytes(b"a,b\n1,2\n")
    raises(tmp_path / "t.csv.gz", "t.csv.gz", "cannot be read")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n" + os.urandom(500).hex().encode())[:-100])
    raises(tmp_path / "t.csv.gz", "cut off or damaged")


def test_missing_cells_of_a_file_are_known(tmp_path: Path) -> None:
    source = open_source(text(tmp_path / "t.csv", "a,b\n1,2\n,3\n4,\n"))
    np.testing.assert_array_equal(everything(source), [[1, 2], [np.nan, 3], [4, np.nan]])
    np.testing.assert_array_equal(source.weight(np.array([1, 2])), [[0, 1], [1, 0]])


# Text tables for a fitted model.


def people(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({
        "zip": random.choice(["01067", "10115", "80331"], rows),
        "age": random.integers(18, 90, rows),
        "day": (pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 90, rows), "D")).strftime("%Y-%m-%d"),
    })  # fmt: skip


def in_file(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def test_codes_come_back_letter_by_letter_from_every_file(tmp_path: Path) -> None:
    source = open_source(in_file(tmp_path / "fit.csv", people()))
    assert source.described()[:2] == [*source.said, "zip: category of 3 levels (text)"]
    values = everything(source)
    assert source.wrapped(values)["zip"].tolist() == people()["zip"].tolist()
    typed = people().assign(day=pd.to_datetime(people()["day"]))
    np.testing.assert_array_equal(
        everything(open_source(in_file(tmp_path / "p.parquet", typed), form=source.form)), values
    )
    some = people()["zip"] != "01067"
    later = open_source(in_file(tmp_path / "some.csv", people()[some]), form=source.form)
    np.testing.assert_array_equal(everything(later), values[some])
    assert source.form.names is not None
    asked = open_source(tmp_path / "fit.csv", columns={"zip": "numeric"})
    assert everything(asked)[:, 0].tolist() == people()["zip"].astype(int).tolist()


def test_ages_written_with_zeros_are_numbers_to_a_model_that_knows_them(tmp_path: Path) -> None:
    for fit in (people(), people()[["age"]].assign(x=1.5)):
        form = open_source(in_file(tmp_path / "fit.csv", fit)).form
        later = open_source(in_file(tmp_path / "t.csv", fit.assign(age=[f"{i:03}" for i in range(60)])), form=form)
        assert everything(later)[:, fit.columns.get_loc("age")].tolist() == list(range(60))


def test_columns_that_come_empty_are_missing_whatever_they_held(tmp_path: Path) -> None:
    source = open_source(in_file(tmp_path / "fit.csv", people()))
    form = source.form
    later = open_source(in_file(tmp_path / "t.csv", people().assign(zip=None, age=None, day=None)), form=form)
    assert np.isnan(everything(later)).all()
    pd.testing.assert_frame_equal(
        later.wrapped(everything(source)), source.wrapped(everything(source)), check_dtype=False
    )


def test_cells_that_changed_their_type_are_shown(tmp_path: Path) -> None:
    form = open_source(in_file(tmp_path / "fit.csv", people())).form
    strange = people().astype({"age": object})
    strange.loc[17, "age"] = "unknown"
    raises(
        in_file(tmp_path / "t.csv", strange), "holds text now, for example 'unknown' in row 17", "to_numeric", form=form
    )
    dates = people().assign(day=["2024-02-30", *people()["day"][1:]])
    raises(
        in_file(tmp_path / "t.csv", dates), "column 'day' stays text: only dates as in ISO 8601",
        "'2024-02-30' is none; column 'day' of X held dates in fit", form=form,
    )  # fmt: skip
    years = people().assign(day="12024-01-01")
    raises(in_file(tmp_path / "t.csv", years), "for example '12024-01-01' in row 0", form=form)


def test_missing_columns_of_a_file_come_with_what_to_do(tmp_path: Path) -> None:
    form = open_source(in_file(tmp_path / "fit.csv", people())).form
    later = in_file(tmp_path / "t.csv", people().drop(columns="age"))
    mend = "empty where their values are not known, or fit again without them: columns={'age': 'ignore'}."
    raises(later, f"yet now missing:\n- age\nAdd the missing ones to the file, {mend}", form=form)
    form = open_source(in_file(tmp_path / "fit.csv", FRAME)).form
    raises(
        in_file(tmp_path / "t.csv", FRAME.drop(columns="b")),
        "yet now missing:\n- b\nAdd the missing ones to the file, or fit again without them.", form=form,
    )  # fmt: skip


def test_a_number_too_large_for_a_float_is_infinite(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains infinity: column 'a' \(1\)"):
        Scaling.fit(open_source(text(tmp_path / "t.csv", "a\n1\n1e999\n")))


# Parquet.


def test_parquet(tmp_path: Path) -> None:
    given = FRAME.set_axis(["x", "y", "z"])
    given.to_parquet(tmp_path / "t.parquet")
    source = open_source(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(source.form.wrap(everything(source), source.index), given)


def test_large_parquet_files_are_read_by_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.mixed_parquet.WHOLE_BYTES", 0)
    X = np.random.default_rng(0).normal(size=(1000, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).set_axis([f"r{i}" for i in range(1000)])
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=300)
    source = open_source(tmp_path / "t.parquet", columns={"b": "ignore"})
    assert isinstance(source, ParquetSource)
    assert (source.names, source.rows, source.random_access) == (("a", "c"), 1000, False)
    assert source.blocks == [(0, 300), (300, 600), (600, 900), (900, 1000)]
    rows = np.array([999, 0, 301, 300, 5])
    np.testing.assert_array_equal(source.take(rows), X[rows][:, [0, 2]])
    np.testing.assert_array_equal(source.read(310, 320), X[310:320][:, [0, 2]])
    np.testing.assert_array_equal(source.read(250, 350), X[250:350][:, [0, 2]])
    np.testing.assert_allclose(Scaling.fit(source).centre, X[:, [0, 2]].mean(axis=0), atol=1e-15)
    assert digest(source) == digest(open_source(frame[["a", "c"]]))


def test_row_groups_hold_missing_cells_and_truth_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": [True, False, True]})
    frame.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr("isthmus.data.mixed_parquet.WHOLE_BYTES", 0)
    source = open_source(tmp_path / "t.parquet")
    np.testing.assert_array_equal(everything(source), [[1, 1], [np.nan, 0], [3, 1]])
    assert [column.kind for column in source.layout.columns or ()] == ["number", "binary"]


def test_large_parquet_columns_without_numbers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.data.mixed_parquet.WHOLE_BYTES", 0)
    pd.DataFrame({"a": [1.0], "city": ["Oslo"]}).to_parquet(tmp_path / "t.parquet")
    form = open_source(pd.DataFrame({"a": [1.0], "city": [1.0]})).form
    raises(tmp_path / "t.parquet", "column 'city'", "text", form=form)


def test_corrupt_parquet(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for content in (whole[:-20], b"PAR1 no", whole[:20] + bytes(40) + whole[60:]):
        (tmp_path / "t.parquet").write_bytes(content)
        raises(tmp_path / "t.parquet", "t.parquet", "cannot be read as Parquet", "damaged")


# NumPy's files.


def test_npy_is_mapped(tmp_path: Path) -> None:
    X = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save(tmp_path / "X.npy", X)
    source = open_source(tmp_path / "X.npy")
    assert source.mapped  # type: ignore[attr-defined]
    assert not isinstance(source.array, np.memmap)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(everything(source), X)
    assert source.blocks == [(0, 4)]


def test_large_mapped_files_have_blocks_and_no_random_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "X.npy", np.zeros((100, 4)))
    monkeypatch.setattr("isthmus.data.sources.BLOCK_BYTES", 1024)
    monkeypatch.setattr("isthmus.data.sources.RANDOM_ACCESS_BYTES", 1024)
    source = open_source(tmp_path / "X.npy")
    assert source.blocks == [(0, 32), (32, 64), (64, 96), (96, 100)]
    assert not source.random_access


def test_npz(tmp_path: Path) -> None:
    X = np.ones((2, 3))
    np.savez(tmp_path / "one.npz", anything=X)
    np.savez(tmp_path / "labelled.npz", X=X, y=np.zeros(2))
    np.savez(tmp_path / "several.npz", left=X, right=X)
    np.savez(tmp_path / "none.npz")
    np.testing.assert_array_equal(everything(open_source(tmp_path / "one.npz")), X)
    np.testing.assert_array_equal(everything(open_source(tmp_path / "labelled.npz")), X)
    raises(
        tmp_path / "several.npz", "several arrays: 'left', 'right'", "numpy.load(path)['left']", "under the name 'X'"
    )
    raises(tmp_path / "none.npz", "holds no array")


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    raises(tmp_path / "o.npy", "Python objects", "never unpickled")
    np.savez(tmp_path / "o.npz", X=np.array([[{}]], dtype=object))
    raises(tmp_path / "o.npz", "Python objects", "never unpickled")


def test_corrupt_npy_and_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((50, 3)))
    np.savez_compressed(tmp_path / "X.npz", X=np.random.default_rng(0).normal(size=(50, 3)))
    for name, kind in (("X.npy", "whole .npy file"), ("X.npz", "whole .npz file")):
        whole = (tmp_path / name).read_bytes()
        for content in (whole[:-200], b"no such thing", whole[:5], whole[:40] + bytes(40) + whole[80:]):
            (tmp_path / name).write_bytes(content)
            raises(tmp_path / name, name, kind)
    np.save(tmp_path / "X.npy", np.ones((50, 3)))
    (tmp_path / "X.npy").rename(tmp_path / "X.npz")
    assert open_source(tmp_path / "X.npz").rows == 50  # a single array under the wrong ending


# idx.


def idx(X: np.ndarray, code: int) -> bytes:
    return struct.pack(f">BBBB{X.ndim}I", 0, 0, code, X.ndim, *X.shape) + X.astype(X.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t.idx", "t10k-images.idx3-ubyte", "some.thing", "plain"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, name: str, packed: bool) -> None:
    X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / (name + ".gz" * packed)
    path.write_bytes(gzip.compress(idx(X, 8)) if packed else idx(X, 8))
    source = open_source(path)
    assert source.dtypes == ("uint8",)
    np.testing.assert_array_equal(everything(source), X)


@pytest.mark.parametrize(
    ("dtype", "code"), [("int8", 9), ("int16", 11), ("int32", 12), ("float32", 13), ("float64", 14)]
)
def test_idx_of_every_type(tmp_path: Path, dtype: str, code: int) -> None:
    X = np.array([[-1, 2], [3, 4]], dtype=dtype)
    (tmp_path / "t.idx").write_bytes(idx(X, code))
    back = read_idx(tmp_path / "t.idx")
    assert back.dtype == X.dtype
    np.testing.assert_array_equal(back, X)


def test_corrupt_idx(tmp_path: Path) -> None:
    whole = idx(np.zeros((2, 3), dtype=np.uint8), 8)
    path = tmp_path / "t.idx"
    for content, words in [
        (whole[:-1], ["should hold 6 bytes", "(2, 3)", "holds 5", "cut off"]),
        (whole + b"x", ["holds 7"]),
        (whole[:7], ["ends within its head"]),
        (b"hello world", ["is not an idx file"]),
        (gzip.compress(whole)[:-9], ["cannot be read", "cut off"]),
    ]:
        path.write_bytes(content)
        raises(path, "t.idx", *words)


def test_labels_alone_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.idx").write_bytes(idx(np.zeros(5, dtype=np.uint8), 8))
    raises(tmp_path / "t.idx", "Reshape your data", "shape (5,)")


# Folders of images.


def picture(path: Path, size: tuple[int, int] = (4, 3), mode: str = "L", value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode in ("1", "L", "P", "I;16") else (value, 2, 3, 255)[: len(mode)]).save(path)
    return path


def test_images_come_sorted_by_name(tmp_path: Path) -> None:
    for value, name in enumerate(["b.png", "a.PNG", "c.png"]):
        picture(tmp_path / name, value=value)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    source = open_source(tmp_path)
    assert (source.rows, source.layout.shape, source.dtypes) == (3, (3, 4), ("uint8",))
    assert everything(source)[:, 0, 0].tolist() == [1, 0, 2]


def test_colour_images_and_folders_of_classes(tmp_path: Path) -> None:
    picture(tmp_path / "dogs" / "1.png", mode="RGB", value=1)
    picture(tmp_path / "cats" / "1.png", mode="RGBA", value=2)
    picture(tmp_path / "cats" / "2.jpg", mode="RGB", value=2)
    source = open_source(tmp_path)
    assert (source.rows, source.layout.shape) == (3, (3, 4, 3))
    assert everything(source)[[0, 2], 0, 0].tolist() == [[2, 2, 3], [1, 2, 3]]


def test_folders_without_images(tmp_path: Path) -> None:
    raises(tmp_path, "has no PNG or JPEG images", "it is empty")
    (tmp_path / "a.gif").write_bytes(b"")
    raises(tmp_path, "it holds '.gif'")


def test_images_of_other_sizes_or_modes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", size=(5, 3))
    raises(tmp_path, "a.png' is 4 x 3 (width x height), grey", "b.png' is 5 x 3 (width x height), grey")
    picture(tmp_path / "b.png", mode="RGB")
    raises(tmp_path, "a.png' is 4 x 3 (width x height), grey", "b.png' is 4 x 3 (width x height), colour")
    picture(tmp_path / "b.png", mode="I;16")
    raises(tmp_path, "b.png", "has mode 'I;16'", "8-bit")


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    whole = (tmp_path / "b.png").read_bytes()
    for content in (
        whole[: len(whole) // 2],
        whole[:30],
        b"",
        b"no image at all",
        whole[:60] + bytes(60) + whole[120:],
    ):
        (tmp_path / "b.png").write_bytes(content)
        raises(tmp_path, "b.png", "cannot be read as an image", "cut off or damaged")


# Paths.


def test_missing_paths_come_with_a_hint(tmp_path: Path) -> None:
    text(tmp_path / "table.csv", "a\n1\n")
    raises(tmp_path / "tabel.csv", "there is no file or folder", "Did you mean 'table.csv'?")
    raises(tmp_path / "zzz", "holds 'table.csv'")
    raises(tmp_path / "no" / "such" / "t.csv", "the nearest one that does is", repr(str(tmp_path)))


def test_kinds_of_file_that_cannot_be_read(tmp_path: Path) -> None:
    raises(text(tmp_path / "t.docx", "x"), "'.docx' is no kind of file that can be read", ".parquet")
    raises(text(tmp_path / "t.xls", "x"), "spreadsheet", "pandas.read_excel")
    raises(text(tmp_path / "t.xlsx", "x"), "no Excel file")
    raises(picture(tmp_path / "t.png"), "single image; give the folder")
    raises(text(tmp_path / "t.npy", ""), "t.npy' is empty")
