"""The distributions of packages are those that the standard library finds, more slowly."""

import importlib.metadata

import pytest

from derm_bench.plan.distributions import _top_level, distribution_of, packages_of, versions_of


def test_packages_and_versions_are_those_of_the_standard_library():
    known = importlib.metadata.packages_distributions()
    for package, owners in known.items():
        assert distribution_of(package) in owners, package
        for owner in owners:
            assert package in packages_of(owner)
    expected = {
        owners[0]: importlib.metadata.version(owners[0]) for owners in known.values() if len(set(owners)) == 1
    }
    found = versions_of(tuple(known))
    assert expected.items() <= found.items()


def test_a_package_that_no_distribution_installed_has_none():
    assert distribution_of("no_such_package") is None
    assert versions_of(("no_such_package",)) == {}


@pytest.mark.parametrize("folders", [["one"], ["one", "two"], ["missing", "one", "two"]])
def test_the_packages_of_an_editable_install_are_those_in_the_folders_that_it_lists(tmp_path, folders):
    for folder, name in (("one", "package/__init__.py"), ("one", "module.py"), ("two", "other/__init__.py")):
        file = tmp_path / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    info = tmp_path / "site/toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "_toy.pth").write_text("\n".join(str(tmp_path / folder) for folder in folders))
    (info / "RECORD").write_text("_toy.pth,sha256=1,2\ntoy-1.0.dist-info/METADATA,,\n../../bin/toy,,\n")
    found = _top_level(importlib.metadata.Distribution.at(info))
    expected = {"one": {"package", "module"}, "two": {"other"}, "missing": set()}
    assert set(found) >= set().union(*(expected[folder] for folder in folders))
    assert "other" in found or "two" not in folders
