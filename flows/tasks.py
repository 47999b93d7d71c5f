"""How every flow runs its batches: one Prefect task for each, tried again only where the world was busy."""

import atexit
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Timer
from typing import Any, NoReturn, ParamSpec, TypeVar, cast
from uuid import UUID

import httpx
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import CancelledRun, FailedRun, TerminationSignal
from prefect.futures import PrefectFuture
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task
from prefect.utilities.annotations import quote
from rich.console import Console

from curation.batches import Each
from curation.disk import is_of_disk
from curation.errors import TransientError
from curation.markdown import escaped, table
from flows.progress import Bars
from flows.terminal import STOPPED_EXIT_CODE, TERMINATED_EXIT_CODE
from rules.errors import ConfigurationError

P = ParamSpec("P")
T = TypeVar("T")

Submit = Callable[[str, Any], PrefectFuture[Any]]  # the name of a run and its batch -> its future
Engine = Callable[[str, Callable[[Any], Any]], Submit]  # of a stage and its work

IN_FLIGHT = 200  # futures at once: a scheduler should not hold a task for every batch of a large build
RETRY_DELAYS_S: list[float] = [2, 8, 30]
LEAVE_S = 8.0  # less than the 10 s that `docker stop` waits before it kills
BUSY = "Busy"  # the state of a run that the world had no time for
ARTIFACT_STEPS = 20  # a progress artifact is a call to the server, so not one for every batch


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Say whether another try makes sense: only where the world was busy."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


def threads(workers: int) -> TaskRunner[PrefectFuture[Any]]:
    """Return what runs tasks on this machine's threads."""
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner[Any](max_workers=workers))


def let_modules_speak() -> None:
    """Let our modules log to Prefect's UI, under the run they work for, whatever started this process.

    A worker of a pool may know nothing of PREFECT_LOGGING_EXTRA_LOGGERS; and without a level they would stay silent.
    """
    logging.getLogger("prefect.task_runs").addFilter(_without_traceback)
    logging.getLogger("prefect.task_runs").addFilter(_is_news)
    logging.getLogger("prefect.flow_runs").addFilter(_as_a_sentence)
    logging.getLogger("prefect.engine").addFilter(_is_unforeseen)
    for name in ("flows", "evaluation", "training", "curation", "rules"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        for handler in logging.getLogger("prefect.extra").handlers:
            if isinstance(handler, APILogHandler):
                logger.addHandler(handler)  # once, however often


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out that a batch is done: thousands of such lines hide the others, and the list of tasks says it."""
    return record.levelno > logging.INFO or not record.getMessage().startswith("Finished in state Completed")


def _as_a_sentence(record: logging.LogRecord) -> bool:
    """Let a served run say why it failed, where Prefect would show its own code; nothing, where a person ended it."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, FailedRun):
        record.msg, record.args, record.exc_info = "%s", (str(error),), None
    return not isinstance(error, CancelledRun)


def _is_unforeseen(record: logging.LogRecord) -> bool:
    """Leave out what `_as_a_sentence` has said."""
    return not (record.exc_info and isinstance(record.exc_info[1], CancelledRun | FailedRun))


def _without_traceback(record: logging.LogRecord) -> bool:
    """Let Prefect tell of a busy world or a full disk in one line: where in our code it was met helps nobody."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, TransientError | ConfigurationError) or is_of_disk(error):
        record.exc_info = None
    return True


def plain(name: str) -> str:
    """Return a name of a run that shows just this text: Prefect takes it as a template."""
    return name.replace("{", "{{").replace("}", "}}")


def told(work: Callable[[], T], stopped: str) -> T | State[Any]:
    """Return what the work of a flow returns, or a failed state with a sentence instead of a traceback.

    Args:
        work: raises ConfigurationError for what a person has to mend, TransientError where the world is busy.
        stopped: is said when a person stops it.
    """
    try:
        return work()
    except ConfigurationError as error:
        return Failed(message=str(error))
    except TransientError as error:
        return Failed(message=str(error), name=BUSY)
    except (KeyboardInterrupt, TerminationSignal) as signal:
        leave(stopped, exit_code_of(signal))


def exit_code_of(signal: BaseException) -> int:
    """Return with which code a process ends that was stopped, by Ctrl-C or by SIGTERM, which Prefect raises."""
    return TERMINATED_EXIT_CODE if isinstance(signal, TerminationSignal) else STOPPED_EXIT_CODE


def ended(state: State[T | State[Any]]) -> T:
    """Return what a flow run returned.

    Raises:
        ConfigurationError: what it was told cannot be used.
        TransientError: the world was busy: the same call may pass later.
    """
    try:
        return cast(T, state.result())
    except FailedRun as error:  # what `told` returned as a failure; anything else is a bug and raised as it is
        raise (TransientError if state.name == BUSY else ConfigurationError)(str(error)) from None


def tried_again(name: str, work: Callable[P, T]) -> Task[P, T]:
    """Return a task of Prefect that is tried again only where the world was busy."""
    return task(
        name=name,
        cache_policy=NO_CACHE,  # the files are the cache
        retries=len(RETRY_DELAYS_S),
        retry_delay_seconds=RETRY_DELAYS_S,
        retry_condition_fn=is_transient,
    )(work)


def once(name: str, work: Callable[[], T], stopped: str) -> T:
    """Run one long piece of work as a task: each try goes on where one ended.

    Args:
        stopped: is said when a person stops it.

    Raises:
        ConfigurationError: as the work does.
    """

    def guarded() -> T | ConfigurationError:
        try:
            return work()
        except ConfigurationError as error:
            return error  # as a failure of the task, Prefect would show it with a traceback that helps nobody
        except (KeyboardInterrupt, TerminationSignal) as signal:
            leave(stopped, exit_code_of(signal))

    done = tried_again(name, guarded)()  # in this thread, where Ctrl-C arrives: processes that it started end with it
    if isinstance(done, ConfigurationError):
        raise done
    return done


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that shows just these texts."""
    return table(columns, (map(escaped, row) for row in rows)) + "\n"


def leave(stopped: str, code: int = STOPPED_EXIT_CODE) -> NoReturn:
    """End the process at once: its threads may wait for a site for long, and what they have is written down."""
    # What stops a whole group of processes, as `timeout` does, ends Prefect's server too, and its client would go on
    # asking that for minutes.
    last_resort = Timer(LEAVE_S, os._exit, [code])
    last_resort.daemon = True
    last_resort.start()
    Console(stderr=True).print(stopped)
    logging.raiseExceptions = False  # lines that Prefect still wants to send find no server any more, and say so
    try:
        with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Cancelled(message=stopped), force=True)
        atexit._run_exitfuncs()  # the server that Prefect started for this process ends with it
    finally:
        os._exit(code)  # also where it is stopped once more


