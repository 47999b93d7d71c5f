"""What an operator does in Prefect's UI, by the same API."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.servers import until

Run = dict[str, Any]
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


class Api:
    """A Prefect server's API; deployments are called by their flows, for there is one of each."""

    def __init__(self, api_url: str, data_set: str) -> None:
        self._data_set = data_set
        self._client = httpx.Client(base_url=api_url, timeout=60)

    def post(self, path: str, **content: Any) -> Any:  # noqa: ANN401 - JSON
        """Post JSON and return what comes back."""
        found = self._sent(path, content)
        assert found.is_success, found.text
        return found.json()

    def _sent(self, path: str, content: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """Send it again where the server says that it is busy, as Prefect's own client does."""

        def answer() -> httpx.Response | None:
            found = self._client.post(path, json=content)
            return None if found.status_code == httpx.codes.SERVICE_UNAVAILABLE else found

        return until(answer, f"an answer to {path}")

    def runs(self, deployment: str) -> list[Run]:
        """Return the runs of a deployment that were not only scheduled, the oldest first."""
        wanted = {"flows": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[Run] = self.post("/flow_runs/filter", **wanted)
        return [run for run in found if run["state"]["name"] not in ("Scheduled", "Late")]

    def awaited(self, deployment: str, is_so: Callable[[list[Run]], object]) -> list[Run]:
        """Wait until the runs of a deployment are so."""

        def found() -> list[Run] | None:
            runs = self.runs(deployment)
            return runs if is_so(runs) else None

        return until(found, f"runs of {deployment}: {states(self.runs(deployment))}")

    def ended(self, deployment: str, count: int = 1) -> list[Run]:
        """Wait until so many runs of a deployment have ended."""

        def are_so(runs: list[Run]) -> bool:
            return sum(run["state"]["type"] in TERMINAL for run in runs) >= count

        return self.awaited(deployment, are_so)

    def suspended(self, deployment: str) -> Run:
        """Wait until a run of a deployment waits for a person."""
        runs = self.awaited(deployment, lambda runs: any(run["state"]["name"] == "Suspended" for run in runs))
        return next(run for run in runs if run["state"]["name"] == "Suspended")

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment."""
        found = self._client.get(f"/deployments/name/{name}/{self._data_set}")
        assert found.is_success, found.text
        return dict(found.json())

    def start(self, deployment: str, **parameters: Any) -> httpx.Response:  # noqa: ANN401 - JSON
        """Ask for a run, as the form does."""
        where = f"/deployments/{self.deployment(deployment)['id']}/create_flow_run"
        return self._sent(where, {"parameters": parameters})

    def pause(self, deployment: str) -> None:
        """Let nothing happen by schedule any more."""
        found = self._sent(f"/deployments/{self.deployment(deployment)['id']}/pause_deployment", None)
        assert found.is_success, found.text

    def question(self, run: Run) -> str:
        """Return what a person reads above the form of a suspended run."""
        keyset = run["state"]["state_details"]["run_input_keyset"]

        def found() -> str | None:  # the form is sent after the state
            read = self._client.get(f"/flow_runs/{run['id']}/input/{keyset['description']}")
            return str(read.json()) if read.is_success else None

        return until(found, "the question of a suspended run")

    def answer(self, run: Run, *, yes: bool) -> None:
        """Fill in the form."""
        told = self.post(f"/flow_runs/{run['id']}/resume", run_input={"yes": yes})
        assert told["status"] == "ACCEPT", told

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        """Tell of something, as a flow does."""
        from datetime import UTC, datetime
        from uuid import uuid4

        one = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": event,
            "resource": resource,
            "payload": payload,
        }
        found = self._sent("/events", [one])
        assert found.is_success, found.text

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the payloads of all events of a name."""
        found = self.post("/events/filter", filter={"event": {"name": [event]}}, limit=50)
        return [one["payload"] for one in found["events"]]


def states(runs: list[Run]) -> list[tuple[str, str, str | None]]:
    """Return names, states and messages of runs."""
    return [(run["name"], run["state"]["name"], run["state"]["message"]) for run in runs]
