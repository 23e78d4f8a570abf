"""Classes that are tiny or missing, images that could not be read, skin tones, and the licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import AuditedImages
from derm_bench.splits import PARTS

FEW_TRAINED, FEW_TESTED = 10, 5
"""Fewer training images, or test images, of a class than this are tiny."""

TONE_SHARE = 0.05
"""A skin tone with a smaller share of all images than this, or without a test image, is not covered."""

_NO_TRADE = re.compile(r"\bnc\b|non-?commercial|academic|research (use )?only", re.IGNORECASE)


def class_sizes(images: AuditedImages, planned: Collection[tuple[str, str]] = ()) -> Iterator[Finding]:
    """The findings about classes without images, or with few images, in a part of the split. `planned`: (class, part)
    of the planned images, of which some may have been unreadable or cleaned away."""
    counts = {part: Counter[str]() for part in PARTS}
    for part, label in zip(images.parts, images.labels, strict=True):
        counts[part][label] += 1
    used = [part for part in ("train", "val", "test") if counts[part]]
    absent = [(name, part) for name in images.classes for part in used if not counts[part][name]]
    missing = [pair for pair in absent if pair not in planned]
    if missing:
        yield Finding(
            code="missing_class",
            severity="stop",
            permit="missing_class",
            sentence=f"classes without an image in a part of the split: {_pairs(missing)}",
            counts={"missing": len(missing)},
            parts=tuple(dict.fromkeys(part for _, part in missing)),
            values={"missing": [list(pair) for pair in missing]},
        )
    emptied = [pair for pair in absent if pair in planned]
    if emptied:
        yield Finding(
            code="emptied_class",
            severity="warning",
            sentence="classes all of whose images in a part of the split are unreadable or were left out by `clean`: "
            f"{_pairs(emptied)}. What reads this part fails",
            counts={"emptied": len(emptied)},
            parts=tuple(dict.fromkeys(part for _, part in emptied)),
            values={"emptied": [list(pair) for pair in emptied]},
        )
    least = {"train": FEW_TRAINED, "test": FEW_TESTED}
    tiny = [
        (name, part, counts[part][name])
        for part, few in least.items()
        for name in images.classes
        if counts[part] and 0 < counts[part][name] < few
    ]
    if tiny:
        listed = "; ".join(f"{counted(n, 'image')} of '{name}' in {part}" for name, part, n in tiny[:6])
        yield Finding(
            code="tiny_class",
            severity="warning",
            sentence=f"tiny classes: {listed}"
            + (f"; and {len(tiny) - 6} more" if len(tiny) > 6 else "")
            + ". Scores of these classes say little",
            counts={"tiny": len(tiny)},
            parts=tuple(dict.fromkeys(part for _, part, _ in tiny)),
            values={"tiny": [list(one) for one in tiny]},
        )


def _pairs(found: Sequence[tuple[str, str]]) -> str:
    more = f"; and {len(found) - 6} more" if len(found) > 6 else ""
    return "; ".join(f"'{name}' in {part}" for name, part in found[:6]) + more


def unreadable(listed: Sequence[Mapping[str, str]], total: int) -> Iterator[Finding]:
    """The finding about images that decoding has set aside: `{id, reason}` of each, of `total` images."""
    if listed:
        first = listed[0]
        yield Finding(
            code="unreadable",
            severity="warning",
            sentence=f"{counted(len(listed), 'image')} of {total:,} cannot be read and "
            f"{'is' if len(listed) == 1 else 'are'} left out (for example {first['id']}: {first['reason']})",
            counts={"unreadable": len(listed), "of": total},
            images=bounded([[entry["id"]] for entry in listed]),
            values={"reasons": dict(Counter(entry["reason"] for entry in listed).most_common(10))},
        )


def dropped(reasons: Mapping[str, str]) -> Iterator[Finding]:
    """The finding about images that `clean` has removed: the reason by id (`blurred`, `copy of ...`)."""
    if reasons:
        kinds = Counter("copies" if why.startswith("copy of") else why for why in reasons.values())
        yield Finding(
            code="cleaned",
            severity="note",
            sentence=f"{counted(len(reasons), 'image')} left out by `clean`: "
            + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()),
            counts=dict(kinds),
            images=bounded(
                [name, why.removeprefix("copy of ")] if why.startswith("copy of") else [name]
                for name, why in sorted(reasons.items())
            ),
        )


def tone_coverage(images: AuditedImages) -> Iterator[Finding]:
    """The finding about skin tones that few images have, if the data set has the attribute `tone`."""
    tones = images.attributes.get("tone")
    if tones is None:
        return
    known = [_word(tone) for tone in tones]
    total, test = Counter[str](), Counter[str]()
    for tone, part in zip(known, images.parts, strict=True):
        if tone:
            total[tone] += 1
            test[tone] += part == "test"
    n = total.total()
    rare = [tone for tone in sorted(total) if not test[tone] or total[tone] < TONE_SHARE * n]
    missing = len(known) - n
    if not n or (not rare and missing <= len(known) / 2):
        return
    said = "; ".join(f"{tone}: {total[tone]:,} images, {test[tone]:,} of them in test" for tone in rare[:6])
    unknown = f"the skin tone of {missing:,} of {len(known):,} images is not known" if missing else ""
    yield Finding(
        code="tone_coverage",
        severity="warning",
        sentence="scores do not tell how skin of every tone fares: "
        + "; ".join(filter(None, [f"few images of tone {said}" if rare else "", unknown])),
        counts={"unknown": missing},
        values={"images": dict(sorted(total.items())), "test": dict(sorted(test.items()))},
    )


def licence(stated: str) -> Iterator[Finding]:
    """The finding about a licence that forbids commercial use, or about one that is not stated."""
    if _NO_TRADE.search(stated):
        yield Finding(
            code="noncommercial_licence",
            severity="warning",
            sentence=f"the licence of the images ({stated[:200]}) forbids commercial use: that holds for what is "
            "published of them too",
        )
    elif not stated:
        yield Finding(
            code="licence_not_stated",
            severity="note",
            sentence="the data set states no licence: find out what may be published of its images",
        )


def _word(value: Any) -> str:
    text = "" if value is None or value != value else str(value).strip()
    return "" if text.lower() in ("unknown", "nan", "none", "na") else text
