"""What was removed is in no later release, whatever source has it and whatever is built or restored."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

import rules
from curation import building, collect, explaining, history, planning, releases, removal, tombstones, verifying
from curation.assignment import assign
from curation.batches import in_threads
from curation.memory import Memory
from curation.publishing import records
from curation.publishing.records import Record
from curation.releases import Release
from curation.restoring import memory_after
from curation.store import Home, file_sha256
from curation.tables import assignment_table, pairs_table
from rules.errors import ConfigurationError
from tests.curation import laws
from tests.curation.collection import copy_linked, write_collection
from tests.curation.editions import Edition, editions, made_of, released
from tests.curation.tables import (
    RATE_HZ,
    ROOMY,
    images_table,
    items_table,
    links_of,
    picture,
    recording,
    recordings_table,
    said_of,
    tiny_rules,
    write_rules,
)
from tests.curation.test_rollback import memory_left_by
from tests.media import RATE_HZ as MADE_RATE_HZ
from tests.media import encode, tune
from tests.pictures import photo, saved

RULES = tiny_rules(ROOMY)
FEW = settings(max_examples=6, suppress_health_check=list(HealthCheck))
SIDES = ("image", "music")


def without(items, removed: set[str]):
    """Return a table of items in which these contents are refused as tombstones refuse them."""
    return tombstones.refused(items, np.isin(items["sha256"].to_pylist(), sorted(removed)))


def held(assignment, side: str) -> dict[tuple[object, object], dict[str, object]]:
    names = ("image_sha256", "image_source") if side == "image" else ("music_sha256", "music_start_s")
    return {tuple(pair[name] for name in names): pair for pair in laws.pairs_of(assignment)}


@settings(FEW, max_examples=12)
@given(editions(), st.data())
def test_what_is_removed_leaves_and_all_the_rest_stays_where_it_was(drawn, data):
    """Only the partner of what is removed may have another partner, and it keeps label and split."""

    (first,) = released(drawn[:1])
    pairs = first.pairs
    if not pairs:
        return
    lots = st.tuples(st.sampled_from(pairs), st.sampled_from(SIDES))
    removed = {str(pair[f"{side}_sha256"]) for pair, side in data.draw(st.lists(lots, min_size=1, max_size=3))}
    items = without(items_table(first.edition.items), removed)
    measured = images_table(first.edition.items), recordings_table(first.edition.items)
    rule_set = tiny_rules(first.edition.sizes)
    memory = memory_left_by(first, 1)
    second = assign(items, *measured, rule_set, memory, links_of(*measured), said_of(items, rule_set))

    laws.check_all(items, second, rule_set)
    refused = [row for row in second.rejections.to_pylist() if row["sha256"] in removed]
    assert {row["reason"] for row in refused} == {"removed"}
    assert {row["title"] for row in refused} == {None}
    for side in SIDES:
        other = SIDES[side == "image"]
        now, before = held(second, side), held(first.assignment, side)
        assert removed.isdisjoint(sha256 for sha256, _ in now)
        for key, pair in before.items():
            if key[0] in removed:
                continue
            lost_partner = pair[f"{other}_sha256"] in removed
            assert key in now or lost_partner
            if key in now:
                assert all(now[key][name] == pair[name] for name in ("label", "split"))
                assert now[key]["pair_id"] == pair["pair_id"] or lost_partner


@FEW
@given(editions(), st.data())
def test_what_is_removed_is_in_no_later_release_and_no_rollback_brings_it_back(drawn, data):

    made = list(released(drawn))
    at = data.draw(st.integers(0, len(made) - 1))
    known = sorted({str(pair[f"{side}_sha256"]) for pair in made[at].pairs for side in SIDES})
    if not known:
        return
    removed = data.draw(st.sets(st.sampled_from(known), min_size=1, max_size=3))
    blobs = list({item.sha256: item for one in made for item in one.edition.items}.values())
    memory = memory_left_by(made[at], at + 1)
    for number, edition in enumerate(drawn[at:], at + 2):
        rule_set = tiny_rules(edition.sizes)
        items = without(items_table(edition.items), removed)
        wanted = {item.sha256 for item in edition.items}.union(memory.assignment["sha256"].to_pylist())
        measured = [
            table([blob for blob in blobs if blob.sha256 in wanted]) for table in (images_table, recordings_table)
        ]
        found = links_of(*measured), said_of(items, rule_set)
        restored = memory_after(memory, memory_left_by(made[at], at + 1))
        for remembered, rolled_back_from in ((memory, None), (restored, memory)):
            release = assign(items, *measured, rule_set, remembered, *found, rolled_back_from)
            laws.check_all(items, release, rule_set)
            assert removed.isdisjoint(pair[f"{side}_sha256"] for pair in laws.pairs_of(release) for side in SIDES)
        release = assign(items, *measured, rule_set, memory, *found)
        memory = Memory(assignment_table(release, memory, number), pairs_table(release))


def test_a_clip_whose_row_was_purged_stays_where_today_s_windows_lie_elsewhere():
    """What the parent published of it is gone with the picture's pair: it is known no more."""
    song = recording("song", "Song", "Popular", clips=1)
    (first,) = released([Edition([picture("gone", "Portrait"), song], ROOMY)])
    (before,) = first.pairs
    left = memory_left_by(first, 1)
    purged = Memory(left.assignment, left.pairs.slice(0, 0))
    shifted = replace(song, windows=("fine",), first_sample=1_000)
    second = made_of([picture("new", "Portrait"), shifted], [picture("gone"), picture("new"), shifted], RULES, purged)
    (pair,) = laws.pairs_of(second)
    assert (pair["music_start_s"], pair["split"]) == (before["music_start_s"], before["split"])
    assert pair["loudness_lufs"] is None


