"""What goes wrong costs its own rows and nothing else; wrong input is refused before anything runs."""

import functools
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import read_csv, toy_matrix

from derm_bench.store import Store


def troubled(kind: str) -> dict:
    matrix = toy_matrix(seeds=[0])
    matrix["strategies"][2]["generator"]["trouble"] = kind
    return matrix


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("raise", "failed", "RuntimeError: the discriminator is on strike"),
        ("nan", "diverged", "loss"),
        ("memory", "oom", "no more memory"),
        ("full", "failed", "no space left on the disk"),
    ],
)
def test_a_stage_in_trouble_costs_its_own_cells_only(in_process, write_matrix, tmp_path, kind, status, said):
    ran = in_process("run", write_matrix(troubled(kind)), "--out", "out")
    assert ran.code == 1
    assert not list((tmp_path / "store/staging").iterdir()), "nothing of a dead worker is left"
    assert "Traceback" not in ran.out + ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "out/results.csv")}
    assert rows["real-only"]["status"] == rows["flipped"]["status"] == "done"
    assert rows["mean-balance"]["status"] == "skipped"
    assert said in rows["mean-balance"]["error"]
    assert f"ended as {status}" in rows["mean-balance"]["error"]
    assert status in {record["status"] for record in records_of(tmp_path)}


def records_of(folder: Path) -> list[dict]:
    paths = (folder / "store/records").rglob("*.jsonl")
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.slow  # of classifiers, and with the interpreter's lock held: test_misbehaviour.py
def test_what_ends_hangs_or_floods_a_worker_costs_its_own_cells_only(derm_bench, write_matrix, tmp_path):
    """In one run: a worker that exits, one that crashes, one that is stopped at its limit, and one that prints 5 MB."""
    said = {
        "exit": ("failed", "exit code 3"),
        "segfault": ("failed", "SIGSEGV"),
        "hang": ("timeout", "the limit is 3 s"),
    }
    matrix = troubled("none")
    fits = {
        kind: {"name": "toy-mean", "trouble": kind, "budget": {"updates": 4}} for kind in (*said, "print")
    }
    matrix["strategies"] += [
        {"name": kind, "generator": fit, "synthetic": {"per_class": {"blue": 4}}}
        for kind, fit in fits.items()
    ]
    ran = derm_bench("run", write_matrix(matrix), "--out", "out", "--timeout", "3")
    assert ran.code == 1
    assert not list((tmp_path / "store/staging").iterdir()), "nothing of a dead worker is left"
    assert "Traceback" not in ran.out + ran.err
    assert "chatty" not in ran.out + ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "out/results.csv")}
    for name in ("real-only", "flipped", "mean-balance", "print"):
        assert rows[name]["status"] == "done", rows[name]
    records = records_of(tmp_path)
    for name, (status, error) in said.items():
        assert rows[name]["status"] == "skipped"
        assert error in rows[name]["error"] and f"ended as {status}" in rows[name]["error"]
        assert [one["status"] for one in records if error in str(one.get("error"))] == [status]


def test_samples_of_the_wrong_shape_never_reach_a_classifier(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(troubled("shape")), "--out", "out")
    assert ran.code == 1
    row = {row["strategy"]: row for row in read_csv(tmp_path / "out/results.csv")}["mean-balance"]
    assert "expected uint8 [128, 3, S, S]" in row["error"]


def test_a_failed_classifier_is_a_row(in_process, write_matrix, tmp_path):
    classifiers = [{"name": "toy-centroid"}, {"name": "toy-centroid", "label": "bad", "trouble": "raise"}]
    ran = in_process(
        "run",
        write_matrix(seeds=[0], classifiers=classifiers),
        "--out",
        "out",
        "--only",
        "strategy=real-only",
        figures=True,
    )
    assert ran.code == 1
    rows = {row["classifier"]: row for row in read_csv(tmp_path / "out/results.csv")}
    assert rows["toy-centroid"]["status"] == "done"
    assert (rows["bad"]["status"], rows["bad"]["error"]) == ("failed", "RuntimeError: no idea")
    assert "no idea" in (tmp_path / "out/report.html").read_text()


