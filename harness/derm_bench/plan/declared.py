"""What the `depends_on` of a spec names: modules, distributions and package data that no import shows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.plan.closure import file_of, root_of, source_closure
from derm_bench.plan.distributions import in_development, installed_name, packages_of, version_of, versions_of
from derm_bench.plan.listing import Listing, digests_in
from derm_bench.plan.option_paths import folder_listing
from derm_bench.plan.package_files import file_digests_of
from derm_bench.specs import PluginSpec


def functions_of(spec: PluginSpec) -> tuple[str, ...]:
    """The import paths in `depends_on`, which are called with the options."""
    return tuple(word for word in _words(spec) if ":" in word)


def names_of(spec: PluginSpec) -> tuple[str, ...]:
    """The modules, distributions and package data in `depends_on`."""
    return tuple(word for word in _words(spec) if ":" not in word)


def _words(spec: PluginSpec) -> tuple[str, ...]:
    stated = spec.depends_on
    return () if stated is None else (stated,) if isinstance(stated, str) else tuple(stated)


@functools.cache
def declared(names: tuple[str, ...]) -> Listing:
    """The digests of what `names` stand for: `package/file` or `package/folder` the content of package data (of a
    module that is a file, `module/file` is a file beside it), a module its source and that of what it imports, a
    distribution its version, or all its files if it is in development. Raises UserError for a name that is none of
    these."""
    found: dict[str, str] = {}
    for name in names:
        found |= _declared(name)
    return Listing.of(found)


def places_of(names: tuple[str, ...]) -> list[Path]:
    """The files and folders that a plugin may open because `names` name them: package data, and the packages of
    distributions."""
    found = []
    for name in names:
        package, slash, inner = name.partition("/")
        distribution = None if slash else installed_name(name)
        packages = packages_of(distribution) if distribution is not None else {package}
        roots = [root for each in packages if (root := root_of(each)) is not None]
        found += [_beside(root, inner) if slash else root for root in roots]
    return found


def _beside(root: Path, inner: str) -> Path:
    """The data `inner` of a package, or of a module that is a file: there it lies in the folder of the file."""
    return (root.parent if root.is_file() else root) / inner


def _declared(name: str) -> Mapping[str, str]:
    if "/" in name:
        return _data(name)
    if file_of(name) is not None:
        reached = source_closure(name)
        return digests_in(reached.content) | versions_of(reached.imports)
    distribution = installed_name(name)
    if distribution is None:
        raise UserError(
            f"`depends_on` names '{name}', which is neither a module nor an installed distribution",
            hint="data of a package, and files beside a plugin of one file, are written module/file",
        )
    if not in_development(distribution):
        return {distribution: version_of(distribution)}
    roots = {package: root for package in packages_of(distribution) if (root := root_of(package)) is not None}
    return {
        file: digest
        for package, root in roots.items()
        for file, digest in file_digests_of(package, root).items()
    }


def _data(name: str) -> dict[str, str]:
    package, _, inner = name.partition("/")
    root = root_of(package)
    path = _beside(root, inner) if root is not None else Path(name)
    if path.is_file():
        return file_digests({name: path})
    if root is None or not path.is_dir():
        raise UserError(f"`depends_on` names '{name}', and there is no {path}")
    listed = digests_in(folder_listing(path).content)
    return {f"{name.rstrip('/')}/{file}": digest for file, digest in listed.items()}
