"""The commands that look back, and gc, as a person meets them."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import rules
from curation import building
from curation.batches import in_threads
from curation.publishing import records
from curation.publishing.records import Record
from curation.store import Home
from flows import collecting, history, terminal
from rules.errors import ConfigurationError
from tests.curation.collection import write_collection
from tests.curation.tables import write_rules


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Home:
    """Give two releases of a tiny collection."""
    root = tmp_path_factory.mktemp("built")
    home, rule_set = Home(root / "home"), write_rules(root / "tiny")
    hostile = {"file": "odd [red]name.bmp", "title": "x[/] [link=file:///etc]", "genre": "Landscape"}
    folder = write_collection(root / "media", range(5), range(5), [hostile])
    shutil.copy(folder / "picture0.bmp", folder / hostile["file"])
    for seed in (1, 2):
        shutil.rmtree(rule_set)
        write_rules(rule_set, seed=seed)
        building.build(home, [f"folder:{folder}"], rules.load(str(rule_set)), in_threads(2), may_drop=True)
    terminal.remember_build(home, [f"folder:{folder}"], str(rule_set))
    return home


@pytest.fixture
def home(built, tmp_path) -> Home:
    return Home(shutil.copytree(built.root, tmp_path / "home"))


def artune(home: Home | Path, *arguments: str, said: str | None = None) -> Result:
    root = home.root if isinstance(home, Home) else home
    return CliRunner().invoke(history.app, [*arguments, "--home", str(root)], input=said, env={"COLUMNS": "100"})


def refusal(result: Result) -> str:
    assert isinstance(result.exception, ConfigurationError)
    return str(result.exception)


def test_releases_lists_them_and_what_is_not_finished(home):
    (home.root / "releases" / "3.claim").write_text("0" * 64)
    shown = artune(home, "releases").output
    assert "first" in shown
    assert "rules" in shown
    assert "Release 3 is claimed and not finished" in shown


def test_releases_as_json(home):
    found = json.loads(artune(home, "releases", "--json").output)
    assert [(row["release"], row["parent"], row["seed"]) for row in found["releases"]] == [(1, None, 1), (2, 1, 2)]
    assert found["unfinished"] == []


HUB = Record("me/art", "https://huggingface.co", "tiny", 2, "v2", "0" * 40)


def test_releases_tells_where_they_were_published(home):
    assert "Published" not in artune(home, "releases").output
    for record in (HUB, replace(HUB, where="/mnt/[b]art", endpoint=None, commit=None, verified=True)):
        records.write(home, record)
    shown = artune(home, "releases").output
    assert "me/art (not verified)" in shown
    assert "/mnt/[b]art" in shown
    found = json.loads(artune(home, "releases", "--json").output)["releases"]
    assert [[(one["where"], one["verified"]) for one in row["published"]] for row in found] == [
        [],
        [("/mnt/[b]art", True), ("me/art", False)],
    ]


def test_remove_tells_who_has_it_elsewhere_and_how_a_person_deletes_it_there(home):
    places = (HUB, replace(HUB, endpoint="https://hub.example"), replace(HUB, where="/mnt/[b]art", endpoint=None))
    for record in places:
        records.write(home, record)
    (item, *_) = pq.read_table(home.release(2) / "metadata")["music_source_id"].to_pylist()
    arguments = ["remove", f"folder:{item}", "--because", "asked", "--home", str(home.root)]
    lines = CliRunner().invoke(collecting.app, arguments).output.splitlines()
    assert re.fullmatch(
        r"me/art v2 was published with it, in \d pairs?\.", next(x for x in lines if x.startswith("me/"))
    )
    delete = "hf repos tag delete me/art v2 --type dataset"
    assert f"Nothing deletes it there but you: {delete}" in lines
    assert f"Nothing deletes it there but you: HF_ENDPOINT=https://hub.example {delete}" in lines
    assert "Nothing deletes it there but you: remove the folder v2 of /mnt/[b]art." in lines
    squash = "HfApi().super_squash_history('me/art', repo_type='dataset')"
    assert sum(line.endswith(squash) for line in lines) == 2
    assert lines[-1].startswith("Publish that release at these places too")


def test_releases_of_nothing(tmp_path):
    assert "has no release yet" in artune(tmp_path, "releases").output


def test_verify_ends_well_and_with_1_where_something_is_broken(home):
    assert artune(home, "verify").exit_code == 0
    (home.release(2) / "README.md").write_text("mine")
    result = artune(home, "verify")
    assert result.exit_code == 1
    assert "releases/2/README.md" in result.output
    assert [row["what"] for row in json.loads(artune(home, "verify", "--json").stdout)] == ["changed"]
    assert artune(home, "verify", "--release", "1").exit_code == 0


def test_gc_tells_and_removes_nothing_on_a_dry_run(home):
    shown = artune(home, "gc", "--keep", "1", "--dry-run").output
    assert "releases 1" in shown
    assert home.release(1).exists()


def test_gc_needs_a_yes_where_nobody_can_be_asked(home):
    assert "gc: expected --yes" in refusal(artune(home, "gc", "--keep", "1"))
    assert home.release(1).exists()


@pytest.mark.parametrize(("said", "stays"), [("n\n", True), ("y\n", False)])
def test_gc_asks_at_a_terminal(home, monkeypatch, said, stays):
    monkeypatch.setattr(history, "is_terminal", lambda: True)
    artune(home, "gc", "--keep", "1", said=said)
    assert home.release(1).exists() == stays


def test_gc_with_yes_removes_and_then_finds_nothing_more(home):
    assert "MB are free again" in artune(home, "gc", "--keep", "1", "--yes").output
    assert not home.release(1).exists()
    assert "Nothing to remove." in artune(home, "gc", "--keep", "1", "--yes").output


def test_gc_keeps_at_least_one(home):
    assert artune(home, "gc", "--keep", "0", "--yes").exit_code == 2


def test_gc_is_refused_while_a_build_runs(home):
    claim = home.root / "releases" / "3.claim"
    claim.write_text("0" * 64)
    with home.locked(claim):
        assert "a build is running" in refusal(artune(home, "gc", "--keep", "1", "--yes"))
    assert home.release(1).exists()


def test_gc_of_nothing(tmp_path):
    assert "has no release yet" in refusal(artune(tmp_path, "gc", "--keep", "1", "--yes"))
    assert list(tmp_path.iterdir()) == []


def test_explain_shows_every_rule_and_the_fate_in_releases(home):
    shown = artune(home, "explain", "picture1.bmp").output
    for words in ("folder:picture1.bmp", "Tags", "Rules of tiny", "Old views", "genre Portrait (source)", "Releases"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_explain_shows_names_from_outside_as_they_are(home):
    shown = artune(home, "explain", "odd [red]name.bmp").output
    assert "folder:odd [red]name.bmp" in shown
    assert "x[/] [link=file:///etc]" in shown


def test_explain_as_json(home):
    (found,) = json.loads(artune(home, "explain", "picture1.bmp", "--json").output)
    assert found["name"] == "folder:picture1.bmp"
    assert [fate["release"] for fate in found["fates"]] == [1, 2]
    assert {trial["label"] for trial in found["trials"]} == {"Old views", "Faces", "Bills", "Grids"}


def test_explain_of_nothing_known(home):
    assert "near it: folder:picture1.bmp" in refusal(artune(home, "explain", "pictur1.bmp"))
