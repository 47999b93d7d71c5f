"""What the page shows of the items: a bounded choice by hash, and where pictures and sounds come from."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from curation.report.previews import PREVIEW_BITRATE_BPS, PREVIEW_S, SMALL, Size
from curation.report.samples import MEDIA_BUDGET_BYTES, Side
from evaluation.result import Memorization, Quality
from evaluation.sample import Items

HEARD_PER_LABEL = 4  # generated image, clip and true partner
SEEN_PER_LABEL = 8  # a generated image
HEARD = Size(320, 36_000)  # of the two pictures of an item that is heard
NEAREST_SHOWN = 12  # of the images that are most like training images
LEAKS_SHOWN = 6  # of each side
_BASE64 = 4 / 3
_HEARD_BYTES = _BASE64 * (PREVIEW_S * PREVIEW_BITRATE_BPS / 8 + 2 * HEARD.max_bytes)
_SEEN_BYTES = _BASE64 * SMALL.max_bytes
_PAIRS_BYTES = 2 * _SEEN_BYTES * (NEAREST_SHOWN + LEAKS_SHOWN)


class Media(Protocol):
    """Real pictures and clips of a data set, of whatever split; who is not there is not yielded."""

    def pictures(self, pair_ids: Collection[str]) -> Iterable[tuple[str, bytes]]:
        """Yield the id and the picture file of pairs."""
        ...

    def clips(self, pair_ids: Collection[str]) -> Iterable[tuple[str, bytes]]:
        """Yield the id and the clip of pairs: a WAV file, PCM 16."""
        ...

    def credits(self, pair_ids: Collection[str]) -> Iterable[tuple[str, Side, Side]]:
        """Yield the id of pairs, and what is known of their pictures and recordings."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows beside a result.

    Attributes:
        items: of the evaluation; None where only the data set was evaluated.
        drawn: gives the file of the image that was evaluated, by pair_id.
        media: is asked for what is shown, and for nothing else.
        metrics: rows of the run's metrics.jsonl.
        history: of the run: rows of history.jsonl, with this evaluation's own.
    """

    items: Items | None
    drawn: Callable[[str], bytes]
    media: Media
    metrics: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many items of each label are shown with their clips, and how many more images."""

    heard: int
    seen: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The places of a label's items that are shown, and how many it has."""

    label: int
    n: int
    heard: Sequence[int]
    seen: Sequence[int]


def allowance(labels: int) -> Allowance:
    """Return how much may be shown of each of so many labels within MEDIA_BUDGET_BYTES."""
    full = HEARD_PER_LABEL * _HEARD_BYTES + SEEN_PER_LABEL * _SEEN_BYTES
    part = min(1.0, (MEDIA_BUDGET_BYTES - _PAIRS_BYTES) / (max(labels, 1) * full))
    return Allowance(int(HEARD_PER_LABEL * part), int(SEEN_PER_LABEL * part))


def chosen(items: Items, shown: Allowance) -> list[Chosen]:
    """Choose of each label in the order of pair_ids, which are hashes, and first from different recordings."""
    found = []
    for label in np.unique(items.labels).tolist():
        places = np.flatnonzero(items.labels == label).tolist()
        turns: dict[int, int] = {}
        keys = []
        for place in sorted(places, key=lambda place: items.pair_ids[place]):
            recording = int(items.recordings[place])
            turns[recording] = turns.get(recording, 0) + 1
            keys.append((turns[recording], items.pair_ids[place], place))
        ordered = [place for _, _, place in sorted(keys)]
        heard, rest = ordered[: shown.heard], ordered[shown.heard :]
        found.append(Chosen(label, len(places), heard, rest[: shown.seen]))
    return found


def pairs_of(memorization: Memorization | None, quality: Quality | None) -> set[str]:
    """Return the pairs whose real pictures are shown beside what is like them."""
    nearest = memorization.nearest[:NEAREST_SHOWN] if memorization else []
    found = {pair.nearest_pair_id for pair in nearest}
    for check in quality.leaks if quality else []:
        if check.side == "image":
            found |= {
                pair_id for leak in check.nearest[:LEAKS_SHOWN] for pair_id in (leak.pair_id, leak.nearest_pair_id)
            }
    return found
