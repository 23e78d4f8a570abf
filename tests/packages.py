"""Plugin packages that tests install without an installer, and pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path


def installed(project: Path, monkeypatch, place: Path | None = None) -> dict[str, str]:
    """Writes into `place` (default: the project's folder) what an installer would, and puts the package on the path of
    this process and of those that it starts; returns their environment."""
    place = place or project
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    info = place / f"{described['name'].replace('-', '_')}-{described['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
    )
    ((point, module),) = described["entry-points"]["derm_bench"].items()
    (info / "entry_points.txt").write_text(f"[derm_bench]\n{point} = {module}\n")
    (info / "top_level.txt").write_text(f"{module}\n")
    source = project / "src" if (project / "src").is_dir() else project
    folders = [str(folder) for folder in dict.fromkeys((place, source))]
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    return dict(os.environ)


def pytest_of(env: dict[str, str], *arguments: str | Path, cwd: Path) -> str:
    """What pytest printed; an AssertionError with it where a test failed."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
