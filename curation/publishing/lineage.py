"""Whether a release may follow what a place holds: versions of one data set, from one work folder, only forward."""

from curation.publishing.lawful import Chosen
from curation.publishing.manifest import Manifest
from curation.releases import Release, get, numbers
from curation.store import Home
from rules.errors import ConfigurationError


def refuse_other(home: Home, release: Release, there: Manifest | None, where: str) -> None:
    """Refuse to follow what a place holds.

    Args:
        there: the last that was published at this place.

    Raises:
        ConfigurationError: it is another data set, one from another work folder, or a later version.
    """
    if there is None:
        return
    name = release.manifest["rule_set"]["name"]
    if there.data_set != name:
        raise ConfigurationError(
            f"{where} holds the data set {there.data_set}, not {name}: expected a place of its own for each"
        )
    if there.release in numbers(home) and get(home, there.release).manifest["inputs"] != there.inputs:
        raise ConfigurationError(
            f"{where} holds a {there.version} of {name} that is not release {there.release} of {home.root}: expected "
            "the work folder that it was published from, or another place"
        )
    if there.release > release.number:
        raise ConfigurationError(
            f"{where} holds {there.version} already: expected a later release than {release.number}, for versions "
            "only move forward; `artune rollback` makes a new release of an old one"
        )


def is_same(release: Release, chosen: Chosen, there: Manifest) -> bool:
    """Say whether a publication is of this very release, of which nothing was deleted since."""
    manifest = release.manifest
    asked = (manifest["rule_set"]["name"], release.number, manifest["inputs"])
    pairs = {config: sum(splits.values()) for config, splits in there.pairs.items()}
    embedded, all_pairs = len(chosen.embedded), len(chosen.embedded) + len(chosen.referenced)
    return (
        asked == (there.data_set, there.release, there.inputs)
        and pairs.get("default", 0) == embedded
        and pairs.get("metadata", 0) == all_pairs
    )
