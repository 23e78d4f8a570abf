"""image-folder: root/class/*, or root/[train|val|test]/class/*, and an optional table of groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.folder_groups import find_groups, tables_beside
from derm_bench_plugins.datasets.folder_layout import Layout, Parts, find_layout
from derm_bench_plugins.datasets.image_search import AGAIN, OF_PROGRAMS, OTHER, Found, below, find_images
from derm_bench_plugins.datasets.matching import allow, suffixes
from derm_bench_plugins.datasets.side_images import AS_MASKS, SPARE, Sides, find_sides

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions

OUTSIDE = "images outside of the class folders"
MADE = "images in folders named after synthetic or augmented images"
COPIED = "images that look like augmented copies of another one; they count, in the group of their source"


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

        Raises UserError if there are fewer than two classes, if a class is empty, if it is not clear which folders are
        classes and which are splits, or if groups are ambiguous.
        """
        self._catalogue = scan(options)
        return self._catalogue.description

    def fingerprint(self, options: ImageFolderOptions) -> Mapping[str, str]:
        """Return one SHA-256 per image, over its file and the file of its mask, by id."""
        return files.digests(self._known(options))

    def paths(self, options: ImageFolderOptions) -> Mapping[str, Path | str]:
        """Return the path of each image, by id."""
        return self._known(options).images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        # Links were followed, and recorded, when the folder was listed.
        return files.read_files(self._known(self.options), None, ids, self.at_least)

    def _known(self, options: ImageFolderOptions) -> files.Catalogue:
        if self._catalogue is None or options != self.options:
            self._catalogue = scan(options)
        return self._catalogue


def scan(options: ImageFolderOptions) -> files.Catalogue:
    """List the folder once and return the catalogue."""
    root = files.existing_folder(options.root, "image-folder")
    found = find_images(root)
    allow(found.broken, len(found.paths) + len(found.broken), options, f"links in {root} lead nowhere")
    path_of = _by_name(found)
    parts_of = {tuple(name.split("/")): name for name in path_of}
    layout = find_layout(list(parts_of), str(root), options.splits)
    sides, kept = _chosen(parts_of, layout)
    labels = [parts[layout.label] for parts in kept]
    ids = [parts_of[parts] for parts in kept]
    classes = sorted(set(labels))
    _refuse_classes(root, found, layout, classes)
    groups, used, group_notes = find_groups(options, root, ids, sides.sources, found.ignored.get(OTHER, ()))
    description = DatasetDescription(
        ids=ids,
        labels=labels,
        classes=classes,
        groups=groups,
        given_split=_splits(kept, layout),
        masks=bool(sides.masks),
        notes=[
            *_notes(found, layout, sides, parts_of, used),
            *_unfilled(root, layout, classes),
            *group_notes,
        ],
    )
    masks = {name: Path(path_of[mask]) for name, mask in sides.masks.items()}
    return files.Catalogue(description, {name: path_of[name] for name in ids}, masks)


def _by_name(found: Found) -> dict[str, str]:
    names = found.names()
    path_of = dict(zip(names, found.paths, strict=True))
    if len(path_of) < len(names):
        name = next(name for name, n in Counter(names).items() if n > 1)
        raise UserError(
            f"two images have the name {name}, one of them in bytes that are not UTF-8: {found.root}"
        )
    return path_of


def _chosen(parts_of: Mapping[Parts, str], layout: Layout) -> tuple[Sides, list[Parts]]:
    """What the names say of masks and copies, and the images that are left, in their order."""
    aside = {*layout.outside, *layout.made}
    inside = [parts for parts in parts_of if parts not in aside] if aside else list(parts_of)
    masks = [parts_of[parts] for parts in layout.masks]
    sides = find_sides([parts_of[parts] for parts in inside] if aside else list(parts_of.values()), masks)
    not_images = {*sides.masks.values(), *sides.spare, *masks}
    return sides, [parts for parts in inside if parts_of[parts] not in not_images] if not_images else inside


