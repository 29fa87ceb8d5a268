"""The report: what it computes, that it is one harmless file, and that no shape of data breaks it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from isthmus.diagnostics import Diagnosis, FitRecord, Verdict
from isthmus.errors import InputError
from isthmus.records import Layout
from isthmus.report import figures, page, plots

VOID = {"meta", "img", "br", "link", "input", "hr"}
NASTY = '<script>alert("1")</script> & $x_1$ 价格 \n second line'
DIAGNOSIS = Diagnosis(
    (
        Verdict("PCA", "good", "Better than PCA.", 0.5),
        Verdict("copying", "note", f"Column {NASTY!r}.", float("nan"), "a <b>smaller</b> code."),
        Verdict("dead units", "bad", "Many.", 3.0, "fewer."),
    ),
    {"rmse": 0.123456, "parameters": 1234.0, "pca_ratio": float("nan")},
)


class Reader(HTMLParser):
    """Reads a page, and fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def headings(self) -> list[str | None]:
        return [attrs["id"] for attrs in self.all("h2")]


def record(features: int, code_size: int, **changes: Any) -> FitRecord:
    values: dict[str, Any] = {
        "code_size": code_size,
        "features": features,
        "train_rows": 900,
        "held_out_rows": 100,
        "train_error": 0.01,
        "held_out_error": 0.0121,
        "mean_error": 1.0,
        "pca_errors": np.linspace(1, 0, features + 1) ** 2,
        "epochs": 3,
        "stopped": "all epochs done",
    }
    return FitRecord(**{**values, **changes})


HISTORY = {
    "epoch": [1, 2, 3],
    "cost": [3.0, 2.0, 1.5],
    "loss": [2.5, 1.6, 1.2],
    "L1": [0.2, 0.1, 0.05],
    "valid_cost": [3.1, 2.2, 1.7],
    "valid_rmse": [0.5, 0.2, 0.11],
    "learning_rate": [1e-3, 5e-4, 0.0],
    "seconds": [1.0, 2.0, 3.5],
}


def made(n: int = 30, shape: tuple[int, ...] = (5,), code_size: int = 3, **changes: Any) -> figures.ReportData:
    generator = np.random.default_rng(0)
    axes = {1: ("column",), 2: ("height", "width"), 3: ("height", "width", "channel")}[len(shape)]
    x = generator.normal(size=(n, *shape)) * 10
    layout = Layout(shape, axes)
    values: dict[str, Any] = {
        "title": "model",
        "kind": "undercomplete",
        "data": "made rows",
        "layout": layout,
        "originals": x,
        "reconstructions": x + generator.normal(size=x.shape),
        "codes": generator.normal(size=(n, code_size)),
        "diagnosis": DIAGNOSIS,
        "record": record(layout.features, code_size),
        "history": HISTORY,
        "details": {"versions": {"isthmus": "0.1"}, "spec": {"hidden": [8, 4]}},
    }
    return figures.collect(**{**values, **changes})


TABLE_PARTS = ["verdicts", "rebuilt", "spread", "codes", "odd", "sizes", "cost", "terms", "error", "rate", "details"]


@pytest.mark.parametrize("shape", [(5,), (4, 6), (4, 6, 3)], ids=["table", "grey", "colour"])
def test_every_section_is_there_and_the_page_stands_alone(shape: tuple[int, ...]) -> None:
    text = page.render(made(shape=shape))
    reader = Reader(text)
    assert reader.headings == TABLE_PARTS
    assert len(reader.all("h1")) == 1
    assert "http" not in text
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    for tag, attributes in reader.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in text
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_pictures_and_drawings_say_in_words_what_they_show() -> None:
    reader = Reader(page.render(made(shape=(4, 6))))
    images = reader.all("img")
    assert len(images) == 3 * 12 + 1 + 2 * 12
    assert all(image["alt"] for image in images)
    drawings = [svg for svg in reader.all("svg") if svg.get("role") == "img"]
    assert len(drawings) == 7
    assert all(len(svg["aria-label"] or "") > 10 for svg in drawings)
    assert all("scope" in head for head in reader.all("th"))


