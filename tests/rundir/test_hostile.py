"""Run directories that somebody made to do harm: refused in words, and nothing outside of them is touched."""

import contextlib
import errno
import json
import os
import shutil
import zlib
from pathlib import Path

import pytest
from tests.conftest import main_here
from tests.report.conftest import sheet_entry, write_run

from derm_bench.errors import UserError
from derm_bench.rundir import files
from derm_bench.rundir.directory import read_run
from derm_bench.rundir.files import copy, emptied, read_json, replacing, write_text
from derm_bench.rundir.prepare import prepare_out
from derm_bench.store.layout import LAYOUT

KEY = "0" * 40
STAGES = {
    "cells": [], "scores": [], "fits": [], "curves": [], "splits": [], "sheets": {}, "decodes": {}, "terms": {},
    "origins": [], "warnings": [],
}  # fmt: skip
AT = {
    "dataset": "phantom", "train_fraction": 1.0, "strategy": "gan", "generator": "dcgan", "split_seed": 0,
    "generator_seed": 0, "class_name": "mel",
}  # fmt: skip


LONG = {"at": AT | {"strategy": "x" * 300}, "key": KEY, "health": KEY, "pictures": []}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run directory, of which each test gets a copy."""
    place = tmp_path_factory.mktemp("whole") / "run"
    return write_run(place, fractions=(1.0,), classifiers=("net",), seeds=(0,), predictions=True)


@pytest.fixture
def world(whole, tmp_path, monkeypatch):
    """A folder with an untrusted run directory (`run`), a store (`store`) and files that must not be touched
    (`victim`)."""
    tmp_path = tmp_path / "world"
    monkeypatch.setenv("DERM_BENCH_STORE", str(tmp_path / "store"))
    run = shutil.copytree(whole, tmp_path / "run")
    change(run, lambda manifest: manifest.update(plan={"stages": STAGES, "statuses": {}}))
    store = tmp_path / "store"
    for name in ("objects", "records", "data", "staging", "running"):
        (store / name).mkdir(parents=True)
    (store / "VERSION").write_text(LAYOUT)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "stage.json").write_text("{}")
    (victim / "secret.csv").write_text("password\n")
    return tmp_path


def change(run: Path, edit) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    edit(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))


def picture_of(folder: Path) -> dict[str, tuple]:
    """Everything below a folder: what it is, and its bytes."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def report(world, *flags) -> int:
    """Reports the run; what lies outside of it must be as it was."""
    outside = [world / name for name in ("store", "victim")]
    before = [picture_of(folder) for folder in outside]
    code = main_here(["report", str(world / "run"), *flags])
    assert [picture_of(folder) for folder in outside] == before
    assert sorted(path.name for path in world.iterdir()) == ["run", "store", "victim"]
    return code


def test_a_run_of_somebody_else_is_reported_from_its_own_files(world, capsys):
    tables = {path.name: path.read_bytes() for path in (world / "run").glob("*.csv")}
    assert report(world) == 0
    assert "store" not in capsys.readouterr().err
    html = (world / "run/report.html").read_text()
    assert html.count("data:image/svg+xml") > 5 and html.count("data:image/jpeg") == 6
    assert (world / "run/report.md").stat().st_size > 500
    assert {path.name: path.read_bytes() for path in (world / "run").glob("*.csv")} == tables


@pytest.mark.parametrize("key", ["../victim", "/etc", "..", "", KEY + "\n", KEY[:-1], KEY.replace("0", "G")])
@pytest.mark.parametrize("place", ["fit", "picture", "sheet", "decode", "status", "origin"])
def test_a_key_that_is_not_40_hexadecimal_digits_is_refused(world, capsys, key, place):
    stages, statuses = dict(STAGES), {}
    if place == "fit":
        stages["fits"] = [{"at": AT, "key": key, "health": KEY, "pictures": []}]
    elif place == "picture":
        stages["fits"] = [{"at": AT, "key": KEY, "health": KEY, "pictures": [key]}]
    elif place == "status":
        statuses = {key: {"status": "failed", "error": ""}}
    elif place == "origin":
        stages["origins"] = [["net", key]]
    else:
        stages[f"{place}s"] = {"phantom": key}
    change(world / "run", lambda manifest: manifest.update(plan={"stages": stages, "statuses": statuses}))
    assert report(world) == 2
    said = capsys.readouterr().err
    assert "manifest.json" in said and ("pattern" in said or "40 hexadecimal digits" in said)


