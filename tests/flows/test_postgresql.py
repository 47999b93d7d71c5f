"""A Prefect server that many share stands on PostgreSQL: a real one on loopback."""

import subprocess
import sys
from pathlib import Path

from tests.postgresql import postgresql
from tests.servers import environment, prefect_server, until

TASKS, WORKERS = 1_000, 8
CHILD = Path(__file__).with_name("many_tasks_child.py")
OF_LOCKS = ("lock", "Traceback", "OperationalError", "TimeoutError", "QueuePool")
# Not every ERROR: two events of one task may both insert its row, and Prefect then updates it.
OF_POSTGRESQL = ("lock", "serialize", "too many", "terminat", "FATAL", "PANIC")
ENDED_WELL = "select count(*) from task_run where state_type = 'COMPLETED'"


def test_a_thousand_tasks_on_postgresql_meet_no_lock(tmp_path: Path) -> None:
    with postgresql() as database, prefect_server(tmp_path, database_url=database.address) as api:
        command = [sys.executable, str(CHILD), str(TASKS), str(WORKERS)]
        # Without a line of log for each task, which would cost as much as the task.
        env = environment(tmp_path / "client", PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="WARNING")
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == sum(number * number for number in range(TASKS))
        # The server learns of tasks by events, in its own time.
        until(lambda: database.ask(ENDED_WELL) == [str(TASKS)] or None, f"{TASKS} completed tasks in PostgreSQL")
        assert database.ask("select state_type, count(*) from flow_run group by 1") == ["COMPLETED|1"]
        said = (tmp_path / "server.log").read_text()
        written = database.log.read_text()
    assert lines_with(OF_LOCKS, said) == []
    assert lines_with(OF_POSTGRESQL, written) == []
    assert database.password not in said + done.stdout + done.stderr


def lines_with(words: tuple[str, ...], log: str) -> list[str]:
    return [line for line in log.splitlines() if any(word in line for word in words)]
