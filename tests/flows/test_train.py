"""The flow `train` on a real Prefect server: what it shows and tells, and that a stopped training goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from curation.errors import TransientError
from flows import tasks
from flows.cli import app
from rules.errors import ConfigurationError
from tests.flows.conftest import Seen, last_run, payloads
from tests.flows.stopping import stopped
from tests.media import encode, tune
from tests.training import releases
from training.data import open_revision
from training.fitting import loop
from training.runs.run import Run

MATERIALIZED = "prefect.asset.materialization.succeeded"
SMALL = (
    "duration_s=1",
    "image_size_px=16",
    "batch_size=9",
    "epochs=2",
    "checkpoint_every_steps=1",
    "validation.timesteps_per_item=1",
    "validation.max_items=3",
    "samples.clips=1",
    "samples.steps=1",
)  # two steps in an epoch


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(releases.build(tmp_path_factory.mktemp("data"))[1].folder)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def arguments(data: str, out: Path) -> list[str]:
    changes = [word for change in SMALL for word in ("--set", change)]
    return ["train", "tiny", "--data", data, "--out", str(out), "--processes", "1", *changes]


def artune(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def training(data: str, tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> tuple[Path, str, Seen]:
    """Train a small run and return its folder, what was printed and what an operator saw: later runs have its name."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ARTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        result = artune(*arguments(data, out))
    assert result.exit_code == 0, result.output + repr(result.exception)
    return out, result.output, last_run("train", "record training")


@pytest.fixture(scope="module")
def trained(training: tuple[Path, str, Seen]) -> tuple[Path, str]:
    return training[:2]


def events(run: Path) -> list[dict[str, Any]]:
    return payloads("artune.training.finished", f"artune.run.{run}")


def test_a_training_is_shown_and_told(trained, data):
    out, output = trained
    summary = Run.open(out).summary()
    assert f"Training tiny on {data} in {out}." in output
    assert f"Trained 2 of 2 epochs: {out}" in output
    assert f"Best: epoch {summary['best']['epoch']}, validation loss" in output
    assert f"{out}/losses.png" in output
    assert f"Samples: {out}/samples/epoch-002.png" in output
    assert f"artune generate {out} song.mp3" in output
    (payload,) = events(out)
    assert payload == {
        "run": str(out),
        "recipe": "tiny",
        "recipe_digest": Run.open(out).recipe.digest,
        "where": data,
        "data": open_revision(data).described(),
        "best": summary["best"],
        "model_sha256": summary["model_sha256"],
        "trained_parameters": summary["trained_parameters"],
    }
    assert payload["trained_parameters"] > 0
    assert len(payload["model_sha256"]) == 64


def test_losses_and_progress_are_artifacts_of_the_flow(training):
    _, _, seen = training
    assert (seen.name, set(seen.tasks.values())) == ("train run", {"COMPLETED"})
    assert {name.partition("-")[0] for name in seen.tasks} == {"train", "record training"}
    assert seen.artifacts["train"] == 100
    assert "| Epoch | Loss | Validation |" in str(seen.artifacts["training"])
    assert "samples/epoch-002.png" in str(seen.artifacts["training"])


def test_a_trained_model_is_an_asset_made_of_its_data(trained, data):
    summary = Run.open(trained[0]).summary()
    home = Path(data).parents[1]
    key = f"artune://trainings/tiny/{str(home).strip('/')}/releases/tiny-training"
    (found,) = (one for one in payloads(MATERIALIZED, key) if one["run"] == str(trained[0]))
    assert (found["digest"], found["data"]) == (summary["model_sha256"], summary["data"])
    assert payloads("prefect.asset.referenced", f"file://{home}/releases/tiny-training")


def test_what_is_finished_is_told_so_and_no_flow_runs(trained, data):
    out, _ = trained
    before = (out / "run.json").read_bytes()
    for again in (artune(*arguments(data, out)), artune("train", "--resume", out)):
        assert again.exit_code == 0, again.output
        assert f"Nothing to do: {out} is finished." in again.output
    assert (out / "run.json").read_bytes() == before


def test_another_recipe_does_not_go_on_with_a_run(trained, data):
    result = artune(*arguments(data, trained[0]), "--set", "epochs=3")
    assert isinstance(result.exception, ConfigurationError), result.output
    assert "epochs is 2 there, 3 now" in str(result.exception)


def test_a_folder_with_anything_else_in_it_is_left_alone(data, tmp_path):
    (tmp_path / "mine.txt").touch()
    result = artune(*arguments(data, tmp_path))
    assert isinstance(result.exception, ConfigurationError), result.output
    assert "mine.txt" in str(result.exception)


