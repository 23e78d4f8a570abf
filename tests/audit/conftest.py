"""Phantoms written to a folder as HAM10000 or as class folders lie on a disk, and the audit of a matrix that reads
them."""

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from derm_bench.specs import Task, create
from derm_bench_plugins.datasets import specs

SPECS = {spec.name: spec for spec in specs()}
CLASSES = ("mel", "nv", "bkl")


@functools.cache
def phantoms(seed: int = 0, images: int = 90, side: int = 64):
    """(description, pixels by id) of phantoms."""
    spec = SPECS["phantom-dermoscopy"]
    options = spec.options(images=images, side=side, seed=seed, imbalance=1.5, classes=CLASSES)
    dataset = create(spec, options, Task((), side))
    described = dataset.describe(options)
    pixels = {name: raw.pixels for name, raw in zip(described.ids, dataset.read(described.ids), strict=True)}
    return described, pixels


class PhantomFolder:
    """Phantoms in memory, to be changed and then written: `label`, `group`, `row` (further columns) and `pixels` by
    id."""

    def __init__(self, root: Path, seed: int = 0, images: int = 90, side: int = 64) -> None:
        described, pixels = phantoms(seed, images, side)
        self.pixels = dict(pixels)
        self.root = root
        self.label = dict(zip(described.ids, described.labels, strict=True))
        self.group = dict(zip(described.ids, described.groups, strict=True))
        self.row = {
            name: {"age": age, "sex": sex, "localization": site}
            for name, age, sex, site in zip(
                described.ids, *(described.attributes[key] for key in ("age", "sex", "site")), strict=True
            )
        }

    def of(self, label: str) -> list[str]:
        return [name for name, own in self.label.items() if own == label]

    def write(self, name: str, suffix: str = ".jpg", quality: int = 90, place: Path | None = None) -> Path:
        path = (place or self.root / "images") / f"{self.called(name)}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        more = {"quality": quality} if suffix == ".jpg" else {}
        Image.fromarray(self.pixels[name]).save(path, **more)
        return path

    def called(self, name: str) -> str:
        return f"ISIC_{name.removeprefix('phantom').removeprefix('-s').replace('_v', '0').replace('_', '')}"

    def metadata(self) -> None:
        """Writes the table of HAM10000."""
        columns = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
        with (self.root / "HAM10000_metadata.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for name, row in self.row.items():
                head = {"lesion_id": self.group[name], "image_id": self.called(name), "dx": self.label[name]}
                writer.writerow(head | {"dx_type": "histo"} | row)


@pytest.fixture
def folder(tmp_path):
    return PhantomFolder(tmp_path / "data")


@pytest.fixture
def audit(in_process, tmp_path):
    """Runs `data audit` on a data set in this process. Returns its exit code and the findings by code."""

    def run(code: int, name: str, root: Path | None, protocol: object = "fair", **entry):
        if name == "ham10000":
            entry["classes"] = {label: [label] for label in CLASSES}
        matrix = {
            "name": "audited",
            "protocol": protocol,
            "dataset": {"name": name, "size": 64} | ({"root": str(root)} if root else {}) | entry,
            "strategies": ["real-only"],
            "classifiers": ["toy-centroid"],
            "numerics": {"threads": 1},
        }
        (tmp_path / "audited.yaml").write_text(yaml.safe_dump(matrix))
        ran = in_process(
            "data",
            "audit",
            tmp_path / "audited.yaml",
            "--json",
            "--executor",
            "inline",
            "--out",
            tmp_path / "out",
        )
        assert ran.code == code, ran.err + ran.out
        document = json.loads(ran.out)
        found = {one["code"]: one for made in document["audits"] for one in made["findings"]}
        return found, document["failures"]

    return run


def black_corners(pixels: np.ndarray) -> np.ndarray:
    size = len(pixels)
    place = (np.arange(size) + 0.5) / size - 0.5
    made = pixels.copy()
    made[np.hypot(place[:, None], place[None]) > 0.55] = 5
    return made
