"""The report of rows that run in time: series, clips and texts; and what the commands say of their models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import DIAGNOSIS, HISTORY, TABLE_PARTS, Reader, record
from typer.testing import CliRunner

import isthmus as ist
from isthmus import cli
from isthmus.data.sequences import SequenceSource, sequences
from isthmus.data.tokens import text
from isthmus.data.writers import write_table
from isthmus.errors import InputError
from isthmus.parts.losses.categories import Categorical
from isthmus.parts.networks.convolutional import Convolutional
from isthmus.parts.networks.recurrent import Recurrent
from isthmus.records import Layout
from isthmus.report import figures, page, sequence_page, sequence_plots

PARTS = ["verdicts", "rebuilt", "steps", "spread", *TABLE_PARTS[3:]]
NASTY = "<&\n\"'>"


def made(n: int = 20, shape: tuple[int, ...] = (6,), axes: tuple[str, ...] = ("step",), **changes: Any) -> Any:
    """The report of made rows, as far as it is data."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n, *shape))
    layout = Layout(shape, axes)
    values: dict[str, Any] = {
        "title": "model", "kind": "undercomplete", "data": "made rows", "layout": layout, "originals": x,
        "reconstructions": x + 0.1 * generator.normal(size=x.shape), "codes": generator.normal(size=(n, 3)),
        "diagnosis": DIAGNOSIS, "record": record(layout.features, 3), "history": HISTORY, "details": {"a": 1},
    }  # fmt: skip
    return figures.collect(**{**values, **changes})


