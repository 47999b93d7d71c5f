"""What the Hub refuses, in words that a person can act on; no token and no signed address is in them."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import HfApi, get_session
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OIDCError
from huggingface_hub.utils.tqdm import disable_progress_bars

from curation.errors import TransientError
from rules.errors import ConfigurationError

# Without limits a connection that died silently would hold a run for good. Sending has to move on within a minute; to
# commit thousands of files may take the server longer.
TIMEOUT = httpx2.Timeout(60, read=600)
MAX_SAID_CHARS = 300
GOES_ON = "; the same command goes on from there"
TOKEN_ADVICE = (
    "expected one that may write: make it at https://huggingface.co/settings/tokens, then `hf auth login`, or set the "
    "environment variable HF_TOKEN"
)

_BUSY = (408, 425, 429, *range(500, 600))
_REFUSALS = {
    400: "the Hub does not accept what it was sent to {doing}{said}",
    401: (
        "the Hub does not know the token, when asked to {doing}{said}: it may be revoked or expired; " + TOKEN_ADVICE
    ),
    402: "the Hub wants to be paid to {doing}{said}: expected a plan of the owner that has room for it",
    403: (
        "the Hub does not let this token {doing}{said}: expected one that may write there, and an owner whose storage "
        "has room"
    ),
    404: (
        "there is nothing on the Hub to {doing}{said}: it was deleted or renamed meanwhile, or is hidden from this "
        "token; run the same command again to see what is there"
    ),
    409: "somebody else changed it meanwhile, when asked to {doing}{said}: nothing is overwritten; run it again",
    412: "somebody else changed it meanwhile, when asked to {doing}{said}: nothing is overwritten; run it again",
    413: (
        "it is too large for the Hub, or for a proxy before it, when asked to {doing}{said}: ask who runs that for more"
    ),
}
_REFUSALS[422] = _REFUSALS[400]
_OF_XET = (ConnectionError, TimeoutError, PermissionError)  # those of the operating system have a number


@contextmanager
def asking(repo_id: str, doing: str) -> Iterator[HfApi]:
    """Give a client of the Hub, with the token that huggingface_hub finds; what it raises comes out as our errors.

    Nothing but calls of it belongs into the block.

    Args:
        doing: what is asked for: "the Hub does not let this token ...".

    Raises:
        ConfigurationError: the Hub refuses, and a person can do something about it.
        TransientError: it is busy or cannot be reached.
    """
    disable_progress_bars()  # in this process, which may be a worker's: they would garble ours
    logging.getLogger("huggingface_hub.utils._http").addFilter(_without_keys)  # it warns of each try that it repeats
    get_session().timeout = TIMEOUT
    try:
        yield HfApi(token=True)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, RuntimeError, ValueError, OIDCError) as error:
        told = _told(error, repo_id, doing)
        if told is None:
            raise
        raise told from None  # the cause would print addresses with their keys


def _without_keys(record: logging.LogRecord) -> bool:
    """Let a line of a log pass without what makes the addresses in it keys."""
    record.msg, record.args = _clean(record.getMessage()), ()
    return True


def _told(error: Exception, repo_id: str, doing: str) -> ConfigurationError | TransientError | None:
    """Return what to raise instead of an error; None of one that is a bug."""
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo_id, doing)
    if isinstance(error, LocalTokenNotFoundError):
        return ConfigurationError(f"{repo_id}: there is no token for the Hub: {TOKEN_ADVICE}")
    if isinstance(error, OIDCError):
        return ConfigurationError(f"{repo_id}: no token for the Hub could be had: {_clean(str(error))}")
    if isinstance(error, OfflineModeIsEnabled):
        return ConfigurationError(f"{repo_id}: HF_HUB_OFFLINE is set: expected to be allowed to ask the Hub; unset it")
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return ConfigurationError(f"{repo_id}: HF_ENDPOINT: expected the address of a Hub: {_clean(str(error))}")
    if isinstance(error, httpx2.RequestError) or (isinstance(error, _OF_XET) and error.errno is None):
        return _unreachable(error, repo_id, doing)
    if isinstance(error, json.JSONDecodeError):
        return TransientError(
            f"{repo_id}: what answered is not the Hub, or it is out of order, when asked to {doing}: its answer is no "
            f"JSON. If HF_ENDPOINT is right, try later{GOES_ON}"
        )
    if type(error) is RuntimeError:
        return _failed_upload(error, repo_id, doing)
    if isinstance(error, ValueError) and re.match("LFS batch API|Invalid metadata|Malformed response", str(error)):
        return ConfigurationError(f"{repo_id}: {_REFUSALS[400].format(doing=doing, said=_said(str(error)))}")
    return None


def _refused(error: HfHubHTTPError, repo_id: str, doing: str) -> ConfigurationError | TransientError:
    """Return what to raise where the Hub, or the storage that it leads to, answered with an error."""
    status, request = error.response.status_code, error.response.request
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    said = _said(error.server_message or "", key)
    if request.method == "PUT" and status in (400, 403):  # of storage: its links hold for some hours only
        return TransientError(f"{repo_id}: the storage of the Hub refused ({status}) to {doing}{said}{GOES_ON}")
    if status in _BUSY:
        after = error.response.headers.get("retry-after", "")
        wait = f", for {after} s" if after.isdecimal() else ""
        what = f"asks for patience (429){wait}," if status == 429 else f"fails ({status})"
        return TransientError(f"{repo_id}: the Hub {what} when asked to {doing}{said}{GOES_ON}")
    text = _REFUSALS.get(status, "the Hub refuses to {doing}{said}").format(doing=doing, said=said)
    number = f", request {_clean(error.request_id)}" if error.request_id else ""
    return ConfigurationError(f"{repo_id}: {text} (status {status}{number})")


def _unreachable(error: Exception, repo_id: str, doing: str) -> ConfigurationError | TransientError:
    """Return what to raise where no answer came; hf_xet tells of every answer that it got in this way, too."""
    status = re.search(r"client error \((40[0134]) ", str(error))
    if status:
        text = _REFUSALS[int(status[1])].format(doing=doing, said="")
        return ConfigurationError(f"{repo_id}: {text} (status {status[1]}, of Xet)")
    return TransientError(
        f"{repo_id}: the Hub at {HfApi().endpoint} cannot be reached, or cut the connection, when asked to {doing}"
        f"{_said(str(error))}{GOES_ON}"
    )


def _failed_upload(error: RuntimeError, repo_id: str, doing: str) -> ConfigurationError | TransientError | None:
    """Return what to raise where bytes could not be sent: huggingface_hub and hf_xet wrap whatever it was."""
    if isinstance(error.__cause__, Exception):
        return _told(error.__cause__, repo_id, doing)
    return TransientError(f"{repo_id}: the storage of the Hub failed to {doing}{_said(str(error))}{GOES_ON}")


def _said(text: str, secret: str = "") -> str:
    said = _clean(text.replace(secret, "...") if secret else text)
    return f" ({said})" if said else ""


def _clean(text: str) -> str:
    """Return text from outside on one line, without tokens and without what makes an address a key."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    bare = re.sub(r"(https?://[^\s?#'\"<>)]*)[?#][^\s'\"<>)]*", r"\1", line)
    return re.sub(r"\b(hf_|Bearer )\w+", r"\1...", bare)[:MAX_SAID_CHARS]
