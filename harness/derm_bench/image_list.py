"""The list of images that a decode stage reads: `id`, `group`, `label` and content digest, one line per image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

# Control characters would end a field or a line, and lone surrogates (names that are not UTF-8) cannot be encoded.
_NOT_PLAIN = re.compile('^"|[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]')
_PLAIN = bytes(k for k in range(0x20, 0x7F) if k != ord('"')) + b"\n\t"


class ListedImage(NamedTuple):
    """One image of the list: `digest` is the content digest from planning."""

    id: str
    group: str
    label: str
    digest: str


def line_of(fields: Iterable[str]) -> str:
    """Fields joined by tabs. A field that contains control characters, or begins with a quotation mark, is written as a
    JSON string, so that a name is never taken for two."""
    fields = tuple(fields)
    whole = "".join(fields)
    if '"' not in whole and not _NOT_PLAIN.search(whole):  # nearly every line
        return "\t".join(fields)
    return "\t".join(json.dumps(field) if _NOT_PLAIN.search(field) else field for field in fields)


def fields_of(line: str) -> list[str]:
    """The fields of a line that `line_of` made."""
    return [json.loads(field) if field.startswith('"') else field for field in line.split("\t")]


def write_list(images: Iterable[ListedImage | tuple[str, str, str, str]]) -> bytes:
    """The list as a file. Plain tuples of the four fields are made faster, where there are hundreds of thousands."""
    listed = list(images)
    text = "\n".join(map("\t".join, listed))
    if text.isascii() and _is_plain(content := text.encode(), len(listed)):  # nearly every list
        return content
    return "\n".join(map(line_of, listed)).encode()


def _is_plain(content: bytes, lines: int) -> bool:
    """Whether a text consists of so many lines of joined fields that `line_of` would not write in another way."""
    ends = max(0, lines - 1), lines * (len(ListedImage._fields) - 1)
    return (content.count(b"\n"), content.count(b"\t")) == ends and not content.translate(None, _PLAIN)


def read_list(content: bytes) -> list[ListedImage]:
    """The images of a file that `write_list` made, in order."""
    return [ListedImage(*fields_of(line)) for line in content.decode().split("\n")]
