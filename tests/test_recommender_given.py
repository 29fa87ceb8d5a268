"""What is known of users and items beside what they did: the stacked matrix, newcomers, files, and bad tables."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from test_cli import run

import isthmus as ist
from isthmus.data.side_information import Column, described, properties
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators.recommender_files import restored, state_of
from isthmus.estimators.recommender_given import Beside, Held, ranked_in, with_newcomers
from isthmus.ranking import ranked
from isthmus.recommending.splits import Group, held_out_users

TOWNS, PER = 3, 8


def taken(users: int = 90, seed: int = 0) -> pd.DataFrame:
    """Users who take five items of their own town, and one of any."""
    draw = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        rows += [(user, f"t{user % TOWNS}i{item}") for item in draw.choice(PER, 5, replace=False)]
        rows.append((user, f"t{draw.integers(TOWNS)}i{draw.integers(PER)}"))
    table = pd.DataFrame(rows, columns=["user", "item"]).drop_duplicates()
    return table.assign(user=[f"u{user:02}" for user in table["user"]])


def people(users: int = 90) -> pd.DataFrame:
    return pd.DataFrame(
        {"town": [f"t{user % TOWNS}" for user in range(users)]}, index=[f"u{u:02}" for u in range(users)]
    )


def things(more: int = 1) -> pd.DataFrame:
    """The items, each with its town; ``more`` of each town were taken by nobody."""
    names = [f"t{town}i{item}" for town in range(TOWNS) for item in range(PER + more)]
    return pd.DataFrame({"item": names, "from": [name[:2] for name in names]})


@pytest.fixture(scope="module")
def both() -> ist.Recommender:
    model = ist.Recommender("edlae", strength=3.0, dropout=0.2, given_weight=2.0, item_given_weight=1.5)
    return model.fit(taken(), people(), things())


NEW = pd.DataFrame({"town": ["t1", "t0"]}, index=["zoe", "yan"])


# ---------------------------------------------------------------------- identities


def test_scores_are_those_of_the_stacked_matrix(both):
    x = both.interactions_.matrix.toarray().astype(np.float64)
    items = both.interactions_.items.tolist()
    town_of_user = np.array([int(user[1:]) % TOWNS for user in both.interactions_.users])
    users = np.eye(TOWNS)[town_of_user]
    of_items = np.eye(TOWNS)[[int(item[1]) for item in items]].T
    wide = np.block([[x, 2.0 * users], [1.5 * of_items, np.zeros((TOWNS, TOWNS))]])
    g = wide.T @ wide
    inverse = np.linalg.inv(g + np.diag(0.25 * np.diag(g) + 3.0))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    history = np.zeros(len(items) + TOWNS)
    history[[items.index("t2i0"), items.index("t2i3"), len(items) + 1]] = 1, 1, 2.0
    scores = (history @ weights)[: len(items)]
    found = both.recommend({"zoe": ["t2i0", "t2i3"]}, len(items), NEW, exclude_seen=False)
    there = [items.index(item) for item in found.items[0]]
    assert found.scores[0] == pytest.approx(scores[there], abs=2e-6)
    because = dict(both.explain(["t2i0", "t2i3"], "t1i0", 9, given={"town": "t1"}))
    assert because["town = t1"] == pytest.approx(2 * weights[len(items) + 1, items.index("t1i0")], abs=2e-6)


@pytest.mark.parametrize("method", ["ease", "sparse", "masked"])
def test_weight_0_is_without(method):
    knobs = {"strength": 2.0, "dropout": 0.0, "code_size": 4, "hidden": (8,), "epochs": 2, "gain": 1.0}
    plain = ist.Recommender(method, **knobs, random_state=0).fit(taken())
    none = ist.Recommender(method, **knobs, given_weight=0, item_given_weight=0, random_state=0)
    none.fit(taken(), people(), things(0))
    some = [["t0i1", "t0i2"], ["t2i1"]]
    found = none.recommend(some, 5, pd.DataFrame({"town": ["t1", "t1"]}))
    assert np.array_equal(found.scores, plain.recommend(some, 5).scores)
    assert np.array_equal(found.items, plain.recommend(some, 5).items)


def test_figures_are_those_of_items_alone():
    draw = np.random.default_rng(0)
    given, wanted = (scipy.sparse.csr_array(draw.random((30, 9)) < 0.3) for _ in range(2))
    wanted = scipy.sparse.csr_array(wanted.astype(int) - wanted.multiply(given).astype(int))
    wanted.eliminate_zeros()
    wide = scipy.sparse.csr_array(scipy.sparse.hstack([given, draw.random((30, 4)) < 0.5], format="csr"), dtype=float)
    weights = draw.normal(size=(13, 13))
    made = (wide @ weights)[:, :9]
    judged = np.flatnonzero(np.diff(wanted.indptr))
    slow = ranked(lambda rows: made[judged], given, wanted, at=[3], rows_at_once=len(judged))
    group = Group(np.arange(30), wide, wanted)
    for rows in (1, 4, 30):
        found = ranked_in(lambda some: some @ weights, group, at=[3], rows_at_once=rows)
        assert all(np.array_equal(found.each[name], slow.each[name]) for name in slow.each)
        assert found.whole == slow.whole


# ---------------------------------------------------------------------- newcomers


@pytest.mark.parametrize("method", ["ease", "sparse", "rec_vae"])
def test_people_without_a_history_get_what_their_town_takes(method):
    model = ist.Recommender(method, strength=5, code_size=4, hidden=(16,), epochs=12, gain=4.0, random_state=0)
    model.fit(taken(), given=people())
    assert model.knobs_.given > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said of empty histories, for something is known
        found = model.recommend(None, PER, NEW, reasons=1)
    assert found.users.tolist() == ["zoe", "yan"]
    for items, town in zip(found.items, ("t1", "t0"), strict=True):
        assert np.mean([item.startswith(town) for item in items]) >= 0.75
    assert found.reasons[0][0][0][0] == "town = t1"
    with pytest.warns(DataWarning, match="1 of 2 users with no known item \\('xia'\\)"):
        listed = model.recommend({"zoe": [], "xia": []}, 3, NEW)
    assert listed.items[0].tolist() == found.items[0, :3].tolist()
    assert not listed.scores[1].any()


@pytest.mark.parametrize("method", ["ease", "sparse"])
def test_items_that_nobody_took_go_to_those_who_take_their_like(method):
    model = ist.Recommender(method, strength=1.0, item_given_weight=3.0).fit(taken(), item_given=things())
    assert "item_given: 3 items that nobody took yet, known by properties alone" in model.said_
    new = [f"t{town}i{PER}" for town in range(TOWNS)]
    scores = model.recommend([["t1i0", "t1i1", "t1i2"]], 27, exclude_seen=False)
    of = dict(zip(scores.items[0].tolist(), scores.scores[0].tolist(), strict=True))
    assert of[new[1]] > 0.05 > max(of[new[0]], of[new[2]])
    assert model.similar_items(new[1], 3).items[0, 0].startswith("t1")
    none = ist.Recommender(method, strength=1.0, item_given_weight=0.0).fit(taken(), item_given=things())
    found = none.recommend([["t1i0"]], 26)
    assert not found.scores[0][np.isin(found.items[0].astype(str), new)].any()


def test_the_weight_is_chosen_and_told():
    draw = np.random.default_rng(0)
    noise = pd.DataFrame({"coin": draw.choice(["heads", "tails"], 90)}, index=people().index)
    useful = ist.Recommender("ease", random_state=0).fit(taken(), people())
    useless = ist.Recommender("ease", random_state=0).fit(taken(), noise)
    told = next(said for said in useful.said_ if said.startswith("given: weight"))
    assert f"weight {useful.knobs_.given:g}, by NDCG@100 {useful.choice_.quality:.4f}; without it" in told
    without = max(figure for weight, _, figure in useful.choice_.weighed if weight == 0)
    assert useful.choice_.quality == max(figure for *_, figure in useful.choice_.weighed) > without + 0.02
    chosen = {(one[0]): one[2] for one in useless.choice_.weighed}
    assert useless.choice_.quality - chosen[0.0] < 0.02
    assert "given weighs" in useful.knobs_.in_words()


def test_newcomers_are_among_those_who_choose():
    draw = np.random.default_rng(0)
    x = scipy.sparse.csr_array((draw.random((60, 20)) < 0.5).astype(np.float32))
    split = held_out_users(x, 0, test=20, validation=0)
    beside = Beside(scipy.sparse.csr_array(np.ones((20, 1))), scipy.sparse.csr_array(np.ones((2, 20))))
    made = with_newcomers(Held(split, beside, beside), 0.1, seed=0).split
    assert (
        np.diff(np.bincount(made.train.indices, minlength=20)) <= 0
    ).all()  # of equal scores the popular comes first
    place = np.argsort(made.items)
    assert np.array_equal(made.items[place], split.items)
    before = split.test
    after = Group(made.test.users, made.test.given[:, place], made.test.wanted[:, place])
    alone = np.arange(20) % 5 == 0
    assert not np.diff(after.given.indptr)[alone].any()
    whole = (before.given + before.wanted).toarray()
    assert np.array_equal(after.wanted.toarray()[alone], whole[alone])
    new = np.flatnonzero(np.bincount(made.train.indices, minlength=20)[place] == 0)
    assert len(new) == 2
    assert not after.given.toarray()[:, new].any()
    others = np.setdiff1d(np.arange(20), new)
    assert np.array_equal(after.given.toarray()[~alone][:, others], before.given.toarray()[~alone][:, others])
    assert np.array_equal(after.wanted.toarray()[~alone], before.wanted.toarray()[~alone])


def test_score_and_judge_use_what_is_known(both):
    others = {f"o{n}": [f"t{n % 3}i{(n + step) % PER}" for step in range(5)] for n in range(12)}
    right = pd.DataFrame({"town": [f"t{n % 3}" for n in range(12)]}, index=list(others))
    wrong = right.assign(town=[f"t{(n + 1) % 3}" for n in range(12)])
    assert both.score(others, right) > both.score(others) > both.score(others, wrong)
    table = both.judge(others, right, at=(100,))
    assert table.rows[-1].figures["ndcg@100"] == pytest.approx(both.score(others, right), abs=1e-12)
    for protocol in ("users", "items"):
        anew = both.judge(protocol=protocol, at=(5,))
        assert "given weighs 2, item_given weighs 1.5" in str(anew)
        assert anew.rows[-1].figures["recall@5"] > anew.rows[0].figures["recall@5"]
        assert 0 < anew.rows[-1].figures["coverage@5"] <= 1
    with pytest.raises(InputError, match="given: tell what is known of the users of X"):
        both.judge(given=right)


# ---------------------------------------------------------------------- updates and files


@pytest.mark.parametrize("method", ["edlae", "sparse"])
def test_more_interactions_equal_a_refit(method):
    every, some = taken(), taken()[taken()["user"] < "u80"]
    knobs = {"strength": 3.0, "dropout": 0.2, "given_weight": 2.0, "item_given_weight": 1.5}
    whole = ist.Recommender(method, **knobs).fit(every, people(), things())
    parts = ist.Recommender(method, **knobs).fit(some, people()[:80], things(0))
    parts.partial_fit(every[every["user"] >= "u80"], people()[80:], things())
    assert parts.interactions_.items.tolist() == whole.interactions_.items.tolist()
    weights = [model.model_.weights for model in (parts, whole)]
    dense = [one.toarray() if scipy.sparse.issparse(one) else one for one in weights]
    assert dense[0] == pytest.approx(dense[1], abs=1e-6)
    # What is told now takes the place of what was.
    parts.partial_fit({"u00": ["t0i0"]}, pd.DataFrame({"town": ["t2"]}, index=["u00"]))
    assert parts.given_.matrix.toarray()[0].tolist() == [0, 0, 1]


def test_a_network_goes_on_with_new_items_and_properties():
    knobs = {"strength": 3, "dropout": 0.1, "gain": 1.0, "code_size": 4, "hidden": (8,), "epochs": 4, "random_state": 0}
    model = ist.Recommender("masked", **knobs, given_weight=1.0, item_given_weight=1.0)
    model.fit(taken(), people(), things(0))
    model.partial_fit({"zoe": ["t1i0", "comet"]}, NEW)
    assert model.recommend(None, 25, NEW).items.shape == (2, 25)
    assert model.given_.matrix.shape == (91, TOWNS)


@pytest.mark.parametrize("method", ["edlae", "sparse", "mult_dae"])
def test_saved_and_loaded_is_the_same(method, tmp_path):
    model = ist.Recommender(method, strength=3, dropout=0.0, code_size=4, hidden=(8,), epochs=2, random_state=0)
    model.fit(taken(), people().assign(age=np.arange(90) * 1.5), things())
    again = ist.load(model.save(tmp_path / "m.safetensors"))
    given = NEW.assign(age=[3.0, 70.5])
    first, second = (one.recommend({"zoe": ["t0i0"], "yan": []}, 9, given, reasons=2) for one in (model, again))
    assert np.array_equal(first.items, second.items)
    assert np.array_equal(first.scores, second.scores)
    assert first.reasons == second.reasons
    assert again.choice_ == model.choice_
    again.partial_fit({"yan": ["t0i0"]}, given)
    assert clone(again).get_params()["given_weight"] == "auto"


def test_files_of_before_have_nothing_beside():
    model = ist.Recommender("ease", random_state=0).fit(taken())
    spec, tensors = state_of(model)
    for name in ("given", "item_given"):
        del spec[name], spec["knobs"][name], spec["params"][f"{name}_weight"]
    tensors = {name: torch.as_tensor(value) for name, value in tensors.items() if name != "choice.weighed"}
    again = restored(spec, tensors)
    assert again.choice_ == model.choice_
    assert np.array_equal(again.recommend([["t1i0"]]).items, model.recommend([["t1i0"]]).items)


def test_a_damaged_file_is_refused(both):
    spec, tensors = state_of(both)
    tensors = {name: torch.as_tensor(value) for name, value in tensors.items()}
    del tensors["given.0.letters"]
    with pytest.raises(FileFormatError, match="given is not whole"):
        restored(spec, tensors)


# ---------------------------------------------------------------------- tables


def test_columns_become_levels_or_ranges():
    table = described(
        pd.DataFrame({
            "id": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            "user": list("abcdefghij"),
            "kinds": ["x|y", "x", None, "", "y ", "x|z", "x", "y", "x", "y"],
            "stars": [1.0, 2, 1, 2, np.nan, 1, 1, 2, 2, 1],
            "age": np.arange(10) + 0.5,
            "member": [True, False] * 5,
            "tags": [["u", "v"], ["u"], [], ["v"], ["u"], None, ["u"], ["v"], [], ["w"]],
        }).drop(columns="id"),
        "user", None, "given",
    )  # fmt: skip
    found, said = properties(table, table.ids)
    assert found.names == (
        "kinds = x", "kinds = y", "stars = 1", "stars = 2", "age < 5.5", "age >= 5.5", "member = False",
        "member = True", "tags = u", "tags = v",
    )  # fmt: skip
    made = found.encode(table, np.array(["a", "e", "nobody", "c"], dtype=object), quiet=True).toarray()
    assert made.tolist() == [
        [1, 1, 1, 0, 1, 0, 0, 1, 1, 1],
        [0, 1, 0, 0, 1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 1, 0, 0, 1, 0, 0],
    ]
    assert len(said) == 2
    assert "1 of 3 values of column 'kinds' is had by one alone" in said[0]


def test_ranges_hold_equally_many():
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=1000)
    table = described(pd.DataFrame({"n": numbers}), "user", None, "given")
    found, _ = properties(table, np.arange(1000))
    assert found.encode(table, np.arange(1000)).sum(0).tolist() == [100] * 10
    rows, places, _ = Column("n", edges=(0.0, 1.0)).places(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]), "given")
    assert (rows.tolist(), places.tolist()) == ([0, 1, 2, 3], [0, 1, 1, 2])


def test_ids_may_be_numbers_or_texts_and_frames_of_polars():
    pl = pytest.importorskip("polars")
    x = pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3], "item_id": [5, 6, 5, 7, 6, 7]})
    given = pl.DataFrame({"userId": ["1", "2", "3"], "town": ["a", "a", "b"]})
    model = ist.Recommender("ease", strength=1, given_weight=1).fit(x, given)
    assert model.given_.matrix.toarray().tolist() == [[1], [1], [0]]


def test_many_texts_keep_the_commonest():
    names = [f"n{n // 2:04}" for n in range(3000)]
    table = described(pd.DataFrame({"name": names}), "user", None, "given")
    found, said = properties(table, np.arange(3000))
    assert len(found.names) == 1000
    assert "500 of 1,500 values of column 'name' are had by one alone, or are not among the commonest 1,000" in said[0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (people().assign(town="same"), "no column tells one from another .*'town' is empty or the same everywhere"),
        (people().assign(town=np.nan), "'town' is empty or the same"),
        (people().assign(town=np.where(np.arange(90) == 3, np.inf, 1.5)), "'town' must be finite.*number 4 is inf"),
        (people().assign(town=pd.Timestamp("2020-01-01")), "column 'town' holds dates or times; give numbers"),
        (people().assign(town=people().index), "90 of 90 values of column 'town' are had by one alone"),
        (pd.concat([people(), people()[:1]]), "must have one row per user; 'u00' come more than once"),
        (people().reset_index(drop=True), "none of its ids \\(0, 1, 2\\) is among those of X \\('u00', 'u01'"),
        (people()[[]], "it has no columns beside the ids"),
        (people()[:0], "it has no rows"),
        ({"u00": "t1"}, "given must be a table with a row per user, a frame or a path; got dict"),
    ],
)  # fmt: skip
def test_tables_that_say_nothing_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        ist.Recommender("ease", strength=1).fit(taken(), given)


def test_what_is_missing_is_told(both):
    model = ist.Recommender("ease", strength=1, given_weight=1)
    model.fit(taken(), pd.concat([people()[5:], NEW]))
    assert "given: 2 users without interactions, of whom nothing is learnt" in model.said_
    assert "given: of 5 users with interactions nothing is said" in model.said_
    with pytest.warns(DataWarning, match="'town' has 1 value that the fit did not learn, taken as unknown: 'Rome'"):
        found = both.recommend({"zoe": ["t1i0"], "yan": ["t1i0"]}, 3, NEW.assign(town=["Rome", None]))
    assert np.array_equal(found.scores[0], both.recommend([["t1i0"]], 3).scores[0])
    assert np.array_equal(found.scores[1], found.scores[0])
    with pytest.raises(InputError, match=r"given has no column 'town', which the fit had\. Did you mean 'towns'"):
        both.recommend([["t1i0"]], 3, pd.DataFrame({"towns": ["t1"]}))
    with pytest.raises(InputError, match="none of its ids \\('zoe', 'yan'\\) is among those of the histories \\(0\\)"):
        both.recommend([["t1i0"]], 3, NEW)
    with pytest.raises(InputError, match="this model was fitted without; fit it with given="):
        ist.Recommender("ease", strength=1).fit(taken()).recommend([["t1i0"]], 3, NEW)
    with pytest.raises(InputError, match="item_given: this model was fitted without; fit it anew"):
        ist.Recommender("ease", strength=1).fit(taken()).partial_fit({"a": ["t1i0"]}, item_given=things())
    aged = ist.Recommender("ease", strength=1, given_weight=1).fit(taken(), people().assign(age=np.arange(90) / 2))
    with pytest.warns(DataWarning, match="given has no column 'age', which the fit had: taken as unknown"):
        aged.recommend(None, 2, NEW)
    assert aged.explain(["t1i0"], "t1i1", given={"town": "t1"})
    with pytest.raises(InputError, match="given: the fit had, or learnt from, no column 'twon'"):
        aged.explain(["t1i0"], "t1i1", given={"twon": "t1"})
    popular = ist.Recommender("popularity").fit(taken(), people())
    assert "popularity is the same for everyone: given and item_given are not used" in popular.said_
    with pytest.raises(InputError, match="given_weight must be"):
        ist.Recommender(given_weight=-1).fit(taken())


def test_items_that_nobody_took_are_told_to_come_last():
    draw = np.random.default_rng(1)
    odd = things().assign(**{"from": draw.choice(["a", "b"], 27)})
    model = ist.Recommender("ease", strength=1, random_state=0, item_given_weight="auto").fit(taken(), item_given=odd)
    if not model.knobs_.item_given:
        assert "for 3 items that nobody took nothing speaks; item_given_weight= sets the weight" in model.said_
    else:
        assert any(said.startswith("item_given: weight") for said in model.said_)


# ---------------------------------------------------------------------- command line


def test_command_line(tmp_path):
    taken().to_csv(tmp_path / "taken.csv", index=False)
    people().rename_axis("user").reset_index().to_csv(tmp_path / "people.csv", index=False)
    things().to_csv(tmp_path / "things.csv", index=False)
    NEW.rename_axis("user").reset_index().to_csv(tmp_path / "new.csv", index=False)
    model = tmp_path / "m.safetensors"
    fit = ["recommend", "fit", tmp_path / "taken.csv", "-o", model, "--strength", 3, "--dropout", 0.2]
    said = run(*fit, "--given", tmp_path / "people.csv", "--item-given", tmp_path / "things.csv", "--given-weight", 2,
               "--item-given-weight", 1.5)  # fmt: skip
    assert "3 items that nobody took yet" in said.stdout
    said = run("recommend", "for", model, "--given", tmp_path / "new.csv", "-k", 3, "--explain", 1)
    first = said.stdout.split("\n\n")[0].split("\n")
    assert first[0] == "zoe"
    assert all("  t1i" in line and "(because of town = t1)" in line for line in first[1:])
    pd.DataFrame({"user": ["zoe"], "item": ["t2i0"]}).to_csv(tmp_path / "h.csv", index=False)
    run("recommend", "for", model, tmp_path / "h.csv", "--given", tmp_path / "new.csv", "-o", tmp_path / "lists.csv")
    assert set(pd.read_csv(tmp_path / "lists.csv")["user"]) == {"zoe"}
    said = run("recommend", "for", model, code=2)
    assert "give a table of histories, or --given" in " ".join(said.output.split())
    things().to_csv(tmp_path / "new.csv", index=False)
    said = run("recommend", "for", model, "--given", tmp_path / "new.csv", code=2)
    assert "--given: which column holds the users?" in " ".join(said.output.split())
    said = run("recommend", "judge", model, "--given", tmp_path / "people.csv", code=2)
    assert "--given tells of the users of DATA" in " ".join(said.output.split())
