"""What a build does where files go, or break, while it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curation import building
from curation.batches import Each, in_threads
from curation.damage import Damaged
from curation.errors import HomeBusy
from curation.releases import numbers
from curation.store import Home
from tests.curation.collection import write_collection
from tests.curation.test_releases import RULES


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    folder = tmp_path / "collection"
    folder.mkdir()
    write_collection(folder, range(8), range(5))
    return [f"folder:{folder}"]


def test_a_release_whose_files_were_removed_meanwhile_is_not_committed_and_the_next_call_ends_it(tmp_path, sources):
    home, each = Home(tmp_path / "home"), in_threads(2)

    def robbed(work: Any, batches: Sequence[Any], stage: str) -> Any:
        done = each(work, batches, stage)
        if stage == "report":  # as who took this build for dead and gave it up
            min((home.release(1) / "data").iterdir()).unlink()
        return done

    with pytest.raises(HomeBusy, match=r"data/.* were removed while release 1 was built"):
        building.build(home, sources, RULES, robbed)
    assert numbers(home) == []
    assert building.build(home, sources, RULES, each)
    assert numbers(home) == [1]


def test_a_file_that_is_damaged_again_when_it_was_computed_again_ends_the_build(tmp_path, sources):
    home = Home(tmp_path / "home")
    path = home.root / "derived" / "images-x" / "a.parquet"
    tries: list[str] = []

    def damaged(work: Any, batches: Sequence[Any], stage: str) -> Any:
        tries.append(stage)
        raise Damaged(path, "its disk is broken")

    broken: Each = damaged
    with pytest.raises(Damaged, match="its disk is broken"):
        building.build(home, sources, RULES, broken)
    assert tries == ["collect", "collect"]
