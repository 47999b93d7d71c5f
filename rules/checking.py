"""What contradicts itself in well-formed rules: labels that nothing fits, classes that can never be filled."""

import math
from collections.abc import Iterable, Iterator

from rules.licenses import EMBEDDING, UNKNOWN, license_key
from rules.reading import Mistake, Node
from rules.schema import GROUPS, KINDS, NUMBERS, ONLY_IMAGES, ONLY_MUSIC, RuleSet
from rules.spelling import fold

_MIN_CONFIDENCE: float = RuleSet.model_fields["min_confidence"].default


def contradictions(root: Node) -> Iterator[Mistake]:
    """Yield what is wrong with the labels; their words are those of the vocabulary already."""
    floor = _number(root["min_confidence"])
    floor = _MIN_CONFIDENCE if floor is None else floor
    labels = root["labels"].elements()
    yield from _names(labels, root["retired_labels"].elements())
    for label in labels:
        yield from _quotas(label, floor)
        for clause in conditions(label["image"], label["look_first"]):
            yield from _impossible(clause, floor)
            yield from _foreign(clause, ONLY_MUSIC, "recordings")
        for clause in conditions(label["music"]):
            yield from _impossible(clause, floor)
            yield from _foreign(clause, ONLY_IMAGES, "pictures")


def lists(root: Node) -> Iterator[Mistake]:
    """Yield lists of sources that are there twice, and those whose music the label that they are to fill has not."""
    music = {name: label["music"] for label in root["labels"].elements() if (name := label["name"].text())}
    for entries in root["collect"].entries().values():
        yield from _twice(entries.elements())
        for entry in entries.elements():
            if (name := entry["label"].text()) in music:
                yield from _other_music(entry, name, music[name])


def licenses(root: Node) -> Iterator[Mistake]:
    """Yield licenses that are there twice, and an unknown one that is to be published."""
    first: dict[str, Node] = {}
    for use, names in root["licenses"].entries().items():
        for name in names.elements():
            if (written := name.text()) is None:
                continue
            if (earlier := first.setdefault(license_key(written), name)) is not name:
                yield name.mistake(written, f"each license once: it stands on line {earlier.line} already")
            if license_key(written) == UNKNOWN and use in EMBEDDING:
                yield name.mistake(written, "a license: where nobody knows of one, nobody said that media may go out")


def conditions(*parts: Node) -> Iterator[Node]:
    """Yield conditions, or lists of clauses, and every clause within."""
    for part in parts:
        if part.entries():
            yield part
        yield from conditions(*part.elements(), *(part[group] for group in GROUPS if group in part.entries()))


def _twice(entries: list[Node]) -> Iterator[Mistake]:
    """Yield the lists that a source is asked for already."""
    first: dict[tuple[str, str], Node] = {}
    for one in (one for entry in entries for one in entry["lists"].elements()):
        for kind, text in one.entries().items():
            if (written := text.text()) is None:
                continue
            if (earlier := first.setdefault((kind, fold(written)), text)) is not text:
                expected = f"each list once: it stands on line {earlier.line} already"
                yield text.mistake(f"{kind}: {written}", expected)


def _other_music(entry: Node, label: str, music: Node) -> Iterator[Mistake]:
    wanted = {"sub_genre": set(music["sub_genres"].entries()), "music_feature": _texts(music["features"])}
    for kind, words in wanted.items():
        said = _texts(entry["tags"][kind]) or {entry["tags"][kind].text() or ""} - {""}
        if said and said.isdisjoint(words):
            expected = f"a {kind} of the label {label}: {', '.join(sorted(words))}"
            yield entry["tags"][kind].mistake(", ".join(sorted(said)), expected)


def _names(labels: list[Node], retired: list[Node]) -> Iterator[Mistake]:
    """Yield names that two labels share, and old names that are in use."""
    now: dict[str, Node] = {}
    for name in (label["name"] for label in labels):
        if (text := name.text()) is not None and (first := now.setdefault(fold(text), name)) is not name:
            yield name.mistake(text, f"a name of its own: the label on line {first.line} has it already")
    earlier: dict[str, Node] = {}
    old_names = [(label["renamed_from"], label["name"].text()) for label in labels]
    for old, own in [*old_names, *((name, None) for name in retired)]:
        text = old.text()
        if text is None:
            continue
        same_but_case = own is not None and own != text and fold(own) == fold(text)
        if (taken := now.get(fold(text))) and not same_but_case:
            yield old.mistake(text, f"a name that no label has now: the one on line {taken.line} has it")
        elif (first := earlier.setdefault(text, old)) is not old:
            yield old.mistake(text, f"each earlier name once: it stands on line {first.line} already")


