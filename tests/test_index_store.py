"""The index in memory: rows that are appended, removed and found by id; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from isthmus.errors import InputError
from isthmus.index.bits import word_of, words_of
from isthmus.index.collection import Collection
from isthmus.index.folder import Folder
from isthmus.index.lookup import Lookup
from isthmus.index.store import Store


def codes_of(numbers: Any, bits: int = 64) -> np.ndarray:
    """Codes that hold a number each, (n, words)."""
    codes = np.zeros((len(numbers), words_of(bits)), dtype=word_of(bits))
    codes[:, 0] = numbers
    return codes


@pytest.fixture(params=["store", "folder"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Both kinds of index have one face."""
    if request.param == "store":
        return Store
    names = iter(range(100))
    return lambda bits, floats=0: Folder.create(tmp_path / f"{next(names)}.index", bits, floats)


def test_rows_are_found_again(make: Any) -> None:
    index = make(64, floats=2)
    floats = np.array([[0.5, -1.0], [2.0, 3.25], [65504.0, 1e-4]], dtype=np.float64)
    given = index.add(codes_of([5, 6, 7]), ["a", "é", ""], floats, ["one", None, ""])
    assert given.tolist() == ["a", "é", ""]
    assert (index.rows, len(index), index.kind) == (3, 3, "strings")
    np.testing.assert_array_equal(index.codes, codes_of([5, 6, 7]))
    assert index.codes.flags.c_contiguous
    assert not index.codes.flags.writeable
    assert index.ids.tolist() == ["a", "é", ""]
    assert index.rows_of(["", "a"]).tolist() == [2, 0]
    assert index.ids_of(np.array([2, 1, 1])).tolist() == ["", "é", "é"]
    kept = index.floats_of(np.array([2, 0]))
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, floats.astype(np.float16)[[2, 0]])
    assert index.items_of(np.array([0, 2, 1])) == ["one", "", None]


def test_removed_rows_stay_marked_and_their_ids_can_come_again(make: Any) -> None:
    index = make(16)
    index.add(codes_of([1, 2, 3], 16), [10, 20, 30])
    index.remove([20, 20])
    assert (index.rows, len(index), index.alive.tolist()) == (3, 2, [True, False, True])
    assert index.ids.tolist() == [10, 30]
    assert index.ids_of(np.array([1])).tolist() == [20]
    index.add(codes_of([9], 16), [20])
    assert index.rows_of([20]).tolist() == [3]
    index.remove([20])
    index.add(codes_of([8], 16), [20])
    assert index.rows_of([20, 10]).tolist() == [4, 0]
    assert index.alive.tolist() == [True, False, True, False, True]


def test_rows_without_ids_are_numbered_on(make: Any) -> None:
    index = make(64)
    assert index.add(codes_of([0, 0])).tolist() == [0, 1]
    assert index.add(codes_of([0]), [7]).tolist() == [7]
    index.remove([7])
    assert index.add(codes_of([0, 0])).tolist() == [8, 9]
    assert make(64).add(codes_of([0]), [-5]).tolist() == [-5]


def test_after_negative_ids_numbers_begin_at_nought(make: Any) -> None:
    index = make(64)
    index.add(codes_of([0, 0]), [-5, -1])
    assert index.add(codes_of([0])).tolist() == [0]


def test_the_highest_number_has_none_after_it(make: Any) -> None:
    index = make(64)
    index.add(codes_of([0]), [2**63 - 1])
    assert index.rows_of([2**63 - 1]).tolist() == [0]
    with pytest.raises(InputError, match="ids must be given: the highest"):
        index.add(codes_of([0]))


def test_items_may_come_late(make: Any) -> None:
    index = make(64)
    index.add(codes_of([0, 1]))
    assert index.items_of(np.array([1, 0])) == [None, None]
    index.add(codes_of([2]), items=["two"])
    index.add(codes_of([3]))
    index.add(codes_of([4, 5]), items=[None, "five"])
    assert index.items_of(np.arange(6)) == [None, None, "two", None, None, "five"]


