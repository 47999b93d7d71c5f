"""A run that waits until a curator has decided, in the form that Prefect's UI shows."""

import logging
from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRunInput, StateType
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput, filter_flow_run_input
from prefect.runtime import deployment, flow_run
from pydantic import Field

REFUSED = "Not wanted"  # the state of a run after a no
MAX_INPUTS = 200  # the most that the server gives at once; a question has three

_log = logging.getLogger(__name__)


class Decision(RunInput):
    """What a curator says."""

    yes: bool = Field(default=False, description="Go on. Without it nothing happens, and the run ends.")


def says_yes(question: str, key: str) -> bool:
    """Ask a curator, however long it takes: the process ends meanwhile, and the run begins anew after the answer.

    Args:
        question: Markdown, shown above the form.
        key: of the question within this run, so that it is answered once; of lowercase letters, digits and dashes.
    """
    if (known := answer(key)) is not None:
        return known
    _log.info("Waiting for a curator: Resume in Prefect's UI shows what is to be decided.")
    asked = Decision.with_initial_data(description=question, yes=False)
    # A form that nobody answered is there still if the run was cancelled and tried again: each try has its own.
    return suspend_flow_run(wait_for_input=asked, timeout=None, key=f"{key}-{flow_run.run_count}").yes


def answer(key: str) -> bool | None:
    """Return what a curator said in this run, None before."""
    found = cast(list[FlowRunInput], filter_flow_run_input(f"suspended-{key}-", limit=MAX_INPUTS))
    given = (one for one in found if one.key.endswith("-response"))
    return next((Decision(**one.decoded_value).yes for one in given), None)


def waiting() -> list[dict[str, Any]]:
    """Return the parameters of runs of this one's deployment that wait for a curator."""
    is_paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    of_deployment = DeploymentFilterId(any_=[UUID(deployment.id)] if deployment.id else [])
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=of_deployment), flow_run_filter=FlowRunFilter(state=is_paused)
        )
    return [run.parameters for run in runs]
