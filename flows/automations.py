"""Prefect automations that post to a webhook what an operator should know: kept by the server, not by this process."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from prefect.automations import EventTrigger
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from flows import connection, settings
from flows.events import REJECTIONS_EXCEEDED

BLOCK = "artune-webhook"
FLOWS = ["ingest", "retry", "build", "publish", "rehydrate", "train", "evaluate"]
FAILED, WAITS, REJECTED = "artune: a run failed", "artune: a run waits for a yes", "artune: too many rejections"
NAMES = (FAILED, WAITS, REJECTED)

# By these the server fills in a text; tojson, because names and messages hold text from outside.
_RUN = {
    "flow": "{{ flow.name|default('', true)|tojson }}",
    "run": "{{ flow_run.name|default('', true)|tojson }}",
    "state": "{{ flow_run.state.name|default('', true)|tojson }}",
    "message": "{{ flow_run.state.message|default('', true)|tojson }}",
}
# What follows what happened, in the sentence that chats show: of a run, or of rejections in one.
_WORDS = {
    True: ["flow_run.name", "' ('", "flow_run.state.name", "'). '", "flow_run.state.message|default('', true)"],
    False: [
        "flow_run.name",
        "': '",
        "event.payload.stage",
        "', '",
        "event.payload.rejected",
        "' of '",
        "event.payload.tried",
        "'.'",
    ],
}


def arrange() -> str | None:
    """Make the server's automations those that ARTUNE_WEBHOOK asks for; the same call again changes nothing.

    Returns:
        a sentence for the operator; None if there is nothing to say.

    Raises:
        ConfigurationError: ARTUNE_WEBHOOK cannot be used.
    """
    address = settings.webhook()
    with get_client(sync_client=True) as client:
        known = {name: _known(client, name) for name in NAMES}
        if address is None:
            # Another machine may serve other flows of the same server: what it arranged is not this one's to remove.
            there = sum(map(len, known.values()))
            return f"ARTUNE_WEBHOOK is not set: {there} automations of before stay as they are." if there else None
        if not address:
            return _removed(client, known)
        block = _saved(address)
        for wanted in _wanted(block):
            _arrange(client, wanted, known[wanted.name])
    return "Failures, runs that wait for a yes, and too many rejections are posted to ARTUNE_WEBHOOK by the server."


def _known(client: SyncPrefectClient, name: str) -> list[Any]:
    found = client.read_automations_by_name(name)
    return list(found)


def _removed(client: SyncPrefectClient, known: Mapping[str, list[Any]]) -> str:
    for found in known.values():
        for one in found:
            client.delete_automation(one.id)
    with suppress(ObjectNotFound):
        block = client.read_block_document_by_name(BLOCK, Webhook.get_block_type_slug())
        client.delete_block_document(block.id)
    return "ARTUNE_WEBHOOK is empty: nothing is posted any more."


def _saved(address: str) -> Any:  # noqa: ANN401 - the id of a block, as Prefect gives it
    headers = SecretDict({"Content-Type": "application/json"})
    return Webhook(url=SecretStr(address), headers=headers).save(BLOCK, overwrite=True)


def _wanted(block: Any) -> list[AutomationCore]:  # noqa: ANN401
    """Return the automations as they should be."""
    of_run = {"prefect.resource.id": "prefect.flow-run.*"}
    of_home = {"prefect.resource.id": "artune.home.*"}
    failed = of_run | {"prefect.state-type": ["FAILED", "CRASHED"]}
    waits = of_run | {"prefect.state-type": "PAUSED"}
    return [
        _automation(FAILED, "prefect.flow-run.*", failed, block, "A run failed."),
        _automation(WAITS, "prefect.flow-run.*", waits, block, "A run waits for a yes."),
        _automation(REJECTED, REJECTIONS_EXCEEDED, of_home, block, "Too much is rejected."),
    ]


def _automation(name: str, event: str, match: dict[str, Any], block: Any, what: str) -> AutomationCore:  # noqa: ANN401
    is_run = event != REJECTIONS_EXCEEDED
    return AutomationCore(
        name=name,
        description=what,
        trigger=EventTrigger(
            expect={event},
            match=match,
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": FLOWS} if is_run else {},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=block, payload=_payload(what, is_run=is_run))],
    )


def _payload(what: str, *, is_run: bool) -> str:
    """Return the template of the JSON that is posted; `text` is what chats show."""
    # Where the UI is reached, as this machine knows it and the server need not.
    link = f"{connection.shown(str(get_current_settings().ui_url or ''))}/runs/flow-run/"
    values = _RUN | {
        "what": json.dumps(what),
        "link": f"{{{{ ({json.dumps(link)} ~ flow_run.id)|tojson }}}}",
        "text": f"{{{{ ({' ~ '.join([json.dumps(f'{what} '), *_WORDS[is_run], json.dumps(f' {link}')])} ~ flow_run.id)"
        "|replace('<', '‹')|replace('>', '›')|tojson }}",  # no chat shall take a name for a mention or a link
    }
    if not is_run:
        values["rejections"] = "{{ event.payload|tojson }}"
    return "{" + ", ".join(f'"{name}": {template}' for name, template in values.items()) + "}"


def _arrange(client: SyncPrefectClient, wanted: AutomationCore, known: list[Any]) -> None:
    """Create an automation, or make it as it should be; whether it is on is left to the person who switched it."""
    if not known:
        client.create_automation(wanted)
        return
    first, *others = known
    client.update_automation(first.id, wanted.model_copy(update={"enabled": first.enabled}))
    for one in others:
        client.delete_automation(one.id)
