"""Texts as rows of word weights: TF-IDF with the words people search by weighed up, learnt once and kept as data."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from isthmus.checks import check_whole, counted, is_real, listed
from isthmus.data.packing import pack_text, unpack_text
from isthmus.errors import DataWarning, FileFormatError, InputError

SIGNS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Vowel signs and points of Hebrew, Arabic, and the scripts of India and South East Asia, which ``\\w`` passes over."""

WORD = rf"(?<![\w{SIGNS}])(?=[\d_]*[^\W\d_])[\w{SIGNS}]{{2,}}"
"""Two signs or more, of which one at least is a letter: ``x11`` and ``486dx``, but not ``1993``."""

FEW = 100
"""Of fewer texts every word is kept: what is rare or common among them says nothing yet."""

FLOOR = 0.1
"""Added to a word's burstiness, in nats: in short texts no word comes twice, and all would weigh nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class Words:
    """Words and their weights: called with texts, it gives rows of length 1 that are alike where texts are.

    Word j of a text in which it comes c times has ``(1 + log c) * weights[j]``; rows are then scaled to length 1.
    Of n texts of which d hold the word, t times together, with ``idf = log((n + 1) / d)``::

        weight = idf * sqrt(0.1 + max(0, log(n / d) + log(1 - exp(-t / n))))

    The root holds the residual IDF: how much rarer the texts with the word are than they would be if its t places were
    thrown anywhere. Words that a text is about come in bursts; words of grammar do not, so that no list of them is
    needed, in no language.

    Parameters
    ----------
    vocabulary : the words, sorted, in lower case.
    weights : (words,) float32, above 0.
    texts : how many they were learnt from.

    Notes
    -----
    Words are what stands between spaces and signs; languages that are written without spaces (Chinese, Japanese, Thai)
    are not cut into words.

    References
    ----------
    Salton, Buckley (1988), "Term-weighting approaches in automatic text retrieval". Church, Gale (1995), "Inverse
    document frequency (IDF): a measure of deviations from Poisson".

    Examples
    --------
    >>> words = Words.fit(["The moon is far", "The sun is hot", "a hot, hot day"])
    >>> words.vocabulary
    ('day', 'far', 'hot', 'is', 'moon', 'sun', 'the')
    >>> rows = words(["the MOON", "hot sun today"])
    >>> rows.shape, rows.dtype, (rows @ rows.T).toarray().round(3).tolist()
    ((2, 7), dtype('float32'), [[1.0, 0.0], [0.0, 1.0]])
    """

    vocabulary: tuple[str, ...]
    weights: np.ndarray
    texts: int

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        *,
        most: int = 20_000,
        rarest: int = 2,
        commonest: float = 0.5,
        names: Sequence[str] | None = None,
        argument: str = "X",
    ) -> Words:
        """Learn the words of texts.

        Parameters
        ----------
        texts : strings, none of them blank.
        most : words to keep at most, those in the most texts.
        rarest : words in fewer texts are left out.
        commonest : words in more than this share of the texts are left out, 0 to 1. Of fewer than 100 texts all words
            are kept, rare and common ones; and so they are if none would be left.
        names : what errors call the texts; None = their numbers.
        argument : what errors call them all.

        Raises
        ------
        InputError : what is no string, a blank text (its name is told), no word at all, a knob out of its range.
        """
        return cls._learnt(texts, most, rarest, commonest, names, argument)[0]

    @classmethod
    def fit_rows(
        cls,
        texts: Sequence[str],
        *,
        most: int = 20_000,
        rarest: int = 2,
        commonest: float = 0.5,
        names: Sequence[str] | None = None,
        argument: str = "X",
    ) -> tuple[Words, scipy.sparse.csr_array]:
        """`fit`, and what calling the words with the same texts gives; in half the time, as these are read once.

        Examples
        --------
        >>> words, rows = Words.fit_rows(["a far moon", "a hot sun"])
        >>> (rows != words(["a far moon", "a hot sun"])).nnz
        0
        """
        words, counts = cls._learnt(texts, most, rarest, commonest, names, argument)
        return words, words._weighed(counts, names, argument)

    @classmethod
    def _learnt(
        cls, texts: Sequence[str], most: int, rarest: int, commonest: float, names: Sequence[str] | None, argument: str
    ) -> tuple[Words, Any]:
        """The words of texts, and how often each text holds them."""
        check_whole("Words", most=most, rarest=rarest)
        if not is_real(commonest) or not 0 < commonest <= 1:
            raise InputError(f"Words: commonest must be a share of the texts, above 0 and at most 1; got {commonest!r}")
        check_texts(texts, names, argument)
        try:
            counter = counter_of(None)
            counts = counter.fit_transform(texts)
        except ValueError as error:  # what scikit-learn raises for an empty vocabulary, and for nothing else here
            raise InputError(f"{argument} holds no word of two letters or more: nothing can be learnt") from error
        held = np.bincount(counts.indices, minlength=counts.shape[1])
        often = np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1])
        kept = np.flatnonzero((held >= rarest) & (held <= commonest * len(texts)))
        if len(texts) < FEW or not len(kept):
            kept = np.arange(len(held))
        # Of words in equally many texts the first of the alphabet, so that the same texts give the same words.
        kept = np.sort(kept[np.argsort(-held[kept], kind="stable")[:most]])
        vocabulary = tuple(counter.get_feature_names_out()[kept].tolist())
        return cls(vocabulary, weights_of(held[kept], often[kept], len(texts)), len(texts)), counts[:, kept]

    def __call__(
        self, texts: Sequence[str], *, names: Sequence[str] | None = None, argument: str = "X"
    ) -> scipy.sparse.csr_array:
        """(n, words) float32: the rows of texts, each of length 1; of length 0 where no word is known.

        Raises
        ------
        InputError : what is no string, a blank text (its name is told), or not one text with a word that is known.

        Warns
        -----
        DataWarning : some of several texts hold no word that is known: it is told which.
        """
        check_texts(texts, names, argument)
        return self._weighed(self.counter.transform(texts), names, argument)

    def _weighed(self, counts: Any, names: Sequence[str] | None, argument: str) -> scipy.sparse.csr_array:
        """Counts (n, words) as rows of length 1."""
        from sklearn.preprocessing import normalize

        rows = scipy.sparse.csr_array(counts)
        rows.data = (1 + np.log(rows.data)) * self.weights[rows.indices]
        unknown = np.flatnonzero(np.diff(rows.indptr) == 0)
        if len(unknown) == rows.shape[0]:
            said = "the text" if len(unknown) == 1 else f"the {len(unknown):,} texts"
            which = "" if len(unknown) == 1 and names is None else f" ({named(unknown, names)})"
            # Which words were left out of the fit, and why, is not kept.
            left_out = "" if self.texts < FEW else ". Words that come in most texts, or in hardly any, do not count"
            raise InputError(
                f"{argument}: none of the words of {said} is among the {len(self):,} that were learnt{which}"
                f"{left_out}. Try other words, or fit to texts that hold them"
            )
        if len(unknown):
            warnings.warn(
                f"{argument}: {counted(len(unknown), 'text')} without any word that is known, which are like no "
                f"other: {named(unknown, names)}",
                DataWarning,
                stacklevel=4,
            )
        return normalize(rows, copy=False)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __repr__(self) -> str:
        return f"Words({len(self):,} of {counted(self.texts, 'text')})"

    @cached_property
    def counter(self) -> Any:
        """scikit-learn's counter of these words."""
        return counter_of({word: i for i, word in enumerate(self.vocabulary)})

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """A spec for JSON, and arrays: what `restore` takes."""
        letters, offsets = pack_text(self.vocabulary)
        return {"texts": self.texts}, {"letters": letters, "offsets": offsets, "weights": self.weights}

    @classmethod
    def restore(cls, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Words:
        """What `state` gave, or a `FileFormatError` where it does not fit together."""
        try:
            texts, letters, offsets, weights = (
                int(spec["texts"]), arrays["letters"], arrays["offsets"], np.asarray(arrays["weights"], np.float32)
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"the words of the model are not whole ({error}): the file is damaged") from error
        vocabulary = unpack_text(letters, offsets)
        fit = weights.shape == (len(vocabulary),) and bool((weights > 0).all())
        if not fit or not vocabulary or len(set(vocabulary)) < len(vocabulary):
            raise FileFormatError("the words of the model and their weights do not fit: the file is damaged")
        return cls(vocabulary, weights, texts)


def weights_of(held: np.ndarray, often: np.ndarray, texts: int) -> np.ndarray:
    """(words,) float32, the formula of `Words`.

    Parameters
    ----------
    held, often : (words,) texts that hold each word, and how often it comes in all.

    Examples
    --------
    Of 100 texts, four words come in 1, 10, 10 and all of them:

    >>> weights_of(np.array([1, 10, 10, 100]), np.array([1, 10, 100, 100]), 100).round(2)
    array([1.46, 0.73, 3.22, 0.  ], dtype=float32)
    """
    bursts = np.log(texts / held) + np.log(-np.expm1(-often / texts))
    return (np.log((texts + 1) / held) * np.sqrt(FLOOR + np.maximum(bursts, 0))).astype(np.float32)


def counter_of(vocabulary: Mapping[str, int] | None) -> Any:
    """scikit-learn's counter of words, of those given or of all that come."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(preprocessor=plain, token_pattern=WORD, vocabulary=vocabulary, dtype=np.float32)


def plain(text: str) -> str:
    """Lower case, and one way to write letters that can be written in two.

    >>> plain("Cafe\\u0301") == plain("CAFÉ")
    True
    """
    lower = text.lower()
    return lower if lower.isascii() else unicodedata.normalize("NFKC", lower)


def check_texts(texts: Any, names: Sequence[str] | None, argument: str) -> None:
    """Refuse what is not texts, and blank ones by name."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, (Sequence, np.ndarray)):
        raise InputError(f"{argument} must be a list of strings; got {type(texts).__name__}. Of one text: [text]")
    odd = next((i for i, one in enumerate(texts) if not isinstance(one, str)), None)
    if odd is not None:
        raise InputError(f"{argument}: text number {odd} is no string but {type(texts[odd]).__name__}")
    if not len(texts):
        raise InputError(f"{argument} holds no texts")
    blank = np.flatnonzero([not one or one.isspace() for one in texts])
    if len(blank):
        raise InputError(
            f"{argument}: {counted(len(blank), 'text')} without a word ({named(blank, names)}); leave such out"
        )


def named(rows: np.ndarray, names: Sequence[str] | None) -> str:
    """The texts with these numbers, by name where they have one."""
    return f"number {listed(rows.tolist(), 5)}" if names is None else listed([names[i] for i in rows], 5)
