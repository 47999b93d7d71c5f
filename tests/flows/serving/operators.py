"""What an operator serves: a folder of media, rules for it, and a recipe that is trained in seconds."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.training import releases
from training import recipe as recipes

DATA_SET = releases.rule_set().name

SMALL = (
    "duration_s=1",
    "image_size_px=16",
    "batch_size=9",
    "epochs=1",
    "validation.timesteps_per_item=1",
    "validation.max_items=3",
    "samples.clips=1",
    "samples.steps=1",
)


@dataclass(frozen=True)
class Place:
    """Where an operator works."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def media(self) -> Path:
        return self.root / "media"

    @property
    def shelf(self) -> Path:
        return self.root / "shelf"

    def words(self, *more: str) -> list[str]:
        """Return what to type behind `artune serve`."""
        named = ["--home", self.home, "--source", f"folder:{self.media}", "--rules", self.root / "rules"]
        return [*map(str, named), *more]


def made(root: Path) -> Place:
    """Write media, rules and recipe."""
    place = Place(root)
    releases.write_media(place.media)
    values = releases.rule_set().model_dump(mode="json", exclude_defaults=True)
    parts = {name: {name: values.pop(name)} for name in ("labels", "vocabulary", "licenses")} | {"settings": values}
    (root / "rules").mkdir()
    for name, part in parts.items():
        (root / "rules" / f"{name}.yaml").write_text(yaml.safe_dump(part, sort_keys=False), encoding="utf-8")
    (root / "quick.yaml").write_text(recipes.dump(recipes.load("tiny", SMALL)), encoding="utf-8")
    return place
