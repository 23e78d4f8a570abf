"""Stages share a GPU as far as what they were seen to take allows; the CPU is never full."""

from dataclasses import make_dataclass

from derm_bench.executors.placement import CONTEXT_MB, SHARES, Placement
from derm_bench.plan.model import Stage

Params = make_dataclass("Params", ["classifier", "options", "size"])


def stage(key, classifier="small"):
    params = Params(classifier=classifier, options={}, size=64)
    return Stage(key, "train", key, params, {}, {"kind": "train", "numerics": {"device": "cuda"}})


def gpu(capacity=20_000.0, devices=("cuda:0",)):
    return Placement(devices, dict.fromkeys(devices, capacity))


def done(peak):
    return {"status": "done", "peak_device_mb": peak}


def run(slots, one, peak):
    slots.take(one, slots.place(one))
    slots.release(one, done(peak))


def test_what_nobody_has_seen_runs_alone():
    slots = gpu()
    slots.take(stage("a"), "cuda:0")
    assert slots.place(stage("b")) is None
    slots.release(stage("a"), done(1000))
    assert slots.place(stage("c", "another")) == "cuda:0"


def test_what_was_seen_to_be_small_shares_the_device_until_it_is_full():
    slots = gpu(20_000)
    run(
        slots, stage("first"), 4000
    )  # with its context and a margin some 5.6 GB of the 18 GB that may be filled
    for key in ("a", "b", "c"):
        assert slots.place(stage(key)) == "cuda:0"
        slots.take(stage(key), "cuda:0")
    assert slots.place(stage("d")) is None
    slots.release(stage("b"), done(4000))
    assert slots.place(stage("d")) == "cuda:0"


def test_an_unknown_stage_waits_for_the_small_ones_and_they_for_it():
    slots = gpu()
    run(slots, stage("first"), 100)
    slots.take(stage("a"), "cuda:0")
    unknown = stage("u", "another")
    assert slots.place(unknown) is None
    slots.release(stage("a"))
    slots.take(unknown, slots.place(unknown))
    assert slots.place(stage("b")) is None


def test_a_stage_larger_than_the_device_still_gets_it_alone():
    slots = gpu(1000)
    run(slots, stage("first"), 5000)
    assert slots.place(stage("a")) == "cuda:0"


def test_the_emptier_of_two_devices_is_taken_where_it_is_usable():
    slots = gpu(devices=("cuda:0", "cuda:1"))
    run(slots, stage("first"), 100)
    slots.take(stage("a"), "cuda:0")
    assert slots.place(stage("b")) == "cuda:1"
    assert slots.place(stage("b"), lambda device: device == "cuda:0") == "cuda:0"


def test_a_failed_stage_teaches_nothing_and_the_most_ever_seen_counts():
    slots = gpu()
    slots.take(stage("a"), "cuda:0")
    slots.release(stage("a"), {"status": "oom", "peak_device_mb": 1.0})
    assert not slots.known
    run(slots, stage("b"), 3000)
    run(slots, stage("c"), 1000)
    assert list(slots.known.values()) == [3000]


def test_the_cpu_is_never_full():
    slots = Placement(("cpu",))
    for k in range(10):
        slots.take(stage(str(k)), "cpu")
    assert slots.place(stage("next")) == "cpu"
    assert CONTEXT_MB > 0 and SHARES > 1
