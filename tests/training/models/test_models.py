"""Models are found by their names."""

import pytest

from rules.errors import ConfigurationError
from training import models
from training.models.audiotoken import AudioToken


def test_a_model_is_found_by_its_name() -> None:
    assert models.names() == ["audiotoken"]
    assert models.get("audiotoken") is AudioToken
    with pytest.raises(ConfigurationError, match="no model is called 'audiotokn'.*did you mean audiotoken"):
        models.get("audiotokn")
