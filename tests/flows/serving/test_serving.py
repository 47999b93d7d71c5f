"""`artune serve` on real Prefect servers: what runs by schedule and by events alone, and what goes on after a kill."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.flows.serving import operators
from tests.flows.serving.prefect_api import TERMINAL, Api, Run, states
from tests.servers import answers, artune_serve, environment, free_port, prefect_server, until

PUBLISHED = "artune.dataset.published"


@pytest.fixture
def place(tmp_path: Path) -> operators.Place:
    return operators.made(tmp_path)


def is_there(pid: int) -> bool:
    """Say whether a process is at work: one that nobody waited for yet is not."""
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def below(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they started."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in found.splitlines()]
    family = {pid}
    while more := {child for child, parent in parents if parent in family} - family:
        family |= more
    return family - {pid}


def gone(pids: set[int]) -> bool | None:
    return True if not any(map(is_there, pids)) else None


def completed(runs: list[Run]) -> bool:
    return [run["state"]["name"] for run in runs] == ["Completed"] * len(runs)


@pytest.mark.usefixtures("hub")  # it answers that it does not have the weights that the evaluation wants
def test_a_schedule_and_events_lead_from_media_to_a_model(place, monkeypatch):
    monkeypatch.chdir(place.root)
    with prefect_server(place.root / "prefect") as api_url:
        env = environment(place.root / "prefect", PREFECT_API_URL=api_url, ARTUNE_CACHE=str(place.root / "cache"))
        words = place.words("--publish", "./shelf", "--train", "quick.yaml", "--cron", "* * * * *")
        with artune_serve(words, env, place.root / "serve.log") as process:
            api = Api(api_url, operators.DATA_SET)
            api.pause("train")  # its schedule; events still start it
            api.pause("publish")
            check_bad_parameters_are_refused(api)
            assert completed(api.ended("build")[:1])
            api.pause("build")
            check_nothing_goes_out_before_a_yes(api, place)
            api.awaited("publish", lambda runs: all(run["state"]["type"] in TERMINAL for run in runs))
            assert completed([run for run in api.runs("publish") if run["parameters"].get("number")])
            assert (place.shelf / "v1").is_dir()
            check_one_training_for_an_event_however_often(api, place)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert answers(api_url)  # it is not its own
    log = (place.root / "serve.log").read_text()
    assert re.search("ERROR .*: there is no such model on the Hub", log)
    assert "Traceback" not in log


def check_bad_parameters_are_refused(api: Api) -> None:
    for deployment, name, value, why in (
        ("build", "sources", [], "non-empty"),
        ("build", "engine", "horses", "'horses' is not one of"),
        ("publish", "number", 0, "0 is less than the minimum of 1"),
        ("train", "recipe", 5, "5 is not"),
    ):
        refused = api.start(deployment, **{name: value})
        assert refused.status_code in (409, 422), (deployment, name, refused.text)
        assert why in refused.text or name in refused.text, refused.text


def check_nothing_goes_out_before_a_yes(api: Api, place: operators.Place) -> None:
    run = api.suspended("publish")
    assert run["parameters"]["number"] == 1
    question = api.question(run)
    assert "| Pairs with media | 36 |" in question
    assert "| Dawn | 12 |" in question
    assert not place.shelf.exists()
    api.answer(run, yes=True)


def check_one_training_for_an_event_however_often(api: Api, place: operators.Place) -> None:
    payload = until(lambda: next(iter(api.told(PUBLISHED)), None), "the event of a publication")
    resource = {"prefect.resource.id": f"artune.dataset.{place.shelf}"}
    for _ in range(2):
        api.emit(PUBLISHED, resource, payload)
    api.emit(PUBLISHED, {"prefect.resource.id": "artune.dataset.else/where"}, payload | {"repo": "else/where"})

    def told_of(runs: list[Run]) -> list[Run]:  # the schedule may have looked before anything was published
        return [run for run in runs if run["parameters"].get("revision") and run["state"]["type"] in TERMINAL]

    runs = told_of(api.awaited("train", lambda runs: len(told_of(runs)) >= 3))
    assert sorted(run["state"]["name"] for run in runs) == ["Already trained"] * 2 + ["Completed"], states(runs)
    assert {(run["parameters"]["data"], run["parameters"]["revision"]) for run in runs} == {(str(place.shelf), "v1")}
    (folder,) = (place.root / "runs").iterdir()
    assert len(json.loads((folder / "run.json").read_text())["sessions"]) == 1
    (evaluation,) = api.ended("evaluate")
    request = evaluation["parameters"]["request"]
    assert (request["run"], request["data"]) == (str(folder), str(place.shelf / "v1"))
    assert "there is no such model on the Hub" in evaluation["state"]["message"]


def test_what_was_killed_goes_on_and_a_no_publishes_nothing(place, monkeypatch):
    monkeypatch.chdir(place.root)
    port = free_port()
    env = environment(place.root / "prefect", PREFECT_SERVER_API_PORT=str(port))
    api_url = f"http://127.0.0.1:{port}/api"
    with artune_serve(place.words("--publish", "./shelf"), env, place.root / "first.log") as process:
        api = Api(api_url, operators.DATA_SET)
        assert api.start("build").is_success
        api.awaited("build", lambda runs: any(run["state"]["name"] == "Running" for run in runs))
        family = below(process.pid)
        assert len(family) >= 3  # the server, what runs flows, and the run
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: gone(family), "the end of what it started")
        assert not (place.home / "releases" / "1.json").exists()
        assert not answers(api_url)
    with artune_serve(place.words("--publish", "./shelf"), env, place.root / "again.log") as process:
        assert re.search("Begins again: .*build", (place.root / "again.log").read_text())
        (build,) = api.ended("build")
        assert (build["state"]["name"], build["run_count"]) == ("Completed", 2)
        run = api.suspended("publish")
        kill_server(process.pid, api_url)
        until(lambda: True if answers(api_url) else None, "a new server")
        api.answer(run, yes=False)
        (ended,) = api.ended("publish")
        assert (ended["state"]["type"], ended["state"]["name"]) == ("CANCELLED", "Not wanted")
        assert not place.shelf.exists()
        family = below(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        until(lambda: gone(family), "the end of what it started")


def kill_server(served_by: int, api_url: str) -> None:
    for pid in below(served_by):
        if b"server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: gone({pid}), "the end of the server")
    assert not answers(api_url)