def _splits(kept: Sequence[Parts], layout: Layout) -> list[str] | None:
    if layout.split is None:
        return None
    position = layout.split
    return [layout.splits[parts[position]] for parts in kept]


def _refuse_classes(root: Path, found: Found, layout: Layout, classes: Sequence[str]) -> None:
    """Raise UserError for fewer than two classes, two that differ only in case, and a class without images."""
    inner = root.joinpath(*layout.prefix)
    if len(classes) < 2:
        message = f"no class folders in {root}"
        if classes:
            message = f"only one class folder, '{classes[0]}', in {inner}: one class is no classification"
        tables = tables_beside(root)
        hint = "expected root/class/* or root/train|val|test/class/*, with images " + suffixes()
        if tables:
            file, image, label = tables[0]
            columns = f"columns: {{image: {image or 'COLUMN'}, label: {label or 'COLUMN'}}}"
            name = below(root, file)
            hint = (
                f"if the classes are in the table {name}, use `name: table`, with `file: {file}, {columns}`"
            )
        raise UserError(message, hint=hint)
    for one, n in Counter(name.lower() for name in classes).items():
        if n > 1:
            alike = [name for name in classes if name.lower() == one]
            raise UserError(
                f"the class folders {' and '.join(alike)} in {inner} differ only in upper and lower case",
                hint="rename one of them",
            )
    for folder in _class_folders(root, layout):
        name = below(root, folder)
        if folder.name not in classes and name in found.ignored.get(AGAIN, ()):
            raise UserError(f"class '{folder.name}' is a link to a folder that is another class: {folder}")
        if folder.name not in classes and not any(folder.iterdir()):
            raise UserError(
                f"class '{below(folder.parent, folder)}' has no images: {folder}",
                hint=f"remove the folder, or put images of the class into it ({suffixes()})",
            )


def _class_folders(root: Path, layout: Layout) -> Iterator[Path]:
    """The folders that are classes by their place, with images or without."""
    inner = root.joinpath(*layout.prefix)
    at_splits = layout.split is not None and layout.split < layout.label
    for place in [inner / name for name in layout.splits] if at_splits else [inner]:
        yield from (path for path in files.folders(place) if path.name.lower() not in OF_PROGRAMS)


def _unfilled(root: Path, layout: Layout, classes: Sequence[str]) -> list[Note]:
    known = {*classes, *(parts[0] for parts in (*layout.masks, *layout.made))}
    names = [
        below(root, folder)
        for folder in _class_folders(root, layout)
        if below(folder.parent, folder) not in known
    ]
    return [Note("set aside: folders without images", names)] if names else []


def _notes(
    found: Found, layout: Layout, sides: Sides, parts_of: Mapping[Parts, str], used: Sequence[Path]
) -> list[Note]:
    notes = []
    if layout.prefix:
        notes.append(Note(f"the classes are the folders in {'/'.join(layout.prefix)}"))
    if layout.splits:
        given = ", ".join(f"{name} is {split}" for name, split in sorted(layout.splits.items()))
        notes.append(Note(f"the folders of the splits: {given}"))
    masked = list(sides.masks.values())
    unmatched = {parts_of[parts] for parts in layout.masks} - set(masked)
    for text, names in (
        (f"set aside: {OUTSIDE}", [parts_of[parts] for parts in layout.outside]),
        (f"set aside: {MADE}", [parts_of[parts] for parts in layout.made]),
        (f"set aside: {SPARE}", sorted({*sides.spare, *unmatched})),
        (AS_MASKS, sorted(masked)),
    ):
        notes += [Note(text, names)] if names else []
    if sides.sources:
        notes.append(Note(COPIED, sorted(sides.sources), warns=True))
    others = found.ignored.get(OTHER, [])
    found.ignored[OTHER] = [name for name in others if not name.endswith((".txt", ".md", ".html", ".pdf"))]
    return [*notes, *found.notes(used)]
