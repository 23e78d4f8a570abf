"""What plugins require is planned as shared stages: one fit for a strategy and for what is built on it, keys that
follow, errors that say where."""

import pytest
from tests.conftest import toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

CPU = Machine("cpu", ("cpu",), "fp32", 2)
MEAN = {"name": "toy-mean", "budget": {"updates": 4}}
POOLED = {**MEAN, "scope": "pooled"}
BUILT = {"name": "toy-built", "from": {"generator": MEAN, "part": "net"}}
UNVALIDATED = {"name": "toy-blobs", "split": {"val": 0}}
REAL = [{"name": "real-only"}]


@pytest.fixture
def load(toys, write_matrix):
    plugins = Plugins()

    def make(**changes):
        content = toy_matrix(**{"strategies": REAL, **changes})
        if "datasets" in content:
            del content["dataset"]
        return load_matrix(write_matrix(content), plugins), plugins

    return make


@pytest.fixture
def plan(load):
    def make(**changes):
        matrix, plugins = load(**changes)
        return make_plan(matrix, cells(matrix, plugins), plugins, CPU)

    return make


@pytest.fixture
def refused(plan):
    def message(**changes) -> str:
        with pytest.raises(UserError) as caught:
            plan(**changes)
        return str(caught.value)

    return message


def of_kind(plan, kind: str) -> list[str]:
    return [key for key, stage in plan.stages.items() if stage.kind == kind]


def only(plan):
    """The one cell of a plan."""
    (cell,) = plan.cells
    return cell


def test_a_generator_that_a_strategy_fits_too_is_one_stage(plan):
    look = [*REAL, {"name": "look", "generator": POOLED}]
    planned = plan(strategies=look, classifiers=[BUILT], seeds=[0])
    (fit,) = of_kind(planned, "fit")
    assert only(planned).built_on == (fit,) and planned.fits[0].key == fit
    assert planned.stages[only(planned).train].inputs["requires/from"] == fit
    assert not planned.required, "it is listed as the strategy's"


def test_alone_it_is_planned_under_the_generator_seed_and_listed(plan):
    planned = plan(classifiers=[BUILT], seeds={"generator": [3, 4], "classifier": [0]})
    assert len(of_kind(planned, "fit")) == 2
    assert [cell.cell.name.rpartition("/")[2] for cell in planned.cells] == ["0-g3-c0", "0-g4-c0"]
    assert [(r.role, r.owner, r.class_name, r.seed) for r in planned.required] == [
        ("generator", "toy-built/toy-mean", "red+green+blue", seed) for seed in (3, 4)
    ]


def test_a_classifier_that_needs_no_generator_is_not_crossed_with_its_seeds(plan):
    planned = plan(classifiers=["toy-centroid", BUILT], seeds={"generator": [3, 4], "classifier": [0]})
    assert [cell.cell.classifier for cell in planned.cells] == ["toy-centroid", "toy-built", "toy-built"]


def test_the_part_and_the_generators_options_are_in_the_key_and_other_classifiers_keep_theirs(plan):
    def trained(source, other="toy-centroid"):
        planned = plan(classifiers=[other, {"name": "toy-built", "from": source}], seeds=[0])
        return [cell.train for cell in planned.cells]

    plain, built = trained({"generator": MEAN, "part": "net"})
    for changed in (
        {"generator": MEAN, "part": "g"},
        {"generator": {**MEAN, "batch_size": 4}, "part": "net"},
    ):
        assert trained(changed)[0] == plain
        assert trained(changed)[1] != built


def test_from_a_strategy_is_that_strategys_fit(plan):
    source = {"strategy": "look", "part": "net"}
    strategies = [*REAL, {"name": "look", "generator": POOLED}]
    planned = plan(strategies=strategies, classifiers=[{"name": "toy-built", "from": source}], seeds=[0])
    assert only(planned).built_on == (planned.fits[0].key,)


def test_what_a_plugin_requires_by_default_gives_way_to_a_written_from(plan):
    for classifier, updates in (("toy-built", 3), (BUILT, 4)):
        planned = plan(classifiers=[classifier], seeds=[0])
        (fit,) = of_kind(planned, "fit")
        assert planned.stages[fit].params.updates == updates


