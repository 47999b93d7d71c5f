"""A Dask cluster as the place where batches run: joined only if all of it would make the same release."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import distributed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect_dask import DaskTaskRunner

from curation.errors import TransientError
from flows.engines import EXPECTED
from flows.engines.fitness import Fitting, Unfit, looked_at
from rules.errors import ConfigurationError

# What takes a batch apart and puts it together again; the scheduler does that, too.
CARRIERS = ("artune", "cloudpickle", "dask", "distributed", "msgpack", "prefect", "prefect-dask")


@contextmanager
def joined(scheduler: str, fitting: Fitting) -> Iterator[TaskRunner[PrefectFuture[Any]]]:
    """Give a started runner on a cluster whose workers all fit.

    Raises:
        ConfigurationError: no scheduler answers, no worker is there, or one does not fit.
        TransientError: the scheduler was lost, or a batch took worker after worker with it.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell of each lost connection with a traceback
    runner = DaskTaskRunner(address=scheduler, client_kwargs={"name": "artune"})
    try:
        with runner:
            _look_at(_client(runner, scheduler), scheduler, fitting)
            yield cast(TaskRunner[PrefectFuture[Any]], runner)
    except Unfit as error:
        raise ConfigurationError(f"{scheduler}: {error}") from None
    except KilledWorker as error:
        raise TransientError(
            f"{scheduler}: {error.allowed_failures + 1} workers ended while they worked on the same batch, the last "
            f"one {error.last_worker.address}: look at its log, it may lack memory; the same command goes on"
        ) from None
    except FutureCancelledError:
        raise TransientError(
            f"{scheduler}: the connection to the scheduler was lost while batches ran; the same command goes on, as "
            "soon as one answers there"
        ) from None


def _client(runner: DaskTaskRunner, scheduler: str) -> distributed.Client:
    try:
        return runner.client
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--scheduler {scheduler}: no scheduler answers there ({error}); {EXPECTED}") from None


def _look_at(client: distributed.Client, scheduler: str, fitting: Fitting) -> None:
    """Refuse a cluster in which something would make another release, or none.

    Raises:
        ConfigurationError: it says where and why.
    """
    versions = client.get_versions(packages=CARRIERS)
    workers = {f"the worker {address}": found for address, found in versions["workers"].items()}
    if not workers:
        raise ConfigurationError(f"{scheduler}: no worker has joined it; start one by: dask worker {scheduler}")
    here = _carriers(versions["client"])
    for where, found in {"the scheduler": versions["scheduler"], **workers}.items():
        there = _carriers(found)
        if other := [f"{name} {there[name]}, not {here[name]}" for name in here if there[name] != here[name]]:
            raise ConfigurationError(
                f"{scheduler}: {where} has {'; '.join(other)}: install the same everywhere, with constraints.txt"
            )
    for address, why in client.run(looked_at, fitting, on_error="return").items():
        if isinstance(why, TransientError):
            raise why
        if isinstance(why, Exception):
            raise ConfigurationError(
                f"{scheduler}: the worker {address} cannot run artune ({why!r}): install the same checkout there"
            )
        if why:
            raise ConfigurationError(f"{scheduler}: {address}: {why}")


def _carriers(found: dict[str, Any]) -> dict[str, str]:
    packages = found["packages"]
    return {name: packages[name] or "missing" for name in CARRIERS} | {
        "Python": ".".join(packages["python"].split(".")[:2])
    }
