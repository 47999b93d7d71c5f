"""The pages of a publication: the card, NOTICE, croissant.json, rule_set.json and the manifest.

What a person wrote into the card that is there stays; only the tables in it, and what `datasets` reads above it, follow
the release.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from curation.card import CONFIGS, own_header, prose, suggested_header
from curation.card.counts import Pairs, counted, most_credited
from curation.card.header import NO_PAGE, Page, divided, merged
from curation.card.markers import Parts, filled, names, parts, without_tables
from curation.card.snippets import Place
from curation.card.tables import MAX_ATTRIBUTIONS, Size, Subject, tables
from curation.memory import SPLITS
from curation.publishing import croissant, manifest, notice
from curation.publishing.lawful import Chosen
from curation.publishing.manifest import Manifest, PublishedFile
from curation.releases import PublishedRules, Release
from curation.store import Home, file_sha256
from rules.errors import ConfigurationError

CARD, RULES = "README.md", "rule_set.json"
NAMES = (CARD, notice.NAME, croissant.NAME, RULES, manifest.NAME)


@dataclass(frozen=True, slots=True)
class Contents:
    """A publication as its pages speak of it.

    Attributes:
        files: the Parquet files by their names.
        location: what `load_dataset` takes: owner/name, a folder, the address of a folder.
        revision: as v3 on the Hub; None where the location itself holds one version.
        homepage: what a person opens.
    """

    release: Release
    rule_set: PublishedRules
    chosen: Chosen
    files: Mapping[str, PublishedFile]
    location: str
    revision: str | None
    homepage: str


@dataclass(frozen=True, slots=True)
class Card:
    """The README.md that is there now.

    Attributes:
        manifest: that is there with it, if artune published there.
        where: it is, for messages.
    """

    content: bytes
    manifest: Manifest | None
    where: str


@dataclass(frozen=True, slots=True)
class Pages:
    """What was written.

    Attributes:
        paths: of the files, by their names in the publication.
        hand_edited: text of a person was kept.
        tables_left_out: that have no place in the text of that person.
    """

    paths: Mapping[str, Path]
    manifest: Manifest
    hand_edited: bool
    tables_left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renewed:
    """A card to publish.

    Attributes:
        prose_sha256: of artune's own words.
        hand_edited: it has a person's.
        tables_left_out: that have no place in these.
    """

    text: str
    prose_sha256: str
    hand_edited: bool
    tables_left_out: tuple[str, ...]


def check(there: Card) -> None:
    """Refuse a card that `write` could not work on.

    Raises:
        ConfigurationError: it is not UTF-8, its header or its markers are broken, or artune did not write it.
    """
    _divided(there)


@contextmanager
def scratch(contents: Contents) -> Iterator[Path]:
    """Give a folder for pages on the disk of the work folder, for NOTICE may be large; what a kill leaves is swept."""
    folder = Home(contents.release.folder.parents[1]).temporary()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(contents: Contents, there: Card | None, folder: Path) -> Pages:
    """Write the pages of a publication into a folder; the same contents and card give the same bytes.

    Args:
        there: the card of an earlier version, or of this one.

    Raises:
        ConfigurationError: as `check`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in NAMES}
    chosen, release, rule_set = contents.chosen, contents.release, contents.rule_set
    pairs = Pairs(release.folder, rule_set.numbering, chosen.embedded, chosen.excluded)
    subject = _subject(contents, pairs, folder)
    card = renewed(subject, there)
    paths[CARD].write_text(card.text, encoding="utf-8")

    published = sorted({license for (_, license, _), count in subject.counts.licenses.items() if count.embedded})
    notice.write(pairs, published, rule_set, release.number, paths[notice.NAME])
    paths[RULES].write_text(_public_rules(release), encoding="utf-8")
    files = dict(contents.files) | {name: _described(paths[name]) for name in (notice.NAME, RULES)}
    croissant.write(subject, files, published, paths[croissant.NAME])
    files[croissant.NAME] = _described(paths[croissant.NAME])

    written = Manifest(
        data_set=rule_set.name,
        release=release.number,
        inputs=release.manifest["inputs"],
        rules_digest=rule_set.digest,
        seed=rule_set.seed,
        code=manifest.VERSION,
        buckets=release.manifest["buckets"],
        pairs=_pairs(subject),
        files=dict(sorted(files.items())),
        prose_sha256=card.prose_sha256,
    )
    paths[manifest.NAME].write_bytes(manifest.written(written))
    return Pages(paths, written, card.hand_edited, card.tables_left_out)


