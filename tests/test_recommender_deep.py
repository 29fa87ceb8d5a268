"""Deep recommenders: their costs against plain formulae, their sparse layer, their linear path, and the whole face."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import scipy.sparse
import scipy.special
import torch
from sklearn.base import clone
from test_recommender import grouped

import isthmus as ist
from isthmus.errors import DataWarning, FileFormatError, InputError
from isthmus.estimators import recommender_deep_choice, recommender_training
from isthmus.estimators.recommender_deep import DeepWeights, batch_of, inherit, network_scores, weights_of
from isthmus.estimators.recommender_deep_choice import choose_deep, why_not
from isthmus.estimators.recommender_files import restored, state_of
from isthmus.estimators.recommender_kinds import DEEP, DeepKnobs, composition_of
from isthmus.estimators.recommender_models import Knobs, fitted, knobs_from
from isthmus.estimators.recommender_training import plan_of, quality_of, trained
from isthmus.parts.distributions.normal import DiagonalNormal
from isthmus.parts.networks.dense import Dense
from isthmus.parts.networks.histories import HideItems, Histories
from isthmus.parts.penalties.remembered import Remembered, composite_log_prob
from isthmus.ranking import ranked, top
from isthmus.recommending.gram import gram
from isthmus.recommending.linear import ease
from isthmus.recommending.splits import held_out_users
from isthmus.records import Batch, Context, Layout, Pass

SMALL = DeepKnobs(code_size=5, hidden=(12,), epochs=4, gain=3.0, linear="ease")
QUICK = {"code_size": 8, "hidden": (16,), "epochs": 6, "random_state": 0}


@pytest.fixture(scope="module")
def x() -> scipy.sparse.csr_array:
    return grouped(120)


@pytest.fixture(scope="module")
def model(x) -> ist.Recommender:
    return ist.Recommender("masked", strength=2.0, dropout=0.0, gain=3.0, **QUICK).fit(x)


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize("hidden", [(), (9, 7)])
def test_the_sparse_layer_is_the_dense_one(hidden):
    network = Histories(Dense(hidden, "tanh"))
    encoder, _ = network.build(Layout((30,), ("column",)), 4, 4, 30, torch.Generator().manual_seed(0))
    rows = torch.from_numpy(grouped(10, 30).toarray()).float() * torch.arange(1, 31)
    rows[3] = 0
    h = rows.double().numpy()
    h = h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-12)
    for place, layer in enumerate(encoder.linear):
        weight = layer.weight.detach().double().numpy()
        h = h @ (weight if place == 0 else weight.T) + layer.bias.detach().double().numpy()
        h = np.tanh(h) if place < len(hidden) else h
    found = encoder(rows, Context((30,))).detach().numpy()
    assert np.abs(found - h).max() < 1e-5
    rows.requires_grad_(False)
    encoder(rows, Context((30,))).sum().backward()
    untouched = (rows == 0).all(0)
    assert (encoder.linear[0].weight.grad[untouched] == 0).all()


def test_hidden_items_alone_are_asked_for():
    rows = torch.from_numpy(grouped(200, 30).toarray()).float()
    batch = Batch(rows, Layout((30,), ("column",)))
    seen = HideItems(0.4)(batch, Pass(torch.Generator().manual_seed(0), training=True))
    shown = seen.x > 0
    assert ((rows > 0) == (shown | seen.changed)).all()
    assert not (shown & seen.changed).any()
    assert ((seen.weight == 0) == shown).all()
    assert 0.3 < float(seen.changed.sum() / (rows > 0).sum()) < 0.5
    with pytest.raises(InputError, match=r"HideItems: fraction must be in \[0, 1\]; got 1.5"):
        HideItems(1.5)
    with pytest.raises(InputError, match="decoder must be whole numbers"):
        Histories(decoder=(0.5,))
    with pytest.raises(InputError, match="neither tied"):
        Histories(Dense((8,), tied=True))


def objective_of(kind: str, rows: np.ndarray) -> tuple[torch.nn.Module, object, float]:
    made = composition_of(kind, rows.shape[1], SMALL)
    trace = made.trace(batch_of(rows.astype(np.float32)), Pass(torch.Generator().manual_seed(1), 7.5, training=True))
    return made, trace, float(made.objective(trace)[0].detach())


def multinomial(out: np.ndarray, rows: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """-log of the multinomial's mass, over the cells that are allowed."""
    logits = np.where(allowed, out, -np.inf)
    logs = np.where(allowed, out, 0) - scipy.special.logsumexp(logits, axis=1, keepdims=True)
    wanted = rows * allowed
    constant = scipy.special.gammaln(wanted + 1).sum(1) - scipy.special.gammaln(wanted.sum(1) + 1)
    return constant - (wanted * logs).sum(1)


