"""Media that threads read and decode before they are asked for, as far ahead as memory allows."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import Self, TypeAlias

from torch import Tensor

from curation.errors import ItemError, attempt
from training.reading.cache import Cache
from training.reading.encoding import Encoding, Entry, Want
from training.reading.files import patiently
from training.reading.media import Content

LIMIT_BYTES = 512 << 20  # about 16 row groups of decoded clips of 30 s and pictures of 512 px

Found: TypeAlias = Tensor | Entry | ItemError | None  # decoded, from the cache, unusable, or not in the cache after all


@dataclass(eq=False, slots=True)
class _Unit:
    """What one thread does at once: read one row group, or one entry of the cache."""

    group: int | None  # None: from the cache
    sizes: dict[Want, int]  # in bytes, of what is wanted, when it is there
    future: Future[dict[Want, Found]] | None = None


class Prefetch:
    """What is expected, on its way and there; one thread asks, and leaving the context ends all others.

    Args:
        limit_bytes: of what is on its way or there. What is asked for is read even so: the least that is in memory is
            what the rows of a window need.
    """

    def __init__(self, encoding: Encoding, cache: Cache | None, threads: int, limit_bytes: int = LIMIT_BYTES) -> None:
        self.held_bytes = 0
        self.limit_bytes = limit_bytes
        self._encoding = encoding
        self._cache = cache
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="artune-media")
        self._stopping = Event()
        self._queue: deque[_Unit] = deque()
        self._units: dict[Want, _Unit] = {}
        self._uses: Counter[Want] = Counter()
        self._ready: dict[Want, Entry | ItemError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def has_room(self) -> bool:
        """Whether more should be expected: nothing waits to be begun."""
        return not self._queue and self.held_bytes < self.limit_bytes

    def expect(self, wants: Iterable[Want]) -> None:
        """Begin, or soon begin, to get what will be asked for, and released, in about this order; once for each use."""
        new: dict[Want, None] = {}
        for want in wants:
            self._uses[want] += 1
            if want not in self._units:
                new[want] = None
        self._queue.extend(self._planned(list(new)))
        self._begin()

    def entry(self, want: Want) -> Entry | ItemError:
        """Return what a model takes, or why there is none; of what was not expected, too."""
        if want in self._ready:
            return self._ready[want]
        unit = self._units.get(want)
        found = self._results(unit)[want] if unit else None
        if found is None:
            found = self._read([want], self._encoding.split.group_of(want.row))[want]
            assert found is not None
        entry = self._kept(want, found) if isinstance(found, Tensor) else found
        if unit:
            self._ready[want] = entry
            self._results(unit)[want] = None  # what was decoded is needed no more
        return entry

    def release(self, want: Want) -> None:
        """Forget one use of what was expected."""
        self._uses[want] -= 1
        if not self._uses[want]:
            self._forget(want, self._units.pop(want))
        self._begin()

    def _forget(self, want: Want, unit: _Unit) -> None:
        del self._uses[want]
        self._ready.pop(want, None)
        if unit.future is not None:
            self._results(unit).pop(want)
            self.held_bytes -= unit.sizes[want]
            return
        del unit.sizes[want]
        if not unit.sizes:
            self._queue.remove(unit)

    def _planned(self, wants: Sequence[Want]) -> list[_Unit]:
        """Return how to get media: each from the cache by itself, and what is not there by row groups."""
        units: list[_Unit] = []
        of_groups: dict[int, _Unit] = {}
        for want in wants:
            key = self._cache and self._encoding.key(want)
            size_bytes = self._cache.size_of(key) if self._cache and key else None
            if size_bytes is None:
                group = self._encoding.split.group_of(want.row)
                unit = of_groups.get(group)
                if unit is None:
                    unit = of_groups[group] = _Unit(group, {})
                    units.append(unit)
                unit.sizes[want] = self._encoding.decoded_bytes(want.column)
            else:
                unit = _Unit(None, {want: size_bytes})
                units.append(unit)
            self._units[want] = unit
        return units

    def _begin(self) -> None:
        """Begin what memory has room for, in order: what lies ahead never keeps out what is asked for sooner."""
        while self._queue and self.held_bytes + sum(self._queue[0].sizes.values()) <= self.limit_bytes:
            self._submit(self._queue.popleft())

    def _submit(self, unit: _Unit) -> None:
        self.held_bytes += sum(unit.sizes.values())
        unit.future = self._pool.submit(self._read, list(unit.sizes), unit.group)

    def _results(self, unit: _Unit) -> dict[Want, Found]:
        """Wait for what a thread got; what it raised is raised here."""
        if unit.future is None:
            self._queue.remove(unit)
            self._submit(unit)
        assert unit.future is not None
        return unit.future.result()

    def _read(self, wants: Sequence[Want], group: int | None) -> dict[Want, Found]:
        if group is None:
            return {want: self._cached(want) for want in wants}
        return patiently(lambda: self._decoded(wants, group), self._stopping.wait)

    def _cached(self, want: Want) -> Entry | None:
        key = self._encoding.key(want)
        return self._cache.get(key) if self._cache and key else None

    def _decoded(self, wants: Sequence[Want], group: int) -> dict[Want, Found]:
        """Read a row group and decode what is wanted of it."""
        of_media: dict[str, dict[int, list[Want]]] = {}
        for want in wants:
            of_media.setdefault(want.column, {}).setdefault(want.row, []).append(want)
        results: dict[Want, Found] = {}
        contents = self._encoding.split.media(group, of_media)
        while not self._stopping.is_set():
            column, row, content = next(contents, ("", 0, None))
            if not column:
                return results
            for want in of_media[column][row]:
                results[want] = self._made(want, content)
        raise CancelledError

    def _made(self, want: Want, content: Content | None) -> Found:
        decoded = attempt(lambda: self._encoding.decoded(want, content))
        if isinstance(decoded, ItemError) or self._encoding.needs_network(want.column):
            return decoded
        return self._kept(want, decoded)

    def _kept(self, want: Want, decoded: Tensor) -> Entry:
        """Return what a model takes, and keep it for the next time."""
        entry = self._encoding.encoded(want, decoded)
        key = self._cache and self._encoding.key(want)
        if self._cache and key:
            self._cache.put(key, entry)
        return entry
