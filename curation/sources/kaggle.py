"""Kaggle's data sets: an archive each, fetched whole by kagglehub or already on disk, and read member by member.

Origin: https://www.kaggle.com/datasets. License: as a data set's owner declares it. Checked in November 2026.
"""

import fcntl
import functools
import importlib.util
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from curation import media_types
from curation.collect import MAX_IMAGE_BYTES, MAX_RECORDING_BYTES
from curation.errors import ItemError, attempt
from curation.media_types import HEAD_BYTES
from curation.sources import Fetched, Found, Need, Tools
from curation.sources import _metadata as metadata
from curation.sources._archive import Archive, Member
from curation.sources._kaggle_facts import Said, is_table
from curation.sources.folder import DOCUMENT
from curation.store import Home
from rules.collecting import Query
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.sources._kaggle_api import DataSet

HOMEPAGE = "https://www.kaggle.com/datasets"
LICENSE = "as the owner of a data set declares it; unknown for an archive that is already on disk"
TERMS = (
    "Kaggle's terms of use (https://www.kaggle.com/terms) and the license that a data set's owner declares. That owner "
    "is seldom the artist: works of artists who died less than 70 years ago may be protected whatever the license says."
)
RATES = {"api.kaggle.com": 1.0, "storage.googleapis.com": 1.0}

SLUG = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def needs() -> Sequence[Need]:
    """Return what it needs; asks no site."""
    is_installed = importlib.util.find_spec("kagglehub") is not None
    client = Need(
        "kagglehub", is_installed, required=False, advice="pip install 'artune[sources]'; or name kaggle:PATH"
    )
    account = Need(
        "a Kaggle account",
        is_installed and _has_credentials(),
        required=False,
        advice="for data sets that are not public: KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY",
    )
    return client, account


def _has_credentials() -> bool:
    from kagglehub.config import get_kaggle_credentials

    try:
        return get_kaggle_credentials() is not None
    except ValueError:  # a file of them that cannot be read
        return False


def check(query: Query) -> None:
    """Raise ValueError with the forms that are expected, if there can be no such list."""
    _parts(query)


def _parts(query: Query) -> tuple[str, str, str]:
    """Return owner, name and folder; the folder is empty for the whole data set."""
    owner, _, rest = query.text.partition("/")
    name, _, folder = rest.partition("/")
    folder = folder.rstrip("/")
    is_slug = SLUG.fullmatch(owner) and SLUG.fullmatch(name)
    if query.kind == "dataset" and is_slug and rest == name:
        return owner, name, ""
    if query.kind == "folder" and is_slug and folder and metadata.inside(folder) == folder:
        return owner, name, folder
    raise ValueError("expected `dataset: owner/name` or `folder: owner/name/path/in/archive`")


def found(query: Query, tools: Tools) -> Iterator[Found]:
    """Yield every member of an archive, or of a folder of it, in the order of the archive.

    Raises:
        ItemError: the archive cannot be had; with a parked reason if it can be had later.
        ConfigurationError: the location does not exist, kagglehub is missing or its credentials cannot be read.
    """
    owner, name, folder = _parts(query)
    data_set = None if tools.location else _api().ask(owner, name, tools.web)
    path = _downloaded(data_set, tools) if data_set else _on_disk(owner, name, tools.location)
    with Archive(path) as archive:
        said = Said(archive, f"{owner}/{name}", data_set)
        start = f"{folder}/" if folder else ""
        below = [member for member in archive.members if member.name.startswith(start)]
        if folder and not below:
            folders = sorted({member.name.partition("/")[0] for member in archive.members if "/" in member.name})
            raise ItemError("missing_file", f"no folder {folder} in the archive; it has {', '.join(folders)}")
        yield from (_found(member, f"{owner}/{name}", said) for member in below if _is_item(member, said))


