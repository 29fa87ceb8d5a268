"""`Retriever`: what a search gives back, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import isthmus as ist
from isthmus.errors import FileFormatError, InputError
from isthmus.estimators.retriever_rows import warn_of_same_codes
from isthmus.index.folder import Folder

BITS = 32


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """300 points around ten centres, far apart."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(10, 20)) * 5
    return (centres[np.arange(300) % 10] + draw.normal(size=(300, 20))).astype(np.float32)


@pytest.fixture(scope="module")
def model(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "points.safetensors"
    ist.Retriever(BITS, epochs=20, random_state=0, rerank=True).fit(rows).save(path)
    return path


@pytest.fixture
def retriever(rows: np.ndarray, model: Path, tmp_path: Path) -> ist.Retriever:
    """A retriever of its own for each test, in a folder of its own."""
    made = ist.load(model)
    made.save(tmp_path / "points.safetensors")
    return made


def brute(codes: np.ndarray, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of 0/1 codes, ties by row number."""
    far = (codes != query).sum(1)
    first = np.lexsort((np.arange(len(far)), far))[:k]
    return first, far[first]


class TestQuery:
    def test_equals_comparing_all(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        plain = ist.Retriever(BITS, epochs=2, random_state=0).fit(rows)
        codes, found = plain.transform(rows), plain.query(rows[:20], 7)
        assert codes.shape == (300, BITS)
        assert set(np.unique(codes)) == {0, 1}
        for i in range(20):
            first, far = brute(codes, codes[i], 7)
            assert found.ids[i].tolist() == first.tolist()
            assert found.distances[i].tolist() == far.tolist()
        assert found.exact.all()
        assert (found.recall == 1).all()
        assert found.similarities is None
        assert found.items is None

    def test_finds_its_own_kind(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        found = retriever.query(rows, 10)
        assert (found.ids % 10 == (np.arange(300) % 10)[:, None]).mean() > 0.95

    def test_orders_by_cosine_with_rerank(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        found = retriever.query(rows[:5], 10)
        assert found.similarities is not None
        assert (np.diff(found.similarities, axis=1) <= 0).all()
        assert found.ids[:, 0].tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-3)

    def test_where_by_ids_and_by_truth_values(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        some = np.arange(100, 150)
        by_ids = retriever.query(rows[:5], 5, where=some)
        by_truth = retriever.query(rows[:5], 5, where=np.isin(retriever.ids_, some))
        assert np.isin(by_ids.ids, some).all()
        assert by_ids.ids.tolist() == by_truth.ids.tolist()

    def test_radius_is_all_within(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        codes = retriever.transform(rows)
        within = retriever.radius(rows[:6], 3)
        assert len(within) == 6
        for i in range(6):
            far = (codes != codes[i]).sum(1)
            assert sorted(within.ids[i].tolist()) == np.flatnonzero(far <= 3).tolist()
            assert within.distances[i].tolist() == sorted(far[far <= 3].tolist())

    def test_radius_finds_nothing_where_nothing_is(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        within = retriever.radius(rows[:1], 0, where=[7])
        assert within.ids[0].shape == (0,)
        assert within.items is None

    def test_a_time_budget_says_what_is_proven(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        found = retriever.query(rows[:3], 5, time_budget=60.0)
        assert found.exact.all()
        assert (found.recall == 1).all()

    def test_numbers_of_numpy(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        assert retriever.query(rows[:1], np.int64(3)).ids.shape == (1, 3)
        assert len(retriever.radius(rows[:1], np.uint8(2))) == 1

    def test_as_many_as_there_are(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        assert retriever.query(rows[:2]).ids.shape == (2, 10)
        assert retriever.query(rows[:2], where=[1, 2, 3]).ids.shape == (2, 3)

    def test_what_was_not_reached_in_time_has_no_id(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        many = np.repeat(rows, 100, axis=0)
        found = retriever.query(many, 3, time_budget=1e-9)
        late = found.distances[:, 0] < 0
        assert late.any()
        assert not found.exact[late].any()
        assert all(name is None for name in found.ids[late].ravel())
        assert (found.recall[late] == 0).all()
        assert found.exact[~late].all()


class TestIndex:
    def test_adds_and_removes(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        retriever.add(rows[:3], ids=[1000, 1001, 1002], items=["a", "b", "c"])
        found = retriever.query(rows[:1], 2)
        assert set(found.ids[0]) == {0, 1000}
        assert found.items is not None
        assert found.items[0, found.ids[0].tolist().index(1000)] == "a"
        retriever.remove([0])
        assert retriever.query(rows[:1], 1).ids[0, 0] == 1000
        assert len(retriever) == 302
        assert 0 not in retriever.ids_

    def test_without_ids_numbers_go_on(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        retriever.add(rows[:2])
        assert retriever.ids_[-2:].tolist() == [300, 301]

    def test_absent_ids_are_named_and_nothing_is_removed(self, retriever: ist.Retriever) -> None:
        with pytest.raises(InputError, match="999"):
            retriever.remove([1, 999])
        assert len(retriever) == 300

    def test_ids_that_are_there_are_refused(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="5"):
            retriever.add(rows[:2], ids=[5, 2000])
        with pytest.raises(InputError, match="2000"):
            retriever.add(rows[:2], ids=[2000, 2000])
        assert len(retriever) == 300

    def test_a_doubled_id_is_told_before_the_fit(self, rows: np.ndarray) -> None:
        made = ist.Retriever(16)
        with pytest.raises(InputError, match="7"):
            made.fit(rows[:3], ids=[7, 7, 8])
        assert not hasattr(made, "hasher_")

    def test_may_begin_empty(self, rows: np.ndarray) -> None:
        made = ist.Retriever(BITS, epochs=1, random_state=0).fit(rows, add=False)
        assert len(made) == 0
        with pytest.raises(InputError, match="empty"):
            made.query(rows[:1], 1)
        made.add(rows[:4], ids=["a", "b", "c", "d"])
        assert made.query(rows[:4], 1).ids[:, 0].tolist() == ["a", "b", "c", "d"]


class TestFiles:
    def test_loads_as_it_was(self, retriever: ist.Retriever, rows: np.ndarray, tmp_path: Path) -> None:
        again = ist.load(tmp_path / "points.safetensors")
        a, b = retriever.query(rows[:9], 6), again.query(rows[:9], 6)
        assert a.ids.tolist() == b.ids.tolist()
        np.testing.assert_array_equal(a.similarities, b.similarities)
        assert again.get_params()["rerank"] is True

    def test_what_is_added_is_on_the_disk(self, retriever: ist.Retriever, rows: np.ndarray, tmp_path: Path) -> None:
        retriever.add(rows[:1], ids=[7777])
        script = (
            "import isthmus as ist, sys; r = ist.load(sys.argv[1]); print(len(r), 7777 in r.ids_); r.remove([7777])"
        )
        said = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "points.safetensors")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout.split() == ["301", "True"]
        assert len(ist.load(tmp_path / "points.safetensors")) == 300

    def test_the_index_of_another_model_is_refused(self, rows: np.ndarray, model: Path, tmp_path: Path) -> None:
        other = ist.Retriever(BITS, epochs=1, random_state=1).fit(rows)
        other.save(tmp_path / "other.safetensors")
        (tmp_path / "points.safetensors").write_bytes(model.read_bytes())
        (tmp_path / "other.index").rename(tmp_path / "points.index")
        with pytest.raises(FileFormatError, match="model"):
            ist.load(tmp_path / "points.safetensors")

    def test_an_altered_index_is_refused(self, retriever: ist.Retriever, tmp_path: Path) -> None:
        files = [file for file in (tmp_path / "points.index").iterdir() if file.stat().st_size > 64]
        largest = max(files, key=lambda file: file.stat().st_size)
        data = bytearray(largest.read_bytes())
        data[len(data) // 2] ^= 1
        largest.write_bytes(data)
        with pytest.raises(FileFormatError, match=largest.name):
            ist.load(tmp_path / "points.safetensors")

    def test_without_its_index_it_is_refused(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "alone.safetensors").write_bytes(model.read_bytes())
        with pytest.raises(InputError, match=r"alone\.index.*not there"):
            ist.load(tmp_path / "alone.safetensors")

    def test_a_save_that_fails_leaves_what_was_there(
        self, retriever: ist.Retriever, rows: np.ndarray, tmp_path: Path
    ) -> None:
        other = ist.Retriever(16, epochs=1, random_state=1).fit(rows[:50])
        script = (
            "import sys, time; from pathlib import Path; from isthmus.index.lock import locked\n"
            "with locked(Path(sys.argv[1]), 1.0):\n    print('held', flush=True); time.sleep(60)"
        )
        lock = str(tmp_path / "points.index" / "lock")
        with subprocess.Popen([sys.executable, "-c", script, lock], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            try:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Folder, "write_from", partial(Folder.write_from, wait=0.1))
                    with pytest.raises(InputError, match="is writing to it"):
                        other.save(tmp_path / "points.safetensors")
            finally:
                holder.kill()
        again = ist.load(tmp_path / "points.safetensors")
        assert len(again) == 300
        assert again.bits_ == BITS
        assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []

    def test_readers_see_what_others_wrote_when_asked_to(
        self, retriever: ist.Retriever, rows: np.ndarray, tmp_path: Path
    ) -> None:
        reader = ist.load(tmp_path / "points.safetensors")
        retriever.add(rows[:1], ids=[5000]).remove([1])
        assert len(reader) == 300
        assert reader.refresh().query(rows[:1], 2).ids[0].tolist() == [0, 5000]
        assert 1 not in reader.ids_

    def test_its_folder_gone_it_can_be_saved_elsewhere(self, retriever: ist.Retriever, tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "points.index")
        retriever.save(tmp_path / "rescued.safetensors")
        assert len(ist.load(tmp_path / "rescued.safetensors")) == 300

    def test_removed_rows_are_left_out_when_saved_anew(
        self, retriever: ist.Retriever, rows: np.ndarray, tmp_path: Path
    ) -> None:
        retriever.remove(np.arange(200))
        retriever.save(tmp_path / "less.safetensors")
        assert retriever.store_.rows == len(retriever) == 100
        assert retriever.query(rows[250:251], 1).ids[0, 0] == 250


class TestKindsOfData:
    def test_texts(self, tmp_path: Path) -> None:
        topics = ["stars moon planet orbit rocket launch", "goal team match league player score"]
        draw = np.random.default_rng(0)
        texts = [" ".join(draw.choice(topics[i % 2].split(), 8)) for i in range(60)]
        made = ist.Retriever(16, epochs=30, random_state=0).fit(texts, ids=[f"t{i}" for i in range(60)], items=texts)
        found = made.query("a rocket to the moon", 5)
        assert all(int(name[1:]) % 2 == 0 for name in found.ids[0])
        assert found.items is not None
        assert found.items[0, 0] in texts
        made.save(tmp_path / "texts.safetensors")
        again = ist.load(tmp_path / "texts.safetensors")
        assert again.query("a rocket to the moon", 5).ids.tolist() == found.ids.tolist()
        with pytest.raises(InputError, match="texts"):
            made.query(np.zeros((1, 3)), 1)
        with pytest.raises(InputError, match="word"):
            made.query("zyx", 1)
        with pytest.raises(InputError, match="without a word"):
            made.query("", 1)

    def test_columns_of_texts(self) -> None:
        texts = ["red apple", "blue sky", "green tree", "red rose", "blue sea", "green leaf"]
        asked = []
        for given in (texts, tuple(texts), np.array(texts), np.array(texts, dtype=object), pd.Series(texts)):
            made = ist.Retriever(8, epochs=2, random_state=0).fit(given)
            asked.append(made.query(pd.Series(["red", "tree"]), 3).ids.tolist())
        assert all(found == asked[0] for found in asked)
        with pytest.raises(InputError, match="text number 1 is None"):
            ist.Retriever(8).fit(["red", None, "blue"])

    def test_a_path(self, rows: np.ndarray, tmp_path: Path) -> None:
        path = str(tmp_path / "rows.npy")
        np.save(path, rows)
        made = ist.Retriever(16, epochs=2, random_state=0).fit(path)
        assert made.query(path, 1).ids.shape == (300, 1)
        with pytest.raises(InputError, match="holds texts"):
            made.query(["red apple"], 1)

    def test_counts_stay_sparse(self) -> None:
        draw = np.random.default_rng(0)
        X = scipy.sparse.random_array((200, 5000), density=0.01, rng=draw, format="csr", dtype=np.float32)
        made = ist.Retriever(16, epochs=1, random_state=0).fit(X)
        assert (made.query(X[:5], 1).distances == 0).all()

    def test_pictures(self) -> None:
        digits, labels = ist.data.digits()
        made = ist.Retriever(32, epochs=5, random_state=0).fit(digits[:1700])
        found = made.query(digits[1700:], 5)
        assert (labels[found.ids] == labels[1700:, None]).mean() > 0.7

    def test_a_fitted_autoencoder(self, rows: np.ndarray) -> None:
        ae = ist.Autoencoder(code_size=16, epochs=5, random_state=0).fit(rows)
        made = ist.Retriever(16, autoencoder=ae, random_state=0).fit(rows)
        assert made.hasher_.autoencoder is ae
        assert (made.query(rows[:50], 5).ids % 10 == (np.arange(50) % 10)[:, None]).mean() > 0.8


class TestRefused:
    @pytest.mark.parametrize("k", [0, -1, 2.5, "3"])
    def test_k_that_is_no_number_of_items(self, retriever: ist.Retriever, rows: np.ndarray, k: object) -> None:
        with pytest.raises(InputError, match="k"):
            retriever.query(rows[:1], k)  # type: ignore[arg-type]

    def test_k_larger_than_the_index(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match=r"k.*300; got 301"):
            retriever.query(rows[:1], 301)
        with pytest.raises(InputError, match=r"k.*3"):
            retriever.query(rows[:1], 4, where=[1, 2, 3])

    @pytest.mark.parametrize("r", [-1, BITS + 1, 1.5])
    def test_radius_beyond_the_bits(self, retriever: ist.Retriever, rows: np.ndarray, r: float) -> None:
        with pytest.raises(InputError, match="radius"):
            retriever.radius(rows[:1], r)  # type: ignore[arg-type]

    def test_queries_of_another_width(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="19 features"):
            retriever.query(rows[:1, :19], 1)

    def test_nan_in_a_query(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        bad = rows[:1].copy()
        bad[0, 4] = np.nan
        with pytest.raises(InputError, match="NaN"):
            retriever.query(bad, 1)

    @pytest.mark.parametrize("bits", [0, 7, 1025, 12.5, "many", True])
    def test_bits(self, rows: np.ndarray, bits: object) -> None:
        with pytest.raises(InputError, match="bits"):
            ist.Retriever(bits).fit(rows)  # type: ignore[arg-type]

    def test_method(self, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="method"):
            ist.Retriever(16, method="magic").fit(rows)

    def test_autoencoder(self, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match=r"autoencoder: no kind is called 'linaer'.*linear"):
            ist.Retriever(16, autoencoder="linaer").fit(rows)
        with pytest.raises(InputError, match="exclude each other"):
            ist.Retriever(16, autoencoder="linear", method="itq").fit(rows)

    def test_ids_of_rows_that_are_not_added(self, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="add=False"):
            ist.Retriever(16).fit(rows, ids=range(300), add=False)

    def test_most_codes_the_same(self) -> None:
        codes = np.zeros((100, 1), dtype=np.uint16)
        codes[60:, 0] = np.arange(40) + 1
        with pytest.warns(ist.DataWarning, match="60 of 100 rows have the same code, of 41 different"):
            warn_of_same_codes(codes)
        warn_of_same_codes(codes[50:])

    def test_one_row(self, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="2"):
            ist.Retriever(16).fit(rows[:1])

    def test_where(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="truth value"):
            retriever.query(rows[:1], 1, where=[True, False])
        with pytest.raises(InputError, match="12345"):
            retriever.query(rows[:1], 1, where=[12345])
        with pytest.raises(InputError, match="no item"):
            retriever.query(rows[:1], 1, where=np.zeros(300, dtype=bool))

    def test_time_budget(self, retriever: ist.Retriever, rows: np.ndarray) -> None:
        with pytest.raises(InputError, match="time_budget"):
            retriever.query(rows[:1], 1, time_budget=0)

    def test_before_a_fit(self, rows: np.ndarray) -> None:
        for use in (lambda r: r.query(rows), lambda r: r.add(rows), lambda r: r.ids_, lambda r: r.remove([1])):
            with pytest.raises(NotFittedError):
                use(ist.Retriever())


def test_clones() -> None:
    made = ist.Retriever(24, rerank=True, epochs=3)
    assert clone(made).get_params() == made.get_params()
    assert not clone(made).__sklearn_is_fitted__()


def test_same_seed_same_codes(rows: np.ndarray) -> None:
    a, b = (ist.Retriever(BITS, epochs=2, random_state=3).fit(rows).transform(rows) for _ in range(2))
    np.testing.assert_array_equal(a, b)
