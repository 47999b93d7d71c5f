"""Whether one evaluation is better than another, worse, or cannot be told from it.

Both are of the same items, and replicate r of both counts the same recordings: it is their difference that is
resampled, in which what is hard or easy about a clip falls away. One measure, named before anybody looks, judges at
5 %. All others are shown beside it, corrected for their number by Holm's method; they decide nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from evaluation.result import HEADLINE, Figure, NetworkFacts, Result
from evaluation.statistics.replicates import (
    LEAST_RECORDINGS,
    LEVEL,
    Difference,
    Replicates,
    difference,
    holm,
)
from evaluation.telling import storing
from evaluation.telling.verdict import is_partner_at_chance
from evaluation.telling.wording import digits, digits_of, number
from rules.errors import ConfigurationError
from rules.spelling import closest
from rules.validating import did_you_mean

EQUAL = 1e-8  # relative: what differs by less differs in how it was added up
Verdict: TypeAlias = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both.

    Attributes:
        groups: recordings that were resampled.
        difference: b's value less a's; error, interval and detectable are of it, see `Difference`.
        p_value: of no difference, of this figure alone; p_corrected: for the number of all that do not judge.
        verdict: of b against a.
        why: it cannot be told.
    """

    name: str
    title: str
    better: Literal["higher", "lower"] | None
    digits: int
    n: int
    groups: int
    a: float | None
    b: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    p_corrected: float | None
    detectable: float | None
    verdict: Verdict
    why: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations.

    Attributes:
        measure: name of the figure that judges.
        verdict: of b against a.
        cautions: what to know before one believes it.
        rows: the one that judges first.
    """

    a: Path
    b: Path
    measure: str
    verdict: Verdict
    sentence: str
    cautions: tuple[str, ...]
    rows: tuple[Row, ...]


def compare(a: Path, b: Path, measure: str | None = None) -> Comparison:
    """Compare what was evaluated in two folders.

    Args:
        measure: name of the figure that judges; None: HEADLINE.

    Raises:
        ConfigurationError: a folder has no evaluation, they are of different data, items, networks or seeds, or there
            is no such measure or it has no better direction.
    """
    first, second = storing.read(a), storing.read(b)
    _check_comparable((a, b), (first, second))
    (of_a, resampling_a), (of_b, resampling_b) = storing.read_replicates(a, first), storing.read_replicates(b, second)
    same = "evaluate both with the same versions of artune and NumPy"
    _check_equal("resampling", (resampling_a, resampling_b), (a, b), same)
    figures = {figure.name: figure for figure in first.figures}
    shared = [(figures[figure.name], figure) for figure in second.figures if figure.name in figures]
    name = _judging(measure, [other for one, other in shared if one.estimate and other.estimate])
    pairs = sorted(shared, key=lambda pair: pair[1].name != name)  # stable: the others stay in order
    rows = [_row(one, other, of_a.get(one.name), of_b.get(one.name)) for one, other in pairs]
    judged = _judged(rows[0], rows[0].p_value)
    rows = [judged, *_corrected(rows[1:])]
    cautions = tuple(_cautions(first, second, pairs[0]))
    return Comparison(a, b, name, judged.verdict, _sentence(a, b, judged), cautions, tuple(rows))


def text(comparison: Comparison) -> str:
    """Return a comparison as lines for a terminal."""
    heads = ("measure", "a", "b", "b - a (95 %)", "p", "b is")
    told = [_cells(row, row.p_value if place == 0 else row.p_corrected) for place, row in enumerate(comparison.rows)]
    widths = [max(map(len, column)) for column in zip(heads, *told, strict=True)]
    lines = ["  ".join(map(str.ljust, cells, widths)) for cells in (heads, *told)]
    others = "The first measure alone judges; p of the others is corrected for their number (Holm)."
    return "\n".join(
        [
            f"a: {comparison.a}",
            f"b: {comparison.b}",
            "",
            *(line.rstrip() for line in lines),
            "",
            *([others] if len(told) > 1 else []),
            *(f"Caution: {caution}" for caution in comparison.cautions),
            comparison.sentence,
        ]
    )


def _check_comparable(folders: tuple[Path, Path], results: tuple[Result, Result]) -> None:
    """Refuse two evaluations whose replicates are not of the same recordings, and name the first difference."""
    for folder, result in zip(folders, results, strict=True):
        if result.subject.kind == "data":
            raise ConfigurationError(f"{folder}: expected an evaluation of images; this one is of a data set alone")
    n = "evaluate both with the same --n, and see what was left out of which"
    for what, told, advice in (
        ("data set", _revision, "evaluate both on the same version"),
        ("split", lambda result: result.data.split, "evaluate both on the same --split"),
        ("seed", lambda result: result.seed, "evaluate both with the same --seed"),
        ("number of clips", _clips, n),
        ("clips", lambda result: result.data.items_digest, n),
        ("number of real images", lambda result: f"{result.data.n_real:,}", "see what was left out of which"),
    ):
        _check_equal(what, (told(results[0]), told(results[1])), folders, advice)
    networks = [{facts.role: facts for facts in result.networks} for result in results]
    for role in sorted({*networks[0], *networks[1]}):
        names = _network(networks[0].get(role)), _network(networks[1].get(role))
        _check_equal(f"network {role}", names, folders, "evaluate both with the same --networks")


def _check_equal(what: str, told: tuple[object, object], folders: tuple[Path, Path], advice: str) -> None:
    if told[0] != told[1]:
        a, b = folders
        raise ConfigurationError(
            f"{a} and {b} cannot be compared: {what}: {told[0]} in {a}, {told[1]} in {b}; {advice}"
        )


def _revision(result: Result) -> str:
    data = result.data
    return f"{data.data_set or data.where} {data.version or ''} ({data.digest or data.commit})"


def _clips(result: Result) -> str:
    left_out = len({one.pair_id for one in result.left_out})
    return f"{result.data.n:,}{f' ({left_out:,} left out)' if left_out else ''}"


def _network(facts: NetworkFacts | None) -> str:
    return "none" if facts is None else f"{facts.name} ({facts.weights_sha256[:12]})"


def _judging(measure: str | None, figures: Sequence[Figure]) -> str:
    """Return the name of the figure that judges, of those that both have measured."""
    known = [figure.name for figure in figures if figure.better is not None]
    if measure is None and HEADLINE in known:
        return HEADLINE
    if measure in known:
        return str(measure)
    asked = HEADLINE if measure is None else measure
    hint = did_you_mean(closest(asked, known))
    told = ", ".join(known) or "there is none"
    raise ConfigurationError(f"--measure {asked}: expected one that both have: {told}{hint}")


def _row(one: Figure, other: Figure, of_a: Replicates | None, of_b: Replicates | None) -> Row:
    """Return a figure of both, not judged yet."""
    a, b = (figure.estimate.value if figure.estimate else None for figure in (one, other))
    found, why = _difference(one, other, of_a, of_b)
    return Row(
        name=other.name,
        title=other.title,
        better=other.better,
        digits=max(digits(one), digits(other), digits_of(found.interval if found else None, other.digits + 1) - 1),
        n=other.estimate.n if other.estimate else 0,
        groups=other.groups,
        a=a,
        b=b,
        difference=None if a is None or b is None else b - a,
        interval=found.interval if found else None,
        p_value=found.p_value if found else None,
        p_corrected=None,
        detectable=found.detectable if found else None,
        verdict="cannot tell",
        why=why,
    )


def _difference(
    one: Figure, other: Figure, of_a: Replicates | None, of_b: Replicates | None
) -> tuple[Difference | None, str | None]:
    """Return how sure a difference is, or why that cannot be told."""
    refused = [name for name, figure in (("a", one), ("b", other)) if figure.estimate is None]
    if refused or of_a is None or of_b is None:
        return None, f"not measured in {' and '.join(refused) or 'both'}"
    a, b = one.estimate.value if one.estimate else None, other.estimate.value if other.estimate else None
    if a is None or b is None:
        return None, "it is not defined"
    if abs(b - a) <= EQUAL * max(abs(a), abs(b)):
        return None, "equal"
    if of_a.method != of_b.method or of_a.items.shape != of_b.items.shape or of_a.real.shape != of_b.real.shape:
        return None, "resampled in different ways"
    groups = min(of_a.effective_groups, of_b.effective_groups)
    if groups < LEAST_RECORDINGS - 1e-9:
        return None, f"too few recordings: they count as {groups:.1f}, of {LEAST_RECORDINGS} at least"
    found = difference(b - a, of_b - of_a)
    return found, None if found else "resampling does not move it"


def _judged(row: Row, p_value: float | None) -> Row:
    """Return a row with its verdict."""
    if row.why is not None or row.difference is None or p_value is None:
        return row
    if row.better is None:
        return replace(row, why="neither direction is better")
    if p_value > LEVEL:
        is_alone = row.p_value is not None and row.p_value <= LEVEL
        return replace(row, why="not after correction for the number of measures" if is_alone else "within chance")
    is_better = (row.difference > 0) == (row.better == "higher")
    return replace(row, verdict="better" if is_better else "worse")


def _corrected(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows of measures that do not judge with their verdicts, which all together are wrong in 5 % of cases."""
    corrected = iter(holm([row.p_value for row in rows if row.p_value is not None and row.better is not None]))
    for row in rows:
        if row.p_value is None or row.better is None:
            yield _judged(row, row.p_value)
        else:
            p_corrected = next(corrected)
            yield _judged(replace(row, p_corrected=p_corrected), p_corrected)


