"""What an evaluation is asked for; light, for a flow is known by its parameters before it runs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        data: as `training.data.open_revision` takes it.
        run: the folder of a run or a checkpoint, or owner/name on the Hub.
        images: a folder with images.csv; with neither this nor a run, the data set itself is evaluated.
        networks: a name of `evaluation.networks.names()`, or a file.
        changes: values of these for this evaluation, as KEY=VALUE.
        n: clips; None takes all of the split.
        seed: of the choice of clips, of the images, and of all that is resampled.
        out: None: the folder of the run or of the images, or one in evaluations/.
        cache: of features; None: beside the evaluation.
        small_fid: FID is given below its rank limit, too.
        base: where the base model of the run lies, if not where the recipe says; likewise encoder.
    """

    data: str
    run: str | None = None
    images: Path | None = None
    networks: str = "published"
    changes: tuple[str, ...] = ()
    n: int | None = None
    split: str = "test"
    seed: int = 1
    out: Path | None = None
    cache: Path | None = None
    small_fid: bool = False
    base: str | None = None
    encoder: str | None = None