def test_text_of_the_user_stays_text() -> None:
    names = [NASTY, *"bcde"]
    labels = np.array([NASTY, "other"] * 15)
    text = page.render(
        made(names=names, title=NASTY, kind=NASTY, data=NASTY, y=labels, y_name=NASTY, row_names=[NASTY] * 30,
             unit_label=NASTY, details={NASTY: {NASTY: NASTY}}, history={**HISTORY, NASTY: [1.0, 2.0, 3.0]},
             record=record(5, 3, stopped=NASTY))
    )  # fmt: skip
    reader = Reader(text)
    assert not reader.all("script")
    assert not reader.all("b") or all(attributes == {} for attributes in reader.all("b"))
    assert "<b>smaller" not in text
    assert "价格" in text
    drawn = " ".join(reader.texts)
    assert "$x_1$" in drawn
    assert "qz0q" not in text  # a stand-in left behind


def test_twenty_thousand_rows_stay_under_five_megabytes(tmp_path: Path) -> None:
    table = made(20_000, (12,), y=np.arange(20_000) % 7)
    page.write(tmp_path / "table.html", table)
    assert (tmp_path / "table.html").stat().st_size < 5e6
    assert len(table.code_map.points) == figures.POINTS
    assert table.code_map.rows == len(table.row_errors) == 20_000


def test_large_noisy_colour_pictures_stay_under_five_megabytes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (5_000, 64, 64, 3), dtype=np.uint8)
    big = np.repeat(np.repeat(x[:40], 4, axis=1), 4, axis=2)
    big ^= np.random.default_rng(1).integers(0, 256, big.shape, dtype=np.uint8)
    data = made(
        40, (256, 256, 3), originals=big, reconstructions=255.0 - big,
        record=record(256 * 256 * 3, 3, pca_errors=np.array([1.0, 0.5])),
    )  # fmt: skip
    page.write(tmp_path / "pictures.html", data)
    assert (tmp_path / "pictures.html").stat().st_size < 5e6


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 1},
        {"n": 1, "shape": (3, 3)},
        {"n": 2, "shape": (1,), "code_size": 1},
        {"shape": (1,)},
        {"code_size": 1},
        {"code_size": 2},
        {"codes": np.zeros((30, 4))},
        {"originals": np.ones((30, 5)), "reconstructions": np.ones((30, 5))},
        {"shape": (2, 2), "originals": np.zeros((30, 2, 2)), "reconstructions": np.zeros((30, 2, 2))},
        {"record": record(5, 3, held_out_rows=0, held_out_error=float("nan"))},
        {"record": record(5, 3, pca_errors=np.zeros(0))},
        {"record": record(5, 8)},
        {"history": {}},
        {"history": {"epoch": [1], "cost": [2.0], "loss": [2.0], "valid_cost": [np.nan], "valid_rmse": [np.nan]}},
        {"y": np.array(["cat", "dog", "cow"] * 10)},
        {"y": np.array(["cat", None, 3.0] * 10, dtype=object)},
        {"y": np.linspace(0, 1, 30)},
        {"y": np.where(np.arange(30) % 2, np.nan, 0.5)},
        {"y": [True, False] * 15},
        {"y": [f"group {i}" for i in range(30)]},
        {"y": np.full(30, 7)},
        {"reconstructions": np.full((30, 5), np.nan)},
        {"originals": np.arange(150).reshape(30, 5).astype(np.uint8)},
        {"unit": np.array([1.0, 2.0, 0.0, 4.0, 5.0])},
        {"details": {}},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_no_shape_of_data_breaks_it(changes: dict[str, Any]) -> None:
    headings = Reader(page.render(made(**changes))).headings
    assert headings[:5] == TABLE_PARTS[:5]
    assert headings[-1] == "details"


def test_no_held_out_rows_are_told() -> None:
    alone = made(record=record(5, 3, held_out_rows=0, held_out_error=float("nan")))
    assert alone.key_figures[0] == ("training error (RMSE)", "0.100 scaled units")
    assert ("fitted on", "900 rows") in alone.key_figures


def test_errors_are_in_shared_units_or_scaled_ones() -> None:
    shared = made(unit=np.full(5, 4.0), unit_label="mm")
    assert shared.units == figures.Units("mm", 4.0)
    assert shared.key_figures[:2] == (("held-out error (RMSE)", "0.440 mm"), ("PCA of the same size", "1.60 mm"))
    mixed = made(unit=np.array([1.0, 1, 1, 1, 2]), unit_label="mm", scaled_label="standard deviations")
    assert mixed.units == figures.Units("standard deviations", 1.0)
    assert mixed.sizes is not None
    assert mixed.sizes.error == pytest.approx(0.11)


