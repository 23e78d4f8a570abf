"""Compares the identities of two stages and describes in words which inputs differ. Without side effects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from derm_bench.plan.listing import changes, digests_in

LONGEST = 60
# Parameters that are digests or derived numbers: their values are not shown, only that they differ.
WORDS = {
    "split": "split changed",
    "images": "images, labels or groups of the data set changed",
    "seed": "seed changed",
}
# The parameters that say what a stage works on. Where they differ, the stages do different work.
SUBJECTS = ("dataset", "generator", "classifier", "fit_classes", "label", "of_class", "control", "title")
# What may differ in the identity of a plugin.
_OF_PLUGINS = {
    "source": "code",
    "options": "the options model",
    "declared": "what `depends_on` names",
    "spec": "the spec",
}
_ABSENT = object()


# Files that one line names at most.
NAMED = 5
# The content of plan data by its digest (`derm_bench.plan.listing`); None where it is not known.
Lists = Callable[[str], bytes | None]


def differences(
    new: Mapping[str, Any],
    old: Mapping[str, Any],
    titles: Mapping[str, str] | None = None,
    lists: Lists = lambda digest: None,
) -> list[str]:
    """The differences between two identities, one line per input: `options.lr: 0.001 -> 0.01` is old -> new.

    `titles` gives the titles of upstream stages by key; without it they are called by the name of the input. `lists`
    gives the lists of files and modules behind digests; with it, those that changed are named.
    """
    found = list(_parameters(old.get("params", {}), new.get("params", {}), lists))
    found += _code(old.get("code", {}), new.get("code", {}), lists)
    found += _numerics(old.get("numerics", {}), new.get("numerics", {}))
    found += _upstream(old.get("inputs", {}), new.get("inputs", {}), titles or {})
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


def _parameters(old: Any, new: Any, lists: Lists, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Compares parameters leaf by leaf, with the path of each leaf."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not _is_file(old) and not _is_file(new):
        for name in dict.fromkeys((*old, *new)):
            yield from _parameters(old.get(name, _ABSENT), new.get(name, _ABSENT), lists, (*path, str(name)))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            if _plain(before) != _plain(after):
                yield from _parameters(before, after, lists, (*path, str(place)))
    elif path[-1] in WORDS and len(path) == 1:
        yield WORDS[path[-1]]
    elif _is_file(old) and _is_file(new):
        was, now = next(iter(old.values())), next(iter(new.values()))
        what = "folder" if "folder" in old and "folder" in new else "file"
        inside = _named(was, now, lists) if what == "folder" else ""
        yield f"{'.'.join(path)}: the content of the {what} changed{inside}"
    elif _plain(old) != _plain(new):
        yield f"{'.'.join(path)}: {_shown(old)} -> {_shown(new)}"


def _is_file(value: Any) -> bool:
    """Whether a value is the digest that replaces a file or folder among the options."""
    return isinstance(value, Mapping) and set(value) in ({"sha256"}, {"folder"})


def _named(old: str, new: str, lists: Lists) -> str:
    """`: a.py, b.json (new)`, the names whose digests differ between two lists; empty if a list is not known."""
    contents = lists(old), lists(new)
    if contents[0] is None or contents[1] is None:
        return ""
    try:
        found = changes(digests_in(contents[0]), digests_in(contents[1]))
    except ValueError:  # damaged
        return ""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f": {', '.join(found[:NAMED])}{more}" if found else ""


def _code(old: Mapping[str, Any], new: Mapping[str, Any], lists: Lists) -> Iterator[str]:
    if old.get("stage") != new.get("stage"):
        yield f"engine code changed{_named(old.get('stage', ''), new.get('stage', ''), lists)}"
    before, after = ({used["name"]: used for used in side.get("plugins", ())} for side in (old, new))
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            yield f"plugin {name} is {'no longer used' if name in before else 'used now'}"
            continue
        was, now = before[name], after[name]
        if was["distribution"] != now["distribution"]:
            yield f"plugin {name} comes from {now['distribution']} instead of {was['distribution']}"
        for field, what in _OF_PLUGINS.items():
            if was.get(field) != now.get(field):
                inside = "" if field == "spec" else _named(was.get(field) or "", now.get(field) or "", lists)
                yield f"{what} of plugin {name} changed{inside}"
    called = old.get("called", {}), new.get("called", {})
    for name in called[1]:
        if name in called[0] and called[0][name] != called[1][name]:
            yield f"code of {name} changed{_named(called[0][name], called[1][name], lists)}"


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
