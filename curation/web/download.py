"""One file from the web into the blobs: resumed where it was cut, refused as soon as it cannot pass."""

import contextlib
import re
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from curation import media_types
from curation.collect import MAX_IMAGE_BYTES, MAX_RECORDING_BYTES
from curation.errors import PARKED, ItemError
from curation.media_types import HEAD_BYTES, Modality
from curation.sources import Fetched
from curation.store import Home
from curation.web import Download, Surroundings
from curation.web.body import HTTP_DATE, Body
from curation.web.hosts import Trouble
from curation.web.reading import coding, pieces

if TYPE_CHECKING:
    from curation.web.client import Client

MAX_BYTES: dict[Modality, int] = {"image": MAX_IMAGE_BYTES, "music": MAX_RECORDING_BYTES}
MAX_HEADER_CHARS = 1_000
TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')  # RFC 9110, 8.8.3
PAGES = {"text/html", "application/xhtml+xml", "application/json", "text/plain", "text/xml"}
BLANK = b"\xef\xbb\xbf \t\r\n"


async def download(client: "Client", request: Download, home: Home) -> Fetched:
    """Fetch a file.

    Raises:
        ItemError: it cannot be had, or not now.
    """
    body = Body(home, request.address)
    try:
        return await client.tried(lambda: _attempt(client, request, home, body))
    finally:
        body.close()


async def _attempt(client: "Client", request: Download, home: Home, body: Body) -> Fetched:
    rest = body.resume()
    headers = rest or _condition(request.known, home)
    if request.page:
        headers |= _referer(request.page)
    try:
        async with client.answer(request.address, headers, is_kept=True) as response:
            if response.status == 304 and request.known and not rest:
                return request.known
            if response.status != 200 and not rest:
                raise ItemError("changed_site", f"HTTP {response.status}")
            return await _store(response, request, body, client.surroundings)
    except Trouble:
        body.keep()
        raise
    except ItemError as error:
        if error.reason not in PARKED:
            body.discard()
        raise


async def _store(
    response: aiohttp.ClientResponse, request: Download, body: Body, surroundings: Surroundings
) -> Fetched:
    if packed := coding(response):
        raise ItemError("not_media", f"it is packed as {packed}, which was not asked for")
    if response.status == 416 or not await body.begin(response):
        body.discard()
        raise Trouble("incomplete", "the server does not go on where it ended")
    modality = None
    async for piece in pieces(response, surroundings):
        body.add(piece)
        if modality is None and body.size_bytes >= HEAD_BYTES:
            modality = _modality(body.head, request, response)
        if modality and max(body.size_bytes, body.total_bytes or 0) > MAX_BYTES[modality]:
            raise ItemError("too_many_bytes", f"more than {MAX_BYTES[modality]:,} bytes")
    if body.total_bytes is not None and body.size_bytes != body.total_bytes:
        raise Trouble("incomplete", f"{body.size_bytes:,} of {body.total_bytes:,} bytes")
    modality = modality or _modality(body.head, request, response)
    sha256, size_bytes = await body.adopt()
    return Fetched(
        modality, sha256, size_bytes, _header(response, "ETag", TAG), _header(response, "Last-Modified", HTTP_DATE)
    )


def _modality(head: bytes, request: Download, response: aiohttp.ClientResponse) -> Modality:
    """Return what a body is by its first bytes.

    Raises:
        ItemError: it is not what was asked for.
    """
    if not head:
        raise ItemError("empty_file", "0 bytes")
    modality = media_types.modality(head)
    begins = f"{response.content_type}, begins with {head[:16]!r}"
    if modality is None:
        is_page = response.content_type in PAGES or head.lstrip(BLANK).startswith((b"<", b"{", b"["))
        raise ItemError("not_media" if is_page else "unknown_type", begins)
    if request.modality not in (None, modality):
        raise ItemError("not_media", f"{begins}: expected {request.modality}")
    return modality


def _condition(known: Fetched | None, home: Home) -> dict[str, str]:
    """Return the headers that ask for a file only if it changed."""
    if known and home.blob(known.sha256).exists():
        if known.etag and TAG.fullmatch(known.etag):
            return {"If-None-Match": known.etag}
        if known.last_modified and HTTP_DATE.fullmatch(known.last_modified):
            return {"If-Modified-Since": known.last_modified}
    return {}


def _referer(page: str) -> dict[str, str]:
    with contextlib.suppress(ValueError):
        url = URL(page)
        if url.scheme in ("http", "https") and "@" not in url.raw_authority:
            return {"Referer": str(url.with_fragment(None))}
    return {}


def _header(response: aiohttp.ClientResponse, name: str, form: re.Pattern[str]) -> str | None:
    value = response.headers.get(name, "")
    return value if len(value) <= MAX_HEADER_CHARS and form.fullmatch(value) else None
