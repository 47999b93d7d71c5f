"""What becomes of the sample: every trap that its README names ends as a careful curator would want."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

import rules
from curation import building, images, releases
from curation.batches import in_threads
from curation.collect import current_items, list_sources
from curation.memory import SPLITS
from curation.releases import Release
from curation.store import Home

RULES = rules.load("museart18")
HELD = "eligible"  # held back by nothing but the sizes of the classes, or released

# file, fate, reason, the file that stays in its place
TRAPS = [
    ("images/van_gogh_cafe_terrace_at_night.jpg", "rejected", "exact_duplicate", "images/arles_place_du_forum.jpg"),
    ("images/arles_place_du_forum.jpg", HELD, None, None),
    ("images/la_gioconda_small.jpg", "rejected", "near_duplicate", "images/leonardo_mona_lisa.jpg"),
    ("images/leonardo_mona_lisa.jpg", HELD, None, None),
    ("images/freecol_felipe.jpg", "rejected", "detail", "images/freecol_philip.jpg"),
    ("images/freecol_philip.jpg", HELD, None, None),
    ("images/freedoom2_title.jpg", "rejected", "near_duplicate", "images/freedoom1_title.jpg"),
    ("images/freedoom1_title.jpg", HELD, None, None),
    ("images/clipart_dragon_head_nicu_buculei_01.png", "rejected", "too_small", None),
    ("images/clipart_dancer_sketch_erich_schu_01.png", HELD, None, None),  # palette
    ("images/clipart_einstein_01.png", HELD, None, None),  # grayscale
    ("images/clipart_troll_daniel_steele_r.png", HELD, None, None),  # alpha
    ("images/flare_goblin.png", HELD, None, None),  # alpha
    ("images/hokusai_ejiri_in_suruga.webp", HELD, None, None),
    ("images/renoir_girls_at_the_piano.jpg", HELD, None, None),  # color profile
    ("images/van_gogh_painter_on_his_way_to_work.jpg", HELD, None, None),  # EXIF orientation 6
    ("images/van_gogh_the_night_cafe.jpg", "rejected", "no_rule", None),  # CMYK; decoded, but an interior fits nothing
    ("images/bellini_pesaro_altarpiece_detail.jpg", "rejected", "no_rule", None),  # a detail without its whole
    ("music/africa_djembe.wav", "rejected", "too_short", None),
    ("music/japan_taiko.opus", "rejected", "too_short", None),
    ("music/old_piano_rag.ogg", "rejected", "acoustic_duplicate", "music/joplin_maple_leaf_rag.opus"),
    ("music/joplin_maple_leaf_rag.opus", HELD, None, None),
    ("music/joplin_bethena_silent_start.opus", HELD, None, None),
    ("music/caruso_handel_ombra_mai_fu.wav", HELD, None, None),  # 8 kHz mono
    ("music/satie_gymnopedie_1.flac", HELD, None, None),
    ("music/debussy_arabesque_1.m4a", HELD, None, None),
    ("music/maxstack_through_space.mp3", HELD, None, None),
]

UPRIGHT_SIZES = {
    "clipart_troll_daniel_steele_r.png": (387, 520),
    "clipart_dancer_sketch_erich_schu_01.png": (424, 600),
    "clipart_einstein_01.png": (410, 520),
    "flare_goblin.png": (320, 320),
    "hokusai_ejiri_in_suruga.webp": (560, 381),
    "renoir_girls_at_the_piano.jpg": (356, 483),
    "van_gogh_painter_on_his_way_to_work.jpg": (439, 500),  # stored 500 x 439
    "van_gogh_the_night_cafe.jpg": (560, 442),
}


@pytest.fixture(scope="module")
def fates(sample_release: Release) -> dict[str, tuple[str, str | None, str | None]]:
    """Return fate, reason and what stays instead of every item."""
    found: dict[str, tuple[str, str | None, str | None]] = {}
    for row in pq.read_table(sample_release.folder / "rejections.parquet").to_pylist():
        if row["unit"] != "clip":
            held = row["reason"] in ("class_full", "no_partner", "no_clip_kept")
            found[row["source_id"]] = (HELD, None, None) if held else ("rejected", row["reason"], row["kept_source_id"])
    return found


@pytest.fixture(scope="module")
def rows(sample_release: Release) -> list[dict[str, object]]:
    found = []
    for path in sorted((sample_release.folder / "data").iterdir()):
        split = path.name.partition("-")[0]
        found += [row | {"split": split} for row in pq.read_table(path).to_pylist()]
    return found


@pytest.mark.parametrize(("file", "fate", "reason", "kept"), TRAPS, ids=[Path(trap[0]).stem for trap in TRAPS])
def test_trap_ends_rightly(fates, file, fate, reason, kept):
    assert fates.get(file, (HELD, None, None)) == (fate, reason, kept)


def test_every_item_is_released_or_rejected(fates, rows, sample_home):
    released = {row[f"{side}_source_id"] for row in rows for side in ("image", "music")}
    items = current_items(sample_home, list_sources(sample_home, ["sample"]))["source_id"].to_pylist()
    assert released.isdisjoint(fates)
    assert sorted(released | set(fates)) == items


def test_labels_and_splits_are_filled(sample_release, rows):
    counts = releases.label_counts(sample_release, RULES)
    assert sum(1 for by_split in counts.values() if by_split) >= 11
    assert {row["split"] for row in rows} == set(SPLITS)


def test_everything_says_where_it_is_from_and_why_it_is_here(rows):
    for row in rows:
        assert row["rule"]
        assert row["evidence"]
        assert all(row[f"{side}_{fact}"] for side in ("image", "music") for fact in ("license", "url", "sha256"))
        assert "unknown" not in (row["image_license"], row["music_license"])


@pytest.mark.parametrize("name", UPRIGHT_SIZES)
def test_odd_picture_becomes_an_upright_plain_jpeg(sample_home, rows, name):
    items = current_items(sample_home, list_sources(sample_home, ["sample"])).to_pylist()
    sha256 = next(item["sha256"] for item in items if item["source_id"] == f"images/{name}")
    published = images.encode(sample_home.blob(sha256), RULES.image)
    with Image.open(io.BytesIO(published)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", UPRIGHT_SIZES[name])
        assert not picture.getexif()
        assert "icc_profile" not in picture.info
    assert all(row["image"]["bytes"] == published for row in rows if row["image_sha256"] == sha256)


def test_odd_pictures_are_among_the_released(rows):
    """So that the test above says something of the release: alpha and a color profile."""
    released = {row["image_source_id"] for row in rows}
    assert {"images/flare_goblin.png", "images/renoir_girls_at_the_piano.jpg"} <= released


def test_clips_are_exactly_30_seconds_of_sound(rows):
    for row in rows:
        samples, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        assert (samples.shape, rate_hz) == ((1_323_000, 2), 44_100)
        assert np.abs(samples).max() > 0


def test_leading_silence_is_skipped(rows):
    starts = [row["music_start_s"] for row in rows if "joplin_bethena" in row["music_source_id"]]
    assert min(starts) == pytest.approx(6.0, abs=0.2)


def test_duplicate_sound_is_released_once(rows):
    rags = {row["music_source_id"] for row in rows} & {"music/old_piano_rag.ogg", "music/joplin_maple_leaf_rag.opus"}
    assert rags == {"music/joplin_maple_leaf_rag.opus"}


def test_second_build_of_the_sample_does_nothing(sample_home: Home):
    assert building.build(sample_home, ["sample"], RULES, in_threads(1)) is None
