"""A run directory as one file to hand on, a zip archive, and how the archive of somebody else is read.

Equal files give equal archives: names are sorted, and no member has a time or an owner. Whoever reads one trusts
nothing in it. Its members are counted and their names and sizes checked before one is unpacked, into a folder of its
own, and only regular files with the names of a run directory are.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from derm_bench.errors import UserError
from derm_bench.plain_text import printable
from derm_bench.rundir.directory import NAMES
from derm_bench.rundir.files import FOLDERS, MANIFEST_BYTES, TABLE_BYTES, opened, overwriting, replacing
from derm_bench.rundir.manifest import MANIFEST

SUFFIX = ".zip"
ENVIRONMENT = "environment.txt"
"""The file of an archive with the versions of all packages of the run, as pip reads it."""
MOST_FILES = 20_000
ARCHIVE_BYTES = 4 * 2**30 - 2**20
"""The most bytes of an archive: what a zip file without extensions can have."""
UNPACKED_BYTES = 8 * 2**30
_LISTING_BYTES = 8 * 2**20
"""The most bytes of the list of members at the end of an archive, which is read whole."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\5\6", 22, 2**16
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
           ValueError, OverflowError)  # fmt: skip


@dataclass(frozen=True)
class _Member:
    """A member of an archive, and the name of its file in the run directory."""

    info: zipfile.ZipInfo
    name: str


def pack(contents: Mapping[str, Path | bytes], top: str, target: Path) -> None:
    """Write an archive with one folder `top` in it, which holds `contents`: a file or its bytes by name.

    Files are read under the same checks as everywhere in a run directory. Raises UserError if there are too many or too
    large ones, or if the archive cannot be written.
    """
    if len(contents) > MOST_FILES:
        raise UserError(f"the run has {len(contents):,} files, and an archive at most {MOST_FILES:,}")
    try:
        with (
            replacing(target) as partial,
            overwriting(partial) as file,
            zipfile.ZipFile(file, "w", allowZip64=False) as archive,
        ):
            for name in sorted(contents):
                _write(archive, _header(f"{top}/{name}"), contents[name])
    except zipfile.LargeZipFile as error:
        raise UserError("the run has more than 4 GB, which no archive can have", file=target) from error


def _header(name: str) -> zipfile.ZipInfo:
    header = zipfile.ZipInfo(name, _EARLIEST)
    header.create_system, header.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    header.compress_type = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
    return header


def _write(archive: zipfile.ZipFile, header: zipfile.ZipInfo, content: Path | bytes) -> None:
    if isinstance(content, bytes):
        archive.writestr(header, content)
        return
    with opened(content, TABLE_BYTES) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        header.file_size = os.fstat(descriptor).st_size
        with archive.open(header, "w") as member:
            shutil.copyfileobj(file, member, 2**20)


# ------------------------------------------------------------------------------------------ reading


@contextmanager
def run_folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a run: `path` itself, or, if that is an archive, a temporary folder with its files.

    Errors about a file of an archive name the archive. Raises UserError if it is none, or has anything that no run
    directory has.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="derm-bench-run-") as temporary:
        folder = Path(temporary)
        _unpack(path.resolve(), folder)
        try:
            yield folder
        except UserError as error:
            raise _of_archive(error, folder, path) from error


def _of_archive(error: UserError, folder: Path, path: Path) -> UserError:
    """The error with the place in the archive instead of that in the temporary folder."""
    file = error.file
    if file is not None and file.is_relative_to(folder):
        file = path if file == folder else path / file.relative_to(folder)
    message, hint = (text.replace(str(folder), str(path)) for text in (error.message, error.hint))
    return UserError(message, file=file, path=error.path, line=error.line, hint=hint)


def _unpack(path: Path, folder: Path) -> None:
    with opened(path, ARCHIVE_BYTES) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        try:
            _check_listing(file)
            with zipfile.ZipFile(file) as archive:
                members = list(_members(archive.infolist()))
                _check_sizes(members, folder)
                for member in members:
                    _extract(archive, member, folder)
        except _BROKEN as error:
            raise UserError(
                f"is no archive of a run: {str(error) or type(error).__name__}",
                file=path,
                hint="give a run directory, or the file that `derm-bench export` wrote",
            ) from error


