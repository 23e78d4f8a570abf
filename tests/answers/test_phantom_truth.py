"""On procedural images, where the truth is known, the harness finds it: more real images help, copies do not, and
wrong labels hurt. About five minutes on two idle cores."""

import pytest
import yaml
from tests.conftest import read_csv

MATRIX = """
name: truth
dataset:
  {name: phantom-dermoscopy, label: phantom, classes: [mel, nv, bkl, bcc], imbalance: 1.0, views: 1.0, images: 1600,
   side: 48, size: 32, split: {test: 0.4, val: 0.05, reserve: 0.5, seed: 0}}
seeds: [0, 1, 2, 3, 4]
budget: {updates: 500}
strategies:
  - {name: real-only}
  - {name: duplicate, generator: duplicate, synthetic: {ratio: 10.0}}
  - {name: more-real, generator: more-real, synthetic: {ratio: 10.0}}
  - {name: shuffled-label, generator: shuffled-label, synthetic: {ratio: 10.0}}
classifiers:
  - {name: dermagan-cnn, pooled: true, batch_size: 16, lr: 1.0e-3}
metrics: []
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_more_real_images_help_copies_do_not_and_wrong_labels_hurt(in_process, tmp_path):
    path = tmp_path / "truth.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(MATRIX)))
    assert in_process("run", path, "--out", tmp_path / "out").code == 0
    rows = read_csv(tmp_path / "out" / "summary.csv")
    verdicts = {
        row["strategy"]: row["verdict"]
        for row in rows
        if row["metric"] == "balanced_accuracy" and row["baseline"] == "real-only"
    }
    assert verdicts["more-real"] == "helps"
    assert verdicts["duplicate"] in ("equivalent", "inconclusive")
    assert verdicts["shuffled-label"] == "hurts"
