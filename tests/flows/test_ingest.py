"""The flows `ingest` and `retry` on a real Prefect server: what they fetch, and what a person sees of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from curation.errors import ItemError
from curation.sources import Need
from curation.store import Home
from flows import terminal
from flows.cli import app
from rules.errors import ConfigurationError
from tests.curation.ingesting import FACES, SITE, VIEWS, rows_of, some, toy_source
from tests.curation.tables import write_rules
from tests.flows.conftest import last_run

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("ARTUNE_CONTACT", "tester@example.org")
    with toy_source() as found:
        found.WORLD.lists = {"faces": some("a", "b"), "views {}": some("b", "c")}
        yield found.WORLD


@pytest.fixture
def rule_set(tmp_path: Path) -> Path:
    folder = write_rules(tmp_path / "tiny")
    entries = [{"tags": tags, "lists": [{"search": text}]} for tags, text in ((FACES, "faces"), (VIEWS, "views {}"))]
    (folder / "collect.yaml").write_text(yaml.safe_dump({"collect": {"toy": entries}}), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path, rule_set: Path) -> Home:
    place = Home(tmp_path / "home")
    place.mark()
    terminal.remember_build(place, ["toy"], str(rule_set))
    return place


def artune(home: Home, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)])


def refusal(result: Result) -> str:
    assert isinstance(result.exception, ConfigurationError), result.output
    return str(result.exception)


def row(output: str, *begin: str) -> list[str]:
    """Return the cells of the table row that begins so."""
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line)
    return next(cells for cells in rows if tuple(cells[: len(begin)]) == begin)


def test_an_ingest_fetches_what_the_rules_ask_for_and_tells_what_came_of_it(toy, home):
    result = artune(home, "ingest", "toy")
    assert result.exit_code == 0, result.output
    assert rows_of(home, "source_id", "reason") == [("a", None), ("b", None), ("c", None)]
    assert "Lists of tiny: toy 2." in result.output
    assert row(result.output, "toy", "2")[2:4] == ["3", "3"]
    assert row(result.output, "toy", "Faces")[2:4] == ["2", "2"]
    assert row(result.output, "Old views", "4")  # of 6 pictures two are there
    assert f"artune build --source toy --rules {home.root.parent / 'tiny'} --home {home.root}" in result.output


def test_a_second_ingest_fetches_nothing(toy, home):
    artune(home, "ingest", "toy")
    asked = len(toy.asked)
    result = artune(home, "ingest", "toy")
    assert (result.exit_code, len(toy.asked)) == (0, asked)
    assert row(result.output, "toy", "2")[2:4] == ["3", "0"]


def test_an_operator_sees_lists_batches_and_counts(toy, home, rule_set):
    toy.media = lambda address: ItemError("gone", "x | y") if address.endswith("a") else address.encode()
    artune(home, "ingest", "toy", "--rules", rule_set)
    lists, batches = (
        ("list toy search: faces", "list toy search: views {}"),
        [f"fetch toy 1 items from {n}" for n in "abc"],
    )
    seen = last_run(*lists, *batches)
    assert seen.name == f"ingest toy with {rule_set}"
    assert seen.tasks == dict.fromkeys([*lists, *batches], "COMPLETED")
    assert seen.artifacts["list-toy"] == seen.artifacts["fetch-toy"] == 100.0
    assert "| toy | 2 | 3 | 2 | 0.0 | gone 1 | 0 |" in str(seen.artifacts["ingest"])


def test_a_label_asks_only_for_its_lists(toy, home):
    result = artune(home, "ingest", "toy", "--label", "Old views")
    assert toy.listed == ["b", "c"]
    assert "Only for Old views." in result.output


def test_a_limit_and_a_quota_leave_the_rest_waiting(toy, home):
    assert row(artune(home, "ingest", "toy", "--limit", "1").output, "toy", "2")[3] == "1"
    result = artune(home, "ingest", "toy", "--quota", "1B")
    assert result.exit_code == 0
    assert "Stopped early: the quota of 1 bytes is reached" in result.output
    assert row(result.output, "toy", "2")[3] == "0"


def test_a_broken_list_is_told_with_its_reason_and_the_others_go_on(toy, home):
    toy.lists["faces"] = [*some("a"), ItemError("rate_limited", "[red]later[/]")]
    result = artune(home, "ingest", "toy")
    assert result.exit_code == 0
    told = row(result.output, "toy", "search: faces")
    assert told[2:] == ["rate_limited: [red]later[/]", "later, by the same command"]
    assert len(rows_of(home)) == 3


def test_an_exit_code_of_its_own_tells_that_everything_failed(toy, home):
    toy.lists = {name: [ItemError("gone", "")] for name in toy.lists}
    assert artune(home, "ingest", "toy").exit_code == 3


def test_what_was_parked_is_tried_again(toy, home):
    toy.media = lambda address: ItemError("gone" if address.endswith("a") else "timed_out", "")
    result = artune(home, "ingest", "toy")
    assert result.exit_code == 3
    assert "artune retry" in result.output
    toy.media, toy.asked = str.encode, []
    result = artune(home, "retry")
    assert (result.exit_code, sorted(toy.asked)) == (0, [f"{SITE}b", f"{SITE}c"])
    result = artune(home, "retry", "toy", "--reason", "gone")
    assert toy.asked[2:] == [f"{SITE}a"]
    assert "Nothing to try again." in artune(home, "retry").output


def test_a_wrong_reason_is_refused_without_a_traceback(toy, home):
    artune(home, "ingest", "toy")
    assert "lost: expected of address_refused" in refusal(artune(home, "retry", "--reason", "lost"))


def test_what_was_removed_is_never_asked_for_again(toy, home):
    artune(home, "ingest", "toy")
    toy.asked.clear()
    result = artune(home, "remove", "toy:a", "--because", "mail of 3 [b]March[/]", "--purge")
    assert result.exit_code == 0, result.output
    assert "toy:a is refused from now on: mail of 3 [b]March[/]" in result.output
    assert "Deleted: 1 files" in result.output
    toy.lists["faces"] = some("a", "b", "d")
    artune(home, "ingest", "toy")
    assert toy.asked == [f"{SITE}d"]


def test_nothing_is_asked_while_something_is_missing(toy, home, monkeypatch):
    toy.needed = [
        Need("a key", ready=False, advice="export TOY_KEY=..."),
        Need("a helper", ready=False, required=False),
    ]
    assert refusal(artune(home, "ingest", "toy")) == "toy needs a key: export TOY_KEY=..."
    monkeypatch.setenv("ARTUNE_CONTACT", "nobody")
    assert "ARTUNE_CONTACT is not usable" in refusal(artune(home, "ingest", "toy"))
    assert toy.listed == []


def test_lists_that_cannot_be_are_refused_all_at_once(toy, home, rule_set):
    entries = [{"tags": FACES, "lists": [{"board": "x"}, {"wall": "y"}]}]
    (rule_set / "collect.yaml").write_text(yaml.safe_dump({"collect": {"toy": entries}}))
    told = refusal(artune(home, "ingest", "toy"))
    assert re.findall(r"collect.yaml: toy: (\w+): .: expected search: TEXT", told) == ["board", "wall"]


@pytest.mark.parametrize("quota", ["20potatoes", "0GB", "-1GB", "GB", "1,5GB", ""])
def test_a_quota_that_is_no_size_is_refused(toy, home, quota):
    told = refusal(artune(home, "ingest", "toy", "--quota", quota))
    assert told == f"--quota {quota!r}: expected a size such as 500MB, 20GB or 1.5TiB"


def test_retry_without_an_ingest_says_so(toy, home):
    assert "nothing was ingested yet" in refusal(artune(home, "retry"))


def test_sources_tells_what_each_needs(toy, home, monkeypatch):
    toy.needed = [Need("a key", ready=False, advice="export TOY_KEY=[...]"), Need("a program", ready=True)]
    monkeypatch.delenv("ARTUNE_CONTACT")
    result = artune(home, "sources")
    assert row(result.output, "toy")[1:4] == ["no", "2", "a key: missing; export TOY_KEY=[...]"]
    assert "ARTUNE_CONTACT is not set" in result.output
