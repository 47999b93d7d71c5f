"""The commands of training as a user types them: what they refuse before any work, and what they never load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows import doctor, settings
from flows.cli import app
from rules.errors import ConfigurationError
from tests.media import encode, tune
from training import recipe

LOADED = """
import sys
from flows.cli import app
app(standalone_mode=False)
print("loaded:", *(name for name in ("torch", "prefect", "diffusers") if name in sys.modules))
"""


def artune(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def refusal(*arguments: str | Path) -> str:
    result = artune(*arguments)
    assert isinstance(result.exception, ConfigurationError), result.output + repr(result.exception)
    return str(result.exception)


def test_all_recipes_are_listed_and_nothing_slow_is_loaded():
    wide = os.environ | {"COLUMNS": "200"}
    command = [sys.executable, "-c", LOADED, "train", "--list"]
    done = subprocess.run(command, env=wide, capture_output=True, text=True, check=True)
    assert [name for name in recipe.names() if name not in done.stdout] == []
    assert "embedder, encoder, U-Net" in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "loaded:"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected a recipe and --data, or --resume DIR"),
        (["tinny", "--data", "x"], "did you mean tiny?"),
        (["tiny"], "train tiny: expected --data: owner/name@v3"),
        (["tiny", "--data", "x", "--set", "epochz=3"], "--set epochz=3: epochz: expected one of the keys"),
        (["tiny", "--data", "x", "--set", "epochs=0"], "--set epochs=0: epochs: 0: expected a number"),
        (["tiny", "--data", "x", "--cache-limit", "much"], "--cache-limit 'much': expected a size such as 500MB"),
        (["tiny", "--resume", "x"], "--resume: expected nothing beside it"),
        (["--resume", "x", "--set", "epochs=3"], "--resume: expected nothing beside it"),
        (["tiny", "--data", "/no/such/place"], "/no/such/place"),
        (["--resume", "nowhere"], "expected the folder of a run"),
    ],
)
def test_what_cannot_be_trained_is_told_and_nothing_is_written(arguments, told, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert told in refusal("train", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["train", "tiny", "--data", "x"], ["generate", "run", "song.wav"]])
def test_what_is_not_installed_is_told_with_its_cure(command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.wav").touch()
    real = doctor.version

    def without_diffusers(name: str) -> str:
        if name == "diffusers":
            raise doctor.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "version", without_diffusers)
    assert refusal(*command) == (
        "training needs diffusers: pip install --constraint constraints.txt --editable '.[train]'"
    )


@pytest.mark.parametrize("command", ["generate", "embed"])
def test_a_run_or_a_song_that_is_not_there_is_told(command, tmp_path):
    song = encode(tmp_path / "song.wav", tune(1.0, 1))
    assert "none.mp3: no such file; expected a recording" in refusal(command, tmp_path, tmp_path / "none.mp3")
    assert str(tmp_path / "none") in refusal(command, tmp_path / "none", song)


def test_a_run_that_is_not_there_is_not_published(tmp_path):
    assert "expected the folder of a run" in refusal("publish-model", tmp_path, "owner/name")


@pytest.mark.parametrize("command", [["train"], ["generate"], ["embed"], ["publish-model"]])
def test_help_tells_what_each_command_does(command):
    assert "--help" in artune(*command, "--help").output


def test_the_cache_is_where_the_operator_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTUNE_CACHE", str(tmp_path / "there"))
    assert settings.training_cache() == tmp_path / "there"
    monkeypatch.delenv("ARTUNE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.training_cache() == tmp_path / ".cache" / "artune"


def test_diffusers_is_not_kept_from_torch_by_what_publishing_says_to_datasets(monkeypatch):
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    settings.prepare_hub()
    assert environment["USE_TORCH"] == "0"
    settings.prepare_training()
    assert "USE_TORCH" not in environment


@pytest.mark.parametrize("command", ["generate", "embed"])
def test_weights_that_lie_elsewhere_are_named_to_who_reads_a_model(command, tmp_path, monkeypatch):
    from training.runs import pretrained

    asked = {}

    def load(where: str, **places: str) -> None:
        asked.update(places, where=where)
        raise ConfigurationError("that is all")

    monkeypatch.setattr(pretrained, "load", load)
    song = encode(tmp_path / "song.wav", tune(1.0, 1))
    told = refusal(command, "ida/model", song, "--base", "/data/sd", "--encoder", "/data/beats.pt")
    assert told == "that is all"
    assert asked == {"where": "ida/model", "base": "/data/sd", "encoder": "/data/beats.pt"}
