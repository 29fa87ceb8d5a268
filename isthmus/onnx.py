"""Export of a fitted composition as one ONNX file, preprocessing included.

The graph takes raw rows in the user's units, so that whoever runs it needs neither this library nor the
scaling of the training rows.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.checks import place
from isthmus.composition import Composition
from isthmus.data.form import Form, plain_dtype
from isthmus.errors import DataWarning, InputError, MissingExtraError
from isthmus.files import written_whole
from isthmus.records import Batch, Context
from isthmus.version import VERSION

OUTPUTS = {"encoder": "code", "decoder": "reconstruction", "reconstruct": "reconstruction", "score": "score"}
"""The parts that can be exported, and the name of each graph's output."""

TOLERANCE = 1e-4
"""How far ONNX Runtime may be from PyTorch, in units of the output (see `compare`)."""

LARGEST = 1_900_000_000
"""Bytes of weights that fit into one ONNX file, whose format ends at 2 GiB."""

CHECKED_ROWS = (1, 7)
"""The batch sizes that are compared; neither is the one that the graph is traced with."""

ROUNDING = 2.0**-24
"""How much of a number is lost at most when it becomes float32."""

FELT = 1e-3
"""A loss of more than this, in units of a column's scale, is told."""


class Scaling(Protocol):
    """What is read of the scaling: scaled = (x - centre) / scale, per feature."""

    @property
    def centre(self) -> np.ndarray: ...

    @property
    def scale(self) -> np.ndarray: ...

    @property
    def low(self) -> np.ndarray: ...

    @property
    def high(self) -> np.ndarray: ...

    @property
    def log_volume(self) -> float: ...


class Graph(nn.Module):
    """A composition's part as a function of one plain float32 tensor, in the user's units.

    The centre is kept as a float32 number and the rest that it leaves, because the rounding of a centre
    of 1e6 alone is 0.03: ``(x - centre) - rest`` loses nothing but what float32 rows have lost already.
    """

    centre: Tensor
    rest: Tensor
    scale: Tensor
    inverse: Tensor
    log_volume: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, composition: Composition, scaling: Scaling, form: Form) -> None:
        super().__init__()
        self.composition = composition
        self.layout = layout = form.layout
        self.bounded = any(plain_dtype(name).kind in "iu" for name in form.dtypes)
        for name, end in zip(("lowest", "highest"), ends(form), strict=True):
            self.register_buffer(name, torch.from_numpy(end))
        exact, spread = (torch.tensor(values, dtype=torch.float64) for values in (scaling.centre, scaling.scale))
        numbers = {"centre": exact.float(), "rest": exact - exact.float(), "scale": spread, "inverse": 1 / spread}
        for name, values in numbers.items():
            as_float32 = values.float()
            if not as_float32.isfinite().all():
                feature = int((~as_float32.isfinite()).nonzero()[0])
                raise InputError(
                    f"ONNX export: feature {feature} has the centre {exact[feature]:g} and the spread "
                    f"{spread[feature]:g}, too large or too small for float32; rescale it before the fit"
                )
            self.register_buffer(name, as_float32.reshape(layout.shape).clone())
        on_sphere = getattr(composition.loss, "on_sphere", False)
        self.register_buffer("log_volume", torch.tensor(0.0 if on_sphere else float(scaling.log_volume)))

    def batch(self, x: Tensor, given: Tensor | None) -> Batch:
        return Batch(((x - self.centre) - self.rest) * self.inverse, self.layout, given=given)

    def rebuilt(self, point: Tensor, context: Context) -> Tensor:
        x = self.composition.rebuild(point, context) * self.scale + self.centre
        return torch.minimum(torch.maximum(x, self.lowest), self.highest) if self.bounded else x


class Encoder(Graph):
    """(n, *shape) -> (n, code_size)."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        return self.composition.represent(self.batch(x, given))


class Decoder(Graph):
    """(n, code_size) -> (n, *shape)."""

    def forward(self, code: Tensor, given: Tensor | None = None) -> Tensor:
        return self.rebuilt(code, Context(self.layout.shape, given=given))


class Reconstruct(Graph):
    """(n, *shape) -> (n, *shape)."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        batch = self.batch(x, given)
        return self.rebuilt(self.composition.represent(batch), self.composition.context(batch))


