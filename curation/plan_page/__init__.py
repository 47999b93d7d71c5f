"""A plan as one HTML page: what changes, why, and the pictures that come, go and move."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import images, tombstones
from curation.changes import LabelChange, transitions, words
from curation.columns import mask
from curation.errors import ItemError, attempt
from curation.memory import SPLITS
from curation.planning import Plan
from curation.report import page
from curation.report.previews import SMALL, Thumbnail, thumbnail
from curation.store import Home

HERE = Path(__file__).parent
TRANSITIONS_SHOWN, CAUSES_SHOWN, EXAMPLES_SHOWN = 40, 6, 4
SHOWN_OF_A_KIND = 12  # pictures, or clips, of one label that changed in one way
MAX_PICTURES = 600  # of the page: 16 MB of base64 at most
BETWEEN_QUALITY = 95  # of a picture on its way to a thumbnail

# What can become of a unit, seen from a label.
_WAYS = ("gained", "lost", "moved in", "moved out", "with another partner", "with another split")


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture or clip that changes; the thumbnail of a picture that can be shown."""

    row: Mapping[str, Any]  # of CHANGES
    before: str
    after: str
    picture: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Part:
    """What became of units of one side of a label in one way: the first of them, and how many there are."""

    way: str
    side: str
    count: int
    seen: Sequence[Seen]


@dataclass(frozen=True, slots=True)
class Plate:
    """A label that changes."""

    number: int
    change: LabelChange
    parts: Sequence[Part]


def write(path: Path, plan: Plan, home: Home) -> None:
    """Write the page; the pictures come from the blobs of the work folder."""
    text = render(plan, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def render(plan: Plan, home: Home) -> str:
    """Return the page. All text from outside is escaped by the template; nothing in it runs and nothing is fetched."""
    ways, count = transitions(plan.changes, TRANSITIONS_SHOWN, CAUSES_SHOWN, EXAMPLES_SHOWN)
    values = {
        "plan": plan,
        "plates": list(_plates(plan, home)),
        "ways": ways,
        "way_count": count,
        "goals": {label.name: label.size for label in plan.rule_set.labels},
        "splits": SPLITS,
    }
    return page.render(values, HERE / "plan.html.j2", script=None)


def _plates(plan: Plan, home: Home) -> Iterator[Plate]:
    groups = {label.name: list(_groups(plan.changes.items, label.name)) for label in plan.labels}
    shown = MAX_PICTURES // max(1, sum(side == "image" for parts in groups.values() for _, side, _ in parts))
    shown = max(1, min(SHOWN_OF_A_KIND, shown))
    for number, label in enumerate(plan.labels):
        parts = [
            Part(way, side, len(rows), [_seen(row, home) for row in rows.slice(0, shown).to_pylist()])
            for way, side, rows in groups[label.name]
        ]
        if parts or label.before != label.after:
            yield Plate(number, label, parts)


def _groups(items: pa.Table, label: str) -> Iterator[tuple[str, str, pa.Table]]:
    """Yield what changes in a label: the way, the side and the rows."""
    was, now = (mask(pc.fill_null(pc.equal(items[f"label_{when}"], label), False)) for when in ("before", "after"))
    is_new, is_lost = (mask(items[f"label_{when}"].is_null()) for when in ("before", "after"))
    is_leak = mask(pc.equal(items["kind"], "split"))
    chosen = (
        now & is_new,
        was & is_lost,
        now & ~was & ~is_new,
        was & ~now & ~is_lost,
        was & now & ~is_leak,
        now & is_leak,
    )
    for side in ("image", "music"):
        is_mine = mask(pc.equal(items["side"], side))
        for way, rows in zip(_WAYS, chosen, strict=True):
            if np.any(rows & is_mine):
                yield way, side, items.filter(pa.array(rows & is_mine))


def _seen(row: Mapping[str, Any], home: Home) -> Seen:
    before = words(row["label_before"], row["reason_before"], "new")
    after = words(row["label_after"], row["reason_after"], "in no source")
    is_shown = row["side"] == "image" and row["reason_after"] != tombstones.REASON
    picture = _thumbnail(home, row["sha256"]) if is_shown else None
    return Seen({**row, "creator": None}, before, after, picture)


def _thumbnail(home: Home, sha256: str) -> Thumbnail | None:
    """Return a picture made small; None if its file is gone or cannot be decoded."""
    if not home.blob(sha256).exists():
        return None
    with home.at_hand(home.blob(sha256)) as blob:
        decoded = attempt(lambda: images.normalize(blob, SMALL.side_px))
    if isinstance(decoded, ItemError):
        return None
    out = BytesIO()
    decoded.image.save(out, "JPEG", quality=BETWEEN_QUALITY)
    return thumbnail(out.getvalue(), SMALL)
