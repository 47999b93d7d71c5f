"""Progress of a build on the terminal: one bar for each stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Shown(Protocol):
    """Somebody to tell that a stage begins and that a batch of it is done."""

    def begin(self, stage: str, batches: int) -> None:
        """A stage of so many batches begins."""

    def done(self, stage: str) -> None:
        """One batch of it is done."""


class Bars:
    """Draws a bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars = {}

    def begin(self, stage: str, batches: int) -> None:
        """Draw a new bar, unless there is nothing to do."""
        if batches:
            self._bars[stage] = self._progress.add_task(stage, total=batches)

    def done(self, stage: str) -> None:
        """Move the bar of a stage by one batch."""
        self._progress.advance(self._bars[stage])


@contextmanager
def bars(console: Console) -> Iterator[Bars]:
    """Show bars while the block runs; on something that is no terminal, each stage's last state."""
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bars(progress)
