"""What else befalls machines: two builds at once, a folder that moves, a wrong clock, newer code."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, write_rules
from tests.faults.conftest import Undisturbed
from tests.faults.machines import Machine, running

CLAIMED = "derived/images-*/*.parquet"


def arguments(home: Path, folder: Path, seed: int = 1) -> dict[str, object]:
    return {"home": str(home), "folder": str(folder), "seed": seed}


# Two at once


@pytest.mark.parametrize("stage", ["items/folder/*.parquet", CLAIMED, "releases/1/data/*.parquet", "releases/1.json"])
def test_of_two_builds_of_the_same_inputs_one_commits_and_the_other_is_told_or_joins(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path, stage: str
):
    home = tmp_path / "home"
    first = machine.start("build", hold=f"{home}/{stage}", **arguments(home, undisturbed.folder))
    first.reach()
    second = machine.run("build", **arguments(home, undisturbed.folder))
    if stage.startswith("items"):  # nobody has claimed anything: the second commits, and the first joins
        assert second.code == 0, second.said
    else:
        assert second.code == 2, second.said
        assert second.said == f"{home}: another process is building release 1 right now\n"
    first.go_on()
    done = first.end()
    assert done.code == 0, done.said
    assert undisturbed.is_like(home)


def test_of_two_builds_of_other_inputs_the_second_is_told(machine: Machine, undisturbed: Undisturbed, tmp_path: Path):
    home = tmp_path / "home"
    first = machine.start("build", hold=f"{home}/{CLAIMED}", **arguments(home, undisturbed.folder))
    first.reach()
    second = machine.run("build", **arguments(home, undisturbed.folder, seed=2))
    assert second.code == 2, second.said
    assert second.said.startswith("release 1 is claimed by a build of other inputs")
    first.go_on()
    assert first.end().code == 0
    assert undisturbed.is_like(home)


# A folder that moves


def test_a_work_folder_that_was_copied_elsewhere_has_nothing_to_do(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    there, here = tmp_path / "there", tmp_path / "elsewhere" / "home"
    shutil.copytree(undisturbed.home, there)
    here.parent.mkdir()
    shutil.copytree(there, here)
    shutil.rmtree(there)
    before = files_of(here)
    done = machine.run("build", **arguments(here, undisturbed.folder))
    assert done.code == 0, done.said
    assert files_of(here) == before
    assert machine.artune("verify", "--home", here).code == 0


def test_what_another_machine_left_half_done_is_finished_here_and_swept_by_gc(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    there, here = tmp_path / "there", tmp_path / "here"
    process = machine.start("build", hold=f"{there}/releases/1/data/*.parquet", **arguments(there, undisturbed.folder))
    process.reach()
    process.kill()
    shutil.move(there, here)
    names = [path.name.split(".", 2) for path in (here / "tmp").iterdir()]
    left = [here / "tmp" / f"{pid}.{name}.another-machine" for pid, name, _ in names]
    for (pid, name, host), path in zip(names, left, strict=True):
        path.with_name(f"{pid}.{name}.{host}").rename(path)
    done = machine.run("build", **arguments(here, undisturbed.folder))
    assert done.code == 0, done.said
    assert left
    assert all(path.exists() for path in left)  # it may be at work in a shared folder
    assert machine.artune("gc", "--keep", "1", "--yes", "--home", here).code == 0
    assert undisturbed.is_like(here)


# A wrong clock


@pytest.fixture(scope="module", params=[-4_000, 4_000], ids=["eleven years behind", "eleven years ahead"])
def wrong(request, tmp_path_factory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("wrong"), clock_days=request.param) as machine:
        yield machine


def test_a_build_gives_the_same_bytes_whatever_the_clock_says(
    machine: Machine, wrong: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home = tmp_path / "home"
    process = machine.start("build", hold=f"{home}/{CLAIMED}", **arguments(home, undisturbed.folder))
    process.reach()
    process.kill()
    done = wrong.run("build", **arguments(home, undisturbed.folder))
    assert done.code == 0, done.said
    assert undisturbed.is_like(home)
    assert machine.run("build", **arguments(home, undisturbed.folder)).code == 0
    assert undisturbed.is_like(home)


@pytest.mark.parametrize("modified_s", [0, 4_000_000_000])
def test_a_changed_file_is_seen_whatever_time_it_bears(machine: Machine, tmp_path: Path, modified_s: int):
    folder, home = write_collection(tmp_path / "media", range(4), range(3)), tmp_path / "home"
    write_rules(tmp_path / "tiny", sizes=ROOMY)
    assert machine.run("build", **arguments(home, folder)).code == 0
    picture = folder / "picture1.bmp"
    content = bytearray(picture.read_bytes())
    content[-40:] = bytes(40)
    picture.write_bytes(content)  # as long as before
    os.utime(picture, (modified_s, modified_s))
    assert machine.run("build", may_drop=True, **arguments(home, folder)).code == 0
    assert (home / "releases" / "2.json").exists()


# Newer code


def test_newer_code_says_what_is_measured_again_and_why_and_released_media_stay(
    machine: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home = Path(shutil.copytree(undisturbed.home, tmp_path / "home"))
    newer = {"ARTUNE_TEST_IMAGES_VERSION": "99"}
    words = ["--source", f"folder:{undisturbed.folder}", "--rules", undisturbed.rules, "--home", home]
    said = machine.artune("plan", *words, **newer).said
    was = json.loads((home / "releases" / "1.json").read_text())["steps"]["images"]["code"]
    assert f"6 pictures are measured again: images code {was} -> 99" in " ".join(said.split())
    done = machine.run("build", environment=newer, **arguments(home, undisturbed.folder, seed=2))
    assert done.code == 0, done.said
    assert (home / "releases" / "2.json").exists()
    media = {path.name: path.stat().st_ino for path in (home / "releases/1/data").iterdir()}
    assert {path.name: path.stat().st_ino for path in (home / "releases/2/data").iterdir()} == media
