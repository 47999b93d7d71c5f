"""What the README shows is run as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import rules
from curation import collect, ingest, sources
from curation.batches import in_threads
from curation.coverage import survey
from curation.store import Home
from rules.collecting import Query
from rules.licenses import USES
from tests import museum

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def block(title: str, language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", section(title), re.DOTALL)[1]  # type: ignore[index]


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"`artune (\w+)", TEXT))
    listed = subprocess.run(
        [Path(sys.executable).with_name("artune"), "--help"], capture_output=True, text=True, check=True
    )
    assert named
    assert {name for name in named if f" {name} " not in listed.stdout} == set()


def test_every_folder_and_module_of_the_map_exists() -> None:
    named = re.findall(r"`([a-z_]+)/?`", section("The map").split("In `curation/`")[1])
    missing = [n for n in named if not ((ROOT / "curation" / n).is_dir() or (ROOT / "curation" / f"{n}.py").is_file())]
    assert len(named) > 20
    assert missing == []


@pytest.mark.parametrize(
    ("floor", "after", "dropped_in", "untold"),
    [
        # `libraries` imports what others need, and does nothing
        ("training", "curation", {"encoders", "models"}, {"libraries"}),
        ("evaluation", "training", {"metrics", "features", "report"}, set()),
    ],
)
def test_the_map_of_a_floor_is_whole(floor: str, after: str, dropped_in: set[str], untold: set[str]) -> None:
    text = section("The map").split(f"In `{floor}/`")[1].split(f"In `{after}/`")[0]
    named = set(re.findall(r"`([a-z_]+)/?`", text))
    folder = ROOT / floor
    found = {path.stem for path in folder.rglob("*.py") if path.parent.name not in dropped_in}
    found |= {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert found - named - {"__init__"} == untold
    assert named - found == set()


def test_the_recipe_for_a_source_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "text_list.py").write_text(block("How to add a source", "python"))
    picture = ROOT / "curation" / "sources" / "sample_data" / "images" / "hokusai_great_wave.jpg"
    (tmp_path / "list.txt").write_text(f"{picture}\n")
    monkeypatch.setattr("curation.sources.__path__", [str(tmp_path)])
    home = Home(tmp_path / "home")
    listing = collect.list_sources(home, [f"text_list:{tmp_path / 'list.txt'}"])
    assert [collect.collect_batch(batch) for batch in listing.batches] == [{None: 1}]
    (row,) = collect.current_items(home, listing).to_pylist()
    assert (row["source"], row["source_id"], row["modality"]) == ("text_list", str(picture), "image")
    assert row["tags"] == [{"kind": "style", "value": "Ukiyo-e"}]


def test_the_recipe_for_a_source_of_the_web_works(tmp_path: Path) -> None:
    with museum.site(prints=3) as site, museum.opened(tmp_path / "sources", site.url) as module:
        rule_set = rules.load(str(museum.write_rules(tmp_path / "tiny", {"prints": "Portrait"})))
        home, means = Home(tmp_path / "home"), ingest.Means(site.settings, in_threads(2), lambda: datetime.now(UTC))
        (done,) = ingest.ingest(home, ["museum"], rule_set, means)
        assert (done.found, done.ended.fetched, done.failures) == (3, 3, {})
        rows = collect.current_items(home, collect.list_sources(home, ["museum"])).to_pylist()
    assert [(row["source_id"], row["license"], row["modality"]) for row in rows] == [
        (f"prints-{number}", "CC0-1.0", "image") for number in range(3)
    ]
    assert rows[0]["tags"] == [{"kind": "genre", "value": "Portrait"}]
    with pytest.raises(ValueError, match="expected album: NAME"):
        module.check(Query("museum", "search", "prints"))


def test_the_lists_that_are_shown_are_lists_of_their_sources(tmp_path: Path) -> None:
    mine = shutil.copytree(ROOT / "rules" / "museart18", tmp_path / "mine")
    (mine / "collect.yaml").write_text(block("What to collect", "yaml"), encoding="utf-8")
    rule_set = rules.load(str(mine))
    queries = [query for name in ("pinterest", "youtube", "kaggle") for query in rule_set.queries(name)]
    assert [query.kind for query in queries] == ["search", "search", "dataset"]
    for query in queries:
        sources.get_web(query.source).check(query)


def test_the_licenses_that_are_shown_are_read_and_let_nothing_out_that_the_default_does_not(tmp_path: Path) -> None:
    mine = shutil.copytree(ROOT / "rules" / "museart18", tmp_path / "mine")
    (mine / "licenses.yaml").write_text(block("What may be published", "yaml"), encoding="utf-8")
    shown, default = rules.load(str(mine)).licenses, rules.load("museart18").licenses
    for use in USES[:-1]:
        assert {default.use(name) for name in getattr(shown, use)} == {use}
    assert (shown.use("LicenseRef-Mine"), shown.default) == ("exclude", default.default)


def test_the_recipe_for_a_rule_works_and_takes_pictures_of_the_sample(sample_home: Home, tmp_path: Path) -> None:
    mine = shutil.copytree(ROOT / "rules" / "museart18", tmp_path / "mine")
    with (mine / "labels.yaml").open("a", encoding="utf-8") as file:
        file.write("\n" + block("How to add a rule", "yaml"))
    rule_set = rules.load(str(mine))
    added = [label["name"] for label in yaml.safe_load(block("How to add a rule", "yaml"))]
    assert list(rule_set.label_names[-2:]) == added == ["Japanese prints", "Quiet interiors"]
    uses = survey(sample_home, collect.current_items(sample_home, listing_of(sample_home)), rule_set).images.labels
    taken = {use.label: use.fit for use in uses}
    assert (taken["Japanese prints"], taken["Quiet interiors"]) == (4, 3)


def listing_of(home: Home) -> collect.Listing:
    return collect.list_sources(home, ["sample"])


@pytest.fixture(scope="module")
def walked(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Type what "Change a rule" says, beside a copy of the demo, and return what each command printed."""
    root = tmp_path_factory.mktemp("walk")
    shutil.copytree(sample_home.root, root / "demo")
    (root / "rules").symlink_to(ROOT / "rules")
    copy, commands = re.findall(r"```\n((?:cp|artune) .*?)```", section("Change a rule"), re.DOTALL)
    printed = {}
    for line in [*copy.splitlines(), *commands.splitlines()]:
        command = line.partition("  #")[0].strip()
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
        done = subprocess.run(command.split(), cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == (2 if " plan " in command else 0), f"{command}: {done.stderr}"
        printed[command] = done.stdout
        if command.startswith("cp"):
            labels = root / "my-rules" / "labels.yaml"
            head, name, tail = labels.read_text(encoding="utf-8").partition("- name: Modern instrumental music\n")
            line = "- genre: [Sketch and study]\n"
            assert line in tail
            labels.write_text(head + name + tail.replace(line, line + block("Change a rule", "yaml"), 1), "utf-8")
    assert (root / "plan.html").stat().st_size > 0
    return printed


def test_a_newcomer_changes_a_rule_and_goes_back(walked: dict[str, str]) -> None:
    first, *_ = re.findall(r"```\n(Release 2 would.*?)```", section("Change a rule"), re.DOTALL)
    assert walked["artune plan --home demo --rules my-rules"].startswith(first.strip())
    assert "29 kept, 1 new, 1 ended" in walked["artune diff 1 2 --home demo"]
    assert "excluded by year at most 1900" in walked["artune explain images/durer_lion.jpg --home demo"]
    assert "30 kept, 0 new, 0 ended" in walked["artune rollback 1 --home demo"]
    assert "rollback to 1" in walked["artune releases --home demo"]
