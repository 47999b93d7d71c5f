"""Debian's PostgreSQL on loopback, in a temporary folder."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT
from typing import Any

DATABASE = "prefect"
ACCOUNT = "postgres"  # PostgreSQL refuses to run as root
PORTS_TO_TRY, READINGS, READING_S, STOP_S = 5, 600, 0.1, 30


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A server that runs.

    Attributes:
        address: as Prefect takes it, with the password in it.
        log: what the server says.
    """

    address: str
    password: str
    log: Path

    def ask(self, query: str) -> list[str]:
        """Return the rows that a query gives, columns parted by `|`."""
        address = self.address.replace("+asyncpg", "")
        done = subprocess.run([_program("psql"), address, "-Atc", query], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Start a server with an empty database; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="artune-postgresql-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        password = secrets.token_hex(16)
        secret = folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)  # the folder is closed to others
        _run(
            folder,
            "initdb",
            "-D",
            "data",
            "-U",
            "artune",
            "-A",
            "scram-sha-256",
            "--pwfile",
            secret,
            "-E",
            "UTF8",
            "--no-locale",
        )
        process, port = _started(folder)
        try:
            login = {"PGPASSWORD": password}
            _run(folder, "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "artune", DATABASE, env=login)
            address = f"postgresql+asyncpg://artune:{password}@127.0.0.1:{port}/{DATABASE}"
            yield PostgreSQL(address, password, folder / "log")
        finally:
            process.send_signal(SIGINT)  # without waiting for clients
            try:
                process.wait(STOP_S)
            finally:
                process.kill()


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server on a free port and wait until it answers."""
    for _ in range(PORTS_TO_TRY):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        options = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        with (folder / "log").open("wb") as log:
            command = [_program("postgres"), "-D", str(folder / "data"), *options]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **_account())
        if _answers(process, port):
            return process, port
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers, or has ended: somebody else took the port."""
    for _ in range(READINGS):
        try:
            process.wait(READING_S)
        except subprocess.TimeoutExpired:
            asked = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            if subprocess.run(asked, check=False).returncode == 0:
                return True
        else:
            return False
    process.kill()
    return False


def _run(folder: Path, program: str, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
    command = [_program(program), *map(str, arguments)]
    subprocess.run(command, cwd=folder, env=os.environ | (env or {}), check=True, capture_output=True, **_account())


def _program(name: str) -> str:
    """Return the path of a program of PostgreSQL's, which Debian keeps out of PATH.

    Raises:
        FileNotFoundError: it is not installed.
    """
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(folders, key=lambda folder: int(folder.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, newest), os.environ["PATH"]]))
    if not found:
        raise FileNotFoundError(f"{name} of PostgreSQL is not installed: `make programs` does that")
    return found


def _account() -> dict[str, Any]:
    """Say as whom a program runs: as this user, or as PostgreSQL's own where this one is root."""
    return {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if os.getuid() == 0 else {}
