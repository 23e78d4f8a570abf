"""The store: whole or absent, first wins, every attempt on record."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from derm_bench.errors import UserError
from derm_bench.forecast.past import finished_stages
from derm_bench.store import Store, file_digest, maintenance

KEY = "a" * 40


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def publish(
    store: Store, key: str, text: str = "weights", values: str | None = None, history: str | None = None
) -> bool:
    staged = store.stage()
    (staged / "state").write_text(text)
    if values is not None:
        (staged / "values.json").write_text(values)
    if history is not None:
        (staged / "history.csv").write_text(history)
    return store.publish(
        key, staged, identity={"kind": "fit"}, result={"updates": 3}, attempt={"seconds": 1.0}
    )


def test_a_published_stage_can_be_read(store):
    assert not store.has("abc")
    assert publish(store, "abc")
    finished = Store(store.root).finished("abc")
    assert finished.result == {"updates": 3}
    assert finished.files == {"state": file_digest(finished.folder / "state")}
    assert (finished.folder / "state").read_text() == "weights"


def test_the_first_to_publish_wins(store):
    assert publish(store, "abc", "first")
    assert not publish(store, "abc", "second")
    assert (store.folder("abc") / "state").read_text() == "first"
    assert not list((store.root / "staging").iterdir())


def test_outputs_are_read_only(store):
    publish(store, "abc")
    assert not (store.folder("abc") / "state").stat().st_mode & 0o222


def test_what_is_staged_is_not_visible(store):
    staged = store.stage()
    (staged / "state").write_text("half")
    assert not store.has("abc")
    store.discard(staged)
    assert not staged.exists()


def test_records_are_kept_in_order_and_a_torn_line_is_left_out(store):
    store.append("abc", {"status": "failed"})
    store.append("abc", {"status": "done"})
    path = next((store.root / "records").rglob("*.jsonl"))
    with path.open("a") as handle:
        handle.write('{"status": "do')
    assert [record["status"] for record in store.records("abc")] == ["failed", "done"]
    assert store.records("other") == []


def test_plan_data_is_named_by_its_content(store):
    digest = store.put(b"image_id,group\n")
    assert store.data(digest).read_bytes() == b"image_id,group\n"
    assert store.put(b"image_id,group\n") == digest


def test_a_file_in_the_way_is_refused_with_its_place(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UserError, match=str(blocker)):
        Store(blocker / "store").prepare()


def test_another_layout_is_refused(store):
    (store.root / "VERSION").write_text("99")
    with pytest.raises(UserError, match="layout"):
        Store(store.root).prepare()


@pytest.mark.parametrize("content", [b"", b"\xff\x00\xfe", b"1\n", b"one"])
def test_a_store_whose_version_is_damaged_says_so(store, content):
    (store.root / "VERSION").write_bytes(content)
    with pytest.raises(UserError, match="cannot be used: its file VERSION is damaged"):
        Store(store.root).prepare()


def test_a_version_that_is_a_folder_is_refused(store):
    (store.root / "VERSION").unlink()
    (store.root / "VERSION").mkdir()
    with pytest.raises(UserError, match="VERSION cannot be read: it is not a regular file"):
        Store(store.root).prepare()


@pytest.mark.parametrize("damage", ["score", "digest", "other stage", "types", "nested", "value", "history"])
def test_what_tables_are_read_from_is_compared_with_its_digest(store, caplog, damage):
    publish(store, "ab" * 20, "weights", values="[0.5]", history="step\n1\n")
    publish(store, "cd" * 20)
    folder = store.folder("ab" * 20)
    for path in folder.iterdir():
        path.chmod(0o644)
    text = (folder / "stage.json").read_text()
    changed = {
        "score": text.replace('"updates": 3', '"updates": 4'),
        "digest": json.dumps({k: v for k, v in json.loads(text).items() if k != "digest"}),
        "other stage": (store.folder("cd" * 20) / "stage.json").read_text(),
        "types": json.dumps(json.loads(text) | {"files": ["state"], "result": 1}),
        "nested": "[" * 100_000,
        "value": text,
        "history": text,
    }
    (folder / "stage.json").write_text(changed[damage])
    if damage == "value":
        (folder / "values.json").write_text("[0.9]")
    if damage == "history":
        (folder / "history.csv").write_bytes(b"\xff\xfe")
    assert Store(store.root).finished("ab" * 20) is None
    assert "set aside" in caplog.text
    assert (store.root / "aside" / f"{'ab' * 20}-1").is_dir()


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xfe\x00", b"[]", b'{"record": 1, "process": {}}', b'{"record": {"key": 3}}', None]
)
def test_a_damaged_note_is_set_aside_with_a_line(store, caplog, damage):
    staged = store.stage(key="abc", attempt=ATTEMPT)
    note = store.root / f"staging/{A1}.json"
    note.unlink()
    note.mkdir() if damage is None else note.write_bytes(damage)
    assert store.recover() == [] and store.recover() == []
    assert caplog.text.count("the note of an attempt in the store is damaged") == 1
    assert (store.root / f"aside/{A1}.json-1").exists() and staged.exists()


def test_damaged_records_are_left_out_and_the_next_record_is_whole(store, caplog):
    store.append("abc", {"status": "failed"})
    path = next((store.root / "records").rglob("*.jsonl"))
    path.write_bytes(
        path.read_bytes() + b'\xff\xfe\n[]\n7\n{"status": "failed", "error": "x"}\n{"status": "do'
    )
    store.append("abc", {"status": "timeout"})
    assert [record["status"] for record in store.records("abc")] == ["failed", "timeout"]
    path.unlink()
    path.mkdir()
    store.append("abc", {"status": "done"})
    assert [record["status"] for record in store.records("abc")] == ["done"]
    assert "set aside" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"image_id,gruop\n", None])
def test_damaged_plan_data_is_set_aside_and_stored_again(store, caplog, damage):
    digest = store.put(b"image_id,group\n")
    store.data(digest).unlink()
    store.data(digest).mkdir() if damage is None else store.data(digest).write_bytes(damage)
    assert store.put(b"image_id,group\n") == digest
    assert store.data(digest).read_bytes() == b"image_id,group\n"
    assert "plan data in the store is damaged" in caplog.text


@pytest.mark.parametrize("spoil", ["half a stage file", "no stage file", "a field lost", "an output lost"])
def test_what_is_spoiled_is_set_aside_and_made_again(store, caplog, spoil):
    publish(store, "abc")
    path = store.folder("abc") / "stage.json"
    document = json.loads(path.read_text())
    path.chmod(0o644)
    if spoil == "half a stage file":
        path.write_text(path.read_text()[:50])
    elif spoil == "no stage file":
        path.unlink()
    elif spoil == "a field lost":
        path.write_text(json.dumps({k: v for k, v in document.items() if k != "files"}))
    else:
        (store.folder("abc") / "state").unlink()
    again = Store(store.root)
    assert not again.has("abc")
    assert again.finished("abc") is None
    assert "set aside" in caplog.text
    assert [p.name for p in (store.root / "aside").iterdir()] == ["abc-1"]
    assert [record["status"] for record in store.records("abc")] == ["corrupt"]
    assert publish(again, "abc")
    assert Store(store.root).finished("abc").result == {"updates": 3}


def test_a_spoiled_stage_that_cannot_be_moved_is_named(store, monkeypatch):
    publish(store, "abc")
    (store.folder("abc") / "state").unlink()

    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UserError, match=r"state is missing.*cannot be set aside"):
        Store(store.root).has("abc")


# ------------------------------------------------------------- attempts that died silently

A1, A2 = "a1" * 16, "a2" * 16
ATTEMPT = {"attempt": A1, "key": "abc", "kind": "fit", "title": "fit toy", "host": "here", "pid": 1}
# Takes a stage of its own process, says so, and waits to be killed.
MORTAL = """
import sys, time
from pathlib import Path
from derm_bench.store import Store
store = Store(Path(sys.argv[1]))
attempt = {"attempt": "a1" * 16, "key": "abc", "kind": "fit", "title": "fit toy"}
staged = store.stage(key="abc", attempt=attempt)
(staged / "state").write_text("half")
if sys.argv[2] == "published":
    store.publish("abc", staged, identity={"kind": "fit"}, result={}, attempt=attempt | {"seconds": 1.0})
