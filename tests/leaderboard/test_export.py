"""A run is handed on as one archive: what is in it, who may read it, and archives that nobody should have sent."""

import hashlib
import json
import os
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from tests.conftest import ROOT, read_csv
from tests.leaderboard.conftest import make_run

from derm_bench.errors import UserError
from derm_bench.leaderboard.merge import merge
from derm_bench.licences import is_open, page_of
from derm_bench.report.html import write_report
from derm_bench.rundir import archive
from derm_bench.rundir.archive import run_folder
from derm_bench.rundir.manifest import seal
from derm_bench.runner.environment import requirements, with_required
from derm_bench.runner.export import export
from derm_bench.runner.verify import verify

CLOSED = {"datasets": {"moles": {"licence": "CC BY-NC 4.0", "citation": "Moles, 2024"}}}


def unpacked(file: Path, folder: Path) -> Path:
    with zipfile.ZipFile(file) as opened:
        opened.extractall(folder)
    (found,) = folder.iterdir()
    return found


def with_audit(folder: Path) -> Path:
    """Adds an audit with a contact sheet, and the report, to a run directory."""
    (folder / "audit").mkdir()
    shutil.copy(folder / "samples" / "b.png", folder / "audit" / "twins.png")
    finding = {
        "code": "same_pixels",
        "severity": "note",
        "sentence": "Two images are equal.",
        "sheet": "twins.png",
    }
    document = {"dataset": "moles", "split_seed": 0, "images": 240, "size": 32, "findings": [finding]}
    (folder / "audit" / "moles-s0.json").write_text(json.dumps(document))
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in (folder / "audit").iterdir():
        manifest["files"][f"audit/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_report(folder)
    seal(folder)
    return folder


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> Path:
    """A run on images that may not be passed on; to be read only."""
    folder = tmp_path_factory.mktemp("closed") / "run"
    return with_audit(make_run(folder, {"real-only": 0.5, "gan": 4.0}, seeds=(0,), changes=CLOSED))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A small run on images that may be passed on; to be read only."""
    return make_run(tmp_path_factory.mktemp("open") / "run", {"real-only": 0.5, "gan": 4.0}, seeds=(0,))


@pytest.fixture(scope="module")
def archived(run, plugins, tmp_path_factory) -> Path:
    """The archive of a run on images that may be passed on; to be read only."""
    target = tmp_path_factory.mktemp("archives") / "moles.zip"
    assert export(run, target, plugins).problems == []
    return target


def test_an_archive_has_the_run_and_the_same_run_gives_the_same_bytes(run, archived, plugins, tmp_path):
    copied = shutil.copytree(run, tmp_path / "elsewhere" / "copied")
    os.utime(copied / "results.csv", (1, 1))
    again = export(copied, tmp_path / "again.zip", plugins)
    assert (tmp_path / "again.zip").read_bytes() == archived.read_bytes()
    assert again.sha256 == hashlib.sha256(archived.read_bytes()).hexdigest() and not again.left_out
    folder = unpacked(archived, tmp_path / "unpacked")
    assert folder.name == "moles-study"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    ours = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert names == ours | {"environment.txt", "report.md", "report.html"}, "sheets too: the data are CC0"
    assert (folder / "predictions.parquet").read_bytes() == (run / "predictions.parquet").read_bytes()
    assert len(zipfile.ZipFile(archived).infolist()) == again.files


def test_a_stranger_verifies_an_archive_and_adds_it_to_a_board(archived, run, plugins, tmp_path, add_run):
    found = verify(archived, plugins)
    assert found.differences == [] and (found.rows, found.scores) == (2, 2 * (16 + 4 * 3 + 1))
    folder = unpacked(archived, tmp_path / "unpacked")
    entries = []
    for number, place in enumerate((run, archived, folder)):
        added = add_run(place, tmp_path / f"board{number}")
        assert added.problems == []
        (entry,) = (tmp_path / f"board{number}" / "entries").iterdir()
        entries.append(
            {path.name: path.read_bytes() for path in entry.iterdir() if path.suffix in (".csv", ".parquet")}
        )
    assert entries[0] == entries[1] == entries[2] and len(entries[0]) == 3


def test_images_stay_where_their_licence_keeps_them(closed, plugins, tmp_path):
    done = export(closed, tmp_path / "run.zip", plugins)
    assert [what.partition(",")[0] for what in done.left_out] == [
        "1 sheet of synthetic images of moles", "2 sheets of real images of moles",
    ]  # fmt: skip
    assert all("CC BY-NC 4.0" in what for what in done.left_out)
    folder = unpacked(tmp_path / "run.zip", tmp_path / "out")
    assert not list(folder.rglob("*.png")) and json.loads((folder / "samples/index.json").read_text()) == []
    (finding,) = json.loads((folder / "audit/moles-s0.json").read_text())["findings"]
    assert finding["sheet"] is None and finding["sentence"] == "Two images are equal."
    assert "data:image/jpeg" in (closed / "report.html").read_text()
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        assert "data:image/jpeg" not in text and ".png" not in text and "exported without" in text
    assert verify(folder, plugins).differences == []


def test_samples_of_trained_generators_go_along_when_asked(closed, plugins, tmp_path):
    export(closed, tmp_path / "run.zip", plugins, samples=True)
    folder = unpacked(tmp_path / "run.zip", tmp_path / "out")
    assert [path.name for path in folder.rglob("*.png")] == ["a.png"], "and no real images"
    assert "data:image/jpeg" in (folder / "report.html").read_text()
    assert verify(folder, plugins).differences == []


def test_no_samples_leaves_out_open_images_too(run, plugins, tmp_path):
    done = export(run, tmp_path / "run.zip", plugins, samples=False)
    assert done.left_out == ["all sheets of images, as --no-samples asks"]
    assert not [name for name in zipfile.ZipFile(tmp_path / "run.zip").namelist() if name.endswith(".png")]


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0 1.0", True), ("CC BY 4.0", True), ("CC-BY-SA 4.0", True), ("public domain", True), ("CC0", True),
        ("CC BY-NC 4.0", False), ("CC BY-ND 4.0", False), ("", False), ("academic use only", False),
        ("CC0 1.0; CC BY 4.0", True), ("CC0 1.0; CC BY-NC 4.0", False), ("CC0 1.0; none stated", False),
        ("CC BY 4.0, but not the photographs", False),
    ],
)  # fmt: skip
def test_a_licence_is_open_only_if_all_of_it_is(licence, free):
    assert is_open(licence) is free


def test_the_page_of_a_licence_is_that_of_its_version():
    assert page_of("CC BY-NC 3.0") == "https://creativecommons.org/licenses/by-nc/3.0/"
    assert page_of("CC0") == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert page_of("academic use only") == page_of("CC0 1.0; CC BY 4.0") == ""


def test_an_archive_names_no_folder_of_this_machine(run, plugins, tmp_path, monkeypatch):
    copied = shutil.copytree(run, tmp_path / "copied")
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["warnings"] = [f"cannot read '{tmp_path}/secret project/x.png'", f"see {tmp_path}/a/b.yaml"]
    manifest["command"] = ["derm-bench", "run", f"{tmp_path}/study.yaml"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.chdir(tmp_path)
    export(copied, Path("run.zip"), plugins)
    folder = unpacked(tmp_path / "run.zip", tmp_path / "out")
    for path in folder.rglob("*"):
        assert path.is_dir() or str(tmp_path).encode() not in path.read_bytes(), path.name
    handed_on = json.loads((folder / "manifest.json").read_text())
    assert handed_on["command"] == ["derm-bench", "run", ".../study.yaml"]
    assert handed_on["warnings"][1] == "see .../b.yaml"


def test_the_environment_is_a_list_that_pip_reads():
    manifest = {
        "machine": {"python": "3.12.1", "system": "Linux\n-6"},
        "distributions": {"numpy": "1"},
        "environment": {"torch": "2.7.0+cpu", "numpy": "2.1.0", "my_gan.py": "local", "x\ny": "1 --hash"},
    }
    lines = requirements(manifest).splitlines()
    assert lines[1] == "# Python 3.12.1 on Linux -6"
    assert lines[2:] == ["# my_gan.py local", "numpy==2.1.0", "torch==2.7.0  # 2.7.0+cpu", "# x y 1 --hash"]
    assert "numpy==1" in requirements({"distributions": {"numpy": "1"}}), "runs of earlier versions"
    found = with_required(["pandas", "of-nobody"])
    assert {"pandas", "numpy", "python-dateutil"} <= set(found) and "of-nobody" not in found


def test_a_run_that_was_changed_is_not_exported(run, plugins, tmp_path):
    copied = shutil.copytree(run, tmp_path / "copied")
    (copied / "results.csv").write_text((copied / "results.csv").read_text().replace(",100,", ",200,"))
    (copied / "fidelity.csv").rename(tmp_path / "fidelity.csv")
    (copied / "fidelity.csv").write_text((tmp_path / "fidelity.csv").read_text())
    (copied / "splits/moles-s0.csv").unlink()
    done = export(copied, tmp_path / "run.zip", plugins)
    assert done.problems == [
        "results.csv differs from its digest in manifest.json",
        "splits/moles-s0.csv is missing, although manifest.json lists it",
    ]
    assert not (tmp_path / "run.zip").exists()


def test_links_are_not_followed_into_an_archive(run, plugins, tmp_path):
    copied = shutil.copytree(run, tmp_path / "copied")
    (tmp_path / "secret").write_bytes((copied / "samples/a.png").read_bytes())
    (copied / "samples/a.png").unlink()
    (copied / "samples/a.png").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="links are not followed"):
        export(copied, tmp_path / "run.zip", plugins)
    (tmp_path / "target.zip").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="links are not followed"):
        export(run, tmp_path / "target.zip", plugins)
    assert (tmp_path / "secret").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("run.tar.gz", "ends in .zip"),
        ("run/x.zip", "in the run directory"),
        ("absent/x.zip", "does not exist"),
    ],
)
def test_an_archive_is_written_only_where_it_can_be(run, plugins, tmp_path, target, said):
    copied = shutil.copytree(run, tmp_path / "run")
    with pytest.raises(UserError, match=said):
        export(copied, tmp_path / target, plugins)


# --------------------------------------------------------------------------- archives of strangers


def changed(source: Path, target: Path, change) -> Path:
    """A copy of an archive, whose members `change` gets as {name: (ZipInfo, content)}."""
    with zipfile.ZipFile(source) as opened:
        members = {info.filename: (info, opened.read(info)) for info in opened.infolist()}
    change(members)
    with zipfile.ZipFile(target, "w") as writing:
        for info, content in members.values():
            writing.writestr(info, content)
    return target


def add(name, content=b"x", mode=stat.S_IFREG | 0o644):
    def change(members):
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        members[name] = info, content

    return change


def method(number):
    def change(members):
        for info, _ in members.values():
            info.compress_type = number

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (add("moles-study/../evil.csv"), "no run directory has the file"),
        (add("../evil.csv"), "more than one folder|no run directory"),
        (add("/etc/evil"), "more than one folder|no run directory"),
        (add("moles-study/samples/../../evil.png"), "no run directory has the file"),
        (add("moles-study/samples/x/y.png"), "no run directory has the file"),
        (add("moles-study/state.pkl"), "no run directory has the file 'state.pkl'"),
        (add("other/results.csv"), "more than one folder"),
        (add("moles-study/samples/.hidden"), "no run directory has the file"),
        (add("moles-study/RESULTS.csv"), "no run directory has the file"),
        (add("moles-study/samples/A.png"), "twice"),
        (add("moles-study/samples/\x1b[2Jx.png"), "characters that no file of a run has"),
        (add("moles-study/samples/link.png", b"/etc/passwd", stat.S_IFLNK | 0o777), "a link or a special file"),
        (add("moles-study/other/", b"", stat.S_IFDIR | 0o755), "no run directory has the folder"),
        (method(zipfile.ZIP_BZIP2), "compressed by a method"),
        (method(zipfile.ZIP_LZMA), "compressed by a method"),
    ],
)  # fmt: skip
def test_what_no_archive_of_a_run_has_is_refused(archived, plugins, tmp_path, change, said):
    bad = changed(archived, tmp_path / "bad.zip", change)
    with pytest.raises(UserError, match=said) as raised:
        verify(bad, plugins)
    assert raised.value.file == bad and "\x1b" not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} == {"bad.zip"}


def test_a_link_in_place_of_a_file_is_refused(archived, plugins, tmp_path):
    def change(members):
        info, _ = members["moles-study/results.csv"]
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        members["moles-study/results.csv"] = info, b"/etc/passwd"

    with pytest.raises(UserError, match="a link or a special file"):
        verify(changed(archived, tmp_path / "bad.zip", change), plugins)


def listing(content: bytes, field: int, code: str, value: int) -> bytes:
    """The archive with a number in the entry of results.csv in its list of members replaced."""
    at = content.rindex(b"moles-study/results.csv") - 46 + field
    return content[:at] + struct.pack(code, value) + content[at + struct.calcsize(code) :]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: b"not a zip at all", "not a zip file"),
        (lambda content: content[: len(content) // 2], "not a zip file"),
        (lambda content: content[:60] + bytes(200) + content[260:], "no archive of a run"),
        (lambda content: listing(content, 8, "<H", 1), "is encrypted"),
        (lambda content: listing(content, 24, "<L", 3 * 2**30), "more than 2,147,483,648"),
        (lambda content: listing(content, 24, "<L", 10), "no archive of a run"),
        (lambda content: content[:-14] + b"\xff\xff\xff\xff" + content[-10:], "lists more than 20,000 files"),
        (lambda content: content[:-22] + b"PK\6\7" + bytes(16) + content[-22:], "zip64"),
        (lambda content: content[:-10] + b"\xff\xff\xff\x7f" + content[-6:], "more than 20,000|no archive of a run"),
    ],
    ids=["text", "cut", "damaged", "encrypted", "bomb", "short", "many", "zip64", "long list"],
)  # fmt: skip
def test_a_broken_archive_is_refused_before_much_is_read(archived, plugins, tmp_path, change, said):
    (tmp_path / "bad.zip").write_bytes(change(archived.read_bytes()))
    with pytest.raises(UserError, match=said):
        verify(tmp_path / "bad.zip", plugins)


def test_all_files_together_are_bounded(archived, plugins, monkeypatch):
    monkeypatch.setattr(archive, "UNPACKED_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1,000"):
        verify(archived, plugins)
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    with pytest.raises(UserError, match="more than 3 files"):
        verify(archived, plugins)


def test_errors_about_an_archive_name_the_archive(archived, plugins, tmp_path):
    def without_manifest(members):
        del members["moles-study/manifest.json"]

    bad = changed(archived, tmp_path / "bad.zip", without_manifest)
    with pytest.raises(UserError, match=rf"no manifest\.json: {bad}"):
        verify(bad, plugins)
    with run_folder(archived) as folder:
        assert (folder / "results.csv").is_file()
    assert not folder.exists()


# --------------------------------------------------------------------------------- two people


def test_runs_of_two_people_from_different_machines_merge_into_one_board(
    run, tmp_path, monkeypatch, capsys, add_run
):
    """As docs/leaderboards.md does it in Python: each exports a run, and their boards are merged."""
    shutil.copytree(run, tmp_path / "runs/ann")
    make_run(tmp_path / "runs/bob", {"mixup": 0.6}, seeds=(0,), rng=7)
    (tmp_path / "boards").mkdir()
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "docs" / "leaderboards.md").read_text().partition("\n## From Python\n")[2]
    exec(section.partition("```python\n")[2].partition("```")[0], {})
    assert "2 entries, 87 scores, 0 problems" in capsys.readouterr().out
    rows = {(row["by"], row["strategy"]) for row in read_csv(tmp_path / "boards/ann/leaderboard.csv")}
    assert rows == {("ann", "real-only"), ("ann", "gan"), ("bob", "mixup")}
    assert add_run(tmp_path / "ann.zip", tmp_path / "boards/third", entry="bob").problems == []
    (problem,) = merge(tmp_path / "boards/ann", [tmp_path / "boards/third"]).problems
    assert problem.startswith("bob: ") and "different entries of this id" in problem


def test_the_command_writes_reads_and_refuses(run, tmp_path, in_process):
    ran = in_process("export", run)
    assert ran.code == 0 and "moles-study.zip: " in ran.out and "SHA-256" in ran.out
    assert in_process("verify", "moles-study.zip").code == 0
    ran = in_process("leaderboard", "add", "moles-study.zip", "--board", "board", "--by", "me")
    assert ran.code == 0 and "made the board board" in ran.out
    assert in_process("answer", "moles-study.zip").code == 0
    said = json.loads(in_process("export", run, "x.zip", "--no-samples", "--json").out)
    assert said["file"] == "x.zip" and said["left_out"] and said["problems"] == []
    copied = shutil.copytree(run, tmp_path / "copied")
    (copied / "results.csv").write_text("cell\n")
    ran = in_process("export", copied, "y.zip")
    assert ran.code in (1, 2) and not (tmp_path / "y.zip").exists()
    assert in_process("export", tmp_path / "absent", "z.zip").code == 2
