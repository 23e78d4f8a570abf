"""What stages hand to plugins that require others."""

from types import SimpleNamespace

import numpy as np

from derm_bench.plugins import Plugins
from derm_bench.stages.context import Device, StageContext
from derm_bench.stages.required import task_of
from derm_bench.worker.lookup import Lookup


def test_required_samples_have_the_stored_size_and_the_plugin_keeps_its_own(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 3), np.uint8))
    params = SimpleNamespace(requires={"seen": {"kind": "samples", "part": None}}, classes=["a", "b"], size=8)
    context = StageContext(
        params=params,
        local={},
        inputs={"requires/seen/b": tmp_path},
        out=tmp_path,
        data=tmp_path,
        machine=Device("cpu", "fp32", 1),
        plugins=Lookup(Plugins()),
    )
    task = task_of(context, ("a", "b"), 16)
    assert task.size == 16
    assert task.inputs["seen"].size == 8 and task.inputs["seen"].labels.tolist() == [1, 1]
