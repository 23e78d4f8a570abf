"""The names timm knows, read from its source: importing timm would import torch into the parent."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from derm_bench.errors import did_you_mean

HUB_PREFIXES = ("hf_hub:", "hf-hub:", "local-dir:", "http:", "https:")
REGISTERED = re.compile(r"^@register_model\s*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


def check_name(name: str) -> None:
    """Raises ValueError unless `name` is a model of the installed timm: `architecture` or `architecture.tag`.

    Hub names, folders and URLs are refused: they run or download what the matrix does not name. Whether a tag
    exists is seen when the network is made.
    """
    if name.startswith(HUB_PREFIXES) or not NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' is not a timm model name; hub names, folders and URLs are not taken: "
            "give a name of timm.list_models(), and a file of your own as weights: PATH"
        )
    architecture = name.partition(".")[0]
    known = model_names()
    if architecture not in known:
        raise ValueError(
            f"timm {version('timm')} has no model '{architecture}'; {_hint(architecture, known)}"
        )


def model_names() -> frozenset[str]:
    """All architectures of the installed timm, without tags."""
    return _scan(version("timm"))


@lru_cache(maxsize=1)
def _scan(timm_version: str) -> frozenset[str]:
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise ValueError("timm is not installed; pip install timm")
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return frozenset(name for file in files for name in REGISTERED.findall(file.read_text("utf-8")))


def _hint(name: str, known: frozenset[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if hint.startswith("did you mean") else "timm.list_models() lists what it has"
