"""The names of the inputs and files of stages, shared by the code that plans, runs and reads stages."""

from __future__ import annotations

STAGE_FILE = "stage.json"
"""The file in every finished stage with its identity, result, attempt and the digests of its files."""

# Inputs with fixed names are `decode`, `fit`, `train`, `init`, `reference`, `real`; the others begin with one of these.

NEEDED = "requires/"
"""`requires/<name>`: the stage that makes the requirement `name` of the plugin. Samples have one input per class,
`requires/<name>/<class>`. The requirements of the required stage have names below it."""

DATA = "data/"
"""`data/<class>`: the samples that a generator is fitted on in place of real images."""

DERIVED = "derived/"
"""`derived/<name>`: named data derived from the images of the data set."""

DERIVED_SYNTHETIC = "derived-synthetic/"
"""`derived-synthetic/<name>/<class>`: named data derived from the samples of a class that are used for training."""

SYNTHETIC = "synthetic/"
"""`synthetic/<class>`: the samples that a classifier is trained on."""

SAMPLE = "sample/"
"""`sample/<class>`: the samples that a picture shows."""
