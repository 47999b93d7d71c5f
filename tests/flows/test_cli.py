"""The command as a user types it, in processes of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.conftest import Collection

ARTUNE = Path(sys.executable).with_name("artune")


def artune(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "160", "ARTUNE_WORKERS": "2"} | variables
    return subprocess.run([ARTUNE, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False)


@dataclass(frozen=True)
class Built:
    """A work folder after `artune build`, with what it printed."""

    home: Path
    collection: Collection
    printed: str


@pytest.fixture(scope="module")
def built(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = tmp_path_factory.mktemp("built") / "home"
    prefect_home = str(home.parent / "prefect")
    done = artune(
        "build", "--source", collection.source, "--rules", collection.rules, "--home", home, PREFECT_HOME=prefect_home
    )
    assert done.returncode == 0, done.stderr
    return Built(home, collection, done.stdout)


def test_a_build_tells_what_it_needs_and_what_it_made(built: Built) -> None:
    assert "13 new items of 13" in built.printed
    assert "GB while it is written" in built.printed
    assert f'datasets.load_dataset("{built.home / "releases" / "1"}")' in built.printed
    assert (built.home / "releases" / "1" / "report" / "index.html").as_uri() in built.printed


def test_a_second_build_does_nothing_says_so_and_never_loads_what_is_slow(built: Built) -> None:
    before = sorted(path for path in built.home.rglob("*"))
    slow = ["datasets", "librosa", "prefect", "torch"]
    code = "import sys\nfrom flows.cli import app\napp(standalone_mode=False)\n"
    code += f"print([name for name in {slow} if name in sys.modules])"
    arguments = ["build", "--home", str(built.home)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    # No source and no rules are named: the last build's are remembered.
    assert done.stdout.splitlines() == ["Nothing to do: release 1 has the same items, rules and tools.", "[]"]
    assert sorted(path for path in built.home.rglob("*")) == before


def test_status_shows_labels_and_rejections(built: Built) -> None:
    done = artune("status", "--home", built.home)
    assert done.returncode == 0, done.stderr
    assert "Release 1 (tiny, 13 items, " in done.stdout
    assert "Faces" in done.stdout
    assert "unknown_type" in done.stdout


def test_status_tells_of_a_build_that_did_not_end(built: Built) -> None:
    claim = built.home / "releases" / "2.claim"
    claim.write_text("someone\n")
    try:
        assert "Release 2 is claimed and not finished" in artune("status", "--home", built.home).stdout
    finally:
        claim.unlink()


def test_report_prints_where_it_is(built: Built) -> None:
    done = artune("report", "--home", built.home)
    assert done.stdout.strip() == (built.home / "releases" / "1" / "report" / "index.html").as_uri()


def test_sources_and_rules_are_remembered_by_their_whole_path(built: Built) -> None:
    last = json.loads((built.home / "last_build.json").read_text())
    assert last == {"sources": [built.collection.source], "rules": str(built.collection.rules)}


def test_doctor_finds_this_machine_fine(tmp_path: Path) -> None:
    done = artune("doctor", "--home", tmp_path)
    assert done.returncode == 0, done.stdout
    assert "chromaprint" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build", "--source", "folder:/no/such/folder"], "/no/such/folder"),
        (["build", "--source", "wikipedia"], "no source is called 'wikipedia'; there are folder, kaggle"),
        (["build", "--rules", "nope"], "rules 'nope': expected a folder, or one of the rule sets museart18"),
        (
            ["build", "--home", "ftp://host/x"],
            "home 'ftp://host/x': expected a folder, or an address of object storage",
        ),
        (["build", "--source", "folder:/a", "--source", "folder:/b"], "folder:/b: folder is folder:/a already"),
        (["report"], "has no release yet; `artune build` makes one"),
        (["report", "--release", "7"], "has no release 7; it has none"),
        (["report", "--release", "0"], "has no release 0; it has none"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line_with_exit_code_2(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = artune(*arguments, ARTUNE_HOME=str(tmp_path))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "the sources hold no item: expected pictures and recordings"),
        ({"a.txt": "text"}, "1 items give no pair: no picture and no recording can be used (1 unknown_type"),
    ],
)
def test_what_gives_no_pair_is_told_without_a_traceback(
    built: Built, tmp_path: Path, files: dict[str, str], told: str
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    home = tmp_path / "home"
    prefect_home = str(built.home.parent / "prefect")
    rule = str(built.collection.rules)
    done = artune("build", "--source", f"folder:{folder}", "--rules", rule, "--home", home, PREFECT_HOME=prefect_home)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (home / "releases" / "1.claim").exists()


def test_a_work_folder_below_a_file_is_refused_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = artune("build", "--home", tmp_path / "file" / "home")
    assert done.returncode == 2
    assert "work folder" in done.stderr
    assert "choose another with --home" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_ffmpeg_that_cannot_be_used_is_refused_instead_of_blaming_the_recordings(tmp_path: Path) -> None:
    done = artune("build", "--home", tmp_path / "home", IMAGEIO_FFMPEG_EXE="/bin/true")
    assert done.returncode == 2
    assert "ffmpeg with chromaprint and s16le: lacks chromaprint, s16le; " in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [[], ["build"], ["status"], ["report"], ["doctor"]])
def test_help_tells_what_each_command_does(command: list[str]) -> None:
    done = artune(*command, "--help")
    assert done.returncode == 0
    assert "--help" in done.stdout


def test_a_wrong_rule_file_is_refused_with_file_line_value_and_what_was_expected(built: Built, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for path in built.collection.rules.iterdir():
        text = path.read_text().replace("- Portrait", "- Portrat")
        (rules / path.name).write_text(text)
    done = artune("build", "--rules", rules, "--home", tmp_path / "home")
    assert done.returncode == 2
    assert "labels.yaml:" in done.stderr
    assert "Portrat: expected a genre" in done.stderr
    assert not (tmp_path / "home").exists()
