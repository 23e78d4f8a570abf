"""Generators without a plugin: a folder of images and a shell script get rows, and what goes wrong gets failed ones."""

import json
import stat

import numpy as np
import pytest
from PIL import Image
from tests.conftest import read_csv, toy_matrix

COPY = 'for c in "$1"/*; do i=0; for f in "$c"/*; do cp "$f" "$2/${c##*/}/$i.png"; i=$((i+1)); done; done\n'
COMMAND = {"name": "command", "argv": ["sh", "{program}", "{train}", "{out}"], "samples_per_fit": 4}
# what a script does -> what its row says
WRONG = {
    "hangs": ("sleep 60", {"timeout": 0.5}, "was stopped after 0.5 s"),
    "grows": ("head -c 3000000 /dev/zero > big", {"max_megabytes": 1}, "`max_megabytes`"),
    "litters": ("for i in 1 2 3 4 5 6; do : > $i; done", {"max_files": 5}, "`max_files` allows 5"),
    "links": ('ln -s /etc/hosts "$2/blue/0.png"', {}, "left a link, {out}/blue/0.png"),
    "links-folder": ('rmdir "$2/blue"; ln -s "$1/blue" "$2/blue"', {}, "or replaced it with a link"),
    "spoils": (f'{COPY} echo no image > "$2/blue/0.png"', {}, "blue/0.png: not an image"),
    "few": ('cp "$1/blue/000000.png" "$2/blue"', {}, "left 1 images in {out}/blue, samples_per_fit is 4"),
    "fails": ("echo out of luck; exit 7", {}, "exit code 7; its last output:"),
    "breaks": (f"{COPY} exit 1", {}, "exit code 1; it printed nothing"),
}


@pytest.fixture
def folder(tmp_path):
    """Twelve images of `blue` and two of `green`."""
    for name, n in (("blue", 12), ("green", 2)):
        (tmp_path / "made" / name).mkdir(parents=True)
        for k in range(n):
            pixels = np.full((8, 8, 3), (10 + k, 10, 200) if name == "blue" else (10 + k, 200, 10), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "made" / name / f"{k}.png")
    return {"name": "folder", "root": "made", "trained_on": "paintings"}


def strategy(name, generator, **quota):
    return {"name": name, "generator": generator, "synthetic": {"per_class": quota or {"blue": 4}}}


def adapters(*strategies, **changes):
    return toy_matrix(seeds=[0], strategies=["real-only", *strategies], **changes)


def script(tmp_path, name, text) -> dict:
    (tmp_path / f"{name}.sh").write_text(text)
    return COMMAND | {"program": f"{name}.sh"}


def rows(tmp_path):
    return {row["strategy"]: row for row in read_csv(tmp_path / "runs" / "toy" / "results.csv")}


def test_a_folder_and_a_shell_script_get_rows(in_process, write_matrix, folder, tmp_path):
    command = script(tmp_path, "copy", COPY)
    matrix = write_matrix(adapters(strategy("bought", folder, blue=10), strategy("copied", command)))
    ran = in_process("run", matrix, "--allow-commands", figures=True)
    assert ran.code == 0, ran.err
    assert {name: (row["status"], row["n_train_synthetic"]) for name, row in rows(tmp_path).items()} == {
        "real-only": ("done", "0"),
        "bought": ("done", "10"),
        "copied": ("done", "4"),
    }
    out = tmp_path / "runs" / "toy"
    for text in ((out / "manifest.json").read_text(), (out / "report.html").read_text()):
        assert "paintings" in text and "it is not verified that no test image was used" in text
        assert "made by the external program sh" in text


def test_programs_are_shown_by_plan_and_refused_by_run_without_leave(in_process, write_matrix, tmp_path):
    command = script(tmp_path, "mark", f"touch {tmp_path}/ran\n{COPY}")
    matrix = write_matrix(adapters(strategy("copied", command)))
    line = f"sh {tmp_path / 'mark.sh'} {{train}} {{out}}"
    planned = in_process("plan", matrix)
    assert planned.code == 0 and line in planned.out.replace("\n", " ")
    (listed,) = json.loads(in_process("plan", matrix, "--json").out)["commands"]
    assert listed["argv"] == line.split() and "blue" in listed["stage"]
    refused = in_process("run", matrix)
    assert refused.code == 2 and line in refused.err and "--allow-commands" in refused.err
    probed = in_process("plan", matrix, "--probe")
    assert probed.code == 2 and "--probe never runs them" in probed.err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "runs").exists()
    assert in_process("run", matrix, "--allow-commands").code == 0 and (tmp_path / "ran").exists()
    assert in_process("run", matrix).code == 0  # nothing is left to run, so there is nothing to allow


