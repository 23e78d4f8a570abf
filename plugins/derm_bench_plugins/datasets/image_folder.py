"""image-folder: root/class/*, or root/[train|val|test]/class/*, and an optional groups.csv."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.imageio import SUFFIXES
from derm_bench.specs import DatasetDescription
from derm_bench_plugins.datasets import files

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class ImageFolder:
    """Images in class folders. Ids are paths below the root (`train/nevus/a.jpg`), with `/` on every system.

    `at_least` is the side down to which JPEGs may be decoded at a reduced size; None decodes them at full size.
    """

    def __init__(self, options: ImageFolderOptions, task: Task) -> None:
        self.options = options
        self.at_least = files.decoded_side(task)
        self._catalogue: files.Catalogue | None = None

    def describe(self, options: ImageFolderOptions) -> DatasetDescription:
        """Return the description. The classes are the sorted names of the folders.

        Raises UserError if there is no folder, there are no classes, a class is empty, or groups are ambiguous.
        """
        self._catalogue = scan(options)
        return self._catalogue.description

    def fingerprint(self, options: ImageFolderOptions) -> Mapping[str, str]:
        """Return the SHA-256 of each file, by id."""
        return files.digests(self._known(options))

    def paths(self, options: ImageFolderOptions) -> Mapping[str, Path | str]:
        """Return the path of each image, by id."""
        return self._known(options).images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        catalogue = self._known(self.options)
        return files.read_files(catalogue, self.options.root, ids, self.at_least)

    def _known(self, options: ImageFolderOptions) -> files.Catalogue:
        if self._catalogue is None or options != self.options:
            self._catalogue = scan(options)
        return self._catalogue


def scan(options: ImageFolderOptions) -> files.Catalogue:
    """List the folder once and return the catalogue."""
    root = files.existing_folder(options.root, "image-folder")
    class_folders = _class_folders(root)
    images: dict[str, Path | str] = {}
    labels, splits = [], []
    filled = set()
    for split, folder in class_folders:
        label = _encodable(folder.name)
        for place in files.image_paths_below(folder):
            name = _encodable(place[len(str(root)) + 1 :].replace(os.sep, "/"))
            if name in images:
                raise UserError(
                    f"two images have the name {name}, one of them in bytes that are not UTF-8: {root}"
                )
            images[name] = place
            labels.append(label)
            splits.append(split)
            filled.add(folder.name)
    classes = sorted({_encodable(folder.name) for _, folder in class_folders})
    for _, folder in class_folders:
        if folder.name not in filled:
            raise UserError(
                f"class '{_encodable(folder.name)}' has no images: {folder}",
                hint=f"supported suffixes: {_suffixes()}",
            )
    return files.Catalogue(
        DatasetDescription(
            ids=list(images),
            labels=labels,
            classes=classes,
            groups=_groups(options, root, list(images)),
            given_split=splits if any(splits) else None,
        ),
        images,
    )


def _encodable(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 are written as `\\xff`. Other names are unchanged."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _class_folders(root: Path) -> list[tuple[str, Path]]:
    """Return pairs (split or "", class folder) in a fixed order."""
    tops = files.folders(root)
    split_tops = [top for top in tops if top.name.lower() in SPLITS and files.folders(top)]
    if not split_tops:
        found = [("", top) for top in tops]
    else:
        strays = [top.name for top in tops if top not in split_tops and any(files.images_below(top))]
        if strays:
            raise UserError(
                f"{root} contains both split folders ({split_tops[0].name}) and other folders of images "
                f"({files.some(strays)})",
                hint="use either root/class/* or root/train|val|test/class/*",
            )
        found = [(SPLITS[top.name.lower()], folder) for top in split_tops for folder in files.folders(top)]
    if not found:
        raise UserError(
            f"no class folders in {root}", hint="expected root/class/* or root/train|val|test/class/*"
        )
    return found


def _groups(options: ImageFolderOptions, root: Path, ids: list[str]) -> list[str] | None:
    file = options.groups
    if file is None:
        file = root / "groups.csv"
        if not os.path.lexists(file):
            return None
    file = file.expanduser().absolute()
    if not file.exists():
        raise UserError(f"the groups file {file} does not exist", hint="check `groups`")
    by_spelling = _spellings(ids)
    group_of: dict[str, str] = {}
    for line, row in enumerate(files.read_table(file, ("image", "group")), start=2):
        matches = by_spelling.get(row["image"].replace("\\", "/").removeprefix("./"), [])
        if len(matches) > 1:
            raise UserError(
                f"'{row['image']}' is ambiguous: {files.some(matches)}",
                file=file,
                line=line,
                hint="write the path below root",
            )
        for name in matches:
            group = row["group"] or f"alone:{name}"
            if group_of.setdefault(name, group) != group:
                raise UserError(f"'{row['image']}' has two groups", file=file, line=line)
    without = [name for name in ids if name not in group_of]
    if without:
        raise UserError(
            f"{len(without)} of {len(ids)} images have no row: {files.some(without)}",
            file=file,
            hint="an image without a group needs a row with an empty group",
        )
    return [group_of[name] for name in ids]


def _spellings(ids: list[str]) -> dict[str, list[str]]:
    """Return ids by each accepted spelling: the whole path, the path without suffix, the file name, or its stem, with
    or without spaces at the ends.

    A whole path takes precedence over the other spellings.
    """
    loose: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        path = Path(name)
        spellings = {path.with_suffix("").as_posix(), path.name, path.stem}
        # The values of a table are stripped of spaces at their ends.
        for spelling in spellings | {name.strip(), *(spelling.strip() for spelling in spellings)}:
            loose[spelling].append(name)
    return dict(loose) | {name: [name] for name in ids}


def _suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))
