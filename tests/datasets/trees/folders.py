"""Trees of class folders, and what `image-folder` says of them."""

from derm_bench.specs import Task, create
from derm_bench_plugins.datasets import specs

SPEC = {spec.name: spec for spec in specs()}["image-folder"]


def each(folders, names=("1.jpg", "2.jpg")):
    return [f"{folder}/{name}" for folder in folders for name in names]


def opened(root, **options):
    options = SPEC.options(root=root, **options)
    return create(SPEC, options, Task((), 16)), options


def described(root, **options):
    dataset, options = opened(root, **options)
    return dataset.describe(options)


def noted(found):
    return {note.text.removeprefix("set aside: "): list(note.names) for note in found.notes}


def groups_of(found):
    return dict(zip(found.ids, found.groups, strict=True))
