"""A plan says what a build then does, and leaves no trace."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation import building, changes, collect, planning, releases
from curation.batches import in_threads
from curation.collect import Listing
from curation.planning import NOT_COLLECTED, NOT_MEASURED, Plan
from curation.releases import Release
from curation.store import Home
from rules import load
from rules.errors import ConfigurationError
from tests.curation.collection import files_of, write_collection
from tests.curation.tables import ROOMY, write_rules

SIZES = (6, 8, 4, 3)


@dataclass(frozen=True)
class Curator:
    """What a curator has: a folder of media, rules, and a work folder."""

    media: Path
    rules: Path
    home: Home

    @property
    def listing(self) -> Listing:
        return collect.list_sources(self.home, [f"folder:{self.media}"])

    def plan(self) -> Plan:
        return planning.plan(self.home, self.listing, load(str(self.rules)))

    def build(self) -> Release:
        sources, rule_set = [f"folder:{self.media}"], load(str(self.rules))
        release = building.build(self.home, sources, rule_set, in_threads(2), may_drop=True)
        assert release is not None
        return release

    def edit(self, name: str, changes: dict[str, str]) -> None:
        path = self.rules / name
        for old, new in changes.items():
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Curator:
    place = tmp_path_factory.mktemp("planned")
    media = write_collection(place / "media", range(16), range(9))
    curator = Curator(media, write_rules(place / "rules", sizes=ROOMY), Home(place / "home"))
    curator.build()
    return curator


@pytest.fixture
def curator(built: Curator, tmp_path: Path) -> Curator:
    """Give a copy of what was built; the media stay where they are, for a file elsewhere is another file."""
    shutil.copytree(built.home.root, tmp_path / "home")
    shutil.copytree(built.rules, tmp_path / "rules")
    return Curator(built.media, tmp_path / "rules", Home(tmp_path / "home"))


# What a curator does: the file, what stands there and what will.
EDITS = {
    "a smaller class": ("labels.yaml", {"size: 20": "size: 5", "Late: 12": "Late: 5", "Song: 12": "Song: 5"}),
    "more pictures and clips": (
        "labels.yaml",
        {"Song: 12": "Song: 16", "      - Portrait": "      - Portrait\n      - Landscape"},
    ),
    "a new name": ("labels.yaml", {"name: Faces": "name: Heads\n  renamed_from: Faces"}),
    "other pictures": ("labels.yaml", {"      - Portrait": "      - Landscape"}),
    "fewer clips": ("settings.yaml", {"max_clips_per_recording: 3": "max_clips_per_recording: 1"}),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_build_does_what_the_plan_said_and_the_plan_wrote_nothing(
    curator: Curator, edit: tuple[str, dict[str, str]]
) -> None:
    curator.edit(*edit)
    before = files_of(curator.home.root)
    plan = curator.plan()
    assert files_of(curator.home.root) == before
    assert plan.changes_something
    built = curator.build()
    assert built.number == plan.number
    parent = releases.get(curator.home, 1)
    found = changes.between(parent, built)
    assert plan.changes.items.equals(found.items)
    assert plan.changes.after.sort_by("pair_id").equals(found.after.sort_by("pair_id"))
    assert plan.changes.reworded.to_pylist() == found.reworded.to_pylist()
    assert plan.labels == changes.labels(found, built.manifest["labels"])


def test_without_an_edit_nothing_would_change(curator: Curator) -> None:
    plan = curator.plan()
    assert plan.changes.is_empty
    assert not plan.changes_something
    assert plan.sending.rows == plan.sending.total_bytes == 0


def test_without_a_parent_everything_is_gained(curator: Curator) -> None:
    for path in (curator.home.root / "releases").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan = curator.plan()
    assert (plan.parent, plan.number) == (None, 1)
    assert set(plan.changes.items["kind"].to_pylist()) == {"gained"}
    assert plan.changes.pairs.new == len(plan.changes.after) > 0
    assert plan.sending.rows == plan.changes.pairs.new


def test_an_empty_work_folder_is_told_what_a_build_would_collect_and_stays_empty(
    built: Curator, tmp_path: Path
) -> None:
    curator = Curator(built.media, built.rules, Home(tmp_path / "home"))
    plan = curator.plan()
    assert plan.uncollected == 25
    assert plan.changes.is_empty
    assert plan.changes_something
    assert not (tmp_path / "home").exists()


def test_a_changed_file_is_no_loss_but_waits_for_a_build(curator: Curator, tmp_path: Path) -> None:
    media = shutil.copytree(curator.media, tmp_path / "media")
    plan = Curator(media, curator.rules, curator.home).plan()
    assert plan.uncollected == 25
    assert set(plan.changes.items["reason_after"].to_pylist()) == {NOT_COLLECTED}


def test_other_limits_of_a_measurement_wait_for_a_build(curator: Curator) -> None:
    curator.edit("settings.yaml", {"min_side_px: 16": "min_side_px: 17"})
    plan = curator.plan()
    assert plan.unmeasured == 16
    pictures = [row for row in plan.changes.items.to_pylist() if row["side"] == "image"]
    assert {row["reason_after"] for row in pictures} == {NOT_MEASURED}


def test_what_a_build_would_refuse_a_plan_refuses(curator: Curator) -> None:
    curator.edit("settings.yaml", {"clip_s: 1.0": "clip_s: 0.5"})
    with pytest.raises(ConfigurationError, match="released clips stay as they are"):
        curator.plan()


def test_a_rule_that_selects_nothing_is_told(built: Curator) -> None:
    pictures, music = built.plan().warnings
    assert pictures == "no picture has the tags for Bills, Grids"
    assert music == "no recording has the tags for Old views, Grids"


def test_what_stickiness_costs_is_told(curator: Curator) -> None:
    assert curator.plan().lost_to_memory == {}
