"""Documents from a folder, an archive or a file: their texts, and the titles and snippets that people know them by."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from isthmus.checks import counted, listed
from isthmus.data.delimited import chunks
from isthmus.data.document_tables import TABLES, ending_of, table_cells
from isthmus.data.messages import decoded, is_binary, message
from isthmus.data.paths import nearby
from isthmus.errors import DataWarning, InputError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
"""By the first bytes of a packed file, what opens it."""

LARGEST = 64 * 2**20
"""Bytes of one document: no text that people read is larger, and a disk image in a folder must not fill the memory."""

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)
"""What reading a damaged archive raises."""


@dataclass(frozen=True, repr=False)
class Documents:
    """Texts, and what is shown of them.

    Attributes
    ----------
    texts : what words are learnt from; mails without their headers, but with their subject.
    titles : the subject of a mail, the title column of a table, otherwise the first line.
    snippets : the first 160 characters after the title.
    ids : paths below the folder, names in the archive, the table's column of ids, or ``file:number`` of line or row.
    said : sentences about what was found and is not the ordinary.
    """

    texts: tuple[str, ...]
    titles: tuple[str, ...]
    snippets: tuple[str, ...]
    ids: tuple[str, ...]
    said: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Documents({len(self):,}: {listed(self.ids, 3)})"


class Piece(NamedTuple):
    """One document as it was found: its text or bytes, or the reason why it cannot be used."""

    name: str
    content: str | bytes = ""
    title: str = ""
    reason: str = ""


def documents(
    path: str | os.PathLike[str],
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    skip: bool = False,
    without: tuple[str, ...] = (),
) -> Documents:
    """Read documents; none that is empty is ever passed on.

    Parameters
    ----------
    path : a folder of text files, whatever they are called (also in the folders below; hidden ones are passed over);
        a .tar (also .gz, .bz2, .xz) or .zip archive of such, which is not unpacked; a .txt with a document a line; a
        .csv, .tsv, .jsonl (all also .gz) or .parquet with a column of text; any other text file is one document.
    text_column : of a table; None = its only column of text, or the one called text, body, content or message.
    id_column : of a table; None = the column called id, if its texts or whole numbers tell all rows apart; otherwise
        the table's name and the row's number, counted from 1: ``reviews.csv:3``.
    skip : documents that cannot be used are left out with a warning instead of refused.
    without : endings such as ``.png``, in lower case: such files of a folder are passed over.

    Returns
    -------
    Documents
        In the order of their names; of tables and lines in that of the file.

    Raises
    ------
    InputError
        Nothing is there; a document is empty or no text (its name is told); the file is damaged; the column of text is
        not the only one, or ids come twice.

    Warns
    -----
    DataWarning : documents were left out (``skip=True``).

    Notes
    -----
    A file that begins with a mail's headers (RFC 822) loses them but for the subject; the body is taken as it stands:
    quoted replies stay, and parts in base64 are not decoded. Files are UTF-8, else UTF-16 with its mark or
    Windows-1252; no wrong byte is refused.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "moon").write_text("From: a@b.c\\nSubject: The moon\\n\\nIt is far.")
    >>> _ = (folder / "sun.txt").write_text("The sun\\nIt is hot.")
    >>> found = documents(folder)
    >>> found.titles, found.snippets, found.ids
    (('The moon', 'The sun'), ('It is far.', 'It is hot.'), ('moon', 'sun.txt'))
    """
    where = Path(path).expanduser()
    if not where.exists():
        raise InputError(f"there is no file or folder {str(where)!r}.{nearby(where)}")
    table = where.is_file() and ending_of(where) in TABLES
    for argument, column in (("text_column", text_column), ("id_column", id_column)):
        if column is not None and not table:
            raise InputError(f"{argument}={column!r} names a column of a table, but {str(where)!r} is none")
    said: tuple[str, ...] = ()
    if where.is_dir():
        pieces: Iterable[Piece] = in_folder(where, without)
    elif table:
        cells = table_cells(where, text_column, id_column)
        pieces = (Piece(*cell) for cell in zip(cells.ids, cells.texts, cells.titles, strict=True))
        said = cells.said
    elif where.name.lower().endswith((*TARS, ".zip")):
        pieces = in_archive(where)
    else:
        pieces = in_file(where)
    return understood(pieces, str(where), said, skip)


def understood(pieces: Iterable[Piece], where: str, said: tuple[str, ...], skip: bool) -> Documents:
    """Every piece as a document; those that are none refused or left out."""
    kept, refused = [], []
    counts: Counter[str] = Counter()
    for piece in pieces:
        name, content, title, reason = piece
        if isinstance(content, bytes) and not reason and is_binary(content):
            reason = "it is no text but binary"
        elif isinstance(content, bytes) and not reason:
            content, encoding = decoded(content)
            counts["not UTF-8"] += encoding in ("cp1252", "latin-1")
        made = message("" if isinstance(content, bytes) else content, title)
        if reason or not made.text.strip():
            refused.append(f"{name!r} ({reason or 'it is empty'})")
            continue
        counts["mail"] += made.mail
        kept.append((made.text, made.title, made.snippet, name))
    many = f"{where!r}: {counted(len(refused), 'document')} of {len(refused) + len(kept):,}"
    named = ", ".join(refused[:3]) + (f" and {len(refused) - 3:,} more" if len(refused) > 3 else "")
    if refused and not (skip and kept):
        raise InputError(f"{many} cannot be used: {named}." + (" skip=True leaves such out." if kept else ""))
    if not kept:
        raise InputError(f"{where!r} holds no documents: no file that is not hidden, or no line that is not blank")
    if refused:
        warnings.warn(f"{many} left out: {named}", DataWarning, stacklevel=3)
    if counts["mail"]:
        said += (f"{counted(counts['mail'], 'document')} with mail headers, of which only the subject counts",)
    if counts["not UTF-8"]:
        said += (f"{counted(counts['not UTF-8'], 'document')} not UTF-8 and read as Windows-1252",)
    texts, titles, snippets, ids = zip(*kept, strict=True)
    return Documents(texts, titles, snippets, ids, said)


# ---------------------------------------------------------------------- where they lie


def in_folder(folder: Path, without: tuple[str, ...]) -> Iterator[Piece]:
    """The files below a folder, by name, but those with some endings."""
    found, lost = files_below(folder)
    for file in found:
        name = file.relative_to(folder).as_posix()
        if name.lower().endswith(without):
            continue
        try:
            size = file.stat().st_size
            yield Piece(name, reason=too_large(size)) if size > LARGEST else Piece(name, file.read_bytes())
        except OSError as error:
            yield Piece(name, reason=f"it cannot be read: {error.strerror}")
    for one in lost:
        yield Piece(Path(one.filename).relative_to(folder).as_posix(), reason=f"it cannot be read: {one.strerror}")


def files_below(folder: Path) -> tuple[list[Path], list[OSError]]:
    """The files below a folder that are not hidden, by name, and why some folders cannot be read.

    Links to folders are not followed, for they may lead in a circle.
    """
    found: list[Path] = []
    lost: list[OSError] = []
    for here, below, names in os.walk(folder, onerror=lost.append):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(filter(Path.is_file, found), key=lambda file: file.relative_to(folder).as_posix()), lost


def in_archive(archive: Path) -> list[Piece]:
    """The files in an archive, by name; of those that it holds twice the later, as unpacking would leave it."""
    members = in_zip(archive) if archive.suffix.lower() == ".zip" else in_tar(archive)
    found = {}
    try:
        for piece in members:
            name = piece.name.removeprefix("./")
            parts = PurePosixPath(name).parts
            # macOS keeps its own notes in such files.
            if not any(part.startswith(".") and part != ".." for part in parts) and parts[:1] != ("__MACOSX",):
                found[name] = piece._replace(name=name)
    except DAMAGED as error:
        raise InputError(f"{str(archive)!r} cannot be read: {error}. Is it cut off or damaged?") from error
    return [found[name] for name in sorted(found)]


def in_tar(archive: Path) -> Iterator[Piece]:
    """The files of a tar, unpacked on the way; read once from beginning to end, as going back would begin anew."""
    with open(archive, "rb") as file:
        start = file.read(6)
    opener = next((one for mark, one in UNPACKERS.items() if start.startswith(mark)), open)
    with opener(archive, "rb") as unpacked:
        watched: Any = Watched(unpacked)
        with tarfile.open(fileobj=watched, mode="r|") as opened:
            for member in opened:
                if not member.isfile():
                    continue
                inside = opened.extractfile(member) if member.size <= LARGEST else None
                reason = too_large(member.size) if inside is None else ""
                yield Piece(member.name, b"" if inside is None else inside.read(), reason=reason)
            watched.check_end(opened.offset)


class Watched:
    """A stream that tells whether a tar was read to its end: tarfile takes damage between two files for the end."""

    def __init__(self, file: Any) -> None:
        self.file, self.done, self.last = file, 0, b""

    def read(self, size: int) -> bytes:
        piece: bytes = self.file.read(size)
        self.done += len(piece)
        self.last = (self.last + piece)[-4 * tarfile.RECORDSIZE :]
        return piece

    def check_end(self, offset: int) -> None:
        """Refuse an archive where anything but an empty block lies at ``offset``, to which it was read."""
        behind = self.done - offset
        block = self.last[-behind:][: tarfile.BLOCKSIZE] if behind > 0 else b""
        block += self.read(tarfile.BLOCKSIZE - len(block))
        if block != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end is missing")
        while self.read(2**20):  # packed files are followed by a checksum
            pass


def in_zip(archive: Path) -> Iterator[Piece]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.is_dir():
                continue
            reason = "it is locked by a password" if member.flag_bits & 1 else ""
            reason = too_large(member.file_size) if member.file_size > LARGEST else reason
            yield Piece(member.filename, b"" if reason else opened.read(member), reason=reason)


def in_file(file: Path) -> Iterator[Piece]:
    """The lines of a .txt that are not blank, or a file that is one document."""
    if ending_of(file) != ".txt" and file.stat().st_size > LARGEST:
        yield Piece(file.name, reason=too_large(file.stat().st_size))
        return
    raw = b"".join(chunks(file))
    if ending_of(file) != ".txt" or is_binary(raw):
        yield Piece(file.name, raw)
        return
    for number, line in enumerate(decoded(raw)[0].split("\n"), 1):
        if line.strip():
            yield Piece(f"{file.name}:{number}", line)


def too_large(size: int) -> str:
    return f"it has {size / 2**20:,.0f} MiB, and a document at most {LARGEST // 2**20}"
