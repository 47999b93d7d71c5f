"""Task runners of Prefect for the batches of a build, and the way of a batch into another process."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any, cast

from prefect.client.orchestration import get_client
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner
from prefect.utilities.annotations import quote
from prefect.utilities.callables import get_call_parameters

from curation.errors import TransientError
from curation.store import Home
from flows import settings
from flows.engines import EngineName, check
from flows.engines.fitness import Fitting, ensure, expected
from flows.tasks import Engine, Submit, let_modules_speak, plain, threads, tried_again

Runner = TaskRunner[PrefectFuture[Any]]


@contextmanager
def opened(engine: EngineName, scheduler: str | None, home: Home, sources: Sequence[str]) -> Iterator[Engine]:
    """Give what runs the batches of the running flow.

    Args:
        scheduler: the address of a Dask scheduler, where that is the engine.
        home: every process must see it.
        sources: likewise, where they are folders.

    Raises:
        ConfigurationError: the cluster cannot be reached, or something in it would make another release.
        TransientError: what ran the batches went away; the same call goes on.
    """
    check(engine, scheduler)
    workers = settings.from_environment().workers
    if engine == "threads":
        with threads(workers) as runner:
            yield partial(_here, runner)
        return
    api = str(get_client(sync_client=True).api_url)
    # Where nobody set an address, this process has a server of its own, and each of the others would start another.
    with temporary_settings({PREFECT_API_URL: api}), expected(home, sources, api) as fitting:
        if scheduler is None:
            with _processes(workers) as runner:
                yield partial(_elsewhere, runner, fitting)
        else:
            from flows.engines import cluster  # it imports distributed, which takes a second

            with cluster.joined(scheduler, fitting) as runner:
                yield partial(_elsewhere, runner, fitting)


def _here(runner: Runner, stage: str, work: Callable[[Any], Any]) -> Submit:
    task = tried_again(stage, work)

    def submit(name: str, batch: object) -> PrefectFuture[Any]:
        # Quoted, or Prefect would look for futures in every table of it.
        given = get_call_parameters(work, (quote(batch),), {})
        return runner.submit(task.with_options(task_run_name=plain(name)), given)

    return submit


def _elsewhere(runner: Runner, fitting: Fitting, stage: str, work: Callable[[Any], Any]) -> Submit:
    task = tried_again(stage, partial(_carried, fitting))

    def submit(name: str, batch: object) -> PrefectFuture[Any]:
        # As bytes: Prefect and a scheduler would walk through every table of it, and a scheduler would keep them.
        packed = pickle.dumps((work, batch))
        return runner.submit(task.with_options(task_run_name=plain(name)), {"packed": packed})

    return submit


def _carried(fitting: Fitting, packed: bytes) -> Any:  # noqa: ANN401 - what the work returns
    """Do a batch in the process where it arrived."""
    let_modules_speak()
    ensure(fitting)
    work, batch = pickle.loads(packed)
    return work(batch)


@contextmanager
def _processes(workers: int) -> Iterator[Runner]:
    """Give a started runner of processes that end with this one, however it ends."""
    runner = ProcessPoolTaskRunner(max_workers=workers, initializer=_end_with_parent)
    with cast(Runner, runner):
        try:
            yield cast(Runner, runner)
        except BrokenProcessPool:
            raise TransientError(
                "a process that worked on a batch was killed, perhaps for want of memory: run the same command again, "
                "it goes on; a smaller ARTUNE_WORKERS takes less memory"
            ) from None
        except (KeyboardInterrupt, SystemExit, TerminationSignal):
            for process in multiprocessing.active_children():
                process.kill()  # else leaving waits for batches that may take minutes
            raise


def _end_with_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it: of itself a pool outlives a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
