"""ensemble: the mean of the members' probabilities, each member at its own side with its own normalisation."""

import pytest
import torch
from tests.conftest import read_csv, toy_matrix
from torch.nn import functional as F

from derm_bench.specs import ClassifierUse, Task
from derm_bench_plugins.classifiers.ensemble import Ensemble
from derm_bench_plugins.classifiers.specs.ensemble import SPEC, EnsembleOptions


class Member:
    """Says the same of every image, and remembers what it was shown."""

    def __init__(self, proba, **norm):
        self.proba = torch.tensor(proba)
        vars(self).update(norm)

    def predict_proba(self, images):
        self.shown = images
        return self.proba.expand(len(images), -1)

    def parts(self):
        return {"net": torch.nn.Identity()}


def ensemble(members, sizes=(8, 8), **options):
    names = [f"member {k + 1}" for k in range(len(members))]
    task = Task(("a", "b"), 8, inputs=dict(zip(names, members, strict=True)),
                input_tasks={n: Task(("a", "b"), s) for n, s in zip(names, sizes, strict=True)})  # fmt: skip
    return Ensemble(EnsembleOptions(members=["one", "two"], **options), task)


def test_the_mean_and_the_weighted_mean():
    members = [Member([0.9, 0.1]), Member([0.5, 0.5])]
    images = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(ensemble(members).predict_proba(images), torch.tensor([[0.7, 0.3]] * 3))
    weighted = ensemble(members, member_weights=(3, 1)).predict_proba(images)
    torch.testing.assert_close(weighted, torch.tensor([[0.8, 0.2]] * 3))
    assert weighted.dtype == torch.float32
    assert set(ensemble(members).parts()) == {"member 1.net", "member 2.net"}


def test_members_see_images_at_their_side_as_they_were_trained_on():
    plain, other = Member([1.0, 0.0]), Member([0.0, 1.0], mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    images = torch.rand(2, 3, 8, 8)
    made = ensemble([plain, other], sizes=(8, 12))
    assert (made.mean, made.std) == ((0, 0, 0), (1, 1, 1)), "it is given pixels in [0,1]"
    made.predict_proba(images)
    torch.testing.assert_close(plain.shown, images * 2 - 1)
    larger = F.interpolate(images, 12, mode="bilinear", antialias=True)
    torch.testing.assert_close(other.shown[:, 2], larger[:, 2] - 0.3)
    torch.testing.assert_close(other.shown[:, 1], (larger[:, 1] - 0.2) * 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"members": []}, "at least 1 item"),
        ({"members": ["one"], "member_weights": (1, 2)}, "2 member_weights for 1 members"),
        ({"members": ["one"], "member_weights": (0,)}, "not all 0"),
    ],
)
def test_options_that_make_no_mean_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        EnsembleOptions(**options)


def test_its_members_are_what_it_requires_and_their_files_are_no_part_of_its_options(tmp_path):
    options = EnsembleOptions(members=["one", {"name": "two", "lr": 0.1}])
    refs = SPEC.requires(options)
    assert [(name, ref.kind, ref.plugin) for name, ref in refs.items()] == [
        ("member 1", "classifier", "one"),
        ("member 2", "classifier", "two"),
    ]
    assert refs["member 2"].options.options == {"lr": 0.1}
    placed = ClassifierUse(name="two", options={"lr": 0.1, "weights": tmp_path})
    dumped = EnsembleOptions(members=(placed,)).model_dump(mode="json")
    assert dumped["members"][0]["options"] == {"lr": 0.1}
    assert EnsembleOptions.model_validate(dumped).members[0].name == "two"


# ------------------------------------------------------------------------------ in a matrix


def with_ensemble(val=0.1, **options):
    """A matrix whose classifiers are one toy and an ensemble of two of them."""
    member = {"name": "toy-centroid", "select": "last"}
    matrix = toy_matrix(
        seeds=[0],
        strategies=["real-only"],
        classifiers=[member, {"name": "ensemble", "members": [member, member], **options}],
    )
    matrix["dataset"]["split"] = {"test": 0.2, "val": val}
    return matrix


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("lr", 0.001), ("optimizer", "sgd"), ("weight_decay", 0.1), ("betas", [0.5, 0.9])],
        *[("batch_size", 8), ("schedule", "cosine"), ("patience", 3), ("loss", "bce"), ("input_size", 16)],
        *[("freeze", True), ("dropout", 0.5), ("label_smoothing", 0.1), ("pretrained", False)],
    ],
)
def test_an_option_of_training_is_refused_by_name(in_process, write_matrix, option, value):
    refused = in_process("plan", write_matrix(with_ensemble(**{option: value})))
    assert refused.code == 2 and "Traceback" not in refused.err
    assert f"classifiers.1.{option}" in refused.err
    assert (
        f"ensemble trains nothing, so {option} has no effect: set it on each of its `members`" in refused.err
    )


def test_a_preset_for_all_classifiers_skips_an_ensemble(in_process, write_matrix):
    matrix = with_ensemble(member_weights=[1, 3]) | {"presets": {"smoke": {"classifiers.*.batch_size": 8}}}
    planned = in_process("plan", write_matrix(matrix), "--preset", "smoke")
    assert planned.code == 0, planned.err


@pytest.mark.parametrize("options", [{}, {"select": "last"}])
def test_it_needs_no_validation_images(in_process, write_matrix, options):
    planned = in_process("plan", write_matrix(with_ensemble(val=0, **options)))
    assert planned.code == 0, planned.err


def test_its_training_counts_as_many_updates_as_the_others(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(with_ensemble()))
    assert ran.code == 0, ran.err
    rows = read_csv(tmp_path / "runs" / "toy" / "results.csv")
    assert {(row["classifier"], row["status"], row["updates"]) for row in rows} == {
        ("toy-centroid", "done", "12"),
        ("ensemble", "done", "12"),
    }
