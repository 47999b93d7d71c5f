from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.store import Home
from curation.web import Web
from tests.sites import Haste, Site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def haste() -> Haste:
    return Haste()


@pytest.fixture
def web(site: Site, haste: Haste) -> Web:
    return site.web(haste=haste)