def _cautions(first: Result, second: Result, judging: tuple[Figure, Figure]) -> Iterator[str]:
    figure = judging[1]
    if figure.marked is not None:
        yield f"{figure.title}: {figure.marked}."
    if not figure.is_as_published:
        yield f"{figure.title} is not {figure.name} as published: other networks made the features."
    if any(is_partner_at_chance(one) for one in judging):
        yield f"even the true partners are no better than shuffled ones by {figure.title}: it cannot judge here."
    if first.data.was_trained_on:
        yield f"the clips are of the split {first.data.split}, which models are trained on."
    drawn = [(subject.steps, subject.guidance) for subject in (first.subject, second.subject)]
    if drawn[0] != drawn[1] and None not in (*drawn[0], *drawn[1]):
        told = [f"{steps} steps at guidance {guidance:g}" for steps, guidance in drawn]
        yield f"a was drawn in {told[0]}, b in {told[1]}: the difference is that of both."
    code = [(result.artune.get("version"), result.artune.get("commit")) for result in (first, second)]
    if code[0] != code[1]:
        yield "they were evaluated by different versions of artune, whose measures may differ."
    if first.subject.model_sha256 is not None and first.subject.model_sha256 == second.subject.model_sha256:
        yield "both are of the same model."
    if first.subject.kind == second.subject.kind == "run":
        yield "each run is one training: whether its recipe is better, runs with other seeds would tell."


