"""Work folders on object storage: paths of S3, and of what speaks its language, that code uses as it uses a folder's.

Only addresses make anything import this module, for its clients take long to import.
"""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from curation.errors import HomeBusy, TransientError
from curation.publishing.storage import opened, options
from curation.storage_errors import is_busy, of_clients, told
from rules.errors import ConfigurationError

try:
    from fsspec.asyn import sync_wrapper
    from fsspec.spec import AbstractBufferedFile
    from s3fs import S3FileSystem
    from upath import UPath
    from upath.implementations.cloud import S3Path
    from upath.registry import register_implementation
except ImportError as error:
    raise ConfigurationError(
        f"a work folder on object storage needs packages that are not installed ({error.name}): "
        "pip install 'artune[s3]'"
    ) from error

PROTOCOLS = ("s3", "s3a")
READ_AHEAD_BYTES = 1 << 20  # a column of Parquet beside media: what is read beyond it is thrown away
PART_BYTES = 16 << 20  # of a file that is sent in parts; S3 takes 10,000 of them, and each may be tried again
SHA256 = "sha256"  # what an object's own metadata say of its bytes
DELETED_AT_ONCE = 1_000  # the most that S3 takes in one request
APART = 2  # connections of a client that renews leases
NOBODY_SENDS_FOR = timedelta(days=1)  # one file: what was begun before is what a dead process left
_LATER = (408, 409, 425, 429)  # answers that say that the same request may pass later
_DOING = {
    "put_object": "write",
    "upload_part": "write",
    "create_multipart_upload": "write",
    "complete_multipart_upload": "write",
    "copy_object": "write",
    "delete_object": "delete",
    "delete_objects": "delete files",
    "get_object": "read",
    "head_object": "look for",
    "head_bucket": "look at it",
    "list_objects_v2": "list",
}


class NotOffered(ConfigurationError):
    """A storage does not know what it is asked for."""


class _Client(S3FileSystem):  # type: ignore[misc] # it is not followed
    """The client of S3; what it raises for a person or for time to mend comes out as our errors, from wherever."""

    async def _call_s3(self, method: str, *parameters: Any, **more: Any) -> Any:  # noqa: ANN401
        try:
            return await super()._call_s3(method, *parameters, **more)
        except (OSError, *of_clients()) as error:  # type: ignore[misc] # mypy does not read a tuple put together
            raise _ours(error, method, more) from None  # the cause may hold parts of keys

    call_s3 = sync_wrapper(_call_s3)

    async def _cat_file(self, path: str, *parameters: Any, **more: Any) -> Any:  # noqa: ANN401
        with _reading(self, path):
            return await super()._cat_file(path, *parameters, **more)

    async def _read_with_head(self, path: str) -> tuple[bytes, Any]:
        """Return the content of a small file with what the storage says of it, both of one moment."""
        with _reading(self, path):
            head = await self._call_s3("get_object", **_named(self, path))
            return await head["Body"].read(), head

    read_with_head = sync_wrapper(_read_with_head)

    async def _get_file(self, rpath: str, lpath: str, **more: Any) -> None:  # noqa: ANN401
        with _reading(self, rpath):
            await super()._get_file(rpath, lpath, **more)

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:  # noqa: ANN401
        return _Ranges(self, path, mode, **more) if mode == "rb" else super()._open(path, mode, **more)


class _Ranges(AbstractBufferedFile):  # type: ignore[misc] # it is not followed
    """A file that is read by ranges."""

    def __init__(self, files: _Client, path: str, mode: str, block_size: int | None = None, **more: Any) -> None:  # noqa: ANN401
        del more
        super().__init__(files, path, mode, block_size or READ_AHEAD_BYTES)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return cast(bytes, self.fs.cat_file(self.path, start=start, end=end)) if end > start else b""


def _named(files: _Client, path: str) -> dict[str, str]:
    bucket, key, _ = files.split_path(path)
    return {"Bucket": bucket, "Key": key}


