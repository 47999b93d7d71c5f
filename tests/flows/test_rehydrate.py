"""The flow `rehydrate` on a real Prefect server: what a publication refers to is had again, and told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from curation import releases
from curation.batches import in_threads
from curation.publishing import folders
from flows.cli import app
from rules.errors import ConfigurationError
from tests.flows import releases as made
from tests.flows.conftest import last_run

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a publication, beside the media that it was made of."""
    root = tmp_path_factory.mktemp("rehydrate")
    home = made.build(root)
    folders.publish(home, releases.get(home, 1), str(root / "shelf"), in_threads(1))
    return root / "shelf"


def rehydrated(shelf: Path, root: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["rehydrate", str(shelf), "--home", str(root), *options])


def test_what_is_only_referenced_is_had_again_and_told(shelf, tmp_path):
    result = rehydrated(shelf, tmp_path / "home", "--source", f"folder:{shelf.parent / 'media'}")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "Release 1 holds 6 of 6 pairs; the media of 5 came with the publication." in result.output
    assert f'datasets.load_dataset("{tmp_path / "home" / "releases" / "1"}")' in result.output
    seen = last_run()
    assert seen.name == f"rehydrate {shelf}"
    assert set(seen.tasks.values()) == {"COMPLETED"}
    assert "| folder | 10 | 2 | 0 | 0 | 0 | 0 |  |" in str(seen.artifacts["yield"])
    again = rehydrated(shelf, tmp_path / "home")
    assert (again.exit_code, "Nothing to do: release 1 was made of" in again.output) == (0, True)
    assert last_run().tasks == seen.tasks


def test_what_cannot_be_had_is_told_with_its_reason(shelf, tmp_path):
    result = rehydrated(shelf, tmp_path / "home")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "Release 1 holds 5 of 6 pairs" in result.output
    assert "yield.parquet" in result.output


def test_a_publication_that_is_not_there_is_told_before_any_flow_runs(shelf, tmp_path):
    result = rehydrated(shelf, tmp_path / "home", "--revision", "v7")
    assert isinstance(result.exception, ConfigurationError), result.output
    assert "v7" in str(result.exception)
