"""How many threads PyTorch takes for a while, and what it loads before a clock starts."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for what is inside, as small steps are slower on several; as before afterwards.

    In a worker process or a thread other than the main one, thread counts are somebody else's choice and are left
    alone.
    """
    threads = torch.get_num_threads()
    ours = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    if not ours or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def load_optimisers() -> None:
    """Let PyTorch load now what its first optimiser loads, which takes seconds, so that no clock counts it."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
