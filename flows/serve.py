"""The command that leaves it running: serve."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import settings
from flows.terminal import HomeOption, RulesOption, SourceOption, home_of, last_build, patient, say, whole_rules
from rules.errors import ConfigurationError

if TYPE_CHECKING:  # it imports Prefect
    from curation.sources import Need
    from flows.deployments import Asked
    from flows.serving.server import Server

CRON_FIELDS = 5  # some readers take a sixth one for seconds, others for years

app = typer.Typer()


@app.command()
def serve(
    source: SourceOption = None,
    rules_name: RulesOption = None,
    home: HomeOption = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="CRON", help="When to look for what is new, in UTC; Mondays at three without."),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option("--publish", metavar="WHERE", help="Publish each new release there, after a curator's yes."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Publish without asking.")] = False,
    train: Annotated[
        str | None,
        typer.Option("--train", metavar="RECIPE", help="Train on each new publication by this recipe, and evaluate."),
    ] = None,
) -> None:
    """Keep a data set alive: ingest by schedule, build what changed, publish, train, evaluate; until it is stopped.

    Uses the Prefect server of PREFECT_API_URL or of your profile; without one it starts its own on this machine.
    Stopped at any moment, the same command goes on from there.
    """
    asked = _asked(source, rules_name, home, cron, publish, not yes, train)
    if missing := [need for need in _needs(asked) if not need.ready and need.required]:
        raise ConfigurationError("\n".join(f"{need.what}: {need.advice}" for need in missing))
    settings.webhook()  # refused now, and not by the first run that needs it; likewise the share
    settings.max_rejected_share()
    from flows.doctor import blocking

    place = home_of(home)
    for finding in blocking(place):
        raise ConfigurationError(f"{finding.what}: {finding.found}; {finding.advice}")
    settings.quiet_prefect()
    from flows import deployments
    from flows.serving import supervising
    from flows.serving.server import Server

    described = deployments.deployments(asked)
    times = _next(asked.cron)
    place.mark()
    with patient(), supervising.alone(place.local / f"serve-{asked.data_set}.lock"):
        server = Server()
        try:
            server.begin()
            names = [deployments.whole_name(one) for one in described]
            _announce(asked, server, names, times)
            supervising.serve(described, server)
        finally:
            server.end()


def _asked(
    source: list[str] | None,
    rules_name: str | None,
    home: str | None,
    cron: str | None,
    where: str | None,
    asks: bool,
    recipe: str | None,
) -> "Asked":
    """Return what to serve, by whole paths: runs of flows may stand elsewhere.

    Raises:
        ConfigurationError: something cannot be meant.
    """
    import rules
    from curation import collect, sources

    place = home_of(home)
    last_sources, last_rules = last_build(place)
    rules_name = whole_rules(rules_name or last_rules)
    rule_set = rules.load(rules_name)
    named = [collect.whole(name) for name in source or last_sources]
    web = [name for name in named if sources.is_web(sources.get(collect.split_location(name)[0]))]
    if not asks and where is None:
        raise ConfigurationError("--yes: expected --publish WHERE beside it: nothing else asks")
    if recipe is not None:
        recipe = _recipe(recipe, where)
    settings.quiet_prefect()
    from flows.deployments import WEEKLY, Asked

    return Asked(
        rules_name=rules_name,
        data_set=rule_set.name,
        web=web,
        local=[name for name in named if name not in web],
        home=str(place.root),
        cron=cron or WEEKLY,
        where=where and _place(where),
        asks=asks,
        recipe=recipe,
        runs=str(Path("runs").absolute()),
    )


def _place(where: str) -> str:
    """Return a place as events of publications name it."""
    from curation.publishing import places, storage

    whole = places.whole(where)
    return whole if places.is_hub(whole) else storage.opened(whole).where


def _recipe(name: str, where: str | None) -> str:
    """Return a recipe's name, or the whole path of its file."""
    from flows.training import check_extra
    from training.recipe import load, names

    if where is None:
        raise ConfigurationError("--train: expected --publish WHERE beside it: a training follows a publication")
    load(name, [])
    check_extra()
    check_extra("evaluation", "eval")
    return name if name in names() else str(Path(name).expanduser().absolute())


def _needs(asked: "Asked") -> Iterator["Need"]:
    """Yield what is needed before anything can run."""
    from curation import collect, sources
    from curation.publishing import places
    from curation.sources import Need
    from flows.collecting import common_needs

    if asked.web:
        yield from common_needs()
    for name in asked.web:
        yield from sources.get_web(collect.split_location(name)[0]).needs()
    if asked.where is not None and places.is_hub(asked.where):
        settings.prepare_hub()
        from huggingface_hub import get_token

        advice = "set it, or log in by `hf auth login`: a token that may write is needed to publish"
        yield Need("HF_TOKEN", get_token() is not None, advice=advice)


def _next(cron: str) -> str:
    """Return when a schedule is due next.

    Raises:
        ConfigurationError: it is none.
    """
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    from flows.deployments import WEEKLY

    try:
        if len(cron.split()) > CRON_FIELDS:
            raise ValueError(cron)
        (due,) = asyncio.run(CronSchedule(cron=cron, timezone="UTC").get_dates(1))
    except ValueError:  # also of a date that never comes
        raise ConfigurationError(f"--cron {cron!r}: expected a time such as '{WEEKLY}', Mondays at three") from None
    return due.strftime("%Y-%m-%d %H:%M UTC")


def _announce(asked: "Asked", server: "Server", names: Sequence[str], due: str) -> None:
    which = " (a server of its own, which ends with this command)" if server.is_own else " (found running)"
    say(f"Prefect's UI: {server.shown}{'' if server.is_named else which}")
    say(f"Rules {asked.data_set}, work folder {asked.home}, sources {', '.join([*asked.web, *asked.local])}.")
    say(f"Deployments: {', '.join(names)}. Next look at what is new: {due}.")
    if asked.where is not None:
        how = "after a curator's yes in the UI" if asked.asks else "without asking"
        say(f"A new release is published to {asked.where}, {how}.")
    if asked.recipe is not None:
        say(f"A new publication is trained on by {asked.recipe}, in {asked.runs}.")
