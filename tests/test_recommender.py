"""`Recommender`: lists for anyone, why, how good they are, updates that equal a refit, files, and bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import isthmus as ist
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators import recommender_judging, recommender_search
from isthmus.estimators.recommender_files import restored, state_of
from isthmus.estimators.recommender_search import climbed
from isthmus.ranking import ranked
from isthmus.recommending.gram import gram
from isthmus.recommending.linear import ease, edlae
from isthmus.recommending.splits import folded

TAKEN = {
    "ann": ["sun", "moon"],
    "bob": ["sun", "moon", "sky"],
    "eve": ["sea", "sky"],
    "dan": ["sea", "sky"],
    "pia": ["sea"],
}
ITEMS = ["moon", "sea", "sky", "sun"]


def grouped(users: int = 90, items: int = 24, seed: int = 0) -> scipy.sparse.csr_array:
    """Users who take six items of their own third, and two of any."""
    draw = np.random.default_rng(seed)
    made = np.zeros((users, items))
    for user in range(users):
        own = np.arange(items // 3) + items // 3 * (user % 3)
        made[user, draw.choice(own, 6, replace=False)] = 1
        made[user, draw.choice(items, 2, replace=False)] = 1
    return scipy.sparse.csr_array(made)


def table(x: scipy.sparse.csr_array, **more) -> pd.DataFrame:
    found = x.tocoo()
    return pd.DataFrame(
        {"user": [f"u{row:03}" for row in found.row], "item": [f"i{col:02}" for col in found.col], **more}
    )


@pytest.fixture(scope="module")
def small() -> ist.Recommender:
    return ist.Recommender("ease", strength=1.0).fit(TAKEN)


# ---------------------------------------------------------------------- recommending


def test_scores_are_those_of_ease(small):
    x = small.interactions_.matrix
    weights = ease(gram(x), 1.0)
    found = small.recommend([["moon"], ["sky", "sea"]], k=2)
    scores = np.array([[1, 0, 0, 0], [0, 1, 1, 0]]) @ weights
    assert found.users.tolist() == [0, 1]
    for place, history in enumerate([["moon"], ["sky", "sea"]]):
        left = [item for item in np.argsort(-scores[place]) if ITEMS[item] not in history][:2]
        assert found.items[place].tolist() == [ITEMS[item] for item in left]
        assert found.scores[place] == pytest.approx(scores[place][left], abs=1e-7)
    assert repr(found) == "Recommended(users=2, k=2)"


def test_lists_do_not_depend_on_their_company(small, monkeypatch):
    x = grouped()
    model = ist.Recommender("edlae", strength=5.0, dropout=0.3).fit(x)
    together = model.recommend(x, k=7)
    monkeypatch.setattr("isthmus.estimators.recommender_lists.CELLS_AT_ONCE", 50)
    parted = model.recommend(x, k=7)
    assert np.array_equal(together.items, parted.items)
    assert np.array_equal(together.scores, parted.scores)


def test_what_was_seen_comes_only_when_asked_for(small):
    assert small.recommend([["sun", "moon"]], k=2).items.tolist() == [["sky", "sea"]]
    again = small.recommend([["sun", "moon"]], k=4, exclude_seen=False).items[0].tolist()
    assert set(again) == set(ITEMS)
    assert again[0] in ("sun", "moon")


def test_an_empty_history_gets_what_is_popular(small):
    with pytest.warns(DataWarning, match="1 of 2 users with no known item \\(1\\).*popular"):
        found = small.recommend([["sun"], []], k=3)
    # sea and sky were taken three times, moon and sun twice: of equal ones the first by id comes first.
    assert found.items[1].tolist() == ["sea", "sky", "moon"]
    assert found.scores[1].tolist() == [0, 0, 0]


def test_unknown_items_are_passed_over_and_named(small):
    with pytest.warns(DataWarning, match="1 of 2 interactions with 1 item that was not in the fit.*'comet'"):
        found = small.recommend({"zoe": ["comet", "moon"]}, k=1)
    assert found.users.tolist() == ["zoe"]
    assert found.items.tolist() == small.recommend([["moon"]], k=1).items.tolist()


def test_a_history_of_everything_gets_a_shorter_list(small):
    with pytest.warns(DataWarning, match=r"of 4 items fewer than 2 are left .* for 1 user \('all'\).*seen=False"):
        found = small.recommend({"all": ITEMS, "one": ["sea"]}, k=2)
    assert found.items[0].tolist() == [None, None]
    assert np.isnan(found.scores[0]).all()
    assert None not in found.items[1].tolist()
    with pytest.warns(DataWarning, match="shorter"):
        assert small.recommend([ITEMS[:3]], k=2, reasons=1).reasons[0][1] == []


@pytest.mark.parametrize("k", [0, 1.5, True])
def test_k_is_a_whole_number(small, k):
    with pytest.raises(InputError, match="k must be a whole number >= 1"):
        small.recommend([["sun"]], k=k)


def test_k_beyond_the_catalogue_is_refused(small):
    with pytest.raises(InputError, match="k must be at most 4: there are 4 items; got 5"):
        small.recommend([["sun"]], k=5)
    with pytest.raises(InputError, match="k must be at most 3: there are 4 items; got 4"):
        small.similar_items("sun", k=4)


def test_whole_numbers_stay_whole_numbers():
    frame = pd.DataFrame({"user_id": [7, 7, 9, 9, 9], "movieId": [100, 200, 100, 200, 300]})
    found = ist.Recommender("ease", strength=1).fit(frame).recommend([[100, 200]], k=1)
    assert found.items.dtype == np.int64
    assert found.items.tolist() == [[300]]


# ---------------------------------------------------------------------- reasons and likeness


def test_reasons_add_up_to_the_score(small):
    found = small.recommend([["moon", "sky"]], k=1, reasons=5)
    item, score = found.items[0, 0], found.scores[0, 0]
    column = ease(gram(small.interactions_.matrix), 1.0)[:, ITEMS.index(item)]
    every = {name: float(column[ITEMS.index(name)]) for name in ("moon", "sky")}
    assert sum(every.values()) == pytest.approx(score, abs=1e-6)
    said = small.explain(["moon", "sky"], item, most=5)
    assert found.reasons[0][0] == said
    positive = {name: share for name, share in every.items() if share > 0}
    assert dict(said) == pytest.approx(positive)
    assert [share for _, share in said] == sorted(positive.values(), reverse=True)
    assert small.explain(["moon", "sky"], item, most=1) == said[:1]


def test_explain_refuses_what_it_cannot_explain(small):
    with pytest.raises(InputError, match=r"item: 'moom' was not in the fit. Did you mean 'moon'"):
        small.explain(["sun"], "moom")
    with pytest.raises(InputError, match=r"history must be of one person.*2 histories"):
        small.explain({"a": ["sun"], "b": ["sun"]}, "moon")
    with pytest.raises(InputError, match="popularity recommends the same to everyone"):
        ist.Recommender("popularity").fit(TAKEN).explain(["sun"], "moon")


def test_similar_items_are_partial_correlations(small):
    inverse = np.linalg.inv(gram(small.interactions_.matrix) + np.eye(4))
    root = np.sqrt(np.diag(inverse))
    expected = -inverse / np.outer(root, root)
    found = small.similar_items(["sun", "sea"], k=3)
    assert found.of.tolist() == ["sun", "sea"]
    assert repr(found) == "Similar(of=2, k=3)"
    for place, name in enumerate(["sun", "sea"]):
        row = expected[ITEMS.index(name)]
        assert name not in found.items[place]
        assert found.similarities[place] == pytest.approx(
            [row[ITEMS.index(one)] for one in found.items[place]], abs=1e-6
        )
        assert (np.diff(found.similarities[place]) <= 0).all()
    assert small.similar_items("sun", k=1).items.tolist() == [["moon"]]


def test_similar_items_of_sparse_weights_agree_where_all_are_neighbours():
    x = grouped()
    one, other = (ist.Recommender(m, strength=3.0).fit(x).similar_items([0, 5], k=4) for m in ("ease", "sparse"))
    assert np.array_equal(one.items, other.items)
    # Items that nobody took together are no neighbours.
    assert one.similarities == pytest.approx(other.similarities, abs=2e-3)


# ---------------------------------------------------------------------- choosing


def test_knobs_are_the_best_of_those_tried():
    x = grouped(120)
    model = ist.Recommender(random_state=3).fit(x)
    choice = model.choice_
    assert choice.users == 24
    assert choice.quality == max(figure for _, _, figure in choice.tried) > choice.rival
    best = max(choice.tried, key=lambda one: one[2])
    assert (model.knobs_.strength, model.knobs_.dropout) == best[:2]
    assert model.knobs_.method == ("edlae" if best[1] else "ease")
    assert choice.in_words().startswith(
        f"{model.knobs_.in_words()}: the best of {len(choice.tried)} tried on 24 held-out"
    )
    again = ist.Recommender(random_state=3).fit(x)
    assert again.choice_ == choice
    assert np.array_equal(model.model_.weights, edlae(gram(x), best[1], best[0]))


def test_what_is_given_is_not_chosen():
    x = grouped()
    model = ist.Recommender("edlae", strength=4.0, random_state=0).fit(x)
    assert {strength for strength, _, _ in model.choice_.tried} == {4.0}
    assert ist.Recommender("edlae", strength=4.0, dropout=0.2).fit(x).choice_ is None
    assert ist.Recommender("ease", random_state=0).fit(x).knobs_.dropout == 0
    assert ist.Recommender("sparse", neighbours=9, random_state=0).fit(x).knobs_.neighbours == 9


def test_too_few_users_to_choose_by_are_told(capsys):
    model = ist.Recommender(verbose=1).fit(TAKEN)
    assert model.said_[-1] == "too few users have 5 items to choose by: taken is EASE, strength 3"
    assert model.said_[-1] in capsys.readouterr().out
    assert model.choice_.users == 0
    assert model.choice_.in_words() == "EASE, strength 3: not chosen by users"


def test_many_items_are_chosen_by_the_most_taken(monkeypatch):
    monkeypatch.setattr(recommender_search, "MOST_ITEMS", 20)
    x = grouped(120)
    split = recommender_search.split_of(x, 0)
    assert split.train.shape[1] == 20
    most = np.argsort(-np.bincount(x.indices, minlength=24), kind="stable")[:20]
    assert split.train.sum() + split.test.given.sum() + split.test.wanted.sum() == x[:, most].sum()


@pytest.mark.parametrize("start", [(0, 0), (8, 4), (4, 2)])
def test_climbing_finds_the_top_and_asks_for_no_place_outside(start):
    def hill(at):
        assert 0 <= at[0] < 9
        assert 0 <= at[1] < 5
        return -((at[0] - 6) ** 2) - (at[1] - 3) ** 2

    assert climbed(hill, start, (9, 5)) == (6, 3)


def test_auto_is_sparse_where_memory_is_short(monkeypatch):
    monkeypatch.setattr("isthmus.recommending.memory.free_bytes", lambda: 10_000)
    monkeypatch.setattr("isthmus.recommending.sparse_linear.check_memory", lambda *_: None)
    monkeypatch.setattr("isthmus.recommending.gram.check_memory", lambda *_: None)
    model = ist.Recommender(strength=2.0).fit(grouped())
    assert model.knobs_.method == "sparse"
    assert "GiB are free: the sparse method is taken" in model.said_[0]
    with pytest.raises(InputError, match=r"The exact model of 24 items .* needs .* GiB.*method='sparse'"):
        ist.Recommender("ease", strength=2.0).fit(grouped())
    said = model.judge(grouped(40, seed=5)).said
    assert said[1].startswith("no row for EASE: the exact model of 24 items")


# ---------------------------------------------------------------------- judging


def test_score_is_the_ndcg_of_what_was_hidden():
    model = ist.Recommender("ease", strength=3.0).fit(grouped())
    others = grouped(30, seed=9)
    group = folded(others, np.arange(30), 0.2)
    expected = ranked(model.model_.scores, group.given, group.wanted, at=[100]).mean("ndcg@100")
    assert model.score(others) == pytest.approx(expected, abs=1e-12)
    assert model.score(others) > ist.Recommender("popularity").fit(grouped()).score(others)
    with pytest.raises(InputError, match=r"nobody to judge by: of 1 user none .* fewer than 5 items"):
        model.score([[0, 1]])


def test_judge_has_popularity_and_ease_beside():
    model = ist.Recommender("edlae", strength=3.0, dropout=0.3).fit(grouped(120))
    others = grouped(30, seed=9)
    judged = model.judge(others, at=[5])
    assert [row.name for row in judged.rows] == ["popularity", "EASE", "this model"]
    assert judged.users == 30
    group = folded(others, np.arange(30), 0.2)
    found = ranked(model.model_.scores, group.given, group.wanted, at=[5])
    assert judged.rows[2].figures["ndcg@5"] == pytest.approx(found.mean("ndcg@5"), abs=1e-12)
    assert judged.rows[2].errors["ndcg@5"] == pytest.approx(found.standard_error("ndcg@5"), abs=1e-12)
    assert judged.rows[2].figures["ndcg@5"] > judged.rows[0].figures["ndcg@5"]
    frame = judged.frame()
    assert frame.loc["this model", "coverage@5"] == found.mean("coverage@5")
    assert {"recall@5", "truncated_recall@5", "ndcg@5", "novelty@5 error", "coverage@5"} <= set(frame.columns)
    assert max(map(len, str(judged).split("\n")[:6])) <= 80
    assert "30 users judged: 20% of each history is hidden" in str(judged)


@pytest.mark.parametrize("protocol", ["users", "items", "time"])
def test_judge_parts_the_interactions_of_the_fit(protocol):
    x = grouped(90)
    frame = table(x, time=np.random.default_rng(0).permutation(x.nnz))
    model = ist.Recommender("ease", strength=3.0).fit(frame)
    judged = model.judge(protocol=protocol, at=[5])
    assert judged.users == (18 if protocol == "users" else pytest.approx(84, abs=8))
    assert judged.rows[2].model == "EASE, strength 3"
    assert judged.rows[2].figures["ndcg@5"] > judged.rows[0].figures["ndcg@5"]
    assert model.judge(protocol=protocol, at=[5]).frame().equals(judged.frame())


def test_judge_refuses_what_it_cannot_do(small):
    with pytest.raises(InputError, match="protocol must be one of 'users', 'items', 'time'; got 'rows'"):
        small.judge(protocol="rows")
    with pytest.raises(InputError, match="protocol='time' needs times"):
        small.judge(protocol="time")
    with pytest.raises(InputError, match="nobody to judge by"):
        small.judge()
    with pytest.raises(InputError, match="of a single user none can be held out"):
        recommender_judging.parts_of(grouped(1), None, "users", 0)


# ---------------------------------------------------------------------- updates


@pytest.mark.parametrize("method", ["ease", "edlae", "sparse", "popularity"])
@pytest.mark.parametrize("many", [20, 0])
def test_partial_fit_equals_a_refit(method, many, monkeypatch):
    """New users, further items of known users, and new items that sort between the known ones."""
    monkeypatch.setattr("isthmus.estimators.recommender_data.MANY", many)
    frame = table(grouped(90))
    late = (frame["user"] > "u080") | frame["item"].isin(["i03", "i17"])
    knobs = {} if method == "popularity" else {"strength": 3.0, **({"dropout": 0.3} if method == "edlae" else {})}
    model = ist.Recommender(method, **knobs).fit(frame[~late]).partial_fit(frame[late])
    whole = ist.Recommender(method, **knobs).fit(frame)
    assert model.interactions_.items.tolist() == whole.interactions_.items.tolist()
    assert model.interactions_.users.tolist() == whole.interactions_.users.tolist()
    assert (model.interactions_.matrix != whole.interactions_.matrix).nnz == 0
    assert np.array_equal(model.popular_, whole.popular_)
    scores = [one.model_.scores(whole.interactions_.matrix) for one in (model, whole)]
    assert np.abs(scores[0] - scores[1]).max() <= 1e-6
    assert "i03" in model.recommend([["i01", "i02"]], k=24 - 2).items[0]


def test_partial_fit_goes_on_after_a_file(tmp_path):
    frame = table(grouped(90))
    late = frame["user"] > "u080"
    model = ist.Recommender("ease", strength=3.0).fit(frame[~late])
    loaded = ist.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.partial_fit(frame[late]).model_.weights, model.partial_fit(frame[late]).model_.weights)


def test_partial_fit_of_matrices_and_lists_adds_users():
    x = grouped(90)
    model = ist.Recommender("ease", strength=3.0).fit(x[:70]).partial_fit(x[70:80]).partial_fit(
        [row.indices.tolist() for row in x[80:]]
    )  # fmt: skip
    assert model.interactions_.users.tolist() == list(range(90))
    assert np.array_equal(model.model_.weights, ist.Recommender("ease", strength=3.0).fit(x).model_.weights)
    named = ist.Recommender("ease", strength=1.0).fit({"0": ["sun", "sea"], "b": ["sea"]}).partial_fit([["sun"]])
    assert named.interactions_.users.tolist() == ["0", "1", "b"]


@pytest.mark.parametrize(("duplicates", "weight"), [("sum", 7.0), ("last", 2.0)])
def test_partial_fit_of_known_pairs(duplicates, weight):
    first = pd.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "rating": [5, 1]})
    second = pd.DataFrame({"user": ["a"], "item": ["x"], "rating": [2]})
    model = ist.Recommender("ease", strength=1.0).fit(first, duplicates=duplicates).partial_fit(second)
    assert model.interactions_.matrix.toarray().tolist() == [[weight, 0], [0, 1]]
    assert model.model_.weights == pytest.approx(
        ist.Recommender("ease", strength=1.0).fit(pd.concat([first, second]), duplicates=duplicates).model_.weights
    )


def test_partial_fit_by_time_keeps_the_latest():
    first = pd.DataFrame({"user": ["a"], "item": ["x"], "rating": [5], "time": [9]})
    second = pd.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "rating": [2, 1], "time": [3, 4]})
    model = ist.Recommender("ease", strength=1.0).fit(first, duplicates="last").partial_fit(second)
    assert model.interactions_.matrix.toarray().tolist() == [[5, 1]]
    assert model.interactions_.times.tolist() == [9, 4]


def test_partial_fit_of_other_types_of_ids():
    model = ist.Recommender("ease", strength=1.0).fit({1: [10, 20], 2: [20, 30]})
    with pytest.warns(DataWarning, match="item ids were whole numbers in the fit, .* texts from now on, such as '10'"):
        model.partial_fit({1: ["late"], 3: [10]})
    assert "all are texts from now on" in model.said_[-1]
    assert model.interactions_.users.tolist() == [1, 2, 3]
    assert model.interactions_.items.tolist() == ["10", "20", "30", "late"]
    whole = ist.Recommender("ease", strength=1.0).fit({1: ["10", "20", "late"], 2: ["20", "30"], 3: ["10"]})
    assert model.model_.weights == pytest.approx(whole.model_.weights)


def test_partial_fit_first_is_a_fit():
    model = ist.Recommender("ease", strength=1.0).partial_fit(TAKEN)
    assert np.array_equal(model.model_.weights, ist.Recommender("ease", strength=1.0).fit(TAKEN).model_.weights)


# ---------------------------------------------------------------------- ratings and columns


def ratings() -> pd.DataFrame:
    rows = [("a", "x", 5), ("a", "y", 4), ("b", "x", 4), ("b", "z", 1), ("c", "y", 5), ("c", "z", 2)]
    return pd.DataFrame(rows, columns=["who", "what", "stars"])


def test_at_least_learns_from_likes_alone():
    model = ist.Recommender("ease", strength=1.0, at_least=4).fit(ratings(), user="who", item="what")
    assert model.popular_.tolist() == [2, 2, 0]
    plain = ist.Recommender("ease", strength=1.0).fit({"a": ["x", "y"], "b": ["x"], "c": ["y"]})
    assert model.model_.weights[:2, :2] == pytest.approx(plain.model_.weights)
    assert (model.model_.weights[2] == 0).all()
    # What b rated low is neither a reason for y nor recommended again.
    found = model.recommend(ratings(), k=1, reasons=3)
    assert found.items[1].tolist() == ["y"]
    assert [name for name, _ in found.reasons[1][0]] == ["x"]


def test_at_least_counts_all_of_what_has_no_ratings():
    model = ist.Recommender("ease", strength=1.0, at_least=4).fit(ratings(), user="who", item="what")
    rated = pd.DataFrame({"who": ["n"], "what": ["x"], "stars": [5]})
    for history in ([["x"]], rated, rated[["who", "what"]]):
        assert model.recommend(history, k=1).items.tolist() == [["y"]]
        assert model.recommend(history, k=1).scores[0, 0] > 0
    model.partial_fit({"new": ["z", "x"]})
    assert model.popular_.tolist() == [3, 2, 1]


def test_at_least_takes_the_last_of_ratings_that_come_twice():
    twice = pd.concat([ratings(), pd.DataFrame([("b", "x", 3)], columns=["who", "what", "stars"])])
    model = ist.Recommender("ease", strength=1.0, at_least=4).fit(twice, user="who", item="what")
    assert model.popular_.tolist() == [1, 2, 0]
    assert "1 pair of user and item come more than once: the last row counts" in model.said_


def test_columns_need_not_be_named_twice(small):
    model = ist.Recommender("ease", strength=1.0).fit(ratings(), user="who", item="what", weight=False)
    assert model.interactions_.matrix.data.tolist() == [1] * 6
    assert model.recommend(ratings(), k=1).users.tolist() == ["a", "b", "c"]
    other = ratings().rename(columns={"who": "soul"})
    assert model.recommend(other, k=1, user="soul").users.tolist() == ["a", "b", "c"]
    with pytest.raises(InputError, match="which column of histories holds the users"):
        model.recommend(other, k=1)


# ---------------------------------------------------------------------- files and manners


@pytest.mark.parametrize("method", ["ease", "sparse", "popularity", "auto"])
def test_saved_and_loaded_is_the_same(method, tmp_path):
    frame = table(grouped(90), time=1.5)
    model = ist.Recommender(method, random_state=1).fit(frame)
    loaded = ist.load(model.save(tmp_path / "model.safetensors"))
    one, other = (each.recommend([["i00", "i01"], ["i20"]], k=8) for each in (model, loaded))
    assert np.array_equal(one.items, other.items)
    assert np.array_equal(one.scores, other.scores)
    assert loaded.get_params() == model.get_params()
    assert (loaded.knobs_, loaded.said_, loaded.columns_) == (model.knobs_, model.said_, model.columns_)
    assert loaded.choice_ == model.choice_
    assert loaded.interactions_.times.tolist() == model.interactions_.times.tolist()
    assert (loaded.interactions_.matrix != model.interactions_.matrix).nnz == 0


def test_a_choice_without_users_is_saved(tmp_path):
    model = ist.load(ist.Recommender().fit(TAKEN).save(tmp_path / "model.safetensors"))
    assert model.choice_.users == 0
    assert np.isnan(model.choice_.quality)
    assert model.interactions_.users.tolist() == sorted(TAKEN)


def test_damaged_tensors_are_refused(small):
    import torch

    spec, kept = state_of(small)
    tensors = {name: torch.as_tensor(value) for name, value in kept.items()}
    with pytest.raises(FileFormatError, match="weights has the shape \\(3, 4\\), not \\(4, 4\\)"):
        restored(spec, {**tensors, "weights": tensors["weights"][:3]})
    with pytest.raises(FileFormatError, match="matrix is no sparse matrix"):
        restored(spec, {**tensors, "matrix.indices": tensors["matrix.indices"] + 9})


def test_clone_and_parameters():
    model = ist.Recommender("edlae", strength=3.0, dropout=0.2, neighbours=7, at_least=2, random_state=4)
    assert clone(model).get_params() == model.get_params()
    for call in (
        lambda: model.recommend([["a"]]),
        lambda: model.similar_items("a"),
        lambda: model.explain(["a"], "b"),
        lambda: model.score([["a"]]),
        lambda: model.judge(),
        lambda: model.save("nothing.safetensors"),
    ):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"method": "eas"}, "method must be one of 'auto'.*got 'eas'. Did you mean 'ease'"),
        ({"strength": 0}, "strength must be a number > 0; got 0"),
        ({"strength": "much"}, "strength must be a number > 0; got 'much'"),
        ({"dropout": 1}, "dropout must be a number >= 0"),
        ({"method": "ease", "dropout": 0.5}, "'sparse' and 'auto', .* path of the deep 'mult_dae', .* 'ease' has"),
        ({"neighbours": 0}, "neighbours must be a whole number >= 1"),
        ({"at_least": -1}, "at_least must be a number > 0"),
        ({"at_least": 9}, "at_least=9 leaves no interaction: the largest is 1"),
    ],
)
def test_bad_parameters_are_refused(knobs, said):
    with pytest.raises(InputError, match=said):
        ist.Recommender(**knobs).fit(TAKEN)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (pd.DataFrame({"user": [1], "item": [1], "rating": [-2.0]}), "'rating' of row number 1 is -2.0"),
        (pd.DataFrame({"user": [1], "item": [1], "rating": [np.nan]}), "'rating' of row number 1 is missing"),
        (scipy.sparse.csr_array(np.array([[1.0, np.nan]])), "the entry of \\(row 0, column 1\\) is missing"),
        (np.ones((2, 2)), "X must be a table .* scipy.sparse.csr_array\\(X\\)"),
        (pd.DataFrame({"a": [1], "b": [2]}), "which column of X holds the users"),
        ([["a"], "b"], "history number 2 is 'b'"),
        ([[], []], "X has no interactions"),
    ],
)
def test_bad_interactions_are_refused(X, said):
    with pytest.raises(InputError, match=said):
        ist.Recommender(strength=1.0).fit(X)


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = ist.Recommender("ease", strength=1.0).fit(TAKEN)
    before = model.recommend([["sun"]], k=2).items.tolist()
    with pytest.raises(InputError):
        model.partial_fit(pd.DataFrame({"user": ["a"], "item": ["b"], "rating": [-1]}))
    assert model.recommend([["sun"]], k=2).items.tolist() == before


def test_said_of_duplicates_and_mixed_ids(capsys):
    frame = pd.DataFrame({"user": ["a", "a", "b"], "item": np.array([1, 1, "x"], dtype=object)})
    model = ist.Recommender("ease", strength=1.0, verbose=1).fit(frame)
    assert "item ids are both texts and whole numbers: all are taken as texts" in model.said_
    assert "1 pair of user and item come more than once: their weights are added up" in model.said_
    assert capsys.readouterr().out.splitlines() == list(model.said_)
    assert model.recommend([[1]], k=1).items.tolist() == [["x"]]


def test_users_with_one_item_are_no_trouble():
    model = ist.Recommender(strength=1.0).fit({name: ["only"] for name in "abc"} | {"d": ["other"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.recommend([["other"]], k=1)
    assert found.items.tolist() == [["only"]]
    assert found.scores[0, 0] == 0
