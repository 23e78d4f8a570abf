"""A key is the digest of the canonical identity, however it was put together."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from derm_bench.hashed_options import merge_paths
from derm_bench.plan.keys import CanonicalTexts, canonical, canonical_names, key_of
from derm_bench.plan.option_paths import split_paths
from derm_bench.plan.params import as_dict
from derm_bench.specs import TransformUse

IDENTITY = {"b": {"y": [1, 2.5, None], "x": "größe"}, "a": True, "c": {}}


def test_a_key_is_the_digest_of_the_canonical_identity():
    expected = hashlib.sha256(
        b'{"a":true,"b":{"x":"gr\xc3\xb6\xc3\x9fe","y":[1,2.5,null]},"c":{}}'
    ).hexdigest()[:40]
    assert key_of(IDENTITY) == expected
    assert key_of(dict(reversed(IDENTITY.items()))) == expected


def test_files_of_transforms_among_the_options_are_known_by_content(tmp_path):
    class Palette(BaseModel):
        colours: Path
        strength: float = 0.5

    class Gan(BaseModel):
        weights: Path
        augment: tuple[TransformUse, ...]

    def split(folder, content):
        file = tmp_path / folder / "colours.txt"
        file.parent.mkdir()
        file.write_text(content)
        uses = (
            TransformUse(name="hflip", options={}),
            TransformUse(name="tint", options=Palette(colours=file)),
        )
        return file, *split_paths(Gan(weights=file, augment=uses))[:2]

    (here, hashed, local), (_, moved, _), (_, changed, _) = split("a", "x"), split("b", "x"), split("c", "y")
    assert hashed == moved and hashed["augment"] != changed["augment"]
    assert str(tmp_path) not in canonical(hashed)
    before = canonical(hashed)
    back = Gan.model_validate(merge_paths(hashed, local))
    assert back.weights == here
    assert back.augment[1].options == {"colours": here, "strength": 0.5}
    assert canonical(hashed) == before


def test_text_that_is_kept_for_many_stages_is_the_canonical_one():
    """Whatever was put into text before: True is not 1, and -0.0 is not 0.0."""
    texts, shared = CanonicalTexts(), {"b": [1, 2.5], "a": "ü"}
    for value in (1, True, 1.0, 0.0, -0.0, None, "1", "ü", (1, 2), shared, shared, {**shared}):
        params = Pair(first=value, last=shared)
        assert texts.of(params) == canonical(as_dict(params)), value


@dataclass
class Pair:
    last: Any
    first: Any


def test_text_of_a_mapping_of_names_is_the_canonical_one():
    for names in ({}, {"b": "2", "a": 'say "ü"\n', "sample:\u2028": "x"}):
        assert canonical_names(names) == canonical(names)
