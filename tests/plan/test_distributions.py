"""The distributions of packages are those that the standard library finds, more slowly."""

import importlib.metadata

from derm_bench.plan.distributions import distribution_of, packages_of, versions_of


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
