"""Who did what is read from tables, histories and matrices; what cannot be meant is refused, what is odd is said."""

from __future__ import annotations

import datetime
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from isthmus.data.interaction_cells import as_ids, as_times, as_weights
from isthmus.data.interactions import Interactions, histories, interactions
from isthmus.errors import DataWarning, InputError

TABLE = pd.DataFrame(
    {"user_id": ["bob", "ann", "ann", "bob"], "movieId": [9, 7, 9, 9], "rating": [2.0, 1.5, 1.0, 3.0], "day": 1}
)


def dense(found: Interactions) -> list[list[float]]:
    return found.matrix.toarray().tolist()


def as_text(values: list[object]) -> np.ndarray:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


# ---------------------------------------------------------------------- tables


def test_a_table_is_joined_and_what_was_found_is_said() -> None:
    found = interactions(TABLE)
    assert found.users.tolist() == ["ann", "bob"]
    assert found.items.tolist() == [7, 9]
    assert found.items.dtype == np.int64
    assert dense(found) == [[1.5, 1.0], [0.0, 5.0]]
    assert found.matrix.dtype == np.float32
    assert found.matrix.indices.dtype == np.int32
    assert found.matrix.has_canonical_format
    assert found.times is None
    assert found.said == (
        "users from column 'user_id', items from column 'movieId', weights from column 'rating'",
        "1 pair of user and item come more than once: their weights are added up",
    )
    assert repr(found) == "Interactions(2 users x 2 items, 3 pairs)"


def test_the_order_of_rows_does_not_matter() -> None:
    other = interactions(TABLE.iloc[[2, 0, 3, 1]])
    assert dense(other) == dense(interactions(TABLE))


def test_the_last_row_of_a_pair_counts() -> None:
    found = interactions(TABLE, duplicates="last")
    assert dense(found) == [[1.5, 1.0], [0.0, 3.0]]
    assert found.said[-1].endswith("the last row counts")


def test_with_times_the_latest_counts_and_is_kept() -> None:
    table = TABLE.assign(timestamp=[50, 3, 4, 40])
    last = interactions(table, duplicates="last")
    assert dense(last) == [[1.5, 1.0], [0.0, 2.0]]
    assert last.said[-1].endswith("the latest by time counts")
    for found in (last, interactions(table)):
        assert found.times is not None
        assert found.times.tolist() == [3.0, 4.0, 50.0]


def test_columns_that_are_told() -> None:
    found = interactions(TABLE, user="movieId", item="user_id", weight=False)
    assert dense(found) == [[1.0, 0.0], [1.0, 2.0]]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz", "jsonl"])
def test_files_hold_the_same(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ratings.{ending}"
    if ending == "parquet":
        TABLE.to_parquet(path)
    elif ending == "jsonl":
        TABLE.to_json(path, orient="records", lines=True)
    else:
        TABLE.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    assert dense(interactions(path)) == dense(interactions(str(path))) == dense(interactions(TABLE))


def test_polars_and_categories_hold_the_same() -> None:
    assert dense(interactions(pl.from_pandas(TABLE))) == dense(interactions(TABLE))
    kinds = TABLE.astype({"user_id": "category", "movieId": "Int64"})
    assert interactions(kinds).items.tolist() == [7, 9]
    assert dense(interactions(kinds)) == dense(interactions(TABLE))


def test_rows_without_weight_are_left_out() -> None:
    found = interactions(TABLE.assign(rating=[0.0, 1.0, 1e-60, 2.0]))
    assert dense(found) == [[1.0, 0.0], [0.0, 2.0]]
    assert found.said[0] == "2 rows of weight 0 left out"


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"rating": [1, -2, 1, 1]}, {}, "'rating' of row number 2 is -2.0 (1 such in all)"),
        ({"rating": [1, 1, np.nan, 1]}, {}, "'rating' of row number 3 is missing"),
        ({"rating": [1, 1, np.inf, 1]}, {}, "'rating' of row number 3 is inf"),
        ({"rating": ["1", "x", "1", "1"]}, {}, "weights must be numbers; 'rating' of row number 1 is '1'"),
        ({"rating": [0, 0, 0, 0]}, {}, "interactions has no interactions"),
        ({"movieId": [1, None, 1, 1]}, {}, "row number 2 has no item id; 1 have none"),
        ({"movieId": [1, 1.5, 1, 1]}, {}, "item ids must be whole numbers or texts; row number 2 has"),
        ({"user_id": [1, "a", b"x", 1]}, {}, "user ids must be whole numbers or texts; row number 3 has b'x' (bytes)"),
        ({"user_id": [True, False, True, True]}, {}, "user ids must be whole numbers or texts; row number 1 has True"),
        ({"user_id": pd.to_datetime(["2024-01-01"] * 4)}, {}, "row number 1 has Timestamp('2024-01-01 00:00:00')"),
        ({"time": [1, 2, np.nan, 3]}, {}, "'time' of row number 3 is missing"),
        ({"time": ["2024-01-01", "soon", "2024-01-01", "2024-01-01"]}, {}, "'time' of row number 2 is 'soon'"),
        ({}, {"user": "users"}, "user: interactions has no column 'users'. Did you mean 'user_id'?"),
        ({}, {"item": "user_id"}, "column 'user_id' of interactions cannot be two of"),
        ({}, {"item": 3}, "item must be the name of a column of interactions, or None; got 3"),
        ({}, {"duplicates": "first"}, "duplicates must be 'sum' or 'last'; got 'first'"),
    ],
)
def test_what_a_table_must_not_hold(change: dict[str, list], columns: dict, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        interactions(TABLE.assign(**change), **columns)


def test_what_is_no_table_of_interactions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"which column of interactions holds the users\? It has 'a', 'b'; say it"):
        interactions(pd.DataFrame({"a": [1], "b": [2]}))
    with pytest.raises(InputError, match="interactions has no rows"):
        interactions(TABLE.iloc[:0])
    with pytest.raises(InputError, match="does not exist"):
        interactions(tmp_path / "none.csv")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InputError, match=r"interactions are read from .csv"):
        interactions(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"got ndarray of shape \(2, 3\)"):
        interactions(np.ones((2, 3)))
    with pytest.raises(InputError, match="user names a column of a table, but interactions holds histories"):
        interactions([["a"]], user="user")


