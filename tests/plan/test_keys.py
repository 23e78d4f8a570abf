"""A key is the digest of the canonical identity, however it was put together."""

import hashlib

from derm_bench.plan.keys import canonical, key_of

IDENTITY = {"b": {"y": [1, 2.5, None], "x": "größe"}, "a": True, "c": {}}


def test_a_key_is_the_digest_of_the_canonical_identity():
    expected = hashlib.sha256(
        b'{"a":true,"b":{"x":"gr\xc3\xb6\xc3\x9fe","y":[1,2.5,null]},"c":{}}'
    ).hexdigest()[:40]
    assert key_of(IDENTITY) == expected
    assert key_of(dict(reversed(IDENTITY.items()))) == expected


def test_text_that_is_known_already_changes_no_key():
    assert key_of(IDENTITY, {"b": canonical(IDENTITY["b"]), "c": canonical({})}) == key_of(IDENTITY)
