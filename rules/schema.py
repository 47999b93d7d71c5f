"""What a rule set is. `python -m rules.schema` writes the JSON Schema that editors check the YAML files with."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from rules.artists import Artists
from rules.collecting import Query, queries
from rules.errors import ConfigurationError
from rules.licenses import Licenses
from rules.models import Models
from rules.overrides import Overrides
from rules.spelling import closest, fold, tidy

Kind = Literal["style", "genre", "century", "nationality", "continent", "sub_genre", "music_feature"]
KINDS: tuple[str, ...] = get_args(Kind)
# What else a clause may ask for: numbers of an item, and the source that lists it.
NUMBERS = ("year", "width_px", "height_px", "duration_s", "loudness_lufs")
GROUPS = ("all", "any", "none")
ONLY_IMAGES = ("width_px", "height_px")
ONLY_MUSIC = ("sub_genre", "music_feature", "duration_s", "loudness_lufs")

MAX_NAME_CHARS = 100
MAX_LIST_CHARS = 300  # what a source is asked: a search of a dozen words, a path, an id
SHARE_TOLERANCE = 1e-9  # 0.8 + 0.1 + 0.1 is not exactly 1 in binary


Name = Annotated[str, Field(strict=True, max_length=MAX_NAME_CHARS), AfterValidator(tidy)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Words = Annotated[tuple[Name, ...], Field(min_length=1)]
OneOrMore = Annotated[
    Words,
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
SourceName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=MAX_NAME_CHARS)]


Step = tuple[str, tuple["Clause", ...]]  # all, any or none, and what stands there
Demand = frozenset[tuple[str, str]]  # of tags, as kind and word


class _Model(BaseModel):
    # Building the validators of every model at import takes longer than reading a rule set.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ImageSettings(_Model):
    """How pictures are published, and which are too small."""

    max_side_px: Annotated[Whole, Field(ge=16, le=16_384, description="longest side; larger ones shrink")] = 1024
    min_side_px: Annotated[Whole, Field(ge=1, description="pictures with a shorter side are left out")] = 160
    jpeg_quality: Annotated[Whole, Field(ge=1, le=100, description="of the published JPEG")] = 92

    @model_validator(mode="after")
    def _sides_agree(self) -> "ImageSettings":
        if self.min_side_px > self.max_side_px:
            raise ValueError(f"min_side_px to be at most max_side_px ({self.max_side_px})")
        return self


class AudioSettings(_Model):
    """How clips are cut, and which are left out."""

    sample_rate_hz: Annotated[Whole, Field(ge=8_000, le=192_000)] = 44_100
    channels: Annotated[Whole, Field(ge=1, le=2, description="1 mono, 2 stereo")] = 2
    clip_s: Annotated[Number, Field(gt=0, le=600, description="length of every clip in seconds")] = 30.0
    silence_dbfs: Annotated[Number, Field(ge=-120, lt=0, description="quieter than this is silence")] = -50.0
    max_silence_share: Annotated[Share, Field(description="a clip with more silence is left out")] = 0.5
    max_clipped_share: Annotated[Share, Field(description="a clip with more samples at full scale is left out")] = 0.01
    max_clips_per_recording: Annotated[Whole, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _whole_samples(self) -> "AudioSettings":
        if not (self.clip_s * self.sample_rate_hz).is_integer():
            raise ValueError(f"clip_s to be a whole number of samples at {self.sample_rate_hz} Hz")
        return self


class Splits(_Model):
    """The shares of the three splits, which add up to 1."""

    train: Annotated[Share, Field(gt=0)] = 0.8
    validation: Share = 0.1
    test: Share = 0.1

    @model_validator(mode="after")
    def _add_up(self) -> "Splits":
        total = self.train + self.validation + self.test
        if abs(total - 1) > SHARE_TOLERANCE:
            raise ValueError(f"train, validation and test to add up to 1, not {total:g}")
        return self


class Range(_Model):
    """The numbers from `min` to `max`, both included; one of them may be missing."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _has_room(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min to be at most max ({self.max:.10g})")
        return self

    def holds(self, number: float) -> bool:
        return (self.min is None or self.min <= number) and (self.max is None or number <= self.max)

    def __str__(self) -> str:
        if self.min is None:
            return f"at most {self.max:.10g}"
        return f"at least {self.min:.10g}" if self.max is None else f"{self.min:.10g} to {self.max:.10g}"


