"""What many tests of training read; and one thread for torch: on a machine at work, two are far slower."""

from collections.abc import Iterator

import pytest
import torch

from curation.releases import Release
from curation.store import Home
from tests.training import releases
from tests.training.loaders import split_of
from training.data import Split


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Release]:
    return releases.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_home(_tiny: tuple[Home, Release]) -> Home:
    """Give the work folder of `tiny_release`: read it, never write to it."""
    return _tiny[0]


@pytest.fixture(scope="session")
def tiny_release(_tiny: tuple[Home, Release]) -> Release:
    """Give a release of three labels, with several row groups in each split: read it, never write to it."""
    return _tiny[1]


@pytest.fixture(scope="session")
def train(tiny_release: Release) -> Split:
    """Give the training split of `tiny_release`."""
    return split_of(tiny_release.folder)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    """Give a list that fills with the row group, column and row of what is read."""
    found = []
    original = Split.media

    def counting(split: Split, group: int, wanted: dict) -> Iterator:
        found.extend((group, column, row) for column, rows in wanted.items() for row in rows)
        return original(split, group, wanted)

    monkeypatch.setattr(Split, "media", counting)
    return found
