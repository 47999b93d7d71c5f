"""A work folder with a release of which most may be published: read by all, changed by nobody."""

from pathlib import Path

import yaml

import rules
from curation import building
from curation.batches import in_threads
from curation.store import Home
from tests.curation.collection import copy_linked, write_collection
from tests.curation.tables import ROOMY, write_rules

LICENSES = {"licenses": {"embed_with_attribution": ["CC0-1.0"], "exclude": ["Secret"]}}
OTHERS = {"music2.wav": "[red]Mine[/] | x", "music5.wav": "Secret"}  # nobody knows the first


def build(root: Path) -> Home:
    """Build a release of tiny files: 5 pairs may go out, 1 only as a reference, 1 not at all."""
    home, rule_set = Home(root / "home"), write_rules(root / "tiny", sizes=ROOMY)
    (rule_set / "licenses.yaml").write_text(yaml.safe_dump(LICENSES), encoding="utf-8")
    folder = write_collection(root / "media", range(10), range(6))
    table = folder / "metadata.csv"
    head, *rows = table.read_text(encoding="utf-8").splitlines()
    rows = [row.replace("CC0-1.0", OTHERS.get(row.partition(",")[0], "CC0-1.0")) for row in rows]
    table.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    building.build(home, [f"folder:{folder}"], rules.load(str(rule_set)), in_threads(2))
    return home


def copy(home: Home, folder: Path) -> Home:
    """Return a copy to which a test may write."""
    copy_linked(home.root, folder)
    return Home(folder)
