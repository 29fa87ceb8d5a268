"""The house keeps its promises about itself: short kinds, little said twice, no imports in a circle."""

from __future__ import annotations

import ast
import inspect
import statistics
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import isthmus as ist

ROOT = Path(ist.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
WINDOW = 6


def code_lines(path: Path) -> list[str]:
    """The lines that say something: no blank ones, comments, imports or lone punctuation."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    return [
        line
        for line in lines
        if any(letter.isalnum() for letter in line) and not line.startswith(("#", "import ", "from "))
    ]


def repeated_share(pages: dict[str, list[str]]) -> float:
    """The share of all lines that lie in a run of six or more which stands in another file too."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, lines in pages.items():
        for start in range(len(lines) - WINDOW + 1):
            places[tuple(lines[start : start + WINDOW])].append((name, start))
    hit = {
        (name, start + step)
        for found in places.values()
        if len({name for name, _ in found}) > 1
        for name, start in found
        for step in range(WINDOW)
    }
    return len(hit) / sum(map(len, pages.values()))


def test_repeated_lines_are_found() -> None:
    said = [f"line {number}" for number in range(10)]
    assert repeated_share({"a": said, "b": [f"other {number}" for number in range(10)]}) == 0
    assert repeated_share({"a": said, "b": ["new", *said[2:8], "newer"]}) == 12 / 18


def test_little_is_said_twice() -> None:
    assert repeated_share({str(path): code_lines(path) for path in FILES}) <= 0.05


def test_a_named_kind_is_a_few_lines() -> None:
    sizes = [len(inspect.getsource(recipe.function).strip().split("\n")) for recipe in ist.RECIPES.values()]
    assert statistics.median(sizes) <= 8


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports when it is imported itself."""
    names = {
        ".".join(other.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__") for other in FILES
    }
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & names or {node.module}
    return found & names


def test_no_imports_in_a_circle() -> None:
    graph = {module(path): imported(path) for path in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)