def test_what_failed_is_tried_again_only_when_asked(in_process, write_matrix, tmp_path):
    matrix = write_matrix(troubled("raise"))
    in_process("run", matrix, "--out", "out")
    again = in_process("run", matrix, "--out", "out")
    assert again.code == 1
    assert "0 stages run" in again.out
    assert "--retry-failed" in (tmp_path / "out/results.csv").read_text()
    for said in (again.err, in_process("plan", matrix).out):
        assert "2 stages failed in an earlier run" in said and "--retry-failed" in said, said
    planned = json.loads(in_process("plan", matrix, "--json").out)
    assert set(planned["to_run"]) <= {"analyse"} and len(planned["failed_before"]) == 2
    assert [cell["failed_before"] for cell in planned["cells"]].count(True) == 1
    assert "2 stages run" in in_process("run", matrix, "--out", "out", "--retry-failed").out


def test_plan_says_what_is_tried_again_because_its_limit_is_raised(in_process, write_matrix, tmp_path):
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    planned = json.loads(in_process("plan", matrix, "--json").out)
    (key,) = [one["key"] for one in planned["stages"] if one["kind"] == "train"]
    store = Store(tmp_path / "store")
    store.prepare()
    stopped = {"status": "timeout", "seconds": 3.0, "error": {"message": "stopped"}, "limits": {"timeout": 3}}
    store.append(key, stopped)
    again = in_process("plan", matrix)
    assert "1 stage failed in an earlier run at a limit that is raised now" in again.out.replace("\n", " ")
    (found,) = json.loads(in_process("plan", matrix, "--json").out)["tried_again"]
    assert found["key"] == key
    limited = json.loads(in_process("plan", matrix, "--set", "limits.timeout=2", "--json").out)
    assert limited["tried_again"] == [] and [one["key"] for one in limited["failed_before"]] == [key]


def test_cells_of_a_stage_that_waits_for_a_person_are_skipped_with_the_instruction(
    in_process, write_matrix, tmp_path
):
    matrix = write_matrix(troubled("wait"))
    ran = in_process("run", matrix, "--out", "out", "--max-failures", "1")
    assert ran.code == 1, ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "out/results.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "real-only": "done",
        "flipped": "done",
        "mean-balance": "skipped",
    }
    said = rows["mean-balance"]["error"]
    assert said.startswith("waits for a person in 'fit toy-mean [") and said.endswith(
        "sort the images into the folder sorted, and run again"
    )
    assert "--retry-failed" not in said
    (tmp_path / "sorted").mkdir()
    again = in_process("run", matrix, "--out", "out")
    assert again.code == 0, again.err
    assert {row["status"] for row in read_csv(tmp_path / "out/results.csv")} == {"done"}


def test_max_failures_leaves_the_rest_pending(in_process, write_matrix, tmp_path):
    classifiers = [
        {"name": "toy-centroid", "label": f"bad{k}", "trouble": "raise", "lr": 0.1 * k} for k in (1, 2, 3)
    ]
    matrix = write_matrix(seeds=[0], classifiers=classifiers, strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out", "--max-failures", "1").code == 1
    statuses = sorted(row["status"] for row in read_csv(tmp_path / "out/results.csv"))
    assert statuses == ["failed", "pending", "pending"]


def started(matrix: Path, folder: Path) -> subprocess.Popen[bytes]:
    """A run in a process of its own, going on while the test looks at it."""
    command = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # A shell that starts the tests in its background has Ctrl-C ignored, and what ignores it is what children inherit.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        [*command, "run", str(matrix), "--out", "out"], cwd=folder, preexec_fn=heed, **quiet
    )


def wait_for(what: Callable[[], object], seconds: float = 60) -> bool:
    """Whether `what` came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.1)
    return False


def workers_of(parent: int) -> list[str]:
    """The pids of the workers of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"derm_bench.worker.serve" in words and str(parent).encode() in words:
            found.append(path.parent.name)
    return found


def at_work(folder: Path, kind: str = "") -> list[str]:
    """Notes of the attempts that are under way, of all stages or those of a kind."""
    found = []
    for path in (folder / "store/staging").glob("*.json"):
        try:
            found.append(path.read_text())
        except FileNotFoundError:  # has ended meanwhile
            continue
    return [note for note in found if kind in note]


def test_ctrl_c_leaves_a_directory_that_goes_on(write_matrix, tmp_path, toys, in_process):
    process = started(matrix := write_matrix(troubled("hang")), tmp_path)
    assert wait_for(lambda: at_work(tmp_path, "fit toy-mean"))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert "pending" in {row["status"] for row in read_csv(tmp_path / "out/results.csv")}
    ran = in_process("run", matrix, "--out", "out", "--set", "strategies.2.generator.trouble=none")
    assert ran.code == 0, ran.err


