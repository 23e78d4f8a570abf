"""Make a run directory ready to be written, or refuse it, before anything runs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.rundir.directory import NAMES
from derm_bench.rundir.files import check_directory, read_json, write_json
from derm_bench.rundir.manifest import MANIFEST
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.schema import SCHEMA
from derm_bench.rundir.selection import refuse_loss

Planned = Callable[[], RunStages]
"""Returns the stages of the run that is to be written."""

_FIRST_WRITE = re.compile(r"\.manifest\.json\.[0-9a-f]{32}")
"""The manifest while it is being written, which a killed run may leave in an otherwise empty directory."""


def prepare_out(
    out: Path, matrix_name: str, selection: str = "", planned: Planned | None = None
) -> Sequence[str]:
    """Create the run directory. Returns the names of the finished rows of its tables that are not `planned` any more.
    Raises UserError if it exists and holds another run, other files or links, or finished rows of another selection
    that are not planned now."""
    manifest = out / MANIFEST
    try:
        out.mkdir(parents=True, exist_ok=True)
        entries = [entry.name for entry in out.iterdir() if not _FIRST_WRITE.fullmatch(entry.name)]
    except OSError as error:
        raise _cannot_write(out, error) from error
    left_out: Sequence[str] = []
    if entries:
        left_out = _refuse_other_run(out, matrix_name, selection, planned)
    try:
        # A file without a name: nothing of the user's is touched, and nothing is left.
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _cannot_write(out, error) from error
    if not entries:
        # The manifest names the matrix from the start, so that a run killed before its tables are written can resume.
        write_json({"schema": SCHEMA, "selection": selection, "matrix": {"name": matrix_name}}, manifest)
    return left_out


def _cannot_write(out: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the run directory {out.absolute()}: {(error.strerror or str(error)).lower()}",
        hint="use another --out",
    )


def _refuse_other_run(out: Path, matrix_name: str, selection: str, planned: Planned | None) -> Sequence[str]:
    """Raise UserError unless the folder holds a run of this matrix, and nothing finished of another selection that
    would be lost. Returns what `prepare_out` does."""
    check_directory(out, NAMES)
    try:
        manifest = read_json(out / MANIFEST)
        name = manifest["matrix"]["name"]
    except (OSError, UserError, KeyError, TypeError):
        raise UserError(
            f"{out.absolute()} is not empty and is not a run directory",
            hint="use an empty or new folder for --out",
        ) from None
    if name != matrix_name:
        raise UserError(
            f"{out.absolute()} contains a run of the matrix '{name}', not '{matrix_name}'",
            hint="use another --out",
        )
    return [] if planned is None else refuse_loss(str(out.absolute()), manifest, selection, planned)
