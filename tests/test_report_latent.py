"""The space of codes on a report's page: what is shown of which data, small and harmless."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_report import Reader

import isthmus as ist
from isthmus.estimators.latent import latent_for_page
from isthmus.report import latent_page
from isthmus.report.frame import page

SECTIONS = ("pictures-on-map", "decoded", "holes", "walks")


class Shown:
    """A report of which only the space of codes is shown."""

    def __init__(self, ae: ist.Autoencoder, X: object, y: np.ndarray | None = None, given: object = None) -> None:
        source = ae._source(X)
        self.latent = latent_for_page(ae, source, ae._given(given, source.rows), y)
        self.text = latent_page.latent(self.latent)
        self.reader = Reader(page("title", "report", "about", [self.text]))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = ist.data.digits()
    return X[:300], y[:300]


@pytest.fixture(scope="module")
def images(digits: tuple[np.ndarray, np.ndarray]) -> Shown:
    return Shown(ist.Autoencoder("vae", code_size=3, epochs=3, random_state=0).fit(digits[0]), *digits)


def test_of_images_everything_is_shown_with_one_picture_in_each_drawing(images: Shown) -> None:
    assert tuple(images.reader.headings) == SECTIONS
    drawings = [svg for svg in images.reader.all("svg") if svg.get("role") == "img"]
    assert len(drawings) == 6
    assert all(len(svg["aria-label"] or "") > 20 for svg in drawings)
    # One in each of the map, the grid and the walks; each map of holes has its shades and their scale.
    pictures = [image["xlink:href"] or "" for image in images.reader.all("image")]
    assert len(pictures) == 3 + 2 * 3
    for address in pictures:
        assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", address)
        Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).verify()
    assert len(images.text) < 700_000


def test_the_page_stands_alone(images: Shown) -> None:
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", images.text)
    assert "#0101" not in images.text  # a stand-in for a colour left behind
    assert "var(--ink)" in images.text
    ids = [attributes["id"] for _, attributes in images.reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = [use["xlink:href"] for use in images.reader.all("use")]
    assert {(address or "")[1:] for address in used} <= set(ids)


def test_the_shares_told_are_those_of_the_holes(images: Shown) -> None:
    found = images.latent.holes
    said = " ".join(svg["aria-label"] or "" for svg in images.reader.all("svg"))
    for values in (found.away, found.back, found.jump):
        assert f"at {found.share(values):.0%} of the places among codes" in said


def test_of_tables_holes_and_columns_are_shown() -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame(draw.normal(size=(90, 5)), columns=["$a_1$", "<b>", "价格", "d", "e"])
    shown = Shown(ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X), X)
    assert tuple(shown.reader.headings) == ("holes", "walks")
    texts = " ".join(shown.reader.texts)
    assert all(len(walk.columns) == 4 for walk in shown.latent.walks)
    for name in {name for walk in shown.latent.walks for name in walk.columns}:
        assert name in texts
    assert not shown.reader.all("b")


def test_where_drawings_mean_nothing_they_are_left_out(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    symbols = Shown(ist.Autoencoder("vq_vae", code_size=4, epochs=1, random_state=0).fit(X), X, y)
    assert tuple(symbols.reader.headings) == ("pictures-on-map",)
    narrow = Shown(ist.Autoencoder(code_size=1, epochs=1, random_state=0).fit(X), X, y)
    assert tuple(narrow.reader.headings) == ("pictures-on-map", "walks")
    series = ist.data.sequences([np.random.default_rng(n).normal(size=(4 + n % 3, 1)) for n in range(40)])
    recurrent = ist.Autoencoder("recurrent", code_size=2, epochs=1, random_state=0).fit(series)
    assert Shown(recurrent, series).text == ""


def test_what_decoded_codes_are_given_is_told(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    ae = ist.Autoencoder("vae", code_size=2, epochs=1, random_state=0).fit(X, given=y)
    shown = Shown(ae, X, y, given=y)
    assert f"Codes are given what row {shown.latent.start} is given." in " ".join(shown.reader.texts)


def test_rows_that_do_not_vary_break_nothing() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X)
    assert Shown(ae, np.ones((60, 4))).text == ""
    assert tuple(Shown(ae, X[:1]).reader.headings) == ()


def test_a_report_has_them(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X)
    path = ae.report(tmp_path / "report.html", X, y)
    headings = Reader(path.read_text(encoding="utf-8")).headings
    assert [name for name in headings if name in SECTIONS] == list(SECTIONS)
    assert path.stat().st_size < 1.5e6


def test_large_pictures_are_made_small() -> None:
    X = np.random.default_rng(0).integers(0, 256, (40, 96, 64, 3), dtype=np.uint8)
    shown = Shown(ist.Autoencoder(code_size=2, epochs=1, network=ist.Dense(()), random_state=0).fit(X), X)
    assert shown.latent.grid is not None
    assert shown.latent.grid.shades.shape == (11, 11, 36, 24, 3)
    assert len(shown.text) < 2e6
