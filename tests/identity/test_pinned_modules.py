"""Exactly these modules of ours may be under the key of each stage kind, and of three plugins, each for a reason.

A module that is added to one of these sets makes every edit of it run the stage again: say why it can change the
stage's numbers, or import it where the stage does not reach. `+` stands for `derm_bench_plugins`.
"""

import pytest

from derm_bench.plan.book import BENEATH
from derm_bench.plan.closure import definition_closure, source_closure
from derm_bench.plan.keys import plugin_code
from derm_bench.plan.kinds import KINDS
from derm_bench.plugins import Plugins

REASONS = {
    "+classifiers.model_registry": "which models the library has",
    "+classifiers.sla": "a loss that the options may ask for",
    "+classifiers.smallest_size": "the smallest image that a network takes",
    "+classifiers.specs.timm:TimmOptions": "its options",
    "+classifiers.timm_names": "names of models, which the options are checked against",
    "+classifiers.timm_net": "its network",
    "+generators.dcgan": "its networks and prior",
    "+generators.dcgan_nets": "the layers that DCGANs share",
    "+generators.doublings": "how many doublings lead to a size",
    "+generators.draw_order": "the order in which real images are drawn",
    "+generators.gan": "the update of both networks",
    "+generators.lesion_paste": "its method",
    "+generators.masks": "masks are read and placed",
    "+generators.regularised": "spectral normalisation and dropout of D",
    "+generators.specs.common": "options that GANs share",
    "+generators.specs.dcgan:DcganOptions": "its options",
    "+generators.specs.lesion_paste:LesionPasteOptions": "its options",
    "+metrics.distances": "its formula",
    "+metrics.extractors.options:FeatureOptions": "the network, its weights and its options",
    "+metrics.extractors.options:FrechetOptions": "its options",
    "+metrics.inception": "its features",
    "+metrics.extractors.vgg16": "its features",
    "+metrics.extractors.weights": "which weights are taken",
    "+metrics.inception_weights": "the digest of the weights",
    "+metrics.measured": "for how few images there is no value",
    "audit.alignment": "how two images are aligned and compared",
    "audit.checks": "which checks there are",
    "audit.classes": "tiny and missing classes, tones, licences",
    "audit.findings": "what a finding is",
    "audit.groups": "groups across parts, and their labels",
    "audit.images": "the images that are looked at",
    "audit.measures": "what is measured of pixels",
    "audit.near_duplicates": "which images are compared, and from when on they count",
    "audit.outside": "what images from elsewhere must not share with a split",
    "audit.perceptual": "perceptual hashes",
    "audit.prediction": "the tests of what predicts a label",
    "audit.repeats": "identical images",
    "audit.report": "which findings a permit covers",
    "audit.resample": "linear maps of images",
    "audit.traits": "what might tell classes apart",
    "fingerprint": "the digest of an unreadable file",
    "coordinates": "the columns that say where a row belongs",
    "dataset_parts": "which data sets one is made of",
    "fidelity.copies": "distances of pixels",
    "fidelity.memorization": "the formulas and the test of the screen",
    "fidelity.screened": "how many images are needed, and when a fit is flagged",
    "stages.auxiliary": "labels of auxiliary tasks, and which synthetic images have them",
    "stages.fidelity": "how the metrics of a stage are made",
    "rundir.pairs": "tests of pairs of models",
    "rundir.accuracy_scores": "ratios of accuracies on samples and on real images",
    "rundir.memorization": "which fits are flagged, in the manifest",
    "fidelity.distances": "the formulas of Frechet and kernel distances",
    "fidelity.halves": "which real images are compared with",
    "fidelity.likeness": "the figures that are measured of samples",
    "fidelity.by_network": "how features of several networks lie beside each other",
    "fidelity.reference": "the reference network: its training and its features",
    "fidelity.score": "features are extracted and metrics applied here",
    "filenames": "how pictures are called",
    "hashed_options": "puts the paths of files back into options",
    "image_header": "which bytes of a JPEG are metadata, and what a header says",
    "image_list": "which images a stage reads",
    "imageio": "warnings about damaged files make images unreadable",
    "images": "what images are and how they are read",
    "lazy": "makes a plugin's object",
    "options.base": "budgets and the base of every options model",
    "options.classifier": "options that a classifier's training reads",
    "options.generator": "options that a generator's model inherits",
    "options.uses": "transforms among options",
    "plain_text": "texts as tables hold them",
    "protocols": "the task and requests that a plugin is called with",
    "report.data": "the tables as figures read them",
    "report.figures": "which figures there are",
    "report.plots": "how figures look",
    "report.samples": "how sheets of images are laid out",
    "report.score_figures": "figures of scores",
    "report.training_figures": "figures of training and fidelity",
    "run": "the batch that a fit is given",
    "report.across_data_sets": "the diagram of critical differences",
    "stats.data_sets": "ranks over data sets",
    "report.tables": "which differences are marked",
    "rundir.arms": "which runs are compared with which",
    "rundir.cell_predictions": "the predictions that comparisons read",
    "rundir.comparison": "the family of comparisons, verdicts and ranks",
    "rundir.sampled": "how scores vary with test images",
    "rundir.subgroups": "scores of subgroups",
    "rundir.audits": "the record of an audit, part of what figures are made from",
    "rundir.directory": "the record of tables that figures are made from",
    "rundir.files": "tables and predictions are written and opened through it",
    "rundir.frames": "rows become frames",
    "rundir.manifest": "which way metrics are better",
    "rundir.planned": "the rows of a plan",
    "rundir.predictions": "predictions are gathered and read for figures",
    "rundir.records": "how stages stand",
    "rundir.samples": "the record of a sheet, part of what figures are made from",
    "rundir.schema": "the columns of tables",
    "rundir.sheet_index": "what pictures show, beside the pictures",
    "rundir.summary": "means, intervals and differences",
    "rundir.tables": "scores become tables",
    "scoring.classification": "all classification metrics of a test set",
    "scoring.confusion_matrix": "formulas of metrics",
    "scoring.influence": "how far images move a metric",
    "stats.estimate": "intervals",
    "stats.false_claim": "the probability that a direction is wrong",
    "stats.families": "Holm's correction",
    "stats.pair_of_models": "placements of the area under a ROC curve",
    "stats.ranks": "rank intervals and groups",
    "stats.seeds": "the variance over seeds and splits",
    "stats.test_images": "the variance over test images",
    "stats.verdict": "the verdict",
    "scoring.intervals": "Student's t interval",
    "scoring.names": "which metrics there are",
    "scoring.operating_points": "formulas of metrics",
    "scoring.predictions": "labels and probabilities are checked here",
    "scoring.probabilities": "formulas of metrics",
    "scoring.ranking": "formulas of metrics",
    "seeds": "seeds are derived from others",
    "sixteen_bits": "how samples of 16 bits become 8",
    "splits": "which image stands in which part",
    "srgb": "how profiles, CMYK and transparency become sRGB",
    "stage_names": "how inputs are called",
    "stages.context": "what every stage function is handed",
    "stages.choose": "which snapshot is restored",
    "stages.decode": "how images are read and preprocessed",
    "stages.audited": "which images are audited",
    "stages.decoded": "which images a stage sees",
    "stages.extra": "which images without labels a generator sees",
    "stages.required": "what a plugin requires is restored here",
    "stages.runtime": "threads and precision of the process",
    "stages.seen": "which images a generator sees",
    "stages.selecting": "the metric that selects, called on validation",
    "stages.start": "a network that starts from another training",
    "stages.synthetic": "which synthetic images are trained on and held out",
    "stages.tables": "the rows that statistics and figures read",
    "stages.tested": "which images are scored on",
    "stages.training_features": "reference features of real images",
    "stages.unchanged": "images that are not those planned are refused",
    "stages.weights": "states are written and read here",
    "training.augment": "augmentation of batches",
    "training.capture": "CUDA graphs of a step",
    "training.checkpoints": "a resumed fit goes on from these",
    "training.classification": "the training loop of classifiers",
    "training.curves": "means of training curves",
    "training.diffaugment": "differentiable augmentation of D's images",
    "training.ema": "averages of networks",
    "training.engine": "the training loop",
    "training.feed": "which images a batch has, and how they are mixed",
    "training.gan_plugin": "noise becomes images",
    "training.health": "thresholds of the check, which this stage alone applies",
    "training.init": "weights are initialised",
    "training.latent": "the way from one noise to another",
    "training.losses": "losses",
    "training.module_classifier": "classifiers of one network",
    "training.module_plugin": "a plugin's state is that of its networks",
    "training.optim": "optimizers and schedules",
    "training.pixels": "images are normalised and resized on the device",
    "training.precision": "autocast and TF32",
    "training.resize": "every resize of images",
    "training.seeding": "random streams",
    "training.selection": "which state is kept",
    "training.spectral_norm": "spectral normalisation of layers",
    "training.stage_run": "budget, batches and evaluations of a fit",
    "training.updates": "a fit that did not take its budget is refused",
    "training.weights": "weights are compared with a network and loaded",
}

