"""What every report's page has around its sections: the head, the title, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape

from isthmus.files import written_whole
from isthmus.report.elements import Markup
from isthmus.report.style import STYLE


def page(
    title: str,
    name: str,
    about: str,
    parts: Iterable[str],
    key: Sequence[tuple[str, str]] = (),
    look: str = "",
) -> str:
    """A whole HTML page that needs nothing else: no network, no script.

    Parameters
    ----------
    title : of the page; escaped here, as all texts are.
    name : what sort of report it is: "anomaly report".
    about : a sentence, text or `Markup`.
    parts : the sections as HTML; empty ones are left out.
    key : figures with their names, below the title.
    look : styles beside those of all pages.
    """
    figures = "\n".join(f"<div><dt>{escape(what)}</dt><dd>{escape(text)}</dd></div>" for what, text in key)
    lead = about if isinstance(about, Markup) else escape(about)
    below = f'\n<dl class="key">\n{figures}\n</dl>' if figures else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}: {name}</title>\n<style>\n{STYLE}{look}</style>\n</head>\n<body>\n"
        f'<header>\n<p class="over">isthmus &middot; {name}</p>\n<h1>{escape(title)}</h1>\n'
        f'<p class="what">{lead}</p>{below}\n</header>\n<main>\n'
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def write(path: str | os.PathLike[str], text: str | Callable[[], str]) -> None:
    """Write a page to ``path``, whole or not at all; where ``text`` is what makes the page, a path that cannot be
    written is refused before that work.

    Raises
    ------
    InputError
        The file cannot be written there; the message says why.
    """
    with written_whole(path) as beside:
        # A lone surrogate in a column's name must not cost the report.
        made = text if isinstance(text, str) else text()
        beside.write_bytes(made.encode("utf-8", errors="replace"))