@dataclass(frozen=True, slots=True)
class Title:
    """What an operator calls a batch.

    Attributes:
        part: what of the stage it belongs to: each part has a bar, an artifact and a place of its own.
        text: what tells it from others of its part.
    """

    part: str
    text: str


def of_flow(stage: str, work: Callable[[Any], Any]) -> Submit:
    """Run the batches of a stage on the task runner of the running flow."""
    task = tried_again(stage, work)

    def submit(name: str, batch: object) -> PrefectFuture[Any]:
        # Quoted, or Prefect would look for futures in every table of it.
        return task.with_options(task_run_name=plain(name)).submit(quote(batch))

    return submit


def in_prefect(
    shown: Bars,
    title: Callable[[Any], Title] | None = None,
    at_once: int = IN_FLIGHT,
    engine: Engine = of_flow,
) -> Each:
    """Return an Each that runs every batch as a Prefect task of the running flow.

    Args:
        shown: where its bars are drawn.
        title: of a batch; without it, a stage is one part and its batches are numbered.
        at_once: futures of each part: one that is slow does not keep the others waiting.
        engine: where batches run.
    """

    def each(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
        submit_named = engine(stage, work)
        titles = [title(batch) if title else Title("", f"{n} of {len(batches)}") for n, batch in enumerate(batches, 1)]
        parts: dict[str, _Part] = {}
        for number, named in enumerate(titles):
            parts.setdefault(named.part, _Part(f"{stage} {named.part}".strip())).left.append(number)
        for part in parts.values():
            part.begin(shown)
        done: SimpleQueue[int] = SimpleQueue()
        running: dict[int, PrefectFuture[T]] = {}
        results: dict[int, T] = {}

        def submit(part: _Part) -> None:
            number = part.left.popleft()
            running[number] = submit_named(f"{part.name} {titles[number].text}", batches[number])
            running[number].add_done_callback(lambda _: done.put(number))

        for part in parts.values():
            for _ in range(min(at_once, len(part.left))):
                submit(part)
        while running:
            number = done.get()
            part = parts[titles[number].part]
            results[number] = running.pop(number).result()
            if part.left:
                submit(part)
            part.move(shown)
        return [results[number] for number in range(len(batches))]

    return each


def artifact_key(name: str) -> str:
    """Return a name as Prefect wants keys: of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def progress_artifact(name: str) -> Callable[[float], None]:
    """Return what moves a progress artifact of the running flow to a share; small moves are left out."""
    told = -1.0
    artifact: UUID | None = None

    def move(share: float) -> None:
        nonlocal told, artifact
        if artifact is None:
            artifact = cast(UUID, create_progress_artifact(0.0, key=artifact_key(name), description=name))
        if share >= told + 1 / ARTIFACT_STEPS or (share == 1 and told < 1):
            update_progress_artifact(artifact, 100.0 * share)
            told = share

    return move


class _Part:
    """The bar and the artifact of some batches of a stage."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.left: deque[int] = deque()
        self._count = self._done = 0
        self._artifact: UUID | None = None

    def begin(self, shown: Bars) -> None:
        self._count = len(self.left)
        shown.begin(self.name, self._count)
        self._artifact = cast(UUID, create_progress_artifact(0.0, key=artifact_key(self.name), description=self.name))

    def move(self, shown: Bars) -> None:
        """Count one batch more."""
        self._done += 1
        shown.done(self.name)
        if self._done % max(1, self._count // ARTIFACT_STEPS) == 0 or self._done == self._count:
            update_progress_artifact(cast(UUID, self._artifact), 100.0 * self._done / self._count)
