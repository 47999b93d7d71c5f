"""The contract that every module of curation/sources keeps, whatever it lists."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rules
from curation import sources
from curation.sources import Need
from rules.collecting import Query
from rules.errors import ConfigurationError

NAMES = sources.names()
WEB = [name for name in NAMES if sources.is_web(sources.get(name))]
LOCAL = [name for name in NAMES if name not in WEB]
HOST = re.compile(r"\.?([a-z0-9-]+\.)+[a-z]+")
HEAVY = {"aiohttp", "gallery_dl", "kagglehub", "prefect", "protego", "requests", "yt_dlp"}


def test_the_sources_are_those_that_the_readme_tells_of() -> None:
    assert (LOCAL, WEB) == (["folder", "sample"], ["kaggle", "pinterest", "wikiart", "youtube"])


@pytest.mark.parametrize("name", NAMES)
def test_source_names_its_home_and_its_license(name: str) -> None:
    source = sources.get(name)
    assert isinstance(source.HOMEPAGE, str)
    assert source.LICENSE
    assert source.__doc__


@pytest.mark.parametrize("name", LOCAL)
def test_unusable_location_is_refused_before_anything_is_listed(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        sources.get(name).entries(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", WEB)
def test_a_source_of_the_web_says_whose_terms_hold_and_how_slowly_it_is_asked(name: str) -> None:
    source = sources.get_web(name)
    assert source.HOMEPAGE.startswith("https://")
    assert len(source.TERMS) > 40
    assert "terms" in source.TERMS
    assert source.RATES
    assert all(HOST.fullmatch(host) and 0 < rate <= 10 for host, rate in source.RATES.items())


@pytest.mark.parametrize("name", WEB)
def test_a_source_of_the_web_says_what_it_needs_and_how_to_get_it(name: str) -> None:
    needs = sources.get_web(name).needs()
    assert needs
    assert all(isinstance(need, Need) and need.what and need.advice for need in needs)


@pytest.mark.parametrize("name", WEB)
@pytest.mark.parametrize("kind", ["nonsense", ""])
def test_an_unknown_kind_of_list_is_refused_with_those_that_are_expected(name: str, kind: str) -> None:
    with pytest.raises(ValueError, match="expected") as refusal:
        sources.get_web(name).check(Query(name, kind, "baroque"))
    used = {query.kind for query in rules.load("museart18").queries(name)}
    assert {kind for kind in used if kind not in str(refusal.value)} == set()


@pytest.mark.parametrize("name", WEB)
def test_every_list_of_the_default_rules_can_be(name: str) -> None:
    queries = rules.load("museart18").queries(name)
    assert queries
    for query in queries:
        sources.get_web(name).check(query)


@pytest.mark.parametrize("name", WEB)
@pytest.mark.parametrize(
    "text", ["", " ", "..", "../..", "a/../../b", "http://127.0.0.1/", "file:///etc/passwd", "x\ny"]
)
def test_no_text_leads_a_list_anywhere_but_to_a_name_of_the_source(name: str, text: str) -> None:
    """Only a search takes any words."""
    source = sources.get_web(name)
    kinds = {query.kind for query in rules.load("museart18").queries(name)} - {"search"}
    for kind in kinds:
        with pytest.raises(ValueError, match=r"."):
            source.check(Query(name, kind, text))


@pytest.mark.parametrize("name", WEB)
def test_a_list_is_read_lazily(name: str) -> None:
    assert inspect.isgeneratorfunction(sources.get_web(name).found)


def test_importing_the_sources_loads_nothing_that_is_slow_or_optional() -> None:
    code = "import sys; from curation import sources\nfor name in sources.names(): sources.get(name)\n"
    code += f"print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'nowhere'.*folder, kaggle"):
        sources.get("nowhere")


def test_a_source_of_this_machine_is_none_of_the_web() -> None:
    with pytest.raises(ConfigurationError, match="artune build --source folder"):
        sources.get_web("folder")