def _quotas(label: Node, floor: float) -> Iterator[Mistake]:
    """Yield quotas that cannot be filled, and those that cannot fill their class."""
    size, music = label["size"].number(), label["music"]
    quotas = music["sub_genres"].entries()
    for sub_genre, quota in quotas.items():
        if size and (quota.number() or 0) > size:
            shown = f"{sub_genre}: {quota.number()}"
            yield quota.mistake(shown, f"a quota of at most {size}, the size of its class")
        asked = Node({"sub_genre": Node([Node(sub_genre, quota.file, quota.line)], "", 0)}, quota.file, quota.line)
        if excluding := _excluding(asked, music["none"].elements(), floor):
            yield quota.mistake(sub_genre, f"a sub-genre that line {excluding.line} does not exclude")
    numbers = [quota.number() or 0 for quota in quotas.values()]
    if size and numbers and min(numbers) > 0 and sum(numbers) < size:
        shown = f"quotas of {sum(numbers)} in all"
        yield music["sub_genres"].mistake(shown, f"at least {size}, or the class cannot reach its size")


def _foreign(clause: Node, keys: Iterable[str], owner: str) -> Iterator[Mistake]:
    for key in keys:
        if key in clause.entries():
            yield clause[key].mistake(key, f"a condition on something else: only {owner} have it")


def _impossible(condition: Node, floor: float) -> Iterator[Mistake]:
    """Yield the lines that can never hold together with others of the same condition."""
    required, excluded = condition["all"].elements(), condition["none"].elements()
    for clause in required:
        if excluding := _excluding(clause, excluded, floor):
            yield clause.mistake(_key(clause), f"something that line {excluding.line} does not exclude: nothing fits")
    choices = condition["any"].elements()
    if choices and all(_excluding(clause, excluded, floor) for clause in choices):
        yield condition["any"].mistake("any", "a line that `none` does not exclude: nothing fits")
    for place, clause in enumerate(required):
        for other in required[:place]:
            if _apart(clause, other):
                yield clause.mistake(_key(clause), f"something that line {other.line} allows too: nothing fits both")


def _excluding(clause: Node, excluded: Iterable[Node], floor: float) -> Node | None:
    """Return the clause that holds whenever the other one does, if there is one among those that must not hold."""
    key = _key(clause)
    for other in excluded:
        if key != _key(other):
            continue
        covers = key in NUMBERS and _covers(_ends(other[key]), _ends(clause[key]))
        if key in (*KINDS, "source"):
            stricter = _floor(other, floor) > _floor(clause, floor)
            covers = not stricter and bool(_texts(clause[key])) and _texts(clause[key]) <= _texts(other[key])
        if covers:
            return other
    return None


def _apart(one: Node, other: Node) -> bool:
    """Say whether no number or source satisfies both; an item may have several tags of a kind, so these never part."""
    key = _key(one)
    if key != _key(other):
        return False
    if key in NUMBERS:
        (low, high), (other_low, other_high) = _ends(one[key]), _ends(other[key])
        return max(low, other_low) > min(high, other_high) and low <= high and other_low <= other_high
    return key == "source" and _texts(one[key]).isdisjoint(_texts(other[key]))


def _key(clause: Node) -> str:
    return next((key for key in clause.entries() if key != "min_confidence"), "")


def _texts(words: Node) -> set[str]:
    return {text for word in words.elements() if (text := word.text()) is not None}


def _ends(numbers: Node) -> tuple[float, float]:
    low, high = _number(numbers["min"]), _number(numbers["max"])
    return -math.inf if low is None else low, math.inf if high is None else high


def _covers(outer: tuple[float, float], inner: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _floor(clause: Node, floor: float) -> float:
    own = _number(clause["min_confidence"])
    return floor if own is None else own


def _number(node: Node) -> float | None:
    return node.value if isinstance(node.value, int | float) else None
