"""Files that do not hold what was written: told by name, made again where artune made them, never used unnoticed."""

import shutil
from pathlib import Path

import pytest

from tests.curation.collection import files_of
from tests.faults.conftest import Undisturbed
from tests.faults.machines import Machine


@pytest.fixture
def home(undisturbed: Undisturbed, tmp_path: Path) -> Path:
    return Path(shutil.copytree(undisturbed.home, tmp_path / "home"))


def first(home: Path, pattern: str) -> Path:
    return min(home.glob(pattern))


def flip(path: Path, at: float = 0.5) -> Path:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)
    return path


def flip_page(path: Path) -> Path:
    """Change a byte of the first column's data."""
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    return path


def cut_off(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-20])
    return path


def arguments(home: Path, undisturbed: Undisturbed, seed: int = 1) -> dict[str, object]:
    return {"home": str(home), "folder": str(undisturbed.folder), "seed": seed}


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"release": 1}'])
def test_a_damaged_manifest_is_told_by_whatever_reads_it(
    machine: Machine, home: Path, undisturbed: Undisturbed, content: str
):
    manifest = home / "releases" / "1.json"
    manifest.write_text(content)
    done = machine.run("build", **arguments(home, undisturbed))
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{manifest} is damaged (")
    assert "restore it from a copy" in said
    assert not (home / "releases" / "2.json").exists()


@pytest.mark.parametrize("command", ["plan", "status", "releases", "report"])
def test_a_damaged_manifest_is_told_in_one_sentence_by_commands(
    machine: Machine, home: Path, undisturbed: Undisturbed, command: str
):
    manifest = cut_off(home / "releases" / "1.json")
    rules = ["--source", f"folder:{undisturbed.folder}", "--rules", undisturbed.rules] if command == "plan" else []
    done = machine.artune(command, *rules, "--home", home)
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{manifest} is damaged (")


@pytest.mark.parametrize("content", ["", "0" * 63])
def test_a_damaged_claim_is_told_with_what_to_do(machine: Machine, home: Path, undisturbed: Undisturbed, content: str):
    claim = home / "releases" / "2.claim"
    claim.write_text(content)
    done = machine.run("build", **arguments(home, undisturbed, seed=2))
    assert done.code == 2, done.said
    assert done.said.endswith(f"to give it up, remove {claim}\n")


@pytest.mark.parametrize("name", ["rule_set.json", "assignment.parquet", "metadata/*.parquet", "data/*.parquet"])
def test_a_damaged_file_of_the_parent_never_gets_into_the_next_release(
    machine: Machine, home: Path, undisturbed: Undisturbed, name: str
):
    damaged = flip(first(home / "releases" / "1", name))
    done = machine.run("build", **arguments(home, undisturbed, seed=2))
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{damaged} is damaged (")
    assert said.endswith("`artune verify` tells how to get it again")
    assert not (home / "releases" / "2.json").exists()
    told = machine.artune("verify", "--home", home)
    assert told.code == 1
    assert damaged.relative_to(home).as_posix() in told.said


@pytest.mark.parametrize(
    ("step", "harm"), [("images", flip_page), ("images", cut_off), ("recordings", flip_page), ("links", cut_off)]
)
def test_a_damaged_measurement_is_computed_again(
    machine: Machine, home: Path, undisturbed: Undisturbed, step: str, harm
):
    expected, damaged = files_of(home / "derived"), harm(first(home, f"derived/{step}-*/*.parquet"))
    for name in ("1.json", "1.claim"):
        (home / "releases" / name).unlink()
    shutil.rmtree(home / "releases" / "1")
    done = machine.run("build", **arguments(home, undisturbed))
    assert done.code == 0, done.said
    assert f"{damaged} is damaged" in done.said
    assert "it is computed again" in done.said
    assert undisturbed.is_like(home)
    assert files_of(home / "derived") == expected


@pytest.mark.parametrize("harm", [flip_page, cut_off])
def test_a_damaged_table_of_items_is_told_and_collected_again_after_the_advice(
    machine: Machine, home: Path, undisturbed: Undisturbed, harm
):
    damaged = harm(first(home, "items/folder/*.parquet"))
    done = machine.run("build", **arguments(home, undisturbed))
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{damaged} is damaged (")
    told = machine.artune("verify", "--home", home)
    assert told.code == 1
    assert "its items are collected again" in " ".join(told.said.split())
    damaged.unlink()
    assert machine.run("build", **arguments(home, undisturbed)).code == 0
    assert undisturbed.is_like(home)


@pytest.mark.parametrize("stage", ["derived/*/*.parquet", "releases/1.work/*.arrow"])
@pytest.mark.parametrize("kind", ["bmp", "wav"])
def test_a_damaged_blob_is_told_before_it_is_measured_or_cut(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path, kind: str, stage: str
):
    home = tmp_path / "home"
    process = machine.start("build", hold=f"{home}/{stage}", **arguments(home, undisturbed))
    process.reach()
    heads = {"bmp": b"BM", "wav": b"RIFF"}
    blobs = [path for path in home.glob("blobs/sha256/*/*/*") if path.read_bytes().startswith(heads[kind])]
    for path in blobs:
        flip(path, 0.9)  # the picture and the sound are still whole for a decoder
    process.go_on()
    done = process.end()
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert any(said.startswith(f"{path} is damaged (its sha256 is") for path in blobs)
    assert not (home / "releases" / "1.json").exists()


def test_what_remembers_the_last_build_is_not_taken_for_none_where_it_is_damaged(
    machine: Machine, home: Path, undisturbed: Undisturbed
):
    """Else a scheduled build would go on with the sample."""
    (home / "last_build.json").write_text('{"sources": [')
    done = machine.artune("build", "--home", home)
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{home}/last_build.json is damaged (")
    assert "--source" in said


def test_a_damaged_listing_is_listed_anew(machine: Machine, home: Path, undisturbed: Undisturbed):
    cut_off(home / "listings" / "tiny.parquet")
    assert machine.run("build", **arguments(home, undisturbed)).code == 0
    assert files_of(home / "listings") == files_of(undisturbed.home / "listings")