def test_row_errors_and_the_oddest_rows() -> None:
    x = np.zeros((4, 3))
    out = np.array([[0, 0, 0], [3.0, 0, 0], [0, 0, 30.0], [1, 1, 1]])
    data = made(4, (3,), originals=x, reconstructions=out, unit=np.array([1.0, 1, 100]), names=["a", "b", "c"],
                row_names=["w", "x", "y", "z"], y=["p", "q", "r", "s"])  # fmt: skip
    np.testing.assert_allclose(data.row_errors, [0, np.sqrt(3), np.sqrt(0.03), np.sqrt(2.0001 / 3)])
    assert [odd.row for odd in data.oddest] == ["x", "z", "y", "w"]
    worst = data.oddest[0]
    assert (worst.label, worst.cells[0]) == ("q", figures.Cell("a", 0.0, 3.0))
    by_cost = made(4, (3,), originals=x, reconstructions=out, costs=np.array([9.0, 1, 2, 3]))
    assert [odd.row for odd in by_cost.oddest] == ["0", "3", "2", "1"]


def test_columns_are_ranked_by_the_share_of_variance_lost() -> None:
    x = np.array([[0.0, 0, 5, 0], [2, 20, 5, 2]])
    out = np.array([[0.0, 5, 5, 1], [2, 15, 6, 1]])
    data = made(2, (4,), originals=x, reconstructions=out, names=["exact", "wide", "constant", "lost"])
    assert [column.name for column in data.columns] == ["lost", "wide", "exact", "constant"]
    assert [column.lost for column in data.columns[:3]] == [1.0, 0.25, 0.0]
    assert (data.columns[1].error, data.columns[1].spread) == (5.0, 10.0)
    assert np.isnan(data.columns[3].lost)


def test_the_code_map_is_a_projection_that_keeps_most_variance() -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(200, 6)) * [1, 5, 1, 0.1, 3, 0.1]
    shown = made(200, codes=codes, record=record(5, 6)).code_map
    values, vectors = np.linalg.eigh(np.cov(codes.T))
    np.testing.assert_allclose(shown.points.var(axis=0, ddof=1), values[[-1, -2]])
    assert abs(np.corrcoef(shown.points[:, 0], codes @ vectors[:, -1])[0, 1]) == pytest.approx(1.0)
    assert made(code_size=2).code_map.axes == ("code unit 0", "code unit 1")


def test_labels_become_groups_or_a_scale() -> None:
    def groups(labels: Any) -> tuple[str, ...] | None:
        return figures.categories(np.asarray(labels))

    assert groups([3.0, 10.0, 3.0]) == ("3", "10")
    assert groups([0.5, 1.0]) is None
    assert groups(np.arange(21)) is None
    assert groups(["b", "a", "b"]) == ("a", "b")
    assert groups([True, False]) == ("False", "True")
    many = groups([f"{i:02d}" for i in range(30)] + ["29"])
    assert many is not None
    assert (len(many), many[-2:]) == (20, ("29", "others"))
    data = made(y=[f"{i:02d}" for i in range(30)])
    assert np.bincount(data.code_map.group).tolist() == [1] * 19 + [11]


def test_pictures_keep_their_values() -> None:
    from io import BytesIO

    from PIL import Image

    def opened(address: str) -> np.ndarray:
        import base64

        return np.asarray(Image.open(BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))))

    grey = np.array([[0, 127], [255, 300]])
    assert opened(plots.picture(grey, 0, 255)).tolist() == [[0, 127], [255, 255]]
    colour = np.random.default_rng(0).integers(0, 256, (5, 4, 3))
    assert np.array_equal(opened(plots.picture(colour, 0, 255)), colour)
    gap = opened(plots.difference(np.array([[1.0, 1.0, 1.0]]), np.array([[0.0, 1.0, 3.0]]), 2.0))
    assert gap[0, :, 3].tolist() == [128, 0, 255]
    assert gap[0, 0, 2] > gap[0, 0, 0]  # too dark is blue
    assert gap[0, 2, 0] > gap[0, 2, 2]  # too bright is orange


