"""Back to an earlier release: its rows, less what law or sources forbid now."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import building
from curation.assignment import assign
from curation.batches import in_threads
from curation.memory import Memory
from curation.releases import Release
from curation.restoring import memory_after
from curation.store import Home
from curation.tables import assignment_table, pairs_table
from rules.errors import ConfigurationError
from tests.curation import laws
from tests.curation.collection import write_collection
from tests.curation.editions import Made, editions, released
from tests.curation.tables import (
    ROOMY,
    images_table,
    items_table,
    links_of,
    recordings_table,
    said_of,
    tiny_rules,
)

RULES = tiny_rules(ROOMY)


def rolled_back(made: list[Made], to: int):
    """Return the assignment of a rollback from the last edition to an earlier one, and the memory that it leaves."""
    last, earlier = made[-1], made[to]
    rules = tiny_rules(earlier.edition.sizes)
    current = memory_left_by(last, len(made))
    memory = memory_after(current, memory_left_by(earlier, to + 1))
    blobs = {item.sha256: item for one in made for item in one.edition.items}
    wanted = {item.sha256 for item in last.edition.items}.union(memory.assignment["sha256"].to_pylist())
    measured = [
        table([blob for sha, blob in blobs.items() if sha in wanted]) for table in (images_table, recordings_table)
    ]
    items = items_table(last.edition.items)
    found = assign(items, *measured, rules, memory, links_of(*measured), said_of(items, rules), current)
    return found, items, rules, current, assignment_table(found, memory, len(made) + 1)


def memory_left_by(made: Made, number: int) -> Memory:
    return Memory(assignment_table(made.assignment, made.memory, number), pairs_table(made.assignment))


def keys(assignment) -> set[tuple[str, str, int, str, str]]:
    names = ("image_sha256", "music_sha256", "music_start_s", "label", "split")
    return {tuple(pair[name] for name in names) for pair in laws.pairs_of(assignment)}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(editions(), st.data())
def test_a_rollback_breaks_no_law_and_holds_no_row_but_the_old_ones(drawn, data):
    made = list(released(drawn))
    to = data.draw(st.integers(0, len(made) - 2))
    found, items, rules, current, left = rolled_back(made, to)
    laws.check_all(items, found, rules)
    assert keys(found) <= keys(made[to].assignment)

    before = {(row["sha256"], row["start_sample"]): row for row in current.assignment.to_pylist()}
    for row in left.to_pylist():
        known = before.get((row["sha256"], row["start_sample"]))
        if row["pair_id"] and known:
            assert row["split"] == known["split"]
        if row["pair_id"] and known and known["pair_id"] and row["label"] != known["label"]:
            side = found.pool.images if row["side"] == "image" else found.pool.music
            at = side.items["sha256"].to_pylist().index(row["sha256"])
            assert known["label"] not in {fit.label for fit in side.fitting.of(at)}
    assert before.keys() <= {(row["sha256"], row["start_sample"]) for row in left.to_pylist()}


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(editions())
def test_where_only_sizes_changed_every_row_comes_back(drawn):
    """Items and tags stay; classes shrink to one pair and grow back."""
    first = drawn[0]
    made = list(released([first, type(first)(first.items, (1, 1, 1, 1))]))
    found, *_ = rolled_back(made, 0)
    assert keys(found) == keys(made[0].assignment)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """Give a work folder in which a class shrank after the first release."""
    root = tmp_path_factory.mktemp("rollback")
    folder = write_collection(root / "media", range(10), range(6))
    home = Home(root / "home")
    for rules in (RULES, tiny_rules((1, 3, 1, 1))):
        building.build(home, [f"folder:{folder}"], rules, in_threads(2), may_drop=True)
    return home, folder


def go_back(home: Home, folder: Path, number: int = 1) -> Release | None:
    return building.roll_back(home, [f"folder:{folder}"], number, in_threads(2), may_drop=True)


def rows(release: Release) -> list[dict[str, object]]:
    tables = [pq.read_table(path) for path in sorted((release.folder / "metadata").glob("*.parquet"))]
    return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: str(row["pair_id"]))


def test_rows_rules_and_media_are_those_of_the_earlier_release(place, tmp_path):
    home, folder = copied(place, tmp_path)
    third = go_back(home, folder)
    assert third is not None
    first = home.release(1)
    assert (third.manifest["parent"], third.manifest["rolled_back_to"]) == (2, 1)
    assert rows(third) == rows(Release(1, first, {}))
    assert (third.folder / "rule_set.json").read_bytes() == (first / "rule_set.json").read_bytes()
    data = sorted(path.name for path in (first / "data").iterdir())
    assert data == sorted(path.name for path in (third.folder / "data").iterdir())
    assert all((first / "data" / name).samefile(third.folder / "data" / name) for name in data)


def test_a_second_rollback_has_nothing_to_do_and_a_build_goes_on_from_it(place, tmp_path):
    home, folder = copied(place, tmp_path)
    third = go_back(home, folder)
    assert go_back(home, folder) is None
    fourth = building.build(home, [f"folder:{folder}"], RULES, in_threads(2))
    assert fourth is not None
    assert fourth.manifest["parent"] == 3
    assert {row["pair_id"] for row in rows(third)} <= {row["pair_id"] for row in rows(fourth)}


def test_what_no_source_lists_any_more_stays_out_and_is_told(place, tmp_path):
    home, folder = copied(place, tmp_path)
    gone = rows(Release(1, home.release(1), {}))[0]["image_source_id"]
    (folder / str(gone)).unlink()
    third = go_back(home, folder)
    assert gone not in {row["image_source_id"] for row in rows(third)}
    assert len(rows(third)) == len(rows(Release(1, home.release(1), {}))) - 1
    rejected = pq.read_table(third.folder / "rejections.parquet").to_pylist()
    assert "rolled_back" in {row["reason"] for row in rejected}  # its partner


@pytest.mark.parametrize(("number", "said"), [(2, "release 2 is the current one"), (7, "has no release 7")])
def test_only_an_earlier_release_can_come_back(place, number, said):
    with pytest.raises(ConfigurationError, match=said):
        go_back(*place, number)


def copied(place: tuple[Home, Path], to: Path) -> tuple[Home, Path]:
    home, folder = place
    shutil.copytree(home.root, to / "home")
    return Home(to / "home"), shutil.copytree(folder, to / folder.name)
