"""A flow and batches for engines; in a module of their own, for other processes import what they are given."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prefect import flow

from curation.store import Home
from flows.engines import EngineName
from flows.engines.running import opened
from flows.tasks import in_prefect
from tests.silent import Silent
from tests.waiting import until


@flow(name="probe")
def probe(
    home: Path,
    work: Callable[[Any], Any],
    batches: Sequence[Any],
    engine: EngineName,
    scheduler: str | None = None,
    at_once: int = 200,
) -> list[Any]:
    """Run one stage."""
    with opened(engine, scheduler, Home(home), []) as batches_run:
        return in_prefect(Silent(), at_once=at_once, engine=batches_run)(work, batches, "probe")  # type: ignore[arg-type]


def length(batch: bytes) -> int:
    return len(batch)


def held(batch: tuple[Path, int]) -> int:
    """Tell that a batch is at work, by a file named after this process, and wait until it may end."""
    folder, number = batch
    (folder / f"{number} in {os.getpid()}").touch()
    until((folder / "go on").exists)
    return number


def at_work(folder: Path) -> list[int]:
    """Return the processes that `held` batches are in."""
    return [int(path.name.split()[-1]) for path in folder.glob("* in *")]
