"""The sections of a report about a mixed table: its columns, some rows and the oddest ones."""

from __future__ import annotations

import math
from html import escape

from isthmus.report.columns import ShownCell, Table, TableColumn, left_out_words
from isthmus.report.elements import Markup, honest, paragraph, section, table
from isthmus.report.figures import ReportData, shown

HEADS = ("column", "missing", "error", "of the most usual value", "error over that")


def table_columns(data: ReportData, found: Table) -> str:
    """How well each column is rebuilt, worst first, and some rows before and after."""
    count = len(found.columns)
    which = f"The {count} of {found.of:,} columns" if count < found.of else f"All {count} columns"
    lead = (
        f"{which}, worst rebuilt first. Of levels the share of cells that are right is told, beside that of always "
        "saying the most frequent level; of numbers, dates and times the root mean squared error and the median error "
        "in the column's own unit, beside those of always saying the mean. The bar is the error over that of the most "
        "usual value: of numbers the ratio of the two figures, of levels that of the shares that are wrong, of ordered "
        "ones that of the levels they are off; 0 % is right, 100 % no better than that value. The errors at the top, "
        "in the verdicts and in the plots are means over all cells, for which numbers count with their squared error "
        f"on the scale on which they are learnt. Missing cells count in no error. {honest(data)}"
    )
    if count == 1:
        lead = f"The one column, in its own unit. Missing cells count in no error. {honest(data)}"
    lines = [column_line(one) for one in found.columns]
    drawn = f'<div class="told">{table(HEADS, lines, "Error by column", words=(0, 2, 3, 4))}</div>'
    left = left_out_words(found.left_out)
    return section("rebuilt", "Columns", paragraph(lead), drawn, paragraph(left) if left else "") + some_rows(found)


def column_line(column: TableColumn) -> tuple[str, ...]:
    return (
        two_lines(column.name, f"{column.kind}: {column.reason}"),
        share(column.missing) if column.missing else "",
        two_lines(column.error, column.beside),
        two_lines(column.usual, column.usual_beside),
        bar(column.lost),
    )


def two_lines(above: str, under: str) -> Markup:
    return Markup(f"{escape(above)}<small>{escape(under)}</small>" if under else escape(above))


def bar(lost: float) -> Markup:
    """A share as a bar, cut where it is more than the whole, with its figure."""
    if math.isnan(lost):
        return Markup("never varies")
    kind = "bar over" if lost > 1 else "bar"
    return Markup(f'<span class="{kind}"><i style="width:{100 * min(lost, 1.0):.0f}%"></i></span>{share(lost)}')


def share(value: float) -> str:
    """
    >>> share(0.0049), share(0.25), share(0.00001)
    ('0.5 %', '25 %', 'under 0.1 %')
    """
    if 0 < value < 0.001:
        return "under 0.1 %"
    return f"{100 * value:.0f} %" if value >= 0.0995 or value == 0 else f"{100 * value:.1f} %"


def some_rows(found: Table) -> str:
    """Rows side by side, a line for every column."""
    if not found.rows:
        return ""
    heads = ("column", *(f"row {row.row}" for row in found.rows))
    count = len(found.rows[0].cells)
    lines = [
        (found.rows[0].cells[place].column, *(before_and_after(row.cells[place]) for row in found.rows))
        for place in range(count)
    ]
    first = f" The first {count} of {found.of:,} columns are shown." if count < found.of else ""
    lead = (
        "Each cell as it is; under it, after an arrow, what it is rebuilt as, where that is another value, and in "
        "colour where it is further off than the most usual value would be. Of a missing cell it is what fills it."
        f"{first}"
    )
    drawn = table(heads, lines, "Rows before and after", words=tuple(range(len(heads))))
    return section(
        "rows", "Some rows, as they are and as rebuilt", paragraph(lead), f'<div class="cells">{drawn}</div>'
    )


def before_and_after(cell: ShownCell) -> Markup:
    if cell.state == "same":
        return Markup(escape(cell.observed))
    above = f"<em>{escape(cell.observed)}</em>" if cell.state == "missing" else escape(cell.observed)
    return Markup(f'{above}<small class="{cell.state}">&rarr; {escape(cell.rebuilt)}</small>')


def odd_rows(data: ReportData, found: Table) -> str:
    """The rows that are rebuilt worst, and what is odd about them, in words."""
    labelled = any(row.label for row in found.oddest)
    heads = ("row", *(["label"] if labelled else []), "nats above the mean", "what is odd")
    lines = [
        (
            row.row,
            *([row.label] if labelled else []),
            shown(row.above, padded=True),
            Markup("<br>".join(odd_cell(cell) for cell in row.cells) or "every cell is missing"),
        )
        for row in found.oddest
    ]
    caption = "The rows that cost most, and the columns in which they cost more than other rows."
    words = (0, 1, 3) if labelled else (0, 2)
    return section("odd", "The oddest rows", paragraph(honest(data)), table(heads, lines, caption, words=words))


def odd_cell(cell: ShownCell) -> str:
    """A column that makes a row odd, as HTML."""
    name, observed, rebuilt = (escape(text) for text in (cell.column, cell.observed, cell.rebuilt))
    if cell.state == "same":
        return f"<b>{name}</b> is {observed}, which is rebuilt, but is rare in such a row"
    return f"<b>{name}</b> is {observed}, expected {rebuilt}"