# Under the key of every stage.
BENEATH_ALL = """
hashed_options lazy stages.context stages.runtime training.precision
"""

# Beside the function's own module and those beneath all.
OF_KINDS = {
    "decode": """
        dataset_parts image_header image_list imageio images protocols sixteen_bits srgb stages.unchanged
        training.resize
    """,
    "audit": """
        audit.alignment audit.checks audit.classes audit.findings audit.groups audit.images audit.measures
        audit.near_duplicates audit.perceptual audit.prediction audit.repeats audit.report audit.resample audit.traits
        fingerprint images report.samples splits stage_names stages.audited stages.decoded
    """,
    "audit-outside": """
        audit.alignment audit.findings audit.images audit.near_duplicates audit.outside audit.perceptual audit.repeats
        audit.report audit.resample fingerprint images splits stage_names stages.audited stages.decoded
    """,
    "audit-gate": """
        audit.report
    """,
    "derive": """
        images
    """,
    "fit": """
        images protocols run seeds splits stage_names stages.auxiliary stages.decoded stages.extra stages.required
        stages.seen stages.synthetic stages.weights training.augment training.checkpoints training.curves training.feed
        training.pixels training.resize training.seeding training.selection training.stage_run training.updates
    """,
    "health": """
        fidelity.likeness images protocols seeds splits stage_names stages.decoded stages.required
        stages.seen stages.weights training.health training.resize training.seeding
    """,
    "reference": """
        fidelity.by_network fidelity.reference images splits stage_names stages.decoded stages.weights training.resize
    """,
    "sample": """
        images protocols seeds splits stage_names stages.choose stages.decoded stages.required stages.seen
        stages.weights training.resize training.seeding
    """,
    "choose": """
        stage_names
    """,
    "filter": """
        images protocols stage_names stages.choose stages.required stages.weights training.pixels training.resize
    """,
    "real-features": """
        fidelity.by_network fidelity.halves fidelity.reference fidelity.score images protocols seeds splits stage_names
        stages.decoded stages.weights training.resize
    """,
    "memorization": """
        fidelity.by_network fidelity.copies fidelity.distances fidelity.halves fidelity.memorization
        fidelity.reference fidelity.score fidelity.screened filenames images protocols report.samples
        rundir.sheet_index seeds splits stage_names stages.decoded stages.fidelity stages.weights training.resize
    """,
    "fidelity": """
        fidelity.by_network fidelity.halves fidelity.reference fidelity.score images protocols seeds splits stage_names
        stages.decoded stages.weights training.resize
    """,
    "train": """
        images protocols run scoring.predictions seeds splits stage_names stages.auxiliary stages.decoded
        stages.required stages.selecting stages.start stages.synthetic stages.weights training.augment
        training.checkpoints training.curves training.feed training.pixels training.resize training.seeding
        training.selection training.stage_run training.updates training.weights
    """,
    "evaluate": """
        images protocols scoring.classification scoring.confusion_matrix scoring.names
        scoring.operating_points scoring.predictions scoring.probabilities scoring.ranking splits
        stage_names stages.auxiliary stages.decoded stages.required stages.synthetic stages.tested stages.weights
        training.pixels training.resize
    """,
    "grids": """
        filenames images report.samples rundir.sheet_index stage_names
    """,
    "training-features": """
        fidelity.by_network fidelity.reference images splits stage_names stages.decoded stages.weights training.resize
    """,
    "neighbours": """
        fidelity.by_network fidelity.reference filenames images protocols report.samples rundir.sheet_index splits
        stage_names stages.decoded stages.required stages.training_features stages.weights training.resize
    """,
    "interpolation": """
        filenames images protocols report.samples rundir.sheet_index seeds splits stage_names stages.decoded
        stages.required stages.seen stages.weights training.gan_plugin training.latent
        training.module_plugin training.resize training.seeding training.weights
    """,
    "preprocessing": """
        dataset_parts filenames image_list image_header imageio images protocols report.samples rundir.sheet_index
        sixteen_bits srgb stages.decode stages.unchanged training.resize
    """,
    "statistics": """
        coordinates plain_text rundir.files rundir.frames rundir.planned rundir.records rundir.schema rundir.summary
        rundir.tables scoring.confusion_matrix scoring.intervals scoring.names
        scoring.operating_points scoring.predictions scoring.probabilities scoring.ranking stage_names
        rundir.accuracy_scores rundir.pairs rundir.subgroups protocols
        stages.tables rundir.arms rundir.cell_predictions rundir.comparison rundir.sampled
        scoring.classification scoring.influence stats.estimate stats.false_claim stats.families
        stats.pair_of_models stats.ranks stats.seeds stats.test_images stats.verdict
    """,
    "figures": """
        fidelity.screened rundir.accuracy_scores rundir.memorization rundir.pairs
        audit.report coordinates filenames plain_text report.across_data_sets stats.data_sets report.data report.figures
        report.plots report.score_figures report.tables report.training_figures rundir.audits rundir.directory
        rundir.files rundir.frames rundir.manifest rundir.planned rundir.predictions rundir.records rundir.samples
        rundir.schema rundir.sheet_index rundir.summary
        rundir.tables scoring.confusion_matrix scoring.intervals scoring.names
        scoring.operating_points scoring.predictions scoring.probabilities scoring.ranking stage_names
        stages.tables rundir.arms rundir.cell_predictions rundir.comparison rundir.sampled rundir.subgroups
        scoring.classification scoring.influence stats.estimate stats.false_claim stats.families
        stats.pair_of_models stats.ranks stats.seeds stats.test_images stats.verdict
    """,
}

