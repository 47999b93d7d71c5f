"""The features of an evaluation's images, clips and words, space by space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.columns import Ints, first_rows, numbered, numbered_hashes, shuffled
from curation.errors import ItemError
from evaluation.extraction.extracting import Extraction, Found, taken
from evaluation.features import Extractor, Features
from evaluation.result import LeftOut, NetworkFacts, RowName
from evaluation.sample import Space
from evaluation.subjects.items import Pictured
from evaluation.subjects.reference_rows import Reference
from rules.errors import ConfigurationError
from training import draws
from training.data import Split

MAX_REAL = 50_000  # as many as Heusel et al. (2017, arXiv 1706.08500) took: 400 MB of features of Inception
PROMPT = "an art image of {label}"  # as the music-to-image model has it, with the label in the music's place


@dataclass(frozen=True, slots=True)
class Splits:
    """The pairs that the evaluated images stand beside.

    Attributes:
        split: of the items.
        train: of the references.
        references: training images by the name of the row.
        seed: of which real images are taken, where there are too many.
    """

    split: Split
    train: Split
    references: Mapping[RowName, Reference]
    seed: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The networks of one space, in memory.

    Attributes:
        music: hears clips, in the space that has music.
        prompts: for each label, if `image` reads words.
        facts: of all of them.
    """

    image: Extractor
    facts: tuple[NetworkFacts, ...]
    music: Extractor | None = None
    prompts: Sequence[str] | None = None


def prompt(label_name: str) -> str:
    """Return the words that stand for a label."""
    return PROMPT.format(label=label_name)


def usable(extraction: Extraction, pictured: Pictured, split: Split, pairing: Loaded, seed: int) -> Pictured:
    """Return the items whose own image, true image and clip can all be used, by the networks that hear and see.

    What the networks found is kept on disk, so nothing is done twice. Whether a medium can be used does not depend on
    the network: what is left here can be used in all spaces.

    Raises:
        ConfigurationError: nothing is left.
    """
    items = pictured.items
    found = [
        extraction.of_files(pairing.image, pictured.files),
        _of_real(extraction, pairing.image, split, items.rows, seed)[1],
    ]
    if pairing.music is not None:
        found.append(extraction.of_rows(pairing.music, split, "music", items.rows))
    bad = {place: error for one in reversed(found) for place, error in one.bad.items()}
    own = tuple(
        LeftOut(pair_id=items.pair_ids[place], stage="image", reason=error.reason, detail=error.detail)
        for place, error in sorted(found[0].bad.items())
    )
    places = np.setdiff1d(np.arange(len(items)), np.array(sorted(bad), dtype=np.int64))
    if not len(places):
        place, error = min(bad.items(), key=lambda one: one[0])
        raise ConfigurationError(
            f"not one of {len(items):,} items can be used; the first, {items.pair_ids[place]}: {error}: expected an "
            "image, a true image and a clip that can be decoded"
        )
    return pictured.only(split, places, own)


def of_space(extraction: Extraction, subject: Pictured, splits: Splits, networks: Loaded) -> Space:
    """Return all features of one space.

    Args:
        subject: what `usable` gave.

    Raises:
        ConfigurationError: a file changed since.
    """
    items, image = subject.items, networks.image
    generated = _all(extraction.of_files(image, subject.files), subject)
    of_real, partners = _of_real(extraction, image, splits.split, items.rows, splits.seed)
    rows = real_rows(splits.split, splits.seed)[of_real.places]
    (groups,) = numbered(splits.split.pairs["image_group"].take(pa.array(rows)))
    music = networks.music and extraction.of_rows(networks.music, splits.split, "music", items.rows)
    return Space(
        networks=networks.facts,
        generated=generated,
        partners=_all(partners, subject),
        real=of_real.features,
        real_groups=groups,
        others={name: _others(extraction, image, splits.train, splits.references[name]) for name in splits.references},
        music=_all(music, subject) if music else None,
        texts=None if networks.prompts is None else image.texts(networks.prompts),
    )


def real_rows(split: Split, seed: int) -> Ints:
    """Return a row for each image of a split, ascending; of very many as many as there is memory for."""
    (images,) = numbered_hashes(split.pairs["image_sha256"])
    rows = first_rows(images, int(images.max(initial=-1)) + 1)
    if len(rows) > MAX_REAL:
        keys = shuffled(split.pairs["image_sha256"].take(pa.array(rows)), draws.number(seed, "real"))
        rows = rows[np.argsort(keys, kind="stable")[:MAX_REAL]]
    return np.sort(rows)


def _of_real(
    extraction: Extraction, extractor: Extractor, split: Split, partners: Ints, seed: int
) -> tuple[Found, Found]:
    """Return features of the real images and of the partners; both are asked for at once, as most are the same."""
    real = real_rows(split, seed)
    rows = np.union1d(real, partners)
    found = extraction.of_rows(extractor, split, "image", rows)
    return _some(found, np.searchsorted(rows, real)), _some(found, np.searchsorted(rows, partners))


def _some(found: Found, places: Ints) -> Found:
    """Return what was found at some of the places."""
    at = np.searchsorted(found.places, places)
    is_there = np.isin(places, found.places)
    bad: dict[int, ItemError] = {
        nth: found.bad[place] for nth, place in enumerate(places.tolist()) if place in found.bad
    }
    return Found(np.flatnonzero(is_there), taken(found.features, at[is_there]), bad)


def _others(extraction: Extraction, image: Extractor, train: Split, reference: Reference) -> tuple[Ints, Features]:
    found = extraction.of_rows(image, train, "image", reference.rows)
    return reference.places[found.places], found.features


def _all(found: Found, subject: Pictured) -> Features:
    if found.bad:
        place, error = min(found.bad.items(), key=lambda one: one[0])
        raise ConfigurationError(
            f"{subject.items.pair_ids[place]} could be used a moment ago: {error}: expected files that stay as they "
            "are while they are evaluated"
        )
    return found.features