def _check_listing(file: BinaryIO) -> None:
    """Check how long the list of members says that it is, before it is read. Raises ValueError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise ValueError("it is not a zip file")
    members, listing = struct.unpack("<HL", tail[at + 10 : at + 16])
    if tail[max(0, at - 20) : at].startswith(b"PK\6\7"):
        raise ValueError("it is a zip64 file, and an archive of a run has at most 4 GB")
    if members > MOST_FILES or listing > _LISTING_BYTES:
        raise ValueError(f"it lists more than {MOST_FILES:,} files")
    file.seek(0)


def _members(infos: list[zipfile.ZipInfo]) -> Iterator[_Member]:
    """Yield the members that are files. Raises ValueError for one that no archive of a run has."""
    if len(infos) > MOST_FILES:
        raise ValueError(f"it has more than {MOST_FILES:,} files")
    names = {info.orig_filename for info in infos}
    top = "" if MANIFEST in names else f"{min(names, default='').partition('/')[0]}/"
    seen = set()
    for info in infos:
        if problem := _wrong_member(info):
            raise ValueError(f"the member {printable(info.orig_filename)!r:.120} {problem}")
        if not info.orig_filename.startswith(top):
            raise ValueError(f"it has more than one folder: {top!r:.120} and {info.orig_filename!r:.120}")
        name = info.orig_filename.removeprefix(top)
        if info.is_dir():
            if name.rstrip("/") not in ("", *FOLDERS):
                raise ValueError(f"no run directory has the folder {printable(name)!r:.120}")
            continue
        if not _is_known(name):
            raise ValueError(f"no run directory has the file {printable(name)!r:.120}")
        if name.casefold() in seen:
            raise ValueError(f"it has the file {printable(name)!r:.120} twice")
        seen.add(name.casefold())
        yield _Member(info, name)


def _wrong_member(info: zipfile.ZipInfo) -> str:
    """What is wrong with a member, whatever its name; empty if nothing is."""
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is compressed by a method that no archive of a run has"
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if info.orig_filename != info.filename or printable(info.orig_filename) != info.orig_filename:
        return "has a name with characters that no file of a run has"
    return ""


def _is_known(name: str) -> bool:
    """Whether a run directory may have a file of this name, relative to its folder."""
    if name in NAMES or name == ENVIRONMENT:
        return True
    above, slash, file = name.partition("/")
    plain = bool(file) and not set(file) & set('/\\:\n\t"<>|?*') and not file.startswith(".")
    return bool(slash) and above in FOLDERS and plain and len(file.encode()) <= 255


def _check_sizes(members: list[_Member], folder: Path) -> None:
    """Check the sizes that members say they have; no more is unpacked of any. Raises ValueError."""
    for member in members:
        most = MANIFEST_BYTES if member.name == MANIFEST else TABLE_BYTES
        if member.info.file_size > most:
            raise ValueError(f"{member.name} has {member.info.file_size:,} bytes, more than {most:,}")
    total = sum(member.info.file_size for member in members)
    if total > UNPACKED_BYTES:
        raise ValueError(f"its files have {total:,} bytes, more than {UNPACKED_BYTES:,}")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise ValueError(f"its files have {total:,} bytes, and {folder.parent} has room for {free:,}")


def _extract(archive: zipfile.ZipFile, member: _Member, folder: Path) -> None:
    target = folder / member.name
    target.parent.mkdir(exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with archive.open(member.info) as source, os.fdopen(os.open(target, flags, 0o644), "wb") as file:
        left = member.info.file_size
        while chunk := source.read(min(2**20, left)) if left else b"":
            file.write(chunk)
            left -= len(chunk)
        if left or source.read(1):
            raise ValueError(f"{member.name} has another size than the list of files says")
