"""The kit fails each wrong plugin by exactly the rule that it breaks, and says what to change."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from derm_bench.specs import Ref, create
from derm_bench.testing.generator import GeneratorCase
from derm_bench.testing.kit import check
from derm_bench.testing.rules import Limits
from derm_bench.testing.subject import at_path
from derm_bench.training.feed import FeedOptions

WRONG = Path(__file__).parent / "wrong"
# Short, so that a nap of 0.3 s is past them; for the right plugins they say nothing.
SHORT = Limits(tiny=0.05, smoke=0.05)
# plugin -> the rule it breaks, and words of the advice
BROKEN = {
    "gan-shape": ("samples_have_the_right_shape", "channels first"),
    "gan-dtype": ("samples_are_uint8", "to(torch.uint8)"),
    "gan-range": ("samples_span_the_pixel_range", "scale before"),
    "gan-unseeded": ("equal_seeds_give_equal_fits", "global generators"),
    "gan-same-fit": ("other_seeds_give_other_fits", "run.seed"),
    "gan-same-samples": ("other_requests_give_other_samples", "request.seed"),
    "gan-unrepeatable": ("equal_requests_give_equal_samples", "stream(request.seed"),
    "gan-unconditional": ("classes_differ", "request.label"),
    "gan-state": ("state_round_trip", "put every tensor"),
    "gan-resume": ("interrupt_and_resume", "optimizers"),
    "gan-short": ("takes_the_whole_budget", "2 of 4 updates"),
    "gan-own-loader": (
        "takes_the_whole_budget",
        "trained outside of run.batches: it took 0 of 4 updates, but 6",
    ),
    "gan-goes-on": ("takes_the_whole_budget", "took 6 optimizer steps outside of run.batches"),
    "gan-reaches": ("uses_nothing_but_the_protocol", "uses val of the run"),
    "gan-seeds-global": ("leaves_global_state_alone", "torch.manual_seed"),
    "gan-sets-threads": ("leaves_global_state_alone", "torch.get_num_threads()"),
    "gan-sets-environment": ("leaves_global_state_alone", "os.environ"),
    "gan-writes": ("opens_no_file", r"my-gan.log for writing (generators.py:"),
    "gan-reads": ("opens_no_file", "test.png for reading (generators.py:"),
    "gan-compiled-reads": ("opens_no_file", "test.png for reading (generators.py:"),
    "gan-half-logged": ("outputs_of_the_discriminator_are_declared", "logs only ['real']"),
    "gan-grades-in-batches": ("realness_grades_each_image", "statistics of the batch"),
    "gan-picks-device": ("picks_no_device", "task.device"),
    "gan-undocumented": ("options_are_documented", "'width'"),
    "gan-no-presets": ("presets_are_valid", "tiny and smoke"),
    "gan-slow-tiny": ("tiny_is_quick", "limit is 0.05 s"),
    "gan-slow-smoke": ("smoke_is_quick", "limit is 0.05 s"),
    "net-shape": ("probabilities_have_the_right_shape", "one row per image"),
    "net-dtype": ("probabilities_are_float32", ".float()"),
    "net-logits": ("probabilities_sum_to_one", "softmax"),
    "net-neighbours": ("an_image_is_predicted_by_itself", "eval()"),
    "net-constant": ("images_make_a_difference", "depend on the images"),
    "net-trains-on-val": ("validation_images_are_not_trained_on", "run.batches(train) alone"),
    "net-flat": ("logits_can_be_differentiated", "zero everywhere"),
    "net-unscaled": ("logits_can_be_differentiated", "normalises them itself"),
    "net-unevaluated": ("evaluates_after_every_update", "after every update"),
    "net-aliased": ("kept_states_are_copies", "pass copies"),
    "data-twice": ("columns_run_parallel", "'i0' is listed twice"),
    "data-empty-class": ("every_class_has_images", "without images ['c']"),
    "data-unstable": ("describes_the_same_every_time", "sort listings"),
    "data-grey": ("images_are_rgb", "uint8 [H,W,3]"),
    "data-order": ("an_image_does_not_depend_on_the_order", "by id"),
    "data-uncovered": ("fingerprint_covers_every_image", "'i9'"),
    "data-torch": ("planner_needs_no_torch", "imports torch"),
    "data-claims-all": ("recognises_what_it_reads", "claims an empty folder"),
    "data-other-options": ("recognises_what_it_reads", "'folder'"),
    "data-lost-paths": ("paths_are_files_of_images", "leads to no file for 'i0'"),
    "metric-backwards": ("better_is_better", "invert higher_is_better"),
    "metric-nan": ("values_are_numbers", "f1_of_nobody"),
    "metric-changes-input": ("inputs_stay_as_they_are", "work on a copy"),
    "metric-draws": ("leaves_global_state_alone", "global random generators"),
    "metric-renamed": ("values_are_numbers", "name it 'metric-renamed'"),
    "transform-range": ("output_fits_its_phase", "clamp(0, 1)"),
    "transform-shape": ("output_fits_its_phase", "keep both"),
    "transform-alike": ("images_are_changed_one_by_one", "one for each image"),
    "transform-in-place": ("inputs_stay_as_they_are", "in place"),
    "transform-scalar": ("bare_value_is_an_option", "names no option"),
    "transform-sums": ("output_fits_its_phase", "shares that sum to 1"),
    "transform-targets": ("inputs_stay_as_they_are", "in place"),
    "transform-statistics": ("the_model_stays_as_it_is", "running_mean"),
    "transform-gradients": ("the_model_stays_as_it_is", "gradient of 2.weight"),
    "transform-detached": ("output_fits_its_phase", "carries gradients"),
    "transform-resized": ("output_fits_its_phase", "before_resize = True"),
}
RIGHT = [
    "gan-right",
    "gan-compiled",
    "gan-pretrained",
    "gan-of-two-phases",
    "gan-grades",
    "net-right",
    "data-right",
    "metric-right",
    "transform-right",
]
# What they break, others of their rules rest on.
BROKEN_TWICE = {
    "transform-own-seed": {"equal_generators_give_equal_outputs", "leaves_global_state_alone"},
}


@pytest.fixture(scope="module")
def subjects():
    with at_path(WRONG, {}) as found:
        yield {subject.spec.name: subject for subject in found}


@pytest.fixture
def failures(subjects, tmp_path, monkeypatch):
    """What fails of a plugin: message by rule."""
    (tmp_path / "test.png").write_bytes(b"somebody's")
    monkeypatch.setenv("WRONG_READS", str(tmp_path))

    def call(plugin):
        limits = SHORT if "slow" in plugin else None
        verdicts = list(check(subjects[plugin], limits=limits))
        return {verdict.rule: verdict.message for verdict in verdicts if verdict.status == "failed"}

    return call


@pytest.mark.parametrize("plugin", BROKEN)
def test_a_wrong_plugin_fails_its_rule_and_no_other(failures, plugin):
    rule, advice = BROKEN[plugin]
    failed = failures(plugin)
    assert set(failed) == {rule}
    assert advice in failed[rule]
    assert plugin in failed[rule]


@pytest.mark.parametrize("plugin", RIGHT)
def test_a_right_plugin_passes(failures, plugin):
    assert failures(plugin) == {}


def test_grades_that_the_spec_does_not_state_are_a_warning(subjects):
    warned = {v.rule: v.message for v in check(subjects["gan-grades-unsaid"]) if v.status == "warning"}
    assert "write realness=True" in warned["realness_grades_each_image"]


@pytest.mark.slow
def test_a_network_that_is_compiled_to_kernels_passes(failures, monkeypatch):
    monkeypatch.setattr("wrong.generators.Compiled.backend", "inductor")
    assert failures("gan-compiled") == {}


@pytest.mark.parametrize("plugin", BROKEN_TWICE)
def test_what_rests_on_each_other_fails_together(failures, plugin):
    assert set(failures(plugin)) >= BROKEN_TWICE[plugin]


def test_an_exception_is_told_once_with_its_place(subjects):
    verdicts = list(check(subjects["gan-raises"]))
    failed = {v.rule: v.message for v in verdicts if v.status == "failed"}
    assert list(failed) == ["samples_have_the_right_shape"]
    assert "fit() raised RuntimeError: no mood (generators.py:" in failed["samples_have_the_right_shape"]
    not_run = [v.message for v in verdicts if "not run" in v.message]
    assert len(not_run) > 10 and len(set(not_run)) == 1
    assert not_run[0].endswith("another rule has said: gan-raises: fit() raised RuntimeError")


def test_options_that_are_not_valid_are_told_once(subjects):
    verdicts = list(check(replace(subjects["net-right"], given={"batch_size": "many"}), slow=False))
    failed = [v for v in verdicts if v.status == "failed"]
    assert len(failed) == 1 and "'batch_size'" in failed[0].message


def test_a_fit_without_checkpoints_passes_with_a_remark(subjects):
    said = {verdict.rule: verdict for verdict in check(subjects["gan-short"])}["interrupt_and_resume"]
    assert (said.status, "starts from the beginning" in said.message) == ("warning", True)


def test_what_looks_like_a_discriminator_and_is_not_declared_is_remarked(subjects):
    silent = subjects["gan-half-logged"]
    silent = replace(silent, spec=replace(silent.spec, discriminator_outputs=None))
    said = {verdict.rule: verdict for verdict in check(silent)}["outputs_of_the_discriminator_are_declared"]
    assert said.status == "warning" and 'discriminator_outputs=("d_real", "d_fake")' in said.message


def test_batches_of_a_size_that_is_not_planned_are_remarked(subjects, monkeypatch):
    monkeypatch.setattr(
        "derm_bench.testing.generator.FeedOptions", lambda size: FeedOptions(size // 2), raising=True
    )
    said = {verdict.rule: verdict for verdict in check(subjects["gan-right"])}["takes_the_whole_budget"]
    assert said.status == "warning" and "batches of 8 images" in said.message
    assert "counted in batches of 4" in said.message


def test_an_option_size_is_the_side_of_the_samples(subjects):
    smaller = replace(subjects["gan-right"], given={"size": 16})
    assert not [verdict for verdict in check(smaller) if verdict.status == "failed"]
    assert GeneratorCase(smaller).first.outputs[0].shape[-1] == 16


@pytest.fixture
def needy(subjects):
    """A generator that requires others, and what it was given, by name."""

    def make(name="gan-needy", **refs):
        right = subjects["gan-right"]
        seen = {}

        def created(options, task):
            seen.update(task.inputs)
            seen["task"] = task
            return create(right.spec, options, task)

        spec = replace(right.spec, name=name, requires=lambda options: refs)
        return replace(right, spec=spec), created, seen

    return make


GRADER = Ref("classifier", "net-right", {"lr": 0.01}, needed="fit")
GAN = Ref("generator", "gan-right", part="net")
IMAGES = Ref("samples", "gan-right", n=5, data="reserve")


def test_what_a_plugin_requires_is_fitted_by_the_kit(needy, monkeypatch):
    subject, created, seen = needy(grader=GRADER, gan=GAN, images=IMAGES)
    monkeypatch.setattr("derm_bench.testing.fitting.create", lambda spec, *a: created(*a))
    verdicts = list(check(subject))
    assert not [v for v in verdicts if v.status == "failed"]
    assert sum(v.status == "ok" for v in verdicts) >= 18
    assert seen["grader"].predict_proba(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert seen["task"].part("gan").weight.shape == (3, 3)
    assert seen["images"].labels.bincount().tolist() == [5, 5, 5]


def test_a_restored_plugin_lacks_what_is_needed_for_its_fit_alone(needy):
    subject, _, _ = needy(grader=GRADER, gan=GAN)
    case = GeneratorCase(subject)
    assert set(case.task().inputs) == {"grader", "gan"}
    assert set(case.task(restored=True).inputs) == {"gan"}


def test_stand_ins_are_used_as_they_are(needy):
    subject, _, _ = needy(grader=GRADER, gan=GAN)
    stand_in = object()
    assert GeneratorCase(replace(subject, inputs={"grader": stand_in})).task().inputs["grader"] is stand_in


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        (Ref("classifier", "net-rihgt"), "did you mean 'net-right'"),
        (Ref("generator", "gan-raises"), "fit() raised RuntimeError: no mood"),
        (Ref("generator", "gan-right", {"budgte": 3}), "'budgte'"),
    ],
)
def test_a_requirement_that_cannot_be_fitted_is_told_once(needy, ref, said):
    subject, _, _ = needy(other=ref)
    failed = [v for v in check(subject) if v.status == "failed"]
    assert len(failed) == 1 and said in failed[0].message
    assert failed[0].message.startswith("gan-needy: its requirement 'other', ")
    assert failed[0].message.count("stand-in") == 1


def test_a_plugin_that_requires_itself_is_told_so(needy):
    subject, _, _ = needy("gan-right", other=GAN)
    failed = [v.message for v in check(subject) if v.status == "failed"]
    assert failed == ["gan-right requires itself: generator gan-right -> generator gan-right"]


def test_all_wrong_plugins_are_tried(subjects):
    assert set(subjects) == {*BROKEN, *RIGHT, *BROKEN_TWICE, "gan-raises", "gan-grades-unsaid"}


ENTRY = """
import torch
from derm_bench import hookimpl
from derm_bench.specs import TransformSpec
DERM_BENCH_API = 1
@hookimpl
def derm_bench_transforms():
    return [TransformSpec(name="heavy", summary="x", create="heavy_entry:Heavy", phase="image")]
