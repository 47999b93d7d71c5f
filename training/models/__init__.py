"""Models that draw images of music, one each file, found by name."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from rules.errors import ConfigurationError
from rules.spelling import closest
from rules.validating import did_you_mean

if TYPE_CHECKING:
    from training.models.audiotoken import AudioToken


def names() -> list[str]:
    """Return the names of all models."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> "type[AudioToken]":
    """Import a model by its name; a second one offers what AudioToken offers.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in names():
        hint = did_you_mean(closest(name, names()))
        raise ConfigurationError(f"model {name!r}: expected one of {', '.join(names())}{hint}")
    model: type[AudioToken] = importlib.import_module(f"{__name__}.{name}").MODEL
    return model