class _Conditional(_Model):
    all: Annotated[tuple["Clause", ...], Field(min_length=1, description="every line must hold")] = ()
    any: Annotated[tuple["Clause", ...], Field(min_length=1, description="one line is enough")] = ()
    none: Annotated[tuple["Clause", ...], Field(min_length=1, description="no line may hold")] = ()

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What has to hold, all of it: each of `all`, `any` as one, each of `none`."""
        return (
            *(("all", (clause,)) for clause in self.all),
            *((("any", self.any),) if self.any else ()),
            *(("none", (clause,)) for clause in self.none),
        )

    @cached_property
    def demands(self) -> tuple[Demand, ...]:
        """The tags of which one is needed, of each step that nothing else can meet: a quick way to say no."""
        return tuple(demand for step in self.steps if (demand := demand_of(step)))


class Clause(_Conditional):
    """One step of a condition: words of which one is enough, a range that holds the number, or a condition within."""

    style: Words = ()
    genre: Words = ()
    century: Words = ()
    nationality: Words = ()
    continent: Words = ()
    sub_genre: Words = ()
    music_feature: Words = ()
    min_confidence: Annotated[
        Share | None, Field(description="beside words: a tag that is less sure does not count")
    ] = None
    year: Annotated[Range | None, Field(description="the earliest year of the work")] = None
    width_px: Range | None = None
    height_px: Range | None = None
    duration_s: Annotated[Range | None, Field(description="of the whole recording")] = None
    loudness_lufs: Annotated[Range | None, Field(description="the median over the clips of a recording")] = None
    source: Annotated[tuple[SourceName, ...], Field(min_length=1, description="the sources that list the item")] = ()

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [key]} for key in (*KINDS, *NUMBERS, "source", *GROUPS)],
            "dependentSchemas": {"min_confidence": {"anyOf": [{"required": [kind]} for kind in KINDS]}},
        }
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Clause":
        if len(self.model_fields_set - {"min_confidence"}) != 1:
            raise ValueError(f"exactly one of {', '.join(self.asks_for())} after each dash")
        if self.min_confidence is not None and not self.kind:
            raise ValueError(f"min_confidence beside one of {', '.join(KINDS)} only")
        return self

    @classmethod
    def asks_for(cls) -> tuple[str, ...]:
        """Return the keys of which a clause has exactly one."""
        return tuple(key for key in cls.model_fields if key != "min_confidence")

    @cached_property
    def key(self) -> str:
        """What it asks for: a kind of tag, a number, `source` or a condition."""
        (key,) = self.model_fields_set - {"min_confidence"}
        return key

    @cached_property
    def kind(self) -> str | None:
        """The kind of tag it asks for; None where it asks for something else."""
        return self.key if self.key in KINDS else None

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of which one is enough; none where it asks for something else than tags."""
        return getattr(self, self.key) if self.kind else ()

    @cached_property
    def range(self) -> Range | None:
        """The range in which the number has to lie; None where it asks for something else."""
        return getattr(self, self.key) if self.key in NUMBERS else None


def demand_of(step: Step) -> Demand:
    """Return the tags of which a step needs one; none if something else may meet it."""
    group, clauses = step
    if group == "none" or not all(clause.kind for clause in clauses):
        return frozenset()
    return frozenset((clause.key, word) for clause in clauses for word in clause.words)


def _within(clauses: Iterable[Clause]) -> Iterator[Clause]:
    """Yield the clauses, and those within them."""
    for clause in clauses:
        yield clause
        yield from _within((*clause.all, *clause.any, *clause.none))


class Condition(_Conditional):
    """Holds when all that is under `all` holds, something under `any` does, and nothing under `none` does."""

    @model_validator(mode="after")
    def _says_something(self) -> "Condition":
        if not self.model_fields_set:
            raise ValueError("a condition with `all`, `any` or `none` in it")
        return self


class Music(_Conditional):
    """The recordings of a label: one of its sub-genres, one of its features, and a condition if there is one."""

    features: Words
    sub_genres: Annotated[
        Mapping[Name, Annotated[Whole, Field(ge=1)]], Field(min_length=1, description="each with its quota of clips")
    ]

    @cached_property
    def asked(self) -> tuple[Step, ...]:
        """What has to hold, all of it: the sub-genres, the features, and the steps of the condition."""
        own = Clause(sub_genre=tuple(sorted(self.sub_genres))), Clause(music_feature=self.features)
        return (*(("all", (clause,)) for clause in own), *self.steps)


