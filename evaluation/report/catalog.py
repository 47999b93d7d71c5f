"""The pictures and sounds of the page: generated images beside their clips and true partners, and what is too like."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curation.report import previews
from curation.report.previews import SMALL, Size, Sound, Thumbnail, thumbnail
from curation.report.samples import Side
from evaluation.features import Features
from evaluation.report.shown import (
    HEARD,
    LEAKS_SHOWN,
    NEAREST_SHOWN,
    Allowance,
    Chosen,
    Shown,
    allowance,
    chosen,
    pairs_of,
)
from evaluation.result import Leak, LeakCheck, Nearest, Result

WAVE_BARS = 120
WAVE_HEIGHT = 48  # of the drawing, in its own units
_LEAST_BAR = 0.02  # of the height: silence is a line

Thumbnails = Mapping[str, Thumbnail]
Pictures = Callable[[Collection[str]], Iterable[tuple[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Listened:
    """A sound and its waveform, the path of an SVG of 2 * WAVE_BARS by WAVE_HEIGHT."""

    uri: str
    duration_s: float
    wave: str


@dataclass(frozen=True, slots=True)
class Card:
    """An item: its generated image, its clip and its true partner; None of what is not there."""

    pair_id: str
    title: str
    generated: Thumbnail
    partner: Thumbnail | None
    sound: Listened | None
    image: Side | None
    music: Side | None


@dataclass(frozen=True, slots=True)
class Plate:
    """The part of the page about one label."""

    label: int
    name: str
    n: int
    cards: Sequence[Card]
    more: Sequence[tuple[str, str, Thumbnail]]  # pair_id, title, generated image


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that is seen and heard."""

    allowed: Allowance
    plates: Sequence[Plate]
    nearest: Sequence[tuple[Nearest, Thumbnail, Thumbnail | None]]
    leaks: Sequence[tuple[LeakCheck, Sequence[tuple[Leak, Thumbnail | None, Thumbnail | None]]]]


def catalog(result: Result, shown: Shown) -> Catalog:
    """Choose and fetch what is shown."""
    labels = len(np.unique(shown.items.labels)) if shown.items else 0
    allowed = allowance(labels)
    plates = _plates(result, shown, chosen(shown.items, allowed)) if shown.items else []
    real = _small(shown.media.pictures, pairs_of(result.memorization, result.quality))
    nearest = result.memorization.nearest[:NEAREST_SHOWN] if result.memorization else []
    leaks = result.quality.leaks if result.quality else []
    return Catalog(
        allowed,
        plates,
        [(each, thumbnail(shown.drawn(each.pair_id), SMALL), real.get(each.nearest_pair_id)) for each in nearest],
        [(check, [(each, *_both(check, each, real)) for each in check.nearest[:LEAKS_SHOWN]]) for check in leaks],
    )


def waveform(samples: Features) -> str:
    """Return bars as high as the loudest sample of their part, the loudest of all as high as the drawing.

    Args:
        samples: float32 mono, shape (n_samples,), range [-1, 1], at least one.
    """
    parts = np.array_split(np.abs(samples), min(WAVE_BARS, len(samples)))
    peaks = np.array([part.max() for part in parts])
    # Few levels, which differ less between processors than the last bits of a sample do.
    heights = np.rint(np.maximum(peaks / max(float(peaks.max()), 1e-9), _LEAST_BAR) * WAVE_HEIGHT).astype(int)
    middle, width = WAVE_HEIGHT / 2, 2 * WAVE_BARS / len(parts)
    return "".join(f"M{(place + 0.5) * width:g} {middle - h / 2:g}v{max(h, 1)}" for place, h in enumerate(heights))


def _plates(result: Result, shown: Shown, choice: Sequence[Chosen]) -> list[Plate]:
    items = shown.items
    if items is None:
        return []
    heard = sorted(items.pair_ids[place] for each in choice for place in each.heard)
    partners = _small(shown.media.pictures, heard, HEARD)
    sounds = {pair_id: _listened(previews.sound(clip)) for pair_id, clip in shown.media.clips(heard)}
    credits = {pair_id: (image, music) for pair_id, image, music in shown.media.credits(heard)}

    def card(place: int) -> Card:
        pair_id = items.pair_ids[place]
        image, music = credits.get(pair_id, (None, None))
        drawn = thumbnail(shown.drawn(pair_id), HEARD)
        return Card(pair_id, items.titles[place], drawn, partners.get(pair_id), sounds.get(pair_id), image, music)

    def seen(place: int) -> tuple[str, str, Thumbnail]:
        pair_id = items.pair_ids[place]
        return pair_id, items.titles[place], thumbnail(shown.drawn(pair_id), SMALL)

    return [
        Plate(
            each.label,
            result.data.label_names[each.label],
            each.n,
            [card(place) for place in each.heard],
            [seen(place) for place in each.seen],
        )
        for each in choice
    ]


def _listened(sound: Sound) -> Listened:
    return Listened(sound.uri, sound.duration_s, waveform(sound.samples))


def _small(ask: Pictures, pair_ids: Collection[str], size: Size = SMALL) -> dict[str, Thumbnail]:
    return {pair_id: thumbnail(picture, size) for pair_id, picture in ask(sorted(pair_ids))}


def _both(check: LeakCheck, leak: Leak, real: Thumbnails) -> tuple[Thumbnail | None, Thumbnail | None]:
    if check.side != "image":
        return None, None
    return real.get(leak.pair_id), real.get(leak.nearest_pair_id)
