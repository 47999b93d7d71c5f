"""A small release and its publication, made once: read them, never write to them."""

import pytest

from curation import building, releases
from curation.batches import in_threads
from curation.store import Home
from tests.curation.publications import Made, pair_ids, publish, rules_for_spans, write_media


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("rehydrating")
    media, home = write_media(root / "media"), Home(root / "home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "bucket_counts", lambda rule_set: {"train": 2, "validation": 1, "test": 1})
        building.build(home, [f"folder:{media}"], rules_for_spans(), in_threads(2))
    release = releases.get(home, 1)
    embedded = pair_ids(release)[::3]
    publish(home, release, root / "published", embedded)
    return Made(media, home, release, root / "published", embedded)
