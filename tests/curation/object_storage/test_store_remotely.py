"""What a work folder asks of object storage, and what it says where that refuses."""

import errno
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from botocore.exceptions import ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from s3fs.errors import translate_boto_error

from curation import damage, leases, object_storage, stored
from curation.damage import Damaged
from curation.errors import HomeBusy, TransientError
from curation.object_storage import _Client
from curation.store import Home, create_exclusively, files_below, known_sha256, opened, read_tables, remove_tree
from rules.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
SCHEMA = pa.schema([("n", pa.int64())])
SECRET = "watch-this-secret-0000000000000000000000"


@pytest.fixture
def fresh_clients() -> Any:
    """Let clients look at the environment again, before and after the test changes it."""
    s3fs.S3FileSystem.clear_instance_cache()
    _Client.clear_instance_cache()
    yield
    _Client.clear_instance_cache()


def test_of_many_who_create_a_file_one_does(remote_home):
    path = remote_home.root / "releases" / "1.json"
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda n: create_exclusively(path, f"{n}".encode()), range(24)))
    assert sum(created) == 1
    assert path.read_text() == str(created.index(True))


def test_a_file_appears_whole_or_not_at_all(remote_home):
    path = remote_home.root / "a" / "b"

    def fails() -> None:
        with remote_home.replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("the disk is full")

    pytest.raises(OSError, fails)
    assert not path.exists()
    assert list(remote_home.scratch.iterdir()) == []


def test_a_blob_is_sent_once_and_lies_where_its_content_says(remote_home, requests):
    name, size_bytes = remote_home.put_blob([b"so", b"und"], 100)
    assert remote_home.put_blob([b"so", b"und"], 100) == (name, size_bytes)
    assert remote_home.blob(name).read_bytes() == b"sound"
    assert known_sha256(remote_home.blob(name)) == name
    assert len(requests.of("put_object")) == 1
    assert list(remote_home.scratch.iterdir()) == []


def test_more_files_than_a_page_of_a_listing_are_all_seen_and_removed(bucket):
    home = Home(f"s3://{bucket}/x")
    names = [f"{number:04d}" for number in range(1_100)]
    folder = home.root / "items" / "toy"
    storage = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # of the server, which is in this process: requests take long
    for name in names:
        storage.put_object(bucket, f"x/items/toy/{name}.parquet", b"x")
    assert [path.stem for path in folder.glob("*.parquet")] == names
    assert [path.stem for path, _ in files_below(home.root)] == names
    assert len(list((home.root / "items").glob("*/*.parquet"))) == len(names)
    remove_tree(home.root / "items")
    assert files_below(home.root) == []


def test_tables_are_read_in_the_order_of_their_names_by_a_request_each(remote_home, requests):
    for name, number in (("b", 2), ("a", 1), ("c", 3)):
        remote_home.write_table(remote_home.root / "t" / f"{name}.parquet", pa.table({"n": [number]}, schema=SCHEMA))
    requests.clear()
    assert read_tables(remote_home.root / "t", SCHEMA)["n"].to_pylist() == [1, 2, 3]
    assert sorted(request.method for request in requests) == ["get_object"] * 3 + ["list_objects_v2"]
    assert read_tables(remote_home.root / "none", SCHEMA, ["n"]).schema == SCHEMA


def test_columns_beside_media_are_read_without_these(remote_home, requests):
    path = remote_home.root / "data.parquet"
    with remote_home.replacing(path) as temporary:
        rows = pa.table({"before": ["a"], "audio": [os.urandom(8 << 20)], "after": ["b"]})
        pq.write_table(rows, temporary, compression="none")
    assert pq.ParquetFile(opened(path)).read(["before", "after"]).to_pylist() == [{"before": "a", "after": "b"}]
    ends = [request.span.removeprefix("bytes=").split("-") for request in requests.of("get_object")]
    assert 0 < sum(int(end) - int(start) + 1 for start, end in ends) < 3 << 20


def test_names_that_a_pattern_could_mean_are_only_names(bucket):
    one, other = Home(f"s3://{bucket}/art [1]*"), Home(f"s3://{bucket}/art 1x")
    for home in (one, other):
        (home.root / "items" / "a.parquet").write_bytes(b"x")
    assert [path.name for path in (one.root / "items").glob("*.parquet")] == ["a.parquet"]
    assert [path for path, _ in files_below(one.root)] == [one.root / "items" / "a.parquet"]


