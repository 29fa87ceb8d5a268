"""``isthmus recommend``: a table of strings becomes a model, lists, reasons and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_cli import run

import isthmus as ist

KINDS = ["space", "crime"]


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings with names, titles, stars and days, and a model of those of 3 stars and more."""
    home = tmp_path_factory.mktemp("recommend")
    draw = np.random.default_rng(0)
    rows = []
    for person in range(80):
        for kind, many in zip(KINDS[:: 1 - 2 * (person % 2)], (6, 2), strict=True):
            for film in draw.choice(8, many, replace=False):
                day = f"2024-{draw.integers(1, 13):02}-{draw.integers(1, 29):02}"
                rows.append((f"Person {person:02}", f"{kind.title()}, part {film}", int(many > 2) * 3 + 1, day))
    frame = pd.DataFrame(rows, columns=["viewer", "film", "stars", "day"])
    frame.to_csv(home / "ratings.csv", index=False)
    history = pd.DataFrame({"viewer": ["Zoe", "Zoe", "Yan", "Xia"], "film": ["Space, part 1", "Space, part 2", "", ""]})
    history.loc[2:, "film"] = ["Crime, part 3", "Opera"]
    history.to_csv(home / "histories.csv", index=False)
    said = run(
        "recommend", "fit", home / "ratings.csv", "-o", home / "films.safetensors", "--item", "film", "--time", "day",
        "--at-least", 3, "--strength", 2, "--dropout", 0.2,
    )  # fmt: skip
    (home / "said.txt").write_text(said.stdout)
    return home


def test_fit_says_what_it_learnt_from(home):
    said = flat((home / "said.txt").read_text())
    assert (
        "users from column 'viewer', items from column 'film', weights from column 'stars', times from column" in said
    )
    assert "of 16 items, learnt from 640 interactions of 80 users" in said
    assert "weights of at least 3, each as 1" in said
    assert "EDLAE, strength 2, dropout 0.2" in said
    assert "isthmus recommend similar" in said


def test_quiet_fit_says_nothing_and_chooses(home):
    out = home / "quiet.safetensors"
    said = run("recommend", "fit", home / "ratings.csv", "-o", out, "--item", "film", "--weight", "none", "--quiet")
    assert said.stdout == ""
    model = ist.load(out)
    assert model.choice_.users == 20
    assert set(model.interactions_.matrix.data) == {1.0}


def test_ratings_that_count_as_weights_are_pointed_out(home):
    said = run(
        "recommend", "fit", home / "ratings.csv", "-o", home / "w.safetensors", "--item", "film", "--strength", 9
    )
    assert "if they are ratings, at_least=4 or, on the command line, --at-least 4 learns from those" in flat(
        said.stdout
    )


def test_lists_are_shown_with_their_reasons(home):
    said = run("recommend", "for", home / "films.safetensors", home / "histories.csv", "-k", 3, "--explain", 2)
    blocks = said.stdout.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["Zoe", "Yan", "Xia"]
    lines = blocks[0].split("\n")[1:]
    assert len(lines) == 3
    assert all("Space, part" in line and "(because of Space, part" in line for line in lines[:2])
    assert "because" not in blocks[2]
    assert "note: histories: 1 of 4 interactions with 1 item that was not in the fit" in flat(said.stderr)
    assert "note: histories: 1 of 3 users with no known item ('Xia')" in flat(said.stderr)


def test_lists_are_written_as_the_library_makes_them(home):
    out = home / "lists.csv"
    said = run(
        "recommend", "for", home / "films.safetensors", home / "histories.csv", "-k", 20 - 4, "-o", out, "--explain", 1
    )
    assert f"{out}: 45 rows for 3 users" in flat(said.stdout).replace("\n", "")
    frame = pd.read_csv(out)
    assert list(frame.columns) == ["user", "rank", "item", "score", "because 1"]
    with pytest.warns(ist.DataWarning):
        found = ist.load(home / "films.safetensors").recommend([["Space, part 1", "Space, part 2"]], k=16)
    zoe = frame[frame["user"] == "Zoe"]
    assert zoe["item"].tolist() == found.items[0][:14].tolist()
    assert zoe["rank"].tolist() == list(range(1, 15))
    assert zoe["score"].to_numpy() == pytest.approx(found.scores[0][:14])


def test_seen_items_come_when_asked_for(home):
    words = ["recommend", "for", home / "films.safetensors", home / "histories.csv", "-k", 16]
    assert "Space, part 1" in run(*words, "--seen").stdout.split("\n\n")[0]
    assert "Space, part 1" not in run(*words).stdout.split("\n\n")[0]


def test_similar_items(home):
    said = run("recommend", "similar", home / "films.safetensors", "Space, part 1", "Crime, part 2", "-k", 3).stdout
    first, second = said.strip().split("\n\n")
    assert first.count("Space") == 4
    assert second.count("Crime") == 4
    run("recommend", "similar", home / "films.safetensors", "Space, part 1", "-k", 3, "-o", home / "near.csv")
    frame = pd.read_csv(home / "near.csv")
    assert list(frame.columns) == ["item", "rank", "similar", "similarity"]
    assert frame["similar"].tolist() == [line.split("  ")[-1] for line in first.split("\n")[1:]]


