"""What the main process of a run writes into its folder while it trains."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from rules.errors import ConfigurationError
from training.fitting import checkpoints
from training.runs import drawing, energy, model_card, provenance, run_card
from training.runs.energy import Meter
from training.runs.run_folder import (
    BOARD,
    CARD,
    LOSSES,
    METRICS,
    SAMPLES,
    SKIPPED,
    described,
    lines,
    locked,
    replace,
    store,
    whole_bytes,
    writing,
)

if TYPE_CHECKING:
    from training.runs.run import Run

_PLACE = ("kind", "step", "epoch")  # of a line of metrics, beside its values


@contextlib.contextmanager
def recording(run: "Run") -> Iterator["Record"]:
    """Hold a run for this process alone, and keep account of its time and energy.

    Raises:
        ConfigurationError: another process trains or evaluates there, or nothing can be written.
    """
    with locked(run.folder), energy.measured() as meter:
        record = Record(run, meter)
        try:
            yield record
        except BaseException:
            with contextlib.suppress(OSError, ConfigurationError):  # a full disk must not hide why the run ended
                record.close()
            raise
        record.close()


class Record:
    """A session of a run: from a start or a resumption to its end."""

    def __init__(self, run: "Run", meter: Meter) -> None:
        self._run, self._meter = run, meter
        self._since_s = time.monotonic()
        self._told = described(run.folder)
        self._known: set[str] = set()
        self._session: dict[str, Any] | None = None
        self._open = contextlib.ExitStack()

    def begin(
        self,
        *,
        step: int,
        epoch: int,
        metrics_bytes: int,
        base_sha256: Mapping[str, str],
        parameters: int,
        trained_parameters: int,
    ) -> None:
        """Put the folder back to where a checkpoint was made.

        Args:
            step: the last that is done; 0 in a new run.
            epoch: that is begun or gone on with, from 1.
            metrics_bytes: the length of metrics.jsonl then.
            base_sha256: of the weights that are not from this run.

        Raises:
            ConfigurationError: the weights are others than those the run began with, or metrics.jsonl was cut.
        """
        self._check(base_sha256)
        self._metrics = self._opened(METRICS, metrics_bytes)
        self._skipped = self._opened(SKIPPED, whole_bytes(self._run.folder / SKIPPED))
        self._known = {row["pair_id"] for row in lines(self._run.folder / SKIPPED)}
        # Events of steps that are taken once more are to be left out.
        self._board = SummaryWriter(str(self._run.folder / BOARD), purge_step=step + 1 if step else None)
        self._open.callback(self._board.close)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._session = {
            "started_at": now,
            "wall_s": 0.0,
            "energy_kwh": None,
            "from_step": step,
            "to_step": step,
            "processes": self._run.settings.processes,
            "artune": provenance.code(),
            "versions": provenance.libraries(),
            "hardware": provenance.hardware(),
        }
        told = self._told
        told["sessions"].append(self._session)
        told["started_at"] = told["started_at"] or now
        told["epochs"] = [one for one in told["epochs"] if one["epoch"] < epoch]
        told["settings"] = self._run.settings.plain()
        told["model"] = {
            "base_sha256": dict(base_sha256),
            "parameters": parameters,
            "trained_parameters": trained_parameters,
        }
        self._store()

    def metric(self, row: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl, and its numbers to TensorBoard; no clock belongs into it.

        Raises:
            ValueError: a number is not finite.
        """
        assert self._session is not None, "begin comes first"
        with writing(self._run.folder):
            self._metrics.write(_line(row))
            self._metrics.flush()
            for name, value in row.items():
                if name not in _PLACE and isinstance(value, int | float):
                    self._board.add_scalar(f"{row['kind']}/{name}", value, row["step"])
        self._session["to_step"] = row["step"]

    def metrics_bytes(self) -> int:
        """Return the length of metrics.jsonl, all of which is on the disk then."""
        with writing(self._run.folder):
            self._metrics.flush()
            os.fsync(self._metrics.fileno())
        return self._metrics.tell()

    def skipped(self, pair_id: str, reason: str, detail: str) -> bool:
        """Append a pair to skipped.jsonl; say whether it was not told before, in this session or an earlier one."""
        if pair_id in self._known:
            return False
        self._known.add(pair_id)
        with writing(self._run.folder):
            self._skipped.write(_line({"pair_id": pair_id, "reason": reason, "detail": detail}))
            self._skipped.flush()
        return True

    def checkpoint(self) -> None:
        """Bring run.json up to date after a checkpoint was written."""
        with writing(self._run.folder):
            self._board.flush()
        self._store()

    def epoch(self, epoch: int, *, items: int, wall_s: float) -> None:
        """Note how long an epoch took, and draw the losses.

        Args:
            items: of this session in that epoch.
            wall_s: that they took.
        """
        speed = round(items / wall_s, 3) if wall_s > 0 else None
        done = {"epoch": epoch, "wall_s": round(wall_s, 3), "items": items, "items_per_s": speed}
        self._told["epochs"] = [one for one in self._told["epochs"] if one["epoch"] < epoch] + [done]
        self._draw()
        self._store()

    def samples(self, epoch: int, step: int, drawn: Sequence[drawing.Sample]) -> Path:
        """Draw what a model makes of some clips after an epoch."""
        out = self._run.folder / SAMPLES / f"epoch-{epoch:03d}.png"
        with writing(self._run.folder):
            out.parent.mkdir(exist_ok=True)
            drawing.samples(drawn, out)
            with Image.open(out) as picture:
                self._board.add_image("samples", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
        return out

    def finish(self, step: int) -> None:
        """Say that a run is done, and write its model card."""
        assert self._session is not None, "begin comes first"
        self._session["to_step"] = step
        self._told["finished_at"] = datetime.now(UTC).isoformat(timespec="seconds")
        self._update()
        self._draw()
        with writing(self._run.folder):
            subject = run_card.of_run(self._run.folder, self._run.recipe, self._told)
            replace(self._run.folder / CARD, model_card.renewed(subject, None, CARD).text)
        self._store()

    def close(self) -> None:
        """Close all files, and note the time and the energy of this session."""
        with writing(self._run.folder):
            self._open.close()
        if self._session is not None:
            self._store()

    def _check(self, base_sha256: Mapping[str, str]) -> None:
        before = (self._told["model"] or {}).get("base_sha256", base_sha256)
        if changed := sorted(name for name in {*before, *base_sha256} if before.get(name) != base_sha256.get(name)):
            raise ConfigurationError(
                f"{self._run.folder}: the weights of {', '.join(changed)} are not those that this run began with: "
                "expected the same files, or another folder for a new run"
            )

    def _opened(self, name: str, n_bytes: int) -> BinaryIO:
        """Open a file of lines at a length, behind which it is cut."""
        path = self._run.folder / name
        with writing(self._run.folder):
            path.touch()
            if path.stat().st_size < n_bytes:
                raise ConfigurationError(
                    f"{path}: expected at least the {n_bytes:,} bytes that it had at the last checkpoint, it has "
                    f"{path.stat().st_size:,}: put it back as it was, or begin a new run"
                )
            os.truncate(path, n_bytes)
            return self._open.enter_context(path.open("ab"))

    def _draw(self) -> None:
        with writing(self._run.folder):
            drawing.losses(lines(self._run.folder / METRICS), self._run.folder / LOSSES)

    def _store(self) -> None:
        self._update()
        store(self._run.folder, self._told)

    def _update(self) -> None:
        """Bring sums up to date: a kill loses what came after the last time."""
        assert self._session is not None, "begin comes first"
        self._session |= {"wall_s": round(time.monotonic() - self._since_s, 3), "energy_kwh": self._meter.kwh()}
        sessions, folder = self._told["sessions"], self._run.folder
        spent = [session["energy_kwh"] for session in sessions]
        last = checkpoints.last(folder)
        best = checkpoints.best(folder) or last
        self._told |= {
            "wall_s": round(sum(session["wall_s"] for session in sessions), 3),
            "energy_kwh": None if None in spent else sum(spent),
            "skipped": len(self._known),
            "best": best and asdict(best),
            "last": last and asdict(last),
        }


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
