"""A build on a Dask cluster of real processes: the same bytes, whatever happens to its workers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rules
from curation import building, compiled
from curation.batches import in_threads
from curation.store import Home
from tests.dask_cluster import started
from tests.flows.conftest import last_run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("prefect_server")


def released(home: Path) -> dict[str, bytes]:
    folder = home / "releases"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def local(collection, tmp_path):
    """Give every file of a release that was built without any cluster."""
    home = Home(tmp_path / "local")
    building.build(home, [collection.source], rules.load(str(collection.rules)), in_threads(2))
    return released(home.root)


def test_a_killed_a_silent_and_a_new_worker_change_no_byte_and_only_lost_batches_are_done_again(
    collection, local, tmp_path
):
    from flows import build as build_flow

    home = tmp_path / "home"
    with ThreadPoolExecutor(1) as pool, started(tmp_path) as cluster:  # a build without its scheduler ends
        cluster.add("killed")
        cluster.add("silent")
        cluster.client.run(compiled.ready)  # one stopped at that would keep the other waiting
        done = pool.submit(
            build_flow.run, home, [collection.source], str(collection.rules), engine="dask", scheduler=cluster.address
        )
        until(lambda: any(home.glob("derived/recordings-*/*.parquet")) or done.done())
        cluster.pause_at_work("killed")
        cluster.pause_at_work("silent")
        at_work = {*cluster.given("killed"), *cluster.given("silent")}
        cluster.kill("killed")
        assert not done.done()
        cluster.give_up("silent")
        cluster.add("new")
        assert done.result() == 1

        assert released(home) == local
        given = cluster.times_given()
        assert at_work <= cluster.lost()
        assert {key for key, times in given.items() if times > 1} == cluster.lost()
        tasks = last_run("record release").tasks
        assert set(tasks.values()) == {"COMPLETED"}
        assert len(tasks) == len(given) + 1  # what is recorded of the release is no batch

        # It comes back when the release is there, and ends what it was at.
        cluster.resume("silent")
        cluster.ended("silent")
        assert released(home) == local
