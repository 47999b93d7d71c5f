"""Features of pictures and clips, a portion at a time, kept on disk by the network and by what they were made from."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from curation.columns import Ints
from curation.errors import ItemError, attempt
from curation.store import digest
from evaluation.extraction import portions
from evaluation.extraction.portions import Medium, Portion, Side
from evaluation.features import Extractor, Features
from evaluation.result import LeftOut
from evaluation.subjects.items import Told
from training.data import Split
from training.reading import media
from training.reading.cache import Cache

FOLDER = "features"  # of the cache
STAGES: Mapping[Side, str] = {"image": "true image", "music": "clip"}  # at which an item of a data set is left out
_SIDES: Mapping[Side, str] = {"image": "images", "music": "clips"}


@dataclass(frozen=True, slots=True)
class Found:
    """Features of what can be used.

    Attributes:
        places: of these in what was asked for, ascending, shape (k,).
        features: float32, shape (k, width).
        bad: why of others there are none, by their places.
    """

    places: Ints
    features: Features
    bad: Mapping[int, ItemError]


class Extraction:
    """Asks networks for features, or finds them on disk, in `cache/features/<name of the network>-<hash>/`.

    A file there names the network, the hash of its weights and what the features are of. One that is damaged, or of
    another network, is made anew.

    Args:
        told: how far each network is.
    """

    def __init__(self, cache: Path, told: Told) -> None:
        self._folder = cache / FOLDER
        self._told = told
        self._caches: dict[str, Cache] = {}
        self._left_out: dict[LeftOut, None] = {}

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Return which pictures and clips of the data set could not be used, each once, in order."""
        return tuple(sorted(self._left_out, key=lambda left: (left.pair_id, left.stage)))

    def of_files(self, extractor: Extractor, files: Sequence[Path]) -> Found:
        """Return features of the pictures in files."""
        walk = self._walk(extractor, portions.of_files(files), f"{extractor.name}: evaluated images", len(files))
        return _joined(extractor, list(walk))

    def of_rows(self, extractor: Extractor, split: Split, side: Side, rows: Ints) -> Found:
        """Return features of the pictures or clips of a split; a row may be asked for several times.

        Only as many should be asked for as memory has room for; `batches` walks all.
        """
        distinct, at = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        features = np.empty((len(distinct), extractor.width), dtype=np.float32)
        place_of = np.full(len(distinct), -1, dtype=np.int64)
        bad: dict[int, ItemError] = {}
        done = 0
        for found in self._of_split(extractor, split, side, distinct):
            behind = done + len(found.places)
            features[done:behind] = found.features
            place_of[np.searchsorted(distinct, found.places)] = np.arange(done, behind)
            bad |= found.bad
            done = behind
        within = place_of[at]
        is_there = within >= 0
        return Found(
            np.flatnonzero(is_there),
            taken(features[:done], within[is_there]),
            {place: bad[int(rows[place])] for place in np.flatnonzero(~is_there).tolist()},
        )

    def batches(
        self, extractor: Extractor, split: Split, side: Side, rows: Ints | None = None
    ) -> Iterator[tuple[Ints, Features]]:
        """Yield rows of a split and their features, a few at a time, in order; what cannot be used is left out.

        Args:
            rows: ascending, each once; else all.
        """
        wanted = np.arange(len(split)) if rows is None else rows
        for found in self._of_split(extractor, split, side, wanted):
            yield found.places, found.features

    def _of_split(self, extractor: Extractor, split: Split, side: Side, rows: Ints) -> Iterator[Found]:
        parts = portions.of_rows(split, side, rows, extractor.sample_rate_hz)
        for found in self._walk(extractor, parts, f"{extractor.name}: {_SIDES[side]} of {split.name}", len(rows)):
            for row, error in found.bad.items():
                pair_id = split.pairs["pair_id"][row].as_py()
                self._left_out[
                    LeftOut(pair_id=pair_id, stage=STAGES[side], reason=error.reason, detail=error.detail)
                ] = None
            yield found

    def _walk(self, extractor: Extractor, parts: Iterator[Portion], stage: str, total: int) -> Iterator[Found]:
        """Yield what a network finds in each portion; its places are those of the portion."""
        cache, done = self._cache(extractor), 0

        def fetched() -> Iterator[tuple[Portion, str, Found | list[Medium | ItemError]]]:
            for part in parts:
                key = _key(extractor, part)
                kept = _read(cache, key, extractor, part)
                yield part, key, kept if kept is not None else part.read()

        self._told(stage, done, total)
        for part, key, got in portions.ahead(fetched()):
            if not isinstance(got, Found):
                got = _extracted(extractor, part, got)
                cache.put(key, _written(extractor, part, got))
            yield got
            done += len(part.places)
            self._told(stage, done, total)

    def _cache(self, extractor: Extractor) -> Cache:
        name = f"{_plain(extractor.name)}-{extractor.weights_sha256[:12]}"
        if name not in self._caches:
            self._caches[name] = Cache(self._folder / name)
        return self._caches[name]


