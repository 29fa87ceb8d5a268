"""The exported graph says what the library says, from raw rows, without the library."""

from __future__ import annotations

import copy
import itertools
import logging
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from isthmus import onnx as isthmus_onnx
from isthmus.composition import Composition, compose
from isthmus.data import open_source
from isthmus.data.scaling import Scaling
from isthmus.data.sources import ArraySource
from isthmus.errors import DataWarning, InputError, MissingExtraError
from isthmus.onnx import export
from isthmus.parts.activations import ACTIVATIONS
from isthmus.parts.bottlenecks.plain import Plain
from isthmus.parts.losses.categories import Bernoulli
from isthmus.parts.losses.counts import Poisson
from isthmus.parts.losses.scaled import Absolute, Squared
from isthmus.parts.networks.dense import Dense
from isthmus.records import Batch, Context
from isthmus.version import VERSION

onnx = pytest.importorskip("onnx", reason="needs the extra isthmus[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra isthmus[onnx]")
pytest.importorskip("onnxscript", reason="needs the extra isthmus[onnx]")

CODE_SIZE = 3


def table(rows: int = 200) -> np.ndarray:
    """Columns of very different sizes and offsets, as float32 has them."""
    draw = np.random.default_rng(1)
    raw = draw.normal(size=(rows, 5)) * [1, 1e-3, 1e4, 1, 20] + [0, 5, -3e4, 1000, 70]
    return raw.astype(np.float32).astype(np.float64)


def pictures(rows: int = 50) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, size=(rows, 4, 6), dtype=np.uint8)


def fitted(raw: np.ndarray, network: Dense, loss: Any = None, code: str = "identity") -> tuple[Composition, Scaling]:
    """A composition with all numbers, running ones included, away from where they start, and a real scaling."""
    loss = Squared() if loss is None else loss
    loss = loss.build() if hasattr(loss, "build") else loss
    source, generator = ArraySource(raw), torch.Generator().manual_seed(0)
    layout = source.layout
    encoder, decoder = network.build(layout, CODE_SIZE, CODE_SIZE, loss.width(layout.features), generator)
    composition = compose(encoder, Plain(code), decoder, loss)
    with torch.no_grad():
        for value in [*composition.parameters(), *composition.buffers()]:
            if value.is_floating_point():
                value.add_(torch.rand(value.shape, generator=generator) * 0.3)
    return composition, Scaling.fit(source, support=getattr(loss, "support", "real"))


