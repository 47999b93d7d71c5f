"""Pictures, clips and credits of single pairs out of a release."""

import pyarrow.dataset as pads
import pytest

from curation.releases import Release
from evaluation.report.media import OfSplits
from training.data import open_revision


@pytest.fixture(scope="module")
def rows(tiny_release: Release) -> list[dict[str, object]]:
    """Read some pairs of each split whole."""
    table = pads.dataset(
        sorted(map(str, (tiny_release.folder / "data").glob("*.parquet"))), format="parquet"
    ).to_table()
    return table.take(list(range(0, len(table), 4))).to_pylist()


@pytest.fixture(scope="module")
def media(tiny_release: Release) -> OfSplits:
    revision = open_revision(str(tiny_release.folder))
    return OfSplits([split for name in revision.names if (split := revision.split(name))])


def test_pictures_and_clips_are_those_of_their_pairs(media: OfSplits, rows: list[dict[str, object]]) -> None:
    wanted = [str(row["pair_id"]) for row in rows]
    assert dict(media.pictures(wanted)) == {row["pair_id"]: row["image"]["bytes"] for row in rows}
    assert dict(media.clips(wanted)) == {row["pair_id"]: row["audio"]["bytes"] for row in rows}


def test_credits_are_those_of_their_pairs(media: OfSplits, rows: list[dict[str, object]]) -> None:
    found = {pair_id: (image, music) for pair_id, image, music in media.credits([str(row["pair_id"]) for row in rows])}
    assert len(found) == len(rows)
    for row in rows:
        image, music = found[str(row["pair_id"])]
        assert (image.title, image.creator, image.license) == (
            row["image_title"],
            row["image_creator"],
            row["image_license"],
        )
        assert (music.title, music.sha256) == (row["music_title"], row["music_sha256"])


def test_a_pair_that_is_not_there_is_not_yielded(media: OfSplits) -> None:
    assert list(media.pictures(["nobody"])) == list(media.clips([])) == list(media.credits(["nobody"])) == []


def test_only_what_is_asked_for_is_read(media: OfSplits, rows: list[dict[str, object]], reads: list[tuple]) -> None:
    list(media.clips([str(rows[0]["pair_id"]), str(rows[-1]["pair_id"])]))
    assert [column for _, column, _ in reads] == ["audio", "audio"]