def test_the_manifest_does_not_say_where_the_store_is(world, capsys):
    fit = {"at": AT, "key": KEY, "health": KEY, "pictures": [KEY]}

    def edit(manifest):
        manifest["plan"] = {
            "stages": STAGES | {"fits": [fit]},
            "statuses": {},
            "store": str(world / "victim"),
        }
        manifest["store"] = "../victim"

    change(world / "run", edit)
    assert report(world) == 0
    assert "store" not in capsys.readouterr().err
    assert report(world, "--store", str(world / "victim")) == 2
    assert "it is not a store" in capsys.readouterr().err
    assert report(world, "--store", str(world / "nowhere")) == 2
    assert report(world, "--store", str(world / "store")) == 2
    assert "1 of its 1 stages are missing" in capsys.readouterr().err


def test_a_spoiled_stage_stays_where_it_is(world):
    fit = {"at": AT, "key": KEY, "health": KEY, "pictures": []}
    change(world / "run", lambda m: m.update(plan={"stages": STAGES | {"fits": [fit]}, "statuses": {}}))
    spoiled = world / "store" / "objects" / KEY[:2] / KEY
    spoiled.mkdir(parents=True)
    (spoiled / "stage.json").write_text("no JSON")
    report(world, "--store", str(world / "store"))


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "results.csv", "fidelity.csv", "predictions.parquet", "report.html", "samples", "figures",
     "splits", "samples/index.json", "samples/0.png", "samples/new.png", ".results.csv.17", ".report.html.x"],
)  # fmt: skip
def test_links_are_refused_and_not_followed(world, capsys, name):
    place = world / "run" / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    folder = name in ("samples", "figures", "splits")
    place.symlink_to(world / "victim" if folder else world / "victim" / "secret.csv")
    assert report(world) == 2
    said = capsys.readouterr().err
    assert name in said and "link" in said and "password" not in said
    with pytest.raises(UserError):
        prepare_out(world / "run", "fake & <b>bold</b>")


def test_a_pipe_in_the_place_of_a_table_does_not_hang(world):
    (world / "run/history.csv").unlink()
    os.mkfifo(world / "run/history.csv")
    assert report(world) == 2


@pytest.mark.parametrize(
    "file", ["../victim/secret.csv", "/etc/passwd", "..", "a/b.png", "x.svg", "\x00.png"]
)
def test_an_index_names_only_sheets_of_its_own_folder(world, capsys, file):
    (world / "run/samples/index.json").write_text(json.dumps([sheet_entry(file, "gan", "mel")]))
    assert report(world) == 2
    assert "index.json" in capsys.readouterr().err


def test_a_sheet_that_is_no_picture_or_unpacks_to_too_much_is_refused(world, capsys):
    sheet = world / "run/samples/0.png"
    sheet.write_bytes(b"GIF89a")
    assert report(world) == 2 and "0.png" in capsys.readouterr().err
    sheet.write_bytes(png(30_000, 30_000))
    assert report(world) == 2 and "0.png" in capsys.readouterr().err


