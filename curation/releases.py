"""What a committed release is, and how to find it."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.store import Home
from rules.errors import ConfigurationError
from rules.schema import RuleSet


@dataclass(frozen=True, slots=True)
class Release:
    """One committed release.

    Attributes:
        manifest: what its JSON file says.
    """

    number: int
    folder: Path
    manifest: dict[str, Any]


def numbers(home: Home) -> list[int]:
    """Return the numbers of all releases, in order."""
    return sorted(int(path.stem) for path in (home.root / "releases").glob("*.json") if path.stem.isdecimal())


def get(home: Home, number: int) -> Release:
    """Return a release.

    Raises:
        ConfigurationError: there is none of that number.
    """
    path = home.root / "releases" / f"{number}.json"
    if not path.exists():
        raise ConfigurationError(f"{home.root} has no release {number}; it has {numbers(home) or 'none'}")
    return Release(number, home.release(number), json.loads(path.read_text(encoding="utf-8")))


def latest(home: Home) -> Release | None:
    """Return the last release, or None before the first."""
    return get(home, numbers(home)[-1]) if numbers(home) else None


def rule_set_of(release: Release) -> RuleSet:
    """Return the rule set that a release was built with."""
    return RuleSet.model_validate(json.loads((release.folder / "rule_set.json").read_text(encoding="utf-8")))


def label_counts(release: Release, rule_set: RuleSet) -> dict[str, Counter[str]]:
    """Return the number of pairs of each label by split."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in rule_set.label_names}
    rows = pq.read_table(release.folder / "assignment.parquet", columns=["side", "label", "split", "pair_id"])
    held = rows.filter((pc.field("side") == "image") & pc.field("pair_id").is_valid())
    for row in held.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist():
        counts[row["label"]][row["split"]] = row["count_all"]
    return counts


def tidy(home: Home) -> None:
    """Remove what killed builds left behind: temporary files, and the working folders of releases that exist."""
    home.sweep()
    for number in numbers(home):
        shutil.rmtree(home.root / "releases" / f"{number}.work", ignore_errors=True)
