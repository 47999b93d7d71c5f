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
    """Choose the clips of every recording; the others become rejections, each with its reason.

    Released clips come first and keep their start, whatever today's parameters would cut; a stricter limit holds for
    them too, and a smaller cap drops the latest.
    """
    earlier = _measures_of_released(memory)
    clips = []
    rows = zip(music.items.to_pylist(), music.measured["windows"].to_pylist(), strict=True)
    for recording, (item, windows) in enumerate(rows):
        held = [row for row in memory.recordings.get(item["sha256"], []) if row["pair_id"] is not None]
        held.sort(key=lambda row: (row["release"], row["start_sample"]))
        starts = [row["start_sample"] for row in held]
        known = {window["start_sample"]: window for window in windows}
        released = [known.get(start) or earlier[item["sha256"], start] for start in starts]
        fresh = _beside(windows, starts, rule_set)
        released, fresh = (_sound(part, item, rule_set, rejections) for part in (released, fresh))
        chosen = _capped(released, fresh, item, rule_set, rejections)
        for rank, window in enumerate(chosen):
            clips.append(Clip(recording, window["start_sample"], rank, {name: window[name] for name in MEASURES}))
    return clips


def _measures_of_released(memory: Memory) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what the parent published of each clip, for those that today's parameters cut elsewhere."""
    published = {row["pair_id"]: row for row in memory.pairs.to_pylist()} if memory.pairs else {}
    return {
        clip: published[row["pair_id"]] | {"start_sample": clip[1]}
        for clip, row in memory.clips.items()
        if row["pair_id"] is not None
    }


def _beside(windows: list[dict[str, Any]], released: list[int], rule_set: RuleSet) -> list[dict[str, Any]]:
    """Return the windows that share no sound with a released clip."""
    frames = round(rule_set.audio.clip_s * rule_set.audio.sample_rate_hz)
    return [w for w in windows if all(abs(w["start_sample"] - start) >= frames for start in released)]


def _sound(
    windows: list[dict[str, Any]], item: dict[str, Any], rule_set: RuleSet, rejections: Rejections
) -> list[dict[str, Any]]:
    """Return the windows with enough sound that is not clipped."""
    audio = rule_set.audio
    fine = []
    for window in windows:
        silent, clipped = window["silence_share"], window.get("clipped_share", 0.0)
        if silent > audio.max_silence_share:
            reason, detail = "silent", f"{silent:.0%} of it is silent, at most {audio.max_silence_share:.0%} may be"
        elif clipped > audio.max_clipped_share:
            reason, detail = "clipped", f"{clipped:.1%} of it is clipped, at most {audio.max_clipped_share:.1%} may be"
        else:
            fine.append(window)
            continue
        rejections.add("clip", reason, item, start_sample=window["start_sample"], detail=detail)
    return fine


def _capped(
    released: list[dict[str, Any]],
    fresh: list[dict[str, Any]],
    item: dict[str, Any],
    rule_set: RuleSet,
    rejections: Rejections,
) -> list[dict[str, Any]]:
    """Keep as many windows as the cap allows: the released ones in their order, then new ones spread evenly."""
    cap = rule_set.audio.max_clips_per_recording
    room = max(0, cap - len(released))
    spread = list(range(len(fresh)))
    if len(fresh) > room:
        spread = sorted(set(np.linspace(0, len(fresh) - 1, room).round().astype(int).tolist()))
    kept = released[:cap] + [fresh[place] for place in spread]
    starts = {window["start_sample"] for window in kept}
    for window in released + fresh:
        if window["start_sample"] not in starts:
            detail = f"at most {cap} clips of a recording"
            rejections.add("clip", "clip_cap", item, start_sample=window["start_sample"], detail=detail)
    return kept
