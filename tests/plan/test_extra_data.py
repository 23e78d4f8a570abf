"""`extra_data` of a generator: images without labels that it is fitted on beside the training images."""

import pytest
import torch
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

MORE = {"name": "toy-blobs", "images": 30, "first": 500}
RED = {"name": "toy-mean", "classes": ["red"], "budget": {"epochs": 2}, "batch_size": 8}


def fitted_on(extra=MORE, generator=RED, **synthetic):
    made = {"per_class": {"red": 8}} | synthetic
    return {"name": "made", "generator": generator | {"extra_data": extra}, "synthetic": made}


@pytest.fixture
def plan(toys, write_matrix):
    def make(*strategies, **changes):
        plugins = Plugins()
        content = toy_matrix(strategies=list(strategies), **({"seeds": [0]} | changes))
        content = {key: value for key, value in content.items() if value is not None}
        matrix = load_matrix(write_matrix(content), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def refused(plan, *strategies, **changes) -> str:
    with pytest.raises(UserError) as caught:
        plan(*strategies, **changes)
    return str(caught.value)


def the(plan, kind):
    (stage,) = [stage for stage in plan.stages.values() if stage.kind == kind]
    return stage


def test_extra_images_count_in_epochs_and_are_of_the_size_of_the_data_set(plan):
    with_more = plan(fitted_on())
    without = plan({"name": "made", "generator": RED, "synthetic": {"per_class": {"red": 8}}})
    counts = next(iter(with_more.splits.values())).counts("train")["red"]
    assert the(without, "fit").params.updates == 2 * -(-counts // 8)
    assert the(with_more, "fit").params.updates == 2 * -(-(counts + 30) // 8)
    decodes = {label: with_more.stages[key].params.size for label, key in with_more.decodes.items()}
    assert decodes == {"toy-blobs": 8, "toy-blobs (extra)": 8}
    assert the(without, "train").inputs["decode"] == the(with_more, "train").inputs["decode"]


def test_a_data_set_of_the_matrix_is_named_by_its_label(plan):
    datasets = [
        {"name": "toy-blobs", "size": 8, "images": 90},
        {"name": "toy-blobs", "label": "more", "size": 8, "images": 30, "first": 500},
    ]
    planned = plan(fitted_on("more"), dataset=None, datasets=datasets, exclude=[{"dataset": "more"}])
    assert the(planned, "fit").inputs["extra"] == planned.decodes["more"]


@pytest.mark.parametrize(
    ("generator", "said"),
    [
        ({"name": "acgan", "preset": "tiny"}, "'acgan' cannot be fitted on images without labels"),
        ({"name": "duplicate"}, "'duplicate' cannot be fitted on images without labels"),
        ({"name": "iagan", "preset": "tiny"}, "'iagan' cannot be fitted on images without labels"),
        (RED | {"classes": ["red", "blue"]}, "is fitted 2 times (red, blue)"),
        (RED | {"balance": True, "classes": ["red", "blue"], "scope": [["red"], ["blue"]]}, "have no class"),
    ],
)
def test_a_generator_that_cannot_use_images_without_labels_is_refused(plan, generator, said):
    message = refused(plan, fitted_on(generator=generator, per_class={"red": 8, "blue": 8}))
    assert said in message and "strategies.0.generator.extra_data" in message


def test_validation_and_test_images_are_refused_by_name_unless_permitted(plan):
    message = refused(plan, fitted_on(MORE | {"first": 0}))
    assert "are validation or test images of 'toy-blobs'" in message and "blob0" in message
    assert "strategies.0.generator.extra_data" in message and "generator_sees_test" in message
    allowed = {"name": "paper", "allow": ["generator_sees_test"]}
    assert the(plan(fitted_on(MORE | {"first": 0}), protocol=allowed), "fit").params.extra["seen"] == "keep"


def test_an_unknown_key_or_data_set_is_located(plan):
    assert "extra_data.imagez" in refused(plan, fitted_on({"name": "toy-blobs", "imagez": 3}))
    assert "extra_data" in refused(plan, fitted_on("toy-blob"))


def test_a_fit_gets_the_extra_images_without_labels(in_process, write_matrix, tmp_path, monkeypatch):
    from toy_plugins.nets import Mean

    seen: list[ImageSet] = []
    fit = Mean.fit
    monkeypatch.setattr(Mean, "fit", lambda self, train, run: (seen.append(train), fit(self, train, run))[1])
    write_matrix(toy_matrix(strategies=[fitted_on()], seeds=[0]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    (train,) = seen
    assert sum(name.startswith("extra/blob5") for name in train.ids) == 30
    assert train.labels.tolist() == [0] * (len(train) - 30) + [-1] * 30
    assert train.classes == ("red",) and train.images.shape[1:] == torch.Size((3, 8, 8))
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]


def test_an_extra_image_with_the_pixels_of_a_test_image_fails_the_fit_and_is_named(
    in_process, write_matrix, tmp_path
):
    """Its bytes differ, so that only decoding shows it."""
    same = MORE | {"images": 90, "first": 0, "unreadable": 1, "clean": {"unreadable": 0.5}}
    write_matrix(toy_matrix(strategies=[fitted_on(same)], seeds=[0]))
    assert in_process("run", "matrix.yaml", "--out", "out").code == 1
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert "extra images have the pixels of validation or test images, blob" in row["error"]


def test_an_unconditional_gan_is_fitted_on_images_without_labels(in_process, write_matrix, tmp_path):
    gan = {"name": "dcgan", "preset": "tiny", "scope": "pooled", "budget": {"updates": 3}}
    strategy = {"name": "made", "generator": gan | {"extra_data": MORE}}
    write_matrix(toy_matrix(strategies=[strategy], seeds=[0], classifiers=[]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
