"""What a license is called in full, where it is read, and its text if that has to go with what is published."""

import re
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

# As in https://creativecommons.org/licenses/list.en, with or without a country
_CC = re.compile(r"CC-(BY(?:-NC)?(?:-SA|-ND)?)-(\d\.\d)(?:-([A-Z]{2,3}))?", re.IGNORECASE)
_CC_WORDS = {"BY": "Attribution", "NC": "NonCommercial", "SA": "ShareAlike", "ND": "NoDerivatives"}
_CC0 = re.compile(r"CC0(?:-1\.0)?", re.IGNORECASE)
_OF_CC = "https://creativecommons.org"
_TEXTS = Path(__file__).with_name("license_texts")


def full_name(license: str) -> str:
    """Return what a license is called."""
    if found := _CC.fullmatch(license):
        kind, version, country = found.groups()
        words = "-".join(_CC_WORDS[part] for part in kind.upper().split("-"))
        return f"Creative Commons {words} {version}{f' {country.upper()}' if country else ''}"
    return "Creative Commons Zero 1.0" if _CC0.fullmatch(license) else license


def link(license: str) -> str | None:
    """Return where a license is read; None if nobody knows."""
    if found := _CC.fullmatch(license):
        path = "/".join(part.lower() for part in found.groups() if part)
        return f"{_OF_CC}/licenses/{path}/"
    if _CC0.fullmatch(license):
        return f"{_OF_CC}/publicdomain/zero/1.0/"
    try:
        name = canonicalize_license_expression(license)
    except InvalidLicenseExpression:
        return None
    is_one = " " not in name and not name.startswith("LicenseRef-")
    return f"https://spdx.org/licenses/{name}.html" if is_one else None


def text(license: str) -> str | None:
    """Return the words of a license that asks for them beside the work."""
    path = next((path for path in _TEXTS.glob("*.txt") if path.stem.casefold() == license.strip().casefold()), None)
    return path.read_text(encoding="utf-8") if path else None
