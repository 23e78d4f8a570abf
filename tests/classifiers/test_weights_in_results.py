"""What a classifier started from stands in the manifest of a run."""

import hashlib
import json

import pytest
import timm
from safetensors.torch import save_file
from tests.conftest import toy_matrix


@pytest.fixture
def started(tmp_path):
    """A small network from a file beside the matrix, and what a manifest is to say of it."""
    file = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), file)
    entry = {"name": "timm", "model": "test_resnet", "weights": file.name}
    return entry, {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


@pytest.fixture
def weights_of(in_process, write_matrix, tmp_path):
    """The `weights` in the manifest of a run of these classifiers."""

    def run(*classifiers):
        small = {"strategies": [{"name": "real-only"}], "seeds": [0], "budget": {"updates": 1}}
        matrix = write_matrix(toy_matrix(classifiers=classifiers, **small))
        assert in_process("run", matrix, "--out", "out").code == 0
        return json.loads((tmp_path / "out" / "manifest.json").read_text())["weights"]

    return run


def test_the_manifest_says_which_file_a_network_started_from(weights_of, started):
    entry, origin = started
    assert weights_of(entry | {"label": "net"}) == {"net": origin}


def test_it_says_so_of_what_an_ensemble_is_made_of(in_process, weights_of, started, tmp_path):
    entry, origin = started
    members = [{"name": "toy-centroid"}, entry]
    assert weights_of({"name": "ensemble", "members": members}) == {"ensemble/member 2": origin}
    assert in_process("report", "out", "--store", "store").code == 0
    rebuilt = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert rebuilt["weights"] == {"ensemble/member 2": origin}, "the same from the records alone"