def fetched(items: Sequence[Found], tools: Tools) -> Iterator[tuple[int, Fetched | ItemError]]:
    """Yield the index of each item and what became of it, from the archive that is at hand or else from a new one."""
    of_archive: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for index, item in enumerate(items):
        owner, name, member = (*item.address.split("/", 2), "", "")[:3]
        if not (SLUG.fullmatch(owner) and SLUG.fullmatch(name)):  # an address may come from a publication
            yield index, ItemError("address_refused", "expected owner/name/path/in/archive")
            continue
        of_archive.setdefault((owner, name), []).append((index, member))
    for (owner, name), wanted in of_archive.items():
        archive = attempt(functools.partial(_at_hand, owner, name, tools))
        if isinstance(archive, ItemError):
            yield from ((index, archive) for index, _ in wanted)
            continue
        with archive:
            members = {member.name: member for member in archive.members}
            for index, member_name in wanted:
                found_now = members.get(member_name)
                yield index, attempt(functools.partial(_fetch, archive, found_now, items[index].state, tools.home))


def _fetch(archive: Archive, member: Member | None, state: str, home: Home) -> Fetched:
    if member is None or state not in ("", member.state):  # who has only a reference to it knows no state
        raise ItemError("gone", "the data set has a new version without it; the next ingest lists that one")
    chunks = archive.chunks(member)
    first = next(chunks, b"")
    if not first:
        raise ItemError("empty_file", "0 bytes")
    modality = media_types.modality(first[:HEAD_BYTES])
    if modality is None:
        raise ItemError("unknown_type", f"begins with {first[:16]!r}")
    limit = MAX_IMAGE_BYTES if modality == "image" else MAX_RECORDING_BYTES
    return Fetched(modality, *home.put_blob(itertools.chain([first], chunks), limit))


def _at_hand(owner: str, name: str, tools: Tools) -> Archive:
    """Open an archive: the one on disk, whatever its version, so that only listing asks Kaggle."""
    if tools.location:
        return Archive(_on_disk(owner, name, tools.location))
    here = _versions(tools.home, owner, name)
    return Archive(here[-1] if here else _downloaded(_api().ask(owner, name, tools.web), tools))


def _on_disk(owner: str, name: str, location: str) -> Path:
    """Return the archive of a data set at a location, which is a folder of archives or one of them."""
    place = Path(location).expanduser()
    if not place.exists():
        raise ConfigurationError(f"kaggle:{location}: there is no such file; expected an archive or a folder of them")
    expected = f"{name}.zip", f"{owner}_{name}.zip"
    candidates = [place] if place.is_file() else [place / each for each in expected]
    for path in candidates:
        if path.name in expected and path.is_file():
            return path
    raise ItemError(
        "missing_file", f"kaggle:{location}: no archive of {owner}/{name}; expected {' or '.join(expected)}"
    )


def _downloaded(data_set: "DataSet", tools: Tools) -> Path:
    """Return the archive of a data set's version, which is downloaded if it is not at hand."""
    folder = _folder(tools.home, data_set.owner)
    path = folder / f"{data_set.name}@{data_set.version}.zip"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{data_set.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # its other lists may be read at the same time
            if not path.exists():
                _api().download(data_set, path, tools.web)
    for other in _versions(tools.home, data_set.owner, data_set.name):
        if other != path:
            other.unlink(missing_ok=True)
    return path


def _folder(home: Home, owner: str) -> Path:
    return home.local / "archives" / "kaggle" / owner


def _versions(home: Home, owner: str, name: str) -> list[Path]:
    """Return the archives of a data set that were downloaded, the newest version last."""
    paths = _folder(home, owner).glob(f"{name}@*.zip")
    return sorted(paths, key=lambda path: int(path.stem.rpartition("@")[2]))


def _api() -> ModuleType:
    try:
        from curation.sources import _kaggle_api
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"kaggle: {error}; expected pip install 'artune[sources]', or kaggle:PATH") from error
    return _kaggle_api


def _is_item(member: Member, said: Said) -> bool:
    """Say whether a member may be a picture or recording: neither hidden, nor a document or table of the data set."""
    parts = member.name.split("/")
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    is_document = len(parts) == 1 and DOCUMENT.fullmatch(member.name)
    is_read = is_table(member) and member.name not in said.mistakes
    return bool(member.refusal) or not (is_hidden or is_document or is_read)


def _found(member: Member, name: str, said: Said) -> Found:
    facts, about = said.of(member)
    source_id = f"{name}/{member.name}"
    refusal = member.refusal or said.mistakes.get(member.name)
    return Found(source_id, "" if refusal else source_id, facts, member.state, about, refusal)
