"""The key of every planned stage is the digest of its identity, however its text was put together."""

from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.keys import key_of
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from tests.identity.conftest import MATRIX


def test_a_key_is_the_digest_of_the_identity(tmp_path):
    plugins = Plugins(builtins_only=True)
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    matrix = load_matrix(tmp_path / "matrix.yaml", plugins)
    plan = make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))
    assert {stage.kind for stage in plan.stages.values()} >= {"decode", "fit", "train", "statistics"}
    assert [stage.title for stage in plan.stages.values() if key_of(stage.identity) != stage.key] == []
