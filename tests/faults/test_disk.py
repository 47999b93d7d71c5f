"""A disk that is full or read-only: one sentence, nothing half done, and the same bytes once it is mended."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.curation.collection import files_of
from tests.faults.conftest import Undisturbed
from tests.faults.machines import Machine, running

ROOM = "300m"  # for a build of the collection, whose spare room is 200 MB
SPARE_BYTES, TRIES = 4_096, 50
STAGES = {
    "collect": "items/folder/*.parquet",
    "measure": "derived/recordings-*/*.parquet",
    "cut clips": "releases/1.work/*.arrow",
    "write shards": "releases/1/data/*.parquet",
    "plain tables": "releases/1/metadata/*.parquet",
}


class Disk:
    """A small disk of a machine."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.folder = machine, folder
        machine.sh("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def fill(self) -> None:
        """Leave it hardly any room."""
        for _ in range(TRIES):  # it cannot be smaller than what is on it, and a process may just be writing
            used = self.machine.sh("df", "--block-size=1", "--output=used", self.folder).split()[-1]
            with suppress(AssertionError):
                self._remount(f"size={int(used) + SPARE_BYTES}")
                return
        raise AssertionError("the disk never rests")

    def make_room(self) -> None:
        self._remount(f"size={ROOM}")

    def make_read_only(self) -> None:
        self._remount("ro")

    def _remount(self, options: str) -> None:
        self.machine.sh("mount", "-o", f"remount,{options}", self.folder)

    def files(self, copy: Path) -> dict[str, bytes]:
        """Return the content of what is on it now."""
        self.machine.sh("cp", "-r", self.home, copy)
        return files_of(copy)


@pytest.fixture(scope="module")
def boxed(tmp_path_factory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("boxed"), is_private=True) as found:
        yield found


@pytest.fixture
def disk(boxed: Machine, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    yield Disk(boxed, folder)
    boxed.sh("umount", "--lazy", folder)


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_becomes_full_is_told_and_the_build_goes_on_when_there_is_room(
    boxed: Machine, disk: Disk, undisturbed: Undisturbed, tmp_path: Path, stage: str
):
    build = {"home": str(disk.home), "folder": str(undisturbed.folder)}
    process = boxed.start("build", hold=f"*/{STAGES[stage]}", **build)
    process.reach()
    disk.fill()
    process.go_on()
    done = process.end()
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{disk.home}: the disk is full: ")
    assert "bytes are free there" in said
    assert said.endswith("make room, and the same command goes on from there")
    left = disk.files(tmp_path / "left")
    assert not [name for name in left if name.startswith("tmp/")]
    assert "releases/1.json" not in left
    whole = files_of(undisturbed.home)
    assert [name for name in left if "/data/" in name and left[name] != whole[name]] == []
    disk.make_room()
    done = boxed.run("build", **build)
    assert done.code == 0, done.said
    disk.files(tmp_path / "right")
    assert undisturbed.is_like(tmp_path / "right")


def test_a_full_folder_for_temporary_files_rejects_no_recording(
    boxed: Machine, disk: Disk, undisturbed: Undisturbed, tmp_path: Path
):
    home = tmp_path / "home"
    disk.fill()
    build = {"home": str(home), "folder": str(undisturbed.folder)}
    done = boxed.run("build", environment={"TMPDIR": str(disk.folder)}, **build)
    assert done.code == 2, done.said
    (said,) = done.said.splitlines()
    assert said.startswith(f"{home}: the disk is full: ")
    assert str(disk.folder) in said
    measured = [pq.read_table(path) for path in home.glob("derived/recordings-*/*")]
    assert [reason for table in measured for reason in table["reason"].to_pylist() if reason] == []
    assert boxed.run("build", **build).code == 0
    assert undisturbed.is_like(home)


@pytest.fixture
def read_only(disk: Disk, undisturbed: Undisturbed) -> Path:
    disk.machine.sh("cp", "-r", undisturbed.home, disk.home)
    disk.make_read_only()
    return disk.home


@pytest.mark.parametrize("command", ["build", "ingest", "remove"])
def test_a_command_that_writes_refuses_a_read_only_folder_in_one_sentence(
    boxed: Machine, read_only: Path, undisturbed: Undisturbed, command: str
):
    named = {
        "build": ["--source", f"folder:{undisturbed.folder}", "--rules", undisturbed.rules],
        "ingest": ["wikiart", "--rules", "museart18"],
        "remove": ["folder:picture1.bmp", "--because", "asked"],
    }
    done = boxed.artune(command, *named[command], "--home", read_only, ARTUNE_CONTACT="me@example.org")
    assert done.code == 2, done.said
    assert "Traceback" not in done.said
    said = done.said.splitlines()[-1]
    assert str(read_only) in said
    assert "Read-only file system" in said


@pytest.mark.parametrize("command", ["plan", "status", "report", "verify", "releases", "doctor", "explain", "diff"])
def test_a_command_that_only_looks_works_on_a_read_only_folder(
    boxed: Machine, read_only: Path, undisturbed: Undisturbed, command: str
):
    rules = ["--rules", undisturbed.rules]
    named = {
        "plan": ["--source", f"folder:{undisturbed.folder}", *rules],
        "explain": ["folder:picture1.bmp"],
        "diff": ["1", "1"],
    }
    done = boxed.artune(command, *named.get(command, []), "--home", read_only)
    assert done.code == (1 if command == "doctor" else 0), done.said
    assert "Traceback" not in done.said
