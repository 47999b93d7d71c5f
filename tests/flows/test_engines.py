"""Batches in processes of this machine: the same bytes, and no process outlives the one that started it."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rules
from curation import building
from curation.batches import in_threads
from curation.errors import TransientError
from curation.store import Home
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("prefect_server")

REPOSITORY = Path(__file__).parents[2]
PROBE = """
import sys
from pathlib import Path
from tests.flows.engine_flows import held, probe
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    probe(folder / "home", held, [(folder, 1)], "processes")
"""


def released(home: Path) -> dict[str, bytes]:
    folder = home / "releases"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_processes_make_the_same_release_as_threads(collection, tmp_path, monkeypatch):
    from flows import build as build_flow

    monkeypatch.setenv("ARTUNE_WORKERS", "2")
    one, other = Home(tmp_path / "threads"), tmp_path / "processes"
    building.build(one, [collection.source], rules.load(str(collection.rules)), in_threads(2))
    assert build_flow.run(other, [collection.source], str(collection.rules), engine="processes") == 1
    assert released(other) == released(one.root)


def test_a_killed_process_is_told_in_a_sentence(tmp_path, monkeypatch):
    from tests.flows.engine_flows import at_work, held, probe

    monkeypatch.setenv("ARTUNE_WORKERS", "1")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(probe, tmp_path / "home", held, [(tmp_path, 1)], "processes")
        until(lambda: at_work(tmp_path) or done.done())
        os.kill(at_work(tmp_path)[0], signal.SIGKILL)
        with pytest.raises(TransientError, match="was killed, perhaps for want of memory: .* it goes on"):
            done.result()


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_started_it(way, tmp_path):
    from prefect.settings import PREFECT_API_URL

    from tests.flows.engine_flows import at_work

    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    env = {"PREFECT_API_URL": PREFECT_API_URL.value(), "ARTUNE_WORKERS": "1", "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, script, tmp_path], env=os.environ | env, cwd=tmp_path) as started:
        try:
            until(lambda: at_work(tmp_path) or started.poll() is not None)
            started.send_signal(way)
            assert started.wait() != 0
        finally:
            started.kill()
    (worker,) = at_work(tmp_path)
    until(lambda: has_ended(worker))


def has_ended(pid: int) -> bool:
    """Say whether a process is gone, or a corpse that nobody here may bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
