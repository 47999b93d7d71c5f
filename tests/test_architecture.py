"""The arrows of the house: rules <- curation <- training <- evaluation <- flows."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from training import recipe

ROOT = Path(__file__).parent.parent
FLOORS = ["rules", "curation", "training", "evaluation", "flows"]
BESIDE = {
    "pyproject.toml",
    "README.md",
    "dataset_card.md",
    "tests",
    "LICENSE",
    "NOTICE",
    "Makefile",
    "constraints.txt",
    "benchmarks",
    *FLOORS,
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_one_way(package: str) -> None:
    above = set(FLOORS[FLOORS.index(package) + 1 :])
    found = {path.relative_to(ROOT): above.intersection(imports(path)) for path in modules(package)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("package", FLOORS[:-1])
def test_only_flows_knows_prefect(package: str) -> None:
    assert [path for path in modules(package) if "prefect" in set(imports(path))] == []


def reads_environment(path: Path) -> bool:
    names = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    return bool(names & {"environ", "getenv", "environb"})


@pytest.mark.parametrize("package", FLOORS)
def test_only_settings_reads_the_environment(package: str) -> None:
    readers = [path.relative_to(ROOT) for path in modules(package) if reads_environment(path)]
    assert readers == ([Path("flows/settings.py")] if package == "flows" else [])


def texts(path: Path) -> set[str]:
    """Return every text constant of a module, also the parts of f-strings and the cases of a match."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def choices(schema: object) -> set[str]:
    """Return the words that a recipe may choose from."""
    if isinstance(schema, dict):
        here = {word for word in schema.get("enum", ()) if isinstance(word, str)}
        return here.union(*map(choices, schema.values()))
    return set().union(*map(choices, schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("package", FLOORS)
def test_no_code_knows_a_recipe_by_its_name(package: str) -> None:
    # A recipe may be called as one of its values is, like `unet: lora`; what is asked then is the value.
    named = set(recipe.names()) - choices(recipe.Recipe.model_json_schema())
    assert {"tiny", "model-1", "model-2", "preliminary-1", "preliminary-2", "recommended"} <= named
    found = {path.relative_to(ROOT): named & texts(path) for path in modules(package)}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_top_level_is_what_the_readme_maps() -> None:
    tracked = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    built = {"demo", "artune-home", "dist", "runs", "evaluations"}
    assert {name for name in tracked - built if not name.endswith(".egg-info")} == BESIDE


@pytest.mark.parametrize("package", FLOORS)
def test_nobody_else_installs_our_packages(package: str) -> None:
    # Plain names like `rules` could be overwritten by another distribution without a word.
    # An editable installation lists no packages at all.
    assert set(importlib.metadata.packages_distributions().get(package, [])) <= {"artune"}


def test_the_readme_maps_every_folder() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in FLOORS if f"\n{name}/" not in text] == []


OF_OTHERS = {"codecarbon"}  # optional: training asks whether it is there


def installed_with(extra: str) -> set[str]:
    """Give the distributions that artune declares for an extra, and those that it always needs."""
    wanted = [Requirement(line) for line in importlib.metadata.requires("artune") or []]
    here = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": extra})]
    return {canonicalize_name(one.name) for one in here}


@pytest.mark.parametrize(("package", "extra"), [("training", "train"), ("evaluation", "eval")])
def test_an_extra_brings_all_that_its_package_imports(package: str, extra: str) -> None:
    given = importlib.metadata.packages_distributions()
    found = {name for path in modules(package) for name in imports(path)} - set(sys.stdlib_module_names)
    foreign = found - set(FLOORS) - OF_OTHERS
    declared = installed_with(extra)
    lacking = {name for name in foreign if not declared & {canonicalize_name(one) for one in given.get(name, [])}}
    assert lacking == set()
