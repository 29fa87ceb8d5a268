"""Figures about tables: exact values by hand, columns of every type, and what is refused."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from isthmus.errors import InputError
from isthmus.fidelity import two_sample_accuracy
from isthmus.table_columns import TREE_LEVELS, codes, cuts, encoded, folded, numbers, vectors
from isthmus.table_fidelity import (
    TableFidelity,
    associations,
    cramers_v,
    marginals,
    table_fidelity,
    train_on_synthetic,
)


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """Every type of column, with missing cells, and an answer that follows from two of them."""
    generator = np.random.default_rng(seed)
    height, town = generator.normal(170, 10, rows), generator.choice(list("abc"), rows, p=[0.6, 0.3, 0.1])
    frame = pd.DataFrame(
        {
            "height": height,
            "children": generator.poisson(1.0, rows),
            "town": town,
            "member": generator.random(rows) < 0.3,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 1000, rows), unit="D"),
            "gain": np.where(generator.random(rows) < 0.9, 0.0, generator.exponential(1000, rows)),
            "tall": np.where(height + 10 * (town == "a") > 175, "yes", "no"),
        }
    )
    frame.loc[generator.random(rows) < 0.1, "height"] = np.nan
    frame.loc[generator.random(rows) < 0.1, "joined"] = pd.NaT
    frame["town"] = frame["town"].where(generator.random(rows) > 0.1)
    return frame


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every column by itself."""
    generator = np.random.default_rng(seed)
    return pd.DataFrame({name: frame[name].to_numpy()[generator.permutation(len(frame))] for name in frame})


def test_total_variation_by_hand() -> None:
    real = pd.DataFrame({"town": ["a", "a", "b", None], "x": np.arange(4.0)})
    drawn = pd.DataFrame({"x": [0, 0, 3, np.nan, 9], "town": ["a", "c", None, None, "b"]})
    # a: 1/2 and 1/5, b: 1/4 and 1/5, missing: 1/4 and 2/5, c: 0 and 1/5
    # 0: 1/4 and 2/5, 1: 1/4 and 0, 2 as well, 3: 1/4 and 1/5, above it and missing: 0 and 1/5
    assert marginals(real, drawn) == {
        "town": pytest.approx(0.35),
        "x": pytest.approx((0.15 + 0.25 + 0.25 + 0.05 + 0.4) / 2),
    }


def test_a_table_beside_itself_and_in_another_order() -> None:
    real = people(500)
    assert set(marginals(real, shuffled(real)[real.columns[::-1]]).values()) == {0.0}
    assert associations(real, real.sample(frac=1, random_state=0)) == 0
    assert associations(real, shuffled(real)) > 0.02
    assert marginals(real, real.assign(town=None))["town"] == pytest.approx(real["town"].notna().mean())


def test_chance_differs_as_the_docstring_says() -> None:
    frames = [pd.DataFrame({"x": np.random.default_rng(seed).normal(size=2000)}) for seed in range(40)]
    found = [marginals(first, second)["x"] for first, second in zip(frames[:20], frames[20:], strict=True)]
    assert np.mean(found) == pytest.approx(0.4 * np.sqrt(20 * 2 / 2000), rel=0.1)


def test_bins_hold_as_many_real_rows_each() -> None:
    x = np.random.default_rng(0).lognormal(size=2000)
    (found,), size = codes([pd.Series(x)])
    np.testing.assert_array_equal(np.bincount(found, minlength=size), [0] + [100] * 20)


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    """Half of the cells are 0: numbers beside it fall into other bins, unless they are 0 but for rounding."""
    real = pd.Series(np.concatenate([np.zeros(100), np.arange(-50.0, 0), np.arange(1.0, 51.0)]))
    drawn = pd.Series([0.0, 1e-6, -1e-6, 0.1, -0.1], dtype="float32")
    (_, found), _ = codes([real, drawn])
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3
    tenths = pd.Series(np.repeat([0.1, 0.3, 1e9 + 0.1, 1e9 + 0.2], 30))
    (first, second), _ = codes([tenths, tenths.astype("float32")])
    np.testing.assert_array_equal(first[:60], second[:60])
    assert len(set(first)) == 4


