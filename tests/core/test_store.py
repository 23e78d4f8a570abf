"""The store: whole or absent, first wins, every attempt on record."""

import json
from pathlib import Path

import pytest

from derm_bench.errors import UserError
from derm_bench.store import Store, file_digest


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def publish(store: Store, key: str, text: str = "weights") -> bool:
    staged = store.stage()
    (staged / "state").write_text(text)
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


def test_a_spoiled_stage_file_says_what_to_do(store):
    publish(store, "abc")
    path = store.folder("abc") / "stage.json"
    path.chmod(0o644)
    path.write_text("{")
    with pytest.raises(UserError, match="remove that folder"):
        Store(store.root).finished("abc")


def test_stage_files_are_plain_json(store):
    publish(store, "abc")
    document = json.loads((store.folder("abc") / "stage.json").read_text())
    assert set(document) == {"key", "identity", "result", "attempt", "files"}
    assert Path(store.folder("abc")).name == "abc"
