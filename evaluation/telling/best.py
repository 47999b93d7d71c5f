"""The mark of the best run of a data set: a small file beside the runs, which a new run takes only if it is better.

The clips by which runs are chosen flatter the chosen one: the more runs compete, the more of its lead is luck.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.result import HEADLINE, Result
from evaluation.statistics.replicates import LEAST_RECORDINGS
from evaluation.telling import comparing, storing
from rules.errors import ConfigurationError
from training.runs import run_folder

LAYOUT = 1
_NAMED = 8  # letters of the digest of a data set in the name of its mark


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of a run's claim to be the best.

    Attributes:
        is_best: None where no mark is given for such an evaluation.
        sentence: what happened, plain text.
        mark: the file.
    """

    is_best: bool | None
    sentence: str
    mark: Path | None


def claim(run: Path) -> Claim:
    """Let a run have the mark of its data set if nobody has it, or if it is better than who has it.

    Args:
        run: a folder with an evaluation, see `storing.write`.

    Raises:
        ConfigurationError: it has no evaluation, or the mark cannot be read or written.
    """
    run = run.absolute()
    result = storing.read(run)
    if why := _no_mark(result):
        return Claim(None, f"No mark of the best run: {why}.", None)
    path = run.parent / f"best-{str(result.data.digest)[:_NAMED]}.json"
    with _alone(run.parent):
        holder = _holder(path)
        is_best, sentence = _contest(run, result, holder)
        if is_best:
            with run_folder.writing(run.parent, "evaluate again"):
                run_folder.replace(path, json.dumps(_mark(run, result), indent=1, ensure_ascii=False) + "\n")
    return Claim(is_best, sentence, path)


def _no_mark(result: Result) -> str | None:
    """Return why an evaluation is none to choose runs by."""
    if result.subject.kind != "run":
        return "it is given to runs"
    if result.data.digest is None:
        return "the data set has no manifest by which it is known"
    if result.data.was_trained_on:
        return f"these clips are of the split {result.data.split}, which models are trained on"
    if result.data.recordings < LEAST_RECORDINGS:
        return f"its clips are of {result.data.recordings} recordings, and fewer than {LEAST_RECORDINGS} tell nothing"
    if not any(figure.name == HEADLINE and figure.estimate for figure in result.figures):
        return f"the measure that judges, {HEADLINE}, could not be had"
    return None


def _contest(run: Path, result: Result, holder: dict[str, Any] | None) -> tuple[bool, str]:
    """Return whether a run takes the mark, and a sentence of it."""
    if holder is None:
        return True, f"{run.name} is marked as the best run of its data set: it is the first."
    name = holder["run"]
    if name == run.name:
        return True, f"{run.name} stays marked as the best run of its data set."
    if holder["is_of_stand_ins"] and not _is_of_stand_ins(result):
        return True, f"{run.name} is marked as the best run of its data set: {name} was judged by stand-in networks."
    try:
        _check_same(run.parent / name, holder)
        found = comparing.compare(run.parent / name, run)
    except ConfigurationError as error:
        if not (run.parent / name / run_folder.RUN).exists():
            return True, f"{run.name} is marked as the best run of its data set: {name}, which was, is gone."
        return False, f"{name} stays marked as the best run of its data set: {error}"
    kept = f"{name} stays marked as the best run of its data set"
    if found.verdict == "better":
        return True, f"{run.name} is marked as the best run of its data set: {found.sentence}"
    return False, f"{kept}: {found.sentence}"


def _check_same(run: Path, holder: dict[str, Any]) -> None:
    """Refuse to compare with an evaluation of another checkpoint: the one that is marked may be better."""
    if storing.read(run).subject.model_sha256 != holder.get("model_sha256"):
        raise ConfigurationError(f"its last evaluation is of another checkpoint: `artune evaluate {run}` mends it")


def _mark(run: Path, result: Result) -> dict[str, Any]:
    """Return what a mark says; the run is a folder beside it."""
    data, estimate = result.data, next(figure.estimate for figure in result.figures if figure.name == HEADLINE)
    return {
        "layout": LAYOUT,
        "run": run.name,
        "measure": HEADLINE,
        "estimate": estimate and estimate.model_dump(mode="json"),
        "recordings": data.recordings,
        "split": data.split,
        "seed": result.seed,
        "items_digest": data.items_digest,
        "data": {"data_set": data.data_set, "version": data.version, "digest": data.digest},
        "model_sha256": result.subject.model_sha256,
        "networks": {facts.role: facts.name for facts in result.networks},
        "is_of_stand_ins": _is_of_stand_ins(result),
    }


def _is_of_stand_ins(result: Result) -> bool:
    return any(facts.is_stand_in for facts in result.networks)


def _holder(path: Path) -> dict[str, Any] | None:
    """Return what a mark says; None if there is none."""
    anew = "delete it, and the next run that is evaluated is marked"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigurationError(f"{path}: expected JSON as artune wrote it: {error}; {anew}") from None
    is_known = isinstance(told, dict) and told.get("layout") == LAYOUT
    if not is_known or not _is_beside(told.get("run")) or not isinstance(told.get("is_of_stand_ins"), bool):
        raise ConfigurationError(f"{path}: expected a mark as this version of artune writes it; {anew}")
    return dict(told)


def _is_beside(name: object) -> bool:
    """Say whether a run is named as a folder beside the mark, and does not lead elsewhere."""
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other run claims the mark: of two at once the later one must be judged by the earlier one."""
    with run_folder.writing(folder, "evaluate again"):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
