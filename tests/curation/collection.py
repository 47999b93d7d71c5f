"""Small real folders: noise for pictures, tunes for music, a table that says what they are."""

import csv
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import soundfile

from tests.curation.tables import FEATURES, GENRES, RATE_HZ, SUB_GENRES
from tests.media import RATE_HZ as MADE_RATE_HZ
from tests.media import tune
from tests.pictures import photo, saved

COLUMNS = ("file", "title", "creator", "genre", "sub_genre", "music_feature", "license", "attribution")


def write_collection(
    folder: Path, pictures: Iterable[int], recordings: Iterable[int], more: Iterable[dict[str, str]] = ()
) -> Path:
    """Write numbered pictures and recordings, mostly of one label; files that are there already stay untouched.

    Pictures are BMP and recordings WAV, for the bytes of these do not change with a library's version.

    Args:
        more: further rows of the table.
    """
    folder.mkdir(exist_ok=True)
    rows = []
    for number in pictures:
        path = folder / f"picture{number}.bmp"
        if not path.exists():
            saved(path, photo(48, 36, number))
        rows.append({"file": path.name, "title": f"Face {number}", "creator": "Ida", "genre": GENRES[number % 4 != 0]})
    for number in recordings:
        path = folder / f"music{number}.wav"
        if not path.exists():
            # Every sixth sample of 44.1 kHz, played at 8 kHz: a tune at another pitch.
            waveform = tune(1.5 * (1 + number % 3), number)[:: round(MADE_RATE_HZ / RATE_HZ)]
            soundfile.write(path, waveform, RATE_HZ, "PCM_16")
        kind = {"sub_genre": SUB_GENRES[2], "music_feature": FEATURES[1]}
        rows.append({"file": path.name, "title": f"Song {number}", "creator": "Jean", **kind})
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({"license": "CC0-1.0", "attribution": "made for a test"} | row for row in [*rows, *more])
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def copy_linked(folder: Path, target: Path) -> None:
    """Copy a folder in which hard links stay hard links."""
    links: dict[int, str] = {}

    def copy(source: str, to: str) -> None:
        first = links.setdefault(Path(source).stat().st_ino, to)
        shutil.copy2(source, to) if first == to else os.link(first, to)

    shutil.copytree(folder, target, copy_function=copy)
