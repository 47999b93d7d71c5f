"""What is served: the deployments of one rule set, with schedules and triggers, as plain data.

`artune serve` registers them as they are; `python -m flows.deployments > flows/prefect.yaml` writes them for
`prefect deploy`.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from flows.deployed import WITH_TORCH
from flows.events import DATA_SET_LABEL, DATASET_PUBLISHED, HOME_LABEL, ITEMS_CHANGED, RELEASE_BUILT, TRAINING_FINISHED

WEEKLY = "0 3 * * 1"  # Mondays at three
TIMEZONE = "UTC"
POOL, POOL_WITH_TORCH = "artune", "artune-gpu"
ENTRYPOINTS = "flows.deployed"
DESCRIPTIONS = {
    "ingest": "Fetches from the web what the rule set asks for, by schedule.",
    "build": "Builds a release when items changed.",
    "publish": "Publishes a release when one was built and a curator says yes.",
    "train": "Trains on a revision when one was published: each once.",
    "evaluate": "Says how good a model is when it was trained.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What to serve.

    Attributes:
        rules_name: a rule set's name, or a folder with one.
        data_set: the name of this rule set.
        web: sources that an ingest asks, as they are named.
        local: other sources.
        home: the work folder; ARTUNE_HOME of each machine if None.
        cron: when to ingest, and to make up for what no event told of, or what failed after one.
        where: releases are published; nowhere if None.
        asks: a curator has to say yes before.
        recipe: to train by; nothing is trained if None.
        runs: the folder of trainings.
    """

    rules_name: str
    data_set: str
    web: Sequence[str] = ()
    local: Sequence[str] = ()
    home: str | None = None
    cron: str = WEEKLY
    where: str | None = None
    asks: bool = True
    recipe: str | None = None
    runs: str | None = None


# What prefect.yaml has: an operator writes the own places into it.
EXAMPLE = Asked(
    rules_name="museart18",
    data_set="museart18",
    web=("wikiart", "kaggle", "pinterest", "youtube"),
    where="owner/name",
    recipe="recipe.yaml",
    runs="/var/lib/artune/runs",
)


def flow_of(deployment: Mapping[str, Any]) -> str:
    """Return the name of a deployment's flow."""
    return str(deployment["entrypoint"]).removeprefix(f"{ENTRYPOINTS}.")


def whole_name(deployment: Mapping[str, Any]) -> str:
    """Return a deployment's name as Prefect's commands and API take it: FLOW/NAME."""
    return f"{flow_of(deployment)}/{deployment['name']}"


def deployments(asked: Asked) -> list[dict[str, Any]]:
    """Return the deployments in the words of Prefect's YAML."""
    found = [_ingest(asked)] if asked.web else []
    found.append(_build(asked))
    if asked.where is not None:
        found.append(_publish(asked, asked.where))
        if asked.recipe is not None:
            found += [_train(asked, asked.where, asked.recipe), _evaluate(asked)]
    return found


def _ingest(asked: Asked) -> dict[str, Any]:
    parameters = {"home": asked.home, "named": list(asked.web), "rules_name": asked.rules_name}
    return _deployment(asked, "ingest", parameters, [asked.cron], [])


def _build(asked: Asked) -> dict[str, Any]:
    parameters = {
        "home": asked.home,
        "sources": [*asked.web, *asked.local],
        "rules_name": asked.rules_name,
        "ask": True,
    }
    # Nobody tells of a change in a local folder or in rules, and a build may have failed; it is cheap without news.
    triggers = [_trigger(ITEMS_CHANGED, f"artune.home.{asked.data_set}", {}, _home_label(asked))] if asked.web else []
    return _deployment(asked, "build", parameters, [asked.cron], triggers)


def _publish(asked: Asked, where: str) -> dict[str, Any]:
    parameters = {"home": asked.home, "where": where, "ask": asked.asks, "data_set": asked.data_set}
    number = {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ event.payload.release }}"}}
    trigger = _trigger(RELEASE_BUILT, f"artune.release.{asked.data_set}", {"number": number}, _home_label(asked))
    # Without a number it is the last one, and nothing to do if it was published or refused.
    return _deployment(asked, "publish", parameters, [asked.cron], [trigger])


def _train(asked: Asked, where: str, recipe: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {"recipe": recipe, "data": where}
    if asked.runs is not None:
        parameters["runs"] = asked.runs
    revision = {"data": "{{ event.payload.repo }}", "revision": "{{ event.payload.revision }}"}
    trigger = _trigger(DATASET_PUBLISHED, f"artune.dataset.{where}", revision, {})
    # Without a revision it is the newest one, and nothing to do if that was trained.
    return _deployment(asked, "train", parameters, [asked.cron], [trigger])


def _evaluate(asked: Asked) -> dict[str, Any]:
    request = {"request": {"run": "{{ event.payload.run }}", "data": "{{ event.payload.where }}"}}
    runs = f"artune.run.{asked.runs}/*" if asked.runs else "artune.run.*"
    trigger = _trigger(TRAINING_FINISHED, runs, request, {DATA_SET_LABEL: asked.data_set})
    # Without a schedule: that of trainings tells again of each that was not told of.
    return _deployment(asked, "evaluate", {}, [], [trigger])


def _trigger(event: str, resource: str, parameters: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    match = {"prefect.resource.id": resource, **labels}
    return {"type": "event", "expect": [event], "match": match, "posture": "Reactive", "parameters": parameters}


def _home_label(asked: Asked) -> dict[str, str]:
    """Return what tells this work folder from others that share the server."""
    return {} if asked.home is None else {HOME_LABEL: asked.home}


def _deployment(
    asked: Asked, flow: str, parameters: dict[str, Any], crons: Sequence[str], triggers: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": asked.data_set,  # Prefect calls it FLOW/NAME: several data sets may share a server
        "description": DESCRIPTIONS[flow],
        "entrypoint": f"{ENTRYPOINTS}.{flow}",
        "parameters": parameters,
        "schedules": [{"cron": cron, "timezone": TIMEZONE} for cron in crons],
        "triggers": triggers,
        "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
        "work_pool": {"name": POOL_WITH_TORCH if flow in WITH_TORCH else POOL},
    }


def as_yaml() -> str:
    """Return flows/prefect.yaml."""
    head = (
        "# Written by: python -m flows.deployments > flows/prefect.yaml\n"
        "# Write your own places into it: owner/name, the recipe, the folder of runs. Then:\n"
        "# prefect deploy --all --prefect-file flows/prefect.yaml\n"
    )
    # artune is installed where a worker runs; without a step, Prefect would look there for this machine's folder.
    pull = [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
    found = {"name": "artune", "pull": pull, "deployments": deployments(EXAMPLE)}
    return head + yaml.safe_dump(found, sort_keys=False, width=120)


if __name__ == "__main__":
    sys.stdout.write(as_yaml())
