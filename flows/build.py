"""The flow `build`: from sources to a release, one task for each batch, thin around curation.building."""

import logging
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import FailedRun
from prefect.futures import PrefectFuture
from prefect.states import Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task
from prefect.utilities.annotations import quote
from rich.console import Console

import rules
from curation import building, card
from curation.batches import Each
from curation.building import LargeDrop
from curation.errors import TransientError
from curation.releases import rule_set_of
from curation.store import Home
from flows.progress import Bars, bars
from rules.errors import ConfigurationError

T = TypeVar("T")

IN_FLIGHT = 200  # futures at once: a scheduler should not hold a task for every batch of a large build
NEEDS_A_YES = "Needs a yes"  # the state of a run that would lose too many rows
ARTIFACT_STEPS = 20  # a progress artifact is a call to the server, so not one for every batch


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Say whether another try makes sense: only where the world was busy."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


def in_prefect(shown: Bars) -> Each:
    """Return an Each that runs every batch as a Prefect task of the running flow."""

    def each(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
        if not batches:
            return []
        of_stage = task(
            name=stage,
            cache_policy=NO_CACHE,  # the files are the cache
            retries=3,
            retry_delay_seconds=[2, 8, 30],
            retry_condition_fn=is_transient,
        )(work)
        shown.begin(stage, len(batches))
        artifact = cast(UUID, create_progress_artifact(0.0, key=stage.replace(" ", "-"), description=stage))
        waiting: list[PrefectFuture[T]] = []
        results: list[T] = []

        def submit(number: int, batch: object) -> PrefectFuture[T]:
            named = of_stage.with_options(task_run_name=f"{stage} {number} of {len(batches)}")
            return named.submit(quote(batch))  # quoted, or Prefect would look for futures in every table of it

        left = enumerate(batches, 1)
        waiting += [submit(*batch) for batch in islice(left, IN_FLIGHT)]
        while waiting:
            results.append(waiting.pop(0).result())
            waiting += [submit(*batch) for batch in islice(left, 1)]
            shown.done(stage)
            if len(results) % max(1, len(batches) // ARTIFACT_STEPS) == 0 or len(results) == len(batches):
                update_progress_artifact(artifact, 100.0 * len(results) / len(batches))
        return results

    return each


@flow(name="build", flow_run_name="build with {rules_name}")
def build_release(home: Path, sources: list[str], rules_name: str, may_drop: bool = False) -> int | State[Any] | None:
    """Build a release and publish its table of labels as an artifact.

    Args:
        home: the work folder.
        sources: each a name, or a name and a place: sample, folder:PATH.
        rules_name: a rule set's name, or a folder with one.
        may_drop: somebody said yes to a release that loses a large share of the rows.

    Returns:
        the number of the new release; None if the last one is made from the same inputs; a failed state that says
        what a person has to mend.
    """
    for name in ("flows", "curation", "rules"):
        # Prefect attaches handlers to these loggers, but without a level they stay silent.
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        rule_set = rules.load(rules_name)
        with bars(Console(stderr=True)) as shown:
            release = building.build(Home(home), sources, rule_set, in_prefect(shown), may_drop=may_drop)
    except LargeDrop as error:
        return Failed(message=str(error), name=NEEDS_A_YES)
    except ConfigurationError as error:
        return Failed(message=str(error))  # the sentence, without a traceback that helps nobody
    if release is None:
        return None
    text = f"# Release {release.number}\n\n{card.summary(release.folder, rule_set_of(release))}"
    create_markdown_artifact(text, key="release", description=f"Release {release.number}")
    return release.number


def run(home: Path, sources: list[str], rules_name: str, workers: int, *, may_drop: bool = False) -> int | None:
    """Run the flow on this machine's threads and return the number of the new release, if there is one.

    Raises:
        LargeDrop: a person should look at the plan and say yes first.
        ConfigurationError: what the build was told cannot be used.
    """
    runner = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner[Any](max_workers=workers))
    state = build_release.with_options(task_runner=runner)(home, sources, rules_name, may_drop, return_state=True)
    try:
        return cast("int | None", state.result())
    except FailedRun as error:  # what the flow returned as a failure; anything else is a bug and raised as it is
        raise (LargeDrop if state.name == NEEDS_A_YES else ConfigurationError)(str(error)) from None
