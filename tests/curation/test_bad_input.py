"""A folder full of what a careless or hostile hand may leave: each ends with its reason, and the rest is released."""

import io
import os
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation import building
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from tests import media, pictures
from tests.curation.collection import write_collection
from tests.curation.tables import tiny_rules

PLENTY = (40, 40, 40, 40)
SCRIPT = "<script>alert(1)</script>"
TITLES = {
    "../../etc/passwd": "../../etc/passwd",
    SCRIPT: SCRIPT,
    "first\nsecond\r\n# third": "first second  # third",
    "\u202egnp.exe\u2066": "gnp.exe",
    "x" * 4_000: "x" * 1_000,
    "[a](javascript:b) | `c` \x00\x1b[31m": "[a](javascript:b) | `c` [31m",
    "caf\u00e9 \u5317\u658e \U0001f3a8": "caf\u00e9 \u5317\u658e \U0001f3a8",
}

# file or row, unit, stage, reason
EXPECTED = [
    ("truncated.jpg", "image", "measure", "undecodable_image"),
    ("header_only.png", "image", "measure", "undecodable_image"),
    ("bomb.png", "image", "measure", "too_many_pixels"),
    ("side_of_30000.png", "image", "measure", "too_many_pixels"),
    ("dot.png", "image", "measure", "too_small"),
    ("empty.jpg", "item", "collect", "empty_file"),
    ("empty.wav", "item", "collect", "empty_file"),
    ("page.jpg", "item", "collect", "unknown_type"),
    ("noise.mp3", "item", "collect", "unknown_type"),
    ("program.wav", "item", "collect", "unknown_type"),
    ("garbage.mp3", "recording", "measure", "undecodable_audio"),
    ("cut_off.flac", "recording", "measure", "undecodable_audio"),
    ("mute.mp4", "recording", "measure", "no_audio"),
    ("short.wav", "recording", "measure", "too_short"),
    ("quiet.wav", "recording", "pair", "no_clip_kept"),
    ("no_row.bmp", "image", "label", "no_rule"),
    ("no_file.bmp", "item", "collect", "missing_file"),
    ("../../../etc/passwd", "item", "collect", "outside_folder"),
    ("link.bmp", "item", "collect", "outside_folder"),
    ("pipe.wav", "item", "collect", "unreadable"),
    ("page.html", "item", "collect", "unknown_type"),
]