def test_the_scale_of_grey_levels() -> None:
    def ends(x: np.ndarray) -> tuple[float, float]:
        shown = made(2, (1, 2), originals=x, reconstructions=x).pictures
        assert shown is not None
        return shown.lowest, shown.highest

    assert ends(np.array([[[5, 200]], [[3, 90]]], np.uint8)) == (0.0, 255.0)
    assert ends(np.array([[[0, 16]], [[3, 9]]], np.uint8)) == (0.0, 16.0)
    assert ends(np.array([[[0.1, 0.9]], [[0.2, 0.3]]])) == (0.1, 0.9)


def test_drawing_changes_no_setting_and_follows_none() -> None:
    data = made()
    plain = plots.histogram(data.row_errors, "mm")
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True, "lines.linewidth": 9}):
        assert plots.histogram(data.row_errors, "mm") == plain
    assert dict(matplotlib.rcParams) == before
    assert "var(--first)" in plain
    assert not re.search(r"#0\d0\d\d\d", plain)  # every stand-in colour was replaced


def test_the_epoch_that_was_kept_is_marked() -> None:
    best = {**HISTORY, "valid_cost": [3.1, 1.6, 1.7]}
    text = page.render(made(history=best))
    assert ">kept: epoch 2, 0.2</text>" in text
    assert "The weights of epoch 2 were kept, where the held-out cost was least and this error 0.2 scaled units" in text
    assert made(history=best).kept == 1
    assert made(history=best, warm_epochs=3.0).kept == 2
    assert made(history={**best, "valid_cost": [np.nan] * 3}).kept is None
    assert made(history={"epoch": [1.0], "cost": [2.0]}).kept is None


def test_no_axis_of_errors_goes_below_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float] = []

    def svg(drawn: plots.Drawing, _label: str) -> str:
        found.extend((drawn.axes.get_xlim()[0], drawn.axes.get_ylim()[0]))
        return ""

    monkeypatch.setattr(plots.Drawing, "svg", svg)
    plots.size_curve(figures.SizeCurve(np.array([1.0, 0.5, 0.01, 0.0]), 3, 0.0, "held-out rows"), "mm")
    plots.curves(np.arange(4), {"held out": np.array([1.0, 0.5, 0.0, 0.1])}, "RMSE", "RMSE", errors=True)
    plots.histogram(np.linspace(0.001, 1, 100), "mm")
    assert [found[1], found[3], found[4]] == [0.0, 0.0, 0.0]


def test_what_the_page_says_of_the_rows_it_shows() -> None:
    honest = "where these include training rows, the held-out error at the top is the honest figure."
    for shape in ((5,), (4, 6)):
        assert page.render(made(shape=shape)).count(honest) == 2
    alone = page.render(made(record=record(5, 3, held_out_rows=0, held_out_error=float("nan"))))
    assert honest not in alone
    assert alone.count("No row was held out of the fit") == 2
    assert made().key_figures[-1] == ("rows in this report", "30")
    assert made(chosen="a sample of 3 of 9").key_figures[-1] == ("rows in this report", "a sample of 3 of 9")
    text = page.render(made())
    assert "Below the curve it does better than PCA of its size." in text
    assert "any linear method" not in text


def test_a_model_says_how_its_rows_were_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus import Autoencoder
    from isthmus.estimators import reporting

    x = np.random.default_rng(0).normal(size=(200, 4))
    settings: dict[str, Any] = {"code_size": 2, "epochs": 2, "random_state": 0, "verbose": False}
    model = Autoencoder("linear", **settings).fit(x)
    monkeypatch.setattr(reporting, "ROWS", 60)
    text = model.report(tmp_path / "report.html", x).read_text(encoding="utf-8")
    assert "<dd>a sample of 60 of 200 and the oddest</dd>" in text
    partly = Autoencoder("linear", **settings).partial_fit(x)
    with pytest.raises(InputError, match=r"^report needs a model made by fit: partial_fit keeps no held-out rows"):
        partly.report(tmp_path / "none.html", x)


def test_a_tick_keeps_its_digits() -> None:
    drawn = plots.curves(np.arange(5), {"rate": np.linspace(0.00125, 0.00225, 5)}, "rate", "rate")
    ticks = [float(tick) for tick in re.findall(r">(0\.\d+)</text>", drawn)]
    assert len(ticks) == len(set(ticks)) > 3


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        page.write(tmp_path / "none" / "report.html", made())
    names = ["lone \ud800 surrogate", *"bcde"]
    page.write(tmp_path / "report.html", made(names=names))
    assert "lone ? surrogate" in (tmp_path / "report.html").read_text(encoding="utf-8")
