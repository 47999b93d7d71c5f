"""Where media were fetched stands in the references of a release, as far as anything tells it."""

import json
import shutil
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from curation import building, ingested, releases, removal, verifying
from curation.batches import in_threads
from curation.building import hash_files
from curation.schemas import INGESTED, REFERENCES
from curation.store import Home
from tests.curation.collection import copy_linked, write_collection
from tests.curation.ingesting import NOON
from tests.curation.publications import NUMBERS, Made, rules_for_spans


def test_an_item_that_moved_has_the_address_of_its_last_fetch(tmp_path):
    home = Home(tmp_path)
    fetch = {"source": "toy", "source_id": "a", "sha256": "0" * 64, "fetched_at": NOON}
    nothing = dict.fromkeys(INGESTED.names) | {"tags": [], "size_bytes": 1, "modality": "image"}
    moves = [("http://old", NOON), ("http://new", NOON + timedelta(days=1))]
    for revision, (address, when) in enumerate(moves, 1):
        row = nothing | fetch | {"address": address, "fetched_at": when, "revision": revision}
        ingested.write_rows(home, "toy", pa.Table.from_pylist([row | {"version": f"{revision:08}.x"}], INGESTED))
    schema = pa.schema([INGESTED.field(name) for name in ingested.OF_A_FETCH])
    asked = [fetch, fetch | {"fetched_at": moves[1][1]}, fetch | {"sha256": "1" * 64}, fetch | {"fetched_at": None}]
    found = ingested.addresses(home, pa.Table.from_pylist(asked, schema))
    assert found.to_pylist() == ["http://old", "http://new", None, None]


def test_a_release_without_the_column_may_be_built_on_and_purged(made: Made, tmp_path):
    home, media = Home(tmp_path / "home"), shutil.copytree(made.media, tmp_path / "media")
    copy_linked(made.home.root, home.root)
    files = sorted((home.release(1) / "references").glob("*.parquet"))
    for path in files:
        pq.write_table(pq.read_table(path).drop_columns(["address"]), path)
    manifest = home.root / "releases" / "1.json"
    values = json.loads(manifest.read_text())
    values["files"] |= {f"references/{path.name}": row for path, row in zip(files, hash_files(files), strict=True)}
    manifest.write_text(json.dumps(values))
    write_collection(media, [*NUMBERS, 9], NUMBERS)
    second = building.build(home, [f"folder:{media}"], rules_for_spans(), in_threads(2))
    assert second is not None
    assert pq.read_schema(next((second.folder / "references").glob("*.parquet"))).names == REFERENCES.names
    removal.remove(home, "folder:music1.wav", "asked for", purge=True)
    for number, names in ((1, [name for name in REFERENCES.names if name != "address"]), (2, REFERENCES.names)):
        rows = pq.read_table(releases.get(home, number).folder / "references")
        assert rows.column_names == names
        assert "music1.wav" not in rows["url"].to_pylist()
    assert verifying.verify(home, in_threads(2)) == []
