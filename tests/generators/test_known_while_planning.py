"""What planning knows of built-in generators without torch is what their networks say: sides, and names of parts."""

from __future__ import annotations

import pytest

from derm_bench.errors import UserError
from derm_bench.lazy import create, load_object
from derm_bench.matrix.options import compose_options
from derm_bench.protocols import Task
from derm_bench_plugins.generators.specs import SPECS

TRAINED = [spec for spec in SPECS if spec.trains]


def _options(spec, tmp_path, **changes):
    root = {"root": tmp_path, "trained_on": "nothing"} if spec.name == "folder" else {}
    return compose_options(spec).model_validate({**spec.presets["tiny"], **root, **changes})


@pytest.mark.parametrize("spec", TRAINED, ids=lambda spec: spec.name)
@pytest.mark.parametrize("size", [8, 16, 33, 100])
def test_a_side_is_refused_while_planning_if_and_only_if_the_networks_refuse_it(spec, size, tmp_path):
    options = _options(spec, tmp_path, size=size)
    problems = list(load_object(spec.preflight)(options)) if spec.preflight else []
    try:
        create(spec, options, Task(("mel", "nv"), size))
    except UserError:
        assert problems
    else:
        assert not problems


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_parts_that_a_spec_lists_are_those_of_the_generator(spec, tmp_path):
    made = create(spec, _options(spec, tmp_path), Task(("mel", "nv"), 16))
    assert set(spec.parts) == set(made.parts())
