"""Tiny trees of files for every data set that has a reader, in the layouts that people have."""

from tests.datasets.trees import alopecia, clinics, faces, ham, isic_archive, isic_challenges, isic_patients
from tests.datasets.trees.build import Tree

TREES = {
    "ham10000": ham.LAYOUTS,
    "isic-2017": isic_challenges.ISIC_2017,
    "isic-2018": isic_challenges.ISIC_2018,
    "isic-2019": isic_challenges.ISIC_2019,
    "isic-2020": isic_patients.ISIC_2020,
    "isic-2024": isic_patients.ISIC_2024,
    "isic-archive": isic_archive.ISIC_ARCHIVE,
    "milk10k": isic_archive.MILK10K,
    "pad-ufes-20": clinics.PAD_UFES_20,
    "fitzpatrick17k": clinics.FITZPATRICK17K,
    "ddi": clinics.DDI,
    "ph2": clinics.PH2,
    "dermnet": clinics.DERMNET,
    "acne04": faces.ACNE04,
    "figaro1k": faces.FIGARO1K,
    "medmnist": faces.MEDMNIST,
    "alopecia": alopecia.ALOPECIA,
}

__all__ = ["TREES", "Tree"]