def test_rounding_moves_no_number_to_another_bin() -> None:
    """Whole ages, none of which is frequent: a bound lies between two of them, not on one."""
    ages = pd.Series(np.random.default_rng(0).integers(18, 90, 3000))
    assert marginals(ages.to_frame("age"), (ages + 1e-4).to_frame("age")) == {"age": 0.0}
    assert marginals(ages.to_frame("age"), (ages - 1e-4).to_frame("age")) == {"age": 0.0}


def test_cuts_of_few_and_of_no_numbers() -> None:
    assert not len(cuts(np.array([])))
    assert len(cuts(np.array([7.0]))) == 2
    (first, second), size = codes([pd.Series([np.nan, np.nan]), pd.Series([1.0, np.nan])])
    assert first.tolist() == [0, 0]
    assert second.tolist() == [1, 0]
    assert size == 2


@pytest.mark.parametrize(
    ("real", "drawn"),
    [
        (pd.Series([1, 2, None], dtype="Int64"), pd.Series([1.0, 2.0, np.nan])),
        (pd.Series([True, False, True]), pd.Series([1, 0, 1])),
        (pd.Series([True, None, False], dtype="boolean"), pd.Series([True, None, False], dtype=object)),
        (pd.Series(["a", "b", None], dtype="category"), pd.Series(["a", "b", None], dtype="string")),
        (pd.Series([1, 2, 3], dtype=object), pd.Series([1.0, 2.0, 3.0], dtype="float32")),
        (pd.to_datetime(pd.Series(["2020-01-02", None])), pd.Series([datetime.date(2020, 1, 2), None])),
        (
            pd.Series([datetime.date(2020, 1, 2), None]),
            pd.to_datetime(pd.Series(["2020-01-02", None])).astype("M8[ms]"),
        ),
        (
            pd.to_datetime(pd.Series(["2020-01-02"])).dt.tz_localize("UTC"),
            pd.Series([pd.Timestamp("2020-01-02", tz="Asia/Tokyo") + pd.Timedelta(hours=9)]),
        ),
        (pd.to_timedelta(pd.Series([1, 2]), unit="h"), pd.to_timedelta(pd.Series([60, 120]), unit="min")),
        (pd.Series([None, None], dtype=object), pd.Series([np.nan, np.nan])),
    ],
    ids=lambda column: str(column.dtype),
)
def test_one_column_of_several_types(real: pd.Series, drawn: pd.Series) -> None:
    assert marginals(real.to_frame("a"), drawn.to_frame("a")) == {"a": 0.0}
    assert marginals(drawn.to_frame("a"), real.to_frame("a")) == {"a": 0.0}


def test_cramers_v_is_the_corrected_formula() -> None:
    counts = np.random.default_rng(0).integers(5, 60, size=(4, 6))
    n, (r, c) = counts.sum(), counts.shape
    chi = chi2_contingency(counts, correction=False).statistic
    phi = chi / n - (r - 1) * (c - 1) / (n - 1)
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    assert cramers_v(counts) == pytest.approx(np.sqrt(phi / least))
    holed = np.insert(np.insert(counts, 2, 0, axis=0), 1, 0, axis=1)  # levels that nobody has
    assert cramers_v(holed) == pytest.approx(cramers_v(counts))
    assert cramers_v(counts[:1]) == cramers_v(np.eye(1)) == cramers_v(np.eye(2)) == 0
    assert cramers_v(np.diag([9, 5, 3])) == pytest.approx(1)


