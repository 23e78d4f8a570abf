"""Whatever is killed on the way, the tables are those of an undisturbed run and no stage is done twice."""

import pytest
from tests.conftest import MAIN_WITHOUT_FIGURES
from tests.kills import SIGNALS, contents, differences, flaws, under_fire

from derm_bench.store import Store


def test_two_kills_change_nothing(tmp_path):
    """A worker's, then the parent's, unless the machine is so slow that no worker is there yet."""
    story = under_fire(tmp_path, kills=2, seed=24, code=MAIN_WITHOUT_FIGURES)
    assert story.problems == []
    assert story.kills.total() == 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fifty_kills_change_nothing(tmp_path):
    story = under_fire(tmp_path, kills=50, seed=0)
    assert story.problems == []
    assert story.kills.total() == 50
    assert min(story.kills["parent"], story.kills["worker"]) >= 10


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_signals_of_all_kinds_change_nothing(tmp_path):
    story = under_fire(tmp_path, kills=200, seed=1, signals=SIGNALS)
    assert story.problems == []
    assert min(story.kills["parent"], story.kills["worker"]) >= 40


def test_the_script_sees_files_that_are_lost_added_or_changed():
    wanted, found = {"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}
    assert differences(wanted, found) == [
        "a is missing",
        "d is in no undisturbed run",
        "c differs from the undisturbed one",
    ]


@pytest.mark.parametrize(
    ("text", "alike"), [("memory 1,002 MB", True), ("memory 98.5 MB", True), ("memory 1,002 GB", False)]
)
def test_the_script_does_not_compare_measurements_in_reports(tmp_path, text, alike):
    """Nor how a number is written: a peak of memory is now below and now above a thousand MB."""
    for name, said in (("a", "memory 999 MB"), ("b", text)):
        (tmp_path / name / "out").mkdir(parents=True)
        (tmp_path / name / "out/report.md").write_text(said)
    assert (differences(contents(tmp_path / "a"), contents(tmp_path / "b")) == []) == alike


def test_the_script_sees_what_is_not_whole_or_done_twice(tmp_path):
    place = tmp_path / "store"
    store, key = Store(place), "ab" * 20
    store.prepare()
    staged = store.stage()
    (staged / "values.json").write_text("[]")
    store.publish(key, staged, identity={}, result={}, attempt={"attempt": "1"})
    store.append(key, {"attempt": "1", "status": "done", "title": "toy"})
    assert flaws(place) == []
    store.append(key, {"attempt": "2", "status": "done", "title": "toy"})
    path = store.folder(key) / "values.json"
    path.chmod(0o644)
    path.write_text("[1]")
    (store.folder(key) / "half").write_text("")
    (place / "objects/cd" / ("cd" * 20)).mkdir(parents=True)
    said = "\n".join(flaws(place))
    for problem in ("done 2 times", "values.json is not what", "half is not listed", "has no stage.json"):
        assert problem in said
