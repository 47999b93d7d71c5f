"""Threads change no batch, hold no more memory than they may, and end whatever happens."""

import threading
from contextlib import closing

import numpy as np
import pytest
import tenacity
import torch

from curation.errors import TransientError
from rules.errors import ConfigurationError
from tests.training.loaders import Networks, loader, same
from training.data import Split
from training.reading import files, loading, media, prefetch
from training.reading.order import epoch_order


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("artune-media")]


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("limit_bytes", [1, 60_000, 1 << 30])
def test_neither_threads_nor_memory_change_a_batch(train: Split, threads: int, limit_bytes: int) -> None:
    assert same(
        list(loader(train, threads=threads, limit_bytes=limit_bytes).batches(2)), list(loader(train).batches(2))
    )
    assert our_threads() == []


def test_what_is_held_in_memory_is_bounded(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of decoded media are held what the window needs, or what the limit allows, whichever is more."""
    monkeypatch.setattr(loading, "epoch_order", lambda sizes, seed, epoch: epoch_order(sizes, seed, epoch, 4))
    passes, held = [], []
    begin = prefetch.Prefetch.__init__
    submit = prefetch.Prefetch._submit

    def begun(self: prefetch.Prefetch, *arguments: object) -> None:
        begin(self, *arguments)
        passes.append(self)

    def submitted(self: prefetch.Prefetch, unit: object) -> None:
        submit(self, unit)
        held.append(self.held_bytes)

    monkeypatch.setattr(prefetch.Prefetch, "__init__", begun)
    monkeypatch.setattr(prefetch.Prefetch, "_submit", submitted)
    pair_bytes = 3 * 32 * 32 + 2 * 8_000
    for limit_bytes, most in ((1, 7), (10 * pair_bytes, 10), (1 << 30, 20)):
        held.clear()
        list(loader(train, "batch_size=1", limit_bytes=limit_bytes).batches(0))
        assert max(held) <= most * pair_bytes
    assert max(held) == 18 * pair_bytes
    assert [each.held_bytes for each in passes] == [0, 0, 0]


def test_closing_early_ends_all_threads(train: Split) -> None:
    batches = loader(train, "batch_size=1", threads=3).batches(0)
    with closing(batches):
        next(batches)
        assert our_threads()
    assert our_threads() == []


def test_an_interruption_ends_all_threads(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = loader(train)

    def interrupted(networks: Networks, pixels: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(Networks, "moments", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(loaded.batches(0))
    assert our_threads() == []


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), TransientError("busy"), ConfigurationError("gone")])
def test_what_a_thread_raises_is_raised_where_batches_are_taken(
    train: Split, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object) -> np.ndarray:
        raise error

    monkeypatch.setattr(files, "WAIT", tenacity.wait_none())
    monkeypatch.setattr(media, "wave", failing)
    with pytest.raises(type(error), match=str(error)):
        next(loader(train).batches(0))
    assert our_threads() == []
