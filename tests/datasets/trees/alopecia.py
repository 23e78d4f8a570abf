"""Figaro1k and DermNet beside each other, with a table of severities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.datasets.trees.build import Tree, picture
from tests.datasets.trees.clinics import dermnet
from tests.datasets.trees.faces import figaro

FOLDER = "Hair Loss Photos Alopecia and other Hair Diseases"
GRADES = ("mild", "moderate", "severe", "exclude")


def photographs(root: Path) -> dict[str, str]:
    """Photographs of alopecia areata, by id, with a severity each: two of every severity, in train and in test. There
    is one of another kind of hair loss."""
    graded = {}
    for split in ("train", "test"):
        for k, grade in enumerate(GRADES):
            name = f"{split}/{FOLDER}/alopecia-areata-{split}{k}.jpg"
            picture(root / name, name)
            graded[name] = grade
        picture(root / split / FOLDER / f"androgenetic-alopecia-{split}.jpg", split)
    return graded


def both(root: Path, below: bool = True, named: bool = False) -> Tree:
    hair = figaro(root / "figaro1k", masks=False)
    conditions = dermnet(root / "dermnet")
    graded = photographs(root / "dermnet")
    within = "dermnet/" if below else ""
    rows = [(name.rpartition("/")[2] if named else within + name, grade) for name, grade in graded.items()]
    table = (root if below else root / "dermnet") / "severity.csv"
    table.write_text("image,severity\n" + "".join(f"{name},{grade}\n" for name, grade in rows))
    kept = {f"dermnet/{within}{name}": grade for name, grade in graded.items() if grade != "exclude"}
    given = {name: name.split("/")[2 if below else 1] for name in kept}
    assert conditions.given and hair.given is not None

    def spoil() -> str:
        table.write_text(table.read_text().replace("severity", "grade", 1))
        return "there is no column 'severity'"

    options = {"root": root} if below else {"figaro1k": root / "figaro1k", "dermnet": root / "dermnet"}
    return Tree(
        options,
        {**{f"figaro1k/{name}": "healthy" for name in hair.labels}, **kept},
        None,
        {**{f"figaro1k/{name}": part for name, part in hair.given.items()}, **given},
        spoil=spoil,
    )


ALOPECIA: dict[str, Callable[[Path], Tree]] = {
    "one root": both,
    "names of files": lambda root: both(root, named=True),
}
