"""A folder of YAML and CSV files -> a RuleSet, or every mistake in it at once."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

import rules
from rules import artists, overrides
from rules.checking import conditions, contradictions, licenses, lists
from rules.errors import ConfigurationError
from rules.reading import Mistake, Node, read
from rules.schema import KINDS, RuleSet, Written
from rules.spelling import closest, fold
from rules.validating import did_you_mean, known_keys, translated

# file -> its top-level keys
_SETTINGS, _LABELS, _VOCABULARY, _MODELS = "settings.yaml", "labels.yaml", "vocabulary.yaml", "models.yaml"
_COLLECT, _LICENSES = "collect.yaml", "licenses.yaml"
_HOME_OF = {
    "labels": _LABELS,
    "retired_labels": _LABELS,
    "vocabulary": _VOCABULARY,
    "models": _MODELS,
    "collect": _COLLECT,
    "licenses": _LICENSES,
}
_OPTIONAL = (_MODELS, _COLLECT, _LICENSES, artists.FILE, *overrides.FILES)
_EVIDENCE = (_VOCABULARY, artists.FILE, _MODELS, _COLLECT, _LICENSES)  # what a rule set may take from another one


def load_folder(folder: Path) -> RuleSet:
    """Read a rule set from its folder.

    Raises:
        ConfigurationError: one line `file:line: value: expected ...` for every mistake, by file and line.
    """
    root, unread, mistakes = _read_files(folder)
    spellings = _read_vocabulary(root["vocabulary"], mistakes)
    if spellings:  # without a vocabulary, every word would seem wrong
        _settle_words(root, spellings, mistakes)
    mistakes += [*contradictions(root), *licenses(root)]
    if _place(folder, _COLLECT, root.entries(), []) == folder / _COLLECT:
        _settle_labels(root, mistakes)
        mistakes += lists(root)
    else:
        _forget_labels(root)
    tables = _read_tables(root, folder, spellings, mistakes)
    try:
        written = {key: node.plain() for key, node in root.entries().items()}
        rule_set = RuleSet.model_validate(written | tables)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            # a list whose entries are wrong is "too short" for pydantic as well
            consequence = details["type"] == "too_short" and details["input"]
            if not consequence and _home(details["loc"]) not in unread:
                around = Node(None, str(folder / _home(details["loc"])), 1)
                mistakes.append(translated(RuleSet, root, details, around))
    if mistakes:
        raise ConfigurationError("\n".join(map(str, sorted(set(mistakes)))))
    return rule_set


def _home(loc: tuple[int | str, ...]) -> str:
    """Return the file in which a place of the model is written."""
    return _HOME_OF.get(str(loc[0]), _SETTINGS) if loc else _SETTINGS


def _read_files(folder: Path) -> tuple[Node, set[str], list[Mistake]]:
    """Return one mapping of all files, the names of the files of which nothing could be read, and the mistakes."""
    entries: dict[str, Node] = {}
    unread = set()
    mistakes: list[Mistake] = []
    for name in dict.fromkeys([_SETTINGS, *_HOME_OF.values()]):
        if name in _OPTIONAL and not _place(folder, name, entries, []).exists():
            continue
        node, wrong = read(_place(folder, name, entries, mistakes))
        mistakes += wrong
        if node is None:
            unread.add(name)
            continue
        for key, value in node.entries().items():
            if key in Written.model_fields and _home((key,)) != name:
                mistakes.append(value.mistake(key, f"this key in {_home((key,))}"))
            elif key not in Written.model_fields:
                mistakes.append(value.mistake(key, known_keys(key, _keys_of(name))))
            else:
                entries[key] = value
    known = [*dict.fromkeys([_SETTINGS, *_HOME_OF.values(), *_OPTIONAL])]
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml"), *folder.glob("*.csv")]):
        if path.name not in known:
            expected = f"only {', '.join(known)}: nothing reads this file"
            mistakes.append(Mistake(str(path), 1, path.name, expected))
    return Node(entries, str(folder / _SETTINGS), 1), unread, mistakes


def _place(folder: Path, name: str, settings: dict[str, Node], mistakes: list[Mistake]) -> Path:
    """Return where a file of the rule set is: in its folder, or in that of the rule set whose evidence it takes."""
    other = settings.get("evidence_of")
    if other is None or name not in _EVIDENCE or (folder / name).exists():
        return folder / name
    if other.text() not in rules.names():  # a text from outside is never a path
        mistakes.append(
            other.mistake(f"evidence_of: {other.plain()}", f"a rule set of artune: {', '.join(rules.names())}")
        )
        return folder / name
    return Path(__file__).parent / str(other.text()) / name


def _keys_of(file: str) -> list[str]:
    return [key for key in Written.model_fields if _home((key,)) == file]


def _read_vocabulary(vocabulary: Node, mistakes: list[Mistake]) -> dict[tuple[str, str], str]:
    """Return (kind, folded spelling) -> word, and note the spellings that two words claim."""
    spellings: dict[tuple[str, str], str] = {}
    claims: dict[tuple[str, str], Node] = {}
    for kind, words in vocabulary.entries().items():
        for name, word in words.entries().items():
            for node in [Node(name, word.file, word.line), *word["aliases"].elements()]:
                spelling = node.text() or ""
                key = kind, fold(spelling)
                if spellings.setdefault(key, name) != name:
                    where = f"a spelling of one {kind} only: {spellings[key]} has it on line {claims[key].line}"
                    mistakes.append(node.mistake(spelling, where))
                claims.setdefault(key, node)
    return spellings


def _read_tables(
    root: Node, folder: Path, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]
) -> dict[str, BaseModel]:
    """Return what stands in the files of artists and overrides, if they are there."""
    tables: dict[str, BaseModel] = {}
    path = _place(folder, artists.FILE, root.entries(), [])
    if path.exists():
        tables["artists"], wrong = artists.read(path, spellings)
        mistakes += wrong
    labels = {
        label["name"].text() or "": list(label["music"]["sub_genres"].entries()) for label in root["labels"].elements()
    }
    tables["overrides"], wrong = overrides.read(folder, spellings, labels)
    mistakes += wrong
    return tables


def _settle_words(root: Node, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    """Replace each word of the rules by its name in the vocabulary; note the words that it does not have."""
    _settle_tags(root, spellings, mistakes)
    _settle_lists(root, spellings, mistakes)
    for label in root["labels"].elements():
        for clause in conditions(label["image"], label["look_first"], label["music"]):
            for kind in KINDS:
                _settle_list(clause[kind], kind, spellings, mistakes)
        _settle_list(label["music"]["features"], "music_feature", spellings, mistakes)
        _settle_keys(label["music"]["sub_genres"], "sub_genre", spellings, mistakes)


def _settle_tags(root: Node, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    """Do so with the tags that follow from words, and with those of the answers of models."""
    words = [word for words in root["vocabulary"].entries().values() for word in words.entries().values()]
    questions = [q for model in root["models"].entries().values() for q in model["questions"].entries().values()]
    answers = [answer for question in questions for answer in question["answers"].entries().values()]
    for tags in [*(word["implies"] for word in words), *(answer["tags"] for answer in answers)]:
        for kind, tag in tags.entries().items():
            _settle(tag, kind, spellings, mistakes)
    for kind, known in (entry for answer in answers for entry in answer["known_by"].entries().items()):
        _settle_list(known, kind, spellings, mistakes)


def _settle_lists(root: Node, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    """Do so with what is true of the lists of sources: a word or several of a kind."""
    for entry in _entries(root):
        for kind, words in entry["tags"].entries().items():
            _settle(words, kind, spellings, mistakes)
            _settle_list(words, kind, spellings, mistakes)


def _settle_labels(root: Node, mistakes: list[Mistake]) -> None:
    """Replace each label of the lists of sources by its name; note those that the rule set does not have."""
    names = {fold(name): name for label in root["labels"].elements() if (name := label["name"].text()) is not None}
    for entry in _entries(root):
        label = entry["label"]
        if (written := label.text()) is None:
            continue
        label.value = names.get(fold(written), written)
        if label.value not in names.values():
            hint = did_you_mean(closest(written, names.values()))
            mistakes.append(label.mistake(written, f"a label of {_LABELS}{hint}"))


def _forget_labels(root: Node) -> None:
    """Take the labels out of lists that were written for another rule set: here their tags say what they may fill."""
    for entry in _entries(root):
        entry.entries().pop("label", None)


def _entries(root: Node) -> Iterator[Node]:
    """Yield the entries of collect.yaml."""
    for entries in root["collect"].entries().values():
        yield from entries.elements()


def _settle(node: Node, kind: str, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    spelling = node.text()
    if spelling is None or kind not in KINDS:  # the model says what is wrong with it
        return
    if (kind, fold(spelling)) in spellings:
        node.value = spellings[kind, fold(spelling)]
    else:
        alike = closest(spelling, [folded for of_kind, folded in spellings if of_kind == kind])
        suggestions = did_you_mean(list(dict.fromkeys(spellings[kind, folded] for folded in alike)))
        mistakes.append(node.mistake(spelling, f"a {kind} of {_VOCABULARY}{suggestions}"))


def _settle_list(words: Node, kind: str, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    seen = set()
    for node in words.elements():
        written = node.text()
        _settle(node, kind, spellings, mistakes)
        if node.text() in seen:
            mistakes.append(node.mistake(written, f"each {kind} once in a list"))
        seen.add(node.text())


def _settle_keys(words: Node, kind: str, spellings: dict[tuple[str, str], str], mistakes: list[Mistake]) -> None:
    settled: dict[str, Node] = {}
    for written, value in words.entries().items():
        node = Node(written, value.file, value.line)
        _settle(node, kind, spellings, mistakes)
        name = node.text() or written
        if name in settled:
            mistakes.append(node.mistake(written, f"each {kind} once: it stands on line {settled[name].line} already"))
        settled.setdefault(name, value)
    if settled:
        words.value = settled
