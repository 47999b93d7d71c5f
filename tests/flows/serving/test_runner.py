"""What `artune serve` finds on a Prefect server: runs that were left behind, and deployments of somebody else."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from uuid import uuid4

import pytest

from flows import connection
from flows.deployments import Asked, deployments
from rules.errors import ConfigurationError


def test_a_run_that_ends_what_runs_it_begins_again_a_few_times_only(prefect_server):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.states import Running

    from flows.serving import left_over
    from tests.flows.deployed_runs import Deployed, asks

    deployed = Deployed(asks)
    run = deployed.new()
    ended: list[State] = []
    with get_client(sync_client=True) as client:
        for _ in range(left_over.MAX_BEGINNINGS):
            client.set_flow_run_state(run.id, Running(), force=True)
            begun = left_over.begin_again(client, [run.deployment_id])
            ended.append(client.read_flow_run(run.id).state)
            assert begun == ([run.name] if ended[-1].is_scheduled() else [])
    assert [state.is_crashed() for state in ended] == [False] * 4 + [True]
    assert "look why" in ended[-1].message


@pytest.mark.parametrize(
    ("theirs", "whose"),
    [({"parameters": {"home": "/other"}}, "work folder /other"), ({"work_pool_name": "theirs"}, "work pool theirs")],
)
def test_a_deployment_of_somebody_else_is_left_alone(theirs, whose, prefect_server):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.serving.runner import _refuse_others

    name = f"tiny-{uuid4().hex}"
    described = deployments(Asked(rules_name="tiny", data_set=name, local=("folder:/media",), home="/h"))
    with get_client(sync_client=True) as client:
        _refuse_others(client, described)
        if "work_pool_name" in theirs:
            client.create_work_pool(WorkPoolCreate(name="theirs", type="process"))
        client.create_deployment(client.create_flow_from_name("build"), name, **theirs)
        with pytest.raises(ConfigurationError, match=f"build/{name} on this Prefect server is of {whose}"):
            _refuse_others(client, described)


class Anything(BaseHTTPRequestHandler):
    """Some web site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_what_happens_to_listen_at_the_port_is_no_server(monkeypatch, tmp_path, prefect_server):
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_PORT, temporary_settings

    from flows.serving.server import Server

    with HTTPServer(("127.0.0.1", 0), Anything) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        with temporary_settings({PREFECT_SERVER_API_PORT: site.server_port}, restore_defaults={PREFECT_API_URL}):
            server = Server()
        assert not server.is_named
        assert not server._answers()
        site.shutdown()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://user:hidden@host:4200/api", "http://host:4200"),
        ("https://host/prefect/api/", "https://host/prefect"),
        ("http://[::1]:4200/api?token=hidden", "http://[::1]:4200"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_password(address, told):
    assert connection.shown(address) == told
