"""Writing: tables by their extension, and files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pytest

from isthmus.data import open_source, write_table
from isthmus.errors import InputError
from isthmus.files import written_whole

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "flag": [True, False, True]})


def everything(source: object) -> np.ndarray:
    return source.read(0, source.rows)  # type: ignore[attr-defined]


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_tables_are_written_and_read_again(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    for name in ("z.csv", "z.parquet"):
        write_table(tmp_path / name, codes, names=["z0", "z1"])
        again = open_source(tmp_path / name)
        assert again.names == ("z0", "z1")
        np.testing.assert_array_equal(everything(again).astype(np.float32), codes)
    write_table(tmp_path / "z.npy", codes)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), codes)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["z.csv", "z.npy", "z.parquet"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_frames_keep_their_index_where_it_says_something(tmp_path: Path, name: str) -> None:
    write_table(tmp_path / name, FRAME)
    assert open_source(tmp_path / name).names == ("a", "b", "flag")
    given = FRAME.set_axis(["x", "y", "z"])
    write_table(tmp_path / name, given)
    source = open_source(tmp_path / name)
    pd.testing.assert_frame_equal(source.form.wrap(everything(source), source.index), given)


def test_polars_frames_are_written(tmp_path: Path) -> None:
    frame = polars.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    for name in ("t.csv", "t.parquet", "t.npy"):
        write_table(tmp_path / name, frame)
        np.testing.assert_array_equal(everything(open_source(tmp_path / name)), frame.to_numpy())


@pytest.mark.parametrize("library", [pd, polars])
def test_a_frame_of_several_types_becomes_plain_numbers(tmp_path: Path, library: Any) -> None:
    truth, small, wide = np.array([True, False]), np.array([1.5, 2.5], dtype=np.float32), np.array([3, 4])
    for columns, dtype in (({"a": truth, "b": small}, "float32"), ({"a": truth, "b": wide}, "int64")):
        write_table(tmp_path / "t.npy", library.DataFrame(columns))
        got = np.load(tmp_path / "t.npy", allow_pickle=False)
        assert got.dtype == dtype
        assert got.tolist() == np.column_stack([columns["a"], columns["b"]]).tolist()
    with pytest.raises(InputError, match=r"t.npy': column 'name' holds object values, and a .npy file holds numbers"):
        write_table(tmp_path / "t.npy", library.DataFrame({"a": truth, "name": ["x", "y"]}))
    assert np.load(tmp_path / "t.npy").dtype == "int64"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in one of .csv, .tsv, .parquet, .*; got '.xls'"):
        write_table(tmp_path / "t.xls", FRAME)
    with pytest.raises(InputError, match=r"an array of shape \(2, 3, 4\) fits no table"):
        write_table(tmp_path / "t.csv", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match="names must hold 3 column names; got 1"):
        write_table(tmp_path / "t.csv", np.zeros((2, 3)), names=["a"])
    with pytest.raises(InputError, match=r"no/t.csv': its folder does not exist"):
        write_table(tmp_path / "no" / "t.csv", FRAME)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="that path is a folder"):
        write_table(tmp_path / "folder.csv", FRAME)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.csv"]


def write_half(path: Path, error: Exception) -> None:
    with written_whole(path) as beside:
        beside.write_text("half")
        raise error


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = text(tmp_path / "t.txt", "old")
    with pytest.raises(KeyError):
        write_half(path, KeyError())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    path = text(tmp_path / "t.txt", "old")
    with pytest.raises(InputError, match=r"cannot write '.*t.txt': the disk is full. Free some space"):
        write_half(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


def test_errors_about_other_files_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "t.txt"):
        (tmp_path / "other").read_text()


LIMITED = """
import resource, signal, sys
import numpy as np
from isthmus.data import write_table
from isthmus.errors import InputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_table(sys.argv[1], np.random.default_rng(0).normal(size=(10_000, 4)), names=list("abcd"))
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
@pytest.mark.parametrize("name", ["t.csv", "t.npy", "t.parquet"])
def test_running_out_of_room_in_the_middle_leaves_nothing(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path / name], capture_output=True, text=True, check=True)
    assert f"{name}': " in done.stdout
    assert "Nothing was written" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="whoever may do everything is refused nothing")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you may not write there"):
        write_table(tmp_path / "t.csv", FRAME)


def test_a_refused_write_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(target))

    monkeypatch.setattr("isthmus.files.os.replace", refuse)
    with pytest.raises(InputError, match="t.csv': you may not write there. Choose another path"):  # noqa: RUF043
        write_table(tmp_path / "t.csv", FRAME)
    assert list(tmp_path.iterdir()) == []


def test_a_link_keeps_pointing_at_the_file(tmp_path: Path) -> None:
    text(tmp_path / "real.txt", "old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with written_whole(tmp_path / "link.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
