"""The flow on a real Prefect server: what it builds, and what an operator sees of it."""

import re
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from curation import building, releases
from curation.batches import in_threads
from curation.errors import TransientError
from curation.store import Home
from rules import load
from tests.flows.conftest import Collection

pytestmark = pytest.mark.usefixtures("prefect_server")


class Silent:
    """Stands where bars would be drawn."""

    def begin(self, stage: str, batches: int) -> None: ...

    def done(self, stage: str) -> None: ...


class Counting:
    """A batch function that fails its first calls, and counts all of them."""

    __name__ = "counting"

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.calls, self.lock = list(failures), 0, Lock()

    def __call__(self, batch: int) -> int:
        with self.lock:
            self.calls += 1
            if self.failures:
                raise self.failures.pop(0)
        return batch * batch


def in_a_flow(work: Any, batches: list[int]) -> list[int]:
    from prefect import flow

    from flows.build import in_prefect

    @flow(name="probe")
    def probe() -> list[int]:
        return in_prefect(Silent())(work, batches, "square")  # type: ignore[arg-type]

    return probe()


def test_a_flow_builds_the_release_that_plain_functions_build(collection: Collection, tmp_path: Path) -> None:
    from flows import build

    flow_home, plain_home = Home(tmp_path / "flow"), Home(tmp_path / "plain")
    assert build.run(flow_home.root, [collection.source], str(collection.rules), 2) == 1
    plain = building.build(plain_home, [collection.source], load(str(collection.rules)), in_threads(2))
    assert plain is not None
    assert releases.get(flow_home, 1).manifest == plain.manifest
    assert build.run(flow_home.root, [collection.source], str(collection.rules), 2) is None


def test_an_operator_sees_stages_progress_and_the_table_of_labels(collection: Collection, tmp_path: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    from flows import build

    build.run(tmp_path, [collection.source], str(collection.rules), 2)
    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        artifacts = {found.key: found for found in client.read_artifacts(artifact_filter=of_run)}
    assert run.name == f"build with {collection.rules}"
    stages = {re.sub(r" \d+ of \d+$", "", task.name) for task in tasks}
    expected = {"collect", "measure images", "measure recordings", "cut clips", "write shards", "report", "hash"}
    assert stages == expected
    assert {task.state_type.value for task in tasks if task.state_type} == {"COMPLETED"}
    assert {artifacts[stage.replace(" ", "-")].data for stage in expected} == {100.0}
    assert "| Faces | 3 |" in str(artifacts["release"].data)
    assert "| item | collect | unknown_type | 1 |" in str(artifacts["release"].data)


def test_results_come_in_the_order_of_the_batches_however_few_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.build.IN_FLIGHT", 3)
    assert in_a_flow(Counting(), list(range(10))) == [number * number for number in range(10)]


def test_a_busy_world_is_tried_again() -> None:
    work = Counting(TransientError("429"))
    assert in_a_flow(work, [3]) == [9]
    assert work.calls == 2


def test_a_bug_fails_at_once_with_its_own_error() -> None:
    work = Counting(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        in_a_flow(work, [3])
    assert work.calls == 1