def png(width: int, height: int) -> bytes:
    """The start of a picture that claims to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_sizes_are_bounded_before_anything_is_read(world, capsys, monkeypatch):
    monkeypatch.setattr(files, "MANIFEST_BYTES", 1000)
    with pytest.raises(UserError, match="more than the limit of 1,000"):
        read_json(world / "run/manifest.json", files.MANIFEST_BYTES)
    with (world / "run/manifest.json").open("a") as file:
        file.truncate(65 * 2**20)
    assert report(world) == 2
    assert "68,157,440 bytes" in capsys.readouterr().err


def test_a_table_of_millions_of_short_rows_is_not_read(world, capsys):
    with (world / "run/results.csv").open("a") as file:
        file.write("x\n" * 3_000_000)
    assert report(world) == 2
    assert "results.csv: has 3,000,0" in capsys.readouterr().err.replace("\n", "")


def test_a_table_of_more_than_2_gb_is_not_read(world, capsys):
    with (world / "run/history.csv").open("a") as file:
        file.truncate(2 * 2**30 + 1)
    assert report(world) == 2
    assert "more than the" in capsys.readouterr().err


def test_too_many_files_are_refused(world, capsys, monkeypatch):
    monkeypatch.setattr(files, "ENTRIES", 5)
    assert report(world) == 2
    assert "more than 5 files" in capsys.readouterr().err


@pytest.mark.parametrize("levels", [50, 900, 200_000])
def test_deep_nesting_is_refused(world, capsys, levels):
    text = (world / "run/manifest.json").read_text()
    (world / "run/manifest.json").write_text(text[:-1] + ', "deep": ' + "[" * levels + "]" * levels + "}")
    assert report(world) == 2
    assert "levels deep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["matrix"].update(name="x" * 300),
        lambda m: m["matrix"]["strategies"].append({"name": "y" * 10_000_000}),
        lambda m: m["matrix"].update(strategies="many"),
        lambda m: m["matrix"].update(analysis={"alpha": 7}),
        lambda m: m["metrics"].update(ece="down"),
        lambda m: m["metrics"].update({"z" * 300: {"higher_is_better": True, "level": "images"}}),
        lambda m: m.update(plan=[]),
        lambda m: m["plan"].update(stages=STAGES | {"fits": [LONG]}),
        lambda m: m["plan"].update(statuses={KEY: {"status": "splendid", "error": ""}}),
        lambda m: m["plan"].update(statuses=[1]),
        lambda m: m.update(health=[{"class": "mel"}]),
        lambda m: m.update(warnings={"a": 1}),
        lambda m: m.update(git="dirty"),
        lambda m: m.update(matrix=None),
    ],
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused_in_words(world, capsys, edit):
    change(world / "run", edit)
    assert report(world) == 2
    said = capsys.readouterr().err
    assert "manifest.json" in said and "Traceback" not in said and len(said) < 2000


def test_a_long_name_in_a_table_is_refused(world, capsys):
    table = world / "run/history.csv"
    table.write_text(table.read_text().replace("classifier", "c" * 300, 1))
    assert report(world) == 2
    assert "more than 255 characters" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"PAR1 no PAR1", b"", b"PAR1" + bytes(100)])
def test_predictions_that_are_none_are_refused(world, capsys, content):
    (world / "run/predictions.parquet").write_bytes(content)
    assert report(world) == 2
    assert "predictions.parquet" in capsys.readouterr().err


def test_a_file_is_never_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "report.html").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="not a regular file"), replacing(tmp_path / "report.html"):
        raise AssertionError("must not come here")
    assert (tmp_path / "victim").read_text() == "mine" and (tmp_path / "report.html").is_symlink()


def test_a_run_that_was_stopped_before_its_tables_says_so(tmp_path):
    prepare_out(tmp_path / "out", "toy")
    with pytest.raises(UserError, match=r"no results\.csv") as refused:
        read_run(tmp_path / "out")
    assert "run the matrix again" in refused.value.hint


@pytest.mark.parametrize(
    "write", [lambda path: write_text("new", path), lambda path: copy(path.parent / "source", path)]
)
def test_a_partly_written_file_that_becomes_a_link_is_not_written_through(tmp_path, monkeypatch, write):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "source").write_text("new")
    replaced = files.replacing

    @contextlib.contextmanager
    def attacked(path):
        with replaced(path) as partial:
            partial.unlink()
            partial.symlink_to(tmp_path / "victim")
            yield partial

    monkeypatch.setattr(files, "replacing", attacked)
    with pytest.raises((OSError, UserError)):
        write(tmp_path / "report.md")
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_sheet_or_figure_is_not_copied_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "source").write_text("new")
    (tmp_path / "01-a.svg").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="not a regular file"):
        copy(tmp_path / "source", tmp_path / "01-a.svg")
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_folder_that_cannot_be_emptied_is_not_written_into(tmp_path, monkeypatch):
    """Links that are left in it would be written through."""
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/0.png").symlink_to(tmp_path / "victim")

    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files.shutil, "rmtree", refuse)
    with pytest.raises(UserError, match="samples: cannot be replaced: permission denied"):
        emptied(tmp_path / "samples")
