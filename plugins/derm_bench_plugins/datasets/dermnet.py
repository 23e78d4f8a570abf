"""dermnet: photographs of dermnet.com in 23 folders of conditions, as Kaggle distributes them. No licence is known."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.clinics import DermnetOptions

FOLDERS = (
    "Acne and Rosacea Photos",
    "Actinic Keratosis Basal Cell Carcinoma and other Malignant Lesions",
    "Atopic Dermatitis Photos",
    "Bullous Disease Photos",
    "Cellulitis Impetigo and other Bacterial Infections",
    "Eczema Photos",
    "Exanthems and Drug Eruptions",
    "Hair Loss Photos Alopecia and other Hair Diseases",
    "Herpes HPV and other STDs Photos",
    "Light Diseases and Disorders of Pigmentation",
    "Lupus and other Connective Tissue diseases",
    "Melanoma Skin Cancer Nevi and Moles",
    "Nail Fungus and other Nail Disease",
    "Poison Ivy Photos and other Contact Dermatitis",
    "Psoriasis pictures Lichen Planus and related diseases",
    "Scabies Lyme Disease and other Infestations and Bites",
    "Seborrheic Keratoses and other Benign Tumors",
    "Systemic Disease",
    "Tinea Ringworm Candidiasis and other Fungal Infections",
    "Urticaria Hives",
    "Vascular Tumors",
    "Vasculitis Photos",
    "Warts Molluscum and other Viral Infections",
)
SPLITS = ("train", "test")
ABOUT = About(
    "DermNet",
    source="Kaggle (shubhamgoel27/dermnet)",
    layout="train/ and test/, each with folders such as 'Acne and Rosacea Photos'",
    citation="Photographs of dermnet.com, collected at https://www.kaggle.com/datasets/shubhamgoel27/dermnet",
)
NO_LICENCE = (
    "no licence is known and the photographs have copyright: ask the owner before you publish them, or samples of a "
    "generator that was fitted on them"
)


def make(options: DermnetOptions, task: Task) -> Published:
    """DermNet. Classes are the names of the folders; ids are paths below the root. It has no groups."""
    return Published(options, task, scan)


def scan(options: DermnetOptions) -> Catalogue:
    """List the root. The images are in <split>/<condition>/, at any depth below the root."""
    disk = Disk(options.root, ABOUT)
    images: dict[str, str] = {}
    of_split: dict[str, set[str]] = defaultdict(set)
    labels, splits, strangers = [], [], []
    for path in disk.images.paths:
        name = disk.images.name(path)
        parts = name.split("/")
        if len(parts) < 3 or parts[-3].lower() not in SPLITS:
            strangers.append(name)
            continue
        images[name] = path
        labels.append(parts[-2])
        splits.append(parts[-3].lower())
        of_split[parts[-3].lower()].add(parts[-2])
    known = sorted({label for label in labels if label.lower() in {folder.lower() for folder in FOLDERS}})
    if not known:
        raise disk.absent(f"no train{os.sep}{FOLDERS[0]}{os.sep} or another folder of DermNet")
    _refuse_half(disk, of_split)
    description = DatasetDescription(
        ids=list(images),
        labels=labels,
        classes=sorted(set(labels)),
        given_split=splits,
        citation=ABOUT.citation,
        notes=[
            Note(NO_LICENCE),
            Note("there are no groups: photographs of one person may be in training and test"),
            *disk.images.notes(),
            *_notes("set aside: images outside of train/<condition>/ and test/<condition>/", strangers),
            *_notes("conditions that DermNet does not have", sorted(set(labels) - set(known))),
        ],
    )
    return files.Catalogue(description, images)


def _refuse_half(disk: Disk, of_split: dict[str, set[str]]) -> None:
    """Raise UserError if train or test is absent, or lacks a class that the other has."""
    for here, there in (SPLITS, SPLITS[::-1]):
        missing = of_split[there] - of_split[here]
        if missing:
            lacking = f"{len(missing)} of {len(missing | of_split[here])} conditions"
            raise UserError(
                f"{disk.root}: {here}/ lacks {lacking} of {there}/: {files.some(missing)}", hint=ABOUT.hint
            )


def _notes(text: str, names: list[str]) -> list[Note]:
    return [Note(text, names)] if names else []
