"""A checklist in the style of CLAIM and CLEAR Derm: what reviewers of a paper on images of skin ask for.

The items are in our own words and without the numbers of the guidelines: submit the guideline's own form, and copy from
here. What the run knows is filled in; what only an author can know says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derm_bench.paper.methods import texts
from derm_bench.report.data import ReportData, number, unique

AUTHOR = "AUTHOR MUST FILL"

BOTH, CLAIM, CLEAR = "CLAIM, CLEAR Derm", "CLAIM", "CLEAR Derm"

# (guideline, item, the name of what the run knows of it; empty where only an author knows).
ITEMS: Sequence[tuple[str, str, str]] = (
    (CLAIM, "Title and abstract name the method and summarise design, results and conclusion", ""),
    (CLAIM, "Clinical background, intended use and role of the system", ""),
    (CLAIM, "Aim and hypotheses, stated before the results were known", ""),
    (CLAIM, "Prospective or retrospective; kind of study", ""),
    (BOTH, "Sources of the images, dates, sites and licences", "Data"),
    (BOTH, "Inclusion and exclusion of patients and images; how many were excluded and why", "Exclusions"),
    (BOTH, "Ethics approval, consent and de-identification", ""),
    (CLEAR, "Kind of images (dermoscopic, clinical), devices, lighting and artefacts", ""),
    (CLEAR, "Preprocessing of images: size, cropping, artefact removal", "Data"),
    (CLEAR, "Skin tones, and how they were determined", "Subgroups"),
    (BOTH, "Demographic and clinical characteristics of patients in each part", "Subgroups"),
    (BOTH, "Reference standard: how labels were made (histopathology, consensus), by whom", ""),
    (CLAIM, "Agreement of annotators, and how disagreements were resolved", ""),
    (
        BOTH,
        "Division into training, validation and test data, and the level at which they are disjoint",
        "Data",
    ),
    (CLAIM, "Size of the test set and how it was determined", "Sample size"),
    (BOTH, "Model: architecture, inputs, outputs, initial weights", "Classifiers"),
    (
        BOTH,
        "Training: augmentation, synthetic images, hyperparameters, stopping, number of models",
        "Training sets",
    ),
    (CLAIM, "How the final model was selected", "Selection"),
    (BOTH, "Metrics of performance, thresholds and their choice", "Evaluation"),
    (BOTH, "Measures of uncertainty and tests, with correction for several comparisons", "Evaluation"),
    (BOTH, "Performance on external data", "External"),
    (BOTH, "Performance in subgroups, skin tones among them", "Subgroups"),
    (CLAIM, "Robustness and sensitivity analyses", "Controls"),
    (CLEAR, "Comparison with clinicians or with current practice", ""),
    (CLAIM, "Explanation or interpretation of predictions, and how it was validated", ""),
    (BOTH, "Results for every arm, failures included", "Results"),
    (BOTH, "Analysis of errors: images that were classified wrongly", ""),
    (BOTH, "Limitations, bias and generalisability", ""),
    (CLEAR, "Intended users and setting, and consequences of wrong output", ""),
    (CLAIM, "Registration number and where the protocol can be read", ""),
    (BOTH, "Availability of code, models and data", "Software and hardware"),
    (CLAIM, "Funding and conflicts of interest", ""),
)


def checklist(data: ReportData, paragraphs: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return (guideline, item, answer) of every item. Where the run knows only a part of the answer, the request to the
    author follows it."""
    known: Mapping[str, str] = texts(paragraphs) | _facts(data)
    return [(guideline, item, _answer(known.get(source, ""))) for guideline, item, source in ITEMS]


def _answer(text: str) -> str:
    return f"{text} [Check and complete.]" if text else AUTHOR


def _facts(data: ReportData) -> dict[str, str]:
    found = {
        "Exclusions": _exclusions(data),
        "Subgroups": _subgroups(data),
        "Sample size": _sample_size(data),
        "Selection": _selection(data),
        "External": _external(data),
        "Controls": _controls(data),
        "Results": _results(data),
    }
    return {name: text for name, text in found.items() if text}


def _exclusions(data: ReportData) -> str:
    notes = [note for notes in (data.manifest.get("notes") or {}).values() for note in notes]
    return "; ".join(f"{note.get('text')}: {note.get('count')}" for note in notes)


def _subgroups(data: ReportData) -> str:
    names = unique(str(row["attribute"]) for row in data.subgroups)
    few = sum(1 for row in data.subgroups if row["few"])
    if not names:
        return ""
    return f"Scores by {', '.join(names)} are in subgroups.csv; {few} of its rows are marked as too few to rely on."


def _sample_size(data: ReportData) -> str:
    sizes = unique(int(n) for row in data.results if (n := number(row["n_test"])) is not None)
    return (
        f"Test images: {', '.join(map(str, sizes))}. `derm-bench plan` states the smallest detectable difference."
        if sizes
        else ""
    )


def _selection(data: ReportData) -> str:
    entries = data.matrix.get("classifiers") or ()
    rules = unique(str((one.get("options") or {}).get("select") or "") for one in entries)
    said = {
        "best": "the checkpoint with the best primary metric on validation",
        "last": "the last checkpoint",
    }
    return "; ".join(said[rule] for rule in rules if rule in said)


def _external(data: ReportData) -> str:
    names = [str(one["name"]) for one in data.matrix.get("test_sets") or () if one.get("dataset")]
    return f"External test sets: {', '.join(names)}." if names else ""


def _controls(data: ReportData) -> str:
    from derm_bench.matrix.questions import CONTROLS, generator_of, strategies

    names = [str(one["name"]) for one in strategies(data.matrix) if generator_of(one) in CONTROLS]
    return f"Controls: {', '.join(names)}." if names else ""


def _results(data: ReportData) -> str:
    if not data.results:
        return ""
    done = sum(row["status"] == "done" for row in data.results)
    return f"{done} of {len(data.results)} planned scores are done; tables.tex and results.csv have all."
