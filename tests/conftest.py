"""What many tests read and none changes."""

import pytest
from hypothesis import settings

import rules
from curation import building, releases
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home

settings.register_profile("artune", deadline=None)  # a machine may be as slow as it likes
settings.load_profile("artune")


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home in which the sample was built once: read it, never write to it."""
    home = Home(tmp_path_factory.mktemp("sample"))
    building.build(home, ["sample"], rules.load("museart18"), in_threads(2))
    return home


@pytest.fixture(scope="session")
def sample_release(sample_home: Home) -> Release:
    return releases.get(sample_home, 1)
