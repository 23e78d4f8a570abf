"""The duplicates that HAM10000 has."""

import os

import pytest

PAIRS = [["ISIC_0024366", "ISIC_0029861"], ["ISIC_0024777", "ISIC_0029938"]]


@pytest.mark.slow
@pytest.mark.ham
def test_the_two_pairs_of_equal_images_of_one_lesion_are_warnings(audit):
    found, failures = audit(0, "ham10000", os.environ["DERM_BENCH_DATA"])
    assert failures == []
    repeated = [one for one in found.values() if one["code"].startswith("duplicates")]
    assert [one["severity"] for one in repeated] == ["warning"]
    assert sorted(map(sorted, repeated[0]["images"])) == PAIRS
    conflicts = {"conflicting_labels", "label_conflict_in_group", "group_across_splits"}
    assert conflicts.isdisjoint(found)
