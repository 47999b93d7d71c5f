"""The commands about training: train, publish-model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import settings
from flows.terminal import console, near, patient, say, size_bytes_of, stoppable, table
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # torch takes seconds to import
    from training.recipe import Recipe
    from training.runs.run import Run, Settings

STOPPED = (
    "Stopped. What was learned up to the last checkpoint stays; the same command goes on from there, and so does "
    "artune train --resume with the folder of the run."
)
STOPPED_SENDING = "Stopped. The same command begins again; what was sent is not sent twice."
CACHE_LIMIT = "50GB"

DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="WHERE", help="owner/name@v3 on the Hub, HOME/releases/3, or s3://bucket/name/v3."),
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for the recipe; give it again for another."),
]
ResumeOption = Annotated[
    Path | None, typer.Option("--resume", metavar="DIR", help="Go on with this run, from its last checkpoint.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Where what is computed once is kept. Else ARTUNE_CACHE."),
]
CacheLimitOption = Annotated[
    str, typer.Option("--cache-limit", metavar="SIZE", help="The cache takes this much disk at most.")
]
ProcessesOption = Annotated[
    int | None, typer.Option("--processes", min=1, help="One for each GPU, unless you say otherwise.")
]

app = typer.Typer()


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="Its name, of which --list tells, or a YAML file.")
    ] = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder of the run. Else one below runs/, named after recipe and data."
        ),
    ] = None,
    changes: ChangesOption = None,
    resume: ResumeOption = None,
    cache: CacheOption = None,
    cache_limit: CacheLimitOption = CACHE_LIMIT,
    processes: ProcessesOption = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the recipes and do nothing else.")] = False,
) -> None:
    """Train the model that draws pictures to music, by a recipe, on a published revision or a release.

    Runs as a Prefect flow. Stopped at any moment, the same command goes on from the last checkpoint. Exit code 3 if the
    Hub was busy.
    """
    if is_list:
        _show_recipes()
        return
    limit_bytes = size_bytes_of(cache_limit, "--cache-limit")
    _check(recipe, data, out, changes or [], resume)
    check_extra()
    settings.prepare_training()
    with stoppable(STOPPED), patient():
        run = _begun(recipe, data, out, changes or [], resume, _how(cache, limit_bytes, processes))
        if run.is_finished:
            say(f"Nothing to do: {near(run.folder)} is finished.")
            done = run.summary()
        else:
            verb = "Going on with" if run.rows() else "Training"
            say(f"{verb} {run.recipe_name} on {run.data} in {near(run.folder)}.")
            say("Prefect and the networks are loaded first; with weights from afar that takes a while.")
            settings.quiet_prefect()
            from flows import train as train_flow

            done = train_flow.run(run.folder, run.settings)
    done |= {"folder": near(done["folder"]), "samples": [near(path) for path in done["samples"]]}
    for line in (*outcome(done), *following(done)):
        say(line)


def _check(recipe: str | None, data: str | None, out: Path | None, changes: list[str], resume: Path | None) -> None:
    """Refuse what cannot be meant, before anything slow is imported."""
    if resume is not None:
        if recipe is not None or data is not None or out is not None or changes:
            raise ConfigurationError(
                "--resume: expected nothing beside it: the run knows its recipe, its data and its folder"
            )
        return
    if recipe is None:
        raise ConfigurationError(
            "train: expected a recipe and --data, or --resume DIR; `artune train --list` shows recipes"
        )
    from training.recipe import load

    load(recipe, changes)
    data_of(data, f"train {recipe}")


def data_of(option: str | None, command: str) -> str:
    """Return what --data names.

    Raises:
        ConfigurationError: nothing.
    """
    if option is None:
        raise ConfigurationError(
            f"{command}: expected --data: owner/name@v3 on the Hub, a release as {settings.DEFAULT_HOME}/releases/3, "
            "or a published folder"
        )
    return option


def _begun(
    recipe: str | None, data: str | None, out: Path | None, changes: list[str], resume: Path | None, how: "Settings"
) -> "Run":
    from training.runs import starting
    from training.runs.run import Run

    if recipe is None or data is None:
        return Run.open(resume or Path(), settings=how)
    return starting.begin(recipe, data, changes, out, how)


def how_of_machine() -> "Settings":
    """Return where and how to train where nobody said it."""
    return _how(None, size_bytes_of(CACHE_LIMIT, "--cache-limit"), None)


def _how(cache: Path | None, limit_bytes: int, processes: int | None) -> "Settings":
    """Return where and how to train; each process has its share of this machine's threads."""
    import torch

    from training.runs.run import Settings

    count = processes or max(1, torch.cuda.device_count())
    threads = max(1, settings.from_environment().workers // count)
    return Settings(
        cache=settings.training_cache(cache), cache_limit_bytes=limit_bytes, processes=count, threads=threads
    )


def check_extra(what: str = "training", extra: str = "train") -> None:
    """Refuse to go on where what is needed is not installed.

    Raises:
        ConfigurationError: it says what to install and how.
    """
    from flows.doctor import lacking

    if missing := lacking(extra):
        raise ConfigurationError(
            f"{what} needs {', '.join(missing)}: pip install --constraint constraints.txt --editable '.[{extra}]'"
        )


def _show_recipes() -> None:
    from training import recipe

    rows = []
    for name in recipe.names():
        found = recipe.load(name)
        items = found.batch_size * found.accumulation
        rows.append((name, found.about, _trained(found), f"{found.epochs:,}", f"{items:,}"))
    columns = ("Recipe", "What it is", "Trained", ">Epochs", ">Items in a step")
    console.print(table("Recipes", columns, rows))


def _trained(recipe: "Recipe") -> str:
    unet = {"frozen": (), "full": ("U-Net",), "lora": ("low-rank matrices in the U-Net",)}[recipe.train.unet]
    return ", ".join(("embedder", *(("encoder",) if recipe.train.encoder else ()), *unet))


def outcome(done: Mapping[str, Any]) -> Iterator[str]:
    """Yield what came of a run, a sentence each."""
    best, losses = done["best"], done["losses"]
    yield f"Trained {done['epochs_done']:,} of {done['epochs']:,} epochs: {done['folder']}"
    if best and best["validation_loss"] is not None:
        yield f"Best: epoch {best['epoch']}, validation loss {best['validation_loss']:.4f}."
    elif best:
        yield f"Kept: epoch {best['epoch']}; there was nothing to validate by."
    if losses and losses[0]["train"] is not None:
        yield f"Loss: {losses[0]['train']:.4f} in the first epoch, {losses[-1]['train']:.4f} in the last."
    if done["skipped"]:
        yield f"Left out, for they could not be read: {done['skipped']:,} pairs; skipped.jsonl says why."
    yield f"Losses: {done['folder']}/losses.png"
    if done["samples"]:
        yield f"Samples: {done['samples'][-1]}"


def following(done: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to type next."""
    folder = done["folder"]
    yield f"Draw to a song:  artune generate {folder} song.mp3"
    yield f"Its token alone:  artune embed {folder} song.mp3"
    yield f"Publish:  artune publish-model {folder} owner/name"


@app.command("publish-model")
def publish_model(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run that is finished.")],
    where: Annotated[str, typer.Argument(metavar="WHERE", help="owner/name on the Hugging Face Hub.")],
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is not there yet is for its owner only.")
    ] = False,
) -> None:
    """Publish the best checkpoint of a run with its recipe, losses, samples and card, in one commit.

    The token is what `hf auth login` left, or HF_TOKEN. Exit code 3 if the Hub was busy.
    """
    check_extra()
    settings.prepare_training()
    from training.runs import publishing

    with stoppable(STOPPED_SENDING), patient():
        done = publishing.publish_model(run, where, private=private)
    if done.is_new:
        say(
            f"Published {run} as {done.where} (commit {done.commit[:12]}): {len(done.files):,} files with "
            f"{done.sent_bytes / 1e6:,.1f} MB."
        )
    else:
        say(f"Nothing to do: {done.where} (commit {done.commit[:12]}) holds it already.")
    if not done.is_finished:
        say(f"The run is not finished: `artune train --resume {run}` goes on, and this command sends what it learns.")
    if done.hand_edited:
        say("Somebody edited the card there: that text stays; only what stands between artune's markers is new.")
    say(f"Look at it:  {done.url}")
