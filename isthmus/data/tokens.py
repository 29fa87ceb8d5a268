"""Text as sequences of tokens: characters, or words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from isthmus.checks import counted, is_whole
from isthmus.data.form import UNKNOWN, Form
from isthmus.data.sequences import SequenceSource, check_alike, laid_out
from isthmus.errors import InputError

LEVELS = ("character", "word")


class TextSource(SequenceSource):
    """Texts as rows of token numbers, of different lengths.

    Attributes
    ----------
    vocabulary : the token of every number; number 0 stands for all that are not in it.
    classes : how many there are: what `Categorical` is told.
    level : ``"character"`` or ``"word"``.
    """

    def __init__(self, rows: Sequence[np.ndarray], vocabulary: tuple[str, ...], level: str, argument: str) -> None:
        super().__init__(*laid_out(rows), argument=argument)
        self.vocabulary, self.level = vocabulary, level

    @property
    def classes(self) -> int:
        return len(self.vocabulary)

    @property
    def form(self) -> Form:
        return replace(super().form, words=self.vocabulary, level=self.level)

    def wrapped(self, values: np.ndarray) -> list[str]:
        """The texts that token numbers stand for."""
        return self.form.texts(values, self.lengths)


def text(
    X: Iterable[str],
    *,
    level: str = "character",
    vocabulary: Sequence[str] | int | None = None,
    longest: int | None = None,
    argument: str = "X",
) -> TextSource:
    """Texts as rows of token numbers, for ``loss=Categorical(classes, ordered=False)``.

    Parameters
    ----------
    X : strings, none of them empty.
    level : a token is a ``"character"`` or a ``"word"`` (what stands between spaces).
    vocabulary : the tokens that have a number, 1, 2, ...; or how many to keep of those in ``X``, the most frequent
        first; None = all. Every other token is number 0, written as "�".
    longest : texts are cut off after so many tokens; None = never.

    Returns
    -------
    TextSource
        With ``.vocabulary`` and ``.classes``. A model fitted to it keeps the vocabulary, takes lists of strings, and
        `Autoencoder.reconstruct` gives strings back.

    Raises
    ------
    InputError : what is no string, or an empty one (its number is told).

    Examples
    --------
    >>> source = text(["abba", "ab"])
    >>> source.vocabulary, source.classes
    (('�', 'a', 'b'), 3)
    >>> source.take(np.array([0])), source.wrapped(source.read(0, 2))
    (array([[1, 2, 2, 1]]), ['abba', 'ab'])
    """
    if level not in LEVELS:
        raise InputError(f"text: level must be 'character' or 'word'; got {level!r}")
    if longest is not None and (not is_whole(longest) or longest < 1):
        raise InputError(f"text: longest must be a whole number of tokens >= 1; got {longest!r}")
    if isinstance(X, (str, bytes)) or not isinstance(X, Iterable):
        raise InputError(f"{argument} must be a list of strings; got {type(X).__name__}. Of one text: [text]")
    tokens = []
    for i, one in enumerate(X):
        if not isinstance(one, str):
            raise InputError(f"{argument}: text number {i} is no string but {type(one).__name__}")
        pieces = list(one) if level == "character" else one.split()
        tokens.append(pieces[:longest])
    empty = [i for i, pieces in enumerate(tokens) if not pieces]
    if empty:
        said = ", ".join(map(str, empty[:8])) + (" ..." if len(empty) > 8 else "")
        raise InputError(
            f"{argument}: {counted(len(empty), 'text')} without any {level} (number {said}); leave such out"
        )
    known = known_tokens(tokens, vocabulary)
    number = {token: i for i, token in enumerate(known)}
    rows = [np.array([number.get(token, 0) for token in pieces], dtype=np.int64) for pieces in tokens]
    check_alike(rows, argument)
    return TextSource(rows, known, level, argument)


def known_tokens(tokens: list[list[str]], vocabulary: Any) -> tuple[str, ...]:
    """The vocabulary, with the unknown token first.

    >>> known_tokens([["b", "a", "b"]], 1)
    ('�', 'b')
    """
    if vocabulary is None or is_whole(vocabulary):
        if vocabulary is not None and vocabulary < 1:
            raise InputError(f"text: vocabulary must keep at least 1 token; got {vocabulary!r}")
        counts = Counter(chain.from_iterable(tokens))
        counts.pop(UNKNOWN, None)
        kept = sorted(counts, key=lambda token: (-counts[token], token))[:vocabulary]
        return (UNKNOWN, *(sorted(kept) if vocabulary is None else kept))
    known = tuple(vocabulary)
    if isinstance(vocabulary, str) or not known or not all(isinstance(token, str) and token for token in known):
        raise InputError(f"text: vocabulary must be tokens, or how many to keep; got {vocabulary!r}")
    known = known if known[0] == UNKNOWN else (UNKNOWN, *known)
    if len(set(known)) < len(known):
        raise InputError("text: vocabulary holds a token twice")
    return known
