"""Whatever an item is called, all is told of it, and it agrees with what the releases hold."""

import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rules
from curation import building
from curation.batches import in_threads
from curation.explaining import Decision, Explanation, explain
from curation.store import Home
from rules.errors import ConfigurationError
from rules.overrides import Override, Overrides
from tests.curation.collection import write_collection
from tests.curation.tables import GENRES, RATE_HZ, ROOMY, tiny_rules
from tests.pictures import photo, saved

RULES = rules.load("museart18")


def one(home: Home, text: str, rule_set=RULES) -> Explanation:
    (found,) = explain(home, rule_set, text)
    return found


def rows(release, name: str) -> list[dict[str, object]]:
    return pq.read_table(release.folder / f"{name}.parquet").to_pylist()


@pytest.fixture(scope="module")
def pair(sample_release) -> dict[str, object]:
    row = pq.read_table(sorted((sample_release.folder / "metadata").glob("*.parquet"))).to_pylist()[0]
    return row | {"label": RULES.label_names[row["label"]]}


def test_a_pair_id_explains_both_sides(sample_home, pair):
    image, music = explain(sample_home, RULES, pair["pair_id"])
    assert image.name == f"sample:{pair['image_source_id']}"
    assert music.name == f"sample:{pair['music_source_id']}"
    (held,) = image.fates[0].held
    assert (held.label, held.pair_id, held.partner) == (pair["label"], pair["pair_id"], music.name)
    assert {clip.partner for clip in music.fates[0].held if clip.pair_id == pair["pair_id"]} == {image.name}


@pytest.mark.parametrize("name", ["sample:{0}", "{0}", "{1}", "{2}", "{3}"])
def test_every_name_of_an_item_is_understood(sample_home, pair, name):
    sha256 = pair["image_sha256"]
    text = name.format(pair["image_source_id"], sha256, sha256[:8], sha256[:9].upper())
    assert one(sample_home, text).name == f"sample:{pair['image_source_id']}"


def test_the_rules_that_hold_are_those_that_the_release_names(sample_home, pair):
    for side in ("image", "music"):
        found = one(sample_home, pair[f"{side}_source_id"])
        assert len(found.trials) == len(RULES.labels)
        assert pair["label"] in {trial.label for trial in found.trials if trial.holds}


def test_every_tag_says_where_it_came_from(sample_home):
    tags = {(tag.kind, tag.value): tag for tag in one(sample_home, "images/hokusai_great_wave.jpg").tags}
    assert tags["style", "Ukiyo-e"].origin == "source"
    assert tags["continent", "Asia"].origin == "nationality Japanese"


def test_measurements_are_told(sample_home):
    assert one(sample_home, "images/hokusai_great_wave.jpg").measured["width_px"] > 0
    assert one(sample_home, "music/joplin_maple_leaf_rag.opus").measured["duration_s"] == pytest.approx(91, abs=1)


def test_every_rejection_is_told_as_the_release_has_it(sample_home, sample_release):
    row = next(row for row in rows(sample_release, "rejections") if row["reason"] == "no_rule")
    (refused,) = one(sample_home, row["source_id"]).fates[0].refused
    assert (refused.stage, refused.reason, refused.detail) == ("label", "no_rule", row["detail"])


