"""What an evaluation is asked for; light, for a flow is known by its parameters before it runs."""

from dataclasses import dataclass
from pathlib import Path

from rules.errors import ConfigurationError


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

    @property
    def is_of_data(self) -> bool:
        """Say whether the data set itself is evaluated."""
        return self.run is None and self.images is None

    def check(self) -> None:
        """Raise ConfigurationError if it cannot be meant: before anything slow is begun."""
        if self.run is not None and self.images is not None:
            raise ConfigurationError(f"evaluate {self.run}: expected RUN or --images, not both")
        for option, value in (("--base", self.base), ("--encoder", self.encoder)):
            if value is not None and self.run is None:
                raise ConfigurationError(f"evaluate: {option}: expected a RUN beside it, whose weights it finds")