def test_members_are_trained_as_the_cells_of_their_classifiers_are(plan):
    committee = {"name": "toy-committee", "members": ["toy-centroid", {"name": "toy-built", "lr": 0.5}]}
    strategies = [*REAL, {"name": "flipped", "augment": ["hflip"]}]
    planned = plan(strategies=strategies, classifiers=["toy-centroid", committee], seeds=[1])
    for plain, joined in (planned.cells[:2], planned.cells[2:]):
        assert plain.train in joined.trainings and len(joined.trainings) == 2
        train, evaluate = (planned.stages[k] for k in (joined.train, joined.evaluations["test"]))
        for stage in (train, evaluate):
            assert stage.inputs["requires/member 0"] == plain.train
            assert stage.inputs["requires/member 1/requires/from"] in joined.built_on
    assert len(of_kind(planned, "fit")) == 1, "a fit knows nothing of the strategy"


def test_what_a_generator_requires_does_not_depend_on_strategy_or_classifier_seed(plan):
    strategies = [
        {"name": name, "generator": "toy-graded", "synthetic": {"per_class": 4}, "augment": augment}
        for name, augment in (("a", []), ("b", ["hflip"]))
    ]
    seeds = {"generator": [5], "classifier": [0, 1]}
    planned = plan(strategies=strategies, classifiers=["toy-centroid"], seeds=seeds)
    fits = [s for s in planned.stages.values() if s.kind == "fit" and s.params.generator == "toy-graded"]
    assert len(fits) == 3, "one a class"
    assert planned.stages[fits[0].inputs["requires/grader"]].key in planned.cells[0].built_on
    assert not planned.cells[0].trainings, "a grader of the generator is the generator's cost"
    assert len({s.inputs["requires/grader"] for s in fits}) == 1
    grader = planned.stages[fits[0].inputs["requires/grader"]]
    assert (grader.params.augment, grader.params.replace_real) == ([], False)
    samples = [k for n, k in fits[0].inputs.items() if n.startswith("requires/samples/")]
    assert [planned.stages[k].params.n for k in samples] == [5, 5, 5]
    drawn = planned.stages[planned.cells[0].samples["red"]]
    assert drawn.inputs["requires/grader"] == fits[0].inputs["requires/grader"], (
        "it is made anew to be sampled"
    )


def test_what_is_needed_while_fitting_alone_is_no_input_of_what_restores_the_fit(plan):
    """Sampling does not load what the network was once trained with, nor does anything else that comes after."""

    def required(planned, kind: str) -> set[str]:
        """What stages of a kind that restore toy-graded or toy-pupil require."""
        stages = (planned.stages[key] for key in of_kind(planned, kind))
        named = [
            s
            for s in stages
            if getattr(s.params, "generator", "") == "toy-graded"
            or getattr(s.params, "classifier", "") == "toy-pupil"
        ]
        assert named
        return {name for s in named for name in s.inputs if name.startswith("requires/")}

    graded = {"name": "toy-graded", "needed": "fit", "classes": ["red"]}
    strategies = [{"name": "a", "generator": graded, "synthetic": {"per_class": 4}}]
    planned = plan(strategies=strategies, classifiers=["toy-pupil"], seeds=[0])
    helpers = {"requires/grader", *(f"requires/samples/{name}" for name in ("red", "green", "blue"))}
    assert required(planned, "fit") == helpers
    assert required(planned, "train") == {"requires/teacher"}
    for kind in ("health", "sample", "interpolation", "evaluate"):
        assert not required(planned, kind), kind
    graded["needed"] = "always"
    for kind in ("fit", "health", "sample", "interpolation"):
        assert required(plan(strategies=strategies, seeds=[0]), kind) == helpers, kind