def test_a_home_travels_to_other_processes_that_write_nothing_once_its_lease_is_lost(remote_home, requests):
    with remote_home.in_use():
        there = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(remote_home))))
        assert (there.root, there.local) == (remote_home.root, remote_home.local)
        requests.clear()
        for name in ("1", "2"):
            there.write_table(there.root / name, pa.table({"n": [1]}))
        assert len(requests.of("get_object", ".readers/")) == 1  # it looks now and then
    leases._seen_s.clear()
    with pytest.raises(HomeBusy, match="another may use"):
        there.write_table(there.root / "3", pa.table({"n": [1]}))
    assert not (there.root / "3").exists()


def test_what_a_lost_lease_kept_is_not_removed(remote_home):
    path = remote_home.root / "blobs" / "a"
    path.write_bytes(b"x")
    with remote_home.in_use():
        (lease,) = remote_home._leases
        lease._is_lost = True
        with pytest.raises(HomeBusy):
            stored.remove(remote_home, [path])
    assert path.read_bytes() == b"x"


def test_only_the_file_of_the_very_name_is_removed(bucket):
    root = Home(f"s3://{bucket}/my[home]*?").root
    others = [Home(f"s3://{bucket}/{name}").root / "a" / "b" for name in ("myh", "myhome", "my[home]x")]
    for path in (root / "a" / "b", root / "a" / "[c]*", *others):
        path.write_bytes(b"x")
    (root / "a" / "[c]*").unlink()
    assert [path for path, _ in files_below(root)] == [root / "a" / "b"]
    remove_tree(root)
    assert files_below(root) == []
    assert all(path.exists() for path in others)


def test_a_new_blob_takes_three_requests(remote_home, requests):
    (remote_home.root / "tombstones" / "other" / "a.json").write_text("{}")
    requests.clear()
    remote_home.put_blob([b"sound"], 100)
    assert [request.method for request in requests] == ["list_objects_v2", "head_object", "put_object"]


def test_of_a_large_table_only_the_columns_are_read_that_are_asked_for(remote_home, requests):
    rows = pa.table({"n": [1], "media": [os.urandom(8 << 20)]})
    remote_home.write_table(remote_home.root / "t" / "a.parquet", rows)
    requests.clear()
    assert read_tables(remote_home.root / "t", SCHEMA, ["n"])["n"].to_pylist() == [1]
    ends = [request.span.removeprefix("bytes=").split("-") for request in requests.of("get_object")]
    assert 0 < sum(int(end) - int(start) + 1 for start, end in ends) < 3 << 20


def test_a_damaged_copy_is_told_by_the_name_of_the_blob(remote_home):
    blob, copy = remote_home.blob("0" * 64), remote_home.temporary()
    copy.write_bytes(b"x")
    with pytest.raises(Damaged) as told:
        damage.check(blob, "0" * 64, copy)
    assert told.value.path == blob


def test_nothing_is_removed_while_it_is_in_use(remote_home):
    with remote_home.in_use(), remote_home.locked(remote_home.root / ".artune-home") as is_mine:
        assert not is_mine
    with (
        remote_home.locked(remote_home.root / ".artune-home"),
        pytest.raises(ConfigurationError, match="wait for its end"),
        remote_home.in_use(),
    ):
        pass


@pytest.mark.parametrize("ignored", [{"IfNoneMatch"}, {"IfMatch"}])
def test_a_storage_that_keeps_to_no_conditions_is_refused(remote_home, monkeypatch, ignored):
    call = s3fs.S3FileSystem._call_s3

    async def careless(client: s3fs.S3FileSystem, method: str, *parameters: Any, **more: Any) -> Any:
        return await call(client, method, *parameters, **{k: v for k, v in more.items() if k not in ignored})

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", careless)
    with pytest.raises(ConfigurationError, match="overwrites a file although it was told not to"):
        remote_home.mark()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://ida:hidden@bucket/x", "a password or a user in it"),
        ("gs://bucket/x", "expected a folder, or an address of object storage"),
        ("s3://", "expected a folder or a bucket"),
    ],
)
def test_an_address_that_cannot_be_a_home_is_refused_unasked(address, said):
    with pytest.raises(ConfigurationError, match=said) as refusal:
        Home(address)
    assert "hidden" not in str(refusal.value)


def told(work: Callable[[], Any], kind: type[Exception]) -> str:
    """Return the one sentence that some work ends with; no key is in it or in its causes."""
    with pytest.raises(kind) as refusal:
        work()
    assert SECRET not in str(refusal.getrepr(showlocals=False, chain=True))
    assert refusal.value.__cause__ is None
    return str(refusal.value)


def test_a_bucket_that_is_not_there_is_told():
    home = Home("s3://artune-nowhere/x")
    assert "s3://artune-nowhere is not there" in told(home.mark, ConfigurationError)
    assert "make it first" in told(lambda: files_below(home.root), ConfigurationError)


