"""A folder of made media with rules for it, and one Prefect server for all tests of flows."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows import settings, terminal
from tests.curation.tables import FEATURES, GENRES, SUB_GENRES, write_rules
from tests.media import encode, tune
from tests.pictures import photo, saved


@dataclass(frozen=True)
class Collection:
    """What a curator has: a folder and rules."""

    folder: Path
    rules: Path

    @property
    def source(self) -> str:
        return f"folder:{self.folder}"


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as on a terminal that breaks no line."""
    monkeypatch.setattr(terminal.console, "_width", 200)


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Give six pictures and six recordings, three of each for one label, and one file that is neither."""
    folder = tmp_path_factory.mktemp("collection") / "media"
    folder.mkdir()
    rows = []
    for number in range(6):
        genre, sub_genre, feature = (
            (GENRES[1], SUB_GENRES[2], FEATURES[1]) if number < 3 else (GENRES[3], "Hum", FEATURES[2])
        )
        saved(folder / f"picture{number}.jpg", photo(90, 70, number))
        rows.append({"file": f"picture{number}.jpg", "genre": genre})
        encode(folder / f"music{number}.wav", tune(13.0, number))
        rows.append({"file": f"music{number}.wav", "music_genre": sub_genre, "music_features": feature})
    (folder / "page.jpg").write_text("<html>not a picture</html>")
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "genre", "music_genre", "music_features"])
        writer.writeheader()
        writer.writerows(rows)
    return Collection(folder, write_rules(folder.parent / "tiny"))


MAX_READS = 1_000


@dataclass(frozen=True)
class Seen:
    """What an operator sees of a flow run: its name, the state of each task, the data of each artifact."""

    name: str
    tasks: dict[str, str]
    artifacts: dict[str, object]


def last_run(*awaited: str) -> Seen:
    """Read the last flow run until the server has these tasks and the end of all: it learns of tasks by events."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        run = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]
        for _ in range(MAX_READS):
            found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
            tasks = {task.name: task.state_type.value if task.state_type else "" for task in found}
            are_final = all(task.state and task.state.is_final() for task in found)
            if are_final and all(any(name.startswith(begin) for name in tasks) for begin in awaited):
                break
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        artifacts = {artifact.key or "": artifact.data for artifact in client.read_artifacts(artifact_filter=of_run)}
    return Seen(run.name, tasks, artifacts)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    settings.quiet_prefect()
    from prefect.logging.configuration import setup_logging
    from prefect.testing.utilities import prefect_test_harness

    # The first time, it closes the handlers of others, and absl's (mlcroissant imports it) closes a stream that is not
    # sys.stderr just then: pytest's own, if a command did this that CliRunner has given another one.
    setup_logging()
    with prefect_test_harness(server_startup_timeout=180):
        yield


def payloads(event: str, resource: str) -> list[dict[str, Any]]:
    """Read what events of a resource carry; asked again and again, for they reach the server in their own time."""
    from prefect.client.orchestration import get_client
    from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

    wanted = EventFilter(event=EventNameFilter(name=[event]), any_resource=EventAnyResourceFilter(id=[resource]))
    with get_client(sync_client=True) as client:
        for _ in range(MAX_READS):
            found = client.read_events(wanted, limit=50).events
            if found:
                break
    return [event.payload for event in found]