def padded(shape: tuple[int, ...], lengths: np.ndarray) -> np.ndarray:
    """(n, *shape): 1 within the lengths, 0 beyond."""
    within = (np.arange(shape[0]) < lengths[:, None]).astype(np.float32)
    return np.broadcast_to(within.reshape(*within.shape, *[1] * (len(shape) - 1)), (len(lengths), *shape)).copy()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((6,), ("step",)),
        ((6, 2), ("step", "channel")),
        ((1, 9), ("step", "channel")),
        ((3, 4, 5), ("frame", "height", "width")),
        ((3, 4, 5, 3), ("frame", "height", "width", "channel")),
        ((3, 4, 5, 2), ("frame", "height", "width", "channel")),
    ],
    ids=lambda value: str(value),
)
def test_series_and_clips_have_sections_of_their_own(shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    lengths = np.full(20, shape[0])
    lengths[3] = 1
    data = made(20, shape, axes, lengths=lengths, weight=padded(shape, lengths), y=np.arange(20) % 2)
    document = page.render(data)
    reader = Reader(document)
    assert reader.headings == PARTS
    kind = "Clips" if axes[0] == "frame" else "Series"
    assert f"{kind}, as they are and as rebuilt" in document
    assert ("code size", f"3 for {int(np.prod(shape)):,} numbers") in data.key_figures
    assert all(image["alt"] for image in reader.all("img"))
    assert "worst columns" not in document


def test_only_valid_cells_count_and_are_shown() -> None:
    lengths = np.array([2, 4])
    weight = padded((4, 2), lengths)
    weight[1, 1, 0] = 0  # a gap
    x, out = np.zeros((2, 4, 2)), np.zeros((2, 4, 2))
    out[0, :2] = [[1, 1], [1, 1]]
    out[0, 2:] = 1e6  # beyond the end
    out[1, 1, 0], x[1, 1, 0] = 1e6, -7.0
    out[1, 3] = [0, 2]
    data = made(2, (4, 2), ("step", "channel"), originals=x, reconstructions=out, lengths=lengths, weight=weight,
                unit=np.tile([1.0, 2.0], 4))  # fmt: skip
    np.testing.assert_allclose(data.row_errors, [np.sqrt((2 * 1 + 2 * 0.25) / 4), np.sqrt(1.0 / 7)])
    assert [odd.row for odd in data.oddest] == ["0", "1"]
    means = [(0.5 + 0.125) / 2, (1 + 0.125) / 2, 0.0, 0.5]  # of channels, each over the rows that were measured
    np.testing.assert_allclose(data.runs.step_errors, np.sqrt(means))
    first, second = data.runs.some
    assert (first.length, first.rebuilt.shape, float(first.rebuilt.max())) == (2, (2, 2), 1.0)
    np.testing.assert_array_equal(np.isnan(second.observed), [[0, 0], [1, 0], [0, 0], [0, 0]])
    assert [run.row for run in data.runs.oddest] == ["0", "1"]
    clear = made(2, (4, 2), ("step", "channel"), originals=x, reconstructions=np.where(weight > 0, out, 0),
                 lengths=lengths, weight=weight, unit=np.tile([1.0, 2.0], 4))  # fmt: skip
    np.testing.assert_array_equal(clear.row_errors, data.row_errors)


def test_a_step_that_no_row_reaches_has_no_error() -> None:
    lengths = np.full(20, 3)
    data = made(20, (6,), lengths=lengths, weight=padded((6,), lengths))
    np.testing.assert_array_equal(np.isnan(data.runs.step_errors), [False] * 3 + [True] * 3)
    assert Reader(page.render(data)).headings == PARTS


def test_the_worst_channels_are_shown() -> None:
    x = np.zeros((5, 3, 6))
    out = x + np.array([1.0, 0.1, 5.0, 3.0, 0.2, 4.0])
    unit = np.tile([0.1, 1, 1, 1, 1, 1000.0], 3)
    data = made(5, (3, 6), ("step", "channel"), originals=x, reconstructions=out, unit=unit)
    assert data.runs.channels == (0, 2, 3, 4)
    assert data.runs.some[0].rebuilt[0].tolist() == [1.0, 5.0, 3.0, 0.2]
    assert "the 4 of 6 channels that are rebuilt worst" in page.render(data)


def test_a_gap_breaks_the_line_and_a_lone_value_is_a_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: list[tuple[list[float], Any]] = []

    def plot(self: Axes, steps: np.ndarray, values: np.ndarray, **style: Any) -> None:
        drawn.append((values.tolist(), style.get("marker")))

    monkeypatch.setattr(Axes, "plot", plot)
    values = np.array([1.0, 2.0, np.nan, 4.0, np.nan, 5.0, 6.0])
    sequence_plots.draw_line(Axes.__new__(Axes), values, "red", "-")
    assert drawn[1] == ([4.0], "o")
    assert np.isnan(drawn[0][0][2])


def test_a_long_series_keeps_its_peaks() -> None:
    values = np.zeros(100_000)
    values[54_321], values[777] = 9.0, -9.0
    values[90_000:91_000] = np.nan
    steps = sequence_plots.drawn_steps(values)
    assert len(steps) <= sequence_plots.DRAWN
    assert {777, 54_321} <= set(steps.tolist())
    assert np.isnan(values[steps]).any()
    assert (np.diff(steps) > 0).all()


@pytest.mark.slow
def test_long_series_and_large_clips_stay_small(tmp_path: Path) -> None:
    page.write(tmp_path / "series.html", made(20, (5_000, 5), ("step", "channel")))
    assert (tmp_path / "series.html").stat().st_size < 5e6
    noise = np.random.default_rng(0).integers(0, 256, (8, 9, 120, 120, 3), dtype=np.uint8)
    axes = ("frame", "height", "width", "channel")
    page.write(tmp_path / "clips.html", made(8, noise.shape[1:], axes, originals=noise, reconstructions=255.0 - noise,
                                             record=record(10, 3)))  # fmt: skip
    assert (tmp_path / "clips.html").stat().st_size < 5e6


def test_frames_are_those_within_the_clip() -> None:
    lengths = np.array([9, 2, 9])
    shape = (9, 2, 2)
    x = np.broadcast_to(np.arange(9)[:, None, None], (3, *shape)) * 1.0
    data = made(3, shape, ("frame", "height", "width"), originals=x, reconstructions=x, lengths=lengths,
                weight=padded(shape, lengths))  # fmt: skip
    assert data.runs.some[0].steps.tolist() == [0, 1, 3, 4, 6, 8]
    assert data.runs.some[1].steps.tolist() == [0, 1]
    np.testing.assert_array_equal(data.runs.some[1].observed[:, 0, 0], [0, 1])
    assert (data.runs.lowest, data.runs.highest) == (0.0, 8.0)


def text_data(**changes: Any) -> Any:
    lengths = np.array([3, 2])
    values: dict[str, Any] = {
        "originals": np.array([[1, 2, 1], [2, 2, 0]]), "reconstructions": np.array([[1.0, 2.2, 2.0], [2.0, 1.0, 2.0]]),
        "lengths": lengths, "weight": padded((3,), lengths), "vocabulary": ("?", "<", "\n"),
    }  # fmt: skip
    return made(2, (3,), **{**values, **changes})


def test_texts_are_told_by_their_tokens() -> None:
    data = text_data()
    np.testing.assert_allclose(data.row_errors, [1 / 3, 1 / 2])
    np.testing.assert_allclose(data.runs.step_errors, [0.0, 0.5, 1.0])
    assert data.key_figures[0] == ("tokens rebuilt", "60.0% of 5")
    assert not [name for name, _ in data.key_figures if "RMSE" in name or "PCA" in name]
    assert data.sizes is None
    assert "valid_rmse" not in data.history
    document = page.render(data)
    Reader(document)
    assert "RMSE" not in document
    assert "<dd>&lt;↵&lt;</dd>" in document
    assert "<dd>&lt;↵<mark>↵</mark></dd>" in document
    assert "<dd>↵<mark>&lt;</mark></dd>" in document
    assert "error of the row (share of wrong tokens)" in document
    long = text_data(vocabulary=("?", "one", "two"), between=" ")
    assert "<dd>one two <mark>two</mark></dd>" in page.render(long)


def test_a_long_text_is_cut_off() -> None:
    x = np.ones((1, 1000), dtype=int)
    document = page.render(made(1, (1000,), originals=x, reconstructions=x * 1.0, vocabulary=("?", "q")))
    assert re.findall(r"<dd>(q+)…</dd>", document) == ["q" * 400] * 4
    assert "Of long texts the first 400 tokens are shown." in document


def test_marks_are_escaped() -> None:
    assert sequence_page.marked(list(NASTY), [False] * 6, "") == "<mark>&lt;&amp;↵&quot;&#x27;&gt;</mark>"
    assert sequence_page.marked(["a", "b"], [True, True], " ") == "a b"


def info(path: Path) -> str:
    result = CliRunner().invoke(cli.app, ["info", str(path)], env={"COLUMNS": "100"}, prog_name="isthmus")
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def refused(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "80"}, prog_name="isthmus")
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.split("\n") if line.startswith("isthmus: ")]
    assert len(lines) == 1
    return lines[0]


