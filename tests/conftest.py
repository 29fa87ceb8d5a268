"""What the tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: workers that each take every core slow one another down many times over.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data that ISTHMUS_DATA names; tests that ask for it are skipped where there is none."""
    named = os.environ.get("ISTHMUS_DATA", "")
    if not named:
        pytest.skip("needs real data: ISTHMUS_DATA is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"needs real data: ISTHMUS_DATA names {named!r}, which is not a folder")
    return folder


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
