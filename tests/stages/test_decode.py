"""Decoding: what is read is what was planned, names are data, and what cannot be read is named or refused."""

import hashlib
import json
import os
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from derm_bench.errors import UserError
from derm_bench.image_list import ListedImage, read_list, write_list
from derm_bench.images import load_images
from derm_bench.plan.option_paths import split_paths
from derm_bench.plugins import Plugins
from derm_bench.specs import Task
from derm_bench.splits import PlannedSplit, read_split
from derm_bench.stages.context import Device, StageContext
from derm_bench.stages.decode import RowFile, decode
from derm_bench.stages.decoded import Decoded
from derm_bench.worker.lookup import Lookup
from derm_bench_plugins.datasets.image_folder import ImageFolder
from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions

CLEAN = {"duplicates": "keep", "blurred": None}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path / "cache"))


def put(path, grey=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 20, 3), grey, np.uint8)).save(path, "png")


@pytest.fixture
def root(tmp_path):
    for k, name in enumerate(("mel/a.png", "mel/b.png", "nv/a.png", "nv/b.png")):
        put(tmp_path / "root" / name, 10 + k)
    return tmp_path / "root"


class Planned:
    """A folder of images as it was when it was planned. `decode` reads it as it is now."""

    def __init__(self, root, place):
        self.options, self.place, self.reports = ImageFolderOptions(root=root), place, []
        dataset = ImageFolder(self.options, Task((), 16))
        found, digests = dataset.describe(self.options), dataset.fingerprint(self.options)
        self.ids, self.labels, self.classes = found.ids, found.labels, found.classes
        rows = zip(found.ids, found.labels, strict=True)
        images = write_list(ListedImage(name, name, label, digests[name]) for name, label in rows)
        place.mkdir()
        self.images = hashlib.sha256(images).hexdigest()
        (place / self.images).write_bytes(images)

    def decode(self, unreadable=0.0, plugins=None):
        hashed, paths, _ = split_paths(self.options, folders=False)
        params = SimpleNamespace(
            dataset="image-folder", options=hashed, classes=self.classes, size=16, resize="center-crop",
            preprocess=[], images=self.images, unreadable=unreadable,
        )  # fmt: skip
        machine, lookup = Device("cpu", "fp32", 1), plugins or Lookup(Plugins())
        context = StageContext(params, {"paths": paths}, {}, self.place, self.place, machine, lookup)
        self.result = decode(replace(context, report=self.reports.append))
        return self

    def split(self):
        order = sorted(range(len(self.ids)), key=lambda k: self.ids[k])
        ids, labels = ([column[k] for k in order] for column in (self.ids, self.labels))
        parts = ("train",) * len(ids)
        planned = PlannedSplit(tuple(ids), tuple(labels), tuple(ids), parts, tuple(self.classes))
        return read_split(planned.csv, planned.classes)

    def train(self, **clean):
        return Decoded.load(self.place, self.split(), CLEAN | clean).image_set(("train",), 1.0, None, {})


@pytest.fixture
def planned(root, tmp_path):
    return Planned(root, tmp_path / "stage")


# --------------------------------------------------------------------------------- replaced images


def test_an_image_that_was_replaced_after_planning_is_refused(planned, root):
    put(root / "nv/a.png", 200)
    with pytest.raises(UserError, match=r"changed after the run was planned: nv/a\.png"):
        planned.decode()


def test_an_image_that_became_unreadable_after_planning_is_refused_too(planned, root):
    (root / "nv/a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"changed after the run was planned: nv/a\.png"):
        planned.decode(unreadable=0.9)


def test_an_image_that_vanished_after_planning_is_named(planned, root):
    (root / "mel/b.png").unlink()
    with pytest.raises(UserError, match=r"changed after the run was planned: mel/b\.png"):
        planned.decode(unreadable=0.9)


def test_a_reader_that_does_not_say_what_it_read_is_asked_for_fingerprints_again(planned, root, monkeypatch):
    read = ImageFolder.read

    def silent(self, ids):
        for raw in read(self, ids):
            yield type(raw)(*(getattr(raw, name) for name in ("pixels", "mask")))

    monkeypatch.setattr(ImageFolder, "read", silent)
    planned.decode()
    put(root / "nv/a.png", 200)
    with pytest.raises(UserError, match=r"changed after the run was planned: nv/a\.png"):
        planned.decode()


# ------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    ["a\nb.png", "a\rb.png", "a\tb.png", 'x"y,z.png', '"quoted".png', "a\u2028b.png", " a .png", "é\\n.png"],
)
def test_names_of_images_are_data(root, tmp_path, name):
    put(root / "nv" / name, 77)
    planned = Planned(root, tmp_path / "stage").decode()
    images = planned.train()
    assert images.ids == tuple(sorted(planned.ids)) and f"nv/{name}" in images.ids
    assert (images.images[images.ids.index(f"nv/{name}")] == 77).all()


