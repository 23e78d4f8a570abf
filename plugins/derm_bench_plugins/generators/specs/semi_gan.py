"""Options and spec of `semi-gan`."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import SMALL
from derm_bench_plugins.generators.specs.conditional_options import ConditionalOptions

SPEC = GeneratorSpec(
    name="semi-gan",
    summary='GAN whose discriminator classifies images into K classes and "fake" by one softmax',
    paper="Rashid et al. 2019, cited by papers 002 and 003; losses of Salimans et al. 2016",
    create="derm_bench_plugins.generators.semi_gan:SemiGan",
    options=ConditionalOptions,
    parts=("generator", "discriminator"),
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets=SMALL,
)
