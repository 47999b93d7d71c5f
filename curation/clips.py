"""Which clips of a recording may be used: sound enough, not too many, and spread over the recording."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.eligible import Rejections, Side
from curation.memory import Memory
from rules.schema import RuleSet

MEASURES = ("loudness_lufs", "peak_dbfs", "silence_share", "tempo_bpm", "key", "onset_rate_hz")


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip that may be used.

    Attributes:
        recording: row of the music side.
        start_sample: at the rule set's sample rate.
        rank: among the clips of its recording; those of an earlier release come first.
        measures: the values of MEASURES.
    """

    recording: int
    start_sample: int
    rank: int
    measures: dict[str, Any]


def usable_clips(music: Side, rule_set: RuleSet, memory: Memory, rejections: Rejections) -> list[Clip]:
    """Choose the clips of every recording; the others become rejections, each with its reason."""
    earlier = _measures_of_released(memory)
    clips = []
    for recording, (item, windows) in enumerate(
        zip(music.items.to_pylist(), music.measured["windows"].to_pylist(), strict=True)
    ):
        released = [
            row["start_sample"] for row in memory.recordings.get(item["sha256"], []) if row["pair_id"] is not None
        ]
        known = {window["start_sample"]: window for window in windows}
        found = [known.get(start) or earlier[item["sha256"], start] for start in sorted(released)]
        found += _spread(
            _new_windows(windows, released, item, rule_set, rejections), item, rule_set, len(found), rejections
        )
        for rank, window in enumerate(found):
            measures = {name: window[name] for name in MEASURES}
            clips.append(Clip(recording, window["start_sample"], rank, measures))
    return clips


def _measures_of_released(memory: Memory) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what the parent published of each clip, for those that today's parameters cut elsewhere."""
    published = {row["pair_id"]: row for row in memory.pairs.to_pylist()} if memory.pairs else {}
    return {
        clip: published[row["pair_id"]] | {"start_sample": clip[1]}
        for clip, row in memory.clips.items()
        if row["pair_id"] is not None
    }


def _new_windows(
    windows: list[dict[str, Any]], released: list[int], item: dict[str, Any], rule_set: RuleSet, rejections: Rejections
) -> list[dict[str, Any]]:
    """Return the windows that can be used beside the released clips of the recording."""
    audio = rule_set.audio
    frames = round(audio.clip_s * audio.sample_rate_hz)
    fine = []
    for window in windows:
        start = window["start_sample"]
        if any(abs(start - other) < frames for other in released):
            continue  # it is a released clip, or shares sound with one
        if window["silence_share"] > audio.max_silence_share:
            detail = f"{window['silence_share']:.0%} of it is silent, at most {audio.max_silence_share:.0%} may be"
            rejections.add("clip", "silent", item, start_sample=start, detail=detail)
        elif window["clipped_share"] > audio.max_clipped_share:
            detail = f"{window['clipped_share']:.1%} of its samples are clipped, at most {audio.max_clipped_share:.1%}"
            rejections.add("clip", "clipped", item, start_sample=start, detail=detail)
        else:
            fine.append(window)
    return fine


def _spread(
    windows: list[dict[str, Any]], item: dict[str, Any], rule_set: RuleSet, used: int, rejections: Rejections
) -> list[dict[str, Any]]:
    """Keep as many windows as the cap leaves room for, evenly over the recording."""
    room = max(0, rule_set.audio.max_clips_per_recording - used)
    if len(windows) <= room:
        return windows
    kept = set(np.linspace(0, len(windows) - 1, room).round().astype(int).tolist())
    for at, window in enumerate(windows):
        if at not in kept:
            detail = f"at most {rule_set.audio.max_clips_per_recording} clips of a recording"
            rejections.add("clip", "clip_cap", item, start_sample=window["start_sample"], detail=detail)
    return [windows[at] for at in sorted(kept)]
