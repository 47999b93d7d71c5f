"""The tables of a card, as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from curation.card import snippets
from curation.card.counts import CREDITED, SIDES, Count, Counts
from curation.card.described import columns
from curation.card.snippets import LOCAL, Place
from curation.markdown import escaped, shortened, table
from curation.memory import SPLITS
from curation.releases import PublishedRules, Release
from rules.licenses import Use

# A card is read by people and stays a small file, however many sources and licenses there are.
MAX_ROWS = 50
MAX_ATTRIBUTIONS = 20
HOLDS = {
    "default": "pairs with picture and sound",
    "metadata": "all pairs, without media",
    "references": "two rows for each pair: what is needed to fetch a side again",
}
USES: dict[Use, str] = {
    "embed": "with media",
    "embed_with_attribution": "with media and whom to name",
    "reference": "as reference only",
    "exclude": "not at all",
}

Kinds = Mapping[tuple[str, ...], Count]


@dataclass(frozen=True, slots=True)
class Size:
    """What the files of one split of a config hold."""

    rows: int
    size_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What a card speaks of.

    Attributes:
        sizes: by config and split, without the splits that have no rows.
        credited: how many attributions there are, and how often each of the most frequent ones stands in a row.
        excluded: pairs of the release that are left out altogether.
    """

    release: Release
    rule_set: PublishedRules
    place: Place
    sizes: Mapping[str, Mapping[str, Size]]
    counts: Counts
    credited: tuple[int, Sequence[tuple[str, int]]]
    excluded: int = 0

    @property
    def is_local(self) -> bool:
        return self.place == LOCAL


def tables(subject: Subject, folders: Mapping[str, str]) -> dict[str, str]:
    """Return what stands between the markers of a card, by their names.

    Args:
        folders: of the files of each config.
    """
    rule_set, place = subject.rule_set, subject.place
    load = snippets.load(place, folders, {config: list(sizes) for config, sizes in subject.sizes.items()})
    fetched_again = [] if subject.is_local else [snippets.rehydrate(place)]
    return {
        "labels": labels(subject.counts, rule_set) + _left_out(subject),
        "splits": _splits(subject),
        "media": _media(rule_set),
        "load": "\n\n".join([load, _configs(subject), *fetched_again]),
        "made": _made(subject),
        "licenses": _licenses(subject),
        "attribution": _attribution(subject),
        "contact": snippets.contact(place),
        "citation": f"```bibtex\n{snippets.bibtex(place, subject.release.number, rule_set)}\n```",
    }


def labels(counts: Counts, rule_set: PublishedRules) -> str:
    """Return the pairs of each label by split, beside the number that is wanted."""
    rows = []
    for label in rule_set.labels:
        by_split = [counts.pairs.get((label.name, split), Count()) for split in SPLITS]
        rows.append([escaped(label.name), *map(_of, [_sum(by_split), *by_split]), f"{label.size:,}"])
    by_split = list(_by_split(counts).values())
    goal = sum(label.size for label in rule_set.labels)
    return table(
        ["Label", "Pairs", *SPLITS, "Goal"], [*rows, ["**all**", *map(_of, [_sum(by_split), *by_split]), f"{goal:,}"]]
    )


def shares(counts: Counts, rule_set: PublishedRules) -> str:
    """Return the pairs of each split, beside the share that is wanted."""
    wanted, total = rule_set.splits.model_dump(), max(counts.total.rows, 1)
    rows = [
        [split, _of(count), f"{count.rows / total:.1%}", f"{wanted[split]:.0%}"]
        for split, count in _by_split(counts).items()
    ]
    return table(["Split", "Pairs", "Share", "Wanted"], rows)


def _by_split(counts: Counts) -> dict[str, Count]:
    return {split: _sum(count for (_, of), count in counts.pairs.items() if of == split) for split in SPLITS}


def _of(count: Count) -> str:
    return f"{count.rows:,}" if count.embedded == count.rows else f"{count.embedded:,} of {count.rows:,}"


def _sum(counts: Iterable[Count]) -> Count:
    return sum(counts, Count())


def _left_out(subject: Subject) -> str:
    total, told = subject.counts.total, []
    if total.embedded < total.rows:
        told.append(
            f"{total.embedded:,} of {total.rows:,} pairs have their picture and sound in `default`. All of them are in "
            "`metadata` and `references`; the licenses of the others do not allow to pass their media on."
        )
    if subject.excluded:
        told.append(f"{subject.excluded:,} more pairs of the release are left out altogether, because of a license.")
    return "\n\n" + " ".join(told) if told else ""