def test_missing_credentials_are_told(bucket, fresh_clients, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "there are no credentials" in told(Home(f"s3://{bucket}/x").mark, ConfigurationError)


def test_missing_permission_is_told_with_the_file(bucket):
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    said = told(Home(f"s3://{bucket}/x").mark, ConfigurationError)
    assert said.startswith(f"s3://{bucket}: these credentials may not write x/.artune-home")


def refused(monkeypatch: pytest.MonkeyPatch, method: str, code: str, status: int) -> list[str]:
    """Let the server refuse one method; the list that is returned grows by it each time."""
    call, found = s3fs.S3FileSystem._call_s3, []

    async def refusing(client: s3fs.S3FileSystem, asked: str, *parameters: Any, **more: Any) -> Any:
        if asked != method:
            return await call(client, asked, *parameters, **more)
        found.append(asked)
        answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise translate_boto_error(ClientError(answer, asked))

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", refusing)
    return found


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("NotImplemented", 501, "expected a storage that takes conditions"),
        ("PermanentRedirect", 301, "could not be asked to write x/.artune-home"),
        ("NobodyKnowsThis", 400, "could not be asked to write x/.artune-home"),
    ],
)
def test_what_a_storage_will_never_do_is_told(bucket, monkeypatch, code, status, said):
    refused(monkeypatch, "put_object", code, status)
    assert said in told(Home(f"s3://{bucket}/x").mark, ConfigurationError)


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("TooMuch", 429)])
def test_a_storage_that_is_busy_is_the_fault_of_no_item(bucket, monkeypatch, code, status):
    refused(monkeypatch, "put_object", code, status)
    assert "goes on from there" in told(Home(f"s3://{bucket}/x").mark, HomeBusy)


def test_parts_that_may_not_be_listed_keep_nobody_from_work(remote_home, monkeypatch):
    asked = refused(monkeypatch, "list_multipart_uploads", "AccessDenied", 403)
    remote_home.forget_uploads(remote_home.root)
    assert asked == ["list_multipart_uploads"]


def test_a_server_that_is_gone_is_asked_again_later(bucket, fresh_clients, monkeypatch):
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{bound.getsockname()[1]}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr(_Client, "retries", 1)
        assert "the same command goes on from there" in told(Home(f"s3://{bucket}/x").mark, TransientError)


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError(errno.EHOSTUNREACH, "no route")])
def test_a_connection_that_breaks_in_a_body_is_tried_again_later(remote_home, monkeypatch, error):
    path = remote_home.root / "blob"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(_Client, "retries", 1)

    async def read(*_: Any, **__: Any) -> bytes:
        raise error

    monkeypatch.setattr("aiobotocore.response.StreamingBody.read", read)
    assert "cannot be reached" in told(path.read_bytes, HomeBusy)
    assert "cannot be reached" in told(lambda: object_storage.read_with_age(path), HomeBusy)
    with pytest.raises(HomeBusy), remote_home.at_hand(path):
        pass


def test_a_body_that_is_cut_off_is_asked_for_again_later(remote_home, monkeypatch):
    path = remote_home.root / "blob"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(_Client, "retries", 1)
    read: Callable[..., Any] = cut_off()
    monkeypatch.setattr("aiobotocore.response.StreamingBody.read", read)
    assert "cut the connection" in told(path.read_bytes, TransientError)
    assert "cut the connection" in told(lambda: path.open("rb").read(), TransientError)
    with pytest.raises(TransientError, match="cut the connection"), remote_home.at_hand(path):
        pass


def cut_off() -> Callable[..., Any]:
    from aiohttp import ClientPayloadError

    async def read(*_: Any, **__: Any) -> bytes:
        raise ClientPayloadError("Response payload is not completed")

    return read


def test_what_is_no_folder_cannot_be_renamed(remote_home):
    with pytest.raises(TypeError, match="nothing is renamed"):
        (remote_home.root / "a").replace(remote_home.root / "b")


def test_what_a_person_looks_at_is_kept_here(remote_home):
    page = remote_home.root / "releases" / "1" / "report" / "index.html"
    page.write_text("<p>")
    here = remote_home.kept_here(page)
    assert isinstance(here, Path)
    assert here.read_text() == "<p>"


def ran(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_home_on_a_disk_loads_no_client_of_storage():
    clients = "{'s3fs', 'upath', 'aiobotocore'} & set(sys.modules)"
    code = f"import sys; from curation.store import Home; Home('here').scratch; assert not {clients}; print('fine')"
    assert ran(code) == "fine\n"


def test_packages_that_are_missing_are_told():
    code = "import sys; sys.modules['upath'] = None\nfrom curation.store import Home\nfrom rules.errors import *\n"
    code += "try: Home('s3://bucket/x')\nexcept ConfigurationError as error: print(error)"
    assert "pip install 'artune[s3]'" in ran(code)
