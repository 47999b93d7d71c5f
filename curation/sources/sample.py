"""The sample that comes with artune: 80 pictures and 26 recordings for which redistribution is allowed.

Origin, license and attribution of each stand in sample_data/SOURCES.csv; sample_data/README.md says how it was made,
which traps it holds on purpose, and carries the licenses' notices. Nothing is fetched. Checked in November 2026.
"""

from collections.abc import Iterator
from pathlib import Path

from curation.sources import Entry, folder
from rules.errors import ConfigurationError

HOMEPAGE = "curation/sources/sample_data/README.md"
LICENSE = "public domain, CC0, CC-BY, CC-BY-SA and BSD-3-Clause: each file's own stands in its row of SOURCES.csv"

SAMPLE = Path(__file__).parent / "sample_data"


def entries(location: str) -> Iterator[Entry]:
    """Return the files of the sample.

    Raises:
        ConfigurationError: a location was given; the sample has none.
    """
    if location:
        raise ConfigurationError(f"the source sample takes no location, but {location!r} was given; expected none")
    return folder.entries(str(SAMPLE))
