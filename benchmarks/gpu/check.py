"""Checks derm-bench on a GPU: tests, rows of compare.py, and one matrix twice (README.md). Started by check.sh.

Exit codes: 0 if no step failed (skipped steps are listed with the reason), 1 if a step failed or ran out of time, 2 if
nothing could be checked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from results import JSON, TABLE, folder_name, save
from steps import ROOT, Step, json_lines, run_all

HERE = Path(__file__).resolve().parent
PERF = ROOT / "benchmarks" / "perf"
OLDEST_TORCH = (2, 6)
# Modules that every command of derm-bench imports.
HARNESS = (
    "torch", "torchvision", "numpy", "pydantic", "pluggy", "click", "rich", "yaml", "platformdirs", "psutil", "pandas",
    "pyarrow", "cv2", "simplejpeg", "PIL", "scipy", "sklearn", "safetensors", "jinja2", "matplotlib",
)  # fmt: skip
# Rows of compare.py with their limits in seconds and the modules that they need. Row 9 takes what is left. Rows 4 and 5
# do not fit into eight minutes beside the others and run only if --only names them.
ROWS: Mapping[int, tuple[str, float, tuple[str, ...]]] = {
    2: ("row 2: DCGAN-64 from memory, img/s", 60, ()),
    3: ("row 3: WGAN-GP at 64 px, critic img/s", 60, ()),
    1: ("row 1: DCGAN-64 from JPEG files, img/s", 60, ()),
    6: ("row 6: timm classifier at 64 px, img/s", 60, ("timm",)),
    7: ("row 7: Inception features, img/s", 60, ("torch_fidelity",)),
    4: ("row 4: StyleGAN2 at 64 px, s/kimg", 150, ()),
    5: ("row 5: AA-GAN's 3D conditional GAN, samples/s", 150, ()),
    9: ("row 9: a whole matrix, s", 240, ("torch_fidelity", "timm")),
}
ONLY_IF_NAMED = ("row4", "row5")
MACHINE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda if cuda else None,
                  "card": torch.cuda.get_device_name(0) if cuda else None}))
"""
PROBE = """
import sys
from derm_bench.training import probe
if sys.argv[2:] == ["toy"]:
    probe.BATCH, probe.ROUNDS = 2, 1
    del sys.argv[2:]
probe.main()
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check. Returns the exit code."""
    given = _parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    machine = describe()
    problem = unfit(machine, given.dry_run)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    card = "dry run on the CPU" if given.dry_run else machine["card"]
    out = given.out or HERE / "results" / folder_name(card)
    machine |= {"card": card}
    entries: list[dict[str, Any]] = []

    def keep(found: list[dict[str, Any]]) -> None:
        entries[:] = found
        save(out, machine, found)
        if found:
            last = found[-1]
            print(f"{last['title']}: {last['status']} ({last['seconds']:.0f} s) {last['reason']}", flush=True)

    device = "cpu" if given.dry_run else "cuda:0"
    with tempfile.TemporaryDirectory() as name, importable(Path(name)) as environment:
        steps = all_steps(device, Path(name) / "material", given.dry_run)
        wanted = [step for step in steps if step.name in (given.only or default_steps(steps))]
        if wanted and wanted[0].name.startswith("row"):  # rows use the precision that the first step finds
            wanted.insert(0, steps[0])
        try:
            run_all(wanted, given.limit, environment, keep, {"precision": "fp32"})
        except KeyboardInterrupt:
            print(f"interrupted; {out / TABLE} has the steps so far", file=sys.stderr)
            return 1
    print(f"written: {out / JSON} and {out / TABLE}")
    return 0 if all(entry["status"] in ("ok", "skipped") for entry in entries) else 1


def describe() -> dict[str, Any]:
    """Return the card (None without CUDA), versions and cores of this machine. `torch` is None if it cannot be
    imported."""
    done = subprocess.run([sys.executable, "-c", MACHINE], capture_output=True, text=True, check=False)
    found = (json_lines(done.stdout) or [{"torch": None, "cuda": None, "card": None}])[-1]
    python = {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))}
    return found | python | {"derm-bench": version()}


def unfit(machine: Mapping[str, Any], dry_run: bool) -> str:
    """Return why nothing can be checked on this machine, or an empty string."""
    if machine["torch"] is None:
        return f"torch cannot be imported by {sys.executable}: torch 2.6 or later is needed"
    if tuple(map(int, re.findall(r"\d+", machine["torch"])[:2])) < OLDEST_TORCH:
        return f"torch {machine['torch']} is too old: torch 2.6 or later is needed"
    if not machine["card"] and not dry_run:
        return "torch finds no CUDA device here; --dry-run walks through all steps on the CPU"
    return ""


