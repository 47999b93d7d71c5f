"""yt-dlp's own client of the web, but with a look at where each connection and each redirect leads."""

import http.client
import io
import urllib.parse
import urllib.request
import urllib.response
import zlib
from collections.abc import Callable
from typing import Any

from yt_dlp.networking._urllib import HTTPHandler, RedirectHandler, UrllibRH
from yt_dlp.networking.exceptions import RequestError

from curation.errors import ItemError

MAX_PAGE_BYTES = 32 << 20  # the player's script is the largest page, with 3 MB


class Refused(RequestError):  # type: ignore[misc]  # yt-dlp has no types
    """A request that must not be made, found where only yt-dlp's own errors pass."""

    def __init__(self, error: ItemError) -> None:
        super().__init__(str(error))
        self.error = error


class _Connection(HTTPHandler):  # type: ignore[misc]
    def __init__(self, connect: Callable[..., Any], **options: object) -> None:
        super().__init__(**options)
        self._connect = connect

    def do_open(self, http_class: Callable[..., http.client.HTTPConnection], req: Any, **options: Any) -> Any:  # noqa: ANN401
        def made(*arguments: Any, **named: Any) -> http.client.HTTPConnection:  # noqa: ANN401
            connection = http_class(*arguments, **named)
            connection._create_connection = self._connect  # type: ignore[attr-defined]
            return connection

        return super().do_open(made, req, **options)

    def http_response(self, req: Any, resp: Any) -> Any:  # noqa: ANN401
        """Unpack a page, but not a bomb."""
        packed = resp.headers.get("Content-Encoding", "").strip().lower()
        if packed in ("", "identity"):
            return resp
        if packed != "gzip":
            raise Refused(ItemError("changed_site", f"packed as {packed}, which was not asked for"))
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        page = unpacker.decompress(resp.read(MAX_PAGE_BYTES), MAX_PAGE_BYTES)
        if len(page) == MAX_PAGE_BYTES:
            raise Refused(ItemError("too_many_bytes", f"a page has more than {MAX_PAGE_BYTES:,} bytes"))
        if not unpacker.eof:
            raise http.client.IncompleteRead(page)
        unpacked = urllib.response.addinfourl(io.BytesIO(page), resp.headers, resp.url, resp.code)
        unpacked.msg = resp.msg  # type: ignore[attr-defined]
        return unpacked

    https_response = http_response


class _Redirects(RedirectHandler):  # type: ignore[misc]
    def __init__(self, check: Callable[[str], str]) -> None:
        self._check = check

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:  # noqa: ANN401
        try:
            self._check(urllib.parse.urljoin(req.full_url, headers.get("Location") or ""))
        except ItemError as error:
            raise Refused(error) from None
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class CheckedRH(UrllibRH):  # type: ignore[misc]
    """yt-dlp's own client without ftp, data, files and proxies, whose connections and redirects are checked."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")

    def __init__(self, *, check: Callable[[str], str], connect: Callable[..., Any], **options: object) -> None:
        super().__init__(**options)
        self._check, self._connect = check, connect

    def _prepare_headers(self, _: object, headers: Any) -> None:  # noqa: ANN401
        headers.setdefault("Accept-Encoding", "gzip")

    def _create_instance(self, proxies: object, cookiejar: object, legacy_ssl_support: object = None) -> Any:  # noqa: ANN401
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Connection(self._connect, context=self._make_sslcontext()),
            urllib.request.HTTPCookieProcessor(cookiejar),  # type: ignore[arg-type]
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(self._check),
        ):
            opener.add_handler(handler)
        opener.addheaders = []
        return opener
