"""The sample published as its licenses allow, and made whole again from what comes with artune."""

from curation import rehydrating
from curation.batches import in_threads
from curation.publishing import folders
from curation.store import Home
from tests.curation.publications import means


def test_the_sample_is_made_whole_again_byte_for_byte(sample_home, sample_release, tmp_path):
    outcome = folders.publish(sample_home, sample_release, str(tmp_path / "published"), in_threads(2))
    assert outcome.referenced > 0
    done = rehydrating.rehydrate(Home(tmp_path / "home"), str(tmp_path / "published"), means())
    assert done.release is not None
    assert (done.embedded, done.kept) == (outcome.embedded, outcome.embedded + outcome.referenced)
    theirs, mine = sample_release.manifest["files"], done.release.manifest["files"]
    names = [name for name in theirs if "-of-" in name]
    assert [name for name in names if mine.get(name) != theirs[name]] == []
    assert [name for name in mine if "-of-" in name and name not in names] == []
