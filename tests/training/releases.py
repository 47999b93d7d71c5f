"""A tiny release to train on: real pictures and tunes of three labels, several row groups in each split."""

import csv
from pathlib import Path

import pytest
import soundfile

from curation import building, releases, shards
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from rules.schema import RuleSet
from tests.media import tune
from tests.pictures import photo, saved

LABELS = ("Dawn", "Noon", "Dusk")
RATE_HZ = 22_050  # another than any encoder's, so that resampling cannot be forgotten
CHANNELS = 2
CLIP_S = 1.0
SIDES_PX = ((80, 60), (60, 90), (72, 72))  # wide, high and square
CLIPS_PER_RECORDING = 3
RECORDINGS = 12
ROW_GROUP_BYTES = 450_000  # five clips of 88 KB, with their pictures


def rule_set() -> RuleSet:
    """Return three labels, each of the word of its name."""
    labels = [
        {
            "name": name,
            "size": 60,
            "image": {"any": [{"genre": [name]}]},
            "music": {"features": [name], "sub_genres": {name: 60}},
        }
        for name in LABELS
    ]
    return RuleSet.model_validate(
        {
            "name": "tiny-training",
            "title": "Three times of a day",
            "seed": 1,
            "image": {"max_side_px": 90, "min_side_px": 32},
            "audio": {
                "sample_rate_hz": RATE_HZ,
                "channels": CHANNELS,
                "clip_s": CLIP_S,
                "max_clips_per_recording": CLIPS_PER_RECORDING,
            },
            "splits": {"train": 0.5, "validation": 0.25, "test": 0.25},
            "labels": labels,
            "vocabulary": {kind: dict.fromkeys(LABELS) for kind in ("genre", "sub_genre", "music_feature")},
            "licenses": {"embed": ["CC0-1.0"]},
        }
    )


def build(folder: Path) -> tuple[Home, Release]:
    """Build the release of 36 pairs, in the work folder `folder/home`."""
    media, home = folder / "media", Home(folder / "home")
    write_media(media)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "bucket_counts", lambda _: {"train": 2, "validation": 1, "test": 1})
        patched.setattr(shards, "MAX_ROW_GROUP_BYTES", ROW_GROUP_BYTES)
        building.build(home, [f"folder:{media}"], rule_set(), in_threads(2))
    return home, releases.get(home, 1)


def write_media(folder: Path) -> None:
    """Write a picture for each clip that the recordings hold, and the table that says what they are."""
    folder.mkdir()
    rows = []
    for number in range(RECORDINGS * CLIPS_PER_RECORDING):
        path = folder / f"picture{number}.bmp"
        saved(path, photo(*SIDES_PX[number % 3], number))
        # Each by somebody else: one creator's works would be one group and lie in one split.
        rows.append({"file": path.name, "creator": f"Painter {number}", "genre": LABELS[number // 3 % 3]})
    for number in range(RECORDINGS):
        path, name = folder / f"music{number}.wav", LABELS[number % 3]
        waveform = tune(CLIPS_PER_RECORDING * CLIP_S + 0.25, number)[::2]  # half of 44.1 kHz: an octave higher
        soundfile.write(path, waveform.repeat(CHANNELS).reshape(-1, CHANNELS), RATE_HZ, "PCM_16")
        rows.append({"file": path.name, "creator": f"Player {number}", "sub_genre": name, "music_feature": name})
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("file", "title", "creator", "genre", "sub_genre", "music_feature", "license"))
        writer.writeheader()
        writer.writerows({"title": row["file"], "license": "CC0-1.0"} | row for row in rows)