def test_what_is_required_may_be_fitted_on_the_reserve_or_on_samples(plan, refused):
    def helpers(learns_from, **changes):
        generator = {"name": "toy-graded", "learns_from": learns_from, "classes": ["red"]}
        planned = plan(strategies=[{"name": "a", "generator": generator}], seeds=[0], **changes)
        inputs = planned.stages[planned.fits[0].key].inputs
        grader = planned.stages[inputs["requires/grader"]]
        return planned, grader, planned.stages[planned.stages[inputs["requires/samples/red"]].inputs["fit"]]

    planned, grader, fit = helpers("samples")
    assert grader.params.replace_real and fit.params.reads == "samples"
    third = planned.stages[fit.inputs["data/red"]]
    assert (third.params.n, grader.inputs["synthetic/red"]) == (6, third.key)
    assert planned.stages[third.inputs["fit"]].params.updates == 1

    reserve = {"dataset": {"name": "toy-blobs", "size": 8, "images": 90, "split": {"reserve": 0.2}}}
    _, grader, fit = helpers("reserve", **reserve)
    assert grader.params.reads == fit.params.reads == "reserve"
    generator = {"name": "toy-graded", "learns_from": "reserve"}
    said = refused(strategies=[{"name": "a", "generator": generator}])
    assert (
        "strategies.0.generator: 'toy-centroid' is fitted on the reserve, and 'toy-blobs' keeps none" in said
    )


def test_init_is_a_training_on_the_other_data_at_this_size_with_its_own_budget(plan):
    init = {
        "dataset": {"name": "toy-blobs", "images": 60, "copies": 1, "classes": ["red", "blue"]},
        "budget": {"updates": 2},
    }
    plain = {"name": "toy-centroid", "label": "plain"}
    strategies = [*REAL, {"name": "flipped", "augment": ["hflip"]}]
    classifiers = [plain, {"name": "toy-centroid", "init": init}]
    planned = plan(strategies=strategies, classifiers=classifiers, seeds=[0])
    (first,) = {planned.stages[c.train].inputs["init"] for c in planned.cells if c.cell.classifier != "plain"}
    params = planned.stages[first].params
    assert (params.classes, params.size, params.updates) == (("red", "blue"), 8, 2)
    assert params.augment == [], "one training for all strategies"
    assert planned.cells[1].trainings == (first,)
    lines = planned.data[planned.stages[planned.decodes["toy-blobs (init)"]].params.images].decode()
    assert lines.count("\n") + 1 == 40, "of 60 images these two classes have 40"
    assert list(planned.cell_splits()) == [("toy-blobs", 0)]


def test_init_on_a_data_set_of_the_matrix_by_its_label_shares_its_images(plan):
    datasets = [{"name": "toy-blobs", "size": 8, "images": 90, "label": label} for label in ("here", "there")]
    datasets[1] |= {"images": 60, "copies": 1}
    init = {"dataset": "there"}
    planned = plan(datasets=datasets, classifiers=[{"name": "toy-centroid", "init": init}], seeds=[0])
    here, there = planned.cells
    first = planned.stages[planned.stages[here.train].inputs["init"]]
    assert first.inputs["decode"] == planned.decodes["there"] and len(planned.decodes) == 2
    assert there.train != here.train


def test_init_sees_no_image_that_is_held_out(plan, refused):
    datasets = [{"name": "toy-blobs", "size": 8, "images": 90, "label": label} for label in ("here", "there")]
    datasets[1]["images"] = 60  # the first 60 of the same
    given = {"datasets": datasets, "classifiers": [{"name": "toy-centroid", "init": {"dataset": "there"}}]}
    said = refused(**given, seeds=[0])
    assert "classifiers.0.init.dataset: " in said and "are validation or test images of 'here'" in said
    assert "duplicates_across_splits" in said
    permitted = {"name": "paper", "allow": ["duplicates_across_splits"]}
    assert plan(**given, seeds=[0], protocol=permitted).cells[0].trainings


def test_init_on_the_cells_own_data_set_keeps_its_split_and_its_fraction(plan):
    data = {"name": "toy-blobs", "size": 8, "images": 90, "train_fraction": [0.5]}
    classifier = {"name": "toy-centroid", "init": {"dataset": "toy-blobs", "budget": {"updates": 2}}}
    seeds = {"split": [0, 1], "classifier": [0]}
    planned = plan(dataset=data, classifiers=[classifier], seeds=seeds)
    assert len({planned.stages[cell.train].params.split for cell in planned.cells}) == 2
    for cell in planned.cells:
        own = planned.stages[cell.train]
        first = planned.stages[own.inputs["init"]]
        assert (first.params.split, first.params.fraction) == (own.params.split, 0.5)


