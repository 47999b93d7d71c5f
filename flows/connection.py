"""Prefect's server: its address as it may be shown, and one sentence instead of a traceback where it is not there."""

import sys
from urllib.parse import urlsplit, urlunsplit

from curation.errors import TransientError

_UNREACHED = "Failed to reach API"  # the RuntimeError of Prefect's client where it finds no server at the start


def shown(address: str) -> str:
    """Return an address of a server as a person opens it, without a user and a password."""
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return urlunsplit(bare).rstrip("/").removesuffix("/api")


def errors() -> tuple[type[Exception], ...]:
    """Return what Prefect's client raises where its server is gone; nothing where Prefect was never imported."""
    if "prefect" not in sys.modules:
        return ()
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    return httpx.TransportError, PrefectHTTPStatusError, RuntimeError


def told(error: Exception) -> TransientError:
    """Return one of these errors as a sentence; what is none of them is raised again.

    Args:
        error: of the types that `errors` returns.
    """
    if isinstance(error, RuntimeError) and not str(error).startswith(_UNREACHED):
        raise error
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL

    if isinstance(error, PrefectHTTPStatusError) and not error.response.is_server_error:
        raise error  # a request that it refuses is a bug of ours
    if address := PREFECT_API_URL.value():
        which = f"the Prefect server at {shown(address)}"
        advice = "start it, or set PREFECT_API_URL to another"
    else:
        which, advice = "the Prefect server that artune had started", "nothing is lost"
    return TransientError(f"{which} does not answer: {advice}; the same command goes on from there")
