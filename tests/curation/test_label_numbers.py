"""A label's number is for life: labels may be renamed, retired, reordered and added, and nothing published changes."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from curation import building, releases
from curation.batches import in_threads
from curation.releases import Release, publish
from curation.store import Home
from rules.errors import ConfigurationError
from rules.schema import RuleSet
from tests.curation.collection import write_collection
from tests.curation.tables import LABELS, ROOMY, content, tiny_rules


def parent(*names: str) -> Release:
    return Release(1, Path("1"), {"labels": list(names)})


def rules_of(names: Sequence[str], renamed: dict[str, str] | None = None, retired: Sequence[str] = ()) -> RuleSet:
    """Return the tiny rule set with these labels: cut short, reordered, renamed."""
    values = content(ROOMY)
    patterns = {label["name"]: label for label in values["labels"]}
    old = renamed or {name: LABELS[1] for name in names if name not in patterns}
    values["labels"] = [patterns[old.get(name, name)] | {"name": name} for name in names]
    for label in values["labels"]:
        if label["name"] in (renamed or {}):
            label["renamed_from"] = old[label["name"]]
    return RuleSet.model_validate(values | {"retired_labels": tuple(retired)})


@given(st.permutations(LABELS))
def test_the_order_of_a_rule_set_changes_no_number(names):
    assert publish(rules_of(names), parent(*LABELS)).numbering == LABELS


def test_a_first_release_numbers_labels_as_they_are_written():
    assert publish(rules_of(LABELS[::-1]), None).numbering == LABELS[::-1]


def test_a_new_label_gets_the_next_number_wherever_it_is_written():
    now = publish(rules_of(["Grids", "Faces", "Old views"]), parent("Old views", "Faces"))
    assert now.numbering == ("Old views", "Faces", "Grids")


def test_a_renamed_label_keeps_its_number():
    names = ["Old views", "Portraits", "Bills"]
    now = publish(rules_of(names, {"Portraits": "Faces"}), parent("Old views", "Faces", "Bills"))
    assert now.numbering == ("Old views", "Portraits", "Bills")
    # the declaration may stay in the file: a later release finds the new name
    assert publish(rules_of(names, {"Portraits": "Faces"}), parent(*now.numbering)).numbering == now.numbering


def test_a_retired_label_keeps_its_number_and_comes_back_to_it():
    before = parent("Old views", "Faces", "Bills")
    now = publish(rules_of(["Old views", "Bills", "Grids"], retired=["Faces"]), before)
    assert now.numbering == ("Old views", "Faces", "Bills", "Grids")
    back = publish(rules_of(["Faces", "Old views", "Bills", "Grids"]), parent(*now.numbering))
    assert back.numbering == now.numbering


def test_a_label_that_vanished_is_refused_by_its_name():
    with pytest.raises(ConfigurationError, match="release 1 has the labels Faces, .*retired_labels.*$") as refusal:
        publish(rules_of(["Old views", "Bills"]), parent("Old views", "Faces", "Bills"))
    assert "renamed_from" not in str(refusal.value)


def test_a_label_that_seems_renamed_is_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match="if Portraits is the new name of one, give that label `renamed_from`"):
        publish(rules_of(["Old views", "Portraits"]), parent("Old views", "Faces"))


def test_a_label_cannot_take_the_name_of_another():
    with pytest.raises(ConfigurationError, match="label Bills: renamed_from Faces: .*they have both labels"):
        publish(rules_of(["Old views", "Bills"], {"Bills": "Faces"}, ["Faces"]), parent("Old views", "Faces", "Bills"))


def test_renaming_moves_nothing_and_readers_see_the_new_name(tmp_path):
    folder = write_collection(tmp_path / "media", range(6), range(4))
    home = Home(tmp_path / "home")
    first = building.build(home, [f"folder:{folder}"], tiny_rules(ROOMY), in_threads(2))
    names = ["Old views", "Portraits", "Grids"]
    rules = rules_of(names, {"Portraits": "Faces"}, ["Bills"])
    second = building.build(home, [f"folder:{folder}"], rules, in_threads(2))
    assert second.manifest["labels"] == ["Old views", "Portraits", "Bills", "Grids"]
    before, now = (rows_by_pair(release) for release in (first, second))
    assert {pair: row | {"label": "Portraits"} for pair, row in before.items()} == now
    loaded = load_dataset(str(second.folder), "metadata", cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].features["label"].names == second.manifest["labels"]
    assert set(loaded["train"]["label"]) == {1}
    assert releases.label_counts(second, releases.rule_set_of(second))["Portraits"].total() == len(before) / 2


def rows_by_pair(release: Release) -> dict[str, dict[str, object]]:
    rows = pq.read_table(release.folder / "assignment.parquet", columns=["pair_id", "label", "split", "group", "side"])
    return {f"{row['pair_id']} {row['side']}": row for row in rows.to_pylist() if row["pair_id"]}


def test_two_data_sets_live_from_one_collection(tmp_path):
    folder = write_collection(tmp_path / "media", range(6), range(4))
    home = Home(tmp_path / "home")
    sources = [f"folder:{folder}"]
    other = RuleSet.model_validate(content(ROOMY) | {"name": "other"})
    made = [building.build(home, sources, rules, in_threads(2)) for rules in (tiny_rules(ROOMY), other)]
    assert [release.manifest["parent"] for release in made] == [None, None]
    assert [building.build(home, sources, rules, in_threads(2)) for rules in (tiny_rules(ROOMY), other)] == [None, None]
    write_collection(folder, range(8), range(4))
    third = building.build(home, sources, tiny_rules(ROOMY), in_threads(2))
    assert (third.number, third.manifest["parent"]) == (3, 1)
