"""folder: images that are there, each drawn once, with a statement of what they were trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench.specs import SampleRequest, Task
from derm_bench_plugins.datasets import files
from derm_bench_plugins.generators import command_planning, folder_planning
from derm_bench_plugins.generators.class_folders import images_by_class
from derm_bench_plugins.generators.folder import Folder
from derm_bench_plugins.generators.specs.folder import FolderOptions

SPLIT = "0123456789abcdef"


class Run:
    def __init__(self, seed=0):
        self.seed = seed


@pytest.fixture
def root(tmp_path):
    """Ten images of `mole`, each of one grey, four of `wart`."""
    for name, n in (("mole", 10), ("wart", 4)):
        (tmp_path / "made" / name).mkdir(parents=True)
        for k in range(n):
            paint(tmp_path / "made" / name / f"{k}.png", 20 * k + 5)
    return tmp_path / "made"


def paint(path, grey):
    Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(path)


def fitted(root, classes=("mole", "wart"), seed=0):
    generator = Folder(FolderOptions(root=root, trained_on="elsewhere"), Task(classes, 8))
    generator.fit(None, Run(seed))
    return generator


def greys(generator, **request):
    return generator.sample(SampleRequest(**request)).images[:, 0, 0, 0].tolist()


def test_chunks_draw_every_image_once_and_the_last_may_run_over(root):
    generator = fitted(root)
    first = greys(generator, label=0, n=6, seed=1, start=0, total=10)
    second = greys(generator, label=0, n=6, seed=2, start=6, total=10)
    assert sorted((first + second)[:10]) == [20 * k + 5 for k in range(10)]
    assert greys(generator, label=0, n=6, seed=1, start=0, total=6) == first


def test_another_seed_of_the_fit_draws_in_another_order(root):
    request = {"label": 0, "n": 10, "seed": 1}
    orders = {tuple(greys(fitted(root, seed=seed), **request)) for seed in range(4)}
    assert len(orders) > 1 and {tuple(sorted(order)) for order in orders} == {tuple(range(5, 205, 20))}


def test_more_than_there_are_is_an_error_that_counts(root):
    with pytest.raises(UserError, match="has 4 images of 'wart', but 5 are requested"):
        fitted(root).sample(SampleRequest(1, 128, 0, start=0, total=5))


def test_images_come_square_at_the_size_of_the_task(root):
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(root / "wart" / "wide.jpg")
    assert fitted(root).sample(SampleRequest(1, 5, 0)).images.shape == (5, 3, 8, 8)


def test_a_class_without_a_folder_is_named_with_those_that_are_there(root):
    with pytest.raises(UserError, match=r"no images of 'melanoma'\n.*: mole, wart"):
        fitted(root, ("melanoma",))


def spoil_with_a_link(root):
    paint(root.parent / "secret.png", 1)
    (root / "mole" / "x.png").symlink_to(root.parent / "secret.png")
    return "x.png: a link that leads out"


def spoil_with_text(root):
    (root / "mole" / "x.png").write_text("no image")
    return "x.png: not an image"


def spoil_with_too_many_pixels(root):
    Image.new("1", (9000, 9000)).save(root / "mole" / "x.png")
    return "x.png: 9000 x 9000 pixels"


@pytest.mark.parametrize("spoil", [spoil_with_a_link, spoil_with_text, spoil_with_too_many_pixels])
def test_what_cannot_be_read_is_named_with_the_reason(root, spoil):
    said = spoil(root)
    with pytest.raises(UserError, match=f"1 of 11 images cannot be read: mole/{said}"):
        fitted(root)


def test_the_digest_follows_contents_and_not_the_place(root, tmp_path):
    def digest(place):
        return folder_planning.digests(FolderOptions(root=place, trained_on="elsewhere"))

    before = digest(root)
    moved = root.rename(tmp_path / "moved")
    assert digest(moved) == before
    paint(moved / "mole" / "3.png", 66)
    assert digest(moved) != before


@pytest.mark.parametrize(
    ("words", "split", "sees_test"),
    [
        ("train", SPLIT, False),
        ("ISIC 2019, all of it", None, False),
        ("all", None, True),
        ("Test", None, True),
        ("train and val", None, True),
    ],
)
def test_a_statement_says_whether_the_test_set_was_seen(tmp_path, words, split, sees_test):
    options = FolderOptions(root=tmp_path, trained_on=words, split=split)
    stated = folder_planning.provenance(options)
    assert (stated.split, stated.sees_test) == (split or "", sees_test) and words in stated.statement


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "trained_on"),
        ({"trained_on": "train"}, "needs `split`"),
        ({"trained_on": "training set", "split": "0123"}, "split"),
        ({"trained_on": "ISIC 2019", "split": SPLIT}, "split may be set only with trained_on: train"),
        ({"trained_on": "ISIC 2019", "fit_on": "all"}, "trained_on: all"),
    ],
)
def test_an_incomplete_statement_is_refused(tmp_path, given, said):
    with pytest.raises(ValidationError, match=said):
        FolderOptions(root=tmp_path, **given)


def test_state_holds_the_images(root):
    generator, fresh = fitted(root), Folder(FolderOptions(root=root, trained_on="x"), Task(("mole",), 8))
    fresh.load_state(generator.state())
    request = SampleRequest(0, 10, 0)
    assert torch.equal(fresh.sample(request).images, generator.sample(request).images)


def test_the_whole_file_system_is_not_a_folder_of_synthetic_images():
    with pytest.raises(UserError, match="whole file system"):
        images_by_class(Path("/"))


def test_a_search_for_synthetic_images_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ENTRIES", 2)
    for k in range(3):
        (tmp_path / "mel").mkdir(exist_ok=True)
        (tmp_path / f"mel/{k}.png").touch()
    with pytest.raises(UserError, match="more than 2 files"):
        images_by_class(tmp_path)


def test_a_search_for_the_files_of_a_program_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(command_planning, "MAX_PROGRAM_FILES", 2)
    code = tmp_path / "code"
    for name in ("a.py", "b.py", ".hidden", "__pycache__/c.pyc", "inner/.d.py"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).touch()
    assert set(command_planning._code_below(code)) == {"a.py", "b.py"}
    (code / "inner/e.py").touch()
    with pytest.raises(UserError, match="more than 2 files"):
        command_planning._code_below(code)
