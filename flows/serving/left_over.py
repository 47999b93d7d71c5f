"""Flow runs that a stopped or killed process left behind: they begin again, and go on where their files are."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.states import AwaitingRetry, Cancelled, Crashed

IN_HAND = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
MAX_RUNS = 200  # the most that the server gives at once; of each deployment one is in hand
MAX_BEGINNINGS = 5  # of a run: one that ends what runs it each time would do so for ever


def begin_again(client: SyncPrefectClient, deployments: Sequence[UUID]) -> list[str]:
    """Schedule what is in nobody's hand any more, though the server thinks so; return the names of these runs."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=IN_HAND))),
        limit=MAX_RUNS,
    )
    again = []
    for run in runs:
        if run.state is not None and run.state.is_cancelling():
            client.set_flow_run_state(run.id, Cancelled(message="Cancelled while nothing ran it."), force=True)
        elif run.run_count >= MAX_BEGINNINGS:
            why = (
                f"It began {run.run_count} times, and what ran it was stopped each time: look why before you retry it."
            )
            client.set_flow_run_state(run.id, Crashed(message=why), force=True)
        else:
            state: State[Any] = AwaitingRetry(
                message="What ran it was stopped; it begins again, and goes on from its files."
            )
            client.set_flow_run_state(run.id, state, force=True)
            again.append(run.name)
    return again
