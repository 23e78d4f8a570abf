"""What a classifier started from stands in the manifest of a run."""

import hashlib
import json

import timm
from safetensors.torch import save_file
from tests.conftest import toy_matrix


def test_the_manifest_says_which_file_a_network_started_from(in_process, write_matrix, tmp_path):
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    started = {"name": "timm", "label": "started", "model": "test_resnet", "weights": "w.safetensors"}
    small = {"strategies": [{"name": "real-only"}], "seeds": [0], "budget": {"updates": 1}}
    matrix = write_matrix(toy_matrix(classifiers=[started], **small))
    assert in_process("run", matrix, "--out", "out").code == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["weights"] == {"started": {"file": "w.safetensors", "sha256": digest}}
