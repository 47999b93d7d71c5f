"""The commands that listen with a trained model: generate, embed."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import settings
from flows.terminal import patient, say, stoppable
from flows.training import check_extra
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

    from training.models.audiotoken import AudioToken

MAX_NAME_BYTES = 120  # of a song, in the name of a file; filesystems take 255

RUN = typer.Argument(metavar="RUN", help="The folder of a run or of a checkpoint, or a model on the Hub: owner/name.")
RunArgument = Annotated[str, RUN]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="WEIGHTS",
        help="Where the base model is, if not where the recipe says: a folder or owner/name.",
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", metavar="WEIGHTS", help="Likewise the encoder: a file, a folder or owner/name."),
]
SongArgument = Annotated[Path, typer.Argument(metavar="SONG", help="A recording of any kind that ffmpeg reads.")]

app = typer.Typer()


@app.command()
def generate(
    run: RunArgument,
    song: SongArgument,
    n: Annotated[int, typer.Option("--n", min=1, help="Pictures to draw.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same pictures.")] = 1,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the pictures go; one of the same name is replaced.")
    ] = Path(),
    start_s: Annotated[float, typer.Option("--start", metavar="SECONDS", min=0, help="Where to begin to listen.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of denoising; as many as the recipe's samples have.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", min=0, help="How closely to follow the music; as in the recipe.")
    ] = None,
    base: BaseOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Draw pictures to a song with a trained model: PNG files, the same ones each time."""
    with stoppable("Stopped."), patient():
        model = _model(run, song, base, encoder)
        token = model.embed([_heard(model, song, start_s)])
        folder = out.expanduser()
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        wanted = model.recipe.samples
        (pictures,) = model.generate(
            token,
            n=n,
            seed=seed,
            steps=steps or wanted.steps,
            guidance=wanted.guidance if guidance is None else guidance,
        )
        begin = f"-from{start_s:g}s" if start_s else ""
        for number, picture in enumerate(pictures, 1):
            path = folder / f"{_plain(song.stem)}{begin}-seed{seed}-{number}.png"
            with _writing(path):
                picture.save(path)
            say(str(path))


@app.command()
def embed(
    run: RunArgument,
    song: SongArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Else SONG.npy, without the folder of the song.")
    ] = None,
    base: BaseOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Write the token of a song, that stands for it in the prompt, as a NumPy file: float32, one dimension."""
    import numpy as np

    with stoppable("Stopped."), patient():
        model = _model(run, song, base, encoder)
        token = model.embed([_heard(model, song, 0)])[0].cpu().numpy()
        path = (out or Path(f"{_plain(song.stem)}.npy")).expanduser()
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:  # by its name, NumPy would give it an ending
                np.save(file, token)
        say(f"{path}: {token.size:,} numbers")


def _model(where: str, song: Path, base: str | None, encoder: str | None) -> "AudioToken":
    """Return a trained model; say so if it goes on being trained."""
    if not song.is_file():
        raise ConfigurationError(f"{song}: no such file; expected a recording")
    check_extra()
    settings.prepare_training()
    import torch

    from training.runs import pretrained
    from training.runs.run import Run
    from training.runs.run_folder import RUN

    folder = Path(where).expanduser()
    if (folder / RUN).is_file():
        found = Run.open(folder)
        if not found.is_finished:
            done = found.summary()
            say(
                f"Unfinished: {done['epochs_done']:,} of {done['epochs']:,} epochs are done; `artune train --resume "
                f"{where}` goes on."
            )
    model = pretrained.load(where, base=base, encoder=encoder)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return model


def _heard(model: "AudioToken", song: Path, start_s: float) -> "Tensor":
    """Return what the model hears of a song: at most as much as of the clips that it was trained on."""
    from curation.errors import ItemError
    from training.reading import media

    if not math.isfinite(start_s):
        raise ConfigurationError(f"--start {start_s}: expected a number of seconds")
    try:
        wave, valid = media.song(song, model.sample_rate_hz, model.recipe.duration_s, start_s)
    except ItemError as error:
        raise ConfigurationError(f"{song}: expected a recording that can be heard: {error.detail}") from None
    return media.samples(wave[:valid])


def _plain(name: str) -> str:
    """Return a name for files in which nothing has a meaning to shells; it leaves room for what is added to it."""
    plain = re.sub(r"[^\w.-]+", "-", name).encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return plain.strip("-.") or "song"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tell in a sentence that something cannot be written there."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path}: expected a place that may be written: {error.strerror or error}") from None
