"""Progress of a build on the terminal: one bar for each stage."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """Draws a bar for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

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
