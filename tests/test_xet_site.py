"""The Xet storage on loopback, asked by the Hub's own client in processes where Xet is on."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.hub.repos import Repo
from tests.hub_site import Hub
from tests.xet_site import XetSite

UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.upload_file(path_or_fileobj=sys.argv[2], path_in_repo="a.bin", repo_id=sys.argv[1], repo_type="dataset")
print(api.hf_hub_download(sys.argv[1], "a.bin", repo_type="dataset"))
"""


@pytest.fixture
def xet(tmp_path: Path) -> Iterator[XetSite]:
    with XetSite(tmp_path / "xorbs") as xet:
        yield xet


@pytest.fixture
def xet_hub(tmp_path: Path, xet: XetSite) -> Iterator[Hub]:
    with Hub(tmp_path / "hub", xet=xet) as hub:
        yield hub


@pytest.fixture
def repo(xet_hub: Hub) -> Repo:
    return xet_hub.create(xet_hub.new_id())


def upload(hub: Hub, repo: Repo, content: bytes, machine: Path) -> bytes:
    """Send a file from a machine that may have sent others, and return what it gets when it asks for it."""
    machine.mkdir(exist_ok=True)
    path = machine / "sent.bin"
    path.write_bytes(content)
    here = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.user("ida").token, "HF_HOME": str(machine)}
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_XET"} | here
    command = [sys.executable, "-c", UPLOAD, repo.id, str(path)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return Path(found.strip()).read_bytes()


def varied(seed: int) -> bytes:
    """Return bytes that the client stores as they are, that it compresses, and that it groups before it does."""
    rng = np.random.default_rng(seed)
    numbers, words = rng.random(100_000, np.float32), b"".join(b"row %d of it\n" % row for row in range(30_000))
    return numbers.tobytes() + rng.bytes(3_000_000) + words + b"end"


def test_an_edit_sends_little_and_the_file_comes_back(xet_hub: Hub, xet: XetSite, repo: Repo, tmp_path: Path) -> None:
    first = varied(1)
    edited = first[:2_000_000] + b"inserted" + first[2_000_000:]
    for content, at_least, less_than in ((first, 3_000_000, 3_700_000), (edited, 8_000, 500_000), (edited, 0, 2_000)):
        before = xet.received.total()
        assert upload(xet_hub, repo, content, tmp_path / "machine") == content
        assert at_least <= xet.received.total() - before < less_than
        assert repo.hashes()["a.bin"] == hashlib.sha256(content).hexdigest()
    assert not xet_hub.received["lfs"]


def test_another_machine_learns_what_is_there(xet_hub: Hub, xet: XetSite, repo: Repo, tmp_path: Path) -> None:
    content = varied(2)
    upload(xet_hub, repo, content, tmp_path / "one")
    before = xet.received.total()
    assert upload(xet_hub, repo, content + varied(3)[:100_000], tmp_path / "other")
    assert xet.found_elsewhere
    assert xet.received.total() - before < 500_000


def test_a_storage_that_lost_bytes_is_found_out(xet_hub: Hub, xet: XetSite, repo: Repo, tmp_path: Path) -> None:
    content = np.random.default_rng(4).bytes(500_000)
    upload(xet_hub, repo, content, tmp_path / "machine")
    (xorb,) = (tmp_path / "xorbs").iterdir()
    damaged = bytearray(xorb.read_bytes())
    damaged[1_000] ^= 1
    xorb.write_bytes(damaged)
    with pytest.raises(ValueError, match="make up"):
        b"".join(xet.content(hashlib.sha256(content).hexdigest()))
