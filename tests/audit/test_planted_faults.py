"""Faults that people have met, planted into folders of phantoms: the audit finds each, and nothing in clean folders."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.audit.conftest import PhantomFolder, black_corners

SHORTCUTS = ("label_from", "proxy_column")


def shortcuts(found) -> list[str]:
    return [code for code, one in found.items() if code.startswith(SHORTCUTS) and one["severity"] != "note"]


@pytest.mark.parametrize("seed", range(5))
def test_clean_phantoms_give_no_stop_and_no_shortcut(seed, tmp_path, audit):
    folder = PhantomFolder(tmp_path / "data", seed, images=72)
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, failures = audit(0, "ham10000", folder.root)
    assert shortcuts(found) == []
    assert [code for code, one in found.items() if one["severity"] == "stop"] + failures == []


def test_an_identical_file_across_splits_stops_unless_the_protocol_permits_it(folder, audit, tmp_path):
    names = list(folder.label)
    for k, name in enumerate(names):
        part = "test" if k % 3 == 0 else "train"
        folder.write(name, place=folder.root / part / folder.label[name])
    copied = folder.write(names[1], place=folder.root / "train" / folder.label[names[1]])
    (folder.root / "test" / folder.label[names[1]] / "again.jpg").write_bytes(copied.read_bytes())
    entry = {"split": {"method": "given"}}
    found, _ = audit(1, "image-folder", folder.root, **entry)
    finding = found["duplicates_across_splits"]
    assert finding["severity"] == "stop" and finding["counts"]["sets"] == 1
    assert sorted(finding["parts"]) == ["test", "train"]
    assert list((tmp_path / "out").glob("*duplicates_across_splits.png"))
    protocol = {"name": "paper", "allow": ["duplicates_across_splits"]}
    found, _ = audit(0, "image-folder", folder.root, protocol, **entry)
    assert found["duplicates_across_splits"]["severity"] == "warning"
    assert "permitted by duplicates_across_splits" in found["duplicates_across_splits"]["sentence"]
    found, _ = audit(0, "image-folder", folder.root, clean={"duplicates": "drop"}, **entry)
    assert "duplicates_across_splits" not in found and found["cleaned"]["counts"] == {"copies": 1}


def test_conflicting_labels_of_identical_images_and_within_a_group(folder, audit):
    first, other = folder.of("mel")[0], folder.of("nv")[0]
    folder.pixels[other] = folder.pixels[first]
    folder.group[other] = folder.group[first]
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["conflicting_labels"]["severity"] == "warning"
    assert {folder.called(first), folder.called(other)} <= set(found["conflicting_labels"]["images"][0])
    assert found["label_conflict_in_group"]["counts"]["groups"] == 1


def test_a_group_across_splits_needs_its_permit(folder, audit):
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    permit = {"name": "paper", "allow": ["ungrouped_split"]}
    found, _ = audit(0, "ham10000", folder.root, permit, split={"group": "none"})
    assert found["group_across_splits"]["severity"] == "warning"
    assert found["group_across_splits"]["counts"]["groups"] > 1


def test_a_class_told_apart_by_the_size_of_its_images(folder, audit):
    for name in folder.label:
        if folder.label[name] == "mel":
            folder.pixels[name] = folder.pixels[name][2:62]
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_image_size"]["values"]["class"] == "mel"
    assert found["label_from_image_size"]["values"]["told_apart"] > 0.95
    values = found["label_from_image_size"]["values"]
    assert values["accuracy"] > values["majority_share"] and values["p_value"] < 1e-3


def test_a_class_told_apart_by_its_codec(folder, audit):
    for name in folder.label:
        folder.write(name, ".png" if folder.label[name] == "bkl" else ".jpg")
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_codec"]["values"]["class"] == "bkl"


def test_a_class_told_apart_by_the_quality_of_its_compression(folder, audit):
    for name in folder.label:
        folder.write(name, quality=60 if folder.label[name] == "nv" else 92)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_codec"]["values"]["class"] == "nv"


def test_a_class_told_apart_by_the_resolution_of_its_source(folder, audit):
    for name in folder.of("nv"):
        small = Image.fromarray(folder.pixels[name]).resize((32, 32), Image.Resampling.BOX)
        folder.pixels[name] = np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC))
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_resolution"]["values"]["class"] == "nv"


def test_black_corners_in_one_class(folder, audit):
    for name in folder.of("mel"):
        folder.pixels[name] = black_corners(folder.pixels[name])
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_dark_corners"]["values"]["class"] == "mel"


def test_hair_in_one_class(folder, audit):
    rng = np.random.default_rng(0)
    for name in folder.of("nv"):
        drawn = Image.fromarray(folder.pixels[name])
        for _ in range(6):
            ImageDraw.Draw(drawn).line(rng.integers(0, 64, 4).tolist(), (35, 25, 20))
        folder.pixels[name] = np.asarray(drawn)
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_hair"]["values"]["class"] == "nv"
    assert "label_from_ruler" not in found


def test_rulers_in_one_class(folder, audit):
    for k, name in enumerate(folder.of("mel")):
        pixels = folder.pixels[name].copy()
        pixels[56:, k % 4 :: 4 + k % 3] = 20
        folder.pixels[name] = pixels if k % 2 else pixels.transpose(1, 0, 2)
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["label_from_ruler"]["values"]["class"] == "mel"


def test_images_that_parts_of_a_union_share_are_found_under_the_names_of_the_parts(folder, audit, tmp_path):
    for name, label in folder.label.items():
        for part in ("one", "two"):
            folder.write(name, place=tmp_path / part / label)
    parts = [{"name": "image-folder", "label": part, "root": str(tmp_path / part)} for part in ("one", "two")]
    found, _ = audit(1, "union", None, of=parts, dedup=[])
    finding = found["duplicates_across_splits"]
    assert finding["severity"] == "stop"
    assert all({name.partition("/")[0] for name in names} == {"one", "two"} for names in finding["images"])
    found, failures = audit(0, "union", None, of=parts)
    assert failures == [] and found["cleaned"]["counts"] == {"copies": len(folder.label)}


def test_a_column_that_is_the_label_in_disguise(folder, audit):
    for name, row in folder.row.items():
        folder.write(name)
        row["dx_type"] = {"mel": "histo", "nv": "follow_up", "bkl": "consensus"}[folder.label[name]]
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert found["proxy_column"]["values"]["trait"] == "dx_type"


def test_an_unreadable_file_stops_beyond_the_allowance_and_is_listed_within(folder, audit):
    for name in folder.label:
        path = folder.write(name)
    path.write_bytes(path.read_bytes()[:300])
    folder.metadata()
    _, failures = audit(1, "ham10000", folder.root)
    assert path.stem in failures[0] and "cannot be read" in failures[0]
    found, failures = audit(0, "ham10000", folder.root, clean={"unreadable": 0.05})
    assert failures == [] and found["unreadable"]["images"] == [[path.stem]]


def test_a_file_name_that_spells_the_class(folder, audit):
    for name in folder.label:
        path = folder.write(name, place=folder.root / folder.label[name])
        path.rename(path.with_name(f"{'melanoma' if folder.label[name] == 'mel' else 'IMG'}{path.name[5:]}"))
    found, _ = audit(0, "image-folder", folder.root)
    assert found["label_from_file_name"]["values"]["class"] == "mel"


def test_a_leak_ends_a_run_before_anything_trains_and_its_cells_say_why(folder, tmp_path, in_process):
    for k, name in enumerate(folder.label):
        folder.write(name, place=folder.root / ("test" if k % 3 == 0 else "train") / folder.label[name])
    path = next((folder.root / "train" / "mel").iterdir())
    (folder.root / "test" / "mel" / "again.jpg").write_bytes(path.read_bytes())
    matrix = tmp_path / "m.yaml"
    text = {
        "name": "leaky",
        "dataset": {
            "name": "image-folder",
            "root": str(folder.root),
            "size": 16,
            "split": {"method": "given"},
        },
        "strategies": ["real-only"],
        "classifiers": ["toy-centroid"],
        "budget": {"updates": 1},
        "numerics": {"threads": 1},
    }
    matrix.write_text(json.dumps(text))
    fair = ("run", matrix, "--executor", "inline", "--out", tmp_path / "fair")
    ran = in_process(*fair)
    assert ran.code == 1
    row = (tmp_path / "fair" / "results.csv").read_text()
    assert "skipped" in row and "identical images" in row
    written = json.loads((tmp_path / "fair" / "audit" / "image-folder-s0.json").read_text())
    assert written["findings"][0]["severity"] == "stop"
    assert (tmp_path / "fair" / "audit" / written["findings"][0]["sheet"]).is_file()
    report = (tmp_path / "fair" / "report.html").read_text()
    assert "Audit of the data" in report

    paper = json.dumps({"name": "paper", "allow": ["duplicates_across_splits"]})
    ran = in_process(*fair[:-1], tmp_path / "paper", "--set", f"protocol={paper}")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "paper" / "manifest.json").read_text())
    assert any("permitted by duplicates_across_splits" in line for line in manifest["warnings"])

    # The training is in the store now, and still does not count without the permit.
    ran = in_process(*fair, "--retry-failed")
    assert ran.code == 1 and "skipped" in (tmp_path / "fair" / "results.csv").read_text()


def test_too_many_images_for_every_pair_are_a_note(folder, audit, monkeypatch):
    monkeypatch.setattr("derm_bench.audit.near_duplicates.MAX_COMPARED", 100)
    for name in folder.label:
        folder.write(name)
    folder.metadata()
    found, _ = audit(0, "ham10000", folder.root)
    assert "by perceptual hashes alone" in found["near_duplicates_partly_checked"]["sentence"]
