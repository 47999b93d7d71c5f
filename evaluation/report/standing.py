"""Where a model stands: each measure between chance and the true partner, as tables and charts of the page."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from evaluation.report.scales import Axis, Forest, Lane, axis, ends, lane
from evaluation.result import Chance, Estimate, Figure, Probe, Result, RowName
from evaluation.telling.verdict import is_better_than_chance, is_partner_at_chance, told_apart
from evaluation.telling.wording import digits, interval, number, p_value

# What a measure is compared with, from the floor to the ceiling. Chance is drawn as a band.
REFERENCES: dict[RowName, str] = {
    "other_label": "Real image of another label",
    "same_label": "Real image of the right label",
    "partner": "True partner",
}
SUBJECTS = {"run": "The model’s images", "images": "The given images", "data": ""}
SHUFFLED = "Shuffled (chance)"


@dataclass(frozen=True, slots=True)
class Row:
    """A measure in the table.

    Attributes:
        lanes: the subject, then the references that say something.
        is_told: it is better than chance, alone if it is the main one, else after correction; None without chance.
    """

    figure: Figure
    axis: Axis | None
    band: tuple[str, str] | None
    lanes: Sequence[Lane]
    value: str
    interval: str | None
    chance: str | None
    p_value: str | None
    is_told: bool | None
    is_main: bool

    @property
    def digits(self) -> int:
        return digits(self.figure)

    @property
    def is_blind(self) -> bool:
        """Even the true partners are no better than chance, so the measure cannot judge."""
        return is_partner_at_chance(self.figure)

    def reference(self, kind: str) -> Lane | None:
        """Return what the measure gives of other images, if it says something of them."""
        return next((lane for lane in self.lanes if lane.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Measures that answer one question."""

    key: str
    title: str
    lede: str
    rows: Sequence[Row]

    @property
    def kinds(self) -> list[str]:
        """The kinds of lanes that its rows have."""
        found = {lane.kind for row in self.rows for lane in row.lanes}
        return [kind for kind in ("subject", *REFERENCES) if kind in found]

    @property
    def marked(self) -> str | None:
        """What a reader has to know of all of them alike."""
        marks = {row.figure.marked for row in self.rows if row.axis}
        return marks.pop() if len(marks) == 1 else None


_GROUPS = (
    (
        "chance",
        "Can the images be told from chance?",
        "Each measure pairs images with clips, true images or labels, so shuffling them shows what chance gives.",
    ),
    (
        "real",
        "Are they like real images?",
        "Each measure compares all images with all real images of the split; it knows nothing of the music.",
    ),
    ("alone", "How do they differ among themselves?", "Measures of the images alone."),
)


def main_figure(result: Result) -> Figure | None:
    """Return the measure that decides, else the first that has a value."""
    known = [figure for figure in result.figures if figure.estimate and figure.estimate.value is not None]
    return next((figure for figure in known if figure.chance), known[0] if known else None)


def groups(result: Result) -> list[Group]:
    """Return the measures by what they answer, in the order of the result."""
    main = main_figure(result)
    corrected = told_apart([figure for figure in result.figures if figure.chance and figure is not main])
    by_key: dict[str, list[Row]] = {}
    for figure in result.figures:
        is_told = is_better_than_chance(figure) if figure is main else figure.name in corrected
        is_of_pairs = figure.chance or all(role.startswith("pairing.") for role in figure.networks)  # or was refused
        key = "chance" if is_of_pairs else "real" if figure.n_real else "alone"
        by_key.setdefault(key, []).append(_row(figure, result, is_told, figure is main))
    return [Group(key, title, lede, by_key[key]) for key, title, lede in _GROUPS if key in by_key]


def hero(result: Result) -> Forest | None:
    """Return the main measure with everything that it is compared with; of a data set alone, how well it is probed."""
    if result.subject.kind == "data":
        return _probed(result.quality.probes) if result.quality and result.quality.probes else None
    figure = main_figure(result)
    if figure is None:
        return None
    scale = _axis(figure, _compared(figure))
    subject = lane("subject", SUBJECTS[result.subject.kind], figure.estimate, scale, digits(figure))
    chance = [lane("shuffled", SHUFFLED, _as_estimate(figure.chance), scale, digits(figure))] if figure.chance else []
    before, after = _references(figure, scale, ("other_label",)), _references(figure, scale, ("same_label", "partner"))
    return Forest(figure.title, scale, [*chance, *before, subject, *after], _band(figure.chance, scale))


