"""Why an artwork or a recording gets its label: rule sets that a curator edits, one folder each, and their engine.

`load` reads a rule set, `rules.engine` applies it. Nothing here touches media, networks or tables.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from rules.schema import RuleSet

_HOME = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the rule sets that come with artune: the folders here that hold a settings.yaml."""
    return sorted(path.parent.name for path in _HOME.glob("*/settings.yaml"))


def load(name_or_path: str) -> "RuleSet":
    """Read a rule set.

    Args:
        name_or_path: one of `names()`, or the path of a folder with settings.yaml, labels.yaml and vocabulary.yaml.

    Raises:
        ConfigurationError: with every mistake of the rule set, each with file, line, value and what was expected.
    """
    from rules.loading import load_folder  # pydantic is not needed to list names

    if name_or_path in names():
        return load_folder(_HOME / name_or_path)
    folder = Path(name_or_path)
    if not folder.is_dir():
        raise ConfigurationError(
            f"rules {name_or_path!r}: expected a folder, or one of the rule sets {', '.join(names())}"
        )
    return load_folder(folder)
