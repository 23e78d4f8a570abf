"""Names of the inputs and files of stages, for the code that plans, runs and reads stages."""

from __future__ import annotations

from typing import Final

STAGE_FILE = "stage.json"
"""The file beside the outputs of every finished stage, with its identity, result, attempt and digests of files."""

# Inputs with fixed names are `decode`, `fit`, `train`, `init`, `reference`, `real`, `external`, `samples`,
# `extra`, `outside` and `chosen`; the others begin with one of the names below that end in a slash.

EXTERNAL = "external"
"""The decoded images of an external test set, beside `decode`."""

SAMPLES = "samples"
"""The samples that a filter chooses from."""

EXTRA = "extra"
"""The decoded images without labels that a generator is fitted on as well."""

OUTSIDE = "outside"
"""The decoded images of another data set that an audit compares with those of `decode`."""

CHOSEN = "chosen"
"""The choice of the snapshot that is sampled from."""

SCORE = "score/"
"""`score/<update>/<class>`: the scores of a snapshot, among which one is chosen; `last` for the end of the fit."""

NEEDED = "requires/"
"""`requires/<name>`: the stage that makes the requirement `name` of a plugin. Samples have one stage per class,
`requires/<name>/<class>`. The requirements of that stage have names below its own."""

DATA = "data/"
"""`data/<class>`: samples that a generator is fitted on instead of real images."""

DERIVED = "derived/"
"""`derived/<name>`: named data derived from the images of the data set."""

DERIVED_SYNTHETIC = "derived-synthetic/"
"""`derived-synthetic/<name>/<class>`: the same, made from the samples of a class that are trained on."""

SYNTHETIC = "synthetic/"
"""`synthetic/<class>`: samples that a classifier is trained on."""

SAMPLE = "sample/"
"""`sample/<class>`: samples that are shown in sheets of images."""

FITTED_ON: Final = "fitted_on"
"""In the place of an update: samples of another generator that a network of this one was fitted on."""
