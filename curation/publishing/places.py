"""The places that a release is published to, as a person names them: on the Hub, a folder, or a bucket."""

import re
from pathlib import Path

from rules.errors import ConfigurationError

_EXPECTED = (
    "expected owner/name on the Hub, a folder that begins with / or ./ or ~, or an address like s3://bucket/folder"
)
_FOLDER = ("/", "./", "../", "~")
_PAGE = re.compile(r"(?:https?://[^/]+|hf:/)/datasets/([^/@?#]+/[^/@?#]+)")  # of a repository, in a browser or fsspec


def is_hub(where: str) -> bool:
    """Say whether a place is meant as a repository on the Hub; it tells by how it begins, and asks nobody.

    Raises:
        ConfigurationError: it can be neither that, nor a folder, nor an address of storage.
    """
    scheme, is_address, _ = where.partition("://")
    if is_address and scheme.lower() in ("hf", "http", "https"):
        page = _PAGE.match(where)  # the address itself is not told: it may hold a password
        raise ConfigurationError(
            f"an address of {scheme}://: {_EXPECTED}" + (f"; did you mean {page[1]}?" if page else "")
        )
    if is_address or where in (".", "..") or where.startswith(_FOLDER):
        return False
    if "/" not in where:
        raise ConfigurationError(f"{where!r}: {_EXPECTED}")
    return True


def whole(where: str) -> str:
    """Return a place as it is called from anywhere: a folder by its whole path.

    Raises:
        ConfigurationError: as `is_hub`.
    """
    return where if is_hub(where) or "://" in where else str(Path(where).expanduser().absolute())
