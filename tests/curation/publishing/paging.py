"""A publication in a folder: the shards of a release, and their pages."""

import os
from pathlib import Path

from curation.publishing import lawful, shards
from curation.publishing.lawful import Chosen
from curation.publishing.manifest import PublishedFile
from curation.publishing.pages import Card, Contents, Pages, write
from curation.releases import Release, rule_set_of
from curation.store import Home

HOMEPAGE = "https://hub.example/datasets/owner/name"


def put_shards(home: Home, release: Release, folder: Path, chosen: Chosen) -> dict[str, PublishedFile]:
    """Put the Parquet files of a publication into a folder, linked where nothing is left out."""
    files = {}
    for shard in shards.shards(home, release, chosen):
        (folder / shard.name).parent.mkdir(parents=True, exist_ok=True)
        with shards.rendered(shard) as path:
            os.link(path, folder / shard.name)
            files[shard.name] = shards.described(shard, path)
    return files


def contents(
    home: Home, release: Release, folder: Path, revision: str | None = "v1", chosen: Chosen | None = None
) -> Contents:
    chosen = chosen or lawful.choose(home, release)
    files = put_shards(home, release, folder, chosen)
    where = ("owner/name", revision, HOMEPAGE) if revision else (str(folder), None, folder.as_uri())
    return Contents(release, rule_set_of(release), chosen, files, *where)


def again(contents: Contents, pages: Pages, text: str | bytes | None = None) -> Pages:
    """Publish the same again, over a card that somebody may have edited meanwhile; into the same folder."""
    path = pages.paths["README.md"]
    content = path.read_bytes() if text is None else text.encode() if isinstance(text, str) else text
    return write(contents, Card(content, pages.manifest, "owner/name: README.md"), path.parent)