TINY: dict[str, Any] = {"code_size": 2, "epochs": 1, "random_state": 0}


def test_a_model_of_series_of_several_lengths(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = [draw.normal(size=(int(length), 2)) for length in draw.integers(4, 9, 40)]
    rows[1][2, 0] = np.nan
    model = ist.Autoencoder(network=Recurrent(hidden=8, bidirectional=True), **TINY).fit(sequences(rows))
    document = model.report(tmp_path / "report.html", sequences(rows)).read_text(encoding="utf-8")
    assert "on 40 sequences of 4 to 8 steps, 2 channels" in document
    assert "2 numbers by a recurrent network (lstm, 8 units, read both ways)" in document
    assert Reader(document).headings[1:3] == ["rebuilt", "steps"]
    model.save(tmp_path / "m.safetensors")
    said = info(tmp_path / "m.safetensors")
    assert "network a recurrent network (lstm, 8 units, read both ways)" in said
    assert "rows are sequences of up to 8 steps, 2 channels, float64" in said
    assert "2 numbers per row for 16" in said
    np.save(tmp_path / "x.npy", draw.normal(size=(5, 6, 2)))
    line = refused("reconstruct", tmp_path / "m.safetensors", tmp_path / "x.npy", "-o", tmp_path / "x.csv")
    assert "sequences are written as .npy, since they fit no table" in line
    words = ["reconstruct", str(tmp_path / "m.safetensors"), str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]
    result = CliRunner().invoke(cli.app, words, prog_name="isthmus")
    assert "5 rows of 6 x 2" in result.output, (result.output, result.exception)
    assert np.load(tmp_path / "y.npy").shape == (5, 6, 2)
    with pytest.raises(InputError, match="sequences of several lengths fit no such file"):
        write_table(tmp_path / "z.npy", model.reconstruct(sequences(rows)))


def test_a_model_of_clips(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 255, (30, 3, 6, 6), dtype=np.uint8)
    source = SequenceSource(clips, axes=("frame", "height", "width"))
    model = ist.Autoencoder(network=Convolutional((4,), residual=1), **TINY).fit(source)
    document = model.report(tmp_path / "report.html", source).read_text(encoding="utf-8")
    assert "on 30 clips of 3 frames of 6 x 6 pixels" in document
    assert len(Reader(document).all("img")) == 2 * 3 * 2 * 3
    model.save(tmp_path / "m.safetensors")
    said = info(tmp_path / "m.safetensors")
    assert "a convolutional network (4 channels, kernel 3, silu, 1 residual block at each size)" in said
    assert "rows are clips of up to 3 frames of 6 x 6 pixels, uint8" in said


def test_a_model_of_texts(tmp_path: Path) -> None:
    texts = ["a <b>", "b & a", "ab", "ba b"] * 10
    source = text(texts)
    loss = Categorical(source.classes, ordered=False)
    model = ist.Autoencoder(network=Recurrent(hidden=8), loss=loss, **TINY).fit(source)
    document = model.report(tmp_path / "report.html", texts).read_text(encoding="utf-8")
    Reader(document)
    assert "on 40 texts of 2 to 5 tokens" in document
    assert "<dd>a &lt;b&gt;</dd>" in document
    model.save(tmp_path / "m.safetensors")
    said = info(tmp_path / "m.safetensors")
    assert "rows are texts of up to 5 tokens" in said
    assert f"vocabulary {source.classes} characters" in said
    assert "root mean squared" not in said
    (tmp_path / "x.csv").write_text("text\nab\n", encoding="utf-8")
    for command in ("encode", "reconstruct"):
        line = refused(command, tmp_path / "m.safetensors", tmp_path / "x.csv", "-o", tmp_path / "y.csv")
        assert "this model reads texts, which commands cannot" in line
