"""Locks on object storage, which has none: a file that its holder writes again and again while it lives.

Why it is right, as far as a lease can be:

- One file is the exclusive lease. Every write of it is conditional: on its absence, or on the tag of what was read
  before. Of two who take it, free or from a dead holder, the storage serves one.
- Everybody who shares has a file of his own. Who shares writes his own and then looks for an exclusive holder; who
  wants it alone writes the exclusive one and then looks for those who share. Storage shows at once what was written,
  so of two at the same time at least one sees the other, and gives way.
- A holder is dead if its process is gone and was of this machine, or if it wrote nothing for DEAD_AFTER_S by the clock
  of the storage, which stamps every file and every answer. No clock of another machine is asked.
- A holder that slept for longer may have lost its lease. Its next write fails, for the file is not the one that it
  wrote; from then on, and while it cannot reach the storage for so long, it refuses to write anything more.

- Other processes that work for the holder know whose lease it is, and read it before they write.

Between the loss and its discovery two may hold a lease. Nothing that is released rests on it: files of a release are
the same bytes whoever writes them, and a release is committed by one conditional write.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from curation.errors import HomeBusy, TransientError
from curation.object_storage import read_with_age, swap
from curation.store import is_alive
from rules.errors import ConfigurationError

DEAD_AFTER_S = 60.0
RENEWED_AFTER_S = 10.0
READERS = ".readers"
_FREE = ""  # the holder of an exclusive lease that nobody holds; the file stays, or its tag would tell nothing


class Lease:
    """A file that says that this process uses something.

    Args:
        path: of the file.
        about: what for, to tell others.
    """

    def __init__(self, path: Path, about: str) -> None:
        self.path, self.about = path, about
        self._id = uuid.uuid4().hex
        self._tag: str | None = None
        self._written_s = 0.0
        self._is_lost = False
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"lease {path.name}", daemon=True)

    def check(self) -> None:
        """Refuse to go on if somebody else may hold it by now.

        Raises:
            HomeBusy: this machine slept, or did not reach the storage, for longer than a holder may be silent.
        """
        if self._is_lost or _now_s() - self._written_s > DEAD_AFTER_S:
            raise _lost(self.path, self.about)

    def elsewhere(self) -> "Lent":
        """Return what other processes know it by that work for this one."""
        return Lent(self.path, self.about, self._id)

    def take(self, tag: str | None = None) -> bool:
        """Take it where there is none, or in place of the file that has this tag; False if somebody else was first."""
        if not self._write(tag):
            return False
        self._keeper.start()
        return True

    def give_back(self) -> None:
        """End it, so that nobody has to wait for its death."""
        self._stop()
        if not self._is_lost:
            with suppress(TransientError, ConfigurationError):  # it dies by itself
                swap(self.path, self._content(_FREE), self._tag)

    def remove(self) -> None:
        """End it and remove its file, which nobody else ever writes to."""
        self._stop()
        with suppress(TransientError, ConfigurationError):
            self.path.unlink(missing_ok=True)

    def _stop(self) -> None:
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()

    def _keep(self) -> None:
        while not self._ended.wait(RENEWED_AFTER_S) and not self._is_lost:
            with suppress(TransientError, ConfigurationError):  # `check` tells when that lasts too long
                self._is_lost = not self._write(self._tag)

    def _write(self, tag: str | None) -> bool:
        begun_s = _now_s()
        written = swap(self.path, self._content(self._id), tag)
        if written is None:  # or it was written, and the answer was lost
            found = read_with_age(self.path)
            written = found[1] if found and json.loads(found[0])["holder"] == self._id else None
        if written is None:
            return False
        self._tag, self._written_s = written, begun_s
        return True

    def _content(self, holder: str) -> bytes:
        facts = {
            "holder": holder,
            "host": socket.gethostname(),
            "machine": machine(),
            "pid": os.getpid(),
            "about": self.about,
            "written": uuid.uuid4().hex,  # a tag tells contents apart, not writes
        }
        return json.dumps(facts).encode()


_seen_s: dict[str, float] = {}  # by holder, when this process last saw that it lives


@dataclass(frozen=True, slots=True)
class Lent:
    """A lease that another process holds, for which this one works."""

    path: Path
    about: str
    holder: str

    def check(self) -> None:
        """Refuse to go on if somebody else may hold it by now; asks the storage now and then.

        Raises:
            HomeBusy: it is not the holder's any more, or was silent for too long.
        """
        begun_s = _now_s()
        if begun_s - _seen_s.get(self.holder, -RENEWED_AFTER_S) < RENEWED_AFTER_S:
            return
        found = read_with_age(self.path)
        if found is None or json.loads(found[0])["holder"] != self.holder or found[2] > DEAD_AFTER_S:
            raise _lost(self.path, self.about)
        _seen_s[self.holder] = begun_s

    def elsewhere(self) -> "Lent":
        """Return what yet others know it by."""
        return self


def _lost(path: Path, about: str) -> HomeBusy:
    return HomeBusy(
        f"{path}: this process was silent for more than {DEAD_AFTER_S:.0f} s, so another may use {about} by now; "
        "the same command goes on from there"
    )


def _now_s() -> float:
    """Return a time that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@contextmanager
def held(path: Path, about: str, *, shared: bool = False) -> Iterator[Lease | None]:
    """Hold a lease while the block runs; None if it cannot be had now.

    Args:
        path: of the exclusive lease; those who share it have files in a folder beside it.
        about: what for.
    """
    readers = path.with_name(f"{path.name}{READERS}")
    if shared:
        lease = Lease(readers / uuid.uuid4().hex, about)
        lease.take()
        try:
            yield None if _living_tag(path)[0] else lease
        finally:
            lease.remove()
        return
    lease = Lease(path, about)
    is_held, tag = _living_tag(path)
    if is_held or not lease.take(tag):
        yield None
        return
    try:
        yield None if _is_shared(readers) else lease
    finally:
        lease.give_back()


def _living_tag(path: Path) -> tuple[bool, str | None]:
    """Return whether somebody living holds a lease, and the tag of its file, None if there is none."""
    found = read_with_age(path)
    if found is None:
        return False, None
    content, tag, age_s = found
    return _is_living(json.loads(content), age_s), tag


def _is_shared(readers: Path) -> bool:
    """Say whether somebody living shares it; the files of the dead are removed."""
    is_shared = False
    for path in readers.iterdir():
        found = read_with_age(path)
        if found and _is_living(json.loads(found[0]), found[2]):
            is_shared = True
        else:
            path.unlink(missing_ok=True)  # one that only slept finds it gone, and stops
    return is_shared


def _is_living(facts: dict[str, object], age_s: float) -> bool:
    if facts["holder"] == _FREE or age_s > DEAD_AFTER_S:
        return False
    return facts["machine"] != machine() or is_alive(int(str(facts["pid"])))


def machine() -> str:
    """Return what tells where a process number means a process: a running system, and its processes as one sees them.

    Names of hosts do not: containers may share one.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode():x}"
