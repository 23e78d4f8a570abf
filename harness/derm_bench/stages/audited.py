"""The images of a split as an audit looks at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derm_bench.audit.images import AuditedImages
from derm_bench.stages.decoded import Decoded


def audited(decoded: Decoded, known_groups: Mapping[str, str]) -> AuditedImages:
    """The readable images of a split that cleaning has left. known_groups: the group of each image that the data set
    knows, where the split has others."""
    split, files = decoded.split, decoded.files
    where = [
        i for i, name in enumerate(split.ids) if name in decoded.position and name not in decoded.dropped
    ]
    rows = [decoded.position[split.ids[i]] for i in where]

    def columns(given: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        return {name: [column[row] for row in rows] for name, column in given.items()}

    return AuditedImages(
        ids=[split.ids[i] for i in where],
        labels=[split.labels[i] for i in where],
        groups=[known_groups.get(split.ids[i], split.groups[i]) for i in where],
        parts=[split.parts[i] for i in where],
        classes=split.classes,
        pixels=np.load(decoded.folder / "images.npy", mmap_mode="r", allow_pickle=False),
        rows=np.array(rows, dtype=np.int64),
        pixel_digests=[files["digests"][row] for row in rows],
        file_digests=[files["contents"][row] for row in rows],
        attributes=columns(decoded.index["attributes"]),
        files=columns(files["headers"]),
    )
