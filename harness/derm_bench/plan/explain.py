"""Compares the identities of two stages and describes in words which inputs differ. Without side effects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LONGEST = 60
# Parameters that are digests or derived numbers: their values are not shown, only that they differ.
WORDS = {
    "split": "split changed",
    "images": "images, labels or groups of the data set changed",
    "seed": "seed changed",
}
# The parameters that say what a stage works on. Where they differ, the stages do different work.
SUBJECTS = ("dataset", "generator", "classifier", "fit_classes", "label", "of_class", "control", "title")
_ABSENT = object()


def differences(
    new: Mapping[str, Any], old: Mapping[str, Any], titles: Mapping[str, str] | None = None
) -> list[str]:
    """The differences between two identities, one line per input: `options.lr: 0.001 -> 0.01` is old -> new.

    `titles` gives the titles of upstream stages by key; without it they are called by the name of the input.
    """
    found = list(_parameters(old.get("params", {}), new.get("params", {})))
    found += _code(old.get("code", {}), new.get("code", {}))
    found += _numerics(old.get("numerics", {}), new.get("numerics", {}))
    found += _upstream(old.get("inputs", {}), new.get("inputs", {}), titles or {})
    found += [f"code of {name} changed" for name in _called_otherwise(old, new)]
    for name in ("kind", "function", "protocol"):
        if old.get(name) != new.get(name):
            what = "protocol version" if name == "protocol" else name
            found.append(f"{what} {old.get(name)} -> {new.get(name)}")
    return found


def nearest(
    identity: Mapping[str, Any], candidates: Iterable[tuple[Mapping[str, Any], str]], title: str = ""
) -> int | None:
    """The index of the candidate (identity, title) that differs least from `identity`; None if no candidate has the
    same kind. Candidates of the same kind are ranked by how many subjects and input names differ, then by the number of
    differences, then by whether the title is the same, then by their order."""
    best: tuple[int, int, bool, int] | None = None
    for place, (other, name) in enumerate(candidates):
        if other.get("kind") != identity.get("kind"):
            continue
        mine, theirs = identity.get("params", {}), other.get("params", {})
        strangeness = sum(_plain(mine.get(word)) != _plain(theirs.get(word)) for word in SUBJECTS)
        strangeness += len(set(identity.get("inputs", ())) ^ set(other.get("inputs", ())))
        rank = (strangeness, len(differences(identity, other)), name != title, place)
        best = rank if best is None else min(best, rank)
    return None if best is None else best[3]


def _parameters(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Compares parameters leaf by leaf, with the path of each leaf."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not _is_file(old) and not _is_file(new):
        for name in dict.fromkeys((*old, *new)):
            yield from _parameters(old.get(name, _ABSENT), new.get(name, _ABSENT), (*path, str(name)))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            if _plain(before) != _plain(after):
                yield from _parameters(before, after, (*path, str(place)))
    elif path[-1] in WORDS and len(path) == 1:
        yield WORDS[path[-1]]
    elif _is_file(old) and _is_file(new):
        yield f"{'.'.join(path)}: the content of the file changed"
    elif _plain(old) != _plain(new):
        yield f"{'.'.join(path)}: {_shown(old)} -> {_shown(new)}"


def _is_file(value: Any) -> bool:
    """Whether a value is the digest that replaces a file or folder among the options."""
    return isinstance(value, Mapping) and set(value) in ({"sha256"}, {"folder"})


def _code(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old.get("stage") != new.get("stage"):
        yield "engine code changed"
    before, after = ({used["name"]: used for used in side.get("plugins", ())} for side in (old, new))
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            yield f"plugin {name} is {'no longer used' if name in before else 'used now'}"
            continue
        was, now = before[name], after[name]
        if was["distribution"] != now["distribution"]:
            yield f"plugin {name} comes from {now['distribution']} instead of {was['distribution']}"
        elif was["version"] != now["version"]:
            yield f"plugin {name} of {now['distribution']} {was['version']} -> {now['version']}"
        if was["source"] != now["source"]:
            yield f"code of plugin {name} changed"
        for field, what in (("options", "the options model"), ("spec", "the spec")):
            if was.get(field) != now.get(field):
                yield f"{what} of plugin {name} changed"


def _called_otherwise(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The further functions that a stage calls whose code differs."""
    before, after = (side.get("code", {}).get("called", {}) for side in (old, new))
    yield from (name for name in after if name in before and before[name] != after[name])


def _numerics(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in ("device", "precision", "threads"):
        if old.get(name) != new.get(name):
            yield f"numerics.{name} {_shown(old.get(name))} -> {_shown(new.get(name))}"
    before, after = old.get("versions", {}), new.get("versions", {})
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name, 'not used')} -> {after.get(name, 'not used')}"


def _upstream(old: Mapping[str, str], new: Mapping[str, str], titles: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) == new.get(name):
            continue
        known = titles.get(new.get(name, ""), name)
        if name in old and name in new:
            yield f"upstream '{known}' changed"
        else:
            yield f"upstream '{known}' is {'no longer needed' if name in old else 'needed now'}"


def _plain(value: Any) -> Any:
    """The value as it is read back from JSON, where a tuple becomes a list."""
    return _ABSENT if value is _ABSENT else json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text[:12]
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
