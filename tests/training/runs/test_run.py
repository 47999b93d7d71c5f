"""The folder of a run: who may have it, what is in it, and how it goes on."""

import contextlib
import errno
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from curation.releases import Release
from rules.errors import ConfigurationError
from tests.training.made_runs import (
    BASE,
    CHANGES,
    LABELS,
    begun,
    epoch_row,
    finished,
    made,
    picture,
    revision,
    step_row,
    tiny,
)
from training import recipe
from training.data import open_revision
from training.runs import provenance, record, run_folder
from training.runs.drawing import Sample
from training.runs.energy import Meter
from training.runs.run import Run, Settings


@pytest.fixture(autouse=True)
def _no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave energy alone: it takes seconds to look at the machine, and test_energy.py does."""
    monkeypatch.setattr("training.runs.energy._started", lambda _: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Give a run that is finished: read it, never write to it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.runs.energy._started", lambda _: None)
        return finished(tmp_path_factory.mktemp("run") / "r")


def told(run: Run) -> dict:
    return json.loads((run.folder / "run.json").read_text())


def test_what_was_asked_for_is_read_back(tmp_path: Path) -> None:
    settings = Settings(cache=tmp_path / "cache", cache_limit_bytes=5, processes=2, threads=3)
    run = made(tmp_path / "deep" / "r", settings=settings)
    again = Run.open(tmp_path / "deep" / "r")
    assert again.recipe == run.recipe == tiny()
    assert (again.recipe_name, again.data, again.label_names) == ("tiny", "ida/times@v3", LABELS)
    assert again.settings == settings
    assert not again.is_finished
    assert told(run)["changes"] == list(CHANGES)
    assert again.rows() == []


@pytest.mark.parametrize("name", ["model-1", "model-2", "lora", "recommended", "preliminary-2", "tiny"])
def test_every_recipe_comes_back_from_the_folder_as_it_was(tmp_path: Path, name: str) -> None:
    chosen = recipe.load(name)
    made(tmp_path / "r", chosen)
    assert Run.open(tmp_path / "r", recipe=chosen).recipe.digest == chosen.digest


def test_a_folder_with_a_run_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "r")
    with pytest.raises(ConfigurationError, match=r"holds a run already: `artune train --resume .*/r` goes on with it"):
        made(tmp_path / "r")


def test_a_folder_with_files_of_somebody_is_refused_and_they_stay(tmp_path: Path) -> None:
    mine = tmp_path / "recipe.yaml"
    mine.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"holds recipe.yaml: expected a folder that is empty or not there"):
        made(tmp_path)
    assert mine.read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    with pytest.raises(ConfigurationError, match="is a file: expected a folder"):
        made(tmp_path / "r")


def test_a_run_whose_making_was_killed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.runs.run.store", killed)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="expected the folder of a run: there is no run.json"):
        Run.open(tmp_path / "r")
    assert made(tmp_path / "r").recipe == tiny()


def test_an_edited_recipe_is_refused_with_the_value(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    path = run.folder / "recipe.yaml"
    path.write_text(path.read_text().replace("epochs: 2\n", "epochs: 9\n", 1))
    with pytest.raises(ConfigurationError, match=r"not what the run began with: epochs is 2 there, 9 now"):
        Run.open(tmp_path / "r")


def test_another_recipe_is_refused_with_the_values_that_differ(tmp_path: Path) -> None:
    made(tmp_path / "r")
    wanted = tiny("optimizer.learning_rate=0.5", "train.unet=lora")
    expected = r"another recipe: train.unet is frozen there, lora now; optimizer.learning_rate is 0.002 there, 0.5 now"
    with pytest.raises(ConfigurationError, match=expected):
        Run.open(tmp_path / "r", recipe=wanted)


def test_other_data_are_refused_and_the_same_at_another_place_are_not(tmp_path: Path) -> None:
    made(tmp_path / "r")
    moved = revision(where="/mnt/times/v3", location="/mnt/times/v3", commit=None)
    assert Run.open(tmp_path / "r", revision=moved).revision is moved
    with pytest.raises(ConfigurationError, match=r"other data than this run was made with: digest is e+ there, f+ now"):
        Run.open(tmp_path / "r", revision=revision(digest="f" * 64))
    with pytest.raises(ConfigurationError, match="label_names is"):
        Run.open(tmp_path / "r", revision=revision(label_names=("Dawn",)))


def test_the_data_are_opened_again_when_they_are_asked_for(tmp_path: Path, tiny_release: Release) -> None:
    made(tmp_path / "r", data=open_revision(str(tiny_release.folder)))
    run = Run.open(tmp_path / "r")
    assert run.revision.label_names == run.label_names
    assert run.revision is run.revision


def test_a_run_json_that_is_none_is_told(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    (run.folder / "run.json").write_text("{")
    with pytest.raises(ConfigurationError, match="run.json: expected JSON as artune wrote it"):
        Run.open(run.folder)
    (run.folder / "run.json").write_text('{"layout": 7}')
    with pytest.raises(ConfigurationError, match='expected "layout": 1'):
        Run.open(run.folder)


def test_two_trainings_never_share_a_folder(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with run.recording(), pytest.raises(ConfigurationError, match="trains or evaluates there now"), run.recording():
        pass
    with run.recording():
        pass


def test_the_lock_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    code = """
        import sys
        from pathlib import Path
        from training.runs.run_folder import locked
        with locked(Path(sys.argv[1])):
            print("held", flush=True)
            sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(run.folder)],
        cwd=Path(run_folder.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(ConfigurationError, match="another process"), run_folder.locked(run.folder):
        pass
    child.kill()
    child.communicate()
    with run_folder.locked(run.folder):
        pass


def test_metrics_hold_no_clock_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        run = made(tmp_path / name)
        with run.recording() as here:
            begun(here)
            for step in range(1, 5):
                here.metric(step_row(step))
            here.metric(epoch_row(1))
        contents.append((run.folder / "metrics.jsonl").read_bytes())
    assert contents[0] == contents[1]
    assert Run.open(tmp_path / "a").rows() == [*map(step_row, range(1, 5)), epoch_row(1)]


def test_a_resumed_run_writes_what_one_without_a_break_does(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with contextlib.suppress(KeyboardInterrupt), run.recording() as here:
        begun(here)
        here.metric(step_row(1))
        length = here.metrics_bytes()
        for step in (2, 3):
            here.metric(step_row(step))
        raise KeyboardInterrupt
    with run.recording() as here:
        begun(here, step=1, metrics_bytes=length)
        for step in (2, 3, 4):
            here.metric(step_row(step))
    assert run.rows() == [*map(step_row, range(1, 5))]
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload().Scalars("step/loss")
    assert [event.step for event in events] == [1, 2, 3, 4]
    sessions = told(run)["sessions"]
    assert [(one["from_step"], one["to_step"]) for one in sessions] == [(0, 3), (1, 4)]
    assert told(run)["wall_s"] == pytest.approx(sum(one["wall_s"] for one in sessions))


def test_a_torn_line_is_left_out_and_a_broken_one_is_told(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    path = run.folder / "metrics.jsonl"
    path.write_text('{"kind": "step"}\n{"kind": "st')
    assert run.rows() == [{"kind": "step"}]
    path.write_text('{"kind": "step"}\n{"kind": "st\n')
    with pytest.raises(ConfigurationError, match="metrics.jsonl, line 2: expected JSON"):
        run.rows()


def test_metrics_that_somebody_cut_are_not_gone_on_with(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with run.recording() as here, pytest.raises(ConfigurationError, match="expected at least the 7 bytes"):
        begun(here, metrics_bytes=7)


def test_a_number_that_is_not_finite_is_a_bug(tmp_path: Path) -> None:
    with made(tmp_path / "r").recording() as here:
        begun(here)
        with pytest.raises(ValueError, match="JSON compliant"):
            here.metric(step_row(1) | {"loss": float("nan")})


def test_other_base_weights_are_refused(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with run.recording() as here:
        begun(here)
    with run.recording() as here, pytest.raises(ConfigurationError, match="the weights of unet are not those"):
        begun(here, base_sha256={**BASE, "unet": "f" * 64})


def test_a_skipped_pair_is_told_once_over_all_sessions(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with run.recording() as here:
        begun(here)
        assert here.skipped("p1", "undecodable_image", "it ends early")
        assert not here.skipped("p1", "undecodable_image", "it ends early")
    with (run.folder / "skipped.jsonl").open("ab") as file:
        file.write(b'{"pair_id": "p2", "rea')
    with run.recording() as here:
        begun(here)
        assert not here.skipped("p1", "undecodable_image", "it ends early")
        assert here.skipped("p2", "undecodable_audio", "")
    assert [row["pair_id"] for row in run_folder.lines(run.folder / "skipped.jsonl")] == ["p1", "p2"]
    assert told(run)["skipped"] == 2


def test_times_of_epochs_that_are_done_anew_are_forgotten(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    with run.recording() as here:
        begun(here)
        for epoch in (1, 2):
            here.epoch(epoch, items=10, wall_s=4.0)
    assert [one["items_per_s"] for one in told(run)["epochs"]] == [2.5, 2.5]
    with run.recording() as here:
        begun(here, step=4, epoch=2)
        assert [one["epoch"] for one in told(run)["epochs"]] == [1]
        here.epoch(2, items=3, wall_s=0.0)
    assert told(run)["epochs"][1] == {"epoch": 2, "wall_s": 0.0, "items": 3, "items_per_s": None}


def test_settings_of_a_resumption_replace_the_stored_ones(tmp_path: Path) -> None:
    made(tmp_path / "r")
    run = Run.open(tmp_path / "r", settings=Settings(processes=2))
    with run.recording() as here:
        begun(here)
    assert Run.open(tmp_path / "r").settings == Settings(processes=2)
    assert told(run)["sessions"][0]["processes"] == 2


def test_a_full_disk_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "r")
    with run.recording() as here:
        begun(here)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(here._board, "add_scalar", full)
            with pytest.raises(ConfigurationError, match=r"no room is left on its disk: free some, then `artune train"):
                here.metric(step_row(1))


def test_an_error_is_not_hidden_by_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def work() -> None:
        with made(tmp_path / "r").recording() as here:
            begun(here)
            monkeypatch.setattr(record, "store", full)
            raise RuntimeError("the first")

    with pytest.raises(RuntimeError, match="the first"):
        work()


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(ConfigurationError, match="expected a folder that may be written: Permission denied"):
        made(tmp_path / "r")


def test_a_finished_run_says_all_that_it_was_made_of(done: Run) -> None:
    said = told(done)
    assert said["recipe"] == done.recipe.model_dump(mode="json")
    assert said["recipe_digest"] == done.recipe.digest
    assert said["seed"] == done.recipe.seed
    assert said["data"]["where"] == "ida/times@v3"
    assert said["data"]["digest"] == "e" * 64
    assert said["finished_at"] >= said["started_at"]
    assert said["energy_kwh"] is None
    session = said["sessions"][0]
    assert session["versions"]["torch"]
    assert session["hardware"]["cpu_cores"] >= 1
    assert session["hardware"]["memory_bytes"] > 1 << 28
    assert said["best"]["checkpoint"] == said["last"]["checkpoint"] == "step-00000008"
    assert sorted(path.name for path in done.folder.iterdir()) == [
        *[".lock", "README.md", "best.json", "checkpoints", "last.json", "losses.png", "metrics.jsonl"],
        *["recipe.yaml", "run.json", "samples", "skipped.jsonl", "tensorboard"],
    ]


def test_the_summary_says_what_came_of_a_run(done: Run) -> None:
    said = done.summary()
    assert json.loads(json.dumps(said)) == said
    assert said["is_finished"]
    assert (said["epochs_done"], said["epochs"], said["skipped"]) == (2, 2, 0)
    assert said["losses"] == [
        {"epoch": 1, "train": 0.5, "validation": 1.0},
        {"epoch": 2, "train": 0.25, "validation": 0.5},
    ]
    assert [Path(path).name for path in said["samples"]] == ["epoch-001.png", "epoch-002.png"]
    assert said["best"]["step"] == 8
    assert len(said["model_sha256"]) == 64


def test_the_summary_of_a_run_of_which_nothing_is_done_has_no_best(tmp_path: Path) -> None:
    said = made(tmp_path / "r").summary()
    assert (said["best"], said["last"], said["model_sha256"], said["trained_parameters"]) == (None, None, None, None)


def test_tensorboard_has_the_losses_and_the_samples(done: Run) -> None:
    events = EventAccumulator(str(done.folder / "tensorboard")).Reload()
    assert {"step/loss", "step/noise", "step/learning_rate", "epoch/validation_loss"} <= set(events.Tags()["scalars"])
    assert [image.step for image in events.Images("samples")] == [4, 8]


def test_energy_is_the_sum_of_all_sessions_and_unknown_if_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path / "r")
    found = []
    for kwh in (0.5, 0.25, None):
        monkeypatch.setattr(Meter, "kwh", lambda _, kwh=kwh: kwh)
        with run.recording() as here:
            begun(here)
        found.append(told(run)["energy_kwh"])
    assert found == [0.5, 0.75, None]


def test_samples_of_an_epoch_have_a_file_of_their_own(tmp_path: Path) -> None:
    with made(tmp_path / "r").recording() as here:
        begun(here)
        path = here.samples(3, 12, [Sample("A song", "Dawn", [picture(1), picture(2)])])
    assert path == tmp_path / "r" / "samples" / "epoch-003.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_code_version_of_a_checkout_is_its_commit_and_of_a_package_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.code()["commit"] is None
    assert provenance.code()["is_dirty"] is None

    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    (tmp_path / "code.py").write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    clean = provenance.code()
    assert len(clean["commit"]) == 40
    assert clean["is_dirty"] is False
    (tmp_path / "code.py").write_text("2")
    assert provenance.code() == clean | {"is_dirty": True}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("recipe_digest", 7),
        ("data", None),
        ("data", {"where": "x"}),
        ("settings", {"cache": None, "cache_limit_bytes": None, "processes": 1, "threads": 1, "code": "x"}),
        ("model", {"base_sha256": "x"}),
        ("sessions", "none"),
        ("skipped", None),
    ],
    ids=["digest", "data", "labels", "settings", "model", "sessions", "skipped"],
)
def test_a_run_json_that_lacks_something_is_told(tmp_path: Path, part: str, value: object) -> None:
    run = made(tmp_path / "r")
    path = run.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    with pytest.raises(ConfigurationError, match=rf"run.json: {part}.*: expected it as artune wrote it"):
        Run.open(run.folder)
