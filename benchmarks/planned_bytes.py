"""What a plan foretells and what is new after the build: `python -m benchmarks.planned_bytes`.

The sample is built; then a class shrinks, grows again, and pictures change their label. Each time the files of the
new release are cut into chunks by their content, as the Hub's storage does it (64 kB on average, 8 to 128 kB), and the
bytes of those chunks are counted that no file of the parent has. `publication_bytes` measures what really travels.
"""

import argparse
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import rules
from curation import building, collect, planning
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home

MIN_BYTES, MAX_BYTES, AVERAGE_BITS = 8_192, 131_072, 16
GEAR = np.random.default_rng(0).integers(2**64, size=256, dtype=np.uint64)
PUBLISHED = ("data", "metadata", "references")

EDITS = {
    "a class shrinks": {"size: 1347": "size: 2", "Heavy metal: 1347": "Heavy metal: 2"},
    "it grows again": {"size: 2\n": "size: 1347\n", "Heavy metal: 2": "Heavy metal: 1347"},
    "pictures change label": {
        "style: [Digital art, Street art, Graffiti, Pop art]": "style: [Street art, Graffiti, Pop art]",
        "genre: [Illustration]": "genre: [Poster]",
        "style: [Fantasy art]": "style: [Fantasy art, Digital art]",
    },
}


def chunks(content: bytes) -> Iterator[bytes]:
    """Yield the chunks of a file: cut where the gear hash of the last 64 bytes begins with zeros.

    The gear hash is that of FastCDC (Xia et al., USENIX ATC 2016).
    """
    gear = GEAR[np.frombuffer(content, dtype=np.uint8)]
    for shift in (1, 2, 4, 8, 16, 32):  # the hash of 2 n bytes from those of n bytes
        older = np.zeros_like(gear)
        older[shift:] = gear[:-shift]
        gear = gear + (older << np.uint64(shift))
    ends = np.flatnonzero(gear >> np.uint64(64 - AVERAGE_BITS) == 0) + 1
    start = 0
    while start < len(content):
        place = int(np.searchsorted(ends, start + MIN_BYTES))
        end = int(ends[place]) if place < len(ends) else len(content)
        end = min(end, start + MAX_BYTES, len(content))
        yield content[start:end]
        start = end


def stored(release: Release) -> dict[str, int]:
    """Return the size in bytes of every chunk of a release's published files, by hash."""
    paths = [path for folder in PUBLISHED for path in sorted((release.folder / folder).iterdir())]
    return {hashlib.sha256(part).hexdigest(): len(part) for path in paths for part in chunks(path.read_bytes())}


def edit(rule_folder: Path, changes: dict[str, str]) -> None:
    """Change what stands in labels.yaml."""
    path = rule_folder / "labels.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Print estimate and truth of each edit."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        home, folder = Home(Path(name) / "home"), Path(name) / "rules"
        shutil.copytree(Path(rules.__file__).parent / "museart18", folder)
        release = building.build(home, ["sample"], rules.load(str(folder)), in_threads(2))
        assert release is not None
        known = stored(release)
        print(f"release 1: {sum(known.values()) / 1e6:.1f} MB in {len(known):,} chunks")
        for what, changes in EDITS.items():
            edit(folder, changes)
            rule_set = rules.load(str(folder))
            plan = planning.plan(home, collect.list_sources(home, ["sample"]), rule_set)
            release = building.build(home, ["sample"], rule_set, in_threads(2), may_drop=True)
            assert release is not None
            now = stored(release)
            sent = sum(size_bytes for chunk, size_bytes in now.items() if chunk not in known)
            guess, pairs = plan.sending, plan.changes.pairs
            print(f"{what}: {pairs.new} new pairs, {pairs.ended} end, {guess.rows} rows; ", end="")
            print(f"estimate {guess.total_bytes / 1e6:.2f} MB ({guess.new_media_bytes / 1e6:.2f} new media), ", end="")
            print(f"sent {sent / 1e6:.2f} of {sum(now.values()) / 1e6:.1f} MB: {guess.total_bytes / sent:.2f} times")
            known = now


if __name__ == "__main__":
    main()
