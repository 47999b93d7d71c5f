"""The energy that the machine takes, estimated by codecarbon where it is installed; nothing is written or sent."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Heard:
    """The newest sum that codecarbon tells: it calls a handler of results as its own BaseOutput."""

    kwh: float | None = None

    def out(self, total: Any, _: object) -> None:  # noqa: ANN401 - codecarbon's EmissionsData
        self.kwh = float(total.energy_consumed)

    def live_out(self, total: Any, delta: object) -> None:  # noqa: ANN401
        self.out(total, delta)

    def task_out(self, *_: object) -> None: ...

    def exit(self) -> None: ...


class Meter:
    """The energy since a block was entered."""

    def __init__(self, tracker: Any, heard: _Heard) -> None:  # noqa: ANN401 - codecarbon's, or None without it
        self._tracker, self._heard = tracker, heard

    def kwh(self) -> float | None:
        """Return the energy of the whole machine in kWh; None if codecarbon is not installed, or cannot tell."""
        if self._tracker is not None:
            self._tracker.flush()
        return self._heard.kwh


@contextmanager
def measured() -> Iterator[Meter]:
    """Measure the energy that the machine takes while the block runs: processor, memory and NVIDIA or AMD GPUs."""
    heard = _Heard()
    tracker = _started(heard)
    try:
        yield Meter(tracker, heard)
    finally:
        if tracker is not None:
            tracker.stop()


def _started(heard: _Heard) -> Any:  # noqa: ANN401
    """Return a tracker that has begun; None without codecarbon."""
    try:
        import codecarbon  # takes a while, and is optional
    except ImportError:
        return None
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # its constructor warns before it reads its log_level
    tracker = codecarbon.OfflineEmissionsTracker(
        # Each is named, for what is not may come from a .codecarbon.config or the environment, and lead to a network.
        country_iso_code=None,
        country_2letter_iso_code=None,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        emissions_endpoint=False,
        electricitymaps_api_token=None,
        co2_signal_api_token=None,
        output_methods=[],
        output_handlers=[heard],
        force_carbon_intensity_g_co2e_kwh=0,  # energy alone is asked for: which power station gave it is not known
        tracking_mode="machine",
        allow_multiple_runs=True,  # or it locks, and takes over the signals of the process
        log_level="critical",
    )
    tracker.start()
    return tracker
