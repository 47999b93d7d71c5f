"""The events by which one flow makes another one run, and how they are told."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.events import Event, Resource
from prefect.events.related import related_resources_from_run_context
from prefect.runtime import deployment

from curation.store import Home
from flows import connection

ITEMS_CHANGED = "artune.items.changed"
RELEASE_BUILT = "artune.release.built"
DATASET_PUBLISHED = "artune.dataset.published"
TRAINING_FINISHED = "artune.training.finished"
EVALUATION_FINISHED = "artune.evaluation.finished"
REJECTIONS_EXCEEDED = "artune.rejections.exceeded"

# Labels of resources: triggers match them, never what a payload holds.
HOME_LABEL = "artune.home"
DATA_SET_LABEL = "artune.data_set"
FOLDER = "told"  # of the work folder


def tell(event: str, kind: str, name: str, payload: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> None:
    """Emit an event and wait until the server has it, for this process may be killed at any moment.

    Args:
        kind: of the resource: home, release, dataset, run, evaluation.
        name: of the resource.
        payload: plain JSON.
        labels: of the resource, by which triggers tell it from others.

    Raises:
        TransientError: the server does not answer.
    """
    resource = {"prefect.resource.id": f"artune.{kind}.{name}", "prefect.resource.name": name, **(labels or {})}
    try:
        asyncio.run(_send(Event(event=event, resource=Resource(resource), payload=dict(payload))))
    except connection.errors() as error:
        raise connection.told(error) from None


async def _send(one: Event) -> None:
    """Post an event with the run and deployment that it comes from; what Prefect's own way loses, it does not tell."""
    async with get_client() as client:
        one.related = await related_resources_from_run_context(client, {one.resource.id})
        await client.request("POST", "/events", json=[one.model_dump(mode="json")])


def is_deployed() -> bool:
    """Say whether this run belongs to a deployment, so that others may wait for what it tells."""
    return deployment.id is not None


def tell_once(path: Path, state: str, told: Callable[[], None]) -> None:
    """Tell of a state; of runs of deployments only the first does, also where the one that made it was killed before.

    Args:
        path: a file that remembers the last state of which a deployment told.
        state: what tells it from all others.
        told: emits the event.
    """
    if not is_deployed():
        told()
    elif not path.exists() or path.read_text(encoding="utf-8") != state:  # a torn one is told again
        told()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(state, encoding="utf-8")


def remembered(home: Home, name: str) -> Path:
    """Return the file in the work folder that remembers of what was told."""
    return home.root / FOLDER / f"{name}.txt"
