"""What was published is loaded back as readers do, and whatever differs is named."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import releases
from curation.errors import TransientError
from curation.publishing import folders, proof
from curation.publishing.outcome import Outcome
from curation.publishing.proof import Proof, Unverified, check
from curation.shards import open_writer
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.collection import copy_linked
from tests.curation.publishing.conftest import Editions
from tests.curation.publishing.to_hub import pickled, publish
from tests.hub.people import User
from tests.hub_site import Hub

_numbers = itertools.count()


@dataclass(frozen=True)
class Published:
    """A publication, and how to change one of its files."""

    editions: Editions
    outcome: Outcome
    change: Callable[[str, Callable[[bytes], bytes | None]], None]

    def check(self) -> Proof:
        return check(self.editions.home, self.editions.first, self.outcome, pickled)


@pytest.fixture(scope="module")
def first(editions: Editions, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Give a publication in a folder, to be copied."""
    return folders.publish(editions.home, editions.first, str(tmp_path_factory.mktemp("proof")), pickled)


@pytest.fixture
def published(request: pytest.FixtureRequest, editions: Editions, first: Outcome, tmp_path: Path) -> Published:
    """Give a publication of its own, in a folder or at an address."""
    where = str(tmp_path / "v1") if request.param == "folder" else f"memory://proof{next(_numbers)}/v1"
    files, root = fsspec.core.url_to_fs(where)
    files.put(f"{first.location}/", f"{root}/", recursive=True)

    def change(name: str, how: Callable[[bytes], bytes | None]) -> None:
        content = how(files.cat_file(f"{root}/{name}"))
        files.rm(f"{root}/{name}")
        if content is not None:
            files.pipe_file(f"{root}/{name}", content)

    return Published(editions, replace(first, location=where), change)


everywhere = pytest.mark.parametrize("published", ["folder", "address"], indirect=True)
in_a_folder = pytest.mark.parametrize("published", ["folder"], indirect=True)


@everywhere
def test_a_publication_is_right(published):
    files = [name for name, file in published.outcome.manifest.files.items() if file.rows]
    rows = sum(min(proof.SAMPLE_ROWS, published.outcome.manifest.files[name].rows) for name in files)
    assert published.check() == Proof(len(files), rows)


def test_a_publication_on_the_hub_is_right_and_little_of_it_is_read(editions, hub: Hub, ida: User, monkeypatch):
    repo_id = hub.new_id()
    outcome = publish(editions.home, editions.first, repo_id)
    with hub.watch(repo_id) as traffic:
        found = check(editions.home, editions.first, outcome, pickled)
    assert found.rows > found.shards > 5
    assert {request.method for request in traffic.requests} <= {"GET", "HEAD"}
    of_data = [request for request in traffic.requests if "/resolve/" in request.path]
    assert {request.path.split("/resolve/")[1].split("/")[0] for request in of_data} == {outcome.commit}


def changed(content: bytes, column: str, row: int, value: Callable[[object], object]) -> bytes:
    """Return a file with another value somewhere."""
    table = pq.read_table(pa.BufferReader(content))
    values = table[column].to_pylist()
    values[row] = value(values[row])
    at = table.schema.get_field_index(column)
    return written(table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type)))


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with open_writer(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def one_bit(media: dict[str, object]) -> dict[str, object]:
    content = bytearray(media["bytes"])
    content[-1] ^= 1
    return media | {"bytes": bytes(content)}


@everywhere
@pytest.mark.parametrize(
    ("config", "column", "value"),
    [
        ("data", "image", one_bit),
        ("data", "audio", one_bit),
        ("data", "pair_id", lambda value: value[::-1]),
        ("metadata", "label", lambda value: (value + 1) % 4),
        ("metadata", "image_title", lambda value: None),
        ("references", "url", lambda value: f"{value}?"),
    ],
)
def test_a_value_that_differs_is_named(published, config, column, value):
    name = next(name for name in published.outcome.manifest.files if name.startswith(f"{config}/train"))
    published.change(name, lambda content: changed(content, column, 0, value))
    with pytest.raises(Unverified, match=rf"{name}: pair [0-9a-f]+: column {column} differs"):
        published.check()


@everywhere
def test_a_file_that_lacks_rows_is_found(published):
    files = published.outcome.manifest.files
    name = next(name for name, file in files.items() if name.startswith("metadata/train"))
    published.change(name, lambda content: written(pq.read_table(pa.BufferReader(content)).slice(0, 1)))
    with pytest.raises(Unverified, match=rf"{name}: it gives other than \d first rows"):
        published.check()


@everywhere
def test_features_that_were_lost_are_found(published):
    name = next(name for name in published.outcome.manifest.files if name.startswith("data/train"))
    published.change(name, lambda content: written(pq.read_table(pa.BufferReader(content)).replace_schema_metadata()))
    with pytest.raises(Unverified, match=f"{name}: it has other columns or other features"):
        published.check()


@everywhere
def test_a_file_that_is_gone_is_found(published):
    name = [name for name in published.outcome.manifest.files if name.startswith("data/train")][-1]
    published.change(name, lambda _: None)
    with pytest.raises(Unverified, match=rf"its card leads to \d files, one too many or less: {name}"):
        published.check()


@everywhere
def test_a_card_that_counts_wrong_is_found(published):
    published.change("README.md", lambda card: re.sub(rb"num_examples: (\d+)", rb"num_examples: 1\1", card))
    with pytest.raises(Unverified, match=r"config default, t\w+: its card speaks of 1(\d+) rows, its files have \1"):
        published.check()


@everywhere
@pytest.mark.parametrize("how", [lambda card: None, lambda card: b"# Nothing\n", lambda card: b"---\na: [\n---\n"])
def test_a_card_that_leads_nowhere_is_found(published, how):
    published.change("README.md", how)
    with pytest.raises(Unverified, match="`datasets` cannot load it"):
        published.check()


@in_a_folder
def test_a_file_that_is_no_parquet_is_found(published):
    name = next(name for name in published.outcome.manifest.files if name.startswith("data/train"))
    published.change(name, lambda content: content[: len(content) // 2])
    with pytest.raises(Unverified, match="`datasets` cannot load it"):
        published.check()


def test_a_hub_that_is_busy_is_asked_again_later(editions, hub: Hub, ida: User):
    repo_id = hub.new_id()
    outcome = publish(editions.home, editions.first, repo_id)
    hub.fail("GET", f"{repo_id}/revision", 503, times=9)
    with pytest.raises(TransientError, match="the same command goes on from there"):
        check(editions.home, editions.first, outcome, pickled)


@in_a_folder
def test_what_changed_at_home_is_not_blamed_on_the_place(published, tmp_path):
    home = Home(tmp_path / "home")
    copy_linked(published.editions.home.root, home.root)
    path = next((home.root / "releases" / "1" / "data").glob("train-*.parquet"))
    content = bytearray(path.read_bytes())
    content[200] ^= 1  # in a picture
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{path.name} changed on disk .*artune verify"):
        check(home, releases.get(home, 1), published.outcome, pickled)