# ---------------------------------------------------------------------- ids and times


def test_ids_of_two_kinds_become_texts_and_it_is_said() -> None:
    found = interactions(pd.DataFrame({"user": [1, "1", 2.0], "item": ["a", "b", "a"]}, dtype=object))
    assert found.users.tolist() == ["1", "2"]
    assert "user ids are both texts and whole numbers: all are taken as texts" in found.said


def test_numbers_that_64_bits_do_not_hold_become_texts() -> None:
    ids, said = as_ids(np.array([2**63, 1], dtype=np.uint64), "user")
    assert ids.tolist() == [str(2**63), "1"]
    assert said == ("user ids are whole numbers of more than 64 bits: all are taken as texts",)
    assert as_ids(np.array([5], dtype=np.uint64), "user")[0].dtype == np.int64


def test_weights_of_any_numbers() -> None:
    assert as_weights(as_text([1, 2.5]), "w").tolist() == [1.0, 2.5]
    assert as_weights(np.array([True, False]), "w").tolist() == [1.0, 0.0]


def test_times_are_seconds() -> None:
    dates = pd.Series(pd.to_datetime(["1970-01-01 00:00:01", "1970-01-02 00:00:00"]))
    assert as_times(dates.to_numpy(), "t").tolist() == [1.0, 86400.0]
    assert as_times(dates.dt.tz_localize("Europe/Berlin").to_numpy(), "t").tolist() == [-3599.0, 82800.0]
    assert as_times(as_text([datetime.date(1970, 1, 2)]), "t").tolist() == [86400.0]
    with pytest.raises(InputError, match="times must be numbers, dates"):
        as_times(np.array([True]), "t")


# ---------------------------------------------------------------------- histories and matrices