class Score(Graph):
    """(n, *shape) -> (n,): the log-density of a row in the user's units."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        return -self.composition.point_cost(self.batch(x, given)) - self.log_volume


GRAPHS: dict[str, type[Graph]] = {
    "encoder": Encoder,
    "decoder": Decoder,
    "reconstruct": Reconstruct,
    "score": Score,
}


def export(
    path: str | os.PathLike[str],
    composition: Composition,
    scaling: Scaling,
    form: Form,
    part: str,
    code_size: int,
    given_size: int = 0,
) -> Path:
    """Write one part of a fitted composition as an ONNX file that takes rows in the user's units.

    Before the file takes its name, ONNX Runtime's outputs for random rows are compared with PyTorch's.

    Parameters
    ----------
    path : the file; its folder must exist. Weights are inside it, not beside it.
    composition : stays as it is: a copy on the CPU, in float32 and evaluation mode, is exported.
    scaling : has ``centre``, ``scale``, ``low`` and ``high``, (features,), and ``log_volume``.
    form : the shape of one row, and its columns' names and types.
    part : what the graph computes, for any number of rows n >= 1, all float32:

        - ``"encoder"``: x (n, *shape) -> code (n, code_size);
        - ``"decoder"``: code (n, code_size) -> reconstruction (n, *shape);
        - ``"reconstruct"``: x -> reconstruction;
        - ``"score"``: x -> score (n,), minus the row's cost in nats, as a density in the user's units.
    code_size : numbers in one code.
    given_size : numbers that each row is given; the graph then takes them as its second input, "given"
        (n, given_size), encoded as `Conditions` does.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        ``part`` is unknown, the network cannot be written as ONNX, the outputs differ, or the file cannot
        be written.
    MissingExtraError
        onnx, onnxscript or onnxruntime is not installed.

    Warns
    -----
    DataWarning
        Columns so far from 0 that float32 loses more than a thousandth of their spread.

    Notes
    -----
    Rows arrive as float32, which has about 7 digits: a column around 1e6 that varies by less than 1 is
    rounded before the graph sees it, so that codes and scores of such columns follow the library's own,
    which takes float64 rows, only to that rounding. Pictures are given as their raw values 0..255, as
    float32.

    A reconstruction of whole numbers (uint8, int16, ...) is clipped to the range of its type, as
    `Autoencoder.reconstruct` does, but it is not rounded: round it before it becomes whole numbers.
    """
    if part not in GRAPHS:
        raise InputError(f"ONNX export: part must be one of {', '.join(GRAPHS)}; got {part!r}")
    onnxruntime = needed_packages()
    graph = GRAPHS[part](copy.deepcopy(composition).cpu().float(), scaling, form).eval()
    warn_of_rounding(scaling, form)
    size = sum(value.nbytes for value in graph.state_dict().values())
    if size > LARGEST:
        raise InputError(f"ONNX export: the weights take {size / 1e9:.1f} GB; one ONNX file holds at most 2 GB")
    with written_whole(path) as beside:
        rows = plausible_rows(graph, sum(CHECKED_ROWS))
        conditions = (torch.eye(given_size)[torch.arange(len(rows)) % given_size],) if given_size else ()
        with torch.no_grad():
            codes = graph.composition.represent(graph.batch(rows, *(conditions or (None,))))
            if codes.shape[1:] != (code_size,):
                raise InputError(f"ONNX export: code_size is {code_size}, but codes have {codes.shape[1]} numbers")
            inputs = {"code" if part == "decoder" else "x": codes if part == "decoder" else rows}
            inputs |= dict(zip(("given",), conditions, strict=False))
            write_graph(graph, inputs, part, beside)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # a few rows: a pool of threads would only be started and ended
            session = onnxruntime.InferenceSession(beside, options, providers=["CPUExecutionProvider"])
            compare(graph, inputs, part, session)
    return Path(path)


def needed_packages() -> Any:
    """The module ``onnxruntime``, once all three packages of the extra are known to be there."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "onnx", "ONNX export") from error
    return onnxruntime


