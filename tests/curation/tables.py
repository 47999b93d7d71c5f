"""Collections that exist as tables only, the rule set that sorts them, and strategies that draw them."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from hypothesis import strategies as st

from curation import evidence
from curation.evidence import Evidence
from curation.links import Links, of_images, of_recordings
from curation.schemas import IMAGES, ITEMS, RECORDINGS
from curation.store import Home
from rules.schema import RuleSet

GENRES = ("Landscape", "Portrait", "Poster", "Grid")
SUB_GENRES = ("Early", "Late", "Song", "Hum")
FEATURES = ("Chamber", "Popular", "Electronic")
LABELS = ("Old views", "Faces", "Bills", "Grids")
SIZES = (6, 5, 4, 3)
ROOMY = (6, 20, 4, 3)  # a dozen songs have room among the faces
RATE_HZ = 8_000

# label -> genre of its pictures, its music features, its sub-genres with their share of the size
_LABELS = {
    "Old views": ("Landscape", ["Chamber"], {"Early": 0.7, "Late": 0.7}),
    "Faces": ("Portrait", ["Chamber", "Popular"], {"Late": 0.6, "Song": 0.6}),
    "Bills": ("Poster", ["Popular"], {"Song": 1.0}),
    "Grids": ("Grid", ["Electronic"], {"Hum": 1.0}),
}


def content(sizes: Sequence[int] = SIZES, seed: int = 1, names: Sequence[str] = LABELS) -> dict[str, object]:
    """Return the tiny rule set as the values of its YAML files: clips of 1 s, 8 kHz mono, pictures of 16 to 64 px."""
    labels = []
    for name, size, (genre, features, shares) in zip(names, sizes, _LABELS.values(), strict=True):
        quotas = {sub_genre: max(1, round(share * size)) for sub_genre, share in shares.items()}
        image = {"any": [{"genre": [genre]}]}
        labels.append(
            {"name": name, "size": size, "image": image, "music": {"features": features, "sub_genres": quotas}}
        )
    vocabulary = {"genre": GENRES, "sub_genre": SUB_GENRES, "music_feature": FEATURES}
    return {
        "name": "tiny",
        "title": "A tiny rule set",
        "seed": seed,
        "image": {"max_side_px": 64, "min_side_px": 16},
        "audio": {"sample_rate_hz": RATE_HZ, "channels": 1, "clip_s": 1.0, "max_clips_per_recording": 3},
        "labels": labels,
        "vocabulary": {kind: dict.fromkeys(words) for kind, words in vocabulary.items()},
    }


def tiny_rules(sizes: Sequence[int] = SIZES, seed: int = 1, names: Sequence[str] = LABELS) -> RuleSet:
    return RuleSet.model_validate(content(sizes, seed, names))


def write_rules(folder: Path, **changes: object) -> Path:
    """Write the tiny rule set as a curator would and return its folder."""
    values = content(**changes)
    folder.mkdir(parents=True)
    parts = {name: {name: values.pop(name)} for name in ("labels", "vocabulary")} | {"settings": values}
    for name, part in parts.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(part, sort_keys=False), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Item:
    """One synthetic item.

    Attributes:
        blob: items of one blob have the same sha256.
        look: base and variant of the perceptual hash; variants 0 and 1, and 1 and 2, of one base are near duplicates.
        sound: the segments of 11 s of a recording; those that share one are acoustic duplicates.
        windows: silent, clipped or fine, for each clip that could be cut.
        first_sample: where the first of them begins.
    """

    name: str
    modality: str | None
    tags: tuple[tuple[str, str], ...] = ()
    blob: str = ""
    creator: str | None = None
    title: str | None = None
    look: tuple[int, int] = (0, 0)
    sound: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    first_sample: int = 0
    side_px: int = 100
    refusal: str | None = None  # while it was collected
    damage: str | None = None  # found when it was measured

    @property
    def sha256(self) -> str:
        return hashlib.sha256((self.blob or self.name).encode()).hexdigest()


def picture(name: str, *genres: str, **more: object) -> Item:
    look = more.pop("look", (int(hashlib.sha256(name.encode()).hexdigest()[:6], 16), 0))
    return Item(name, "image", tuple(("genre", genre) for genre in genres), look=look, **more)


def recording(name: str, sub_genre: str, *features: str, clips: int = 1, **more: object) -> Item:
    tags = (("sub_genre", sub_genre), *(("music_feature", feature) for feature in features))
    sound = more.pop("sound", (name,))
    windows = more.pop("windows", ("fine",) * clips)
    return Item(name, "music", tags, sound=sound, windows=windows, **more)


def items_table(items: Iterable[Item]) -> pa.Table:
    """Return rows of ITEMS in the order in which `current_items` gives them."""
    rows = [
        {
            "source": "folder",
            "source_id": item.name,
            "modality": None if item.refusal else item.modality,
            "url": item.name,
            "title": item.title,
            "creator": item.creator,
            "license": "unknown",
            "tags": [{"kind": kind, "value": value} for kind, value in item.tags],
            "sha256": None if item.refusal else item.sha256,
            "version": item.name,
            "reason": item.refusal,
        }
        for item in items
    ]
    return pa.Table.from_pylist(rows, ITEMS).sort_by([(name, "ascending") for name in ("source", "source_id")])


def images_table(items: Iterable[Item]) -> pa.Table:
    rows = {item.sha256: _measured_image(item) for item in items if item.modality == "image"}
    return pa.Table.from_pylist(list(rows.values()), IMAGES)


def _measured_image(item: Item) -> dict[str, object]:
    if item.damage:
        return {"sha256": item.sha256, "reason": item.damage}
    base, variant = item.look
    seed = hashlib.sha256(f"look {base}".encode()).hexdigest()
    flipped = (0, 0xFF, 0xFFFF)[variant]
    hashes = {"phash": int(seed[:16], 16) ^ flipped, "mirror_phash": int(seed[16:32], 16) ^ flipped}
    thumbnail = np.random.default_rng(int(seed[32:40], 16)).bytes(256)
    pixels = hashlib.sha256(f"{item.look} {item.side_px}".encode()).hexdigest()
    size = {"width_px": item.side_px, "height_px": item.side_px}
    return {"sha256": item.sha256, **size, "pixels_sha256": pixels, **hashes, "thumbnail": thumbnail}


def recordings_table(items: Iterable[Item]) -> pa.Table:
    rows = {item.sha256: _measured_recording(item) for item in items if item.modality == "music"}
    return pa.Table.from_pylist(list(rows.values()), RECORDINGS)


def _measured_recording(item: Item) -> dict[str, object]:
    if item.damage:
        return {"sha256": item.sha256, "reason": item.damage}
    prints = [_segment(name) for name in item.sound]
    windows = [
        {
            "start_sample": item.first_sample + at * RATE_HZ,
            "silence_share": 0.9 if kind == "silent" else 0.0,
            "clipped_share": 0.5 if kind == "clipped" else 0.0,
        }
        for at, kind in enumerate(item.windows)
    ]
    return {
        "sha256": item.sha256,
        "duration_s": float(11 * len(item.sound)),
        "fingerprint": np.concatenate(prints).astype("<u4").tobytes(),
        "windows": windows,
    }


def _segment(name: str) -> np.ndarray:
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).integers(1, 2**32, 90, dtype=np.uint32)


def links_of(images: pa.Table, recordings: pa.Table) -> Links:
    """Return what looks or sounds alike in tables that no work folder holds."""
    return Links(of_images(images), of_recordings(recordings))


def said_of(items: pa.Table, rule_set: RuleSet) -> Evidence:
    """Return what overrides say of items; no model speaks of what no work folder holds."""
    return evidence.gather(Home(Path("no work folder")), items, rule_set)


# Lots are drawn by Random, not by hypothesis, whose draws crowd at the ends: too few things would fit together.
@st.composite
def pictures(draw: st.DrawFn, max_size: int = 24) -> list[Item]:
    """Draw pictures of which some fit several labels or none, are damaged, or belong together in every way."""
    count, lots = draw(st.integers(0, max_size)), random.Random(draw(st.integers(0, 2**32)))
    return [_draw_picture(f"p{number:02}", lots) for number in range(count)]


def _draw_picture(name: str, lots: random.Random) -> Item:
    genres = lots.sample(GENRES, lots.choice([0, 1, 1, 1, 1, 2, 2, 3]))
    kind = lots.choice(["own", "own", "own", "own", "work", "look", "blob", "refused"])
    twin = lots.randrange(3)
    more: dict[str, object] = {"side_px": lots.choice([100, 120])}
    if kind == "work" or lots.random() < 0.1:
        more |= {"title": lots.choice(["Lake", "Lake (detail)", "Mill", "Fair"]), "creator": "Anna"}
    if kind == "look":
        more["look"] = (twin, lots.randrange(3))
    elif kind == "blob":
        more |= {"blob": f"picture {twin}", "look": (twin, 0), "side_px": 100, "title": None, "creator": None}
    elif kind == "refused":
        more |= lots.choice([{"refusal": "missing_file"}, {"damage": "too_small"}])
    return picture(name, *genres, **more)


@st.composite
def recordings(draw: st.DrawFn, max_size: int = 12) -> list[Item]:
    """Draw recordings of 1 to 5 clips, some unusable, some that share sound."""
    count, lots = draw(st.integers(0, max_size)), random.Random(draw(st.integers(0, 2**32)))
    return [_draw_recording(f"r{number:02}", lots) for number in range(count)]


def _draw_recording(name: str, lots: random.Random) -> Item:
    windows = lots.choices(["fine", "silent", "clipped"], [6, 1, 1], k=lots.choice([1, 1, 1, 2, 3, 5]))
    more: dict[str, object] = {"windows": tuple(windows)}
    kind = lots.choice(["own", "own", "own", "own", "own", "sound", "work", "refused"])
    if kind == "sound":
        more["sound"] = lots.choice([("x",), ("x", "y"), ("y",)])
    elif kind == "work":
        more |= {"title": lots.choice(["Air", "Gigue"]), "creator": "Jean"}
    elif kind == "refused":
        more |= lots.choice([{"refusal": "unreadable"}, {"damage": "no_audio"}])
    label = lots.choice(LABELS)
    _, features, sub_genres = _LABELS[label]
    known = lots.choice([(), (lots.choice(FEATURES),), *[(feature,) for feature in features]])
    return recording(name, lots.choice(list(sub_genres)), *known, **more)
