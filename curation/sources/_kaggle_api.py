"""Kaggle's API by its own client, kagglehub: what a data set is, and its archive.

Credentials are the client's business: it reads them from where Kaggle tells its users to put them. They go to Kaggle
alone: archives come from a storage host, by an address that is a secret in itself and is never shown.
"""

import base64
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from kagglehub.clients import build_kaggle_client
from kagglehub.integrity import get_md5_checksum_from_response
from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest, ApiGetDatasetRequest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from curation.errors import PARKED, ItemError
from curation.sources._archive import Archive
from curation.sources._kaggle_requests import MAX_REDIRECTS, behave, pieces
from curation.store import digest
from curation.web import Web
from curation.web.manners import refuse_opt_outs
from rules.errors import ConfigurationError

MAX_ARCHIVE_BYTES = 64 << 30
MAX_LENGTH_DIGITS = 20  # Python itself refuses to read numbers of thousands
SPARE_DISK_BYTES = 1 << 30  # what is read from an archive needs room, too
LEAST_PROGRESS_BYTES = 1 << 20  # of a download that was cut and goes on at once

REASONS = {401: "login_required", 403: "forbidden", 404: "gone", 410: "gone", 429: "rate_limited", 451: "not_available"}


@dataclass(frozen=True, slots=True)
class DataSet:
    """What Kaggle says of a data set; all texts as they came.

    Attributes:
        version: its current one.
        license: as its owner declared it.
    """

    owner: str
    name: str
    version: int
    license: str | None
    title: str | None
    owner_name: str | None


def ask(owner: str, name: str, web: Web) -> DataSet:
    """Return what Kaggle says of a data set.

    Raises:
        ItemError: it cannot be had; with a parked reason if it can be had later.
        ConfigurationError: the credentials cannot be read.
    """
    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = owner, name
    what = f"{owner}/{name}"
    with _client(web) as client, _answering(what), _believing(what):
        said = client.datasets.dataset_api_client.get_dataset(request)
    version = said.current_version_number
    if type(version) is not int or version < 1:
        raise ItemError("changed_site", f"{what}: version {version!r:.100}; expected a number from 1")
    texts = (said.license_name, said.title, said.owner_name)
    return DataSet(owner, name, version, *(text if isinstance(text, str) else None for text in texts))


def download(data_set: DataSet, path: Path, web: Web) -> None:
    """Fetch the archive of a data set's version; goes on where an earlier attempt was cut.

    Raises:
        ItemError: it cannot be had; with a parked reason if it can be had later.
        ConfigurationError: the credentials cannot be read.
    """
    before = _left_bytes(path)
    while True:
        try:
            return _download(data_set, path, web)
        except ItemError as error:
            now = _left_bytes(path)
            if error.reason not in PARKED or now < before + LEAST_PROGRESS_BYTES:
                raise
            before = now


def _download(data_set: DataSet, path: Path, web: Web) -> None:
    what = f"{data_set.owner}/{data_set.name}, version {data_set.version}"
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = data_set.owner, data_set.name
    request.dataset_version_number = data_set.version
    with _client(web) as client, _answering(what):
        with _believing(what):
            response = client.datasets.dataset_api_client.download_dataset(request)
        with response:
            refuse_opt_outs(CIMultiDictProxy(CIMultiDict(response.headers)))
            _refuse_message(response)
            total = _total(response)
            if (total or 0) > MAX_ARCHIVE_BYTES:
                raise ItemError("too_many_bytes", f"{what}: {total:,} bytes; at most {MAX_ARCHIVE_BYTES:,} are fetched")
            md5 = get_md5_checksum_from_response(response)
            part = _part(path, response, total)
            done = part.stat().st_size if part.exists() else 0
            room_bytes = _room_bytes(path.parent)
            if (total or 0) - done > room_bytes:
                raise ItemError("too_many_bytes", f"{what}: {total:,} bytes; the disk has room for {room_bytes:,}")
            if done == 0 or total is None or done > total:
                _save(response, part, 0, total)
            elif done < total:
                response.close()
                _resume(response, part, total, web)
    _check(part, md5, what)
    part.replace(path)


def _resume(first: requests.Response, part: Path, total: int, web: Web) -> None:
    """Fetch the rest of an archive; all of it, where the server gives no rest."""
    done = part.stat().st_size
    headers = {"Range": f"bytes={done}-", "If-Range": first.headers["ETag"]}
    with requests.Session() as session:  # not the client's: that one holds the credentials
        behave(session, web)
        with session.get(first.url, headers=headers, stream=True) as response:
            if response.ok:
                _refuse_message(response)
            span = f"bytes {done}-{total - 1}/{total}"
            is_rest = response.status_code == 206
            is_right = response.headers.get("Content-Range") == span if is_rest else response.status_code != 416
            if response.ok and response.headers.get("ETag") != first.headers["ETag"] or not is_right:
                part.unlink()
                raise ItemError("incomplete", "the storage host cannot go on with the archive; it begins anew")
            response.raise_for_status()
            _save(response, part, done if is_rest else 0, total)


