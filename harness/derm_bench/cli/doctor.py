"""`derm-bench doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Mapping, Sequence

import click

from derm_bench._version import __version__
from derm_bench.cli.common import find_plugins
from derm_bench.cli.plugins import notes
from derm_bench.cli.precision import measure_precision
from derm_bench.machine import Wanted, cuda_devices, device_model, profile_file, save_profile, saved_profile
from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Plugins
from derm_bench.specs import load_object
from derm_bench.store import default_store
from derm_bench.terminal import say

DISTRIBUTIONS = (
    "torch",
    "torchvision",
    "timm",
    "torch-fidelity",
    "numpy",
    "pandas",
    "pydantic",
    "scikit-learn",
)


@click.command()
@click.option("--probe", is_flag=True, help="Measure which precision is faster on this machine, and save it.")
@click.pass_obj
def doctor(flags: dict[str, bool], probe: bool) -> int:
    """Check devices, versions, store, weights and plugins, and show how to fix each problem."""
    plugins = find_plugins(flags)
    say(f"derm-bench {__version__}, Python {platform.python_version()}, {platform.platform()}")
    say("  ".join(f"{name} {_version(name)}" for name in DISTRIBUTIONS))
    found = cuda_devices()
    say(f"devices: {found} CUDA" if found else f"devices: CPU only ({os.cpu_count()} cores)")
    store = default_store()
    place = store if store.exists() else next(p for p in store.parents if p.exists())
    say(f"store: {store} ({shutil.disk_usage(place).free / 2**30:.0f} GiB free)")
    if probe:
        _probe("cuda" if found else "cpu")
    profile = saved_profile()
    say(
        f"precision profile: {', '.join(f'{one.precision} on {model}' for model, one in profile.items())}"
        if profile
        else "precision profile: none; the first `run` measures it, and so does --probe"
    )
    problems = _problems(plugins)
    for problem in problems:
        say(f"! {problem}")
    if not problems:
        say("no problems found")
    return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing (reinstall derm-bench)"


def _problems(plugins: Plugins) -> list[str]:
    """Problems that preflight checks find with default options, and broken plugins."""
    named: dict[str, dict[str, list[str]]] = {}  # problem -> kind -> names of plugins
    for installed in plugins.all():
        options = compose_options(installed.spec)
        if installed.spec.preflight and not any(
            field.is_required() for field in options.model_fields.values()
        ):
            problems = load_object(installed.spec.preflight)(options())
            for problem in problems:
                named.setdefault(problem, {}).setdefault(installed.kind, []).append(installed.spec.name)
    found = [f"{_named(kinds)}: {problem}" for problem, kinds in named.items()]
    found += [f"plugin {b.distribution} {b.version} is broken ({b.stage}): {b.error}" for b in plugins.broken]
    return found + notes(plugins)


def _named(kinds: Mapping[str, Sequence[str]]) -> str:
    """`classifier a`, or `classifiers a, b; dataset c`."""
    return "; ".join(
        f"{kind}{'s' * (len(names) > 1)} {', '.join(dict.fromkeys(names))}" for kind, names in kinds.items()
    )


def _probe(device: str) -> None:
    measured = measure_precision(device, Wanted().threads)
    for precision, rate in measured.images_per_second.items():
        say(f"probe on {device}: {precision} {rate:.0f} images/s")
    save_profile(device_model(device), measured)
    say(f"saved to {profile_file()}")
