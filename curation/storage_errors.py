"""What storages refuse, in words to act on: folders, and buckets that clients of other packages ask."""

import errno
import sys

from curation.disk import FULL
from curation.errors import TransientError
from rules.errors import ConfigurationError

_BUSY = (errno.EBUSY, errno.ETIMEDOUT, errno.EAGAIN, errno.EREMOTEIO, errno.EIO)  # so s3fs tells of what S3 answers
_CUT_OFF = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET)
MAX_SAID_CHARS = 300
GOES_ON = "; the same command goes on from there"


def of_clients() -> tuple[type[Exception], ...]:
    """Return the errors of clients that are in use which are no OSError."""
    if "botocore" not in sys.modules:
        return ()
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

    return BotoCoreError, ClientError


def told(error: Exception, where: str, doing: str, *, is_local: bool) -> ConfigurationError | TransientError:
    """Return the error of a storage as one of ours: a person can do something about it, or it may pass later.

    Args:
        where: the folder or address.
        doing: what it was asked for: "it may not be asked to ...".
    """
    said = _said(error)
    if isinstance(error, OSError):
        return _told_of_system(error, where, doing, is_local)
    names = {kind.__name__ for kind in type(error).__mro__}  # of clients that need not be installed
    if names & {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}:
        return ConfigurationError(
            f"{where}: there are no credentials{said}: expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
            "environment, or a profile of the AWS command line"
        )
    if names & {"ConnectionError", "HTTPClientError", "ClientError", "IncompleteReadError"}:
        return TransientError(f"{where} cannot be reached, or cut the connection, when asked to {doing}{said}{GOES_ON}")
    return ConfigurationError(f"{where}: it could not be asked to {doing}{said}: expected a bucket that is there")


def _told_of_system(error: OSError, where: str, doing: str, is_local: bool) -> ConfigurationError | TransientError:
    said = _said(error)
    if error.errno in FULL:
        return ConfigurationError(f"{where}: the disk is full, when asked to {doing}; make room{GOES_ON}")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        who = "this user" if is_local else "these credentials"
        return ConfigurationError(f"{where}: {who} may not {doing}{said}: expected a place that may be written to")
    if isinstance(error, FileNotFoundError) and not is_local:
        return ConfigurationError(
            f"{where} is not there, when asked to {doing}{said}: expected a bucket; make it first"
        )
    if is_busy(error) and (not is_local or isinstance(error, ConnectionError | TimeoutError)):
        return TransientError(f"{where} is busy or cannot be reached, when asked to {doing}{said}{GOES_ON}")
    return ConfigurationError(f"{where}: it could not be asked to {doing}{said}: expected a folder or a bucket")


def is_busy(error: OSError) -> bool:
    """Say whether the same request may pass later."""
    return isinstance(error, (ConnectionError, TimeoutError, *of_clients())) or error.errno in (*_BUSY, *_CUT_OFF)


def _said(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f" ({line[:MAX_SAID_CHARS]})" if line else ""