def test_a_strategy_with_a_fit_a_class_says_that_one_network_is_wanted(refused):
    strategies = [*REAL, {"name": "look", "generator": MEAN}]
    source = {"strategy": "look", "part": "net"}
    said = refused(strategies=strategies, classifiers=[{"name": "toy-built", "from": source}])
    assert "classifiers.0.from: 'toy-mean' is fitted 3 times (red, green, blue), but one network" in said
    assert "scope: pooled" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classifiers": [{"name": "toy-centroid", "from": BUILT["from"]}]}, ["classifiers.0.from", "takes no `from`"]),
        (
            {"classifiers": [{"name": "toy-built", "from": {"strategy": "rael-only", "part": "net"}}]},
            ["from.strategy: no strategy is named 'rael-only'", "did you mean 'real-only'"],
        ),
        (
            {"classifiers": [{"name": "toy-built", "from": {"strategy": "real-only", "part": "net"}}]},
            ["'real-only' has no generator"],
        ),
        (
            {"classifiers": [{"name": "toy-built", "from": {"generator": {"name": "toy-mena"}, "part": "net"}}]},
            ["classifiers.0.from.generator.name", "did you mean 'toy-mean'"],
        ),
        (
            {"classifiers": [{"name": "toy-built", "from": {"generator": {**MEAN, "bathc_size": 3}, "part": "net"}}]},
            ["from.generator.bathc_size: unknown key", "did you mean 'batch_size'"],
        ),
        ({"classifiers": [{"name": "toy-built", "from": {"part": "net"}}]}, ["exactly one of generator, strategy"]),
        (
            {"strategies": [{"name": "x", "generator": "toy-circle", "synthetic": {"per_class": 3}}]},
            ["strategies.0.generator: 'toy-circle' requires itself: toy-circle -> toy-circle"],
        ),
        (
            {"strategies": [{"name": "x", "generator": {"name": "toy-circle", "through": "toy-maen"}}]},
            ["'toy-circle' requires other, 'toy-maen'", "no generator is named", "did you mean 'toy-mean'"],
        ),
        (
            {"classifiers": [{"name": "toy-committee", "members": ["toy-centroid", {"name": "toy-built", "lrr": 1}]}]},
            ["classifiers.0.members.1.lrr: unknown key 'lrr'", "did you mean 'lr'"],
        ),
        (
            {"classifiers": [{"name": "toy-built", "from": {"generator": {**MEAN, "fit_on": "all"}, "part": "net"}}]},
            ["classifiers.0.from.generator", "generator_sees_test"],
        ),
        (
            {"classifiers": [{"name": "toy-centroid", "init": {"dataset": UNVALIDATED}}]},
            ["classifiers.0.init.dataset: ", "nothing to select the best on"],
        ),
        (
            {"classifiers": [{"name": "toy-committee", "members": [{"name": "toy-centroid", "patience": 2}]}]},
            ["classifiers.0: toy-centroid: patience would train some arms less"],
        ),
        (
            {
                "dataset": UNVALIDATED,
                "classifiers": [{"name": "toy-committee", "select": "last", "members": ["toy-centroid"]}],
            },
            ["classifiers.0: toy-centroid: the data set 'toy-blobs' has `val: 0`"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_said_where_it_is_written(refused, change, words):
    said = refused(**change)
    assert all(word in said for word in words), said


def test_options_of_the_generator_below_from_can_be_swept_and_set(load):
    swept = {**BUILT, "sweep": {"from.generator.batch_size": [4, 8]}}
    matrix, _ = load(classifiers=[swept])
    assert [entry.label for entry in matrix.classifiers] == [f"toy-built[batch_size={n}]" for n in (4, 8)]
    assert [entry.taken_from.generator.options.batch_size for entry in matrix.classifiers] == [4, 8]