OF_PLUGINS = {
    ("generator", "dcgan"): """
        +generators.dcgan +generators.dcgan_nets +generators.doublings +generators.gan +generators.regularised
        +generators.specs.common +generators.specs.dcgan:DcganOptions images options.base options.generator
        options.uses protocols run seeds training.augment training.capture training.checkpoints training.diffaugment
        training.ema training.engine training.gan_plugin training.init training.losses training.module_plugin
        training.optim training.precision training.seeding training.spectral_norm training.weights
    """,
    ("classifier", "timm"): """
        +classifiers.model_registry +classifiers.sla +classifiers.smallest_size
        +classifiers.specs.timm:TimmOptions +classifiers.timm_names +classifiers.timm_net images
        options.base options.classifier run seeds training.capture training.checkpoints
        training.classification training.ema training.engine training.losses training.module_classifier
        training.module_plugin training.optim training.precision training.seeding training.weights
    """,
    ("metric", "fid"): """
        +classifiers.model_registry +classifiers.timm_names +metrics.distances
        +metrics.extractors.options:FeatureOptions +metrics.extractors.options:FrechetOptions +metrics.measured
        fidelity.distances options.base
    """,
    ("generator", "lesion-paste"): """
        +generators.draw_order +generators.lesion_paste +generators.masks
        +generators.specs.lesion_paste:LesionPasteOptions images options.base options.generator options.uses
        protocols seeds training.gan_plugin training.module_plugin training.seeding training.weights
    """,
}


