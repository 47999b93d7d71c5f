"""Runs of deployments in this process, and what a curator does with them in Prefect's UI."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Cancelled, Completed

from flows import asking


class Deployed:
    """A deployment whose runs this process runs, as a runner does."""

    def __init__(self, of: Flow[..., Any]) -> None:
        self._flow = of
        with get_client(sync_client=True) as client:
            self._id = client.create_deployment(client.create_flow(of), f"asking-{uuid4().hex}")

    def new(self, **parameters: Any) -> FlowRun:
        """Ask for a run."""
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(self._id, parameters=parameters)

    def begun(self, run: FlowRun) -> State[Any]:
        """Run it until it ends or waits."""
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(run.id)
            with suppress(Pause):
                run_flow(self._flow, flow_run=run, parameters=run.parameters, return_type="state")
            state = client.read_flow_run(run.id).state
        assert state is not None
        return state


def answer(run: FlowRun, *, yes: bool) -> None:
    """Press Resume, and fill in the form."""
    with get_client(sync_client=True) as client:
        client.resume_flow_run(run.id, run_input={"yes": yes})


def cancel(run: FlowRun) -> None:
    """Press Cancel."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelled(), force=True)


def retry(run: FlowRun) -> None:
    """Press Retry."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, AwaitingRetry(), force=True)


@flow(name="asks")
def asks() -> State[Any]:
    return Completed(name="Yes" if asking.says_yes("# Really?", "really") else "No")