def ends(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest float32 number that each column's type holds: whole numbers have ends, others none.

    Returns
    -------
    tuple of arrays
        Both of a row's shape, or (1,) where all columns share one type.
    """
    found = []
    for name in form.dtypes:
        dtype = plain_dtype(name)
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (-np.inf, np.inf)
        top = np.float32(high)
        # The largest 32-bit number is no float32: the nearest one is one too many.
        found.append((np.float32(low), np.nextafter(top, np.float32(0)) if float(top) > high else top))
    lowest, highest = np.array(found, dtype=np.float32).T.copy()
    if len(found) > 1:
        lowest, highest = lowest.reshape(form.layout.shape), highest.reshape(form.layout.shape)
    return lowest, highest


def warn_of_rounding(scaling: Scaling, form: Form) -> None:
    """Warn of columns whose values float32 cannot hold to a thousandth of their spread."""
    largest = np.maximum(np.abs(scaling.low), np.abs(scaling.high))
    lost = largest / scaling.scale * ROUNDING
    lost[(scaling.low == scaling.high) & (scaling.low.astype(np.float32) == scaling.low)] = 0
    dtypes = [plain_dtype(name) for name in form.dtypes]
    exact = np.array([np.can_cast(dtype, np.float32) for dtype in dtypes])
    whole = np.array([dtype.kind in "iu" for dtype in dtypes])
    lost[exact | (whole & (largest * ROUNDING <= 1))] = 0
    worst = [int(i) for i in np.argsort(-lost, kind="stable") if lost[i] > FELT]
    if worst:
        names = listed_places(worst, form)
        warnings.warn(
            f"ONNX graphs take and give float32 numbers, which cannot hold {names} well enough: up to "
            f"{lost[worst[0]]:.2g} of the column's spread is lost, so codes and reconstructions will differ from the "
            "library's. Subtract the offset, such as the column's mean, before fitting and exporting",
            DataWarning,
            stacklevel=4,
        )


def listed_places(features: list[int], form: Form) -> str:
    """The first few of these features, in the user's words."""
    more = f" and {len(features) - 5} more" if len(features) > 5 else ""
    return ", ".join(place(i, form.layout.shape, form.names) for i in features[:5]) + more


def plausible_rows(graph: Graph, n: int) -> Tensor:
    """(n, *shape) random rows in the user's units, spread as the scaling says that rows are."""
    draw = np.random.default_rng(0)
    shape = (n, *graph.layout.shape)
    drawn: dict[str, Callable[..., Any]] = {
        "unit": draw.uniform,
        "count": partial(draw.poisson, 3.0),
        "category": partial(draw.integers, 2),
    }
    scaled = torch.from_numpy(drawn.get(graph.composition.loss.support, draw.standard_normal)(size=shape))
    return (scaled * graph.scale.double() + graph.centre.double()).float()


def write_graph(graph: Graph, inputs: dict[str, Tensor], part: str, path: Path) -> None:
    """Trace ``graph`` with ``inputs`` and write it, any number of rows allowed, weights inside the file."""
    rows = torch.export.Dim("n")
    try:
        with quiet():
            program = torch.onnx.export(
                graph,
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=[OUTPUTS[part]],
                dynamic_shapes=tuple({0: rows} for _ in inputs),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            f"ONNX export: {part!r} of this model cannot be written as ONNX, which lacks a function that it or a "
            "module of your own needs (such as the logarithm of the Gamma function, in scores of counts). It says: "
            f"{str(error.__cause__ or error).partition(chr(10))[0]}"
        ) from error
    program = cast(torch.onnx.ONNXProgram, program)
    # The exporter notes where each step stands in the source: paths of this machine, which are nobody's business.
    for node in program.model.graph.all_nodes():
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.model.metadata_props.update({"isthmus": VERSION, "part": part})
    program.save(path, external_data=False)


def compare(graph: Graph, inputs: dict[str, Tensor], part: str, session: Any) -> None:
    """Raise an error if ONNX Runtime's outputs are not PyTorch's.

    They may differ by `TOLERANCE` units, and by 1e-6 of their value, the rounding of float32. A unit is
    a feature's scale for a reconstruction; for codes and scores it is the largest one's size.
    """
    entry = session.get_inputs()[0]
    if isinstance(entry.shape[0], int):
        raise InputError(
            f"ONNX export: the graph came out for exactly {entry.shape[0]} rows at a time, because a part turns the "
            "number of rows into a constant: in a module of your own, write x.shape[0] where it has len(x) or int(...)"
        )
    for pieces in zip(*(values.split(CHECKED_ROWS) for values in inputs.values()), strict=True):
        expected = graph(*pieces)
        named = {name: piece.numpy() for name, piece in zip(inputs, pieces, strict=True)}
        got = torch.from_numpy(session.run([OUTPUTS[part]], named)[0])
        if got.shape != expected.shape:
            raise InputError(
                f"ONNX export: ONNX Runtime's {OUTPUTS[part]} has the shape {tuple(got.shape)}, "
                f"PyTorch's {tuple(expected.shape)}"
            )
        unit = graph.scale if OUTPUTS[part] == "reconstruction" else expected.abs().max()
        difference, allowed = (got - expected).abs(), TOLERANCE * unit + 1e-6 * expected.abs()
        if not bool((difference <= allowed).all()):
            raise InputError(
                f"ONNX export: on {len(expected)} random rows ONNX Runtime's {OUTPUTS[part]} differs from PyTorch's by "
                f"up to {float(difference.max()):.3g}, where at most {float(allowed.min()):.3g} is allowed"
            )


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines below errors and no warnings of the exporter; everything is put back after the block."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
