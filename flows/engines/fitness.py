"""Whether another process would do a batch just as this one: with the same code and tools, on the same files."""

import asyncio
import hashlib
import platform
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path

import httpx

import curation
import rules
from curation import building
from curation.collect import split_location
from curation.errors import TransientError
from curation.store import Home
from flows import connection

SAMPLES = 3  # files of a source's folder that are looked for
ANSWER_S = 10.0


class Unfit(Exception):
    """A process would not do a batch as the one that started the build; the message says where it runs and why."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What a process must have for the release to be the same whoever makes it.

    Attributes:
        tools: names and versions of everything that decides bytes.
        token: name of a file that this build wrote into the work folder: another folder of that path does not have it.
        samples: path and size in bytes of some files of sources.
        api: Prefect's server, which is told of every batch.
    """

    tools: tuple[tuple[str, str], ...]
    home: Home = field(compare=False)
    token: str
    samples: tuple[tuple[str, int], ...]
    api: str

    @property
    def marker(self) -> Path:
        """Where that file is."""
        return self.home.root / "tmp" / self.token


@contextmanager
def expected(home: Home, sources: Sequence[str], api: str) -> Iterator[Fitting]:
    """Give what every process must have; the file that marks the work folder is there while the block runs."""
    # A name as temporary files have: `Home.sweep` removes what a killed build left.
    fitting = Fitting(tuple(tools().items()), home, home.temporary().name, tuple(_samples(sources)), api)
    _write(home, fitting.marker)
    try:
        yield fitting
    finally:
        fitting.marker.unlink(missing_ok=True)


def tools() -> dict[str, str]:
    """Return the versions of what decides bytes, with a digest of the code: a checkout changes without its version."""
    python = ".".join(platform.python_version_tuple()[:2])
    return building.tools() | {"Python": python, "code of curation/ and rules/": _code_digest()[:12]}


def _code_digest() -> str:
    code = hashlib.sha256()
    for package in (curation, rules):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            code.update(f"{package.__name__}/{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return code.hexdigest()


def _samples(sources: Sequence[str]) -> Iterator[tuple[str, int]]:
    for _, location in map(split_location, sources):
        folder = Path(location).expanduser().absolute()
        if location and folder.is_dir():
            files = (path for path in sorted(folder.iterdir()) if path.is_file())
            yield from ((str(path), path.stat().st_size) for path in islice(files, SAMPLES))


def _write(home: Home, path: Path) -> None:
    with home.replacing(path) as temporary:
        temporary.write_text(path.name)


@cache
def ensure(fitting: Fitting) -> None:
    """Look once in each process whether it fits: it may have joined a cluster when the build was under way.

    Raises:
        Unfit: it does not.
        TransientError: Prefect's server had no time to answer.
    """
    for why in (_other_tools(fitting), _other_files(fitting), _no_server(fitting)):
        if why:
            raise Unfit(f"the worker on {socket.gethostname()} {why}")


async def looked_at(fitting: Fitting) -> str:
    """Say why this worker does not fit, or nothing; beside its event loop, which others wait for."""
    try:
        await asyncio.to_thread(ensure, fitting)
    except Unfit as error:
        return str(error)
    return ""


def _other_tools(fitting: Fitting) -> str:
    found = tools()
    other = [
        f"{name} {found.get(name)}, not {version}" for name, version in fitting.tools if found.get(name) != version
    ]
    advice = "what decides the bytes of a release must be the same everywhere: install the same checkout with"
    return f"has {'; '.join(other)}: {advice} constraints.txt" if other else ""


def _other_files(fitting: Fitting) -> str:
    root = fitting.home.root
    try:
        is_there = fitting.marker.read_text() == fitting.token
    except OSError as error:
        why = error.strerror or error
        return f"does not see the work folder {root} ({why}): share it under this path, or use s3://"
    if not is_there:
        return f"sees another folder as {root}: share the work folder under this path, or use s3://"
    probe = fitting.home.root / "tmp" / fitting.home.temporary().name
    try:
        _write(fitting.home, probe)
        probe.unlink()
    except OSError as error:
        return f"cannot write to the work folder {root} ({error.strerror or error})"
    for path, size_bytes in fitting.samples:
        sample = Path(path)
        if not sample.is_file() or sample.stat().st_size != size_bytes:
            return f"does not see {path}, which a source has: share its folder under this path"
    return ""


def _no_server(fitting: Fitting) -> str:
    address = connection.shown(fitting.api)
    try:
        httpx.get(f"{fitting.api}/health", timeout=ANSWER_S)
    except httpx.ReadTimeout:
        raise TransientError(f"the Prefect server at {address} is busy: the same command goes on") from None
    except httpx.HTTPError as error:
        return (
            f"cannot reach Prefect's server at {address} ({error}): start one that all reach, "
            "`prefect server start --host 0.0.0.0`, and set PREFECT_API_URL to it"
        )
    return ""
