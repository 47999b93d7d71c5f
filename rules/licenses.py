"""What may be published of media, by their licenses: licenses.yaml."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rules.spelling import tidy

Use = Literal["embed", "embed_with_attribution", "reference", "exclude"]
USES: tuple[Use, ...] = get_args(Use)
EMBEDDING: tuple[Use, ...] = ("embed", "embed_with_attribution")
UNKNOWN = "unknown"  # what a row says where its source names no license

MAX_LICENSE_CHARS = 100

License = Annotated[str, Field(strict=True, max_length=MAX_LICENSE_CHARS), AfterValidator(tidy)]
LicenseList = Annotated[tuple[License, ...], Field(min_length=1)]


class Licenses(BaseModel):
    """What may be published of an item under each license; under any other, never its media."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    default: Annotated[
        Literal["reference", "exclude"], Field(description="of a license that stands in no list, `unknown` among them")
    ] = "reference"
    embed: Annotated[LicenseList, Field(description="media may be published")] = ()
    embed_with_attribution: Annotated[
        LicenseList, Field(description="media may be published if the row says whom to name, else a reference")
    ] = ()
    reference: Annotated[LicenseList, Field(description="where it is found and what it is like, never media")] = ()
    exclude: Annotated[LicenseList, Field(description="nothing is published")] = ()

    def use(self, license: str) -> Use:
        """Return what may be published under a license, as a row names it."""
        return self._uses.get(license_key(license), self.default)

    @cached_property
    def _uses(self) -> Mapping[str, Use]:
        return {license_key(license): use for use in USES for license in getattr(self, use)}


def license_key(license: str) -> str:
    """Return what spellings of one license have in common: case and surplus spaces do not count, versions do."""
    return " ".join(license.split()).casefold()
