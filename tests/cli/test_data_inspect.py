"""`data inspect` finds the data set that reads a folder, shows what is in it, and writes a matrix that runs."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from derm_bench.inspection import files
from derm_bench.inspection.samples import in_terminal, shows_pictures
from derm_bench.yamlio import load_yaml

PLUGIN = """
from pathlib import Path

from derm_bench import api

DERM_BENCH_API = 1


class Options(api.Options):
    root: Path
    side: str = "left"


@api.hookimpl
def derm_bench_datasets():
    return [
        api.DatasetSpec(
            name="my-clinic", summary="ours", create="my_clinic:Clinic", options=Options, recognise="my_clinic:mine"
        )
    ]


def mine(place):
    return api.Recognised("it has a clinic.txt", 0.9, {"side": "right"}) if (place / "clinic.txt").exists() else None


class Clinic:
    def __init__(self, options, task):
        pass

    def describe(self, options):
        return api.DatasetDescription(ids=["1", "2"], labels=[options.side, "b"], classes=[options.side, "b"])

    def fingerprint(self, options):
        return {"1": "1", "2": "2"}

    def read(self, ids):
        return iter([])
"""


def image(path, side=40, seed=0, colour=0, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, colour]).integers(0, 120, (side, side, 3), dtype=np.uint8)
    pixels[..., colour] += 100
    Image.fromarray(pixels).save(path, **how)


@pytest.fixture
def mine(tmp_path):
    """Two classes of 60 and 20 images in two codecs and sizes, two images of each patient."""
    rows = ["image,group"]
    for colour, (label, count) in enumerate((("melanoma", 20), ("nevus", 60))):
        for number in range(count):
            name = f"{label}/{number:03}.{'png' if number % 2 else 'jpg'}"
            image(tmp_path / "mine" / name, 40 if number < 50 else 50, number, colour)
            rows.append(f"{name},{label}-{number // 2}")
    (tmp_path / "mine" / "groups.csv").write_text("\n".join(rows))
    return tmp_path / "mine"


def facts_of(ran):
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_a_folder_is_recognised_and_its_contents_are_shown(mine, in_process):
    ran = in_process("data", "inspect", mine)
    assert ran.code == 0, ran.err
    assert "read as image-folder: 2 folders of images, one per class (melanoma, nevus)" in ran.err
    text = " ".join(ran.out.split())
    assert "image-folder: 80 images of 2 classes" in text
    assert "melanoma 20 25.0% 10" in text and "nevus 60 75.0% 30" in text
    assert "groups: 40, the largest of 2 images" in text
    assert "files (all headers): JPEG 40, PNG 40" in text
    assert "sizes in pixels: 40 x 40 (70), 50 x 50 (10)" in text
    assert "class 'melanoma' is small: 20 images in 10 groups" in text
    assert "the licence is not stated" in text and "▀" not in text


def test_the_same_is_printed_as_json(mine, in_process):
    facts = facts_of(in_process("data", "inspect", mine, "--json"))
    assert facts["dataset"] == "image-folder" and facts["images"] == 80 and facts["root"] == str(mine)
    assert facts["classes"] == {
        "melanoma": {"images": 20, "groups": 10},
        "nevus": {"images": 60, "groups": 30},
    }
    assert facts["files"]["shorter_side"] == {"min": 40, "median": 40, "max": 50}


def test_headers_of_a_bounded_number_of_files_are_read_and_the_number_is_stated(
    mine, in_process, monkeypatch
):
    (mine / "nevus" / "000.jpg").write_bytes(b"no image")
    monkeypatch.setattr(files, "MAX_HEADERS", 30)
    ran = in_process("data", "inspect", mine)
    assert "files (27 of 80 headers)" in ran.out
    monkeypatch.setattr(files, "MAX_HEADERS", 1000)
    assert facts_of(in_process("data", "inspect", mine, "--json"))["files"]["unreadable"] == ["nevus/000.jpg"]
    assert "no readable images, for example nevus/000.jpg" in in_process("data", "inspect", mine).out


def test_no_pixel_is_decoded_unless_it_is_shown(mine, in_process, monkeypatch):
    monkeypatch.setattr("derm_bench.imageio._content", lambda *_: 1 / 0)
    assert in_process("data", "inspect", mine).code == 0


def test_a_split_of_the_folder_is_shown_and_used(tmp_path, in_process):
    for part, count in (("train", 30), ("test", 10)):
        for colour, label in enumerate(("a", "b")):
            for number in range(count):
                image(tmp_path / "set" / part / label / f"{number}.png", seed=number, colour=colour)
    ran = in_process("data", "inspect", "set", "--write", "set.yaml")
    assert ran.code == 0, ran.err
    assert "a 40 50.0% 30 10" in " ".join(ran.out.split())
    entry = load_yaml(tmp_path / "set.yaml").data["datasets"][0]
    assert entry["split"] == {"method": "given"} and entry["root"] == "set"
    assert in_process("plan", "set.yaml").code == 0


# ------------------------------------------------------------------------------------ what it reads


def test_a_folder_that_nothing_reads_is_refused_with_what_was_looked_for(tmp_path, in_process):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("")
    ran = in_process("data", "inspect", "notes")
    assert ran.code == 2 and ran.out == ""
    assert "no installed data set recognises" in ran.err and "which contains a.txt" in ran.err
    assert (
        "ham10000 (folder with HAM10000_metadata" in ran.err
        and "image-folder (folder with class/*" in ran.err
    )
    (tmp_path / "notes" / "a.txt").unlink()
    assert "which is empty" in in_process("data", "inspect", "notes").err


def test_a_path_that_does_not_exist_is_refused(tmp_path, in_process):
    ran = in_process("data", "inspect", "nowhere")
    assert ran.code == 2 and f"{tmp_path / 'nowhere'} does not exist" in ran.err


def test_names_of_files_cannot_command_the_terminal(tmp_path, in_process):
    for label in ("a\x1b[2J", "b"):
        for number in range(3):
            image(tmp_path / "odd" / label / f"{number}.png", seed=number)
    ran = in_process("data", "inspect", "odd")
    assert ran.code == 0 and "\x1b" not in ran.out + ran.err and "\\x1b[2J" in ran.out


def test_a_data_set_of_a_plugin_recognises_its_folders(mine, tmp_path, in_process):
    (tmp_path / "my_clinic.py").write_text(PLUGIN)
    (mine / "clinic.txt").write_text("")
    with_plugin = ("--plugin", "my_clinic.py", "--json")
    ran = in_process("data", "inspect", mine, *with_plugin)
    facts = facts_of(ran)
    assert facts["dataset"] == "my-clinic" and list(facts["classes"]) == ["right", "b"]
    assert facts["others"] == ["image-folder"] and "can read it as image-folder, too" in ran.err
    facts = facts_of(in_process("data", "inspect", mine, *with_plugin, "--set", "side=up"))
    assert list(facts["classes"]) == ["up", "b"] and facts["files"] is None
    chosen = in_process("data", "inspect", mine, *with_plugin, "--dataset", "image-folder")
    assert facts_of(chosen)["images"] == 80
    wrong = in_process("data", "inspect", mine, *with_plugin, "--set", "sides=up")
    assert wrong.code == 2 and "option 'sides'" in wrong.err


def test_an_error_in_recognise_names_the_plugin(mine, tmp_path, in_process):
    (tmp_path / "my_clinic.py").write_text(
        PLUGIN.replace("return api.Recognised", "return 1 / 0, api.Recognised")
    )
    (mine / "clinic.txt").write_text("")
    ran = in_process("data", "inspect", mine, "--plugin", "my_clinic.py")
    assert (
        ran.code == 2 and "'my-clinic' of my_clinic.py" in ran.err and "recognise(folder) raised" in ran.err
    )


def test_the_data_sets_of_a_matrix_are_shown(write_matrix, in_process):
    matrix = write_matrix({
        "name": "two",
        "datasets": ["toy-blobs", {"name": "toy-blobs", "label": "graded", "graded": True}],
        "strategies": ["real-only"], "classifiers": ["toy-centroid"],
    })  # fmt: skip
    ran = in_process("data", "inspect", matrix)
    assert ran.code == 0, ran.err
    text = " ".join(ran.out.split())
    assert "class (ordered)" in text and "site: leg" in text and "age: 20 to" in text
    assert "set aside: grey blobs (2): blob<b>, blob2" in text and "licence: CC0" in text
    assert [one["tasks"] for one in facts_of(in_process("data", "inspect", matrix, "--json"))] == [
        {},
        {"side": 2},
    ]
    assert in_process("data", "inspect", matrix, "--write", "a.yaml").code == 2


# ----------------------------------------------------------------------------------- what it writes


def test_the_matrix_that_it_writes_plans(mine, tmp_path, in_process):
    (tmp_path / "deep").mkdir()
    ran = in_process("data", "inspect", mine, "--write", "deep/mine.yaml")
    assert ran.code == 0 and "next: derm-bench plan deep/mine.yaml" in ran.out
    text = (tmp_path / "deep" / "mine.yaml").read_text()
    assert text.startswith("# mine: 80 images of 2 classes, read as image-folder.")
    matrix = load_yaml(tmp_path / "deep" / "mine.yaml").data
    assert matrix["datasets"][0]["root"] == "../mine" and matrix["datasets"][0]["size"] == 64
    assert [one["name"] for one in matrix["strategies"]] == ["real-only", "geometric", "oversample", "cgan"]
    planned = in_process("plan", "deep/mine.yaml")
    assert planned.code == 0, planned.err
    assert "12 cells" in planned.out
    study = in_process("plan", "deep/mine.yaml", "--preset", "study", "--json")
    assert study.code == 0, study.err
    assert json.loads(study.out)["estimated_seconds"] > 3600


def test_a_matrix_is_not_written_over(mine, tmp_path, in_process):
    (tmp_path / "mine.yaml").write_text("precious")
    ran = in_process("data", "inspect", mine, "--write", "mine.yaml")
    assert ran.code == 2 and "exists and is not written over" in ran.err
    assert (tmp_path / "mine.yaml").read_text() == "precious"


def test_balanced_classes_are_not_balanced_further(tmp_path, in_process):
    for colour, label in enumerate(("yes", "1e-3")):  # names that YAML takes for something else
        for number in range(30):
            image(tmp_path / "even" / label / f"{number}.png", seed=number, colour=colour)
    assert in_process("data", "inspect", "even", "--write", "even.yaml").code == 0
    matrix = load_yaml(tmp_path / "even.yaml").data
    assert [one["name"] for one in matrix["strategies"]] == ["real-only", "geometric", "cgan"]
    assert matrix["strategies"][2]["synthetic"] == {"ratio": 0.5}
    planned = in_process("plan", "even.yaml")
    assert planned.code == 0, planned.err


def test_large_data_sets_are_limited_in_their_shares_and_small_classes_left_out(
    mine, tmp_path, in_process, monkeypatch
):
    monkeypatch.setattr("derm_bench.inspection.starter.IMAGES", 40)
    monkeypatch.setattr("derm_bench.inspection.starter.LEAST_OF_CLASS", 15)
    (mine / "groups.csv").unlink()
    for number in range(3):
        image(mine / "null" / f"{number}.png", seed=number)
    assert in_process("data", "inspect", mine, "--write", "mine.yaml").code == 0
    entry = load_yaml(tmp_path / "mine.yaml").data["datasets"][0]
    assert entry["classes"] == ["melanoma", "nevus"]
    assert entry["limit"] == {"per_class": {"melanoma": 15, "nevus": 30}}
    assert in_process("plan", "mine.yaml").code == 0


def test_one_class_is_no_matrix(tmp_path, in_process):
    for label, count in (("a", 30), ("b", 2)):
        for number in range(count):
            image(tmp_path / "one" / label / f"{number}.png", seed=number)
    ran = in_process("data", "inspect", "one", "--write", "one.yaml")
    assert ran.code == 2 and "a classifier needs two" in ran.err and not (tmp_path / "one.yaml").exists()


@pytest.mark.slow
def test_from_a_folder_to_a_table_in_three_commands(mine, tmp_path, derm_bench):
    assert derm_bench("data", "inspect", mine, "--write", "mine.yaml").code == 0
    assert derm_bench("plan", "mine.yaml").code == 0
    ran = derm_bench("run", "mine.yaml")
    assert ran.code == 0, ran.err
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


# --------------------------------------------------------------------------------------- pictures


def test_a_sheet_has_a_row_of_images_for_each_class(mine, tmp_path, in_process):
    assert in_process("data", "inspect", mine, "--sheet", "sheet.png").code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    red = (pixels[..., 0] > pixels[..., 1] + 40).sum()
    green = (pixels[..., 1] > pixels[..., 0] + 40).sum()
    assert red > 8 * 60 * 60 // 2 and green > 8 * 60 * 60 // 2
    assert in_process("data", "inspect", mine, "--sheet", "sheet.png").code == 2


def test_pictures_are_drawn_with_half_blocks_on_a_colour_terminal():
    wide = Console(force_terminal=True, color_system="truecolor", width=80)
    assert shows_pictures(wide)
    assert not shows_pictures(Console(force_terminal=True, color_system="truecolor", width=40))
    assert not shows_pictures(Console(force_terminal=True, color_system=None, width=80))
    upper_red = np.zeros((3, 64, 64, 3), np.uint8)
    upper_red[:, :32, :, 0] = 255
    lines = in_terminal({"red\x1b[2J": upper_red}, 40)
    assert lines[0].plain == "red\\x1b[2J" and len(lines) == 9
    assert lines[1].plain == ("▀" * 16 + " ") * 2  # two of three fit
    assert "rgb(255,0,0)" in str(lines[1].spans[0].style)
