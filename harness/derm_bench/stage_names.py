"""Names that a stage's inputs and files have: one place for those who plan, run and read stages."""

from __future__ import annotations

STAGE_FILE = "stage.json"
"""Beside the files of every finished stage: its identity, result, attempt and the digests of the files."""

# Inputs with fixed names are `decode`, `fit`, `train`, `init`, `reference`, `real`; the others begin with one of these.

NEEDED = "requires/"
"""`requires/<name>`: the stage that made what the plugin requires as `name`; samples have one per class,
`requires/<name>/<class>`; what that stage requires in turn stands below it."""

DATA = "data/"
"""`data/<class>`: the samples that a generator is fitted on in place of real images."""

DERIVED = "derived/"
"""`derived/<name>`: named data that was made from the images of the data set."""

DERIVED_SYNTHETIC = "derived-synthetic/"
"""`derived-synthetic/<name>/<class>`: the same, made from the samples of a class that are trained on."""

SYNTHETIC = "synthetic/"
"""`synthetic/<class>`: the samples that a classifier is trained on."""

SAMPLE = "sample/"
"""`sample/<class>`: the samples that are looked at."""
