"""Codes that are learnt: the rotation, the projection, the penalties on bits, and the hasher made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from checks_for_kinds import Case, gradients, training_pass

import isthmus as ist
from isthmus.data import open_source
from isthmus.errors import InputError
from isthmus.estimators import hashing
from isthmus.estimators.hashing import (
    Hasher,
    chosen_bits,
    mean_of_neighbours,
    share_found,
)
from isthmus.estimators.projection import Projection, nearest_rows, of_length_one, rarity
from isthmus.estimators.rotation import Rotation
from isthmus.index.bits import unpacked
from isthmus.parts.bottlenecks.binary import Binary
from isthmus.parts.bottlenecks.finite_scalar import FiniteScalar
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.linear_decoder import LinearDecoder
from isthmus.parts.penalties.bits import Balance, Independence
from isthmus.records import Batch, Layout

METHODS = ("variational", "balanced", "itq")


def clusters(rows: int = 300, features: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows, features) float32 around ten centres, and which."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((10, features))
    labels = np.arange(rows) % 10
    return (centres[labels] + 0.3 * draw.standard_normal((rows, features))).astype(np.float32), labels


def counts(rows: int = 200, words: int = 400) -> tuple[scipy.sparse.csr_array, np.ndarray]:
    """Sparse counts of words, of which every one of four topics has a quarter of its own."""
    draw, labels = np.random.default_rng(0), np.arange(rows) % 4
    own = np.arange(words) * 4 // words == labels[:, None]
    return scipy.sparse.csr_array(draw.poisson(np.where(own, 0.3, 0.01)).astype(np.int64)), labels


def precision(hasher: Hasher, X: Any, labels: np.ndarray, k: int = 10) -> float:
    """Share of the k nearest by bits, itself apart, that have the row's label."""
    bits = unpacked(hasher(X)[0], hasher.bits)
    apart = (bits[:, None] != bits).sum(2).astype(float)
    np.fill_diagonal(apart, np.inf)
    return float((labels[np.argsort(apart, axis=1, kind="stable")[:, :k]] == labels[:, None]).mean())


class TestRotation:
    def test_turned_corners_are_found_again(self) -> None:
        draw = np.random.default_rng(0)
        signs = draw.choice([-1.0, 1.0], (500, 6))
        turn = np.linalg.qr(draw.standard_normal((6, 6)))[0]
        found = Rotation.fit(signs @ turn + 3.0, 6, np.random.default_rng(2), rounds=200)
        np.testing.assert_allclose(found.matrix.T @ found.matrix, np.eye(6), atol=1e-5)
        loss = np.square(np.abs(found(signs @ turn + 3.0)) - 1).mean()
        assert loss < 0.02

    @pytest.mark.parametrize(("features", "bits"), [(12, 5), (5, 12), (8, 8)])
    def test_the_matrix_keeps_lengths_or_projects(self, features: int, bits: int) -> None:
        Z = np.random.default_rng(0).standard_normal((100, features)) * np.arange(1, features + 1)
        found = Rotation.fit(Z, bits, np.random.default_rng(0))
        small = found.matrix.T @ found.matrix if bits <= features else found.matrix @ found.matrix.T
        np.testing.assert_allclose(small, np.eye(min(bits, features)), atol=1e-5)
        if bits < features:  # what is left out is what varies least
            _, vectors = np.linalg.eigh(np.cov(Z.T))
            np.testing.assert_allclose(vectors[:, : features - bits].T @ found.matrix, 0, atol=1e-5)

    def test_rounds_never_lose_more(self) -> None:
        Z = np.random.default_rng(0).standard_normal((400, 10)) * np.linspace(1, 3, 10)
        losses = []
        for rounds in (0, 1, 5, 50):
            turned = Rotation.fit(Z, 10, np.random.default_rng(3), rounds=rounds)(Z)
            losses.append(np.square(np.where(turned > 0, 1, -1) - turned).mean())
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < losses[0] - 0.01


