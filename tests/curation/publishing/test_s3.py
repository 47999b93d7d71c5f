"""A release in a bucket, by the real client of S3 against a server on loopback."""

import itertools
import json
import os
from collections.abc import Iterator

import boto3
import pytest
import s3fs
from datasets import load_dataset
from moto.server import ThreadedMotoServer

from curation.errors import TransientError
from curation.publishing import folders, proof
from rules.errors import ConfigurationError
from tests.curation.publishing.to_folder import Killed, held, killed_after, publish
from tests.curation.publishing.to_hub import pickled

KEY, SECRET = "AKIAWATCHTHISKEY0000", "watch-this-secret-0000000000000000000000"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedMotoServer]:
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def endpoint(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let clients find the server, and credentials, where they look for them: in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    s3fs.S3FileSystem.clear_instance_cache()
    yield f"http://{host}:{port}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket() -> str:
    name = f"artune-{next(_numbers)}"
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
    return name


def test_a_bucket_holds_versions_and_datasets_loads_them(editions, bucket, tmp_path):
    where = f"s3://{bucket}/art/tune"
    first, second = publish(editions, "first", where), publish(editions, "opened", where)
    assert (first.location, second.location) == (f"{where}/v1", f"{where}/v2")
    found = held(where)
    assert sorted(found) == sorted(
        f"{one.version}/{name}" for one in (first, second) for name in (*one.manifest.files, "README.md", "artune.json")
    )
    for one, release in ((first, editions.first), (second, editions.opened)):
        files = [name for name, file in one.manifest.files.items() if file.rows]
        assert proof.check(editions.home, release, one, pickled).shards == len(files)
    patterns = {"train": f"{where}/v1/metadata/train-*.parquet"}
    loaded = load_dataset("parquet", data_files=patterns, split="train", streaming=True, cache_dir=str(tmp_path))
    assert loaded.features["label"].names
    assert len(list(loaded)) == sum(
        file.rows for name, file in first.manifest.files.items() if name.startswith("metadata/train")
    )


def test_again_it_does_nothing_and_an_update_is_copied_by_the_server(editions, bucket, server):
    where = f"s3://{bucket}"
    publish(editions, "first", where)
    assert publish(editions, "first", where).is_new is False
    assert folders.check(editions.home, editions.first, where) is not None
    second = publish(editions, "opened", where)
    kept = [name for name in second.manifest.files if name.startswith("data/") and name not in second.sent_files]
    assert kept
    client = boto3.client("s3", region_name="us-east-1")
    tags = [
        [client.head_object(Bucket=bucket, Key=f"{version}/{name}")["ETag"] for name in kept]
        for version in ("v1", "v2")
    ]
    assert tags[0] == tags[1]


def test_killed_and_run_again_it_goes_on(editions, bucket, monkeypatch):
    monkeypatch.setattr(folders, "BATCH_FILES", 3)
    where = f"s3://{bucket}/x"
    with pytest.raises(Killed):
        folders.publish(editions.home, editions.first, where, killed_after(7))
    sent = {name[3:] for name in held(where) if name.endswith(".parquet")}
    again = publish(editions, "first", where)
    assert len(sent) == 6
    assert not sent & {*again.sent_files}


def test_no_bucket_is_told(editions):
    with pytest.raises(
        ConfigurationError, match=r"s3://artune-nowhere/x is not there.*bucket does not exist.*make it first"
    ):
        folders.check(editions.home, editions.first, "s3://artune-nowhere/x")


def test_an_impossible_name_of_a_bucket_is_told(editions):
    with pytest.raises(ConfigurationError, match=r"s3://Not_A_Bucket!/x: .*expected a bucket that is there"):
        folders.check(editions.home, editions.first, "s3://Not_A_Bucket!/x")


def test_no_credentials_are_told(editions, bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match=r"there are no credentials.*AWS_ACCESS_KEY_ID"):
        folders.check(editions.home, editions.first, f"s3://{bucket}/x")


def test_credentials_in_the_address_are_refused_and_not_repeated(editions):
    with pytest.raises(ConfigurationError, match="expected these in the environment") as refusal:
        folders.check(editions.home, editions.first, f"s3://{KEY}:{SECRET}@bucket/x")
    assert KEY not in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_no_permission_is_told_and_keys_are_not(editions, bucket, caplog):
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    boto3.client("s3", region_name="us-east-1").put_bucket_policy(Bucket=bucket, Policy=policy)
    with pytest.raises(
        ConfigurationError, match=r"these credentials may not write v1.*expected a place that may be written to"
    ) as refusal:
        publish(editions, "first", f"s3://{bucket}/x")
    told = f"{refusal.getrepr(showlocals=False)}{caplog.text}"
    assert SECRET not in told
    assert KEY not in told


def test_a_server_that_is_not_there_is_asked_again_later(editions, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TransientError, match="cannot be reached.*the same command goes on from there"):
        folders.check(editions.home, editions.first, "s3://bucket/x")
