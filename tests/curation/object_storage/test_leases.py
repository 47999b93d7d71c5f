"""Leases: one exclusive holder or many that share, and the dead are taken over by one."""

import json
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from curation import leases, object_storage
from curation.errors import TransientError
from curation.leases import DEAD_AFTER_S, Lease, held
from curation.store import Home


@pytest.fixture
def path(remote_home: Home) -> Path:
    return remote_home.root / "leases" / "lock"


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_by(path: Path, **facts: Any) -> None:
    """Write a lease as somebody left it."""
    said = {"holder": "somebody", "host": "there", "machine": "another", "pid": 1, "about": "x"} | facts
    path.write_bytes(json.dumps(said).encode())


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clock of the storage go on."""
    read = object_storage.read_with_age

    def aged(path: Path) -> Any:
        found = read(path)
        return found and (found[0], found[1], found[2] + seconds)

    monkeypatch.setattr(leases, "read_with_age", aged)


def test_one_holds_it_at_a_time_and_the_next_after_it(path):
    with held(path, "x") as first, held(path, "x") as second:
        assert first
        assert second is None
    with held(path, "x") as third:
        assert third


def test_many_share_it_and_none_has_it_alone_meanwhile(path):
    with held(path, "x", shared=True) as one, held(path, "x", shared=True) as two, held(path, "x") as alone:
        assert one
        assert two
        assert alone is None
    with held(path, "x") as alone, held(path, "x", shared=True) as one:
        assert alone
        assert one is None
    assert list(path.with_name("lock.readers").iterdir()) == []


def test_the_dead_of_another_machine_is_taken_over_when_it_was_silent_for_long(path, monkeypatch):
    left_by(path)
    with held(path, "x") as lease:
        assert lease is None
    later(monkeypatch, DEAD_AFTER_S - 5)
    with held(path, "x") as lease:
        assert lease is None
    later(monkeypatch, DEAD_AFTER_S + 5)
    with held(path, "x") as lease:
        assert lease


def test_the_dead_of_this_machine_is_taken_over_at_once(path):
    left_by(path, machine=leases.machine(), pid=dead_process())
    with held(path, "x") as lease:
        assert lease


def test_who_shared_it_and_died_keeps_nobody_out(path):
    left_by(path.with_name("lock.readers") / "a", machine=leases.machine(), pid=dead_process())
    with held(path, "x") as lease:
        assert lease
        assert list(path.with_name("lock.readers").iterdir()) == []


def test_of_many_who_take_it_over_one_has_it(path):
    left_by(path, machine=leases.machine(), pid=dead_process())
    all_read, found = threading.Barrier(8), object_storage.read_with_age(path)
    assert found

    def take(_: int) -> bool:
        lease = Lease(path, "x")
        all_read.wait()
        taken = lease.take(found[1])
        lease._stop()
        return taken

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_who_was_taken_over_learns_it_by_the_next_write_and_writes_nothing_more(path, remote_home, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_AFTER_S", 0.01)
    remote_home.mark()
    with remote_home.locked(remote_home.root / "lock") as is_mine:
        assert is_mine
        (lease,) = remote_home._leases
        left_by(path)
        lease._keeper.join()  # it ends when it is refused
        with pytest.raises(TransientError, match=r"leases/lock: .*another may use lock of s3://.*goes on from there"):
            remote_home.check_leases()
        with pytest.raises(TransientError), remote_home.replacing(remote_home.root / "file") as temporary:
            temporary.write_bytes(b"late")
    assert not (remote_home.root / "file").exists()
    assert json.loads(path.read_bytes())["holder"] == "somebody"  # and it gave back nothing that was not its own


def test_a_holder_that_cannot_reach_the_storage_for_long_writes_nothing_more(path, monkeypatch):
    with held(path, "x") as lease:
        assert lease
        lease.check()
        monkeypatch.setattr(lease, "_written_s", lease._written_s - DEAD_AFTER_S)
        with pytest.raises(TransientError, match="was silent for more than 60 s"):
            lease.check()


def test_it_is_renewed_while_the_process_lives(path, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_AFTER_S", 0.01)
    written = threading.Semaphore(0)
    swap = object_storage.swap

    def counted(*arguments: Any) -> Any:
        tag = swap(*arguments)
        written.release()
        return tag

    monkeypatch.setattr(leases, "swap", counted)
    with held(path, "x") as lease:
        assert lease
        for _ in range(4):
            assert written.acquire(timeout=60)
        lease.check()


def test_an_answer_that_was_lost_is_no_loss_of_the_lease(path, monkeypatch):
    swap, lost = object_storage.swap, iter([True])

    def cut_off(*arguments: Any) -> Any:
        tag = swap(*arguments)
        return swap(*arguments) if next(lost, False) else tag  # as clients do: they ask again

    monkeypatch.setattr(leases, "swap", cut_off)
    with held(path, "x") as lease:
        assert lease


def test_whoever_comes_never_are_there_two_alone_nor_one_beside_others(path):
    inside: list[str] = []
    entered = {"alone": 0, "shared": 0}
    lock = threading.Lock()

    def come(number: int) -> None:
        kind = "shared" if number % 2 else "alone"
        with held(path, uuid.uuid4().hex, shared=kind == "shared") as lease:
            if lease is None:
                return
            with lock:
                assert not inside or (kind == "shared" and "alone" not in inside)
                inside.append(kind)
                entered[kind] += 1
            object_storage.read_with_age(path)  # something to do meanwhile
            with lock:
                inside.remove(kind)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(come, range(60)))
    assert sum(entered.values())
