"""A trained model is read back from wherever it is, and nothing else is."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rules.errors import ConfigurationError
from tests.training.made_runs import built, checkpoint, finished, made, tiny
from training import recipe
from training.fitting import checkpoints
from training.runs.pretrained import _with_weights, load
from training.runs.run import Run


@pytest.fixture(autouse=True)
def _no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.runs.energy._started", lambda _: None)


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.runs.energy._started", lambda _: None)
        run = finished(tmp_path_factory.mktemp("pretrained") / "r", epochs=1)
        model = built(run)
        for parameter in model.trainable().values():  # another model than the one that is drawn
            torch.nn.init.constant_(parameter, 0.25)
        with run.recording() as record:
            record.begin(
                step=4,
                epoch=2,
                metrics_bytes=(run.folder / "metrics.jsonl").stat().st_size,
                base_sha256=model.base_sha256,
                parameters=1,
                trained_parameters=1,
            )
            checkpoint(run, record, model, 2)
        return run


@pytest.fixture
def run(_finished: Run, tmp_path: Path) -> Run:
    """Give a run with a trained model, all of whose trained numbers are 0.25; a copy of its own."""
    shutil.copytree(_finished.folder, tmp_path / "r")
    return Run.open(tmp_path / "r")


def best(run: Run) -> Path:
    pointer = checkpoints.best(run.folder)
    assert pointer is not None
    return checkpoints.path(run.folder, pointer)


def test_the_best_checkpoint_of_a_run_is_read(run: Run) -> None:
    model = load(run.folder)
    assert not model.training
    assert model.recipe.digest == run.recipe.digest
    assert {value for tensor in model.trained_state().values() for value in tensor.unique().tolist()} == {0.25}
    again = load(str(best(run)))
    wave = torch.sin(torch.arange(16_000) / 20)
    assert torch.equal(model.embed([wave]), again.embed([wave]))


def test_where_nothing_was_validated_the_last_is_read(run: Run) -> None:
    expected = load(run.folder).trained_state()
    (run.folder / "best.json").unlink()
    found = load(run.folder).trained_state()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_run_without_a_checkpoint_says_how_to_get_one(tmp_path: Path) -> None:
    made(tmp_path / "r")
    with pytest.raises(ConfigurationError, match=r"no checkpoint yet: expected one; `artune train --resume .*/r`"):
        load(tmp_path / "r")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no model in it: expected the folder of a run"):
        load(tmp_path)


@pytest.mark.parametrize("where", ["nowhere", "./no/where", "/no/where", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_name_on_the_hub_is_refused(where: str) -> None:
    with pytest.raises(ConfigurationError, match="no such folder: expected the folder of a run"):
        load(where)


def test_a_folder_has_no_revision(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="is a folder, which has no revision v1"):
        load(run.folder, "v1")


def test_a_checkpoint_of_another_recipe_is_refused(run: Run, tmp_path: Path) -> None:
    other = finished(tmp_path / "other", tiny("train.unet=lora"), epochs=1)
    (run.folder / "checkpoints" / "step-00000009").mkdir()
    moved = run.folder / "checkpoints" / "step-00000009"
    for path in best(other).iterdir():
        shutil.copy(path, moved)
    with pytest.raises(ConfigurationError, match="a checkpoint of the run .*, it was trained by another recipe"):
        load(moved)
    shutil.copy(best(run) / "state.json", moved)  # it says that it is of this run, and is not
    with pytest.raises(ConfigurationError, match="the trained weights are of another recipe"):
        load(moved)


def test_an_edited_recipe_is_refused(run: Run) -> None:
    path = run.folder / "recipe.yaml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(ConfigurationError, match=r"expected it as run.json beside it tells, it was edited"):
        load(run.folder)


def test_a_file_that_is_cut_is_refused(run: Run) -> None:
    path = best(run) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ConfigurationError, match="model.safetensors: cannot be read"):
        load(run.folder)


def test_a_pickle_is_never_read(run: Run) -> None:
    path = best(run) / "model.safetensors"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigurationError, match="model.safetensors: cannot be read"):
        load(run.folder)
    path.rename(path.with_name("model.bin"))
    with pytest.raises(ConfigurationError, match="there is no model.safetensors"):
        load(run.folder)


def test_weights_of_another_shape_are_refused(run: Run) -> None:
    path = best(run) / "model.safetensors"
    state = {name: value.clone() for name, value in load_file(path).items()}  # or they would be the file itself
    name = next(iter(state))
    save_file({**state, name: torch.zeros(1)}, path)
    with pytest.raises(ConfigurationError, match=f"{name} has shape"):
        load(run.folder)


def test_other_base_weights_than_those_of_the_training_are_refused(run: Run) -> None:
    path = run.folder / "run.json"
    told = json.loads(path.read_text())
    told["model"]["base_sha256"]["vae"] = "f" * 64
    path.write_text(json.dumps(told))
    with pytest.raises(ConfigurationError, match='the weights of vae are not those .*"vae": "ffffffffffff"'):
        load(run.folder)


def test_weights_may_lie_elsewhere(run: Run) -> None:
    chosen = recipe.load("model-1", ["base.revision=main"])
    moved = _with_weights(chosen, "/data/sd", "/data/beats.pt")
    assert (moved.base.weights, moved.base.revision, moved.encoder.weights) == ("/data/sd", None, "/data/beats.pt")
    assert _with_weights(chosen, None, None) == chosen
    with pytest.raises(ConfigurationError, match="base: /data/sd: the recipe draws this part at random"):
        load(run.folder, base="/data/sd")
