"""Every path in options is known by what lies there: files and folders, at any depth."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest
from pydantic import BaseModel, RootModel

from derm_bench.errors import UserError
from derm_bench.hashed_options import merge_paths
from derm_bench.options.paths import StatedFolder, paths_in
from derm_bench.options.uses import ClassifierUse
from derm_bench.plan import option_paths
from derm_bench.plan.keys import canonical
from derm_bench.plan.listing import changes, digests_in
from derm_bench.plan.option_paths import split_paths


class Encoder(BaseModel):
    file: Path
    layers: int = 2


class Pair(NamedTuple):
    first: Path
    second: Path


@dataclass
class Tables:
    names: Path


class Steps(RootModel[tuple[Path, ...]]):
    pass


class Options(BaseModel):
    inside: Encoder | None = None
    several: tuple[Encoder, ...] = ()
    by_class: dict[str, Path | None] = {}
    deeper: dict[str, list[Encoder]] = {}
    mixed: tuple[str, Path] | None = None
    choice: int | Path = 0
    pair: Pair | None = None
    tables: Tables | None = None
    steps: Steps | None = None
    some: frozenset[Path] = frozenset()


# Where a path may stand, as a function of the path.
PLACES = {
    "in a model": lambda path: {"inside": {"file": path}},
    "in a model in a tuple": lambda path: {"several": [{"file": path}]},
    "in a map": lambda path: {"by_class": {"nv": path, "bkl": None}},
    "under a key with dots": lambda path: {"by_class": {"a.b~1": path}},
    "in a model in a list in a map": lambda path: {"deeper": {"a.1": [{"file": path}]}},
    "in a tuple of several types": lambda path: {"mixed": ("x", path)},
    "in a union": lambda path: {"choice": path},
    "in a named tuple": lambda path: {"pair": (path, path)},
    "in a dataclass": lambda path: {"tables": {"names": path}},
    "in a root model": lambda path: {"steps": [path]},
    "in a set": lambda path: {"some": [path]},
}


@pytest.fixture
def weights(tmp_path):
    """Writes weights as a file or as a folder, in a folder of any name, and returns their path."""

    def write(content: str, folder: str = "here", *, as_folder: bool = False) -> Path:
        place = tmp_path / folder
        path = place / "model" / "deep" / "weights.bin" if as_folder else place / "weights.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return place / "model" if as_folder else path

    return write


@pytest.mark.parametrize("as_folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("place", PLACES)
def test_content_counts_and_the_place_does_not(weights, tmp_path, place, as_folder):
    def hashed(content, folder):
        options = Options.model_validate(PLACES[place](weights(content, folder, as_folder=as_folder)))
        return split_paths(options), options

    (first, options), (moved, _) = hashed("x", "a"), hashed("x", "b")
    assert canonical(first.values) == canonical(moved.values) and first.listings == moved.listings
    assert str(tmp_path) not in canonical(first.values)
    (changed, _) = hashed("y", "a")
    assert canonical(changed.values) != canonical(first.values)
    assert Options.model_validate(merge_paths(first.values, first.paths)) == options


def test_sets_have_the_order_of_their_content(tmp_path):
    def of(names):
        for name, content in names.items():
            (tmp_path / name).write_text(content)
        options = Options(some=frozenset(tmp_path / name for name in names))
        return canonical(split_paths(options).values["some"])

    assert of({"a": "1", "b": "2", "c": "3"}) == of({"z": "1", "y": "2", "x": "3"})


def test_a_folder_is_its_files_by_their_names(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "a.bin").write_text("1")

    def listed():
        return digests_in(next(iter(split_paths(Encoder(file=folder)).listings.values())))

    first = listed()
    assert set(first) == {"config.json", "sub/a.bin"}
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("compiled")
    os.utime(folder / "config.json", (1, 1))
    assert listed() == first
    (folder / "sub" / "a.bin").rename(folder / "sub" / "b.bin")
    (folder / "line\nbreak").write_text("")
    assert changes(first, listed()) == ["line\nbreak (new)", "sub/a.bin (removed)", "sub/b.bin (new)"]


def test_links_stay_inside_of_the_folder(tmp_path):
    folder = tmp_path / "model"
    for version in ("v1", "v2"):
        (folder / version).mkdir(parents=True)
    (folder / "current").symlink_to("v1")
    before = split_paths(Encoder(file=folder)).values
    (folder / "current").unlink()
    (folder / "current").symlink_to("v2")
    assert split_paths(Encoder(file=folder)).values != before
    (tmp_path / "outside").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="leads out of the folder"):
        split_paths(Encoder(file=folder))


def test_special_files_and_huge_folders_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="pipe is neither a file nor a folder"):
        split_paths(Encoder(file=folder))
    (folder / "pipe").unlink()
    for name in "abc":
        (folder / name).write_text(name)
    monkeypatch.setattr(option_paths, "MAX_FILES", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        split_paths(Encoder(file=folder))
    monkeypatch.setattr(option_paths, "MAX_FILES", 20)
    monkeypatch.setattr(option_paths, "MAX_BYTES", 2)
    with pytest.raises(UserError, match="more than"):
        split_paths(Encoder(file=folder))


def test_a_folder_that_the_plugin_states_or_a_data_set_reads_is_not_hashed(tmp_path):
    class Stated(BaseModel):
        root: Annotated[Path, StatedFolder()]
        others: tuple[Path, ...] = ()

    found = split_paths(Stated(root=tmp_path))
    assert (found.values, found.paths) == ({"others": []}, {"root": str(tmp_path)})
    found = split_paths(Encoder(file=tmp_path), folders=False)
    assert (found.values, found.paths) == ({"layers": 2}, {"file": str(tmp_path)})
    assert [each.stated for each in paths_in(Stated(root=tmp_path, others=(tmp_path,)))] == [True, False]


def test_a_required_classifier_is_written_without_paths(tmp_path):
    """The stage that it becomes knows them by content."""
    values = {"lr": 0.1, "files": [tmp_path], "tables": Tables(names=tmp_path), "some": {tmp_path}}
    use = ClassifierUse(name="timm", options=values)
    expected = {"lr": 0.1, "files": [], "tables": {}, "some": []}
    assert use.model_dump(mode="json")["options"] == expected


def test_a_path_in_the_place_of_a_key_is_refused(tmp_path):
    class Keyed(BaseModel):
        parts: dict[Path, int]

    with pytest.raises(UserError, match="in the place of a key"):
        split_paths(Keyed(parts={tmp_path: 1}))
