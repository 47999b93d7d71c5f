"""The commands that look, on a work folder and on its copy in a bucket: they say the same."""

import pytest
from typer.testing import CliRunner

import rules
from curation import building
from curation.batches import in_threads
from curation.history import CUT_OFF
from curation.store import Home
from flows import cli, terminal
from tests.curation.collection import write_collection
from tests.curation.ingesting import FACES, ingest_from, rules_for, some, toy_source
from tests.curation.object_storage.copied import make_old, sent
from tests.curation.tables import ROOMY, write_rules

COMMANDS = (
    ["releases"],
    ["status"],
    ["diff", "1", "2"],
    ["explain", "picture3.bmp"],
    ["explain", "music2.wav", "--json"],
    ["plan"],
    ["rules", "coverage"],
    ["gc", "--keep", "1", "--dry-run"],
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with two releases, and with what was ingested from a site."""
    root = tmp_path_factory.mktemp("commands")
    home, folder, rules_folder = Home(root / "home"), root / "media", write_rules(root / "rules", sizes=ROOMY)
    for pictures in (8, 9):
        write_collection(folder, range(pictures), range(5))
        building.build(home, [f"folder:{folder}"], rules.load(str(rules_folder)), in_threads(2))
    terminal.remember_build(home, [f"folder:{folder}"], str(rules_folder))
    with toy_source() as toy:
        toy.WORLD.lists = {"faces": some("a", "b", "c")}
        ingest_from(home, rules_for((FACES, "faces")))
    write_rules(root / "fewer")  # it has room for fewer faces
    return home


def say(home: Home, command: list[str], exit_code: int = 0) -> str:
    """Run a command and return what it says, without where the home is."""
    done = CliRunner().invoke(cli.app, [*command, "--home", str(home.root)], catch_exceptions=False)
    assert done.exit_code == exit_code, done.output
    return done.output.replace(str(home.root), "HOME")


def test_every_command_that_looks_says_the_same(made, remote_home, tmp_path, monkeypatch):
    monkeypatch.setattr(terminal.console, "_width", 400)  # where lines break depends on how long the address is
    remote = sent(made, remote_home)
    make_old(remote, CUT_OFF)
    for command in COMMANDS:
        here, there = (_plain(say(home, command), command) for home in (made, remote))
        assert here == there, command
        assert here
    pages = []
    for home in (made, remote):
        page = tmp_path / "plan.html"
        say(home, ["plan", "--rules", str(made.root.parent / "fewer"), "--html", str(page)], exit_code=2)
        pages.append(page.read_text())
    assert pages[0] == pages[1]
    assert "data:image/" in pages[0]
    assert [path for path in remote.local.rglob("*") if path.is_file()] == []


def _plain(text: str, command: list[str]) -> str:
    """Leave out what differs: no file of a release is shared there with its parent's, so each takes its own room."""
    if command[0] not in ("releases", "gc"):
        return text
    return "\n".join(line.rpartition("│")[0].rpartition("│")[0] if "│" in line else "" for line in text.splitlines())
