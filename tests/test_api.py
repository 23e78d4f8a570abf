"""`derm_bench.api`: complete, light, typed, and the same names for as long as its version is the same."""

import ast
import inspect
import subprocess
import sys

import pytest

from derm_bench import api
from derm_bench.markers import API_VERSION

SOURCE = inspect.getsource(api)
NAMES_OF_VERSION_1 = """
    API_VERSION Batch Betas Budget Classifier ClassifierConformance ClassifierOptions ClassifierSpec ClassifierUse
    ConditionalBatchNorm2d Dataset DatasetConformance DatasetDescription DatasetSpec DatasetUse Derived DiffAugment
    Diverged Ema Engine EqualConv2d EqualLinear ExecutorSpec Generator GeneratorConformance GeneratorOptions
    GeneratorSpec ImageSet LearningRate MetricConformance MetricSpec MinibatchStd ModuleClassifier ModulePlugin
    NoValue NoiseGenerator Note Options PixelNorm Precision Provenance RawImage Recognised Ref Run SampleRequest Samples
    SelfAttention Task TrainingState TransformConformance TransformSpec TransformUse Unreadable UnreadableImage
    UserError Waiting critic_loss dcgan_init did_you_mean discriminator_loss file_digests fit_classifier frozen
    gaussian_kl generator_loss gradient_penalty he_init hinge_discriminator_loss hookimpl load_network minimise
    negative_score normal one_hot_of origin_of points_between predict_proba r1_penalty read_image read_mask
    read_weights recalibrate_statistics resize_images soft_bce soft_cross_entropy spectrally_normalised stream
    to_bytes uniform warp
"""
"""A name may be added here. One that is removed, or renamed, breaks plugins: it needs another version."""


def test_no_name_of_the_version_is_gone():
    assert api.API_VERSION == API_VERSION == 1
    assert set(NAMES_OF_VERSION_1.split()) <= set(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    value = getattr(api, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), name


def test_what_is_imported_on_demand_is_what_type_checkers_see():
    (block,) = [n for n in ast.parse(SOURCE).body if isinstance(n, ast.If) and isinstance(n.test, ast.Name)]
    seen = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {name: (module, name) for module, names in api.LAZY.items() for name in names}
    assert seen == lazy | api.RENAMED


def test_it_imports_nothing_that_takes_long():
    heavy = "{'torch', 'torchvision', 'cv2', 'pandas', 'matplotlib', 'pytest'}"
    program = f"import derm_bench.api, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_error_with_the_nearest():
    with pytest.raises(AttributeError, match=r"no name 'Engin': did you mean 'Engine'\?"):
        _ = api.Engin
    assert not hasattr(api, "load_object"), "and what it imports for itself is not part of it"
