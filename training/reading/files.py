"""The files of one version of a data set wherever they are: in a folder, at an address of fsspec, or on the Hub."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import tenacity
from fsspec.implementations.local import LocalFileSystem
from huggingface_hub import HfFileSystem

from curation.errors import TransientError
from curation.publishing import hub_errors, storage
from curation.shards import READ_BYTES
from rules.errors import ConfigurationError

T = TypeVar("T")

FAR_READ_BYTES = 16 << 20  # a request takes about 0.1 s, so few and large ones: the sound of a row group is 95 MB
ATTEMPTS = 5
WAIT = tenacity.wait_exponential(
    multiplier=5, max=120
)  # 5, 10, 20 and 40 s; the Hub's client has tried for 23 s before

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """A folder somewhere; the names of files are paths below it.

    Attributes:
        location: a whole path, an address, or owner/name@commit.
        repo_id: on the Hub; None elsewhere.
        system: the filesystem of fsspec that it is on.
        root: what that calls it.
    """

    location: str
    repo_id: str | None
    system: Any
    root: str

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of the files in a folder, by their names; none if it is not there."""
        with self._asking("tell its files"):
            try:
                rows = self.system.ls(f"{self.root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        return {f"{folder}/{row['name'].rpartition('/')[2]}": row["size"] for row in rows if row["type"] == "file"}

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a small file, None if it is not there."""
        with self._asking(f"give {name}"):
            try:
                content: bytes = self.system.cat_file(f"{self.root}/{name}")
            except FileNotFoundError:
                return None
        return content

    @contextmanager
    def parquet(self, name: str, *, ahead: bool = False) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file, of which only that is read that is asked for.

        Args:
            ahead: bring columns that are asked for together in as few requests as they need; they are all in memory.

        Raises:
            ConfigurationError: it is gone, damaged or may not be read; also of what is read within the block.
            TransientError: where it is cannot be reached.
        """
        with self._asking(f"give {name}"), ExitStack() as stack:
            try:
                yield self._opened(name, ahead, stack)
            except FileNotFoundError as error:
                raise ConfigurationError(
                    f"{self.location}: {name} is gone: expected all files of a version to stay while it is read"
                ) from error
            except (pa.ArrowException, OSError) as error:
                if not isinstance(error, pa.ArrowException) and not _is_of_arrow(error):
                    raise
                raise ConfigurationError(
                    f"{self.location}: {name} is damaged ({str(error).splitlines()[0]}): expected the Parquet file "
                    "that was published; fetch it again"
                ) from error

    def _opened(self, name: str, ahead: bool, stack: ExitStack) -> pq.ParquetFile:
        path = f"{self.root}/{name}"
        if isinstance(self.system, LocalFileSystem):
            return stack.enter_context(pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False))
        source = stack.enter_context(self.system.open(path, "rb", cache_type="none"))
        return stack.enter_context(pq.ParquetFile(source, buffer_size=FAR_READ_BYTES, pre_buffer=ahead))

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        asking = (
            storage.asking(self.location, doing) if self.repo_id is None else hub_errors.asking(self.location, doing)
        )
        with asking:
            yield


def at(where: str) -> Files:
    """Return a folder or an address."""
    opened = storage.opened(where)
    return Files(opened.where, None, opened.files, opened.root)


def on_hub(repo_id: str, commit: str) -> Files:
    """Return a commit of a data set on the Hub; who may read it without a token needs none."""
    return Files(f"{repo_id}@{commit}", repo_id, HfFileSystem(), f"datasets/{repo_id}@{commit}")


def patiently(work: Callable[[], T], sleep: Callable[[float], object] = time.sleep) -> T:
    """Return what `work` returns; while the place is busy, try again some times.

    Args:
        sleep: what waits between two tries, in seconds.
    """

    def wait(seconds: float) -> None:
        sleep(seconds)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=WAIT,
        sleep=wait,
        before_sleep=lambda state: _log.warning("%s; trying again", state.outcome and state.outcome.exception()),
        reraise=True,
    )(work)


def _is_of_arrow(error: OSError) -> bool:
    """Tell what Arrow says of a file from what the system says: the former has no number."""
    return type(error) is OSError and error.errno is None
