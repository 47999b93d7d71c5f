"""How sure a model may be: its scores of items whose source says the answer, and the temperature that fits them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation import models
from curation.batches import Each
from curation.measure import measure_batch, pending
from curation.model_tags import Matrix, probabilities, scores_of, split_by_question, step
from curation.store import Home
from rules.errors import ConfigurationError
from rules.models import Question
from rules.schema import RuleSet
from rules.spelling import fold

MIN_ITEMS = 20  # fewer say nothing: a temperature that fits ten items may be off by half
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
BINS = 15  # of the expected calibration error, as Guo et al. 2017, arXiv:1706.04599, section 2
NO_ANSWER = -1

Truth = npt.NDArray[np.int64]  # the index of the right answer


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found for one question; the errors are those of items that the temperature was not fitted to.

    Attributes:
        items: how many items have a source that says which answer is right.
        right: share of them for which the model thinks so too.
        temperature: None where there are too few items.
        error_before: expected calibration error with the temperature of the rule set.
        error_after: the same with this one.
    """

    question: str
    items: int
    right: float | None = None
    temperature: float | None = None
    error_before: float | None = None
    error_after: float | None = None


def calibrate(home: Home, items: pa.Table, rule_set: RuleSet, name: str, each: Each) -> Iterator[Calibration]:
    """Score the items whose source answers a question of the model, and yield for each question what fits them.

    Args:
        items: schema ITEMS.

    Raises:
        ConfigurationError: there is no such model, or it cannot be run.
    """
    if name not in rule_set.models.root:
        known = ", ".join(rule_set.models.root) or "none"
        raise ConfigurationError(f"rule set {rule_set.name}: no model is called {name!r}; there are: {known}")
    model = rule_set.models.root[name]
    scoring = step(name, model)
    of_modality = [modality == models.get(model.family).MODALITY for modality in items["modality"].to_pylist()]
    items = items.filter(pa.array(of_modality, pa.bool_())).sort_by("sha256")
    truths = [truth_of(items, question, rule_set) for question in model.questions.values()]
    is_known = np.any([truth != NO_ANSWER for truth in truths], axis=0)
    items = items.filter(pa.array(is_known))
    each(measure_batch, pending(home, scoring, items["sha256"]), f"score by {name}")
    scores = scores_of(home, scoring, items["sha256"])
    by_question = split_by_question(model, scores)
    for (of_question, part), question, truth in zip(by_question, model.questions.values(), truths, strict=True):
        answer = truth[is_known]
        usable = (answer != NO_ANSWER) & ~np.isnan(part[:, 0])
        yield _calibration(of_question, question, part[usable], answer[usable])


def truth_of(items: pa.Table, question: Question, rule_set: RuleSet) -> Truth:
    """Return the index of the answer that each item's source gives; NO_ANSWER where it gives none or several."""
    says = {word: index for index, answer in enumerate(question.answers.values()) for word in answer.words()}
    truth = np.full(len(items), NO_ANSWER)
    for row, tags in enumerate(items["tags"].to_pylist()):
        words = [(tag["kind"], rule_set.spellings.get((tag["kind"], fold(tag["value"])))) for tag in tags or ()]
        given = {says[word] for word in words if word in says}
        if len(given) == 1:
            truth[row] = given.pop()
    return truth


def fit_temperature(scores: Matrix, truth: Truth) -> float:
    """Return the temperature, to 0.01, under which the right answers are most likely.

    Args:
        scores: shape (n_items, n_answers).
        truth: shape (n_items,).
    """
    from scipy.optimize import minimize_scalar

    def surprise(log_temperature: float) -> float:
        likely = probabilities(scores, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        return -float(np.log(np.maximum(likely, np.finfo(float).tiny)).mean())

    bounds = (np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE))
    return round(float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x)), 2)


def calibration_error(scores: Matrix, truth: Truth, temperature: float) -> float:
    """Return how far confidence and share of right answers lie apart, on average over items binned by confidence."""
    confidences = probabilities(scores, temperature)
    surest, is_right = confidences.max(axis=1), confidences.argmax(axis=1) == truth
    bins = np.minimum((surest * BINS).astype(int), BINS - 1)
    excess = np.bincount(bins, weights=surest - is_right, minlength=BINS)
    return float(np.abs(excess).sum() / len(truth))


def _calibration(name: str, question: Question, scores: Matrix, truth: Truth) -> Calibration:
    if len(truth) < MIN_ITEMS:
        return Calibration(name, len(truth))
    # Items are ordered by hash, so every second one is a fair half.
    temperature = fit_temperature(scores[::2], truth[::2])
    unseen, answers = scores[1::2], truth[1::2]
    return Calibration(
        name,
        len(truth),
        right=float((scores.argmax(axis=1) == truth).mean()),
        temperature=temperature,
        error_before=calibration_error(unseen, answers, question.temperature),
        error_after=calibration_error(unseen, answers, temperature),
    )
