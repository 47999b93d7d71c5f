"""An evaluation in Markdown: evaluation.md, and a shorter word for the card of a model."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from curation.markdown import escaped, shortened, table
from evaluation.result import (
    PAGE,
    Estimate,
    Figure,
    Leak,
    LeakCheck,
    Memorization,
    NetworkFacts,
    Probe,
    Quality,
    Result,
    RowName,
)
from evaluation.statistics.replicates import LEAST_RECORDINGS
from evaluation.telling.verdict import verdict
from evaluation.telling.wording import STAND_IN, digits, made_by, number, p_value, with_interval

MAX_LABELS = 50  # that have a row
MAX_CONFUSED = 5
MAX_ON_CARD = 6  # figures
_ROWS: Mapping[RowName, str] = {
    "shuffled": "Shuffled",
    "other_label": "Other label",
    "same_label": "Same label",
    "partner": "True partner",
}
_ARROWS = {"higher": "↑", "lower": "↓", None: ""}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def markdown(result: Result) -> str:
    """Return evaluation.md."""
    sections = [
        f"# Evaluation of {escaped(result.subject.name)}",
        *_verdict(result),
        _what(result),
        *_figures(result),
        *_by_label(result),
        *(_memorization(result.memorization) if result.memorization else ()),
        *(_quality(result.quality, result.data.label_names) if result.quality else ()),
        *_networks(result),
        *_left_out(result),
        *_how_to_read(result),
    ]
    return "\n\n".join(sections) + "\n"


def card(result: Result) -> str:
    """Return what the card of a model says of its evaluation."""
    shown = [figure for figure in result.figures if figure.estimate is not None]
    first = list({figure.metric: figure for figure in reversed(shown)}.values())[::-1]  # of each metric
    paired, others = ([one for one in first if (one.chance is None) is is_bare] for is_bare in (False, True))
    chosen = [*paired[: MAX_ON_CARD - 2], *others[:2]]
    notes = _Notes(result.networks)
    sections = [*_verdict(result), _sample(result)]
    if chosen:
        sections += [_table(chosen, ("shuffled", "same_label", "partner"), notes), *notes.text()]
    names = ", ".join(dict.fromkeys(f"{facts.role}: {facts.name}" for facts in result.networks))
    return "\n\n".join([*sections, f"Features by {escaped(names)}."] if names else sections)


@dataclass(slots=True)
class _Notes:
    """Footnotes: figures that share one share its number.

    Attributes:
        networks: of the evaluation; whose they are stands in a note and not in the title of each figure.
    """

    networks: Sequence[NetworkFacts]
    told: list[str] = field(default_factory=list)

    def title(self, figure: Figure) -> str:
        return escaped(figure.title.removesuffix(self._made_by(figure)))

    def of_networks(self, figure: Figure) -> str:
        made_by = self._made_by(figure)
        return self.mark(f"features{made_by}") if figure.title.endswith(made_by) else ""

    def _made_by(self, figure: Figure) -> str:
        return made_by(facts for role in figure.networks for facts in self.networks if facts.role == role)

    def mark(self, note: str | None) -> str:
        if note is None:
            return ""
        if note not in self.told:
            self.told.append(note)
        return " " + str(self.told.index(note) + 1).translate(_SUPERSCRIPTS)

    def text(self) -> list[str]:
        lines = [f"{str(place).translate(_SUPERSCRIPTS)} {_first(note)}." for place, note in enumerate(self.told, 1)]
        return ["  \n".join(lines)] if lines else []


def _first(note: str) -> str:
    text = escaped(note)
    return text[:1].upper() + text[1:]


def _verdict(result: Result) -> Iterator[str]:
    found = verdict(result)
    yield f"**{escaped(found.sentence)}** {escaped(found.detail)}"
    if found.cautions:
        yield "\n".join(f"> - **Caution:** {escaped(caution)}" for caution in found.cautions)


def _what(result: Result) -> str:
    subject, data = result.subject, result.data
    rows = [("Data set", f"{escaped(data.data_set or data.where)} {escaped(data.version) or '(no version)'}")]
    if data.digest or data.commit:
        rows.append(("Its digest", escaped(data.digest or data.commit)))
    if subject.kind != "data":
        rows += [
            ("Split", escaped(data.split) + (", **which models are trained on**" if data.was_trained_on else "")),
            ("Sample", _sample(result)),
        ]
    if subject.checkpoint is not None:
        of_epoch = f", epoch {subject.epoch}" if subject.epoch is not None else ""
        rows.append(("Checkpoint", f"{escaped(subject.checkpoint)}{of_epoch}"))
    if subject.recipe is not None:
        rows.append(("Recipe", escaped(subject.recipe)))
    if subject.model_sha256 is not None:
        rows.append(("Model", subject.model_sha256))
    if subject.steps is not None:
        rows.append(("Drawn in", f"{subject.steps} steps, guidance {subject.guidance:g}"))
    rows.append(("Seed", str(result.seed)))
    return table(["", ""], rows)


def _sample(result: Result) -> str:
    data = result.data
    of_all = f" of the {data.available:,} in the split" if data.available != data.n else ", all of the split"
    return f"**{data.n:,} clips of {data.recordings:,} recordings**{of_all}; {data.n_real:,} real images"


def _figures(result: Result) -> Iterator[str]:
    notes = _Notes(result.networks)
    paired = [figure for figure in result.figures if figure.n_real is None and (figure.chance or figure.refused)]
    others = [figure for figure in result.figures if figure not in paired]
    if paired:
        yield "## Does an image fit its clip?"
        yield (
            "Shuffled partners are the floor, true partners the ceiling. Images as good as other real ones of the same "
            "label show the label, and need not show anything else of the clip."
        )
        yield _table(paired, tuple(_ROWS), notes)
    if others:
        yield "## Is it like real images?"
        yield (
            "These measures know nothing of the music. Other real images, of whichever label, are the ceiling; where "
            "there is no value, they are among the real images compared with."
        )
        yield _table(others, ("other_label", "same_label", "partner"), notes)
    yield from notes.text()


def _table(figures: Sequence[Figure], rows: Sequence[RowName], notes: _Notes) -> str:
    has_p, has_real = any(one.chance for one in figures), any(one.n_real is not None for one in figures)
    head = ["Measure", "Value (95 %)", *(_ROWS[row] for row in rows), *(["p"] if has_p else [])]
    head += ["Clips (recordings)", *(["Real images"] if has_real else [])]
    lines = []
    for figure in figures:
        mark = notes.mark(f"refused: {figure.refused}" if figure.refused else figure.marked)
        is_known = figure.estimate is not None
        value = with_interval(figure.estimate, digits(figure)) if is_known else "refused"
        line = [
            f"{notes.title(figure)} {_ARROWS[figure.better]}{notes.of_networks(figure)}".rstrip(),
            f"**{value}**{mark}",
        ]
        line += [_of_row(figure, figure.rows.get(row)) for row in rows]
        line += [p_value(figure.chance.p_value) if figure.chance else ""] if has_p else []
        line += [f"{figure.estimate.n:,} ({figure.groups:,})" if figure.estimate else ""]
        line += ["" if figure.n_real is None else f"{figure.n_real:,}"] if has_real else []
        lines.append(line)
    return table(head, lines)


def _of_row(figure: Figure, estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ""
    is_of_all = figure.estimate is not None and figure.estimate.n == estimate.n
    return number(estimate.value, digits(figure)) + ("" if is_of_all else f" (of {estimate.n:,})")


def _by_label(result: Result) -> Iterator[str]:
    figures = [figure for figure in result.figures if figure.by_label]
    if not figures:
        return
    found = [{one.label: one.estimate for one in figure.by_label} for figure in figures]
    rows = []
    for count in result.data.labels[:MAX_LABELS]:
        cells = [_of_label(figure, of.get(count.label)) for figure, of in zip(figures, found, strict=True)]
        rows.append([shortened(result.data.label_names[count.label]), f"{count.n:,}", *cells])
    yield "## By label"
    yield table(["Label", "Clips", *(_Notes(result.networks).title(figure) for figure in figures)], rows)
    if len(result.data.labels) > MAX_LABELS:
        yield f"{len(result.data.labels) - MAX_LABELS:,} more labels are in evaluation.json."
    yield (
        f"Of fewer than {LEAST_RECORDINGS} recordings there is no interval. The more labels there are, the farther off "
        "some are by chance alone: these figures are to look at, not to choose by."
    )


def _of_label(figure: Figure, estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ""
    shown = digits(figure)
    return with_interval(estimate, shown) if estimate.interval else number(estimate.value, shown)


def _memorization(found: Memorization) -> Iterator[str]:
    yield "## Are images copied from training?"
    yield (
        f"**{found.copies:,} of {found.n:,} images** are nearer to one of {found.n_train:,} training images than 99 % "
        f"of real images are, or differ from one in at most {found.copy_hash_distance} of {found.hash_bits} bits of "
        f"their perceptual hashes. Of {found.n_real:,} real images of the split {found.real_copies:,} are so near: "
        "of images that copy nothing as large a share would be. Look at the nearest ones: a few copies do not raise it."
    )
    quantiles = [f"{share:.0%}" for share in found.quantiles]
    rows = [
        [name, *(number(value, 3) for value in values)]
        for name, values in (
            ("Generated", found.likeness_quantiles),
            ("Real images of the split", found.real_likeness_quantiles),
        )
    ]
    yield table(["Likeness to the nearest training image, below which lie", *quantiles], rows)


def _quality(found: Quality, label_names: Sequence[str]) -> Iterator[str]:
    yield "## The data set itself"
    if found.probes:
        yield "How well labels are told from features, by a linear classifier, each label counting alike:"
        head = ["From", "By", "Right (95 %)", "Chance", "p", "Items (groups)"]
        yield table(head, [_probe(one) for one in found.probes])
        yield from _confused(found.probes, label_names)
    if found.leaks:
        yield "Whether items of the other splits are nearly the same as training items:"
        head = ["Of", "By", "So near", "Training items so near to others", "Likeness from"]
        yield table(head, [_leaks(one) for one in found.leaks])
        nearest = [leak for check in found.leaks if check.found for leak in check.nearest]
        if nearest:
            yield "\n".join(f"- {_leak(leak)}" for leak in nearest[:MAX_CONFUSED])


def _probe(one: Probe) -> list[str]:
    right = "unknown" if one.accuracy.value is None else f"**{_percent(one.accuracy)}**"
    by = escaped(one.network) + (" (stand-in)" if one.is_stand_in else "")
    chance = f"{one.chance.value:.0%}"
    return [one.side, by, right, chance, p_value(one.chance.p_value), f"{one.n:,} ({one.groups:,})"]


def _percent(estimate: Estimate) -> str:
    between = "" if estimate.interval is None else " ({:.0%} to {:.0%})".format(*estimate.interval)
    return f"{estimate.value:.0%}{between}"


def _confused(probes: Sequence[Probe], label_names: Sequence[str]) -> Iterator[str]:
    """Yield which labels are most often taken for which."""
    for probe in probes:
        names = [shortened(label_names[label]) for label in probe.labels]
        cells = [
            (taken / sum(row), f"{names[true]} for {names[told]} ({taken:,} of {sum(row):,})")
            for true, row in enumerate(probe.confusion)
            for told, taken in enumerate(row)
            if true != told and taken
        ]
        most = sorted(cells, key=lambda cell: -cell[0])[:MAX_CONFUSED]  # stable: ties stay in order of labels
        if most:
            yield f"Most often taken for each other by {probe.side}: {'; '.join(cell for _, cell in most)}."


def _leaks(one: LeakCheck) -> list[str]:
    by = escaped(one.network) + (" (stand-in)" if one.is_stand_in else "")
    found = f"**{one.found:,} of {one.n:,}**"
    return [one.side, by, found, f"{one.own_found:,} of {one.n_own:,}", number(one.threshold, 3)]


def _leak(leak: Leak) -> str:
    bits = "" if leak.hash_distance is None else f", hashes {leak.hash_distance} bits apart"
    near = f"{escaped(leak.nearest_pair_id)} of {escaped(leak.nearest_split)}"
    return f"{leak.side} {escaped(leak.pair_id)} of {escaped(leak.split)} and {near}: {number(leak.likeness, 3)}{bits}"


def _networks(result: Result) -> Iterator[str]:
    if not result.networks:
        return
    yield "## The networks that made features"
    rows = [
        [
            escaped(facts.role),
            ("**stand-in**: " if facts.is_stand_in else "") + escaped(facts.name.removeprefix(STAND_IN)),
            escaped(facts.weights),
            facts.weights_sha256[:12],
            f"{facts.width:,}",
        ]
        for facts in result.networks
    ]
    yield table(["For", "Network", "Weights", "SHA-256", "Width"], rows)


def _left_out(result: Result) -> Iterator[str]:
    if not result.left_out:
        return
    counts = Counter((one.stage, one.reason) for one in result.left_out)
    yield "## Left out"
    rows = [[escaped(stage), escaped(reason), f"{n:,}"] for (stage, reason), n in sorted(counts.items())]
    yield table(["Stage", "Reason", "Items"], rows)


def _how_to_read(result: Result) -> Iterator[str]:
    if not result.figures:
        return
    yield "## What the numbers say, and what they cannot"
    replicates = max((figure.replicates for figure in result.figures if figure.method == "bootstrap"), default=0)
    permutations = sorted({figure.chance.permutations for figure in result.figures if figure.chance})
    shuffled = " to ".join(f"{count:,}" for count in dict.fromkeys((permutations or [0])[:1] + permutations[-1:]))
    lines = [
        "**Interval**: 95 of 100 such intervals hold what as many other recordings of the same kind would give on "
        "average, at this number of images: FID, Vendi scores and precision depend on it. Whole recordings "
        f"are resampled ({replicates:,} times), for clips of one recording are alike; of FID, precision and "
        "their kin, which repeated items would spoil, a twentieth is left out in turn. It says nothing of another "
        "training of the same recipe: each clip was drawn once, by one model.",
        f"**Shuffled** and **p**: partners are exchanged between recordings, {shuffled} times; p is the share that is "
        "at least as good. Each p is of one measure: of 20 measures of nothing one is below 0.05. The verdict is that "
        "of the first measure, and corrects the others for their number.",
        "**Other label**, **same label**, **true partner**: the same measure of real images in the place of the "
        "generated ones: a random image of another label, one of the right label, the clip's own. The first two are of "
        "the split train. So many items as are in brackets have one, where not all do.",
        "A measure by which true partners are no better than shuffled ones cannot judge a model, whatever it shows.",
        "FID falls as there are more images: compare it with nothing but as many of both. KID does not depend on it.",
        "Two runs are compared by `artune compare`, which resamples their difference: intervals that overlap do not "
        "say that the runs are equal.",
    ]
    yield "\n".join(f"- {line}" for line in lines)
    yield f"Images, curves and every number: [{PAGE}]({PAGE})."
