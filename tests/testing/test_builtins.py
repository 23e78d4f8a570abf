"""Every built-in passes the kit that third parties are held to: with `tiny` here, whole with `-m slow`."""

import numpy as np
import pytest
from PIL import Image

from derm_bench.plugins import Plugins
from derm_bench.testing import (
    ClassifierConformance,
    DatasetConformance,
    GeneratorConformance,
    MetricConformance,
    TransformConformance,
)
from derm_bench.testing.kit import CASES

DIAGNOSES = ("mel", "nv", "bkl", "bcc", "akiec", "vasc", "df")
FOUND = Plugins(builtins_only=True)


class TestDcgan(GeneratorConformance):
    plugin = "dcgan"


class TestFolder(GeneratorConformance):
    plugin = "folder"

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        for k, name in enumerate(("red", "green", "blue")):
            for j in range(9):
                draw(tmp_path / "made" / name / f"{j}.png", 10 * k + j)
        self.options = {"root": tmp_path / "made", "trained_on": "another data set"}


class TestCommand(GeneratorConformance):
    plugin = "command"

    @pytest.fixture(autouse=True)
    def program(self, tmp_path):
        (tmp_path / "copy.sh").write_text('for c in "$1"/*; do cp "$c"/* "$2/${c##*/}"; done\n')
        self.options = {
            "argv": ("sh", "{program}", "{train}", "{out}"),
            "program": tmp_path / "copy.sh",
            "samples_per_fit": 8,
        }


class TestDermaganCnn(ClassifierConformance):
    plugin = "dermagan-cnn"


class TestTimm(ClassifierConformance):
    plugin = "timm"


class TestPhantomDermoscopy(DatasetConformance):
    plugin = "phantom-dermoscopy"


class TestImageFolder(DatasetConformance):
    plugin = "image-folder"

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        for name in ("mole", "wart"):
            for k in range(3):
                draw(tmp_path / "images" / name / f"{k}.png", k)
        self.options = {"root": tmp_path / "images"}


class TestHam10000(DatasetConformance):
    plugin = "ham10000"

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        root = tmp_path / "ham"
        rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"]
        for k in range(10):
            draw(root / "HAM10000_images_part_1" / f"ISIC_{k}.jpg", k)
            rows.append(f"HAM_{k // 2},ISIC_{k},{DIAGNOSES[k % 7]},histo,60.0,male,back,rosendahl")
        (root / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n")
        self.options = {"root": root}


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def each(base):
    """A test class for every plugin of a kind, so that a new one is held to the kit without being listed here."""
    kind = base.kind.title()
    return {
        f"Test{kind}{name}": type(f"Test{kind}", (base,), {"plugin": name}) for name in FOUND.names(base.kind)
    }


globals().update(each(TransformConformance) | each(MetricConformance))


def test_every_built_in_is_held_to_the_kit():
    tested = {(value.kind, value.plugin) for value in globals().values() if getattr(value, "plugin", "")}
    assert tested == {(kind, name) for kind in CASES for name in FOUND.names(kind)}
