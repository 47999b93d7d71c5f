"""The README's page "Evaluate": its commands are read, and its tables hold what there is."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation import metrics
from evaluation.metrics import Metric, _checks  # noqa: F401 - the recipe's file, elsewhere, imports it
from flows.cli import app
from flows.evaluation import EXIT_CODES
from rules.errors import ConfigurationError
from tests.test_readme import block, section

PAGE = section("Evaluate")
COMMANDS = [line.partition("   #")[0].strip() for line in re.findall(r"^artune evaluate .*", PAGE, re.MULTILINE)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_asks_for_what_it_says(command, monkeypatch):
    from flows import evaluate

    asked = []

    def run(request: evaluate.Request) -> None:
        asked.append(request)
        raise ConfigurationError("that is all")

    monkeypatch.setattr(evaluate, "run", run)
    words = shlex.split(command)
    result = CliRunner().invoke(app, words[1:])
    assert str(result.exception) == "that is all", result.output
    (request,) = asked
    assert request.data == words[words.index("--data") + 1]
    assert (request.run, request.images) == (
        words[2] if not words[2].startswith("--") else None,
        Path("DIR") if "--images" in words else None,
    )
    assert len(COMMANDS) == 4


def test_every_measure_is_in_the_table_with_its_direction_and_its_chance():
    told = {}
    for names, better, chance in re.findall(r"^\| (`.*?`) \| .* \| (\w+) \| (.*?) ?\|$", PAGE, re.MULTILINE):
        told |= {name: (better, chance) for name in re.findall(r"`(\w+)`", names)}
    found = {}
    for metric in map(metrics.get, metrics.names()):
        found |= {name: (one.better, by_chance(metric, one.chance)) for name, one in metric.MEASURES.items()}
    assert told == found


def by_chance(metric: Metric, chance: float | None) -> str:
    if chance is not None:
        return f"{chance:g}"
    return "by shuffling" if metric.SHUFFLED else ""


def test_the_exit_codes_are_those_of_the_command():
    told = {int(code): text for code, text in re.findall(r"^\| (\d) \| (.*) \|$", PAGE, re.MULTILINE)}
    assert told.pop(EXIT_CODES["better"]) == "better"
    assert told.pop(EXIT_CODES["worse"]) == "worse"
    assert told.pop(EXIT_CODES["cannot tell"]) == "neither, as far as can be told"
    assert told.keys() == {2}
    assert f"test $? -eq {EXIT_CODES['cannot tell']}`" in PAGE


def test_the_trigger_takes_what_a_training_tells_and_gives_what_an_evaluation_asks_for(monkeypatch):
    from prefect.events import DeploymentEventTrigger

    from evaluation.request import Request
    from flows import events, train

    told = {}

    def tell(event: str, kind: str, name: str, payload: dict[str, object], labels: dict[str, str]) -> None:
        told.update(payload, event=event)

    monkeypatch.setattr(events, "tell", tell)
    keys = (
        "folder",
        "recipe",
        "recipe_digest",
        "where",
        "commit",
        "data",
        "best",
        "model_sha256",
        "trained_parameters",
    )
    train._tell(dict.fromkeys(keys) | {"data": {}})
    trigger = eval(
        re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {"DeploymentEventTrigger": DeploymentEventTrigger}
    )
    assert trigger.expect == {told.pop("event")}
    asked = trigger.parameters["request"]
    assert asked.keys() <= {field.name for field in fields(Request)}
    assert {"run", "where"} == set(re.findall(r"event\.payload\.(\w+)", str(asked))) <= told.keys()


def test_the_recipe_for_a_measure_works(monkeypatch, tmp_path):
    (tmp_path / "cosine.py").write_text(block("How to add a measure or a network", "python"))
    monkeypatch.setattr("evaluation.metrics.__path__", [str(tmp_path)])
    (name,) = metrics.names()
    metric = metrics.get(name)
    assert set(Metric.__annotations__) <= set(dir(metric))
    generated, music = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 0.0], [1.0, 0.0]])
    weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert metric.score(generated, music, weights)["cosine"].tolist() == [0.5, 1.0]
    orders = np.array([[0, 1], [0, 0]])
    assert metric.shuffled(generated, music, orders)["cosine"].tolist() == [0.5, 0.5]
    with pytest.raises(ConfigurationError, match="generated"):
        metric.score(generated * [[0], [1]], music, weights)
