"""Bodies of answers, from sites that may send too slowly or too much."""

import zlib
from collections.abc import AsyncIterator

import aiohttp

from curation.errors import ItemError
from curation.web import Surroundings
from curation.web.hosts import Trouble

NO_CODINGS = {"", "identity", "none", "utf-8"}  # the last two are mistakes that leave the bytes as they are


def coding(response: aiohttp.ClientResponse) -> str:
    """Return how a body is packed, "" if it is not."""
    names = ",".join(response.headers.getall("Content-Encoding", ())).lower().split(",")
    return ", ".join(name for name in map(str.strip, names) if name not in NO_CODINGS)


async def pieces(response: aiohttp.ClientResponse, surroundings: Surroundings) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Raises:
        Trouble: it comes too slowly.
    """
    limits, clock = surroundings.limits, surroundings.clock
    began, size_bytes = clock(), 0
    async for piece in response.content.iter_any():
        yield piece
        size_bytes += len(piece)
        spent_s = clock() - began
        if spent_s > limits.grace_s and size_bytes < spent_s * limits.min_bytes_per_s:
            raise Trouble("timed_out", f"less than {limits.min_bytes_per_s:,.0f} bytes a second")


async def page(
    response: aiohttp.ClientResponse, surroundings: Surroundings, max_bytes: int, *, is_cut: bool = False
) -> bytes:
    """Return a small body whole, unpacked if a server packs what it was asked not to pack.

    Args:
        is_cut: return the first `max_bytes` of a longer one.

    Raises:
        ItemError: "too_many_bytes" or "changed_site".
        Trouble: it comes too slowly.
    """
    packed = coding(response)
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed in ("gzip", "x-gzip", "deflate") else None
    if unpack is None and packed:
        raise ItemError("changed_site", f"the page is packed as {packed}")
    text, size_bytes = bytearray(), 0
    async for piece in pieces(response, surroundings):
        size_bytes += len(piece)  # of what is packed too: it may unpack to nothing, without end
        try:
            text += unpack.decompress(piece, max_bytes + 1 - len(text)) if unpack else piece
        except zlib.error as error:
            raise ItemError("changed_site", f"the page is damaged: {error}") from error
        if max(len(text), size_bytes) > max_bytes:
            if not is_cut:
                raise ItemError("too_many_bytes", f"more than {max_bytes:,} bytes")
            break
    else:
        if unpack and not unpack.eof:
            raise ItemError("changed_site", "the page is damaged: it ends too early")
    return bytes(text[:max_bytes])
