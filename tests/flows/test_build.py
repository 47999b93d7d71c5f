"""The flow on a real Prefect server: what it builds, and what an operator sees of it."""

import re
from pathlib import Path

import pytest

from curation import building, releases
from curation.batches import in_threads
from curation.store import Home
from rules import load
from tests.flows.conftest import Collection, last_run

pytestmark = pytest.mark.usefixtures("prefect_server")


def test_a_flow_builds_the_release_that_plain_functions_build(collection: Collection, tmp_path: Path) -> None:
    from flows import build

    flow_home, plain_home = Home(tmp_path / "flow"), Home(tmp_path / "plain")
    assert build.run(flow_home.root, [collection.source], str(collection.rules)) == 1
    plain = building.build(plain_home, [collection.source], load(str(collection.rules)), in_threads(2))
    assert plain is not None
    assert releases.get(flow_home, 1).manifest == plain.manifest
    assert build.run(flow_home.root, [collection.source], str(collection.rules)) is None


def test_an_operator_sees_stages_progress_and_the_table_of_labels(collection: Collection, tmp_path: Path) -> None:
    from flows import build

    build.run(tmp_path, [collection.source], str(collection.rules))
    expected = {"collect", "measure images", "measure recordings", "cut clips", "write shards", "report", "hash"}
    seen = last_run(*expected, "record release")
    assert seen.name == f"build {collection.source} with {collection.rules}"
    assert {re.sub(r" \d+ of \d+$", "", name) for name in seen.tasks} == {*expected, "record release"}
    assert set(seen.tasks.values()) == {"COMPLETED"}
    assert {seen.artifacts[stage.replace(" ", "-")] for stage in expected} == {100.0}
    assert "| Faces | 3 |" in str(seen.artifacts["release"])
    assert "| item | collect | unknown_type | 1 |" in str(seen.artifacts["release"])
