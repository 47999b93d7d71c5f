"""The commands plan and diff as a user types them."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from curation import building
from curation.batches import in_threads
from curation.store import Home
from flows import terminal
from flows.plan import app
from rules import load
from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, write_rules


@dataclass(frozen=True)
class Place:
    """A work folder with two releases, of which the second has a smaller class; and rules that go back."""

    home: Path
    rules: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("plan")
    source = f"folder:{write_collection(folder / 'media', range(16), range(9))}"
    home = Home(folder / "home")
    for number, sizes in enumerate((ROOMY, (6, 5, 4, 3))):
        rules = write_rules(folder / f"rules{number}", sizes=sizes)
        building.build(home, [source], load(str(rules)), in_threads(2), may_drop=True)
    terminal.remember_build(home, [source], str(rules))
    return Place(home.root, folder / "rules0")


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))


def test_nothing_to_change_ends_with_0(place: Place) -> None:
    done = run("plan", "--home", place.home)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Nothing that release 2 holds would change: 5 pairs.")


def test_a_plan_says_what_why_and_how_much_writes_nothing_and_ends_with_2(place: Place) -> None:
    before = files_of(place.home)
    done = run("plan", "--home", place.home, "--rules", place.rules)
    assert done.exit_code == 2, done.output
    assert files_of(place.home) == before
    assert "Release 3 would have 12 pairs, 7 more than release 2: 5 kept, 7 new, 0 ended." in done.output
    assert "A publication would send 7 rows, about " in done.output
    assert "5 → 12" in done.output
    assert "3 other labels stay as they are." in done.output
    assert "left out: class full → Faces" in done.output
    assert "Faces has 5 of 5 pairs" in done.output


def test_items_lists_every_change_with_what_was_and_what_is(place: Place) -> None:
    lines = run("plan", "--home", place.home, "--rules", place.rules, "--items").output.splitlines()
    assert sum(line.startswith("gained: folder:picture") for line in lines) == 7
    assert sum(line.startswith("gained: folder:music") for line in lines) == 7
    assert any(line.startswith("  now:  train; tiny/Faces; genre Portrait") for line in lines)


def test_json_holds_everything(place: Place) -> None:
    done = run("plan", "--home", place.home, "--rules", place.rules, "--json")
    assert done.exit_code == 2
    facts = json.loads(done.output)
    assert facts["pairs"] == {"before": 5, "after": 12, "kept": 5, "new": 7, "ended": 0}
    assert len(facts["items"]) == sum(way["count"] for way in facts["transitions"]) == 14
    faces = next(label for label in facts["labels"] if label["name"] == "Faces")
    assert sum(faces["after"].values()) == 12
    assert faces["pictures"] == {"gained": 7, "lost": 0, "moved_in": 0, "moved_out": 0}
    assert facts["sending"]["total_bytes"] > 0


def test_html_is_the_only_file_that_is_written(place: Place, tmp_path: Path) -> None:
    before = files_of(place.home)
    done = run("plan", "--home", place.home, "--rules", place.rules, "--html", tmp_path / "page.html")
    assert files_of(place.home) == before
    assert list(files_of(tmp_path)) == ["page.html"]
    assert (tmp_path / "page.html").as_uri() in done.output
    assert "7 pictures gained" in (tmp_path / "page.html").read_text()


def test_diff_tells_one_release_from_another_in_both_directions(place: Place) -> None:
    forth, back = run("diff", "1", "2", "--home", place.home), run("diff", "2", "1", "--home", place.home)
    assert (forth.exit_code, back.exit_code) == (0, 0)
    assert "Release 2 has 5 pairs, 7 fewer than release 1: 5 kept, 0 new, 7 ended." in forth.output
    assert "Release 1 has 12 pairs, 7 more than release 2: 5 kept, 7 new, 0 ended." in back.output
    assert "Faces → left out: class full" in forth.output


def test_diff_as_json(place: Place) -> None:
    facts = json.loads(run("diff", "1", "2", "--home", place.home, "--json").output)
    assert (facts["from"], facts["to"], facts["pairs"]["ended"]) == (1, 2, 7)
    assert {row["kind"] for row in facts["items"]} == {"lost"}


def test_a_plan_never_loads_what_is_slow(place: Place) -> None:
    slow = ["datasets", "duckdb", "jinja2", "librosa", "prefect", "torch", "soundfile"]
    code = "import sys\nfrom flows.plan import app\napp(standalone_mode=False)\n"
    code += f"print([name for name in {slow} if name in sys.modules])"
    arguments = ["plan", "--home", str(place.home)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_without_anything_is_told_what_a_build_would_collect(place: Place, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy2(place.home / terminal.LAST_BUILD, home)
    done = run("plan", "--home", home)
    assert done.exit_code == 2
    assert "25 items are not collected yet" in done.output
