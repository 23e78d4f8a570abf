"""What stages hand to plugins that require others."""

import numpy as np

from derm_bench.plugins import Plugins
from derm_bench.stages.context import StageContext
from derm_bench.stages.required import task_of


def test_required_samples_have_the_stored_size_and_the_plugin_keeps_its_own(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 3, 8, 8), np.uint8))
    params = {"requires": {"seen": {"kind": "samples", "part": None}}, "classes": ["a", "b"], "size": 8}
    context = StageContext(
        params, {}, {"requires/seen/b": tmp_path}, tmp_path, tmp_path, "cpu", "fp32", 1, Plugins()
    )
    task = task_of(context, ("a", "b"), 16)
    assert task.size == 16
    assert task.inputs["seen"].size == 8 and task.inputs["seen"].labels.tolist() == [1, 1]
