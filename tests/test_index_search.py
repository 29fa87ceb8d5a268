"""Exact search among binary codes: every way gives the answer of brute force, and what is called proven is."""

import sys

import numpy as np
import pytest

from isthmus.errors import InputError, MissingExtraError
from isthmus.index import faiss_scan, flat, plan, search, widening
from isthmus.index.bits import packed, unpacked
from isthmus.index.plan import Plan, costs_of
from isthmus.index.search import Made, Search
from isthmus.index.substrings import dealt
from isthmus.index.tables import Tables, steps_of

ENGINES = ["numpy", pytest.param("faiss", marks=pytest.mark.skipif(not faiss_scan.is_installed(), reason="no Faiss"))]


def made_codes(random, bits, rows):
    """Truth values of one of several kinds: anywhere, in one or some clusters, all equal, repeated, bits that agree."""
    centre = random.random(bits) < 0.5
    kind = random.integers(6)
    if kind == 0:
        return random.random((rows, bits)) < 0.5
    if kind == 1:
        return centre ^ (random.random((rows, bits)) < 0.05)
    if kind == 2:
        return np.tile(centre, (rows, 1))
    if kind == 3:
        return np.repeat(random.random((rows // 20 + 1, bits)) < 0.5, 20, axis=0)[:rows]
    if kind == 4:
        return (random.random((5, bits)) < 0.5)[random.integers(0, 5, rows)] ^ (random.random((rows, bits)) < 0.08)
    return np.repeat(random.random((rows, bits // 3 + 1)) < 0.5, 3, axis=1)[:, :bits]


def brute(queries, codes, allowed):
    """(queries, rows) distances, and row numbers by distance and then by row; those not allowed last."""
    apart = np.bitwise_count(queries[:, None] ^ codes).sum(2, dtype=np.int64)
    ranked = apart if allowed is None else np.where(allowed, apart, 1 << 20)
    return apart, np.argsort(ranked, axis=1, kind="stable")


def case(seed):
    """Bits, codes, queries, allowed rows and k of a small random case."""
    random = np.random.default_rng(seed)
    bits, rows = int(random.choice([8, 11, 16, 20, 32, 40, 64, 65, 128, 300])), int(random.choice([1, 2, 5, 40, 400]))
    given = made_codes(random, bits, rows)
    near = given[random.integers(0, rows, 4)] ^ (random.random((4, bits)) < 0.05)
    asked = np.concatenate([near, random.random((2, bits)) < 0.5, given[:1]])[: int(random.integers(1, 8))]
    allowed = None
    if random.random() < 0.5:
        allowed = random.random(rows) < random.choice([0.05, 0.5, 0.9])
        allowed[random.integers(rows)] = True
    may = rows if allowed is None else int(allowed.sum())
    k = may if random.random() < 0.2 else int(random.integers(1, min(may, 30) + 1))
    return random, bits, packed(given), packed(asked), allowed, k


def with_tables(random, codes, bits, engine):
    """A search whose tables are made, of the first rows or of all, though they would not pay; or None."""
    used = sum(map(len, dealt(codes, bits, 1)))
    if not used:
        return None
    tables = int(random.integers(-(-used // 14), max(used // 4, -(-used // 14)) + 1))
    groups = dealt(codes, bits, tables)
    if random.random() < 0.3:  # some bits are in no table
        groups = [group[: max(len(groups[-1]) - 2, 1)] for group in groups]
    first = len(codes) if random.random() < 0.6 else int(random.integers(1, len(codes) + 1))
    budget = float(random.choice([2e3, 1e5, 1e9]))
    chosen = Plan(groups, int(random.integers(0, 3)), budget, budget, 0.0)
    found = Search(codes, bits, engine)
    found.made = Made(chosen, Tables.made(codes[:first], groups), first)
    return found


def check_nearest(found, apart, ranked, k):
    np.testing.assert_array_equal(found.rows, ranked[:, :k])
    np.testing.assert_array_equal(found.distances, np.take_along_axis(apart, ranked[:, :k], 1))
    assert found.exact.all()
    assert (found.recall == 1).all()


def check_within(found, apart, ranked, r, allowed):
    for query, order in enumerate(ranked):
        fine = (apart[query, order] <= r) & (True if allowed is None else allowed[order])
        here = slice(found.starts[query], found.starts[query + 1])
        np.testing.assert_array_equal(found.rows[here], order[fine])
        np.testing.assert_array_equal(found.distances[here], apart[query, order[fine]])


@pytest.fixture
def eager(monkeypatch):
    """Tables that pay for the fewest rows, and arrays so small that every search takes several of them."""
    for module in (widening, plan):
        monkeypatch.setattr(module, "STAGE", 1e-9)
    monkeypatch.setattr(widening, "ROOM", 300)
    monkeypatch.setitem(search.PER_ROW, "numpy", 1e4)
    monkeypatch.setitem(search.PER_ROW, "faiss", 1e4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.usefixtures("eager")
def test_tables_give_the_answer_of_brute_force(engine):
    by_tables, within_by_tables, asked = 0, 0, 0
    for seed in range(150):
        random, bits, codes, queries, allowed, k = case(seed)
        apart, ranked = brute(queries, codes, allowed)
        searching = with_tables(random, codes, bits, engine)
        if searching is None:
            continue
        nearest = searching.nearest(queries, k, allowed)
        check_nearest(nearest, apart, ranked, k)
        r = int(random.integers(0, min(bits, 12) + 1)) if random.random() < 0.8 else bits
        around = searching.within(queries, r, allowed)
        check_within(around, apart, ranked, r, allowed)
        by_tables += int(nearest.by_tables.sum())
        within_by_tables += int(around.by_tables.sum())
        asked += len(queries)
    assert 0.2 * asked < by_tables < asked  # both ways are gone
    assert 0.2 * asked < within_by_tables < asked


@pytest.mark.parametrize("engine", ENGINES)
def test_scans_give_the_answer_of_brute_force(engine):
    for seed in range(150, 300):
        random, bits, codes, queries, allowed, k = case(seed)
        apart, ranked = brute(queries, codes, allowed)
        searching = Search(codes, bits, engine)
        found = searching.nearest(queries, k, allowed)
        check_nearest(found, apart, ranked, k)
        assert not found.by_tables.any()
        assert (found.scanned == len(codes)).all()
        r = int(random.integers(0, bits + 1))
        check_within(searching.within(queries, r, allowed), apart, ranked, r, allowed)


@pytest.mark.usefixtures("eager")
def test_what_a_time_budget_leaves_unproven_is_said():
    partly = 0
    for seed in range(300, 400):
        random, bits, codes, queries, allowed, k = case(seed)
        _, ranked = brute(queries, codes, allowed)
        searching = with_tables(random, codes, bits, "numpy")
        if searching is None:
            continue
        found = searching.nearest(queries, k, allowed, time_budget=1e-9)
        for query, rows in enumerate(found.rows):
            some = rows[rows >= 0]
            assert len(np.unique(some)) == len(some)
            assert allowed is None or allowed[some].all()
            right = len(np.intersect1d(some, ranked[query, :k]))
            assert right >= found.recall[query] * k - 1e-9
            if found.exact[query]:
                np.testing.assert_array_equal(rows, ranked[query, :k])
            partly += 0 < found.recall[query] < 1
    assert partly > 0


def test_without_tables_a_time_budget_ends_with_one_scan_at_least():
    codes = np.random.default_rng(0).integers(0, 1 << 32, (1000, 1), np.uint32)
    found = Search(codes, 32, "numpy").nearest(codes[:500], 2, time_budget=1e-3)
    assert found.exact[0]
    assert (found.rows[~found.exact] == -1).all()
    assert (found.distances[~found.exact] == -1).all()
    assert (found.recall == found.exact).all()
    np.testing.assert_array_equal(found.rows[found.exact, 0], np.flatnonzero(found.exact))


@pytest.fixture(scope="module")
def many():
    """150,000 codes of 64 bits in clusters of about 100, and 20 queries of the same kind."""
    random = np.random.default_rng(7)
    centres = random.random((1500, 64)) < 0.5
    given = centres[random.integers(0, 1500, 150_020)] ^ (random.integers(0, 256, (150_020, 64), np.uint8) < 10)
    codes = packed(given)
    return codes[:-20].copy(), codes[-20:].copy()


@pytest.mark.parametrize("engine", ENGINES)
def test_made_tables_answer_ordinary_queries(many, engine):
    codes, queries = many
    searching = Search(codes, 64, engine).prepare()
    assert searching.made.tables is not None
    assert searching.bytes / len(codes) < 40
    apart, ranked = brute(queries, codes, None)
    found = searching.nearest(queries, 10)
    check_nearest(found, apart, ranked, 10)
    assert found.by_tables.mean() >= 0.9
    assert found.scanned[found.by_tables].max() < len(codes) / 2
    around = searching.within(queries, 2)
    check_within(around, apart, ranked, 2, None)
    assert around.by_tables.all()


@pytest.mark.skipif(not faiss_scan.is_installed(), reason="no Faiss")
def test_faiss_and_numpy_break_the_same_ties_the_same_way():
    codes = np.random.default_rng(3).integers(0, 1 << 8, (200_000, 1), np.uint16)  # some 780 rows of every code
    for k in (1, 10, 900):
        for ours, theirs in zip(
            flat.nearest(codes[:5], codes, k), faiss_scan.nearest(codes[:5], codes, k), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype


def test_tables_are_made_when_scans_have_cost_as_much(many):
    codes, queries = many
    searching = Search(codes, 64, "numpy")
    for _ in range(search.SCANS // len(queries)):
        searching.within(queries, 0)
        assert searching.made is None
    searching.nearest(queries[:1], 1)
    assert searching.made is not None
    assert Search(codes[:2000], 64).prepare().made is None  # a scan of so few takes no time


def test_a_grown_search_scans_the_new_rows_until_they_are_an_eighth(many):
    codes, queries = many
    first = Search(codes[:140_000], 64, "numpy").prepare()
    grown = first.grown(codes)
    assert grown.made is first.made
    assert first.rows == 140_000
    assert grown.rows == 150_000
    apart, ranked = brute(queries, codes, None)
    check_nearest(grown.nearest(queries, 10), apart, ranked, 10)
    check_within(grown.within(queries, 9), apart, ranked, 9, None)
    assert grown.nearest(queries, 10).by_tables.mean() >= 0.9
    allowed = np.zeros(len(codes), bool)
    allowed[::7] = True
    apart, ranked = brute(queries, codes, allowed)
    check_nearest(grown.nearest(queries, 10, allowed), apart, ranked, 10)
    check_within(grown.within(queries, 9, allowed), apart, ranked, 9, allowed)
    more = Search(codes[:120_000], 64, "numpy").prepare().grown(codes)
    assert more.made is None
    more.nearest(queries[:1], 1)
    assert more.made.rows == 150_000


def test_codes_in_no_order_a_table_could_use_are_scanned():
    codes = np.random.default_rng(0).integers(0, 1 << 64, (60_000, 2), np.uint64)
    searching = Search(codes, 128, "numpy").prepare()
    assert searching.made.plan.alone == searching.made.plan.together == 0
    found = searching.nearest(codes[:3] ^ np.uint64(0x0F0F), 5)
    assert not found.by_tables.any()
    assert found.exact.all()
    equal = Search(np.ones((100_000, 1), np.uint64), 64, "numpy").prepare()
    assert equal.made.tables is None
    assert equal.nearest(np.ones((1, 1), np.uint64), 3).rows.tolist() == [[0, 1, 2]]


def test_look_ups_are_all_ways_to_flip_bits():
    steps = steps_of((4, 3), 0, 2)
    for table, length in enumerate((4, 3)):
        masks = steps.masks[steps.table == table]
        assert sorted(masks) == [m for m in range(1 << length) if m.bit_count() <= 2]
    last = [steps.masks[start:end] for start, end in zip(steps.at[:-1], steps.at[1:], strict=True)]
    assert [len(masks) for masks in last] == [6, 3]
    assert {m.bit_count() for m in np.concatenate(last).tolist()} == {2}


def test_the_cost_of_a_search_follows_from_how_far_its_rows_are():
    candidates = np.zeros((3, 2, plan.LEVELS))
    candidates[:, :, 1], candidates[:, :, 2:] = [1, 1000], 10_000
    first, stages, costs = costs_of([10, 10], candidates, np.array([1, 4, 40]))
    assert first == 1  # two levels cost less than a stage: 2 + 20 look-ups, 1001 candidates
    assert stages[:2].tolist() == [1, 2]
    whole = widening.LOOK_UP * 22 + widening.CANDIDATE * 1001
    third = widening.LOOK_UP * 90 + widening.CANDIDATE * 10_000  # of all look-ups, and of one table's candidates
    np.testing.assert_allclose(costs, [whole, whole + third, np.inf])


def test_the_budget_gives_up_what_a_scan_does_sooner():
    assert plan.best_budget(np.array([0.1, 0.2, 0.9]), 1.0) == (1.0, pytest.approx(0.4))
    assert plan.best_budget(np.array([np.inf] * 3), 1.0) == (0.0, 1.0)
    easy_or_hopeless = np.array([0.1] * 8 + [np.inf] * 8)
    assert plan.best_budget(easy_or_hopeless, 1.0) == (1 / 8, pytest.approx(0.6125))


@pytest.mark.parametrize("queries", [0, 1, 2 * search.AT_ONCE + 1])
@pytest.mark.parametrize("engine", ENGINES)
def test_any_number_of_queries(queries, engine):
    codes = np.arange(300, dtype=np.uint16)[:, None]
    asked = np.resize(codes, (queries, 1))
    found = Search(codes, 16, engine).nearest(asked, 2)
    assert found.rows.shape == found.distances.shape == (queries, 2)
    np.testing.assert_array_equal(found.rows[:, 0], asked[:, 0])
    around = Search(codes, 16, engine).within(asked, 0)
    np.testing.assert_array_equal(around.rows, asked[:, 0])
    np.testing.assert_array_equal(around.starts, np.arange(queries + 1))


def test_codes_are_read_where_they_lie(tmp_path):
    codes = packed(np.random.default_rng(0).random((100, 70)) < 0.5)
    codes.tofile(tmp_path / "codes")
    mapped = np.memmap(tmp_path / "codes", np.uint64, "r", shape=(100, 2))
    searching = Search(mapped, 70)
    assert np.shares_memory(searching.codes, mapped)
    assert searching.nearest(codes[:9], 1).rows[:, 0].tolist() == list(range(9))


def test_bad_input_is_refused_in_words():
    codes = packed(np.random.default_rng(0).random((20, 40)) < 0.5)
    searching = Search(codes, 40, "numpy")
    with pytest.raises(InputError, match=r"k must be at most the number of rows that may be found, 20; got 21"):
        searching.nearest(codes, 21)
    with pytest.raises(InputError, match=r"k must be at most the number of rows that may be found, 3; got 4"):
        searching.nearest(codes, 4, np.arange(20) < 3)
    with pytest.raises(InputError, match=r"nearest: k must be a whole number >= 1; got 0"):
        searching.nearest(codes, 0)
    with pytest.raises(InputError, match=r"radius must be a whole number of bits from 0 to 40; got 41"):
        searching.within(codes, 41)
    with pytest.raises(InputError, match=r"radius must be a whole number of bits from 0 to 40; got -1"):
        searching.within(codes, -1)
    with pytest.raises(InputError, match=r"queries must be codes of 40 bits, \(queries, 1\) uint64.* shape \(20, 2\)"):
        searching.nearest(np.zeros((20, 2), np.uint64), 1)
    with pytest.raises(InputError, match=r"queries must be codes of 40 bits.* of uint32"):
        searching.within(np.zeros((20, 1), np.uint32), 1)
    with pytest.raises(InputError, match=r"queries must be codes of 40 bits; some have bits set beyond these"):
        searching.nearest(packed(np.ones((1, 64), bool)), 1)
    with pytest.raises(InputError, match=r"allowed must be a truth value for each of the 20 rows; got shape \(19,\)"):
        searching.nearest(codes, 1, np.ones(19, bool))
    with pytest.raises(InputError, match=r"time_budget must be a number of seconds above 0; got 0"):
        searching.nearest(codes, 1, time_budget=0)
    with pytest.raises(InputError, match=r"the index is empty: add rows before searching"):
        Search(codes[:0], 40).nearest(codes, 1)
    with pytest.raises(InputError, match=r"the index is empty: add rows before searching"):
        Search(codes[:0], 40).within(codes, 1)
    with pytest.raises(InputError, match=r"engine must be one of 'auto', 'faiss', 'numpy'; got 'flat'"):
        Search(codes, 40, "flat")
    with pytest.raises(InputError, match=r"codes must be codes of 64 bits"):
        Search(codes.astype(np.int64), 64)


def test_without_faiss_numpy_scans_and_asking_for_faiss_says_how_to_install_it(monkeypatch):
    codes = packed(np.eye(8, dtype=bool))
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isthmus\[retrieval\]'"):
        Search(codes, 8, "faiss")
    monkeypatch.setattr(faiss_scan, "is_installed", lambda: False)
    assert Search(codes, 8).engine == "numpy"


@pytest.mark.skipif(not faiss_scan.is_installed(), reason="no Faiss")
def test_faiss_keeps_its_threads_and_works_beside_torch():
    import faiss
    import torch

    threads, codes = faiss.omp_get_max_threads(), packed(np.random.default_rng(0).random((1000, 64)) < 0.5)
    product = torch.ones(64, 64) @ torch.ones(64, 64)
    assert Search(codes, 64).engine == "faiss"
    assert Search(codes, 64).nearest(codes[:3], 1).rows[:, 0].tolist() == [0, 1, 2]
    assert torch.equal(torch.ones(64, 64) @ torch.ones(64, 64), product)
    assert faiss.omp_get_max_threads() == threads


def test_unpacked_queries_differ_as_their_bits_do():
    codes = packed(np.random.default_rng(5).random((60, 100)) < 0.5)
    found = Search(codes, 100).nearest(codes[:4], 60)
    bits = unpacked(codes, 100)
    expected = (bits[:4, None] != bits[found.rows]).sum(2)
    np.testing.assert_array_equal(found.distances, expected)
