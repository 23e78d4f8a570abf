"""File names made of labels: never two alike, never too long, and always the same for the same labels."""

import pytest

from derm_bench.filenames import FileNames

LABELS = [
    "g0",
    "a__b",
    "A",
    "a",
    "痤疮",
    "痣" * 200,
    "x" * 200,
    "x" * 201,
    "..",
    ".",
    "",
    "a/b",
    "a:b",
    "-rf",
    "é",
    "e\u0301",
]


def test_names_never_collide_and_every_file_system_takes_them(tmp_path):
    names = FileNames()
    found = [names.of(label, suffix=".png") for label in LABELS] + [names.of("x" * 300, suffix=".png")]
    assert len({name.casefold() for name in found}) == len(LABELS) + 1
    for name in found:
        assert len(name.encode()) <= 200 and name.endswith(".png")
        assert "/" not in name and not name.startswith((".", "-"))
        (tmp_path / name).touch()


def test_labels_that_become_equal_get_a_number():
    names = FileNames()
    pairs = [("a__b", "c"), ("a", "b__c"), ("A", "b__c"), ("a/b", "c"), ("a:b", "c")]
    assert [names.of(*pair) for pair in pairs] == ["a__b__c", "a__b__c-2", "A__b__c-3", "a_b__c", "a_b__c-2"]


@pytest.mark.parametrize("label", ["g0", "mel", "痤疮", "a+b=1@2"])
def test_plain_labels_stay_as_they_are(label):
    assert FileNames().of(label, "last", suffix=".png") == f"{label}__last.png"


def test_the_same_labels_always_get_the_same_names():
    first, second = FileNames(), FileNames()
    assert [first.of(label) for label in LABELS] == [second.of(label) for label in LABELS]
