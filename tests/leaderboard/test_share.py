"""Boards of several people: merging, publishing, and two who publish at the same time."""

import json
import os
import shutil
import subprocess
import threading

import pytest
from tests.leaderboard.conftest import make_run, sealed

from derm_bench.errors import UserError
from derm_bench.leaderboard import publish as publishing
from derm_bench.leaderboard.git import Git, checked_remote, without_credentials
from derm_bench.leaderboard.merge import merge
from derm_bench.leaderboard.publish import publish
from derm_bench.leaderboard.verify import verify_board


@pytest.fixture(scope="module")
def theirs_made(plugins, tmp_path_factory):
    """A board of the same task, made from a run of somebody else; to be copied."""
    from derm_bench.leaderboard.add import add
    from derm_bench.leaderboard.taken import Asked

    folder = tmp_path_factory.mktemp("theirs")
    run = make_run(folder / "run", {"mixup": 0.6}, rng=7, seeds=(0,))
    assert add(run, folder / "board", plugins, Asked(entry="theirs")).problems == []
    return folder / "board"


@pytest.fixture
def board(small, tmp_path):
    return shutil.copytree(small, tmp_path / "board")


@pytest.fixture
def theirs(theirs_made, tmp_path):
    return shutil.copytree(theirs_made, tmp_path / "theirs")


@pytest.fixture
def remote(tmp_path):
    """An empty repository on this disk."""
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "remote.git"], check=True)
    return tmp_path / "remote.git"


def git(remote, *words):
    command = ["git", "-C", remote, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def entries_on(remote, branch="main"):
    names = git(remote, "ls-tree", "--name-only", f"{branch}:leaderboards/moles-32/entries")
    return sorted(names.splitlines())


def test_boards_of_one_task_are_merged(board, theirs, entry):
    merged = merge(board, [theirs])
    assert (merged.added, merged.same, merged.problems) == (["theirs"], 0, [])
    assert verify_board(board).entries == 2 and "theirs" in (board / "leaderboard.csv").read_text()
    again = merge(board, [theirs])
    assert (again.added, again.same) == ([], 2 - 1)
    shutil.copytree(entry, theirs / "entries" / entry.name)
    assert merge(theirs, [board]).same == 2, "equal entries are the same entry"


def test_entries_of_one_id_that_differ_are_a_conflict(board, theirs, entry):
    shutil.move(theirs / "entries/theirs", theirs / "entries" / entry.name)
    manifest = theirs / "entries" / entry.name / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"theirs"', f'"{entry.name}"'))
    (problem,) = merge(board, [theirs]).problems
    assert "different entries of this id" in problem and str(theirs) in problem
    assert verify_board(board).entries == 1, "and nothing is changed"


def test_a_wrong_entry_or_another_task_is_not_merged(board, theirs):
    text = (theirs / "board.yaml").read_text()
    (theirs / "board.yaml").write_text(text.replace("protocol_version: '2'", "protocol_version: '3'"))
    with pytest.raises(UserError, match="`protocol_version` is 2 here and 3 there"):
        merge(board, [theirs])
    (theirs / "board.yaml").write_text(text)
    results = theirs / "entries/theirs/results.csv"
    results.write_text(results.read_text().replace(",100,", ",-100,"))
    sealed(theirs / "entries/theirs")
    assert "updates is -100" in merge(board, [theirs]).problems[0]
    assert verify_board(board).entries == 1


def test_a_board_is_pushed_and_pushed_again(board, remote, entry):
    first = publish(board, str(remote))
    assert first.pushed and first.place == "leaderboards/moles-32"
    assert git(remote, "rev-parse", "main") == first.commit and entries_on(remote) == [entry.name]
    page = git(remote, "show", "main:leaderboards/moles-32/index.html")
    assert page.strip() == (board / "index.html").read_text().strip()
    second = publish(board, str(remote))
    assert not second.pushed and git(remote, "rev-list", "--count", "main") == "1"


@pytest.mark.slow
def test_what_others_have_pushed_is_kept(board, theirs, remote, entry, tmp_path):
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", remote, work], check=True, capture_output=True)
    (work / "README.md").write_text("something else")
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
                  ["push", "-q", "origin", "HEAD:main"]):  # fmt: skip
        subprocess.run(["git", "-C", work, *words], check=True)
    publish(theirs, str(remote))
    published = publish(board, str(remote))
    assert published.pushed and entries_on(remote) == [entry.name, "theirs"]
    assert git(remote, "show", "main:README.md") == "something else"
    assert git(remote, "rev-list", "--count", "main") == "3"
    assert verify_board(board).entries == 1, "the folder itself is not changed"


