"""An index on disk: a folder `NAME.index/` that survives whatever happens to those who write to it.

It holds `about.json` (see `isthmus.index.about`), data files that only grow (`isthmus.index.data_files`), a
`log` that says how much of them counts (`isthmus.index.log`), and a `lock` (`isthmus.index.lock`).

A writer takes the lock, reads what others have appended, appends to the data files, puts them on the disk,
and only then appends the record that makes them count. Whatever goes wrong before that is as if it had not
been begun; when `add` or `remove` returns, it is on the disk.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from isthmus.errors import FileFormatError, InputError
from isthmus.files import cannot_write, sync_folder
from isthmus.index import about as about_file
from isthmus.index.about import About
from isthmus.index.collection import Collection
from isthmus.index.data_files import DataFiles
from isthmus.index.incoming import STRINGS, WHOLE, Incoming, checked_items
from isthmus.index.lock import locked
from isthmus.index.log import damaged, write_at
from isthmus.index.store import Store

LOCK = "lock"
WAIT = 10.0
"""Seconds that a writer waits for another, unless told otherwise."""
CHUNK = 1 << 18
"""Rows that are copied at once when a whole index is written."""


class Folder(Collection):
    """Codes with their ids in a folder, memory-mapped; made by `create`, `open` or `write_from`.

    It shows the rows as they were when it was opened, last wrote or was refreshed, whatever other
    processes add meanwhile. Any number may read; writers take turns.

    Attributes
    ----------
    path : the folder.
    model : digest of the model that made the codes; "" where none was named.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letters.index"
    >>> folder = Folder.create(path, bits=8)
    >>> folder.add(np.array([[1], [2]], dtype=np.uint16), ids=["a", "b"], items=["alpha", None]).tolist()
    ['a', 'b']
    >>> folder.remove(["b"])
    >>> again = Folder.open(path)
    >>> again.ids.tolist(), again.codes.tolist(), again.items_of(np.array([0, 1]))
    (['a'], [[1], [2]], ['alpha', None])
    """

    def __init__(self, path: Path, about: About, wait: float) -> None:
        super().__init__(about.bits, about.floats)
        self.path, self.model = path, about.model
        self._about, self._wait = about, wait
        self._files = DataFiles(path, about.bits, about.floats)
        self._marked = 0

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], bits: int, floats: int = 0, model: str = "", wait: float = WAIT
    ) -> Folder:
        """Make an empty index.

        Parameters
        ----------
        path : the folder, which must not exist; the one that holds it must.
        bits : of a code, 8 to 1,024.
        floats : numbers kept beside each code in half precision; 0 for none.
        model : digest of the model that makes the codes, checked by `open`.
        wait : seconds that a writer waits while another writes.

        Raises
        ------
        InputError : there is something of that name, or it cannot be written.
        """
        if os.path.lexists(path):
            raise InputError(f"cannot make the index {str(path)!r}: there is something of that name. Choose another")
        return cls.write_from(Store(bits, floats), path, model, wait)

    @classmethod
    def open(cls, path: str | os.PathLike[str], model: str | None = None, wait: float = WAIT) -> Folder:
        """Open an index, after checking every byte of it.

        Parameters
        ----------
        path : the folder.
        model : digest of the model that will make codes of queries; None where it does not matter.
        wait : seconds that a writer waits while another writes.

        Raises
        ------
        InputError : there is no such folder, or it cannot be read.
        FileFormatError : it is no index, was truncated or altered, is of another format, or of another model.
        """
        folder = Path(os.path.realpath(path))
        if not os.path.isdir(folder):
            what = "is a file, not a folder" if os.path.exists(folder) else "does not exist"
            raise InputError(f"index: {str(path)!r} {what}")
        try:
            about = about_file.read(folder)
        except OSError as error:
            raise cannot_read(folder, error) from error
        if model is not None and about.model != model:
            raise FileFormatError(
                f"{str(path)!r} is the index of another model: its codes were made by {about.model[:12]!r}, and this "
                f"is {model[:12]!r}. Use the model that it was saved with, or make the index anew"
            )
        index = cls(folder, about, wait)
        index.refresh()
        return index

    @classmethod
    def write_from(cls, store: Collection, path: str | os.PathLike[str], model: str = "", wait: float = WAIT) -> Folder:
        """Write another index as a folder, without its removed rows: whole, or not at all.

        Parameters
        ----------
        store : in memory or on disk. Its rows are numbered anew, in the same order.
        path : the folder. An index of that name is replaced at the very end: whoever has it open for reading
            keeps it, and is told so when writing to it or refreshing it. (Were the machine to stop between the
            two renames, the new index would lie beside the path, as would the old one.)
        model : digest of the model that made the codes.
        wait : seconds that a writer waits while another writes.

        Returns
        -------
        Folder
            The index, open.

        Raises
        ------
        InputError : there is something else of that name, or it cannot be written.
        """
        target = Path(os.path.realpath(path))
        if os.path.lexists(target) and not os.path.exists(target / about_file.NAME):
            raise InputError(f"cannot write the index {str(path)!r}: what has that name is no index. Choose another")
        beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}")
        try:
            built = cls(beside, About(store.bits, store.floats, model), wait)
            built._begin()
            alive = np.flatnonzero(store.alive)
            for start in range(0, len(alive), CHUNK):
                rows = alive[start : start + CHUNK]
                half = store.floats_of(rows).astype(np.float16)
                items = checked_items(store.items_of(rows), len(rows))
                built._files.append(Incoming(store.codes[rows], store.ids_of(rows), half, items))
            put_in_place(beside, target, wait)
        except OSError as error:
            raise cannot_write(Path(path), error) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return cls.open(path, model, wait)

    @property
    def codes(self) -> np.ndarray:
        return self._files.codes

    @property
    def kind(self) -> str | None:
        if not self.rows:
            return None
        return STRINGS if self._files.entry.strings else WHOLE

    def add(
        self,
        codes: np.ndarray,
        ids: Iterable[int] | Iterable[str] | None = None,
        floats: np.ndarray | None = None,
        items: Iterable[str | None] | None = None,
    ) -> np.ndarray:
        with self._writing():
            new = self._incoming(codes, ids, floats, items)
            if len(new):
                self._files.append(new)
        return new.ids

    def remove(self, ids: Iterable[int] | Iterable[str]) -> None:
        with self._writing():
            rows = self._rows_to_remove(ids)
            if len(rows):
                self._files.remove(rows)

    def ids_of(self, rows: np.ndarray) -> np.ndarray:
        return self._files.ids_of(rows)

    def floats_of(self, rows: np.ndarray) -> np.ndarray:
        return self._files.floats_of(rows)

    def items_of(self, rows: np.ndarray) -> list[str | None]:
        return self._files.items_of(rows)

    def refresh(self) -> None:
        """See what other processes have added and removed.

        Raises
        ------
        FileFormatError : the folder was truncated or altered.
        InputError : another index was written in its place, or it cannot be read.
        """
        try:
            if about_file.read(self.path) != self._about:
                raise InputError(f"{str(self.path)!r} was replaced by another index since it was opened: open it again")
            self._files.refresh()
        except FileNotFoundError as error:
            raise damaged(Path(error.filename), "it is missing") from None
        except OSError as error:
            raise cannot_read(self.path, error) from error
        self._mark()

    def _mark(self) -> None:
        """Mark what is new in the files as alive, or as removed."""
        self._alive.extend(np.ones(self._files.entry.rows - self.rows, dtype=bool))
        self._alive.put(self._files.removed[self._marked :], False)
        self._marked = len(self._files.removed)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer, having seen all that others wrote."""
        try:
            with locked(self.path / LOCK, self._wait):
                self.refresh()
                yield
                self._mark()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _begin(self) -> None:
        """Make the folder and its files, all empty."""
        self.path.mkdir()
        self._files.begin()
        for name in (LOCK, about_file.NAME):
            (self.path / name).touch()
        write_at(self.path / about_file.NAME, 0, self._about.packed())
        sync_folder(self.path)


def put_in_place(beside: Path, target: Path, wait: float) -> None:
    """Give the folder ``beside`` the name ``target``, in the place of the index that has it, if one has."""
    if not os.path.lexists(target):
        os.rename(beside, target)
        sync_folder(target.parent)
        return
    old = beside.with_name(f"{beside.name}.old")
    # So that no writer is half way; one that waits for this lock will see that the index is another.
    with locked(target / LOCK, wait):
        os.rename(target, old)
        try:
            os.rename(beside, target)
        except OSError:
            os.rename(old, target)
            raise
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def cannot_read(path: Path, error: OSError) -> InputError:
    return InputError(f"index: cannot read {str(error.filename or path)!r}: {error.strerror or error}")
