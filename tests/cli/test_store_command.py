"""`derm-bench store`: what is there, what is spoiled, what can go."""

import json
import os
import subprocess
import sys
import time

import pytest
from tests.conftest import read_csv

from derm_bench.store import Store
from derm_bench.store.maintenance import DAY, clean, garbage, problems

MEASURED = ("generator_seconds", "generator_seconds_shared", "train_seconds", "eval_seconds")
ABC, OLD, UNFINISHED, ASKED, FORGOTTEN = (f"{n:040x}" for n in range(5))
ALIVE = "a" * 32
MEASURED = (*MEASURED, "peak_memory_mb", "peak_device_mb")


def numbers(path):
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in read_csv(path)]


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def publish(store: Store, key: str, **params) -> None:
    staged = store.stage()
    (staged / "state").write_text("weights")
    attempt = {"title": f"fit {key}", "kind": "fit"}
    store.publish(
        key, staged, identity={"kind": "fit", "params": params}, result={"loss": 0.5}, attempt=attempt
    )


def age(path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_a_corrupted_output_is_found_set_aside_and_made_again(in_process, write_matrix, tmp_path):
    matrix, store = write_matrix(seeds=[0]), Store(tmp_path / "store")
    assert in_process("run", matrix, "--out", "out", figures=True).code == 0
    before = numbers(tmp_path / "out/results.csv")
    listed = json.loads(in_process("store", "ls", "--json").out)
    assert listed["kinds"]["train"]["stages"] == 3
    assert listed["stages"] == sum(entry["stages"] for entry in listed["kinds"].values())
    assert (listed["failed_attempts"], listed["places"]["staging"]["entries"]) == (0, 0)
    assert in_process("store", "verify").code == 0

    # One bit flips in predictions: the evaluation is made again, and nothing else.
    path = next((tmp_path / "store/objects").rglob("predictions.arrow"))
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    key = path.parent.name
    ran = in_process("store", "verify")
    assert ran.code == 1
    assert "evaluate toy-centroid" in ran.out and "predictions.arrow changed" in ran.out
    assert f"{key}-1" in ran.out and (tmp_path / f"store/aside/{key}-1").is_dir()
    assert not store.has(key)

    again = in_process("run", matrix, "--out", "out")
    assert again.code == 0, again.err
    assert "1 stages run" in again.out
    assert numbers(tmp_path / "out/results.csv") == before
    assert [record["status"] for record in store.records(key)] == ["done", "corrupt", "done"]

    # What was set aside goes when asked; what a run needs stays.
    data = sorted((tmp_path / "store/data").iterdir())  # splits, and lists of files for `explain`
    dry = in_process("store", "gc", "--dry-run")
    assert "1 set aside" in dry.out and "would free" in dry.out
    assert (tmp_path / f"store/aside/{key}-1").is_dir()
    assert "freed" in in_process("store", "gc", "--fsync").out
    assert not list((tmp_path / "store/aside").iterdir())
    assert sorted((tmp_path / "store/data").iterdir()) == data
    assert json.loads(in_process("plan", matrix, "--json").out)["to_run"] == {}
    assert "0 stages run" in in_process("run", matrix, "--out", "again").out


def test_every_kind_of_damage_is_named(store):
    for key in ("changed", "missing", "extra", "result", "whole", "torn"):
        publish(store, key)
        (store.folder(key) / "stage.json").chmod(0o644)
    (store.folder("changed") / "state").chmod(0o644)
    (store.folder("changed") / "state").write_text("Weights")
    (store.folder("missing") / "state").unlink()
    (store.folder("extra") / "more").write_text("")
    text = (store.folder("result") / "stage.json").read_text()
    (store.folder("result") / "stage.json").write_text(text.replace('"loss": 0.5', '"loss": 0.4'))
    (store.folder("torn") / "stage.json").write_text(text[:40])
    found = {key: problems(store.folder(key)) for key in ("changed", "missing", "extra", "result", "whole")}
    assert found == {
        "changed": ["state changed"],
        "missing": ["state is missing"],
        "extra": ["more was added"],
        "result": ["stage.json changed"],
        "whole": [],
    }
    assert "stage.json is not JSON" in problems(store.folder("torn"))[0]


def test_only_what_nobody_needs_is_garbage(store):
    split, lonely = store.put(b"split"), store.put(b"lonely")
    publish(store, ABC, split=split)
    publish(store, OLD, split=lonely)
    age(store.folder(OLD), 40)
    for name in (ABC, UNFINISHED):
        (store.root / "checkpoints" / name).mkdir(parents=True)
    store.stage(key="ours", attempt={"attempt": ALIVE})
    unowned = store.stage()
    assert {item.path.name for item in garbage(store)} == {ABC}, "the checkpoint; a run is at work, here"

    (store.root / "running" / f"{os.getpid()}.json").unlink()
    assert {item.path.name for item in garbage(store)} == {ABC}
    age(unowned, 2)
    assert {item.path.name for item in garbage(store)} == {ABC, unowned.name}
    items = garbage(store, older_than=30)
    assert {item.path.name for item in items} == {ABC, OLD, unowned.name, lonely}
    clean(store, items)
    assert not store.has(OLD) and store.has(ABC)
    assert not store.data(lonely).exists() and store.data(split).exists()
    assert (store.root / f"checkpoints/{UNFINISHED}").is_dir() and (store.root / f"staging/{ALIVE}").is_dir()


def test_what_a_running_run_has_asked_for_is_not_old(store):
    """Even where the run began long ago and the stage was made before it."""
    for key in (ASKED, FORGOTTEN):
        publish(store, key)
        age(store.folder(key), 50)
    age(store.root / "running" / f"{os.getpid()}.json", 40)
    assert Store(store.root).has(ASKED)
    age(store.folder(ASKED), 39)
    assert [item.key for item in garbage(store, older_than=5)] == [FORGOTTEN]


def test_cleaning_leaves_a_record_of_attempts_that_died(store):
    code = (
        "import sys\nfrom pathlib import Path\nfrom derm_bench.store import Store\n"
        "Store(Path(sys.argv[1])).stage(key='abc', attempt={'attempt': 'a1' * 16, 'title': 'fit toy'})"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True)
    items = garbage(store)
    assert [item.path.name for item in items] == ["a1" * 16]
    (record,) = clean(store, items)
    assert record["status"] == "interrupted"
    assert not list((store.root / "staging").iterdir())


def test_a_folder_that_is_no_store_is_refused(in_process, tmp_path):
    ran = in_process("store", "ls", "--store", "nowhere")
    assert ran.code == 2
    assert str(tmp_path / "nowhere") in ran.err
    assert not (tmp_path / "nowhere").exists()


# ---------------------------------------------------------------- folders that are not ours


def everything(folder) -> dict[str, bytes]:
    """The files below a folder with their contents, and its empty folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("names", [("data/notes.txt", "aside/x", "staging/y"), ("objects/vase.obj",)])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_folder_of_other_things_is_no_place_for_a_store(in_process, write_matrix, tmp_path, names, command):
    matrix, project = write_matrix(seeds=[0]), tmp_path / "project"
    for name in names:
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text("years of work")
    before = everything(project)
    ran = in_process(command, matrix, "--store", project)
    assert ran.code == 2 and f"{project} is not empty and is not a store" in ran.err, ran.err
    assert in_process("store", "gc", "--store", project).code == 2
    assert everything(project) == before
    assert not (tmp_path / "runs").exists()


def test_a_version_file_of_another_project_makes_no_store(in_process, write_matrix, tmp_path):
    (tmp_path / "VERSION").write_text("1")
    ran = in_process("run", write_matrix(seeds=[0]), "--store", tmp_path)
    assert ran.code == 2 and "is not a store" in ran.err, ran.err
    assert not (tmp_path / "objects").exists()


def test_the_root_of_the_file_system_is_no_store(in_process, write_matrix):
    assert (
        "/ is not empty and is not a store" in in_process("run", write_matrix(seeds=[0]), "--store", "/").err
    )


def test_gc_touches_only_names_that_a_store_gives_and_lists_before_it_deletes(store, in_process):
    publish(store, OLD)
    publish(store, ABC)
    (store.folder(OLD) / "state").unlink()
    lonely = store.put(b"lonely")
    unowned = store.stage()
    age(unowned, 40)
    mine = [
        "data/notes.txt",
        f"data/{'5eed' * 16}",
        "aside/x/y",
        "staging/z.json",
        "staging/mine/w",
        "checkpoints/mine",
        "objects/ab/c/d",
    ]
    for name in mine:
        path = store.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("years of work")
        age(path, 90)
        age(path.parent, 90)
    assert not Store(store.root).has(OLD)
    (store.root / "running" / f"{os.getpid()}.json").unlink()
    dry = in_process("store", "gc", "--dry-run", "--older-than", "0")
    ran = in_process("store", "gc", "--older-than", "0")
    assert ran.code == 0, ran.err
    for listed in (f"data/{lonely}", f"aside/{OLD}-1", f"staging/{unowned.name}", f"objects/00/{ABC}"):
        assert f"{listed}: " in dry.out and ran.out.index(f"{listed}: ") < ran.out.index("freed")
        assert not (store.root / listed).exists()
    assert all((store.root / name).read_text() == "years of work" for name in mine)


def test_a_run_killed_while_it_made_its_store_goes_on(store, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f".VERSION.{ALIVE}").write_text("")
    Store(tmp_path / "new").prepare()
    assert Store(tmp_path / "new").check()


def test_plan_data_is_verified_too(store, in_process):
    split = store.put(b"image_id,group\n")
    store.data(split).write_text("image_id,gruop\n")
    ran = in_process("store", "verify")
    assert ran.code == 1
    assert "plan data" in ran.out and f"aside/{split}-1" in ran.out
    assert in_process("store", "verify").code == 0
