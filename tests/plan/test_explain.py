"""Differences of two identities, in words."""

import copy

import pytest

from derm_bench.plan.explain import differences, nearest

IDENTITY = {
    "protocol": "2",
    "kind": "train",
    "params": {
        "split": "a" * 64,
        "classifier": "timm",
        "options": {"lr": 0.001, "weights": {"sha256": "b" * 64}, "sizes": (1, 2)},
        "augment": [{"name": "rotate", "options": {"degrees": 30}}],
        "seed": 7,
    },
    "inputs": {"decode": "k1"},
    "code": {
        "stage": "s1",
        "plugins": [
            {"name": "timm", "distribution": "derm-bench", "source": "p1", "spec": {"reads": "train"}}
        ],
    },
    "numerics": {"device": "cpu", "precision": "fp32", "threads": 2, "versions": {"torch": "2.11"}},
}


def changed(path: str, value: object) -> dict:
    identity = copy.deepcopy(IDENTITY)
    *parents, last = [int(word) if word.isdigit() else word for word in path.split("/")]
    place = identity
    for word in parents:
        place = place[word]
    place[last] = value
    return identity


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("params/options/lr", 0.01, "options.lr: 0.001 -> 0.01"),
        ("params/options/weights", {"sha256": "c" * 64}, "options.weights: the content of the file changed"),
        ("params/augment/0/options/degrees", 45, "augment.0.options.degrees: 30 -> 45"),
        ("params/augment", [], 'augment: [{"name": "rotate", "options": {"degrees": 30}}] -> []'),
        ("params/options/dropout", 0.5, "options.dropout: absent -> 0.5"),
        ("params/split", "d" * 64, "split changed"),
        ("params/seed", 8, "seed changed"),
        ("inputs/decode", "k2", "upstream 'decode phantom' changed"),
        ("code/stage", "s2", "engine code changed"),
        ("code/plugins/0/source", "p2", "code of plugin timm changed"),
        ("code/plugins/0/spec", {"reads": "reserve"}, "the spec of plugin timm changed"),
        ("code/plugins/0/declared", "d2", "what `depends_on` names of plugin timm changed"),
        (
            "params/options/weights",
            {"folder": "c" * 64},
            "options.weights: the content of the file changed",
        ),
        ("numerics/threads", 1, "numerics.threads 2 -> 1"),
        ("numerics/versions/torch", "2.12", "torch 2.11 -> 2.12"),
        ("protocol", "3", "protocol version 2 -> 3"),
    ],
)
def test_each_input_is_named(path, value, said):
    assert differences(changed(path, value), IDENTITY, {"k2": "decode phantom"}) == [said]


def test_equal_identities_differ_in_nothing_whether_read_from_json_or_not():
    assert differences(IDENTITY, changed("params/options/sizes", [1, 2])) == []


def test_the_nearest_differs_least_and_does_the_same():
    candidates = [
        (changed("kind", "evaluate"), "same title"),
        (changed("params/classifier", "mlp"), "same title"),
        (changed("params/options/lr", 1.0) | {"protocol": "0"}, "two differences"),
        (changed("params/options/lr", 0.5), "other title"),
        (changed("params/options/lr", 0.5), "same title"),
    ]
    assert nearest(IDENTITY, candidates, "same title") == 4
    assert nearest(IDENTITY, candidates[:3], "same title") == 2
    assert nearest(IDENTITY, candidates[:1]) is None