def write_bad_files(folder: Path, outside: Path) -> None:
    jpeg = pictures.as_bytes(pictures.photo(64, 64, 99), "JPEG")
    flac = media.encode(folder / "cut_off.flac", media.tune(4, 99), channels=1)
    contents = {
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "header_only.png": b"\x89PNG\r\n\x1a\n",
        "bomb.png": pictures.png(50_000, 50_000, 8, 2, bytes(1_000)),
        "side_of_30000.png": pictures.png(30_000, 30_000, 8, 0, bytes(1_000)),
        "dot.png": pictures.as_bytes(pictures.plain("red", size=(1, 1)), "PNG"),
        "empty.jpg": b"",
        "empty.wav": b"",
        "page.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
        "page.html": b"<!DOCTYPE html><html><body>404</body></html>",
        "noise.mp3": b"\x11" + random.Random(0).randbytes(5_000),
        "program.wav": b"\x7fELF" + bytes(5_000),
        "garbage.mp3": b"ID3\x04\x00\x00\x00\x00\x00\x0a" + random.Random(1).randbytes(5_000),
        "cut_off.flac": flac.read_bytes()[:20_000],
        "no_row.bmp": pictures.as_bytes(pictures.photo(32, 32, 98), "BMP"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    media.encode(folder / "short.wav", media.tune(0.5, 97), channels=1)
    media.encode(folder / "quiet.wav", media.silence(3), channels=1)
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=2", "-an", folder / "mute.mp4")
    outside.write_bytes(contents["no_row.bmp"])
    (folder / "link.bmp").symlink_to(outside)
    os.mkfifo(folder / "pipe.wav")


def write_good_files(folder: Path) -> list[dict[str, str]]:
    """Write pictures whose titles are hostile or whose files are odd, and return their rows."""
    rows = []
    for number, title in enumerate(TITLES):
        name = f"titled{number}.bmp"
        pictures.saved(folder / name, pictures.photo(40, 40, 200 + number))
        rows.append({"file": name, "title": title, "attribution": title, "license": title[:40], "genre": "Portrait"})
    frames = [pictures.photo(40, 40, seed) for seed in (301, 302)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    pictures.saved(folder / "<b>&\"'\n \u202e.bmp", pictures.photo(40, 40, 303))
    return [*rows, *({"file": name, "genre": "Portrait"} for name in ("animated.gif", "<b>&\"'\n \u202e.bmp"))]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    root = tmp_path_factory.mktemp("bad")
    folder = root / "media"
    folder.mkdir()
    write_bad_files(folder, root / "outside.bmp")
    music = {"sub_genre": "Song", "music_feature": "Popular"}
    rows = [
        *write_good_files(folder),
        {"file": "quiet.wav", **music},
        {"file": "no_file.bmp", "genre": "Portrait"},
        {"file": "../../../etc/passwd", "genre": "Portrait"},
        {"file": "picture1.bmp", "genre": "Grid"},
    ]
    write_collection(folder, range(6), range(12), rows)
    return building.build(Home(root / "home"), [f"folder:{folder}"], tiny_rules(PLENTY), in_threads(2))


@pytest.fixture(scope="module")
def rejected(release: Release) -> dict[str, dict[str, object]]:
    rows = pq.read_table(release.folder / "rejections.parquet").to_pylist()
    return {row["source_id"]: row for row in rows if row["unit"] != "clip"}


@pytest.fixture(scope="module")
def rows(release: Release) -> list[dict[str, object]]:
    return [row for path in sorted((release.folder / "data").iterdir()) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize(("name", "unit", "stage", "reason"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_bad_file_is_rejected_for_its_reason(rejected, name, unit, stage, reason):
    row = rejected[name]
    assert (row["unit"], row["stage"], row["reason"]) == (unit, stage, reason)


def test_nothing_else_is_rejected(rejected):
    others = {name: row["reason"] for name, row in rejected.items() if name not in {row[0] for row in EXPECTED}}
    twice = {name for name in others if name.startswith("picture1.bmp//")}
    assert {others[name] for name in twice} == {"duplicate_id"}
    assert len(twice) == 1
    # The tiny collection has two landscapes and no music for them.
    assert {name: others[name] for name in others if name not in twice} == {
        "picture0.bmp": "class_full",
        "picture4.bmp": "class_full",
    }


def test_silent_clips_say_so(release):
    clips = [row for row in pq.read_table(release.folder / "rejections.parquet").to_pylist() if row["unit"] == "clip"]
    assert {row["reason"] for row in clips if row["source_id"] == "quiet.wav"} == {"silent"}


def test_good_files_are_released(rows):
    names = {row["image_source_id"] for row in rows}
    assert {"picture1.bmp", "animated.gif", *(f"titled{number}.bmp" for number in range(len(TITLES)))} <= names
    assert any(name.startswith("<b>") for name in names)


def test_first_frame_of_an_animation_is_published(rows):
    (row,) = (row for row in rows if row["image_source_id"] == "animated.gif")
    with Image.open(io.BytesIO(row["image"]["bytes"])) as picture:
        assert picture.size == (40, 40)
        assert not getattr(picture, "is_animated", False)


@pytest.mark.parametrize(("number", "title"), list(enumerate(TITLES.values())))
def test_hostile_title_is_data(rows, number, title):
    (row,) = (row for row in rows if row["image_source_id"] == f"titled{number}.bmp")
    assert row["image_title"] == title


def test_no_text_from_outside_is_markup_in_the_card_or_the_report(release):
    card = (release.folder / "README.md").read_text(encoding="utf-8")
    report = (release.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert SCRIPT not in card + report
    assert "<b>&" not in report
    assert r"\<script\>alert" in card
    assert "[a](javascript:" not in card
    assert "\n# third" not in card
    assert "\u202e" not in card


def test_media_are_named_by_what_they_are_not_by_what_they_were_called(rows):
    for row in rows:
        assert row["image"]["path"] == f"{row['pair_id']}.jpg"
        assert row["audio"]["path"] == f"{row['pair_id']}.wav"


def test_manifest_counts_every_rejection(release, rejected):
    counts = release.manifest["rejections"]
    assert sum(counts.values()) == len(pq.read_table(release.folder / "rejections.parquet"))
    assert counts["unknown_type"] == 4
