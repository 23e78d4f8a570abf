"""Texts in options that are paths, at any depth: relative to the matrix, and told apart from other texts."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pytest
from pydantic import BaseModel, Field, FilePath, RootModel
from typing_extensions import TypeAliasType, TypedDict

from derm_bench.matrix.entries import EntryReader
from derm_bench.matrix.locations import Where


class Encoder(BaseModel):
    file: Path


class Named(BaseModel):
    kind: Literal["name"] = "name"
    file: str


class Local(BaseModel):
    kind: Literal["local"] = "local"
    file: Path


class Pair(NamedTuple):
    title: str
    file: Path


class Parts(TypedDict):
    mean: Path


class Files(RootModel[list[Path]]):
    pass


Weights = TypeAliasType("Weights", Path | None)


class Reader(EntryReader):
    """Reads values without plugins, from a matrix in the folder that it is given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(type("Here", (), {"base": lambda self, path: folder})(), {})

    def classifier_use(self, raw, where):
        raise AssertionError("there is no classifier")


@pytest.fixture
def read(tmp_path):
    (tmp_path / "w.pt").write_text("weights")
    reader = Reader(tmp_path)
    return lambda annotation, raw: reader.prepare(annotation, raw, Where(), frozenset())


@pytest.mark.parametrize(
    ("annotation", "raw", "path_in"),
    [
        (FilePath, "w.pt", lambda value: value),
        (Weights, "w.pt", lambda value: value),
        (Encoder | None, {"file": "w.pt"}, lambda value: value["file"]),
        (tuple[Encoder, ...], [{"file": "w.pt"}], lambda value: value[0]["file"]),
        (dict[str, list[Encoder]], {"nv": [{"file": "w.pt"}]}, lambda value: value["nv"][0]["file"]),
        (tuple[str, Path], ["w.pt", "w.pt"], lambda value: value[1]),
        (set[Path], ["w.pt"], lambda value: value[0]),
        (Pair, ["w.pt", "w.pt"], lambda value: value[1]),
        (Parts, {"mean": "w.pt"}, lambda value: value["mean"]),
        (Files, ["w.pt"], lambda value: value[0]),
        (
            Annotated[Named | Local, Field(discriminator="kind")],
            {"kind": "local", "file": "w.pt"},
            lambda value: value["file"],
        ),
        (str | Path, "w.pt", lambda value: value),
        (str | Path, "./absent.pt", lambda value: value.parent / "w.pt"),
    ],
    ids=lambda value: "" if callable(value) and not isinstance(value, type) else str(value),
)
def test_a_path_is_relative_to_the_matrix_wherever_it_stands(read, tmp_path, annotation, raw, path_in):
    assert path_in(read(annotation, raw)) == tmp_path / "w.pt"


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Path | Literal["imagenet"], "imagenet"),
        (str | Path, "resnet50"),
        (str | Path, "a text\0 with a NUL"),
        (Annotated[Named | Local, Field(discriminator="kind")], {"kind": "name", "file": "w.pt"}),
        (tuple[str, Path], ["w.pt"]),
        (dict[str, str], {"file": "w.pt"}),
    ],
    ids=str,
)
def test_other_texts_stay_as_they_are_written(read, annotation, raw):
    assert read(annotation, raw) == raw