def test_a_second_ctrl_c_ends_it_at_once_and_it_goes_on_all_the_same(
    write_matrix, tmp_path, toys, in_process
):
    process = started(matrix := write_matrix(troubled("hang")), tmp_path)
    assert wait_for(lambda: at_work(tmp_path))
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert wait_for(lambda: not workers_of(process.pid))
    ran = in_process("run", matrix, "--out", "out", "--set", "strategies.2.generator.trouble=none")
    assert ran.code == 0, ran.err
    assert {row["status"] for row in read_csv(tmp_path / "out/results.csv")} == {"done"}


def test_a_checkpoint_goes_only_once_its_stage_is_published(in_process, write_matrix, monkeypatch):
    forgotten = []
    forget = Store.forget_checkpoint

    def note(store: Store, key: str) -> None:
        forgotten.append(store.has(key))
        forget(store, key)

    monkeypatch.setattr(Store, "forget_checkpoint", note)
    assert in_process("run", write_matrix(seeds=[0], strategies=["real-only"]), "--out", "out").code == 0
    assert forgotten and all(forgotten)


# ------------------------------------------------------------------------------ wrong input


def refused(ran, *said: str) -> None:
    assert ran.code == 2, (ran.code, ran.out, ran.err)
    assert "Traceback" not in ran.err
    for text in said:
        assert text in ran.err, ran.err


def test_a_missing_matrix_names_the_path_it_tried(in_process, tmp_path):
    refused(in_process("run", "nowhere.yaml"), str(tmp_path / "nowhere.yaml"))


def test_an_unknown_command_or_flag_is_refused(in_process, write_matrix):
    refused(in_process("rnu"), "run")
    refused(in_process("run", write_matrix(), "--ouut", "x"), "--out")


def test_an_unknown_key_is_named_with_its_line(in_process, write_matrix):
    path = write_matrix(
        "name: toy\ndataset: {name: toy-blobs}\nstrategies: [real-only]\n"
        "classifiers:\n  - {name: toy-centroid, lrr: 3}\n"
    )
    refused(in_process("run", path), f"{path}:5", "classifiers.0.lrr", "'lr'")


def test_an_unknown_plugin_is_named_with_the_nearest(in_process, write_matrix):
    refused(
        in_process("run", write_matrix(classifiers=["toy-centriod"])),
        "toy-centriod",
        "did you mean 'toy-centroid'",
    )


def test_a_store_behind_a_file_is_refused(in_process, write_matrix, tmp_path):
    (tmp_path / "file").write_text("")
    refused(
        in_process("run", write_matrix(), "--store", tmp_path / "file/store"),
        "cannot write the store",
        "--store",
    )


def test_an_out_behind_a_file_is_refused(in_process, write_matrix, tmp_path):
    (tmp_path / "file").write_text("")
    refused(
        in_process("run", write_matrix(), "--out", tmp_path / "file/out"), "cannot write the run directory"
    )


