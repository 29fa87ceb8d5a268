"""Export of a fitted composition as one ONNX file, preprocessing included.

The graph takes raw rows in the user's units, so that whoever runs it needs neither this library nor the
scaling of the training rows.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from isthmus.composition import Composition
from isthmus.data.form import Form
from isthmus.data.table_form import TableForm
from isthmus.errors import InputError, MissingExtraError
from isthmus.files import written_whole
from isthmus.onnx_tables import TableUnits, columns_note
from isthmus.onnx_units import Scaling, Units, ends, warn_of_rounding
from isthmus.onnx_words import ColumnCosts, Spelled
from isthmus.parts.losses.columns import PerColumnLoss
from isthmus.records import Context
from isthmus.version import VERSION

OUTPUTS = {"encoder": "code", "decoder": "reconstruction", "reconstruct": "reconstruction", "score": "score"}
"""The parts that can be exported, and the name of each graph's output."""

TOLERANCE = 1e-4
"""How far ONNX Runtime may be from PyTorch, in units of the output (see `compare`)."""

LARGEST = 1_900_000_000
"""Bytes of weights that fit into one ONNX file, whose format ends at 2 GiB."""

CHECKED_ROWS = (1, 7)
"""The batch sizes that are compared; neither is the one that the graph is traced with."""


class Graph(nn.Module):
    """A composition's part as a function of one plain tensor, in the user's units."""

    def __init__(self, composition: Composition, units: Any) -> None:
        super().__init__()
        self.composition, self.units = composition, units

    def rebuilt(self, point: Tensor, context: Context) -> Tensor:
        return self.units.rebuilt(self.composition.rebuild(point, context))


class Encoder(Graph):
    """(n, *shape) -> (n, code_size)."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        return self.composition.represent(self.units.batch(x, given))


class Decoder(Graph):
    """(n, code_size) -> (n, *shape)."""

    def forward(self, code: Tensor, given: Tensor | None = None) -> Tensor:
        return self.rebuilt(code, Context(self.units.layout.shape, given=given))


class Reconstruct(Graph):
    """(n, *shape) -> (n, *shape)."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        batch = self.units.batch(x, given)
        return self.rebuilt(self.composition.represent(batch), self.composition.context(batch))


class Score(Graph):
    """(n, *shape) -> (n,): the log-density of a row in the user's units."""

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        batch = self.units.batch(x, given)
        found = -self.composition.point_cost(batch)
        return (
            found if getattr(self.composition.loss, "on_sphere", False) else (found - self.units.volume(batch)).float()
        )


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
    scaling : has ``centre``, ``scale``, ``low`` and ``high``, (features,), and ``log_volume``; of mixed tables and bent
        scales, a `data.Scaling`.
    form : the shape of one row, and its columns' names and types.
    part : what the graph computes, for any number of rows n >= 1, all float32 (but see the notes on mixed tables):

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
        Columns so far from 0 that float32 loses more than a thousandth of their spread (not of mixed tables).

    Notes
    -----
    Rows arrive as float32, which has about 7 digits: a column around 1e6 that varies by less than 1 is
    rounded before the graph sees it, so that codes and scores of such columns follow the library's own,
    which takes float64 rows, only to that rounding. Pictures are given as their raw values 0..255, as
    float32.

    A reconstruction of whole numbers (uint8, int16, ...) is clipped to the range of its type, as
    `Autoencoder.reconstruct` does, but it is not rounded: round it before it becomes whole numbers.

    Of a mixed table a row is a number for each column: numbers and counts as they are, the numbers of levels, seconds
    since 1970 for dates, shares of a turn for times of day; NaN where the cell is missing, as is a cell that is
    infinite, or no level or count of its column. The file's metadata says under "isthmus.columns", in JSON, how each
    column is coded (see `onnx_tables.columns_note`), and a reconstruction is coded alike. Rows and reconstructions are
    float64 where there are dates, or where float32 would lose more than 1e-5 of a column's scale.
    """
    if part not in GRAPHS:
        raise InputError(f"ONNX export: part must be one of {', '.join(GRAPHS)}; got {part!r}")
    onnxruntime = needed_packages()
    graph = GRAPHS[part](*portable(composition, scaling, form)).eval()
    size = sum(value.nbytes for value in graph.state_dict().values())
    if size > LARGEST:
        raise InputError(f"ONNX export: the weights take {size / 1e9:.1f} GB; one ONNX file holds at most 2 GB")
    with written_whole(path) as beside:
        rows = graph.units.rows(sum(CHECKED_ROWS)).to(graph.units.dtype)
        conditions = (torch.eye(given_size)[torch.arange(len(rows)) % given_size],) if given_size else ()
        with torch.no_grad():
            codes = graph.composition.represent(graph.units.batch(rows, *(conditions or (None,))))
            if codes.shape[1:] != (code_size,):
                raise InputError(f"ONNX export: code_size is {code_size}, but codes have {codes.shape[1]} numbers")
            inputs = {"code" if part == "decoder" else "x": codes if part == "decoder" else rows}
            inputs |= dict(zip(("given",), conditions, strict=False))
            notes = {"isthmus.columns": columns_note(form)} if isinstance(form, TableForm) else {}
            write_graph(graph, inputs, {"isthmus": VERSION, "part": part} | notes, beside)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # a few rows: a pool of threads would only be started and ended
            session = onnxruntime.InferenceSession(beside, options, providers=["CPUExecutionProvider"])
            compare(graph, inputs, part, session)
    return Path(path)


def portable(composition: Composition, scaling: Any, form: Form) -> tuple[Composition, Any]:
    """A copy of the composition that any number of rows may pass, and the way from the user's units and back."""
    made = copy.deepcopy(composition).cpu().float()
    if isinstance(made.loss, PerColumnLoss):
        made.loss = ColumnCosts(made.loss)
    if form.layout.columns is not None or getattr(scaling, "warps", None) is not None:
        return made, TableUnits(scaling, form, *ends(form))
    units = Units(scaling, form, getattr(made.loss, "support", "real"))
    warn_of_rounding(scaling, form)
    return made, units


def needed_packages() -> Any:
    """The module ``onnxruntime``, once all three packages of the extra are known to be there."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "onnx", "ONNX export") from error
    return onnxruntime


def write_graph(graph: Graph, inputs: dict[str, Tensor], notes: dict[str, str], path: Path) -> None:
    """Trace ``graph`` with ``inputs`` and write it, any number of rows allowed, weights inside the file.

    ``notes`` are kept as the file's metadata; "part" is the graph's.
    """
    rows, part = torch.export.Dim("n"), notes["part"]
    try:
        with quiet(), Spelled():
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
            "module of your own needs (such as eigenvalues). It says: "
            f"{str(error.__cause__ or error).partition(chr(10))[0]}"
        ) from error
    program = cast(torch.onnx.ONNXProgram, program)
    # The exporter notes where each step stands in the source: paths of this machine, which are nobody's business.
    for node in program.model.graph.all_nodes():
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.model.metadata_props.update(notes)
    program.save(path, external_data=False)


def compare(graph: Graph, inputs: dict[str, Tensor], part: str, session: Any) -> None:
    """Raise an error if ONNX Runtime's outputs are not PyTorch's.

    They may differ by `TOLERANCE` units, and by 1e-6 of their value, the rounding of float32. A unit is
    a feature's scale for a reconstruction (1 of a level); for codes and scores it is the largest one's size.
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
        unit = expected.abs().max()
        if OUTPUTS[part] == "reconstruction":
            (got, unit), (expected, _) = graph.units.compared(got), graph.units.compared(expected)
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
