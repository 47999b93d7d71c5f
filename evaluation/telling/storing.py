"""The files of an evaluation: each is whole or not there; evaluation.json, to which the others belong, comes last."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.store import digest
from evaluation.result import HISTORY, ITEMS, JSON, LAYOUT, MARKDOWN, REPLICATES, Result
from evaluation.sample import Items
from evaluation.statistics.replicates import Replicates
from evaluation.telling import summary
from rules.errors import ConfigurationError
from training.runs import run_folder

_REPLICATES = pa.schema(
    [
        ("figure", pa.string()),
        ("method", pa.string()),
        ("groups", pa.int64()),
        ("effective_groups", pa.float64()),
        ("resampled", pa.string()),  # "items" or "real"
        ("replicate", pa.int64()),  # from 1
        ("value", pa.float64()),  # null where the measure is undefined
    ]
)
_OF, _RESAMPLING = b"artune.evaluation", b"artune.resampling"  # in the metadata of replicates.parquet
_DIGITS = 10  # that are kept of a replicate, as of a figure


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder of an evaluation, and hold it for this process alone; the lock is that of a run.

    Two evaluations of one folder would mix their files, and a training there removes checkpoints and writes the card.

    Raises:
        ConfigurationError: another process trains or evaluates there, or the folder may not be written.
    """
    with run_folder.writing(folder, "evaluate again"):  # before hours of drawing
        folder.mkdir(parents=True, exist_ok=True)
        (folder / run_folder.LOCK).touch()
    with run_folder.locked(folder):
        yield


def write(result: Result, replicates: Sequence[Replicates], resampling: str, items: Items | None, folder: Path) -> None:
    """Write all of an evaluation but its page.

    Args:
        resampling: see `Measured`; "" where nothing was measured, as of a data set alone.
        items: what was measured; None of a data set alone.

    Raises:
        ConfigurationError: the disk is full, or the folder may not be written.
    """
    with run_folder.writing(folder, "evaluate again"):
        (folder / REPLICATES).parent.mkdir(parents=True, exist_ok=True)
        _write_replicates(folder / REPLICATES, replicates, resampling, _identity(result))
        _write_items(folder / ITEMS, result, items)
        if result.subject.kind == "run":
            rows = [json.dumps(row, ensure_ascii=False, allow_nan=False) for row in history(folder, result)]
            run_folder.replace(folder / HISTORY, "".join(f"{row}\n" for row in rows))
        run_folder.replace(folder / MARKDOWN, summary.markdown(result))
        told = json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
        run_folder.replace(folder / JSON, f"{told}\n")


def read(folder: Path) -> Result:
    """Read evaluation.json.

    Raises:
        ConfigurationError: there is none, or it is not one of this version.
    """
    missing = (
        f"{folder}: expected the folder of an evaluation: there is no {JSON} in it; `artune evaluate {folder} --data "
        "WHERE` makes one of a run"
    )
    return run_folder.written(folder / JSON, LAYOUT, Result, missing)[1]


def read_replicates(folder: Path, result: Result) -> tuple[dict[str, Replicates], str]:
    """Read the replicates of an evaluation by its figures, and the digest of their resampling.

    Raises:
        ConfigurationError: they are missing, damaged or of another evaluation.
    """
    path, again = folder / REPLICATES, f"expected what `artune evaluate` wrote with {folder / JSON}: evaluate again"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file; {again}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigurationError(f"{path}: {str(error).splitlines()[0]}; {again}") from None
    metadata = table.schema.metadata or {}
    if table.schema.remove_metadata() != _REPLICATES or metadata.get(_OF) != _identity(result).encode():
        raise ConfigurationError(f"{path} is of another evaluation; {again}")
    return dict(_figures(table)), metadata.get(_RESAMPLING, b"").decode()


