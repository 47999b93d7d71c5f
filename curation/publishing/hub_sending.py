"""The Parquet files of a release on their way to the Hub: what it holds already is not sent, nor even read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.publishing.hub_branch import Branch
from curation.publishing.hub_state import Content, Place, Stored, content_of
from curation.publishing.shards import Shard, described, rendered


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are sent one after the other and committed together.

    Attributes:
        base: the commit of main that the branch begins with.
        held: what main holds under these names.
        gathered: what the branch held under these names when somebody looked.
    """

    place: Place
    base: str
    shards: Sequence[Shard]
    held: Mapping[str, Stored]
    gathered: Mapping[str, Stored]


@dataclass(frozen=True, slots=True)
class Sent:
    """One file.

    Attributes:
        is_new: the Hub did not have it, neither on main nor on the branch.
    """

    name: str
    content: Content
    is_new: bool


def compare(batch: Batch) -> list[Sent]:
    """Return what would have to be sent; nothing is."""
    found = []
    for shard in batch.shards:
        there = [batch.held.get(shard.name), batch.gathered.get(shard.name)]
        content = _known(shard, there)
        if content is None:
            with rendered(shard) as path:
                content = content_of(described(shard, path), path)
        found.append(Sent(shard.name, content, _is_new(content, there)))
    return found


def send(batch: Batch) -> list[Sent]:
    """Send to the branch what the Hub has not; one file at a time is on the disk.

    Raises:
        ConfigurationError: a file of the release changed on disk, or the Hub refuses.
        TransientError: the Hub is busy; what was sent stays there.
    """
    branch = Branch(batch.place, batch.base, [shard.name for shard in batch.shards])
    found = []
    for shard in batch.shards:
        there = [batch.held.get(shard.name), branch.gathered.get(shard.name)]
        content = _known(shard, there)
        if content is None:
            with rendered(shard) as path:
                content = content_of(described(shard, path), path)
                if _is_new(content, there):
                    branch.add(shard.name, path, content)
        found.append(Sent(shard.name, content, _is_new(content, there)))
    branch.commit()
    return found


def _known(shard: Shard, there: Sequence[Stored | None]) -> Content | None:
    """Return what a file holds that the Hub has, if that can be said without reading it."""
    if shard.known is None:
        return None
    content = Content(shard.known, None)
    return None if _is_new(content, there) else content


def _is_new(content: Content, there: Sequence[Stored | None]) -> bool:
    return not any(map(content.is_in, there))
