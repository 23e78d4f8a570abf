"""Plans of a small matrix whose source digests are those of a copy of the source, which tests edit."""

import shutil
from pathlib import Path

import pytest

from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan import closure, keys
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

ROOT = Path(__file__).parents[2]
MATRIX = """
name: edits
dataset:
  name: phantom-dermoscopy
  images: 60
  size: 32
  split: {test: 0.3, val: 0.2, reserve: 0.1}
  preprocess: [{gamma: 1.2}]
budget: {updates: 4}
metrics: [fd_domain]
strategies:
  - {name: real-only, augment: [hflip]}
  - {name: dcgan, generator: {name: dcgan, preset: tiny}, synthetic: {balance: true}}
  - {name: cgan, generator: {name: cgan, preset: tiny}, synthetic: {balance: true}}
classifiers: [{name: dermagan-cnn, preset: tiny, batch_size: 8}]
"""


class Source:
    """A copy of the source that stands for the real one wherever digests are made."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces the one place of `old` in a file, `derm_bench/training/engine.py` for example."""
        path = self.root / file
        content = path.read_text()
        assert content.count(old) == 1, f"{file} has {old!r} {content.count(old)} times"
        path.write_text(content.replace(old, new))

    def append(self, file: str, text: str) -> None:
        path = self.root / file
        path.write_text((path.read_text() if path.exists() else "") + text)


def forget() -> None:
    """Digests are made anew."""
    cached = (
        closure.source_closure,
        closure.definition_closure,
        closure._parsed,
        closure.root_of,
        closure._is_followed,
        keys._plugin_identity,
        keys.imported_versions,
    )
    for function in cached:
        function.cache_clear()


@pytest.fixture
def source(tmp_path, monkeypatch):
    for folder in ("harness/derm_bench", "plugins/derm_bench_plugins"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / "source" / Path(folder).name, ignore=ignored)
    packages = ("derm_bench", "derm_bench_plugins")
    real = closure.root_of.__wrapped__

    def root_of(package):
        return tmp_path / "source" / package if package in packages else real(package)

    found = closure.functools.cache(root_of)
    monkeypatch.setattr(closure, "root_of", found)
    forget()
    yield Source(tmp_path / "source")
    monkeypatch.undo()
    forget()


@pytest.fixture
def stages(tmp_path):
    """Title -> (key, kind) of every stage of the plan, by the source as it is now."""
    plugins = Plugins(builtins_only=True)
    (tmp_path / "matrix.yaml").write_text(MATRIX)

    def plan() -> dict[str, tuple[str, str]]:
        forget()
        matrix = load_matrix(tmp_path / "matrix.yaml", plugins)
        made = make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))
        return {stage.title: (stage.key, stage.kind) for stage in made.stages.values()}

    return plan


@pytest.fixture
def changed(stages, source):
    """The titles of the stages whose key an edit changes, by kind."""
    before = stages()

    def find() -> dict[str, set[str]]:
        after = stages()
        assert after.keys() == before.keys()
        found: dict[str, set[str]] = {}
        for title, (key, kind) in after.items():
            if key != before[title][0]:
                found.setdefault(kind, set()).add(title)
        return found

    return find
