"""The flow `evaluate`: how good a model, images or a data set are, thin around evaluation.evaluating."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from rich.console import Console

from evaluation.evaluating import evaluate
from evaluation.request import Request
from evaluation.result import MARKDOWN, Figure
from flows import assets, events, run_names, settings, tasks
from flows.evaluation import STOPPED, Finished
from flows.progress import Bars, bars
from flows.tasks import ended, let_modules_speak, told
from training.runs import starting


@flow(name="evaluate", flow_run_name=run_names.evaluate)
def evaluate_model(request: Request) -> Finished | State[Any]:
    """Evaluate; tell the world by an event, and leave the page of figures as an artifact.

    Args:
        request: what to evaluate and on what; after a training, `run` and `data` are `run` and `where` of its event.

    Returns:
        what came of it; a failed state that says what a person has to mend, or that the world was busy.
    """
    let_modules_speak()

    def work() -> Finished:
        asked = replace(request, cache=settings.training_cache(request.cache))
        with bars(Console(stderr=True)) as shown:
            found = tasks.once("evaluate", lambda: evaluate(asked, _stages(shown)), STOPPED)
        done = Finished(found.folder, found.result, found.claim, found.where)
        text = (done.folder / MARKDOWN).read_text(encoding="utf-8")
        create_markdown_artifact(text, key="evaluation", description=f"Evaluation of {done.result.subject.name}")
        assets.evaluation(done, request)
        _tell(done, request)
        return done

    return told(work, STOPPED)


def _stages(shown: Bars) -> Callable[[str, int, int], None]:
    """Return what shows how far each stage is: a bar on the terminal, and a progress artifact."""
    artifacts: dict[str, Callable[[float], None]] = {}

    def move(stage: str, done: int, total: int) -> None:
        shown.reach(stage, done, total)
        artifacts.setdefault(stage, tasks.progress_artifact(stage))(done / total if total else 0.0)

    return move


def _tell(done: Finished, request: Request) -> None:
    """Emit the event that what follows an evaluation waits for; unlike the files, it says where things lie here."""
    folder, result = str(done.folder), done.result
    events.tell(
        events.EVALUATION_FINISHED,
        "evaluation",
        folder,
        {
            "folder": folder,
            "kind": result.subject.kind,
            "run": _whole(request.run),
            "model_sha256": result.subject.model_sha256,
            "where": starting.pinned(done.where, result.data.commit),
            "data": {key: getattr(result.data, key) for key in ("data_set", "version", "digest")},
            "split": result.data.split,
            "n": result.data.n,
            "seed": result.seed,
            "has_stand_ins": any(network.is_stand_in for network in result.networks),
            "figures": {figure.name: _plain(figure) for figure in result.figures},
            "copies": result.memorization and result.memorization.copies,
            "is_best": done.claim and done.claim.is_best,
        },
    )


def _whole(run: str | None) -> str | None:
    """Return a run as it is found from any folder."""
    folder = Path(run).expanduser() if run else None
    return str(folder.absolute()) if folder and folder.is_dir() else run


def _plain(figure: Figure) -> dict[str, Any]:
    """Return what JSON can hold of a figure: enough to decide by."""
    found, chance = figure.estimate, figure.chance
    return {
        "title": figure.title,
        "better": figure.better,
        "value": found and found.value,
        "interval": found and found.interval and list(found.interval),
        "chance": chance and chance.value,
        "p_value": chance and chance.p_value,
        "refused": figure.refused,
        "marked": figure.marked,
    }


def run(request: Request) -> Finished:
    """Run the flow to its end.

    Raises:
        ConfigurationError: a person has to mend something.
        TransientError: the world was busy: the same call goes on with what is there.
    """
    return ended(evaluate_model(request, return_state=True))
