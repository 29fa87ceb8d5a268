"""Files are written beside and renamed, so that none is ever half there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isthmus.errors import InputError

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file grew beyond the size that is allowed",
    errno.EROFS: "the file system can only be read",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "that path is a folder",
    errno.ENAMETOOLONG: "the name is too long",
}

ADVICE = {
    errno.ENOSPC: "Free some space or write elsewhere.",
    errno.EDQUOT: "Free some space or write elsewhere.",
    errno.EFBIG: "Write elsewhere.",
    errno.ENOENT: "Make the folder first or choose another.",
    errno.ENOTDIR: "Choose another path.",
    errno.EISDIR: "Add a file name to it.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def cannot_write(path: Path, error: OSError) -> InputError:
    """The error for a file that the system would not let us write."""
    reason = REASONS.get(error.errno or 0, error.strerror or str(error))
    advice = ADVICE.get(error.errno or 0, "Choose another path.")
    return InputError(f"cannot write {str(path)!r}: {reason}. {advice} Nothing was written.")


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes that name, on failure it is removed.

    Readers therefore see the old file or the new one, never a part, even if the process is killed.

    Parameters
    ----------
    path : the file to write; its folder must exist.

    Yields
    ------
    Path
        A path in the same folder, ending in the same extension, that does not exist yet.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full. An ``OSError`` of the block
        about another file passes through as it is.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with written_whole(folder / "note.txt") as beside:
    ...     _ = beside.write_text("whole")
    >>> (folder / "note.txt").read_text(), len(list(folder.iterdir()))
    ('whole', 1)
    """
    final = Path(path)
    # Through a link, so that it keeps pointing at the file written.
    target = Path(os.path.realpath(final))
    if os.path.isdir(target):
        raise cannot_write(final, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if os.path.exists(target) and not os.path.isfile(target):
        # The rename at the end would put a plain file in the place of a device such as /dev/null.
        raise InputError(f"cannot write {str(final)!r}: that path is a device, not a file. Choose another path.")
    beside = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(6)}{target.suffix}")
    try:
        # Told now rather than after the work: creating a file shows whether one may be created.
        with open(beside, "xb"):
            pass
        beside.unlink()
        _check_name(target)
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(beside, target)
        sync_folder(target.parent)
    except OSError as error:
        if not _is_about(error, beside, target):
            raise
        raise cannot_write(final, error) from error
    finally:
        if os.path.lexists(beside):
            beside.unlink()


def _check_name(target: Path) -> None:
    """Raise an ``OSError`` now where the final name could not be taken at the end."""
    with suppress(FileNotFoundError):
        os.lstat(target)


def _is_about(error: OSError, beside: Path, target: Path) -> bool:
    """Whether the error came from the file being written: it names it, or (a failed write) names none."""
    if error.filename is None:
        return error.errno is None or error.errno in REASONS  # NumPy's short writes carry no number
    return Path(os.fsdecode(error.filename)) in (beside, target, target.parent)


def sync_folder(folder: Path) -> None:
    """Put the new name on the disk too, where the system knows how to."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            # Some network file systems cannot sync a folder; the file itself is already safe.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(handle)
