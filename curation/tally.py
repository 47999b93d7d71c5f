"""How far collecting is: what became of everything that was found, and what each label still wants."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import found, ingested, tombstones
from curation.columns import Ints, flat
from curation.ingested import Row
from curation.prospects import prospects
from curation.settling import Settled, settle
from curation.store import Home
from rules.schema import Label, RuleSet
from rules.spelling import fold

Words = npt.NDArray[np.object_]

WAITING, FETCHED = "waiting", "fetched"  # beside the reasons


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the items that one source has for one label; one that several labels want counts for each.

    Attributes:
        label: empty for lists of which the rule set does not know what they hold.
        rejected: by reason.
        waiting: not tried yet.
    """

    source: str
    label: str
    found: int
    fetched: int
    rejected: Mapping[str, int]
    waiting: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a label lacks at least, if everything that was fetched and fits it is of use.

    Attributes:
        clips: of recordings, after each sub-genre's quota; one of unknown length counts as one clip.
    """

    label: str
    pictures: int
    clips: int


@dataclass(frozen=True, slots=True)
class _Recording:
    """A recording that was fetched, as far as it fills a quota."""

    sub_genres: frozenset[str]
    clips: int


def tally(home: Home, rule_set: RuleSet) -> tuple[list[Tally], list[Wanted]]:
    """Count what was found at all sources of the web, and what the labels of a rule set still want; reads no media."""
    tallies: list[Tally] = []
    pictures: Counter[str] = Counter()
    recordings: dict[str, list[_Recording]] = {label.name: [] for label in rule_set.labels}
    for folder in sorted((home.root / "found").glob("*")):
        lists = found.retagged(found.read(home, folder.name), rule_set.name, rule_set.queries(folder.name))
        settled = settle(home, folder.name, lists)
        fates, modalities = _fates(settled), _modalities(settled)
        heard = _recordings(home, settled, modalities, rule_set)
        seen = settled.united.items.filter(pa.array(modalities == "image"))
        for label, fits in prospects(seen, folder.name, rule_set, "image").items():
            pictures[label] += int(fits.sum())
        for label, items in _by_label(settled, rule_set):
            tallies.append(_tally(folder.name, label, fates, items))
            if label:
                recordings[label] += [heard[item] for item in items.tolist() if item in heard]
    wanted = [
        Wanted(label.name, max(0, label.size - pictures[label.name]), _clips(label, recordings[label.name]))
        for label in rule_set.labels
    ]
    return tallies, wanted


def _by_label(settled: Settled, rule_set: RuleSet) -> Iterator[tuple[str, Ints]]:
    """Yield each label with the items of its lists, and then those of the lists that are left."""
    labels = {query.name: query.labels for query in rule_set.queries(settled.source)}
    for label in (*rule_set.label_names, ""):
        names = [each.name for each in settled.united.lists if label in (labels.get(each.name) or ("",))]
        if names:
            yield label, settled.united.items_of(names)


def _fates(settled: Settled) -> Words:
    """Return of each item how it ended: WAITING, FETCHED or a reason."""
    current = settled.known.of(settled.known.current, settled.known_at, ("sha256", "reason"))
    refused = pc.if_else(pa.array(settled.is_new), flat(settled.united.items["reason"]), current["reason"])
    fates = pc.if_else(current["sha256"].is_valid(), FETCHED, pc.fill_null(refused, WAITING))
    return _words(pc.if_else(pa.array(settled.is_removed), tombstones.REASON, fates))


def _modalities(settled: Settled) -> Words:
    current = settled.known.of(settled.known.current, settled.known_at, ("modality",))["modality"]
    kept = pc.if_else(pa.array(settled.is_removed), None, current)
    return _words(pc.fill_null(kept, ""))


def _words(column: pa.Array) -> Words:
    found: Words = flat(column).to_numpy(zero_copy_only=False)
    return found


def _tally(source: str, label: str, fates: Words, items: Ints) -> Tally:
    counts = Counter(fates[items].tolist())
    fetched, waiting = counts.pop(FETCHED, 0), counts.pop(WAITING, 0)
    return Tally(source, label, len(items), fetched, dict(sorted(counts.items())), waiting)


def _recordings(home: Home, settled: Settled, modalities: Words, rule_set: RuleSet) -> dict[int, _Recording]:
    """Return the recordings that were fetched, by item."""
    items = np.flatnonzero(modalities == "music")
    versions = settled.known.of(settled.known.current, settled.known_at[items], ("version",))["version"]
    rows = ingested.rows_of(home, settled.source, versions, ["source_id", "version", "tags", "about"])
    by_id = {row["source_id"]: row for row in rows.to_pylist()}
    ids = settled.united.items["source_id"].take(pa.array(items)).to_pylist()
    return {item: _recording(by_id[name], rule_set) for item, name in zip(items.tolist(), ids, strict=True)}


def _recording(row: Row, rule_set: RuleSet) -> _Recording:
    duration_s = json.loads(row["about"] or "{}").get("duration_s")
    audio = rule_set.audio
    clips = 1
    if isinstance(duration_s, int | float) and not isinstance(duration_s, bool) and 0 <= duration_s < math.inf:
        clips = int(min(duration_s, audio.clip_s * (audio.max_clips_per_recording + 1)) // audio.clip_s)
    said = (
        rule_set.spellings.get((tag["kind"], fold(tag["value"]))) for tag in row["tags"] if tag["kind"] == "sub_genre"
    )
    return _Recording(frozenset(word for word in said if word), min(clips, audio.max_clips_per_recording))


def _clips(label: Label, recordings: Sequence[_Recording]) -> int:
    """Return the clips that a label lacks; a recording of several sub-genres counts for the first."""
    left = dict(label.music.sub_genres)
    for recording in recordings:
        mine = next((sub_genre for sub_genre in left if sub_genre in recording.sub_genres), None)
        if mine:
            left[mine] -= recording.clips
    return sum(max(0, clips) for clips in left.values())