def test_whole_numbers_on_the_command_line(tmp_path):
    frame = pd.DataFrame({"user": [1, 1, 2, 2, 3], "item": [10, 20, 10, 20, 30]})
    frame.to_csv(tmp_path / "n.csv", index=False)
    run("recommend", "fit", tmp_path / "n.csv", "-o", tmp_path / "n.safetensors", "--strength", 1, "--quiet")
    assert "20" in run("recommend", "similar", tmp_path / "n.safetensors", 10, "-k", 1).stdout.split("\n")[1]


def test_judge_prints_three_models(home):
    said = run("recommend", "judge", home / "films.safetensors").stdout
    assert said.split("\n")[0].split() == ["popularity", "EASE", "this", "model"]
    assert "16 users judged" in said
    said = run("recommend", "judge", home / "films.safetensors", "--by", "time").stdout
    assert "the latest 20% of all interactions" in said


def test_info_tells_what_the_model_holds(home):
    said = flat(run("info", home / "films.safetensors").stdout)
    assert "recommender of 16 items, learnt from 640 interactions of 80 users" in said
    assert "EDLAE, strength 2, dropout 0.2" in said
    refused = run("encode", home / "films.safetensors", home / "ratings.csv", "-o", home / "x.csv", code=2)
    assert "its own commands: isthmus recommend for, similar and judge" in flat(refused.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "ratings.csv", "-o", "m.npy"], "the file must end in .safetensors"),
        (["fit", "ratings.csv", "-o", "m.safetensors"], "holds the items? It has 'viewer', 'film', 'stars', 'day'"),
        (["fit", "ratings.csv", "-o", "m.safetensors", "--item", "flim"], "--item: 'ratings.csv' has no column 'flim'"),
        (["fit", "ratings.csv", "-o", "m.safetensors", "--item", "film", "--at-least", 9], "--at-least 9 leaves no"),
        (["fit", "ratings.csv", "-o", "m.safetensors", "--strength", "x"], "--strength must be auto or a number"),
        (["fit", "nothing.csv", "-o", "m.safetensors"], "does not exist"),
        (["for", "films.safetensors", "histories.csv", "-k", 17], "-k must be at most 16"),
        (["for", "films.safetensors", "histories.csv", "--explain", 0], "--explain must be a whole number >= 1"),
        (["for", "films.safetensors", "histories.csv", "-o", "histories.csv"], "is what is read"),
        (["similar", "films.safetensors", "Space, part 11"], "was not in the fit. Did you mean 'Space, part 1'"),
        (["judge", "films.safetensors", "histories.csv"], "there is nobody to judge by"),
        (["judge", "films.safetensors", "--by", "rows"], "--by must be one of 'users', 'items', 'time'; got 'rows'"),
        (["judge", "films.safetensors", "histories.csv", "--by", "time"], "leave it out, or DATA"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(home, monkeypatch, words, said):
    monkeypatch.chdir(home)
    assert said in flat(run("recommend", *words, code=2).stderr)


@pytest.mark.parametrize("command", ["fit", "for", "similar", "judge"])
def test_help_shows_an_example(command):
    said = run("recommend", command, "--help").stdout
    assert f"isthmus recommend {command} " in said


def test_a_network_is_fitted_shown_and_asked(home):
    out = home / "deep.safetensors"
    said = run(
        "recommend", "fit", home / "ratings.csv", "-o", out, "--item", "film", "--time", "day", "--at-least", 3,
        "--method", "mult_vae", "--code-size", 4, "--hidden", "8,6", "--epochs", 2, "--strength", 2, "--dropout", 0.2,
        "--gain", 1.5, "--max-time", 60,
    )  # fmt: skip
    assert "mult_vae, epoch 2: NDCG@100" in said.stdout
    assert "with 1.5 times EDLAE, strength 2, dropout 0.2, as its linear path" in flat(said.stdout)
    model = ist.load(out)
    assert model.knobs_.method == "mult_vae"
    assert model.knobs_.deep.hidden == (8, 6)
    found = run("recommend", "for", out, home / "histories.csv", "-k", 2, "--explain", 1).stdout
    assert "because of Space" in found
    assert len(run("recommend", "similar", out, "Space, part 1", "-k", 2).stdout.splitlines()) == 3


def test_bad_knobs_of_networks_are_named(home):
    for wrong, said in (
        (("--hidden", "8;6"), "--hidden must be whole numbers and commas, such as 600,400; got '8;6'"),
        (("--gain", "much"), "--gain must be auto or a number; got 'much'"),
        (("--method", "rec-vae"), "Did you mean 'rec_vae'"),
    ):
        found = run("recommend", "fit", home / "ratings.csv", "-o", home / "no.safetensors", *wrong, code=2)
        assert said in flat(found.stderr)
