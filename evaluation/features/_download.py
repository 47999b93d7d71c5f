"""Weights from the web: one file, fetched once into torch's own cache, read from there only if its hash is right."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx2
import torch

from curation.errors import TransientError
from rules.errors import ConfigurationError

TIMEOUT = httpx2.Timeout(60)  # of each piece: a large file takes as long as it takes
MAX_BYTES = 20_000_000_000  # ten times the largest file of weights that is published for measures
MAX_REDIRECTS = 5
PIECE_BYTES = 1 << 20
_BUSY = (408, 425, 429, *range(500, 600))


def downloaded(address: str, sha256: str | None, is_official: bool) -> Path:
    """Return a file of weights here.

    Official ones are shared with the libraries that published them, which keep them in the same place by the same name:
    whoever has them from there, or puts them there by hand, needs no web.

    Args:
        sha256: of the file, or how that begins. Only an official one may do without, if its publisher tells none.
        is_official: the address is where weights were published that the literature knows.

    Raises:
        ConfigurationError: there is no such file, or it is another one.
        TransientError: the web is busy or cannot be reached.
    """
    if sha256 is None and not is_official:
        raise ConfigurationError(f"{address}: expected sha256 beside it, of the file that must be there")
    path = _place(address, is_official)
    if path.is_file() and (sha256 is None or sha256_of(path).startswith(sha256)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=f"{path.name}.", dir=path.parent, delete=False) as file:
        written = Path(file.name)
    try:
        with written.open("wb") as file:
            has = _fetch(address, file)
        if sha256 is not None and not has.startswith(sha256):
            raise ConfigurationError(f"{address}: its SHA-256 is {has}, expected {sha256}: there is another file now")
        written.replace(path)
    except httpx2.HTTPError as error:
        raise TransientError(f"{address}: it cannot be fetched ({type(error).__name__}); {_by_hand(path)}") from None
    except (ConfigurationError, TransientError) as error:
        raise type(error)(f"{error}; {_by_hand(path)}") from None
    finally:
        written.unlink(missing_ok=True)
    return path


def _by_hand(path: Path) -> str:
    return f"or get it elsewhere and save it as {path}"


def _place(address: str, is_official: bool) -> Path:
    """Return where the file of an address is kept; two addresses never share a file."""
    name = Path(unquote(urlsplit(address).path)).name
    own = "" if is_official else hashlib.sha256(address.encode()).hexdigest()[:8] + "-"
    return Path(torch.hub.get_dir()) / "checkpoints" / (own + name)


def _fetch(address: str, file: BinaryIO) -> str:
    """Write what lies at an address; return its SHA-256."""
    digest, n_bytes = hashlib.sha256(), 0
    with _answer(address) as response:
        for piece in response.iter_bytes(PIECE_BYTES):
            n_bytes += len(piece)
            if n_bytes > MAX_BYTES:
                raise ConfigurationError(f"{address}: expected at most {MAX_BYTES:,} bytes")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


@contextmanager
def _answer(address: str) -> Iterator[httpx2.Response]:
    """Give the answer of an address after its redirects, none of which leaves encryption."""
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise ConfigurationError(f"{address}: expected the address of a file ({error})") from None
    with httpx2.Client(timeout=TIMEOUT, follow_redirects=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            with client.stream("GET", url) as response:
                if response.next_request is None:
                    _judge(address, response)
                    yield response
                    return
                target = response.next_request.url
            if target.scheme != url.scheme:
                raise ConfigurationError(f"{address}: it leads to {target.scheme}: expected {url.scheme} all the way")
            url = target
    raise ConfigurationError(f"{address}: it leads from one address to the next")


def _judge(address: str, response: httpx2.Response) -> None:
    if response.status_code in _BUSY:
        raise TransientError(f"{address}: the site is busy (status {response.status_code})")
    if response.status_code != 200:
        raise ConfigurationError(f"{address}: the site does not give it (status {response.status_code})")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
