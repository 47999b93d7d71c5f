"""Models that draw images of music, one each file, found by name."""

from typing import TYPE_CHECKING

from rules import drop_ins

if TYPE_CHECKING:
    from training.models.audiotoken import AudioToken


def names() -> list[str]:
    """Return the names of all models."""
    return drop_ins.names(__path__)


def get(name: str) -> "type[AudioToken]":
    """Import a model by its name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    model: type[AudioToken] = drop_ins.get(__name__, __path__, name, "model").MODEL
    return model
