"""Drawings of a space of codes: what is computed for them, what is on the axes, and what is refused."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import isthmus as ist
from isthmus import plots
from isthmus.diagnostics.plane import box_of, holes, jumps, nearest_apart, plane_of, said_by_units, umap_points
from isthmus.estimators import latent
from isthmus.report import latent_map


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = ist.data.digits()
    return X[:400], y[:400]


@pytest.fixture(scope="module")
def flat(digits: tuple[np.ndarray, np.ndarray]) -> ist.Autoencoder:
    return ist.Autoencoder(code_size=2, epochs=3, random_state=0).fit(digits[0])


@pytest.fixture(scope="module")
def drawn(digits: tuple[np.ndarray, np.ndarray]) -> ist.Autoencoder:
    return ist.Autoencoder("vae", code_size=5, epochs=4, random_state=0).fit(digits[0])


def factors(rows: int = 300) -> np.ndarray:
    """Rows on a plane: two causes, of which the first is stronger, in six columns."""
    draw = np.random.default_rng(0)
    causes = draw.standard_normal((rows, 2)) * [3.0, 1.0]
    return causes @ draw.standard_normal((2, 6))


@pytest.fixture(scope="module")
def table() -> tuple[ist.Autoencoder, pd.DataFrame]:
    X = pd.DataFrame(factors(), columns=list("abcdef"))
    # It starts at PCA, and stays there.
    return ist.Autoencoder(code_size=2, scale="common", epochs=1, learning_rate=1e-9, random_state=0).fit(X), X


def view(ae: ist.Autoencoder, X: object) -> latent.View:
    return latent.view_of(ae, ae._source(X), None)


# What is computed.


def test_the_plane_of_a_larger_code_is_that_of_its_principal_components() -> None:
    draw = np.random.default_rng(0)
    codes = draw.standard_normal((500, 4)) * [1.0, 5.0, 0.1, 3.0] + 7.0
    plane = plane_of(codes)
    values, vectors = np.linalg.eigh(np.cov(codes.T, bias=True))
    np.testing.assert_allclose(plane.shares, values[[3, 2]] / values.sum())
    np.testing.assert_allclose(np.abs(plane.directions @ vectors[:, [3, 2]]), np.eye(2), atol=1e-12)
    assert (plane.directions[[0, 1], np.abs(plane.directions).argmax(1)] > 0).all()
    points = draw.standard_normal((20, 2))
    np.testing.assert_allclose(plane.flat(plane.lift(points)), points, atol=1e-12)
    np.testing.assert_allclose(plane.lift(np.zeros((1, 2)))[0], codes.mean(0))


def test_a_code_of_two_units_is_its_own_plane() -> None:
    codes = np.random.default_rng(0).standard_normal((9, 2)) + 4
    np.testing.assert_array_equal(plane_of(codes).flat(codes), codes)
    assert plane_of(codes).axes == ("code unit 0", "code unit 1")
    assert plane_of(codes, own=False).axes[0].startswith("component 1 (")


def test_a_linear_model_has_no_holes_and_even_steps(table: tuple[ist.Autoencoder, pd.DataFrame]) -> None:
    """Rows lie on a plane that PCA of size 2 rebuilds: every place decodes to the plane and comes back; the slope of
    a linear decoder is the same everywhere."""
    seen = view(*table)
    found = holes(seen.probe, seen.codes, plane_of(seen.points), finest=9)
    assert found.away.shape == found.back.shape == found.jump.shape == (9, 9)
    assert found.back.max() < 1
    assert found.share(found.back) == 1
    np.testing.assert_allclose(found.jump, found.jump[0, 0], rtol=1e-3)


def test_the_distance_to_the_nearest_row_is_what_completeness_compares(
    table: tuple[ist.Autoencoder, pd.DataFrame],
) -> None:
    seen = view(*table)
    plane = plane_of(seen.points)
    found = holes(seen.probe, seen.codes, plane, finest=5)
    corner = plane.lift(np.array([[found.across[0], found.up[-1]]]))
    made = seen.decoded(corner).double().numpy()
    places = seen.probe.points[::2].double().numpy()
    rebuilt = seen.decoded(seen.points[1::2]).double().numpy()
    own = [np.linalg.norm(places - row, axis=1).min() for row in rebuilt]
    # `spaced` takes at most as many of the others as there are points on the grid.
    chosen = np.unique(np.linspace(0, len(own) - 1, 25).round().astype(int))
    usual = np.quantile(np.asarray(own)[chosen], 0.95)
    assert found.away[-1, 0] == pytest.approx(np.linalg.norm(places - made, axis=1).min() / usual, rel=1e-3)


def test_jumps_are_slopes_in_units_of_steps() -> None:
    across, up = np.linspace(0, 2, 5), np.linspace(0, 3, 4)
    x, y = np.meshgrid(across, up)
    made = torch.from_numpy(np.stack([6 * x, 8 * y], axis=-1))
    np.testing.assert_allclose(jumps(made, across, up, 0.5, 2.0), np.sqrt((36 + 64) / 2) * 0.5 / 2)


def test_doubles_are_no_nearest_rows() -> None:
    points = torch.tensor([[0.0], [0.0], [5.0], [7.0]])
    assert nearest_apart(points) == 2
    assert np.isnan(nearest_apart(torch.zeros(4, 1)))


def test_where_nothing_lies_between_codes_the_reason_is_told(digits: tuple[np.ndarray, np.ndarray]) -> None:
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(np.random.default_rng(0).random((50, 4)))
    with pytest.raises(ist.InputError, match="holes: there is nothing to draw, as each row, or its code, has a double"):
        plots.holes(ae, np.ones((50, 4)))
    with pytest.raises(ist.InputError, match="3 rows are too few"):
        plots.holes(ae, np.eye(3, 4))
    vq = ist.Autoencoder("vq_vae", code_size=4, epochs=1, random_state=0).fit(digits[0])
    with pytest.raises(ist.InputError, match="codes are symbols, between which there is nothing"):
        plots.holes(vq, digits[0])
    with pytest.raises(ist.InputError, match="decoded_grid: this model's codes are symbols"):
        plots.decoded_grid(vq, digits[0])
    with pytest.raises(ist.InputError, match="traversals: this model's codes are symbols"):
        plots.traversals(vq, digits[0])


def test_units_of_a_linear_code_are_ordered_by_the_variance_that_they_explain(
    table: tuple[ist.Autoencoder, pd.DataFrame],
) -> None:
    seen = view(*table)
    said = said_by_units(seen.probe, seen.codes)
    assert said.measure == "of the variance"
    assert said.amount[0] > said.amount[1] > 0
    unit = said.units[0]
    step = np.zeros((1, 2))
    step[0, unit] = seen.points[:, unit].std()
    moved = (seen.decoded(seen.points[:1] + step) - seen.decoded(seen.points[:1])).square().mean()
    assert said.amount[0] == pytest.approx(float(moved) / seen.probe.variance, rel=1e-3)


def test_units_of_a_drawn_code_are_ordered_by_nats(
    drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    seen = view(drawn, digits[0])
    said = said_by_units(seen.probe, seen.codes)
    nats = drawn.diagnose(digits[0]).units["divergence"]
    assert said.measure == "nats"
    assert said.units == tuple(np.argsort(-np.asarray(nats))[: len(said.units)])
    np.testing.assert_allclose(said.amount, np.sort(nats)[::-1][: len(said.units)], rtol=1e-5)


def test_pictures_on_a_map_are_the_nearest_to_their_cells_and_none_overlap() -> None:
    points = np.array([[0.1, 0.1], [0.4, 0.6], [0.5, 0.4], [3.6, 3.5], [2.5, 0.5]])
    rows, cells, lines, ends = latent_map.chosen_cells(points, (0.0, 4.0, 0.0, 4.0), 4, 1.0)
    assert (lines, ends) == (4, (0.0, 4.0))
    # Of the three in the lowest cell on the left, row 2 is 0.1 from its middle and row 1 is 0.14.
    assert rows.tolist() == [3, 2, 4]
    assert cells.tolist() == [[3, 0], [0, 3], [2, 3]]
    # Pictures twice as high as wide take cells twice as high.
    assert latent_map.chosen_cells(points, (0.0, 4.0, 0.0, 4.0), 4, 2.0)[2:] == (2, (0.0, 4.0))


def test_a_mosaic_holds_each_picture_upright_in_its_cell() -> None:
    shades = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    frames = np.array([[9, 8, 7], [6, 5, 4]], dtype=np.uint8)
    pixels = latent_map.mosaic(shades, np.array([[0, 0], [1, 1]]), 2, 2, frames)
    height, width = 3 + 2 + 2, 4 + 2 + 2
    assert pixels.shape == (2 * height, 2 * width, 4)
    np.testing.assert_array_equal(pixels[2:5, 2:6, 0], shades[0])
    np.testing.assert_array_equal(pixels[height + 2 : height + 5, width + 2 : width + 6, 2], shades[1])
    np.testing.assert_array_equal(pixels[1, 1], [9, 8, 7, 255])
    assert not pixels[:height, width:, 3].any()


def test_a_grid_has_its_lowest_codes_at_the_bottom(
    flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    grid = latent.grid_of(view(flat, digits[0]), 4, 64)
    codes = flat.transform(digits[0]).astype(np.float64)
    np.testing.assert_allclose(grid.across[[0, -1]], np.percentile(codes[:, 0], [1, 99]), rtol=1e-5)
    decoded = flat.inverse_transform(np.array([[grid.across[3], grid.up[0]]]))[0]
    scale = 255 / digits[0].max()
    np.testing.assert_allclose(grid.shades[0, 3], (decoded * scale).clip(0, 255), atol=0.51 * scale + 0.51)
    axes = Figure().add_subplot()
    latent_map.paint_grid(axes, grid)
    sheet = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(sheet[-9:-1, 27:35, 0], grid.shades[0, 3])
    left, right, bottom, top = axes.images[0].get_extent()
    assert left < grid.across[0] < grid.across[-1] < right
    assert bottom < grid.up[0] < grid.up[-1] < top


def test_small_pictures_are_means_of_their_pixels() -> None:
    shades = np.array([[[0, 20, 40, 60], [20, 40, 80, 60]]], dtype=np.uint8)
    np.testing.assert_array_equal(latent.shrunk(shades, 2), [[[20, 60]]])
    assert latent.shrunk(shades, 4) is shades


# What is drawn.


def test_a_map_has_a_point_for_each_row_and_pictures(
    flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    axes = plots.latent_map(flat, *digits)
    points = np.concatenate([line.get_xydata() for line in axes.lines])
    codes = flat.transform(digits[0])
    order = np.argsort(digits[1], kind="stable")
    np.testing.assert_allclose(points, codes[order], rtol=1e-6)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [str(digit) for digit in range(10)]
    assert len(axes.images) == 1
    assert not plots.latent_map(flat, digits[0], thumbnails=0).images
    assert not plots.latent_map(flat, digits[0].astype(np.float64).reshape(-1, 8, 8)[:1], thumbnails=0).images


def test_both_directions_of_a_map_have_one_scale(drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    for axes in (plots.latent_map(drawn, digits[0]), plots.latent_map(drawn, digits[0], thumbnails=0)):
        axes.figure.draw_without_rendering()
        window, box = axes.get_window_extent(), axes.viewLim
        assert window.width / box.width == pytest.approx(window.height / box.height, rel=1e-3)


def test_numbers_are_told_by_a_scale_of_colours(flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    values = pd.Series(np.linspace(0, 1, 400), name="$age_1$")
    axes = plots.latent_map(flat, digits[0], values, thumbnails=0)
    assert len(axes.lines) == 8
    assert axes.get_legend() is None
    assert axes.child_axes[0].get_xlabel() == "$age_1$"


def test_axes_given_are_drawn_on_and_no_state_is_touched(
    flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    before, loaded = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    figure = Figure(figsize=(9, 3))
    left, *three = figure.subplots(1, 4)
    assert plots.latent_map(flat, digits[0], axes=left) is left
    panels = plots.holes(flat, digits[0], axes=three)
    assert [panel is own for panel, own in zip(panels, three, strict=True)] == [True] * 3
    figure.draw_without_rendering()
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_the_panels_of_holes_say_how_much_is_one(flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    panels = plots.holes(flat, digits[0])
    found, _ = latent.holes_of(view(flat, digits[0]))
    for panel, values in zip(panels, (found.away, found.back, found.jump), strict=True):
        assert f"yes at {(values[found.among] <= 1).mean():.0%} of the places" in panel.get_title(loc="left")
        np.testing.assert_allclose(np.asarray(panel.images[0].get_array()), values, rtol=1e-6)


def test_walks_of_pictures_start_where_they_are_told(
    drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X = digits[0]
    by_number = np.asarray(plots.traversals(drawn, X, 7, units=[3, 1], steps=5).images[0].get_array())
    by_row = np.asarray(plots.traversals(drawn, X, X[7], units=[3, 1], steps=5).images[0].get_array())
    np.testing.assert_array_equal(by_number, by_row)
    assert by_number.shape == (2 * 9, 5 * 9, 4)
    codes = drawn.transform(X).astype(np.float64)
    code = codes[7].copy()
    code[3] = np.percentile(codes[:, 3], 2.5)
    decoded = drawn.inverse_transform(code[None])[0] * (255 / X.max())
    np.testing.assert_allclose(by_number[:8, :8, 0], decoded.clip(0, 255), atol=0.51 * 255 / X.max() + 1)


def test_walks_of_a_table_show_the_columns_that_a_unit_moves(table: tuple[ist.Autoencoder, pd.DataFrame]) -> None:
    ae, X = table
    panels = plots.traversals(ae, X, steps=3)
    assert len(panels) == 2
    seen = view(ae, X)
    for panel, unit in zip(panels, said_by_units(seen.probe, seen.codes).units, strict=True):
        assert panel.get_title(loc="left").startswith(f"unit {unit}: ")
        line = panel.lines[0]
        low, high = np.percentile(seen.points[:, unit], [2.5, 97.5])
        np.testing.assert_allclose(line.get_xdata(), np.linspace(low, high, 3), rtol=1e-5)
        along = np.repeat(seen.points[[seen.origin]], 3, axis=0)
        along[:, unit] = np.linspace(low, high, 3)
        values = ae.inverse_transform(along)
        name = panel.get_legend().get_texts()[0].get_text()
        told = (values[name] - X[name].mean()) / X[name].std(ddof=0)
        np.testing.assert_allclose(line.get_ydata(), told, atol=1e-3)
        moved = ((values.max() - values.min()) / X.std(ddof=0)).max()
        assert np.ptp(line.get_ydata()) == pytest.approx(moved, rel=1e-3)


def test_levels_and_missing_cells_of_mixed_tables_are_left_out_of_lines() -> None:
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"a": draw.normal(size=120), "kind": draw.choice(list("xyz"), 120), "b": draw.normal(size=120)})
    X.loc[3:9, "a"] = np.nan
    ae = ist.Autoencoder(code_size=2, epochs=1, random_state=0).fit(X)
    for panel in plots.traversals(ae, X, units=[0, 1]):
        assert {text.get_text() for text in panel.get_legend().get_texts()} == {"a", "b"}
        assert all(np.isfinite(line.get_ydata()).all() for line in panel.lines[:2])


def test_what_rows_are_given_decoded_codes_are_given(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    ae = ist.Autoencoder("vae", code_size=2, epochs=1, random_state=0).fit(X, given=y)
    first = np.asarray(plots.traversals(ae, X, 0, units=0, given=y).images[0].get_array())
    second = np.asarray(plots.traversals(ae, X, 1, units=0, given=y).images[0].get_array())
    assert y[0] != y[1]
    assert (first != second).any()
    with pytest.raises(ist.InputError, match="x must be the number of a row of X where rows are given something"):
        plots.traversals(ae, X, X[0], given=y)


# What is refused.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"way": "tsne"}, "way must be one of 'auto', 'own', 'pca', 'umap'; got 'tsne'"),
        ({"way": "own"}, "way='own' is for codes of at most 2 numbers; this model's have 5"),
        ({"thumbnails": -1}, "thumbnails must be a whole number >= 0; got -1"),
        ({"thumbnails": 200}, "thumbnails=200 makes too many pixels; at most 156 side by side"),
        ({"y": np.zeros(3)}, r"y must have one label per row, shape \(400,\); got \(3,\)"),
        ({"axes": "here"}, "axes must be matplotlib axes; got str"),
    ],
)
def test_a_map_refuses(
    drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ist.InputError, match=message):
        plots.latent_map(drawn, digits[0], **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": [5]}, r"units must be numbers of code units, 0 to 4; got \[5\]"),
        ({"units": []}, r"units must be numbers of code units, 0 to 4; got \[\]"),
        ({"steps": 1}, "steps must be a whole number >= 2; got 1"),
        ({"x": 400}, "x must be the number of a row, 0 to 399, or a row; got 400"),
        ({"x": np.zeros((3, 8, 8))}, r"x must be one row, of shape \(8, 8\), or the number of a row of X"),
    ],
)
def test_walks_refuse(
    drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ist.InputError, match=message):
        plots.traversals(drawn, digits[0], **change)  # type: ignore[arg-type]


def test_a_grid_is_for_images_of_two_units_and_more(
    flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray], table: tuple[ist.Autoencoder, pd.DataFrame]
) -> None:
    with pytest.raises(ist.InputError, match="decoded_grid draws images; this model's rows are none"):
        plots.decoded_grid(*table)
    with pytest.raises(ist.InputError, match="size must be a whole number >= 2; got 1"):
        plots.decoded_grid(flat, digits[0], size=1)
    with pytest.raises(ist.InputError, match="size=9000 makes too many pixels"):
        plots.decoded_grid(flat, digits[0], size=9000)
    one = ist.Autoencoder(code_size=1, epochs=1, random_state=0).fit(digits[0])
    with pytest.raises(ist.InputError, match="decoded_grid needs a code of two units or more"):
        plots.decoded_grid(one, digits[0])
    assert isinstance(plots.latent_map(one, *digits), Axes)
    with pytest.raises(ist.InputError, match="ae must be a fitted Autoencoder; got str"):
        plots.latent_map("model", digits[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("drawing", [plots.latent_map, plots.decoded_grid, plots.holes, plots.traversals])
def test_generators_are_told_what_to_give_instead(
    drawing: Callable[..., object], flat: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    generator = ist.Generator(flat, prior="normal", random_state=0)
    with pytest.raises(ist.InputError, match=r"must be a fitted Autoencoder; got Generator$"):
        drawing(generator, digits[0])
    generator.fit(digits[0])
    with pytest.raises(ist.InputError, match=r"must be a fitted Autoencoder; got Generator; give its autoencoder_$"):
        drawing(generator, digits[0])
    drawing(generator.autoencoder_, digits[0][:100])


def test_generators_without_codes_have_none_to_draw() -> None:
    cells = pd.DataFrame({"a": np.arange(60) % 7, "b": ["u", "v", "w"] * 20})
    generator = ist.Generator(epochs=1, random_state=0).fit(cells)
    with pytest.raises(ist.InputError, match=r"got Generator, which draws its table cell by cell, without codes$"):
        plots.latent_map(generator, cells)


def test_umap_is_an_extra(
    monkeypatch: pytest.MonkeyPatch, drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ist.MissingExtraError, match=r"A map by UMAP needs the package 'umap-learn'.*'isthmus\[umap\]'"):
        plots.latent_map(drawn, digits[0], way="umap")
    with pytest.raises(ist.InputError, match="way='umap' needs at least 5 rows; got 2"):
        umap_points(np.zeros((2, 3)))


def test_umap_lays_out_the_codes(
    monkeypatch: pytest.MonkeyPatch, drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    class Stub:
        def __init__(self, **settings: object) -> None:
            assert settings == {"n_components": 2, "n_neighbors": 15, "random_state": 0, "n_jobs": 1}

        def fit_transform(self, codes: np.ndarray) -> np.ndarray:
            return codes[:, [3, 1]]

    package = types.ModuleType("umap")
    package.UMAP = Stub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", package)
    axes = plots.latent_map(drawn, digits[0], way="umap", thumbnails=0)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), drawn.transform(digits[0])[:, [3, 1]], rtol=1e-5)
    assert axes.get_xlabel() == "UMAP 1 (of the neighbours; no unit)"


@pytest.mark.slow
def test_umap_itself_lays_out_every_row(drawn: ist.Autoencoder, digits: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("umap")
    axes = plots.latent_map(drawn, digits[0], way="umap", thumbnails=0)
    assert len(axes.lines[0].get_xydata()) == 400


def test_the_box_of_a_map_has_a_width_whatever_the_codes() -> None:
    left, right, bottom, top = box_of(np.zeros((3, 2)))
    assert left < 0 < right
    assert bottom < 0 < top
