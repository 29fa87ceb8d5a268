"""`Recommender` where data are odd: ratings of 0, users of the fit, ids and times that change, few items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from test_cli import run
from test_recommend_cli import flat
from test_recommender import TAKEN, grouped, table

import isthmus as ist
from isthmus.data.interactions import Interactions, histories, interactions
from isthmus.errors import DataWarning, InputError
from isthmus.ranking import ranked

RATED = pd.DataFrame(
    [("a", "x", 5), ("a", "y", 0), ("b", "x", 5), ("b", "y", 5), ("c", "y", 4), ("c", "z", 5), ("c", "x", 5)],
    columns=["user", "item", "rating"],
)


def rated(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user", "item", "rating"])


def lists(found: ist.Recommended) -> list[list[str]]:
    return [[item for item in some if item is not None] for some in found.items.tolist()]


# ---------------------------------------------------------------------- ratings of 0


def as_matrix(frame: pd.DataFrame) -> Interactions:
    """The same, with the zero stored."""
    rows, columns = (pd.factorize(frame[name], sort=True)[0] for name in ("user", "item"))
    matrix = scipy.sparse.coo_array((frame["rating"].to_numpy(float), (rows, columns)))
    return Interactions(matrix, np.array(["a", "b", "c"]), np.array(["x", "y", "z"]))


@pytest.mark.parametrize("shape", [lambda frame: frame, as_matrix])
def test_what_was_rated_0_is_not_recommended_again(tmp_path, shape):
    model = ist.Recommender("ease", strength=1.0, at_least=4).fit(shape(RATED))
    without = ist.Recommender("ease", strength=1.0, at_least=4).fit(RATED[RATED["rating"] > 0])
    assert np.array_equal(model.model_.weights, without.model_.weights)
    assert model.popular_.tolist() == [3, 2, 1]
    model.save(tmp_path / "m.safetensors")
    for one in (model, ist.load(tmp_path / "m.safetensors")):
        assert one.interactions_.matrix.nnz == 7
        found = one.recommend(shape(RATED[RATED["user"] == "a"]) if shape is not as_matrix else one.interactions_)
        assert lists(found)[0] == ["z"]
        assert found.scores[0, 0] == without.recommend([["x"]], k=2).scores[0, 1]


def test_without_at_least_a_weight_of_0_is_nothing():
    model = ist.Recommender("ease", strength=1.0).fit(RATED)
    assert model.interactions_.matrix.nnz == 6
    assert "1 row of weight 0 left out" in model.said_
    assert lists(model.recommend(rated(("a", "x", 5), ("a", "y", 0)), k=2)) == [["y", "z"]]
    assert ist.Recommender("ease", strength=1.0).fit(as_matrix(RATED)).interactions_.matrix.nnz == 6


@pytest.mark.parametrize("time", [None, [9, 3, 4, 5]])
def test_the_last_row_counts_where_it_is_0(time):
    frame = rated(("a", "x", 0), ("a", "x", 5), ("b", "x", 5), ("b", "y", 5))
    frame = frame.iloc[[1, 0, 2, 3]] if time is None else frame.assign(time=time)
    found = interactions(frame, duplicates="last")
    assert found.matrix.toarray().tolist() == [[0, 0], [5, 5]]
    assert found.times is None or found.times.tolist() == [4, 5]
    assert "1 pair of weight 0 left out" in found.said
    assert interactions(frame, duplicates="sum").matrix.toarray().tolist() == [[5, 0], [5, 5]]
    with pytest.warns(DataWarning, match="1 of 2 users with no known item"):
        assert histories(frame, found.items, duplicates="last").matrix.nnz == 2
    disliked = ist.Recommender("ease", strength=1.0, at_least=4).fit(frame)
    assert disliked.popular_.tolist() == [1, 1]
    assert lists(disliked.recommend(frame, k=1, exclude_seen=False)) == [["x"], ["x"]]
    with pytest.warns(DataWarning, match="shorter"):
        assert lists(disliked.recommend(frame, k=2)) == [["y"], []]
    only = rated(("a", "x", 1), ("a", "x", 0), ("a", "y", 1))
    assert interactions(only, duplicates="last").items.tolist() == ["y"]
    with pytest.raises(InputError, match="X has no interactions"):
        ist.Recommender(strength=1.0).fit(only[:2], duplicates="last")


@pytest.mark.parametrize("at_least", [None, 4])
def test_partial_fit_takes_a_pair_back(at_least):
    model = ist.Recommender("ease", strength=1.0, at_least=at_least).fit(RATED, duplicates="last")
    back = rated(("b", "y", 0), ("c", "new", 0))
    model.partial_fit(back)
    whole = ist.Recommender("ease", strength=1.0, at_least=at_least).fit(pd.concat([RATED, back]), duplicates="last")
    assert model.interactions_.items.tolist() == whole.interactions_.items.tolist()
    assert model.interactions_.matrix.toarray().tolist() == whole.interactions_.matrix.toarray().tolist()
    assert model.interactions_.matrix.nnz == (5 if at_least is None else 8)
    assert model.model_.weights == pytest.approx(whole.model_.weights)


def test_nothing_is_left_once_all_is_taken_back():
    model = ist.Recommender("ease", strength=1.0).fit(rated(("a", "x", 5), ("a", "y", 5)), duplicates="last")
    with pytest.raises(InputError, match="X leaves no interactions"):
        model.partial_fit(rated(("a", "x", 0), ("a", "y", 0)))


@pytest.mark.parametrize("at_least", [None, 4])
def test_a_matrix_without_entries_is_refused(at_least):
    with pytest.raises(InputError, match="X has no interactions"):
        ist.Recommender(at_least=at_least).fit(scipy.sparse.csr_matrix((3, 4)))


# ---------------------------------------------------------------------- judging


def test_users_of_the_fit_are_pointed_out(tmp_path):
    frame = table(grouped(60))
    model = ist.Recommender("ease", strength=3.0).fit(frame)
    others = frame[frame["user"] >= "u050"].copy()
    others.loc[others["user"] < "u055", "user"] += "x"
    with pytest.warns(DataWarning, match="5 of 10 users were in the fit, .* too good. Judging without histories holds"):
        model.score(others)
    with pytest.warns(DataWarning, match="5 of 10 users were in the fit"):
        model.judge(others, at=3)
    model.score([["i00", "i01", "i02", "i03", "i04"]])
    unnamed = ist.Recommender("ease", strength=3.0).fit(grouped(60))
    with pytest.warns(DataWarning, match="60 of 60 users were in the fit"):
        unnamed.score(grouped(60))
    unnamed.score(grouped(60, seed=3))
    model.save(tmp_path / "m.safetensors")
    others.to_csv(tmp_path / "others.csv", index=False)
    said = run("recommend", "judge", tmp_path / "m.safetensors", tmp_path / "others.csv")
    assert "note: histories: 5 of 10 users were in the fit" in flat(said.stderr)


def test_one_length_of_lists_is_enough():
    x = grouped(30)
    assert ist.Recommender("ease", strength=3.0).fit(x).judge(at=4).rows[0].figures.keys() >= {"ndcg@4"}
    given, wanted = (scipy.sparse.csr_array(np.array([row])) for row in ([1, 0, 0], [0, 1, 0]))
    assert ranked(lambda rows: np.ones((1, 3)), given, wanted, at=2).mean("recall@2") == 1
    for wrong in (0, 2.5, "ab", ()):
        with pytest.raises(InputError, match="at must hold whole numbers >= 1"):
            ranked(lambda rows: np.ones((1, 3)), given, wanted, at=wrong)


def test_a_protocol_is_for_judging_without_histories():
    model = ist.Recommender("ease", strength=3.0).fit(grouped(30))
    for protocol in ("time", "items"):
        with pytest.raises(InputError, match=f"protocol='{protocol}' parts the fit's own interactions"):
            model.judge(grouped(20, seed=4), protocol=protocol)


def test_too_few_to_judge_by_tells_how_many_were_learnt_from():
    with pytest.raises(InputError, match=r"of 1 user none .*; 4 users were learnt from"):
        ist.Recommender("ease", strength=1.0).fit(TAKEN).judge()


# ---------------------------------------------------------------------- going on


def test_interactions_without_times_come_at_the_latest_moment():
    frame = pd.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "time": [9, 3, 4]})
    model = ist.Recommender("ease", strength=1.0).fit(frame, duplicates="last")
    with pytest.warns(DataWarning, match="X has no times, but the fit had: its 2 interactions .* protocol='time'"):
        model.partial_fit({"b": ["y"], "c": ["x"]})
    assert model.interactions_.times.tolist() == [9, 3, 4, 9, 9]
    assert "its 2 interactions are taken to come at the latest moment" in model.said_[-1]
    other = ist.Recommender("ease", strength=1.0).fit(frame, time=False)
    other.partial_fit(frame, time="time")
    assert other.interactions_.times is None
    assert other.said_[-1] == "times are not kept: the fit had none"


def test_user_ids_that_become_texts_are_pointed_out():
    model = ist.Recommender("ease", strength=1.0).fit({1: ["x", "y"], 2: ["y"]})
    with pytest.warns(DataWarning, match="user ids were whole numbers in the fit, .* such as '1'"):
        model.partial_fit({"ann": ["x"]})
    assert model.interactions_.users.tolist() == ["1", "2", "ann"]


# ---------------------------------------------------------------------- lists and words


def test_reasons_that_are_noise_are_none():
    draw = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 1, 1, 0, 1]])
    model = ist.Recommender("ease", strength=1.0).fit(scipy.sparse.csr_array(draw))
    weights = model.model_.weights
    found = model.recommend([[0, 2], [4], [3]], k=3, reasons=5)
    for scores, why in zip(found.scores, found.reasons, strict=True):
        for score, reasons in zip(scores, why, strict=True):
            assert bool(reasons) == (score > 0)
            assert all(share > 1e-6 * reasons[0][1] for _, share in reasons)
    assert (found.scores < 0).any()
    weights[0, 4], weights[2, 4] = 1e-8, 0.5
    assert [item for item, _ in model.explain([0, 2], 4)] == [2]
    weights[0, 4], weights[2, 4] = 0.1, -0.5
    assert model.explain([0, 2], 4) == []


def test_lists_are_as_long_as_a_small_catalogue():
    model = ist.Recommender("ease", strength=1.0).fit(TAKEN)
    found = model.recommend([["sun"]])
    assert found.items.shape == (1, 4)
    assert found.items[0, 3] is None
    assert model.similar_items("sun").items.shape == (1, 3)
    one = ist.Recommender("popularity").fit([["A"], ["A"]])
    with pytest.raises(InputError, match="k must be at most 1: there is 1 item; got 2"):
        one.recommend([[]], k=2)
    with pytest.raises(InputError, match="there is but 1 item, so that no other is like it"):
        one.similar_items("A", k=1)


def test_lists_as_a_frame():
    found = ist.Recommender("ease", strength=1.0).fit(TAKEN).recommend({"zoe": ["sun"], "yan": ["sea"]}, reasons=1)
    frame = found.frame()
    assert list(frame.columns) == ["user", "rank", "item", "score", "because 1"]
    assert frame["user"].tolist() == ["zoe"] * 3 + ["yan"] * 3
    assert frame["item"].tolist() == [*found.items[0, :3], *found.items[1, :3]]
    assert frame.loc[0, "because 1"] == "sun"


def test_histories_that_are_none_get_a_hint():
    model = ist.Recommender("ease", strength=1.0).fit(TAKEN)
    with pytest.raises(InputError, match=r"'sun' does not exist.* one for each person: \[\['sun'\]\]"):
        model.recommend("sun")
    with pytest.raises(InputError, match=r"the table 'people' does not exist.(?!.*an item)"):
        ist.Recommender("ease", strength=1.0).fit(TAKEN, "people")
    with pytest.raises(InputError, match=r"history number 1 is 'sun'.* a list of items, even of one: \[\['sun'\]\]"):
        model.recommend(["sun"])
    with pytest.raises(InputError, match=r"a list of items, even of one: \['sun'\]"):
        model.recommend({"zoe": "sun"})


def test_a_matrix_has_no_columns_to_name():
    with pytest.raises(InputError, match="user names a column of a table, but X is a matrix"):
        ist.Recommender("ease", strength=1.0).fit(grouped(30), user="a")


def test_weights_that_may_be_ratings_are_pointed_out(tmp_path):
    hint = "if they are ratings, at_least=4"
    assert hint in " ".join(ist.Recommender("ease", strength=1.0).fit(RATED).said_)
    assert hint not in " ".join(ist.Recommender("ease", strength=1.0, at_least=4).fit(RATED).said_)
    assert hint not in " ".join(ist.Recommender("ease", strength=1.0).fit(TAKEN | {"twice": ["sun", "sun"]}).said_)


def test_duplicates_on_the_command_line(tmp_path):
    pd.concat([RATED, rated(("a", "x", 2))]).to_csv(tmp_path / "r.csv", index=False)
    words = ["recommend", "fit", tmp_path / "r.csv", "-o", tmp_path / "m.safetensors", "--strength", 1, "--quiet"]
    for duplicates, weight in (("last", 2), ("sum", 7)):
        run(*words, "--duplicates", duplicates)
        assert ist.load(tmp_path / "m.safetensors").interactions_.matrix.toarray()[0, 0] == weight
    said = flat(run(*words, "--duplicates", "first", code=2).stderr)
    assert "--duplicates must be 'sum' or 'last'; got 'first'" in said
    shown = run("recommend", "for", tmp_path / "m.safetensors", tmp_path / "r.csv").stdout
    assert [line.split()[-1] for line in shown.split("\n\n")[0].splitlines()] == ["a", "y", "z"]
