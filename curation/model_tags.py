"""Tags that models give: each item is scored once, and confidences are made of the scores when they are read."""

import functools
import importlib.util
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation import models
from curation.errors import ItemError, attempt
from curation.measure import Step, measured
from curation.models import Family, Loaded
from curation.schemas import DERIVED_TAG, TAGGED
from curation.store import Home, digest, file_sha256
from rules.engine import MODEL
from rules.errors import ConfigurationError
from rules.models import Model
from rules.schema import RuleSet

VERSION = 1  # raise it when the same model, prompts and item give other scores
CONFIDENCE_DIGITS = 4

Matrix = npt.NDArray[np.float64]  # a row for each item


@dataclass(frozen=True, slots=True)
class Asked:
    """What a worker needs to score items: it finds the weights on its own machine, and they must be these."""

    family: str
    weights: str
    weights_digest: str
    answers: tuple[tuple[str, ...], ...]  # the prompts of each


@dataclass(frozen=True, slots=True)
class Scored:
    """The columns of schemas.TAGGED."""

    scores: list[float]


def steps(rule_set: RuleSet) -> list[tuple[str, Step]]:
    """Return modality and step of every model that is enabled.

    Raises:
        ConfigurationError: what an enabled model needs is not installed, or its weights are not on this machine.
    """
    enabled = [(name, model) for name, model in rule_set.models.root.items() if model.enabled]
    return [(models.get(model.family).MODALITY, step(name, model)) for name, model in enabled]


def step(name: str, model: Model) -> Step:
    """Return the step that scores items by a model, enabled or not.

    Raises:
        ConfigurationError: what it needs is not installed, or its weights are not on this machine.
    """
    family = models.get(model.family)
    missing = [module for module in family.REQUIRES if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            f"model {name}: {', '.join(missing)} cannot be imported; install the extra `tags` "
            "(pip install --editable '.[tags]'), or write `enabled: false` in models.yaml"
        )
    prompts = tuple(answer.prompts for question in model.questions.values() for answer in question.answers.values())
    asked = Asked(model.family, model.weights, _digest_of(weights_files(family, model.weights)), prompts)
    code = [VERSION, family.VERSION, family.library_versions()]
    return Step("tags", TAGGED, digest([code, asked.family, asked.weights_digest, prompts]), asked, score)


def score(paths: Sequence[Path], asked: Asked) -> Iterator[Scored | ItemError]:
    """Yield how well each answer fits each item, or why it cannot be decoded."""
    loaded, turn = _loaded(asked)
    at_once = models.get(asked.family).AT_ONCE
    for start in range(0, len(paths), at_once):
        read = [attempt(functools.partial(loaded.read, path)) for path in paths[start : start + at_once]]
        readable = [item for item in read if not isinstance(item, ItemError)]
        with turn:  # one pass uses all cores; the other threads decode meanwhile
            scores = iter(loaded.scores(readable).tolist() if readable else [])
        for item in read:
            yield item if isinstance(item, ItemError) else Scored(next(scores))


def tags_of(home: Home, rule_set: RuleSet, sha256s: pa.ChunkedArray) -> pa.ListArray:
    """Return what the enabled models say of each item, from what was scored before; nothing is computed.

    Returns:
        for each sha256 a list of schemas.DERIVED_TAG, empty where nothing is known; its source is "model NAME".

    Raises:
        ConfigurationError: as `steps`.
    """
    columns: dict[tuple[str, str, str], Matrix] = {}
    for name, model in rule_set.models.root.items():
        if model.enabled:
            scores = scores_of(home, step(name, model), sha256s)
            for tag, confidences in _confidences(model, scores):
                key = (*tag, f"{MODEL} {name}")
                columns[key] = np.fmax(columns[key], confidences) if key in columns else confidences
    return _lists(columns, len(sha256s))


def scores_of(home: Home, step: Step, sha256s: pa.ChunkedArray) -> Matrix:
    """Return the scores of each item, shape (n_items, n_answers); NaN where there are none."""
    rows = measured(home, step, sha256s)
    rows = rows.filter(rows["scores"].is_valid())
    known = rows["scores"].combine_chunks().flatten().to_numpy().reshape(len(rows), len(step.settings.answers))
    place = pc.index_in(sha256s, value_set=rows["sha256"].combine_chunks())
    found = np.full((len(sha256s), known.shape[1]), np.nan)
    is_known = place.is_valid().to_numpy()
    found[is_known] = known[place.drop_null().to_numpy()]
    return found