def by_label(result: Result) -> Iterator[Forest]:
    """Yield each measure that tells labels apart, a lane for each label and one for all of them."""
    names = result.data.label_names
    for figure in result.figures:
        if not figure.by_label or figure.estimate is None:
            continue
        estimates = [each.estimate for each in figure.by_label]
        chance = figure.chance.interval if figure.chance else ()
        scale = _axis(figure, [*ends(figure.estimate, *estimates), *chance])
        lanes = [
            lane("one", f"{names[each.label]} ({each.estimate.n:,})", each.estimate, scale, digits(figure))
            for each in figure.by_label
        ]
        whole = lane("subject", f"All labels ({figure.estimate.n:,})", figure.estimate, scale, digits(figure))
        yield Forest(figure.title, scale, [whole, *lanes], _band(figure.chance, scale))


def probe(found: Probe) -> Forest:
    """Return how well labels are told from one side, beside chance."""
    scale = Axis(0.0, 100.0)
    chance = _percent(_as_estimate(found.chance))
    lanes = [
        lane("shuffled", SHUFFLED, chance, scale, 1),
        lane("subject", "Told right, %", _percent(found.accuracy), scale, 1),
    ]
    low, high = found.chance.interval
    return Forest(f"Labels from {_side(found)}", scale, lanes, scale.span((100 * low, 100 * high)))


def _probed(probes: Sequence[Probe]) -> Forest:
    scale = Axis(0.0, 100.0)
    lanes = []
    for each in probes:
        lanes.append(
            lane(
                "shuffled",
                f"{_side(each).capitalize()}, shuffled labels",
                _percent(_as_estimate(each.chance)),
                scale,
                1,
            )
        )
        lanes.append(lane("subject", f"Labels from {_side(each)}", _percent(each.accuracy), scale, 1))
    return Forest("Labels told right, %", scale, lanes)


def _side(found: Probe) -> str:
    return "images" if found.side == "image" else "music"


def _percent(estimate: Estimate) -> Estimate:
    if estimate.value is None:
        return estimate
    ends = estimate.interval and (100 * estimate.interval[0], 100 * estimate.interval[1])
    return Estimate(value=100 * estimate.value, interval=ends, n=estimate.n)


def _row(figure: Figure, result: Result, is_told: bool, is_main: bool) -> Row:
    estimate = figure.estimate
    if estimate is None or estimate.value is None:
        return Row(figure, None, None, (), "refused" if figure.refused else "unknown", None, None, None, None, is_main)
    scale = _axis(figure, _compared(figure))
    subject = lane("subject", SUBJECTS[result.subject.kind], estimate, scale, digits(figure))
    chance = figure.chance
    return Row(
        figure,
        scale,
        _band(chance, scale),
        [subject, *_references(figure, scale, REFERENCES)],
        number(estimate.value, digits(figure)),
        interval(estimate, digits(figure)),
        number(chance.value, digits(figure)) if chance else None,
        p_value(chance.p_value) if chance else None,
        is_told if chance else None,
        is_main,
    )


def _axis(figure: Figure, values: Iterable[float]) -> Axis:
    bounds = -inf if figure.low is None else figure.low, inf if figure.high is None else figure.high
    return axis(values, digits(figure), is_flipped=figure.better == "lower", bounds=bounds)


def _compared(figure: Figure) -> list[float]:
    """Return what the axis of a measure and of all that it is compared with has to hold."""
    chance = (figure.chance.value, *figure.chance.interval) if figure.chance else ()
    return [*ends(figure.estimate, *(figure.rows.get(name) for name in REFERENCES)), *chance]


def _references(figure: Figure, scale: Axis, names: Iterable[RowName]) -> list[Lane]:
    found = [(name, figure.rows.get(name)) for name in names]
    return [lane(name, REFERENCES[name], row, scale, digits(figure)) for name, row in found if row is not None]


def _band(chance: Chance | None, scale: Axis) -> tuple[str, str] | None:
    return scale.span(chance.interval) if chance else None


def _as_estimate(chance: Chance) -> Estimate:
    return Estimate(value=chance.value, interval=chance.interval, n=chance.permutations)
