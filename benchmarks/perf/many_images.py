"""Time and memory of `data inspect` and `plan` on a data set of 400,000 images in the layout of ISIC 2024.

    python benchmarks/perf/many_images.py FOLDER [--rows 400000] [--copies]

Makes FOLDER if it does not exist: `train-metadata.csv` with the columns of ISIC 2024, and `train-image/image/*.jpg`,
hard links to a few small JPEGs, or a file each with `--copies`. Then it runs each command twice, in new processes with
an empty cache for the first, and prints seconds (and those of the processor, which other work does not lengthen) and
the peak of resident memory.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

LINKS = 30_000  # of one file; file systems have limits
HEADER = (
    "isic_id target patient_id age_approx sex anatom_site_general clin_size_long_diam_mm image_type tbp_tile_type "
    "tbp_lv_A tbp_lv_Aext tbp_lv_B tbp_lv_Bext tbp_lv_C tbp_lv_Cext tbp_lv_H tbp_lv_Hext tbp_lv_L tbp_lv_Lext "
    "tbp_lv_areaMM2 tbp_lv_area_perim_ratio tbp_lv_color_std_mean tbp_lv_deltaA tbp_lv_deltaB tbp_lv_deltaL "
    "tbp_lv_deltaLB tbp_lv_deltaLBnorm tbp_lv_eccentricity tbp_lv_location tbp_lv_location_simple tbp_lv_minorAxisMM "
    "tbp_lv_nevi_confidence tbp_lv_norm_border tbp_lv_norm_color tbp_lv_perimeterMM tbp_lv_radial_color_std_max "
    "tbp_lv_stdL tbp_lv_stdLExt tbp_lv_symm_2axis tbp_lv_symm_2axis_angle tbp_lv_x tbp_lv_y tbp_lv_z attribution "
    "copyright_license lesion_id iddx_full iddx_1 iddx_2 iddx_3 iddx_4 iddx_5 mel_mitotic_index mel_thick_mm "
    "tbp_lv_dnn_lesion_confidence"
)
MEASURES = (19, 13)  # columns of measurements before and after those of the location


def name_of(row: int) -> str:
    return f"ISIC_{row:07d}"


def make(folder: Path, rows: int, copies: bool) -> None:
    """Write the table and the images: one malignant crop in a thousand, a thousand patients."""
    images = folder / "train-image" / "image"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "train-metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split())
        for row in range(rows):
            target = int(row % 1000 == 0)
            first = [name_of(row), target, f"IP_{rng.integers(1000):07d}", int(rng.integers(4, 18)) * 5]
            first += [("male", "female", "")[row % 3], ("lower extremity", "posterior torso")[row % 2], 3.04]
            values = [f"{value:.6f}" for value in rng.normal(20, 9, sum(MEASURES))]
            first += ["TBP tile: close-up", ("3D: white", "3D: XP")[row % 2], *values[: MEASURES[0]]]
            first += ["Right Leg - Upper", "Right Leg", *values[MEASURES[0] :]]
            kind = "Malignant" if target else "Benign"
            writer.writerow(
                [
                    *first,
                    "Memorial Sloan Kettering Cancer Center",
                    "CC-BY",
                    "",
                    kind,
                    kind,
                    *[""] * 4,
                    "",
                    "",
                    "97.5",
                ]
            )
    source = None
    for row in range(rows):
        path = images / f"{name_of(row)}.jpg"
        if copies or source is None or row % LINKS == 0:
            pixels = rng.integers(90, 200, (4, 4, 3), dtype=np.uint8)
            crop = Image.fromarray(pixels).resize((133, 133), Image.Resampling.BICUBIC)
            crop.save(path, quality=85)
            source = path
        else:
            os.link(source, path)


def run(command: list[str], cache: str) -> None:
    before, spent = time.perf_counter(), processor_seconds()
    environment = {**os.environ, "DERM_BENCH_CACHE": cache}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
    seconds, spent = time.perf_counter() - before, processor_seconds() - spent
    if done.returncode:
        sys.exit(f"{' '.join(command)} has ended with {done.returncode}")
    # Of the largest child so far: the commands are run in the order of their memory.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{' '.join(command[3:6])}: {seconds:.1f} s ({spent:.1f} s of the processor), peak {peak:,.0f} MB")


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--copies", action="store_true")
    given = parser.parse_args()
    if not given.folder.exists():
        before = time.perf_counter()
        make(given.folder, given.rows, given.copies)
        print(f"made {given.rows:,} images in {time.perf_counter() - before:.0f} s")
    program = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
    with tempfile.TemporaryDirectory() as temporary:
        matrix = f"{temporary}/matrix.yaml"
        run([*program, "data", "inspect", str(given.folder), "--write", matrix], f"{temporary}/cache")
        run([*program, "data", "inspect", str(given.folder)], f"{temporary}/cache")
        text = Path(matrix).read_text().splitlines()
        whole = "\n".join(line for line in text if not line.strip().startswith("limit:"))
        Path(matrix).write_text(whole)
        for _ in range(2):
            run([*program, "plan", matrix, "--store", f"{temporary}/store"], f"{temporary}/cache")


if __name__ == "__main__":
    main()
