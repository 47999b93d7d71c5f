"""One tiny network of each family, saved once and loaded once as a published one is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evaluation.features import Extractor
from tests.evaluation.features.published_networks import loaded, save


@pytest.fixture(scope="session", autouse=True)
def _one_thread_here() -> None:
    torch.set_num_threads(1)  # fixtures of the session are made before those of a test


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path | None]:
    made: dict[str, Path | None] = {}

    def of(family: str) -> Path | None:
        if family not in made:
            made[family] = save(family, tmp_path_factory.mktemp(family))
        return made[family]

    return of


@pytest.fixture(scope="session")
def published(saved: Callable[[str], Path | None]) -> Callable[[str], Extractor]:
    made: dict[str, Extractor] = {}

    def of(family: str) -> Extractor:
        if family not in made:
            made[family] = loaded(family, saved(family))
        return made[family]

    return of


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which torch keeps what it fetched."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"
