"""What a scheduler holds of a build, and what is told when the cluster fails."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from curation.errors import TransientError
from tests.dask_cluster import started
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("prefect_server")


def most_at_once(moves) -> int:
    """Return how many tasks a scheduler held at most."""
    held: set[str] = set()
    most = 0
    for move in moves:
        held.add(move.key)
        if move.finish == "forgotten":
            held.discard(move.key)
        most = max(most, len(held))
    return most


def test_a_scheduler_holds_few_batches_and_the_loss_of_workers_or_of_itself_is_told_in_a_sentence(tmp_path):
    from tests.flows.engine_flows import at_work, held, length, probe

    home = tmp_path / "home"
    with ThreadPoolExecutor(1) as pool, started(tmp_path, allowed_failures=0) as cluster:
        cluster.add("first")
        batches = [b"x" * 2_000 for _ in range(60)]
        assert probe(home, length, batches, "dask", cluster.address, at_once=5) == [2_000] * 60
        assert most_at_once(cluster.moves()) <= 5
        until(lambda: cluster.tasks() == 0)

        # A worker ends, and the scheduler gives its batch to no other.
        done = pool.submit(probe, home, held, [(tmp_path, 1)], "dask", cluster.address)
        until(lambda: at_work(tmp_path))
        cluster.kill("first")
        with pytest.raises(TransientError, match=r"1 workers? ended .*the same command goes on"):
            done.result()

        # The scheduler ends.
        cluster.add("second")
        done = pool.submit(probe, home, held, [(tmp_path, 2)], "dask", cluster.address)
        until(lambda: len(at_work(tmp_path)) == 2)
        cluster.scheduler.kill()
        with pytest.raises(
            TransientError, match=re.escape(f"{cluster.address}: the connection to the scheduler was lost")
        ):
            done.result()