def _sentence(a: Path, b: Path, row: Row) -> str:
    if row.verdict != "cannot tell":
        return f"{b} is {row.verdict} than {a}: {row.title} {_numbers(row)}, p {_p(row.p_value)}."
    told = f"{b} cannot be told from {a}: {row.title}"
    if row.difference is None:
        return f"{told} was {row.why}."
    seen = f"; it would take a difference of about {_size(row, row.detectable)}" if row.detectable else ""
    return f"{told} {_numbers(row)}: {row.why}{seen}."


def _numbers(row: Row) -> str:
    if row.a is None or row.b is None or row.difference is None:
        return "unknown"
    between = f" ({_ends(row)})" if row.interval else ""
    told = f"{number(row.b, row.digits)} against {number(row.a, row.digits)}, difference {_size(row, row.difference)}"
    return f"{told}{between}, {row.n:,} clips of {row.groups:,} recordings"


def _ends(row: Row) -> str:
    return " to ".join(_size(row, end) for end in row.interval or ())


def _size(row: Row, value: float | None) -> str:
    """Return a difference with a digit more than the values have."""
    return "" if value is None else number(value, row.digits + 1)


def _p(value: float | None) -> str:
    return "" if value is None else f"= {value:.3f}" if value >= 0.0005 else "below 0.001"


def _cells(row: Row, p_value: float | None) -> tuple[str, ...]:
    values = ["-" if value is None else number(value, row.digits) for value in (row.a, row.b)]
    between = "-" if row.difference is None else _size(row, row.difference)
    ends = f" ({_ends(row)})" if row.interval else ""
    told = row.verdict if row.why is None else f"{row.verdict} ({row.why})"
    return row.title, *values, f"{between}{ends}", "-" if p_value is None else _p(p_value).removeprefix("= "), told
