"""Toy data: a class is a colour, two images a lesion."""

import hashlib

import numpy as np

from derm_bench.specs import DatasetDescription, Note, RawImage, Unreadable

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


class Blobs:
    def __init__(self, options, task):
        self.options, self.task = options, task

    def ids(self):
        return [f"blob{i + self.options.first:03d}" for i in range(self.options.images)]

    def describe(self, options):
        n = options.images
        names = list(options.names)
        # Classes of unequal size, so that balancing has something to do: 3 : 2 : 1.
        labels = [names[(0, 0, 0, 1, 1, 2)[(i // 2) % 6]] for i in range(n)]
        return DatasetDescription(
            ids=self.ids(),
            labels=labels,
            classes=names,
            licence="CC0",
            citation="The Toys, 2020",
            notes=[Note("set aside: grey blobs", ["blob<b>", "blob2"])],
            groups=[f"lesion{i // 2:03d}" for i in range(n)],
            attributes={
                "age": ["young"] * n if options.aged_in_words else [20 + i % 50 for i in range(n)],
                "site": ["arm" if i % 2 else "leg" for i in range(n)],
            },
            aux_labels={"side": [("left", "right", "")[i % 3] for i in range(n)]} if options.graded else {},
            ordinal=options.graded,
        )

    def fingerprint(self, options):
        text = f"{options.unreadable} {options.copies}"
        return {
            name: hashlib.sha256(f"{name.removeprefix('blob')} {text}".encode()).hexdigest()
            for name in self.ids()
        }

    def read(self, ids):
        description = self.describe(self.options)
        colours = dict(zip(self.options.names, COLOURS, strict=True))
        label = {
            name: colours[label] for name, label in zip(description.ids, description.labels, strict=True)
        }
        for name in ids:
            number = int(name.removeprefix("blob"))
            if number < self.options.unreadable:
                yield Unreadable("truncated")
                continue
            copied = 0 < number <= self.options.copies
            rng = np.random.default_rng(0 if copied else number)
            colour = COLOURS[label[self.ids()[0] if copied else name]]
            pixels = np.clip(np.array(colour) + rng.normal(0, 60, (12, 12, 3)), 0, 255).astype(np.uint8)
            yield RawImage(pixels)
