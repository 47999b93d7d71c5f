"""What a rehydrated release says of its pairs, and of those that it lacks, as far as a publication tells it."""

import pyarrow as pa
import pyarrow.compute as pc

from curation.columns import flat
from curation.errors import REASONS
from curation.schemas import ASSIGNMENT, REJECTIONS
from curation.tables import ordered

_OF_SIDE = ("sha256", "source", "source_id", "group")
ASSIGNED = (  # columns of PAIRS
    *("pair_id", "label", "rule", "evidence", "music_start_s", "music_genre"),
    *(f"{side}_{name}" for side in ("image", "music") for name in _OF_SIDE),
)


def assignment(pairs: pa.Table, sample_rate_hz: int, number: int) -> pa.Table:
    """Return a row of ASSIGNMENT for each side of some pairs; works, and what earlier releases held, nobody tells.

    Args:
        pairs: split and the columns ASSIGNED.
        number: of the release.
    """
    rules = pc.extract_regex(pairs["rule"], r"(?s)^(?P<image>.*?)(?: \| (?P<music>.*))?$")  # one if they are the same
    evidence = pc.extract_regex(pairs["evidence"], r"(?s)^image: (?P<image>.*) \| music: (?P<music>.*)$")
    starts = pc.round(pc.multiply(pairs["music_start_s"], float(sample_rate_hz)))
    own = {"image": {}, "music": {"start_sample": pc.cast(starts, pa.int64()), "sub_genre": pairs["music_genre"]}}
    sides = []
    for side, columns in own.items():
        columns |= {name: pairs[name] for name in ("pair_id", "label", "split")}
        columns |= {name: pairs[f"{side}_{name}"] for name in _OF_SIDE}
        rule = pc.struct_field(rules, side)
        columns["rule"] = pc.if_else(pc.equal(rule, ""), pc.struct_field(rules, "image"), rule)
        columns["evidence"] = pc.struct_field(evidence, side)
        columns |= {
            "side": pa.repeat(side, len(pairs)),
            "release": pa.repeat(pa.scalar(number, pa.int32()), len(pairs)),
        }
        rows = [columns.get(field.name, pa.nulls(len(pairs), field.type)) for field in ASSIGNMENT]
        sides.append(ordered(pa.table(rows, ASSIGNMENT)))
    return pa.concat_tables(sides)


def rejections(sides: pa.Table, sample_rate_hz: int) -> pa.Table:
    """Return a row of REJECTIONS for each side of a pair that is left out.

    Args:
        sides: schema YIELD.
    """
    out = sides.filter(pc.invert(sides["is_kept"]))
    reasons = flat(pc.fill_null(out["reason"], "no_partner"))
    starts = pc.round(pc.multiply(out["start_s"], float(sample_rate_hz)))
    columns = {name: out[name] for name in ("source", "source_id", "sha256", "title", "detail")}
    columns |= {
        "unit": pc.if_else(pc.equal(out["side"], "image"), "image", "clip"),
        "stage": pa.array([REASONS[reason][0] for reason in reasons.to_pylist()], pa.string()),
        "reason": reasons,
        "start_sample": pc.cast(starts, pa.int64()),
    }
    rows = pa.table([columns.get(field.name, pa.nulls(len(out), field.type)) for field in REJECTIONS], REJECTIONS)
    return rows.sort_by([(name, "ascending") for name in ("unit", "source", "source_id", "sha256", "start_sample")])