print("ready", flush=True)
time.sleep(60)
"""


def kill_at_work(store: Store, until: str = "staged") -> subprocess.Popen:
    """An attempt of another process that was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", MORTAL, str(store.root), until], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    assert store.recover() == [], "it lives"
    process.kill()
    process.wait()
    return process


def test_an_attempt_killed_without_a_word_gets_a_record(store):
    kill_at_work(store)
    (record,) = store.recover()
    assert (record["status"], record["title"], record["attempt"]) == ("interrupted", "fit toy", A1)
    assert store.records("abc") == [record]
    assert not list((store.root / "staging").iterdir())
    assert store.recover() == []


def test_an_attempt_killed_after_publishing_is_recorded_as_done(store):
    kill_at_work(store, "published")
    (record,) = store.recover()
    assert (record["status"], record["seconds"]) == ("done", 1.0)
    assert store.has("abc")
    assert not list((store.root / "staging").iterdir())


def test_what_its_run_recorded_is_not_recorded_again(store):
    """A worker that hangs or crashes is recorded by its run, which also clears up after it."""
    kill_at_work(store)
    store.append("abc", ATTEMPT | {"status": "timeout"})
    assert not list((store.root / "staging").iterdir())
    assert store.recover() == []
    assert [record["status"] for record in store.records("abc")] == ["timeout"]


