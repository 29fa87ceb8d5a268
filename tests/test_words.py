"""Words and their weights: the formula, which words are kept, and what happens to texts without any."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from isthmus.data.words import WORD, Words, counter_of
from isthmus.errors import DataWarning, FileFormatError, InputError

TEXTS = ["the moon the moon", "the sun is hot", "the moon is far", "Hot, hot day; hot sun"]


def words_in(text: str) -> list[str]:
    return counter_of(None).build_analyzer()(text)


def by_hand(texts: list[str], known: list[str]) -> np.ndarray:
    """The formula of the docstring, word by word in float64, with every word of the texts kept."""
    counts = [Counter(words_in(text)) for text in known]
    learnt = [Counter(words_in(text)) for text in texts]
    every = sorted(set().union(*learnt))
    rows = np.zeros((len(known), len(every)))
    n = len(texts)
    for j, word in enumerate(every):
        d, t = sum(word in one for one in learnt), sum(one[word] for one in learnt)
        weight = log((n + 1) / d) * sqrt(0.1 + max(0.0, log(n / d) + log(1 - exp(-t / n))))
        for i, one in enumerate(counts):
            rows[i, j] = (1 + log(one[word])) * weight if one[word] else 0.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_formula() -> None:
    words = Words.fit(TEXTS)
    new = ["moon moon moon night", "THE Day is hot"]
    np.testing.assert_allclose(words(TEXTS).toarray(), by_hand(TEXTS, TEXTS), atol=1e-6)
    np.testing.assert_allclose(words(new).toarray(), by_hand(TEXTS, new), atol=1e-6)


def test_rows_are_sparse_float32_of_length_one() -> None:
    rows = Words.fit(TEXTS)(TEXTS)
    assert isinstance(rows, scipy.sparse.csr_array)
    assert rows.dtype == np.float32
    assert rows.has_canonical_format
    np.testing.assert_allclose(rows.multiply(rows).sum(axis=1), 1, atol=1e-6)


def test_a_bursting_word_weighs_more_than_one_spread_evenly() -> None:
    texts = [f"filler{i} even" for i in range(20)] + ["burst " * 4 + f"filler{i}" for i in range(5)]
    texts[20:25] = [text.replace("filler", "other") for text in texts[20:25]]
    texts[:5] = [text + " thin" for text in texts[:5]]
    words = Words.fit(texts)
    weight = dict(zip(words.vocabulary, words.weights, strict=True))
    assert weight["burst"] > 1.5 * weight["thin"]  # both in 5 of 25 texts
    assert weight["thin"] > weight["even"] > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The X11 486dx of 1993, a b 12 _", ["the", "x11", "486dx", "of"]),
        ("don't", ["don"]),
        ("Žluťoučký KŮŇ", ["žluťoučký", "kůň"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("السَّلام עִבְרִית", ["السَّلام", "עִבְרִית"]),
        ("ﬁne ½", ["fine"]),
        ("__init__ 3__4", ["__init__"]),
        ("9" * 5000, []),
    ],
)
def test_what_a_word_is(text: str, expected: list[str]) -> None:
    assert words_in(text) == expected, WORD


def test_letters_written_in_two_ways_are_one() -> None:
    words = Words.fit(["caf\u00e9 noir", "the moon"])
    assert words(["CAFE\u0301"]).toarray()[0].argmax() == words.vocabulary.index("caf\u00e9")


def many(n: int = 100) -> list[str]:
    """``all`` in every text, ``half`` in half of them, ``pairN`` in two, ``onceN`` in one."""
    return [f"all once{i} pair{i // 2} " + ("half" if i % 2 else "odd" if i == 0 else "") for i in range(n)]


def test_rare_and_common_words_are_left_out_of_many_texts_only() -> None:
    kept = set(Words.fit(many()).vocabulary)
    assert kept == {"half"} | {f"pair{i}" for i in range(50)}
    assert "half" not in Words.fit(many(), commonest=0.49).vocabulary
    assert set(Words.fit(many(), rarest=3).vocabulary) == {"half"}
    assert "all" in Words.fit(many(), commonest=1.0).vocabulary
    assert {"all", "odd", "once98"} <= set(Words.fit(many(99)).vocabulary)


def test_rows_of_the_fit_are_those_of_the_call() -> None:
    texts = [f"moon sun{i % 7} star{i % 30} all" for i in range(120)]
    words, rows = Words.fit_rows(texts, most=30, names=[str(i) for i in range(120)])
    assert words.vocabulary == Words.fit(texts, most=30).vocabulary
    assert rows.shape == (120, 30)
    assert rows.dtype == np.float32
    again = words(texts)
    assert (rows != again).nnz == 0
    assert (rows.indptr == again.indptr).all()


def test_most_keeps_the_words_of_most_texts() -> None:
    assert Words.fit(many(), most=3).vocabulary == ("half", "pair0", "pair1")
    assert Words.fit(many(10), most=2).vocabulary == ("all", "half")


def test_texts_that_are_all_alike_keep_their_words() -> None:
    words = Words.fit(["same words"] * 200)
    assert words.vocabulary == ("same", "words")
    assert (words.weights > 0).all()
    np.testing.assert_allclose(words(["words same"]).toarray(), sqrt(0.5), atol=1e-6)


def test_two_texts_are_enough() -> None:
    words = Words.fit(["one moon", "one sun"])
    near = (words(["one moon", "one sun"]) @ words(["moon"]).T).toarray()[:, 0]
    assert near[0] > 0.9
    assert near[1] == 0


def test_state_and_back() -> None:
    words = Words.fit([*TEXTS, "žluť kůň"])
    spec, arrays = words.state()
    again = Words.restore(json.loads(json.dumps(spec)), {name: array.copy() for name, array in arrays.items()})
    assert (again.vocabulary, again.texts) == (words.vocabulary, words.texts)
    assert (again(TEXTS) != words(TEXTS)).nnz == 0
    assert all(array.dtype != object for array in arrays.values())
    assert repr(again) == "Words(9 of 5 texts)"


def test_a_state_that_is_not_whole_is_refused() -> None:
    spec, arrays = Words.fit(TEXTS).state()
    for name in arrays:
        with pytest.raises(FileFormatError):
            Words.restore(spec, {key: array for key, array in arrays.items() if key != name})
        with pytest.raises(FileFormatError):
            Words.restore(spec, {**arrays, name: arrays[name][:-1]})
    with pytest.raises(FileFormatError, match="do not fit"):
        Words.restore(spec, {**arrays, "weights": np.full(len(arrays["weights"]), np.nan)})
    with pytest.raises(FileFormatError, match="not whole"):
        Words.restore({}, arrays)


def test_blank_texts_are_named() -> None:
    with pytest.raises(InputError, match=r"X: 2 texts without a word \(number 1, 2\); leave such out"):
        Words.fit(["moon", "", " \n"])
    words = Words.fit(TEXTS)
    with pytest.raises(InputError, match=r"1 text without a word \('b'\)"):
        words(["moon", ""], names=["a", "b"])
    with pytest.raises(InputError, match="the query: 1 text without a word"):
        words([" "], argument="the query")


def test_texts_of_which_no_word_is_known() -> None:
    words = Words.fit(TEXTS)
    tried = r"X: none of the words of the text is among the 7 that were learnt\. Try other words"
    with pytest.raises(InputError, match=tried):
        words(["zebra"])
    with pytest.raises(InputError, match=r"of the text is among the 7 that were learnt \('a'\)\. Try"):
        words(["zebra"], names=["a"])
    with pytest.raises(InputError, match=r"of the 2 texts is among the 7 that were learnt \(number 0, 1\)\. Try"):
        words(["zebra", "1993"])
    with pytest.raises(InputError, match=r"of the 2 texts .*'a', 'b'"):
        words(["zebra", "1993"], names=["a", "b"])
    with pytest.warns(DataWarning, match=r"X: 1 text without any word that is known.*number 1$"):
        rows = words(["moon", "zebra"])
    with pytest.warns(DataWarning, match=r"1 text without any word that is known.*'b'"):
        learnt, _ = Words.fit_rows(["moon", "1993"], names=["a", "b"])
    assert learnt.vocabulary == ("moon",)
    assert np.diff(rows.indptr).tolist() == [1, 0]
    assert np.isfinite(rows.data).all()


def test_common_words_that_were_left_out_are_told_of() -> None:
    words = Words.fit(many())
    assert "all" not in words.vocabulary
    left_out = r"that were learnt\. Words that come in most texts, or in hardly any, do not count\. Try other words"
    with pytest.raises(InputError, match=left_out):
        words(["all"])


def test_what_is_no_text() -> None:
    for odd in ("one text", b"x", 3, {"a": 1}):
        with pytest.raises(InputError, match="X must be a list of strings"):
            Words.fit(odd)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="text number 1 is no string but int"):
        Words.fit(["moon", 3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="X holds no texts"):
        Words.fit([])
    with pytest.raises(InputError, match="X holds no word of two letters"):
        Words.fit(["1 2", "a"])
    assert Words.fit(np.array(TEXTS)).vocabulary == Words.fit(TEXTS).vocabulary


@pytest.mark.parametrize(
    "knobs", [{"most": 0}, {"rarest": 0.5}, {"commonest": 0}, {"commonest": 1.5}, {"commonest": True}]
)
def test_knobs_out_of_range(knobs: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"Words: {next(iter(knobs))} must be"):
        Words.fit(TEXTS, **knobs)  # type: ignore[arg-type]


def shared_groups(rows: scipy.sparse.csr_array, groups: np.ndarray) -> float:
    """The share of the 20 nearest of each text that are of its group."""
    near = (rows @ rows.T).toarray()
    np.fill_diagonal(near, -1)
    first = np.argsort(-near, axis=1, kind="stable")[:, :20]
    return float((groups[first] == groups[:, None]).mean())


def test_real_messages_of_one_group_are_more_alike_than_by_plain_weights(
    newsgroups: tuple[list[str], np.ndarray],
) -> None:
    texts, groups = newsgroups
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        ours = shared_groups(Words.fit_rows(texts)[1], groups)
    plain = TfidfVectorizer(max_features=20_000, min_df=2, max_df=0.5, sublinear_tf=True).fit_transform(texts)
    assert ours > shared_groups(plain, groups) + 0.02


@pytest.fixture(scope="module")
def newsgroups(data_folder: Path) -> tuple[list[str], np.ndarray]:
    """The first 100 messages of each of the first 4 groups in the archive."""
    import tarfile

    from isthmus.data.messages import decoded, message

    archive = data_folder / "20newsgroups" / "20_newsgroup.tar.gz"
    if not archive.exists():
        pytest.skip("needs the 20 Newsgroups archive")
    texts: list[str] = []
    groups: list[str] = []
    with tarfile.open(archive, "r|*") as opened:
        for member in opened:
            group = member.name.split("/")[-2] if member.isfile() else ""
            if len(groups) >= 400 and groups.count(group) == 0:
                break
            if group and groups.count(group) < 100:
                texts.append(message(decoded(opened.extractfile(member).read())[0]).text)  # type: ignore[union-attr]
                groups.append(group)
    return texts, np.array(groups)
