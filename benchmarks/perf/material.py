"""The input files of the rows, created once per run: phantom JPEGs, image arrays, Inception weights, features."""

from __future__ import annotations

import csv
import functools
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from derm_bench.errors import UserError
from derm_bench.specs import Task
from derm_bench.training.resize import fit_square
from derm_bench_plugins.datasets.phantom.dataset import PhantomDermoscopy
from derm_bench_plugins.datasets.specs.phantom import PhantomOptions

WIDTH, HEIGHT = 600, 450
QUALITY = 90
RENDERED = 192  # number of distinct phantoms; further images are flips of them with other noise


class Material:
    """Input files in one folder, each created at its first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def jpegs(self, images: int, name: str = "jpegs") -> Path:
        """Return a root with one folder per class and a total of `images` JPEGs of 600 x 450 with camera grain."""
        root = self.folder / f"{name}-{images}"
        if not root.exists():
            self._write_jpegs(root, images)
        return root

    def ham10000(self, source: Path, images: int) -> Path:
        """Return a root with one folder per class and copies of the first `images` files of HAM10000 in `source`."""
        root = self.folder / f"ham10000-{images}"
        if not root.exists():
            copy_ham10000(source, root, images)
        return root

    def split_jpegs(self, train: int, test: int) -> Path:
        """Return a root with train/class/* and test/class/*, with different lesions."""
        root = self.folder / f"split-{train}-{test}"
        if not root.exists():
            whole = self.jpegs(train + test, "whole")
            for path in sorted(whole.glob("*/*.jpg")):
                number = int(path.stem)
                place = root / ("test" if number >= train else "train") / path.parent.name / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)
        return root

    def images(self, count: int, size: int = 64) -> Path:
        """Return a .npy file with uint8 [count,3,size,size]."""
        path = self.folder / f"images-{count}-{size}.npy"
        if not path.exists():
            small = [fit_square(pixels, None, size, "squash")[0] for pixels, _ in self._rendered]
            rows = [small[k % len(small)].transpose(2, 0, 1) for k in range(count)]
            np.save(path, np.stack(rows), allow_pickle=False)
        return path

    def halves(self, count: int) -> Path:
        """Return a .npy file like `images` of 64 px, with a darker second half. Between similar halves, KID would be
        nearly 0 and two implementations would differ mainly by rounding."""
        path = self.folder / f"halves-{count}.npy"
        if not path.exists():
            images = np.load(self.images(count), allow_pickle=False)
            images[count // 2 :] //= 2
            np.save(path, images, allow_pickle=False)
        return path

    def inception(self) -> Path:
        """Return random weights in the file format of torch-fidelity, as the published ones are not available
        everywhere."""
        path = self.folder / "weights-inception-2015-12-05-6726825d.pth"
        if not path.exists():
            random_inception(path)
        return path

    def hair_pairs(self, count: int, side: int) -> tuple[Path, Path]:
        """Return two .npy files with the maps uint8 [count,4,side,side] and the volumes uint8
        [count,3,3*side/32,side/8,side/8] of made hairstyles."""
        files = tuple(self.folder / f"{name}-{count}-{side}.npy" for name in ("maps", "volumes"))
        if not files[1].exists():
            parts = zip(*(_hair_pair(k, count, side) for k in range(count)), strict=True)
            for path, part in zip(files, parts, strict=True):
                np.save(path, np.concatenate(part), allow_pickle=False)
        return files[0], files[1]

    def features(self, count: int) -> Path:
        """Return a .npy file with float32 [2,count,2048]: two slightly different sets with correlated columns."""
        path = self.folder / f"features-{count}.npy"
        if not path.exists():
            rng = np.random.default_rng(0)
            mix = rng.normal(size=(256, 2048)).astype(np.float32) / 16
            low = rng.normal(size=(2, count, 256)).astype(np.float32)
            own = rng.normal(size=(2, count, 2048)).astype(np.float32)
            features = np.abs(low @ mix + 0.3 * own)
            features[1] += 0.02
            np.save(path, features, allow_pickle=False)
        return path

    @functools.cached_property
    def _rendered(self) -> list[tuple[np.ndarray, str]]:
        options = PhantomOptions(images=RENDERED, side=128)
        data = PhantomDermoscopy(options, Task(options.classes, 64))
        listed = data.describe(options)
        read = data.read(listed.ids)
        return [(raw.pixels, label) for raw, label in zip(read, listed.labels, strict=True)]

    def _write_jpegs(self, root: Path, images: int) -> None:
        for _, label in self._rendered:
            (root / label).mkdir(parents=True, exist_ok=True)

        def write(number: int) -> None:
            pixels, label = self._rendered[number % RENDERED]
            turned = np.rot90(pixels, number // RENDERED % 4)
            large = Image.fromarray(np.ascontiguousarray(turned)).resize((WIDTH, HEIGHT))
            grain = np.random.default_rng(number).normal(0, 6, (HEIGHT, WIDTH, 1))
            noisy = np.clip(np.asarray(large) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / label / f"{number:06d}.jpg", quality=QUALITY)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, range(images)))


def _hair_pair(index: int, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return maps and volume of one hairstyle as bytes."""
    from derm_bench_plugins.generators.hair_volume import packed
    from derm_bench_plugins.hair.pairs import HairPairs

    maps, volumes = (packed(part).numpy() for part in HairPairs(count, side, seed=0).batch([index]))
    return maps, volumes


def copy_ham10000(source: Path, root: Path, images: int) -> None:
    """Copy the first `images` files of HAM10000, by name, into class folders. Raises UserError if files are missing."""
    table = source / "HAM10000_metadata.csv"
    files = {path.stem: path for path in source.glob("HAM10000_images_part_*/*.jpg")}
    if not table.exists() or not files:
        hint = "the folder has HAM10000_metadata.csv, HAM10000_images_part_1/ and HAM10000_images_part_2/"
        raise UserError(f"{source.absolute()} does not have the images of HAM10000", hint=hint)
    with table.open(newline="") as handle:
        label_of = {row["image_id"]: row["dx"] for row in csv.DictReader(handle)}
    for name in sorted(label_of.keys() & files.keys())[:images]:
        folder = root / label_of[name]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[name], folder / f"{name}.jpg")


def random_inception(path: Path) -> None:
    """Write seeded random values in the layout of the published weights, scaled so that signals do not vanish."""
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict, *args, **kwargs):
            """Keep the random initial values."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    network = Bare("random", ["2048"], feature_extractor_weights_path=nothing)
    for weight in network.parameters():
        if weight.ndim == 4:
            torch.nn.init.kaiming_normal_(weight)
    torch.save(network.state_dict(), path)
