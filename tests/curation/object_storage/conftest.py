"""A server of object storage on loopback, and work folders on it."""

import itertools
import logging
import os
from collections.abc import Callable, Iterator

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from curation.store import Home
from tests.curation.object_storage.requests import Watched, watched

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[ThreadedMotoServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def credentials(server: ThreadedMotoServer) -> dict[str, str]:
    """Give what clients look for in the environment."""
    host, port = server.get_host_and_port()
    return {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAWATCHTHISKEY0000",
        "AWS_SECRET_ACCESS_KEY": "watch-this-secret-0000000000000000000000",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="module", autouse=True)
def _environment(credentials: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients find the server where they look for it, and keep what a home keeps on this machine apart."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in credentials.items():
            patch.setenv(name, value)
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("here")))
        patch.setattr("tempfile.tempdir", None)
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def new_home() -> Callable[[], Home]:
    """Give what makes work folders, each in a bucket of its own."""
    return lambda: Home(f"s3://{new_bucket()}/work folder")


@pytest.fixture
def bucket() -> str:
    return new_bucket()


@pytest.fixture
def remote_home(new_home: Callable[[], Home]) -> Home:
    return new_home()


def new_bucket() -> str:
    name = f"artune-home-{next(_numbers)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Give what this process asks the storage for, from now on."""
    return watched(monkeypatch)
