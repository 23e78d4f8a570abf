"""Digests follow content; the cache only saves time."""

import hashlib
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from derm_bench import fingerprint
from derm_bench.fingerprint import file_digests


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files that have not changed for a while: a change time cannot be set back, so the clock is ahead."""
    monkeypatch.setattr(fingerprint, "SETTLED_SECONDS", 0.0)
    paths = {}
    for name in "abc":
        paths[name] = tmp_path / f"{name}.bin"
        paths[name].write_bytes(name.encode() * 100)
        age(paths[name], 1000)
    return paths


def age(path, seconds):
    earlier = path.stat().st_mtime - seconds
    os.utime(path, (earlier, earlier))


def never(place):
    raise AssertionError(f"hashed {place}")


def test_a_digest_is_the_sha256_of_the_content(files):
    assert file_digests(files)["a"] == hashlib.sha256(b"a" * 100).hexdigest()


def test_what_is_cached_is_not_hashed_again(files, monkeypatch):
    first = file_digests(files)
    monkeypatch.setattr(fingerprint, "_digest", never)
    assert file_digests(files) == first


def test_an_edit_in_place_changes_the_digest_and_a_touch_does_not(files):
    first = file_digests(files)
    files["a"].write_bytes(b"x" * 100)
    os.utime(files["b"])
    second = file_digests(files)
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


def test_other_content_of_equal_size_and_modification_time_has_another_digest(files):
    first, times = file_digests(files), files["a"].stat()
    time.sleep(0.02)  # more than one tick of the clock of the file system
    files["a"].write_bytes(b"x" * 100)
    os.utime(files["a"], ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file_digests(files)["a"] == hashlib.sha256(b"x" * 100).hexdigest() != first["a"]


def test_a_file_renamed_over_another_has_another_digest(files, tmp_path):
    first, times = file_digests(files), files["a"].stat()
    time.sleep(0.02)  # more than one tick of the clock of the file system
    (tmp_path / "new").write_bytes(b"y" * 100)
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").replace(files["a"])
    assert file_digests(files)["a"] != first["a"]


@pytest.mark.parametrize("number", ["inode", "size", "modification time", "change time"])
@pytest.mark.parametrize("count", [3, 300])
def test_a_file_of_which_one_number_differs_is_hashed_again(files, tmp_path, monkeypatch, number, count):
    """With a row of its own, and among so many that they have one row together."""
    paths = dict(files)
    for i in range(3, count):
        paths[str(i)] = tmp_path / f"{i}.bin"
        paths[str(i)].write_bytes(str(i).encode())
    first = file_digests(paths)
    assert first == file_digests(paths)
    position = ["mode", "device", "inode", "size", "modification time", "change time"].index(number)
    status, read, digest = fingerprint._STATUS, [], fingerprint._digest
    changed = files["b"].stat().st_ino

    def other(found):
        numbers = list(status(found))
        if numbers[2] == changed:
            numbers[position] -= 1
        return tuple(numbers)

    monkeypatch.setattr(fingerprint, "_STATUS", other)
    monkeypatch.setattr(fingerprint, "_digest", lambda place: (read.append(place), digest(place))[1])
    assert file_digests(paths) == first
    assert read == [str(files["b"])]


def test_a_file_that_may_still_change_is_not_cached(files, monkeypatch):
    monkeypatch.setattr(fingerprint, "SETTLED_SECONDS", 2.0)
    files["a"].write_bytes(b"1" * 100)
    written = files["a"].stat().st_mtime_ns
    first = file_digests(files)
    files["a"].write_bytes(b"2" * 100)
    os.utime(files["a"], ns=(written, written))  # written within one tick of the clock
    assert file_digests(files)["a"] != first["a"]


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"", b"SQLite format 3\0" + b"\xff" * 3000])
def test_a_corrupt_cache_is_rebuilt(files, cache, monkeypatch, content):
    first = file_digests(files)
    (cache / "digests-3.sqlite").write_bytes(content)
    assert file_digests(files) == first
    monkeypatch.setattr(fingerprint, "_digest", never)
    assert file_digests(files) == first


def test_a_broken_entry_is_not_believed(files, cache):
    first = file_digests(files)
    with sqlite3.connect(cache / "digests-3.sqlite") as database:
        database.execute("UPDATE digests SET sha256 = 'nonsense'")
    assert file_digests(files) == first


def test_without_a_writable_place_it_works_uncached(files, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path / "file" / "below"))
    assert len(file_digests(files)) == 3


def test_what_cannot_be_read_is_named_so(files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = file_digests({**files, "gone": tmp_path / "gone", "pipe": tmp_path / "pipe", "folder": tmp_path})
    assert found["gone"] == found["pipe"] == found["folder"] == fingerprint.UNREADABLE


def test_a_file_above_the_limit_is_not_read(files, monkeypatch):
    monkeypatch.setattr(fingerprint, "_digest", never)
    assert set(file_digests(files, largest=10).values()) == {fingerprint.UNREADABLE}


def test_paths_that_are_not_utf8_or_have_nul_work_uncached(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.bin")
    path.write_bytes(b"x")
    found = file_digests({"a": path, "b": "/a\0b"})
    assert found == {"a": hashlib.sha256(b"x").hexdigest(), "b": fingerprint.UNREADABLE}


def test_many_at_once_agree(files):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: file_digests(files), range(16)))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("slow_after", [0, 300, 10_000])
def test_files_that_are_slow_to_come_are_read_several_at_a_time(many, monkeypatch, slow_after):
    threads, began, digest = set(), iter(range(10_000)), fingerprint._digest

    def slow(place: str) -> str:
        if next(began) >= slow_after:
            time.sleep(0.002)
        threads.add(threading.get_ident())
        return digest(place)

    monkeypatch.setattr(fingerprint, "_digest", slow)
    monkeypatch.setattr(fingerprint, "_SLOW_SECONDS", 1e-3)
    found = file_digests(many)
    assert found == {name: hashlib.sha256(name.encode()).hexdigest() for name in many}
    assert (len(threads) > 1) == (slow_after < len(many))


@pytest.fixture
def many(files, tmp_path):
    """So many files that the cache has a row for all of them together."""
    paths = {}
    for i in range(1500):
        paths[str(i)] = tmp_path / f"{i}.bin"
        paths[str(i)].write_bytes(str(i).encode())
        age(paths[str(i)], 1000)
    return paths


def test_thousands_are_answered_from_the_cache(many, monkeypatch):
    first = file_digests(many)
    monkeypatch.setattr(fingerprint, "_digest", never)
    assert file_digests(many) == first and len(set(first.values())) == 1500


def test_of_thousands_only_the_one_that_was_edited_is_hashed_again(many, monkeypatch):
    first = file_digests(many)
    many["7"].write_bytes(b"x")
    read, digest = [], fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda place: (read.append(place), digest(place))[1])
    assert file_digests(many) == first | {"7": hashlib.sha256(b"x").hexdigest()}
    assert read == [str(many["7"])]


def test_broken_digests_of_thousands_are_not_believed(many, cache):
    first = file_digests(many)
    with sqlite3.connect(cache / "digests-3.sqlite") as database:
        database.execute("UPDATE sets SET digests = zeroblob(1500 * 32)")
    assert file_digests(many) == first


def test_sets_of_many_files_do_not_pile_up(many, cache):
    names = list(many)
    for k in range(fingerprint._SETS + 3):
        file_digests({name: many[name] for name in names[k:]})
    with sqlite3.connect(cache / "digests-3.sqlite") as database:
        assert database.execute("SELECT count(*) FROM sets").fetchone() == (fingerprint._SETS,)


def test_hard_links_to_a_file_are_read_once(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "other").write_bytes(b"two")
    for name in ("b", "c"):
        os.link(tmp_path / "a", tmp_path / name)
    read, digest = [], fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda place: (read.append(place), digest(place))[1])
    found = file_digests({name: tmp_path / name for name in ("a", "b", "c", "other")})
    assert found["a"] == found["b"] == found["c"] == hashlib.sha256(b"one").hexdigest() != found["other"]
    assert len(read) == 2


def test_a_path_may_be_written_in_any_way(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    ways = ["a", "./a", f"{tmp_path}/./a", f"{tmp_path}/../{tmp_path.name}/a", f"{tmp_path}//a"]
    found = file_digests({str(k): way for k, way in enumerate(ways)})
    assert set(found.values()) == {hashlib.sha256(b"one").hexdigest()}
