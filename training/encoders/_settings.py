"""What encoders share: settings that a person wrote, and weights that are drawn."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError

from rules.errors import ConfigurationError
from rules.validating import known_keys
from training.weights import seeded

SettingsT = TypeVar("SettingsT", bound=BaseModel)
ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)
WHERE = "encoder.random"


def validated(model: type[SettingsT], written: Mapping[str, object]) -> SettingsT:
    """Return settings as their type.

    Raises:
        ConfigurationError: one line for every mistake.
    """
    check_keys(written, model.model_fields)
    try:
        return model.model_validate(written)
    except ValidationError as error:
        found = [
            f"{'.'.join([WHERE, *map(str, details['loc'])])}: {details['msg'].removeprefix('Value error, ')}"
            for details in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(found)) from None


def check_keys(written: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise ConfigurationError for a setting that there is not."""
    unknown = [f"{WHERE}.{key}: expected {known_keys(key, known)}" for key in written if key not in known]
    if unknown:
        raise ConfigurationError("\n".join(unknown))


def drawn(build: Callable[[], ModuleT], seed: int) -> ModuleT:
    """Build a network whose weights depend on the seed alone."""
    with seeded(seed, "encoder"):
        return build()


def listed(names: Collection[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more