def test_names_in_bytes_that_are_not_utf8_are_escaped(root, tmp_path):
    put(root / "nv" / os.fsdecode(b"caf\xe9.png"), 77)
    planned = Planned(root, tmp_path / "stage").decode()
    assert "nv/caf\\xe9.png" in planned.train().ids


def test_a_class_folder_may_have_any_name(root, tmp_path):
    put(root / "acne, severe\nand\tmore" / "a.png", 77)
    images = Planned(root, tmp_path / "stage").decode().train()
    assert "acne, severe\nand\tmore" in images.classes and len(images) == 5


def test_the_list_of_ordinary_names_is_plain_text():
    images = [ListedImage("nv/a b.jpg", "lésion 1", "nv", "00"), ListedImage("x'\"y", "\\g", "[a]", "11")]
    assert write_list(images).decode() == "nv/a b.jpg\tlésion 1\tnv\t00\nx'\"y\t\\g\t[a]\t11"
    assert read_list(write_list(images)) == images


# -------------------------------------------------------------------------------- what is left out


def test_a_class_without_a_readable_image_is_refused_whatever_may_be_unreadable(root, tmp_path):
    for name in ("mel/a.png", "mel/b.png"):
        (root / name).write_bytes(b"no image")
    with pytest.raises(
        UserError, match=r"no image of 'mel' can be read \(for example mel/a\.png: not an image"
    ):
        Planned(root, tmp_path / "stage").decode(unreadable=0.9)


def test_a_class_that_cleaning_empties_is_refused(planned):
    with pytest.raises(UserError, match="no image of 'mel', 'nv' is left in train after decoding: 4 blurred"):
        planned.decode().train(blurred=1e12)


def test_copies_in_another_class_may_not_empty_a_class(root, tmp_path):
    for name in ("nv/a.png", "nv/b.png"):
        put(root / name, 10)
    put(root / "mel/b.png", 10)
    with pytest.raises(UserError, match="no image of 'nv' is left in train after decoding: 2 copy"):
        Planned(root, tmp_path / "stage").decode().train(duplicates="drop")


def test_pixels_are_stored_as_read(planned):
    planned.decode()
    assert load_images(planned.place / "images.npy").float().mean((1, 2, 3)).tolist() == [10, 11, 12, 13]


def test_what_is_done_besides_decoding_is_counted_with_the_first_names(root, tmp_path):
    for k in range(6):
        Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(root / "nv" / f"clear {k}.png")
    planned = Planned(root, tmp_path / "stage").decode()
    note = {
        "text": "transparent pixels were put on white",
        "count": 6,
        "names": [f"nv/clear {k}.png" for k in range(4)],
    }
    assert planned.result["notes"] == [note]
    assert json.loads((planned.place / "index.json").read_text())["notes"] == [note]


# ------------------------------------------------------------------------------------------ memory


def test_images_are_not_decoded_faster_than_they_are_stored(root, tmp_path, monkeypatch):
    """One thread decodes chunks of two images; at most two chunks wait, and one is being stored."""
    for k in range(60):
        put(root / "nv" / f"{k}.png", k)
    read, add, ahead, most = ImageFolder.read, RowFile.add, [0], [0]

    def counted(self, ids):
        for raw in read(self, ids):
            ahead[0] += 1
            most[0] = max(most[0], ahead[0])
            yield raw

    def slow(self, rows):
        time.sleep(0.002 * len(rows))
        ahead[0] -= len(rows) if rows.shape[-1] == 3 else 0
        add(self, rows)

    monkeypatch.setattr(ImageFolder, "read", counted)
    monkeypatch.setattr(RowFile, "add", slow)
    monkeypatch.setattr("derm_bench.stages.decode.CHUNK", 2)
    planned = Planned(root, tmp_path / "stage").decode()
    assert planned.result["images"] == 64 and most[0] <= 6
    assert [report["done"] for report in planned.reports] == list(range(2, 65, 2))
    assert {report["total"] for report in planned.reports} == {64}


def test_large_images_are_decoded_in_smaller_chunks(planned, monkeypatch):
    monkeypatch.setattr("derm_bench.stages.decode.CHUNK_BYTES", 3 * 16 * 16)
    assert [report["done"] for report in planned.decode().reports] == [1, 2, 3, 4]
