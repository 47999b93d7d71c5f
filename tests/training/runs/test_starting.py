"""From what a person or an event asks for to a run."""

import pytest

from rules.errors import ConfigurationError
from training.runs import starting
from training.runs.run import Settings

DIGITS = 8


@pytest.fixture
def data(tiny_release):
    return str(tiny_release.folder)


@pytest.mark.parametrize(
    ("where", "version", "data"),
    [
        ("owner/name", "v3", "owner/name@v3"),
        ("/data/shelf", "v3", "/data/shelf/v3"),
        ("s3://bucket/shelf/", "v3", "s3://bucket/shelf/v3"),
        ("owner/name@v2", None, "owner/name@v2"),
    ],
)
def test_the_data_of_an_event_are_found(where, version, data):
    assert starting.data_of(where, version) == data


def test_a_run_without_a_name_has_a_folder_of_its_own_recipe_and_data(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [starting.begin("tiny", data, [change], None, Settings()).folder for change in ("seed=0", "seed=1")]
    again = starting.begin("tiny", data, (), None, Settings()).folder
    assert again == names[0] != names[1]
    assert again.parent == tmp_path / "runs"
    assert again.name.startswith("tiny-")
    assert len(again.name) == len("tiny-") + DIGITS


def test_the_same_run_is_had_again_and_another_is_refused(data, tmp_path):
    first = starting.begin("tiny", data, ["epochs=2"], tmp_path / "run", Settings())
    how = Settings(threads=3)
    again = starting.begin("tiny", data, ["epochs=2"], tmp_path / "run", how)
    assert (again.folder, again.recipe, again.settings) == (first.folder, first.recipe, how)
    with pytest.raises(ConfigurationError, match="epochs is 2 there, 3 now"):
        starting.begin("tiny", data, ["epochs=3"], tmp_path / "run", Settings())


def test_data_of_the_hub_are_named_by_their_commit():
    assert starting.pinned("ida/times@v3", "0" * 40) == f"ida/times@{'0' * 40}"
    assert starting.pinned("s3://bucket/times/v3", None) == "s3://bucket/times/v3"