def version() -> str:
    """Return the version of derm-bench in this checkout."""
    text = (ROOT / "harness" / "derm_bench" / "_version.py").read_text()
    found = re.search(r'__version__[^"\']*["\']([^"\']+)', text)
    return found[1] if found else "0"


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[dict[str, str]]:
    """Return the environment in which the steps import this checkout, whether or not derm-bench is installed.

    Plugins are found by the entry points of a distribution. `folder` receives the metadata of one, made from
    pyproject.toml; as the first entry of PYTHONPATH it also hides that of another checkout. Store, cache and
    configuration are in `folder` too, so that the user's are neither used nor changed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = folder / "site" / f"derm_bench-{version()}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: derm-bench\nVersion: {version()}\n")
    packages = ("derm_bench", "derm_bench_plugins")
    (info / "top_level.txt").write_text("".join(f"{name}\n" for name in packages))
    (info / "RECORD").write_text("".join(f"{name}/__init__.py,,\n" for name in packages))
    groups = project["entry-points"].items()
    points = ["\n".join([f"[{group}]", *(f"{k} = {v}" for k, v in names.items())]) for group, names in groups]
    (info / "entry_points.txt").write_text("\n\n".join(points) + "\n")
    paths = [info.parent, ROOT / "harness", ROOT / "plugins"]
    yield {
        "PYTHONPATH": os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "DERM_BENCH_STORE": str(folder / "store"),
        "DERM_BENCH_CACHE": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def all_steps(device: str, material: Path, toy: bool) -> list[Step]:
    """Return the steps in the order in which they run: what takes longest is last, as it can use what is left.
    `material` is the folder of the input files that rows share."""
    python = sys.executable
    patience = 5 if toy else 1  # a CPU is slow, and the limit of the whole check holds all the same
    tests = sorted(str(p) for p in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in p.read_text())
    common = ["--device", device, "--precision", "fp32" if toy else "{precision}"]
    size = ["--size", "toy", "--pairs", "1"] if toy else ["--size", "gpu-check", "--pairs", "3"]
    pairs = ["--seconds", "{seconds}", "--served", "--partly", "--json", "--folder", str(material)]

    def row(number: int) -> Step:
        title, limit, needs = ROWS[number]
        command = [python, str(PERF / "compare.py"), "--row", str(number), *common, *size, *pairs]
        return Step(f"row{number}", title, command, patience * limit, (*HARNESS, *needs), read_row)

    pytest = [python, "-m", "pytest", "-v", "-rfE", "-p", "no:cacheprovider", "-m", "gpu", *tests]
    probe = [python, "-c", PROBE, device.partition(":")[0], *(["toy"] if toy else [])]
    same = [python, str(HERE / "same.py"), str(HERE / "matrix.yaml"), *common]
    same += ["--preset", "toy"] if toy else []
    testing = (*HARNESS, "pytest", "pytest_timeout")
    return [
        Step("precision", "the probe of precisions", probe, patience * 40, HARNESS, read_precision),
        *(row(number) for number in ROWS if number != 9),
        Step("same", "a matrix twice: the same numbers", same, patience * 120, (*HARNESS, "timm"), read_same),
        Step("tests", "pytest -m gpu", pytest, patience * 180, testing, read_tests),
        row(9),
    ]


def default_steps(steps: Sequence[Step]) -> list[str]:
    """Return the names of the steps that run without --only."""
    return [step.name for step in steps if step.name not in ONLY_IF_NAMED]


def read_tests(output: str) -> dict[str, Any]:
    """Return the counts in the last line of pytest."""
    counts = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", output)
    failed = re.findall(r"^(?:FAILED|ERROR) \S+", output, re.MULTILINE)
    return {"notes": ", ".join(counts[-4:])} | ({"problem": "; ".join(failed[:3])} if failed else {})


def read_precision(output: str) -> dict[str, Any]:
    """Return the precision that the rows use, with the measured rates as notes."""
    line = json_lines(output)[-1]
    rates = [f"{name} {rate:.0f} img/s" for name, rate in line["images_per_second"].items()]
    return line | {"notes": "; ".join([*rates, f"{line['precision']} is the faster one"])}


def read_row(output: str) -> dict[str, Any]:
    """Return the last line of a row, which covers all of its pairs so far, and its notes."""
    line = json_lines(output)[-1]
    notes = [f"{line['pairs']} pair{'s' if line['pairs'] > 1 else ''}"]
    notes += [f"spread {line['spread']:.0%}"] if line["spread"] is not None else []
    notes += [f"target {line['target']:g}"] if line["target"] else []
    for other in line["also"]:
        figure = f"{other['ours']:.3g}" if other["ratio"] is None else f"ratio {other['ratio']:.2f}"
        notes += [f"{other['metric']}: {figure}"]
    problem = {"problem": f"the sides do not agree: {line['parity']}"} if line["passed"] is False else {}
    return line | {"notes": "; ".join([*notes, line["parity"]])} | problem


def read_same(output: str) -> dict[str, Any]:
    """Return the number of cells and what differs between the two runs."""
    line = json_lines(output)[-1]
    problem = {"problem": "; ".join(line["differences"][:3])} if line["differences"] else {}
    return line | {"notes": f"{line['cells']} cells"} | problem


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [step.name for step in all_steps("cpu", HERE, toy=True)]
    parser = argparse.ArgumentParser(prog="check.sh", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, help="folder of the results (default: results/<card> beside check.sh)"
    )
    parser.add_argument("--only", action="append", choices=names, help="the step to run; repeatable")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds for everything (default: 480)")
    parser.add_argument(
        "--dry-run", action="store_true", help="walk through all steps on the CPU, at toy size"
    )
    return parser.parse_args(argv)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
