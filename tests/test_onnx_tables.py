"""Graphs of mixed tables: from raw numbers, with how they are coded in the file, to what the library says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special
from torch.nn import functional as F

import isthmus as ist
from isthmus import onnx_words
from isthmus.data import open_source
from isthmus.errors import DataWarning
from isthmus.onnx_tables import Pieces, TableUnits, columns_note, needs_float64
from isthmus.onnx_words import Spelled, bessel, log_gamma
from isthmus.parts.losses.scaled import Absolute

pytest.importorskip("onnx", reason="needs the extra isthmus[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra isthmus[onnx]")
pytest.importorskip("onnxscript", reason="needs the extra isthmus[onnx]")

COLUMNS = {"tail": "heavy", "income": "log", "rain": "quantile", "clicks": "count", "hour": "circular"}


def table(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """A column of every kind, a tenth of the cells missing."""
    draw = np.random.default_rng(seed)
    days = pd.Timestamp("2021-03-01", tz="Europe/Rome") + pd.to_timedelta(draw.integers(0, 900, rows), unit="D")
    frame = pd.DataFrame(
        {
            "number": draw.normal(50, 8, rows),
            "tail": draw.standard_t(1.5, rows),
            "income": draw.lognormal(8, 1.5, rows),
            "rain": np.where(draw.random(rows) < 0.3, 0.0, draw.gamma(0.5, 40, rows)),
            "clicks": pd.array(draw.negative_binomial(1, 0.1, rows), dtype="Int64"),
            "member": pd.array(draw.random(rows) < 0.5, dtype="boolean"),
            "size": pd.Categorical(draw.choice(["S", "M", "L"], rows), ["S", "M", "L"], ordered=True),
            "town": draw.choice([f"town {i}" for i in range(40)], rows).astype(object),
            "hour": draw.integers(0, 24 * 60, rows) / 60,
            "day": days,
        }
    )
    return frame.mask(draw.random(frame.shape) < 0.1)


def fitted(frame: pd.DataFrame, columns: dict[str, str] | None = None, **more: Any) -> ist.Autoencoder:
    settings = {"method": "masked", "code_size": 4, "epochs": 3, "random_state": 0} | more
    return ist.Autoencoder(**settings, columns=columns).fit(frame)


def raw_numbers(ae: ist.Autoencoder, frame: pd.DataFrame) -> np.ndarray:
    source = open_source(frame, form=ae.form_)
    return source.read(0, source.rows)


def run(path: Path, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    return session.run(None, {entry.name: given.astype({"tensor(double)": "f8", "tensor(float)": "f4"}[entry.type])})[0]


def rebuilt_numbers(ae: ist.Autoencoder, raw: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """What the library rebuilds before it becomes the user's own cells, in scaled units."""
    with torch.no_grad():
        out = ae.composition_.rebuild(torch.from_numpy(codes), ist.records.Context(ae.form_.layout.shape))
    return ae.scaling_.forward(ae.scaling_.inverse(out)).numpy()


def check(ae: ist.Autoencoder, frame: pd.DataFrame, folder: Path, part: str) -> None:
    """Export, and compare with the library for one row and for all; numbers and dates in their scale."""
    path, raw, codes = ae.export_onnx(folder / "part.onnx", part), raw_numbers(ae, frame), ae.transform(frame)
    wanted = {"encoder": lambda: codes, "score": lambda: ae.score_samples(frame)}.get(
        part, lambda: rebuilt_numbers(ae, raw, codes)
    )()
    for rows in (1, len(frame)):
        got = run(path, (codes if part == "decoder" else raw)[:rows])
        if part in ("decoder", "reconstruct"):
            got = ae.scaling_.forward(got).numpy()
        assert got.shape == wanted[:rows].shape
        unit = max(1.0, np.abs(wanted).max()) if part == "score" else 1.0
        np.testing.assert_allclose(got, wanted[:rows], rtol=2e-6, atol=1e-4 * unit)


@pytest.fixture(scope="module")
def mixed() -> ist.Autoencoder:
    return fitted(table(), COLUMNS)