@pytest.mark.parametrize("kind", DEEP)
def test_costs_are_those_of_the_papers(kind):
    rows = grouped(40, 24).toarray()
    _, trace, found = objective_of(kind, rows)
    out = trace.out.detach().double().numpy()
    allowed = np.ones_like(rows, dtype=bool) if kind != "masked" else trace.seen.x.numpy() == 0
    expected = multinomial(out, rows, allowed)
    if kind in ("mult_vae", "rec_vae"):
        posterior = trace.code.posterior
        mean, log_scale, z = (
            value.detach().double().numpy() for value in (posterior.mean, posterior.log_scale, trace.code.z)
        )
        assert 0.7 < float(((z - mean) / np.exp(log_scale)).std()) < 1.3  # true draws, of unit variance
    if kind == "mult_vae":
        divergence = 0.5 * (mean**2 + np.exp(2 * log_scale) - 1) - log_scale
        expected = expected + trace.composition.rate(7.5) * divergence.sum(1)
        assert 0 < trace.composition.rate(7.5) < trace.composition.rate(1e9) <= 1
    if kind == "rec_vae":
        expected = expected + remembered(trace, rows, mean, log_scale, z)
    assert found == pytest.approx(expected.mean(), rel=1e-5)


def log_normal(z: np.ndarray, mean: np.ndarray | float, log_scale: np.ndarray | float) -> np.ndarray:
    return -0.5 * ((z - mean) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * np.log(2 * np.pi)


def remembered(trace, rows, mean, log_scale, z) -> np.ndarray:
    """RecVAE's price of the codes, from the formula."""
    composition = trace.composition
    old = composition.encoder(torch.log1p(torch.from_numpy(rows).float()), trace.context)
    before_mean, before_scale = (part.detach().double().numpy() for part in old.chunk(2, dim=1))
    mixture = (
        0.15 * np.exp(log_normal(z, 0.0, 0.0))
        + 0.75 * np.exp(log_normal(z, before_mean, before_scale))
        + 0.1 * np.exp(log_normal(z, 0.0, 5.0))
    )
    return 0.005 * rows.sum(1) * (log_normal(z, mean, log_scale) - np.log(mixture)).sum(1)


def test_the_composite_prior_is_a_mixture():
    z, mean = torch.linspace(-2, 2, 6).reshape(2, 3), torch.full((2, 3), 0.3)
    before = DiagonalNormal(mean, torch.full((2, 3), -0.7))
    shares = (0.2, 0.5, 0.3)
    ends = ((0.0, 0.0), (0.3, -0.7), (0.0, 5.0))
    parts = [share * np.exp(log_normal(z.double().numpy(), *end)) for share, end in zip(shares, ends, strict=True)]
    assert composite_log_prob(z, before, shares).numpy() == pytest.approx(np.log(sum(parts)).sum(1), abs=1e-5)
    # All of it the old posterior: what has not moved pays nothing in the mean.
    same = before.log_prob(z) - composite_log_prob(z, before, (0.0, 1.0, 0.0))
    assert torch.allclose(same, torch.zeros(2), atol=1e-5)
    with pytest.raises(InputError, match="three numbers >= 0 that sum to 1"):
        Remembered(shares=(0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="needs a Gaussian bottleneck"):
        ist.compose(torch.nn.Linear(4, 2), ist.Plain(), torch.nn.Linear(2, 4), ist.Squared(),
                    penalties=[Remembered().build()])  # fmt: skip


def test_rec_vae_trains_encoder_and_decoder_in_turns(x):
    made = composition_of("rec_vae", 24, SMALL)
    plan = plan_of(1, 0, x.shape[0], None)
    encoder, decoder = recommender_training.turns_of(made, plan, torch.Generator().manual_seed(0))
    assert encoder.noisy
    assert not decoder.noisy
    average = {name: weights.detach().clone() for name, weights in made.named_parameters()}
    for turn, moving, resting in ((encoder, made.encoder, made.decoder), (decoder, made.decoder, made.encoder)):
        before = {part: [w.detach().clone() for w in part.parameters()] for part in (moving, resting)}
        turn.run(x.astype(np.float32), plan, 0, (0, 1), average, np.inf)
        assert all(not torch.equal(w, was) for w, was in zip(moving.parameters(), before[moving], strict=True))
        assert all(torch.equal(w, was) for w, was in zip(resting.parameters(), before[resting], strict=True))
        old = made.learning_penalties[0].old
        assert torch.equal(old.linear[0].weight, before[made.encoder][0])  # the encoder as the turn found it


# ---------------------------------------------------------------------- training


def test_training_learns_and_keeps_the_best_epoch(x):
    split = held_out_users(x, 0, test=30, validation=0)
    made = composition_of("masked", 24, SMALL)
    untrained = quality_of(network_scores(made, split.test.given), split.test)
    said: list[str] = []
    found = trained(made, split.train, plan_of(16, 0, 90, None), split.test, said.append)
    assert found.quality > untrained + 0.05
    # The weights that are left are those of the look that was best.
    assert quality_of(network_scores(made, split.test.given), split.test) == found.quality
    assert found.scores is not None
    assert np.array_equal(found.scores, network_scores(made, split.test.given))
    assert f"{found.quality:.4f}" in said[-1]


def test_quality_is_that_of_the_ranking(x):
    split = held_out_users(x, 0, test=30, validation=0)
    weights = ease(gram(split.train), 2.0)
    scores = split.test.given @ weights
    plain = ranked(lambda rows: rows @ weights, split.test.given, split.test.wanted, at=[100])
    assert quality_of(scores, split.test) == plain.mean("ndcg@100")


def test_the_same_seed_gives_the_same_weights_and_moves_no_generator(x):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second, third = (
        fitted(x, Knobs("mult_vae", 2.0, deep=DeepKnobs(5, (12,), 2, 3.0, "ease", seed))) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.scores(x), second.scores(x))
    assert not np.array_equal(first.scores(x), third.scores(x))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_max_time_stops_the_training(x):
    made = ist.Recommender("masked", strength=2.0, dropout=0.0, max_time=1e-6, **QUICK)
    made.fit(x)
    assert made.model_.epochs == 1
    assert "max_time" in " ".join(made.said_) or made.knobs_.deep.epochs == 1
    assert len(made.recommend([[0, 1]], k=3).items[0]) == 3


# ---------------------------------------------------------------------- the model


def test_what_a_history_scores_does_not_depend_on_its_company(model, x):
    together = model.model_.scores(x)
    for row in (0, 7, 63, 64, 119):
        assert np.array_equal(model.model_.scores(x[[row]])[0], together[row])
    order = np.random.default_rng(0).permutation(120)
    assert np.array_equal(model.model_.scores(x[order]), together[order])


def test_without_a_decoder_the_linear_path_ranks_as_ease_does(x):
    made = fitted(x, Knobs("masked", 2.0, deep=DeepKnobs(5, (12,), 1, 7.0, "ease")))
    with torch.no_grad():
        for weights in made.composition.decoder.parameters():
            weights.zero_()
    expected = x.astype(np.float32) @ ease(gram(x), 2.0)
    assert np.array_equal(top(made.scores(x), 10), top(expected, 10))
    assert made.scores(x) == pytest.approx(7 * expected, rel=1e-6)
    without = DeepWeights(made.composition)
    assert (without.scores(x) == 0).all()


def test_an_empty_history_gets_what_is_popular(model, x):
    with pytest.warns(DataWarning, match="popular"):
        found = model.recommend([[], [0]], k=5)
    assert found.scores[0].tolist() == [0] * 5
    assert found.items[0].tolist() == np.argsort(-model.popular_, kind="stable")[:5].tolist()


def test_reasons_are_what_is_lost_without_an_item(model):
    history = [0, 3, 5]
    item = int(model.recommend([history], k=1).items[0, 0])
    numbers, shares = model.model_.reasons(rows_of([history], 24), item)
    for number, share in zip(numbers, shares, strict=True):
        less = [other for other in history if other != number]
        both = model.model_.scores(rows_of([history, less], 24))[:, item].astype(float)
        assert share == pytest.approx(both[0] - both[1], abs=1e-6)
    assert (np.diff(shares) <= 0).all()
    positive = [(int(number), float(share)) for number, share in zip(numbers, shares, strict=True) if share > 0]
    assert model.explain(history, item, most=9) == positive
    assert model.model_.reasons(rows_of([[]], 24), 0)[0].tolist() == []


def rows_of(histories: list[list[int]], items: int) -> scipy.sparse.csr_array:
    made = np.zeros((len(histories), items))
    for row, history in zip(made, histories, strict=True):
        row[history] = 1
    return scipy.sparse.csr_array(made)


def test_items_of_one_group_are_alike():
    knobs = Knobs("mult_dae", deep=DeepKnobs(8, (16,), 20))
    made = ist.Recommender("mult_dae", gain=0.0, **QUICK).fit(x := grouped(250))
    made.model_ = fitted(x, knobs)
    found = made.similar_items([0, 9, 23], k=6)
    assert (np.abs(found.similarities) <= 1).all()
    assert (np.diff(found.similarities, axis=1) <= 0).all()
    for item, near in zip(found.of, found.items, strict=True):
        assert item not in near
        assert np.mean(near // 8 == item // 8) > 0.6


# ---------------------------------------------------------------------- the face


@pytest.mark.parametrize("method", DEEP)
def test_every_kind_is_saved_as_it_is(method, x, tmp_path):
    made = ist.Recommender(method, strength=2.0, dropout=0.0, **{**QUICK, "epochs": 3}).fit(x)
    again = ist.load(made.save(tmp_path / "model.safetensors"))
    assert np.array_equal(again.model_.scores(x), made.model_.scores(x))
    assert (again.knobs_, again.choice_, again.said_) == (made.knobs_, made.choice_, made.said_)
    assert again.get_params() == made.get_params()
    assert again.choice_.in_words().count("NDCG@100") == 1
    assert method == made.knobs_.method
    assert clone(made).get_params() == made.get_params()
    again.partial_fit(x[:3])  # a file is enough to go on
    assert again.model_.epochs > made.model_.epochs


def test_damaged_weights_are_refused(model):
    spec, tensors = state_of(model)
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in tensors.items()}
    with pytest.raises(FileFormatError, match="do not fit its own description"):
        restored(spec, {k: v for k, v in tensors.items() if k != "network.encoder.linear.0.weight"})
    wrong = tensors | {"network.decoder.linear.0.weight": torch.zeros(3, 3)}
    with pytest.raises(FileFormatError, match="do not fit its own description"):
        restored(spec, wrong)


def test_going_on_keeps_what_was_learnt_and_gives_new_items_rows(model, x):
    made = ist.Recommender("masked", strength=2.0, dropout=0.0, gain=3.0, **QUICK).fit(x)
    was = {name: weights.detach().clone() for name, weights in weights_of(made.model_.composition).items()}
    made.partial_fit([[0, 1, 30], [30, 2, 3], [31, 30]])
    assert made.interactions_.items.tolist() == [*range(24), 30, 31]
    now = weights_of(made.model_.composition)
    first = "encoder.linear.0.weight"
    assert now[first].shape == (26, was[first].shape[1])
    nearer = (now[first][:24] - was[first]).abs().mean()
    assert nearer < was[first].abs().mean()  # it went on from there
    assert made.recommend([[30]], k=3).items.shape == (1, 3)
    # The linear path is that of a refit.
    assert np.abs(made.model_.weights - ease(gram(made.interactions_.matrix), 2.0)).max() < 1e-6


def test_weights_are_inherited_item_by_item():
    before, after = (composition_of("mult_vae", items, SMALL) for items in (5, 8))
    fresh = {name: weights.detach().clone() for name, weights in weights_of(after).items()}
    places = np.array([0, 2, 3, 6, 7])
    inherit(after, before, places)
    new = np.array([1, 4, 5])
    for name, now in weights_of(after).items():
        old = weights_of(before)[name]
        if name.startswith(("encoder.linear.0.weight", "decoder")):
            assert torch.equal(now[places], old)
            assert torch.equal(now[new], fresh[name][new])
        else:
            assert torch.equal(now, old)


def test_a_network_is_asked_for_in_words(x):
    for wrong, said in (
        ({"method": "mult_via"}, "Did you mean 'mult_vae'"),
        ({"code_size": 0}, "code_size must be a whole number >= 1; got 0"),
        ({"hidden": (8.5,)}, "hidden must be whole numbers > 0"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"gain": -1}, "gain must be a number >= 0"),
        ({"max_time": 0}, "max_time must be a number > 0"),
    ):
        with pytest.raises(InputError, match=said.replace("(", r"\(")):
            ist.Recommender(**{"method": "masked", **wrong}).fit(x)


def test_one_user_and_one_item_are_enough():
    one = ist.Recommender("mult_vae", **QUICK).fit([["sun", "moon"]])
    assert one.choice_ is None
    assert "too few users" in " ".join(one.said_)
    assert one.recommend([["sun"]], k=1).items.tolist() == [["moon"]]
    with pytest.warns(DataWarning, match="shorter"):
        alone = ist.Recommender("masked", **QUICK).fit([["sun"]]).recommend([["sun"]], k=1)
    assert alone.items.tolist() == [[None]]


def test_a_network_that_does_not_fit_is_refused(x, monkeypatch):
    monkeypatch.setattr(recommender_deep_choice, "FEWEST_FOR_DEEP", 100)
    monkeypatch.setattr("isthmus.recommending.memory.free_bytes", lambda: 100_000)
    with pytest.raises(InputError, match=r"Training a network for 24 items needs .* GiB of memory.*'sparse' needs far"):
        ist.Recommender("masked", gain=0).fit(x)
    assert "only linear models are tried: training a network" in why_not(x, ist.Recommender().get_params())


# ---------------------------------------------------------------------- choosing


def test_auto_says_why_no_network_is_tried(x, monkeypatch):
    asked = ist.Recommender().get_params()
    assert "of 120 users, fewer than 500" in why_not(x, asked)
    monkeypatch.setattr(recommender_deep_choice, "FEWEST_FOR_DEEP", 100)
    assert why_not(x, asked) == ""
    monkeypatch.setattr(recommender_deep_choice, "SPEED", 1.0)
    assert "would take about" in why_not(x, asked)
    assert why_not(x, asked | {"max_time": 5.0}) == ""
    made = ist.Recommender(strength=2.0, dropout=0.0, random_state=0).fit(x)
    assert made.knobs_.method == "ease"
    assert "only linear models are tried" in " ".join(made.said_)


def test_auto_takes_what_is_best_for_held_out_users(x, monkeypatch):
    monkeypatch.setattr(recommender_deep_choice, "FEWEST_FOR_DEEP", 100)
    made = ist.Recommender(strength=2.0, dropout=0.0, **QUICK).fit(x)
    names = [name for name, _ in made.choice_.candidates]
    assert names[0] == "EASE, strength 2"
    assert made.choice_.quality == max(figure for _, figure in made.choice_.candidates)
    for name, figure in made.choice_.candidates:
        assert f"{name} {figure:.4f}" in made.choice_.in_words()
    best = names[int(np.argmax([figure for _, figure in made.choice_.candidates]))]
    assert (made.knobs_.deep is None) == (best == names[0])


def test_candidates_are_judged_as_they_would_rank(x):
    split = held_out_users(x, 0, test=30, validation=0)
    linear = Knobs("ease", 2.0)
    found = choose_deep(split, ("mult_dae",), linear, SMALL, gains=(0.0, 4.0))
    plain = ranked(fitted(split.train, linear).scores, split.test.given, split.test.wanted, at=[100])
    assert found[0].quality == pytest.approx(plain.mean("ndcg@100"), abs=1e-12)
    assert found[-1].knobs.deep.epochs <= SMALL.epochs
    # Fitted anew with the epochs that were best: the same network, as the learning rate stays as it is.
    again = fitted(split.train, found[-1].knobs)
    ranking = ranked(again.scores, split.test.given, split.test.wanted, at=[100])
    assert ranking.mean("ndcg@100") == pytest.approx(found[-1].quality, abs=1e-12)


def test_knobs_survive_a_file():
    for knobs in (Knobs("ease", 3.0), Knobs("rec_vae", 2.0, 0.1, deep=DeepKnobs(hidden=(8, 4), gain=2.0))):
        assert knobs_from(json.loads(json.dumps(dataclasses.asdict(knobs)))) == knobs


def test_judging_shows_the_network_beside_ease(model):
    judged = model.judge(at=(5,))
    assert [row.name for row in judged.rows] == ["popularity", "EASE", "this model"]
    assert "masked autoencoder" in str(judged)
