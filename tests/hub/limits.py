"""How much a Hub takes and gives at once; a test makes it small to see what happens beyond."""

from dataclasses import dataclass


@dataclass
class Limits:
    """Those of a Hub, as a test may set them.

    Args:
        page: entries of a tree or of a history in one answer; small, so that clients have to turn pages.
        paths: that may be asked for in one question.
        commit_files: operations of a commit.
        commit_bytes: of its body.
        multipart_over_bytes: a large file beyond is sent in parts of `part_bytes`.
    """

    page: int = 20
    paths: int = 1000
    commit_files: int = 25_000
    commit_bytes: int = 1 << 30
    multipart_over_bytes: int = 5 << 30
    part_bytes: int = 64 << 20
