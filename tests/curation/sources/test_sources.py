"""The contract that every module of curation/sources keeps, whatever it lists."""

from pathlib import Path

import pytest

from curation import sources
from rules.errors import ConfigurationError


@pytest.mark.parametrize("name", sources.names())
def test_source_names_its_home_and_its_license(name: str) -> None:
    source = sources.get(name)
    assert isinstance(source.HOMEPAGE, str)
    assert source.LICENSE
    assert source.__doc__


@pytest.mark.parametrize("name", sources.names())
def test_unusable_location_is_refused_before_anything_is_listed(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        sources.get(name).entries(str(tmp_path / "nowhere"))


def test_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="'nowhere'.*folder, sample"):
        sources.get("nowhere")