class Place:
    """A folder of media and the work folder that is built from it."""

    def __init__(self, root: Path) -> None:
        self.folder, self.home = root / "media", Home(root / "home")

    @property
    def sources(self) -> list[str]:
        return [f"folder:{self.folder}"]

    def build(self, rule_set=RULES) -> Release | None:
        return building.build(self.home, self.sources, rule_set, in_threads(2), may_drop=True)

    def plan(self) -> planning.Plan:
        return planning.plan(self.home, collect.list_sources(self.home, self.sources), RULES)

    def remove(self, item: str, **more) -> removal.Removal:
        return removal.remove(self.home, item, "asked for by the painter", **more)

    def copy(self, root: Path) -> "Place":
        copied = Place(root)
        copy_linked(self.home.root, copied.home.root)
        shutil.copytree(self.folder, copied.folder)
        return copied


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Place:
    place = Place(tmp_path_factory.mktemp("removal"))
    write_collection(place.folder, range(10), range(6))
    sound = tune(25.0, 77)[:: round(MADE_RATE_HZ / RATE_HZ)]
    soundfile.write(place.folder / "music0.wav", sound, RATE_HZ, "PCM_16")  # long enough to have a fingerprint
    place.build()
    return place


@pytest.fixture
def place(made, tmp_path) -> Place:
    return made.copy(tmp_path / "place")