OF_EXTRACTORS = {
    "inception": """
        +metrics.inception +metrics.inception_weights fidelity.distances training.precision training.weights
    """,
    "vgg16": """
        +metrics.extractors.vgg16 +metrics.extractors.weights +metrics.inception_weights training.precision
        training.weights
    """,
}


def short(modules) -> set[str]:
    return {name.replace("derm_bench_plugins.", "+").removeprefix("derm_bench.") for name in modules}


def test_every_stage_kind_is_pinned():
    assert OF_KINDS.keys() == KINDS.keys()


def test_beneath_every_stage():
    assert short(source_closure(*BENEATH).modules) == set(BENEATH_ALL.split())


@pytest.mark.parametrize("name", OF_KINDS)
def test_under_the_key_of_a_stage_kind(name):
    function = KINDS[name].function
    own = short([function.partition(":")[0]])
    found = short(source_closure(function, *BENEATH).modules)
    assert found - own - set(BENEATH_ALL.split()) == set(OF_KINDS[name].split())


@pytest.mark.parametrize(("kind", "name"), OF_PLUGINS)
def test_under_the_key_of_a_plugin(kind, name):
    plugins = Plugins(builtins_only=True)
    options = plugins.get(kind, name).options
    code = source_closure(*plugin_code(plugins, kind, name)).modules
    found = short(code) | short(definition_closure(options.__module__, options.__qualname__).modules)
    assert found == set(OF_PLUGINS[kind, name].split())


@pytest.mark.parametrize("name", OF_EXTRACTORS)
def test_under_the_key_of_an_extractor(name):
    """Not those of the others: another version of timm computes no features of Inception again."""
    path = Plugins(builtins_only=True).get("metric", "fid").extractors[name]
    assert short(source_closure(path).modules) == set(OF_EXTRACTORS[name].split())


def test_each_module_has_a_reason_and_no_reason_is_left_over():
    pinned = " ".join([BENEATH_ALL, *OF_KINDS.values(), *OF_PLUGINS.values(), *OF_EXTRACTORS.values()])
    assert set(pinned.split()) == REASONS.keys()