def test_associations_by_hand() -> None:
    generator = np.random.default_rng(0)
    a = generator.integers(0, 3, 600)
    real = pd.DataFrame({"a": a, "b": a.astype(str), "c": 600 * [1.0]})
    drawn = real.assign(b=np.repeat(["0", "1", "2"], 200)[generator.permutation(600)])
    counts = pd.crosstab(drawn["a"], drawn["b"]).to_numpy()
    assert associations(real, drawn) == pytest.approx((1 - cramers_v(counts)) / 3)


def test_rare_levels_are_one() -> None:
    found, size = folded([np.array([0, 4, 4, 2]), np.array([2, 4, 3, 1])], 5, 2)
    assert [part.tolist() for part in found] == [[2, 0, 0, 1], [1, 0, 2, 2]]
    assert size == 3
    names = pd.DataFrame({"name": [str(i) for i in range(2000)]})
    (rows, _), categories = encoded([names, names])
    assert categories == [True]
    assert rows.max() == TREE_LEVELS
    assert vectors(names, names)[0].shape == (2000, 101)
    assert associations(names.assign(b=1), names.assign(b=1)) == 0


def test_a_model_learns_from_what_was_drawn() -> None:
    train, test = people(800), people(600, 1)
    drawn, real = train_on_synthetic(people(800, 2), train, test, "tall")
    assert real > 0.85
    assert abs(drawn - real) < 0.04
    nothing, again = train_on_synthetic(shuffled(train), train, test, "tall")
    assert again == real
    assert nothing < 0.75
    assert train_on_synthetic(train.assign(tall="yes"), train, test, "tall")[0] == (test["tall"] == "yes").mean()
    assert train_on_synthetic(train.assign(tall="perhaps"), train, test, "tall")[0] == 0


def test_numbers_are_told_by_their_distance_and_few_whole_ones_as_classes() -> None:
    x = np.random.default_rng(0).normal(size=(900, 2))
    frame = pd.DataFrame({"x": x[:, 0], "y": x[:, 0] * 3 + 0.1 * x[:, 1]})
    frame.loc[5, "y"] = np.nan
    drawn, real = train_on_synthetic(frame.assign(y=-frame["y"]), frame[:600], frame[600:], "y")
    assert real > 0.95
    assert drawn < -2  # R^2 of what goes the wrong way
    classes = frame.assign(y=(frame["x"] > 0) + 2.0)
    assert train_on_synthetic(classes, classes[:600], classes[600:], "y")[1] > 0.97
    swapped = classes.assign(y=5 - classes["y"])
    assert train_on_synthetic(swapped, classes[:600], classes[600:], "y")[0] < 0.03


def test_all_figures_at_once() -> None:
    train, test, drawn = people(300), people(200, 1), shuffled(people(250, 2))
    found = table_fidelity(test, drawn[drawn.columns[::-1]], train, "tall", random_state=3)
    assert found.marginals == marginals(test, drawn)
    assert found.marginal == np.mean(list(found.marginals.values()))
    assert found.association == associations(test, drawn)
    assert (found.learnt_from_drawn, found.learnt_from_real) == train_on_synthetic(drawn, train, test, "tall", 3)
    assert 0.3 < found.two_sample < 1
    assert table_fidelity(test, drawn, random_state=3) == TableFidelity(
        found.marginals, found.association, found.two_sample, found.p_value
    )
    alone = test[["height"]].dropna()
    one = table_fidelity(alone, alone + 20)
    assert np.isnan(one.association)
    assert (one.two_sample, one.p_value) == two_sample_accuracy(alone, alone + 20)


def test_a_classifier_sees_what_single_columns_do_not_show() -> None:
    a = np.random.default_rng(0).integers(0, 2, 1000).astype(bool)
    real = pd.DataFrame({"a": a, "b": np.where(a, "x", "y")})
    found = table_fidelity(real, shuffled(real))
    assert found.marginal == 0
    assert found.association > 0.9
    assert 0.7 < found.two_sample < 0.8  # half of the shuffled pairs are real ones: 3/4
    assert found.p_value < 1e-20


