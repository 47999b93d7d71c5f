"""Tiny models on disk, saved once: loading torch takes seconds."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def clip_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.curation.models.checkpoints import save_clip  # no other test pays for torch

    return save_clip(tmp_path_factory.mktemp("weights") / "clip")


@pytest.fixture(scope="session")
def clap_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.curation.models.checkpoints import save_clap

    return save_clap(tmp_path_factory.mktemp("weights") / "clap")
