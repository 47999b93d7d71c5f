"""What an evaluation found: evaluation.json, typed."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

LAYOUT = 1  # of evaluation.json
JSON, MARKDOWN, PAGE = "evaluation.json", "evaluation.md", "evaluation/index.html"
REPLICATES, ITEMS = "evaluation/replicates.parquet", "evaluation/items.parquet"
HISTORY = "evaluation/history.jsonl"
# The figure that judges: whether an image fits its own clip better than the others is what a music-to-image model is
# for. FID and its kin know nothing of the music.
HEADLINE = "ais"

RowName = Literal["shuffled", "other_label", "same_label", "partner"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Subject(_Frozen):
    """What was evaluated.

    Attributes:
        name: for people.
        run: its name on the Hub; of a run there only. All below are of runs only.
    """

    kind: Literal["run", "images", "data"]
    name: str
    run: str | None = None
    recipe: str | None = None
    recipe_digest: str | None = None
    checkpoint: str | None = None
    step: int | None = None
    epoch: int | None = None
    model_sha256: str | None = None
    is_random: bool = False  # its networks are of random weights
    trained_on: str | None = None  # the data set, whichever version
    steps: int | None = None  # of denoising
    guidance: float | None = None


class Data(_Frozen):
    """On what: a revision, and the items of it that were chosen.

    Attributes:
        where: its name on the Hub, or its address; of a folder here the last name, as no file tells paths of a machine.
        n: items, that is clips; asked: for so many; available: in the split.
        recordings: that the clips are of. They, not clips, are what is resampled.
        n_real: real images of the split.
        digest: of the revision's manifest; items_digest: of the items in their order.
        was_trained_on: the items are of the split that models are trained on.
    """

    where: str
    version: str | None
    commit: str | None
    data_set: str | None
    digest: str | None
    label_names: list[str]
    split: str
    n: int
    asked: int | None
    available: int
    recordings: int
    n_real: int
    labels: list["LabelCount"]
    items_digest: str
    was_trained_on: bool


class LabelCount(_Frozen):
    """How many items a label has; labels without items are left out."""

    label: int
    n: int


class NetworkFacts(_Frozen):
    """A network that made features.

    Attributes:
        weights: where they came from, as `Data.where` has it.
    """

    role: str  # "pairing.image", "pairing.music", "inception", "clip", "likeness"
    name: str
    weights: str | None
    weights_sha256: str
    width: int
    is_stand_in: bool


class Estimate(_Frozen):
    """A value with its uncertainty.

    Attributes:
        interval: of 95 %; None where it cannot be told.
        n: items that it is of.
    """

    value: float | None
    interval: tuple[float, float] | None
    n: int


class Chance(_Frozen):
    """What shuffled partners give.

    Attributes:
        value: mean over the permutations; interval: of 95 % of them.
        p_value: share of the permutations, the true one included, that are at least as good.
    """

    value: float
    interval: tuple[float, float]
    p_value: float
    permutations: int


class OfLabel(_Frozen):
    """The same measure of one label."""

    label: int
    estimate: Estimate


class Figure(_Frozen):
    """One measure.

    Attributes:
        name: by which two evaluations find the same one.
        title: for people; with the networks in it where it is not as published.
        estimate: None if it was refused.
        refused: why; marked: what a reader has to know before he believes it.
        chance: of measures that pair images with music.
        rows: the same measure of reference images; None of one that says nothing of them.
        replicates: how many; jackknife has as many as groups.
    """

    name: str
    title: str
    metric: str
    is_as_published: bool
    networks: list[str]  # roles
    better: Literal["higher", "lower"] | None
    low: float | None
    high: float | None
    digits: int
    reference: str
    estimate: Estimate | None
    refused: str | None = None
    marked: str | None = None
    method: Literal["bootstrap", "jackknife"]
    replicates: int
    groups: int
    n_real: int | None = None
    chance: Chance | None = None
    rows: dict[RowName, Estimate | None]
    by_label: list[OfLabel] = []


class Nearest(_Frozen):
    """A generated image and the training image that is most like it.

    Attributes:
        likeness: cosine of their features; hash_distance: of their perceptual hashes, in bits of hash_bits.
    """

    pair_id: str
    nearest_pair_id: str
    nearest_image_sha256: str
    likeness: float
    hash_nearest_pair_id: str
    hash_distance: int


class Memorization(_Frozen):
    """How like training images the images are, beside how like them real images of the split are.

    Attributes:
        n: images; n_real: real images of the split, the baseline.
        likeness_quantiles: of the generated images, at `quantiles`; real_likeness_quantiles: of the split's real ones.
        copies: images that are more like a training image than `copy_likeness`, the 99th percentile of real ones (so
            of images that copy nothing one in a hundred is), or within `copy_hash_distance` bits; real_copies: of the
            real ones, by the same rule.
    """

    n: int
    n_real: int
    n_train: int
    quantiles: list[float]
    likeness_quantiles: list[float]
    real_likeness_quantiles: list[float]
    copy_likeness: float
    copy_hash_distance: int
    hash_bits: int
    copies: int
    real_copies: int
    nearest: list[Nearest]  # the most alike first, a few


class Probe(_Frozen):
    """How well labels are told from features of one side, by a linear classifier, cross-validated by group.

    Attributes:
        accuracy: balanced over labels, in [0, 1]; chance: of shuffled labels.
        confusion: row: true label, column: told; counts; of `labels`.
    """

    side: Literal["image", "music"]
    network: str
    is_stand_in: bool
    n: int
    groups: int
    folds: int
    labels: list[int]
    left_out: list[LabelCount]  # labels with too few groups
    accuracy: Estimate
    chance: Chance
    confusion: list[list[int]]


class Leak(_Frozen):
    """An item of another split and the training item that is most like it.

    Attributes:
        hash_nearest_pair_id: the training image whose perceptual hash is nearest, which may be another one;
            hash_distance: to it, in bits. None of music.
    """

    side: Literal["image", "music"]
    pair_id: str
    split: str
    nearest_pair_id: str
    nearest_split: str
    likeness: float
    hash_nearest_pair_id: str | None
    hash_distance: int | None


class LeakCheck(_Frozen):
    """Whether items of other splits come nearer to training items than training items of other groups do.

    Attributes:
        n: items of other splits that were looked at, of so many available; n_own: training items, likewise.
        threshold: likeness from which on two items are taken for nearly the same; from how near training items of
            different groups come to one another.
        found: items of other splits that come so near, or whose hashes differ in at most `hash_distance` bits of
            `hash_bits`; own_found: training items that come so near to one of another group.
    """

    side: Literal["image", "music"]
    network: str
    is_stand_in: bool
    n: int
    available: int
    n_own: int
    n_train: int
    threshold: float
    hash_distance: int | None  # None of music
    hash_bits: int | None
    found: int
    own_found: int
    nearest: list[Leak]  # the most alike first, a few


class Quality(_Frozen):
    """The data set itself."""

    probes: list[Probe]
    leaks: list[LeakCheck]


class LeftOut(_Frozen):
    """An item that could not be used: nothing is lost without a word."""

    pair_id: str
    stage: str
    reason: str
    detail: str


class Result(_Frozen):
    """An evaluation."""

    layout: Literal[1]
    artune: dict[str, Any]
    versions: dict[str, str | None]
    subject: Subject
    data: Data
    seed: int
    networks: list[NetworkFacts]
    figures: list[Figure]
    memorization: Memorization | None = None
    quality: Quality | None = None
    left_out: list[LeftOut] = []


def shareable(where: str) -> str:
    """Return where something came from without what is of this machine alone, or secret.

    Of a path that is its last name; of an address the query, which may hold a signature, is left out.
    """
    if "://" in where:
        return where.partition("?")[0].partition("#")[0]
    path = Path(where).expanduser()
    return path.absolute().name if where.startswith((".", "~", "/")) or path.exists() else where
