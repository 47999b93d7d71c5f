"""What a card says of the place where the data set lies: how to load it, whom to ask, how to cite it."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.schema import RuleSet


@dataclass(frozen=True, slots=True)
class Place:
    """Where a data set is read.

    Attributes:
        location: what `load_dataset` takes: owner/name or a folder; else the address of a folder, as s3://bucket/v3.
        revision: of a repository of the Hub; None where the location holds one version.
        homepage: what a person opens.
    """

    location: str
    revision: str | None
    homepage: str

    @property
    def is_on_hub(self) -> bool:
        return self.revision is not None

    @property
    def is_address(self) -> bool:
        return not self.is_on_hub and "://" in self.location


LOCAL = Place("DIR", None, "")  # a release in a work folder: a reader may have put it anywhere


def load(place: Place, folders: Mapping[str, str], splits: Mapping[str, Sequence[str]]) -> str:
    """Return how to load a data set.

    Args:
        folders: where the files of each config are.
        splits: those that each config has.
    """
    of = {config: _arguments(place, config, folders[config], splits[config]) for config in folders}
    files = f'    return {{split: {_quoted(place.location)} + f"/{{folder}}/{{split}}-*.parquet" for split in splits}}'
    lines = [
        "from datasets import Audio, load_dataset",
        *(["", "def files(folder, *splits):", files] if place.is_address else []),
        "",
        f"data = load_dataset({of['default']})",
        "# The bytes of WAV files, for soundfile. Without this line datasets decodes them, and needs torchcodec.",
        'data = data.cast_column("audio", Audio(decode=False))',
        "",
        "# One by one, without downloading all",
        f'stream = load_dataset({of["default"]}, split="{next(iter(splits["default"]), "train")}", streaming=True)',
        "# Some columns only",
        f'labels = load_dataset({of["default"]}, columns=["pair_id", "label"])',
        "# All pairs, without media; and what is needed to fetch each side again",
        f"pairs = load_dataset({of['metadata']})",
        f"sides = load_dataset({of['references']})",
    ]
    return "\n".join(["```python", *lines, "```"])


def _arguments(place: Place, config: str, folder: str, splits: Sequence[str]) -> str:
    if place.is_address:
        return f'"parquet", data_files=files({", ".join(map(_quoted, [folder, *splits]))})'
    named = [] if config == "default" else [config]
    revision = f", revision={_quoted(place.revision)}" if place.revision else ""
    return ", ".join(map(_quoted, (place.location, *named))) + revision


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # Python reads it alike


def rehydrate(place: Place) -> str:
    """Return how to get the media that are only referenced."""
    revision = f" --revision {place.revision}" if place.is_on_hub else ""
    command = f"artune rehydrate {shlex.quote(place.location)}{revision} --home DIR"
    return (
        "What is only referenced is fetched again from where it was found, and each file's hash is compared, by\n\n"
        f"```\n{command}\n```"
    )


def contact(place: Place) -> str:
    """Return whom to ask for the removal of a work."""
    if place.is_on_hub:
        return f"Open a [discussion]({place.homepage}/discussions) here, with the `pair_id` or the `url` of the row."
    return "Tell whoever gave you this data set, with the `pair_id` or the `url` of the row."


def bibtex(place: Place, number: int, rule_set: RuleSet) -> str:
    """Return how to cite a release, as an entry of BibTeX."""
    fields = {
        "title": f"{{{_tex(rule_set.title)}}}",
        "version": place.revision or f"release {number}",
        "note": _tex(f"artune, rule set {rule_set.name} {rule_set.digest[:16]}, seed {rule_set.seed}"),
        **({"howpublished": f"\\url{{{place.homepage}}}"} if place.homepage else {}),
    }
    lines = [f"  {name:12} = {{{text}}}," for name, text in fields.items()]
    return "\n".join([f"@misc{{artune_{rule_set.name}_{number},", *lines, "}"])


def _tex(text: str) -> str:
    """Return text that TeX sets as it is; braces and backslashes are left out."""
    return re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[\\{}~^]", "", text))