def _refuse_message(response: requests.Response) -> None:
    """Return if an answer may be an archive: a message must not take the place of what came of one."""
    kind = response.headers.get("Content-Type", "").lower()
    if kind.startswith("text/") or "json" in kind:
        raise ItemError("changed_site", f"{URL(response.url).host} sends {kind:.80}; expected an archive")


def _save(response: requests.Response, part: Path, done: int, total: int | None) -> None:
    with ExitStack() as undo:
        if total is None:  # it could not be gone on with
            undo.callback(part.unlink, missing_ok=True)
        with part.open("ab" if done else "wb") as out:
            for piece in pieces(response):
                done += len(piece)
                if done > MAX_ARCHIVE_BYTES:
                    raise ItemError("too_many_bytes", f"more than {MAX_ARCHIVE_BYTES:,} bytes")
                if len(piece) > _room_bytes(part.parent):
                    raise ItemError("too_many_bytes", "the disk has no room for the rest of the archive")
                out.write(piece)
        undo.pop_all()
    if total is not None and done != total:
        raise ItemError("incomplete", f"{done:,} of {total:,} bytes came")


def _room_bytes(folder: Path) -> int:
    return max(0, shutil.disk_usage(folder).free - SPARE_DISK_BYTES)


def _check(part: Path, md5: str | None, what: str) -> None:
    """Raise if it is not what was to come; then nothing of it is kept."""
    try:
        if md5:
            with part.open("rb") as file:
                found = hashlib.file_digest(file, "md5").digest()
            if base64.b64encode(found).decode() != md5:
                raise ItemError("incomplete", f"{what}: the archive has not the checksum that came with it")
        try:
            Archive(part).close()
        except ItemError as error:
            raise ItemError("changed_site", f"{what}: what came is no zip archive: {error.detail}") from error
    except ItemError:
        part.unlink()
        raise


def _total(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    is_number = length.isdecimal() and len(length) < MAX_LENGTH_DIGITS
    return int(length) if is_number and "Content-Encoding" not in response.headers else None


def _part(path: Path, response: requests.Response, total: int | None) -> Path:
    """Return where an unfinished archive lies: only what its server still calls by the same ETag is gone on with."""
    etag = response.headers.get("ETag", "")
    is_stored = response.request.method == "GET"  # not by Kaggle itself, which is asked by POST
    is_resumable = is_stored and etag.startswith('"') and response.headers.get("Accept-Ranges") == "bytes"
    part = path.with_name(f"{path.name}.{digest([etag, total])[:16]}.part")
    for other in _parts(path):
        if other != part or not is_resumable:
            other.unlink()
    return part


def _parts(path: Path) -> list[Path]:
    return [other for other in path.parent.glob("*.part") if other.name.startswith(f"{path.name}.")]


def _left_bytes(path: Path) -> int:
    return sum(part.stat().st_size for part in _parts(path))


@contextmanager
def _client(web: Web) -> Iterator[Any]:
    """Give Kaggle's client, which asks as all of artune does."""
    try:
        client = build_kaggle_client()
    except ValueError as error:
        raise ConfigurationError(f"kaggle: {error}") from None
    with client:
        behave(client.http_client()._session, web)
        yield client


@contextmanager
def _answering(what: str) -> Iterator[None]:
    """Turn what Kaggle's client raises into what artune says; never with the client's words: they hold addresses."""
    try:
        yield
    except requests.HTTPError as error:
        raise _refused(error, what) from None
    except requests.TooManyRedirects:
        raise ItemError("too_many_redirects", f"{what}: more than {MAX_REDIRECTS}") from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL):
        raise ItemError("address_refused", f"{what}: Kaggle leads to what is no http or https address") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise ItemError("timed_out", f"{what}: no answer in time") from None
    except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError):
        raise ItemError("incomplete", f"{what}: the answer was cut off") from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise ItemError("unreachable", f"{what}: {type(error).__name__}") from None
    except requests.exceptions.InvalidJSONError:
        raise ItemError("changed_site", f"{what}: the answer is no JSON") from None


@contextmanager
def _believing(what: str) -> Iterator[None]:
    """Catch what Kaggle's client stumbles over: it takes every answer for what it should be."""
    try:
        yield
    except requests.RequestException:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ItemError("changed_site", f"{what}: {type(error).__name__} while reading the answer") from None


def _refused(error: requests.HTTPError, what: str) -> ItemError:
    response: Any = error.response
    status = response.status_code
    if response.ok:  # the client reads a code from the answer, too
        status = response.json()["code"]  # any number from 400
    advice = "; is it private, or are the credentials wrong?" if status in (401, 403) else ""
    reason = REASONS.get(status) or ("server_error" if status >= 500 else "changed_site")
    return ItemError(reason, f"{what}: {URL(response.url).host} answers {status!s:.20}{advice}")
