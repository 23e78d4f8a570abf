"""The rules for data sets."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench.lazy import load_object
from derm_bench.specs import DatasetDescription, RawImage, Recognised, Unreadable
from derm_bench.testing.calls import ABOUT_CALLS, CallCase
from derm_bench.testing.rules import NotApplicable, Rule, plugin_code, require
from derm_bench.testing.spec import ABOUT_SPECS, heavy_imports

READ = 12  # images that a rule decodes
GIVEN = {"train", "val", "test", ""}


class DatasetCase(CallCase):
    """A data set with preset tiny, or with options that name its folder."""

    @cached_property
    def description(self) -> DatasetDescription:
        options = self.subject.options()
        found: DatasetDescription = self.call("describe()", lambda: self.made.describe(options))
        return found

    @cached_property
    def some(self) -> list[str]:
        """A few ids, evenly spaced."""
        ids = list(self.description.ids)
        return ids[:: max(1, len(ids) // READ)][:READ]

    def fingerprint(self, dataset: Any) -> dict[str, str]:
        options = self.subject.options()
        return dict(self.call("fingerprint()", lambda: dataset.fingerprint(options)))

    def read(self, ids: list[str], dataset: Any = None) -> list[Any]:
        which = self.made if dataset is None else dataset
        return list(self.call("read()", lambda: list(which.read(ids))))

    def recognise(self, place: Path) -> Recognised | None:
        """What the function `recognise` of the spec says of a place, which it may read, although no option names it."""
        with plugin_code(f"{self.name}: recognise(folder)"):
            said = load_object(self.spec.recognise)(place)
        require(
            said is None or isinstance(said, Recognised),
            f"{self.name}: recognise() returned {type(said).__name__}; return a derm_bench.specs.Recognised, or None "
            "for what the data set does not read",
        )
        return said

    def use(self) -> None:
        dataset, options = self.make(), self.subject.options()
        self.call("describe()", lambda: dataset.describe(options))
        self.fingerprint(dataset)
        self.read(self.some, dataset)


def planner_needs_no_torch(case: DatasetCase) -> None:
    """The module of `create` does not import torch, as the planner calls describe() and fingerprint()."""
    module = case.spec.create.partition(":")[0]
    heavy = heavy_imports(module)
    require(
        not heavy,
        f"{case.name}: importing '{module}' imports {heavy}; decode with Pillow and NumPy, since planning uses it too",
    )


def columns_run_parallel(case: DatasetCase) -> None:
    """There is one label, group and attribute per id, and ids are unique."""
    found, n = case.description, len(case.description.ids)
    columns = {"labels": found.labels, **{f"attributes['{k}']": v for k, v in found.attributes.items()}}
    columns |= {"groups": found.groups} if found.groups is not None else {}
    columns |= {"given_split": found.given_split} if found.given_split is not None else {}
    wrong = [f"{name} has {len(column)}" for name, column in columns.items() if len(column) != n]
    require(n > 0, f"{case.name}: describe() lists no images; check the paths in the options")
    require(
        not wrong,
        f"{case.name}: describe() lists {n} ids, but {', '.join(wrong)}; return one entry per id, in order",
    )
    twice = [name for name, count in Counter(found.ids).items() if count > 1]
    require(not twice, f"{case.name}: id '{(twice or [''])[0]}' is listed twice; make ids unique")
    strange = set(found.given_split or ()) - GIVEN
    require(
        not strange,
        f"{case.name}: given_split contains {sorted(strange)}; use train, val, test or an empty string",
    )


def every_class_has_images(case: DatasetCase) -> None:
    """All labels are in the classes, and no class is empty."""
    found = case.description
    unknown = sorted(set(found.labels) - set(found.classes))
    empty = sorted(set(found.classes) - set(found.labels))
    require(
        not unknown,
        f"{case.name}: label '{(unknown or [''])[0]}' is not in the classes {list(found.classes)}; add it",
    )
    require(
        not empty and len(set(found.classes)) == len(found.classes) > 1,
        f"{case.name}: classes are {list(found.classes)}, without images {empty}; list two or more classes, each "
        "once and each with images",
    )


def describes_the_same_every_time(case: DatasetCase) -> None:
    """Two new objects return equal descriptions and fingerprints, as two runs require."""
    options, again = case.subject.options(), case.make()
    same = case.call("describe()", lambda: again.describe(options)) == case.description
    require(
        same and case.fingerprint(again) == case.fingerprint(case.made),
        f"{case.name}: a second object returns another description or other fingerprints; sort listings, "
        "and seed random draws from the options alone",
    )


def fingerprint_covers_every_image(case: DatasetCase) -> None:
    """fingerprint() returns a digest of the content for each id; stage keys depend on them."""
    prints = case.fingerprint(case.made)
    odd = sorted(set(case.description.ids) ^ set(prints))
    require(
        not odd and all(isinstance(value, str) and value for value in prints.values()),
        f"{case.name}: fingerprint() and describe() differ for {odd[:3] or 'the type of a digest'}; return a digest of "
        "the content, a string, for each id",
    )


def images_are_rgb(case: DatasetCase) -> None:
    """read() yields one image uint8 [H,W,3] per id, with a mask uint8 [H,W] of 0 and 255 if the set has masks. A digest
    that it states is the one of fingerprint()."""
    images = case.read(case.some)
    require(
        len(images) == len(case.some),
        f"{case.name}: read() of {len(case.some)} ids yielded {len(images)}; yield one RawImage or Unreadable per id",
    )
    prints = case.fingerprint(case.made)
    for name, image in zip(case.some, images, strict=True):
        if not isinstance(image, Unreadable):
            _check_image(case, name, image)
        require(
            image.digest in (None, prints.get(name)),
            f"{case.name}: read() and fingerprint() state different digests of '{name}'; make both in the same way",
        )


def _check_image(case: DatasetCase, name: str, image: Any) -> None:
    require(
        isinstance(image, RawImage),
        f"{case.name}: read() yielded {type(image).__name__} for '{name}'; yield RawImage(pixels, mask)",
    )
    pixels, mask = image.pixels, image.mask
    require(
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == 3
        and pixels.shape[2] == 3,
        f"{case.name}: '{name}' has pixels {getattr(pixels, 'dtype', '')} {np.shape(pixels)}; return uint8 [H,W,3]",
    )
    if mask is not None:
        require(
            mask.dtype == np.uint8 and mask.shape == pixels.shape[:2] and set(np.unique(mask)) <= {0, 255},
            f"{case.name}: the mask of '{name}' is {mask.dtype} {mask.shape}; return uint8 [H,W], 0 or 255, of the "
            "size of the image",
        )


def an_image_does_not_depend_on_the_order(case: DatasetCase) -> None:
    """An id gives the same pixels in any order of reading and from any object."""
    forward = case.read(case.some)
    backward = case.read(case.some[::-1], case.make())[::-1]
    other = [
        name
        for name, a, b in zip(case.some, forward, backward, strict=True)
        if isinstance(a, RawImage) and not (isinstance(b, RawImage) and np.array_equal(a.pixels, b.pixels))
    ]
    require(
        not other,
        f"{case.name}: '{(other or [''])[0]}' has other pixels when ids are read in another order; look images up by "
        "id, and draw from a generator that is seeded by the id",
    )


def recognises_what_it_reads(case: DatasetCase) -> str | None:
    """`recognise`, if the spec names it, says nothing of an empty folder and of other files. What it says of the folder
    of the option `root` are options that read it, and a confidence in (0,1]. Its module imports no torch."""
    if case.spec.recognise is None:
        raise NotApplicable("the spec names no function `recognise`")
    heavy = heavy_imports(case.spec.recognise.partition(":")[0])
    require(
        not heavy,
        f"{case.name}: importing the module of recognise() imports {heavy}; `data inspect` asks every data set",
    )
    with tempfile.TemporaryDirectory() as made:
        for name in ("empty", "notes"):
            (Path(made) / name).mkdir()
        letter = Path(made) / "notes" / "letter.txt"
        letter.write_text("Nothing in here is an image.\n")
        for what, place in (
            ("an empty folder", Path(made) / "empty"),
            ("a folder with a letter", letter.parent),
            ("a letter", letter),
        ):
            require(
                case.recognise(place) is None,
                f"{case.name}: recognise() claims {what}; return None unless what the data set reads is "
                "there, as the most confident data set is taken",
            )
    root = getattr(case.subject.options(), "root", None)
    if not isinstance(root, Path):
        return None
    said = case.recognise(root)
    if said is None:
        return (
            f"{case.name}: recognise() returns None for {root}, which the data set reads: `data inspect` needs "
            "--dataset for it"
        )
    require(
        0 < said.confidence <= 1 and bool(said.reason) and not said.reason.endswith("."),
        f"{case.name}: recognise() states confidence {said.confidence} and the reason {said.reason!r}; give a "
        "confidence in (0,1] and what was found, without a full stop",
    )
    _reads_with(case, root, said)
    return None


def _reads_with(case: DatasetCase, root: Path, said: Recognised) -> None:
    """The data set describes a folder with the options with which it recognises it."""
    try:
        options = case.subject.model.model_validate({"root": root, **said.options})
        found = case.call("describe()", lambda: case.make().describe(options))
    except (ValidationError, UserError) as error:
        first = str(error).splitlines()[0]
        require(
            False, f"{case.name}: recognise() gives options {dict(said.options)} that cannot be used: {first}"
        )
    require(
        len(found.ids) > 0,
        f"{case.name}: with the options of recognise() {dict(said.options)} describe() lists no images",
    )


def paths_are_files_of_images(case: DatasetCase) -> None:
    """`paths`, if the data set has it, returns the regular file of each image that has one, by id."""
    if getattr(case.made, "paths", None) is None:
        raise NotApplicable("the data set has no method `paths`")
    options = case.subject.options()
    paths = case.call("paths()", lambda: dict(case.made.paths(options)))
    strange = sorted(set(paths) - set(case.description.ids))
    require(
        not strange,
        f"{case.name}: paths() names '{(strange or [''])[0]}', which describe() does not list; use the same ids",
    )
    gone = [name for name in case.some if name in paths and not Path(paths[name]).is_file()]
    require(
        not gone,
        f"{case.name}: paths() leads to no file for '{(gone or [''])[0]}'; return the path from which the image is "
        "read, and leave out images that have no file of their own",
    )


RULES: tuple[Rule, ...] = (
    *ABOUT_SPECS,
    planner_needs_no_torch,
    columns_run_parallel,
    every_class_has_images,
    describes_the_same_every_time,
    fingerprint_covers_every_image,
    images_are_rgb,
    an_image_does_not_depend_on_the_order,
    recognises_what_it_reads,
    paths_are_files_of_images,
    *ABOUT_CALLS,
)
