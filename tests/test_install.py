"""The installation of the README: what tools that read files, and not Python, find in it."""

import tomllib
import zipfile

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_installed_from_the_folder_that_it_is_in():
    folders = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(folders) == sorted(
        path.parent.relative_to(ROOT).as_posix()
        for top in ("harness", "plugins")
        for path in (ROOT / top).glob("*/__init__.py")
    )
    assert (ROOT / "harness/derm_bench/py.typed").is_file()


@pytest.mark.slow
def test_an_editable_install_is_a_list_of_folders(tmp_path, monkeypatch):
    build = pytest.importorskip("hatchling.build", reason="builds offline, with the hatchling that is here")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_editable(str(tmp_path))) as wheel:
        (paths,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        lines = wheel.read(paths).decode().split()
    assert lines == [str(ROOT / "harness"), str(ROOT / "plugins")], "and no `import`, which pyright ignores"


@pytest.mark.slow
def test_a_wheel_has_the_files_that_are_not_python(tmp_path, monkeypatch):
    build = pytest.importorskip("hatchling.build", reason="builds offline, with the hatchling that is here")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        names = set(wheel.namelist())
    for top in ("harness", "plugins"):
        files = [path for path in (ROOT / top).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert {path.relative_to(ROOT / top).as_posix() for path in files} <= names
