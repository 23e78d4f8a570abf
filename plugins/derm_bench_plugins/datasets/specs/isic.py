"""Options and specs of the ISIC challenges (2017 to 2020, 2024), the ISIC archive and MILK10k."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs.shared import AllowsMissing

Part = Literal["all", "training", "validation", "test"]
PART = "the part that is read; all: every part whose labels are there, with the challenge's own split"


class Isic2017Options(AllowsMissing):
    """Options of ISIC 2017, part 3."""

    root: Path = Field(
        description="folder with ISIC-2017_Training_Part3_GroundTruth.csv and the images, at any depth"
    )
    part: Part = Field("all", description=PART)
    task: Literal["diagnosis", "malignancy"] = Field(
        "diagnosis",
        description="diagnosis: melanoma, nevus, seborrheic_keratosis; malignancy: malignant (melanoma), benign",
    )


class Isic2018Options(AllowsMissing):
    """Options of ISIC 2018, task 3."""

    root: Path = Field(
        description="folder with ISIC2018_Task3_Training_GroundTruth.csv and the images, at any depth"
    )
    part: Part = Field("all", description=PART)


class Isic2019Options(AllowsMissing):
    """Options of ISIC 2019."""

    root: Path = Field(
        description="folder with ISIC_2019_Training_GroundTruth.csv and the images, at any depth"
    )
    part: Literal["all", "training", "test"] = Field("all", description=PART)


class Isic2020Options(AllowsMissing):
    """Options of ISIC 2020, of which only the training part has labels."""

    root: Path = Field(
        description="folder with train.csv or ISIC_2020_Training_GroundTruth.csv and the images, at any depth"
    )
    task: Literal["malignancy", "diagnosis"] = Field(
        "malignancy", description="malignancy: benign, malignant; diagnosis: the column `diagnosis`"
    )


class Isic2024Options(AllowsMissing):
    """Options of ISIC 2024 (SLICE-3D), of which only the training part has labels."""

    root: Path = Field(
        description="folder with train-metadata.csv and the images: files at any depth, or train-image.hdf5"
    )
    label_column: Literal["target", "iddx_1", "iddx_2", "iddx_3", "iddx_4", "iddx_5"] = Field(
        "target",
        description="target: benign, malignant; or a level of the diagnosis, where rows without one are set aside",
    )


class IsicArchiveOptions(AllowsMissing):
    """Options of a download from the ISIC archive."""

    root: Path = Field(description="folder with metadata.csv and <isic_id>.jpg, at any depth")
    label_column: str = Field(
        "diagnosis_1",
        description="column with the label: diagnosis_1 to diagnosis_5, benign_malignant, or any other; rows without "
        "a value are set aside",
    )


class Milk10kOptions(AllowsMissing):
    """Options of MILK10k, of which only the training part has labels."""

    root: Path = Field(
        description="folder with MILK10k_Training_GroundTruth.csv, MILK10k_Training_Metadata.csv and the images, at "
        "any depth"
    )
    image_type: Literal["all", "dermoscopic", "clinical"] = Field(
        "all", description="the images that are read; each lesion has one of each type"
    )


SPECS = [
    DatasetSpec(
        name="isic-2017",
        summary="ISIC 2017 challenge, part 3: melanoma, nevus and seborrheic keratosis in dermoscopy",
        paper="Codella et al.: Skin lesion analysis toward melanoma detection, ISBI 2018, arXiv:1710.05006",
        create="derm_bench_plugins.datasets.isic_challenges:isic_2017",
        options=Isic2017Options,
        recognise="derm_bench_plugins.datasets.recognising:isic_2017",
    ),
    DatasetSpec(
        name="isic-2018",
        summary="ISIC 2018 challenge, task 3: the images of HAM10000, and a validation and a test part",
        paper="Codella et al.: Skin lesion analysis toward melanoma detection 2018, arXiv:1902.03368",
        create="derm_bench_plugins.datasets.isic_challenges:isic_2018",
        options=Isic2018Options,
        recognise="derm_bench_plugins.datasets.recognising:isic_2018",
    ),
    DatasetSpec(
        name="isic-2019",
        summary="ISIC 2019 challenge: 25,331 dermoscopy images of eight diagnoses",
        paper="Combalia et al.: BCN20000: Dermoscopic lesions in the wild, arXiv:1908.02288",
        create="derm_bench_plugins.datasets.isic_challenges:isic_2019",
        options=Isic2019Options,
        recognise="derm_bench_plugins.datasets.recognising:isic_2019",
    ),
    DatasetSpec(
        name="isic-2020",
        summary="ISIC 2020 challenge: 33,126 dermoscopy images, grouped by patient, 584 of melanoma",
        paper="Rotemberg et al.: A patient-centric dataset, Scientific Data 8, 34 (2021)",
        create="derm_bench_plugins.datasets.isic_2020:make",
        options=Isic2020Options,
        recognise="derm_bench_plugins.datasets.recognising:isic_2020",
    ),
    DatasetSpec(
        name="isic-2024",
        summary="ISIC 2024 challenge (SLICE-3D): 401,059 crops of total body photographs, 393 malignant",
        paper="Kurtansky et al.: The SLICE-3D dataset, Scientific Data 11, 884 (2024)",
        create="derm_bench_plugins.datasets.isic_2024:Isic2024",
        options=Isic2024Options,
        recognise="derm_bench_plugins.datasets.recognising:isic_2024",
    ),
    DatasetSpec(
        name="isic-archive",
        summary="images and metadata that isic-cli or the web site of the ISIC archive downloads",
        create="derm_bench_plugins.datasets.isic_archive:make",
        options=IsicArchiveOptions,
        recognise="derm_bench_plugins.datasets.recognising:isic_archive",
    ),
    DatasetSpec(
        name="milk10k",
        summary="MILK10k: 5,240 lesions of eleven diagnoses, each as a clinical and a dermoscopic image",
        create="derm_bench_plugins.datasets.milk10k:make",
        options=Milk10kOptions,
        recognise="derm_bench_plugins.datasets.recognising:milk10k",
    ),
]
