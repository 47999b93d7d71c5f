"""Progress of a build on the terminal: one bar for each stage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from curation.batches import Each
from curation.batches import in_threads as plain_threads

T = TypeVar("T")


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

    def reach(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage to a count; the first time, draw it."""
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=None)
        self._progress.update(self._bars[stage], completed=done, total=total or None)


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


def in_threads(shown: Bars, workers: int) -> Each:
    """Return an Each that runs batches on this machine's threads, without Prefect, and draws a bar for each stage."""
    run = plain_threads(workers)

    def each(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
        def counted(part: object) -> T:
            result = work(part)
            shown.done(stage)
            return result

        shown.begin(stage, len(batches))
        return run(counted, batches, stage)

    return each
