"""The flow `train`: a recipe on a published revision, thin around training.fitting.loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from rich.console import Console

from curation.errors import NotPublished
from curation.markdown import escaped
from flows import assets, events, run_names, tasks
from flows.tasks import ended, let_modules_speak, markdown, told
from flows.training import STOPPED, how_of_machine, outcome
from flows.training_bars import bars
from flows.training_process import train_here, train_in_processes
from rules.errors import ConfigurationError
from training.runs import starting
from training.runs.run import Run, Settings

ALREADY = "Already trained"  # the state of a run that had nothing to do
NOTHING_YET = "Nothing published yet"  # likewise
TOLD = "told.json"  # in the folder of a run: a deployment has told of it


@flow(name="train", flow_run_name=run_names.train)
def train_model(
    recipe: str | None = None,
    data: str | None = None,
    revision: str | None = None,
    changes: list[str] = [],  # noqa: B006 - Prefect shows it in a form, and nobody changes it
    out: Path | None = None,
    how: Settings | None = None,
    runs: Path = Path(starting.RUNS),
) -> dict[str, Any] | State[Any]:
    """Train, or go on with a training; tell the world by an event, and leave losses and samples as an artifact.

    Args:
        recipe: its name, or a file with one; None goes on with the run in `out`.
        data: what `artune train --data` takes, or `repo` of the event artune.dataset.published.
        revision: of that event.
        changes: values of the recipe for this run, as KEY=VALUE.
        out: the folder of the run; one that is named after recipe and data if None.
        how: cache, processes, threads; if None, those of a run that goes on, or as this machine has them.
        runs: the folder of the folder that is named after recipe and data.

    Returns:
        what came of the run; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> dict[str, Any] | State[Any]:
        try:
            run = _run(recipe, data, revision, changes, out, how, runs)
        except NotPublished as error:
            if revision is None and events.is_deployed():  # its schedule looks whether there is anything
                return Completed(name=NOTHING_YET, message=str(error))
            raise
        if run.is_finished:
            done = run.summary()
            if events.is_deployed():
                _tell_once(done)
            return Completed(name=ALREADY, message=f"{run.folder} is finished", data=done)
        train = train_here if run.settings.processes == 1 else train_in_processes
        with bars(Console(stderr=True), tasks.progress_artifact("train")) as heard:
            tasks.once("train", lambda: train(run, heard), STOPPED)
        done = run.summary()
        create_markdown_artifact(_markdown(done), key="training", description=f"Training of {done['recipe']}")
        assets.training(done)
        _tell_once(done)
        return done

    return told(work, STOPPED)


def _run(
    recipe: str | None,
    data: str | None,
    revision: str | None,
    changes: list[str],
    out: Path | None,
    how: Settings | None,
    runs: Path,
) -> Run:
    if recipe is None:
        if out is None:
            raise ConfigurationError("train: expected a recipe and data, or the folder of a run to go on with")
        return Run.open(out, settings=how)
    if data is None:
        raise ConfigurationError(f"train {recipe}: expected data")
    return starting.begin(recipe, starting.data_of(data, revision), changes, out, how or how_of_machine(), runs)


def _tell_once(done: Mapping[str, Any]) -> None:
    """Tell of a finished run; a deployment tells of each once, also where it was killed before it could."""
    events.tell_once(Path(done["folder"], TOLD), str(done["model_sha256"]), lambda: _tell(done))


def _tell(done: Mapping[str, Any]) -> None:
    """Emit the event that what follows a training waits for, an evaluation say."""
    events.tell(
        events.TRAINING_FINISHED,
        "run",
        done["folder"],
        {
            "run": done["folder"],
            "recipe": done["recipe"],
            "recipe_digest": done["recipe_digest"],
            "where": starting.pinned(done["where"], done["commit"]),
            "data": done["data"],
            "best": done["best"],
            "model_sha256": done["model_sha256"],
            "trained_parameters": done["trained_parameters"],
        },
        {events.DATA_SET_LABEL: done["data"].get("data_set") or "unknown"},
    )


def _markdown(done: Mapping[str, Any]) -> str:
    def shown(loss: float | None) -> str:
        return "" if loss is None else f"{loss:.4f}"

    rows = [(str(row["epoch"]), shown(row["train"]), shown(row["validation"])) for row in done["losses"]]
    table = markdown(("Epoch", "Loss", "Validation"), rows)
    lines = "\n".join(f"- {escaped(line)}" for line in outcome(done))
    return f"# {escaped(done['recipe'])}\n\n{lines}\n\n{table}"


def run(folder: Path, how: Settings) -> dict[str, Any]:
    """Run the flow for a run that is begun, to its end.

    Raises:
        ConfigurationError: a person has to mend something.
        TransientError: the world was busy: the same call goes on from the last checkpoint.
    """
    return ended(train_model(out=folder, how=how, return_state=True))
