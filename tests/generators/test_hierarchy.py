"""graded and stylegan2-hierarchy: how samples are sorted, by a classifier and by hand, and the stages of paper 001."""

from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from tests.conftest import read_csv
from tests.datasets.trees.faces import acne

from derm_bench.errors import UserError, Waiting
from derm_bench.rundir.samples import read_index
from derm_bench_plugins.generators.graded import sort_by_confidence
from derm_bench_plugins.generators.sorted_folder import SortedFolder
from derm_bench_plugins.generators.sorted_names import digest, preflight
from derm_bench_plugins.generators.specs.hierarchy import HierarchyOptions, requires

SORTING = {"confidence": 0.8, "least": 0.3, "min_per_class": 2, "keep": 3}


def sort(rows, **options):
    probabilities = torch.tensor(rows)
    highest = probabilities.max(1)[0]
    kept = sort_by_confidence(probabilities[:, :2], highest, SimpleNamespace(**(SORTING | options)))
    return [part.tolist() for part in kept]


def test_confident_samples_are_kept_and_the_surest_of_the_others_fill_up():
    rows = [
        [0.90, 0.05, 0.05],  # sure of the first class
        [0.95, 0.05, 0.00],  # surer
        [0.40, 0.50, 0.10],  # fills up the second class
        [0.10, 0.20, 0.70],  # of a class that is not sorted into
        [0.10, 0.35, 0.55],  # fills up, although another class is more probable
        [0.85, 0.10, 0.05],
        [0.81, 0.10, 0.09],  # more than `keep`
    ]
    assert sort(rows) == [[1, 0, 5], [2, 4]]
    assert sort(rows, least=0.45) == [[1, 0, 5], [2]]


IMAGES = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 8, 8).contiguous()


def move(root, number, name):
    (root / "unsorted" / f"{number:06d}.png").rename(root / name / f"{number:06d}.png")


def test_a_person_sorts_what_the_first_run_has_written(tmp_path):
    root = tmp_path / "sort"
    folder = SortedFolder(root, ("mild", "severe"))
    with pytest.raises(Waiting, match=r"move the images in .*unsorted into the folders .*mild.*severe"):
        folder.places(IMAGES)
    assert Image.open(root / "unsorted" / "000003.png").getpixel((0, 0)) == (3, 3, 3)
    with pytest.raises(Waiting):  # nothing is sorted yet, and nothing is written again
        folder.places(IMAGES)
    before = digest(SimpleNamespace(sorted=root))
    move(root, 4, "mild"), move(root, 1, "mild"), move(root, 5, "severe")
    assert {name: rows.tolist() for name, rows in folder.places(IMAGES).items()} == {
        "mild": [1, 4],
        "severe": [5],
    }
    assert digest(SimpleNamespace(sorted=root)) != before  # so that the stage runs again


def test_files_that_are_no_samples_are_refused(tmp_path):
    root = tmp_path / "sort"
    folder = SortedFolder(root, ("mild", "severe"))
    with pytest.raises(Waiting):
        folder.places(IMAGES)
    (root / "mild" / "photo.jpg").touch()
    with pytest.raises(UserError, match="no sample of the generator"):
        folder.places(IMAGES)
    (root / "mild" / "photo.jpg").rename(root / "mild" / "000099.png")
    with pytest.raises(UserError, match="there is no sample 000099 among 6"):
        folder.places(IMAGES)
    (root / "mild" / "000099.png").rename(root / "mild" / "000001.png")
    (root / "severe" / "000001.png").touch()
    with pytest.raises(UserError, match="000001 is in two classes"):
        folder.places(IMAGES)


def test_a_folder_with_other_files_is_never_written_into(tmp_path):
    (tmp_path / "thesis.txt").touch()
    assert "has files, but no folder 'unsorted'" in next(preflight(SimpleNamespace(sorted=tmp_path)))


def start_of(ref):
    return ref.options["start"]