def _splits(subject: Subject) -> str:
    lacking = [
        f"`{config}` has no rows for {' and '.join(f'`{split}`' for split in gone)}, and so no such split."
        for config, sizes in subject.sizes.items()
        if (gone := [split for split in SPLITS if split not in sizes])
    ]
    told = " ".join(["The splits are as near to what is wanted as whole groups allow.", *lacking])
    return f"{shares(subject.counts, subject.rule_set)}\n\n{told}"


def _media(rule_set: PublishedRules) -> str:
    image, audio = rule_set.image, rule_set.audio
    told = (
        f"`image` is a JPEG in sRGB, upright, at most {image.max_side_px:,} px; `audio` is a WAV file (PCM 16, "
        f"{'stereo' if audio.channels == 2 else 'mono'}), exactly {audio.clip_s:g} s at {audio.sample_rate_hz:,} Hz."
    )
    cells = [[f"`{name}`", text] for name, text in columns("default").items()]
    return f"{told}\n\n{_folded('All columns', table(['Column', 'Holds'], cells))}"


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def _configs(subject: Subject) -> str:
    rows = []
    for config, sizes in subject.sizes.items():
        count, size_bytes, files = (
            sum(getattr(size, what) for size in sizes.values()) for what in ("rows", "size_bytes", "files")
        )
        rows.append([f"`{config}`", HOLDS[config], f"{count:,}", f"{files:,}", _size(size_bytes)])
    return table(["Config", "Holds", "Rows", "Files", "Size"], rows)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:,.1f} MB"


def _made(subject: Subject) -> str:
    manifest, rule_set, counts = subject.release.manifest, subject.rule_set, subject.counts
    parent = f", after release {manifest['parent']}" if manifest.get("parent") else ""
    told = (
        f"Release {subject.release.number}{parent}: rule set `{rule_set.name}` (digest `{rule_set.digest[:16]}`), "
        f"seed {rule_set.seed}; {counts.total.rows:,} pairs from {counts.recordings:,} recordings."
    )
    tools = [[escaped(name), shortened(text)] for name, text in manifest.get("tools", {}).items()]
    folded = [_folded("Made with", table(["Tool", "Version"], tools))] if tools else []
    return "\n\n".join([told, _by_side("Source", _joined(counts.sources)), *folded])


def _joined(kinds: Kinds) -> dict[str, dict[str, Count]]:
    """Return counts of (side, text, ...) by text and side."""
    found: dict[str, dict[str, Count]] = {}
    for (side, text, *_), count in kinds.items():
        found.setdefault(text, dict.fromkeys(SIDES, Count()))[side] += count
    return found


def _by_side(title: str, found: Mapping[str, Mapping[str, Count]], more: Mapping[str, str] | None = None) -> str:
    """Return pictures and clips by a text from outside, what there is most of first.

    Args:
        more: the cell of a last column, by text.
    """
    order = sorted(found, key=lambda text: (-_sum(found[text].values()).rows, text))
    rows = [[shortened(text), *(_of(found[text][side]) for side in SIDES)] for text in order[:MAX_ROWS]]
    if rest := order[MAX_ROWS:]:
        rows.append([f"{len(rest):,} more", *(_of(_sum(found[text][side] for text in rest)) for side in SIDES)])
    if more is None:
        return table([title, "Pictures", "Clips"], rows)
    last = [more[text] for text in order[:MAX_ROWS]] + ["each as its row says"] * bool(rest)
    return table(
        [title, "Pictures", "Clips", "Published"], [[*row, cell] for row, cell in zip(rows, last, strict=True)]
    )


def _licenses(subject: Subject) -> str:
    """Return the licenses, and what is published of media under each."""
    uses: dict[str, set[Use]] = {}
    for _, license, credited in subject.counts.licenses:
        use = subject.rule_set.licenses.use(license)
        lacks_credit = use == "embed_with_attribution" and credited != CREDITED
        uses.setdefault(license, set()).add("reference" if lacks_credit else use)
    told = {license: " or ".join(text for use, text in USES.items() if use in of) for license, of in uses.items()}
    return _by_side("License", _joined(subject.counts.licenses), told)


def _attribution(subject: Subject) -> str:
    names, most = subject.credited
    if not names:
        return "No row names anybody."
    where = "" if subject.is_local else "; `NOTICE` has those that a license asks for"
    lines = [f"- {shortened(text)} ({sides:,})" for text, sides in most]
    more = [f"- and {names - len(most):,} more"] if names > len(most) else []
    return "\n".join([f"Every row has its own{where}. Named most often:", "", *lines, *more])