def test_pictures_are_drawn_to_a_song_the_same_ones_each_time(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    song = encode(tmp_path / "a song; rm.mp3", tune(2.0, 1))
    one = ["generate", trained[0], song, "--steps", "2"]
    assert artune(*one, "--n", "2").output.split() == ["a-song-rm-seed1-1.png", "a-song-rm-seed1-2.png"]
    drawn = [Path(f"a-song-rm-seed1-{k}.png").read_bytes() for k in (1, 2)]
    assert artune(*one, "--n", "1", "--out", "again").output.split() == ["again/a-song-rm-seed1-1.png"]
    assert Path("again/a-song-rm-seed1-1.png").read_bytes() == drawn[0] != drawn[1]
    assert Image.open("again/a-song-rm-seed1-1.png").size == (16, 16)
    later = artune(*one, "--n", "1", "--seed", "2", "--start", "0.5", "--guidance", "1")
    assert later.output.split() == ["a-song-rm-from0.5s-seed2-1.png"]


def test_the_token_of_a_song_is_a_file_of_numpy(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    assert artune("embed", trained[0], song).output == "song.npy: 32 numbers\n"
    token = np.load("song.npy")
    assert (token.dtype, token.shape) == (np.float32, (32,))
    checkpoint = next((trained[0] / "checkpoints").iterdir())
    assert artune("embed", checkpoint, song, "--out", "there/token").exit_code == 0
    assert np.load("there/token").shape == (32,)


@pytest.mark.parametrize(("name", "content"), [("words.mp3", b"no music at all"), ("nothing.wav", b"")])
def test_a_song_that_is_no_music_is_told(trained, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    result = artune("generate", trained[0], tmp_path / name)
    assert isinstance(result.exception, ConfigurationError), result.output
    assert f"{name}: expected a recording" in str(result.exception)


def test_a_song_that_ends_before_it_begins_is_told(trained, tmp_path):
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    result = artune("generate", trained[0], song, "--start", "9")
    assert "it ends before 9 s" in str(result.exception)


def test_a_model_is_published_once_and_drawn_with_from_there(trained, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.user("ida").token)
    where = hub.new_id()
    first, again = (artune("publish-model", trained[0], where) for _ in range(2))
    assert first.exit_code == 0, first.output + repr(first.exception)
    commit = hub.repo(where, "model").head[:12]
    assert f"Published {trained[0]} as {where} (commit {commit}): 7 files with" in first.output
    assert f"Nothing to do: {where} (commit {commit}) holds it already." in again.output
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    for place in (where, str(trained[0])):
        assert artune("embed", place, song, "--out", tmp_path / f"{len(place)}.npy").exit_code == 0
    tokens = [np.load(tmp_path / f"{len(place)}.npy") for place in (where, str(trained[0]))]
    np.testing.assert_array_equal(*tokens)


def test_a_stopped_training_says_how_it_goes_on_and_ends_with_the_same_weights(trained, data, tmp_path):
    from prefect.settings import get_current_settings

    out = tmp_path / "run"
    code = "import sys, torch; torch.set_num_threads(1); from flows.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments(data, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PREFECT_API_URL": str(get_current_settings().api.url), "COLUMNS": "200"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Epoch 1 of 2" in line:
            break
    shown = "".join(stopped(process))
    assert process.returncode == 130, shown
    assert "Stopped. What was learned up to the last checkpoint stays" in shown
    assert "artune train --resume" in shown
    assert "Traceback" not in shown
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    early = artune("embed", out, song, "--out", tmp_path / "token.npy")
    assert "Unfinished: 1 of 2 epochs are done" in early.output
    result = artune("train", "--resume", out)
    assert result.exit_code == 0, result.output
    assert f"Going on with tiny on {data} in {out}." in result.output
    assert Run.open(out).summary()["model_sha256"] == Run.open(trained[0]).summary()["model_sha256"]
    assert (out / "metrics.jsonl").read_bytes() == (trained[0] / "metrics.jsonl").read_bytes()


def test_a_busy_world_is_asked_again_and_then_left_alone(data, tmp_path, monkeypatch, prefect_server):
    tries = []

    def busy(run: Run, heard: object) -> None:
        tries.append(run.folder)
        raise TransientError("the Hub is busy")

    monkeypatch.setattr(tasks, "RETRY_DELAYS_S", [0, 0, 0])
    monkeypatch.setattr(loop, "train", busy)
    result = artune(*arguments(data, tmp_path / "run"))
    assert (result.exit_code, len(tries)) == (3, 4)
    assert "the Hub is busy" in result.output


def test_what_a_person_has_to_mend_is_told_in_a_sentence(data, tmp_path, monkeypatch, capfd, prefect_server):
    def refused(run: Run, heard: object) -> None:
        raise ConfigurationError("step 3: the loss is nan")

    monkeypatch.setattr(loop, "train", refused)
    result = artune(*arguments(data, tmp_path / "run"))
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception) == "step 3: the loss is nan"
    assert "Traceback" not in result.output + "".join(capfd.readouterr())


def test_an_event_of_a_publication_starts_a_training(data, tmp_path, monkeypatch, prefect_server):
    from flows.train import train_model

    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "v1").symlink_to(data)
    monkeypatch.setattr(loop, "train", lambda run, heard: None)
    monkeypatch.chdir(tmp_path)
    done = train_model("tiny", str(shelf), "v1", changes=SMALL)
    assert Path(done["folder"]).parent == tmp_path / "runs"
    assert done["folder"] == train_model("tiny", str(shelf / "v1"), changes=SMALL)["folder"]


@pytest.mark.parametrize("name", ["a" * 250, "\u97f3" * 82], ids=["long", "of three bytes each"])
def test_a_song_may_have_the_longest_name(trained, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    song = encode(tmp_path / f"{name}.mp3", tune(2.0, 1))
    drawn = artune("generate", trained[0], song, "--n", "1", "--steps", "1", "--start", "0.25")
    assert drawn.exit_code == 0, drawn.output + repr(drawn.exception)
    assert Path(drawn.output.strip()).exists()


@pytest.mark.parametrize("command", ["generate", "embed"])
def test_a_place_where_nothing_can_be_written_is_told(trained, tmp_path, command):
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    (tmp_path / "file").touch()
    result = artune(command, trained[0], song, "--out", tmp_path / "file" / "below")
    assert isinstance(result.exception, ConfigurationError), repr(result.exception)
    assert "expected a place that may be written" in str(result.exception)


def test_a_beginning_that_never_comes_is_told(trained, tmp_path):
    song = encode(tmp_path / "song.wav", tune(2.0, 1))
    result = artune("generate", trained[0], song, "--start", "inf")
    assert "--start inf: expected a number of seconds" in str(result.exception)