def test_the_stages_are_those_of_the_paper():
    found = requires(HierarchyOptions(network={"preset": "small"}))
    assert list(found) == ["base", "B mild", "B moderate", "B severe"]
    assert found["base"].options["classes"] == ["healthy"]
    severe = found["B severe"]
    assert start_of(severe) == {"name": "stylegan2-unlabelled", **found["base"].options}
    source = severe.data.options["source"]
    assert (severe.data.plugin, source["classes"]) == ("graded", ["mild", "moderate", "severe"])
    assert source["start"]["classes"] == ["healthy"]
    chained = requires(HierarchyOptions(start="chained"))["B severe"]
    assert start_of(chained) == chained.data.options["source"]


def test_unlabelled_images_go_to_the_network_of_all_grades():
    found = requires(HierarchyOptions(unlabelled={"name": "image-folder", "root": "/photos"}))
    assert found["B mild"].data.options["source"]["extra_data"] == {"name": "image-folder", "root": "/photos"}
    assert "extra_data" not in found["base"].options


def test_a_class_that_no_network_makes_is_refused_while_planning(in_process, write_matrix):
    planned = in_process(
        "plan", write_matrix((MATRIX % "").replace("[bkl, mel]", "[bkl, worse]")), "--store", "store"
    )
    assert planned.code == 2 and "'mel'" in planned.err  # which has neither real images nor a network
    assert HierarchyOptions(grades=("mild", "severe")).classes == ("healthy", "mild", "severe")


MATRIX = """
name: hierarchy
dataset: {name: phantom-dermoscopy, images: 60, side: 16, size: 16, split: {val: 0.2, test: 0.2}}
seeds: [0]
budget: {updates: 4}
metrics: []
strategies:
  - name: tstr
    generator: {name: stylegan2-hierarchy, preset: tiny, healthy: nv, grades: [bkl, mel]%s}
    synthetic: {per_class: 6, replace_real: true}
classifiers: [{name: dermagan-cnn, preset: tiny}]
"""


def test_a_classifier_is_trained_on_the_images_of_the_hierarchy(in_process, write_matrix, tmp_path):
    done = in_process("run", write_matrix(MATRIX % ""), "--store", "store")
    assert done.code == 0, done.err
    (row,) = read_csv(tmp_path / "runs" / "hierarchy" / "results.csv")
    assert (row["status"], row["n_train_real"], row["n_train_synthetic"]) == ("done", "0", "18")
    sheets = read_index(tmp_path / "runs" / "hierarchy" / "samples")
    shown = {sheet.class_name for sheet in sheets if sheet.shows == "fitted_on"}  # the sorted samples of A
    assert shown == {"bkl", "mel"}


def test_cells_wait_for_a_person_and_go_on_when_the_folder_is_sorted(in_process, write_matrix, tmp_path):
    matrix = write_matrix(MATRIX % ", grader: null, sorted: to_sort")
    first = in_process("run", matrix, "--store", "store")
    rows = read_csv(tmp_path / "runs" / "hierarchy" / "results.csv")
    assert [row["status"] for row in rows] == ["skipped"] and "waits for a person" in rows[0]["error"]
    assert "unsorted" in first.out + first.err
    root = tmp_path / "to_sort"
    for number in range(8):
        move(root, number, ("bkl", "mel")[number % 2])
    assert in_process("run", matrix, "--store", "store").code == 0
    (row,) = read_csv(tmp_path / "runs" / "hierarchy" / "results.csv")
    assert row["status"] == "done"


@pytest.mark.slow
def test_acne04_without_healthy_skin_is_input_of_the_hierarchy(in_process, write_matrix, tmp_path):
    acne(tmp_path / "acne04")
    text = (
        (MATRIX % "")
        .replace(
            "{name: phantom-dermoscopy, images: 60, side: 16, size: 16, split: {val: 0.2, test: 0.2}}",
            "{name: acne04, root: acne04, size: 16, partial: true, split: {method: given}}",
        )
        .replace("healthy: nv, grades: [bkl, mel]", 'healthy: null, grades: ["0", "1", "2", "3"]')
    )
    done = in_process("run", write_matrix(text), "--store", "store")
    assert done.code == 0, done.err
    (row,) = read_csv(tmp_path / "runs" / "hierarchy" / "results.csv")
    assert (row["status"], row["n_train_synthetic"], row["n_test"]) == ("done", "24", "4")
