"""What a publication did, or would do: the same for every place that a release is published to."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation.publishing.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was published, or would be.

    Attributes:
        where: the place as the user named it: owner/name, a folder or a URL.
        location: what loads just this publication, beside its version on the Hub: owner/name, or the version's folder.
        version: v and the number of the release; on the Hub a tag.
        commit: that holds it on the Hub; None of other places and of a dry run.
        is_new: False if the place held this very publication already.
        sent_files: names of the files that the place did not have.
        sent_bytes: their sizes; fewer travel where the Hub knows parts of them.
        deleted: files of an earlier version that this one has no more.
        replaced: files of artune, other than the card, that somebody had changed there by hand.
        left_alone: files there that artune did not write.
        hand_edited: somebody edited the card there, and those edits are kept.
        tables_left_out: tables of the card for which the one there has no markers, as somebody deleted them.
        embedded: pairs published with their media.
        referenced: pairs of which only a reference may be published.
        excluded: pairs of which nothing may be published.
    """

    where: str
    location: str
    version: str
    commit: str | None
    is_new: bool
    sent_files: Sequence[str]
    sent_bytes: int
    deleted: Sequence[str]
    replaced: Sequence[str]
    left_alone: Sequence[str]
    hand_edited: bool
    tables_left_out: Sequence[str]
    embedded: int
    referenced: int
    excluded: int
    manifest: Manifest