def taken(features: Features, rows: Ints) -> Features:
    """Return some rows of features; all of them in their order are not copied, as they may be many."""
    return features if np.array_equal(rows, np.arange(len(features))) else features[rows]


def _extracted(extractor: Extractor, part: Portion, read: Sequence[Medium | ItemError]) -> Found:
    """Ask the network for the features of what could be decoded."""
    bad = {place: medium for place, medium in enumerate(read) if isinstance(medium, ItemError)}
    good = {place: medium for place, medium in enumerate(read) if not isinstance(medium, ItemError)}
    features = attempt(partial(_asked, extractor, list(good.values())))
    if isinstance(features, ItemError):  # of one of them
        single = {place: attempt(partial(_asked, extractor, [medium])) for place, medium in good.items()}
        bad |= {place: found for place, found in single.items() if isinstance(found, ItemError)}
        rows = {place: found for place, found in single.items() if not isinstance(found, ItemError)}
        good = {place: good[place] for place in rows}
        features = np.concatenate([_none(extractor), *rows.values()])
    if features.shape != (len(good), extractor.width):
        raise ValueError(f"{extractor.name}: {features.shape} for {len(good)} items of width {extractor.width}")
    return Found(
        part.places[np.array(list(good), dtype=np.int64)],
        np.ascontiguousarray(features, dtype=np.float32),
        {int(part.places[place]): bad[place] for place in sorted(bad)},
    )


def _asked(extractor: Extractor, some: Sequence[Medium]) -> Features:
    if not some:
        return _none(extractor)
    pictures = [medium for medium in some if isinstance(medium, Image.Image)]
    if pictures:
        return extractor.images(pictures)
    assert extractor.sample_rate_hz is not None
    return extractor.sounds(
        [medium for medium in some if not isinstance(medium, Image.Image)], extractor.sample_rate_hz
    )


def _none(extractor: Extractor) -> Features:
    return np.empty((0, extractor.width), dtype=np.float32)


def _joined(extractor: Extractor, found: Sequence[Found]) -> Found:
    bad = {place: error for part in found for place, error in part.bad.items()}
    places = np.concatenate([np.empty(0, dtype=np.int64), *(part.places for part in found)])
    return Found(places, np.concatenate([_none(extractor), *(part.features for part in found)]), bad)


def _key(extractor: Extractor, part: Portion) -> str:
    network = [extractor.name, extractor.weights_sha256, extractor.version, extractor.sample_rate_hz]
    return digest([media.VERSION, portions.SIDE_PX, network, part.made_from])


def _about(extractor: Extractor, part: Portion) -> dict[str, object]:
    """Return what a file says of itself."""
    return {
        "network": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "version": extractor.version,
        "made_from": list(part.made_from),
    }


def _written(extractor: Extractor, part: Portion, found: Found) -> dict[str, torch.Tensor]:
    at = np.searchsorted(part.places, found.places)
    bad = {int(np.searchsorted(part.places, place)): [error.reason, error.detail] for place, error in found.bad.items()}
    return {
        "features": torch.from_numpy(found.features),
        "places": torch.from_numpy(at),
        "about": _as_tensor({**_about(extractor, part), "bad": bad}),
    }


def _read(cache: Cache, key: str, extractor: Extractor, part: Portion) -> Found | None:
    """Return what a file says, None if there is none or it is not of this network and these items."""
    kept = cache.get(key)
    if kept is None or set(kept) != {"features", "places", "about"}:
        return None
    try:
        about = json.loads(kept["about"].numpy().tobytes())
        bad = {int(place): ItemError(reason, detail) for place, (reason, detail) in about.pop("bad").items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    features, places = kept["features"].numpy(), kept["places"].numpy()
    is_whole = sorted([*places.tolist(), *bad]) == list(range(len(part.places)))
    if about != _about(extractor, part) or features.shape != (len(places), extractor.width) or not is_whole:
        return None
    return Found(part.places[places], features, {int(part.places[place]): error for place, error in bad.items()})


def _as_tensor(value: object) -> torch.Tensor:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    return torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())


def _plain(name: str) -> str:
    """Return a name as a folder may have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
