"""The flow `train`: a recipe on a published revision, thin around training.fitting.loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from rich.console import Console

from curation.markdown import escaped
from flows import tasks
from flows.tasks import ended, let_modules_speak, markdown, plain, told
from flows.training import STOPPED, outcome
from flows.training_bars import bars
from flows.training_process import train_here, train_in_processes
from rules.errors import ConfigurationError
from training.runs import starting
from training.runs.run import Run, Settings

EVENT = "artune.training.finished"


@flow(name="train")
def train_model(
    recipe: str | None = None,
    data: str | None = None,
    revision: str | None = None,
    changes: tuple[str, ...] = (),
    out: Path | None = None,
    how: Settings | None = None,
) -> dict[str, Any] | State[Any]:
    """Train, or go on with a training; tell the world by an event, and leave losses and samples as an artifact.

    Args:
        recipe: its name, or a file with one; None goes on with the run in `out`.
        data: what `artune train --data` takes, or `repo` of the event artune.dataset.published.
        revision: of that event.
        changes: values of the recipe for this run, as KEY=VALUE.
        out: the folder of the run; one that is named after recipe and data if None.
        how: cache, processes, threads; those of a run that goes on if None.

    Returns:
        what came of the run; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> dict[str, Any]:
        run = _run(recipe, data, revision, changes, out, how)
        train = train_here if run.settings.processes == 1 else train_in_processes
        with bars(Console(stderr=True), tasks.progress_artifact("train")) as heard:
            tasks.once("train", lambda: train(run, heard), STOPPED)
        return run.summary()

    done = told(work, STOPPED)
    if not isinstance(done, State):
        create_markdown_artifact(_markdown(done), key="training", description=f"Training of {done['recipe']}")
        _tell(done)
    return done


def _run(
    recipe: str | None,
    data: str | None,
    revision: str | None,
    changes: tuple[str, ...],
    out: Path | None,
    how: Settings | None,
) -> Run:
    if recipe is None:
        if out is None:
            raise ConfigurationError("train: expected a recipe and data, or the folder of a run to go on with")
        return Run.open(out, settings=how)
    if data is None:
        raise ConfigurationError(f"train {recipe}: expected data")
    return starting.begin(recipe, starting.data_of(data, revision), changes, out, how or Settings())


def _tell(done: Mapping[str, Any]) -> None:
    """Emit the event that what follows a training waits for, an evaluation say."""
    emit_event(
        EVENT,
        resource={"prefect.resource.id": f"artune.run.{done['folder']}", "prefect.resource.name": done["folder"]},
        payload={
            "run": done["folder"],
            "recipe": done["recipe"],
            "recipe_digest": done["recipe_digest"],
            "where": starting.pinned(done["where"], done["commit"]),
            "data": done["data"],
            "best": done["best"],
            "model_sha256": done["model_sha256"],
            "trained_parameters": done["trained_parameters"],
        },
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
    ready = train_model.with_options(flow_run_name=plain(f"train {folder.name}"))
    return ended(ready(out=folder, how=how, return_state=True))
