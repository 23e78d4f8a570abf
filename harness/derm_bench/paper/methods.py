"""The methods of a paper, from the manifest and the tables of a run: what was done, with every number that it takes to
do it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from derm_bench.plain_text import listed
from derm_bench.report.data import CONTROL, ReportData, number, unique
from derm_bench.report.plots import metric_label

Plain = Mapping[str, Any]


def methods(data: ReportData) -> list[tuple[str, str]]:
    """Return (heading, text) of each paragraph of the methods; what a run does not have is left out."""
    parts = [
        ("Data", " ".join(_data(data))),
        ("Training sets", " ".join(_strategies(data))),
        ("Classifiers", " ".join(_classifiers(data))),
        ("Evaluation", " ".join(_evaluation(data))),
        ("Image metrics", _image_metrics(data)),
        ("Software and hardware", " ".join(_software(data))),
    ]
    return [(heading, text) for heading, text in parts if text]


def _entries(data: ReportData, name: str) -> list[Plain]:
    found = data.matrix.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def _data(data: ReportData) -> Iterator[str]:
    for entry in _entries(data, "datasets"):
        label = str(entry.get("label", entry.get("name", "")))
        split = entry.get("split") or {}
        yield (
            f"Images of {label} (data set {entry.get('name')}) were made square by {entry.get('resize')} "
            f"and stored at {entry.get('size')} pixels."
        )
        if steps := [str(one.get("name")) for one in entry.get("preprocess") or ()]:
            yield f"They were preprocessed with {', '.join(steps)}."
        yield _split(split)
        yield from _counts(data, label)
        terms = (data.manifest.get("datasets") or {}).get(label) or {}
        if terms.get("licence"):
            yield f"The licence is {terms['licence']}."
        digests = [
            digest
            for name, digest in (data.manifest.get("splits") or {}).items()
            if name.startswith(f"{label}/")
        ]
        if digests:
            yield f"The split is published with the results (SHA-256 {', '.join(d[:16] for d in digests)})."
    for note in (n for notes in (data.manifest.get("notes") or {}).values() for n in notes):
        yield f"{str(note.get('text', '')).capitalize()} ({note.get('count')})."


def _split(split: Plain) -> str:
    group = split.get("group", "auto")
    kept = {
        "auto": "images of one patient or lesion, where the data set names them, are never in two parts",
        "none": "images of one lesion may be in two parts",
    }.get(str(group), f"images with the same {group} are never in two parts")
    method = str(split.get("method", "random"))
    if method == "kfold":
        return f"The data were divided into {split.get('folds')} folds; {kept}."
    if method == "given":
        return f"The split is that of the data set; {kept}."
    return (
        f"The split is random and stratified by class (seed {split.get('seed')}; test {_part(split.get('test'))}, "
        f"validation {_part(split.get('val'))}); {kept}."
    )


def _part(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value.get('per_class')} images per class"
    share = number(value)
    return f"{100 * share:g}%" if share is not None else str(value)


def _counts(data: ReportData, label: str) -> Iterator[str]:
    """The real images per class and part, of the first arm at each training fraction."""
    rows = [row for row in data.composition if row["dataset"] == label]
    for fraction in unique(row["train_fraction"] for row in rows):
        own = [row for row in rows if row["train_fraction"] == fraction]
        first = [row for row in own if row["strategy"] == own[0]["strategy"]]
        parts = []
        for part, name in (("train", "training"), ("val", "validation"), ("test", "test")):
            counts = {str(r["class"]): int(number(r["real"]) or 0) for r in first if r["split"] == part}
            if counts:
                shown = ", ".join(f"{name} {n}" for name, n in counts.items())
                parts.append(f"{sum(counts.values())} {name} images ({shown})")
        if parts:
            share = number(fraction) or 1.0
            head = "There were " if share == 1 else f"At {100 * share:g}% of the training images there were "
            yield f"{head}{'; '.join(parts)}."


def _strategies(data: ReportData) -> Iterator[str]:
    entries = _entries(data, "strategies")
    if not entries:
        return
    yield f"{len(entries)} ways of making the training set were compared."
    for entry in entries:
        parts = []
        if names := [_use(one) for one in entry.get("augment") or ()]:
            parts.append(f"augmentation on the fly with {', '.join(names)}")
        if entry.get("balance"):
            parts.append(
                {"oversample": "classes drawn equally often"}.get(
                    entry["balance"], "a loss weighted by class"
                )
            )
        if entry.get("generator"):
            parts.append(_generator(entry))
        yield f"{entry.get('name')}: {'; '.join(parts) or 'real images alone'}."


def _use(one: Plain) -> str:
    options = {k: v for k, v in (one.get("options") or {}).items() if v is not None}
    return f"{one.get('name')} ({_options(options)})" if options else str(one.get("name"))


def _options(options: Plain) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _options({k: v for k, v in value.items() if v is not None})
    if isinstance(value, list | tuple):
        return " ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _generator(entry: Plain) -> str:
    generator, synthetic = entry["generator"], entry.get("synthetic")
    options = {
        name: value
        for name, value in (generator.get("options") or {}).items()
        if value not in (None, [], {}) and name != "fit_on"
    }
    said = f"the generator {generator.get('name')}"
    if options:
        said += f" ({_options(options)})"
    seen = (generator.get("options") or {}).get("fit_on", "train")
    said += ", fitted on training images alone" if seen == "train" else f", fitted on {seen} images"
    if not synthetic:
        return f"{said}, without training a classifier"
    amount = {
        k: v
        for k, v in synthetic.items()
        if k in ("balance", "ratio", "per_class", "total") and v is not None
    }
    said += f"; synthetic images by {_options(amount)}"
    if synthetic.get("filter"):
        said += f", filtered by {synthetic['filter'].get('by')}"
    return said + (", instead of real ones" if synthetic.get("replace_real") else "")


def _classifiers(data: ReportData) -> Iterator[str]:
    weights = data.manifest.get("weights") or {}
    for entry in _entries(data, "classifiers"):
        options = {n: v for n, v in (entry.get("options") or {}).items() if v is not None and v is not False}
        start = "from random weights" if str(entry.get("label")) not in weights else "from other weights"
        if entry.get("init"):
            start = "from weights trained on another data set"
        yield f"{entry.get('label')} ({entry.get('name')}): trained {start}; {_options(options)}."
    if not _entries(data, "classifiers"):
        return
    budget = {k: v for k, v in (data.matrix.get("budget") or {}).items() if v}
    if set(budget) == {"updates"}:
        yield f"Every classifier was trained for {budget['updates']} updates in every arm, whatever its training set."
    elif budget:
        yield f"The budget of a classifier was {_options(budget)}: larger training sets got more updates."


def _evaluation(data: ReportData) -> Iterator[str]:
    matrix = data.matrix
    protocol = matrix.get("protocol") or {}
    permits = protocol.get("allow") or ()
    if permits:
        yield f"Departures from the fair protocol: {', '.join(map(str, permits))}."
    seeds = matrix.get("seeds") or {}
    axes = {name: values for name, values in seeds.items() if values}
    if axes:
        shown = "; ".join(
            f"{'seeds' if n == 'together' else f'{n} seeds'} {_value(v)}" for n, v in axes.items()
        )
        yield f"Runs were repeated over {shown}, the same in every arm."
    if (planned := len(data.results)) and (lost := sum(r["status"] != "done" for r in data.results)):
        yield f"{lost} of {planned} planned scores are missing because their runs failed or were skipped."
    if not any(row["classifier"] for row in data.results):
        return
    yield (
        f"The primary metric is {metric_label(data.primary)}. Arms were compared in pairs of runs with the same split, "
        f"seeds and test images. {data.level} intervals of the mean difference cover other seeds and other test images "
        "(variance over seeds plus the covariance of runs when patients or lesions are drawn again; Student's t at "
        "Satterthwaite's "
        "degrees of freedom). p values were corrected after Holm over all comparisons on a test set, "
        f"{_family(data)} in all. A difference helps or hurts at p < {data.alpha:g}; otherwise it is equivalent if its "
        f"{100 * (1 - 2 * data.alpha):g}% interval lies within {data.margin:g} of zero (two one-sided tests), and "
        "otherwise inconclusive. A comparison with a failed run is inconclusive."
    )


def _family(data: ReportData) -> int:
    return sum(1 for row in data.summary if row["metric"] == data.primary and row["baseline"])


def _image_metrics(data: ReportData) -> str:
    rows = [row for row in data.fidelity if row["strategy"] != CONTROL]
    if not rows:
        return ""
    metrics = [metric_label(name) for name in unique(row["metric"] for row in rows)]
    counts = sorted({int(n) for row in rows if (n := number(row["n_synthetic"])) is not None})
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0]) if counts else "unknown"
    return (
        f"Synthetic images were scored per class with {listed(metrics)}, on {span} images of each side "
        f"(features: {listed(unique(str(row['extractor']) for row in rows))}; reference: "
        f"{listed(unique(str(row['reference']) for row in rows))})."
    )


def _software(data: ReportData) -> Iterator[str]:
    manifest = data.manifest
    version = manifest.get("derm_bench") or (manifest.get("distributions") or {}).get("derm-bench", "")
    yield f"The experiments were run with derm-bench {version} (protocol version {manifest.get('protocol_version')})."
    others = {n: v for n, v in (manifest.get("distributions") or {}).items() if n != "derm-bench"}
    if others:
        yield f"Versions: {', '.join(f'{name} {v}' for name, v in others.items())}."
    machine = manifest.get("machine") or {}
    if machine:
        yield (
            f"Device: {machine.get('device_name') or machine.get('device')}, precision {machine.get('precision')}, "
            f"{machine.get('threads')} threads per worker, Python {machine.get('python')}, {machine.get('system')}."
        )
    git = manifest.get("git") or {}
    if git.get("commit"):
        dirty = ", with uncommitted changes" if git.get("dirty") else ""
        yield f"The matrix is that of commit {git['commit'][:12]}{dirty}."
    if command := manifest.get("command"):
        yield f"Command: derm-bench {' '.join(map(str, command))}."


def texts(parts: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The paragraphs by heading, for the checklist."""
    return dict(parts)
