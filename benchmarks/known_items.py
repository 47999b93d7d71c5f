"""What it costs to ingest again where everything is known: `python -m benchmarks.known_items`.

Prints CPU seconds, those of all threads, of an ingest that finds nothing new, and of the listing by itself: making the
objects that a source yields; of one with a limit, and of `artune status`. The items came in several ingests while the
lists grew, in the small batches of a source that is slow, and each time facts of some had changed. Then of settling a
source of a million rows. Every item stands in three lists, as a painting does in those of its style, its genre and its
century.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from curation import found
from curation.batches import in_threads
from curation.found import FoundList
from curation.settling import settle
from curation.sources import Facts, Fetched, Found
from curation.store import Home
from curation.tally import tally
from rules.collecting import Query
from tests.curation.ingesting import FACES, MEANS, SITE, VIEWS, ingest_from, rules_for, toy_source

ITEMS, LISTS, MANY_ROWS = 24_216, 93, 1_000_000
EACH_IN = 3  # lists
INGESTS, BATCH_ITEMS = 4, 8
GOAL_S = 3.0


class Listing:
    """A list that makes its items anew each time, as a site's answers would."""

    def __init__(self, number: int, items: int, ingest: int = 0) -> None:
        self.numbers, self.ingest = range(number // EACH_IN, items, LISTS // EACH_IN), ingest

    def __iter__(self):
        for number in self.numbers:
            title = f"Painting {number}" + (f", {self.ingest}" if number % 100 == 0 else "")
            facts = Facts(f"{SITE}page/{number}", title, f"Painter {number % 900}", 1400 + number % 600)
            yield Found(f"{number:024x}", f"{SITE}{number}.jpg", facts, about={"width": number, "height": 2 * number})


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds that something takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def ingest_again(toy: ModuleType, home: Home, items: int) -> None:
    """Ingest until everything is known, and print what another time costs."""
    names = [f"list {number}" for number in range(LISTS)]
    rule_set = rules_for(*((FACES if number % 2 else VIEWS, name) for number, name in enumerate(names)))
    toy.BATCH_ITEMS = BATCH_ITEMS
    toy.WORLD.media = lambda address: Fetched("image", toy.sha256_of(address), 1000)
    means = replace(MEANS, each=in_threads(2))
    for ingest in range(1, INGESTS + 1):
        so_far = items * ingest // INGESTS
        toy.WORLD.lists = {name: Listing(number, so_far, ingest) for number, name in enumerate(names)}
        last = ingest_from(home, rule_set, means)
    tables = list(home.items("toy").glob("*.parquet"))
    asked = len(toy.WORLD.asked)
    toy.WORLD.listed.clear()
    spent = cpu_s(lambda: ingest_from(home, rule_set, means))
    assert (last.found, asked, len(toy.WORLD.asked)) == (items, items, items)
    query = rule_set.queries("toy")
    listing = cpu_s(lambda: [list(toy.found(each, None)) for each in query])
    print(f"{items:,} known items in {LISTS} lists of {len(toy.WORLD.listed) // 2:,} rows in all")
    print(f"{INGESTS} ingests made {len(tables)} tables of them, in batches of {BATCH_ITEMS}")
    print(f"another ingest: {spent:.2f} s of CPU")
    print(f"of which {listing:.2f} s for the listing: {spent - listing:.2f} s beside it (goal {GOAL_S:g} s)")
    print(f"with a limit: {cpu_s(lambda: ingest_from(home, rule_set, means, limit=10)):.2f} s of CPU")
    print(f"status: {cpu_s(lambda: tally(home, rule_set)):.2f} s of CPU")


def settle_many(home: Home, rows: int) -> None:
    """Write lists that hold so many rows together, and print what it costs to put them together."""
    each = found.rows_of(Listing(0, rows // EACH_IN * (LISTS // EACH_IN) // LISTS))
    for number in range(LISTS):
        count = rows // LISTS
        ids = pa.array([f"{at:024x}" for at in range(number // EACH_IN * count, (number // EACH_IN + 1) * count)])
        part = each.take(pa.array([at % len(each) for at in range(count)])).set_column(0, "source_id", ids)
        name = Query("many", "search", f"list {number}").name
        found.write(home, "many", FoundList(name, "tiny", (("genre", f"Genre {number}"),), part))
    begin = time.perf_counter()
    spent = cpu_s(lambda: settle(home, "many", found.read(home, "many")))
    clock_s = time.perf_counter() - begin
    print(f"{rows:,} found rows read and settled: {spent:.1f} s of CPU, {clock_s:.1f} s by the clock")


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--rows", type=int, default=MANY_ROWS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, toy_source() as toy:
        ingest_again(toy, Home(Path(folder)), options.items)
        settle_many(Home(Path(folder)), options.rows)


if __name__ == "__main__":
    main()