def test_a_duplicate_and_what_stays_name_each_other(sample_home, sample_release):
    row = next(row for row in rows(sample_release, "rejections") if row["reason"] == "acoustic_duplicate")
    gone, stays = f"sample:{row['source_id']}", f"sample:{row['kept_source_id']}"
    assert {kin.name for kin in one(sample_home, stays).kin} >= {gone}
    found = one(sample_home, gone)
    assert {kin.name: kin.link for kin in found.kin}[stays] == f"{row['kept_source_id']} stays of the duplicates"
    assert found.fates[0].refused[0].kept == row["kept_source_id"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Home:
    """Give three releases: two views of one pond come with the second, a picture leaves with the third."""
    root = tmp_path_factory.mktemp("grown")
    home, folder = Home(root / "home"), root / "media"
    ponds = [{"file": f"pond{n}.bmp", "title": "Pond", "creator": "Ida", "genre": GENRES[1]} for n in range(2)]
    pictures = range(6)
    for more, recordings in (([], 2), (ponds, 3), (ponds, 3)):
        write_collection(folder, pictures, range(recordings), more)
        for number, row in enumerate(more):
            saved(folder / row["file"], photo(48, 36, 100 + number))
        building.build(home, [f"folder:{folder}"], tiny_rules(ROOMY), in_threads(2), may_drop=True)
        if more:
            pictures = [0, 2, 3, 4, 5]
            (folder / "picture1.bmp").unlink(missing_ok=True)
    return home


def grown_one(home: Home, text: str) -> Explanation:
    return one(home, text, tiny_rules(ROOMY))


def test_an_item_that_came_later_is_not_there_before(grown):
    fates = grown_one(grown, "pond0.bmp").fates
    assert [fate.release for fate in fates] == [1, 2, 3]
    assert [bool(fate.held or fate.refused) for fate in fates] == [False, True, True]


def test_an_item_that_left_is_remembered_with_its_split(grown):
    first, second, third = grown_one(grown, "picture1.bmp").fates
    assert first.held[0].pair_id
    assert third.held[0].pair_id is None
    assert {fate.held[0].split for fate in (first, second, third)} == {first.held[0].split}


def test_another_picture_of_the_work_is_kin_by_that(grown):
    kin = {kin.name: kin.link for kin in grown_one(grown, "pond0.bmp").kin}
    assert kin == {"folder:pond1.bmp": "same work: ida / pond"}


def test_each_clip_of_a_recording_has_its_own_place(grown):
    assignment = pq.read_table(grown.release(2) / "assignment.parquet").to_pylist()
    clips = Counter(row["source_id"] for row in assignment if row["side"] == "music")
    ((name, count),) = clips.most_common(1)
    found = grown_one(grown, f"folder:{name}").fates[1].held
    told = {(clip.start_s, clip.pair_id) for clip in found}
    assert told == {(row["start_sample"] / RATE_HZ, row["pair_id"]) for row in assignment if row["source_id"] == name}
    assert len(told) == count > 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("picture1.bpm", "no item is called so; near it: folder:picture1.bmp"),
        ("folder:music_1.wav", "near it: folder:music1.wav"),
        ("00000000", "expected source:source_id, a source_id, 8 or more digits of a sha256, or a pair_id"),
        ("", "no item is called so"),
        ("[bold]", "no item is called so"),
    ],
)
def test_an_unknown_item_is_told_with_what_is_near(grown, text, told):
    with pytest.raises(ConfigurationError) as error:
        explain(grown, tiny_rules(ROOMY), text)
    assert told in str(error.value)


def test_a_name_that_two_sources_use_must_say_which(grown, tmp_path):
    home = Home(shutil.copytree(grown.root, tmp_path / "home"))
    path = min(home.items("folder").glob("*.parquet"))
    table = pq.read_table(path)
    other = table.set_column(0, "source", pa.array(["attic"] * len(table)))
    home.write_table(home.items("attic") / "a.parquet", other)
    name = table["source_id"][0].as_py()
    with pytest.raises(ConfigurationError, match=f"2 items are called so: attic:{name}, folder:{name}; name one"):
        explain(home, tiny_rules(ROOMY), name)
    assert grown_one(home, f"attic:{name}").name == f"attic:{name}"


def test_before_the_first_build_nothing_is_known(tmp_path):
    with pytest.raises(ConfigurationError, match="no item is known yet; `artune build` collects"):
        explain(Home(tmp_path), RULES, "x.jpg")


@pytest.mark.parametrize(
    ("item", "decided", "told"),
    [
        ("folder:picture1.bmp", {"label": "Faces"}, ("label", "Faces")),
        ("folder:picture1.bmp", {"reject": True}, ("reject", "True")),
        ("{sha256}", {"tags": (("genre", "Poster"), ("genre", "Grid"))}, ("tags", "genre Poster, genre Grid")),
    ],
)
def test_an_override_is_shown_with_its_reason_and_place(grown, item, decided, told):
    sha256 = grown_one(grown, "picture1.bmp").item["sha256"]
    shared = {"item": item.format(sha256=sha256[:12]), "reason": "seen", "date": "2026-01-02", "where": "x.csv:2"}
    other = Override(item="folder:picture2.bmp", reject=True, reason="no", date="2026-01-02")
    overrides = Overrides(entries=(Override(**shared, **decided), other))
    (found,) = one(grown, "picture1.bmp", tiny_rules(ROOMY).model_copy(update={"overrides": overrides})).overrides
    assert found == Decision(*told, "override of 2026-01-02: seen", "x.csv:2")
