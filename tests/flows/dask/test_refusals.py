"""What is told before a batch runs on a cluster: wrong addresses, and workers that would make another release."""

import socket
from pathlib import Path

import pytest

from curation.store import Home
from flows import engines
from rules.errors import ConfigurationError
from tests.dask_cluster import started

OTHER_FFMPEG = """#!/bin/sh
case "$*" in *-version*) echo "ffmpeg version 0.5-other" ;; esac
"""


@pytest.mark.parametrize(
    ("engine", "scheduler", "message"),
    [
        ("dask", None, "--engine dask needs --scheduler: expected the address of a Dask scheduler"),
        ("threads", "tcp://10.0.0.5:8786", "--scheduler tcp://10.0.0.5:8786: expected --engine dask beside it"),
        ("dask", "http://10.0.0.5:8786", "expected the address of a Dask scheduler, as tcp://10.0.0.5:8786"),
        ("dask", "tcp://10.0.0.5", "expected the address"),
        ("dask", "tcp://name:of:many", "expected the address"),
        ("dask", "tcp://127.0.0.1:99999", "no scheduler answers there"),
    ],
)
def test_what_is_no_address_of_a_scheduler_is_refused(engine, scheduler, message):
    with pytest.raises(ConfigurationError, match=message):
        engines.check(engine, scheduler)


@pytest.fixture
def port():
    """Give a port at which somebody may listen, or nobody."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def test_an_address_at_which_nobody_listens_is_refused(port):
    with pytest.raises(ConfigurationError, match="no scheduler answers there"):
        engines.check("dask", f"tcp://127.0.0.1:{port.getsockname()[1]}")


def joined(address: str, home: Path) -> None:
    from flows.engines.running import opened

    with opened("dask", address, Home(home), []):
        pass


def test_what_listens_there_and_says_nothing_is_refused(port, monkeypatch):
    port.listen()
    monkeypatch.setattr("flows.engines.ANSWER_S", 0.2)
    with pytest.raises(ConfigurationError, match=r"no scheduler answers there \(timed out\)"):
        engines.check("dask", f"tcp://127.0.0.1:{port.getsockname()[1]}")


@pytest.mark.usefixtures("prefect_server")
def test_a_cluster_without_workers_is_refused_and_each_worker_that_would_make_another_release(tmp_path, monkeypatch):
    home = Path("/proc/self/cwd/home")  # each process has a folder of its own there
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there" / "home").mkdir(parents=True)
    (tmp_path / "nowhere").mkdir()
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(OTHER_FFMPEG)
    ffmpeg.chmod(0o755)
    with started(tmp_path) as cluster:
        with pytest.raises(ConfigurationError, match=f"no worker has joined it; .*: dask worker {cluster.address}"):
            joined(cluster.address, home)

        cluster.add("off", folder=tmp_path / "nowhere")
        with pytest.raises(ConfigurationError, match="does not see the work folder /proc/self/cwd/home .* s3://"):
            joined(cluster.address, home)
        cluster.kill("off")

        cluster.add("far", folder=tmp_path / "there")
        with pytest.raises(ConfigurationError, match="does not see the work folder"):
            joined(cluster.address, home)
        cluster.kill("far")

        cluster.add("other", env={"IMAGEIO_FFMPEG_EXE": str(ffmpeg)})
        with pytest.raises(ConfigurationError, match="audio ffmpeg version 0.5-other; .*must be the same everywhere"):
            joined(cluster.address, tmp_path / "home")


@pytest.fixture
def fitting(tmp_path):
    """Give what a process must have that shares everything with this one, but for Prefect's server."""
    from flows.engines import fitness

    media = tmp_path / "media"
    media.mkdir()
    (media / "picture.jpg").write_bytes(b"...")
    with fitness.expected(Home(tmp_path / "home"), [f"folder:{media}"], "http://127.0.0.1:9/api") as fitting:
        yield fitting


def test_a_process_that_shares_everything_fits_but_for_a_server_it_cannot_reach(fitting):
    from flows.engines import fitness

    with pytest.raises(fitness.Unfit, match="cannot reach Prefect's server at http://127.0.0.1:9 .*API_URL"):
        fitness.ensure(fitting)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"another")])
def test_a_process_that_does_not_see_the_files_of_a_source_does_not_fit(fitting, change):
    from flows.engines import fitness

    change(Path(fitting.samples[0][0]))
    with pytest.raises(fitness.Unfit, match=r"does not see .*picture.jpg, which a source has"):
        fitness.ensure(fitting)


def test_another_folder_of_the_same_path_is_not_the_work_folder(fitting):
    from flows.engines import fitness

    fitting.marker.write_text("of another build")
    with pytest.raises(fitness.Unfit, match="sees another folder as"):
        fitness.ensure(fitting)


def test_the_mark_of_a_build_does_not_stay_in_its_work_folder(tmp_path):
    from flows.engines import fitness

    with fitness.expected(Home(tmp_path), [], "") as fitting:
        assert fitting.marker.exists()
    assert list((tmp_path / "tmp").iterdir()) == []
