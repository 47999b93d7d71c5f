"""`artune rules` as a curator types it."""

import json
import re

import pytest
from typer.testing import CliRunner

from curation import building, collect
from curation.batches import in_threads
from curation.store import Home
from flows.rules_commands import app
from rules.errors import ConfigurationError
from rules.schema import json_schema
from tests.curation.tables import ROOMY, tiny_rules, write_rules
from tests.flows.conftest import Collection


def typed(*arguments: object) -> str:
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture(scope="module")
def home(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home in which the collection was collected, and nothing more."""
    home = Home(tmp_path_factory.mktemp("collected"))
    home.mark()
    for batch in collect.list_sources(home, [collection.source]).batches:
        collect.collect_batch(batch)
    return home


def test_check_tells_what_the_labels_ask_for(tmp_path):
    printed = typed("check", write_rules(tmp_path / "mine"))
    assert "4 labels for 18 pairs. The vocabulary has 4 genres, 4 sub-genres, 3 features." in printed
    assert "No mistake in tiny" in printed


def test_check_tells_all_mistakes_at_once_with_their_lines(tmp_path):
    folder = write_rules(tmp_path / "mine")
    labels = folder / "labels.yaml"
    labels.write_text(labels.read_text().replace("Portrait", "Portrat").replace("- Chamber", "- Chambre"))
    with pytest.raises(ConfigurationError) as refusal:
        typed("check", folder)
    lines = str(refusal.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{labels}:") and "did you mean" in line for line in lines)


def test_check_without_a_name_takes_the_rules_of_the_last_build(tmp_path):
    assert "No mistake in museart18" in typed("check", "--home", tmp_path)


def test_schema_prints_what_editors_read():
    assert typed("schema") == json_schema()


def test_coverage_before_the_first_release(home, collection):
    printed = typed("coverage", "--home", home.root, "--source", collection.source, "--rules", collection.rules)
    assert "tiny takes 6 of 6 pictures and 6 of 6 recordings" in printed
    assert "nothing is released yet" in printed
    assert "takes nothing for want of genre: one of Landscape" in printed


def test_coverage_as_json_has_everything(home, collection):
    arguments = ["--home", home.root, "--source", collection.source, "--rules", collection.rules, "--json"]
    found = json.loads(typed("coverage", *arguments))
    assert found["rule_set"] == "tiny"
    assert {use["label"]: use["fit"] for use in found["images"]["labels"]} == {
        "Old views": 0,
        "Faces": 3,
        "Bills": 0,
        "Grids": 3,
    }


def test_coverage_after_a_release_tells_who_got_what(tmp_path, collection):
    home = Home(tmp_path)
    building.build(home, [collection.source], tiny_rules(ROOMY), in_threads(2))
    printed = typed("coverage", "--home", home.root, "--source", collection.source, "--rules", collection.rules)
    assert "used: in release 1" in printed


def test_coverage_of_nothing_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no item of sample: `artune build` collects them first"):
        typed("coverage", "--home", tmp_path)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("youtube: [{lists: [{serch: fado}]}]", "youtube: serch: fado: youtube has no lists of kind 'serch': expected"),
        ("kaggle: [{lists: [{dataset: trungit}]}]", "collect.yaml: kaggle: dataset: trungit: expected"),
        ("flickr: [{lists: [{search: fado}]}]", "collect.yaml: flickr: expected a source of the web: kaggle,"),
    ],
)
def test_check_names_lists_that_no_source_can_read(written, message, tmp_path):
    folder = write_rules(tmp_path / "mine")
    (folder / "collect.yaml").write_text(f"collect:\n  {written}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        typed("check", folder)