def history(folder: Path, result: Result) -> list[dict[str, Any]]:
    """Return what was evaluated of a run over time, this evaluation too: rows of history.jsonl, by step.

    Raises:
        ConfigurationError: a line is not one.
    """
    row = _history_row(result)
    # The same evaluation again takes the place of the earlier one.
    others = [other for other in run_folder.lines(folder / HISTORY) if _key(other) != _key(row)]
    for number, other in enumerate(others, 1):
        if not isinstance(other.get("step") or 0, int) or not isinstance(other.get("figures"), dict):
            raise ConfigurationError(
                f"{folder / HISTORY}: evaluation {number} of it has no step or no figures as artune writes them: "
                "expected the file as it was, or none: then it begins anew"
            )
    return sorted([*others, row], key=lambda one: (one.get("step") or 0, _key(one)))


def _figures(table: pa.Table) -> Iterator[tuple[str, Replicates]]:
    for name in pc.unique(table["figure"]).to_pylist():
        rows = table.filter(pc.equal(table["figure"], name))
        values = rows["value"].to_numpy(zero_copy_only=False)
        is_real = np.asarray(pc.equal(rows["resampled"], "real"))
        method, groups, effective = (rows[column][0].as_py() for column in ("method", "groups", "effective_groups"))
        yield name, Replicates(name, method, groups, effective, values[~is_real], values[is_real])


def _write_replicates(path: Path, replicates: Sequence[Replicates], resampling: str, of: str) -> None:
    if not replicates:
        path.unlink(missing_ok=True)  # of an earlier evaluation
        return
    parts = [_rows(one, name, values) for one in replicates for name, values in _resampled(one)]
    table = pa.concat_tables(parts).combine_chunks()
    _write_table(path, table.replace_schema_metadata({_OF: of, _RESAMPLING: resampling}))


def _resampled(one: Replicates) -> Iterable[tuple[str, Any]]:
    return ("items", one.items), ("real", one.real)


def _rows(one: Replicates, resampled: str, values: Any) -> pa.Table:  # noqa: ANN401 - an array
    n = len(values)
    columns = [
        pa.array([one.figure] * n, pa.string()),
        pa.array([one.method] * n, pa.string()),
        pa.array([one.groups] * n, pa.int64()),
        pa.array([one.effective_groups] * n, pa.float64()),
        pa.array([resampled] * n, pa.string()),
        pa.array(np.arange(1, n + 1)),
        pa.array([float(f"{value:.{_DIGITS}g}") for value in values], pa.float64(), mask=~np.isfinite(values)),
    ]
    return pa.Table.from_arrays(columns, schema=_REPLICATES)


def _write_items(path: Path, result: Result, items: Items | None) -> None:
    if items is None:
        path.unlink(missing_ok=True)
        return
    names = result.data.label_names
    table = pa.table(
        {
            "pair_id": pa.array(items.pair_ids, pa.string()),
            "label": pa.array(items.labels, pa.int64()),
            "label_name": pa.array([names[label] for label in items.labels], pa.string()),
            "recording": pa.array(items.recordings, pa.int64()),
            "title": pa.array(items.titles, pa.string()),
        }
    )
    _write_table(path, table)


def _write_table(path: Path, table: pa.Table) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)


def _identity(result: Result) -> str:
    """Return what tells an evaluation from others: replicates belong to these very figures."""
    told = result.model_dump(mode="json")
    return digest({name: told[name] for name in ("subject", "data", "seed", "networks", "figures")})


def _history_row(result: Result) -> dict[str, Any]:
    subject, data = result.subject, result.data
    return {
        "checkpoint": subject.checkpoint,
        "step": subject.step,
        "epoch": subject.epoch,
        "model_sha256": subject.model_sha256,
        "steps": subject.steps,
        "guidance": subject.guidance,
        "split": data.split,
        "n": data.n,
        "items_digest": data.items_digest,
        "seed": result.seed,
        "networks": digest({network.role: network.weights_sha256 for network in result.networks}),
        "figures": {
            figure.name: {"value": figure.estimate.value, "interval": figure.estimate.interval}
            for figure in result.figures
            if figure.estimate is not None
        },
    }


def _key(row: dict[str, Any]) -> str:
    return digest({name: value for name, value in row.items() if name != "figures"})
