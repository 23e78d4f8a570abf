"""Writes a matrix for a data set, with comments, that gives a first table within minutes on two idle cores, and a
preset of it that makes it a study."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.inspection.inspection import splits_as_given
from derm_bench.inspection.recognition import Reader

IMAGES = 600
"""About the largest number of images that the matrix uses."""
LEAST_OF_CLASS, LEAST_GROUPS = 40, 6
BALANCED = 1.2
"""Classes whose sizes differ by a smaller factor are balanced: then there is nothing to fill up."""
_BARE = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def write_matrix(file: Path, reader: Reader, facts: Mapping[str, Any]) -> None:
    """Write the matrix to `file`, with paths relative to its folder. Raises UserError if the file exists, or if fewer
    than two classes are large enough to be split."""
    lines = "\n".join(_matrix(file, reader, facts)) + "\n"
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(lines)
    except FileExistsError:
        raise UserError(f"{file} exists and is not written over", hint="give --write another name") from None


def _matrix(file: Path, reader: Reader, facts: Mapping[str, Any]) -> Iterator[str]:
    used = _used(facts)
    balanced = max(used.values()) < BALANCED * min(used.values())
    name = _label(Path(str(reader.options.get("root", reader.name))).name) or reader.name
    yield f"# {_comment(name)}: {facts['images']:,} images of {len(facts['classes'])} classes, read as {reader.name}."
    yield f"#   derm-bench plan {_comment(file.name)}    # what would run, for how long, what it can detect"
    yield f"#   derm-bench run {_comment(file.name)}     # a first table within minutes on two idle cores"
    yield f"#   derm-bench run {_comment(file.name)} --preset study    # hours: seeds and updates of a study"
    yield f"name: {_value(name)}"
    yield "datasets:"
    yield from _dataset(file, reader, facts, used)
    yield "seeds: [0, 1, 2]                  # intervals and verdicts need three runs of each arm; report five or more"
    yield "budget: {updates: 40}             # of every classifier, the same in every arm; a study needs 1,000 or more"
    yield "strategies:"
    yield "  - {name: real-only}"
    yield "  - {name: geometric, augment: [hflip, vflip, {rotate: 30}]}"
    if not balanced:
        yield "  - {name: oversample, balance: oversample}    # fills the smaller classes with real images drawn again"
    yield "  - name: cgan                    # a small conditional GAN; `derm-bench plugins list generator` has others"
    yield "    generator:"
    yield "      {name: cgan, base: 16, z_dim: 64, batch_size: 32, d_steps: 1, lr: 8.0e-4, ema: 0.97, balance: true,"
    yield "       budget: {updates: 80}}       # it begins to resemble the data after some thousands"
    if balanced:
        yield "    synthetic: {ratio: 0.5}       # half as many synthetic images as there are real ones, per class"
    else:
        yield "    synthetic: {balance: true}    # fills every class to the size of the largest"
    yield "classifiers:"
    yield "  - {name: dermagan-cnn, pooled: true, batch_size: 32}"
    if not balanced:
        yield "compare: {baselines: [real-only, oversample]}"
    yield "presets:"
    yield "  study:                          # what to change for a real study; give it all images and other arms, too"
    yield "    seeds: [0, 1, 2, 3, 4]"
    yield "    budget.updates: 2000"
    yield '    "strategies.*.generator.base": 64'
    yield '    "strategies.*.generator.budget": {updates: 10000}'


def _dataset(file: Path, reader: Reader, facts: Mapping[str, Any], used: Mapping[str, int]) -> Iterator[str]:
    yield f"  - name: {_value(reader.name)}"
    for option, value in reader.options.items():
        yield f"    {option}: {_value(_beside(file, value))}"
    yield "    size: 64                      # stored side in pixels"
    left_out = [name for name in facts["classes"] if name not in used]
    if left_out:
        yield f"    # Left out, as too few images or groups: {_comment(', '.join(left_out))}"
        yield f"    classes: [{', '.join(map(_value, used))}]"
    counts = {name: facts["classes"][name]["images"] for name in used}
    if used != counts:
        limits = ", ".join(f"{_value(name)}: {count}" for name, count in used.items())
        yield f"    limit: {{per_class: {{{limits}}}}}    # of {sum(counts.values()):,}; remove it to use all"
    if splits_as_given(facts["given_split"]):
        yield "    split: {method: given}        # the data set's own"
    else:
        groups = (
            "images of a group (lesion or patient) stay together"
            if facts["groups"]
            else "no groups are known"
        )
        yield f"    split: {{test: 0.25, val: 0.15}}    # {groups}"


def _used(facts: Mapping[str, Any]) -> dict[str, int]:
    """The number of images of each class that the matrix uses: shares as in the data set, but no class of fewer than
    `LEAST_OF_CLASS` if it has so many. Raises UserError for fewer than two classes that can be split."""
    counts = {name: of["images"] for name, of in facts["classes"].items() if of["groups"] >= LEAST_GROUPS}
    if len(counts) < 2:
        raise UserError(
            f"no matrix can be written: {len(counts)} of {len(facts['classes'])} classes have {LEAST_GROUPS} or more "
            "images or groups, and a classifier needs two",
            hint="add images, or merge classes with `classes: {new-name: [label, label]}` in a matrix of your own",
        )
    total = sum(counts.values())
    if total <= 1.5 * IMAGES:
        return counts
    return {name: min(n, max(LEAST_OF_CLASS, round(n * IMAGES / total))) for name, n in counts.items()}


def _beside(file: Path, value: Any) -> Any:
    """A path as it is written in the matrix: relative to its folder."""
    if not isinstance(value, Path):
        return value
    return Path(os.path.relpath(value.absolute(), file.absolute().parent)).as_posix()


def _value(value: Any) -> str:
    """A value in YAML, on one line. Strings are quoted unless they can only be read as strings."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, Path):
        return _value(value.as_posix())
    return json.dumps(value, ensure_ascii=True, default=str)


def _comment(text: str) -> str:
    """A text that ends no comment."""
    return json.dumps(text)[1:-1] if not text.isprintable() else text


def _label(text: str) -> str:
    """A text as the name of a matrix: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-").lower()[:60]
