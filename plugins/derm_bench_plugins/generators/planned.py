"""What planning asks of `folder` and `command`: what is wrong already, what images there are, what would run.

Imports no torch: the parent process calls it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.specs import Provenance
from derm_bench_plugins.datasets import files
from derm_bench_plugins.generators.specs.adapters import CommandOptions, FolderOptions, filled

MAX_PROGRAM_FILES = 20_000

# --------------------------------------------------------------------------------------- folder


def folder_images(root: Path) -> dict[str, list[Path]]:
    """Class -> its images, sorted by path. UserError where there is no folder, or none with images in it."""
    place = files.existing_folder(root, "folder generator's")
    found = {folder.name: list(files.images_below(folder)) for folder in files.folders(place)}
    if not any(found.values()):
        raise UserError(f"no folder in {place} holds images", hint="expected root/<class>/*.png")
    return found


def folder_preflight(options: FolderOptions) -> Iterator[str]:
    try:
        folder_images(options.root)
    except UserError as error:
        yield f"{error.message}; {error.hint}" if error.hint else error.message


def folder_digests(options: FolderOptions) -> dict[str, str]:
    """One digest over names and contents of all images."""
    root = options.root.absolute()
    found = folder_images(root)
    paths = {path.relative_to(root).as_posix(): path for images in found.values() for path in images}
    return {"images": _tree_digest(paths)}


def folder_counts(options: FolderOptions) -> dict[str, int]:
    """Images a class."""
    return {name: len(images) for name, images in folder_images(options.root).items()}


def folder_provenance(options: FolderOptions) -> Provenance:
    parts = options.parts
    sees_test = bool(parts - {"train", "training"})
    return Provenance(
        f"by their maker's word made from training on '{options.trained_on}'", options.split or "", sees_test
    )


# -------------------------------------------------------------------------------------- command


def command_preflight(options: CommandOptions) -> Iterator[str]:
    """A program that cannot be found, and words that name files but would not where the program runs."""
    if not options.argv:
        yield "argv is empty: write the program and its arguments as a list"
        return
    name = _with_program(options)[0]
    if "/" in name and not Path(name).is_absolute():
        yield f"argv starts with '{name}', a relative path; {_hint(name)}"
    elif shutil.which(name) is None:
        yield f"there is no program '{name}'" + ("" if "/" in name else " on the PATH")
    for word in options.argv[1:]:
        if not Path(word).is_absolute() and Path(word).is_file():
            yield f"'{word}' is a file here, and the program runs in a folder of its own; {_hint(word)}"


def command_lines(options: CommandOptions, classes: tuple[str, ...], size: int, seed: int) -> list[list[str]]:
    """What a fit on `classes` runs; {train} and {out} are not known before."""
    values = placeholders(options, classes, size, seed)
    return [filled(options.argv, values)]


def placeholders(
    options: CommandOptions, classes: tuple[str, ...], size: int, seed: int
) -> dict[str, object]:
    """What stands in argv for each name that does not hang on where the program runs."""
    known: dict[str, object] = {"n": options.samples_per_fit, "size": size, "seed": seed}
    if len(classes) == 1:
        known["class"] = classes[0]
    return known | ({"program": options.program} if options.program is not None else {})


def command_digests(options: CommandOptions) -> dict[str, str]:
    """Digests of the program: what argv starts with, `program`, and files that argv names by their whole path."""
    argv = _with_program(options)
    program = shutil.which(argv[0]) if argv else None
    named = {"argv.0": Path(program)} if program else {}
    words = dict(enumerate(options.argv[1:], start=1))
    named |= {f"argv.{k}": Path(word) for k, word in words.items() if Path(word).is_absolute()}
    found = file_digests({name: path for name, path in named.items() if path.is_file()})
    if options.program is not None and options.program.is_dir():
        found["program"] = _tree_digest(_code_below(options.program))
    return found


def command_counts(options: CommandOptions) -> int:
    return options.samples_per_fit


def command_provenance(options: CommandOptions) -> Provenance:
    name = Path(options.argv[0]).name if options.argv else "nothing"
    return Provenance(f"made by the external program {name}, which was handed training images")


def _with_program(options: CommandOptions) -> list[str]:
    return filled(options.argv, {} if options.program is None else {"program": options.program})


def _hint(word: str) -> str:
    return f"name its folder with `program` and write {{program}}/{Path(word).name}"


def _code_below(folder: Path) -> dict[str, Path]:
    """Files of a program by their path below `folder`, hidden ones and caches of Python aside."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inner.parts):
            found[inner.as_posix()] = path
        if len(found) > MAX_PROGRAM_FILES:
            raise UserError(
                f"{folder} holds more than {MAX_PROGRAM_FILES:,} files",
                hint="let `program` name the folder of the code alone",
            )
    return found


def _tree_digest(paths: Mapping[str, Path]) -> str:
    lines = [f"{name}\t{digest}" for name, digest in sorted(file_digests(paths).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
