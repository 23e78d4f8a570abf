"""Options and specs of photographs of faces and hair (ACNE04, Figaro1k), and of MedMNIST."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.specs.shared import AllowsMissing


class Acne04Options(AllowsMissing):
    """Options of ACNE04."""

    root: Path = Field(description="folder with JPEGImages/ and the lists NNEW_trainval_*.txt, at any depth")
    fold: Literal[0, 1, 2, 3, 4] = Field(0, description="the fold whose lists are the given split")


class Figaro1kOptions(Options):
    """Options of Figaro1k."""

    root: Path = Field(description="folder with Original/ and GT/, at any depth")


class MedmnistOptions(Options):
    """Options of MedMNIST, of which DermaMNIST is read."""

    root: Path = Field(description="the file dermamnist.npz or dermamnist_<side>.npz, or a folder with it")
    side: Literal[28, 64, 128, 224] = Field(
        28, description="side in pixels of the images in the file: dermamnist.npz, or dermamnist_<side>.npz"
    )


SPECS = [
    DatasetSpec(
        name="acne04",
        summary="1,457 photographs of faces in four ordered grades of acne",
        paper="Wu et al.: Joint acne image grading and counting, ICCV 2019",
        create="derm_bench_plugins.datasets.acne04:make",
        options=Acne04Options,
        recognise="derm_bench_plugins.datasets.recognising:acne04",
    ),
    DatasetSpec(
        name="figaro1k",
        summary="1,050 photographs of hair in seven styles, with masks",
        paper="Svanera et al.: Figaro, hair detection and segmentation in the wild, ICIP 2016",
        create="derm_bench_plugins.datasets.figaro1k:make",
        options=Figaro1kOptions,
        recognise="derm_bench_plugins.datasets.recognising:figaro1k",
    ),
    DatasetSpec(
        name="medmnist",
        summary="DermaMNIST: HAM10000 as arrays of 28 to 224 pixels, without lesions or ids",
        paper="Yang et al.: MedMNIST v2, Scientific Data 10, 41 (2023)",
        create="derm_bench_plugins.datasets.medmnist:Medmnist",
        options=MedmnistOptions,
        recognise="derm_bench_plugins.datasets.recognising:medmnist",
    ),
]
