"""The numbers of the papers: every file is valid, and what can be computed again is."""

import pytest

from derm_bench.errors import UserError
from derm_bench.leaderboard.published import (
    COLUMNS,
    papers,
    read_confusion,
    read_published,
    scores_of_confusion,
)


def one(paper, method, metric, status, class_name=""):
    (found,) = [
        value
        for value in read_published(paper)
        if (value.method, value.metric, value.status, value.class_name)
        == (method, metric, status, class_name)
    ]
    return found


def agrees(value, expected):
    """Whether a printed value is `expected`, rounded or cut off."""
    return abs(value.share - expected) <= 2 * value.half_digit + 1e-12


def test_every_paper_has_valid_values_from_its_own_tables():
    assert papers() == ["000", "001", "002", "003", "004"]
    values = [value for paper in papers() for value in read_published(paper)]
    assert {value.status for value in values} == {
        "claimed", "recomputed", "inconsistent", "suspect-copy", "secondary",
    }  # fmt: skip
    assert all(
        value.note for value in values if value.status in ("inconsistent", "suspect-copy", "secondary")
    )
    shares = [value for value in values if value.unit in ("percent", "share")]
    assert all(0 <= value.share <= 1 for value in shares)
    assert one("002", "InceptionV3 + DCGAN", "accuracy", "claimed").in_words() == "0.8875"
    assert one("003", "DermaGAN CNN + GAN", "accuracy", "claimed").in_words() == "72.00%"


@pytest.mark.parametrize("paper", ["000", "004"])
def test_recomputed_values_follow_from_the_confusion_matrix(paper):
    classes, counts = read_confusion(paper)
    scores = scores_of_confusion(classes, counts)
    found = [v for v in read_published(paper) if v.status == "recomputed" and v.metric != "relative_gain"]
    assert len(found) >= 3
    for value in found:
        macro = f"{value.metric}_macro" if value.metric in ("precision", "recall", "f1") else value.metric
        name = f"{value.metric}_{value.class_name}" if value.class_name else macro
        assert agrees(value, scores[name]), (value.metric, scores[name])
        assert value.n_test == sum(map(sum, counts))


def test_the_headline_of_paper_000_is_not_a_share_of_its_test_images():
    _, counts = read_confusion("000")
    assert sum(map(sum, counts)) == 56
    claimed = one("000", "AA-GAN-AB-MTEDeep", "accuracy", "inconsistent")
    assert not any(agrees(claimed, k / 56) for k in range(57))
    recomputed = one("000", "AA-GAN-AB-MTEDeep", "accuracy", "recomputed")
    assert agrees(recomputed, 54 / 56) and recomputed.printed == "96.43"
    gains = [v for v in read_published("000") if v.metric == "relative_gain" and v.status == "recomputed"]
    assert len(gains) == 4
    for gain in gains:
        base = one("000", gain.method.split(" over ")[1], "accuracy", "claimed")
        assert agrees(gain, claimed.value / base.value - 1)


def test_the_accuracies_of_paper_003_are_shares_of_400_images_cut_off():
    for method, right in (("VGG19", 262), ("ResNet50", 192), ("DermaGAN CNN + GAN", 288)):
        value = one("003", method, "accuracy", "claimed")
        assert value.n_test == 400 and agrees(value, right / 400)
    copied = one("003", "DermaGAN CNN", "accuracy", "suspect-copy")
    assert copied.printed == one("003", "VGG19", "accuracy", "claimed").printed
    loss = one("003", "DermaGAN CNN", "loss", "suspect-copy")
    assert loss.printed == one("003", "MobileNet", "loss", "claimed").printed


def test_the_f1_scores_of_paper_004_that_are_flagged_are_those_that_do_not_follow():
    values = [v for v in read_published("004") if v.source in ("Table 2", "Table 3", "Table 4")]
    for method in {v.method for v in values}:
        own = {v.metric: v for v in values if v.method == method}
        p, r, f1 = (own[name].value for name in ("precision", "recall", "f1"))
        assert (own["f1"].status == "inconsistent") == (abs(2 * p * r / (p + r) - f1) > 0.01), method


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("claimed", "believed", "status"),
        (",percent,", ",apples,", "unit"),
        ("82.31", "a lot", "value"),
        ("000,Fig", "001,Fig", "a row of paper 001"),
        ("paper,dataset", "paper,data", "has other columns"),
        (",81.48,percent", ",81.48", "11 fields"),
        ("RICAP-CNN,recall", "RICAP-CNN,precision", "two rows of precision"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_its_line(tmp_path, old, new, said):
    cells = ("000", "Figaro1k", "", "70/30", "RICAP-CNN")
    rows = [
        (*cells, metric, "", value, "percent", "Table III", "claimed", "")
        for metric, value in (("precision", "81.48"), ("recall", "82.22"), ("accuracy", "82.31"))
    ]
    text = "\n".join(",".join(row) for row in (COLUMNS, *rows)) + "\n"
    assert old in text
    (tmp_path / "000.csv").write_text(text)
    assert len(read_published("000", tmp_path)) == 3
    (tmp_path / "000.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=said) as raised:
        read_published("000", tmp_path)
    assert "000.csv" in str(raised.value)