def test_how_it_reads() -> None:
    short = TableFidelity({"a": 0.01, "b": 0.02}, 0.125, 0.5, 0.5)
    assert str(short) == "marginals 0.0150 | associations 0.1250 | told apart 0.500 (p = 0.5)"
    whole = TableFidelity({"a": 0.01, "b": 0.02}, 0.125, 0.5, 0.5, 0.75, 0.8)
    assert str(whole) == f"{short} | learnt from drawn 0.750, from real 0.800"


def test_distances_between_vectors_mean_something() -> None:
    rows = pd.DataFrame({"age": [20, 30, 90, None, 55, -4], "town": ["a", "b", "a", None, "z", "a"]})
    reference, found = vectors(rows[:3], rows[:3], rows)
    np.testing.assert_array_equal(reference, found[:3])
    assert found.dtype == np.float32
    apart = np.linalg.norm(found[:, None] - found, axis=2)
    assert apart[0, 2] == pytest.approx(1)  # the least and the greatest age, one town
    assert apart[0, 1] == pytest.approx(np.hypot(0.5, 1))
    assert apart[1, 3] == pytest.approx(np.hypot(1, 1))  # both cells missing, the age of the other in the middle
    assert apart[1, 4] == pytest.approx(np.hypot(25 / 60 / 2, 1))
    assert apart[0, 5] == 0  # below the least


def test_what_cannot_be_compared_is_refused() -> None:
    real = people(30)
    for drawn, message in [
        (real.drop(columns=["town"]), r"drawn must have the same columns as real; it lacks 'town'"),
        (real.rename(columns={"town": "city"}), r"it lacks 'town' and has 'city'"),
        (real[:0], r"drawn must be a data frame with at least one row .* got one of shape \(0, 7\)"),
        (real.to_numpy(), "drawn must be a data frame .* got ndarray"),
        (real.set_axis([*"abcdef", "a"], axis=1), "drawn has columns of one name: 'a'"),
        (real.assign(height="tall"), "column 'height' must hold float64 in every table; got "),
        (real.assign(height=real["joined"]), "column 'height' must hold float64 in every table; got datetime64"),
        (real.assign(joined=3.0), "column 'joined' must hold datetime64.* in every table"),
        (real.assign(height=np.inf), "column 'height' holds infinity"),
        (real.assign(joined=real["joined"].dt.tz_localize("UTC")), "column 'joined' must hold datetime64"),
    ]:
        for figure in (marginals, associations):
            with pytest.raises(InputError, match=message):
                figure(real, drawn)
    with pytest.raises(InputError, match="two columns or more"):
        associations(real[["town"]], real[["town"]])
    with pytest.raises(InputError, match="4 rows or more of either kind; got 30 and 3"):
        table_fidelity(real, real[:3])


def test_targets_that_cannot_be_told_are_refused() -> None:
    real = people(30)
    with pytest.raises(InputError, match=r"target must be a column; got 'tal'. Did you mean 'tall'"):
        train_on_synthetic(real, real, real, "tal")
    with pytest.raises(InputError, match="drawn: the target 'town' is missing in every row"):
        train_on_synthetic(real.assign(town=None), real, real, "town")
    with pytest.raises(InputError, match="the only column"):
        train_on_synthetic(real[["town"]], real[["town"]], real[["town"]], "town")
    with pytest.raises(InputError, match="real_train and target go together"):
        table_fidelity(real, real, target="town")


def test_numbers_are_seconds_since_the_first_date() -> None:
    days = pd.to_datetime(pd.Series(["2020-01-02", "2020-01-01", None]))
    found = numbers([days, days + pd.Timedelta(days=1)])
    assert found is not None
    np.testing.assert_array_equal(found, [[86400, 0, np.nan], [172800, 86400, np.nan]])
    assert numbers([pd.Series([True])]) is None
