"""Calls git for publishing: no hooks, no prompts, safe protocols only, no credentials in any output, no checkout.

A repository is read and written through git's objects: files of a remote are never checked out, so that neither links
nor attributes of the remote have an effect here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.plain_text import recorded

PROTOCOLS = "file:https:ssh"
TIMEOUT = 300
_SAFE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null"),
    *(
        "-c",
        "protocol.ext.allow=never",
        "-c",
        "submodule.recurse=false",
        "-c",
        "fetch.recurseSubmodules=false",
    ),
    *("-c", "fetch.fsckObjects=true", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *(
        "-c",
        "commit.gpgSign=false",
        "-c",
        "push.gpgSign=false",
        "-c",
        "core.askPass=",
        "-c",
        "credential.interactive=false",
    ),
)
_KEPT = ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSL_CAINFO")
"""The variables of git that a user may need for a push; all others are left out, tracing among them."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@|(?<![\w/])[^\s/@:'\"]+:[^\s/@'\"]+@(?=[\w.-]+:)")
_QUERY = re.compile(r"(://[^\s?'\"#]+)[?#][^\s'\"]*")


def without_credentials(text: str) -> str:
    """The text with user names, passwords and tokens of URLs left out."""
    return _QUERY.sub(r"\1", _CREDENTIALS.sub("", text))


class GitFailed(UserError):
    """A git command failed; `text` is what it said, without credentials."""

    def __init__(self, what: str, text: str) -> None:
        self.text = text
        super().__init__(f"git {what} failed: {text.strip() or 'without a message'}")


class Git:
    """A bare repository in a temporary folder, with one remote."""

    def __init__(self, folder: Path, remote: str) -> None:
        self.folder, self.remote = folder, checked_remote(remote)
        program = shutil.which("git")
        if program is None:
            raise UserError("publishing needs the program git, which is not installed")
        self._program = program
        folder.mkdir()
        self("init", "--quiet", "--bare", "--template=", str(folder))

    def __call__(
        self, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the output of a git command. Raises GitFailed, with its errors without credentials."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _KEPT}
        safe = {
            "GIT_DIR": str(self.folder),
            "GIT_ALLOW_PROTOCOL": PROTOCOLS,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_LITERAL_PATHSPECS": "1",
            "LC_ALL": "C",
        }
        try:
            done = subprocess.run(
                [self._program, *_SAFE, *words],
                input=b"" if stdin is None else stdin,
                capture_output=True,
                cwd=self.folder,
                env=kept | safe | dict(env or {}),
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitFailed(words[0], f"no answer within {TIMEOUT} s") from None
        if done.returncode:
            raise GitFailed(
                words[0], recorded(without_credentials(done.stderr.decode(errors="replace")), 2000)
            )
        return done.stdout

    def push(self, commit: str, branch: str, base: str | None) -> None:
        """Push a commit to a branch of the remote, on the condition that the branch is still `base` (None: absent)."""
        words = ["--quiet", "--no-verify", f"--force-with-lease=refs/heads/{branch}:{base or ''}"]
        if self.remote.startswith(("/", "file:")):  # hooks of a repository on this disk would run here
            words.append("--receive-pack=git -c core.hooksPath=/dev/null receive-pack")
        self("push", *words, "--", self.remote, f"{commit}:refs/heads/{branch}")

    def text(self, *words: str, **more: bytes) -> str:
        """The output of a git command as text, without the line break at its end."""
        return self(*words, **more).decode(errors="replace").strip()  # type: ignore[arg-type]

    def tip(self, branch: str) -> str | None:
        """The commit of a branch of the remote, which is fetched; None if there is no such branch."""
        found = self.text("ls-remote", "--heads", "--", self.remote, f"refs/heads/{branch}")
        if not found:
            return None
        self(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--",
            self.remote, f"+refs/heads/{branch}:refs/remotes/there",
        )  # fmt: skip
        return self.text("rev-parse", "--verify", "refs/remotes/there^{commit}")


def checked_remote(remote: str) -> str:
    """Return a remote that git may be given. Raises UserError for one that could be an option, for a protocol that runs
    programs or sends passwords in the clear."""
    shown = without_credentials(remote)
    if not remote or remote.startswith("-") or any(ord(c) < 32 for c in remote):
        raise UserError(
            f"{shown!r} is not a remote", hint="give a URL (https, ssh) or the path of a repository"
        )
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)::?//|([A-Za-z][A-Za-z0-9+.-]*)::", remote)
    name = (scheme[1] or scheme[2]).lower() if scheme else ""
    if name and name not in PROTOCOLS.split(":"):
        raise UserError(f"the protocol '{name}' is not used for publishing", hint="https, ssh and paths are")
    if not scheme and Path(remote).exists():
        return str(Path(remote).absolute())
    return remote
