"""Which clips of a recording may be used: sound enough, not too many, and spread over the recording."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import Bools, Ints, flat, group_starts, places, places_within
from curation.eligible import Side
from curation.memory import Memory
from curation.rejections import Rejections
from curation.schemas import MEASURES
from rules.schema import AudioSettings, RuleSet

_STRIDE = 1 << 40  # more samples than any recording has: recording and start are one number


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips that may be used, ordered by recording and rank.

    Attributes:
        recording: int64, shape (n,): row of the music side.
        start_sample: int64, shape (n,): at the rule set's sample rate.
        rank: int64, shape (n,): among the clips of the recording; those of an earlier release come first.
        measures: a row for each, with the columns MEASURES.
    """

    recording: Ints
    start_sample: Ints
    rank: Ints
    measures: pa.Table

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def keys(self) -> pa.Array:
        """One number for each that tells it from all others."""
        return _keys(self.recording, self.start_sample)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Spans of recordings that could be clips: the released ones first, both parts ordered."""

    recording: Ints
    start_sample: Ints
    is_released: Bools
    table: pa.Table  # MEASURES and clipped_share

    def filter(self, kept: Bools) -> "_Windows":
        columns = (self.recording[kept], self.start_sample[kept], self.is_released[kept])
        return _Windows(*columns, self.table.filter(pa.array(kept)))


def usable_clips(music: Side, rule_set: RuleSet, memory: Memory, rejections: Rejections) -> Clips:
    """Choose the clips of every recording; the others become rejections, each with its reason.

    Released clips come first and keep their start, whatever today's parameters would cut; a stricter limit holds for
    them too, and a smaller cap drops the latest.
    """
    windows = _windows(music, rule_set, memory)
    windows = windows.filter(_sound(windows, music, rule_set.audio, rejections))
    kept = _capped(windows, len(music.items), rule_set.audio.max_clips_per_recording)
    cap = rule_set.audio.max_clips_per_recording
    detail = f"at most {cap} clips of a recording"
    _reject(windows, ~kept, "clip_cap", detail, music, rejections)
    windows = windows.filter(kept)
    order = np.argsort(windows.recording, kind="stable")
    recording = windows.recording[order]
    measures = windows.table.select(MEASURES).take(pa.array(order))
    return Clips(recording, windows.start_sample[order], places_within(recording), measures)


def clip_keys(rows: pa.Table, music: Side) -> pa.Array:
    """Return the keys of clips; negative for one whose recording is not here.

    Args:
        rows: with the columns sha256 and start_sample.
    """
    return _keys(places(rows["sha256"], music.items["sha256"]), rows["start_sample"].to_numpy())


def earlier_keys(music: Side, memory: Memory) -> pa.Array:
    """Return the key of every clip of the memory; negative for one whose recording is not here."""
    return _keys(music.earlier, memory.clips["start_sample"].to_numpy())


def _keys(recording: Ints, start_sample: Ints) -> pa.Array:
    return pa.array(recording * _STRIDE + start_sample)


def _windows(music: Side, rule_set: RuleSet, memory: Memory) -> _Windows:
    """Return the released clips, and the windows that share no sound with one."""
    lists = flat(music.measured["windows"])
    table = pa.Table.from_struct_array(lists.flatten())
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    recording = np.repeat(np.arange(len(lists)), lengths)
    start = table["start_sample"].to_numpy()
    table = table.select([*MEASURES, "clipped_share"])

    here = np.flatnonzero(memory.is_released("music") & (music.earlier >= 0))
    held_start, release = (memory.clips[name].to_numpy()[here] for name in ("start_sample", "release"))
    here = here[np.lexsort((held_start, release, music.earlier[here]))]
    held = memory.clips.select(["pair_id", "start_sample"]).take(pa.array(here))
    held_recording, held_start = music.earlier[here], held["start_sample"].to_numpy()
    fresh = _beside(recording, start, held_recording, held_start, rule_set)
    return _Windows(
        np.concatenate([held_recording, recording[fresh]]),
        np.concatenate([held_start, start[fresh]]),
        np.arange(len(held) + fresh.sum()) < len(held),
        pa.concat_tables([_released(held, held_recording, recording, start, table, memory), table.filter(fresh)]),
    )


def _released(
    held: pa.Table, held_recording: Ints, recording: Ints, start: Ints, table: pa.Table, memory: Memory
) -> pa.Table:
    """Return what is measured of released clips, or what the parent published where today's windows lie elsewhere."""
    at = places(_keys(held_recording, held["start_sample"].to_numpy()), _keys(recording, start))
    if memory.pairs is None or (at >= 0).all():
        return table.take(pa.array(at, pa.int64()))
    published = memory.pairs.select(MEASURES).append_column("clipped_share", pa.nulls(len(memory.pairs), pa.float64()))
    elsewhere = places(held["pair_id"], memory.pairs["pair_id"])
    is_nowhere = (at < 0) & (elsewhere < 0)  # its row was purged with the picture
    rows = pa.array(np.where(at >= 0, at, len(table) + elsewhere), mask=is_nowhere)
    return pa.concat_tables([table, published.cast(table.schema)]).take(rows)