class Label(_Model):
    """One class of the data set."""

    name: Annotated[Name, Field(description="a class name of the data set: users depend on it")]
    size: Annotated[Whole, Field(ge=1, description="the number of pairs aimed at, never exceeded")]
    image: Annotated[Condition, Field(description="which pictures fit")]
    look_first: Annotated[
        tuple[Clause, ...], Field(min_length=1, description="what to collect first; decides nothing, evidence names it")
    ] = ()
    music: Annotated[Music, Field(description="which recordings fit")]
    priority: Annotated[
        Whole, Field(description="an item that fits several labels goes to one of the highest priority among them")
    ] = 0
    weight: Annotated[Number, Field(gt=0, description="how much a shortage of this label counts beside others")] = 1.0
    renamed_from: Annotated[Name | None, Field(description="the name that earlier releases know this label by")] = None


class Word(_Model):
    """A word of the vocabulary: other spellings, what else it says, and the years that say it."""

    model_config = ConfigDict(json_schema_extra={"type": ["object", "null"]})  # most words need nothing more

    aliases: Words = ()
    implies: Annotated[Mapping[Kind, Name], Field(description="tags that follow from it, as kind: word")] = {}
    years: Annotated[
        tuple[Whole, Whole] | None,
        Field(description="first and last year: a year says this word where no tag of its kind does"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="after")
    def _in_order(self) -> "Word":
        if self.years and self.years[0] > self.years[1]:
            raise ValueError("years from the first to the last")
        return self


def _single(lists: Mapping[str, str]) -> Mapping[str, str]:
    if len(lists) != 1:
        raise ValueError("one list after each dash, as `search: text` or another kind that the source has")
    return lists


ListKind = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=MAX_NAME_CHARS)]
ListText = Annotated[str, Field(strict=True, max_length=MAX_LIST_CHARS), AfterValidator(tidy)]
ListOfSource = Annotated[
    Mapping[ListKind, ListText],
    Field(json_schema_extra={"minProperties": 1, "maxProperties": 1}),
    AfterValidator(_single),
]


class Lists(_Model):
    """Lists of one source, and what is true of everything in them."""

    label: Annotated[
        Name | None, Field(description="the label that they are to fill; without it, those that ask for the tags")
    ] = None
    tags: Annotated[
        Mapping[Kind, OneOrMore], Field(description="what is true of everything in the lists, as kind: word or [words]")
    ] = {}
    lists: Annotated[
        tuple[ListOfSource, ...], Field(min_length=1, description="each as kind: text, in the words of the source")
    ]

    @cached_property
    def said(self) -> tuple[tuple[str, str], ...]:
        """The tags as (kind, word)."""
        return tuple((kind, word) for kind, words in self.tags.items() for word in words)


class Written(_Model):
    """What stands in the YAML files of a rule set."""

    name: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="appears in evidence")]
    title: Name
    seed: Annotated[Whole, Field(ge=0, lt=2**63, description="changes every draw of lots")]
    image: ImageSettings = ImageSettings()
    audio: AudioSettings = AudioSettings()
    splits: Splits = Splits()
    evidence_of: Annotated[
        str | None,
        Field(
            strict=True,
            description="rule set of artune whose words, artists, models, lists and licenses serve this one too",
        ),
    ] = None
    labels: Annotated[tuple[Label, ...], Field(min_length=1, description="the classes")]
    retired_labels: Annotated[
        tuple[Name, ...], Field(description="labels of earlier releases that are no more; their numbers stay reserved")
    ] = ()
    min_confidence: Annotated[
        Share, Field(description="a tag that is less sure does not count, unless a clause says otherwise")
    ] = 0.5
    vocabulary: Annotated[Mapping[Kind, Mapping[Name, Word]], Field(description="every word, by kind")]
    models: Annotated[Models, Field(description="which models are asked what")] = Models()
    licenses: Annotated[Licenses, Field(description="what may be published under which license")] = Licenses()
    # Left out of a release and of the digest: what to look for says nothing of what was found.
    collect: Annotated[
        Mapping[SourceName, tuple[Lists, ...]], Field(exclude=True, description="which lists each source is asked for")
    ] = {}