def _public_rules(release: Release) -> str:
    """Return a release's rules without what a curator decided of single items: that names those that are out, too."""
    values = json.loads((release.folder / RULES).read_text(encoding="utf-8"))
    values.pop("overrides", None)
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _described(path: Path) -> PublishedFile:
    return PublishedFile(file_sha256(path), path.stat().st_size)


def _subject(contents: Contents, pairs: Pairs, scratch: Path) -> Subject:
    return Subject(
        release=contents.release,
        rule_set=contents.rule_set,
        place=Place(contents.location, contents.revision, contents.homepage),
        sizes={config: _sizes(contents.files, name) for config, name in CONFIGS.items()},
        counts=counted(pairs),
        credited=most_credited(pairs, MAX_ATTRIBUTIONS, scratch),
        excluded=len(contents.chosen.excluded),
    )


def _sizes(files: Mapping[str, PublishedFile], folder: str) -> dict[str, Size]:
    found = {}
    for split in SPLITS:
        of_split = [file for name, file in files.items() if name.startswith(f"{folder}/{split}-")]
        if of_split:
            rows, size_bytes = sum(file.rows for file in of_split), sum(file.size_bytes for file in of_split)
            found[split] = Size(rows, size_bytes, len(of_split))
    return found


def _pairs(subject: Subject) -> dict[str, dict[str, int]]:
    per_pair = {"references": 2}
    return {
        config: {split: size.rows // per_pair.get(config, 1) for split, size in sizes.items()}
        for config, sizes in subject.sizes.items()
    }


def renewed(subject: Subject, there: Card | None) -> Renewed:
    """Return the card of a subject, with what a person wrote into the one that is there.

    Raises:
        ConfigurationError: as `check`.
    """
    own, suggested = own_header(subject), suggested_header(subject)
    fresh = parts(f"\n{prose(subject.rule_set)}", "dataset_card.md")
    page, found = _divided(there) if there else (NO_PAGE, ())
    body = found if there and _is_edited(found, there.manifest) else fresh

    is_known = page.header is not None and there is not None and there.manifest is not None
    header = merged(page, own, {} if is_known else suggested)  # what is known and lacks, a person took out
    told = tables(subject, CONFIGS)
    others = {key: value for key, value in page.values.items() if key not in own}
    return Renewed(
        text=header + filled(body, told),
        prose_sha256=_digest(fresh),
        hand_edited=body is not fresh or (page.header is not None and others != suggested),
        tables_left_out=tuple(sorted(set(told) - set(names(body)))),
    )


def _divided(there: Card) -> tuple[Page, Parts]:
    """Return a card by its parts: header and text, and that by a person's words and the tables."""
    page = divided(there.content, there.where)
    found = parts(page.body, there.where, page.first_line)
    if page.body.strip() and there.manifest is None and not names(found):
        raise ConfigurationError(
            f"{there.where}: expected a card of artune, or none: this one has text, and no line "
            "<!-- artune:begin labels --> that tells where tables go. Put the pairs of such lines of dataset_card.md "
            "where you want them, or delete the text below its header"
        )
    return page, found


def _is_edited(found: Parts, known: Manifest | None) -> bool:
    """Say whether a text is a person's: there is one, and it is not what artune wrote last time."""
    return bool(without_tables(found).strip()) and (known is None or _digest(found) != known.prose_sha256)


def _digest(found: Parts) -> str:
    """Return the digest of a text without its tables; blank lines around it do not count."""
    return hashlib.sha256(without_tables(found).strip().encode()).hexdigest()