class TestPenalties:
    def trace(self, signs: torch.Tensor, **more: Any) -> Any:
        case = Case("undercomplete")
        model = case.build(bottleneck=Plain()).double()
        trace = model.trace(Batch(torch.zeros(len(signs), 6, dtype=torch.float64), case.layout, **more))
        return replace(trace, code=replace(trace.code, z=signs.double(), point=signs.double()))

    def test_values(self) -> None:
        signs = torch.tensor([[1, 1, -1], [1, -1, 1], [-1, 1, -1], [1, -1, 1]])
        means = np.array([0.5, 0.0, 0.0])
        assert float(Balance()(self.trace(signs))) == pytest.approx((means**2).sum() / 2, rel=1e-12)
        covariance = np.cov(signs.numpy().T, bias=True)
        pairs = covariance[0, 1] ** 2 + covariance[0, 2] ** 2 + covariance[1, 2] ** 2
        assert pairs == pytest.approx(0.25 + 0.25 + 1.0)
        assert float(Independence()(self.trace(signs))) == pytest.approx(pairs / 2, rel=1e-12)

    def test_ends_say_what_a_bit_is(self) -> None:
        signs = torch.tensor([[1, 1, -1], [1, -1, 1], [-1, 1, -1], [1, -1, 1]])
        for penalty in (Balance, Independence):
            of_signs = penalty()(self.trace(signs))
            assert torch.equal(penalty(ends=(0, 1))(self.trace((signs + 1) // 2)), of_signs)

    def test_rows_count_by_their_weight(self) -> None:
        signs = torch.tensor([[1, 1], [1, -1], [-1, 1]])
        twice = torch.cat([signs, signs[:1]])
        for penalty in (Balance(), Independence()):
            weighted = penalty(self.trace(signs, row_weight=torch.tensor([2.0, 1.0, 1.0])))
            assert float(weighted) == pytest.approx(float(penalty(self.trace(twice))), rel=1e-12)

    def test_all_patterns_cost_nothing(self) -> None:
        every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
        assert float(Balance()(self.trace(every))) == 0
        assert float(Independence()(self.trace(every))) == 0

    @pytest.mark.parametrize("penalty", [Balance(3.0), Independence(3.0)])
    def test_gradient_is_that_of_finite_differences(self, penalty: Any) -> None:
        case = Case("undercomplete")
        model = case.build(bottleneck=Plain("tanh"), penalties=(penalty,)).double()
        batch, step = case.batch(12), 1e-6
        parameters = list(model.parameters())
        source = torch.Generator().manual_seed(1)
        direction = [torch.empty_like(p).normal_(generator=source) for p in parameters]
        slope = sum(
            float((g * d).sum()) for g, d in zip(gradients(model, batch, training_pass()), direction, strict=True)
        )

        @torch.no_grad()
        def objective(by: float) -> float:
            torch._foreach_add_(parameters, direction, alpha=by)
            value = float(model.objective(model.trace(batch, training_pass()))[0])
            torch._foreach_add_(parameters, direction, alpha=-by)
            return value

        assert (objective(step) - objective(-step)) / (2 * step) == pytest.approx(slope, rel=1e-6)

    @pytest.mark.parametrize("bottleneck", [FiniteScalar(2), Binary()])
    def test_rounded_bits_are_moved_all_the_same(self, bottleneck: Any) -> None:
        ends = (0, 1) if bottleneck == Binary() else (-1, 1)
        case = Case("undercomplete")
        found = []
        for penalties in ((), (Balance(100.0, ends=ends), Independence(100.0, ends=ends))):
            model = case.build(bottleneck=bottleneck, penalties=penalties).double()
            found.append(gradients(model, case.batch(30), training_pass())[0])
        assert not torch.allclose(*found, rtol=0.1)

    def test_refused(self) -> None:
        with pytest.raises(InputError, match=r"Balance: ends must be the two values of a bit.*got \(1, 0\)"):
            Balance(ends=(1, 0))
        with pytest.raises(InputError, match=r"Independence: weight must be >= 0"):
            Independence(-1.0)


class TestLinearDecoder:
    def test_a_code_is_rebuilt_by_adding_up(self) -> None:
        layout = Layout((30,), ("column",))
        network = LinearDecoder(Dense((2.0,), activation="relu")).resolve(30, 8)
        assert network.encoder.hidden == (64,)
        encoder, decoder = network.build(layout, 8, 8, 30, torch.Generator().manual_seed(0))
        codes, context = torch.eye(8), ist.records.Context(layout.shape)
        none = decoder(torch.zeros(1, 8), context)
        torch.testing.assert_close(
            decoder(codes.sum(0, keepdim=True), context) - none, (decoder(codes, context) - none).sum(0, keepdim=True)
        )
        assert len(encoder.linear) == 2


class TestProjection:
    def test_dense_rows_keep_their_distances(self) -> None:
        X, _ = clusters()
        found = Projection.fit(open_source(X), np.arange(len(X)), 0)
        made = found(X)
        scaled = found.scaling.forward(X).numpy()  # type: ignore[union-attr]
        ratio = np.linalg.norm(made[0] - made[1:], axis=1) / np.linalg.norm(scaled[0] - scaled[1:], axis=1)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
        np.testing.assert_allclose(made.mean(0), 0, atol=1e-4)
        assert np.square(made).mean() == pytest.approx(1.0, rel=1e-3)

    def test_sparse_rows_and_the_same_rows_dense_agree(self) -> None:
        X, _ = counts()
        found = Projection.fit(open_source(X), np.arange(200), 0)
        np.testing.assert_allclose(found(X[:7]), found(X[:7].toarray()), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.square(found(X)).mean(1), 1, rtol=1e-4)

    def test_counts_are_weighted_and_other_numbers_are_not(self) -> None:
        X, _ = counts()
        weights = rarity(X)
        in_rows = (X.toarray() > 0).sum(0)
        np.testing.assert_allclose(weights, 1 + np.log(201 / (1 + in_rows)), rtol=1e-6)
        expected = np.log1p(X.toarray()) * weights
        expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-30)
        np.testing.assert_allclose(of_length_one(X, weights).toarray(), expected, rtol=1e-5)
        assert Projection.fit(open_source(X), np.arange(200), 0).weights is not None
        assert Projection.fit(open_source(X * 0.5), np.arange(200), 0).weights is None

    def test_numbers_that_are_not_finite_are_refused(self) -> None:
        X = counts()[0].astype(np.float64)
        found = Projection.fit(open_source(X), np.arange(200), 0)
        X.data[3] = np.nan
        with pytest.raises(InputError, match="NaN or infinity"):
            found(X)

    @pytest.mark.parametrize("own", [False, True])
    def test_nearest_rows_are_those_of_all_distances(self, own: bool) -> None:
        rows = torch.randn(600, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        apart = torch.cdist(rows, rows)
        if own:
            apart.fill_diagonal_(torch.inf)
        assert torch.equal(nearest_rows(rows, rows, 5, own=own), apart.argsort(1)[:, :5])

    def test_mean_of_neighbours(self) -> None:
        rows = np.array([[0, 0], [0, 1], [9, 9], [9, 8]], dtype=np.float32)  # the root of four rows is two neighbours
        expected = [rows[[0, 1, 3]].mean(0), rows[[0, 1, 3]].mean(0), rows[[1, 2, 3]].mean(0), rows[[1, 2, 3]].mean(0)]
        np.testing.assert_allclose(mean_of_neighbours(rows), expected, rtol=1e-6)


class TestHasher:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("bits", [8, 32])
    def test_rows_of_a_cluster_get_codes_that_are_near(self, method: str, bits: int) -> None:
        X, labels = clusters()
        hasher = Hasher.learn(X, bits, method, epochs=20)
        assert precision(hasher, X, labels) > 0.9
        codes, floats = hasher(X)
        assert (unpacked(codes, bits) == (floats > 0)).all()
        assert floats.shape == (300, hasher.width)
        assert floats.dtype == np.float32

    @pytest.mark.parametrize("method", METHODS)
    def test_counts_stay_sparse(self, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        X, labels = counts()
        monkeypatch.setattr(type(X), "toarray", None)
        hasher = Hasher.learn(X, 16, method, epochs=60)
        assert precision(hasher, X, labels) > 0.8

    @pytest.mark.parametrize("method", ["variational", "balanced"])
    def test_codes_are_those_of_the_bottleneck(self, method: str) -> None:
        X, _ = clusters()
        hasher = Hasher.learn(X, 16, method, epochs=2)
        assert hasher.projection is not None
        point = hasher.autoencoder.transform(hasher.projection(X))
        assert (unpacked(hasher(X)[0], 16) == (point > (0.5 if method == "variational" else 0))).all()

    @pytest.mark.parametrize("method", METHODS)
    def test_state_and_back(self, method: str) -> None:
        for X in (clusters()[0], counts()[0]):
            hasher = Hasher.learn(X, 16, method, epochs=1)
            spec, tensors = hasher.state()
            again = Hasher.restore(json.loads(json.dumps(spec)), tensors)
            for one, other in zip(hasher(X), again(X), strict=True):
                assert (one == other).all()
            assert (again.bits, again.method) == (16, method)

    def test_a_seed_says_all(self) -> None:
        X, _ = clusters()
        first, second, other = (Hasher.learn(X, 16, epochs=1, seed=seed)(X)[1] for seed in (3, 3, 4))
        assert (first == second).all()
        assert not np.allclose(first, other)

    def test_a_mixed_table(self) -> None:
        import pandas as pd

        X, labels = clusters()
        table = pd.DataFrame(X[:, :5], columns=list("abcde")).assign(kind=[f"k{label}" for label in labels])
        for method in ("variational", "itq"):
            hasher = Hasher.learn(table, 16, method, epochs=10)
            assert hasher.projection is None
            assert precision(hasher, table, labels) > 0.7

    def test_an_autoencoder_of_ones_own(self) -> None:
        X, labels = clusters()
        ae = ist.Autoencoder(code_size=12, epochs=20, random_state=0).fit(X)
        for bits in (8, 12, 24):
            hasher = Hasher.learn(X, bits, autoencoder=ae)
            assert hasher.autoencoder is ae
            assert precision(hasher, X, labels) > 0.8
        kind = Hasher.learn(X, 16, autoencoder=ist.recipes.binary(), epochs=20)
        assert kind.rotation is None
        assert kind.autoencoder.code_size_ == 16

    def test_refused(self) -> None:
        X, _ = clusters()
        with pytest.raises(InputError, match=r"method must be one of 'auto', 'variational', .*got 'spectral'"):
            Hasher.learn(X, 16, "spectral")
        with pytest.raises(InputError, match="bits must be a whole number from 8 to 1,024; got 7"):
            Hasher.learn(X, 7)
        with pytest.raises(InputError, match="20"):
            Hasher.learn(X, 16, epochs=1)(X[:, :19])


class FewBits:
    """A stand-in for a hasher: the signs of the first so many components."""

    def __init__(self, bits: int, projection: Projection) -> None:
        self.bits, self.projection = bits, projection

    def of_shown(self, shown: np.ndarray) -> np.ndarray:
        return shown[:, : self.bits]


class TestBits:
    def test_share_found_is_that_of_all_distances(self) -> None:
        """Ties at the last place count by their share: the mean over all orders of the tied rows."""
        X = np.random.default_rng(0).standard_normal((200, 12)).astype(np.float32)
        source = open_source(X)
        projection = Projection.fit(source, np.arange(200), 0)
        made, k = projection(X).astype(np.float64), 20
        near = np.linalg.norm(made[:40, None] - made[40:], axis=2).argsort(1)[:, :k]
        apart = ((made[:40, None, :8] > 0) != (made[40:, :8] > 0)).sum(2)
        draw, shares = np.random.default_rng(1), []
        for _ in range(400):
            first = (apart + draw.random(apart.shape)).argsort(1)[:, :k]
            shares.append(np.mean([np.isin(one, other).mean() for one, other in zip(first, near, strict=True)]))
        found = share_found(FewBits(8, projection), source, np.arange(40), np.arange(40, 200))  # type: ignore[arg-type]
        assert found == pytest.approx(np.mean(shares), abs=4 * np.std(shares) / 20)

    @pytest.mark.parametrize(
        ("shares", "bits"),
        [((0.5, 0.54, 1, 1), 16), ((0.3, 0.5, 0.55, 1), 32), ((0.3, 0.5, 0.6, 0.66), 64), ((0.1, 0.2, 0.4, 0.8), 128)],
    )
    def test_the_fewest_that_find_nearly_as_much(
        self,
        shares: tuple[float, ...],
        bits: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        known, seen = dict(zip((16, 32, 64, 128), shares, strict=True)), []

        def learnt(source: Any, rows: np.ndarray, bits: int, *others: Any) -> Any:
            seen.append(rows)
            return FewBits(bits, None)  # type: ignore[arg-type]

        def share_found(hasher: Any, source: Any, asked: np.ndarray, among: np.ndarray) -> float:
            assert not np.isin(asked, seen[-1]).any()  # those asked for are not learnt from
            assert len(asked) == 20
            return known[hasher.bits]

        monkeypatch.setattr(hashing, "learnt", learnt)
        monkeypatch.setattr(hashing, "share_found", share_found)
        rows = np.arange(100)
        assert chosen_bits(open_source(np.eye(100)), rows, "itq", 0, {}).bits == bits
        assert capsys.readouterr() == ("", "")
        assert chosen_bits(open_source(np.eye(100)), rows, "itq", 0, {"verbose": 1}).bits == bits
        out, said = capsys.readouterr()
        tried = [length for length in known if length <= 2 * bits]
        enough = f"they find at least 90% of what {2 * bits} bits find"
        why = "they are the most that are tried" if bits == 128 else enough
        assert out == ""
        assert said.splitlines() == [
            *(line for n in tried for line in (f"{n} bits:", f"{n} bits find {known[n]:.0%} of the nearest rows")),
            f"{bits} bits are taken: {why}",
        ]

    def test_auto_of_a_few_rows_and_of_some(self) -> None:
        X, _ = clusters(60)
        assert Hasher.learn(X, epochs=1).bits == 64
        X, _ = clusters(300)
        assert Hasher.learn(X, "auto", "itq", epochs=1).bits in (16, 32, 64, 128)