def test_a_reused_pid_is_another_process(store):
    store.stage(key="abc", attempt=ATTEMPT)
    note = store.root / f"staging/{A1}.json"
    content = json.loads(note.read_text())
    assert store.recover() == [], "this very process is at it"
    content["process"]["start_ticks"] -= 1
    note.write_text(json.dumps(content))
    assert len(store.recover()) == 1


def test_attempts_of_other_hosts_and_containers_are_left_alone(store):
    for name, field in ((A1, "host"), (A2, "namespace")):
        store.stage(key="abc", attempt=ATTEMPT | {"attempt": name})
        note = store.root / f"staging/{name}.json"
        content = json.loads(note.read_text())
        content["process"] |= {field: "elsewhere", "pid": 2**22 + 1}
        note.write_text(json.dumps(content))
    assert store.recover() == []
    assert len(list((store.root / "staging").iterdir())) == 4


def test_the_note_of_an_attempt_is_no_output_and_goes_with_its_record(store):
    staged = store.stage(key="abc", attempt=ATTEMPT)
    assert not list(staged.iterdir())
    store.publish("abc", staged, identity={}, result={}, attempt=ATTEMPT)
    assert store.finished("abc").files == {}
    store.append("abc", ATTEMPT | {"status": "done"})
    assert not list((store.root / "staging").iterdir())


def test_a_durable_publication_is_flushed_before_and_after_the_rename(store, monkeypatch):
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (flushed.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd))
    )
    publish(store, "plain")
    assert not flushed
    monkeypatch.setenv("DERM_BENCH_FSYNC", "1")
    publish(store, "firm")
    names = [path.name for path in flushed]
    assert {"state", "stage.json"} <= set(names[:2])
    assert names[-2:] == ["fi", "objects"]


def test_stage_files_are_plain_json(store):
    publish(store, "abc")
    document = json.loads((store.folder("abc") / "stage.json").read_text())
    assert set(document) == {"key", "identity", "result", "attempt", "files", "digest"}
    assert Path(store.folder("abc")).name == "abc"


# ------------------------------------------------------------------ what is in the place of a file


def in_place(path, what):
    """Puts a pipe, or a link to a device, in the place of a file of the store."""
    path.parent.chmod(0o755)
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


SPECIAL = pytest.mark.parametrize("what", ["pipe", "device"])


@SPECIAL
def test_a_version_that_is_no_regular_file_is_refused(store, what):
    in_place(store.root / "VERSION", what)
    with pytest.raises(UserError, match="VERSION cannot be read: it is not a regular file"):
        Store(store.root).check()


def test_a_version_without_end_is_refused(store):
    os.truncate(store.root / "VERSION", 2**40)
    with pytest.raises(UserError, match="VERSION cannot be read: it has more than"):
        Store(store.root).check()


@SPECIAL
@pytest.mark.parametrize("name", ["stage.json", "values.json"])
def test_a_stage_with_a_pipe_or_device_in_it_is_set_aside(store, caplog, what, name):
    publish(store, KEY, values="[]")
    in_place(store.folder(KEY) / name, what)
    assert maintenance.problems(store.folder(KEY)) and maintenance.summarise(store)
    assert not finished_stages(store)
    assert Store(store.root).finished(KEY) is None and "set aside" in caplog.text


@SPECIAL
def test_records_that_are_no_regular_file_are_set_aside_before_the_next(store, what):
    store.append(KEY, {"attempt": "a", "status": "failed"})
    in_place(store.record_file(KEY), what)
    assert store.records(KEY) == []
    store.append(KEY, {"attempt": "b", "status": "failed"})
    assert [record["attempt"] for record in store.records(KEY)] == ["b"]


def test_a_record_is_not_written_through_a_link(store, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine\n")
    store.record_file(KEY).parent.mkdir(parents=True)
    store.record_file(KEY).symlink_to(mine)
    store.append(KEY, {"attempt": "a", "status": "failed"})
    assert mine.read_text() == "mine\n"
    assert [record["attempt"] for record in store.records(KEY)] == ["a"]


@SPECIAL
def test_plan_data_that_are_no_regular_file_are_stored_again(store, what):
    digest = store.put(b"split")
    in_place(store.data(digest), what)
    assert "not a regular file" in store.check_data(digest)
    assert store.put(b"split") == digest and not store.check_data(digest)
