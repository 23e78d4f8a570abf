"""Validates the names of timm networks. Imports no torch."""

from __future__ import annotations

import re

from derm_bench_plugins.classifiers.model_registry import check_registered

HUB_PREFIXES = ("hf_hub:", "hf-hub:", "local-dir:", "http:", "https:")
NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")


def known_model(name: str) -> str:
    """Return the name. Raises ValueError unless it is a model of the installed timm: `architecture` or
    `architecture.tag`.

    Hub names, folders and URLs are rejected: they run or download code that the matrix does not name. Whether a tag
    exists is checked when the network is created.
    """
    if name.startswith(HUB_PREFIXES) or not NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' is not a timm model name; hub names, folders and URLs are not accepted: "
            "write a name from timm.list_models(), and set weights: PATH for a file of your own"
        )
    check_registered("timm", name.partition(".")[0], "timm.list_models()")
    return name