def test_what_a_program_does_wrong_is_a_failed_row(in_process, write_matrix, tmp_path):
    arms = [
        strategy(name, script(tmp_path, name, text) | options) for name, (text, options, _) in WRONG.items()
    ]
    ran = in_process("run", write_matrix(adapters(*arms)), "--allow-commands")
    assert ran.code == 1 and "Traceback" not in ran.err
    found = rows(tmp_path)
    assert found.pop("real-only")["status"] == "done"
    for name, (_, _, said) in WRONG.items():
        assert found[name]["status"] == "skipped" and said in found[name]["error"], name
        assert "which ended as failed" in found[name]["error"]


def test_a_changed_program_runs_again(in_process, write_matrix, tmp_path):
    matrix = write_matrix(adapters(strategy("copied", script(tmp_path, "copy", COPY))))
    assert in_process("run", matrix, "--allow-commands").code == 0
    script(tmp_path, "copy", f"# better\n{COPY}")
    assert len(json.loads(in_process("plan", matrix, "--json").out)["commands"]) == 1


def test_a_changed_image_of_the_folder_is_read_again(in_process, write_matrix, folder, tmp_path):
    matrix = write_matrix(adapters(strategy("bought", folder)))
    assert in_process("run", matrix, figures=True).code == 0
    assert json.loads(in_process("plan", matrix, "--json").out)["to_run"] == {}
    Image.new("RGB", (8, 8)).save(tmp_path / "made" / "blue" / "3.png")
    assert "fit" in json.loads(in_process("plan", matrix, "--json").out)["to_run"]


@pytest.mark.parametrize("words", ["all", "the test set"])
def test_images_of_a_generator_that_saw_the_test_set_need_a_permit(in_process, write_matrix, folder, words):
    arm = strategy("bought", folder | {"trained_on": words})
    refused = in_process("plan", write_matrix(adapters(arm)))
    assert refused.code == 2 and "generator_sees_test" in refused.err and words in refused.err
    permitted = adapters(arm, protocol={"name": "paper", "allow": ["generator_sees_test"]})
    planned = in_process("plan", write_matrix(permitted))
    assert planned.code == 0 and "which includes validation or test images" in planned.out


def test_a_split_that_is_stated_must_be_the_one_that_is_planned(in_process, write_matrix, folder):
    plain = write_matrix(adapters())
    digest = json.loads(in_process("plan", plain, "--json").out)["splits"]["toy-blobs/0"]
    stated = folder | {"trained_on": "train", "split": digest[:12]}
    right = in_process("plan", write_matrix(adapters(strategy("bought", stated))))
    assert right.code == 0 and "verified" not in right.out
    stated["split"] = "0" * 12
    wrong = in_process("plan", write_matrix(adapters(strategy("bought", stated))))
    assert wrong.code == 2 and digest in wrong.err and "strategies.1.generator.split" in wrong.err


@pytest.mark.parametrize(
    ("quota", "said"),
    [({"blue": 13}, "has 12 images of 'blue', but the quota is 13"), ({"red": 1}, "has 0 images of 'red'")],
)
def test_a_quota_that_the_folder_cannot_meet_is_seen_while_planning(
    in_process, write_matrix, folder, quota, said
):
    refused = in_process("plan", write_matrix(adapters(strategy("bought", folder, **quota))))
    assert refused.code == 2 and said in refused.err and "strategies.1.synthetic" in refused.err


def test_a_folder_too_small_to_be_scored_is_said_while_planning(in_process, write_matrix, folder):
    arm = strategy("bought", folder, green=2)
    planned = in_process("plan", write_matrix(adapters(arm, metrics=["fd_domain"])))
    assert planned.code == 0 and "2 images of 'green' are too few to be scored" in planned.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no-such-gan", "{out}"], "there is no program 'no-such-gan' on the PATH"),
        (["./gan.sh", "{out}"], "a relative path; set `program` to its folder"),
        (["sh", "gan.sh", "{out}"], "'gan.sh' is a relative path of a file"),
        (["sh", "{output}"], "did you mean 'out'"),
    ],
)
def test_an_argv_that_cannot_run_is_seen_while_planning(in_process, write_matrix, tmp_path, argv, said):
    (tmp_path / "gan.sh").write_text(COPY)
    (tmp_path / "gan.sh").chmod(stat.S_IRWXU)
    arm = strategy("copied", {"name": "command", "argv": argv})
    refused = in_process("plan", write_matrix(adapters(arm)))
    assert refused.code == 2 and said in refused.err
