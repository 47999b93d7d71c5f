"""Three small releases of one data set, built once: read them, never write to their folder; and a repository."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation import building, releases
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from rules.schema import RuleSet
from tests.curation.collection import write_collection
from tests.curation.publishing import to_hub
from tests.curation.tables import ROOMY, content
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub.storage import Commit
from tests.hub_site import Hub

REPO_ID = "ida/tiny"
BUCKETS = {"train": 4, "validation": 1, "test": 1}
OPEN = {"embed": ["CC0-1.0"], "embed_with_attribution": ["CC-BY-4.0"], "exclude": ["Secret"]}
MORE_OPEN = OPEN | {"embed": ["CC0-1.0", "On Request"]}
LICENSES = {
    "picture1.bmp": "CC-BY-4.0",
    "picture2.bmp": "On Request",  # a reference only, until the second release
    "picture3.bmp": "Secret",
    "picture11.bmp": "unknown",
    "music1.wav": "CC-BY-4.0",
}


@dataclass(frozen=True)
class Editions:
    """A work folder with releases of the data set `tiny`.

    Attributes:
        first: 12 pictures and 6 recordings under five licenses: 9 pairs, of which 6 may have their media.
        opened: the rules allow one license more: a file of `data` more, all others are as they were.
        dropped: a recording is gone from the source, and with it all files of the split test.
    """

    home: Home
    first: Release
    opened: Release
    dropped: Release


@pytest.fixture(scope="session")
def editions(tmp_path_factory: pytest.TempPathFactory) -> Editions:
    root = tmp_path_factory.mktemp("editions")
    home = Home(root / "home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "bucket_counts", lambda rule_set: BUCKETS)  # or each split would fit into one file
        made = [
            _release(home, _collection(root / "media", recordings), licenses)
            for recordings, licenses in (
                (range(6), OPEN),
                (range(6), MORE_OPEN),
                ((0, 1, 3, 4, 5), MORE_OPEN),
            )
        ]
    return Editions(home, *made)


def _collection(folder: Path, recordings: Sequence[int]) -> Path:
    write_collection(folder, range(12), recordings)
    table = folder / "metadata.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row | {"license": LICENSES.get(row["file"], row["license"])} for row in rows)
    return folder


def _release(home: Home, folder: Path, licenses: dict[str, list[str]]) -> Release:
    rule_set = RuleSet.model_validate(content(ROOMY) | {"licenses": licenses})
    release = building.build(home, [f"folder:{folder}"], rule_set, in_threads(2), may_drop=True)
    return releases.get(home, release.number)


@pytest.fixture
def ida(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> User:
    """Let the client be somebody who may write to ida/..."""
    user = hub.user("ida")
    monkeypatch.setenv("HF_TOKEN", user.token)
    return user


@pytest.fixture(scope="session")
def _first_published(hub: Hub, editions: Editions) -> tuple[dict[str, Commit], dict[str, Commit], set[str]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida").token)
        hub.create(REPO_ID)
        to_hub.publish(editions.home, editions.first, REPO_ID)
    repo = hub.repo(REPO_ID)
    return dict(repo.tree.branches), dict(repo.tree.tags), set(repo.known)


@pytest.fixture(scope="session")
def undisturbed(hub: Hub, editions: Editions, _first_published: object) -> dict[str, str]:
    """Give the hashes of the third release, published after the first with nothing in the way."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida").token)
        to_hub.publish(editions.home, editions.dropped, REPO_ID)
    return hub.repo(REPO_ID).hashes("v3")


@pytest.fixture
def repo(hub: Hub, ida: User, _first_published: tuple[dict[str, Commit], dict[str, Commit], set[str]]) -> Repo:
    """Give a repository that holds the first release, as if nobody had touched it since."""
    repo = hub.repo(REPO_ID)
    repo.tree.branches, repo.tree.tags, repo.known = (part.copy() for part in _first_published)
    return repo