def test_a_folder_of_other_things_is_never_overwritten(in_process, write_matrix, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/thesis.txt").write_text("years of work")
    refused(in_process("run", write_matrix(), "--out", "precious"), "not empty")
    assert (tmp_path / "precious/thesis.txt").read_text() == "years of work"


def test_a_run_of_another_matrix_is_never_overwritten(in_process, write_matrix, tmp_path):
    in_process("run", write_matrix(seeds=[0]), "--out", "out", "--only", "strategy=real-only")
    refused(in_process("run", write_matrix(toy_matrix(name="other", seeds=[0])), "--out", "out"), "'toy'")


def test_a_class_with_too_few_images_is_refused_before_anything_runs(in_process, write_matrix, tmp_path):
    ran = in_process(
        "run", write_matrix(dataset={"name": "toy-blobs", "size": 8, "images": 12}), "--out", "out"
    )
    refused(ran, "matrix.yaml:2: datasets.0.split: class 'green' has too few images")
    assert not (tmp_path / "store/objects").exists() or not list((tmp_path / "store/objects").iterdir())


def test_too_many_unreadable_images_fail_the_decode_and_are_named(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "unreadable": 2}
    ran = in_process("run", write_matrix(dataset=dataset, seeds=[0]), "--out", "out")
    assert ran.code == 1
    row = read_csv(tmp_path / "out/results.csv")[0]
    assert row["status"] == "skipped"
    assert "2 of 90 images cannot be read (blob000: truncated" in row["error"]


def test_broken_image_files_fail_the_decode_and_are_named(in_process, write_matrix, tmp_path):
    root = tmp_path / "images"
    for green, name in ((100, "a"), (200, "b")):
        (root / name).mkdir(parents=True)
        for k in range(10):
            Image.new("RGB", (16, 16), (20 * k, green, 50)).save(root / name / f"{k}.png")
    whole = (root / "a/0.png").read_bytes()
    (root / "a/truncated.png").write_bytes(whole[: len(whole) // 2])
    (root / "a/text.jpg").write_text("this is no image")
    (root / "b/bomb.png").write_bytes(png_header(60_000, 60_000))
    dataset = {"name": "image-folder", "root": str(root), "size": 8, "split": {"val": 0.2}}
    matrix = write_matrix(dataset=dataset, strategies=["real-only"], seeds=[0])
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    for said in ("3 of 23 images", "a/truncated.png", "a/text.jpg", "b/bomb.png", "clean.unreadable"):
        assert said in row["error"]
    allowed = in_process("run", matrix, "--out", "out", "--set", "datasets.0.clean.unreadable=0.2")
    assert allowed.code == 0, allowed.err


def png_header(width: int, height: int) -> bytes:
    """A small file that claims a huge image."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82"


def test_a_missing_data_root_names_the_absolute_path(in_process, write_matrix, tmp_path):
    for name in ("image-folder", "ham10000"):
        ran = in_process("run", write_matrix(dataset={"name": name, "root": "no/such/place"}))
        refused(ran, str(tmp_path / "no/such/place"), "datasets.0")


def test_a_binary_file_is_no_matrix(in_process, tmp_path):
    (tmp_path / "matrix.yaml").write_bytes(bytes(range(256)) * 8)
    refused(in_process("run", "matrix.yaml"), "matrix.yaml")


def test_a_device_that_is_not_there_is_refused(in_process, write_matrix):
    refused(in_process("run", write_matrix(), "--device", "cuda:77"), "cuda:77")
    refused(in_process("run", write_matrix(), "--device", "tpu"), "auto, cpu, cuda")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_fails_rows_and_loses_nothing(write_matrix, tmp_path, toys):
    """A real one: a tmpfs of 3 MB in a mount namespace of its own."""
    matrix = write_matrix(seeds=[0], dataset={"name": "toy-blobs", "size": 256, "images": 90})
    small = tmp_path / "small"
    small.mkdir()
    command = f"{sys.executable} -c 'from derm_bench.cli import main; main()'"
    run = f"{command} run {matrix} --out {tmp_path}/out --store {small}/store --executor inline"
    script = f"mount -t tmpfs -o size=3m none {small} && {run}; code=$?; ls {small}/store/objects; exit $code"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, env=os.environ, timeout=120
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()[:80]}")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "no space left" in (tmp_path / "out/results.csv").read_text()


def test_missing_weights_are_refused_before_anything_runs(in_process, write_matrix, tmp_path, monkeypatch):
    classifiers = [{"name": "toy-centroid", "weights": "nowhere.safetensors"}]
    refused(
        in_process("run", write_matrix(classifiers=classifiers)),
        "does not exist",
        str(tmp_path / "nowhere.safetensors"),
    )
    monkeypatch.setenv("DERM_BENCH_INCEPTION", str(tmp_path / "inception.pth"))
    ran = in_process("run", write_matrix(metrics=["fid"]))
    refused(ran, "Inception weights are missing", str(tmp_path / "inception.pth"))


def test_workers_die_with_their_parent(write_matrix, tmp_path, toys):
    parent = started(write_matrix(troubled("hang")), tmp_path)
    assert wait_for(lambda: workers_of(parent.pid))
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not workers_of(parent.pid))


def test_an_attempt_that_died_with_its_run_gets_a_record(write_matrix, tmp_path, toys, in_process):
    parent = started(matrix := write_matrix(troubled("hang")), tmp_path)
    assert wait_for(lambda: at_work(tmp_path, "fit toy-mean"))
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not workers_of(parent.pid))
    ran = in_process("run", matrix, "--out", "out", "--only", "strategy=real-only")
    assert ran.code == 0, ran.err
    ended = {(record["title"], record["status"]) for record in records_of(tmp_path)}
    assert any(title.startswith("fit toy-mean") and status == "interrupted" for title, status in ended)


def test_a_run_that_died_while_writing_its_tables_can_go_on(in_process, write_matrix, tmp_path, monkeypatch):
    matrix = write_matrix(seeds=[0])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("derm_bench.rundir.directory.write_predictions", die)
        assert in_process("run", matrix, "--out", "out", "--only", "strategy=real-only").code == 130
    assert (tmp_path / "out/results.csv").exists()
    assert in_process("run", matrix, "--out", "out", "--only", "strategy=real-only").code == 0
