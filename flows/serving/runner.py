"""The process that runs flows: `python -m flows.serving.runner DEPLOYMENTS`, a list of them as JSON.

It registers what it serves, and takes up what a process before it left behind.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import typer
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from rich.console import Console

from flows import automations, deployed
from flows.deployments import flow_of, whole_name
from flows.serving import left_over
from flows.terminal import REFUSED_EXIT_CODE, patient
from rules.errors import ConfigurationError


def registered(one: Mapping[str, Any]) -> RunnerDeployment:
    """Return a deployment as Prefect has it, of the flow of its name."""
    flow: Flow[..., Any] = getattr(deployed, flow_of(one))
    made = RunnerDeployment.from_flow(
        flow,
        one["name"],
        description=one["description"],
        parameters=one["parameters"],
        schedules=[Cron(schedule["cron"], timezone=schedule["timezone"]) for schedule in one["schedules"]],
        triggers=[DeploymentEventTrigger.model_validate(trigger) for trigger in one["triggers"]],
        concurrency_limit=ConcurrencyLimitConfig.model_validate(one["concurrency_limit"]),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    made.entrypoint = one["entrypoint"]
    return made


def _withdraw(client: SyncPrefectClient, names: Sequence[str]) -> None:
    """Take away what was served before and is no more: nobody would run what its schedule and events ask for."""
    for name in names:
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")
        client.delete_deployment(found.id)


def _refuse_others(client: SyncPrefectClient, described: Sequence[Mapping[str, Any]]) -> None:
    """Leave alone what somebody else deployed under the same name.

    Raises:
        ConfigurationError: it belongs to a work pool, or to another work folder.
    """
    for one in described:
        name, home = whole_name(one), one["parameters"].get("home")
        try:
            found = client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        if found.work_pool_name is not None:
            whose = f"work pool {found.work_pool_name}"
        elif found.parameters.get("home") != home:
            whose = f"work folder {found.parameters.get('home')}"
        else:
            continue
        raise ConfigurationError(
            f"the deployment {name} on this Prefect server is of {whose}: expected another server, or "
            f"`prefect deployment delete {name}` first"
        )


def _begun(runner: Runner, described: Sequence[Mapping[str, Any]]) -> None:
    """Register what is served, and take up what was left behind."""
    names = [whole_name(one) for one in described]
    possible = [f"{flow}/{described[0]['name']}" for flow in deployed.FLOWS]
    with get_client(sync_client=True) as client:
        _refuse_others(client, described)
        ids = [cast(UUID, runner.add_deployment(registered(one))) for one in described]
        _withdraw(client, [name for name in possible if name not in names])
        for name in left_over.begin_again(client, ids):
            _say(f"Begins again: {name}")
    if told := automations.arrange():
        _say(told)
    _say(f"Serving {', '.join(names)}.")


def _say(line: str) -> None:
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def _is_unforeseen(record: logging.LogRecord) -> bool:
    """Leave out that a run is gone whose turn has come: who pauses a deployment takes away what it had scheduled."""
    return not (record.exc_info and isinstance(record.exc_info[1], ObjectNotFound))


def main() -> None:
    """Serve until this process is ended."""
    logging.getLogger("prefect.runner.state_proposer").addFilter(_is_unforeseen)
    runner = Runner(name="artune", pause_on_shutdown=False)  # the next `artune serve` wants the schedules as they are
    try:
        with patient():
            _begun(runner, json.loads(sys.argv[1]))
    except ConfigurationError as error:
        _say(str(error))
        sys.exit(REFUSED_EXIT_CODE)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    asyncio.run(runner.start())


if __name__ == "__main__":
    main()
