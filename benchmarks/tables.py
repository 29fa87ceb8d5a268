"""Adult as a table with its own columns, for the benchmarks of mixed tables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NUMERIC = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
NAMES = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race",
    "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip


def adult() -> tuple[Any, Any]:
    """Training (32,561 rows) and test frame (16,281) with 6 columns of numbers, 9 of text, ``?`` read as missing."""
    import pandas as pd

    folder = Path(os.environ.get("ISTHMUS_DATA", "")) / "adult"
    if not (folder / "adult.data").exists():
        print("skipped: set ISTHMUS_DATA to a folder that holds adult")
        sys.exit(0)
    how: dict[str, Any] = {"names": NAMES, "skipinitialspace": True, "na_values": "?"}
    train, test = pd.read_csv(folder / "adult.data", **how), pd.read_csv(folder / "adult.test", skiprows=1, **how)
    test["income"] = test["income"].str.rstrip(".")
    return train, test
