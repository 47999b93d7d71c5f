"""The README's page "Train": what it shows is what the commands say, and its recipes are those that there are."""

import re
import shlex

import pytest

from flows.training import following, outcome
from tests.test_readme import section
from training import recipe

PAGE = section("Train")
COMMANDS = re.findall(r"^artune train (?!--)[^#\n]*", PAGE, re.MULTILINE)


def test_what_a_training_says_at_its_end_is_shown():
    folder = "runs/tiny"
    shown = re.search(
        r"Best: epoch (\d), validation loss (.*)\.\nLoss: (.*) in the first epoch, (.*) in the last\.", PAGE
    )
    best, validation, first, last = map(float, shown.groups())
    done = {
        "folder": folder,
        "epochs_done": 6,
        "epochs": 6,
        "best": {"epoch": int(best), "validation_loss": validation},
        "losses": [{"epoch": 1, "train": first}, {"epoch": 6, "train": last}],
        "skipped": 0,
        "samples": [f"{folder}/samples/epoch-006.png"],
    }
    assert f"```\n{chr(10).join((*outcome(done), *following(done)))}\n```" in PAGE


def numbers(one: recipe.Recipe) -> tuple[int, int, str]:
    memory = re.search(r"one GPU of (\d+ GB)$", one.about)
    return one.epochs, one.batch_size * one.accumulation, memory[1] if memory else "none"


def test_every_recipe_is_in_the_table_with_its_numbers():
    rows = re.findall(r"^\| (`.*?`) \| .* \| ([\d, ]+) \| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    told = {}
    for names, epochs, items, memory in rows:
        for name, count in zip(re.findall(r"`([\w-]+)`", names), epochs.split(", "), strict=True):
            told[name] = (int(count), int(items), memory)
    assert told == {name: numbers(recipe.load(name)) for name in recipe.names()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_has_a_recipe_and_values_that_are_read(command, tmp_path):
    words = shlex.split(command)
    (tmp_path / "my-recipe.yaml").write_text((recipe.FOLDER / "tiny.yaml").read_text("utf-8"), "utf-8")
    name = str(tmp_path / words[2]) if words[2].endswith(".yaml") else words[2]
    changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert recipe.load(name, changes).epochs


def test_another_encoder_is_named_as_it_is_shown():
    (change,) = re.findall(r"`--set '(encoder=.*?)'`", PAGE, re.DOTALL)
    found = recipe.load("model-1", [" ".join(change.split())])
    assert (found.encoder.name, found.encoder.blocks) == ("clap", (1,))
    assert len(COMMANDS) >= 4
