"""Only regular files are read: a pipe, a socket, a device or a file without end is an error at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from derm_bench.regular_files import open_regular, read_regular


def test_regular_files_and_links_to_them_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 3) == b"abc"
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"abc"


def test_pipes_sockets_devices_and_folders_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket has a short name
    os.mkfifo("pipe")
    Path("zero").symlink_to("/dev/zero")
    Path("folder").mkdir()
    with socket.socket(socket.AF_UNIX) as here:
        here.bind("socket")
        for name in ("pipe", "zero", "folder", "socket", "absent"):
            with pytest.raises(OSError, match=name):
                read_regular(name, 100)


def test_a_file_above_the_limit_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        read_regular(tmp_path / "sparse", 1000)
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_regular("/proc/self/status", 100)  # a file that says that it has 0 bytes
