"""How work is cut into batches, and the one contract between a step and whatever runs it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

MAX_BATCH_ITEMS = 250
MIN_BATCHES = 16  # a small collection is still spread over the cores


def batched(items: Sequence[T], max_items: int = MAX_BATCH_ITEMS) -> Iterator[Sequence[T]]:
    """Cut a sequence so that the cut depends on nothing but its length."""
    size = max(1, min(max_items, -(-len(items) // MIN_BATCHES)))
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Each(Protocol):
    """Runs one function over many batches, in any order and any process, and returns the results in their order.

    A batch's function is idempotent: its output is a file, found and returned if it is there already.
    """

    def __call__(self, work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]: ...


def in_threads(workers: int) -> Each:
    """Return an Each that needs nothing but this process; decoders and encoders release the interpreter's lock."""

    def each(work: Callable[[Any], T], batches: Sequence[Any], stage: str) -> list[T]:
        with ThreadPoolExecutor(workers, thread_name_prefix=stage) as pool:
            return list(pool.map(work, batches))

    return each
