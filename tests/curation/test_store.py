import os
import socket
import subprocess
import sys
from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation import damage
from curation.batches import batched, in_threads
from curation.damage import Damaged
from curation.errors import ItemError
from curation.store import Home, create_exclusively, digest, file_sha256, read_tables

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path)


def temporary_files(home: Home) -> list[str]:
    return [path.name for path in (home.root / "tmp").iterdir()]


def test_blob_lies_where_its_content_says(home):
    name, size_bytes = home.put_blob([b"so", b"und"], 100)
    assert (name, size_bytes) == (sha256(b"sound").hexdigest(), 5)
    assert home.blob(name).read_bytes() == b"sound"
    assert file_sha256(home.blob(name)) == name


def test_blob_that_is_there_is_not_written_again(home):
    name, _ = home.put_blob([b"so", b"und"], 100)
    before = home.blob(name).stat()
    assert home.put_blob([b"so", b"und"], 100) == (name, 5)
    assert home.blob(name).stat().st_ino == before.st_ino
    assert temporary_files(home) == []


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty_file"), (b"123456", "too_many_bytes")])
def test_unfit_blob_leaves_nothing_behind(home, content, reason):
    with pytest.raises(ItemError, match=reason):
        home.put_blob([content], 5)
    assert temporary_files(home) == []
    assert not (home.root / "blobs").exists()


def test_file_appears_whole_or_not_at_all(home, tmp_path):
    path = tmp_path / "a" / "b"

    def fails():
        with home.replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("the disk is full")

    pytest.raises(OSError, fails)
    assert not path.exists()
    assert temporary_files(home) == []


def test_second_creator_sees_the_first_one_s_file(home):
    path = home.root / "releases" / "1.json"
    assert create_exclusively(path, b"first")
    assert not create_exclusively(path, b"second")
    assert path.read_bytes() == b"first"
    assert [found.name for found in path.parent.iterdir()] == ["1.json"]


def test_sweep_removes_what_the_dead_left_and_nothing_of_the_living(home):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = home.root / "tmp"
    folder.mkdir()
    host = socket.gethostname()
    for name in (f"{dead.pid}.aa.{host}", f"{os.getpid()}.bb.{host}", f"{dead.pid}.cc.another.{host}"):
        (folder / name).touch()
    (folder / f"{dead.pid}.ee.{host}" / "pages").mkdir(parents=True)
    (home.root / "releases").mkdir()
    (home.root / "releases" / f".{dead.pid}.dd.{host}").touch()
    home.sweep()
    assert list((home.root / "releases").iterdir()) == []
    assert sorted(temporary_files(home)) == sorted([f"{os.getpid()}.bb.{host}", f"{dead.pid}.cc.another.{host}"])


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": ["\u00e9", None]}) == digest({"b": ["\u00e9", None], "a": 1})
    assert digest(["a", "b"]) != digest(["b", "a"])


def test_tables_are_read_in_the_order_of_their_names(home, tmp_path):
    for name, number in (("b", 2), ("a", 1)):
        home.write_table(tmp_path / "t" / f"{name}.parquet", pa.table({"n": [number]}, schema=SCHEMA))
    assert read_tables(tmp_path / "t", SCHEMA)["n"].to_pylist() == [1, 2]
    assert read_tables(tmp_path / "none", SCHEMA, ["n"]).schema == SCHEMA


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_batches_are_the_whole_in_order_and_bounded(count, most):
    parts = list(batched(range(count), most))
    assert [item for part in parts for item in part] == list(range(count))
    assert all(0 < len(part) <= most for part in parts)
    assert [len(part) for part in parts] == [len(part) for part in batched(range(count, 2 * count), most)]


def test_results_come_in_the_order_of_the_batches():
    assert in_threads(4)(lambda batch: batch * 2, range(50), "double") == [2 * batch for batch in range(50)]


@pytest.mark.parametrize(
    "error",
    [pa.ArrowMemoryError("malloc failed"), pa.ArrowCancelled("stopped"), OSError(5, "disk"), FileNotFoundError(2)],
)
def test_what_befalls_the_machine_is_no_damage_of_the_file(tmp_path, error):
    def read():
        raise error

    with pytest.raises(type(error)):
        damage.read_whole(tmp_path, read)


@pytest.mark.parametrize("error", [pa.ArrowInvalid("not a Parquet file\nat"), OSError("CRC checksum failed")])
def test_what_is_no_table_is_damaged(tmp_path, error):
    def read():
        raise error

    with pytest.raises(Damaged, match=r"is damaged \((not a Parquet file|CRC checksum failed)\)"):
        damage.read_whole(tmp_path, read)
