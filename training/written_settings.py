"""Settings of networks that a person wrote, checked with every mistake told."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rules.errors import ConfigurationError
from rules.validating import known_keys

SettingsT = TypeVar("SettingsT", bound=BaseModel)


def validated(model: type[SettingsT], written: Mapping[str, object], where: str) -> SettingsT:
    """Return settings as their type.

    Args:
        where: they stand, for who has to mend them: "encoder.random".

    Raises:
        ConfigurationError: one line for every mistake.
    """
    check_keys(written, model.model_fields, where)
    try:
        return model.model_validate(written)
    except ValidationError as error:
        found = [
            f"{'.'.join([where, *map(str, details['loc'])])}: {details['msg'].removeprefix('Value error, ')}"
            for details in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(found)) from None


def check_keys(written: Mapping[str, object], known: Iterable[str], where: str) -> None:
    """Raise ConfigurationError for a setting that there is not."""
    unknown = [f"{where}.{key}: expected {known_keys(key, known)}" for key in written if key not in known]
    if unknown:
        raise ConfigurationError("\n".join(unknown))


def listed(names: Collection[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(sorted(names)[:3]) + more
