"""What an evaluation says in a sentence: whether images can be told from chance, and what to doubt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluation.result import Figure, Probe, Result
from evaluation.statistics.replicates import FEW_RECORDINGS
from evaluation.telling.wording import digits, number, p_value, with_interval

LEVEL = 0.05  # of all tests: how often chance may be taken for something else
NETWORKS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to remember of an evaluation: plain text, with names from outside in it.

    Attributes:
        sentence: the verdict.
        detail: the numbers behind it.
        cautions: what a reader has to know before he believes it.
    """

    sentence: str
    detail: str
    cautions: tuple[str, ...]


def verdict(result: Result) -> Verdict:
    """Judge by the first measure with a chance level, as `artune compare` does; the others are corrected for."""
    tested = [figure for figure in result.figures if figure.chance and figure.estimate]
    if result.subject.kind == "data":
        sentence, detail = _of_data(result.quality.probes if result.quality else [])
    elif tested:
        sentence, detail = _of_images(tested[0], tested[1:])
    else:
        sentence = "Whether the images follow the music cannot be told."
        detail = "No measure of this evaluation compares them with chance."
    return Verdict(sentence, detail, tuple(_cautions(result, tested)))


def told_apart(figures: Sequence[Figure]) -> set[str]:
    """Return the names of those that are better than chance at LEVEL after Holm's correction.

    Holm 1979, "A simple sequentially rejective multiple test procedure": it holds however the measures depend on
    each other, and they all see the same images.
    """
    ordered = sorted((figure.chance.p_value, figure.name) for figure in figures if figure.chance)
    found = set()
    for rank, (p, name) in enumerate(ordered):
        if p > LEVEL / (len(ordered) - rank):
            break
        found.add(name)
    return found


def is_better_than_chance(figure: Figure) -> bool:
    """Say whether a measure, taken alone, is better than shuffled partners give."""
    return figure.chance is not None and figure.chance.p_value <= LEVEL


def is_worse_than_chance(figure: Figure) -> bool:
    """Say whether nearly all shuffled partners are better: p is large then, and yet it is no matter of chance."""
    if figure.chance is None or figure.estimate is None or figure.estimate.value is None:
        return False
    low, high = figure.chance.interval
    return figure.estimate.value > high if figure.better == "lower" else figure.estimate.value < low


def share_of_way(figure: Figure, value: float) -> float | None:
    """Return how far a value is from chance, 0, to the true partner, 1; None where the partner is no ceiling."""
    partner, chance = figure.rows.get("partner"), figure.chance
    if partner is None or partner.value is None or chance is None or is_partner_at_chance(figure):
        return None
    return (value - chance.value) / (partner.value - chance.value)


def is_partner_at_chance(figure: Figure) -> bool:
    """Say whether even the true partners are no better than what shuffling gives: then the measure cannot judge.

    Both intervals have to say so: shuffling moves images that are all alike hardly at all, and the true partners, which
    are not, more than these.
    """
    partner, chance = figure.rows.get("partner"), figure.chance
    if partner is None or partner.value is None or chance is None:
        return False
    low, high = chance.interval
    least, most = partner.interval or (partner.value, partner.value)
    if figure.better == "lower":
        return partner.value >= low or most >= chance.value
    return partner.value <= high or least <= chance.value


def _of_images(main: Figure, others: Sequence[Figure]) -> tuple[str, str]:
    found = len(told_apart(others))
    rest = f"{found} of {len(others)} other measures {'is' if found == 1 else 'are'} better too" if others else ""
    if is_better_than_chance(main):
        sentence = "The images follow the music: they can be told from chance."
    elif found:
        sentence = "The images cannot be told from chance by the main measure, though they can by others."
        rest = f"{found} of {len(others)} other measures {'is' if found == 1 else 'are'} better"
    else:
        sentence = "The images cannot be told from chance."
        if is_worse_than_chance(main):
            sentence = "The images fit their music worse than shuffled music: chance alone would rarely do so."
        rest = f"nor is any of {len(others)} other measures better" if others else ""
    return sentence, f"{_numbers(main)}{f'; {rest}, after correction for their number' if rest else ''}."


def _numbers(main: Figure) -> str:
    """Return the main measure with what shuffling and the true partners give."""
    partner, beside = main.rows.get("partner"), []
    if main.chance:
        p = p_value(main.chance.p_value)
        beside.append(f"shuffling gives {number(main.chance.value, digits(main))} (p = {p})")
    if partner is not None and partner.value is not None:
        beside.append(f"the true partners {number(partner.value, digits(main))}")
    return f"{main.title}: {with_interval(main.estimate, digits(main))}, where {' and '.join(beside)}"


def _of_data(probes: Sequence[Probe]) -> tuple[str, str]:
    if not probes:
        return "The data set itself, without a model.", "Its labels were not probed."
    told = [probe.side for probe in probes if probe.chance.p_value <= LEVEL]
    if not told:
        sentence = f"Labels cannot be told from {' or from '.join(_sides(probe.side for probe in probes))}."
    else:
        missed = [probe.side for probe in probes if probe.side not in told]
        sentence = f"Labels can be told from {' and from '.join(_sides(told))}"
        sentence += f", not from {' or from '.join(_sides(missed))}." if missed else "."
    parts = [
        f"from {_side(probe.side)} {number(100 * probe.accuracy.value, 0)} % are right, by chance "
        f"{number(100 * probe.chance.value, 0)} %"
        for probe in probes
        if probe.accuracy.value is not None
    ]
    return sentence, f"{'; '.join(parts).capitalize()}." if parts else "Their accuracy is not known."


def _sides(sides: Iterator[str] | Sequence[str]) -> list[str]:
    return [_side(side) for side in sides]


def _side(side: str) -> str:
    return "images" if side == "image" else "music"


def _cautions(result: Result, tested: Sequence[Figure]) -> Iterator[str]:
    if result.subject.is_random:
        yield "The model’s networks have random weights: it can only show that the chain works."
    stand_ins = sorted({network.name for network in result.networks if network.is_stand_in})
    if stand_ins:
        named = ", ".join(stand_ins[:NETWORKS_NAMED])
        more = f" and {len(stand_ins) - NETWORKS_NAMED} more" if len(stand_ins) > NETWORKS_NAMED else ""
        yield f"Stand-in networks made features ({named}{more}): no figure of theirs is that of a published measure."
    if result.subject.kind != "data" and result.data.was_trained_on:
        yield f"The clips are of the split {result.data.split}, which models are trained on: figures flatter the model."
    trained_on, data_set = result.subject.trained_on, result.data.data_set or result.data.where
    if trained_on and trained_on != data_set:
        yield f"The model was trained on {trained_on}: whether that has clips of {data_set} is not known."
    if result.subject.kind != "data" and result.data.recordings < FEW_RECORDINGS:
        told = f"The {result.data.n:,} clips are of {result.data.recordings:,} recordings only"
        yield f"{told}: intervals are wide and rough, and little can be told from chance."
    blind = [figure.title for figure in tested if is_partner_at_chance(figure)]
    if blind:
        by = f"{len(blind)} of {len(tested)} measures" if len(tested) > 1 else blind[0]
        main = f", {blind[0]} among them" if is_partner_at_chance(tested[0]) and len(tested) > 1 else ""
        which = "they cannot judge" if len(blind) > 1 else "it cannot judge"
        yield f"By {by}{main}, even the true partners are no better than chance: {which} here."
