"""Licences of data sets as their descriptions state them: whether images may be passed on, and the licence's page."""

from __future__ import annotations

import re

_VERSION = r"(?:[ -]?(?P<version>[0-9](?:\.[0-9])?))?(?: (?:Universal|International|Unported|Generic))?"
_CC = re.compile(rf"CC[ -]?(?P<kind>0|BY(?:-(?:NC|SA|ND|NC-SA|NC-ND))?){_VERSION}", re.IGNORECASE)
_NOBODYS = re.compile(r"public domain|(?:none, )?(?:the images are )?generated", re.IGNORECASE)
_OPEN_KINDS = ("0", "BY", "BY-SA")
_LATEST = {"0": "1.0"}


def is_open(licence: str) -> bool:
    """Whether a licence lets anyone pass images on for any purpose: CC0, CC BY, CC BY-SA, the public domain, or images
    that were rendered.

    A data set that is made of others has several licences, with `; ` between them, and all of them must be open. A
    licence that is not known to be open is not.
    """
    parts = [part.strip() for part in licence.split(";")]
    return all(_is_open(part) for part in parts)


def _is_open(licence: str) -> bool:
    named = _CC.fullmatch(licence)
    if named is not None:
        return named["kind"].upper() in _OPEN_KINDS
    return _NOBODYS.fullmatch(licence) is not None


def page_of(licence: str) -> str:
    """The address of the text of a Creative Commons licence; empty for any other one."""
    named = _CC.fullmatch(licence.strip())
    if named is None:
        return ""
    kind = named["kind"].upper()
    version = named["version"] or _LATEST.get(kind, "4.0")
    version = version if "." in version else f"{version}.0"
    if kind == "0":
        return f"https://creativecommons.org/publicdomain/zero/{version}/"
    return f"https://creativecommons.org/licenses/{kind.lower()}/{version}/"