def test_nothing_can_be_added_and_removed(make: Any) -> None:
    index = make(64, floats=3)
    for ids in (None, [], np.array([])):
        assert index.add(codes_of([]), ids, np.empty((0, 3)), []).tolist() == []
    index.remove([])
    assert (index.rows, len(index), index.kind) == (0, 0, None)
    assert index.ids.tolist() == index.rows_of([]).tolist() == index.items_of(np.array([], dtype=int)) == []
    assert index.codes.shape == (0, 1)
    assert index.floats_of(np.array([], dtype=int)).shape == (0, 3)
    index.add(codes_of([1]), ["now strings"], np.zeros((1, 3)))
    assert index.kind == "strings"


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ((3, 4), "whole numbers"),
        (np.array([3, 4], dtype=np.uint8), "whole numbers"),
        (pd.Series([3, 4]), "whole numbers"),
        (pd.Index([3, 4]), "whole numbers"),
        (range(3, 5), "whole numbers"),
        ([3, np.int32(4)], "whole numbers"),
        (["x", "y"], "strings"),
        (np.array(["x", "y"]), "strings"),
        (pd.Series(["x", "y"]), "strings"),
        (pd.Series(["x", "y"], dtype="string"), "strings"),
        ({"x": 1, "y": 2}.keys(), "strings"),
        (["\udc80", "\x00"], "strings"),
    ],
)
def test_ids_in_many_guises(make: Any, ids: Any, kind: str) -> None:
    index = make(64)
    given = index.add(codes_of([1, 2]), ids)
    assert index.kind == kind
    assert index.rows_of(given[::-1]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("ab", "must be a list, with one id a row; got 'ab'"),
        (3, "must be a list"),
        ([[1], [2]], r"flat list, with one id a row; got the shape \(2, 1\)"),
        (np.array(3), r"got the shape \(\)"),
        ([1.0, 2.0], "all be whole numbers, or all strings; got floating such as 1.0, 2.0"),
        ([1, "b"], "got mixed-integer such as 1, 'b'"),
        ([True, False], "got boolean"),
        (["a", None], "got mixed such as 'a', None"),
        ([b"a", b"b"], "got bytes"),
        ([0, 2**63], "some are beyond"),
        (np.array([0, 2**64 - 1], dtype=np.uint64), "some are beyond"),
        ([1], "ids must be one a row; got 1 id for 2 rows"),
        ([4, 4], "ids given more than once, though each row needs its own: 4$"),
    ],
)
def test_ids_that_are_refused(make: Any, ids: Any, said: str) -> None:
    index = make(64)
    with pytest.raises(InputError, match=said):
        index.add(codes_of([1, 2]), ids)
    assert index.rows == 0


def test_ids_of_the_other_kind_are_refused(make: Any) -> None:
    numbers, names = make(64), make(64)
    numbers.add(codes_of([0]))
    names.add(codes_of([0]), ["a"])
    for act in (lambda ids: numbers.add(codes_of([1]), ids), numbers.remove, numbers.rows_of):
        with pytest.raises(InputError, match="ids must be whole numbers, as those of this index are; got strings such"):
            act(["a"])
    for act in (lambda ids: names.add(codes_of([1]), ids), names.remove, names.rows_of):
        with pytest.raises(
            InputError, match=r"ids must be strings, as those of this index are; got whole .* such as 0"
        ):
            act([0])
    with pytest.raises(InputError, match="ids must be given: those of this index are strings"):
        names.add(codes_of([1]))


def test_ids_that_are_there_are_named_and_nothing_is_added(make: Any) -> None:
    index = make(64)
    index.add(codes_of(range(20)))
    index.remove([3])
    with pytest.raises(InputError, match=r"in the index already: 4, 5\. Remove them first.*Nothing was added"):
        index.add(codes_of([0, 0, 0, 0]), [3, 4, 99, 5])
    assert (index.rows, len(index)) == (20, 19)
    with pytest.raises(InputError, match=r"already: 4, 5, 6, 7, 8, 9, 10, 11 and 8 more\."):
        index.add(codes_of(range(16)), range(4, 20))


def test_absent_ids_are_named_and_nothing_is_removed(make: Any) -> None:
    index = make(64)
    with pytest.raises(InputError, match=r"ids not in the index, which holds 0 ids: 'x'. Nothing was removed"):
        index.remove(["x"])
    index.add(codes_of([0, 1, 2]), ["a", "b", "c"])
    index.remove(["b"])
    with pytest.raises(InputError, match=r"ids not in the index, which holds 2 ids: 'b', 'z'. Nothing was removed"):
        index.remove(["a", "b", "z"])
    assert index.ids.tolist() == ["a", "c"]
    with pytest.raises(InputError, match=r"ids not in the index, which holds 2 ids: 'b'$"):
        index.rows_of(["b"])


@pytest.mark.parametrize(
    ("codes", "floats", "items", "said"),
    [
        (np.zeros((2, 1), np.uint64), None, None, r"codes must be \(rows, 2\) of uint64.* 100 bits .*got \(2, 1\)"),
        (np.zeros((2, 2), np.int64), None, None, "got .* of int64"),
        (np.zeros(2, np.uint64), None, None, r"got \(2,\)"),
        (np.full((2, 2), 2**36, np.uint64), None, None, "bits set beyond the first 100"),
        (codes_of([1, 2], 100), None, None, "floats must be given: this index keeps 3 floats beside each code"),
        (codes_of([1, 2], 100), np.zeros((2, 4)), None, r"floats must be \(2, 3\).*got \(2, 4\) of float64"),
        (codes_of([1, 2], 100), np.zeros((2, 3), bool), None, "real numbers.* of bool"),
        (codes_of([1, 2], 100), np.full((2, 3), np.nan), None, "finite and at most 65,504"),
        (codes_of([1, 2], 100), np.full((2, 3), -7e4), None, "finite and at most 65,504"),
        (codes_of([1, 2], 100), np.zeros((2, 3)), "ab", "items must be a list, .*; got 'ab'"),
        (codes_of([1, 2], 100), np.zeros((2, 3)), ["a"], "items must be one a row; got 1 item for 2 rows"),
        (codes_of([1, 2], 100), np.zeros((2, 3)), ["a", 3], "items must be strings or None; got 3"),
    ],
)
def test_rows_that_are_refused(make: Any, codes: Any, floats: Any, items: Any, said: str) -> None:
    index = make(100, floats=3)
    with pytest.raises(InputError, match=said):
        index.add(codes, None, floats, items)
    assert index.rows == 0


