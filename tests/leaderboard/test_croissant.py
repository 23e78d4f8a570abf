"""croissant.json of a board: what Croissant 1.0 asks for, the digests of the files, and columns with their types."""

import csv
import hashlib
import json

import pytest

from derm_bench.leaderboard.build import build

# https://docs.mlcommons.org/croissant/docs/croissant-spec.html, "Required" and the types of fields that tables have.
REQUIRED = {"@context", "@type", "conformsTo", "description", "license", "name", "distribution", "recordSet"}
TYPES = {"sc:Text", "sc:Integer", "sc:Float"}


@pytest.fixture(scope="module")
def document(made):
    return json.loads((made / "croissant.json").read_text())


def test_the_board_is_described_with_its_licence_and_citation(document):
    assert set(document) >= REQUIRED and document["@type"] == "sc:Dataset"
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert document["@context"]["@vocab"] == "https://schema.org/"
    assert document["name"] == "moles-32" and "mel, nv, bkl" in document["description"]
    assert document["license"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert document["citeAs"] == "Moles, 2024" and document["version"] == "1.1.0"


def test_every_table_manifest_and_file_of_predictions_has_its_digest(document, made):
    files = {file["@id"]: file for file in document["distribution"]}
    (entry,) = (made / "entries").iterdir()
    own = ("manifest.json", "results.csv", "fidelity.csv", "predictions.parquet")
    assert set(files) == {"leaderboard.csv", "split.csv", "board.yaml"} | {
        f"entries/{entry.name}/{name}" for name in own
    }
    for name, file in files.items():
        assert file["@type"] == "cr:FileObject" and file["contentUrl"] == name
        assert file["sha256"] == hashlib.sha256((made / name).read_bytes()).hexdigest()
        assert file["contentSize"] == f"{(made / name).stat().st_size} B"
    assert files["leaderboard.csv"]["encodingFormat"] == "text/csv"


def test_record_sets_have_the_columns_of_their_files_with_types(document, made):
    sets = {one["@id"]: one for one in document["recordSet"]}
    assert set(sets) == {"rows", "split"}
    for name, file in (("rows", "leaderboard.csv"), ("split", "split.csv")):
        with (made / file).open(newline="") as opened:
            columns = next(csv.reader(opened))
        fields = sets[name]["field"]
        assert [field["source"]["extract"]["column"] for field in fields] == columns
        assert {field["source"]["fileObject"]["@id"] for field in fields} == {file}
        assert {field["dataType"] for field in fields} <= TYPES
        assert [field["@id"] for field in fields] == [f"{name}/{column}" for column in columns]
    types = {field["name"]: field["dataType"] for field in sets["rows"]["field"]}
    assert (types["strategy"], types["n_runs"], types["mean"], types["recall_mel"]) == (
        "sc:Text", "sc:Integer", "sc:Float", "sc:Float",
    )  # fmt: skip


def test_the_same_board_gives_the_same_bytes(board):
    before = (board / "croissant.json").read_bytes()
    build(board)
    assert (board / "croissant.json").read_bytes() == before
