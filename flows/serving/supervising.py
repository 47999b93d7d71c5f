"""Who watches over the server and over what runs flows: what ends of itself begins again, and all end together."""

import fcntl
import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import typer
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import connection, settings
from flows.deployments import whole_name
from flows.serving import left_over, tied
from flows.serving.server import Server
from flows.terminal import REFUSED_EXIT_CODE, say
from rules.errors import ConfigurationError

LOOK_S = 0.5
REST_S, LONGEST_REST_S = 5.0, 300.0  # before what ended begins again: each time twice as long
STEADY_S = 60.0  # what worked as long is no fault that comes back at once


def serve(described: Sequence[Mapping[str, Any]], server: Server) -> None:
    """Serve deployments on a server that runs until somebody stops it by Ctrl-C or SIGTERM.

    Raises:
        typer.Exit: what is served was refused.
    """
    rest_s = REST_S
    with _signals() as stop:
        while not stop.is_set():
            began = time.monotonic()
            why = _served(described, server, stop)
            if stop.is_set():
                break
            rest_s = REST_S if time.monotonic() - began > STEADY_S else rest_s
            say(f"{why} It begins again in {rest_s:.0f} s.")
            stop.wait(rest_s)
            rest_s = min(2 * rest_s, LONGEST_REST_S)
        say("Stopping.")
        try:
            _put_back(described, server)
        except connection.errors() as error:
            say(str(connection.told(error)))


def _served(described: Sequence[Mapping[str, Any]], server: Server, stop: Event) -> str:
    """Run server and flows until one of them ends; say which, and why if that is known."""
    try:
        server.end_if_gone()
        server.begin()
    except ConfigurationError as error:  # a named one may be back soon
        return f"{error}."
    env = settings.of_processes(PREFECT_API_URL=server.api_url)
    process = tied.start("flows.serving.runner", [json.dumps(described)], env)
    try:
        while not stop.wait(LOOK_S) and process.poll() is None and not server.is_gone():
            pass
        if process.poll() == REFUSED_EXIT_CODE and not server.is_gone():
            raise typer.Exit(REFUSED_EXIT_CODE)  # it said why
    finally:
        tied.end(process, at_once=True)  # what it ran goes on from its files
    return f"{'The Prefect server' if server.is_gone() else 'What runs the flows'} has ended."


def _put_back(described: Sequence[Mapping[str, Any]], server: Server) -> None:
    """Schedule what was stopped, so that nobody takes it for running; the next `artune serve` goes on with it."""
    if server.is_gone():
        return
    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as client:
        ids: list[UUID] = []
        for one in described:
            try:
                ids.append(client.read_deployment_by_name(whole_name(one)).id)
            except ObjectNotFound:  # it was stopped before it registered
                continue
        for name in left_over.begin_again(client, ids) if ids else []:
            say(f"Stopped, and goes on next time: {name}")


@contextmanager
def _signals() -> Iterator[Event]:
    """Give what is set when somebody stops this process."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a file for this process, however it ends.

    Raises:
        ConfigurationError: another one serves the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"{path}: another `artune serve` serves this rule set from this work folder: expected to stop it first"
            ) from None
        yield
