"""Options and specs of data sets of clinics and atlases: PAD-UFES-20, Fitzpatrick17k, DDI, PH2 and DermNet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.specs.shared import AllowsMissing


class PadUfes20Options(AllowsMissing):
    """Options of PAD-UFES-20."""

    root: Path = Field(description="folder with metadata.csv and the images, at any depth")
    task: Literal["diagnosis", "malignancy"] = Field(
        "diagnosis",
        description="diagnosis: ACK, BCC, MEL, NEV, SCC, SEK; malignancy: malignant (BCC, MEL, SCC) and benign",
    )


class Fitzpatrick17kOptions(AllowsMissing):
    """Options of Fitzpatrick17k. Some of its images are no longer on the web: `partial` reads those that you have."""

    root: Path = Field(description="folder with fitzpatrick17k.csv and <md5hash>.jpg, at any depth")
    label_column: Literal["label", "nine_partition_label", "three_partition_label"] = Field(
        "label", description="column with the label: of 114 conditions, or of 9 or 3 kinds of conditions"
    )


class DdiOptions(AllowsMissing):
    """Options of DDI (Diverse Dermatology Images), a data set for tests."""

    root: Path = Field(description="folder with ddi_metadata.csv and the images, at any depth")
    task: Literal["malignancy", "diagnosis"] = Field(
        "malignancy", description="malignancy: benign, malignant; diagnosis: the column `disease`"
    )


class Ph2Options(AllowsMissing):
    """Options of PH2."""

    root: Path = Field(
        description="folder with PH2_dataset (.csv, .xlsx or .txt) and the images, at any depth"
    )


class DermnetOptions(Options):
    """Options of the photographs of DermNet that Kaggle distributes."""

    root: Path = Field(description="folder with train/ and test/, each with 23 folders of conditions")


SPECS = [
    DatasetSpec(
        name="pad-ufes-20",
        summary="2,298 smartphone photographs of six skin lesions, grouped by patient",
        paper="Pacheco et al.: PAD-UFES-20, Data in Brief 32, 106221 (2020)",
        create="derm_bench_plugins.datasets.pad_ufes_20:make",
        options=PadUfes20Options,
        recognise="derm_bench_plugins.datasets.recognising:pad_ufes_20",
    ),
    DatasetSpec(
        name="fitzpatrick17k",
        summary="16,577 photographs of 114 conditions from two atlases, with Fitzpatrick types",
        paper="Groh et al.: Evaluating deep neural networks trained on clinical images, CVPR Workshops 2021",
        create="derm_bench_plugins.datasets.fitzpatrick17k:make",
        options=Fitzpatrick17kOptions,
        recognise="derm_bench_plugins.datasets.recognising:fitzpatrick17k",
    ),
    DatasetSpec(
        name="ddi",
        summary="656 photographs of light and dark skin, for tests",
        paper="Daneshjou et al.: Disparities in dermatology AI performance, Science Advances 8 (2022)",
        create="derm_bench_plugins.datasets.ddi:make",
        options=DdiOptions,
        recognise="derm_bench_plugins.datasets.recognising:ddi",
    ),
    DatasetSpec(
        name="ph2",
        summary="200 dermoscopy images of nevi and melanomas, with masks",
        paper="Mendonça et al.: PH2 - a dermoscopic image database, EMBC 2013",
        create="derm_bench_plugins.datasets.ph2:make",
        options=Ph2Options,
        recognise="derm_bench_plugins.datasets.recognising:ph2",
    ),
    DatasetSpec(
        name="dermnet",
        summary="about 19,500 photographs of 23 kinds of conditions from dermnet.com; no licence is known",
        create="derm_bench_plugins.datasets.dermnet:make",
        options=DermnetOptions,
        recognise="derm_bench_plugins.datasets.recognising:dermnet",
    ),
]
