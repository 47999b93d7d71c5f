"""How batches run as tasks of a flow, on a real Prefect server."""

import logging
import subprocess
import sys
from threading import Event, Lock
from typing import Any

import pytest

from curation.errors import TransientError
from tests.silent import Silent

pytestmark = pytest.mark.usefixtures("prefect_server")


class Counting:
    """A batch function that fails its first calls, and counts all of them."""

    __name__ = "counting"

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.calls, self.lock = list(failures), 0, Lock()

    def __call__(self, batch: int) -> int:
        with self.lock:
            self.calls += 1
            if self.failures:
                raise self.failures.pop(0)
        return batch * batch


def in_a_flow(work: Any, batches: list[int]) -> list[int]:
    from prefect import flow

    from flows.tasks import in_prefect

    @flow(name="probe")
    def probe() -> list[int]:
        return in_prefect(Silent())(work, batches, "square")  # type: ignore[arg-type]

    return probe()


def test_results_come_in_the_order_of_the_batches_however_few_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.tasks.IN_FLIGHT", 3)
    assert in_a_flow(Counting(), list(range(10))) == [number * number for number in range(10)]


def test_a_busy_world_is_tried_again() -> None:
    work = Counting(TransientError("429"))
    assert in_a_flow(work, [3]) == [9]
    assert work.calls == 2


def test_a_world_that_stays_busy_is_logged_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.tasks import let_modules_speak

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            failures.append(record)

    failures: list[logging.LogRecord] = []
    handler, logger = Kept(logging.ERROR), logging.getLogger("prefect.task_runs")
    monkeypatch.setattr("flows.tasks.RETRY_DELAYS_S", [])
    let_modules_speak()
    logger.addHandler(handler)
    try:
        with pytest.raises(TransientError):
            in_a_flow(Counting(TransientError("429")), [3])
    finally:
        logger.removeHandler(handler)
    assert "429" in failures[0].getMessage()
    assert [record.exc_info for record in failures if record.exc_info] == []


def test_a_bug_fails_at_once_with_its_own_error() -> None:
    work = Counting(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        in_a_flow(work, [3])
    assert work.calls == 1


def test_a_part_that_is_slow_keeps_no_other_waiting():
    from prefect import flow

    from flows.tasks import Title, in_prefect, threads

    others_are_done = Event()
    done: list[str] = []

    def work(batch: str) -> str:
        if batch == "slow 0":
            assert others_are_done.wait(60)
        done.append(batch)
        if sum(name.startswith("fast") for name in done) == 5:
            others_are_done.set()
        return batch

    batches = [f"{part} {number}" for number in range(5) for part in ("slow", "fast")]

    @flow(name="probe", task_runner=threads(2))
    def probe() -> list[str]:
        each = in_prefect(Silent(), lambda batch: Title(*batch.split()), at_once=1)
        return each(work, batches, "stage")

    assert probe() == batches
    assert done[:6] == [*(f"fast {number}" for number in range(5)), "slow 0"]


@pytest.mark.parametrize(("name", "code"), [("KeyboardInterrupt", 130), ("TerminationSignal", 143)])
def test_who_stops_a_flow_decides_its_exit_code(name, code, monkeypatch):
    from prefect.exceptions import TerminationSignal

    from flows import tasks

    def stopped() -> None:
        raise KeyboardInterrupt if name == "KeyboardInterrupt" else TerminationSignal(15)

    left: list[tuple[str, int]] = []
    monkeypatch.setattr(tasks, "leave", lambda *how: left.append(how))
    tasks.told(stopped, "Stopped.")
    assert left == [("Stopped.", code)]


LEAVING = """
from threading import Event
from flows import tasks
tasks.LEAVE_S = 0.1
tasks.get_client = lambda **_: Event().wait()
tasks.leave("Stopped.", 143)
"""


def test_a_server_that_does_not_answer_keeps_nobody_from_leaving():
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (143, "Stopped.\n")
