"""Folders of files that are listed but never read, and what the folder source makes of them."""

from pathlib import Path

from curation.sources import Entry, Facts, folder


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def listed(root: Path) -> dict[str, Entry]:
    found = list(folder.entries(str(root)))
    assert len({entry.source_id for entry in found}) == len(found)
    return {entry.source_id: entry for entry in found}


def fates(root: Path) -> dict[str, str]:
    return {name: entry.refusal.reason if entry.refusal else "" for name, entry in listed(root).items()}


def facts(root: Path, name: str = "x.jpg") -> Facts:
    return listed(root)[name].facts


def table(root: Path, text: str, name: str = "metadata.csv") -> None:
    (root / name).write_bytes(text.encode())
