"""What can go wrong, as types: catch `InputError` for a bad argument, `FileFormatError` for a bad file."""

from __future__ import annotations


class InputError(ValueError):
    """An argument or the data cannot be used; the message says which, why, and what to try."""


class FileFormatError(ValueError):
    """A file is truncated, altered, foreign, or newer than this version can read."""


class TrainingError(RuntimeError):
    """Training cannot go on (a cost that is not a number, a checkpoint of other data)."""


class ForeignCheckpointError(TrainingError):
    """The checkpoint to go on from was made with other data or settings."""


class MissingExtraError(ImportError):
    """An optional package is needed; the message holds the line that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}. Install it with: pip install 'isthmus[{extra}]'")


class IsthmusWarning(UserWarning):
    """Base of the library's own warnings."""


class DataWarning(IsthmusWarning):
    """The data can be used, but probably holds something that its owner does not know of."""


class CollapseWarning(IsthmusWarning):
    """Units of the code carry nothing."""
