"""What yt-dlp's errors mean for an item: it says all in sentences, YouTube's and its own."""

import re
from collections.abc import Iterator

from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import ContentTooShortError, GeoRestrictedError, YoutubeDLError

from curation.errors import ItemError

# The first that fits counts.
SAYINGS = [
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        ("timed_out", "timed out"),
        ("incomplete", "got error|more expected|bytes, expected|did not get any data"),
        ("rate_limited", "not a bot|captcha|rate-?limited|try again later|IP is likely being blocked|unusual traffic"),
        ("login_required", "confirm your age|age-restricted|inappropriate for some|members[- ]only|channel's members"),
        ("login_required", "join this channel|requires payment|purchase|premium members"),
        ("not_available", "in your country|private|DRM|premieres? in|live event|is live|will begin|offline"),
        ("gone", "removed|terminated|deleted|closed|not exist|no longer available|isn.t available|unavailable"),
        ("gone", "unviewable|does not have a videos tab|entity was not found"),
        ("not_available", "requested format is not available|no video formats|page needs to be reloaded"),
        ("login_required", "sign in|log ?in|confirm that you"),
    )
]
STATUSES = {401: "login_required", 402: "login_required", 404: "gone", 410: "gone", 451: "not_available"}

# What yt-dlp raises: its own, and what it stumbles with where YouTube's answer is of a form that it does not know.
STUMBLES = (AttributeError, LookupError, TypeError, ValueError)
ERRORS = (YoutubeDLError, *STUMBLES)

ADVICE = re.compile(r"Use --|; please report|\. See +http|You might want to use|Giving up after")
PREFIX = re.compile(r"(ERROR: |WARNING: )?(\[[\w:+-]+\] )?([\w-]{11}: )?", re.ASCII)
COLOR = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS = re.compile(r"[a-z]+://\S+", re.IGNORECASE)


def refusal(error: BaseException) -> ItemError:
    """Return why an item cannot be had, or not now.

    Raises:
        OSError: this machine failed, not YouTube.
    """
    if isinstance(error, STUMBLES):
        return ItemError("changed_site", f"yt-dlp does not know what it got: {type(error).__name__}")
    text = said(str(error))
    for cause in _causes(error):
        if isinstance(cause, HTTPError):
            return ItemError(STATUSES.get(cause.status, "forbidden"), f"YouTube answered {cause.status}")
        if isinstance(cause, (TransportError, ContentTooShortError)):
            return ItemError(*no_answer("YouTube", cause))
        if isinstance(cause, GeoRestrictedError):
            return ItemError("not_available", text)
        if isinstance(cause, OSError):  # a full disk is nobody's refusal
            raise cause
    return ItemError(next((reason for reason, pattern in SAYINGS if pattern.search(text)), "changed_site"), text)


def no_answer(host: str, error: BaseException) -> tuple[str, str]:
    """Return reason and detail for a host that could not be reached, or did not go on."""
    if isinstance(error, (IncompleteRead, ContentTooShortError)):
        return "incomplete", f"the answer of {host} was cut off"
    reason = "timed_out" if "timed out" in str(error).lower() else "unreachable"
    return reason, f"{host} did not answer"


def said(text: str) -> str:
    """Return a message of yt-dlp without its advice, and without addresses: they are signed."""
    text = PREFIX.sub("", COLOR.sub("", text).strip(), count=1)
    return ADDRESS.sub("(address)", ADVICE.split(text)[0]).strip()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, which yt-dlp notes in three ways."""
    seen = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        information = getattr(error, "exc_info", None)
        error = getattr(error, "cause", None) or (information[1] if information else None) or error.__cause__
