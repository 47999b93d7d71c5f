import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import links
from curation.assignment import assign
from curation.links import Links
from curation.memory import NO_MEMORY, SPLITS, Memory
from curation.store import Home
from curation.tables import assignment_table, pairs_table
from tests.curation import laws
from tests.curation.tables import (
    ROOMY,
    Item,
    images_table,
    items_table,
    picture,
    pictures,
    recording,
    recordings,
    recordings_table,
    said_of,
    tiny_rules,
)

PICTURES = [picture("a", look=(1, 0)), picture("b", damage="too_small"), picture("c"), picture("d", look=(1, 1))]
RECORDINGS = [recording("e", "Song", sound=("x",)), recording("f", "Song", sound=("y", "x"))]


def tables() -> tuple[pa.Table, pa.Table]:
    return images_table(PICTURES), recordings_table(RECORDINGS)


def find(home: Home, images: pa.Table, recordings: pa.Table, *, keep: bool, key: str = "a step") -> Links:
    """Find links between the rows of tables that are whole already."""
    sides = (links.Measured(key, table["sha256"], lambda table=table: table) for table in (images, recordings))
    return links.find(home, *sides, keep=keep)


def files(home: Home) -> list[str]:
    return sorted(path.name for path in home.root.rglob("*.parquet"))


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_links_are_rows_of_the_measured_tables(home):
    found = find(home, *tables(), keep=False)
    assert found.images.tolist() == [[0, 3]]
    assert found.recordings.tolist() == [[0, 1]]


def test_nothing_is_written_unless_links_are_kept(home):
    find(home, *tables(), keep=False)
    assert files(home) == []


def test_kept_links_are_read_again_whatever_chunks_the_tables_come_in(home):
    images, recordings = tables()
    find(home, images, recordings, keep=True)
    for path in home.root.rglob("*.parquet"):
        pq.write_table(pa.table({"row": [1], "other": [2]}), path)
    in_chunks = [pa.concat_tables([table.slice(0, 1), table.slice(1)]) for table in (images, recordings)]
    found = find(home, *in_chunks, keep=True)
    assert found.images.tolist() == found.recordings.tolist() == [[1, 2]]


def test_another_measurement_is_searched_anew(home):
    find(home, *tables(), keep=True)
    other = images_table([replace(item, look=(number, 0)) for number, item in enumerate(PICTURES)])
    assert find(home, other, recordings_table(RECORDINGS), keep=False).images.tolist() == [[0, 3]]
    assert find(home, other, recordings_table(RECORDINGS), keep=False, key="another").images.tolist() == []


def test_another_picture_leaves_the_links_of_recordings_alone(home):
    images, recordings = tables()
    find(home, images, recordings, keep=True)
    assert files(home) == ["images.parquet", "recordings.parquet"]
    more = pa.concat_tables([images, images_table([picture("z", look=(1, 0))])])
    found = find(home, more, recordings, keep=True)
    assert files(home) == ["images.parquet", "images.parquet", "recordings.parquet"]
    assert found.images.tolist() == [[0, 3], [0, 4]]


def test_row_that_cannot_be_measured_any_more_moves_the_links(home):
    images, recordings = tables()
    find(home, images, recordings, keep=True)
    found = find(home, images.slice(1), recordings, keep=True)
    assert found.images.tolist() == []


def test_empty_tables_have_no_links(home):
    found = find(home, images_table([]), recordings_table([]), keep=True)
    assert found.images.shape == found.recordings.shape == (0, 2)


# Links between what earlier releases put into different splits, as a later version of this module may find them


@st.composite
def editions_with_links(draw: st.DrawFn) -> tuple[list[tuple[list[Item], list[tuple[str, str]]]], list[Item]]:
    """Draw collections from which items come and go, and links of which there are more each time."""
    universe = [*draw(pictures()), *draw(recordings())]
    lots, edges = random.Random(draw(st.integers(0, 2**32))), set()
    sides = [
        sorted({item.sha256 for item in universe if item.modality == side and not item.damage})
        for side in ("image", "music")
    ]
    found = []
    for _ in range(draw(st.integers(2, 4))):
        for blobs in sides:
            edges |= {tuple(sorted(lots.sample(blobs, 2))) for _ in range(len(blobs) // 6)}  # none among fewer than 6
        found.append(([item for item in universe if lots.random() < 0.8], sorted(edges)))
    return found, universe


def rows_of(measured: pa.Table, edges: list[tuple[str, str]]) -> np.ndarray:
    at = {sha256: row for row, sha256 in enumerate(measured["sha256"].to_pylist())}
    pairs = [sorted((at[a], at[b])) for a, b in edges if a in at and b in at]
    return np.array(pairs, np.int64).reshape(-1, 2)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(editions_with_links())
def test_nothing_is_published_below_the_split_of_what_it_is_linked_to(drawn):
    editions, universe = drawn
    memory = NO_MEMORY
    for number, (items, edges) in enumerate(editions, 1):
        measured = images_table(universe), recordings_table(universe)
        found = Links(*(rows_of(table, edges) for table in measured))
        assignment = assign(
            items_table(items), *measured, tiny_rules(), memory, found, said_of(items_table(items), tiny_rules())
        )
        laws.check_all(items_table(items), assignment, tiny_rules())

        before = dict(memory.assignment.select(["sha256", "split"]).to_pandas().itertuples(index=False))
        published = {
            pair[f"{side}_sha256"]: pair["split"] for pair in laws.pairs_of(assignment) for side in ("image", "music")
        }
        for sha256, other in [*edges, *((b, a) for a, b in edges)]:
            if sha256 in published and other in before:
                assert SPLITS.index(published[sha256]) >= SPLITS.index(before[other])
        memory = Memory(assignment_table(assignment, memory, number), pairs_table(assignment))


def test_what_was_tested_once_and_comes_back_still_bars_its_copy_from_training():
    """A picture leaves the test split for a release; when it is listed again, a link to a training picture is found."""
    items = [picture(f"p{n}", "Portrait") for n in range(12)]
    items += [recording(f"r{n}", "Song", "Popular") for n in range(12)]
    measured = images_table(items), recordings_table(items)
    memory, rules, edges = NO_MEMORY, tiny_rules(ROOMY), []
    for number in (1, 2, 3):
        listed = items_table([item for item in items if number != 2 or item.sha256 not in edges[:1]])
        found = Links(rows_of(measured[0], [tuple(edges)] if number == 3 else []), rows_of(measured[1], []))
        assignment = assign(listed, *measured, rules, memory, found, said_of(listed, rules))
        splits = {pair["image_sha256"]: pair["split"] for pair in laws.pairs_of(assignment)}
        edges = edges or [next(sha for sha in splits if splits[sha] == split) for split in ("test", "train")]
        memory = Memory(assignment_table(assignment, memory, number), pairs_table(assignment))
    reasons = {row["sha256"]: row["reason"] for row in assignment.rejections.to_pylist()}
    assert reasons[edges[1]] == "leak"
    assert splits.get(edges[0], "test") == "test"