def by_hand(note: dict[str, Any], cell: Any) -> float:
    """A cell's number, from what the file says of its column, without this library."""
    if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell:
        return math.nan
    if note["type"] == "category":
        return note["levels"].index(cell) if cell in note["levels"] else note["other"]
    if "levels" in note:
        return note["levels"].index(cell)
    if note["type"] == "circular":
        return (cell - note["origin"]) / note["period"] % 1
    if note["type"] == "date":
        return (cell - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    return float(cell)


def test_rows_coded_by_hand_from_the_file(mixed: ist.Autoencoder, tmp_path: Path) -> None:
    """Every kind of column, missing cells and an unseen town: the codes are the library's."""
    frame = table(40, seed=1)
    frame.loc[3, "town"] = "Atlantis"
    frame.loc[5] = None  # nothing is known of this row
    path = mixed.export_onnx(tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(path)
    kept = session.get_modelmeta().custom_metadata_map
    notes = json.loads(kept["isthmus.columns"])
    assert kept["part"] == "encoder"
    assert [(note["name"], note["type"]) for note in notes] == [
        ("number", "numeric"), ("tail", "heavy"), ("income", "numeric"), ("rain", "numeric"), ("clicks", "count"),
        ("member", "binary"), ("size", "ordinal"), ("town", "category"), ("hour", "circular"), ("day", "date"),
    ]  # fmt: skip
    assert (notes[5]["levels"], notes[6]["levels"]) == ([False, True], ["S", "M", "L"])
    assert notes[7]["other"] == len(notes[7]["levels"]) == 40
    assert notes[9]["how"] == "seconds since 1970-01-01 00:00:00 UTC"
    rows = [[by_hand(note, cell) for note, cell in zip(notes, row, strict=True)] for row in frame.astype(object).values]
    assert session.get_inputs()[0].type == "tensor(double)"
    with pytest.warns(DataWarning, match="Atlantis"):
        codes = mixed.transform(frame)
    (got,) = session.run(None, {"x": np.array(rows)})
    np.testing.assert_allclose(got, codes, rtol=0, atol=1e-5)
    for row in (3, 5):
        (alone,) = session.run(None, {"x": np.array(rows[row : row + 1])})
        np.testing.assert_allclose(alone, codes[row : row + 1], rtol=0, atol=1e-5)
    # What is no level or count of its column is missing, and so is what is infinite.
    strange = np.array([rows[0]] * 4)
    strange[0, 7], strange[1, 6], strange[2, 4], strange[3, 0] = -1, 3, -2, np.inf
    gone = strange.copy()
    gone[[0, 1, 2, 3], [7, 6, 4, 0]] = np.nan
    np.testing.assert_array_equal(session.run(None, {"x": strange})[0], session.run(None, {"x": gone})[0])
    assert (np.abs(session.run(None, {"x": gone})[0] - got[0]).max(1) > 1e-4).any()


@pytest.mark.parametrize("part", ["score", "decoder", pytest.param("reconstruct", marks=pytest.mark.slow)])
def test_the_other_parts(mixed: ist.Autoencoder, tmp_path: Path, part: str) -> None:
    check(mixed, table(60, seed=2), tmp_path, part)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["encoder", "score", "reconstruct", "decoder"])
@pytest.mark.parametrize("kind", ["undercomplete", "vae", "vq_vae", "sparse", "denoising", "linear"])
def test_every_part_of_several_kinds(kind: str, part: str, tmp_path: Path) -> None:
    check(fitted(table(), COLUMNS, method=kind, epochs=1), table(60, seed=2), tmp_path, part)


@pytest.mark.parametrize("part", ["score", pytest.param("reconstruct", marks=pytest.mark.slow)])
def test_small_numbers_stay_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Levels, whole numbers and float32 cells need no more; more than 1,000 levels, and one loss for all numbers."""
    draw = np.random.default_rng(0)
    towns = np.concatenate([np.arange(1500), np.arange(1500)])
    frame = pd.DataFrame(
        {"town": [f"t{i}" for i in towns], "age": draw.integers(18, 90, 3000), "size": draw.normal(size=3000)}
    ).astype({"size": "float32"})
    ae = fitted(frame, method="undercomplete", loss=Absolute(), epochs=1)
    assert [column.kind for column in ae.form_.layout.columns] == ["category", "number", "number"]
    assert [type(block).__name__ for block in ae.composition_.loss.blocks] == ["AllNumbers", "WideCategories"]
    monkeypatch.setattr(onnx_words, "AT_ONCE", 600)  # so that the levels come in three pieces
    check(ae, frame[:50], tmp_path, part)
    session = onnxruntime.InferenceSession(tmp_path / "part.onnx")
    assert session.get_inputs()[0].type == session.get_outputs()[0].type == "tensor(float)"


@pytest.mark.parametrize(
    ("values", "kind", "wide"),
    [
        (np.linspace(0, 1, 50), "standard", False),
        (np.linspace(1e6, 1e6 + 1, 50), "standard", True),  # steps of 1/16 in float32
        (np.arange(50) + 2**24 - 50, "standard", False),
        (np.arange(50) * 10 + 2**25, "standard", True),
        (1e6 + np.geomspace(1e-3, 1e3, 50), "log", True),
        (np.geomspace(1e-3, 1e3, 50), "log", True),
        (np.geomspace(1, 1e3, 50), "quantile", False),
        (1e4 + np.concatenate([np.linspace(0, 1e-3, 25), np.linspace(1, 9, 25)]), "quantile", True),
        (pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(50), unit="D"), "date", True),
    ],
)
def test_rows_are_float64_where_float32_would_be_too_coarse(values: Any, kind: str, wide: bool) -> None:
    frame = pd.DataFrame({"a": values, "b": ["x", "y"] * 25})
    source = open_source(frame, columns={"a": kind})
    assert needs_float64(ist.data.Scaling.fit(source), source.form) is wide


def test_the_way_there_and_back_is_that_of_the_scaling() -> None:
    """To the last bit but float32's, for bent columns, at knots, between them and beyond."""
    frame = table(300)
    source = open_source(frame, columns=COLUMNS)
    scaling, raw = ist.data.Scaling.fit(source), source.read(0, 300)
    ends = np.full(raw.shape[1], np.inf)
    made = TableUnits(scaling, source.form, -ends, ends)
    batch = made.batch(torch.from_numpy(raw), None)
    np.testing.assert_allclose(batch.x, scaling.forward(raw), rtol=2e-7, atol=1e-7)
    np.testing.assert_array_equal(batch.weight, ~np.isnan(raw))
    slopes = (scaling.log_slope(batch.x.double()) * batch.weight).sum(1)
    np.testing.assert_allclose(made.volume(batch), slopes, rtol=1e-12)
    far = torch.from_numpy(np.random.default_rng(0).normal(0, 3, raw.shape)).float()
    np.testing.assert_allclose(made.rebuilt(far), scaling.inverse(far, wide=True), rtol=1e-12)
    maps = scaling.warps.quantiles
    knots = torch.from_numpy(np.concatenate([maps.at[0][np.isfinite(maps.at[0])], [-1e9, 1e9, 0.3]]))[:, None]
    pieces = Pieces(maps.at, maps.to, maps.begin, maps.end, maps.unit)
    np.testing.assert_array_equal(pieces.forward(knots), maps.forward(knots))


def test_rows_that_a_graph_is_checked_by_are_cells_that_there_can_be() -> None:
    frame = table(300)
    source = open_source(frame, columns=COLUMNS)
    ends = np.full(10, np.inf)
    made = TableUnits(ist.data.Scaling.fit(source), source.form, -ends, ends)
    rows = made.rows(200)
    assert 0.1 < rows.isnan().double().mean() < 0.3
    assert torch.equal(made.batch(rows, None).weight == 0, rows.isnan())
    for place, most in ((5, 1), (6, 2), (7, 40)):
        assert rows[:, place].nan_to_num().max() == most
        assert (rows[:, place].nan_to_num() % 1 == 0).all()


@pytest.mark.parametrize(
    ("mine", "theirs", "x"),
    [
        (log_gamma, special.gammaln, np.concatenate([np.geomspace(1e-6, 1e12, 300), np.arange(1, 30)])),
        (bessel, special.i0e, np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 300), [9.99, 10.0, 10.01]])),
    ],
)
def test_functions_that_are_spelled_out(mine: Callable[..., Any], theirs: Callable[..., Any], x: np.ndarray) -> None:
    np.testing.assert_allclose(mine(torch.from_numpy(x)), theirs(x), rtol=1e-8, atol=1e-11)
    assert mine(torch.from_numpy(x).float()).dtype == torch.float32