def rows(release: Release) -> list[dict[str, object]]:
    tables = [pq.read_table(path) for path in sorted((release.folder / "metadata").glob("*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]


def names(release: Release) -> set[object]:
    return {row[f"{side}_source_id"] for row in rows(release) for side in SIDES}


def refusals(release: Release) -> dict[str, tuple[str, str | None]]:
    found = pq.read_table(release.folder / "rejections.parquet").to_pylist()
    return {row["source_id"]: (row["reason"], row["detail"]) for row in found if row["unit"] != "clip"}


def some_pair(place: Place) -> dict[str, object]:
    return rows(releases.get(place.home, 1))[0]


def a_picture(place: Place) -> str:
    return str(some_pair(place)["image_source_id"])


@pytest.mark.parametrize("side", SIDES)
def test_an_item_leaves_the_next_release_and_its_partner_gets_another(place, side):
    before = rows(releases.get(place.home, 1))
    gone = "music0.wav" if side == "music" else a_picture(place)
    found = place.remove(f"folder:{gone}")
    assert (found.name, found.known, found.again, found.purged) == (f"folder:{gone}", True, False, None)
    pairs = sum(row[f"{side}_source_id"] == gone for row in before)
    assert [(one.release, one.data_set, one.pairs, one.purged) for one in found.held_by] == [(1, "tiny", pairs, False)]
    second = place.build()
    assert second is not None
    assert gone not in names(second)
    assert {name: why for name, why in refusals(second).items() if why[0] == "removed"} == {gone: ("removed", None)}
    assert second.manifest["rejections"]["removed"] == 1
    assert "its removal was asked for" in (second.folder / "report" / "index.html").read_text()
    now = {row["pair_id"]: row for row in rows(second)}
    assert all(row["pair_id"] in now for row in before if row[f"{side}_source_id"] != gone)
    references = pq.read_table(second.folder / "references").to_pylist()
    assert gone not in {row["url"] for row in references}
    assert verifying.verify(place.home, in_threads(2)) == []
    assert place.build() is None


def test_the_same_request_again_says_so_and_the_first_reason_stays(place):
    gone = a_picture(place)
    place.remove(gone)
    again = removal.remove(place.home, gone, "another reason")
    assert again.again
    assert again.because == "asked for by the painter"
    assert len(tombstones.read(place.home)) == 1


@pytest.mark.parametrize("digits", [12, 64])
def test_an_item_may_be_named_by_its_hash(place, digits):
    pair = some_pair(place)
    found = place.remove(str(pair["image_sha256"])[:digits])
    assert found.name == f"folder:{pair['image_source_id']}"
    assert found.sha256s == [pair["image_sha256"]]


def test_a_pair_is_refused_for_one_side_is_meant(place):
    pair = some_pair(place)
    with pytest.raises(ConfigurationError, match="expected one of its sides") as refused:
        place.remove(str(pair["pair_id"]))
    assert f"folder:{pair['image_source_id']}" in str(refused.value)
    assert tombstones.read(place.home) == []


@pytest.mark.parametrize("item", ["nobody.bmp", "attic:nobody.bmp", "deadbeefdeadbeef", "folder:"])
def test_an_unknown_item_is_told(place, item):
    with pytest.raises(ConfigurationError, match="no item is called so"):
        place.remove(item)
    assert tombstones.read(place.home) == []


def test_a_request_without_a_reason_is_refused(place):
    with pytest.raises(ConfigurationError, match="expected why"):
        removal.remove(place.home, a_picture(place), "  ")


def test_a_request_may_come_before_the_item_which_is_then_not_even_read(place):
    found = place.remove("folder:late.bmp")
    assert (found.known, found.sha256s, found.held_by) == (False, [], [])
    (explained,) = explaining.explain(place.home, RULES, "folder:late.bmp")
    assert [request.because for request in explained.removals] == ["asked for by the painter"]
    write_collection(place.folder, range(10), range(6), [{"file": "late.bmp", "title": "Late", "genre": "Portrait"}])
    saved(place.folder / "late.bmp", photo(48, 36, 99))
    second = place.build()
    assert second is not None
    assert refusals(second)["late.bmp"] == ("removed", None)
    assert not place.home.blob(file_sha256(place.folder / "late.bmp")).exists()


def test_a_folder_that_still_has_it_does_not_bring_it_back_whatever_the_file_holds_now(place):
    gone = a_picture(place)
    place.remove(gone)
    place.build()
    for content in ((place.folder / gone).read_bytes(), (place.folder / "picture4.bmp").read_bytes() + b"\0"):
        (place.folder / gone).write_bytes(content)
        os.utime(place.folder / gone, ns=(1, len(content)))
        place.build()
        last = releases.latest(place.home)
        assert last is not None
        assert gone not in names(last)
        assert refusals(last)[gone][0] == "removed"
    assert verifying.verify(place.home, in_threads(2)) == []


def test_the_same_bytes_under_another_name_are_refused(place):
    gone = a_picture(place)
    shutil.copy(place.folder / gone, place.folder / "twin.bmp")
    place.build()
    found = place.remove(gone)
    assert found.twins == ["folder:twin.bmp"]
    shutil.copy(place.folder / gone, place.folder / "triplet.bmp")
    last = place.build()
    assert last is not None
    assert names(last).isdisjoint({gone, "twin.bmp", "triplet.bmp"})
    assert refusals(last)["twin.bmp"] == ("removed", "the same bytes as an item whose removal was asked for")
    assert refusals(last)["triplet.bmp"][0] == "removed"


def write_copies(place: Place, gone: str) -> list[str]:
    with Image.open(place.folder / gone) as picture:
        ImageOps.mirror(picture.convert("RGB")).save(place.folder / "mirrored.png")
        picture.convert("RGB").resize((64, 48)).save(place.folder / "larger.png")
    waveform, _ = soundfile.read(place.folder / "music0.wav")
    encode(place.folder / "again.ogg", 0.8 * waveform, rate_hz=RATE_HZ, channels=1)
    sub = {"sub_genre": "Song", "music_feature": "Popular"}
    more = [{"file": name, "genre": "Portrait"} for name in ("mirrored.png", "larger.png")]
    write_collection(place.folder, range(10), range(6), [*more, {"file": "again.ogg", **sub}])
    return ["mirrored.png", "larger.png", "again.ogg"]


@pytest.mark.parametrize("is_late", [False, True], ids=["listed before", "listed after"])
def test_near_duplicates_are_refused_whichever_of_them_was_kept(place, is_late):
    gone = a_picture(place)
    copies = [] if is_late else write_copies(place, gone)
    place.build()
    for item in (gone, "music0.wav"):
        place.remove(item)
    copies = copies or write_copies(place, gone)
    planned = place.plan() if not is_late else None
    last = place.build()
    assert last is not None
    assert names(last).isdisjoint({gone, "music0.wav", *copies})
    told = refusals(last)
    for name in copies:
        assert told[name][0] == "removed", told[name]
        assert "whose removal was asked for" in str(told[name][1])
        assert gone not in str(told[name][1])
    if planned:
        assert ids_of(planned) == ids(last)
    assert place.build() is None


def ids(release: Release) -> list[str]:
    return sorted(str(row["pair_id"]) for row in rows(release))


def ids_of(plan: planning.Plan) -> list[str]:
    return sorted(plan.changes.after["pair_id"].to_pylist())


def test_no_rollback_brings_it_back(place):
    gone = a_picture(place)
    place.remove(gone)
    place.build()
    back = building.roll_back(place.home, place.sources, 1, in_threads(2), may_drop=True)
    assert back is not None
    assert gone not in names(back)
    assert refusals(back)[gone][0] == "removed"
    first = {row["pair_id"] for row in rows(releases.get(place.home, 1)) if row["image_source_id"] != gone}
    assert {row["pair_id"] for row in rows(back)} == first


def test_plan_and_explain_tell_it(place):
    pair = some_pair(place)
    gone = str(pair["image_source_id"])
    assert place.build() is None  # the copied files are collected anew
    place.remove(gone)
    found = place.plan()
    assert found.changes_something
    told = {row["source_id"]: row for row in found.changes.items.to_pylist()}
    assert (told[gone]["kind"], told[gone]["reason_after"]) == ("lost", "removed")
    (explained,) = explaining.explain(place.home, RULES, gone)
    assert [request.because for request in explained.removals] == ["asked for by the painter"]
    last = place.build()
    assert last is not None
    assert ids_of(found) == ids(last)


def test_every_request_makes_a_build_look_again_and_without_requests_nothing_differs(place):
    assert place.build() is None
    items = collect.current_items(place.home, collect.list_sources(place.home, place.sources))
    assert building.is_current(place.home, items, RULES)
    (place.home.root / "tombstones").mkdir()
    assert building.is_current(place.home, items, RULES)
    place.remove("folder:never-seen.bmp")
    assert not building.is_current(place.home, items, RULES)
    assert place.build() is not None
    assert place.build() is None


def test_an_override_of_a_removed_item_does_not_stop_a_build(place, tmp_path):
    gone = a_picture(place)
    folder = tmp_path / "rules"

    write_rules(folder, sizes=ROOMY)
    (folder / "overrides.yaml").write_text(
        f"overrides:\n- item: folder:{gone}\n  label: Faces\n  reason: a face\n  date: 2026-01-01\n"
    )
    place.remove(gone)
    last = place.build(rules.load(str(folder)))
    assert last is not None
    assert gone not in names(last)


# ------ what was published


def publish(place: Place, where: str, release: int = 1) -> Record:
    record = Record(where, None, "tiny", release, f"v{release}", None)
    records.write(place.home, record)
    return record


def copies_of(place: Place, item: str, **more) -> list[tuple[Record, int | None]]:
    return [(copy.record, copy.pairs) for copy in place.remove(item, **more).published]


@pytest.mark.parametrize("side", SIDES)
def test_the_publications_that_hold_it_are_told(place, side):
    gone = "music0.wav" if side == "music" else a_picture(place)
    pairs = sum(row[f"{side}_source_id"] == gone for row in rows(releases.get(place.home, 1)))
    here, there = publish(place, "/here"), publish(place, "/there")
    assert copies_of(place, gone) == [(here, pairs), (there, pairs)]
    second = place.build()
    assert second is not None
    publish(place, "/there", second.number)
    assert copies_of(place, gone) == [(here, pairs), (there, pairs)]


def test_a_publication_without_it_is_not_told(place):
    publish(place, "/here")
    refused = sorted({path.name for path in place.folder.glob("picture*.bmp")} - names(releases.get(place.home, 1)))
    assert copies_of(place, refused[0]) == []
    assert copies_of(place, "folder:never-collected.bmp") == []


def test_what_was_deleted_before_a_publication_is_not_in_it(place):
    gone = a_picture(place)
    before = publish(place, "/before")
    assert copies_of(place, gone, purge=True) == [(before, 1)]
    publish(place, "/after")
    assert copies_of(place, gone) == [(before, 1)]


def test_of_a_release_that_gc_removed_nobody_can_tell(place):
    old = publish(place, "/here")
    gone = a_picture(place)
    for name in names(releases.get(place.home, 1)) - {gone}:
        if name.startswith("picture"):
            place.remove(str(name))
            break
    assert place.build() is not None
    found = history.garbage(place.home, keep=1)
    assert found.releases == [1]
    history.remove(place.home, found)
    assert copies_of(place, gone) == [(old, None)]