@contextmanager
def _reading(files: _Client, path: str) -> Iterator[None]:
    """Tell of a body that was cut off in the middle as of a request that failed; errors of the local disk pass."""
    try:
        yield
    except (OSError, *of_clients()) as error:  # type: ignore[misc] # as above
        if isinstance(error, OSError) and not is_busy(error):
            raise
        raise _ours(error, "get_object", _named(files, path)) from None


def _ours(error: Exception, method: str, asked: Mapping[str, Any]) -> Exception:
    """Return an error of the client as one of ours, or as Python has it for a file that is there or is not."""
    response = getattr(error.__cause__ or error, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status == 412:
        return FileExistsError(asked.get("Key"))
    if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
        error.__cause__ = None
        return error
    what = asked.get("Key") or asked.get("Prefix") or ""
    doing = f"{_DOING.get(method, method.replace('_', ' '))} {what}".strip()
    if isinstance(error, OSError) and error.errno == errno.EIO and 400 <= status < 500 and status not in _LATER:
        error = OSError(errno.EINVAL, str(error.strerror))  # a refusal that s3fs has no word for will not pass
    found = told(error, f"s3://{asked.get('Bucket', '')}", doing, is_local=False)
    if isinstance(found, TransientError):
        return HomeBusy(str(found))
    return NotOffered(str(found)) if isinstance(error, OSError) and error.errno == errno.ENOSYS else found


class Address(S3Path):  # type: ignore[misc] # it is not followed
    """A path on object storage with what `pathlib.Path` offers and artune uses; folders are only parts of names.

    Nothing is renamed there, and nothing is remembered of what was listed: others write to it, too.
    """

    __slots__ = ()

    @classmethod
    def _fs_factory(cls, urlpath: str, protocol: str, storage_options: Mapping[str, Any]) -> _Client:
        return _Client(**storage_options)

    def read_bytes(self) -> bytes:
        """Return the whole content, by one request."""
        return cast(bytes, self.fs.cat_file(self.path))

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        """Return the whole content, by one request."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def write_bytes(self, data: bytes) -> int:
        """Write the whole content, by one request."""
        self.fs.pipe_file(self.path, data)
        return len(data)

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        """Write the whole content, by one request."""
        return self.write_bytes(data.encode(encoding or "utf-8"))

    def exists(self, **_: Any) -> bool:  # noqa: ANN401
        """Say whether there is a file of this name, by one request; no folder is."""
        try:
            _asked(self, "head_object")
        except FileNotFoundError:
            return False
        return True

    def is_dir(self, **_: Any) -> bool:  # noqa: ANN401
        """Say whether any file is below it, by one request."""
        return bool(next(_pages(self, MaxKeys=1)).get("Contents"))

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the file of this very name, by one request; the storage does not say whether there was one."""
        _asked(self, "delete_object")

    def iterdir(self) -> Iterator["Address"]:
        """Yield what is in it; nothing if it is not there, for then no name has it as a part."""
        yield from (self / name for name in self._names())

    def glob(self, pattern: str, **_: Any) -> Iterator["Address"]:  # noqa: ANN401
        """Yield what matches, in order: by one listing, of the folder or, for several parts, of all that is below."""
        parts = pattern.split("/")
        if len(parts) == 1:
            names = self._names()
        else:
            below = (path.relative_to(self).parts for path, _ in files_below(self))
            names = sorted({"/".join(name[: len(parts)]) for name in below})
        for name in names:
            pieces = name.split("/")
            if len(pieces) == len(parts) and all(map(fnmatchcase, pieces, parts)):
                yield self / name

    def rglob(self, pattern: str, **_: Any) -> Iterator[Path]:  # noqa: ANN401
        """Yield all files below it whose name matches, in order."""
        yield from (path for path, _ in files_below(self) if fnmatchcase(path.name, pattern))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a file makes its folder, and a bucket is for its owner to make."""

    def rmdir(self) -> None:
        """Do nothing: a folder is gone with its last file."""

    def rename(self, *_: Any, **__: Any) -> "Address":  # noqa: ANN401
        """Refuse: what takes a copy of all bytes is no renaming."""
        raise TypeError("nothing is renamed on object storage")

    replace = rename

    def _names(self) -> list[str]:
        names: set[str] = set()
        for page in _pages(self, Delimiter="/"):
            names.update(row["Prefix"] for row in page.get("CommonPrefixes", ()))
            names.update(row["Key"] for row in page.get("Contents", ()) if not row["Key"].endswith("/"))
        return sorted(name.rstrip("/").rpartition("/")[2] for name in names)


for _protocol in PROTOCOLS:
    register_implementation(_protocol, Address, clobber=True)


def address(where: str) -> Path:
    """Return the path of an address, which need not exist; nothing is asked of it.

    Raises:
        ConfigurationError: it is none of object storage, or holds a password.
    """
    scheme = where.partition("://")[0]
    if scheme not in PROTOCOLS:
        raise ConfigurationError(
            f"home {where!r}: expected a folder, or an address of object storage: s3://BUCKET/NAME"
        )
    opened(where)  # refuses passwords and what is no address
    return cast(Path, UPath(where.rstrip("/"), use_listings_cache=False, **options(where)))


def apart(path: Path) -> Path:
    """Return the same path with a client of its own, so that what is asked by it waits for no transfer."""
    place = cast(Any, path)
    more = dict(place.storage_options)
    more["config_kwargs"] = {**more.get("config_kwargs", {}), "max_pool_connections": APART}
    return cast(Path, UPath(str(place), **more))


def files_below(folder: Path) -> list[tuple[Path, int]]:
    """Return all files below a folder with their sizes in bytes, in order: a request for each thousand of them."""
    place = cast(Any, folder)
    own = f"{place.path}/"
    found = place.fs.find(place.path, detail=True)
    sizes = {name.removeprefix(own): row["size"] for name, row in found.items() if name.startswith(own)}
    return [(folder / name, sizes[name]) for name in sorted(sizes, key=lambda name: name.split("/"))]


def ages_below(folder: Path) -> dict[Path, timedelta]:
    """Return how long the files below a folder have been there, by the clock of the storage, in their order."""
    place = cast(Any, folder)
    bucket, prefix, _ = place.fs.split_path(place.path)
    answer = place.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{prefix}/", MaxKeys=1)
    found = place.fs.find(place.path, detail=True)
    own = f"{place.path}/"
    return {folder / name.removeprefix(own): _age(row["LastModified"], answer) for name, row in sorted(found.items())}


def send(file: Path, path: Path, sha256: str) -> None:
    """Write a local file there, seen only when it is whole, with the digest of its bytes beside it."""
    place = cast(Any, path)
    place.fs.put_file(str(file), place.path, chunksize=PART_BYTES, Metadata={SHA256: sha256})


def fetch(path: Path, file: Path) -> None:
    """Write what is there into a local file."""
    cast(Any, path).fs.get_file(cast(Any, path).path, str(file))


def remove_tree(folder: Path) -> None:
    """Remove all files below a folder: a request for each thousand of them."""
    delete([path for path, _ in files_below(folder)])


def copy(source: Path, path: Path) -> None:
    """Let the server write a file there that it has elsewhere, with what it says of it."""
    cast(Any, path).fs.cp_file(cast(Any, source).path, cast(Any, path).path)


def sent_sha256(path: Path) -> str | None:
    """Return the digest that was sent with a file, None if there was none."""
    found: str | None = _asked(path, "head_object")["Metadata"].get(SHA256)
    return found


def create(path: Path, content: bytes) -> bool:
    """Write a file if there is none of that name; False if there is."""
    place = cast(Any, path)
    try:
        place.fs.pipe_file(place.path, content, mode="create")
    except FileExistsError:
        return False
    return True


def delete(paths: Sequence[Path]) -> None:
    """Delete files of one bucket, by a request for each thousand; no matter if one is not there.

    Raises:
        ConfigurationError: the storage keeps one of them.
    """
    for start in range(0, len(paths), DELETED_AT_ONCE):
        named = [_named(cast(Any, path).fs, cast(Any, path).path) for path in paths[start : start + DELETED_AT_ONCE]]
        asked = {"Objects": [{"Key": one["Key"]} for one in named], "Quiet": True}
        answer = cast(Any, paths[0]).fs.call_s3("delete_objects", Bucket=named[0]["Bucket"], Delete=asked)
        for refused in answer.get("Errors", []):
            raise ConfigurationError(
                f"s3://{named[0]['Bucket']}: it does not delete {refused['Key']} ({refused.get('Code')}): expected "
                "credentials that may delete, and no lock on the object"
            )


def swap(path: Path, content: bytes, tag: str | None) -> str | None:
    """Write a file if it is still the one that had this tag, or if there is none yet; return its new tag.

    Returns:
        None if somebody else wrote to it.
    """
    condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
    try:
        return str(_asked(path, "put_object", Body=content, **condition)["ETag"])
    except (FileExistsError, FileNotFoundError):
        return None


def read_with_age(path: Path) -> tuple[bytes, str, float] | None:
    """Return a small file, its tag, and its age in seconds by the clock of the storage; None if it is not there."""
    place = cast(Any, path)
    try:
        content, head = place.fs.read_with_head(place.path)
    except FileNotFoundError:
        return None
    return content, head["ETag"], _age(head["LastModified"], head).total_seconds()


def abort_uploads(folder: Path, begun_before: timedelta = timedelta()) -> None:
    """Have the server forget the parts of files below a folder that nobody will finish.

    Nothing is wrong with a release where that is refused: the parts only cost.
    """
    files = cast(Any, folder).fs
    bucket, prefix, _ = files.split_path(cast(Any, folder).path)
    pages: dict[str, str] = {}
    with suppress(ConfigurationError):
        while True:
            page = files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/", **pages)
            for upload in page.get("Uploads", []):
                if _age(upload["Initiated"], page) >= begun_before:
                    with suppress(FileNotFoundError):  # its sender was done with it just now
                        files.abort_mpu(bucket, upload["Key"], upload["UploadId"])
            if not page.get("IsTruncated"):
                return
            pages = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def require_conditions(path: Path, content: bytes) -> None:
    """Write a file, and find out on the way whether the storage keeps its word on conditions.

    Raises:
        ConfigurationError: it overwrites what must not be overwritten, so two builds could write one release, or it
            knows of no conditions.
    """
    if _overwrites(path, content):
        raise ConfigurationError(
            f"{path}: this storage overwrites a file although it was told not to (If-None-Match, If-Match): expected "
            "one that keeps to conditions, as Amazon S3, MinIO and Cloudflare R2 do; without that, two builds could "
            "write one release"
        )


def _overwrites(path: Path, content: bytes) -> bool:
    try:
        return bool((create(path, content) and create(path, content)) or swap(path, content, '"no such tag"'))
    except NotOffered as error:
        raise ConfigurationError(
            f"{error}; artune writes on condition (If-None-Match, If-Match): expected a storage that takes conditions, "
            "as Amazon S3, MinIO and Cloudflare R2 do"
        ) from None


def _pages(folder: Path, **more: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield what a listing of a folder gives: a page for each thousand names, at least one."""
    files = cast(Any, folder).fs
    bucket, key, _ = files.split_path(cast(Any, folder).path)
    asked = {"Bucket": bucket, "Prefix": f"{key}/" if key else "", **more}
    while True:
        page = files.call_s3("list_objects_v2", **asked)
        yield page
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _asked(path: Path, method: str, **more: Any) -> Any:  # noqa: ANN401
    files = cast(Any, path).fs
    return files.call_s3(method, **_named(files, cast(Any, path).path), **more)


def _age(then: datetime, answer: Mapping[str, Any]) -> timedelta:
    """Return how long ago something was when a storage answered, by its own clock."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) - then