def test_functions_are_spelled_out_only_while_that_lasts() -> None:
    out, x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 1])
    settings: list[dict[str, Any]] = [{"reduction": "none"}, {}, {"reduction": "none", "label_smoothing": 0.1}]
    wanted = [F.cross_entropy(out, x, **each) for each in settings]
    with Spelled():
        assert torch.equal(torch.lgamma(torch.tensor([3.3])), log_gamma(torch.tensor([3.3])))
        assert torch.equal(torch.special.i0e(torch.tensor([3.3])), bessel(torch.tensor([3.3])))
        for each, value in zip(settings, wanted, strict=True):
            torch.testing.assert_close(F.cross_entropy(out, x, **each), value)
    with torch.no_grad():
        assert torch.lgamma(torch.tensor(0.0)).isinf()  # PyTorch's own again


def test_bent_scales_of_a_table_of_numbers(tmp_path: Path) -> None:
    """A complete table, whose cells are all numbers, with a logarithm asked for."""
    raw = np.random.default_rng(0).lognormal(size=(100, 3))
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0, scale="log").fit(raw)
    assert ae.form_.layout.columns is None
    path = ae.export_onnx(tmp_path / "score.onnx", "score")
    np.testing.assert_allclose(run(path, raw[:9]), ae.score_samples(raw[:9]), rtol=0, atol=1e-4)


