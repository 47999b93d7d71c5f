"""A machine for all tests of faults, and what a build gives to which nothing happens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, write_rules
from tests.faults.machines import Machine, running


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("machine")) as found:
        yield found


@dataclass(frozen=True)
class Undisturbed:
    """A collection, and the release that is built from it.

    Attributes:
        files: of the folder `releases`.
    """

    folder: Path
    rules: Path
    home: Path
    files: dict[str, bytes]

    def is_like(self, home: Path) -> bool:
        """Say whether a work folder has the same release, and nothing that is half done."""
        found = files_of(home / "releases")
        assert sorted(found) == sorted(self.files)
        assert [name for name, data in found.items() if data != self.files[name]] == []
        assert list((home / "tmp").iterdir()) == []
        return True


@pytest.fixture(scope="session")
def undisturbed(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    folder = write_collection(root / "media", range(6), range(4))
    rules = write_rules(root / "tiny", sizes=ROOMY)
    done = machine.run("build", home=str(root / "home"), folder=str(folder))
    assert done.code == 0, done.said
    return Undisturbed(folder, rules, root / "home", files_of(root / "home" / "releases"))
