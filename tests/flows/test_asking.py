"""Runs of deployments that wait for a curator: asked once, however often a run begins, and not again by a schedule."""

import shutil
from pathlib import Path

import pytest

from curation import releases
from curation.store import Home
from tests.flows import releases as made
from tests.flows.conftest import Collection, payloads
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.mark.parametrize("yes", [True, False])
def test_an_answer_stays_when_its_run_is_tried_again(yes):
    from tests.flows.deployed_runs import Deployed, answer, asks, retry

    deployed = Deployed(asks)
    run = deployed.new()
    assert deployed.begun(run).is_paused()
    answer(run, yes=yes)
    for _ in range(2):
        assert deployed.begun(run).name == ("Yes" if yes else "No")
        retry(run)


def test_a_question_that_nobody_answered_is_asked_again():
    from tests.flows.deployed_runs import Deployed, answer, asks, cancel, retry

    deployed = Deployed(asks)
    run = deployed.new()
    assert deployed.begun(run).is_paused()
    cancel(run)
    retry(run)
    assert deployed.begun(run).is_paused()
    answer(run, yes=True)
    assert deployed.begun(run).is_completed()


def test_a_large_drop_waits_for_a_yes(collection: Collection, tmp_path: Path):
    from flows.build import build_release
    from tests.flows.deployed_runs import Deployed, answer

    home, folder = Home(tmp_path / "home"), tmp_path / "media"
    shutil.copytree(collection.folder, folder)
    parameters = {"home": str(home.root), "sources": [f"folder:{folder}"], "rules_name": str(collection.rules)}
    deployed = Deployed(build_release)
    assert deployed.begun(deployed.new(**parameters, ask=True)).is_completed()
    for lost in ("picture0.jpg", "picture1.jpg", "music3.wav", "music4.wav"):
        (folder / lost).unlink()
    run = deployed.new(**parameters, ask=True)
    assert deployed.begun(run).is_paused()
    assert releases.numbers(home) == [1]
    answer(run, yes=True)
    assert deployed.begun(run).is_completed()
    assert releases.numbers(home) == [1, 2]
    name = f"artune.release.{releases.get(home, 2).manifest['rule_set']['name']}"
    wanted = {(str(home.root), 1), (str(home.root), 2)}
    until(lambda: {(one["home"], one["release"]) for one in payloads("artune.release.built", name)} >= wanted)


def test_a_schedule_asks_nobody_twice(tmp_path: Path):
    from flows.publish import publish_release
    from tests.flows.deployed_runs import Deployed, answer

    home, shelf = Home(tmp_path / "home"), tmp_path / "shelf"
    parameters = {"home": str(home.root), "where": str(shelf), "ask": True, "data_set": "tiny"}
    deployed = Deployed(publish_release)
    assert deployed.begun(deployed.new(**parameters)).name == "Nothing to publish"
    made.build(tmp_path)
    assert deployed.begun(deployed.new(**parameters | {"data_set": "another"})).name == "Nothing to publish"
    run = deployed.new(**parameters)
    assert deployed.begun(run).is_paused()
    for more in ({}, {"number": 1}):
        assert deployed.begun(deployed.new(**parameters, **more)).name == "Nothing to publish"  # it waits
    answer(run, yes=False)
    assert deployed.begun(run).name == "Not wanted"
    assert deployed.begun(deployed.new(**parameters)).name == "Nothing to publish"  # it was refused
    again = deployed.new(**parameters, number=1)
    assert deployed.begun(again).is_paused()
    answer(again, yes=True)
    assert deployed.begun(again).is_completed()
    assert (shelf / "v1").is_dir()
    assert deployed.begun(deployed.new(**parameters)).name == "Already published"
