"""Files in a repository that artune did not write: they stay, unless readers would take them for its rows."""

from collections.abc import Collection
from pathlib import PurePosixPath

from curation.card import CONFIGS
from curation.publishing import pages
from curation.publishing.hub_branch import named
from curation.publishing.hub_state import CARD, Revision
from curation.publishing.manifest import NAME
from rules.errors import ConfigurationError

_OF_THE_HUB = (".gitattributes", CARD, NAME)  # the card is for a person to edit, and its header may have been there
STEERING = ".huggingface.yaml"  # what it says of configs counts more for `datasets` than the card's header


def left_alone(main: Revision) -> list[str]:
    """Return the files that no manifest of artune lists."""
    listed = main.manifest.files if main.manifest else {}
    return sorted(name for name in main.files if name not in listed and name not in _OF_THE_HUB)


def changed_by_hand(main: Revision) -> list[str]:
    """Return the files of artune, other than its card, that are not what it wrote."""
    listed = main.manifest.files if main.manifest else {}
    there = {name: main.files[name] for name in listed if name in main.files}
    return sorted(
        name
        for name, stored in there.items()
        if stored.size_bytes != listed[name].size_bytes or (stored.is_lfs and stored.oid != listed[name].sha256)
    )


def refuse(repo_id: str, main: Revision, names: Collection[str]) -> None:
    """Refuse files that stand where artune has to write, that `datasets` would read as rows, or that mislead it.

    Args:
        names: of the Parquet files that are to be published.

    Raises:
        ConfigurationError: it names them.
    """
    found = left_alone(main)
    if taken := [name for name in found if name in names or name in pages.NAMES]:
        raise ConfigurationError(
            f"{repo_id} holds {named(taken)}, which no {NAME} there lists and artune would have to replace: expected "
            "another repository, or these deleted or renamed there"
        )
    if rows := [name for name in found if _is_rows(PurePosixPath(name))]:
        raise ConfigurationError(
            f"{repo_id} holds {named(rows)}, which no {NAME} there lists and `datasets` would read as rows: "
            "expected another repository, or these deleted or moved to another folder"
        )
    if STEERING in found:
        raise ConfigurationError(
            f"{repo_id} holds {STEERING}, which `datasets` believes rather than the card of artune: expected no such "
            f"file; put what it says into the header of {CARD} and delete it there"
        )


def _is_rows(path: PurePosixPath) -> bool:
    return path.parts[0] in CONFIGS.values() and path.suffix == ".parquet"