def test_floats_where_none_are_kept_are_refused() -> None:
    with pytest.raises(InputError, match=r"floats must be \(1, 0\)"):
        Store(64).add(codes_of([1]), floats=np.zeros((1, 2)))


@pytest.mark.parametrize(("bits", "floats"), [(7, 0), (1025, 0), (8.0, 0), (64, -1), (64, 1.5)])
def test_sizes_that_are_refused(make: Any, bits: Any, floats: Any) -> None:
    with pytest.raises(InputError, match="must be a whole number"):
        make(bits, floats=floats)


@pytest.mark.parametrize("bits", [8, 16, 17, 32, 33, 64, 65, 128, 1024])
def test_every_width_is_kept(make: Any, bits: int) -> None:
    codes = np.full((3, words_of(bits)), np.iinfo(word_of(bits)).max, dtype=word_of(bits))
    spare = codes.shape[1] * codes.itemsize * 8 - bits
    codes[:, -1] >>= word_of(bits).type(spare)
    index = make(bits)
    index.add(codes)
    index.add(codes[:1] * 0)
    np.testing.assert_array_equal(index.codes[:3], codes)
    assert not index.codes[3].any()
    assert index.codes.dtype == word_of(bits)


def test_views_taken_before_an_add_stay_as_they_were(make: Any) -> None:
    index = make(64)
    index.add(codes_of([1, 2]))
    before, alive = index.codes, index.alive
    for number in range(50):
        index.add(codes_of([number]))
    np.testing.assert_array_equal(before, codes_of([1, 2]))
    assert alive.tolist() == [True, True]
    np.testing.assert_array_equal(index.codes, codes_of([1, 2, *range(50)]))


def check_against(index: Collection, known: dict[Any, tuple[int, int, str | None]]) -> None:
    """``known`` says row, number in the code and item of every id."""
    assert index.ids.tolist() == sorted(known, key=lambda name: known[name][0])
    rows = index.rows_of(list(known)) if known else np.empty(0, dtype=int)
    assert rows.tolist() == [row for row, _, _ in known.values()]
    assert index.codes[rows, 0].tolist() == [number for _, number, _ in known.values()]
    assert index.items_of(rows) == [item for _, _, item in known.values()]
    assert index.floats_of(rows)[:, 0].tolist() == [number % 100 for _, number, _ in known.values()]


@pytest.mark.parametrize("kind", [int, str])
def test_a_long_life_agrees_with_a_dictionary(make: Any, kind: type) -> None:
    generator = np.random.default_rng(0)
    index, known, rows = make(64, floats=1), {}, 0
    for turn in range(120):
        names = [kind(name) for name in generator.choice(200, size=generator.integers(0, 12), replace=False)]
        new = [name for name in names if name not in known]
        numbers = generator.integers(0, 10**6, size=len(new)).tolist()
        items: list[str | None] = [f"{number}ü" if number % 3 else None for number in numbers]
        index.add(codes_of(numbers), new, np.array(numbers).reshape(-1, 1) % 100, items if turn > 40 else None)
        for step, name in enumerate(new):
            known[name] = (rows + step, numbers[step], items[step] if turn > 40 else None)
        rows += len(new)
        gone = [name for name in names if name in known and generator.random() < 0.5]
        index.remove(gone)
        for name in gone:
            del known[name]
        if turn % 10 == 0:
            check_against(index, known)
    check_against(index, known)
    assert index.rows == rows
    if isinstance(index, Folder):
        check_against(Folder.open(index.path), known)


def test_small_adds_do_not_hash_all_rows_anew() -> None:
    ids = np.random.default_rng(0).permutation(4000).astype(np.int64)
    read = 0

    def reader(rows: np.ndarray) -> np.ndarray:
        nonlocal read
        read += len(rows)
        return ids[rows]

    lookup = Lookup()
    for rows in range(1, 4001):
        assert lookup.find(ids[[rows - 1]], rows, reader).tolist() == [rows - 1]
    np.testing.assert_array_equal(lookup.find(ids, 4000, reader), np.arange(4000))
    assert read < 4000 * 12  # hashing all at every add would read 8 million
