"""What many tests read and none changes."""

import pytest

import rules
from curation import building, releases
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home in which the sample was built once: read it, never write to it."""
    home = Home(tmp_path_factory.mktemp("sample"))
    building.build(home, ["sample"], rules.load("museart18"), in_threads(2))
    return home


@pytest.fixture(scope="session")
def sample_release(sample_home: Home) -> Release:
    return releases.get(sample_home, 1)