def expected(raw: np.ndarray, composition: Composition, scaling: Scaling, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The graph's input, and the output that the library computes on its own way there."""
    layout = ArraySource(raw).layout
    composition = copy.deepcopy(composition).eval()
    batch = Batch(scaling.forward(raw), layout)
    with torch.no_grad():
        code = composition.represent(batch)
        rebuilt = scaling.inverse(composition.rebuild(code, Context(layout.shape)))
        score = -composition.point_cost(batch).numpy() - scaling.log_volume
    given = code.numpy() if part == "decoder" else raw.astype(np.float32)
    return given, {"encoder": code.numpy(), "score": score}.get(part, rebuilt)


def run(path: Path, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (exit_,) = session.get_inputs(), session.get_outputs()
    return session.run([exit_.name], {entry.name: given})[0]


def check(folder: Path, raw: np.ndarray, composition: Composition, scaling: Scaling, part: str) -> Path:
    """Export, and compare with the library for one row, a few and all."""
    path = folder / f"{part}.onnx"
    assert export(path, composition, scaling, ArraySource(raw).form, part, CODE_SIZE) == path
    given, wanted = expected(raw, composition, scaling, part)
    unit = scaling.scale.reshape(raw.shape[1:]) if part in ("decoder", "reconstruct") else np.abs(wanted).max()
    for rows in (1, 2, len(given)):
        got = run(path, given[:rows])
        assert got.dtype == np.float32
        assert got.shape == wanted[:rows].shape
        assert (np.abs(got - wanted[:rows]) <= 1e-4 * unit + 1e-6 * np.abs(wanted[:rows])).all()
    assert [file.name for file in folder.iterdir()] == [path.name]  # weights are inside, nothing is left beside
    return path


def test_the_encoder(tmp_path: Path) -> None:
    """Large offsets, layer norm, dropout that is off, a sigmoid code; names, sizes and origin in the file."""
    raw = table()
    composition, scaling = fitted(raw, Dense(hidden=(8,), norm="layer", dropout=0.5), code="sigmoid")
    model = onnx.load(check(tmp_path, raw, composition, scaling, "encoder"))
    onnx.checker.check_model(model)
    (entry,), (exit_,) = model.graph.input, model.graph.output
    assert (entry.name, exit_.name) == ("x", "code")
    for value, size in ((entry, 5), (exit_, CODE_SIZE)):
        rows, columns = value.type.tensor_type.shape.dim
        assert (rows.dim_param, columns.dim_value) == ("n", size)
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {entry.key: entry.value for entry in model.metadata_props} == {"isthmus": VERSION, "part": "encoder"}
    assert b"dense.py" not in (tmp_path / "encoder.onnx").read_bytes()  # no paths of the machine that wrote it


def test_the_decoder_of_tied_weights_with_a_linear_path(tmp_path: Path) -> None:
    raw = table()
    network = Dense(hidden=(8,), activation="relu", tied=True, linear_path=True)
    composition, scaling = fitted(raw, network, Absolute())
    model = onnx.load(check(tmp_path, raw, composition, scaling, "decoder"))
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("code", "reconstruction")


def test_pictures_are_rebuilt_from_their_raw_values(tmp_path: Path) -> None:
    raw = pictures()
    composition, scaling = fitted(raw, Dense(hidden=(8,)), Bernoulli())
    assert scaling.mode == "unit"
    model = onnx.load(check(tmp_path, raw, composition, scaling, "reconstruct"))
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("x", "reconstruction")


def test_the_score_with_a_linear_path(tmp_path: Path) -> None:
    raw = table()
    composition, scaling = fitted(raw, Dense(hidden=(8,), norm="batch", linear_path=True), Squared())
    assert abs(scaling.log_volume) > 1  # so that a forgotten volume would show
    model = onnx.load(check(tmp_path, raw, composition, scaling, "score"))
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("x", "score")


def test_the_score_of_pictures(tmp_path: Path) -> None:
    composition, scaling = fitted(pictures(), Dense(hidden=(8,)), Bernoulli())
    check(tmp_path, pictures(), composition, scaling, "score")


def test_the_score_of_counts(tmp_path: Path) -> None:
    """ONNX has no logarithm of the Gamma function: it is spelled out."""
    raw = np.random.default_rng(5).poisson([1, 3, 900], size=(60, 3)).astype(np.float32)
    check(tmp_path, raw, *fitted(raw, Dense(hidden=(8,)), Poisson()), "score")


def test_a_far_offset_costs_no_more_than_the_rounding_of_the_rows(tmp_path: Path) -> None:
    """The rows are exact in float32, which has steps of 1/8 here; their mean is not."""
    raw = 2.0**20 + np.random.default_rng(3).integers(0, 8, size=(60, 5)) / 8
    assert (raw.astype(np.float32) == raw).all()
    composition, scaling = fitted(raw, Dense(hidden=(8,)))
    assert (np.abs(scaling.centre - scaling.centre.astype(np.float32)) > 0.01 * scaling.scale).any()
    with pytest.warns(DataWarning, match="Subtract the offset"):  # the type of the rows, float64, does not tell
        check(tmp_path, raw, composition, scaling, "encoder")
    # Rows that are float32 already lose nothing, and neither do whole numbers of up to 24 bits.
    for exact in (raw.astype(np.float32), (8 * raw).astype(np.int32)):
        export(tmp_path / "e.onnx", *fitted(exact, Dense()), ArraySource(exact).form, "encoder", CODE_SIZE)


def test_columns_too_far_from_0_are_named(tmp_path: Path) -> None:
    """A value of 1e9 is rounded to a multiple of 64: what float32 rows lose shows in the codes."""
    raw = table() * [1, 1e3, 1e-4, 1, 1]
    raw[:, [1, 3]] += [1e9, 1e5]
    raw = np.column_stack([raw, np.full(len(raw), 1e9)])  # a constant that float32 holds
    with pytest.warns(DataWarning, match="constant"):
        composition, scaling = fitted(raw, Dense(hidden=(8,)))
    source = open_source(pd.DataFrame(raw, columns=["a", "far", "c", "less far", "e", "constant"]))
    wanted = r"cannot hold column 'far', column 'less far' well enough: up to (\d+) of .*Subtract the offset"
    with pytest.warns(DataWarning, match=wanted) as caught:
        export(tmp_path / "e.onnx", composition, scaling, source.form, "encoder", CODE_SIZE)
    lost = 1e9 * 2.0**-24 / scaling.scale[1]
    assert float(re.search(wanted, str(caught[0].message))[1]) == pytest.approx(lost, rel=0.02)
    given, codes = expected(raw, composition, scaling, "encoder")
    assert np.abs(run(tmp_path / "e.onnx", given) - codes).max() > 1


@pytest.mark.parametrize("part", ["reconstruct", "decoder"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
def test_whole_numbers_stay_within_their_type(tmp_path: Path, dtype: str, part: str) -> None:
    """Rounded, the graph's output is the library's: also where the network goes beyond the ends."""
    limits = np.iinfo(dtype)
    draw = np.random.default_rng(4)
    if dtype == "int64":
        raw = draw.integers(-(2**20), 2**20, size=(50, 5), dtype=dtype)
    else:
        raw = draw.choice(np.array([limits.min, limits.max], dtype=dtype), size=(50, 5))
    form = ArraySource(raw).form
    composition, scaling = fitted(raw, Dense(hidden=(8,)))
    export(tmp_path / "g.onnx", composition, scaling, form, part, CODE_SIZE)
    given, free = expected(raw, composition, scaling, part)
    got = run(tmp_path / "g.onnx", given)
    if dtype == "int64":  # nothing comes near the ends
        np.testing.assert_allclose(got, free, rtol=1e-5, atol=1e-4 * scaling.scale.max())
        return
    assert free.min() < limits.min - 5
    assert free.max() > limits.max + 5
    assert (got.min(), got.max()) == (limits.min, limits.max)
    off = np.abs(got - free.clip(limits.min, limits.max))
    assert off.max() < 0.01
    assert (got % 1 != 0).any()  # rounding is left to the user
    near = np.abs(free % 1 - 0.5) < 0.01
    assert (np.rint(got) == form.wrap(free))[~near].all()


def test_the_ends_of_columns_of_several_types() -> None:
    """Floats have no ends; those that float32 does not hold are the nearest within."""
    frame = pd.DataFrame({"a": np.zeros(3), "b": np.zeros(3, "int16"), "c": np.zeros(3, "int32"), "d": [True] * 3})
    lowest, highest = isthmus_onnx.ends(open_source(frame).form)
    assert lowest.dtype == highest.dtype == np.float32
    assert lowest.tolist() == [-np.inf, -(2.0**15), -(2.0**31), -np.inf]
    assert highest.tolist() == [np.inf, 2.0**15 - 1, 2.0**31 - 128, np.inf]
    lowest, highest = isthmus_onnx.ends(ArraySource(np.zeros((3, 2), dtype="int64")).form)
    assert (lowest.tolist(), highest.tolist()) == ([-(2.0**63)], [2.0**63 - 2.0**39])


def state_of_the_process() -> dict[str, Any]:
    """All that an export might move and must not. (PyTorch's own trace logger drops an idle handler at first use.)"""
    loggers = {
        name: (logger.level, logger.disabled, logger.propagate, list(logger.handlers))
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and name != "torch.__trace"
    }
    return {
        "torch": torch.random.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - it is the global state that is looked at
        "python": random.getstate(),
        "filters": list(warnings.filters),
        "root": (logging.root.level, list(logging.root.handlers)),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "loggers": loggers,
    }


def test_nothing_else_is_moved(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    raw = table()
    composition, scaling = fitted(raw, Dense(hidden=(8,), norm="batch"))
    composition.double().train()
    weights = copy.deepcopy(composition.state_dict())
    before = state_of_the_process()
    export(tmp_path / "e.onnx", composition, scaling, ArraySource(raw).form, "encoder", CODE_SIZE)
    after = state_of_the_process()
    known = before.pop("loggers")
    assert {name: state for name, state in after.pop("loggers").items() if name in known} == known
    assert after == before
    assert all(module.training for module in composition.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in composition.modules())
    for name, value in composition.state_dict().items():
        assert value.dtype == weights[name].dtype
        assert torch.equal(value, weights[name])
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# What is refused.


@pytest.fixture
def small() -> tuple[Composition, Scaling]:
    return fitted(table(), Dense())


def test_an_unknown_part(tmp_path: Path, small: tuple[Composition, Scaling]) -> None:
    with pytest.raises(InputError, match="part must be one of encoder, decoder, reconstruct, score; got 'model'"):
        export(tmp_path / "m.onnx", *small, ArraySource(table()).form, "model", CODE_SIZE)


def test_a_wrong_code_size(tmp_path: Path, small: tuple[Composition, Scaling]) -> None:
    with pytest.raises(InputError, match="code_size is 4, but codes have 3 numbers"):
        export(tmp_path / "m.onnx", *small, ArraySource(table()).form, "decoder", 4)


def test_a_missing_folder(tmp_path: Path, small: tuple[Composition, Scaling]) -> None:
    with pytest.raises(InputError, match=r"nowhere.m\.onnx.*folder does not exist"):
        export(tmp_path / "nowhere" / "m.onnx", *small, ArraySource(table()).form, "encoder", CODE_SIZE)


@pytest.mark.parametrize(("name", "value"), [("centre", 1e39), ("scale", 1e39), ("scale", 1e-39)])
def test_columns_that_float32_cannot_hold(
    tmp_path: Path, small: tuple[Composition, Scaling], name: str, value: float
) -> None:
    composition, scaling = small
    numbers = getattr(scaling, name).copy()
    numbers[2] = value
    changed = replace(scaling, **{name: numbers})
    with pytest.raises(InputError, match=r"feature 2 has the centre .*, too large or too small for float32"):
        export(tmp_path / "m.onnx", composition, changed, ArraySource(table()).form, "encoder", CODE_SIZE)


def test_weights_beyond_one_file(
    tmp_path: Path, small: tuple[Composition, Scaling], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isthmus_onnx, "LARGEST", 100)
    with pytest.raises(InputError, match="one ONNX file holds at most 2 GB"):
        export(tmp_path / "m.onnx", *small, ArraySource(table()).form, "encoder", CODE_SIZE)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package(
    tmp_path: Path, small: tuple[Composition, Scaling], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"needs the package '{package}'.*pip install 'isthmus\[onnx\]'"):
        export(tmp_path / "m.onnx", *small, ArraySource(table()).form, "encoder", CODE_SIZE)


def test_importing_takes_none_of_the_packages_in() -> None:
    code = "import sys, isthmus.onnx; print([n for n in ('onnx', 'onnxscript', 'onnxruntime') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_graph_that_says_something_else_is_not_kept(
    tmp_path: Path, small: tuple[Composition, Scaling], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights written are moved by 1 %: the comparison notices, and the old file stays."""
    composition, scaling = small
    write_graph = isthmus_onnx.write_graph

    def wrong(graph: nn.Module, *others: Any) -> None:
        graph = copy.deepcopy(graph)
        with torch.no_grad():
            graph.composition.encoder.linear[0].weight.mul_(1.01)
        write_graph(graph, *others)

    monkeypatch.setattr(isthmus_onnx, "write_graph", wrong)
    (tmp_path / "m.onnx").write_bytes(b"old")
    with pytest.raises(InputError, match=r"on 1 random rows ONNX Runtime's code differs from PyTorch's by up to"):
        export(tmp_path / "m.onnx", composition, scaling, ArraySource(table()).form, "encoder", CODE_SIZE)
    assert (tmp_path / "m.onnx").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


class FixedRows(nn.Linear):
    """Turns the number of rows into a Python number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).reshape(len(x), -1)


class Eigenvalues(nn.Linear):
    """Does what ONNX has no word for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = super().forward(x)
        return torch.linalg.eigvals(wide[:, :, None] * wide[:, None, :]).abs()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (FixedRows, r"exactly 8 rows at a time.*write x\.shape\[0\] where it has len\(x\)"),
        (Eigenvalues, "cannot be written as ONNX, which lacks a function that it or a"),
    ],
)
def test_modules_of_ones_own_that_do_not_fit(tmp_path: Path, encoder: type[nn.Linear], message: str) -> None:
    scaling = Scaling.fit(ArraySource(table()))
    composition = compose(encoder(5, CODE_SIZE), Plain(), nn.Linear(CODE_SIZE, 5), Squared())
    with pytest.raises(InputError, match=message):
        export(tmp_path / "m.onnx", composition, scaling, ArraySource(table()).form, "encoder", CODE_SIZE)
    assert list(tmp_path.iterdir()) == []


# The full product.

NETWORKS = {
    "one map": Dense(),
    "tied": Dense(hidden=(8, 6), tied=True),
    "layer norm": Dense(hidden=(8,), norm="layer"),
    "batch norm": Dense(hidden=(8,), norm="batch", tied=True),
    "linear path": Dense(hidden=(8,), linear_path=True),
    "tied linear path": Dense(hidden=(8,), linear_path=True, tied=True),
}
LOSSES = {
    "squared": Squared(),
    "fixed": Squared(variance=0.5),
    "absolute": Absolute(),
    "bernoulli": Bernoulli(),
}


@pytest.mark.slow
@pytest.mark.parametrize(("network", "loss", "part"), list(itertools.product(NETWORKS, LOSSES, isthmus_onnx.GRAPHS)))
def test_every_composition(tmp_path: Path, network: str, loss: str, part: str) -> None:
    raw = pictures() if loss == "bernoulli" else table()
    check(tmp_path, raw, *fitted(raw, NETWORKS[network], LOSSES[loss], "sigmoid"), part)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(tmp_path: Path, activation: str) -> None:
    network = Dense(hidden=(8,), activation=activation, output_activation=activation)
    check(tmp_path, table(), *fitted(table(), network, code=activation), "reconstruct")
