"""The three fates of a failure, and the closed list of reasons for which an item is left out.

ItemError: this item can never pass; it becomes a rejection and its batch goes on.
TransientError: the world is busy; worth another try.
Anything else is a bug: the run fails at once, with its traceback.
"""

from collections.abc import Callable
from typing import TypeVar

from rules.errors import ConfigurationError

T = TypeVar("T")

# reason -> (stage, what it says of the item). Published in every rejection: add to it, never rename.
REASONS: dict[str, tuple[str, str]] = {
    "missing_file": ("collect", "the metadata names a file that is not there"),
    "outside_folder": ("collect", "a link leads out of the folder"),
    "unreadable": ("collect", "the file cannot be read"),
    "empty_file": ("collect", "the file has no bytes"),
    "too_many_bytes": ("collect", "the file is larger than the limit"),
    "duplicate_id": ("collect", "another item has the same source and id"),
    "invalid_metadata": ("collect", "the metadata of the file cannot be read"),
    "unknown_type": ("collect", "the content is neither a picture nor a recording that artune reads"),
    "address_refused": (
        "fetch",
        "the address is not http or https, holds credentials, or leads into a private network",
    ),
    "robots_disallowed": ("fetch", "robots.txt of the site does not allow it"),
    "opted_out": ("fetch", "the site says that it must not be used: noai, noimageai, noindex or a TDM reservation"),
    "login_required": ("fetch", "the site asks for a login, an age check or a payment"),
    "forbidden": ("fetch", "the site refuses it"),
    "gone": ("fetch", "the site has it no more"),
    "not_available": ("fetch", "the site does not give it here: private, blocked in this country, protected, or live"),
    "not_media": ("fetch", "the site sent a page instead of a picture or a recording"),
    "too_many_redirects": ("fetch", "the site leads from one address to the next"),
    "duration": ("fetch", "the source says that it is shorter or longer than what artune collects"),
    "damaged_member": ("fetch", "the member of the archive is damaged, encrypted, or far larger than it says"),
    "unsafe_name": ("fetch", "the name of the archive's member leads out of the archive"),
    "changed_site": ("fetch", "the site's answer is not of the form that artune knows"),
    "rate_limited": ("fetch", "the site asked to be left alone for a while; `artune retry` asks again"),
    "server_error": ("fetch", "the server failed; `artune retry` asks again"),
    "timed_out": ("fetch", "the server was too slow; `artune retry` asks again"),
    "unreachable": ("fetch", "the server could not be reached; `artune retry` asks again"),
    "incomplete": ("fetch", "the body was cut off; `artune retry` goes on where it ended"),
    "host_paused": ("fetch", "the host failed too often, so it is left alone for a while; `artune retry` asks again"),
    "removed": ("removal", "its removal was asked for"),
    "not_tried": ("rehydrate", "the fetching was ended before by a quota, a full disk or a host that is left alone"),
    "changed": ("rehydrate", "something else is found now where the published one was"),
    "undecodable_image": ("measure", "the picture is damaged or not what its first bytes say"),
    "too_many_pixels": ("measure", "decoding the picture would need more memory than the limit"),
    "too_small": ("measure", "the shorter side has too few pixels"),
    "undecodable_audio": ("measure", "the recording is damaged, protected or not what its first bytes say"),
    "no_audio": ("measure", "the file has no sound track"),
    "too_short": ("measure", "not even one clip fits"),
    "too_long": ("measure", "the recording is longer than the limit"),
    "silent": ("measure", "the clip is mostly silence"),
    "clipped": ("measure", "too many samples of the clip are at full scale"),
    "exact_duplicate": ("duplicates", "the same bytes or the same pixels as an item that is kept"),
    "near_duplicate": ("duplicates", "the same picture as a larger one that is kept"),
    "detail": ("duplicates", "a detail of a picture that is kept"),
    "acoustic_duplicate": ("duplicates", "shares sound with a recording that is kept"),
    "rolled_back": (
        "rollback",
        "an earlier release was restored that does not hold it, or not so that it may stand",
    ),
    "overridden": ("rules", "a curator's override leaves it out"),
    "no_rule": ("label", "no rule takes it with the tags that it has"),
    "class_full": ("balance", "its labels have as many pairs as their size or their other side allows"),
    "clip_cap": ("balance", "the recording has as many clips as the rule set allows"),
    "quota_full": ("balance", "its sub-genre has as many clips as its quota allows"),
    "leak": ("split", "a new link ties it to an item of another split"),
    "no_partner": ("pair", "no free item of the other side is left in its label and split"),
    "no_clip_kept": ("pair", "none of the recording's clips is kept; each says why"),
}

# Reasons of this moment, not of the item: it is parked, and `artune retry` takes it up again.
PARKED = frozenset({"rate_limited", "server_error", "timed_out", "unreachable", "incomplete", "host_paused"})

MAX_DETAIL_CHARS = 500


class ItemError(Exception):
    """One item can never pass.

    Args:
        reason: a key of REASONS.
        detail: what was found and what was expected; text from outside is cut and stripped of control characters.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}; REASONS in {__name__} lists the closed set")
        self.reason = reason
        self.detail = "".join(c if c.isprintable() else " " for c in detail)[:MAX_DETAIL_CHARS]
        super().__init__(f"{reason}: {self.detail}" if detail else reason)


class TransientError(Exception):
    """The world is busy (429, 5xx, timeout): the same call may pass later."""


class HomeBusy(TransientError):
    """The work folder cannot be used now: nobody's item is to blame, and nothing can be written down."""


class NotPublished(ConfigurationError):
    """A place holds no data set: its name is wrong, or nothing was published there yet."""


def attempt(work: Callable[[], T]) -> T | ItemError:
    """Return what `work` returns, or the ItemError it raised: the only place that holds on to one."""
    try:
        return work()
    except ItemError as error:
        return error
