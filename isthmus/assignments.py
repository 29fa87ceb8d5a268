"""What is written behind ``--set``, ``--network`` and the like, as values: read as data, never run.

weight=0.5     activation=relu     corruption=Mask(0.2)     penalties=L1(0.1,layer='code')
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from isthmus.checks import did_you_mean
from isthmus.errors import InputError
from isthmus.parts.networks.dense import Dense
from isthmus.recipes import RECIPES, Kind
from isthmus.records import PARTS

ROOMS = {
    "bottleneck": "bottlenecks",
    "loss": "losses",
    "corruption": "corruptions",
    "penalties": "penalties",
    "augmentation": "augmentations",
    "network": "networks",
}
"""The parameters of every kind that take a part, and where such parts live."""

LONGEST = 1000
"""Characters of one value; a longer one is surely no knob."""


def parsed(option: str, text: str) -> Any:
    """The value that ``text`` stands for: a literal, a part such as ``Mask(0.2)``, or else the text itself.

    >>> parsed("--set", "0.5"), parsed("--set", "relu"), parsed("--set", "none"), parsed("--set", "Mask(0.2)")
    (0.5, 'relu', None, Mask(fraction=0.2))
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise InputError(f"{option}: a value of {len(text):,} characters is too long; at most {LONGEST:,} are read")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        if "(" in text:
            raise InputError(f"{option}: {text!r} cannot be read; write a part as in Mask(0.2)") from None
        return text
    return value_of(option, tree, text)


def value_of(option: str, node: ast.expr, text: str) -> Any:
    """The value of one node of a parsed expression: constants, tuples, names and calls of parts, nothing else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        number = value_of(option, node.operand, text)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(value_of(option, item, text) for item in node.elts)
    if isinstance(node, ast.Name):
        words = {"true": True, "false": False, "none": None}
        return words[node.id.lower()] if node.id.lower() in words else made_of(option, node.id, (), {}, bare=True)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = [value_of(option, item, text) for item in node.args]
        named = {word.arg: value_of(option, word.value, text) for word in node.keywords if word.arg is not None}
        if len(named) == len(node.keywords):
            return made_of(option, node.func.id, arguments, named)
    if isinstance(node, (ast.BinOp, ast.Attribute)) and "(" not in text:
        return text  # a word such as leaky-relu or 0.5.1, which only looks like an expression
    raise InputError(
        f"{option}: {text!r} cannot be read; write a number, a word, True, False, None, or a part such as Mask(0.2)"
    )


def made_of(option: str, name: str, arguments: Iterable[Any], named: dict[str, Any], bare: bool = False) -> Any:
    """The part of this name; a bare word that names none is a word."""
    if name not in PARTS:
        if bare:
            return name
        raise InputError(f"{option}: there is no part {name!r}.{did_you_mean(name, sorted(PARTS))}")
    try:
        return PARTS[name](*arguments, **named)
    except TypeError as error:
        takes = ", ".join(field.name for field in sorted(fields(PARTS[name]), key=lambda field: bool(field.kw_only)))
        raise InputError(f"{option}: {name} takes {takes or 'nothing'}; {error}") from error
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


def kind_of(method: str, assignments: Iterable[str], network: str, option: str = "--method") -> dict[str, Any]:
    """``--method``, ``--set`` and ``--network`` as parameters of `Autoencoder`."""
    method = method.strip().replace("-", "_")
    if method not in RECIPES:
        raise InputError(f"{option}: no kind is called {method!r}.{did_you_mean(method, RECIPES)} See: isthmus methods")
    known = RECIPES[method].knobs
    shared = [name for name in ROOMS if name != "network"]
    knobs: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for text in assignments:
        name, sign, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name or not value.strip():
            raise InputError(f"--set: write KNOB=VALUE, such as weight=0.5; got {text!r}")
        if name not in known and name not in shared:
            raise InputError(f"--set: {method} has no knob {name!r}.{did_you_mean(name, [*known, *shared])}")
        made = checked(f"--set {name}", name, parsed("--set", value), known.get(name))
        (knobs if name in known else parameters)[name] = made
    kind = Kind(method, **knobs) if knobs else method
    if network.strip() != "auto":
        parameters["network"] = network_of(network, Kind(method, **knobs).parts().network)
    return {"method": kind, **parameters}


def checked(option: str, name: str, value: Any, default: Any) -> Any:
    """The value, if it is of the sort that the knob takes."""
    if name in ROOMS:
        choices = [word for word, kind in PARTS.items() if kind.__module__.startswith(f"isthmus.parts.{ROOMS[name]}")]
        items = value if isinstance(value, tuple) and name == "penalties" else (value,)
        if value is not None and any(type(item).__name__ not in choices for item in items):
            raise InputError(f"{option}: it must be one of {', '.join(sorted(choices))}; got {value!r}")
        return value
    if isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "True or False"
    elif isinstance(default, (int, float)):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits, wanted = fits or callable(value), "a number or a schedule such as Ramp(0, 1, 10)"
    elif isinstance(default, str):
        fits, wanted = value is None or isinstance(value, str), "a word"
    else:
        return value
    if not fits:
        raise InputError(f"{option}: it must be {wanted}; got {value!r}")
    return value


def network_of(text: str, usual: Any) -> Any:
    """``500,100`` as the kind's usual network with these hidden layers; or a network, by its name or with its knobs."""
    text = text.strip().capitalize() if text.strip() in ("convolutional", "recurrent", "dense") else text
    value = parsed("--network", text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = (value,)
    if isinstance(value, tuple) and isinstance(usual, Dense):
        return replace(usual, hidden=value)
    made = checked("--network", "network", value, None)
    if made is None:
        raise InputError("--network: write widths such as 500,100, or auto; got None")
    return made


def columns_of(assignments: Iterable[str]) -> dict[str | int, str]:
    """Every ``--column NAME=TYPE`` as one dictionary.

    >>> columns_of(["id=ignore", "a=b=unit"])
    {'id': 'ignore', 'a=b': 'unit'}
    """
    columns: dict[str | int, str] = {}
    for text in assignments:
        name, sign, wanted = text.rpartition("=")
        if not sign or not name or not wanted.strip():
            raise InputError(f"--column: write NAME=TYPE, such as id=ignore; got {text!r}")
        columns[name] = wanted.strip()
    return columns


def listed_numbers(option: str, text: str) -> list[int]:
    """Whole numbers between commas.

    >>> listed_numbers("--code-sizes", "2, 4,8")
    [2, 4, 8]
    """
    try:
        numbers = [int(piece) for piece in text.split(",") if piece.strip()]
    except ValueError:
        numbers = []
    if not numbers:
        raise InputError(f"{option}: write whole numbers with commas between, such as 2,4,8; got {text!r}")
    return numbers