def probabilities(scores: Matrix, temperature: float) -> Matrix:
    """Return the softmax of each row; dividing the scores before it is what calibrates a model (Guo et al. 2017)."""
    scaled = (scores - scores.max(axis=1, keepdims=True)) / temperature
    exponentials = np.exp(scaled)
    result: Matrix = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def split_by_question(model: Model, scores: Matrix) -> Iterator[tuple[str, Matrix]]:
    """Yield the scores of each question's answers."""
    start = 0
    for name, question in model.questions.items():
        yield name, scores[:, start : start + len(question.answers)]
        start += len(question.answers)


def _confidences(model: Model, scores: Matrix) -> Iterator[tuple[tuple[str, str], Matrix]]:
    """Yield each tag that the model may give and how sure it is of it, NaN where it gives none."""
    for name, of_question in split_by_question(model, scores):
        question = model.questions[name]
        confidences = probabilities(of_question, question.temperature).round(CONFIDENCE_DIGITS)
        confidences[~(confidences >= question.min_confidence)] = np.nan
        for column, answer in enumerate(question.answers.values()):
            for tag in answer.tags.items():
                yield tag, confidences[:, column]


def _lists(columns: dict[tuple[str, str, str], Matrix], rows: int) -> pa.ListArray:
    confidences = np.stack(list(columns.values()), axis=1) if columns else np.empty((rows, 0))
    given = ~np.isnan(confidences)
    _, tag = np.nonzero(given)
    words = zip(*columns, strict=True) if columns else ((), (), ())
    parts = [pa.array(part, pa.string()).take(pa.array(tag)) for part in words]
    values = pa.StructArray.from_arrays([*parts, pa.array(confidences[given])], fields=list(DERIVED_TAG))
    offsets = np.concatenate([[0], np.cumsum(given.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def weights_files(family: Family, weights: str) -> list[Path]:
    """Return the files of a folder of weights; nothing is downloaded.

    Raises:
        ConfigurationError: the folder, or the copy of what the Hub has, is not there or lacks a file.
    """
    folder = Path(weights).expanduser() if weights.startswith(("/", "~")) else _downloaded(family, weights)
    files = []
    for names in family.FILES:
        there = [folder / name for name in names if (folder / name).is_file()]
        if not there:
            raise ConfigurationError(f"weights {weights}: expected {' or '.join(names)} in {folder}")
        files.append(there[0])
    return files


def _downloaded(family: Family, name: str) -> Path:
    """Return the folder into which `hf download` put what the Hub has under the name."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except HFValidationError as error:
        raise ConfigurationError(
            f"weights {name}: expected a folder, from / or ~ on, or OWNER/NAME on the Hugging Face Hub"
        ) from error
    except LocalEntryNotFoundError as error:
        included = " ".join(f"--include {file}" for file in chain(*family.FILES))
        raise ConfigurationError(
            f"weights {name}: not on this machine yet, and artune downloads none by itself. Run\n"
            f"hf download {name} {included}\nor name a folder that holds these files"
        ) from error


def _digest_of(files: Sequence[Path]) -> str:
    stats = [(path, path.stat()) for path in files]
    return digest([(path.name, _sha256(path, stat.st_size, stat.st_mtime_ns)) for path, stat in stats])


@functools.lru_cache
def _sha256(path: Path, size_bytes: int, modified_ns: int) -> str:
    """Hash a file once for a process: weights have hundreds of megabytes. Size and time tell whether it changed."""
    return file_sha256(path)


_loading = threading.Lock()


def _loaded(asked: Asked) -> tuple[Loaded, threading.Lock]:
    """Load a model once for a process, whichever of its threads comes first."""
    with _loading:
        return _load(asked)


@functools.lru_cache(maxsize=2)  # one for pictures and one for music
def _load(asked: Asked) -> tuple[Loaded, threading.Lock]:
    family = models.get(asked.family)
    files = weights_files(family, asked.weights)
    if _digest_of(files) != asked.weights_digest:
        raise ConfigurationError(f"weights {asked.weights}: expected the same files here as where the build started")
    return family.load(files[0].parent, asked.answers), threading.Lock()
