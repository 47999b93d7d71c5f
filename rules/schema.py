"""What a rule set is. `python -m rules.schema` writes the JSON Schema that editors check the YAML files with."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rules.spelling import fold

Kind = Literal["style", "genre", "century", "nationality", "continent", "sub_genre", "music_feature"]
KINDS: tuple[str, ...] = get_args(Kind)
ImageKind = Literal["style", "genre", "century", "nationality", "continent"]
IMAGE_KINDS: tuple[str, ...] = get_args(ImageKind)

MAX_NAME_CHARS = 100
SHARE_TOLERANCE = 1e-9  # 0.8 + 0.1 + 0.1 is not exactly 1 in binary


def _tidy(text: str) -> str:
    if text != " ".join(text.split()) or not text.isprintable() or not fold(text):
        raise ValueError("letters or digits on one line, without spaces around or doubled inside")
    return text


Name = Annotated[str, Field(strict=True, max_length=MAX_NAME_CHARS), AfterValidator(_tidy)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Words = Annotated[tuple[Name, ...], Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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


class Clause(_Model):
    """One step of a condition: a kind of tag with the words of which one is enough, or a condition within."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    style: Words = ()
    genre: Words = ()
    century: Words = ()
    nationality: Words = ()
    continent: Words = ()
    all: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()
    any: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()
    none: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Clause":
        if len(self.model_fields_set) != 1:
            raise ValueError(f"exactly one of {', '.join(type(self).model_fields)} after each dash")
        return self

    @cached_property
    def kind(self) -> str | None:
        """The kind of tag it asks for; None where it holds a condition."""
        (key,) = self.model_fields_set
        return key if key in IMAGE_KINDS else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of which one is enough; none where it holds a condition."""
        return getattr(self, self.kind) if self.kind else ()


class Condition(_Model):
    """Holds when all that is under `all` holds, something under `any` does, and nothing under `none` does."""

    all: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()
    any: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()
    none: Annotated[tuple["Clause", ...], Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "Condition":
        if not self.model_fields_set:
            raise ValueError("a condition with `all`, `any` or `none` in it")
        return self


class Music(_Model):
    """The recordings of a label: one of its sub-genres and one of its features; quotas count clips."""

    features: Words
    sub_genres: Annotated[Mapping[Name, Annotated[Whole, Field(ge=1)]], Field(min_length=1)]


class Label(_Model):
    """One class of the data set."""

    name: Annotated[Name, Field(description="a class name of the data set: users depend on it")]
    size: Annotated[Whole, Field(ge=1, description="the number of pairs aimed at, never exceeded")]
    image: Annotated[Condition, Field(description="which pictures fit")]
    look_first: Annotated[
        tuple[Clause, ...], Field(min_length=1, description="what to collect first; decides nothing, evidence names it")
    ] = ()
    music: Annotated[Music, Field(description="which recordings fit")]


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


class RuleSet(_Model):
    """Everything that a curator decides about a data set."""

    name: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="appears in evidence")]
    title: Name
    seed: Annotated[Whole, Field(ge=0, lt=2**63, description="changes every draw of lots")]
    image: ImageSettings = ImageSettings()
    audio: AudioSettings = AudioSettings()
    splits: Splits = Splits()
    labels: Annotated[tuple[Label, ...], Field(min_length=1, description="new ones at the end: the order is published")]
    vocabulary: Annotated[Mapping[Kind, Mapping[Name, Word]], Field(description="every word, by kind")]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The class names, in their published order."""
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
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

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
    def spans(self) -> tuple[tuple[str, str, int, int], ...]:
        """(kind, word, first year, last year) of the words that a year says."""
        return tuple(
            (kind, name, *word.years)
            for kind, words in self.vocabulary.items()
            for name, word in words.items()
            if word.years
        )


def json_schema() -> str:
    """Return the JSON Schema that serves each of a rule set's files: all keys known, none of them required."""
    schema = RuleSet.model_json_schema()
    del schema["required"]
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("rule_set.schema.json").write_text(json_schema(), encoding="utf-8")
