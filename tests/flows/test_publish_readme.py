"""The README's page "Publish", typed as it stands there, against a Hub on loopback."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from curation.store import Home
from tests.hub_site import Hub
from tests.test_readme import block, section

PAGE = section("Publish")
COUNTS = """
print(pairs.num_rows, rows.num_rows, sides.num_rows, len(list(stream.take(2))), sorted(some.column_names), flush=True)
os._exit(0)  # Arrow's threads may abort an interpreter that ends while they read: github.com/apache/arrow/issues/45214
"""


def commands() -> list[str]:
    shown = re.findall(r"```\n(artune .*?)```", PAGE, re.DOTALL)
    return [line.partition("  #")[0].strip() for part in shown for line in part.splitlines()]


def plain(text: str) -> str:
    return re.sub(r"\(commit \w{12}\)", "(commit)", text)


@pytest.fixture(scope="module")
def root(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publishing")
    shutil.copytree(sample_home.root, folder / "demo")
    return folder


@pytest.fixture(scope="module")
def environment(hub: Hub, prefect_server: None) -> dict[str, str]:
    from prefect.settings import get_current_settings

    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = str(get_current_settings().api.url)
    return os.environ | {"PATH": path, "COLUMNS": "200", "PREFECT_API_URL": server, "HF_TOKEN": hub.user("owner").token}


@pytest.fixture(scope="module")
def printed(root: Path, environment: dict[str, str]) -> list[str]:
    """Type every command but the one for a bucket, and return what each printed."""
    texts = []
    for command in commands():
        if "s3://" in command:
            continue
        done = subprocess.run(command.split(), cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        texts.append(done.stdout)
    return texts


def test_a_curator_looks_publishes_and_publishes_again(printed: list[str]) -> None:
    would, did, again, *_ = printed
    assert "Would publish release 1 of museart18 as v1 of owner/name" in would
    (shown,) = re.findall(r"```\n(Published .*?)```", PAGE, re.DOTALL)
    assert plain(shown) in plain(did)
    assert again.startswith("Nothing to do: release 1 of museart18 as v1 of owner/name")


def test_a_folder_holds_it_too_and_what_is_only_referenced_is_had_again(printed: list[str], root: Path) -> None:
    *_, shelf, again = printed
    assert f'load_dataset("{root / "shelf" / "v1"}")' in shelf
    assert "Release 1 holds 30 of 30 pairs; the media of 29 came with the publication." in again


def test_anybody_loads_it_as_it_is_shown(printed: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    reader = {name: text for name, text in environment.items() if name != "HF_TOKEN"}
    code = "import os\n" + block("Publish", "python") + COUNTS
    done = subprocess.run(
        [sys.executable, "-c", code], env=reader | {"HF_HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "{'train': 22, 'validation': 4, 'test': 3} {'train': 23, 'validation': 4, 'test': 3} "
        "{'train': 46, 'validation': 8, 'test': 6} 2 ['image', 'label']"
    )
