"""What a rule set asks models about pictures and recordings: models.yaml."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

# A model judges what it sees or hears; who made a work, and where, is for sources and artists.csv to say.
AnswerKind = Literal["style", "genre", "century", "sub_genre", "music_feature"]

Text = Annotated[str, Field(strict=True, min_length=1, max_length=300)]
Confidence = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Answer(_Model):
    """One answer to a question."""

    prompts: Annotated[tuple[Text, ...], Field(min_length=1, description="sentences that are true of such an item")]
    tags: Annotated[Mapping[AnswerKind, Text], Field(description="what the answer says, as kind: word")] = {}
    known_by: Annotated[
        Mapping[AnswerKind, Annotated[tuple[Text, ...], Field(min_length=1)]],
        Field(description="further words of sources that mean this answer: `artune calibrate` compares with them"),
    ] = {}

    def words(self) -> list[tuple[str, str]]:
        """Return (kind, word) of all that a source may say to mean this answer."""
        known = [(kind, word) for kind, words in self.known_by.items() for word in words]
        return [*self.tags.items(), *known]


class Question(_Model):
    """Answers of which one is right, and how sure a model must be of it."""

    temperature: Annotated[
        float,
        Field(strict=True, gt=0, allow_inf_nan=False, description="divides the scores: above 1 the model is less sure"),
    ] = 1.0
    min_confidence: Annotated[Confidence, Field(description="an answer that is less sure gives no tag")] = 0.5
    answers: Annotated[Mapping[Text, Answer], Field(min_length=2)]

    @model_validator(mode="after")
    def _answers_differ(self) -> "Question":
        said = [word for answer in self.answers.values() for word in answer.words()]
        if twice := sorted({f"{kind} {word}" for kind, word in said if said.count((kind, word)) > 1}):
            raise ValueError(f"answers that differ: each word once, not {', '.join(twice)} again")
        return self


class Model(_Model):
    """A model and what it is asked."""

    enabled: Annotated[bool, Field(description="true or false")] = False
    family: Annotated[Text, Field(description="a module of curation/models")]
    weights: Annotated[Text, Field(description="a folder, from / or ~ on, or a name on the Hugging Face Hub")]
    questions: Annotated[Mapping[Text, Question], Field(min_length=1)]


class Models(RootModel[Mapping[Text, Model]]):
    """The models of a rule set by name; none is asked unless it is enabled."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    root: Mapping[Text, Model] = {}
