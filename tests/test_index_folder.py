"""The index on disk: what was acknowledged is there, whatever happens; what was altered is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.errors import FileFormatError, InputError
from isthmus.index import about, data_files, log
from isthmus.index import folder as folder_file
from isthmus.index.folder import LOCK, Folder
from isthmus.index.lock import locked
from isthmus.index.log import FILES, HEAD, RECORD
from isthmus.index.store import Store


def codes_of(numbers: Any) -> np.ndarray:
    return np.asarray(numbers, dtype=np.uint64).reshape(-1, 1)


def seen(folder: Folder) -> tuple[Any, ...]:
    """All that a folder shows."""
    rows = np.arange(folder.rows)
    floats = folder.floats_of(rows).tolist()
    every = (folder.codes.tolist(), folder.ids_of(rows).tolist(), floats, folder.items_of(rows))
    return (*every, folder.alive.tolist(), folder.kind)


def lively(path: Path) -> Folder:
    """An index of which no file is empty."""
    folder = Folder.create(path, bits=64, floats=1, model="abc")
    folder.add(codes_of([1, 2]), ["a", "b"], [[0.5], [1.5]], ["first", None])
    folder.add(codes_of([3]), ["c"], [[2.5]], ["third"])
    folder.remove(["b"])
    return folder


def test_what_was_written_is_there_when_opened(tmp_path: Path) -> None:
    folder = lively(tmp_path / "x.index")
    again = Folder.open(tmp_path / "x.index", model="abc")
    assert seen(again) == seen(folder)
    assert seen(again) == (
        [[1], [2], [3]],
        ["a", "b", "c"],
        [[0.5], [1.5], [2.5]],
        ["first", None, "third"],
        [True, False, True],
        "strings",
    )
    assert (again.bits, again.floats, again.model) == (64, 1, "abc")
    again.add(codes_of([4]), ["d"], [[0]])
    assert Folder.open(tmp_path / "x.index").ids.tolist() == ["a", "c", "d"]


def test_the_bytes_on_disk_are_those_that_are_promised(tmp_path: Path) -> None:
    path = lively(tmp_path / "x.index").path
    assert (path / "codes").read_bytes() == np.array([1, 2, 3], "<u8").tobytes()
    assert (path / "ids").read_bytes() == b"abc"
    assert (path / "ids.ends").read_bytes() == np.array([1, 2, 3], "<i8").tobytes()
    assert (path / "floats").read_bytes() == np.array([0.5, 1.5, 2.5], "<f2").tobytes()
    assert (path / "items").read_bytes() == b"firstthird"
    assert (path / "items.ends").read_bytes() == np.array([5, 5, 10], "<i8").tobytes()
    assert (path / "removed").read_bytes() == np.array([1], "<i8").tobytes()
    assert (path / "log").stat().st_size == HEAD + 3 * RECORD.itemsize
    assert json.loads((path / "about.json").read_text())["bits"] == 64
    assert sorted(file.name for file in path.iterdir()) == sorted([*FILES, "log", "lock", "about.json"])


def test_a_reader_keeps_its_view_until_it_refreshes(tmp_path: Path) -> None:
    writer = lively(tmp_path / "x.index")
    reader = Folder.open(tmp_path / "x.index")
    before = seen(reader)
    writer.add(codes_of([9]), ["z"], [[9]], ["last"])
    writer.remove(["a"])
    assert seen(reader) == before
    reader.refresh()
    assert seen(reader) == seen(writer) != before
    assert reader.ids.tolist() == ["c", "z"]
    writer.remove(["c"])
    with pytest.raises(InputError, match=r"already: 'z'\."):
        reader.add(codes_of([1]), ["z"], [[0]])
    assert reader.add(codes_of([1]), ["c"], [[0]]).tolist() == ["c"]  # what others removed is seen when writing


# --- writes that do not come to their end -------------------------------------------------------------


def states_of_an_add(path: Path) -> tuple[dict[str, bytes], dict[str, bytes], tuple[Any, ...], tuple[Any, ...]]:
    """The files before and after an add, and what they show."""
    folder = lively(path)
    before, shown = {file.name: file.read_bytes() for file in path.iterdir()}, seen(folder)
    folder.add(codes_of([4, 5]), ["dd", "e"], [[3.5], [4.5]], ["fourth", "fifth"])
    return before, {file.name: file.read_bytes() for file in path.iterdir()}, shown, seen(folder)


def put(path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (path / name).write_bytes(content)


def test_an_add_killed_at_any_byte_leaves_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "x.index"
    before, after, old, new = states_of_an_add(path)
    order = [*FILES, "log"]
    for stage, name in enumerate(order):
        done = {earlier: after[earlier] for earlier in order[:stage]}
        # The head of the log is written last of all.
        whole = before["log"][:HEAD] + after["log"][HEAD:] if name == "log" else after[name]
        for length in range(len(before[name]), len(whole) + 1):
            put(path, {**before, **done, name: whole[:length]})
            folder = Folder.open(path)
            written = name == "log" and length == len(whole)
            assert seen(folder) == (new if written else old)
    put(path, {**after, "log": before["log"][:HEAD] + after["log"][HEAD:]})
    assert seen(Folder.open(path)) == new


def test_what_a_killed_add_left_behind_does_not_harm_the_next(tmp_path: Path) -> None:
    path = tmp_path / "x.index"
    before, after, old, _ = states_of_an_add(path)
    for name in (*FILES, "log"):
        junk = b"\xaa" * (RECORD.itemsize - 1 if name == "log" else 1000)
        put(path, {**before, name: before[name] + junk})
        folder = Folder.open(path)
        assert seen(folder) == old
        folder.add(codes_of([4, 5]), ["dd", "e"], [[3.5], [4.5]], ["fourth", "fifth"])
        assert {file.name: file.read_bytes() for file in path.iterdir()} == after


def test_data_is_on_the_disk_before_the_record_that_makes_it_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lively(tmp_path / "x.index")
    names = {file.stat().st_ino: file.name for file in folder.path.iterdir()}
    synced: list[tuple[str, int]] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((names[os.fstat(handle).st_ino], head_of(folder))))

    def head_of(folder: Folder) -> int:
        return int.from_bytes((folder.path / "log").read_bytes()[8:16], "little")

    folder.add(codes_of([4]), ["d"], [[0]], ["fourth"])
    folder.remove(["d"])
    assert [name for name, _ in synced] == [*FILES[:-1], "log", "removed", "log"]
    assert [number for _, number in synced] == [3] * 7 + [4] * 2  # acknowledged only after the record is there
    assert head_of(folder) == 5


def failing(act: Callable[[], object], patch: pytest.MonkeyPatch, number: int) -> int:
    """Let the disk be full at the ``number``-th sync of ``act``; how many syncs there were."""
    count = 0
    sync = os.fsync

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with patch.context() as patched:
        patched.setattr(os, "fsync", full)
        act()
    return count


@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = lively(tmp_path / "x.index")

    def act() -> None:
        if kind == "add":
            folder.add(codes_of([4, 5]), ["dd", "e"], [[3.5], [4.5]], ["fourth", "fifth"])
        else:
            folder.remove(["a"])

    old = seen(folder)
    sizes = {file.name: file.stat().st_size for file in folder.path.iterdir()}
    steps = 7 if kind == "add" else 2
    for number in range(1, steps + 1):
        with pytest.raises(InputError, match=r"cannot write .*: the disk is full\. .* Nothing was written\."):
            failing(act, monkeypatch, number)
        assert seen(folder) == seen(Folder.open(folder.path)) == old
        assert {file.name: file.stat().st_size for file in folder.path.iterdir()} == sizes
    assert failing(act, monkeypatch, 0) == steps
    assert seen(folder) == seen(Folder.open(folder.path)) != old


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, which may fork: it has but one thread."""
    head = """
        import os, random, resource, signal, sys, time
        import numpy as np
        from isthmus.errors import InputError
        from isthmus.index.folder import Folder

        def codes_of(numbers):
            return np.asarray(numbers, dtype=np.uint64).reshape(-1, 1)
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


KILLED = """
    # Workers add batches and remove some rows; what they were told is done they say through a pipe.
    path, rounds = sys.argv[1], int(sys.argv[2])
    draw = random.Random(0)
    Folder.create(path, bits=64)
    done, removed, begun, cut = 0, set(), 0, 0
    for turn in range(rounds):
        ours, theirs = os.pipe()
        worker = os.fork()
        if worker == 0:
            folder = Folder.open(path)
            batch = done
            while True:
                rows = np.arange(batch * 10, batch * 10 + 10)
                folder.add(codes_of(rows * 7), [f"{row}" for row in rows], items=[f"item {row}" for row in rows])
                os.write(theirs, b"a%10d" % batch)
                folder.remove([f"{batch * 10}"])
                os.write(theirs, b"r%10d" % batch)
                batch += 1
        os.close(theirs)
        time.sleep(draw.random() * 0.08)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        with os.fdopen(ours, "rb") as pipe:
            said = pipe.read()
        # A worker goes on where the last one's rows end, so the next batch is counted from the folder.
        added = [int(said[at + 1 : at + 11]) for at in range(0, len(said), 11) if said[at : at + 1] == b"a"]
        gone = [int(said[at + 1 : at + 11]) for at in range(0, len(said), 11) if said[at : at + 1] == b"r"]
        folder = Folder.open(path)
        assert folder.rows % 10 == 0, folder.rows
        assert folder.rows // 10 - (max(added, default=done - 1) + 1) in (0, 1), (folder.rows, added)
        cut += folder.rows // 10 - (max(added, default=done - 1) + 1)
        rows = np.arange(folder.rows)
        assert (folder.codes[:, 0] == rows * 7).all()
        assert folder.items_of(rows) == [f"item {row}" for row in rows]
        dead = set((np.flatnonzero(~folder.alive) // 10).tolist())
        assert dead >= removed | set(gone), (dead, removed, gone)
        assert len(dead) <= len(removed | set(gone)) + 1
        assert set(np.flatnonzero(~folder.alive) % 10) <= {0}
        assert folder.ids.tolist() == [f"{row}" for row in rows[folder.alive]]
        removed, done = dead, folder.rows // 10
    print(done, cut)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("rounds", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_processes_killed_while_adding_lose_nothing_that_was_acknowledged(tmp_path: Path, rounds: int) -> None:
    ended = run(KILLED, tmp_path / "x.index", rounds)
    assert ended.returncode == 0, ended.stderr
    batches = int(ended.stdout.split()[0])
    assert batches >= 10  # or nothing was tried
    folder = Folder.open(tmp_path / "x.index")
    folder.add(codes_of([1]), ["one more"])
    assert (folder.rows, folder.rows_of(["one more"]).tolist()) == (batches * 10 + 1, [batches * 10])


SEVERAL = """
    path = sys.argv[1]
    Folder.create(path, bits=64)
    workers = []
    for number in range(3):
        worker = os.fork()
        if worker == 0:
            folder = Folder.open(path, wait=100)
            for batch in range(20):
                folder.add(codes_of([number, batch]), [f"{number} {batch} a", f"{number} {batch} b"])
                if batch % 2:
                    folder.remove([f"{number} {batch} a"])
            os._exit(0)
        workers.append(worker)
    # Readers who come at any moment see whole adds, and more of them each time.
    reader, rows, opened, ended = Folder.open(path), 0, 0, []
    while len(ended) < len(workers):
        fresh = Folder.open(path)
        reader.refresh()
        assert rows <= fresh.rows <= reader.rows and fresh.rows % 2 == 0, (rows, fresh.rows, reader.rows)
        rows, opened = reader.rows, opened + 1
        number, status = os.waitpid(-1, os.WNOHANG)
        ended += [status] if number else []
    assert opened > 3, opened
    print(ended)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_writers_take_turns(tmp_path: Path) -> None:
    ended = run(SEVERAL, tmp_path / "x.index")
    assert ended.stdout.strip() == "[0, 0, 0]", ended.stderr
    folder = Folder.open(tmp_path / "x.index")
    assert (folder.rows, len(folder)) == (120, 90)
    for number in range(3):
        rows = folder.rows_of([f"{number} {batch} b" for batch in range(20)])
        assert (np.diff(rows) > 0).all()
        assert folder.codes[rows, 0].tolist() == list(range(20))
        assert folder.codes[rows - 1, 0].tolist() == [number] * 20  # both rows of an add lie together


def test_a_writer_that_waits_too_long_is_told_for_whom(tmp_path: Path) -> None:
    folder = lively(tmp_path / "x.index")
    other = Folder.open(folder.path, wait=0.05)
    with (
        locked(folder.path / LOCK, wait=1),
        pytest.raises(
            InputError,
            match=rf"cannot write .*x.index': process {os.getpid()} is writing .* not finished in 0.05 s.*Nothing was",
        ),
    ):
        other.add(codes_of([4]), ["d"], [[0]])
    assert Folder.open(folder.path).rows == 3
    other.add(codes_of([4]), ["d"], [[0]])
    assert Folder.open(folder.path).rows == 4


LIMITED = """
    path, limit = sys.argv[1], int(sys.argv[2])
    folder = Folder.open(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    done = folder.rows
    try:
        while True:
            folder.add(codes_of([folder.rows] * 3), [f"{folder.rows + step}" for step in range(3)])
            done += 3
    except InputError as error:
        print(done, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files")
@pytest.mark.parametrize("limit", [1000, 5000])
def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path, limit: int) -> None:
    Folder.create(tmp_path / "x.index", bits=64)
    ended = run(LIMITED, tmp_path / "x.index", limit)
    done, said = ended.stdout.split(" ", 1)
    assert said.startswith("cannot write"), ended.stderr
    assert "the file grew beyond the size that is allowed" in said
    folder = Folder.open(tmp_path / "x.index")
    assert folder.rows == int(done) > 0
    assert folder.ids.tolist() == [f"{row}" for row in range(int(done))]
    folder.add(codes_of([1]), ["more"])
    assert Folder.open(tmp_path / "x.index").rows == int(done) + 1


# --- files that were altered --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FILES, "log", "about.json"])
def test_any_altered_byte_is_refused(tmp_path: Path, name: str) -> None:
    path = lively(tmp_path / "x.index").path
    content = (path / name).read_bytes()
    assert content
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= 1 << place % 8
        (path / name).write_bytes(altered)
        with pytest.raises(FileFormatError, match=r"Put the whole folder .* back from a copy, or make the index"):
            Folder.open(path)
    (path / name).write_bytes(content)
    Folder.open(path)


@pytest.mark.parametrize("name", [*FILES, "log", "about.json"])
def test_any_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = lively(tmp_path / "x.index").path
    content = (path / name).read_bytes()
    for length in range(len(content)):
        (path / name).write_bytes(content[:length])
        with pytest.raises(FileFormatError, match=f"{name}' is truncated or was altered: "):
            Folder.open(path)
    (path / name).unlink()
    said = "holds no about.json" if name == "about.json" else f"{name}' is truncated or was altered: it is missing"
    with pytest.raises(FileFormatError, match=said):
        Folder.open(path)


def test_records_that_are_moved_or_left_out_are_refused(tmp_path: Path) -> None:
    path = lively(tmp_path / "x.index").path
    content = (path / "log").read_bytes()
    first, second, third = (content[at : at + RECORD.itemsize] for at in range(HEAD, len(content), RECORD.itemsize))
    for records in ([second, first, third], [first, third], [first, first, third], [first, second, third, b"x" * 105]):
        (path / "log").write_bytes(content[:HEAD] + b"".join(records))
        with pytest.raises(FileFormatError, match="log' is truncated or was altered: its record"):
            Folder.open(path)


def test_files_of_two_indexes_do_not_mix(tmp_path: Path) -> None:
    one, other = lively(tmp_path / "x.index").path, lively(tmp_path / "y.index").path
    shutil.copy(other / "about.json", one / "about.json")
    Folder.open(one)  # the same content, under another token: only a writer that has it open can tell
    narrow = Folder.create(tmp_path / "z.index", bits=32).path
    shutil.copy(narrow / "about.json", one / "about.json")
    with pytest.raises(FileFormatError, match="log' is truncated or was altered: it says that 3 rows take"):
        Folder.open(one)


def test_an_index_cut_while_it_is_open_is_not_written_on(tmp_path: Path) -> None:
    folder = lively(tmp_path / "x.index")
    os.truncate(folder.path / "log", HEAD + RECORD.itemsize)
    with pytest.raises(FileFormatError, match="records that were read from it are gone"):
        folder.add(codes_of([4]), ["d"], [[0]])
    (folder.path / "log").unlink()
    with pytest.raises(FileFormatError, match="log' is truncated or was altered: it is missing"):
        folder.refresh()


def test_the_lock_file_holds_nothing_that_counts(tmp_path: Path) -> None:
    folder = lively(tmp_path / "x.index")
    (folder.path / LOCK).write_bytes(b"\xff" * 99)
    folder.add(codes_of([4]), ["d"], [[0]])
    (folder.path / LOCK).unlink()
    Folder.open(folder.path).remove(["d"])
    assert Folder.open(folder.path).ids.tolist() == ["a", "c"]


def test_other_formats_and_models_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lively(tmp_path / "x.index").path
    with pytest.raises(FileFormatError, match="is the index of another model: its codes were made by 'abc', and this"):
        Folder.open(path, model="xyz")
    monkeypatch.setattr(about, "FORMAT_VERSION", 2)
    newer = Folder.create(tmp_path / "new.index", 64).path
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match="index of format 2; this version of isthmus reads format 1: pip install"):
        Folder.open(newer)


@pytest.mark.parametrize("content", ["[1]", "{}", "1", "", "{" * 5000, '{"sha256": 3}', "\udcff"])
def test_a_foreign_about_is_refused(tmp_path: Path, content: str) -> None:
    path = lively(tmp_path / "x.index").path
    (path / "about.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileFormatError, match=r"about.json' is truncated or was altered"):
        Folder.open(path)


def test_paths_that_are_no_index_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index: .*nowhere' does not exist"):
        Folder.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file' is a file, not a folder"):
        Folder.open(tmp_path / "file")
    with pytest.raises(FileFormatError, match=r"is not an index of isthmus: it holds no about.json"):
        Folder.open(tmp_path)
    with pytest.raises(InputError, match="there is something of that name"):
        Folder.create(tmp_path / "file", 64)
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="what has that name is no index"):
            Folder.write_from(Store(64), path)
    with pytest.raises(InputError, match="its folder does not exist"):
        Folder.create(tmp_path / "no" / "x.index", 64)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32" or os.getuid() == 0, reason="needs a user who may not do everything")
def test_a_folder_that_may_only_be_read_can_be_read(tmp_path: Path) -> None:
    folder = lively(tmp_path / "x.index")
    for file in folder.path.iterdir():
        file.chmod(0o400)
    folder.path.chmod(0o500)
    try:
        again = Folder.open(folder.path)
        with pytest.raises(InputError, match="you may not write there"):
            again.add(codes_of([4]), ["d"], [[0]])
    finally:
        folder.path.chmod(0o700)
    assert seen(again) == seen(folder)


# --- a whole index at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "whole numbers", "strings"])
def test_a_store_is_written_without_its_removed_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(folder_file, "CHUNK", 7)
    store = Store(64, floats=1)
    if kind != "none":
        ids = [f"{row}" if kind == "strings" else row for row in range(30)]
        store.add(codes_of(range(30)), ids, np.arange(30).reshape(-1, 1), [None] * 20 + [f"{row}" for row in range(10)])
        store.remove(ids[::3])
    folder = Folder.write_from(store, tmp_path / "x.index", "abc")
    assert (folder.rows, len(folder), folder.model) == (len(store), len(store), "abc")
    assert folder.ids.tolist() == store.ids.tolist()
    alive = np.flatnonzero(store.alive)
    np.testing.assert_array_equal(folder.codes, store.codes[alive])
    np.testing.assert_array_equal(folder.floats_of(np.arange(len(alive))), store.floats_of(alive))
    assert folder.items_of(np.arange(len(alive))) == store.items_of(alive)
    assert [file.name for file in tmp_path.iterdir()] == ["x.index"]
    # And from a folder to another, which makes it compact.
    folder.add(codes_of([100]), ["new"] if kind == "strings" else [100], [[5]])
    folder.remove(folder.ids[:1])
    compact = Folder.write_from(folder, tmp_path / "y.index")
    assert compact.rows == len(folder) == folder.rows - 1
    assert compact.ids.tolist() == folder.ids.tolist()


def test_an_index_is_replaced_whole_and_those_who_have_it_open_are_told(tmp_path: Path) -> None:
    old = lively(tmp_path / "x.index")
    shown = seen(old)
    store = Store(64)
    store.add(codes_of([7]))
    new = Folder.write_from(store, tmp_path / "x.index")
    assert seen(old) == shown
    for act in (old.refresh, lambda: old.remove(["a"]), lambda: old.add(codes_of([4]), ["d"], [[0]])):
        with pytest.raises(InputError, match="was replaced by another index since it was opened: open it again"):
            act()
    assert seen(Folder.open(tmp_path / "x.index")) == seen(new)
    assert [file.name for file in tmp_path.iterdir()] == ["x.index"]


def test_an_index_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = lively(tmp_path / "x.index")
    shown = seen(old)
    store = Store(64)
    store.add(codes_of(range(3)))
    for number in range(1, 6):
        with pytest.raises(InputError, match="the disk is full"):
            failing(lambda: Folder.write_from(store, old.path), monkeypatch, number)
    rename = os.rename

    def refused(source: Path, target: Path) -> None:
        if Path(target) == old.path and not source.name.endswith(".old"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(target))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(InputError, match="you may not write there"):
        Folder.write_from(store, old.path)
    monkeypatch.undo()
    with (
        locked(old.path / LOCK, wait=1),
        pytest.raises(InputError, match="is writing to it, and has not finished in 0 s"),
    ):
        Folder.write_from(store, old.path, wait=0)
    assert seen(old) == seen(Folder.open(old.path)) == shown
    assert [file.name for file in tmp_path.iterdir()] == ["x.index"]
    old.remove(["a"])


def test_a_damaged_index_can_be_replaced(tmp_path: Path) -> None:
    path = lively(tmp_path / "x.index").path
    (path / "log").write_bytes(b"")
    (path / "about.json").write_bytes(b"{}")
    assert Folder.write_from(Store(64), path).rows == 0


def test_a_link_to_an_index_stays_a_link(tmp_path: Path) -> None:
    lively(tmp_path / "x.index")
    (tmp_path / "link").symlink_to(tmp_path / "x.index")
    Folder.open(tmp_path / "link").remove(["a"])
    Folder.write_from(Store(64), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Folder.open(tmp_path / "x.index").rows == 0


def test_a_head_caught_half_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lively(tmp_path / "x.index")
    path = folder.path / "log"
    content = path.read_bytes()
    path.write_bytes(content[:10] + b"\xff" + content[11:])
    monkeypatch.setattr(log.time, "sleep", lambda _: path.write_bytes(content))
    assert seen(Folder.open(folder.path)) == seen(folder)


def test_texts_are_read_where_they_lie(tmp_path: Path) -> None:
    # Of a large index only the rows asked for are decoded.
    folder = lively(tmp_path / "x.index")
    texts = data_files.DataFiles(folder.path, 64, 1)
    texts.refresh()
    assert texts.items_of(np.array([2, 2, 0])) == ["third", "third", "first"]
    assert texts.ids_of(np.array([2, 0])).tolist() == ["c", "a"]