class Heavy:
    def __init__(self, options, task): pass
    def __call__(self, images, generator): return images.clone()
"""


def test_an_entry_module_that_imports_torch_is_told_so(tmp_path):
    (tmp_path / "heavy_entry").mkdir()
    (tmp_path / "heavy_entry/__init__.py").write_text(ENTRY)
    with at_path(tmp_path / "heavy_entry", {}) as (subject,):
        failed = {v.rule: v.message for v in check(subject) if v.status == "failed"}
    assert set(failed) == {"entry_module_imports_no_torch"}
    assert "imports torch" in failed["entry_module_imports_no_torch"]


LAZY = """
import importlib
from derm_bench import hookimpl
from derm_bench.specs import TransformSpec
DERM_BENCH_API = 1
@hookimpl
def derm_bench_transforms():
    return [TransformSpec(name="lazy", summary="x", create="NAME:Lazy", phase="image", depends_on=DEPENDS)]
class Lazy:
    def __init__(self, options, task): importlib.import_module("js" + "on")
    def __call__(self, images, generator): return images.clone()
"""


@pytest.mark.parametrize(
    ("depends_on", "status", "said"),
    [
        ("None", "warning", "importlib.import_module('js' + 'on')` in lazy_none, line 10"),
        ("('json',)", "ok", ""),
        ("'no_such_module'", "failed", "names 'no_such_module'"),
    ],
)
def test_code_that_no_key_covers_is_to_be_named(tmp_path, depends_on, status, said):
    name = "lazy_" + "".join(letter for letter in depends_on.lower() if letter.isalpha())
    (tmp_path / f"{name}.py").write_text(LAZY.replace("NAME", name).replace("DEPENDS", depends_on))
    with at_path(tmp_path / f"{name}.py", {}) as (subject,):
        outcome = next(one for one in check(subject) if one.rule == "code_is_visible")
    assert outcome.status == status and said in outcome.message


CRASHING = """
from derm_bench import hookimpl
from derm_bench.specs import DatasetSpec, MetricSpec, TransformSpec
DERM_BENCH_API = 1
COMMON = {"summary": "x", "create": "crashing:Crashing"}
@hookimpl
def derm_bench_datasets():
    return [DatasetSpec(name="data-crashing", **COMMON)]
@hookimpl
def derm_bench_metrics():
    return [MetricSpec(name="metric-crashing", level="predictions", higher_is_better=True, **COMMON)]
@hookimpl
def derm_bench_transforms():
    return [TransformSpec(name="transform-crashing", phase="preprocess", **COMMON)]
class Crashing:
    def __init__(self, options, task): pass
    def __call__(self, *arguments): raise RuntimeError("no mood")
    describe = fingerprint = read = compute = __call__
"""


def test_plugins_of_all_kinds_tell_an_exception_once(tmp_path):
    (tmp_path / "crashing.py").write_text(CRASHING)
    with at_path(tmp_path / "crashing.py", {}) as found:
        for subject in found:
            failed = [verdict.message for verdict in check(subject) if verdict.status == "failed"]
            assert len(failed) == 1 and "raised RuntimeError: no mood (crashing.py:" in failed[0], failed