def _beside(recording: Ints, start: Ints, held_recording: Ints, held_start: Ints, rule_set: RuleSet) -> Bools:
    """Tell which windows share no sound with a released clip."""
    frames = round(rule_set.audio.clip_s * rule_set.audio.sample_rate_hz)
    held = np.sort(held_recording * _STRIDE + held_start)
    keys = recording * _STRIDE + start
    after = np.searchsorted(held, keys)
    fence = np.array([np.iinfo(np.int64).min // 2]), np.array([np.iinfo(np.int64).max // 2])
    fenced = np.concatenate([fence[0], held, fence[1]])
    return np.asarray((keys - fenced[after] >= frames) & (fenced[after + 1] - keys >= frames))


def _sound(windows: _Windows, music: Side, audio: AudioSettings, rejections: Rejections) -> Bools:
    """Tell which windows have enough sound that is not clipped."""
    silence, clipping = (
        pc.fill_null(flat(windows.table[name]), 0.0).to_numpy() for name in ("silence_share", "clipped_share")
    )
    silent = silence > audio.max_silence_share
    clipped = ~silent & (clipping > audio.max_clipped_share)
    most_silence, most_clipping = f"{audio.max_silence_share:.0%}", f"{audio.max_clipped_share:.1%}"
    is_silent = _said(silence[silent], lambda share: f"{share:.0%} of it is silent, at most {most_silence} may be")
    is_clipped = _said(clipping[clipped], lambda share: f"{share:.1%} of it is clipped, at most {most_clipping} may be")
    _reject(windows, silent, "silent", is_silent, music, rejections)
    _reject(windows, clipped, "clipped", is_clipped, music, rejections)
    return np.asarray(~(silent | clipped))


def _said(shares: npt.NDArray[np.float64], words: Callable[[float], str]) -> pa.DictionaryArray:
    """Say something of each share."""
    distinct, numbers = np.unique(shares, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(map(words, distinct.tolist()), pa.string()))


def _capped(windows: _Windows, count: int, cap: int) -> Bools:
    """Tell which windows the cap allows: the released ones in their order, then new ones spread evenly.

    Args:
        count: of recordings.
    """
    part = windows.recording * 2 + ~windows.is_released
    place = places_within(part)
    sizes = np.bincount(part, minlength=2 * count)
    room, fresh = np.maximum(0, cap - sizes[::2]), sizes[1::2]
    kept = np.where(windows.is_released, place < cap, fresh[windows.recording] <= room[windows.recording])
    crowded = np.flatnonzero(~windows.is_released & ~kept)
    # Recordings with as many windows and as much room keep the same places.
    kinds = fresh[windows.recording[crowded]] * (cap + 1) + room[windows.recording[crowded]]
    crowded = crowded[np.argsort(kinds, kind="stable")]
    kinds = np.sort(kinds)
    for rows in np.split(crowded, group_starts(kinds)[1:]) if len(crowded) else []:
        first = windows.recording[rows[0]]
        spread = np.linspace(0, fresh[first] - 1, room[first]).round().astype(int)
        kept[rows] = np.isin(place[rows], spread)
    return kept


def _reject(
    windows: _Windows,
    out: Bools,
    reason: str,
    detail: str | pa.DictionaryArray,
    music: Side,
    rejections: Rejections,
) -> None:
    rows = music.rows[windows.recording[out]]
    rejections.add("clip", reason, rows, detail=detail, start_sample=windows.start_sample[out])
