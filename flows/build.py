"""The flow `build`: from sources to a release, thin around curation.building."""

from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.states import Failed
from rich.console import Console

import rules
from curation import building, card
from curation.building import LargeDrop
from curation.releases import rule_set_of
from curation.store import Home
from flows.progress import bars
from flows.tasks import in_prefect, let_modules_speak, threads
from rules.errors import ConfigurationError

NEEDS_A_YES = "Needs a yes"  # the state of a run that would lose too many rows


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
    let_modules_speak()
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
    ready = build_release.with_options(task_runner=threads(workers))
    state = ready(home, sources, rules_name, may_drop, return_state=True)
    try:
        return cast("int | None", state.result())
    except FailedRun as error:  # what the flow returned as a failure; anything else is a bug and raised as it is
        raise (LargeDrop if state.name == NEEDS_A_YES else ConfigurationError)(str(error)) from None
