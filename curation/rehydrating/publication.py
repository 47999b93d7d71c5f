"""A published data set as somebody finds it who has nothing else: its manifest, and its files one at a time."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from curation.publishing import manifest as manifests
from curation.publishing import places
from curation.publishing.manifest import Manifest
from curation.rehydrating import on_hub, on_storage
from curation.releases import PublishedRules
from curation.store import Home, file_sha256
from rules.errors import ConfigurationError

# What is read of a publication: names come from outside and become paths, so no other name does.
SHARD = re.compile(r"(data|metadata|references)/(?P<split>train|validation|test)-\d{5}-of-(?P<count>\d{5})\.parquet")
RULES = "rule_set.json"
_PLAIN = ("metadata", "references")


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of a published data set.

    Attributes:
        where: owner/name, a folder by its whole path, or an address.
        place: what holds just this version: a commit of the Hub, or a folder or address.
        digest: of the manifest, and so of all files but the card.
    """

    where: str
    place: str
    manifest: Manifest
    digest: str

    @property
    def name(self) -> str:
        """What a person would cite."""
        return f"{self.where}@{self.place}" if places.is_hub(self.where) else self.place

    def files(self, folder: str) -> list[str]:
        """Return the names of its Parquet files in a folder (data, metadata, references), in order."""
        return sorted(name for name in self.manifest.files if SHARD.fullmatch(name) and name.startswith(f"{folder}/"))

    def portions(self) -> list[str]:
        """Return the names, without folder and ending, of the files that metadata and references have alike."""
        return [Path(name).stem for name in self.files("metadata")]

    def rules(self, path: Path) -> PublishedRules:
        """Return the rule set that it was built by.

        Args:
            path: where it was downloaded to.

        Raises:
            ConfigurationError: it is none, or that of another data set.
        """
        try:
            rule_set = PublishedRules.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigurationError(f"{self.name}: {RULES}: expected the rules of a release: {error}") from error
        # Its digest is another where decisions of single items were left out.
        if rule_set.name != self.manifest.data_set:
            raise ConfigurationError(f"{self.name}: {RULES} holds other rules than {manifests.NAME} says")
        return rule_set


def opened(where: str, revision: str | None) -> Publication:
    """Find a publication and read its manifest.

    Args:
        where: owner/name on the Hub, a folder, or an address of storage.
        revision: a version such as v3, on the Hub also a branch or a commit; None is the newest.

    Raises:
        ConfigurationError: it is not there, may not be read, or this artune cannot read it.
        TransientError: the place is busy.
    """
    where = places.whole(where)
    found = on_hub.found(where, revision) if places.is_hub(where) else on_storage.found(where, revision)
    with TemporaryDirectory() as folder:
        content = _fetcher(where)(where, found, manifests.NAME, Path(folder)).read_bytes()
    manifest = manifests.read(content, f"{where}@{found}: {manifests.NAME}")
    _refuse_odd(manifest, f"{where}@{found}: {manifests.NAME}")
    return Publication(where, found, manifest, hashlib.sha256(content).hexdigest())


def _refuse_odd(manifest: Manifest, name: str) -> None:
    """Refuse a manifest whose files cannot be those of a release, for their names are taken at their word."""
    shards = [SHARD.fullmatch(file) for file in manifest.files]
    in_buckets = all(
        int(shard["count"]) == manifest.buckets.get(shard["split"]) for shard in shards if shard and shard[1] == "data"
    )
    alike = [{file.partition("/")[2] for file in manifest.files if file.startswith(f"{config}/")} for config in _PLAIN]
    is_number = isinstance(manifest.release, int) and manifest.release > 0
    if not (is_number and in_buckets and alike[0] and alike[0] == alike[1] and RULES in manifest.files):
        raise ConfigurationError(f"{name}: expected what `artune publish` writes of a release")


def _fetcher(where: str) -> Callable[[str, str, str, Path], Path]:
    return on_hub.fetch if places.is_hub(where) else on_storage.fetch


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a publication.

    Attributes:
        folder: it is downloaded into, under its name.
    """

    home: Home
    publication: Publication
    name: str
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / self.name


def download(part: Part) -> Path:
    """Download a file if it is not there; one that is there was verified before it got its name.

    Raises:
        ConfigurationError: it is not what the manifest says.
        TransientError: the place is busy.
    """
    if part.path.exists():
        return part.path
    publication = part.publication
    arriving = part.folder / "arriving"  # what was cut off is gone on with from there
    found = _fetcher(publication.where)(publication.where, publication.place, part.name, arriving)
    sha256, expected = file_sha256(found), publication.manifest.files[part.name].sha256
    if sha256 != expected:
        found.unlink()
        raise ConfigurationError(
            f"{publication.name}: {part.name}: sha256 is {sha256[:12]}, not {expected[:12]} as {manifests.NAME} says: "
            "expected the file that was published; tell its publisher"
        )
    part.path.parent.mkdir(parents=True, exist_ok=True)
    found.replace(part.path)
    return part.path
