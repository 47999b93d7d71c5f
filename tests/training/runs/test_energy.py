"""Energy: estimated by codecarbon where it is installed, unknown without it; nothing leaves the machine."""

import logging
import socket
import sys
from pathlib import Path

import pytest

from training.runs.energy import measured


def test_without_codecarbon_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)  # an import of it fails
    with measured() as meter:
        assert meter.kwh() is None


def test_with_codecarbon_it_grows_and_nothing_is_written_sent_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def refuse(_: socket.socket, address: object) -> None:
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    # What a user may have set for other work of theirs must not make it write or send.
    Path(".codecarbon.config").write_text(
        "[codecarbon]\nemissions_endpoint=http://127.0.0.1:9\nsave_to_file=true\noutput_methods=csv,api\n"
        "cloud_provider=aws\ncloud_region=eu-west-1\nelectricitymaps_api_token=x\n"
    )
    with measured() as meter:
        first = meter.kwh()
        second = _after_some_work(meter.kwh)
    assert first is not None
    assert second is not None
    assert 0 < first < second < 1
    assert asked == []
    assert [path.name for path in tmp_path.iterdir()] == [".codecarbon.config"]
    assert capfd.readouterr() == ("", "")


def _after_some_work(kwh: object) -> float | None:
    """Work until codecarbon takes a new sample: it keeps one for 50 ms."""
    assert callable(kwh)
    before = after = kwh()
    for _ in range(1_000):
        sum(range(20_000))
        after = kwh()
        if after != before:
            break
    return after


def test_signals_stay_with_whoever_handled_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("CODECARBON_ALLOW_MULTIPLE_RUNS", "false")
    with measured():
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert logging.getLogger("codecarbon").level == logging.CRITICAL
