"""command: an external program that reads training images and writes samples, such as the code of a published GAN."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from derm_bench.errors import UserError
from derm_bench.imageio import SUFFIXES
from derm_bench_plugins.generators.command_line import filled, placeholders
from derm_bench_plugins.generators.external_program import Limits, run_program
from derm_bench_plugins.generators.made_images import MadeImages, read_images

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.command import CommandOptions


class Command(MadeImages):
    """Runs the program once per fit. Samples are then taken from the state."""

    def __init__(self, options: CommandOptions, task: Task) -> None:
        super().__init__(task, "the program")
        self.options = options

    def fit(self, train: ImageSet, run: Run) -> None:
        """Write `train` to {train}/<class>/*.png, run the program, and keep the first `samples_per_fit` images of each
        {out}/<class>, sorted by name.

        Raises UserError if the program fails, exceeds a limit, or leaves links, too few images or unreadable images.
        """
        options, classes = self.options, self.task.classes
        with tempfile.TemporaryDirectory(prefix="derm-bench-command-", ignore_cleanup_errors=True) as made:
            folder = Path(made).resolve()
            for name in classes:
                for place in ("train", "out"):
                    _class_folder(folder / place, name).mkdir(parents=True)
            write_images(train, folder / "train")
            values = placeholders(options.samples_per_fit, options.program, classes, self.task.size, run.seed)
            values |= {"train": folder / "train", "out": folder / "out"}
            limits = Limits(options.timeout, options.max_megabytes * 10**6, options.max_files)
            run_program(filled(options.argv, values), folder, limits)
            paths = [left_images(folder / "out", name, options.samples_per_fit) for name in classes]
            images = [read_images(found, folder / "out", self.task.size) for found in paths]
        self.keep(images, run.seed)


def write_images(train: ImageSet, folder: Path) -> None:
    """Write the images to `folder`/<class>/<number>.png."""
    for k, (image, label) in enumerate(zip(train.images, train.labels.tolist(), strict=True)):
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(pixels).save(folder / train.classes[label] / f"{k:06d}.png", compress_level=1)


def left_images(out: Path, name: str, n: int) -> list[Path]:
    """Return the first `n` images in `out`/`name`, sorted by name. Raises UserError for links and for fewer images."""
    folder = out / name
    for place in (out, folder):
        if not place.exists() or not stat.S_ISDIR(place.lstat().st_mode):
            raise UserError(f"the program left no folder {{out}}/{name}, or replaced it with a link")
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            raise UserError(f"the program left a link, {{out}}/{name}/{entry.name}; only files are accepted")
        if entry.is_file(follow_symlinks=False) and Path(entry.name).suffix.lower() in SUFFIXES:
            found.append(Path(entry.path))
    if len(found) < n:
        raise UserError(
            f"the program left {len(found)} images in {{out}}/{name}, samples_per_fit is {n}",
            hint="{out} contains one folder per class; use {n} in argv to pass the number to the program",
        )
    return found[:n]


def _class_folder(folder: Path, name: str) -> Path:
    """Return the folder of a class. Raises UserError if the class is not a plain folder name."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name or name.startswith("."):
        raise UserError(
            f"the class '{name}' is not a valid folder name", hint="rename it with the data set's classes"
        )
    return folder / name
