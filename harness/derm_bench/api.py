"""The public interface for authors of plugins: every name that a plugin needs, in one module.

    from derm_bench.api import Engine, GeneratorOptions, GeneratorSpec, Samples, hookimpl

`API_VERSION` is the version of this interface, and of the hooks. A plugin states the version that it was written for as
`DERM_BENCH_API = 1` in its entry module; a plugin for another version is listed as broken, with what to do about it.

What is promised while `API_VERSION` stays the same: no name here is removed or renamed, no argument is removed, renamed
or made necessary, and what is documented keeps its meaning. New names, and new arguments with defaults, may be added. A
change that breaks this increases `API_VERSION` and is described in CHANGELOG.md. Names that other modules of derm_bench
define are not promised, even if they have no underscore.

An entry module may import this module, since it imports neither torch nor any other package that takes long to import:
names that need one are imported when they are used for the first time. Only the code behind the names that a plugin
uses becomes part of the keys of its stages.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from derm_bench.errors import Diverged, NoValue, UserError, Waiting, did_you_mean
from derm_bench.markers import API_VERSION, hookimpl
from derm_bench.run import Batch, Precision, Run
from derm_bench.specs import (
    Betas,
    Budget,
    Classifier,
    ClassifierOptions,
    ClassifierSpec,
    ClassifierUse,
    Dataset,
    DatasetDescription,
    DatasetSpec,
    DatasetUse,
    Derived,
    ExecutorSpec,
    Generator,
    GeneratorOptions,
    GeneratorSpec,
    LearningRate,
    MetricSpec,
    Note,
    Options,
    Provenance,
    RawImage,
    Recognised,
    Ref,
    SampleRequest,
    Task,
    TransformSpec,
    TransformUse,
    Unreadable,
)

if TYPE_CHECKING:
    from derm_bench.fingerprint import file_digests
    from derm_bench.imageio import UnreadableImage, read_image, read_mask
    from derm_bench.images import ImageSet, Samples
    from derm_bench.testing import (
        ClassifierConformance,
        DatasetConformance,
        GeneratorConformance,
        MetricConformance,
        TransformConformance,
    )
    from derm_bench.training.augment import uniform, warp
    from derm_bench.training.checkpoints import TrainingState
    from derm_bench.training.classification import fit_classifier, predict_proba
    from derm_bench.training.conditional_norm import ConditionalBatchNorm2d
    from derm_bench.training.diffaugment import DiffAugment
    from derm_bench.training.ema import Ema
    from derm_bench.training.engine import Engine, frozen, minimise
    from derm_bench.training.gan_plugin import NoiseGenerator, normal, one_hot_of, to_bytes
    from derm_bench.training.init import dcgan_init, he_init, recalibrate_statistics
    from derm_bench.training.losses import between as points_between
    from derm_bench.training.losses import (
        critic_loss,
        discriminator_loss,
        gaussian_kl,
        generator_loss,
        gradient_penalty,
        hinge_discriminator_loss,
        negative_score,
        r1_penalty,
        soft_bce,
        soft_cross_entropy,
    )
    from derm_bench.training.module_classifier import ModuleClassifier
    from derm_bench.training.module_plugin import ModulePlugin
    from derm_bench.training.nets import EqualConv2d, EqualLinear, MinibatchStd, PixelNorm, SelfAttention
    from derm_bench.training.resize import resize_images
    from derm_bench.training.seeding import stream
    from derm_bench.training.spectral_norm import spectrally_normalised
    from derm_bench.training.weights import load_network, origin_of, read_weights

LAZY = {
    "derm_bench.fingerprint": ("file_digests",),
    "derm_bench.imageio": ("UnreadableImage", "read_image", "read_mask"),
    "derm_bench.images": ("ImageSet", "Samples"),
    "derm_bench.testing": (
        "ClassifierConformance",
        "DatasetConformance",
        "GeneratorConformance",
        "MetricConformance",
        "TransformConformance",
    ),
    "derm_bench.training.augment": ("uniform", "warp"),
    "derm_bench.training.checkpoints": ("TrainingState",),
    "derm_bench.training.classification": ("fit_classifier", "predict_proba"),
    "derm_bench.training.conditional_norm": ("ConditionalBatchNorm2d",),
    "derm_bench.training.diffaugment": ("DiffAugment",),
    "derm_bench.training.ema": ("Ema",),
    "derm_bench.training.engine": ("Engine", "frozen", "minimise"),
    "derm_bench.training.gan_plugin": ("NoiseGenerator", "normal", "one_hot_of", "to_bytes"),
    "derm_bench.training.init": ("dcgan_init", "he_init", "recalibrate_statistics"),
    "derm_bench.training.losses": (
        "critic_loss",
        "discriminator_loss",
        "gaussian_kl",
        "generator_loss",
        "gradient_penalty",
        "hinge_discriminator_loss",
        "negative_score",
        "r1_penalty",
        "soft_bce",
        "soft_cross_entropy",
    ),
    "derm_bench.training.module_classifier": ("ModuleClassifier",),
    "derm_bench.training.module_plugin": ("ModulePlugin",),
    "derm_bench.training.nets": ("EqualConv2d", "EqualLinear", "MinibatchStd", "PixelNorm", "SelfAttention"),
    "derm_bench.training.resize": ("resize_images",),
    "derm_bench.training.seeding": ("stream",),
    "derm_bench.training.spectral_norm": ("spectrally_normalised",),
    "derm_bench.training.weights": ("load_network", "origin_of", "read_weights"),
}
"""The module of each name that is imported when it is used for the first time."""
RENAMED = {"points_between": ("derm_bench.training.losses", "between")}
"""Names that are shorter in the module that defines them: (module, name there)."""

__all__ = [
    "API_VERSION",
    "Batch",
    "Betas",
    "Budget",
    "Classifier",
    "ClassifierConformance",
    "ClassifierOptions",
    "ClassifierSpec",
    "ClassifierUse",
    "ConditionalBatchNorm2d",
    "Dataset",
    "DatasetConformance",
    "DatasetDescription",
    "DatasetSpec",
    "DatasetUse",
    "Derived",
    "DiffAugment",
    "Diverged",
    "Ema",
    "Engine",
    "EqualConv2d",
    "EqualLinear",
    "ExecutorSpec",
    "Generator",
    "GeneratorConformance",
    "GeneratorOptions",
    "GeneratorSpec",
    "ImageSet",
    "LearningRate",
    "MetricConformance",
    "MetricSpec",
    "MinibatchStd",
    "ModuleClassifier",
    "ModulePlugin",
    "NoValue",
    "NoiseGenerator",
    "Note",
    "Options",
    "PixelNorm",
    "Precision",
    "Provenance",
    "RawImage",
    "Recognised",
    "Ref",
    "Run",
    "SampleRequest",
    "Samples",
    "SelfAttention",
    "Task",
    "TrainingState",
    "TransformConformance",
    "TransformSpec",
    "TransformUse",
    "Unreadable",
    "UnreadableImage",
    "UserError",
    "Waiting",
    "critic_loss",
    "dcgan_init",
    "did_you_mean",
    "discriminator_loss",
    "file_digests",
    "fit_classifier",
    "frozen",
    "gaussian_kl",
    "generator_loss",
    "gradient_penalty",
    "he_init",
    "hinge_discriminator_loss",
    "hookimpl",
    "load_network",
    "minimise",
    "negative_score",
    "normal",
    "one_hot_of",
    "origin_of",
    "points_between",
    "predict_proba",
    "r1_penalty",
    "read_image",
    "read_mask",
    "read_weights",
    "recalibrate_statistics",
    "resize_images",
    "soft_bce",
    "soft_cross_entropy",
    "spectrally_normalised",
    "stream",
    "to_bytes",
    "uniform",
    "warp",
]


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one that is found here

    def __getattr__(name: str) -> Any:
        """Imports a name of `LAZY` or `RENAMED`."""
        module, original = RENAMED.get(name, (_HOMES.get(name), name))
        if module is None:
            raise AttributeError(
                f"module 'derm_bench.api' has no name '{name}': {did_you_mean(name, __all__)}"
            )
        value = globals()[name] = getattr(importlib.import_module(module), original)
        return value


_HOMES = {name: module for module, names in LAZY.items() for name in names}
