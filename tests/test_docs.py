"""Every example in the documentation runs: doctests of the package, and the blocks in README.md and docs/."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for path in (ROOT / "isthmus").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def program(page: str) -> str:
    """The page's examples as one Python program, line by line where they stand on the page.

    Blocks marked ``python`` are kept; one marked ``bash`` that begins with the command ``isthmus`` becomes a call of
    bash. Everything else is left blank, so that an error names the page's own line.
    """
    lines = page.split("\n")
    kept = [""] * len(lines)
    language, start = None, 0
    for place, line in enumerate(lines):
        if language is None and line.startswith("```"):
            language, start = line[3:].strip(), place + 1
        elif language is not None and line.startswith("```"):
            block = lines[start:place]
            if language == "python":
                kept[start:place] = block
            elif language == "bash" and block and block[0].startswith("isthmus "):
                command = ["bash", "-e", "-c", "\n".join(block)]
                kept[start] = f"__import__('subprocess').run({command!r}, check=True)"
            language = None
    return "\n".join(kept)


PAGES = [
    path
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if program(path.read_text(encoding="utf-8")).strip()
]


def test_program_keeps_lines_in_place():
    page = "# A\n```python\nx = 1\ny = x\n```\n```sh\nmake\n```\n```bash\nisthmus info a\nisthmus info b\n```\n"
    call = "__import__('subprocess').run(['bash', '-e', '-c', 'isthmus info a\\nisthmus info b'], check=True)"
    assert program(page).split("\n") == ["", "", "x = 1", "y = x", "", "", "", "", "", call, "", "", ""]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_doctests(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)
    assert Path(module.__file__) == path, f"{name} was imported from {module.__file__}: another checkout is installed"
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0, "there is an example in the file that doctest does not find"
    assert found.failed == 0, "see the captured output"


def page(path: Path) -> object:
    """A page of examples: the README by default, all others as slow tests, which `make check` runs too."""
    marks = () if path.name == "README.md" else pytest.mark.slow
    return pytest.param(path, marks=marks, id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("path", [page(path) for path in PAGES])
def test_pages(path, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(program(path.read_text(encoding="utf-8")), encoding="utf-8")
    folder = tmp_path / "empty"
    folder.mkdir()
    # A process of its own: a page may register parts and kinds, which no other test should meet.
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=folder,
        env={**os.environ, "PATH": beside, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    where = ran.stderr.replace(str(script), str(path.relative_to(ROOT)))
    assert ran.returncode == 0, f"{ran.stdout}\n{where}"


@pytest.mark.parametrize("page", ["README.md", "docs/which-autoencoder.md"])
def test_every_kind_is_named(page):
    from isthmus.recipes import RECIPES

    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in RECIPES if f"`{name}`" not in text] == []
