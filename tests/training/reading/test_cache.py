"""What is kept comes back bit by bit, what is damaged counts as none, and a full disk ends nothing."""

import errno
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from curation.store import digest
from training.reading import cache as caches
from training.reading.cache import Cache

ROOT = Path(__file__).parents[3]


def key(number: int) -> str:
    return digest(number)


def entry(number: int, count: int = 256) -> dict[str, Tensor]:
    return {"values": torch.randn(count, generator=torch.Generator().manual_seed(number))}


def is_entry(found: Mapping[str, Tensor] | None, number: int) -> bool:
    return found is not None and bool(torch.equal(found["values"], entry(number)["values"]))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.int16, torch.bool, torch.uint8])
def test_tensors_come_back_as_they_were(tmp_path: Path, kind: torch.dtype) -> None:
    kept = {"a": (100 * torch.randn(3, 5)).to(kind), "b": torch.tensor([]).to(kind)}
    cache = Cache(tmp_path)
    assert cache.get(key(1)) is None
    cache.put(key(1), kept)
    found = Cache(tmp_path).get(key(1))
    assert found is not None
    assert {name: (tensor.dtype, tensor.tolist()) for name, tensor in found.items()} == {
        name: (tensor.dtype, tensor.tolist()) for name, tensor in kept.items()
    }
    assert cache.size_of(key(1)) == sum(path.stat().st_size for path in files(tmp_path))


@given(st.integers(0, 1_300), st.sampled_from(["cut", "flip", "longer"]))
def test_what_is_damaged_counts_as_none_and_is_made_anew(tmp_path_factory, place: int, how: str) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = Cache(folder)
    cache.put(key(1), entry(1))
    (path,) = files(folder)
    content = path.read_bytes()
    place %= len(content)
    flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    path.write_bytes({"cut": content[:place], "flip": flipped, "longer": content + b"\0"}[how])
    assert cache.get(key(1)) is None
    cache.put(key(1), entry(1))
    assert is_entry(cache.get(key(1)), 1)


def test_the_limit_is_kept_also_over_what_was_there_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Cache(tmp_path).put(key(0), entry(0))
    size_bytes = files(tmp_path)[0].stat().st_size
    cache = Cache(tmp_path, 3 * size_bytes)
    for number in range(1, 9):
        cache.put(key(number), entry(number))
    assert len(files(tmp_path)) == 3
    assert [is_entry(cache.get(key(number)), number) for number in range(4)] == [True, True, True, False]
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: nothing more is cached (it has reached its limit of {3 * size_bytes:,} bytes): "
        "what is not there is made anew each time"
    ]


def test_processes_that_share_a_folder_keep_its_limit(tmp_path: Path) -> None:
    """Each counts anew what all have written, so two exceed the limit by no more than a hundredth."""
    size_bytes = 2_000  # at least what an entry takes
    first, second = (Cache(tmp_path, 200 * size_bytes) for _ in range(2))
    for number in range(0, 400, 2):
        first.put(key(number), entry(number))
        second.put(key(number + 1), entry(number + 1))
    total = sum(path.stat().st_size for path in files(tmp_path))
    assert 195 * size_bytes < total <= 202 * size_bytes + size_bytes


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EEXIST])
def test_a_full_or_closed_disk_ends_nothing_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    cache = Cache(tmp_path)
    cache.put(key(0), entry(0))

    def full(path: Path, target: Path) -> None:
        raise OSError(code, "No space left")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        for number in (1, 2):
            cache.put(key(number), entry(number))
    cache.put(key(3), entry(3))
    assert len(files(tmp_path)) == 1
    assert is_entry(cache.get(key(0)), 0)
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}: nothing more is cached (No space left): what is not there is made anew each time"
    ]


def test_a_file_in_place_of_the_folder_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("mine")
    cache = Cache(tmp_path / "cache")
    cache.put(key(1), entry(1))
    assert cache.get(key(1)) is None
    assert "nothing more is cached" in caplog.text


def test_another_error_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, target: Path) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="broken"):
        Cache(tmp_path).put(key(1), entry(1))


def test_what_a_killed_process_left_is_removed_and_what_is_written_now_is_not(tmp_path: Path) -> None:
    abandoned = tmp_path / "ab" / f"{key(1)}.77-1.part"
    abandoned.parent.mkdir()
    abandoned.write_bytes(b"half")
    written = tmp_path / "ab" / f"{key(2)}.78-1.part"
    with written.open("wb") as file:
        caches.fcntl.flock(file, caches.fcntl.LOCK_SH)
        Cache(tmp_path)
        assert files(tmp_path) == [written]


def write_all(folder: Path, numbers: range) -> None:
    cache = Cache(folder, 10**9)
    threads = [threading.Thread(target=cache.put, args=(key(n), entry(n))) for n in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_processes_and_threads_that_write_the_same_do_not_spoil_it(tmp_path: Path) -> None:
    # Not forked: this process has threads of libraries, whose locks a copy of it would wait for.
    code = "import sys; from pathlib import Path; from tests.training.reading.test_cache import write_all; "
    code += "print('ready', flush=True); write_all(Path(sys.argv[1]), range(40))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        write_all(tmp_path, range(40))
    assert other.returncode == 0
    cache = Cache(tmp_path)
    assert all(is_entry(cache.get(key(number)), number) for number in range(40))
    assert len(files(tmp_path)) == 40


def test_a_folder_that_there_can_never_be_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for folder in (tmp_path / "circle", tmp_path / ("x" * 300)):
        Cache(folder).put("ab" * 32, {"wave": torch.zeros(3)})
    assert caplog.text.count("nothing more is cached") == 2
