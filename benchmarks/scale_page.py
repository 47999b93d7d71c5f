"""The page about scale: what benchmarks.scale says at each size, as tables of benchmarks/SCALE.md."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import scale

PAGE, RUNS = Path(__file__).with_name("SCALE.md"), Path(__file__).with_name("scale_runs.json")
XET_SHARE = 0.0121  # of a release that an edit sends: README, "Publish", the dearest of them


def told(number: float) -> str:
    """Return a number as a person reads it, of two or three digits."""
    for limit, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")):
        if number >= limit:
            return f"{number / (1e3 if limit == 1e4 else limit):,.3g}{unit}"
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def told_bytes(number: float) -> str:
    """Return a number of bytes as a person reads it."""
    for limit, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= limit:
            return f"{number / limit:,.3g} {unit}"
    return f"{number / 1e3:,.3g} kB"


def told_time(seconds: float) -> str:
    """Return a time as a person reads it."""
    for limit, unit in ((2 * 365 * 86_400, "years"), (2 * 86_400, "days"), (2 * 3600, "h"), (120, "min")):
        if seconds >= limit:
            return f"{seconds / {'years': 365 * 86_400, 'days': 86_400, 'h': 3600, 'min': 60}[unit]:,.3g} {unit}"
    return f"{seconds:.2g} s"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _of_sizes(rows: Iterable[tuple[str, Callable[[float], str]]], sizes: Sequence[int] = scale.SIZES) -> str:
    return table(["", *(f"{size:,} items" for size in sizes)], ([name, *map(show, sizes)] for name, show in rows))


def costs() -> str:
    """Return what a first build costs at each size."""
    return _of_sizes(
        [
            ("pictures, recordings", lambda n: f"{told(scale.PICTURE_SHARE * n)}, {told(scale.RECORDING_SHARE * n)}"),
            ("pairs", lambda n: told(scale.pairs(n))),
            (
                "requests to sites",
                lambda n: told(scale.PICTURE_SHARE * n + scale.REQUESTS_PER_RECORDING * scale.RECORDING_SHARE * n),
            ),
            ("pictures from one site at 4 a second", lambda n: told_time(scale.site_days(n)["pictures"] * 86_400)),
            ("recordings from one site at 250 an hour", lambda n: told_time(scale.site_days(n)["recordings"] * 86_400)),
            ("bytes fetched, stored in blobs", lambda n: told_bytes(scale.blob_bytes(n))),
            ("a release, published once", lambda n: told_bytes(scale.release_bytes(n))),
            ("an edit of 1 % of the rows, over Xet", lambda n: told_bytes(XET_SHARE * scale.release_bytes(n))),
            ("tables of items, measurements and a release", lambda n: told_bytes(scale.table_bytes(n))),
            ("releases/N.json", lambda n: told_bytes(scale.release_json_bytes(n))),
            ("assignment.parquet", lambda n: told_bytes(n * scale.TABLE_BYTES["assignment"])),
            ("listing", lambda n: told_bytes(n * scale.TABLE_BYTES["listing"])),
            ("tables of items and measurements, files", lambda n: told(_tables(n))),
            ("files of data", lambda n: told(scale.data_files(n))),
            ("files or objects in all", lambda n: told(sum(scale.objects(n).values()))),
            (
                "pages to list them all, 1,000 keys each",
                lambda n: told(sum(scale.objects(n).values()) / scale.KEYS_PER_PAGE),
            ),
        ]
    )


def _tables(items: float) -> float:
    return scale.objects(items)["items"] + scale.objects(items)["derived"]


def work() -> str:
    """Return the CPU hours of a first build."""
    stages = list(scale.cpu_s(scale.SIZES[0]))
    rows = [(stage, lambda n, stage=stage: told_time(scale.cpu_s(n)[stage])) for stage in stages]
    rows.append(("in all", lambda n: told_time(sum(scale.cpu_s(n).values()))))
    rows.append(("on 64 cores", lambda n: told_time(sum(scale.cpu_s(n).values()) / 64)))
    return _of_sizes(rows)


def orchestration() -> str:
    """Return what Prefect has to do."""
    count: Callable[[float], int] = lambda n: sum(scale.tasks(n).values())  # noqa: E731
    stages = list(scale.tasks(scale.SIZES[0]))
    rows = [(f"tasks: {stage}", lambda n, stage=stage: told(scale.tasks(n)[stage])) for stage in stages]
    rows += [
        ("tasks in all", lambda n: told(count(n))),
        ("flow process, threads", lambda n: told_time(scale.FLOW_S * count(n))),
        ("Prefect's server, behind it", lambda n: told_time(scale.SERVER_S * count(n))),
        ("by Dask", lambda n: told_time(scale.DASK_S * count(n))),
        ("the server's database grows by", lambda n: told_bytes(scale.DATABASE_BYTES_PER_TASK * count(n))),
    ]
    return _of_sizes(rows)


def memory() -> str:
    """Return the peak of the processes that hold tables whole."""
    rows = [(stage, lambda n, line=line: told_bytes(1e6 * line.at(n))) for stage, line in scale.PEAK_MB.items()]
    return _of_sizes([*rows, ("comparing recordings", lambda n: told_bytes(scale.fingerprint_bytes(n)))])


def storage() -> str:
    """Return requests to object storage and their list price."""
    rows = [(kind, lambda n, kind=kind: told(scale.requests(n)[kind])) for kind in scale.requests(scale.SIZES[0])]
    prices = {"PUT": scale.PUT_PRICE, "GET": scale.GET_PRICE, "LIST": scale.PUT_PRICE}
    rows.append(("price of them", lambda n: f"${told(sum(prices[k] * v for k, v in scale.requests(n).items()))}"))
    held = lambda n: (scale.blob_bytes(n) + scale.release_bytes(n) + scale.table_bytes(n)) / 1e9  # noqa: E731
    rows.append(("a month of blobs and one release", lambda n: f"${told(scale.GB_MONTH_PRICE * held(n))}"))
    return _of_sizes(rows)


def compared() -> list[tuple[dict[str, float], dict[str, float]]]:
    """Return of each run that was kept what it measured, and what the model says."""
    runs = json.loads(RUNS.read_text(encoding="utf-8"))
    return [(scale.measured(run) | {"items": run["items"]}, scale.predicted(run["items"])) for run in runs]


def checked() -> str:
    """Return what the runs measured, and how that is to the model."""
    found = compared()

    def cell(name: str, was: dict[str, float], model: dict[str, float]) -> str:
        return f"{told(was[name])} ({was[name] / model[name]:.2f})" if name in was else ""

    head = ["", *(f"{was['items']:,} items" for was, _ in found)]
    return table(head, ([name, *(cell(name, *each) for each in found)] for name in scale.predicted(1)))


TABLES = {
    "costs": costs,
    "work": work,
    "orchestration": orchestration,
    "memory": memory,
    "storage": storage,
    "checked": checked,
}


def page() -> str:
    """Return benchmarks/SCALE.md with its tables as the model says them now."""
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        marks = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        text = re.sub(f"(?<={marks[0]}).*?(?={marks[1]})", lambda _, make=make: f"\n{make()}\n", text, flags=re.DOTALL)
    return text
