"""Back to an earlier release, as far as the laws still allow: its rows, on top of everything that was decided since."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.choosing import NONE, Chosen, Kept, Pairs, Pool
from curation.clips import clip_keys
from curation.columns import Bools, Ints, flat, mask, places, taken
from curation.memory import Memory
from curation.pairing import Splits

_DECIDED = (
    "pair_id",
    "label",
    "sub_genre",
    "rule",
    "evidence",
)  # groups and splits stay


def memory_after(current: Memory, earlier: Memory) -> Memory:
    """Return what the current release remembers, with the pairs of an earlier one in place of its own.

    Args:
        current: of the current release, which has a row for everything that was ever released.
        earlier: of the release to go back to, its labels by the same names.
    """
    rows, held = current.assignment, earlier.assignment.filter(earlier.assignment["pair_id"].is_valid())
    at = places(_keys(rows), _keys(held))
    is_held = pa.array(at >= 0)
    for name in _DECIDED:
        otherwise = pa.nulls(len(rows), pa.string()) if name == "pair_id" else flat(rows[name])
        column = pc.if_else(is_held, taken(flat(held[name]), at), otherwise)
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return Memory(rows, earlier.pairs)


def _keys(rows: pa.Table) -> pa.Array:
    start = pc.fill_null(rows["start_sample"].cast(pa.string()), "")
    return flat(pc.binary_join_element_wise(rows["side"], rows["sha256"], start, "\0"))


def restored(pool: Pool, kept: Kept, current: Memory) -> tuple[Chosen, Splits, Pairs]:
    """Take the pairs of the earlier release that may stand, and nothing else.

    A pair stands unless the current release holds one of its sides under another label that fits it still, or with
    another partner that the earlier release holds too: those are sticky.

    Args:
        pool: with the memory of `memory_after`.
        kept: the pairs of the earlier release whose sides are here and whose label fits.
        current: what the current release remembers.
    """
    pairs = kept.pairs
    fits = pool.image_kinds.fits(len(pool.rule_set.labels))[pool.image_kinds.of[pairs.image]]
    quotas = pool.music_kinds.fits(len(pool.quotas))[pool.music_kinds.of[pool.clips.recording[pairs.clip]]]
    sounds_fit = np.zeros_like(fits)
    for quota, label in enumerate(pool.label_of_quota.tolist()):
        sounds_fit[:, label] |= quotas[:, quota]
    pictures, sounds = current.released("image"), current.released("music")
    names = pool.images.items["sha256"].take(pa.array(pairs.image))
    rows = places(names, pictures["sha256"])
    others = places(pool.clips.keys.take(pa.array(pairs.clip)), clip_keys(sounds, pool.music))
    before = pool.memory.released("image")
    own = before["pair_id"].take(pa.array(places(names, before["sha256"])))
    earlier = _keys(pool.memory.assignment.filter(pool.memory.assignment["pair_id"].is_valid()))
    stands = np.ones(len(pairs), dtype=bool)
    for side, other, at, fitting in ((pictures, sounds, rows, fits), (sounds, pictures, others, sounds_fit)):
        is_back = mask(pc.is_in(_keys(other), value_set=earlier))
        partner_is_back = is_back[places(side["pair_id"], other["pair_id"])]
        stands &= _stands(pool, pairs, fitting, own, side, at, partner_is_back)
    first = np.array([next(iter(options), NONE) for options in pool.music_kinds.options], dtype=np.int64)
    nothing = {label.name: np.empty(0, dtype=np.int64) for label in pool.rule_set.labels}
    chosen = Chosen(nothing, nothing, np.where(kept.quotas == NONE, first[pool.music_kinds.of], kept.quotas))
    return chosen, Splits(pool.images.splits, pool.music.splits), pairs.take(stands)


def _stands(
    pool: Pool, pairs: Pairs, fits: Bools, pair_ids: pa.ChunkedArray, held: pa.Table, at: Ints, partner_is_back: Bools
) -> Bools:
    """Tell for each pair whether what the current release says of one of its sides lets it stand.

    Args:
        fits: bool, shape (n_pairs, n_labels): the labels that fit the side.
        held: what the current release holds of the side's kind.
        at: int64, shape (n_pairs,): the side's row there, -1 where it is not.
        partner_is_back: of each row there, whether its partner is in the earlier release too.
    """
    names = pa.array([label.name for label in pool.rule_set.labels])
    labels = np.append(places(held["label"], names), NONE)[at]
    another = (labels != NONE) & (labels != pairs.label) & fits[np.arange(len(pairs)), labels]
    same_pair = mask(pc.fill_null(pc.equal(taken(flat(held["pair_id"]), at), flat(pair_ids)), False))
    stands: Bools = (at < 0) | (~another & (same_pair | ~np.append(partner_is_back, False)[at]))
    return stands