def test_how_dates_times_and_spans_are_coded() -> None:
    """What the note says of a cell is the raw number that the library makes of it."""
    frame = pd.DataFrame(
        {
            "naive": pd.to_datetime(["2024-03-01 12:00:00", "1969-12-31 23:59:50"] * 20),
            "written": ["29.02.2024", "01.03.1955"] * 20,
            "clock": ["18:30", "06:00"] * 20,
            "span": pd.to_timedelta(["90s", "1D"] * 20),
            "angle": [-90.0, 180.0] * 20,
            "true": [True, False] * 20,
        }
    )
    source = open_source(frame, columns={"angle": "circular", "clock": "circular", "written": "date"})
    notes = {note["name"]: note for note in json.loads(columns_note(source.form))}
    raw = dict(zip(source.names, source.read(0, 2).T, strict=True))
    seconds = (datetime(2024, 3, 1, 12) - datetime(1970, 1, 1)).total_seconds()
    assert notes["naive"]["how"] == "seconds since 1970-01-01 00:00:00 by the clock that they are told by"
    assert raw["naive"].tolist() == [seconds, -10]
    days = [datetime.strptime(text, notes["written"]["format"]) - datetime(1970, 1, 1) for text in frame["written"][:2]]
    assert raw["written"].tolist() == [day.total_seconds() for day in days]
    clock = [datetime.strptime(text, notes["clock"]["format"]) for text in frame["clock"][:2]]
    wanted = [(at.hour * 3600 + at.minute * 60 - notes["clock"]["origin"]) / notes["clock"]["period"] for at in clock]
    assert raw["clock"].tolist() == wanted == [18.5 / 24, 0.25]
    assert (notes["span"]["how"], raw["span"].tolist()) == ("seconds", [90, 86_400])
    angle = notes["angle"]
    assert raw["angle"].tolist() == [(cell - angle["origin"]) / angle["period"] % 1 for cell in (-90.0, 180.0)]
    assert [notes["true"]["levels"].index(cell) for cell in (True, False)] == raw["true"].tolist()


def test_rows_that_are_given_something(tmp_path: Path) -> None:
    frame = table(100)
    given = np.array(["a", "b"] * 50)
    ae = ist.Autoencoder("vae", code_size=2, epochs=1, random_state=0, columns=COLUMNS).fit(frame, given=given)
    path = ae.export_onnx(tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(path)
    inputs = {"x": raw_numbers(ae, frame), "given": np.eye(2, dtype=np.float32)[np.arange(100) % 2]}
    np.testing.assert_allclose(session.run(None, inputs)[0], ae.transform(frame, given=given), rtol=0, atol=1e-4)
