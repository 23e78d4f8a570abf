"""Forecasts rest on what stages of the same cost class took before, and say when they are guesses."""

import json

import pytest

from derm_bench.forecast.past import Past, finished_stages
from derm_bench.plan.alike import cost_class
from derm_bench.store import Store
from derm_bench_plugins.generators.gan_cost import adversarial


def planned(in_process, matrix, *flags):
    ran = in_process("plan", matrix, "--json", *flags)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def publish(store, key, kind, params, result, seconds, peak):
    staged = store.stage()
    (staged / "state.safetensors").write_bytes(b"x" * 2**20)
    identity = {"kind": kind, "params": params, "numerics": {"device": "cpu"}}
    store.publish(
        key, staged, identity=identity, result=result, attempt={"seconds": seconds, "peak_memory_mb": peak}
    )


def test_without_records_a_forecast_is_a_guess_and_says_so(in_process, write_matrix):
    matrix = write_matrix()
    assert all(one["known"] == 0 for one in planned(in_process, matrix)["estimates"].values())
    assert "a guess" in in_process("plan", matrix).out


def test_time_is_scaled_by_budget_and_memory_is_the_largest_seen(in_process, write_matrix, tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()
    for k, (seconds, peak) in enumerate([(6.0, 700), (6.0, 900), (60.0, 800)]):
        publish(
            store, f"{k:02d}" * 20, "train", {"classifier": "toy-centroid"}, {"updates": 6}, seconds, peak
        )
    publish(store, "ff" * 20, "train", {"classifier": "other"}, {"updates": 6}, 9999.0, 9999)
    plan = planned(in_process, write_matrix(), "--only", "strategy=real-only,seed=0")
    # 12 updates, of which 6 took 6 s in the median.
    assert plan["estimates"]["train"] == pytest.approx(
        {
            "stages": 1,
            "known": 1,
            "probed": 0,
            "source": "records",
            "seconds": 12.0,
            "megabytes": 1.0,
            "peak_mb": 900.0,
        }
    )
    assert plan["estimated_peak_mb"] == 900.0
    assert plan["estimated_wall_seconds"] == pytest.approx(plan["estimated_seconds"] / plan["workers"])


@pytest.mark.parametrize(
    ("budget", "updates"), [({"updates": 12}, 12), ({"epochs": 3}, 24), ({"kimg": 0.08}, 10)]
)
def test_a_budget_in_any_form_is_scaled_from_earlier_updates(
    in_process, write_matrix, tmp_path, budget, updates
):
    store = Store(tmp_path / "store")
    store.prepare()
    publish(store, "01" * 20, "train", {"classifier": "toy-centroid"}, {"updates": 6}, 6.0, 700)
    publish(store, "02" * 20, "fit", {"generator": "toy-mean"}, {"updates": 4}, 8.0, 700)
    publish(store, "03" * 20, "health", {"generator": "toy-mean"}, {}, 0.5, 700)
    matrix = write_matrix(
        budget=budget,
        protocol={"name": "paper", "allow": ["unmatched_budget"]},
        strategies=[
            {
                "name": "mean",
                "generator": {"name": "toy-mean", "scope": "pooled", "budget": budget},
            },
            {"name": "real-only"},
        ],
        seeds=[0],
    )
    # 62 training images in batches of 8 are 8 updates an epoch.
    estimates = planned(in_process, matrix)["estimates"]
    assert estimates["train"]["seconds"] == pytest.approx(updates)
    assert estimates["fit"]["seconds"] == pytest.approx(2.0 * updates + 0.5), "the check of its health, too"


def test_synthetic_images_count_toward_an_epoch(in_process, write_matrix, tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()
    publish(store, "01" * 20, "train", {"classifier": "toy-centroid"}, {"updates": 1}, 1.0, 700)
    generator = {"name": "toy-mean", "budget": {"updates": 4}}
    matrix = write_matrix(
        budget={"epochs": 1},
        protocol={"name": "paper", "allow": ["unmatched_budget"]},
        strategies=[{"name": "more", "generator": generator, "synthetic": {"per_class": 40}}],
        seeds=[0],
    )
    # 62 real and 3 x 40 synthetic images in batches of 8.
    assert planned(in_process, matrix)["estimates"]["train"]["seconds"] == pytest.approx(23)


def test_stages_with_the_same_options_count_more_than_others_of_the_plugin(tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()

    def params(model, size, updates=6):
        options = {"model": model, "batch_size": 8}
        return {"generator": "net", "options": options, "size": size, "updates": updates, "seed": updates}

    took = {("small", 64): 1.0, ("large", 64): 10.0, ("large", 128): 40.0}
    for k, ((model, size), seconds) in enumerate(took.items()):
        publish(store, f"{k:02d}" * 20, "fit", params(model, size), {"updates": 6}, seconds, 1.0)
    past = Past(finished_stages(store))

    def seconds_of(model, size, device="cpu"):
        identity = {"kind": "fit", "params": params(model, size, 99), "numerics": {"device": device}}
        return sorted(one.seconds for one in past.alike(cost_class(identity)))

    assert seconds_of("large", 64) == [10.0]  # whatever the seed and the budget were
    assert seconds_of("large", 128) == [40.0]
    assert seconds_of("huge", 64) == [1.0, 10.0, 40.0]
    assert seconds_of("large", 64, device="cuda") == []


PACE = [[1, 3.0], [21, 3.4]]


def test_start_up_is_told_apart_from_updates(in_process, write_matrix, tmp_path):
    """21 updates in 3.5 s, of which the first took 3 s: 3,000 of them take a minute, not eight."""
    store = Store(tmp_path / "store")
    store.prepare()
    identity = {"kind": "train", "params": {"classifier": "toy-centroid"}, "numerics": {"device": "cpu"}}
    attempt = {"seconds": 3.5, "peak_memory_mb": 700, "pace": PACE}
    store.publish("01" * 20, store.stage(), identity=identity, result={"updates": 21}, attempt=attempt)
    matrix = write_matrix(budget={"updates": 3000}, strategies=["real-only"], seeds=[0])
    seconds = planned(in_process, matrix)["estimates"]["train"]["seconds"]
    assert seconds == pytest.approx(2.98 + 0.1 + 3000 * 0.02)


@pytest.mark.parametrize("pace", [None, [[5, 1.0], [9, 1.4]], [[501, 0.5], [900, 4.0]]])
def test_a_stage_takes_what_one_of_the_same_work_took(tmp_path, pace):
    """Also if it was resumed, in which case nothing is known of its start."""
    store = Store(tmp_path / "store")
    store.prepare()
    units = pace[1][0] if pace else 9
    attempt = {"seconds": 4.1} | ({"pace": pace} if pace else {})
    identity = {"kind": "train", "params": {"classifier": "a"}, "numerics": {"device": "cpu"}}
    store.publish("01" * 20, store.stage(), identity=identity, result={"updates": units}, attempt=attempt)
    ((one,),) = finished_stages(store).values()
    assert one.fixed >= 0
    if pace != [[501, 0.5], [900, 4.0]]:
        assert one.fixed + one.per_unit * units == pytest.approx(4.1)


def test_attempts_have_their_pace(in_process, write_matrix, tmp_path):
    assert in_process("run", write_matrix(seeds=[0], strategies=["real-only"])).code == 0
    store, found = Store(tmp_path / "store"), {}
    for path in store.root.glob("objects/*/*/stage.json"):
        document = json.loads(path.read_text())
        found[document["identity"]["kind"]] = document["attempt"]
    (first, began), (last, ended) = found["train"]["pace"]
    assert (first, last) == (1, 12) and 0 < began <= ended <= found["train"]["seconds"]
    assert "pace" not in found["evaluate"]


def timm(model, side):
    return {
        "classifier": "timm",
        "size": 8,
        "options": {"model": model, "input_size": side, "batch_size": 64},
    }


@pytest.mark.parametrize(
    ("known", "asked", "least", "most"),
    [
        (("resnet10t", 32, 0.02), ("resnet50", 224), 1.0, 4.0),  # 183 times the multiply-adds
        (("resnet50", 224, 2.0), ("resnet10t", 32), 0.01, 0.05),
        (("resnet18.tv_in1k", 64, 0.1), ("resnet18", 128), 0.3, 0.4),
        (
            ("beitv2_base_patch16_224", 224, 99.0),
            ("resnet18", 32),
            0.001,
            1.0,
        ),  # unknown, so it counts for nothing
    ],
)
def test_records_of_another_network_are_scaled_by_cost(
    in_process, write_matrix, tmp_path, monkeypatch, known, asked, least, most
):
    monkeypatch.setattr("derm_bench.cli.plan.slowdown", lambda: 1.0)  # of the guess in the last case
    store = Store(tmp_path / "store")
    store.prepare()
    model, side, per_update = known
    publish(store, "01" * 20, "train", timm(model, side), {"updates": 100}, 100 * per_update, 700)
    classifier = {"name": "timm", "model": asked[0], "input_size": asked[1], "batch_size": 64}
    matrix = write_matrix(
        classifiers=[classifier], strategies=["real-only"], seeds=[0], budget={"updates": 1000}
    )
    seconds = planned(in_process, matrix)["estimates"]["train"]["seconds"]
    assert least <= seconds / 1000 <= most, seconds


def test_guesses_know_network_and_size(in_process, write_matrix):
    def guessed(name, model, side):
        classifier = {"name": name, "model": model, "input_size": side}
        matrix = write_matrix(classifiers=[classifier], strategies=["real-only"], seeds=[0])
        return planned(in_process, matrix)["estimates"]["train"]["seconds"]

    assert guessed("timm", "resnet50", 224) > 3 * guessed("timm", "resnet18", 128)
    assert guessed("timm", "resnet18", 128) > guessed("timm", "resnet10t", 32)
    assert adversarial({"base": 64}, 64) == pytest.approx(4 * adversarial({"base": 32}, 64))
    assert adversarial({"base": 32}, 128) > 4 * adversarial({"base": 32}, 64) and adversarial({}, 64) is None
    assert guessed("torchvision", "vgg16", 224) > guessed("torchvision", "alexnet", 224)


def test_few_stages_of_a_large_store_are_read(tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()
    for k in range(12):
        publish(store, f"{k:02d}" * 20, "train", {"classifier": "a"}, {"updates": 6}, 6.0, 1.0)
    (store.folder("00" * 20) / "stage.json").chmod(0o644)
    (store.folder("00" * 20) / "stage.json").write_text("torn")
    assert 4 <= sum(map(len, finished_stages(store, limit=5).values())) <= 5
    assert finished_stages(Store(tmp_path / "nowhere")) == {}


def test_the_dag_names_each_stage_after_what_it_is_made_from(in_process, write_matrix):
    lines = in_process("plan", write_matrix(seeds=[0]), "--dag").out.splitlines()
    seen = set()
    for line in lines:
        key, _, made_from = line.partition("  <- ")
        assert all(one.partition("=")[2] in seen for one in made_from.split()), line
        seen.add(key.split()[0])
    assert any("train toy-centroid on mean-balance seed 0  <- decode=" in line for line in lines)
    assert all("  to run  " in line for line in lines)
