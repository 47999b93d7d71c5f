"""The flow `evaluate` on a real Prefect server: what it writes, shows and tells, and that a stopped one goes on.

All figures are of stand-in networks, and of a model of random weights that was never trained.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from curation.errors import TransientError
from flows import tasks
from flows.cli import app
from rules.errors import ConfigurationError
from tests.flows.conftest import Seen, last_run, payloads
from tests.flows.stopping import stopped
from tests.training import releases
from tests.training.made_runs import finished, tiny
from training.data import open_revision
from training.runs import model_card

ITEMS = 9  # of the split train: three of each label

LOUD = """
import sys
import torch
from flows import progress
from flows.cli import main

reach = progress.Bars.reach

def told(bars, stage, done, total):
    print(stage, done, "of", total, file=sys.stderr)
    reach(bars, stage, done, total)

progress.Bars.reach = told
torch.set_num_threads(1)
main()
"""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(releases.build(tmp_path_factory.mktemp("data"))[1].folder)


@pytest.fixture(scope="module")
def untouched(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a run that nobody evaluated."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.runs.energy._started", lambda _: None)
        return finished(tmp_path_factory.mktemp("runs") / "run", tiny(), open_revision(data)).folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def arguments(data: str, *more: str | Path) -> list[str]:
    how = ("--data", data, "--split", "train", "--n", ITEMS, "--networks", "stand-ins")
    return ["evaluate", *map(str, (*more, *how))]


def artune(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def evaluation(
    data: str, untouched: Path, tmp_path_factory: pytest.TempPathFactory, prefect_server: None
) -> tuple[Path, str, Seen]:
    """Evaluate a run and return its folder, what was printed and what an operator saw: later runs have its name."""
    run = shutil.copytree(untouched, tmp_path_factory.mktemp("evaluated") / "run")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ARTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        result = artune(*arguments(data, run))
    assert result.exit_code == 0, result.output + repr(result.exception)
    return run, result.output, last_run("evaluate", "record evaluation")


@pytest.fixture(scope="module")
def evaluated(evaluation: tuple[Path, str, Seen]) -> tuple[Path, str]:
    return evaluation[:2]


def told_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text("utf-8"))
    return found


def events(folder: Path) -> list[dict[str, Any]]:
    return payloads("artune.evaluation.finished", f"artune.evaluation.{folder}")


def test_an_evaluation_is_written_beside_the_run_and_shown(evaluated, data):
    run, output = evaluated
    told = told_of(run)
    assert (told["subject"]["kind"], told["data"]["n"]) == ("run", ITEMS)
    assert {figure["name"] for figure in told["figures"]} >= {"ais", "iis", "giils", "fid", "kid", "cmmd"}
    assert f"Evaluating {run} on {data}, split train." in output
    assert f"Report: {run}/evaluation/index.html" in output
    assert "Stand-in networks made features" in output
    assert (run / "evaluation" / "index.html").stat().st_size > 0


def test_the_world_is_told_by_an_event(evaluated, data):
    run, _ = evaluated
    told, (payload,) = told_of(run), events(run)
    ais = next(figure for figure in told["figures"] if figure["name"] == "ais")
    assert payload["figures"].keys() == {figure["name"] for figure in told["figures"]}
    assert payload["figures"]["ais"] == {
        "title": ais["title"],
        "better": "higher",
        "value": ais["estimate"]["value"],
        "interval": ais["estimate"]["interval"],
        "chance": ais["chance"]["value"],
        "p_value": ais["chance"]["p_value"],
        "refused": None,
        "marked": ais["marked"],
    }
    del payload["figures"]
    described = open_revision(data).described()
    assert payload == {
        "folder": str(run),
        "kind": "run",
        "run": str(run),
        "model_sha256": told["subject"]["model_sha256"],
        "where": data,
        "data": described,
        "split": "train",
        "n": ITEMS,
        "seed": 1,
        "has_stand_ins": True,
        "copies": told["memorization"]["copies"],
        "is_best": None,
    }


def test_the_figures_and_the_progress_are_artifacts_of_the_flow(evaluation):
    run, _, seen = evaluation
    assert (seen.name, set(seen.tasks.values())) == ("evaluate run", {"COMPLETED"})
    assert {name.partition("-")[0] for name in seen.tasks} == {"evaluate", "record evaluation"}
    assert seen.artifacts["evaluation"] == (run / "evaluation.md").read_text("utf-8")
    assert len(seen.artifacts) >= 3
    assert {share for name, share in seen.artifacts.items() if name != "evaluation"} == {100}


def test_an_evaluation_is_an_asset_made_of_the_model_and_the_data(evaluated, data):
    release = f"{str(Path(data).parents[1]).strip('/')}/releases/tiny-training"
    model = f"trainings/tiny/{release}"
    report, told = str(evaluated[0] / "evaluation" / "index.html"), told_of(evaluated[0])
    made = payloads("prefect.asset.materialization.succeeded", f"artune://evaluations/run/{model}")
    (found,) = (one for one in made if one["report"] == report)
    assert (found["rows"], found["split"], found["digest"]) == (ITEMS, "train", told["data"]["digest"])
    assert set(found["figures"]) == {figure["name"] for figure in told["figures"]}
    assert payloads("prefect.asset.referenced", f"artune://{model}")
    assert payloads("prefect.asset.referenced", f"file:///{release}")


def test_the_card_of_the_run_tells_of_it_and_nothing_else_of_the_run_changes(evaluated, untouched):
    run, _ = evaluated
    card = (run / "README.md").read_bytes()
    assert model_card.evaluation_of((untouched / "README.md").read_bytes(), "README.md") is None
    assert "stand-in" in (model_card.evaluation_of(card, "README.md") or "").lower()
    kept = [path.relative_to(untouched) for path in untouched.rglob("*") if path.is_file()]
    changed = {str(path) for path in kept if (untouched / path).read_bytes() != (run / path).read_bytes()}
    assert changed == {"README.md"}


def test_a_trial_elsewhere_ends_with_the_same_figures_and_leaves_the_run_alone(evaluated, data, tmp_path):
    run, _ = evaluated
    before = {path: path.read_bytes() for path in run.parent.rglob("*") if path.is_file()}
    result = artune(*arguments(data, run, "--out", tmp_path / "trial"))
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert {path: path.read_bytes() for path in run.parent.rglob("*") if path.is_file()} == before
    assert (tmp_path / "trial" / "evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()
    same = artune("compare", run, tmp_path / "trial")
    assert same.exit_code == 5, same.output + repr(same.exception)


def test_other_clips_are_not_compared(evaluated, data, tmp_path):
    result = artune(*arguments(data, evaluated[0], "--out", tmp_path / "trial", "--seed", "2"))
    assert result.exit_code == 0, result.output + repr(result.exception)
    other = artune("compare", evaluated[0], tmp_path / "trial")
    assert isinstance(other.exception, ConfigurationError), other.output


def test_images_of_another_system_are_evaluated_by_what_their_table_says(evaluated, data, tmp_path):
    drawn = sorted((evaluated[0] / "evaluation" / "images").glob("*.png"))
    mine = tmp_path / "mine"
    mine.mkdir()
    with (mine / "images.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "pair_id"])
        for number, path in enumerate(drawn):
            shutil.copyfile(path, mine / f"{number}.png")
            writer.writerow([f"{number}.png", path.stem])
    how = ("--data", data, "--split", "train", "--networks", "stand-ins")
    result = artune("evaluate", "--images", mine, *how)
    assert result.exit_code == 0, result.output + repr(result.exception)
    mine_told, told = told_of(mine), told_of(evaluated[0])
    assert mine_told["subject"]["kind"] == "images"
    assert [one["estimate"] for one in mine_told["figures"]] == [one["estimate"] for one in told["figures"]]
    assert [payload["run"] for payload in events(mine)] == [None]


def test_a_data_set_is_evaluated_without_a_model(data, tmp_path, prefect_server):
    result = artune("evaluate", "--data", data, "--networks", "stand-ins", "--out", tmp_path)
    assert result.exit_code == 0, result.output + repr(result.exception)
    told = told_of(tmp_path)
    assert (told["subject"]["kind"], told["figures"]) == ("data", [])
    assert {probe["side"] for probe in told["quality"]["probes"]} == {"image", "music"}
    assert f"Report: {tmp_path}/evaluation/index.html" in result.output


def test_a_run_that_is_measured_by_few_recordings_is_not_marked_as_the_best(untouched, data, tmp_path, prefect_server):
    run = shutil.copytree(untouched, tmp_path / "run")
    result = artune("evaluate", run, "--data", data, "--networks", "stand-ins")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "No mark of the best run: its clips are of 3 recordings, and fewer than 6 tell nothing." in result.output
    assert [payload["is_best"] for payload in events(run)] == [None]
    assert not list(tmp_path.glob("best-*.json"))


def test_a_run_into_whose_folder_another_one_is_evaluated_says_nothing_of_it(untouched, tmp_path):
    from evaluation.evaluating import _claimed
    from evaluation.request import Request

    other = shutil.copytree(untouched, tmp_path / "other")
    assert _claimed(Request(data="x", run=str(untouched)), None, other) is None
    assert (other / "README.md").read_bytes() == (untouched / "README.md").read_bytes()


def replaced(monkeypatch: pytest.MonkeyPatch, evaluate: Any) -> None:
    from flows import evaluate as flow

    monkeypatch.setattr(flow, "evaluate", evaluate)


def test_a_busy_world_is_asked_again_and_then_left_alone(untouched, data, monkeypatch, prefect_server):
    tries = []

    def busy(request: Any, told: Any) -> None:
        tries.append(request.run)
        raise TransientError("the Hub is busy")

    monkeypatch.setattr(tasks, "RETRY_DELAYS_S", [0, 0, 0])
    replaced(monkeypatch, busy)
    result = artune(*arguments(data, untouched))
    assert (result.exit_code, len(tries)) == (3, 4)
    assert "the Hub is busy" in result.output


def test_what_a_person_has_to_mend_is_told_in_a_sentence(untouched, data, monkeypatch, capfd, prefect_server):
    def refused(request: Any, told: Any) -> None:
        raise ConfigurationError("fewer images than labels")

    replaced(monkeypatch, refused)
    result = artune(*arguments(data, untouched))
    assert isinstance(result.exception, ConfigurationError)
    assert str(result.exception) == "fewer images than labels"
    assert "Traceback" not in result.output + "".join(capfd.readouterr())


def test_an_event_of_a_training_starts_an_evaluation(untouched, data, monkeypatch, tmp_path, prefect_server):
    from flows.evaluate import evaluate_model
    from flows.tasks import ended

    asked = []

    def enough(request: Any, told: Any) -> None:
        asked.append(request)
        raise ConfigurationError("enough")

    replaced(monkeypatch, enough)
    payload = {"run": str(untouched), "where": data}
    state = evaluate_model({"run": payload["run"], "data": payload["where"], "n": 4, "cache": "c"}, return_state=True)
    with pytest.raises(ConfigurationError, match="enough"):
        ended(state)
    (request,) = asked
    assert (request.run, request.data, request.n, request.networks) == (str(untouched), data, 4, "published")
    assert request.cache == Path("c").absolute()


def test_a_stopped_evaluation_says_how_it_goes_on_and_ends_with_the_same_bytes(evaluated, untouched, data, tmp_path):
    from prefect.settings import get_current_settings

    run = shutil.copytree(untouched, tmp_path / "run")
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", LOUD, *arguments(data, run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PREFECT_API_URL": str(get_current_settings().api.url), "COLUMNS": "200"},
    )
    assert process.stderr is not None
    before = []
    for line in process.stderr:
        before.append(line)
        if line.startswith("draw") and f" {ITEMS // 2} of " in line:
            break
    shown = "".join((*before, *stopped(process)))
    assert process.returncode == 130, shown
    assert "Stopped. The same command goes on" in shown
    assert "Traceback" not in shown
    assert not (run / "evaluation.json").exists()
    assert any((run / "evaluation" / "images").glob("*.png"))
    result = artune(*arguments(data, run))
    assert result.exit_code == 0, result.output + repr(result.exception)
    then, now = told_of(evaluated[0]), told_of(run)
    assert now["figures"] == then["figures"]
