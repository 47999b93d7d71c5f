"""Folders of modules that are found by their names: to add one is to put a file there."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from rules.errors import ConfigurationError
from rules.spelling import closest
from rules.validating import did_you_mean


def names(folder: Iterable[str]) -> list[str]:
    """Return the names of all modules of a folder; what they share begins with _.

    Args:
        folder: the `__path__` of its package.
    """
    return sorted(module.name for module in pkgutil.iter_modules(folder) if not module.name.startswith("_"))


def get(package: str, folder: Iterable[str], name: str, what: str) -> ModuleType:
    """Import a module of a folder.

    Args:
        what: one of them is, for who wrote the name.

    Raises:
        ConfigurationError: there is none of that name.
    """
    known = names(folder)
    if name not in known:
        hint = did_you_mean(closest(name, known))
        raise ConfigurationError(f"no {what} is called {name!r}; there are {', '.join(known)}{hint}")
    return importlib.import_module(f"{package}.{name}")