class RuleSet(Written):
    """Everything that a curator decides about a data set."""

    artists: Artists = Artists()
    overrides: Overrides = Overrides()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The class names, in the order of labels.yaml."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def quotas(self) -> Mapping[tuple[str, str], int]:
        """How many clips each label takes of each of its sub-genres, by both names."""
        return {
            (label.name, sub_genre): quota
            for label in self.labels
            for sub_genre, quota in label.music.sub_genres.items()
        }

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of the content: comments, spellings and the order of keys do not count, every value does."""
        written = self.model_dump(mode="json", include=set(RuleSet.model_fields))  # not what a release adds to it
        content = json.dumps(written, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def queries(self, source: str, label: str | None = None) -> tuple[Query, ...]:
        """Return the lists that a source is asked for, in the order of collect.yaml.

        Args:
            label: only those that may fill it: a list of which nothing is known may hold anything.

        Raises:
            ConfigurationError: there is no such label.
        """
        if label is not None and label not in self.label_names:
            alike = closest(label, self.label_names)
            hint = f"did you mean {' or '.join(alike)}?" if alike else f"there are {', '.join(self.label_names)}"
            raise ConfigurationError(f"rule set {self.name} has no label {label!r}; {hint}")
        asked = self._queries.get(source, ())
        return tuple(query for query in asked if label is None or label in query.labels or not query.labels)

    @cached_property
    def _queries(self) -> Mapping[str, tuple[Query, ...]]:
        return queries(self)

    @cached_property
    def words(self) -> Mapping[tuple[str, str], Word]:
        """Every word of the vocabulary, by kind and name."""
        return {(kind, name): word for kind, words in self.vocabulary.items() for name, word in words.items()}

    @cached_property
    def spellings(self) -> Mapping[tuple[str, str], str]:
        """(kind, folded spelling) -> the word of the vocabulary."""
        return {
            (kind, fold(spelling)): name
            for kind, words in self.vocabulary.items()
            for name, word in words.items()
            for spelling in (name, *word.aliases)
        }

    @cached_property
    def clauses(self) -> tuple[Clause, ...]:
        """Every clause of every label, those within others too."""
        steps = [step for label in self.labels for step in (*label.image.steps, *label.music.asked)]
        written = [clause for _, clauses in steps for clause in clauses]
        return tuple(_within([*written, *(clause for label in self.labels for clause in label.look_first)]))

    @cached_property
    def decisive(self) -> frozenset[tuple[str, str]]:
        """(kind, word) of every tag that can change a fit; whether a feature or sub-genre is known at all also does."""
        asked = {(clause.kind, word) for clause in self.clauses if clause.kind for word in clause.words}
        music: tuple[Kind, ...] = ("sub_genre", "music_feature")
        return frozenset(asked | {(kind, word) for kind in music for word in self.vocabulary.get(kind, ())})

    @cached_property
    def asks_for_source(self) -> bool:
        return any(clause.source for clause in self.clauses)

    @cached_property
    def bounds(self) -> Mapping[str, tuple[float, ...]]:
        """Where a number starts or ceases to change a fit, by its key, and likewise `confidence`."""
        found: dict[str, set[float]] = {"confidence": {self.min_confidence, 1.0}}
        if self.spans:
            found["year"] = {bound for *_, first, last in self.spans for bound in (first, last)}
        for clause in self.clauses:
            if clause.range:
                ends = (clause.range.min, clause.range.max)
                found.setdefault(clause.key, set()).update(end for end in ends if end is not None)
            if clause.min_confidence is not None:
                found["confidence"].add(clause.min_confidence)
        return {key: tuple(sorted(ends)) for key, ends in found.items()}

    @cached_property
    def spans(self) -> tuple[tuple[str, str, int, int], ...]:
        """(kind, word, first year, last year) of the words that a year says."""
        return tuple(
            (kind, name, *word.years)
            for kind, words in self.vocabulary.items()
            for name, word in words.items()
            if word.years
        )


def json_schema() -> str:
    """Return the JSON Schema that serves each of a rule set's YAML files: all keys known, none of them required."""
    schema = Written.model_json_schema()
    del schema["required"]
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("rule_set.schema.json").write_text(json_schema(), encoding="utf-8")