def test_two_who_publish_at_once_lose_nothing(board, theirs, remote, entry, monkeypatch):
    """Both have fetched the branch before either pushes."""
    barrier, waited = threading.Barrier(2, timeout=60), set()
    commit = publishing._commit

    def wait_for_the_other(*arguments):
        made = commit(*arguments)
        if threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            barrier.wait()
        return made

    monkeypatch.setattr(publishing, "_commit", wait_for_the_other)
    results = []
    threads = [
        threading.Thread(target=lambda b=b: results.append(publish(b, str(remote)))) for b in (board, theirs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.pushed for result in results] == [True, True]
    assert entries_on(remote) == [entry.name, "theirs"]
    assert git(remote, "rev-list", "--count", "main") == "2"


def test_hooks_and_what_a_remote_has_are_not_run(board, remote, tmp_path, monkeypatch):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for place in (hooks, remote / "hooks"):
        for name in ("pre-push", "pre-receive", "reference-transaction", "post-index-change"):
            (place / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
            (place / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f'[core]\n\thooksPath = {hooks}\n[filter "x"]\n\tclean = touch {tmp_path}/ran\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(config.read_text())
    assert publish(board, str(remote)).pushed
    assert not (tmp_path / "ran").exists()


def test_a_link_on_the_branch_is_refused(board, remote, tmp_path):
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", remote, work], check=True, capture_output=True)
    (work / "leaderboards/moles-32").mkdir(parents=True)
    (work / "leaderboards/moles-32/entries").symlink_to("/etc")
    for words in (["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
                  ["push", "-q", "origin", "HEAD:main"]):  # fmt: skip
        subprocess.run(["git", "-C", work, *words], check=True)
    with pytest.raises(UserError, match="has a link"):
        publish(board, str(remote))


def test_a_wrong_entry_is_not_pushed(board, remote, entry):
    manifest = json.loads((entry / "manifest.json").read_text())
    (entry / "manifest.json").write_text(json.dumps(manifest | {"protocol_version": "9"}))
    published = publish(board, str(remote))
    assert published.problems and not published.pushed and git(remote, "for-each-ref") == ""


@pytest.mark.parametrize(
    "remote",
    ["ext::sh -c touch% /tmp/x", "git://host/x", "http://host/x", "--upload-pack=x", "fd::1", "", "a\nb"],
)
def test_remotes_that_run_programs_or_send_passwords_are_refused(remote):
    with pytest.raises(UserError):
        checked_remote(remote)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@host/x.git", "https://host/x.git"),
        ("fatal: 'https://tok3n@host/x?access_token=abc' not found", "fatal: 'https://host/x' not found"),
        ("me:s3cret@host:x.git", "host:x.git"),
        ("git@github.com:me/x.git", "git@github.com:me/x.git"),
    ],
)
def test_credentials_are_left_out(text, shown):
    assert without_credentials(text) == shown


def test_a_push_that_fails_says_why_without_credentials(board, tmp_path, in_process):
    ran = in_process("leaderboard", "publish", board, "--remote", "https://me:s3cret@localhost:9/x.git")
    assert ran.code == 2 and "s3cret" not in ran.out + ran.err and "localhost:9" in ran.err
    ran = in_process("leaderboard", "publish", board, "--remote", tmp_path / "absent.git")
    assert ran.code == 2 and "git ls-remote failed" in ran.err


def test_tracing_that_would_print_credentials_is_off(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    Git(tmp_path / "repository", str(remote)).tip("main")
    assert not (tmp_path / "trace").exists() and not (tmp_path / "elsewhere").exists()
    assert os.environ["GIT_TRACE"]


@pytest.mark.slow
def test_the_command_adds_builds_verifies_and_merges(run, theirs, tmp_path, in_process):
    ran = in_process("leaderboard", "add", run, "--board", "mine", "--by", "me")
    assert ran.code == 0 and "made the board mine" in ran.out, ran.err
    assert (tmp_path / "mine/index.html").is_file()
    ran = in_process("leaderboard", "verify", "mine")
    assert ran.code == 0 and "no differences" in ran.out and "self-reported: 1 values of fd_domain" in ran.out
    ran = in_process("leaderboard", "merge", "mine", theirs)
    assert ran.code == 0 and "1 entries added" in ran.out
    results = tmp_path / "mine/entries/theirs/results.csv"
    results.write_text(results.read_text().replace(",100,", ",-100,"))
    ran = in_process("leaderboard", "build", "mine")
    assert ran.code == 1 and "theirs/results.csv" in ran.out and "differs from its digest" in ran.out
    said = json.loads(in_process("leaderboard", "verify", "mine", "--json").out)
    assert [problem["entry"] for problem in said["problems"]] == ["theirs"]
    assert in_process("leaderboard", "verify", tmp_path).code == 2
