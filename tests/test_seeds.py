"""Seeds: derived as they always were, by one module that imports no torch."""

import subprocess
import sys

from derm_bench.seeds import child_seed, derive_seed
from derm_bench.training import seeding


def test_derived_seeds_have_the_values_that_earlier_versions_gave():
    assert (derive_seed("fit", 0, "mel"), derive_seed("noise")) == (1220288340, 2012304096)
    assert (child_seed(5, "order"), child_seed(0, "feed")) == (18771882247572120, 16792852917755343)


def test_seeds_of_different_purposes_differ_and_stay_in_their_range():
    made = {derive_seed(purpose, seed) for purpose in ("fit", "train", "sample") for seed in range(100)}
    assert len(made) == 300 and all(0 <= seed < 2**31 for seed in made)
    streams = {child_seed(seed, name) for name in ("order", "augment") for seed in range(100)}
    assert len(streams) == 200 and all(0 <= seed < 2**56 for seed in streams)


def test_there_is_one_derivation_and_it_needs_no_torch():
    assert seeding.child_seed is child_seed
    code = "import sys, derm_bench.seeds; print('torch' in sys.modules, 'numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]
