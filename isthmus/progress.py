"""Telling how a fit goes: a progress bar on a terminal, plain lines elsewhere, nothing when silent."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO


class Progress:
    """Silent; the base of the two that speak."""

    def start(self, title: str, epochs: int) -> None:
        """A fit of at most ``epochs`` epochs begins."""

    def step(self, epoch: float) -> None:
        """Called after every step with the fractional epoch."""

    def epoch(self, figures: dict[str, float]) -> None:
        """Called after every epoch with the newest line of the history."""

    def close(self, sentence: str) -> None:
        """The fit has ended; ``sentence`` says why."""


def sentence_of(figures: dict[str, float]) -> str:
    held_out = figures.get("valid_cost", float("nan"))
    text = f"cost {figures['cost']:.4g}"
    if held_out == held_out:
        text += f", held-out {held_out:.4g}"
    if figures.get("valid_rmse", float("nan")) == figures.get("valid_rmse"):
        text += f", error {figures['valid_rmse']:.4g}"
    return text


class Lines(Progress):
    """A line now and then, for logs and pipes: at most one every few seconds."""

    def __init__(self, stream: TextIO, every: float = 5.0) -> None:
        self.stream, self.every = stream, every
        self.last = 0.0
        self.epochs = 0

    def start(self, title: str, epochs: int) -> None:
        self.epochs, self.last = epochs, time.monotonic()
        print(title, file=self.stream, flush=True)

    def epoch(self, figures: dict[str, float]) -> None:
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            print(f"epoch {int(figures['epoch'])}/{self.epochs}: {sentence_of(figures)}", file=self.stream, flush=True)

    def close(self, sentence: str) -> None:
        print(sentence, file=self.stream, flush=True)


class Bar(Progress):
    """A bar with the cost and the time left, by rich."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.bar: Any = None
        self.shown = 0.0

    def start(self, title: str, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("epoch {task.fields[epoch]:>9}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
        )
        self.bar = Rich(*columns, console=Console(file=self.stream), transient=True)
        print(title, file=self.stream, flush=True)
        self.epochs = epochs
        self.task = self.bar.add_task(title, total=epochs, figures="", epoch=f"0/{epochs}")
        self.bar.start()

    def step(self, epoch: float) -> None:
        if time.monotonic() - self.shown > 0.1:
            self.shown = time.monotonic()
            self.bar.update(self.task, completed=epoch)

    def epoch(self, figures: dict[str, float]) -> None:
        epoch = figures["epoch"]
        self.bar.update(self.task, completed=epoch, epoch=f"{int(epoch)}/{self.epochs}", figures=sentence_of(figures))

    def close(self, sentence: str) -> None:
        self.bar.stop()
        print(sentence, file=self.stream, flush=True)


def progress(verbose: int, stream: TextIO | None = None) -> Progress:
    """The right one: silent for ``verbose=0``, a bar on a terminal, plain lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    if not verbose:
        return Progress()
    return Bar(stream) if stream.isatty() else Lines(stream)
