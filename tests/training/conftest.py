"""What many tests of training read; and one thread for torch: on a machine at work, two are far slower."""

from collections.abc import Iterator

import pytest
import torch

from curation.releases import Release
from curation.store import Home
from tests.training import releases


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
