"""Tells without torch whether timm can get the published weights of a model: from its caches, or from the network."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path

SECONDS = 5.0  # to wait for an answer of the hub
TRUE = ("1", "on", "yes", "true")


def problem_of_published(model: str) -> str:
    """What keeps timm from getting the weights of `model`, an architecture with or without a tag; empty if nothing is
    known to."""
    if _is_cached(model):
        return ""
    reason = _unreachable(_hub())
    return reason and (
        f"pretrained: true needs the published weights of {model}, which are not in {_hub_cache()}, and {reason}; "
        "get them where there is a network, or write weights: PATH or pretrained: false"
    )


def _is_cached(model: str) -> bool:
    """Whether one of timm's caches has a file of weights of the model. Which tag is the default is known to timm alone,
    so that without a tag any one counts."""
    name = model if "." in model else f"{model}.*"
    hub = _hub_cache().glob(f"models--timm--{name}/snapshots/*/*")
    files = [file for file in hub if file.suffix in (".safetensors", ".bin")]
    architecture = model.partition(".")[0]
    return bool(files) or any((_torch_home() / "hub" / "checkpoints").glob(f"*{architecture}*"))


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _hub_cache() -> Path:
    """The cache of the Hugging Face hub, as its documentation of environment variables defines it."""
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if os.environ.get(variable):
            return Path(os.environ[variable]).expanduser() / below
    return _user_cache() / "huggingface" / "hub"


def _torch_home() -> Path:
    home = os.environ.get("TORCH_HOME")
    return Path(home).expanduser() if home else _user_cache() / "torch"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


@lru_cache(maxsize=4)
def _unreachable(address: str) -> str:
    """Why `address` cannot be reached; empty if it answers, with whatever status."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in TRUE:
        return "HF_HUB_OFFLINE forbids to fetch them"
    try:
        request = urllib.request.Request(address, method="HEAD")
        with urllib.request.urlopen(request, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return f"{address} cannot be reached ({reason})"


__all__ = ["problem_of_published"]