def test_histories_in_a_list_and_in_a_dict() -> None:
    found = interactions([["b", "a"], ["b", "b"], []])
    assert found.users.tolist() == [0, 1, 2]
    assert dense(found) == [[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]
    named = interactions({"zoe": [5, 6], "ann": {6}})
    assert named.users.tolist() == ["ann", "zoe"]
    assert dense(named) == [[0.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["a", "b"], "history number 1 is 'a'. For one person: [interactions]."),
        ([["a"], [None]], "place 1 of history number 2 has no item id"),
        ({"ann": 3}, "the history of 'ann' is 3"),
        ({1: ["a"], "1": ["b"]}, "interactions has users whose names, as texts, are the same"),
        ([[]], "interactions has no interactions"),
    ],
)
def test_what_is_no_history(X: object, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        interactions(X)


def test_a_sparse_matrix_is_taken_as_it_is_and_not_changed() -> None:
    X = scipy.sparse.coo_matrix(([1, 2, 0, 4], ([0, 0, 1, 1], [2, 2, 1, 0])), shape=(2, 3))
    found = interactions(X)
    assert dense(found) == [[0.0, 0.0, 3.0], [4.0, 0.0, 0.0]]
    assert found.matrix.nnz == 2
    assert X.nnz == 4
    assert found.said == ("1 pair of user and item came again: their weights are added up",)
    assert interactions(found) is found
    with pytest.raises(InputError, match=re.escape("the entry of (row 0, column 1) is -1.0")):
        interactions(scipy.sparse.csr_array(np.array([[0.0, -1.0]])))
    with pytest.raises(InputError, match="must be a sparse matrix of numbers"):
        interactions(scipy.sparse.csr_array(np.array([[1j]])))


# ---------------------------------------------------------------------- anyone's histories

ITEMS = as_text(["moon", "sky", "sun"])


def test_histories_over_known_items_in_order_of_appearance() -> None:
    table = pd.DataFrame({"user": ["zoe", "ann", "zoe"], "item": ["sun", "sky", "moon"], "weight": [2, 1, 1]})
    found = histories(table, ITEMS)
    assert found.users.tolist() == ["zoe", "ann"]
    assert found.items is ITEMS
    assert dense(found) == [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    assert dense(histories({"zoe": ["sun", "sun"]}, ITEMS)) == [[0.0, 0.0, 2.0]]
    assert dense(histories(scipy.sparse.csr_array(np.eye(3)), ITEMS)) == np.eye(3).tolist()


def test_unknown_items_are_passed_over_and_said() -> None:
    with pytest.warns(DataWarning) as caught:
        found = histories([["sun", "a", "b", "c", "d", "a"], ["sky"]], ITEMS)
    assert [str(one.message) for one in caught] == [
        "histories: 5 of 7 interactions with 4 items that were not in the fit, and are passed over: "
        "'a', 'b', 'c' and 1 more"
    ]
    assert dense(found) == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert caught[0].filename == __file__


def test_empty_histories_are_said() -> None:
    with pytest.warns(DataWarning) as caught:
        found = histories({"ann": [], "bob": ["sky"], "cat": []}, ITEMS)
    assert [str(one.message) for one in caught] == [
        "histories: 2 of 3 users with no known item ('ann', 'cat'): for such there is only what is popular"
    ]
    assert found.matrix.shape == (3, 3)


def test_nothing_at_all_is_known() -> None:
    with pytest.warns(DataWarning, match="1 of 1 user with no known item"):
        found = histories([[]], ITEMS)
    assert found.matrix.shape == (1, 3)
    with pytest.warns(DataWarning) as caught:
        found = histories(pd.DataFrame({"user": [4], "item": [5], "time": [6]}), ITEMS)
    assert len(caught) == 2
    assert found.users.tolist() == [4]
    assert found.matrix.nnz == 0


def test_a_matrix_with_names() -> None:
    X = scipy.sparse.coo_array(([1, 2, 0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    found = Interactions(X, np.array(["ann", "bob"]), np.array([3.0, 5.0]))
    assert dense(found) == [[0.0, 3.0], [0.0, 0.0]]
    assert found.users.tolist() == ["ann", "bob"]
    assert found.items.dtype == np.int64
    with pytest.warns(DataWarning, match="1 of 2 users with no known item \\('bob'\\)"):
        assert dense(histories(found, np.array([5, 3]))) == [[3.0, 0.0], [0.0, 0.0]]
    with pytest.raises(InputError, match=r"items must be 2 ids, as the matrix has; got \(3,\)"):
        Interactions(X, np.arange(2), np.arange(3))
    with pytest.raises(InputError, match="matrix: with times it must be a csr_array of float32 > 0"):
        Interactions(X, np.arange(2), np.arange(2), np.arange(3))
    with pytest.raises(InputError, match="items: ids come twice: 'a'"):
        histories([["a"]], as_text(["a", "a"]))


def test_numbers_and_texts_are_compared_as_texts() -> None:
    assert dense(histories([["3", "1"]], np.array([1, 2, 3]))) == [[1.0, 0.0, 1.0]]
    assert dense(histories([[3, 1]], as_text(["1", "2", "3"]))) == [[1.0, 0.0, 1.0]]


def test_interactions_of_other_items_are_matched_by_id() -> None:
    known = interactions({"ann": ["sun", "sky"]})
    assert dense(histories(known, ITEMS)) == [[0.0, 1.0, 1.0]]


def test_a_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="must have a column for each of the 3 items of the fit"):
        histories(scipy.sparse.csr_array((2, 4)), ITEMS)


def test_times_of_histories_fit_the_matrix() -> None:
    table = pd.DataFrame({"user": [1, 1, 1], "item": ["sun", "x", "moon"], "time": [5, 6, 7]})
    with pytest.warns(DataWarning, match="1 of 3 interactions with 1 item that was not in the fit"):
        found = histories(table, ITEMS)
    assert found.times is not None
    assert found.times.tolist() == [7.0, 5.0]


def test_many_rows_are_read_at_once() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"user": random.integers(0, 5000, 300_000), "item": random.integers(0, 900, 300_000)})
    found = interactions(table)
    counted = np.zeros((5000, 900))
    np.add.at(counted, (table["user"], table["item"]), 1)
    assert (found.matrix.toarray() == counted[found.users][:, found.items]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = histories(table, found.items)
    order = np.argsort(again.users)
    assert (again.matrix[order] != found.matrix).nnz == 0
