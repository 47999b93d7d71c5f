"""Progress of a training on the terminal: a bar of its steps, and a line for each epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:  # it imports torch
    from training.fitting.loop import Progress as Told


class Shown:
    """Draws what a training tells."""

    def __init__(self, progress: Progress, move: Callable[[float], None]) -> None:
        self._progress = progress
        self._move = move
        self._bar: TaskID | None = None
        self._losses: list[float] = []  # of the steps of this epoch that this session took
        self._measured: float | None = None  # in this epoch

    def __call__(self, told: "Told") -> None:
        """Move the bar; tell what is worth a line."""
        if self._bar is None:
            self._bar = self._progress.add_task("steps", total=told.steps, completed=told.step, loss="")
        if told.what in ("started", "resumed"):
            self._say(f"{told.what.capitalize()} {told.detail}.")
        elif told.what == "step":
            self._step(self._bar, told)
        elif told.what == "validation":
            self._measured = told.validation_loss
        elif told.what == "checkpoint" and told.step % (told.steps // told.epochs) == 0:
            self._epoch(told)

    def _step(self, bar: TaskID, told: "Told") -> None:
        loss = told.losses["total"]
        self._losses.append(loss)
        if told.detail:
            self._say(f"Step {told.step}: {told.detail}.")
        text = f"epoch {told.epoch} of {told.epochs}, loss {loss:.4f}"
        self._progress.update(bar, completed=told.step, loss=text)
        self._move(told.step / told.steps)

    def _epoch(self, told: "Told") -> None:
        parts = [f"loss {sum(self._losses) / len(self._losses):.4f}"] if self._losses else []
        parts += [] if self._measured is None else [f"validation {self._measured:.4f}"]
        parts += [f"{told.skipped:,} pairs left out, for they cannot be read"] if told.skipped else []
        self._say(f"Epoch {told.epoch} of {told.epochs}: {', '.join(parts)}.")
        self._losses, self._measured = [], None

    def _say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bars(console: Console, move: Callable[[float], None]) -> Iterator[Shown]:
    """Show a training while the block runs.

    Args:
        move: is told each time which share of the steps is done.
    """
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Shown(progress, move)
