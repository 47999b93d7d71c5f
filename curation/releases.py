"""What a committed release is, and how to find it."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import damage
from curation.damage import Damaged
from curation.memory import NO_MEMORY, REMEMBERED, Memory
from curation.schemas import ASSIGNMENT
from curation.store import Home, in_order, remove_tree, whole
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

    def sha256(self, name: str) -> str:
        """Return the sha256 that a file of it has; nothing if it has no such file."""
        return str(self.manifest.get("files", {}).get(name, {}).get("sha256", ""))

    def checked(self, name: str) -> Path:
        """Return a file of it.

        Raises:
            Damaged: its content has changed.
        """
        damage.check(self.folder / name, self.sha256(name))
        return self.folder / name

    @property
    def purged_pairs(self) -> pa.Array:
        """The pairs that it held once, and whose media were deleted because removal of a side was asked for."""
        return pa.array([pair for one in self.manifest.get("purged", ()) for pair in one["pairs"]], pa.string())


# What is read of every release, whichever artune wrote it.
NEEDED = {"release", "parent", "inputs", "rule_set", "labels", "buckets", "items", "pairs", "tools", "files"}


def numbers(home: Home) -> list[int]:
    """Return the numbers of all releases, in order."""
    return sorted(int(path.stem) for path in (home.root / "releases").glob("*.json") if path.stem.isdecimal())


def get(home: Home, number: int) -> Release:
    """Return a release.

    Raises:
        ConfigurationError: there is none of that number.
    """
    path = home.root / "releases" / f"{number}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        told = f"{home.root} has no release {number}; it has {numbers(home) or 'none'}"
        raise ConfigurationError(told) from None
    return Release(number, home.release(number), _manifest(path, text))


def _manifest(path: Path, text: str) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
        if manifest.keys() >= NEEDED:
            return dict(manifest)
        what = f"it lacks {', '.join(sorted(NEEDED - manifest.keys()))}"
    except (ValueError, AttributeError) as error:
        what = str(error)
    raise Damaged(path, what, "restore it from a copy; without it there is no release of this number")


def latest(home: Home, data_set: str | None = None) -> Release | None:
    """Return the last release, or the last one of a data set; None before the first.

    A data set is what rule sets of one name made: several live side by side in one work folder, from one collection.
    """
    found = (get(home, number) for number in reversed(numbers(home)))
    return next((release for release in found if data_set in (None, release.manifest["rule_set"]["name"])), None)


class PublishedRules(RuleSet):
    """A rule set with the place of every label that its data set ever had: users know a label by that number."""

    numbering: tuple[str, ...] = ()  # retired labels too


def rule_set_of(release: Release) -> PublishedRules:
    """Return the rule set that a release was built with."""
    path = release.folder / "rule_set.json"
    text, sha256 = path.read_bytes(), release.sha256("rule_set.json")
    if sha256 and hashlib.sha256(text).hexdigest() != sha256:  # before it is committed, nothing says what it should be
        raise Damaged(path, "its sha256 is another than the release was committed with")
    return PublishedRules.model_validate_json(text)


def written(rule_set: PublishedRules) -> str:
    """Return what `rule_set_of` reads: what the curator set, and the settings that decide media and splits."""
    values = rule_set.model_dump(mode="json", exclude_unset=True)  # most words of the vocabulary set nothing
    values |= rule_set.model_dump(mode="json", include={"image", "audio", "splits", "numbering"})
    in_order = {name: values[name] for name in PublishedRules.model_fields if name in values}
    return json.dumps(in_order, indent=1, ensure_ascii=False) + "\n"


def publish(rule_set: RuleSet, parent: Release | None) -> PublishedRules:
    """Give every label its number: that of the parent release, which stays for life, or the next one.

    Raises:
        ConfigurationError: a label of the parent is gone and nobody said so, or two labels claim one number.
    """
    before = list(parent.manifest["labels"]) if parent else []
    renamed = _renamed(before, rule_set)
    numbering = [renamed.get(name, name) for name in before]
    own = [label.name for label in rule_set.labels]
    gone = [name for name in numbering if name not in own and name not in rule_set.retired_labels]
    if parent and gone:
        new = [name for name in own if name not in numbering]
        hint = f"; if {new[0]} is the new name of one, give that label `renamed_from`" if new else ""
        raise ConfigurationError(
            f"release {parent.number} has the labels {', '.join(gone)}, which the rule set {rule_set.name} has not: "
            f"expected each among its labels, or in `retired_labels` of labels.yaml, where its number "
            f"stays reserved{hint}"
        )
    return PublishedRules.model_construct(
        rule_set.model_fields_set | {"numbering"},
        **dict(rule_set),
        numbering=(*numbering, *(name for name in own if name not in numbering)),
    )


def _renamed(before: list[str], rule_set: RuleSet) -> dict[str, str]:
    """Return the labels of an earlier release that have another name now."""
    renamed = {}
    for label in rule_set.labels:
        if label.renamed_from in before:
            if label.name in before:
                raise ConfigurationError(
                    f"label {label.name}: renamed_from {label.renamed_from}: expected a name that earlier releases do "
                    "not have yet; they have both labels, and a number stays with its label"
                )
            renamed[label.renamed_from] = label.name
    return renamed


def memory_of(parent: Release | None, rule_set: PublishedRules) -> Memory:
    """Return what the parent release decided, its labels by the names that they have now."""
    if parent is None:
        return NO_MEMORY
    assignment = pq.ParquetFile(whole(parent.checked("assignment.parquet"))).read().cast(ASSIGNMENT)
    now = dict(zip(parent.manifest["labels"], rule_set.numbering, strict=False))
    if any(before != name for before, name in now.items()):
        labels = assignment["label"].combine_chunks().dictionary_encode()
        names = pa.array([now.get(name, name) for name in labels.dictionary.to_pylist()], pa.string())
        renamed = pa.DictionaryArray.from_arrays(labels.indices, names).cast(pa.string())
        assignment = assignment.set_column(ASSIGNMENT.get_field_index("label"), "label", renamed)
    metadata = [parent.checked(name) for name in sorted(parent.manifest["files"]) if name.startswith("metadata/")]
    pairs = in_order(lambda path: pq.ParquetFile(whole(path)).read(list(REMEMBERED)), metadata)
    return Memory(assignment, pa.concat_tables(pairs))


def label_counts(release: Release, rule_set: RuleSet) -> dict[str, Counter[str]]:
    """Return the number of pairs of each label by split."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in rule_set.label_names}
    rows = pq.read_table(whole(release.folder / "assignment.parquet"), columns=["side", "label", "split", "pair_id"])
    held = rows.filter((pc.field("side") == "image") & pc.field("pair_id").is_valid())
    for row in held.group_by(["label", "split"]).aggregate([([], "count_all")]).to_pylist():
        counts[row["label"]][row["split"]] = row["count_all"]
    return counts


def tidy(home: Home) -> None:
    """Remove what killed builds left behind: temporary files, and the working folders of releases that exist."""
    home.sweep()
    there = {f"{number}.work" for number in numbers(home)}
    for root in {home.root, home.local}:
        for folder in (root / "releases").glob("*.work"):
            if folder.name in there:
                remove_tree(folder)
