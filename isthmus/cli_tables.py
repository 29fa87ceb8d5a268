"""``isthmus impute``: what it is called and takes; the work is in `commands_impute.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli_options import TABLES, Columns, DataFile, GivenNames, ModelFile, TableFile
from isthmus.errors import InputError
from isthmus.outputs import check_output


def impute(
    model: ModelFile,
    data: DataFile,
    output: TableFile,
    draws: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default=False,
            help="Write N tables, FILE-1 to FILE-N, their cells drawn at random from what each may be: where the "
            "tables differ, the model is not sure. Default: one table of most likely values.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    column: Columns = None,
    given: GivenNames = None,
) -> None:
    """Write the table with its missing cells filled; every known cell stays as it is, in columns of every kind.

    Kinds that learn to rebuild hidden cells fill gaps best: fit with --method masked.

    \b
    isthmus fit people.csv -o people.safetensors --method masked
    isthmus impute people.safetensors people.csv -o filled.csv
    isthmus impute people.safetensors people.csv -o filled.csv --draws 10
    """
    if draws is not None and draws < 1:
        raise InputError(f"--draws must be a whole number >= 1; got {draws}")
    check_output("-o", output, TABLES, data, model)
    from isthmus.commands_data import Given
    from isthmus.commands_impute import impute as work
    from isthmus.commands_impute import outputs_of
    from isthmus.commands_tables import columns_asked

    for path in outputs_of(output, draws):
        check_output("-o", path, TABLES, data, model)
    work(model, data, output, draws, seed, columns_asked(column), Given(data, tuple(given or ())))
